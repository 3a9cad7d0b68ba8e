//! Expressions: their type and lineage, what they run, and which of their constants are neutral.
//!
//! Every kind of node has a method of its own: a level of nesting costs the stack of what it needs, not that of all.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AArrayExpr, AConst, AIndices, AIndirection, BoolExpr, BooleanTest, CaseExpr, CaseWhen, CoalesceExpr,
    CollateClause, ColumnRef, GroupingFunc, GroupingSet, List, MinMaxExpr, MultiAssignRef, NamedArgExpr,
    Node, NullTest, ResTarget, RowExpr, SortBy, SqlValueFunction, SqlValueFunctionOp, SubLink, SubLinkType,
    TypeCast, WindowDef, a_const,
};

use super::scope::Hit;
use super::types::{
    BIT, BOOL, DATE, INT4, INT8, NAME, NUMERIC, RECORD, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ, is_plain,
};
use super::value::{Column, Given, Row, Value};
use super::walk::{Walker, parts, string};
use crate::sql::catalog::{CastContext, Oid, TypeKind};
use crate::sql::effect::FilterKind;
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Resolution, Ty};

impl Walker<'_> {
    /// The value of an expression.
    pub(super) fn value(&mut self, node: &Node) -> Value {
        if !self.spend(1) {
            return Value::unknown();
        }
        match &node.node {
            Some(kind) => {
                if let Some(value) = self.expression(kind) {
                    return value;
                }
                self.kind(kind);
                Value::unknown()
            }
            None => {
                self.unknown("node");
                Value::unknown()
            }
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
            NodeEnum::SetToDefault(_) => Value::constant(Ty::Literal),
            NodeEnum::CurrentOfExpr(_) => Value::constant(Ty::Known(BOOL)),
            NodeEnum::AStar(_) => Value::unknown(),
            NodeEnum::String(_)
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
                self.optional_value(arg.as_deref())
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
        for from in types {
            self.coerces(from, ty, CastContext::Implicit);
        }
        Value {
            lineage: if converted { lineage.derived() } else { lineage },
            is_single,
            ..Value::constant(ty)
        }
    }

    fn column_ref(&mut self, column: &ColumnRef) -> Value {
        let ColumnRef { fields, location: _ } = column;
        match &fields[..] {
            [only] => match string(only) {
                Some(name) => self.lone_column(name),
                None => Value::unknown(),
            },
            [qualifiers @ .., last] if matches!(last.node, Some(NodeEnum::AStar(_))) => {
                // A whole row: `count(t.*)`, `ROW(t.*)`.
                match parts(qualifiers).as_deref() {
                    Some([name]) => self.whole_row(None, name),
                    Some([.., schema, name]) => self.whole_row(Some(schema), name),
                    _ => None,
                }
                .unwrap_or_else(Value::unknown)
            }
            _ => match parts(fields).as_deref() {
                Some([item, name]) => self.qualified_column(None, item, name),
                Some([.., schema, item, name]) => self.qualified_column(Some(schema), item, name),
                _ => Value::unknown(),
            },
        }
    }

    fn lone_column(&mut self, name: &str) -> Value {
        if let Some(Hit::Column { level, slot }) = self.find_column(name) {
            return self.column_value(level, slot);
        }
        if let Some(value) = self.argument(name) {
            return value;
        }
        if let Some(value) = self.whole_row(None, name) {
            return value;
        }
        // A system column of the only relation that has such.
        for level in (0..self.levels.len()).rev() {
            let names = self.levels[level].names.clone();
            for item in names {
                let relation = self.levels[level].item(item).map(|item| item.relation);
                if let Some(relation) = relation.filter(|relation| !relation.is_none())
                    && let Some(column) = super::relation::system_column(relation, name)
                {
                    return Value::column(&column);
                }
            }
        }
        Value::unknown()
    }

    fn argument(&self, name: &str) -> Option<Value> {
        self.arguments.as_ref()?.named.get(name).cloned()
    }

    fn whole_row(&mut self, schema: Option<&str>, name: &str) -> Option<Value> {
        match self.find_item(schema, name)? {
            Hit::Item { level, item } => Some(self.item_value(level, item)),
            Hit::Column { .. } => None,
        }
    }

    fn qualified_column(&mut self, schema: Option<&str>, item: &str, name: &str) -> Value {
        if let Some(Hit::Item { level, item }) = self.find_item(schema, item) {
            if let Some(value) = self.item_column(level, item, name) {
                return value;
            }
            let row = self.item_value(level, item);
            return self.attribute_call(row, name);
        }
        if let Some(arguments) = self.arguments.clone()
            && schema.is_none()
        {
            if *arguments.function == *item
                && let Some(value) = arguments.named.get(name)
            {
                return value.clone();
            }
            // A field of a composite variable.
            if let Some(value) = arguments.named.get(item) {
                return self.field(value.clone(), name);
            }
        }
        Value::unknown()
    }

    /// `row.name` where the row has no such column: a function of that name.
    fn attribute_call(&mut self, row: Value, name: &str) -> Value {
        match self.resolver.attribute_function(row.ty, name) {
            Resolution::One { oid, result } => {
                let lineage = self.applies(oid, std::slice::from_ref(&row));
                Value {
                    lineage,
                    is_single: false,
                    ..Value::constant(result)
                }
            }
            Resolution::Cast { to } => self.cast_value(row, Ty::Known(to)),
            Resolution::Several { candidates, result } => {
                for oid in candidates {
                    self.applies(oid, std::slice::from_ref(&row));
                }
                Value {
                    ty: result,
                    ..Value::unknown()
                }
            }
            Resolution::Missing => Value::unknown(),
        }
    }

    fn cast(&mut self, cast: &TypeCast) -> Value {
        let TypeCast {
            arg,
            type_name,
            location: _,
        } = cast;
        let value = self.optional_value(arg.as_deref());
        match type_name {
            Some(name) => {
                let ty = self.type_name(name);
                let keeps = name.typmods.is_empty() && names_text(ty);
                let value = self.cast_value(value, ty);
                let mut value = if keeps { value } else { value.computed_from() };
                if !name.typmods.is_empty() {
                    // It may be cut.
                    value.lineage = value.lineage.derived();
                }
                value
            }
            None => {
                self.unknown("cast");
                value
            }
        }
    }

    /// A value that is cast explicitly.
    pub(super) fn cast_value(&mut self, value: Value, ty: Ty) -> Value {
        self.coerces(value.ty, ty, CastContext::Explicit);
        let keeps = self.keeps_text(value.ty, ty);
        let row = value.row.clone().filter(|_| keeps);
        Value {
            ty,
            lineage: if keeps {
                value.lineage
            } else {
                value.lineage.derived()
            },
            row,
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

    /// The functions that run where a value becomes one of another type.
    pub(super) fn coerces(&mut self, from: Ty, to: Ty, context: CastContext) {
        let Ty::Known(target) = to else { return };
        match from {
            Ty::Known(source) if source == target => {}
            Ty::Literal | Ty::Parameter if target.is_built_in() => {}
            Ty::Known(source)
                if source.is_built_in()
                    && target.is_built_in()
                    && self.world.catalog.casts.get(&(source, target)).is_none() => {}
            _ => self.converts(&from, target, context),
        }
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
                Some(value) => value,
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
            self.uses_type_of(value.ty);
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
        self.computed(ty, &values)
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

    fn indirection(&mut self, indirection: &AIndirection) -> Value {
        let AIndirection { arg, indirection } = indirection;
        let value = self.optional_value(arg.as_deref());
        self.indirect(value, indirection)
    }

    /// Fields and subscripts of a value.
    pub(super) fn indirect(&mut self, mut value: Value, path: &[Node]) -> Value {
        for step in path {
            value = match &step.node {
                Some(NodeEnum::String(name)) => self.field(value, &name.sval),
                Some(NodeEnum::AStar(_)) => value,
                Some(kind @ NodeEnum::AIndices(indices)) => {
                    let lineage = self.subscript(kind);
                    let ty = if indices.is_slice {
                        value.ty
                    } else {
                        self.subscripted(value.ty)
                    };
                    Value {
                        ty,
                        row: None,
                        lineage: self.merge(value.lineage, &lineage).derived(),
                        given: Given::Computed,
                        ..value
                    }
                }
                _ => {
                    self.unknown("indirection");
                    Value::unknown()
                }
            };
        }
        value
    }

    fn subscripted(&mut self, ty: Ty) -> Ty {
        let Ty::Known(oid) = ty else { return Ty::Uncertain };
        self.uses(oid);
        match self.resolver.element_type(oid) {
            Some(element) => Ty::Known(element),
            // `jsonb` gives `jsonb`; old fixed arrays (`point`, `name`) their element.
            None => match self.world.catalog.type_of(oid) {
                Some(found) if !found.element.is_none() => Ty::Known(found.element),
                _ => ty,
            },
        }
    }

    /// A subscript or slice; gives what chooses the element.
    fn subscript(&mut self, kind: &NodeEnum) -> Lineage {
        let NodeEnum::AIndices(indices) = kind else {
            return Lineage::Unknown;
        };
        let AIndices {
            is_slice: _,
            lidx,
            uidx,
        } = &**indices;
        let mut lineage = Lineage::constant();
        for node in [lidx, uidx].into_iter().flatten() {
            let value = self.value(node);
            self.decides(FilterKind::Other, &value);
            lineage = self.merge(lineage, &value.lineage);
        }
        lineage
    }

    /// Subscripts in the target of an assignment.
    pub(super) fn subscripts(&mut self, path: &[Node]) {
        for step in path {
            match &step.node {
                Some(NodeEnum::String(_) | NodeEnum::AStar(_)) => {}
                Some(kind) => {
                    self.subscript(kind);
                }
                None => self.unknown("indirection"),
            }
        }
    }

    /// A field of a composite value.
    fn field(&mut self, value: Value, name: &str) -> Value {
        let Some(row) = self.row_of(&value) else {
            return if matches!(value.ty, Ty::Known(RECORD)) {
                Value {
                    ty: Ty::Uncertain,
                    lineage: value.lineage.derived(),
                    ..Value::unknown()
                }
            } else {
                self.attribute_call(value, name)
            };
        };
        match row.iter().find(|column| *column.name == *name) {
            Some(column) => Value::column(column),
            None => self.attribute_call(value, name),
        }
    }

    /// The columns of a composite value. What is not known of them one by one comes from the whole.
    pub(super) fn row_of(&mut self, value: &Value) -> Option<Row> {
        if let Some(row) = &value.row {
            return Some(Rc::clone(row));
        }
        let Ty::Known(oid) = value.ty else { return None };
        if oid.is_built_in() {
            return None;
        }
        let relation = self.resolver.row_relation(oid)?;
        let relation = self.world.catalog.relation(relation)?;
        self.spend(relation.columns.len());
        let lineage = value.lineage.clone().derived();
        let columns = relation.columns.iter().map(|column| Column {
            name: (*column.name).into(),
            ty: Ty::Known(column.type_oid),
            lineage: lineage.clone(),
            row: None,
        });
        Some(columns.collect())
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

/// Whether a text that is cast to this type stays what it is: `text`, `varchar`, `oid` and what names an object.
fn names_text(ty: Ty) -> bool {
    matches!(ty, Ty::Known(oid) if matches!(oid.0, 24..=26 | 1043 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191))
}

/// The value of a constant.
fn const_value(constant: &AConst) -> Value {
    let AConst {
        isnull,
        location: _,
        val,
    } = constant;
    match val {
        Some(a_const::Val::Ival(number)) if !isnull => Value::text(Ty::Known(INT4), &number.ival.to_string()),
        Some(a_const::Val::Fval(number)) if !isnull => {
            let ty = if number.fval.parse::<i64>().is_ok() {
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

fn sql_value(function: &SqlValueFunction) -> Value {
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
