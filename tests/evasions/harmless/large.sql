-- name: t14 many rows
VALUES {many 600 (1, 'DROP'), }(2, 'x')

-- name: t14 a long IN
SELECT id FROM customers WHERE id IN ({many 600 7, }8)

-- name: t14 a long sum
SELECT {many 100 1 + }1

-- name: t14 many columns
SELECT {many 800 1, }2

-- name: t14 a long string
SELECT '{many 1000 DELETE FROM victims; }'

-- name: t14 a long comment
SELECT 1 /* {many 1000 DELETE FROM victims; } */

-- name: t14 many set operations
{many 300 SELECT 1 UNION ALL }SELECT 2

-- name: t14 many statements
-- protocol: simple
{many 200 SELECT 1; }SELECT 2

-- name: t14 brackets
SELECT {many 300 (}1{many 300 )}

-- name: t14 calls in calls
SELECT {many 100 abs(}1{many 100 )}
