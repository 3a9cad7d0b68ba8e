//! The middle of a session: bytes of both sides in, bytes for both sides out. It has no socket.
//!
//! [`client`](super::client) takes what the client sends, [`server`](super::server) what the server answers. Both share
//! what is here: the model of the server's states, the session's own state, the name tables, the masks, and the record
//! of what runs.

use std::borrow::Cow;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use sluice_audit::metrics::Counter;
use sluice_audit::record::{
    Body, Decision, EndReason, List, Outcome as Ending, Protocol, SessionEnd, Severity, StatementBegin,
    StatementEnd,
};
use sluice_audit::ring::RingFull;
use sluice_masking::{ClassSet, Counts};
use sluice_parsers::postgres::backend::encode::Report;
use sluice_parsers::postgres::{Deframer, Model, ModelError, ProtocolError, SqlState};
use sluice_parsers::sql::effect::EffectMask;
use sluice_parsers::sql::settings;
use sluice_policy::{Cause, Denial};
use sluice_runtime::net::Outgoing;
use sluice_runtime::time::Moment;
use smallvec::SmallVec;

use super::catalog::DatabaseCatalog;
use super::client::{ValuesReadBy, Waited};
use super::columns::{Plan, Tags};
use super::copy::CopyOut;
use super::cursors::Cursors;
use super::deny::Nobody;
use super::hidden::{Answered, Hidden};
use super::large::{LargeRow, LargeText};
use super::limited::Limited;
use super::look::OwnReading;
use super::names::Names;
use super::state::{State, Tracked, View};
use super::statements::{HoldBudget, Made, Portal, Prepared, Run, Ticket};
use super::unmask::{Asked, Open};
use crate::core::Core;
use crate::gate::{Context, Database, Outcome};
use crate::settings::Connection;

/// Bytes of statement texts that a session may have prepared.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The version of the fields in an error's DETAIL.
pub(super) const DETAIL_VERSION: u64 = 1;

/// What a session masks.
#[derive(Clone, Debug)]
pub(crate) struct Masks {
    /// Classes that are found by content; none where masking is off.
    pub(crate) classes: ClassSet,
    /// Configured columns of the session's database.
    pub(crate) tags: Arc<Tags>,
    /// These, with those that may be seen as they are.
    pub(super) configured: Arc<Tags>,
    /// What may be.
    pub(super) open: Open,
    /// Policy keeps other values from the session: what quotes any is not told.
    pub(super) hides: bool,
}

impl Masks {
    /// Whether rows need to be looked at.
    pub(crate) fn is_on(&self) -> bool {
        !self.classes.is_empty() || !self.tags.is_empty()
    }

    /// Whether errors and notices may quote what is not for the session.
    pub(super) fn withholds_words(&self) -> bool {
        self.hides || !self.tags.is_empty()
    }

    pub(crate) fn scans(&self) -> bool {
        !self.classes.is_empty()
    }
}

/// What goes out, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) to_server: Vec<Outgoing>,
    pub(crate) to_client: Vec<Outgoing>,
}

/// Why a session ends. It is boxed, as it stands beside what nearly every message gives: moved in one piece with that, it
/// would cost more than the rest.
#[derive(Debug)]
pub(crate) struct End(Box<EndDetails>);

/// What there is to say of an end.
#[derive(Debug)]
pub(crate) struct EndDetails {
    pub(crate) reason: EndReason,
    /// What the client is told, as a FATAL error; nothing if it is gone or was told by the server.
    pub(crate) sqlstate: Option<SqlState>,
    /// For the client and the record.
    pub(crate) message: String,
    /// What the client can do about it.
    pub(crate) hint: Option<Cow<'static, str>>,
}

impl Deref for End {
    type Target = EndDetails;

    fn deref(&self) -> &EndDetails {
        &self.0
    }
}

impl End {
    #[cold]
    pub(crate) fn new(reason: EndReason, sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(EndDetails {
            reason,
            sqlstate: Some(sqlstate),
            message: message.into(),
            hint: None,
        }))
    }

    /// Adds what the client can do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// An end that the client needs no word of.
    #[cold]
    pub(crate) fn quiet(reason: EndReason, message: impl Into<String>) -> Self {
        Self(Box::new(EndDetails {
            reason,
            sqlstate: None,
            message: message.into(),
            hint: None,
        }))
    }

    /// The client broke the protocol.
    pub(crate) fn hostile(error: &ProtocolError) -> Self {
        Self::new(EndReason::ClientProtocol, error.sqlstate(), error.to_string())
    }

    /// The client sent what the server's states do not allow.
    pub(crate) fn out_of_turn(error: ModelError) -> Self {
        Self::new(
            EndReason::ClientProtocol,
            SqlState::PROTOCOL_VIOLATION,
            error.to_string(),
        )
    }

    /// The server sent what is no message, or fits no expectation.
    pub(crate) fn server(error: impl std::fmt::Display) -> Self {
        let message = format!("the server's answer does not fit the protocol: {error}");
        Self::new(EndReason::ServerProtocol, SqlState::CONNECTION_FAILURE, message)
    }

    /// The ErrorResponse for the client.
    pub(crate) fn report(&self) -> Option<Vec<u8>> {
        let message = format!("sluice: {}", self.message);
        let sqlstate = self.sqlstate?;
        let mut out = Vec::new();
        let report = Report {
            hint: self.hint.as_deref(),
            ..Report::fatal(sqlstate, &message)
        };
        report.encode(&mut out);
        Some(out)
    }
}

/// What the statement that is being answered has given so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) masked: Counts,
    /// Time spent on its answer in the gateway.
    pub(super) spent_ns: u64,
}

/// Totals of the session, for its end record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) statements: u64,
    pub(super) denied: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) masked: [u64; 8],
}

/// How the text of an execution came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) protocol: Protocol,
    pub(super) part: u16,
    pub(super) bytes: &'a [u8],
    /// BLAKE3 of the bytes, where it is known.
    pub(super) hash: Option<[u8; 32]>,
    pub(super) mask: EffectMask,
    pub(super) effects: List<'a>,
    /// Policy was asked about more than the effects.
    pub(super) asks_more: bool,
}

/// One session between a client and a server, both logged in.
pub(crate) struct Session {
    pub(super) core: Rc<Core>,
    pub(crate) id: u64,
    /// Who asks, with the state in which the next statement would run: see [`Session::follow_state`].
    pub(super) context: Context,
    pub(super) state: State,
    /// What is known of the session's database: by the shared snapshot, or by a reading of its own.
    pub(super) database: Arc<Database>,
    /// That `database` is one of its own.
    pub(super) own_reading: Option<OwnReading>,
    /// Settings that the server has reported since it was ready last.
    pub(super) reported: SmallVec<[(Tracked, Rc<str>); 1]>,
    /// The gateway's own query that is being answered.
    pub(super) hidden: Option<Box<Hidden>>,
    pub(super) hidden_failures: u8,
    pub(super) masks: Masks,
    /// When policy was asked what may be seen as it is.
    pub(super) unmasking: Asked,
    /// What is known of its database.
    pub(super) catalog: DatabaseCatalog,
    /// The configured target.
    pub(super) connection: Arc<Connection>,
    /// The rows of a reading of its own.
    pub(super) catalog_rows: Option<Answered>,
    /// What the message that is judged has waited for.
    pub(super) waited: Waited,
    /// Messages were sent that a Sync has yet to end.
    pub(super) is_in_cycle: bool,
    /// When the snapshot's age was last looked at.
    pub(super) age_seen: Moment,
    /// A statement that may change the catalog succeeded in the transaction that is open.
    pub(super) has_changed_catalog: bool,
    pub(super) nobody: Nobody,
    pub(super) model: Model<Ticket>,
    pub(super) from_client: Deframer,
    pub(super) from_server: Deframer,
    pub(super) passing: super::client::Passing,
    pub(super) statements: Names<Prepared>,
    pub(super) portals: Names<Portal>,
    pub(super) cursors: Cursors,
    /// The epoch of the last snapshot that the server contradicted.
    pub(super) contradicted: u64,
    pub(super) hold_budget: HoldBudget,
    next_run: u64,
    /// Binds whose run no Execute has taken.
    pub(super) bound_runs: usize,
    pub(super) tally: Tally,
    /// When the server's bytes that are being worked on were received, or the last statement in them ended.
    pub(super) answered_since: Moment,
    pub(super) totals: Totals,
    /// The statement with limits that is being answered.
    pub(super) limited: Option<Box<Limited>>,
    pub(super) values_read_by: ValuesReadBy,
    /// The plan of the rows that a Query or Execute is giving.
    pub(super) plan: Rc<Plan>,
    /// A row that is larger than what is gathered, while it passes.
    pub(super) large_row: Option<Box<LargeRow>>,
    /// An error, notice or function's result that comes in parts.
    pub(super) large_text: Option<LargeText>,
    /// COPY data on its way to the client.
    pub(super) copy_out: Option<Box<CopyOut>>,
    /// A FATAL error of the server went to the client.
    pub(super) told_fatal: bool,
}

impl Session {
    pub(crate) fn new(
        core: Rc<Core>,
        id: u64,
        context: Context,
        state: State,
        connection: Arc<Connection>,
        catalog: DatabaseCatalog,
        nobody: Nobody,
    ) -> Self {
        let names_max = core.settings.limits.prepared_max;
        let tags = Arc::clone(catalog.snapshot().tags());
        let database = Arc::clone(catalog.snapshot().database());
        let classes = connection.masking.classes();
        let mut session = Self {
            core,
            id,
            context,
            state,
            database,
            own_reading: None,
            reported: SmallVec::new(),
            hidden: None,
            hidden_failures: 0,
            masks: Masks {
                classes,
                configured: Arc::clone(&tags),
                tags,
                open: Open::default(),
                hides: false,
            },
            unmasking: Asked::never(),
            catalog,
            connection,
            catalog_rows: None,
            waited: Waited::default(),
            is_in_cycle: false,
            age_seen: Moment::now(),
            has_changed_catalog: false,
            nobody,
            model: Model::new(),
            from_client: Deframer::new(),
            from_server: Deframer::new(),
            passing: super::client::Passing::Nothing,
            statements: Names::new(names_max),
            portals: Names::new(names_max),
            cursors: Cursors::default(),
            contradicted: 0,
            hold_budget: HoldBudget::new(HELD_BYTES_MAX),
            next_run: 1,
            bound_runs: 0,
            tally: Tally::default(),
            answered_since: Moment::now(),
            totals: Totals::default(),
            limited: None,
            values_read_by: ValuesReadBy::default(),
            plan: Rc::new(Plan::suspicious(0)),
            large_row: None,
            large_text: None,
            copy_out: None,
            told_fatal: false,
        };
        session.follow_state();
        session.follow_unmasking(session.age_seen);
        session
    }

    /// Makes the context that of the state in which a statement sent now would run.
    pub(super) fn follow_state(&mut self) {
        let names = self.state.names();
        if !self.context.is_with(names, &self.database) {
            let mut gate = self.core.gate.borrow_mut();
            self.context = gate.context_in(&self.context, names, &self.database);
        }
    }

    /// Whether the client's next message waits for answers of the server, if it is one whose meaning depends on them.
    pub(crate) fn is_held(&self) -> bool {
        self.hidden.is_some()
            || self.is_limited_ahead()
            || (self.state.view(self.model.is_idle()) == View::InDoubt
                && !self.model.in_copy_in()
                && !self.model.skips())
    }

    /// Reported settings are what the model says, or something has happened that it has not seen.
    pub(super) fn check_reported(&mut self) -> Result<(), End> {
        for (setting, value) in std::mem::take(&mut self.reported) {
            let Some(confirmed) = self.state.confirmed(setting) else {
                continue;
            };
            if *confirmed == *value {
                continue;
            }
            if setting.is_lexing() && !self.allows_all() {
                let message = format!(
                    "the server's {} became {value} unseen, under which statements cannot be judged",
                    setting.name()
                );
                return Err(End::new(
                    EndReason::ServerProtocol,
                    SqlState::INVALID_PARAMETER_VALUE,
                    message,
                ));
            }
            self.state.forget(setting);
        }
        Ok(())
    }

    /// Text is read as the gate reads it, or the session ends, unless everything is allowed.
    pub(super) fn check_lexing(&self) -> Result<(), End> {
        for setting in Tracked::ALL.into_iter().filter(|setting| setting.is_lexing()) {
            if let Some(value) = self.state.confirmed(setting)
                && !settings::value_accepted(setting.name(), value)
                && !self.allows_all()
            {
                return Err(unreadable_under(setting.name(), value));
            }
        }
        Ok(())
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Whether the server has told the client of the session's end itself.
    pub(crate) fn was_told_fatal(&self) -> bool {
        self.told_fatal
    }

    /// Whether nothing is under way: the session may be ended without breaking anything off.
    pub(crate) fn is_idle(&self) -> bool {
        self.model.is_idle() && self.limited.is_none() && self.from_client.is_clear()
    }

    /// Whether another message of the client may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.model.room() > HIDDEN_MESSAGES
    }

    pub(super) fn allows_all(&self) -> bool {
        self.core.gate.borrow_mut().policies().is_allow_all()
    }

    /// A run's name, by which whoever is told of it finds it in the record.
    pub(super) fn request_name(&self, run: u64) -> String {
        let boot = self.core.ledger.borrow().boot();
        format!("{}/{run}", boot.session_name(self.id))
    }

    /// The number of the next run; `count` are taken.
    pub(super) fn take_runs(&mut self, count: usize) -> u64 {
        let first = self.next_run;
        self.next_run += count as u64;
        first
    }

    /// Commits the begin of a run.
    pub(super) fn begin(
        &mut self,
        run: Run,
        text: Text<'_>,
        outcome: &Outcome,
        message: &str,
    ) -> Result<(), RingFull> {
        let (decision, policy) = match outcome {
            Outcome::Allow(policy) | Outcome::Limited { policy, .. } => (Decision::Allow, policy.as_deref()),
            Outcome::Deny(denial) => (Decision::Deny, denial.policy.as_deref()),
            Outcome::Observe(denial) => (Decision::Observe, denial.policy.as_deref()),
        };
        let would_say = match outcome {
            Outcome::Observe(denial) if message.is_empty() => denial.to_string(),
            // Its effects and policies are those of a statement that runs.
            Outcome::Deny(denial) if denial.cause == Cause::Budget => denial.to_string(),
            _ => String::new(),
        };
        let message = if would_say.is_empty() { message } else { &would_say };
        let begin = StatementBegin {
            protocol: text.protocol,
            part: text.part,
            text: text.bytes,
            text_hash: text.hash,
            actions: text.mask.action_bits(),
            flags: u32::from(text.mask.flags().bits()),
            effects: text.effects,
            decision,
            policy: policy.unwrap_or_default(),
            message,
            asks_more: text.asks_more,
            severity: match outcome {
                Outcome::Deny(denial) | Outcome::Observe(denial) => recorded_severity(denial),
                Outcome::Allow(_) | Outcome::Limited { .. } => Severity::default(),
            },
            ..StatementBegin::default()
        };
        let mut ledger = self.core.ledger.borrow_mut();
        ledger.begin(run.received, self.id, run.id, begin)?;
        self.totals.statements += 1;
        ledger.metrics.add(Counter::Statements, 1);
        match decision {
            Decision::Allow => ledger.metrics.add(Counter::StatementsAllowed, 1),
            Decision::Observe => ledger.metrics.add(Counter::StatementsObserved, 1),
            _ => {
                self.totals.denied += 1;
                ledger.metrics.add(Counter::StatementsDenied, 1);
            }
        }
        Ok(())
    }

    /// Ends a run that gave nothing: denied, skipped, or of unknown outcome.
    pub(super) fn end_empty(&mut self, run: Run, outcome: Ending, now: Moment) {
        let gateway_ns = run.sent.nanoseconds_since(run.received);
        let end = StatementEnd {
            outcome,
            gateway_ns,
            ..StatementEnd::default()
        };
        self.core.ledger.borrow_mut().end(now, self.id, run.id, end);
    }

    /// Ends the run that is being answered, with what its answer gave.
    pub(super) fn end_answered(&mut self, run: Run, outcome: Ending, sqlstate: Option<SqlState>) {
        let now = Moment::now();
        let tally = std::mem::take(&mut self.tally);
        let spent_ns = tally.spent_ns + now.nanoseconds_since(self.answered_since);
        self.answered_since = now;
        let gateway_ns = run.sent.nanoseconds_since(run.received) + spent_ns;
        let upstream_ns = now.nanoseconds_since(run.sent).saturating_sub(spent_ns);
        let mut masked = [0; 8];
        for (class, count) in tally.masked.iter() {
            masked[class.index()] = u64::from(count);
            self.totals.masked[class.index()] += u64::from(count);
        }
        self.totals.rows += tally.rows;
        self.totals.bytes += tally.bytes;
        let end = StatementEnd {
            outcome,
            sqlstate: sqlstate.map(|state| state.0),
            rows: tally.rows,
            bytes: tally.bytes,
            masked,
            gateway_ns,
            upstream_ns,
        };
        let mut ledger = self.core.ledger.borrow_mut();
        ledger.end(now, self.id, run.id, end);
        ledger.metrics.add(Counter::RowsForwarded, tally.rows);
        match outcome {
            Ending::Failed => ledger.metrics.add(Counter::StatementsFailed, 1),
            Ending::Limited if sqlstate == Some(SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
                ledger.metrics.add(Counter::StatementsOverBudget, 1);
            }
            Ending::Limited => ledger.metrics.add(Counter::StatementsLimited, 1),
            _ => {}
        }
        ledger.masked(&tally.masked);
        ledger.times(gateway_ns, upstream_ns);
    }

    /// Ends every run that is open, when the session ends.
    pub(crate) fn end_runs(&mut self, now: Moment) {
        let open: Vec<Ticket> = self.model.drain().collect();
        let mut is_front = true;
        for ticket in open {
            let outcome = if is_front {
                Ending::Unknown
            } else {
                Ending::Skipped
            };
            is_front &= !self.end_ticket(ticket, outcome, now);
        }
        self.end_bound_runs(now);
    }

    /// Ends the runs of Binds that were never executed, as their portals go.
    pub(super) fn end_bound_runs(&mut self, now: Moment) {
        if self.bound_runs == 0 {
            return;
        }
        let mut gone = Vec::new();
        self.portals.closed_all(|portal| gone.push(portal));
        for portal in gone {
            self.end_portal(&portal, now);
        }
    }

    /// Ends the run that a portal's Bind began, if no Execute took it.
    pub(super) fn end_portal(&mut self, portal: &Portal, now: Moment) {
        if let Some(run) = portal.run.take() {
            self.bound_runs -= 1;
            self.end_empty(run, Ending::Skipped, now);
        }
    }

    /// Ends the runs of a message that gets no further answer; says whether it had any.
    pub(super) fn end_ticket(&mut self, ticket: Ticket, outcome: Ending, now: Moment) -> bool {
        match ticket {
            Ticket::Query(query) => {
                for statement in query.ended..query.live {
                    self.end_empty(query.run(statement), outcome, now);
                }
                for (_, made) in query.makes() {
                    self.make_failed(made);
                }
                query.ended < query.live
            }
            Ticket::Parse { name, prepared, .. } => {
                self.statements.failed(&name, &prepared);
                false
            }
            Ticket::Bind { name, portal, .. } => {
                self.portals.failed(&name, &portal);
                self.end_portal(&portal, now);
                false
            }
            Ticket::Execute { run, made, .. } => {
                if let Some(made) = &made {
                    self.make_failed(made);
                }
                self.end_empty(run, outcome, now);
                true
            }
            Ticket::FunctionCall { run: Some(run), .. } => {
                self.end_empty(run, outcome, now);
                true
            }
            Ticket::DescribeStatement { .. }
            | Ticket::DescribePortal { .. }
            | Ticket::CloseStatement { .. }
            | Ticket::ClosePortal { .. }
            | Ticket::FunctionCall { run: None, .. }
            | Ticket::Refused { .. }
            | Ticket::Sync { .. }
            | Ticket::FailsTransaction
            | Ticket::Hidden
            | Ticket::Plain => false,
        }
    }

    /// A PREPARE or DECLARE has named nothing.
    pub(super) fn make_failed(&mut self, made: &Made) {
        match made {
            Made::Statement { name, prepared } => self.statements.failed(name.as_bytes(), prepared),
            Made::Cursor { name, cursor } => self.cursors.failed(name, cursor),
        }
    }

    pub(super) fn count_copied(&self, bytes: usize) {
        if bytes > 0 {
            self.core
                .ledger
                .borrow_mut()
                .metrics
                .add(Counter::BytesCopied, bytes as u64);
        }
    }

    /// The session's end in the record.
    pub(crate) fn record_end(&self, end: &End, now: Moment) {
        let body = SessionEnd {
            reason: end.reason,
            detail: &end.message,
            statements: self.totals.statements,
            denied: self.totals.denied,
            rows: self.totals.rows,
            bytes: self.totals.bytes,
            masked: self.totals.masked,
        };
        // Room for it was kept at the session's start.
        let recorded = self
            .core
            .ledger
            .borrow_mut()
            .append(now, self.id, 0, Body::SessionEnd(body));
        debug_assert!(recorded.is_ok(), "{recorded:?}");
    }
}

/// A denial's severity, as records have it.
pub(super) fn recorded_severity(denial: &Denial) -> Severity {
    let name = denial.severity.map(sluice_policy::Severity::name);
    name.and_then(Severity::from_name).unwrap_or_default()
}

/// The end of a session in which the next statement would be read in another way than it was judged.
pub(super) fn unreadable_under(name: &str, value: &str) -> End {
    End::new(
        EndReason::ServerProtocol,
        SqlState::INVALID_PARAMETER_VALUE,
        format!("the server's {name} became {value}, under which statements cannot be judged"),
    )
}

/// Messages that the gateway may add to one of the client's.
pub(super) const HIDDEN_MESSAGES: usize = 2;
