//! Which message of the client a message of the server answers.
//!
//! A queue of what was sent and is still to be answered, with the state of the front one, kept as the server's main
//! loop (`tcop/postgres.c`) and its COPY (`commands/copyfromparse.c`) would. Syncs are never counted: each message of
//! the server has to fit what the front expects, or the session ends. What the model knows of the server:
//!
//! * After an error in a message of the extended protocol everything is discarded up to the next Sync, Query and
//!   `FunctionCall` too; an error in Query, `FunctionCall` or Sync itself is followed by `ReadyForQuery`.
//! * In COPY IN the server reads `CopyData`, `CopyDone` and `CopyFail`, and ignores Sync and Flush, up to the `CopyDone` or
//!   `CopyFail`. Anything else there ends the session.
//! * Outside of COPY IN those three are ignored: a COPY may fail while its client still streams.
//! * A Sync that lay before a `CopyDone` when the COPY failed was either ignored by it or is answered after it. Both are
//!   accepted, as an optional `ReadyForQuery`, until the next answer of another kind shows which it was.
//! * Flush and stale COPY messages are not answered, but `statement_timeout` can strike while they are read. Where that
//!   could be mistaken for the failure of the message behind them, with another course of events, the session ends.
//! * A FATAL error may come at any time and is the last message.
//!
//! The caller's tag comes back with every reply of the message it was given for, so messages of the caller's own can
//! stand between the client's and their replies be told apart.
//!
//! ```
//! use sluice_parsers::postgres::model::{Model, Owner, Role, Sent};
//!
//! let mut model = Model::new();
//! model.sent(Sent::Parse, "parse")?;
//! model.sent(Sent::Execute, "execute")?;
//! model.sent(Sent::Sync, "sync")?;
//! let mut dropped = Vec::new();
//! let reply = model.received(b'E', b"SERROR\0VERROR\0C42601\0\0", |tag| dropped.push(tag))?;
//! assert_eq!((reply.role, reply.owner), (Role::Error, Owner::Done("parse")));
//! assert_eq!(dropped, ["execute"]);
//! let reply = model.received(b'Z', b"I", |_| ())?;
//! assert_eq!(reply.owner, Owner::Done("sync"));
//! assert!(model.is_idle());
//! # Ok::<(), sluice_parsers::postgres::ModelError>(())
//! ```

mod reply;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use reply::{Owner, Reply, Role};

use super::backend::{TransactionStatus, is_fatal, ready_for_query, sqlstate_of};
use super::error::SqlState;

/// The most messages that may await their answers; what a client sends beyond waits.
///
/// The shortest answer has five bytes and the server sends what it has at the latest when its buffer of 8 KiB is full,
/// or at an error, so a full queue always moves.
pub const PIPELINE_MAX: usize = 4096;

const SERVER_BUFFER_BYTES: usize = 8192;
const _: () = assert!(PIPELINE_MAX * 5 >= 2 * SERVER_BUFFER_BYTES);

/// Bytes of a body that [`Model::received`] needs at most: the severity and the SQLSTATE of an error stand first.
pub const BODY_PREFIX_BYTES: usize = 64;

/// A message sent to the server. Its body must be well formed: an empty one where the protocol has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A simple query of any number of statements.
    Query,
    /// Parse.
    Parse,
    /// Bind.
    Bind,
    /// Describe of a statement.
    DescribeStatement,
    /// Describe of a portal.
    DescribePortal,
    /// Execute.
    Execute,
    /// Close of either kind.
    Close,
    /// Flush.
    Flush,
    /// Sync.
    Sync,
    /// A function called by its OID.
    FunctionCall,
    /// `CopyData`.
    CopyData,
    /// `CopyDone`.
    CopyDone,
    /// `CopyFail`.
    CopyFail,
}

impl Sent {
    /// Whether an error in it makes the server discard what follows up to a Sync.
    #[inline]
    fn is_extended(self) -> bool {
        matches!(
            self,
            Self::Parse
                | Self::Bind
                | Self::DescribeStatement
                | Self::DescribePortal
                | Self::Execute
                | Self::Close
        )
    }
}

/// What has become of a message given to [`Model::sent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed<T> {
    /// Its replies come under its tag.
    Queued,
    /// The server discards it, as an earlier message failed and no Sync came since.
    Skipped(T),
    /// The server does not answer it.
    Silent(T),
}

/// The server or the caller does what the server's states do not allow. The session has to end.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// A message of the server fits nothing that was sent.
    #[error("the server's message {:?} does not fit what was sent ({front:?})", char::from(*tag))]
    Unexpected {
        /// The message's type byte.
        tag: u8,
        /// What is to be answered next.
        front: Option<Sent>,
    },
    /// The server begins replication.
    #[error("the server begins replication, which is not supported")]
    Replication,
    /// An error could be of one message or of another, and what follows depends on which.
    #[error("an error of the server ({sqlstate:?}) may be of more than one message")]
    Ambiguous {
        /// The error's code.
        sqlstate: Option<SqlState>,
    },
    /// More messages await answers than may: see [`Model::room`].
    #[error("more than {PIPELINE_MAX} messages await their answers")]
    Full,
    /// A message that the server does not take inside of COPY IN.
    #[error("{sent:?} inside of COPY IN")]
    InCopyIn {
        /// The message.
        sent: Sent,
    },
    /// A message behind a failed COPY without a Sync, of which nobody can say whether the server discards it.
    #[error("{sent:?} behind a failed COPY IN and before Sync")]
    Uncertain {
        /// The message.
        sent: Sent,
    },
    /// The session has ended with a FATAL error.
    #[error("the session has ended")]
    Ended,
}

/// Unanswered messages before a queued one, while a statement's time-out may be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quiet {
    Nothing,
    Flushes,
    CopyMessages,
}

#[derive(Debug)]
struct Item<T> {
    /// `CopyDone` and `CopyFail` are queued to mark their place; the others are answered.
    kind: Sent,
    before: Quiet,
    tag: T,
}

impl<T> Item<T> {
    #[inline]
    fn is_copy_end(&self) -> bool {
        matches!(self.kind, Sent::CopyDone | Sent::CopyFail)
    }
}

/// How far the front item's answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    /// Nothing of it has come, or there is no front item.
    Fresh,
    /// Query: at least one statement is complete.
    Between,
    /// Query, Execute: rows come.
    Rows,
    /// Query, Execute: the server reads COPY data.
    CopyIn,
    /// As before, but what was sent already breaks it: an error is to come, and the end.
    CopyInBroken,
    /// Query, Execute: COPY data comes.
    CopyOut,
    /// Query, Execute: `CopyDone` has come.
    CopyOutDone,
    /// Describe of a statement: the parameters have come.
    Described,
    /// Only `ReadyForQuery` is to come.
    AwaitReady,
}

/// What the server does with messages behind the last of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It reads them; the last message queued ended a cycle (Query, `FunctionCall`, Sync).
    Settled,
    /// It reads them, inside of a run of the extended protocol without a Sync yet.
    Run,
    /// It discards them up to a Sync.
    Skip,
    /// Either of the two before.
    PerhapsSkip,
    /// It must end the session with a FATAL error now.
    Ending,
    /// It has ended the session.
    Ended,
}

/// The server's states towards one session.
///
/// Invariant: the front of the queue is a message that is answered.
#[derive(Debug)]
pub struct Model<T> {
    queue: VecDeque<Item<T>>,
    front: Front,
    /// Statements of the front Query that are complete.
    statement: u32,
    course: Course,
    /// Unanswered messages behind the last of the queue.
    quiet: Quiet,
    /// How many `CopyDone` and `CopyFail` are in the queue.
    copy_ends: u32,
    /// `ReadyForQuery` messages that may still come for Syncs which a failed COPY IN may have ignored.
    optional_ready: u32,
    transaction: TransactionStatus,
}

impl<T> Default for Model<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Model<T> {
    /// A session that has just received its first `ReadyForQuery`.
    pub fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            front: Front::Fresh,
            statement: 0,
            course: Course::Settled,
            quiet: Quiet::Nothing,
            copy_ends: 0,
            optional_ready: 0,
            transaction: TransactionStatus::Idle,
        }
    }

    /// How many more messages may be sent now. At zero the caller stops reading from its client.
    #[inline]
    pub fn room(&self) -> usize {
        PIPELINE_MAX - self.queue.len()
    }

    /// How many messages await their answers.
    #[inline]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Whether the server has answered everything and waits, with no run of the extended protocol open.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.course == Course::Settled && self.optional_ready == 0
    }

    /// Whether the server reads COPY data now and no `CopyDone` or `CopyFail` has been sent for it.
    #[inline]
    pub fn in_copy_in(&self) -> bool {
        matches!(self.front, Front::CopyIn | Front::CopyInBroken) && self.copy_ends == 0
    }

    /// Whether nothing that is answered stands behind the message that is being answered.
    #[inline]
    pub fn answers_last(&self) -> bool {
        self.queue.len() <= 1 + self.copy_ends as usize
    }

    /// Whether the server discards what is sent now, up to a Sync.
    #[inline]
    pub fn skips(&self) -> bool {
        matches!(self.course, Course::Skip | Course::PerhapsSkip)
    }

    /// The transaction's state as the last `ReadyForQuery` told it.
    #[inline]
    pub fn transaction(&self) -> TransactionStatus {
        self.transaction
    }

    /// The message that is being answered, for what comes unasked meanwhile (a notice).
    #[inline]
    pub fn current(&mut self) -> Option<&mut T> {
        self.queue.front_mut().map(|item| &mut item.tag)
    }

    /// Takes out the tags of everything that will not be answered any more, when the session ends.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.course = Course::Ended;
        self.front = Front::Fresh;
        self.copy_ends = 0;
        self.queue.drain(..).map(|item| item.tag)
    }

    /// A message goes to the server now, in this order.
    ///
    /// On an error it must not be sent. [`ModelError::Full`] is avoided by asking [`Model::room`] before.
    #[inline]
    pub fn sent(&mut self, what: Sent, tag: T) -> Result<Placed<T>, ModelError> {
        match self.course {
            Course::Settled | Course::Run => {}
            Course::Ending | Course::Ended => return Err(ModelError::Ended),
            Course::Skip | Course::PerhapsSkip => match what {
                Sent::Sync => {}
                Sent::CopyData | Sent::CopyDone | Sent::CopyFail | Sent::Flush => {
                    return Ok(Placed::Silent(tag));
                }
                _ if self.course == Course::PerhapsSkip => return Err(ModelError::Uncertain { sent: what }),
                _ => return Ok(Placed::Skipped(tag)),
            },
        }
        let in_copy_in = self.in_copy_in();
        match what {
            Sent::CopyData | Sent::Flush => {
                if !in_copy_in {
                    self.silence(what);
                }
                return Ok(Placed::Silent(tag));
            }
            // Nothing is to be answered, so no COPY can be waiting for it.
            Sent::CopyDone | Sent::CopyFail if self.queue.is_empty() => {
                self.silence(what);
                return Ok(Placed::Silent(tag));
            }
            Sent::CopyDone | Sent::CopyFail | Sent::Sync => {}
            _ if in_copy_in => return Err(ModelError::InCopyIn { sent: what }),
            _ => {}
        }
        if self.room() == 0 {
            return Err(ModelError::Full);
        }
        self.place(what, tag);
        Ok(Placed::Queued)
    }

    fn place(&mut self, kind: Sent, tag: T) {
        let mut before = std::mem::replace(&mut self.quiet, Quiet::Nothing);
        match kind {
            Sent::CopyDone | Sent::CopyFail => {
                self.copy_ends += 1;
                if self.course == Course::Run {
                    before = Quiet::CopyMessages;
                }
            }
            Sent::Query | Sent::FunctionCall | Sent::Sync => self.course = Course::Settled,
            _ => self.course = Course::Run,
        }
        self.queue.push_back(Item { kind, before, tag });
    }

    /// Notes a message that is not answered. A time-out runs only inside of a run of the extended protocol.
    fn silence(&mut self, what: Sent) {
        if self.course == Course::Run {
            let quiet = if what == Sent::Flush {
                Quiet::Flushes
            } else {
                Quiet::CopyMessages
            };
            self.quiet = self.quiet.max(quiet);
        }
    }
}
