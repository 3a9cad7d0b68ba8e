//! The names that the server gives to result columns, and constants as they are written.

use pg_query::NodeEnum;
use pg_query::protobuf::{MinMaxOp, Node, SqlValueFunctionOp, SubLinkType, XmlExprOp, a_const};

use super::walk::string;

/// The name of a column that the statement does not name; none is `?column?`.
pub(super) fn of(node: &Node) -> Option<&str> {
    strong(node).map(|(name, _)| name)
}

/// A name, and whether it is better than that of a type.
fn strong(node: &Node) -> Option<(&str, bool)> {
    let last = |names: &[Node]| -> Option<usize> { names.iter().rposition(|name| string(name).is_some()) };
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => {
            let at = last(&column.fields)?;
            column.fields.get(at).and_then(string).map(|name| (name, true))
        }
        NodeEnum::AIndirection(indirection) => {
            let named = last(&indirection.indirection).and_then(|at| indirection.indirection.get(at));
            match named.and_then(string) {
                Some(name) => Some((name, true)),
                None => strong(indirection.arg.as_deref()?),
            }
        }
        NodeEnum::FuncCall(call) => call.funcname.last().and_then(string).map(|name| (name, true)),
        NodeEnum::AExpr(expression)
            if expression.kind == pg_query::protobuf::AExprKind::AexprNullif as i32 =>
        {
            Some(("nullif", true))
        }
        NodeEnum::TypeCast(cast) => {
            let inner = cast.arg.as_deref().and_then(strong);
            if let Some((name, true)) = inner {
                return Some((name, true));
            }
            let name = cast.type_name.as_ref()?.names.last().and_then(string);
            name.map(|name| (name, false))
        }
        NodeEnum::CollateClause(collate) => strong(collate.arg.as_deref()?),
        NodeEnum::GroupingFunc(_) => Some(("grouping", true)),
        NodeEnum::MergeSupportFunc(_) => Some(("merge_action", true)),
        NodeEnum::SubLink(link) => match SubLinkType::try_from(link.sub_link_type) {
            Ok(SubLinkType::ExistsSublink) => Some(("exists", true)),
            Ok(SubLinkType::ArraySublink) => Some(("array", true)),
            Ok(SubLinkType::ExprSublink) => match &link.subselect.as_deref()?.node {
                Some(NodeEnum::SelectStmt(select)) => match &select.target_list.first()?.node {
                    Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => {
                        Some((&target.name, true))
                    }
                    Some(NodeEnum::ResTarget(target)) => {
                        strong(target.val.as_deref()?).map(|(name, _)| (name, true))
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        NodeEnum::CaseExpr(case) => match case.defresult.as_deref().and_then(strong) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case", false)),
        },
        NodeEnum::AArrayExpr(_) => Some(("array", true)),
        NodeEnum::RowExpr(_) => Some(("row", true)),
        NodeEnum::CoalesceExpr(_) => Some(("coalesce", true)),
        NodeEnum::MinMaxExpr(extreme) => match MinMaxOp::try_from(extreme.op) {
            Ok(MinMaxOp::IsGreatest) => Some(("greatest", true)),
            _ => Some(("least", true)),
        },
        NodeEnum::SqlvalueFunction(function) => sql_value(function.op).map(|name| (name, true)),
        NodeEnum::XmlExpr(xml) => xml_name(xml.op).map(|name| (name, true)),
        NodeEnum::XmlSerialize(_) => Some(("xmlserialize", true)),
        NodeEnum::JsonParseExpr(_) => Some(("json", true)),
        NodeEnum::JsonScalarExpr(_) => Some(("json_scalar", true)),
        NodeEnum::JsonSerializeExpr(_) => Some(("json_serialize", true)),
        NodeEnum::JsonObjectConstructor(_) => Some(("json_object", true)),
        NodeEnum::JsonArrayConstructor(_) | NodeEnum::JsonArrayQueryConstructor(_) => {
            Some(("json_array", true))
        }
        NodeEnum::JsonObjectAgg(_) => Some(("json_objectagg", true)),
        NodeEnum::JsonArrayAgg(_) => Some(("json_arrayagg", true)),
        NodeEnum::JsonFuncExpr(call) => {
            use pg_query::protobuf::JsonExprOp;
            match JsonExprOp::try_from(call.op) {
                Ok(JsonExprOp::JsonExistsOp) => Some(("json_exists", true)),
                Ok(JsonExprOp::JsonQueryOp) => Some(("json_query", true)),
                Ok(JsonExprOp::JsonValueOp) => Some(("json_value", true)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn sql_value(op: i32) -> Option<&'static str> {
    use SqlValueFunctionOp as Op;
    Some(match Op::try_from(op).ok()? {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => return None,
    })
}

fn xml_name(op: i32) -> Option<&'static str> {
    Some(match XmlExprOp::try_from(op).ok()? {
        XmlExprOp::IsXmlconcat => "xmlconcat",
        XmlExprOp::IsXmlelement => "xmlelement",
        XmlExprOp::IsXmlforest => "xmlforest",
        XmlExprOp::IsXmlparse => "xmlparse",
        XmlExprOp::IsXmlpi => "xmlpi",
        XmlExprOp::IsXmlroot => "xmlroot",
        XmlExprOp::IsXmlserialize => "xmlserialize",
        // IS DOCUMENT.
        _ => return None,
    })
}

/// A whole number that is written as such: in ORDER BY and GROUP BY it is a place.
pub(super) fn whole_number(node: &Node) -> Option<i32> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) if !constant.isnull => match &constant.val {
            Some(a_const::Val::Ival(number)) => Some(number.ival),
            _ => None,
        },
        _ => None,
    }
}
