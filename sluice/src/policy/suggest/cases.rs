//! Expectations for `sluice policy test`: recorded statements that have to be allowed, and neighbours that have to be denied.

use std::collections::BTreeSet;

use serde::Serialize;
use sluice_parsers::sql::effect::{Action, EffectFlags};
use sluice_policy::Resource;
use sluice_policy::identity::LOCAL_ISSUER;

use super::Suggestion;
use crate::failure::{Failure, counted};

/// So many recorded statements become cases, the most frequent.
const ALLOWED_MAX: usize = 200;
/// So many neighbours.
const DENIED_MAX: usize = 200;

#[derive(Serialize)]
struct File<'a> {
    identity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    groups: &'a [String],
    case: Vec<Case>,
}

#[derive(Serialize)]
struct Case {
    name: String,
    sql: String,
    expect: &'static str,
}

/// The file's text. Cases are of one database, that of most statements: `sluice policy test` asks in one.
pub(super) fn file(suggestion: &Suggestion) -> Result<String, Failure> {
    let draft = &suggestion.draft.0;
    let statements_in = |(connection, database): &(String, String)| -> u64 {
        let covered = suggestion.covered.iter();
        let there = covered.filter(|question| {
            question.target.connection() == connection && question.target.database() == database
        });
        there.map(|question| question.statements).sum()
    };
    let Some(target) = draft.keys().max_by_key(|target| statements_in(target)) else {
        return Err(Failure::other("no tests", "nothing that is recorded is covered"));
    };
    let mut known = BTreeSet::new();
    let mut case = Vec::new();
    let here = suggestion.covered.iter().filter(|question| {
        question.target.connection() == target.0 && question.target.database() == target.1
    });
    for question in here.filter(|question| question.stands_alone).take(ALLOWED_MAX) {
        if known.insert(question.text.clone()) {
            case.push(Case {
                name: format!(
                    "recorded {}",
                    counted(usize::try_from(question.statements).unwrap_or(usize::MAX), "time")
                ),
                sql: question.text.clone(),
                expect: "allow",
            });
        }
    }
    for sql in neighbours(suggestion, target).into_iter().take(DENIED_MAX) {
        if known.insert(sql.clone()) {
            case.push(Case {
                name: "not recorded".to_owned(),
                sql,
                expect: "deny",
            });
        }
    }
    let identity = &suggestion.whose.identity;
    let file = File {
        identity: &identity.subject,
        issuer: (identity.issuer != LOCAL_ISSUER).then_some(&*identity.issuer),
        groups: identity.groups(),
        case,
    };
    let text = toml::to_string(&file).map_err(|error| Failure::other("cannot write TOML", error))?;
    let (connection, database) = target;
    Ok(format!(
        "# Recorded on {connection:?} in {database:?}: sluice policy test --config ... --connection ... --policy ...\n\n{text}"
    ))
}

/// What is next to what is permitted, and is not.
fn neighbours(suggestion: &Suggestion, target: &(String, String)) -> Vec<String> {
    let mut found = Vec::new();
    let Some(permitted) = suggestion.draft.0.get(target) else {
        return found;
    };
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for ((action, resource), grant) in &permitted.grants {
        let Some((schema, table)) = &grant.table else {
            continue;
        };
        if EffectFlags::from_bits(grant.flags).contains(EffectFlags::CATALOG) || schema == "pg_temp" {
            continue;
        }
        let table = format!("{}.{}", quoted(schema), quoted(table));
        let granted = |action| permitted.grants.get(&(action, resource.clone()));
        if *action == Action::Read {
            let columns = grant.but.iter().filter_map(Resource::name);
            found.extend(columns.map(|column| format!("SELECT {} FROM {table}", quoted(&column))));
        }
        let is_unfiltered = |action| {
            granted(action)
                .is_some_and(|grant| EffectFlags::from_bits(grant.flags).contains(EffectFlags::UNFILTERED))
        };
        if !is_unfiltered(Action::Delete) {
            found.push(format!("DELETE FROM {table}"));
        }
        if granted(Action::Truncate).is_none() {
            found.push(format!("TRUNCATE {table}"));
        }
    }
    found.push("CREATE ROLE somebody_else SUPERUSER".to_owned());
    found
}
