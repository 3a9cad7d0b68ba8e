-- name: t03 standard_conforming_strings
SET standard_conforming_strings = off

-- name: t03 standard_conforming_strings, quoted and in capitals
SET "STANDARD_conforming_strings" TO 'off'

-- name: t03 standard_conforming_strings by a number
SET standard_conforming_strings = 0

-- name: t03 standard_conforming_strings by a prefix
SET standard_conforming_strings = 'fal'

-- name: t03 standard_conforming_strings, local
SET LOCAL standard_conforming_strings = off

-- name: t03 standard_conforming_strings by unicode escapes
SET U&"standard\005fconforming_strings" = off

-- name: t03 standard_conforming_strings by set_config
SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)

-- name: t03 standard_conforming_strings, then a string that it reads differently
-- protocol: simple
-- transaction: no
SET standard_conforming_strings = off; SELECT 1

-- name: t03 client_encoding
-- shows: nothing: the tests' own answers change
SET client_encoding TO 'SJIS'

-- name: t03 client_encoding by NAMES
-- shows: nothing: the tests' own answers change
SET NAMES 'GBK'

-- name: t03 client_encoding by set_config
-- shows: nothing: the tests' own answers change
SELECT set_config('client_encoding', 'BIG5', false)

-- name: t03 escape_string_warning with another setting behind
-- protocol: simple
SET application_name = 'x'; SET standard_conforming_strings = off

-- name: t03 search_path
SET search_path = mine, public

-- name: t03 search_path as a string
SET search_path TO 'mine'

-- name: t03 search_path by SCHEMA
SET SCHEMA 'mine'

-- name: t03 search_path, local
SET LOCAL search_path = mine

-- name: t03 session_replication_role
SET session_replication_role = 'replica'

-- name: t03 row_security
SET row_security = off

-- name: t03 a custom setting
SET app.tenant = '7'

-- name: t03 check_function_bodies
SET check_function_bodies = off

-- name: t03 default_tablespace
SET default_tablespace = 'pg_global'

-- name: t03 temp_tablespaces
SET temp_tablespaces = 'pg_default'

-- name: t03 allow_system_table_mods
SET allow_system_table_mods = on

-- name: t03 zero_damaged_pages
SET zero_damaged_pages = on

-- name: t03 ignore_checksum_failure
SET ignore_checksum_failure = on

-- name: t03 log_statement
SET log_statement = 'all'

-- name: t03 log_min_messages
SET log_min_messages = 'panic'

-- name: t03 synchronous_commit
SET synchronous_commit = off

-- name: t03 commit_delay
SET commit_delay = 1000

-- name: t03 default_transaction settings hide another
-- protocol: simple
SET default_transaction_read_only = off; SET search_path = mine

-- name: t03 SET FROM CURRENT belongs to functions
ALTER FUNCTION helper() SET search_path FROM CURRENT

-- name: t03 UPDATE pg_settings is a SET
UPDATE pg_settings SET setting = 'mine' WHERE name = 'search_path'

-- name: t03 UPDATE pg_settings of another
UPDATE pg_settings SET setting = 'replica' WHERE name = 'session_replication_role'

-- name: t03 a refused SET behind a query leaves names what they were
@query SELECT 1; SET search_path = mine
@denied
@query SELECT count(*) FROM orders
@passes

-- name: t03 a pipelined SET before the next message
@parse - SET search_path = mine
@bind - -
@execute -
@parse - SELECT * FROM customers
@bind - -
@execute -
@sync
@denied

-- name: t03 a pipelined SET in another query string
@queue SET search_path = mine
@query SELECT * FROM customers
@denied

-- name: t03 a pipelined SET of a lexing setting
@queue SET standard_conforming_strings = off
@query SELECT '\'; DELETE FROM victims; --'
@denied

-- name: t03 a lexing setting in the same string
@query SET standard_conforming_strings = off; SELECT '\'; DELETE FROM victims; --'
@denied

-- name: t03 a lexing setting that comes back by ROLLBACK
@query BEGIN; SET LOCAL standard_conforming_strings = off; ROLLBACK; SELECT '\'; DELETE FROM victims; --'
@denied

-- name: t03 backslash_quote before a string with one
@query SET backslash_quote = on
@query SELECT E'\''; DELETE FROM victims; --'
@denied

-- name: t03 a SET by a prepared statement
@query PREPARE s AS SELECT set_config('search_path', 'mine', false)
@query EXECUTE s
@denied

-- name: t03 a SET by EXPLAIN ANALYZE
@query EXPLAIN (ANALYZE) SELECT set_config('search_path', 'mine', false)
@denied

-- name: t03 a SET by a cursor
@query BEGIN; DECLARE c CURSOR FOR SELECT set_config('search_path', 'mine', false); FETCH c
@denied

-- name: t13 SET ROLE
SET ROLE other

-- name: t13 SET ROLE as a string
SET ROLE 'other'

-- name: t13 SET ROLE NONE
-- shows: nothing: it is the role already
SET ROLE NONE

-- name: t13 SET ROLE NONE by quoted word
-- shows: nothing: it is the role already
SET ROLE "none"

-- name: t13 SET LOCAL ROLE
SET LOCAL ROLE other

-- name: t13 SET SESSION ROLE
SET SESSION ROLE other

-- name: t13 RESET ROLE
-- shows: nothing: it is the role already
RESET ROLE

-- name: t13 SET role TO DEFAULT
-- shows: nothing: it is the role already
SET role TO DEFAULT

-- name: t13 the role as a setting
SET "Role" = other

-- name: t13 the role by set_config
SELECT set_config('role', 'other', false)

-- name: t13 SET SESSION AUTHORIZATION
SET SESSION AUTHORIZATION reader

-- name: t13 SET LOCAL SESSION AUTHORIZATION
SET LOCAL SESSION AUTHORIZATION 'reader'

-- name: t13 session_authorization as a setting
SET session_authorization = reader

-- name: t13 RESET SESSION AUTHORIZATION
-- shows: nothing: it is the user already
RESET SESSION AUTHORIZATION

-- name: t13 SET SESSION AUTHORIZATION DEFAULT
-- shows: nothing: it is the user already
SET SESSION AUTHORIZATION DEFAULT

-- name: t13 session_authorization by set_config
SELECT set_config('session_authorization', 'reader', true)

-- name: t13 DISCARD ALL, then a role
-- protocol: simple
DISCARD PLANS; SET ROLE other

-- name: t13 a role, then RESET ALL
-- protocol: simple
SET ROLE other; RESET ALL

-- name: t13 a role in a savepoint
-- protocol: simple
-- transaction: no
BEGIN; SAVEPOINT a; SET ROLE other; RELEASE a; COMMIT

-- name: t13 the session goes on with what it had before a refused role
@query SET ROLE other
@denied
@query SELECT current_user
@passes
@query DELETE FROM victims
@denied

-- name: t13 DISCARD ALL gives no other rights
@query DISCARD ALL
@passes
@query DELETE FROM victims
@denied
