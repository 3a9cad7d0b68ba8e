//! The accounts of budgets: what each identity has used up of what policy lets it use up over time.
//!
//! An account is an identity's with one policy, for one measure and one length of time; it outlives reloads of the policy
//! and its sessions, not the process. All cores share it. A core draws some in advance, a 64th of the budget over all cores
//! together, and gives back within a second what it did not need. What is drawn counts as used up: a budget is never exceeded,
//! and may be called used up while a 64th of it lies with other cores.

mod window;

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_policy::{Budget, Charge, Measure};
use sluice_runtime::time::{Instant, now};
use smallvec::SmallVec;

use self::window::{Slot, Slots, Window};

/// Into how many parts a budget is cut, for all cores together. A core draws one at a time.
const PARTS: u64 = 64;

/// How many rows a statement draws at most at a time.
const DRAWN_MAX: u64 = 64;

/// Accounts that are kept without a look at which are empty.
const ACCOUNTS_MIN: usize = 1024;

/// The accounts of all identities.
#[derive(Debug)]
pub(crate) struct Accounts {
    began: Instant,
    /// Into how many parts a budget is cut.
    parts: u64,
    /// Nobody can find two probes of one hash.
    hashes: RandomState,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    of: HashMap<Box<str>, Vec<Arc<Account>>>,
    count: usize,
    /// With so many, those are looked for that are empty.
    tidied_at: usize,
}

/// One identity's with one policy.
#[derive(Debug)]
struct Account {
    policy: Arc<str>,
    measure: Measure,
    per: Duration,
    slots: Slots,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    window: Window,
    /// When each of the probes was last made.
    probes: HashMap<u64, Slot>,
}

impl Books {
    fn advance(&mut self, slot: Slot) {
        if self.window.advance(slot) {
            let window = &self.window;
            self.probes.retain(|_, made| window.remembers(*made));
        }
    }
}

impl Account {
    fn is_of(&self, policy: &str, budget: &Budget) -> bool {
        self.measure == budget.measure && self.per == budget.per && *self.policy == *policy
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            began: Instant::now(),
            parts: PARTS * cores.max(1) as u64,
            hashes: RandomState::new(),
            all: Mutex::new(All {
                of: HashMap::new(),
                count: 0,
                tidied_at: ACCOUNTS_MIN,
            }),
        }
    }

    fn account(&self, who: &str, policy: &Arc<str>, budget: &Budget) -> Arc<Account> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.of.get(who).into_iter().flatten();
        if let Some(account) = known.into_iter().find(|account| account.is_of(policy, budget)) {
            return Arc::clone(account);
        }
        if all.count >= all.tidied_at {
            all.tidy(self.since());
        }
        let account = Arc::new(Account {
            policy: Arc::clone(policy),
            measure: budget.measure,
            per: budget.per,
            slots: Slots::of(budget.per),
            books: Mutex::new(Books {
                window: Window::new(),
                probes: HashMap::new(),
            }),
        });
        all.of.entry(who.into()).or_default().push(Arc::clone(&account));
        all.count += 1;
        account
    }

    fn since(&self) -> Duration {
        now().saturating_duration_since(self.began)
    }
}

impl All {
    /// Closes the accounts that are empty and that no core has.
    fn tidy(&mut self, since: Duration) {
        self.of.retain(|_, accounts| {
            accounts.retain(|account| {
                let mut books = account.books();
                books.advance(account.slots.at(since));
                Arc::strong_count(account) > 1 || !books.window.is_empty()
            });
            !accounts.is_empty()
        });
        self.count = self.of.values().map(Vec::len).sum();
        self.tidied_at = (2 * self.count).max(ACCOUNTS_MIN);
    }
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedUp {
    /// The policy whose it is.
    pub(crate) policy: Arc<str>,
    pub(crate) budget: Budget,
    /// After how long there is room again, in whole seconds.
    pub(crate) wait: Duration,
}

/// One core's part of the accounts.
#[derive(Debug)]
pub(crate) struct Budgets {
    accounts: Arc<Accounts>,
    held: HashMap<Box<str>, Vec<Rc<Held>>>,
}

impl Budgets {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self {
            accounts,
            held: HashMap::new(),
        }
    }

    /// What an identity may use up by a charge.
    pub(crate) fn funds(&mut self, who: &str, charge: &Charge) -> Funds {
        let allowances = charge.to.iter().map(|allowance| {
            let of = allowance.of(charge.measure);
            let sources = of.map(|budget| Source {
                held: self.held(who, &allowance.policy, budget),
                budget: *budget,
                taken: Cell::new(0),
                at: Cell::default(),
            });
            sources.collect()
        });
        Funds {
            allowances: allowances.collect(),
        }
    }

    fn held(&mut self, who: &str, policy: &Arc<str>, budget: &Budget) -> Rc<Held> {
        let known = self.held.get(who).into_iter().flatten();
        if let Some(held) = known.into_iter().find(|held| held.account.is_of(policy, budget)) {
            return Rc::clone(held);
        }
        let held = Rc::new(Held {
            account: self.accounts.account(who, policy, budget),
            accounts: Arc::clone(&self.accounts),
            left: Cell::new(0),
            drawn_at: Cell::default(),
        });
        self.held.entry(who.into()).or_default().push(Rc::clone(&held));
        held
    }

    /// Gives back what was drawn and not needed.
    pub(crate) fn tidy(&mut self) {
        self.held.retain(|_, held| {
            held.retain(|held| {
                held.give_up();
                Rc::strong_count(held) > 1
            });
            !held.is_empty()
        });
    }

    /// What makes a probe the same as another one.
    pub(crate) fn hash(&self, feed: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = self.accounts.hashes.build_hasher();
        feed(&mut hasher);
        hasher.finish()
    }
}

/// What a core has of an account.
#[derive(Debug)]
struct Held {
    account: Arc<Account>,
    accounts: Arc<Accounts>,
    /// What is drawn and not yet used.
    left: Cell<u64>,
    drawn_at: Cell<Slot>,
}

impl Held {
    /// Uses up as much as there is room for, at most `wanted`; and says of which slot it is.
    fn take(&self, wanted: u64, max: u64) -> (u64, Slot) {
        let slot = self.account.slots.at(self.accounts.since());
        let left = self.left.get();
        if slot == self.drawn_at.get() && left >= wanted {
            self.left.set(left - wanted);
            return (wanted, slot);
        }
        let mut books = self.account.books();
        books.window.give_back(self.drawn_at.get(), left);
        books.advance(slot);
        let part = max / self.accounts.parts;
        let drawn = books.window.take(wanted.max(part), max);
        let taken = drawn.min(wanted);
        self.left.set(drawn - taken);
        self.drawn_at.set(slot);
        (taken, slot)
    }

    /// What was taken was not used up after all.
    fn put_back(&self, amount: u64, slot: Slot) {
        if slot == self.drawn_at.get() {
            self.left.set(self.left.get() + amount);
        } else {
            self.account.books().window.give_back(slot, amount);
        }
    }

    fn give_up(&self) {
        let left = self.left.take();
        if left > 0 {
            self.account.books().window.give_back(self.drawn_at.get(), left);
        }
    }

    fn room(&self, max: u64) -> u64 {
        let slot = self.account.slots.at(self.accounts.since());
        let mut books = self.account.books();
        books.advance(slot);
        let left = if slot == self.drawn_at.get() {
            self.left.get()
        } else {
            0
        };
        books.window.room(max).saturating_add(left)
    }

    /// In whole seconds.
    fn wait(&self) -> Duration {
        let since = self.accounts.since();
        let slots = self.account.slots;
        let mut books = self.account.books();
        books.advance(slots.at(since));
        let oldest = books.window.oldest();
        let wait = oldest.map_or(Duration::ZERO, |slot| slots.until_forgotten(slot, since));
        Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// Whether these probes may be made.
    fn probe(&self, probes: &[u64], max: u64) -> bool {
        let slot = self.account.slots.at(self.accounts.since());
        let mut books = self.account.books();
        books.advance(slot);
        let new = probes.iter().filter(|probe| !books.probes.contains_key(probe));
        if books.window.room(max) < new.count() as u64 {
            return false;
        }
        for &probe in probes {
            // One that is made again is made now.
            if let Some(before) = books.probes.insert(probe, slot) {
                books.window.give_back(before, 1);
            }
            books.window.take(1, u64::MAX);
        }
        true
    }
}

/// One budget of an allowance, and what was taken of it last.
#[derive(Debug)]
struct Source {
    held: Rc<Held>,
    budget: Budget,
    taken: Cell<u64>,
    at: Cell<Slot>,
}

impl Source {
    fn take(&self, wanted: u64) -> u64 {
        let (taken, slot) = self.held.take(wanted, self.budget.max);
        self.taken.set(taken);
        self.at.set(slot);
        taken
    }

    /// No more than this of what was taken was needed.
    fn keep(&self, needed: u64) {
        let taken = self.taken.get();
        if taken > needed {
            self.held.put_back(taken - needed, self.at.get());
            self.taken.set(needed);
        }
    }
}

/// What an identity may use up by one charge. There has to be room in all budgets of one allowance; each is charged.
#[derive(Debug)]
pub(crate) struct Funds {
    allowances: SmallVec<[SmallVec<[Source; 1]>; 1]>,
}

impl Funds {
    /// How much more may be used up.
    pub(crate) fn room(&self) -> u64 {
        let rooms = self.allowances.iter().map(|sources| {
            let rooms = sources.iter().map(|source| source.held.room(source.budget.max));
            rooms.min().unwrap_or(u64::MAX)
        });
        rooms.max().unwrap_or(u64::MAX)
    }

    /// Uses up as much as there is room for, at most `wanted`.
    fn take(&self, wanted: u64) -> u64 {
        let mut most = 0;
        for sources in &self.allowances {
            let least = sources.iter().map(|source| source.take(wanted)).min();
            let least = least.unwrap_or(wanted);
            sources.iter().for_each(|source| source.keep(least));
            most = most.max(least);
        }
        most
    }

    /// Of what was taken last no more than this was needed.
    fn keep(&self, needed: u64) {
        let sources = self.allowances.iter().flatten();
        sources.for_each(|source| source.keep(needed));
    }

    /// Uses up all of it, or nothing.
    pub(crate) fn spend(&self, amount: u64) -> Result<(), UsedUp> {
        if self.take(amount) == amount {
            return Ok(());
        }
        self.keep(0);
        Err(self.used_up())
    }

    /// Makes these probes, or none.
    pub(crate) fn probe(&self, probes: &[u64]) -> Result<(), UsedUp> {
        let mut is_made = false;
        for sources in &self.allowances {
            is_made |= sources
                .iter()
                .all(|source| source.held.probe(probes, source.budget.max));
        }
        if is_made { Ok(()) } else { Err(self.used_up()) }
    }

    /// The budget in which there is room again first.
    pub(crate) fn used_up(&self) -> UsedUp {
        let full = self.allowances.iter().filter_map(|sources| {
            let waits = sources.iter().map(|source| {
                let is_full = source.held.room(source.budget.max) == 0;
                (is_full, source.held.wait(), source)
            });
            waits.max_by_key(|(is_full, wait, _)| (*is_full, *wait))
        });
        let first = full.min_by_key(|(_, wait, _)| *wait);
        first.map_or_else(
            || unreachable!("a charge has a budget"),
            |(_, wait, source)| UsedUp {
                policy: Arc::clone(&source.held.account.policy),
                budget: source.budget,
                wait,
            },
        )
    }
}

/// What a statement may use up while it is answered.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    rows: SmallVec<[Funds; 1]>,
    masked: SmallVec<[Funds; 1]>,
}

impl Purse {
    /// For charges of what comes with the answer.
    pub(crate) fn add(&mut self, measure: Measure, funds: Funds) {
        match measure {
            Measure::Rows => self.rows.push(funds),
            Measure::Masked => self.masked.push(funds),
            Measure::Statements | Measure::Probes => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.masked.is_empty()
    }

    pub(crate) fn counts_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    pub(crate) fn counts_masked(&self) -> bool {
        !self.masked.is_empty()
    }

    /// How many more rows there may be.
    pub(crate) fn room_for_rows(&self) -> u64 {
        let rooms = self.rows.iter().map(Funds::room);
        rooms.min().unwrap_or(u64::MAX)
    }

    /// What there is no room for at all: rows. Which values are masked is known when they come.
    pub(crate) fn used_up(&self) -> Option<UsedUp> {
        let full = self.rows.iter().find(|funds| funds.room() == 0);
        full.map(Funds::used_up)
    }

    /// Some rows for a statement that has used up those it had.
    pub(crate) fn draw_rows(&self) -> Result<u64, UsedUp> {
        let sources = || {
            self.rows
                .iter()
                .flat_map(|funds| funds.allowances.iter().flatten())
        };
        let part = |source: &Source| source.budget.max / source.held.accounts.parts;
        let wanted = sources().map(part).min().unwrap_or(1).clamp(1, DRAWN_MAX);
        let drawn = self
            .rows
            .iter()
            .map(|funds| funds.take(wanted))
            .min()
            .unwrap_or(wanted);
        self.keep_rows(drawn);
        if drawn > 0 {
            return Ok(drawn);
        }
        let full = self
            .rows
            .iter()
            .find(|funds| funds.room() == 0)
            .or_else(|| self.rows.first());
        full.map_or(Ok(wanted), |funds| Err(funds.used_up()))
    }

    /// Of those drawn last no more than these were given.
    pub(crate) fn keep_rows(&self, given: u64) {
        self.rows.iter().for_each(|funds| funds.keep(given));
    }

    /// Values were masked; if there is no room for them, nothing is charged.
    pub(crate) fn spend_masked(&self, values: u64) -> Result<(), UsedUp> {
        self.masked.iter().try_for_each(|funds| funds.spend(values))
    }
}

#[cfg(test)]
mod tests {
    use sluice_policy::Allowance;

    use super::*;

    fn charge(measure: Measure, allowances: &[(&str, &[(u64, u64)])]) -> Charge {
        let allowance = |(policy, budgets): &(&str, &[(u64, u64)])| Allowance {
            policy: (*policy).into(),
            budgets: budgets
                .iter()
                .map(|&(max, seconds)| Budget {
                    measure,
                    max,
                    per: Duration::from_secs(seconds),
                })
                .collect(),
        };
        Charge {
            measure,
            to: allowances.iter().map(allowance).collect(),
        }
    }

    #[test]
    fn a_budget_is_an_identitys_and_a_policys_whatever_the_core() {
        let accounts = Arc::new(Accounts::new(2));
        let mut cores = [(); 2].map(|()| Budgets::new(Arc::clone(&accounts)));
        let three = charge(Measure::Statements, &[("crew", &[(3, 3600)])]);
        for (core, who, is_in) in [
            (0, "a", true),
            (1, "a", true),
            (0, "b", true),
            (1, "a", true),
            (0, "a", false),
            (1, "a", false),
            (1, "b", true),
        ] {
            assert_eq!(
                cores[core].funds(who, &three).spend(1).is_ok(),
                is_in,
                "{core} {who}"
            );
        }
        let used_up = cores[0].funds("a", &three).spend(1).unwrap_err();
        assert_eq!(&*used_up.policy, "crew");
        assert!(used_up.wait > Duration::from_secs(3500) && used_up.wait <= Duration::from_mins(61));
        // A policy of that name with another maximum is the same.
        let four = charge(Measure::Statements, &[("crew", &[(4, 3600)])]);
        assert!(cores[1].funds("a", &four).spend(1).is_ok());
        assert!(cores[0].funds("a", &four).spend(1).is_err());
        let other = charge(Measure::Statements, &[("crew", &[(4, 60)])]);
        assert!(cores[0].funds("a", &other).spend(4).is_ok());
    }

    #[test]
    fn all_budgets_of_one_allowance_have_to_have_room() {
        let mut core = Budgets::new(Arc::new(Accounts::new(1)));
        let strict = charge(Measure::Rows, &[("crew", &[(5, 60), (8, 3600)])]);
        assert!(core.funds("a", &strict).spend(5).is_ok());
        assert_eq!(core.funds("a", &strict).spend(1).unwrap_err().budget.max, 5);
        // Nothing was charged to the other one for that.
        assert_eq!(
            core.funds("a", &charge(Measure::Rows, &[("crew", &[(8, 3600)])]))
                .room(),
            3
        );
        // Where another permit has room, both are charged.
        let generous = charge(
            Measure::Rows,
            &[("crew", &[(5, 60), (8, 3600)]), ("dba", &[(10, 60)])],
        );
        assert_eq!(core.funds("a", &generous).room(), 10);
        assert!(core.funds("a", &generous).spend(9).is_ok());
        let used_up = core.funds("a", &generous).spend(2).unwrap_err();
        assert_eq!(used_up.budget.per, Duration::from_mins(1));
        assert!(core.funds("a", &generous).spend(1).is_ok());
    }

    #[test]
    fn what_a_core_draws_in_advance_it_gives_back() {
        let accounts = Arc::new(Accounts::new(2));
        let mut cores = [(); 2].map(|()| Budgets::new(Arc::clone(&accounts)));
        let rows = charge(Measure::Rows, &[("crew", &[(12_800, 3600)])]);
        let room = |core: &mut Budgets| core.funds("a", &rows).room();
        assert!(cores[0].funds("a", &rows).spend(1).is_ok());
        assert_eq!(room(&mut cores[0]), 12_799);
        assert_eq!(room(&mut cores[1]), 12_700);
        cores[0].tidy();
        assert_eq!(room(&mut cores[1]), 12_799);
        // The whole of it is used up by both together, and no more.
        let mut given = 1;
        let mut turn = 0;
        while cores[turn % 2].funds("a", &rows).spend(7).is_ok() {
            given += 7;
            turn += 1;
        }
        assert!(given <= 12_800 && given + 7 + 100 > 12_800, "{given}");
    }

    #[test]
    fn rows_are_drawn_for_a_statement_and_put_back() {
        let mut core = Budgets::new(Arc::new(Accounts::new(1)));
        let charges = [
            charge(Measure::Rows, &[("crew", &[(640, 60)])]),
            charge(Measure::Rows, &[("table", &[(15, 60)]), ("more", &[(3, 60)])]),
        ];
        let mut purse = Purse::default();
        for charge in &charges {
            purse.add(Measure::Rows, core.funds("a", charge));
        }
        assert_eq!(purse.room_for_rows(), 15);
        let mut drawn = 0;
        while let Ok(rows) = purse.draw_rows() {
            assert!(rows > 0);
            drawn += rows;
        }
        assert_eq!(drawn, 15);
        assert_eq!(core.funds("a", &charges[0]).room(), 625);
        assert_eq!(&*purse.draw_rows().unwrap_err().policy, "table");
        let mut wide = Purse::default();
        wide.add(
            Measure::Rows,
            core.funds("b", &charge(Measure::Rows, &[("crew", &[(6400, 60)])])),
        );
        assert_eq!(wide.draw_rows(), Ok(64));
        wide.keep_rows(4);
        assert_eq!(wide.room_for_rows(), 6396);
    }

    #[test]
    fn the_same_probe_again_is_no_other() {
        let mut core = Budgets::new(Arc::new(Accounts::new(1)));
        let probes = charge(Measure::Probes, &[("crew", &[(3, 3600)])]);
        for (made, is_in) in [
            (&[1][..], true),
            (&[1], true),
            (&[2, 3], true),
            (&[2], true),
            (&[4], false),
            (&[1, 2, 3], true),
            (&[1, 4], false),
        ] {
            assert_eq!(core.funds("a", &probes).probe(made).is_ok(), is_in, "{made:?}");
        }
        let hash = |probe: u32| core.hash(|hasher| hasher.write_u32(probe));
        assert!(hash(1) == hash(1) && hash(1) != hash(2));
    }

    #[test]
    fn empty_accounts_are_closed() {
        let accounts = Arc::new(Accounts::new(1));
        let mut core = Budgets::new(Arc::clone(&accounts));
        let one = charge(Measure::Statements, &[("crew", &[(1, 3600)])]);
        assert!(core.funds("used", &one).spend(1).is_ok());
        for number in 0..3 * ACCOUNTS_MIN {
            let _ = core.funds(&number.to_string(), &one).room();
            core.tidy();
        }
        assert!(accounts.all.lock().unwrap().count <= ACCOUNTS_MIN);
        assert!(core.funds("used", &one).spend(1).is_err());
    }
}
