//! `[issuers.NAME]`: who vouches for tokens, and how that is verified.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice_control::oidc::{Algorithm, IssuerConfig, KeySource, LEEWAY_S_MAX, Verifier};

use super::identities::report_repeats;
use super::reader::{Reported, Table};
use super::value::{Mistake, duration, path, text};
use crate::tls;

/// Who vouches for tokens.
pub(super) struct Issuers {
    /// Verifies the tokens of all of them; `None` when there is none, or a mistake.
    pub(super) verifier: Option<Arc<Verifier>>,
    /// Whether any is configured, right or wrong.
    pub(super) any: bool,
}

/// Reads every issuer.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> Issuers {
    let tables = root.named_tables("issuers");
    let configs: Vec<IssuerConfig> = tables
        .iter()
        .filter_map(|(_, table)| issuer(table, folder))
        .collect();
    let any = !tables.is_empty();
    if configs.is_empty() || configs.len() < tables.len() {
        return Issuers { verifier: None, any };
    }
    // Each is right by itself; together they may still be wrong.
    match Verifier::new(configs) {
        Ok(verifier) => Issuers {
            verifier: Some(Arc::new(verifier)),
            any,
        },
        Err(error) => {
            let span = tables.first().map_or(0..0, |(name, _)| name.span.clone());
            root.error("issuers", span, error.to_string(), "");
            Issuers { verifier: None, any }
        }
    }
}

const AUDIENCES_HELP: &str = "list what tokens must be made for: audiences = [\"sluice\"]";

fn issuer(table: &Table<'_>, folder: &Path) -> Option<IssuerConfig> {
    let help = "write the token's `iss` exactly: issuer = \"https://login.example.com\"";
    let issuer = table.required("issuer", help, text);
    let audiences = table.list("audiences", text);
    if !table.has("audiences") {
        table.error("audiences", table.span(), "is missing", AUDIENCES_HELP);
    }
    let help = "name the key set: keys = \"https://login.example.com/jwks\", or a file";
    let keys = table.required("keys", help, |value| keys(&text(value)?, folder));
    let algorithms = table.list("algorithms", |value| algorithm(&text(value)?));
    let groups_claim = table.optional("groups_claim", text);
    let group_prefix = table.optional("group_prefix", text);
    let leeway = table.optional(
        "leeway",
        duration(Duration::ZERO, Duration::from_secs(LEEWAY_S_MAX)),
    );
    let authority = authority(table, folder);
    let (issuer, audiences) = (issuer?, audiences?);
    if audiences.is_empty() {
        table.error(
            "audiences",
            table.span_of("audiences"),
            "is empty, so no token would do",
            AUDIENCES_HELP,
        );
        return None;
    }
    report_repeats(table, "audiences", &audiences);
    let mut config = IssuerConfig::new(issuer.value, "", keys?.value);
    config.audiences = audiences.into_iter().map(|audience| audience.value).collect();
    config.ca_pem = authority.ok()?;
    if let Some(algorithms) = algorithms {
        config.algorithms = algorithms.into_iter().map(|algorithm| algorithm.value).collect();
    }
    if let Some(claim) = groups_claim {
        config.groups_claim = Some(claim.value);
    }
    if let Some(prefix) = group_prefix {
        config.group_prefix = prefix.value;
    }
    if let Some(leeway) = leeway {
        config.leeway_s = leeway.value.as_secs();
    }
    // What only the verifier knows: names that cannot be issuers, claims that are no path.
    match Verifier::new(vec![config.clone()]) {
        Ok(_) => Some(config),
        Err(error) => {
            table.error("issuer", issuer.span, error.to_string(), "");
            None
        }
    }
}

/// A URL, or a file that has to be there.
fn keys(text: &str, folder: &Path) -> Result<KeySource, Mistake> {
    let source = KeySource::parse(text)
        .map_err(|error| Mistake::new(error.to_string(), "write https://..., or the path of a file"))?;
    let KeySource::File(path) = source else {
        return Ok(source);
    };
    let path = folder.join(path);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(KeySource::File(path)),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            Err(Mistake::new(
                message,
                "name a file with a JWK set, or its https:// address",
            ))
        }
    }
}

fn algorithm(name: &str) -> Result<Algorithm, Mistake> {
    Algorithm::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        let message = format!("\"{name}\" is not an algorithm that tokens may be signed with");
        Mistake::new(message, format!("list some of {}", names.join(", ")))
    })
}

/// The authority of the keys' https address, if it is not the system's.
fn authority(table: &Table<'_>, folder: &Path) -> Result<Option<Vec<u8>>, Reported> {
    let Some(file) = table.optional("ca", path(folder)) else {
        return if table.has("ca") { Err(Reported) } else { Ok(None) };
    };
    match tls::read_authorities(&file.value) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) => {
            let help = "name a PEM file with the authority that signs the issuer's certificate";
            table.error("ca", file.span, error.to_string(), help);
            Err(Reported)
        }
    }
}
