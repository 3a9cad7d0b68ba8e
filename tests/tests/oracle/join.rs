//! Which lines of the server's log belong to which statement of the record.
//!
//! A client's sessions carry a name that both sides know, and run one after the other; the server logs each when it
//! begins. Within a session both sides keep the order, and a text is on both.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::audit_log::{AuditLine, Entry, FUNCTION_CALL, What};
use crate::effect_line::{self, EffectLine};
use crate::setup::CLIENT;

/// How many recorded messages may stand between one that the server logged and the next: those that failed to parse.
const UNLOGGED_MAX: usize = 500;

/// Deferred triggers run when a transaction ends, a cursor's functions when it is read.
const BRINGS_EARLIER: &[&str] = &[
    "COMMIT",
    "PREPARE TRANSACTION",
    "SET CONSTRAINTS",
    "FETCH",
    "MOVE",
    "CLOSE CURSOR",
];

/// A message of a client: one statement, or several of one Query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// The client's name.
    pub(crate) application: String,
    pub(crate) text: String,
    /// It came in a Query.
    is_simple: bool,
    pub(crate) effects: Vec<EffectLine>,
    /// No effect was left out of the record.
    pub(crate) is_whole: bool,
    /// Why it is opaque, if it is.
    pub(crate) reason: String,
    /// What pgaudit saw of it.
    pub(crate) lines: Vec<AuditLine>,
    /// Effects of the transaction's earlier statements, if they can come true in this one.
    pub(crate) earlier: Vec<EffectLine>,
}

impl Run {
    /// Whether a line tells of something that runs inside of the statement.
    pub(crate) fn is_inner(&self, line: &AuditLine) -> bool {
        trimmed(&line.text) != trimmed(&self.text)
    }
}

/// The record and the log together.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) runs: Vec<Run>,
    /// Lines of no recorded statement, with the client's name.
    pub(crate) strays: Vec<(String, AuditLine)>,
}

pub(crate) fn join(records: &[Value], log: &[Entry]) -> Joined {
    let mut recorded = recorded(records);
    let mut joined = Joined::default();
    for (application, sessions) in logged(log) {
        let runs = recorded.remove(application).unwrap_or_default();
        let mut runs = runs.into_iter();
        for entries in sessions {
            let mut session = Session::new(runs.next().unwrap_or_default());
            for what in entries {
                session.take(what);
            }
            session.release();
            let strays = session
                .strays
                .into_iter()
                .map(|line| (application.to_owned(), line));
            joined.strays.extend(strays);
            joined.runs.extend(session.runs);
        }
    }
    joined
}

/// The messages of each client's sessions, in order.
fn recorded(records: &[Value]) -> BTreeMap<String, Vec<Vec<Run>>> {
    let of_kind = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
    let mut statements: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in of_kind("statement") {
        let session = record["session"].as_str().unwrap_or_default();
        statements.entry(session).or_default().push(record);
    }
    let mut applications: BTreeMap<String, Vec<Vec<Run>>> = BTreeMap::new();
    for start in of_kind("session_start") {
        let text = |name: &str| start[name].as_str().unwrap_or_default();
        let Some(application) = text("application_name").strip_prefix(CLIENT) else {
            continue;
        };
        let mut statements = statements.remove(text("session")).unwrap_or_default();
        // The record's own order is that of ends.
        statements.sort_by_key(|statement| statement["statement"].as_u64());
        let runs = runs(application, &statements);
        applications.entry(application.to_owned()).or_default().push(runs);
    }
    applications
}

/// A session's statements, those of one message together.
fn runs(application: &str, statements: &[&Value]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for statement in statements {
        let text = |name: &str| statement[name].as_str().unwrap_or_default();
        if statement["part"].as_u64().is_none_or(|part| part == 0) || runs.is_empty() {
            runs.push(Run {
                application: application.to_owned(),
                is_simple: text("protocol") == "simple",
                is_whole: true,
                ..Run::default()
            });
        }
        let run = runs.last_mut().expect("there is one");
        run.text.push_str(text("text"));
        let lines = statement["effects"].as_array().into_iter().flatten();
        let (effects, is_whole) = effect_line::read(lines.filter_map(Value::as_str));
        run.is_whole &= is_whole;
        if run.reason.is_empty() && effects.iter().any(EffectLine::is_opaque) {
            text("message").clone_into(&mut run.reason);
        }
        run.effects.extend(effects);
    }
    runs
}

/// The entries of each named client's sessions, in order.
fn logged(log: &[Entry]) -> BTreeMap<&str, Vec<Vec<&What>>> {
    let mut applications: BTreeMap<&str, Vec<Vec<&What>>> = BTreeMap::new();
    let mut places: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for entry in log {
        if let What::Connected(application) = &entry.what {
            // Others are the tests' own, or the gateway's.
            let Some(application) = application.strip_prefix(CLIENT) else {
                continue;
            };
            let sessions = applications.entry(application).or_default();
            places.insert(&entry.session, (application, sessions.len()));
            sessions.push(Vec::new());
        } else if let Some((application, index)) = places.get(entry.session.as_str()) {
            let sessions = applications.get_mut(application).expect("it is connected");
            sessions[*index].push(&entry.what);
        }
    }
    applications
}

/// A session while its log is read.
struct Session {
    runs: Vec<Run>,
    /// The run that is under way.
    current: Option<usize>,
    /// Runs before this one have been logged.
    next: usize,
    /// Lines of a Parse or Bind whose text is not known yet.
    held: Vec<AuditLine>,
    /// Runs of the transaction that is open.
    transaction: Vec<usize>,
    strays: Vec<AuditLine>,
}

impl Session {
    fn new(runs: Vec<Run>) -> Self {
        Self {
            runs,
            current: None,
            next: 0,
            held: Vec::new(),
            transaction: Vec::new(),
            strays: Vec::new(),
        }
    }

    fn take(&mut self, what: &What) {
        match what {
            What::Connected(_) => {}
            What::Statement(text) => {
                self.release();
                self.begin(text, false);
            }
            What::Resumed(text) => {
                self.release();
                self.begin(text, true);
            }
            What::Past(text) if self.current.is_none() => {
                // Its run is the Execute that is still to come, or the last one's once more if none comes.
                self.current = self.find(text, false);
                for line in std::mem::take(&mut self.held) {
                    self.add(&line);
                }
                self.current = None;
            }
            What::End | What::Past(_) => self.current = None,
            What::Audit(line) if self.current.is_none() => self.held.push(line.clone()),
            What::Audit(line) => self.add(line),
        }
    }

    /// Lines that no Parse or Bind came after are those of the commit behind the last run.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.current = self.next.checked_sub(1);
        for line in held {
            self.add(&line);
        }
        self.current = None;
    }

    fn find(&self, text: &str, is_resumed: bool) -> Option<usize> {
        let is_it = |run: &Run| {
            if text.starts_with(FUNCTION_CALL) {
                run.text.starts_with("function call ")
            } else {
                trimmed(&run.text) == trimmed(text)
            }
        };
        // Parse, Bind and Execute are logged one by one, and recorded as one.
        let last = self.next.checked_sub(1).filter(|&last| {
            let run = &self.runs[last];
            !run.is_simple && is_it(run)
        });
        let mut upcoming = (self.next..self.runs.len()).take(UNLOGGED_MAX);
        let upcoming = upcoming.find(|&index| is_it(&self.runs[index]));
        if is_resumed {
            last.or(upcoming)
        } else {
            upcoming.or(last)
        }
    }

    fn begin(&mut self, text: &str, is_resumed: bool) {
        self.current = self.find(text, is_resumed);
        let Some(index) = self.current else { return };
        self.next = self.next.max(index + 1);
        if self.transaction.last() != Some(&index) {
            self.transaction.push(index);
        }
    }

    fn earlier(&self) -> Vec<EffectLine> {
        let mut effects: Vec<EffectLine> = Vec::new();
        for effect in self
            .transaction
            .iter()
            .flat_map(|&index| &self.runs[index].effects)
        {
            if !effects.contains(effect) {
                effects.push(effect.clone());
            }
        }
        effects
    }

    fn add(&mut self, line: &AuditLine) {
        let Some(index) = self.current else {
            self.strays.push(line.clone());
            return;
        };
        let command = line.command.as_str();
        // One that fails has no line of its own.
        let text = trimmed(&self.runs[index].text).to_ascii_uppercase();
        let brings = |word: &str| command == word || text.starts_with(word);
        if self.runs[index].earlier.is_empty() && BRINGS_EARLIER.iter().any(|word| brings(word)) {
            self.runs[index].earlier = self.earlier();
        }
        if !self.runs[index].is_inner(line) {
            match command {
                "BEGIN" | "START TRANSACTION" => self.transaction = vec![index],
                // ROLLBACK TO a savepoint has the same word.
                "ROLLBACK" if text.contains(" TO ") => {}
                "COMMIT" | "ROLLBACK" | "PREPARE TRANSACTION" => self.transaction.clear(),
                _ => {}
            }
        }
        self.runs[index].lines.push(line.clone());
    }
}

/// A text without what stands around its statements.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|char: char| char.is_whitespace() || char == ';')
}
