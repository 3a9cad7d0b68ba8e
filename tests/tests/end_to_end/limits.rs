//! What policy permits within limits: reading is cut, writing is withheld or taken back, and the server's state is what
//! the client is told.

use std::time::{Duration, Instant};

use sluice_tests::raw::{
    Raw, ask, bind, bind_with, brief, describe, error_of, execute, execute_some, field, message, parse,
    parse_with, query, sync,
};
use sluice_tests::{Gateway, Postgres, Settings};

/// Reading within ten rows, 64 KiB and a second; changing at most three rows, of which two are shown.
const POLICY: &str = r#"
@id("connect") @max_time("1s") permit (principal, action == Action::"Connect", resource);
@id("reads") @max_rows("10") @max_bytes("64KiB")
permit (principal, action in [Action::"Read", Action::"Execute", Action::"Set", Action::"Copy"], resource);
@id("changes") @max_rows("2") @max_affected("3")
permit (principal, action in [Action::"Insert", Action::"Update", Action::"Delete", Action::"Create"], resource);
"#;

const MANY: &str = "SELECT g FROM log";
const ELEVEN: &str = "SELECT g FROM log LIMIT 11";
const TEN: &str = "SELECT g FROM log LIMIT 10";
const LONG: &str = "SELECT count(*) FROM log a, log b, log c";

fn start() -> (Postgres, Gateway) {
    start_under(POLICY)
}

/// Without `@max_affected`.
fn start_uncounted() -> (Postgres, Gateway) {
    start_under(&POLICY.replace(" @max_affected(\"3\")", ""))
}

fn start_under(policy: &str) -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock SELECT g, 0 FROM generate_series(1, 100) g;
         CREATE TABLE log (g int); INSERT INTO log SELECT generate_series(1, 1000000);
         CREATE TABLE small (n int);
         CREATE FUNCTION bump() RETURNS int LANGUAGE sql AS 'UPDATE stock SET n = n + 1; SELECT 1';
         CREATE TABLE ruled (id int); INSERT INTO ruled VALUES (1);
         CREATE RULE more AS ON UPDATE TO ruled DO ALSO UPDATE stock SET n = n + 1",
    );
    let settings = Settings {
        policy: Some(policy.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    (postgres, gateway)
}

fn session(gateway: &Gateway) -> Raw {
    Raw::log_in(gateway.port(), "tester", "pencil", "shop")
}

/// Whether the server still runs something that was to be stopped.
fn is_busy(postgres: &Postgres) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%FROM log%' \
               AND pid <> pg_backend_pid()";
    postgres.sql("postgres", sql) != "0"
}

#[test]
fn reading_is_cut_at_its_place() {
    let (postgres, gateway) = start();
    let extended = |sql: &str| [parse("", sql), bind("", ""), execute("")].concat();
    let described = |sql: &str| [parse("", sql), bind("", ""), describe(b'P', ""), execute("")].concat();
    let copy = format!("COPY ({MANY}) TO STDOUT");
    let copy_ten = format!("COPY ({TEN}) TO STDOUT");
    let small = "SELECT 1";
    let wide = "SELECT repeat('x', 10000) FROM stock";
    let huge = "SELECT repeat('x', 1000000) FROM stock";
    for (name, sent, cycles, want) in [
        ("as many as may be", vec![query(TEN)], 1, "T 10D C ZI"),
        ("many", vec![query(MANY)], 1, "T 10D E54000 ZI"),
        ("one more", vec![query(ELEVEN)], 1, "T 10D E54000 ZI"),
        (
            "in a transaction it has failed, however the cancel comes",
            vec![
                query("BEGIN"),
                query(ELEVEN),
                query(small),
                query("ROLLBACK"),
                query(small),
            ],
            5,
            "C ZT T 10D E54000 ZE E25P02 ZE C ZI T D C ZI",
        ),
        (
            "many in a transaction",
            vec![query("BEGIN"), query(MANY), query("COMMIT"), query(small)],
            4,
            "C ZT T 10D E54000 ZE C ZI T D C ZI",
        ),
        (
            "in a string",
            vec![query(&format!("SELECT 1; {ELEVEN}; SELECT 2")), query(small)],
            2,
            "T D C T 10D E54000 ZI T D C ZI",
        ),
        (
            "many in a string",
            vec![query(&format!("SELECT 1; {MANY}; SELECT 2")), query(small)],
            2,
            "T D C T 10D E54000 ZI T D C ZI",
        ),
        (
            "COPY",
            vec![query(&copy), query(small)],
            2,
            "H 10d E54000 ZI T D C ZI",
        ),
        (
            "COPY of as many as may be",
            vec![query(&copy_ten)],
            1,
            "H 10d c C ZI",
        ),
        (
            "bytes",
            vec![query(wide), query(small)],
            2,
            "T 6D E54000 ZI T D C ZI",
        ),
        (
            "a huge row",
            vec![query(huge), query(small)],
            2,
            "T E54000 ZI T D C ZI",
        ),
        ("extended", vec![extended(MANY), sync()], 1, "1 2 10D E54000 ZI"),
        (
            "extended, as many as may be",
            vec![extended(TEN), sync()],
            1,
            "1 2 10D C ZI",
        ),
        (
            "described",
            vec![described(ELEVEN), sync()],
            1,
            "1 2 T 10D E54000 ZI",
        ),
        (
            "extended bytes",
            vec![extended(wide), sync()],
            1,
            "1 2 6D E54000 ZI",
        ),
        (
            "extended COPY",
            vec![extended(&copy), sync()],
            1,
            "1 2 H 10d E54000 ZI",
        ),
        (
            "what stands behind it in the pipeline is skipped up to the Sync",
            vec![
                extended(ELEVEN),
                extended("SELECT 2"),
                sync(),
                extended(small),
                sync(),
            ],
            2,
            "1 2 10D E54000 ZI 1 2 D C ZI",
        ),
        (
            "what stands before it has run",
            vec![extended(small), extended(MANY), sync()],
            1,
            "1 2 D C 1 2 10D E54000 ZI",
        ),
        (
            "extended in a transaction",
            vec![
                query("BEGIN"),
                extended(ELEVEN),
                sync(),
                query(small),
                query("ROLLBACK"),
            ],
            4,
            "C ZT 1 2 10D E54000 ZE E25P02 ZE C ZI",
        ),
        (
            "a portal in parts",
            vec![
                parse("", MANY),
                bind("", ""),
                execute_some("", 4),
                execute_some("", 4),
                execute_some("", 4),
                sync(),
                query(small),
            ],
            2,
            "1 2 4D s 4D s 2D E54000 ZI T D C ZI",
        ),
    ] {
        let mut session = session(&gateway);
        let messages = ask(&mut session, &sent, cycles);
        assert_eq!(brief(&messages), want, "{name}");
    }
    assert!(!is_busy(&postgres));
    let cut = gateway
        .statements(" FROM ")
        .into_iter()
        .filter(|statement| statement["outcome"] == "limited")
        .count();
    assert_eq!(cut, 17);
    assert!(gateway.metric("sluice_statements_limited_total") > 16.5);
}

#[test]
fn an_error_says_which_limit_and_what_to_do() {
    let (_postgres, gateway) = start();
    let mut session = session(&gateway);
    let messages = ask(&mut session, &[query(MANY)], 1);
    let error = error_of(&messages);
    let message = field(error, b'M').expect("a message");
    assert_eq!(
        message,
        "sluice: the statement gives more than the 10 rows that policy permits (@max_rows)"
    );
    let hint = field(error, b'H').expect("a hint");
    assert_eq!(hint, "Ask for fewer rows: LIMIT 10, or a WHERE that names them.");
    let detail: serde_json::Value =
        serde_json::from_str(&field(error, b'D').expect("a detail")).expect("JSON");
    assert_eq!(
        (&detail["cause"], &detail["limit"], &detail["max"]),
        (&"limit".into(), &"max_rows".into(), &10.into())
    );
    let request = detail["request"].as_str().expect("a request").to_owned();
    let (session_name, statement) = request.rsplit_once('/').expect("session and statement");
    let recorded = gateway.statements("FROM log").remove(0);
    assert_eq!(recorded["session"], session_name);
    assert_eq!(recorded["statement"].to_string(), statement);
    let why = gateway.why(&[MANY]);
    assert!(
        why.stdout
            .contains("within @max_rows(\"10\") @max_bytes(\"65536B\") @max_time(\"1000ms\")"),
        "{why:?}"
    );
    assert_eq!(
        (&recorded["outcome"], &recorded["end"]["rows"]),
        (&"limited".into(), &10.into())
    );
}

#[test]
fn time_is_up_for_every_statement() {
    let (postgres, gateway) = start();
    for sent in [
        vec![query(LONG)],
        vec![parse("", LONG), bind("", ""), execute(""), sync()],
        vec![query(
            "SELECT 1; SELECT count(*) FROM generate_series(1, 4000000000) g; SELECT 2",
        )],
    ] {
        let mut session = session(&gateway);
        let begun = Instant::now();
        let messages = ask(&mut session, &sent, 1);
        let outline = brief(&messages);
        assert!(outline.ends_with("E57014 ZI"), "{outline}");
        assert!(
            begun.elapsed() >= Duration::from_millis(900),
            "{:?}",
            begun.elapsed()
        );
        let message = field(error_of(&messages), b'M').expect("a message");
        assert!(
            message.contains("longer than") && message.contains("@max_time"),
            "{message}"
        );
        // It is the statement's time, not the session's.
        assert_eq!(brief(&ask(&mut session, &[query("SELECT 1")], 1)), "T D C ZI");
    }
    assert!(!is_busy(&postgres));
}

#[test]
fn what_writes_is_never_cut() {
    let (postgres, gateway) = start();
    let update = "UPDATE stock SET n = n + 1 WHERE id <= 3 RETURNING id";
    for (sent, want) in [
        (
            vec![query("BEGIN"), query(update), query("COMMIT")],
            "C ZT T 2D C ZT C ZI",
        ),
        (
            vec![parse("", update), bind("", ""), execute(""), sync()],
            "1 2 2D C ZI",
        ),
    ] {
        let before = postgres.sql("shop", "SELECT sum(n) FROM stock");
        let mut session = session(&gateway);
        let cycles = want.matches('Z').count();
        let messages = ask(&mut session, &sent, cycles);
        assert_eq!(brief(&messages), want);
        let warning = messages.iter().find(|(tag, _)| *tag == b'N').expect("a warning");
        assert_eq!(field(&warning.1, b'S').as_deref(), Some("WARNING"));
        assert_eq!(field(&warning.1, b'C').as_deref(), Some("01000"));
        let after = postgres.sql("shop", "SELECT sum(n) FROM stock");
        assert_eq!(after.parse::<i64>().unwrap(), before.parse::<i64>().unwrap() + 3);
    }
}

#[test]
fn changes_over_the_limit_are_taken_back() {
    let (postgres, gateway) = start();
    let update = |rows: u32| format!("UPDATE stock SET n = n + 1 WHERE id <= {rows}");
    let extended = |sql: &str| [parse("", sql), bind("", ""), execute("")].concat();
    for (name, sent, want, changed) in [
        ("three", vec![extended(&update(3)), sync()], "1 2 C ZI", 3),
        ("four", vec![extended(&update(4)), sync()], "1 2 E54000 ZI", 0),
        (
            "four behind two, up to one Sync",
            vec![extended(&update(2)), extended(&update(4)), sync()],
            "1 2 C 1 2 E54000 ZI",
            0,
        ),
        (
            "four in a transaction",
            vec![
                query("BEGIN"),
                query(&update(1)),
                query(&update(4)),
                query("COMMIT"),
            ],
            "C ZT C ZT E54000 ZE C ZI",
            0,
        ),
        (
            "three in a transaction",
            vec![query("BEGIN"), query(&update(3)), query("COMMIT")],
            "C ZT C ZT C ZI",
            3,
        ),
        (
            "a Query that commits itself",
            vec![query(&update(1))],
            "E54000 ZI",
            0,
        ),
        (
            "of several in a string nobody can tell in time",
            vec![
                query("BEGIN"),
                query(&format!("{}; {}", update(1), update(1))),
                query("COMMIT"),
            ],
            "C ZT E54000 ZE C ZI",
            0,
        ),
        (
            "in parts the server tells too late",
            vec![
                parse("", "UPDATE stock SET n = n + 1 RETURNING id"),
                bind("", ""),
                execute_some("", 1),
                sync(),
            ],
            "1 2 E54000 ZI",
            0,
        ),
        (
            "functions change what is not counted",
            vec![extended("INSERT INTO small SELECT bump()"), sync()],
            "1 2 E54000 ZI",
            0,
        ),
        (
            "and so do rules",
            vec![extended("UPDATE ruled SET id = 2"), sync()],
            "1 2 E54000 ZI",
            0,
        ),
        (
            "changes in WITH are not counted",
            vec![
                extended(
                    "WITH gone AS (UPDATE stock SET n = 9 RETURNING id) UPDATE stock SET n = 1 WHERE id = 1",
                ),
                sync(),
            ],
            "1 2 E54000 ZI",
            0,
        ),
        (
            "nor are those of a SELECT",
            vec![
                extended("WITH gone AS (UPDATE stock SET n = 9 RETURNING id) SELECT count(*) FROM gone"),
                sync(),
            ],
            "1 2 E54000 ZI",
            0,
        ),
    ] {
        let before = postgres.sql("shop", "SELECT sum(n) FROM stock");
        let mut session = session(&gateway);
        let messages = ask(&mut session, &sent, want.matches('Z').count());
        assert_eq!(brief(&messages), want, "{name}");
        let after = postgres.sql("shop", "SELECT sum(n) FROM stock");
        assert_eq!(
            after.parse::<i64>().unwrap() - before.parse::<i64>().unwrap(),
            changed,
            "{name}"
        );
    }
}

#[test]
fn a_cancel_strikes_nothing_behind() {
    let (_postgres, gateway) = start();
    let mut session = session(&gateway);
    // The server is done, or nearly, when the cancel goes out; the next statement must never feel it.
    for round in 0..40 {
        let sql = format!("SELECT g FROM log LIMIT {}", 11 + round * 40);
        let slow = "SELECT count(*) FROM generate_series(1, 20000) g";
        let messages = ask(&mut session, &[query(&sql), query(slow)], 2);
        assert_eq!(brief(&messages), "T 10D E54000 ZI T D C ZI", "{sql}");
    }
}

#[test]
fn drivers_read_on_behind_a_limit() {
    let (_postgres, gateway) = start();
    assert_eq!(gateway.python("limits.py", &[]).trim(), "ok");
}

#[test]
fn a_session_goes_on_behind_every_failure() {
    let (_postgres, gateway) = start_uncounted();
    let limited = |sql: &str| [parse("", sql), bind("", ""), execute("")].concat();
    let small = "SELECT g FROM log LIMIT 1";
    for (name, sent, cycles, want) in [
        (
            "a value that is none",
            vec![
                parse_with("", "SELECT g FROM log WHERE g = $1", &[23]),
                bind_with("", "", &["zz"]),
                execute(""),
                sync(),
                query(small),
            ],
            2,
            "1 E22P02 ZI T D C ZI",
        ),
        (
            "no such table",
            vec![limited("SELECT g FROM nolog"), sync(), query(small)],
            2,
            "E42P01 ZI T D C ZI",
        ),
        (
            "a denied one in front",
            vec![limited("TRUNCATE log"), limited(small), sync(), query(small)],
            2,
            "E42501 ZI T D C ZI",
        ),
        (
            "in a failed transaction",
            vec![
                query("BEGIN"),
                query("SELECT 1/0"),
                limited(small),
                sync(),
                query("ROLLBACK"),
                query(small),
            ],
            5,
            "C ZT E22012 ZE E25P02 ZE C ZI T D C ZI",
        ),
        (
            "a Describe of nothing",
            vec![describe(b'S', "none"), limited(small), sync(), query(small)],
            2,
            "E26000 ZI T D C ZI",
        ),
        (
            "data behind a Sync that the server ignores",
            vec![
                parse("", "COPY small FROM STDIN"),
                bind("", ""),
                execute(""),
                sync(),
                message(b'd', b"1\n"),
                message(b'c', b""),
                sync(),
                query(small),
            ],
            2,
            "1 2 G C ZI T D C ZI",
        ),
    ] {
        let mut session = session(&gateway);
        let begun = Instant::now();
        // Message by message, so that each is sent before the answer to the one before has come, or behind it.
        assert!(session.send(&sent.concat()));
        let messages = session.receive_until_ready(cycles);
        assert_eq!(brief(&messages), want, "{name}");
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn time_is_no_matter_of_what_the_client_waits_for() {
    let (postgres, gateway) = start();
    let mut session = session(&gateway);
    // The Sync comes late, and the statement was done at once.
    assert!(session.send(&[parse("", "SELECT g FROM log LIMIT 1"), bind("", ""), execute("")].concat()));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(brief(&ask(&mut session, &[sync()], 1)), "1 2 D C ZI");
    // Behind a message that the server has answered into its buffer.
    let messages = ask(&mut session, &[parse("", "SELECT 1"), query(LONG)], 1);
    assert_eq!(brief(&messages), "1 T E57014 ZI");
    // Several in one Query have their time together: the server tells of none before all are done.
    let naps = "SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4)";
    assert_eq!(
        brief(&ask(&mut session, &[query(naps)], 1)),
        "T D C T D C T D C ZI"
    );
    // A client that goes away takes its statement with it.
    let mut gone = self::session(&gateway);
    assert!(gone.send(&query(LONG)));
    sluice_tests::wait_until("the long statement", || is_busy(&postgres));
    drop(gone);
    sluice_tests::wait_until("its end", || !is_busy(&postgres));
}

#[test]
fn what_was_committed_is_told_so() {
    let (postgres, gateway) = start();
    let mut session = session(&gateway);
    assert_eq!(
        brief(&ask(
            &mut session,
            &[query("BEGIN"), query("UPDATE stock SET n = 7 WHERE id = 1")],
            2
        )),
        "C ZT C ZT"
    );
    postgres.sql(
        "postgres",
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
    );
    postgres.sql("postgres", "SELECT pg_reload_conf()");
    sluice_tests::wait_until("a commit that waits", || {
        postgres.sql("postgres", "SHOW synchronous_standby_names") == "nobody"
    });
    // The wait is cancelled; the transaction is there.
    assert_eq!(brief(&ask(&mut session, &[query("COMMIT")], 1)), "C ZI");
    postgres.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    postgres.sql("postgres", "SELECT pg_reload_conf()");
    assert_eq!(postgres.sql("shop", "SELECT n FROM stock WHERE id = 1"), "7");
}

#[test]
fn every_way_to_more_is_counted() {
    let (_postgres, gateway) = start();
    let wide = "SELECT repeat('x', 20000) FROM stock";
    let in_parts: Vec<_> = (0..8).map(|_| execute_some("", 1)).collect();
    let count_calls = "COPY (SELECT g FROM log) TO STDOUT";
    for (name, sent, cycles, want) in [
        (
            "bytes of a portal in parts",
            [vec![parse("", wide), bind("", "")], in_parts, vec![sync()]].concat(),
            1,
            "1 2 D s D s D s E54000 ZI",
        ),
        (
            "an error that is longer than what may be told",
            vec![query(
                "SELECT string_agg(g::text, ',')::int FROM log WHERE g < 50000",
            )],
            1,
            "T E54000 ZI",
        ),
        (
            "COPY by Execute is stopped",
            vec![parse("", count_calls), bind("", ""), execute(""), sync()],
            1,
            "1 2 H 10d E54000 ZI",
        ),
        (
            "binary COPY of as many as may be",
            vec![query(
                "COPY (SELECT g FROM log LIMIT 10) TO STDOUT (FORMAT binary)",
            )],
            1,
            "H 11d c C ZI",
        ),
        (
            "a call by OID tells nothing of rows",
            vec![
                message(b'F', &[&715u32.to_be_bytes()[..], &[0; 6]].concat()),
                query("SELECT 1"),
            ],
            2,
            "E54000 ZI T D C ZI",
        ),
        (
            "a warning is of one statement",
            vec![
                query("BEGIN"),
                query("UPDATE stock SET n = 1 WHERE id < 4 RETURNING id"),
                query("SELECT 1"),
                query("COMMIT"),
            ],
            4,
            "C ZT T 2D C ZT T D C ZT C ZI",
        ),
    ] {
        let mut session = session(&gateway);
        assert_eq!(brief(&ask(&mut session, &sent, cycles)), want, "{name}");
    }
    let called = gateway.statements("function call");
    assert!(
        called.len() == 1 && called[0]["outcome"] == "denied",
        "{called:?}"
    );
}

#[test]
fn a_message_that_cannot_be_taken_back_ends_the_session_and_is_on_record() {
    let (_postgres, gateway) = start_uncounted();
    let mut session = session(&gateway);
    assert!(session.send(&query(&format!(
        "INSERT INTO small VALUES (1); {ELEVEN}; SELECT 77"
    ))));
    let mut messages = Vec::new();
    while let Some(message) = session.receive() {
        messages.push(message);
    }
    assert_eq!(brief(&messages), "C T 10D E54000");
    assert_eq!(field(error_of(&messages), b'S').as_deref(), Some("FATAL"));
    let ended = gateway.statements("LIMIT 11");
    assert_eq!(ended[0]["outcome"], "limited", "{ended:?}");
    let mut texts = gateway
        .record()
        .into_iter()
        .filter(|row| row["kind"] == "statement");
    assert!(texts.all(|row| row["outcome"] != "running"));
}

#[test]
fn a_discarded_parse_hides_nothing_of_what_runs() {
    let (postgres, gateway) = start();
    let hide = |runs: &str, shows: &str| {
        vec![
            parse("", runs),
            describe(b'P', "none"),
            parse("", shows),
            sync(),
            bind("", ""),
            execute(""),
            sync(),
        ]
    };
    for (name, runs, shows, want) in [
        (
            "a change over its limit",
            "UPDATE stock SET n = n + 1",
            "SELECT 1",
            "1 E34000 ZI E55000 ZI",
        ),
        (
            "more rows than permitted",
            "SELECT g FROM log LIMIT 20",
            "SELECT 1",
            "1 E34000 ZI E55000 ZI",
        ),
    ] {
        let mut session = session(&gateway);
        let messages = ask(&mut session, &hide(runs, shows), 2);
        assert_eq!(brief(&messages), want, "{name}");
        // Behind the answers it is what it is.
        let messages = ask(&mut session, &[bind("", ""), execute(""), sync()], 1);
        assert_eq!(brief(&messages).split(' ').next(), Some("2"), "{name}");
        assert!(
            brief(&messages).ends_with("E54000 ZI"),
            "{name}: {}",
            brief(&messages)
        );
    }
    assert_eq!(postgres.sql("shop", "SELECT sum(n) FROM stock"), "0");
}

#[test]
fn what_the_server_discards_holds_nobody_up() {
    let (_postgres, gateway) = start();
    for sent in [
        vec![
            describe(b'P', "x"),
            query("SELECT nonesuchf(1)"),
            query("SELECT 1"),
            query("SELECT g FROM log LIMIT 1"),
            sync(),
        ],
        vec![
            parse("", "SELEC"),
            query("SELECT 1"),
            query("SELECT 1"),
            query("INSERT INTO small VALUES (1)"),
            sync(),
        ],
        vec![
            parse("", "SELEC"),
            execute("p"),
            query("SELECT 1"),
            query("COPY small FROM STDIN"),
            sync(),
        ],
    ] {
        let mut session = session(&gateway);
        let begun = Instant::now();
        let messages = ask(&mut session, &sent, 1);
        assert!(brief(&messages).ends_with(" ZI"), "{}", brief(&messages));
        assert_eq!(brief(&ask(&mut session, &[query("SELECT 1")], 1)), "T D C ZI");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}
