//! A hierarchical timer wheel: six levels of 64 slots, one millisecond a tick at the lowest.
//!
//! Entries of a slot form a doubly linked list through a table, so arming and disarming are O(1). An entry of a
//! higher level falls to lower ones as its time comes near. One bit a slot says whether it holds anything, which
//! makes the next deadline a matter of a few bit scans.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::slots::{Key, Slots};
use crate::task::store_waker;

const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Later deadlines wait in the last slot and are placed anew from there (about two years).
const TICKS_MAX: u64 = (1 << (SLOT_BITS as u64 * LEVELS as u64)) - 1;

/// Names an armed deadline.
pub(super) type Entry = Key;

#[derive(Debug)]
struct Node {
    tick: u64,
    place: Place,
    next: Option<Entry>,
    previous: Option<Entry>,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Slot { level: usize, slot: usize },
    Expired,
}

#[derive(Debug, Default)]
struct Level {
    occupied: u64,
    heads: Vec<Option<Entry>>,
}

/// The armed deadlines of a core.
#[derive(Debug)]
pub(crate) struct Wheel {
    start: Instant,
    /// All ticks up to this one have been expired.
    elapsed: u64,
    levels: Vec<Level>,
    nodes: Slots<Node>,
    pending: usize,
}

impl Wheel {
    pub(crate) fn new(start: Instant) -> Self {
        let levels = (0..LEVELS)
            .map(|_| Level {
                occupied: 0,
                heads: vec![None; SLOTS],
            })
            .collect();
        Self {
            start,
            elapsed: 0,
            levels,
            nodes: Slots::default(),
            pending: 0,
        }
    }

    pub(super) fn arm(&mut self, deadline: Instant) -> Entry {
        let tick = self.tick_of(deadline);
        let node = Node {
            tick,
            place: Place::Expired,
            next: None,
            previous: None,
            waker: None,
        };
        let entry = self.nodes.insert(node);
        self.place(entry);
        entry
    }

    /// Moves a deadline; the waker stays.
    pub(super) fn rearm(&mut self, entry: Entry, deadline: Instant) -> Entry {
        let tick = self.tick_of(deadline);
        self.unlink(entry);
        let Some(node) = self.nodes.get_mut(entry) else {
            return self.arm(deadline);
        };
        node.tick = tick;
        self.place(entry);
        entry
    }

    pub(super) fn disarm(&mut self, entry: Entry) {
        self.unlink(entry);
        self.nodes.remove(entry);
    }

    /// Whether the deadline has passed; if not, the task is woken when it has.
    pub(super) fn poll(&mut self, entry: Entry, context: &Context<'_>) -> bool {
        let Some(node) = self.nodes.get_mut(entry) else {
            return true;
        };
        if node.place == Place::Expired {
            return true;
        }
        store_waker(&mut node.waker, context);
        false
    }

    /// Nothing is armed.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.pending == 0
    }

    /// When [`expire`](Self::expire) has to be called next. It may come before the first deadline, never after it.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        Some(self.start + Duration::from_millis(self.next_tick()?))
    }

    /// Marks every deadline up to `now` as passed and gives their wakers to `wake`.
    pub(crate) fn expire(&mut self, now: Instant, mut wake: impl FnMut(Waker)) {
        let millis = now.saturating_duration_since(self.start).as_millis();
        let now = u64::try_from(millis).unwrap_or(u64::MAX);
        while let Some(tick) = self.next_tick().filter(|tick| *tick <= now) {
            self.elapsed = tick;
            for level in (0..LEVELS).rev() {
                // A higher level's slot is due when the time enters it.
                let shift = SLOT_BITS * u32::try_from(level).unwrap_or_default();
                if level == 0 || tick.trailing_zeros() >= shift {
                    self.empty_slot(level, slot_of(tick, level), &mut wake);
                }
            }
        }
        self.elapsed = self.elapsed.max(now);
    }

    fn empty_slot(&mut self, level: usize, slot: usize, wake: &mut impl FnMut(Waker)) {
        let mut entry = self.levels[level].heads[slot].take();
        self.levels[level].occupied &= !(1 << slot);
        while let Some(this) = entry {
            let elapsed = self.elapsed;
            let Some(node) = self.nodes.get_mut(this) else {
                return;
            };
            entry = node.next.take();
            node.previous = None;
            node.place = Place::Expired;
            self.pending -= 1;
            if node.tick > elapsed {
                self.place(this);
            } else if let Some(waker) = node.waker.take() {
                wake(waker);
            }
        }
    }

    /// The first tick that has something to do.
    fn next_tick(&self) -> Option<u64> {
        if self.pending == 0 {
            return None;
        }
        (0..LEVELS)
            .filter_map(|level| {
                let occupied = self.levels[level].occupied;
                if occupied == 0 {
                    return None;
                }
                let shift = SLOT_BITS * u32::try_from(level).unwrap_or_default();
                let here = self.elapsed >> shift;
                let position = u32::try_from(here % SLOTS as u64).unwrap_or_default();
                // The slot of the present moment was emptied when the time entered it: what is in it now is a
                // whole turn away.
                let ahead = occupied.rotate_right(position) & !1;
                let distance = if ahead == 0 {
                    SLOTS as u64
                } else {
                    u64::from(ahead.trailing_zeros())
                };
                Some((here + distance) << shift)
            })
            .min()
    }

    /// Deadlines are rounded up to whole ticks, so none passes early.
    fn tick_of(&self, deadline: Instant) -> u64 {
        let nanos = deadline.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// Links an entry that is in no slot into the slot of its tick.
    fn place(&mut self, entry: Entry) {
        let Some(node) = self.nodes.get_mut(entry) else {
            return;
        };
        // A deadline that has passed fires at the next tick.
        let tick = node
            .tick
            .max(self.elapsed + 1)
            .min(self.elapsed.saturating_add(TICKS_MAX));
        let level = level_of(self.elapsed, tick);
        let slot = slot_of(tick, level);
        let head = self.levels[level].heads[slot].replace(entry);
        self.levels[level].occupied |= 1 << slot;
        node.place = Place::Slot { level, slot };
        node.previous = None;
        node.next = head;
        if let Some(node) = head.and_then(|head| self.nodes.get_mut(head)) {
            node.previous = Some(entry);
        }
        self.pending += 1;
    }

    fn unlink(&mut self, entry: Entry) {
        let Some(node) = self.nodes.get_mut(entry) else {
            return;
        };
        let Place::Slot { level, slot } = node.place else {
            return;
        };
        let (next, previous) = (node.next.take(), node.previous.take());
        node.place = Place::Expired;
        self.pending -= 1;
        if let Some(node) = next.and_then(|next| self.nodes.get_mut(next)) {
            node.previous = previous;
        }
        if let Some(node) = previous.and_then(|previous| self.nodes.get_mut(previous)) {
            node.next = next;
            return;
        }
        self.levels[level].heads[slot] = next;
        if next.is_none() {
            self.levels[level].occupied &= !(1 << slot);
        }
    }
}

/// The lowest level whose slots tell `tick` from `elapsed`.
fn level_of(elapsed: u64, tick: u64) -> usize {
    let differing = (elapsed ^ tick) | (SLOTS as u64 - 1);
    let highest = u64::BITS - 1 - differing.leading_zeros();
    ((highest / SLOT_BITS) as usize).min(LEVELS - 1)
}

fn slot_of(tick: u64, level: usize) -> usize {
    let shift = SLOT_BITS * u32::try_from(level).unwrap_or_default();
    usize::try_from((tick >> shift) % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arm(u64),
        Move(usize, u64),
        Disarm(usize),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let span = prop_oneof![
            0..5u64,
            0..200u64,
            0..10_000u64,
            0..2_000_000u64,
            0..400_000_000_000u64
        ];
        let step = (0..4u8, any::<prop::sample::Index>(), span).prop_map(|(kind, index, span)| match kind {
            0 => Step::Arm(span),
            1 => Step::Move(index.index(64), span),
            2 => Step::Disarm(index.index(64)),
            _ => Step::Pass(span),
        });
        proptest::collection::vec(step, 1..80)
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(steps in steps()) {
            let start = Instant::now();
            let at = |millis: u64| start + Duration::from_millis(millis);
            let mut wheel = Wheel::new(start);
            let mut now = 0;
            // Deadline and wake-ups counted, by entry, in the order of arming.
            let mut armed: Vec<(Entry, u64, Arc<Count>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Arm(span) => {
                        let entry = wheel.arm(at(now + span));
                        armed.push((entry, now + span, Arc::new(Count(AtomicUsize::new(0)))));
                    }
                    Step::Move(index, span) if index < armed.len() => {
                        armed[index].0 = wheel.rearm(armed[index].0, at(now + span));
                        armed[index].1 = now + span;
                    }
                    Step::Disarm(index) if index < armed.len() => wheel.disarm(armed.remove(index).0),
                    Step::Move(..) | Step::Disarm(_) => {}
                    Step::Pass(span) => now += span,
                }
                for (entry, _, count) in &armed {
                    let waker = Waker::from(Arc::clone(count));
                    let _ = wheel.poll(*entry, &Context::from_waker(&waker));
                }
                // What is due now may fire a tick late when it was armed at this very moment.
                let next = wheel.next_deadline();
                let first = armed.iter().map(|(_, deadline, _)| *deadline).filter(|deadline| *deadline > now).min();
                if let (Some(first), Some(next)) = (first, next) {
                    prop_assert!(next <= at(first), "asked to sleep past {first}");
                }
                if armed.iter().any(|(_, deadline, _)| *deadline > now) {
                    prop_assert!(next.is_some());
                }
                wheel.expire(at(now), Waker::wake);
                let mut seen = BTreeMap::new();
                for (entry, deadline, count) in &armed {
                    let waker = Waker::from(Arc::clone(count));
                    let expired = wheel.poll(*entry, &Context::from_waker(&waker));
                    prop_assert!(!expired || *deadline <= now, "{deadline} fired at {now}");
                    prop_assert!(expired || *deadline + 1 >= now, "{deadline} not fired at {now}");
                    seen.insert(*deadline, expired);
                }
            }
            // In the end everything fires.
            wheel.expire(at(now + 500_000_000_000), Waker::wake);
            prop_assert!(wheel.is_idle());
            for (entry, _, count) in &armed {
                let waker = Waker::from(Arc::clone(count));
                prop_assert!(wheel.poll(*entry, &Context::from_waker(&waker)));
            }
        }
    }

    #[test]
    fn an_hour_costs_few_wake_ups() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let entry = wheel.arm(start + Duration::from_hours(1));
        let mut wake_ups = 0;
        while let Some(next) = wheel.next_deadline() {
            wheel.expire(next, drop);
            wake_ups += 1;
        }
        assert!(wheel.poll(entry, &Context::from_waker(Waker::noop())));
        assert!(wake_ups <= LEVELS, "{wake_ups} wake-ups");
    }
}
