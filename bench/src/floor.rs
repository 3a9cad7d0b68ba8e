//! The floor: a TCP forwarder that does nothing but what readiness-based forwarding must.
//!
//! For each piece of data one wait, one receive, one send. Sockets are watched edge-triggered, which saves the kernel a
//! second look at each of them. Gateways are measured as a multiple of its CPU time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use slab::Slab;

use crate::poll::{Happened, LEVEL_READ, Poller, no_events};

const BUFFER_BYTES: usize = 64 << 10;
/// Full pieces taken from one socket before the others have their turn.
const PIECES_MAX: usize = 16;
const LISTENER: usize = usize::MAX;

/// The forwarder.
pub struct Floor {
    listener: TcpListener,
    target: SocketAddr,
    poller: Poller,
    pairs: Slab<Pair>,
    buffer: Box<[u8]>,
}

/// A client's socket and the one opened for it, in this order.
struct Pair {
    ends: [End; 2],
}

struct End {
    socket: TcpStream,
    /// Received here, not yet taken by the other end; nothing more is received while there is any.
    waiting: Vec<u8>,
    /// The kernel has told that the peer is done; it does not tell twice.
    closed: bool,
}

impl Floor {
    /// Listens on `listen`, forwards to `target`.
    pub fn bind(listen: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, LEVEL_READ)?;
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Ok(Self {
            listener,
            target,
            poller,
            pairs: Slab::new(),
            buffer,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Forwards until `stop` is set, which is looked at when something happens.
    pub fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = no_events();
        while !stop.load(Ordering::Relaxed) {
            for happened in self.poller.wait(&mut events)? {
                if happened.key == LISTENER {
                    self.accept();
                } else {
                    self.forward(happened);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            let Ok(server) = TcpStream::connect(self.target) else {
                continue;
            };
            let entry = self.pairs.vacant_entry();
            let key = entry.key();
            let mut ready = true;
            for (side, socket) in [&client, &server].into_iter().enumerate() {
                ready &= socket
                    .set_nonblocking(true)
                    .and_then(|()| socket.set_nodelay(true))
                    .and_then(|()| self.poller.add_edge(socket, key * 2 + side))
                    .is_ok();
            }
            if ready {
                let end = |socket| End {
                    socket,
                    waiting: Vec::new(),
                    closed: false,
                };
                entry.insert(Pair {
                    ends: [end(client), end(server)],
                });
            }
        }
    }

    fn forward(&mut self, happened: Happened) {
        let (key, side) = (happened.key / 2, happened.key % 2);
        let Some(pair) = self.pairs.get_mut(key) else {
            return;
        };
        pair.ends[side].closed |= happened.closed;
        let mut open = Ok(true);
        if happened.writable && !pair.ends[1 - side].waiting.is_empty() {
            open = pair.drain(&self.poller, key, 1 - side, &mut self.buffer);
        }
        if happened.readable && matches!(open, Ok(true)) {
            open = pair.pump(&self.poller, key, side, &mut self.buffer);
        }
        if !matches!(open, Ok(true)) {
            self.pairs.remove(key);
        }
    }
}

impl Pair {
    /// Takes what there is from end `from` to the other; false when the end is reached.
    fn pump(&mut self, poller: &Poller, key: usize, from: usize, buffer: &mut [u8]) -> io::Result<bool> {
        for _ in 0..PIECES_MAX {
            if !self.ends[from].waiting.is_empty() {
                return Ok(true);
            }
            let count = match self.ends[from].socket.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            };
            let sent = accepted(self.ends[1 - from].socket.write(&buffer[..count]))?;
            if sent < count {
                self.ends[from].waiting.extend_from_slice(&buffer[sent..count]);
                return Ok(true);
            }
            if count < buffer.len() && !self.ends[from].closed {
                return Ok(true);
            }
        }
        poller.rearm_edge(&self.ends[from].socket, key * 2 + from)?;
        Ok(true)
    }

    /// Sends what waits at end `from`, then goes on receiving there.
    fn drain(&mut self, poller: &Poller, key: usize, from: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let sent = accepted(self.ends[1 - from].socket.write(&self.ends[from].waiting))?;
        self.ends[from].waiting.drain(..sent);
        if !self.ends[from].waiting.is_empty() {
            return Ok(true);
        }
        self.ends[from].waiting = Vec::new();
        self.pump(poller, key, from, buffer)
    }
}

fn accepted(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_bytes_go_both_ways_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = echo.local_addr().unwrap();
        // Reads all, then answers all: both directions have to wait for their reader.
        let server = thread::spawn(move || {
            let (mut socket, _) = echo.accept().unwrap();
            let mut seen = vec![0; 8 << 20];
            thread::sleep(Duration::from_millis(50));
            socket.read_exact(&mut seen).unwrap();
            socket.write_all(&seen).unwrap();
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).unwrap();
        });
        let mut floor = Floor::bind(([127, 0, 0, 1], 0).into(), target).unwrap();
        let address = floor.address().unwrap();
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let forwarder = thread::spawn(move || floor.run(stop).unwrap());

        let sent: Vec<u8> = (0..8u32 << 20)
            .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&sent).unwrap();
        thread::sleep(Duration::from_millis(50));
        let mut seen = vec![0; sent.len()];
        client.read_exact(&mut seen).unwrap();
        assert!(seen == sent);
        client.shutdown(Shutdown::Write).unwrap();
        server.join().unwrap();
        assert_eq!(client.read(&mut seen).unwrap(), 0);

        stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        forwarder.join().unwrap();
    }
}
