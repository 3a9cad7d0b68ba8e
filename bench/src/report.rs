//! From single measurements to the table and the JSON file.
//!
//! Figures of a proxy are medians over the rounds. A ratio is taken within each round, between two measurements that
//! stand seconds apart, and then its median: what changes slowly on a shared machine falls out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::load::neighbours::NEIGHBOURS;
use crate::load::{Measurement, Neighbourhood, Workload};

/// The proxies' names, in the order of the table.
pub const FLOOR: &str = "floor";
/// HAProxy in TCP mode.
pub const HAPROXY: &str = "haproxy";
/// PgBouncer in session mode.
pub const PGBOUNCER: &str = "pgbouncer";
/// PgBouncer with TLS towards clients.
pub const PGBOUNCER_TLS: &str = "pgbouncer-tls";

/// One measurement of one round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Which round.
    pub round: usize,
    /// What was measured.
    pub measured: Measurement,
    /// Share of the proxy's CPU that others used meanwhile.
    pub others_share: Option<f64>,
}

/// All measurements of a proxy under one load.
#[derive(Clone, Debug)]
pub struct Series {
    /// The proxy.
    pub proxy: &'static str,
    /// The load.
    pub workload: Workload,
    /// Connections at a time.
    pub connections: usize,
    /// One for each round that succeeded.
    pub samples: Vec<Sample>,
}

/// One object of `postgres.json`. What does not apply is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which proxy.
    pub proxy: &'static str,
    /// Which load.
    pub workload: &'static str,
    /// Connections at a time.
    pub connections: usize,
    /// CPU time of the proxy's process for a query (`churn`: for a connection).
    pub cpu_us_per_query: Option<f64>,
    /// Median over rounds of this proxy's CPU time a query over the floor's in the same round.
    pub ratio_to_floor: Option<f64>,
    /// Least such ratio of a round.
    pub ratio_min: Option<f64>,
    /// Greatest such ratio of a round.
    pub ratio_max: Option<f64>,
    /// The like against HAProxy.
    pub ratio_to_haproxy: Option<f64>,
    /// The like against PgBouncer (with TLS for a proxy with TLS).
    pub ratio_to_pgbouncer: Option<f64>,
    /// Queries a second.
    pub qps: Option<f64>,
    /// Median latency.
    pub p50_us: Option<f64>,
    /// 99th percentile.
    pub p99_us: Option<f64>,
    /// Megabytes (10^6) of replies for each CPU second of the proxy.
    pub mb_per_cpu_s: Option<f64>,
    /// Rounds that this is made of.
    pub rounds: usize,
    /// Share of the proxy's CPU that other processes used meanwhile: noise.
    pub others_share: Option<f64>,
    /// `idle`: share of a CPU that all connections together use.
    pub idle_cpu_share: Option<f64>,
    /// `idle`: resident memory of a connection.
    pub resident_bytes_per_connection: Option<f64>,
    /// `idle`: private dirty memory of a connection.
    pub private_bytes_per_connection: Option<f64>,
    /// `neighbours`: queries a second of the same connections alone.
    pub alone_qps: Option<f64>,
    /// `neighbours`: their median latency alone.
    pub alone_p50_us: Option<f64>,
    /// `neighbours`: their 99th percentile alone.
    pub alone_p99_us: Option<f64>,
    /// `neighbours`: median over rounds of the 99th percentile above that alone in the same round, in microseconds.
    pub p99_above_alone_us: Option<f64>,
    /// `neighbours`: chains that were answered, refusals among them, a second.
    pub chains_per_s: Option<f64>,
    /// `neighbours`: share of these that were refused.
    pub chains_refused_share: Option<f64>,
}

/// The rows of all series, in their order.
pub fn rows(all: &[Series]) -> Vec<Row> {
    all.iter()
        .filter(|series| !series.samples.is_empty())
        .map(|series| row(series, all))
        .collect()
}

fn row(series: &Series, all: &[Series]) -> Row {
    let same_load = |name: &str| {
        all.iter().find(|other| {
            other.proxy == name
                && other.workload == series.workload
                && other.connections == series.connections
        })
    };
    let ratios_to = |name: &str| {
        same_load(name)
            .map(|base| ratios(series, base))
            .unwrap_or_default()
    };
    let to_floor = ratios_to(FLOOR);
    let pgbouncer = if series.proxy.ends_with("-tls") {
        PGBOUNCER_TLS
    } else {
        PGBOUNCER
    };
    let of = |value: fn(&Measurement) -> Option<f64>| {
        median(
            series
                .samples
                .iter()
                .filter_map(|sample| value(&sample.measured))
                .collect(),
        )
    };
    let nearby = |value: fn(&Neighbourhood) -> f64| {
        let values = series.samples.iter();
        median(
            values
                .filter_map(|sample| Some(value(sample.measured.neighbours.as_ref()?)))
                .collect(),
        )
    };
    let idle = series.workload == Workload::Idle;
    Row {
        proxy: series.proxy,
        workload: series.workload.name(),
        connections: series.connections,
        cpu_us_per_query: of(cpu_us_per_query),
        ratio_to_floor: median(to_floor.clone()),
        ratio_min: to_floor.iter().copied().reduce(f64::min),
        ratio_max: to_floor.iter().copied().reduce(f64::max),
        ratio_to_haproxy: median(ratios_to(HAPROXY)),
        ratio_to_pgbouncer: median(ratios_to(pgbouncer)),
        qps: of(|measured| (measured.queries > 0).then(|| count(measured.queries) / measured.seconds)),
        p50_us: of(|measured| measured.p50_us),
        p99_us: of(|measured| measured.p99_us),
        mb_per_cpu_s: of(|measured| {
            let cpu = measured
                .cpu_seconds
                .filter(|&cpu| cpu > 0.0 && measured.bytes > 0)?;
            Some(count(measured.bytes) / 1e6 / cpu)
        }),
        rounds: series.samples.len(),
        others_share: median(
            series
                .samples
                .iter()
                .filter_map(|sample| sample.others_share)
                .collect(),
        ),
        idle_cpu_share: if idle {
            of(|measured| Some(measured.cpu_seconds? / measured.seconds))
        } else {
            None
        },
        resident_bytes_per_connection: of(|measured| measured.resident_bytes_per_connection.map(count)),
        private_bytes_per_connection: of(|measured| measured.private_bytes_per_connection.map(count)),
        alone_qps: nearby(|nearby| nearby.alone_qps),
        alone_p50_us: nearby(|nearby| nearby.alone_p50_us),
        alone_p99_us: nearby(|nearby| nearby.alone_p99_us),
        p99_above_alone_us: of(|measured| {
            let alone = measured.neighbours.as_ref()?.alone_p99_us;
            Some(measured.p99_us? - alone)
        }),
        chains_per_s: nearby(|nearby| nearby.chains_per_s),
        chains_refused_share: nearby(|nearby| nearby.refused_share),
    }
}

fn cpu_us_per_query(measured: &Measurement) -> Option<f64> {
    let cpu = measured.cpu_seconds.filter(|_| measured.queries > 0)?;
    Some(cpu * 1e6 / count(measured.queries))
}

/// CPU time a query over the base's, in each round that has both.
fn ratios(series: &Series, base: &Series) -> Vec<f64> {
    let base: BTreeMap<usize, f64> = base
        .samples
        .iter()
        .filter_map(|sample| Some((sample.round, cpu_us_per_query(&sample.measured)?)))
        .collect();
    series
        .samples
        .iter()
        .filter_map(|sample| {
            let base = base.get(&sample.round).filter(|&&base| base > 0.0)?;
            Some(cpu_us_per_query(&sample.measured)? / base)
        })
        .collect()
}

/// The median; of an even number the mean of the middle two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], upper)
    } else {
        upper
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^52")]
fn count(value: u64) -> f64 {
    value as f64
}

/// The greatest share of the proxies' CPU that others used, where it is more than a few per cent.
pub fn noise(rows: &[Row]) -> Option<f64> {
    rows.iter()
        .filter_map(|row| row.others_share)
        .reduce(f64::max)
        .filter(|&share| share > 0.05)
}

/// The table for people.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut load = None;
    for row in rows {
        if load != Some((row.workload, row.connections)) {
            load = Some((row.workload, row.connections));
            let _ = writeln!(out, "\n{} at {} connections", row.workload, row.connections);
            let _ = writeln!(out, "{}", head(row.workload));
        }
        let _ = writeln!(
            out,
            "{}",
            match row.workload {
                "idle" => idle_line(row),
                "neighbours" => neighbours_lines(row),
                _ => line(row),
            }
        );
    }
    out
}

const HEAD: &str = "  proxy            CPU-us/query  x floor  (least..most)   x haproxy  x pgbouncer        qps   p50 us   \
     p99 us  MB/CPU-s  others";
const IDLE_HEAD: &str = "  proxy            resident B/conn  private dirty B/conn   CPU of all";
const NEIGHBOURS_HEAD: &str =
    "  proxy            neighbours        qps   p50 us   p99 us  above alone  chains/s  refused  others";

fn head(workload: &str) -> &'static str {
    match workload {
        "idle" => IDLE_HEAD,
        "neighbours" => NEIGHBOURS_HEAD,
        _ => HEAD,
    }
}

fn line(row: &Row) -> String {
    let spread = match (row.ratio_min, row.ratio_max) {
        (Some(least), Some(most)) => format!("({least:.2}..{most:.2})"),
        _ => "-".into(),
    };
    format!(
        "  {:<15} {:>13} {:>8} {:>14} {:>11} {:>12} {:>10} {:>8} {:>8} {:>9} {:>7}",
        row.proxy,
        number(row.cpu_us_per_query, 2),
        number(row.ratio_to_floor, 3),
        spread,
        number(row.ratio_to_haproxy, 3),
        number(row.ratio_to_pgbouncer, 3),
        number(row.qps, 0),
        number(row.p50_us, 0),
        number(row.p99_us, 0),
        number(row.mb_per_cpu_s, 0),
        row.others_share
            .map_or_else(|| "-".into(), |share| format!("{:.0}%", share * 100.0)),
    )
}

fn idle_line(row: &Row) -> String {
    format!(
        "  {:<15} {:>16} {:>21} {:>12}",
        row.proxy,
        number(row.resident_bytes_per_connection, 0),
        number(row.private_bytes_per_connection, 0),
        row.idle_cpu_share
            .map_or_else(|| "-".into(), |share| format!("{:.2}%", share * 100.0)),
    )
}

/// Without neighbours and with them.
fn neighbours_lines(row: &Row) -> String {
    let share =
        |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{:.0}%", share * 100.0));
    format!(
        "  {:<15} {:>11} {:>10} {:>8} {:>8}\n  {:<15} {:>11} {:>10} {:>8} {:>8} {:>12} {:>9} {:>8} {:>7}",
        row.proxy,
        "none",
        number(row.alone_qps, 0),
        number(row.alone_p50_us, 0),
        number(row.alone_p99_us, 0),
        "",
        NEIGHBOURS,
        number(row.qps, 0),
        number(row.p50_us, 0),
        number(row.p99_us, 0),
        number(row.p99_above_alone_us, 0),
        number(row.chains_per_s, 1),
        share(row.chains_refused_share),
        share(row.others_share),
    )
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

/// A bound that a figure is to keep.
struct Target {
    proxy: &'static str,
    workload: &'static str,
    connections_min: usize,
    connections_max: usize,
    what: &'static str,
    figure: fn(&Row) -> Option<f64>,
    most: f64,
}

const TARGETS: [Target; 13] = [
    target("sluice", "point", 16, "x floor", |row| row.ratio_to_floor, 1.2),
    target(
        "sluice",
        "point",
        16,
        "x haproxy",
        |row| row.ratio_to_haproxy,
        1.03,
    ),
    target(
        "sluice",
        "point",
        16,
        "x pgbouncer",
        |row| row.ratio_to_pgbouncer,
        1.0,
    ),
    target("sluice", "rows100", 16, "x floor", |row| row.ratio_to_floor, 1.35),
    target(
        "sluice",
        "rows100",
        16,
        "x pgbouncer",
        |row| row.ratio_to_pgbouncer,
        1.0,
    ),
    target(
        "sluice-nomask",
        "rows100",
        16,
        "x floor",
        |row| row.ratio_to_floor,
        1.1,
    ),
    target(
        "sluice-tls",
        "point",
        16,
        "x pgbouncer-tls",
        |row| row.ratio_to_pgbouncer,
        1.0,
    ),
    target(
        "sluice-tls",
        "rows100",
        16,
        "x pgbouncer-tls",
        |row| row.ratio_to_pgbouncer,
        1.0,
    ),
    // At least 0.8 of the floor's bytes a CPU second.
    target(
        "sluice-nomask",
        "stream",
        1,
        "x floor",
        |row| row.ratio_to_floor,
        1.25,
    ),
    target("sluice", "idle", 1, "CPU share", |row| row.idle_cpu_share, 0.01),
    target(
        "sluice",
        "neighbours",
        1,
        "us p99 above alone",
        |row| row.p99_above_alone_us,
        1000.0,
    ),
    one_connection("x floor", |row| row.ratio_to_floor),
    one_connection("x haproxy", |row| row.ratio_to_haproxy),
];

const fn target(
    proxy: &'static str,
    workload: &'static str,
    connections_min: usize,
    what: &'static str,
    figure: fn(&Row) -> Option<f64>,
    most: f64,
) -> Target {
    Target {
        proxy,
        workload,
        connections_min,
        connections_max: usize::MAX,
        what,
        figure,
        most,
    }
}

const fn one_connection(what: &'static str, figure: fn(&Row) -> Option<f64>) -> Target {
    let target = target("sluice", "point", 1, what, figure, 1.3);
    Target {
        connections_max: 1,
        ..target
    }
}

/// The project's bounds, each beside what was measured.
pub fn verdicts(rows: &[Row]) -> String {
    let mut out = String::new();
    for target in &TARGETS {
        for row in rows {
            let fits = row.proxy == target.proxy
                && row.workload == target.workload
                && (target.connections_min..=target.connections_max).contains(&row.connections);
            let Some(figure) = (target.figure)(row).filter(|_| fits) else {
                continue;
            };
            let verdict = if figure <= target.most { "met   " } else { "MISSED" };
            let _ = writeln!(
                out,
                "  {verdict} {:<14} {:<8} {:>5} connections: {figure:.3} {}, at most {}",
                row.proxy, row.workload, row.connections, target.what, target.most
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(proxy: &'static str, costs: &[(usize, f64)]) -> Series {
        let samples = costs
            .iter()
            .map(|&(round, cost)| Sample {
                round,
                measured: Measurement {
                    queries: 1_000,
                    seconds: 0.5,
                    cpu_seconds: Some(cost / 1e3),
                    bytes: 10_000_000,
                    ..Measurement::default()
                },
                others_share: None,
            })
            .collect();
        Series {
            proxy,
            workload: Workload::Point,
            connections: 16,
            samples,
        }
    }

    #[test]
    fn medians() {
        for (name, values, want) in [
            ("none", vec![], None),
            ("one", vec![3.0], Some(3.0)),
            ("odd", vec![9.0, 1.0, 2.0], Some(2.0)),
            ("even", vec![4.0, 1.0, 2.0, 100.0], Some(3.0)),
        ] {
            assert_eq!(median(values), want, "{name}");
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine is three times slower in round 1, and round 2 has no floor.
        let all = [
            series("floor", &[(0, 10.0), (1, 30.0)]),
            series("sluice", &[(0, 11.0), (1, 36.0), (2, 99.0)]),
        ];
        let rows = rows(&all);
        let near = |value: Option<f64>, want: f64| (value.unwrap() - want).abs() < 1e-9;
        assert!(near(rows[0].ratio_to_floor, 1.0));
        assert!(near(rows[1].ratio_to_floor, 1.15), "{rows:?}");
        assert!(near(rows[1].ratio_min, 1.1) && near(rows[1].ratio_max, 1.2));
        assert!(near(rows[1].cpu_us_per_query, 36.0));
        assert!(near(rows[1].qps, 2_000.0));
        assert!(near(rows[0].mb_per_cpu_s, 2_000.0 / 3.0));
        assert_eq!(rows[1].ratio_to_haproxy, None);
    }

    #[test]
    fn neighbours_are_set_beside_the_same_round_without_them() {
        let mut all = series("sluice", &[(0, 1.0), (1, 1.0), (2, 1.0)]);
        all.workload = Workload::Neighbours;
        // The machine is three times slower in round 1.
        for (sample, (alone, beside)) in
            all.samples
                .iter_mut()
                .zip([(100.0, 150.0), (300.0, 450.0), (100.0, 200.0)])
        {
            sample.measured.cpu_seconds = None;
            sample.measured.p99_us = Some(beside);
            sample.measured.neighbours = Some(Neighbourhood {
                alone_p99_us: alone,
                refused_share: 0.75,
                ..Neighbourhood::default()
            });
        }
        let rows = rows(&[all]);
        assert_eq!(rows[0].p99_above_alone_us, Some(100.0));
        assert_eq!(rows[0].cpu_us_per_query, None);
        let text = table(&rows);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = text.lines().skip(3).map(words).collect();
        assert_eq!(lines[0], ["sluice", "none", "0", "0", "100"]);
        assert_eq!(lines[1], ["1", "2000", "-", "200", "100", "0.0", "75%", "-"]);
    }

    #[test]
    fn a_proxy_with_tls_is_compared_with_one_with_tls() {
        let all = [
            series("pgbouncer", &[(0, 10.0)]),
            series("pgbouncer-tls", &[(0, 20.0)]),
            series("sluice-tls", &[(0, 18.0)]),
        ];
        assert_eq!(rows(&all)[2].ratio_to_pgbouncer, Some(0.9));
    }

    #[test]
    fn bounds_are_looked_up_by_load() {
        let all = [series("floor", &[(0, 10.0)]), series("sluice", &[(0, 12.5)])];
        let text = verdicts(&rows(&all));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("MISSED sluice         point       16 connections: 1.250 x floor, at most 1.2"),
            "{text}"
        );
    }

    #[test]
    fn the_file_has_the_fields_that_readers_expect() {
        let json = serde_json::to_value(rows(&[series("floor", &[(0, 10.0)])])).unwrap();
        let object = json[0].as_object().unwrap();
        for field in [
            "proxy",
            "workload",
            "connections",
            "cpu_us_per_query",
            "ratio_to_floor",
            "ratio_min",
            "ratio_max",
            "qps",
            "p50_us",
            "p99_us",
            "mb_per_cpu_s",
        ] {
            assert!(object.contains_key(field), "{field}");
        }
        assert!(object["p50_us"].is_null());
    }
}
