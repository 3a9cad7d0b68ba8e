//! Questions about types that resolution asks all the time.

use super::super::catalog::{Catalog, Oid, TypeKind};

pub(super) const TEXT: Oid = Oid(25);
pub(super) const OIDVECTOR: Oid = Oid(30);
pub(super) const INT2VECTOR: Oid = Oid(22);
pub(super) const UNKNOWN: Oid = Oid(705);
pub(super) const TEXT_ARRAY: Oid = Oid(1009);
pub(super) const RECORD: Oid = Oid(2249);
pub(super) const RECORD_ARRAY: Oid = Oid(2287);
pub(super) const ANY: Oid = Oid(2276);
pub(super) const ANYARRAY: Oid = Oid(2277);
pub(super) const ANYELEMENT: Oid = Oid(2283);
pub(super) const ANYNONARRAY: Oid = Oid(2776);
pub(super) const ANYENUM: Oid = Oid(3500);
pub(super) const ANYRANGE: Oid = Oid(3831);
pub(super) const ANYMULTIRANGE: Oid = Oid(4537);
pub(super) const ANYCOMPATIBLEMULTIRANGE: Oid = Oid(4538);
pub(super) const ANYCOMPATIBLE: Oid = Oid(5077);
pub(super) const ANYCOMPATIBLEARRAY: Oid = Oid(5078);
pub(super) const ANYCOMPATIBLENONARRAY: Oid = Oid(5079);
pub(super) const ANYCOMPATIBLERANGE: Oid = Oid(5080);

/// Categories of `typcategory`.
pub(super) const CATEGORY_STRING: u8 = b'S';
const CATEGORY_UNKNOWN: u8 = b'X';

/// Types below are of the catalog's initial data, where there are no domains.
const FIRST_NOT_ASSIGNED_BY_HAND: u32 = 10_000;

/// Domains over domains over domains; more than anyone has, and an end for a catalog that lies.
const DOMAIN_DEPTH_MAX: usize = 64;

/// The type below all domains.
pub(super) fn base(catalog: &Catalog, mut oid: Oid) -> Oid {
    for _ in 0..DOMAIN_DEPTH_MAX {
        if oid.0 < FIRST_NOT_ASSIGNED_BY_HAND {
            return oid;
        }
        let Some(TypeKind::Domain { base, .. }) = catalog.type_of(oid).map(|found| &found.kind) else {
            return oid;
        };
        oid = *base;
    }
    oid
}

/// The category, and whether the type is the preferred one in it.
pub(super) fn category(catalog: &Catalog, oid: Oid) -> (u8, bool) {
    catalog.type_of(oid).map_or((CATEGORY_UNKNOWN, false), |found| {
        (found.category, found.is_preferred)
    })
}

/// The element type of a true array.
pub(super) fn element(catalog: &Catalog, oid: Oid) -> Option<Oid> {
    let found = catalog.type_of(oid)?;
    (found.kind == TypeKind::Array).then_some(found.element)
}

/// The array type over a type.
pub(super) fn array(catalog: &Catalog, oid: Oid) -> Option<Oid> {
    let array = catalog.type_of(oid)?.array;
    (!array.is_none()).then_some(array)
}

/// Whether it is a row type or a domain over one.
pub(super) fn is_composite(catalog: &Catalog, oid: Oid) -> bool {
    // The few row types below are those of catalogs that hold their own description.
    let found = catalog.type_of(base(catalog, oid));
    found.is_some_and(|found| matches!(found.kind, TypeKind::Composite(_)))
}

pub(super) fn is_enum(catalog: &Catalog, oid: Oid) -> bool {
    catalog
        .type_of(oid)
        .is_some_and(|found| found.kind == TypeKind::Enum)
}

/// The type of a range's bounds.
pub(super) fn range_subtype(catalog: &Catalog, oid: Oid) -> Option<Oid> {
    match catalog.type_of(oid)?.kind {
        TypeKind::Range { subtype } => Some(subtype),
        _ => None,
    }
}

/// The range type of a multirange.
pub(super) fn multirange_range(catalog: &Catalog, oid: Oid) -> Option<Oid> {
    match catalog.type_of(oid)?.kind {
        TypeKind::Multirange { range } => Some(range),
        _ => None,
    }
}

/// Pseudo types that stand for the type of an argument.
pub(super) fn is_polymorphic(oid: Oid) -> bool {
    matches!(
        oid,
        ANYELEMENT
            | ANYARRAY
            | ANYNONARRAY
            | ANYENUM
            | ANYRANGE
            | ANYMULTIRANGE
            | ANYCOMPATIBLE
            | ANYCOMPATIBLEARRAY
            | ANYCOMPATIBLENONARRAY
            | ANYCOMPATIBLERANGE
            | ANYCOMPATIBLEMULTIRANGE
    )
}
