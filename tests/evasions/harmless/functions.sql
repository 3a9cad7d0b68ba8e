-- name: t07 a pure function with a frightening name
SELECT delete_spaces(name), drop_table(id) FROM customers

-- name: t07 a pure function in a WHERE
SELECT id FROM customers WHERE drop_table(id) = 3

-- name: t07 a function over a row
SELECT full_name(c) FROM customers c

-- name: t07 a pure function in attribute notation
SELECT c.full_name FROM customers c

-- name: t07 a function that reads
SELECT total_of(1)

-- name: t07 a function with rows
SELECT * FROM orders_of(2)

-- name: t07 a function with rows, named argument
SELECT total FROM orders_of(who => 2)

-- name: t07 a PL/pgSQL function that reads
SELECT count_orders()

-- name: t07 a PL/pgSQL function that computes
SELECT id, grade(balance) FROM customers

-- name: t07 a PL/pgSQL function with rows
SELECT * FROM first_names(3)

-- name: t07 an SQL-standard body
SELECT atomic_sum(1, 2), atomic_sum(b => 1, a => 2)

-- name: t07 a function with a SET clause
SELECT safe_path()

-- name: t07 SECURITY DEFINER that reads
SELECT definer_count()

-- name: t07 a harmless overload
SELECT f(5), g('x')

-- name: t07 a harmless overload by a cast
SELECT f(5.0::int), g(5::text)

-- name: t07 a harmless overload by a column
SELECT f(id), g(name) FROM customers

-- name: t07 a harmless overload by named notation
SELECT named(a => 1, b => '2')

-- name: t07 the harmless one of two schemas
SELECT helper(), public.helper()

-- name: t07 a built-in function beside an overload that calls
SELECT lower('A'), lower(name), lower(email::text) FROM customers

-- name: t07 a built-in function with its schema
SELECT pg_catalog.lower(nick) FROM people

-- name: t07 a built-in variadic function beside an overload that calls
SELECT concat('a'::text, 1), concat(1, 'b', 2)

-- name: t07 a built-in function beside an overload for rows
SELECT abs(id), round(balance) FROM customers

-- name: t07 an aggregate of one's own
SELECT harmless_sum(id) FROM customers

-- name: t07 an aggregate of one's own as a window function
SELECT harmless_sum(id) OVER (ORDER BY id) FROM customers

-- name: t07 a built-in aggregate beside an overload that calls
SELECT sum(id), sum(balance) FROM customers

-- name: t08 an operator of one's own
SELECT @# id FROM customers

-- name: t08 a built-in operator beside one that calls
SELECT 1 + 1, id + 1 FROM customers

-- name: t08 a built-in operator with its schema
SELECT 1 OPERATOR(pg_catalog.+) 2

-- name: t08 a built-in comparison of varchar as text
SELECT id FROM people WHERE nick = 'Ada' AND nick::text < 'M'

-- name: t08 a domain whose check compares
SELECT 5::positive, id::positive FROM customers

-- name: t08 a domain whose check matches
SELECT 'ABC'::code

-- name: t08 an array of a domain
SELECT ARRAY[1, 2]::positive[]

-- name: t08 a row type of one's own
SELECT (ROW(1, 'x')::harmless_pair).b

-- name: t08 an enum that has an order of its own, not ordered
SELECT id, feels FROM moods

-- name: t08 an enum that has an order of its own, as text
SELECT feels::text FROM moods ORDER BY feels::text

-- name: t08 a row with a cast of its own, not cast
SELECT (home).zip FROM customers ORDER BY 1

-- name: t08 a table with triggers is read
SELECT * FROM triggered

-- name: t08 a table with rules is read
SELECT * FROM ruled

-- name: t08 a table with a column of a domain is read
SELECT * FROM carriers

-- name: t08 a table with a default that calls nextval is read
SELECT * FROM ticket

-- name: t26 hstore
SELECT 'a=>1'::hstore -> 'a', hstore('a', 'b') || 'c=>d', akeys('a=>1')

-- name: t26 citext
SELECT 'ABC'::citext = 'abc'

-- name: t26 pg_trgm
SELECT similarity('word', 'words'), name % 'Name' FROM customers

-- name: t26 pgcrypto
SELECT encode(digest('x', 'sha256'), 'hex'), encode(hmac('a', 'b', 'sha256'), 'hex')

-- name: t26 uuid-ossp
SELECT uuid_generate_v4() IS NOT NULL, uuid_nil()

-- name: t01 the least int4 is an int4
SELECT f(-2147483648)

-- name: t08 a column of a domain beside a literal
SELECT COALESCE(b, 'x') FROM carriers RIGHT JOIN customers ON a = id
