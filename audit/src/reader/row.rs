//! Rows: what people and programs get to see of the log.

use std::fmt;
use std::sync::Arc;

use crate::names::ChainId;
use crate::record::{
    ACTION_NAMES, CLASS_NAMES, Cut, Decision, EndReason, Event, EventKind, FLAG_NAMES, List, Method, Outcome,
    Protocol, SessionEnd, SessionStart, Severity, StatementEnd,
};
use crate::time::{Duration, Timestamp};
use crate::visible::Visible;

/// One line of the log.
#[derive(Debug, Clone)]
pub enum Row {
    /// A session began.
    SessionStart(Arc<Session>),
    /// A session ended.
    SessionEnd(SessionEndRow),
    /// A statement, with its end if it has one.
    Statement(StatementRow),
    /// Something else.
    Event(EventRow),
}

impl Row {
    /// When it happened, or began.
    pub fn time_ns(&self) -> u64 {
        match self {
            Self::SessionStart(row) => row.time_ns,
            Self::SessionEnd(row) => row.time_ns,
            Self::Statement(row) => row.time_ns,
            Self::Event(row) => row.time_ns,
        }
    }

    /// The highest severity of the policies that denied it.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Statement(row) => row.severity,
            Self::Event(row) => row.severity,
            Self::SessionStart(_) | Self::SessionEnd(_) => Severity::Other,
        }
    }

    /// Its session, if it belongs to one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::SessionStart(session) => Some(session),
            Self::SessionEnd(row) => Some(&row.session),
            Self::Statement(row) => Some(&row.session),
            Self::Event(row) => row.session.as_deref(),
        }
    }
}

/// A session, as its start record tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The core of the process start that has it.
    pub chain: ChainId,
    /// Its number in that process start.
    pub number: u64,
    /// When it began; 0 if its start is not in the log, and then the rest is empty.
    pub time_ns: u64,
    /// The identity's issuer.
    pub issuer: String,
    /// The identity's subject.
    pub subject: String,
    /// How it was proven.
    pub method: Method,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// The token's claims: JSON, unless it was cut.
    pub claims: Vec<u8>,
    /// The client's address.
    pub client: String,
    /// The listener's name.
    pub listener: String,
    /// The connection's name.
    pub connection: String,
    /// The database.
    pub database: Vec<u8>,
    /// The user name towards the server.
    pub server_user: String,
    /// The startup packet's parameters.
    pub startup: Vec<(Vec<u8>, Vec<u8>)>,
    /// TLS version and cipher suite.
    pub tls: String,
    /// What the client calls itself.
    pub application_name: Vec<u8>,
    /// What there is more of.
    pub cut: Cut,
    /// What its records tell, see [`crate::record::FORM`].
    pub form: u8,
}

impl Session {
    pub(super) fn started(chain: ChainId, number: u64, time_ns: u64, start: &SessionStart<'_>) -> Self {
        Self {
            chain,
            number,
            time_ns,
            issuer: start.issuer.to_owned(),
            subject: start.subject.to_owned(),
            method: start.method,
            groups: start
                .groups
                .iter()
                .map(|group| String::from_utf8_lossy(group).into_owned())
                .collect(),
            claims: start.claims.to_vec(),
            client: start.client.to_owned(),
            listener: start.listener.to_owned(),
            connection: start.connection.to_owned(),
            database: start.database.to_vec(),
            server_user: start.server_user.to_owned(),
            startup: pairs(start.startup),
            tls: start.tls.to_owned(),
            application_name: start.application_name.to_vec(),
            cut: start.cut,
            form: start.form,
        }
    }

    pub(super) fn nameless(chain: ChainId, number: u64) -> Self {
        Self::started(chain, number, 0, &SessionStart::default())
    }

    /// `3f2a9c1b.42`
    pub fn name(&self) -> String {
        self.chain.boot.session_name(self.number)
    }
}

fn pairs(list: List<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut items = list.iter();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        pairs.push((name.to_vec(), value.to_vec()));
    }
    pairs
}

/// A session's end.
#[derive(Debug, Clone)]
pub struct SessionEndRow {
    /// When.
    pub time_ns: u64,
    /// Which session.
    pub session: Arc<Session>,
    /// Why.
    pub reason: EndReason,
    /// More about why.
    pub detail: String,
    /// Statements begun.
    pub statements: u64,
    /// Statements denied.
    pub denied: u64,
    /// Rows sent to the client.
    pub rows: u64,
    /// Bytes sent to the client.
    pub bytes: u64,
    /// Values masked, by class.
    pub masked: [u64; 8],
}

impl SessionEndRow {
    pub(super) fn new(time_ns: u64, session: Arc<Session>, end: &SessionEnd<'_>) -> Self {
        Self {
            time_ns,
            session,
            reason: end.reason,
            detail: end.detail.to_owned(),
            statements: end.statements,
            denied: end.denied,
            rows: end.rows,
            bytes: end.bytes,
            masked: end.masked,
        }
    }
}

/// A statement.
#[derive(Debug, Clone)]
pub struct StatementRow {
    /// When it was decided.
    pub time_ns: u64,
    /// Its session.
    pub session: Arc<Session>,
    /// Its number in the session.
    pub statement: u64,
    /// Its place in a message of several statements.
    pub part: u16,
    /// How it came.
    pub protocol: Protocol,
    /// Its text, as much as was recorded.
    pub text: Vec<u8>,
    /// The whole text's length.
    pub text_len: u64,
    /// The whole text's hash, if the text was cut.
    pub recorded_hash: Option<[u8; 32]>,
    /// One bit for each action of its effects.
    pub actions: u32,
    /// One bit for each flag of its effects.
    pub flags: u32,
    /// Its effects as lines; the last may tell of what was left out.
    pub effects: Vec<Vec<u8>>,
    /// What was decided.
    pub decision: Decision,
    /// By which policies.
    pub policy: String,
    /// The policy's message, or why the statement is opaque.
    pub message: String,
    /// Policy was asked about more than the effects tell.
    pub asks_more: bool,
    /// The highest severity of the policies that deny it.
    pub severity: Severity,
    /// What became of it.
    pub state: StatementState,
    pub(super) sequence: u64,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementState {
    /// It ended.
    Ended {
        /// When.
        time_ns: u64,
        /// How.
        end: StatementEnd,
    },
    /// The gateway runs and has not recorded an end.
    Running,
    /// The gateway died before it recorded an end.
    Unknown,
}

impl StatementRow {
    /// BLAKE3 of the whole text, if it can be known.
    pub fn text_hash(&self) -> Option<[u8; 32]> {
        let is_whole = self.text_len == self.text.len() as u64;
        self.recorded_hash
            .or_else(|| is_whole.then(|| *blake3::hash(&self.text).as_bytes()))
    }

    /// The outcome; `None` while it runs.
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            StatementState::Ended { end, .. } => Some(end.outcome),
            // It was never sent, whatever became of its end record.
            _ if self.decision == Decision::Deny => Some(Outcome::Denied),
            StatementState::Running => None,
            StatementState::Unknown => Some(Outcome::Unknown),
        }
    }

    /// Its end record, if there is one.
    pub fn end(&self) -> Option<&StatementEnd> {
        match &self.state {
            StatementState::Ended { end, .. } => Some(end),
            StatementState::Running | StatementState::Unknown => None,
        }
    }

    /// The names of its effects' actions.
    pub fn action_names(&self) -> impl Iterator<Item = &'static str> {
        names(self.actions, &ACTION_NAMES)
    }

    /// The names of its effects' flags.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        names(self.flags, &FLAG_NAMES)
    }
}

fn names(mask: u32, names: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    names
        .iter()
        .enumerate()
        .filter(move |(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, name)| *name)
}

/// Classes that occurred, with their counts.
pub(crate) fn masked_classes(counts: &[u64; 8]) -> impl Iterator<Item = (&'static str, u64)> {
    CLASS_NAMES
        .into_iter()
        .zip(*counts)
        .filter(|(_, count)| *count > 0)
}

/// Something that is no statement.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Whose log has it.
    pub chain: ChainId,
    /// When.
    pub time_ns: u64,
    /// In which session, if in one.
    pub session: Option<Arc<Session>>,
    /// What.
    pub event: EventKind,
    /// More about it.
    pub text: Vec<u8>,
    /// The peer's address.
    pub client: String,
    /// Who, or who it claimed to be.
    pub subject: Vec<u8>,
    /// The connection's name.
    pub connection: String,
    /// The highest severity of the policies that deny a connect.
    pub severity: Severity,
    /// Sequences that were lost, for [`EventKind::RecordsLost`].
    pub lost: Option<(u64, u64)>,
}

impl EventRow {
    pub(super) fn new(
        chain: ChainId,
        sequence: u64,
        time_ns: u64,
        session: Option<Arc<Session>>,
        event: &Event<'_>,
    ) -> Self {
        Self {
            chain,
            time_ns,
            session,
            event: event.event,
            text: event.text.to_vec(),
            client: event.client.to_owned(),
            subject: event.subject.to_vec(),
            connection: event.connection.to_owned(),
            severity: event.severity,
            lost: (event.event == EventKind::RecordsLost).then_some((event.first_sequence, sequence)),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionStart(session) => session.fmt(f),
            Self::SessionEnd(row) => row.fmt(f),
            Self::Statement(row) => row.fmt(f),
            Self::Event(row) => row.fmt(f),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} session begins: {} ({}, {}) from {} to {}/{}",
            Timestamp(self.time_ns),
            self.name(),
            Visible(self.subject.as_bytes()),
            self.method,
            Visible(self.issuer.as_bytes()),
            Visible(self.client.as_bytes()),
            Visible(self.connection.as_bytes()),
            Visible(&self.database),
        )?;
        if !self.application_name.is_empty() {
            write!(f, " as {}", Visible(&self.application_name))?;
        }
        let tls = if self.tls.is_empty() { "no TLS" } else { &self.tls };
        write!(f, ", {}", Visible(tls.as_bytes()))
    }
}

impl fmt::Display for SessionEndRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} session ends: {}, {} statements, {} denied, {} rows, {} bytes",
            Timestamp(self.time_ns),
            self.session.name(),
            self.reason,
            self.statements,
            self.denied,
            self.rows,
            self.bytes,
        )?;
        write_masked(f, &self.masked)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", Visible(self.detail.as_bytes()))?;
        }
        Ok(())
    }
}

impl fmt::Display for StatementRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = &self.session;
        write!(
            f,
            "{} {} #{} {} {}/{} {}",
            Timestamp(self.time_ns),
            session.name(),
            self.statement,
            if session.subject.is_empty() {
                Visible(b"-")
            } else {
                Visible(session.subject.as_bytes())
            },
            Visible(session.connection.as_bytes()),
            Visible(&session.database),
            self.decision,
        )?;
        if !self.policy.is_empty() {
            write!(f, " ({})", Visible(self.policy.as_bytes()))?;
        }
        write_severity(f, self.severity)?;
        match &self.state {
            StatementState::Running | StatementState::Unknown => write_outcome(f, self.outcome())?,
            StatementState::Ended { end, .. } => {
                write_outcome(f, Some(end.outcome))?;
                if let Some(sqlstate) = &end.sqlstate {
                    write!(f, " {}", Visible(sqlstate))?;
                }
                write!(
                    f,
                    " {} rows {} bytes {}+{}",
                    end.rows,
                    end.bytes,
                    Duration(end.gateway_ns),
                    Duration(end.upstream_ns)
                )?;
                write_masked(f, &end.masked)?;
            }
        }
        for (index, name) in self.action_names().chain(self.flag_names()).enumerate() {
            write!(f, "{}{name}", if index == 0 { " [" } else { "," })?;
        }
        if self.actions | self.flags != 0 {
            f.write_str("]")?;
        }
        write!(f, " {}", Visible(&self.text))?;
        let cut = self.text_len.saturating_sub(self.text.len() as u64);
        if cut > 0 {
            write!(f, " [{cut} bytes more]")?;
        }
        Ok(())
    }
}

impl fmt::Display for EventRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Timestamp(self.time_ns))?;
        match &self.session {
            Some(session) => f.write_str(&session.name())?,
            None => write!(f, "{}", &self.chain.boot.to_string()[..8])?,
        }
        write!(f, " event {}", self.event)?;
        write_severity(f, self.severity)?;
        for (name, value) in [
            ("from", self.client.as_bytes()),
            ("of", &self.subject),
            ("to", self.connection.as_bytes()),
        ] {
            if !value.is_empty() {
                write!(f, " {name} {}", Visible(value))?;
            }
        }
        if let Some((first, last)) = self.lost {
            write!(f, ": records {first} to {last}")?;
        }
        if !self.text.is_empty() {
            write!(f, ": {}", Visible(&self.text))?;
        }
        Ok(())
    }
}

fn write_severity(f: &mut fmt::Formatter<'_>, severity: Severity) -> fmt::Result {
    let said = severity.said();
    said.map_or(Ok(()), |severity| write!(f, " severity {severity}"))
}

fn write_outcome(f: &mut fmt::Formatter<'_>, outcome: Option<Outcome>) -> fmt::Result {
    match outcome {
        None => f.write_str(" running"),
        Some(Outcome::Unknown) => f.write_str(" outcome unknown"),
        Some(outcome) => write!(f, " {outcome}"),
    }
}

fn write_masked(f: &mut fmt::Formatter<'_>, counts: &[u64; 8]) -> fmt::Result {
    for (index, (class, count)) in masked_classes(counts).enumerate() {
        write!(f, "{}{class}:{count}", if index == 0 { " masked " } else { "," })?;
    }
    Ok(())
}
