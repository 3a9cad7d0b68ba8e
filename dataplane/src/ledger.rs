//! What one core writes down: the audit ring and the metrics, both in mapped files.

mod strangers;

use std::time::{SystemTime, UNIX_EPOCH};

use sluice_audit::metrics::{Counter, Latency, Metrics};
use sluice_audit::names::BootId;
use sluice_audit::record::{Body, Event, EventKind, Record, StatementBegin, StatementEnd};
use sluice_audit::ring::{Ring, RingFull};
use sluice_masking::Counts;
use sluice_runtime::time::Moment;

use self::strangers::Strangers;
use crate::mapped::MappedMemory;

/// One core's record and figures.
pub(crate) struct Ledger {
    boot: BootId,
    ring: Ring<MappedMemory>,
    pub(crate) metrics: Metrics<MappedMemory>,
    clock: WallClock,
    strangers: Strangers,
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
    pub(crate) fn new(ring: Ring<MappedMemory>, metrics: Metrics<MappedMemory>, boot: BootId) -> Self {
        Self {
            boot,
            ring,
            metrics,
            clock: WallClock::new(),
            strangers: Strangers::default(),
        }
    }

    /// The start of the process, which records name.
    pub(crate) fn boot(&self) -> BootId {
        self.boot
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

    /// Records an event; if the ring is full it is only counted. Without a session it may be a stranger's, of which
    /// there is a limit: see [`Self::sum_up_strangers`].
    pub(crate) fn event(&mut self, session: u64, event: Event<'_>) {
        let counter = match event.event {
            EventKind::HostileInput => Some(Counter::HostileInputs),
            EventKind::Panic => Some(Counter::Panics),
            EventKind::AuthFailed => Some(Counter::AuthFailures),
            EventKind::ServerProtocol | EventKind::ServerRefused => Some(Counter::UpstreamErrors),
            EventKind::Cancelled => Some(Counter::Cancels),
            EventKind::CancelRefused => Some(Counter::CancelsRefused),
            EventKind::SessionRefused => Some(Counter::SessionsRefused),
            _ => None,
        };
        if let Some(counter) = counter {
            self.metrics.add(counter, 1);
        }
        if session == 0 && !self.strangers.admit(event.event, !event.subject.is_empty()) {
            return;
        }
        if self
            .append(Moment::now(), session, 0, Body::Event(event))
            .is_err()
        {
            self.metrics.add(Counter::AuditStalls, 1);
            if session == 0 {
                self.strangers.count_unrecorded(event.event, 1);
            }
        }
    }

    /// Records how many events of strangers were not recorded one by one; called once a second, and at the end.
    pub(crate) fn sum_up_strangers(&mut self) {
        for (kind, count) in self.strangers.next_second() {
            let text = format!("{count} more, not recorded one by one");
            let event = Event {
                event: kind,
                text: text.as_bytes(),
                ..Event::default()
            };
            if self.append(Moment::now(), 0, 0, Body::Event(event)).is_err() {
                // The next second may have room.
                self.strangers.count_unrecorded(kind, count);
            }
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
    use sluice_audit::metrics::METRICS_LEN;
    use sluice_audit::names::ChainId;
    use sluice_audit::record::{
        ACTION_NAMES, CLASS_NAMES, FLAG_NAMES, RECORD_LEN_MAX, VALUE_LEN_MAX, decode,
    };
    use sluice_audit::ring::{RING_CAPACITY_MIN, RingOwner, file_len};
    use sluice_masking::Class;
    use sluice_parsers::sql::effect::{Action, EffectFlags};
    use sluice_runtime::mapped::Mapping;

    use super::strangers::RECORDED_PER_SECOND_MAX;
    use super::*;

    /// More than are recorded one by one.
    const FLOOD: u32 = 1000;

    fn ledger() -> Ledger {
        let memory = |len| {
            let file = tempfile::tempfile().expect("a temporary file");
            MappedMemory(Mapping::of(&file, len).expect("a mapping"))
        };
        let chain = ChainId {
            boot: BootId([7; 16]),
            core: 0,
        };
        let owner = RingOwner {
            chain,
            process: 1,
            started_ns: 0,
        };
        let ring = Ring::create(memory(file_len(RING_CAPACITY_MIN)), owner, 0).expect("a ring");
        Ledger::new(
            ring,
            Metrics::create(memory(METRICS_LEN), chain, 1, 0),
            chain.boot,
        )
    }

    /// Takes the events out of the ring, as the flusher does.
    fn taken(ledger: &mut Ledger) -> Vec<(EventKind, String)> {
        let mut events = Vec::new();
        let mut into = vec![0; RECORD_LEN_MAX];
        let ring = ledger.ring();
        while let Some(batch) = ring.copy(ring.flushed(), &mut into).expect("records") {
            let mut bytes = &into[..batch.len];
            while !bytes.is_empty() {
                let (_, record, len) = decode(bytes).expect("a record");
                if let Body::Event(event) = record.body {
                    events.push((event.event, String::from_utf8_lossy(event.text).into_owned()));
                }
                bytes = &bytes[len..];
            }
            ring.release(&batch);
        }
        events
    }

    #[test]
    fn strangers_events_are_bounded_and_none_is_lost() {
        let bound = RECORDED_PER_SECOND_MAX as usize;
        for (name, kind, session, counter, recorded) in [
            (
                "a failed login",
                EventKind::AuthFailed,
                0,
                Counter::AuthFailures,
                bound,
            ),
            (
                "hostile input before a login",
                EventKind::HostileInput,
                0,
                Counter::HostileInputs,
                bound,
            ),
            (
                "a cancel of nobody",
                EventKind::CancelRefused,
                0,
                Counter::CancelsRefused,
                bound,
            ),
            (
                "a connection too many",
                EventKind::SessionRefused,
                0,
                Counter::SessionsRefused,
                bound,
            ),
            (
                "hostile input of a session",
                EventKind::HostileInput,
                7,
                Counter::HostileInputs,
                FLOOD as usize,
            ),
            (
                "a server that is gone",
                EventKind::ServerRefused,
                0,
                Counter::UpstreamErrors,
                FLOOD as usize,
            ),
        ] {
            let mut ledger = ledger();
            let event = Event {
                event: kind,
                text: b"one",
                ..Event::default()
            };
            for second in 0..2 {
                for _ in 0..FLOOD {
                    ledger.event(session, event);
                }
                ledger.sum_up_strangers();
                let mut want = vec![(kind, "one".to_owned()); recorded];
                if recorded < FLOOD as usize {
                    let rest = FLOOD as usize - recorded;
                    want.push((kind, format!("{rest} more, not recorded one by one")));
                }
                assert_eq!(taken(&mut ledger), want, "{name}, second {second}");
            }
            assert_eq!(
                ledger.metrics.value(counter),
                u64::from(2 * FLOOD),
                "{name} is counted each time"
            );
            ledger.sum_up_strangers();
            assert_eq!(taken(&mut ledger), [], "{name}: there is nothing to sum up");
        }
    }

    #[test]
    fn a_flood_of_one_kind_hides_none_of_another() {
        let mut ledger = ledger();
        let event = |event| Event {
            event,
            ..Event::default()
        };
        for _ in 0..FLOOD {
            ledger.event(0, event(EventKind::HostileInput));
        }
        ledger.event(0, event(EventKind::AuthFailed));
        assert_eq!(
            taken(&mut ledger).last().map(|(kind, _)| *kind),
            Some(EventKind::AuthFailed)
        );
    }

    #[test]
    fn what_a_full_ring_did_not_take_is_summed_up_when_it_has_room() {
        let mut ledger = ledger();
        let long = [b'x'; VALUE_LEN_MAX];
        let filler = Event {
            event: EventKind::ServerRefused,
            text: &long,
            ..Event::default()
        };
        while ledger.append(Moment::now(), 0, 0, Body::Event(filler)).is_ok() {}
        let failed = Event {
            event: EventKind::AuthFailed,
            text: &long,
            ..Event::default()
        };
        ledger.event(0, failed);
        while ledger
            .append(Moment::now(), 0, 0, Body::Event(Event::default()))
            .is_ok()
        {}
        ledger.sum_up_strangers();
        let told = |ledger: &mut Ledger| {
            taken(ledger).contains(&(EventKind::AuthFailed, "1 more, not recorded one by one".into()))
        };
        assert!(!told(&mut ledger), "the ring was full");
        ledger.sum_up_strangers();
        assert!(told(&mut ledger));
    }

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
