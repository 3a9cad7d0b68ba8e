//! A denied statement is an error at its place, and the server's state is what it would be.

use sluice_tests::raw::{Raw, bind, execute, field, message, outline, parse, query, startup, sync};
use sluice_tests::{Gateway, Settings};

use crate::shared::{NO_DELETE, gateway_without_delete, postgres};

/// A raw session through the gateway, logged in by the SCRAM of a helper.
fn session(gateway: &Gateway) -> Raw {
    Raw::log_in(gateway.port(), "tester", "pencil", "shop")
}

#[test]
fn the_place_and_state_of_a_denial() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let delete = "DELETE FROM victim";
    for (name, sent, cycles, want) in [
        ("simple", vec![query(delete)], 1, "E42501 ZI"),
        (
            "in the middle of a string: what stands before runs, what stands behind does not",
            vec![query("SELECT 1; DELETE FROM victim; SELECT 2")],
            1,
            "T D C E42501 ZI",
        ),
        (
            "in a transaction",
            vec![
                query("BEGIN"),
                query(delete),
                query("SELECT 1"),
                query("ROLLBACK"),
            ],
            4,
            "C ZT E42501 ZE E25P02 ZE C ZI",
        ),
        (
            "parse",
            vec![parse("", delete), bind("", ""), execute(""), sync()],
            1,
            "E42501 ZI",
        ),
        (
            "pipeline with neighbours",
            vec![
                parse("", "SELECT 1"),
                bind("", ""),
                execute(""),
                sync(),
                parse("", delete),
                bind("", ""),
                execute(""),
                sync(),
                parse("", "SELECT 2"),
                bind("", ""),
                execute(""),
                sync(),
            ],
            3,
            "1 2 D C ZI E42501 ZI 1 2 D C ZI",
        ),
        (
            "one pipeline up to one Sync",
            vec![
                parse("", "SELECT 1"),
                bind("", ""),
                execute(""),
                parse("", delete),
                bind("", ""),
                execute(""),
                parse("", "SELECT 2"),
                bind("", ""),
                execute(""),
                sync(),
            ],
            1,
            "1 2 D C E42501 ZI",
        ),
        (
            "a failed parse leaves the old text",
            vec![
                parse("s", "SELECT 1"),
                sync(),
                parse("s", delete),
                sync(),
                bind("", "s"),
                execute(""),
                sync(),
            ],
            3,
            "1 ZI E42501 ZI 2 D C ZI",
        ),
        (
            "prepared by SQL",
            vec![query("PREPARE d AS DELETE FROM victim"), query("EXECUTE d")],
            2,
            "E42501 ZI E42501 ZI",
        ),
        (
            "a name that never passed",
            vec![bind("", "nobody"), execute(""), sync()],
            1,
            "E26000 ZI",
        ),
        (
            "a commit before it stays",
            vec![query("BEGIN; SELECT 1; COMMIT; DELETE FROM victim")],
            1,
            "C T D C C E42501 ZI",
        ),
        (
            "a syntax error is opaque",
            vec![query("SELEKT 1")],
            1,
            "E42501 ZI",
        ),
        (
            "comments do not hide it",
            vec![query("/* x */ DELETE -- y\n FROM victim")],
            1,
            "E42501 ZI",
        ),
        (
            "explain analyze",
            vec![query("EXPLAIN ANALYZE DELETE FROM victim")],
            1,
            "E42501 ZI",
        ),
        (
            "in a CTE",
            vec![query(
                "WITH d AS (DELETE FROM victim RETURNING *) SELECT * FROM d",
            )],
            1,
            "E42501 ZI",
        ),
        (
            "an unknown function",
            vec![query("SELECT nobody_knows_it('/etc/passwd')")],
            1,
            "E42501 ZI",
        ),
    ] {
        let mut raw = session(&gateway);
        assert!(raw.send(&sent.concat()), "{name}");
        assert_eq!(outline(&raw.receive_until_ready(cycles)), want, "{name}");
        // The session goes on.
        raw.send(&query("ROLLBACK"));
        raw.receive_until_ready(1);
        raw.send(&query("SELECT 7"));
        assert_eq!(
            outline(&raw.receive_until_ready(1)),
            "T D C ZI",
            "{name}: afterwards"
        );
    }
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM victim"), "10");
    let output = gateway.sql(delete);
    assert!(
        output
            .stderr
            .contains("sluice: denied by policy \"no-delete\": nothing is deleted here"),
        "{}",
        output.stderr
    );
}

/// For every way in which a statement comes.
#[test]
fn a_denial_says_what_it_was_and_what_would_be_permitted() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE staff (id int, name text, pay int)");
    let policy = r#"
        permit (principal, action in [Action::"Connect", Action::"Set"], resource);
        @id("staff") permit (principal, action in [Action::"Read", Action::"Filter"], resource);
        @id("no-pay") forbid (principal, action == Action::"Read", resource in Column::"shop/shop/public.staff.pay");
        permit (principal, action == Action::"Delete", resource) unless { context.unfiltered };
        @id("ask") @approvers("dba") permit (principal, action == Action::"Update", resource) when { context.approved };
    "#;
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            policy: Some(policy.to_owned()),
            policy_more: "documentation = \"https://wiki.test/policy\"",
            tls: "off",
            ..Settings::default()
        },
    );
    for (sql, want, hint) in [
        (
            "SELECT id, name, pay FROM staff",
            &[
                ("action", "Read"),
                ("policy", "no-pay"),
                ("resource", "shop/shop/public.staff.pay"),
            ][..],
            "Of the columns that it names these are permitted: id, name.",
        ),
        (
            "DELETE FROM staff",
            &[
                ("action", "Delete"),
                ("cause", "no_permit"),
                ("object", "relation public.staff"),
            ],
            "With a WHERE that names the rows it is permitted.",
        ),
        (
            "UPDATE staff SET pay = 1",
            &[("policy", "ask"), ("cause", "approval")],
            "Ask dba, and tell them",
        ),
        (
            "DROP TABLE staff",
            &[("action", "Drop"), ("cause", "no_permit")],
            "Trying it in another way will not help.",
        ),
        (
            "SELECT nobody_knows_it()",
            &[("action", "Opaque")],
            "unknown function nobody_knows_it",
        ),
    ] {
        let extended = [parse("", sql), bind("", ""), execute(""), sync()].concat();
        for (protocol, sent) in [("simple", query(sql)), ("extended", extended)] {
            let mut raw = session(&gateway);
            raw.send(&sent);
            let answer = raw.receive_until_ready(1);
            let error = answer.iter().find(|message| message.0 == b'E').expect("a denial");
            let detail = field(&error.1, b'D').expect("a detail");
            let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
            for (name, want) in want {
                assert_eq!(detail[*name], **want, "{sql}, {protocol}: {name}");
            }
            assert_eq!(detail["documentation"], "https://wiki.test/policy");
            let hinted = field(&error.1, b'H').expect("a hint");
            assert!(hinted.contains(hint), "{sql}, {protocol}: {hinted}");
            let request = detail["request"].as_str().expect("a request").to_owned();
            let is_recorded = |row: &serde_json::Value| {
                let (session, statement) = (row["session"].as_str(), row["statement"].as_u64());
                session
                    .zip(statement)
                    .map(|(session, statement)| format!("{session}/{statement}"))
                    == Some(request.clone())
                    && row["text"] == sql
            };
            drop(raw);
            assert!(
                gateway.record().iter().any(is_recorded),
                "{sql}, {protocol}: {request}"
            );
        }
    }
}

/// What is only observed runs, and the record has what would have been done; what is no matter of policy alone is still
/// refused.
#[test]
fn a_connection_that_observes_runs_and_records_what_is_denied() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE watched AS SELECT generate_series(1, 3) AS id",
    );
    let policy = r#"
        permit (principal, action in [Action::"Connect", Action::"Read"], resource);
        @id("ask") @approvers("dba") @severity("low") permit (principal, action == Action::"Update", resource) when { context.approved };
    "#;
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            policy: Some(policy.to_owned()),
            connection: "enforce = \"observe\"".to_owned(),
            tls: "off",
            ..Settings::default()
        },
    );
    for (sql, seen, policy) in [
        ("UPDATE watched SET id = id WHERE id = 1", "C ZI", Some("ask")),
        ("DELETE FROM watched WHERE id = 2", "C ZI", None),
        ("SET work_mem = '1MB'", "C ZI", None),
        ("SELECT pg_advisory_lock(1)", "T D C ZI", None),
        ("SET standard_conforming_strings = off", "E42501 ZI", None),
    ] {
        let extended = [parse("", sql), bind("", ""), execute(""), sync()].concat();
        for (protocol, sent) in [("simple", query(sql)), ("execute", extended)] {
            let mut raw = session(&gateway);
            raw.send(&sent);
            let answer = outline(&raw.receive_until_ready(1));
            let is_refused = seen.starts_with('E');
            let ends = if is_refused { seen } else { "C ZI" };
            assert!(answer.ends_with(ends), "{sql}, {protocol}: {answer}");
            drop(raw);
            let decision = if is_refused { "deny" } else { "observe" };
            let rows = gateway.record();
            let found = rows.iter().find(|row| {
                row["text"] == sql
                    && row["decision"] == decision
                    && (is_refused || row["protocol"] == protocol)
            });
            let row = found.unwrap_or_else(|| panic!("{sql}, {protocol}: {rows:?}"));
            assert_eq!(row["policy"].as_str(), policy, "{sql}, {protocol}: {row}");
            let severity = policy.map(|_| "low");
            assert_eq!(row["severity"].as_str(), severity, "{sql}, {protocol}: {row}");
            if !is_refused {
                let told = row["message"].as_str().unwrap_or_default();
                assert!(
                    told.starts_with("sluice: denied by policy"),
                    "{sql}, {protocol}: {row}"
                );
            }
        }
    }
    assert_eq!(
        postgres.sql("shop", "SELECT count(*) FROM watched WHERE id = 2"),
        "0"
    );
    assert!(gateway.metric("sluice_statements_observed_total") >= 8.0);
    let output = gateway.sluice_here(&[
        "audit",
        "query",
        "--config",
        "sluice.toml",
        "--observed",
        "--json",
    ]);
    assert!(output.success && output.stdout.lines().count() >= 8, "{output:?}");
    assert!(
        output
            .stdout
            .lines()
            .all(|line| line.contains("\"decision\":\"observe\"")),
        "{output:?}"
    );
}

#[test]
fn a_string_is_denied_as_the_server_would_fail_it() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE ROLE limited LOGIN; GRANT SELECT ON victim TO limited",
    );
    let gateway = gateway_without_delete(&postgres);
    for sql in [
        "DELETE FROM victim",
        "SELECT 1; DELETE FROM victim; SELECT 2",
        "BEGIN; SELECT 1; DELETE FROM victim; SELECT 2; COMMIT",
        "BEGIN; SAVEPOINT a; DELETE FROM victim; ROLLBACK TO a; COMMIT",
        "SELECT 1; COMMIT; DELETE FROM victim",
        ";;DELETE FROM victim;;",
    ] {
        let mut direct = Raw::connect(postgres.port());
        direct.send(&startup(&[("user", "limited"), ("database", "shop")]));
        direct.receive_until_ready(1);
        let mut through = session(&gateway);
        let outlines = [&mut direct, &mut through].map(|raw| {
            raw.send(&[query(sql), query("SELECT 1")].concat());
            outline(&raw.receive_until_ready(2))
        });
        assert_eq!(outlines[0], outlines[1], "{sql}");
    }
}

/// Effects of a function that is called by its OID are in the OID alone (`threats`, 6).
#[test]
fn t06_function_calls_are_denied_but_for_large_objects() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let call = |oid: u32, argument: u32| {
        let body = [
            &oid.to_be_bytes()[..],
            &[0, 1, 0, 1, 0, 1, 0, 0, 0, 4],
            &argument.to_be_bytes(),
            &[0, 1],
        ]
        .concat();
        message(b'F', &body)
    };
    let mut raw = session(&gateway);
    // pg_cancel_backend(int4)
    raw.send(&call(2171, 1));
    assert_eq!(outline(&raw.receive_until_ready(1)), "E42501 ZI");
    // lo_creat(int4)
    raw.send(&call(957, 0x60000));
    assert_eq!(outline(&raw.receive_until_ready(1)), "V ZI");
}

/// The startup packet is judged as the SETs that it is (`threats`, 4).
#[test]
fn t04_startup_parameters_are_settings() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::read_only()
        },
    );
    for (name, parameters, word) in [
        ("role", vec![("role", "postgres")], "role"),
        (
            "lexing",
            vec![("options", "-c standard_conforming_strings=off")],
            "standard_conforming_strings",
        ),
        (
            "long switch",
            vec![("options", "--session-replication-role=replica")],
            "session_replication_role",
        ),
        ("search_path", vec![("search_path", "evil")], "search_path"),
        ("replication", vec![("replication", "database")], "replication"),
        ("encoding", vec![("client_encoding", "SJIS")], "client_encoding"),
    ] {
        let refusal =
            Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &parameters).expect_err(name);
        assert!(refusal.contains(word), "{name}: {refusal}");
    }
    let harmless = [
        ("application_name", "x"),
        ("options", "-c statement_timeout=5s -c DateStyle=ISO"),
    ];
    let mut raw =
        Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &harmless).expect("harmless settings");
    raw.send(&query("SHOW statement_timeout"));
    let messages = raw.receive_until_ready(1);
    assert!(
        messages
            .iter()
            .any(|(tag, body)| *tag == b'D' && body.ends_with(b"5s")),
        "{messages:?}"
    );
}

/// Who may connect and set nothing learns which setting it was that the driver set, and what permits it.
#[test]
fn a_refused_startup_parameter_is_explained() {
    let postgres = postgres();
    let policy = r#"permit (principal, action in [Action::"Connect", Action::"Read"], resource);
                    @id("no-cost") forbid (principal, action == Action::"Set", resource == Setting::"work_mem");"#;
    let settings = Settings {
        policy: Some(policy.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    for (parameters, wants) in [
        (
            ("application_name", "driver"),
            &[
                "\0HConnect without the setting application_name, or have",
                "permit Set on SettingGroup::\"harmless\": it is one of",
            ][..],
        ),
        (
            ("search_path", "app"),
            &[
                "\0HConnect without the setting search_path, or have",
                "Setting::\"search_path\"",
            ],
        ),
        (
            ("options", "-c work_mem=1MB"),
            &["\0HConnect without the setting work_mem.\0"],
        ),
        (
            ("options", "-c no\u{202e}.such=1"),
            &["\0HConnect without the setting no\\u{202e}.such, or have"],
        ),
    ] {
        let refusal = Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[parameters])
            .expect_err("it is not permitted");
        for want in wants {
            assert!(refusal.contains(want), "{parameters:?}: {want} in {refusal:?}");
        }
    }
    Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[]).expect("nothing is set");
}

/// Parsed long ago, judged again when it is executed (`threats`, 5).
#[test]
fn a_new_policy_holds_for_what_is_prepared_already() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let mut raw = session(&gateway);
    raw.send(
        &[
            parse("s", "UPDATE victim SET id = id WHERE id = 1"),
            bind("", "s"),
            execute(""),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(outline(&raw.receive_until_ready(1)), "1 2 C ZI");
    gateway.write_policy(&NO_DELETE.replace("Action::\"Delete\"", "Action::\"Update\""));
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    sluice_tests::wait_until("the new policy", || {
        raw.send(&[bind("", "s"), execute(""), sync()].concat());
        outline(&raw.receive_until_ready(1)) == "E42501 ZI"
    });
    gateway.write_policy("this is no policy");
    gateway.signal(nix::sys::signal::Signal::SIGHUP);
    sluice_tests::wait_until("the refusal of a bad policy", || gateway.log().contains("policy"));
    raw.send(&[bind("", "s"), execute(""), sync()].concat());
    assert_eq!(
        outline(&raw.receive_until_ready(1)),
        "E42501 ZI",
        "the old policy stays"
    );
}

/// Whoever watches finds what weighs enough: refused statements of both protocols, budgets and connects.
#[test]
fn denials_have_the_severity_of_the_policies_that_made_them() {
    let postgres = postgres();
    let policy = r#"
        @id("connect") permit (principal, action == Action::"Connect", resource);
        @id("reads") @budget("1 statements per 1h") @severity("medium") permit (principal, action == Action::"Read", resource);
        @id("writes") permit (principal, action in Action::"Write", resource);
        @id("no-delete") @severity("low") forbid (principal, action == Action::"Delete", resource);
        @id("victim") @severity("critical") forbid (principal, action == Action::"Delete", resource in Table::"shop/shop/public.victim");
        @id("out") @severity("high") forbid (principal, action == Action::"Connect", resource) when {
            context has application_name && context.application_name == "intruder" };
    "#;
    let settings = Settings {
        policy: Some(policy.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = session(&gateway);
    for sent in [
        query("SELECT count(*) FROM victim"),
        query("SELECT count(*) FROM victim"),
        query("DELETE FROM victim"),
        [parse("", "DELETE FROM victim"), bind("", ""), execute(""), sync()].concat(),
    ] {
        raw.send(&sent);
        raw.receive_until_ready(1);
    }
    let refused = gateway.psql(&[
        "-c",
        "SELECT 1",
        "dbname=shop application_name=intruder sslmode=disable",
    ]);
    assert!(!refused.success, "{refused:?}");
    let found = |level: &str| -> Vec<String> {
        let output = gateway.sluice(&["audit", "query", "--json", "--severity", level]);
        assert!(output.success, "{output:?}");
        let rows = output.stdout.lines();
        let rows = rows.map(|row| serde_json::from_str::<serde_json::Value>(row).expect("JSON"));
        let mut shown: Vec<String> = rows
            .map(|row| {
                let text = |field: &str| row[field].as_str().unwrap_or_default();
                let what = [text("event"), text("policy")].concat();
                format!("{what} {}", text("severity"))
            })
            .collect();
        shown.sort();
        shown
    };
    let all = [
        "connect_denied high",
        "no-delete critical",
        "no-delete critical",
        "reads medium",
    ];
    assert_eq!(found("info"), all);
    assert_eq!(found("high"), all[..3]);
    assert_eq!(found("critical"), all[1..3]);
    let why = gateway.why(&["DELETE FROM victim"]);
    assert!(
        why.stdout.contains("\n  recorded with severity critical\n"),
        "{why:?}"
    );
}
