//! Queries of the gateway's own on a session's connection, between two of the client's messages.
//!
//! The server has answered everything and waits; so does the client's next message, until the answer is complete.
//! Nothing of it reaches the client but what comes unasked: notices of its own, notifications, changed settings. A
//! server that does not answer in time ends the session.

use std::time::Duration;

use sluice_audit::record::EndReason;
use sluice_parsers::postgres::backend::{Fields, TransactionStatus};
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::postgres::model::BODY_PREFIX_BYTES;
use sluice_parsers::postgres::{Deframer, Piece, Role, Sent, SqlState, Take};
use sluice_parsers::sql::catalog::snapshot::{self, Place};
use sluice_runtime::net::Received;
use sluice_runtime::time::Instant;

use super::session::{End, Output, Session};
use super::state::{READ_AGAIN, Readings};
use super::statements::Ticket;

/// How long the server may take for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What a whole answer may hold, which can be one row.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The longest message of an answer.
const MESSAGE_LEN_MAX: u32 = ANSWER_BYTES_MAX as u32;

/// Failures in a row after which the session ends: each may be a cancel that was meant for the client's statement.
const FAILURES_MAX: u8 = 3;

/// The bodies of the `DataRow`s of an answer.
pub(crate) type Answered = Vec<Box<[u8]>>;

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session's settings, which became unknown.
    State,
    /// The catalog as the session sees it.
    Catalog(Place),
    /// To have the connection as it was before a reading of the catalog that failed.
    Undo(Place),
    /// The session's schema of temporary objects.
    TemporarySchema,
}

/// A query that is being answered.
#[derive(Debug)]
pub(crate) struct Hidden {
    purpose: Purpose,
    /// What was answered so far.
    rows: Answered,
    bytes: usize,
    /// It has more rows than are taken.
    is_too_large: bool,
    /// It has failed so.
    failed: Option<SqlState>,
    deadline: Instant,
}

impl Session {
    /// Asks the server; the client's next message waits. To be called between two messages while the model is idle and
    /// no transaction has failed.
    pub(super) fn ask(&mut self, purpose: Purpose, sql: &str, out: &mut Output) -> Result<(), End> {
        // An answer of this message is no answer of the client's.
        self.model
            .sent(Sent::Query, Ticket::Hidden)
            .map_err(End::out_of_turn)?;
        let mut query = Vec::new();
        encode::query(&mut query, sql.as_bytes());
        out.to_server.push(query.into());
        self.hidden = Some(Box::new(Hidden {
            purpose,
            rows: Vec::new(),
            bytes: 0,
            is_too_large: false,
            failed: None,
            deadline: sluice_runtime::time::now() + ANSWER_TIME_MAX,
        }));
        Ok(())
    }

    /// Asks for what has to be known before the client's next message.
    pub(super) fn ask_for_state(&mut self, out: &mut Output) -> Result<(), End> {
        self.ask(Purpose::State, READ_AGAIN, out)
    }

    /// Whether a query of the gateway's own is being answered.
    pub(crate) fn hidden_deadline(&self) -> Option<Instant> {
        self.hidden.as_ref().map(|hidden| hidden.deadline)
    }

    /// The end of a session whose server has not answered in time.
    pub(crate) fn hidden_is_late() -> End {
        End::new(
            EndReason::ServerProtocol,
            SqlState::CONNECTION_FAILURE,
            "the server did not answer in time what the session's state is",
        )
    }

    /// Takes bytes of the server up to the end of the answer; gives back what follows.
    pub(super) fn on_hidden(
        &mut self,
        deframer: &mut Deframer,
        mut chunk: Received,
        out: &mut Output,
    ) -> Result<Received, End> {
        while self.hidden.is_some() {
            let mut at = 0;
            let piece = deframer.next(&chunk, &mut at, |_| Take::Whole {
                limit: MESSAGE_LEN_MAX,
            });
            let frame = match piece.map_err(End::server)? {
                Piece::Frame { start, end } => {
                    chunk.advance(start);
                    chunk.split_to(end - start)
                }
                Piece::Gathered => {
                    chunk.advance(at);
                    Received::from(deframer.gathered().to_vec())
                }
                Piece::NeedMore => {
                    return Ok(Received::from(Vec::new()));
                }
                // Nothing is taken in parts.
                Piece::Head { .. } | Piece::Part { .. } => return Err(End::server("a message in parts")),
            };
            self.hidden_message(frame, out)?;
        }
        Ok(chunk)
    }

    fn hidden_message(&mut self, frame: Received, out: &mut Output) -> Result<(), End> {
        let tag = frame.first().copied().unwrap_or_default();
        let body = frame.get(HEADER_BYTES..).unwrap_or_default();
        let is_fatal = tag == b'E' && Fields::parse(body).is_ok_and(|fields| fields.is_fatal());
        if is_fatal || matches!(tag, b'N' | b'S' | b'A') {
            // Not of the answer: the client gets it as at any other time.
            return self.deliver(frame, out);
        }
        let prefix = body.get(..body.len().min(BODY_PREFIX_BYTES)).unwrap_or_default();
        let role = self.model.received(tag, prefix, drop).map_err(End::server)?.role;
        let Some(hidden) = &mut self.hidden else {
            return Ok(());
        };
        match role {
            Role::Row => {
                hidden.bytes = hidden.bytes.saturating_add(body.len());
                if hidden.bytes > ANSWER_BYTES_MAX {
                    hidden.is_too_large = true;
                    hidden.rows = Vec::new();
                } else {
                    hidden.rows.push(body.into());
                }
            }
            Role::Error => {
                let sqlstate = Fields::parse(body).ok().and_then(|fields| fields.sqlstate());
                hidden.failed = Some(sqlstate.unwrap_or(SqlState::INTERNAL_ERROR));
            }
            Role::RowDescription | Role::Complete => {}
            Role::ReadyForQuery(status) => return self.hidden_answered(status, out),
            _ => return Err(End::server("no answer to a query")),
        }
        Ok(())
    }

    fn hidden_answered(&mut self, status: TransactionStatus, out: &mut Output) -> Result<(), End> {
        let Some(hidden) = self.hidden.take() else {
            return Ok(());
        };
        if let Some(sqlstate) = hidden.failed {
            if let Purpose::Catalog(place) = hidden.purpose
                && status == TransactionStatus::Failed
            {
                // What it was about stays as uncertain as it was.
                return self.ask(Purpose::Undo(place), &snapshot::undo(place), out);
            }
            self.hidden_failures += 1;
            if status == TransactionStatus::Idle && self.hidden_failures < FAILURES_MAX {
                return Ok(());
            }
            let sqlstate = String::from_utf8_lossy(&sqlstate.0).into_owned();
            return Err(End::new(
                EndReason::ServerProtocol,
                SqlState::CONNECTION_FAILURE,
                format!("the session's state could not be read from the server ({sqlstate})"),
            ));
        }
        if hidden.is_too_large && !matches!(hidden.purpose, Purpose::Catalog(_)) {
            return Err(End::server("more rows than were to be expected"));
        }
        self.hidden_failures = 0;
        match hidden.purpose {
            Purpose::State => {
                let readings = Readings::of_rows(&hidden.rows)
                    .ok_or_else(|| End::server("the session's state cannot be read"))?;
                self.state.was_read(&readings);
                self.check_lexing()
            }
            Purpose::Catalog(_) => {
                self.catalog_rows = (!hidden.is_too_large).then_some(hidden.rows);
                Ok(())
            }
            Purpose::Undo(_) => Ok(()),
            Purpose::TemporarySchema => {
                self.temporary_schema_is(&hidden.rows);
                Ok(())
            }
        }
    }
}
