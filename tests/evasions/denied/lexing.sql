-- name: t00 a backslash that standard strings take literally
-- protocol: simple
SELECT '\'; DELETE FROM victims; --'

-- name: t00 a backslash at the end of a quoted name
-- protocol: simple
SELECT 1 AS "a\"; DELETE FROM victims; --"

-- name: t00 an escape string that closes later than it seems
-- protocol: simple
SELECT E'\\'; DELETE FROM victims; --'

-- name: t00 an escape string with an escaped quote
-- protocol: simple
SELECT E'\'', 'x'; DELETE FROM victims; --'

-- name: t00 an escape string with an octal quote
-- protocol: simple
SELECT E'a\047'; DELETE FROM victims; --'

-- name: t00 an escape string with a hexadecimal quote
-- protocol: simple
SELECT E'\x27'; DELETE FROM victims; --'

-- name: t00 an escape string with a unicode quote
-- protocol: simple
SELECT E'\u0027'; DELETE FROM victims; --'

-- name: t00 a lower-case escape string
-- protocol: simple
SELECT e'\''; DELETE FROM victims; --'

-- name: t00 a unicode string with a quote
-- protocol: simple
SELECT U&'\0027'; DELETE FROM victims; --'

-- name: t00 a unicode string with another escape character
-- protocol: simple
SELECT U&'!0027' UESCAPE '!'; DELETE FROM victims; --'

-- name: t00 a unicode string in which a backslash is no escape
-- protocol: simple
SELECT U&'\' UESCAPE '!'; DELETE FROM victims; --'

-- name: t00 a unicode string with a six-digit escape
-- protocol: simple
SELECT U&'\+000027'; DELETE FROM victims; --'

-- name: t00 a bit string
-- protocol: simple
SELECT B'01', X'1F'; DELETE FROM victims; --'

-- name: t00 a national string
-- protocol: simple
SELECT N'\'; DELETE FROM victims; --'

-- name: t00 a string continued on the next line
-- protocol: simple
SELECT 'a'
'; SELECT '; DELETE FROM victims

-- name: t00 an escape string continued on the next line keeps its escapes
-- protocol: simple
SELECT E'a'
'\''; DELETE FROM victims; --'

-- name: t00 a string continued over a comment
-- protocol: simple
SELECT 'a' -- '
'b'; DELETE FROM victims

-- name: t00 doubled quotes
-- protocol: simple
SELECT ''''; DELETE FROM victims; --'

-- name: t00 k$$ is a word
-- protocol: simple
SELECT 1 AS k$$; DELETE FROM victims; --$$

-- name: t00 a dollar tag in a word
-- protocol: simple
SELECT 1 AS a$b$; DELETE FROM victims; --$b$

-- name: t00 a dollar string that ends early
-- protocol: simple
SELECT $a$ $b$ $a$; DELETE FROM victims; --$b$

-- name: t00 dollar tags differ in case
-- protocol: simple
SELECT $a$ $A$ $a$; DELETE FROM victims; -- $A$

-- name: t00 a dollar string in a dollar string
-- protocol: simple
SELECT $a$ $$ $a$; DELETE FROM victims; --$$

-- name: t00 a dollar tag of letters beyond ASCII
-- protocol: simple
SELECT $é$ ' $é$; DELETE FROM victims; --'

-- name: t00 an empty dollar string
-- protocol: simple
SELECT $$$$; DELETE FROM victims; --$$

-- name: t00 a dollar that begins no tag
-- protocol: simple
SELECT $$a$b$$; DELETE FROM victims; --$b$

-- name: t00 comments that nest
-- protocol: simple
SELECT 1 /* /* */ */; DELETE FROM victims; /* */

-- name: t00 a comment's end in a line comment
-- protocol: simple
SELECT 1 /* -- */; DELETE FROM victims

-- name: t00 a quote in a comment
-- protocol: simple
SELECT 1 /* ' */; DELETE FROM victims /* ' */

-- name: t00 a dollar quote in a comment
-- protocol: simple
SELECT 1 /* $$ */; DELETE FROM victims /* $$ */

-- name: t00 a comment's beginning in a string
-- protocol: simple
SELECT '/*'; DELETE FROM victims; --*/

-- name: t00 a comment's beginning in a quoted name
-- protocol: simple
SELECT 1 AS "/*"; DELETE FROM victims; --*/

-- name: t00 a comment inside of an operator
-- protocol: simple
SELECT 1 +/* */ 1; DELETE FROM victims --*/

-- name: t00 a comment that an operator's characters lead to
-- protocol: simple
SELECT 2 */* x */ 3; DELETE FROM victims

-- name: t00 a line comment that an operator's characters lead to
-- protocol: simple
SELECT 2 +-- 3;
3; DELETE FROM victims

-- name: t00 a comment in place of white space
DELETE/**/FROM/**/victims

-- name: t00 a comment that names another statement
/* SELECT */ DELETE FROM victims

-- name: t00 a hint-like comment
/*+ SELECT 1 */ DELETE FROM victims

-- name: t00 a version comment of another product
/*!50000 SELECT 1; */ DELETE FROM victims

-- name: t00 a line comment ended by a carriage return
-- escapes: yes
--x\u{d}DELETE FROM victims

-- name: t00 a line comment ended by a carriage return, behind a statement
-- protocol: simple
-- escapes: yes
SELECT 1 -- '\u{d}; DELETE FROM victims --'

-- name: t00 form feeds
-- escapes: yes
\u{c}DELETE\u{c}FROM\u{c}victims

-- name: t00 tabs and line breaks
-- escapes: yes
DELETE\u{9}\u{d}\u{a}FROM\u{a}\u{a}victims

-- name: t00 a no-break space is a letter
-- protocol: simple
-- escapes: yes
SELECT 1 AS \u{a0}; DELETE FROM victims

-- name: t00 a byte order mark is a letter
-- protocol: simple
-- escapes: yes
SELECT 1 AS \u{feff}; DELETE FROM victims

-- name: t00 a line separator is a letter
-- protocol: simple
-- escapes: yes
SELECT 1 AS \u{2028}; DELETE FROM victims

-- name: t00 a line separator in a line comment that ends later
-- protocol: simple
-- escapes: yes
SELECT 1 --\u{2028}
; DELETE FROM victims

-- name: t00 a next line that ends no comment
-- protocol: simple
-- escapes: yes
SELECT 1 --\u{85}'
; DELETE FROM victims --'

-- name: t00 an ideographic space in a quoted name
-- protocol: simple
-- escapes: yes
SELECT 1 AS "\u{3000}"; DELETE FROM victims

-- name: t00 a right-to-left override
-- protocol: simple
-- escapes: yes
SELECT 1 AS "\u{202e}"; DELETE FROM victims; --

-- name: t00 any case
dElEtE fRoM vIcTiMs

-- name: t00 many statements
-- protocol: simple
SELECT 1; SELECT 2; SELECT 3; DELETE FROM victims

-- name: t00 a statement in the middle
-- protocol: simple
SELECT 1; DELETE FROM victims; SELECT 2

-- name: t00 empty statements in front
;;; DELETE FROM victims

-- name: t00 an empty statement behind
DELETE FROM victims;;

-- name: t00 very many harmless statements in front
-- protocol: simple
SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; SELECT 1; DELETE FROM victims

-- name: t00 a transaction around it
-- protocol: simple
-- transaction: no
BEGIN; DELETE FROM victims; COMMIT

-- name: t00 a read-only transaction that is left
-- protocol: simple
-- transaction: no
BEGIN READ ONLY; COMMIT; DELETE FROM victims

-- name: t00 a read-only transaction that is made writable
-- protocol: simple
-- transaction: no
BEGIN READ ONLY; SET TRANSACTION READ WRITE; DELETE FROM victims; COMMIT

-- name: t00 a savepoint around it
-- protocol: simple
-- transaction: no
BEGIN; SAVEPOINT a; DELETE FROM victims; RELEASE a; COMMIT

-- name: t00 a failure that is rolled back before it
-- protocol: simple
-- transaction: no
BEGIN; SAVEPOINT a; ROLLBACK TO a; DELETE FROM victims; COMMIT

-- name: t00 BEGIN ATOMIC's semicolon belongs to the function
-- protocol: simple
CREATE FUNCTION b() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; DELETE FROM victims

-- name: t00 numbers beside words
-- protocol: simple
SELECT 1.; DELETE FROM victims

-- name: t00 a number with an exponent
-- protocol: simple
SELECT 1e5; DELETE FROM victims

-- name: t00 an operator of many characters
-- protocol: simple
SELECT 1 <@ int4range(1, 2); DELETE FROM victims

