//! Protected columns: what other than plain output is made of their values.

use hashbrown::HashSet;
use smallvec::SmallVec;

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
    /// Relations whose triggers let one leak: it may come from the row.
    rows: Vec<Oid>,
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
        // Columns may be sorted, grouped and joined with less harm than compared with a guess among their values.
        let kind = match kind {
            FilterKind::Order | FilterKind::Group | FilterKind::Join if lineage.has_given() => {
                FilterKind::Set
            }
            kind => kind,
        };
        match lineage.columns() {
            Some(columns) => {
                for &column in columns {
                    if self.world.protected.contains(&column) {
                        self.probes.add(kind);
                        // A body may be another one the next time.
                        self.probes.vary |= self.arguments.is_some();
                        self.add_on_column(Action::Filter, Some(kind), column);
                    }
                }
            }
            None if self.unknowns.filters.contains(&kind) => {}
            None => self.unknowns.filters.push(kind),
        }
    }

    /// Values stand in one place, of which some are of columns and some are the statement's own: whoever sorts or groups
    /// them compares the ones with the others.
    pub(super) fn together<'l>(
        &self,
        merged: Lineage,
        parts: impl IntoIterator<Item = &'l Lineage>,
    ) -> Lineage {
        let is_given = |lineage: &Lineage| lineage.columns().is_some_and(<[_]>::is_empty);
        if !self.is_unprotected() && parts.into_iter().any(is_given) {
            merged.or_given()
        } else {
            merged
        }
    }

    /// A value moves to where it can be read back.
    pub(super) fn leaks(&mut self, lineage: &Lineage) {
        if self.is_unprotected() {
            return;
        }
        let Some(columns) = lineage.columns() else {
            self.unknowns.leaks = true;
            let row_of = self.implied.row_of;
            if !row_of.is_none() && !self.unknowns.rows.contains(&row_of) {
                self.unknowns.rows.push(row_of);
            }
            return;
        };
        for &column in columns {
            if self.world.protected.contains(&column) {
                self.add_on_column(Action::Leak, None, column);
            }
        }
    }

    /// A relation, or one column of it, gets another name or leaves its parent: the configuration, which names what it
    /// protects, does not find it there.
    pub(super) fn takes_out(&mut self, relation: Oid, column: Option<&str>) {
        if self.is_unprotected() {
            return;
        }
        let catalog = self.catalog();
        let taken = catalog.with_children(relation);
        if !self.spend(taken.len() + self.world.protected.len()) {
            return;
        }
        let is_named = |base: &BaseColumn| {
            column.is_none_or(|name| {
                let found = catalog.column(base.relation, base.number);
                found.is_some_and(|found| &*found.name == name)
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
        let effect = self.effect_on_column(action, kind, column);
        self.add(effect);
    }

    /// What it would let out if the rows that it gives were stored.
    /// Those of unknown lineage may come from any column of `reads`.
    pub(super) fn leaks_if_stored(&self, reads: &[BaseColumn]) -> SmallVec<[Effect; 1]> {
        let mut found = SmallVec::new();
        if self.is_unprotected() {
            return found;
        }
        let from = self.output.iter();
        let from = from.flat_map(|column| column.lineage.columns().unwrap_or(reads));
        for &column in from.filter(|column| self.world.protected.contains(*column)) {
            let effect = self.effect_on_column(Action::Leak, None, column);
            if !found.contains(&effect) {
                found.push(effect);
            }
        }
        found
    }

    /// What it would let out if its plan was shown.
    pub(super) fn leaks_if_explained(&self) -> SmallVec<[Effect; 1]> {
        if !self.folds || self.is_unprotected() {
            return SmallVec::new();
        }
        let columns = self.protected_of(self.reads.relations());
        let leaks = columns.into_iter();
        leaks
            .map(|column| self.effect_on_column(Action::Leak, None, column))
            .collect()
    }

    fn effect_on_column(&self, action: Action, kind: Option<FilterKind>, column: BaseColumn) -> Effect {
        let mut effect = self.effect_on(action, column.relation);
        let found = self.world.catalog.column(column.relation, column.number);
        effect.columns = found.map(|known| known.name.clone()).into_iter().collect();
        effect.filter = kind;
        effect
    }

    /// Judges the uses of values that may come from anywhere.
    pub(super) fn finish_unknowns(&mut self) {
        let unknowns = std::mem::take(&mut self.unknowns);
        if unknowns.filters.is_empty() && !unknowns.leaks {
            return;
        }
        let read: Vec<Oid> = self.reads.relations().collect();
        for column in self.protected_of(read.iter().copied()) {
            for &kind in &unknowns.filters {
                self.probes.add(kind);
                self.add_on_column(Action::Filter, Some(kind), column);
            }
        }
        if unknowns.leaks {
            for column in self.protected_of(read.into_iter().chain(unknowns.rows)) {
                self.add_on_column(Action::Leak, None, column);
            }
        }
    }

    /// The protected columns of some relations, ascending.
    fn protected_of(&self, relations: impl Iterator<Item = Oid>) -> Vec<BaseColumn> {
        let relations: HashSet<Oid> = relations.collect();
        let columns = self.world.protected.iter().copied();
        let mut columns: Vec<BaseColumn> = columns
            .filter(|column| relations.contains(&column.relation))
            .collect();
        for &oid in &relations {
            columns.extend(self.protected_family(oid).into_iter().map(|(_, column)| column));
        }
        columns.sort_unstable();
        columns.dedup();
        columns
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
                    Some(other) => {
                        let kind = equality(side, other);
                        self.probes.vary |= kind == FilterKind::Equality && other.given == Given::Computed;
                        kind
                    }
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
    if other.is_one_of_several {
        return FilterKind::Set;
    }
    match (&other.given, &other.lineage) {
        (Given::Text(_) | Given::Null | Given::Parameter(_), _) if is_plain => FilterKind::Equality,
        _ if other.is_single && other.is_constant() && is_plain => FilterKind::Equality,
        // A list of values in the statement is a column of nothing: every one of them is a guess.
        (_, Lineage::Exact(columns)) if is_plain && !columns.is_empty() && !other.lineage.has_given() => {
            FilterKind::Join
        }
        _ => FilterKind::Other,
    }
}
