//! The catalog snapshot against real servers: every kind of object is made, read and compared.
//!
//! 15 is Debian's; servers of the other versions are taken from `target/servers`, where `make test` puts them.

#[path = "model_against_postgres/server.rs"]
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use server::{Connection, Next, Server};
use sluice_parsers::postgres::backend::row;
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::sql::catalog::file;
use sluice_parsers::sql::catalog::snapshot::{self, Bases, Place, Rows, SnapshotError, UNREADABLE};
use sluice_parsers::sql::catalog::{
    CastMethod, Catalog, Event, Function, FunctionKind, KeyAction, Language, Oid, Relation, RelationKind,
    Type, TypeKind, base,
};

const SCHEMA: &str = "Shop \"1\"";

fn send(connection: &mut Connection, sql: &str) {
    let mut out = Vec::new();
    encode::query(&mut out, sql.as_bytes());
    connection.socket.write_all(&out).expect("the server takes it");
}

/// Takes the answer; gives its rows and what failed.
fn answer(connection: &mut Connection, rows: &mut Rows) -> Result<(), String> {
    let mut failed = Ok(());
    loop {
        let Next::Message { tag, body } = connection.next(true) else {
            panic!("the server closed");
        };
        match tag {
            b'D' => {
                let mut fields = row::Fields::parse(&body).expect("a row");
                let mut values = Vec::new();
                while let Some(place) = fields.next_field().expect("a field") {
                    values.push(match place {
                        row::Place::Value { start, end } => Some(&body[start..end]),
                        row::Place::Null => None,
                    });
                }
                rows.push(values.into_iter()).expect("few enough");
            }
            b'E' => failed = Err(String::from_utf8_lossy(&body).into_owned()),
            b'Z' => return failed,
            _ => {}
        }
    }
}

fn run(connection: &mut Connection, sql: &str) {
    send(connection, sql);
    answer(connection, &mut Rows::new(snapshot::BYTES_MAX)).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The first field of the first row.
fn ask(connection: &mut Connection, sql: &str) -> String {
    send(connection, sql);
    let mut first = None;
    loop {
        let Next::Message { tag, body } = connection.next(true) else {
            panic!("the server closed");
        };
        match tag {
            b'D' if first.is_none() => {
                let mut fields = row::Fields::parse(&body).expect("a row");
                if let Some(row::Place::Value { start, end }) = fields.next_field().expect("a field") {
                    first = Some(String::from_utf8_lossy(&body[start..end]).into_owned());
                }
            }
            b'E' => panic!("{sql}: {}", String::from_utf8_lossy(&body)),
            b'Z' => return first.unwrap_or_default(),
            _ => {}
        }
    }
}

fn rows(connection: &mut Connection, major: u8, place: Place) -> Rows {
    let mut rows = Rows::new(snapshot::BYTES_MAX);
    send(connection, &snapshot::queries(major, place));
    answer(connection, &mut rows).unwrap_or_else(|error| panic!("version {major}: {error}"));
    rows
}

fn read(connection: &mut Connection, major: u8, place: Place) -> Catalog {
    rows(connection, major, place)
        .decode(&Bases::default())
        .expect("the rows decode")
}

/// The folders with programs of a server of each major version: Debian's and npm's.
fn servers() -> Vec<PathBuf> {
    let npm = std::env::var_os("SLUICE_SERVERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/node_modules"),
        PathBuf::from,
    );
    let folders = base::MAJORS.map(|major| match major {
        15 => PathBuf::from("/usr/lib/postgresql/15/bin"),
        _ => npm.join(format!("postgres-{major}/native/bin")),
    });
    folders
        .inspect(|folder| {
            assert!(
                folder.exists(),
                "{} is missing: run `make test`, which installs it",
                folder.display()
            );
        })
        .collect()
}

struct Shop<'a>(&'a Catalog);

impl<'a> Shop<'a> {
    fn schema(&self) -> Oid {
        self.0.schema_named(SCHEMA).expect("the schema is known")
    }

    fn relation(&self, name: &str) -> &'a Relation {
        let found = self.0.relation_in(self.schema(), name);
        found
            .and_then(|oid| self.0.relation(oid))
            .unwrap_or_else(|| panic!("no relation {name}"))
    }

    fn function(&self, name: &str) -> &'a Function {
        let found = self.0.functions_in(self.schema(), name);
        assert_eq!(found.len(), 1, "{name}");
        self.0.function(found[0]).expect("a function")
    }

    fn type_of(&self, name: &str) -> &'a Type {
        let found = self.0.type_in(self.schema(), name);
        found
            .and_then(|oid| self.0.type_of(oid))
            .unwrap_or_else(|| panic!("no type {name}"))
    }
}

#[test]
fn t08_everything_that_runs_without_a_call_is_read() {
    for programs in servers() {
        let server = Server::start_from(&programs);
        let major = u8::try_from(server.version).expect("a version");
        let mut connection = Connection::open(&server, &[]);
        run(
            &mut connection,
            include_str!("catalog_against_postgres/objects.sql"),
        );
        if major >= 14 {
            run(
                &mut connection,
                "CREATE FUNCTION \"Shop \"\"1\"\"\".standard(x int) RETURNS int RETURN x + (SELECT count(*) FROM \"Shop \"\"1\"\"\".orders)::int",
            );
        }
        let catalog = read(&mut connection, major, Place::Idle);
        assert_eq!((catalog.server_major, &*catalog.database), (major, "postgres"));
        relations(&Shop(&catalog));
        code(&Shop(&catalog), major);
        types(&Shop(&catalog), major);
        rights(&server, &catalog, major);
        built_in(&mut connection, &Shop(&catalog));
        // As a file it is the same.
        let text = file::write(&catalog);
        let again =
            file::read(&text, &Bases::default()).unwrap_or_else(|error| panic!("version {major}: {error}"));
        assert_eq!(file::write(&again), text);
        assert_eq!(format!("{:?}", sorted(&again)), format!("{:?}", sorted(&catalog)));
    }
}

fn relations(shop: &Shop<'_>) {
    let (parent, child, orders) = (
        shop.relation("parent"),
        shop.relation("child"),
        shop.relation("orders"),
    );
    let columns: Vec<(i16, &str)> = parent
        .columns
        .iter()
        .map(|column| (column.number, &*column.name))
        .collect();
    assert_eq!(columns, [(1, "id"), (2, "name"), (3, "twice"), (5, "amount")]);
    let sequence = shop.relation("parent_id_seq");
    assert_eq!(sequence.kind, RelationKind::Sequence);
    assert_eq!(parent.columns[0].identity, sequence.oid);
    assert_eq!(
        parent.columns[1].default.as_deref(),
        Some("('x'::text || (CURRENT_USER)::text)")
    );
    assert!(parent.columns[2].is_generated && parent.columns[2].default.as_deref() == Some("(2 * 21)"));
    assert_eq!(parent.checks.len(), 1);
    assert_eq!(&*parent.checks[0], "\"Shop \"\"1\"\"\".checked(id)");
    assert_eq!(child.parents.as_slice(), [parent.oid]);
    assert_eq!(shop.0.children(parent.oid), [child.oid]);

    let keys: Vec<_> = shop.0.keys_to(parent.oid).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].child, &*keys[0].child_columns, &*keys[0].parent_columns),
        (orders.oid, &[2][..], &[1][..])
    );
    assert_eq!(
        (keys[0].on_delete, keys[0].on_update),
        (KeyAction::Cascade, KeyAction::SetNull)
    );

    let mut expressions: Vec<&str> = orders.index_expressions.iter().map(|text| &**text).collect();
    expressions.sort_unstable();
    assert_eq!(
        expressions,
        [
            "\"Shop \"\"1\"\"\".checked(id)",
            "\"Shop \"\"1\"\"\".lowered(note)"
        ]
    );
    assert!(orders.row_security && orders.force_row_security);
    assert_eq!(orders.policies.len(), 1);
    assert_eq!(orders.policies[0].event, Some(Event::Update));
    assert_eq!(orders.policies[0].expressions.len(), 2);
    let triggers: Vec<&str> = orders.triggers.iter().map(|trigger| &*trigger.name).collect();
    assert_eq!(
        triggers,
        ["compares", "fires", "waits"],
        "neither disabled nor those of keys"
    );
    assert_eq!(
        orders.triggers[0].when.as_deref(),
        Some("(old.note IS DISTINCT FROM new.note)")
    );
    assert_eq!(orders.triggers[1].when, None);
    let deferrable = orders.triggers.iter().map(|trigger| trigger.is_deferrable);
    assert_eq!(deferrable.collect::<Vec<_>>(), [false, false, true]);
    let checks_late = ["orders", "later", "spaced"].map(|name| shop.relation(name).checks_late);
    assert_eq!(checks_late, [false, false, true], "only what may not be built in");
    assert_eq!(
        orders.triggers[1].events.as_slice(),
        [Event::Insert, Event::Update]
    );
    assert_eq!(&*orders.triggers[1].columns, [3]);
    assert_eq!(orders.triggers[1].function, shop.function("fired").oid);

    let (measures, part) = (shop.relation("measures"), shop.relation("measures_1"));
    assert_eq!(measures.kind, RelationKind::Partitioned);
    assert_eq!(part.parents.as_slice(), [measures.oid]);
    assert_eq!(measures.partition_expressions.len(), 1);
    assert!(measures.partition_expressions[0].contains("value"));
    assert_eq!(part.triggers.len(), 1, "a partition has its parent's triggers");

    let seen = shop.relation("seen");
    assert_eq!(seen.kind, RelationKind::View);
    let query = seen.query.as_deref().expect("a view has a query");
    assert!(
        query.contains("JOIN \"Shop \"\"1\"\"\".orders o") && !query.ends_with(';'),
        "{query}"
    );
    assert_eq!(seen.rules.len(), 1);
    assert!(seen.rules[0].instead && seen.rules[0].event == Event::Insert);
    assert!(seen.rules[0].definition.starts_with("CREATE RULE"));
    assert_eq!(shop.relation("kept").kind, RelationKind::Materialized);
    assert!(shop.relation("kept").query.is_some());

    for (table, server, programs) in [("ran", "files", true), ("file", "quiet", false)] {
        let table = shop.relation(table);
        assert_eq!(table.kind, RelationKind::Foreign);
        let found = &shop.0.foreign_servers[&table.foreign_server];
        assert_eq!(
            (&*found.name, &*found.wrapper, found.programs),
            (server, "file_fdw", programs)
        );
        assert_eq!(found.functions.len(), 2, "handler and validator");
    }
    let index = shop.relation("orders_note");
    assert_eq!(index.kind, RelationKind::Index);
}

fn code(shop: &Shop<'_>, major: u8) {
    let fired = shop.function("fired");
    assert_eq!(
        (fired.language, fired.security_definer),
        (Language::Plpgsql, true)
    );
    assert_eq!(fired.body.as_deref(), Some("BEGIN RETURN NEW; END"));
    assert_eq!(fired.settings.len(), 1);
    assert_eq!(
        (&*fired.settings[0].0, &*fired.settings[0].1),
        ("search_path", "hidden, \"$user\"")
    );
    let many = shop.function("many");
    assert_eq!(&*many.arguments, [Oid(23), Oid(1700), Oid(1009)]);
    let names: Vec<&str> = many.argument_names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["a", "c", "d", "b"], "inputs first");
    let outputs: Vec<_> = many.outputs.iter().map(|(name, kind)| (&**name, *kind)).collect();
    assert_eq!(outputs, [("b", Oid(25)), ("c", Oid(1700))]);
    assert_eq!((many.defaults, many.variadic, many.is_strict), (2, Oid(25), true));
    let defaults: Vec<&str> = many.default_expressions.iter().map(|text| &**text).collect();
    assert_eq!(defaults, ["7", "'{\"p,q\"}'::text[]"]);
    let table = shop.function("rows_of");
    assert!(table.returns_set && table.outputs.len() == 2 && table.arguments.len() == 1);
    assert_eq!(shop.function("proceeds").kind, FunctionKind::Procedure);
    let together = shop.function("together");
    assert_eq!(together.kind, FunctionKind::Aggregate);
    assert_eq!(together.parts.as_slice(), [Oid(1258)], "textcat");
    if major >= 14 {
        let body = shop.function("standard").body.as_deref().expect("a body");
        assert!(
            body.starts_with("RETURN") && body.contains("\"Shop \"\"1\"\"\".orders"),
            "{body}"
        );
    }

    let pair = shop.type_of("pair");
    let cast = shop.0.cast(pair.oid, Oid(25)).expect("the cast to text");
    assert_eq!(cast.function, shop.function("textual").oid);
    let cast = shop
        .0
        .cast(shop.type_of("mood").oid, Oid(23))
        .expect("the cast to int4");
    assert_eq!(cast.method, CastMethod::InOut);
    let operators = shop.0.operators_in(shop.schema(), "<<<");
    assert_eq!(operators.len(), 1);
    let less = shop.0.operator(operators[0]).expect("an operator");
    assert_eq!((less.left, less.function), (pair.oid, shop.function("less").oid));
    let mut classes = shop.0.operator_classes.iter();
    let class = classes.find(|class| &*class.name == "by_a").expect("a class");
    assert_eq!((class.input, class.is_default), (pair.oid, false));
    let mut functions = [shop.function("less").oid, shop.function("compared").oid];
    functions.sort_unstable();
    assert_eq!(*shop.relation("child").index_functions, functions);
    let signed = shop.relation("signed");
    assert!(!signed.index_functions.is_empty(), "what the access method runs");
    let heard: Vec<&str> = shop
        .0
        .event_triggers
        .iter()
        .map(|trigger| &*trigger.name)
        .collect();
    assert_eq!(heard, ["heard"], "not what is disabled");
}

fn types(shop: &Shop<'_>, major: u8) {
    let TypeKind::Domain {
        base,
        checks,
        default,
    } = &shop.type_of("positive").kind
    else {
        panic!("positive is a domain");
    };
    assert_eq!(
        (*base, checks.len(), default.as_deref()),
        (Oid(23), 2, Some("(1 + 1)"))
    );
    assert!(
        checks
            .iter()
            .any(|check| &**check == "\"Shop \"\"1\"\"\".checked(VALUE)")
    );
    assert_eq!(shop.type_of("mood").kind, TypeKind::Enum);
    assert_eq!(
        shop.type_of("pair").kind,
        TypeKind::Composite(shop.relation("pair").oid)
    );
    let array = shop.type_of("_pair");
    assert_eq!(
        (&array.kind, array.element, shop.type_of("pair").array),
        (&TypeKind::Array, shop.type_of("pair").oid, array.oid)
    );
    assert_eq!(shop.type_of("span").kind, TypeKind::Range { subtype: Oid(701) });
    if major >= 14 {
        assert_eq!(
            shop.type_of("span_multirange").kind,
            TypeKind::Multirange {
                range: shop.type_of("span").oid
            }
        );
    }
    assert_eq!(shop.relation("orders").row_type, shop.type_of("orders").oid);
}

fn sorted(catalog: &Catalog) -> Vec<&Function> {
    let mut functions: Vec<&Function> = catalog.functions.values().collect();
    functions.sort_unstable_by_key(|function| function.oid);
    functions
}

/// What came with the server has this server's numbers, and is known.
fn built_in(connection: &mut Connection, shop: &Shop<'_>) {
    for (schema, name) in [
        ("information_schema", "columns"),
        ("pg_catalog", "pg_views"),
        ("pg_catalog", "pg_class"),
    ] {
        let found = shop.0.schema_named(schema);
        let found = found.and_then(|schema| shop.0.relation_in(schema, name));
        let oid = ask(connection, &format!("SELECT '{schema}.{name}'::regclass::oid"));
        assert_eq!(found.map(|oid| oid.to_string()), Some(oid), "{schema}.{name}");
    }
    let identifier = ask(
        connection,
        "SELECT 'information_schema.sql_identifier'::regtype::oid",
    );
    let facts = shop.relation("facts");
    assert_eq!(facts.columns[0].type_oid.to_string(), identifier);
    for column in &facts.columns {
        assert!(shop.0.type_of(column.type_oid).is_some(), "{}", column.name);
    }
    // The constructor of a range type names code of the server, and the handler of the extension is listed nowhere.
    let constructors = shop.0.functions_in(shop.schema(), "span");
    assert!(!constructors.is_empty());
    for oid in constructors {
        let constructor = shop.0.function(oid).expect("a function");
        assert_eq!(constructor.language, Language::Internal);
        assert!(constructor.known.is_some(), "{constructor:?}");
    }
}

fn rights(server: &Server, catalog: &Catalog, major: u8) {
    let role = |name: &str| {
        let found = catalog.roles.values().find(|role| &*role.name == name);
        found.map(|role| (role.is_superuser, role.bypasses_row_security))
    };
    assert_eq!(role("postgres"), Some((true, true)));
    assert_eq!(role("watcher"), Some((false, true)));
    assert!(
        catalog
            .extensions
            .values()
            .any(|extension| &*extension.name == "file_fdw")
    );
    let usable = |catalog: &Catalog, name: &str| {
        let found = catalog.schema_named(name).and_then(|oid| catalog.schema(oid));
        found.map(|schema| schema.is_usable)
    };
    assert_eq!(usable(catalog, "hidden"), Some(true));
    // A login without any right reads the same objects.
    let mut outsider = Connection::open(server, &[("user", "outsider")]);
    let theirs = read(&mut outsider, major, Place::Idle);
    assert_eq!(usable(&theirs, "hidden"), Some(false));
    assert_eq!(usable(&theirs, "pg_catalog"), Some(true));
    assert_eq!(theirs.relations.len(), catalog.relations.len());
    assert_eq!(theirs.functions.len(), catalog.functions.len());
    assert!(Shop(&theirs).relation("seen").query.is_some());
}

#[test]
fn t03_a_reading_in_a_transaction_leaves_no_trace() {
    let server = Server::start();
    let major = u8::try_from(server.version).expect("a version");
    let mut connection = Connection::open(&server, &[]);
    run(
        &mut connection,
        "CREATE TABLE a (x int); CREATE SCHEMA other; CREATE TABLE other.a (y int)",
    );
    run(
        &mut connection,
        "BEGIN; SET LOCAL search_path = other, public; SAVEPOINT sluice_catalog; CREATE VIEW b AS SELECT * FROM a; \
         CREATE TEMP TABLE t (z int); CREATE TEMP TABLE pg_class (oid int); SET LOCAL statement_timeout = '1h'",
    );
    let catalog = read(&mut connection, major, Place::InTransaction);
    let other = catalog.schema_named("other").expect("a schema");
    let view = catalog
        .relation_in(other, "b")
        .and_then(|oid| catalog.relation(oid));
    let query = view.and_then(|view| view.query.as_deref()).expect("a query");
    assert!(query.contains("other.a"), "{query}");
    let temporary = catalog
        .relations
        .values()
        .filter(|relation| relation.is_temporary);
    let mut names: Vec<&str> = temporary.map(|relation| &*relation.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["pg_class", "t"], "the session's own");
    assert_eq!(ask(&mut connection, "SHOW search_path"), "other, public");
    assert_eq!(ask(&mut connection, "SHOW statement_timeout"), "1h");
    run(&mut connection, "ROLLBACK TO SAVEPOINT sluice_catalog; COMMIT");
    assert_eq!(ask(&mut connection, "SHOW search_path"), "\"$user\", public");

    // A reading that fails is undone, and the transaction goes on.
    run(
        &mut connection,
        "BEGIN; SET LOCAL search_path = other; CREATE TABLE c (x int)",
    );
    let text = snapshot::queries(major, Place::InTransaction).replace("SELECT 'l'", "SELECT 1/0");
    send(&mut connection, &text);
    answer(&mut connection, &mut Rows::new(snapshot::BYTES_MAX)).expect_err("it fails");
    run(&mut connection, &snapshot::undo(Place::InTransaction));
    assert_eq!(ask(&mut connection, "SHOW search_path"), "other");
    run(&mut connection, "COMMIT");
    assert_eq!(ask(&mut connection, "SELECT count(*) FROM other.c"), "0");

    // Another session's temporary objects are none of this one's.
    run(&mut connection, "CREATE TEMP TABLE mine (z int)");
    let mut second = Connection::open(&server, &[]);
    let theirs = rows(&mut second, major, Place::Idle);
    run(&mut connection, "CREATE TEMP TABLE mine_too (z int)");
    assert_eq!(
        theirs.fingerprint(),
        rows(&mut second, major, Place::Idle).fingerprint()
    );
    run(&mut connection, "ALTER TABLE public.a ADD COLUMN new int");
    assert_ne!(
        theirs.fingerprint(),
        rows(&mut second, major, Place::Idle).fingerprint()
    );
}

#[test]
fn t10_a_table_that_somebody_changes_does_not_stop_the_reading() {
    let server = Server::start();
    let major = u8::try_from(server.version).expect("a version");
    let mut connection = Connection::open(&server, &[]);
    run(
        &mut connection,
        "CREATE TABLE a (x int DEFAULT 1, CHECK (x > 0)); CREATE VIEW v AS SELECT * FROM a; CREATE VIEW w AS SELECT 1",
    );
    let mut holder = Connection::open(&server, &[]);
    run(&mut holder, "BEGIN; LOCK TABLE a");
    let catalog = read(&mut connection, major, Place::Idle);
    let public = catalog.schema_named("public").expect("a schema");
    let relation = |name: &str| {
        let found = catalog
            .relation_in(public, name)
            .and_then(|oid| catalog.relation(oid));
        found.expect("a relation")
    };
    assert_eq!(relation("v").query, None);
    assert!(relation("w").query.is_some());
    assert_eq!(relation("a").columns[0].default.as_deref(), Some(UNREADABLE));
    assert_eq!(&*relation("a").checks[0], UNREADABLE);
    run(&mut holder, "COMMIT");
    let catalog = read(&mut connection, major, Place::Idle);
    let view = catalog
        .relation_in(public, "v")
        .and_then(|oid| catalog.relation(oid));
    assert!(view.is_some_and(|view| view.query.is_some()));
}

#[test]
fn t10_readings_are_bounded_and_versions_known() {
    let mut rows = Rows::new(100);
    let field = [0_u8; 50];
    assert!(rows.push([Some(&field[..])].into_iter()).is_ok());
    assert_eq!(
        rows.push([Some(&field[..])].into_iter()),
        Err(SnapshotError::TooLarge { limit: 100 })
    );
    assert_eq!(
        Rows::new(100).decode(&Bases::default()).err(),
        Some(SnapshotError::Incomplete)
    );
    assert_eq!(snapshot::major_of("15.18 (Debian 15.18-0+deb12u1)"), Ok(15));
    assert_eq!(snapshot::major_of("18beta1"), Ok(18));
    assert!(snapshot::major_of("11.22").is_err() && snapshot::major_of("19devel").is_err());
}

/// What a reading of a large database costs; run by hand, with `--ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn cost() {
    let server = Server::start();
    let major = u8::try_from(server.version).expect("a version");
    let mut connection = Connection::open(&server, &[]);
    run(
        &mut connection,
        "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE table_%s (id int PRIMARY KEY, a text DEFAULT ''x'', \
         b text, c text, d int, e int, f timestamptz DEFAULT now(), g numeric, h jsonb, i bool)', i); \
         EXECUTE format('CREATE FUNCTION function_%s(a int, b text) RETURNS bigint LANGUAGE sql AS \
         ''SELECT count(*) FROM table_%s WHERE id > $1 AND b = $2''', i, i); END LOOP; END $$",
    );
    let bases = Bases::default();
    for _ in 0..5 {
        let begin = Instant::now();
        let rows = rows(&mut connection, major, Place::Idle);
        let read = begin.elapsed();
        let begin = Instant::now();
        let fingerprint = rows.fingerprint();
        let hashed = begin.elapsed();
        let begin = Instant::now();
        let catalog = rows.decode(&bases).expect("it decodes");
        println!(
            "{} bytes in {read:?}, fingerprint {hashed:?} {fingerprint:?}, decoded in {:?}: {} relations, {} functions",
            rows.bytes(),
            begin.elapsed(),
            catalog.relations.len(),
            catalog.functions.len()
        );
    }
}
