//! `[connections.NAME.harmless]`: functions that the operator answers for.

use sluice_dataplane::settings::{Harmless, HarmlessExtension, HarmlessFunction};
use sluice_parsers::sql::catalog::{DefinitionHash, Signature, SignatureError};
use toml::de::DeValue;

use super::reader::{At, Table};
use super::value::{Mistake, sql_name, text};

/// What says how an entry without a definition gets one.
const DEFINITION_HELP: &str =
    "`sluice check --connect` prints the line with the definition that is there now";

pub(super) fn read(table: &Table<'_>) -> Option<Harmless> {
    let functions = functions(table);
    let extensions = extensions(table);
    Some(Harmless {
        functions: functions?,
        extensions: extensions?,
    })
}

/// `"schema.name(type, ...)" = { owner = "role", definition = "hash" }`.
fn functions(table: &Table<'_>) -> Option<Vec<HarmlessFunction>> {
    let mut found: Vec<HarmlessFunction> = Vec::new();
    let mut right = true;
    for (name, entry) in table.named_tables("functions") {
        let owner = entry.required(
            "owner",
            "name the role that owns the function: owner = \"postgres\"",
            role,
        );
        let definition = definition(&entry);
        let signature = match name.value.parse::<Signature>() {
            Ok(signature) => signature,
            Err(error) => {
                entry.error("", name.span, error.to_string(), help(&error));
                right = false;
                continue;
            }
        };
        if found.iter().any(|earlier| earlier.signature == signature) {
            let message = "names a function that is named already";
            entry.error("", name.span, message, "remove one of them");
            right = false;
            continue;
        }
        let (Some(owner), Ok(definition)) = (owner, definition) else {
            right = false;
            continue;
        };
        warn_without(&entry, &name, definition);
        found.push(HarmlessFunction {
            signature,
            owner: owner.value,
            definition,
        });
    }
    right.then_some(found)
}

/// `name = { definition = "hash" }`.
fn extensions(table: &Table<'_>) -> Option<Vec<HarmlessExtension>> {
    let mut found = Vec::new();
    let mut right = true;
    for (name, entry) in table.named_tables("extensions") {
        let Ok(definition) = definition(&entry) else {
            right = false;
            continue;
        };
        warn_without(&entry, &name, definition);
        found.push(HarmlessExtension {
            name: name.value,
            definition,
        });
    }
    right.then_some(found)
}

/// A role's name, as SQL has it.
fn role(value: &DeValue<'_>) -> Result<String, Mistake> {
    let written = text(value)?;
    sql_name(&written, 1)
        .and_then(|mut parts| parts.pop())
        .ok_or_else(|| {
            Mistake::new(
                format!("{written:?} is not the name of a role"),
                "write it as in SQL: a name with capitals or other signs goes into double quotes",
            )
        })
}

/// `Err` means a mistake, which is reported.
fn definition(entry: &Table<'_>) -> Result<Option<DefinitionHash>, super::reader::Reported> {
    let written = entry.optional("definition", |value| {
        let written = text(value)?;
        written
            .parse()
            .map_err(|error| Mistake::new(format!("\"{written}\" is {error}"), DEFINITION_HELP))
    });
    match written {
        Some(hash) => Ok(Some(hash.value)),
        None if entry.has("definition") => Err(super::reader::Reported),
        None => Ok(None),
    }
}

fn warn_without(entry: &Table<'_>, name: &At<String>, definition: Option<DefinitionHash>) {
    if definition.is_none() {
        let message = "has no `definition`, so it holds for nothing";
        entry.warning("", name.span.clone(), message, DEFINITION_HELP);
    }
}

fn help(error: &SignatureError) -> &'static str {
    match error {
        SignatureError::NoSchema => {
            "write \"schema.name(type, ...)\": a name alone may mean another function"
        }
        SignatureError::TypeWithoutSchema(_) => "write the type as schema.type, unless it is built in",
        _ => "write \"schema.name(type, ...)\", as SELECT oid::regprocedure FROM pg_proc prints it",
    }
}
