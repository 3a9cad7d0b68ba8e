//! The policy in force: swapped whole, read by every core.
//!
//! An epoch names one policy set for as long as the process runs, and never another one. Decisions are cached
//! under it, so a swap makes every cached decision of before useless without touching a core.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Cache};

use crate::PolicySet;

/// A policy set and the epoch it is known by. Two snapshots with one epoch are the same policies.
#[derive(Debug)]
pub struct PolicySnapshot {
    /// Counts up from 1; 0 is never used.
    pub epoch: u64,
    /// The policies.
    pub policies: PolicySet,
}

impl Deref for PolicySnapshot {
    type Target = PolicySet;

    fn deref(&self) -> &PolicySet {
        &self.policies
    }
}

/// Holds the snapshot in force. Shared by the binary, which swaps it, and the cores, which read it.
#[derive(Debug)]
pub struct Snapshot {
    current: ArcSwap<PolicySnapshot>,
    /// Held while swapping, so that epochs go up in the order in which sets come into force.
    swapping: Mutex<()>,
}

impl Snapshot {
    /// Starts with these policies at epoch 1.
    pub fn new(policies: PolicySet) -> Self {
        Self {
            current: ArcSwap::from_pointee(PolicySnapshot { epoch: 1, policies }),
            swapping: Mutex::new(()),
        }
    }

    /// Brings these policies into force and returns their epoch. Decisions already made stay as they are; the
    /// gate compares epochs before it uses one.
    pub fn replace(&self, policies: PolicySet) -> u64 {
        let _one_at_a_time = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.current.load().epoch + 1;
        self.current.store(Arc::new(PolicySnapshot { epoch, policies }));
        epoch
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<PolicySnapshot> {
        self.current.load_full()
    }

    /// The epoch in force.
    pub fn epoch(&self) -> u64 {
        self.current.load().epoch
    }

    /// A reader for one core: asking it costs one load while nothing changed.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader(Cache::new(Shared(Arc::clone(self))))
    }
}

/// One core's view of the snapshot in force.
pub struct Reader(Cache<Shared, Arc<PolicySnapshot>>);

impl Reader {
    /// The snapshot in force.
    pub fn current(&mut self) -> &Arc<PolicySnapshot> {
        self.0.load()
    }
}

struct Shared(Arc<Snapshot>);

impl Deref for Shared {
    type Target = ArcSwap<PolicySnapshot>;

    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_seen_with_a_new_epoch() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::allow_all()));
        let mut reader = snapshot.reader();
        let first = Arc::clone(reader.current());
        assert_eq!((first.epoch, first.is_allow_all()), (1, true));
        assert_eq!(snapshot.replace(PolicySet::read_only()), 2);
        assert_eq!(
            (reader.current().epoch, reader.current().is_allow_all()),
            (2, false)
        );
        assert_eq!(
            (first.epoch, first.is_allow_all()),
            (1, true),
            "who holds the old one keeps it"
        );
        assert_eq!(snapshot.epoch(), snapshot.load().epoch);
    }

    #[test]
    fn epochs_are_never_given_twice() {
        let snapshot = Snapshot::new(PolicySet::allow_all());
        let mut epochs: Vec<u64> = std::thread::scope(|scope| {
            let swappers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..50)
                            .map(|_| snapshot.replace(PolicySet::allow_all()))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            swappers
                .into_iter()
                .flat_map(|swapper| swapper.join().unwrap())
                .collect()
        });
        epochs.sort_unstable();
        assert_eq!(epochs, (2..=201).collect::<Vec<_>>());
    }
}
