//! A catalog as a file: what `sluice explain-sql --offline` works with, without a server.
//!
//! The file is JSON. It holds a database's own objects with their OIDs, as [`objects`](super::objects) names them; the
//! built-in ones are those of the server's version. It may be written or edited by hand, so every reference in it is
//! checked when it is read: an object that is not there would make a statement look more harmless than it is.

mod check;

use std::hash::Hash;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::snapshot::Bases;
use super::{
    Cast, Catalog, EventTrigger, Extension, ForeignKey, ForeignServer, Function, Oid, Operator,
    OperatorClass, Relation, Role, Schema, Type, base,
};
use crate::sql::catalog::snapshot::{BuiltIn, built_in_of};

/// The form that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The longest file that is read.
pub const BYTES_MAX: usize = 256 << 20;

/// Why a file gives no catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not JSON, or a field is not known or not of its kind.
    #[error("line {line}, column {column}: {problem}")]
    Form {
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
        /// What is wrong there.
        problem: Box<str>,
    },
    /// It is of another form than this program reads.
    #[error("\"sluice_schema\" is {found}; this program reads {VERSION}")]
    Version {
        /// What it says.
        found: u32,
    },
    /// The built-in objects of that version are not known.
    #[error("\"server\" is {found}; versions 12 to 18 are known")]
    Server {
        /// What it says.
        found: u8,
    },
    /// It is longer than a file may be.
    #[error("the file has more than {BYTES_MAX} bytes")]
    TooLarge,
    /// An object does not fit the others.
    #[error("{object}: {problem}")]
    Object {
        /// What it is, with its name or OID.
        object: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
}

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sluice_schema: u32,
    server: u8,
    database: Box<str>,
    /// How the server numbers what its `initdb` made; left out, as this program's own tables do.
    #[serde(default)]
    built_in: Vec<BuiltIn>,
    #[serde(default)]
    schemas: Vec<Schema>,
    #[serde(default)]
    relations: Vec<Relation>,
    #[serde(default)]
    functions: Vec<Function>,
    #[serde(default)]
    types: Vec<Type>,
    #[serde(default)]
    operators: Vec<Operator>,
    #[serde(default)]
    casts: Vec<Cast>,
    #[serde(default)]
    operator_classes: Vec<OperatorClass>,
    #[serde(default)]
    foreign_keys: Vec<ForeignKey>,
    #[serde(default)]
    event_triggers: Vec<EventTrigger>,
    #[serde(default)]
    foreign_servers: Vec<ForeignServer>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    extensions: Vec<Extension>,
}

/// The file's text of a catalog.
pub fn write(catalog: &Catalog) -> String {
    let below = catalog.below.as_deref();
    let file = File {
        sluice_schema: VERSION,
        server: catalog.server_major,
        database: catalog.database.clone(),
        built_in: below.map(built_in_of).unwrap_or_default(),
        schemas: sorted(&catalog.schemas),
        relations: sorted(&catalog.relations),
        functions: sorted(&catalog.functions),
        types: sorted(&catalog.types),
        operators: sorted(&catalog.operators),
        casts: sorted(&catalog.casts),
        operator_classes: catalog.operator_classes.clone(),
        foreign_keys: catalog.foreign_keys.clone(),
        event_triggers: catalog.event_triggers.clone(),
        foreign_servers: sorted(&catalog.foreign_servers),
        roles: sorted(&catalog.roles),
        extensions: sorted(&catalog.extensions),
    };
    // Names and numbers are always JSON.
    serde_json::to_string_pretty(&file).unwrap_or_default()
}

fn sorted<K: Ord, T: Clone>(objects: &HashMap<K, T>) -> Vec<T> {
    let mut objects: Vec<_> = objects.iter().collect();
    objects.sort_unstable_by_key(|(key, _)| *key);
    objects.into_iter().map(|(_, object)| object.clone()).collect()
}

/// The catalog of a file's text.
pub fn read(text: &str, bases: &Bases) -> Result<Catalog, FileError> {
    if text.len() > BYTES_MAX {
        return Err(FileError::TooLarge);
    }
    let file: File = serde_json::from_str(text).map_err(|error| FileError::Form {
        line: error.line(),
        column: error.column(),
        problem: without_place(&error.to_string()).into(),
    })?;
    if file.sluice_schema != VERSION {
        return Err(FileError::Version {
            found: file.sluice_schema,
        });
    }
    if !base::MAJORS.contains(&file.server) {
        return Err(FileError::Server { found: file.server });
    }
    let mut catalog = Catalog {
        below: Some(bases.of(file.server, &file.built_in)),
        server_major: file.server,
        database: file.database,
        schemas: keyed("schema", file.schemas, |schema| schema.oid)?,
        relations: keyed("relation", file.relations, |relation| relation.oid)?,
        functions: keyed("function", file.functions, |function| function.oid)?,
        types: keyed("type", file.types, |kind| kind.oid)?,
        operators: keyed("operator", file.operators, |operator| operator.oid)?,
        casts: keyed("cast", file.casts, |cast| (cast.source, cast.target))?,
        operator_classes: file.operator_classes,
        foreign_keys: file.foreign_keys,
        event_triggers: file.event_triggers,
        foreign_servers: keyed("foreign server", file.foreign_servers, |server| server.oid)?,
        roles: keyed("role", file.roles, |role| role.oid)?,
        extensions: keyed("extension", file.extensions, |extension| extension.oid)?,
        ..Catalog::default()
    };
    check::all(&catalog)?;
    catalog.index();
    Ok(catalog)
}

/// What an object is found by, as an error names it.
trait Key: Copy + Eq + Hash {
    fn shown(self) -> String;
    fn is_none(self) -> bool;
}

impl Key for Oid {
    fn shown(self) -> String {
        self.to_string()
    }

    fn is_none(self) -> bool {
        self.is_none()
    }
}

impl Key for (Oid, Oid) {
    fn shown(self) -> String {
        format!("from {} to {}", self.0, self.1)
    }

    fn is_none(self) -> bool {
        self.0.is_none() || self.1.is_none()
    }
}

fn keyed<K: Key, T>(what: &str, objects: Vec<T>, key: impl Fn(&T) -> K) -> Result<HashMap<K, T>, FileError> {
    let mut found = HashMap::with_capacity(objects.len());
    for (at, object) in objects.into_iter().enumerate() {
        let key = key(&object);
        if key.is_none() {
            return Err(FileError::Object {
                object: format!("{what} {} of the list", at + 1).into(),
                problem: "has no OID".into(),
            });
        }
        if found.insert(key, object).is_some() {
            return Err(FileError::Object {
                object: format!("{what} {}", key.shown()).into(),
                problem: "is there twice".into(),
            });
        }
    }
    Ok(found)
}

/// The parser's message ends with its place, which the error has already.
fn without_place(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
        "sluice_schema": 1, "server": 15, "database": "shop",
        "schemas": [{"oid": 20000, "name": "shop", "owner": 10, "is_usable": true}],
        "relations": [
            {"oid": 20001, "schema": 20000, "name": "people", "columns": [
                {"number": 1, "name": "id", "type_oid": 20003}, {"number": 3, "name": "name", "type_oid": 20003}]},
            {"oid": 20002, "schema": 20000, "name": "seen", "kind": "view", "query": "SELECT people.id FROM shop.people"}],
        "types": [{"oid": 20003, "schema": 20000, "name": "positive", "kind": {"domain": {"base": 20004, "checks": ["VALUE > 0"], "default": null}}},
            {"oid": 20004, "schema": 20000, "name": "number"}],
        "functions": [{"oid": 20005, "schema": 20000, "name": "f", "returns": 20003, "language": "sql", "body": "SELECT 1"}],
        "foreign_keys": [{"name": "k", "child": 20001, "child_columns": [1], "parent": 20001, "parent_columns": [3],
            "on_update": "nothing", "on_delete": "cascade"}]
    }"#;

    #[test]
    fn a_small_file_is_read_and_written_again() {
        let catalog = read(SMALL, &Bases::default()).expect("it is right");
        let schema = catalog.schema_named("shop").expect("the schema");
        let people = catalog.relation_in(schema, "people").expect("the table");
        assert_eq!(catalog.keys_to(people).count(), 1);
        let text = write(&catalog);
        let again = read(&text, &Bases::default()).expect("what was written is read");
        assert_eq!(write(&again), text);
    }

    #[test]
    fn mistakes_are_named() {
        for (what, from, to, want) in [
            (
                "syntax",
                "\"sluice_schema\": 1,",
                "\"sluice_schema\": 1",
                "line 2, column 28: expected `,` or `}`",
            ),
            (
                "version",
                "\"sluice_schema\": 1",
                "\"sluice_schema\": 2",
                "\"sluice_schema\" is 2",
            ),
            ("server", "15", "11", "\"server\" is 11"),
            (
                "field",
                "\"owner\": 10",
                "\"owner\": 10, \"color\": 1",
                "unknown field `color`",
            ),
            (
                "kind",
                "\"kind\": \"view\"",
                "\"kind\": \"vieww\"",
                "unknown variant `vieww`",
            ),
            (
                "twice",
                "\"oid\": 20002",
                "\"oid\": 20001",
                "relation 20001: is there twice",
            ),
            (
                "no OID",
                "\"oid\": 20005, ",
                "",
                "function 1 of the list: has no OID",
            ),
            (
                "no name",
                "\"name\": \"people\"",
                "\"name\": \"\"",
                "relation 20001: has no name",
            ),
            (
                "schema",
                "{\"oid\": 20002, \"schema\": 20000",
                "{\"oid\": 20002, \"schema\": 20009",
                "relation seen (20002): schema 20009 is not there",
            ),
            (
                "query",
                "\"kind\": \"view\", ",
                "",
                "relation seen (20002): has a query and is no view",
            ),
            (
                "type",
                "\"name\": \"id\", \"type_oid\": 20003",
                "\"name\": \"id\", \"type_oid\": 20033",
                "relation people (20001): type 20033 of column id is not there",
            ),
            (
                "column",
                "\"number\": 3",
                "\"number\": 1",
                "relation people (20001): columns are not in the order of their numbers",
            ),
            (
                "base",
                "\"base\": 20004",
                "\"base\": 20003",
                "type positive (20003): is based on itself",
            ),
            (
                "key",
                "\"parent_columns\": [3]",
                "\"parent_columns\": [2]",
                "foreign key k: relation 20001 has no column 2",
            ),
            (
                "pairs",
                "\"parent_columns\": [3]",
                "\"parent_columns\": [1, 3]",
                "foreign key k: has 1 column and points to 2",
            ),
            (
                "returns",
                "\"returns\": 20003",
                "\"returns\": 21000",
                "function f (20005): type 21000 of its result is not there",
            ),
        ] {
            assert!(SMALL.contains(from), "{what}");
            let error = read(&SMALL.replacen(from, to, 1), &Bases::default()).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(want), "{what}: {error}");
        }
    }
}
