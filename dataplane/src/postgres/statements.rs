//! Prepared statements and portals of a session, and the tickets by which replies find what they answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::backend::encode::Report;
use sluice_parsers::postgres::backend::{Format, Formats};
use sluice_parsers::sql::effect::{Effect, EffectMask};
use sluice_parsers::sql::statement::{Statement, StatementKind};
use sluice_parsers::sql::world::{Deferred, Touched};
use sluice_runtime::time::Moment;
use smallvec::SmallVec;

use super::columns::{Facts, Plan, Tags};
use super::cursors::Cursor;
use super::expected::Expectation;
use super::state::Change;
use crate::gate::{Outcome, Verdict};

/// Values of parameters as text; none where they are not known.
pub(crate) type ParameterValues = Arc<[Option<Box<str>>]>;

/// A statement under a name, of the protocol's Parse or of SQL's PREPARE.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) text: Rc<[u8]>,
    /// The types that its Parse declared, as they lay on the wire.
    pub(crate) types: Box<[u8]>,
    /// Of a portal's own: the parameters' values that its Bind gave, since they decide what it does.
    values: Option<ParameterValues>,
    /// As it was judged last; what kind of statement it is, every verdict says alike.
    judged: RefCell<Judged>,
    /// The context of that.
    context: Cell<u64>,
    /// How it came by its name.
    made_by: MadeBy,
    keeps_columns: bool,
    /// Unseen by the gateway, another text may have been prepared under its name.
    is_doubtful: Cell<bool>,
    /// Its result columns, once the server described them.
    columns: RefCell<Described>,
    /// What its text, types and values take of the session's budget.
    _held: Held,
}

/// One statement of a verdict.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) verdict: Rc<Verdict>,
    /// Which of the verdict's statements it is.
    pub(crate) index: usize,
}

impl Judged {
    /// The statement; none of an empty text.
    pub(crate) fn statement(&self) -> Option<&Statement> {
        self.verdict.statements.get(self.index)
    }

    /// What it does.
    pub(crate) fn effects(&self) -> &[Effect] {
        self.statement().map_or(&[], |statement| &statement.effects)
    }

    /// The same, as the record has it.
    pub(crate) fn mask(&self) -> EffectMask {
        let masks = &self.verdict.masks;
        masks.get(self.index).copied().unwrap_or(EffectMask::EMPTY)
    }

    /// What was decided of it.
    pub(crate) fn outcome(&self) -> &Outcome {
        self.verdict
            .outcomes
            .get(self.index)
            .unwrap_or(&Outcome::Allow(None))
    }

    /// What its success changes in the session's state.
    pub(crate) fn change(&self) -> &Change {
        self.verdict.change(self.index)
    }

    /// What it may leave to the end of the transaction.
    pub(crate) fn defers(&self) -> Deferred {
        self.statement()
            .map_or(Deferred::Nothing, |statement| statement.defers)
    }

    /// Whether it is the end of the transaction, if it runs.
    pub(crate) fn ends_transaction(&self) -> bool {
        self.statement()
            .is_some_and(|statement| statement.kind.ends_transaction())
    }

    /// The names whose meaning it may change.
    pub(crate) fn touches(&self) -> &Touched {
        self.statement()
            .map_or(&Touched::Nothing, |statement| &statement.touches)
    }
}

/// How many bytes a session's prepared statements, cursors and portals may yet hold.
#[derive(Clone, Debug)]
pub(crate) struct HoldBudget(Rc<Cell<usize>>);

/// Bytes taken out of a session's budget; they go back when this goes.
#[derive(Debug)]
pub(crate) struct Held {
    budget: HoldBudget,
    bytes: usize,
    _of_verdict: Option<Rc<Self>>,
}

impl HoldBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.0.get() >= bytes
    }

    /// None if there are not so many left.
    pub(crate) fn take(&self, bytes: usize) -> Option<Held> {
        self.take_with(bytes, None)
    }

    /// As [`take`](Self::take), with what is known of the text.
    pub(crate) fn take_judged(&self, bytes: usize, verdict: &Verdict) -> Option<Held> {
        self.take_with(bytes, Some(verdict.hold(self)?))
    }

    fn take_with(&self, bytes: usize, of_verdict: Option<Rc<Held>>) -> Option<Held> {
        self.0.set(self.0.get().checked_sub(bytes)?);
        Some(Held {
            budget: self.clone(),
            bytes,
            _of_verdict: of_verdict,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let left = &self.budget.0;
        left.set(left.get().saturating_add(self.bytes));
    }
}

/// How a prepared statement comes by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeBy {
    /// The protocol's Parse.
    Parse,
    /// SQL's PREPARE or DECLARE: it is what that makes.
    Sql,
}

/// What SQL puts under a name.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    Statement { name: Box<str>, prepared: Rc<Prepared> },
    Cursor { name: Box<str>, cursor: Rc<Cursor> },
}

/// What a Describe has told of a result.
#[derive(Clone, Debug, Default)]
pub(crate) enum Described {
    #[default]
    Unknown,
    /// Its columns; none if it gives no rows.
    Known(Rc<[Facts]>),
}

impl Prepared {
    pub(crate) fn new(
        text: Rc<[u8]>,
        types: &[u8],
        judged: Judged,
        context: u64,
        made_by: MadeBy,
        held: Held,
    ) -> Self {
        use StatementKind::{Delete, Insert, Merge, Prepare, Select, Update};
        let kind = judged.statement().map(|statement| &statement.kind);
        Self {
            keeps_columns: matches!(
                kind,
                Some(Select | Insert | Update | Delete | Merge | Prepare { .. })
            ),
            text,
            types: types.into(),
            values: None,
            judged: RefCell::new(judged),
            context: Cell::new(context),
            made_by,
            is_doubtful: Cell::new(false),
            columns: RefCell::default(),
            _held: held,
        }
    }

    /// The same with the values of a Bind, as it was judged with them.
    pub(crate) fn bound(
        &self,
        values: ParameterValues,
        verdict: Rc<Verdict>,
        context: u64,
        held: Held,
    ) -> Self {
        Self {
            text: Rc::clone(&self.text),
            types: self.types.clone(),
            values: Some(values),
            judged: RefCell::new(Judged { verdict, index: 0 }),
            context: Cell::new(context),
            made_by: self.made_by,
            keeps_columns: self.keeps_columns,
            is_doubtful: self.is_doubtful.clone(),
            columns: self.columns.clone(),
            _held: held,
        }
    }

    /// What a Bind gave, where that was asked for.
    pub(crate) fn values(&self) -> Option<&ParameterValues> {
        self.values.as_ref()
    }

    /// Whether what it does depends on what Bind gives.
    pub(crate) fn is_decided_at_bind(&self) -> bool {
        let judged = self.judged.borrow();
        let statement = judged.statement();
        statement.is_some_and(|statement| !statement.decided_at_bind.is_empty())
    }

    /// The verdict about it that was given last.
    pub(crate) fn judged(&self) -> Judged {
        self.judged.borrow().clone()
    }

    /// Whether by that its success changes nothing that is kept.
    pub(crate) fn is_inert(&self) -> bool {
        self.judged.borrow().verdict.is_inert
    }

    /// Whether that was given in this context.
    pub(crate) fn is_judged_in(&self, context: u64) -> bool {
        self.context.get() == context
    }

    /// It was judged again, by its own text.
    pub(crate) fn judge(&self, verdict: Rc<Verdict>, context: u64) {
        *self.judged.borrow_mut() = Judged { verdict, index: 0 };
        self.context.set(context);
    }

    /// Whether it is what a PREPARE or DECLARE makes: its text is that.
    pub(crate) fn is_made_by_sql(&self) -> bool {
        self.made_by == MadeBy::Sql
    }

    /// Whether the server lets its result columns never change. Those of EXECUTE, FETCH and CALL are what stands under
    /// a name when they run.
    pub(crate) fn keeps_columns(&self) -> bool {
        self.keeps_columns && !self.is_doubtful.get()
    }

    /// Code ran that may have prepared another text under its name.
    pub(crate) fn doubt(&self) {
        self.is_doubtful.set(true);
    }

    /// What it may leave to the end of the transaction; code may have put anything under its name.
    pub(crate) fn defers(&self) -> Deferred {
        if self.is_doubtful() {
            Deferred::Checks
        } else {
            self.judged.borrow().defers()
        }
    }

    /// Whether another text may stand under its name.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful.get()
    }

    pub(crate) fn describe(&self, columns: Rc<[Facts]>) {
        if !self.keeps_columns() {
            return;
        }
        let mut known = self.columns.borrow_mut();
        // Most descriptions are of what is known: then nothing is written.
        if !matches!(&*known, Described::Known(before) if Rc::ptr_eq(before, &columns)) {
            *known = Described::Known(columns);
        }
    }

    pub(crate) fn described(&self) -> Described {
        self.columns.borrow().clone()
    }
}

/// The formats that a Bind asks for: none (all text), one for all columns, or one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResultFormats(SmallVec<[Format; 8]>);

impl ResultFormats {
    pub(crate) fn of_bind(formats: &Formats<'_>) -> Self {
        Self((0..formats.count()).map(|index| formats.of(index)).collect())
    }

    fn of(&self, column: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// A portal of the protocol's Bind.
#[derive(Debug)]
pub(crate) struct Portal {
    /// Unknown only where everything is allowed: the server may know a name that the gateway does not.
    pub(crate) statement: Option<Rc<Prepared>>,
    /// Unknown of a Bind that came in parts, and of cursors: then only the portal's own description tells.
    formats: Option<ResultFormats>,
    /// SQL shares the names of portals and tells the gateway nothing: what a name stands for may be another portal.
    pub(crate) is_named: bool,
    /// What was in the place of its names when it was made, or is executed, may have been something else.
    pub(crate) is_ambiguous: Cell<bool>,
    plan: RefCell<Option<Rc<Plan>>>,
    /// A Describe of this portal is on its way or answered.
    pub(crate) is_described: Cell<bool>,
    /// The run that its Bind began, until an Execute takes it.
    pub(crate) run: Cell<Option<Run>>,
    /// Rows and bytes that went to the client while policy limits how many.
    pub(crate) given: Cell<(u64, u64)>,
    /// How its statement was judged at the Bind, where names got their meaning, and in which context.
    pub(crate) bound: Option<(Judged, u64)>,
}

impl Portal {
    pub(crate) fn new(
        name: &[u8],
        statement: Option<Rc<Prepared>>,
        formats: Option<ResultFormats>,
        run: Run,
        is_ambiguous: bool,
    ) -> Self {
        Self {
            bound: statement
                .as_ref()
                .map(|statement| (statement.judged(), statement.context.get())),
            statement,
            formats,
            is_named: !name.is_empty(),
            is_ambiguous: Cell::new(is_ambiguous),
            plan: RefCell::new(None),
            is_described: Cell::new(false),
            run: Cell::new(Some(run)),
            given: Cell::new((0, 0)),
        }
    }

    /// A portal that SQL's DECLARE made, as that was judged if it is known.
    pub(crate) fn of_cursor(declared: Option<Judged>) -> Self {
        Self {
            bound: declared.map(|declared| (declared, 0)),
            statement: None,
            formats: None,
            is_named: true,
            is_ambiguous: Cell::new(false),
            plan: RefCell::new(None),
            is_described: Cell::new(false),
            run: Cell::new(None),
            given: Cell::new((0, 0)),
        }
    }

    /// Whether a description holds for every execution from then on.
    pub(crate) fn keeps_columns(&self) -> bool {
        !self.is_named
            && self
                .statement
                .as_ref()
                .is_some_and(|statement| statement.keeps_columns())
    }

    /// The server has described the portal itself.
    pub(crate) fn set_plan(&self, plan: Rc<Plan>) {
        *self.plan.borrow_mut() = Some(plan);
    }

    /// Other masks hold from now on: it has to be described again where that is all that is known of it.
    pub(crate) fn forget_plan(&self) {
        *self.plan.borrow_mut() = None;
        self.is_described.set(false);
    }

    /// The plan for its rows, from its own description or its statement's; none if neither is known.
    pub(crate) fn plan(
        &self,
        is_scanned: bool,
        tags: &Tags,
        expected: impl FnOnce() -> Rc<Expectation>,
    ) -> Option<Rc<Plan>> {
        let mut plan = self.plan.borrow_mut();
        if plan.is_none()
            && let Some(statement) = &self.statement
            && let Some(formats) = &self.formats
            && let Described::Known(columns) = statement.described()
        {
            let expected = expected();
            let format = |index, _| formats.of(index);
            let plan_now = Plan::with_formats(&columns, format, is_scanned, tags, Some(&expected));
            *plan = Some(Rc::new(plan_now));
        }
        plan.clone()
    }
}

/// One execution in the record: from its begin to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The statement's number in the session.
    pub(crate) id: u64,
    /// When its message was received.
    pub(crate) received: Moment,
    /// When it went up.
    pub(crate) sent: Moment,
}

impl Run {
    /// A run that nothing was sent for.
    pub(crate) fn at(moment: Moment) -> Self {
        Self {
            id: 0,
            received: moment,
            sent: moment,
        }
    }
}

/// An error of the gateway's own, in the place of the failure of a message that was sent instead.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) sqlstate: SqlState,
    pub(crate) message: Rc<str>,
    pub(crate) detail: Option<Rc<str>>,
    pub(crate) hint: Option<Rc<str>>,
    /// How the message that went up instead fails; any other error is the server's own and passes.
    pub(crate) expected: SqlState,
}

impl Refusal {
    /// The same with what the client can do.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The ErrorResponse.
    pub(crate) fn report(&self) -> Vec<u8> {
        let mut report = Report::error(self.sqlstate, &self.message);
        if let Some(detail) = &self.detail {
            report = report.detail(detail);
        }
        if let Some(hint) = &self.hint {
            report = report.hint(hint);
        }
        let mut out = Vec::new();
        report.encode(&mut out);
        out
    }
}

/// A Query under way.
#[derive(Debug)]
pub(crate) struct QueryTicket {
    pub(crate) verdict: Rc<Verdict>,
    /// The cycle that it ends.
    pub(crate) cycle: u64,
    /// The run of its first statement; the others count on from it.
    pub(crate) first: Run,
    /// Statements that went up; the others were cut off.
    pub(crate) live: u32,
    /// Statements whose runs have ended.
    pub(crate) ended: u32,
    /// What few Queries have.
    pub(crate) more: Option<Box<MoreOfQuery>>,
}

/// What is kept of a Query that is refused, makes something, or changes what names mean on its way.
#[derive(Debug)]
pub(crate) struct MoreOfQuery {
    /// Statements that were judged again by themselves, since those before them change what names mean.
    pub(crate) again: Box<[(u32, Rc<Verdict>)]>,
    /// What the client is told of the statement behind those that went up.
    pub(crate) refused: Option<Refusal>,
    /// What its PREPAREs and DECLAREs make, by the statement's index.
    pub(crate) makes: Box<[(u32, Made)]>,
    /// What the verdict of many statements takes of the session's budget.
    pub(crate) _held: Option<Rc<Held>>,
}

impl QueryTicket {
    /// How a statement was judged that went up.
    pub(crate) fn judged(&self, statement: u32) -> Judged {
        match self.again(statement) {
            Some(verdict) => Judged {
                verdict: Rc::clone(verdict),
                index: 0,
            },
            None => Judged {
                verdict: Rc::clone(&self.verdict),
                index: statement as usize,
            },
        }
    }

    fn again(&self, statement: u32) -> Option<&Rc<Verdict>> {
        let again = &self.more.as_ref()?.again;
        let at = again.binary_search_by_key(&statement, |(index, _)| *index).ok()?;
        again.get(at).map(|(_, verdict)| verdict)
    }

    /// What a statement of it makes under a name.
    pub(crate) fn made_by(&self, statement: u32) -> Option<&Made> {
        let makes = self.makes();
        let at = makes.binary_search_by_key(&statement, |(index, _)| *index).ok()?;
        makes.get(at).map(|(_, made)| made)
    }

    /// What its statements make under names, by their index.
    pub(crate) fn makes(&self) -> &[(u32, Made)] {
        self.more.as_ref().map_or(&[], |more| &more.makes)
    }

    pub(crate) fn run(&self, statement: u32) -> Run {
        Run {
            id: self.first.id + u64::from(statement),
            ..self.first
        }
    }
}

/// What a reply answers. Where a success changes the session's state, `changes` says so.
#[derive(Debug)]
pub(crate) enum Ticket {
    Query(QueryTicket),
    Parse {
        name: Box<[u8]>,
        prepared: Rc<Prepared>,
        changes: bool,
    },
    Bind {
        name: Box<[u8]>,
        portal: Rc<Portal>,
        changes: bool,
    },
    DescribeStatement {
        prepared: Option<Rc<Prepared>>,
    },
    /// A Describe of the gateway's own is hidden from the client.
    DescribePortal {
        portal: Option<Rc<Portal>>,
        is_hidden: bool,
    },
    Execute {
        portal: Rc<Portal>,
        run: Run,
        /// What it names, if it runs a PREPARE or DECLARE.
        made: Option<Made>,
        changes: bool,
    },
    CloseStatement {
        name: Box<[u8]>,
    },
    ClosePortal {
        name: Box<[u8]>,
    },
    /// The run, until it has ended; ReadyForQuery follows.
    FunctionCall {
        run: Option<Run>,
        cycle: u64,
        changes: bool,
    },
    /// Stands for a message that was refused.
    Refused {
        refusal: Box<Refusal>,
        /// The cycle that it ends; zero if it ends none.
        cycle: u64,
    },
    Sync {
        /// The cycle that it ends.
        cycle: u64,
    },
    /// The gateway's own Query, which fails the transaction of a statement that passed a limit: see
    /// [`limited`](super::limited).
    FailsTransaction,
    /// The gateway's own Query: see [`hidden`](super::hidden).
    Hidden,
    /// Flush, COPY data: nothing is kept of them.
    Plain,
}

impl Ticket {
    /// The cycle that its message ends, if it ends one.
    pub(crate) fn cycle(&self) -> Option<u64> {
        match self {
            Self::Query(QueryTicket { cycle, .. })
            | Self::FunctionCall { cycle, .. }
            | Self::Sync { cycle } => Some(*cycle),
            Self::Refused { cycle, .. } => Some(*cycle).filter(|&cycle| cycle > 0),
            _ => None,
        }
    }
}
