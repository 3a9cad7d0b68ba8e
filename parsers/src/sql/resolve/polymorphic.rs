//! Pseudo types that stand for the types of the arguments: `anyelement` and its like.

use smallvec::SmallVec;

use super::super::catalog::{Catalog, Oid};
use super::match_types::Source;
use super::{Ty, Types, common, types};

/// What the pseudo types of one call stand for; none if the arguments do not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Generics {
    element: Oid,
    array: Oid,
    range: Oid,
    multirange: Oid,
    compatible: Oid,
    compatible_range: Oid,
    compatible_multirange: Oid,
    /// A polymorphic argument's type is not known, so that nothing is.
    is_uncertain: bool,
}

/// Constraints on what is found.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    non_array: bool,
    an_enum: bool,
    compatible_non_array: bool,
}

impl Generics {
    /// Matches arguments with what is declared; none if they contradict each other.
    pub(super) fn bind(catalog: &Catalog, sources: &[Source], declared: &[Oid]) -> Option<Self> {
        let mut this = Self::default();
        let mut wanted = Wanted::default();
        let mut compatible: Types = SmallVec::new();
        for (source, &declared) in sources.iter().zip(declared) {
            wanted.non_array |= declared == types::ANYNONARRAY;
            wanted.an_enum |= declared == types::ANYENUM;
            wanted.compatible_non_array |= declared == types::ANYCOMPATIBLENONARRAY;
            if !types::is_polymorphic(declared) || source.is_unknown() {
                continue;
            }
            if source.is_uncertain() {
                this.is_uncertain = true;
                continue;
            }
            let (oid, base) = (source.oid, source.base);
            match declared {
                types::ANYARRAY => agree(&mut this.array, base)?,
                types::ANYRANGE => agree(&mut this.range, base)?,
                types::ANYMULTIRANGE => agree(&mut this.multirange, base)?,
                types::ANYCOMPATIBLE | types::ANYCOMPATIBLENONARRAY => compatible.push(oid),
                types::ANYCOMPATIBLEARRAY => compatible.push(source.element()?),
                types::ANYCOMPATIBLERANGE => agree(&mut this.compatible_range, base)?,
                types::ANYCOMPATIBLEMULTIRANGE => agree(&mut this.compatible_multirange, base)?,
                _ => agree(&mut this.element, oid)?,
            }
        }
        this.complete(catalog)?;
        this.complete_compatible(catalog, compatible)?;
        this.satisfies(catalog, wanted).then_some(this)
    }

    /// Derives the element type from the array, range and multirange, which must agree.
    fn complete(&mut self, catalog: &Catalog) -> Option<()> {
        // Columns of `pg_statistic` are of type `anyarray` themselves; their element is `anyelement`.
        if self.array == types::ANYARRAY {
            agree(&mut self.element, types::ANYELEMENT)?;
        } else if !self.array.is_none() {
            agree(&mut self.element, types::element(catalog, self.array)?)?;
        }
        if !self.multirange.is_none() {
            agree(
                &mut self.range,
                types::multirange_range(catalog, self.multirange)?,
            )?;
        }
        if !self.range.is_none() {
            agree(&mut self.element, types::range_subtype(catalog, self.range)?)?;
        }
        Some(())
    }

    /// Finds the common type of the `anycompatible` family; a range's bounds must be of exactly that type.
    fn complete_compatible(&mut self, catalog: &Catalog, mut compatible: Types) -> Option<()> {
        if !self.compatible_multirange.is_none() {
            let range = types::multirange_range(catalog, self.compatible_multirange)?;
            agree(&mut self.compatible_range, range)?;
        }
        let mut bounds = Oid::NONE;
        if !self.compatible_range.is_none() {
            bounds = types::range_subtype(catalog, self.compatible_range)?;
            compatible.push(bounds);
        }
        if compatible.is_empty() || self.is_uncertain {
            return Some(());
        }
        self.compatible = common::common_of(catalog, &compatible)?;
        let is_agreed = bounds.is_none() || bounds == self.compatible;
        is_agreed.then_some(())
    }

    fn satisfies(&self, catalog: &Catalog, wanted: Wanted) -> bool {
        let is_array = |oid| types::element(catalog, types::base(catalog, oid)).is_some();
        let breaks_non_array = wanted.non_array && is_array(self.element);
        let breaks_enum = wanted.an_enum && !self.is_uncertain && !types::is_enum(catalog, self.element);
        let breaks_compatible = wanted.compatible_non_array && is_array(self.compatible);
        !(breaks_non_array || breaks_enum || breaks_compatible)
    }

    /// What a declared type stands for.
    pub(super) fn resolve(&self, catalog: &Catalog, declared: Oid) -> Ty {
        if !types::is_polymorphic(declared) {
            return Ty::Known(declared);
        }
        if self.is_uncertain {
            return Ty::Uncertain;
        }
        let known = |found: Option<Oid>| {
            found
                .filter(|oid| !oid.is_none())
                .map_or(Ty::Uncertain, Ty::Known)
        };
        let first = |found: Oid, otherwise: &dyn Fn() -> Option<Oid>| {
            if found.is_none() { otherwise() } else { Some(found) }
        };
        let array_of = |element| types::array(catalog, element);
        known(match declared {
            types::ANYARRAY => first(self.array, &|| array_of(self.element)),
            types::ANYRANGE => Some(self.range),
            types::ANYMULTIRANGE => first(self.multirange, &|| catalog.multirange_over(self.range)),
            types::ANYCOMPATIBLE | types::ANYCOMPATIBLENONARRAY => Some(self.compatible_or_text()),
            types::ANYCOMPATIBLEARRAY => match self.compatible_or_text() {
                types::TEXT => Some(types::TEXT_ARRAY),
                element => array_of(element),
            },
            types::ANYCOMPATIBLERANGE => Some(self.compatible_range),
            types::ANYCOMPATIBLEMULTIRANGE => first(self.compatible_multirange, &|| {
                catalog.multirange_over(self.compatible_range)
            }),
            _ => Some(self.element),
        })
    }

    /// If all arguments of the family are literals, it is `text`.
    fn compatible_or_text(&self) -> Oid {
        if self.compatible.is_none() {
            types::TEXT
        } else {
            self.compatible
        }
    }
}

/// Notes a type; none if another one stands there.
fn agree(noted: &mut Oid, found: Oid) -> Option<()> {
    if noted.is_none() {
        *noted = found;
    }
    (*noted == found).then_some(())
}
