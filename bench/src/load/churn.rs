//! Connect, log in, ask once, say good-bye: over and over.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::connection::Outcome;
use super::fleet::{Fleet, expect_rows};
use super::{Job, Measurement};
use crate::kernel::CpuWatch;
use crate::shapes::{Shape, shapes};

/// Runs `job.connections` such circles side by side.
pub fn run(fleet: &mut Fleet, job: &Job) -> anyhow::Result<Measurement> {
    let shapes = shapes("point");
    let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    round(fleet, job, &shapes, job.warm_up, &mut latency)?;
    latency.reset();
    let cpu = CpuWatch::start(job.pid)?;
    let start = Instant::now();
    let (queries, bytes) = round(fleet, job, &shapes, job.duration, &mut latency)?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = cpu.seconds()?;
    Ok(Measurement {
        queries,
        seconds,
        cpu_seconds,
        bytes,
        p50_us: Some(super::microseconds(latency.value_at_quantile(0.5))),
        p99_us: Some(super::microseconds(latency.value_at_quantile(0.99))),
        ..Measurement::default()
    })
}

fn round(
    fleet: &mut Fleet,
    job: &Job,
    shapes: &[Shape],
    duration: Duration,
    latency: &mut Histogram<u64>,
) -> anyhow::Result<(u64, u64)> {
    let end = Instant::now() + duration;
    let mut opened: Vec<Instant> = Vec::new();
    fleet.connections.clear();
    for key in 0..job.connections {
        opened.push(Instant::now());
        let connection = fleet.connect(key)?;
        fleet.connections.push(connection);
    }
    let (mut queries, mut bytes, mut live) = (0, 0, job.connections);
    while live > 0 {
        fleet.turn(None, |fleet, key, outcome| {
            match outcome {
                Outcome::LoggedIn => fleet.connections[key].ask_simple(shapes, &mut fleet.scratch)?,
                Outcome::Answered(reply) => {
                    expect_rows(&reply, 1)?;
                    fleet.connections[key].terminate();
                    let now = Instant::now();
                    let took = now.duration_since(opened[key]).as_nanos();
                    latency.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
                    queries += 1;
                    bytes += reply.bytes;
                    if now < end {
                        opened[key] = now;
                        fleet.connections[key] = fleet.connect(key)?;
                    } else {
                        live -= 1;
                    }
                }
                Outcome::Waiting => {}
            }
            Ok(())
        })?;
    }
    Ok((queries, bytes))
}
