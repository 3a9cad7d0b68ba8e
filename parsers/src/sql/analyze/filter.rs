//! Whether a WHERE can leave a row of the target out.
//!
//! Errs towards "filters nothing": a condition narrows only if it compares or tests something of the target row.
//! `WHERE true`, `1 = 1`, `id = id`, `id = 5 OR true`, `EXISTS (SELECT 1)` do not. What holds for all rows only because
//! of the data (`id > 0`, `name IS NOT NULL`) cannot be seen here and narrows; `LIKE '%'` does not, it is written for
//! just that.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, BoolExprType, Node, RangeVar, SubLinkType};

use super::walk::string;

/// Whether `condition` narrows the rows of `target`. With other relations beside it an unqualified column may be theirs;
/// it still counts, one that is qualified with another name does not.
pub(super) fn narrows(condition: &Node, target: Option<&RangeVar>, joined: bool) -> bool {
    let name = target.map_or("", |target| match &target.alias {
        Some(alias) => &alias.aliasname,
        None => &target.relname,
    });
    Filter { name, joined }.narrows(condition, 0)
}

struct Filter<'a> {
    /// What the target is called inside of the statement.
    name: &'a str,
    joined: bool,
}

impl Filter<'_> {
    fn narrows(&self, condition: &Node, negations: usize) -> bool {
        match &condition.node {
            Some(NodeEnum::BoolExpr(boolean)) => {
                let all = match BoolExprType::try_from(boolean.boolop) {
                    // Under a NOT the two change places.
                    Ok(BoolExprType::AndExpr) => negations % 2 == 1,
                    Ok(BoolExprType::OrExpr) => negations.is_multiple_of(2),
                    Ok(BoolExprType::NotExpr) => {
                        return boolean.args.iter().all(|arg| self.narrows(arg, negations + 1));
                    }
                    _ => return false,
                };
                if all {
                    boolean.args.iter().all(|arg| self.narrows(arg, negations))
                } else {
                    boolean.args.iter().any(|arg| self.narrows(arg, negations))
                }
            }
            Some(NodeEnum::AExpr(expression)) => {
                let (left, right) = (expression.lexpr.as_deref(), expression.rexpr.as_deref());
                if same_column(left, right) {
                    return false;
                }
                let like = matches!(
                    AExprKind::try_from(expression.kind),
                    Ok(AExprKind::AexprLike | AExprKind::AexprIlike)
                );
                if like
                    && right
                        .and_then(constant_text)
                        .is_some_and(|text| text.bytes().all(|byte| byte == b'%'))
                {
                    return false;
                }
                self.mentions_target(condition)
            }
            Some(NodeEnum::AConst(_)) | None => false,
            _ => self.mentions_target(condition),
        }
    }

    /// Whether a column of the target can stand below this node.
    fn mentions_target(&self, node: &Node) -> bool {
        match &node.node {
            Some(NodeEnum::ColumnRef(column)) => self.is_target_column(&column.fields),
            Some(NodeEnum::CurrentOfExpr(_)) => true,
            Some(NodeEnum::SubLink(link)) => {
                if link
                    .testexpr
                    .as_deref()
                    .is_some_and(|test| self.mentions_target(test))
                {
                    return true;
                }
                let scalar = matches!(
                    SubLinkType::try_from(link.sub_link_type),
                    Ok(SubLinkType::ExistsSublink | SubLinkType::ExprSublink | SubLinkType::ArraySublink)
                );
                // Inside, only a column that is qualified with the target's name is surely the target's.
                scalar
                    && link.subselect.as_deref().is_some_and(|select| {
                        Filter {
                            name: self.name,
                            joined: true,
                        }
                        .correlated(select)
                    })
            }
            _ => children(node)
                .into_iter()
                .any(|child| self.mentions_target(child)),
        }
    }

    fn is_target_column(&self, fields: &[Node]) -> bool {
        match fields {
            [_] => true,
            [table, _] | [_, table, _] => !self.joined || string(table) == Some(self.name),
            _ => false,
        }
    }

    /// Whether a sub-query's WHERE or join conditions name the target.
    fn correlated(&self, select: &Node) -> bool {
        let Some(NodeEnum::SelectStmt(select)) = &select.node else {
            return false;
        };
        let conditions = select
            .where_clause
            .as_deref()
            .into_iter()
            .chain(select.having_clause.as_deref());
        conditions.into_iter().any(|condition| self.qualified(condition))
    }

    fn qualified(&self, node: &Node) -> bool {
        match &node.node {
            Some(NodeEnum::ColumnRef(column)) => {
                column.fields.len() > 1 && self.is_target_column(&column.fields)
            }
            Some(NodeEnum::SubLink(link)) => {
                link.testexpr.as_deref().is_some_and(|test| self.qualified(test))
                    || link
                        .subselect
                        .as_deref()
                        .is_some_and(|select| self.correlated(select))
            }
            _ => children(node).into_iter().any(|child| self.qualified(child)),
        }
    }
}

/// The operands of an expression, as far as columns are looked for.
fn children(node: &Node) -> Vec<&Node> {
    let Some(kind) = &node.node else {
        return Vec::new();
    };
    match kind {
        NodeEnum::AExpr(e) => e.lexpr.as_deref().into_iter().chain(e.rexpr.as_deref()).collect(),
        NodeEnum::BoolExpr(e) => e.args.iter().collect(),
        NodeEnum::FuncCall(e) => e.args.iter().collect(),
        NodeEnum::TypeCast(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::CollateClause(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::NullTest(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::BooleanTest(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::AIndirection(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::CoalesceExpr(e) => e.args.iter().collect(),
        NodeEnum::MinMaxExpr(e) => e.args.iter().collect(),
        NodeEnum::RowExpr(e) => e.args.iter().collect(),
        NodeEnum::AArrayExpr(e) => e.elements.iter().collect(),
        NodeEnum::List(e) => e.items.iter().collect(),
        NodeEnum::NamedArgExpr(e) => e.arg.as_deref().into_iter().collect(),
        NodeEnum::CaseExpr(e) => e
            .arg
            .as_deref()
            .into_iter()
            .chain(&e.args)
            .chain(e.defresult.as_deref())
            .collect(),
        NodeEnum::CaseWhen(e) => e.expr.as_deref().into_iter().chain(e.result.as_deref()).collect(),
        NodeEnum::JsonIsPredicate(e) => e.expr.as_deref().into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether both sides are the same column; an unqualified one is taken for that of any relation.
fn same_column(left: Option<&Node>, right: Option<&Node>) -> bool {
    let (Some(left), Some(right)) = (left.and_then(column_fields), right.and_then(column_fields)) else {
        return false;
    };
    left.iter()
        .rev()
        .zip(right.iter().rev())
        .all(|(left, right)| match (string(left), string(right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        })
}

fn column_fields(node: &Node) -> Option<&[Node]> {
    match &node.node {
        Some(NodeEnum::ColumnRef(column)) => Some(&column.fields),
        _ => None,
    }
}

fn constant_text(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(pg_query::protobuf::a_const::Val::Sval(text)) => Some(&text.sval),
            _ => None,
        },
        _ => None,
    }
}
