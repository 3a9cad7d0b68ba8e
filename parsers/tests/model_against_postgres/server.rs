//! A PostgreSQL server of the test's own, in a temporary folder, reached by a UNIX socket.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_parsers::postgres::backend::ready_for_query;
use sluice_parsers::postgres::startup;
use sluice_parsers::postgres::{Deframer, Frame, Piece, Take};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_mins(1);
const READ_LIMIT: Duration = Duration::from_secs(20);

/// A running server; it ends with the value.
pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    pub(crate) version: u32,
}

impl Server {
    /// Panics if there is no PostgreSQL: a test that needs it must not pass without.
    pub(crate) fn start() -> Self {
        Self::start_from(&programs())
    }

    /// A server of the programs in that folder.
    pub(crate) fn start_from(programs: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("model")
            .tempdir_in("/tmp")
            .expect("a temporary folder");
        let owner = owner(folder.path());
        let data = folder.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command
                .current_dir("/tmp")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let made = command("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let version = fs::read_to_string(data.join("PG_VERSION")).expect("a version");
        let version = version.trim().parse().expect("a version's number");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let process = command("postgres")
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "log_min_messages=fatal",
                "-k",
            ])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stderr(log)
            .spawn()
            .expect("postgres runs");
        let server = Self {
            folder,
            process,
            version,
        };
        let begin = Instant::now();
        while Connection::try_open(&server, &[]).is_err() {
            assert!(begin.elapsed() < START_LIMIT, "the server does not start");
            std::thread::yield_now();
        }
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT to the postmaster ends its children too; SIGKILL would leave them.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}

fn programs() -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL of Debian is installed")
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .filter(|path| path.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().expect("a PostgreSQL server is installed")
}

/// The server does not run as root: whose it is then, and the folder with it.
fn owner(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).expect("the folder").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("the user postgres");
    let mut fields = line.split(':').skip(2);
    let mut number = || {
        fields
            .next()
            .and_then(|field| field.parse().ok())
            .expect("a number")
    };
    let owner = (number(), number());
    chown(folder, Some(owner.0), Some(owner.1)).expect("the folder is given away");
    Some(owner)
}

/// A connection that gives frames.
pub(crate) struct Connection {
    pub(crate) socket: UnixStream,
    deframer: Deframer,
    chunk: Vec<u8>,
    at: usize,
}

/// What reading gave.
pub(crate) enum Next {
    Message { tag: u8, body: Vec<u8> },
    Nothing,
    Closed,
}

impl Connection {
    pub(crate) fn open(server: &Server, parameters: &[(&str, &str)]) -> Self {
        let begin = Instant::now();
        loop {
            match Self::try_open(server, parameters) {
                Ok(connection) => return connection,
                // Sessions that were dropped may still be ending.
                Err(error) => assert!(
                    begin.elapsed() < START_LIMIT,
                    "the server takes no connection: {error}"
                ),
            }
            std::thread::yield_now();
        }
    }

    fn try_open(server: &Server, parameters: &[(&str, &str)]) -> std::io::Result<Self> {
        let mut socket = UnixStream::connect(server.socket())?;
        socket.set_read_timeout(Some(READ_LIMIT))?;
        let mut out = Vec::new();
        let common = [("user", "postgres"), ("database", "postgres")];
        let parameters = common.iter().chain(parameters);
        startup::startup_message(
            &mut out,
            parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        );
        std::io::Write::write_all(&mut socket, &out)?;
        let mut this = Self {
            socket,
            deframer: Deframer::new(),
            chunk: Vec::new(),
            at: 0,
        };
        loop {
            match this.next(true) {
                Next::Message { tag: b'Z', body } => {
                    assert!(ready_for_query(&body).is_ok());
                    return Ok(this);
                }
                Next::Message { tag: b'E', body } => {
                    return Err(std::io::Error::other(String::from_utf8_lossy(&body).into_owned()));
                }
                Next::Nothing | Next::Closed => return Err(std::io::ErrorKind::ConnectionReset.into()),
                Next::Message { .. } => {}
            }
        }
    }

    /// The next message; without `wait` only what has already arrived.
    pub(crate) fn next(&mut self, wait: bool) -> Next {
        loop {
            let whole = |_| Take::Whole { limit: 1 << 24 };
            match self
                .deframer
                .next(&self.chunk, &mut self.at, whole)
                .expect("the server sends frames")
            {
                Piece::Frame { start, end } => return message(&self.chunk[start..end]),
                Piece::Gathered => return message(self.deframer.gathered()),
                Piece::Head { .. } | Piece::Part { .. } => unreachable!("every frame is taken whole"),
                Piece::NeedMore => {}
            }
            self.socket.set_nonblocking(!wait).expect("a socket");
            self.chunk.resize(4096, 0);
            self.at = 0;
            let read = self.socket.read(&mut self.chunk);
            self.chunk.truncate(*read.as_ref().unwrap_or(&0));
            self.socket.set_nonblocking(false).expect("a socket");
            match read {
                Ok(0) => return Next::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Next::Nothing,
                Err(_) => return Next::Closed,
            }
        }
    }
}

fn message(bytes: &[u8]) -> Next {
    let frame = Frame::from_bytes(bytes).expect("the deframer gives whole frames");
    Next::Message {
        tag: frame.tag,
        body: frame.body.to_vec(),
    }
}
