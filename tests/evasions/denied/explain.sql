-- name: t09 EXPLAIN ANALYZE DELETE
EXPLAIN ANALYZE DELETE FROM victims

-- name: t09 EXPLAIN ANALYZE VERBOSE
EXPLAIN ANALYZE VERBOSE DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE)
EXPLAIN (ANALYZE) DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE true)
EXPLAIN (ANALYZE true) DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE on)
EXPLAIN (ANALYZE on, COSTS off) DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE 'on')
EXPLAIN (ANALYZE 'on') DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE 'TRUE')
EXPLAIN (ANALYZE 'TRUE') DELETE FROM victims

-- name: t09 EXPLAIN (ANALYZE 1)
EXPLAIN (ANALYZE 1) DELETE FROM victims

-- name: t09 EXPLAIN with options that contradict, the last one counts
EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM victims

-- name: t09 EXPLAIN with quoted options
EXPLAIN ("analyze" "on") DELETE FROM victims

-- name: t09 EXPLAIN with other options around
EXPLAIN (FORMAT json, BUFFERS, ANALYZE, TIMING off) UPDATE victims SET secret = 'x'

-- name: t09 EXPLAIN ANALYZE INSERT
EXPLAIN (ANALYZE, SUMMARY off) INSERT INTO log VALUES ('x')

-- name: t09 EXPLAIN ANALYZE of a WITH that deletes
EXPLAIN ANALYZE WITH x AS (DELETE FROM victims RETURNING 1) SELECT * FROM x

-- name: t09 EXPLAIN ANALYZE of a call
EXPLAIN ANALYZE SELECT wipe()

-- name: t09 EXPLAIN ANALYZE of a view that calls
EXPLAIN ANALYZE SELECT * FROM v_wipe

-- name: t09 EXPLAIN ANALYZE CREATE TABLE AS
EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1

-- name: t09 EXPLAIN ANALYZE SELECT INTO
EXPLAIN ANALYZE SELECT 1 AS a INTO x

-- name: t09 EXPLAIN ANALYZE EXECUTE
-- protocol: simple
PREPARE p AS SELECT wipe(); EXPLAIN ANALYZE EXECUTE p

-- name: t09 EXPLAIN ANALYZE DECLARE
-- protocol: simple
EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT wipe()

-- name: t09 EXPLAIN ANALYZE REFRESH
-- shows: nothing: the view's rows are replaced by the same
EXPLAIN ANALYZE REFRESH MATERIALIZED VIEW m_customers

-- name: t09 EXPLAIN runs immutable functions while it plans
EXPLAIN SELECT calm()

-- name: t09 EXPLAIN runs immutable functions in a WHERE
EXPLAIN SELECT id FROM customers WHERE id = calm_int(1)

-- name: t09 EXPLAIN runs stable functions to estimate
EXPLAIN SELECT id FROM customers WHERE id < calm_stable()

-- name: t09 EXPLAIN runs operators of constants
EXPLAIN SELECT 1 WHERE 1 === 2

-- name: t09 EXPLAIN of a view that folds
EXPLAIN SELECT * FROM v_calm

-- name: t09 EXPLAIN of an index that folds
-- session: fresh
EXPLAIN SELECT x FROM indexed

-- name: t09 EXPLAIN of a partition that is chosen by an order of its own
EXPLAIN SELECT * FROM moods_by_range WHERE feels = 'sad'

-- name: t09 EXPLAIN of a DELETE whose WHERE folds
EXPLAIN DELETE FROM customers WHERE id = calm_int(1)

-- name: t09 EXPLAIN of a cursor that folds
EXPLAIN DECLARE c CURSOR FOR SELECT calm()

-- name: t09 EXPLAIN of EXECUTE's arguments
-- protocol: simple
PREPARE p(int) AS SELECT $1; EXPLAIN EXECUTE p(wipe())

-- name: t09 EXPLAIN VERBOSE of a folded function
EXPLAIN (VERBOSE, FORMAT yaml) SELECT 1 LIMIT calm()

-- name: t09 EXPLAIN EXECUTE evaluates what it is given
-- protocol: simple
PREPARE p(int) AS SELECT $1; EXPLAIN EXECUTE p(wipe_plpgsql())
