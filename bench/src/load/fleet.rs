//! Many connections on one poller: opened a few at a time, so that no listen queue overflows.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

use super::connection::{Connection, Outcome};
use super::login::Credentials;
use crate::poll::{EVENTS_MAX, Poller, no_events};
use crate::reply::{Reply, Sample};
use crate::shapes::Shape;

/// Logins in flight at most.
const LOGINS_MAX: usize = 32;
const READ_BYTES: usize = 256 << 10;

/// Connections and what serves them.
pub struct Fleet {
    /// Where they go.
    pub address: SocketAddr,
    /// How they log in.
    pub who: Credentials,
    /// The connections; a connection's key is its index.
    pub connections: Vec<Connection>,
    /// Rows of every reply are compared, not of some.
    pub sample_all: bool,
    poller: Poller,
    buffer: Vec<u8>,
    events: [nix::sys::epoll::EpollEvent; EVENTS_MAX],
    /// Requests are put together here.
    pub scratch: Vec<u8>,
}

/// What each new connection does once it is logged in.
#[derive(Clone, Copy)]
pub enum First<'a> {
    /// Nothing.
    Nothing,
    /// Prepares all shapes.
    Prepare(&'a [Shape]),
    /// Asks one query.
    Ask(&'a [Shape]),
}

impl Fleet {
    /// A fleet without connections.
    pub fn new(address: SocketAddr, who: Credentials) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            who,
            connections: Vec::new(),
            sample_all: false,
            poller: Poller::new()?,
            buffer: vec![0; READ_BYTES],
            events: no_events(),
            scratch: Vec::new(),
        })
    }

    /// Opens connections until there are `count`, logged in, with `first` done.
    pub fn open(&mut self, count: usize, first: First<'_>) -> anyhow::Result<()> {
        let mut ready = 0;
        while ready < count {
            while self.connections.len() < count && self.connections.len() - ready < LOGINS_MAX {
                let number = self.connections.len();
                let connection = self
                    .connect(number)
                    .with_context(|| format!("connection {number}"))?;
                self.connections.push(connection);
            }
            let mut done = 0;
            self.turn(None, |fleet, key, outcome| {
                let connection = &mut fleet.connections[key];
                match (outcome, first) {
                    (Outcome::LoggedIn, First::Prepare(shapes)) => {
                        connection.prepare(shapes, &mut fleet.scratch)?;
                    }
                    (Outcome::LoggedIn, First::Ask(shapes)) => {
                        connection.ask_simple(shapes, &mut fleet.scratch)?;
                    }
                    (Outcome::Answered(reply), First::Prepare(shapes)) => {
                        ensure!(reply.parsed == shapes.len() as u64, "prepared {}", reply.parsed);
                        done += 1;
                    }
                    (Outcome::LoggedIn, First::Nothing) | (Outcome::Answered(_), _) => done += 1,
                    (Outcome::Waiting, _) => {}
                }
                Ok(())
            })
            .with_context(|| format!("while opening connections, {ready} of {count} done"))?;
            ready += done;
        }
        Ok(())
    }

    /// Opens the connection with number `number`.
    pub fn connect(&self, number: usize) -> anyhow::Result<Connection> {
        let connection = Connection::open(self.address, &self.who, number)?;
        self.poller.add_edge(connection.link().socket(), number)?;
        Ok(connection)
    }

    /// Waits once for events and hands on what they led to.
    ///
    /// Rows of replies are compared with `sample` at the connections' sampled turns.
    pub fn turn(
        &mut self,
        sample: Sample<'_>,
        mut then: impl FnMut(&mut Self, usize, Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut events = self.events;
        for happened in self.poller.wait(&mut events)? {
            let Some(connection) = self.connections.get_mut(happened.key) else {
                continue;
            };
            let sample = sample.filter(|_| self.sample_all || connection.is_sampled());
            let outcome = connection.on_event(happened, &mut self.who, &mut self.buffer, sample)?;
            if outcome != Outcome::Waiting {
                then(self, happened.key, outcome)?;
            }
        }
        Ok(())
    }

    /// Says good-bye on all connections.
    pub fn close(&mut self) {
        self.connections.iter_mut().for_each(Connection::terminate);
        self.connections.clear();
    }
}

/// Checks a reply's row counts.
pub fn expect_rows(reply: &Reply, rows: u64) -> anyhow::Result<()> {
    ensure!(
        reply.rows == rows && reply.rows_told == rows,
        "a reply of {} rows that tells of {} where {rows} were due",
        reply.rows,
        reply.rows_told
    );
    Ok(())
}
