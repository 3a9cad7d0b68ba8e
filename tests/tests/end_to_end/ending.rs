//! How sessions end: by the server's death, the client's, and the gateway's own.

use nix::sys::signal::Signal;
use sluice_tests::raw::{bind, execute, message, outline, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

use crate::shared::{is_running, postgres};

/// The outcome of the recorded statement with a word in its text, and the reason of its session's end.
fn recorded(gateway: &Gateway, word: &str) -> (String, String) {
    let rows = gateway.record();
    let statement = rows.iter().find(|row| {
        row["kind"] == "statement" && row["text"].as_str().is_some_and(|text| text.contains(word))
    });
    let statement = statement.unwrap_or_else(|| panic!("no record of {word}"));
    let end = rows
        .iter()
        .find(|row| row["kind"] == "session_end" && row["session"] == statement["session"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&statement["outcome"]),
        end.map(|end| text(&end["reason"])).unwrap_or_default(),
    )
}

#[test]
fn a_server_that_dies_in_a_query() {
    let mut postgres = Postgres::start(&[]);
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut raw = gateway.log_in();
    raw.send(&query("SELECT pg_sleep(600) /* dies */"));
    wait_until("the query runs", || is_running(&postgres, "/* dies */"));
    let mut idle = gateway.log_in();
    postgres.kill();
    for session in [&mut raw, &mut idle] {
        let messages = session.receive_until_ready(1);
        let (_, error) = messages
            .iter()
            .rev()
            .find(|(tag, _)| *tag == b'E')
            .expect("an error");
        let text = String::from_utf8_lossy(error);
        assert!(
            outline(&messages).ends_with("E08006") && text.contains("FATAL") && text.contains("server"),
            "{text}"
        );
        assert!(session.is_closed());
    }
    wait_until("the end is recorded", || {
        !recorded(&gateway, "/* dies */").1.is_empty()
    });
    assert_eq!(
        recorded(&gateway, "/* dies */"),
        ("unknown".to_owned(), "server_gone".to_owned())
    );
    let refused = gateway.sql("SELECT 1");
    assert!(
        !refused.success && refused.stderr.contains("sluice:"),
        "{}",
        refused.stderr
    );
}

/// What is recorded as begun was sent, also where what came behind it ends the session.
#[test]
fn what_was_decided_is_done_before_a_broken_message_ends_the_session() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE done (name text)");
    let gateway = Gateway::start(&postgres, &Settings::default());
    // Longer than what is analysed on the core.
    let padding = format!("/* {} */", "x".repeat(8 << 10));
    // A name of its own for each, so that none is known from another.
    let insert =
        |name: &str, padding: &str| format!("INSERT INTO done SELECT '{name}' AS \"{name}\" {padding}");
    let extended = |sql: &str| [parse("", sql), bind("", ""), execute(""), sync()].concat();
    for (name, sent) in [
        ("short", query(&insert("short", ""))),
        ("long", query(&insert("long", &padding))),
        ("short, extended", extended(&insert("short, extended", ""))),
        ("long, extended", extended(&insert("long, extended", &padding))),
    ] {
        let mut raw = gateway.log_in();
        raw.send(&[sent, message(b'z', b"broken")].concat());
        let messages = raw.receive_until_ready(2);
        assert!(
            outline(&messages).ends_with("E08P01"),
            "{name}: {}",
            outline(&messages)
        );
        let count = format!("SELECT count(*) FROM done WHERE name = '{name}'");
        wait_until(name, || postgres.sql("shop", &count) == "1");
        assert_eq!(gateway.statements(&format!("'{name}'")).len(), 1, "{name}");
    }
}

#[test]
fn a_client_that_dies_in_a_query() {
    // The server looks for itself whether its client, the gateway, is still there.
    let postgres = Postgres::start(&["client_connection_check_interval=100ms"]);
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut raw = gateway.log_in();
    raw.send(&query("SELECT pg_sleep(600) /* leaves */"));
    wait_until("the query runs", || is_running(&postgres, "/* leaves */"));
    drop(raw);
    wait_until("the server is left too", || {
        !is_running(&postgres, "/* leaves */")
    });
    wait_until("the end is recorded", || {
        !recorded(&gateway, "/* leaves */").1.is_empty()
    });
    assert_eq!(
        recorded(&gateway, "/* leaves */"),
        ("unknown".to_owned(), "client_gone".to_owned())
    );
    assert_eq!(gateway.sql("SELECT 7").stdout.trim(), "7");
}

#[test]
fn a_drain_ends_sessions_in_time_and_the_process_well() {
    let postgres = postgres();
    let limits = "drain_timeout = \"300ms\"".to_owned();
    let mut gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let (mut idle, mut busy) = (gateway.log_in(), gateway.log_in());
    busy.send(&query("SELECT pg_sleep(600) /* drained */"));
    wait_until("the query runs", || is_running(&postgres, "/* drained */"));
    gateway.signal(Signal::SIGTERM);
    for raw in [&mut idle, &mut busy] {
        let messages = raw.receive_until_ready(1);
        assert!(outline(&messages).ends_with("E57P01"), "{}", outline(&messages));
        assert!(raw.is_closed());
    }
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    assert_eq!(
        recorded(&gateway, "/* drained */"),
        ("unknown".to_owned(), "drained".to_owned())
    );
    let verified = gateway.sluice(&["audit", "verify"]);
    assert!(verified.success, "{}", verified.stdout);
}

#[test]
fn a_drain_lets_sessions_finish() {
    let postgres = postgres();
    let limits = "drain_timeout = \"60s\"".to_owned();
    let mut gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let mut raw = gateway.log_in();
    raw.send(&query("BEGIN"));
    assert_eq!(outline(&raw.receive_until_ready(1)), "C ZT");
    gateway.signal(Signal::SIGTERM);
    wait_until("nobody new is taken", || {
        std::net::TcpStream::connect(("127.0.0.1", gateway.port())).is_err()
    });
    raw.send(&query("COMMIT"));
    assert_eq!(outline(&raw.receive_until_ready(1)), "C ZI");
    drop(raw);
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
}
