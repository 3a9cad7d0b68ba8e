//! Texts that try to get past a read-only policy, and texts that only look as if they did.

use sluice_parsers::sql::analyze::{Limits, analyze_bytes};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags};
use sluice_parsers::sql::world::World;

/// What the bundled read-only policy permits: reading, and the harmless group of settings.
fn is_read_only(effect: &Effect) -> bool {
    effect.action == Action::Read
        || (effect.action == Action::Set && effect.flags.contains(EffectFlags::HARMLESS))
}

/// Whether a text passes a read-only policy as a whole: what it runs by name is not known here, so it does not pass.
fn passes(sql: &[u8]) -> bool {
    let analysis = analyze_bytes(sql, &Limits::default(), &World::built_in(15));
    analysis
        .statements
        .iter()
        .all(|statement| statement.effects_with(|_| None).iter().all(is_read_only))
}

const EVASIONS: &[(&str, &str)] = &[
    (
        "t02 backslash that standard strings take literally",
        r"SELECT '\'; DELETE FROM t; --'",
    ),
    (
        "t02 backslash at the end of a name",
        r#"SELECT "a\"; DELETE FROM t; --""#,
    ),
    (
        "escape string that closes later than it seems",
        r"SELECT E'\\'; DELETE FROM t; --'",
    ),
    (
        "escape string with an octal quote",
        r"SELECT E'a'; DELETE FROM t; --\047",
    ),
    ("unicode string", r"SELECT U&'\0027'; DELETE FROM t; --'"),
    (
        "comment that does not nest",
        "SELECT 1 /* /* */ */; DELETE FROM t; /* */",
    ),
    (
        "nested comment that ends early",
        "SELECT 1 /* */ ; DELETE FROM t /* */",
    ),
    (
        "comment inside of an operator",
        "SELECT 1 +/* */ 1; DELETE FROM t --*/",
    ),
    (
        "line comment ended by a carriage return",
        "SELECT 1 --\rDELETE; DELETE FROM t",
    ),
    (
        "line comment ended by a carriage return, as one statement",
        "--\rDELETE FROM t",
    ),
    ("comments between words", "DELETE/**/FROM/**/t"),
    ("comment in front", "/* SELECT */ DELETE FROM t"),
    ("form feed", "\x0cDELETE\x0cFROM\x0ct"),
    ("vertical tab", "DELETE\x0bFROM t"),
    ("case", "dElEtE fRoM t"),
    ("byte order mark", "\u{feff}DELETE FROM t"),
    (
        "byte order mark behind a statement",
        "SELECT 1;\u{feff}DELETE FROM t",
    ),
    ("no-break space", "DELETE\u{a0}FROM t"),
    ("ideographic space", "SELECT\u{3000}1; DELETE FROM t"),
    ("k$$ is a word", "SELECT 1 AS k$$; DELETE FROM t; --$$"),
    ("dollar tag in a word", "SELECT 1 AS a$b$; DELETE FROM t; --$b$"),
    (
        "dollar string that ends early",
        "SELECT $a$ $b$ $a$; DELETE FROM t; --$b$",
    ),
    (
        "dollar tags differ in case",
        "SELECT $a$ $A$ $a$; DELETE FROM t; -- $A$",
    ),
    (
        "parameter in front of a dollar string",
        "SELECT $1$$; DELETE FROM t; --$$",
    ),
    (
        "continued string",
        "SELECT 'a'\n'; DELETE FROM t; --'; DELETE FROM t",
    ),
    ("not continued on one line", "SELECT 'a' ''; DELETE FROM t; --'"),
    ("many statements", "SELECT 1; SELECT 2; SELECT 3; DROP TABLE t"),
    ("empty statements in front", ";;; DROP TABLE t"),
    ("transaction around it", "BEGIN; DELETE FROM t; COMMIT"),
    ("read-only transaction left", "COMMIT; DELETE FROM t"),
    (
        "data-modifying WITH",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT count(*) FROM x",
    ),
    (
        "data-modifying WITH that is not read",
        "WITH x AS (INSERT INTO t VALUES (1)) SELECT 1",
    ),
    (
        "nested WITH",
        "WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b), c AS (UPDATE t SET x = 1) SELECT * FROM a",
    ),
    ("WITH in front of VALUES", "WITH x AS (DELETE FROM t) VALUES (1)"),
    (
        "WITH in a sub-query",
        "SELECT * FROM t WHERE id IN (WITH x AS (SELECT f()) SELECT * FROM x)",
    ),
    ("SELECT INTO", "SELECT * INTO backup FROM t"),
    (
        "SELECT INTO in a set operation",
        "SELECT 1 AS a INTO backup UNION SELECT 2",
    ),
    ("CREATE TABLE AS", "CREATE TABLE x AS SELECT 1"),
    ("row locks", "SELECT * FROM t FOR UPDATE"),
    (
        "row locks below",
        "SELECT * FROM (SELECT * FROM t FOR NO KEY UPDATE) s",
    ),
    ("EXPLAIN ANALYZE", "EXPLAIN ANALYZE DELETE FROM t"),
    (
        "EXPLAIN with an option that is a number",
        "EXPLAIN (ANALYZE 1) DELETE FROM t",
    ),
    ("EXPLAIN runs functions while it plans", "EXPLAIN SELECT f()"),
    ("PREPARE", "PREPARE p AS DELETE FROM t"),
    ("EXECUTE of an unknown name", "EXECUTE p"),
    ("EXPLAIN EXECUTE", "EXPLAIN ANALYZE EXECUTE p"),
    ("CREATE TABLE AS EXECUTE", "CREATE TEMP TABLE x AS EXECUTE p"),
    ("EXECUTE's arguments", "EXECUTE p(f())"),
    ("DO", "DO $$ BEGIN DELETE FROM t; END $$"),
    ("DO in another language", "DO LANGUAGE plpython3u $$ x $$"),
    ("CALL", "CALL p()"),
    ("COPY to a program", "COPY t TO PROGRAM 'sh -c id'"),
    ("COPY from a program", "COPY t FROM PROGRAM 'id'"),
    ("COPY to a file", "COPY (SELECT 1) TO '/tmp/x'"),
    (
        "COPY of a changing query",
        "COPY (DELETE FROM t RETURNING *) TO STDOUT",
    ),
    ("COPY into a catalog", "COPY pg_authid FROM STDIN"),
    ("set_config", "SELECT set_config('search_path', 'evil', false)"),
    (
        "set_config of the role",
        "SELECT set_config('role', 'postgres', false)",
    ),
    (
        "set_config with a computed name",
        "SELECT set_config('ro' || 'le', 'postgres', false)",
    ),
    (
        "set_config with a name from a table",
        "SELECT set_config(name, setting, false) FROM s",
    ),
    ("set_config with a parameter", "SELECT set_config($1, 'x', false)"),
    (
        "set_config with named arguments",
        "SELECT set_config(setting_name => 'role', new_value => 'x', is_local => false)",
    ),
    (
        "set_config in a WHERE",
        "SELECT 1 FROM t WHERE set_config('role', 'x', false) = 'x'",
    ),
    (
        "set_config of a lexing setting",
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)",
    ),
    (
        "set_config in upper case",
        "SELECT SET_CONFIG('ROLE', 'x', false)",
    ),
    ("set_config, quoted", "SELECT \"set_config\"('role', 'x', false)"),
    (
        "set_config by unicode escapes",
        r#"SELECT U&"\0073et_config"('role', 'x', false)"#,
    ),
    ("t03 lexing setting", "SET standard_conforming_strings = off"),
    (
        "t03 lexing setting, quoted and in capitals",
        "SET \"STANDARD_conforming_strings\" TO 'off'",
    ),
    (
        "t03 lexing setting by a number",
        "SET standard_conforming_strings = 0",
    ),
    (
        "t03 lexing setting by a prefix",
        "SET standard_conforming_strings = 'fal'",
    ),
    (
        "t03 lexing setting, local",
        "SET LOCAL standard_conforming_strings = off; SELECT 1",
    ),
    ("t03 encoding", "SET client_encoding TO 'SJIS'"),
    ("t03 encoding by NAMES", "SET NAMES 'GBK'"),
    ("search path", "SET search_path = evil, pg_catalog"),
    ("t13 role", "SET ROLE postgres"),
    ("t13 role none", "SET ROLE NONE"),
    ("t13 session authorization", "SET SESSION AUTHORIZATION DEFAULT"),
    ("t13 role as a setting", "SET \"Role\" = postgres"),
    ("triggers off", "SET session_replication_role = 'replica'"),
    ("row security", "SET row_security = off"),
    ("unknown function", "SELECT f()"),
    ("function in a WHERE", "SELECT 1 WHERE f() IS NULL"),
    ("function in a FROM", "SELECT * FROM f()"),
    (
        "function in ROWS FROM",
        "SELECT * FROM ROWS FROM (generate_series(1,2), f())",
    ),
    ("function in LIMIT", "SELECT 1 LIMIT f()"),
    ("function in OFFSET", "SELECT 1 OFFSET f()"),
    ("function in ORDER BY", "SELECT 1 ORDER BY f()"),
    (
        "function in GROUP BY",
        "SELECT 1 GROUP BY GROUPING SETS ((f()), ())",
    ),
    ("function in HAVING", "SELECT 1 HAVING f()"),
    (
        "function in WINDOW",
        "SELECT 1 FROM t WINDOW w AS (PARTITION BY f())",
    ),
    ("function in OVER", "SELECT sum(x) OVER (ORDER BY f()) FROM t"),
    (
        "function in a frame",
        "SELECT sum(x) OVER (ROWS f() PRECEDING) FROM t",
    ),
    ("function in FILTER", "SELECT count(*) FILTER (WHERE f()) FROM t"),
    (
        "function in an aggregate's ORDER BY",
        "SELECT array_agg(x ORDER BY f()) FROM t",
    ),
    (
        "function in WITHIN GROUP",
        "SELECT mode() WITHIN GROUP (ORDER BY f()) FROM t",
    ),
    ("function in DISTINCT ON", "SELECT DISTINCT ON (f()) 1"),
    ("function in CASE", "SELECT CASE WHEN true THEN f() END"),
    ("function in CASE's operand", "SELECT CASE f() WHEN 1 THEN 2 END"),
    ("function in COALESCE", "SELECT COALESCE(NULL, f())"),
    ("function in GREATEST", "SELECT GREATEST(1, f())"),
    ("function in NULLIF", "SELECT NULLIF(1, f())"),
    ("function in ARRAY", "SELECT ARRAY[f()]"),
    ("function in a subscript", "SELECT a[f()] FROM t"),
    ("function in a slice", "SELECT a[1:f()] FROM t"),
    ("function in ROW", "SELECT ROW(f())"),
    ("function in a JOIN", "SELECT * FROM a JOIN b ON f()"),
    (
        "function in a LATERAL",
        "SELECT * FROM a, LATERAL (SELECT f(a.x)) s",
    ),
    ("function in VALUES", "VALUES (f())"),
    (
        "function in TABLESAMPLE",
        "SELECT * FROM t TABLESAMPLE bernoulli (f())",
    ),
    (
        "function in REPEATABLE",
        "SELECT * FROM t TABLESAMPLE bernoulli (1) REPEATABLE (f())",
    ),
    ("function in AT TIME ZONE", "SELECT now() AT TIME ZONE f()"),
    ("function in EXTRACT", "SELECT EXTRACT(year FROM f())"),
    (
        "function in XMLTABLE",
        "SELECT * FROM xmltable('/a' PASSING x COLUMNS b int PATH f())",
    ),
    (
        "function in XMLTABLE's default",
        "SELECT * FROM xmltable('/a' PASSING x COLUMNS b int DEFAULT f())",
    ),
    ("function in XMLFOREST", "SELECT xmlforest(f() AS x)"),
    (
        "function in XMLATTRIBUTES",
        "SELECT xmlelement(name a, xmlattributes(f() AS b))",
    ),
    ("function in JSON_OBJECT", "SELECT JSON_OBJECT('a' VALUE f())"),
    ("function in JSON_ARRAY", "SELECT JSON_ARRAY(SELECT f())"),
    (
        "function in JSON_VALUE",
        "SELECT JSON_VALUE('{}', '$' PASSING f() AS x)",
    ),
    (
        "function in JSON_QUERY's default",
        "SELECT JSON_QUERY('{}', '$' DEFAULT f() ON EMPTY)",
    ),
    (
        "function in JSON_TABLE",
        "SELECT * FROM JSON_TABLE(f(), '$' COLUMNS (a int)) x",
    ),
    (
        "function in JSON_TABLE's column",
        "SELECT * FROM JSON_TABLE('{}', '$' COLUMNS (a int DEFAULT f() ON EMPTY)) x",
    ),
    (
        "function in JSON_TABLE's nested column",
        "SELECT * FROM JSON_TABLE('{}', '$' COLUMNS (NESTED '$' COLUMNS (a int DEFAULT f() ON ERROR))) x",
    ),
    ("function in JSON_ARRAYAGG", "SELECT JSON_ARRAYAGG(f())"),
    ("function in IS JSON", "SELECT f() IS JSON"),
    ("function in a named argument", "SELECT lower(x => f())"),
    ("function in VARIADIC", "SELECT concat(VARIADIC f())"),
    ("function in a cursor", "DECLARE c CURSOR FOR SELECT f()"),
    (
        "function in CYCLE",
        "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a FROM x) CYCLE a SET c TO f() DEFAULT 1 USING p SELECT 1",
    ),
    ("schema in front of a pure name", "SELECT evil.lower('a')"),
    (
        "database in front of a pure name",
        "SELECT db.pg_catalog.lower('a')",
    ),
    (
        "quoted schema that is not the catalog",
        "SELECT \"PG_CATALOG\".lower('a')",
    ),
    ("quoted name that is not the pure one", "SELECT \"Lower\"('a')"),
    ("operator of another schema", "SELECT 1 OPERATOR(evil.+) 1"),
    ("operator that is not built in", "SELECT 1 <=> 2"),
    (
        "operator in ORDER BY USING",
        "SELECT 1 ORDER BY 1 USING OPERATOR(evil.<)",
    ),
    (
        "operator of a quantified comparison",
        "SELECT 1 OPERATOR(evil.=) ANY (SELECT 1)",
    ),
    ("t08 type that runs code", "SELECT 'x'::evil"),
    ("t08 type in front of a string", "SELECT evil 'x'"),
    ("t08 array of a type", "SELECT '{}'::evil[]"),
    (
        "t08 type in a function's columns",
        "SELECT * FROM json_to_record('{}') AS x(a evil)",
    ),
    ("t08 type of another schema", "SELECT 'x'::evil.text"),
    ("t08 type as a function", "SELECT evil('x')"),
    (
        "t08 type in XMLSERIALIZE",
        "SELECT xmlserialize(content x AS evil)",
    ),
    (
        "t08 type in JSON RETURNING",
        "SELECT JSON_VALUE('{}', '$' RETURNING evil)",
    ),
    (
        "t07 reading tables by a stable function",
        "SELECT table_to_xml('secrets', true, true, '')",
    ),
    (
        "t07 SQL by a stable function",
        "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    ),
    (
        "t07 SQL by an immutable function",
        "SELECT ts_rewrite('a', 'SELECT f(), 2')",
    ),
    (
        "t07 SQL by a statistics function",
        "SELECT * FROM ts_stat('SELECT f()')",
    ),
    ("files", "SELECT pg_read_file('postgresql.conf')"),
    ("files in a sub-query", "SELECT (SELECT pg_read_binary_file('x'))"),
    ("directories", "SELECT * FROM pg_ls_dir('/')"),
    ("large object from a file", "SELECT lo_import('/etc/passwd')"),
    ("large object to a file", "SELECT lo_export(1, '/tmp/x')"),
    ("large object unlinked", "SELECT lo_unlink(1)"),
    ("large object read", "SELECT lo_get(1)"),
    ("sequence moved", "SELECT nextval('s')"),
    ("sequence set", "SELECT setval('s', 1)"),
    ("notification", "SELECT pg_notify('c', 'x')"),
    ("NOTIFY", "NOTIFY c"),
    ("LISTEN", "LISTEN c"),
    ("advisory lock", "SELECT pg_advisory_lock(1)"),
    ("advisory lock, tried", "SELECT pg_try_advisory_lock_shared(1)"),
    ("table lock", "LOCK t"),
    ("sleep", "SELECT pg_sleep(100)"),
    (
        "another session ended",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    ),
    (
        "replication slot",
        "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
    ),
    (
        "replication slot read",
        "SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)",
    ),
    ("dblink", "SELECT * FROM dblink('x', 'DELETE FROM t') AS y(a int)"),
    ("VACUUM", "VACUUM"),
    ("ANALYZE", "ANALYZE"),
    ("COMMENT", "COMMENT ON TABLE t IS 'x'"),
    ("two-phase", "PREPARE TRANSACTION 'x'"),
    ("two-phase of another", "ROLLBACK PREPARED 'x'"),
    ("LOAD", "LOAD '/tmp/evil.so'"),
    ("ALTER SYSTEM", "ALTER SYSTEM SET archive_command = 'id'"),
    ("extension", "CREATE EXTENSION dblink"),
    (
        "shadowing a pure function",
        "CREATE FUNCTION public.lower(t) RETURNS text LANGUAGE sql AS 'SELECT 1'",
    ),
    ("temporary table", "CREATE TEMP TABLE pg_class (a int)"),
    ("view", "CREATE VIEW v AS SELECT 1"),
    (
        "rule",
        "CREATE RULE \"_RETURN\" AS ON SELECT TO t DO INSTEAD SELECT f()",
    ),
    ("refresh", "REFRESH MATERIALIZED VIEW m"),
    ("import", "IMPORT FOREIGN SCHEMA x FROM SERVER s INTO y"),
    ("grant", "GRANT ALL ON t TO PUBLIC"),
    (
        "default privileges",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    ),
    ("number that versions read differently", "SELECT 1_000"),
    ("hexadecimal number", "SELECT 0x1F"),
    ("broken text", "SELEKT 1; DELETE FROM t"),
    ("unterminated", "SELECT 'a"),
    ("NUL", "SELECT 1\0; DELETE FROM t"),
];

const HARMLESS: &[(&str, &str)] = &[
    (
        "words of danger in a string",
        "SELECT 'DROP TABLE t; DELETE FROM t'",
    ),
    ("in a comment", "SELECT 1 /* DELETE FROM t */ -- DROP TABLE t"),
    ("in a dollar string", "SELECT $x$; DELETE FROM t; $x$"),
    ("in nested comments", "SELECT /* a /* DELETE */ b */ 1"),
    ("as quoted names", "SELECT \"delete\", \"update\" FROM \"drop\""),
    ("as labels", "SELECT 1 AS delete, 2 AS insert"),
    ("as columns", "SELECT t.delete, t.update, t.truncate FROM t"),
    ("semicolons in strings", "SELECT ';', $$;$$, \"a;b\" FROM t"),
    ("quotes in strings", "SELECT 'it''s', E'it\\'s', U&'it\\0027s'"),
    ("trailing semicolon", "SELECT 1;"),
    ("empty", ""),
    ("white space and a comment", " \n -- nothing\n"),
    ("only semicolons", ";;"),
    ("two reads", "SELECT 1; SELECT 2"),
    (
        "join",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total > 100 ORDER BY o.id LIMIT 10",
    ),
    (
        "aggregate",
        "SELECT country, count(*), avg(total)::numeric(10,2) FROM orders GROUP BY country HAVING count(*) > 5",
    ),
    (
        "window",
        "SELECT id, row_number() OVER (PARTITION BY a ORDER BY b), lag(x, 1) OVER w FROM t WINDOW w AS (ORDER BY id)",
    ),
    (
        "date arithmetic",
        "SELECT date_trunc('month', created_at), now() - INTERVAL '7 days', age(created_at) FROM t",
    ),
    (
        "recursion",
        "WITH RECURSIVE r AS (SELECT id, parent FROM t WHERE parent IS NULL UNION ALL SELECT t.id, t.parent FROM t JOIN r ON t.parent = r.id) SELECT * FROM r",
    ),
    (
        "json",
        "SELECT data->>'name', data #> '{a,b}', jsonb_array_elements(data->'x') FROM t WHERE data @> '{}'::jsonb AND data ? 'k'",
    ),
    (
        "arrays",
        "SELECT unnest(tags), array_length(tags, 1), tags || ARRAY['x'], 'a' = ANY(tags) FROM t",
    ),
    (
        "strings",
        "SELECT lower(a) || upper(b), substring(a FROM 1 FOR 3), a ILIKE '%x%', regexp_replace(a, 'x', 'y', 'g'), format('%s', a) FROM t",
    ),
    (
        "text search",
        "SELECT * FROM t WHERE to_tsvector('english', body) @@ plainto_tsquery('english', 'x')",
    ),
    (
        "case and null",
        "SELECT CASE WHEN a IS NULL THEN COALESCE(b, 'x') ELSE NULLIF(a, '') END FROM t",
    ),
    (
        "sub-queries",
        "SELECT * FROM t WHERE id IN (SELECT id FROM u WHERE EXISTS (SELECT 1 FROM v WHERE v.id = u.id)) AND x = (SELECT max(x) FROM t)",
    ),
    (
        "set operations",
        "(SELECT a FROM t EXCEPT SELECT a FROM u) INTERSECT SELECT a FROM v",
    ),
    (
        "lateral",
        "SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.id = t.id LIMIT 1) s",
    ),
    (
        "series",
        "SELECT d::date FROM generate_series('2020-01-01'::timestamp, '2020-02-01', '1 day') d",
    ),
    ("values", "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(id, name)"),
    (
        "statistics",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x), stddev(x), corr(x, y) FROM t",
    ),
    (
        "plain EXPLAIN",
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM t WHERE id = 1",
    ),
    (
        "cursor",
        "DECLARE c CURSOR FOR SELECT * FROM t; FETCH 10 FROM c; CLOSE c",
    ),
    ("prepared", "PREPARE p (int) AS SELECT * FROM t WHERE id = $1"),
    ("transaction", "BEGIN READ ONLY; SELECT 1; COMMIT"),
    (
        "savepoints",
        "SAVEPOINT a; SELECT 1; ROLLBACK TO SAVEPOINT a; RELEASE a",
    ),
    ("time-out", "SET statement_timeout = '5s'"),
    ("application name", "SET application_name TO 'psql'"),
    ("time zone", "SET TIME ZONE 'Europe/Berlin'"),
    ("local time zone", "SET LOCAL timezone = 'UTC'"),
    ("encoding that is followed", "SET client_encoding TO 'UTF8'"),
    ("strings as they are", "SET standard_conforming_strings = on"),
    (
        "isolation",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ),
    ("show", "SHOW transaction_isolation; SHOW server_version"),
    (
        "t25 asyncpg's reset",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
    ),
    ("t25 pools' reset", "DISCARD ALL"),
    ("t25 deallocation", "DEALLOCATE ALL"),
    (
        "names of tables",
        "SELECT 'orders'::regclass::oid, to_regclass('public.orders')",
    ),
    ("privileges", "SELECT has_table_privilege('orders', 'SELECT')"),
    (
        "settings read",
        "SELECT current_setting('server_version_num')::int, name, setting FROM pg_settings",
    ),
    (
        "catalogs",
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'",
    ),
    (
        "standard catalogs",
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
    ),
    (
        "domains of the standard catalogs",
        "SELECT table_name::information_schema.sql_identifier FROM information_schema.tables",
    ),
    ("TABLE", "TABLE orders"),
    (
        "operators by name",
        "SELECT 1 OPERATOR(pg_catalog.+) 2, a COLLATE pg_catalog.default FROM t",
    ),
    ("negative numbers", "SELECT -1, - 2, +3, 4 - -5, 2 ^ -1"),
    ("non-ASCII", "SELECT 'Grüße', \"größe\" FROM \"Straße\""),
    (
        "constructors",
        "SELECT ROW(1, 2), ARRAY[[1, 2], [3, 4]], int4range(1, 5), point(1, 2), JSON_OBJECT('a': 1)",
    ),
    (
        "xml",
        "SELECT xmlelement(name a, xmlattributes(b AS c), d), xpath('/a', x) FROM t",
    ),
];

#[test]
fn evasions_do_not_pass() {
    for (name, sql) in EVASIONS {
        assert!(!passes(sql.as_bytes()), "{name}: {sql}");
    }
    for (name, sql) in [
        ("not UTF-8", &b"SELECT '\xff'; DELETE FROM t"[..]),
        ("overlong quote", b"SELECT '\xc0\xa7; DELETE FROM t; --'"),
        (
            "SJIS that hides a backslash",
            b"SELECT '\x95\\'; DELETE FROM t; --'",
        ),
    ] {
        assert!(!passes(sql), "{name}");
    }
}

#[test]
fn harmless_look_alikes_pass() {
    for (name, sql) in HARMLESS {
        assert!(passes(sql.as_bytes()), "{name}: {sql}");
    }
}
