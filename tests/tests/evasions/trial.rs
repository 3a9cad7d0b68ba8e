//! Cases on the server itself: an evasion has to do something there, a look-alike nothing.

use std::time::Duration;

use sluice_tests::raw::{Raw, query};

use crate::bench::{Bench, TRIAL, database_state, next_transaction, session_state, transaction_state};
use crate::cases::{Body, Case, Login, Protocol, Shows};
use crate::script::{Script, pairs, second_session, text};
use crate::talk::{Answer, exchange};

/// What makes a delay one.
const NOTICEABLE: Duration = Duration::from_millis(150);

/// Tries cases on the server itself.
pub(crate) struct Trial<'a> {
    bench: &'a Bench,
    session: Option<(Login, Raw)>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self { bench, session: None }
    }

    /// Why an evasion is none; nothing if it is one.
    pub(crate) fn is_real(&mut self, case: &Case) -> Option<String> {
        if matches!(case.shows, Shows::Nothing(_)) {
            return None;
        }
        if let Body::Pair { harmless, .. } = &case.body
            && let Err(why) = self.does_nothing(case, harmless)
        {
            return Some(format!("the harmless one: {why}"));
        }
        let (changed, answer) = self.attempt(case);
        let is_real = match &case.shows {
            Shows::Change => changed,
            Shows::Rows(text) => answer.rows.iter().any(|row| row.contains(text)),
            Shows::Delay => answer.took >= NOTICEABLE,
            Shows::End => answer.status.is_none(),
            Shows::Nothing(_) => true,
        };
        (!is_real).then(|| format!("it does nothing: {}", answer.summary()))
    }

    /// Why a look-alike is none; nothing if it is one.
    pub(crate) fn is_harmless(&mut self, case: &Case) -> Option<String> {
        if let Body::Text(sql) = &case.body {
            return self.does_nothing(case, sql).err();
        }
        let (changed, answer) = self.attempt(case);
        (changed || answer.status.is_none()).then(|| format!("it does something: {}", answer.summary()))
    }

    fn does_nothing(&mut self, case: &Case, sql: &str) -> Result<(), String> {
        let (changed, answer) = if case.outside {
            self.outside(case, |raw| exchange(raw, &text(sql, false), 1))
        } else {
            self.inside(case, sql)
        };
        if changed || !answer.is_fine() {
            return Err(format!("it does something: {}", answer.summary()));
        }
        Ok(())
    }

    fn attempt(&mut self, case: &Case) -> (bool, Answer) {
        match &case.body {
            Body::Text(sql) | Body::Pair { harmful: sql, .. } => {
                if case.outside {
                    let extended = case.protocol == Protocol::Extended;
                    self.outside(case, |raw| exchange(raw, &text(sql, extended), 1))
                } else {
                    self.inside(case, sql)
                }
            }
            Body::Script(steps) => {
                let bench = self.bench;
                self.outside(case, |raw| {
                    let mut script = Script::past(bench, TRIAL);
                    script.run(raw, steps);
                    script.last
                })
            }
            Body::Startup(parameters) => {
                let usual = self.bench.direct(case.login, TRIAL, &[]);
                let usual = session_state(&mut usual.expect("a usual session")).rows;
                match self.bench.direct(case.login, TRIAL, &pairs(parameters)) {
                    Ok(mut raw) => {
                        let state = session_state(&mut raw);
                        (state.rows != usual, state)
                    }
                    Err(refusal) => {
                        let error = ("startup".to_owned(), refusal);
                        let answer = Answer {
                            errors: vec![error],
                            ..Answer::default()
                        };
                        (false, answer)
                    }
                }
            }
        }
    }

    /// In a transaction that is rolled back.
    fn inside(&mut self, case: &Case, sql: &str) -> (bool, Answer) {
        let kept = self.session.take();
        let kept = kept.filter(|(login, _)| *login == case.login && !case.fresh);
        let mut raw = kept.map_or_else(|| self.log_in(case.login), |(_, raw)| raw);
        exchange(&mut raw, &query("BEGIN"), 1);
        let before = transaction_state(&mut raw);
        let extended = case.protocol == Protocol::Extended;
        let answer = exchange(&mut raw, &text(sql, extended), 1);
        if answer.status != Some(b'T') {
            return (false, answer);
        }
        let changed = transaction_state(&mut raw) != before;
        exchange(&mut raw, &query("ROLLBACK"), 1);
        exchange(&mut raw, &query("DISCARD ALL"), 1);
        self.session = Some((case.login, raw));
        (changed, answer)
    }

    /// For good, in a database that is thrown away.
    fn outside(&mut self, case: &Case, run: impl FnOnce(&mut Raw) -> Answer) -> (bool, Answer) {
        let mut watch = second_session(self.bench, TRIAL);
        let mut raw = self.log_in(case.login);
        let state = |watch: &mut Raw, raw: &mut Raw| {
            let mut state = database_state(watch);
            if !case.has_second_session() {
                state.extend(next_transaction(watch));
            }
            state.extend(session_state(raw).rows);
            let listening = "SELECT * FROM pg_listening_channels()";
            state.extend(exchange(raw, &query(listening), 1).rows);
            state
        };
        let before = state(&mut watch, &mut raw);
        let answer = run(&mut raw);
        if answer.status == Some(b'T') {
            exchange(&mut raw, &query("COMMIT"), 1);
        }
        let changed = state(&mut watch, &mut raw) != before;
        self.session = None;
        drop(watch);
        drop(raw);
        self.bench.restore(TRIAL);
        (changed, answer)
    }

    fn log_in(&self, login: Login) -> Raw {
        self.bench
            .direct(login, TRIAL, &[])
            .expect("the server lets it in")
    }
}
