//! What a statement is charged to.

use std::rc::Rc;
use std::sync::Arc;

use sluice_policy::{Budget, Charge, UsedUp};
use smallvec::SmallVec;

use super::share::{CoreShare, Taken};

/// How many rows a statement draws at most at a time.
const DRAWN_MAX: u64 = 64;

/// The budgets of one permit, by their places among a statement's.
type Allowance = SmallVec<[usize; 1]>;

/// What an identity may use up by some charges of one measure. Of each charge there has to be room in all budgets of one
/// allowance. Every budget is charged, and once, however many charges it stands in.
#[derive(Debug)]
pub(crate) struct Charged {
    budgets: SmallVec<[(Rc<CoreShare>, Budget); 1]>,
    charges: SmallVec<[SmallVec<[Allowance; 1]>; 1]>,
}

/// What was taken of each budget.
#[derive(Debug, Default)]
struct Taking {
    /// What may be used of it: as much as there is room for in all charges.
    amount: u64,
    of: SmallVec<[Taken; 1]>,
}

impl Charged {
    pub(super) const fn new() -> Self {
        Self {
            budgets: SmallVec::new_const(),
            charges: SmallVec::new_const(),
        }
    }

    /// Adds a charge; `share` finds what the core has of an account.
    pub(super) fn add(
        &mut self,
        charge: &Charge,
        mut share: impl FnMut(&Arc<str>, &Budget) -> Rc<CoreShare>,
    ) {
        let mut allowances = SmallVec::new();
        for allowance in charge.to.iter() {
            let mut places = Allowance::new();
            for budget in allowance.budgets.iter() {
                let share = share(&allowance.policy, budget);
                let known = self
                    .budgets
                    .iter()
                    .position(|(known, _)| Rc::ptr_eq(known, &share));
                places.push(known.unwrap_or_else(|| {
                    self.budgets.push((share, *budget));
                    self.budgets.len() - 1
                }));
            }
            allowances.push(places);
        }
        self.charges.push(allowances);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.charges.is_empty()
    }

    /// What there is for all charges, where each budget has so much.
    fn together(charges: &[SmallVec<[Allowance; 1]>], of: impl Fn(usize) -> u64) -> u64 {
        let of_charge = |charge: &SmallVec<[Allowance; 1]>| {
            let of_allowance = |allowance: &Allowance| allowance.iter().map(|place| of(*place)).min();
            charge.iter().filter_map(of_allowance).max().unwrap_or(0)
        };
        charges.iter().map(of_charge).min().unwrap_or(u64::MAX)
    }

    /// How much more may be used up.
    pub(crate) fn room(&self) -> u64 {
        Self::together(&self.charges, |place| {
            self.budgets
                .get(place)
                .map_or(0, |(share, budget)| share.room(budget.max))
        })
    }

    /// Whether anything may be.
    pub(crate) fn has_room(&self) -> bool {
        let has_room = |place: usize| {
            let budget = self.budgets.get(place);
            budget.is_some_and(|(share, budget)| share.has_room(budget.max))
        };
        Self::together(&self.charges, |place| u64::from(has_room(place))) > 0
    }

    /// How much a core draws of these in advance.
    fn part(&self) -> u64 {
        let parts = self.budgets.iter().map(|(share, budget)| share.part(budget.max));
        parts.min().unwrap_or(u64::MAX)
    }

    /// Uses up as much as there is room for, at most `wanted`.
    fn take(&self, wanted: u64) -> Taking {
        let taken = self
            .budgets
            .iter()
            .map(|(share, budget)| share.take(wanted, budget.max));
        let mut taking = Taking {
            amount: 0,
            of: taken.collect(),
        };
        let amount = Self::together(&self.charges, |place| {
            taking.of.get(place).map_or(0, |taken| taken.amount)
        });
        self.put_back(&mut taking, amount.min(wanted));
        taking
    }

    /// No more than `needed` of what was taken was used up after all.
    fn put_back(&self, taking: &mut Taking, needed: u64) {
        for ((share, _), taken) in self.budgets.iter().zip(&mut taking.of) {
            share.put_back(*taken, needed);
            taken.amount = taken.amount.min(needed);
        }
        taking.amount = needed;
    }

    /// Uses up all of it, or nothing.
    pub(crate) fn charge(&self, amount: u64) -> Result<(), Option<UsedUp>> {
        let mut taking = self.take(amount);
        if taking.amount == amount {
            return Ok(());
        }
        self.put_back(&mut taking, 0);
        Err(self.used_up())
    }

    /// Uses up as much of it as there is room for: it was given already.
    pub(crate) fn charge_given(&self, amount: u64) {
        self.take(amount);
    }

    /// Makes these probes, or none.
    pub(crate) fn probe(&self, probes: &[u64]) -> Result<(), Option<UsedUp>> {
        let may = |(share, budget): &(Rc<CoreShare>, Budget)| share.may_probe(probes, budget.max);
        let may: SmallVec<[bool; 1]> = self.budgets.iter().map(may).collect();
        let has_room = |place: usize| may.get(place).is_some_and(|may| *may);
        if Self::together(&self.charges, |place| u64::from(has_room(place))) == 0 {
            return Err(self.used_up());
        }
        let with_room = self.budgets.iter().zip(&may).filter(|(_, may)| **may);
        for ((share, _), _) in with_room {
            share.probe(probes);
        }
        Ok(())
    }

    /// The budget that holds it up: of each charge's allowances the one that has room first.
    pub(crate) fn used_up(&self) -> Option<UsedUp> {
        let wait_of = |place: &usize| {
            let (share, budget) = self.budgets.get(*place)?;
            Some((!share.has_room(budget.max), share.wait(), *place))
        };
        let of_allowance = |allowance: &Allowance| allowance.iter().filter_map(wait_of).max();
        let of_charge = |charge: &SmallVec<[Allowance; 1]>| charge.iter().filter_map(of_allowance).min();
        let (_, wait, place) = self.charges.iter().filter_map(of_charge).max()?;
        let (share, budget) = self.budgets.get(place)?;
        Some(UsedUp {
            policy: Arc::clone(share.policy()),
            budget: *budget,
            wait,
        })
    }
}

/// What a statement may use up by its answer.
#[derive(Debug)]
pub(crate) struct AnswerBudgets {
    pub(crate) rows: Charged,
    pub(crate) masked: Charged,
}

/// Rows that were drawn for a statement. Those that are not given go back.
#[derive(Debug)]
pub(crate) struct Drawn {
    of: Rc<AnswerBudgets>,
    taking: Taking,
    left: u64,
}

impl Drawn {
    /// Of what no row was drawn yet.
    pub(crate) fn new(of: Rc<AnswerBudgets>) -> Self {
        Self {
            of,
            taking: Taking::default(),
            left: 0,
        }
    }

    /// How many rows may be given before more are drawn.
    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    /// How many rows there may be, drawn or not.
    pub(crate) fn room(&self) -> u64 {
        self.of.rows.room().saturating_add(self.left)
    }

    /// Sees to it that there is one.
    pub(crate) fn draw(&mut self) -> Result<(), Option<UsedUp>> {
        if self.left > 0 {
            return Ok(());
        }
        let wanted = self.of.rows.part().clamp(1, DRAWN_MAX);
        self.taking = self.of.rows.take(wanted);
        self.left = self.taking.amount;
        if self.left > 0 {
            Ok(())
        } else {
            Err(self.of.rows.used_up())
        }
    }

    /// The budget that holds it up.
    pub(crate) fn used_up(&self) -> Option<UsedUp> {
        self.of.rows.used_up()
    }

    /// Rows were given.
    pub(crate) const fn given(&mut self, rows: u64) {
        self.left = self.left.saturating_sub(rows);
    }

    /// A row that counted as given was not.
    pub(crate) fn not_given(&mut self) {
        self.left = self.taking.amount.min(self.left + 1);
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let given = self.taking.amount - self.left;
        self.of.rows.put_back(&mut self.taking, given);
    }
}
