//! What happens where a value of one type becomes one of another.
use smallvec::SmallVec;

use super::super::catalog::{CastContext, Catalog, Oid};
use super::Ty;

/// What runs where a value of one type becomes one of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// Nothing that could do more than compute.
    Free,
    /// These.
    Runs {
        /// Cast functions.
        functions: SmallVec<[Oid; 2]>,
        /// Types whose input and output functions or domain checks run.
        types: SmallVec<[Oid; 2]>,
    },
    /// There is no such coercion: the server raises an error.
    Impossible,
    /// It is not known.
    Uncertain,
}

pub(super) fn coercion(_catalog: &Catalog, _from: Ty, _to: Oid, _context: CastContext) -> Coercion {
    Coercion::Uncertain
}
