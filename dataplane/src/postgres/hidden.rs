//! Queries of the gateway's own on a session's connection, between two of the client's messages.
//!
//! The server has answered everything and waits; so does the client's next message, until the answer is complete.
//! Nothing of it reaches the client but what comes unasked: notices of its own, notifications, changed settings. A
//! server that does not answer in time ends the session.
//!
//! In a transaction of the client's a query stands behind a savepoint: if it fails, for a cancel that was meant for the
//! client's statement or a lock that somebody has, the transaction goes back to that and goes on.

use std::borrow::Cow;
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

/// The longest message of an answer that tells the session's state.
const MESSAGE_LEN_MAX: u32 = 1 << 20;

/// What a whole answer may hold: as much as a catalog.
const ANSWER_BYTES_MAX: usize = snapshot::BYTES_MAX;

/// Takes a savepoint before a query that brings none of its own.
const SAVEPOINT: &str = "SAVEPOINT sluice_hidden";

/// Leaves it, whether its query succeeded or not.
const RELEASE: &str = "RELEASE SAVEPOINT sluice_hidden";

/// Takes the transaction back to it.
const ROLL_BACK: &str = "ROLLBACK TO SAVEPOINT sluice_hidden";

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
    /// The session's schema of temporary objects.
    TemporarySchema,
}

impl Purpose {
    fn message_len_max(self) -> u32 {
        match self {
            Self::State | Self::TemporarySchema => MESSAGE_LEN_MAX,
            Self::Catalog(_) => snapshot::ROW_LEN_MAX,
        }
    }

    /// The query as it is sent: in a transaction behind a savepoint.
    fn guarded(self, sql: &str, status: TransactionStatus) -> Cow<'_, str> {
        match self {
            Self::State | Self::TemporarySchema if status == TransactionStatus::InTransaction => {
                format!("{SAVEPOINT};{sql};{RELEASE}").into()
            }
            _ => sql.into(),
        }
    }

    /// The query that takes the connection back to where it was.
    fn undo(self) -> String {
        match self {
            Self::State | Self::TemporarySchema => format!("{ROLL_BACK};{RELEASE}"),
            Self::Catalog(place) => snapshot::undo(place),
        }
    }
}

/// How far a query has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is answered.
    Sent,
    /// Its first statement has succeeded: the savepoint, in a transaction.
    Begun,
    /// It has failed, and the transaction is taken back.
    Undone,
}

/// A query that is being answered.
#[derive(Debug)]
pub(crate) struct Hidden {
    purpose: Purpose,
    /// What was answered so far.
    rows: Answered,
    bytes: usize,
    stage: Stage,
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
        let sql = purpose.guarded(sql, self.model.transaction());
        encode::query(&mut query, sql.as_bytes());
        out.to_server.push(query.into());
        self.hidden = Some(Box::new(Hidden {
            purpose,
            rows: Vec::new(),
            bytes: 0,
            stage: Stage::Sent,
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
        while let Some(hidden) = &self.hidden {
            let limit = hidden.purpose.message_len_max();
            let mut at = 0;
            let piece = deframer.next(&chunk, &mut at, |_| Take::Whole { limit });
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
                if hidden.bytes <= ANSWER_BYTES_MAX {
                    hidden.rows.push(body.into());
                } else if matches!(hidden.purpose, Purpose::Catalog(_)) {
                    // What cannot be kept is not known.
                    hidden.rows = Vec::new();
                    hidden.failed = Some(SqlState::PROGRAM_LIMIT_EXCEEDED);
                } else {
                    return Err(End::server("more rows than were to be expected"));
                }
            }
            Role::Error => {
                let sqlstate = Fields::parse(body).ok().and_then(|fields| fields.sqlstate());
                hidden.failed = Some(sqlstate.unwrap_or(SqlState::INTERNAL_ERROR));
            }
            Role::RowDescription => {}
            Role::Complete => {
                if hidden.stage == Stage::Sent {
                    hidden.stage = Stage::Begun;
                }
            }
            Role::ReadyForQuery(status) => return self.hidden_answered(status, out),
            _ => return Err(End::server("no answer to a query")),
        }
        Ok(())
    }

    /// Takes the client's transaction back to the savepoint before a query that failed.
    fn undo_hidden(&mut self, failed: &Hidden, out: &mut Output) -> Result<(), End> {
        self.model
            .sent(Sent::Query, Ticket::Hidden)
            .map_err(End::out_of_turn)?;
        let mut query = Vec::new();
        encode::query(&mut query, failed.purpose.undo().as_bytes());
        out.to_server.push(query.into());
        self.hidden = Some(Box::new(Hidden {
            purpose: failed.purpose,
            rows: Vec::new(),
            bytes: 0,
            stage: Stage::Undone,
            failed: failed.failed,
            deadline: sluice_runtime::time::now() + ANSWER_TIME_MAX,
        }));
        Ok(())
    }

    fn hidden_answered(&mut self, status: TransactionStatus, out: &mut Output) -> Result<(), End> {
        let Some(hidden) = self.hidden.take() else {
            return Ok(());
        };
        if status == TransactionStatus::Failed && hidden.stage == Stage::Begun {
            return self.undo_hidden(&hidden, out);
        }
        if let Some(sqlstate) = hidden.failed {
            // Where the client's transaction has failed by no fault of its own, it can never know what is so.
            let goes_on = status != TransactionStatus::Failed;
            if goes_on && hidden.purpose != Purpose::State {
                // What it was about stays uncertain, and is judged as that.
                tracing::debug!(
                    session = self.id,
                    purpose = ?hidden.purpose,
                    sqlstate = %String::from_utf8_lossy(&sqlstate.0),
                    "the catalog was not read here"
                );
                return Ok(());
            }
            self.hidden_failures += 1;
            if goes_on && self.hidden_failures < FAILURES_MAX {
                return Ok(());
            }
            let sqlstate = String::from_utf8_lossy(&sqlstate.0).into_owned();
            return Err(End::new(
                EndReason::ServerProtocol,
                SqlState::CONNECTION_FAILURE,
                format!("the session's state could not be read from the server ({sqlstate})"),
            ));
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
                self.catalog_rows = Some(hidden.rows);
                Ok(())
            }
            Purpose::TemporarySchema => {
                self.temporary_schema_is(&hidden.rows);
                Ok(())
            }
        }
    }
}
