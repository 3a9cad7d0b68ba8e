//! What runs where a value of one type becomes one of another.

use smallvec::SmallVec;

use super::super::catalog::{Behavior, CastContext, CastMethod, Catalog, Oid, TypeKind};
use super::match_types::{Fit, Pathway, Source, can_coerce, pathway};
use super::{Ty, types};

/// Arrays of domains over arrays, and element types of element types: an end for a catalog that lies.
const DEPTH_MAX: u8 = 8;

/// What runs where a value of one type becomes one of another. What is known to do nothing but compute is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// Nothing that could do more than compute.
    Free,
    /// These.
    Runs {
        /// Cast functions.
        functions: SmallVec<[Oid; 2]>,
        /// Types whose input and output functions or domain checks run; `record` for rows whose columns' output
        /// functions do.
        types: SmallVec<[Oid; 2]>,
    },
    /// There is no such coercion: the server raises an error.
    Impossible,
    /// It is not known: the source is not, or it is a `record` whose columns are converted one by one.
    Uncertain,
}

/// What was found to run.
#[derive(Default)]
struct Runs {
    functions: SmallVec<[Oid; 2]>,
    types: SmallVec<[Oid; 2]>,
}

pub(super) fn coercion(catalog: &Catalog, from: Ty, to: Oid, context: CastContext) -> Coercion {
    if to == types::ANY || to == types::UNKNOWN || types::is_polymorphic(to) {
        return Coercion::Free;
    }
    let source = match from {
        _ if to.is_none() => return Coercion::Uncertain,
        Ty::Uncertain => return Coercion::Uncertain,
        Ty::Literal | Ty::Parameter => None,
        Ty::Known(oid) => Some(Source::of(catalog, oid)),
    };
    let mut runs = Runs::default();
    let known = match source {
        None => {
            runs.type_used(catalog, to);
            Some(Fit::Yes)
        }
        Some(source) => runs.convert(catalog, &source, to, context, DEPTH_MAX),
    };
    runs.fit_length(catalog, to);
    match known {
        Some(Fit::No) => Coercion::Impossible,
        Some(Fit::Maybe) | None => Coercion::Uncertain,
        Some(Fit::Yes) if runs.functions.is_empty() && runs.types.is_empty() => Coercion::Free,
        Some(Fit::Yes) => Coercion::Runs {
            functions: runs.functions,
            types: runs.types,
        },
    }
}

impl Runs {
    /// Notes what runs; none if it is not known.
    fn convert(
        &mut self,
        catalog: &Catalog,
        source: &Source,
        to: Oid,
        context: CastContext,
        depth: u8,
    ) -> Option<Fit> {
        if source.oid == to {
            return Some(Fit::Yes);
        }
        match pathway(catalog, to, source, context) {
            Some(Pathway::Relabel) => {}
            Some(Pathway::Function(function)) => self.function(catalog, function),
            Some(Pathway::InOut) => {
                self.type_used(catalog, source.base);
                self.type_used(catalog, types::base(catalog, to));
            }
            Some(Pathway::Array { target, source }) => {
                let element = Source::of(catalog, source);
                let depth = depth.checked_sub(1)?;
                self.convert(catalog, &element, target, context, depth)?;
                self.fit_length(catalog, target);
            }
            None if source.oid == types::RECORD && types::is_composite(catalog, to) => return None,
            None => return Some(can_coerce(catalog, &[*source], &[to], context)),
        }
        // Its checks; the base type's input does not run.
        if types::base(catalog, to) != to {
            self.type_used(catalog, to);
        }
        Some(Fit::Yes)
    }

    /// A type may have a cast to itself that fits a value to the declared length.
    fn fit_length(&mut self, catalog: &Catalog, to: Oid) {
        let base = types::base(catalog, to);
        for oid in [Some(base), types::element(catalog, base)].into_iter().flatten() {
            if let Some(cast) = catalog.cast(oid, oid)
                && cast.method == CastMethod::Function
            {
                self.function(catalog, cast.function);
            }
        }
    }

    fn function(&mut self, catalog: &Catalog, oid: Oid) {
        let known = catalog.function(oid).and_then(|function| function.known);
        if known != Some(Behavior::Pure) && !self.functions.contains(&oid) {
            self.functions.push(oid);
        }
    }

    fn type_used(&mut self, catalog: &Catalog, oid: Oid) {
        if !is_plain(catalog, oid, DEPTH_MAX) && !self.types.contains(&oid) {
            self.types.push(oid);
        }
    }
}

/// Whether a type's input, output and checks are all the server's own.
fn is_plain(catalog: &Catalog, oid: Oid, depth: u8) -> bool {
    let (Some(found), Some(depth)) = (catalog.type_of(oid), depth.checked_sub(1)) else {
        return false;
    };
    if !found.functions.is_empty() || oid == types::RECORD || oid == types::RECORD_ARRAY {
        return false;
    }
    match &found.kind {
        TypeKind::Base | TypeKind::Enum | TypeKind::Pseudo => true,
        TypeKind::Array => is_plain(catalog, found.element, depth),
        TypeKind::Domain { base, checks, .. } => checks.is_empty() && is_plain(catalog, *base, depth),
        // A range's bounds are compared and made canonical by functions that its maker chose.
        TypeKind::Range { .. } | TypeKind::Multirange { .. } => oid.is_built_in(),
        TypeKind::Composite(_) => false,
    }
}
