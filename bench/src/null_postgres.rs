//! A PostgreSQL back end that has no database: it answers at once with rows made beforehand.
//!
//! One thread, one epoll. Everybody is let in without a password. A big result is sent from one block in memory and
//! waits for the reader, so that its memory does not grow with it.

pub mod session;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use slab::Slab;

use self::session::{Answers, Flow, Session};
use crate::poll::{Happened, LEVEL_READ, Poller, no_events};

const READ_BYTES: usize = 256 << 10;
const LISTENER: usize = usize::MAX;

/// The back end.
pub struct NullPostgres {
    listener: TcpListener,
    poller: Poller,
    clients: Slab<Client>,
    answers: Answers,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Client {
    socket: TcpStream,
    session: Session,
    /// Answers that the socket had no room for.
    unsent: Vec<u8>,
}

impl NullPostgres {
    /// Listens on `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, LEVEL_READ)?;
        Ok(Self {
            listener,
            poller,
            clients: Slab::new(),
            answers: Answers::default(),
            input: vec![0; READ_BYTES],
            output: Vec::with_capacity(READ_BYTES),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is set, which is looked at when something happens.
    pub fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = no_events();
        while !stop.load(Ordering::Relaxed) {
            for happened in self.poller.wait(&mut events)? {
                if happened.key == LISTENER {
                    self.accept();
                } else {
                    self.serve(happened);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        // An error here (a client gone, descriptors used up) is of that client alone.
        while let Ok((socket, _)) = self.listener.accept() {
            let entry = self.clients.vacant_entry();
            let key = entry.key();
            let ready = socket
                .set_nonblocking(true)
                .and_then(|()| socket.set_nodelay(true))
                .and_then(|()| self.poller.add_edge(&socket, key));
            if ready.is_ok() {
                let session = Session::new(u32::try_from(key + 1).unwrap_or(0));
                entry.insert(Client {
                    socket,
                    session,
                    unsent: Vec::new(),
                });
            }
        }
    }

    fn serve(&mut self, happened: Happened) {
        let Some(client) = self.clients.get_mut(happened.key) else {
            return;
        };
        let mut flow = Ok(Flow::Go);
        if happened.readable {
            flow = client.read(&self.answers, happened.closed, &mut self.input, &mut self.output);
        } else if happened.writable {
            flow = client.flush(&self.answers, &mut self.output);
        }
        if !matches!(flow, Ok(Flow::Go)) {
            self.clients.remove(happened.key);
        }
    }
}

impl Client {
    fn read(
        &mut self,
        answers: &Answers,
        closed: bool,
        input: &mut [u8],
        output: &mut Vec<u8>,
    ) -> io::Result<Flow> {
        loop {
            let count = match self.socket.read(input) {
                Ok(0) => return Ok(Flow::Close),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if self.session.receive(answers, &input[..count], output) == Flow::Close {
                output.clear();
                return Ok(Flow::Close);
            }
            if self.flush(answers, output)? == Flow::Close {
                return Ok(Flow::Close);
            }
            if count < input.len() && !closed {
                return Ok(Flow::Go);
            }
        }
        // An edge may have brought room as well.
        self.flush(answers, output)
    }

    /// Sends `output` (behind what is unsent) and what streams; `output` is empty afterwards.
    fn flush(&mut self, answers: &Answers, output: &mut Vec<u8>) -> io::Result<Flow> {
        if !self.unsent.is_empty() {
            self.unsent.append(output);
            std::mem::swap(&mut self.unsent, output);
        }
        let mut flow = Flow::Go;
        let mut sent = 0;
        loop {
            let streams = sent == output.len();
            let bytes = if streams {
                self.session.stream(answers)
            } else {
                &output[sent..]
            };
            if bytes.is_empty() || flow == Flow::Close {
                break;
            }
            match self.socket.write(bytes) {
                Ok(count) if streams => {
                    output.clear();
                    sent = 0;
                    flow = self.session.streamed(answers, count, output);
                }
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.clear();
                    self.unsent.extend_from_slice(&output[sent..]);
                    break;
                }
                Err(error) => {
                    output.clear();
                    return Err(error);
                }
            }
        }
        if sent == output.len() {
            self.unsent = Vec::new();
        }
        output.clear();
        Ok(flow)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    }

    impl Running {
        fn start() -> Self {
            let mut server = NullPostgres::bind(([127, 0, 0, 1], 0).into()).unwrap();
            let address = server.address().unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&stop);
            let thread = thread::spawn(move || server.run(&seen).unwrap());
            Self {
                address,
                stop,
                thread: Some(thread),
            }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.stop.store(true, Ordering::Relaxed);
            drop(TcpStream::connect(self.address));
            self.thread.take().map(JoinHandle::join);
        }
    }

    #[test]
    fn a_real_driver_is_content() {
        let server = Running::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = format!(
                "host=127.0.0.1 port={} user=bench dbname=bench sslmode=disable",
                server.address.port()
            );
            let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls)
                .await
                .unwrap();
            let connection = tokio::spawn(connection);
            for (query, want) in [
                ("SELECT id FROM point_a WHERE id = 1", 1),
                ("SELECT id FROM rows100_a WHERE id = 1", 100),
                ("SELECT id FROM stream_20000_a WHERE id = 1", 20_000),
                ("SELECT id FROM stream_0_a", 0),
            ] {
                let rows = client.simple_query(query).await.unwrap();
                let count = rows
                    .iter()
                    .filter(|row| matches!(row, tokio_postgres::SimpleQueryMessage::Row(_)))
                    .count();
                assert_eq!(count, want, "{query}");
                let statement = client.prepare(query).await.unwrap();
                let rows = client.query(&statement, &[]).await.unwrap();
                assert_eq!(rows.len(), want, "{query}");
            }
            let rows = client
                .query("SELECT id FROM rows100_a WHERE login = $1", &[&"x"])
                .await
                .unwrap();
            assert_eq!(rows[7].get::<_, &str>("email"), "u7@ex07.org");
            drop(client);
            connection.await.unwrap().unwrap();
        });
    }

    #[test]
    fn a_slow_reader_gets_all_and_costs_no_memory() {
        let server = Running::start();
        let mut socket = TcpStream::connect(server.address).unwrap();
        let mut wire = Vec::new();
        crate::wire::startup(&mut wire, &[("user", "bench")]);
        crate::wire::frame(&mut wire, b'Q', |out| {
            out.extend_from_slice(b"SELECT 1 FROM stream_400000_a\0");
        });
        // Queued behind the stream, answered after it.
        crate::wire::frame(&mut wire, b'Q', |out| {
            out.extend_from_slice(b"SELECT 1 FROM point_a\0");
        });
        socket.write_all(&wire).unwrap();
        thread::sleep(Duration::from_millis(100));
        let mut reader = crate::reply::ReplyReader::default();
        let mut buffer = vec![0; 100_000];
        let mut rows = Vec::new();
        let mut greeting = Vec::new();
        while !greeting.ends_with(b"Z\0\0\0\x05I") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            greeting.push(byte[0]);
        }
        while rows.len() < 2 {
            let count = socket.read(&mut buffer).unwrap();
            assert!(count > 0);
            let mut chunk = &buffer[..count];
            while !chunk.is_empty() {
                rows.extend(
                    reader
                        .feed(&mut chunk, None)
                        .unwrap()
                        .map(|reply| (reply.rows, reply.rows_told)),
                );
            }
        }
        assert_eq!(rows, [(400_000, 400_000), (1, 1)]);
    }
}
