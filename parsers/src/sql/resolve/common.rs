//! One type for several values: UNION, CASE, ARRAY, VALUES and the `anycompatible` family.

use super::super::catalog::{CastContext, Catalog, Oid};
use super::match_types::{Fit, Source, Sources, can_coerce};
use super::{Ty, types};

/// The type that all values are converted to; uncertain also where the server raises an error.
pub(super) fn common_type(catalog: &Catalog, of: &[Ty]) -> Ty {
    let sources = Source::all(catalog, of);
    if sources.is_empty() || sources.iter().any(Source::is_uncertain) {
        return Ty::Uncertain;
    }
    select(catalog, &sources).map_or(Ty::Uncertain, Ty::Known)
}

/// The same for types that are known, if all of them can be converted to it.
pub(super) fn common_of(catalog: &Catalog, of: &[Oid]) -> Option<Oid> {
    let sources: Sources = of.iter().map(|&oid| Source::of(catalog, oid)).collect();
    let common = select(catalog, &sources)?;
    let fits = |source: &Source| coerces(catalog, source, common);
    sources.iter().all(fits).then_some(common)
}

fn select(catalog: &Catalog, sources: &[Source]) -> Option<Oid> {
    let (first, rest) = sources.split_first()?;
    // Only if all are the same does a domain stay one.
    if !first.is_unknown() && rest.iter().all(|source| source.oid == first.oid) {
        return Some(first.oid);
    }
    let mut chosen = first.base;
    let (mut category, mut is_preferred) = types::category(catalog, chosen);
    for source in rest {
        let next = source.base;
        if next == types::UNKNOWN || next == chosen {
            continue;
        }
        let (next_category, next_is_preferred) = types::category(catalog, next);
        let takes_next = if chosen == types::UNKNOWN {
            true
        } else if next_category != category {
            return None;
        } else {
            let goes = |from, to| coerces(catalog, &Source::of(catalog, from), to);
            !is_preferred && goes(chosen, next) && !goes(next, chosen)
        };
        if takes_next {
            (chosen, category, is_preferred) = (next, next_category, next_is_preferred);
        }
    }
    Some(if chosen == types::UNKNOWN {
        types::TEXT
    } else {
        chosen
    })
}

fn coerces(catalog: &Catalog, source: &Source, target: Oid) -> bool {
    can_coerce(catalog, &[*source], &[target], CastContext::Implicit) == Fit::Yes
}
