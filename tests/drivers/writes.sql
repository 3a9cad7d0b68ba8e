INSERT INTO authors (name) VALUES ('Mallory')
INSERT INTO authors (name) SELECT name FROM authors
UPDATE authors SET name = 'Mallory' WHERE id = 1
DELETE FROM books WHERE id = 1
WITH gone AS (DELETE FROM books WHERE id = 1 RETURNING id) SELECT * FROM gone
TRUNCATE books
DROP TABLE books
DROP VIEW book_list
CREATE TABLE made (id int)
SELECT * INTO made FROM books
ALTER TABLE books ADD COLUMN made int
CREATE INDEX made ON books (added)
GRANT SELECT ON books TO PUBLIC
SET ROLE pg_read_all_data
SET SESSION AUTHORIZATION pg_monitor
SELECT set_config('role', 'pg_read_all_data', false)
SELECT nextval('books_id_seq')
SELECT * FROM books WHERE id = 1 FOR UPDATE
SELECT pg_advisory_lock(7)
SELECT pg_read_file('PG_VERSION')
SELECT lo_create(0)
EXPLAIN ANALYZE DELETE FROM books
DO $$ BEGIN DELETE FROM books; END $$
NOTIFY made
COPY books TO PROGRAM 'cat'
