//! What who is not logged in may add to the record.
//!
//! Failed logins, input that no client sends, cancels of nobody and connections over the limit cost their sender
//! nothing, and the ring that they are recorded in is the one that statements need. So only so many of a kind are
//! recorded one by one in a second; the others are counted, and the count is recorded. Each kind has a bound of its own:
//! a flood of one hides none of another. So do those that name somebody and those that do not, which come cheaper.

use sluice_audit::record::EventKind;

/// Events of one kind that a core records one by one in a second.
pub(super) const RECORDED_PER_SECOND_MAX: u32 = 20;

/// What a stranger can cause.
const KINDS: [EventKind; 4] = [
    EventKind::HostileInput,
    EventKind::AuthFailed,
    EventKind::CancelRefused,
    EventKind::SessionRefused,
];

/// What strangers have caused in this second.
#[derive(Debug, Default)]
pub(super) struct Strangers([Tally; 2 * KINDS.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    recorded: u32,
    unrecorded: u64,
}

impl Strangers {
    /// Whether an event that belongs to no session is recorded by itself; one that is not is counted.
    pub(super) fn admit(&mut self, kind: EventKind, names_somebody: bool) -> bool {
        let Some(tally) = self.tally(kind, names_somebody) else {
            return true;
        };
        if tally.recorded < RECORDED_PER_SECOND_MAX {
            tally.recorded += 1;
            return true;
        }
        tally.unrecorded += 1;
        false
    }

    /// Counts an event that could not be recorded.
    pub(super) fn count_unrecorded(&mut self, kind: EventKind, count: u64) {
        if let Some(tally) = self.tally(kind, false) {
            tally.unrecorded += count;
        }
    }

    /// Begins another second; gives how many of each kind were not recorded in the last one.
    pub(super) fn next_second(&mut self) -> impl Iterator<Item = (EventKind, u64)> + use<> {
        let tallies = std::mem::take(&mut self.0);
        let unrecorded = move |index: usize| {
            let of = |tally: &[Tally]| tally.get(index).map_or(0, |tally| tally.unrecorded);
            let (unnamed, named) = tallies.split_at(KINDS.len());
            of(unnamed) + of(named)
        };
        KINDS
            .into_iter()
            .enumerate()
            .map(move |(index, kind)| (kind, unrecorded(index)))
            .filter(|(_, unrecorded)| *unrecorded > 0)
    }

    fn tally(&mut self, kind: EventKind, names_somebody: bool) -> Option<&mut Tally> {
        let index = KINDS.iter().position(|known| *known == kind)?;
        self.0.get_mut(index + usize::from(names_somebody) * KINDS.len())
    }
}
