//! Effects and identity to a decision, with Cedar.
//!
//! [`PolicySet`] is read from a file and checked against the shipped schema (`sluice.cedarschema`); a
//! [`Principal`] is an identity on a database of a connection, made ready once for a session; a [`Client`] is what else
//! conditions may ask of the session, a [`Moment`] the time. [`PolicySet::decide`] answers for the effects of a
//! statement, [`PolicySet::explain`] tells which policies had a say. Default deny; a policy that cannot be evaluated
//! denies. [`Snapshot`] is the policy in force, swapped whole. [`identity`] holds what sessions and the control side
//! share about identities. The crate is pure: no I/O, no clock of its own.

#![forbid(unsafe_code)]

mod annotations;
mod budget;
mod client;
mod decision;
mod errors;
mod explain;
pub mod identity;
mod line;
mod names;
mod principal;
mod resource;
mod review;
mod schema;
mod set;
mod snapshot;
mod text;

pub use annotations::{Limits, Severity};
pub use budget::{Allowance, Budget, Charge, Measure, PROBES_MAX, UsedUp};
pub use client::{Client, Moment, Told};
pub use decision::{Approval, Cause, Decision, Denial, Permission, Unmasking, tells_of_budget};
pub use errors::{Mistake, PolicyErrors};
pub use explain::{Explained, Opinion, Word};
pub use line::{read_effect, write_effect};
pub use principal::{Principal, Target, TargetError};
pub use resource::Resource;
pub use review::{Served, Surroundings, Warning, review};
pub use schema::{CONTEXT_FLAGS, SCHEMA, SCHEMA_VERSION};
pub use set::{Hiding, PolicySet};
pub use snapshot::{PolicySnapshot, Reader, Snapshot};
pub use text::printable;
