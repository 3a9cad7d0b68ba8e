//! What a token with a valid signature claims, held against the configuration and the time.

use serde_json::{Map, Value};
use sluice_policy::identity::{GROUP_BYTES_MAX, GROUPS_MAX, Identity, Method, SUBJECT_BYTES_MAX, TokenError};
use sluice_policy::printable;

use super::config::IssuerConfig;

/// How much of the claims is kept for the record, as JSON.
pub(super) const CLAIMS_BYTES_MAX: usize = 4096;
/// How many audiences a token may name.
const AUDIENCES_MAX: usize = 64;
/// How much of a token's text goes into an error.
pub(super) const SHOWN_CHARS_MAX: usize = 128;
/// Claims that say who the token is about come first into the record.
const RECORDED_FIRST: [&str; 10] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "client_id",
    "jti",
    "iat",
    "exp",
    "scope",
    "act",
];
/// The largest time that all readers of JSON agree on.
const TIME_S_MAX: f64 = 9_007_199_254_740_992.0;

/// The identity that the claims make, if they are for this gateway and for now.
pub(super) fn identity(
    claims: Map<String, Value>,
    config: &IssuerConfig,
    now_s: u64,
) -> Result<Identity, TokenError> {
    let expires_at_s = check_times(&claims, config.leeway_s, now_s)?;
    check_audience(&claims, &config.audiences)?;
    // A token bound to a key (RFC 7800) is worth nothing without a proof, which a password cannot carry.
    if claims.contains_key("cnf") {
        return Err(TokenError::SenderConstrained);
    }
    let subject = subject(&claims)?;
    let groups = match &config.groups_claim {
        Some(path) => groups(&claims, path, &config.group_prefix)?,
        None => Vec::new(),
    };
    let mut identity = Identity::new(&config.issuer, subject, Method::Oidc);
    identity.set_groups(groups);
    identity.expires_at_s = Some(expires_at_s.saturating_add(config.leeway_s));
    let claimed = claims.len();
    identity.claims = bounded(claims);
    identity.claims_are_cut = identity.claims.len() < claimed;
    Ok(identity)
}

/// `exp`, having checked that it, `nbf` and `iat` agree with the clock.
fn check_times(claims: &Map<String, Value>, leeway_s: u64, now_s: u64) -> Result<u64, TokenError> {
    let expires_at_s = time(claims, "exp")?.ok_or_else(|| TokenError::MissingClaim {
        claim: "exp".to_owned(),
    })?;
    if now_s >= expires_at_s.saturating_add(leeway_s) {
        return Err(TokenError::Expired {
            expired_at_s: expires_at_s,
            now_s,
        });
    }
    for claim in ["nbf", "iat"] {
        if let Some(valid_from_s) = time(claims, claim)?
            && valid_from_s > now_s.saturating_add(leeway_s)
        {
            return Err(TokenError::NotYetValid { valid_from_s, now_s });
        }
    }
    Ok(expires_at_s)
}

/// A time (`NumericDate`), in whole seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The range was checked.
fn time(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, TokenError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    match value.as_f64() {
        Some(seconds) if (0.0..=TIME_S_MAX).contains(&seconds) => Ok(Some(seconds as u64)),
        _ => Err(bad(claim, "it is not a time in seconds since 1970")),
    }
}

fn check_audience(claims: &Map<String, Value>, expected: &[String]) -> Result<(), TokenError> {
    let got = match claims.get("aud") {
        None => {
            return Err(TokenError::MissingClaim {
                claim: "aud".to_owned(),
            });
        }
        Some(Value::String(audience)) => vec![audience.as_str()],
        Some(Value::Array(audiences)) if audiences.len() <= AUDIENCES_MAX => audiences
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(|| bad("aud", "it holds something else than strings"))?,
        Some(_) => return Err(bad("aud", "it is neither a string nor a short list of strings")),
    };
    if got
        .iter()
        .any(|audience| expected.iter().any(|ours| ours == audience))
    {
        Ok(())
    } else {
        Err(TokenError::WrongAudience {
            got: printable(&got.join(" "), SHOWN_CHARS_MAX),
        })
    }
}

fn subject(claims: &Map<String, Value>) -> Result<&str, TokenError> {
    match claims.get("sub") {
        None => Err(TokenError::MissingClaim {
            claim: "sub".to_owned(),
        }),
        Some(Value::String(subject)) if subject.is_empty() => Err(bad("sub", "it is empty")),
        Some(Value::String(subject)) if subject.len() > SUBJECT_BYTES_MAX => {
            Err(bad("sub", "it is too long"))
        }
        Some(Value::String(subject)) if subject.chars().any(char::is_control) => {
            Err(bad("sub", "it holds control characters"))
        }
        Some(Value::String(subject)) => Ok(subject),
        Some(_) => Err(bad("sub", "it is not a string")),
    }
}

/// The groups at a path: a name that holds dots itself (`https://example.com/groups`), or names joined by dots.
/// A claim that is not there means no groups; one that cannot be read in full is an error, as a `forbid` may
/// name the group that would be missed.
fn groups(claims: &Map<String, Value>, path: &str, prefix: &str) -> Result<Vec<String>, TokenError> {
    // Where an issuer left them out for their number, it says so here (OpenID Connect Core, 5.6.2).
    let elsewhere = claims.get("_claim_names").and_then(Value::as_object);
    if elsewhere.is_some_and(|names| names.contains_key(path)) {
        return Err(TokenError::GroupsLeftOut);
    }
    let Some(value) = claims.get(path).or_else(|| at_path(claims, path)) else {
        return Ok(Vec::new());
    };
    let names: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::String(name) => vec![name],
        Value::Array(names) if names.len() > GROUPS_MAX => {
            return Err(bad(path, "it names too many groups"));
        }
        Value::Array(names) => names
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(|| bad(path, "it holds something else than names"))?,
        _ => return Err(bad(path, "it is neither a name nor a list of names")),
    };
    if names
        .iter()
        .any(|name| name.is_empty() || name.len() + prefix.len() > GROUP_BYTES_MAX)
    {
        return Err(bad(path, "it holds a name that is empty or too long"));
    }
    Ok(names.into_iter().map(|name| format!("{prefix}{name}")).collect())
}

fn at_path<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (parents, last) = path.rsplit_once('.')?;
    let parent = parents
        .split('.')
        .try_fold(claims, |object, name| object.get(name)?.as_object())?;
    parent.get(last)
}

/// The claims that fit into [`CLAIMS_BYTES_MAX`], those that say who it is first.
fn bounded(mut claims: Map<String, Value>) -> Map<String, Value> {
    let first = RECORDED_FIRST
        .iter()
        .filter_map(|name| claims.remove_entry(*name));
    let mut left = CLAIMS_BYTES_MAX;
    let mut kept = Map::new();
    let first: Vec<_> = first.collect();
    for (name, value) in first.into_iter().chain(claims) {
        // Two quotes of the name, colon and comma; escapes of a strange name count by their text.
        let bytes = Value::from(name.as_str()).to_string().len() + value.to_string().len() + 2;
        if let Some(rest) = left.checked_sub(bytes) {
            left = rest;
            kept.insert(name, value);
        }
    }
    kept
}

fn bad(claim: &str, what: &'static str) -> TokenError {
    TokenError::BadClaim {
        claim: claim.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::KeySource;
    use serde_json::json;

    const NOW_S: u64 = 1_000_000;

    fn judge(change: impl FnOnce(&mut Value), path: &str) -> Result<Identity, TokenError> {
        let mut claims = json!({"iss": "https://i", "sub": "agent", "aud": "gateway", "exp": NOW_S + 60});
        change(&mut claims);
        let Value::Object(claims) = claims else {
            panic!("an object")
        };
        let mut config = IssuerConfig::new("https://i", "gateway", KeySource::File("k".into()));
        config.groups_claim = Some(path.to_owned());
        config.group_prefix = "p:".to_owned();
        identity(claims, &config, NOW_S)
    }

    #[test]
    fn claims_out_of_bounds_are_refused() {
        let leeway = 30;
        for (name, change, want) in [
            ("as it should be", json!({}), Ok(())),
            ("no exp", json!({"exp": null}), Err("bad_claim")),
            ("exp is text", json!({"exp": "1000060"}), Err("bad_claim")),
            ("exp is negative", json!({"exp": -1}), Err("bad_claim")),
            ("exp is beyond time", json!({"exp": 1e300}), Err("bad_claim")),
            ("exp with a fraction", json!({"exp": 1_000_060.5}), Ok(())),
            ("just expired", json!({"exp": NOW_S - leeway}), Err("expired")),
            (
                "expired within the leeway",
                json!({"exp": NOW_S - leeway + 1}),
                Ok(()),
            ),
            ("exp of 1970", json!({"exp": 0}), Err("expired")),
            ("valid since just now", json!({"nbf": NOW_S}), Ok(())),
            ("nbf within the leeway", json!({"nbf": NOW_S + leeway}), Ok(())),
            (
                "nbf in the future",
                json!({"nbf": NOW_S + leeway + 1}),
                Err("not_yet_valid"),
            ),
            ("nbf is text", json!({"nbf": "0"}), Err("bad_claim")),
            (
                "issued in the future",
                json!({"iat": NOW_S + leeway + 1}),
                Err("not_yet_valid"),
            ),
            ("audience among others", json!({"aud": ["x", "gateway"]}), Ok(())),
            (
                "other audience",
                json!({"aud": "gateway2"}),
                Err("wrong_audience"),
            ),
            (
                "no audience in the list",
                json!({"aud": []}),
                Err("wrong_audience"),
            ),
            (
                "audience of another case",
                json!({"aud": "Gateway"}),
                Err("wrong_audience"),
            ),
            (
                "audience list with a number",
                json!({"aud": ["gateway", 1]}),
                Err("bad_claim"),
            ),
            (
                "audience is an object",
                json!({"aud": {"gateway": 1}}),
                Err("bad_claim"),
            ),
            (
                "endless audiences",
                json!({"aud": vec!["gateway"; 65]}),
                Err("bad_claim"),
            ),
            ("empty subject", json!({"sub": ""}), Err("bad_claim")),
            ("subject is a number", json!({"sub": 7}), Err("bad_claim")),
            ("subject with a newline", json!({"sub": "a\nb"}), Err("bad_claim")),
            (
                "endless subject",
                json!({"sub": "x".repeat(SUBJECT_BYTES_MAX + 1)}),
                Err("bad_claim"),
            ),
            (
                "bound to a key",
                json!({"cnf": {"jkt": "x"}}),
                Err("sender_constrained"),
            ),
        ] {
            let got = judge(
                |claims| {
                    for (claim, value) in change.as_object().unwrap() {
                        claims[claim] = value.clone();
                    }
                },
                "groups",
            );
            assert_eq!(got.as_ref().map(|_| ()).map_err(TokenError::name), want, "{name}");
        }
        for claim in ["exp", "aud", "sub"] {
            let got = judge(
                |claims| drop(claims.as_object_mut().unwrap().remove(claim)),
                "groups",
            );
            assert_eq!(
                got,
                Err(TokenError::MissingClaim {
                    claim: claim.to_owned()
                }),
                "without {claim}"
            );
        }
    }

    #[test]
    fn groups_are_read_in_full_or_not_at_all() {
        let many: Vec<_> = (0..=GROUPS_MAX).map(|number| number.to_string()).collect();
        for (name, path, change, want) in [
            (
                "list",
                "groups",
                json!({"groups": ["b", "a", "b"]}),
                Ok(&["p:a", "p:b"][..]),
            ),
            ("one name", "groups", json!({"groups": "a"}), Ok(&["p:a"])),
            ("absent", "groups", json!({}), Ok(&[])),
            ("null", "groups", json!({"groups": null}), Ok(&[])),
            ("empty list", "groups", json!({"groups": []}), Ok(&[])),
            (
                "path",
                "realm_access.roles",
                json!({"realm_access": {"roles": ["a"]}}),
                Ok(&["p:a"]),
            ),
            (
                "long path",
                "a.b.c",
                json!({"a": {"b": {"c": "x"}}}),
                Ok(&["p:x"]),
            ),
            ("path through a string", "a.b", json!({"a": "b"}), Ok(&[])),
            (
                "name with dots",
                "https://example.com/groups",
                json!({"https://example.com/groups": ["a"]}),
                Ok(&["p:a"]),
            ),
            (
                "a group's prefix cannot be given by the issuer",
                "groups",
                json!({"groups": ["q:a"]}),
                Ok(&["p:q:a"]),
            ),
            (
                "number in the list",
                "groups",
                json!({"groups": ["a", 1]}),
                Err("bad_claim"),
            ),
            ("object", "groups", json!({"groups": {"a": 1}}), Err("bad_claim")),
            ("empty name", "groups", json!({"groups": [""]}), Err("bad_claim")),
            (
                "endless name",
                "groups",
                json!({"groups": ["x".repeat(300)]}),
                Err("bad_claim"),
            ),
            ("too many", "groups", json!({"groups": many}), Err("bad_claim")),
            (
                "left out by the issuer",
                "groups",
                json!({"_claim_names": {"groups": "src1"}}),
                Err("groups_left_out"),
            ),
        ] {
            let got = judge(
                |claims| {
                    for (claim, value) in change.as_object().unwrap() {
                        claims[claim] = value.clone();
                    }
                },
                path,
            );
            match (got, want) {
                (Ok(identity), Ok(want)) => assert_eq!(identity.groups(), want, "{name}"),
                (got, want) => {
                    assert_eq!(
                        got.map(|_| ()).map_err(|error| error.name()),
                        want.map(|_| ()),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn recorded_claims_are_bounded_and_keep_who_it_is() {
        let identity = judge(
            |claims| {
                claims["aaa"] = "x".repeat(CLAIMS_BYTES_MAX).into();
                claims["azp"] = "crew".into();
                for number in 0..1000 {
                    claims[format!("c{number}")] = number.into();
                }
            },
            "groups",
        )
        .unwrap();
        let text = Value::Object(identity.claims.clone()).to_string();
        assert!(text.len() <= CLAIMS_BYTES_MAX, "{} bytes", text.len());
        assert!(identity.claims_are_cut, "policies are told");
        assert_eq!(identity.claims["azp"], "crew");
        assert_eq!(identity.claims["sub"], "agent");
        assert!(!identity.claims.contains_key("aaa") && identity.claims.len() > 100);
        assert_eq!(identity.expires_at_s, Some(NOW_S + 60 + 30));
    }
}
