//! What a statement is charged to before it is sent: see [`crate::budgets`].

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use sluice_audit::metrics::Counter;
use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::backend::Format;
use sluice_parsers::postgres::frontend::Bind;
use sluice_parsers::sql::statement::{Probes, Statement, StatementKind};
use sluice_policy::{Cause, Charge, Denial, Measure};

use super::judging::Refused;
use crate::budgets::{Funds, Purse, UsedUp};
use crate::gate::{Outcome, Terms};
use crate::postgres::deny::Kind;
use crate::postgres::session::Session;
use crate::postgres::statements::{Judged, Refusal, Run};

/// No budget of probes is larger.
const PROBES_MAX: u32 = 10_000;

/// What a client is told whose statement makes probes that cannot be counted.
const UNCOUNTED: &str = "sluice: policy limits how often protected columns may be compared with values (@budget), and what \
                         this compares them with cannot be counted";

/// What it can do.
const COUNTED: &str = "Compare them by = with one constant or parameter each.";

/// Where what a protected column is compared with comes from.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// From the statement's text alone.
    Text(&'a [u8]),
    /// From its text and a Bind; none if that came in parts.
    Bind(&'a [u8], Option<&'a Bind<'a>>),
}

impl Session {
    /// Charges what a statement compares protected columns with, where that has a budget.
    pub(super) fn pay_probes(
        &self,
        kind: Kind,
        terms: &Terms,
        run: Run,
        judged: &Judged,
        given: Given<'_>,
    ) -> Result<(), Refused> {
        let mut funds = self.funds(terms, Measure::Probes).peekable();
        if funds.peek().is_none() {
            return Ok(());
        }
        let probes = judged.statement().map(|statement| self.probes_of(statement));
        let Probes { count, vary } = probes.unwrap_or_default();
        if count == 0 {
            return Ok(());
        }
        if count > PROBES_MAX {
            let refusal = Refusal {
                hint: Some(COUNTED.into()),
                ..kind.refusal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, UNCOUNTED)
            };
            return Err((refusal, self.held(judged.outcome())));
        }
        let base = self.core.budgets.borrow().hash(|hasher| {
            judged.verdict.lines(judged.index).as_bytes().hash(hasher);
            self.settings_set.hash(hasher);
            let is_known = hash_given(given, hasher);
            if vary || !is_known {
                (self.id, run.id).hash(hasher);
            }
        });
        let budgets = self.core.budgets.borrow();
        let made: Vec<u64> = (0..count)
            .map(|place| budgets.hash(|hasher| (base, place).hash(hasher)))
            .collect();
        drop(budgets);
        funds
            .try_for_each(|funds| funds.probe(&made))
            .map_err(|used_up| self.refused_for(kind, used_up))
    }

    /// Charges a statement that is about to run. Gives what its answer may use up, where that has a budget.
    pub(super) fn pay(
        &self,
        kind: Kind,
        terms: &Terms,
        counts: bool,
        is_reading: bool,
    ) -> Result<Option<Rc<Purse>>, Refused> {
        if terms.charges.is_empty() {
            return Ok(None);
        }
        let mut purse = Purse::default();
        for measure in [Measure::Rows, Measure::Masked] {
            self.funds(terms, measure)
                .for_each(|funds| purse.add(measure, funds));
        }
        // Whatever else it does, what writes is done.
        if let Some(used_up) = purse.used_up().filter(|_| is_reading) {
            return Err(self.refused_for(kind, used_up));
        }
        if counts {
            self.funds(terms, Measure::Statements)
                .try_for_each(|funds| funds.spend(1))
                .map_err(|used_up| self.refused_for(kind, used_up))?;
        }
        Ok((!purse.is_empty()).then(|| Rc::new(purse)))
    }

    fn funds(&self, terms: &Terms, measure: Measure) -> impl Iterator<Item = Funds> {
        let of = move |charge: &&Charge| charge.measure == measure;
        let who = self.context.principal.id();
        let mut budgets = self.core.budgets.borrow_mut();
        let funds = terms.charges.iter().filter(of);
        let funds: Vec<Funds> = funds.map(|charge| budgets.funds(who, charge)).collect();
        funds.into_iter()
    }

    /// With those of what it runs by name. What a cursor reads was compared when it was declared.
    fn probes_of(&self, statement: &Statement) -> Probes {
        if matches!(
            statement.kind,
            StatementKind::Prepare { .. } | StatementKind::Fetch { .. }
        ) {
            return Probes::default();
        }
        let Some(name) = &statement.runs_prepared else {
            return statement.probes;
        };
        let candidates = self.statements.candidates(name.as_bytes());
        let of_prepared = candidates.iter().filter_map(|prepared| {
            let judged = prepared.judged();
            judged.statement().map(|statement| statement.probes)
        });
        // What its parameters are may be computed.
        let vary = Probes { count: 0, vary: true };
        of_prepared.fold(statement.probes.and(vary), Probes::and)
    }

    /// The refusal of a statement for which a budget has no room.
    fn refused_for(&self, kind: Kind, used_up: UsedUp) -> Refused {
        let counter = Counter::StatementsOverBudget;
        self.core.ledger.borrow_mut().metrics.add(counter, 1);
        let UsedUp { policy, budget, wait } = used_up;
        let on = self.context.principal.on();
        let denial = Denial {
            policy: Some(policy),
            message: None,
            severity: None,
            cause: Cause::Budget,
            effect: None,
            action: "Connect",
            object: Box::default(),
            on: on.clone(),
            resource: (&**on).into(),
            approval: None,
            budget: Some((budget, wait)),
            error: None,
            is_timed: true,
        };
        let refusal = kind.refusal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, &denial.to_string());
        (refusal, Outcome::Deny(Rc::new(denial)))
    }
}

/// Whether what protected columns are compared with is all there.
fn hash_given(given: Given<'_>, hasher: &mut impl Hasher) -> bool {
    match given {
        Given::Text(text) => {
            text.hash(hasher);
            true
        }
        Given::Bind(text, None) => {
            text.hash(hasher);
            false
        }
        Given::Bind(text, Some(bind)) => {
            text.hash(hasher);
            for (place, value) in (0..).zip(bind.parameters.iter()) {
                (bind.parameter_formats.of(place) == Format::Binary).hash(hasher);
                value.hash(hasher);
            }
            true
        }
    }
}

/// Whether a statement is one of those that a budget of statements counts: a client always may give back what it holds.
pub(super) fn is_counted(judged: &Judged) -> bool {
    use StatementKind as Kind;
    judged.statement().is_some_and(|statement| {
        !matches!(
            statement.kind,
            Kind::Begin
                | Kind::Commit { .. }
                | Kind::Rollback { .. }
                | Kind::Savepoint { .. }
                | Kind::Release { .. }
                | Kind::RollbackTo { .. }
                | Kind::Deallocate { .. }
                | Kind::DiscardAll
                | Kind::Discard
                | Kind::Reset { .. }
                | Kind::Close { .. }
                | Kind::Unlisten
        )
    })
}
