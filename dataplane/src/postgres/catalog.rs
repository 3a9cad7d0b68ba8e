//! Finds the configured columns in a database's catalog: the OIDs and numbers by which the server names them.

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use sluice_parsers::postgres::backend::row;
use sluice_parsers::postgres::frontend::encode;
use sluice_runtime::time::Instant;

use super::columns::Tags;
use super::upstream::{Upstream, UpstreamError, refused_or_unexpected};
use super::wire::Message;
use crate::core::Core;
use crate::settings::{Connection, MaskedColumn, Masking};

/// How old what is known of a catalog may be when a session begins.
const CATALOG_AGE_MAX: Duration = Duration::from_secs(30);

/// Databases whose columns a core remembers: clients name them where a connection offers any.
const CATALOGS_MAX: usize = 256;

/// The longest message of the answer.
const MESSAGE_LEN_MAX: u32 = 1 << 20;

/// What one core knows of the catalogs, by connection and database.
#[derive(Default)]
pub(crate) struct TagCache {
    known: HashMap<(String, String), (Instant, Rc<Tags>)>,
    /// Of every session without configured columns: plans are shared by sessions that share their tags.
    none: Rc<Tags>,
}

impl TagCache {
    /// A statement that may change tables passed: the next session asks again.
    pub(crate) fn forget(&mut self, connection: &str, database: &str) {
        self.known.remove(&(connection.to_owned(), database.to_owned()));
    }

    /// Keeps what was asked at that moment; what was asked the longest ago makes room.
    fn remember(&mut self, name: (String, String), asked: Instant, tags: Rc<Tags>) {
        if self.known.len() >= CATALOGS_MAX && !self.known.contains_key(&name) {
            let oldest = self.known.iter().min_by_key(|(_, (asked, _))| *asked);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(name, (asked, tags));
    }
}

/// The configured columns of a database, asked of the server on a session's own connection before its client sends.
///
/// The server gets `connect_timeout` for the answer, as the session cannot be ended before it.
pub(crate) async fn tags(
    core: &Core,
    connection: &Connection,
    database: &str,
    upstream: &mut Upstream,
) -> Result<Rc<Tags>, UpstreamError> {
    let columns: &[MaskedColumn] = match &connection.masking {
        Masking::On { columns, .. } => columns,
        Masking::Off => &[],
    };
    if columns.is_empty() {
        return Ok(Rc::clone(&core.tags.borrow().none));
    }
    let name = (connection.name.clone(), database.to_owned());
    let now = sluice_runtime::time::now();
    if let Some((asked, tags)) = core.tags.borrow().known.get(&name)
        && now.saturating_duration_since(*asked) < CATALOG_AGE_MAX
    {
        return Ok(Rc::clone(tags));
    }
    let deadline = now + connection.connect_timeout;
    let tags = sluice_runtime::time::timeout(deadline, ask(columns, upstream))
        .await
        .map_err(|_| UpstreamError::TimedOut)??;
    let tags = Rc::new(tags);
    core.tags.borrow_mut().remember(name, now, Rc::clone(&tags));
    Ok(tags)
}

async fn ask(columns: &[MaskedColumn], upstream: &mut Upstream) -> Result<Tags, UpstreamError> {
    let mut query = Vec::new();
    encode::query(&mut query, question(columns).as_bytes());
    upstream.stream.send(query)?;
    let mut tags = Tags::new();
    loop {
        let message = upstream
            .messages
            .next(&mut upstream.stream, MESSAGE_LEN_MAX)
            .await?;
        match message.tag() {
            b'D' => {
                let (index, oid, number) = answer(&message).ok_or(UpstreamError::Unexpected { tag: b'D' })?;
                if let Some(column) = columns.get(index) {
                    tags.insert((oid, number), column.class);
                }
            }
            b'T' | b'C' | b'N' | b'S' => {}
            b'Z' => return Ok(tags),
            _ => return Err(refused_or_unexpected(&message)),
        }
    }
}

/// The columns' tables with all that inherit from them or are partitions of them. Operators and functions are named
/// with their schema, as the client's `search_path` is in force already.
fn question(columns: &[MaskedColumn]) -> String {
    let mut wanted = String::new();
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let (schema, table, name) = (
            quoted(&column.schema),
            quoted(&column.table),
            quoted(&column.column),
        );
        // Writing to a string does not fail.
        let _ = write!(
            wanted,
            "{comma}({index}, {schema}::pg_catalog.name, {table}::pg_catalog.name, {name}::pg_catalog.name)"
        );
    }
    format!(
        "WITH RECURSIVE wanted (place, relation, attribute) AS (\
           SELECT w.place, c.oid, w.attribute FROM (VALUES {wanted}) AS w (place, schema, relation, attribute) \
           JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) w.schema \
           JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid \
             AND c.relname OPERATOR(pg_catalog.=) w.relation \
           UNION SELECT w.place, i.inhrelid, w.attribute FROM wanted w \
           JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) w.relation) \
         SELECT w.place, a.attrelid, a.attnum FROM wanted w \
         JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) w.relation \
           AND a.attname OPERATOR(pg_catalog.=) w.attribute \
         WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped"
    )
}

/// A string literal; `standard_conforming_strings` is on, or everything is allowed anyway.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn answer(message: &Message) -> Option<(usize, u32, i16)> {
    let mut fields = row::Fields::parse(message.body()).ok()?;
    let mut next = || match fields.next_field().ok()?? {
        row::Place::Value { start, end } => std::str::from_utf8(message.body().get(start..end)?).ok(),
        row::Place::Null => None,
    };
    Some((
        next()?.parse().ok()?,
        next()?.parse().ok()?,
        next()?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogs_that_were_asked_the_longest_ago_are_forgotten() {
        let mut cache = TagCache::default();
        let name = |number: usize| ("orders".to_owned(), format!("database{number}"));
        let start = Instant::now();
        let moment = |number: usize| start + Duration::from_secs(number as u64);
        for number in 0..CATALOGS_MAX + 10 {
            cache.remember(name(number), moment(number), Rc::default());
            // One database is asked about again and again, and so stays.
            cache.remember(name(0), moment(number), Rc::default());
            assert!(cache.known.len() <= CATALOGS_MAX, "{number}");
        }
        for (number, is_known) in [
            (0, true),
            (1, false),
            (10, false),
            (11, true),
            (CATALOGS_MAX + 9, true),
        ] {
            assert_eq!(cache.known.contains_key(&name(number)), is_known, "{number}");
        }
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let column = |name: &str| MaskedColumn {
            schema: "public".into(),
            table: "o'brien".into(),
            column: name.into(),
            class: None,
        };
        let question = question(&[column("a"), column("'); DROP TABLE x; --")]);
        assert!(
            question.contains("'o''brien'") && question.contains("'''); DROP TABLE x; --'"),
            "{question}"
        );
    }
}
