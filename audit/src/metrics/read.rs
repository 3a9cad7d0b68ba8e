//! Reading metrics files, of processes that run and of processes that are gone.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;

use super::histogram::{SLOTS, empty, from_slots};
use super::{
    BOOT_AT, CORE_AT, COUNTERS_AT, COUNTERS_OFFSET, Counter, FORMAT, FORMAT_AT, HISTOGRAMS_OFFSET, Latency,
    MAGIC, METRICS_LEN, PROCESS_AT, STARTED_AT,
};
use crate::bytes::{array_at, u32_at, u64_at};
use crate::lock;
use crate::names::{BootId, ChainId, metrics_dir};
use crate::segment::ReadAt;

/// A core's figures at one moment.
#[derive(Debug, Clone)]
pub struct CoreMetrics {
    /// Whose.
    pub chain: ChainId,
    /// The process id.
    pub process: u32,
    /// When the process started, Unix nanoseconds.
    pub started_ns: u64,
    /// Whether that process runs, as far as the data folder's lock says.
    pub live: bool,
    values: Vec<u64>,
    latencies: [Histogram<u64>; Latency::COUNT],
}

impl CoreMetrics {
    /// Reads a metrics file's bytes; `None` if they are none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if array_at(bytes, 0)? != MAGIC || u32_at(bytes, FORMAT_AT)? != FORMAT {
            return None;
        }
        let known = usize::try_from(u32_at(bytes, COUNTERS_AT)?)
            .ok()?
            .min(Counter::COUNT);
        let values = (0..known)
            .map_while(|index| u64_at(bytes, COUNTERS_OFFSET + index * 8))
            .collect();
        let mut latencies = [empty(), empty()];
        for (index, latency) in latencies.iter_mut().enumerate() {
            let first = HISTOGRAMS_OFFSET + index * SLOTS * 8;
            *latency = from_slots((0..SLOTS).map_while(|slot| u64_at(bytes, first + slot * 8)));
        }
        Some(Self {
            chain: ChainId {
                boot: BootId(array_at(bytes, BOOT_AT)?),
                core: u32_at(bytes, CORE_AT)?,
            },
            process: u32_at(bytes, PROCESS_AT)?,
            started_ns: u64_at(bytes, STARTED_AT)?,
            live: false,
            values,
            latencies,
        })
    }

    /// What a counter stood at; 0 if the writer's version does not have it.
    pub fn value(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).copied().unwrap_or(0)
    }

    /// The latencies counted so far, in nanoseconds.
    pub fn latency(&self, latency: Latency) -> &Histogram<u64> {
        &self.latencies[latency as usize]
    }
}

/// Reads one core's file; `None` if it is none.
pub fn read(path: &Path) -> io::Result<Option<CoreMetrics>> {
    let file = File::open(path)?;
    let mut bytes = vec![0; METRICS_LEN];
    let read = ReadAt::read_at(&file, &mut bytes, 0)?;
    Ok(CoreMetrics::parse(&bytes[..read]))
}

/// Reads every core's file under the data folder, by core. Files of earlier starts are among them, not `live`.
pub fn read_all(data: &Path) -> io::Result<Vec<CoreMetrics>> {
    let entries = match fs::read_dir(metrics_dir(data)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let holder = lock::holder(data)?;
    let mut cores = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "metrics") {
            continue;
        }
        match read(&path) {
            Ok(Some(mut core)) => {
                core.live = holder.is_some_and(|holder| holder.boot == core.chain.boot);
                cores.push(core);
            }
            Ok(None) => {}
            // Replaced by the next start while we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    cores.sort_by_key(|core| (core.chain.core, core.started_ns));
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::memory::HeapMemory;
    use crate::metrics::{CounterKind, Metrics};
    use crate::names::metrics_path;

    fn metrics() -> Metrics<HeapMemory> {
        let chain = ChainId {
            boot: BootId([3; 16]),
            core: 5,
        };
        Metrics::create(HeapMemory::zeroed(METRICS_LEN), chain, 42, 7)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut metrics = metrics();
        metrics.add(Counter::Statements, 3);
        metrics.add(Counter::Statements, 4);
        metrics.add(Counter::SessionsOpen, 2);
        metrics.subtract(Counter::SessionsOpen, 1);
        metrics.set(Counter::AuditRingDepth, 99);
        for ns in [100, 1_000, 1_000_000] {
            metrics.record(Latency::Upstream, ns);
        }
        let core = CoreMetrics::parse(metrics.memory.bytes()).expect("a metrics file");
        assert_eq!((core.chain.core, core.process, core.started_ns), (5, 42, 7));
        for (counter, want) in [
            (Counter::Statements, 7),
            (Counter::SessionsOpen, 1),
            (Counter::AuditRingDepth, 99),
            (Counter::Panics, 0),
        ] {
            assert_eq!(core.value(counter), want, "{counter:?}");
        }
        assert_eq!(core.latency(Latency::Gateway).len(), 0);
        assert_eq!(core.latency(Latency::Upstream).len(), 3);
        assert!(
            core.latency(Latency::Upstream)
                .equivalent(core.latency(Latency::Upstream).max(), 1_000_000)
        );
    }

    #[test]
    fn files_of_other_versions_and_of_nobody() {
        let file = metrics().memory.bytes().to_vec();
        let mut older = file.clone();
        older[COUNTERS_AT..COUNTERS_AT + 4].copy_from_slice(&2_u32.to_le_bytes());
        let older = CoreMetrics::parse(&older).expect("a metrics file");
        assert_eq!(
            older.value(Counter::Statements),
            0,
            "not there yet in that version"
        );

        let mut newer = file.clone();
        newer[COUNTERS_AT..COUNTERS_AT + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(CoreMetrics::parse(&newer).is_some(), "more counters than we know");

        for len in [0, 8, 39, 4096, 8192, 9000] {
            let _ = CoreMetrics::parse(&file[..len]);
        }
        assert!(
            CoreMetrics::parse(&vec![0; METRICS_LEN]).is_none(),
            "not put to use yet"
        );
        assert!(CoreMetrics::parse(&vec![0xff; METRICS_LEN]).is_none());
    }

    #[test]
    fn all_cores_of_a_folder() {
        let data = tempfile::tempdir().expect("a folder");
        assert!(
            read_all(data.path()).expect("readable").is_empty(),
            "no folder yet"
        );
        fs::create_dir(metrics_dir(data.path())).expect("a folder");
        fs::write(metrics_path(data.path(), 5), metrics().memory.bytes()).expect("written");
        fs::write(metrics_path(data.path(), 6), b"").expect("written");
        fs::write(metrics_dir(data.path()).join("notes"), b"").expect("written");
        let cores = read_all(data.path()).expect("readable");
        assert_eq!(cores.len(), 1);
        assert!(!cores[0].live);
    }

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for counter in Counter::ALL.iter().copied() {
            let description = counter.describe();
            assert!(
                names.insert((counter.full_name(), description.label)),
                "{counter:?}"
            );
            assert_eq!(
                description.kind == CounterKind::Counter,
                counter.full_name().ends_with("_total")
            );
            assert!(description.help.ends_with('.'));
        }
        for (class, name) in crate::record::CLASS_NAMES.iter().enumerate() {
            let counter = Counter::values_masked(class).expect("a counter for each class");
            assert_eq!(counter.describe().label.map(|label| label.value), Some(*name));
        }
        assert_eq!(Counter::values_masked(8), None);
    }
}
