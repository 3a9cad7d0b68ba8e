//! The load generator: asks in a closed loop, checks the answers, reads the proxy's CPU time.

pub mod churn;
pub mod connection;
pub mod fleet;
pub mod idle;
pub mod link;
pub mod login;
pub mod neighbours;
pub mod scram;
pub mod steady;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::fleet::Fleet;
use crate::rows::Expect;

/// What is asked, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// A short SELECT, one small row.
    Point,
    /// A hundred rows of eight columns, about 10 KB.
    Rows100,
    /// A result of a million rows of ten columns.
    Stream,
    /// Connections at rest.
    Idle,
    /// Connect, query, close.
    Churn,
    /// `Point`, alone and then beside clients that send chains. See `neighbours`.
    Neighbours,
}

impl Workload {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Rows100 => "rows100",
            Self::Stream => "stream",
            Self::Idle => "idle",
            Self::Churn => "churn",
            Self::Neighbours => "neighbours",
        }
    }
}

/// One measurement to be made.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is asked.
    pub workload: Workload,
    /// Connections at a time.
    pub connections: usize,
    /// Time before measuring.
    pub warm_up: Duration,
    /// Time measured.
    pub duration: Duration,
    /// The process whose CPU time and memory are read.
    pub pid: Option<u32>,
    /// What rows are to look like.
    pub expect: Expect,
    /// Rows of a `stream` reply.
    pub stream_rows: u64,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Requests answered (`churn`: connections).
    pub queries: u64,
    /// Wall time.
    pub seconds: f64,
    /// CPU time of the process that was watched.
    pub cpu_seconds: Option<f64>,
    /// Bytes of the replies, without TLS.
    pub bytes: u64,
    /// Median time to the end of a reply (`churn`: from connect).
    pub p50_us: Option<f64>,
    /// 99th percentile of it.
    pub p99_us: Option<f64>,
    /// Rows that were compared with what was sent.
    pub rows_checked: u64,
    /// `idle`: growth of resident memory.
    pub resident_bytes_per_connection: Option<u64>,
    /// `idle`: growth of private dirty memory.
    pub private_bytes_per_connection: Option<u64>,
    /// `idle`: time that opening all connections took.
    pub opening_seconds: Option<f64>,
    /// `neighbours`: what the rest is to be compared with.
    pub neighbours: Option<Neighbourhood>,
}

/// The same connections before the neighbours came, and what the neighbours got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// Queries a second without them.
    pub alone_qps: f64,
    /// Median latency without them.
    pub alone_p50_us: f64,
    /// 99th percentile without them.
    pub alone_p99_us: f64,
    /// Their chains with an answer, refusals among them, a second.
    pub chains_per_s: f64,
    /// Share of these that were refused.
    pub refused_share: f64,
}

/// Makes one measurement.
pub fn run(fleet: &mut Fleet, job: &Job) -> anyhow::Result<Measurement> {
    match job.workload {
        Workload::Point | Workload::Rows100 | Workload::Stream | Workload::Neighbours => {
            steady::run(fleet, job)
        }
        Workload::Idle => idle::run(fleet, job),
        Workload::Churn => churn::run(fleet, job),
    }
}

fn microseconds(nanoseconds: u64) -> f64 {
    count(nanoseconds) / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "figures for people, far below 2^52")]
fn count(value: u64) -> f64 {
    value as f64
}
