//! Which literals a decision may ignore: pairs of texts that differ in a literal, and whether they share a key.

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::shape::Shape;
use sluice_parsers::sql::world::World;

/// The statement's part of the decision key.
fn key(sql: &str) -> Vec<u8> {
    let mut shape = Shape::new();
    shape.scan(sql.as_bytes()).expect(sql);
    let analysis = analyze(sql, &Limits::default(), &World::built_in(15));
    let mut key = shape.normalized().to_vec();
    key.push(0);
    shape.kept_literals(sql.as_bytes(), &analysis.neutral, &mut key);
    key
}

/// Pairs that may share a decision.
const SHARED: &[(&str, &str)] = &[
    ("SELECT * FROM t WHERE id = 1", "SELECT * FROM t WHERE id = 2"),
    (
        "SELECT * FROM t WHERE id = 1",
        "select  *\nfrom T where ID=2 -- c",
    ),
    ("SELECT * FROM t WHERE 1 = id", "SELECT * FROM t WHERE 7 = id"),
    ("SELECT * FROM t WHERE id = -1", "SELECT * FROM t WHERE id = -20"),
    (
        "SELECT * FROM t WHERE id <> 1 AND n < 'a' OR m >= 2.5",
        "SELECT * FROM t WHERE id <> 3 AND n < 'b' OR m >= 3.5",
    ),
    (
        "SELECT * FROM t WHERE t.name = 'a'",
        "SELECT * FROM t WHERE t.name = 'it''s'",
    ),
    (
        "SELECT * FROM t WHERE id IN (1, 2, 3)",
        "SELECT * FROM t WHERE id IN (4, 5, 6)",
    ),
    (
        "SELECT * FROM t WHERE id BETWEEN 1 AND 2",
        "SELECT * FROM t WHERE id BETWEEN 3 AND 4",
    ),
    (
        "SELECT * FROM t WHERE d = '2020-01-01'::date",
        "SELECT * FROM t WHERE d = '2021-01-01'::date",
    ),
    (
        "SELECT * FROM t WHERE d > timestamp '2020-01-01'",
        "SELECT * FROM t WHERE d > timestamp '2021-01-01'",
    ),
    (
        "SELECT * FROM t WHERE id = $$a$$",
        "SELECT * FROM t WHERE id = 'b'",
    ),
    ("SELECT * FROM t WHERE $1 = 5", "SELECT * FROM t WHERE $1 = 6"),
    (
        "SELECT * FROM t WHERE id IS DISTINCT FROM 5",
        "SELECT * FROM t WHERE id IS DISTINCT FROM 6",
    ),
    (
        "SELECT * FROM t JOIN u ON t.x = u.x AND u.k = 1",
        "SELECT * FROM t JOIN u ON t.x = u.x AND u.k = 2",
    ),
    (
        "SELECT CASE WHEN a = 1 THEN b END FROM t",
        "SELECT CASE WHEN a = 2 THEN b END FROM t",
    ),
    (
        "INSERT INTO t VALUES (1, 'a', 1.5)",
        "INSERT INTO t VALUES (2, 'b', 2.5)",
    ),
    (
        "INSERT INTO t (a) VALUES (1), (2)",
        "INSERT INTO t (a) VALUES (3), (4)",
    ),
    (
        "INSERT INTO t VALUES ('{}'::jsonb)",
        "INSERT INTO t VALUES ('[1]'::jsonb)",
    ),
    ("VALUES (1)", "VALUES (2)"),
    (
        "UPDATE t SET a = b WHERE id = 1",
        "UPDATE t SET a = b WHERE id = 2",
    ),
    (
        "UPDATE t SET a = 1, b = 'x' WHERE id = 5",
        "UPDATE t SET a = 2, b = 'y' WHERE id = 5",
    ),
    ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 2"),
    (
        "DELETE FROM t WHERE id = 1; SELECT * FROM t WHERE id = 3",
        "DELETE FROM t WHERE id = 2; SELECT * FROM t WHERE id = 4",
    ),
    (
        "PREPARE p AS SELECT * FROM t WHERE a = 1",
        "PREPARE p AS SELECT * FROM t WHERE a = 2",
    ),
    (
        "EXPLAIN SELECT * FROM t WHERE a = 1",
        "EXPLAIN SELECT * FROM t WHERE a = 2",
    ),
];

/// Pairs that must not share a decision.
const APART: &[(&str, &str)] = &[
    (
        "EXPLAIN (ANALYZE 0) DELETE FROM t",
        "EXPLAIN (ANALYZE 1) DELETE FROM t",
    ),
    (
        "EXPLAIN (ANALYZE 'off') DELETE FROM t",
        "EXPLAIN (ANALYZE 'on') DELETE FROM t",
    ),
    ("SELECT f(5)", "SELECT f(6)"),
    ("SELECT f(5)", "SELECT f(5000000000)"),
    ("SELECT f(5)", "SELECT f(5.0)"),
    ("SELECT f(5)", "SELECT f('5')"),
    ("SELECT f('1')", "SELECT f(B'1')"),
    ("SELECT f(B'1')", "SELECT f(X'1')"),
    ("SELECT * FROM t ORDER BY 1", "SELECT * FROM t ORDER BY 3"),
    (
        "SELECT a, count(*) FROM t GROUP BY 1",
        "SELECT a, count(*) FROM t GROUP BY 2",
    ),
    ("SELECT data->>'name' FROM t", "SELECT data->>'ssn' FROM t"),
    ("SELECT data['a'] FROM t", "SELECT data['b'] FROM t"),
    ("SELECT data->>'a' = 'x' FROM t", "SELECT data->>'b' = 'x' FROM t"),
    ("SET ROLE 'x'", "SET ROLE 'y'"),
    ("SET search_path = 'a'", "SET search_path = 'b'"),
    (
        "SET standard_conforming_strings = 'on'",
        "SET standard_conforming_strings = 'off'",
    ),
    ("SET client_encoding = 'UTF8'", "SET client_encoding = 'SJIS'"),
    ("SELECT 'a'::regclass", "SELECT 'b'::regclass"),
    (
        "SELECT * FROM pg_class WHERE oid = 'a'::regclass",
        "SELECT * FROM pg_class WHERE oid = 'b'::regclass",
    ),
    (
        "SELECT set_config('jit', 'off', false)",
        "SELECT set_config('role', 'off', false)",
    ),
    (
        "SELECT set_config('role', 'a', false)",
        "SELECT set_config('role', 'b', false)",
    ),
    (
        "SELECT set_config('client_encoding', 'UTF8', false)",
        "SELECT set_config('client_encoding', 'SJIS', false)",
    ),
    ("SELECT nextval('a')", "SELECT nextval('b')"),
    ("SELECT pg_notify('a', 'x')", "SELECT pg_notify('b', 'x')"),
    ("SELECT current_setting('a')", "SELECT current_setting('b')"),
    (
        "SELECT has_table_privilege('a', 'select')",
        "SELECT has_table_privilege('b', 'select')",
    ),
    (
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    ),
    ("SELECT 1", "SELECT 2"),
    ("SELECT 'a'", "SELECT 'b'"),
    ("SELECT 1 = 1", "SELECT 1 = 2"),
    ("DELETE FROM t WHERE 1 = 2", "DELETE FROM t WHERE 1 = 1"),
    ("DELETE FROM t WHERE 'a' = 'b'", "DELETE FROM t WHERE 'a' = 'a'"),
    (
        "DELETE FROM t WHERE name LIKE 'a%'",
        "DELETE FROM t WHERE name LIKE '%'",
    ),
    (
        "DELETE FROM t WHERE (1 = 0) = (1 = 1)",
        "DELETE FROM t WHERE (1 = 1) = (1 = 1)",
    ),
    (
        "SELECT * FROM t WHERE id + 1 = 5",
        "SELECT * FROM t WHERE id + 2 = 5",
    ),
    ("SELECT * FROM t WHERE f(1) = 5", "SELECT * FROM t WHERE f(2) = 5"),
    (
        "SELECT * FROM t WHERE id = f(1)",
        "SELECT * FROM t WHERE id = f(2)",
    ),
    (
        "SELECT * FROM t WHERE id = ANY('{1}')",
        "SELECT * FROM t WHERE id = ANY('{2}')",
    ),
    (
        "SELECT * FROM t WHERE id <-> 'a' < 5",
        "SELECT * FROM t WHERE id <-> 'b' < 5",
    ),
    (
        "SELECT * FROM t WHERE id OPERATOR(public.=) 1",
        "SELECT * FROM t WHERE id OPERATOR(public.=) 2",
    ),
    (
        "SELECT * FROM t WHERE id = 'a'::mood",
        "SELECT * FROM t WHERE id = 'b'::mood",
    ),
    ("SELECT * FROM t LIMIT 1", "SELECT * FROM t LIMIT 1000000"),
    ("SELECT * FROM t OFFSET 1", "SELECT * FROM t OFFSET 2"),
    (
        "SELECT * FROM t TABLESAMPLE system (1)",
        "SELECT * FROM t TABLESAMPLE system (100)",
    ),
    (
        "SELECT * FROM generate_series(1, 10)",
        "SELECT * FROM generate_series(1, 1000000000)",
    ),
    (
        "COPY t TO STDOUT (FORMAT 'text')",
        "COPY t TO STDOUT (FORMAT 'binary')",
    ),
    (
        "COPY t (a) TO STDOUT (FORMAT csv, HEADER 1)",
        "COPY t (a) TO STDOUT (FORMAT csv, HEADER 0)",
    ),
    (
        "COPY t (a) TO STDOUT (FORMAT csv, HEADER 'on')",
        "COPY t (a) TO STDOUT (FORMAT csv, HEADER 'off')",
    ),
    ("COPY t TO '/tmp/a'", "COPY t TO '/tmp/b'"),
    ("COPY t FROM PROGRAM 'a'", "COPY t FROM PROGRAM 'b'"),
    ("DO 'BEGIN END'", "DO 'BEGIN DELETE FROM t; END'"),
    ("DO $$BEGIN END$$", "DO $$BEGIN DELETE FROM t; END$$"),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'a'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'b'",
    ),
    ("LOAD 'a'", "LOAD 'b'"),
    ("NOTIFY c, 'a'", "NOTIFY c, 'b'"),
    ("PREPARE TRANSACTION 'a'", "PREPARE TRANSACTION 'b'"),
    ("COMMIT PREPARED 'a'", "COMMIT PREPARED 'b'"),
    ("SET TIME ZONE 'UTC'", "SET TIME ZONE 'CET'"),
    ("ALTER ROLE x PASSWORD 'a'", "ALTER ROLE x PASSWORD 'b'"),
    (
        "CREATE VIEW v AS SELECT * FROM t WHERE id = 1",
        "CREATE VIEW v AS SELECT * FROM t WHERE id = 2",
    ),
    (
        "CREATE POLICY p ON t USING (owner = 'a')",
        "CREATE POLICY p ON t USING (owner = 'b')",
    ),
    (
        "ALTER TABLE t ADD CHECK (a > 1)",
        "ALTER TABLE t ADD CHECK (a > 2)",
    ),
    (
        "CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
        "CREATE TABLE t PARTITION OF p FOR VALUES IN (2)",
    ),
    ("COMMENT ON TABLE t IS 'a'", "COMMENT ON TABLE t IS 'b'"),
    (
        "SELECT * FROM xmltable('/a' PASSING x COLUMNS b int PATH 'c')",
        "SELECT * FROM xmltable('/b' PASSING x COLUMNS b int PATH 'c')",
    ),
    (
        "SELECT JSON_VALUE(j, '$.a') FROM t",
        "SELECT JSON_VALUE(j, '$.b') FROM t",
    ),
    ("EXECUTE p(1)", "EXECUTE p(2)"),
    ("CALL p(1)", "CALL p(2)"),
    (
        "UPDATE t SET a = f(1) WHERE id = 5",
        "UPDATE t SET a = f(2) WHERE id = 5",
    ),
    ("INSERT INTO t VALUES (f(1))", "INSERT INTO t VALUES (f(2))"),
    ("INSERT INTO t VALUES (1 + 1)", "INSERT INTO t VALUES (1 + 2)"),
    (
        "SELECT '\\'; DELETE FROM t; --'",
        "SELECT 'x'; DELETE FROM t; --'",
    ),
    // The kind of a literal stays, although its value goes.
    (
        "SELECT * FROM t WHERE id = 1",
        "SELECT * FROM t WHERE id = 5000000000",
    ),
    ("SELECT * FROM t WHERE id = 1", "SELECT * FROM t WHERE id = 1.0"),
    ("SELECT * FROM t WHERE id = 1", "SELECT * FROM t WHERE id = '1'"),
    (
        "SELECT * FROM t WHERE id = '1'",
        "SELECT * FROM t WHERE id = B'1'",
    ),
    (
        "SELECT * FROM t WHERE id = 'a'",
        "SELECT * FROM t WHERE id = N'a'",
    ),
    (
        "SELECT * FROM t WHERE id = -2147483648",
        "SELECT * FROM t WHERE id = -2147483649",
    ),
    (
        "SELECT * FROM t WHERE id = 9223372036854775807",
        "SELECT * FROM t WHERE id = 9223372036854775808",
    ),
    ("SELECT * FROM t WHERE id = 1", "SELECT * FROM t WHERE id = - 1"),
    ("SELECT * FROM t WHERE id = 1", "SELECT * FROM t WHERE \"id\" = 1"),
    (
        "SELECT * FROM t WHERE a = U&'x' UESCAPE '!'",
        "SELECT * FROM t WHERE a = U&'x' UESCAPE '?'",
    ),
    (
        "SELECT * FROM t WHERE id IN (1, 2)",
        "SELECT * FROM t WHERE id IN (1, 2, 3)",
    ),
];

#[test]
fn t01_neutral_literals_share_a_key() {
    for (one, other) in SHARED {
        assert_eq!(key(one), key(other), "{one}\n{other}");
    }
}

#[test]
fn t01_meaningful_literals_stay_in_the_key() {
    for (one, other) in APART {
        assert_ne!(key(one), key(other), "{one}\n{other}");
        // A cache that knows the first text's neutral literals must not take the second for it either.
        let (mut first, mut second) = (Shape::new(), Shape::new());
        first.scan(one.as_bytes()).unwrap();
        second.scan(other.as_bytes()).unwrap();
        if first.normalized() == second.normalized() {
            let neutral = analyze(one, &Limits::default(), &World::built_in(15)).neutral;
            let (mut left, mut right) = (Vec::new(), Vec::new());
            first.kept_literals(one.as_bytes(), &neutral, &mut left);
            second.kept_literals(other.as_bytes(), &neutral, &mut right);
            assert_ne!(left, right, "{one}\n{other}");
        }
    }
}

#[test]
fn long_lists_stay_neutral() {
    let rows = |start: usize| {
        (start..start + 3000)
            .map(|n| format!("({n}, 'v{n}')"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (one, other) = (rows(1000), rows(5000));
    let insert = |rows: &str| format!("INSERT INTO t VALUES {rows}");
    assert_eq!(key(&insert(&one)), key(&insert(&other)));
    let list = |start: usize| {
        (start..start + 3000)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    let select = |list: &str| format!("SELECT * FROM t WHERE id IN ({list})");
    assert_eq!(key(&select(&list(1000))), key(&select(&list(5000))));
    // An operand that is no column keeps them all.
    let kept = |list: &str| format!("SELECT * FROM t WHERE f(id) IN ({list})");
    assert_ne!(key(&kept(&list(1000))), key(&kept(&list(5000))));
    let view = |rows: &str| format!("CREATE VIEW v AS VALUES {rows}");
    assert_ne!(key(&view(&one)), key(&view(&other)));
}
