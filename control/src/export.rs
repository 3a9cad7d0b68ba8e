//! The cores' figures as Prometheus (OpenMetrics) text.
//!
//! Read from the cores' mapped files at each scrape: the data plane is not asked for anything, and a scrape that
//! hangs costs a core nothing. Only cores of the process that runs now are exported.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use sluice_audit::metrics::{CoreMetrics, Counter, CounterKind, Latency, read_all};

use crate::oidc::Verifier;

/// The content type of [`Exporter::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency buckets, in nanoseconds.
const BOUNDS_NS: [u64; 16] = [
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    200_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// Makes the text of a scrape.
#[derive(Debug)]
pub(crate) struct Exporter {
    registry: Registry,
}

impl Exporter {
    /// Exports the cores whose files are in that data folder, and the issuers' keys.
    pub(crate) fn new(data: PathBuf, verifier: Option<Arc<Verifier>>) -> Self {
        let mut registry = Registry::with_prefix("sluice");
        registry.register_collector(Box::new(Figures { data, verifier }));
        Self { registry }
    }

    /// The text of now.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(32 << 10);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

struct Figures {
    data: PathBuf,
    verifier: Option<Arc<Verifier>>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cores = read_all(&self.data).unwrap_or_else(|error| {
            tracing::warn!(%error, "the cores' figures cannot be read");
            Vec::new()
        });
        let cores: Vec<CoreMetrics> = cores.into_iter().filter(|core| core.live).collect();
        // Counters of one name stand together in the table, and OpenMetrics wants them under one description.
        for same_name in Counter::ALL.chunk_by(|one, other| one.describe().name == other.describe().name) {
            encode_counters(&mut encoder, same_name, &cores)?;
        }
        for latency in Latency::ALL {
            encode_latency(&mut encoder, latency, &cores)?;
        }
        encode_build(&mut encoder)?;
        self.encode_issuers(&mut encoder)
    }
}

impl Figures {
    fn encode_issuers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(verifier) = &self.verifier else {
            return Ok(());
        };
        let help = "Keys of an issuer that can verify tokens now.";
        let mut family = encoder.encode_descriptor("issuer_keys", help, None, MetricType::Gauge)?;
        for issuer in verifier.status() {
            let keys = ConstGauge::new(i64::try_from(issuer.keys).unwrap_or(i64::MAX));
            keys.encode(family.encode_family(&[("issuer", issuer.issuer)])?)?;
        }
        Ok(())
    }
}

fn encode_counters(
    encoder: &mut DescriptorEncoder<'_>,
    counters: &[Counter],
    cores: &[CoreMetrics],
) -> Result<(), fmt::Error> {
    let Some(description) = counters.first().map(|counter| counter.describe()) else {
        return Ok(());
    };
    let names_unit = description.unit.is_empty() || description.name.contains(description.unit);
    let unit = (!names_unit).then_some(Unit::Bytes);
    let kind = match description.kind {
        CounterKind::Counter => MetricType::Counter,
        CounterKind::Gauge => MetricType::Gauge,
    };
    let mut family = encoder.encode_descriptor(description.name, description.help, unit.as_ref(), kind)?;
    for core in cores {
        for counter in counters {
            let mut labels = vec![("core", core.chain.core.to_string())];
            labels.extend(
                counter
                    .describe()
                    .label
                    .map(|label| (label.name, label.value.to_owned())),
            );
            let value = core.value(*counter);
            let mut metric = family.encode_family(&labels)?;
            match description.kind {
                CounterKind::Counter => metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)?,
                // A gauge that a torn pair of reads took below zero would wrap to something huge.
                CounterKind::Gauge => metric.encode_gauge(&i64::try_from(value).unwrap_or(0))?,
            }
        }
    }
    Ok(())
}

fn encode_latency(
    encoder: &mut DescriptorEncoder<'_>,
    latency: Latency,
    cores: &[CoreMetrics],
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(
        latency.name(),
        latency.help(),
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    for core in cores {
        let histogram = core.latency(latency);
        let count = histogram.len();
        // Each bucket holds what the ones before it do not.
        let mut counted = 0;
        let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(BOUNDS_NS.len() + 1);
        for bound in BOUNDS_NS {
            let so_far = histogram.count_between(0, bound);
            buckets.push((seconds(bound), so_far - counted));
            counted = so_far;
        }
        buckets.push((f64::INFINITY, count - counted));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum of latencies is an estimate anyway"
        )]
        let sum = histogram.mean() * count as f64 / 1e9;
        let labels = [("core", core.chain.core.to_string())];
        family
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn encode_build(encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "The version that runs.";
    let mut family = encoder.encode_descriptor("build", help, None, MetricType::Info)?;
    family.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sluice_audit::lock::DataLock;
    use sluice_audit::memory::{HeapMemory, SharedMemory};
    use sluice_audit::metrics::{METRICS_LEN, Metrics};
    use sluice_audit::names::{BootId, ChainId, metrics_dir, metrics_path};

    use super::*;

    const BOOT: BootId = BootId([5; 16]);

    /// A core's file; `fill` writes its figures.
    fn write_core(
        data: &std::path::Path,
        boot: BootId,
        core: u32,
        fill: impl FnOnce(&mut Metrics<&mut Seen>),
    ) {
        let mut memory = Seen(HeapMemory::zeroed(METRICS_LEN));
        fill(&mut Metrics::create(&mut memory, ChainId { boot, core }, 1, 1));
        fs::create_dir_all(metrics_dir(data)).unwrap();
        fs::write(metrics_path(data, core), memory.0.bytes()).unwrap();
    }

    #[test]
    fn figures_of_the_running_cores_are_exported() {
        let data = tempfile::tempdir().unwrap();
        let exporter = Exporter::new(data.path().to_owned(), None);
        assert!(!exporter.text().unwrap().contains("core="), "nothing runs yet");

        for core in [0, 1] {
            write_core(data.path(), BOOT, core, |metrics| {
                metrics.add(Counter::Statements, 7 + u64::from(core));
                metrics.set(Counter::SessionsOpen, 3);
                metrics.add(Counter::AuditBytes, 100);
                metrics.add(Counter::ValuesMaskedEmail, 2);
                for ns in [4_000, 30_000, 40_000_000_000] {
                    metrics.record(Latency::Gateway, ns);
                }
            });
        }
        write_core(data.path(), BootId([6; 16]), 2, |metrics| {
            metrics.add(Counter::Statements, 99);
        });
        let _lock = DataLock::acquire(data.path(), BOOT).unwrap();
        let text = exporter.text().unwrap();
        for want in [
            "# TYPE sluice_statements counter",
            "sluice_statements_total{core=\"0\"} 7",
            "sluice_statements_total{core=\"1\"} 8",
            "sluice_sessions_open{core=\"0\"} 3",
            "sluice_audit_bytes_total{core=\"0\"} 100",
            "sluice_values_masked_total{core=\"0\",class=\"email\"} 2",
            "sluice_values_masked_total{core=\"0\",class=\"jwt\"} 0",
            "# TYPE sluice_gateway_time_seconds histogram",
            "sluice_gateway_time_seconds_bucket{le=\"0.000005\",core=\"0\"} 1",
            "sluice_gateway_time_seconds_bucket{le=\"0.00005\",core=\"0\"} 2",
            "sluice_gateway_time_seconds_bucket{le=\"30.0\",core=\"0\"} 2",
            "sluice_gateway_time_seconds_bucket{le=\"+Inf\",core=\"0\"} 3",
            "sluice_gateway_time_seconds_count{core=\"0\"} 3",
            "sluice_build_info{version=",
        ] {
            assert!(
                text.lines().any(|line| line.starts_with(want)),
                "{want} in\n{text}"
            );
        }
        assert!(!text.contains("core=\"2\""), "an earlier start's core\n{text}");
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# TYPE sluice_values_masked counter").count(), 1);
        for counter in Counter::ALL {
            let name = counter.full_name();
            assert!(
                text.lines()
                    .any(|line| line.starts_with(&format!("{name}{{core=\"0\""))),
                "{name}\n{text}"
            );
        }
    }

    /// Memory that outlives its `Metrics`.
    struct Seen(HeapMemory);

    impl SharedMemory for &mut Seen {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn write(&mut self, offset: usize, bytes: &[u8]) {
            self.0.write(offset, bytes);
        }
        fn read(&self, offset: usize, into: &mut [u8]) {
            self.0.read(offset, into);
        }
        fn store_u32_release(&mut self, offset: usize, value: u32) {
            self.0.store_u32_release(offset, value);
        }
        fn store_u64_release(&mut self, offset: usize, value: u64) {
            self.0.store_u64_release(offset, value);
        }
        fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
            self.0.store_u64_relaxed(offset, value);
        }
        fn load_u64_relaxed(&self, offset: usize) -> u64 {
            self.0.load_u64_relaxed(offset)
        }
    }
}
