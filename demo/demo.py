"""The main job, end to end, on real servers: what an AI agent sees when it reaches its database through sluice.

Starts PostgreSQL with made-up customers, an OpenID Connect issuer and the gateway, all on loopback and in a folder of
its own; then an agent works, step by step. Ends with "demo: N steps, 0 failed", and non-zero if a step failed.
"""

import contextlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import psycopg

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SLUICE = pathlib.Path(os.environ.get("SLUICE_BIN", TARGET / "release" / "sluice"))
PROVIDER = ROOT / "target" / "oidc-provider"
POSTGRES = next(
    (path for path in sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None
)
AUDIENCE = "urn:sluice:orders"
CUSTOMERS = 5_000

REPORTS_CONNECT = """
@id("reports-connect")
permit (principal in Group::"crew-analytics", action == Action::"Connect", resource in Connection::"reports");
"""

# What the crew does on the connection that only observes.
REPORTS = [
    "SELECT city, count(*) FROM customers GROUP BY city ORDER BY city",
    "SELECT id, total FROM orders WHERE customer = 7 ORDER BY id",
    "UPDATE orders SET total = total + 0 WHERE id = 1",
]


class Demo:
    """Runs steps and counts them."""

    def __init__(self):
        self.steps = 0
        self.failed = 0

    @contextlib.contextmanager
    def step(self, title):
        self.steps += 1
        print(f"\n{self.steps:2}. {title}")
        try:
            yield
            print("    ok")
        except Exception as error:  # a failed step must not hide those behind it
            self.failed += 1
            print(f"    FAILED: {type(error).__name__}: {error}")


def show(text):
    for line in str(text).strip().splitlines():
        print(f"    | {line}")


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, ready, process, log, seconds=60):
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{what} did not start:\n{pathlib.Path(log).read_text()[-2000:]}")
        time.sleep(0.05)


def as_postgres(folder):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def start_postgres(folder, stack):
    data, log = folder / "postgres", folder / "postgres.log"
    data.mkdir()
    identity = as_postgres(data)
    password = folder / "server-password"
    password.write_text("known to the gateway only")
    password.chmod(0o644)
    subprocess.run(
        [POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **identity,
    )
    password.chmod(0o600)
    port = free_port()
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [POSTGRES / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off"],
            stdout=output, stderr=output, cwd="/", **identity,
        )
    stack.callback(stop, process, signal.SIGINT)
    url = f"host=127.0.0.1 port={port} user=postgres password='{password.read_text()}'"

    def ready():
        try:
            psycopg.connect(f"{url} dbname=postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    wait_for("PostgreSQL", ready, process, log)
    with psycopg.connect(f"{url} dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE orders")
    with psycopg.connect(f"{url} dbname=orders") as connection:
        fill(connection)
    return port, url


def fill(connection):
    """Customers as a shop has them: names, addresses, cards and numbers that look real and belong to nobody."""
    chance = random.Random(20)
    first = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken", "Frances", "John"]
    last = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Perlman", "Thompson", "Allen", "Backus"]
    connection.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, full_name text, email text, card text, ssn text, city text)"
    )
    connection.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total numeric(10,2), placed date)"
    )
    with connection.cursor().copy("COPY customers FROM STDIN") as copy:
        for number in range(1, CUSTOMERS + 1):
            name = f"{chance.choice(first)} {chance.choice(last)}"
            email = f"{name.lower().replace(' ', '.')}{number}@example.org"
            ssn = f"{chance.randint(100, 665):03}-{chance.randint(1, 99):02}-{chance.randint(1, 9999):04}"
            copy.write_row((number, name, email, card(chance), ssn, chance.choice(["Oslo", "Lagos", "Lima", "Pune"])))
    with connection.cursor().copy("COPY orders FROM STDIN") as copy:
        for number in range(1, 3 * CUSTOMERS + 1):
            copy.write_row((number, chance.randint(1, CUSTOMERS), chance.randint(100, 99999) / 100, "2026-11-01"))


def card(chance):
    """A number of sixteen digits with a right check digit."""
    digits = [4] + [chance.randint(0, 9) for _ in range(14)]
    total = sum(d if i % 2 else (2 * d if d < 5 else 2 * d - 9) for i, d in enumerate(digits))
    return "".join(map(str, digits)) + str(-total % 10)


def start_issuer(folder, stack):
    port, log = free_port(), folder / "issuer.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(["node", "provider.mjs", str(port)], cwd=PROVIDER, stdout=output, stderr=output)
    stack.callback(stop, process, signal.SIGTERM)
    wait_for("the issuer", lambda: "ready" in log.read_text(), process, log)
    return f"http://127.0.0.1:{port}"


def token(issuer, client="crew", audience=AUDIENCE):
    """The client-credentials grant, as an agent's runtime would ask for it."""
    form = {"grant_type": "client_credentials", "resource": audience, "client_id": client,
            "client_secret": f"secret-of-{client}"}
    request = urllib.request.Request(f"{issuer}/token", urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def start_gateway(folder, stack, server_port, issuer):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", folder / "gateway.key", "-out", folder / "gateway.crt"],
        check=True, stderr=subprocess.DEVNULL,
    )
    port, reports, metrics = free_port(), free_port(), free_port()
    (folder / "data").mkdir()
    config = folder / "sluice.toml"
    crew = (ROOT / "configs/policies/crew-analytics.cedar").read_text()
    (folder / "policy.cedar").write_text(f"{crew}\n{REPORTS_CONNECT}")
    server = f"""\
host = "127.0.0.1"
port = {server_port}
user = "postgres"
password_file = "server-password"
tls = "off"
database = "orders"
"""
    config.write_text(f"""\
data = "data"
cores = 1

[listeners.agents]
address = "127.0.0.1:{port}"
certificate = "gateway.crt"
key = "gateway.key"
connection = "orders"

[connections.orders]
{server}
[connections.orders.masking.columns]
"public.customers.full_name" = "other"

# Another crew's: nobody has written a policy for it yet.
[listeners.reports]
address = "127.0.0.1:{reports}"
certificate = "gateway.crt"
key = "gateway.key"
connection = "reports"

[connections.reports]
enforce = "observe"
{server}
[issuers.demo]
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
keys = "{issuer}/jwks"
leeway = "0s"

[policy]
file = "policy.cedar"

[metrics]
address = "127.0.0.1:{metrics}"
""")
    subprocess.run([SLUICE, "check", "--config", config], check=True, stdout=subprocess.DEVNULL)
    return Gateway(folder, stack, port, reports, metrics)


class Gateway:
    """A running gateway, which can be started again under another configuration."""

    def __init__(self, folder, stack, port, reports, metrics):
        self.folder, self.port, self.reports, self.metrics = folder, port, reports, metrics
        self.start()
        stack.callback(lambda: stop(self.process, signal.SIGTERM))

    def start(self):
        log = self.folder / "sluice.log"
        with open(log, "ab") as output:
            command = [SLUICE, "serve", "--config", self.folder / "sluice.toml"]
            self.process = subprocess.Popen(command, stdout=output, stderr=output)

        def ready():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for("sluice", ready, self.process, log)

    def restart(self):
        stop(self.process, signal.SIGTERM)
        self.start()


def stop(process, how):
    process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main():
    if not SLUICE.exists():
        raise SystemExit(f"{SLUICE} is missing: run make demo, which builds it")
    if POSTGRES is None:
        raise SystemExit("PostgreSQL is missing: run make demo as root, which installs it")
    demo = Demo()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        print("starting PostgreSQL, an OpenID Connect issuer and sluice ...")
        server_port, _ = start_postgres(folder, stack)
        issuer = start_issuer(folder, stack)
        gateway = start_gateway(folder, stack, server_port, issuer)
        agent(demo, folder, gateway, issuer)
    print(f"\ndemo: {demo.steps} steps, {demo.failed} failed")
    return 1 if demo.failed else 0


def agent(demo, folder, gateway, issuer):
    def connect(password, port=gateway.port):
        return psycopg.connect(
            host="localhost", hostaddr="127.0.0.1", port=port, user="token", password=password, dbname="orders",
            sslmode="verify-full", sslrootcert=folder / "gateway.crt", application_name="agent", autocommit=True,
            connect_timeout=15,
        )

    def refused(password, word):
        try:
            connect(password).close()
        except psycopg.OperationalError as error:
            show(error)
            expect(word in str(error), f"the refusal does not say {word!r}")
            return
        raise AssertionError("the agent got in")

    with demo.step("without a token the agent does not get in"):
        refused("hunter2", "token refused")
    with demo.step("nor with an expired token"):
        expired = token(issuer, client="short-lived")
        time.sleep(2.1)
        refused(expired, "expired")
    with demo.step("nor with a token that was made for somebody else"):
        refused(token(issuer, audience="urn:another:service"), "audience")

    session = None
    with demo.step("with its own token it does; the server's password it never sees"):
        session = connect(token(issuer))
        show(session.execute("SELECT version()").fetchone()[0])
    if session is None:
        return
    with session:
        work(demo, session)
    roll_out(demo, folder, gateway, lambda: connect(token(issuer), gateway.reports))
    with demo.step("the record has all of it, and nobody changed it since"):
        record(folder)
    with demo.step("what the core counted"):
        top = subprocess.run([SLUICE, "top", "--dir", folder / "data", "--once"], check=True, capture_output=True, text=True)
        show(top.stdout)
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        lines = [line for line in text.splitlines() if line.startswith(("sluice_statements", "sluice_values_masked"))]
        show("\n".join(line for line in lines if not line.endswith(" 0")))
        expect(any('core="0"' in line for line in lines), "the metrics have no core label")


def work(demo, session):
    with demo.step("personal data comes back masked"):
        rows = session.execute("SELECT id, full_name, email, card, ssn, city FROM customers ORDER BY id LIMIT 3").fetchall()
        for row in rows:
            show(row)
            expect("example.org" not in row[2] and len(row[2]) > 10, "an e-mail address is readable")
            expect(set(row[1]) | set(row[3]) | set(row[4]) == {"*"}, "a name, card or number is readable")
    with demo.step("a parameter and the binary format change nothing about that"):
        with session.cursor(binary=True) as cursor:
            row = cursor.execute("SELECT email, full_name FROM customers WHERE id = %s", (7,)).fetchone()
            show(row)
            expect("example.org" not in row[0] and set(row[1]) == {"*"}, "a value is readable")
    with demo.step("a normal aggregate is untouched"):
        sql = "SELECT city, count(*), round(avg(total), 2) FROM customers c JOIN orders o ON o.customer = c.id GROUP BY city ORDER BY city"
        rows = session.execute(sql).fetchall()
        show("\n".join(f"{city}: {count} orders, {mean} on average" for city, count, mean in rows))
        expect(sum(count for _, count, _ in rows) == 3 * CUSTOMERS, "orders are missing")
    with demo.step("DROP DATABASE does not get through"):
        denied(session, "DROP DATABASE orders", "no-administration")
    with demo.step("nor does a DELETE without WHERE"):
        denied(session, "DELETE FROM orders", "no-unfiltered-delete")
    with demo.step("the session stays usable, and nothing was deleted"):
        count = session.execute("SELECT count(*) FROM orders").fetchone()[0]
        show(f"{count} orders")
        expect(count == 3 * CUSTOMERS, "orders are missing")
    with demo.step("inside of a transaction a denial aborts it, as any error of the server would"):
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            with session.transaction():
                session.execute("UPDATE orders SET total = 0 WHERE id = 1")
                session.execute("DROP TABLE orders")
        total = session.execute("SELECT total FROM orders WHERE id = 1").fetchone()[0]
        show(f"order 1 still costs {total}")
        expect(total > 0, "the update was kept")


def roll_out(demo, folder, gateway, connect):
    """Observe, suggest, test, enforce."""

    def sluice(*arguments):
        ran = subprocess.run([SLUICE, *arguments], capture_output=True, text=True)
        expect(ran.returncode == 0, f"{' '.join(map(str, arguments))}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    config = ["--config", folder / "sluice.toml"]
    suggested, tests = folder / "reports.cedar", folder / "reports.toml"
    with demo.step("observe: another crew's work runs, and the record tells what the policy would deny"):
        with connect() as session:
            for sql in REPORTS:
                session.execute(sql)
        observed = sluice("audit", "query", *config, "--observed", "--connection", "reports")
        show("\n".join(line[:160] for line in observed.splitlines()))
        expect(all(sql in observed for sql in REPORTS), "a statement is not on record as observed")
    with demo.step("suggest: the least policy that covers it"):
        sluice("policy", "suggest", *config, "--identity", "crew", "--connection", "reports", "--output", suggested,
               "--tests", tests)
        show(suggested.read_text())
    with demo.step("test: it has no mistakes, and decides as the recorded statements expect"):
        show(sluice("policy", "check", *config, suggested))
        show(sluice("policy", "test", *config, "--connection", "reports", "--policy", suggested, tests))
        replayed = json.loads(sluice("policy", "replay", *config, "--connection", "reports", "--json", suggested))
        worse = [difference for difference in replayed["differences"] if difference["would_be"] != "allow"]
        expect(not worse, f"replayed, it would deny {worse}")
        show(f"replayed: {len(replayed['differences'])} kinds of statement would no longer be denied, none would be")
    with demo.step("enforce: the same runs, and what nobody did before does not"):
        with open(folder / "policy.cedar", "a") as policy:
            policy.write(suggested.read_text())
        settings = folder / "sluice.toml"
        settings.write_text(settings.read_text().replace('enforce = "observe"\n', ""))
        sluice("check", *config)
        gateway.restart()
        with connect() as session:
            for sql in REPORTS:
                session.execute(sql)
            denied_by(session, "DELETE FROM orders WHERE id = 1", "nothing permits DELETE")


def denied(session, sql, policy):
    denied_by(session, sql, f'by policy "{policy}"')


def denied_by(session, sql, words):
    try:
        session.execute(sql)
    except psycopg.errors.InsufficientPrivilege as error:
        show(f"{sql}\n{error.sqlstate}: {error.diag.message_primary}")
        expect(error.diag.message_primary.startswith("sluice: denied by policy"), "not the gateway's word")
        expect(words in error.diag.message_primary, f"the denial does not say {words!r}")
        return
    raise AssertionError(f"{sql} got through")


def record(folder):
    sluice = [SLUICE, "audit"]
    data = ["--dir", folder / "data"]
    answer = subprocess.run([*sluice, "query", *data, "--json"], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    statements = [row for row in rows if row.get("kind") == "statement"]
    for row in statements:
        show(f"{row['decision']:5} {row['outcome']:9} {' '.join(row['text'].split())[:90]}")
    texts = [(row["text"], row["decision"]) for row in statements]
    expect(("DROP DATABASE orders", "deny") in texts, "the denied DROP is not in the record")
    expect(("DELETE FROM orders", "deny") in texts, "the denied DELETE is not in the record")
    expect(any(text.startswith("SELECT city") and decision == "allow" for text, decision in texts), "the aggregate is missing")
    verified = subprocess.run([*sluice, "verify", *data], capture_output=True, text=True)
    show(verified.stdout + verified.stderr)
    expect(verified.returncode == 0, "the record does not verify")


if __name__ == "__main__":
    sys.exit(main())
