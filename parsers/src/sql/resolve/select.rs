//! The choice among candidates that fit, of functions and operators alike.

use smallvec::SmallVec;

use super::super::catalog::{CastContext, Catalog, Oid};
use super::match_types::{Fit, Source, Sources, can_coerce};
use super::{Types, types};

/// A function or operator with what it takes in this call.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// None if two are indistinguishable, which is an error if they are chosen.
    pub(super) oid: Oid,
    /// Declared types in the order of the call's arguments.
    pub(super) types: Types,
    /// Where in the search path its schema stands.
    pub(super) position: usize,
    /// Its VARIADIC argument was expanded.
    pub(super) is_expanded: bool,
    /// Whether the arguments can be given to it.
    pub(super) fit: Fit,
}

pub(super) type Candidates = SmallVec<[Candidate; 4]>;

/// What was chosen, as indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    None,
    Ambiguous,
    One(usize),
    /// It depends on types that are not known.
    Several,
}

/// Keeps one of those that take the same types: the first in the search path, not expanded rather than expanded.
pub(super) fn shadow(candidates: &mut Candidates) {
    if candidates.len() < 2 {
        return;
    }
    let rank = |candidate: &Candidate| (candidate.position, candidate.is_expanded);
    candidates.sort_unstable_by(|a, b| a.types.cmp(&b.types).then_with(|| rank(a).cmp(&rank(b))));
    // `dedup_by` gives the later one first, and keeps the earlier.
    candidates.dedup_by(|later, kept| {
        let is_same = later.types == kept.types && !later.types.contains(&Oid::NONE);
        if is_same && rank(later) == rank(kept) {
            kept.oid = Oid::NONE;
        }
        is_same
    });
}

/// The one that takes exactly the arguments' types.
pub(super) fn exact(sources: &[Source], candidates: &[Candidate]) -> Option<usize> {
    let is_exact = |candidate: &Candidate| {
        let mut pairs = sources.iter().zip(&candidate.types);
        pairs.all(|(source, &declared)| source.oid == declared && !declared.is_none())
    };
    candidates.iter().position(is_exact)
}

/// The best of candidates that all fit, none of which does exactly.
pub(super) fn best(catalog: &Catalog, sources: &[Source], candidates: &[Candidate]) -> Choice {
    match candidates {
        [] => Choice::None,
        [_] => Choice::One(0),
        _ if candidates.iter().any(|candidate| candidate.fit != Fit::Yes) => Choice::Several,
        _ => select(catalog, sources, candidates).map_or(Choice::Ambiguous, Choice::One),
    }
}

type Kept = SmallVec<[usize; 8]>;

fn select(catalog: &Catalog, sources: &[Source], candidates: &[Candidate]) -> Option<usize> {
    let types_of = |index: usize| {
        candidates
            .get(index)
            .map_or(&[][..], |candidate| &candidate.types)
    };
    let known = || {
        let pairs = sources.iter().enumerate();
        pairs.filter(|(_, source)| !source.is_unknown())
    };
    let mut kept: Kept = (0..candidates.len()).collect();

    // Most exact matches, domains taken for what they are over.
    keep_most(&mut kept, |index| {
        let declared = types_of(index);
        known()
            .filter(|(i, source)| declared.get(*i) == Some(&source.base))
            .count()
    });
    if let [only] = kept[..] {
        return Some(only);
    }

    // Most exact matches or preferred types of the same category.
    let categories: SmallVec<[u8; 8]> = sources
        .iter()
        .map(|source| types::category(catalog, source.base).0)
        .collect();
    keep_most(&mut kept, |index| {
        let declared = types_of(index);
        let fits = |(i, source): &(usize, &Source)| {
            declared.get(*i).is_some_and(|&oid| {
                let preferred = || types::category(catalog, oid) == (categories[*i], true);
                oid == source.base || preferred()
            })
        };
        known().filter(fits).count()
    });
    if let [only] = kept[..] {
        return Some(only);
    }

    let known_count = known().count();
    if known_count == sources.len() {
        return None;
    }
    keep_by_category_of_literals(catalog, sources, candidates, &mut kept);
    if let [only] = kept[..] {
        return Some(only);
    }

    // If what is known is of one type, the literals are of it too.
    let (_, first) = known().next()?;
    if known().any(|(_, source)| source.base != first.base) {
        return None;
    }
    let assumed: Sources = sources.iter().map(|_| Source::of(catalog, first.base)).collect();
    kept.retain(|index| can_coerce(catalog, &assumed, types_of(*index), CastContext::Implicit) == Fit::Yes);
    match kept[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// Keeps those that count most; all if none counts.
fn keep_most(kept: &mut Kept, count: impl Fn(usize) -> usize) {
    let counts: Kept = kept.iter().map(|&index| count(index)).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let mut counts = counts.into_iter();
    kept.retain(|_| counts.next() == Some(most));
}

/// Literals take the category that the candidates agree on, or strings' if any takes one, and the preferred type in it.
/// Without agreement, or if nothing would be left, all stay.
fn keep_by_category_of_literals(
    catalog: &Catalog,
    sources: &[Source],
    candidates: &[Candidate],
    kept: &mut Kept,
) {
    let slots = || {
        sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.is_unknown())
    };
    let category_at = |index: usize, slot: usize| {
        let declared = candidates
            .get(index)
            .and_then(|candidate| candidate.types.get(slot));
        declared.map(|&oid| types::category(catalog, oid))
    };
    let mut wanted: SmallVec<[(usize, u8, bool); 8]> = SmallVec::new();
    for (slot, _) in slots() {
        let found = || kept.iter().filter_map(|&index| category_at(index, slot));
        let Some((first, _)) = found().next() else {
            return;
        };
        let category = if found().any(|(category, _)| category == types::CATEGORY_STRING) {
            types::CATEGORY_STRING
        } else if found().all(|(category, _)| category == first) {
            first
        } else {
            return;
        };
        let has_preferred = found().any(|found| found == (category, true));
        wanted.push((slot, category, has_preferred));
    }
    let fits = |index: &usize| {
        wanted.iter().all(|&(slot, category, has_preferred)| {
            category_at(*index, slot).is_some_and(|found| found.0 == category && (found.1 || !has_preferred))
        })
    };
    let left: Kept = kept.iter().copied().filter(fits).collect();
    if !left.is_empty() {
        *kept = left;
    }
}
