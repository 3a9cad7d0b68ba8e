//! The model of the server's states against a real server: random pipelines, good and failing, cut at random places.
//!
//! Each message carries a number that the server sends back in rows, COPY data and errors, so that every attribution of
//! the model is checked by content; and where the model says that the server is idle it is asked. A server is started
//! in a temporary folder; without PostgreSQL the tests fail. `MODEL_CASES` is the number of dialogues, `MODEL_SEED`
//! replays one.

#[path = "model_against_postgres/script.rs"]
mod script;
#[path = "model_against_postgres/server.rs"]
mod server;

use std::collections::HashMap;
use std::env;
use std::io::Write;

use script::{FIRST_NUMBER, Message, Random, Script, TABLES};
use server::{Connection, Next, Server};
use sluice_parsers::postgres::backend::{self, row};
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::postgres::model::{BODY_PREFIX_BYTES, Model, ModelError, Owner, Placed, Role, Sent};

/// How a dialogue ended.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum End {
    /// The server is idle and the connection good.
    Idle,
    /// The server ended the session.
    Fatal,
    /// The model ends the session rather than guess.
    Refused,
}

struct Dialogue<'a> {
    connection: &'a mut Connection,
    model: Model<Message>,
    /// The number of the Bind that each portal is of.
    portals: HashMap<&'static str, u32>,
    returned: Vec<u32>,
    log: Vec<String>,
}

impl Dialogue<'_> {
    fn send(&mut self, message: &Message) -> Result<(), End> {
        let error = match self.model.sent(message.kind, message.clone()) {
            Ok(placed) => {
                self.log.push(format!("> {} {}", message.number, message.text));
                if let Placed::Skipped(message) | Placed::Silent(message) = placed {
                    self.returned.push(message.number);
                }
                // The server may have ended the session while we write.
                let _ = self.connection.socket.write_all(&message.bytes);
                return Ok(());
            }
            Err(error) => error,
        };
        self.log
            .push(format!("> {} {}: {error}", message.number, message.text));
        match error {
            ModelError::InCopyIn { .. } | ModelError::Uncertain { .. } => Err(End::Refused),
            ModelError::Ended => Err(End::Fatal),
            error => self.fail(&format!("{error}")),
        }
    }

    /// Takes one message of the server, if there is one.
    fn receive(&mut self, wait: bool) -> Result<Option<(Role, u32)>, End> {
        let (tag, body) = match self.connection.next(wait) {
            Next::Message { tag, body } => (tag, body),
            Next::Nothing => return Ok(None),
            Next::Closed => return Err(End::Fatal),
        };
        self.log.push(format!(
            "< {} {}",
            char::from(tag),
            String::from_utf8_lossy(&body).escape_debug()
        ));
        let prefix = body.get(..BODY_PREFIX_BYTES).unwrap_or(&body);
        let returned = &mut self.returned;
        let answer = self
            .model
            .received(tag, prefix, |message| returned.push(message.number));
        let mut reply = match answer {
            Ok(reply) => reply,
            Err(error @ ModelError::Ambiguous { .. }) => {
                self.log.push(error.to_string());
                return Err(End::Refused);
            }
            Err(error) => self.fail(&format!("{error}")),
        };
        let (role, statement) = (reply.role, reply.statement);
        let owner = reply.owner.tag().cloned();
        if let Owner::Done(message) = reply.owner {
            self.returned.push(message.number);
        }
        self.check(role, statement, owner.as_ref(), &body);
        if role == Role::Fatal {
            return Err(End::Fatal);
        }
        Ok(Some((role, owner.map_or(0, |owner| owner.number))))
    }

    /// The numbers in the server's answer are the owner's.
    fn check(&mut self, role: Role, statement: u32, owner: Option<&Message>, body: &[u8]) {
        let found = match role {
            Role::Row => numbers_of_row(body),
            Role::CopyData => vec![String::from_utf8_lossy(body).trim().parse().unwrap_or(0)],
            Role::Error => numbers_of_error(body),
            Role::BindComplete => {
                let bind = owner.expect("a Bind");
                self.portals.insert(bind.portal, bind.number);
                return;
            }
            _ => return,
        };
        let Some(&number) = found.first().filter(|&&number| number >= FIRST_NUMBER) else {
            return;
        };
        let Some(owner) = owner else {
            self.fail("a number without an owner")
        };
        let of_portal = self.portals.get(owner.portal);
        let fits = owner.number == number || (owner.kind == Sent::Execute && of_portal == Some(&number));
        // A prepared text carries the number of its Parse.
        let of_parse = owner.kind == Sent::Execute
            && self
                .log
                .iter()
                .any(|line| line.starts_with(&format!("> {number} Parse")));
        if !fits && !of_parse {
            self.fail(&format!("{role:?} of {number} came as of {}", owner.number));
        }
        if let (Role::Row, Sent::Query, Some(&index)) = (role, owner.kind, found.get(1))
            && index != statement
        {
            self.fail(&format!(
                "a row of statement {index} came as of statement {statement}"
            ));
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", self.log.join("\n"));
    }

    /// Where the model says that all is answered, the next thing to come is the answer to a new query.
    fn probe(&mut self, script: &mut Script) -> Result<(), End> {
        let message = script.probe();
        let number = message.number;
        self.send(&message)?;
        loop {
            match self.receive(true)? {
                Some((Role::Notice | Role::Notification | Role::ParameterStatus, _)) => {}
                Some((_, owner)) if owner != number => self.fail("it was not idle"),
                // In a failed transaction the probe fails too.
                Some((Role::ReadyForQuery(_), _)) => return Ok(()),
                Some(_) => {}
                None => self.fail("the server does not answer"),
            }
        }
    }

    fn run(&mut self, script: &mut Script, random: &mut Random) -> Result<(), End> {
        for message in script.messages.clone() {
            self.send(&message)?;
            match random.below(4) {
                // Sent on without looking.
                0 | 1 => {}
                // What has come so far.
                2 => while self.receive(false)?.is_some() {},
                // Wait for something, if something has to come.
                _ if self.model.pending() > 0 && message.kind == Sent::Sync && !self.model.in_copy_in() => {
                    self.receive(true)?;
                }
                _ => {}
            }
            if self.model.is_idle() && random.one_in(4) {
                self.probe(script)?;
            }
        }
        let end = script.end();
        let last = end.last().expect("a query").number;
        for message in &end {
            self.send(message)?;
        }
        loop {
            match self.receive(true)? {
                Some((Role::ReadyForQuery(_), owner)) if owner == last => break,
                Some(_) => {}
                None => self.fail("the server does not answer"),
            }
        }
        if !self.model.is_idle() {
            self.fail(&format!(
                "the server is idle and the model is not: {:?}",
                self.model
            ));
        }
        self.probe(script)
    }
}

fn numbers_of_row(body: &[u8]) -> Vec<u32> {
    let mut fields = row::Fields::parse(body).expect("a row");
    let mut numbers = Vec::new();
    while let Some(place) = fields.next_field().expect("a field") {
        let text = match place {
            row::Place::Value { start, end } => String::from_utf8_lossy(&body[start..end]).into_owned(),
            row::Place::Null => String::new(),
        };
        numbers.push(text.parse().unwrap_or(0));
    }
    numbers
}

/// The number in `invalid input syntax for type integer: "n1000001"`.
fn numbers_of_error(body: &[u8]) -> Vec<u32> {
    let fields = backend::Fields::parse(body).expect("an error");
    let message = String::from_utf8_lossy(fields.message().expect("a message")).into_owned();
    let digits = message
        .split(['"', ' '])
        .filter_map(|word| word.strip_prefix('n')?.parse().ok());
    digits.collect()
}

fn talk(connection: &mut Connection, seed: u64) -> End {
    let mut script = Script::random(seed);
    let mut random = Random::new(seed ^ 0x5eed);
    let log = vec![format!("MODEL_SEED={seed}")];
    let model = Model::new();
    let mut dialogue = Dialogue {
        connection,
        model,
        portals: HashMap::new(),
        returned: Vec::new(),
        log,
    };
    let end = dialogue.run(&mut script, &mut random).err().unwrap_or(End::Idle);
    let rest: Vec<_> = dialogue.model.drain().map(|message| message.number).collect();
    dialogue.returned.extend(rest);
    dialogue.returned.sort_unstable();
    if dialogue.returned.windows(2).any(|pair| pair[0] == pair[1]) {
        dialogue.fail("a tag came back twice");
    }
    if end == End::Idle && dialogue.returned.len() != script.messages.len() {
        dialogue.fail("a tag did not come back");
    }
    end
}

fn prepare(server: &Server) {
    let mut connection = Connection::open(server, &[]);
    let mut bytes = Vec::new();
    encode::query(&mut bytes, TABLES.as_bytes());
    connection.socket.write_all(&bytes).expect("the tables are sent");
    loop {
        match connection.next(true) {
            Next::Message { tag: b'Z', .. } => return,
            Next::Message { tag: b'E', body } => panic!("{}", String::from_utf8_lossy(&body)),
            Next::Message { .. } => {}
            Next::Nothing | Next::Closed => panic!("the tables were not made"),
        }
    }
}

#[test]
fn t11_the_model_never_disagrees_with_the_server() {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let server = Server::start();
    prepare(&server);
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_CASES").unwrap_or(600),
    };
    let cases = seeds.end - seeds.start;
    let mut ends: HashMap<End, u64> = HashMap::new();
    let mut connection = Connection::open(&server, &[]);
    for seed in seeds {
        let end = talk(&mut connection, seed);
        *ends.entry(end).or_default() += 1;
        if end != End::Idle {
            connection = Connection::open(&server, &[]);
        }
    }
    println!("PostgreSQL {}: {ends:?}", server.version);
    // Most dialogues go through; the others break COPY IN, as the generator sometimes means to.
    let idle = ends.get(&End::Idle).copied().unwrap_or(0);
    assert!(cases < 100 || idle * 2 > cases, "{ends:?}");
}

/// `statement_timeout` runs through a run of the extended protocol and strikes at the next message read, even one that
/// is never answered. What the server then does is what the model relies on, or refuses to guess.
#[test]
fn t11_time_outs_strike_at_messages_that_are_not_answered() {
    let server = Server::start();
    let mut clock = Connection::open(&server, &[]);
    // What is sent after the time is up; all that the server says to it; where the model ends the session.
    for (name, late, answer, refused_at) in [
        ("Flush", &[Sent::Flush][..], "E", None),
        (
            "Flush, and all is skipped up to Sync",
            &[Sent::Flush, Sent::Query, Sent::Sync],
            "EZ",
            Some(0),
        ),
        (
            "Query, which may be the Flush before it",
            &[Sent::Query],
            "EZ",
            Some(0),
        ),
        ("Sync", &[Sent::Sync], "EZ", None),
        ("Parse skips", &[Sent::Parse, Sent::Query, Sent::Sync], "EZ", None),
        (
            "CopyData, which skips nothing",
            &[Sent::CopyData, Sent::Parse, Sent::Sync],
            "EZ1Z",
            Some(0),
        ),
        ("CopyDone alone", &[Sent::CopyDone], "EZ", Some(0)),
    ] {
        let mut connection = Connection::open(&server, &[("statement_timeout", "40")]);
        let log = vec![name.to_owned()];
        let model = Model::new();
        let mut dialogue = Dialogue {
            connection: &mut connection,
            model,
            portals: HashMap::new(),
            returned: Vec::new(),
            log,
        };
        let mut script = Script::empty();
        for kind in [Sent::Parse, Sent::Flush] {
            dialogue.send(&script.plain(kind)).expect("it is sent");
        }
        assert_eq!(
            dialogue.receive(true).map(|reply| reply.map(|(role, _)| role)),
            Ok(Some(Role::ParseComplete))
        );
        sleep_on_the_server(&mut clock);
        for &kind in late {
            dialogue.send(&script.plain(kind)).expect("it is sent");
        }
        for (index, expected) in answer.bytes().enumerate() {
            let Next::Message { tag, body } = dialogue.connection.next(true) else {
                panic!("{name}: closed")
            };
            assert_eq!(char::from(tag), char::from(expected), "{name}, answer {index}");
            let answer = dialogue.model.received(tag, &body, drop);
            assert_eq!(
                answer.is_err(),
                refused_at == Some(index),
                "{name}, answer {index}: {answer:?}"
            );
            if answer.is_err() {
                break;
            }
        }
    }
}

/// Waits for longer than the time-out, by another session.
fn sleep_on_the_server(clock: &mut Connection) {
    let mut bytes = Vec::new();
    encode::query(&mut bytes, b"select pg_sleep(0.12)");
    clock.socket.write_all(&bytes).expect("the query is sent");
    while !matches!(clock.next(true), Next::Message { tag: b'Z', .. }) {}
}
