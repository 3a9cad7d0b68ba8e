//! Sending: one operation at a time, tried during its submission and waiting for room only if it must.

use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::{opcode, squeue, types};
use nix::sys::socket::{Shutdown, shutdown};

use super::{Inner, Phase, Sending, Stream};
use crate::net::{IoError, IoOperation, Outgoing};
use crate::reactor::Reactor;
use crate::reactor::gather::GATHER_MAX;
use crate::reactor::token::{Kind, Token};
use crate::slots::Key;
use crate::task::store_waker;

/// A send of the next submission, which is done unless a completion says otherwise.
pub(crate) enum SentNow {
    /// All that the stream had to send. It counts as sent already and is here until it is.
    Only { stream: Key, outgoing: Outgoing },
    /// The front of the stream's queue, which holds it.
    Front(Rc<Stream>),
    /// A completion told how it ended.
    Over,
}

impl SentNow {
    /// Takes the bytes out if they are all that this stream had to send.
    fn take_of(&mut self, key: Key) -> Option<Outgoing> {
        match mem::replace(self, Self::Over) {
            Self::Only { stream, outgoing } if stream == key => Some(outgoing),
            other => {
                *self = other;
                None
            }
        }
    }
}

fn send_flags(kind: Kind) -> i32 {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    match kind {
        Kind::SendNow => flags | libc::MSG_DONTWAIT,
        _ => flags,
    }
}

/// A single send asks for no more than this: carried out during its submission, it holds the core while the kernel copies.
/// What is left has its turn behind the other sessions.
const SEND_BYTES_MAX: usize = 256 * 1024;

impl Inner {
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

    /// Takes bytes back that were counted as sent when they were submitted.
    fn recall(&mut self, outgoing: Outgoing) {
        debug_assert_eq!(self.sending, Sending::Idle);
        let bytes = outgoing.len();
        self.unsent += bytes;
        self.outgoing.push_front(outgoing);
        self.sending = Sending::Now { bytes };
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

impl Stream {
    /// Queues bytes. They begin to go out at the end of this turn of the core.
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

    /// Submits a send of what is queued, up to [`SEND_BYTES_MAX`], to be carried out during the submission.
    pub(in crate::reactor) fn flush(self: &Rc<Self>, reactor: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        inner.flush_listed = false;
        if inner.sending != Sending::Idle {
            return;
        }
        if inner.outgoing.is_empty() {
            self.after_sending(reactor, &mut inner);
            return;
        }
        let mut sent_now = reactor.sent_now.borrow_mut();
        inner.sent_now = sent_now.len();
        if inner.phase == Phase::Open
            && inner.drained_waker.is_none()
            && inner.front_sent == 0
            && inner.unsent <= SEND_BYTES_MAX
            && let Some(outgoing) = inner.outgoing.take_only()
        {
            inner.unsent = 0;
            self.submit_bytes(reactor, outgoing.as_slice(), Kind::SendNow);
            sent_now.push(SentNow::Only {
                stream: self.key,
                outgoing,
            });
            return;
        }
        let bytes = self.submit_send(reactor, &mut inner, Kind::SendNow);
        inner.sending = Sending::Now { bytes };
        sent_now.push(SentNow::Front(Rc::clone(self)));
        if inner.drained_waker.is_some() || inner.phase != Phase::Open || bytes < inner.unsent {
            reactor.send_awaited.set(true);
        }
    }

    /// Returns how many bytes are asked for.
    fn submit_send(&self, reactor: &Reactor, inner: &mut Inner, kind: Kind) -> usize {
        if inner.outgoing.len() == 1
            && let Some(only) = inner.outgoing.front()
        {
            let bytes = &only.as_slice()[inner.front_sent..];
            let bytes = &bytes[..bytes.len().min(SEND_BYTES_MAX)];
            self.submit_bytes(reactor, bytes, kind);
            return bytes.len();
        }
        let mut gather = reactor.gathers.borrow_mut().pop().unwrap_or_default();
        let items = inner.outgoing.iter().take(GATHER_MAX).map(Outgoing::as_slice);
        let bytes = gather.fill(items, inner.front_sent, SEND_BYTES_MAX);
        let (header, flags) = (gather.header(), send_flags(kind).cast_unsigned());
        inner.gather = Some(gather);
        let entry = opcode::SendMsg::new(types::Fd(self.fd), header)
            .flags(flags)
            .build();
        self.submit(reactor, entry, kind);
        bytes
    }

    fn submit_bytes(&self, reactor: &Reactor, bytes: &[u8], kind: Kind) {
        debug_assert!(bytes.len() <= SEND_BYTES_MAX);
        let (start, wanted) = (bytes.as_ptr(), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let flags = send_flags(kind);
        let entry = opcode::Send::new(types::Fd(self.fd), start, wanted)
            .flags(flags)
            .build();
        self.submit(reactor, entry, kind);
    }

    fn submit(&self, reactor: &Reactor, entry: squeue::Entry, kind: Kind) {
        let entry = entry.user_data(Token::new(kind, self.key).pack());
        let entry = match kind {
            Kind::SendNow => entry.flags(squeue::Flags::SKIP_SUCCESS),
            _ => entry,
        };
        // SAFETY: the bytes lie behind a pointer (a ring buffer, the heap, static) that moving their `Outgoing` does
        // not change. It is dropped by `Inner::sent` or `Reactor::settle_sends` alone, when this send is over, as is
        // the gather list; until then the stream stays in the reactor's table, as no task runs that could close it, or
        // `sending` is not `Idle`.
        unsafe { reactor.ring.borrow_mut().push(&entry) };
    }

    fn recycle_gather(reactor: &Reactor, inner: &mut Inner) {
        if let Some(gather) = inner.gather.take() {
            reactor.gathers.borrow_mut().push(gather);
        }
    }

    /// The send of these bytes was not submitted yet: until it is, the stream holds them.
    pub(in crate::reactor) fn not_sent_yet(&self, outgoing: Outgoing) {
        self.inner.borrow_mut().recall(outgoing);
    }

    /// Everything was submitted and reaped, and no completion told of a failure: it is sent.
    pub(in crate::reactor) fn on_sent_now(self: &Rc<Self>, reactor: &Reactor) {
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
    pub(in crate::reactor) fn on_send(self: &Rc<Self>, reactor: &Reactor, kind: Kind, result: i32) {
        let mut inner = self.inner.borrow_mut();
        if kind == Kind::SendNow {
            let mut sends = reactor.sent_now.borrow_mut();
            let send = sends.get_mut(inner.sent_now);
            if let Some(outgoing) = send.and_then(|send| send.take_of(self.key)) {
                inner.recall(outgoing);
            }
        }
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
