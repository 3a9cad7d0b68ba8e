//! What the functions of well-known extensions do.

use std::sync::OnceLock;

use hashbrown::HashMap;

use super::load::behavior;
use crate::sql::catalog::{Behavior, Catalog, Function, Language};

/// The known functions of an extension.
#[derive(Debug)]
pub struct ExtensionList {
    /// By name and argument types, written as in the tables: `st_area(geometry)`.
    functions: HashMap<&'static str, Behavior>,
}

impl ExtensionList {
    /// What a member of the extension does. None if it is not known, or if its body tells: whoever owns a function can
    /// replace it with one in SQL, but only a superuser with another in C.
    pub fn known(&self, function: &Function, catalog: &Catalog) -> Option<Behavior> {
        if !matches!(function.language, Language::C | Language::Internal) {
            return None;
        }
        let types = function
            .arguments
            .iter()
            .map(|&oid| Some(&*catalog.type_of(oid)?.name));
        self.behavior(&function.name, &types.collect::<Option<Vec<_>>>()?)
    }

    /// What a function in C does, by its name and the names (`typname`, without schemas) of its input arguments' types.
    pub fn behavior<S: AsRef<str>>(&self, name: &str, argument_types: &[S]) -> Option<Behavior> {
        let types: Vec<&str> = argument_types.iter().map(AsRef::as_ref).collect();
        self.functions
            .get(&*format!("{name}({})", types.join(",")))
            .copied()
    }

    /// How many functions are known.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

/// The list of an extension, if one is shipped. It counts only for functions that are members of the extension.
pub fn extension(name: &str) -> Option<&'static ExtensionList> {
    static LISTS: [OnceLock<ExtensionList>; TABLES.len()] = [const { OnceLock::new() }; TABLES.len()];
    let index = TABLES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(LISTS[index].get_or_init(|| list(TABLES[index].1)))
}

fn list(table: &'static str) -> ExtensionList {
    let rows = table.lines().skip(1).filter_map(|line| line.split_once('\t'));
    let known = rows.filter(|(_, word)| *word != "body");
    ExtensionList {
        functions: known
            .map(|(signature, word)| (signature, behavior(word)))
            .collect(),
    }
}

/// All rows of all lists.
#[cfg(test)]
pub(super) fn lines() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|(_, table)| table.lines().skip(1))
}

/// Sorted. The names are those in `pg_extension`.
const TABLES: [(&str, &str); 8] = [
    ("citext", include_str!("../../../../data/extensions/citext.tsv")),
    ("hstore", include_str!("../../../../data/extensions/hstore.tsv")),
    ("pg_trgm", include_str!("../../../../data/extensions/pg_trgm.tsv")),
    ("pgaudit", include_str!("../../../../data/extensions/pgaudit.tsv")),
    (
        "pgcrypto",
        include_str!("../../../../data/extensions/pgcrypto.tsv"),
    ),
    ("postgis", include_str!("../../../../data/extensions/postgis.tsv")),
    (
        "uuid-ossp",
        include_str!("../../../../data/extensions/uuid-ossp.tsv"),
    ),
    ("vector", include_str!("../../../../data/extensions/vector.tsv")),
];
