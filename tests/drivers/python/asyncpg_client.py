"""asyncpg: its reset, types it has to ask for, prepared statements, COPY, a pool, and writes that are denied."""

import asyncio

import asyncpg

from common import check, sqlstate_of, url, writes


async def denied(awaitable, what):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        check(sqlstate_of(error) == "42501" and "sluice" in str(error), what, repr(error))
    else:
        raise SystemExit(f"passed: {what}")


async def collect(into, data):
    into.append(bytes(data))


async def main():
    connection = await asyncpg.connect(url())
    await connection.reset()
    rows = await connection.fetch("SELECT id, name, email FROM authors WHERE id <= $1 ORDER BY id", 3)
    check(len(rows) == 3 and "example.org" not in rows[0]["email"], rows)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
    row = await connection.fetchrow("SELECT home, extra, tags, mood, born FROM authors WHERE id = ANY($1)", [1, 2])
    check((row["home"]["street"], row["tags"], row["mood"]) == ("Main Street", ["a", "b1"], "busy"), row)
    statement = await connection.prepare("SELECT title FROM books WHERE id = $1")
    check([column.name for column in statement.get_attributes()] == ["title"])
    check(await statement.explain(3))
    async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
        numbers = [row["id"] async for row in connection.cursor("SELECT id FROM books ORDER BY id", prefetch=30)]
        check(numbers == list(range(1, 101)), "a cursor")
    parts = []
    await connection.copy_from_query("SELECT id, title FROM books", output=lambda data: collect(parts, data))
    check(b"".join(parts).count(b"\n") == 100)
    for sql in writes():
        await denied(connection.fetch(sql), sql)
        check(await connection.fetchval("SELECT 7") == 7, sql)
        await denied(connection.execute(sql), sql)
    await denied(connection.copy_records_to_table("authors", records=[("Mallory",)], columns=["name"]), "COPY")
    await denied(connection.executemany("INSERT INTO authors (name) VALUES ($1)", [("Mallory",)]), "executemany")
    await connection.close()

    async with asyncpg.create_pool(url(), min_size=2, max_size=4) as pool:
        counts = await asyncio.gather(*(pool.fetchval("SELECT count(*) FROM books") for _ in range(20)))
        check(counts == [100] * 20, counts)
        await denied(pool.execute("DROP TABLE books"), "DROP through a pool")
        check(await pool.fetchval("SELECT 7") == 7)


asyncio.run(main())
print("ok")
