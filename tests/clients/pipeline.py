"""psycopg 3: a pipeline with a denied statement in the middle, savepoints, server-side cursors, binary values."""

import datetime

import psycopg

with psycopg.connect(autocommit=True) as connection:
    # One Sync between each: only the denied one fails.
    with connection.pipeline() as pipeline:
        before = connection.execute("SELECT %s::int", (1,))
        pipeline.sync()
        # The error may be there before the statement's sync is sent.
        try:
            denied = connection.execute("DELETE FROM victim WHERE id > %s", (0,))
            pipeline.sync()
            denied.fetchall()
            raise SystemExit("the DELETE passed")
        except psycopg.errors.InsufficientPrivilege as error:
            assert "nothing is deleted here" in str(error), error
        after = connection.execute("SELECT %s::int", (3,))
        pipeline.sync()
        assert before.fetchone() == (1,) and after.fetchone() == (3,)

    # One Sync for all: what stands behind the denied one is aborted.
    failure = None
    try:
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("DELETE FROM victim")
            connection.execute("SELECT 3")
    except psycopg.errors.InsufficientPrivilege as error:
        failure = error
    assert failure is not None
    assert connection.execute("SELECT count(*) FROM victim").fetchone() == (10,)

    # A denied statement inside of a savepoint rolls back to it and no further.
    with connection.transaction():
        connection.execute("CREATE TEMP TABLE kept (id int) ON COMMIT DROP")
        connection.execute("INSERT INTO kept VALUES (1)")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO kept VALUES (2)")
                connection.execute("DELETE FROM kept")
        except psycopg.errors.InsufficientPrivilege:
            pass
        assert connection.execute("SELECT array_agg(id) FROM kept").fetchone() == ([1],)

    # Cursors on the server, fetched in parts.
    with connection.transaction(), connection.cursor("named") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT id, email FROM customers ORDER BY id")
        rows = cursor.fetchall()
        assert len(rows) == 1000 and rows[-1][0] == 1000, len(rows)
        assert not any("example.org" in row[1] for row in rows), rows[0]
    with connection.transaction(), connection.cursor("scrolled", scrollable=True, binary=True) as cursor:
        cursor.execute("SELECT id FROM customers ORDER BY id")
        cursor.scroll(500)
        assert cursor.fetchone() == (501,)
        cursor.scroll(0, mode="absolute")
        assert cursor.fetchmany(2) == [(1,), (2,)]

    # Values that are no text, both ways, prepared at once.
    values = (7, 2.5, True, b"\x00\xff", datetime.date(2024, 2, 29), [1, None, 3], None)
    sql = "SELECT %b::int, %b::float8, %b::bool, %b::bytea, %b::date, %b::int[], %b::text"
    for _ in range(8):
        row = connection.execute(sql, values, prepare=True, binary=True).fetchone()
        assert row == values, row

    # Rows of one statement as they come.
    with connection.cursor() as cursor:
        assert sum(1 for _ in cursor.stream("SELECT generate_series(1, 1000)")) == 1000
    with connection.cursor() as cursor:
        cursor.executemany("SELECT %s::int", [(number,) for number in range(50)], returning=True)
        count = 1
        while cursor.nextset():
            count += 1
        assert count == 50, count
print("ok")
