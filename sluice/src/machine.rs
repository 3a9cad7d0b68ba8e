//! What this machine lets the process use.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;
use sluice_dataplane::settings::UNSEATED_PER_CORE_MAX;

/// The numbers of the CPUs it may run on, ascending; what `taskset` or a container left of the machine.
pub(crate) fn usable_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return vec![0];
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .collect()
}

/// Open files beside the sessions' own: listeners, the record, the libraries', connections that are turned away.
pub(crate) fn files_reserved(cores: usize) -> u64 {
    256 + (cores * UNSEATED_PER_CORE_MAX) as u64
}

/// A session has two sockets.
pub(crate) const FILES_A_SESSION: u64 = 2;

/// How many sessions each of so many cores can have under the limit of open files, up to `most`.
pub(crate) fn sessions_per_core(cores: usize, most: usize) -> usize {
    // The soft limit is raised to the hard one at the start.
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    let files = files.saturating_sub(files_reserved(cores));
    let sessions = files / FILES_A_SESSION / cores.max(1) as u64;
    usize::try_from(sessions).unwrap_or(most).clamp(1, most)
}
