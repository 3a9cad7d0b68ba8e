//! Each statement is in the record, whatever happens to the gateway.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_tests::raw::{Raw, bind, execute, outline, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

use crate::shared::{NO_DELETE, is_running, postgres};

/// Rounds of load that end with the gateway's death.
const KILLS: u64 = 20;
/// Sessions that are under load.
const SESSIONS: u64 = 4;
/// What begins each numbered comment.
const MARK: &str = "/* number ";

#[test]
fn every_statement_is_recorded_with_its_decision_and_outcome() {
    let postgres = postgres();
    let settings = Settings {
        policy: Some(NO_DELETE.to_owned()),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    let cycles = [
        query(
            "SELECT 1 /* one */; SELECT email /* two */ FROM customers WHERE id < 4; DELETE /* three */ FROM victim; SELECT 4 /* four */",
        ),
        [
            parse("", "SELECT 5 /* five */"),
            bind("", ""),
            execute(""),
            sync(),
        ]
        .concat(),
        [
            parse("s", "DELETE /* six */ FROM victim"),
            bind("", "s"),
            execute(""),
            sync(),
        ]
        .concat(),
        query("SELECT 1 / 0 /* seven */"),
        query("COPY /* eight */ (SELECT email FROM customers WHERE id < 3) TO STDOUT"),
        [parse("", "SELECT 9 /* nine */"), bind("", ""), sync()].concat(),
    ];
    for sent in &cycles {
        raw.send(sent);
        raw.receive_until_ready(1);
    }
    drop(raw);
    wait_until("the session's end", || {
        gateway.record().iter().any(|row| row["kind"] == "session_end")
    });
    for (word, decision, outcome, sqlstate, rows, masked) in [
        ("one", "allow", "completed", "", 1, 0),
        ("two", "allow", "completed", "", 3, 3),
        ("three", "deny", "denied", "", 0, 0),
        ("four", "allow", "skipped", "", 0, 0),
        ("five", "allow", "completed", "", 1, 0),
        ("six", "deny", "denied", "", 0, 0),
        ("seven", "allow", "failed", "22012", 0, 0),
        ("eight", "allow", "completed", "", 2, 2),
        ("nine", "allow", "skipped", "", 0, 0),
    ] {
        let found = gateway.statements(&format!("/* {word} */"));
        let row = found.first().unwrap_or_else(|| panic!("{word} is not recorded"));
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        let end = &row["end"];
        let seen = (
            row["decision"].as_str().unwrap_or_default(),
            row["outcome"].as_str().unwrap_or_default(),
            end["sqlstate"].as_str().unwrap_or_default(),
            end["rows"].as_u64().unwrap_or_default(),
            end["masked"]["email"].as_u64().unwrap_or_default(),
        );
        assert_eq!(seen, (decision, outcome, sqlstate, rows, masked), "{word}: {row}");
        assert_eq!(
            (row["subject"].as_str(), row["connection"].as_str()),
            (Some("tester"), Some("shop")),
            "{word}"
        );
    }
    let verified = gateway.sluice(&["audit", "verify"]);
    assert!(
        verified.success && verified.stdout.contains("verify: intact"),
        "{}",
        verified.stdout
    );
}

/// A changed byte is found.
#[test]
fn a_changed_record_does_not_verify() {
    let postgres = postgres();
    let mut gateway = Gateway::start(&postgres, &Settings::default());
    for number in 0..20 {
        assert!(gateway.sql(&format!("SELECT {number} /* original */")).success);
    }
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.wait(), Some(0));
    let folder = gateway.folder().join("data/audit");
    let files = std::fs::read_dir(&folder)
        .expect("the record")
        .flatten()
        .map(|entry| entry.path());
    let mut changed = 0;
    for path in files {
        let mut bytes = std::fs::read(&path).expect("a file of the record");
        if let Some(at) = bytes.windows(8).position(|window| window == b"original") {
            bytes[at] = b'O';
            std::fs::write(&path, bytes).expect("the changed file");
            changed += 1;
        }
    }
    assert!(changed > 0, "no segment in {}", folder.display());
    let verified = gateway.sluice(&["audit", "verify"]);
    assert!(
        !verified.success && verified.stdout.contains("DAMAGED"),
        "{}",
        verified.stdout
    );
}

#[test]
fn a_statement_without_an_end_is_of_unknown_outcome() {
    let postgres = postgres();
    let mut gateway = Gateway::start(&postgres, &Settings::default());
    let mut raw = gateway.log_in();
    raw.send(&query("SELECT pg_sleep(600) /* unended */"));
    wait_until("the query runs", || is_running(&postgres, "/* unended */"));
    assert_eq!(gateway.statements("/* unended */")[0]["outcome"], "running");
    gateway.restart(Signal::SIGKILL);
    assert_eq!(gateway.statements("/* unended */")[0]["outcome"], "unknown");
    let printed = gateway.sluice(&["audit", "query", "--contains", "unended"]);
    assert!(printed.stdout.contains("outcome unknown"), "{}", printed.stdout);
    let printed = gateway.sluice(&["audit", "query", "--outcome", "unknown", "--json"]);
    assert_eq!(printed.stdout.lines().count(), 1, "{}", printed.stdout);
    postgres.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%/* unended */'",
    );
}

/// Numbers in comments of a text.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split(MARK)
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse().ok())
}

/// Nothing reaches the server before its record, so no statement in the server's own log may be missing in ours.
#[test]
fn no_statement_is_missing_after_twenty_kills() {
    let postgres = Postgres::start(&["log_statement=all", "log_line_prefix=", "log_min_messages=log"]);
    let mut gateway = Gateway::start(
        &postgres,
        &Settings {
            cores: 2,
            ..Settings::default()
        },
    );
    let number = AtomicU64::new(1);
    for round in 0..KILLS {
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            let (gateway, number, ends) = (&gateway, &number, &ends);
            let workers: Vec<_> = (0..SESSIONS)
                .map(|worker| scope.spawn(move || load(gateway, worker, number, ends)))
                .collect();
            // The load is under way; then some moment, another one each time.
            let begun = number.load(Ordering::Relaxed);
            wait_until("load", || {
                number.load(Ordering::Relaxed) > begun + 50
                    || workers.iter().all(ScopedJoinHandle::is_finished)
            });
            thread::sleep(Duration::from_millis(7 * round + 3));
            gateway.signal(Signal::SIGKILL);
            ends.store(true, Ordering::Relaxed);
        });
        gateway.restart(Signal::SIGKILL);
    }
    let verified = gateway.sluice(&["audit", "verify"]);
    assert!(
        verified.success && verified.stdout.contains("verify: intact"),
        "{}{}",
        verified.stdout,
        verified.stderr
    );
    // Sessions of the last round may still be at their last statement there.
    wait_until("the server is idle", || {
        postgres.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'",
        ) == "0"
    });
    let ran: HashSet<u64> = numbers(&postgres.log()).collect();
    let recorded: HashSet<u64> = gateway
        .statements(MARK)
        .iter()
        .flat_map(|row| numbers(row["text"].as_str().unwrap_or_default()).collect::<Vec<_>>())
        .collect();
    let missing: Vec<_> = ran.difference(&recorded).collect();
    println!(
        "kills: {KILLS}, statements in the server's log: {}, recorded: {}, missing: {}",
        ran.len(),
        recorded.len(),
        missing.len()
    );
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert!(ran.len() as u64 > KILLS * 50, "only {} statements ran", ran.len());
}

/// Numbered statements of every kind until the gateway is gone.
fn load(gateway: &Gateway, worker: u64, number: &AtomicU64, ends: &AtomicBool) {
    let Ok(mut raw) = Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[]) else {
        return;
    };
    while !ends.load(Ordering::Relaxed) {
        let text = || {
            format!(
                "SELECT {worker} {MARK}{} */",
                number.fetch_add(1, Ordering::Relaxed)
            )
        };
        let sent = match number.load(Ordering::Relaxed) % 3 {
            0 => query(&text()),
            1 => query(&format!("{}; {}", text(), text())),
            _ => [
                parse("", &text()),
                bind("", ""),
                execute(""),
                parse("", &text()),
                bind("", ""),
                execute(""),
                sync(),
            ]
            .concat(),
        };
        let is_whole = raw.send(&sent) && outline(&raw.receive_until_ready(1)).ends_with("ZI");
        if !is_whole {
            break;
        }
    }
}

/// Whoever is not logged in cannot fill the record, nor do anything that it says nothing of.
#[test]
fn a_flood_of_strangers_is_summed_up() {
    const STRANGERS: u32 = 1000;
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    for _ in 0..STRANGERS {
        Raw::connect(gateway.port()).send(b"GET / HTTP/1.1\r\n\r\n");
    }
    wait_until("they are counted", || {
        gateway.metric("sluice_hostile_inputs_total") >= f64::from(STRANGERS)
    });
    let texts = || -> Vec<String> {
        let rows = gateway.record().into_iter();
        rows.filter(|row| row["event"] == "hostile_input")
            .map(|row| row["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let more = |text: &String| -> Option<u32> { text.split_once(" more, not recorded")?.0.parse().ok() };
    wait_until("they are summed up", || {
        texts().iter().map(|text| more(text).unwrap_or(1)).sum::<u32>() == STRANGERS
    });
    let texts = texts();
    assert!(
        texts.iter().any(|text| more(text).is_some()),
        "{} were recorded one by one",
        texts.len()
    );
    assert!(gateway.sql("SELECT 7").success);
}

#[test]
fn the_figures_of_a_core_are_its_own() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            cores: 2,
            ..Settings::default()
        },
    );
    let statements = || gateway.metric_by_core("sluice_statements_total");
    let before = statements();
    let mut session = gateway.log_in();
    for _ in 0..50 {
        session.send(&query("SELECT 1"));
        session.receive_until_ready(1);
    }
    wait_until("one core counts them, and the other none", || {
        let grown: Vec<f64> = statements()
            .iter()
            .zip(&before)
            .map(|(now, before)| now - before)
            .collect();
        grown.len() == 2 && grown.contains(&50.0) && grown.contains(&0.0)
    });
    for figure in ["sluice_busy_nanoseconds_total", "sluice_decision_cache_entries"] {
        wait_until(figure, || gateway.metric(figure) > 0.0);
    }
}
