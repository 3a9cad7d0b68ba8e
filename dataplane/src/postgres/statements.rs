//! Prepared statements and portals of a session, and the tickets by which replies find what they answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::backend::{Format, Formats};
use sluice_parsers::sql::effect::Effect;
use sluice_parsers::sql::statement::{Statement, StatementKind};
use sluice_runtime::time::Moment;
use smallvec::SmallVec;

use super::columns::{Facts, Plan, Tags};
use crate::gate::{Outcome, Verdict};

/// A statement under a name, of the protocol's Parse or of SQL's PREPARE.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) text: Rc<[u8]>,
    pub(crate) verdict: Rc<Verdict>,
    /// Which of the verdict's statements it is.
    pub(crate) index: usize,
    /// How it came by its name.
    made_by: MadeBy,
    keeps_columns: bool,
    /// Its result columns, once the server described them.
    columns: RefCell<Described>,
    budget: Rc<Cell<usize>>,
}

/// How a prepared statement comes by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeBy {
    /// The protocol's Parse.
    Parse,
    /// SQL's PREPARE: it is what that prepares.
    Prepare,
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
    /// Takes its text's bytes out of the session's budget, and gives them back when it goes.
    pub(crate) fn new(
        text: Rc<[u8]>,
        verdict: Rc<Verdict>,
        index: usize,
        made_by: MadeBy,
        budget: &Rc<Cell<usize>>,
    ) -> Self {
        use StatementKind::{Delete, Insert, Merge, Prepare, Select, Update};
        budget.set(budget.get().saturating_sub(text.len()));
        let kind = verdict.statements.get(index).map(|statement| &statement.kind);
        Self {
            keeps_columns: matches!(
                kind,
                Some(Select | Insert | Update | Delete | Merge | Prepare { .. })
            ),
            text,
            verdict,
            index,
            made_by,
            columns: RefCell::default(),
            budget: Rc::clone(budget),
        }
    }

    /// The name that its execution gives to a statement, if it is a PREPARE.
    pub(crate) fn makes(&self) -> Option<&str> {
        if self.verdict.is_inert || self.made_by == MadeBy::Prepare {
            return None;
        }
        match &self.verdict.statements.get(self.index)?.kind {
            StatementKind::Prepare { name } => Some(name),
            _ => None,
        }
    }

    /// Whether the server lets its result columns never change. Those of EXECUTE, FETCH and CALL are what stands under
    /// a name when they run.
    pub(crate) fn keeps_columns(&self) -> bool {
        self.keeps_columns
    }

    /// What it does; a text of several statements, which the server refuses, does what they do.
    pub(crate) fn effects(&self) -> &[Effect] {
        self.verdict
            .statements
            .get(self.index)
            .map_or(&[], |statement| &statement.effects)
    }

    /// The statements of its text with what was decided of them; the server takes one only.
    pub(crate) fn statements(&self) -> impl Iterator<Item = (&Statement, &Outcome)> {
        let only = (self.made_by == MadeBy::Prepare).then_some(self.index);
        self.verdict
            .statements
            .iter()
            .zip(&self.verdict.outcomes)
            .enumerate()
            .filter(move |(index, _)| only.is_none_or(|only| only == *index))
            .map(|(_, pair)| pair)
    }

    /// What was decided of it first.
    pub(crate) fn outcome(&self) -> &Outcome {
        self.verdict
            .outcomes
            .get(self.index)
            .unwrap_or(&Outcome::Allow(None))
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

impl Drop for Prepared {
    fn drop(&mut self) {
        self.budget.set(self.budget.get().saturating_add(self.text.len()));
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
    plan: RefCell<Option<Rc<Plan>>>,
    /// A Describe of this portal is on its way or answered.
    pub(crate) is_described: Cell<bool>,
    /// The run that its Bind began, until an Execute takes it.
    pub(crate) run: Cell<Option<Run>>,
}

impl Portal {
    pub(crate) fn new(
        name: &[u8],
        statement: Option<Rc<Prepared>>,
        formats: Option<ResultFormats>,
        run: Run,
    ) -> Self {
        Self {
            statement,
            formats,
            is_named: !name.is_empty(),
            plan: RefCell::new(None),
            is_described: Cell::new(false),
            run: Cell::new(Some(run)),
        }
    }

    /// A portal that SQL's DECLARE made.
    pub(crate) fn of_cursor() -> Self {
        Self {
            statement: None,
            formats: None,
            is_named: true,
            plan: RefCell::new(None),
            is_described: Cell::new(false),
            run: Cell::new(None),
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

    /// The plan for its rows, from its own description or its statement's; none if neither is known.
    pub(crate) fn plan(&self, is_scanned: bool, tags: &Tags) -> Option<Rc<Plan>> {
        let mut plan = self.plan.borrow_mut();
        if plan.is_none()
            && let Some(statement) = &self.statement
            && let Some(formats) = &self.formats
            && let Described::Known(columns) = statement.described()
        {
            let plan_now = Plan::with_formats(&columns, |index| formats.of(index), is_scanned, tags);
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

/// A Query under way.
#[derive(Debug)]
pub(crate) struct QueryTicket {
    pub(crate) verdict: Rc<Verdict>,
    /// The run of its first statement; the others count on from it.
    pub(crate) first: Run,
    /// Statements that went up; the others were cut off.
    pub(crate) live: u32,
    /// Statements whose runs have ended.
    pub(crate) ended: u32,
    /// What the client is told of the statement behind those that went up.
    pub(crate) refused: Option<Box<Refusal>>,
    /// Names that its PREPAREs make, by the statement's index.
    pub(crate) prepares: Box<[(u32, Rc<Prepared>)]>,
}

impl QueryTicket {
    pub(crate) fn run(&self, statement: u32) -> Run {
        Run {
            id: self.first.id + u64::from(statement),
            ..self.first
        }
    }
}

/// What a reply answers.
#[derive(Debug)]
pub(crate) enum Ticket {
    Query(QueryTicket),
    Parse {
        name: Box<[u8]>,
        prepared: Rc<Prepared>,
    },
    Bind {
        name: Box<[u8]>,
        portal: Rc<Portal>,
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
        /// The statement that it names, if it runs a PREPARE.
        made: Option<Rc<Prepared>>,
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
    },
    /// Stands for a message that was refused.
    Refused(Box<Refusal>),
    /// Sync, Flush, COPY data: nothing is kept of them.
    Plain,
}
