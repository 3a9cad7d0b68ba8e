//! The closed loop: each connection asks again as soon as it is answered.
//!
//! What is measured begins and ends with no request in flight: after warming up the loop runs empty, the clocks are
//! read, it starts again, and at the end it runs empty once more. So the proxy's CPU time belongs to exactly the
//! requests that are counted. Beside neighbours it would not, so there only time is told.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;

use super::connection::Outcome;
use super::fleet::{First, Fleet, expect_rows};
use super::neighbours::Neighbours;
use super::{Job, Measurement, Neighbourhood, Workload};
use crate::chains::{STATEMENT_BYTES_MAX, chains};
use crate::kernel::CpuWatch;
use crate::rows::Rows;
use crate::shapes::{Shape, shapes};

/// Latencies above this count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

struct Loop<'a> {
    shapes: &'a [Shape],
    rows: &'a Rows,
    rows_due: u64,
    job: &'a Job,
}

#[derive(Default)]
struct Counts {
    queries: u64,
    bytes: u64,
    rows_checked: u64,
}

/// Runs the closed loop.
pub fn run(fleet: &mut Fleet, job: &Job) -> anyhow::Result<Measurement> {
    let (prefix, rows) = match job.workload {
        Workload::Rows100 => ("rows100".to_owned(), Rows::hundred()),
        Workload::Stream => (format!("stream_{}", job.stream_rows), Rows::stream_block()),
        _ => ("point".to_owned(), Rows::point()),
    };
    let rows_due = if job.workload == Workload::Stream {
        job.stream_rows
    } else {
        rows.count()
    };
    let shapes = shapes(&prefix);
    fleet.sample_all = job.workload == Workload::Stream;
    fleet.open(job.connections, First::Prepare(&shapes))?;

    let work = Loop {
        shapes: &shapes,
        rows: &rows,
        rows_due,
        job,
    };
    let measured = if job.workload == Workload::Neighbours {
        work.with_neighbours(fleet)?
    } else {
        work.measure(fleet)?
    };
    fleet.close();
    Ok(measured)
}

impl Loop<'_> {
    /// Warms up and measures.
    fn measure(&self, fleet: &mut Fleet) -> anyhow::Result<Measurement> {
        let mut latency = Histogram::<u64>::new_with_bounds(1, LATENCY_NS_MAX, 3)?;
        let warm = self.round(fleet, self.job.warm_up, &mut latency)?;
        latency.reset();
        let cpu = CpuWatch::start(self.job.pid)?;
        let start = Instant::now();
        let counts = self.round(fleet, self.job.duration, &mut latency)?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu_seconds = cpu.seconds()?;
        ensure!(
            counts.rows_checked + warm.rows_checked > 0,
            "no row was compared with what was sent"
        );
        Ok(Measurement {
            queries: counts.queries,
            seconds,
            cpu_seconds,
            bytes: counts.bytes,
            p50_us: Some(super::microseconds(latency.value_at_quantile(0.5))),
            p99_us: Some(super::microseconds(latency.value_at_quantile(0.99))),
            rows_checked: counts.rows_checked,
            ..Measurement::default()
        })
    }

    /// Measures alone, then beside a neighbour.
    fn with_neighbours(&self, fleet: &mut Fleet) -> anyhow::Result<Measurement> {
        let alone = self.measure(fleet)?;
        let chains = chains(STATEMENT_BYTES_MAX);
        let neighbours = Neighbours::start(fleet.address, fleet.who.clone(), chains)?;
        let beside = self.measure(fleet)?;
        let got = neighbours.stop()?;
        Ok(Measurement {
            cpu_seconds: None,
            neighbours: Some(Neighbourhood {
                alone_qps: super::count(alone.queries) / alone.seconds,
                alone_p50_us: alone.p50_us.unwrap_or_default(),
                alone_p99_us: alone.p99_us.unwrap_or_default(),
                chains_per_s: super::count(got.answered) / got.seconds,
                refused_share: super::count(got.refused) / super::count(got.answered),
            }),
            ..beside
        })
    }

    /// Lets all connections ask for `duration`, then lets what is in flight end.
    fn round(
        &self,
        fleet: &mut Fleet,
        duration: Duration,
        latency: &mut Histogram<u64>,
    ) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        let end = Instant::now() + duration;
        let mut in_flight = 0;
        for connection in &mut fleet.connections {
            connection.ask_next(self.shapes, &mut fleet.scratch)?;
            in_flight += 1;
        }
        while in_flight > 0 {
            fleet.turn(Some((self.rows, self.job.expect)), |fleet, key, outcome| {
                let Outcome::Answered(reply) = outcome else {
                    return Ok(());
                };
                let now = Instant::now();
                let connection = &mut fleet.connections[key];
                let waited = now.duration_since(connection.asked_at()).as_nanos();
                latency.saturating_record(u64::try_from(waited).unwrap_or(LATENCY_NS_MAX));
                expect_rows(&reply, self.rows_due)?;
                counts.queries += 1;
                counts.bytes += reply.bytes;
                counts.rows_checked += reply.rows_checked;
                if now < end {
                    connection.ask_next(self.shapes, &mut fleet.scratch)?;
                } else {
                    in_flight -= 1;
                }
                Ok(())
            })?;
        }
        Ok(counts)
    }
}
