//! The accounts, as an operator sees them.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use sluice_policy::{Budget, Measure, PolicySet};
use sluice_runtime::time::Instant;

use super::accounts::{Account, Accounts};

/// Of so many identities at a time the accounts are looked at: cores that want one wait no longer.
const AT_A_TIME: usize = 128;

/// What an identity has used up of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The identity: its issuer and its subject, with `#` between them.
    pub identity: Arc<str>,
    /// The policy.
    pub policy: Arc<str>,
    /// Its budget.
    pub budget: Budget,
    /// How much is used up, with what cores have drawn in advance.
    pub used: u64,
    /// When there is room again; none if there is.
    pub room_at: Option<Instant>,
}

impl Spent {
    /// The fuller one first; of those that are alike in that, always the same.
    fn fuller(&self, other: &Self) -> Ordering {
        let part = |one: &Self, of: &Self| u128::from(one.used) * u128::from(of.budget.max);
        let rest = |one: &Self| {
            let Budget { measure, per, .. } = one.budget;
            (Reverse(one.used), measure, per)
        };
        part(other, self)
            .cmp(&part(self, other))
            .then_with(|| rest(self).cmp(&rest(other)))
            .then_with(|| (&self.identity, &self.policy).cmp(&(&other.identity, &other.policy)))
    }
}

/// The accounts of which the largest part is used up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fullest {
    /// The fullest first.
    pub accounts: Vec<Spent>,
    /// How many there are of which anything is used up.
    pub count: usize,
}

impl Fullest {
    fn keep(&mut self, most: usize) {
        self.accounts.sort_unstable_by(Spent::fuller);
        self.accounts.truncate(most);
    }
}

impl Accounts {
    /// Of the budgets of policies those accounts of which the largest part is used up, at most so many.
    pub(crate) fn fullest(&self, policies: &PolicySet, most: usize) -> Fullest {
        let in_force = policies
            .budgets()
            .map(|(policy, budget)| ((&**policy, budget.measure, budget.per), *budget));
        let in_force: InForce<'_> = in_force.collect();
        let since = self.since();
        let mut fullest = Fullest::default();
        let mut behind: Option<Arc<str>> = None;
        loop {
            let open = self.open();
            let from = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let identities = open.by_identity.range::<str, _>((from, Bound::Unbounded));
            let mut last = None;
            for (identity, accounts) in identities.take(AT_A_TIME) {
                let spent = accounts
                    .iter()
                    .filter_map(|account| self.spent(identity, account, &in_force, since));
                let before = fullest.accounts.len();
                fullest.accounts.extend(spent);
                fullest.count += fullest.accounts.len() - before;
                last = Some(identity);
            }
            behind = last.cloned();
            drop(open);
            // What is not among the fullest so far is not among the fullest of all.
            if behind.is_none() || fullest.accounts.len() > most.saturating_mul(2) {
                fullest.keep(most);
            }
            if behind.is_none() {
                return fullest;
            }
        }
    }

    fn spent(
        &self,
        identity: &Arc<str>,
        account: &Account,
        in_force: &InForce<'_>,
        since: Duration,
    ) -> Option<Spent> {
        let budget = *in_force.get(&(&*account.policy, account.measure, account.per))?;
        let used = account.at(account.slots.at(since));
        if used.window.is_empty() {
            return None;
        }
        let oldest = used.window.oldest().filter(|_| used.window.room(budget.max) == 0);
        Some(Spent {
            identity: Arc::clone(identity),
            policy: Arc::clone(&account.policy),
            budget,
            used: used.window.used(),
            room_at: oldest.map(|slot| self.began + account.slots.until_forgotten(slot, Duration::ZERO)),
        })
    }
}

/// Budgets by what their accounts are kept under.
type InForce<'a> = HashMap<(&'a str, Measure, Duration), Budget>;
