//! Expressions: their type and lineage, what they run, and which of their constants are neutral.
//!
//! Every kind of node has a method of its own: a level of nesting costs the stack of what it needs, not that of all.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AArrayExpr, BoolExpr, BooleanTest, CaseExpr, CaseWhen, CoalesceExpr, CollateClause, GroupingFunc,
    GroupingSet, List, MinMaxExpr, MultiAssignRef, NamedArgExpr, Node, NullTest, ResTarget, RowExpr, SortBy,
    SubLink, SubLinkType, TypeCast, TypeName, WindowDef,
};

use super::constant::{const_value, names_text, sql_value};
use super::types::{BOOL, INT4, RECORD, RECORD_ARRAY, TEXT};
use super::value::{Given, Row, Value};
use super::walk::Walker;
use crate::sql::catalog::{CastContext, Oid};
use crate::sql::effect::FilterKind;
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;

impl Walker<'_> {
    /// The value of an expression.
    pub(super) fn value(&mut self, node: &Node) -> Value {
        if !self.spend(1) {
            return Value::unknown();
        }
        if let Some(kind) = &node.node {
            if let Some(value) = self.expression(kind) {
                self.sees_type(value.ty);
                return value;
            }
            self.kind(kind);
            Value::unknown()
        } else {
            self.unknown("node");
            Value::unknown()
        }
    }

    /// The value of an expression that may be left out.
    pub(super) fn optional_value(&mut self, node: Option<&Node>) -> Value {
        match node {
            Some(node) => self.value(node),
            None => Value::constant(Ty::Literal),
        }
    }

    /// The values of a list of expressions.
    pub(super) fn value_list(&mut self, nodes: &[Node]) -> Vec<Value> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    /// Walks an expression; none if the node is none.
    pub(super) fn expression(&mut self, kind: &NodeEnum) -> Option<Value> {
        Some(match kind {
            NodeEnum::AConst(constant) => const_value(constant),
            NodeEnum::ParamRef(parameter) => self.parameter(parameter.number),
            NodeEnum::ColumnRef(column) => self.column_ref(column),
            NodeEnum::SqlvalueFunction(function) => sql_value(function),
            NodeEnum::CurrentOfExpr(_) => Value::constant(Ty::Known(BOOL)),
            NodeEnum::AStar(_) => Value::unknown(),
            NodeEnum::SetToDefault(_)
            | NodeEnum::String(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::BitString(_) => Value::constant(Ty::Literal),
            NodeEnum::MergeSupportFunc(_) => {
                self.form_since(17, "merge_action");
                Value::constant(Ty::Known(TEXT))
            }
            NodeEnum::AExpr(expression) => self.operation(expression),
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::TypeCast(cast) => self.cast(cast),
            NodeEnum::BoolExpr(boolean) => self.boolean(boolean),
            NodeEnum::SubLink(link) => self.sub_link(link),
            NodeEnum::CaseExpr(case) => self.case(case),
            NodeEnum::AIndirection(indirection) => self.indirection(indirection),
            NodeEnum::AArrayExpr(array) => self.array(array),
            NodeEnum::RowExpr(row) => self.row(row),
            NodeEnum::CoalesceExpr(coalesce) => self.coalesce(coalesce),
            NodeEnum::MinMaxExpr(extreme) => self.extreme(extreme),
            NodeEnum::NullTest(test) => {
                let NullTest {
                    xpr: _,
                    arg,
                    nulltesttype: _,
                    argisrow: _,
                    location: _,
                } = &**test;
                self.test(arg.as_deref())
            }
            NodeEnum::BooleanTest(test) => {
                let BooleanTest {
                    xpr: _,
                    arg,
                    booltesttype: _,
                    location: _,
                } = &**test;
                self.test(arg.as_deref())
            }
            NodeEnum::CollateClause(collate) => {
                let CollateClause {
                    arg,
                    collname: _,
                    location: _,
                } = &**collate;
                self.optional_value(arg.as_deref()).of_no_origin()
            }
            NodeEnum::NamedArgExpr(named) => {
                let NamedArgExpr {
                    xpr: _,
                    arg,
                    name: _,
                    argnumber: _,
                    location: _,
                } = &**named;
                self.optional_value(arg.as_deref())
            }
            NodeEnum::MultiAssignRef(assignment) => {
                let MultiAssignRef {
                    source,
                    colno: _,
                    ncolumns: _,
                } = &**assignment;
                self.optional_value(source.as_deref())
            }
            NodeEnum::GroupingFunc(grouping) => {
                let GroupingFunc {
                    xpr: _,
                    args,
                    refs: _,
                    agglevelsup: _,
                    location: _,
                } = &**grouping;
                self.nodes(args);
                Value {
                    is_single: false,
                    ..Value::constant(Ty::Known(INT4))
                }
            }
            NodeEnum::GroupingSet(set) => {
                let GroupingSet {
                    kind: _,
                    content,
                    location: _,
                } = set;
                self.nodes(content);
                Value::unknown()
            }
            NodeEnum::ResTarget(target) => {
                let ResTarget {
                    name: _,
                    indirection,
                    val,
                    location: _,
                } = &**target;
                self.subscripts(indirection);
                self.optional_value(val.as_deref())
            }
            NodeEnum::SortBy(sort) => {
                let SortBy {
                    node,
                    sortby_dir: _,
                    sortby_nulls: _,
                    use_op,
                    location: _,
                } = &**sort;
                let value = self.optional_value(node.as_deref());
                self.sorts_by(&value, use_op, FilterKind::Order);
                value
            }
            NodeEnum::WindowDef(window) => {
                self.window(window);
                Value::unknown()
            }
            NodeEnum::AIndices(_) => {
                self.subscript(kind);
                Value::unknown()
            }
            NodeEnum::CaseWhen(when) => {
                let CaseWhen {
                    xpr: _,
                    expr,
                    result,
                    location: _,
                } = &**when;
                self.optional(expr.as_deref());
                self.optional_value(result.as_deref())
            }
            NodeEnum::List(list) => {
                let List { items } = list;
                let values = self.value_list(items);
                self.computed(Ty::Known(RECORD), &values)
            }
            other => return self.document(other),
        })
    }

    /// A value computed from others.
    pub(super) fn computed(&mut self, ty: Ty, values: &[Value]) -> Value {
        let mut lineage = Lineage::constant();
        let mut is_single = true;
        let mut is_reported = true;
        for value in values {
            lineage = self.merge(lineage, &value.lineage);
            is_single &= value.is_single;
            is_reported &= value.is_reported || value.is_constant();
        }
        Value {
            lineage: lineage.derived(),
            is_single,
            is_reported,
            ..Value::constant(ty)
        }
    }

    /// One of several values.
    fn one_of(&mut self, values: &[Value]) -> Value {
        let mut types: Vec<Ty> = Vec::new();
        for value in values {
            if !types.contains(&value.ty) {
                types.push(value.ty);
            }
        }
        let ty = self.resolver.common_type(&types);
        let mut lineage = Lineage::constant();
        let mut is_single = true;
        let mut converted = false;
        for value in values {
            lineage = self.merge(lineage, &value.lineage);
            is_single &= value.is_single;
            converted |= !self.keeps_text(value.ty, ty);
        }
        let guesses = values.iter().filter(|value| value.given != Given::Null);
        lineage = self.together(lineage, guesses.map(|value| &value.lineage));
        for from in types {
            if self.coerces(from, ty, CastContext::Implicit) {
                lineage = Lineage::Unknown;
            }
        }
        Value {
            lineage: if converted { lineage.derived() } else { lineage },
            is_single,
            ..Value::constant(ty)
        }
    }

    fn cast(&mut self, cast: &TypeCast) -> Value {
        let TypeCast {
            arg,
            type_name,
            location: _,
        } = cast;
        let Some(name) = type_name else {
            self.unknown("cast");
            return self.optional_value(arg.as_deref());
        };
        // The elements of an array that is written out are cast, not the array.
        if let Some(NodeEnum::AArrayExpr(array)) = arg.as_deref().and_then(|node| node.node.as_ref()) {
            return self.cast_array(array, name);
        }
        let value = self.optional_value(arg.as_deref());
        let ty = self.type_name(name);
        let keeps = name.typmods.is_empty() && names_text(value.ty, ty);
        let value = self.cast_value(value, ty);
        let mut value = if keeps { value } else { value.computed_from() };
        let is_own = !matches!(ty, Ty::Known(oid) if oid.is_built_in());
        if is_own && matches!(value.given, Given::Parameter(_)) {
            // Whose type it is may say tomorrow what becomes of the same value.
            value.given = Given::Computed;
        }
        if !name.typmods.is_empty() {
            // It may be cut.
            value.lineage = value.lineage.derived();
        }
        value
    }

    fn cast_array(&mut self, array: &AArrayExpr, name: &TypeName) -> Value {
        let ty = self.type_name(name);
        let value = match ty {
            Ty::Known(oid) => match self.resolver.element_type(oid) {
                Some(element) => self.array_as(array, oid, Ty::Known(element)),
                None => self.array(array),
            },
            _ => self.array(array),
        };
        self.cast_value(value, ty).computed_from()
    }

    /// An array whose elements are cast to a type.
    fn array_as(&mut self, array: &AArrayExpr, ty: Oid, element: Ty) -> Value {
        let base = self.resolver.base_type(ty);
        let mut values = Vec::with_capacity(array.elements.len());
        for node in &array.elements {
            values.push(match &node.node {
                Some(NodeEnum::AArrayExpr(inner)) if self.spend(1) => self.array_as(inner, ty, element),
                _ => {
                    let value = self.value(node);
                    // An array of arrays is of the same type.
                    let is_array =
                        matches!(value.ty, Ty::Known(oid) if self.resolver.element_type(oid).is_some());
                    self.cast_value(value, if is_array { Ty::Known(base) } else { element })
                }
            });
        }
        self.computed(Ty::Known(base), &values)
    }

    /// A value that is cast explicitly.
    pub(super) fn cast_value(&mut self, value: Value, ty: Ty) -> Value {
        let reads = self.coerces_value(&value, ty, CastContext::Explicit);
        let keeps = self.keeps_text(value.ty, ty) && !reads;
        let row = value.row.clone().filter(|_| keeps);
        Value {
            ty,
            lineage: if keeps {
                value.lineage
            } else if reads {
                Lineage::Unknown
            } else {
                value.lineage.derived()
            },
            row,
            varies: value.varies && self.is_cast_of_server(value.ty, ty),
            origin: value.origin.filter(|_| value.ty == ty),
            ..value
        }
    }

    /// Whether a value is sent with the same bytes as either type.
    pub(super) fn keeps_text(&self, from: Ty, to: Ty) -> bool {
        match (from, to) {
            (Ty::Literal | Ty::Parameter, _) => true,
            (Ty::Known(left), Ty::Known(right)) if left == right => true,
            (Ty::Known(_), Ty::Known(right)) if right.is_built_in() => {
                // A conversion without a function, of types that are texts.
                let base = |ty| match ty {
                    Ty::Known(oid) => self.resolver.base_type(oid),
                    _ => Oid::NONE,
                };
                let is_text = |oid: Oid| matches!(oid.0, 25 | 1042 | 1043);
                is_text(base(from)) && is_text(right) && right.0 != 1042 && base(from).0 != 1042
            }
            _ => false,
        }
    }

    /// The functions that run where a value becomes one of another type; gives whether they read, so that the value is
    /// not what it was.
    pub(super) fn coerces(&mut self, from: Ty, to: Ty, context: CastContext) -> bool {
        let Ty::Known(target) = to else { return false };
        match from {
            Ty::Known(source) if source == target => false,
            Ty::Literal | Ty::Parameter if target.is_built_in() => false,
            Ty::Known(source)
                if source.is_built_in() && target.is_built_in() && !self.has_cast(source, target) =>
            {
                false
            }
            _ => self.converts(from, target, context),
        }
    }

    /// The same for a value: the columns of a row that is known are converted one by one.
    pub(super) fn coerces_value(&mut self, value: &Value, to: Ty, context: CastContext) -> bool {
        if let (Ty::Known(RECORD), Some(row), Ty::Known(target)) = (value.ty, &value.row, to)
            && let Some(relation) = self.resolver.row_relation(target)
            && let Some(relation) = self.world.catalog.relation(relation)
        {
            let mut reads = false;
            for (column, declared) in row.iter().zip(&relation.columns) {
                let value = Value::column(column);
                reads |= self.coerces_value(&value, Ty::Known(declared.type_oid), context);
            }
            self.uses(target);
            return reads;
        }
        self.coerces(value.ty, to, context)
    }

    /// Whether a cast runs nothing but code of the server.
    fn is_cast_of_server(&self, from: Ty, to: Ty) -> bool {
        match (from, to) {
            (Ty::Known(source), Ty::Known(target)) => {
                source.is_built_in() && target.is_built_in() && !self.has_cast(source, target)
            }
            _ => false,
        }
    }

    /// Whether a user made a cast between types of the server, or their elements.
    fn has_cast(&self, source: Oid, target: Oid) -> bool {
        let casts = &self.world.catalog.casts;
        let is_cast = |source: Oid, target: Oid| casts.contains_key(&(source, target));
        if casts.is_empty() {
            return false;
        }
        let (base, base_target) = (self.resolver.base_type(source), self.resolver.base_type(target));
        let elements = (
            self.resolver.element_type(source),
            self.resolver.element_type(target),
        );
        is_cast(source, target)
            || is_cast(base, base_target)
            || matches!(elements, (Some(source), Some(target)) if is_cast(source, target))
    }

    fn boolean(&mut self, boolean: &BoolExpr) -> Value {
        let BoolExpr {
            xpr: _,
            boolop: _,
            args,
            location: _,
        } = boolean;
        let values = self.value_list(args);
        // Each is a condition of its own.
        for value in &values {
            self.decides(FilterKind::Other, value);
        }
        Value {
            is_reported: true,
            ..self.computed(Ty::Known(BOOL), &values)
        }
    }

    /// IS NULL, IS TRUE and their like.
    fn test(&mut self, arg: Option<&Node>) -> Value {
        let value = self.optional_value(arg);
        self.decides(FilterKind::Other, &value);
        let value = self.computed(Ty::Known(BOOL), &[value]);
        Value {
            is_reported: true,
            ..value
        }
    }

    fn sub_link(&mut self, link: &SubLink) -> Value {
        let SubLink {
            xpr: _,
            sub_link_type,
            sub_link_id: _,
            testexpr,
            oper_name,
            subselect,
            location: _,
        } = link;
        let tested = testexpr.as_deref().map(|node| self.row_values(node));
        let columns = self.query(subselect.as_deref());
        let values: Vec<Value> = columns.iter().map(Value::column).collect();
        let is_open = super::select::has_unknown_columns(&columns);
        let plain = |ty| Value {
            is_single: false,
            ..Value::constant(ty)
        };
        match SubLinkType::try_from(*sub_link_type) {
            Ok(SubLinkType::ExistsSublink) => plain(Ty::Known(BOOL)),
            Ok(SubLinkType::AllSublink | SubLinkType::AnySublink) => {
                let mut results = Vec::new();
                for (left, right) in tested.unwrap_or_default().iter().zip(&values) {
                    results.push(if oper_name.is_empty() {
                        self.compare("=", left, right)
                    } else {
                        self.operate(oper_name, Some(left), Some(right))
                    });
                }
                Value {
                    is_single: false,
                    ..self.computed(Ty::Known(BOOL), &results)
                }
            }
            Ok(SubLinkType::ExprSublink) if !is_open => match values.into_iter().next() {
                Some(value) => Value {
                    is_one_of_several: true,
                    ..value.of_no_origin()
                },
                None => Value::unknown(),
            },
            Ok(SubLinkType::ArraySublink) if !is_open => match values.into_iter().next() {
                Some(value) => {
                    let ty = self.array_of(value.ty);
                    let value = self.computed(ty, &[value]);
                    Value {
                        is_single: false,
                        ..value
                    }
                }
                None => Value::unknown(),
            },
            Ok(SubLinkType::ExprSublink | SubLinkType::ArraySublink) => Value::unknown(),
            _ => {
                self.unknown("sub-query");
                Value::unknown()
            }
        }
    }

    fn array_of(&self, element: Ty) -> Ty {
        match element {
            Ty::Known(oid) => self.resolver.array_type(oid).map_or(Ty::Uncertain, Ty::Known),
            Ty::Literal | Ty::Parameter => self.resolver.array_type(TEXT).map_or(Ty::Uncertain, Ty::Known),
            Ty::Uncertain => Ty::Uncertain,
        }
    }

    /// The values of a row that is written out, or the one value.
    pub(super) fn row_values(&mut self, node: &Node) -> Vec<Value> {
        match &node.node {
            Some(NodeEnum::RowExpr(row)) => self.value_list(&row.args),
            _ => vec![self.value(node)],
        }
    }

    fn case(&mut self, case: &CaseExpr) -> Value {
        let CaseExpr {
            xpr: _,
            casetype: _,
            casecollid: _,
            arg,
            args,
            defresult,
            location: _,
        } = case;
        let tested = arg.as_deref().map(|node| self.value(node));
        let mut results = Vec::with_capacity(args.len() + 1);
        for node in args {
            let Some(NodeEnum::CaseWhen(when)) = &node.node else {
                self.unknown("WHEN");
                continue;
            };
            let CaseWhen {
                xpr: _,
                expr,
                result,
                location: _,
            } = &**when;
            let mut condition = self.optional_value(expr.as_deref());
            if let Some(tested) = &tested {
                condition = self.compare("=", tested, &condition);
            }
            self.filters(FilterKind::Case, &condition.lineage);
            results.push(self.optional_value(result.as_deref()));
        }
        match defresult {
            Some(node) => results.push(self.value(node)),
            None => results.push(Value {
                given: Given::Null,
                ..Value::constant(Ty::Literal)
            }),
        }
        self.one_of(&results)
    }

    fn coalesce(&mut self, coalesce: &CoalesceExpr) -> Value {
        let CoalesceExpr {
            xpr: _,
            coalescetype: _,
            coalescecollid: _,
            args,
            location: _,
        } = coalesce;
        let values = self.value_list(args);
        // The last one decides nothing.
        if let Some((_, conditions)) = values.split_last() {
            for value in conditions {
                self.filters(FilterKind::Case, &value.lineage);
            }
        }
        self.one_of(&values)
    }

    fn extreme(&mut self, extreme: &MinMaxExpr) -> Value {
        let MinMaxExpr {
            xpr: _,
            minmaxtype: _,
            minmaxcollid: _,
            inputcollid: _,
            op: _,
            args,
            location: _,
        } = extreme;
        let values = self.value_list(args);
        for value in &values {
            self.filters(FilterKind::Range, &value.lineage);
            self.uses_types_in(value);
        }
        self.one_of(&values)
    }

    fn array(&mut self, array: &AArrayExpr) -> Value {
        let AArrayExpr {
            elements,
            list_start: _,
            list_end: _,
            location: _,
        } = array;
        let values = self.value_list(elements);
        let one = self.one_of(&values);
        // An array of arrays is of the same type.
        let ty = match one.ty {
            Ty::Known(oid) if self.resolver.element_type(oid).is_some() => one.ty,
            element => self.array_of(element),
        };
        let value = self.computed(ty, &values);
        Value {
            // Whoever unnests it has its elements in one place.
            lineage: self.together(value.lineage, values.iter().map(|value| &value.lineage)),
            row: rows_together(&values).filter(|_| ty == Ty::Known(RECORD_ARRAY)),
            ..value
        }
    }

    fn row(&mut self, row: &RowExpr) -> Value {
        let RowExpr {
            xpr: _,
            args,
            row_typeid: _,
            row_format: _,
            colnames: _,
            location: _,
        } = row;
        let values = self.value_list(args);
        let value = self.computed(Ty::Known(RECORD), &values);
        let columns = values.into_iter().enumerate();
        let columns = columns.map(|(index, value)| value.named(format!("f{}", index + 1).into()));
        Value {
            row: Some(columns.collect()),
            ..value
        }
    }

    pub(super) fn window(&mut self, window: &WindowDef) {
        let WindowDef {
            name: _,
            refname: _,
            partition_clause,
            order_clause,
            frame_options: _,
            start_offset,
            end_offset,
            location: _,
        } = window;
        for node in partition_clause {
            let value = self.value(node);
            self.sorts_by(&value, &[], FilterKind::Group);
        }
        self.nodes(order_clause);
        for node in [start_offset, end_offset].into_iter().flatten() {
            let value = self.value(node);
            self.filters(FilterKind::Limit, &value.lineage);
        }
    }
}

/// What rows of an array consist of, for their types.
fn rows_together(values: &[Value]) -> Option<Row> {
    let rows: Option<Vec<&Row>> = values.iter().map(|value| value.row.as_ref()).collect();
    Some(rows?.into_iter().flat_map(|row| row.iter().cloned()).collect())
}
