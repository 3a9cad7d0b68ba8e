-- name: t14 a call behind a long comment
/* {many 500 harmless words } */ DELETE FROM victims

-- name: t14 a statement behind very many
-- protocol: simple
{many 500 SELECT 1; }DELETE FROM victims

-- name: t14 a statement behind a long string
-- protocol: simple
SELECT '{many 1000 harmless }'; DELETE FROM victims

-- name: t14 a call in the last of many rows
VALUES {many 600 (1), }(wipe())

-- name: t14 a call in one of many rows
VALUES {many 300 (1), }(wipe()){many 300 , (2)}

-- name: t14 a call in the last place of a long IN
SELECT 1 FROM customers WHERE id IN ({many 600 7, }wipe())

-- name: t14 a call in a long array
SELECT ARRAY[{many 600 7, }wipe()]

-- name: t14 a call in brackets
SELECT {many 500 (}wipe(){many 500 )}

-- name: t14 a call in calls
SELECT {many 200 abs(}wipe(){many 200 )}

-- name: t14 a call at the end of a long sum
SELECT {many 1000 1 + }wipe()

-- name: t14 a call in nested sub-queries
SELECT {many 60 (SELECT }wipe(){many 60 )}

-- name: t14 a call in a long CASE
SELECT CASE {many 300 WHEN false THEN 1 }ELSE wipe() END

-- name: t14 a call behind many ANDs
SELECT 1 WHERE {many 500 true AND }wipe() = 1

-- name: t14 a call in the last of many set operations
{many 300 SELECT 1 UNION ALL }SELECT wipe()

-- name: t14 a view below many sub-queries
SELECT n FROM {many 40 (SELECT * FROM }v_wipe{many 40 ) x}

-- name: t14 a call in the last of many columns
SELECT {many 800 1, }wipe()

-- name: t14 an INSERT of many rows
INSERT INTO log VALUES {many 600 ('x'), }('y')
