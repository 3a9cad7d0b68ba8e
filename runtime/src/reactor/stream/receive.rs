//! Receiving: one multishot operation into ring buffers, stopped while its consumer lags behind.

use std::rc::Rc;
use std::task::{Context, Poll};

use io_uring::{cqueue, opcode, types};

use super::{Inner, Phase, Receiving, Stream};
use crate::net::{IoError, IoOperation, Received};
use crate::reactor::pool::GROUP;
use crate::reactor::token::{Kind, Token};
use crate::reactor::{self, Reactor};
use crate::task::store_waker;

impl Stream {
    pub(super) fn arm(&self, reactor: &Reactor, inner: &mut Inner) {
        debug_assert!(matches!(inner.receiving, Receiving::Idle | Receiving::Starved));
        inner.receiving = Receiving::Armed;
        let entry = opcode::RecvMulti::new(types::Fd(self.fd), GROUP).build();
        let token = Token::new(Kind::Receive, self.key);
        // SAFETY: the operation names no memory but the provided buffers, which outlive the ring.
        unsafe { reactor.push(entry, token) };
    }

    pub(super) fn cancel_receive(&self, reactor: &Reactor, inner: &mut Inner) {
        if inner.receiving == Receiving::Armed {
            inner.receiving = Receiving::Cancelling;
            reactor.cancel(Token::new(Kind::Receive, self.key));
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
    pub(in crate::reactor) fn on_receive(self: &Rc<Self>, reactor: &Reactor, completion: &cqueue::Entry) {
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
                    reactor.pool.starved();
                    inner.receiving = Receiving::Starved;
                    reactor.starved.borrow_mut().push_back(Rc::clone(self));
                    return;
                }
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                _ => {
                    let error = IoError::from_result(IoOperation::Receive, result);
                    inner.receiving = Receiving::Ended(Some(error));
                }
            }
        }
        if ended {
            self.arm_if_wanted(reactor, &mut inner);
        }
        // It stays: the task that receives is mostly the same ever after.
        let waker = inner.receive_waker.clone();
        let hangup = match inner.receiving {
            Receiving::Ended(_) => inner.hangup_waker.take(),
            _ => None,
        };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(waker) = hangup {
            waker.wake();
        }
    }

    /// The consumer had its turn: if it left too much lying, no more is received until it catches up, and what it
    /// left gives scarce buffers back.
    pub(in crate::reactor) fn relieve(&self, reactor: &Reactor) {
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
    pub(in crate::reactor) fn revive(&self, reactor: &Reactor) -> bool {
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

    /// Whoever polled last is woken when there is something to take, whatever the poll gave.
    #[inline]
    pub(crate) fn poll_receive(&self, context: &Context<'_>) -> Poll<Result<Option<Received>, IoError>> {
        let mut inner = self.inner.borrow_mut();
        store_waker(&mut inner.receive_waker, context);
        let received = inner.received.pop_front();
        if inner.receiving == Receiving::Idle {
            reactor::with(|reactor| self.arm_if_wanted(reactor, &mut inner));
        }
        if let Some(received) = received {
            return Poll::Ready(Ok(Some(received)));
        }
        match inner.receiving {
            Receiving::Ended(None) => Poll::Ready(Ok(None)),
            Receiving::Ended(Some(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// Whether a poll would be ready.
    #[inline]
    pub(crate) fn is_readable(&self) -> bool {
        let inner = self.inner.borrow();
        !inner.received.is_empty() || matches!(inner.receiving, Receiving::Ended(_))
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
