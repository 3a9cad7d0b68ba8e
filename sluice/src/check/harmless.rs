//! Whether what the configuration takes for harmless is what the databases have.

use sluice_audit::visible::Visible;
use sluice_dataplane::Standing;
use sluice_dataplane::settings::{Connection, Databases, Harmless};
use sluice_parsers::sql::catalog::{Catalog, DefinitionHash, Oid};
use sluice_parsers::sql::resolve::quote_identifier;

use super::login::{Finding, with_help};
use crate::failure::counted;
use crate::server::Server;

/// One entry of the configuration.
struct Entry<'a> {
    /// `functions` or `extensions`.
    table: &'static str,
    name: String,
    /// Whether the configuration gives it a definition.
    has_definition: bool,
    standing: Box<dyn Fn(&Catalog) -> Standing + 'a>,
}

/// Reads the catalogs of the databases that the configuration names, and looks for each entry.
pub(crate) fn examine(connection: &Connection) -> Vec<Finding> {
    let entries = entries(&connection.harmless);
    if entries.is_empty() {
        return Vec::new();
    }
    let names = match &connection.databases {
        Databases::Any => std::slice::from_ref(&connection.default_database),
        Databases::Listed(names) => names,
    };
    let mut catalogs = Vec::with_capacity(names.len());
    let mut findings = Vec::new();
    for name in names {
        match catalog(connection, name) {
            Ok(catalog) => catalogs.push(catalog),
            Err(error) => findings.push(Finding::Error(format!("database {}: {error}", visible(name)))),
        }
    }
    let is_all = catalogs.len() == names.len();
    findings.extend(entries.iter().flat_map(|entry| judge(entry, &catalogs, is_all)));
    findings
}

fn entries(harmless: &Harmless) -> Vec<Entry<'_>> {
    let functions = harmless.functions.iter().map(|function| Entry {
        table: "functions",
        name: function.signature.to_string(),
        has_definition: function.definition.is_some(),
        standing: Box::new(|catalog| function.standing(catalog)),
    });
    let extensions = harmless.extensions.iter().map(|extension| Entry {
        table: "extensions",
        name: extension.name.clone(),
        has_definition: extension.definition.is_some(),
        standing: Box::new(|catalog| extension.standing(catalog)),
    });
    functions.chain(extensions).collect()
}

fn catalog(connection: &Connection, database: &str) -> Result<Catalog, String> {
    let mut server = Server::connect(connection, database, "sluice check")
        .map_err(|error| with_help(&error, connection))?;
    server.catalog().map_err(|error| visible(&error.to_string()))
}

/// What the databases have of an entry; `is_all` if none is missing among them.
fn judge(entry: &Entry<'_>, catalogs: &[Catalog], is_all: bool) -> Vec<Finding> {
    let what = visible(&format!("harmless.{}: {}", entry.table, entry.name));
    let mut findings = Vec::new();
    let mut functions = None;
    for catalog in catalogs {
        let database = visible(&catalog.database);
        match (entry.standing)(catalog) {
            Standing::Holds(found) => {
                functions = functions.max(Some(found.len()));
                findings.extend(unpinned(&what, catalog, &found));
            }
            Standing::Missing => {}
            Standing::Differs {
                owner,
                definition: Some(definition),
            } => {
                let why = if entry.has_definition {
                    "is not what the configuration says"
                } else {
                    "has no `definition` in the configuration"
                };
                let line = visible(&line(&entry.name, owner.as_deref(), definition));
                findings.push(Finding::Error(format!(
                    "{what} {why}, and counts as Opaque in {database}; once you have read what it does, write:\n  {line}"
                )));
            }
            Standing::Differs { definition: None, .. } => findings.push(Finding::Error(format!(
                "{what} cannot be told from others in {database}: somebody may be changing it; check again"
            ))),
        }
    }
    let fails = findings
        .iter()
        .any(|finding| matches!(finding, Finding::Error(_)));
    match functions {
        Some(count) if !fails => {
            findings.push(Finding::Fact(format!("{what}: {}", counted(count, "function"))));
        }
        None if findings.is_empty() && is_all => {
            let databases: Vec<_> = catalogs
                .iter()
                .map(|catalog| visible(&catalog.database))
                .collect();
            findings.push(Finding::Warning(format!(
                "{what} is nowhere in {}; correct its name, or remove the entry",
                databases.join(", ")
            )));
        }
        _ => {}
    }
    findings
}

/// Of an entry's functions those that do in one session what they do not in another.
fn unpinned(what: &str, catalog: &Catalog, functions: &[Oid]) -> Option<Finding> {
    let functions = functions.iter().filter_map(|&oid| catalog.function(oid));
    let mut unpinned: Vec<String> = functions
        .filter(|function| function.finds_callers_names())
        .map(|function| {
            let schema = catalog.schema(function.schema).map_or("", |schema| &schema.name);
            format!(
                "{}.{}",
                quote_identifier(schema),
                quote_identifier(&function.name)
            )
        })
        .collect();
    unpinned.sort_unstable();
    unpinned.dedup();
    let first = unpinned.first()?;
    let more = match unpinned.len() {
        1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    Some(Finding::Warning(format!(
        "{what}: {} finds names by its caller's search_path, and is judged by its body, mostly as Opaque, in \
         sessions with another one than the login's or with temporary objects in {}; ALTER FUNCTION {} SET search_path = ..., \
         pg_temp, and list its new definition",
        visible(&format!("{first}{more}")),
        visible(&catalog.database),
        visible(first),
    )))
}

/// An entry as the configuration has it.
fn line(name: &str, owner: Option<&str>, definition: DefinitionHash) -> String {
    let name = toml::Value::from(name);
    let definition = toml::Value::from(definition.to_string());
    match owner {
        Some(owner) => {
            let owner = toml::Value::from(&*quote_identifier(owner));
            format!("{name} = {{ owner = {owner}, definition = {definition} }}")
        }
        None => format!("{name} = {{ definition = {definition} }}"),
    }
}

/// What a server says, safe to print.
fn visible(text: &str) -> String {
    Visible(text.as_bytes()).to_string()
}
