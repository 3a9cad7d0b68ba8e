//! One type for several values.
use super::super::catalog::Catalog;
use super::Ty;

pub(super) fn common_type(_catalog: &Catalog, types: &[Ty]) -> Ty {
    match types {
        [] => Ty::Uncertain,
        [first, rest @ ..] if rest.iter().all(|ty| ty == first) => *first,
        _ => Ty::Uncertain,
    }
}
