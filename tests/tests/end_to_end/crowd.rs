//! Many sessions, slow ones, and those that never become one.

use std::process::Command;
use std::thread;

use sluice_tests::raw::{Raw, cancel, message, outline, parse, query, startup, sync};
use sluice_tests::{Gateway, Postgres, Settings, raise_open_files, run, wait_until};

use crate::shared::{is_running, postgres};

/// Whether a session gets its answer.
fn works(raw: &mut Raw) -> bool {
    raw.send(&query("SELECT 7"));
    outline(&raw.receive_until_ready(1)) == "T D C ZI"
}

#[test]
fn five_hundred_sessions_at_once() {
    raise_open_files();
    let postgres = Postgres::start(&[]);
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut sessions: Vec<Raw> = thread::scope(|scope| {
        // All are started before the first is waited for.
        let threads =
            [(); 10].map(|()| scope.spawn(|| (0..50).map(|_| gateway.log_in()).collect::<Vec<_>>()));
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("logins"))
            .collect()
    });
    wait_until("all are open", || gateway.metric("sluice_sessions_open") >= 500.0);
    for (number, raw) in sessions.iter_mut().enumerate() {
        raw.send(&query(&format!("SELECT {number}")));
    }
    for (number, raw) in sessions.iter_mut().enumerate() {
        let messages = raw.receive_until_ready(1);
        let row = messages.iter().find(|(tag, _)| *tag == b'D').expect("a row");
        assert!(
            row.1.ends_with(number.to_string().as_bytes()),
            "{number}: {row:?}"
        );
    }
    drop(sessions);
    wait_until("all are gone", || gateway.metric("sluice_sessions_open") == 0.0);
}

#[test]
fn a_slow_reader_holds_up_nobody_and_takes_no_memory() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut other = gateway.log_in();
    for (name, sql, rows) in [
        (
            "large rows",
            "SELECT repeat('x ', 500000) FROM generate_series(1, 200)",
            200,
        ),
        (
            "small rows",
            "SELECT repeat('x ', 5000) FROM generate_series(1, 20000)",
            20_000,
        ),
    ] {
        let mut slow = gateway.log_in();
        assert!(works(&mut other), "{name}");
        let before = gateway.resident_bytes();
        slow.send(&query(sql));
        let mut came = [0.0; 4];
        // Nothing more comes from the server once every buffer on the way is full.
        wait_until("the flow stops", || {
            assert!(works(&mut other), "{name}");
            came.rotate_right(1);
            came[0] = gateway.metric("sluice_bytes_from_servers_total");
            // The other session's answers are short.
            came[0] > 100_000.0 && came.iter().all(|seen| (seen - came[0]).abs() < 4096.0)
        });
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(grown < 24 << 20, "{name}: {grown} bytes more");
        let messages = slow.receive_until_ready(1);
        assert_eq!(
            messages.iter().filter(|(tag, _)| *tag == b'D').count(),
            rows,
            "{name}"
        );
        assert!(works(&mut slow) && works(&mut other), "{name}");
    }
}

/// A client that sends and never reads what it is answered is not read any more either.
#[test]
fn a_client_that_only_sends_takes_no_memory() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut other = gateway.log_in();
    let before = gateway.resident_bytes();
    let deaf = gateway.log_in();
    let sent = deaf.send_until_stuck(&query("SELECT repeat('x', 1000)"));
    assert!(works(&mut other));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more after {sent} bytes sent");
}

#[test]
fn halves_of_startup_packets_and_of_frames_hold_up_nobody() {
    raise_open_files();
    let postgres = Postgres::start(&[]);
    let limits = "authentication_timeout = \"20s\"".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let mut other = gateway.log_in();
    let half = message(b'Q', b"SELECT 'this one never ends'\0");
    let mut sessions: Vec<Raw> = (0..200).map(|_| gateway.log_in()).collect();
    for raw in &mut sessions {
        raw.send(&half[..half.len() / 2]);
    }
    let before = gateway.resident_bytes();
    let mut sockets = Vec::new();
    for number in 0..5000 {
        let mut raw = Raw::connect(gateway.port());
        raw.send(&[0, 0, 0, 42, 0, 3, 0, 0, b'u']);
        sockets.push(raw);
        if number % 500 == 0 {
            assert!(works(&mut other), "with {number} sockets");
        }
    }
    wait_until("all are accepted", || {
        gateway.metric("sluice_connections_accepted_total") >= 5201.0
    });
    wait_until("they are no sessions", || {
        gateway.metric("sluice_handshakes") >= 5000.0 && gateway.metric("sluice_sessions_open") < 202.0
    });
    assert!(works(&mut other) && works(&mut gateway.log_in()));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 5000 * (24 << 10), "{grown} bytes for 5000 sockets");
    wait_until("their time is over", || {
        gateway.metric("sluice_hostile_inputs_total") >= 5000.0
    });
    assert!(sockets.iter_mut().all(Raw::is_closed));
    // Whoever is logged in may take as long as it likes for a frame.
    for raw in &mut sessions {
        raw.send(&half[half.len() / 2..]);
        assert_eq!(outline(&raw.receive_until_ready(1)), "T D C ZI");
    }
    drop(sessions);
    wait_until("nobody is left", || gateway.metric("sluice_sessions_open") <= 1.0);
    assert!(gateway.metric("sluice_panics_total") == 0.0 && works(&mut other));
}

#[test]
fn sessions_are_spread_over_the_cores() {
    let cores = thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(2);
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            cores,
            ..Settings::default()
        },
    );
    let mut sessions: Vec<Raw> = (0..40).map(|_| gateway.log_in()).collect();
    let open = || gateway.metric_by_core("sluice_sessions_open");
    wait_until("all are counted", || open().iter().sum::<f64>() >= 40.0);
    let spread = |open: &[f64]| {
        open.iter().copied().fold(0.0, f64::max) - open.iter().copied().fold(f64::MAX, f64::min)
    };
    assert!(open().len() == cores && spread(&open()) <= 1.0, "{:?}", open());
    assert!(sessions.iter_mut().all(works));
    // A cancel may arrive at the other core than its session's.
    for raw in &mut sessions[..8] {
        raw.send(&query("SELECT pg_sleep(600)"));
        // Until it runs a cancel does nothing, so it is repeated.
        let mut answered = false;
        while !answered {
            Raw::connect(gateway.port()).send(&cancel(raw.key()));
            answered = raw.is_answered_soon();
        }
        assert!(outline(&raw.receive_until_ready(1)).ends_with("E57014 ZI"));
    }
}

/// Who comes when all seats are taken is told so before it is asked who it is, in TLS where it asked for TLS; cancels
/// still arrive.
#[test]
fn connections_over_the_limit_are_refused_before_they_prove_anything() {
    let postgres = postgres();
    let limits = "sessions_per_core_max = 2".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let mut idle = gateway.log_in();
    let mut busy = gateway.log_in();
    busy.send(&query("SELECT pg_sleep(600) /* seated */"));
    wait_until("the query runs", || is_running(&postgres, "/* seated */"));

    let mut raw = Raw::connect(gateway.port());
    raw.send(&startup(&[("user", "tester"), ("database", "shop")]));
    let messages = raw.receive_until_ready(1);
    let text = String::from_utf8_lossy(&messages[0].1).into_owned();
    assert_eq!(outline(&messages), "E53300", "no question came before it");
    assert!(
        text.contains("FATAL") && text.contains("as many sessions"),
        "{text}"
    );
    assert!(raw.is_closed());
    for sslmode in ["disable", "require"] {
        let refused = run(Command::new("psql")
            .args(["-X", "-c", "SELECT 1"])
            .envs(gateway.environment())
            .env("PGPASSWORD", "not the password")
            .env("PGSSLMODE", sslmode));
        assert!(
            !refused.success && refused.stderr.contains("as many sessions"),
            "{sslmode}: {refused:?}"
        );
    }
    wait_until("they are counted", || {
        gateway.metric("sluice_sessions_refused_total") >= 3.0
    });
    let rows = gateway.record();
    let refused = rows.iter().filter(|row| row["event"] == "session_refused");
    assert!(refused.count() >= 3, "{rows:?}");

    Raw::connect(gateway.port()).send(&cancel(busy.key()));
    assert_eq!(outline(&busy.receive_until_ready(1)), "T E57014 ZI");
    assert!(works(&mut busy) && works(&mut idle));
    drop(idle);
    wait_until("there is a seat again", || gateway.sql("SELECT 7").success);
}

/// What a session may have prepared is bounded, by number and by text (`threats`, 14).
/// Makes a message that puts a text under a name with a number.
type Make = fn(&str, u32) -> Vec<u8>;

#[test]
fn t14_prepared_statements_are_bounded() {
    let postgres = postgres();
    let limits = "prepared_max = 100".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let mut raw = gateway.log_in();
    let mut refused = 0;
    for number in 0..110 {
        raw.send(&[parse(&format!("s{number}"), "SELECT 1"), sync()].concat());
        refused += usize::from(outline(&raw.receive_until_ready(1)) == "E53000 ZI");
    }
    assert_eq!(refused, 10);
    // One that is closed makes room, once the server has said so.
    for (sent, want) in [
        (message(b'C', b"Ss1\0"), "3 ZI"),
        (parse("t", "SELECT 1"), "1 ZI"),
    ] {
        raw.send(&[sent, sync()].concat());
        assert_eq!(outline(&raw.receive_until_ready(1)), want);
    }
    raw.send(&query("DEALLOCATE ALL"));
    assert_eq!(outline(&raw.receive_until_ready(1)), "C ZI");
    let before = gateway.resident_bytes();
    let text = format!("SELECT '{}'", "x".repeat(2 << 20));
    // However they come by their names, and no more of them after all were closed.
    let ways: [(&str, Make, &str); 4] = [
        (
            "parse",
            |text, number| [parse(&format!("long{number}"), text), sync()].concat(),
            "1 ZI",
        ),
        (
            "prepare",
            |text, number| query(&format!("PREPARE long{number} AS {text}")),
            "C ZI",
        ),
        (
            "parse again",
            |text, number| [parse(&format!("long{number}"), text), sync()].concat(),
            "1 ZI",
        ),
        (
            "declare",
            |text, number| query(&format!("DECLARE long{number} CURSOR WITH HOLD FOR {text}")),
            "C ZI",
        ),
    ];
    for (name, make, made) in ways {
        let seen: Vec<String> = (0..40)
            .map(|number| {
                raw.send(&make(&text, number));
                outline(&raw.receive_until_ready(1))
            })
            .collect();
        let kept = seen.iter().filter(|seen| *seen == made).count();
        assert!((25..=32).contains(&kept), "{name}: {seen:?}");
        assert!(
            seen[kept..].iter().all(|seen| seen == "E53000 ZI"),
            "{name}: {seen:?}"
        );
        raw.send(&query("DISCARD ALL"));
        assert_eq!(outline(&raw.receive_until_ready(1)), "C ZI", "{name}");
    }
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 128 << 20, "{grown} bytes more");
    assert!(works(&mut raw));
}
