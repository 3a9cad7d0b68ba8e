//! `sluice policy suggest`: what is on record is permitted, and what is next to it is not.

use std::fs;
use std::process::Command;

use serde_json::Value;
use sluice_audit::record::{Decision, FORM, ListBuffer, Method, Protocol, SessionStart, StatementBegin};
use sluice_parsers::sql::effect::{Action, Effect, Object, ObjectKind};
use sluice_policy::write_effect;
use sluice_tests::raw::{bind, execute, parse, query, sync};
use sluice_tests::{Gateway, Log, Postgres, Settings, run};
use tempfile::TempDir;

const POLICY: &str = r#"
@id("all") permit (principal, action, resource);
@id("no-card") forbid (principal, action == Action::"Read", resource in Column::"shop/shop/public.customers.card");
"#;

const TABLES: &str = r#"
    CREATE TABLE customers (id int PRIMARY KEY, name text, email text, card text, ssn text);
    CREATE TABLE orders (id int, note text);
    CREATE TABLE "Odd (id)" (id int);
    CREATE TABLE logs (id int);
    CREATE TABLE people (id int PRIMARY KEY, email text);
    CREATE TABLE visits (person_id int REFERENCES people);
    CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
"#;

/// The statements of a working day, and whether a suggestion covers them.
const DAY: &[(&str, bool)] = &[
    ("SELECT id, name FROM customers WHERE id = 1", true),
    ("SELECT count(*) FROM orders", true),
    ("SELECT id FROM customers ORDER BY email", true),
    ("SELECT id FROM \"Odd (id)\"", true),
    ("INSERT INTO orders VALUES (1, 'x')", true),
    ("UPDATE orders SET note = 'y' WHERE id = 1", true),
    ("DELETE FROM orders WHERE id = 1", true),
    ("INSERT INTO people VALUES (1, 'a@b.c')", true),
    ("INSERT INTO visits VALUES (1)", true),
    ("SELECT plus(1, 2)", true),
    ("SELECT pg_advisory_lock(1)", true),
    ("SELECT relname FROM pg_class WHERE relname = 'orders'", true),
    ("SET search_path = public", true),
    ("BEGIN", true),
    ("COMMIT", true),
    // Permitted, and it fails: there is such a row.
    ("INSERT INTO people VALUES (1, 'a@b.c')", true),
    ("SELECT card FROM customers", false),
    ("SELECT nobody FROM logs", false),
    ("DELETE FROM logs", false),
    ("TRUNCATE logs", false),
    ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", false),
    ("SELECT query FROM pg_stat_activity", false),
    ("GRANT SELECT ON logs TO PUBLIC", false),
];

fn gateway() -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql("shop", TABLES);
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
        columns: "\"public.customers.email\" = \"email\"\n\"public.customers.ssn\" = \"us_ssn\"".to_owned(),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    for (sql, _) in DAY {
        raw.send(&query(sql));
        raw.receive_until_ready(1);
    }
    raw.send(
        &[
            parse("", "SELECT note FROM orders"),
            bind("", ""),
            execute(""),
            sync(),
        ]
        .concat(),
    );
    raw.receive_until_ready(1);
    (postgres, gateway)
}

fn sluice(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.sluice_here(arguments);
    assert!(output.success, "{arguments:?}: {output:?}");
    output.stdout
}

fn json(gateway: &Gateway, arguments: &[&str]) -> Value {
    serde_json::from_str(&sluice(gateway, arguments)).expect("JSON")
}

/// What is decided by a policy in a file.
fn allows(gateway: &Gateway, policy: &str, sql: &str) -> bool {
    let output = gateway.why(&["--json", "--policy", policy, sql]);
    assert!(output.success, "{policy}: {output:?}");
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    report["statements"][0]["is_allowed"]
        .as_bool()
        .expect("a decision")
}

#[test]
fn a_suggestion_permits_what_was_recorded_and_not_what_is_next_to_it() {
    let (_postgres, gateway) = gateway();
    let suggest = [
        "policy",
        "suggest",
        "--config",
        "sluice.toml",
        "--since",
        "1h",
        "--identity",
        "tester",
    ];
    let summary = sluice(
        &gateway,
        &[&suggest[..], &["--output", "next.cedar", "--tests", "cases.toml"]].concat(),
    );
    assert!(
        summary.starts_with(
            "24 statements recorded\n16 of 14 kinds covered\n1 permitted that failed or have no recorded end\n"
        ) && summary.contains("2 left out: it destroys"),
        "{summary}"
    );
    let count_of = |line: &str| {
        line.split_once(' ')
            .and_then(|(count, _)| count.parse::<u64>().ok())
    };
    let counts: Vec<_> = summary.lines().filter_map(count_of).collect();
    assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "{summary}");
    let policy = fs::read_to_string(gateway.folder().join("next.cedar")).expect("the policy");
    for (sql, is_covered) in DAY {
        assert_eq!(
            allows(&gateway, "next.cedar", sql),
            *is_covered,
            "{sql}\n{policy}"
        );
    }
    for (sql, is_allowed) in [
        ("SELECT name FROM customers", true),
        ("SELECT email FROM customers", true),
        ("SELECT ssn FROM customers", false),
        ("SELECT * FROM customers", false),
        ("SELECT count(*) FROM customers", true),
        ("SELECT id FROM customers WHERE email = 'a@b.c'", false),
        ("SELECT count(customers) FROM customers", false),
        ("SELECT id FROM logs", false),
        ("UPDATE orders SET note = 'y'", false),
        ("DELETE FROM orders", false),
        ("INSERT INTO \"Odd (id)\" VALUES (1)", false),
        ("INSERT INTO logs VALUES (1)", false),
        ("LOCK orders", false),
        ("SET role = 'postgres'", false),
        ("SET session_replication_role = 'replica'", false),
        ("SELECT pg_sleep(1)", false),
        ("CREATE TABLE more (id int)", false),
        ("SET datestyle = 'ISO'", true),
    ] {
        assert_eq!(allows(&gateway, "next.cedar", sql), is_allowed, "{sql}\n{policy}");
    }
    // The test file agrees, with cases of both kinds.
    let cases = fs::read_to_string(gateway.folder().join("cases.toml")).expect("the cases");
    assert!(cases.matches("expect = \"allow\"").count() >= 10, "{cases}");
    assert!(
        cases.contains("DELETE FROM \"public\".\"orders\"") && cases.contains("SELECT \"ssn\""),
        "{cases}"
    );
    let test = [
        "policy",
        "test",
        "--config",
        "sluice.toml",
        "--policy",
        "next.cedar",
        "cases.toml",
    ];
    assert!(sluice(&gateway, &test).ends_with(" 0 not as expected\n"));
    // Replayed over the same record it permits all that it says it covers, and no more.
    let report = json(&gateway, &[&suggest[..], &["--json"]].concat());
    let replay = [
        "policy",
        "replay",
        "--config",
        "sluice.toml",
        "--json",
        "next.cedar",
    ];
    let replayed = json(&gateway, &replay);
    let allowed: u64 = replayed["decided"]
        .as_array()
        .expect("counts")
        .iter()
        .filter(|count| count["would_be"] == "allow")
        .filter_map(|count| count["statements"].as_u64())
        .sum();
    let count = |name: &str| {
        report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {report:#}"))
    };
    let permitted = count("covered") + count("covered_unfinished");
    assert_eq!(allowed, permitted, "{replayed:#} {report:#}");
    // Every recorded statement is in one count.
    let left_out = report["left_out"].as_array().expect("a list").iter();
    let left_out: u64 = left_out.filter_map(|one| one["statements"].as_u64()).sum();
    assert_eq!(left_out, count("not_covered"), "{report:#}");
    assert_eq!(permitted + left_out, count("statements"), "{report:#}");
    assert_eq!(
        count("statements"),
        gateway.statements("").len() as u64,
        "{report:#}"
    );
    assert!(
        policy.contains("24 statements recorded.")
            && policy.contains(
                "16 ran and are covered; 1 more that it permits failed or have no recorded end; 7 left out."
            ),
        "{policy}"
    );
    let mut why: Vec<&str> = report["left_out"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["why"].as_str().expect("a word"))
        .collect();
    why.sort_unstable();
    assert_eq!(
        why,
        [
            "administrative",
            "denied",
            "destructive",
            "destructive",
            "failed",
            "opaque",
            "sensitive"
        ],
        "{report:#}"
    );
    for told in [
        "// Left out:",
        "// - policy denied it:",
        "1 x SELECT card FROM customers",
        "1 x TRUNCATE logs",
    ] {
        assert!(policy.contains(told), "{told}: {policy}");
    }
}

#[test]
fn more_is_covered_if_somebody_asks_for_it() {
    let (_postgres, gateway) = gateway();
    let suggest = [
        "policy",
        "suggest",
        "--config",
        "sluice.toml",
        "--group",
        "testers",
    ];
    let include = ["--include", "destructive,sensitive", "--output", "next.cedar"];
    sluice(&gateway, &[&suggest[..], &include].concat());
    let policy = fs::read_to_string(gateway.folder().join("next.cedar")).expect("the policy");
    assert!(policy.contains("principal in Group::\"testers\""), "{policy}");
    for (sql, is_allowed) in [
        ("DELETE FROM logs", true),
        ("TRUNCATE logs", true),
        ("TRUNCATE logs CASCADE", false),
        ("TRUNCATE orders", false),
        ("DELETE FROM orders", false),
        ("SELECT query FROM pg_stat_activity", true),
        ("SELECT rolpassword FROM pg_authid", false),
        ("GRANT SELECT ON logs TO PUBLIC", false),
        ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", false),
    ] {
        assert_eq!(allows(&gateway, "next.cedar", sql), is_allowed, "{sql}\n{policy}");
    }
}

#[test]
fn what_cannot_be_suggested_says_why() {
    let (_postgres, gateway) = gateway();
    for (arguments, told) in [
        (&["--identity", "nobody"][..], "no statement is recorded"),
        (&["--group", "nobody"], "no statement is recorded"),
        (
            &["--identity", "tester", "--issuer", "https://a.example"],
            "no statement is recorded",
        ),
        (&[], "--identity"),
        (
            &["--identity", "tester", "--group", "testers"],
            "cannot be used with",
        ),
        (
            &["--identity", "tester", "--include", "everything"],
            "destructive",
        ),
        (
            &["--identity", "tester", "--output", "missing/next.cedar"],
            "cannot write missing/next.cedar",
        ),
    ] {
        let suggest = ["policy", "suggest", "--config", "sluice.toml"];
        let output = gateway.sluice_here(&[&suggest[..], arguments].concat());
        assert!(
            !output.success && output.stderr.contains(told),
            "{arguments:?}: {output:?}"
        );
    }
}

/// Names and texts are the clients' to choose, and become parts of a policy and its comments.
#[test]
fn what_clients_name_does_not_get_out_of_its_quotes() {
    let data = TempDir::new().expect("a folder");
    let subject = "agent\"); permit (principal, action, resource); // \\";
    let table = "t\"); permit (principal, action, resource); // '";
    let start = SessionStart {
        issuer: "https://a.example",
        subject,
        method: Method::Oidc,
        client: "10.0.0.1:5000",
        connection: "orders",
        database: b"shop\"",
        form: FORM,
        ..SessionStart::default()
    };
    let startup = ListBuffer::of(["user", "token", "options", "-c search_path=app"]);
    let start = SessionStart {
        startup: startup.as_list(),
        ..start
    };
    let reads = |name: &str| {
        let object = Object::in_schema(ObjectKind::Relation, "public", name);
        ListBuffer::of([write_effect(&Effect::new(Action::Read, object))])
    };
    let drops = ListBuffer::of(["Drop relation public.t"]);
    let (odd, hidden, plain) = (reads(table), reads("\u{202e}t\n"), reads("t"));
    let mut log = Log::create(data.path());
    let session = log.start(1, start);
    for (effects, text) in [
        (&odd, "SELECT 1\npermit (principal, action, resource);"),
        (
            &drops,
            "DROP TABLE t\r\npermit (principal, action, resource);\u{2028}permit (principal, action, resource);",
        ),
        (&hidden, "SELECT 3"),
        (&plain, "SELECT 2"),
    ] {
        let begin = StatementBegin {
            protocol: Protocol::Simple,
            text: text.as_bytes(),
            effects: effects.as_list(),
            decision: Decision::Allow,
            ..StatementBegin::default()
        };
        log.statement(2, session, begin);
    }
    log.seal(3);
    let sluice = |arguments: &[&str]| {
        let mut command = Command::new(sluice_tests::sluice());
        command.current_dir(data.path()).args(arguments);
        let output = run(&mut command);
        assert!(output.success, "{arguments:?}: {output:?}");
        output.stdout
    };
    sluice(&[
        "policy",
        "suggest",
        "--dir",
        ".",
        "--identity",
        subject,
        "--output",
        "next.cedar",
        "--tests",
        "cases.toml",
    ]);
    let policy = fs::read_to_string(data.path().join("next.cedar")).expect("the policy");
    let replayed: Value = serde_json::from_str(&sluice(&[
        "policy",
        "replay",
        "--dir",
        ".",
        "--json",
        "next.cedar",
    ]))
    .expect("JSON");
    let decided: Vec<_> = replayed["decided"].as_array().expect("counts").iter().collect();
    assert_eq!(decided.len(), 2, "{policy}\n{replayed:#}");
    assert_eq!(
        (&decided[0]["would_be"], &decided[0]["statements"]),
        (&"allow".into(), &2.into()),
        "{replayed:#}"
    );
    assert_eq!(
        (&decided[1]["would_be"], &decided[1]["statements"]),
        (&"deny".into(), &2.into()),
        "{replayed:#}"
    );
    assert!(policy.contains("Setting::\"search_path\""), "{policy}");
    let lines = policy
        .lines()
        .filter(|line| line.trim_start().starts_with("permit"));
    assert_eq!(lines.count(), policy.matches("@id(").count(), "{policy}");
    let cases: toml::Table = fs::read_to_string(data.path().join("cases.toml"))
        .expect("the cases")
        .parse()
        .expect("TOML");
    assert_eq!(cases["identity"].as_str(), Some(subject));
}
