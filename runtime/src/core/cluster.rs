//! What cores share: how many sessions each has, connections on their way to them, and the stage of the end.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::mailbox::{Mailbox, SendError, Sender, mailbox};
use crate::net::Arrival;
use crate::remote::lock;
use crate::slots::{Key, Slots};

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
    waiting: Mutex<Slots<Waker>>,
}

struct Member {
    load: Arc<AtomicUsize>,
    arrivals: Sender<Placed>,
}

impl Member {
    /// Gives the socket back when this core does not take it.
    fn take(&self, socket: OwnedFd, tag: u32) -> Result<(), OwnedFd> {
        let placed = Placed {
            socket,
            tag,
            seat: Seat::take(&self.load),
        };
        self.arrivals
            .send(placed)
            .map_err(|(SendError::Full(placed) | SendError::Closed(placed))| placed.socket)
    }
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
        let (members, mailboxes): (_, Vec<_>) = (0..cores)
            .map(|_| {
                let (sender, placed) = mailbox(ARRIVALS_MAX);
                let member = Member {
                    load: Arc::default(),
                    arrivals: sender,
                };
                (member, placed)
            })
            .unzip();
        let cluster = Self {
            members,
            turn: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Running as u8),
            waiting: Mutex::default(),
        };
        let cluster = Arc::new(cluster);
        let arrivals = mailboxes.into_iter().map(|placed| Arrivals {
            placed: RefCell::new(placed),
            draining: RefCell::new(StageWait::new(&cluster, Stage::Draining)),
        });
        let arrivals = arrivals.collect();
        (cluster, arrivals)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Hands a connection to the least loaded core that takes it. Returns whether one did.
    pub(crate) fn place(&self, socket: OwnedFd, tag: u32) -> bool {
        let count = self.members.len();
        let first = self.turn.load(Ordering::Relaxed);
        let in_turn = (0..count).map(|step| (first + step) % count);
        let Some(least) = in_turn.clone().min_by_key(|core| self.load(*core)) else {
            return false;
        };
        self.turn.store(least + 1, Ordering::Relaxed);
        let Err(refused) = self.members[least].take(socket, tag) else {
            return true;
        };
        // It has ended or is overrun: any other is better than none.
        let mut others: Vec<_> = in_turn.filter(|core| *core != least).collect();
        others.sort_by_key(|core| self.load(*core));
        let placed = others.into_iter().try_fold(refused, |socket, core| {
            match self.members[core].take(socket, tag) {
                Ok(()) => ControlFlow::Break(()),
                Err(refused) => ControlFlow::Continue(refused),
            }
        });
        placed.is_break()
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
        let waiting = lock(&self.waiting);
        for key in waiting.keys() {
            // They take themselves out of the list when they are polled.
            waiting.get(key).inspect(|waker| waker.wake_by_ref());
        }
    }
}

/// Waits for a stage. It stands in the cluster's list only as long as it exists.
pub(super) struct StageWait {
    cluster: Arc<Cluster>,
    stage: Stage,
    place: Option<Key>,
}

impl StageWait {
    pub(super) fn new(cluster: &Arc<Cluster>, stage: Stage) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            stage,
            place: None,
        }
    }

    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.cluster.stage() >= self.stage {
            return Poll::Ready(());
        }
        let mut waiting = lock(&self.cluster.waiting);
        let standing = self.place.and_then(|place| waiting.get_mut(place));
        if let Some(waker) = standing {
            waker.clone_from(context.waker());
        } else {
            self.place = Some(waiting.insert(context.waker().clone()));
        }
        drop(waiting);
        // It may have changed before the waker was in the list.
        if self.cluster.stage() >= self.stage {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for StageWait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            lock(&self.cluster.waiting).remove(place);
        }
    }
}

/// The connections that come to one core.
pub(crate) struct Arrivals {
    placed: RefCell<Mailbox<Placed>>,
    draining: RefCell<StageWait>,
}

impl Arrivals {
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Option<Arrival>> {
        let mut placed = self.placed.borrow_mut();
        if let Poll::Ready(next) = placed.poll_receive(context) {
            return Poll::Ready(next.map(Arrival::new));
        }
        if self.draining.borrow_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        placed.close();
        Poll::Ready(placed.try_receive().map(Arrival::new))
    }
}
