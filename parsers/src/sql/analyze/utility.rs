//! Everything that is neither a query nor a definition: transactions, settings, COPY, cursors, prepared statements,
//! locks, notifications, maintenance.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CallStmt, CopyStmt, CreateTableAsStmt, DeclareCursorStmt, DiscardMode, ExecuteStmt, ExplainStmt, Node,
    PrepareStmt, RangeVar, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt, a_const,
};

use super::scope::Level;
use super::types::TEXT;
use super::value::{Column, Value};
use super::walk::{Walker, string};
use crate::sql::catalog::Oid;
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::{NAME_BYTES_MAX, Ty};
use crate::sql::settings;
use crate::sql::statement::{Cause, CopyColumns, CopyFormat, PreparedUse, StatementKind, Taken};
use crate::sql::world::Deferred;

/// `CURSOR_OPT_HOLD` of the grammar.
const CURSOR_OPTION_HOLD: i32 = 0x0020;

impl Walker<'_> {
    /// Walks a statement of any kind.
    pub(super) fn statement(&mut self, kind: &NodeEnum) -> StatementKind {
        // The session follows what is sent, not what stands in a body.
        if self.arguments.is_some() {
            use NodeEnum::{ClosePortalStmt, DeallocateStmt, DeclareCursorStmt, DiscardStmt, PrepareStmt};
            self.takes(match kind {
                PrepareStmt(_) | DeallocateStmt(_) | DiscardStmt(_) => Taken::Statements,
                DeclareCursorStmt(_) | ClosePortalStmt(_) => Taken::Cursors,
                _ => Taken::Nothing,
            });
        }
        match kind {
            NodeEnum::SelectStmt(select) => {
                let columns = self.select(select);
                if let Some(into) = &select.into_clause {
                    let name = into.rel.as_ref();
                    self.touches.name_of_type(name.map_or("", |name| &name.relname));
                    self.fires_event_triggers();
                    return StatementKind::CreateTableAs;
                }
                self.gives(&columns);
                StatementKind::Select
            }
            NodeEnum::InsertStmt(insert) => {
                let columns = self.insert(insert);
                self.gives(&columns);
                StatementKind::Insert
            }
            NodeEnum::UpdateStmt(update) => {
                let columns = self.update(update);
                self.gives(&columns);
                StatementKind::Update
            }
            NodeEnum::DeleteStmt(delete) => {
                let columns = self.delete(delete);
                self.gives(&columns);
                StatementKind::Delete
            }
            NodeEnum::MergeStmt(merge) => {
                let columns = self.merge_statement(merge);
                self.gives(&columns);
                StatementKind::Merge
            }
            NodeEnum::TransactionStmt(transaction) => self.transaction(transaction),
            NodeEnum::VariableSetStmt(set) => self.set(set),
            NodeEnum::VariableShowStmt(show) => {
                self.gives(&[Value::constant(Ty::Known(TEXT)).named(show.name.as_str().into())]);
                StatementKind::Show {
                    name: show.name.as_str().into(),
                }
            }
            NodeEnum::ConstraintsSetStmt(_) => {
                let object = Object::new(ObjectKind::Setting, "constraints");
                self.add(Effect::new(Action::Set, object).with(EffectFlags::HARMLESS));
                StatementKind::Other
            }
            NodeEnum::DiscardStmt(discard) => self.discard(discard.target),
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::PrepareStmt(prepare) => self.prepare(prepare),
            NodeEnum::ExecuteStmt(execute) => self.execute(execute),
            NodeEnum::DeallocateStmt(deallocate) => {
                let all = deallocate.isall || deallocate.name.is_empty();
                StatementKind::Deallocate {
                    name: (!all).then(|| deallocate.name.as_str().into()),
                }
            }
            NodeEnum::ExplainStmt(explain) => self.explain(explain),
            NodeEnum::CreateTableAsStmt(create) => self.create_table_as(create),
            NodeEnum::DeclareCursorStmt(declare) => {
                let DeclareCursorStmt {
                    portalname,
                    options,
                    query,
                } = &**declare;
                let columns = self.query(query.as_deref());
                self.gives(&columns);
                let holds = options & CURSOR_OPTION_HOLD != 0;
                if holds && self.ran_own_function() {
                    // What was not fetched by the commit runs in it.
                    self.defers(Deferred::Queries);
                }
                StatementKind::Declare {
                    name: portalname.as_str().into(),
                    holds,
                }
            }
            NodeEnum::FetchStmt(fetch) => {
                self.act(
                    Action::Read,
                    Object::new(ObjectKind::Cursor, fetch.portalname.as_str()),
                );
                StatementKind::Fetch {
                    name: fetch.portalname.as_str().into(),
                }
            }
            NodeEnum::ClosePortalStmt(close) => {
                let name = (!close.portalname.is_empty()).then(|| close.portalname.as_str().into());
                StatementKind::Close { name }
            }
            NodeEnum::DoStmt(block) => {
                let may_end = self.do_block(block);
                StatementKind::Do { may_end }
            }
            NodeEnum::CallStmt(call) => {
                let CallStmt {
                    funccall,
                    funcexpr: _,
                    outargs: _,
                } = &**call;
                match funccall {
                    Some(call) => self.calls_procedure(call),
                    None => self.unknown("CALL"),
                }
                StatementKind::Call
            }
            NodeEnum::LockStmt(lock) => {
                // Reading takes the weakest lock as well.
                let action = if lock.mode == ACCESS_SHARE_LOCK {
                    Action::Read
                } else {
                    Action::Lock
                };
                for node in &lock.relations {
                    match &node.node {
                        Some(NodeEnum::RangeVar(relation)) => {
                            let found = self.act_on(action, relation, EffectFlags::NONE);
                            self.locks(action, &found.oids);
                        }
                        _ => self.unknown("LOCK"),
                    }
                }
                StatementKind::Other
            }
            NodeEnum::ListenStmt(listen) => {
                self.act(
                    Action::Notify,
                    Object::new(ObjectKind::Channel, listen.conditionname.as_str()),
                );
                StatementKind::Listen
            }
            NodeEnum::UnlistenStmt(_) => StatementKind::Unlisten,
            NodeEnum::NotifyStmt(notify) => {
                self.act(
                    Action::Notify,
                    Object::new(ObjectKind::Channel, notify.conditionname.as_str()),
                );
                StatementKind::Notify
            }
            NodeEnum::VacuumStmt(vacuum) => {
                self.vacuum(vacuum);
                StatementKind::Other
            }
            NodeEnum::ReindexStmt(reindex) => {
                self.reindex(reindex);
                StatementKind::Other
            }
            NodeEnum::ClusterStmt(cluster) => {
                self.maintains(cluster.relation.as_ref());
                StatementKind::Other
            }
            NodeEnum::CheckPointStmt(_) => {
                self.act(Action::Admin, Object::new(ObjectKind::Nothing, "checkpoint"));
                StatementKind::Other
            }
            NodeEnum::LoadStmt(load) => {
                let library = Object::new(ObjectKind::Library, load.filename.as_str());
                self.add(Effect::new(Action::Admin, library.clone()).with(EffectFlags::FILE));
                self.opaque(Cause::Code, library);
                StatementKind::Other
            }
            NodeEnum::AlterSystemStmt(alter) => {
                let name = alter.setstmt.as_ref().map_or("", |set| set.name.as_str());
                // It writes postgresql.auto.conf, whose settings name files and programs.
                let setting = Object::new(ObjectKind::Setting, name);
                self.add(Effect::new(Action::Admin, setting).with(EffectFlags::FILE));
                StatementKind::Other
            }
            definition => {
                self.definition(definition);
                StatementKind::Other
            }
        }
    }

    /// A statement inside of another.
    pub(super) fn nested_statement(&mut self, kind: &NodeEnum) {
        let output = std::mem::take(&mut self.output);
        let _kind_of_the_outer_counts = self.statement(kind);
        let inner = std::mem::replace(&mut self.output, output);
        self.implied.given.clear();
        self.implied.given.extend(inner.iter().map(|column| column.ty));
        self.implied.values.clear();
        self.implied
            .values
            .extend(inner.into_iter().map(|column| column.lineage));
    }

    fn transaction(&mut self, transaction: &TransactionStmt) -> StatementKind {
        let TransactionStmt {
            kind,
            options: _,
            savepoint_name,
            gid,
            chain,
            location: _,
        } = transaction;
        let name = || savepoint_name.as_str().into();
        let prepared = || Object::new(ObjectKind::Transaction, gid.as_str());
        match TransactionStmtKind::try_from(*kind) {
            Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart) => {
                StatementKind::Begin
            }
            Ok(TransactionStmtKind::TransStmtCommit) => StatementKind::Commit { chain: *chain },
            Ok(TransactionStmtKind::TransStmtRollback) => StatementKind::Rollback { chain: *chain },
            Ok(TransactionStmtKind::TransStmtSavepoint) => StatementKind::Savepoint { name: name() },
            Ok(TransactionStmtKind::TransStmtRelease) => StatementKind::Release { name: name() },
            Ok(TransactionStmtKind::TransStmtRollbackTo) => StatementKind::RollbackTo { name: name() },
            Ok(TransactionStmtKind::TransStmtPrepare) => {
                // Its locks outlive the session.
                self.act(Action::Lock, prepared());
                StatementKind::PrepareTransaction
            }
            Ok(
                TransactionStmtKind::TransStmtCommitPrepared | TransactionStmtKind::TransStmtRollbackPrepared,
            ) => {
                self.add(Effect::new(Action::Admin, prepared()).with(EffectFlags::OTHER_USER));
                StatementKind::FinishPrepared
            }
            Ok(TransactionStmtKind::Undefined) | Err(_) => {
                self.unknown("transaction statement");
                StatementKind::Other
            }
        }
    }

    fn set(&mut self, set: &VariableSetStmt) -> StatementKind {
        let VariableSetStmt {
            kind,
            name,
            args,
            jumble_args: _,
            is_local,
            location: _,
        } = set;
        match VariableSetKind::try_from(*kind) {
            Ok(VariableSetKind::VarSetValue) => {
                let values: Vec<Box<str>> = args.iter().map(setting_value).collect();
                let joined = values.join(", ");
                self.add(settings::set_effect(name, Some(&joined)));
                StatementKind::Set {
                    name: name.as_str().into(),
                    values: Some(values),
                    local: *is_local,
                }
            }
            Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarSetCurrent) => {
                self.add(settings::reset_effect(name));
                StatementKind::Set {
                    name: name.as_str().into(),
                    values: None,
                    local: *is_local,
                }
            }
            Ok(VariableSetKind::VarSetMulti) => {
                // SET TRANSACTION, SET SESSION CHARACTERISTICS, SET TRANSACTION SNAPSHOT.
                let folded = name.to_ascii_lowercase();
                let object = Object::new(ObjectKind::Setting, folded.as_str());
                self.add(Effect::new(Action::Set, object).with(EffectFlags::HARMLESS));
                StatementKind::Set {
                    name: folded.into(),
                    values: None,
                    local: *is_local,
                }
            }
            Ok(VariableSetKind::VarReset) => {
                self.add(settings::reset_effect(name));
                StatementKind::Reset {
                    name: Some(name.as_str().into()),
                }
            }
            Ok(VariableSetKind::VarResetAll) => {
                self.add(settings::reset_effect("all"));
                StatementKind::Reset { name: None }
            }
            Ok(VariableSetKind::Undefined) | Err(_) => {
                self.unknown("SET");
                StatementKind::Other
            }
        }
    }

    fn discard(&mut self, target: i32) -> StatementKind {
        match DiscardMode::try_from(target) {
            Ok(DiscardMode::DiscardAll) => {
                self.forgets_temporary();
                self.add(settings::reset_effect("all"));
                StatementKind::DiscardAll
            }
            Ok(DiscardMode::DiscardTemp) => {
                self.forgets_temporary();
                StatementKind::Discard
            }
            Ok(DiscardMode::DiscardPlans | DiscardMode::DiscardSequences) => StatementKind::Discard,
            Ok(DiscardMode::Undefined) | Err(_) => {
                self.unknown("DISCARD");
                StatementKind::Other
            }
        }
    }

    fn copy(&mut self, copy: &CopyStmt) -> StatementKind {
        let CopyStmt {
            relation,
            query,
            attlist,
            is_from,
            is_program,
            filename,
            options,
            where_clause,
        } = copy;
        let copied = match relation {
            Some(relation) => self.copied_relation(relation, attlist, *is_from, where_clause.as_deref()),
            None => Vec::new(),
        };
        if query.is_some() {
            let columns = self.query(query.as_deref());
            self.gives(&columns);
        }
        if *is_program || !filename.is_empty() {
            let flag = if *is_program {
                EffectFlags::PROGRAM
            } else {
                EffectFlags::FILE
            };
            self.add(Effect::new(Action::Copy, Object::new(ObjectKind::Path, filename.as_str())).with(flag));
            return StatementKind::CopyServer;
        }
        match relation {
            Some(relation) => match self.relations(relation).one() {
                Some(oid) => {
                    let effect = self.effect_on(Action::Copy, oid);
                    self.add(effect.on_columns(copied));
                }
                None => {
                    self.act_on(Action::Copy, relation, EffectFlags::NONE);
                }
            },
            None => self.act(Action::Copy, Object::new(ObjectKind::Relation, "")),
        }
        let format = self.copy_format(options);
        if *is_from {
            StatementKind::CopyIn { format }
        } else {
            let columns = relation
                .as_ref()
                .and_then(|_| copy_columns(attlist, format, options));
            StatementKind::CopyOut { format, columns }
        }
    }

    /// The table of a COPY; gives its columns if all that are copied are known.
    fn copied_relation(
        &mut self,
        relation: &RangeVar,
        names: &[Node],
        is_from: bool,
        condition: Option<&Node>,
    ) -> Vec<Box<str>> {
        let target = self.target_of(relation);
        let known = names.iter().filter_map(string);
        let mut places: Vec<usize> = known
            .filter_map(|name| {
                target
                    .item
                    .columns
                    .iter()
                    .position(|column| *column.name == *name)
            })
            .collect();
        if names.is_empty() {
            // Generated columns are left out; to name them does no harm.
            places = (0..target.width()).collect();
        }
        let is_certain = target.relations.one().is_some() && !self.resolver.is_touched(&relation.relname);
        let copied = if is_certain && (names.is_empty() || names.len() == places.len()) {
            let columns = places.iter().filter_map(|&place| target.item.columns.get(place));
            columns.map(|column| (*column.name).into()).collect()
        } else {
            self.reads.misses_name();
            Vec::new()
        };
        if is_from {
            self.changes_target(Action::Insert, &target, EffectFlags::NONE, &places);
            let mut level = Level::default();
            level.show(target.item.clone());
            if let Some(condition) = condition {
                self.in_level(level, |walker| {
                    let value = walker.value(condition);
                    walker.condition(&value);
                });
            }
            return copied;
        }
        self.reads_target(&target);
        let columns: Vec<Column> = places
            .iter()
            .filter_map(|&place| target.item.columns.get(place).cloned())
            .collect();
        if let Some(oid) = target.relations.one() {
            for &place in &places {
                self.uses_column(oid, place);
            }
        }
        for column in &columns {
            self.uses_type_of(column.ty);
        }
        if columns.is_empty() {
            self.gives(&[Value::unknown().named("*".into())]);
        } else {
            self.gives(&columns);
        }
        copied
    }

    fn copy_format(&mut self, options: &[Node]) -> CopyFormat {
        for node in options {
            let Some(NodeEnum::DefElem(option)) = &node.node else {
                self.unknown("COPY option");
                continue;
            };
            if option.defname == "format" {
                return match option.arg.as_deref().and_then(string) {
                    Some("csv") => CopyFormat::Csv,
                    Some("binary") => CopyFormat::Binary,
                    // The server takes `text` and refuses any other.
                    _ => CopyFormat::Text,
                };
            }
        }
        CopyFormat::Text
    }

    fn prepare(&mut self, prepare: &PrepareStmt) -> StatementKind {
        let PrepareStmt {
            name,
            argtypes,
            query,
        } = prepare;
        let types = argtypes.iter().map(|node| {
            if let Some(NodeEnum::TypeName(name)) = &node.node {
                match self.type_name(name) {
                    Ty::Known(oid) => oid,
                    Ty::Literal | Ty::Parameter | Ty::Uncertain => Oid::NONE,
                }
            } else {
                self.unknown("type of a parameter");
                Oid::NONE
            }
        });
        let types: Rc<[Oid]> = types.collect();
        let outside = self.parameter_types.replace(types);
        let columns = self.query(query.as_deref());
        self.parameter_types = outside;
        self.gives(&columns);
        StatementKind::Prepare {
            name: name.as_str().into(),
        }
    }

    fn execute(&mut self, execute: &ExecuteStmt) -> StatementKind {
        let ExecuteStmt { name, params } = execute;
        // EXPLAIN too evaluates them.
        let plans_only = std::mem::take(&mut self.plans_only);
        self.nodes(params);
        self.plans_only = plans_only;
        if !self.is_in_own_text() {
            // What a body runs by name may change what its other names mean.
            self.touches.everything();
        }
        self.runs_prepared = Some(name.as_str().into());
        StatementKind::Execute {
            name: name.as_str().into(),
        }
    }

    fn explain(&mut self, explain: &ExplainStmt) -> StatementKind {
        let ExplainStmt { query, options } = explain;
        // Of several the last one counts; one that cannot be read counts as well.
        let analyze = options.iter().any(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) => {
                option.defname == "analyze" && is_on(option.arg.as_deref()) != Some(false)
            }
            _ => true,
        });
        if matches!(
            query.as_deref().and_then(|query| query.node.as_ref()),
            Some(NodeEnum::ExecuteStmt(_))
        ) {
            self.use_of_prepared = PreparedUse::Explains;
        }
        let plans_only = std::mem::replace(&mut self.plans_only, !analyze);
        let explains = std::mem::replace(&mut self.explains, true);
        self.optional(query.as_deref());
        self.explains = explains;
        self.plans_only = plans_only;
        // Plans and estimates; what they tell of values was said as filters.
        self.gives(&[Value::constant(Ty::Known(TEXT)).named("QUERY PLAN".into())]);
        StatementKind::Explain { analyze }
    }

    fn create_table_as(&mut self, create: &CreateTableAsStmt) -> StatementKind {
        let CreateTableAsStmt {
            query,
            into,
            objtype: _,
            is_select_into: _,
            if_not_exists: _,
        } = create;
        let name = into.as_ref().and_then(|into| into.rel.as_ref());
        self.touches.name_of_type(name.map_or("", |name| &name.relname));
        self.fires_event_triggers();
        match into {
            Some(into) => self.into(into),
            None => self.unknown("CREATE TABLE AS"),
        }
        let kind = query.as_deref().and_then(|query| query.node.as_ref());
        if let Some(NodeEnum::ExecuteStmt(_)) = kind {
            self.use_of_prepared = if self.explains {
                PreparedUse::ExplainsAndStores
            } else {
                PreparedUse::Stores
            };
        }
        let columns = self.query(query.as_deref());
        self.fills_new_table(&columns);
        StatementKind::CreateTableAs
    }
}

/// `LOCK TABLE ... IN ACCESS SHARE MODE`, as the grammar numbers it.
const ACCESS_SHARE_LOCK: i32 = 1;

/// The columns that a COPY of a table lists, if its rows are as they are by default.
fn copy_columns(names: &[Node], format: CopyFormat, options: &[Node]) -> Option<CopyColumns> {
    let mut has_header = false;
    for node in options {
        let Some(NodeEnum::DefElem(option)) = &node.node else {
            return None;
        };
        match option.defname.as_str() {
            "format" | "force_quote" => {}
            "header" => has_header = is_on(option.arg.as_deref())?,
            // Delimiters and encodings of its own.
            _ => return None,
        }
    }
    if format == CopyFormat::Binary || names.is_empty() {
        return None;
    }
    let names: Option<Box<[Box<str>]>> = names
        .iter()
        .map(|node| {
            string(node)
                .filter(|name| name.len() <= NAME_BYTES_MAX)
                .map(Box::from)
        })
        .collect();
    Some(CopyColumns {
        names: names?,
        has_header,
    })
}

/// The value of an option that is on or off; none if it is neither.
fn is_on(value: Option<&Node>) -> Option<bool> {
    match value.map(|node| &node.node) {
        None => Some(true),
        Some(Some(NodeEnum::Boolean(value))) => Some(value.boolval),
        Some(Some(NodeEnum::Integer(value))) if matches!(value.ival, 0 | 1) => Some(value.ival == 1),
        Some(Some(NodeEnum::String(value))) => match value.sval.to_ascii_lowercase().as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        },
        Some(_) => None,
    }
}

/// The text of one value in SET.
fn setting_value(node: &Node) -> Box<str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Sval(text)) => text.sval.as_str().into(),
            Some(a_const::Val::Ival(number)) => number.ival.to_string().into(),
            Some(a_const::Val::Fval(number)) => number.fval.as_str().into(),
            Some(a_const::Val::Boolval(boolean)) => boolean.boolval.to_string().into(),
            Some(a_const::Val::Bsval(bits)) => bits.bsval.as_str().into(),
            None => "".into(),
        },
        // SET TIME ZONE INTERVAL '...'.
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().map_or_else(|| "".into(), setting_value),
        _ => "".into(),
    }
}
