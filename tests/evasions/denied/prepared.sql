-- name: t02 another overload by the parameter's type
@parse s[int8] SELECT f($1)
@bind - s | 5
@execute -
@sync
@denied

-- name: t02 another overload by a type of text
@parse s[text] SELECT f($1)
@bind - s | 5
@execute -
@sync
@denied

-- name: t02 the same text with a harmless type first
@parse - SELECT f($1)
@sync
@parse a[int4] SELECT f($1)
@bind - a | 5
@execute -
@sync
@passes
@parse b[numeric] SELECT f($1)
@bind - b | 5
@execute -
@sync
@denied

-- name: t02 the same text with a harmless type first, an array behind
@parse a[int4] SELECT f($1)
@bind - a | 5
@execute -
@sync
@parse b[int4[]] SELECT f($1)
@bind - b | {5}
@execute -
@sync
@denied

-- name: t02 the same text with a harmless type first, a date behind
@parse a[int4] SELECT f($1)
@bind - a | 5
@execute -
@sync
@parse b[date] SELECT f($1)
@bind - b | 2024-01-01
@execute -
@sync
@denied

-- name: t02 a second parameter's type decides
@parse a[int4,text] SELECT named($1, $2)
@bind - a | 1 | x
@execute -
@sync
@parse b[int4,int4] SELECT named($1, $2)
@bind - b | 1 | 2
@execute -
@sync
@denied

-- name: t02 an operator by the parameter's type
@parse a[int4] SELECT 1 + $1
@bind - a | 1
@execute -
@sync
@passes
@parse b[text] SELECT 1 + $1
@bind - b | 1
@execute -
@sync
@denied

-- name: t02 a parameter of a domain whose check calls
@parse s[trapped] SELECT $1
@bind - s | x
@execute -
@sync
@denied

-- name: t02 a parameter of a domain that nothing uses
@parse s[trapped] SELECT 1 WHERE $1 IS NULL
@bind - s | x
@sync
@denied

-- name: t02 a parameter of a row with a domain
@parse s[carrier] SELECT $1
@bind - s | (1,x)
@execute -
@sync
@denied

-- name: t02 a parameter of an array of a domain
@parse s[trapped[]] SELECT $1
@bind - s | {x}
@execute -
@sync
@denied

-- name: t02 a parameter of a range with an order of its own
@parse s[moodrange] SELECT $1
@bind - s | [sad,happy)
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter
@parse s SELECT set_config($1, $2, false)
@bind - s | search_path | mine
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter, a harmless one first
@parse s SELECT set_config($1, 'other', false)
@bind - s | application_name
@execute -
@sync
@parse t SELECT set_config($1, 'other', false)
@bind - t | role
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter, one statement bound twice
@parse s SELECT set_config($1, $2, false)
@bind - s | application_name | crew
@execute -
@sync
@passes
@bind - s | search_path | mine
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter beside a role
@parse s SELECT set_config('role', 'other', false), set_config($1, 'x', false)
@bind - s | application_name
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter beside a literal that converts
@parse s[text] SELECT set_config($1, 'x', false), 'x'::trapped
@bind - s | application_name
@execute -
@sync
@denied

-- name: t02 a setting's name is a parameter that is computed with
@parse s SELECT set_config('search' || $1, 'mine', false)
@bind - s | _path
@execute -
@sync
@denied

-- name: t02 a setting's name is EXECUTE's parameter
@query PREPARE s AS SELECT set_config($1, 'mine', false); EXECUTE s('search_path')
@denied

-- name: t02 the unnamed statement with a setting's name, replaced
@parse - SELECT set_config($1, 'mine', false)
@bind a - | application_name
@bind b - | search_path
@execute a
@execute b
@sync
@denied

-- name: t02 a text that runs is a parameter
@parse s SELECT query_to_xml($1, true, true, '')
@bind - s | SELECT wipe()
@execute -
@sync
@denied

-- name: t02 a table's name is a parameter
@parse s SELECT table_to_xml($1::regclass, true, true, '')
@bind - s | v_wipe
@execute -
@sync
@denied

-- name: t02 a table's OID is a parameter
@parse s[regclass] SELECT table_to_xml($1, true, true, '')
@bind - s | v_wipe
@execute -
@sync
@denied

-- name: t02 a sequence's name is a parameter
@parse s SELECT nextval($1)
@bind - s | counter
@execute -
@sync
@denied

-- name: t02 a text search query is a parameter
@parse s SELECT * FROM ts_stat($1)
@bind - s | SELECT to_tsvector(wipe()::text)
@execute -
@sync
@denied

-- name: t02 a parameter's default type decides
@query PREPARE s AS SELECT f($1)
@query EXECUTE s('5')
@denied

-- name: t02 SQL PREPARE with a declared type
@query PREPARE s(bigint) AS SELECT f($1); EXECUTE s(5)
@denied

-- name: t02 SQL PREPARE with a domain
@query PREPARE s(trapped) AS SELECT $1; EXECUTE s('x')
@denied

-- name: t02 the same text on another login
-- login: reader
SELECT * FROM guarded WHERE id = 1

-- name: t05 Bind alone runs a function that folds
@parse s SELECT calm()
@bind - s
@sync
@denied

-- name: t05 Parse and Describe alone
@parse s DELETE FROM victims
@describe S s
@sync
@denied
@bind - s
@execute -
@sync

-- name: t05 a failed Parse leaves the old text
@parse s DELETE FROM victims
@sync
@denied
@parse s SELECT 1
@sync
@passes
@parse s DELETE FROM victims
@sync
@denied
@bind - s
@execute -
@sync
@passes
@query DELETE FROM victims
@denied

-- name: t05 a name that is in use keeps its text
@query PREPARE s AS SELECT wipe()
@query PREPARE s AS SELECT 1
@query EXECUTE s
@query EXECUTE s; SELECT wipe()
@denied

-- name: t05 a name prepared by SQL is bound by the protocol
@query PREPARE s AS SELECT wipe()
@denied
@bind - s
@execute -
@sync

-- name: t05 a name prepared by the protocol is executed by SQL
@parse s SELECT wipe()
@sync
@denied
@query EXECUTE s

-- name: t05 a name of a harmless text is closed and given to another
@parse s SELECT 1
@bind - s
@execute -
@sync
@passes
@close S s
@parse s DELETE FROM victims
@bind - s
@execute -
@sync
@denied

-- name: t05 the unnamed statement is replaced
@parse - SELECT 1
@bind - -
@execute -
@sync
@passes
@parse - DELETE FROM victims
@bind - -
@execute -
@sync
@denied

-- name: t05 an unnamed statement that a Query replaced
@parse - SELECT 1
@sync
@query SELECT 2
@parse - DELETE FROM victims
@bind - -
@execute -
@sync
@denied

-- name: t05 DEALLOCATE, then the same name again
@query PREPARE s AS SELECT 1
@query DEALLOCATE s; PREPARE s AS DELETE FROM victims; EXECUTE s
@denied

-- name: t05 DISCARD ALL, then the same name again
@query PREPARE s AS SELECT 1
@query DISCARD ALL
@query PREPARE s AS DELETE FROM victims
@denied
@query EXECUTE s

-- name: t05 a PREPARE that is rolled back stays
@query BEGIN; PREPARE s AS SELECT 1; ROLLBACK
@query EXECUTE s
@passes
@query PREPARE t AS DELETE FROM victims
@denied
@query EXECUTE t

-- name: t05 a portal of a text that is denied
@parse s SELECT id FROM customers
@bind p s
@execute p
@close P p
@parse t DELETE FROM victims
@bind p t
@execute p
@sync
@denied

-- name: t05 a portal that is suspended while another runs
@query BEGIN
@parse s SELECT id FROM customers
@bind p s
@execute p
@parse t SELECT wipe()
@bind q t
@execute q
@sync
@denied

-- name: t05 a cursor's name in the protocol's portals
@query BEGIN; DECLARE p CURSOR FOR SELECT wipe_any(id) FROM customers
@denied
@execute p
@sync

-- name: t05 a denied statement in a pipeline does not hide the next
@parse - SELECT 1
@bind - -
@execute -
@parse - DELETE FROM victims
@bind - -
@execute -
@sync
@denied

-- name: t05 after an error everything up to Sync is skipped, and no more
@parse - SELECT 1 / 0
@bind - -
@execute -
@parse - SELECT 2
@sync
@fails 22012
@parse - DELETE FROM victims
@bind - -
@execute -
@sync
@denied

-- name: t05 two cycles in one packet
@parse - SELECT 1
@bind - -
@execute -
@queue DELETE FROM victims
@sync
@denied

-- name: t05 EXECUTE of a name that nobody prepared
@query EXECUTE nobody
@denied
@query DELETE FROM victims
@denied

-- name: t05 EXECUTE in a quoted, case-sensitive name
@query PREPARE "S" AS SELECT wipe(); EXECUTE "S"
@denied

-- name: t05 EXECUTE's argument has a sub-query's effect
@query PREPARE s(int) AS SELECT $1
@query EXECUTE s(nextval('counter')::int)
@denied

-- name: t05 a prepared statement whose search path is of another time
@query PREPARE s AS SELECT * FROM orders
@query SET search_path = mine, public
@denied
@query EXECUTE s
@passes
@query SELECT * FROM mine.orders
@denied

-- name: t05 Execute with a row limit of a statement that writes
@parse - WITH x AS (DELETE FROM victims RETURNING id) SELECT id FROM x
@bind p -
@execute p
@sync
@denied

-- name: t06 a call in fast path
@call wipe()
@denied

-- name: t06 a call in fast path of an overload
@call f(bigint) | 5
@denied

-- name: t06 a call in fast path of an immutable function that calls
@call calm()
@denied

-- name: t06 a call in fast path with an argument of a domain
@call pg_catalog.textlen(text) | x
@query SELECT wipe()
@denied

-- name: t06 set_config in fast path
@call set_config(text,text,boolean) | role | other | f
@denied

-- name: t06 nextval in fast path
@call nextval(regclass) | counter
@denied

-- name: t06 lo_unlink in fast path
@call lo_unlink(oid) | 4242
@denied

-- name: t06 lo_creat in fast path
@call lo_creat(int) | -1
@denied

-- name: t06 pg_advisory_lock in fast path
@call pg_advisory_lock(bigint) | 7
@denied

-- name: t06 query_to_xml in fast path
@call query_to_xml(text,boolean,boolean,text) | SELECT wipe() | t | t | x
@denied

-- name: t06 pg_read_file in fast path
-- shows: rows root:
@call pg_read_file(text) | /etc/passwd
@denied

-- name: t06 a call in fast path in a transaction
@query BEGIN
@call wipe()
@denied
