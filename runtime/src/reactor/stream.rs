//! A stream socket inside of the reactor: its operations in flight and its two queues.
//!
//! Receiving is one multishot operation that fills ring buffers. It is cancelled while the consumer lags behind by
//! `receive_buffers_max` and armed again when the consumer has caught up.
//!
//! Sending is one operation at a time, over what is queued, up to a bound that keeps it short. The first attempt is made while it is
//! submitted (`MSG_DONTWAIT`) and is silent when all went out (`SKIP_SUCCESS`): the common send costs neither a
//! completion nor a second turn of the ring. Only an attempt that falls short completes; the rest then waits in the
//! ring for room, from the heap if buffers are scarce. Since silence is the good news, the core does not go to sleep
//! in the submission of a send that somebody waits for (`Reactor::send_awaited`).
//!
//! The commonest send of all is one range of bytes that nobody waits for. It is counted as sent when it is submitted
//! and lies with the reactor ([`SentNow`]) until that is known: the stream is not looked at again, which after the
//! kernel's work would be from cold memory.
//!
//! Invariants: the bytes of the first items of `outgoing` that `sending` covers are neither freed nor changed while it
//! is not `Idle`, nor are those of `SentNow`; the slot is vacated and the descriptor closed only when nothing is in
//! flight. No task runs between a stream's flush and the end of the ring's turn, so nobody closes it meanwhile.

mod receive;
mod send;

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::Waker;

use io_uring::{opcode, squeue, types};

use super::Reactor;
use super::gather::Gather;
use super::token::{Kind, Token};
use crate::core::Seat;
use crate::net::{IoError, Outgoing, Received};
use crate::prefetch::Region;
use crate::short_queue::ShortQueue;
use crate::slots::Key;

pub(crate) use send::SentNow;

pub(crate) struct Stream {
    key: Key,
    fd: RawFd,
    inner: RefCell<Inner>,
}

struct Inner {
    phase: Phase,
    receiving: Receiving,
    paused: bool,
    received: ShortQueue<Received>,
    receive_waker: Option<Waker>,
    hangup_waker: Option<Waker>,
    sending: Sending,
    outgoing: ShortQueue<Outgoing>,
    /// Bytes of the first outgoing item that are sent.
    front_sent: usize,
    /// Bytes of all outgoing items that are not sent.
    unsent: usize,
    /// Where in the reactor's list of submitted sends the last one stands.
    sent_now: usize,
    /// Stands in the reactor's list of streams to be flushed.
    flush_listed: bool,
    send_error: Option<IoError>,
    drained_waker: Option<Waker>,
    drained_below: usize,
    gather: Option<Box<Gather>>,
    seat: Option<Seat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The sending side is to be shut down once everything is sent.
    ShuttingDown,
    /// The sending side is shut down.
    ShutDown,
    /// The socket is gone; what is in flight is being ended.
    Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    Idle,
    Armed,
    /// Armed, and a cancellation is on its way.
    Cancelling,
    /// Found no buffer; waits in the reactor's list.
    Starved,
    /// Ended by the peer (`None`) or an error.
    Ended(Option<IoError>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Idle,
    /// This many bytes are being sent by the next submission, silently unless they do not fit.
    Now {
        bytes: usize,
    },
    /// A send waits for room.
    Stalled,
}

impl Reactor {
    /// Takes over a connected socket and begins to receive.
    pub(crate) fn adopt(&self, fd: OwnedFd, seat: Option<Seat>) -> Rc<Stream> {
        let fd = fd.into_raw_fd();
        let mut streams = self.streams.borrow_mut();
        let mut adopted = None;
        streams.insert_with(|key| {
            let stream = Rc::new(Stream {
                key,
                fd,
                inner: RefCell::new(Inner::new(seat)),
            });
            adopted = Some(Rc::clone(&stream));
            stream
        });
        drop(streams);
        let stream = adopted.expect("insert_with calls its argument once");
        stream.arm(self, &mut stream.inner.borrow_mut());
        stream
    }
}

impl Inner {
    fn new(seat: Option<Seat>) -> Self {
        Self {
            phase: Phase::Open,
            receiving: Receiving::Idle,
            paused: false,
            received: ShortQueue::default(),
            receive_waker: None,
            hangup_waker: None,
            sending: Sending::Idle,
            outgoing: ShortQueue::default(),
            front_sent: 0,
            unsent: 0,
            sent_now: 0,
            flush_listed: false,
            send_error: None,
            drained_waker: None,
            drained_below: 0,
            gather: None,
            seat,
        }
    }
}

impl Stream {
    /// What a turn of the core works on when bytes come.
    #[inline]
    pub(crate) fn region(&self) -> Region {
        Region::of(self)
    }
}

/// The end.
impl Stream {
    /// The handle is gone. What was queued is sent until an attempt falls short, as written bytes would be before a
    /// `close`; everything in flight is cancelled, and the descriptor is closed after the last completion.
    pub(crate) fn close(self: &Rc<Self>, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        if inner.phase == Phase::Closing {
            return;
        }
        inner.phase = Phase::Closing;
        inner.seat = None;
        inner.received.clear();
        inner.receive_waker = None;
        inner.hangup_waker = None;
        inner.drained_waker = None;
        self.cancel_receive(reactor, &mut inner);
        if inner.sending == Sending::Stalled {
            reactor.cancel(Token::new(Kind::SendWhenRoom, self.key));
        }
        self.close_if_quiet(reactor, &mut inner);
    }

    fn close_if_quiet(&self, reactor: &Reactor, inner: &mut Inner) {
        let receiving = matches!(inner.receiving, Receiving::Armed | Receiving::Cancelling);
        if receiving || inner.sending != Sending::Idle || !inner.outgoing.is_empty() {
            return;
        }
        if reactor.streams.borrow_mut().remove(self.key).is_some() {
            let entry = opcode::Close::new(types::Fd(self.fd))
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS);
            // SAFETY: closing a descriptor names no memory; it is ours, and with the slot vacated nobody uses it.
            unsafe { reactor.push(entry, Token::IGNORED) };
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open until the handle is gone, and only the handle asks.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}
