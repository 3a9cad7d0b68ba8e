//! A hostile neighbour: a connection that sends one chain after the other while somebody else is measured.
//!
//! It has a thread of its own, so that what is measured does not wait for its writes, only for its share of the CPU.
//! Being refused is an answer to them; any other error, or none of both, fails the run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{anyhow, ensure};

use super::connection::Outcome;
use super::fleet::{First, Fleet};
use super::login::Credentials;
use crate::chains::Chain;

/// How many there are.
pub const NEIGHBOURS: usize = 1;

/// How a gateway refuses a statement: by policy, or because it is too long or too complex.
const REFUSALS: &[&str] = &["42501", "54000", "54001"];

/// What they got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Got {
    /// Chains with an answer, refusals among them.
    pub answered: u64,
    /// Chains that were refused.
    pub refused: u64,
    /// From the first chain sent to the last answer.
    pub seconds: f64,
}

/// Neighbours at work.
pub struct Neighbours {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Got>>,
}

impl Neighbours {
    /// Logs in, and begins to send `chains` in turns, each connection from another one on.
    pub fn start(address: SocketAddr, who: Credentials, chains: Vec<Chain>) -> anyhow::Result<Self> {
        let mut fleet = Fleet::new(address, who)?;
        fleet.open(NEIGHBOURS, First::Nothing)?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || send(&mut fleet, &chains, &seen));
        Ok(Self { stop, thread })
    }

    /// Lets them have the answers that are still out, and tells what they got.
    pub fn stop(self) -> anyhow::Result<Got> {
        self.stop.store(true, Ordering::Relaxed);
        let got = self
            .thread
            .join()
            .map_err(|_| anyhow!("the neighbours' thread panicked"))?
            .map_err(|error| error.context("a neighbour"))?;
        ensure!(got.answered > 0, "no neighbour got an answer");
        Ok(got)
    }
}

fn send(fleet: &mut Fleet, chains: &[Chain], stop: &AtomicBool) -> anyhow::Result<Got> {
    ensure!(!chains.is_empty(), "nothing to send");
    let start = Instant::now();
    let mut turns = [0; NEIGHBOURS];
    for (key, connection) in fleet.connections.iter_mut().enumerate() {
        turns[key] = key * chains.len() / NEIGHBOURS;
        connection.tolerate(REFUSALS);
        connection.ask(&chains[turns[key]].query)?;
    }
    let mut got = Got::default();
    let mut in_flight = fleet.connections.len();
    while in_flight > 0 {
        fleet.turn(None, |fleet, key, outcome| {
            let Outcome::Answered(reply) = outcome else {
                return Ok(());
            };
            got.answered += 1;
            got.refused += reply.refusals;
            if stop.load(Ordering::Relaxed) {
                in_flight -= 1;
                return Ok(());
            }
            turns[key] = (turns[key] + 1) % chains.len();
            fleet.connections[key].ask(&chains[turns[key]].query)
        })?;
    }
    got.seconds = start.elapsed().as_secs_f64();
    fleet.close();
    Ok(got)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::chains::chains;
    use crate::load::scram::SaltedPasswords;
    use crate::null_postgres::NullPostgres;
    use crate::wire;

    /// Sends `chains` to a null back end for a moment.
    fn visit(chains: Vec<Chain>) -> anyhow::Result<Got> {
        let mut server = NullPostgres::bind(([127, 0, 0, 1], 0).into())?;
        let address = server.address()?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || server.run(&seen));
        let who = Credentials {
            user: "bench".into(),
            database: "bench".into(),
            password: String::new(),
            tls: None,
            salted: SaltedPasswords::default(),
            logins: 0,
        };
        let neighbours = Neighbours::start(address, who, chains)?;
        thread::sleep(Duration::from_millis(20));
        let got = neighbours.stop();
        stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        thread
            .join()
            .map_err(|_| anyhow!("the null back end panicked"))??;
        got
    }

    #[test]
    fn every_neighbour_is_answered() {
        let got = visit(chains(100_000)).unwrap();
        assert!(got.answered >= NEIGHBOURS as u64 && got.refused == 0, "{got:?}");
    }

    #[test]
    fn an_error_that_is_no_refusal_fails_the_run() {
        let mut query = Vec::new();
        wire::frame(&mut query, b'Q', |out| {
            out.extend_from_slice(b"\nSHOW sluice_refused\0");
        });
        let error = visit(vec![Chain { name: "none", query }]).unwrap_err();
        assert!(format!("{error:#}").contains("42704"), "{error:#}");
    }
}
