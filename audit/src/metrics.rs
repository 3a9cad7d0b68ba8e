//! The per-core figures: a file of words that one core writes and anybody reads.
//!
//! ```text
//! page 0    header: magic, format, core, process, boot id, start, how many counters and histograms
//! page 1    counters, a word each, in the order of [`Counter`]
//! page 2..  histograms: counts by bucket, a word each
//! ```
//!
//! The writer adds with a relaxed load and store of its own word; a reader sees each word whole, and words of one
//! moment or the next. New counters are added at the end, so a reader of another version takes those that both know.
//!
//! Latencies are kept as `hdrhistogram` counts them (two significant digits), but the counts lie in the file itself:
//! recording is one word, nothing is serialized on the core, and readers are never behind.

mod counters;
mod histogram;
mod read;

pub use counters::{Counter, CounterKind, Description, Label};
pub use histogram::{LATENCY_MAX_NS, Latency};
pub use read::{CoreMetrics, read, read_all};

use crate::memory::SharedMemory;
use crate::names::ChainId;
use histogram::{SLOTS, slot};

const MAGIC: [u8; 8] = *b"sluiceM1";
const FORMAT: u32 = 1;
const FORMAT_AT: usize = 8;
const CORE_AT: usize = 12;
const BOOT_AT: usize = 16;
const PROCESS_AT: usize = 32;
const COUNTERS_AT: usize = 36;
const STARTED_AT: usize = 40;
const COUNTERS_OFFSET: usize = 4096;
const HISTOGRAMS_OFFSET: usize = 8192;

/// The length of a core's metrics file.
pub const METRICS_LEN: usize = (HISTOGRAMS_OFFSET + Latency::COUNT * SLOTS * 8).next_multiple_of(4096);

const _: () = assert!(COUNTERS_OFFSET + Counter::COUNT * 8 <= HISTOGRAMS_OFFSET);

/// How many counters a file of this version has.
#[expect(clippy::cast_possible_truncation, reason = "they fit into a page")]
const COUNTERS: u32 = Counter::COUNT as u32;

/// The writer's side: one core owns it.
#[derive(Debug)]
pub struct Metrics<M> {
    memory: M,
}

impl<M: SharedMemory> Metrics<M> {
    /// Makes zeroed memory of [`METRICS_LEN`] bytes a metrics file.
    ///
    /// # Panics
    /// If the memory has another length.
    pub fn create(mut memory: M, chain: ChainId, process: u32, started_ns: u64) -> Self {
        assert_eq!(memory.len(), METRICS_LEN);
        memory.write(FORMAT_AT, &FORMAT.to_le_bytes());
        memory.write(CORE_AT, &chain.core.to_le_bytes());
        memory.write(BOOT_AT, &chain.boot.0);
        memory.write(PROCESS_AT, &process.to_le_bytes());
        memory.write(COUNTERS_AT, &COUNTERS.to_le_bytes());
        memory.write(STARTED_AT, &started_ns.to_le_bytes());
        memory.store_u64_release(0, u64::from_le_bytes(MAGIC));
        Self { memory }
    }

    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, count: u64) {
        self.add_at(COUNTERS_OFFSET + counter as usize * 8, count);
    }

    /// Takes from a gauge.
    pub fn subtract(&mut self, counter: Counter, count: u64) {
        self.add_at(COUNTERS_OFFSET + counter as usize * 8, count.wrapping_neg());
    }

    /// Sets a gauge.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.memory
            .store_u64_relaxed(COUNTERS_OFFSET + counter as usize * 8, value);
    }

    /// What a counter stands at.
    pub fn value(&self, counter: Counter) -> u64 {
        self.memory
            .load_u64_relaxed(COUNTERS_OFFSET + counter as usize * 8)
    }

    /// Counts a latency; one over [`LATENCY_MAX_NS`] counts as that.
    pub fn record(&mut self, latency: Latency, ns: u64) {
        self.add_at(HISTOGRAMS_OFFSET + (latency as usize * SLOTS + slot(ns)) * 8, 1);
    }

    fn add_at(&mut self, offset: usize, count: u64) {
        let value = self.memory.load_u64_relaxed(offset);
        self.memory.store_u64_relaxed(offset, value.wrapping_add(count));
    }
}
