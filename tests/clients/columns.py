"""Reads configured columns in binary format."""

import psycopg

with psycopg.connect() as connection, connection.cursor(binary=True) as cursor:
    print(cursor.execute("SELECT name, born FROM people WHERE id = %s", (1,)).fetchone())
