//! The built-in objects of PostgreSQL 12 to 18.
//!
//! `parsers/data/` has them as text, written by `scripts/builtins.py` from servers of each version; a test compares it
//! with such servers again. What each function does, and which relations tell secrets, was decided by hand, one
//! signature at a time: a type's code, text that is run, files, locks and other sessions are what was looked for.
//!
//! Objects with OIDs below 10000 have them on every server. `initdb` numbers the others (the standard's schema, the
//! system's views, their row and array types, PL/pgSQL's functions), differently in each build: here they have
//! numbers of our own between 10000 and 16383. Who reads a server's catalog has to map those by name, and functions by
//! name and argument types.

mod extension;
mod load;
mod table;

use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;

pub use self::extension::{ExtensionList, extension};
use super::{Behavior, Catalog, Oid};

/// The major versions that there are tables of.
pub const MAJORS: std::ops::RangeInclusive<u8> = 12..=18;

const VERSIONS: usize = (*MAJORS.end() - *MAJORS.start() + 1) as usize;

/// OIDs below are the same on every server of a major version.
pub const FIRST_UNSTABLE: u32 = 10_000;

/// Gives one row of one column: [`checksum`] on a server whose own functions nobody replaced or altered. A reading of a
/// catalog asks for it each time.
pub const CHECKSUM_QUERY: &str = include_str!("../../../data/checksum.sql");

/// The built-in objects of a major version; of the nearest one that is known, if it is not.
pub fn of(major: u8) -> Arc<Catalog> {
    static CATALOGS: [OnceLock<Arc<Catalog>>; VERSIONS] = [const { OnceLock::new() }; VERSIONS];
    let (index, major) = version(major);
    Arc::clone(CATALOGS[index].get_or_init(|| Arc::new(load::catalog(major))))
}

/// What [`CHECKSUM_QUERY`] gives on a server of that version.
pub fn checksum(major: u8) -> &'static str {
    let (_, major) = version(major);
    let mut rows = table::rows(include_str!("../../../data/checksums.tsv"), major);
    rows.next().map_or("", |mut row| row.text())
}

/// What a function of `LANGUAGE internal` does, by the name of the C function in its body: a user's range type, for
/// one, comes with constructors that are such.
pub fn internal(major: u8, symbol: &str) -> Option<Behavior> {
    type Symbols = HashMap<&'static str, Behavior>;
    static SYMBOLS: [OnceLock<Symbols>; VERSIONS] = [const { OnceLock::new() }; VERSIONS];
    let (index, major) = version(major);
    let symbols = SYMBOLS[index].get_or_init(|| load::symbols(major));
    symbols.get(symbol).copied()
}

/// What a built-in function is written in, and the C function that it names; none of one in SQL. None of objects that
/// `initdb` numbers.
pub(super) fn source(major: u8, oid: Oid) -> Option<(&'static str, &'static str)> {
    type Sources = HashMap<Oid, (&'static str, &'static str)>;
    static SOURCES: [OnceLock<Sources>; VERSIONS] = [const { OnceLock::new() }; VERSIONS];
    let (index, major) = version(major);
    SOURCES[index]
        .get_or_init(|| load::sources(major))
        .get(&oid)
        .copied()
}

fn version(major: u8) -> (usize, u8) {
    let major = major.clamp(*MAJORS.start(), *MAJORS.end());
    (usize::from(major - MAJORS.start()), major)
}

#[cfg(test)]
mod tests;
