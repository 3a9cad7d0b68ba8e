//! What writing to a relation brings with it: triggers, rules, keys, defaults, checks, indexes, partitions.

use std::borrow::Cow;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ParseResult, RuleStmt};

use super::super::nested::text_of;
use super::super::scope::Level;
use super::super::walk::Walker;
use super::Followed;
use crate::sql::catalog::{Event, ForeignKey, KeyAction, Oid, Relation, RelationKind, Trigger};
use crate::sql::effect::{Action, EffectFlags};
use crate::sql::resolve::Named;
use crate::sql::world::Deferred;

impl<'w> Walker<'w> {
    /// Rows of a relation are written. The columns are those that the statement sets; none if they are not known.
    pub(in super::super) fn writes(&mut self, oid: Oid, event: Event, columns: &[i16]) {
        if oid.is_built_in() || !self.follow(Followed::Writes(oid, event, columns.into())) {
            return;
        }
        self.reads.writes(oid);
        let Some(relation) = self.catalog().relation(oid) else {
            return;
        };
        if relation.checks_late && !self.plans_only {
            self.defers(Deferred::Checks);
        }
        let changed = columns_changed(relation, event, columns);
        let columns = &*changed;
        if !self.plans_only {
            self.fires(relation, event, columns);
        }
        self.rules(relation, event);
        match relation.kind {
            // What stands below is changed by the binder, which knows its columns.
            RelationKind::View => {
                if matches!(event, Event::Insert | Event::Update) {
                    self.new_rows(relation, event, columns);
                }
                return;
            }
            RelationKind::Foreign => self.reaches_out(action_of(event), relation),
            _ => {}
        }
        self.checks_rows(relation, event);
        if matches!(event, Event::Update | Event::Delete) || self.plans_only {
            self.plans(relation);
        }
        if matches!(event, Event::Insert | Event::Update) {
            self.new_rows(relation, event, columns);
        }
        // Triggers and keys are no part of a plan.
        if !self.plans_only && matches!(event, Event::Insert | Event::Update) {
            self.points_to(relation, event, columns);
        }
        if !self.plans_only && matches!(event, Event::Update | Event::Delete) {
            self.is_pointed_to(relation, event, columns);
        }
        self.writes_children(relation, event);
    }

    /// TRUNCATE of a relation, by CASCADE also of what points to it, and of the sequences of its columns.
    pub(in super::super) fn truncates(&mut self, oid: Oid, cascade: bool, restart: bool) {
        self.writes(oid, Event::Truncate, &[]);
        let mut todo = vec![oid];
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            if !self.spend(1) || !done.insert(oid) {
                continue;
            }
            if restart && let Some(relation) = self.catalog().relation(oid) {
                self.restarts(relation);
            }
            todo.extend_from_slice(self.catalog().children(oid));
            if !cascade {
                continue;
            }
            for key in self.catalog().keys_to(oid) {
                self.act_on_found(Action::Truncate, key.child, EffectFlags::CASCADE);
                self.writes(key.child, Event::Truncate, &[]);
                todo.push(key.child);
            }
        }
    }

    /// The sequences behind a relation's columns begin anew.
    fn restarts(&mut self, relation: &'w Relation) {
        for column in &relation.columns {
            if !column.identity.is_none() {
                self.act_on_found(Action::Update, column.identity, EffectFlags::NONE);
            }
            if let Some(default) = &column.default {
                // `nextval` in it names the sequence that is owned.
                self.expression_text(default, Some(relation.oid));
            }
        }
    }

    /// Triggers, with their conditions.
    fn fires(&mut self, relation: &'w Relation, event: Event, columns: &[i16]) {
        let fires = |trigger: &&Trigger| {
            let listed = event != Event::Update || touches(&trigger.columns, columns);
            trigger.events.contains(&event) && listed
        };
        for trigger in relation.triggers.iter().filter(fires) {
            if let Some(condition) = &trigger.when {
                self.expression_text(condition, Some(relation.oid));
            }
            self.runs_trigger(trigger.function, relation.oid);
            if trigger.is_deferrable {
                self.defers(Deferred::Checks);
                // By then it runs under the session's own names and rights, whatever code wrote the row.
                self.under_own_names(|walker| walker.runs_trigger(trigger.function, relation.oid));
            }
        }
    }

    /// What is read sees `NEW` and `OLD` as rows of a relation.
    pub(in super::super) fn with_rows(&mut self, relation: Oid, run: impl FnOnce(&mut Self)) {
        let mut level = Level::default();
        for name in ["new", "old"] {
            let item = self.item_of(relation, Some(name.into()));
            level.show_named(item);
        }
        self.in_level(level, run);
    }

    /// Rules: what they do beside or instead of the statement. The statement's own effect stays, for a rule may have a
    /// condition. `NEW` and `OLD` are the relation, which the server takes for read.
    fn rules(&mut self, relation: &'w Relation, event: Event) {
        for rule in relation.rules.iter().filter(|rule| rule.event == event) {
            self.read_relation(relation.oid, true);
            self.code_depth += 1;
            self.nested_printed(&text_of(&rule.name), &rule.definition, |walker, parsed| {
                let Some(rule) = rule_of(parsed) else {
                    return walker.unknown("rule");
                };
                walker.with_rows(relation.oid, |walker| {
                    walker.optional(rule.where_clause.as_deref());
                    walker.nodes_with_gaps(&rule.actions);
                });
            });
            self.code_depth -= 1;
        }
    }

    /// Whether a rule of a relation, or of what stands below a view, may give rows in the place of those that change.
    pub(in super::super) fn rules_return(&mut self, oid: Oid, event: Event) -> bool {
        let mut todo = vec![oid];
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            let Some(relation) = self.catalog().relation(oid).filter(|_| done.insert(oid)) else {
                continue;
            };
            let returns = |definition: &str| definition.to_ascii_lowercase().contains("returning");
            let mut rules = relation.rules.iter().filter(|rule| rule.event == event);
            if rules.any(|rule| returns(&rule.definition)) {
                return true;
            }
            if let (RelationKind::View, Some(query)) = (relation.kind, &relation.query) {
                todo.extend(self.without_effects(|walker| walker.sources_of(&relation.name, query)));
            }
        }
        false
    }

    /// The relations that stand in the outermost FROM of a view: one, if the view can be written to and the name is
    /// certain, else every candidate.
    pub(in super::super) fn sources_of(&mut self, name: &str, query: &str) -> Vec<Oid> {
        let mut found = Vec::new();
        self.nested_printed(&text_of(name), query, |walker, parsed| {
            for source in from_of(parsed) {
                let Some(NodeEnum::RangeVar(relation)) = &source.node else {
                    continue;
                };
                let schema = (!relation.schemaname.is_empty()).then_some(&*relation.schemaname);
                match walker.resolver.relation(schema, &relation.relname) {
                    Named::One(oid) => found.push(oid),
                    Named::Several(candidates) => found.extend(candidates),
                    Named::Missing => {}
                }
            }
        });
        found
    }

    /// New rows: defaults, generated columns, sequences, domains, checks, indexes, partition keys. Columns that a
    /// statement sets may be set to DEFAULT, so all defaults count.
    fn new_rows(&mut self, relation: &'w Relation, event: Event, columns: &[i16]) {
        let here = Some(relation.oid);
        for column in &relation.columns {
            let is_set = columns.is_empty() || columns.contains(&column.number);
            let is_new = event == Event::Insert || is_set;
            if is_new {
                self.uses_type(column.type_oid);
            }
            if is_new && !column.identity.is_none() && !self.plans_only {
                self.act_on_found(Action::Update, column.identity, EffectFlags::NONE);
            }
            if let Some(default) = column.default.as_ref().filter(|_| is_new && !column.is_generated) {
                let value = self.expression_text(default, here);
                let row = self.relation_row(relation.oid);
                let place = row.iter().find(|known| *known.name == *column.name);
                self.stores_in_column(place, &value);
            }
        }
        self.recomputes(relation.oid);
    }

    /// What the server computes of every row that it stores, indexes or checks.
    pub(in super::super) fn recomputes(&mut self, oid: Oid) {
        let Some(relation) = self.catalog().relation(oid).filter(|_| !oid.is_built_in()) else {
            return;
        };
        if !self.follow(Followed::Recomputes(oid)) {
            return;
        }
        let checks = relation.checks.iter().chain(&relation.index_expressions);
        for expression in checks.chain(&relation.partition_expressions) {
            self.expression_text(expression, Some(oid));
        }
        let generated = relation.columns.iter().filter(|column| column.is_generated);
        for expression in generated.filter_map(|column| column.default.as_ref()) {
            self.expression_text(expression, Some(oid));
        }
        for &function in &relation.index_functions {
            self.runs_support(function);
        }
        // Whether a row is a partition's, the keys of all above it tell.
        for &parent in &relation.parents {
            if let Some(above) = self.catalog().relation(parent)
                && above.kind == RelationKind::Partitioned
            {
                self.recomputes(parent);
            }
        }
    }

    /// The types of all columns: an index compares its keys, statistics are gathered of every type.
    pub(in super::super) fn uses_columns_types(&mut self, oid: Oid) {
        for column in self
            .catalog()
            .relation(oid)
            .map_or(&[][..], |found| &found.columns)
        {
            self.uses_type(column.type_oid);
        }
    }

    /// The keys of new rows are looked up where they point to.
    fn points_to(&mut self, relation: &'w Relation, event: Event, columns: &[i16]) {
        for key in self.catalog().keys_of(relation.oid) {
            if event == Event::Insert || touches(&key.child_columns, columns) {
                self.act_on_found(Action::Read, key.parent, EffectFlags::NONE);
                self.reads.writes(key.parent);
                self.reads(key.parent);
            }
        }
    }

    /// Foreign keys of a relation and to it are checked for all rows, those of what it is a partition of too.
    pub(in super::super) fn checks_keys(&mut self, oid: Oid) {
        let catalog = self.catalog();
        let mut todo = vec![oid];
        let mut done = hashbrown::HashSet::new();
        while let Some(oid) = todo.pop() {
            if !self.spend(1) || !done.insert(oid) {
                continue;
            }
            let ends = catalog.keys_of(oid).map(|key| key.parent);
            for end in ends.chain(catalog.keys_to(oid).map(|key| key.child)) {
                self.act_on_found(Action::Read, end, EffectFlags::NONE);
                self.reads(end);
            }
            if let Some(relation) = catalog.relation(oid) {
                todo.extend_from_slice(&relation.parents);
            }
        }
    }

    /// Rows that go, or whose keys change, are looked up where something may point to them, and taken along.
    fn is_pointed_to(&mut self, relation: &'w Relation, event: Event, columns: &[i16]) {
        for key in self.catalog().keys_to(relation.oid) {
            let action = match event {
                Event::Delete => key.on_delete,
                _ if touches(&key.parent_columns, columns) => key.on_update,
                _ => continue,
            };
            self.act_on_found(Action::Read, key.child, EffectFlags::NONE);
            self.reads.writes(key.child);
            self.reads(key.child);
            if action == KeyAction::Nothing {
                // Another row may have the key by now.
                self.act_on_found(Action::Read, key.parent, EffectFlags::NONE);
                self.reads(key.parent);
            }
            self.follows_key(key, event, action);
        }
    }

    fn follows_key(&mut self, key: &'w ForeignKey, event: Event, action: KeyAction) {
        let on_child = match (action, event) {
            (KeyAction::Nothing, _) => return,
            (KeyAction::Cascade, Event::Delete) => Event::Delete,
            (KeyAction::Cascade | KeyAction::SetNull | KeyAction::SetDefault, _) => Event::Update,
        };
        let effect = self.effect_on(action_of(on_child), key.child);
        let mut effect = effect.with(EffectFlags::CASCADE);
        let columns: &[i16] = if on_child == Event::Update {
            &key.child_columns
        } else {
            &[]
        };
        if let Some(child) = self.catalog().relation(key.child) {
            let set = child.columns.iter().filter(|c| columns.contains(&c.number));
            effect = effect.on_columns(set.map(|column| column.name.clone()).collect());
        }
        self.add(effect);
        self.writes(key.child, on_child, columns);
    }

    /// What is a partition of the relation or inherits from it is written too. A row that is moved to another partition
    /// is deleted there and inserted here.
    fn writes_children(&mut self, relation: &'w Relation, event: Event) {
        let is_partitioned = relation.kind == RelationKind::Partitioned;
        if event == Event::Insert && !is_partitioned {
            return;
        }
        for &child in self.catalog().children(relation.oid) {
            self.act_on_found(action_of(event), child, EffectFlags::NONE);
            self.writes(child, event, &[]);
            if event == Event::Update && is_partitioned && !self.plans_only {
                self.moves(child);
            }
        }
    }

    /// Keys to the partition itself take it for a deletion.
    fn moves(&mut self, oid: Oid) {
        for event in [Event::Delete, Event::Insert] {
            if self.follow(Followed::Fires(oid, event))
                && let Some(relation) = self.catalog().relation(oid)
            {
                self.fires(relation, event, &[]);
                if event == Event::Delete {
                    self.is_pointed_to(relation, event, &[]);
                }
            }
        }
    }
}

/// The columns that change where these are set: generated ones too, and any that a trigger may assign to before the row
/// is stored.
fn columns_changed<'c>(relation: &Relation, event: Event, set: &'c [i16]) -> Cow<'c, [i16]> {
    if event != Event::Update || set.is_empty() {
        return Cow::Borrowed(set);
    }
    let mut triggers = relation.triggers.iter();
    if triggers.any(|trigger| trigger.sets_row && trigger.events.contains(&event)) {
        return Cow::Borrowed(&[]);
    }
    let generated = relation.columns.iter().filter(|column| column.is_generated);
    let mut changed = set.to_vec();
    changed.extend(generated.map(|column| column.number));
    changed.into()
}

/// Whether one of some columns is set; of columns that are not known any may be.
fn touches(columns: &[i16], set: &[i16]) -> bool {
    columns.is_empty() || set.is_empty() || columns.iter().any(|column| set.contains(column))
}

/// What an event is called as an effect.
fn action_of(event: Event) -> Action {
    match event {
        Event::Select => Action::Read,
        Event::Insert => Action::Insert,
        Event::Update => Action::Update,
        Event::Delete => Action::Delete,
        Event::Truncate => Action::Truncate,
    }
}

fn rule_of(parsed: &ParseResult) -> Option<&RuleStmt> {
    match parsed.stmts.first()?.stmt.as_ref()?.node.as_ref()? {
        NodeEnum::RuleStmt(rule) => Some(rule),
        _ => None,
    }
}

fn from_of(parsed: &ParseResult) -> &[Node] {
    let first = parsed.stmts.first().and_then(|raw| raw.stmt.as_ref());
    match first.and_then(|stmt| stmt.node.as_ref()) {
        Some(NodeEnum::SelectStmt(select)) => &select.from_clause,
        _ => &[],
    }
}
