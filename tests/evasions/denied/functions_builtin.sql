-- name: t07 nextval
SELECT nextval('counter')

-- name: t07 nextval of a computed name
SELECT nextval('coun' || 'ter')

-- name: t07 nextval of an OID
SELECT nextval((SELECT oid::regclass FROM pg_class WHERE relname = 'counter'))

-- name: t07 setval
SELECT setval('counter', 100)

-- name: t07 setval in a WHERE
SELECT * FROM customers WHERE setval('counter', id + 100, true) > 0

-- name: t07 set_config of the search path
SELECT set_config('search_path', 'mine', false)

-- name: t07 set_config, schema-qualified
SELECT pg_catalog.set_config('search_path', 'mine', false)

-- name: t07 set_config, local
SELECT set_config('session_replication_role', 'replica', true)

-- name: t07 set_config with a computed name
SELECT set_config('ro' || 'le', 'other', false)

-- name: t07 set_config with a name from a table
SELECT set_config(x.name, 'mine', false) FROM (VALUES ('search_path')) x(name)

-- name: t07 set_config of a custom setting
SELECT set_config('app.tenant', '7', false)

-- name: t07 set_config of row_security
SELECT set_config('row_security', 'off', false)

-- name: t07 set_config in a CASE
SELECT CASE WHEN true THEN set_config('role', 'other', false) END

-- name: t07 set_config in an ORDER BY
SELECT 1 ORDER BY set_config('role', 'other', false)

-- name: t07 set_config in a LIMIT
SELECT 1 LIMIT length(set_config('role', 'other', false))

-- name: t07 set_config in a JOIN
SELECT 1 FROM customers c JOIN orders o ON set_config('role', 'other', false) = 'x'

-- name: t07 set_config in a FROM
SELECT * FROM set_config('role', 'other', false)

-- name: t07 set_config in ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 2), set_config('role', 'other', false))

-- name: t07 set_config in a VALUES
VALUES (1, set_config('role', 'other', false))

-- name: t07 set_config in an ARRAY
SELECT ARRAY(SELECT set_config('role', 'other', false))

-- name: t07 set_config in a window's frame
SELECT sum(id) OVER (ORDER BY set_config('role', 'other', false)) FROM customers

-- name: t07 set_config in a FILTER
SELECT count(*) FILTER (WHERE set_config('role', 'other', false) = 'x') FROM customers

-- name: t07 set_config in an aggregate's ORDER BY
SELECT array_agg(id ORDER BY set_config('role', 'other', false)) FROM customers

-- name: t07 set_config in a HAVING
SELECT count(*) FROM customers HAVING set_config('role', 'other', false) = 'other'

-- name: t07 set_config in a TABLESAMPLE
SELECT * FROM customers TABLESAMPLE bernoulli (length(set_config('role', 'other', false)))

-- name: t07 set_config in an XMLTABLE
SELECT * FROM documents, xmltable('/a' PASSING body COLUMNS b text PATH 'b' DEFAULT set_config('role', 'other', false), c text PATH 'c' DEFAULT set_config('role', 'other', false))

-- name: t07 set_config in an XMLFOREST
SELECT xmlforest(set_config('role', 'other', false) AS x)

-- name: t07 set_config in an AT TIME ZONE
SELECT now() AT TIME ZONE set_config('role', 'other', false) FROM (SELECT 1 WHERE set_config('role', 'other', false) = 'x') y

-- name: t07 set_config in GROUPING SETS
SELECT count(*) FROM customers GROUP BY GROUPING SETS ((set_config('role', 'other', false)), ())

-- name: t07 set_config in DISTINCT ON
SELECT DISTINCT ON (set_config('role', 'other', false)) id FROM customers

-- name: t07 set_config in a LATERAL
SELECT * FROM customers c, LATERAL (SELECT set_config('role', 'other', c.id > 100)) x

-- name: t07 set_config in a subscript
SELECT tags[length(set_config('role', 'other', false))] FROM customers

-- name: t07 query_to_xml of a call
SELECT query_to_xml('SELECT wipe()', true, true, '')

-- name: t07 query_to_xml of a dollar string
SELECT query_to_xml($q$SELECT wipe()$q$, true, true, '')

-- name: t07 query_to_xml of a computed text
SELECT query_to_xml('SELECT wi' || 'pe()', true, true, '')

-- name: t07 query_to_xml of a text from a table
SELECT query_to_xml(x.q, true, true, '') FROM (VALUES ('SELECT wipe()')) x(q)

-- name: t07 query_to_xmlschema runs what folds
SELECT query_to_xml_and_xmlschema('SELECT wipe()', true, true, '')

-- name: t07 query_to_xml in query_to_xml
SELECT query_to_xml('SELECT query_to_xml(''SELECT wipe()'', true, true, '''')', true, true, '')

-- name: t07 table_to_xml of a view that calls
SELECT table_to_xml('v_wipe', true, true, '')

-- name: t07 table_to_xml of a computed name
SELECT table_to_xml(('v_' || 'wipe')::regclass, true, true, '')

-- name: t07 table_to_xml_and_xmlschema of a view that calls
SELECT table_to_xml_and_xmlschema('v_wipe', true, true, '')

-- name: t07 schema_to_xml of a schema with views that call
SELECT schema_to_xml('mine', true, true, '')

-- name: t07 schema_to_xml_and_xmlschema
SELECT schema_to_xml_and_xmlschema('mine', true, true, '')

-- name: t07 database_to_xml
-- shows: nothing: a view that locks fails first
SELECT database_to_xml(true, true, '')

-- name: t07 cursor_to_xml
-- protocol: simple
DECLARE c CURSOR FOR SELECT * FROM v_wipe; SELECT cursor_to_xml('c', 10, true, true, '')

-- name: t07 ts_stat
SELECT * FROM ts_stat('SELECT to_tsvector(wipe()::text)')

-- name: t07 ts_stat of a computed text
SELECT ndoc FROM ts_stat('SELECT to_tsvector(wipe()' || '::text)')

-- name: t07 ts_stat with weights
SELECT * FROM ts_stat('SELECT to_tsvector(wipe_text(body)) FROM docs', 'ab')

-- name: t07 ts_rewrite
SELECT ts_rewrite('a & b'::tsquery, 'SELECT wipe_query(), ''c''::tsquery')

-- name: t07 ts_rewrite of a cast literal
SELECT ts_rewrite('a', 'SELECT t, s FROM (SELECT wipe_query(), ''c''::tsquery) x(t, s)'::text)

-- name: t07 pg_advisory_lock
SELECT pg_advisory_lock(1)

-- name: t07 pg_advisory_lock of two keys
SELECT pg_advisory_lock(1, 2)

-- name: t07 pg_try_advisory_lock
SELECT pg_try_advisory_lock(1)

-- name: t07 pg_advisory_xact_lock
SELECT pg_advisory_xact_lock(1)

-- name: t07 pg_try_advisory_xact_lock_shared
SELECT pg_try_advisory_xact_lock_shared(1)

-- name: t07 pg_advisory_lock_shared for each row
SELECT count(*) FROM customers WHERE pg_advisory_lock_shared(id) IS NOT NULL

-- name: t07 pg_notify
-- shows: nothing: a notification leaves no trace for others
SELECT pg_notify('channel', 'x')

-- name: t07 pg_sleep
-- shows: delay
SELECT pg_sleep(0.3)

-- name: t07 pg_sleep_for
-- shows: delay
SELECT pg_sleep_for('0.3 s')

-- name: t07 pg_sleep_until
-- shows: delay
SELECT pg_sleep_until(clock_timestamp() + interval '0.3 s')

-- name: t07 lo_create
SELECT lo_create(4243)

-- name: t07 lo_creat
SELECT lo_creat(-1)

-- name: t07 lo_from_bytea
SELECT lo_from_bytea(0, '\x00')

-- name: t07 lo_put
SELECT lo_put(4242, 0, '\x00')

-- name: t07 lo_unlink
SELECT lo_unlink(4242)

-- name: t07 lo_truncate
SELECT lo_truncate(lo_open(4242, 131072), 1)

-- name: t07 lowrite
SELECT lowrite(lo_open(4242, 131072), '\x00')

-- name: t07 lo_import
SELECT lo_import('/etc/hostname')

-- name: t07 lo_import with an OID
SELECT lo_import('/etc/hostname', 4244)

-- name: t07 lo_export
-- transaction: no
SELECT lo_export(4242, '{scratch}/out')

-- name: t07 pg_read_file
-- shows: rows root:
SELECT pg_read_file('/etc/passwd')

-- name: t07 pg_read_file in a sub-query
-- shows: rows root:
SELECT (SELECT split_part(pg_read_file('/etc/passwd', 0, 100, true), E'\n', 1))

-- name: t07 pg_read_binary_file
-- shows: rows \x
SELECT pg_read_binary_file('PG_VERSION')

-- name: t07 pg_ls_dir
-- shows: rows base
SELECT * FROM pg_ls_dir('.')

-- name: t07 pg_stat_file
-- shows: rows 20
SELECT modification::text FROM pg_stat_file('PG_VERSION')

-- name: t07 pg_ls_waldir
-- shows: rows 0000
SELECT name FROM pg_ls_waldir()

-- name: t07 pg_ls_tmpdir
-- shows: nothing: there is no such file
SELECT * FROM pg_ls_tmpdir()

-- name: t07 pg_ls_logdir
-- shows: nothing: there is no log folder
SELECT * FROM pg_ls_logdir()

-- name: t07 pg_terminate_backend
-- shows: end
SELECT pg_terminate_backend(pg_backend_pid())

-- name: t07 pg_cancel_backend
-- shows: nothing: it cancels itself
SELECT pg_cancel_backend(pg_backend_pid())

-- name: t07 pg_terminate_backend of everyone in a WHERE
-- shows: nothing: it would end the tests
SELECT count(*) FROM pg_stat_activity WHERE datname = 'nowhere' AND pg_terminate_backend(pid)

-- name: t07 pg_reload_conf
-- shows: nothing: nothing has changed
SELECT pg_reload_conf()

-- name: t07 pg_rotate_logfile
-- shows: nothing: there is no collector
SELECT pg_rotate_logfile()

-- name: t07 pg_switch_wal
-- shows: nothing: another segment
SELECT pg_switch_wal()

-- name: t07 pg_create_restore_point
-- shows: nothing: a record in the log
SELECT pg_create_restore_point('x')

-- name: t07 pg_backup_start
-- shows: nothing: a checkpoint
SELECT pg_backup_start('x', true)

-- name: t07 pg_promote
-- shows: nothing: the server is no standby
SELECT pg_promote()

-- name: t07 pg_wal_replay_pause
-- shows: nothing: the server is no standby
SELECT pg_wal_replay_pause()

-- name: t07 pg_log_backend_memory_contexts
-- shows: nothing: it writes to the log
SELECT pg_log_backend_memory_contexts(pg_backend_pid())

-- name: t07 pg_create_physical_replication_slot
-- transaction: no
SELECT pg_create_physical_replication_slot('slot')

-- name: t07 pg_create_logical_replication_slot
-- shows: nothing: it waits for every transaction
SELECT pg_create_logical_replication_slot('slot', 'test_decoding')

-- name: t07 pg_drop_replication_slot
-- shows: nothing: there is no slot
SELECT pg_drop_replication_slot('slot')

-- name: t07 pg_logical_slot_get_changes
-- shows: nothing: there is no slot
SELECT * FROM pg_logical_slot_get_changes('slot', NULL, NULL)

-- name: t07 pg_logical_slot_peek_changes
-- shows: nothing: there is no slot
SELECT * FROM pg_logical_slot_peek_changes('slot', NULL, NULL)

-- name: t07 pg_logical_emit_message
SELECT pg_logical_emit_message(true, 'x', 'y')

-- name: t07 pg_replication_origin_create
SELECT pg_replication_origin_create('x')

-- name: t07 pg_replication_origin_session_setup
-- shows: nothing: there is no origin
SELECT pg_replication_origin_session_setup('x')

-- name: t07 pg_stat_reset
-- shows: nothing: counters are no rows
SELECT pg_stat_reset()

-- name: t07 pg_stat_reset_single_table_counters
-- shows: nothing: counters are no rows
SELECT pg_stat_reset_single_table_counters('customers'::regclass)

-- name: t07 pg_stat_reset_shared
-- shows: nothing: counters are no rows
SELECT pg_stat_reset_shared('bgwriter')

-- name: t07 pg_import_system_collations
-- shows: nothing: they are there already
SELECT pg_import_system_collations('public')

-- name: t07 brin_summarize_new_values
-- shows: nothing: there is no such index
SELECT brin_summarize_new_values('customers_pkey')

-- name: t07 gin_clean_pending_list
-- shows: nothing: there is no such index
SELECT gin_clean_pending_list('customers_pkey')

-- name: t07 pg_export_snapshot
-- shows: rows -
SELECT pg_export_snapshot()

-- name: t07 pg_extension_config_dump
-- shows: nothing: only within an extension's script
SELECT pg_extension_config_dump('log', '')

-- name: t07 pg_nextoid
-- shows: nothing: the counter is the server's
SELECT pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')

-- name: t07 binary_upgrade_set_missing_value
-- shows: nothing: only while upgrading
SELECT binary_upgrade_set_missing_value('log', 'line', 'x')

-- name: t07 a call in COALESCE's second place
SELECT COALESCE(NULL, nextval('counter'))

-- name: t07 a call in generate_series
SELECT * FROM generate_series(1, nextval('counter'))

-- name: t07 a call in an aggregate
SELECT sum(nextval('counter')) FROM customers

-- name: t07 a call in a window function
SELECT lag(nextval('counter')) OVER () FROM customers

-- name: t07 a call in a row comparison
SELECT (1, nextval('counter')) > (1, 1)

-- name: t07 a call in IN
SELECT 1 WHERE 1 IN (0, nextval('counter'))

-- name: t07 a call in EXISTS
SELECT EXISTS (SELECT nextval('counter') OFFSET 0)

-- name: t07 a call in BETWEEN
SELECT 1 BETWEEN 0 AND nextval('counter')

-- name: t07 a call in LIKE
SELECT 'a' LIKE set_config('role', 'other', false)

-- name: t07 a call in a JSON path's variables
SELECT jsonb_path_query('[1]', '$[*]', jsonb_build_object('a', nextval('counter')))

-- name: t07 a call in a sub-query of LIMIT
SELECT 1 LIMIT (SELECT nextval('counter'))

-- name: t07 a call in CYCLE's columns
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < nextval('counter') AND n < 3) CYCLE n SET seen USING path SELECT * FROM t

-- name: t07 a call through VARIADIC
SELECT concat(VARIADIC ARRAY['a', nextval('counter')::text])

-- name: t07 a call by its old name in an operator's argument
SELECT 1 + nextval('counter'::text::regclass)
