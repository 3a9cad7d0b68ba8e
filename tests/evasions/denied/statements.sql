-- name: t00 INSERT
INSERT INTO log VALUES ('x')

-- name: t00 INSERT of a query
INSERT INTO log SELECT name FROM customers

-- name: t00 INSERT ON CONFLICT DO UPDATE
INSERT INTO victims VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET secret = 'y'

-- name: t00 INSERT RETURNING
INSERT INTO log VALUES ('x') RETURNING line

-- name: t00 INSERT DEFAULT VALUES
INSERT INTO log DEFAULT VALUES

-- name: t00 UPDATE
UPDATE victims SET secret = 'x' WHERE id = 1

-- name: t00 UPDATE FROM
UPDATE victims SET secret = c.name FROM customers c WHERE c.id = victims.id

-- name: t00 UPDATE ONLY
UPDATE ONLY victims SET secret = 'x'

-- name: t00 DELETE
DELETE FROM victims WHERE id = 1

-- name: t00 DELETE USING
DELETE FROM victims USING customers c WHERE c.id = victims.id

-- name: t00 MERGE that inserts
MERGE INTO victims USING (VALUES (11)) x(id) ON victims.id = x.id WHEN NOT MATCHED THEN INSERT VALUES (x.id, 'x')

-- name: t00 MERGE that updates
MERGE INTO victims USING customers c ON victims.id = c.id WHEN MATCHED THEN UPDATE SET secret = c.name

-- name: t00 MERGE that deletes
MERGE INTO victims USING customers c ON victims.id = c.id WHEN MATCHED THEN DELETE

-- name: t00 TRUNCATE
TRUNCATE victims

-- name: t00 TRUNCATE CASCADE
TRUNCATE customers CASCADE

-- name: t00 TRUNCATE RESTART IDENTITY
TRUNCATE ticket RESTART IDENTITY

-- name: t00 DELETE in a WITH
WITH gone AS (DELETE FROM victims RETURNING *) SELECT count(*) FROM gone

-- name: t00 INSERT in a WITH that nobody reads
WITH x AS (INSERT INTO log VALUES ('x')) SELECT 1

-- name: t00 UPDATE in a WITH in front of VALUES
WITH x AS (UPDATE victims SET secret = 'x') VALUES (1)

-- name: t00 a WITH behind another
WITH a AS (SELECT 1), b AS (SELECT * FROM a), c AS (DELETE FROM victims) SELECT * FROM b

-- name: t00 DELETE in a recursive WITH
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3), c AS (DELETE FROM victims) SELECT * FROM n

-- name: t00 DELETE in a WITH of a set operation
WITH c AS (DELETE FROM victims RETURNING id) SELECT 1 UNION ALL SELECT id FROM c

-- name: t00 DELETE in a WITH of TABLE
WITH c AS (DELETE FROM victims) TABLE customers

-- name: t00 DELETE in a WITH of a materialized query
WITH c AS MATERIALIZED (SELECT 1), d AS (DELETE FROM victims RETURNING 1) SELECT * FROM c, d

-- name: t00 SELECT INTO
SELECT * INTO backup FROM customers

-- name: t00 SELECT INTO TEMP
SELECT 1 AS a INTO TEMP backup

-- name: t00 SELECT INTO in a set operation
SELECT 1 AS a INTO backup UNION SELECT 2

-- name: t00 SELECT INTO of a WITH
WITH x AS (SELECT 1 AS a) SELECT a INTO UNLOGGED backup FROM x

-- name: t00 CREATE TABLE AS
CREATE TABLE backup AS SELECT * FROM customers

-- name: t00 CREATE TABLE AS WITH NO DATA
CREATE TABLE backup AS SELECT * FROM customers WITH NO DATA

-- name: t00 CREATE TABLE AS TABLE
CREATE TABLE backup AS TABLE customers

-- name: t00 CREATE TEMP TABLE
CREATE TEMP TABLE t (a int)

-- name: t00 CREATE TEMP VIEW
CREATE TEMP VIEW v AS SELECT 1

-- name: t00 CREATE UNLOGGED TABLE
CREATE UNLOGGED TABLE t (a int)

-- name: t00 CREATE TABLE LIKE
CREATE TABLE t (LIKE customers INCLUDING ALL)

-- name: t00 CREATE VIEW
CREATE VIEW v AS SELECT 1

-- name: t00 CREATE OR REPLACE VIEW
CREATE OR REPLACE VIEW v_customers AS SELECT id, name, ssn AS country FROM customers

-- name: t00 CREATE MATERIALIZED VIEW
CREATE MATERIALIZED VIEW m AS SELECT 1

-- name: t00 REFRESH MATERIALIZED VIEW
REFRESH MATERIALIZED VIEW m_customers

-- name: t00 CREATE FUNCTION
CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1'

-- name: t00 CREATE PROCEDURE
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'

-- name: t00 CREATE TRIGGER
CREATE TRIGGER t AFTER INSERT ON log EXECUTE FUNCTION trigger_wipe()

-- name: t00 CREATE EVENT TRIGGER
CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION event_wipe()

-- name: t00 CREATE RULE
CREATE RULE r AS ON INSERT TO log DO ALSO DELETE FROM victims

-- name: t00 CREATE POLICY
CREATE POLICY p ON customers USING (true)

-- name: t00 CREATE INDEX
CREATE INDEX ON customers (name)

-- name: t00 CREATE INDEX CONCURRENTLY
-- transaction: no
CREATE INDEX CONCURRENTLY i ON customers (name)

-- name: t00 CREATE STATISTICS
CREATE STATISTICS s ON id, name FROM customers

-- name: t00 CREATE SEQUENCE
CREATE SEQUENCE s

-- name: t00 CREATE SCHEMA with its objects
CREATE SCHEMA s CREATE TABLE t (a int)

-- name: t00 CREATE TYPE
CREATE TYPE t AS (a int)

-- name: t00 CREATE DOMAIN
CREATE DOMAIN d AS int

-- name: t00 CREATE CAST
CREATE CAST (customers AS int) WITH FUNCTION wipe_row(customers)

-- name: t00 CREATE OPERATOR
CREATE OPERATOR public.==== (LEFTARG = int, RIGHTARG = int, FUNCTION = pg_catalog.int4eq)

-- name: t00 CREATE AGGREGATE
CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int)

-- name: t00 CREATE COLLATION
CREATE COLLATION c FROM "C"

-- name: t00 CREATE CONVERSION
CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1

-- name: t00 CREATE EXTENSION
CREATE EXTENSION IF NOT EXISTS unaccent

-- name: t00 CREATE LANGUAGE
CREATE LANGUAGE mine HANDLER plpgsql_call_handler

-- name: t00 CREATE SERVER
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw

-- name: t00 CREATE USER MAPPING
CREATE USER MAPPING FOR other SERVER self

-- name: t00 CREATE PUBLICATION
CREATE PUBLICATION p FOR ALL TABLES

-- name: t00 CREATE SUBSCRIPTION
CREATE SUBSCRIPTION s CONNECTION 'dbname=shop' PUBLICATION p WITH (connect = false)

-- name: t00 CREATE ROLE
CREATE ROLE intruder SUPERUSER LOGIN

-- name: t00 CREATE DATABASE
-- transaction: no
CREATE DATABASE intruder

-- name: t00 CREATE TEXT SEARCH CONFIGURATION
CREATE TEXT SEARCH CONFIGURATION c (COPY = english)

-- name: t00 CREATE ACCESS METHOD
CREATE ACCESS METHOD m TYPE INDEX HANDLER bthandler

-- name: t00 CREATE TRANSFORM
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))

-- name: t00 ALTER TABLE ADD COLUMN
ALTER TABLE customers ADD COLUMN x int

-- name: t00 ALTER TABLE DISABLE TRIGGER
ALTER TABLE triggered DISABLE TRIGGER ALL

-- name: t00 ALTER TABLE DISABLE ROW LEVEL SECURITY
ALTER TABLE guarded DISABLE ROW LEVEL SECURITY

-- name: t00 ALTER TABLE RENAME
ALTER TABLE customers RENAME TO clients

-- name: t00 ALTER TABLE SET SCHEMA
ALTER TABLE people SET SCHEMA mine

-- name: t00 ALTER TABLE OWNER
ALTER TABLE customers OWNER TO other

-- name: t00 ALTER TABLE ATTACH PARTITION
ALTER TABLE sales DETACH PARTITION sales_2024

-- name: t00 ALTER TABLE ALL IN TABLESPACE
-- shows: nothing: there is no second tablespace
ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE elsewhere

-- name: t00 ALTER VIEW
ALTER VIEW v_customers ALTER COLUMN name SET DEFAULT 'x'

-- name: t00 ALTER FUNCTION
ALTER FUNCTION helper() RENAME TO helped

-- name: t00 ALTER TYPE ADD VALUE
ALTER TYPE size ADD VALUE 'huge'

-- name: t00 ALTER DOMAIN
ALTER DOMAIN code DROP CONSTRAINT code_check

-- name: t00 ALTER SEQUENCE RESTART
ALTER SEQUENCE counter RESTART

-- name: t00 ALTER DEFAULT PRIVILEGES
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC

-- name: t00 ALTER ROLE
ALTER ROLE other SUPERUSER

-- name: t00 ALTER ROLE SET
ALTER ROLE other SET search_path = mine

-- name: t00 ALTER DATABASE SET
ALTER DATABASE trial SET search_path = mine

-- name: t00 ALTER SYSTEM
-- transaction: no
ALTER SYSTEM SET work_mem = '1MB'

-- name: t00 ALTER SYSTEM RESET
-- transaction: no
-- shows: nothing: nothing is set
ALTER SYSTEM RESET ALL

-- name: t00 ALTER EXTENSION
ALTER EXTENSION hstore DROP FUNCTION akeys(hstore)

-- name: t00 ALTER EVENT TRIGGER
-- shows: nothing: there is no event trigger
ALTER EVENT TRIGGER e DISABLE

-- name: t00 ALTER LARGE OBJECT
ALTER LARGE OBJECT 4242 OWNER TO other

-- name: t00 ALTER OPERATOR FAMILY
ALTER OPERATOR FAMILY integer_ops USING btree RENAME TO x

-- name: t00 DROP TABLE
DROP TABLE log

-- name: t00 DROP several kinds
DROP VIEW v_wipe, v_over CASCADE

-- name: t00 DROP FUNCTION
DROP FUNCTION run(text)

-- name: t00 DROP SCHEMA CASCADE
DROP SCHEMA mine CASCADE

-- name: t00 DROP IF EXISTS
DROP TABLE IF EXISTS log

-- name: t00 DROP OWNED
DROP OWNED BY reader

-- name: t00 REASSIGN OWNED
-- shows: nothing: other owns nothing
REASSIGN OWNED BY other TO reader

-- name: t00 DROP DATABASE
-- transaction: no
-- shows: nothing: it would end the tests
DROP DATABASE IF EXISTS nowhere

-- name: t00 GRANT
GRANT ALL ON customers TO PUBLIC

-- name: t00 GRANT of a role
GRANT pg_read_server_files TO other

-- name: t00 GRANT on a setting
GRANT SET ON PARAMETER session_replication_role TO other

-- name: t00 GRANT on columns
GRANT SELECT (ssn) ON customers TO other

-- name: t00 GRANT on a large object
GRANT SELECT ON LARGE OBJECT 4242 TO PUBLIC

-- name: t00 REVOKE
REVOKE ALL ON customers FROM reader

-- name: t00 COMMENT
COMMENT ON TABLE customers IS 'x'

-- name: t00 COMMENT on a column
COMMENT ON COLUMN customers.ssn IS 'x'

-- name: t00 SECURITY LABEL
-- shows: nothing: it needs a label provider
SECURITY LABEL ON TABLE customers IS 'x'

-- name: t00 LOCK
LOCK TABLE customers

-- name: t00 LOCK in a weak mode
LOCK TABLE customers IN ROW SHARE MODE

-- name: t00 LOCK NOWAIT
LOCK customers IN SHARE MODE NOWAIT

-- name: t00 FOR UPDATE
SELECT * FROM customers FOR UPDATE

-- name: t00 FOR NO KEY UPDATE SKIP LOCKED
SELECT * FROM customers FOR NO KEY UPDATE SKIP LOCKED

-- name: t00 FOR SHARE
SELECT * FROM customers FOR SHARE

-- name: t00 FOR KEY SHARE OF
SELECT * FROM customers c JOIN orders o ON c.id = o.customer FOR KEY SHARE OF o

-- name: t00 FOR UPDATE below
SELECT * FROM (SELECT id FROM customers FOR UPDATE) s

-- name: t00 FOR UPDATE in a WITH
WITH x AS (SELECT id FROM customers FOR UPDATE) SELECT * FROM x

-- name: t00 FOR UPDATE of a view
SELECT * FROM v_customers FOR UPDATE

-- name: t00 FOR UPDATE in a function's argument
SELECT abs((SELECT id FROM customers ORDER BY id LIMIT 1 FOR UPDATE))

-- name: t00 NOTIFY
-- shows: nothing: a notification leaves no trace for others
NOTIFY channel, 'x'

-- name: t00 LISTEN
-- transaction: no
LISTEN channel

-- name: t00 CHECKPOINT
-- shows: nothing: it writes what was written anyway
CHECKPOINT

-- name: t00 VACUUM
-- transaction: no
VACUUM FULL customers

-- name: t00 VACUUM with options
-- transaction: no
VACUUM (FREEZE, ANALYZE) customers

-- name: t00 ANALYZE
ANALYZE customers

-- name: t00 CLUSTER
CLUSTER customers USING customers_pkey

-- name: t00 REINDEX
REINDEX TABLE customers

-- name: t00 REINDEX CONCURRENTLY
-- transaction: no
REINDEX (CONCURRENTLY) INDEX customers_pkey

-- name: t00 COPY FROM STDIN
COPY log FROM STDIN

-- name: t00 COPY some columns FROM STDIN
COPY log (line) FROM STDIN WITH (FORMAT csv)

-- name: t00 COPY TO a file
-- transaction: no
COPY customers TO '{scratch}/out'

-- name: t00 COPY a query TO a file
-- transaction: no
COPY (SELECT 1) TO '{scratch}/out'

-- name: t00 COPY TO PROGRAM
-- transaction: no
COPY customers TO PROGRAM 'cat > {scratch}/out'

-- name: t00 COPY FROM PROGRAM
COPY log FROM PROGRAM 'echo x'

-- name: t00 COPY FROM a file
COPY log FROM '/etc/hostname'

-- name: t00 COPY of a DELETE
COPY (DELETE FROM victims RETURNING *) TO STDOUT

-- name: t00 COPY of a WITH that deletes
COPY (WITH x AS (DELETE FROM victims RETURNING 1) SELECT * FROM x) TO STDOUT

-- name: t00 COPY of a query that calls
COPY (SELECT wipe()) TO STDOUT

-- name: t00 COPY of a trap TO STDOUT
COPY (SELECT * FROM v_wipe) TO STDOUT WITH (FORMAT csv, HEADER)

-- name: t00 COPY in an old syntax
COPY log FROM '/etc/hostname' DELIMITERS '|'

-- name: t00 COPY with FREEZE
COPY log FROM STDIN WITH (FREEZE 0)

-- name: t00 COPY with a WHERE that calls
COPY log FROM STDIN WHERE wipe() = 1

-- name: t07 DO
DO $$ BEGIN DELETE FROM victims; END $$

-- name: t07 DO with an escape string
DO E'BEGIN D\x45LETE FROM victims; END'

-- name: t07 DO with a language in front
DO LANGUAGE plpgsql 'BEGIN PERFORM wipe(); END'

-- name: t07 DO with dynamic SQL
DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM victims'; END $$

-- name: t07 DO that raises its rights
DO $$ BEGIN PERFORM set_config('role', 'other', false); END $$

-- name: t07 DO with a loop
DO $$ DECLARE r record; BEGIN FOR r IN SELECT wipe() LOOP NULL; END LOOP; END $$

-- name: t07 DO with COMMIT
-- transaction: no
DO $$ BEGIN DELETE FROM victims; COMMIT; END $$

-- name: t07 CALL
CALL wipe_procedure()

-- name: t07 CALL whose argument calls
CALL takes(wipe())

-- name: t00 PREPARE TRANSACTION
-- protocol: simple
-- transaction: no
BEGIN; PREPARE TRANSACTION 'x'

-- name: t00 COMMIT PREPARED
@direct BEGIN; INSERT INTO log VALUES ('x'); PREPARE TRANSACTION 'y'
@query COMMIT PREPARED 'y'
@denied
@direct ROLLBACK PREPARED 'y'

-- name: t00 ROLLBACK PREPARED
-- shows: nothing: it takes back what another session did
@direct BEGIN; INSERT INTO log VALUES ('x'); PREPARE TRANSACTION 'z'
@query ROLLBACK PREPARED 'z'
@denied
@direct ROLLBACK PREPARED 'z'

-- name: t00 LOAD
-- shows: nothing: the library's code is its own
LOAD '$libdir/plpgsql'

-- name: t00 IMPORT FOREIGN SCHEMA
IMPORT FOREIGN SCHEMA public LIMIT TO (people) FROM SERVER self INTO mine

-- name: t00 a cursor over FOR UPDATE
DECLARE c CURSOR FOR SELECT * FROM customers FOR UPDATE

-- name: t00 a cursor over a call
DECLARE c CURSOR FOR SELECT calm()

-- name: t00 a cursor over a WITH that deletes
-- shows: nothing: the server refuses it itself
DECLARE c CURSOR FOR WITH x AS (DELETE FROM victims RETURNING 1) SELECT * FROM x

-- name: t00 DELETE WHERE CURRENT OF
-- protocol: simple
DECLARE c CURSOR FOR SELECT * FROM victims; FETCH c; DELETE FROM victims WHERE CURRENT OF c

-- name: t00 UPDATE WHERE CURRENT OF
-- protocol: simple
DECLARE c CURSOR FOR SELECT * FROM victims; FETCH c; UPDATE victims SET secret = 'x' WHERE CURRENT OF c

-- name: t00 a cursor WITH HOLD, filled at COMMIT
-- protocol: simple
-- transaction: no
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT wipe(); COMMIT

-- name: t00 CREATE TABLE of a foreign table
CREATE FOREIGN TABLE t (line text) SERVER files OPTIONS (program 'id')

-- name: t00 CREATE TABLE with a default that calls
CREATE TABLE t (a int DEFAULT wipe())

-- name: t00 ALTER TABLE ADD COLUMN with a default that calls
ALTER TABLE customers ADD COLUMN x int DEFAULT wipe()

-- name: t00 DISCARD behind a write
-- protocol: simple
-- transaction: no
DELETE FROM victims; DISCARD PLANS
