//! Listening sockets: one multishot accept each, and the accepted connection goes to the least loaded core.

use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use io_uring::{cqueue, opcode, types};

use super::Reactor;
use super::token::{Kind, Token};
use crate::slots::Key;
use crate::{task, time};

/// Pause after an accept failed for lack of descriptors or memory: trying at once would spin.
const BACK_OFF: Duration = Duration::from_millis(100);

pub(crate) struct Acceptor {
    key: Key,
    socket: OwnedFd,
    /// What arrivals carry to say which listener they came through.
    tag: u32,
    state: Cell<State>,
    /// The present shortage was logged.
    complained: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Armed,
    BackingOff,
    Closing,
}

impl Reactor {
    /// Begins to accept on a listening socket.
    pub(crate) fn accept(&self, socket: OwnedFd, tag: u32) -> Rc<Acceptor> {
        let mut acceptors = self.acceptors.borrow_mut();
        let mut made = None;
        acceptors.insert_with(|key| {
            let complained = Cell::new(false);
            let acceptor = Rc::new(Acceptor {
                key,
                socket,
                tag,
                state: Cell::new(State::Armed),
                complained,
            });
            made = Some(Rc::clone(&acceptor));
            acceptor
        });
        drop(acceptors);
        let acceptor = made.expect("insert_with calls its argument once");
        acceptor.arm(self);
        acceptor
    }
}

impl Acceptor {
    fn token(&self) -> Token {
        Token::new(Kind::Accept, self.key)
    }

    fn arm(&self, reactor: &Reactor) {
        self.state.set(State::Armed);
        let entry = opcode::AcceptMulti::new(types::Fd(self.socket.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: a multishot accept names no memory, and the socket stays open until its last completion.
        unsafe { reactor.push(entry, self.token()) };
    }

    pub(super) fn on_accept(self: &Rc<Self>, reactor: &Reactor, completion: &cqueue::Entry) {
        let result = completion.result();
        if result >= 0 {
            // SAFETY: the kernel made this descriptor for this completion; nobody else owns it.
            let socket = unsafe { OwnedFd::from_raw_fd(result) };
            reactor.stats.accepted.increment();
            self.complained.set(false);
            if self.state.get() != State::Closing && !reactor.cluster.place(socket, self.tag) {
                reactor.stats.arrivals_refused.increment();
            }
        }
        if cqueue::more(completion.flags()) {
            return;
        }
        match (self.state.get(), -result) {
            (State::Closing, _) => drop(reactor.acceptors.borrow_mut().remove(self.key)),
            (_, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => self.back_off(reactor, result),
            _ => self.arm(reactor),
        }
    }

    fn back_off(self: &Rc<Self>, reactor: &Reactor, result: i32) {
        reactor.stats.accepts_failed.increment();
        self.state.set(State::BackingOff);
        if !self.complained.replace(true) {
            let error = std::io::Error::from_raw_os_error(-result);
            tracing::warn!(%error, "connections cannot be accepted; trying again until it works");
        }
        let acceptor = Rc::clone(self);
        task::spawn(async move {
            time::sleep(BACK_OFF).await;
            if acceptor.state.get() == State::BackingOff {
                super::with(|reactor| acceptor.arm(reactor));
            }
        });
    }

    /// Stops accepting. The socket is closed after the last completion.
    pub(crate) fn close(&self, reactor: &Reactor) {
        match self.state.replace(State::Closing) {
            State::Armed => reactor.cancel(self.token()),
            State::BackingOff => drop(reactor.acceptors.borrow_mut().remove(self.key)),
            State::Closing => {}
        }
    }
}
