//! Connecting out.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::{opcode, types};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike as _, SockaddrStorage, setsockopt, socket, sockopt,
};

use super::{IoError, IoOperation, Socket};
use crate::helpers::{HelperError, Helpers};
use crate::reactor;
use crate::time::{Instant, timeout};

/// A silent peer is asked for a sign of life after this many seconds.
const KEEPALIVE_IDLE_SECONDS: u32 = 60;
/// Seconds between further questions.
const KEEPALIVE_INTERVAL_SECONDS: u32 = 15;
/// Unanswered questions after which the connection fails.
const KEEPALIVE_PROBES: u32 = 4;

/// Connects to an address, or fails at the deadline.
pub async fn connect(address: SocketAddr, deadline: Instant) -> Result<Socket, IoError> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let failed = |errno: nix::Error| IoError::Os {
        operation: IoOperation::Connect,
        errno: errno as i32,
    };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
    prepare(&fd).map_err(failed)?;
    let connecting = reactor::with(|reactor| {
        // SAFETY: the entry points to the address, which the resource holds, and names its descriptor.
        unsafe {
            reactor::submit(reactor, (fd, SockaddrStorage::from(address)), |(fd, address)| {
                opcode::Connect::new(types::Fd(fd.as_raw_fd()), address.as_ptr(), address.len()).build()
            })
        }
    });
    let connected = timeout(deadline, connecting).await;
    let ((fd, _), result) = connected.map_err(|_| IoError::TimedOut {
        operation: IoOperation::Connect,
    })?;
    if result < 0 {
        return Err(IoError::from_result(IoOperation::Connect, result));
    }
    Ok(Socket::adopt(fd, None))
}

/// Looks up the addresses of a host on a helper thread, in the order the system prefers them.
pub async fn resolve(helpers: &Helpers, host: &str, port: u16) -> Result<Vec<SocketAddr>, IoError> {
    let host = host.to_owned();
    let looked_up = helpers
        .run(move || {
            (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
        })
        .await;
    match looked_up {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(IoError::NoAddress),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(IoError::from_io(IoOperation::Resolve, &error)),
        Err(HelperError::Panicked { .. } | HelperError::Stopped) => Err(IoError::NoAddress),
    }
}

/// The options of all our sockets: small messages go out at once, dead peers are noticed.
pub(super) fn prepare(fd: &OwnedFd) -> nix::Result<()> {
    setsockopt(fd, sockopt::TcpNoDelay, &true)?;
    setsockopt(fd, sockopt::KeepAlive, &true)?;
    setsockopt(fd, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_SECONDS)?;
    setsockopt(fd, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL_SECONDS)?;
    setsockopt(fd, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)
}
