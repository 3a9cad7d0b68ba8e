//! How a case is run through the gateway, and how it is seen without one what it does.

use std::time::Duration;

use sluice_tests::raw::{self, Raw, bind, execute, parse, query, sync};

use crate::bench::{
    BEHIND, Bench, TRIAL, database_state, next_transaction, scratch, session_state, transaction_state,
};
use crate::cases::{Body, Case, Login, Message, Protocol, Shows, Step};
use crate::talk::{Answer, exchange};

/// What makes a delay one.
const NOTICEABLE: Duration = Duration::from_millis(150);

/// Runs cases through the gateway, in one session as long as that holds.
pub(crate) struct Runner<'a> {
    bench: &'a Bench,
    session: Option<Session>,
    watch: Raw,
}

struct Session {
    raw: Raw,
    login: Login,
    state: Vec<String>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        let watch = watch(bench, BEHIND);
        Self {
            bench,
            session: None,
            watch,
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
            let but = if changed {
                "and something changed"
            } else {
                "and nothing changed"
            };
            return Err(format!("{}, {but}", answer.summary()));
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
        // Plain reading moves no transaction id either.
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
        let before = database_state(&mut self.watch);
        let mut failures = Vec::new();
        match self.bench.through(case.login, &[]) {
            Ok(mut raw) => {
                let own = session_state(&mut raw).rows;
                let mut script = Script::new(self.bench, BEHIND);
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
        if database_state(&mut self.watch) != before {
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
        let mut state = database_state(&mut self.watch);
        state.extend(next_transaction(&mut self.watch));
        state
    }

    fn start_anew(&mut self) {
        self.session = None;
        self.bench.restore(BEHIND);
        self.watch = watch(self.bench, BEHIND);
    }
}

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
        match &case.body {
            Body::Text(sql) => self.does_nothing(case, sql).err(),
            _ => {
                let (changed, answer) = self.attempt(case);
                (changed || answer.status.is_none())
                    .then(|| format!("it does something: {}", answer.summary()))
            }
        }
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
                    let mut script = Script::new(bench, TRIAL);
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
        let mut watch = watch(self.bench, TRIAL);
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

/// A script on its way.
struct Script<'a> {
    bench: &'a Bench,
    other: Raw,
    waiting: Vec<u8>,
    ready: usize,
    last: Answer,
}

impl<'a> Script<'a> {
    fn new(bench: &'a Bench, database: &str) -> Self {
        Self {
            bench,
            other: watch(bench, database),
            waiting: Vec::new(),
            ready: 0,
            last: Answer {
                status: Some(b'I'),
                ..Answer::default()
            },
        }
    }

    /// Runs all steps; gives what was not as it was to be.
    fn run(&mut self, raw: &mut Raw, steps: &[Step]) -> Vec<String> {
        let mut failures = Vec::new();
        for step in steps {
            let holds = match step {
                Step::Queue(message) => {
                    self.ready += usize::from(message.is_answered());
                    let bytes = self.encode(message);
                    self.waiting.extend(bytes);
                    true
                }
                Step::Send => {
                    self.last = exchange(raw, &std::mem::take(&mut self.waiting), self.ready);
                    self.ready = 0;
                    true
                }
                Step::Direct(sql) => {
                    let answer = exchange(&mut self.other, &query(sql), 1);
                    if !answer.is_fine() {
                        failures.push(format!("{sql}: {}", answer.summary()));
                    }
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

    fn encode(&mut self, message: &Message) -> Vec<u8> {
        fn texts(values: &[String]) -> Vec<&str> {
            values.iter().map(String::as_str).collect()
        }
        match message {
            Message::Query(sql) => query(sql),
            Message::Parse { name, types, sql } => {
                let types: Vec<u32> = types.iter().map(|name| self.oid("regtype", name)).collect();
                raw::parse_with(name, sql, &types)
            }
            Message::Bind {
                portal,
                statement,
                values,
            } => raw::bind_with(portal, statement, &texts(values)),
            Message::Describe { kind, name } => raw::describe(*kind, name),
            Message::Execute(portal) => execute(portal),
            Message::Close { kind, name } => raw::close(*kind, name),
            Message::Sync => sync(),
            Message::Call { function, arguments } => {
                raw::call(self.oid("regprocedure", function), &texts(arguments))
            }
        }
    }

    fn oid(&mut self, kind: &str, name: &str) -> u32 {
        let sql = format!("SELECT '{name}'::{kind}::oid");
        let answer = exchange(&mut self.other, &query(&sql), 1);
        let oid = answer.rows.first().and_then(|row| row.parse().ok());
        oid.unwrap_or_else(|| panic!("{sql}: {} ({})", answer.summary(), self.bench.postgres.port()))
    }
}

impl Message {
    /// Whether ReadyForQuery follows it.
    fn is_answered(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Sync | Self::Call { .. })
    }
}

fn watch(bench: &Bench, database: &str) -> Raw {
    bench
        .direct(Login::Superuser, database, &[])
        .expect("a second session")
}

/// What a case may leave behind for the next one.
fn end_transaction(raw: &mut Raw) {
    exchange(raw, &query("ROLLBACK; DEALLOCATE ALL"), 1);
}

fn text(sql: &str, extended: bool) -> Vec<u8> {
    let sql = sql.replace("{scratch}", &scratch().to_string_lossy());
    if extended {
        [parse("", &sql), bind("", ""), execute(""), sync()].concat()
    } else {
        query(&sql)
    }
}

fn pairs(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = parameters.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}
