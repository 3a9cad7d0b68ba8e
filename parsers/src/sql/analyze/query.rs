//! WITH, and what stands where a query is expected.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CommonTableExpr, CteCycleClause, CteSearchClause, Node, RangeVar, SelectStmt, WithClause,
};

use super::scope::Cte;
use super::types::{RECORD, RECORD_ARRAY};
use super::value::{Column, Name, Row, Value};
use super::walk::{Walker, string};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;

/// More common table expressions in sight than anyone writes: names are looked up one by one.
const CTES_MAX: usize = 1000;

/// How often the recursive part of a WITH RECURSIVE is walked to see where its columns come from.
const ROUNDS_MAX: usize = 3;

impl Walker<'_> {
    /// A query in a sub-query, WITH or the like; gives its columns.
    pub(super) fn query(&mut self, node: Option<&Node>) -> Vec<Column> {
        if let Some(kind) = node.and_then(|node| node.node.as_ref()) {
            self.query_kind(kind)
        } else {
            self.unknown("query");
            Vec::new()
        }
    }

    fn query_kind(&mut self, kind: &NodeEnum) -> Vec<Column> {
        match kind {
            NodeEnum::SelectStmt(select) => self.select(select),
            NodeEnum::InsertStmt(insert) => self.insert(insert),
            NodeEnum::UpdateStmt(update) => self.update(update),
            NodeEnum::DeleteStmt(delete) => self.delete(delete),
            NodeEnum::MergeStmt(merge) => self.merge_statement(merge),
            other => {
                self.nested_statement(other);
                Vec::new()
            }
        }
    }

    /// The common table expression that a name means here.
    pub(super) fn cte(&self, relation: &RangeVar) -> Option<&Cte> {
        let is_local = relation.catalogname.is_empty() && relation.schemaname.is_empty();
        let mut ctes = self.ctes.iter().rev().filter(|_| is_local);
        ctes.find(|cte| *cte.name == *relation.relname)
    }

    /// Puts the names of a WITH in sight and walks its queries; gives how many names were in sight before.
    pub(super) fn enter_with(&mut self, with: Option<&WithClause>) -> usize {
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
        if *recursive {
            // They may refer to those behind them.
            self.ctes.extend(ctes.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::CommonTableExpr(cte)) => Some(Cte {
                    name: cte.ctename.as_str().into(),
                    columns: Row::from([]),
                    is_open: true,
                }),
                _ => None,
            }));
        }
        let mut place = outside;
        for node in ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = &node.node else {
                self.unknown("WITH item");
                continue;
            };
            let columns = self.with_item(cte, recursive.then_some(place));
            let done = Cte {
                name: cte.ctename.as_str().into(),
                columns,
                is_open: false,
            };
            match self.ctes.get_mut(place) {
                Some(known) => *known = done,
                None => self.ctes.push(done),
            }
            place += 1;
        }
        outside
    }

    pub(super) fn leave_with(&mut self, outside: usize) {
        self.ctes.truncate(outside);
    }

    fn with_item(&mut self, cte: &CommonTableExpr, place: Option<usize>) -> Row {
        let CommonTableExpr {
            ctename: _,
            aliascolnames,
            ctematerialized: _,
            ctequery,
            search_clause,
            cycle_clause,
            location: _,
            cterecursive: _,
            cterefcount: _,
            ctecolnames: _,
            ctecoltypes: _,
            ctecoltypmods: _,
            ctecolcollations: _,
        } = cte;
        let query = ctequery.as_deref().and_then(|node| node.node.as_ref());
        self.changes_uncounted |= matches!(
            query,
            Some(
                NodeEnum::InsertStmt(_)
                    | NodeEnum::UpdateStmt(_)
                    | NodeEnum::DeleteStmt(_)
                    | NodeEnum::MergeStmt(_)
            )
        );
        let recursive = match (place, query) {
            (Some(place), Some(NodeEnum::SelectStmt(select))) if select.larg.is_some() => {
                Some((place, select))
            }
            _ => None,
        };
        // A WITH item sees the outer queries, as any sub-query; not the FROM of its own statement, which is not there yet.
        let mut columns = if let Some((place, select)) = recursive {
            self.recursive_query(select, place, aliascolnames, cte)
        } else {
            let columns = self.query(ctequery.as_deref());
            renamed(columns, aliascolnames)
        };
        if let Some(search) = search_clause {
            let added = added_column(search, &columns);
            columns.push(added);
        }
        if let Some(cycle) = cycle_clause {
            let added = self.cycle_columns(cycle, &columns);
            columns.extend(added);
        }
        Row::from(columns)
    }

    /// The recursive part sees the columns of the other, whose lineage grows with what it gives.
    fn recursive_query(
        &mut self,
        select: &SelectStmt,
        place: usize,
        names: &[Node],
        cte: &CommonTableExpr,
    ) -> Vec<Column> {
        let outside = self.enter_with(select.with_clause.as_ref());
        let mut columns = match &select.larg {
            Some(left) => renamed(self.select(left), names),
            None => Vec::new(),
        };
        let mut is_stable = false;
        for _ in 0..ROUNDS_MAX {
            let mut seen = columns.clone();
            if let Some(search) = &cte.search_clause {
                let added = added_column(search, &seen);
                seen.push(added);
            }
            if let Some(cycle) = &cte.cycle_clause {
                for name in [&cycle.cycle_mark_column, &cycle.cycle_path_column] {
                    seen.push(Value::unknown().named(name.as_str().into()));
                }
            }
            if let Some(known) = self.ctes.get_mut(place) {
                known.columns = Row::from(seen);
                known.is_open = false;
            }
            let right = match &select.rarg {
                Some(right) => self.select(right),
                None => Vec::new(),
            };
            let before: Vec<Lineage> = columns.iter().map(|column| column.lineage.clone()).collect();
            columns = self.set_operation_columns(select, columns, right);
            is_stable = columns.iter().map(|column| &column.lineage).eq(before.iter());
            if is_stable {
                break;
            }
        }
        if !is_stable {
            for column in &mut columns {
                column.lineage = Lineage::Unknown;
            }
        }
        self.set_operation_tail(select, &columns);
        self.leave_with(outside);
        columns
    }

    fn cycle_columns(&mut self, cycle: &CteCycleClause, columns: &[Column]) -> [Column; 2] {
        let CteCycleClause {
            cycle_col_list,
            cycle_mark_column,
            cycle_mark_value,
            cycle_mark_default,
            cycle_path_column,
            location: _,
            cycle_mark_type: _,
            cycle_mark_typmod: _,
            cycle_mark_collation: _,
            cycle_mark_neop: _,
        } = cycle;
        let value = self.optional_value(cycle_mark_value.as_deref());
        let default = self.optional_value(cycle_mark_default.as_deref());
        let row = named_row(cycle_col_list, columns);
        // Each row is looked up among those of its path.
        for column in row.iter() {
            self.uses_types_of_column(column);
        }
        let mark = self.compare("=", &value, &default);
        let ty = self.resolver.common_type(&[value.ty, default.ty]);
        [
            Value { ty, ..mark }.named(cycle_mark_column.as_str().into()),
            Value {
                lineage: Lineage::Unknown,
                row: Some(row),
                ..Value::constant(Ty::Known(RECORD_ARRAY))
            }
            .named(cycle_path_column.as_str().into()),
        ]
    }
}

/// The column that SEARCH adds: the columns that it names, as rows.
fn added_column(search: &CteSearchClause, columns: &[Column]) -> Column {
    Value {
        lineage: Lineage::Unknown,
        row: Some(named_row(&search.search_col_list, columns)),
        ..Value::constant(Ty::Known(RECORD))
    }
    .named(search.search_seq_column.as_str().into())
}

/// Those columns that are named.
fn named_row(names: &[Node], columns: &[Column]) -> Row {
    let names: hashbrown::HashSet<&str> = names.iter().filter_map(string).collect();
    let columns = columns.iter().filter(|column| names.contains(&*column.name));
    columns.cloned().collect()
}

/// The columns under other names, as far as there are any.
pub(super) fn renamed(mut columns: Vec<Column>, names: &[Node]) -> Vec<Column> {
    for (column, name) in columns.iter_mut().zip(names) {
        if let Some(name) = string(name) {
            column.name = Name::from(name);
        }
    }
    columns
}
