//! Connections that have asked once and then rest: what each costs in memory, and all of them in CPU time.

use std::thread;
use std::time::{Duration, Instant};

use super::fleet::{First, Fleet};
use super::{Job, Measurement};
use crate::kernel::{self, CpuWatch, Memory};
use crate::shapes::shapes;

/// Time for buffers to be given back before memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// Opens the connections, lets them rest, measures.
pub fn run(fleet: &mut Fleet, job: &Job) -> anyhow::Result<Measurement> {
    let before = job.pid.map(kernel::memory).transpose()?;
    let opening = Instant::now();
    fleet.open(job.connections, First::Ask(&shapes("point")))?;
    let opening = opening.elapsed();
    thread::sleep(SETTLE);
    let after = job.pid.map(kernel::memory).transpose()?;
    let cpu = CpuWatch::start(job.pid)?;
    let start = Instant::now();
    thread::sleep(job.duration);
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = cpu.seconds()?;
    let per_connection = |field: fn(&Memory) -> u64| {
        let grown = field(&after?).saturating_sub(field(&before?));
        Some(grown / job.connections.max(1) as u64)
    };
    let measured = Measurement {
        seconds,
        cpu_seconds,
        resident_bytes_per_connection: per_connection(|memory| memory.resident),
        private_bytes_per_connection: per_connection(|memory| memory.private_dirty),
        opening_seconds: Some(opening.as_secs_f64()),
        ..Measurement::default()
    };
    // All connections are still there: each answers once more.
    let shapes = shapes("point");
    let mut answered = 0;
    for connection in &mut fleet.connections {
        connection.ask_simple(&shapes, &mut fleet.scratch)?;
    }
    while answered < job.connections {
        fleet.turn(None, |_, _, _| {
            answered += 1;
            Ok(())
        })?;
    }
    fleet.close();
    Ok(measured)
}
