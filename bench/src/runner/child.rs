//! Processes that the runner starts: pinned, logged to a file, and gone when the runner is.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kernel;

/// How much of a log is shown when its process fails.
const LOG_TAIL_BYTES: usize = 2_000;
/// After SIGTERM a process has so long before SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// A process that ends with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` on `cpus`, with what it prints in `log`.
    pub fn start(name: &str, mut command: Command, cpus: &[usize], log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file);
        let child = kernel::with_affinity(cpus, || command.spawn())?
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// An error that tells how it ended and the end of its log.
    pub fn failure(&mut self, what: &str) -> anyhow::Error {
        let state = match self.ended() {
            Ok(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("it has ended with status {code}"),
                (None, signal) => format!("it was ended by signal {}", signal.unwrap_or(0)),
            },
            _ => "it still runs".to_owned(),
        };
        anyhow::anyhow!(
            "{}: {what}; {state}; its log ends with:\n{}",
            self.name,
            self.log_tail()
        )
    }

    /// The end of what it printed.
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }

    /// Waits until `ready` gives a value.
    pub fn wait_until<T>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            if self.ended()?.is_some() {
                return Err(self.failure("does not start"));
            }
            if Instant::now() > end {
                return Err(self.failure(&format!("is not ready after {limit:?}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let end = Instant::now() + GRACE;
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), pid) {
            // One that is gone meanwhile is no error.
            let _ = kill(pid, Signal::SIGTERM);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that the kernel kills when the runner ends; as another user where `user_id` is given.
pub fn foreign(program: &Path, user_id: Option<u32>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(id) = user_id {
        command
            .arg(format!("--reuid={id}"))
            .arg(format!("--regid={id}"))
            .arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_process_ends_with_its_value_even_when_it_ignores_sigterm() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
        let cpus = kernel::cpus().unwrap();
        let mut process = Process::start("sh", command, &cpus[..1], &log).unwrap();
        process
            .wait_until(Duration::from_secs(10), |process| {
                process.log_tail().contains("ready").then_some(())
            })
            .unwrap();
        let pid = process.pid();
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
    }

    #[test]
    fn a_failure_shows_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port >&2; exit 3"]);
        let cpus = kernel::cpus().unwrap();
        let mut process = Process::start("proxy", command, &cpus, &folder.path().join("log")).unwrap();
        let error = process
            .wait_until(Duration::from_secs(10), |_| None::<()>)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("status 3") && error.contains("no such port"),
            "{error}"
        );
    }
}
