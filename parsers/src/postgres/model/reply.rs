//! What a message of the server means: the answering half of the model.

use std::collections::VecDeque;

use super::{
    Course, Front, Item, Model, ModelError, Quiet, Sent, SqlState, TransactionStatus, is_fatal,
    ready_for_query, sqlstate_of,
};

/// Places in an empty queue that are kept: an idle session that once had a long pipeline holds little.
const QUEUE_KEEP: usize = 256;

/// The part that a message of the server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The columns of the rows to come, or of a described statement or portal.
    RowDescription,
    /// What was described gives no rows.
    NoData,
    /// The parameters of a described statement.
    ParameterDescription,
    /// A row.
    Row,
    /// A statement of a Query, or an Execute, is complete.
    Complete,
    /// An Execute has given as many rows as it asked for.
    Suspended,
    /// The text was empty.
    EmptyQuery,
    /// A message failed. In the extended protocol the server discards what follows up to a Sync.
    Error,
    /// The server ends the session; nothing more will come.
    Fatal,
    /// A cycle ends.
    ReadyForQuery(TransactionStatus),
    /// COPY data is asked for.
    CopyIn,
    /// COPY data is to come.
    CopyOut,
    /// COPY data.
    CopyData,
    /// The end of COPY data.
    CopyDone,
    /// A statement is prepared.
    ParseComplete,
    /// A portal is made.
    BindComplete,
    /// A statement or portal is closed.
    CloseComplete,
    /// The result of a function call.
    FunctionResult,
    /// Unasked: a notice.
    Notice,
    /// Unasked: a setting's value.
    ParameterStatus,
    /// Unasked: a notification.
    Notification,
}

/// Whose reply it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Owner<'a, T> {
    /// Nobody's: it came unasked, or answers a Sync that was already given up (see the module's text on COPY IN).
    Nobody,
    /// This message's, and more is to come.
    Open(&'a mut T),
    /// This message's, and it is the last one.
    Done(T),
}

impl<T> Owner<'_, T> {
    /// The tag, if it is anybody's.
    #[inline]
    pub fn tag(&mut self) -> Option<&mut T> {
        match self {
            Self::Nobody => None,
            Self::Open(tag) => Some(tag),
            Self::Done(tag) => Some(tag),
        }
    }
}

/// A message of the server, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a, T> {
    /// Its part.
    pub role: Role,
    /// Inside of a Query: the index of the statement that it belongs to, which is how many before it are complete; for
    /// `Complete` it is the statement that ends, for `ReadyForQuery` how many are complete. Zero everywhere else.
    pub statement: u32,
    /// Whose it is.
    pub owner: Owner<'a, T>,
}

/// How a message changes the front item.
enum Step {
    /// The message belongs to it and more is to come.
    Stay(Role, Front),
    /// A statement of a Query ends.
    NextStatement(Role),
    /// It is answered.
    Finish(Role),
}

impl<T> Model<T> {
    /// A message of the server has come: its type byte and the first bytes of its body ([`super::BODY_PREFIX_BYTES`], or all).
    ///
    /// `dropped` gets the tags of messages that will not be answered because of it. On an error the message must not be
    /// forwarded, and the session ends.
    #[inline]
    pub fn received(
        &mut self,
        tag: u8,
        body_prefix: &[u8],
        dropped: impl FnMut(T),
    ) -> Result<Reply<'_, T>, ModelError> {
        let bulk = match (tag, self.front) {
            (b'D', Front::Rows) => Some(Role::Row),
            (b'd', Front::CopyOut) => Some(Role::CopyData),
            _ => None,
        };
        if let Some(role) = bulk {
            return Ok(self.open(role));
        }
        self.step(tag, body_prefix, dropped)
    }

    fn step(
        &mut self,
        tag: u8,
        body_prefix: &[u8],
        mut dropped: impl FnMut(T),
    ) -> Result<Reply<'_, T>, ModelError> {
        match tag {
            _ if self.course == Course::Ended => return Err(ModelError::Ended),
            b'E' if is_fatal(body_prefix) => {
                self.course = Course::Ended;
                self.front = Front::Fresh;
                return Ok(self.open(Role::Fatal));
            }
            _ if self.course == Course::Ending => return Err(self.unexpected(tag)),
            b'N' => return Ok(Self::nobody(Role::Notice)),
            b'S' => return Ok(Self::nobody(Role::ParameterStatus)),
            b'A' => return Ok(Self::nobody(Role::Notification)),
            b'W' => return Err(ModelError::Replication),
            b'E' => return self.failed(body_prefix, dropped),
            b'Z' => return self.ready(body_prefix, dropped),
            _ => {}
        }
        let Some(kind) = self.queue.front().map(|item| item.kind) else {
            return Err(self.unexpected(tag));
        };
        let Some(step) = transition(kind, self.front, tag) else {
            return Err(self.unexpected(tag));
        };
        if self.front == Front::Fresh {
            // An answer of its own: no ReadyForQuery of what stood before it can come any more.
            self.optional_ready = 0;
        }
        if tag == b'C' && self.front == Front::CopyIn {
            self.copy_succeeded(tag, kind, &mut dropped)?;
        }
        match step {
            Step::Stay(Role::CopyIn, _) => {
                self.front = if self.copy_in_is_broken() {
                    Front::CopyInBroken
                } else {
                    Front::CopyIn
                };
                Ok(self.open(Role::CopyIn))
            }
            Step::Stay(role, front) => {
                self.front = front;
                Ok(self.open(role))
            }
            Step::NextStatement(role) => {
                let statement = self.statement;
                self.front = Front::Between;
                self.statement = statement.saturating_add(1);
                Ok(Reply {
                    statement,
                    ..self.open(role)
                })
            }
            Step::Finish(role) => Ok(self.finish(role, &mut dropped)),
        }
    }

    fn nobody<'a>(role: Role) -> Reply<'a, T> {
        Reply {
            role,
            statement: 0,
            owner: Owner::Nobody,
        }
    }

    /// A reply of the front item, of which more are to come.
    #[inline]
    fn open(&mut self, role: Role) -> Reply<'_, T> {
        let owner = match self.queue.front_mut() {
            Some(item) => Owner::Open(&mut item.tag),
            None => Owner::Nobody,
        };
        Reply {
            role,
            statement: self.statement,
            owner,
        }
    }

    /// The last reply of the front item.
    fn finish<'a>(&mut self, role: Role, dropped: &mut impl FnMut(T)) -> Reply<'a, T> {
        let statement = std::mem::take(&mut self.statement);
        self.front = Front::Fresh;
        let owner = match self.queue.pop_front() {
            Some(item) => Owner::Done(item.tag),
            None => Owner::Nobody,
        };
        self.drop_stale_copy_ends(dropped);
        if self.queue.is_empty() {
            if self.queue.capacity() > QUEUE_KEEP {
                self.queue = VecDeque::new();
            } else {
                // It begins at its first place again, which is in the cache.
                self.queue.clear();
            }
        }
        Reply {
            role,
            statement,
            owner,
        }
    }

    fn unexpected(&self, tag: u8) -> ModelError {
        ModelError::Unexpected {
            tag,
            front: self.queue.front().map(|item| item.kind),
        }
    }

    /// `ReadyForQuery`.
    fn ready(&mut self, body: &[u8], mut dropped: impl FnMut(T)) -> Result<Reply<'_, T>, ModelError> {
        let Ok(status) = ready_for_query(body) else {
            return Err(self.unexpected(b'Z'));
        };
        let role = Role::ReadyForQuery(status);
        let fits = matches!(
            (self.queue.front().map(|item| item.kind), self.front),
            (Some(Sent::Sync), Front::Fresh)
                | (Some(Sent::Query), Front::Between)
                | (Some(_), Front::AwaitReady)
        );
        if fits {
            self.transaction = status;
            return Ok(self.finish(role, &mut dropped));
        }
        // A Sync that a failed COPY IN did not ignore after all.
        if self.optional_ready > 0 && self.front == Front::Fresh {
            self.optional_ready -= 1;
            self.transaction = status;
            if self.queue.is_empty() && self.course == Course::PerhapsSkip {
                self.course = Course::Settled;
            }
            return Ok(Self::nobody(role));
        }
        Err(self.unexpected(b'Z'))
    }

    /// An `ErrorResponse` after which the session goes on.
    fn failed(&mut self, body_prefix: &[u8], mut dropped: impl FnMut(T)) -> Result<Reply<'_, T>, ModelError> {
        let Some(item) = self.queue.front() else {
            // A time-out that strikes while Flush is read.
            if self.course == Course::Run && self.quiet == Quiet::Flushes {
                self.begin_skip(Course::Skip);
                return Ok(Self::nobody(Role::Error));
            }
            return Err(self.unexpected(b'E'));
        };
        let (kind, front) = (item.kind, self.front);
        if front == Front::Fresh {
            let sqlstate = sqlstate_of(body_prefix);
            if item.could_be_taken_for_quiet(sqlstate) {
                return Err(ModelError::Ambiguous { sqlstate });
            }
            self.optional_ready = 0;
        }
        match front {
            // The server has read what breaks the COPY, and FATAL follows. Servers before 14 go on instead, without
            // that message. Any other error came before the server read so far.
            Front::CopyInBroken
                if sqlstate_of(body_prefix).is_none_or(|state| state == SqlState::PROTOCOL_VIOLATION) =>
            {
                self.course = Course::Ending;
                return Ok(self.open(Role::Error));
            }
            Front::CopyIn | Front::CopyInBroken => self.copy_failed(kind, &mut dropped)?,
            _ if kind.is_extended() => self.drop_up_to_sync(Course::Skip, &mut dropped),
            _ => {}
        }
        if kind.is_extended() {
            return Ok(self.finish(Role::Error, &mut dropped));
        }
        self.front = Front::AwaitReady;
        Ok(self.open(Role::Error))
    }

    /// Drops what the server discards behind the front item, which has failed.
    fn drop_up_to_sync(&mut self, course_at_end: Course, dropped: &mut impl FnMut(T)) {
        let sync = self.queue.iter().position(|item| item.kind == Sent::Sync);
        let end = sync.unwrap_or(self.queue.len());
        for item in self.queue.drain(1..end) {
            self.copy_ends -= u32::from(item.is_copy_end());
            dropped(item.tag);
        }
        match self.queue.get_mut(1) {
            Some(sync) => sync.before = Quiet::Nothing,
            None => self.begin_skip(course_at_end),
        }
    }

    fn begin_skip(&mut self, course: Course) {
        self.course = course;
        self.quiet = Quiet::Nothing;
    }

    /// Whether what was sent behind the COPY breaks it: anything but Syncs before its `CopyDone` or `CopyFail`.
    fn copy_in_is_broken(&self) -> bool {
        self.queue
            .iter()
            .skip(1)
            .find(|item| item.kind != Sent::Sync)
            .is_some_and(|item| !item.is_copy_end())
    }

    /// The server has read up to the first `CopyDone` and ignored the Syncs before it.
    fn copy_succeeded(&mut self, tag: u8, kind: Sent, dropped: &mut impl FnMut(T)) -> Result<(), ModelError> {
        let Some(end) = self.queue.iter().position(Item::is_copy_end) else {
            return Err(self.unexpected(tag));
        };
        for item in self.queue.drain(1..=end) {
            dropped(item.tag);
        }
        self.copy_ends -= 1;
        if self.queue.iter().skip(1).all(Item::is_copy_end) {
            // Ignored Syncs have settled nothing.
            self.course = if kind.is_extended() {
                Course::Run
            } else {
                Course::Settled
            };
        }
        Ok(())
    }

    /// The server has stopped reading somewhere before the first `CopyDone`, and ignored some of the Syncs before it.
    fn copy_failed(&mut self, kind: Sent, dropped: &mut impl FnMut(T)) -> Result<(), ModelError> {
        let end = self
            .queue
            .iter()
            .skip(1)
            .take_while(|item| item.kind == Sent::Sync)
            .count();
        let syncs = u32::try_from(end).unwrap_or(u32::MAX);
        for item in self.queue.drain(1..=end) {
            dropped(item.tag);
        }
        self.optional_ready = self.optional_ready.saturating_add(syncs);
        if !kind.is_extended() {
            return Ok(());
        }
        while self.queue.get(1).is_some_and(Item::is_copy_end) {
            self.copy_ends -= 1;
            if let Some(item) = self.queue.remove(1) {
                dropped(item.tag);
            }
        }
        if syncs == 0 {
            self.drop_up_to_sync(Course::Skip, dropped);
            return Ok(());
        }
        match self.queue.get_mut(1) {
            None => self.begin_skip(Course::PerhapsSkip),
            Some(sync) if sync.kind == Sent::Sync => sync.before = Quiet::Nothing,
            // Whether the server runs it depends on a Sync that it may have ignored.
            Some(_) => return Err(ModelError::Ambiguous { sqlstate: None }),
        }
        Ok(())
    }

    /// `CopyDone` and `CopyFail` that no COPY waits for are ignored by the server.
    fn drop_stale_copy_ends(&mut self, dropped: &mut impl FnMut(T)) {
        while let Some(item) = self.queue.pop_front_if(|item| item.is_copy_end()) {
            self.copy_ends -= 1;
            match self.queue.front_mut() {
                Some(next) => next.before = next.before.max(item.before),
                None => self.quiet = self.quiet.max(item.before),
            }
            dropped(item.tag);
        }
    }
}

impl<T> Item<T> {
    /// Whether an error that seems to be of this item may have struck while an unanswered message before it was read,
    /// and the server would then go on in another way.
    fn could_be_taken_for_quiet(&self, sqlstate: Option<SqlState>) -> bool {
        let other_way = match self.before {
            Quiet::Nothing => false,
            Quiet::Flushes => !(self.kind.is_extended() || self.kind == Sent::Sync),
            Quiet::CopyMessages => true,
        };
        other_way && sqlstate.is_none_or(strikes_between_messages)
    }
}

/// Codes of errors that interrupts raise: time-outs, conflicts with recovery, lack of memory.
fn strikes_between_messages(sqlstate: SqlState) -> bool {
    matches!(&sqlstate.class(), b"40" | b"53" | b"55" | b"57" | b"58" | b"XX")
}

/// The step that a message other than an error or `ReadyForQuery` makes, if the front item expects it.
#[inline]
fn transition(kind: Sent, front: Front, tag: u8) -> Option<Step> {
    use Front::{Between, CopyIn, CopyOut, CopyOutDone, Described, Fresh, Rows};
    use Step::{Finish, NextStatement, Stay};

    let complete = |role| {
        if kind == Sent::Query {
            NextStatement(role)
        } else {
            Finish(role)
        }
    };
    Some(match (kind, front, tag) {
        (Sent::Query, Fresh | Between | Rows, b'T') => Stay(Role::RowDescription, Rows),
        (Sent::Query, Fresh | Between, b'G') | (Sent::Execute, Fresh, b'G') => Stay(Role::CopyIn, CopyIn),
        (Sent::Query, Fresh | Between, b'H') | (Sent::Execute, Fresh, b'H') => Stay(Role::CopyOut, CopyOut),
        (Sent::Query, Fresh | Between | Rows, b'C') | (Sent::Execute, Fresh | Rows, b'C') => {
            complete(Role::Complete)
        }
        (Sent::Query | Sent::Execute, CopyIn | CopyOutDone, b'C') => complete(Role::Complete),
        (Sent::Query | Sent::Execute, Fresh, b'I') => complete(Role::EmptyQuery),
        (Sent::Query | Sent::Execute, CopyOut, b'c') => Stay(Role::CopyDone, CopyOutDone),
        // In a Query a row needs its RowDescription, and then is a bulk message.
        (Sent::Execute, Fresh, b'D') => Stay(Role::Row, Rows),
        (Sent::Execute, Fresh | Rows, b's') => Finish(Role::Suspended),
        (Sent::Parse, Fresh, b'1') => Finish(Role::ParseComplete),
        (Sent::Bind, Fresh, b'2') => Finish(Role::BindComplete),
        (Sent::Close, Fresh, b'3') => Finish(Role::CloseComplete),
        (Sent::DescribeStatement, Fresh, b't') => Stay(Role::ParameterDescription, Described),
        (Sent::DescribeStatement, Described, b'T') | (Sent::DescribePortal, Fresh, b'T') => {
            Finish(Role::RowDescription)
        }
        (Sent::DescribeStatement, Described, b'n') | (Sent::DescribePortal, Fresh, b'n') => {
            Finish(Role::NoData)
        }
        (Sent::FunctionCall, Fresh, b'V') => Stay(Role::FunctionResult, Front::AwaitReady),
        _ => return None,
    })
}
