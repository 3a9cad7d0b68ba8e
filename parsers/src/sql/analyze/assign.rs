//! The relation that a statement changes, and what is assigned to its columns.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar, SubLinkType};

use super::relation::Relations;
use super::scope::Item;
use super::select::has_unknown_columns;
use super::value::{Column, Name, Value};
use super::walk::Walker;
use crate::sql::catalog::{CastContext, Event, Oid, Relation, RelationKind};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::statement::Cause;

/// The relation that a statement changes; never a common table expression.
pub(super) struct Target<'t> {
    pub(super) written: &'t RangeVar,
    pub(super) relations: Relations,
    /// How its columns are seen.
    pub(super) item: Item,
}

impl Target<'_> {
    /// How many columns are known.
    pub(super) fn width(&self) -> usize {
        self.item.columns.len()
    }
}

/// Views over views over views; more than anyone has.
const VIEWS_MAX: usize = 16;

impl Walker<'_> {
    pub(super) fn target_of<'t>(&mut self, relation: &'t RangeVar) -> Target<'t> {
        let relations = self.relations(relation);
        let (name, is_aliased) = match &relation.alias {
            Some(alias) => (&alias.aliasname, true),
            None => (&relation.relname, false),
        };
        let name = Some(Name::from(name.as_str()));
        let mut item = match relations.one() {
            Some(oid) => self.item_of(oid, name),
            None => Item::open(name),
        };
        if !is_aliased && !relation.schemaname.is_empty() {
            item.schema = Some(Name::from(relation.schemaname.as_str()));
        }
        Target {
            written: relation,
            relations,
            item,
        }
    }

    /// The places of columns that are named; none for those that are not known.
    pub(super) fn named_columns(&mut self, target: &Target<'_>, names: &[Node]) -> Vec<Option<usize>> {
        let mut places = Vec::with_capacity(names.len());
        for node in names {
            let Some(NodeEnum::ResTarget(column)) = &node.node else {
                self.unknown("target");
                continue;
            };
            self.subscripts(&column.indirection);
            places.push(self.place_of(target, &column.name));
        }
        places
    }

    fn place_of(&mut self, target: &Target<'_>, name: &str) -> Option<usize> {
        self.spend(target.width() / 16);
        let mut columns = target.item.columns.iter();
        columns.position(|column| *column.name == *name)
    }

    /// A value becomes one of a column; gives where that comes from.
    pub(super) fn assigns(&mut self, target: &Target<'_>, place: Option<usize>, value: &Value) -> Lineage {
        let column = place.and_then(|place| target.item.columns.get(place));
        match column {
            Some(column) if self.coerces_value(value, column.ty, CastContext::Assignment) => Lineage::Unknown,
            _ => value.lineage.clone(),
        }
    }

    /// A value is stored in a column.
    pub(super) fn stores_in(&mut self, target: &Target<'_>, place: Option<usize>, lineage: &Lineage) {
        let column = place.and_then(|place| target.item.columns.get(place));
        self.stores_in_column(column, lineage);
    }

    /// The same for a column of any row that is written.
    pub(super) fn stores_in_column(&mut self, column: Option<&Column>, lineage: &Lineage) {
        // Of a view it is the column below, of a partition its parent's too.
        match column.map(|column| &column.lineage) {
            Some(Lineage::Exact(columns)) if self.is_any_protected(columns) => {}
            _ => self.leaks(lineage),
        }
    }

    /// SET of an UPDATE; gives the places of the columns.
    pub(super) fn assignments(&mut self, targets: &[Node], target: &Target<'_>) -> Vec<usize> {
        let mut places = Vec::with_capacity(targets.len());
        // `(a, b) = ...` comes as one target for each column, all with the same source.
        let mut together: Vec<Value> = Vec::new();
        for node in targets {
            let Some(NodeEnum::ResTarget(assigned)) = &node.node else {
                self.unknown("target");
                continue;
            };
            self.subscripts(&assigned.indirection);
            let value = match assigned.val.as_deref().and_then(|node| node.node.as_ref()) {
                Some(NodeEnum::MultiAssignRef(part)) => {
                    if part.colno <= 1 {
                        together = self.several_values(part.source.as_deref());
                    }
                    let index = usize::try_from(part.colno).unwrap_or(0).saturating_sub(1);
                    together.get(index).cloned().unwrap_or_else(Value::unknown)
                }
                Some(_) => {
                    if let (Some(node), true) = (&assigned.val, assigned.indirection.is_empty()) {
                        self.neutral(node);
                    }
                    self.optional_value(assigned.val.as_deref())
                }
                None => {
                    self.unknown("target");
                    continue;
                }
            };
            let place = self.place_of(target, &assigned.name);
            let lineage = if assigned.indirection.is_empty() {
                self.assigns(target, place, &value)
            } else {
                if let Some(column) = place.and_then(|place| target.item.columns.get(place)) {
                    self.uses_type_of(column.ty);
                }
                value.lineage
            };
            self.stores_in(target, place, &lineage);
            places.extend(place);
        }
        places
    }

    fn several_values(&mut self, source: Option<&Node>) -> Vec<Value> {
        match source.and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::SubLink(link)) if link.sub_link_type == SubLinkType::ExprSublink as i32 => {
                let columns = self.query(link.subselect.as_deref());
                if has_unknown_columns(&columns) {
                    return Vec::new();
                }
                columns.iter().map(Value::column).collect()
            }
            Some(_) => source.map(|node| self.row_values(node)).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The target is read as well.
    pub(super) fn reads_target(&mut self, target: &Target<'_>) {
        let is_certain = target.relations.is_certain;
        for &oid in &target.relations.oids {
            self.read_relation(oid, is_certain);
        }
        if target.relations.may_be_new {
            self.act_on_new(Action::Read, target.written, EffectFlags::NONE);
        }
    }

    /// The effects of changing the target.
    pub(super) fn changes_target(
        &mut self,
        action: Action,
        target: &Target<'_>,
        flags: EffectFlags,
        places: &[usize],
    ) {
        let uncertain = if target.relations.is_certain {
            EffectFlags::NONE
        } else {
            EffectFlags::UNCERTAIN
        };
        for &oid in &target.relations.oids {
            let relation = self.world.catalog.relation(oid);
            let numbers: Vec<i16> = relation.map_or_else(Vec::new, |relation| {
                let columns = places.iter().filter_map(|&place| relation.columns.get(place));
                columns.map(|column| column.number).collect()
            });
            self.changes_relation(action, oid, flags | uncertain, &numbers, 0);
        }
        if target.relations.may_be_new {
            self.act_on_new(action, target.written, flags);
        }
    }

    fn changes_relation(
        &mut self,
        action: Action,
        oid: Oid,
        flags: EffectFlags,
        numbers: &[i16],
        depth: usize,
    ) {
        let effect = self.effect_on(action, oid).with(flags);
        let Some(relation) = self.world.catalog.relation(oid) else {
            return self.add(effect);
        };
        let is_named = |number: i16| numbers.contains(&number);
        let named = relation.columns.iter().filter(|column| is_named(column.number));
        let effect: Effect = effect.on_columns(named.map(|column| column.name.clone()).collect());
        self.add(effect);
        let event = match action {
            Action::Insert => Event::Insert,
            Action::Update => Event::Update,
            Action::Delete => Event::Delete,
            _ => return,
        };
        self.writes(oid, event, numbers);
        if relation.kind != RelationKind::View {
            return;
        }
        // Its query decides which rows there are.
        let read = self.effect_on(Action::Read, oid);
        self.add(read);
        let mut rules = relation.rules.iter();
        let mut triggers = relation.triggers.iter();
        if rules.any(|rule| rule.event == event && rule.instead)
            || triggers.any(|trigger| trigger.instead && trigger.events.contains(&event))
        {
            return;
        }
        // An automatically updatable view: what stands in its FROM changes, which may be a view again.
        let below = match &relation.query {
            Some(query) if depth < VIEWS_MAX => self.sources_of(&relation.name, query),
            _ => Vec::new(),
        };
        if below.is_empty() {
            self.opaque(
                Cause::Definition,
                Object::new(ObjectKind::Relation, relation.name.clone()),
            );
        }
        let uncertain = if below.len() > 1 {
            EffectFlags::UNCERTAIN
        } else {
            EffectFlags::NONE
        };
        for source in below {
            let numbers = self.columns_below(relation, source, numbers);
            self.changes_relation(action, source, flags | uncertain, &numbers, depth + 1);
        }
    }

    /// Which columns of what stands below a view are set where these of the view are; none if that is not known.
    fn columns_below(&mut self, view: &Relation, below: Oid, numbers: &[i16]) -> Vec<i16> {
        let row = self.relation_row(view.oid);
        let row_below = self.relation_row(below);
        let columns_below = self
            .world
            .catalog
            .relation(below)
            .map_or(&[][..], |found| &found.columns);
        let mut found = Vec::new();
        let own = row.iter().zip(&view.columns);
        for (column, _) in own.filter(|(_, own)| numbers.contains(&own.number)) {
            let lineage = column.lineage.clone().without_given();
            let is_same = |below: &Column| below.lineage.clone().without_given() == lineage;
            let is_known = matches!(&lineage, Lineage::Exact(columns) if !columns.is_empty());
            self.spend(row_below.len());
            let same = row_below
                .iter()
                .zip(columns_below)
                .filter(|(column, _)| is_known && is_same(column));
            let before = found.len();
            found.extend(same.map(|(_, own)| own.number));
            if found.len() == before {
                return Vec::new();
            }
        }
        found
    }
}
