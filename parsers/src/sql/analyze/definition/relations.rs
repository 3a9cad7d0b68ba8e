//! Indexes, views, sequences, triggers, rules, policies, TRUNCATE and DROP.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreatePolicyStmt, CreateTrigStmt, DropStmt, IndexStmt, Node, ObjectType, RuleStmt};

use super::super::walk::{Walker, named, object_of};
use super::{cascade, object_kind, range_var, strings};
use crate::sql::catalog::{Found, Oid};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::{Call, CallKind, Resolution};
use crate::sql::statement::Cause;

impl Walker<'_> {
    /// Tables, indexes, views and what belongs to them.
    pub(super) fn relation_definition(&mut self, kind: &NodeEnum) -> bool {
        let none = EffectFlags::NONE;
        match kind {
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::CreateForeignTableStmt(create) => {
                if let Some(base) = &create.base_stmt {
                    self.create_table(base);
                }
                let server = Object::new(ObjectKind::ForeignServer, create.servername.as_str());
                self.add(Effect::new(Action::Create, server).with(EffectFlags::FOREIGN));
            }
            NodeEnum::AlterTableStmt(alter) => self.alter_table(alter),
            NodeEnum::IndexStmt(index) => self.create_index(index),
            NodeEnum::ViewStmt(view) => {
                self.creates(ObjectKind::Relation, view.view.as_ref());
                self.optional(view.query.as_deref());
            }
            NodeEnum::RefreshMatViewStmt(refresh) => {
                self.changes(Action::Update, refresh.relation.as_ref(), none);
                for oid in self.changes(Action::Read, refresh.relation.as_ref(), none) {
                    self.refreshes(oid);
                }
            }
            NodeEnum::CreateSeqStmt(create) => {
                self.creates(ObjectKind::Sequence, create.sequence.as_ref());
                self.owned_by(&create.options);
            }
            NodeEnum::AlterSeqStmt(alter) => {
                self.changes(Action::Alter, alter.sequence.as_ref(), none);
                // RESTART moves it.
                self.changes(Action::Update, alter.sequence.as_ref(), none);
                self.owned_by(&alter.options);
            }
            NodeEnum::CreateTrigStmt(trigger) => self.create_trigger(trigger),
            NodeEnum::RuleStmt(rule) => self.create_rule(rule),
            NodeEnum::CreatePolicyStmt(policy) => self.create_policy(policy),
            NodeEnum::AlterPolicyStmt(policy) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Other, policy.policy_name.as_str()),
                );
                let table = self.changes(Action::Grant, policy.table.as_ref(), none);
                self.over(&table, |walker| {
                    walker.optional(policy.qual.as_deref());
                    walker.optional(policy.with_check.as_deref());
                });
            }
            NodeEnum::CreateStatsStmt(statistics) => {
                self.act(Action::Create, named(ObjectKind::Other, &statistics.defnames));
                for relation in statistics.relations.iter().filter_map(range_var) {
                    let table = self.changes(Action::Alter, Some(&relation), none);
                    self.over(&table, |walker| walker.nodes(&statistics.exprs));
                }
            }
            NodeEnum::AlterStatsStmt(statistics) => {
                self.act(Action::Alter, named(ObjectKind::Other, &statistics.defnames));
            }
            NodeEnum::TruncateStmt(truncate) => {
                let flags = cascade(truncate.behavior);
                for relation in truncate.relations.iter().filter_map(range_var) {
                    let found = self.act_on(Action::Truncate, &relation, flags);
                    for oid in found.oids {
                        self.truncates(oid, !flags.is_empty(), truncate.restart_seqs);
                    }
                }
            }
            NodeEnum::DropStmt(drop) => self.drop_objects(drop),
            _ => return false,
        }
        true
    }

    /// `OWNED BY t.c` of a sequence.
    fn owned_by(&mut self, options: &[Node]) {
        for node in options {
            let Some(NodeEnum::DefElem(option)) = &node.node else {
                continue;
            };
            let names = strings(option.arg.as_deref());
            if option.defname == "owned_by"
                && let Some((_, table)) = names.split_last()
                && let Some(table) = super::range_var_of(table)
            {
                self.changes(Action::Alter, Some(&table), EffectFlags::NONE);
            }
        }
    }

    /// A materialized view's query runs.
    fn refreshes(&mut self, oid: Oid) {
        if let Some(view) = self.catalog().relation(oid) {
            if let Some(query) = &view.query {
                self.query_text(query);
            }
            self.recomputes(oid);
        }
    }

    /// The rows that are there are read, and the expressions computed for each.
    pub(super) fn create_index(&mut self, index: &IndexStmt) {
        let name = index_name(index);
        self.touches.name(&name);
        let schema = index
            .relation
            .as_ref()
            .map_or("", |relation| &relation.schemaname);
        self.act(
            Action::Create,
            Object::in_schema(ObjectKind::Relation, schema, &name),
        );
        self.changes(Action::Alter, index.relation.as_ref(), EffectFlags::NONE);
        let table = self.changes(Action::Read, index.relation.as_ref(), EffectFlags::NONE);
        self.over(&table, |walker| {
            walker.nodes(&index.index_params);
            walker.nodes(&index.index_including_params);
            walker.optional(index.where_clause.as_deref());
        });
        for oid in table {
            self.reads(oid);
            self.uses_columns_types(oid);
        }
    }

    fn create_trigger(&mut self, trigger: &CreateTrigStmt) {
        self.act(
            Action::Create,
            Object::new(ObjectKind::Other, trigger.trigname.as_str()),
        );
        let table = self.changes(Action::Alter, trigger.relation.as_ref(), EffectFlags::NONE);
        if let Some(other) = &trigger.constrrel {
            self.changes(Action::Alter, Some(other), EffectFlags::NONE);
        }
        self.with_rows_of(&table, |walker| walker.optional(trigger.when_clause.as_deref()));
        self.attaches(&trigger.funcname, &table);
    }

    /// A function that will run without being called has its effects now: until the catalog is read again, nothing
    /// shows where it runs.
    pub(super) fn attaches(&mut self, names: &[Node], table: &[Oid]) {
        let function = named(ObjectKind::Function, names);
        let resolution = self.resolver.functions(&Call {
            schema: function.schema.as_deref(),
            name: &function.name,
            arguments: &[],
            names: &[],
            variadic: false,
            kind: CallKind::Function,
        });
        let candidates = match resolution {
            Resolution::One { oid, .. } => Found::from_slice(&[oid]),
            Resolution::Several { candidates, .. } if !self.resolver.is_touched(&function.name) => candidates,
            // The server refuses it.
            Resolution::Missing => return,
            Resolution::Several { .. } | Resolution::Cast { .. } => {
                return self.opaque(Cause::Definition, function);
            }
        };
        let table = table.first().copied().unwrap_or(Oid::NONE);
        // It does not run in this statement, whose own changes are no matter to it.
        let looks_up_late = self.implied.looks_up_late;
        for oid in candidates {
            self.runs_trigger(oid, table);
        }
        self.implied.looks_up_late = looks_up_late;
    }

    fn create_rule(&mut self, rule: &RuleStmt) {
        self.act(
            Action::Create,
            Object::new(ObjectKind::Other, rule.rulename.as_str()),
        );
        let table = self.changes(Action::Alter, rule.relation.as_ref(), EffectFlags::NONE);
        self.with_rows_of(&table, |walker| {
            walker.optional(rule.where_clause.as_deref());
            walker.nodes_with_gaps(&rule.actions);
        });
    }

    fn create_policy(&mut self, policy: &CreatePolicyStmt) {
        self.act(
            Action::Create,
            Object::new(ObjectKind::Other, policy.policy_name.as_str()),
        );
        let table = self.changes(Action::Grant, policy.table.as_ref(), EffectFlags::NONE);
        self.over(&table, |walker| {
            walker.optional(policy.qual.as_deref());
            walker.optional(policy.with_check.as_deref());
        });
    }

    fn drop_objects(&mut self, drop: &DropStmt) {
        let DropStmt {
            objects,
            remove_type,
            behavior,
            missing_ok: _,
            concurrent: _,
        } = drop;
        let flags = cascade(*behavior);
        if !flags.is_empty() {
            // What depends on it goes too, and that is not followed.
            self.touches.everything();
        }
        let object_type = ObjectType::try_from(*remove_type);
        let more = match object_type {
            Ok(ObjectType::ObjectForeignServer | ObjectType::ObjectFdw) => EffectFlags::FOREIGN,
            _ => EffectFlags::NONE,
        };
        for object in objects {
            if object_type == Ok(ObjectType::ObjectPublication) {
                let publication = object_of(ObjectKind::Replication, Some(object));
                self.act(Action::Replicate, publication);
            }
            self.changes_object(Action::Drop, *remove_type, None, Some(object), flags | more);
            match object_type {
                Ok(ObjectType::ObjectSchema) if !flags.is_empty() => self.drop_schema(object),
                Ok(ObjectType::ObjectTable | ObjectType::ObjectForeignTable) => self.drop_children(object),
                // Conversions of values change everywhere.
                Ok(ObjectType::ObjectCast | ObjectType::ObjectOpclass | ObjectType::ObjectOpfamily) => {
                    self.touches.everything();
                }
                _ => {}
            }
        }
        if objects.is_empty() {
            self.act(Action::Drop, Object::new(object_kind(*remove_type), ""));
        }
    }

    /// Partitions go with the table, and by CASCADE what inherits from it.
    fn drop_children(&mut self, object: &Node) {
        let Some(relation) = range_var(object) else {
            return;
        };
        let mut todo: Vec<Oid> = self.relations(&relation).oids.to_vec();
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            for &child in self.catalog().children(oid) {
                if self.spend(1) && done.insert(child) {
                    self.act_on_found(Action::Drop, child, EffectFlags::CASCADE);
                    todo.push(child);
                }
            }
        }
    }

    /// Everything in a schema.
    fn drop_schema(&mut self, object: &Node) {
        let schema = strings(Some(object))
            .last()
            .and_then(|name| self.catalog().schema_named(name));
        let Some(schema) = schema else {
            return;
        };
        let catalog = self.catalog();
        if !self.spend(catalog.relations.len() + catalog.functions.len()) {
            return;
        }
        let mut relations: Vec<Oid> = catalog
            .relations
            .values()
            .filter(|found| found.schema == schema)
            .map(|found| found.oid)
            .collect();
        relations.sort_unstable();
        for oid in relations {
            self.act_on_found(Action::Drop, oid, EffectFlags::CASCADE);
        }
        let mut functions: Vec<Oid> = catalog
            .functions
            .values()
            .filter(|found| found.schema == schema)
            .map(|found| found.oid)
            .collect();
        functions.sort_unstable();
        for oid in functions {
            let function = self.function_named(oid);
            self.add(Effect::new(Action::Drop, function).with(EffectFlags::CASCADE));
        }
    }

    /// Walks what sees `NEW` and `OLD`.
    fn with_rows_of(&mut self, table: &[Oid], walk: impl FnOnce(&mut Self)) {
        match table {
            [oid] => self.with_rows(*oid, walk),
            _ => self.over(&[], walk),
        }
    }

    /// All indexes of a relation are built anew, or those of every relation.
    pub(in super::super) fn reindexes(&mut self, relations: &[Oid]) {
        if !relations.is_empty() {
            for &oid in relations {
                self.recomputes(oid);
            }
            return;
        }
        let mut all: Vec<Oid> = self.catalog().relations.keys().copied().collect();
        all.sort_unstable();
        for oid in all {
            self.recomputes(oid);
        }
    }
}

/// The name of an index: the server's choice, unless another one has it.
fn index_name(index: &IndexStmt) -> String {
    if !index.idxname.is_empty() {
        return index.idxname.clone();
    }
    let mut name = index
        .relation
        .as_ref()
        .map_or("", |relation| &relation.relname)
        .to_owned();
    for node in &index.index_params {
        if let Some(NodeEnum::IndexElem(element)) = &node.node {
            name.push('_');
            name.push_str(if element.expr.is_some() {
                "expr"
            } else {
                &element.name
            });
        }
    }
    name + "_idx"
}
