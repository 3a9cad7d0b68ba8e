//! The built-in objects as one server numbers them.
//!
//! Most have the same OIDs everywhere. What `initdb` numbers (`information_schema`, system views, their types) gets
//! whatever is free then, which depends on the machine: such objects are found by name and numbered anew.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::sql::catalog::{Catalog, Oid, TypeKind, base};

/// Objects below have the same OIDs on all servers of a version.
const FIRST_OF_INITDB: Oid = Oid(base::FIRST_UNSTABLE);

/// What a row about an object of `initdb` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sql::catalog) enum BuiltInKind {
    Schema,
    Relation,
    Type,
    Function,
}

/// An object that `initdb` made on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sql::catalog) struct BuiltIn {
    pub(super) kind: BuiltInKind,
    pub(super) oid: Oid,
    /// Empty for schemas.
    pub(super) schema: Box<str>,
    pub(super) name: Box<str>,
    pub(super) arguments: Box<[Oid]>,
}

/// The built-in objects of the servers that were read, shared by their databases.
#[derive(Debug, Default)]
pub struct Bases(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    major: u8,
    built_in: Vec<BuiltIn>,
    base: Weak<Catalog>,
}

impl Bases {
    /// The built-in objects of that version, numbered as the server does.
    pub(in crate::sql::catalog) fn of(&self, major: u8, built_in: &[BuiltIn]) -> Arc<Catalog> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.base.strong_count() > 0);
        let found = known
            .iter()
            .find(|known| known.major == major && known.built_in == built_in);
        if let Some(base) = found.and_then(|known| known.base.upgrade()) {
            return base;
        }
        let base = numbered(base::of(major), built_in);
        known.push(Known {
            major,
            built_in: built_in.to_vec(),
            base: Arc::downgrade(&base),
        });
        base
    }
}

/// New OIDs by the old ones.
#[derive(Default)]
struct Numbers {
    schemas: HashMap<Oid, Oid>,
    relations: HashMap<Oid, Oid>,
    types: HashMap<Oid, Oid>,
    functions: HashMap<Oid, Oid>,
}

/// None for what this server does not have.
fn renumber(numbers: &HashMap<Oid, Oid>, oid: Oid) -> Oid {
    if oid < FIRST_OF_INITDB {
        return oid;
    }
    numbers.get(&oid).copied().unwrap_or(Oid::NONE)
}

impl Numbers {
    fn new(base: &Catalog, built_in: &[BuiltIn]) -> Self {
        let mut numbers = Self::default();
        // Types first: functions are told apart by them.
        let mut types_here = HashMap::new();
        for object in built_in {
            let schema = base.schema_named(&object.schema);
            let into = match object.kind {
                BuiltInKind::Schema => {
                    let found = base.schema_named(&object.name);
                    numbers.schemas.extend(found.map(|oid| (oid, object.oid)));
                    continue;
                }
                BuiltInKind::Relation => schema
                    .and_then(|schema| base.relation_in(schema, &object.name))
                    .map(|oid| (&mut numbers.relations, oid)),
                BuiltInKind::Type => {
                    schema
                        .and_then(|schema| base.type_in(schema, &object.name))
                        .map(|oid| {
                            types_here.insert(object.oid, oid);
                            (&mut numbers.types, oid)
                        })
                }
                BuiltInKind::Function => continue,
            };
            if let Some((into, oid)) = into {
                into.insert(oid, object.oid);
            }
        }
        for object in built_in {
            if object.kind != BuiltInKind::Function {
                continue;
            }
            let arguments = object.arguments.iter();
            let arguments: Vec<Oid> = arguments
                .map(|oid| types_here.get(oid).copied().unwrap_or(*oid))
                .collect();
            let schema = base.schema_named(&object.schema);
            let named = schema.map(|schema| base.functions_in(schema, &object.name));
            let found = named.into_iter().flatten().find(|&oid| {
                base.function(oid)
                    .is_some_and(|function| *function.arguments == arguments[..])
            });
            numbers.functions.extend(found.map(|oid| (oid, object.oid)));
        }
        numbers
    }

    fn changes(&self, base: &Catalog) -> bool {
        let same = |numbers: &HashMap<Oid, Oid>, oid: &Oid| renumber(numbers, *oid) == *oid;
        !(base.schemas.keys().all(|oid| same(&self.schemas, oid))
            && base.relations.keys().all(|oid| same(&self.relations, oid))
            && base.types.keys().all(|oid| same(&self.types, oid))
            && base.functions.keys().all(|oid| same(&self.functions, oid)))
    }
}

fn numbered(base: Arc<Catalog>, built_in: &[BuiltIn]) -> Arc<Catalog> {
    if built_in.is_empty() {
        return base;
    }
    let numbers = Numbers::new(&base, built_in);
    if !numbers.changes(&base) {
        return base;
    }
    let schema = |oid| renumber(&numbers.schemas, oid);
    let relation = |oid| renumber(&numbers.relations, oid);
    let kind = |oid| renumber(&numbers.types, oid);
    let function = |oid| renumber(&numbers.functions, oid);
    let mut catalog = Catalog {
        below: base.below.clone(),
        server_major: base.server_major,
        roles: base.roles.clone(),
        extensions: base.extensions.clone(),
        ..Catalog::default()
    };
    for old in base.schemas.values() {
        let mut new = old.clone();
        new.oid = schema(old.oid);
        catalog.schemas.insert(new.oid, new);
    }
    for old in base.relations.values() {
        let mut new = old.clone();
        new.oid = relation(old.oid);
        new.schema = schema(old.schema);
        new.row_type = kind(old.row_type);
        for read in &mut new.reads {
            *read = relation(*read);
        }
        for column in &mut new.columns {
            column.type_oid = kind(column.type_oid);
        }
        catalog.relations.insert(new.oid, new);
    }
    for old in base.functions.values() {
        let mut new = old.clone();
        new.oid = function(old.oid);
        new.schema = schema(old.schema);
        let outputs = new.outputs.iter_mut().map(|(_, oid)| oid);
        for oid in new.arguments.iter_mut().chain(outputs) {
            *oid = kind(*oid);
        }
        new.variadic = kind(old.variadic);
        new.returns = kind(old.returns);
        for part in &mut new.parts {
            *part = function(*part);
        }
        catalog.functions.insert(new.oid, new);
    }
    for old in base.types.values() {
        let mut new = old.clone();
        new.oid = kind(old.oid);
        new.schema = schema(old.schema);
        new.element = kind(old.element);
        new.array = kind(old.array);
        match &mut new.kind {
            TypeKind::Composite(of) => *of = relation(*of),
            TypeKind::Domain { base: oid, .. }
            | TypeKind::Range { subtype: oid }
            | TypeKind::Multirange { range: oid } => *oid = kind(*oid),
            TypeKind::Base | TypeKind::Array | TypeKind::Enum | TypeKind::Pseudo => {}
        }
        catalog.types.insert(new.oid, new);
    }
    // Operators, casts and operator classes are never made by running SQL there, and name nothing that is.
    catalog.operators.clone_from(&base.operators);
    catalog.casts.clone_from(&base.casts);
    catalog.operator_classes.clone_from(&base.operator_classes);
    catalog.schemas.remove(&Oid::NONE);
    catalog.relations.remove(&Oid::NONE);
    catalog.functions.remove(&Oid::NONE);
    catalog.types.remove(&Oid::NONE);
    catalog.index();
    Arc::new(catalog)
}

/// What of a server's built-in objects is numbered by its `initdb`; the reverse of [`Bases::of`].
pub(in crate::sql::catalog) fn built_in_of(base: &Catalog) -> Vec<BuiltIn> {
    let schema_name = |oid: Oid| {
        base.schema(oid)
            .map(|schema| schema.name.clone())
            .unwrap_or_default()
    };
    let schemas = base.schemas.values();
    let schemas = schemas.map(|it| (BuiltInKind::Schema, it.oid, Box::default(), &it.name, &[][..]));
    let relations = base.relations.values();
    let relations = relations.map(|it| {
        (
            BuiltInKind::Relation,
            it.oid,
            schema_name(it.schema),
            &it.name,
            &[][..],
        )
    });
    let types = base.types.values();
    let types = types.map(|it| {
        (
            BuiltInKind::Type,
            it.oid,
            schema_name(it.schema),
            &it.name,
            &[][..],
        )
    });
    let functions = base.functions.values();
    let functions = functions.map(|it| {
        (
            BuiltInKind::Function,
            it.oid,
            schema_name(it.schema),
            &it.name,
            &it.arguments[..],
        )
    });
    let all = schemas.chain(relations).chain(types).chain(functions);
    let mut found: Vec<BuiltIn> = all
        .filter(|(_, oid, ..)| *oid >= FIRST_OF_INITDB)
        .map(|(kind, oid, schema, name, arguments)| BuiltIn {
            kind,
            oid,
            schema,
            name: name.clone(),
            arguments: arguments.into(),
        })
        .collect();
    found.sort_unstable_by_key(|object| object.oid);
    found
}
