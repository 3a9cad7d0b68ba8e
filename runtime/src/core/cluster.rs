//! What cores share: how many sessions each has, connections on their way to them, and the stage of the end.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::mailbox::{Mailbox, Sender, mailbox};
use crate::net::Arrival;
use crate::remote::lock;

/// Connections that may wait for a core to take them; over this they are closed at once.
const ARRIVALS_MAX: usize = 4096;

/// The stages of a core's life, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    Running,
    Draining,
    Stopping,
}

pub(crate) struct Cluster {
    members: Vec<Member>,
    /// Where the search for the least loaded core begins, so that equals take turns.
    turn: AtomicUsize,
    stage: AtomicU8,
    waiting: Mutex<Vec<Waker>>,
}

struct Member {
    load: Arc<AtomicUsize>,
    arrivals: Sender<Placed>,
}

/// A connection on its way to its core.
pub(crate) struct Placed {
    pub(crate) socket: OwnedFd,
    pub(crate) tag: u32,
    pub(crate) seat: Seat,
}

/// Counts as one session on a core until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cluster {
    pub(super) fn new(cores: usize) -> (Arc<Self>, Vec<Arrivals>) {
        let (members, arrivals) = (0..cores)
            .map(|_| {
                let (sender, placed) = mailbox(ARRIVALS_MAX);
                let member = Member {
                    load: Arc::default(),
                    arrivals: sender,
                };
                (
                    member,
                    Arrivals {
                        placed: RefCell::new(placed),
                    },
                )
            })
            .unzip();
        let cluster = Self {
            members,
            turn: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Running as u8),
            waiting: Mutex::default(),
        };
        (Arc::new(cluster), arrivals)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Hands a connection to the least loaded core. Returns whether one took it.
    pub(crate) fn place(&self, socket: OwnedFd, tag: u32) -> bool {
        let count = self.members.len();
        let first = self.turn.load(Ordering::Relaxed);
        let least = (0..count)
            .map(|step| (first + step) % count)
            .min_by_key(|core| self.members[*core].load.load(Ordering::Relaxed));
        let Some(core) = least else { return false };
        self.turn.store(core + 1, Ordering::Relaxed);
        let member = &self.members[core];
        let seat = Seat::take(&member.load);
        member.arrivals.send(Placed { socket, tag, seat }).is_ok()
    }

    pub(super) fn load(&self, core: usize) -> usize {
        self.members[core].load.load(Ordering::Relaxed)
    }

    pub(super) fn loads(&self) -> Vec<usize> {
        (0..self.members.len()).map(|core| self.load(core)).collect()
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Stopping,
        }
    }

    /// Goes on to a stage; there is no way back.
    pub(super) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn poll_stage(&self, stage: Stage, context: &Context<'_>) -> Poll<()> {
        if self.stage() >= stage {
            return Poll::Ready(());
        }
        let mut waiting = lock(&self.waiting);
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        drop(waiting);
        // It may have changed before the waker was in the list.
        if self.stage() >= stage {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// The connections that come to one core.
pub(crate) struct Arrivals {
    placed: RefCell<Mailbox<Placed>>,
}

impl Arrivals {
    pub(super) fn poll(&self, cluster: &Cluster, context: &Context<'_>) -> Poll<Option<Arrival>> {
        let mut placed = self.placed.borrow_mut();
        if let Poll::Ready(next) = placed.poll_receive(context) {
            return Poll::Ready(next.map(Arrival::new));
        }
        if cluster.poll_stage(Stage::Draining, context).is_pending() {
            return Poll::Pending;
        }
        placed.close();
        Poll::Ready(placed.try_receive().map(Arrival::new))
    }
}
