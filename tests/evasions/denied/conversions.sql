-- name: t08 a cast in an array
SELECT ARRAY[name]::money[] FROM customers

-- name: t08 a cast of an array's elements
SELECT tags::money[] FROM customers

-- name: t08 a cast in a row
SELECT ROW(name)::has_money FROM customers

-- name: t08 a cast to a domain's base
SELECT name::cash FROM customers

-- name: t08 an assignment's cast in a subscript
SELECT tags[home] FROM customers

-- name: t08 an implicit cast in IN
SELECT 1 FROM customers WHERE 1 IN (home)

-- name: t08 an implicit cast in BETWEEN
SELECT 1 FROM customers WHERE id BETWEEN 0 AND home

-- name: t08 an implicit cast of a built-in function's argument
SELECT substring(name, home) FROM customers

-- name: t08 an implicit cast in a table function
SELECT * FROM customers c, generate_series(1, c.home)

-- name: t08 an implicit cast in an aggregate
SELECT sum(home) FROM customers

-- name: t08 an implicit cast in an array
SELECT 1 FROM customers WHERE id = ANY (ARRAY[home::int])

-- name: t08 a cast to JSON by to_json
SELECT to_json(shade) FROM paints

-- name: t08 a cast to JSON by to_jsonb
SELECT to_jsonb(shade) FROM paints

-- name: t08 a cast to JSON by row_to_json
SELECT row_to_json(p) FROM paints p

-- name: t08 a cast to JSON by to_jsonb of a row
SELECT to_jsonb(p) FROM paints p

-- name: t08 a cast to JSON by json_agg
SELECT json_agg(shade) FROM paints

-- name: t08 a cast to JSON by json_agg of rows
SELECT json_agg(p) FROM paints p

-- name: t08 a cast to JSON by jsonb_agg
SELECT jsonb_agg(shade) FROM paints

-- name: t08 a cast to JSON by json_build_object
SELECT json_build_object('a', shade) FROM paints

-- name: t08 a cast to JSON by json_build_array
SELECT json_build_array(shade) FROM paints

-- name: t08 a cast to JSON by json_object_agg
SELECT json_object_agg(id, shade) FROM paints

-- name: t08 a cast to JSON by array_to_json
SELECT array_to_json(ARRAY[shade]) FROM paints

-- name: t08 a cast to JSON, by the cast itself
SELECT shade::json FROM paints

-- name: t08 a cast to JSON of a value made
SELECT to_json('red'::colour)

-- name: t08 an argument's domain
SELECT takes_trapped('x')

-- name: t08 a result's domain
SELECT gives_trapped()

-- name: t08 a result's cast
SELECT gives_money()

-- name: t08 a variable's domain
SELECT holds_trapped()

-- name: t08 a variable's cast
SELECT holds_money()

-- name: t08 an order of its own in a function
SELECT orders_moods()

-- name: t08 a view in a function
SELECT reads_view()

-- name: t08 row-level security in a function
-- login: reader
SELECT reads_guarded()

-- name: t08 a function that calls itself
SELECT loops_forever(5)

-- name: t08 a domain with its schema
SELECT 'x'::public.trapped

-- name: t08 a quoted domain
SELECT 'x'::"trapped"

-- name: t08 a domain in unnest
SELECT * FROM unnest('{x}'::trapped[])

-- name: t08 a domain in string_to_array
SELECT string_to_array('x', ',')::trapped[]

-- name: t08 a domain in COALESCE
SELECT COALESCE(NULL, 'x'::trapped)

-- name: t08 a domain that a literal follows in a comparison's array
SELECT 'x' = ANY ('{x}'::trapped[])

-- name: t08 a domain in a nested record
SELECT * FROM json_to_record('{"a": {"b": "x"}}') AS y(a carrier)

-- name: t08 a domain in ROWS FROM's columns
SELECT * FROM ROWS FROM (json_to_record('{"a": "x"}') AS (a trapped))

-- name: t08 a record with a domain, expanded
SELECT (jsonb_populate_record(NULL::carriers, '{"b": "x"}')).*

-- name: t08 a view joined in parentheses
SELECT j.n FROM (v_wipe CROSS JOIN people) AS j

-- name: t08 no column of a view that calls
SELECT FROM v_where

-- name: t08 ONLY a view that calls
SELECT n FROM ONLY v_wipe

-- name: t08 a star of a view that calls
SELECT v_wipe.* FROM v_wipe NATURAL JOIN customers

-- name: t08 all columns of an alias that renames them
SELECT b FROM v_wipe AS x(a, b)

-- name: t08 NOT IN a view that calls
SELECT 1 FROM customers WHERE id NOT IN (SELECT n FROM v_wipe)
