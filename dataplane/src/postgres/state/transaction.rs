//! Settings inside of transactions: what each is now, what it will be after the commit, and what a rollback brings back.
//!
//! Follows the server's transaction states (`access/transam/xact.c`) and its stack of settings (`utils/misc/guc.c`) as
//! far as they can be seen. A value that is not known stays so until it is set, rolled back to a known one, or read.

use std::rc::Rc;

use sluice_parsers::postgres::backend::TransactionStatus;

use super::change::Change;
use super::settings::Tracked;

/// Savepoints of a transaction that are kept apart; with more, what ROLLBACK TO brings back is not known.
const SAVEPOINTS_MAX: usize = 256;

/// A value in the form of [`Tracked::parse`]; none if it is not known.
pub(crate) type Value = Option<Rc<str>>;

/// A setting's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pair {
    now: Value,
    /// What it is after the commit: SET LOCAL does not touch it.
    kept: Value,
}

/// The values of all tracked settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values([Pair; Tracked::COUNT]);

impl Values {
    /// What was read outside of a transaction.
    pub(crate) fn of(read: &[Value; Tracked::COUNT]) -> Self {
        Self(read.each_ref().map(|value| Pair {
            now: value.clone(),
            kept: value.clone(),
        }))
    }

    /// The value in force.
    pub(crate) fn now(&self, setting: Tracked) -> Option<&Rc<str>> {
        self.0[setting as usize].now.as_ref()
    }

    /// Whether every value in force is known.
    pub(crate) fn are_known(&self) -> bool {
        self.0.iter().all(|pair| pair.now.is_some())
    }

    /// Whether how text is read is known.
    pub(crate) fn lexing_is_known(&self) -> bool {
        let lexing = Tracked::ALL.into_iter().filter(|setting| setting.is_lexing());
        { lexing }.all(|setting| self.now(setting).is_some())
    }

    /// Whether a commit changes nothing.
    fn are_kept(&self) -> bool {
        self.0.iter().all(|pair| pair.now == pair.kept)
    }

    fn set(&mut self, setting: Tracked, value: Value, is_local: bool) {
        let pair = &mut self.0[setting as usize];
        if !is_local {
            pair.kept.clone_from(&value);
        }
        pair.now = value;
    }

    fn has_role(&self) -> bool {
        self.now(Tracked::Role).is_none_or(|role| **role != *NO_ROLE)
    }
}

/// The value of `role` without one.
pub(crate) const NO_ROLE: &str = "none";

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// None is open, or one in which nothing was changed: that ends with its cycle.
    Idle,
    /// Without BEGIN: ends with the Query or at Sync.
    Implicit,
    /// Between BEGIN and its end.
    Explicit,
    /// Between BEGIN and its end, and a statement has failed.
    Failed,
}

/// Where a rollback leads.
#[derive(Clone, Debug)]
struct Level {
    /// The savepoint; empty for the transaction itself.
    name: Rc<str>,
    values: Rc<Values>,
}

/// The settings of a session with its transaction.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What RESET leads to: the values at the session's start.
    defaults: Rc<Values>,
    values: Rc<Values>,
    block: Block,
    /// The transaction, then its savepoints; none in [`Block::Idle`].
    levels: Vec<Level>,
    /// There were more savepoints than are kept.
    lost_count: bool,
}

impl Settings {
    /// A session at its start.
    pub(crate) fn new(values: Values) -> Self {
        let values = Rc::new(values);
        Self {
            defaults: Rc::clone(&values),
            values,
            block: Block::Idle,
            levels: Vec::new(),
            lost_count: false,
        }
    }

    pub(crate) fn values(&self) -> &Rc<Values> {
        &self.values
    }

    /// Whether the server would take a statement now.
    pub(crate) fn has_failed(&self) -> bool {
        self.block == Block::Failed
    }

    /// Whether neither commit nor rollback, of all or of a part, could change a value.
    fn is_uniform(&self) -> bool {
        let mut levels = self.levels.iter();
        self.values.are_kept()
            && levels.all(|level| Rc::ptr_eq(&level.values, &self.values) || level.values == self.values)
    }

    /// Whether a change is none here.
    pub(crate) fn ignores(&self, change: &Change) -> bool {
        match change {
            Change::Nothing | Change::Fetch => true,
            Change::MayCommit => self.block != Block::Implicit,
            _ => false,
        }
    }

    /// Whether two would go on alike.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.values, &other.values)
            && self.block == other.block
            && self.levels.len() == other.levels.len()
    }

    /// Whether a change leads to other values if something before it in the transaction has failed.
    pub(crate) fn is_ended_by(&self, change: &Change) -> bool {
        let ends = matches!(
            change,
            Change::Commit { .. }
                | Change::Rollback { .. }
                | Change::RollbackTo(_)
                | Change::PrepareTransaction
        );
        ends && !self.is_uniform()
    }

    /// A statement has succeeded.
    pub(crate) fn succeeded(&mut self, change: &Change) {
        let may_end = matches!(
            change,
            Change::Commit { .. }
                | Change::Rollback { .. }
                | Change::RollbackTo(_)
                | Change::PrepareTransaction
                | Change::EndsUnknown
        );
        if self.has_failed() && !may_end {
            // Foreseen, and not so: the server refuses it.
            return;
        }
        match change {
            Change::Nothing | Change::Fetch => {}
            Change::Begin => match self.block {
                Block::Idle => self.open(Block::Explicit),
                Block::Implicit => self.block = Block::Explicit,
                Block::Explicit | Block::Failed => {}
            },
            Change::Commit { chain } => {
                self.end(self.block != Block::Failed);
                if *chain {
                    self.open(Block::Explicit);
                }
            }
            Change::PrepareTransaction => self.end(self.block != Block::Failed),
            Change::Rollback { chain } => {
                self.end(false);
                if *chain {
                    self.open(Block::Explicit);
                }
            }
            Change::Savepoint(name) => self.savepoint(name),
            Change::Release(name) => {
                if let Some(at) = self.find(name) {
                    self.levels.truncate(at);
                }
            }
            Change::RollbackTo(name) => self.rollback_to(name),
            Change::Set {
                setting,
                value,
                local,
            } => self.set(*setting, value.clone(), *local),
            Change::Reset { setting, local } => {
                let value = self.defaults.now(*setting).cloned();
                self.reset(*setting, value, *local);
            }
            Change::ResetAll => self.reset_all(),
            Change::DiscardAll => {
                self.reset_all();
                let login = self.defaults.now(Tracked::SessionAuthorization).cloned();
                self.reset(Tracked::SessionAuthorization, login, false);
                // It runs outside of a transaction only, and so is committed at once.
                self.cycle_ended();
            }
            Change::MayCommit => {
                if self.block == Block::Implicit && !self.is_uniform() {
                    for level in &mut self.levels {
                        level.values = Rc::default();
                    }
                }
            }
            Change::Unknown(settings) => {
                self.touch();
                let values = Rc::make_mut(&mut self.values);
                for setting in settings.iter() {
                    values.set(setting, None, false);
                }
            }
            Change::EndsUnknown => {
                let unknown = Rc::new(Values::default());
                self.touch();
                for level in &mut self.levels {
                    level.values = Rc::clone(&unknown);
                }
                self.lost_count = true;
                self.values = unknown;
            }
        }
    }

    /// A statement has failed, or the commit at the end of a cycle.
    pub(crate) fn failed(&mut self) {
        match self.block {
            Block::Idle | Block::Failed => {}
            Block::Implicit => self.end(false),
            Block::Explicit => {
                if let Some(level) = self.levels.last() {
                    let values = Rc::clone(&level.values);
                    self.restore(values);
                }
                if self.lost_count {
                    self.values = Rc::default();
                }
                self.block = Block::Failed;
            }
        }
    }

    /// A Query or a Sync ends what no BEGIN began.
    pub(crate) fn cycle_ended(&mut self) {
        if self.block == Block::Implicit {
            self.end(true);
        }
    }

    /// The server says how it stands.
    pub(crate) fn is_told(&mut self, status: TransactionStatus) {
        self.cycle_ended();
        match (status, self.block) {
            (TransactionStatus::Idle, Block::Idle | Block::Implicit)
            | (TransactionStatus::InTransaction, Block::Explicit)
            | (TransactionStatus::Failed, Block::Failed) => {}
            // A COMMIT that fails ends its transaction.
            (TransactionStatus::Idle, Block::Failed) => self.end(false),
            (TransactionStatus::Failed, Block::Explicit) => self.failed(),
            // Something happened that nothing here has seen.
            (TransactionStatus::Idle, Block::Explicit) => {
                self.end(false);
                self.values = Rc::default();
            }
            (status, _) => {
                self.values = Rc::default();
                let block = if status == TransactionStatus::Failed {
                    Block::Failed
                } else {
                    Block::Explicit
                };
                self.levels.clear();
                self.open(block);
                self.lost_count = true;
            }
        }
    }

    /// The server was asked for the values in force.
    pub(crate) fn was_read(&mut self, read: &[Value; Tracked::COUNT]) {
        let is_idle = self.block == Block::Idle;
        let values = Rc::make_mut(&mut self.values);
        for (pair, value) in values.0.iter_mut().zip(read) {
            if is_idle {
                pair.kept.clone_from(value);
            }
            pair.now.clone_from(value);
        }
    }

    fn open(&mut self, block: Block) {
        if self.levels.is_empty() {
            self.levels.push(Level {
                name: Rc::default(),
                values: Rc::clone(&self.values),
            });
        }
        self.block = block;
    }

    /// A statement runs that changes something: without BEGIN it has a transaction of its own.
    fn touch(&mut self) {
        if self.block == Block::Idle {
            self.open(Block::Implicit);
        }
    }

    fn end(&mut self, is_commit: bool) {
        if is_commit {
            if !self.values.are_kept() {
                let before = Rc::clone(&self.values);
                for pair in &mut Rc::make_mut(&mut self.values).0 {
                    pair.now.clone_from(&pair.kept);
                }
                self.left(&before);
            }
        } else if let Some(level) = self.levels.first() {
            let values = Rc::clone(&level.values);
            self.restore(values);
        }
        self.levels.clear();
        self.lost_count = false;
        self.block = Block::Idle;
    }

    fn restore(&mut self, values: Rc<Values>) {
        let before = std::mem::replace(&mut self.values, values);
        self.left(&before);
    }

    /// Values have been left for those that were before. Servers that lack the fix of CVE-2024-10978 forget the role
    /// where the login role changes so, others do not.
    fn left(&mut self, before: &Values) {
        const AUTHORIZATION: Tracked = Tracked::SessionAuthorization;
        if before.now(AUTHORIZATION) == self.values.now(AUTHORIZATION) || !self.values.has_role() {
            return;
        }
        Rc::make_mut(&mut self.values).set(Tracked::Role, None, false);
        for level in &mut self.levels {
            if level.values.has_role() {
                Rc::make_mut(&mut level.values).set(Tracked::Role, None, false);
            }
        }
    }

    fn savepoint(&mut self, name: &Rc<str>) {
        if self.block != Block::Explicit {
            return;
        }
        if self.levels.len() > SAVEPOINTS_MAX {
            self.lost_count = true;
            return;
        }
        self.levels.push(Level {
            name: Rc::clone(name),
            values: Rc::clone(&self.values),
        });
    }

    /// The last savepoint of that name.
    fn find(&self, name: &str) -> Option<usize> {
        let savepoints = self.levels.iter().enumerate().skip(1);
        savepoints
            .rev()
            .find(|(_, level)| *level.name == *name)
            .map(|(at, _)| at)
    }

    fn rollback_to(&mut self, name: &str) {
        if !matches!(self.block, Block::Explicit | Block::Failed) {
            return;
        }
        if self.lost_count {
            // The one that is meant may be one that was not kept.
            self.values = Rc::default();
            self.block = Block::Explicit;
        } else if let Some(at) = self.find(name) {
            self.levels.truncate(at + 1);
            if let Some(level) = self.levels.last() {
                let values = Rc::clone(&level.values);
                self.restore(values);
            }
            self.block = Block::Explicit;
        }
    }

    fn set(&mut self, setting: Tracked, value: Value, is_local: bool) {
        self.touch();
        let values = Rc::make_mut(&mut self.values);
        if setting == Tracked::SessionAuthorization {
            let role = value.as_ref().map(|_| NO_ROLE.into());
            values.set(Tracked::Role, role, is_local);
        }
        values.set(setting, value, is_local);
    }

    fn reset(&mut self, setting: Tracked, value: Value, is_local: bool) {
        self.set(setting, value, is_local);
        if setting == Tracked::SessionAuthorization && self.defaults.has_role() {
            // Older servers have none then, newer ones the role that the session started with.
            Rc::make_mut(&mut self.values).set(Tracked::Role, None, is_local);
        }
    }

    /// The server passes over what nobody has set. What SET LOCAL has set to its default counts as that, and keeps what
    /// follows the transaction.
    fn reset_all(&mut self) {
        self.touch();
        let values = Rc::make_mut(&mut self.values);
        for setting in Tracked::ALL.into_iter().filter(|setting| !setting.is_role()) {
            let default = self.defaults.now(setting);
            let pair = &mut values.0[setting as usize];
            let is_set = pair.now.is_some() && pair.now.as_ref() != default;
            if is_set || pair.kept.as_ref() == default {
                pair.kept = default.cloned();
            } else {
                pair.kept = None;
            }
            pair.now = default.cloned();
        }
    }
}
