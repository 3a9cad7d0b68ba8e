//! Steps and texts of a case, turned into messages.

use sluice_tests::raw::{Raw, bind, execute, parse, query, sync};

use crate::bench::{BEHIND, Bench, scratch};
use crate::cases::{Login, Step};
use crate::talk::{Answer, exchange};

/// A script on its way.
pub(crate) struct Script<'a> {
    bench: &'a Bench,
    /// Whose session it is, if it goes through the gateway.
    through: Option<Login>,
    other: Raw,
    waiting: Vec<u8>,
    ready: usize,
    pub(crate) last: Answer,
}

impl<'a> Script<'a> {
    pub(crate) fn through(bench: &'a Bench, login: Login) -> Self {
        Self {
            through: Some(login),
            ..Self::past(bench, BEHIND)
        }
    }

    /// A script for a session past the gateway.
    pub(crate) fn past(bench: &'a Bench, database: &str) -> Self {
        Self {
            bench,
            through: None,
            other: second_session(bench, database),
            waiting: Vec::new(),
            ready: 0,
            last: Answer {
                status: Some(b'I'),
                ..Answer::default()
            },
        }
    }

    /// Runs all steps; gives what was not as it was to be.
    pub(crate) fn run(&mut self, raw: &mut Raw, steps: &[Step]) -> Vec<String> {
        let mut failures = Vec::new();
        for step in steps {
            let holds = match step {
                Step::Queue(message) => {
                    self.ready += usize::from(message.is_answered());
                    let bytes = message.encode(|kind, name| self.oid(kind, name));
                    self.waiting.extend(bytes);
                    true
                }
                Step::Send => {
                    self.last = exchange(raw, &std::mem::take(&mut self.waiting), self.ready);
                    self.ready = 0;
                    true
                }
                Step::Direct(sql) => {
                    failures.extend(self.direct(sql));
                    true
                }
                Step::Denied => self.last.is_denied(),
                Step::Passes => self.last.is_fine(),
                Step::Fails(code) => self.last.errors.iter().any(|(state, _)| state == code),
            };
            if !holds {
                failures.push(format!("{step:?}: {}", self.last.summary()));
            }
            if self.last.status.is_none() {
                break;
            }
        }
        failures
    }

    /// A statement of the second session, and what is wrong with it. The gateway knows of its DDL before the next step.
    fn direct(&mut self, sql: &str) -> Option<String> {
        let is_ddl = ["CREATE", "ALTER", "DROP"]
            .iter()
            .any(|word| sql.starts_with(word));
        if !is_ddl {
            let answer = exchange(&mut self.other, &query(sql), 1);
            return (!answer.is_fine()).then(|| format!("{sql}: {}", answer.summary()));
        }
        let timed = format!("{sql}; SELECT clock_timestamp()");
        let answer = exchange(&mut self.other, &query(&timed), 1);
        match (&self.through, answer.rows.last()) {
            _ if !answer.is_fine() => Some(format!("{sql}: {}", answer.summary())),
            (Some(login), Some(moment)) => {
                self.bench.catalog_is_known(*login, moment);
                None
            }
            _ => None,
        }
    }

    fn oid(&mut self, kind: &str, name: &str) -> u32 {
        let sql = format!("SELECT '{name}'::{kind}::oid");
        let answer = exchange(&mut self.other, &query(&sql), 1);
        let oid = answer.rows.first().and_then(|row| row.parse().ok());
        oid.unwrap_or_else(|| panic!("{sql}: {} ({})", answer.summary(), self.bench.postgres.port()))
    }
}

/// A second session, past the gateway.
pub(crate) fn second_session(bench: &Bench, database: &str) -> Raw {
    bench
        .direct(Login::Superuser, database, &[])
        .expect("a second session")
}

/// What a case may leave behind for the next one.
pub(crate) fn end_transaction(raw: &mut Raw) {
    exchange(raw, &query("ROLLBACK; DEALLOCATE ALL"), 1);
}

/// A text as it is sent by the simple or the extended protocol.
pub(crate) fn text(sql: &str, extended: bool) -> Vec<u8> {
    let sql = sql.replace("{scratch}", &scratch().to_string_lossy());
    if extended {
        [parse("", &sql), bind("", ""), execute(""), sync()].concat()
    } else {
        query(&sql)
    }
}

/// Parameters as a startup packet takes them.
pub(crate) fn pairs(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = parameters.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}
