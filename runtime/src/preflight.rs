//! What the machine has to allow, checked before anything starts.

use std::fmt;
use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::utsname::uname;

/// The oldest kernel whose rings have all that is used here.
pub const KERNEL_MIN: (u32, u32) = (6, 1);
/// glommio wants this much locked memory for each of its executors.
pub const EXECUTOR_LOCKED_BYTES: u64 = 512 * 1024;

/// Something that stands in the way. Its text is one line that names it and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The kernel is too old.
    #[error("Linux {found} is too old: its io_uring lacks what sluice uses; run Linux {}.{} (Debian 12) or later", KERNEL_MIN.0, KERNEL_MIN.1)]
    Kernel {
        /// The release that runs.
        found: String,
    },
    /// An administrator has switched `io_uring` off.
    #[error("kernel.io_uring_disabled is {value}: io_uring is switched off; run `sysctl kernel.io_uring_disabled=0`{}", if *value == 1 { ", or put the user into the group of kernel.io_uring_group" } else { "" })]
    Disabled {
        /// The setting.
        value: u32,
    },
    /// A seccomp filter or security module refuses the system call.
    #[error(
        "io_uring_setup is refused (EPERM): a seccomp filter or security module blocks it; allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
    )]
    Refused,
    /// The kernel has no such call.
    #[error(
        "io_uring_setup does not exist (ENOSYS): the kernel is built without CONFIG_IO_URING, or a seccomp filter hides it; allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
    )]
    Missing,
    /// The ring could not be set up for another reason.
    #[error("io_uring_setup fails: {message}")]
    Ring {
        /// What the system says.
        message: String,
    },
    /// Too little memory may be locked.
    #[error("RLIMIT_MEMLOCK is {limit} bytes, {needed} are needed ({} KiB a core); set LimitMEMLOCK={needed} in the systemd unit, or `ulimit -l {}`", EXECUTOR_LOCKED_BYTES / 1024, needed / 1024)]
    LockedMemory {
        /// What is allowed.
        limit: u64,
        /// What is needed.
        needed: u64,
    },
    /// Too few files may be open.
    #[error(
        "RLIMIT_NOFILE is {limit}, {needed} are needed (two for each session); set LimitNOFILE={needed} in the systemd unit, or `ulimit -n {needed}`"
    )]
    OpenFiles {
        /// What is allowed, after raising the soft limit.
        limit: u64,
        /// What is needed.
        needed: u64,
    },
}

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many cores will be started.
    pub cores: usize,
    /// How many files have to be open at most.
    pub open_files: u64,
}

/// Checks everything and returns what stands in the way, most fundamental first. Raises the soft limit of open files
/// to the hard one.
pub fn check(plan: Plan) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    obstacles.extend(kernel(&release()));
    let disabled = disabled(
        fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok()
            .as_deref(),
    );
    // A switch that is set explains the refusal already.
    let refused = if disabled.is_none() && obstacles.is_empty() {
        ring(&probe())
    } else {
        None
    };
    obstacles.extend(disabled.filter(|_| probe().is_err()));
    obstacles.extend(refused);
    let limits = [limit(Resource::RLIMIT_MEMLOCK), raise_open_files()];
    obstacles.extend(locked_memory(limits[0], plan.cores));
    obstacles.extend(open_files(limits[1], plan.open_files));
    obstacles
}

fn release() -> String {
    uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn kernel(release: &str) -> Option<Obstacle> {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (version < KERNEL_MIN).then(|| Obstacle::Kernel {
        found: release.to_owned(),
    })
}

fn disabled(setting: Option<&str>) -> Option<Obstacle> {
    let value = setting?.trim().parse().ok()?;
    (value != 0).then_some(Obstacle::Disabled { value })
}

/// Sets a small ring up with the flags that cores use.
fn probe() -> io::Result<()> {
    let mut builder = io_uring::IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_taskrun_flag();
    let _: io_uring::IoUring = builder.build(8)?;
    Ok(())
}

fn ring(probed: &io::Result<()>) -> Option<Obstacle> {
    let error = probed.as_ref().err()?;
    Some(match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Obstacle::Refused,
        Some(libc::ENOSYS) => Obstacle::Missing,
        _ => Obstacle::Ring {
            message: error.to_string(),
        },
    })
}

fn limit(resource: Resource) -> u64 {
    getrlimit(resource).map_or(rlim_t::MAX, |(soft, _)| soft)
}

/// Returns the limit that holds afterwards.
fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return u64::MAX;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        hard
    } else {
        soft
    }
}

fn locked_memory(limit: u64, cores: usize) -> Option<Obstacle> {
    let needed = EXECUTOR_LOCKED_BYTES * cores as u64;
    (limit < needed).then_some(Obstacle::LockedMemory { limit, needed })
}

fn open_files(limit: u64, needed: u64) -> Option<Obstacle> {
    (limit < needed).then_some(Obstacle::OpenFiles { limit, needed })
}

/// All obstacles, one a line.
pub struct Lines<'a>(pub &'a [Obstacle]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|obstacle| writeln!(formatter, "{obstacle}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacles_are_named() {
        for (name, found, want) in [
            (
                "old kernel",
                kernel("5.10.0-30-amd64"),
                Some("Linux 5.10.0-30-amd64 is too old"),
            ),
            ("the oldest that will do", kernel("6.1.0-18-amd64"), None),
            ("new kernel", kernel("7.0.0"), None),
            ("no such switch", disabled(None), None),
            ("switched on", disabled(Some("0\n")), None),
            ("for a group", disabled(Some("1\n")), Some("io_uring_group")),
            (
                "switched off",
                disabled(Some("2\n")),
                Some("kernel.io_uring_disabled is 2"),
            ),
            ("works", ring(&Ok(())), None),
            (
                "filtered",
                ring(&Err(io::Error::from_raw_os_error(libc::EPERM))),
                Some("seccomp"),
            ),
            (
                "hidden",
                ring(&Err(io::Error::from_raw_os_error(libc::ENOSYS))),
                Some("ENOSYS"),
            ),
            (
                "no memory",
                ring(&Err(io::Error::from_raw_os_error(libc::ENOMEM))),
                Some("io_uring_setup fails"),
            ),
            ("memlock for one", locked_memory(512 * 1024, 1), None),
            (
                "memlock for two",
                locked_memory(512 * 1024, 2),
                Some("LimitMEMLOCK=1048576"),
            ),
            ("files", open_files(1024, 20_000), Some("LimitNOFILE=20000")),
            ("enough files", open_files(20_000, 20_000), None),
        ] {
            match (found, want) {
                (None, None) => {}
                (Some(obstacle), Some(part)) => {
                    let line = obstacle.to_string();
                    assert!(line.contains(part), "{name}: {line}");
                    assert!(!line.contains('\n'), "{name}: one line");
                }
                (found, want) => panic!("{name}: {found:?} instead of {want:?}"),
            }
        }
    }

    #[test]
    fn this_machine_is_fit() {
        assert_eq!(
            check(Plan {
                cores: 1,
                open_files: 64
            }),
            vec![]
        );
    }
}
