//! One reading of a catalog over a connection that waits for a message.
//!
//! A session that reads on its own connection does so by a hidden query, whose rows come to the same [`push`].

use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::row;
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::sql::catalog::snapshot::{self, Place, Rows, SnapshotError};

use crate::postgres::upstream::{Upstream, UpstreamError, refused_or_unexpected};
use crate::postgres::wire::Message;

/// Why nothing is known of a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CatalogError {
    #[error("the catalog was not read: {0}")]
    Upstream(#[from] Box<UpstreamError>),
    #[error("the catalog was not read: {0}")]
    Snapshot(#[from] SnapshotError),
    /// It took longer than the connection's `connect_timeout`.
    #[error("the catalog was not read: the server did not answer within connect_timeout")]
    TimedOut,
}

impl From<UpstreamError> for CatalogError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(Box::new(error))
    }
}

impl From<ProtocolError> for CatalogError {
    fn from(error: ProtocolError) -> Self {
        UpstreamError::from(error).into()
    }
}

impl CatalogError {
    /// Whether the server refused the statement, and waits for another.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Upstream(error) if matches!(**error, UpstreamError::Refused { .. }))
    }
}

/// The answer to one Query of a reading, message by message.
#[derive(Debug)]
struct Answer {
    rows: Rows,
    /// DDL was told of meanwhile.
    was_notified: bool,
    result: Result<(), CatalogError>,
}

impl Answer {
    fn new() -> Self {
        Self {
            rows: Rows::new(snapshot::BYTES_MAX),
            was_notified: false,
            result: Ok(()),
        }
    }

    /// Takes a message of the server; true with the one that ends the answer.
    fn take(&mut self, tag: u8, body: &[u8]) -> Result<bool, CatalogError> {
        match tag {
            b'D' if self.result.is_ok() => self.result = push(&mut self.rows, body),
            b'A' => self.was_notified = true,
            b'E' if self.result.is_ok() => self.result = Err(refused_or_unexpected(tag, body).into()),
            // What follows an error says no more.
            b'D' | b'E' | b'T' | b'C' | b'N' | b'S' => {}
            b'Z' => return std::mem::replace(&mut self.result, Ok(())).map(|()| true),
            _ => return Err(refused_or_unexpected(tag, body).into()),
        }
        Ok(false)
    }
}

/// Adds the fields of a DataRow.
pub(crate) fn push(rows: &mut Rows, body: &[u8]) -> Result<(), CatalogError> {
    let mut fields = row::Fields::parse(body)?;
    let mut values = Vec::new();
    while let Some(place) = fields.next_field()? {
        values.push(match place {
            row::Place::Value { start, end } => body.get(start..end),
            row::Place::Null => None,
        });
    }
    Ok(rows.push(values.into_iter())?)
}

/// What a reading gave.
pub(super) struct Read {
    pub(super) rows: Rows,
    /// DDL was told of meanwhile.
    pub(super) was_notified: bool,
}

/// Refusals in a row after which there is no reading: what goes while it is printed is refused once.
const REFUSALS_MAX: usize = 3;

/// Reads the rows of a database's catalog.
///
/// This leaves the connection as it was, also when the server refused; after another error it is good for nothing.
pub(super) async fn read(upstream: &mut Upstream, place: Place) -> Result<Read, CatalogError> {
    let major = snapshot::major_of(&upstream.server_version)?;
    let queries = snapshot::queries(major, place);
    let mut refusals = 0;
    loop {
        match run(upstream, &queries).await {
            Ok(Answer {
                rows, was_notified, ..
            }) => return Ok(Read { rows, was_notified }),
            Err(error) if error.is_refusal() => {
                run(upstream, &snapshot::undo(place)).await?;
                refusals += 1;
                if refusals == REFUSALS_MAX {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sends a Query and takes its answer to the end.
async fn run(upstream: &mut Upstream, sql: &str) -> Result<Answer, CatalogError> {
    let mut query = Vec::new();
    encode::query(&mut query, sql.as_bytes());
    upstream.stream.send(query).map_err(UpstreamError::from)?;
    let mut answer = Answer::new();
    loop {
        let message = next(upstream).await?;
        if answer.take(message.tag(), message.body())? {
            return Ok(answer);
        }
    }
}

async fn next(upstream: &mut Upstream) -> Result<Message, UpstreamError> {
    let Upstream { messages, stream, .. } = upstream;
    Ok(messages.next(stream, snapshot::ROW_LEN_MAX).await?)
}

/// Asks to be told of DDL. A server that does not let us listen (a standby) is read as often as any other.
pub(super) async fn listen(upstream: &mut Upstream) -> Result<(), CatalogError> {
    match run(upstream, "LISTEN sluice_ddl").await {
        Err(error) if !error.is_refusal() => Err(error),
        _ => Ok(()),
    }
}

/// Waits for a notification; an error is the end of the connection.
pub(super) async fn notified(upstream: &mut Upstream) -> Result<(), CatalogError> {
    loop {
        let message = next(upstream).await?;
        match message.tag() {
            b'A' => return Ok(()),
            b'N' | b'S' => {}
            tag => return Err(refused_or_unexpected(tag, message.body()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(sqlstate: &str) -> Vec<u8> {
        format!("SERROR\0C{sqlstate}\0Mno\0\0").into_bytes()
    }

    #[test]
    fn an_answer_is_taken_to_its_end() {
        let row = b"\0\x02\0\0\0\x01r\xff\xff\xff\xff";
        let mut answer = Answer::new();
        for tag in [b'C', b'T', b'N', b'S'] {
            assert!(!answer.take(tag, &[]).expect("it belongs to an answer"));
        }
        assert!(!answer.take(b'D', row).expect("a row"));
        assert!(!answer.take(b'A', &[]).expect("a notification"));
        assert!(answer.take(b'Z', b"I").expect("the end"));
        assert!(answer.was_notified && answer.rows.bytes() > 0);

        // The first error counts, and the rest of the answer is still taken.
        let mut answer = Answer::new();
        for (tag, body) in [
            (b'E', error_of("42501")),
            (b'D', row.to_vec()),
            (b'E', error_of("25P02")),
        ] {
            assert!(!answer.take(tag, &body).expect("more follows"));
        }
        let error = answer.take(b'Z', b"E").expect_err("it failed");
        assert!(error.is_refusal() && error.to_string().contains("no"), "{error}");
        assert_eq!(answer.rows.bytes(), 0);

        for (tag, body) in [(b'G', &[][..]), (b'D', b"\0\x02\0")] {
            let mut answer = Answer::new();
            let failed = answer.take(tag, body).and_then(|_| answer.take(b'Z', b"I"));
            assert!(failed.is_err_and(|error| !error.is_refusal()), "{tag}");
        }
    }
}
