//! Cases through the gateway.

use sluice_tests::raw::Raw;

use crate::bench::{BEHIND, Bench, database_state, next_transaction, session_state};
use crate::cases::{Body, Case, Login, Protocol, Step};
use crate::script::{Script, end_transaction, pairs, second_session, text};
use crate::talk::{Answer, exchange};
use crate::watch::Watch;

/// Runs cases through the gateway, in one session as long as that holds.
pub(crate) struct Runner<'a> {
    bench: &'a Bench,
    session: Option<Session>,
    /// Looks at each case's doings, and at little.
    glance: Raw,
    /// Looks at everything, and takes its time.
    watch: Watch,
}

struct Session {
    raw: Raw,
    login: Login,
    state: Vec<String>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            session: None,
            glance: second_session(bench, BEHIND),
            watch: Watch::new(bench),
        }
    }

    /// Why an evasion is not denied as it should be; nothing if it is.
    pub(crate) fn denied(&mut self, case: &Case) -> Vec<String> {
        match &case.body {
            Body::Text(sql) => self.by_each_protocol(case, |runner, case, extended| {
                runner.is_denied(case, sql, extended)
            }),
            Body::Pair { harmless, harmful } => {
                self.by_each_protocol(case, |runner, case, extended| {
                    let (mut session, fine) = runner.send(case, harmless, extended)?;
                    let warm = if fine.is_fine() {
                        end_transaction(&mut session.raw);
                        runner.session = Some(session);
                        Ok(())
                    } else {
                        Err(format!("the harmless one: {}", fine.summary()))
                    };
                    // Both are said: the second one may be denied for a reason that denies everything.
                    match (warm, runner.is_denied(case, harmful, extended)) {
                        (Err(warm), Err(denied)) => Err(format!("{warm}; {denied}")),
                        (warm, denied) => warm.and(denied),
                    }
                })
            }
            Body::Script(steps) => self.script(case, steps),
            Body::Startup(parameters) => {
                let parameters: Vec<_> = pairs(parameters);
                match self.bench.through(case.login, &parameters) {
                    Ok(_) => vec!["startup: it is let in".to_owned()],
                    Err(refusal) if refusal.contains("sluice: ") => Vec::new(),
                    Err(refusal) => vec![format!("startup: not refused by the gateway: {refusal}")],
                }
            }
        }
    }

    /// Why a look-alike does not pass; nothing if it does.
    pub(crate) fn passes(&mut self, case: &Case) -> Vec<String> {
        match &case.body {
            Body::Text(sql) => {
                self.by_each_protocol(case, |runner, case, extended| runner.is_fine(case, sql, extended))
            }
            Body::Script(steps) => self.script(case, steps),
            Body::Startup(parameters) => match self.bench.through(case.login, &pairs(parameters)) {
                Ok(_) => Vec::new(),
                Err(refusal) => vec![format!("startup: {refusal}")],
            },
            Body::Pair { .. } => panic!("{case}: a look-alike is no pair"),
        }
    }

    fn by_each_protocol(
        &mut self,
        case: &Case,
        mut run: impl FnMut(&mut Self, &Case, bool) -> Result<(), String>,
    ) -> Vec<String> {
        let protocols: &[(&str, bool)] = match case.protocol {
            Protocol::Simple => &[("simple", false)],
            Protocol::Extended => &[("extended", true)],
            Protocol::Both => &[("simple", false), ("extended", true)],
        };
        let mut failures: Vec<String> = Vec::new();
        for (name, extended) in protocols {
            if let Err(why) = run(self, case, *extended) {
                match failures.last_mut() {
                    Some(first) if first.ends_with(&why) => *first = format!("both: {why}"),
                    _ => failures.push(format!("{name}: {why}")),
                }
            }
        }
        failures
    }

    fn is_denied(&mut self, case: &Case, sql: &str, extended: bool) -> Result<(), String> {
        let before = self.seen();
        let (mut session, answer) = self.send(case, sql, extended)?;
        if answer.status.is_some() {
            end_transaction(&mut session.raw);
        }
        let changed = self.seen() != before;
        if !answer.is_denied() || changed {
            drop(session);
            self.start_anew();
            let what = if changed { "something" } else { "nothing" };
            return Err(format!("{}, and {what} changed", answer.summary()));
        }
        self.goes_on(session)
    }

    fn is_fine(&mut self, case: &Case, sql: &str, extended: bool) -> Result<(), String> {
        let before = self.seen();
        let (mut session, answer) = self.send(case, sql, extended)?;
        if !answer.is_fine() {
            self.session = (answer.status == Some(b'I')).then_some(session);
            return Err(answer.summary());
        }
        end_transaction(&mut session.raw);
        // Plain reading takes no transaction id either.
        if self.seen() != before {
            drop(session);
            self.start_anew();
            return Err("it changes something".to_owned());
        }
        self.goes_on(session)
    }

    /// Keeps a session for the next case if it is what it was.
    fn goes_on(&mut self, mut session: Session) -> Result<(), String> {
        let state = session_state(&mut session.raw);
        if !state.is_fine() {
            return Err(format!("the session does not go on: {}", state.summary()));
        }
        if state.rows != session.state {
            return Err(format!("the session changed: {:?}", state.rows));
        }
        self.session = Some(session);
        Ok(())
    }

    fn send(&mut self, case: &Case, sql: &str, extended: bool) -> Result<(Session, Answer), String> {
        let kept = self
            .session
            .take()
            .filter(|session| session.login == case.login && !case.fresh);
        let mut session = kept.map_or_else(|| self.log_in(case.login), Ok)?;
        let bytes = text(sql, extended);
        let answer = exchange(&mut session.raw, &bytes, 1);
        Ok((session, answer))
    }

    fn log_in(&self, login: Login) -> Result<Session, String> {
        let mut raw = self.bench.through(login, &[])?;
        let state = session_state(&mut raw).rows;
        Ok(Session { raw, login, state })
    }

    fn script(&mut self, case: &Case, steps: &[Step]) -> Vec<String> {
        let before = database_state(&mut self.glance);
        let mut failures = Vec::new();
        match self.bench.through(case.login, &[]) {
            Ok(mut raw) => {
                let own = session_state(&mut raw).rows;
                let mut script = Script::through(self.bench, case.login);
                failures.extend(script.run(&mut raw, steps));
                if script.last.status.is_some() {
                    end_transaction(&mut raw);
                    let state = session_state(&mut raw);
                    if state.rows != own {
                        failures.push(format!(
                            "the session changed: {:?} {}",
                            state.rows,
                            state.summary()
                        ));
                    }
                }
            }
            Err(refusal) => failures.push(refusal),
        }
        if database_state(&mut self.glance) != before {
            failures.push("something changed".to_owned());
        }
        if !failures.is_empty() || case.has_second_session() {
            self.start_anew();
        }
        let failures = failures.join("; ");
        if failures.is_empty() {
            Vec::new()
        } else {
            vec![failures]
        }
    }

    fn seen(&mut self) -> Vec<String> {
        let mut state = database_state(&mut self.glance);
        state.extend(next_transaction(&mut self.glance));
        state
    }

    fn start_anew(&mut self) {
        self.session = None;
        if self.bench.restore(BEHIND) {
            self.watch = Watch::new(self.bench);
            self.glance = second_session(self.bench, BEHIND);
        }
        // What was put back is no change.
        self.watch.changes();
    }

    /// What all cases together have changed that none was seen to change.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.session = None;
        self.watch.changes()
    }
}
