//! The names that a statement may give, take or change: what they mean is uncertain until the catalog is read again.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableStmt, AlterTableType, ConstrType, CreateStmt, Node};

use crate::sql::catalog::Oid;
use crate::sql::world::{NAMES_MAX, Touched, TouchedNames};

/// Gathers names.
#[derive(Debug, Default)]
pub(super) struct Touches {
    names: BTreeSet<Box<str>>,
    renamed: BTreeSet<(Box<str>, Oid)>,
    ties_code: bool,
    every_name: bool,
    everything: bool,
}

impl Touches {
    pub(super) fn name(&mut self, name: &str) {
        if self.names.len() == NAMES_MAX {
            self.everything = true;
        } else if !name.is_empty() && !self.names.contains(name) {
            self.names.insert(name.into());
        }
    }

    /// A relation or type has an array type beside it.
    pub(super) fn name_of_type(&mut self, name: &str) {
        self.name(name);
        self.name(&format!("_{name}"));
    }

    /// A relation of the catalog gets another name.
    pub(super) fn new_name(&mut self, name: &str, relation: Oid) {
        if self.renamed.len() == NAMES_MAX {
            self.everything = true;
        } else {
            self.renamed.insert((name.into(), relation));
        }
    }

    /// It may tie code to a relation, or give a name to one that the catalog does not have and that may have some.
    pub(super) fn code(&mut self) {
        self.ties_code = true;
    }

    /// Other schemas may be usable, or another role's rights hold: any name may mean another of the objects that there are.
    pub(super) fn every_name(&mut self) {
        self.every_name = true;
    }

    /// Nothing is known of what it changes.
    pub(super) fn everything(&mut self) {
        self.everything = true;
    }

    pub(super) fn found(&self) -> Touched {
        let mut found = if self.everything {
            Touched::Everything
        } else if self.names.is_empty() {
            // Code is looked for where a touched name is.
            Touched::Nothing
        } else {
            Touched::Names(TouchedNames {
                ties_code: self.ties_code,
                renamed: self.renamed.iter().cloned().collect(),
                ..self.names.iter().cloned().collect()
            })
        };
        if self.every_name {
            found.extend(&Touched::EveryName);
        }
        found
    }
}

/// Whether a definition may tie code to a relation.
pub(super) fn ties_code(kind: &NodeEnum) -> bool {
    match kind {
        NodeEnum::CreateStmt(create) => {
            let CreateStmt {
                inh_relations,
                partbound,
                of_typename,
                table_elts,
                ..
            } = create;
            !inh_relations.is_empty()
                || partbound.is_some()
                || of_typename.is_some()
                || table_elts.iter().any(has_foreign_key)
        }
        NodeEnum::AlterTableStmt(alter) => {
            let AlterTableStmt { cmds, .. } = alter;
            !cmds.iter().all(is_plain_change)
        }
        NodeEnum::CreateSchemaStmt(create) => !create.schema_elts.is_empty(),
        NodeEnum::IndexStmt(_)
        | NodeEnum::CreateSeqStmt(_)
        | NodeEnum::AlterSeqStmt(_)
        | NodeEnum::CommentStmt(_)
        // What has the new name is known, or it says so itself.
        | NodeEnum::RenameStmt(_)
        | NodeEnum::GrantStmt(_)
        | NodeEnum::DropStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::CreateEnumStmt(_) => false,
        _ => true,
    }
}

/// A foreign key looks at another table at each change.
fn has_foreign_key(element: &Node) -> bool {
    let is_foreign = |node: &Node| {
        matches!(&node.node, Some(NodeEnum::Constraint(constraint))
            if constraint.contype == ConstrType::ConstrForeign as i32)
    };
    match &element.node {
        Some(NodeEnum::ColumnDef(column)) => column.constraints.iter().any(is_foreign),
        Some(NodeEnum::TableLikeClause(_)) => false,
        _ => is_foreign(element),
    }
}

fn is_plain_change(command: &Node) -> bool {
    let Some(NodeEnum::AlterTableCmd(command)) = &command.node else {
        return false;
    };
    match AlterTableType::try_from(command.subtype) {
        Ok(AlterTableType::AtAddColumn | AlterTableType::AtAddConstraint) => {
            !command.def.as_deref().is_some_and(has_foreign_key)
        }
        Ok(
            AlterTableType::AtColumnDefault
            | AlterTableType::AtDropNotNull
            | AlterTableType::AtSetNotNull
            | AlterTableType::AtDropColumn
            | AlterTableType::AtDropConstraint
            | AlterTableType::AtAlterColumnType
            | AlterTableType::AtChangeOwner
            | AlterTableType::AtAddIdentity
            | AlterTableType::AtSetIdentity
            | AlterTableType::AtDropIdentity,
        ) => true,
        _ => false,
    }
}
