"""Reads values that are computed from configured columns, by both protocols and in both formats."""

import sys

import psycopg

# The first argument is what no answer may contain, the others are statements.
secret, *statements = sys.argv[1:]

with psycopg.connect(autocommit=True) as connection:
    for statement in statements:
        for binary in (False, True):
            # A statement that is prepared is described once and run again.
            for prepare in (False, True, True):
                with connection.cursor(binary=binary) as cursor:
                    cursor.execute(statement, (), prepare=prepare)
                    result = cursor.pgresult
                    for row in range(result.ntuples):
                        for column in range(result.nfields):
                            value = result.get_value(row, column)
                            shown = (value or b"").lower()
                            assert secret.encode() not in shown, (statement, binary, prepare, value)
                    print(result.ntuples, end=" ")
