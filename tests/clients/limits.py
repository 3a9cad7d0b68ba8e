"""psycopg 3: a statement over its limit of rows is an error that says what to do, and the connection goes on."""

import psycopg

with psycopg.connect(autocommit=True) as connection:
    for _ in range(3):
        try:
            connection.execute("SELECT g FROM log").fetchall()
            raise SystemExit("no limit")
        except psycopg.errors.ProgramLimitExceeded as error:
            assert error.diag.message_hint.startswith("Ask for fewer rows: LIMIT 10"), error
        rows = connection.execute("SELECT g FROM log LIMIT %s", (7,)).fetchall()
        assert len(rows) == 7, rows
    # In a transaction the rest fails until it is rolled back.
    try:
        with connection.transaction():
            connection.execute("SELECT g FROM log LIMIT 11").fetchall()
        raise SystemExit("no limit")
    except psycopg.errors.ProgramLimitExceeded:
        pass
    with connection.cursor("by_parts") as cursor, connection.transaction():
        cursor.execute("SELECT g FROM log LIMIT 30")
        assert len(cursor.fetchmany(5)) == 5
print("ok")
