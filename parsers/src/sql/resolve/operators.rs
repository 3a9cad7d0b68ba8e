//! Operators by name and operands.

use smallvec::SmallVec;

use super::super::catalog::{CastContext, Catalog, Oid, Operator};
use super::match_types::{Fit, Source, Sources, can_coerce};
use super::polymorphic::Generics;
use super::readings::{self, Readings};
use super::select::{self, Candidate, Candidates, Choice};
use super::{Resolution, Resolver, Ty, Types, types};

pub(super) fn resolve(
    resolver: &Resolver<'_>,
    schema: Option<&str>,
    name: &str,
    left: Option<Ty>,
    right: Option<Ty>,
) -> Resolution {
    let catalog = resolver.catalog();
    if resolver.is_touched(name) {
        let schemas = catalog.schemas_all();
        let all = schemas.flat_map(|schema| catalog.operators_in(schema, name));
        let fits = |oid: &Oid| {
            catalog
                .operator(*oid)
                .is_some_and(|found| is_written_so(found, left, right))
        };
        return readings::several(all.filter(fits).collect(), Ty::Uncertain);
    }
    let operands = Operands::of(catalog, left, right);
    if let Some(found) = operands.exact_in_path(resolver, schema, name) {
        return found;
    }
    let found = Readings::of(resolver, schema, |schema| catalog.operators_in(schema, name));
    found.resolve(|operators| operands.resolve_reading(catalog, operators))
}

/// The operands, those that are written.
struct Operands {
    left: Option<Ty>,
    right: Option<Ty>,
    sources: Sources,
}

impl Operands {
    fn of(catalog: &Catalog, left: Option<Ty>, right: Option<Ty>) -> Self {
        let sources = left.iter().chain(&right).map(|ty| Source::of(catalog, ty.oid()));
        Self {
            left,
            right,
            sources: sources.collect(),
        }
    }

    /// The types to be tried first: a literal's is that of the other side, at second try without domains.
    fn exact_types(&self) -> SmallVec<[(Oid, Oid); 2]> {
        let mut tries = SmallVec::new();
        match self.sources[..] {
            _ if self.sources.iter().any(Source::is_uncertain) => {}
            [only] if self.left.is_some() => tries.push((only.oid, Oid::NONE)),
            [only] => tries.push((Oid::NONE, only.oid)),
            [left, right] if left.is_unknown() != right.is_unknown() => {
                let known = if left.is_unknown() { right } else { left };
                tries.push((known.oid, known.oid));
                if known.base != known.oid {
                    tries.push((known.base, known.base));
                }
            }
            [left, right] => tries.push((left.oid, right.oid)),
            _ => {}
        }
        tries
    }

    /// The operator of exactly these types, if there is one and no schema before it is in doubt.
    fn exact_in_path(&self, resolver: &Resolver<'_>, schema: Option<&str>, name: &str) -> Option<Resolution> {
        let catalog = resolver.catalog();
        for (left, right) in self.exact_types() {
            if let Some(schema) = schema {
                let schema = resolver.path.explicit(catalog, schema)?;
                if let Some(oid) = catalog.operator_taking(schema, name, left, right) {
                    return Some(self.found(catalog, oid));
                }
                continue;
            }
            for step in resolver.path.code_steps() {
                let found = catalog.operator_taking(step.schema, name, left, right);
                if let Some(oid) = found.filter(|_| step.is_certain) {
                    return Some(self.found(catalog, oid));
                }
                if found.is_some() {
                    return None;
                }
            }
        }
        None
    }

    fn found(&self, catalog: &Catalog, oid: Oid) -> Resolution {
        let Some(operator) = catalog.operator(oid) else {
            return Resolution::Missing;
        };
        let result = self
            .generics(catalog, operator)
            .map_or(Ty::Uncertain, |generics| {
                generics.resolve(catalog, operator.result)
            });
        Resolution::One { oid, result }
    }

    fn generics(&self, catalog: &Catalog, operator: &Operator) -> Option<Generics> {
        let declared = declared_types(operator);
        let has_generics = declared.iter().any(|&oid| types::is_polymorphic(oid));
        if has_generics {
            Generics::bind(catalog, &self.sources, &declared)
        } else {
            Some(Generics::default())
        }
    }

    /// What the operator is if the path is the one that gave these, each with its place in it.
    fn resolve_reading(&self, catalog: &Catalog, operators: &[(usize, Oid)]) -> Resolution {
        let mut candidates: Candidates = operators
            .iter()
            .filter_map(|&(position, oid)| {
                let operator = catalog.operator(oid)?;
                if !is_written_so(operator, self.left, self.right) {
                    return None;
                }
                let types = declared_types(operator);
                let fit = can_coerce(catalog, &self.sources, &types, CastContext::Implicit);
                (fit != Fit::No).then_some(Candidate {
                    oid,
                    types,
                    position,
                    is_expanded: false,
                    fit,
                })
            })
            .collect();
        select::shadow(&mut candidates);
        // Tried here as well for paths in doubt.
        for (left, right) in self.exact_types() {
            let wanted = [left, right];
            let wanted = wanted.iter().filter(|oid| !oid.is_none());
            let is_exact = |candidate: &&Candidate| candidate.types.iter().eq(wanted.clone());
            if let Some(candidate) = candidates.iter().find(is_exact) {
                return self.found(catalog, candidate.oid);
            }
        }
        match select::best(catalog, &self.sources, &candidates) {
            Choice::One(index) => self.found(catalog, candidates[index].oid),
            Choice::None | Choice::Ambiguous => Resolution::Missing,
            Choice::Several => readings::several_with(candidates.iter().filter_map(|candidate| {
                match self.found(catalog, candidate.oid) {
                    Resolution::One { oid, result } => Some((oid, result)),
                    _ => None,
                }
            })),
        }
    }
}

pub(super) fn operand_types(
    resolver: &Resolver<'_>,
    operator: Oid,
    left: Option<Ty>,
    right: Option<Ty>,
) -> (Option<Ty>, Option<Ty>) {
    let catalog = resolver.catalog();
    let uncertain = (left.map(|_| Ty::Uncertain), right.map(|_| Ty::Uncertain));
    let Some(operator) = catalog.operator(operator) else {
        return uncertain;
    };
    let Some(generics) = Operands::of(catalog, left, right).generics(catalog, operator) else {
        return uncertain;
    };
    (
        left.map(|_| generics.resolve(catalog, operator.left)),
        right.map(|_| generics.resolve(catalog, operator.right)),
    )
}

/// Whether it stands before, between or after what is written.
fn is_written_so(operator: &Operator, left: Option<Ty>, right: Option<Ty>) -> bool {
    operator.left.is_none() == left.is_none() && operator.right.is_none() == right.is_none()
}

fn declared_types(operator: &Operator) -> Types {
    let both = [operator.left, operator.right];
    both.into_iter().filter(|oid| !oid.is_none()).collect()
}
