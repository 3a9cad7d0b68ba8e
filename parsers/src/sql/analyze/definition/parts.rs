//! Columns, constraints and what else a definition consists of.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::super::walk::Walker;
use crate::sql::effect::{Action, EffectFlags};

impl Walker<'_> {
    /// Walks a part of a definition; false if the node is none.
    pub(in super::super) fn definition_part(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::TypeName(name) => {
                self.type_name(name);
            }
            NodeEnum::ColumnDef(column) => {
                if self.in_definition {
                    self.defined_type(column.type_name.as_ref());
                } else if let Some(name) = &column.type_name {
                    // The column definitions of a function in FROM.
                    self.type_name(name);
                }
                self.optional(column.raw_default.as_deref());
                self.nodes(&column.constraints);
            }
            NodeEnum::Constraint(constraint) => {
                self.optional(constraint.raw_expr.as_deref());
                self.optional(constraint.where_clause.as_deref());
                for exclusion in &constraint.exclusions {
                    if let Some(NodeEnum::List(pair)) = &exclusion.node {
                        self.exclusion(&pair.items);
                    }
                }
                if let Some(other) = &constraint.pktable {
                    self.changes(Action::Alter, Some(other), EffectFlags::NONE);
                }
            }
            NodeEnum::IndexElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::PartitionElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::PartitionRangeDatum(datum) => self.optional(datum.value.as_deref()),
            NodeEnum::StatsElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::TableLikeClause(like) => {
                if let Some(relation) = &like.relation {
                    self.act_on(Action::Read, relation, EffectFlags::NONE);
                }
            }
            NodeEnum::DefElem(_) | NodeEnum::RoleSpec(_) => {}
            _ => return false,
        }
        true
    }

    /// An element of an exclusion constraint and its operator.
    fn exclusion(&mut self, pair: &[Node]) {
        for node in pair {
            match &node.node {
                Some(NodeEnum::List(operator)) => self.operator(&operator.items),
                _ => self.node(node),
            }
        }
    }
}
