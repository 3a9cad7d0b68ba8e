//! Budgets: what each identity has used up of what policy lets it use up over time (`@budget`).
//!
//! An account is an identity's with one policy, for one measure and one length of time; it outlives reloads of the policy
//! and its sessions, not the process. All cores share it, behind a lock. So that the lock is taken seldom, a core draws some
//! in advance, a 64th of the budget over all cores together, and gives back within a second what it did not need. What is
//! drawn counts as used up: a budget is never exceeded, and may be called used up while a 64th of it lies with other cores.

mod accounts;
mod charged;
mod share;
mod spent;
mod window;

pub(crate) use self::accounts::Accounts;
pub(crate) use self::charged::{AnswerBudgets, Charged, Drawn};
pub(crate) use self::share::Budgets;
pub use self::spent::{Fullest, Spent};

#[cfg(test)]
mod tests;
