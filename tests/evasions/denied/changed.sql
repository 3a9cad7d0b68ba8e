-- name: t10 a view is replaced between Parse and Execute
@parse s SELECT id FROM v_customers
@sync
@passes
@direct CREATE OR REPLACE VIEW v_customers AS SELECT wipe() AS id, name, country FROM customers
@bind - s
@execute -
@sync
@denied

-- name: t10 a view is replaced between two queries
@query SELECT id FROM v_customers
@passes
@direct CREATE OR REPLACE VIEW v_customers AS SELECT wipe() AS id, name, country FROM customers
@query SELECT id FROM v_customers
@denied

-- name: t10 a function is replaced between two queries
@query SELECT twice(2)
@passes
@direct CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT wipe()'
@query SELECT twice(2)
@denied

-- name: t10 a function is renamed and another takes its name
@query SELECT helper()
@passes
@direct ALTER FUNCTION helper() RENAME TO helper_; ALTER FUNCTION calm() RENAME TO helper
@query SELECT helper()
@denied

-- name: t10 a table is renamed and a view takes its name
@query SELECT id FROM people
@passes
@direct ALTER TABLE people RENAME TO people_; ALTER VIEW v_wipe RENAME TO people
@query SELECT id FROM people
@denied

-- name: t10 a closer overload appears
@query SELECT poly(5)
@passes
@direct CREATE FUNCTION poly(int) RETURNS int LANGUAGE sql AS 'SELECT wipe()'
@query SELECT poly(5)
@denied

-- name: t10 an overload that hides a built-in function appears
@query SELECT upper(nick) FROM people
@passes
@direct CREATE FUNCTION public.upper(varchar) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text'
@query SELECT upper(nick) FROM people
@denied

-- name: t10 a domain gets another check
@query SELECT 1::positive
@passes
@direct ALTER DOMAIN positive ADD CHECK (calm() = 1) NOT VALID
@query SELECT 1::positive
@denied

-- name: t10 a table becomes protected by row-level security
-- login: reader
@query SELECT id FROM people
@passes
@direct ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON people USING (definer_bool())
@query SELECT id FROM people
@denied

-- name: t10 an operator that hides a built-in one appears
@query SELECT id FROM people WHERE nick > 'A'
@passes
@direct CREATE OPERATOR public.> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = nick_less)
@query SELECT id FROM people WHERE nick > 'A'
@denied

-- name: t10 a cast appears
@query SELECT p::text FROM people p
@passes
@direct CREATE FUNCTION people_text(people) RETURNS text LANGUAGE sql AS 'SELECT wipe()::text'; CREATE CAST (people AS text) WITH FUNCTION people_text(people)
@query SELECT p::text FROM people p
@denied

-- name: t10 a table gets a child that runs a program
-- shows: rows ran a program
@query SELECT name FROM animals
@passes
@direct CREATE FOREIGN TABLE birds () INHERITS (animals) SERVER files OPTIONS (program 'echo ran a program')
@query SELECT name FROM animals
@denied

-- name: t10 a prepared statement is planned anew after a rename
@query PREPARE s AS SELECT id FROM people
@query EXECUTE s
@passes
@direct ALTER TABLE people RENAME TO people_; ALTER VIEW v_wipe RENAME TO people
@query EXECUTE s
@query SELECT id FROM people
@denied

-- name: t10 a dropped table is made anew as a view
@query SELECT id FROM guarded_well
@passes
@direct DROP TABLE guarded_well; CREATE VIEW guarded_well AS SELECT wipe() AS id
@query SELECT id FROM guarded_well
@denied
