//! INSERT, UPDATE, DELETE and MERGE.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CmdType, DeleteStmt, InferClause, InsertStmt, MergeMatchKind, MergeStmt, MergeWhenClause, Node,
    OnConflictClause, RangeVar, ReturningClause, ReturningOptionKind, SelectStmt, UpdateStmt, WithClause,
};

use super::assign::Target;
use super::filter;
use super::scope::{Item, Level};
use super::select::has_unknown_columns;
use super::value::{Column, Value};
use super::walk::Walker;
use crate::sql::catalog::Event;
use crate::sql::effect::{Action, EffectFlags};
use crate::sql::lineage::Lineage;

impl Walker<'_> {
    /// Walks an INSERT; gives the columns of RETURNING.
    pub(super) fn insert(&mut self, insert: &InsertStmt) -> Vec<Column> {
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
        let Some(relation) = relation else {
            self.unknown("target");
            return Vec::new();
        };
        let target = self.target_of(relation);
        let mut places = if cols.is_empty() {
            None
        } else {
            Some(self.named_columns(&target, cols))
        };
        let given = match select_stmt.as_deref().and_then(|node| node.node.as_ref()) {
            None => Vec::new(),
            Some(NodeEnum::SelectStmt(select)) if is_plain_values(select) => {
                self.inserted_values(select, &target, places.as_deref())
            }
            Some(NodeEnum::SelectStmt(select)) => {
                let columns = self.select(select);
                self.inserted_columns(&columns, &target, places.as_deref())
            }
            Some(other) => {
                self.nested_statement(other);
                Vec::new()
            }
        };
        let places = places.take().unwrap_or_else(|| {
            let known = given.len().min(target.width());
            (0..known).map(Some).collect()
        });
        for (lineage, place) in given.iter().zip(&places) {
            self.stores_in(&target, *place, lineage);
        }
        let places: Vec<usize> = places.into_iter().flatten().collect();
        self.changes_target(Action::Insert, &target, EffectFlags::NONE, &places);
        let mut level = Level::default();
        level.show(target.item.clone());
        if let Some(conflict) = on_conflict_clause {
            level.show_named(excluded(&target, &places, &given));
            level = self.on_conflict(conflict, &target, level);
        }
        let columns = self.in_level(level, |walker| {
            walker.returning(returning_clause.as_ref(), &target, Event::Insert)
        });
        self.leave_with(outside);
        columns
    }

    /// The rows of VALUES are assigned cell by cell; gives the lineage of each column.
    fn inserted_values(
        &mut self,
        select: &SelectStmt,
        target: &Target<'_>,
        places: Option<&[Option<usize>]>,
    ) -> Vec<Lineage> {
        let mut given: Vec<Lineage> = Vec::new();
        for row in &select.values_lists {
            let Some(NodeEnum::List(list)) = &row.node else {
                self.unknown("row of VALUES");
                continue;
            };
            for (index, cell) in list.items.iter().enumerate() {
                self.neutral(cell);
                let value = self.value(cell);
                let place = places.map_or(Some(index), |places| places.get(index).copied().flatten());
                let lineage = self.assigns(target, place, &value);
                match given.get_mut(index) {
                    Some(known) => {
                        let own = std::mem::replace(known, Lineage::Unknown);
                        *known = own.or(&lineage);
                    }
                    None => given.push(lineage),
                }
            }
        }
        given
    }

    fn inserted_columns(
        &mut self,
        columns: &[Column],
        target: &Target<'_>,
        places: Option<&[Option<usize>]>,
    ) -> Vec<Lineage> {
        if has_unknown_columns(columns) {
            // Any column may get any value.
            let width = places.map_or_else(|| target.width(), <[_]>::len);
            return vec![Lineage::Unknown; width.max(1)];
        }
        let columns = columns.iter().enumerate();
        let given = columns.map(|(index, column)| {
            let place = places.map_or(Some(index), |places| places.get(index).copied().flatten());
            self.assigns(target, place, &Value::column(column))
        });
        given.collect()
    }

    fn on_conflict(&mut self, conflict: &OnConflictClause, target: &Target<'_>, level: Level) -> Level {
        let OnConflictClause {
            action: _,
            infer,
            target_list,
            where_clause,
            location: _,
        } = conflict;
        self.levels.push(level);
        let mut keys: Option<&[Node]> = None;
        if let Some(infer) = infer {
            let InferClause {
                index_elems,
                where_clause,
                conname,
                location: _,
            } = &**infer;
            self.nodes(index_elems);
            self.optional(where_clause.as_deref());
            keys = conname.is_empty().then_some(index_elems);
        }
        // To find the row in conflict is to read it, and that it is there tells of its key.
        self.reads_target(target);
        self.reads_keys(keys, target);
        if !target_list.is_empty() {
            let places = self.assignments(target_list, target);
            self.changes_target(Action::Update, target, EffectFlags::NONE, &places);
        }
        if let Some(condition) = where_clause {
            let value = self.value(condition);
            self.condition(&value);
        }
        self.levels.pop().unwrap_or_default()
    }

    /// The columns of a key are read; of a constraint's, or of whichever is in conflict, all that the table has.
    fn reads_keys(&mut self, keys: Option<&[Node]>, target: &Target<'_>) {
        let catalog = self.catalog();
        for &oid in &target.relations.oids {
            let Some(keys) = keys else {
                self.uses_all_columns(oid);
                continue;
            };
            let columns = catalog
                .relation(oid)
                .map_or(&[][..], |relation| &relation.columns);
            let names = keys.iter().filter_map(|key| match &key.node {
                Some(NodeEnum::IndexElem(key)) => Some(&*key.name),
                _ => None,
            });
            let places = names.filter_map(|name| columns.iter().position(|column| *column.name == *name));
            for index in places {
                self.uses_column(oid, index);
            }
        }
    }

    /// Walks an UPDATE; gives the columns of RETURNING.
    pub(super) fn update(&mut self, update: &UpdateStmt) -> Vec<Column> {
        let UpdateStmt {
            relation,
            target_list,
            where_clause,
            from_clause,
            returning_clause,
            with_clause,
        } = update;
        self.on_target(
            relation.as_ref(),
            with_clause.as_ref(),
            |walker, relation, target| {
                walker.from(from_clause);
                let places = walker.assignments(target_list, target);
                let flags = unfiltered(relation, from_clause, where_clause.as_deref());
                walker.changes_target(Action::Update, target, flags, &places);
                if target_list.iter().any(reads_columns) {
                    walker.reads_target(target);
                }
                walker.where_of_target(target, where_clause.as_deref());
                walker.returning(returning_clause.as_ref(), target, Event::Update)
            },
        )
    }

    /// Walks a DELETE; gives the columns of RETURNING.
    pub(super) fn delete(&mut self, delete: &DeleteStmt) -> Vec<Column> {
        let DeleteStmt {
            relation,
            using_clause,
            where_clause,
            returning_clause,
            with_clause,
        } = delete;
        self.on_target(
            relation.as_ref(),
            with_clause.as_ref(),
            |walker, relation, target| {
                walker.from(using_clause);
                let flags = unfiltered(relation, using_clause, where_clause.as_deref());
                walker.changes_target(Action::Delete, target, flags, &[]);
                walker.where_of_target(target, where_clause.as_deref());
                walker.returning(returning_clause.as_ref(), target, Event::Delete)
            },
        )
    }

    /// Walks a statement that changes rows of one relation, which is in sight with what WITH gives.
    fn on_target(
        &mut self,
        relation: Option<&RangeVar>,
        with: Option<&WithClause>,
        walk: impl FnOnce(&mut Self, &RangeVar, &Target<'_>) -> Vec<Column>,
    ) -> Vec<Column> {
        let outside = self.enter_with(with);
        let Some(relation) = relation else {
            self.unknown("target");
            return Vec::new();
        };
        let target = self.target_of(relation);
        let mut level = Level::default();
        level.show(target.item.clone());
        let columns = self.in_level(level, |walker| walk(walker, relation, &target));
        self.leave_with(outside);
        columns
    }

    fn where_of_target(&mut self, target: &Target<'_>, condition: Option<&Node>) {
        if let Some(condition) = condition {
            self.reads_target(target);
            let value = self.value(condition);
            self.condition(&value);
        }
    }

    /// Walks a MERGE; gives the columns of RETURNING.
    pub(super) fn merge_statement(&mut self, merge: &MergeStmt) -> Vec<Column> {
        let MergeStmt {
            relation,
            source_relation,
            join_condition,
            merge_when_clauses,
            returning_clause,
            with_clause,
        } = merge;
        self.on_target(
            relation.as_ref(),
            with_clause.as_ref(),
            |walker, relation, target| {
                walker.reads_target(target);
                walker.from(source_relation.as_deref().map_or(&[], std::slice::from_ref));
                if let Some(condition) = join_condition {
                    let value = walker.value(condition);
                    walker.condition(&value);
                }
                // A join that never holds makes every row of the target unmatched, one that always holds matches them all.
                let is_joined = join_condition
                    .as_deref()
                    .is_some_and(|condition| filter::narrows(condition, Some(relation), true));
                for clause in merge_when_clauses {
                    match &clause.node {
                        Some(NodeEnum::MergeWhenClause(when)) => {
                            walker.merge_when(when, target, relation, is_joined);
                        }
                        _ => walker.unknown("WHEN clause"),
                    }
                }
                // A table with rules takes no MERGE.
                walker.returning(returning_clause.as_ref(), target, Event::Update)
            },
        )
    }

    fn merge_when(
        &mut self,
        when: &MergeWhenClause,
        target: &Target<'_>,
        relation: &RangeVar,
        is_joined: bool,
    ) {
        let MergeWhenClause {
            match_kind,
            command_type,
            r#override: _,
            condition,
            target_list,
            values,
        } = when;
        if let Some(condition) = condition {
            let value = self.value(condition);
            self.condition(&value);
        }
        let is_by_source = *match_kind == MergeMatchKind::MergeWhenNotMatchedBySource as i32;
        let is_narrowed = condition
            .as_deref()
            .is_some_and(|condition| filter::narrows(condition, Some(relation), true))
            || (is_joined && !is_by_source);
        let flags = if is_narrowed {
            EffectFlags::NONE
        } else {
            EffectFlags::UNFILTERED
        };
        match CmdType::try_from(*command_type) {
            Ok(CmdType::CmdInsert) => {
                let places = if target_list.is_empty() {
                    (0..values.len().min(target.width())).map(Some).collect()
                } else {
                    self.named_columns(target, target_list)
                };
                for (index, node) in values.iter().enumerate() {
                    self.neutral(node);
                    let value = self.value(node);
                    let place = places.get(index).copied().flatten();
                    let lineage = self.assigns(target, place, &value);
                    self.stores_in(target, place, &lineage);
                }
                let places: Vec<usize> = places.into_iter().flatten().collect();
                self.changes_target(Action::Insert, target, EffectFlags::NONE, &places);
            }
            Ok(CmdType::CmdUpdate) => {
                let places = self.assignments(target_list, target);
                self.changes_target(Action::Update, target, flags, &places);
            }
            Ok(CmdType::CmdDelete) => self.changes_target(Action::Delete, target, flags, &[]),
            Ok(CmdType::CmdNothing) => {}
            _ => self.unknown("MERGE action"),
        }
    }

    fn returning(
        &mut self,
        clause: Option<&ReturningClause>,
        target: &Target<'_>,
        event: Event,
    ) -> Vec<Column> {
        let Some(ReturningClause { options, exprs }) = clause else {
            return Vec::new();
        };
        self.reads_target(target);
        let is_of_rule = target
            .relations
            .oids
            .iter()
            .any(|&oid| self.rules_return(oid, event));
        if self.server_major() >= 18 {
            let mut names = ["old", "new"];
            for node in options {
                if let Some(NodeEnum::ReturningOption(option)) = &node.node {
                    match ReturningOptionKind::try_from(option.option) {
                        Ok(ReturningOptionKind::ReturningOptionOld) => names[0] = &option.value,
                        Ok(ReturningOptionKind::ReturningOptionNew) => names[1] = &option.value,
                        _ => self.unknown("RETURNING option"),
                    }
                }
            }
            for name in names {
                let item = Item {
                    name: Some(name.into()),
                    schema: None,
                    ..target.item.clone()
                };
                self.level().show_named(item);
            }
        }
        let columns = self.target_columns(exprs);
        if !is_of_rule {
            return columns;
        }
        // The rows are those that a rule gives, under the names of the target's columns.
        let unknown = columns.into_iter().map(|column| Column {
            lineage: Lineage::Unknown,
            origin: None,
            row: None,
            ..column
        });
        unknown.collect()
    }
}

/// VALUES and nothing more.
fn is_plain_values(select: &SelectStmt) -> bool {
    !select.values_lists.is_empty()
        && select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty()
}

/// The row that was to be inserted.
fn excluded(target: &Target<'_>, places: &[usize], given: &[Lineage]) -> Item {
    let columns = target.item.columns.iter().enumerate();
    let columns = columns.map(|(index, column)| {
        let source = places.iter().position(|&place| place == index);
        let lineage = source.and_then(|source| given.get(source)).cloned();
        Column {
            lineage: lineage.unwrap_or_else(Lineage::constant),
            origin: None,
            row: None,
            ..column.clone()
        }
    });
    let columns = columns.collect();
    Item {
        is_open: target.item.is_open,
        row_type: target.item.row_type,
        ..Item::computed(Some("excluded".into()), columns)
    }
}

fn unfiltered(relation: &RangeVar, others: &[Node], condition: Option<&Node>) -> EffectFlags {
    let is_alone = others.is_empty();
    if condition.is_some_and(|condition| filter::narrows(condition, Some(relation), !is_alone)) {
        EffectFlags::NONE
    } else {
        EffectFlags::UNFILTERED
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
