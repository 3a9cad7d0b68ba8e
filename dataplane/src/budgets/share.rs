//! One core's share of the accounts.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sluice_policy::{Budget, Charge};

use super::accounts::{Account, Accounts};
use super::charged::Charged;
use super::window::Slot;

/// One core's share of all accounts that it uses.
#[derive(Debug)]
pub(crate) struct Budgets {
    accounts: Arc<Accounts>,
    by_identity: HashMap<Box<str>, Vec<Rc<CoreShare>>>,
}

impl Budgets {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self {
            accounts,
            by_identity: HashMap::new(),
        }
    }

    /// What an identity may use up by charges of one measure.
    pub(crate) fn charged<'c>(&mut self, who: &str, charges: impl Iterator<Item = &'c Charge>) -> Charged {
        let mut together = Charged::new();
        let mut charges = charges.peekable();
        if charges.peek().is_none() {
            return together;
        }
        let own = self.by_identity.remove_entry(who);
        let (who, mut shares) = own.unwrap_or_else(|| (who.into(), Vec::new()));
        for charge in charges {
            together.add(charge, |policy, budget| {
                share(&self.accounts, &mut shares, &who, policy, budget)
            });
        }
        self.by_identity.insert(who, shares);
        together
    }

    /// Gives back what was drawn and not needed.
    pub(crate) fn tidy(&mut self) {
        self.by_identity.retain(|_, shares| {
            shares.retain(|share| {
                share.give_back();
                Rc::strong_count(share) > 1
            });
            !shares.is_empty()
        });
    }

    /// What makes a probe the same as another one.
    pub(crate) fn hash(&self, feed: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = self.accounts.hashes.build_hasher();
        feed(&mut hasher);
        hasher.finish()
    }
}

fn share(
    accounts: &Arc<Accounts>,
    shares: &mut Vec<Rc<CoreShare>>,
    who: &str,
    policy: &Arc<str>,
    budget: &Budget,
) -> Rc<CoreShare> {
    let known = shares.iter().find(|share| share.account.is_of(policy, budget));
    if let Some(share) = known {
        return Rc::clone(share);
    }
    let share = Rc::new(CoreShare {
        account: accounts.account(who, policy, budget),
        accounts: Arc::clone(accounts),
        left: Cell::new(0),
        drawn_at: Cell::default(),
    });
    shares.push(Rc::clone(&share));
    share
}

/// What a core has of an account.
#[derive(Debug)]
pub(super) struct CoreShare {
    account: Arc<Account>,
    accounts: Arc<Accounts>,
    /// What is drawn and not yet used.
    left: Cell<u64>,
    drawn_at: Cell<Slot>,
}

/// What was taken of a share, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) amount: u64,
    at: Slot,
}

impl CoreShare {
    pub(super) fn policy(&self) -> &Arc<str> {
        &self.account.policy
    }

    fn slot(&self) -> Slot {
        self.account.slots.at(self.accounts.since())
    }

    /// What is drawn and can still be used.
    fn in_hand(&self, slot: Slot) -> u64 {
        if slot == self.drawn_at.get() {
            self.left.get()
        } else {
            0
        }
    }

    /// How much of a budget a core draws in advance.
    pub(super) fn part(&self, max: u64) -> u64 {
        max / self.accounts.parts
    }

    /// Uses up as much as there is room for, at most `wanted`.
    pub(super) fn take(&self, wanted: u64, max: u64) -> Taken {
        let slot = self.slot();
        let in_hand = self.in_hand(slot);
        if in_hand >= wanted {
            self.left.set(in_hand - wanted);
            return Taken {
                amount: wanted,
                at: slot,
            };
        }
        let mut used = self.account.at(slot);
        used.window.give_back(self.drawn_at.get(), self.left.get());
        let drawn = used.window.take(wanted.max(self.part(max)), max);
        let amount = drawn.min(wanted);
        self.left.set(drawn - amount);
        self.drawn_at.set(slot);
        Taken { amount, at: slot }
    }

    /// No more than `needed` of what was taken was used up after all.
    pub(super) fn put_back(&self, taken: Taken, needed: u64) {
        let amount = taken.amount.saturating_sub(needed);
        if taken.at == self.drawn_at.get() {
            self.left.set(self.left.get() + amount);
        } else if amount > 0 {
            self.account.lock().window.give_back(taken.at, amount);
        }
    }

    fn give_back(&self) {
        let left = self.left.take();
        if left > 0 {
            self.account.lock().window.give_back(self.drawn_at.get(), left);
        }
    }

    pub(super) fn has_room(&self, max: u64) -> bool {
        self.in_hand(self.slot()) > 0 || self.room(max) > 0
    }

    pub(super) fn room(&self, max: u64) -> u64 {
        let slot = self.slot();
        let used = self.account.at(slot);
        used.window.room(max).saturating_add(self.in_hand(slot))
    }

    /// After how many whole seconds there is more room.
    pub(super) fn wait(&self) -> Duration {
        let since = self.accounts.since();
        let slots = self.account.slots;
        let oldest = self.account.at(slots.at(since)).window.oldest();
        let wait = oldest.map_or(Duration::ZERO, |slot| slots.until_forgotten(slot, since));
        Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// Whether there is room for these probes.
    pub(super) fn may_probe(&self, probes: &[u64], max: u64) -> bool {
        let used = self.account.at(self.slot());
        let new = probes.iter().filter(|probe| !used.probes.contains_key(probe));
        used.window.room(max) >= new.count() as u64
    }

    /// Makes these probes. One that is made again is made now.
    pub(super) fn probe(&self, probes: &[u64]) {
        let slot = self.slot();
        let mut used = self.account.at(slot);
        for &probe in probes {
            if let Some(before) = used.probes.insert(probe, slot) {
                used.window.give_back(before, 1);
            }
            used.window.take(1, u64::MAX);
        }
    }
}
