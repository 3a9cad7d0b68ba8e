-- name: t25 a table
SELECT * FROM customers

-- name: t25 a table with its schema
SELECT c.id, c.name FROM public.customers AS c WHERE c.id BETWEEN 2 AND 5

-- name: t25 TABLE
TABLE customers

-- name: t25 VALUES
VALUES (1, 'a'), (2, 'b')

-- name: t25 a join
SELECT c.name, sum(o.total) FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.name HAVING sum(o.total) > 10 ORDER BY 2 DESC LIMIT 5 OFFSET 1

-- name: t25 outer joins
SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id FULL JOIN people p ON p.id = c.id

-- name: t25 JOIN USING
SELECT count(*) FROM customers JOIN people USING (id)

-- name: t25 NATURAL JOIN
SELECT count(*) FROM sales_2024 NATURAL JOIN sales_2025

-- name: t25 a sub-query
SELECT name FROM customers WHERE id IN (SELECT customer FROM orders WHERE total > 20)

-- name: t25 EXISTS
SELECT name FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id AND o.total > 1000)

-- name: t25 a scalar sub-query
SELECT name, (SELECT max(total) FROM orders o WHERE o.customer = c.id) FROM customers c

-- name: t25 LATERAL
SELECT c.name, o.total FROM customers c CROSS JOIN LATERAL (SELECT total FROM orders WHERE customer = c.id ORDER BY total DESC LIMIT 2) o

-- name: t25 WITH
WITH big AS (SELECT * FROM orders WHERE total > 30), n AS MATERIALIZED (SELECT count(*) AS n FROM big) SELECT * FROM n

-- name: t25 a recursive WITH
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t

-- name: t25 a recursive WITH with SEARCH
WITH RECURSIVE t(a, b) AS (SELECT 1, 2 UNION ALL SELECT a + 1, b FROM t WHERE a < 3) SEARCH DEPTH FIRST BY a SET o SELECT * FROM t ORDER BY o

-- name: t25 a recursive WITH with CYCLE
WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT (a % 3) + 1 FROM t) CYCLE a SET is_cycle USING path SELECT a FROM t

-- name: t25 a WITH that hides a view that calls
WITH v_wipe AS (SELECT 1 AS n) SELECT n FROM v_wipe

-- name: t25 a WITH that hides a table in a sub-query
SELECT (WITH v_wipe AS (SELECT 1 AS n) SELECT n FROM v_wipe)

-- name: t25 set operations
SELECT id FROM customers UNION SELECT id FROM orders EXCEPT SELECT 3 INTERSECT SELECT 3

-- name: t25 window functions
SELECT id, rank() OVER w, lag(total) OVER w, sum(total) OVER (PARTITION BY customer ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (ORDER BY total)

-- name: t25 GROUPING SETS
SELECT country, cut, count(*), grouping(country) FROM customers GROUP BY GROUPING SETS ((country), (cut), ())

-- name: t25 ROLLUP and CUBE
SELECT country, cut, sum(balance) FROM customers GROUP BY ROLLUP (country), CUBE (cut)

-- name: t25 FILTER and ordered aggregates
SELECT count(*) FILTER (WHERE id > 3), string_agg(name, ',' ORDER BY id DESC), array_agg(DISTINCT country) FROM customers

-- name: t25 WITHIN GROUP
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY customer) FROM orders

-- name: t25 DISTINCT ON
SELECT DISTINCT ON (country) country, name FROM customers ORDER BY country, id

-- name: t25 an enum in its own order
SELECT cut, count(*) FROM customers GROUP BY cut ORDER BY cut

-- name: t25 an enum as a literal
SELECT id FROM customers WHERE cut = 'small' AND cut < 'large'

-- name: t25 enum functions
SELECT enum_range(NULL::size), enum_first(NULL::size)

-- name: t25 a composite value
SELECT (home).street, (home).zip FROM customers

-- name: t25 a composite value made
SELECT ROW('a', 'b')::address, (ROW('a', 'b')::address).zip

-- name: t25 a whole row
SELECT o FROM orders o

-- name: t25 a whole row as JSON
SELECT row_to_json(c), to_jsonb(c) FROM customers c

-- name: t25 JSON operators
SELECT data->>'level', data->'note', data #>> '{note}', data @> '{"level": 1}', data ? 'level' FROM customers

-- name: t25 JSON functions
SELECT jsonb_build_object('a', 1), json_agg(name), jsonb_object_agg(id, name) FROM customers

-- name: t25 JSON to rows
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}]') AS x(a int, b text)

-- name: t25 JSON into a row
SELECT * FROM jsonb_populate_record(NULL::harmless_pair, '{"a": 1, "b": "DROP"}')

-- name: t25 JSON paths
SELECT jsonb_path_query(data, '$.level ? (@ > 3)') FROM customers

-- name: t25 JSON's elements
SELECT key, value FROM customers, jsonb_each_text(data)

-- name: t25 arrays
SELECT tags[1], array_length(tags, 1), tags || 'c'::text, 'a' = ANY (tags), tags @> ARRAY['a'] FROM customers

-- name: t25 unnest
SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) WITH ORDINALITY AS x(a, b, n)

-- name: t25 ranges
SELECT int4range(1, 5) @> 3, '[2024-01-01,2024-02-01)'::daterange * daterange('2024-01-15', NULL), upper(numrange(1, 2))

-- name: t25 multiranges
SELECT '{[1,3),[5,7)}'::int4multirange, unnest('{[1,3)}'::int4multirange)

-- name: t25 full text search
SELECT id, ts_rank(words, q), ts_headline('english', body, q) FROM docs, to_tsquery('english', 'delete & cat') q WHERE words @@ q

-- name: t25 full text, other forms
SELECT plainto_tsquery('drop table'), websearch_to_tsquery('"delete" -from'), to_tsvector('simple', 'truncate')

-- name: t25 regular expressions
SELECT regexp_replace(name, 'Name', 'DELETE', 'g'), name ~* '^n', substring(name FROM '[0-9]+') FROM customers

-- name: t25 LIKE and SIMILAR TO
SELECT name FROM customers WHERE name LIKE 'Name%' AND name NOT ILIKE '%x%' AND name SIMILAR TO 'Name [0-9]'

-- name: t25 dates
SELECT now() - joined, date_trunc('month', joined), extract(epoch FROM placed), age(joined), joined + interval '1 day' FROM customers JOIN orders USING (id)

-- name: t25 time zones
SELECT placed AT TIME ZONE 'UTC', timezone('Europe/Paris', placed), to_char(placed, 'YYYY-MM-DD') FROM orders

-- name: t25 the present
SELECT current_date, current_timestamp, localtime, clock_timestamp() > now(), statement_timestamp()

-- name: t25 who and where
SELECT current_user, session_user, current_schema, current_database(), version(), pg_backend_pid(), inet_server_port()

-- name: t25 generate_series
SELECT * FROM generate_series(1, 10, 2)

-- name: t25 generate_series over dates
SELECT d::date FROM generate_series('2024-01-01'::timestamp, '2024-01-05', '1 day') d

-- name: t25 numbers
SELECT abs(-1), round(1.234, 2), ceil(1.2), mod(7, 3), power(2, 10), sqrt(2), random() < 2, width_bucket(5, 0, 10, 5)

-- name: t25 texts
SELECT lower('A'), upper(name), length(name), left(name, 2), lpad(name, 20, '.'), split_part(email, '@', 2), concat(name, '-', id), format('%s %I', name, 'x') FROM customers

-- name: t25 trim, position, overlay
SELECT trim(both 'x' FROM 'xax'), position('a' IN 'xax'), overlay('abc' placing 'X' FROM 2 for 1), substring('abc' FROM 1 FOR 2)

-- name: t25 hashes and encodings
SELECT md5(name), sha256(name::bytea), encode('abc', 'base64'), decode('YWJj', 'base64') FROM customers

-- name: t25 casts
SELECT '1'::int, 1::text, '2024-01-01'::date, CAST('1.5' AS numeric(5, 2)), 'true'::boolean, 1::bigint::text

-- name: t25 pg_typeof
SELECT pg_typeof(1), pg_typeof('x'), pg_typeof(name), pg_typeof(NULL) FROM customers

-- name: t25 CASE and friends
SELECT CASE country WHEN 'FR' THEN 1 ELSE 2 END, coalesce(note, '-'), nullif(1, 1), greatest(1, 2), least(1, 2) FROM customers JOIN orders USING (id)

-- name: t25 IS tests
SELECT name IS NULL, name IS DISTINCT FROM 'x', (id > 1) IS TRUE, ROW(1, NULL) IS NOT NULL FROM customers

-- name: t25 row comparisons
SELECT (id, name) > (3, 'x') FROM customers

-- name: t25 OVERLAPS
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (joined, interval '1 day') FROM customers

-- name: t25 XML
SELECT xmlelement(name a, xmlattributes(id AS b), name), xpath('/a/b/text()', '<a><b>1</b></a>') FROM customers

-- name: t25 XMLTABLE
SELECT x.* FROM documents, xmltable('/a' PASSING body COLUMNS b int PATH 'b') x

-- name: t25 TABLESAMPLE
SELECT count(*) FROM orders TABLESAMPLE bernoulli (50) REPEATABLE (1)

-- name: t25 ONLY
SELECT * FROM ONLY animals

-- name: t25 a parent
SELECT tableoid::regclass, name FROM animals

-- name: t25 a partitioned table
SELECT sum(amount) FROM sales WHERE day >= '2025-01-01'

-- name: t25 system columns
SELECT ctid, xmin, tableoid FROM customers

-- name: t25 a materialized view
SELECT * FROM m_customers

-- name: t25 a view over a table
SELECT * FROM v_customers WHERE country = 'FR'

-- name: t25 a view with pure functions
SELECT * FROM v_pure

-- name: t25 a view with a function that reads
SELECT * FROM v_totals

-- name: t25 a view with a PL/pgSQL function
SELECT * FROM v_grades

-- name: t25 row-level security that only compares
-- login: reader
SELECT * FROM guarded_well

-- name: t25 row-level security does not hold for the owner
SELECT id FROM guarded

-- name: t25 UUIDs
SELECT gen_random_uuid() IS NOT NULL, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid

-- name: t25 networks
SELECT '10.0.0.0/8'::inet >> '10.1.2.3', host('10.0.0.1/8'::inet), masklen('10.0.0.0/8')

-- name: t25 geometry
SELECT point(1, 2) <-> point(3, 4), box '((0,0),(1,1))' @> point '(0.5,0.5)'

-- name: t25 money
SELECT '12.34'::money + '1'::money

-- name: t25 COLLATE
SELECT name FROM customers ORDER BY name COLLATE "C" DESC NULLS LAST

-- name: t25 FETCH FIRST WITH TIES
SELECT id FROM orders ORDER BY total FETCH FIRST 3 ROWS WITH TIES

-- name: t25 a function's name as a column
SELECT count, sum FROM (SELECT 1 AS count, 2 AS sum) x

-- name: t25 a sequence that is read
SELECT last_value, is_called FROM counter

-- name: t25 a large object's catalog
SELECT count(*) FROM pg_largeobject_metadata

-- name: t25 a table's size
SELECT pg_relation_size('customers'), pg_size_pretty(pg_total_relation_size('orders'))

-- name: t25 a name as a regclass
SELECT 'customers'::regclass, to_regclass('nothing'), 'v_wipe'::regclass::oid > 0

-- name: t25 a function as a regproc
SELECT 'public.wipe'::regproc, to_regprocedure('wipe()')

-- name: t25 a view's text
SELECT pg_get_viewdef('v_wipe'::regclass), pg_get_functiondef('wipe()'::regprocedure)
