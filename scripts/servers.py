"""Real PostgreSQL servers of each major version, for the generators."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAJORS = range(12, 19)


def binaries(major):
    """15 is Debian's; the others come from npm."""
    if major == 15:
        return pathlib.Path("/usr/lib/postgresql/15/bin")
    return ROOT / f"target/servers/node_modules/postgres-{major}/native/bin"


def pgvector():
    """PostgreSQL 16 with pgvector, from PyPI."""
    (found,) = ROOT.glob("target/venv/lib/python3*/site-packages/pgserver/pginstall/bin")
    return found


class Server:
    """A server in a temporary folder; it is gone when the block ends."""

    def __init__(self, major, folder=None):
        self.major = major
        self.binaries = folder or binaries(major)
        self.folder = tempfile.mkdtemp(prefix="sluice-builtins-")
        self.user = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.process = None

    def __enter__(self):
        data = f"{self.folder}/data"
        initdb = [self.binaries / "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([*initdb, "-D", data], check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        if self.binaries == binaries(15):
            settings.append("shared_preload_libraries=pgaudit")
        command = [self.binaries / "postgres", "-D", data, "-p", str(self.port)]
        command += [word for setting in settings for word in ("-c", setting)]
        log = open(f"{self.folder}/log", "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.user)
        for _ in range(100):
            if self.psql("SELECT 1", check=False).returncode == 0:
                return self
            time.sleep(0.1)
        raise RuntimeError(pathlib.Path(f"{self.folder}/log").read_text())

    def __exit__(self, *_):
        self.process.send_signal(2)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, sql, check=True):
        command = ["psql", "-XqAt", "-F", "\t", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", sql]
        return subprocess.run(command, check=check, capture_output=True, text=True)

    def rows(self, sql):
        """The rows as lists of text; no value may have a tab or a line break in it."""
        rows = [line.split("\t") for line in self.psql(sql).stdout.splitlines()]
        assert len({len(row) for row in rows}) <= 1, f"a value with a tab or a line break: {sql}"
        return rows
