//! What a statement is charged to before it is sent: see [`crate::budgets`].

use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use sluice_audit::metrics::Counter;
use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::backend::{Format, TransactionStatus};
use sluice_parsers::postgres::frontend::Bind;
use sluice_parsers::sql::statement::{Probes, Statement, StatementKind};
use sluice_policy::{Denial, Measure, PROBES_MAX, UsedUp};

use super::judging::Refused;
use crate::budgets::{AnswerBudgets, Budgets, Charged};
use crate::gate::{Outcome, Terms};
use crate::postgres::deny::Kind;
use crate::postgres::limited::Bounds;
use crate::postgres::session::Session;
use crate::postgres::statements::{Judged, Portal, Prepared, Run};

/// What a client is told whose statement makes probes that cannot be counted.
const UNCOUNTED: &str = "sluice: policy limits how often protected columns may be compared with values (@budget), and what \
                         this compares them with cannot be counted";

/// The hint to it.
const COMPARE_BY_EQUALS: &str = "Compare them by = with one constant or parameter each.";

/// Where what a protected column is compared with comes from.
#[derive(Clone, Copy)]
enum ComparedWith<'a> {
    /// The statement's text alone.
    Text(&'a [u8]),
    /// A prepared statement's text and types, and a Bind; none if that came in parts.
    Bind(&'a Prepared, Option<&'a Bind<'a>>),
    /// Its text, and whatever stands under a name when it runs.
    Named(&'a [u8]),
}

/// What is known of the settings by which a session reads values: where that is equal, a constant is the same value.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(in crate::postgres) struct ValuesReadBy {
    /// A hash of the startup packet's settings.
    startup: u64,
    /// Once it has set others: the session, and how often they settled.
    since: Option<(u64, u64)>,
    /// It has set some that a failure, a savepoint or the transaction's end may take back.
    is_settling: bool,
}

impl ValuesReadBy {
    /// The settings of a startup packet. What a client calls itself changes no value.
    pub(in crate::postgres) fn startup(settings: &[(String, String)], budgets: &Budgets) -> Self {
        let read = settings.iter().filter(|(name, _)| name != "application_name");
        Self {
            startup: budgets.hash(|hasher| read.for_each(|setting| setting.hash(hasher))),
            since: None,
            is_settling: false,
        }
    }

    /// The session sets another one.
    pub(super) fn setting_changes(&mut self) {
        self.is_settling = true;
    }

    /// All that was sent is answered, and no transaction is open.
    fn settles(&mut self, session: u64) {
        if self.is_settling {
            let before = self.since.map_or(0, |(_, count)| count);
            self.since = Some((session, before + 1));
            self.is_settling = false;
        }
    }
}

impl Session {
    /// Charges a statement that is held to terms. Gives what its answer is held to.
    pub(super) fn pay_in_query(
        &mut self,
        terms: &Terms,
        run: Run,
        judged: &Judged,
        text: &[u8],
    ) -> Result<Option<Bounds>, Refused> {
        let mut bounds = self.bounds(judged, terms.limits);
        // What comes behind a failure is skipped, and nothing of it is charged.
        if !self.model.skips() {
            let counts = is_counted(judged);
            let compared = if runs_named(judged) {
                ComparedWith::Named(text)
            } else {
                ComparedWith::Text(text)
            };
            self.gate_budgets(Kind::Query, terms, counts, bounds.is_reading)?;
            self.pay_probes(Kind::Query, terms, run, judged, compared)?;
            self.pay(Kind::Query, terms, counts, &mut bounds)?;
        }
        Ok(Some(bounds).filter(Bounds::are_any))
    }

    /// Charges what a Bind gives a statement to compare with, where nothing else stands in its way. What stands under a name
    /// is known when it runs.
    pub(super) fn pay_at_bind(
        &mut self,
        terms: &Terms,
        run: Run,
        prepared: &Prepared,
        bind: Option<&Bind<'_>>,
    ) -> Result<(), Refused> {
        let judged = prepared.judged();
        let is_reading = self.bounds(&judged, terms.limits).is_reading;
        self.gate_budgets(Kind::Bind, terms, is_counted(&judged), is_reading)?;
        if runs_named(&judged) {
            return Ok(());
        }
        let compared = ComparedWith::Bind(prepared, bind);
        self.pay_probes(Kind::Bind, terms, run, &judged, compared)
    }

    /// Charges an execution of a portal; `is_first` if it is the one that its Bind began. Gives what its answer is held to.
    pub(super) fn pay_at_execute(
        &mut self,
        terms: &Terms,
        run: Run,
        portal: &Portal,
        is_first: bool,
        mut bounds: Bounds,
    ) -> Result<Option<Bounds>, Refused> {
        // A portal is one statement, however many Executes read it; of a cursor each is one, as FETCH is.
        let mut counts = true;
        if let Some(prepared) = &portal.statement {
            let judged = prepared.judged();
            counts = is_first && is_counted(&judged);
            if is_first && runs_named(&judged) {
                let compared = ComparedWith::Named(&prepared.text);
                self.pay_probes(Kind::Execute, terms, run, &judged, compared)?;
            }
        }
        self.pay(Kind::Execute, terms, counts, &mut bounds)?;
        Ok(Some(bounds).filter(Bounds::are_any))
    }

    /// Charges what a statement compares protected columns with, where that has a budget. Nothing is charged where another
    /// budget has no room for the statement.
    fn pay_probes(
        &mut self,
        kind: Kind,
        terms: &Terms,
        run: Run,
        judged: &Judged,
        compared: ComparedWith<'_>,
    ) -> Result<(), Refused> {
        let charged = self.charged(terms, Measure::Probes);
        if charged.is_empty() {
            return Ok(());
        }
        let probes = judged.statement().map(|statement| self.probes_of(statement));
        let Probes { count, vary } = probes.unwrap_or(Probes::NONE);
        let Some(count) = count.filter(|count| u64::from(*count) <= PROBES_MAX) else {
            self.count_over_budget();
            let refusal = kind
                .refusal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, UNCOUNTED)
                .with_hint(COMPARE_BY_EQUALS);
            return Err((refusal, self.held(judged.outcome())));
        };
        if count == 0 {
            return Ok(());
        }
        if self.model.is_idle() && self.model.transaction() == TransactionStatus::Idle {
            self.values_read_by.settles(self.id);
        }
        let budgets = self.core.budgets.borrow();
        let base = budgets.hash(|hasher| {
            let target = self.context.principal.target();
            (target.connection(), target.database()).hash(hasher);
            judged.verdict.lines(judged.index).as_bytes().hash(hasher);
            self.values_read_by.hash(hasher);
            let is_known = hash_compared(compared, hasher);
            if vary || !is_known || self.values_read_by.is_settling {
                (self.id, run.id).hash(hasher);
            }
        });
        let probe = |place: u32| budgets.hash(|hasher| (base, place).hash(hasher));
        let made: Vec<u64> = (0..count).map(probe).collect();
        drop(budgets);
        charged
            .probe(&made)
            .map_err(|used_up| self.refused_for(kind, used_up))
    }

    /// Refuses a statement for which a budget has no room. Nothing is charged yet.
    fn gate_budgets(&self, kind: Kind, terms: &Terms, counts: bool, is_reading: bool) -> Result<(), Refused> {
        // Which values are masked is known when they come, and what writes gives no rows where there is no room for them.
        for (measure, is_asked) in [(Measure::Statements, counts), (Measure::Rows, is_reading)] {
            if is_asked {
                let charged = self.charged(terms, measure);
                if !charged.has_room() {
                    return Err(self.refused_for(kind, charged.used_up()));
                }
            }
        }
        Ok(())
    }

    /// Charges a statement that is about to run. Adds to its bounds what its answer may use up, where that has a budget.
    fn pay(&self, kind: Kind, terms: &Terms, counts: bool, bounds: &mut Bounds) -> Result<(), Refused> {
        if terms.charges.is_empty() {
            return Ok(());
        }
        let answer = AnswerBudgets {
            rows: self.charged(terms, Measure::Rows),
            masked: self.charged(terms, Measure::Masked),
        };
        if bounds.is_reading && !answer.rows.has_room() {
            return Err(self.refused_for(kind, answer.rows.used_up()));
        }
        // How many values of its data are masked is known when they are on their way.
        if bounds.is_copy && !answer.masked.has_room() {
            return Err(self.refused_for(kind, answer.masked.used_up()));
        }
        if counts {
            let charged = self.charged(terms, Measure::Statements);
            charged
                .charge(1)
                .map_err(|used_up| self.refused_for(kind, used_up))?;
        }
        if !(answer.rows.is_empty() && answer.masked.is_empty()) {
            bounds.answer = Some(Rc::new(answer));
        }
        Ok(())
    }

    fn charged(&self, terms: &Terms, measure: Measure) -> Charged {
        let charges = terms.charges.iter().filter(|charge| charge.measure == measure);
        let who = self.context.principal.id();
        self.core.budgets.borrow_mut().charged(who, charges)
    }

    /// With those of what it runs by name. What a cursor reads was compared when it was declared.
    fn probes_of(&self, statement: &Statement) -> Probes {
        if matches!(
            statement.kind,
            StatementKind::Prepare { .. } | StatementKind::Fetch { .. }
        ) {
            return Probes::NONE;
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
        let computed = Probes {
            vary: true,
            ..Probes::NONE
        };
        of_prepared.fold(statement.probes.and(computed), Probes::and)
    }

    /// The refusal of a statement for which a budget has no room.
    fn refused_for(&self, kind: Kind, used_up: Option<UsedUp>) -> Refused {
        self.count_over_budget();
        let policy = used_up.as_ref().map(|used_up| Arc::clone(&used_up.policy));
        let severity = policy.and_then(|policy| self.core.gate.borrow_mut().policies().severity(&policy));
        let denial = Denial::of_budget(&self.context.principal, used_up, severity);
        let refusal = kind.refusal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, &denial.to_string());
        (refusal, Outcome::Deny(Rc::new(denial)))
    }

    fn count_over_budget(&self) {
        let counter = Counter::StatementsOverBudget;
        self.core.ledger.borrow_mut().metrics.add(counter, 1);
    }
}

/// Whether what protected columns are compared with is all there.
fn hash_compared(compared: ComparedWith<'_>, hasher: &mut impl Hasher) -> bool {
    match compared {
        ComparedWith::Text(text) => {
            text.hash(hasher);
            true
        }
        ComparedWith::Named(text) => {
            text.hash(hasher);
            false
        }
        ComparedWith::Bind(prepared, bind) => {
            (&prepared.text, &prepared.types).hash(hasher);
            for (place, value) in (0..).zip(bind.iter().flat_map(|bind| bind.parameters.iter())) {
                let format = bind.map(|bind| bind.parameter_formats.of(place));
                (format == Some(Format::Binary), value).hash(hasher);
            }
            bind.is_some()
        }
    }
}

/// Whether a statement is one of those that a budget of statements counts: a client always may give back what it holds.
fn is_counted(judged: &Judged) -> bool {
    let is_free = |kind: &StatementKind| kind.is_of_transaction() || kind.gives_back();
    judged
        .statement()
        .is_some_and(|statement| !is_free(&statement.kind))
}

/// Whether a statement runs what stands under the name of a prepared one.
fn runs_named(judged: &Judged) -> bool {
    let statement = judged.statement();
    statement.is_some_and(|statement| statement.runs_prepared.is_some())
}
