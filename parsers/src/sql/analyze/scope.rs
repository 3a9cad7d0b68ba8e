//! Scopes: the queries around a place, what stands in their FROM, and which column a name means.

use std::rc::Rc;

use hashbrown::HashMap;

use super::relation::system_column;
use super::value::{Column, Name, Row, Value};
use super::walk::Walker;
use crate::sql::catalog::Oid;
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;

/// A common table expression.
#[derive(Clone)]
pub(super) struct Cte {
    pub(super) name: Name,
    pub(super) columns: Row,
    /// Its columns are not known (yet).
    pub(super) is_open: bool,
}

/// What a function was called with whose body is walked.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) function: Name,
    /// The relation whose trigger it is, if it is one.
    pub(super) relation: Oid,
    /// Input arguments in order.
    pub(super) values: Vec<Value>,
    /// Their names and those of variables.
    pub(super) named: HashMap<Name, Value>,
}

/// Something in FROM.
#[derive(Clone)]
pub(super) struct Item {
    /// What it is called; none cannot be named.
    pub(super) name: Option<Name>,
    /// The schema by which it can be qualified further.
    pub(super) schema: Option<Name>,
    pub(super) columns: Row,
    /// The relation whose columns these are; none if they are computed.
    pub(super) relation: Oid,
    /// The type of a row.
    pub(super) row_type: Ty,
    /// There may be columns that are not known.
    pub(super) is_open: bool,
    /// A function that gives plain values: its row is the value.
    pub(super) is_scalar: bool,
}

impl Item {
    /// Rows of computed columns.
    pub(super) fn computed(name: Option<Name>, columns: Row) -> Self {
        Self {
            name,
            schema: None,
            columns,
            relation: Oid::NONE,
            row_type: Ty::Known(super::types::RECORD),
            is_open: false,
            is_scalar: false,
        }
    }

    /// Rows of which nothing is known.
    pub(super) fn open(name: Option<Name>) -> Self {
        Self {
            is_open: true,
            row_type: Ty::Uncertain,
            ..Self::computed(name, Row::from([]))
        }
    }
}

/// A column of an item, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) item: u32,
    pub(super) column: u32,
}

/// The FROM of one query.
#[derive(Default)]
pub(super) struct Level {
    pub(super) items: Vec<Item>,
    /// Items that can be named.
    pub(super) names: Vec<u32>,
    /// Columns that can be named alone, in the order of `*`.
    pub(super) columns: Vec<Slot>,
    /// What stands before these cannot be seen: a join's condition sees its two sides only.
    pub(super) from: (usize, usize),
    /// What stands in FROM cannot be seen from a sub-query in FROM that is not LATERAL.
    pub(super) is_hidden: bool,
    /// An item whose columns are not known can be seen.
    pub(super) is_open: bool,
    index: Index,
}

/// Finds columns by name, once there are many.
#[derive(Default)]
struct Index {
    columns: HashMap<Name, Slot>,
    /// How many columns it was built over.
    len: usize,
    /// Those are no longer the same.
    is_stale: bool,
}

impl Index {
    /// How many columns are in it.
    fn built(&self) -> usize {
        if self.is_stale { 0 } else { self.len }
    }
}

/// From this many columns on, names are looked up instead of searched.
const SEARCHED_MAX: usize = 32;

impl Level {
    pub(super) fn push(&mut self, item: Item) -> u32 {
        self.is_open |= item.is_open;
        self.items.push(item);
        u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn item(&self, index: u32) -> Option<&Item> {
        self.items.get(index as usize)
    }

    pub(super) fn column(&self, slot: Slot) -> Option<&Column> {
        self.item(slot.item)?.columns.get(slot.column as usize)
    }

    /// Lets an item and its columns be seen.
    pub(super) fn show(&mut self, item: Item) -> u32 {
        let columns = u32::try_from(item.columns.len()).unwrap_or(u32::MAX);
        let index = self.push(item);
        self.names.push(index);
        let slots = (0..columns).map(|column| Slot { item: index, column });
        self.columns.extend(slots);
        index
    }

    /// Lets an item be seen by its name alone: `excluded`, `old`.
    pub(super) fn show_named(&mut self, item: Item) {
        let index = self.push(item);
        self.names.push(index);
    }

    /// The columns that can be named alone here.
    pub(super) fn visible(&self) -> &[Slot] {
        self.columns.get(self.from.1..).unwrap_or(&[])
    }

    /// How many columns would have to be looked at to find one.
    fn work(&self) -> usize {
        if self.is_searched() {
            self.visible().len()
        } else {
            self.columns.len().saturating_sub(self.index.built())
        }
    }

    fn is_searched(&self) -> bool {
        self.from.1 > 0 || self.columns.len() <= SEARCHED_MAX
    }

    fn find_column(&mut self, name: &str) -> Option<Slot> {
        if self.is_searched() {
            let mut slots = self.visible().iter().copied();
            return slots.find(|&slot| self.column(slot).is_some_and(|column| *column.name == *name));
        }
        let mut index = std::mem::take(&mut self.index);
        if index.is_stale {
            index = Index::default();
        }
        for &slot in self.columns.get(index.len..).unwrap_or(&[]) {
            if let Some(column) = self.column(slot) {
                // The first of a name; a second makes the name an error for the server.
                index.columns.entry(Rc::clone(&column.name)).or_insert(slot);
            }
        }
        index.len = self.columns.len();
        self.index = index;
        self.index.columns.get(name).copied()
    }

    /// What was built for finding columns is out of date.
    pub(super) fn changed(&mut self) {
        self.index.is_stale = true;
    }

    fn find_item(&self, schema: Option<&str>, name: &str) -> Option<u32> {
        let names = self.names.get(self.from.0..).unwrap_or(&[]);
        names.iter().copied().find(|&index| {
            self.item(index).is_some_and(|item| {
                item.name.as_deref() == Some(name) && (schema.is_none() || item.schema.as_deref() == schema)
            })
        })
    }
}

/// A column or a row that a name means, and where it was found.
pub(super) enum Hit {
    /// A column of an item.
    Column { level: usize, slot: Slot },
    /// An item as a whole.
    Item { level: usize, item: u32 },
}

impl Walker<'_> {
    /// The query that is being walked.
    pub(super) fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Lets an item and its columns be seen in the query that is being walked.
    pub(super) fn show(&mut self, item: Item) {
        let item = if self.spend(item.columns.len()) {
            item
        } else {
            Item::open(item.name)
        };
        self.level().show(item);
    }

    /// Walks something that sees what stands in a FROM of its own.
    pub(super) fn in_level<T>(&mut self, level: Level, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.levels.push(level);
        let result = walk(self);
        self.levels.pop();
        result
    }

    /// The levels that can be seen from here, innermost first.
    fn seen_levels(&self) -> impl Iterator<Item = usize> + use<> {
        let seen: smallvec::SmallVec<[usize; 8]> = (0..self.levels.len())
            .rev()
            .filter(|&index| !self.levels[index].is_hidden)
            .collect();
        seen.into_iter()
    }

    /// What an unqualified name means.
    pub(super) fn find_column(&mut self, name: &str) -> Option<Hit> {
        let mut is_open = false;
        for level in self.seen_levels() {
            self.spend(self.levels[level].work() / 16);
            if let Some(slot) = self.levels[level].find_column(name) {
                if is_open {
                    // Unless what is not known further in has one of that name.
                    self.uses_slot(level, slot);
                    return None;
                }
                return Some(Hit::Column { level, slot });
            }
            is_open |= self.levels[level].is_open;
        }
        None
    }

    /// What the name of something in FROM means.
    pub(super) fn find_item(&mut self, schema: Option<&str>, name: &str) -> Option<Hit> {
        self.seen_levels().find_map(|level| {
            self.spend(self.levels[level].names.len() / 16);
            let item = self.levels[level].find_item(schema, name)?;
            Some(Hit::Item { level, item })
        })
    }

    /// Notes that a column of an item may be used, whatever for.
    pub(super) fn uses_slot(&mut self, level: usize, slot: Slot) {
        let _value = self.column_value(level, slot);
    }

    /// The value of a column of an item.
    pub(super) fn column_value(&mut self, level: usize, slot: Slot) -> Value {
        let Some(found) = self.levels.get(level) else {
            return Value::unknown();
        };
        let (Some(item), Some(column)) = (found.item(slot.item), found.column(slot)) else {
            return Value::unknown();
        };
        let value = Value {
            varies: true,
            ..Value::column(column)
        };
        let relation = item.relation;
        if !relation.is_none() {
            self.uses_column(relation, slot.column as usize);
        }
        value
    }

    /// The value of `item.name`; none if there is no such column.
    pub(super) fn item_column(&mut self, level: usize, index: u32, name: &str) -> Option<Value> {
        let item = self.levels.get(level)?.item(index)?;
        self.work_by(item.columns.len() / 16);
        let item = self.levels.get(level)?.item(index)?;
        if let Some(column) = item.columns.iter().position(|column| *column.name == *name) {
            let column = u32::try_from(column).ok()?;
            return Some(self.column_value(level, Slot { item: index, column }));
        }
        if item.relation.is_none() {
            return None;
        }
        system_column(item.relation, name).map(|column| Value::column(&column))
    }

    fn work_by(&mut self, work: usize) {
        let _the_next_expression_stops = self.spend(work);
    }

    /// A row of an item as one value.
    pub(super) fn item_value(&mut self, level: usize, index: u32) -> Value {
        let Some(item) = self.levels.get(level).and_then(|level| level.item(index)) else {
            return Value::unknown();
        };
        if item.is_scalar && item.columns.len() == 1 {
            return self.column_value(
                level,
                Slot {
                    item: index,
                    column: 0,
                },
            );
        }
        let (row, ty, relation, is_open) = (
            Rc::clone(&item.columns),
            item.row_type,
            item.relation,
            item.is_open,
        );
        if !self.spend(row.len()) {
            return Value::unknown();
        }
        if !relation.is_none() {
            for column in 0..row.len() {
                self.uses_column(relation, column);
            }
        }
        let lineage = if is_open {
            Lineage::Unknown
        } else {
            self.row_lineage(&row)
        };
        Value {
            lineage,
            row: Some(row),
            is_single: false,
            ..Value::constant(ty)
        }
    }

    /// The lineage of a row as one value.
    pub(super) fn row_lineage(&mut self, row: &[Column]) -> Lineage {
        let mut all = Lineage::constant();
        for column in row {
            all = self.merge(all, &column.lineage);
        }
        all.derived()
    }

    /// Both lineages together. Very wide ones are not followed.
    pub(super) fn merge(&mut self, left: Lineage, right: &Lineage) -> Lineage {
        let more = right.columns().map_or(0, <[_]>::len);
        if more > 1 {
            self.work_by(more);
        }
        let merged = left.or(right);
        if merged
            .columns()
            .is_some_and(|columns| columns.len() > LINEAGE_MAX)
        {
            return Lineage::Unknown;
        }
        merged
    }
}

/// As many columns as a row of a query can have.
const LINEAGE_MAX: usize = 1664;
