//! Operators: which one is meant, what it runs, and which constants beside it are neutral.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, ColumnRef, Node};

use super::types::{BOOL, TEXT};
use super::value::Value;
use super::walk::{Walker, named, parts, string};
use crate::sql::catalog::{CastContext, Oid};
use crate::sql::effect::{FilterKind, Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Resolution, Ty};
use crate::sql::statement::Cause;

/// What an operator was found to be.
struct Operation {
    value: Value,
    /// It is built in, whatever the types turn out to be.
    is_built_in: bool,
}

/// What is known of an operator whose function runs.
struct Ran {
    is_built_in: bool,
    /// What it gives comes from its operands and from nowhere else.
    only_computes: bool,
}

impl Walker<'_> {
    /// An operator by its written name.
    pub(super) fn operate(&mut self, names: &[Node], left: Option<&Value>, right: Option<&Value>) -> Value {
        self.operator_application(names, left, right).value
    }

    fn operator_application(
        &mut self,
        names: &[Node],
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Operation {
        match parts(names).as_deref() {
            Some([name]) => self.apply_operator(None, name, left, right),
            Some([schema, name]) => self.apply_operator(Some(schema), name, left, right),
            Some([database, schema, name]) if *database == &*self.world.catalog.database => {
                self.apply_operator(Some(schema), name, left, right)
            }
            _ => {
                self.opaque(Cause::Operator, named(ObjectKind::Operator, names));
                Operation {
                    value: Value::unknown(),
                    is_built_in: false,
                }
            }
        }
    }

    /// An operator whose operands are not known.
    pub(super) fn operator(&mut self, names: &[Node]) {
        let operand = Value::unknown();
        self.operate(names, Some(&operand), Some(&operand));
    }

    /// An operator by its name alone.
    pub(super) fn operate_named(
        &mut self,
        schema: Option<&str>,
        name: &str,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Value {
        self.apply_operator(schema, name, left, right).value
    }

    fn apply_operator(
        &mut self,
        schema: Option<&str>,
        name: &str,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Operation {
        let (left_type, right_type) = (left.map(|value| value.ty), right.map(|value| value.ty));
        let values: smallvec::SmallVec<[Value; 2]> = [left, right].into_iter().flatten().cloned().collect();
        let mut is_built_in = !self.resolver.is_touched(name);
        let mut varies = false;
        let mut only_computes = true;
        let ty = match self.resolver.operators(schema, name, left_type, right_type) {
            Resolution::One { oid, result } => {
                let operator = self.world.catalog.operator(oid);
                varies = operator.is_some_and(|operator| self.stays_a_call(operator.function))
                    && Value::vary(&values);
                let ran = self.runs_operator(oid, &values);
                is_built_in &= ran.is_built_in;
                only_computes &= ran.only_computes;
                if !oid.is_built_in() || values.iter().any(|value| !is_of_server(value.ty)) {
                    let (left, right) = self.resolver.operand_types(oid, left_type, right_type);
                    for (from, to) in [(left_type, left), (right_type, right)] {
                        if let (Some(from), Some(to)) = (from, to) {
                            only_computes &= !self.coerces(from, to, CastContext::Implicit);
                        }
                    }
                }
                result
            }
            Resolution::Several { candidates, result } => {
                if candidates.is_empty() {
                    is_built_in = false;
                    let object = Object::in_schema(ObjectKind::Operator, schema.unwrap_or_default(), name);
                    self.opaque(Cause::Operator, object);
                }
                for oid in candidates {
                    let ran = self.runs_operator(oid, &values);
                    is_built_in &= ran.is_built_in;
                    only_computes &= ran.only_computes;
                }
                self.touched(Cause::Operator, ObjectKind::Operator, schema, name);
                result
            }
            Resolution::Cast { .. } | Resolution::Missing => {
                is_built_in = false;
                let object = Object::in_schema(ObjectKind::Operator, schema.unwrap_or_default(), name);
                self.opaque(Cause::Operator, object);
                Ty::Uncertain
            }
        };
        self.compared_values(name, ty, left, right);
        let mut value = self.computed(ty, &values);
        if !only_computes {
            value.lineage = Lineage::Unknown;
        }
        value.varies = varies;
        value.is_reported = ty == Ty::Known(BOOL) || ty == Ty::Uncertain;
        Operation { value, is_built_in }
    }

    /// The effects of an operator's function.
    fn runs_operator(&mut self, oid: Oid, values: &[Value]) -> Ran {
        let Some(operator) = self.world.catalog.operator(oid) else {
            self.opaque(
                Cause::Operator,
                Object::new(ObjectKind::Operator, oid.to_string()),
            );
            return Ran {
                is_built_in: false,
                only_computes: false,
            };
        };
        if operator.function.is_built_in() && oid.is_built_in() {
            // What a built-in operator does to values of types that are not: `record = record`, arrays.
            for value in values {
                self.uses_types_in(value);
            }
        }
        let function = self.world.catalog.function(operator.function);
        let known = function.and_then(|function| function.known);
        let only_computes = self.only_computes(operator.function, known, values);
        for &estimator in &operator.estimators {
            self.runs_function(estimator, &[]);
        }
        Ran {
            is_built_in: oid.is_built_in(),
            only_computes,
        }
    }

    pub(super) fn operation(&mut self, expression: &AExpr) -> Value {
        let AExpr {
            kind,
            name,
            lexpr,
            rexpr,
            rexpr_list_start: _,
            rexpr_list_end: _,
            location: _,
        } = expression;
        let (left, right) = (lexpr.as_deref(), rexpr.as_deref());
        match AExprKind::try_from(*kind) {
            Ok(AExprKind::AexprOp | AExprKind::AexprDistinct | AExprKind::AexprNotDistinct) => {
                self.plain_operation(name, left, right)
            }
            Ok(AExprKind::AexprIn) => self.in_list(name, left, right),
            Ok(AExprKind::AexprOpAny | AExprKind::AexprOpAll) => self.quantified(name, left, right),
            Ok(AExprKind::AexprNullif) => self.nullif(name, left, right),
            Ok(AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar) => {
                let left = self.optional_value(left);
                let right = self.optional_value(right);
                self.operate(name, Some(&left), Some(&right))
            }
            Ok(
                AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => self.between(left, right),
            Ok(AExprKind::Undefined) | Err(_) => {
                self.unknown("operation");
                Value::unknown()
            }
        }
    }

    fn plain_operation(&mut self, name: &[Node], left: Option<&Node>, right: Option<&Node>) -> Value {
        // Rows that are written out are compared column by column.
        if let (Some(left), Some(right)) = (left, right)
            && is_row(left)
            && is_row(right)
        {
            let (left, right) = (self.row_values(left), self.row_values(right));
            let mut results = Vec::with_capacity(left.len());
            for (left, right) in left.iter().zip(&right) {
                results.push(self.operate(name, Some(left), Some(right)));
            }
            return self.computed(Ty::Known(BOOL), &results);
        }
        let left_value = left.map(|node| self.value(node));
        let right_value = right.map(|node| self.value(node));
        let done = self.operator_application(name, left_value.as_ref(), right_value.as_ref());
        if done.is_built_in && is_comparison(name) {
            self.compared(left, right);
            self.compared(right, left);
        }
        done.value
    }

    fn in_list(&mut self, name: &[Node], left: Option<&Node>, right: Option<&Node>) -> Value {
        // NOT IN is written with `<>`.
        let items = if let Some(NodeEnum::List(list)) = right.and_then(|node| node.node.as_ref()) {
            &list.items[..]
        } else {
            self.unknown("IN");
            return Value::unknown();
        };
        let tested = left.map(|node| self.row_values(node)).unwrap_or_default();
        let is_row_list = tested.len() > 1;
        let mut results: Vec<Value> = Vec::new();
        let mut is_built_in = true;
        let mut kinds: Vec<(Ty, bool)> = Vec::new();
        for item in items {
            let mut values = if is_row_list {
                self.row_values(item)
            } else {
                vec![self.value(item)]
            };
            for value in &mut values {
                value.is_one_of_several = items.len() > 1;
            }
            for (left, right) in tested.iter().zip(&values) {
                // Constants of one type need not be asked for again and again.
                let seen = (right.ty, right.is_constant());
                if right.is_constant() && right.row.is_none() && kinds.contains(&seen) && tested.len() == 1 {
                    continue;
                }
                kinds.push(seen);
                let done = self.operator_application(name, Some(left), Some(right));
                is_built_in &= done.is_built_in;
                results.push(done.value);
            }
        }
        if is_built_in && is_comparison(name) {
            self.compared(right, left);
        }
        self.computed(Ty::Known(BOOL), &results)
    }

    fn quantified(&mut self, name: &[Node], left: Option<&Node>, right: Option<&Node>) -> Value {
        let left = self.optional_value(left);
        let array = self.optional_value(right);
        let element = match array.ty {
            Ty::Known(oid) => self.resolver.element_type(oid).map_or(Ty::Uncertain, Ty::Known),
            // A literal becomes an array of the other side's type.
            Ty::Literal | Ty::Parameter => array.ty,
            Ty::Uncertain => Ty::Uncertain,
        };
        let element = Value {
            ty: element,
            is_one_of_several: true,
            ..array
        };
        let value = self.operate(name, Some(&left), Some(&element));
        Value {
            ty: Ty::Known(BOOL),
            ..value
        }
    }

    fn nullif(&mut self, name: &[Node], left: Option<&Node>, right: Option<&Node>) -> Value {
        let left = self.optional_value(left);
        let right = self.optional_value(right);
        let compared = self.operate(name, Some(&left), Some(&right));
        self.filters(FilterKind::Case, &compared.lineage);
        let ty = match left.ty {
            Ty::Literal | Ty::Parameter => Ty::Known(TEXT),
            ty => ty,
        };
        Value {
            ty,
            given: super::value::Given::Computed,
            origin: None,
            ..left
        }
    }

    fn between(&mut self, left: Option<&Node>, right: Option<&Node>) -> Value {
        let bounds = match right.and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::List(list)) => &list.items[..],
            _ => &[],
        };
        let value = self.optional_value(left);
        let bound_values = self.value_list(bounds);
        let mut results = Vec::new();
        let mut is_built_in = true;
        for bound in &bound_values {
            for operator in [">=", "<="] {
                let done = self.apply_operator(None, operator, Some(&value), Some(bound));
                is_built_in &= done.is_built_in;
                results.push(done.value);
            }
        }
        if is_built_in {
            self.compared(right, left);
        }
        self.computed(Ty::Known(BOOL), &results)
    }

    /// Marks the constants on one side of a comparison if the other is a column or a parameter.
    fn compared(&mut self, side: Option<&Node>, other: Option<&Node>) {
        let (Some(side), Some(other)) = (side, other) else {
            return;
        };
        if self.in_definition || !self.is_column_or_parameter(other) {
            return;
        }
        match &side.node {
            Some(NodeEnum::List(list)) => list.items.iter().for_each(|item| self.neutral(item)),
            _ => self.neutral(side),
        }
    }

    fn is_column_or_parameter(&self, node: &Node) -> bool {
        match &node.node {
            Some(NodeEnum::ColumnRef(ColumnRef { fields, location: _ })) => {
                fields.iter().all(|field| string(field).is_some())
            }
            Some(NodeEnum::ParamRef(_)) => true,
            Some(NodeEnum::TypeCast(cast)) => {
                self.is_plain_cast(cast)
                    && cast
                        .arg
                        .as_deref()
                        .is_some_and(|arg| self.is_column_or_parameter(arg))
            }
            _ => false,
        }
    }
}

fn is_of_server(ty: Ty) -> bool {
    match ty {
        Ty::Known(oid) => oid.is_built_in(),
        Ty::Literal | Ty::Parameter | Ty::Uncertain => true,
    }
}

fn is_row(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::RowExpr(_)))
}

/// Whether an operator is a plain comparison, written without a schema.
fn is_comparison(names: &[Node]) -> bool {
    match names {
        [name] => matches!(string(name), Some("=" | "<>" | "<" | ">" | "<=" | ">=")),
        _ => false,
    }
}
