//! Types as statements name them.

use pg_query::protobuf::TypeName;

use super::value::{Column, Row, Value};
use super::walk::{Walker, named, parts};
use crate::sql::catalog::Oid;
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::resolve::{Named, Ty};
use crate::sql::statement::Cause;

pub(super) const BOOL: Oid = Oid(16);
pub(super) const NAME: Oid = Oid(19);
pub(super) const INT8: Oid = Oid(20);
pub(super) const INT4: Oid = Oid(23);
pub(super) const TEXT: Oid = Oid(25);
pub(super) const JSON: Oid = Oid(114);
pub(super) const XML: Oid = Oid(142);
pub(super) const UNKNOWN: Oid = Oid(705);
pub(super) const DATE: Oid = Oid(1082);
pub(super) const TIME: Oid = Oid(1083);
pub(super) const TIMESTAMP: Oid = Oid(1114);
pub(super) const TIMESTAMPTZ: Oid = Oid(1184);
pub(super) const TIMETZ: Oid = Oid(1266);
pub(super) const BIT: Oid = Oid(1560);
pub(super) const NUMERIC: Oid = Oid(1700);
pub(super) const RECORD: Oid = Oid(2249);
pub(super) const RECORD_ARRAY: Oid = Oid(2287);
pub(super) const JSONB: Oid = Oid(3802);

/// What `reg` types name is looked up by the server; the same for code, cursors and documents.
const NOT_PLAIN: &[Oid] = &[
    Oid(24),
    XML,
    Oid(1790),
    Oid(2202),
    Oid(2203),
    Oid(2204),
    Oid(2205),
    Oid(2206),
    RECORD,
    Oid(3734),
    Oid(3769),
    Oid(4089),
    Oid(4096),
    Oid(4191),
];

/// Whether a value of this type stands for nothing but itself: not a name that the server looks up, and no code.
pub(super) fn is_plain(ty: Ty) -> bool {
    matches!(ty, Ty::Known(oid) if oid.is_built_in() && !NOT_PLAIN.contains(&oid))
}

impl Walker<'_> {
    /// A type that an expression uses: its input, output and domain checks run.
    pub(super) fn type_name(&mut self, name: &TypeName) -> Ty {
        let ty = self.type_named(name);
        if let Ty::Known(oid) = ty {
            self.uses(oid);
        }
        ty
    }

    /// What the name of a type means; one that nobody knows is opaque.
    pub(super) fn type_named(&mut self, name: &TypeName) -> Ty {
        let TypeName {
            names,
            type_oid: _,
            setof: _,
            pct_type,
            typmods,
            typemod: _,
            array_bounds,
            location: _,
        } = name;
        // Modifiers are constants, which the type's own function reads.
        self.nodes(typmods);
        let object = || named(ObjectKind::Type, names);
        if *pct_type {
            self.opaque(Cause::Type, object());
            return Ty::Uncertain;
        }
        let (schema, own) = match parts(names).as_deref() {
            Some([own]) => (None, *own),
            Some([schema, own]) => (Some(*schema), *own),
            Some([database, schema, own]) if *database == &*self.world.catalog.database => {
                (Some(*schema), *own)
            }
            _ => {
                self.opaque(Cause::Type, object());
                return Ty::Uncertain;
            }
        };
        match self.resolver.type_name(schema, own) {
            Named::One(oid) if array_bounds.is_empty() => Ty::Known(oid),
            Named::One(oid) => self.resolver.array_type(oid).map_or(Ty::Uncertain, Ty::Known),
            Named::Several(candidates) => {
                for &oid in &candidates {
                    self.uses(oid);
                }
                if candidates.is_empty() || self.resolver.is_touched(own) {
                    self.opaque(Cause::Type, object());
                }
                Ty::Uncertain
            }
            Named::Missing => {
                self.opaque(Cause::Type, object());
                Ty::Uncertain
            }
        }
    }

    /// [`Self::uses_type`] for types that are not built in.
    pub(super) fn uses(&mut self, oid: Oid) {
        if !oid.is_built_in() {
            self.uses_type(oid);
        }
    }

    /// A value's type is compared, sorted, hashed or printed: the functions of a type that is not built in run.
    pub(super) fn uses_type_of(&mut self, ty: Ty) {
        if let Ty::Known(oid) = ty {
            self.uses(oid);
        }
    }

    /// The same for a value, which may be a row of others.
    pub(super) fn uses_types_in(&mut self, value: &Value) {
        self.uses_types_below(value.ty, value.row.as_ref());
    }

    /// The same for a column.
    pub(super) fn uses_types_of_column(&mut self, column: &Column) {
        self.uses_types_below(column.ty, column.row.as_ref());
    }

    fn uses_types_below(&mut self, ty: Ty, row: Option<&Row>) {
        match (ty, row) {
            (Ty::Known(oid), _) if !oid.is_built_in() => self.uses(oid),
            (_, Some(row)) => {
                for column in row.iter() {
                    if self.spend(1) {
                        self.uses_types_below(column.ty, column.row.as_ref());
                    }
                }
            }
            (Ty::Known(RECORD | RECORD_ARRAY), None) => self.uses_any_type(),
            _ => {}
        }
    }

    /// The types that Parse declares for parameters: their input functions run at Bind.
    pub(super) fn uses_parameter_types(&mut self) {
        let world = self.world;
        for &oid in &*world.parameter_types {
            self.uses(oid);
        }
    }

    /// The parameter of a number.
    pub(super) fn parameter_type(&self, number: i32) -> Ty {
        let types = self
            .parameter_types
            .as_deref()
            .unwrap_or(&self.world.parameter_types);
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        match index.and_then(|index| types.get(index)) {
            None | Some(&(Oid::NONE | UNKNOWN)) => Ty::Parameter,
            Some(&oid) => Ty::Known(oid),
        }
    }

    /// A function, operator or the like of that name may have been made by the session just now.
    pub(super) fn touched(&mut self, cause: Cause, kind: ObjectKind, schema: Option<&str>, name: &str) {
        if self.resolver.is_touched(name) {
            self.opaque(cause, Object::in_schema(kind, schema.unwrap_or_default(), name));
        }
    }
}
