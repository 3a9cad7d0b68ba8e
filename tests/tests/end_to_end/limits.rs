//! What policy permits within limits: reading is cut, writing is withheld or taken back, and the server's state is what
//! the client is told.

use std::time::{Duration, Instant};

use sluice_tests::raw::{
    Message, Raw, bind, describe, execute, execute_some, field, outline, parse, query, sync,
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
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock SELECT g, 0 FROM generate_series(1, 100) g;
         CREATE TABLE log (g int); INSERT INTO log SELECT generate_series(1, 1000000)",
    );
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
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

/// Rows and pieces of COPY data in a row as one word.
fn brief(messages: &[Message]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for word in outline(messages).split(' ') {
        match words.last_mut() {
            Some((last, times)) if last == word && matches!(word, "D" | "d") => *times += 1,
            _ => words.push((word.to_owned(), 1)),
        }
    }
    let word = |(word, times): (String, usize)| match times {
        1 => word,
        times => format!("{times}{word}"),
    };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn ask(session: &mut Raw, sent: &[Vec<u8>], cycles: usize) -> Vec<Message> {
    assert!(session.send(&sent.concat()));
    session.receive_until_ready(cycles)
}

fn error_of(messages: &[Message]) -> &[u8] {
    &messages.iter().find(|(tag, _)| *tag == b'E').expect("an error").1
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
        "sluice: the statement gives more than 10 rows, which policy permits (@max_rows)"
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
            message.contains("longer than 1s") && message.contains("@max_time"),
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
