-- name: t07 a volatile function
SELECT wipe()

-- name: t07 in capitals
SELECT WIPE()

-- name: t07 quoted
SELECT "wipe"()

-- name: t07 with its schema
SELECT public.wipe()

-- name: t07 with its schema, white space around it
SELECT * FROM public . wipe ()


-- name: t07 with white space and comments
SELECT wipe /* */ ( -- )
)

-- name: t07 an immutable function that calls a volatile one
SELECT calm()

-- name: t07 a stable function that calls a volatile one
SELECT calm_stable()

-- name: t07 an immutable PL/pgSQL function
SELECT calm_plpgsql()

-- name: t07 through three functions
SELECT calm_deep()

-- name: t07 strict, leakproof, parallel safe
SELECT calm_strict(1)

-- name: t07 SECURITY DEFINER
SELECT definer()

-- name: t07 SECURITY DEFINER for somebody without rights
-- login: reader
SELECT definer()

-- name: t07 an SQL function that deletes in a WITH
SELECT wipe_cte()

-- name: t07 an SQL-standard body
SELECT wipe_atomic()

-- name: t07 a PL/pgSQL function that deletes
SELECT wipe_plpgsql()

-- name: t07 in an exception handler
SELECT wipe_on_error()

-- name: t07 in a declaration
SELECT wipe_in_declare()

-- name: t07 in a loop's query
SELECT wipe_in_loop()

-- name: t07 in a condition
SELECT wipe_in_condition()

-- name: t07 in a RETURN
SELECT wipe_in_return()

-- name: t07 in a cursor
SELECT wipe_by_cursor()

-- name: t07 dynamic SQL from an argument
SELECT run('DELETE FROM victims')

-- name: t07 dynamic SQL that is computed
SELECT run_split()

-- name: t07 RETURN QUERY EXECUTE
SELECT * FROM run_query()

-- name: t07 FOR IN EXECUTE
SELECT run_for()

-- name: t07 a branch that only a value decides
SELECT branch(id > 0) FROM customers

-- name: t07 a function with rows
SELECT * FROM wipe_rows()

-- name: t07 a function with rows, in a SELECT list
SELECT wipe_rows()

-- name: t07 one column of a function with rows
SELECT (wipe_rows()).b

-- name: t07 a function with rows of a table
SELECT count(*) FROM wipe_set()

-- name: t07 WITH ORDINALITY
SELECT * FROM wipe_rows() WITH ORDINALITY

-- name: t07 ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 2), wipe_rows())

-- name: t07 LATERAL
SELECT * FROM customers c, wipe_any(c.id) x

-- name: t07 a polymorphic function
SELECT wipe_any('x'::text)

-- name: t07 a default argument that calls
SELECT span(1)


-- name: t07 VARIADIC
SELECT list(1, 2, 3)

-- name: t07 VARIADIC of an array
SELECT list(VARIADIC ARRAY[1, 2])

-- name: t07 named notation
SELECT named(y => 1, x => 2)

-- name: t07 a function in attribute notation
SELECT c.wipe_row FROM customers c

-- name: t07 a function in attribute notation of a row in parentheses
SELECT (c).wipe_row FROM customers c JOIN orders USING (id)

-- name: t07 a polymorphic function in attribute notation
SELECT x.wipe_any FROM customers x

-- name: t07 an immutable function in attribute notation in a WHERE
SELECT 1 FROM people p WHERE p.born_year > 0

-- name: t07 a row's function over a table's name
SELECT wipe_row(customers) FROM customers

-- name: t07 a row's function over a star
SELECT wipe_row(c.*) FROM customers c

-- name: t07 a function with a SET clause whose path leads elsewhere
SELECT pathy()

-- name: t07 a function with a SET clause that reads another view
SELECT pathy_read()

-- name: t07 a function that sets the role
SELECT becomes_other()

-- name: t07 a function that sets the search path
SELECT sets_path()

-- name: t07 a function that turns triggers off
SELECT sets_replica()

-- name: t07 an exact match that hides a built-in function
SELECT lower(nick) FROM people

-- name: t07 an exact match that hides a variadic built-in function
SELECT concat(1, 2)

-- name: t07 an exact match that hides a built-in function of another type
SELECT round(5)

-- name: t07 an overload of a built-in name for a row
SELECT abs(p) FROM people p

-- name: t07 an overload of a built-in aggregate
SELECT sum(nick) FROM people

-- name: t07 an aggregate whose transition calls
SELECT wipe_sum(id) FROM customers

-- name: t07 an aggregate whose end calls
SELECT wipe_final(id) FROM customers

-- name: t07 an aggregate as a window function
SELECT wipe_sum(id) OVER (ORDER BY id) FROM customers

-- name: t07 an aggregate in a HAVING
SELECT country FROM customers GROUP BY country HAVING wipe_sum(id) > 0

-- name: t07 an aggregate with DISTINCT
SELECT wipe_sum(DISTINCT id) FROM customers

-- name: t07 an aggregate in a sub-query of an ORDER BY
SELECT 1 ORDER BY (SELECT wipe_final(1))

-- name: t07 in a WHERE
SELECT id FROM customers WHERE wipe() = 1

-- name: t07 in a WHERE that is never true for any row
SELECT id FROM customers WHERE id < 0 OR wipe() = 2

-- name: t07 in the target of a sub-query that nobody reads
SELECT 1 FROM (SELECT wipe() OFFSET 0) x

-- name: t07 in an unreferenced column of a sub-query
SELECT y.id FROM (SELECT id, wipe() AS n FROM customers) y

-- name: t07 in a WITH that is read once
WITH x AS (SELECT wipe() AS n) SELECT n FROM x

-- name: t07 in a recursive WITH
WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + wipe() FROM x WHERE n < 2) SELECT * FROM x

-- name: t07 in a UNION
SELECT 1 UNION SELECT wipe()

-- name: t07 in an EXCEPT
SELECT 1 EXCEPT SELECT wipe()

-- name: t07 in a JOIN's condition
SELECT 1 FROM customers c JOIN orders o ON c.id = o.customer AND wipe() = 1

-- name: t07 in an ORDER BY
SELECT id FROM customers ORDER BY wipe()

-- name: t07 in an ORDER BY by its place
SELECT wipe(), id FROM customers ORDER BY 1

-- name: t07 in a GROUP BY
SELECT count(*) FROM customers GROUP BY wipe()

-- name: t07 in a LIMIT
SELECT id FROM customers LIMIT wipe()

-- name: t07 in a FETCH FIRST
SELECT id FROM customers FETCH FIRST (wipe()) ROWS ONLY

-- name: t07 in a TABLESAMPLE
SELECT id FROM customers TABLESAMPLE system (wipe())

-- name: t07 in a WINDOW
SELECT sum(id) OVER w FROM customers WINDOW w AS (ORDER BY wipe())

-- name: t07 in a frame's offset
SELECT sum(id) OVER (ORDER BY id ROWS wipe() PRECEDING) FROM customers

-- name: t07 in an array's subscript
SELECT tags[wipe()] FROM customers

-- name: t07 in a row
SELECT ROW(1, wipe())

-- name: t07 in an XML function
SELECT xmlelement(name a, xmlattributes(wipe() AS b))

-- name: t07 in GREATEST
SELECT GREATEST(1, wipe())

-- name: t07 in NULLIF
SELECT NULLIF(1, wipe())

-- name: t07 in a CASE that folds
SELECT CASE WHEN false THEN 1 ELSE calm() END

-- name: t07 a folded call in a branch that is not taken
SELECT CASE id WHEN 1 THEN 1 ELSE calm_int(2) END FROM customers

-- name: t07 in EXTRACT
SELECT extract(day FROM date '2024-01-01' + wipe())

-- name: t07 in OVERLAPS
SELECT (date '2024-01-01', interval '1 day' * wipe()) OVERLAPS (date '2024-01-01', date '2024-01-02')

-- name: t07 in a quantified comparison
SELECT 1 = ANY (SELECT wipe())

-- name: t07 in an IS DISTINCT FROM
SELECT 1 IS DISTINCT FROM wipe()

-- name: t07 in a JSON constructor
SELECT json_build_object('a', wipe())

-- name: t07 in TABLE's ROWS FROM with a column list
SELECT * FROM unnest(ARRAY[wipe()]) AS x(a)

-- name: t07 in PREPARE's EXECUTE argument
-- protocol: simple
PREPARE p(int) AS SELECT $1; EXECUTE p(wipe())

-- name: t07 PREPARE and EXECUTE
-- protocol: simple
PREPARE p AS SELECT wipe(); EXECUTE p

-- name: t07 PREPARE and EXECUTE in CREATE TABLE AS
-- protocol: simple
PREPARE p AS SELECT 1 AS a; CREATE TABLE x AS EXECUTE p

-- name: t07 a cursor that is fetched
-- protocol: simple
DECLARE c CURSOR FOR SELECT wipe_any(id) FROM customers; FETCH 1 FROM c; MOVE 1 FROM c

-- name: t07 a default, with the others by name
SELECT wipe_by_default(b => 1)

-- name: t07 a default, with the others by name in the old way
SELECT wipe_by_default(b := 1)

-- name: t07 a default of a function in FROM
SELECT * FROM wipe_by_default(b => 1)
