SELECT encode(sha256(convert_to(string_agg(
  concat_ws('|', oid, pronamespace, proname, prolang, proargtypes, prosrc, prosecdef, proconfig,
    CASE WHEN prolang = 14 THEN to_jsonb(p) ->> 'prosqlbody' END),
  E'\n' ORDER BY oid), 'UTF8')), 'hex')
FROM pg_catalog.pg_proc p WHERE oid < 10000
