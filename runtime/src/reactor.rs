//! The reaper: the one loop of a core, and the owner of everything the kernel may touch.
//!
//! A turn polls the tasks that were runnable when it began, hands their sends and re-armed receives to the kernel,
//! sleeps in the same system call if nothing is runnable, takes the completions, and expires timers. Nothing here
//! calls a future while a part of the reactor is borrowed.

mod gather;
mod listener;
mod operation;
mod pool;
mod ring;
mod stream;
mod token;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use io_uring::{cqueue, opcode, squeue, types};

pub(crate) use listener::Acceptor;
pub(crate) use operation::{OperationFuture, submit};
pub(crate) use pool::Pool;
pub(crate) use stream::{SentNow, Stream};

use crate::core::{Cluster, PanicHook, RingConfig};
use crate::net::Outgoing;
use crate::remote::{CoreId, Registration, Wakes};
use crate::slots::{Key, Slots};
use crate::stats::Counters;
use crate::task::{Polled, TaskError, TaskPanic, Tasks};
use crate::time::Wheel;
use gather::Gather;
use operation::Operations;
use ring::{Ring, Sleep};
use token::{Kind, Token};

/// How long the end of a core waits for the kernel to complete what was cancelled.
const END_WAIT: Duration = Duration::from_secs(5);
/// So many completions ahead their memory is asked for.
const PREFETCHED: usize = 3;
/// Starved receives are armed again once this part of the buffers is free.
const REVIVE_FREE_DIVISOR: usize = 8;

thread_local! {
    static CURRENT: Cell<*const Reactor> = const { Cell::new(ptr::null()) };
}

pub(crate) struct Reactor {
    pub(crate) id: CoreId,
    pub(crate) index: usize,
    pub(crate) tasks: Tasks,
    pub(crate) wheel: RefCell<Wheel>,
    pub(crate) stats: Rc<Counters>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) receive_buffers_max: usize,
    pub(crate) pool: Rc<Pool>,
    ring: RefCell<Ring>,
    streams: RefCell<Slots<Rc<Stream>>>,
    acceptors: RefCell<Slots<Rc<Acceptor>>>,
    operations: Operations,
    /// Streams with bytes to send or an end to make.
    unflushed: RefCell<Vec<Rc<Stream>>>,
    /// Sends that were submitted and are done unless a completion says otherwise.
    sent_now: RefCell<Vec<SentNow>>,
    /// Something waits for the end of a send that is about to be submitted.
    send_awaited: Cell<bool>,
    /// Streams that received more than their consumers took.
    crowded: RefCell<Vec<Rc<Stream>>>,
    /// Streams that found no receive buffer.
    starved: RefCell<VecDeque<Rc<Stream>>>,
    #[expect(clippy::vec_box, reason = "the kernel holds their addresses")]
    gathers: RefCell<Vec<Box<Gather>>>,
    /// Lends its memory to each turn's completions.
    completions: Cell<Vec<cqueue::Entry>>,
    /// Lends its memory to the wakers of each turn's timers.
    expired: Cell<Vec<Waker>>,
    /// The time of this turn, once somebody asked for it.
    turn: Cell<Option<Instant>>,
    registration: Registration,
    remote_armed: Cell<bool>,
    /// What the eventfd read writes to.
    remote_word: Box<Cell<u64>>,
    wakes: RefCell<Wakes>,
    on_panic: Option<PanicHook>,
}

/// Calls `f` with this thread's core.
///
/// # Panics
/// When the thread is not a core.
#[inline]
pub(crate) fn with<T>(f: impl FnOnce(&Reactor) -> T) -> T {
    try_with(f).expect("this is called on a core of the runtime only")
}

/// Calls `f` with this thread's core, if it is one.
#[inline]
pub(crate) fn try_with<T>(f: impl FnOnce(&Reactor) -> T) -> Option<T> {
    let reactor = CURRENT.get();
    if reactor.is_null() {
        return None;
    }
    // SAFETY: the pointer is set by `Entered` while the reactor is held in an `Rc`, and cleared before that is
    // dropped; it is only seen by this thread, and all access is by shared reference.
    Some(f(unsafe { &*reactor }))
}

/// Makes a reactor this thread's core for as long as it lives.
struct Entered;

impl Entered {
    fn new(reactor: &Rc<Reactor>) -> Self {
        CURRENT.set(Rc::as_ptr(reactor));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(ptr::null());
    }
}

/// Runs a core on this thread until its main task ends.
pub(crate) struct Reaper {
    reactor: Rc<Reactor>,
}

impl Reaper {
    pub(crate) fn new(
        index: usize,
        cluster: Arc<Cluster>,
        config: &RingConfig,
        on_panic: Option<PanicHook>,
    ) -> io::Result<Self> {
        let registration = Registration::new()?;
        let id = registration.id;
        let stats = Rc::<Counters>::default();
        let ring = Ring::new(config.submissions, config.completions)?;
        // SAFETY: the reactor drops the ring only after all operations are complete; if they do not complete, or a
        // panic prevents the orderly end, the reactor with its pool is leaked (see `Reaper::drop`).
        let pool = unsafe { Pool::new(&ring, config.buffers, config.buffer_bytes, Rc::clone(&stats))? };
        let reactor = Reactor {
            id,
            index,
            tasks: Tasks::new(id),
            wheel: RefCell::new(Wheel::new(Instant::now())),
            stats,
            cluster,
            receive_buffers_max: config.receive_buffers_max.max(1),
            pool: Rc::new(pool),
            ring: RefCell::new(ring),
            streams: RefCell::default(),
            acceptors: RefCell::default(),
            operations: Operations::default(),
            unflushed: RefCell::default(),
            sent_now: RefCell::default(),
            send_awaited: Cell::new(false),
            crowded: RefCell::default(),
            starved: RefCell::default(),
            gathers: RefCell::default(),
            completions: Cell::default(),
            expired: Cell::default(),
            turn: Cell::new(None),
            registration,
            remote_armed: Cell::new(false),
            remote_word: Box::default(),
            wakes: RefCell::default(),
            on_panic,
        };
        Ok(Self {
            reactor: Rc::new(reactor),
        })
    }

    /// Runs `main` and everything it starts. `main` decides when the core ends.
    pub(crate) fn run<T: 'static>(
        self,
        main: impl Future<Output = T> + 'static,
    ) -> io::Result<Result<T, TaskError>> {
        let _entered = Entered::new(&self.reactor);
        let main = crate::task::spawn(main);
        let outcome = loop {
            self.reactor.poll_tasks();
            if let Some(outcome) = main.take_outcome() {
                break outcome;
            }
            self.reactor.turn()?;
        };
        self.reactor.end()?;
        Ok(outcome)
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if !self.reactor.is_quiet() {
            // The kernel may still write to its memory: better lost than used twice.
            tracing::error!(
                core = self.reactor.index,
                "operations did not end; their memory is given up"
            );
            mem::forget(Rc::clone(&self.reactor));
        }
    }
}

impl Reactor {
    /// The time when this turn began, or when it was first asked for in this turn.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        if let Some(now) = self.turn.get() {
            return now;
        }
        let now = Instant::now();
        self.turn.set(Some(now));
        now
    }

    /// The ring's part of a turn.
    fn turn(&self) -> io::Result<()> {
        self.flush();
        // Silent sends also hold buffers until the ring's turn is over, which starved streams wait for.
        let awaited = self.send_awaited.replace(false)
            || (!self.starved.borrow().is_empty() && !self.sent_now.borrow().is_empty());
        let sleep = if awaited || self.tasks.ready() > 0 {
            Sleep::Never
        } else {
            self.sleep()
        };
        self.ring.borrow_mut().enter(sleep, &self.stats)?;
        self.turn.set(None);
        self.complete()?;
        self.expire();
        Ok(())
    }

    /// Polls what was runnable at the beginning: what becomes runnable meanwhile waits for the ring's turn.
    fn poll_tasks(&self) {
        let runnable = self.tasks.ready();
        for _ in 0..runnable {
            self.stats.tasks_polled.increment();
            if let Polled::Panicked(message) = self.tasks.poll_next() {
                self.stats.tasks_panicked.increment();
                if let Some(hook) = &self.on_panic {
                    hook(&TaskPanic {
                        core: self.index,
                        message,
                    });
                }
            }
        }
    }

    /// Hands to the ring what the tasks left to do.
    fn flush(&self) {
        self.arm_remote();
        drain(&self.crowded, |stream| stream.relieve(self));
        drain(&self.unflushed, |stream| stream.flush(self));
        self.pool.top_up();
        self.revive_starved();
    }

    /// The longest waiting first, and no more of them than there are buffers to fill.
    fn revive_starved(&self) {
        if self.starved.borrow().is_empty() {
            return;
        }
        let mut free = self.pool.free();
        if free * REVIVE_FREE_DIVISOR < self.pool.buffers() {
            return;
        }
        while free > 0 {
            let Some(stream) = self.starved.borrow_mut().pop_front() else {
                return;
            };
            free -= usize::from(stream.revive(self));
        }
    }

    /// Nothing is runnable: until when nothing will be.
    fn sleep(&self) -> Sleep {
        let wheel = self.wheel.borrow();
        match wheel.next_deadline() {
            None => Sleep::Forever,
            Some(deadline) => Sleep::AtMost(deadline.saturating_duration_since(self.now())),
        }
    }

    fn expire(&self) {
        let mut wheel = self.wheel.borrow_mut();
        if wheel.is_idle() {
            return;
        }
        let now = self.now();
        if wheel.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let mut expired = self.expired.take();
        wheel.expire(now, |waker| expired.push(waker));
        drop(wheel);
        self.stats.timers_expired.add(expired.len());
        expired.drain(..).for_each(Waker::wake);
        self.expired.set(expired);
    }

    fn complete(&self) -> io::Result<()> {
        let mut completions = self.completions.take();
        let reaped = self.ring.borrow_mut().reap(&mut completions);
        self.stats.completions.add(completions.len());
        self.prefetch(completions.iter().take(PREFETCHED));
        for (at, completion) in completions.iter().enumerate() {
            self.prefetch(completions.get(at + PREFETCHED));
            self.dispatch(completion);
        }
        completions.clear();
        self.completions.set(completions);
        reaped?;
        self.settle_sends();
        Ok(())
    }

    /// What was sent goes; what the ring did not take yet goes back to its streams.
    fn settle_sends(&self) {
        if self.sent_now.borrow().is_empty() {
            return;
        }
        let is_submitted = self.ring.borrow_mut().is_submitted();
        let mut sends = self.sent_now.take();
        if is_submitted {
            for send in sends.drain(..) {
                match send {
                    SentNow::Only { outgoing, .. } => self.stats.bytes_sent.add(outgoing.len()),
                    SentNow::Front(stream) => stream.on_sent_now(self),
                    SentNow::Over => {}
                }
            }
        } else {
            for send in &mut sends {
                *send = match mem::replace(send, SentNow::Over) {
                    SentNow::Only { stream, outgoing } => self.recall(stream, outgoing),
                    other => other,
                };
            }
            // Somebody may come to wait for them before they are submitted, which may be silent.
            self.send_awaited.set(true);
        }
        *self.sent_now.borrow_mut() = sends;
    }

    /// Gives a stream the bytes back whose send was not submitted yet.
    fn recall(&self, stream: Key, outgoing: Outgoing) -> SentNow {
        let stream = self.streams.borrow().get(stream).cloned();
        let Some(stream) = stream else {
            debug_assert!(
                false,
                "a stream was closed between its flush and the end of the turn"
            );
            return SentNow::Over;
        };
        stream.not_sent_yet(outgoing);
        SentNow::Front(stream)
    }

    /// Brings what completions will touch into the cache while those before them are dealt with.
    #[inline]
    fn prefetch<'a>(&self, completions: impl IntoIterator<Item = &'a cqueue::Entry>) {
        let streams = self.streams.borrow();
        for completion in completions {
            let token = Token::unpack(completion.user_data());
            if token.kind == Kind::Receive
                && let Some(stream) = streams.get(token.key)
            {
                stream.region().prefetch();
            }
        }
    }

    /// Queues an operation.
    ///
    /// # Safety
    /// Whatever memory the entry points to must stay valid until the operation's last completion.
    #[inline]
    unsafe fn push(&self, entry: squeue::Entry, token: Token) {
        // SAFETY: the caller's promise.
        unsafe { self.ring.borrow_mut().push(&entry.user_data(token.pack())) };
    }

    fn cancel(&self, target: Token) {
        self.ring.borrow_mut().cancel(target);
    }

    #[inline]
    fn dispatch(&self, completion: &cqueue::Entry) {
        let Token { kind, key } = Token::unpack(completion.user_data());
        match kind {
            Kind::Receive => {
                let stream = self.streams.borrow().get(key).cloned();
                match stream {
                    Some(stream) => stream.on_receive(self, completion),
                    None => debug_assert!(false, "a receive outlived its stream"),
                }
            }
            Kind::SendNow | Kind::SendWhenRoom => {
                let stream = self.streams.borrow().get(key).cloned();
                if let Some(stream) = stream {
                    stream.on_send(self, kind, completion.result());
                }
            }
            Kind::Accept => {
                let acceptor = self.acceptors.borrow().get(key).cloned();
                match acceptor {
                    Some(acceptor) => acceptor.on_accept(self, completion),
                    None => debug_assert!(false, "an accept outlived its listener"),
                }
            }
            Kind::Operation => self.operations.complete(key, completion.result()),
            Kind::Remote => self.on_remote(),
            Kind::Ignored => {}
        }
    }

    fn arm_remote(&self) {
        if self.remote_armed.replace(true) {
            return;
        }
        let word = self.remote_word.as_ptr().cast();
        let entry = opcode::Read::new(types::Fd(self.registration.remote.event_fd()), word, 8).build();
        // SAFETY: the word and the eventfd live as long as the reactor, which outlives its operations.
        unsafe { self.push(entry, Token::REMOTE) };
    }

    fn on_remote(&self) {
        self.remote_armed.set(false);
        self.stats.remote_wakes.increment();
        let mut wakes = self.wakes.borrow_mut();
        self.registration.remote.take(&mut wakes);
        if wakes.all {
            self.tasks.wake_all();
        }
        wakes.tasks.drain(..).for_each(|task| self.tasks.wake(task));
    }

    /// Drops all tasks, cancels everything that is in flight and waits for it to end.
    fn end(&self) -> io::Result<()> {
        self.tasks.end_all();
        let acceptors = self.acceptors.borrow().keys();
        for key in acceptors {
            let acceptor = self.acceptors.borrow().get(key).cloned();
            if let Some(acceptor) = acceptor {
                acceptor.close(self);
            }
        }
        let streams = self.streams.borrow().keys();
        for key in streams {
            let stream = self.streams.borrow().get(key).cloned();
            if let Some(stream) = stream {
                stream.close(self);
            }
        }
        drain(&self.crowded, |_| {});
        let deadline = Instant::now() + END_WAIT;
        self.registration.remote.take(&mut Wakes::default());
        loop {
            drain(&self.unflushed, |stream| stream.flush(self));
            let mut ring = self.ring.borrow_mut();
            ring.cancel_all();
            ring.enter(Sleep::Never, &self.stats)?;
            drop(ring);
            self.complete_last()?;
            let now = Instant::now();
            if self.is_quiet() || now >= deadline {
                // The last descriptors are closed by the ring as well.
                return self.ring.borrow_mut().enter(Sleep::Never, &self.stats);
            }
            let pause = Duration::from_millis(1).min(deadline - now);
            self.ring.borrow_mut().enter(Sleep::AtMost(pause), &self.stats)?;
            self.complete_last()?;
        }
    }

    /// Completions at the end of the core: nothing is armed again.
    fn complete_last(&self) -> io::Result<()> {
        self.complete()?;
        self.tasks.end_all();
        Ok(())
    }

    /// Whether the kernel has nothing of ours any more.
    fn is_quiet(&self) -> bool {
        self.streams.borrow().is_empty()
            && self.acceptors.borrow().is_empty()
            && self.operations.is_empty()
            && !self.remote_armed.get()
            && self.sent_now.borrow().is_empty()
    }
}

/// Takes all streams out of a list, whose memory is used again. What is listed meanwhile waits for the next time.
#[inline]
fn drain(list: &RefCell<Vec<Rc<Stream>>>, mut visit: impl FnMut(Rc<Stream>)) {
    if list.borrow().is_empty() {
        return;
    }
    let mut streams = list.take();
    streams.drain(..).for_each(&mut visit);
    let mut list = list.borrow_mut();
    if list.is_empty() {
        *list = streams;
    }
}
