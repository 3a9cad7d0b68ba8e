//! Effects and identity to a decision, with Cedar.
//!
//! [`PolicySet`] is read from a file and checked against the shipped schema (`sluice.cedarschema`); a
//! [`Principal`] is an identity on a database of a connection, made ready once for a session; `decide` answers
//! for the effects of a statement. Default deny; a policy that cannot be evaluated denies. [`Snapshot`] is the
//! policy in force, swapped whole. [`identity`] holds what sessions and the control side share about identities.
//! The crate is pure: no I/O, no clock of its own.

#![forbid(unsafe_code)]

mod decision;
mod errors;
pub mod identity;
mod principal;
mod schema;
mod set;
mod snapshot;
mod text;

pub use decision::{Cause, Decision, Denial};
pub use errors::{Mistake, PolicyErrors};
pub use principal::{Principal, Target, TargetError};
pub use schema::{SCHEMA, SCHEMA_VERSION};
pub use set::PolicySet;
pub use snapshot::{PolicySnapshot, Reader, Snapshot};
pub use text::printable;
