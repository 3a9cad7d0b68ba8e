#!/usr/bin/env python3
"""Writes parsers/data/extensions/: the functions of well-known extensions, of every version at hand.

Usage: scripts/extensions.py          (`make builtins` fetches the servers first)

The second column is judgement and is kept. A new function gets `?`, or `body` where it is written in SQL or PL/pgSQL:
those are read, not listed.
"""

import json
import pathlib
import subprocess

from servers import MAJORS, ROOT, Server, pgvector

DATA = ROOT / "parsers" / "data" / "extensions"
PGLITE = ROOT / "target" / "extensions"
CONTRIB = ["citext", "hstore", "pg_trgm", "pgcrypto", "uuid-ossp"]

FUNCTIONS = """
SELECT p.proname || '(' || coalesce((SELECT string_agg(t.typname, ',' ORDER BY i)
    FROM unnest(p.proargtypes) WITH ORDINALITY a(oid, i) JOIN pg_type t ON t.oid = a.oid), '') || ')', l.lanname
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = '{extension}'
"""


def main():
    found = {}
    for major in MAJORS:
        with Server(major) as server:
            for extension in CONTRIB + (["pgaudit", "postgis"] if major == 15 else []):
                gather(found, extension, functions(server, extension))
    with Server(16, pgvector()) as server:
        gather(found, "vector", functions(server, "vector"))
    install_pglite()
    for extension in ["postgis", "vector"]:
        command = ["node", "run.mjs", extension, FUNCTIONS.format(extension=extension)]
        rows = subprocess.run(command, cwd=PGLITE, check=True, capture_output=True, text=True).stdout
        gather(found, extension, json.loads(rows))
    for extension, functions_found in found.items():
        write(DATA / f"{extension}.tsv", functions_found)


def functions(server, extension):
    server.psql(f'CREATE EXTENSION "{extension}"')
    return server.rows(FUNCTIONS.format(extension=extension))


def gather(found, extension, rows):
    for signature, language in rows:
        found.setdefault(extension, {}).setdefault(signature, set()).add(language)


def install_pglite():
    PGLITE.mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "scripts" / "extensions").iterdir():
        (PGLITE / path.name).write_bytes(path.read_bytes())
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PGLITE, check=True)


def write(path, functions_found):
    known = dict(line.split("\t") for line in path.read_text().splitlines()[1:]) if path.exists() else {}
    lines = ["function\tbehavior"]
    for signature, languages in sorted(functions_found.items()):
        is_read = languages <= {"sql", "plpgsql"}
        lines.append(f"{signature}\t{'body' if is_read else known.get(signature, '?')}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
