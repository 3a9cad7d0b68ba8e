//! Listeners and what they bring.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};

use super::Socket;
use super::connect::prepare;
use crate::core::Placed;
use crate::reactor::{self, Acceptor};

/// How a listener is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Comes back with each [`Arrival`], to tell the listeners apart.
    pub tag: u32,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: i32,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            tag: 0,
            backlog: 4096,
        }
    }
}

/// A connection handed to this core.
#[derive(Debug)]
pub struct Arrival {
    /// The tag of the listener it came through.
    pub tag: u32,
    /// The connection. Until it is dropped it counts as one session of the core.
    pub socket: Socket,
}

impl Arrival {
    pub(crate) fn new(placed: Placed) -> Self {
        Self {
            tag: placed.tag,
            socket: Socket::adopt(placed.socket, Some(placed.seat)),
        }
    }
}

/// A listening socket that accepts on its core's ring. Dropping it closes it.
pub struct Listener {
    acceptor: Rc<Acceptor>,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr, config: ListenerConfig) -> io::Result<Self> {
        let family = if address.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        listen(&fd, Backlog::new(config.backlog)?)?;
        Self::adopt(TcpListener::from(fd), config)
    }

    pub(crate) fn adopt(listener: TcpListener, config: ListenerConfig) -> io::Result<Self> {
        let address = listener.local_addr()?;
        // The ring waits by itself; a non-blocking socket would make it give up instead.
        listener.set_nonblocking(false)?;
        let fd = OwnedFd::from(listener);
        // Listening again only sets the backlog: the standard library's is small.
        listen(&fd, Backlog::new(config.backlog)?)?;
        // Accepted sockets inherit these, which saves their system calls.
        prepare(&fd)?;
        Ok(Self {
            acceptor: reactor::with(|reactor| reactor.accept(fd, config.tag)),
            address,
        })
    }

    /// The address it is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        reactor::try_with(|reactor| self.acceptor.close(reactor));
    }
}
