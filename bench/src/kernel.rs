//! What the kernel knows of processes: CPU time, memory, affinity, limits.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// CPU time that all threads of a process have used, those that have ended included.
///
/// This is the process's CPU clock: the same sum as of `/proc/PID/task/*/schedstat`, but it also has what running
/// threads have used since the last tick and what threads that ended had used.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let clock = nix::time::clock_getcpuclockid(process(pid)?)?;
    let time = nix::time::clock_gettime(clock)?;
    Ok(Duration::new(
        u64::try_from(time.tv_sec()).unwrap_or(0),
        u32::try_from(time.tv_nsec()).unwrap_or(0),
    ))
}

/// Reads the CPU time that a process uses from now on.
pub struct CpuWatch(Option<(u32, Duration)>);

impl CpuWatch {
    /// Begins to watch a process, or nothing.
    pub fn start(pid: Option<u32>) -> io::Result<Self> {
        pid.map(|pid| Ok((pid, cpu_time(pid)?))).transpose().map(Self)
    }

    /// CPU seconds since the start; none where nothing is watched.
    pub fn seconds(&self) -> io::Result<Option<f64>> {
        let Some((pid, before)) = self.0 else {
            return Ok(None);
        };
        Ok(Some(cpu_time(pid)?.saturating_sub(before).as_secs_f64()))
    }
}

/// The sum of a process's `/proc/PID/task/*/schedstat`: the slow twin of `cpu_time`.
pub fn cpu_time_of_tasks(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0u64;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        nanoseconds += text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A process's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident bytes.
    pub resident: u64,
    /// Resident bytes that nobody else shares and that were written to.
    pub private_dirty: u64,
}

/// Memory of a process by its `smaps_rollup`.
pub fn memory(pid: u32) -> io::Result<Memory> {
    Ok(parse_memory(&fs::read_to_string(format!(
        "/proc/{pid}/smaps_rollup"
    ))?))
}

fn parse_memory(text: &str) -> Memory {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
            .unwrap_or(0)
            * 1024
    };
    Memory {
        resident: field("Rss:"),
        private_dirty: field("Private_Dirty:"),
    }
}

/// CPUs that this thread may run on.
pub fn cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect())
}

/// Runs `body` with this thread bound to `cpus`; processes that it starts inherit that.
pub fn with_affinity<T>(cpus: &[usize], body: impl FnOnce() -> T) -> io::Result<T> {
    let me = Pid::from_raw(0);
    let before = sched_getaffinity(me)?;
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    sched_setaffinity(me, &set)?;
    let answer = body();
    sched_setaffinity(me, &before)?;
    Ok(answer)
}

/// Lifts the soft limit of open files to the hard one and returns it.
pub fn lift_open_files() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Has the kernel kill this process when the thread that started it ends.
pub fn die_with_parent() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?)
}

fn process(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid)
        .map(Pid::from_raw)
        .map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn both_ways_to_read_cpu_time_agree() {
        // A process of one thread: what threads have used that ended is in one of the two only, and tests are threads.
        let mut child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let pid = child.id();
        while cpu_time(pid).unwrap() < Duration::from_millis(50) {
            thread::sleep(Duration::from_millis(1));
        }
        let before = cpu_time(pid).unwrap();
        let tasks = cpu_time_of_tasks(pid).unwrap();
        let after = cpu_time(pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let slack = Duration::from_millis(20);
        assert!(
            (before.saturating_sub(slack)..=after + slack).contains(&tasks),
            "{before:?} {tasks:?} {after:?}"
        );
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "0-1 ---p 0 0 0 [rollup]\nRss:  12 kB\nPss: 3 kB\nPrivate_Dirty:    4 kB\n";
        assert_eq!(
            parse_memory(text),
            Memory {
                resident: 12 << 10,
                private_dirty: 4 << 10
            }
        );
        assert!(memory(std::process::id()).unwrap().resident > 0);
    }

    #[test]
    fn affinity_is_lent_and_given_back() {
        let before = cpus().unwrap();
        let inside = with_affinity(&before[..1], cpus).unwrap().unwrap();
        assert_eq!(inside, before[..1]);
        assert_eq!(cpus().unwrap(), before);
    }
}
