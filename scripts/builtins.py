#!/usr/bin/env python3
"""Writes parsers/data/: what PostgreSQL 12 to 18 have built in, asked from real servers of each version.

Usage: scripts/builtins.py            (`make builtins` fetches the servers first)

One row stands for what is the same in a range of versions. The last column of functions.tsv (what a function does) and
of relations.tsv (what it tells) is judgement, not data: it is kept for each signature that a file already has, and a new
one gets `?`, which a test refuses until someone has thought about it.

Objects that initdb numbers (OIDs from 10000) have other OIDs in other builds. They get numbers of our own in that range,
in the order of their names; a reader of a server's catalog has to find them by name.
"""

import pathlib

from servers import MAJORS, Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "parsers" / "data"
FIRST_UNSTABLE = 10000
FIRST_OF_USERS = 16384
SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")

# Each query's first columns are the OID (0 if there is none), the schema and the name.
FUNCTIONS = """
SELECT p.oid, n.nspname, p.proname, p.prokind, p.proargtypes,
  coalesce((SELECT string_agg(coalesce(p.proargnames[i], ''), ',' ORDER BY m IN ('o', 't'), i)
    FROM unnest(coalesce(p.proargmodes, array_fill('i'::"char", ARRAY[p.pronargs::int]))) WITH ORDINALITY a(m, i)
    WHERE p.proargnames IS NOT NULL), ''),
  coalesce((SELECT string_agg(coalesce(p.proargnames[i], '') || ':' || p.proallargtypes[i], ' ' ORDER BY i)
    FROM unnest(p.proargmodes) WITH ORDINALITY a(m, i) WHERE m IN ('o', 'b', 't')), ''),
  coalesce((SELECT string_agg(pg_get_function_arg_default(p.oid, i), ';' ORDER BY i)
    FROM generate_series(p.pronargs - p.pronargdefaults + 1, p.pronargs) i WHERE p.pronargdefaults > 0), ''),
  p.provariadic, p.prorettype,
  concat(CASE WHEN p.proretset THEN 's' END, CASE WHEN p.proisstrict THEN 'n' END, CASE WHEN p.prosecdef THEN 'd' END),
  p.provolatile, l.lanname, CASE WHEN l.lanname IN ('internal', 'c') THEN p.prosrc ELSE '' END,
  coalesce((SELECT concat_ws(' ', aggtransfn::oid, nullif(aggfinalfn::oid, 0), nullif(aggcombinefn::oid, 0),
      nullif(aggserialfn::oid, 0), nullif(aggdeserialfn::oid, 0), nullif(aggmtransfn::oid, 0),
      nullif(aggminvtransfn::oid, 0), nullif(aggmfinalfn::oid, 0))
    FROM pg_aggregate g WHERE g.aggfnoid = p.oid), '')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
"""

# `true array` as the server means it; before 14 there was no typsubscript.
TYPES = """
SELECT t.oid, n.nspname, t.typname,
  CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'a' ELSE t.typtype END,
  t.typcategory, CASE WHEN t.typispreferred THEN 'p' ELSE '' END, t.typelem, t.typarray,
  CASE t.typtype WHEN 'c' THEN t.typrelid WHEN 'd' THEN t.typbasetype
    WHEN 'r' THEN (SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid)
    WHEN 'm' THEN {multirange} ELSE 0 END,
  coalesce((SELECT string_agg(pg_get_expr(conbin, 0), ';' ORDER BY conname) FROM pg_constraint WHERE contypid = t.oid), ''),
  coalesce(t.typdefault, '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype <> 'c' OR t.typrelid < {first_of_users}
"""

# What a view reads stands in its rule alone: nothing depends on a catalog, as those cannot be dropped.
RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltype,
  CASE WHEN c.relkind = 'i' THEN '' ELSE
    (SELECT string_agg(attnum || ':' || attname || ':' || atttypid, ' ' ORDER BY attnum)
     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) END,
  coalesce((SELECT string_agg(DISTINCT read, ' ') FROM (
    SELECT found[1] AS read
      FROM pg_rewrite w CROSS JOIN regexp_matches(w.ev_action::text, ':relid (\\d+)', 'g') found
      WHERE w.ev_class = c.oid AND found[1]::oid <> c.oid
    -- pg_get_viewdef and pg_get_ruledef ask by a statement of their own.
    UNION SELECT 'pg_rewrite'::regclass::oid::text
      FROM pg_rewrite w WHERE w.ev_class = c.oid
        AND w.ev_action::text ~ ':funcid (1573|1640|1641|2504|2505|2506|3159) ') reads), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
"""

OPERATORS = """
SELECT o.oid, n.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, o.oprcode::oid
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
"""

CASTS = "SELECT 0, '', '', castsource, casttarget, castfunc, castcontext, castmethod FROM pg_cast"


class Numbers:
    """OIDs of one catalog that are the same on every build."""

    def __init__(self, names):
        self.own = {name: FIRST_UNSTABLE + rank for rank, name in enumerate(sorted(names))}

    def of(self, oid, name):
        return oid if oid < FIRST_UNSTABLE else self.own[name]


class Version:
    """The objects of one server, by kind."""

    def __init__(self, server):
        multirange = "0"
        if server.major >= 14:
            multirange = "(SELECT rngtypid FROM pg_range WHERE rngmultitypid = t.oid)"
        types = TYPES.format(multirange=multirange, first_of_users=FIRST_OF_USERS)
        self.major = server.major
        self.functions = self.own(server.rows(FUNCTIONS))
        self.types = self.own(server.rows(types))
        self.relations = self.own(server.rows(RELATIONS))
        self.operators = self.own(server.rows(OPERATORS))
        self.casts = server.rows(CASTS)
        self.checksum = server.psql((DATA / "checksum.sql").read_text()).stdout.strip()
        # A toast table of a relation that initdb numbers has that number in its name: it cannot be known.
        self.relations = [r for r in self.relations if not (r[1] == "pg_toast" and self.number_in(r[2]) >= FIRST_UNSTABLE)]
        self.relation_names = {row[0]: f"{row[1]}.{row[2]}" for row in self.relations}
        self.types = [t for t in self.types if t[3] != "c" or t[8] in self.relation_names]
        self.type_names = {row[0]: f"{row[1]}.{row[2]}" for row in self.types}
        self.function_names = {row[0]: self.signature(row) for row in self.functions}

    @staticmethod
    def own(rows):
        return [row for row in rows if row[1] in SCHEMAS and int(row[0]) < FIRST_OF_USERS]

    @staticmethod
    def number_in(name):
        return int("".join(filter(str.isdigit, name)) or 0)

    def signature(self, function):
        arguments = " ".join(self.type_names[oid] for oid in function[4].split())
        return f"{function[1]}.{function[2]}({arguments})"


def main():
    versions = []
    for major in MAJORS:
        with Server(major) as server:
            versions.append(Version(server))
    types = numbers(versions, "type_names")
    relations = numbers(versions, "relation_names")
    functions = numbers(versions, "function_names")

    def type_oid(version, oid):
        return str(types.of(int(oid), version.type_names.get(oid))) if oid != "0" else "0"

    def type_oids(version, oids):
        return " ".join(type_oid(version, oid) for oid in oids.split())

    def typed(version, columns):
        """`name:type` and `number:name:type` with the type's own number."""
        parts = (column.rsplit(":", 1) for column in columns.split())
        return " ".join(f"{name}:{type_oid(version, oid)}" for name, oid in parts)

    def function_oid(version, oid):
        return str(functions.of(int(oid), version.function_names.get(oid))) if oid != "0" else "0"

    def relation_oid(version, oid):
        return str(relations.of(int(oid), version.relation_names.get(oid)))

    tables = {name: {} for name in ("functions", "types", "relations", "operators", "casts")}
    for version in versions:
        for row in version.functions:
            oid, schema, name, kind, arguments, names, outputs, defaults, variadic, returns, *rest = row
            parts = " ".join(dict.fromkeys(function_oid(version, part) for part in rest[4].split()))
            add(tables["functions"], version.major, [
                function_oid(version, oid), schema, name, kind, type_oids(version, arguments), names,
                typed(version, outputs), defaults, type_oid(version, variadic), type_oid(version, returns), *rest[:4], parts])
        for row in version.types:
            oid, schema, name, kind, category, preferred, element, array, other, checks, default = row
            other = relation_oid(version, other) if kind == "c" else type_oid(version, other)
            add(tables["types"], version.major, [
                type_oid(version, oid), schema, name, kind, category, preferred, type_oid(version, element),
                type_oid(version, array), other, checks, default])
        for row in version.relations:
            oid, schema, name, kind, row_type, columns, reads = row
            reads = " ".join(sorted((relation_oid(version, other) for other in reads.split()), key=int))
            add(tables["relations"], version.major, [
                relation_oid(version, oid), schema, name, kind, type_oid(version, row_type), typed(version, columns), reads])
        for row in version.operators:
            oid, schema, name, left, right, result, function = row
            add(tables["operators"], version.major, [
                oid, schema, name, type_oid(version, left), type_oid(version, right), type_oid(version, result),
                function_oid(version, function)])
        for _, _, _, source, target, function, context, method in version.casts:
            add(tables["casts"], version.major, [
                type_oid(version, source), type_oid(version, target), function_oid(version, function), context, method])

    names = {types.of(int(oid), name): name for version in versions for oid, name in version.type_names.items()}
    judge(tables["functions"], DATA / "functions.tsv", lambda row: (row[1], row[2], row[4]))
    judge(tables["relations"], DATA / "relations.tsv", lambda row: (row[1], row[2]))
    write("functions", tables["functions"], lambda row: (row[1], row[2], [names[int(oid)] for oid in row[4].split()]),
          "majors oid schema name kind arguments names outputs defaults variadic returns flags volatility language source parts behavior")
    write("types", tables["types"], lambda row: (row[1], row[2]),
          "majors oid schema name kind category preferred element array other checks default")
    write("relations", tables["relations"], lambda row: (row[1], row[2]),
          "majors oid schema name kind row_type columns reads tells")
    write("operators", tables["operators"], lambda row: (row[2], int(row[3]), int(row[4])),
          "majors oid schema name left right result function")
    write("casts", tables["casts"], lambda row: (int(row[0]), int(row[1])),
          "majors source target function context method")
    sums = "".join(f"{version.major}-{version.major}\t{version.checksum}\n" for version in versions)
    (DATA / "checksums.tsv").write_text("majors\tchecksum\n" + sums)


def numbers(versions, kind):
    names = {name for version in versions for oid, name in getattr(version, kind).items() if int(oid) >= FIRST_UNSTABLE}
    return Numbers(names)


def add(table, major, row):
    table.setdefault(tuple(row), []).append(major)


def judge(table, path, key):
    """Appends the judgement of the file to each row, or `?`."""
    known = {}
    if path.exists():
        for line in path.read_text().splitlines()[1:]:
            _, *row = line.split("\t")
            known[key(row)] = row[-1]
    for row in list(table):
        table[(*row, known.get(key(row), "?"))] = table.pop(row)


def write(kind, table, key, header):
    rows = []
    for row, majors in table.items():
        for first, last in spans(majors):
            rows.append((key(row), first, [f"{first}-{last}", *row]))
    rows.sort(key=lambda row: row[:2])
    lines = ["\t".join(header.split())] + ["\t".join(row) for _, _, row in rows]
    DATA.mkdir(exist_ok=True)
    (DATA / f"{kind}.tsv").write_text("\n".join(lines) + "\n")


def spans(majors):
    first = last = majors[0]
    for major in majors[1:]:
        if major != last + 1:
            yield first, last
            first = major
        last = major
    yield first, last


if __name__ == "__main__":
    main()
