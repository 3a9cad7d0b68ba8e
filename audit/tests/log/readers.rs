//! Query and tail: joining, filters, what is running, what nobody knows.

use std::fs;

use sluice_audit::json::to_json;
use sluice_audit::lock::DataLock;
use sluice_audit::names::{BootId, ChainId};
use sluice_audit::reader::{Filter, Row, SessionName, StatementState, Tail, verify};
use sluice_audit::record::{Body, Decision, Event, EventKind, Outcome};
use sluice_audit::recover::recover;

use crate::support::{CHAIN, Core, Files, SEGMENT_BYTES, data_folder, rows, statements};

/// Two sessions on one core: completed, denied, failed, and one without an end.
fn core() -> Core {
    let mut core = Core::start(CHAIN);
    core.start_session(1, "alice", "orders");
    core.start_session(2, "bob", "billing");
    core.begin(1, 1, b"SELECT * FROM customers", Decision::Allow);
    core.end(1, 1, Outcome::Completed);
    core.flush();
    core.begin(2, 1, b"DROP TABLE invoices", Decision::Deny);
    core.end(2, 1, Outcome::Denied);
    core.begin(2, 2, b"select broken", Decision::Allow);
    core.end(2, 2, Outcome::Failed);
    let event = Event {
        event: EventKind::Cancelled,
        client: "127.0.0.1:9",
        ..Event::default()
    };
    core.append(2, 0, Body::Event(event)).expect("room");
    core.begin(1, 2, b"SELECT pg_sleep(100)", Decision::Allow);
    core
}

#[test]
fn filters() {
    let data = data_folder();
    Files::of(CHAIN, &core()).place(data.path(), true);
    let all = Filter::default;
    for (name, filter, want) in [
        ("everything", all(), 7),
        (
            "statements",
            Filter {
                statements_only: true,
                ..all()
            },
            4,
        ),
        (
            "subject",
            Filter {
                subject: Some("bob".into()),
                ..all()
            },
            4,
        ),
        (
            "subject and statements",
            Filter {
                subject: Some("bob".into()),
                statements_only: true,
                ..all()
            },
            2,
        ),
        (
            "another subject",
            Filter {
                subject: Some("bobby".into()),
                ..all()
            },
            0,
        ),
        (
            "connection",
            Filter {
                connection: Some("orders".into()),
                ..all()
            },
            3,
        ),
        (
            "database",
            Filter {
                database: Some("shop".into()),
                ..all()
            },
            7,
        ),
        (
            "another database",
            Filter {
                database: Some("sho".into()),
                ..all()
            },
            0,
        ),
        (
            "session",
            Filter {
                session: SessionName::parse("2"),
                ..all()
            },
            4,
        ),
        (
            "session of a start",
            Filter {
                session: SessionName::parse("a5a5a5a5.1"),
                ..all()
            },
            3,
        ),
        (
            "session of another start",
            Filter {
                session: SessionName::parse("00.1"),
                ..all()
            },
            0,
        ),
        (
            "denied",
            Filter {
                decision: Some(Decision::Deny),
                ..all()
            },
            1,
        ),
        (
            "failed",
            Filter {
                outcome: Some(Outcome::Failed),
                ..all()
            },
            1,
        ),
        (
            "unknown",
            Filter {
                outcome: Some(Outcome::Unknown),
                ..all()
            },
            1,
        ),
        (
            "text in another case",
            Filter {
                text: Some("drop table".into()),
                ..all()
            },
            1,
        ),
        (
            "text that is not there",
            Filter {
                text: Some("x".repeat(100)),
                ..all()
            },
            0,
        ),
        (
            "newest three",
            Filter {
                limit: Some(3),
                ..all()
            },
            3,
        ),
        (
            "none",
            Filter {
                limit: Some(0),
                ..all()
            },
            0,
        ),
        (
            "since the end",
            Filter {
                since_ns: Some(u64::MAX),
                ..all()
            },
            0,
        ),
        (
            "until the beginning",
            Filter {
                until_ns: Some(0),
                ..all()
            },
            0,
        ),
        (
            "the first two records",
            Filter {
                until_ns: Some(1_000_003_000),
                ..all()
            },
            2,
        ),
        (
            "the others",
            Filter {
                since_ns: Some(1_000_003_000),
                ..all()
            },
            5,
        ),
    ] {
        assert_eq!(rows(data.path(), &filter).len(), want, "{name}");
    }
    let newest = rows(
        data.path(),
        &Filter {
            limit: Some(1),
            ..all()
        },
    );
    assert!(newest[0].to_string().contains("pg_sleep"), "{}", newest[0]);
}

#[test]
fn session_names() {
    let some = |boot: &str, number| {
        Some(SessionName {
            boot: boot.to_owned(),
            number,
        })
    };
    for (text, want) in [
        ("42", some("", 42)),
        ("a5a5.42", some("a5a5", 42)),
        (".42", some("", 42)),
        ("A5.42", None),
        ("a5.", None),
        ("", None),
        ("+4", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(SessionName::parse(text), want, "{text}");
    }
}

#[test]
fn a_begin_without_an_end_is_running_or_unknown() {
    let data = data_folder();
    let files = Files::of(CHAIN, &core());
    files.place(data.path(), true);
    let last = |data: &std::path::Path| match rows(data, &Filter::default()).pop() {
        Some(Row::Statement(row)) => row,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        last(data.path()).state,
        StatementState::Unknown,
        "nobody holds the folder"
    );
    let other = DataLock::acquire(data.path(), BootId([1; 16])).expect("free");
    assert_eq!(
        last(data.path()).state,
        StatementState::Unknown,
        "another start holds it"
    );
    drop(other);
    let lock = DataLock::acquire(data.path(), CHAIN.boot).expect("free");
    assert_eq!(last(data.path()).state, StatementState::Running);
    assert!(last(data.path()).to_string().contains(" running"));
    assert!(to_json(&Row::Statement(last(data.path()))).contains(r#""outcome":"running""#));
    drop(lock);

    recover(data.path(), SEGMENT_BYTES).expect("recovers");
    let row = last(data.path());
    assert_eq!(row.state, StatementState::Unknown);
    assert!(row.to_string().contains("outcome unknown"), "{row}");
    assert_eq!(verify(data.path()).expect("readable").open, 1);
}

/// What is there when it begins is cut by the limit, also where nothing of it is wanted; what comes is not.
#[test]
fn tail_cuts_nothing_of_what_comes() {
    for limit in [0, 1] {
        let data = data_folder();
        let mut core = Core::start(CHAIN);
        let place = |core: &Core| Files::of(CHAIN, core).add(data.path(), true);
        core.start_session(1, "alice", "orders");
        let filter = Filter {
            limit: Some(limit),
            decision: Some(Decision::Deny),
            ..Filter::default()
        };
        let mut tail = Tail::open(data.path(), filter);
        place(&core);
        assert!(tail.poll().expect("readable").is_empty());
        for statement in 1..=3 {
            core.begin(1, statement, b"drop table t", Decision::Deny);
            core.end(1, statement, Outcome::Denied);
        }
        place(&core);
        assert_eq!(tail.poll().expect("readable").len(), 3, "limit {limit}");
    }
}

#[test]
fn tail_follows_from_ring_to_segments_to_the_next_start() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    let place = |core: &Core| Files::of(CHAIN, core).add(data.path(), true);
    let mut tail = Tail::open(
        data.path(),
        Filter {
            limit: Some(2),
            ..Filter::default()
        },
    );
    let mut texts = || -> Vec<String> {
        tail.poll()
            .expect("readable")
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(texts().is_empty(), "no folder yet");

    core.start_session(1, "alice", "orders");
    for statement in 1..=3 {
        core.begin(
            1,
            statement,
            format!("select {statement}").as_bytes(),
            Decision::Allow,
        );
        core.end(1, statement, Outcome::Completed);
    }
    place(&core);
    let first = texts();
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first[1].contains("select 3"));
    assert!(texts().is_empty(), "nothing new");

    core.begin(1, 4, b"select 4", Decision::Allow);
    core.flush();
    place(&core);
    assert!(texts().is_empty(), "it has not ended");
    core.end(1, 4, Outcome::Completed);
    core.begin(1, 5, b"select 5", Decision::Allow);
    core.flush();
    core.end(1, 5, Outcome::Failed);
    core.begin(1, 6, b"select 6", Decision::Allow);
    place(&core);
    let third = texts();
    assert_eq!(third.len(), 2, "from the segment and from the ring: {third:?}");

    // More than a lap later, over several segments.
    for statement in 7..200 {
        core.begin(
            1,
            statement,
            format!("select {statement}{}", " ".repeat(5000)).as_bytes(),
            Decision::Allow,
        );
        core.end(1, statement, Outcome::Completed);
        core.flush();
    }
    place(&core);
    assert_eq!(texts().len(), 193);

    recover(data.path(), SEGMENT_BYTES).expect("recovers");
    let unknown = texts();
    assert!(
        matches!(&unknown[..], [row] if row.contains("select 6") && row.contains("outcome unknown")),
        "{unknown:?}"
    );

    let next = ChainId {
        boot: BootId([0xb5; 16]),
        core: 0,
    };
    let mut second = Core::start(next);
    second.start_session(1, "carol", "orders");
    Files::of(next, &second).add(data.path(), true);
    assert!(matches!(&texts()[..], [row] if row.contains("carol")));
    assert!(tail.problems.is_empty(), "{:?}", tail.problems);
}

#[test]
fn rows_of_cores_are_merged_by_time() {
    let data = data_folder();
    for core in 0..4 {
        let chain = ChainId {
            boot: CHAIN.boot,
            core,
        };
        let mut core = Core::start(chain);
        core.start_session(u64::from(chain.core) << 48 | 1, "alice", "orders");
        for statement in 1..=5 {
            core.begin(
                u64::from(chain.core) << 48 | 1,
                statement,
                b"select 1",
                Decision::Allow,
            );
        }
        Files::of(chain, &core).add(data.path(), true);
    }
    let rows = rows(data.path(), &Filter::default());
    assert_eq!(rows.len(), 24);
    assert!(rows.is_sorted_by_key(Row::time_ns));
    assert_eq!(statements(data.path()).len(), 20);
}

#[test]
fn t20_rows_show_what_a_client_would_hide() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent\u{202e}", "orders");
    core.begin(1, 1, b"SELECT 1; --\x1b[2K\nDROP TABLE x \xff", Decision::Deny);
    core.end(1, 1, Outcome::Denied);
    Files::of(CHAIN, &core).place(data.path(), true);
    for row in rows(data.path(), &Filter::default()) {
        let line = row.to_string();
        let json = to_json(&row);
        for text in [&line, &json] {
            assert!(
                !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{text:?}"
            );
        }
        let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!(parsed["subject"] == "agent\u{202e}", "{json}");
        if let Row::Statement(_) = row {
            assert!(line.contains("\\x1b[2K\\nDROP TABLE x \\xff"), "{line}");
            assert_eq!(parsed["lossy"], true);
            assert_eq!(parsed["end"]["masked"]["email"], 2);
            assert_eq!(parsed["text_blake3"].as_str().map(str::len), Some(64));
        }
    }
}

#[test]
fn a_damaged_or_foreign_file_does_not_stop_readers() {
    let data = data_folder();
    Files::of(CHAIN, &core()).place(data.path(), true);
    let dir = sluice_audit::names::audit_dir(data.path());
    fs::write(dir.join("README"), b"").expect("written");
    let other = ChainId {
        boot: BootId([2; 16]),
        core: 0,
    };
    fs::write(other.segment_path(&dir, 0), b"short").expect("written");
    fs::write(other.ring_path(&dir), b"short").expect("written");
    assert_eq!(statements(data.path()).len(), 4);
}
