//! What one core writes down: the audit ring and the metrics, both in mapped files.

use std::time::{SystemTime, UNIX_EPOCH};

use sluice_audit::metrics::{Counter, Latency, Metrics};
use sluice_audit::record::{Body, Event, EventKind, Record, StatementBegin, StatementEnd};
use sluice_audit::ring::{Ring, RingFull};
use sluice_masking::Counts;
use sluice_runtime::time::Moment;

use crate::mapped::MappedMemory;

/// One core's record and figures.
pub(crate) struct Ledger {
    ring: Ring<MappedMemory>,
    pub(crate) metrics: Metrics<MappedMemory>,
    clock: WallClock,
}

/// Wall-clock time from the monotonic clock, so that a statement reads one clock.
struct WallClock {
    base: Moment,
    base_unix_ns: u64,
}

impl WallClock {
    fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            base: Moment::now(),
            base_unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    fn at(&self, moment: Moment) -> u64 {
        self.base_unix_ns
            .saturating_add(moment.nanoseconds_since(self.base))
    }
}

/// A duration in the record's unit.
pub(crate) fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Ledger {
    pub(crate) fn new(ring: Ring<MappedMemory>, metrics: Metrics<MappedMemory>) -> Self {
        Self {
            ring,
            metrics,
            clock: WallClock::new(),
        }
    }

    /// Follows the wall clock's corrections; called now and then.
    pub(crate) fn set_clock(&mut self) {
        self.clock = WallClock::new();
    }

    /// Appends a record of a moment.
    pub(crate) fn append(
        &mut self,
        at: Moment,
        session: u64,
        statement: u64,
        body: Body<'_>,
    ) -> Result<(), RingFull> {
        let record = Record {
            time_ns: self.clock.at(at),
            session,
            statement,
            body,
        };
        let head = self.ring.head();
        self.ring.append(&record)?;
        self.metrics.add(Counter::AuditRecords, 1);
        self.metrics.add(Counter::AuditBytes, self.ring.head() - head);
        Ok(())
    }

    /// Commits a statement's begin. Only after it may the statement's first byte go up.
    pub(crate) fn begin(
        &mut self,
        at: Moment,
        session: u64,
        statement: u64,
        begin: StatementBegin<'_>,
    ) -> Result<(), RingFull> {
        let committed = self.append(at, session, statement, Body::StatementBegin(begin));
        if committed.is_err() {
            self.metrics.add(Counter::AuditStalls, 1);
        }
        committed
    }

    /// Records how a statement ended, and counts it.
    pub(crate) fn end(&mut self, at: Moment, session: u64, statement: u64, end: StatementEnd) {
        // Room for it was kept at its begin.
        let recorded = self.append(at, session, statement, Body::StatementEnd(end));
        debug_assert!(recorded.is_ok(), "{recorded:?}");
    }

    /// Records an event; if the ring is full it is only counted.
    pub(crate) fn event(&mut self, session: u64, event: Event<'_>) {
        let counter = match event.event {
            EventKind::HostileInput => Some(Counter::HostileInputs),
            EventKind::Panic => Some(Counter::Panics),
            EventKind::AuthFailed => Some(Counter::AuthFailures),
            EventKind::ServerProtocol | EventKind::ServerRefused => Some(Counter::UpstreamErrors),
            EventKind::Cancelled => Some(Counter::Cancels),
            EventKind::CancelRefused => Some(Counter::CancelsRefused),
            _ => None,
        };
        if let Some(counter) = counter {
            self.metrics.add(counter, 1);
        }
        if self
            .append(Moment::now(), session, 0, Body::Event(event))
            .is_err()
        {
            self.metrics.add(Counter::AuditStalls, 1);
        }
    }

    /// Counts masked values.
    pub(crate) fn masked(&mut self, counts: &Counts) {
        if counts.is_empty() {
            return;
        }
        for (class, count) in counts.iter() {
            if let Some(counter) = Counter::values_masked(class.index()) {
                self.metrics.add(counter, u64::from(count));
            }
        }
    }

    /// Adds a statement's times to the histograms.
    pub(crate) fn times(&mut self, gateway_ns: u64, upstream_ns: u64) {
        self.metrics.record(Latency::Gateway, gateway_ns);
        self.metrics.record(Latency::Upstream, upstream_ns);
    }

    pub(crate) fn ring(&mut self) -> &mut Ring<MappedMemory> {
        &mut self.ring
    }
}

#[cfg(test)]
mod tests {
    use sluice_audit::record::{ACTION_NAMES, CLASS_NAMES, FLAG_NAMES};
    use sluice_masking::Class;
    use sluice_parsers::sql::effect::{Action, EffectFlags};

    /// The record's reader knows neither the parsers nor the masker, so it has their names by itself.
    #[test]
    fn the_record_names_bits_as_their_owners_do() {
        assert_eq!(ACTION_NAMES, Action::ALL.map(Action::name));
        assert_eq!(CLASS_NAMES, Class::ALL.map(Class::name));
        for (bit, name) in FLAG_NAMES.into_iter().enumerate() {
            let names: Vec<_> = EffectFlags::from_bits(1 << bit).names().collect();
            assert_eq!(names, [name]);
        }
        assert_eq!(EffectFlags::from_bits(1 << FLAG_NAMES.len()).names().count(), 0);
    }
}
