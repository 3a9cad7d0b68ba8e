//! How much was used up in the last stretch of time.

use std::time::Duration;

/// Into how many slots a budget's time is cut. What was used up is forgotten by the slot.
const SLOTS: u8 = 60;

/// One more than those: the present one has only begun.
const KEPT: u8 = SLOTS + 1;

/// A slot of time, counted from when the gateway began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u64);

/// How a budget's time is cut into slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    width_ms: u64,
}

impl Slots {
    pub(super) fn of(per: Duration) -> Self {
        let ms = u64::try_from(per.as_millis()).unwrap_or(u64::MAX);
        Self {
            width_ms: ms.div_ceil(SLOTS.into()).max(1),
        }
    }

    /// The slot of a time since the gateway began.
    pub(super) fn at(self, since: Duration) -> Slot {
        Slot(u64::try_from(since.as_millis()).unwrap_or(u64::MAX) / self.width_ms)
    }

    /// How long it is from then until what was used in a slot is forgotten.
    pub(super) fn until_forgotten(self, slot: Slot, since: Duration) -> Duration {
        let end = slot.0.saturating_add(KEPT.into()).saturating_mul(self.width_ms);
        Duration::from_millis(end).saturating_sub(since)
    }
}

/// What was used up in each of the last slots: in no stretch of a budget's time is more used up than it has here at once.
#[derive(Debug)]
pub(super) struct Window {
    used: [u64; KEPT as usize],
    sum: u64,
    newest: Slot,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            used: [0; KEPT as usize],
            sum: 0,
            newest: Slot(0),
        }
    }

    /// Forgets what is too old at a time; says whether another slot has begun.
    pub(super) fn advance(&mut self, to: Slot) -> bool {
        let begun = to.0.saturating_sub(self.newest.0).min(KEPT.into());
        for back in 0..begun {
            self.sum -= std::mem::take(&mut self.used[Self::place(Slot(to.0 - back))]);
        }
        self.newest = self.newest.max(to);
        begun > 0
    }

    /// Whether what was used up in a slot is not forgotten.
    pub(super) fn remembers(&self, slot: Slot) -> bool {
        self.newest.0.saturating_sub(slot.0) < KEPT.into()
    }

    fn place(slot: Slot) -> usize {
        usize::try_from(slot.0 % u64::from(KEPT)).unwrap_or_default()
    }

    /// Whether nothing is used up.
    pub(super) const fn is_empty(&self) -> bool {
        self.sum == 0
    }

    pub(super) const fn used(&self) -> u64 {
        self.sum
    }

    pub(super) const fn room(&self, max: u64) -> u64 {
        max.saturating_sub(self.sum)
    }

    /// Uses up as much as there is room for, at most `wanted`.
    pub(super) fn take(&mut self, wanted: u64, max: u64) -> u64 {
        let taken = wanted.min(self.room(max));
        self.used[Self::place(self.newest)] += taken;
        self.sum += taken;
        taken
    }

    /// What was taken in a slot was not used up after all.
    pub(super) fn give_back(&mut self, slot: Slot, amount: u64) {
        if self.remembers(slot) {
            let used = &mut self.used[Self::place(slot)];
            let amount = amount.min(*used);
            *used -= amount;
            self.sum -= amount;
        }
    }

    /// The oldest slot in which anything was used up.
    pub(super) fn oldest(&self) -> Option<Slot> {
        let first = self.newest.0.saturating_sub(SLOTS.into());
        (first..=self.newest.0)
            .map(Slot)
            .find(|slot| self.used[Self::place(*slot)] > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In no stretch of the budget's time is more used up than it allows, and what is used up is forgotten in time.
        #[test]
        fn no_stretch_of_time_has_more_than_the_budget(
            per_ms in 1000_u64..100_000,
            max in 1_u64..50,
            steps in prop::collection::vec((0_u64..9_000, 1_u64..20, 0_u64..5), 1..200),
        ) {
            let slots = Slots::of(Duration::from_millis(per_ms));
            let mut window = Window::new();
            let mut uses: VecDeque<(u64, u64)> = VecDeque::new();
            let mut at = 0;
            for (wait, wanted, too_much) in steps {
                at += wait;
                let since = Duration::from_millis(at);
                let slot = slots.at(since);
                window.advance(slot);
                let taken = window.take(wanted, max);
                let too_much = too_much.min(taken);
                window.give_back(slot, too_much);
                uses.push_back((at, taken - too_much));
                let used: u64 = uses.iter().filter(|(then, _)| at - then <= per_ms).map(|(_, used)| used).sum();
                prop_assert!(used <= max, "{used} of {max} in {per_ms} ms");
                prop_assert_eq!(window.sum, window.used.iter().sum::<u64>());
                // Once all its slots are over, there is room again.
                let kept_ms = u64::from(KEPT) * slots.width_ms;
                let lately = |(then, _): &&(u64, u64)| at - then <= kept_ms;
                let lately: u64 = uses.iter().filter(lately).map(|(_, used)| used).sum();
                prop_assert!(window.room(max) >= max.saturating_sub(lately));
                if let Some(oldest) = window.oldest() {
                    let wait = slots.until_forgotten(oldest, since);
                    prop_assert!(wait > Duration::ZERO && wait <= Duration::from_millis(kept_ms));
                    let sum = window.sum;
                    let mut later = Window { used: window.used, ..window };
                    later.advance(slots.at(since + wait));
                    prop_assert!(later.sum < sum);
                }
            }
        }
    }

    #[test]
    fn a_long_silence_forgets_everything() {
        let mut window = Window::new();
        for slot in [Slot(0), Slot(1), Slot(60)] {
            window.advance(slot);
            window.take(1, 10);
        }
        assert_eq!((window.room(10), window.oldest()), (7, Some(Slot(0))));
        window.advance(Slot(61));
        assert_eq!((window.room(10), window.oldest()), (8, Some(Slot(1))));
        // The clock does not go back.
        window.advance(Slot(3));
        assert_eq!(window.newest, Slot(61));
        window.advance(Slot(u64::MAX));
        assert!(window.is_empty());
        window.give_back(Slot(61), 5);
        assert!(window.is_empty());
    }
}
