"""COPY in and out of as many rows as the argument says."""

import sys

import psycopg

ROWS = int(sys.argv[1])

with psycopg.connect() as connection:
    connection.execute("DROP TABLE IF EXISTS copied")
    connection.execute("CREATE TABLE copied (id int, email text)")
    with connection.cursor().copy("COPY copied FROM STDIN") as copy:
        for number in range(ROWS):
            copy.write_row((number, f"user{number}@example.org"))
    connection.commit()
    came = connection.execute("SELECT count(*) FROM copied").fetchone()[0]
    rows = readable = 0
    with connection.cursor().copy("COPY copied TO STDOUT") as copy:
        for row in copy.rows():
            rows += 1
            readable += "example" in row[1]
    print(f"{came} in, {rows} out, {readable} readable")
