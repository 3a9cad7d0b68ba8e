//! Reading the log from outside: `sluice audit query`, `tail` and `verify`.
//!
//! Readers see what is in segments and what is still in rings, of gateways that run and of gateways that died, and ask
//! nothing of the process that writes. Begins and ends are joined into one row a statement; a begin without an end is
//! `running` while its gateway runs and `unknown` otherwise.

mod chain;
mod join;
mod row;
mod tail;
mod verify;

pub(crate) use row::masked_classes;
pub use row::{EventRow, Row, Session, SessionEndRow, StatementRow, StatementState};
pub use tail::Tail;
pub use verify::{Problem, ProblemKind, Report, verify};

use std::io;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::lock;
use crate::names::{BootId, audit_dir};
use crate::record::{Decision, Outcome, Severity};
use chain::ChainCursor;
use join::Joiner;

/// Which rows are wanted; the default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this time on, Unix nanoseconds.
    pub since_ns: Option<u64>,
    /// Before this time.
    pub until_ns: Option<u64>,
    /// Of this identity's subject.
    pub subject: Option<String>,
    /// Of this session.
    pub session: Option<SessionName>,
    /// On this connection.
    pub connection: Option<String>,
    /// In this database.
    pub database: Option<String>,
    /// Statements so decided, and nothing else.
    pub decision: Option<Decision>,
    /// What policies of this severity or a higher one denied, and nothing else.
    pub severity: Option<Severity>,
    /// Statements that ended so, and nothing else.
    pub outcome: Option<Outcome>,
    /// Statements whose text holds this (in any case of ASCII letters), and nothing else.
    pub text: Option<String>,
    /// Statements and nothing else.
    pub statements_only: bool,
    /// The newest so many.
    pub limit: Option<usize>,
}

/// A session as people name it: `3f2a9c1b.42`, or `42` of any start of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionName {
    /// The first digits of the boot id; may be empty.
    pub boot: String,
    /// The session's number.
    pub number: u64,
}

impl SessionName {
    /// Reads a name as rows show it.
    pub fn parse(text: &str) -> Option<Self> {
        let (boot, number) = text.rsplit_once('.').unwrap_or(("", text));
        let boot_is_hex = boot
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !boot_is_hex || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            boot: boot.to_owned(),
            number: number.parse().ok()?,
        })
    }

    fn matches(&self, boot: BootId, number: u64) -> bool {
        self.number == number && boot.to_string().starts_with(&self.boot)
    }
}

/// Rows, by time, and what could not be read.
#[derive(Debug, Default)]
pub struct Answer {
    /// Oldest first.
    pub rows: Vec<Row>,
    /// Damage that was met and skipped.
    pub problems: Vec<Problem>,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct ReadError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// Reads the rows that the filter wants.
pub fn query(data: &Path, filter: &Filter) -> Result<Answer, ReadError> {
    let mut rows = Vec::new();
    let problems = scan(data, filter, |row, _| {
        rows.push(row);
        // What is not among the newest so far is not among the newest of all.
        if filter
            .limit
            .is_some_and(|limit| rows.len() > limit.saturating_mul(2).max(1024))
        {
            keep(&mut rows, filter);
        }
    })?;
    keep(&mut rows, filter);
    Ok(Answer { rows, problems })
}

/// How far a scan is, in bytes of segments. What rings hold comes last and is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub done: u64,
    /// There were when it began.
    pub all: u64,
}

/// Gives out the rows that the filter wants, one chain after the other, and keeps none of them; the limit is not looked
/// at. Returns the damage that was met and skipped.
pub fn scan(
    data: &Path,
    filter: &Filter,
    mut each: impl FnMut(Row, Progress),
) -> Result<Vec<Problem>, ReadError> {
    let dir = audit_dir(data);
    let failed = |error| ReadError {
        path: dir.clone(),
        error,
    };
    let live = lock::holder(data).map_err(failed)?.map(|holder| holder.boot);
    let folder = Folder::list(&dir).map_err(failed)?;
    let mut progress = Progress {
        done: 0,
        all: folder.segment_bytes(&dir).map_err(failed)?,
    };
    let mut problems = Vec::new();
    for (chain, files) in &folder.chains {
        let mut cursor = ChainCursor::new(*chain, files);
        let mut joiner = Joiner::new(*chain);
        let mut rows = Vec::new();
        let before = progress.done;
        let read = cursor.bytes_read();
        let mut give_out = |rows: &mut Vec<Row>, done| {
            progress.done = before.saturating_add(done);
            for row in rows.drain(..).filter(|row| filter.matches(row)) {
                each(row, progress);
            }
        };
        cursor.read(&dir, &mut problems, |sequence, record| {
            joiner.feed(sequence, record, &mut rows);
            give_out(&mut rows, read.get());
        })?;
        joiner.finish(live == Some(chain.boot), &mut rows);
        give_out(&mut rows, read.get());
    }
    Ok(problems)
}

/// Sorts by time and keeps what the filter wants.
fn keep(rows: &mut Vec<Row>, filter: &Filter) {
    rows.retain(|row| filter.matches(row));
    rows.sort_by_key(Row::time_ns);
    if let Some(limit) = filter.limit {
        rows.drain(..rows.len().saturating_sub(limit));
    }
}

impl Filter {
    /// Whether a row is wanted; the limit is not looked at.
    pub fn matches(&self, row: &Row) -> bool {
        let session = row.session();
        let time_ns = row.time_ns();
        if self.since_ns.is_some_and(|since| time_ns < since)
            || self.until_ns.is_some_and(|until| time_ns >= until)
        {
            return false;
        }
        if let Some(name) = &self.session
            && !session.is_some_and(|session| name.matches(session.chain.boot, session.number))
        {
            return false;
        }
        let subject_is = |wanted: &str| match row {
            Row::Event(event) => {
                event.subject == wanted.as_bytes() || session.is_some_and(|s| s.subject == wanted)
            }
            _ => session.is_some_and(|session| session.subject == wanted),
        };
        if let Some(wanted) = &self.database
            && session.is_none_or(|session| session.database != wanted.as_bytes())
        {
            return false;
        }
        let connection_is = |wanted: &str| match row {
            Row::Event(event) => {
                event.connection == wanted || session.is_some_and(|s| s.connection == wanted)
            }
            _ => session.is_some_and(|session| session.connection == wanted),
        };
        if self.subject.as_deref().is_some_and(|wanted| !subject_is(wanted))
            || self
                .connection
                .as_deref()
                .is_some_and(|wanted| !connection_is(wanted))
        {
            return false;
        }
        if self
            .severity
            .is_some_and(|wanted| row.severity().code() < wanted.code())
        {
            return false;
        }
        match row {
            Row::Statement(statement) => self.matches_statement(statement),
            _ => {
                !self.statements_only
                    && self.decision.is_none()
                    && self.outcome.is_none()
                    && self.text.is_none()
            }
        }
    }

    fn matches_statement(&self, row: &StatementRow) -> bool {
        self.decision.is_none_or(|wanted| row.decision == wanted)
            && self.outcome.is_none_or(|wanted| row.outcome() == Some(wanted))
            && self
                .text
                .as_deref()
                .is_none_or(|wanted| contains_ignoring_case(&row.text, wanted.as_bytes()))
    }
}

fn contains_ignoring_case(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty()
        || text
            .windows(wanted.len())
            .any(|window| window.eq_ignore_ascii_case(wanted))
}
