"""What the Python clients share: where the gateway is, and what each tries that is denied."""

import os

HOST = os.environ["PGHOST"]
PORT = int(os.environ["PGPORT"])
USER = os.environ["PGUSER"]
PASSWORD = os.environ["PGPASSWORD"]
DATABASE = os.environ["PGDATABASE"]


def url(scheme="postgresql"):
    return f"{scheme}://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"


def writes():
    """Statements that change something, one a line of the file that the test names."""
    with open(os.environ["WRITES"], encoding="utf-8") as file:
        return file.read().splitlines()


def check(holds, *what):
    """As assert, which does nothing under python -O."""
    if not holds:
        raise SystemExit(f"unexpected: {what}")


def sqlstate_of(error):
    """The SQLSTATE of a driver's error, whichever of its wrappers holds it."""
    while error is not None:
        for name in ("sqlstate", "pgcode"):
            if getattr(error, name, None):
                return getattr(error, name)
        error = getattr(error, "orig", None) or error.__cause__
    return None


def denied(run, *what):
    """Runs what the gateway has to deny."""
    try:
        run(*what)
    except Exception as error:
        check(sqlstate_of(error) == "42501" and "sluice" in str(error), what, repr(error))
    else:
        raise SystemExit(f"passed: {what}")
