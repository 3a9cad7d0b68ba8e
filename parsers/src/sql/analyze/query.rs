//! SELECT, INSERT, UPDATE, DELETE and MERGE, with what stands in their FROM and WITH.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CommonTableExpr, CteCycleClause, DeleteStmt, InferClause, InsertStmt, IntoClause, JoinExpr, JsonTable,
    JsonTableColumn, LockingClause, MergeStmt, MergeWhenClause, Node, OnConflictClause, RangeFunction,
    RangeSubselect, RangeTableFunc, RangeTableFuncCol, RangeTableSample, RangeVar, ReturningClause,
    SelectStmt, UpdateStmt, WithClause,
};

use super::filter;
use super::walk::{Walker, named, on_relation, relation_object};
use crate::sql::effect::{Action, EffectFlags, Object, ObjectKind};
use crate::sql::statement::Cause;

/// More common table expressions in sight than anyone writes: names are looked up one by one.
const CTES_MAX: usize = 1000;

impl Walker<'_> {
    pub(super) fn select(&mut self, select: &SelectStmt) {
        let SelectStmt {
            distinct_clause,
            into_clause,
            target_list,
            from_clause,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause,
            with_clause,
            op: _,
            all: _,
            larg,
            rarg,
        } = select;
        let outside = self.enter_with(with_clause.as_ref());
        if let Some(into) = into_clause {
            self.into(into);
        }
        for side in [larg, rarg].into_iter().flatten() {
            self.select(side);
        }
        // DISTINCT without ON is a list of one gap.
        self.nodes_with_gaps(distinct_clause);
        self.nodes(target_list);
        self.nodes(from_clause);
        self.optional(where_clause.as_deref());
        self.nodes(group_clause);
        self.optional(having_clause.as_deref());
        self.nodes(window_clause);
        self.values(values_lists);
        self.nodes(sort_clause);
        self.optional(limit_offset.as_deref());
        self.optional(limit_count.as_deref());
        for clause in locking_clause {
            self.locking(clause, from_clause);
        }
        self.leave_with(outside);
    }

    fn values(&mut self, rows: &[Node]) {
        for row in rows {
            match &row.node {
                Some(NodeEnum::List(list)) => {
                    for cell in &list.items {
                        self.neutral(cell);
                        self.node(cell);
                    }
                }
                _ => self.node(row),
            }
        }
    }

    fn locking(&mut self, clause: &Node, from: &[Node]) {
        let Some(NodeEnum::LockingClause(LockingClause {
            locked_rels,
            strength: _,
            wait_policy: _,
        })) = &clause.node
        else {
            return self.unknown("locking clause");
        };
        // Named ones are aliases of what stands in FROM.
        let before = self.effects.len();
        for relation in locked_rels.iter().chain(from) {
            if let Some(NodeEnum::RangeVar(relation)) = &relation.node {
                self.act(
                    Action::Lock,
                    relation_object(ObjectKind::Relation, Some(relation)),
                );
            }
        }
        if self.effects.len() == before {
            self.act(Action::Lock, Object::nothing());
        }
    }

    pub(super) fn into(&mut self, into: &IntoClause) {
        let IntoClause {
            rel,
            col_names: _,
            access_method: _,
            options: _,
            on_commit: _,
            table_space_name: _,
            view_query: _,
            skip_data: _,
        } = into;
        self.act(
            Action::Create,
            relation_object(ObjectKind::Relation, rel.as_ref()),
        );
        self.act(
            Action::Insert,
            relation_object(ObjectKind::Relation, rel.as_ref()),
        );
    }

    /// Puts the names of a WITH in sight and walks its queries; gives how many names were in sight before.
    fn enter_with(&mut self, with: Option<&WithClause>) -> usize {
        let outside = self.ctes.len();
        let Some(WithClause {
            ctes,
            recursive,
            location: _,
        }) = with
        else {
            return outside;
        };
        if outside + ctes.len() > CTES_MAX {
            self.unknown("WITH list");
            return outside;
        }
        let name_of = |node: &Node| match &node.node {
            Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.ctename.as_str().into()),
            _ => None,
        };
        if *recursive {
            self.ctes.extend(ctes.iter().filter_map(name_of));
        }
        for node in ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = &node.node else {
                self.unknown("WITH item");
                continue;
            };
            let CommonTableExpr {
                ctename,
                aliascolnames: _,
                ctematerialized: _,
                ctequery,
                search_clause: _,
                cycle_clause,
                location: _,
                cterecursive: _,
                cterefcount: _,
                ctecolnames: _,
                ctecoltypes: _,
                ctecoltypmods: _,
                ctecolcollations: _,
            } = &**cte;
            self.optional(ctequery.as_deref());
            if let Some(cycle) = cycle_clause {
                let CteCycleClause {
                    cycle_col_list: _,
                    cycle_mark_column: _,
                    cycle_mark_value,
                    cycle_mark_default,
                    cycle_path_column: _,
                    location: _,
                    cycle_mark_type: _,
                    cycle_mark_typmod: _,
                    cycle_mark_collation: _,
                    cycle_mark_neop: _,
                } = &**cycle;
                self.optional(cycle_mark_value.as_deref());
                self.optional(cycle_mark_default.as_deref());
            }
            if !*recursive {
                self.ctes.push(ctename.as_str().into());
            }
        }
        outside
    }

    fn leave_with(&mut self, outside: usize) {
        self.ctes.truncate(outside);
    }

    pub(super) fn insert(&mut self, insert: &InsertStmt) {
        let InsertStmt {
            relation,
            cols,
            select_stmt,
            on_conflict_clause,
            returning_clause,
            with_clause,
            r#override: _,
        } = insert;
        let outside = self.enter_with(with_clause.as_ref());
        self.target(Action::Insert, relation.as_ref());
        self.nodes(cols);
        self.optional(select_stmt.as_deref());
        if let Some(conflict) = on_conflict_clause {
            let OnConflictClause {
                action: _,
                infer,
                target_list,
                where_clause,
                location: _,
            } = &**conflict;
            if let Some(infer) = infer {
                let InferClause {
                    index_elems,
                    where_clause,
                    conname: _,
                    location: _,
                } = &**infer;
                self.nodes(index_elems);
                self.optional(where_clause.as_deref());
            }
            if !target_list.is_empty() {
                self.target(Action::Update, relation.as_ref());
            }
            // To find the row in conflict is to read it.
            self.target(Action::Read, relation.as_ref());
            self.nodes(target_list);
            self.optional(where_clause.as_deref());
        }
        self.returning(returning_clause.as_ref(), relation.as_ref());
        self.leave_with(outside);
    }

    pub(super) fn update(&mut self, update: &UpdateStmt) {
        let UpdateStmt {
            relation,
            target_list,
            where_clause,
            from_clause,
            returning_clause,
            with_clause,
        } = update;
        let outside = self.enter_with(with_clause.as_ref());
        self.filtered(
            Action::Update,
            relation.as_ref(),
            from_clause,
            where_clause.as_deref(),
        );
        self.nodes(target_list);
        if target_list.iter().any(reads_columns) {
            self.target(Action::Read, relation.as_ref());
        }
        self.nodes(from_clause);
        self.optional(where_clause.as_deref());
        self.returning(returning_clause.as_ref(), relation.as_ref());
        self.leave_with(outside);
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt) {
        let DeleteStmt {
            relation,
            using_clause,
            where_clause,
            returning_clause,
            with_clause,
        } = delete;
        let outside = self.enter_with(with_clause.as_ref());
        self.filtered(
            Action::Delete,
            relation.as_ref(),
            using_clause,
            where_clause.as_deref(),
        );
        self.nodes(using_clause);
        self.optional(where_clause.as_deref());
        self.returning(returning_clause.as_ref(), relation.as_ref());
        self.leave_with(outside);
    }

    pub(super) fn merge(&mut self, merge: &MergeStmt) {
        let MergeStmt {
            relation,
            source_relation,
            join_condition,
            merge_when_clauses,
            returning_clause,
            with_clause,
        } = merge;
        let outside = self.enter_with(with_clause.as_ref());
        self.target(Action::Read, relation.as_ref());
        self.optional(source_relation.as_deref());
        self.optional(join_condition.as_deref());
        // A join that never holds makes every row of the target unmatched, one that always holds matches them all.
        let joined = join_condition
            .as_deref()
            .is_some_and(|condition| filter::narrows(condition, relation.as_ref(), true));
        for clause in merge_when_clauses {
            let Some(NodeEnum::MergeWhenClause(when)) = &clause.node else {
                self.unknown("WHEN clause");
                continue;
            };
            let MergeWhenClause {
                match_kind,
                command_type,
                r#override: _,
                condition,
                target_list,
                values,
            } = &**when;
            self.optional(condition.as_deref());
            self.nodes(target_list);
            for value in values {
                self.neutral(value);
                self.node(value);
            }
            let by_source =
                *match_kind == pg_query::protobuf::MergeMatchKind::MergeWhenNotMatchedBySource as i32;
            let narrowed = condition
                .as_deref()
                .is_some_and(|condition| filter::narrows(condition, relation.as_ref(), true))
                || (joined && !by_source);
            let flags = if narrowed {
                EffectFlags::NONE
            } else {
                EffectFlags::UNFILTERED
            };
            self.merge_command(*command_type, relation.as_ref(), flags);
        }
        self.returning(returning_clause.as_ref(), relation.as_ref());
        self.leave_with(outside);
    }

    fn merge_command(&mut self, command: i32, relation: Option<&RangeVar>, flags: EffectFlags) {
        use pg_query::protobuf::CmdType;
        let action = match CmdType::try_from(command) {
            Ok(CmdType::CmdInsert) => return self.target(Action::Insert, relation),
            Ok(CmdType::CmdNothing) => return,
            Ok(CmdType::CmdUpdate) => Action::Update,
            Ok(CmdType::CmdDelete) => Action::Delete,
            _ => return self.unknown("MERGE action"),
        };
        if let Some(relation) = relation {
            self.add(on_relation(action, relation).with(flags));
        }
    }

    /// An effect on the relation that a statement changes; it is never a common table expression.
    pub(super) fn target(&mut self, action: Action, relation: Option<&RangeVar>) {
        match relation {
            Some(relation) => self.add(on_relation(action, relation)),
            None => self.unknown("target"),
        }
    }

    fn filtered(
        &mut self,
        action: Action,
        relation: Option<&RangeVar>,
        others: &[Node],
        condition: Option<&Node>,
    ) {
        let Some(relation) = relation else {
            return self.unknown("target");
        };
        let alone = others.is_empty();
        let narrowed = condition.is_some_and(|condition| filter::narrows(condition, Some(relation), !alone));
        let mut effect = on_relation(action, relation);
        if !narrowed {
            effect = effect.with(EffectFlags::UNFILTERED);
        }
        self.add(effect);
        if condition.is_some() {
            self.target(Action::Read, Some(relation));
        }
    }

    fn returning(&mut self, clause: Option<&ReturningClause>, relation: Option<&RangeVar>) {
        if let Some(ReturningClause { options: _, exprs }) = clause {
            self.target(Action::Read, relation);
            self.nodes(exprs);
        }
    }

    /// Walks an item of FROM; false if the node is none.
    pub(super) fn source(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::RangeVar(relation) => self.read(relation),
            NodeEnum::RangeSubselect(range) => {
                let RangeSubselect {
                    lateral: _,
                    subquery,
                    alias: _,
                } = &**range;
                self.optional(subquery.as_deref());
            }
            NodeEnum::RangeFunction(range) => {
                let RangeFunction {
                    lateral: _,
                    ordinality: _,
                    is_rowsfrom: _,
                    functions,
                    alias: _,
                    coldeflist,
                } = range;
                for function in functions {
                    match &function.node {
                        // A call and its column definitions, which are often absent.
                        Some(NodeEnum::List(pair)) => self.nodes_with_gaps(&pair.items),
                        _ => self.node(function),
                    }
                }
                self.nodes(coldeflist);
            }
            NodeEnum::RangeTableFunc(range) => {
                let RangeTableFunc {
                    lateral: _,
                    docexpr,
                    rowexpr,
                    namespaces,
                    columns,
                    alias: _,
                    location: _,
                } = &**range;
                self.optional(docexpr.as_deref());
                self.optional(rowexpr.as_deref());
                self.nodes(namespaces);
                self.nodes(columns);
            }
            NodeEnum::RangeTableFuncCol(column) => {
                let RangeTableFuncCol {
                    colname: _,
                    type_name,
                    for_ordinality: _,
                    is_not_null: _,
                    colexpr,
                    coldefexpr,
                    location: _,
                } = &**column;
                if let Some(name) = type_name {
                    self.type_name(name);
                }
                self.optional(colexpr.as_deref());
                self.optional(coldefexpr.as_deref());
            }
            NodeEnum::RangeTableSample(sample) => {
                let RangeTableSample {
                    relation,
                    method,
                    args,
                    repeatable,
                    location: _,
                } = &**sample;
                self.optional(relation.as_deref());
                let object = named(ObjectKind::Function, method);
                let known = matches!(&*object.name, "system" | "bernoulli")
                    && object
                        .schema
                        .as_deref()
                        .is_none_or(|schema| schema == "pg_catalog");
                if !known {
                    self.opaque(Cause::Function, object);
                }
                self.nodes(args);
                self.optional(repeatable.as_deref());
            }
            NodeEnum::JoinExpr(join) => {
                let JoinExpr {
                    jointype: _,
                    is_natural: _,
                    larg,
                    rarg,
                    using_clause: _,
                    join_using_alias: _,
                    quals,
                    alias: _,
                    rtindex: _,
                } = &**join;
                self.optional(larg.as_deref());
                self.optional(rarg.as_deref());
                self.optional(quals.as_deref());
            }
            NodeEnum::JsonTable(table) => {
                let JsonTable {
                    context_item,
                    pathspec,
                    passing,
                    columns,
                    on_error,
                    alias: _,
                    lateral: _,
                    location: _,
                } = &**table;
                self.json_value(context_item.as_deref());
                self.json_path(pathspec.as_deref());
                self.nodes(passing);
                self.nodes(columns);
                self.json_behavior(on_error.as_deref());
            }
            NodeEnum::JsonTableColumn(column) => {
                let JsonTableColumn {
                    coltype: _,
                    name: _,
                    type_name,
                    pathspec,
                    format: _,
                    wrapper: _,
                    quotes: _,
                    columns,
                    on_empty,
                    on_error,
                    location: _,
                } = &**column;
                if let Some(name) = type_name {
                    self.type_name(name);
                }
                self.json_path(pathspec.as_deref());
                self.nodes(columns);
                self.json_behavior(on_empty.as_deref());
                self.json_behavior(on_error.as_deref());
            }
            _ => return false,
        }
        true
    }
}

/// Whether the new value of an assignment may hold an old one.
fn reads_columns(target: &Node) -> bool {
    match &target.node {
        Some(NodeEnum::ResTarget(target)) => !matches!(
            target.val.as_ref().and_then(|value| value.node.as_ref()),
            Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_) | NodeEnum::SetToDefault(_))
        ),
        _ => true,
    }
}
