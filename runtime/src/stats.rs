//! What a core counts about its own I/O.

use std::cell::Cell;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A core's counters since its start.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.0.get(),)* }
            }
        }
    };
}

counters! {
    /// Bytes that sockets received.
    bytes_received,
    /// Bytes that sockets sent.
    bytes_sent,
    /// Bytes moved from ring buffers to the heap, because something stalled or was detached.
    bytes_copied,
    /// Calls of `io_uring_enter`.
    ring_enters,
    /// Calls of `io_uring_enter` that were allowed to sleep.
    ring_sleeps,
    /// Completions taken from the ring.
    completions,
    /// Sends that did not fit into the socket at once.
    sends_stalled,
    /// Receives that found no free buffer.
    receives_starved,
    /// Connections accepted on this core's listeners.
    accepted,
    /// Accepts that failed, for lack of descriptors or otherwise.
    accepts_failed,
    /// Accepted connections closed at once because no core had room for them.
    arrivals_refused,
    /// Tasks started.
    tasks_spawned,
    /// Polls of tasks.
    tasks_polled,
    /// Tasks that ended by a panic.
    tasks_panicked,
    /// Timers that expired.
    timers_expired,
    /// Times that another thread woke this core.
    remote_wakes,
}

/// A counter of one core: plain, since nobody else writes it.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, amount: usize) {
        self.0.set(self.0.get() + amount as u64);
    }

    #[inline]
    pub(crate) fn increment(&self) {
        self.add(1);
    }
}
