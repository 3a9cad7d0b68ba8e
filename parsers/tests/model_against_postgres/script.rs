//! Random dialogues: messages that succeed and fail, each with a number of its own that comes back in its rows.

use sluice_parsers::postgres::Sent;
use sluice_parsers::postgres::frontend::{Target, encode};

/// Numbers of messages begin here, so that nothing else in a row is taken for one.
pub(crate) const FIRST_NUMBER: u32 = 1_000_000;

/// One message and what it should do.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) number: u32,
    pub(crate) kind: Sent,
    pub(crate) bytes: Vec<u8>,
    /// The portal that a Bind makes or an Execute runs.
    pub(crate) portal: &'static str,
    pub(crate) text: String,
}

/// xorshift64*: the same seed gives the same dialogue.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(value).unwrap() % limit
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// What the dialogues work on. `late` has a constraint that fails at the commit, `stop` a trigger that fails a COPY
/// before it reads, `echo` a rule by which one statement has more than one set of rows.
pub(crate) const TABLES: &str = "
    create table plain (v int4);
    create table late (v int4 primary key deferrable initially deferred);
    insert into late values (1);
    create table stop (v int4);
    create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'stopped'; end $$;
    create trigger stop before insert on stop for each statement execute function refuse();
    create table echo (v int4);
    create rule echo as on insert to echo do also select v, 0 from generate_series(1, 2) v;
    create table after_each (v int4);
    create trigger after_each after insert on after_each for each row execute function refuse();
";

const QUERIES: &[&str] = &[
    "select N, 0",
    "select N, 0; select N, 1; ; select N, 2",
    "select N, 0 from generate_series(1, 3)",
    "",
    " ; ",
    "-- nothing",
    "selekt",
    "select 'nN'::int4",
    "select N, 0; select 'nN'::int4; select N, 2",
    "begin",
    "commit",
    "rollback",
    "begin; select N, 1; commit",
    "savepoint a; rollback to savepoint a",
    "insert into late values (1)",
    "begin; insert into late values (1); select N, 2; commit; select N, 4",
    "insert into echo values (7)",
    "do $$ begin raise notice 'nN'; end $$",
    "listen c; notify c, 'x'; select N, 2",
    "set application_name = 'aN'; select N, 1",
    "explain select 1",
    "copy (select N from generate_series(1, 3)) to stdout",
    "select N, 0; copy (select N from generate_series(1, 3)) to stdout; select N, 2",
    "copy (select 'nN'::int4) to stdout",
    "declare k cursor with hold for select N, 1; fetch 1 from k; close k",
    "prepare q as select N, 1; execute q; deallocate q",
    "truncate plain",
    "select from plain limit 1",
    "vacuum plain",
];

const COPIES: &[&str] = &[
    "copy plain from stdin",
    "copy plain from stdin; select N, 1",
    "select N, 0; copy plain from stdin; copy plain from stdin",
    "copy stop from stdin",
    "copy after_each from stdin",
    "copy plain from stdin where v / 0 = 1",
    "copy missing from stdin",
    "copy plain from stdin; selekt",
    "copy plain from stdin; select 'nN'::int4",
];

const STATEMENTS: &[&str] = &[
    "select $1::int4, 0",
    "select $1::int4, 0 from generate_series(1, 3)",
    "select $1::text::int4, 0",
    "select N, 0",
    "",
    "selekt",
    "insert into late values (1)",
    "insert into plain values ($1) returning v, 0",
    "copy (select 5) to stdout",
    "commit",
    "begin",
    "select $1::int4, 0; select 2",
    "explain select 1",
    "do $$ begin raise exception 'nN'; end $$",
];

const EXTENDED_COPIES: &[&str] = &[
    "copy plain from stdin",
    "copy stop from stdin",
    "copy after_each from stdin",
    "copy missing from stdin",
];

const NAMES: &[&str] = &["", "", "s0", "s1"];
const PORTALS: &[&str] = &["", "", "p0"];

/// The generator of one dialogue.
pub(crate) struct Script {
    random: Random,
    next_number: u32,
    pub(crate) messages: Vec<Message>,
}

impl Script {
    pub(crate) fn random(seed: u64) -> Self {
        let mut this = Self {
            random: Random::new(seed),
            next_number: FIRST_NUMBER,
            messages: Vec::new(),
        };
        let length = 1 + this.random.below(24);
        while this.messages.len() < length {
            this.step();
        }
        this
    }

    /// A dialogue to be put together by [`Script::plain`].
    pub(crate) fn empty() -> Self {
        Self {
            random: Random::new(0),
            next_number: FIRST_NUMBER,
            messages: Vec::new(),
        }
    }

    /// A message of that kind that does not fail.
    pub(crate) fn plain(&mut self, kind: Sent) -> Message {
        match kind {
            Sent::Query => self.query("select N, 0"),
            Sent::Parse => self.parse_named("", "select 1"),
            Sent::CopyData => self.copy_data(),
            Sent::CopyDone | Sent::CopyFail => self.copy_end(kind),
            Sent::Flush | Sent::Sync => self.bodyless(kind),
            kind => unreachable!("{kind:?} is not asked for"),
        }
        self.messages.last().cloned().expect("it was just made")
    }

    /// The end of a dialogue: whatever state the server is in, it is idle afterwards.
    pub(crate) fn end(&mut self) -> Vec<Message> {
        let begin = self.messages.len();
        self.copy_end(Sent::CopyFail);
        self.bodyless(Sent::Sync);
        self.query("rollback; deallocate all; truncate plain, echo; select N, 3");
        self.messages[begin..].to_vec()
    }

    /// A query that tells where the dialogue stands.
    pub(crate) fn probe(&mut self) -> Message {
        self.query("select N, 0");
        self.messages.last().cloned().expect("it was just made")
    }

    pub(crate) fn query(&mut self, text: &str) {
        let text = self.numbered(text);
        let mut bytes = Vec::new();
        encode::query(&mut bytes, text.as_bytes());
        self.push(Sent::Query, bytes, "", format!("Query {text}"));
    }

    fn numbered(&self, text: &str) -> String {
        text.replace('N', &self.next_number.to_string())
    }

    fn push(&mut self, kind: Sent, bytes: Vec<u8>, portal: &'static str, text: String) {
        self.messages.push(Message {
            number: self.next_number,
            kind,
            bytes,
            portal,
            text,
        });
        self.next_number += 1;
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0..=3 => {
                let text = self.random.pick(QUERIES);
                self.query(text);
            }
            4 | 5 => {
                let text = self.random.pick(COPIES);
                self.query(text);
                self.copy_run();
            }
            6..=8 => self.parse_bind_execute(),
            9 => self.extended_copy(),
            10 => {
                let text = self.random.pick(STATEMENTS);
                self.parse(text);
            }
            11 => self.bind(),
            12 => self.describe(),
            13 | 14 => self.execute(),
            15 => self.close(),
            16 => self.bodyless(Sent::Flush),
            17..=20 => self.bodyless(Sent::Sync),
            21 => self.function_call(),
            22 if self.random.one_in(2) => self.copy_data(),
            22 => self.copy_end(Sent::CopyDone),
            _ => self.copy_end(Sent::CopyFail),
        }
    }

    fn parse(&mut self, text: &str) {
        let name = self.random.pick(NAMES);
        self.parse_named(name, text);
    }

    fn parse_named(&mut self, name: &str, text: &str) {
        let text = self.numbered(text);
        let mut bytes = Vec::new();
        encode::parse(&mut bytes, name.as_bytes(), text.as_bytes(), &[]);
        self.push(Sent::Parse, bytes, "", format!("Parse {name:?} {text}"));
    }

    fn bind(&mut self) {
        let (name, portal) = (self.random.pick(NAMES), self.random.pick(PORTALS));
        let parameters = match self.random.below(8) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        self.bind_named(name, portal, parameters);
    }

    fn bind_named(&mut self, name: &str, portal: &'static str, parameters: usize) {
        let value = match self.random.below(6) {
            0 => self.numbered("nN"),
            _ => self.numbered("N"),
        };
        let mut bytes = Vec::new();
        encode::bind(
            &mut bytes,
            portal.as_bytes(),
            name.as_bytes(),
            &vec![Some(value.as_bytes()); parameters],
        );
        self.push(
            Sent::Bind,
            bytes,
            portal,
            format!("Bind {portal:?} {name:?} {parameters} x {value}"),
        );
    }

    fn describe(&mut self) {
        let mut bytes = Vec::new();
        if self.random.one_in(2) {
            let name = self.random.pick(NAMES);
            encode::describe(&mut bytes, Target::Statement(name.as_bytes()));
            self.push(
                Sent::DescribeStatement,
                bytes,
                "",
                format!("Describe statement {name:?}"),
            );
        } else {
            let name = self.random.pick(PORTALS);
            encode::describe(&mut bytes, Target::Portal(name.as_bytes()));
            self.push(
                Sent::DescribePortal,
                bytes,
                "",
                format!("Describe portal {name:?}"),
            );
        }
    }

    fn execute(&mut self) {
        let portal = self.random.pick(PORTALS);
        self.execute_named(portal);
    }

    fn execute_named(&mut self, portal: &'static str) {
        let rows_max = [0, 0, 1, 2][self.random.below(4)];
        let mut bytes = Vec::new();
        encode::execute(&mut bytes, portal.as_bytes(), rows_max);
        self.push(
            Sent::Execute,
            bytes,
            portal,
            format!("Execute {portal:?} {rows_max}"),
        );
    }

    fn close(&mut self) {
        let name = self.random.pick(NAMES);
        let mut bytes = Vec::new();
        encode::close(&mut bytes, Target::Statement(name.as_bytes()));
        self.push(Sent::Close, bytes, "", format!("Close {name:?}"));
    }

    fn parse_bind_execute(&mut self) {
        let text = self.random.pick(STATEMENTS);
        let (name, portal) = (self.random.pick(NAMES), self.random.pick(PORTALS));
        self.parse_named(name, text);
        if self.random.one_in(4) {
            self.describe();
        }
        self.bind_named(name, portal, text.matches("$1").count().min(1));
        if self.random.one_in(4) {
            self.bodyless(Sent::Flush);
        }
        self.execute_named(portal);
        if self.random.one_in(3) {
            self.execute_named(portal);
        }
        if !self.random.one_in(3) {
            self.bodyless(Sent::Sync);
        }
    }

    fn extended_copy(&mut self) {
        let text = self.random.pick(EXTENDED_COPIES);
        self.parse_named("", text);
        self.bind_named("", "", 0);
        self.execute_named("");
        if self.random.one_in(2) {
            self.bodyless(Sent::Sync);
        }
        self.copy_run();
        if !self.random.one_in(6) {
            self.bodyless(Sent::Sync);
        }
    }

    /// What a client streams into a COPY, mostly well.
    fn copy_run(&mut self) {
        for _ in 0..self.random.below(4) {
            match self.random.below(6) {
                0 => self.bodyless(Sent::Flush),
                1 => self.bodyless(Sent::Sync),
                _ => self.copy_data(),
            }
        }
        match self.random.below(10) {
            0 => {}
            1 | 2 => self.copy_end(Sent::CopyFail),
            _ => self.copy_end(Sent::CopyDone),
        }
    }

    fn copy_data(&mut self) {
        let data = self.random.pick(&["1\n", "2\n3\n", "x\n", "4", "", "\\.\n"]);
        let mut bytes = Vec::new();
        encode::copy_data(&mut bytes, data.as_bytes());
        self.push(Sent::CopyData, bytes, "", format!("CopyData {data:?}"));
    }

    fn copy_end(&mut self, kind: Sent) {
        let mut bytes = Vec::new();
        match kind {
            Sent::CopyDone => encode::copy_done(&mut bytes),
            _ => encode::copy_fail(&mut bytes, b"given up"),
        }
        self.push(kind, bytes, "", format!("{kind:?}"));
    }

    fn bodyless(&mut self, kind: Sent) {
        let mut bytes = Vec::new();
        match kind {
            Sent::Sync => encode::sync(&mut bytes),
            _ => encode::flush(&mut bytes),
        }
        self.push(kind, bytes, "", format!("{kind:?}"));
    }

    fn function_call(&mut self) {
        // Without arguments: 870 is lower(text), which wants one; 274 is timeofday(); 0 does not exist.
        let function = [274, 870, 0][self.random.below(3)];
        let mut bytes = Vec::new();
        encode::function_call(&mut bytes, function);
        self.push(Sent::FunctionCall, bytes, "", format!("FunctionCall {function}"));
    }
}
