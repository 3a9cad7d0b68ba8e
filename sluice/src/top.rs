//! `sluice top`: what every core does, out of the cores' mapped figures.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Instant;

use sluice_audit::metrics::{CoreMetrics, Counter, Latency, read_all};
use sluice_audit::time::{Duration as Shown, now_ns};

use crate::cli::Top;
use crate::failure::Failure;

/// Prints tables until it is told to end.
pub(crate) fn run(arguments: &Top) -> Result<(), Failure> {
    let folder = arguments.folder.resolve()?;
    let mut before: Option<Sample> = None;
    let mut out = io::stdout();
    loop {
        let now = Sample::take(&folder)?;
        if arguments.once {
            return out
                .write_all(table(&now, None).as_bytes())
                .map_err(Failure::Output);
        }
        // Home, and what was there is cleared line by line: a cleared screen flickers.
        let home = if out.is_terminal() { "\x1b[H\x1b[J" } else { "" };
        write!(out, "{home}{}", table(&now, before.as_ref()))
            .and_then(|()| out.flush())
            .map_err(Failure::Output)?;
        before = Some(now);
        std::thread::sleep(arguments.interval);
    }
}

/// All cores at one moment.
struct Sample {
    cores: Vec<CoreMetrics>,
    at: Instant,
}

impl Sample {
    fn take(folder: &Path) -> Result<Self, Failure> {
        let cores = read_all(folder).map_err(|error| Failure::other("the figures cannot be read", error))?;
        Ok(Self {
            cores: cores.into_iter().filter(|core| core.live).collect(),
            at: Instant::now(),
        })
    }

    fn same_core(&self, core: &CoreMetrics) -> Option<&CoreMetrics> {
        self.cores.iter().find(|other| other.chain == core.chain)
    }
}

const HEADER: [&str; 13] = [
    "CORE",
    "SESSIONS",
    "STMT/S",
    "DENIED/S",
    "HIT%",
    "IN/S",
    "OUT/S",
    "COPIED%",
    "MASKED/S",
    "RING%",
    "BUSY%",
    "GATEWAY p50/p99",
    "SERVER p50/p99",
];

/// The table; rates are those since `before`, or since the start.
fn table(now: &Sample, before: Option<&Sample>) -> String {
    let mut text = String::new();
    let Some(first) = now.cores.first() else {
        return "no gateway runs over this data folder\n".to_owned();
    };
    let up_s = now_ns().saturating_sub(first.started_ns) / 1_000_000_000;
    let problems = problems(&now.cores);
    // Writing into a text does not fail.
    let _ = writeln!(
        text,
        "sluice  process {}  up {}  policy {}{problems}",
        first.process,
        uptime(up_s),
        first.value(Counter::PolicyEpoch)
    );
    let mut rows = vec![HEADER.map(str::to_owned)];
    let mut sum = Rates::default();
    for core in &now.cores {
        let earlier =
            before.and_then(|before| Some((before.same_core(core)?, now.at.duration_since(before.at))));
        let rates = Rates::of(core, earlier);
        sum.add(&rates);
        rows.push(rates.row(&core.chain.core.to_string(), Some(core)));
    }
    if now.cores.len() > 1 {
        rows.push(sum.row("all", None));
    }
    let mut widths = [0; HEADER.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  "));
    }
    text
}

/// What an operator should look at, if anything.
fn problems(cores: &[CoreMetrics]) -> String {
    let mut text = String::new();
    for (counter, what) in [
        (Counter::AuditStalls, "statements refused for want of a record"),
        (Counter::AuditWriteErrors, "audit write errors"),
        (Counter::Panics, "panics"),
        (Counter::UpstreamErrors, "server errors"),
        (Counter::AuthFailures, "failed logins"),
        (Counter::HostileInputs, "hostile inputs"),
        (Counter::SessionsRefused, "connections too many"),
        (Counter::PolicyErrors, "policy errors"),
    ] {
        let count: u64 = cores.iter().map(|core| core.value(counter)).sum();
        if count > 0 {
            let _ = write!(text, "  {count} {what}");
        }
    }
    text
}

/// What a core did in a second.
#[derive(Default)]
struct Rates {
    cores: f64,
    sessions: u64,
    statements: f64,
    denied: f64,
    hits: f64,
    misses: f64,
    received: f64,
    sent: f64,
    copied: f64,
    forwarded: f64,
    masked: f64,
    ring: f64,
    ring_capacity: f64,
    busy: f64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Rates {
    fn of(core: &CoreMetrics, earlier: Option<(&CoreMetrics, std::time::Duration)>) -> Self {
        let seconds = match earlier {
            Some((_, interval)) => interval.as_secs_f64(),
            None => now_ns().saturating_sub(core.started_ns) as f64 / 1e9,
        }
        .max(0.001);
        let rate = |counter| {
            let before = earlier.map_or(0, |(before, _)| before.value(counter));
            core.value(counter).saturating_sub(before) as f64 / seconds
        };
        let masked = (0..).map_while(Counter::values_masked).map(rate).sum();
        Self {
            cores: 1.0,
            sessions: core.value(Counter::SessionsOpen),
            statements: rate(Counter::Statements),
            denied: rate(Counter::StatementsDenied),
            hits: rate(Counter::DecisionHits),
            misses: rate(Counter::DecisionMisses),
            received: rate(Counter::BytesFromClients),
            sent: rate(Counter::BytesFromServers),
            copied: rate(Counter::BytesCopied),
            forwarded: rate(Counter::BytesForwarded),
            masked,
            ring: core.value(Counter::AuditRingDepth) as f64,
            ring_capacity: core.value(Counter::AuditRingCapacity) as f64,
            busy: rate(Counter::BusyNanoseconds) / 1e9,
        }
    }

    fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        for (sum, value) in [
            (&mut self.cores, other.cores),
            (&mut self.statements, other.statements),
            (&mut self.denied, other.denied),
            (&mut self.hits, other.hits),
            (&mut self.misses, other.misses),
            (&mut self.received, other.received),
            (&mut self.sent, other.sent),
            (&mut self.copied, other.copied),
            (&mut self.forwarded, other.forwarded),
            (&mut self.masked, other.masked),
            (&mut self.ring, other.ring),
            (&mut self.ring_capacity, other.ring_capacity),
            (&mut self.busy, other.busy),
        ] {
            *sum += value;
        }
    }

    fn row(&self, name: &str, core: Option<&CoreMetrics>) -> [String; HEADER.len()] {
        [
            name.to_owned(),
            self.sessions.to_string(),
            count(self.statements),
            count(self.denied),
            percent(self.hits, self.hits + self.misses),
            bytes(self.received),
            bytes(self.sent),
            percent(self.copied, self.copied + self.forwarded),
            count(self.masked),
            percent(self.ring, self.ring_capacity),
            percent(self.busy, self.cores),
            core.map_or_else(String::new, |core| quantiles(core, Latency::Gateway)),
            core.map_or_else(String::new, |core| quantiles(core, Latency::Upstream)),
        ]
    }
}

fn quantiles(core: &CoreMetrics, latency: Latency) -> String {
    let histogram = core.latency(latency);
    if histogram.is_empty() {
        return "-".to_owned();
    }
    let at = |quantile| Shown(histogram.value_at_quantile(quantile));
    format!("{}/{}", at(0.5), at(0.99))
}

fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 {
        format!("{:.0}", part / whole * 100.0)
    } else {
        "-".to_owned()
    }
}

fn count(rate: f64) -> String {
    scaled(rate, &[(1e9, "G"), (1e6, "M"), (1e4, "k")])
}

fn bytes(rate: f64) -> String {
    const KIB: f64 = 1024.0;
    scaled(
        rate,
        &[(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")],
    )
}

/// A figure with the largest unit that it reaches.
fn scaled(rate: f64, units: &[(f64, &str)]) -> String {
    for (unit, name) in units {
        if rate >= *unit {
            let divisor = if *name == "k" { 1e3 } else { *unit };
            return format!("{:.1}{name}", rate / divisor);
        }
    }
    if rate > 0.0 && rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_their_columns() {
        for (rate, want_count, want_bytes) in [
            (0.0, "0", "0"),
            (0.25, "0.2", "0.2"),
            (9.96, "10.0", "10.0"),
            (12.4, "12", "12"),
            (9999.0, "9999", "9.8KiB"),
            (123_456.0, "123.5k", "120.6KiB"),
            (12_345_678.0, "12.3M", "11.8MiB"),
        ] {
            assert_eq!(
                (count(rate).as_str(), bytes(rate).as_str()),
                (want_count, want_bytes),
                "{rate}"
            );
        }
        for (seconds, want) in [(5, "5s"), (65, "1m05s"), (3_700, "1h01m"), (90_000, "1d01h")] {
            assert_eq!(uptime(seconds), want);
        }
    }

    #[test]
    fn no_gateway_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::take(folder.path()).ok().unwrap();
        assert_eq!(table(&sample, None), "no gateway runs over this data folder\n");
    }
}
