"""asyncpg reads arrays, rows, ranges and hstore in binary format: what was masked in them has kept its place."""

import asyncio
import os

import asyncpg

CARD = "4111111111111111"
MASK = "*" * len(CARD)
MAIL = "***@***********"


async def main():
    options = {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "user": os.environ["PGUSER"],
               "password": os.environ["PGPASSWORD"], "database": os.environ["PGDATABASE"]}
    connection = await asyncpg.connect(**options)
    await connection.set_builtin_type_codec("hstore", codec_name="pg_contrib.hstore")
    for count in (1, 3000):
        person = "ROW('ada@example.org', rpad($1, 48), i)::n_person"
        family = f"SELECT ROW(array_agg({person}), array_agg('ada@example.org'::n_mail))::n_family"
        read = await connection.fetchval(f"{family} FROM generate_series(1, $2) i", CARD, count)
        people = [tuple(person) for person in read["people"]]
        assert people == [(MAIL, MASK + " " * 32, i + 1) for i in range(count)], people[:2]
        assert read["mails"] == [MAIL] * count
        ranges = await connection.fetchval("SELECT array_agg(n_range($1, rpad($1, 48))) FROM generate_series(1, $2)",
                                           CARD, count)
        assert [(value.lower, value.upper) for value in ranges] == [(MASK, MASK + " " * 32)] * count
        store = await connection.fetchval("SELECT hstore(array_agg('k' || i), array_agg(rpad($1, 48)))"
                                          " FROM generate_series(1, $2) i", CARD, count)
        assert store == {f"k{i + 1}": MASK + " " * 32 for i in range(count)}
    await connection.close()
    print("read")


asyncio.run(main())
