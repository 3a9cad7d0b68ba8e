//! The shipped tables of built-in objects against the catalogs of real servers, one of each major version.

use std::collections::BTreeSet;

use sluice_parsers::sql::catalog::{
    Cast, CastContext, CastMethod, Catalog, Function, FunctionKind, Language, Oid, Operator, Relation,
    RelationKind, Type, TypeKind, Volatility, base,
};
use sluice_tests::Postgres;

/// Objects of the three schemas that `initdb` makes; TOAST tables only where their names are the same everywhere.
const FUNCTIONS: &str = "
SELECT concat_ws(' ', CASE WHEN p.oid < 10000 THEN p.oid ELSE 0 END, n.nspname || '.' || p.proname,
  '(' || coalesce((SELECT string_agg(t.typname, ',' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY a(oid, i)
    JOIN pg_type t ON t.oid = a.oid), '') || ')',
  p.prokind, (SELECT typname FROM pg_type WHERE oid = p.prorettype),
  coalesce((SELECT typname FROM pg_type WHERE oid = p.provariadic), '-'),
  p.proretset, p.proisstrict, p.prosecdef, p.provolatile, p.pronargdefaults,
  CASE WHEN l.lanname IN ('internal', 'c', 'sql') THEN l.lanname ELSE 'other' END,
  '[' || coalesce((SELECT string_agg(p.proargnames[i], ',' ORDER BY m IN ('o', 't'), i)
    FROM unnest(coalesce(p.proargmodes, array_fill('i'::\"char\", ARRAY[p.pronargs::int]))) WITH ORDINALITY a(m, i)), '') || ']',
  '[' || coalesce((SELECT string_agg(coalesce(p.proargnames[i], '') || ':' || t.typname, ',' ORDER BY i)
    FROM unnest(p.proargmodes) WITH ORDINALITY a(m, i) JOIN pg_type t ON t.oid = p.proallargtypes[i]
    WHERE m IN ('o', 'b', 't')), '') || ']',
  (SELECT string_agg(DISTINCT q.proname, ',' ORDER BY q.proname) FROM pg_aggregate g JOIN pg_proc q
    ON q.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn)
    WHERE g.aggfnoid = p.oid))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE p.oid < 16384";

const TYPES: &str = "
SELECT concat_ws(' ', CASE WHEN t.oid < 10000 THEN t.oid ELSE 0 END, n.nspname || '.' || t.typname,
  CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'a' ELSE t.typtype END, t.typcategory, t.typispreferred,
  coalesce(e.typname, '-'), coalesce(a.typname, '-'))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_type e ON e.oid = t.typelem LEFT JOIN pg_type a ON a.oid = t.typarray
WHERE t.oid < 16384 AND (n.nspname <> 'pg_toast' OR substr(t.typname, 10)::int < 10000)";

const RELATIONS: &str = "
SELECT concat_ws(' ', CASE WHEN c.oid < 10000 THEN c.oid ELSE 0 END, n.nspname || '.' || c.relname, c.relkind,
  CASE WHEN c.relkind <> 'i' THEN (SELECT string_agg(a.attnum || ':' || a.attname || ':' || t.typname, ' ' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE attrelid = c.oid AND attnum > 0) END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid < 16384 AND (n.nspname <> 'pg_toast' OR split_part(c.relname, '_', 3)::int < 10000)";

const OPERATORS: &str = "
SELECT concat_ws(' ', o.oid, o.oprname, coalesce(l.typname, '-'), coalesce(r.typname, '-'), s.typname, p.proname)
FROM pg_operator o LEFT JOIN pg_type l ON l.oid = o.oprleft LEFT JOIN pg_type r ON r.oid = o.oprright
  JOIN pg_type s ON s.oid = o.oprresult JOIN pg_proc p ON p.oid = o.oprcode
WHERE o.oid < 16384";

const CASTS: &str = "
SELECT concat_ws(' ', s.typname, t.typname, coalesce(p.proname, '-'), castcontext, castmethod)
FROM pg_cast c JOIN pg_type s ON s.oid = castsource JOIN pg_type t ON t.oid = casttarget
  LEFT JOIN pg_proc p ON p.oid = castfunc
WHERE c.oid < 16384";

#[test]
fn t07_every_server_has_what_the_tables_say_and_nothing_more() {
    for major in base::MAJORS {
        let server = Postgres::start_major(major);
        let catalog = base::of(major);
        for (kind, query, known) in [
            ("function", FUNCTIONS, functions(&catalog)),
            ("type", TYPES, types(&catalog)),
            ("relation", RELATIONS, relations(&catalog)),
            ("operator", OPERATORS, operators(&catalog)),
            ("cast", CASTS, casts(&catalog)),
        ] {
            let found: BTreeSet<String> = server.sql("postgres", query).lines().map(str::to_owned).collect();
            let missing: Vec<_> = found.difference(&known).collect();
            let stale: Vec<_> = known.difference(&found).collect();
            assert!(
                missing.is_empty() && stale.is_empty(),
                "PostgreSQL {major}, {kind}: missing {missing:#?}, stale {stale:#?}; `make builtins` writes the tables"
            );
        }
        assert_eq!(
            server.sql("postgres", base::CHECKSUM_QUERY),
            base::checksum(major),
            "{major}"
        );
    }
}

#[test]
fn t07_an_altered_builtin_changes_the_checksum() {
    let server = Postgres::start_major(18);
    for alteration in [
        "ALTER FUNCTION pg_catalog.lower(text) SECURITY DEFINER",
        "CREATE OR REPLACE FUNCTION pg_catalog.lpad(text, integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
         COST 1 RETURN lpad($1, $2, '?')",
    ] {
        let before = server.sql("postgres", base::CHECKSUM_QUERY);
        server.sql("postgres", alteration);
        let after = server.sql("postgres", base::CHECKSUM_QUERY);
        assert_ne!(before, after, "{alteration}");
    }
}

#[test]
fn t07_every_function_of_the_shipped_extensions_is_listed() {
    let contrib = ["citext", "hstore", "pg_trgm", "pgcrypto", "uuid-ossp"];
    let debians = [&contrib[..], &["pgaudit", "postgis"]].concat();
    let servers = [
        (Postgres::start_major(12), &contrib[..]),
        (Postgres::start_major(18), &contrib[..]),
        (
            Postgres::start(&["shared_preload_libraries=pgaudit"]),
            &debians[..],
        ),
        (Postgres::start_with_pgvector(), &["vector"][..]),
    ];
    for (server, extensions) in servers {
        for name in extensions {
            let list = base::extension(name).expect(name);
            server.sql("postgres", &format!("CREATE EXTENSION \"{name}\""));
            let members = format!(
                "SELECT p.proname, (SELECT string_agg(t.typname, ',' ORDER BY i)
                   FROM unnest(p.proargtypes) WITH ORDINALITY a(oid, i) JOIN pg_type t ON t.oid = a.oid)
                 FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                   JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang
                 WHERE e.extname = '{name}' AND l.lanname IN ('c', 'internal')"
            );
            for line in server.sql("postgres", &members).lines() {
                let (function, types) = line.split_once('|').expect(line);
                let types: Vec<&str> = types.split(',').filter(|name| !name.is_empty()).collect();
                assert!(list.behavior(function, &types).is_some(), "{name}: {line}");
            }
        }
    }
}

fn stable(oid: Oid) -> u32 {
    if oid.0 < base::FIRST_UNSTABLE { oid.0 } else { 0 }
}

fn schema(catalog: &Catalog, oid: Oid) -> &str {
    &catalog.schema(oid).expect("a schema").name
}

fn type_name(catalog: &Catalog, oid: Oid) -> &str {
    catalog.type_of(oid).map_or("-", |found| &found.name)
}

fn function_name(catalog: &Catalog, oid: Oid) -> &str {
    catalog.function(oid).map_or("-", |found| &found.name)
}

fn flag(value: bool) -> char {
    if value { 't' } else { 'f' }
}

fn functions(catalog: &Catalog) -> BTreeSet<String> {
    let line = |function: &Function| {
        let arguments: Vec<&str> = function
            .arguments
            .iter()
            .map(|oid| type_name(catalog, *oid))
            .collect();
        let outputs = function.outputs.iter();
        let outputs: Vec<String> = outputs
            .map(|(name, oid)| format!("{name}:{}", type_name(catalog, *oid)))
            .collect();
        let parts = function.parts.iter();
        let parts: BTreeSet<&str> = parts.map(|oid| function_name(catalog, *oid)).collect();
        let parts: Vec<&str> = parts.into_iter().collect();
        format!(
            "{} {}.{} ({}) {} {} {} {} {} {} {} {} {} [{}] [{}] {}",
            stable(function.oid),
            schema(catalog, function.schema),
            function.name,
            arguments.join(","),
            match function.kind {
                FunctionKind::Plain => 'f',
                FunctionKind::Procedure => 'p',
                FunctionKind::Aggregate => 'a',
                FunctionKind::Window => 'w',
            },
            type_name(catalog, function.returns),
            type_name(catalog, function.variadic),
            flag(function.returns_set),
            flag(function.is_strict),
            flag(function.security_definer),
            match function.volatility {
                Volatility::Immutable => 'i',
                Volatility::Stable => 's',
                Volatility::Volatile => 'v',
            },
            function.defaults,
            match function.language {
                Language::Internal => "internal",
                Language::C => "c",
                Language::Sql => "sql",
                Language::Plpgsql | Language::Other => "other",
            },
            function.argument_names.join(","),
            outputs.join(","),
            parts.join(","),
        )
    };
    let lines = catalog.functions.values().map(line);
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn types(catalog: &Catalog) -> BTreeSet<String> {
    let line = |found: &Type| {
        let kind = match found.kind {
            TypeKind::Base => 'b',
            TypeKind::Array => 'a',
            TypeKind::Composite(_) => 'c',
            TypeKind::Domain { .. } => 'd',
            TypeKind::Enum => 'e',
            TypeKind::Range { .. } => 'r',
            TypeKind::Multirange { .. } => 'm',
            TypeKind::Pseudo => 'p',
        };
        format!(
            "{} {}.{} {kind} {} {} {} {}",
            stable(found.oid),
            schema(catalog, found.schema),
            found.name,
            char::from(found.category),
            flag(found.is_preferred),
            type_name(catalog, found.element),
            type_name(catalog, found.array),
        )
    };
    catalog.types.values().map(line).collect()
}

fn relations(catalog: &Catalog) -> BTreeSet<String> {
    let line = |relation: &Relation| {
        let kind = match relation.kind {
            RelationKind::View => 'v',
            RelationKind::Index => 'i',
            RelationKind::Toast => 't',
            _ => 'r',
        };
        let columns = relation.columns.iter().map(|column| {
            format!(
                " {}:{}:{}",
                column.number,
                column.name,
                type_name(catalog, column.type_oid)
            )
        });
        let columns: String = columns.collect();
        let (oid, schema) = (stable(relation.oid), schema(catalog, relation.schema));
        format!("{oid} {schema}.{} {kind}{columns}", relation.name)
    };
    catalog.relations.values().map(line).collect()
}

fn operators(catalog: &Catalog) -> BTreeSet<String> {
    let line = |operator: &Operator| {
        format!(
            "{} {} {} {} {} {}",
            operator.oid,
            operator.name,
            type_name(catalog, operator.left),
            type_name(catalog, operator.right),
            type_name(catalog, operator.result),
            function_name(catalog, operator.function),
        )
    };
    catalog.operators.values().map(line).collect()
}

fn casts(catalog: &Catalog) -> BTreeSet<String> {
    let line = |cast: &Cast| {
        format!(
            "{} {} {} {} {}",
            type_name(catalog, cast.source),
            type_name(catalog, cast.target),
            function_name(catalog, cast.function),
            match cast.context {
                CastContext::Implicit => 'i',
                CastContext::Assignment => 'a',
                CastContext::Explicit => 'e',
            },
            match cast.method {
                CastMethod::Function => 'f',
                CastMethod::Binary => 'b',
                CastMethod::InOut => 'i',
            },
        )
    };
    catalog.casts.values().map(line).collect()
}
