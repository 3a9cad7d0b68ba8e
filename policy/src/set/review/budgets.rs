//! Budgets that hold nobody, as other permits let through the same.

use std::collections::BTreeSet;

use cedar_policy::Effect;

use super::{Notes, Scope};
use crate::budget::{Budget, Measure};
use crate::schema::{FILTER, UNMASK};
use crate::set::parse::{Piece, annotation_place};

impl Notes<'_, '_> {
    /// What a permit's statements are never charged to, or not held to: of the permits that apply, one without a budget of a
    /// measure makes it free, and one that has room is enough.
    pub(super) fn budgets(&mut self, place: usize, scope: &Scope, pieces: &[Piece<'_>], scopes: &[Scope]) {
        let own = self.piece;
        for measure in Measure::ALL {
            let mine = of_measure(&own.annotations.budgets, measure);
            let is_charged = |action: usize| match measure {
                Measure::Probes => action == FILTER,
                Measure::Statements | Measure::Rows | Measure::Masked => action != UNMASK,
            };
            let actions = scope.actions.iter().copied();
            let actions: Vec<usize> = actions.filter(|action| is_charged(*action)).collect();
            if mine.is_empty() || actions.is_empty() {
                continue;
            }
            let others = pieces.iter().zip(scopes).enumerate();
            let others = others.filter(|(other_place, (other, other_scope))| {
                *other_place != place
                    && other.policy.effect() == Effect::Permit
                    && !other.policy.has_non_scope_constraint()
                    && other_scope.covers_whom_and_where(scope)
            });
            let others: Vec<Other<'_>> = others
                .map(|(_, (other, scope))| Other {
                    name: &other.name,
                    scope,
                    budgets: of_measure(&other.annotations.budgets, measure),
                })
                .collect();
            let at = annotation_place(own.text, "budget");
            let measure = measure.name();
            if let Some(by) = covering(&actions, &others, |other| other.budgets.is_empty()) {
                self.note(
                    at,
                    format!("\"{}\" never counts {measure}: {by} all of it without a budget of them", own.name),
                    "give the other one such a budget too, or narrow it: what one permit gives freely is not counted",
                );
                continue;
            }
            for budget in mine {
                if let Some(by) = covering(&actions, &others, |other| other.exceeds(&budget)) {
                    self.note(
                        at,
                        format!("\"{}\" holds nobody to {budget}: {by} all of it with more room", own.name),
                        "narrow the other one, or give it the smaller budget: it is enough that one permit has room",
                    );
                }
            }
        }
    }
}

/// An unconditional permit for whom and where another one is.
struct Other<'a> {
    name: &'a str,
    scope: &'a Scope,
    /// Of the measure in question.
    budgets: Vec<Budget>,
}

impl Other<'_> {
    /// Whether it lets through more than a budget in that budget's time, or does not count it.
    fn exceeds(&self, budget: &Budget) -> bool {
        let least = self.budgets.iter().map(|other| other.max_in(budget.per)).min();
        least.is_none_or(|least| least > budget.max)
    }
}

/// Says which of these permit all of the actions, if they do.
fn covering(
    actions: &[usize],
    others: &[Other<'_>],
    is_meant: impl Fn(&Other<'_>) -> bool,
) -> Option<String> {
    let mut names = BTreeSet::new();
    for action in actions {
        let by = others
            .iter()
            .find(|other| other.scope.actions.contains(action) && is_meant(other))?;
        names.insert(format!("\"{}\"", by.name));
    }
    let verb = if names.len() == 1 { "permits" } else { "permit" };
    let names: Vec<String> = names.into_iter().collect();
    Some(format!("{} {verb}", names.join(" and ")))
}

fn of_measure(budgets: &[Budget], measure: Measure) -> Vec<Budget> {
    let of_it = budgets.iter().filter(|budget| budget.measure == measure);
    of_it.copied().collect()
}
