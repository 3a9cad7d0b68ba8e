"""asyncpg under the read-only policy: its own start-up and reset, prepared statements, types it has to ask for."""

import asyncio
import os

import asyncpg


async def main():
    options = {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "user": os.environ["PGUSER"],
               "password": os.environ["PGPASSWORD"], "database": os.environ["PGDATABASE"], "ssl": "prefer"}
    connection = await asyncpg.connect(**options)
    # SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL
    await connection.reset()
    assert await connection.fetchval("SELECT $1::int + 1", 41) == 42
    statement = await connection.prepare("SELECT id, email FROM customers WHERE id <= $1 ORDER BY id")
    for limit in (3, 5, 3):
        rows = await statement.fetch(limit)
        assert len(rows) == limit and "example.org" not in rows[0]["email"], rows
    # Types that are not built in are read from the catalog.
    row = await connection.fetchrow("SELECT mood, pair, moods, range FROM moods")
    assert (row["mood"], row["moods"], row["range"].upper) == ("happy", ["sad", "happy"], 5), row
    assert (row["pair"]["first"], row["pair"]["second"]) == (1, "x"), row
    async with connection.transaction(readonly=True):
        numbers = [row["id"] async for row in connection.cursor("SELECT id FROM customers ORDER BY id", prefetch=100)]
        assert numbers == list(range(1, 1001)), len(numbers)
    for sql in ("DELETE FROM victim", "SELECT pg_sleep(0)", "CREATE TABLE made (id int)"):
        try:
            await connection.fetch(sql)
            raise SystemExit(f"{sql} passed")
        except asyncpg.InsufficientPrivilegeError as error:
            assert "sluice" in str(error), error
    assert await connection.fetchval("SELECT 7") == 7
    await connection.close()

    # Connections that come back to a pool are reset.
    async with asyncpg.create_pool(min_size=2, max_size=4, **options) as pool:
        async def one(number):
            async with pool.acquire() as pooled:
                return await pooled.fetchval("SELECT $1::int", number)

        assert await asyncio.gather(*(one(number) for number in range(40))) == list(range(40))

    print("ok")


asyncio.run(main())
