//! What each reply of the server means for the session: names, portals, plans, and the record.

use std::ops::Range;
use std::rc::Rc;

use sluice_audit::record::{EndReason, Outcome as Ending, Protocol};
use sluice_parsers::postgres::backend::{
    CommandComplete, CopyResponse, Fields, Format, ParameterStatus, TransactionStatus,
};
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::model::{BODY_PREFIX_BYTES, Owner};
use sluice_parsers::postgres::{Role, SqlState};
use sluice_parsers::sql::settings;
use sluice_parsers::sql::statement::StatementKind;
use smallvec::SmallVec;

use super::{Delivery, words};
use crate::gate::Outcome;
use crate::postgres::columns::Description;
use crate::postgres::copy::{CopyOut, HiddenColumns};
use crate::postgres::limited::{Ended, Over};
use crate::postgres::session::{End, Session, unreadable_under};
use crate::postgres::state::Tracked;
use crate::postgres::statements::{Judged, Made, Portal, Prepared, QueryTicket, Refusal, Run, Ticket};

/// What a reply after which more is to come asks of the session, taken out of its ticket.
enum Reaction {
    Forward,
    Hide,
    /// Rows of a Query's statement follow, with these columns.
    Columns(Judged),
    /// A statement has ended well.
    Completed {
        run: Option<Run>,
        judged: Judged,
        /// No statement of the Query changes what the session keeps.
        is_inert: bool,
        cycle: u64,
        statement: u32,
        made: Option<Made>,
    },
    /// A Query or function call has failed.
    Failed(Box<FailedQuery>),
    /// COPY data follow; the statement, where it is known.
    CopyOut(Option<Judged>),
    FunctionEnded(Option<Run>, bool),
    Refused(Box<Refusal>),
    /// What fails the transaction of a statement that passed a limit.
    TransactionFailed,
}

/// A Query that failed, and what of it never ran.
struct FailedQuery {
    failed: Option<Run>,
    skipped: Range<u64>,
    like: Run,
    refusal: Option<Refusal>,
}

impl FailedQuery {
    /// Takes the open statements out of the ticket; `statement` is the one that failed.
    fn take(query: &mut QueryTicket, statement: u32) -> Self {
        let like = query.first;
        let failed = (statement < query.live).then(|| query.run(statement));
        let next = statement.saturating_add(1).min(query.live).max(query.ended);
        let skipped = query.run(next).id..query.run(query.live).id;
        query.ended = query.live;
        let refusal = if failed.is_none() {
            query.more.as_ref().and_then(|more| more.refused.clone())
        } else {
            None
        };
        Self {
            failed,
            skipped,
            like,
            refusal,
        }
    }
}

impl Session {
    /// Takes a whole message of the server that is neither a row nor COPY data.
    pub(super) fn reply(&mut self, frame: &mut [u8]) -> Result<Delivery, End> {
        let Some((&mut tag, body)) = frame.split_first_mut() else {
            return Ok(Delivery::Forward);
        };
        let body = body.get_mut(HEADER_BYTES - 1..).unwrap_or_default();
        let prefix = body.get(..body.len().min(BODY_PREFIX_BYTES)).unwrap_or_default();
        let mut dropped = Vec::new();
        let is_limited = self.answers_limited();
        if is_limited && tag == b'E' {
            self.error_comes(body.len());
        }
        let is_hidden = is_limited && self.is_told_of_failure();
        let reply = self
            .model
            .received(tag, prefix, |ticket| dropped.push(ticket))
            .map_err(End::server)?;
        let role = reply.role;
        let delivery = match reply.owner {
            Owner::Done(ticket) if role != Role::Fatal => {
                self.skipped(dropped);
                self.done(role, ticket, body, is_limited)
            }
            Owner::Open(ticket) if role != Role::Fatal => {
                let reaction = open(role, reply.statement, ticket);
                self.skipped(dropped);
                self.react(reaction, body, is_limited)
            }
            _ => {
                self.skipped(dropped);
                return self.unasked(role, body);
            }
        };
        match role {
            Role::ReadyForQuery(_) => delivery,
            // The error that ends what was cut is the end of the data too.
            Role::CopyDone if is_limited && self.is_cut() => delivery.map(|_| Delivery::Hide),
            _ if is_hidden => delivery.map(|_| Delivery::Hide),
            _ => delivery,
        }
    }

    /// Ends what the server discards behind a failure.
    fn skipped(&mut self, dropped: Vec<Ticket>) {
        for ticket in dropped {
            if let Some(cycle) = ticket.cycle() {
                self.state.cycle_goes_on(cycle);
            }
            self.end_ticket(ticket, Ending::Skipped, self.answered_since);
        }
    }

    fn react(&mut self, reaction: Reaction, body: &mut [u8], is_limited: bool) -> Result<Delivery, End> {
        match reaction {
            Reaction::Forward => Ok(Delivery::Forward),
            Reaction::Hide => Ok(Delivery::Hide),
            Reaction::Columns(judged) => {
                if self.masks.is_on() {
                    let expected = self.expected_of(&judged);
                    self.plan = self.described(body, &expected)?.plan;
                }
                Ok(Delivery::Forward)
            }
            Reaction::Completed {
                run,
                judged,
                is_inert,
                cycle,
                statement,
                made,
            } => {
                self.copy_out = None;
                if !is_inert {
                    self.state.query_statement_succeeded(cycle, statement);
                    self.completed(&judged, made.as_ref());
                }
                let ended = if is_limited {
                    self.limited_ends(statement, false, body)
                } else {
                    Ended::Passes
                };
                if let Some(run) = run {
                    self.end_within_limits(run, Ending::Completed, &ended, body);
                }
                if let Some(end) = self.breaks_up() {
                    return Err(end);
                }
                Ok(match ended {
                    Ended::Passes => Delivery::Forward,
                    Ended::Warns(warning) => Delivery::ForwardBehind(warning),
                    Ended::Fails => {
                        let over = self.limit_passed();
                        let refusal = over.map(|over| self.over_limit(over));
                        refusal.map_or(Delivery::Forward, |refusal| Delivery::Replace(refusal.report()))
                    }
                })
            }
            Reaction::Failed(query) => {
                self.copy_out = None;
                self.state.failed();
                for id in query.skipped {
                    self.end_empty(Run { id, ..query.like }, Ending::Skipped, self.answered_since);
                }
                if is_limited && let Some(refusal) = self.limited_fails(false) {
                    return Ok(self.stopped(query.failed, &refusal));
                }
                Ok(self.failed(query.failed, query.refusal.as_ref(), body))
            }
            Reaction::TransactionFailed => {
                self.state.failed();
                Ok(Delivery::Hide)
            }
            Reaction::CopyOut(statement) => {
                if is_limited {
                    self.limited_copy_begins(body);
                }
                if self.masks.is_on() {
                    self.copy_out = Some(Box::new(self.copy_out_of(statement.as_ref(), body)?));
                }
                Ok(Delivery::Forward)
            }
            Reaction::FunctionEnded(run, changes) => {
                if changes {
                    self.state.execution_succeeded();
                }
                if let Some(run) = run {
                    self.end_answered(run, Ending::Completed, None);
                }
                Ok(Delivery::Forward)
            }
            Reaction::Refused(refusal) => {
                self.state.failed();
                Ok(self.failed(None, Some(&refusal), body))
            }
        }
    }

    /// A message's last reply.
    fn done(
        &mut self,
        role: Role,
        ticket: Ticket,
        body: &mut [u8],
        is_limited: bool,
    ) -> Result<Delivery, End> {
        if role == Role::Error {
            return Ok(self.message_failed(ticket, body, is_limited));
        }
        if let Role::ReadyForQuery(status) = role {
            self.ready(status, ticket.cycle())?;
            if is_limited && matches!(ticket, Ticket::Query(_)) && self.limited_query_ready(status) {
                return Ok(Delivery::Hide);
            }
        }
        match ticket {
            Ticket::Query(query) => {
                // The text held no statement, or the server counted fewer than its grammar.
                for statement in query.ended..query.live {
                    self.end_answered(query.run(statement), Ending::Completed, None);
                }
                let left = query.makes().iter().filter(|(index, _)| *index >= query.ended);
                for (_, made) in left {
                    self.make_failed(made);
                }
            }
            Ticket::Parse {
                name,
                prepared,
                changes,
            } => {
                self.changed(changes);
                drop(self.statements.succeeded(&name, &prepared));
            }
            Ticket::Bind {
                name,
                portal,
                changes,
            } => {
                self.changed(changes);
                if let Some(before) = self.portals.succeeded(&name, &portal) {
                    self.end_portal(&before, self.answered_since);
                }
            }
            Ticket::DescribeStatement { prepared } => {
                if let Some(prepared) = prepared
                    && self.masks.is_on()
                {
                    prepared.describe(match role {
                        Role::RowDescription => {
                            let expected = self.expected_of(&prepared.judged());
                            self.described(body, &expected)?.columns
                        }
                        _ => Rc::from([]),
                    });
                }
            }
            Ticket::DescribePortal { portal, is_hidden } => {
                if let Some(portal) = portal
                    && self.masks.is_on()
                    && role == Role::RowDescription
                {
                    let expected = self.expected_of_portal(&portal);
                    let Description { columns, plan, .. } = self.described(body, &expected)?;
                    portal.set_plan(plan);
                    // Under a name that SQL shares another portal may have answered.
                    if let Some(statement) = &portal.statement
                        && !portal.is_named
                    {
                        statement.describe(columns);
                    }
                }
                if is_hidden {
                    return Ok(Delivery::Hide);
                }
            }
            Ticket::Execute {
                portal,
                run,
                made,
                changes,
            } => {
                self.copy_out = None;
                self.changed(changes);
                let outcome = if role == Role::Suspended {
                    Ending::Suspended
                } else {
                    Ending::Completed
                };
                if outcome == Ending::Completed
                    && let Some(prepared) = &portal.statement
                {
                    let judged = prepared.judged();
                    self.completed(&judged, made.as_ref());
                }
                let ended = if is_limited {
                    self.limited_ends(0, true, body)
                } else {
                    Ended::Passes
                };
                self.end_within_limits(run, outcome, &ended, body);
                match ended {
                    Ended::Passes => {}
                    Ended::Warns(warning) => return Ok(Delivery::ForwardBehind(warning)),
                    // What was sent behind it fails in its place.
                    Ended::Fails => return Ok(Delivery::Hide),
                }
            }
            Ticket::CloseStatement { name } => drop(self.statements.closed(&name)),
            Ticket::ClosePortal { name } => {
                if let Some(portal) = self.portals.closed(&name) {
                    self.end_portal(&portal, self.answered_since);
                }
            }
            Ticket::FunctionCall { run, .. } => {
                if let Some(run) = run {
                    self.end_answered(run, Ending::Completed, None);
                }
            }
            Ticket::Refused { .. } => {
                if !matches!(role, Role::ReadyForQuery(_)) {
                    // What must fail did not: nothing is known of the server any more.
                    return Err(End::server("a message that cannot succeed has succeeded"));
                }
            }
            Ticket::FailsTransaction => {
                if role != Role::ReadyForQuery(TransactionStatus::Failed) {
                    return Err(End::server("a message that cannot succeed has succeeded"));
                }
                self.limited_settled();
            }
            Ticket::Sync { .. } | Ticket::Hidden | Ticket::Plain => {}
        }
        Ok(Delivery::Forward)
    }

    /// A message has succeeded that was to change the session's state.
    fn changed(&mut self, changes: bool) {
        if changes {
            self.state.execution_succeeded();
        }
    }

    /// A message of the extended protocol has failed.
    fn message_failed(&mut self, ticket: Ticket, body: &mut [u8], is_limited: bool) -> Delivery {
        self.state.failed();
        match ticket {
            Ticket::Parse { name, prepared, .. } => {
                self.statements.failed(&name, &prepared);
                self.record_failed_parse(&prepared, body);
                // Nothing has run that could have read a value.
                self.mask_text(body);
                Delivery::Forward
            }
            Ticket::Bind { name, portal, .. } => {
                self.portals.failed(&name, &portal);
                let run = portal.run.take();
                self.bound_runs -= usize::from(run.is_some());
                self.failed(run, None, body)
            }
            Ticket::Execute { run, made, .. } => {
                self.copy_out = None;
                if let Some(made) = &made {
                    self.make_failed(made);
                }
                if is_limited && let Some(refusal) = self.limited_fails(true) {
                    return self.stopped(Some(run), &refusal);
                }
                self.failed(Some(run), None, body)
            }
            Ticket::Refused { refusal, .. } => {
                self.limited_settled();
                self.failed(None, Some(&refusal), body)
            }
            Ticket::FunctionCall { run, .. } => self.failed(run, None, body),
            Ticket::Query(_)
            | Ticket::DescribeStatement { .. }
            | Ticket::DescribePortal { .. }
            | Ticket::CloseStatement { .. }
            | Ticket::ClosePortal { .. }
            | Ticket::Sync { .. }
            | Ticket::FailsTransaction
            | Ticket::Hidden
            | Ticket::Plain => self.failed(None, None, body),
        }
    }

    /// An error of the server: the end of a run, or the expected failure of what was sent for a refused message.
    fn failed(&mut self, run: Option<Run>, refusal: Option<&Refusal>, body: &mut [u8]) -> Delivery {
        let sqlstate = Fields::parse(body).ok().and_then(|fields| fields.sqlstate());
        if let Some(run) = run {
            let cancelled = sqlstate == Some(SqlState::QUERY_CANCELED);
            let outcome = if cancelled {
                Ending::Cancelled
            } else {
                Ending::Failed
            };
            self.end_answered(run, outcome, sqlstate);
        }
        if let Some(refusal) = refusal
            && sqlstate == Some(refusal.expected)
        {
            return Delivery::Replace(refusal.report());
        }
        self.tell(b'E', body)
    }

    /// The error of a statement that was stopped at a limit.
    fn stopped(&mut self, run: Option<Run>, refusal: &Refusal) -> Delivery {
        if let Some(run) = run {
            self.end_answered(run, Ending::Limited, Some(refusal.sqlstate));
        }
        Delivery::Replace(refusal.report())
    }

    /// Ends a run that the server has done.
    fn end_within_limits(&mut self, run: Run, outcome: Ending, ended: &Ended, body: &[u8]) {
        match (ended, self.limit_passed().map(Over::sqlstate)) {
            (Ended::Fails, Some(sqlstate)) => self.end_answered(run, Ending::Limited, Some(sqlstate)),
            (Ended::Warns(_), _) => self.end_answered(run, outcome, None),
            _ => {
                self.count_rows(body);
                self.end_answered(run, outcome, None);
            }
        }
    }

    /// What of an error or notice the client is told.
    fn tell(&mut self, tag: u8, body: &mut [u8]) -> Delivery {
        if self.masks.withholds_words()
            && let Some(mut instead) = words::withheld(tag, body)
        {
            self.mask_text(instead.get_mut(HEADER_BYTES..).unwrap_or_default());
            return Delivery::Replace(instead);
        }
        self.mask_text(body);
        Delivery::Forward
    }

    /// How the data of a COPY are masked.
    fn copy_out_of(&self, judged: Option<&Judged>, body: &[u8]) -> Result<CopyOut, End> {
        let response = CopyResponse::parse(body).map_err(End::server)?;
        if self.masks.tags.is_empty() {
            return Ok(CopyOut::new(response.format, self.masks.classes, None));
        }
        let columns = judged.and_then(|judged| match &judged.statement()?.kind {
            StatementKind::CopyOut { format, columns } => Some((*format, columns.as_ref()?)),
            _ => None,
        });
        match columns {
            Some((format, columns))
                if response.format == Format::Text
                    && usize::from(response.column_formats.count()) == columns.names.len() =>
            {
                let configured = self.connection.masking.columns();
                let hidden = HiddenColumns::of(columns, format, configured, self.masks.open);
                Ok(CopyOut::new(response.format, self.masks.classes, Some(hidden)))
            }
            _ => Err(End::new(
                EndReason::ServerProtocol,
                SqlState::FEATURE_NOT_SUPPORTED,
                "COPY data came that cannot be masked by column",
            )),
        }
    }

    /// What came without being asked for, or is the last that comes.
    fn unasked(&mut self, role: Role, body: &mut [u8]) -> Result<Delivery, End> {
        match role {
            Role::Fatal => {
                self.told_fatal = true;
                self.mask_text(body);
            }
            Role::ReadyForQuery(status) => self.ready(status, None)?,
            Role::Error => {
                self.state.failed();
                self.mask_text(body);
            }
            Role::ParameterStatus => {
                let status = ParameterStatus::parse(body).map_err(End::server)?;
                let name = String::from_utf8_lossy(status.name);
                let value = String::from_utf8_lossy(status.value);
                if !settings::value_accepted(&name, &value) && !self.allows_all() {
                    return Err(unreadable_under(&name, &value));
                }
                if let Some(setting) = Tracked::named(&name)
                    && let Some(value) = setting.parse(&value)
                {
                    self.reported.retain(|(reported, _)| *reported != setting);
                    self.reported.push((setting, value));
                }
                self.mask_text(body);
            }
            Role::Notice => return Ok(self.tell(b'N', body)),
            _ => self.mask_text(body),
        }
        Ok(Delivery::Forward)
    }

    /// The server waits for the next message. Outside of a transaction all portals are gone.
    fn ready(&mut self, status: TransactionStatus, cycle: Option<u64>) -> Result<(), End> {
        self.state.ready(cycle, status);
        if !self.reported.is_empty() {
            self.check_reported()?;
        }
        if status == TransactionStatus::Idle {
            // Only now does everybody see what a transaction changed.
            if std::mem::take(&mut self.has_changed_catalog) {
                self.catalog.request_refresh(&self.core);
            }
            if self.model.is_idle() {
                self.cursors.transaction_ended();
            }
            let mut gone: SmallVec<[Rc<Portal>; 2]> = SmallVec::new();
            self.portals.closed_all(|portal| gone.push(portal));
            if self.bound_runs > 0 {
                for portal in gone {
                    self.end_portal(&portal, self.answered_since);
                }
            }
            self.leave_catalog_of_transaction();
        }
        Ok(())
    }

    /// What a statement's success changes in the session.
    fn completed(&mut self, judged: &Judged, made: Option<&Made>) {
        if judged.verdict.is_inert {
            return;
        }
        if judged.verdict.changes_catalog(judged.index) {
            self.has_changed_catalog = true;
            self.catalog.request_refresh(&self.core);
        }
        let Some(statement) = judged.statement() else {
            return;
        };
        self.cursors_taken(statement);
        match made {
            Some(Made::Statement { name, prepared }) => {
                drop(self.statements.succeeded(name.as_bytes(), prepared));
            }
            Some(Made::Cursor { name, cursor }) => self.cursors.declared(name, cursor),
            None => {}
        }
        match &statement.kind {
            StatementKind::Deallocate { name: Some(name) } => drop(self.statements.closed(name.as_bytes())),
            StatementKind::Deallocate { name: None } => self.statements.closed_all(drop),
            StatementKind::Close { name } => self.cursors.closed(name.as_deref()),
            StatementKind::DiscardAll => {
                self.cursors.closed(None);
                self.statements.closed_all(drop);
                let mut gone = Vec::new();
                self.portals.closed_all(|portal| gone.push(portal));
                for portal in gone {
                    self.end_portal(&portal, self.answered_since);
                }
            }
            _ => {}
        }
    }

    /// Takes the count of CommandComplete where no rows were seen.
    fn count_rows(&mut self, body: &[u8]) {
        if self.tally.rows == 0
            && let Ok(complete) = CommandComplete::parse(body)
        {
            self.tally.rows = complete.rows.unwrap_or(0);
        }
    }

    /// Nothing of a Parse runs, so only its failure is recorded.
    fn record_failed_parse(&mut self, prepared: &Prepared, body: &[u8]) {
        let run = Run {
            id: self.take_runs(1),
            received: self.answered_since,
            sent: self.answered_since,
        };
        let judged = prepared.judged();
        let text = crate::postgres::session::Text {
            hash: judged.verdict.text_hash(),
            protocol: Protocol::Parse,
            part: 0,
            bytes: &prepared.text,
            mask: judged.mask(),
            effects: judged.verdict.lines(judged.index),
            asks_more: prepared.is_doubtful(),
        };
        let outcome: Outcome = judged.outcome().clone();
        if self.begin(run, text, &outcome, "").is_ok() {
            let sqlstate = Fields::parse(body).ok().and_then(|fields| fields.sqlstate());
            self.end_answered(run, Ending::Failed, sqlstate);
        }
    }

    /// Errors, notices and notifications carry values too.
    fn mask_text(&mut self, body: &mut [u8]) {
        if self.masks.scans() {
            sluice_masking::mask_value(body, self.masks.classes, &mut self.tally.masked);
        }
    }
}

/// A reply after which more is to come.
fn open(role: Role, statement: u32, ticket: &mut Ticket) -> Reaction {
    match (ticket, role) {
        (Ticket::Query(query), Role::RowDescription) => Reaction::Columns(query.judged(statement)),
        (Ticket::Query(query), Role::CopyOut) => Reaction::CopyOut(Some(query.judged(statement))),
        (Ticket::Execute { portal, .. }, Role::CopyOut) => {
            // What may be another COPY has columns that nobody knows.
            let prepared = portal.statement.as_ref().filter(|_| !portal.is_ambiguous.get());
            Reaction::CopyOut(prepared.map(|prepared| prepared.judged()))
        }
        (Ticket::Query(query), Role::Complete | Role::EmptyQuery) => {
            let run = (statement < query.live && statement >= query.ended).then(|| query.run(statement));
            query.ended = query.ended.max(statement.saturating_add(1).min(query.live));
            Reaction::Completed {
                run,
                judged: query.judged(statement),
                is_inert: query.verdict.is_inert,
                cycle: query.cycle,
                statement,
                made: query.made_by(statement).cloned(),
            }
        }
        (Ticket::Query(query), Role::Error) => {
            Reaction::Failed(Box::new(FailedQuery::take(query, statement)))
        }
        (Ticket::FunctionCall { run, changes, .. }, Role::FunctionResult) => {
            Reaction::FunctionEnded(run.take(), *changes)
        }
        (Ticket::FunctionCall { run, .. }, Role::Error) => {
            let failed = run.take();
            let like = failed.unwrap_or_else(|| Run::at(sluice_runtime::time::Moment::now()));
            Reaction::Failed(Box::new(FailedQuery {
                failed,
                skipped: 0..0,
                like,
                refusal: None,
            }))
        }
        (Ticket::Refused { refusal, .. }, Role::Error) => Reaction::Refused(refusal.clone()),
        (Ticket::FailsTransaction, Role::Error) => Reaction::TransactionFailed,
        (Ticket::DescribePortal { is_hidden: true, .. }, _) => Reaction::Hide,
        _ => Reaction::Forward,
    }
}
