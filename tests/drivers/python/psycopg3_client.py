"""psycopg 3: its own cursors, types, prepared statements, pipeline, COPY, and writes that are denied."""

import psycopg
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

from common import check, denied, url, writes

with psycopg.connect(url(), application_name="reports") as connection:
    connection.read_only = True
    rows = connection.execute("SELECT id, name, email FROM authors WHERE id <= %s ORDER BY id", (3,)).fetchall()
    check(len(rows) == 3 and "example.org" not in rows[0][2], rows)
    connection.commit()
    # Types that are not built in are looked up in the catalog.
    register_composite(CompositeInfo.fetch(connection, "place"), connection)
    register_enum(EnumInfo.fetch(connection, "mood"), connection)
    check(TypeInfo.fetch(connection, "jsonb") is not None)
    check(TypeInfo.fetch(connection, "hstore") is None)
    with connection.cursor(binary=True) as cursor:
        cursor.execute("SELECT home, extra, tags, mood, born FROM authors WHERE id = ANY(%s)", ([1, 2],))
        home, extra, tags, mood, born = cursor.fetchone()
        check((home.street, extra, tags, mood.name) == ("Main Street", {"rank": 1}, ["a", "b1"], "busy"), home, extra)
    with connection.cursor("many") as cursor:
        cursor.itersize = 30
        cursor.execute("SELECT id FROM books ORDER BY id")
        check([row[0] for row in cursor] == list(range(1, 101)), "a cursor on the server")
    with connection.cursor(row_factory=dict_row) as cursor:
        # Prepared on the server from the first time on.
        for number in (1, 2, 3):
            cursor.execute("SELECT title FROM books WHERE id = %s", (number,), prepare=True)
            check(cursor.fetchone() == {"title": f"Book {number}"})
        with cursor.copy("COPY (SELECT id, title FROM books) TO STDOUT") as copy:
            check(sum(1 for _ in copy.rows()) == 100)
        cursor.execute("EXPLAIN (FORMAT JSON) SELECT * FROM books WHERE price > %s", (3,))
        check("Plan" in cursor.fetchone()["QUERY PLAN"][0])
    connection.commit()

    connection.read_only = False
    connection.autocommit = True
    for sql in writes():
        denied(connection.execute, sql)
        check(connection.execute("SELECT 7").fetchone() == (7,), sql)

    def copy_in():
        with connection.cursor().copy("COPY authors (name) FROM STDIN") as copy:
            copy.write_row(("Mallory",))

    denied(copy_in)
    denied(connection.cursor().executemany, "INSERT INTO authors (name) VALUES (%s)", [("Mallory",), ("Eve",)])
    with connection.pipeline():
        first = connection.execute("SELECT 1")
        check(first.fetchone() == (1,))
    with connection.transaction():
        check(connection.execute("SELECT count(*) FROM books").fetchone() == (100,))
print("ok")
