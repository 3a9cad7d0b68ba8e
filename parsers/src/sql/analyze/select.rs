//! SELECT, VALUES and set operations.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{GroupingSet, IntoClause, LockingClause, Node, SelectStmt, SetOperation, SortBy};

use super::name;
use super::scope::{Hit, Item, Level, Slot};
use super::types::INT4;
use super::value::{Column, Name, Row, Value};
use super::walk::{Walker, parts, relation_object, string};
use crate::sql::catalog::CastContext;
use crate::sql::effect::{Action, FilterKind, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;

/// What stands in the place of columns that are not known, because a relation's are not.
const UNKNOWN_COLUMNS: &str = "*";

/// The server refuses a query with more columns.
const COLUMNS_MAX: usize = 1664;

/// A column of the result, while its query is walked.
struct Output {
    name: Name,
    value: Value,
}

/// Where a clause looks for a name that stands alone, and what it does with the value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    /// ORDER BY, DISTINCT ON: the result's columns first, and numbers are their places.
    Order(FilterKind),
    /// GROUP BY: the columns of FROM first, and numbers are places in the result.
    Group,
}

/// Columns of which not all are known.
pub(super) fn has_unknown_columns(columns: &[Column]) -> bool {
    let stands_in = |column: &Column| {
        &*column.name == UNKNOWN_COLUMNS && column.lineage == Lineage::Unknown && column.ty == Ty::Uncertain
    };
    columns.iter().any(stands_in)
}

fn unknown_columns() -> Output {
    Output {
        name: UNKNOWN_COLUMNS.into(),
        value: Value::unknown(),
    }
}

impl Walker<'_> {
    /// Walks a query; gives its columns.
    pub(super) fn select(&mut self, select: &SelectStmt) -> Vec<Column> {
        if !self.spend(1) {
            return Vec::new();
        }
        let outside = self.enter_with(select.with_clause.as_ref());
        let columns = if select.larg.is_some() || select.rarg.is_some() {
            let mut sides = [&select.larg, &select.rarg].map(|side| match side {
                Some(side) => self.select(side),
                None => Vec::new(),
            });
            let right = std::mem::take(&mut sides[1]);
            let left = std::mem::take(&mut sides[0]);
            let columns = self.set_operation_columns(select, left, right);
            self.set_operation_tail(select, &columns);
            if leftmost_into(select).is_some() {
                self.fills_new_table(&columns);
            }
            columns
        } else if select.values_lists.is_empty() {
            self.plain_select(select)
        } else {
            let columns = self.values(&select.values_lists);
            self.set_operation_tail(select, &columns);
            columns
        };
        self.leave_with(outside);
        for column in &columns {
            self.sees_type(column.ty);
        }
        columns
    }

    fn plain_select(&mut self, select: &SelectStmt) -> Vec<Column> {
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
            values_lists: _,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause,
            with_clause: _,
            op: _,
            all: _,
            larg: _,
            rarg: _,
        } = select;
        self.levels.push(Level::default());
        self.from(from_clause);
        if let Some(condition) = where_clause {
            let value = self.value(condition);
            self.condition(&value);
        }
        let outputs = self.targets(target_list);
        for node in group_clause {
            self.group(node, &outputs);
        }
        if let Some(condition) = having_clause {
            let value = self.value(condition);
            self.condition(&value);
        }
        for node in window_clause {
            match &node.node {
                Some(NodeEnum::WindowDef(window)) => self.window(window),
                _ => self.unknown("window"),
            }
        }
        for node in sort_clause {
            self.sort(node, &outputs, Clause::Order(FilterKind::Order));
        }
        match &distinct_clause[..] {
            [] => {}
            // DISTINCT without ON is a list of one gap.
            [gap] if gap.node.is_none() => {
                for output in &outputs {
                    self.filters(FilterKind::Group, &output.value.lineage);
                    self.uses_types_in(&output.value);
                }
            }
            on => {
                for node in on {
                    self.sort(node, &outputs, Clause::Order(FilterKind::Group));
                }
            }
        }
        self.limit(limit_offset.as_deref());
        self.limit(limit_count.as_deref());
        for clause in locking_clause {
            match &clause.node {
                Some(NodeEnum::LockingClause(LockingClause {
                    locked_rels,
                    strength: _,
                    wait_policy: _,
                })) => self.locks_sources(from_clause, locked_rels),
                _ => self.unknown("locking clause"),
            }
        }
        self.levels.pop();
        let columns: Vec<Column> = outputs
            .into_iter()
            .map(|output| output.value.named(output.name))
            .collect();
        if let Some(into) = into_clause {
            self.into(into);
            self.fills_new_table(&columns);
        }
        columns
    }

    /// Values flow into a table that nobody has tagged, and whose columns' types may bring code.
    pub(super) fn fills_new_table(&mut self, columns: &[Column]) {
        for column in columns {
            self.leaks(&column.lineage);
            let is_of_server = match column.ty {
                Ty::Known(oid) => oid.is_built_in(),
                Ty::Literal | Ty::Parameter => true,
                Ty::Uncertain => false,
            };
            if !is_of_server {
                self.touches.code();
            }
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
        if self.plans_only {
            return;
        }
        for action in [Action::Create, Action::Insert] {
            self.act(action, relation_object(ObjectKind::Relation, rel.as_ref()));
        }
    }

    /// The columns that two queries give together.
    pub(super) fn set_operation_columns(
        &mut self,
        select: &SelectStmt,
        left: Vec<Column>,
        right: Vec<Column>,
    ) -> Vec<Column> {
        let compares = !select.all || select.op != SetOperation::SetopUnion as i32;
        if compares {
            for column in left.iter().chain(&right) {
                self.filters(FilterKind::Set, &column.lineage);
                self.uses_types_of_column(column);
            }
        }
        if has_unknown_columns(&left) || has_unknown_columns(&right) {
            let unknown = left.into_iter().map(|column| Column {
                ty: Ty::Uncertain,
                lineage: Lineage::Unknown,
                origin: None,
                row: None,
                ..column
            });
            return unknown.collect();
        }
        // EXCEPT gives rows of the left side only, but which ones the right side decides.
        let pairs = left.into_iter().zip(right);
        let merged = pairs.map(|(left, right)| {
            let ty = self.resolver.common_type(&[left.ty, right.ty]);
            let merged = self.merge(left.lineage.clone(), &right.lineage);
            let mut lineage = self.together(merged, [&left.lineage, &right.lineage]);
            for from in [left.ty, right.ty] {
                if self.coerces(from, ty, CastContext::Implicit) {
                    lineage = Lineage::Unknown;
                }
                if !self.keeps_text(from, ty) {
                    lineage = lineage.derived();
                }
            }
            Column {
                name: left.name,
                ty,
                lineage,
                origin: None,
                row: None,
            }
        });
        merged.collect()
    }

    /// ORDER BY and LIMIT of a set operation or of VALUES.
    pub(super) fn set_operation_tail(&mut self, select: &SelectStmt, columns: &[Column]) {
        if !select.sort_clause.is_empty() {
            let mut level = Level::default();
            level.show(Item::computed(None, Row::from(columns)));
            let outputs: Vec<Output> = columns
                .iter()
                .map(|column| Output {
                    name: Rc::clone(&column.name),
                    value: Value::column(column),
                })
                .collect();
            self.in_level(level, |walker| {
                for node in &select.sort_clause {
                    walker.sort(node, &outputs, Clause::Order(FilterKind::Order));
                }
            });
        }
        self.limit(select.limit_offset.as_deref());
        self.limit(select.limit_count.as_deref());
        if !select.locking_clause.is_empty() {
            self.locks_sources(&[], &[]);
        }
    }

    fn values(&mut self, rows: &[Node]) -> Vec<Column> {
        let mut columns: Vec<(Vec<Ty>, Lineage)> = Vec::new();
        // Most lists are of constants alone.
        let mut is_mixed: Vec<bool> = Vec::new();
        for row in rows {
            let Some(NodeEnum::List(list)) = &row.node else {
                self.unknown("row of VALUES");
                continue;
            };
            for (index, cell) in list.items.iter().enumerate() {
                self.neutral(cell);
                let value = self.value(cell);
                if index == columns.len() {
                    columns.push((Vec::new(), Lineage::constant()));
                    is_mixed.push(false);
                }
                if let Some(is_mixed) = is_mixed.get_mut(index) {
                    *is_mixed |= value.is_constant();
                }
                if let Some((types, lineage)) = columns.get_mut(index) {
                    if !types.contains(&value.ty) {
                        types.push(value.ty);
                    }
                    let own = std::mem::replace(lineage, Lineage::Unknown);
                    *lineage = own.or(&value.lineage);
                }
            }
        }
        let columns = columns.into_iter().zip(is_mixed).enumerate();
        let named = columns.map(|(index, ((types, lineage), is_mixed))| {
            let mut lineage = if is_mixed { lineage.or_given() } else { lineage };
            let ty = self.resolver.common_type(&types);
            for from in types {
                if self.coerces(from, ty, CastContext::Implicit) {
                    lineage = Lineage::Unknown;
                }
            }
            Column {
                name: format!("column{}", index + 1).into(),
                ty,
                lineage,
                origin: None,
                row: None,
            }
        });
        named.collect()
    }

    /// The columns of a SELECT or RETURNING list.
    pub(super) fn target_columns(&mut self, targets: &[Node]) -> Vec<Column> {
        let outputs = self.targets(targets);
        let columns = outputs.into_iter();
        columns.map(|output| output.value.named(output.name)).collect()
    }

    fn targets(&mut self, targets: &[Node]) -> Vec<Output> {
        let mut outputs = Vec::with_capacity(targets.len());
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = &node.node else {
                self.unknown("target");
                continue;
            };
            let Some(value) = target.val.as_deref() else {
                self.unknown("target");
                continue;
            };
            if let Some(star) = star_of(value) {
                self.star(&star, &mut outputs);
                continue;
            }
            let name = if target.name.is_empty() {
                name::of(value).unwrap_or("?column?")
            } else {
                &target.name
            };
            let value = self.value(value);
            if outputs.len() < COLUMNS_MAX {
                outputs.push(Output {
                    name: name.into(),
                    value,
                });
            }
        }
        outputs
    }

    /// `*`, `t.*` and `(row).*`.
    fn star(&mut self, star: &Star<'_>, outputs: &mut Vec<Output>) {
        match star {
            Star::All => {
                let depth = self.levels.len().saturating_sub(1);
                let level = self.level();
                let slots = level.visible().to_vec();
                let is_open = level.is_open;
                self.star_columns(depth, &slots, outputs);
                if is_open {
                    outputs.push(unknown_columns());
                }
            }
            Star::Item(qualifiers) => {
                let hit = match parts(qualifiers).as_deref() {
                    Some([name]) => self.find_item(None, name),
                    Some([.., schema, name]) => self.find_item(Some(schema), name),
                    Some([]) | None => None,
                };
                let Some(Hit::Item { level, item }) = hit else {
                    self.reads.misses_name();
                    return outputs.push(unknown_columns());
                };
                let Some(found) = self.levels.get(level).and_then(|level| level.item(item)) else {
                    return outputs.push(unknown_columns());
                };
                let columns = u32::try_from(found.columns.len()).unwrap_or(u32::MAX);
                let is_open = found.is_open;
                let slots: Vec<Slot> = (0..columns).map(|column| Slot { item, column }).collect();
                self.star_columns(level, &slots, outputs);
                if is_open {
                    outputs.push(unknown_columns());
                }
            }
            Star::Row(node, path) => {
                let value = self.value(node);
                let value = self.indirect(value, path);
                match self.row_of(&value) {
                    Some(row) => outputs.extend(row.iter().map(|column| Output {
                        name: Rc::clone(&column.name),
                        value: Value::column(column),
                    })),
                    None => outputs.push(unknown_columns()),
                }
            }
        }
    }

    fn star_columns(&mut self, level: usize, slots: &[Slot], outputs: &mut Vec<Output>) {
        if !self.spend(slots.len()) || outputs.len() + slots.len() > COLUMNS_MAX {
            self.reads.misses_name();
            return outputs.push(unknown_columns());
        }
        for &slot in slots {
            let Some(column) = self.levels.get(level).and_then(|level| level.column(slot)) else {
                continue;
            };
            let name = Rc::clone(&column.name);
            let value = self.column_value(level, slot);
            outputs.push(Output { name, value });
        }
    }

    fn group(&mut self, node: &Node, outputs: &[Output]) {
        match &node.node {
            Some(NodeEnum::GroupingSet(set)) => {
                let GroupingSet {
                    kind: _,
                    content,
                    location: _,
                } = set;
                for node in content {
                    self.group(node, outputs);
                }
            }
            Some(NodeEnum::RowExpr(row)) => {
                for node in &row.args {
                    self.group(node, outputs);
                }
            }
            _ => self.chosen(node, outputs, Clause::Group),
        }
    }

    /// An item of ORDER BY or DISTINCT ON.
    fn sort(&mut self, node: &Node, outputs: &[Output], clause: Clause) {
        match &node.node {
            Some(NodeEnum::SortBy(sort)) => {
                let SortBy {
                    node,
                    sortby_dir: _,
                    sortby_nulls: _,
                    use_op,
                    location: _,
                } = &**sort;
                let Some(node) = node else {
                    return self.unknown("ORDER BY");
                };
                let value = self.chosen_value(node, outputs, clause);
                self.sorts_by(&value, use_op, clause_kind(clause));
            }
            _ => self.chosen(node, outputs, clause),
        }
    }

    fn chosen(&mut self, node: &Node, outputs: &[Output], clause: Clause) {
        let value = self.chosen_value(node, outputs, clause);
        self.sorts_by(&value, &[], clause_kind(clause));
    }

    /// A value that rows are sorted, grouped or made distinct by.
    pub(super) fn sorts_by(&mut self, value: &Value, operator: &[Node], kind: FilterKind) {
        self.filters(kind, &value.lineage);
        if operator.is_empty() {
            self.uses_types_in(value);
        } else {
            let other = Value {
                lineage: Lineage::constant(),
                ..value.clone()
            };
            self.operate(operator, Some(&other), Some(&other));
        }
    }

    /// What an item of ORDER BY or GROUP BY means: a column of the result by place or name, or an expression.
    fn chosen_value(&mut self, node: &Node, outputs: &[Output], clause: Clause) -> Value {
        if let Some(place) = name::whole_number(node) {
            let output = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
            return match output.and_then(|place| outputs.get(place)) {
                Some(output) => output.value.clone(),
                None => Value {
                    ty: Ty::Known(INT4),
                    ..Value::unknown()
                },
            };
        }
        if let Some(name) = lone_name(node) {
            let is_input = clause == Clause::Group && self.is_input_column(name);
            if !is_input {
                self.spend(outputs.len() / 16);
                if let Some(output) = outputs.iter().find(|output| *output.name == *name) {
                    return output.value.clone();
                }
            }
        }
        self.value(node)
    }

    /// Whether a name is a column of this query's own FROM.
    fn is_input_column(&mut self, name: &str) -> bool {
        let own = self.levels.len().saturating_sub(1);
        matches!(self.find_column(name), Some(Hit::Column { level, .. }) if level == own)
    }

    /// LIMIT or OFFSET: what decides it can be read from how many rows there are.
    fn limit(&mut self, node: Option<&Node>) {
        if let Some(node) = node {
            let value = self.value(node);
            self.filters(FilterKind::Limit, &value.lineage);
            self.leaks(&value.lineage);
        }
    }
}

fn clause_kind(clause: Clause) -> FilterKind {
    match clause {
        Clause::Order(kind) => kind,
        Clause::Group => FilterKind::Group,
    }
}

/// The INTO of a set operation stands in its first query.
fn leftmost_into(select: &SelectStmt) -> Option<&IntoClause> {
    let leftmost = std::iter::successors(Some(select), |select| select.larg.as_deref()).last()?;
    leftmost.into_clause.as_deref()
}

/// A name without qualifiers.
fn lone_name(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::ColumnRef(column)) => match &column.fields[..] {
            [name] => string(name),
            _ => None,
        },
        _ => None,
    }
}

/// A target that stands for several columns.
enum Star<'a> {
    All,
    Item(&'a [Node]),
    Row(&'a Node, &'a [Node]),
}

/// Whether a target ends with `*`.
fn star_of(node: &Node) -> Option<Star<'_>> {
    let is_star = |node: &Node| matches!(node.node, Some(NodeEnum::AStar(_)));
    match &node.node {
        Some(NodeEnum::ColumnRef(column)) => match &column.fields[..] {
            [last] if is_star(last) => Some(Star::All),
            [qualifiers @ .., last] if is_star(last) => Some(Star::Item(qualifiers)),
            _ => None,
        },
        Some(NodeEnum::AIndirection(indirection)) => match &indirection.indirection[..] {
            [path @ .., last] if is_star(last) => indirection.arg.as_deref().map(|arg| Star::Row(arg, path)),
            _ => None,
        },
        _ => None,
    }
}
