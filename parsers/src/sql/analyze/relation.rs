//! Relations: what a name means, the effects on it, and which of its columns are read.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use pg_query::protobuf::RangeVar;
use smallvec::SmallVec;

use super::value::{Column, Row};
use super::walk::{Walker, relation_object};
use crate::sql::catalog::{Catalog, Found, Oid, Relation, RelationKind};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::lineage::{BaseColumn, Lineage};
use crate::sql::resolve::{Named, Ty};
use crate::sql::statement::Cause;

/// Relations that were read.
#[derive(Default)]
pub(super) struct Reads {
    /// Where the effects stand, which may differ in their flags.
    effects: HashMap<(Oid, EffectFlags), usize>,
    /// The columns that were used, by their place in the relation.
    columns: HashMap<Oid, SmallVec<[u64; 1]>>,
    /// A name was not found: it may be that of a column which the catalog does not show yet.
    misses_names: bool,
    /// Relations that are written, or looked through for a key.
    written: HashSet<Oid>,
    /// What an error says of a row of those may be read.
    shows_written: bool,
}

impl Reads {
    /// The relations, those too of which errors tell.
    pub(super) fn relations(&self) -> impl Iterator<Item = Oid> {
        let written = self.written.iter().filter(|_| self.shows_written);
        self.effects.keys().map(|&(oid, _)| oid).chain(written.copied())
    }

    /// A name that stands for a column or a row means nothing that is known.
    pub(super) fn misses_name(&mut self) {
        self.misses_names = true;
    }

    /// Rows of a relation are written, or looked through for a key.
    pub(super) fn writes(&mut self, relation: Oid) {
        self.written.insert(relation);
    }

    /// Errors are caught, which tell of rows.
    pub(super) fn shows_written(&mut self) {
        self.shows_written = true;
    }
}

/// What a relation's name means.
pub(super) struct Relations {
    /// The relation, or every candidate.
    pub(super) oids: Found,
    /// There is one and no other.
    pub(super) is_certain: bool,
    /// It may also be one that the catalog does not have.
    pub(super) may_be_new: bool,
}

impl Relations {
    /// The one relation.
    pub(super) fn one(&self) -> Option<Oid> {
        match self.oids[..] {
            [oid] if self.is_certain => Some(oid),
            _ => None,
        }
    }
}

/// A relation as effects name it, with the flags of a catalog.
pub(super) fn object(catalog: &Catalog, relation: &Relation) -> (Object, EffectFlags) {
    let schema = catalog.schema(relation.schema);
    let schema_name = schema.map_or("", |schema| &schema.name);
    let kind = if relation.kind == RelationKind::Sequence {
        ObjectKind::Sequence
    } else {
        ObjectKind::Relation
    };
    let mut flags = catalog_flag(schema_name);
    if relation.is_sensitive {
        flags |= EffectFlags::SENSITIVE;
    }
    (Object::in_schema(kind, schema_name, &relation.name), flags)
}

/// The flag of objects in the server's own schemas.
fn catalog_flag(schema: &str) -> EffectFlags {
    if matches!(schema, "pg_catalog" | "information_schema") {
        EffectFlags::CATALOG
    } else {
        EffectFlags::NONE
    }
}

/// The system columns that every table has: their number, name and type.
const SYSTEM_COLUMNS: [(i16, &str, Oid); 6] = [
    (-1, "ctid", Oid(27)),
    (-2, "xmin", Oid(28)),
    (-3, "cmin", Oid(29)),
    (-4, "xmax", Oid(28)),
    (-5, "cmax", Oid(29)),
    (-6, "tableoid", Oid(26)),
];

/// The value of a system column.
pub(super) fn system_column(relation: Oid, name: &str) -> Option<Column> {
    let (number, name, type_oid) = *SYSTEM_COLUMNS.iter().find(|(_, known, _)| *known == name)?;
    Some(Column {
        name: name.into(),
        ty: Ty::Known(type_oid),
        lineage: Lineage::column(BaseColumn { relation, number }),
        origin: Some(BaseColumn { relation, number }),
        row: None,
    })
}

/// Whether a schema's name is that of a session's temporary objects. Only its own are in a session's catalog; others'
/// views can be read, and run what they say.
fn is_of_temporary_objects(schema: &str) -> bool {
    schema.starts_with("pg_temp_") || schema.starts_with("pg_toast_temp_")
}

/// Columns for which catalogs are sensitive whose other columns are not: what they tell of values, and secrets.
const SENSITIVE_COLUMNS: [(&str, &[&str]); 7] = [
    ("pg_authid", &["rolpassword"]),
    ("pg_shadow", &["passwd"]),
    ("pg_stats", &VALUES_OF_STATISTICS),
    ("pg_stats_ext", &["most_common_vals", "most_common_val_nulls"]),
    ("pg_subscription", &["subconninfo"]),
    ("pg_user_mapping", &["umoptions"]),
    ("pg_user_mappings", &["umoptions"]),
];

const VALUES_OF_STATISTICS: [&str; 5] = [
    "histogram_bounds",
    "most_common_elems",
    "most_common_vals",
    "range_bounds_histogram",
    "range_length_histogram",
];

/// Whether nothing sensitive is in these columns of a sensitive catalog.
fn tells_nothing(catalog: &str, columns: &[Box<str>]) -> bool {
    let known = SENSITIVE_COLUMNS.iter().find(|(name, _)| *name == catalog);
    known.is_some_and(|(_, sensitive)| !columns.iter().any(|column| sensitive.contains(&&**column)))
}

/// Whether the column at that place was used.
fn is_used(words: &[u64], index: usize) -> bool {
    words
        .get(index / 64)
        .is_some_and(|word| word & (1 << (index % 64)) != 0)
}

impl Walker<'_> {
    /// What the name of a relation means; never a common table expression.
    pub(super) fn relations(&self, relation: &RangeVar) -> Relations {
        let catalog = &self.world.catalog;
        if !relation.catalogname.is_empty()
            && !catalog.database.is_empty()
            && *relation.catalogname != *catalog.database
        {
            // The server refuses it.
            return Relations {
                oids: Found::new(),
                is_certain: false,
                may_be_new: true,
            };
        }
        let schema = (!relation.schemaname.is_empty()).then_some(relation.schemaname.as_str());
        match self.resolver.relation(schema, &relation.relname) {
            Named::One(oid) => Relations {
                oids: Found::from_slice(&[oid]),
                is_certain: true,
                may_be_new: false,
            },
            Named::Several(oids) => Relations {
                may_be_new: oids.is_empty() || self.resolver.is_touched(&relation.relname),
                oids,
                is_certain: false,
            },
            Named::Missing => Relations {
                oids: Found::new(),
                is_certain: false,
                may_be_new: true,
            },
        }
    }

    /// An effect on a relation of the catalog. One that was touched may have others below it by now.
    pub(super) fn effect_on(&self, action: Action, oid: Oid) -> Effect {
        if let Some(relation) = self.world.catalog.relation(oid) {
            let (object, mut flags) = object(&self.world.catalog, relation);
            if self.resolver.is_touched(&relation.name) {
                flags |= EffectFlags::UNCERTAIN;
            }
            Effect::new(action, object).with(flags)
        } else {
            let object = Object::new(ObjectKind::Relation, oid.to_string());
            Effect::new(action, object).with(EffectFlags::UNCERTAIN)
        }
    }

    /// Effects on all that the name of a relation may mean; gives what it means.
    pub(super) fn act_on(&mut self, action: Action, relation: &RangeVar, flags: EffectFlags) -> Relations {
        let relations = self.relations(relation);
        let uncertain = if relations.is_certain {
            EffectFlags::NONE
        } else {
            EffectFlags::UNCERTAIN
        };
        for &oid in &relations.oids {
            let effect = self.effect_on(action, oid);
            self.add(effect.with(flags | uncertain));
        }
        if relations.may_be_new {
            self.act_on_new(action, relation, flags);
        }
        relations
    }

    /// An effect on a relation that the catalog does not have, named as it is written. If the session has made it, or given
    /// it its name, it may have triggers, rules or the query of a view.
    pub(super) fn act_on_new(&mut self, action: Action, relation: &RangeVar, flags: EffectFlags) {
        let object = relation_object(ObjectKind::Relation, Some(relation));
        let runs_code = matches!(
            action,
            Action::Read | Action::Insert | Action::Update | Action::Delete | Action::Truncate
        );
        if runs_code && self.resolver.has_unseen_code(&relation.relname) {
            self.opaque(Cause::Definition, object.clone());
        }
        if is_of_temporary_objects(&relation.schemaname) {
            self.opaque(Cause::OtherSession, object.clone());
        }
        let flags = flags | catalog_flag(&relation.schemaname) | EffectFlags::UNCERTAIN;
        self.add(Effect::new(action, object).with(flags));
    }

    /// The relation is read; which columns of it is said by [`Self::uses_column`]. If none is, its rows are counted.
    pub(super) fn read_relation(&mut self, oid: Oid, is_certain: bool) {
        self.sources += 1;
        let mut flags = self.flags_here();
        if !is_certain {
            flags |= EffectFlags::UNCERTAIN;
        }
        if self.reads.effects.contains_key(&(oid, flags)) {
            return;
        }
        let effect = self.effect_on(Action::Read, oid).with(flags);
        self.effects.push(effect);
        self.reads.effects.insert((oid, flags), self.effects.len() - 1);
        self.reads(oid);
    }

    /// A column of a relation is used, by its place among the relation's columns.
    pub(super) fn uses_column(&mut self, oid: Oid, index: usize) {
        let words = self.reads.columns.entry(oid).or_default();
        let word = index / 64;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        if let Some(word) = words.get_mut(word) {
            *word |= 1 << (index % 64);
        }
    }

    /// All columns of a relation are used.
    pub(super) fn uses_all_columns(&mut self, oid: Oid) {
        let columns = self.world.catalog.relation(oid);
        for index in 0..columns.map_or(0, |relation| relation.columns.len()) {
            self.uses_column(oid, index);
        }
    }

    /// Writes the columns that were used into the effects of reading. Where none was although everything is known, no value
    /// is read.
    pub(super) fn finish_reads(&mut self) {
        let knows_all = !(self.reads.misses_names || self.is_spent || self.is_opaque());
        for (&(oid, _), &place) in &self.reads.effects {
            let Some(relation) = self.world.catalog.relation(oid) else {
                continue;
            };
            let Some(words) = self.reads.columns.get(&oid) else {
                if let Some(effect) = self.effects.get_mut(place)
                    && knows_all
                    && !relation.columns.is_empty()
                    && !effect.flags.contains(EffectFlags::UNCERTAIN)
                {
                    effect.flags |= EffectFlags::ROWS;
                }
                continue;
            };
            let columns = relation.columns.iter().enumerate();
            let used = columns.filter(|&(index, _)| is_used(words, index));
            let names: Vec<Box<str>> = used.map(|(_, column)| column.name.clone()).collect();
            let is_told = oid.is_built_in() && !names.is_empty() && tells_nothing(&relation.name, &names);
            if let Some(effect) = self.effects.get_mut(place) {
                let mut own = std::mem::replace(effect, Effect::new(Action::Read, Object::nothing()));
                if is_told {
                    own.flags = own.flags.without(EffectFlags::SENSITIVE);
                }
                *effect = own.on_columns(names);
            }
        }
    }

    /// The protected columns that are read. Of a relation without a word on its columns, all are.
    pub(super) fn protected_reads(&self) -> SmallVec<[BaseColumn; 1]> {
        let mut found = SmallVec::new();
        if self.world.protected.is_empty() {
            return found;
        }
        let catalog = &self.world.catalog;
        for oid in self.reads.relations() {
            let words = self.reads.columns.get(&oid);
            let columns = catalog
                .relation(oid)
                .map_or(&[][..], |relation| &relation.columns);
            for (index, column) in columns.iter().enumerate() {
                let base = BaseColumn {
                    relation: oid,
                    number: column.number,
                };
                if self.world.protected.contains(&base) && words.is_none_or(|words| is_used(words, index)) {
                    found.push(base);
                }
            }
            found.extend(self.protected_family(oid).into_iter().map(|(_, base)| base));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Protected columns of the relations that this one is a parent or a child of, by name: the rows of a partition are
    /// its parent's, and what a parent gives may be a partition's.
    pub(super) fn protected_family(&self, oid: Oid) -> Vec<(&str, BaseColumn)> {
        let catalog = &self.world.catalog;
        let is_alone = catalog.children(oid).is_empty()
            && catalog
                .relation(oid)
                .is_none_or(|relation| relation.parents.is_empty());
        if self.world.protected.is_empty() || is_alone {
            return Vec::new();
        }
        let mut kin = catalog.with_children(oid);
        kin.remove(&oid);
        let mut todo = vec![oid];
        while let Some(child) = todo.pop() {
            for &parent in catalog
                .relation(child)
                .map_or(&[][..], |relation| &relation.parents)
            {
                if kin.insert(parent) {
                    todo.push(parent);
                }
            }
        }
        let columns = self
            .world
            .protected
            .iter()
            .filter(|column| kin.contains(&column.relation));
        let named = columns.filter_map(|&base| {
            let column = catalog.column(base.relation, base.number)?;
            Some((&*column.name, base))
        });
        named.collect()
    }

    /// The columns of a relation as a query sees them: those of a view come from what it reads.
    pub(super) fn relation_row(&mut self, oid: Oid) -> Row {
        if let Some(row) = self.rows.get(&oid) {
            return Rc::clone(row);
        }
        let row = match self.world.catalog.relation(oid) {
            Some(relation) => {
                self.spend(relation.columns.len());
                let below = match relation.kind {
                    RelationKind::View | RelationKind::Materialized => self.view_row(relation),
                    _ => None,
                };
                let is_view = relation.kind == RelationKind::View && !oid.is_built_in();
                let family = self.protected_family(oid);
                let columns = relation.columns.iter().enumerate().map(|(index, column)| {
                    let mut own = Lineage::column(BaseColumn {
                        relation: oid,
                        number: column.number,
                    });
                    for (_, kin) in family.iter().filter(|(name, _)| **name == *column.name) {
                        own = own.or(&Lineage::column(*kin));
                    }
                    let given = below.as_ref().map(|row| row.get(index));
                    let (lineage, row) = match given {
                        Some(Some(given)) if is_view => (given.lineage.clone(), given.row.clone()),
                        // What was stored is as it was there.
                        Some(Some(given)) => (own.or(&given.lineage), given.row.clone()),
                        Some(None) => (Lineage::Unknown, None),
                        None if is_view => (Lineage::Unknown, None),
                        None => (own, None),
                    };
                    Column {
                        name: (*column.name).into(),
                        ty: Ty::Known(column.type_oid),
                        lineage,
                        origin: Some(BaseColumn {
                            relation: oid,
                            number: column.number,
                        }),
                        row,
                    }
                });
                columns.collect()
            }
            None => Row::from([]),
        };
        self.rows.insert(oid, Rc::clone(&row));
        let row = self.with_generated(oid, row);
        self.rows.insert(oid, Rc::clone(&row));
        row
    }

    /// What is generated from a protected column is of it, whatever the table calls it.
    fn with_generated(&mut self, oid: Oid, row: Row) -> Row {
        let catalog = &self.world.catalog;
        let columns = match catalog.relation(oid) {
            Some(relation) if !self.world.protected.is_empty() && !oid.is_built_in() => &relation.columns[..],
            _ => return row,
        };
        if !columns.iter().any(|column| column.is_generated) {
            return row;
        }
        let mut row = row.to_vec();
        for (known, column) in columns
            .iter()
            .zip(&mut row)
            .filter(|(known, _)| known.is_generated)
        {
            let Some(expression) = &known.default else {
                continue;
            };
            let value = self.without_effects(|walker| walker.expression_text(expression, Some(oid)));
            if self.is_protected(&value) {
                column.lineage = column.lineage.clone().with(&value);
            }
        }
        Row::from(row)
    }
}
