//! Runs every load against every proxy, round by round, and reports.
//!
//! For each load (a workload and a number of connections) all proxies are started afresh, then measured one after
//! the other, round after round; each round begins with the next one, so that none always follows the same. The
//! proxy's CPU belongs to it alone; load and back end share the other.

pub mod child;
pub mod proxy;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::child::Process;
use self::proxy::{PASSWORD, Programs, Proxy, Running, Surroundings, USER};
use crate::kernel;
use crate::load::{Measurement, Workload};
use crate::report::{self, Sample, Series};
use crate::rows::Expect;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the programs are.
    pub programs: Programs,
    /// The proxies.
    pub proxies: Vec<Proxy>,
    /// The loads, in order.
    pub loads: Vec<Load>,
    /// Seconds before each measurement.
    pub warm_up: f64,
    /// Rows of a `stream` reply.
    pub stream_rows: u64,
    /// The proxies' CPU.
    pub proxy_cpu: usize,
    /// The CPU of load and back end.
    pub load_cpu: usize,
    /// Configurations and logs stay after the run.
    pub keep: bool,
    /// The JSON file.
    pub output: PathBuf,
}

/// A workload at a number of connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// What is asked.
    pub workload: Workload,
    /// By how many connections.
    pub connections: usize,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of each measurement.
    pub seconds: f64,
}

/// Runs the plan, prints and writes the report; an error tells of all that failed.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    plan.programs.check(&plan.proxies)?;
    check_machine(plan)?;
    let folder = plan
        .output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Sluice writes its record to the disk that the target folder is on; other users read the rest below /tmp.
    let private = tempfile::Builder::new().prefix("data-").tempdir_in(folder)?;
    let mut public = tempfile::Builder::new().prefix("sluice-bench-").tempdir()?;
    public.disable_cleanup(plan.keep);
    fs::set_permissions(public.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;

    let mut around = Surroundings {
        programs: plan.programs.clone(),
        public: public.path().to_owned(),
        private: fs::canonicalize(private.path())?,
        back_end: ([127, 0, 0, 1], 0).into(),
        cpu: plan.proxy_cpu,
    };
    around.make_certificate()?;
    let back_end = start_back_end(&mut around, plan.load_cpu)?;

    let mut results = Results {
        all: Vec::new(),
        failures: Vec::new(),
        stop: stop_signal()?,
    };
    for load in &plan.loads {
        results.run_load(plan, &around, *load);
        let rows = report::rows(&results.all);
        let this: Vec<_> = rows
            .iter()
            .filter(|row| row.workload == load.workload.name() && row.connections == load.connections)
            .cloned()
            .collect();
        print!("{}", report::table(&this));
        std::io::stdout().flush()?;
        // After each load, so that a run that is broken off leaves what it has.
        fs::write(&plan.output, serde_json::to_string_pretty(&rows)? + "\n")
            .with_context(|| format!("cannot write {}", plan.output.display()))?;
        if results.stopped() {
            break;
        }
    }
    drop(back_end);
    let rows = report::rows(&results.all);
    if let Some(share) = report::noise(&rows) {
        println!(
            "\nothers used up to {:.0}% of the proxies' CPU: these figures are noisy",
            share * 100.0
        );
    }
    let verdicts = report::verdicts(&rows);
    if !verdicts.is_empty() {
        println!("\ntargets\n{verdicts}");
    }
    println!("written to {}", plan.output.display());
    if plan.keep {
        println!("configurations and logs are in {}", public.path().display());
    }
    let Results { failures, .. } = &results;
    ensure!(!results.stopped(), "stopped by a signal");
    ensure!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

/// Set once a signal asks to end, so that processes and folders are cleared away.
fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// What a run has found so far.
struct Results {
    all: Vec<Series>,
    failures: Vec<String>,
    stop: Arc<AtomicBool>,
}

fn check_machine(plan: &Plan) -> anyhow::Result<()> {
    let cpus = kernel::cpus()?;
    for cpu in [plan.proxy_cpu, plan.load_cpu] {
        ensure!(
            cpus.contains(&cpu),
            "CPU {cpu} is not one that may be used; {cpus:?} are (--proxy-cpu, --load-cpu)"
        );
    }
    ensure!(
        plan.proxy_cpu != plan.load_cpu,
        "the proxies need a CPU of their own"
    );
    let most = plan.loads.iter().map(|load| load.connections).max().unwrap_or(0) as u64;
    let files = kernel::lift_open_files()?;
    let needed = 2 * most + 200;
    ensure!(
        files >= needed,
        "{needed} open files a process are needed, {files} are allowed (ulimit -Hn)"
    );
    Ok(())
}

fn start_back_end(around: &mut Surroundings, cpu: usize) -> anyhow::Result<Process> {
    let mut command = Command::new(around.programs.own.join("null-postgres"));
    command.arg("--die-with-parent");
    let log = around.public.join("null-postgres.log");
    let mut process = Process::start("null-postgres", command, &[cpu], &log)?;
    around.back_end = process.wait_until(Duration::from_secs(10), |process| {
        process
            .log_tail()
            .lines()
            .next()
            .and_then(|line| line.parse::<SocketAddr>().ok())
    })?;
    Ok(process)
}

impl Results {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One load on all proxies. A proxy that fails is left out of the rest of it.
    fn run_load(&mut self, plan: &Plan, around: &Surroundings, load: Load) {
        let first = self.all.len();
        let mut running: Vec<Option<Running>> = Vec::new();
        for &proxy in &plan.proxies {
            self.all.push(Series {
                proxy: proxy.name(),
                workload: load.workload,
                connections: load.connections,
                samples: Vec::new(),
            });
            running.push(self.start(plan, around, load, proxy));
        }
        for round in 0..load.rounds {
            for turn in 0..plan.proxies.len() {
                if self.stopped() {
                    return;
                }
                let at = (turn + round) % plan.proxies.len();
                let Some(target) = &mut running[at] else { continue };
                let proxy = plan.proxies[at];
                match measure(plan, around, load, proxy, target) {
                    Ok((measured, others_share)) => {
                        self.all[first + at].samples.push(Sample {
                            round,
                            measured,
                            others_share,
                        });
                        // Memory of idle connections is that of a fresh process.
                        if load.workload == Workload::Idle && round + 1 < load.rounds {
                            running[at] = None;
                            running[at] = self.start(plan, around, load, proxy);
                        }
                    }
                    Err(error) => {
                        self.failed(load, proxy, &error);
                        running[at] = None;
                    }
                }
            }
            eprint!(
                "\r{} at {}: round {}/{} ",
                load.workload.name(),
                load.connections,
                round + 1,
                load.rounds
            );
        }
        eprintln!();
    }

    fn start(&mut self, plan: &Plan, around: &Surroundings, load: Load, proxy: Proxy) -> Option<Running> {
        // Long statements are to be analysed on another CPU than the one whose sessions are measured.
        let helper_cpu = (load.workload == Workload::Neighbours).then_some(plan.load_cpu);
        around
            .start(proxy, load.connections, helper_cpu)
            .map_err(|error| self.failed(load, proxy, &error))
            .ok()
    }

    fn failed(&mut self, load: Load, proxy: Proxy, error: &anyhow::Error) {
        if !self.stopped() {
            let line = format!(
                "{} {} at {}: {error:#}",
                proxy.name(),
                load.workload.name(),
                load.connections
            );
            eprintln!("{line}");
            self.failures.push(line);
        }
    }
}

/// One measurement: a load process of its own.
fn measure(
    plan: &Plan,
    around: &Surroundings,
    load: Load,
    proxy: Proxy,
    target: &mut Running,
) -> anyhow::Result<(Measurement, Option<f64>)> {
    let mut command = Command::new(around.programs.own.join("load"));
    command
        .arg(target.address.to_string())
        .arg("--die-with-parent")
        .args([
            "--workload",
            load.workload.name(),
            "--user",
            USER,
            "--database",
            "bench",
        ])
        .args(["--connections", &load.connections.to_string()])
        .args([
            "--warm-up",
            &plan.warm_up.to_string(),
            "--seconds",
            &load.seconds.to_string(),
        ])
        .args(["--stream-rows", &plan.stream_rows.to_string()])
        .args(["--patience", &(60 + load.connections / 50).to_string()])
        .args([
            "--expect",
            if proxy.expect() == Expect::Masked {
                "masked"
            } else {
                "plain"
            },
        ])
        .env("PGPASSWORD", PASSWORD)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    if proxy.tls() {
        command.arg("--tls-ca").arg(around.certificate());
    }
    let pid = target.process.as_ref().map(Process::pid);
    if let Some(pid) = pid {
        command.args(["--pid", &pid.to_string()]);
    }
    let busy = busy_time(plan.proxy_cpu)?;
    let used = pid.map(kernel::cpu_time).transpose()?;
    let begun = std::time::Instant::now();
    let output = kernel::with_affinity(&[plan.load_cpu], || command.output())??;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(match &mut target.process {
            Some(process) => process.failure(&told),
            None => anyhow::anyhow!("{told}"),
        });
    }
    let wall = begun.elapsed().as_secs_f64();
    let own = match (used, pid) {
        (Some(before), Some(pid)) => kernel::cpu_time(pid)?.saturating_sub(before).as_secs_f64(),
        _ => 0.0,
    };
    let others = (busy_time(plan.proxy_cpu)?.saturating_sub(busy).as_secs_f64() - own).max(0.0) / wall;
    let measured = serde_json::from_slice(&output.stdout).context("the load's output")?;
    Ok((measured, pid.map(|_| others)))
}

/// Time that a CPU was not idle, by `/proc/stat`, in the kernel's ticks of 10 ms.
fn busy_time(cpu: usize) -> anyhow::Result<Duration> {
    parse_busy(&fs::read_to_string("/proc/stat")?, cpu)
        .with_context(|| format!("/proc/stat has no CPU {cpu}"))
}

fn parse_busy(stat: &str, cpu: usize) -> Option<Duration> {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cpu{cpu} ")))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal
    let busy = ticks
        .iter()
        .take(8)
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4))
        .map(|(_, ticks)| ticks);
    Some(Duration::from_millis(10) * u32::try_from(busy.sum::<u64>()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_waiting() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 1000 1000 4 5 6 7 8\ncpu10 0 0 0 0\n";
        assert_eq!(parse_busy(stat, 0), Some(Duration::from_millis(210)));
        assert_eq!(parse_busy(stat, 1), None);
        assert!(busy_time(0).unwrap() > Duration::ZERO);
    }
}
