//! A catalog of everything in the server, as far as resolution reads it.

use std::collections::HashMap;
use std::str::FromStr;

use sluice_parsers::sql::catalog::{
    Cast, CastContext, CastMethod, Catalog, Column, Function, FunctionKind, Language, Oid, Operator,
    Relation, RelationKind, Role, Schema, Type, TypeKind, Volatility,
};

use crate::session::Session;

pub(crate) fn load(session: &mut Session, server_major: u8) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.server_major = server_major;
    catalog.database = "postgres".into();
    for row in session.rows(
        "select oid, nspname, nspowner, has_schema_privilege(oid, 'usage') from pg_catalog.pg_namespace",
    ) {
        let schema = Schema {
            oid: oid(&row[0]),
            name: row[1].as_str().into(),
            owner: oid(&row[2]),
            is_usable: row[3] == "t",
        };
        catalog.schemas.insert(schema.oid, schema);
    }
    for row in session.rows("select oid, rolname, rolsuper, rolbypassrls from pg_catalog.pg_roles") {
        let role = Role {
            oid: oid(&row[0]),
            name: row[1].as_str().into(),
            is_superuser: row[2] == "t",
            bypasses_row_security: row[3] == "t",
        };
        catalog.roles.insert(role.oid, role);
    }
    load_types(session, &mut catalog);
    load_relations(session, &mut catalog);
    load_functions(session, &mut catalog);
    load_operators(session, &mut catalog);
    catalog.index();
    catalog
}

fn load_types(session: &mut Session, catalog: &mut Catalog) {
    let rows = session.rows(
        "select t.oid, typnamespace, typname, typtype, typcategory, typispreferred, typelem, typarray, typrelid,
            typbasetype, coalesce(r.rngsubtype, 0), coalesce(m.rngtypid, 0),
            typsubscript = 'array_subscript_handler'::regproc and typlen = -1
        from pg_catalog.pg_type t left join pg_catalog.pg_range r on r.rngtypid = t.oid left join pg_catalog.pg_range m on m.rngmultitypid = t.oid
        where typisdefined",
    );
    for row in rows {
        let kind = match row[3].as_str() {
            "c" => TypeKind::Composite(oid(&row[8])),
            "d" => TypeKind::Domain {
                base: oid(&row[9]),
                checks: Box::default(),
                default: None,
            },
            "e" => TypeKind::Enum,
            "r" => TypeKind::Range {
                subtype: oid(&row[10]),
            },
            "m" => TypeKind::Multirange { range: oid(&row[11]) },
            "p" => TypeKind::Pseudo,
            _ if row[12] == "t" => TypeKind::Array,
            _ => TypeKind::Base,
        };
        let found = Type {
            oid: oid(&row[0]),
            schema: oid(&row[1]),
            name: row[2].as_str().into(),
            owner: Oid(10),
            kind,
            category: row[4].as_bytes()[0],
            is_preferred: row[5] == "t",
            element: oid(&row[6]),
            array: oid(&row[7]),
            functions: Vec::new().into(),
            extension: Oid::NONE,
        };
        catalog.types.insert(found.oid, found);
    }
}

fn load_relations(session: &mut Session, catalog: &mut Catalog) {
    let mut columns: HashMap<Oid, Vec<Column>> = HashMap::new();
    let rows = session.rows(
        "select attrelid, attnum, attname, atttypid from pg_catalog.pg_attribute where attnum > 0 and not attisdropped
        order by attrelid, attnum",
    );
    for row in rows {
        columns.entry(oid(&row[0])).or_default().push(Column {
            number: number(&row[1]),
            name: row[2].as_str().into(),
            type_oid: oid(&row[3]),
            default: None,
            is_generated: false,
            identity: Oid::NONE,
        });
    }
    let rows = session.rows(
        "select oid, relnamespace, relname, relkind, reltype,
            (select string_agg(inhparent::text, ' ') from pg_catalog.pg_inherits where inhrelid = c.oid)
        from pg_catalog.pg_class c",
    );
    for row in rows {
        let kind = match row[3].as_str() {
            "v" => RelationKind::View,
            "i" => RelationKind::Index,
            "c" => RelationKind::Composite,
            "t" => RelationKind::Toast,
            _ => RelationKind::Table,
        };
        let oid_found = oid(&row[0]);
        let relation = Relation {
            oid: oid_found,
            schema: oid(&row[1]),
            name: row[2].as_str().into(),
            owner: Oid(10),
            kind,
            row_type: oid(&row[4]),
            columns: columns.remove(&oid_found).unwrap_or_default().into(),
            parents: oids(&row[5]).into(),
            ..Relation::default()
        };
        catalog.relations.insert(oid_found, relation);
    }
}

fn load_functions(session: &mut Session, catalog: &mut Catalog) {
    let rows = session.rows(
        "select oid, pronamespace, proname, prokind, proargtypes::text, array_to_string(proargnames, ','),
            array_to_string(proallargtypes, ' '), array_to_string(proargmodes, ''), pronargdefaults, provariadic,
            prorettype, proretset
        from pg_catalog.pg_proc",
    );
    for row in rows {
        let modes = row[7].as_bytes();
        let names: Vec<&str> = if row[5].is_empty() {
            Vec::new()
        } else {
            row[5].split(',').collect()
        };
        let all = oids(&row[6]);
        let is_input = |index: usize| {
            modes
                .get(index)
                .is_none_or(|mode| matches!(mode, b'i' | b'b' | b'v'))
        };
        let is_output = |index: usize| matches!(modes.get(index), Some(b'o' | b'b' | b't'));
        let names_of = |wanted: bool| {
            let names = names.iter().enumerate();
            let names = names.filter(move |(index, _)| is_input(*index) == wanted);
            names.map(|(_, name)| Box::from(*name))
        };
        let outputs = all.iter().enumerate().filter(|(index, _)| is_output(*index));
        let function = Function {
            oid: oid(&row[0]),
            schema: oid(&row[1]),
            name: row[2].as_str().into(),
            owner: Oid(10),
            kind: match row[3].as_str() {
                "p" => FunctionKind::Procedure,
                "a" => FunctionKind::Aggregate,
                "w" => FunctionKind::Window,
                _ => FunctionKind::Plain,
            },
            arguments: oids(&row[4]).into(),
            argument_names: names_of(true).chain(names_of(false)).collect(),
            outputs: outputs
                .map(|(index, &oid)| (Box::from(*names.get(index).unwrap_or(&"")), oid))
                .collect(),
            defaults: number(&row[8]),
            default_expressions: Box::default(),
            variadic: oid(&row[9]),
            returns: oid(&row[10]),
            returns_set: row[11] == "t",
            is_strict: false,
            volatility: Volatility::Volatile,
            security_definer: false,
            settings: Box::default(),
            language: Language::Internal,
            body: None,
            parts: Vec::new().into(),
            extension: Oid::NONE,
            known: None,
            definition_hash: None,
        };
        catalog.functions.insert(function.oid, function);
    }
}

fn load_operators(session: &mut Session, catalog: &mut Catalog) {
    let rows = session.rows(
        "select oid, oprnamespace, oprname, oprleft, oprright, oprresult, oprcode::oid from pg_catalog.pg_operator
        where oprcode <> 0",
    );
    for row in rows {
        let operator = Operator {
            oid: oid(&row[0]),
            schema: oid(&row[1]),
            name: row[2].as_str().into(),
            left: oid(&row[3]),
            right: oid(&row[4]),
            result: oid(&row[5]),
            function: oid(&row[6]),
            estimators: Vec::new().into(),
        };
        catalog.operators.insert(operator.oid, operator);
    }
    for row in session
        .rows("select castsource, casttarget, castfunc, castcontext, castmethod from pg_catalog.pg_cast")
    {
        let cast = Cast {
            source: oid(&row[0]),
            target: oid(&row[1]),
            function: oid(&row[2]),
            context: match row[3].as_str() {
                "i" => CastContext::Implicit,
                "a" => CastContext::Assignment,
                _ => CastContext::Explicit,
            },
            method: match row[4].as_str() {
                "f" => CastMethod::Function,
                "b" => CastMethod::Binary,
                _ => CastMethod::InOut,
            },
        };
        catalog.casts.insert((cast.source, cast.target), cast);
    }
}

fn number<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("a number: {text:?}"))
}

fn oid(text: &str) -> Oid {
    Oid(number(text))
}

fn oids(text: &str) -> Vec<Oid> {
    text.split_whitespace().map(oid).collect()
}
