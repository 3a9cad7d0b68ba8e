//! LOCK, CALL and the server's housekeeping: what they do to the relations that they name, or to all.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, RangeVar, ReindexObjectType, ReindexStmt, VacuumStmt};

use super::walk::{Walker, named};
use crate::sql::catalog::{Oid, RelationKind};
use crate::sql::effect::{Action, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::{Call, CallKind, Resolution, Ty};
use crate::sql::statement::Cause;

impl Walker<'_> {
    /// LOCK takes what a view reads and what inherits too.
    pub(super) fn locks(&mut self, action: Action, relations: &[Oid]) {
        let mut todo = relations.to_vec();
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            let Some(relation) = self.catalog().relation(oid) else {
                continue;
            };
            if !done.insert(oid) {
                continue;
            }
            let mut more = self.catalog().children(oid).to_vec();
            if relation.kind == RelationKind::View
                && let Some(query) = &relation.query
            {
                more.extend(self.sources_of(&relation.name, query));
            }
            for &other in &more {
                self.act_on_found(action, other, EffectFlags::NONE);
            }
            todo.extend(more);
        }
    }

    /// CALL.
    pub(super) fn calls_procedure(&mut self, call: &FuncCall) {
        self.nodes(&call.args);
        let object = named(ObjectKind::Function, &call.funcname);
        let types = vec![Ty::Uncertain; call.args.len()];
        let names: Vec<Option<&str>> = call
            .args
            .iter()
            .map(|argument| match &argument.node {
                Some(NodeEnum::NamedArgExpr(named)) => Some(named.name.as_str()),
                _ => None,
            })
            .collect();
        let resolution = self.resolver.functions(&Call {
            schema: object.schema.as_deref(),
            name: &object.name,
            arguments: &types,
            names: &names,
            variadic: call.func_variadic,
            kind: CallKind::Procedure,
        });
        match resolution {
            Resolution::One { oid, .. } => self.runs_function(oid, &[]),
            Resolution::Several { candidates, .. } if !candidates.is_empty() => {
                for oid in candidates {
                    self.runs_function(oid, &[]);
                }
            }
            Resolution::Several { .. } | Resolution::Missing | Resolution::Cast { .. } => {
                self.opaque(Cause::Function, object.clone());
            }
        }
        if self.resolver.is_touched(&object.name) {
            self.opaque(Cause::Function, object);
        }
    }

    /// VACUUM and ANALYZE. Both may compute index expressions, and ANALYZE reads.
    pub(super) fn vacuum(&mut self, vacuum: &VacuumStmt) {
        let VacuumStmt {
            options,
            rels,
            is_vacuumcmd,
        } = vacuum;
        let analyzes = !is_vacuumcmd
            || options.iter().any(|node| match &node.node {
                Some(NodeEnum::DefElem(option)) => option.defname == "analyze",
                _ => true,
            });
        for node in rels {
            let Some(NodeEnum::VacuumRelation(relation)) = &node.node else {
                self.unknown("VACUUM");
                continue;
            };
            for oid in self.maintains(relation.relation.as_ref()) {
                if analyzes {
                    self.act_on_found(Action::Read, oid, EffectFlags::NONE);
                    self.uses_columns_types(oid);
                }
            }
        }
        if rels.is_empty() {
            self.act(Action::Admin, Object::new(ObjectKind::Database, ""));
            self.reindexes(&[]);
        }
    }

    /// REINDEX.
    pub(super) fn reindex(&mut self, reindex: &ReindexStmt) {
        match (&reindex.relation, ReindexObjectType::try_from(reindex.kind)) {
            (Some(relation), Ok(ReindexObjectType::ReindexObjectTable)) => {
                self.maintains(Some(relation));
            }
            // Which table an index belongs to is not kept.
            (Some(relation), _) => {
                self.act_on(Action::Admin, relation, EffectFlags::NONE);
                self.reindexes(&[]);
            }
            (None, kind) => {
                let kind = match kind {
                    Ok(ReindexObjectType::ReindexObjectSchema) => ObjectKind::Schema,
                    Ok(ReindexObjectType::ReindexObjectDatabase | ReindexObjectType::ReindexObjectSystem) => {
                        ObjectKind::Database
                    }
                    _ => ObjectKind::Other,
                };
                self.act(Action::Admin, Object::new(kind, reindex.name.as_str()));
                self.reindexes(&[]);
            }
        }
    }

    /// A relation, or all of them, is rewritten or its indexes are.
    pub(super) fn maintains(&mut self, relation: Option<&RangeVar>) -> crate::sql::catalog::Found {
        let Some(relation) = relation else {
            self.act(Action::Admin, Object::new(ObjectKind::Relation, ""));
            self.reindexes(&[]);
            return crate::sql::catalog::Found::new();
        };
        let found = self.act_on(Action::Admin, relation, EffectFlags::NONE).oids;
        let mut all = found.clone();
        let mut known: hashbrown::HashSet<Oid> = found.iter().copied().collect();
        let mut at = 0;
        while let Some(&oid) = all.get(at) {
            at += 1;
            for &child in self.catalog().children(oid) {
                if self.spend(1) && known.insert(child) {
                    self.act_on_found(Action::Admin, child, EffectFlags::NONE);
                    all.push(child);
                }
            }
        }
        if !all.is_empty() {
            self.reindexes(&all);
        }
        found
    }

    /// The session's temporary objects go; others of their names are found from then on.
    pub(super) fn forgets_temporary(&mut self) {
        let schema = self.world.session.temporary_schema;
        if schema.is_none() {
            return;
        }
        let catalog = self.catalog();
        for relation in catalog.relations.values().filter(|found| found.schema == schema) {
            self.touches.name_of_type(&relation.name);
        }
    }
}
