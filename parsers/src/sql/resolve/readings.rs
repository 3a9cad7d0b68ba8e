//! Several search paths at once: what a name means if it is not known which schemas the role may use.

use smallvec::SmallVec;

use super::super::catalog::{Found, Oid};
use super::{Resolution, Resolver, Ty};

/// With more schemas in doubt, each object is a candidate whatever shadows it.
const DOUBTS_MAX: usize = 4;

/// Objects of one name by their schema's place in the search path, and which of those places are in doubt.
pub(super) struct Readings {
    found: SmallVec<[(usize, Oid); 8]>,
    doubts: SmallVec<[usize; 4]>,
}

impl Readings {
    pub(super) fn of(resolver: &Resolver<'_>, schema: Option<&str>, find: impl Fn(Oid) -> Found) -> Self {
        let mut this = Self {
            found: SmallVec::new(),
            doubts: SmallVec::new(),
        };
        if let Some(name) = schema {
            let schema = resolver.path.explicit(resolver.catalog(), name);
            let found = schema.map(find).unwrap_or_default();
            this.found.extend(found.into_iter().map(|oid| (0, oid)));
            return this;
        }
        for (position, step) in resolver.path.code_steps().enumerate() {
            let found = find(step.schema);
            if !found.is_empty() && !step.is_certain {
                this.doubts.push(position);
            }
            this.found.extend(found.into_iter().map(|oid| (position, oid)));
        }
        this
    }

    /// Resolves under each path that may hold.
    pub(super) fn resolve(self, one: impl Fn(&[(usize, Oid)]) -> Resolution) -> Resolution {
        if self.doubts.is_empty() {
            return one(&self.found);
        }
        if self.doubts.len() > DOUBTS_MAX {
            return several(
                self.found.into_iter().map(|(_, oid)| oid).collect(),
                Ty::Uncertain,
            );
        }
        let mut all = Found::new();
        let mut results: SmallVec<[Ty; 8]> = SmallVec::new();
        let mut readings: SmallVec<[Resolution; 4]> = SmallVec::new();
        for without in 0_u32..1 << self.doubts.len() {
            let is_left_out = |position: usize| {
                let doubt = self.doubts.iter().position(|&doubt| doubt == position);
                doubt.is_some_and(|bit| without >> bit & 1 == 1)
            };
            let left = self
                .found
                .iter()
                .copied()
                .filter(|(position, _)| !is_left_out(*position));
            let reading = one(&left.collect::<SmallVec<[(usize, Oid); 8]>>());
            match &reading {
                Resolution::One { oid, result } => {
                    all.push(*oid);
                    results.push(*result);
                }
                Resolution::Cast { to } => results.push(Ty::Known(*to)),
                Resolution::Several { candidates, result } => {
                    all.extend_from_slice(candidates);
                    results.push(*result);
                }
                Resolution::Missing => continue,
            }
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        match readings.len() {
            0 => Resolution::Missing,
            1 => readings.remove(0),
            _ => several(all, common(&results)),
        }
    }
}

/// Candidates, each once.
pub(super) fn several(mut candidates: Found, result: Ty) -> Resolution {
    candidates.sort_unstable();
    candidates.dedup();
    Resolution::Several { candidates, result }
}

/// Candidates with what each gives. One alone is certain: if the server takes anything, it takes that.
pub(super) fn several_with(results: impl Iterator<Item = (Oid, Ty)>) -> Resolution {
    let (candidates, results): (Found, SmallVec<[Ty; 8]>) = results.unzip();
    several(candidates, common(&results))
}

fn common(results: &[Ty]) -> Ty {
    match results.split_first() {
        Some((first, rest)) if rest.iter().all(|result| result == first) => *first,
        _ => Ty::Uncertain,
    }
}
