//! What the analysis knows of a database: its objects, and by what names they are found.
//!
//! A [`Catalog`] is immutable and knows nothing of sockets. The built-in objects of each major version are a catalog of
//! their own ([`base`]), which a database's catalog lies over; the rest is read from the server ([`snapshot`]) or from a
//! [`file`]. Expressions and bodies are kept as the server prints them under an empty `search_path`: every name in them that
//! is not built in carries its schema.

pub mod base;
mod definition;
pub mod file;
pub mod objects;
mod signature;
pub mod snapshot;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

pub use self::definition::{DefinitionHash, NoHash};
pub use self::objects::*;
pub use self::signature::{Signature, SignatureError};

/// Objects found under one name; most names have one.
pub type Found = SmallVec<[Oid; 4]>;

/// The objects of a database, found by OID or by name.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The built-in objects that lie below; none for those themselves.
    pub below: Option<Arc<Self>>,
    /// The server's major version.
    pub server_major: u8,
    /// The database's name; empty for the built-in objects.
    pub database: Box<str>,
    /// Schemas by OID.
    pub schemas: HashMap<Oid, Schema>,
    /// Tables, views, sequences, indexes, composite types: what `pg_class` holds.
    pub relations: HashMap<Oid, Relation>,
    /// Functions, procedures, aggregates and window functions.
    pub functions: HashMap<Oid, Function>,
    /// Types, row types among them.
    pub types: HashMap<Oid, Type>,
    /// Operators.
    pub operators: HashMap<Oid, Operator>,
    /// Casts, by (source, target).
    pub casts: HashMap<(Oid, Oid), Cast>,
    /// Operator classes that are not built in.
    pub operator_classes: Vec<OperatorClass>,
    /// Foreign keys, each once.
    pub foreign_keys: Vec<ForeignKey>,
    /// Event triggers that are enabled.
    pub event_triggers: Vec<EventTrigger>,
    /// Foreign servers by OID.
    pub foreign_servers: HashMap<Oid, ForeignServer>,
    /// Roles by OID.
    pub roles: HashMap<Oid, Role>,
    /// Extensions by OID.
    pub extensions: HashMap<Oid, Extension>,
    /// What the objects are found by; built by [`Self::index`].
    names: Names,
}

/// Finds objects by schema and name.
#[derive(Debug, Default)]
struct Names {
    schemas: HashMap<Box<str>, Oid>,
    roles: HashMap<Box<str>, Oid>,
    relations: HashMap<(Oid, Box<str>), Oid>,
    types: HashMap<(Oid, Box<str>), Oid>,
    functions: HashMap<(Oid, Box<str>), Found>,
    /// Ordered by the operands' types.
    operators: HashMap<(Oid, Box<str>), Found>,
    /// Multirange types by their range.
    multiranges: HashMap<Oid, Oid>,
    /// Child relations by parent: partitions and what inherits.
    children: HashMap<Oid, Found>,
    /// Foreign keys by the relation that they point to, as indexes.
    keys_to: HashMap<Oid, SmallVec<[usize; 4]>>,
    /// Foreign keys by the relation that has them, as indexes.
    keys_of: HashMap<Oid, SmallVec<[usize; 4]>>,
    /// Relations that leave code to the end of a transaction, ascending.
    deferring: Vec<Oid>,
}

impl Catalog {
    /// Builds what objects are found by; to be called once all objects are in.
    pub fn index(&mut self) {
        let mut names = Names::default();
        for schema in self.schemas.values() {
            names.schemas.insert(schema.name.clone(), schema.oid);
        }
        for role in self.roles.values() {
            names.roles.insert(role.name.clone(), role.oid);
        }
        for relation in self.relations.values() {
            names
                .relations
                .insert((relation.schema, relation.name.clone()), relation.oid);
            for &parent in &relation.parents {
                names.children.entry(parent).or_default().push(relation.oid);
            }
            if relation.defers() {
                names.deferring.push(relation.oid);
            }
        }
        names.deferring.sort_unstable();
        for kind in self.types.values() {
            names.types.insert((kind.schema, kind.name.clone()), kind.oid);
            if let TypeKind::Multirange { range } = kind.kind {
                names.multiranges.insert(range, kind.oid);
            }
        }
        // One of the server's own that was altered has its name below.
        let own = |function: &&Function| self.below.is_none() || !function.oid.is_built_in();
        for function in self.functions.values().filter(own) {
            let found = names.functions.entry((function.schema, function.name.clone()));
            found.or_default().push(function.oid);
        }
        for operator in self.operators.values() {
            let found = names.operators.entry((operator.schema, operator.name.clone()));
            found.or_default().push(operator.oid);
        }
        for (index, key) in self.foreign_keys.iter().enumerate() {
            names.keys_to.entry(key.parent).or_default().push(index);
            names.keys_of.entry(key.child).or_default().push(index);
        }
        for found in names.functions.values_mut().chain(names.children.values_mut()) {
            found.sort_unstable();
        }
        for found in names.operators.values_mut() {
            found.sort_unstable_by_key(|oid| self.operands(*oid));
        }
        self.names = names;
    }

    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |catalog| catalog.below.as_deref())
    }

    /// The schema of that name, as the catalog spells it.
    pub fn schema_named(&self, name: &str) -> Option<Oid> {
        self.layers()
            .find_map(|layer| layer.names.schemas.get(name).copied())
    }

    /// The schema of that OID.
    pub fn schema(&self, oid: Oid) -> Option<&Schema> {
        self.layers().find_map(|layer| layer.schemas.get(&oid))
    }

    /// All schemas.
    pub fn schemas_all(&self) -> impl Iterator<Item = Oid> {
        self.layers().flat_map(|layer| layer.schemas.keys().copied())
    }

    /// The role of that name.
    pub fn role_named(&self, name: &str) -> Option<&Role> {
        let oid = self.layers().find_map(|layer| layer.names.roles.get(name))?;
        self.layers().find_map(|layer| layer.roles.get(oid))
    }

    /// The role of that OID.
    pub fn role(&self, oid: Oid) -> Option<&Role> {
        self.layers().find_map(|layer| layer.roles.get(&oid))
    }

    /// The relation of that OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.layers().find_map(|layer| layer.relations.get(&oid))
    }

    /// The relation of that name in one schema.
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        let key = &(schema, name) as &dyn SchemaAndName;
        self.layers()
            .find_map(|layer| layer.names.relations.get(key).copied())
    }

    /// The type of that OID.
    pub fn type_of(&self, oid: Oid) -> Option<&Type> {
        self.layers().find_map(|layer| layer.types.get(&oid))
    }

    /// The type of that name in one schema.
    pub fn type_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        let key = &(schema, name) as &dyn SchemaAndName;
        self.layers()
            .find_map(|layer| layer.names.types.get(key).copied())
    }

    /// The function of that OID.
    pub fn function(&self, oid: Oid) -> Option<&Function> {
        self.layers().find_map(|layer| layer.functions.get(&oid))
    }

    /// All functions of that name in one schema.
    pub fn functions_in(&self, schema: Oid, name: &str) -> Found {
        let key = &(schema, name) as &dyn SchemaAndName;
        let found = self.layers().filter_map(|layer| layer.names.functions.get(key));
        found.flatten().copied().collect()
    }

    /// The server's own functions that are not as they came with it.
    pub fn altered_functions(&self) -> impl Iterator<Item = &Function> {
        let own = |function: &&Function| self.below.is_some() && function.oid.is_built_in();
        self.functions.values().filter(own)
    }

    /// The operator of that OID.
    pub fn operator(&self, oid: Oid) -> Option<&Operator> {
        self.layers().find_map(|layer| layer.operators.get(&oid))
    }

    /// All operators of that name in one schema.
    pub fn operators_in(&self, schema: Oid, name: &str) -> Found {
        let key = &(schema, name) as &dyn SchemaAndName;
        let found = self.layers().filter_map(|layer| layer.names.operators.get(key));
        found.flatten().copied().collect()
    }

    /// The operator of that name in one schema that takes exactly these types; none stands for no operand.
    pub fn operator_taking(&self, schema: Oid, name: &str, left: Oid, right: Oid) -> Option<Oid> {
        let key = &(schema, name) as &dyn SchemaAndName;
        self.layers().find_map(|layer| {
            let found = layer.names.operators.get(key)?;
            let place = found.binary_search_by_key(&Some((left, right)), |oid| layer.operands(*oid));
            found.get(place.ok()?).copied()
        })
    }

    /// What an operator of this layer takes.
    fn operands(&self, oid: Oid) -> Option<(Oid, Oid)> {
        let operator = self.operators.get(&oid)?;
        Some((operator.left, operator.right))
    }

    /// The multirange over a range type.
    pub fn multirange_over(&self, range: Oid) -> Option<Oid> {
        self.layers()
            .find_map(|layer| layer.names.multiranges.get(&range).copied())
    }

    /// The cast from one type to another, if there is one of its own.
    pub fn cast(&self, source: Oid, target: Oid) -> Option<&Cast> {
        self.layers().find_map(|layer| layer.casts.get(&(source, target)))
    }

    /// What is a partition of a relation or inherits from it, directly.
    pub fn children(&self, parent: Oid) -> &[Oid] {
        let found = self.layers().find_map(|layer| layer.names.children.get(&parent));
        found.map_or(&[], |children| &children[..])
    }

    /// A relation and all that inherits from it, over any number of generations.
    pub fn with_children(&self, relation: Oid) -> HashSet<Oid> {
        let mut found = HashSet::from_iter([relation]);
        let mut unseen = vec![relation];
        while let Some(parent) = unseen.pop() {
            let children = self.children(parent).iter().copied();
            unseen.extend(children.filter(|child| found.insert(*child)));
        }
        found
    }

    /// The relations whose writing may leave code to the end of the transaction.
    pub fn deferring(&self) -> impl Iterator<Item = &Relation> {
        let relations = self.names.deferring.iter();
        relations.filter_map(|oid| self.relations.get(oid))
    }

    /// A column of a relation by its number.
    pub fn column(&self, relation: Oid, number: i16) -> Option<&Column> {
        let mut columns = self.relation(relation)?.columns.iter();
        columns.find(|column| column.number == number)
    }

    /// The foreign keys that point to a relation.
    pub fn keys_to(&self, parent: Oid) -> impl Iterator<Item = &ForeignKey> {
        self.keys(self.names.keys_to.get(&parent))
    }

    /// The foreign keys that a relation has.
    pub fn keys_of(&self, child: Oid) -> impl Iterator<Item = &ForeignKey> {
        self.keys(self.names.keys_of.get(&child))
    }

    fn keys<'a>(&'a self, found: Option<&'a SmallVec<[usize; 4]>>) -> impl Iterator<Item = &'a ForeignKey> {
        let indexes = found.into_iter().flatten();
        indexes.filter_map(|&index| self.foreign_keys.get(index))
    }
}

/// A key of the name tables that needs no allocation to be looked up by.
trait SchemaAndName {
    fn parts(&self) -> (Oid, &str);
}

impl SchemaAndName for (Oid, &str) {
    fn parts(&self) -> (Oid, &str) {
        *self
    }
}

impl SchemaAndName for (Oid, Box<str>) {
    fn parts(&self) -> (Oid, &str) {
        (self.0, &self.1)
    }
}

impl std::hash::Hash for dyn SchemaAndName + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (schema, name) = self.parts();
        schema.hash(state);
        name.hash(state);
    }
}

impl PartialEq for dyn SchemaAndName + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn SchemaAndName + '_ {}

impl<'a> std::borrow::Borrow<dyn SchemaAndName + 'a> for (Oid, Box<str>) {
    fn borrow(&self) -> &(dyn SchemaAndName + 'a) {
        self
    }
}
