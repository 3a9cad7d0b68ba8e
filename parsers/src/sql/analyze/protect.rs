//! Protected columns: what other than plain output is made of their values.

use hashbrown::HashSet;

use super::value::{Given, Value};
use super::walk::Walker;
use crate::sql::catalog::Oid;
use crate::sql::effect::{Action, Effect, FilterKind};
use crate::sql::lineage::{BaseColumn, Lineage};
use crate::sql::resolve::Ty;

/// What was done with values that may come from anywhere: judged for every protected column that is read, once all
/// that is read is known.
#[derive(Default)]
pub(super) struct Unknowns {
    filters: Vec<FilterKind>,
    leaks: bool,
}

impl Walker<'_> {
    fn is_unprotected(&self) -> bool {
        self.world.protected.is_empty()
    }

    /// Whether a protected column may be among those that a value comes from.
    pub(super) fn is_protected(&self, lineage: &Lineage) -> bool {
        !self.is_unprotected()
            && match lineage.columns() {
                Some(columns) => self.is_any_protected(columns),
                None => true,
            }
    }

    /// A value chooses, orders or groups rows or other values.
    pub(super) fn filters(&mut self, kind: FilterKind, lineage: &Lineage) {
        if self.is_quiet || self.is_unprotected() {
            return;
        }
        match lineage.columns() {
            Some(columns) => {
                for &column in columns {
                    if self.world.protected.contains(&column) {
                        self.add_on_column(Action::Filter, Some(kind), column);
                    }
                }
            }
            None if self.unknowns.filters.contains(&kind) => {}
            None => self.unknowns.filters.push(kind),
        }
    }

    /// A value moves to where it can be read back.
    pub(super) fn leaks(&mut self, lineage: &Lineage) {
        if self.is_unprotected() {
            return;
        }
        match lineage.columns() {
            Some(columns) => {
                for &column in columns {
                    if self.world.protected.contains(&column) {
                        self.add_on_column(Action::Leak, None, column);
                    }
                }
            }
            None => self.unknowns.leaks = true,
        }
    }

    /// A relation, or one column of it, gets another name or leaves its parent: the configuration, which names what it
    /// protects, does not find it there.
    pub(super) fn takes_out(&mut self, relation: Oid, column: Option<&str>) {
        if self.is_unprotected() {
            return;
        }
        let catalog = &self.world.catalog;
        let mut taken: HashSet<Oid> = HashSet::new();
        let mut todo = vec![relation];
        while let Some(oid) = todo.pop() {
            if taken.insert(oid) {
                todo.extend_from_slice(catalog.children(oid));
            }
        }
        let is_named = |base: &BaseColumn| {
            column.is_none_or(|name| {
                let relation = catalog.relation(base.relation);
                let columns = relation.map_or(&[][..], |relation| &relation.columns);
                columns
                    .iter()
                    .any(|found| found.number == base.number && &*found.name == name)
            })
        };
        let protected = self.world.protected.iter().copied();
        let protected = protected.filter(|base| taken.contains(&base.relation) && is_named(base));
        let mut columns: Vec<BaseColumn> = protected.collect();
        columns.sort_unstable();
        for column in columns {
            self.add_on_column(Action::Leak, None, column);
        }
    }

    /// The same of all that is in a schema.
    pub(super) fn takes_out_schema(&mut self, schema: &str) {
        let catalog = &self.world.catalog;
        let schema = catalog.schema_named(schema);
        let relations = self.world.protected.iter().map(|base| base.relation);
        let mut relations: Vec<Oid> = relations
            .filter(|oid| {
                let found = catalog.relation(*oid);
                found.is_some_and(|found| Some(found.schema) == schema)
            })
            .collect();
        relations.sort_unstable();
        relations.dedup();
        for relation in relations {
            self.takes_out(relation, None);
        }
    }

    /// Whether one of some columns is protected: what is stored there stays guarded.
    pub(super) fn is_any_protected(&self, columns: &[BaseColumn]) -> bool {
        columns.iter().any(|column| self.world.protected.contains(column))
    }

    fn add_on_column(&mut self, action: Action, kind: Option<FilterKind>, column: BaseColumn) {
        let mut effect = self.effect_on(action, column.relation);
        let relation = self.world.catalog.relation(column.relation);
        let found = relation.and_then(|relation| {
            relation
                .columns
                .iter()
                .find(|known| known.number == column.number)
        });
        effect.columns = found.map(|known| known.name.clone()).into_iter().collect();
        effect.filter = kind;
        self.add(effect);
    }

    /// Judges the uses of values that may come from anywhere.
    pub(super) fn finish_unknowns(&mut self) {
        let unknowns = std::mem::take(&mut self.unknowns);
        if unknowns.filters.is_empty() && !unknowns.leaks {
            return;
        }
        let read: Vec<Oid> = self.reads.relations().collect();
        let mut columns: Vec<BaseColumn> = self.world.protected.iter().copied().collect();
        columns.retain(|column| read.contains(&column.relation));
        columns.sort_unstable();
        for column in columns {
            for &kind in &unknowns.filters {
                let kind: FilterKind = kind;
                let mut effect: Effect = self.effect_on(Action::Filter, column.relation);
                effect.filter = Some(kind);
                self.add_on_column(Action::Filter, effect.filter, column);
            }
            if unknowns.leaks {
                self.add_on_column(Action::Leak, None, column);
            }
        }
    }

    /// A value decides whether rows are there.
    pub(super) fn condition(&mut self, value: &Value) {
        self.decides(FilterKind::Other, value);
    }

    /// As [`Self::filters`], if the value's parts were not reported already.
    pub(super) fn decides(&mut self, kind: FilterKind, value: &Value) {
        if !value.is_reported {
            self.filters(kind, &value.lineage);
        }
    }

    /// Two values are compared, or one is tested.
    pub(super) fn compared_values(
        &mut self,
        name: &str,
        result: Ty,
        left: Option<&Value>,
        right: Option<&Value>,
    ) {
        if self.is_unprotected() {
            return;
        }
        for (side, other) in [(left, right), (right, left)] {
            let Some(side) = side else { continue };
            if !self.is_protected(&side.lineage) {
                continue;
            }
            let kind = match name {
                "=" | "<>" | "!=" => match other {
                    Some(other) => equality(side, other),
                    None => FilterKind::Other,
                },
                "<" | ">" | "<=" | ">=" => FilterKind::Range,
                "~~" | "!~~" | "~~*" | "!~~*" | "~" | "!~" | "~*" | "!~*" | "^@" | "@@" | "@@@" => {
                    FilterKind::Pattern
                }
                // What computes is no comparison.
                _ if matches!(result, Ty::Known(oid) if oid != super::types::BOOL) => continue,
                _ => FilterKind::Other,
            };
            self.filters(kind, &side.lineage);
        }
    }
}

/// How a value is used that is compared for equality with another.
fn equality(side: &Value, other: &Value) -> FilterKind {
    let is_plain = matches!(side.lineage, Lineage::Exact(_));
    match (&other.given, &other.lineage) {
        (Given::Text(_) | Given::Null | Given::Parameter(_), _) if is_plain => FilterKind::Equality,
        _ if other.is_single && other.is_constant() && is_plain => FilterKind::Equality,
        // A list of values in the statement is a column of nothing: every one of them is a guess.
        (_, Lineage::Exact(columns)) if is_plain && !columns.is_empty() => FilterKind::Join,
        _ => FilterKind::Other,
    }
}
