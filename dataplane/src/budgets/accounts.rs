//! The accounts of all identities, which all cores share.

use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_policy::{Budget, Measure};
use sluice_runtime::time::{Instant, now};

use super::window::{Slot, Slots, Window};

/// Into how many parts a budget is cut, for all cores together. A core draws one at a time.
const PARTS: u64 = 64;

/// So many accounts are kept without a look at which are empty.
pub(super) const ACCOUNTS_MIN: usize = 1024;

/// The accounts of all identities.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(super) began: Instant,
    /// Into how many parts a budget is cut.
    pub(super) parts: u64,
    /// Nobody can find two probes of one hash.
    pub(super) hashes: RandomState,
    open: Mutex<Open>,
}

#[derive(Debug)]
pub(super) struct Open {
    /// In their order, so that who reads all of them can let go in between.
    pub(super) by_identity: BTreeMap<Arc<str>, Vec<Arc<Account>>>,
    count: usize,
    /// With so many, those are looked for that are empty.
    tidied_at: usize,
}

/// One identity's with one policy.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) policy: Arc<str>,
    pub(super) measure: Measure,
    pub(super) per: Duration,
    pub(super) slots: Slots,
    used: Mutex<Used>,
}

/// What is used up.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) window: Window,
    /// When each of the probes was last made.
    pub(super) probes: HashMap<u64, Slot>,
}

impl Account {
    pub(super) fn is_of(&self, policy: &str, budget: &Budget) -> bool {
        self.measure == budget.measure && self.per == budget.per && *self.policy == *policy
    }

    /// What is used up, as it is at a time.
    pub(super) fn at(&self, slot: Slot) -> MutexGuard<'_, Used> {
        let mut used = self.lock();
        if used.window.advance(slot) {
            let Used { window, probes } = &mut *used;
            probes.retain(|_, made| window.remembers(*made));
        }
        used
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            began: Instant::now(),
            parts: PARTS * cores.max(1) as u64,
            hashes: RandomState::new(),
            open: Mutex::new(Open {
                by_identity: BTreeMap::new(),
                count: 0,
                tidied_at: ACCOUNTS_MIN,
            }),
        }
    }

    pub(super) fn account(&self, who: &str, policy: &Arc<str>, budget: &Budget) -> Arc<Account> {
        let mut open = self.open();
        let mut known = open.by_identity.get(who).into_iter().flatten();
        if let Some(account) = known.find(|account| account.is_of(policy, budget)) {
            return Arc::clone(account);
        }
        if open.count >= open.tidied_at {
            open.tidy(self.since());
        }
        let account = Arc::new(Account {
            policy: Arc::clone(policy),
            measure: budget.measure,
            per: budget.per,
            slots: Slots::of(budget.per),
            used: Mutex::new(Used {
                window: Window::new(),
                probes: HashMap::new(),
            }),
        });
        let accounts = open.by_identity.entry(who.into()).or_default();
        accounts.push(Arc::clone(&account));
        open.count += 1;
        account
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the gateway began.
    pub(super) fn since(&self) -> Duration {
        now().saturating_duration_since(self.began)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open().count
    }
}

impl Open {
    /// Closes the accounts that are empty and that no core has.
    fn tidy(&mut self, since: Duration) {
        self.by_identity.retain(|_, accounts| {
            accounts.retain(|account| {
                let used = account.at(account.slots.at(since));
                Arc::strong_count(account) > 1 || !used.window.is_empty()
            });
            !accounts.is_empty()
        });
        self.count = self.by_identity.values().map(Vec::len).sum();
        self.tidied_at = (2 * self.count).max(ACCOUNTS_MIN);
    }
}
