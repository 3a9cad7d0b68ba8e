//! Builds a version's catalog from the shipped tables.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::table::{Row, oid, rows};
use crate::sql::catalog::{
    Behavior, Cast, CastContext, CastMethod, Catalog, Column, Function, FunctionKind, Language, Oid,
    Operator, Relation, RelationKind, Schema, Type, TypeKind, Volatility,
};

const FUNCTIONS: &str = include_str!("../../../../data/functions.tsv");
const TYPES: &str = include_str!("../../../../data/types.tsv");
const RELATIONS: &str = include_str!("../../../../data/relations.tsv");
const OPERATORS: &str = include_str!("../../../../data/operators.tsv");
const CASTS: &str = include_str!("../../../../data/casts.tsv");

/// The superuser that `initdb` makes owns all that is built in.
const OWNER: Oid = Oid(10);

/// The standard's schema has no OID of its own.
const SCHEMAS: [(Oid, &str); 3] = [
    (Oid::PG_CATALOG, "pg_catalog"),
    (Oid(99), "pg_toast"),
    (Oid(super::FIRST_UNSTABLE), "information_schema"),
];

pub(super) fn catalog(major: u8) -> Catalog {
    let mut catalog = Catalog {
        server_major: major,
        schemas: SCHEMAS.map(|(oid, name)| (oid, schema(oid, name))).into(),
        functions: HashMap::with_capacity(3500),
        types: HashMap::with_capacity(700),
        operators: HashMap::with_capacity(850),
        relations: HashMap::with_capacity(450),
        casts: HashMap::with_capacity(250),
        ..Catalog::default()
    };
    let functions = rows(FUNCTIONS, major).map(function);
    catalog
        .functions
        .extend(functions.map(|object| (object.oid, object)));
    let types = rows(TYPES, major).map(type_of);
    catalog.types.extend(types.map(|object| (object.oid, object)));
    let relations = rows(RELATIONS, major).map(relation);
    catalog
        .relations
        .extend(relations.map(|object| (object.oid, object)));
    let operators = rows(OPERATORS, major).map(operator);
    catalog
        .operators
        .extend(operators.map(|object| (object.oid, object)));
    let casts = rows(CASTS, major).map(cast);
    catalog
        .casts
        .extend(casts.map(|object| ((object.source, object.target), object)));
    catalog.index();
    catalog
}

/// What the C functions of the server do. One that serves several functions which differ is opaque.
pub(super) fn symbols(major: u8) -> HashMap<&'static str, Behavior> {
    let mut symbols = HashMap::with_capacity(3200);
    for mut row in rows(FUNCTIONS, major) {
        row.skip(12);
        let (language, symbol) = (row.text(), row.text());
        row.skip(1);
        let behavior = behavior(row.text());
        // All aggregates share one symbol, which nobody can call.
        if language != "internal" || symbol == "aggregate_dummy" {
            continue;
        }
        let known = symbols.entry(symbol).or_insert(behavior);
        if *known != behavior {
            *known = Behavior::Opaque;
        }
    }
    symbols
}

/// The languages of the server's functions and what C functions they name.
pub(super) fn sources(major: u8) -> HashMap<Oid, (&'static str, &'static str)> {
    let sources = rows(FUNCTIONS, major).map(|mut row| {
        let oid = row.oid();
        row.skip(11);
        (oid, (row.text(), row.text()))
    });
    sources.collect()
}

fn schema(oid: Oid, name: &str) -> Schema {
    Schema {
        oid,
        name: name.into(),
        owner: OWNER,
        is_usable: true,
    }
}

fn schema_named(name: &str) -> Oid {
    let found = SCHEMAS.iter().find(|(_, known)| *known == name);
    found.map_or(Oid::NONE, |(oid, _)| *oid)
}

fn function(mut row: Row) -> Function {
    let oid = row.oid();
    let schema = schema_named(row.text());
    let name = row.name();
    let kind = match row.byte() {
        b'a' => FunctionKind::Aggregate,
        b'w' => FunctionKind::Window,
        b'p' => FunctionKind::Procedure,
        _ => FunctionKind::Plain,
    };
    let arguments = row.oids();
    let argument_names = row.texts(',');
    let outputs = row.text().split_ascii_whitespace().filter_map(typed).collect();
    let default_expressions: Box<[Box<str>]> = row.texts(';');
    let variadic = row.oid();
    let returns = row.oid();
    let flags = row.text();
    let volatility = match row.byte() {
        b'i' => Volatility::Immutable,
        b's' => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let language = match row.text() {
        "internal" => Language::Internal,
        "c" => Language::C,
        "sql" => Language::Sql,
        _ => Language::Other,
    };
    let _symbol = row.text();
    let parts = row.oids();
    Function {
        oid,
        schema,
        name,
        owner: OWNER,
        kind,
        arguments,
        argument_names,
        outputs,
        defaults: u16::try_from(default_expressions.len()).unwrap_or(u16::MAX),
        default_expressions,
        variadic,
        returns,
        returns_set: flags.contains('s'),
        is_strict: flags.contains('n'),
        volatility,
        security_definer: flags.contains('d'),
        settings: Box::default(),
        language,
        body: None,
        parts,
        extension: Oid::NONE,
        known: Some(behavior(row.text())),
        definition_hash: None,
    }
}

/// What a word of the tables stands for. What is not judged yet is opaque.
pub(super) fn behavior(word: &str) -> Behavior {
    match word {
        "Pure" => Behavior::Pure,
        "CallsTypes" => Behavior::CallsTypes,
        "Metadata" => Behavior::Metadata,
        "Sensitive" => Behavior::Sensitive,
        "Lock" => Behavior::Lock,
        "Release" => Behavior::Release,
        "SequenceUpdate" => Behavior::SequenceUpdate,
        "SequenceRead" => Behavior::SequenceRead,
        "SetConfig" => Behavior::SetConfig,
        "Notify" => Behavior::Notify,
        "LargeObjectCreate" => Behavior::LargeObjectCreate,
        "LargeObjectRead" => Behavior::LargeObjectRead,
        "LargeObjectUpdate" => Behavior::LargeObjectUpdate,
        "LargeObjectDelete" => Behavior::LargeObjectDelete,
        "LargeObjectUse" => Behavior::LargeObjectUse,
        "FileRead" => Behavior::FileRead,
        "FileWrite" => Behavior::FileWrite,
        "Signal" => Behavior::Signal,
        "Admin" => Behavior::Admin,
        "Replicate" => Behavior::Replicate,
        "Foreign" => Behavior::Foreign,
        "Sleep" => Behavior::Sleep,
        "RunsText" => Behavior::RunsText,
        _ => Behavior::Opaque,
    }
}

fn type_of(mut row: Row) -> Type {
    let oid = row.oid();
    let schema = schema_named(row.text());
    let name = row.name();
    let kind = row.byte();
    let category = row.byte();
    let is_preferred = !row.text().is_empty();
    let element = row.oid();
    let array = row.oid();
    let other = row.oid();
    let kind = match kind {
        b'a' => TypeKind::Array,
        b'c' => TypeKind::Composite(other),
        b'd' => TypeKind::Domain {
            base: other,
            checks: row.texts(';'),
            default: Some(row.name()).filter(|default| !default.is_empty()),
        },
        b'e' => TypeKind::Enum,
        b'r' => TypeKind::Range { subtype: other },
        b'm' => TypeKind::Multirange { range: other },
        b'p' => TypeKind::Pseudo,
        _ => TypeKind::Base,
    };
    Type {
        oid,
        schema,
        name,
        owner: OWNER,
        kind,
        category,
        is_preferred,
        element,
        array,
        functions: SmallVec::new(),
        extension: Oid::NONE,
    }
}

fn relation(mut row: Row) -> Relation {
    let oid = row.oid();
    let schema = schema_named(row.text());
    let name = row.name();
    let kind = match row.byte() {
        b'v' => RelationKind::View,
        b'i' => RelationKind::Index,
        b't' => RelationKind::Toast,
        _ => RelationKind::Table,
    };
    let row_type = row.oid();
    let columns = row.text().split_ascii_whitespace().filter_map(column).collect();
    Relation {
        oid,
        schema,
        name,
        owner: OWNER,
        kind,
        row_type,
        columns,
        reads: row
            .text()
            .split_ascii_whitespace()
            .filter_map(|oid| oid.parse().ok().map(Oid))
            .collect(),
        is_sensitive: row.text() != "metadata",
        ..Relation::default()
    }
}

/// `number:name:type`
fn column(text: &str) -> Option<Column> {
    let (number, rest) = text.split_once(':')?;
    let (name, type_oid) = typed(rest)?;
    Some(Column {
        number: number.parse().ok()?,
        name,
        type_oid,
        default: None,
        is_generated: false,
        identity: Oid::NONE,
    })
}

/// `name:type`
fn typed(text: &str) -> Option<(Box<str>, Oid)> {
    let (name, type_oid) = text.rsplit_once(':')?;
    Some((name.into(), oid(type_oid)))
}

fn operator(mut row: Row) -> Operator {
    Operator {
        oid: row.oid(),
        schema: schema_named(row.text()),
        name: row.name(),
        left: row.oid(),
        right: row.oid(),
        result: row.oid(),
        function: row.oid(),
        estimators: SmallVec::new(),
    }
}

fn cast(mut row: Row) -> Cast {
    Cast {
        source: row.oid(),
        target: row.oid(),
        function: row.oid(),
        context: match row.byte() {
            b'i' => CastContext::Implicit,
            b'a' => CastContext::Assignment,
            _ => CastContext::Explicit,
        },
        method: match row.byte() {
            b'b' => CastMethod::Binary,
            b'i' => CastMethod::InOut,
            _ => CastMethod::Function,
        },
    }
}
