-- name: t01 an int8 literal
SELECT f(5)
-- against
SELECT f(5000000000)

-- name: t01 a numeric literal
SELECT f(6)
-- against
SELECT f(6.0)

-- name: t01 a numeric literal with an exponent
SELECT f(7)
-- against
SELECT f(7e0)

-- name: t01 a string literal
SELECT f(8)
-- against
SELECT f('8')

-- name: t01 a bit literal
SELECT f(9)
-- against
SELECT f(B'1')

-- name: t01 a hexadecimal bit literal
SELECT f(10)
-- against
SELECT f(X'1')

-- name: t01 a boolean literal
SELECT f(11)
-- against
SELECT f(true)

-- name: t01 an array literal
SELECT f(12)
-- against
SELECT f(ARRAY[12])

-- name: t01 a negative literal beyond int4
SELECT f(-5)
-- against
SELECT f(-5000000000)

-- name: t01 the end of int4
SELECT f(2147483647)
-- against
SELECT f(2147483648)

-- name: t01 a literal beyond int8
SELECT big(9223372036854775807)
-- against
SELECT big(9223372036854775808)

-- name: t01 a string where a number is harmful
SELECT g('5')
-- against
SELECT g(5)

-- name: t01 a string where a decimal is harmful
SELECT g('5.5')
-- against
SELECT g(5.5)

-- name: t01 an escape string where a number is harmful
SELECT g(E'5')
-- against
SELECT g(5.)

-- name: t01 a dollar string where a number is harmful
SELECT g($$5$$)
-- against
SELECT g(.5)

-- name: t01 a second argument
SELECT named(1, 'x')
-- against
SELECT named(1, 2)

-- name: t01 a polymorphic function
SELECT poly(5)
-- against
SELECT poly('5'::text)

-- name: t01 a row limit that folds
SELECT f(5) LIMIT 1
-- against
SELECT f(5.5) LIMIT 1

-- name: t01 a literal in a sub-query
SELECT (SELECT f(1)) FROM customers
-- against
SELECT (SELECT f(1.5)) FROM customers

-- name: t01 a literal in a WITH
WITH x AS (SELECT f(1)) SELECT * FROM x
-- against
WITH x AS (SELECT f('1')) SELECT * FROM x

-- name: t01 a literal in a WHERE
SELECT 1 WHERE f(1) = 'x'
-- against
SELECT 1 WHERE f('1') = 'x'

-- name: t01 a literal in an ORDER BY
SELECT 1 ORDER BY f(1)
-- against
SELECT 1 ORDER BY f(1.0)

-- name: t01 a literal in a JOIN
SELECT 1 FROM customers c JOIN orders o ON f(1) = 'int4'
-- against
SELECT 1 FROM customers c JOIN orders o ON f(1.0) = 'int4'

-- name: t01 a literal in VALUES
VALUES (f(1))
-- against
VALUES (f(1.0))

-- name: t01 a literal in VALUES, the second row
VALUES (f(1)), (f(2))
-- against
VALUES (f(1)), (f(2.0))

-- name: t01 a literal in an array
SELECT ARRAY[f(1)]
-- against
SELECT ARRAY[f('1')]

-- name: t01 a literal in a CASE
SELECT CASE WHEN true THEN f(1) END
-- against
SELECT CASE WHEN true THEN f(1.0) END

-- name: t01 a literal in EXPLAIN ANALYZE
EXPLAIN ANALYZE SELECT f(1)
-- against
EXPLAIN ANALYZE SELECT f(1.0)

-- name: t01 a literal in COPY
COPY (SELECT f(1)) TO STDOUT
-- against
COPY (SELECT f(1.0)) TO STDOUT

-- name: t01 a literal in a VALUES column that decides an overload
SELECT f(x) FROM (VALUES (1), (2)) v(x)
-- against
SELECT f(x) FROM (VALUES (1), (2.0)) v(x)

-- name: t01 a literal in a set operation that decides an overload
SELECT f(x) FROM (SELECT 1 UNION ALL SELECT 2) v(x)
-- against
SELECT f(x) FROM (SELECT 1 UNION ALL SELECT 2.0) v(x)

-- name: t01 a literal in a CASE that decides an overload
SELECT f(CASE WHEN id > 1 THEN 1 ELSE 2 END) FROM customers
-- against
SELECT f(CASE WHEN id > 1 THEN 1 ELSE 2.0 END) FROM customers

-- name: t01 a literal in COALESCE that decides an overload
SELECT f(COALESCE(id, 0)) FROM customers
-- against
SELECT f(COALESCE(id, 0.0)) FROM customers

-- name: t01 a literal in an operator that decides an overload
SELECT f(id + 1) FROM customers
-- against
SELECT f(id + 1.0) FROM customers

-- name: t01 a large literal in an operator that decides an overload
SELECT f(id + 1) FROM orders
-- against
SELECT f(id + 10000000000) FROM orders

-- name: t01 a literal in a date that decides an overload
SELECT day_of(joined + 1) FROM customers
-- against
SELECT day_of(joined + '1 day'::interval) FROM customers

-- name: t01 a literal beside a cast that decides an overload
SELECT day_of('2024-01-01'::date)
-- against
SELECT day_of('2024-01-01')

-- name: t01 a default argument
SELECT span(1, 2)
-- against
SELECT span(2)

-- name: t01 variadic arguments
SELECT list(1)
-- against
SELECT list(1, 1)

-- name: t01 EXPLAIN (ANALYZE 1)
EXPLAIN (ANALYZE 0) DELETE FROM victims
-- against
EXPLAIN (ANALYZE 1) DELETE FROM victims

-- name: t01 EXPLAIN (ANALYZE on)
EXPLAIN (ANALYZE off) DELETE FROM victims
-- against
EXPLAIN (ANALYZE on) DELETE FROM victims

-- name: t01 EXPLAIN (ANALYZE true)
EXPLAIN (ANALYZE false) DELETE FROM victims
-- against
EXPLAIN (ANALYZE true) DELETE FROM victims

-- name: t01 EXPLAIN (ANALYZE 'on')
EXPLAIN (ANALYZE 'off') DELETE FROM victims
-- against
EXPLAIN (ANALYZE 'on') DELETE FROM victims

-- name: t01 EXPLAIN (ANALYZE 'true')
EXPLAIN (ANALYZE 'false') DELETE FROM victims
-- against
EXPLAIN (ANALYZE 'true') DELETE FROM victims

-- name: t01 EXPLAIN (VERBOSE 1, ANALYZE 1)
EXPLAIN (VERBOSE 1, ANALYZE 0) DELETE FROM victims
-- against
EXPLAIN (VERBOSE 1, ANALYZE 1) DELETE FROM victims

-- name: t01 EXPLAIN (ANALYZE 1) of a call that is not folded
EXPLAIN (ANALYZE 0) UPDATE victims SET secret = 'x'
-- against
EXPLAIN (ANALYZE 1) UPDATE victims SET secret = 'x'

-- name: t01 EXPLAIN (ANALYZE 1) of an INSERT
EXPLAIN (ANALYZE 0) INSERT INTO log VALUES ('x')
-- against
EXPLAIN (ANALYZE 1) INSERT INTO log VALUES ('x')

-- name: t01 set_config('role')
SELECT set_config('jit', 'off', false)
-- against
SELECT set_config('role', 'other', false)

-- name: t01 set_config('search_path')
SELECT set_config('TimeZone', 'UTC', false)
-- against
SELECT set_config('search_path', 'mine', false)

-- name: t01 set_config('session_replication_role')
SELECT set_config('lc_monetary', 'C', false)
-- against
SELECT set_config('session_replication_role', 'replica', false)

-- name: t01 set_config('standard_conforming_strings')
SELECT set_config('lock_timeout', '5s', false)
-- against
SELECT set_config('standard_conforming_strings', 'off', false)

-- name: t01 set_config('row_security')
SELECT set_config('geqo', 'on', false)
-- against
SELECT set_config('row_security', 'off', false)

-- name: t01 set_config('app.tenant')
SELECT set_config('bytea_output', 'hex', false)
-- against
SELECT set_config('app.tenant', '7', false)

-- name: t01 set_config('session_authorization')
SELECT set_config('application_name', 'x', false)
-- against
SELECT set_config('session_authorization', 'reader', false)

-- name: t01 pg_catalog.set_config in a CASE
SELECT CASE WHEN id = 1 THEN pg_catalog.set_config('application_name', 'x', false) END FROM customers
-- against
SELECT CASE WHEN id = 1 THEN pg_catalog.set_config('role', 'other', false) END FROM customers

-- name: t01 SET's value for an encoding of strings
SET standard_conforming_strings = on
-- against
SET standard_conforming_strings = off

-- name: t01 SET's value as a string
SET standard_conforming_strings = 'on'
-- against
SET standard_conforming_strings = 'off'

-- name: t01 SET's value as a number
SET standard_conforming_strings = 1
-- against
SET standard_conforming_strings = 0

-- name: t01 the text of query_to_xml
SELECT query_to_xml('SELECT 1', true, true, '')
-- against
SELECT query_to_xml('SELECT wipe()', true, true, '')

-- name: t01 the table of table_to_xml
SELECT table_to_xml('orders', true, true, '')
-- against
SELECT table_to_xml('v_wipe', true, true, '')

-- name: t01 the table of table_to_xml, cast
SELECT table_to_xml('orders'::regclass, true, true, '')
-- against
SELECT table_to_xml('v_wipe'::regclass, true, true, '')

-- name: t01 the text of ts_stat
SELECT * FROM ts_stat('SELECT words FROM docs')
-- against
SELECT * FROM ts_stat('SELECT to_tsvector(wipe()::text)')

-- name: t01 the text of ts_rewrite
SELECT ts_rewrite('a'::tsquery, 'SELECT ''b''::tsquery, ''c''::tsquery')
-- against
SELECT ts_rewrite('a'::tsquery, 'SELECT wipe_query(), ''c''::tsquery')

-- name: t01 a row of a type by name
SELECT '(1,x)'::harmless_pair
-- against
SELECT '(1,x)'::carrier

-- name: t01 the place of ORDER BY
SELECT id, feels FROM moods ORDER BY 1
-- against
SELECT id, feels FROM moods ORDER BY 2

-- name: t01 the place of GROUP BY
SELECT id, min(id) FROM (SELECT id, feels FROM moods) m GROUP BY 1
-- against
SELECT feels, min(id) FROM (SELECT id, feels FROM moods) m GROUP BY 1

-- name: t01 the place of DISTINCT ON
SELECT DISTINCT ON (1) id, feels FROM moods
-- against
SELECT DISTINCT ON (2) id, feels FROM moods

-- name: t01 a literal that decides an operator
SELECT 1 + '1'
-- against
SELECT 1 + '1'::text

-- name: t01 a literal that a varchar operator takes
SELECT id FROM people WHERE nick > 'M'
-- against
SELECT id FROM people WHERE nick < 'M'

-- name: t01 COPY to where
-- transaction: no
COPY (SELECT 1) TO STDOUT
-- against
COPY (SELECT 1) TO '{scratch}/out'

-- name: t01 a place of a sequence
SELECT 'counter'::regclass
-- against
SELECT nextval('counter'::regclass)

-- name: t01 FETCH of how many
SELECT f(3) FETCH FIRST 1 ROW ONLY
-- against
SELECT f(3.0) FETCH FIRST 1 ROW ONLY

-- name: t01 a JSON record by a literal
SELECT * FROM jsonb_populate_record(NULL::harmless_pair, '{"a": 1}')
-- against
SELECT * FROM jsonb_populate_record(NULL::carrier, '{"b": "x"}')

-- name: t01 text notation of a NULL
SELECT f(NULL::int)
-- against
SELECT f(NULL::text)

-- name: t01 a row type by a literal in IN
SELECT 1 FROM people WHERE f(id) IN ('a')
-- against
SELECT 1 FROM people WHERE f(id + 0.5) IN ('a')

-- name: t01 a literal in GREATEST that decides an overload
SELECT f(GREATEST(id, 1)) FROM customers
-- against
SELECT f(GREATEST(id, 1.5)) FROM customers

-- name: t01 a literal in NULLIF that decides an overload
SELECT f(NULLIF(1, 2))
-- against
SELECT f(NULLIF(1.0, 2))

-- name: t01 a literal in an array that decides an overload
SELECT f((ARRAY[1, 2])[1])
-- against
SELECT f((ARRAY[1, 2.0])[1])

-- name: t01 a literal in sum that decides an overload
SELECT f(max(x)) FROM (VALUES (1)) v(x)
-- against
SELECT f(max(x)) FROM (VALUES (1.0)) v(x)

-- name: t01 a literal in generate_series that decides an overload
SELECT f(x) FROM generate_series(1, 2) x
-- against
SELECT f(x) FROM generate_series(1, 2.0) x

-- name: t01 a literal in a lateral sub-query that decides an overload
SELECT f(y) FROM customers c, LATERAL (SELECT c.id + 1) l(y)
-- against
SELECT f(y) FROM customers c, LATERAL (SELECT c.id + 1.0) l(y)

-- name: t01 a literal in a recursive WITH that decides an overload
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2) SELECT f(n) FROM r
-- against
WITH RECURSIVE r(n) AS (SELECT 1.0 UNION ALL SELECT n + 1 FROM r WHERE n < 2) SELECT f(n) FROM r

-- name: t01 a literal after PREPARE
-- protocol: simple
PREPARE warm AS SELECT f(1); EXECUTE warm; DEALLOCATE warm
-- against
PREPARE warm AS SELECT f(1.0); EXECUTE warm; DEALLOCATE warm

-- name: t01 a literal in the second statement
-- protocol: simple
SELECT 1; SELECT f(1)
-- against
SELECT 1; SELECT f(1.0)

-- name: t01 a literal in a cursor
-- protocol: simple
-- transaction: no
BEGIN; DECLARE warm CURSOR FOR SELECT f(1); FETCH warm; COMMIT
-- against
BEGIN; DECLARE warm CURSOR FOR SELECT f(1.0); FETCH warm; COMMIT

-- name: t01 a literal in brackets
SELECT ((f((1))))
-- against
SELECT ((f((1.))))

-- name: t01 a literal with a sign
SELECT f(+1)
-- against
SELECT f(+1.)

-- name: t01 a literal in IS DISTINCT FROM
SELECT f(1) IS DISTINCT FROM 'x'
-- against
SELECT f('1') IS DISTINCT FROM 'x'

-- name: t01 a literal in a table sample
SELECT f(1) FROM orders TABLESAMPLE bernoulli (100)
-- against
SELECT f(1.0) FROM orders TABLESAMPLE bernoulli (100)
