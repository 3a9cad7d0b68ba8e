//! Scripts against the model: what is certain, what waits, and what is unknown.

use sluice_parsers::postgres::backend::TransactionStatus::{self, Failed, Idle, InTransaction};
use sluice_parsers::sql::analyze::{self, Limits};
use sluice_parsers::sql::world::World;

use super::*;

fn start() -> Start {
    let values = [
        "\"$user\", public",
        "none",
        "app",
        "on",
        "safe_encoding",
        "UTF8",
        "origin",
    ];
    let mut row = 9_u16.to_be_bytes().to_vec();
    for value in values.into_iter().chain(["0"]) {
        row.extend_from_slice(&u32::try_from(value.len()).expect("short").to_be_bytes());
        row.extend_from_slice(value.as_bytes());
    }
    Start::of_row(&row, "app").expect("a start")
}

/// A session whose messages are Queries of one text each.
struct Script {
    state: State,
    /// What was sent and not answered: cycle and number of statements.
    open: VecDeque<(u64, u32)>,
}

impl Script {
    fn new() -> Self {
        Self {
            state: State::new(&start()),
            open: VecDeque::new(),
        }
    }

    /// Sends a Query.
    fn send(&mut self, sql: &str) -> &mut Self {
        let analysis = analyze::analyze(sql, &Limits::default(), &World::built_in(15));
        let count = analysis.statements.len();
        for (index, statement) in analysis.statements.iter().enumerate() {
            let change = Change::of(statement);
            self.state.sent(&change, Some(u32::try_from(index).expect("few")));
            self.state.defers(statement.defers);
            if statement.kind.ends_transaction() {
                self.state.ends_transaction();
            }
        }
        self.open
            .push_back((self.state.cycle(), u32::try_from(count).expect("few")));
        self.state.cycle_sent();
        self
    }

    /// The first open Query succeeds.
    fn succeeds(&mut self, status: TransactionStatus) -> &mut Self {
        let (cycle, count) = self.open.pop_front().expect("an open Query");
        for statement in 0..count {
            self.state.query_statement_succeeded(cycle, statement);
        }
        self.state.ready(Some(cycle), status);
        self
    }

    /// The first open Query fails at a statement.
    fn fails_at(&mut self, statement: u32, status: TransactionStatus) -> &mut Self {
        let (cycle, _) = self.open.pop_front().expect("an open Query");
        for statement in 0..statement {
            self.state.query_statement_succeeded(cycle, statement);
        }
        self.state.failed();
        self.state.ready(Some(cycle), status);
        self
    }

    fn run(&mut self, sql: &str, status: TransactionStatus) -> &mut Self {
        self.send(sql).succeeds(status)
    }

    fn view(&self) -> View {
        self.state.view(self.open.is_empty())
    }

    /// Path and role for the next statement.
    #[track_caller]
    fn is(&mut self, path: &str, role: &str) -> &mut Self {
        assert_eq!(self.view(), View::Certain);
        assert_eq!(
            (
                self.state.names().search_path.join(","),
                &*self.state.names().role
            ),
            (path.into(), role)
        );
        self
    }
}

const LOGIN: &str = "$user,public";

#[test]
fn t03_what_a_rollback_brings_back() {
    let mut script = Script::new();
    script.is(LOGIN, "app");
    script
        .run("BEGIN", InTransaction)
        .run("SET search_path = a", InTransaction)
        .is("a", "app");
    script
        .run("SAVEPOINT s", InTransaction)
        .run("SET LOCAL search_path = b; SET ROLE other", InTransaction);
    script.is("b", "other");
    script.run("ROLLBACK TO s", InTransaction).is("a", "app");
    script
        .run("SET LOCAL search_path = c", InTransaction)
        .run("RELEASE s", InTransaction)
        .is("c", "app");
    script.run("COMMIT", Idle).is("a", "app");
    script
        .run("BEGIN; SET search_path = d", InTransaction)
        .is("d", "app");
    script.send("SELECT 1/0").fails_at(0, Failed);
    script.run("ROLLBACK", Idle).is("a", "app");
    script.run("SET LOCAL search_path = e", Idle).is("a", "app");
}

#[test]
fn t03_inside_of_a_query_success_is_foreseen() {
    let mut script = Script::new();
    script.send("SET search_path = a; SELECT 1");
    assert_eq!(script.view(), View::InDoubt, "the whole may be rolled back");
    script.succeeds(Idle).is("a", "app");
    script
        .send("SET search_path = b; SELECT 1/0")
        .fails_at(1, Idle)
        .is("a", "app");
    // What fails later leaves what was committed before.
    script
        .send("SET search_path = c; COMMIT; SELECT 1/0")
        .fails_at(2, Idle)
        .is("c", "app");
    // BEGIN makes what stood before it a part of its transaction.
    script
        .run("SET search_path = d; BEGIN", InTransaction)
        .is("d", "app");
    script.run("ROLLBACK", Idle).is("c", "app");
}

#[test]
fn t03_only_what_makes_a_difference_is_in_doubt() {
    let mut script = Script::new();
    for harmless in [
        "BEGIN",
        "SELECT 1",
        "SAVEPOINT s",
        "RELEASE s",
        "SET search_path = \"$user\", public",
        "COMMIT",
    ] {
        script.send(harmless).is(LOGIN, "app");
    }
    for status in [
        InTransaction,
        InTransaction,
        InTransaction,
        InTransaction,
        InTransaction,
        Idle,
    ] {
        script.succeeds(status);
    }
    script.run("BEGIN; SET search_path = a", InTransaction);
    script.send("SELECT 1").is("a", "app");
    script.send("COMMIT");
    assert_eq!(script.view(), View::InDoubt, "the SELECT may fail");
    script.fails_at(0, Failed);
    assert_eq!(script.view(), View::InDoubt);
    script.succeeds(Idle).is(LOGIN, "app");
}

#[test]
fn t03_what_follows_a_failure_is_foreseen_again() {
    let mut script = Script::new();
    script.send("BEGIN").send("SET LOCAL search_path = a");
    assert_eq!(script.view(), View::InDoubt);
    // Without its transaction the setting ends at once.
    script.fails_at(0, Idle);
    assert_eq!(script.view(), View::InDoubt);
    script.succeeds(Idle).is(LOGIN, "app");
}

#[test]
fn t03_unseen_changes_are_unknown_until_read() {
    let mut script = Script::new();
    script.run("SELECT set_config('search_path', $1, false)", Idle);
    assert_eq!(script.view(), View::Unknown);
    assert!(script.state.wants_reading() && script.state.lexing_is_known());
    assert_eq!(script.state.names().touched, Touched::EveryName);
    script
        .run("BEGIN", InTransaction)
        .run("SELECT f()", InTransaction);
    assert_eq!(script.view(), View::Unknown);
    assert!(!script.state.lexing_is_known());
    let mut values = start().values;
    values[Tracked::SearchPath as usize] = Tracked::SearchPath.parse("a");
    script.state.was_read(&Readings { values });
    script.is("a", "app");
    // What SHOW tells inside of a transaction may have been set for it alone.
    script.run("COMMIT", Idle);
    assert_eq!(script.view(), View::Unknown);
    script.send("SET search_path = b");
    script.succeeds(Idle);
    assert!(script.state.wants_reading(), "the others are still unknown");
}

#[test]
fn t03_a_rollback_knows_what_was_before_the_unseen() {
    let mut script = Script::new();
    script
        .run("BEGIN", InTransaction)
        .run("SELECT f()", InTransaction);
    assert_eq!(script.view(), View::Unknown);
    script.run("ROLLBACK", Idle).is(LOGIN, "app");
    script
        .run("BEGIN", InTransaction)
        .run("DO 'something'", InTransaction)
        .run("ROLLBACK", Idle);
    assert_eq!(
        script.view(),
        View::Unknown,
        "a procedure may have ended the transaction"
    );
}

#[test]
fn t03_more_savepoints_than_are_kept() {
    let mut script = Script::new();
    script.run("BEGIN; SET search_path = a", InTransaction);
    for _ in 0..2000 {
        script.run("SAVEPOINT s", InTransaction);
    }
    script.is("a", "app");
    script.run("ROLLBACK TO s", InTransaction);
    assert_eq!(script.view(), View::Unknown);
    script.run("ROLLBACK", Idle).is(LOGIN, "app");
}

#[test]
fn t13_roles_are_left_by_many_ways() {
    for (name, way) in [
        ("none", "SET ROLE NONE"),
        ("reset", "RESET ROLE"),
        ("authorization", "SET SESSION AUTHORIZATION app"),
        ("reset authorization", "RESET SESSION AUTHORIZATION"),
        ("discard", "DISCARD ALL"),
    ] {
        let mut script = Script::new();
        script.run("SET ROLE other", Idle).is(LOGIN, "other");
        assert!(!script.state.names().role_is_login);
        script.run("RESET ALL", Idle).is(LOGIN, "other");
        script.run(way, Idle);
        assert_eq!((name, &*script.state.names().role), (name, "app"));
        assert!(script.state.names().role_is_login, "{name}");
    }
    let mut script = Script::new();
    script
        .run("SET SESSION AUTHORIZATION boss", Idle)
        .is(LOGIN, "boss");
    script.run("SET ROLE other", Idle).is(LOGIN, "other");
    script.run("SET ROLE NONE", Idle).is(LOGIN, "boss");
    // Whether the role comes back with the login role depends on the server's age.
    script.run("SET ROLE other; BEGIN", InTransaction);
    script
        .run("SET LOCAL SESSION AUTHORIZATION app", InTransaction)
        .is(LOGIN, "app");
    script.run("COMMIT", Idle);
    assert_eq!(script.view(), View::Unknown);
}

#[test]
fn t11_a_sync_among_copy_data_ends_nothing() {
    let mut state = State::new(&start());
    let path = Change::Set {
        setting: Tracked::SearchPath,
        value: Tracked::SearchPath.parse("a"),
        local: true,
    };
    state.sent(&path, None);
    let ignored = state.cycle();
    state.cycle_sent();
    assert_eq!(state.view(false), View::InDoubt);
    state.execution_succeeded();
    state.cycle_goes_on(ignored);
    assert_eq!(state.view(false), View::Certain);
    assert_eq!(
        *state.names().search_path,
        ["a".into()],
        "the transaction goes on"
    );
    let ended = state.cycle();
    state.cycle_sent();
    assert_eq!(state.view(false), View::InDoubt);
    state.ready(Some(ended), Idle);
    assert_eq!(state.view(true), View::Certain);
    assert_eq!(state.names().search_path.join(","), LOGIN);
}

#[test]
fn t12_touched_names_are_kept_until_the_catalog_was_read() {
    let mut state = State::new(&start());
    let names = |names: &[&str]| Touched::Names(names.iter().map(|&name| name.into()).collect());
    state.touches(&names(&["b", "a"]));
    let before = Arc::clone(state.names());
    state.touches(&names(&["a"]));
    assert!(Arc::ptr_eq(&before, state.names()), "known");
    assert!(state.names().touched.contains("a") && !state.names().touched.contains("c"));
    for number in 0..300 {
        state.touches(&names(&[&format!("t{number}")]));
    }
    assert_eq!(
        state.names().touched,
        Touched::EveryName,
        "too many to keep apart"
    );
    assert!(state.wants_catalog());
    state.catalog_was_read();
    assert_eq!(state.names().touched, Touched::Nothing);
}

#[test]
fn what_the_server_says_of_the_transaction_counts() {
    let mut script = Script::new();
    // A COMMIT that fails ends its transaction.
    script.run("BEGIN; SET search_path = a", InTransaction);
    script.send("COMMIT").fails_at(0, Idle).is(LOGIN, "app");
    // A transaction that nobody has seen begin.
    script.run("SELECT 1", InTransaction);
    assert_eq!(script.view(), View::Unknown);
    script.run("ROLLBACK", Idle);
    assert_eq!(script.view(), View::Unknown);
}

#[test]
fn t08_deferred_triggers_wait_until_the_server_says_that_no_transaction_is_open() {
    // What is not seen may leave some behind.
    const WRITES: &str = "SELECT unseen()";
    let waits = |script: &Script| script.state.names().deferred != Deferred::Nothing;
    let mut script = Script::new();
    assert!(!waits(&script));
    script.send(WRITES);
    assert!(waits(&script), "before its answer");
    script.succeeds(Idle);
    assert!(!waits(&script), "it was committed");
    script.run("BEGIN", InTransaction).run(WRITES, InTransaction);
    script.run("SAVEPOINT a; ROLLBACK TO a", InTransaction);
    assert!(waits(&script));
    script.send("COMMIT");
    assert!(waits(&script), "it may be skipped, and a savepoint gone back to");
    script.succeeds(Idle);
    assert!(!waits(&script));
    script.run("BEGIN", InTransaction).run(WRITES, InTransaction);
    script.send("SELECT 1/0").fails_at(0, Failed);
    assert!(waits(&script), "it may go back to a savepoint");
    script.run("ROLLBACK", Idle);
    assert!(!waits(&script));
    // An answer to what was sent before says nothing of what was sent since.
    script.send("SELECT 1").send(WRITES).succeeds(Idle);
    assert!(waits(&script));
    script.succeeds(Idle);
    assert!(!waits(&script));
    // The next transaction has its own.
    script.run(&format!("BEGIN; {WRITES}; COMMIT AND CHAIN"), InTransaction);
    assert!(waits(&script), "only the end of all is certain");
    script.run("ROLLBACK", Idle);
    assert!(!waits(&script));
}

#[test]
fn t08_behind_an_end_in_the_same_cycle_no_trigger_waits() {
    let waits = |state: &State| state.names().deferred != Deferred::Nothing;
    let mut state = State::new(&start());
    state.defers(Deferred::Nothing);
    assert!(!waits(&state));
    state.defers(Deferred::Checks);
    assert!(waits(&state));
    state.ends_transaction();
    assert!(!waits(&state), "it runs behind the end or not at all");
    state.defers(Deferred::Checks);
    assert!(waits(&state), "another transaction's");
    state.ends_transaction();
    state.cycle_sent();
    assert!(waits(&state), "the end may have been skipped");
    let cycle = state.cycle();
    state.defers(Deferred::Checks);
    state.cycle_sent();
    state.cycle_goes_on(cycle);
    state.ready(Some(cycle), Idle);
    assert!(waits(&state), "that was not its end");
    state.ready(Some(cycle + 1), Idle);
    assert!(!waits(&state));
    let path = "another path";
    state.defers(Deferred::Checks);
    state.touches(&Touched::Names([Box::from(path)].into_iter().collect()));
    assert!(waits(&state) && state.names().touched.contains(path));
    state.defers(Deferred::Queries);
    state.defers(Deferred::Checks);
    assert_eq!(state.names().deferred, Deferred::Queries, "the worse of two");
}
