//! A PostgreSQL of the test's own.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use tempfile::TempDir;

use crate::process::{Output, Server, free_port, root, run, wait_until};

/// A running PostgreSQL with database `shop`, superuser `postgres`, and trust for everyone on loopback.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Server>,
    binaries: PathBuf,
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts Debian's with these settings (`name=value`) beside the usual.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_from(debian(), settings)
    }

    /// Starts one of a major version: Debian's, or that from npm.
    pub fn start_major(major: u8) -> Self {
        let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
        if debian.join("initdb").exists() {
            return Self::start_from(debian, &[]);
        }
        let npm = root().join(format!("target/servers/node_modules/postgres-{major}/native/bin"));
        assert!(
            npm.exists(),
            "{} is missing: run `make test`, which installs it",
            npm.display()
        );
        Self::start_from(npm, &[])
    }

    /// Starts `PyPI`'s PostgreSQL 16, which has pgvector.
    pub fn start_with_pgvector() -> Self {
        let pythons = fs::read_dir(root().join("target/venv/lib"))
            .into_iter()
            .flatten()
            .flatten();
        let mut found = pythons.map(|python| python.path().join("site-packages/pgserver/pginstall/bin"));
        let binaries = found.find(|bin| bin.join("initdb").exists());
        Self::start_from(binaries.expect("`make test` installs pgserver"), &[])
    }

    fn start_from(binaries: PathBuf, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sluice-postgres-")
            .tempdir()
            .expect("a temporary folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder for the data");
        if let Some(user) = postgres_user() {
            for path in [folder.path(), &data] {
                std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                    .expect("chown");
            }
        }
        let initdb = run(as_postgres(&mut Command::new(binaries.join("initdb")))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data));
        assert!(initdb.success, "initdb: {}", initdb.stderr);
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut postgres = Self {
            server: None,
            binaries,
            port: free_port(),
            folder,
            settings,
        };
        postgres.launch();
        postgres.sql("postgres", "CREATE DATABASE shop");
        postgres
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its log, where `log_statement` and the like write.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs SQL directly, past the gateway.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(output.success, "{sql}: {}", output.stderr);
        output.stdout.trim().to_owned()
    }

    /// As [`Self::sql`], for what may fail.
    pub fn psql(&self, database: &str, sql: &str) -> Output {
        run(Command::new("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
            ])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql]))
    }

    /// Ends it in the middle of everything, as a crash would.
    pub fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.signal(Signal::SIGQUIT);
            let _ = server.wait();
        }
        self.server = None;
    }

    fn launch(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new(self.binaries.join("postgres"));
        as_postgres(&mut command)
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-p", &self.port.to_string()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "fsync=off",
            ])
            .args(["-c", "max_connections=700"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.server = Some(Server::start(&mut command, Signal::SIGINT));
        wait_until("PostgreSQL", || self.psql("postgres", "SELECT 1").success);
    }
}

fn debian() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    found
        .pop()
        .filter(|bin| bin.join("initdb").exists())
        .unwrap_or_else(|| {
            panic!("PostgreSQL is missing: run `make test` as root, which installs it");
        })
}

/// The user that PostgreSQL runs as when the test is root.
fn postgres_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    Some(
        User::from_name("postgres")
            .ok()
            .flatten()
            .expect("Debian's package makes the user postgres"),
    )
}

fn as_postgres(command: &mut Command) -> &mut Command {
    if let Some(user) = postgres_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.current_dir(Path::new("/"))
}
