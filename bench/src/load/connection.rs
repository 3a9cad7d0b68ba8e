//! One client connection: logs in, then has one request at a time in flight.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{anyhow, ensure};

use super::link::Link;
use super::login::{Credentials, Login, Progress};
use crate::poll::Happened;
use crate::reply::{Reply, ReplyReader, Sample, Wrong};
use crate::rows::Dice;
use crate::shapes::Shape;
use crate::wire;

/// A connection of the load.
pub struct Connection {
    link: Link,
    stage: Stage,
    reader: ReplyReader,
    dice: Dice,
    /// Counts requests; chooses shape and protocol.
    turn: usize,
    asked_at: Instant,
}

enum Stage {
    Login(Login),
    Ready,
    /// Good-bye is said; what still comes is of no interest.
    Over,
}

/// What an event led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// More is awaited.
    Waiting,
    /// The login is done.
    LoggedIn,
    /// The reply to the request in flight is whole.
    Answered(Reply),
}

impl Connection {
    /// Connects and begins to log in.
    pub fn open(address: SocketAddr, who: &Credentials, number: usize) -> anyhow::Result<Self> {
        let mut link = Link::open(address)?;
        let login = Login::begin(&mut link, who)?;
        Ok(Self {
            link,
            stage: Stage::Login(login),
            reader: ReplyReader::default(),
            dice: Dice::new(number as u64 + 1),
            // Connections begin at different shapes, so that they do not walk in step.
            turn: number * 7,
            asked_at: Instant::now(),
        })
    }

    /// The socket's cover.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// When the request in flight was sent.
    pub fn asked_at(&self) -> Instant {
        self.asked_at
    }

    /// Whether the reply to the request in flight is among those whose rows are compared.
    pub fn is_sampled(&self) -> bool {
        self.turn.is_multiple_of(16) || self.turn % 16 == 1
    }

    /// Prepares all shapes in one pipeline.
    pub fn prepare(&mut self, shapes: &[Shape], out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.clear();
        for shape in shapes {
            shape.parse(out);
        }
        wire::sync(out);
        self.ask(out)
    }

    /// Sends the next request: by turns a Query and an execution of a prepared statement, shape after shape.
    pub fn ask_next(&mut self, shapes: &[Shape], out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.clear();
        self.turn += 1;
        let shape = &shapes[self.turn / 2 % shapes.len()];
        if self.turn.is_multiple_of(2) {
            shape.query(out, &mut self.dice);
        } else {
            shape.execute(out, &mut self.dice);
        }
        self.ask(out)
    }

    /// Sends a Query, the only kind that needs nothing prepared.
    pub fn ask_simple(&mut self, shapes: &[Shape], out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.clear();
        self.turn += 1;
        shapes[self.turn % shapes.len()].query(out, &mut self.dice);
        self.ask(out)
    }

    /// Takes errors with these SQLSTATEs for answers.
    pub fn tolerate(&mut self, sqlstates: &'static [&'static str]) {
        self.reader.tolerate(sqlstates);
    }

    /// Sends a request whose reply ends with one ReadyForQuery.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.asked_at = Instant::now();
        Ok(self.link.send(request)?)
    }

    /// Says good-bye.
    pub fn terminate(&mut self) {
        let mut out = Vec::new();
        wire::terminate(&mut out);
        // Who is gone already needs no good-bye.
        let _ = self.link.send(&out).and_then(|()| self.link.end_tls());
        self.stage = Stage::Over;
    }

    /// Takes what an event brought.
    pub fn on_event(
        &mut self,
        happened: Happened,
        who: &mut Credentials,
        buffer: &mut [u8],
        sample: Sample<'_>,
    ) -> anyhow::Result<Outcome> {
        if happened.writable && !matches!(self.stage, Stage::Over) {
            self.link.flush()?;
        }
        if !happened.readable {
            return Ok(Outcome::Waiting);
        }
        let mut outcome = Outcome::Waiting;
        let open = match &mut self.stage {
            Stage::Over => return Ok(Outcome::Waiting),
            Stage::Login(login) => {
                let mut came = Vec::new();
                let open = self.link.receive(buffer, happened.closed, |chunk| {
                    came.extend_from_slice(chunk);
                    Ok(())
                })?;
                if !came.is_empty() && login.receive(&mut self.link, who, &came)? == Progress::Done {
                    self.stage = Stage::Ready;
                    outcome = Outcome::LoggedIn;
                }
                open
            }
            Stage::Ready => {
                let reader = &mut self.reader;
                self.link.receive(buffer, happened.closed, |mut chunk| {
                    if let Some(reply) = reader.feed(&mut chunk, sample).map_err(wrong)? {
                        outcome = Outcome::Answered(reply);
                    }
                    ensure!(chunk.is_empty(), "{} bytes after the end of a reply", chunk.len());
                    Ok(())
                })?
            }
        };
        ensure!(open, "the connection was closed");
        Ok(outcome)
    }
}

fn wrong(wrong: Wrong) -> anyhow::Error {
    match wrong {
        Wrong::Error(text) => anyhow!("the server answered with an error: {text}"),
        other => anyhow!("wrong reply: {other:?}"),
    }
}
