-- name: t08 a domain whose check calls
SELECT 'x'::trapped

-- name: t08 a domain by CAST
SELECT CAST('x' AS trapped)

-- name: t08 a domain in front of a string
SELECT trapped 'x'

-- name: t08 a domain by function notation
SELECT trapped('x'::text)

-- name: t08 a domain over a domain
SELECT name::trapped_twice FROM customers

-- name: t08 NULL as a domain
SELECT NULL::trapped

-- name: t08 an array of a domain
SELECT ARRAY['x']::trapped[]

-- name: t08 an array's text of a domain
SELECT '{x}'::trapped[]

-- name: t08 a domain over an array
SELECT ARRAY[1]::trapped_ints

-- name: t08 a row with a domain
SELECT ROW(1, 'x')::carrier

-- name: t08 a row's text with a domain
SELECT '(1,x)'::carrier

-- name: t08 a table's row type with a domain
SELECT '(1,x)'::carriers

-- name: t08 an array of rows with a domain
SELECT '{"(1,x)"}'::carrier[]

-- name: t08 a domain in a function's columns
SELECT * FROM json_to_record('{"a": "x"}') AS x(a trapped)

-- name: t08 a domain in json_to_recordset
SELECT * FROM json_to_recordset('[{"a": "x"}]') AS x(a trapped)

-- name: t08 a domain in jsonb_populate_record
SELECT * FROM jsonb_populate_record(NULL::carrier, '{"b": "x"}')

-- name: t08 a domain in json_populate_recordset
SELECT * FROM json_populate_recordset(NULL::carriers, '[{"b": "x"}]')

-- name: t08 a domain in XMLTABLE's columns
SELECT * FROM documents, xmltable('/a' PASSING body COLUMNS b trapped PATH 'b')

-- name: t08 a domain in a comparison
SELECT 1 FROM customers WHERE name = 'x'::trapped

-- name: t08 a domain in a CASE
SELECT CASE WHEN id > 0 THEN name::trapped END FROM customers

-- name: t08 a domain in a set operation
SELECT 'x'::trapped UNION ALL SELECT 'y'

-- name: t08 a domain in VALUES
VALUES ('x'::trapped), ('y')

-- name: t08 a domain by unicode escapes
SELECT 'x'::U&"tr\0061pped"

-- name: t08 a domain in capitals
SELECT 'x'::TRAPPED

-- name: t08 an operator
SELECT 1 === 1

-- name: t08 an operator with its schema
SELECT 1 OPERATOR(public.===) 1

-- name: t08 a prefix operator
SELECT !@ 1

-- name: t08 an operator in a WHERE
SELECT id FROM customers WHERE id === 1

-- name: t08 an operator in a JOIN
SELECT 1 FROM customers c JOIN orders o ON c.id === o.customer

-- name: t08 an operator of ANY
SELECT 1 === ANY (ARRAY[1, 2])

-- name: t08 an operator of ALL over a sub-query
SELECT 1 OPERATOR(public.===) ALL (SELECT id FROM customers)

-- name: t08 an operator of another schema
SELECT 1 OPERATOR(mine.+) 1

-- name: t08 an overload of a built-in operator
SELECT 1 + name FROM customers

-- name: t08 an exact match that hides a built-in operator
SELECT id FROM people WHERE nick < 'M'

-- name: t08 an exact match that hides LIKE
SELECT id FROM people WHERE nick LIKE 'A%'

-- name: t08 an exact match in BETWEEN SYMMETRIC
SELECT id FROM people WHERE nick ~~ ANY (ARRAY['A%'::varchar])

-- name: t08 a cast of a row to text
SELECT customers::text FROM customers

-- name: t08 a cast of a row to text by CAST
SELECT CAST(c AS text) FROM customers c

-- name: t08 an implicit cast
SELECT abs(home) FROM customers

-- name: t08 an implicit cast in an operator
SELECT home + 1 FROM customers

-- name: t08 an implicit cast in a CASE
SELECT CASE WHEN id > 0 THEN home ELSE NULL END + 1 FROM customers

-- name: t08 an implicit cast in a WHERE
SELECT 1 FROM customers WHERE home > 1

-- name: t08 a cast between built-in types
SELECT name::money FROM customers

-- name: t08 an enum's own order
SELECT feels FROM moods ORDER BY feels

-- name: t08 an enum's own order, descending, by its place
SELECT id, feels FROM moods ORDER BY 2 DESC

-- name: t08 an enum's own order by USING
SELECT id FROM moods ORDER BY feels USING <

-- name: t08 an enum's own equality in DISTINCT
SELECT DISTINCT feels FROM moods

-- name: t08 an enum's own equality in GROUP BY
SELECT feels, count(*) FROM moods GROUP BY feels

-- name: t08 an enum's own equality in UNION
SELECT feels FROM moods UNION SELECT feels FROM moods

-- name: t08 an enum's own equality in INTERSECT
SELECT feels FROM moods INTERSECT SELECT feels FROM moods

-- name: t08 an enum's own equality in a JOIN USING
SELECT 1 FROM moods a JOIN moods b USING (feels)

-- name: t08 an enum's own equality in NATURAL JOIN
SELECT count(*) FROM moods a NATURAL JOIN moods b

-- name: t08 an enum's own equality in IN
SELECT 1 FROM moods WHERE feels IN ('sad', 'ok')

-- name: t08 an enum's own equality in a simple CASE
SELECT CASE feels WHEN 'sad' THEN 1 END FROM moods

-- name: t08 an enum's own equality in NULLIF
SELECT NULLIF(feels, 'sad') FROM moods

-- name: t08 an enum's own equality in IS DISTINCT FROM
SELECT feels IS DISTINCT FROM 'sad' FROM moods

-- name: t08 an enum's own order in a window
SELECT rank() OVER (ORDER BY feels) FROM moods

-- name: t08 an enum's own equality in a partition of a window
SELECT count(*) OVER (PARTITION BY feels) FROM moods

-- name: t08 an enum's own order in GREATEST
SELECT GREATEST(feels, 'ok') FROM moods

-- name: t08 an enum's own order in an array's comparison
SELECT ARRAY[feels] < ARRAY['ok'::mood] FROM moods

-- name: t08 an enum's own order in a row's comparison
SELECT 1 FROM moods WHERE ROW(feels, id) < ROW('ok'::mood, 1)

-- name: t08 an enum's own order in a record's order
SELECT id FROM moods m ORDER BY ROW(feels, id)

-- name: t08 an enum's own equality in a record's DISTINCT
SELECT DISTINCT ROW(feels) FROM moods

-- name: t08 an enum's own order in an aggregate's ORDER BY
SELECT array_agg(id ORDER BY feels) FROM moods

-- name: t08 an enum's own equality in an aggregate's DISTINCT
SELECT count(DISTINCT feels) FROM moods

-- name: t08 an enum's own order in WITHIN GROUP
SELECT mode() WITHIN GROUP (ORDER BY feels) FROM moods

-- name: t08 an enum's own order in DISTINCT ON
SELECT DISTINCT ON (feels) id FROM moods

-- name: t08 an enum's own equality in array_position
SELECT array_position(ARRAY['ok', 'sad']::mood[], 'sad')

-- name: t08 an enum's own equality in array containment
SELECT ARRAY['sad'::mood] @> ARRAY['sad'::mood]

-- name: t08 an enum's own equality in a recursive UNION
WITH RECURSIVE r AS (SELECT feels FROM moods UNION SELECT feels FROM r) SELECT * FROM r

-- name: t08 an enum's own equality in CYCLE
WITH RECURSIVE r AS (SELECT id, feels FROM moods UNION ALL SELECT id, feels FROM r) CYCLE feels SET c USING p SELECT count(*) FROM r

-- name: t08 an enum's own equality in a sub-query's IN
SELECT 1 FROM moods WHERE feels IN (SELECT feels FROM moods OFFSET 0)

-- name: t08 an enum's own equality in GROUPING SETS
SELECT count(*) FROM moods GROUP BY GROUPING SETS ((feels), ())

-- name: t08 an enum's own order in width_bucket
SELECT width_bucket('ok'::mood, ARRAY['sad', 'happy']::mood[])

-- name: t08 a range over a type with an order of its own
SELECT moodrange('sad', 'happy')

-- name: t08 a range's text over a type with an order of its own
SELECT '[sad,happy)'::moodrange

-- name: t08 a range's containment
SELECT '[sad,happy)'::moodrange @> feels FROM moods

-- name: t08 a multirange over a type with an order of its own
SELECT '{[sad,happy)}'::moodmultirange

-- name: t08 a partition that is chosen by an order of its own
SELECT * FROM moods_by_range WHERE feels = 'sad'

-- name: t08 an index over an expression that folds
-- session: fresh
SELECT x FROM indexed

-- name: t08 an index whose predicate folds
-- session: fresh
SELECT x FROM indexed_partly WHERE x = 5

-- name: t08 statistics over an expression that folds
-- session: fresh
SELECT x FROM measured WHERE x > 1

-- name: t08 a check of a child that folds
-- session: fresh
SELECT x FROM checked_parent WHERE x > 5

-- name: t08 a partition key that folds
-- session: fresh
SELECT x FROM keyed WHERE x > 5

-- name: t08 row-level security that calls
-- login: reader
SELECT * FROM guarded

-- name: t08 row-level security of a parent of inherited rows
-- login: reader
SELECT * FROM guarded_parent

-- name: t08 row-level security below a view of the caller's rights
-- login: reader
SELECT * FROM v_guarded

-- name: t08 row-level security below COPY
-- login: reader
COPY guarded TO STDOUT

-- name: t08 row-level security in a sub-query
-- login: reader
SELECT 1 WHERE EXISTS (SELECT FROM guarded)

-- name: t08 a trigger
UPDATE triggered SET id = 2

-- name: t08 a trigger of no rows
DELETE FROM triggered WHERE false

-- name: t08 the function of a deferred trigger is replaced before the commit
-- protocol: simple
-- transaction: no
BEGIN; INSERT INTO deferring VALUES (1); CREATE OR REPLACE FUNCTION trigger_calm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe(); RETURN NULL; END $$; COMMIT

-- name: t08 the function of a deferred trigger is replaced in a pipeline
@parse - INSERT INTO deferring VALUES (1)
@bind - -
@execute -
@parse - CREATE OR REPLACE FUNCTION trigger_calm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe(); RETURN NULL; END $$
@bind - -
@execute -
@sync
@denied

-- name: t08 an INSTEAD OF trigger
UPDATE v_instead SET id = 2

-- name: t08 a rule that deletes from another table
INSERT INTO ruled VALUES (2)

-- name: t08 a rule that notifies
-- shows: nothing: a notification leaves no trace for others
UPDATE ruled SET id = 2

-- name: t08 a foreign key's cascade
DELETE FROM customers WHERE id = 1

-- name: t08 a default that moves a sequence
INSERT INTO ticket (what) VALUES ('x')

-- name: t08 DELETE from a partitioned table
DELETE FROM sales

-- name: t08 DELETE from a parent
DELETE FROM animals

-- name: t08 UPDATE that moves a row between partitions
UPDATE sales SET day = '2025-02-02' WHERE id = 1

-- name: t08 UPDATE of a view
UPDATE v_customers SET name = 'x'

-- name: t08 a row's star that calls
SELECT (customer_row).* FROM (SELECT wipe_set() AS customer_row) x
