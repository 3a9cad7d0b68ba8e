//! CREATE TABLE and ALTER TABLE.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, Node,
    PartitionBoundSpec, RangeVar,
};

use super::super::walk::{Walker, relation_object, string};
use super::{cascade, range_var};
use crate::sql::catalog::{Found, Oid};
use crate::sql::effect::{Action, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::Named;
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn create_table(&mut self, create: &CreateStmt) {
        let CreateStmt {
            relation,
            table_elts,
            inh_relations,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options: _,
            oncommit: _,
            tablespacename: _,
            access_method: _,
            if_not_exists: _,
        } = create;
        let relation = relation.as_ref();
        self.creates(ObjectKind::Relation, relation);
        for element in table_elts.iter().chain(constraints) {
            self.implied_objects(relation, element);
            let is_plain = match &element.node {
                Some(NodeEnum::ColumnDef(column)) => is_serial(column) || self.is_of_server(column),
                Some(NodeEnum::TableLikeClause(_)) => false,
                _ => true,
            };
            if !is_plain {
                self.touches.code();
            }
        }
        self.over(&[], |walker| {
            walker.nodes(table_elts);
            walker.nodes(constraints);
            walker.nodes(nnconstraints);
            if let Some(specification) = partspec {
                walker.nodes(&specification.part_params);
            }
        });
        if let Some(name) = of_typename {
            self.type_name(name);
        }
        for parent in inh_relations.iter().filter_map(range_var) {
            for oid in self.changes(Action::Alter, Some(&parent), EffectFlags::NONE) {
                if partbound.is_some() {
                    // Rows of the default partition are looked through.
                    self.revalidates(oid);
                }
            }
        }
        self.bound(partbound.as_ref());
    }

    fn bound(&mut self, bound: Option<&PartitionBoundSpec>) {
        if let Some(bound) = bound {
            self.nodes(&bound.listdatums);
            self.nodes(&bound.lowerdatums);
            self.nodes(&bound.upperdatums);
        }
    }

    /// Sequences of `serial` and identity columns and indexes of keys, by the names that the server gives them.
    fn implied_objects(&mut self, relation: Option<&RangeVar>, element: &Node) {
        let table = relation.map_or("", |relation| relation.relname.as_str());
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) => {
                let is_identity = |node: &Node| {
                    matches!(&node.node, Some(NodeEnum::Constraint(constraint))
                        if constraint.contype == ConstrType::ConstrIdentity as i32)
                };
                if is_serial(column) || column.constraints.iter().any(is_identity) {
                    let name = format!("{table}_{}_seq", column.colname);
                    self.implied_object(relation, ObjectKind::Sequence, &name);
                }
                for node in &column.constraints {
                    if let Some(NodeEnum::Constraint(constraint)) = &node.node {
                        self.key_index(relation, constraint, &column.colname);
                    }
                }
            }
            Some(NodeEnum::Constraint(constraint)) => {
                let columns: Vec<&str> = constraint.keys.iter().filter_map(string).collect();
                self.key_index(relation, constraint, &columns.join("_"));
            }
            _ => {}
        }
    }

    fn key_index(&mut self, relation: Option<&RangeVar>, constraint: &Constraint, columns: &str) {
        let table = relation.map_or("", |relation| relation.relname.as_str());
        let name = match ConstrType::try_from(constraint.contype) {
            Ok(ConstrType::ConstrPrimary) => format!("{table}_pkey"),
            Ok(ConstrType::ConstrUnique) => format!("{table}_{columns}_key"),
            Ok(ConstrType::ConstrExclusion) => format!("{table}_{columns}_excl"),
            _ => return,
        };
        let name = if constraint.conname.is_empty() {
            &name
        } else {
            &constraint.conname
        };
        self.implied_object(relation, ObjectKind::Relation, name);
    }

    fn implied_object(&mut self, relation: Option<&RangeVar>, kind: ObjectKind, name: &str) {
        let schema = relation.map_or("", |relation| relation.schemaname.as_str());
        self.act(Action::Create, Object::in_schema(kind, schema, name));
        self.touches.name(name);
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTableStmt) {
        let AlterTableStmt {
            relation,
            cmds,
            objtype: _,
            missing_ok: _,
        } = alter;
        let relation = relation.as_ref();
        let found = self.changes(Action::Alter, relation, EffectFlags::NONE);
        for command in cmds {
            match &command.node {
                Some(NodeEnum::AlterTableCmd(command)) => self.alter_command(command, relation, &found),
                _ => self.unknown("ALTER TABLE action"),
            }
        }
    }

    fn alter_command(&mut self, command: &AlterTableCmd, relation: Option<&RangeVar>, found: &Found) {
        let none = EffectFlags::NONE;
        let Ok(subtype) = AlterTableType::try_from(command.subtype) else {
            return self.unknown("ALTER TABLE action");
        };
        match subtype {
            AlterTableType::Undefined => self.unknown("ALTER TABLE action"),
            AlterTableType::AtDropColumn | AlterTableType::AtDropConstraint => {
                let flags = cascade(command.behavior);
                self.changes(Action::Drop, relation, flags);
                if !flags.is_empty() {
                    self.touches.everything();
                }
            }
            AlterTableType::AtAlterColumnType => {
                self.ties_types(command);
                self.changes(Action::Update, relation, none);
                // The old values become such of the new type.
                for to in self.column_types(command) {
                    self.converts_somehow(to);
                }
            }
            AlterTableType::AtAddColumn => {
                self.ties_types(command);
                for added in self.column_types(command) {
                    self.uses_type(added);
                }
            }
            // What is disabled is not in the catalog.
            AlterTableType::AtEnableTrig
            | AlterTableType::AtEnableAlwaysTrig
            | AlterTableType::AtEnableReplicaTrig
            | AlterTableType::AtEnableTrigAll
            | AlterTableType::AtEnableTrigUser
            | AlterTableType::AtEnableRule
            | AlterTableType::AtEnableAlwaysRule
            | AlterTableType::AtEnableReplicaRule => {
                self.opaque(Cause::Definition, relation_object(ObjectKind::Relation, relation));
            }
            AlterTableType::AtChangeOwner
            | AlterTableType::AtEnableRowSecurity
            | AlterTableType::AtDisableRowSecurity
            | AlterTableType::AtForceRowSecurity
            | AlterTableType::AtNoForceRowSecurity => {
                self.changes(Action::Grant, relation, none);
                for &oid in found {
                    self.checks_all_rows(oid);
                }
            }
            _ => {}
        }
        if reads_rows(subtype) {
            for &oid in found {
                self.revalidates(oid);
            }
        }
        if checks_keys(subtype) {
            for &oid in found {
                self.checks_keys(oid);
            }
        }
        self.alter_definition(command, relation, found);
        match (subtype, def(command)) {
            (AlterTableType::AtDropInherit, _) => self.takes_out_relation(relation, None),
            (AlterTableType::AtDetachPartition, Some(NodeEnum::PartitionCmd(partition))) => {
                self.takes_out_relation(partition.name.as_ref(), None);
            }
            _ => {}
        }
    }

    fn alter_definition(&mut self, command: &AlterTableCmd, relation: Option<&RangeVar>, found: &Found) {
        match def(command) {
            // Partitions, parents and the like are changed too.
            Some(NodeEnum::RangeVar(other)) => {
                self.changes(Action::Alter, Some(other), EffectFlags::NONE);
            }
            Some(NodeEnum::PartitionCmd(partition)) => {
                let other = self.changes(Action::Alter, partition.name.as_ref(), EffectFlags::NONE);
                for oid in other {
                    self.revalidates(oid);
                    self.checks_keys(oid);
                }
                self.bound(partition.bound.as_ref());
            }
            // Options.
            Some(NodeEnum::List(list)) => self.nodes_with_gaps(&list.items),
            None
            | Some(
                NodeEnum::ReplicaIdentityStmt(_)
                | NodeEnum::AtalterConstraint(_)
                | NodeEnum::Integer(_)
                | NodeEnum::String(_),
            ) => {}
            Some(other) => {
                if let Some(element) = command.def.as_deref() {
                    self.implied_objects(relation, element);
                }
                if let NodeEnum::Constraint(constraint) = other {
                    self.adds_key(constraint, relation);
                }
                self.over(found, |walker| walker.kind(other));
            }
        }
    }

    /// A foreign key is checked at once; what it will do to the rows of a table that is there counts from now on.
    fn adds_key(&mut self, constraint: &Constraint, relation: Option<&RangeVar>) {
        let Some(parent) = &constraint.pktable else {
            return;
        };
        for oid in self.changes(Action::Read, Some(parent), EffectFlags::NONE) {
            self.reads(oid);
        }
        for (action, does) in [
            (Action::Delete, &constraint.fk_del_action),
            (Action::Update, &constraint.fk_upd_action),
        ] {
            let action = match does.as_str() {
                "c" => action,
                "n" | "d" => Action::Update,
                _ => continue,
            };
            self.changes(action, relation, EffectFlags::CASCADE);
        }
    }

    /// A column's type may bring code: checks, defaults, conversions.
    fn ties_types(&mut self, command: &AlterTableCmd) {
        if let Some(NodeEnum::ColumnDef(column)) = def(command)
            && !self.is_of_server(column)
        {
            self.touches.code();
        }
    }

    /// Whether a column's type is one of the server's own.
    fn is_of_server(&self, column: &ColumnDef) -> bool {
        let found = self.named_type(column);
        matches!(found, Named::One(oid) if oid.is_built_in())
    }

    /// What the type of a column that a command defines may be.
    fn column_types(&mut self, command: &AlterTableCmd) -> Found {
        let Some(NodeEnum::ColumnDef(column)) = def(command) else {
            return Found::new();
        };
        match self.named_type(column) {
            Named::One(oid) => Found::from_slice(&[oid]),
            Named::Several(found) => found,
            Named::Missing => Found::new(),
        }
    }

    fn named_type(&self, column: &ColumnDef) -> Named {
        let names = column.type_name.as_ref().map_or(&[][..], |name| &name.names);
        let names: Vec<&str> = names.iter().filter_map(string).collect();
        match names[..] {
            [own] => self.resolver.type_name(None, own),
            [schema, own] => self.resolver.type_name(Some(schema), own),
            _ => Named::Missing,
        }
    }

    /// All rows of a relation are read, checked and perhaps written anew.
    fn revalidates(&mut self, oid: Oid) {
        let mut todo = vec![oid];
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            if self.spend(1) && done.insert(oid) {
                self.act_on_found(Action::Read, oid, EffectFlags::NONE);
                self.recomputes(oid);
                todo.extend_from_slice(self.catalog().children(oid));
            }
        }
    }
}

fn def(command: &AlterTableCmd) -> Option<&NodeEnum> {
    command.def.as_deref()?.node.as_ref()
}

fn is_serial(column: &ColumnDef) -> bool {
    let names = column.type_name.as_ref().map_or(&[][..], |name| &name.names);
    let name = names.last().and_then(string);
    matches!(
        name,
        Some("serial" | "serial2" | "serial4" | "serial8" | "smallserial" | "bigserial")
    )
}

/// Whether an action looks at the rows that are there.
fn reads_rows(subtype: AlterTableType) -> bool {
    matches!(
        subtype,
        AlterTableType::AtAddColumn
            | AlterTableType::AtAlterColumnType
            | AlterTableType::AtAddConstraint
            | AlterTableType::AtAddIndex
            | AlterTableType::AtAddIndexConstraint
            | AlterTableType::AtAlterConstraint
            | AlterTableType::AtValidateConstraint
            | AlterTableType::AtSetNotNull
            | AlterTableType::AtSetExpression
            | AlterTableType::AtSetAccessMethod
            | AlterTableType::AtSetTableSpace
            | AlterTableType::AtSetLogged
            | AlterTableType::AtSetUnLogged
            | AlterTableType::AtAttachPartition
            | AlterTableType::AtAddInherit
    )
}

/// Whether an action may look for the rows that foreign keys point to, or that point here.
fn checks_keys(subtype: AlterTableType) -> bool {
    matches!(
        subtype,
        AlterTableType::AtAlterColumnType
            | AlterTableType::AtAlterConstraint
            | AlterTableType::AtValidateConstraint
            | AlterTableType::AtSetExpression
            | AlterTableType::AtAttachPartition
            | AlterTableType::AtDetachPartition
            | AlterTableType::AtDetachPartitionFinalize
    )
}
