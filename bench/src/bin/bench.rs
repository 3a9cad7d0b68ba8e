//! Compares gateways and proxies in front of a null PostgreSQL. See `sluice_bench::runner`.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sluice_bench::load::Workload;
use sluice_bench::rows::STREAM_ROWS;
use sluice_bench::runner::proxy::{Programs, Proxy};
use sluice_bench::runner::{self, Load, Plan};

/// Measures proxies in front of a PostgreSQL back end that needs no time of its own
///
/// Every proxy has one thread or core and one CPU to itself; load and back end share another. Measurements of the
/// proxies alternate, and ratios are taken within a round.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Loads
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "point,rows100,stream,idle,churn"
    )]
    workloads: Vec<Workload>,
    /// Proxies
    #[arg(long, value_enum, value_delimiter = ',')]
    proxies: Vec<Proxy>,
    /// Connections of `point`, `rows100` and `neighbours`
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<usize>,
    /// Rounds
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Seconds before each measurement
    #[arg(long, default_value_t = 0.4)]
    warm_up: f64,
    /// Connections of `stream`
    #[arg(long, value_delimiter = ',', default_value = "1")]
    stream_connections: Vec<usize>,
    /// Rows of a `stream` reply
    #[arg(long, default_value_t = STREAM_ROWS)]
    stream_rows: u64,
    /// Connections of `churn`
    #[arg(long, value_delimiter = ',', default_value = "16")]
    churn_connections: Vec<usize>,
    /// Connections of `idle`
    #[arg(long, default_value_t = 8_000)]
    idle_connections: usize,
    /// Seconds that idle connections are watched
    #[arg(long, default_value_t = 10.0)]
    idle_seconds: f64,
    /// Rounds of `idle`
    #[arg(long, default_value_t = 3)]
    idle_rounds: usize,
    /// Everything once and short: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Also measure this forwarder, started as `PATH LISTEN_PORT TARGET_PORT epoll`, beside the floor
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Also measure this earlier build of the gateway (`sluice-before`)
    #[arg(long)]
    before: Option<PathBuf>,
    /// HAProxy's program
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    haproxy: PathBuf,
    /// PgBouncer's program
    #[arg(long, default_value = "/usr/sbin/pgbouncer")]
    pgbouncer: PathBuf,
    /// The gateway's program [default: beside this one]
    #[arg(long)]
    sluice: Option<PathBuf>,
    /// The proxies' CPU
    #[arg(long, default_value_t = 0)]
    proxy_cpu: usize,
    /// The CPU of load and back end
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Leave configurations and logs behind, and tell where
    #[arg(long)]
    keep: bool,
    /// Where the figures go
    #[arg(long, default_value = "target/bench/postgres.json")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments.rounds = 2;
        arguments.idle_rounds = 1;
        arguments.seconds = 0.2;
        arguments.warm_up = 0.1;
        arguments.idle_seconds = 1.0;
        arguments.idle_connections = arguments.idle_connections.min(500);
        arguments.stream_rows = arguments.stream_rows.min(100_000);
        arguments.connections.retain(|&connections| connections <= 16);
    }
    runner::run(&arguments.plan()?)
}

impl Arguments {
    fn plan(self) -> anyhow::Result<Plan> {
        let own = env::current_exe()?
            .parent()
            .context("this program lies nowhere")?
            .to_owned();
        let mut proxies = if self.proxies.is_empty() {
            Proxy::ALL.to_vec()
        } else {
            self.proxies.clone()
        };
        for (path, proxy) in [
            (&self.reference, Proxy::Reference),
            (&self.before, Proxy::SluiceBefore),
        ] {
            if path.is_some() && !proxies.contains(&proxy) {
                proxies.push(proxy);
            }
        }
        let loads = self
            .workloads
            .iter()
            .flat_map(|&workload| self.loads(workload))
            .collect();
        Ok(Plan {
            loads,
            programs: Programs {
                sluice: self.sluice.unwrap_or_else(|| own.join("sluice")),
                before: self.before.unwrap_or_default(),
                reference: self.reference.unwrap_or_default(),
                haproxy: self.haproxy,
                pgbouncer: self.pgbouncer,
                own,
            },
            proxies,
            keep: self.keep,
            warm_up: self.warm_up,
            stream_rows: self.stream_rows,
            proxy_cpu: self.proxy_cpu,
            load_cpu: self.load_cpu,
            output: self.output,
        })
    }

    fn loads(&self, workload: Workload) -> Vec<Load> {
        let idle = [self.idle_connections];
        let (connections, rounds, seconds) = match workload {
            Workload::Point | Workload::Rows100 | Workload::Neighbours => {
                (&self.connections[..], self.rounds, self.seconds)
            }
            Workload::Stream => (&self.stream_connections[..], self.rounds, self.seconds),
            Workload::Churn => (&self.churn_connections[..], self.rounds, self.seconds),
            Workload::Idle => (&idle[..], self.idle_rounds, self.idle_seconds),
        };
        connections
            .iter()
            .map(|&connections| Load {
                workload,
                connections,
                rounds,
                seconds,
            })
            .collect()
    }
}
