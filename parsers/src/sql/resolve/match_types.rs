//! Whether values of given types can stand where other types are declared.

use smallvec::SmallVec;

use super::super::catalog::{CastContext, CastMethod, Catalog, Oid, RelationKind, TypeKind};
use super::types::{self, CATEGORY_STRING};
use super::{Ty, polymorphic};

/// Arrays over domains over arrays: an end for a catalog that lies.
const ELEMENT_DEPTH_MAX: u8 = 8;

/// Relations looked at on the way to a parent.
const PARENTS_MAX: usize = 1_000;

/// A value's type with what is asked of it again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// The type; `unknown` for literals, none if it is not known.
    pub(super) oid: Oid,
    /// The type below all domains.
    pub(super) base: Oid,
    /// The element type of an array.
    element: Option<Oid>,
    /// The relation of a row type.
    relation: Option<Oid>,
}

/// The types of a call's arguments.
pub(super) type Sources = SmallVec<[Source; 8]>;

impl Source {
    pub(super) fn of(catalog: &Catalog, oid: Oid) -> Self {
        let base = types::base(catalog, oid);
        let kind = catalog.type_of(base).map(|found| (&found.kind, found.element));
        Self {
            oid,
            base,
            element: kind.and_then(|(kind, element)| (*kind == TypeKind::Array).then_some(element)),
            relation: match kind {
                Some((TypeKind::Composite(relation), _)) => Some(*relation),
                _ => None,
            },
        }
    }

    pub(super) fn all(catalog: &Catalog, types: &[Ty]) -> Sources {
        types.iter().map(|ty| Self::of(catalog, ty.oid())).collect()
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.oid == types::UNKNOWN
    }

    pub(super) fn is_uncertain(&self) -> bool {
        self.oid.is_none()
    }

    pub(super) fn is_row(&self) -> bool {
        self.relation.is_some() || self.oid == types::RECORD
    }

    pub(super) fn element(&self) -> Option<Oid> {
        self.element
    }
}

/// How a value comes from one type to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pathway {
    /// The bytes are the same.
    Relabel,
    /// By a cast's function.
    Function(Oid),
    /// By the output and the input function.
    InOut,
    /// Element by element.
    Array {
        /// The element type of the target.
        target: Oid,
        /// That of the source.
        source: Oid,
    },
}

/// The way between two types that are base types or domains, if there is one in this context.
pub(super) fn pathway(
    catalog: &Catalog,
    target: Oid,
    source: &Source,
    context: CastContext,
) -> Option<Pathway> {
    pathway_within(catalog, target, source, context, ELEMENT_DEPTH_MAX)
}

fn pathway_within(
    catalog: &Catalog,
    target: Oid,
    source: &Source,
    context: CastContext,
    depth: u8,
) -> Option<Pathway> {
    let target = types::base(catalog, target);
    if target == source.base {
        return Some(Pathway::Relabel);
    }
    if let Some(cast) = catalog.cast(source.base, target) {
        return (context >= cast.context).then_some(match cast.method {
            CastMethod::Function => Pathway::Function(cast.function),
            CastMethod::Binary => Pathway::Relabel,
            CastMethod::InOut => Pathway::InOut,
        });
    }
    // Those two would otherwise catch what is meant for real arrays.
    if let Some(source_element) = source.element
        && !matches!(target, types::OIDVECTOR | types::INT2VECTOR)
        && let Some(element) = types::element(catalog, target)
        && depth > 0
    {
        let from = Source::of(catalog, source_element);
        if pathway_within(catalog, element, &from, context, depth - 1).is_some() {
            return Some(Pathway::Array {
                target: element,
                source: source_element,
            });
        }
    }
    // To strings where a value is stored, from strings where it is asked for.
    let is_string = |oid| types::category(catalog, oid).0 == CATEGORY_STRING;
    let to_string = context >= CastContext::Assignment && is_string(target);
    let from_string = context >= CastContext::Explicit && is_string(source.base);
    (to_string || from_string).then_some(Pathway::InOut)
}

/// Whether something fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Maybe,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// Whether all values can be given where these types are declared. A target that is none stands for one not known.
pub(super) fn can_coerce(
    catalog: &Catalog,
    sources: &[Source],
    targets: &[Oid],
    context: CastContext,
) -> Fit {
    let mut fit = Fit::Yes;
    let mut has_generics = false;
    for (source, &target) in sources.iter().zip(targets) {
        // A value may be of a pseudo type itself, as columns of `pg_statistic` are. It fits before what that stands for
        // is looked for, which would ask the same question again.
        if source.oid == target && !target.is_none() {
            continue;
        }
        if types::is_polymorphic(target) {
            has_generics = true;
            if source.is_uncertain() {
                fit = Fit::Maybe;
            }
            continue;
        }
        fit = fit.min(can_coerce_one(catalog, source, target, context));
        if fit == Fit::No {
            return Fit::No;
        }
    }
    if has_generics && polymorphic::Generics::bind(catalog, sources, targets).is_none() {
        return Fit::No;
    }
    fit
}

fn can_coerce_one(catalog: &Catalog, source: &Source, target: Oid, context: CastContext) -> Fit {
    if source.oid == target && !target.is_none() || target == types::ANY || source.is_unknown() {
        return Fit::Yes;
    }
    if source.is_uncertain() || target.is_none() {
        return Fit::Maybe;
    }
    if pathway(catalog, target, source, context).is_some() {
        return Fit::Yes;
    }
    if source.oid == types::RECORD {
        return types::is_composite(catalog, target).into();
    }
    if let Some(element) = source.element {
        return (target == types::RECORD_ARRAY && types::is_composite(catalog, element)).into();
    }
    let Some(relation) = source.relation else {
        return Fit::No;
    };
    if target == types::RECORD {
        return Fit::Yes;
    }
    match catalog.type_of(target).map(|found| &found.kind) {
        Some(&TypeKind::Composite(parent)) if inherits(catalog, relation, parent) => Fit::Yes,
        Some(&TypeKind::Composite(kind)) if may_be_of(catalog, relation, kind) => Fit::Maybe,
        _ => Fit::No,
    }
}

/// Whether a relation is below another one.
fn inherits(catalog: &Catalog, relation: Oid, parent: Oid) -> bool {
    let mut open: SmallVec<[Oid; 8]> = SmallVec::from_slice(&[relation]);
    for _ in 0..PARENTS_MAX {
        let Some(relation) = open.pop() else {
            return false;
        };
        if relation == parent {
            return true;
        }
        if let Some(relation) = catalog.relation(relation) {
            open.extend_from_slice(&relation.parents);
        }
    }
    false
}

/// Whether a table may be one `OF` a composite type: the catalog does not tell, but the columns are the same then.
fn may_be_of(catalog: &Catalog, relation: Oid, kind: Oid) -> bool {
    let (Some(relation), Some(kind)) = (catalog.relation(relation), catalog.relation(kind)) else {
        return false;
    };
    let columns = relation.columns.iter().zip(&kind.columns);
    kind.kind == RelationKind::Composite
        && matches!(
            relation.kind,
            RelationKind::Table | RelationKind::Partitioned | RelationKind::Foreign
        )
        && relation.columns.len() == kind.columns.len()
        && columns
            .into_iter()
            .all(|(a, b)| a.name == b.name && a.type_oid == b.type_oid)
}
