//! How a session's state is read from the server.

use std::borrow::Cow;

use sluice_parsers::postgres::backend::row::{Fields, Place};
use sluice_parsers::sql::catalog::Oid;

use super::settings::Tracked;
use super::transaction::Value;

/// Asks for everything, before the client's first message: no transaction is open then.
pub(crate) const READ_AT_START: &str = "SELECT pg_catalog.current_setting('search_path'), \
     pg_catalog.current_setting('role'), \
     pg_catalog.current_setting('session_authorization'), \
     pg_catalog.current_setting('standard_conforming_strings'), \
     pg_catalog.current_setting('backslash_quote'), \
     pg_catalog.current_setting('client_encoding'), \
     pg_catalog.current_setting('session_replication_role'), \
     pg_catalog.pg_my_temp_schema()";

/// Asks for the settings again. SHOW takes no snapshot, so it does not begin what SET TRANSACTION has to precede.
pub(crate) const READ_AGAIN: &str = "SHOW search_path; SHOW role; SHOW session_authorization; \
     SHOW standard_conforming_strings; SHOW backslash_quote; SHOW client_encoding; SHOW session_replication_role";

/// The values of the settings, in the order of [`Tracked::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readings {
    pub(crate) values: [Value; Tracked::COUNT],
}

impl Readings {
    /// The rows that answer [`READ_AGAIN`], each the body of a DataRow; none if they are something else.
    pub(crate) fn of_rows(rows: &[Box<[u8]>]) -> Option<Self> {
        let mut readings = Self::default();
        if rows.len() != Tracked::COUNT {
            return None;
        }
        for ((setting, value), row) in Tracked::ALL.into_iter().zip(&mut readings.values).zip(rows) {
            let mut fields = Fields::parse(row).ok()?;
            *value = Some(setting.parse(&text(row, &mut fields)?)?);
        }
        Some(readings)
    }
}

/// What a session begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    pub(super) values: [Value; Tracked::COUNT],
    /// The role that logged in.
    pub(super) login: Box<str>,
    /// Zero if it has none yet.
    pub(super) temporary_schema: Oid,
    /// The client asked for a search path when it connected.
    pub(crate) path_is_the_clients: bool,
}

impl Start {
    /// The row that answers [`READ_AT_START`]; none if it is something else.
    pub(crate) fn of_row(row: &[u8], login: &str) -> Option<Self> {
        let mut fields = Fields::parse(row).ok()?;
        let mut start = Self {
            login: login.into(),
            ..Self::default()
        };
        for (setting, value) in Tracked::ALL.into_iter().zip(&mut start.values) {
            *value = Some(setting.parse(&text(row, &mut fields)?)?);
        }
        start.temporary_schema = Oid(text(row, &mut fields)?.parse().ok()?);
        Some(start)
    }
}

/// Where another encoding is in force, names are not read, but stay apart.
fn text<'a>(row: &'a [u8], fields: &mut Fields<'_>) -> Option<Cow<'a, str>> {
    match fields.next_field().ok()?? {
        Place::Value { start, end } => Some(String::from_utf8_lossy(row.get(start..end)?)),
        Place::Null => None,
    }
}
