//! The buckets of latencies: those of an `hdrhistogram` with two significant digits from 1 ns.
//!
//! Values below 256 have a bucket each; above, each doubling has 128 buckets of equal width. So a value is at most
//! 1/128 off, and its bucket is a shift and an addition away.

use hdrhistogram::Histogram;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Latency {
    /// Time that the gateway adds to a statement.
    Gateway,
    /// Time from the statement's last byte towards the server to the answer's last.
    Upstream,
}

impl Latency {
    /// Each of them, in the order of the file.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Upstream];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in metrics: `sluice_<name>_seconds`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway_time",
            Self::Upstream => "upstream_time",
        }
    }

    /// One sentence.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Gateway => "Time that the gateway adds to a statement.",
            Self::Upstream => "Time that the server takes for a statement.",
        }
    }
}

/// Bits of a value that its bucket keeps, beside the first one set.
const PRECISION_BITS: u32 = 7;
const HALF: usize = 1 << PRECISION_BITS;
/// Values have at most this many bits: some 18 minutes.
const VALUE_BITS: u32 = 40;
/// Longer latencies count as this.
pub const LATENCY_MAX_NS: u64 = (1 << VALUE_BITS) - 1;
/// Buckets of one histogram.
pub(super) const SLOTS: usize = (VALUE_BITS - PRECISION_BITS + 1) as usize * HALF;

/// The bucket of a value.
pub(super) fn slot(ns: u64) -> usize {
    let value = ns.min(LATENCY_MAX_NS);
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(PRECISION_BITS + 1);
    // At most 255 after the shift.
    let kept = (value >> shift) as usize;
    shift as usize * HALF + kept
}

/// The largest value of a bucket.
fn highest(slot: usize) -> u64 {
    if slot < 2 * HALF {
        return slot as u64;
    }
    let shift = slot / HALF - 1;
    let kept = (slot - shift * HALF) as u64;
    ((kept + 1) << shift) - 1
}

/// An empty histogram with these buckets.
pub(super) fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 2).expect("the bounds are constants that fit")
}

/// A histogram of counts by bucket.
pub(super) fn from_slots(counts: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = empty();
    for (slot, count) in counts.take(SLOTS).enumerate() {
        if count > 0 {
            // Within the bounds, so nothing is refused; a damaged file's counts saturate.
            histogram.saturating_record_n(highest(slot), count);
        }
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges() {
        for (value, want) in [
            (0, 0),
            (1, 1),
            (255, 255),
            (256, 256),
            (257, 256),
            (258, 257),
            (511, 383),
            (512, 384),
        ] {
            assert_eq!(slot(value), want, "{value}");
        }
        assert_eq!(slot(LATENCY_MAX_NS), SLOTS - 1);
        assert_eq!(slot(u64::MAX), SLOTS - 1);
        assert_eq!(highest(SLOTS - 1), LATENCY_MAX_NS);
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_hdrhistogram(bits in 0_u32..=40, low in any::<u64>()) {
            let value = ((1_u64 << bits) - 1) & low;
            let histogram = empty();
            prop_assert_eq!(histogram.highest_equivalent(value), highest(slot(value)), "{}", value);
        }
    }
}
