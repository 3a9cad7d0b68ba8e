//! `[identities.NAME]` and `token_users`: who may log in, and how the user name chooses the proof.

use std::path::Path;
use std::sync::Arc;

use sluice_dataplane::settings::Identities;
use sluice_policy::identity::{GROUP_BYTES_MAX, GROUPS_MAX, ScramIdentities, ScramIdentity, TokenVerifier};

use super::issuers::Issuers;
use super::reader::{At, Table};
use super::value::{Mistake, text};
use crate::{mock_secret, verifier};

const TOKEN_USER: &str = "token";

/// Who may log in, and whether any local identity is configured, right or wrong.
pub(super) struct Found {
    pub(super) identities: Identities,
    pub(super) any_local: bool,
}

/// Reads the local identities and the token users.
pub(super) fn read(root: &Table<'_>, data: Option<&Path>, issuers: &Issuers) -> Found {
    let token_users = token_users(root, issuers.any);
    let mut scram = ScramIdentities::new(data.map_or_else(mock_secret::fresh, mock_secret::kept_in));
    let tables = root.named_tables("identities");
    let any_local = !tables.is_empty();
    for (name, table) in tables {
        let groups = groups(&table);
        let help = "make one with `sluice scram-verifier`: verifier = \"SCRAM-SHA-256$...\"";
        let Some(verifier) = table.required("verifier", help, verifier_text) else {
            continue;
        };
        if token_users.contains(&name.value) {
            let message = format!(
                "\"{}\" is a token user as well, and the user name chooses the proof",
                name.value
            );
            table.error("", name.span, message, "rename one of them");
            continue;
        }
        // TOML refuses a second table of one name, so this cannot be a duplicate.
        let _ = scram.insert(name.value, ScramIdentity::new(verifier.value, groups));
    }
    if !any_local && !issuers.any {
        let help = "add [identities.NAME] with a verifier, or [issuers.NAME] for tokens";
        root.error("identities", root.span(), "nobody can log in", help);
    }
    let tokens = issuers
        .verifier
        .clone()
        .map(|verifier| verifier as Arc<dyn TokenVerifier>);
    Found {
        identities: Identities {
            scram,
            token_users,
            tokens,
        },
        any_local,
    }
}

fn token_users(root: &Table<'_>, has_issuers: bool) -> Vec<String> {
    let Some(listed) = root.list("token_users", text) else {
        return vec![TOKEN_USER.to_owned()];
    };
    report_repeats(root, "token_users", &listed);
    if listed.is_empty() && has_issuers {
        let help = "list the user names that send a token as their password, as in [\"token\"]";
        root.error(
            "token_users",
            root.span_of("token_users"),
            "is empty, so no token is ever asked for",
            help,
        );
    }
    listed.into_iter().map(|user| user.value).collect()
}

fn groups(table: &Table<'_>) -> Vec<String> {
    let listed = table
        .list("groups", |value| {
            let group = text(value)?;
            if group.len() > GROUP_BYTES_MAX {
                let help = format!("names of groups have at most {GROUP_BYTES_MAX} bytes");
                return Err(Mistake::new("is too long for a group", help));
            }
            Ok(group)
        })
        .unwrap_or_default();
    report_repeats(table, "groups", &listed);
    if listed.len() > GROUPS_MAX {
        let message = format!("lists {} groups", listed.len());
        table.error(
            "groups",
            table.span_of("groups"),
            message,
            format!("list at most {GROUPS_MAX}"),
        );
    }
    listed.into_iter().map(|group| group.value).collect()
}

/// Reports what a list has twice.
pub(super) fn report_repeats(table: &Table<'_>, key: &str, listed: &[At<String>]) {
    for (at, item) in listed.iter().enumerate() {
        if listed[..at].iter().any(|earlier| earlier.value == item.value) {
            table.error(
                key,
                item.span.clone(),
                format!("\"{}\" is listed twice", item.value),
                "remove one",
            );
        }
    }
}

/// A verifier that can be used. Messages do not show it: it is worth an offline guess.
fn verifier_text(value: &toml::de::DeValue<'_>) -> Result<String, Mistake> {
    let text = text(value)?;
    match verifier::check(&text) {
        Ok(()) => Ok(text),
        Err(error) => Err(Mistake::new(
            error.to_string(),
            "make one with `sluice scram-verifier` and paste it whole",
        )),
    }
}
