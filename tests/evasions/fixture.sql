-- What the evasions and look-alikes run against: tables with personal data, and every place in which PostgreSQL runs
-- code that a statement does not name. `wipe()` is the harm: whatever reaches it deletes the victims.
--
-- {port} is the server's port. The roles `reader` (SELECT only) and `other` exist already.

-- Tables ------------------------------------------------------------------------------------------------------------

CREATE TYPE size AS ENUM ('small', 'medium', 'large');
CREATE TYPE address AS (street text, zip text);

CREATE TABLE customers (
    id int PRIMARY KEY, name text NOT NULL, email text, ssn text, country text DEFAULT 'FR', joined date,
    balance numeric(10, 2), data jsonb, tags text[], home address, cut size
);
INSERT INTO customers
SELECT i, 'Name ' || i, 'user' || i || '@example.org', '078-05-11' || (10 + i), (ARRAY['FR', 'DE', 'PT'])[1 + i % 3],
       date '2024-01-01' + i, i * 10.5, jsonb_build_object('level', i, 'note', 'DROP TABLE'), ARRAY['a', 'b' || i],
       ROW('Street ' || i, '7500' || i)::address, (ARRAY['small', 'medium', 'large'])[1 + i % 3]::size
FROM generate_series(1, 9) i;

CREATE TABLE orders (
    id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, total numeric, placed timestamptz, note text
);
INSERT INTO orders SELECT i, 1 + i % 9, i * 3, timestamptz '2024-05-01 10:00+00' + i * interval '1 hour', 'note ' || i
FROM generate_series(1, 30) i;
CREATE INDEX ON orders (customer);

CREATE TABLE victims (id int PRIMARY KEY, secret text);
INSERT INTO victims SELECT i, 'secret ' || i FROM generate_series(1, 10) i;
CREATE TABLE log (line text);

CREATE TABLE people (id int PRIMARY KEY, nick varchar(40), born date);
INSERT INTO people VALUES (1, 'Ada', '1815-12-10'), (2, 'Bob', '1990-01-01');
CREATE TABLE "delete" ("drop" int, "update" text, "pg_sleep" int, "set_config" text);
INSERT INTO "delete" VALUES (1, 'DELETE FROM victims', 2, 'x');
CREATE TABLE "drop table victims" (x int, "; DROP TABLE victims; --" int);
CREATE TABLE k$$ (a$b$ int);
INSERT INTO k$$ VALUES (1);
CREATE TABLE "Ünïcode" ("naïve" int);
CREATE TABLE docs (id int, body text, words tsvector);
INSERT INTO docs VALUES (1, 'delete the cats', to_tsvector('english', 'delete the cats'));
CREATE TABLE documents (id int, body xml);
INSERT INTO documents VALUES (1, '<a><b>1</b></a>');

CREATE TABLE sales (id int, day date, amount numeric) PARTITION BY RANGE (day);
CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE sales_2025 PARTITION OF sales FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO sales VALUES (1, '2024-03-01', 10), (2, '2025-03-01', 20);
CREATE TABLE animals (name text);
CREATE TABLE cats (lives int) INHERITS (animals);
INSERT INTO cats VALUES ('Tom', 9);

CREATE SEQUENCE counter;
SELECT nextval('counter');
CREATE TABLE ticket (id serial PRIMARY KEY, what text);
SELECT lo_from_bytea(4242, 'a secret in a large object');

-- The harm ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS $$
    INSERT INTO public.log VALUES ('wiped');
    DELETE FROM public.victims;
    SELECT 1;
$$;
CREATE FUNCTION wipe_by_default(b int, a int DEFAULT wipe()) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN b; END';
CREATE FUNCTION wipe_row(customers) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION wipe_any(anyelement) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION wipe_text(text) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION wipe_rows() RETURNS TABLE (a int, b text) LANGUAGE sql AS $$ SELECT wipe(), 'x' $$;
CREATE FUNCTION wipe_set() RETURNS SETOF customers LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM victims;
    RETURN QUERY SELECT * FROM customers;
END $$;
CREATE FUNCTION wipe_query() RETURNS tsquery LANGUAGE sql AS $$ SELECT wipe(); SELECT 'a'::tsquery $$;
CREATE FUNCTION wipe_plpgsql() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM victims; RETURN 1; END $$;
CREATE FUNCTION wipe_atomic() RETURNS int BEGIN ATOMIC DELETE FROM victims; SELECT 1; END;
CREATE FUNCTION wipe_cte() RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM victims RETURNING 1) SELECT count(*) FROM gone
$$;
CREATE FUNCTION wipe_on_error() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 / 0;
    RETURN 0;
EXCEPTION WHEN division_by_zero THEN
    DELETE FROM victims;
    RETURN 1;
END $$;
CREATE FUNCTION wipe_in_declare() RETURNS int LANGUAGE plpgsql AS $$ DECLARE x int := wipe(); BEGIN RETURN x; END $$;
CREATE FUNCTION wipe_in_loop() RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT wipe() LOOP NULL; END LOOP;
    RETURN 1;
END $$;
CREATE FUNCTION wipe_in_condition() RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF wipe() = 1 THEN NULL; END IF; RETURN 1; END $$;
CREATE FUNCTION wipe_in_return() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN wipe(); END $$;
CREATE FUNCTION wipe_by_cursor() RETURNS int LANGUAGE plpgsql AS $$
DECLARE c CURSOR FOR SELECT wipe(); x int;
BEGIN
    OPEN c; FETCH c INTO x; CLOSE c;
    RETURN x;
END $$;
CREATE FUNCTION run(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; RETURN 1; END $$;
CREATE FUNCTION run_split() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEL' || 'ETE FROM victims'; RETURN 1; END $$;
CREATE FUNCTION run_query() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT wi' || 'pe()'; END $$;
CREATE FUNCTION run_for() RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN EXECUTE 'SELECT w' || 'ipe()' LOOP NULL; END LOOP;
    RETURN 1;
END $$;

-- Functions that say that they change nothing.
CREATE FUNCTION calm() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION calm_int(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION calm_text(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION calm_bool(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT wipe() = 1';
CREATE FUNCTION calm_stable() RETURNS int STABLE LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION calm_plpgsql() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe(); RETURN 1; END $$;
CREATE FUNCTION calm_deep() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT calm_plpgsql()';
CREATE FUNCTION calm_strict(int) RETURNS int IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF COST 1 LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION definer() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION definer_bool() RETURNS boolean STABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT wipe() = 1';

-- The same name elsewhere.
CREATE SCHEMA mine;
CREATE FUNCTION mine.wipe() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
CREATE FUNCTION mine.lower(text) RETURNS text LANGUAGE sql AS 'SELECT public.wipe()::text';
CREATE FUNCTION mine.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT public.wipe(); SELECT pg_catalog.now() $$;
CREATE FUNCTION mine.helper() RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
CREATE FUNCTION public.helper() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 7';
CREATE VIEW mine.customers AS SELECT public.wipe() AS id, 'x'::text AS name;
CREATE VIEW mine.orders AS SELECT public.calm() AS id;
CREATE FUNCTION mine.plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT public.wipe()';
CREATE OPERATOR mine.+ (LEFTARG = int, RIGHTARG = int, FUNCTION = mine.plus);
CREATE FUNCTION pathy() RETURNS int LANGUAGE plpgsql SET search_path = mine, public AS $$ BEGIN RETURN helper(); END $$;
CREATE FUNCTION pathy_read() RETURNS bigint LANGUAGE sql SET search_path = mine, public AS 'SELECT count(*) FROM customers';
CREATE FUNCTION becomes_other() RETURNS text LANGUAGE sql AS $$ SELECT set_config('role', 'other', false) $$;
CREATE FUNCTION sets_path() RETURNS text LANGUAGE plpgsql AS $$ BEGIN SET search_path = mine; RETURN 'x'; END $$;
CREATE FUNCTION sets_replica() RETURNS text LANGUAGE sql AS $$ SELECT set_config('session_replication_role', 'replica', false) $$;
CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION public.concat(int, int) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION public.round(int) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION public.abs(people) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION public.born_year(people) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT wipe()';
-- Names that PostgreSQL cuts at 63 bytes.
CREATE FUNCTION a23456789_123456789_123456789_123456789_123456789_123456789_123() RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION "Wipe"() RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION "Helper"() RETURNS int LANGUAGE sql AS 'SELECT wipe()';
-- Cyrillic letters.
CREATE FUNCTION "hеlper"() RETURNS int LANGUAGE sql AS 'SELECT wipe()';

-- Overloads ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'int4' $$;
CREATE FUNCTION f(bigint) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(numeric) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(bit) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(boolean) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(date) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION f(int[]) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION g(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'text' $$;
CREATE FUNCTION g(int) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION g(numeric) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION g(bytea) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION big(bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'int8' $$;
CREATE FUNCTION big(numeric) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE FUNCTION span(int, int DEFAULT wipe()) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE FUNCTION list(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION list(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION poly(anyelement) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION poly(text) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION named(a int, b text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION named(x int, y int) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION day_of(date) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT extract(day FROM $1)::int';
CREATE FUNCTION day_of(timestamptz) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE FUNCTION branch(boolean) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF $1 THEN PERFORM wipe(); END IF; RETURN 1; END $$;
CREATE PROCEDURE wipe_procedure() LANGUAGE sql AS 'SELECT wipe()';
CREATE PROCEDURE takes(int) LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE harmless_procedure() LANGUAGE sql AS 'SELECT 1';

-- Types, domains, operators, casts, aggregates, operator classes ----------------------------------------------------

CREATE DOMAIN trapped AS text CHECK (calm_bool(VALUE));
CREATE DOMAIN trapped_twice AS trapped;
CREATE DOMAIN trapped_ints AS int[] CHECK (calm() = 1);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]+$');
CREATE TYPE carrier AS (a int, b trapped);
CREATE TABLE carriers (a int, b trapped);
CREATE TYPE harmless_pair AS (a int, b text);

CREATE FUNCTION same(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same, COMMUTATOR = ===);
CREATE FUNCTION negated(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT calm()';
CREATE OPERATOR !@ (RIGHTARG = int, FUNCTION = negated);
CREATE FUNCTION added(int, text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT calm()';
CREATE OPERATOR + (LEFTARG = int, RIGHTARG = text, FUNCTION = added);
CREATE FUNCTION nick_less(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT calm() = 1';
CREATE OPERATOR < (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = nick_less);
CREATE OPERATOR ~~ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = nick_less);
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE OPERATOR @# (RIGHTARG = int, FUNCTION = twice);

CREATE FUNCTION customer_text(customers) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text';
CREATE CAST (customers AS text) WITH FUNCTION customer_text(customers);
CREATE FUNCTION address_int(address) RETURNS int LANGUAGE sql AS 'SELECT wipe()';
CREATE CAST (address AS int) WITH FUNCTION address_int(address) AS IMPLICIT;
CREATE FUNCTION text_money(text) RETURNS money LANGUAGE sql AS 'SELECT wipe()::money';
CREATE CAST (text AS money) WITH FUNCTION text_money(text) AS ASSIGNMENT;

CREATE TYPE has_money AS (m money);
CREATE DOMAIN cash AS money;
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE FUNCTION colour_json(colour) RETURNS json LANGUAGE sql AS 'SELECT to_json(wipe())';
CREATE CAST (colour AS json) WITH FUNCTION colour_json(colour);
CREATE TABLE paints (id int, shade colour);
INSERT INTO paints VALUES (1, 'red');

-- Functions whose arguments, results and variables convert.
CREATE FUNCTION takes_trapped(trapped) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT length($1)';
CREATE FUNCTION gives_trapped() RETURNS trapped IMMUTABLE LANGUAGE sql AS $$ SELECT 'x'::text $$;
CREATE FUNCTION gives_money() RETURNS money LANGUAGE sql AS $$ SELECT 'x'::text $$;
CREATE FUNCTION holds_trapped() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ DECLARE x trapped; BEGIN x := 'x'; RETURN 1; END $$;
CREATE FUNCTION holds_money() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE x money; y text := 'x';
BEGIN
    x := y;
    RETURN 1;
END $$;
CREATE FUNCTION loops_forever(int) RETURNS int LANGUAGE sql AS 'SELECT CASE WHEN $1 < 1 THEN 1 ELSE $1 END';
CREATE OR REPLACE FUNCTION loops_forever(int) RETURNS int LANGUAGE sql AS
    'SELECT CASE WHEN $1 < 1 THEN wipe() ELSE loops_forever($1 - 1) END';

CREATE FUNCTION summed(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT calm()';
CREATE AGGREGATE wipe_sum(int) (SFUNC = summed, STYPE = int, INITCOND = '0');
CREATE AGGREGATE wipe_final(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', FINALFUNC = calm_int);
CREATE AGGREGATE harmless_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE AGGREGATE public.sum(varchar) (SFUNC = textcat, STYPE = text, FINALFUNC = calm_text);

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION mood_lt(mood, mood) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1 AND enum_lt($1, $2)';
CREATE FUNCTION mood_le(mood, mood) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1 AND enum_le($1, $2)';
CREATE FUNCTION mood_eq(mood, mood) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1 AND enum_eq($1, $2)';
CREATE FUNCTION mood_ge(mood, mood) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1 AND enum_ge($1, $2)';
CREATE FUNCTION mood_gt(mood, mood) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT calm() = 1 AND enum_gt($1, $2)';
CREATE FUNCTION mood_cmp(mood, mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT wipe(); SELECT enum_cmp($1, $2)';
CREATE FUNCTION mood_hash(mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT wipe(); SELECT hashenum($1)';
CREATE OPERATOR < (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mood_lt, COMMUTATOR = >, NEGATOR = >=);
CREATE OPERATOR <= (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mood_le, COMMUTATOR = >=, NEGATOR = >);
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mood_eq, COMMUTATOR = =, HASHES, MERGES, RESTRICT = eqsel);
CREATE OPERATOR >= (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mood_ge, COMMUTATOR = <=, NEGATOR = <);
CREATE OPERATOR > (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mood_gt, COMMUTATOR = <, NEGATOR = <=);
CREATE OPERATOR CLASS mood_ops DEFAULT FOR TYPE mood USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 mood_cmp(mood, mood);
CREATE OPERATOR CLASS mood_hash_ops DEFAULT FOR TYPE mood USING hash AS OPERATOR 1 =, FUNCTION 1 mood_hash(mood);
CREATE TABLE moods (id int, feels mood);
INSERT INTO moods VALUES (1, 'sad'), (2, 'happy'), (3, 'ok');
CREATE TYPE moodrange AS RANGE (SUBTYPE = mood, SUBTYPE_OPCLASS = mood_ops);
CREATE TABLE moods_by_range (id int, feels mood) PARTITION BY RANGE (feels);
CREATE TABLE moods_low PARTITION OF moods_by_range FOR VALUES FROM ('sad') TO ('happy');

-- Places that run code when a table is read -------------------------------------------------------------------------

CREATE VIEW v_customers AS SELECT id, name, country FROM customers;
CREATE VIEW v_pure AS SELECT id, upper(name) AS name, twice(id) AS double FROM customers WHERE balance > 0;
CREATE VIEW v_wipe AS SELECT id, wipe() AS n FROM customers;
CREATE VIEW v_where AS SELECT id, name FROM customers WHERE wipe() = 1;
CREATE VIEW v_calm AS SELECT id FROM customers WHERE calm() = 1;
CREATE VIEW v_over AS SELECT id FROM (SELECT * FROM v_wipe) x;
CREATE VIEW v_third AS SELECT count(*) AS n FROM v_over JOIN orders USING (id);
CREATE VIEW v_function AS SELECT * FROM wipe_rows();
CREATE VIEW v_domain AS SELECT name::trapped AS name FROM customers;
CREATE VIEW v_operator AS SELECT id === 1 AS is_one FROM customers;
CREATE VIEW v_order AS SELECT id FROM moods ORDER BY feels;
CREATE VIEW v_aggregate AS SELECT wipe_sum(id) FROM customers;
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT id, wipe_text(name) AS name FROM customers;
CREATE VIEW v_invoker WITH (security_invoker) AS SELECT id, wipe() AS n FROM customers;
CREATE VIEW v_lateral AS SELECT c.id FROM customers c, LATERAL (SELECT wipe_any(c.id)) x;
CREATE VIEW v_attribute AS SELECT c.wipe_row FROM customers c;
CREATE VIEW v_settings AS SELECT set_config('role', 'other', false) AS x;
CREATE VIEW v_sequence AS SELECT nextval('counter') AS n;
CREATE VIEW v_lock AS SELECT id FROM customers FOR UPDATE;
CREATE VIEW v_sleep AS SELECT pg_sleep(0.3)::text AS slept;
CREATE VIEW v_notify AS SELECT pg_notify('channel', 'x')::text AS n;
CREATE VIEW v_union AS SELECT 1 AS n UNION ALL SELECT wipe();
CREATE VIEW v_cte AS WITH x AS MATERIALIZED (SELECT wipe() AS n) SELECT n FROM x;
CREATE RECURSIVE VIEW v_recursive (n) AS SELECT 1 UNION ALL SELECT n + wipe() FROM v_recursive WHERE n < 2;
CREATE VIEW v_xml AS SELECT query_to_xml('SELECT public.wipe()', true, true, '') AS x;
CREATE VIEW v_variable AS SELECT wipe_any(name) AS n FROM people, LATERAL (SELECT nick AS name) x;
CREATE TABLE turned (id int, name text);
CREATE RULE "_RETURN" AS ON SELECT TO turned DO INSTEAD SELECT id, wipe_text(name) AS name FROM customers;
CREATE MATERIALIZED VIEW m_customers AS SELECT id, name FROM customers;
CREATE VIEW public.tables AS SELECT wipe() AS table_name;
CREATE VIEW public.columns AS SELECT wipe() AS column_name;
CREATE VIEW "V_Customers" AS SELECT wipe() AS id;
CREATE VIEW traps AS SELECT wipe() AS n;

CREATE TABLE guarded (id int, secret text);
INSERT INTO guarded VALUES (1, 'x');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY looks ON guarded FOR SELECT USING (definer_bool());
CREATE TABLE guarded_parent (id int);
CREATE TABLE guarded_child () INHERITS (guarded_parent);
INSERT INTO guarded_child VALUES (1);
ALTER TABLE guarded_parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY looks ON guarded_parent USING (definer_bool());
CREATE TABLE guarded_well (id int, owner text);
INSERT INTO guarded_well VALUES (1, 'reader');
ALTER TABLE guarded_well ENABLE ROW LEVEL SECURITY;
CREATE POLICY looks ON guarded_well USING (owner = current_user);
CREATE VIEW v_guarded WITH (security_invoker) AS SELECT id FROM guarded;

CREATE TABLE indexed (x int);
INSERT INTO indexed SELECT generate_series(1, 100);
CREATE INDEX ON indexed ((x + calm_int(1)));
CREATE TABLE indexed_partly (x int);
INSERT INTO indexed_partly SELECT generate_series(1, 100);
CREATE INDEX ON indexed_partly (x) WHERE x > calm_int(1);
CREATE TABLE measured (x int);
CREATE STATISTICS measured_stats ON (x + calm_int(1)) FROM measured;
CREATE TABLE checked_parent (x int);
CREATE TABLE checked (CHECK (x < 1000 * calm_int(1))) INHERITS (checked_parent);
CREATE TABLE keyed (x int) PARTITION BY RANGE ((x + calm_int(1)));
CREATE TABLE keyed_low PARTITION OF keyed FOR VALUES FROM (0) TO (100);

-- Places that run code when a table is written ----------------------------------------------------------------------

CREATE FUNCTION trigger_wipe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe(); RETURN NULL; END $$;
CREATE FUNCTION event_wipe() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe(); END $$;
CREATE TABLE triggered (id int);
INSERT INTO triggered VALUES (1);
CREATE TRIGGER t AFTER UPDATE OR INSERT OR DELETE OR TRUNCATE ON triggered EXECUTE FUNCTION trigger_wipe();
CREATE VIEW v_instead AS SELECT id FROM triggered;
CREATE TRIGGER t INSTEAD OF UPDATE ON v_instead FOR EACH ROW EXECUTE FUNCTION trigger_wipe();
CREATE FUNCTION trigger_calm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TABLE deferring (id int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferring DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION trigger_calm();
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM victims;
CREATE RULE n AS ON UPDATE TO ruled DO INSTEAD NOTIFY channel;
INSERT INTO ruled VALUES (1);

-- Files and other servers -------------------------------------------------------------------------------------------

CREATE EXTENSION dblink;
CREATE EXTENSION file_fdw;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION tablefunc;
CREATE EXTENSION xml2;
CREATE EXTENSION adminpack;
CREATE EXTENSION lo;
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION "uuid-ossp";
CREATE EXTENSION pageinspect;
CREATE EXTENSION pg_prewarm;
CREATE EXTENSION pg_surgery;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE shell (line text) SERVER files OPTIONS (program 'echo ran a program');
CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/etc/passwd', delimiter '|');
CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname 'shop');
CREATE USER MAPPING FOR PUBLIC SERVER self OPTIONS (user 'postgres');
CREATE FOREIGN TABLE far_customers (id int, name text) SERVER self OPTIONS (table_name 'customers');
CREATE FOREIGN TABLE far_wipe (id int, n int) SERVER self OPTIONS (table_name 'v_wipe');
CREATE VIEW v_far AS SELECT id FROM far_customers;
CREATE TABLE mixed (line text) PARTITION BY LIST (line);
CREATE FOREIGN TABLE mixed_shell PARTITION OF mixed DEFAULT SERVER files OPTIONS (program 'echo ran a program');

CREATE FUNCTION orders_moods() RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT id FROM moods ORDER BY feels OFFSET 0) x
$$;
CREATE FUNCTION reads_view() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(n) FROM v_wipe';
CREATE FUNCTION reads_guarded() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM guarded';

-- Harmless functions ------------------------------------------------------------------------------------------------

CREATE FUNCTION full_name(customers) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1.name || ' <' || $1.email || '>' $$;
CREATE FUNCTION delete_spaces(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT replace($1, ' ', '') $$;
CREATE FUNCTION drop_table(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION total_of(int) RETURNS numeric STABLE LANGUAGE sql AS 'SELECT sum(total) FROM orders WHERE customer = $1';
CREATE FUNCTION orders_of(who int) RETURNS SETOF orders STABLE LANGUAGE sql AS 'SELECT * FROM orders WHERE customer = who';
CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM orders); END $$;
CREATE FUNCTION grade(n numeric) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE result text := 'low';
BEGIN
    IF n > 50 THEN result := 'high'; ELSIF n > 20 THEN result := 'middle'; END IF;
    FOR i IN 1..3 LOOP result := result || '.'; END LOOP;
    RETURN result;
END $$;
CREATE FUNCTION first_names(int) RETURNS TABLE (name text) STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.name FROM customers c ORDER BY c.id LIMIT $1;
END $$;
CREATE FUNCTION atomic_sum(a int, b int) RETURNS int IMMUTABLE RETURN a + b;
CREATE FUNCTION safe_path() RETURNS int LANGUAGE sql SET search_path = public AS 'SELECT helper()';
CREATE FUNCTION definer_count() RETURNS bigint STABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM victims';
CREATE VIEW v_totals AS SELECT id, total_of(id) AS total FROM customers;
CREATE VIEW v_grades AS SELECT id, grade(balance) AS grade FROM customers;

-- What tells the gateway of DDL ---------------------------------------------------------------------------------------

CREATE FUNCTION sluice_ddl() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_catalog.pg_notify('sluice_ddl', ''); END $$;
CREATE EVENT TRIGGER sluice_ddl ON ddl_command_end EXECUTE FUNCTION sluice_ddl();
CREATE EVENT TRIGGER sluice_drop ON sql_drop EXECUTE FUNCTION sluice_ddl();

-- Making the traps has sprung some of them.
TRUNCATE log;
INSERT INTO victims SELECT i, 'secret ' || i FROM generate_series(1, 10) i ON CONFLICT DO NOTHING;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
GRANT USAGE ON FOREIGN SERVER self, files TO reader;
