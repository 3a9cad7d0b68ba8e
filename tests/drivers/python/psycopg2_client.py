"""psycopg2: sessions, its own cursors, types, COPY, and writes that are denied."""

import io

import psycopg2
import psycopg2.extras

from common import check, denied, url, writes

connection = psycopg2.connect(url())
# SET TRANSACTION, SET SESSION CHARACTERISTICS and SHOW.
connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
connection.set_client_encoding("UTF8")
with connection, connection.cursor() as cursor:
    cursor.execute("SELECT id, name, email FROM authors WHERE id <= %s ORDER BY id", (3,))
    rows = cursor.fetchall()
    check(len(rows) == 3 and "example.org" not in rows[0][2], rows)
    check([column.name for column in cursor.description] == ["id", "name", "email"], cursor.description)
    # Composite types and enumerations are looked up in the catalog.
    psycopg2.extras.register_composite("place", cursor)
    cursor.execute("SELECT home, extra, tags, mood, born FROM authors WHERE id = ANY(%s)", ([1, 2],))
    home, extra, tags, mood, born = cursor.fetchone()
    check((home.street, extra, tags, mood) == ("Main Street", {"rank": 1}, ["a", "b1"], "busy"), home, extra, tags)
    cursor.execute("EXPLAIN SELECT * FROM books WHERE price > 3")
    check(cursor.fetchall(), "no plan")
with connection, connection.cursor(name="many") as cursor:
    cursor.itersize = 30
    cursor.execute("SELECT id FROM books ORDER BY id")
    check([row[0] for row in cursor] == list(range(1, 101)), "a cursor on the server")
with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
    cursor.execute("SELECT count(*) AS books, avg(price)::float FROM books")
    check(cursor.fetchone()["books"] == 100)
    file = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, title FROM books) TO STDOUT WITH CSV HEADER", file)
    check(len(file.getvalue().splitlines()) == 101)
connection.reset()

connection.set_session(isolation_level="DEFAULT", readonly=False, autocommit=True)
with connection.cursor() as cursor:
    for sql in writes():
        denied(cursor.execute, sql)
        cursor.execute("SELECT 7")
        check(cursor.fetchone() == (7,), sql)
    denied(cursor.copy_expert, "COPY authors (name) FROM STDIN", io.StringIO("Mallory\n"))
    denied(psycopg2.extras.execute_values, cursor, "INSERT INTO authors (name) VALUES %s", [("Mallory",), ("Eve",)])
connection.autocommit = False
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    denied(cursor.execute, "DROP TABLE books")
    try:
        cursor.execute("SELECT 1")
        raise SystemExit("the transaction has not failed")
    except psycopg2.errors.InFailedSqlTransaction:
        connection.rollback()
    cursor.execute("SELECT count(*) FROM books")
    check(cursor.fetchone() == (100,))
connection.close()
print("ok")
