//! Statements that wait for a helper thread: they are judged as things are when they are sent, not when they came.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_tests::raw::{Raw, bind, cancel, error_of, execute, field, outline, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

use crate::shared::fill;

/// Sessions that keep the helpers busy.
const OTHERS: usize = 12;

const ALLOWS: &str = "@id(\"all\") permit (principal, action, resource);";
const FORBIDS: &str = "@id(\"all\") permit (principal, action, resource);\n\
                       @id(\"no-delete\") forbid (principal, action == Action::\"Delete\", resource);";

/// Sends statements that take long to analyse in sessions of their own; they are not waited for.
fn keep_helpers_busy(gateway: &Gateway) -> Vec<Raw> {
    (0..OTHERS)
        .map(|number| {
            let mut other = gateway.log_in();
            let calls = "abs(id) = 0 OR ".repeat(9_000);
            let sql = format!("SELECT {number} FROM customers WHERE {calls} id = 0");
            assert!(other.send(&query(&sql)));
            other
        })
        .collect()
}

/// Too long to be analysed on a core, and not for long.
fn long(sql: &str) -> String {
    format!("{sql} OR id IN ({}1)", "1,".repeat(2_500))
}

/// A gateway before a server of its own: many sessions wait at a time.
fn gateway() -> (Gateway, Postgres) {
    let postgres = Postgres::start(&[]);
    fill(&postgres);
    let sql = "CREATE TABLE three (id int); INSERT INTO three SELECT generate_series(1, 3)";
    postgres.sql("shop", sql);
    let settings = Settings {
        policy: Some(ALLOWS.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    (Gateway::start(&postgres, &settings), postgres)
}

fn count(postgres: &Postgres) -> String {
    postgres.sql("shop", "SELECT count(*) FROM three")
}

#[test]
fn t21_a_statement_that_waits_can_be_cancelled() {
    let (gateway, postgres) = gateway();
    let others = keep_helpers_busy(&gateway);
    let delete = long("DELETE FROM three WHERE id = 1");
    let mut simple = gateway.log_in();
    let mut extended = gateway.log_in();
    simple.send(&query(&delete));
    extended.send(&[parse("", &delete), bind("", ""), execute(""), sync()].concat());
    for session in [&mut simple, &mut extended] {
        assert!(!session.is_answered_soon());
        Raw::connect(gateway.port()).send(&cancel(session.key()));
    }
    for session in [&mut simple, &mut extended] {
        assert_eq!(outline(&session.receive_until_ready(1)), "E57014 ZI");
        // What is cancelled is that one.
        session.send(&query("SELECT 1"));
        assert_eq!(outline(&session.receive_until_ready(1)), "T D C ZI");
    }
    assert_eq!(count(&postgres), "3");
    // A cancel is for what the server runs, where it runs something, and not for what waits behind that too.
    simple.send(
        &[
            query("SELECT pg_sleep(60)"),
            query(&long("SELECT id FROM three WHERE id = 1")),
        ]
        .concat(),
    );
    assert!(!simple.is_answered_soon());
    Raw::connect(gateway.port()).send(&cancel(simple.key()));
    assert_eq!(outline(&simple.receive_until_ready(2)), "T E57014 ZI T D C ZI");
    drop(others);
    simple.send(&query(&delete));
    assert_eq!(outline(&simple.receive_until_ready(1)), "C ZI");
    assert_eq!(count(&postgres), "2");
}

#[test]
fn a_statement_that_waits_is_judged_by_the_policy_that_came_meanwhile() {
    let (gateway, postgres) = gateway();
    let others = keep_helpers_busy(&gateway);
    let delete = long("DELETE FROM three WHERE id = 1");
    let mut session = gateway.log_in();
    session.send(&query(&delete));
    assert!(!session.is_answered_soon());
    gateway.write_policy(FORBIDS);
    gateway.signal(Signal::SIGHUP);
    wait_until("the policy is reloaded", || gateway.log().contains("reloaded"));
    assert!(
        !session.is_answered_soon(),
        "the helpers were busy for too short a time"
    );
    assert_eq!(outline(&session.receive_until_ready(1)), "E42501 ZI");
    assert_eq!(count(&postgres), "3");
    drop(others);
}

#[test]
fn logins_do_not_wait_for_statements() {
    let (gateway, _postgres) = gateway();
    let mut others = keep_helpers_busy(&gateway);
    // A password is checked by a helper.
    let mut session = gateway.log_in();
    session.send(&query("SELECT 1"));
    assert_eq!(outline(&session.receive_until_ready(1)), "T D C ZI");
    let last = others.last_mut().unwrap();
    assert!(
        !last.is_answered_soon(),
        "the helpers were busy for too short a time"
    );
}

#[test]
fn t14_a_look_at_a_catalog_that_cannot_be_read_has_an_end() {
    let (gateway, postgres) = gateway();
    postgres.sql("postgres", "CREATE DATABASE closing");
    let mut session = Raw::log_in(gateway.port(), "tester", "pencil", "closing");
    postgres.sql("postgres", "ALTER DATABASE closing ALLOW_CONNECTIONS false");
    // The snapshot is to be old enough to be read again.
    thread::sleep(Duration::from_millis(1500));
    let unreadable = format!("SELECT nothing FROM no_such_table WHERE {}", long("id = 1"));
    session.send(&query(&unreadable));
    assert_eq!(outline(&session.receive_until_ready(1)), "E42P01 ZI");
    session.send(&query("SELECT 1"));
    assert_eq!(outline(&session.receive_until_ready(1)), "T D C ZI");
}

#[test]
fn t14_a_parse_of_many_statements_is_refused_unjudged() {
    let (gateway, _postgres) = gateway();
    let mut session = gateway.log_in();
    let many = "FETCH c;".repeat(30_000);
    let server = "cannot insert multiple commands into a prepared statement";
    for (sql, told) in [
        ("SELECT 1; SELECT 2", server.to_owned()),
        (&many, format!("sluice: {server}")),
    ] {
        session.send(&[parse("", sql), bind("", ""), execute(""), sync()].concat());
        let answer = session.receive_until_ready(1);
        assert_eq!(outline(&answer), "E42601 ZI");
        assert_eq!(field(error_of(&answer), b'M'), Some(told));
    }
    session.send(&query("SELECT 1"));
    assert_eq!(outline(&session.receive_until_ready(1)), "T D C ZI");
}
