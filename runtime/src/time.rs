//! Deadlines on the core's own timer wheel.
//!
//! Arming, moving and clearing a [`Timer`] is O(1) and allocates nothing once the wheel has grown to its load. The
//! wheel ticks in milliseconds and rounds up: a timer never fires early. The core sleeps until the next deadline,
//! or without one until something else happens.

mod wheel;

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

pub use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crate::reactor;
pub(crate) use wheel::Wheel;

/// The time when this turn of the core began: cheap, and at most one turn old.
pub fn now() -> Instant {
    reactor::try_with(reactor::Reactor::now).unwrap_or_else(Instant::now)
}

/// A reading of the monotonic clock: half as large as an [`Instant`], and in nanoseconds, as time is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The time, read from the clock.
    #[inline]
    pub fn now() -> Self {
        // Linux always has this clock, and it does not go below zero.
        let clock = clock_gettime(ClockId::CLOCK_MONOTONIC);
        let of = |part: i64| u64::try_from(part).unwrap_or_default();
        Self(clock.map_or(0, |time| of(time.tv_sec()) * 1_000_000_000 + of(time.tv_nsec())))
    }

    /// Nanoseconds from `earlier` to this moment; none if it is not earlier.
    #[inline]
    pub fn nanoseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A deadline that can be set, moved and cleared.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<(wheel::Entry, Instant)>,
    /// Not [`Send`]: the entry is in this core's wheel.
    _local: PhantomData<*const ()>,
}

impl Timer {
    /// A timer that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets or moves the deadline. The task that polls the timer is woken when it has passed.
    pub fn set(&mut self, deadline: Instant) {
        reactor::with(|reactor| {
            let mut wheel = reactor.wheel.borrow_mut();
            let entry = match self.armed.take() {
                Some((entry, _)) => wheel.rearm(entry, deadline),
                None => wheel.arm(deadline),
            };
            self.armed = Some((entry, deadline));
        });
    }

    /// Sets the deadline this far from [`now`].
    pub fn set_after(&mut self, duration: Duration) {
        self.set(now() + duration);
    }

    /// Takes the deadline back.
    pub fn clear(&mut self) {
        if let Some((entry, _)) = self.armed.take() {
            reactor::try_with(|reactor| reactor.wheel.borrow_mut().disarm(entry));
        }
    }

    /// The deadline that is set.
    pub fn deadline(&self) -> Option<Instant> {
        self.armed.map(|(_, deadline)| deadline)
    }

    /// Ready once the deadline has passed, which clears it; pending when none is set.
    pub fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((entry, _)) = self.armed else {
            return Poll::Pending;
        };
        let expired = reactor::with(|reactor| reactor.wheel.borrow_mut().poll(entry, context));
        if !expired {
            return Poll::Pending;
        }
        self.clear();
        Poll::Ready(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Waits until a moment.
pub async fn sleep_until(deadline: Instant) {
    let mut timer = Timer::new();
    timer.set(deadline);
    poll_fn(|context| timer.poll_expired(context)).await;
}

/// Waits this long.
pub async fn sleep(duration: Duration) {
    sleep_until(now() + duration).await;
}

/// The deadline came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed")]
pub struct Elapsed;

/// Drives a future until it ends or the deadline passes; then the future is dropped.
pub async fn timeout<T>(deadline: Instant, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    let mut timer = Timer::new();
    timer.set(deadline);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        timer.poll_expired(context).map(|()| Err(Elapsed))
    })
    .await
}
