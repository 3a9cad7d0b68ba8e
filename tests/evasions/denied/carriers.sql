-- name: t16 a value into a custom setting
SELECT set_config('app.stolen', ssn, false) FROM customers

-- name: t16 a value into another setting
SELECT set_config('search_path', quote_ident(ssn), false) FROM customers

-- name: t16 a value into an advisory lock's key
SELECT pg_advisory_lock(replace(ssn, '-', '')::bigint) FROM customers

-- name: t16 a value into a sequence
SELECT setval('counter', replace(ssn, '-', '')::bigint) FROM customers

-- name: t16 a value into a large object
SELECT lo_from_bytea(0, ssn::bytea) FROM customers

-- name: t16 a value into a notification
-- shows: nothing: a notification leaves no trace for others
SELECT pg_notify('channel', ssn) FROM customers

-- name: t16 a value into a table
INSERT INTO log SELECT ssn FROM customers

-- name: t16 a value into a delay
-- shows: delay
SELECT pg_sleep(0.3 * (left(ssn, 1) = '0')::int) FROM customers LIMIT 1

-- name: t16 a value into a delay of a condition
-- shows: delay
SELECT 1 FROM customers WHERE id = 1 AND (ssn LIKE '0%' AND pg_sleep(0.3) IS NOT NULL)

-- name: t16 a value into a file
-- transaction: no
COPY (SELECT ssn FROM customers) TO '{scratch}/out'

-- name: t16 a value into another server
-- transaction: no
SELECT dblink_exec('self', format('INSERT INTO log VALUES (%L)', ssn)) FROM customers

-- name: t16 a value into a channel's name by a function
-- transaction: no
SELECT run(format('LISTEN %I', ssn)) FROM customers

-- name: t16 a value into a prepared statement's text
SELECT run(format('PREPARE %I AS SELECT 1', ssn)), wipe() FROM customers

-- name: t16 a large object's contents
-- shows: rows \x61
SELECT lo_get(4242)

-- name: t16 a large object's pages
-- shows: rows \x61
SELECT loread(lo_open(4242, 262144), 100)
