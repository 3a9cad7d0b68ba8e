-- name: t25 asyncpg's reset
-- protocol: simple
SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;

-- name: t25 npgsql's reset
-- transaction: no
DISCARD ALL

-- name: t25 npgsql's reset in parts
-- protocol: simple
CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP

-- name: t25 pgjdbc's start
SET extra_float_digits = 3

-- name: t25 pgjdbc's name
SET application_name = 'PostgreSQL JDBC Driver'

-- name: t25 pgjdbc's isolation
SHOW TRANSACTION ISOLATION LEVEL

-- name: t25 Django's time zone
SET TIME ZONE 'UTC'

-- name: t25 Django's time zone by set_config
SELECT set_config('TimeZone', 'UTC', false)

-- name: t25 Django's isolation
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED

-- name: t25 SQLAlchemy's start
-- protocol: simple
select pg_catalog.version(); select current_schema(); show standard_conforming_strings

-- name: t25 node-postgres' ping
SELECT NOW()

-- name: t25 a pool's ping
-- protocol: simple
;

-- name: t25 time-outs
-- protocol: simple
SET statement_timeout = '30s'; SET LOCAL lock_timeout = 100; SET idle_in_transaction_session_timeout = 0

-- name: t25 formats
-- protocol: simple
SET DateStyle = 'ISO, MDY'; SET IntervalStyle TO postgres; SET bytea_output = 'hex'; SET client_encoding = 'UTF8'

-- name: t25 messages
SET client_min_messages TO warning

-- name: t25 RESET
-- protocol: simple
SET statement_timeout = 1000; RESET statement_timeout; SET jit TO DEFAULT

-- name: t25 SHOW
SHOW server_version

-- name: t25 SHOW ALL
SHOW ALL

-- name: t25 SHOW search_path
SHOW search_path

-- name: t25 current_setting
SELECT current_setting('search_path'), current_setting('app.none', true)

-- name: t25 set_config of the application's name
SELECT set_config('application_name', 'crew', false)

-- name: t25 a transaction
-- protocol: simple
-- transaction: no
BEGIN; SELECT 1; COMMIT

-- name: t25 a read-only transaction
-- protocol: simple
-- transaction: no
BEGIN READ ONLY; SELECT count(*) FROM customers; ROLLBACK

-- name: t25 a serializable transaction
-- protocol: simple
-- transaction: no
START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE; SELECT 1; END

-- name: t25 savepoints
-- protocol: simple
-- transaction: no
BEGIN; SAVEPOINT a; SELECT 1; ROLLBACK TO SAVEPOINT a; RELEASE a; COMMIT AND CHAIN; ROLLBACK

-- name: t25 SET TRANSACTION
-- protocol: simple
-- transaction: no
BEGIN; SET TRANSACTION READ ONLY; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; COMMIT

-- name: t25 PREPARE and EXECUTE
-- protocol: simple
PREPARE p(int) AS SELECT name FROM customers WHERE id = $1; EXECUTE p(1); EXPLAIN EXECUTE p(2); DEALLOCATE p

-- name: t25 DEALLOCATE ALL
DEALLOCATE ALL

-- name: t25 a cursor
-- protocol: simple
-- transaction: no
BEGIN; DECLARE c CURSOR FOR SELECT id FROM customers; FETCH 2 FROM c; MOVE 1 IN c; FETCH ALL c; CLOSE c; COMMIT

-- name: t25 a scrolling cursor WITH HOLD
-- protocol: simple
-- transaction: no
BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM customers; COMMIT; FETCH LAST FROM c; CLOSE c

-- name: t25 COPY TO STDOUT
COPY customers TO STDOUT

-- name: t25 COPY a query TO STDOUT
COPY (SELECT id, name FROM customers WHERE name <> 'DELETE') TO STDOUT WITH (FORMAT csv, HEADER)

-- name: t25 COPY columns TO STDOUT
COPY customers (id, name) TO STDOUT (FORMAT binary)

-- name: t25 EXPLAIN
EXPLAIN SELECT * FROM customers WHERE id = 1

-- name: t25 EXPLAIN ANALYZE of a query
EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM customers JOIN orders ON customers.id = orders.customer

-- name: t25 EXPLAIN of a pure function
EXPLAIN VERBOSE SELECT twice(id) FROM customers

-- name: t25 DISCARD PLANS
DISCARD PLANS

-- name: t05 a name is prepared, used, closed
@parse s SELECT id FROM customers WHERE id = $1
@describe S s
@bind - s | 1
@execute -
@close S s
@sync
@passes

-- name: t05 the same name again
@parse s SELECT 1
@close S s
@parse s SELECT 2
@bind - s
@execute -
@sync
@passes

-- name: t02 a parameter's type chooses the harmless overload
@parse s[int4] SELECT f($1)
@bind - s | 5
@execute -
@sync
@passes

-- name: t02 a parameter of a domain whose check compares
@parse s[positive] SELECT $1 + 1
@bind - s | 5
@execute -
@sync
@passes

-- name: t02 a setting's name is a parameter, and harmless
@parse s SELECT set_config($1, $2, false)
@bind - s | application_name | crew
@execute -
@sync
@passes

-- name: t02 an array of parameters
@parse s SELECT id FROM customers WHERE id = ANY ($1::int[]) AND name LIKE $2
@bind - s | {1,2,3} | %DELETE%
@execute -
@sync
@passes

-- name: t02 a limit is a parameter
@parse s SELECT id FROM customers ORDER BY id LIMIT $1 OFFSET $2
@bind - s | 3 | 1
@execute -
@sync
@passes

-- name: t02 a regclass is a parameter
@parse s SELECT $1::regclass::oid
@bind - s | customers
@execute -
@sync
@passes

-- name: t03 a SET and a query in one pipeline
@parse - SET statement_timeout = 5000
@bind - -
@execute -
@parse - SELECT * FROM customers
@bind - -
@execute -
@sync
@passes

-- name: t03 a failure and a rollback
@query BEGIN; SELECT 1 / 0
@fails 22012
@query ROLLBACK
@passes
@query SELECT id FROM customers
@passes

-- name: t03 a pipeline of queries
@queue SELECT 1
@queue SELECT 2
@query SELECT id FROM orders
@passes

-- name: t04 usual parameters
-- protocol: startup
application_name=psql
client_encoding=UTF8
DateStyle=ISO
extra_float_digits=2
TimeZone=UTC

-- name: t04 usual options
-- protocol: startup
options=-c statement_timeout=5s -c DateStyle=ISO --application_name=x

-- name: t04 replication that is off
-- protocol: startup
replication=false

-- name: t10 a column is added elsewhere
@query SELECT id FROM people
@passes
@direct ALTER TABLE people ADD COLUMN more int
@query SELECT * FROM people
@passes

-- name: t10 a view is replaced by a harmless one
@query SELECT id FROM v_customers
@passes
@direct CREATE OR REPLACE VIEW v_customers AS SELECT id, upper(name) AS name, country FROM customers
@query SELECT id, name FROM v_customers
@passes

-- name: t10 a table is made elsewhere and read
@query SELECT 1
@direct CREATE TABLE newcomer (id int)
@query SELECT id FROM newcomer
@passes

-- name: t03 statements behind a block of PL/pgSQL that only reads
-- protocol: simple
DO $$ BEGIN PERFORM name FROM customers; END $$; SELECT name FROM customers
