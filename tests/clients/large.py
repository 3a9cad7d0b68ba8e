"""A value of as many megabytes as the argument says, both ways, with personal data at its ends."""

import sys

import psycopg

MEGABYTES = int(sys.argv[1])
EMAIL = "ada@example.org"

with psycopg.connect() as connection:
    value = f"{EMAIL} {'x ' * (MEGABYTES * 500_000)}{EMAIL}"
    # It goes up unmasked: the server counts it.
    count = connection.execute("SELECT length(%s::text)", (value,)).fetchone()[0]
    assert count == len(value), count
    sql = f"SELECT '{EMAIL} ' || repeat('x ', {MEGABYTES} * 500000) || '{EMAIL}'"
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            back = cursor.execute(sql).fetchone()[0]
            assert len(back) == len(value), len(back)
            assert EMAIL not in back[:40] and EMAIL not in back[-40:], (back[:40], back[-40:])
            assert back[100:-100] == value[100:-100]
    large = connection.execute("SELECT lo_from_bytea(0, convert_to(%s, 'UTF8'))", (value[:1_000_000],)).fetchone()[0]
    assert connection.execute("SELECT length(lo_get(%s))", (large,)).fetchone()[0] == min(len(value), 1_000_000)
print(f"{MEGABYTES} MB both ways, masked at both ends")
