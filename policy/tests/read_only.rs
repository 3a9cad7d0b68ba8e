//! What people's tools send before anybody asks them to, and what an agent may not do, under `read-only.cedar`.

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::effect::Effect;
use sluice_parsers::sql::settings::startup_effect;
use sluice_parsers::sql::world::World;
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{Client, Decision, Moment, PolicySet, Principal, Target};

const NOW: Moment = Moment::from_unix_ms(1_700_000_000_000);

fn client() -> Client {
    Client::new([127, 0, 0, 1].into())
}

fn principal() -> Principal {
    let identity = Identity::new("https://issuer.example", "agent-7", Method::Oidc);
    Principal::new(&identity, Target::new("orders", "shop").unwrap())
}

/// The effects of all statements of a text. The names that EXECUTE runs were prepared as a plain read.
fn effects(sql: &str) -> Vec<Effect> {
    analyze(sql, &Limits::default(), &World::built_in(15))
        .statements
        .iter()
        .flat_map(|statement| statement.effects.iter().cloned())
        .collect()
}

fn refused(decision: &Decision) -> Option<String> {
    decision.denial().map(ToString::to_string)
}

#[test]
fn t25_statements_of_drivers_and_tools_pass() {
    let read_only = PolicySet::read_only();
    let who = principal();
    let mut denied = Vec::new();
    for (name, sql) in [
        (
            "psql \\d",
            "SELECT n.nspname as \"Schema\", c.relname as \"Name\", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as \"Type\", pg_catalog.pg_get_userbyid(c.relowner) as \"Owner\" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2;",
        ),
        (
            "psql \\d table, its oid",
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(customers)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;",
        ),
        (
            "psql \\d table, its columns",
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation, a.attidentity, a.attgenerated FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16384' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;",
        ),
        (
            "psql \\d table, its indexes",
            "SELECT c2.relname, i.indisprimary, i.indisunique, i.indisclustered, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true), contype, condeferrable, condeferred, i.indisreplident, c2.reltablespace FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x')) WHERE c.oid = '16384' AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname;",
        ),
        (
            "psql \\d table, its partitions",
            "SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = '16384' ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.oid::pg_catalog.regclass::pg_catalog.text;",
        ),
        (
            "psql \\l",
            "SELECT d.datname as \"Name\", pg_catalog.pg_get_userbyid(d.datdba) as \"Owner\", pg_catalog.pg_encoding_to_char(d.encoding) as \"Encoding\", pg_catalog.array_to_string(d.datacl, E'\\n') AS \"Access privileges\" FROM pg_catalog.pg_database d ORDER BY 1;",
        ),
        (
            "psql \\du",
            "SELECT r.rolname, r.rolsuper, r.rolinherit, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1;",
        ),
        (
            "asyncpg reset",
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
        ),
        (
            "asyncpg types",
            "SELECT t.oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind, (CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE NULL END) AS basetype, t.typelem AS elemtype FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace) WHERE t.oid = any($1::oid[])",
        ),
        (
            "psycopg types",
            "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid",
        ),
        (
            "tokio-postgres types",
            "SELECT t.typname, t.typtype, t.typelem, r.rngsubtype, t.typbasetype, n.nspname, t.typrelid FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid INNER JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1",
        ),
        (
            "JDBC",
            "SET extra_float_digits = 3; SET application_name = 'PostgreSQL JDBC Driver'",
        ),
        ("JDBC isolation", "SHOW TRANSACTION ISOLATION LEVEL"),
        ("npgsql reset", "DISCARD ALL"),
        ("Django", "SET TIME ZONE 'UTC'"),
        (
            "Django isolation",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
        ),
        (
            "SQLAlchemy",
            "select pg_catalog.version(); select current_schema(); show standard_conforming_strings",
        ),
        (
            "SQLAlchemy tables",
            "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'",
        ),
        (
            "introspection",
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'customers' AND table_schema = current_schema()",
        ),
        (
            "transactions",
            "BEGIN READ ONLY; SAVEPOINT a; ROLLBACK TO a; RELEASE a; COMMIT",
        ),
        (
            "time-outs",
            "SET statement_timeout = '30s'; SET LOCAL lock_timeout = 100; SET DateStyle = 'ISO'; SET client_encoding = 'UTF8'; SET client_min_messages TO warning",
        ),
        (
            "a cursor",
            "DECLARE c CURSOR FOR SELECT id FROM customers; FETCH 10 FROM c; CLOSE c",
        ),
        (
            "an aggregate",
            "SELECT country, count(*), sum(total), avg(total) FROM orders JOIN customers USING (id) WHERE total > 10 GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC LIMIT 5",
        ),
        (
            "text functions",
            "SELECT lower(name), substring(name from 1 for 3), coalesce(name, '-'), now() - created_at, date_trunc('day', created_at) FROM customers",
        ),
        (
            "prepared",
            "PREPARE p AS SELECT id FROM customers WHERE id = $1; DEALLOCATE p",
        ),
        ("explain", "EXPLAIN SELECT id FROM customers WHERE id = 1"),
        (
            "copy out",
            "COPY customers TO STDOUT; COPY (SELECT id FROM customers) TO STDOUT (FORMAT csv)",
        ),
        ("empty", ""),
        ("only a comment", "-- ping"),
        ("ping", "SELECT 1"),
    ] {
        let effects = effects(sql);
        if let Some(why) = refused(&read_only.decide(&who, &client(), NOW, &effects)) {
            denied.push(format!(
                "{name}: {why} ({})",
                effects
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
    }
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn t04_startup_parameters_are_judged_as_settings() {
    let read_only = PolicySet::read_only();
    let who = principal();
    for (name, value, permitted) in [
        ("user", "agent", true),
        ("application_name", "crew", true),
        ("client_encoding", "UTF8", true),
        ("client_encoding", "'utf-8'", true),
        ("client_encoding", "SJIS", false),
        ("DateStyle", "ISO", true),
        ("TimeZone", "UTC", true),
        ("extra_float_digits", "2", true),
        ("search_path", "evil", false),
        ("standard_conforming_strings", "off", false),
        ("session_replication_role", "replica", false),
        ("role", "postgres", false),
        ("session_authorization", "postgres", false),
        ("replication", "database", false),
        ("replication", "off", true),
        ("app.tenant", "7", false),
    ] {
        let effects: Vec<_> = startup_effect(name, value).into_iter().collect();
        let decision = read_only.decide(&who, &client(), NOW, &effects);
        assert_eq!(
            decision.is_allow(),
            permitted,
            "{name}={value}: {:?}",
            refused(&decision)
        );
    }
}

#[test]
fn what_changes_or_escapes_is_denied() {
    let read_only = PolicySet::read_only();
    let who = principal();
    let mut allowed = Vec::new();
    for sql in [
        "INSERT INTO customers VALUES (1)",
        "UPDATE customers SET name = 'x' WHERE id = 1",
        "DELETE FROM customers WHERE id = 1",
        "DELETE FROM customers",
        "TRUNCATE customers",
        "MERGE INTO customers USING orders ON customers.id = orders.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM customers",
        "SELECT * INTO copy FROM customers",
        "CREATE TABLE copy AS SELECT * FROM customers",
        "CREATE TEMP TABLE t (id int)",
        "DROP TABLE customers",
        "DROP DATABASE shop",
        "ALTER TABLE customers ADD COLUMN x int",
        "GRANT ALL ON customers TO PUBLIC",
        "CREATE ROLE r",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "RESET ROLE",
        "SET search_path = evil",
        "SET standard_conforming_strings = off",
        "SET session_replication_role = replica",
        "SELECT set_config('search_path', 'evil', false)",
        "SELECT set_config($1, $2, false)",
        "SELECT * FROM customers FOR UPDATE",
        "LOCK TABLE customers",
        "SELECT pg_advisory_lock(1)",
        "SELECT nextval('seq')",
        "NOTIFY channel",
        "LISTEN channel",
        "COPY customers FROM STDIN",
        "COPY customers TO '/tmp/x'",
        "COPY customers TO PROGRAM 'cat'",
        "COPY customers FROM PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_sleep(1000)",
        "SELECT pg_terminate_backend(1)",
        "SELECT dblink('x', 'y')",
        "SELECT query_to_xml('DELETE FROM customers', true, true, '')",
        "SELECT unknown_function(1)",
        "SELECT public.lower('x')",
        "DO $$ BEGIN DELETE FROM customers; END $$",
        "CALL p()",
        "PREPARE p AS DELETE FROM customers",
        "PREPARE TRANSACTION 'x'",
        "VACUUM",
        "CHECKPOINT",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "LOAD 'x'",
        "CREATE EXTENSION dblink",
        "SELEKT",
        "SELECT 'a",
    ] {
        let effects = effects(sql);
        if read_only.decide(&who, &client(), NOW, &effects).is_allow() {
            allowed.push(format!(
                "{sql}: {}",
                effects
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
    }
    assert!(allowed.is_empty(), "{allowed:#?}");
}
