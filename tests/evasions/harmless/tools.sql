-- name: t25 pg_dump's preamble
-- protocol: simple
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET xmloption = content; SET client_min_messages = warning; SET synchronize_seqscans TO off; SET quote_all_identifiers = true; RESET ALL

-- name: t25 pg_dump's search path
-- protocol: simple
SELECT pg_catalog.set_config('search_path', '', false); RESET search_path

-- name: t25 a search path without anything of users
-- protocol: simple
BEGIN; SET LOCAL search_path TO pg_catalog; SELECT count(*) FROM public.orders; COMMIT

-- name: t25 pg_dump's locks
-- protocol: simple
BEGIN; LOCK TABLE customers, orders IN ACCESS SHARE MODE; COMMIT

-- name: t09 a plan without sequential scans
-- protocol: simple
SET enable_seqscan = off; EXPLAIN SELECT * FROM orders WHERE customer = 3; RESET enable_seqscan

-- name: t09 a plan of a change with keys
EXPLAIN DELETE FROM customers WHERE id = 1

-- name: t09 a plan of a change with a sequence
EXPLAIN INSERT INTO ticket (what) VALUES ('x')

-- name: t09 a plan of a call that is not folded
EXPLAIN SELECT wipe_plpgsql()

-- name: t15 how tables bloat
SELECT schemaname, tablename, avg_width, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'public'

-- name: t15 psql's list of subscriptions
SELECT subname AS "Name", pg_catalog.pg_get_userbyid(subowner) AS "Owner", subenabled AS "Enabled" FROM pg_catalog.pg_subscription

-- name: t15 psql's list of user mappings
SELECT um.srvname AS "Server", um.usename AS "User name" FROM pg_catalog.pg_user_mappings um ORDER BY 1, 2
