-- name: t14 a number in the last of many rows
SELECT f(x) FROM (VALUES {many 600 (1), }(2)) v(x) LIMIT 1
-- against
SELECT f(x) FROM (VALUES {many 600 (1), }(2.0)) v(x) LIMIT 1

-- name: t14 a number in one of many rows
SELECT f(x) FROM (VALUES {many 200 (1), }(2){many 200 , (3)}) v(x) LIMIT 1
-- against
SELECT f(x) FROM (VALUES {many 200 (1), }(2000000000000){many 200 , (3)}) v(x) LIMIT 1

-- name: t14 a number in the last of a long array
SELECT f((ARRAY[{many 600 1, }2])[1])
-- against
SELECT f((ARRAY[{many 600 1, }2.0])[1])

-- name: t14 a number in the last of many set operations
SELECT f(x) FROM ({many 50 SELECT 1 UNION ALL }SELECT 2) v(x) LIMIT 1
-- against
SELECT f(x) FROM ({many 50 SELECT 1 UNION ALL }SELECT 2.0) v(x) LIMIT 1

-- name: t14 a number in a long sum
SELECT f({many 100 1 + }1)
-- against
SELECT f({many 100 1 + }1.0)

-- name: t14 a number in the arguments of a variadic function
SELECT list(1)
-- against
SELECT list(1, {many 20 2, }3)
