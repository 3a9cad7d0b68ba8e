//! A Query: each of its statements is judged and recorded; the first that is refused is cut off with all behind it.

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

use sluice_audit::record::{Outcome as Ending, Protocol};
use sluice_parsers::postgres::backend::TransactionStatus;
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::postgres::{Sent, SqlState};
use sluice_runtime::time::Moment;
use smallvec::SmallVec;

use super::judging::{Gated, reads_alike};
use super::limits::CountedIn;
use super::recording::{Recorded, Subject, not_recorded};
use super::{Act, TextOf};
use crate::gate::{Finding, Judgement, Verdict};
use crate::postgres::deny::Kind;
use crate::postgres::limited::{Bounds, Limited};
use crate::postgres::session::{End, Session};
use crate::postgres::statements::{Judged, Made, MoreOfQuery, QueryTicket, Refusal, Run, Ticket};

/// What the record says of statements that stand behind a refused one.
const CUT_OFF: &str = "cut off behind a refused statement";

/// Each statement is judged and recorded on the core, in one go.
const STATEMENTS_MAX: usize = 10_000;

/// What is known of more statements than these is taken out of the session's budget until the server has answered.
const TICKET_STATEMENTS: usize = 64;

/// What a client is told that sends more of them without reading the answers.
const TOO_MUCH_UNREAD: &str = "sluice: too many statements of this session await their answers; read some";

/// Statements of a text that are analysed by themselves, behind those that change what names mean.
const ANALYSED_MAX: u64 = 300;

/// A Query while its statements are judged.
struct Query<'a> {
    sql: &'a [u8],
    /// The statements' parts of the text; none for a single one, which is all of it.
    ranges: Vec<Range<usize>>,
    verdict: Rc<Verdict>,
    /// The context that the verdict is of.
    context: u64,
    received: Moment,
    /// The run of the first statement.
    first: Run,
    /// Whether the text is read the same under all settings, once that was asked.
    reads_alike: OnceCell<bool>,
    /// The first statement that is refused, by its place.
    refused: Option<(usize, Refusal)>,
    /// What PREPARE and DECLARE make, by place.
    made: Vec<(u32, Made)>,
    /// Statements that were judged by themselves, by place.
    again: Vec<(u32, Rc<Verdict>)>,
    /// Analyses that were made for that.
    analysed: u64,
    /// What statements are held to, by place.
    bounds: SmallVec<[(u32, Bounds); 1]>,
}

impl<'a> Query<'a> {
    fn text(&self, index: usize) -> &'a [u8] {
        match self.ranges.get(index) {
            Some(range) => self.sql.get(range.clone()).unwrap_or_default(),
            None => self.sql,
        }
    }

    fn run(&self, index: usize) -> Run {
        Run {
            id: self.first.id + index as u64,
            ..self.first
        }
    }

    fn reads_alike(&self) -> bool {
        *self.reads_alike.get_or_init(|| reads_alike(self.sql))
    }
}

impl Session {
    /// Judges a Query.
    pub(super) fn query(
        &mut self,
        sql: &[u8],
        finding: Option<Finding>,
        received: Moment,
    ) -> Result<Act, End> {
        if sql.len() > self.core.settings.limits.max_statement_bytes {
            return self.refuse_long_text(Kind::Query, received).map(Act::Replace);
        }
        self.follow_state();
        let verdict = match self.judge(sql, &[], finding) {
            Judgement::Known(verdict) => verdict,
            Judgement::Away(brief) => {
                let own = HEADER_BYTES..HEADER_BYTES + sql.len();
                return self.send_away(Kind::Query, b"", brief, TextOf::Message(own), received);
            }
        };
        if self.should_look(&verdict) {
            return Ok(Act::Look);
        }
        let count = verdict.statements.len();
        if count > STATEMENTS_MAX {
            let message =
                format!("sluice: the text has more than {STATEMENTS_MAX} statements; send some of them");
            let refusal = Kind::Query.refusal(SqlState::PROGRAM_LIMIT_EXCEEDED, &message);
            return self.replace(Kind::Query, b"", refusal, received);
        }
        let held = if count > TICKET_STATEMENTS {
            let Some(held) = verdict.hold(&self.hold_budget) else {
                let refusal = Kind::Query.refusal(SqlState::INSUFFICIENT_RESOURCES, TOO_MUCH_UNREAD);
                return self.replace(Kind::Query, b"", refusal, received);
            };
            Some(held)
        } else {
            None
        };
        let cycle = self.state.cycle();
        let ranges = self.core.gate.borrow_mut().ranges(sql, &verdict);
        let mut query = Query {
            sql,
            ranges,
            verdict,
            context: self.context.id(),
            received,
            first: Run {
                id: self.take_runs(count),
                received,
                sent: received,
            },
            reads_alike: OnceCell::new(),
            refused: None,
            made: Vec::new(),
            again: Vec::new(),
            analysed: 0,
            bounds: SmallVec::new(),
        };
        for index in 0..count {
            if query.refused.is_some() {
                self.cut_off(&query, index);
            } else {
                self.query_statement(&mut query, index);
            }
        }
        query.first.sent = Moment::now();
        let instead = query.refused.as_ref().map(|(index, _)| {
            let cut = query.ranges.get(*index).map_or(0, |range| range.start);
            let mut instead = Vec::new();
            self.nobody
                .substitute(Kind::Query, sql.get(..cut).unwrap_or_default(), b"", &mut instead);
            instead
        });
        let live = query.refused.as_ref().map_or(count, |(index, _)| *index);
        let limited = (!query.bounds.is_empty() && !self.model.skips()).then(|| {
            let only_reads = (0..live).all(|index| self.only_reads(&query.verdict, index));
            let bounds = std::mem::take(&mut query.bounds);
            Limited::of_query(bounds, place(live), only_reads, query.first)
        });
        let has_more =
            query.refused.is_some() || !query.again.is_empty() || !query.made.is_empty() || held.is_some();
        let more = has_more.then(|| MoreOfQuery {
            again: query.again.into(),
            refused: query.refused.map(|(_, refusal)| refusal),
            makes: query.made.into(),
            _held: held,
        });
        let ticket = QueryTicket {
            verdict: query.verdict,
            cycle,
            first: query.first,
            live: place(live),
            ended: 0,
            more: more.map(Box::new),
        };
        let mut before = Vec::new();
        if limited.is_some() && self.model.pending() > 0 {
            // By the answers to what stands before it the server says that its time begins.
            self.sent(Sent::Flush, Ticket::Plain, received)?;
            encode::flush(&mut before);
        }
        self.sent(Sent::Query, Ticket::Query(ticket), received)?;
        if let Some(limited) = limited {
            self.limited = Some(Box::new(limited));
            self.limited_begins();
        }
        Ok(match instead {
            None if before.is_empty() => Act::Forward,
            None => Act::ForwardBehind(before),
            Some(instead) => {
                before.extend_from_slice(&instead);
                Act::Replace(before)
            }
        })
    }

    /// How a statement of a Query is judged, and whether it could be read. What names mean is another thing behind some
    /// statements.
    fn judge_in_query(&self, query: &mut Query<'_>, index: usize) -> (Judged, bool) {
        let of_text = |query: &Query<'_>| Judged {
            verdict: Rc::clone(&query.verdict),
            index,
        };
        if self.context.id() == query.context {
            return (of_text(query), true);
        }
        // A core is not held for many: what is not read again is Opaque.
        if query.analysed >= ANALYSED_MAX {
            return (of_text(query), false);
        }
        let misses = || self.core.gate.borrow().counts.misses;
        let before = misses();
        let verdict = self.judge_part(query.text(index));
        query.analysed += misses() - before;
        let Some(verdict) = verdict else {
            return (of_text(query), false);
        };
        query.again.push((place(index), Rc::clone(&verdict)));
        (Judged { verdict, index: 0 }, true)
    }

    /// Judges and records a statement, and notes what it makes and changes.
    fn query_statement(&mut self, query: &mut Query<'_>, index: usize) {
        let (judged, is_read) = self.judge_in_query(query, index);
        let (text, run) = (query.text(index), query.run(index));
        let subject = Subject {
            protocol: Protocol::Simple,
            part: index,
            text,
            judged: &judged,
            note: "",
            asks_more: !is_read,
        };
        let is_alone = query.verdict.statements.len() == 1 && self.model.is_idle();
        let counted_in = match self.model.transaction() {
            TransactionStatus::InTransaction if is_alone => CountedIn::Transaction,
            _ => CountedIn::Nothing,
        };
        let gated = self.gate_in_query(query, index, &judged, is_read);
        let gated = self.gate_count(Kind::Query, || judged.clone(), gated, counted_in);
        let (gated, bounds) = match gated {
            Gated::Limited(terms) => match self.pay_in_query(&terms, run, &judged, text) {
                Ok(bounds) => (Gated::Allowed, bounds),
                Err(refused) => (Gated::Refused(refused), None),
            },
            gated => (gated, None),
        };
        let outcome = match &gated {
            Gated::Refused((_, outcome)) | Gated::Observed(outcome) => outcome,
            Gated::Allowed | Gated::Limited(_) | Gated::Away(_) => judged.outcome(),
        };
        let refusal = match (self.record(run, subject, outcome), gated) {
            (Recorded::No, _) => Some(not_recorded(Kind::Query)),
            (Recorded::Yes, Gated::Refused(refused)) => {
                self.end_empty(run, Ending::Denied, query.received);
                Some(self.explained(refused, run, &judged))
            }
            (Recorded::Yes, _) => {
                query.bounds.extend(bounds.map(|bounds| (place(index), bounds)));
                None
            }
        };
        if let Some(refusal) = refusal {
            query.refused = Some((index, refusal));
            return;
        }
        if query.verdict.is_inert {
            return;
        }
        self.foresee(&judged, Some(index));
        let verdict = Rc::clone(&query.verdict);
        if let Some(made) = self.make(|| verdict.shared_text(text), &[], judged) {
            query.made.push((place(index), made));
        }
    }

    fn gate_in_query(&self, query: &Query<'_>, index: usize, judged: &Judged, is_read: bool) -> Gated {
        if judged.verdict.is_plain && query.verdict.is_inert && is_read && self.state.is_settled() {
            return Gated::Allowed;
        }
        let Some(statement) = judged.statement().or_else(|| query.verdict.statements.get(index)) else {
            return Gated::Allowed;
        };
        let is_uncertain = !is_read || self.is_uncertain(&statement.kind, || query.reads_alike());
        let gated = if judged.verdict.is_plain && !is_uncertain {
            Gated::Allowed
        } else {
            self.gate_statement(Kind::Query, statement, judged.outcome(), is_uncertain)
        };
        if query.verdict.is_inert {
            return gated;
        }
        gated.and(|| self.gate_room(Kind::Query, judged, query.text(index).len()))
    }

    /// Records a statement behind a refused one.
    fn cut_off(&mut self, query: &Query<'_>, index: usize) {
        let judged = Judged {
            verdict: Rc::clone(&query.verdict),
            index,
        };
        let subject = Subject {
            protocol: Protocol::Simple,
            part: index,
            text: query.text(index),
            judged: &judged,
            note: CUT_OFF,
            asks_more: false,
        };
        let run = query.run(index);
        if let Recorded::Yes = self.record(run, subject, judged.outcome()) {
            self.end_empty(run, Ending::Skipped, query.received);
        }
    }
}

/// A statement's place in the text, as tickets have it.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
