//! A stream socket inside of the reactor: its operations in flight and its two queues.
//!
//! Receiving is one multishot operation that fills ring buffers. It is cancelled while the consumer lags behind by
//! `receive_buffers_max` and armed again when the consumer has caught up.
//!
//! Sending is one operation at a time, over everything that is queued. The first attempt is made while it is
//! submitted (`MSG_DONTWAIT`) and is silent when all went out (`SKIP_SUCCESS`): the common send costs neither a
//! completion nor a second turn of the ring. Only an attempt that falls short completes; the rest then waits in the
//! ring for room, from the heap if buffers are scarce. Since silence is the good news, the core does not go to sleep
//! in the submission of a send that somebody waits for (`Reactor::send_awaited`).
//!
//! Invariants: the first items of `outgoing` that `sending` covers are neither dropped nor changed while it is not
//! `Idle`; the slot is vacated and the descriptor closed only when nothing is in flight.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::{cqueue, opcode, squeue, types};
use nix::sys::socket::{Shutdown, shutdown};

use super::Reactor;
use super::gather::{GATHER_MAX, Gather};
use super::pool::GROUP;
use super::token::{Kind, Token};
use crate::core::Seat;
use crate::net::{IoError, IoOperation, Outgoing, Received};
use crate::slots::Key;
use crate::task::store_waker;

/// A single send asks for no more than this.
const SEND_BYTES_MAX: usize = 1 << 30;

pub(crate) struct Stream {
    key: Key,
    fd: RawFd,
    inner: RefCell<Inner>,
}

struct Inner {
    phase: Phase,
    receiving: Receiving,
    paused: bool,
    received: VecDeque<Received>,
    receive_waker: Option<Waker>,
    hangup_waker: Option<Waker>,
    sending: Sending,
    outgoing: VecDeque<Outgoing>,
    /// Bytes of the first outgoing item that are sent.
    front_sent: usize,
    /// Bytes of all outgoing items that are not sent.
    unsent: usize,
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
            received: VecDeque::new(),
            receive_waker: None,
            hangup_waker: None,
            sending: Sending::Idle,
            outgoing: VecDeque::new(),
            front_sent: 0,
            unsent: 0,
            flush_listed: false,
            send_error: None,
            drained_waker: None,
            drained_below: 0,
            gather: None,
            seat,
        }
    }

    /// Takes sent bytes off the queue; buffers that are done go back.
    fn sent(&mut self, mut bytes: usize) {
        self.unsent -= bytes;
        while bytes > 0 {
            let Some(front) = self.outgoing.front() else {
                return;
            };
            let left = front.len() - self.front_sent;
            if bytes < left {
                self.front_sent += bytes;
                return;
            }
            bytes -= left;
            self.front_sent = 0;
            self.outgoing.pop_front();
        }
    }

    /// Drops what is not sent. Nothing may be in flight.
    fn discard_outgoing(&mut self) {
        debug_assert_eq!(self.sending, Sending::Idle);
        self.outgoing.clear();
        self.front_sent = 0;
        self.unsent = 0;
    }

    fn take_drained_waker(&mut self) -> Option<Waker> {
        if self.unsent <= self.drained_below || self.send_error.is_some() {
            self.drained_waker.take()
        } else {
            None
        }
    }
}

/// Receiving.
impl Stream {
    fn arm(&self, reactor: &Reactor, inner: &mut Inner) {
        debug_assert!(matches!(inner.receiving, Receiving::Idle | Receiving::Starved));
        inner.receiving = Receiving::Armed;
        let entry = opcode::RecvMulti::new(types::Fd(self.fd), GROUP).build();
        let token = Token::new(Kind::Receive, self.key);
        // SAFETY: the operation names no memory but the provided buffers, which outlive the ring.
        unsafe { reactor.ring.borrow_mut().push(&entry.user_data(token.pack())) };
    }

    fn cancel_receive(&self, reactor: &Reactor, inner: &mut Inner) {
        if inner.receiving == Receiving::Armed {
            inner.receiving = Receiving::Cancelling;
            reactor
                .ring
                .borrow_mut()
                .cancel(Token::new(Kind::Receive, self.key));
        }
    }

    /// Arms again if the consumer wants more and has caught up.
    fn arm_if_wanted(&self, reactor: &Reactor, inner: &mut Inner) {
        let caught_up = inner.received.len() * 2 <= reactor.receive_buffers_max;
        if inner.receiving == Receiving::Idle && !inner.paused && inner.phase != Phase::Closing && caught_up {
            self.arm(reactor, inner);
        }
    }

    /// A completion of the multishot receive.
    pub(super) fn on_receive(self: &Rc<Self>, reactor: &Reactor, completion: &cqueue::Entry) {
        let (result, flags) = (completion.result(), completion.flags());
        let mut inner = self.inner.borrow_mut();
        let received = cqueue::buffer_select(flags)
            .map(|buffer| Received::take_over(&reactor.pool, buffer, usize::try_from(result).unwrap_or(0)));
        let ended = !cqueue::more(flags);
        if ended {
            inner.receiving = Receiving::Idle;
        }
        if inner.phase == Phase::Closing {
            drop(received);
            if ended {
                self.close_if_quiet(reactor, &mut inner);
            }
            return;
        }
        if result > 0 {
            let Some(received) = received else { return };
            reactor.stats.bytes_received.add(received.len());
            inner.received.push_back(received);
            let crowded = inner.received.len() >= reactor.receive_buffers_max || reactor.pool.is_scarce();
            if crowded {
                reactor.crowded.borrow_mut().push(Rc::clone(self));
            }
        } else {
            drop(received);
            match -result {
                0 => inner.receiving = Receiving::Ended(None),
                libc::ENOBUFS => {
                    reactor.stats.receives_starved.increment();
                    inner.receiving = Receiving::Starved;
                    reactor.starved.borrow_mut().push_back(Rc::clone(self));
                    return;
                }
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                _ => {
                    inner.receiving =
                        Receiving::Ended(Some(IoError::from_result(IoOperation::Receive, result)))
                }
            }
        }
        if ended {
            self.arm_if_wanted(reactor, &mut inner);
        }
        let waker = inner.receive_waker.take();
        let hangup = if matches!(inner.receiving, Receiving::Ended(_)) {
            inner.hangup_waker.take()
        } else {
            None
        };
        drop(inner);
        for waker in [waker, hangup].into_iter().flatten() {
            waker.wake();
        }
    }

    /// The consumer had its turn: if it left too much lying, no more is received until it catches up, and what it
    /// left gives scarce buffers back.
    pub(super) fn relieve(&self, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        let scarce = reactor.pool.is_scarce();
        if inner.received.len() >= reactor.receive_buffers_max || (scarce && !inner.received.is_empty()) {
            self.cancel_receive(reactor, &mut inner);
        }
        if scarce {
            inner.received.iter_mut().for_each(Received::detach);
        }
    }

    /// Buffers came back for a stream that had found none. Returns whether it takes one.
    pub(super) fn revive(&self, reactor: &Reactor) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.receiving != Receiving::Starved {
            return false;
        }
        inner.receiving = Receiving::Idle;
        if inner.phase == Phase::Closing {
            self.close_if_quiet(reactor, &mut inner);
            return false;
        }
        self.arm_if_wanted(reactor, &mut inner);
        inner.receiving == Receiving::Armed
    }

    #[inline]
    pub(crate) fn poll_receive(
        &self,
        reactor: &Reactor,
        context: &Context<'_>,
    ) -> Poll<Result<Option<Received>, IoError>> {
        let mut inner = self.inner.borrow_mut();
        let received = inner.received.pop_front();
        if inner.receiving == Receiving::Idle {
            self.arm_if_wanted(reactor, &mut inner);
        }
        if let Some(received) = received {
            return Poll::Ready(Ok(Some(received)));
        }
        match inner.receiving {
            Receiving::Ended(None) => Poll::Ready(Ok(None)),
            Receiving::Ended(Some(error)) => Poll::Ready(Err(error)),
            _ => {
                store_waker(&mut inner.receive_waker, context);
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_hangup(&self, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.inner.borrow_mut();
        if matches!(inner.receiving, Receiving::Ended(_)) || inner.send_error.is_some() {
            return Poll::Ready(());
        }
        store_waker(&mut inner.hangup_waker, context);
        Poll::Pending
    }

    pub(crate) fn pause(&self, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        inner.paused = true;
        self.cancel_receive(reactor, &mut inner);
    }

    pub(crate) fn resume(&self, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        inner.paused = false;
        self.arm_if_wanted(reactor, &mut inner);
    }
}

/// Sending.
impl Stream {
    /// Queues bytes. They go out at the end of this turn of the core.
    #[inline]
    pub(crate) fn send(self: &Rc<Self>, reactor: &Reactor, mut outgoing: Outgoing) {
        let len = outgoing.len();
        let mut inner = self.inner.borrow_mut();
        if len == 0 || inner.phase != Phase::Open || inner.send_error.is_some() {
            return;
        }
        inner.unsent += len;
        if inner.sending == Sending::Stalled && reactor.pool.is_scarce() {
            outgoing.detach();
        }
        let outgoing = match (inner.sending, inner.outgoing.back_mut(), outgoing) {
            (Sending::Idle, Some(Outgoing::Received(last)), Outgoing::Received(next)) => {
                match last.try_join(next) {
                    Ok(()) => return,
                    Err(next) => Outgoing::Received(next),
                }
            }
            (_, _, outgoing) => outgoing,
        };
        inner.outgoing.push_back(outgoing);
        if inner.sending == Sending::Idle {
            self.list_for_flush(reactor, &mut inner);
        }
    }

    fn list_for_flush(self: &Rc<Self>, reactor: &Reactor, inner: &mut Inner) {
        if !inner.flush_listed {
            inner.flush_listed = true;
            reactor.unflushed.borrow_mut().push(Rc::clone(self));
        }
    }

    /// Submits a send of everything that is queued, to be carried out during the submission.
    pub(super) fn flush(self: &Rc<Self>, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        inner.flush_listed = false;
        if inner.sending != Sending::Idle {
            return;
        }
        if inner.outgoing.is_empty() {
            self.after_sending(reactor, &mut inner);
            return;
        }
        let bytes = self.submit_send(reactor, &mut inner, Kind::SendNow);
        inner.sending = Sending::Now { bytes };
        reactor.sent_now.borrow_mut().push(Rc::clone(self));
        if inner.drained_waker.is_some() || inner.phase != Phase::Open || bytes < inner.unsent {
            reactor.send_awaited.set(true);
        }
    }

    /// Returns how many bytes are asked for.
    fn submit_send(&self, reactor: &Reactor, inner: &mut Inner, kind: Kind) -> usize {
        let now = kind == Kind::SendNow;
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | if now { libc::MSG_DONTWAIT } else { 0 };
        let (entry, bytes) = if inner.outgoing.len() == 1 {
            let bytes = &inner.outgoing[0].as_slice()[inner.front_sent..];
            let len = bytes.len().min(SEND_BYTES_MAX);
            let wanted = u32::try_from(len).unwrap_or(u32::MAX);
            (
                opcode::Send::new(types::Fd(self.fd), bytes.as_ptr(), wanted)
                    .flags(flags)
                    .build(),
                len,
            )
        } else {
            let mut gather = reactor.gathers.borrow_mut().pop().unwrap_or_default();
            let items = inner.outgoing.iter().take(GATHER_MAX).map(Outgoing::as_slice);
            let len = gather.fill(items, inner.front_sent);
            let entry = opcode::SendMsg::new(types::Fd(self.fd), gather.header());
            inner.gather = Some(gather);
            (entry.flags(flags.cast_unsigned()).build(), len)
        };
        let entry = entry.user_data(Token::new(kind, self.key).pack());
        let entry = if now {
            entry.flags(squeue::Flags::SKIP_SUCCESS)
        } else {
            entry
        };
        // SAFETY: the bytes belong to items of `outgoing`, which stay there until this send is over, as does the
        // gather list; the stream itself stays in the reactor's table that long.
        unsafe { reactor.ring.borrow_mut().push(&entry) };
        bytes
    }

    fn recycle_gather(reactor: &Reactor, inner: &mut Inner) {
        if let Some(gather) = inner.gather.take() {
            reactor.gathers.borrow_mut().push(gather);
        }
    }

    /// Everything was submitted and reaped, and no completion told of a failure: it is sent.
    pub(super) fn on_sent_now(self: &Rc<Self>, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        let Sending::Now { bytes } = inner.sending else {
            return;
        };
        Self::recycle_gather(reactor, &mut inner);
        inner.sending = Sending::Idle;
        reactor.stats.bytes_sent.add(bytes);
        inner.sent(bytes);
        self.after_sending(reactor, &mut inner);
        let waker = inner.take_drained_waker();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A send completed: one that fell short during its submission, or one that waited for room.
    pub(super) fn on_send(self: &Rc<Self>, reactor: &Reactor, kind: Kind, result: i32) {
        let mut inner = self.inner.borrow_mut();
        if inner.sending == Sending::Idle {
            return;
        }
        Self::recycle_gather(reactor, &mut inner);
        inner.sending = Sending::Idle;
        match usize::try_from(result) {
            Ok(bytes) => {
                reactor.stats.bytes_sent.add(bytes);
                inner.sent(bytes);
            }
            Err(_) if matches!(-result, libc::EAGAIN | libc::EINTR) => {}
            Err(_) => {
                inner.send_error = Some(IoError::from_result(IoOperation::Send, result));
                inner.discard_outgoing();
            }
        }
        let stalled = kind == Kind::SendNow && !inner.outgoing.is_empty();
        if stalled && inner.phase == Phase::Closing {
            inner.discard_outgoing();
        } else if stalled {
            reactor.stats.sends_stalled.increment();
            if reactor.pool.is_scarce() {
                inner.outgoing.iter_mut().for_each(Outgoing::detach);
            }
            self.submit_send(reactor, &mut inner, Kind::SendWhenRoom);
            inner.sending = Sending::Stalled;
        }
        self.after_sending(reactor, &mut inner);
        let waker = inner.take_drained_waker();
        let hangup = if inner.send_error.is_some() {
            inner.hangup_waker.take()
        } else {
            None
        };
        drop(inner);
        for waker in [waker, hangup].into_iter().flatten() {
            waker.wake();
        }
    }

    fn after_sending(self: &Rc<Self>, reactor: &Reactor, inner: &mut Inner) {
        if inner.sending != Sending::Idle {
            return;
        }
        if !inner.outgoing.is_empty() {
            self.list_for_flush(reactor, inner);
        } else if inner.phase == Phase::ShuttingDown {
            inner.phase = Phase::ShutDown;
            // A peer that is gone already needs no farewell.
            let _ = shutdown(self.fd, Shutdown::Write);
        } else if inner.phase == Phase::Closing {
            self.close_if_quiet(reactor, inner);
        }
    }

    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.inner.borrow().unsent
    }

    #[inline]
    pub(crate) fn poll_drained(&self, context: &Context<'_>, below: usize) -> Poll<Result<(), IoError>> {
        let mut inner = self.inner.borrow_mut();
        if let Some(error) = inner.send_error {
            return Poll::Ready(Err(error));
        }
        if inner.unsent <= below {
            return Poll::Ready(Ok(()));
        }
        inner.drained_below = below;
        store_waker(&mut inner.drained_waker, context);
        Poll::Pending
    }

    pub(crate) fn shutdown_write(self: &Rc<Self>, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        if inner.phase == Phase::Open {
            inner.phase = Phase::ShuttingDown;
            self.after_sending(reactor, &mut inner);
        }
    }
}

/// The end.
impl Stream {
    /// The handle is gone. What was queued gets one attempt, as written bytes would before a `close`; everything
    /// in flight is cancelled, and the descriptor is closed after the last completion.
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
            reactor
                .ring
                .borrow_mut()
                .cancel(Token::new(Kind::SendWhenRoom, self.key));
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
            unsafe {
                reactor
                    .ring
                    .borrow_mut()
                    .push(&entry.user_data(Token::IGNORED.pack()))
            };
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
