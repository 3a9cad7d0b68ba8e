-- name: t25 a string that contains a statement
SELECT 'DELETE FROM victims'

-- name: t25 a string with a semicolon
SELECT '; DROP TABLE victims; --'

-- name: t25 a string with doubled quotes
SELECT 'it''s; DELETE FROM victims'

-- name: t25 an escape string with a quote
SELECT E'\'; DELETE FROM victims; --'

-- name: t25 a unicode string with a quote
SELECT U&'\0027; DELETE FROM victims'

-- name: t25 a dollar string
SELECT $$DELETE FROM victims; DROP TABLE customers$$

-- name: t25 a tagged dollar string with another in it
SELECT $a$ $$; DELETE FROM victims; $$ $a$

-- name: t25 a bit string
SELECT B'0101', X'FF'

-- name: t25 a continued string
SELECT 'DELETE '
'FROM victims'

-- name: t25 a comment that contains a statement
SELECT 1 /* ; DELETE FROM victims; */

-- name: t25 nested comments
SELECT 1 /* /* ; DELETE FROM victims; */ ; DROP TABLE victims */

-- name: t25 a line comment
SELECT 1 -- ; DELETE FROM victims

-- name: t25 a line separator does not end a comment
-- escapes: yes
SELECT 1 --\u{2028}; DELETE FROM victims

-- name: t25 a next line does not end a comment
-- escapes: yes
SELECT 1 --\u{85}; DELETE FROM victims

-- name: t25 a comment in front
/* DROP TABLE victims */ SELECT 1

-- name: t25 a comment with a backslash
SELECT 1 -- \'; DELETE FROM victims

-- name: t25 a comment of sqlcommenter
SELECT 1 /*application='crew',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/

-- name: t25 a hint
/*+ SeqScan(customers) */ SELECT id FROM customers

-- name: t25 an identifier that contains a statement
SELECT 1 AS "DELETE FROM victims"

-- name: t25 a quoted identifier with a semicolon
SELECT "; DROP TABLE victims; --" FROM "drop table victims"

-- name: t25 a table named delete
SELECT * FROM "delete"

-- name: t25 columns named drop and update
SELECT "drop", "update" FROM "delete" WHERE "drop" = 1

-- name: t25 a column named pg_sleep
SELECT "pg_sleep" FROM "delete"

-- name: t25 a column named pg_sleep, not quoted
SELECT d.pg_sleep, d.set_config FROM "delete" d

-- name: t25 an alias named truncate
SELECT 1 AS truncate, 2 AS lock, 3 AS "grant"

-- name: t25 a table's alias named update
SELECT "update".id FROM customers "update"

-- name: t25 a word with dollars
SELECT a$b$ FROM k$$

-- name: t25 letters beyond ASCII
SELECT "naïve" FROM "Ünïcode"

-- name: t25 an empty string
SELECT ''

-- name: t25 many statements that read
-- protocol: simple
SELECT 1; SELECT 2; SELECT count(*) FROM customers

-- name: t25 empty statements
-- protocol: simple
;; SELECT 1;;

-- name: t25 nothing at all
-- protocol: simple
-- only a comment

-- name: t25 white space of every kind
-- escapes: yes
SELECT\u{9}1\u{c}AS\u{d}\u{a}x

-- name: t25 odd capitals
sElEcT iD fRoM cUsToMeRs

-- name: t25 a unicode identifier
SELECT U&"n\0061me" FROM customers

-- name: t25 a number of many digits
SELECT 123456789012345678901234567890, 1e10, .5, 5.

-- name: t25 a row that compares words
SELECT id FROM orders WHERE note = 'drop table orders' OR note LIKE '%delete%'

-- name: t25 an operator that looks like a comment
SELECT 3 - -2, 2 * 3 / 4

-- name: t25 the word INTO in a string and an alias
SELECT 'INTO' AS "into"

-- name: t25 words that lock, as names
SELECT 1 AS "for update", name AS "share" FROM customers
