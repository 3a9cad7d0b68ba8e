//! Ids of what lies in a database: `connection/database/schema.table.column`, with one reading each.
//!
//! Identifiers are written as PostgreSQL writes them, so outside of double quotes there is neither a `/` nor anything
//! else that a database's name could be mistaken for: the last `/` that an even number of quotes follows ends the
//! database's name, which may hold anything. A connection's name holds no `/` ([`crate::Target`]).

use std::borrow::Cow;

use crate::errors::Unplaced;
use std::fmt::Write;

/// The longest identifier that PostgreSQL keeps.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// Columns that every table has; what reads them is not told apart.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// A kind of resource that lies in a database and is named in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Schema,
    Table,
    Column,
    Function,
    Role,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Schema,
        Self::Table,
        Self::Column,
        Self::Function,
        Self::Role,
    ];

    /// The entity type's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Schema => "Schema",
            Self::Table => "Table",
            Self::Column => "Column",
            Self::Function => "Function",
            Self::Role => "Role",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many identifiers an id has after its database.
    pub(crate) const fn parts(self) -> usize {
        match self {
            Self::Schema | Self::Role => 1,
            Self::Table | Self::Function => 2,
            Self::Column => 3,
        }
    }

    /// This kind, and those of what it holds.
    pub(crate) fn and_below(self) -> impl Iterator<Item = Self> {
        let below: &[Self] = match self {
            Self::Schema => &[Self::Schema, Self::Table, Self::Column, Self::Function],
            Self::Table => &[Self::Table, Self::Column],
            Self::Column => &[Self::Column],
            Self::Function => &[Self::Function],
            Self::Role => &[Self::Role],
        };
        below.iter().copied()
    }

    const fn form(self) -> &'static str {
        match self {
            Self::Schema => "connection/database/schema",
            Self::Table => "connection/database/schema.table",
            Self::Column => "connection/database/schema.table.column",
            Self::Function => "connection/database/schema.function",
            Self::Role => "connection/database/role",
        }
    }
}

/// An id that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    /// `connection/database`
    pub(crate) database: &'a str,
    /// As many as [`Kind::parts`].
    pub(crate) parts: Vec<Cow<'a, str>>,
}

/// The id of what these identifiers name in a database.
pub(crate) fn id(database: &str, parts: &[&str]) -> String {
    let mut id = String::with_capacity(database.len() + 16 * parts.len());
    id.push_str(database);
    for (index, part) in parts.iter().enumerate() {
        id.push(if index == 0 { '/' } else { '.' });
        write_identifier(&mut id, part);
    }
    id
}

fn write_identifier(into: &mut String, name: &str) {
    if is_plain(name) {
        into.push_str(name);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(into, "\"{}\"", name.replace('"', "\"\""));
    }
}

fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_$".contains(&byte))
}

/// Reads the id of a database.
pub(crate) fn read_database(id: &str) -> Result<&str, Unplaced> {
    match id.split_once('/') {
        Some((connection, database)) if !connection.is_empty() && !database.is_empty() => Ok(id),
        _ => Err(Unplaced {
            message: format!("{id:?} names no database of a connection"),
            help: "write Database::\"connection/database\"".to_owned(),
        }),
    }
}

/// Reads an id of that kind.
pub(crate) fn read(kind: Kind, id: &str) -> Result<Named<'_>, Unplaced> {
    let form = || Unplaced {
        message: format!("{id:?} is no id of a {}", kind.name()),
        help: format!("write {}::{:?}", kind.name(), kind.form()),
    };
    let (database, mut rest) = split(id).ok_or_else(form)?;
    if read_database(database).is_err() {
        return Err(form());
    }
    let mut parts = Vec::with_capacity(kind.parts());
    loop {
        let (part, after) = read_identifier(kind, rest)?;
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() && parts.len() == kind.parts() => break,
            None => return Err(form()),
        }
    }
    if let (Kind::Column, Some(column)) = (kind, parts.last())
        && SYSTEM_COLUMNS.contains(&&**column)
    {
        return Err(Unplaced {
            message: format!("{column} is a column of the server's own, which cannot be told apart"),
            help: "name the table, or a column of the table's definition".to_owned(),
        });
    }
    Ok(Named { database, parts })
}

/// The database's id and the identifiers: cut at the last `/` that an even number of quotes follows.
fn split(id: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let at = id.bytes().rposition(|byte| {
        is_quoted ^= byte == b'"';
        byte == b'/' && !is_quoted
    })?;
    Some((&id[..at], &id[at + 1..]))
}

fn read_identifier(kind: Kind, text: &str) -> Result<(Cow<'_, str>, &str), Unplaced> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (name, after) = text.split_at(end);
        return if is_plain(name) {
            check_length(name)?;
            Ok((Cow::Borrowed(name), after))
        } else {
            Err(not_plain(kind, name))
        };
    };
    let mut name = String::new();
    loop {
        let Some(end) = rest.find('"') else {
            return Err(Unplaced {
                message: format!("{text:?} has a quote that does not end"),
                help: "write the name in double quotes, a double quote in it twice".to_owned(),
            });
        };
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(more) = rest.strip_prefix('"') else { break };
        name.push('"');
        rest = more;
    }
    if name.is_empty() || name.contains('\0') {
        return Err(Unplaced {
            message: format!("{text:?} begins with a name that PostgreSQL does not take"),
            help: format!("write {}", kind.form()),
        });
    }
    if is_plain(&name) {
        return Err(Unplaced {
            message: format!("\"{name}\" needs no quotes"),
            help: format!("write {name}: each name has one way to be written"),
        });
    }
    check_length(&name)?;
    Ok((Cow::Owned(name), rest))
}

fn not_plain(kind: Kind, name: &str) -> Unplaced {
    let folded = name.to_ascii_lowercase();
    let mut quoted = String::new();
    write_identifier(&mut quoted, name);
    let help = if name.is_empty() {
        format!("write {}", kind.form())
    } else if is_plain(&folded) {
        format!("write {folded}, which SQL without quotes means, or \\\"{name}\\\" for the name in quotes")
    } else {
        format!("write it in quotes: {}", quoted.escape_default())
    };
    Unplaced {
        message: format!("{name:?} is not how PostgreSQL writes a name"),
        help,
    }
}

fn check_length(name: &str) -> Result<(), Unplaced> {
    if name.len() <= IDENTIFIER_BYTES_MAX {
        return Ok(());
    }
    Err(Unplaced {
        message: format!("{name:?} is longer than a name can be"),
        help: format!("PostgreSQL keeps the first {IDENTIFIER_BYTES_MAX} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_read_or_refused_with_the_way_out() {
        for (kind, id, want) in [
            (Kind::Schema, "orders/shop/public", Ok("public")),
            (
                Kind::Table,
                "orders/shop/public.customers",
                Ok("public customers"),
            ),
            (
                Kind::Column,
                "orders/shop/public.customers.email",
                Ok("public customers email"),
            ),
            (Kind::Function, "orders/shop/app.f$1", Ok("app f$1")),
            (Kind::Role, "orders/shop/app_owner", Ok("app_owner")),
            (Kind::Table, "orders/a/b/public.t", Ok("public t")),
            (Kind::Table, "orders/a/b/public.\"T/1.x\"", Ok("public T/1.x")),
            (Kind::Table, "orders/shop/\"a\"\"b\".t", Ok("a\"b t")),
            (Kind::Table, "orders/shop/public.\"zürich\"", Ok("public zürich")),
            (Kind::Table, "public.customers", Err("no id of a Table")),
            (Kind::Table, "shop/public.customers", Err("no id of a Table")),
            (Kind::Table, "orders/shop/customers", Err("no id of a Table")),
            (
                Kind::Table,
                "orders/shop/public.customers.email",
                Err("no id of a Table"),
            ),
            (
                Kind::Column,
                "orders/shop/public.customers",
                Err("no id of a Column"),
            ),
            (
                Kind::Table,
                "orders/shop/public.Customers",
                Err("not how PostgreSQL writes"),
            ),
            (
                Kind::Table,
                "orders/shop/public.1st",
                Err("not how PostgreSQL writes"),
            ),
            (
                Kind::Table,
                "orders/shop/public.",
                Err("not how PostgreSQL writes"),
            ),
            (
                Kind::Table,
                "orders/shop/public.\"customers\"",
                Err("needs no quotes"),
            ),
            (Kind::Table, "orders/shop/public.\"\"", Err("does not take")),
            (
                Kind::Table,
                "orders/shop/public.\"a\"b\"",
                Err("no id of a Table"),
            ),
            (Kind::Table, "orders/shop/public.\"A\"b", Err("no id of a Table")),
            (Kind::Column, "orders/shop/public.t.ctid", Err("the server's own")),
            (Kind::Table, "/shop/public.t", Err("no id of a Table")),
        ] {
            let got = read(kind, id).map(|named| named.parts.join(" "));
            match (want, got) {
                (Ok(want), Ok(got)) => assert_eq!(got, want, "{id}"),
                (Err(want), Err(mistake)) => {
                    assert!(mistake.message.contains(want), "{id}: {mistake:?}");
                    assert!(!mistake.help.is_empty(), "{id}");
                }
                (want, got) => panic!("{id}: {want:?} but {got:?}"),
            }
        }
        let long = format!("orders/shop/public.{}", "x".repeat(64));
        assert!(read(Kind::Table, &long).unwrap_err().message.contains("longer"));
    }

    /// Names of what ids are made of, in letters that mean something in them.
    fn name() -> impl Strategy<Value = String> {
        "[ab/.\"A1_ü]{1,6}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_id_has_one_reading(
            connection in "[ab.\"]{1,3}",
            database in name(),
            parts in prop::collection::vec(name(), 1..4),
            function in any::<bool>(),
        ) {
            let kind = match parts.len() {
                1 if function => Kind::Role,
                1 => Kind::Schema,
                2 if function => Kind::Function,
                2 => Kind::Table,
                _ => Kind::Column,
            };
            let database = format!("{connection}/{database}");
            let written: Vec<&str> = parts.iter().map(String::as_str).collect();
            let id = id(&database, &written);
            let named = read(kind, &id).unwrap();
            prop_assert_eq!(named.database, &database);
            prop_assert_eq!(named.parts, parts);
        }

        /// What can be read is written in that way only.
        #[test]
        fn a_reading_has_one_id(text in "[ab/.\"A]{1,14}") {
            for kind in Kind::ALL {
                if let Ok(named) = read(kind, &text) {
                    let parts: Vec<&str> = named.parts.iter().map(|part| &**part).collect();
                    prop_assert_eq!(id(named.database, &parts), text.as_str());
                }
            }
        }
    }
}
