//! Which policies had a say in a decision.

use std::sync::Arc;

use crate::decision::{Approval, Cause};

/// One request of a decision: an effect of a statement, or the part of it that is on one column, or the connect; or that
/// values of a class may be seen as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Which of the statement's effects; `None` for the connect and a class.
    pub effect: Option<usize>,
    /// The action's name in policies.
    pub action: &'static str,
    /// What it was asked on, as policies write it: `Column::"orders/shop/public.customers.email"`. For what is not known,
    /// and for everything below what is named, the nearest thing that is known.
    pub resource: String,
    /// Why it is denied; none if it is permitted.
    pub cause: Option<Cause>,
    /// Whose yes would permit it, where that is all it lacks.
    pub approval: Option<Approval>,
    /// The policies whose scope takes the request in, in the order of their file.
    pub opinions: Vec<Opinion>,
}

/// What one policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The policy's `@id`, or `policy0` and so on.
    pub policy: Arc<str>,
    /// A `forbid` and no `permit`.
    pub is_forbid: bool,
    /// What it says.
    pub word: Word,
}

/// Whether a policy whose scope takes a request in applies to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It does: it permits, or forbids.
    Applies,
    /// Its conditions do not hold: it nearly permits, or nearly forbids.
    ConditionFalse,
    /// Its conditions cannot be evaluated: the request is denied.
    Error(Box<str>),
}
