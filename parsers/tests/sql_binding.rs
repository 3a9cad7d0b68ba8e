//! What names mean: effects with resolved objects and columns, the lineage of result columns, and what is said of
//! protected columns, over a small database.

mod small;

use std::sync::Arc;

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::catalog::Oid;
use sluice_parsers::sql::lineage::Lineage;
use sluice_parsers::sql::statement::{Probes, Statement};
use sluice_parsers::sql::world::{SessionNames, Touched, World};

use self::small::Small;

fn world() -> World {
    let mut small = Small::new(15);
    small.table(
        "customers",
        "id int4, name text, ssn text, email text, country text",
    );
    small.table("orders", "id int4, customer_id int4, total numeric, note text");
    small.table("archive", "id int4, ssn text");
    small.table("plain", "id int4, a text, b text");
    small.view(
        "names",
        "id int4, name text",
        "SELECT customers.id, customers.name FROM public.customers",
    );
    small.view(
        "people",
        "id int4, number text, shout text",
        "SELECT c.id, c.ssn AS number, upper(c.name) AS shout FROM public.customers c",
    );
    small.view(
        "pairs",
        "id int4, number text, total numeric",
        "SELECT p.id, p.number, o.total FROM (public.people p JOIN public.orders o ON ((o.customer_id = p.id)))",
    );
    small.view("itself", "id int4", "SELECT itself.id FROM public.itself");
    small.function("mystery", &["text"], "text");
    small.function("label", &["customers"], "text");
    small.sql_function("pure", &["text"], "text", "SELECT upper($1)");
    small.sql_function(
        "reads",
        &["int4"],
        "text",
        "SELECT ssn FROM customers WHERE id = $1",
    );
    let whole = small.table("whole", "id int4, ssn text");
    let part = small.table("part", "id int4, ssn text");
    small.attach(part, whole);
    small.world(&[
        ("customers", "ssn"),
        ("customers", "email"),
        ("archive", "ssn"),
        ("whole", "ssn"),
    ])
}

/// A statement's effects and columns, each on a line.
fn describe(statement: &Statement, world: &World) -> String {
    let effects: Vec<_> = statement.effects.iter().map(ToString::to_string).collect();
    let columns: Vec<_> = statement
        .columns
        .iter()
        .map(|column| format!("{} = {}", column.name, lineage(&column.lineage, world)))
        .collect();
    format!("  {}\n  {}", effects.join("; "), columns.join(", "))
}

fn lineage(lineage: &Lineage, world: &World) -> String {
    let kind = match lineage {
        Lineage::Exact(columns) if columns.is_empty() => "constant",
        Lineage::Exact(_) => "exact",
        Lineage::Derived(_) => "derived",
        Lineage::Unknown => "unknown",
    };
    let columns = lineage.columns().unwrap_or_default().iter().map(|column| {
        let table = world.catalog.relation(column.relation).expect("relation");
        let name = table.columns.iter().find(|found| found.number == column.number);
        let name = name.map_or_else(|| column.number.to_string(), |found| found.name.to_string());
        format!(" {}.{name}", table.name)
    });
    format!("{kind}{}", columns.collect::<String>())
}

#[test]
fn names_mean_what_they_mean_to_the_server() {
    let world = world();
    let mut wrong = Vec::new();
    let mut rows = include_str!("data/bound.txt").lines().peekable();
    while let Some(line) = rows.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut want = Vec::new();
        while let Some(more) = rows.next_if(|next| next.starts_with("  ")) {
            want.push(more.trim_end().to_owned());
        }
        let analysis = analyze(line, &Limits::default(), &world);
        let got: Vec<_> = analysis
            .statements
            .iter()
            .map(|statement| describe(statement, &world))
            .collect();
        let got = got.join("\n");
        let got: Vec<_> = got
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        if got != want {
            wrong.push(format!("{line}\n{}", got.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "what is not as expected:\n{}", wrong.join("\n"));
}

/// The effects of a text's statements in a world.
fn effects(sql: &str, world: &World) -> String {
    let analysis = analyze(sql, &Limits::default(), world);
    let effects = analysis
        .statements
        .iter()
        .flat_map(|statement| &statement.effects);
    effects.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The same of all rows of a table.
fn assert_effects(world: &World, rows: &[(&str, &str, &str)]) {
    for (name, sql, want) in rows {
        assert_eq!(effects(sql, world), *want, "{name}: {sql}");
    }
}

#[test]
fn t02_declared_types_of_parameters_choose_the_function() {
    let mut small = Small::new(15);
    small.function("f", &["text"], "text");
    let harmless = small.function("f", &["int4"], "text");
    let world = small.world(&[]);
    let with_types = |types: &[u32]| World {
        parameter_types: types.iter().map(|&oid| Oid(oid)).collect(),
        listed: Arc::new([harmless].into_iter().collect()),
        ..world.clone()
    };
    assert_eq!(effects("SELECT f($1)", &with_types(&[23])), "");
    assert_eq!(
        effects("SELECT f($1)", &with_types(&[25])),
        "Opaque function public.f"
    );
    assert_eq!(effects("SELECT f(5)", &with_types(&[])), "");
    assert_eq!(
        effects("SELECT f('5')", &with_types(&[])),
        "Opaque function public.f"
    );
    // The types that PREPARE declares are its own.
    assert_eq!(
        effects("PREPARE p (int4) AS SELECT f($1)", &with_types(&[25])),
        ""
    );
}

#[test]
fn t02_values_that_decide_are_told_apart_from_those_that_do_not() {
    let world = world();
    for (sql, want) in [
        ("SELECT set_config($1, 'x', false)", &[1][..]),
        ("SELECT set_config($2::text, $1, false)", &[2]),
        ("SELECT set_config('jit', $1, false)", &[]),
        ("SELECT set_config('ro' || 'le', 'x', false)", &[]),
        ("PREPARE p AS SELECT set_config($1, 'x', false)", &[]),
        ("SELECT * FROM customers WHERE id = $1", &[]),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        assert_eq!(&analysis.statements[0].decided_at_bind[..], want, "{sql}");
    }
}

#[test]
fn t02_values_of_bind_decide_as_constants_do() {
    let world = world();
    let bound = |values: &[Option<&str>]| World {
        parameter_values: values.iter().map(|value| value.map(Box::from)).collect(),
        ..world.clone()
    };
    let sql = "SELECT set_config($1, $2, false)";
    for (name, values) in [("jit", "off"), ("role", "other")] {
        assert_eq!(
            effects(sql, &bound(&[Some(name), Some(values)])),
            effects(&format!("SELECT set_config('{name}', '{values}', false)"), &world),
            "{name}"
        );
    }
    for (sql, values) in [
        (sql, &[][..]),
        (sql, &[None, Some("off")]),
        // What the server makes of the value is another one.
        ("SELECT set_config($1 || 'x', 'off', false)", &[Some("jit")]),
        // These are EXECUTE's.
        ("PREPARE p AS SELECT set_config($1, 'off', false)", &[Some("jit")]),
    ] {
        assert_eq!(
            effects(sql, &bound(values)),
            "Opaque function set_config",
            "{sql}"
        );
    }
    let analysis = analyze(sql, &Limits::default(), &world);
    assert_eq!(analysis.statements[0].effects_before_bind().count(), 0);
}

#[test]
fn arguments_by_name_are_those_of_the_declaration() {
    let world = world();
    for (sql, want) in [
        // Those of version 15 have no names, so that the server refuses it.
        (
            "SELECT set_config(new_value => 'x', setting_name => 'role', is_local => false)",
            "Opaque function set_config",
        ),
        (
            "SELECT make_interval(hours => 1, mins => 2), lo_get(1, \"offset\" => 1)",
            "Opaque function lo_get",
        ),
    ] {
        assert_eq!(effects(sql, &world), want, "{sql}");
    }
}

#[test]
fn t08_operators_casts_and_types_run_code() {
    let mut small = Small::new(15);
    small.domain("evil", "text", "(public.check_it(VALUE))");
    small.function("check_it", &["text"], "bool");
    small.operator("<=>", "int4", "int4", "bool", "compare_it");
    small.table("t", "id int4, d evil, e text");
    let world = small.world(&[]);
    assert_effects(
        &world,
        &[
            ("operator", "SELECT 1 <=> 2", "Opaque function public.compare_it"),
            (
                "operator in ORDER BY",
                "SELECT id FROM t ORDER BY id USING <=>",
                "Read relation public.t (id); Opaque function public.compare_it",
            ),
            ("cast", "SELECT 'x'::evil", "Opaque function public.check_it"),
            (
                "type as a function",
                "SELECT evil(e) FROM t",
                "Read relation public.t (e); Opaque function public.check_it",
            ),
            (
                "assignment",
                "UPDATE t SET d = 'x' WHERE id = 1",
                "Opaque function public.check_it; Update relation public.t (d); Read relation public.t (id)",
            ),
            (
                "column of a function",
                "SELECT * FROM json_to_record('{}') AS x(a evil)",
                "Opaque function public.check_it",
            ),
            (
                "columns of plain types only",
                "SELECT id, e FROM t WHERE e LIKE 'x' ORDER BY e",
                "Read relation public.t (e, id)",
            ),
            (
                "attribute notation",
                "SELECT x.check_it FROM (SELECT e FROM t) y, LATERAL (SELECT e) x",
                "Read relation public.t (e)",
            ),
        ],
    );
}

#[test]
fn t09_explain_has_the_effects_of_its_statement() {
    let world = world();
    for sql in [
        "SELECT id FROM customers WHERE ssn < '5'",
        "SELECT mystery('x')",
        "DELETE FROM orders",
        "UPDATE plain SET a = ssn FROM customers",
    ] {
        let run = effects(sql, &world);
        assert_eq!(effects(&format!("EXPLAIN ANALYZE {sql}"), &world), run);
        // A change that is only planned reads what it would change.
        let planned = run.replace("Delete relation", "Read relation");
        let planned = planned
            .replace("Update relation", "Read relation")
            .replace(" [unfiltered]", "");
        for explain in ["EXPLAIN", "EXPLAIN (ANALYZE 0, FORMAT json)"] {
            assert_eq!(
                effects(&format!("{explain} {sql}"), &world),
                planned,
                "{explain} {sql}"
            );
        }
    }
}

#[test]
fn t12_names_are_the_servers() {
    let mut small = Small::new(15);
    let long = "a".repeat(63);
    small.table(&long, "id int4");
    small.table("Mixed", "id int4, \"Q\" text");
    small.table("größe", "id int4");
    small.table("pg_class", "id int4");
    let world = small.world(&[]);
    let cut = format!("SELECT id FROM {long}bcd");
    let cut_effects = format!("Read relation public.{long} (id)");
    assert_effects(
        &world,
        &[
            ("cut at 63 bytes", &cut, &cut_effects),
            (
                "folded",
                "SELECT id FROM MIXED",
                "Read relation mixed [uncertain]",
            ),
            (
                "quoted",
                "SELECT id FROM \"Mixed\"",
                "Read relation public.Mixed (id)",
            ),
            (
                "escaped",
                "SELECT id FROM U&\"\\004dixed\"",
                "Read relation public.Mixed (id)",
            ),
            (
                "not ASCII",
                "SELECT id FROM GRößE",
                "Read relation public.größe (id)",
            ),
            (
                "the server's own come first",
                "SELECT relname FROM pg_class",
                "Read relation pg_catalog.pg_class (relname) [catalog]",
            ),
            (
                "unless the schema is written",
                "SELECT id FROM public.pg_class",
                "Read relation public.pg_class (id)",
            ),
        ],
    );
}

#[test]
fn t12_what_the_session_changed_is_uncertain() {
    let world = world();
    let session = SessionNames {
        touched: Touched::Names(["customers".into(), "upper".into()].into_iter().collect()),
        ..(*world.session).clone()
    };
    let world = World {
        session: Arc::new(session),
        ..world
    };
    assert_eq!(
        effects("SELECT id FROM customers", &world),
        "Read relation public.customers [uncertain]; Read relation customers [uncertain]"
    );
    assert_eq!(effects("SELECT upper('x')", &world), "Opaque function upper");
    assert_eq!(
        effects("SELECT id FROM orders", &world),
        "Read relation public.orders (id)"
    );
}

#[test]
fn t15_any_use_but_plain_output_is_a_filter() {
    let world = world();
    let filters = |sql: &str| -> Vec<String> {
        let analysis = analyze(sql, &Limits::default(), &world);
        let effects = analysis
            .statements
            .iter()
            .flat_map(|statement| &statement.effects);
        let filters = effects.filter_map(|effect| effect.filter);
        filters.map(|kind| kind.name().to_owned()).collect()
    };
    for (sql, want) in [
        ("SELECT ssn FROM customers", &[][..]),
        ("SELECT upper(ssn) FROM customers", &[]),
        (
            "SELECT name FROM customers WHERE name = 'x' ORDER BY country",
            &[],
        ),
        (
            "SELECT v FROM (VALUES ('1'), ('2')) x(v) JOIN customers ON ssn = v",
            &["other"],
        ),
        (
            "SELECT v FROM (SELECT unnest(ARRAY['1', '2']) AS v) x JOIN customers ON ssn = v",
            &["other"],
        ),
        (
            "SELECT g FROM generate_series(1, 9) g JOIN customers ON ssn::int = g",
            &["other"],
        ),
        (
            "SELECT n FROM orders JOIN customers ON ssn = note, (SELECT 1 AS n) s",
            &["join"],
        ),
        (
            "SELECT 1 FROM customers NATURAL JOIN (SELECT '1'::text AS ssn) s",
            &["other"],
        ),
        (
            "WITH c AS (SELECT ssn AS x FROM customers) SELECT 1 FROM c WHERE x = '1'",
            &["equality"],
        ),
        (
            "SELECT (SELECT count(*) FROM customers WHERE ssn = t.a) FROM plain t",
            &["join"],
        ),
        (
            "SELECT 1 FROM customers WHERE row(ssn, 1) = row('1', 1)",
            &["equality"],
        ),
        (
            "SELECT 1 FROM customers c WHERE c = row(1, 'a', 'b', 'c', 'd')",
            &["other", "other"],
        ),
        (
            "SELECT 1 FROM customers WHERE (ssn, name) IN (('1', 'x'))",
            &["equality"],
        ),
        ("SELECT 1 FROM customers WHERE (ssn || name) = 'x'", &["other"]),
        ("SELECT 1 FROM customers WHERE ssn IN ('1')", &["equality"]),
        ("SELECT 1 FROM customers WHERE ssn IN ('1', '2')", &["set"]),
        ("SELECT 1 FROM customers WHERE ssn NOT IN ($1, $2)", &["set"]),
        (
            "SELECT 1 FROM customers WHERE (ssn, name) IN (('1', 'x'), ('2', 'x'))",
            &["set"],
        ),
        ("SELECT 1 FROM customers WHERE ssn = ANY ('{1,2}')", &["set"]),
        ("SELECT 1 FROM customers WHERE ssn = ANY ($1)", &["set"]),
        (
            "SELECT 1 FROM customers WHERE ssn <> ALL (ARRAY['1', '2'])",
            &["set"],
        ),
        (
            "SELECT 1 FROM customers WHERE ssn = (SELECT a FROM plain LIMIT 1)",
            &["set"],
        ),
        (
            "SELECT 1 FROM customers WHERE ssn IN (SELECT a FROM plain)",
            &["join"],
        ),
        ("SELECT 1 FROM customers WHERE ssn = random()::text", &["other"]),
        ("SELECT 1 FROM customers WHERE ssn = now()::text", &["equality"]),
        (
            "SELECT 1 FROM customers WHERE length(ssn) BETWEEN 1 AND 2",
            &["range"],
        ),
        (
            "SELECT 1 FROM customers WHERE ssn IS DISTINCT FROM '1'",
            &["equality"],
        ),
        (
            "SELECT 1 FROM customers WHERE ARRAY[ssn] && ARRAY['1']",
            &["other"],
        ),
        (
            "SELECT 1 FROM customers WHERE to_tsvector(ssn) @@ 'x'",
            &["pattern"],
        ),
        (
            "SELECT string_agg(name, ',' ORDER BY ssn) FROM customers",
            &["order"],
        ),
        ("SELECT array_agg(ssn) FROM customers", &["aggregate"]),
        (
            "SELECT 1 FROM customers GROUP BY GROUPING SETS ((ssn), (name))",
            &["group"],
        ),
        ("SELECT * FROM customers ORDER BY 3", &["order"]),
        (
            "DELETE FROM orders USING customers WHERE ssn = '1'",
            &["equality"],
        ),
        (
            "UPDATE orders SET note = 'x' WHERE EXISTS (SELECT 1 FROM customers WHERE ssn LIKE '1%')",
            &["pattern"],
        ),
        (
            "INSERT INTO archive SELECT 1, 'x' FROM customers WHERE ssn = '1'",
            &["equality"],
        ),
        (
            "SELECT 1 FROM orders LIMIT (SELECT count(*) FROM customers WHERE ssn > '1')",
            &["range"],
        ),
        (
            "SELECT count(*) FROM (SELECT ssn FROM customers UNION ALL SELECT '1') s GROUP BY ssn HAVING count(*) > 1",
            &["set"],
        ),
        (
            "SELECT row_number() OVER (ORDER BY ssn) FROM (SELECT id, ssn FROM customers UNION ALL SELECT 0, '1') s",
            &["set"],
        ),
        (
            "SELECT count(*) OVER (PARTITION BY ssn) FROM (SELECT '1' AS ssn UNION ALL SELECT ssn FROM customers) s",
            &["set"],
        ),
        (
            "SELECT id FROM (SELECT id, ssn FROM customers UNION ALL VALUES (0, '1')) s ORDER BY ssn",
            &["set"],
        ),
        (
            "SELECT id, ssn FROM customers UNION ALL SELECT 0, '1' ORDER BY 2",
            &["set"],
        ),
        (
            "SELECT DISTINCT ssn FROM (SELECT ssn FROM customers UNION ALL SELECT '1') s",
            &["set"],
        ),
        (
            "SELECT DISTINCT ON (ssn) id FROM (SELECT id, ssn FROM customers UNION ALL SELECT 0, '1') s",
            &["set"],
        ),
        ("SELECT ssn FROM customers UNION SELECT '1'", &["set"]),
        ("SELECT ssn FROM customers INTERSECT SELECT '1'", &["set"]),
        ("SELECT ssn FROM customers EXCEPT ALL SELECT '1'", &["set"]),
        (
            "SELECT lag(ssn) OVER (ORDER BY id) FROM (SELECT id, ssn FROM customers UNION ALL SELECT 0, '1') s",
            &["aggregate"],
        ),
        (
            "SELECT c.id FROM customers c JOIN (SELECT name FROM customers UNION ALL SELECT '1') s ON s.name = c.ssn",
            &["other"],
        ),
        (
            "SELECT c.id FROM plain c JOIN (SELECT ssn FROM customers UNION ALL SELECT '1') s ON s.ssn = c.a",
            &["set"],
        ),
        (
            "SELECT count(*) FROM customers c, LATERAL (VALUES (c.ssn), ('1')) v(x) GROUP BY x",
            &["set"],
        ),
        (
            "SELECT count(*) FROM customers, unnest(ARRAY[ssn, '1']) x GROUP BY x",
            &["limit", "set"],
        ),
        (
            "SELECT id FROM customers ORDER BY CASE id WHEN 1 THEN ssn ELSE '5' END",
            &["set"],
        ),
        (
            "WITH RECURSIVE r(x, n) AS (SELECT ssn, 1 FROM customers UNION ALL SELECT '1', n + 1 FROM r WHERE n < 2) SELECT count(*) FROM r GROUP BY x",
            &["set"],
        ),
        ("SELECT ssn FROM customers UNION ALL SELECT '1'", &[]),
        ("SELECT CASE id WHEN 1 THEN ssn ELSE '5' END FROM customers", &[]),
        (
            "SELECT id FROM customers ORDER BY CASE id WHEN 1 THEN ssn ELSE NULL END",
            &["order"],
        ),
        (
            "SELECT count(*) FROM (SELECT ssn FROM customers UNION ALL SELECT ssn FROM archive) s GROUP BY ssn",
            &["group", "group"],
        ),
        (
            "SELECT id FROM (SELECT id, name FROM customers UNION ALL SELECT 0, '1') s ORDER BY name",
            &[],
        ),
        (
            "SELECT name FROM (SELECT ssn, name FROM customers UNION ALL SELECT '1', '') s GROUP BY name",
            &[],
        ),
    ] {
        assert_eq!(filters(sql), want, "{sql}");
    }
}

#[test]
fn t15_guesses_are_counted() {
    let world = world();
    for (sql, count, vary) in [
        ("SELECT name FROM customers WHERE name = 'a'", Some(0), false),
        ("SELECT name FROM customers ORDER BY ssn", Some(0), false),
        (
            "SELECT 1 FROM customers c JOIN customers d ON c.ssn = d.ssn",
            Some(0),
            false,
        ),
        ("SELECT name FROM customers WHERE ssn = '1'", Some(1), false),
        ("SELECT name FROM customers WHERE ssn = $1", Some(1), false),
        (
            "SELECT name FROM customers WHERE ssn = '1' OR ssn = '2' OR $1 = ssn",
            Some(3),
            false,
        ),
        (
            "SELECT 1 FROM customers WHERE (ssn, name) = ('1', 'x')",
            Some(1),
            false,
        ),
        (
            "SELECT (SELECT count(*) FROM customers WHERE ssn = '1'), (SELECT count(*) FROM customers WHERE ssn = '2')",
            Some(2),
            false,
        ),
        ("SELECT ssn = '1' AS is_it FROM customers", Some(1), false),
        (
            "DELETE FROM orders USING customers WHERE ssn = '1'",
            Some(1),
            false,
        ),
        (
            "SELECT 1 FROM customers WHERE ssn = current_setting('my.guess')",
            Some(1),
            true,
        ),
        ("SELECT 1 FROM customers WHERE ssn = lower($1)", Some(1), true),
        ("SELECT 1 FROM customers WHERE ssn IN ('1')", Some(1), false),
        ("SELECT 1 FROM customers WHERE ssn IN ('1', '2')", None, false),
        ("SELECT 1 FROM customers WHERE ssn = ANY ($1)", None, false),
        (
            "SELECT 1 FROM customers WHERE ssn = '1' AND ssn LIKE '1%'",
            None,
            false,
        ),
        ("SELECT 1 FROM customers WHERE ssn > '1'", None, false),
        ("SELECT 1 FROM customers WHERE ssn = random()::text", None, false),
        ("SELECT CASE ssn WHEN '1' THEN 1 END FROM customers", None, false),
        (
            "SELECT 1 FROM generate_series(1, 9) g JOIN customers ON ssn = g::text",
            None,
            false,
        ),
        (
            "SELECT 1 FROM customers JOIN (VALUES ('1'), ('2')) v(x) ON ssn = x",
            None,
            false,
        ),
        ("SELECT ssn FROM customers INTERSECT SELECT '1'", None, false),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        assert_eq!(analysis.statements[0].probes, Probes { count, vary }, "{sql}");
    }
}

#[test]
fn t16_values_that_flow_to_where_they_can_be_read_leak() {
    let world = world();
    let leaks = |sql: &str| effects(sql, &world).contains("Leak relation public.customers (ssn)");
    for sql in [
        "SELECT set_config('application_name', ssn, false) FROM customers",
        "SELECT set_config('my.' || ssn, 'x', false) FROM customers",
        "SELECT pg_advisory_lock(ssn::bigint) FROM customers",
        "SELECT pg_notify('c', ssn) FROM customers",
        "SELECT pg_sleep(length(ssn)) FROM customers",
        "SELECT setval('s', ssn::bigint) FROM customers",
        "SELECT lo_put(1, 0, ssn::bytea) FROM customers",
        "INSERT INTO plain (a) SELECT ssn FROM customers",
        "INSERT INTO plain (a) SELECT upper(number) FROM people",
        "INSERT INTO plain (a) VALUES ((SELECT max(ssn) FROM customers))",
        "UPDATE plain SET a = (SELECT ssn FROM customers LIMIT 1)",
        "UPDATE customers SET name = ssn",
        "CREATE TABLE x AS SELECT row_to_json(c) FROM customers c",
        "SELECT ssn INTO x FROM customers UNION SELECT a FROM plain",
        "SELECT name FROM customers LIMIT (SELECT length(ssn) FROM customers)",
        "WITH c AS (SELECT ssn FROM customers), i AS (INSERT INTO plain (b) SELECT ssn FROM c) SELECT 1",
        "MERGE INTO plain USING customers c ON plain.id = c.id WHEN MATCHED THEN UPDATE SET a = c.ssn",
        // Under another name the configuration does not find it.
        "ALTER TABLE customers RENAME TO guests",
        "ALTER TABLE customers RENAME COLUMN ssn TO number",
        "ALTER TABLE customers SET SCHEMA app",
        "ALTER SCHEMA public RENAME TO private",
    ] {
        assert!(leaks(sql), "{sql}: {}", effects(sql, &world));
    }
    for sql in [
        "SELECT ssn FROM customers",
        "INSERT INTO plain (a) SELECT name FROM customers",
        "INSERT INTO archive SELECT id, ssn FROM customers",
        "UPDATE customers SET ssn = ssn",
        "SELECT set_config('application_name', name, false) FROM customers",
        "CREATE TABLE x AS SELECT id, name FROM customers",
        "ALTER TABLE customers RENAME COLUMN name TO called",
        "ALTER TABLE customers DROP COLUMN ssn",
        "ALTER TABLE plain RENAME TO simple",
        "ALTER SCHEMA app RENAME TO more",
    ] {
        assert!(!leaks(sql), "{sql}: {}", effects(sql, &world));
    }
}

#[test]
fn t17_writing_to_protected_columns_names_them() {
    assert_effects(
        &world(),
        &[
            (
                "by name",
                "UPDATE customers SET ssn = $1, name = $2 WHERE id = $3",
                "Update relation public.customers (name, ssn); Read relation public.customers (id)",
            ),
            (
                "without names",
                "INSERT INTO archive VALUES ($1, $2)",
                "Insert relation public.archive (id, ssn)",
            ),
            (
                "through a view",
                "UPDATE people SET number = $1",
                "Read relation public.customers (id, name, ssn); Update relation public.people (number) [unfiltered]; Read relation public.people; Update relation public.customers (ssn) [unfiltered]",
            ),
            (
                "by COPY",
                "COPY archive FROM STDIN",
                "Insert relation public.archive (id, ssn); Copy relation public.archive (id, ssn)",
            ),
        ],
    );
}

#[test]
fn t03_a_text_changes_what_the_names_behind_mean() {
    let world = world();
    for (sql, want) in [
        (
            "SET search_path = elsewhere; SELECT id FROM orders; SELECT lower('x')",
            "Set setting search_path; Read relation orders [uncertain]",
        ),
        (
            "SET LOCAL search_path = elsewhere; SELECT id FROM orders",
            "Set setting search_path; Read relation public.orders [uncertain]; Read relation orders [uncertain]",
        ),
        (
            "SET ROLE other; SELECT id FROM orders",
            "SetRole role other [other_user]; Read relation public.orders [uncertain]; Read relation orders \
             [uncertain]",
        ),
        (
            "ALTER TABLE orders RENAME TO gone; SELECT id FROM plain; SELECT id FROM orders",
            "Alter relation public.orders; Create relation public.gone; Read relation public.plain (id); Read relation \
             public.orders [uncertain]; Read relation orders [uncertain]",
        ),
        (
            "ALTER TABLE orders ADD x int; SELECT id FROM orders",
            "Alter relation public.orders; Read relation public.orders; Read relation public.orders [uncertain]; Read \
             relation orders [uncertain]",
        ),
        (
            "BEGIN; SET search_path = elsewhere; ROLLBACK; SELECT id FROM orders",
            "Set setting search_path; Read relation public.orders [uncertain]; Read relation orders [uncertain]",
        ),
        (
            "SET statement_timeout = 5; SELECT id FROM orders",
            "Set setting statement_timeout [harmless]; Read relation public.orders (id)",
        ),
    ] {
        assert_eq!(effects(sql, &world), want, "{sql}");
    }
}

#[test]
fn columns_name_the_origin_that_the_server_names() {
    let world = world();
    let origins = |sql: &str| -> Vec<String> {
        let analysis = analyze(sql, &Limits::default(), &world);
        let columns = analysis.statements[0].columns.iter();
        let named = columns.map(|column| {
            column.origin.map_or_else(
                || "none".to_owned(),
                |origin| {
                    let relation = world.catalog.relation(origin.relation).expect("relation");
                    format!("{}.{}", relation.name, origin.number)
                },
            )
        });
        named.collect()
    };
    for (sql, want) in [
        (
            "SELECT ssn, ssn::text, ssn::varchar, upper(ssn) FROM customers",
            &["customers.3", "customers.3", "none", "none"][..],
        ),
        ("SELECT number FROM people", &["people.2"]),
        ("SELECT n FROM (SELECT number AS n FROM people) s", &["people.2"]),
        (
            "WITH c AS (SELECT ssn FROM customers) SELECT ssn, ctid FROM c, orders",
            &["customers.3", "orders.-1"],
        ),
        (
            "SELECT ssn FROM customers UNION ALL SELECT a FROM plain",
            &["none"],
        ),
        (
            "SELECT (SELECT ssn FROM customers), coalesce(name, 'x'), ssn COLLATE \"C\" FROM customers",
            &["none", "none", "none"],
        ),
    ] {
        assert_eq!(origins(sql), want, "{sql}");
    }
}
