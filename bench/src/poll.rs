//! A thin cover over epoll: descriptors are watched under a number of the caller's.
//!
//! Sockets of the load and the back end are watched edge-triggered: one registration for their whole life. The rule
//! that makes it right: after a read that filled its buffer read again; after a short one stop, unless the event said
//! that the peer has closed. An event may arrive for a number that meanwhile belongs to a newer socket; a read of a
//! socket that has nothing answers `WouldBlock`, so that does no harm.

use std::io;
use std::os::fd::AsFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Events taken from the kernel in one call at most.
pub const EVENTS_MAX: usize = 512;

/// Watched for reading, level-triggered.
pub const LEVEL_READ: EpollFlags = EpollFlags::EPOLLIN;

const EDGE: EpollFlags = EpollFlags::EPOLLIN
    .union(EpollFlags::EPOLLOUT)
    .union(EpollFlags::EPOLLRDHUP)
    .union(EpollFlags::EPOLLET);

/// An epoll instance.
pub struct Poller {
    epoll: Epoll,
}

/// What happened to one descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// The number the descriptor is watched under.
    pub key: usize,
    /// There is something to read, or an error or end to find by reading.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer has closed its side: read until the end is seen.
    pub closed: bool,
}

impl Poller {
    /// Opens an epoll instance.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        })
    }

    /// Watches `socket` for `interest`.
    pub fn add(&self, socket: impl AsFd, key: usize, interest: EpollFlags) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(interest, key as u64))?)
    }

    /// Watches `socket` edge-triggered for reading, writing and the peer's end.
    pub fn add_edge(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        self.add(socket, key, EDGE)
    }

    /// Has what `socket` is ready for now reported once more.
    pub fn rearm_edge(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        Ok(self
            .epoll
            .modify(socket, &mut EpollEvent::new(EDGE, key as u64))?)
    }

    /// Waits for events; none when a signal came.
    ///
    /// There is no time-out: arming a timer in each wait costs what is to be measured.
    pub fn wait<'a>(
        &self,
        events: &'a mut [EpollEvent; EVENTS_MAX],
    ) -> io::Result<impl Iterator<Item = Happened> + use<'a>> {
        let count = match self.epoll.wait(events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(events[..count].iter().map(|event| {
            let flags = event.events();
            let failed = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
            Happened {
                key: usize::try_from(event.data()).unwrap_or(usize::MAX),
                readable: flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | failed),
                writable: flags.contains(EpollFlags::EPOLLOUT),
                closed: flags.intersects(EpollFlags::EPOLLRDHUP | failed),
            }
        }))
    }
}

/// An empty array for `Poller::wait`.
pub fn no_events() -> [EpollEvent; EVENTS_MAX] {
    [EpollEvent::empty(); EVENTS_MAX]
}
