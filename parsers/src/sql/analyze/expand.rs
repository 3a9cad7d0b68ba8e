//! Texts of the catalog that a query brings with it: views' queries and printed expressions.

use std::rc::Rc;

use pg_query::NodeEnum;

use super::nested::text_of;
use super::scope::{Item, Level};
use super::value::{Column, Row, Value};
use super::walk::Walker;
use crate::sql::catalog::{Oid, Relation, RelationKind};
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;
use crate::sql::statement::Cause;

impl Walker<'_> {
    /// Completes what is known only once all of the statement was walked.
    pub(super) fn finish(&mut self) {
        self.finish_unknowns();
        self.finish_reads();
        // It may have been used up where only columns were asked for.
        if self.is_spent && !self.is_opaque() {
            self.opaque(Cause::TooDeep, Object::new(ObjectKind::Nothing, "work"));
        }
    }

    /// The columns that a view's query gives, with its effects; of a materialized view, which does not run it, without.
    /// None if they are not known. Built-in views are taken as tables: their flags say what they tell.
    pub(super) fn view_row(&mut self, relation: &Relation) -> Option<Row> {
        if relation.oid.is_built_in() {
            return None;
        }
        if let Some(known) = self.views.get(&relation.oid) {
            return known.clone();
        }
        let query = relation.query.as_deref()?;
        // A view that contains itself: the server cannot read it either.
        self.views.insert(relation.oid, None);
        let (object, _) = super::relation::object(&self.world.catalog, relation);
        let row = if relation.kind == RelationKind::Materialized {
            self.without_effects(|walker| walker.printed_query(&object, query))
        } else {
            self.printed_query(&object, query)
        };
        let row = row.map(Row::from);
        self.views.insert(relation.oid, row.clone());
        row
    }

    /// Walks and forgets what was found, and that anything was followed: elsewhere it has its effects.
    pub(super) fn without_effects<T>(&mut self, walk: impl FnOnce(&mut Self) -> T) -> T {
        let effects = std::mem::take(&mut self.effects);
        let reasons = std::mem::take(&mut self.reasons);
        let reads = std::mem::take(&mut self.reads);
        let unknowns = std::mem::take(&mut self.unknowns);
        let decided = std::mem::take(&mut self.decided_at_bind);
        let until_bind = std::mem::take(&mut self.opaque_until_bind);
        let seen = self.forget_seen();
        let (followed, rows, views) = (self.followed_so_far(), self.rows.clone(), self.views.clone());
        self.spend(rows.len() + views.len());
        let result = walk(self);
        self.follow_again(followed);
        self.rows = rows;
        self.views = views;
        self.effects = effects;
        self.reasons = reasons;
        self.reads = reads;
        self.unknowns = unknowns;
        self.decided_at_bind = decided;
        self.opaque_until_bind = until_bind;
        self.remember_seen(seen);
        result
    }

    fn printed_query(&mut self, what: &Object, sql: &str) -> Option<Vec<Column>> {
        let mut columns = None;
        self.nested_printed(what, sql, |walker, parsed| {
            for raw in &parsed.stmts {
                match raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) {
                    Some(NodeEnum::SelectStmt(select)) => columns = Some(walker.select(select)),
                    Some(other) => walker.nested_statement(other),
                    None => walker.unknown("statement"),
                }
            }
        });
        columns
    }

    /// Walks a query as the server printed it, and gives its columns.
    pub(super) fn query_text(&mut self, sql: &str) -> Vec<Column> {
        self.printed_query(&text_of("query"), sql).unwrap_or_default()
    }

    /// Walks an expression as the server printed it; gives where its value comes from. Columns are those of `relation`.
    pub(super) fn expression_text(&mut self, sql: &str, relation: Option<Oid>) -> Lineage {
        let mut level = Level::default();
        match relation {
            Some(oid) => {
                for name in ["new", "old"] {
                    let item = self.item_of(oid, Some(name.into()));
                    level.show_named(item);
                }
                let name = self.world.catalog.relation(oid);
                let name = name.map(|relation| Rc::from(&*relation.name));
                let item = self.item_of(oid, name);
                level.show(item);
            }
            // `VALUE` of a domain, and whatever else has no name in the catalog.
            None => {
                level.show(Item::open(None));
            }
        }
        self.expression_over(sql, level)
    }

    /// The same for an expression over the `VALUE` of a domain.
    pub(super) fn domain_text(&mut self, sql: &str, base: Oid) {
        let value = Column {
            name: "value".into(),
            ty: Ty::Known(base),
            lineage: Lineage::Unknown,
            origin: None,
            row: None,
        };
        let mut level = Level::default();
        level.show(Item::computed(None, [value].into()));
        self.expression_over(sql, level);
    }

    /// The same for an expression that the server simplifies when it plans: what is constant in it runs. No column of
    /// the relation is read for it.
    pub(super) fn expression_planned(&mut self, sql: &str, relation: Oid) {
        let name = self.world.catalog.relation(relation);
        let name = name.map(|relation| Rc::from(&*relation.name));
        let item = Item {
            relation: Oid::NONE,
            ..self.item_of(relation, name)
        };
        let mut level = Level::default();
        level.show(item);
        // A virtual column stands for its expression, which may be constant.
        let is_virtual = self.server_major() >= 18
            && self
                .world
                .catalog
                .relation(relation)
                .is_none_or(|relation| relation.columns.iter().any(|column| column.is_generated));
        let outside = std::mem::replace(&mut self.is_planned, !is_virtual);
        self.expression_over(sql, level);
        self.is_planned = outside;
    }

    fn expression_over(&mut self, sql: &str, mut level: Level) -> Lineage {
        let mut lineage = Lineage::Unknown;
        let outside = std::mem::replace(&mut self.is_quiet, true);
        self.nested_printed(
            &text_of("expression"),
            &format!("SELECT {sql}"),
            |walker, parsed| {
                for raw in &parsed.stmts {
                    match raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) {
                        Some(NodeEnum::SelectStmt(select)) if select.from_clause.is_empty() => {
                            let level = std::mem::take(&mut level);
                            let columns = walker.in_level(level, |walker| walker.select(select));
                            if let [column] = &columns[..] {
                                lineage = column.lineage.clone();
                            }
                        }
                        Some(other) => walker.nested_statement(other),
                        None => walker.unknown("statement"),
                    }
                }
            },
        );
        self.is_quiet = outside;
        lineage
    }

    /// A relation in a scope, not as something that is read.
    pub(super) fn item_of(&mut self, oid: Oid, name: Option<Rc<str>>) -> Item {
        let columns = self.relation_row(oid);
        let relation = self.world.catalog.relation(oid);
        Item {
            relation: oid,
            row_type: relation.map_or(Ty::Uncertain, |relation| Ty::Known(relation.row_type)),
            is_open: relation.is_none(),
            ..Item::computed(name, columns)
        }
    }

    /// A parameter of a body, or of the statement.
    pub(super) fn parameter(&mut self, number: i32) -> Value {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        if let Some(arguments) = &self.arguments {
            return match index.and_then(|index| arguments.values.get(index)) {
                Some(value) => value.clone(),
                None => Value::unknown(),
            };
        }
        let mut value = Value::constant(self.parameter_type(number));
        // The parameters of a PREPARE get their values elsewhere.
        let values = match self.parameter_types {
            None => &*self.world.parameter_values,
            Some(_) => &[],
        };
        if let Some(Some(text)) = index.and_then(|index| values.get(index)) {
            value.given = super::value::Given::Text((**text).into());
        } else if let Ok(number) = u16::try_from(number) {
            value.given = super::value::Given::Parameter(number);
        }
        value
    }
}
