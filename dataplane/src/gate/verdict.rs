//! What policy said of each statement of a text, with what is kept of it for every use.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use sluice_audit::record::{LEFT_OUT, LIST_LEN_MAX, List, ListBuffer};
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::effect::{Action, Effect, EffectMask};
use sluice_parsers::sql::statement::{Statement, StatementKind, Taken};
use sluice_parsers::sql::world::{Deferred, Touched};
use sluice_policy::{Charge, Decision, Denial, Limits, write_effect};

use super::OfText;
use super::bytes::verdict_bytes;
use crate::postgres::columns::Tags;
use crate::postgres::expected::Expectation;
use crate::postgres::state::Change;
use crate::postgres::statements::{Held, HoldBudget};

/// More effects of one statement than these are counted in its record, not named.
pub(super) const EFFECT_LINES_MAX: usize = 256;

/// Room for the lengths of two lines and for the line that counts the others.
const LEFT_OUT_BYTES_MAX: usize = 36;

/// What an allowed statement is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Bounds of the statement itself.
    pub limits: Limits,
    /// What it is charged to.
    pub charges: Box<[Charge]>,
}

impl Terms {
    /// Those of two things that are both done.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let more = other
            .charges
            .iter()
            .filter(|charge| !self.charges.contains(charge));
        Self {
            limits: self.limits.strictest(other.limits),
            charges: self.charges.iter().chain(more).cloned().collect(),
        }
    }
}

/// What policy said of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first policy that permits, if the decision names one.
    Allow(Option<Arc<str>>),
    /// The same within limits, which hold on a connection that enforces.
    Limited {
        /// The first policy that permits.
        policy: Option<Arc<str>>,
        /// What it may use up.
        terms: Rc<Terms>,
    },
    /// What is not permitted, and why.
    Deny(Rc<Denial>),
    /// The same on a connection that only observes: it runs, and the record tells.
    Observe(Rc<Denial>),
}

impl Outcome {
    pub(super) fn is_policy_error(&self) -> bool {
        matches!(self, Self::Deny(denial) if denial.error.is_some())
    }
}

/// What policy said of each statement of a text.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what statements are, in respects that do not depend on each other"
)]
#[derive(Debug)]
pub struct Verdict {
    /// The statements, in the order of the text.
    pub statements: Vec<Statement>,
    /// What each statement does.
    pub masks: Box<[EffectMask]>,
    /// The effects of each statement, as the record keeps them.
    pub effects: Box<[ListBuffer]>,
    /// What was decided of each statement.
    pub outcomes: Box<[Outcome]>,
    /// The epoch of the policy that was asked.
    pub epoch: u64,
    /// A policy looked at the time: what was decided may be another thing now.
    pub is_timed: bool,
    /// Every statement is allowed, and nothing about it depends on the session or the time.
    pub is_plain: bool,
    /// A statement runs what stands under a name: EXECUTE, FETCH.
    pub runs_by_name: bool,
    /// No statement's success changes anything that the session or the core keeps.
    pub is_inert: bool,
    /// Why each statement is `Opaque`, as the record says it; empty if none is.
    pub reasons: Box<[Option<Box<str>>]>,
    /// What each statement's success changes in the session's state; empty if none changes any.
    pub(super) changes: Box<[Change]>,
    /// What is expected of each statement's rows where these columns are configured.
    expected: RefCell<Option<Expected>>,
    /// The last text that was prepared under it: mostly every session prepares the same.
    prepared_text: RefCell<Option<Rc<[u8]>>>,
    /// A longer text is not kept: another one of the same shape may be long with comments and literals.
    pub(super) text_bytes_max: usize,
    /// Of a text that is too long to be read again.
    pub(super) of_text: Option<OfText>,
    bytes: OnceCell<usize>,
    /// What it takes out of the budget of a session that holds it.
    holder: RefCell<Weak<Held>>,
}

/// Expectations under one set of configured columns, by the statement's place.
#[derive(Debug)]
struct Expected {
    tags: Arc<Tags>,
    of_statements: Box<[Option<Rc<Expectation>>]>,
}

impl Verdict {
    pub(super) fn new(statements: Vec<Statement>, decided: Decided, epoch: u64, text_bytes: usize) -> Self {
        use StatementKind::{Close, CopyOut, Deallocate, Declare, DiscardAll, Execute, Fetch, Prepare};
        let Decided { outcomes, is_timed } = decided;
        let is_allowed = outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Allow(_)));
        let reason = |statement: &Statement| {
            let first = statement.reasons.first()?;
            Some(first.to_string().into_boxed_str())
        };
        let mut reasons: Vec<_> = statements.iter().map(reason).collect();
        if reasons.iter().all(Option::is_none) {
            reasons.clear();
        }
        let masks: Box<[EffectMask]> = statements.iter().map(Statement::mask).collect();
        let mut changes: Vec<_> = statements.iter().map(Change::of).collect();
        if changes.iter().all(|change| *change == Change::Nothing) {
            changes.clear();
        }
        let runs_by_name = statements.iter().any(|statement| {
            statement.runs_prepared.is_some() || matches!(statement.kind, Execute { .. } | Fetch { .. })
        });
        Self {
            is_timed,
            is_plain: is_allowed
                && !is_timed
                && !runs_by_name
                && !statements
                    .iter()
                    .any(|statement| matches!(statement.kind, CopyOut { .. })),
            is_inert: changes.is_empty()
                && !runs_by_name
                && statements.iter().all(|statement| {
                    statement.takes == Taken::Nothing
                        && statement.touches == Touched::Nothing
                        && statement.defers == Deferred::Nothing
                })
                && !masks.iter().copied().any(changes_catalog)
                && !statements.iter().any(|statement| {
                    matches!(
                        statement.kind,
                        Prepare { .. } | Deallocate { .. } | DiscardAll | Declare { .. } | Close { .. }
                    )
                }),
            effects: statements
                .iter()
                .map(|statement| effect_lines(&statement.effects))
                .collect(),
            runs_by_name,
            reasons: reasons.into(),
            changes: changes.into(),
            masks,
            outcomes,
            statements,
            epoch,
            expected: RefCell::default(),
            prepared_text: RefCell::default(),
            text_bytes_max: 2 * text_bytes,
            of_text: None,
            bytes: OnceCell::new(),
            holder: RefCell::default(),
        }
    }

    /// Holds it on a session's account. While any session does, which are all of one identity, it is on one account.
    pub(crate) fn hold(&self, budget: &HoldBudget) -> Option<Rc<Held>> {
        let mut holder = self.holder.borrow_mut();
        if let Some(held) = holder.upgrade() {
            return Some(held);
        }
        let held = Rc::new(budget.take(self.held_bytes())?);
        *holder = Rc::downgrade(&held);
        Some(held)
    }

    /// What it takes of memory, about, but for the text that it may keep.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes().saturating_sub(self.text_bytes_max)
    }

    /// What it takes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        *self.bytes.get_or_init(|| verdict_bytes(self))
    }

    /// The hash of a long text that is one statement, or none.
    pub(crate) fn text_hash(&self) -> Option<[u8; 32]> {
        let of_text = self.of_text.as_ref().filter(|_| self.statements.len() <= 1);
        of_text.map(|of_text| of_text.hash)
    }

    /// Whether it is what policy says under that epoch, without asking again.
    pub fn holds_in(&self, epoch: u64) -> bool {
        self.epoch == epoch && !self.is_timed
    }

    /// Whether a statement changes what the catalog says.
    pub fn changes_catalog(&self, statement: usize) -> bool {
        self.masks.get(statement).copied().is_some_and(changes_catalog)
    }

    /// What a statement's success changes in the session's state; what it runs by a name is not in it.
    pub(crate) fn change(&self, statement: usize) -> &Change {
        self.changes.get(statement).unwrap_or(&Change::Nothing)
    }

    /// A statement's effects as lines.
    pub fn lines(&self, statement: usize) -> List<'_> {
        self.effects
            .get(statement)
            .map_or(List::EMPTY, ListBuffer::as_list)
    }

    /// What is expected of a statement's rows; always the same one while the same columns are configured. `catalog` is
    /// the one that it was judged by.
    pub(crate) fn expected(
        &self,
        statement: usize,
        tags: &Arc<Tags>,
        catalog: &Catalog,
    ) -> Option<Rc<Expectation>> {
        let mut expected = self.expected.borrow_mut();
        let known = match &mut *expected {
            Some(known) if Arc::ptr_eq(&known.tags, tags) => known,
            other => other.insert(Expected {
                tags: Arc::clone(tags),
                of_statements: vec![None; self.statements.len()].into(),
            }),
        };
        let place = known.of_statements.get_mut(statement)?;
        if place.is_none() {
            let of = self.statements.get(statement)?;
            *place = Some(Rc::new(Expectation::of(of, tags, catalog)));
        }
        place.clone()
    }

    /// Why a statement is `Opaque`, if it is.
    pub fn reason(&self, statement: usize) -> Option<&str> {
        self.reasons.get(statement)?.as_deref()
    }

    /// The text to keep under a name: one allocation for all sessions that prepare the same.
    pub fn shared_text(&self, text: &[u8]) -> Rc<[u8]> {
        let mut last = self.prepared_text.borrow_mut();
        match &*last {
            Some(last) if **last == *text => Rc::clone(last),
            _ if text.len() > self.text_bytes_max => text.into(),
            _ => Rc::clone(last.insert(text.into())),
        }
    }
}

/// What was decided of a text's statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) outcomes: Box<[Outcome]>,
    /// A policy looked at the time.
    pub(super) is_timed: bool,
}

impl Decided {
    /// How many statements are denied because a policy could not be evaluated.
    pub(super) fn policy_errors(&self) -> u64 {
        self.outcomes
            .iter()
            .map(|outcome| u64::from(outcome.is_policy_error()))
            .sum()
    }
}

impl From<Vec<Decision>> for Decided {
    fn from(decisions: Vec<Decision>) -> Self {
        Self {
            is_timed: decisions.iter().any(Decision::is_timed),
            outcomes: decisions.into_iter().map(Outcome::from).collect(),
        }
    }
}

fn changes_catalog(mask: EffectMask) -> bool {
    let ddl = [
        Action::Create,
        Action::Alter,
        Action::Drop,
        Action::Grant,
        Action::Opaque,
    ];
    ddl.into_iter().any(|action| mask.contains(action))
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow(permission) => {
                let policy = permission.policies.into_iter().next();
                let terms = Terms {
                    limits: permission.limits,
                    charges: permission.charges.into(),
                };
                if terms == Terms::default() {
                    Self::Allow(policy)
                } else {
                    let terms = Rc::new(terms);
                    Self::Limited { policy, terms }
                }
            }
            Decision::Deny(denial) => Self::Deny(Rc::new(*denial)),
        }
    }
}

/// Effects as lines for the record, as many as it keeps; the last line then tells of the others.
pub fn effect_lines(effects: &[Effect]) -> ListBuffer {
    let mut list = ListBuffer::new();
    for (index, effect) in effects.iter().enumerate() {
        let line = write_effect(effect);
        let has_room = list.as_list().as_bytes().len() + line.len() + LEFT_OUT_BYTES_MAX <= LIST_LEN_MAX;
        if index == EFFECT_LINES_MAX || !has_room {
            list.push(format!("{LEFT_OUT}{} more", effects.len() - index).as_bytes());
            break;
        }
        list.push(line.as_bytes());
    }
    list
}
