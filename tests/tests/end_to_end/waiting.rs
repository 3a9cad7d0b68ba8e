//! Statements that wait for a helper thread: they are judged as things are when they are sent, not when they came.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_tests::raw::{Raw, bind, cancel, error_of, execute, field, outline, parse, query, sync};
use sluice_tests::{Gateway, Settings, wait_until};

use crate::shared::postgres;

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

fn gateway(table: &str) -> (Gateway, impl Fn() -> String) {
    let postgres = postgres();
    let sql = format!("CREATE TABLE {table} (id int); INSERT INTO {table} SELECT generate_series(1, 3)");
    postgres.sql("shop", &sql);
    let settings = Settings {
        policy: Some(ALLOWS.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let count = format!("SELECT count(*) FROM {table}");
    (gateway, move || postgres.sql("shop", &count))
}

#[test]
fn t21_a_statement_that_waits_can_be_cancelled() {
    let (gateway, count) = gateway("waits_cancelled");
    let others = keep_helpers_busy(&gateway);
    let delete = long("DELETE FROM waits_cancelled WHERE id = 1");
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
    assert_eq!(count(), "3");
    drop(others);
    simple.send(&query(&delete));
    assert_eq!(outline(&simple.receive_until_ready(1)), "C ZI");
    assert_eq!(count(), "2");
}

#[test]
fn a_statement_that_waits_is_judged_by_the_policy_that_came_meanwhile() {
    let (gateway, count) = gateway("waits_forbidden");
    let others = keep_helpers_busy(&gateway);
    let delete = long("DELETE FROM waits_forbidden WHERE id = 1");
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
    assert_eq!(count(), "3");
    drop(others);
}

#[test]
fn logins_do_not_wait_for_statements() {
    let (gateway, _) = gateway("waits_logins");
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
    let (gateway, _) = gateway("waits_for_catalog");
    let postgres = postgres();
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
    let (gateway, _) = gateway("waits_parse");
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
