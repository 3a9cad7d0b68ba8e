//! Judges the client's messages, one kind a function.

use std::cell::OnceCell;
use std::rc::Rc;

use sluice_audit::record::{EndReason, Outcome as Ending, Protocol};
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::frontend::{self, Bind, Execute, FunctionCall, Parse, Target};
use sluice_parsers::postgres::{Frame, ProtocolError, Sent, SqlState};
use sluice_parsers::sql::effect::{Action, Effect, Object, ObjectKind};
use sluice_parsers::sql::statement::StatementKind;
use sluice_parsers::sql::world::Deferred;
use sluice_policy::Limits;
use sluice_runtime::time::Moment;
use smallvec::{SmallVec, smallvec};

use super::judging::{Gated, Refused, TOO_MUCH_HELD, reads_alike};
use super::limits::CountedIn;
use super::recording::{Recorded, Subject, not_recorded};
use super::{Act, TextOf, parameters};
use crate::gate::{Finding, Judgement, Outcome, Terms, effect_lines};
use crate::postgres::cursors::Cursor;
use crate::postgres::deny::Kind;
use crate::postgres::limited::{Bounds, Limited};
use crate::postgres::session::{End, Session, Text};
use crate::postgres::state::Change;
use crate::postgres::statements::{
    Held, Judged, Made, MadeBy, Portal, Prepared, Refusal, ResultFormats, Run, Ticket,
};

/// Large object functions that may be called by OID (`pg_proc.dat`); no other OID says what it does.
const LARGE_OBJECT_FUNCTIONS: [(u32, &str); 13] = [
    (715, "lo_create"),
    (952, "lo_open"),
    (953, "lo_close"),
    (954, "loread"),
    (955, "lowrite"),
    (956, "lo_lseek"),
    (957, "lo_creat"),
    (958, "lo_tell"),
    (964, "lo_unlink"),
    (1004, "lo_truncate"),
    (3170, "lo_lseek64"),
    (3171, "lo_tell64"),
    (3172, "lo_truncate64"),
];

/// What a client is told whose message names what may be one of several statements, of which one has limits.
const NOT_KNOWN_YET: &str = "sluice: what stands under this name is not known before the server has answered, and policy \
                             limits what it may do";

/// The hint to it.
const READ_FIRST: &str = "Read the answers to what was sent before.";

/// What a client is told whose call has limits.
const CALLED_BY_OID: &str = "sluice: policy limits what this may give, change or take, which is not told of a function \
                             that is called by its OID";

/// The hint to it.
const CALL_BY_SELECT: &str = "Call it by SELECT.";

/// `object_not_in_prerequisite_state`
const NOT_IN_STATE: SqlState = SqlState(*b"55000");

/// The server takes one statement; a few are judged nonetheless, so that the record tells what they would have done.
const PARSED_MAX: usize = 16;

/// What a client is told of more.
const ONE_AT_A_TIME: &str = "sluice: cannot insert multiple commands into a prepared statement";

/// How long the snapshot's age is taken for granted.
const AGE_SEEN_NS: u64 = 1_000_000_000;

impl Session {
    /// Judges a whole message. A finding is the analysis that was asked for at the first try.
    pub(super) fn request(
        &mut self,
        frame: &[u8],
        finding: Option<Finding>,
        received: Moment,
    ) -> Result<Act, End> {
        // What was just looked at is what the message waited for.
        if !self.waited.has_just_looked {
            self.follow_catalog();
        }
        let has_waited = self.waited.has_looked || self.waited.analyses > 0;
        let seen = if has_waited { Moment::now() } else { received };
        if seen.nanoseconds_since(self.age_seen) > AGE_SEEN_NS {
            let now = sluice_runtime::time::now();
            if self.is_catalog_expired(now) {
                return self.outlive_catalog();
            }
            self.leave_old_catalog(now);
            self.age_seen = seen;
        }
        self.follow_unmasking(seen);
        let hostile = |error: ProtocolError| End::hostile(&error);
        let Frame { tag, body } = Frame::from_bytes(frame).map_err(hostile)?;
        let plain = match tag {
            b'Q' => return self.query(frontend::query(body).map_err(hostile)?, finding, received),
            b'P' => return self.parse(&Parse::parse(body).map_err(hostile)?, finding, received),
            b'B' => {
                let bind = Bind::parse(body).map_err(hostile)?;
                let formats = ResultFormats::of_bind(&bind.result_formats);
                return self.bind(bind.portal, bind.statement, Some((&bind, formats)), received);
            }
            b'E' => return self.execute(&Execute::parse(body).map_err(hostile)?, received),
            b'D' => return self.describe(&Target::parse(body).map_err(hostile)?, received),
            b'C' => {
                let ticket = match Target::parse(body).map_err(hostile)? {
                    Target::Statement(name) => Ticket::CloseStatement { name: name.into() },
                    Target::Portal(name) => Ticket::ClosePortal { name: name.into() },
                };
                self.sent(Sent::Close, ticket, received)?;
                return Ok(Act::Forward);
            }
            b'F' => {
                let call = FunctionCall::parse(body).map_err(hostile)?;
                return self.function_call(call.function, received);
            }
            b'd' => Sent::CopyData,
            b'f' => {
                frontend::copy_fail(body).map_err(hostile)?;
                Sent::CopyFail
            }
            b'S' | b'H' | b'c' | b'X' => {
                frontend::empty(body).map_err(hostile)?;
                match tag {
                    b'S' => {
                        let cycle = self.state.cycle();
                        self.sent(Sent::Sync, Ticket::Sync { cycle }, received)?;
                        return Ok(Act::Forward);
                    }
                    b'H' => Sent::Flush,
                    b'c' => Sent::CopyDone,
                    _ => return Ok(Act::Terminate),
                }
            }
            tag => return Err(hostile(ProtocolError::UnknownTag { tag })),
        };
        self.sent(plain, Ticket::Plain, received)?;
        Ok(Act::Forward)
    }

    /// The snapshot has expired: the message waits for another one, once.
    fn outlive_catalog(&self) -> Result<Act, End> {
        if self.waited.has_looked {
            return Err(End::new(
                EndReason::ServerGone,
                SqlState::CONNECTION_FAILURE,
                "the database's catalog could not be read for catalog_max_age; no statement can be judged",
            ));
        }
        Ok(Act::Look)
    }

    /// A Parse: its text is judged under the declared parameter types; nothing runs yet.
    fn parse(&mut self, parse: &Parse<'_>, finding: Option<Finding>, received: Moment) -> Result<Act, End> {
        if parse.sql.len() > self.core.settings.limits.max_statement_bytes {
            return self.refuse_long_text(Kind::Parse, received).map(Act::Replace);
        }
        self.follow_state();
        let types = parse.parameter_types.as_bytes();
        let verdict = match self.judge(parse.sql, types, finding) {
            Judgement::Known(verdict) => verdict,
            Judgement::Away(brief) => {
                // The name before it ends with a NUL.
                let start = HEADER_BYTES + parse.name.len() + 1;
                let own = start..start + parse.sql.len();
                return self.send_away(Kind::Parse, parse.name, brief, TextOf::Message(own), received);
            }
        };
        if self.should_look(&verdict) {
            return Ok(Act::Look);
        }
        if verdict.statements.len() > PARSED_MAX {
            let refusal = Kind::Parse.refusal(SqlState::SYNTAX_ERROR, ONE_AT_A_TIME);
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        let alike = OnceCell::new();
        let alike = || *alike.get_or_init(|| reads_alike(parse.sql));
        let mut gated = Gated::Allowed;
        if !verdict.is_plain || !self.state.is_settled() {
            for (statement, outcome) in verdict.statements.iter().zip(&verdict.outcomes) {
                gated = gated.and(|| {
                    let is_uncertain = self.is_uncertain(&statement.kind, alike);
                    if statement.decided_at_bind.is_empty() {
                        return self.gate_statement(Kind::Parse, statement, outcome, is_uncertain);
                    }
                    // Bind decides the rest.
                    let effects: SmallVec<[Effect; 4]> = statement.effects_before_bind().cloned().collect();
                    self.gate_statement(Kind::Parse, statement, &self.decide(&effects), is_uncertain)
                });
            }
        }
        let judged = Judged { verdict, index: 0 };
        if let Gated::Refused(refused) = gated {
            let run = Run {
                id: self.take_runs(1),
                received,
                sent: received,
            };
            let subject = Subject {
                protocol: Protocol::Parse,
                part: 0,
                text: parse.sql,
                judged: &judged,
                note: "",
                asks_more: false,
            };
            if let Recorded::Yes = self.record(run, subject, &refused.1) {
                self.end_empty(run, Ending::Denied, received);
            }
            let refusal = self.explained(refused, run, &judged);
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        let own_bytes = parse.sql.len() + types.len();
        let Some(held) = self.hold_budget.take_judged(own_bytes, &judged.verdict) else {
            let refusal = Kind::Parse.refusal(SqlState::INSUFFICIENT_RESOURCES, TOO_MUCH_HELD);
            return self.replace(Kind::Parse, parse.name, refusal, received);
        };
        let changes = self.foresee_unseen(&judged);
        let text = judged.verdict.shared_text(parse.sql);
        let prepared = self.prepared(text, types, judged, MadeBy::Parse, held);
        if let Err(error) = self.statements.sent(parse.name, Rc::clone(&prepared)) {
            let refusal = Kind::Parse.refusal(SqlState::INSUFFICIENT_RESOURCES, &format!("sluice: {error}"));
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        self.sent(
            Sent::Parse,
            Ticket::Parse {
                name: parse.name.into(),
                prepared,
                changes,
            },
            received,
        )?;
        Ok(Act::Forward)
    }

    /// A Bind: planning may run code already, so the run begins here. Without the rest the message comes in parts.
    pub(super) fn bind(
        &mut self,
        portal_name: &[u8],
        statement_name: &[u8],
        rest: Option<(&Bind<'_>, ResultFormats)>,
        received: Moment,
    ) -> Result<Act, End> {
        self.follow_state();
        let mut candidates = self.statements.candidates(statement_name);
        let is_ambiguous = candidates.len() > 1;
        let is_whole = rest.is_some();
        let (bind, formats) = rest.unzip();
        let (mut refused, mut observed, mut terms) = (None, None, None);
        for prepared in &mut candidates {
            let mut gated = self.gate_prepared(Kind::Bind, prepared);
            if let Some(bound) = bind.and_then(|bind| self.decided_by(bind, prepared)) {
                gated = self.gate_prepared(Kind::Bind, &bound);
                *prepared = bound;
            }
            if is_whole && self.should_look(&prepared.judged().verdict) {
                return Ok(Act::Look);
            }
            match gated {
                // What it is held to depends on which of them it is.
                Gated::Limited(_) if is_ambiguous => {
                    let refusal = Kind::Bind
                        .refusal(NOT_IN_STATE, NOT_KNOWN_YET)
                        .with_hint(READ_FIRST);
                    refused = Some((refusal, self.held(prepared.judged().outcome())));
                    break;
                }
                Gated::Allowed => {}
                Gated::Limited(more) => terms = Some(more),
                Gated::Observed(outcome) => observed = Some(outcome),
                Gated::Refused(refusal) => {
                    refused = Some(refusal);
                    break;
                }
                Gated::Away(brief) => {
                    let text = TextOf::Prepared(Rc::clone(prepared));
                    return self.send_away(Kind::Bind, b"", brief, text, received);
                }
            }
        }
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        if candidates.is_empty() && !self.allows_all() {
            // What the server has under a name that never passed here, nobody has judged.
            let name = String::from_utf8_lossy(statement_name);
            let message = format!("prepared statement \"{name}\" does not exist");
            let refusal = Kind::Bind.refusal(SqlState::INVALID_STATEMENT_NAME, &message);
            return self.replace(Kind::Bind, portal_name, refusal, received);
        }
        let prepared = candidates.first().cloned();
        if let (None, Some(terms), Some(prepared)) = (&refused, &terms, &prepared) {
            refused = self.pay_at_bind(terms, run, prepared, bind).err();
        }
        let recorded = match &prepared {
            Some(prepared) => {
                let judged = prepared.judged();
                let refused_for = refused.as_ref().map(|(_, outcome)| outcome);
                let outcome = refused_for
                    .or(observed.as_ref())
                    .unwrap_or_else(|| judged.outcome());
                let protocol = if refused.is_some() {
                    Protocol::Bind
                } else {
                    Protocol::Execute
                };
                let subject = Subject::of(prepared, &judged, protocol);
                let asks_more = subject.asks_more || candidates.len() > 1;
                self.record(run, Subject { asks_more, ..subject }, outcome)
            }
            None => self.record_unknown(run, statement_name, &[], &Outcome::Allow(None)),
        };
        if let Recorded::No = recorded {
            return self.replace(Kind::Bind, portal_name, not_recorded(Kind::Bind), received);
        }
        if let Some(refused) = refused.take() {
            self.end_empty(run, Ending::Denied, received);
            let refusal = match &prepared {
                Some(prepared) => self.explained(refused, run, &prepared.judged()),
                None => refused.0,
            };
            return self.replace(Kind::Bind, portal_name, refusal, received);
        }
        let run = Run {
            sent: Moment::now(),
            ..run
        };
        let is_ambiguous = is_ambiguous || candidates.iter().any(|prepared| prepared.is_doubtful());
        let portal = Rc::new(Portal::new(portal_name, prepared, formats, run, is_ambiguous));
        self.bound_runs += 1;
        if portal_name.is_empty() {
            // The server drops the unnamed portal first.
            if let Some(before) = self.portals.likeliest(b"").cloned() {
                self.end_portal(&before, received);
            }
        }
        if let Err(error) = self.portals.sent(portal_name, Rc::clone(&portal)) {
            self.end_portal(&portal, received);
            let refusal = Kind::Bind.refusal(SqlState::INSUFFICIENT_RESOURCES, &format!("sluice: {error}"));
            return self.replace(Kind::Bind, portal_name, refusal, received);
        }
        let mut changes = false;
        for prepared in &candidates {
            changes |= self.foresee_unseen(&prepared.judged());
            if is_ambiguous {
                // Which of them its Execute runs is not known.
                self.state.defers(prepared.defers());
            }
        }
        self.sent(
            Sent::Bind,
            Ticket::Bind {
                name: portal_name.into(),
                portal,
                changes,
            },
            received,
        )?;
        Ok(Act::Forward)
    }

    /// The statement with a Bind's values, if they decide what it does.
    fn decided_by(&self, bind: &Bind<'_>, prepared: &Prepared) -> Option<Rc<Prepared>> {
        let context = self.context.id();
        if !prepared.is_decided_at_bind() || !prepared.is_judged_in(context) {
            return None;
        }
        let values = parameters::texts(&prepared.types, bind);
        let (text, types) = (&prepared.text, &prepared.types);
        let verdict = {
            let mut gate = self.core.gate.borrow_mut();
            gate.judge_bound(text, types, &values, &self.context)?
        };
        let own_bytes = values.iter().flatten().map(|value| value.len()).sum();
        let held = self.hold_budget.take_judged(own_bytes, &verdict)?;
        Some(Rc::new(prepared.bound(values, verdict, context, held)))
    }

    /// An Execute: judged again under the present policy. Rows that would come undescribed are described first, unseen
    /// by the client.
    fn execute(&mut self, execute: &Execute<'_>, received: Moment) -> Result<Act, End> {
        self.follow_state();
        let candidates = self.portals.candidates(execute.portal);
        let (mut refused, mut terms): (_, Option<Rc<Terms>>) = (None, None);
        for portal in &candidates {
            let Some(prepared) = &portal.statement else {
                continue;
            };
            let gated = self
                .gate_prepared(Kind::Execute, prepared)
                .and(|| self.gate_bound(portal))
                .and(|| self.gate_room_of(prepared));
            let counted_in = if execute.rows_max > 0 {
                CountedIn::Parts
            } else {
                CountedIn::Execute
            };
            match self.gate_count(Kind::Execute, || prepared.judged(), gated, counted_in) {
                // Its Bind is in the record.
                Gated::Allowed | Gated::Observed(_) => {}
                Gated::Limited(more) => {
                    terms = Some(terms.map_or_else(|| Rc::clone(&more), |terms| Rc::new(terms.and(&more))));
                }
                Gated::Refused(refusal) => {
                    refused = Some(refusal);
                    break;
                }
                Gated::Away(brief) => {
                    let text = TextOf::Prepared(Rc::clone(prepared));
                    return self.send_away(Kind::Execute, b"", brief, text, received);
                }
            }
        }
        let (portal, run) = if let Some(portal) = candidates.first() {
            (Rc::clone(portal), portal.run.take())
        } else {
            // A cursor of SQL's DECLARE, which was judged then: its rows are the statement's that was allowed.
            let declared = self.cursors.get(execute.portal).cloned();
            (Rc::new(Portal::of_cursor(declared)), None)
        };
        // SQL may have closed the portal and opened a cursor in its place.
        if candidates.len() > 1 || portal.statement.is_some() && self.cursors.get(execute.portal).is_some() {
            portal.is_ambiguous.set(true);
        }
        let is_begun = run.is_some();
        let run = if let Some(run) = run {
            self.bound_runs -= 1;
            run
        } else {
            match self.begin_execution(&portal, execute.portal, &mut refused, &mut terms, received) {
                Some(run) => run,
                None => return self.replace(Kind::Execute, b"", not_recorded(Kind::Execute), received),
            }
        };
        let mut bounds = None;
        if let Some(terms) = terms.filter(|_| refused.is_none() && !self.model.skips()) {
            let bounds_of = self.bounds_of(&portal, terms.limits);
            match self.pay_at_execute(&terms, run, &portal, is_begun, bounds_of) {
                Ok(paid) => bounds = paid,
                Err(used_up) => refused = Some(used_up),
            }
        }
        if let Some(refused) = refused {
            self.end_empty(run, Ending::Denied, received);
            let refusal = match &portal.statement {
                Some(prepared) => self.explained(refused, run, &prepared.judged()),
                None => self.explained_effects(refused, run, &[], None),
            };
            return self.replace(Kind::Execute, b"", refusal, received);
        }
        let hidden = self.describe_hidden(&portal, execute.portal, candidates.len(), received)?;
        // With its Bind in one chunk it goes up at the same moment.
        let run = if run.received == received && run.sent != received {
            run
        } else {
            Run {
                sent: Moment::now(),
                ..run
            }
        };
        let made = self.make_by_portal(&portal);
        let changes = self.foresee_execution(&candidates);
        let executed = Rc::clone(&portal);
        let ticket = Ticket::Execute {
            portal,
            run,
            made,
            changes,
        };
        let mut before = hidden.unwrap_or_default();
        let is_timed = bounds
            .as_ref()
            .is_some_and(|bounds| bounds.limits.max_time.is_some());
        if is_timed && self.model.pending() > 0 {
            // By the answers to what stands before it the server says that its time begins.
            self.sent(Sent::Flush, Ticket::Plain, received)?;
            frontend::encode::flush(&mut before);
        }
        self.sent(Sent::Execute, ticket, received)?;
        let mut rows = None;
        if let Some(bounds) = bounds {
            let mut limited = Limited::of_execute(bounds, &executed, run);
            rows = limited.rows_to_ask(execute.rows_max);
            self.limited = Some(Box::new(limited));
            self.limited_begins();
        }
        if self.limited.is_none() {
            return Ok(if before.is_empty() {
                Act::Forward
            } else {
                Act::ForwardBehind(before)
            });
        }
        // What the client sends behind it waits for its answer.
        self.sent(Sent::Flush, Ticket::Plain, received)?;
        frontend::encode::execute(&mut before, execute.portal, rows.unwrap_or(execute.rows_max));
        frontend::encode::flush(&mut before);
        Ok(Act::Replace(before))
    }

    /// What an execution of a portal is held to. Of a cursor it is what reading it does.
    fn bounds_of(&self, portal: &Portal, limits: Limits) -> Bounds {
        match (&portal.statement, &portal.bound) {
            (Some(prepared), _) => self.bounds(&prepared.judged(), limits),
            (None, Some((declared, _))) => self.bounds(declared, limits),
            (None, None) => Bounds {
                limits,
                answer: None,
                is_reading: false,
                is_copy: false,
            },
        }
    }

    /// Whether what an execution would make finds a place in the session.
    fn gate_room_of(&self, prepared: &Prepared) -> Gated {
        if prepared.is_inert() || prepared.is_made_by_sql() {
            return Gated::Allowed;
        }
        let judged = prepared.judged();
        self.gate_room(Kind::Execute, &judged, prepared.text.len() + prepared.types.len())
    }

    /// Enters the name that an execution gives to something, if it runs a PREPARE or DECLARE.
    fn make_by_portal(&mut self, portal: &Portal) -> Option<Made> {
        let statement = portal.statement.as_ref()?;
        if statement.is_inert() || statement.is_made_by_sql() {
            return None;
        }
        self.make(
            || Rc::clone(&statement.text),
            &statement.types,
            statement.judged(),
        )
    }

    /// Enters the name that a PREPARE or DECLARE gives to what it makes.
    pub(super) fn make(
        &mut self,
        text: impl FnOnce() -> Rc<[u8]>,
        types: &[u8],
        judged: Judged,
    ) -> Option<Made> {
        let (name, holds) = match &judged.statement()?.kind {
            StatementKind::Prepare { name } => (name.clone(), None),
            StatementKind::Declare { name, holds } => (name.clone(), Some(*holds)),
            _ => return None,
        };
        let text = text();
        let own_bytes = text.len() + types.len();
        let held = self.hold_budget.take_judged(own_bytes, &judged.verdict)?;
        let prepared = self.prepared(text, types, judged, MadeBy::Sql, held);
        if let Some(holds) = holds {
            let cursor = Rc::new(Cursor::new(prepared, holds));
            self.cursors.sent(&name, &cursor);
            return Some(Made::Cursor { name, cursor });
        }
        self.statements.sent(name.as_bytes(), Rc::clone(&prepared)).ok()?;
        Some(Made::Statement { name, prepared })
    }

    /// Commits the begin of an execution that no Bind began: of a portal that is executed again, or of a cursor, which
    /// policy is asked about here. None if it cannot be recorded.
    fn begin_execution(
        &mut self,
        portal: &Portal,
        name: &[u8],
        refused: &mut Option<Refused>,
        terms: &mut Option<Rc<Terms>>,
        received: Moment,
    ) -> Option<Run> {
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        let recorded = if let Some(prepared) = &portal.statement {
            let judged = prepared.judged();
            let outcome = match refused {
                Some((_, outcome)) => outcome.clone(),
                None => self.held(judged.outcome()),
            };
            self.record(run, Subject::of(prepared, &judged, Protocol::Execute), &outcome)
        } else {
            let name = String::from_utf8_lossy(name);
            let object = Object::new(ObjectKind::Cursor, &*name);
            let mut effects = smallvec![Effect::new(Action::Read, object)];
            self.add_cursor(&mut effects, &name);
            let outcome = self.held(&self.decide(&effects));
            let recorded = self.record_unknown(run, name.as_bytes(), &effects, &outcome);
            match &outcome {
                Outcome::Deny(denial) => {
                    *refused = Some((Kind::Execute.denied(denial), outcome.clone()));
                }
                Outcome::Limited { terms: of_cursor, .. } => *terms = Some(Rc::clone(of_cursor)),
                Outcome::Allow(_) | Outcome::Observe(_) => {}
            }
            recorded
        };
        matches!(recorded, Recorded::Yes).then_some(run)
    }

    /// The gateway's own Describe of a portal, where its rows could not be masked rightly without.
    fn describe_hidden(
        &mut self,
        portal: &Rc<Portal>,
        name: &[u8],
        candidates: usize,
        received: Moment,
    ) -> Result<Option<Vec<u8>>, End> {
        if !self.masks.is_on() {
            return Ok(None);
        }
        if portal.keeps_columns() {
            if portal.is_described.get() {
                return Ok(None);
            }
            let expected = || self.expected_of_portal(portal);
            let is_known = candidates == 1
                && portal
                    .plan(self.masks.scans(), &self.masks.tags, expected)
                    .is_some();
            // A table may have changed under a statement that was described once, so configured columns ask each time.
            if is_known && self.masks.tags.is_empty() {
                return Ok(None);
            }
        }
        portal.is_described.set(true);
        let ticket = Ticket::DescribePortal {
            portal: Some(Rc::clone(portal)),
            is_hidden: true,
        };
        self.sent(Sent::DescribePortal, ticket, received)?;
        let mut message = Vec::new();
        frontend::encode::describe(&mut message, Target::Portal(name));
        Ok(Some(message))
    }

    fn describe(&mut self, target: &Target<'_>, received: Moment) -> Result<Act, End> {
        match target {
            Target::Statement(name) => {
                let candidates = self.statements.candidates(name);
                let prepared = if candidates.len() == 1 {
                    candidates.first().cloned()
                } else {
                    None
                };
                self.sent(
                    Sent::DescribeStatement,
                    Ticket::DescribeStatement { prepared },
                    received,
                )?;
            }
            Target::Portal(name) => {
                let candidates = self.portals.candidates(name);
                let portal = if candidates.len() == 1 {
                    candidates.first().cloned()
                } else {
                    None
                };
                if let Some(portal) = &portal {
                    portal.is_described.set(true);
                }
                self.sent(
                    Sent::DescribePortal,
                    Ticket::DescribePortal {
                        portal,
                        is_hidden: false,
                    },
                    received,
                )?;
            }
        }
        Ok(Act::Forward)
    }

    /// A function called by its OID.
    pub(super) fn function_call(&mut self, function: u32, received: Moment) -> Result<Act, End> {
        let known = LARGE_OBJECT_FUNCTIONS.binary_search_by_key(&function, |(oid, _)| *oid);
        let effect = match known.ok().and_then(|index| LARGE_OBJECT_FUNCTIONS.get(index)) {
            Some((_, name)) => Effect::new(Action::Execute, Object::new(ObjectKind::Function, *name)),
            None => Effect::new(
                Action::Opaque,
                Object::new(ObjectKind::Function, format!("with OID {function}")),
            ),
        };
        self.follow_state();
        let outcome = self.held(&self.decide(std::slice::from_ref(&effect)));
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        let effects = effect_lines(std::slice::from_ref(&effect));
        let text = format!("function call {}", effect.object);
        let text = Text {
            hash: None,
            protocol: Protocol::FunctionCall,
            part: 0,
            bytes: text.as_bytes(),
            mask: [&effect].into_iter().collect(),
            effects: effects.as_list(),
            asks_more: false,
        };
        if self.begin(run, text, &outcome, "").is_err() {
            return self.replace(
                Kind::FunctionCall,
                b"",
                not_recorded(Kind::FunctionCall),
                received,
            );
        }
        let refusal = match &outcome {
            Outcome::Allow(_) | Outcome::Observe(_) => None,
            Outcome::Limited { .. } => {
                let refusal = Kind::FunctionCall.refusal(SqlState::PROGRAM_LIMIT_EXCEEDED, CALLED_BY_OID);
                Some(refusal.with_hint(CALL_BY_SELECT))
            }
            Outcome::Deny(denial) => Some(Kind::FunctionCall.denied(denial)),
        };
        if let Some(refusal) = refusal {
            self.end_empty(run, Ending::Denied, received);
            let refused = (refusal, outcome.clone());
            let refusal = self.explained_effects(refused, run, std::slice::from_ref(&effect), None);
            return self.replace(Kind::FunctionCall, b"", refusal, received);
        }
        let run = Run {
            sent: Moment::now(),
            ..run
        };
        let is_unseen = effect.action == Action::Opaque && !self.model.skips();
        if is_unseen {
            self.state.defers(Deferred::Checks);
        }
        let ticket = Ticket::FunctionCall {
            run: Some(run),
            cycle: self.state.cycle(),
            changes: is_unseen && self.state.sent(&Change::UNSEEN, None),
        };
        self.sent(Sent::FunctionCall, ticket, received)?;
        Ok(Act::Forward)
    }

    /// Has a message that fails go up in the place of a refused one.
    pub(super) fn replace(
        &mut self,
        kind: Kind,
        name: &[u8],
        refusal: Refusal,
        received: Moment,
    ) -> Result<Act, End> {
        self.replacement(kind, name, refusal, received).map(Act::Replace)
    }

    /// The message that goes up in the place of a refused one, to fail there.
    pub(super) fn replacement(
        &mut self,
        kind: Kind,
        name: &[u8],
        refusal: Refusal,
        received: Moment,
    ) -> Result<Vec<u8>, End> {
        let mut instead = Vec::new();
        self.nobody.substitute(kind, b"", name, &mut instead);
        let ends_cycle = matches!(kind, Kind::Query | Kind::FunctionCall);
        let ticket = Ticket::Refused {
            refusal: Box::new(refusal),
            cycle: if ends_cycle { self.state.cycle() } else { 0 },
        };
        let what = match kind {
            Kind::Query => Sent::Query,
            Kind::Parse => Sent::Parse,
            Kind::Bind => Sent::Bind,
            Kind::Execute => Sent::Execute,
            Kind::FunctionCall => Sent::FunctionCall,
        };
        self.sent(what, ticket, received)?;
        Ok(instead)
    }

    /// Refuses a text over `max_statement_bytes`; gives what goes up instead.
    pub(super) fn refuse_long_text(&mut self, kind: Kind, received: Moment) -> Result<Vec<u8>, End> {
        let limit = self.core.settings.limits.max_statement_bytes;
        let message = format!("sluice: the statement's text is longer than max_statement_bytes ({limit})");
        let refusal = kind.refusal(SqlState::PROGRAM_LIMIT_EXCEEDED, &message);
        self.replacement(kind, b"", refusal, received)
    }

    fn prepared(
        &self,
        text: Rc<[u8]>,
        types: &[u8],
        judged: Judged,
        made_by: MadeBy,
        held: Held,
    ) -> Rc<Prepared> {
        let context = self.context.id();
        Rc::new(Prepared::new(text, types, judged, context, made_by, held))
    }
}
