//! The handle of a connected socket.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll};

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname, setsockopt, sockopt};

use super::{IoError, Outgoing, Received};
use crate::core::Seat;
use crate::reactor::{self, Stream};
use crate::task::Region;
use crate::time::{Instant, timeout};

/// A connected TCP socket of this core.
///
/// Dropping it closes it: what was queued is sent until an attempt falls short, everything in flight is cancelled. To have
/// everything delivered, [`finish`](Self::finish) it.
pub struct Socket {
    stream: Rc<Stream>,
}

impl Socket {
    pub(crate) fn adopt(fd: OwnedFd, seat: Option<Seat>) -> Self {
        Self {
            stream: reactor::with(|reactor| reactor.adopt(fd, seat)),
        }
    }

    /// The next received bytes, never empty; `None` when the peer has ended its side. The task is woken when there is
    /// more to take, also if this took something.
    #[inline]
    pub fn poll_receive(&self, context: &Context<'_>) -> Poll<Result<Option<Received>, IoError>> {
        self.stream.poll_receive(context)
    }

    /// Whether [`poll_receive`](Self::poll_receive) would be ready.
    #[inline]
    pub fn is_readable(&self) -> bool {
        self.stream.is_readable()
    }

    /// As [`poll_receive`](Self::poll_receive).
    pub async fn receive(&self) -> Result<Option<Received>, IoError> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// Queues bytes behind what is queued already. They begin to go out when the task yields. After an error, or after
    /// [`shutdown_write`](Self::shutdown_write), they are dropped; [`poll_drained`](Self::poll_drained) tells the
    /// error.
    #[inline]
    pub fn send(&self, bytes: impl Into<Outgoing>) {
        reactor::with(|reactor| self.stream.send(reactor, bytes.into()));
    }

    /// Bytes that are queued or on their way into the socket.
    #[inline]
    pub fn queued(&self) -> usize {
        self.stream.queued()
    }

    /// Ready when at most `below` bytes are queued, or when sending has failed.
    #[inline]
    pub fn poll_drained(&self, context: &Context<'_>, below: usize) -> Poll<Result<(), IoError>> {
        self.stream.poll_drained(context, below)
    }

    /// As [`poll_drained`](Self::poll_drained).
    pub async fn drained(&self, below: usize) -> Result<(), IoError> {
        poll_fn(|context| self.poll_drained(context, below)).await
    }

    /// Where its state lies, for [`works_on`](crate::task::works_on).
    pub fn region(&self) -> Region {
        self.stream.region()
    }

    /// Ready when the peer has ended its side or the connection has failed, even if received bytes are still to be
    /// taken. It is only noticed while the socket receives: not when paused, and not while more than the bound waits
    /// to be taken.
    pub fn poll_hangup(&self, context: &Context<'_>) -> Poll<()> {
        self.stream.poll_hangup(context)
    }

    /// Stops receiving. What was received already can still be taken.
    pub fn pause(&self) {
        reactor::with(|reactor| self.stream.pause(reactor));
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&self) {
        reactor::with(|reactor| self.stream.resume(reactor));
    }

    /// Ends the sending side once everything queued is sent.
    pub fn shutdown_write(&self) {
        reactor::with(|reactor| self.stream.shutdown_write(reactor));
    }

    /// Closes it so that the peer gets everything that is queued: sends, ends the sending side, and takes what the
    /// peer still sends until it ends too, all until the deadline.
    pub async fn finish(self, deadline: Instant) {
        let farewell = async {
            self.drained(0).await?;
            self.shutdown_write();
            while self.receive().await?.is_some() {}
            Ok::<(), IoError>(())
        };
        // Closed either way.
        let _ = timeout(deadline, farewell).await;
    }

    /// Makes the closing of this socket a reset: what is queued is thrown away and the peer sees an error.
    pub fn reset_on_close(&self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&*self.stream, sockopt::Linger, &linger);
    }

    /// The peer's address.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        let address: SockaddrStorage = getpeername(self.stream.as_raw_fd())?;
        to_std(&address)
    }

    /// The own address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address: SockaddrStorage = getsockname(self.stream.as_raw_fd())?;
        to_std(&address)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        reactor::try_with(|reactor| self.stream.close(reactor));
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Socket")
            .field("fd", &self.stream.as_raw_fd())
            .finish_non_exhaustive()
    }
}

fn to_std(address: &SockaddrStorage) -> io::Result<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|address| SocketAddr::V4((*address).into()));
    let v6 = address
        .as_sockaddr_in6()
        .map(|address| SocketAddr::V6((*address).into()));
    v4.or(v6).ok_or_else(|| io::ErrorKind::Unsupported.into())
}
