//! Constants: their values and types, and which of them are neutral.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Node, SqlValueFunction, SqlValueFunctionOp, TypeCast, a_const};

use super::types::{
    BIT, BOOL, DATE, INT4, INT8, NAME, NUMERIC, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ, is_plain,
};
use super::value::{Given, Value};
use super::walk::{Walker, parts};
use crate::sql::catalog::{Oid, TypeKind};
use crate::sql::resolve::Ty;

impl Walker<'_> {
    /// Marks a constant whose place makes it neutral.
    pub(super) fn neutral(&mut self, node: &Node) {
        if self.in_definition {
            return;
        }
        match &node.node {
            Some(NodeEnum::AConst(AConst {
                isnull: false,
                location,
                val: Some(_),
            })) => {
                self.neutral_at.push(*location);
            }
            Some(NodeEnum::TypeCast(cast)) => {
                let is_harmless = self.is_plain_cast(cast);
                if let (true, Some(arg)) = (is_harmless, &cast.arg) {
                    self.neutral(arg);
                }
            }
            _ => {}
        }
    }

    /// Whether a value is cast to a type whose values stand for nothing but themselves.
    pub(super) fn is_plain_cast(&self, cast: &TypeCast) -> bool {
        let Some(name) = &cast.type_name else { return false };
        let named = match parts(&name.names).as_deref() {
            Some([own]) => self.resolver.type_name(None, own),
            Some([schema, own]) => self.resolver.type_name(Some(schema), own),
            _ => return false,
        };
        matches!(named, crate::sql::resolve::Named::One(oid) if is_plain(Ty::Known(oid)) && self.is_plain_type(oid))
    }

    /// A base type of the server, or such as it counts as one.
    fn is_plain_type(&self, oid: Oid) -> bool {
        let found = self.world.catalog.type_of(oid);
        found.is_some_and(|found| !matches!(found.kind, TypeKind::Domain { .. } | TypeKind::Composite(_)))
    }
}

/// Whether a text that is cast from one type to another is still what the statement gives: text that becomes text, or
/// the name of an object. What an object's name is printed as is another text.
pub(super) fn names_text(from: Ty, to: Ty) -> bool {
    let is_text = match from {
        Ty::Literal | Ty::Parameter => true,
        Ty::Known(oid) => matches!(oid.0, 25 | 1043) || from == to,
        Ty::Uncertain => false,
    };
    let keeps = |oid: Oid| matches!(oid.0, 24..=26 | 1043 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191);
    is_text && matches!(to, Ty::Known(oid) if keeps(oid))
}

/// The value of a constant.
pub(super) fn const_value(constant: &AConst) -> Value {
    let AConst {
        isnull,
        location: _,
        val,
    } = constant;
    match val {
        Some(a_const::Val::Ival(number)) if !isnull => Value::text(Ty::Known(INT4), &number.ival.to_string()),
        Some(a_const::Val::Fval(number)) if !isnull => {
            // The grammar folds a sign in front: -2147483648 is an int4.
            let ty = if number.fval.parse::<i32>().is_ok() {
                INT4
            } else if number.fval.parse::<i64>().is_ok() {
                INT8
            } else {
                NUMERIC
            };
            Value::text(Ty::Known(ty), &number.fval)
        }
        Some(a_const::Val::Boolval(boolean)) if !isnull => {
            Value::text(Ty::Known(BOOL), if boolean.boolval { "true" } else { "false" })
        }
        Some(a_const::Val::Sval(text)) if !isnull => Value::text(Ty::Literal, &text.sval),
        Some(a_const::Val::Bsval(bits)) if !isnull => Value::text(Ty::Known(BIT), &bits.bsval),
        // A zero may be left out.
        None if !isnull => Value::text(Ty::Known(INT4), "0"),
        _ => Value {
            given: Given::Null,
            ..Value::constant(Ty::Literal)
        },
    }
}

pub(super) fn sql_value(function: &SqlValueFunction) -> Value {
    use SqlValueFunctionOp as Op;
    let ty = match Op::try_from(function.op) {
        Ok(Op::SvfopCurrentDate) => DATE,
        Ok(Op::SvfopCurrentTime | Op::SvfopCurrentTimeN) => TIMETZ,
        Ok(Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN) => TIMESTAMPTZ,
        Ok(Op::SvfopLocaltime | Op::SvfopLocaltimeN) => TIME,
        Ok(Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN) => TIMESTAMP,
        _ => NAME,
    };
    Value::constant(Ty::Known(ty))
}
