//! Expressions: what they call, compare and convert, and which of their constants are neutral.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AArrayExpr, AConst, AExpr, AExprKind, AIndices, AIndirection, BoolExpr, BooleanTest, CaseExpr, CaseWhen,
    CoalesceExpr, CollateClause, ColumnRef, GroupingFunc, GroupingSet, JsonAggConstructor, JsonArgument,
    JsonArrayAgg, JsonArrayConstructor, JsonArrayQueryConstructor, JsonBehavior, JsonFuncExpr,
    JsonIsPredicate, JsonKeyValue, JsonObjectAgg, JsonObjectConstructor, JsonOutput, JsonParseExpr,
    JsonScalarExpr, JsonSerializeExpr, JsonTablePathSpec, JsonValueExpr, List, MinMaxExpr, MultiAssignRef,
    NamedArgExpr, Node, NullTest, ResTarget, RowExpr, SortBy, SubLink, TypeCast, WindowDef, XmlExpr,
    XmlSerialize,
};

use super::walk::{Walker, string};
use crate::sql::builtin;

impl Walker<'_> {
    /// Walks an expression; false if the node is none.
    pub(super) fn expression(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::AConst(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::ColumnRef(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::CurrentOfExpr(_)
            | NodeEnum::AStar(_)
            | NodeEnum::String(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::BitString(_) => {}
            NodeEnum::MergeSupportFunc(_) => self.form_since(17, "merge_action"),
            NodeEnum::AExpr(expression) => self.operation(expression),
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::TypeCast(cast) => {
                let TypeCast {
                    arg,
                    type_name,
                    location: _,
                } = &**cast;
                self.optional(arg.as_deref());
                match type_name {
                    Some(name) => self.type_name(name),
                    None => self.unknown("cast"),
                }
            }
            NodeEnum::BoolExpr(boolean) => {
                let BoolExpr {
                    xpr: _,
                    boolop: _,
                    args,
                    location: _,
                } = &**boolean;
                self.nodes(args);
            }
            NodeEnum::SubLink(link) => {
                let SubLink {
                    xpr: _,
                    sub_link_type: _,
                    sub_link_id: _,
                    testexpr,
                    oper_name,
                    subselect,
                    location: _,
                } = &**link;
                self.optional(testexpr.as_deref());
                if !oper_name.is_empty() {
                    self.operator(oper_name);
                }
                self.optional(subselect.as_deref());
            }
            NodeEnum::CaseExpr(case) => {
                let CaseExpr {
                    xpr: _,
                    casetype: _,
                    casecollid: _,
                    arg,
                    args,
                    defresult,
                    location: _,
                } = &**case;
                self.optional(arg.as_deref());
                self.nodes(args);
                self.optional(defresult.as_deref());
            }
            NodeEnum::CaseWhen(when) => {
                let CaseWhen {
                    xpr: _,
                    expr,
                    result,
                    location: _,
                } = &**when;
                self.optional(expr.as_deref());
                self.optional(result.as_deref());
            }
            NodeEnum::AIndirection(indirection) => {
                let AIndirection { arg, indirection } = &**indirection;
                self.optional(arg.as_deref());
                self.nodes(indirection);
            }
            NodeEnum::AIndices(indices) => {
                let AIndices {
                    is_slice: _,
                    lidx,
                    uidx,
                } = &**indices;
                self.optional(lidx.as_deref());
                self.optional(uidx.as_deref());
            }
            NodeEnum::AArrayExpr(array) => {
                let AArrayExpr {
                    elements,
                    list_start: _,
                    list_end: _,
                    location: _,
                } = array;
                self.nodes(elements);
            }
            NodeEnum::RowExpr(row) => {
                let RowExpr {
                    xpr: _,
                    args,
                    row_typeid: _,
                    row_format: _,
                    colnames: _,
                    location: _,
                } = &**row;
                self.nodes(args);
            }
            NodeEnum::CoalesceExpr(coalesce) => {
                let CoalesceExpr {
                    xpr: _,
                    coalescetype: _,
                    coalescecollid: _,
                    args,
                    location: _,
                } = &**coalesce;
                self.nodes(args);
            }
            NodeEnum::MinMaxExpr(extreme) => {
                let MinMaxExpr {
                    xpr: _,
                    minmaxtype: _,
                    minmaxcollid: _,
                    inputcollid: _,
                    op: _,
                    args,
                    location: _,
                } = &**extreme;
                self.nodes(args);
            }
            NodeEnum::NullTest(test) => {
                let NullTest {
                    xpr: _,
                    arg,
                    nulltesttype: _,
                    argisrow: _,
                    location: _,
                } = &**test;
                self.optional(arg.as_deref());
            }
            NodeEnum::BooleanTest(test) => {
                let BooleanTest {
                    xpr: _,
                    arg,
                    booltesttype: _,
                    location: _,
                } = &**test;
                self.optional(arg.as_deref());
            }
            NodeEnum::CollateClause(collate) => {
                let CollateClause {
                    arg,
                    collname: _,
                    location: _,
                } = &**collate;
                self.optional(arg.as_deref());
            }
            NodeEnum::NamedArgExpr(named) => {
                let NamedArgExpr {
                    xpr: _,
                    arg,
                    name: _,
                    argnumber: _,
                    location: _,
                } = &**named;
                self.optional(arg.as_deref());
            }
            NodeEnum::MultiAssignRef(assignment) => {
                let MultiAssignRef {
                    source,
                    colno: _,
                    ncolumns: _,
                } = &**assignment;
                self.optional(source.as_deref());
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
            }
            NodeEnum::GroupingSet(set) => {
                let GroupingSet {
                    kind: _,
                    content,
                    location: _,
                } = set;
                self.nodes(content);
            }
            NodeEnum::ResTarget(target) => {
                let ResTarget {
                    name: _,
                    indirection,
                    val,
                    location: _,
                } = &**target;
                self.nodes(indirection);
                self.optional(val.as_deref());
            }
            NodeEnum::SortBy(sort) => {
                let SortBy {
                    node,
                    sortby_dir: _,
                    sortby_nulls: _,
                    use_op,
                    location: _,
                } = &**sort;
                self.optional(node.as_deref());
                if !use_op.is_empty() {
                    self.operator(use_op);
                }
            }
            NodeEnum::WindowDef(window) => self.window(window),
            NodeEnum::List(list) => {
                let List { items } = list;
                self.nodes(items);
            }
            NodeEnum::XmlExpr(xml) => {
                let XmlExpr {
                    xpr: _,
                    op: _,
                    name: _,
                    named_args,
                    arg_names,
                    args,
                    xmloption: _,
                    indent: _,
                    r#type: _,
                    typmod: _,
                    location: _,
                } = &**xml;
                self.nodes(named_args);
                self.nodes(arg_names);
                self.nodes_with_gaps(args);
            }
            NodeEnum::XmlSerialize(xml) => {
                let XmlSerialize {
                    xmloption: _,
                    expr,
                    type_name,
                    indent: _,
                    location: _,
                } = &**xml;
                self.optional(expr.as_deref());
                if let Some(name) = type_name {
                    self.type_name(name);
                }
            }
            other => return self.json(other),
        }
        true
    }

    fn json(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value)),
            NodeEnum::JsonOutput(output) => self.json_output(Some(output)),
            NodeEnum::JsonBehavior(behavior) => self.json_behavior(Some(behavior)),
            NodeEnum::JsonArgument(argument) => {
                let JsonArgument { val, name: _ } = &**argument;
                self.json_value(val.as_deref());
            }
            NodeEnum::JsonKeyValue(pair) => self.json_pair(Some(pair)),
            NodeEnum::JsonIsPredicate(test) => {
                let JsonIsPredicate {
                    expr,
                    format: _,
                    item_type: _,
                    unique_keys: _,
                    location: _,
                } = &**test;
                self.optional(expr.as_deref());
            }
            NodeEnum::JsonFuncExpr(call) => {
                // JSON_VALUE, JSON_QUERY or JSON_EXISTS.
                self.form_since(17, "json_value");
                let JsonFuncExpr {
                    op: _,
                    column_name: _,
                    context_item,
                    pathspec,
                    passing,
                    output,
                    on_empty,
                    on_error,
                    wrapper: _,
                    quotes: _,
                    location: _,
                } = &**call;
                self.json_value(context_item.as_deref());
                self.optional(pathspec.as_deref());
                self.nodes(passing);
                self.json_output(output.as_ref());
                self.json_behavior(on_empty.as_deref());
                self.json_behavior(on_error.as_deref());
            }
            NodeEnum::JsonTablePathSpec(path) => self.json_path(Some(path)),
            NodeEnum::JsonParseExpr(parse) => {
                self.form_since(17, "json");
                let JsonParseExpr {
                    expr,
                    output,
                    unique_keys: _,
                    location: _,
                } = &**parse;
                self.json_value(expr.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonScalarExpr(scalar) => {
                self.form_since(17, "json_scalar");
                let JsonScalarExpr {
                    expr,
                    output,
                    location: _,
                } = &**scalar;
                self.optional(expr.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonSerializeExpr(serialize) => {
                self.form_since(17, "json_serialize");
                let JsonSerializeExpr {
                    expr,
                    output,
                    location: _,
                } = &**serialize;
                self.json_value(expr.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonObjectConstructor(object) => {
                let JsonObjectConstructor {
                    exprs,
                    output,
                    absent_on_null: _,
                    unique: _,
                    location: _,
                } = object;
                if exprs.is_empty() {
                    self.form_since(16, "json_object");
                }
                self.nodes(exprs);
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonArrayConstructor(array) => {
                self.form_since(16, "json_array");
                let JsonArrayConstructor {
                    exprs,
                    output,
                    absent_on_null: _,
                    location: _,
                } = array;
                self.nodes(exprs);
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonArrayQueryConstructor(array) => {
                let JsonArrayQueryConstructor {
                    query,
                    output,
                    format: _,
                    absent_on_null: _,
                    location: _,
                } = &**array;
                self.optional(query.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonObjectAgg(aggregate) => {
                let JsonObjectAgg {
                    constructor,
                    arg,
                    absent_on_null: _,
                    unique: _,
                } = &**aggregate;
                self.json_aggregate(constructor.as_deref());
                self.json_pair(arg.as_deref());
            }
            NodeEnum::JsonArrayAgg(aggregate) => {
                self.form_since(16, "json_arrayagg");
                let JsonArrayAgg {
                    constructor,
                    arg,
                    absent_on_null: _,
                } = &**aggregate;
                self.json_aggregate(constructor.as_deref());
                self.json_value(arg.as_deref());
            }
            _ => return false,
        }
        true
    }

    pub(super) fn json_value(&mut self, value: Option<&JsonValueExpr>) {
        if let Some(JsonValueExpr {
            raw_expr,
            formatted_expr,
            format: _,
        }) = value
        {
            self.optional(raw_expr.as_deref());
            self.optional(formatted_expr.as_deref());
        }
    }

    pub(super) fn json_output(&mut self, output: Option<&JsonOutput>) {
        if let Some(JsonOutput {
            type_name: Some(name),
            returning: _,
        }) = output
        {
            self.type_name(name);
        }
    }

    pub(super) fn json_behavior(&mut self, behavior: Option<&JsonBehavior>) {
        if let Some(JsonBehavior {
            btype: _,
            expr,
            coerce: _,
            location: _,
        }) = behavior
        {
            self.optional(expr.as_deref());
        }
    }

    pub(super) fn json_path(&mut self, path: Option<&JsonTablePathSpec>) {
        if let Some(JsonTablePathSpec {
            string,
            name: _,
            name_location: _,
            location: _,
        }) = path
        {
            self.optional(string.as_deref());
        }
    }

    fn json_pair(&mut self, pair: Option<&JsonKeyValue>) {
        if let Some(JsonKeyValue { key, value }) = pair {
            self.optional(key.as_deref());
            self.json_value(value.as_deref());
        }
    }

    fn json_aggregate(&mut self, constructor: Option<&JsonAggConstructor>) {
        if let Some(JsonAggConstructor {
            output,
            agg_filter,
            agg_order,
            over,
            location: _,
        }) = constructor
        {
            self.json_output(output.as_ref());
            self.optional(agg_filter.as_deref());
            self.nodes(agg_order);
            if let Some(window) = over {
                self.window(window);
            }
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
        self.nodes(partition_clause);
        self.nodes(order_clause);
        self.optional(start_offset.as_deref());
        self.optional(end_offset.as_deref());
    }

    fn operation(&mut self, expression: &AExpr) {
        let AExpr {
            kind,
            name,
            lexpr,
            rexpr,
            rexpr_list_start: _,
            rexpr_list_end: _,
            location: _,
        } = expression;
        self.optional(lexpr.as_deref());
        self.optional(rexpr.as_deref());
        let comparison = match AExprKind::try_from(*kind) {
            Ok(
                AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => true,
            Ok(
                AExprKind::AexprOp
                | AExprKind::AexprDistinct
                | AExprKind::AexprNotDistinct
                | AExprKind::AexprIn
                | AExprKind::AexprOpAny
                | AExprKind::AexprOpAll
                | AExprKind::AexprNullif
                | AExprKind::AexprLike
                | AExprKind::AexprIlike
                | AExprKind::AexprSimilar,
            ) => {
                self.operator(name);
                let plain = matches!(
                    AExprKind::try_from(*kind),
                    Ok(AExprKind::AexprOp
                        | AExprKind::AexprDistinct
                        | AExprKind::AexprNotDistinct
                        | AExprKind::AexprIn)
                );
                plain && matches!(&name[..], [name] if string(name).is_some_and(builtin::is_comparison))
            }
            Ok(AExprKind::Undefined) | Err(_) => {
                self.unknown("operation");
                false
            }
        };
        if comparison && !self.in_definition {
            self.compared(lexpr.as_deref(), rexpr.as_deref());
            self.compared(rexpr.as_deref(), lexpr.as_deref());
        }
    }

    /// Marks the constants on one side of a comparison if the other is a column or a parameter.
    fn compared(&mut self, side: Option<&Node>, other: Option<&Node>) {
        let (Some(side), Some(other)) = (side, other) else {
            return;
        };
        if !is_column_or_parameter(other) {
            return;
        }
        match &side.node {
            Some(NodeEnum::List(list)) => list.items.iter().for_each(|item| self.neutral(item)),
            _ => self.neutral(side),
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
                let harmless = cast.type_name.as_ref().is_some_and(builtin::is_plain_type);
                if let (true, Some(arg)) = (harmless, &cast.arg) {
                    self.neutral(arg);
                }
            }
            _ => {}
        }
    }
}

fn is_column_or_parameter(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(ColumnRef { fields, location: _ })) => {
            fields.iter().all(|f| string(f).is_some())
        }
        Some(NodeEnum::ParamRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => {
            cast.type_name.as_ref().is_some_and(builtin::is_plain_type)
                && cast.arg.as_deref().is_some_and(is_column_or_parameter)
        }
        _ => false,
    }
}
