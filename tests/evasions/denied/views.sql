-- name: t08 a view that calls
SELECT * FROM v_wipe

-- name: t08 a column of a view that calls
SELECT n FROM v_wipe

-- name: t08 a view that calls in its WHERE
SELECT id FROM v_where

-- name: t08 a view that calls an immutable function
SELECT * FROM v_calm

-- name: t08 a view over a view
SELECT n FROM v_wipe JOIN v_over USING (id)

-- name: t08 a view over a view over a view
-- session: fresh
SELECT * FROM v_third JOIN v_where ON true

-- name: t08 a view over a function
SELECT * FROM v_function

-- name: t08 a view with a domain
SELECT * FROM v_domain

-- name: t08 a view with an operator
SELECT * FROM v_operator

-- name: t08 a view with an order
SELECT * FROM v_order

-- name: t08 a view with an aggregate
SELECT * FROM v_aggregate

-- name: t08 a view that is a barrier
SELECT name FROM v_barrier

-- name: t08 a view with the caller's rights
SELECT n FROM v_invoker

-- name: t08 a view with a lateral call
SELECT count(*) FROM v_lateral, v_wipe WHERE v_wipe.n = 1

-- name: t08 a view with attribute notation
SELECT * FROM v_attribute

-- name: t08 a view that sets the role
SELECT * FROM v_settings

-- name: t08 a view that moves a sequence
SELECT n FROM v_sequence

-- name: t08 a view that locks rows
SELECT * FROM v_lock

-- name: t08 a view that sleeps
-- shows: delay
SELECT * FROM v_sleep

-- name: t08 a view that notifies
-- shows: nothing: a notification leaves no trace for others
SELECT * FROM v_notify

-- name: t08 a view of a set operation
SELECT n FROM v_union

-- name: t08 a view with a WITH
SELECT * FROM v_cte

-- name: t08 a recursive view
SELECT * FROM v_recursive

-- name: t08 a view that runs SQL from a text
SELECT * FROM v_xml

-- name: t08 a view with a polymorphic call
SELECT * FROM v_variable

-- name: t08 a table that a rule made a view
SELECT name FROM turned

-- name: t08 TABLE of a view that calls
TABLE v_wipe

-- name: t08 a view that calls, with its schema
SELECT n FROM public.v_wipe

-- name: t08 a view of another schema with a table's name
SELECT id FROM mine.customers

-- name: t08 a view of another schema that folds
SELECT id FROM mine.orders

-- name: t08 a view with the name of one of the standard's
SELECT table_name FROM tables

-- name: t08 a view with the name of another of the standard's
SELECT column_name FROM public.columns

-- name: t08 a view in mixed case
SELECT id FROM "V_Customers"

-- name: t08 a view in a sub-query
SELECT 1 WHERE 1 IN (SELECT n FROM v_wipe)

-- name: t08 a view in a WITH
WITH x AS (SELECT * FROM v_wipe) SELECT n FROM x

-- name: t08 a view behind a WITH of another name
WITH v_wipe_ AS (SELECT 1 AS n) SELECT v_wipe.n FROM v_wipe, v_wipe_

-- name: t08 a view behind a WITH of its own name in another sub-query
SELECT (WITH v_wipe AS (SELECT 1 AS n) SELECT n FROM v_wipe), n FROM v_wipe

-- name: t08 a WITH's name in the WITH's own query
WITH v_wipe AS (SELECT n FROM v_wipe) SELECT n FROM v_wipe

-- name: t08 a view by its schema beside a WITH of its name
WITH v_wipe AS (SELECT 1 AS n) SELECT n FROM public.v_wipe

-- name: t08 a view in a LATERAL
SELECT * FROM orders o, LATERAL (SELECT n FROM v_wipe WHERE id = o.customer) x

-- name: t08 a view in a JOIN
SELECT n FROM orders o LEFT JOIN v_wipe w ON w.id = o.customer

-- name: t08 a view in a COPY
COPY (SELECT n FROM v_wipe) TO STDOUT

-- name: t08 a view in a cursor
-- protocol: simple
DECLARE c CURSOR FOR SELECT n FROM v_wipe; FETCH ALL FROM c

-- name: t08 a view in a PREPARE
-- protocol: simple
PREPARE p AS SELECT n FROM v_wipe; EXECUTE p

-- name: t08 a view's row as a value
SELECT v FROM v_wipe v

-- name: t08 a view's row as JSON
SELECT row_to_json(v) FROM v_wipe v

-- name: t08 a view that calls in EXISTS
SELECT EXISTS (SELECT 1 FROM v_where)

-- name: t08 a view counted
SELECT count(n) FROM v_wipe

-- name: t08 a view in a scalar sub-query of a LIMIT
SELECT 1 LIMIT (SELECT n FROM traps)

-- name: t08 a foreign table that runs a program
-- shows: rows ran a program
SELECT * FROM shell

-- name: t08 a foreign table that reads a file
-- shows: rows root:
SELECT * FROM passwd

-- name: t08 a partition that runs a program
-- shows: rows ran a program
SELECT * FROM mixed

-- name: t08 a foreign table of another server
-- shows: rows Name 1
SELECT * FROM far_customers

-- name: t08 a foreign table of another server, below a view
-- shows: rows 1
SELECT * FROM v_far

-- name: t08 a foreign table of another server whose view calls
-- transaction: no
SELECT * FROM far_wipe

-- name: t08 COPY of a foreign table
-- shows: rows root:
COPY (TABLE passwd) TO STDOUT

-- name: t08 a view of the system that reads files
-- shows: rows trust
SELECT * FROM pg_hba_file_rules

-- name: t08 dblink
-- transaction: no
SELECT * FROM dblink('host=127.0.0.1 user=postgres dbname=shop port=' || current_setting('port'), 'INSERT INTO log VALUES (3) RETURNING line') AS x(line text)

-- name: t08 dblink_exec
-- transaction: no
SELECT dblink_exec('host=127.0.0.1 user=postgres dbname=shop port=' || current_setting('port'), 'INSERT INTO log VALUES (1)')

-- name: t08 dblink by a foreign server's name
-- transaction: no
SELECT dblink_exec('self', 'INSERT INTO log VALUES (2)')

-- name: t08 dblink_connect
-- shows: rows OK
SELECT dblink_connect('c', 'self')

-- name: t08 dblink_send_query
-- shows: nothing: it needs a connection
SELECT dblink_send_query('c', 'DELETE FROM victims')

-- name: t08 crosstab runs a text
SELECT * FROM crosstab('SELECT wipe()::text, ''a''::text, 1') AS x(a text, b int)

-- name: t08 connectby runs a text
SELECT * FROM connectby('v_wipe', 'id', 'n', '1', 1) AS x(id int, n int, level int)

-- name: t08 xpath_table runs a text
SELECT * FROM xpath_table('id', 'wipe()::text', 'documents', '/a', 'true') AS x(a int, b text)

-- name: t08 pg_file_write
-- transaction: no
SELECT pg_file_write('{scratch}/out', 'x', false)

-- name: t08 pg_file_unlink
-- shows: nothing: there is no such file
SELECT pg_file_unlink('{scratch}/none')

-- name: t08 pg_file_rename
-- shows: nothing: there is no such file
SELECT pg_file_rename('{scratch}/none', '{scratch}/some')

-- name: t08 heap_force_kill
-- shows: nothing: it needs a session of its own
SELECT heap_force_kill('victims', ARRAY['(0,1)']::tid[])

-- name: t08 get_raw_page reads rows past every rule
-- shows: rows 7365637265742
SELECT encode(get_raw_page('victims', 0), 'hex')

-- name: t08 pg_prewarm
-- shows: nothing: it reads into the cache
SELECT pg_prewarm('customers')

-- name: t08 lo_manage cannot be called, but lo_oid can hide
SELECT lo_unlink(lo_oid(4242::oid::lo))

-- name: t08 hstore into a row with a domain
SELECT populate_record(NULL::carrier, 'b=>x'::hstore)

-- name: t08 hstore into a row with a domain by its operator
SELECT NULL::carrier #= 'b=>x'::hstore
