//! Joining begins with ends, and statements with their session.

use std::collections::HashMap;
use std::sync::Arc;

use super::row::{EventRow, Row, Session, SessionEndRow, StatementRow, StatementState};
use crate::names::ChainId;
use crate::record::{Body, Record, StatementBegin};

/// The sessions and open statements of one chain: a session lives and dies on its core.
#[derive(Debug)]
pub(super) struct Joiner {
    chain: ChainId,
    sessions: HashMap<u64, Arc<Session>>,
    open: HashMap<(u64, u64), StatementRow>,
}

impl Joiner {
    pub(super) fn new(chain: ChainId) -> Self {
        Self {
            chain,
            sessions: HashMap::new(),
            open: HashMap::new(),
        }
    }

    /// Takes the chain's next record; what is complete now goes to `rows`.
    pub(super) fn feed(&mut self, sequence: u64, record: &Record<'_>, rows: &mut Vec<Row>) {
        let time_ns = record.time_ns;
        match &record.body {
            Body::SessionStart(start) => {
                let session = Arc::new(Session::started(self.chain, record.session, time_ns, start));
                self.sessions.insert(record.session, Arc::clone(&session));
                rows.push(Row::SessionStart(session));
            }
            Body::SessionEnd(end) => {
                self.close(Some(record.session), rows);
                let session = self.session(record.session);
                self.sessions.remove(&record.session);
                rows.push(Row::SessionEnd(SessionEndRow::new(time_ns, session, end)));
            }
            Body::StatementBegin(begin) => {
                let row = self.begin(record, begin);
                if let Some(earlier) = self.open.insert((record.session, record.statement), row) {
                    rows.push(Row::Statement(earlier));
                }
            }
            Body::StatementEnd(end) => {
                if let Some(mut row) = self.open.remove(&(record.session, record.statement)) {
                    row.state = StatementState::Ended { time_ns, end: *end };
                    rows.push(Row::Statement(row));
                }
            }
            Body::Event(event) => {
                let session = (record.session != 0).then(|| self.session(record.session));
                rows.push(Row::Event(EventRow::new(
                    self.chain, sequence, time_ns, session, event,
                )));
            }
            Body::Seal(_) => self.close(None, rows),
            _ => {}
        }
    }

    /// Nothing follows: what is open is running, or nobody knows.
    pub(super) fn finish(mut self, is_live: bool, rows: &mut Vec<Row>) {
        if is_live {
            for row in self.open.values_mut() {
                row.state = StatementState::Running;
            }
        }
        self.close(None, rows);
    }

    /// Gives out the open statements of a session, or of all.
    fn close(&mut self, session: Option<u64>, rows: &mut Vec<Row>) {
        let closed = self
            .open
            .extract_if(|(of, _), _| session.is_none_or(|session| session == *of));
        let mut closed: Vec<_> = closed.map(|(_, row)| row).collect();
        closed.sort_by_key(|row| (row.time_ns, row.sequence));
        rows.extend(closed.into_iter().map(Row::Statement));
    }

    fn begin(&self, record: &Record<'_>, begin: &StatementBegin<'_>) -> StatementRow {
        StatementRow {
            time_ns: record.time_ns,
            session: self.session(record.session),
            statement: record.statement,
            part: begin.part,
            protocol: begin.protocol,
            text: begin.text.to_vec(),
            text_len: begin.text_len.max(begin.text.len() as u64),
            recorded_hash: begin.text_hash,
            actions: begin.actions,
            flags: begin.flags,
            effects: begin.effects.iter().map(<[u8]>::to_vec).collect(),
            decision: begin.decision,
            policy: begin.policy.to_owned(),
            message: begin.message.to_owned(),
            asks_more: begin.asks_more,
            severity: begin.severity,
            state: StatementState::Unknown,
            sequence: 0,
        }
    }

    /// A session whose start is not in the log has a number and nothing else.
    fn session(&self, number: u64) -> Arc<Session> {
        let known = self.sessions.get(&number).cloned();
        known.unwrap_or_else(|| Arc::new(Session::nameless(self.chain, number)))
    }
}
