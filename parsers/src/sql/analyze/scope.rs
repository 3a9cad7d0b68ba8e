//! Stand-ins for the binder's.
use hashbrown::HashMap;
use super::value::{Name, Row, Value};
use super::walk::Walker;
use crate::sql::catalog::Oid;
#[derive(Default)]
pub(super) struct Arguments { pub(super) function: Name, pub(super) values: Vec<Value>, pub(super) named: HashMap<Name, Value> }
#[derive(Default)]
pub(super) struct Level;
pub(super) struct Item;
impl Item { pub(super) fn open(_name: Option<Name>) -> Self { Self } }
impl Level { pub(super) fn show_named(&mut self, _item: Item) {} pub(super) fn show(&mut self, _item: Item) -> u32 { 0 } }
impl Walker<'_> {
    pub(super) fn in_level<T>(&mut self, _level: Level, walk: impl FnOnce(&mut Self) -> T) -> T { walk(self) }
    pub(super) fn item_of(&mut self, _oid: Oid, _name: Option<Name>) -> Item { Item }
    pub(super) fn relation_row(&mut self, _oid: Oid) -> Row { Row::from([]) }
}
