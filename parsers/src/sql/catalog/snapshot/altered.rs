//! The server's own functions, where a superuser has altered or replaced one.
//!
//! What they do is known from the shipped tables, which hold for functions as they came. The body of one in SQL is not
//! among what the tables say: once anything was altered, each of those counts as altered.

use super::SnapshotError;
use super::fields::Row;
use crate::sql::catalog::{Behavior, Catalog, Function, Oid, base};

/// What the server says of one of its own functions.
pub(super) struct OwnFunction {
    oid: Oid,
    language: Oid,
    source: Box<str>,
    security_definer: bool,
    has_settings: bool,
}

impl OwnFunction {
    pub(super) fn of(row: &mut Row<'_>) -> Result<Self, SnapshotError> {
        Ok(Self {
            oid: row.oid()?,
            language: row.oid()?,
            source: row.name()?,
            security_definer: row.flag()?,
            has_settings: row.flag()?,
        })
    }

    fn is_as_it_came(&self, known: &Function, server_major: u8) -> bool {
        let language = match self.language {
            Oid(12) => "internal",
            Oid(13) => "c",
            _ => return false,
        };
        base::source(server_major, self.oid) == Some((language, &*self.source))
            && self.security_definer == known.security_definer
            && !self.has_settings
    }
}

/// Puts those that were altered over what is known of them, as opaque.
pub(super) fn mark(catalog: &mut Catalog, below: &Catalog, found: &[OwnFunction]) {
    for own in found {
        let Some(known) = below.function(own.oid) else {
            continue;
        };
        if own.is_as_it_came(known, below.server_major) {
            continue;
        }
        let altered = Function {
            known: Some(Behavior::Opaque),
            security_definer: own.security_definer,
            ..known.clone()
        };
        catalog.functions.insert(own.oid, altered);
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::catalog::snapshot::{Bases, Rows};
    use crate::sql::catalog::{Behavior, Catalog, Oid, base};

    fn catalog(rows: &[[&str; 6]]) -> Catalog {
        let mut all = Rows::new(1 << 20);
        let text = |field: &'static str| Some(field.as_bytes());
        all.push(["v", "150000", "shop"].map(text).into_iter())
            .expect("a row");
        for row in rows {
            all.push(row.iter().map(|field| Some(field.as_bytes())))
                .expect("few rows");
        }
        all.decode(&Bases::default()).expect("the rows decode")
    }

    #[test]
    fn t07_a_function_of_the_server_that_was_altered_is_opaque() {
        // lower(text), upper(text), and lpad(text, int) in SQL.
        let as_it_came = ["B", "870", "12", "lower", "f", "f"];
        for (name, lower, want) in [
            ("as it came", as_it_came, Behavior::Pure),
            (
                "in SQL",
                ["B", "870", "14", "SELECT 'x'", "f", "f"],
                Behavior::Opaque,
            ),
            (
                "another C function",
                ["B", "870", "12", "upper", "f", "f"],
                Behavior::Opaque,
            ),
            (
                "in a library",
                ["B", "870", "13", "lower", "f", "f"],
                Behavior::Opaque,
            ),
            (
                "as its owner",
                ["B", "870", "12", "lower", "t", "f"],
                Behavior::Opaque,
            ),
            (
                "under a setting",
                ["B", "870", "12", "lower", "f", "t"],
                Behavior::Opaque,
            ),
        ] {
            let rows = [
                lower,
                ["B", "871", "12", "upper", "f", "f"],
                ["B", "879", "14", "SELECT 1", "f", "f"],
            ];
            let catalog = catalog(&rows);
            let known = |oid| catalog.function(Oid(oid)).and_then(|function| function.known);
            assert_eq!(known(870), Some(want), "{name}");
            assert_eq!(known(871), Some(Behavior::Pure), "{name}");
            assert_eq!(known(879), Some(Behavior::Opaque), "{name}");
            // By its name it is found once.
            let named = |catalog: &Catalog| catalog.functions_in(Oid::PG_CATALOG, "lower");
            assert_eq!(named(&catalog), named(&base::of(15)), "{name}");
            let altered = catalog.altered_functions().count();
            assert_eq!(altered, if want == Behavior::Opaque { 2 } else { 1 }, "{name}");
        }
        assert_eq!(catalog(&[]).altered_functions().count(), 0);
    }
}
