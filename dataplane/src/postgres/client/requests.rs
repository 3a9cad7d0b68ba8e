//! Judges the client's messages, one kind a function.

use std::rc::Rc;

use sluice_audit::record::{List, Outcome as Ending, Protocol};
use sluice_parsers::postgres::frontend::{self, Bind, Execute, FunctionCall, Parse, Target};
use sluice_parsers::postgres::{Frame, ProtocolError, Sent, SqlState};
use sluice_parsers::sql::effect::{Action, Effect, EffectMask, Object, ObjectKind};
use sluice_parsers::sql::statement::{Statement, StatementKind};
use sluice_runtime::time::Moment;
use smallvec::SmallVec;

use super::Act;
use crate::gate::{Finding, Judgement, Outcome, Verdict, effect_lines};
use crate::postgres::deny::Kind;
use crate::postgres::session::{End, Session, Text};
use crate::postgres::statements::{
    MadeBy, Portal, Prepared, QueryTicket, Refusal, ResultFormats, Run, Ticket,
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

/// What the record says of statements that stand behind a refused one.
const CUT_OFF: &str = "cut off behind a refused statement";

/// What a begin is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    protocol: Protocol,
    /// Which of the verdict's statements.
    index: usize,
    text: &'a [u8],
    verdict: &'a Verdict,
    /// What the record adds.
    note: &'a str,
}

impl<'a> Subject<'a> {
    fn of(prepared: &'a Prepared, protocol: Protocol) -> Self {
        Self {
            protocol,
            index: prepared.index,
            text: &prepared.text,
            verdict: &prepared.verdict,
            note: "",
        }
    }
}

/// A statement that is not sent: what the client is told, and what policy said.
type Refused = (Refusal, Outcome);

impl Session {
    /// Judges a whole message. A finding is the analysis that was asked for at the first try.
    pub(super) fn request(
        &mut self,
        frame: &[u8],
        finding: Option<Finding>,
        received: Moment,
    ) -> Result<Act, End> {
        let hostile = |error: ProtocolError| End::hostile(&error);
        let Frame { tag, body } = Frame::from_bytes(frame).map_err(hostile)?;
        let plain = match tag {
            b'Q' => return self.query(frontend::query(body).map_err(hostile)?, finding, received),
            b'P' => return self.parse(&Parse::parse(body).map_err(hostile)?, finding, received),
            b'B' => {
                let bind = Bind::parse(body).map_err(hostile)?;
                let formats = ResultFormats::of_bind(&bind.result_formats);
                return self.bind(bind.portal, bind.statement, Some(formats), received);
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
                    b'S' => Sent::Sync,
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

    /// A Query: each of its statements is judged; the first that is refused is cut off with all behind it.
    fn query(&mut self, sql: &[u8], finding: Option<Finding>, received: Moment) -> Result<Act, End> {
        if sql.len() > self.core.settings.limits.max_statement_bytes {
            return self.refuse_long_text(Kind::Query, received).map(Act::Replace);
        }
        let verdict = match self.judge(sql, &[], finding) {
            Judgement::Known(verdict) => verdict,
            Judgement::Away(errand) => return Ok(Act::Away(errand)),
        };
        let count = verdict.statements.len();
        let mut first = Run {
            id: self.take_runs(count),
            received,
            sent: received,
        };
        let mut refused = None;
        let mut made = Vec::new();
        for (index, statement) in verdict.statements.iter().enumerate() {
            let run = Run {
                id: first.id + index as u64,
                ..first
            };
            let range = if count > 1 {
                self.core.gate.borrow_mut().range(sql, &verdict, index)
            } else {
                0..sql.len()
            };
            let text = sql.get(range).unwrap_or_default();
            let subject = Subject {
                protocol: Protocol::Simple,
                index,
                text,
                verdict: &verdict,
                note: "",
            };
            if refused.is_some() {
                let subject = Subject {
                    note: CUT_OFF,
                    ..subject
                };
                if let Recorded::No = self.record(run, subject, &verdict.outcomes[index]) {
                    continue;
                }
                self.end_empty(run, Ending::Skipped, received);
                continue;
            }
            let decided = &verdict.outcomes[index];
            let gated = if verdict.is_plain {
                None
            } else {
                self.gate_statement(Kind::Query, statement, decided)
            };
            let outcome = gated.as_ref().map_or(decided, |(_, outcome)| outcome);
            let refusal = match self.record(run, subject, outcome) {
                Recorded::No => Some(not_recorded(Kind::Query)),
                Recorded::Yes => {
                    if gated.is_some() {
                        self.end_empty(run, Ending::Denied, received);
                    }
                    gated.map(|(refusal, _)| refusal)
                }
            };
            if let Some(refusal) = refusal {
                refused = Some((index, refusal));
                continue;
            }
            if let StatementKind::Prepare { name } = &statement.kind {
                let prepared = self.prepared(verdict.shared_text(text), &verdict, index, MadeBy::Prepare);
                if self
                    .statements
                    .sent(name.as_bytes(), Rc::clone(&prepared))
                    .is_ok()
                {
                    made.push((u32::try_from(index).unwrap_or(u32::MAX), prepared));
                }
            }
        }
        first.sent = Moment::now();
        let instead = refused.as_ref().map(|(index, _)| {
            let cut = if *index == 0 {
                0
            } else {
                self.core.gate.borrow_mut().range(sql, &verdict, *index).start
            };
            let mut instead = Vec::new();
            self.nobody
                .substitute(Kind::Query, sql.get(..cut).unwrap_or_default(), b"", &mut instead);
            instead
        });
        let live = refused.as_ref().map_or(count, |(index, _)| *index);
        let ticket = QueryTicket {
            verdict,
            first,
            live: u32::try_from(live).unwrap_or(u32::MAX),
            ended: 0,
            refused: refused.map(|(_, refusal)| Box::new(refusal)),
            prepares: made.into(),
        };
        self.sent(Sent::Query, Ticket::Query(ticket), received)?;
        Ok(instead.map_or(Act::Forward, Act::Replace))
    }

    /// A Parse: its text is judged under the declared parameter types; nothing runs yet.
    fn parse(&mut self, parse: &Parse<'_>, finding: Option<Finding>, received: Moment) -> Result<Act, End> {
        if parse.sql.len() > self.core.settings.limits.max_statement_bytes {
            return self.refuse_long_text(Kind::Parse, received).map(Act::Replace);
        }
        let verdict = match self.judge(parse.sql, parse.parameter_types.as_bytes(), finding) {
            Judgement::Known(verdict) => verdict,
            Judgement::Away(errand) => return Ok(Act::Away(errand)),
        };
        let mut refused: Option<Refused> = None;
        if !verdict.is_plain {
            let mut statements = verdict.statements.iter().zip(&verdict.outcomes);
            refused = statements
                .find_map(|(statement, outcome)| self.gate_statement(Kind::Parse, statement, outcome));
        }
        if let Some((refusal, outcome)) = refused {
            let run = Run {
                id: self.take_runs(1),
                received,
                sent: received,
            };
            let subject = Subject {
                protocol: Protocol::Parse,
                index: 0,
                text: parse.sql,
                verdict: &verdict,
                note: "",
            };
            if let Recorded::Yes = self.record(run, subject, &outcome) {
                self.end_empty(run, Ending::Denied, received);
            }
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        if parse.sql.len() > self.text_budget.get() {
            let refusal = Kind::Parse.refusal(
                SqlState::INSUFFICIENT_RESOURCES,
                "sluice: this session's prepared statements hold too much text; close some",
            );
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        let prepared = self.prepared(verdict.shared_text(parse.sql), &verdict, 0, MadeBy::Parse);
        if let Err(error) = self.statements.sent(parse.name, Rc::clone(&prepared)) {
            let refusal = Kind::Parse.refusal(SqlState::INSUFFICIENT_RESOURCES, &format!("sluice: {error}"));
            return self.replace(Kind::Parse, parse.name, refusal, received);
        }
        self.sent(
            Sent::Parse,
            Ticket::Parse {
                name: parse.name.into(),
                prepared,
            },
            received,
        )?;
        Ok(Act::Forward)
    }

    /// A Bind: planning may run code already, so the run begins here. Without formats the message comes in parts.
    pub(super) fn bind(
        &mut self,
        portal_name: &[u8],
        statement_name: &[u8],
        formats: Option<ResultFormats>,
        received: Moment,
    ) -> Result<Act, End> {
        let candidates = self.statements.candidates(statement_name);
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        let mut refused = candidates
            .iter()
            .find_map(|prepared| self.gate_prepared(Kind::Bind, prepared));
        if candidates.is_empty() && !self.allows_all() {
            // What the server has under a name that never passed here, nobody has judged.
            let name = String::from_utf8_lossy(statement_name);
            let message = format!("prepared statement \"{name}\" does not exist");
            let refusal = Kind::Bind.refusal(SqlState::INVALID_STATEMENT_NAME, &message);
            return self.replace(Kind::Bind, portal_name, refusal, received);
        }
        let prepared = candidates.first().cloned();
        let recorded = match &prepared {
            Some(prepared) => {
                let outcome = refused
                    .as_ref()
                    .map_or_else(|| prepared.outcome(), |(_, outcome)| outcome);
                let protocol = if refused.is_some() {
                    Protocol::Bind
                } else {
                    Protocol::Execute
                };
                self.record(run, Subject::of(prepared, protocol), outcome)
            }
            None => self.record_unknown(run, Protocol::Execute, statement_name, &Outcome::Allow(None)),
        };
        if let Recorded::No = recorded {
            return self.replace(Kind::Bind, portal_name, not_recorded(Kind::Bind), received);
        }
        if let Some((refusal, _)) = refused.take() {
            self.end_empty(run, Ending::Denied, received);
            return self.replace(Kind::Bind, portal_name, refusal, received);
        }
        let run = Run {
            sent: Moment::now(),
            ..run
        };
        let portal = Rc::new(Portal::new(portal_name, prepared, formats, run));
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
        self.sent(
            Sent::Bind,
            Ticket::Bind {
                name: portal_name.into(),
                portal,
            },
            received,
        )?;
        Ok(Act::Forward)
    }

    /// An Execute: judged again under the present policy. Rows that would come undescribed are described first, unseen
    /// by the client.
    fn execute(&mut self, execute: &Execute<'_>, received: Moment) -> Result<Act, End> {
        let candidates = self.portals.candidates(execute.portal);
        let statements = candidates.iter().filter_map(|portal| portal.statement.as_ref());
        let mut refused = { statements }.find_map(|prepared| self.gate_prepared(Kind::Execute, prepared));
        let (portal, run) = match candidates.first() {
            Some(portal) => (Rc::clone(portal), portal.run.take()),
            // A cursor of SQL's DECLARE, which was judged then: its rows are the statement's that was allowed.
            None => (Rc::new(Portal::of_cursor()), None),
        };
        let run = if let Some(run) = run {
            self.bound_runs -= 1;
            run
        } else {
            match self.begin_execution(&portal, execute.portal, &mut refused, received) {
                Some(run) => run,
                None => return self.replace(Kind::Execute, b"", not_recorded(Kind::Execute), received),
            }
        };
        if let Some((refusal, _)) = refused {
            self.end_empty(run, Ending::Denied, received);
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
        let made = self.make(&portal);
        self.sent(Sent::Execute, Ticket::Execute { portal, run, made }, received)?;
        Ok(hidden.map_or(Act::Forward, Act::ForwardBehind))
    }

    /// Enters the name that an execution gives to a statement, if it runs a PREPARE.
    fn make(&mut self, portal: &Portal) -> Option<Rc<Prepared>> {
        let statement = portal.statement.as_ref()?;
        let name = statement.makes()?;
        let made = self.prepared(
            Rc::clone(&statement.text),
            &statement.verdict,
            statement.index,
            MadeBy::Prepare,
        );
        self.statements.sent(name.as_bytes(), Rc::clone(&made)).ok()?;
        Some(made)
    }

    /// Commits the begin of an execution that no Bind began: of a portal that is executed again, or of a cursor, which
    /// policy is asked about here. None if it cannot be recorded.
    fn begin_execution(
        &mut self,
        portal: &Portal,
        name: &[u8],
        refused: &mut Option<Refused>,
        received: Moment,
    ) -> Option<Run> {
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        let recorded = if let Some(prepared) = &portal.statement {
            let outcome = refused
                .as_ref()
                .map_or_else(|| prepared.outcome(), |(_, outcome)| outcome);
            self.record(run, Subject::of(prepared, Protocol::Execute), outcome)
        } else {
            let outcome = self.cursor_outcome(name);
            let recorded = self.record_unknown(run, Protocol::Execute, name, &outcome);
            if let Outcome::Deny(denial) = &outcome {
                *refused = Some((Kind::Execute.denied(denial), outcome.clone()));
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
            let is_known = candidates == 1 && portal.plan(self.masks.scans(), &self.masks.tags).is_some();
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
        let outcome = self
            .core
            .gate
            .borrow_mut()
            .decide_effects(std::slice::from_ref(&effect), &self.context);
        let run = Run {
            id: self.take_runs(1),
            received,
            sent: received,
        };
        let effects = effect_lines(std::slice::from_ref(&effect));
        let text = format!("function call {}", effect.object);
        let text = Text {
            protocol: Protocol::FunctionCall,
            part: 0,
            bytes: text.as_bytes(),
            mask: [&effect].into_iter().collect(),
            effects: effects.as_list(),
        };
        if self.begin(run, text, &outcome, "").is_err() {
            return self.replace(
                Kind::FunctionCall,
                b"",
                not_recorded(Kind::FunctionCall),
                received,
            );
        }
        if let Outcome::Deny(denial) = &outcome {
            self.end_empty(run, Ending::Denied, received);
            return self.replace(
                Kind::FunctionCall,
                b"",
                Kind::FunctionCall.denied(denial),
                received,
            );
        }
        let run = Run {
            sent: Moment::now(),
            ..run
        };
        self.sent(
            Sent::FunctionCall,
            Ticket::FunctionCall { run: Some(run) },
            received,
        )?;
        Ok(Act::Forward)
    }

    /// Sends a message that fails in the place of a refused one.
    fn replace(&mut self, kind: Kind, name: &[u8], refusal: Refusal, received: Moment) -> Result<Act, End> {
        let mut instead = Vec::new();
        self.nobody.substitute(kind, b"", name, &mut instead);
        let ticket = Ticket::Refused(Box::new(refusal));
        let what = match kind {
            Kind::Query => Sent::Query,
            Kind::Parse => Sent::Parse,
            Kind::Bind => Sent::Bind,
            Kind::Execute => Sent::Execute,
            Kind::FunctionCall => Sent::FunctionCall,
        };
        self.sent(what, ticket, received)?;
        Ok(Act::Replace(instead))
    }

    /// Refuses a text over `max_statement_bytes`; gives what goes up instead.
    pub(super) fn refuse_long_text(&mut self, kind: Kind, received: Moment) -> Result<Vec<u8>, End> {
        let limit = self.core.settings.limits.max_statement_bytes;
        let message = format!("sluice: the statement's text is longer than max_statement_bytes ({limit})");
        let refusal = kind.refusal(SqlState::PROGRAM_LIMIT_EXCEEDED, &message);
        match self.replace(kind, b"", refusal, received)? {
            Act::Replace(instead) => Ok(instead),
            _ => Ok(Vec::new()),
        }
    }

    fn judge(&mut self, sql: &[u8], types: &[u8], finding: Option<Finding>) -> Judgement {
        let mut gate = self.core.gate.borrow_mut();
        match finding {
            Some(finding) => Judgement::Known(gate.adopt(sql, types, &self.context, finding)),
            None => gate.judge(sql, types, &self.context),
        }
    }

    fn prepared(&self, text: Rc<[u8]>, verdict: &Rc<Verdict>, index: usize, made_by: MadeBy) -> Rc<Prepared> {
        Rc::new(Prepared::new(
            text,
            Rc::clone(verdict),
            index,
            made_by,
            &self.text_budget,
        ))
    }

    /// Judges a prepared statement again: by epochs where nothing changed.
    fn gate_prepared(&self, kind: Kind, prepared: &Prepared) -> Option<Refused> {
        let is_current = self.core.gate.borrow_mut().epoch() == prepared.verdict.epoch;
        if is_current && prepared.verdict.is_plain {
            return None;
        }
        prepared.statements().find_map(|(statement, outcome)| {
            if is_current {
                return self.gate_statement(kind, statement, outcome);
            }
            let outcome = self
                .core
                .gate
                .borrow_mut()
                .decide_effects(&statement.effects, &self.context);
            self.gate_statement(kind, statement, &outcome)
        })
    }

    /// Adds to a statement's outcome what the session knows: the statements that names stand for, and what cannot be
    /// masked.
    fn gate_statement(&self, kind: Kind, statement: &Statement, outcome: &Outcome) -> Option<Refused> {
        if let Outcome::Deny(denial) = outcome {
            return Some((kind.denied(denial), outcome.clone()));
        }
        if let Some(name) = &statement.runs_prepared {
            // Names that the same message makes are in the table already.
            let candidates = self.statements.candidates(name.as_bytes());
            let mut effects: SmallVec<[Effect; 4]> = statement.effects.clone();
            effects.extend(
                candidates
                    .iter()
                    .flat_map(|prepared| prepared.effects().iter().cloned()),
            );
            if candidates.is_empty() {
                effects.push(Effect::new(
                    Action::Opaque,
                    Object::new(ObjectKind::Prepared, name.clone()),
                ));
            }
            let outcome = self
                .core
                .gate
                .borrow_mut()
                .decide_effects(&effects, &self.context);
            if let Outcome::Deny(denial) = &outcome {
                return Some((kind.denied(denial), outcome));
            }
        }
        if matches!(statement.kind, StatementKind::CopyOut { columns: None, .. })
            && !self.masks.tags.is_empty()
        {
            let refusal = kind.refusal(
                SqlState::FEATURE_NOT_SUPPORTED,
                "sluice: this COPY cannot be masked by column; use COPY table (columns) TO STDOUT, as text or CSV with \
                 default delimiters, or SELECT",
            );
            return Some((refusal, outcome.clone()));
        }
        None
    }

    /// What policy says of reading a portal that no Bind made.
    fn cursor_outcome(&self, name: &[u8]) -> Outcome {
        let object = Object::new(ObjectKind::Cursor, String::from_utf8_lossy(name));
        self.core
            .gate
            .borrow_mut()
            .decide_effects(&[Effect::new(Action::Read, object)], &self.context)
    }

    /// Commits a statement's begin.
    fn record(&mut self, run: Run, subject: Subject<'_>, outcome: &Outcome) -> Recorded {
        let Subject {
            protocol,
            index,
            text,
            verdict,
            note,
        } = subject;
        let note = if note.is_empty() {
            verdict.reason(index).unwrap_or_default()
        } else {
            note
        };
        let text = Text {
            protocol,
            part: u16::try_from(index).unwrap_or(u16::MAX),
            bytes: text,
            mask: verdict.masks.get(index).copied().unwrap_or(EffectMask::EMPTY),
            effects: verdict.lines(index),
        };
        self.begin(run, text, outcome, note).into()
    }

    /// Records an execution of which only a name is known.
    fn record_unknown(&mut self, run: Run, protocol: Protocol, name: &[u8], outcome: &Outcome) -> Recorded {
        let text = format!("execute {}", String::from_utf8_lossy(name));
        let text = Text {
            protocol,
            part: 0,
            bytes: text.as_bytes(),
            mask: EffectMask::EMPTY,
            effects: List::EMPTY,
        };
        self.begin(run, text, outcome, "").into()
    }
}

/// Whether a begin is in the record.
enum Recorded {
    Yes,
    No,
}

impl<E> From<Result<(), E>> for Recorded {
    fn from(begun: Result<(), E>) -> Self {
        if begun.is_ok() { Self::Yes } else { Self::No }
    }
}

/// The refusal of a statement that cannot be recorded.
fn not_recorded(kind: Kind) -> Refusal {
    kind.refusal(
        SqlState::INSUFFICIENT_RESOURCES,
        "sluice: the audit log takes no more records; nothing runs unrecorded",
    )
}
