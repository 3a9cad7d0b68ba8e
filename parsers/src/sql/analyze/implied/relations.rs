//! What reading a relation brings with it.

use smallvec::SmallVec;

use super::super::relation::object;
use super::super::walk::Walker;
use super::Followed;
use crate::sql::catalog::{Event, Oid, Relation, RelationKind};
use crate::sql::effect::{Action, Effect, EffectFlags};

impl<'w> Walker<'w> {
    /// A relation is read: its row security, what inherits from it, another server. The query of a view is not here.
    pub(in super::super) fn reads(&mut self, oid: Oid) {
        if !self.follow(Followed::Reads(oid)) {
            return;
        }
        let Some(relation) = self.catalog().relation(oid) else {
            return;
        };
        if oid.is_built_in() {
            return self.reads_catalogs(relation);
        }
        self.checks_rows(relation, Event::Select);
        self.reaches_out(Action::Read, relation);
        self.plans(relation);
        for &child in self.catalog().children(oid) {
            self.act_on_found(Action::Read, child, EffectFlags::NONE);
            self.reads(child);
        }
    }

    /// What the planner simplifies before it reads, changes or explains: checks, indexes, statistics and partition keys,
    /// the last also of what the relation is a partition of. Constant parts of them run, an index's functions too.
    pub(super) fn plans(&mut self, relation: &'w Relation) {
        if !self.follow(Followed::Plans(relation.oid)) {
            return;
        }
        let catalog = self.catalog();
        let parents: SmallVec<[&Relation; 1]> = relation
            .parents
            .iter()
            .filter_map(|&parent| catalog.relation(parent))
            .collect();
        for &parent in &parents {
            self.plans(parent);
        }
        let texts = relation.checks.iter().chain(&relation.index_expressions);
        for text in texts.chain(&relation.partition_expressions) {
            // A child has most of its parent's.
            let is_inherited = |parent: &&Relation| {
                let texts = parent.checks.iter().chain(&parent.index_expressions);
                texts
                    .chain(&parent.partition_expressions)
                    .any(|known| known == text)
            };
            if !parents.iter().any(is_inherited) {
                self.expression_planned(text, relation.oid);
            }
        }
        for &oid in &relation.index_functions {
            // An extension's index compares and nothing else.
            let function = catalog.function(oid);
            if function.is_none_or(|function| function.extension.is_none()) {
                self.runs_support(oid);
            }
        }
    }

    /// A built-in view reads catalogs. What it shows of them is its own to tell: that it is sensitive, or not.
    fn reads_catalogs(&mut self, view: &'w Relation) {
        for &oid in &view.reads {
            if !self.follow(Followed::Reads(oid)) {
                continue;
            }
            let Some(below) = self.catalog().relation(oid) else {
                continue;
            };
            let (object, _) = object(self.catalog(), below);
            self.add(Effect::new(Action::Read, object).with(EffectFlags::CATALOG));
            self.reads_catalogs(below);
        }
    }

    /// The expressions of row security policies. Those that a command needs to find its rows are SELECT's too.
    pub(super) fn checks_rows(&mut self, relation: &'w Relation, event: Event) {
        if !relation.row_security || self.is_above_policies(relation) {
            return;
        }
        for policy in &relation.policies {
            if policy.event.is_none_or(|on| on == event || on == Event::Select) {
                for expression in &policy.expressions {
                    self.expression_text(expression, Some(relation.oid));
                }
            }
        }
    }

    /// Whether row security does not hold for the session's role. Inside of views and bodies other rights may hold.
    fn is_above_policies(&self, relation: &Relation) -> bool {
        if !self.is_in_own_text() {
            return false;
        }
        let role = self.role_here().and_then(|role| self.catalog().role_named(role));
        role.is_some_and(|role| {
            role.is_superuser
                || role.bypasses_row_security
                || relation.owner == role.oid && !relation.force_row_security
        })
    }

    /// The expressions of all policies of a relation, whether they hold or not.
    pub(in super::super) fn checks_all_rows(&mut self, oid: Oid) {
        let policies = self
            .catalog()
            .relation(oid)
            .map_or(&[][..], |found| &found.policies);
        for expression in policies.iter().flat_map(|policy| &policy.expressions) {
            self.expression_text(expression, Some(oid));
        }
    }

    /// The same effect once more for a foreign table: it happens on another server, in a file or by a program.
    pub(super) fn reaches_out(&mut self, action: Action, relation: &'w Relation) {
        if relation.kind != RelationKind::Foreign {
            return;
        }
        let mut flags = EffectFlags::FOREIGN;
        match self.catalog().foreign_servers.get(&relation.foreign_server) {
            Some(server) => {
                if &*server.wrapper == "file_fdw" {
                    flags |= EffectFlags::FILE;
                }
                if server.programs {
                    flags |= EffectFlags::PROGRAM;
                }
            }
            // Nothing is known of it.
            None => flags |= EffectFlags::FILE | EffectFlags::PROGRAM,
        }
        self.act_on_found(action, relation.oid, flags);
    }
}
