-- name: t12 a name that is cut at 63 bytes
SELECT a23456789_123456789_123456789_123456789_123456789_123456789_123456789_more()

-- name: t12 a quoted name that is cut at 63 bytes
SELECT "a23456789_123456789_123456789_123456789_123456789_123456789_123; harmless"()

-- name: t12 unicode escapes in a function's name
SELECT U&"\0077ipe"()

-- name: t12 unicode escapes with another character
SELECT U&"w!0069pe" UESCAPE '!' ()

-- name: t12 six-digit unicode escapes
SELECT U&"\+000077ipe"()

-- name: t12 unicode escapes in a built-in function's name
SELECT U&"set\005fconfig"('role', 'other', false)

-- name: t12 unicode escapes in a schema's name
SELECT U&"mi\006ee".wipe()

-- name: t12 unicode escapes in a view's name
SELECT n FROM U&"v\005fwipe"

-- name: t12 a quoted name in mixed case
SELECT "Wipe"()

-- name: t12 a quoted name that folds to a harmless one
SELECT "Helper"()

-- name: t12 letters that look like others
SELECT hеlper()

-- name: t12 a doubled quote in a name
DROP VIEW IF EXISTS "a""b", v_far

-- name: t12 a keyword as a function's name
DELETE FROM "delete"

-- name: t12 a table whose name is a statement
DELETE FROM "drop table victims"; INSERT INTO "drop table victims" VALUES (1, 2)

-- name: t12 a built-in function's name in another schema
SELECT mine.lower('A')

-- name: t12 a built-in keyword function's name in another schema
SELECT mine.now()

-- name: t12 a quoted schema in front of a built-in name
SELECT "mine"."lower"('A')

-- name: t12 an alias that looks like a table does not hide a schema
SELECT mine.wipe() FROM customers AS mine

-- name: t12 a WITH's name does not hide a function
WITH wipe AS (SELECT 1) SELECT wipe() FROM wipe

-- name: t12 a column's name does not hide a function
SELECT wipe() FROM (SELECT 1 AS wipe) x

-- name: t12 a table's alias in attribute notation is a function
SELECT lower.wipe_row FROM customers lower

-- name: t12 letters beyond ASCII in a table's name
INSERT INTO "Ünïcode" VALUES (1)

-- name: t12 the search path's $user
-- protocol: simple
SET search_path = "$user", mine, public; SELECT * FROM customers

-- name: t12 a temporary table that hides a table
-- protocol: simple
CREATE TEMP TABLE customers (id int); SELECT * FROM customers

-- name: t12 a temporary view that hides a catalog
-- protocol: simple
CREATE TEMP VIEW pg_class AS SELECT wipe() AS oid; SELECT * FROM pg_temp.pg_class

-- name: t12 a function of the temporary schema
-- protocol: simple
CREATE FUNCTION pg_temp.now2() RETURNS int LANGUAGE sql AS 'SELECT wipe()'; SELECT pg_temp.now2()

-- name: t12 a view that is made and read in one string
-- protocol: simple
CREATE VIEW fresh AS SELECT wipe(); SELECT * FROM fresh

-- name: t12 a function that is replaced and called in one string
-- protocol: simple
CREATE OR REPLACE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT wipe()'; SELECT helper()

-- name: t12 a table that is renamed and read in one string
-- protocol: simple
ALTER TABLE orders RENAME TO orders_; ALTER VIEW v_wipe RENAME TO orders; SELECT * FROM orders

-- name: t12 a prepared name that is cut at 63 bytes
@query PREPARE n23456789_123456789_123456789_123456789_123456789_123456789_123_one AS SELECT wipe()
@query EXECUTE n23456789_123456789_123456789_123456789_123456789_123456789_123_two
@query SELECT wipe()
@denied

-- name: t12 a protocol's name that the server cuts at 63 bytes too
@parse n23456789_123456789_123456789_123456789_123456789_123456789_123_one SELECT set_config($1, 'other', false)
@bind - n23456789_123456789_123456789_123456789_123456789_123456789_123_one | application_name
@execute -
@sync
@bind - n23456789_123456789_123456789_123456789_123456789_123456789_123_two | role
@execute -
@sync

-- name: t12 a protocol's name that is closed by another that is cut
@parse n23456789_123456789_123456789_123456789_123456789_123456789_123_one SELECT 1
@close S n23456789_123456789_123456789_123456789_123456789_123456789_123_two
@parse n23456789_123456789_123456789_123456789_123456789_123456789_123_one SELECT wipe()
@bind - n23456789_123456789_123456789_123456789_123456789_123456789_123_one
@execute -
@sync
@denied

-- name: t12 a cursor's name that is cut at 63 bytes
@query BEGIN; DECLARE n23456789_123456789_123456789_123456789_123456789_123456789_123_one CURSOR FOR SELECT wipe_any(id) FROM customers; FETCH n23456789_123456789_123456789_123456789_123456789_123456789_123_two
@denied
