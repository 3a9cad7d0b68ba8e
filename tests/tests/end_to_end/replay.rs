//! `sluice policy replay`: recorded statements are decided again from their records, as the gate would decide them.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use sluice_audit::record::{Cut, Decision, FORM, ListBuffer, Method, Protocol, SessionStart, StatementBegin};
use sluice_tests::raw::{bind, execute, parse, query, sync};
use sluice_tests::{Gateway, Log, Output, Postgres, Settings, run, sluice, wait_until};
use tempfile::TempDir;

const POLICY: &str = r#"
@id("all") permit (principal, action, resource);
@id("no-delete") @message("nothing is deleted here") forbid (principal, action == Action::"Delete", resource);
@id("no-opaque") forbid (principal, action == Action::"Opaque", resource);
@id("no-card") forbid (principal, action == Action::"Read", resource in Column::"shop/shop/public.customers.card");
"#;

fn report(output: &Output) -> Value {
    assert!(output.success, "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// `allowed deny 3`, in order.
fn decided(report: &Value) -> Vec<String> {
    let counts = report["decided"].as_array().expect("counts").iter();
    counts
        .map(|count| {
            let word = |name: &str| count[name].as_str().expect("a word").to_owned();
            format!("{} {} {}", word("was"), word("would_be"), count["statements"])
        })
        .collect()
}

/// Every way in which statements come, with names that could be taken for what records are made of.
#[test]
fn what_was_decided_is_decided_again_from_the_record() {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        r#"CREATE TABLE customers (id int PRIMARY KEY, email text, card text);
           INSERT INTO customers VALUES (1, 'a@b.c', '4111111111111111');
           CREATE TABLE orders (id int, customer_id int, "total, net" int);
           CREATE TABLE "customers (card)" (id int);
           CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."c [catalog]" ("d)" int);
           CREATE VIEW cards AS SELECT card FROM customers;
           CREATE FUNCTION purge() RETURNS void LANGUAGE sql AS 'DELETE FROM orders WHERE id > 0'"#,
    );
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    let mut count = 0;
    for sql in [
        "SELECT id, email FROM customers WHERE id = 1",
        "SELECT id, email FROM customers WHERE id = 2 -- alike",
        "SELECT card FROM customers",
        "SELECT * FROM cards",
        "SELECT count(*) FROM customers",
        "SELECT * FROM \"customers (card)\"",
        "SELECT \"total, net\" FROM orders",
        "SELECT \"d)\" FROM \"a.b\".\"c [catalog]\"",
        "INSERT INTO orders VALUES (1, 1, 1)",
        "UPDATE orders SET \"total, net\" = 2",
        "DELETE FROM orders WHERE id = 1",
        "SELECT purge()",
        "SET work_mem = '8MB'",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id FROM customers",
        "FETCH c",
        "COMMIT",
        "PREPARE p AS SELECT email FROM customers WHERE id = $1",
        "EXECUTE p (1)",
        "PREPARE q AS DELETE FROM orders",
        "SELECT nowhere FROM nothing",
        "SELEC 1",
        "",
    ] {
        raw.send(&query(sql));
        raw.receive_until_ready(1);
        count += u64::from(!sql.is_empty());
    }
    for sql in [
        "SELECT email FROM customers",
        "SELECT card FROM customers",
        "DELETE FROM orders",
    ] {
        raw.send(&[parse("", sql), bind("", ""), execute(""), sync()].concat());
        raw.receive_until_ready(1);
        count += 1;
    }
    let recorded = gateway.statements("");
    let replay = |arguments: &[&str]| {
        let fixed = ["policy", "replay", "--config", "sluice.toml"];
        gateway.sluice_here(&[&fixed[..], arguments].concat())
    };
    let same = report(&replay(&["--since", "1h", "--json"]));
    assert_eq!(same["different"], 0, "{same:#}");
    assert_eq!(same["cannot_be_told"], 0, "{same:#}");
    assert_eq!(same["statements"], recorded.len(), "{same:#}");
    assert!(recorded.len() as u64 >= count, "{} of {count}", recorded.len());

    let next = r#"
@id("connect") permit (principal, action in [Action::"Connect", Action::"Set"], resource);
@id("read") permit (principal, action == Action::"Read", resource);
@id("cleaners") permit (principal in Group::"testers", action == Action::"Delete", resource in Schema::"shop/shop/public");
"#;
    fs::write(gateway.folder().join("next.cedar"), next).expect("a policy");
    let other = report(&replay(&["--json", "next.cedar"]));
    let kinds: Vec<_> = other["differences"]
        .as_array()
        .expect("differences")
        .iter()
        .map(|one| {
            let word = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            let (was, would_be) = (word("was"), word("would_be"));
            format!(
                "{} {was} {would_be} {} {}",
                one["times"],
                word("policy"),
                word("statement")
            )
        })
        .collect();
    for wanted in [
        "1 denied allow cleaners DELETE FROM orders WHERE id = 1",
        "1 denied allow read SELECT * FROM cards",
        "1 allowed deny - INSERT INTO orders VALUES (1, 1, 1)",
        "1 allowed deny - UPDATE orders SET \"total, net\" = 2",
    ] {
        assert!(kinds.iter().any(|kind| kind == wanted), "{wanted}: {kinds:#?}");
    }
    // By simple and extended protocol it is one text; the most frequent difference is the first.
    assert_eq!(
        kinds[0], "2 denied allow read SELECT card FROM customers",
        "{kinds:#?}"
    );
    assert_eq!(other["differences"][0]["policy_before"], "no-card");
    let denied = &other["differences"].as_array().expect("differences").iter();
    let denied = denied
        .clone()
        .find(|one| one["was"] == "allowed")
        .expect("one that is denied");
    assert!(
        denied["message"]
            .as_str()
            .is_some_and(|message| message.contains("nothing permits")),
        "{denied:#}"
    );
    // Nobody else's, and as many as are asked for.
    for arguments in [
        ["--identity", "somebody"],
        ["--connection", "other"],
        ["--database", "postgres"],
        ["--until", "1h"],
    ] {
        let none = report(&replay(&[&arguments[..], &["--json", "next.cedar"]].concat()));
        assert_eq!(none["statements"], 0, "{arguments:?}");
    }
    let shown = replay(&["--identity", "tester", "--limit", "1", "next.cedar"]);
    assert!(
        shown.success
            && shown
                .stdout
                .contains("2 times denied by no-card, would be allowed by read")
            && shown.stdout.contains("local#tester on shop/shop, from 20")
            && shown.stdout.contains("kinds of differences more")
            && !shown.stdout.contains("INSERT"),
        "{shown:?}"
    );
}

#[test]
fn what_is_only_observed_is_compared_as_denied() {
    let postgres = Postgres::start(&[]);
    postgres.sql("shop", "CREATE TABLE orders (id int)");
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
        connection: "enforce = \"observe\"".to_owned(),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    for sql in ["SELECT id FROM orders", "DELETE FROM orders WHERE id = 1"] {
        raw.send(&query(sql));
        raw.receive_until_ready(1);
    }
    let replay = |policy: &[&str]| {
        let arguments = ["policy", "replay", "--config", "sluice.toml", "--json"];
        report(&gateway.sluice_here(&[&arguments[..], policy].concat()))
    };
    assert_eq!(decided(&replay(&[])), ["allowed allow 1", "observed deny 1"]);
    fs::write(
        gateway.folder().join("next.cedar"),
        "@id(\"all\") permit (principal, action, resource);",
    )
    .expect("a policy");
    let next = replay(&["next.cedar"]);
    assert_eq!(decided(&next), ["allowed allow 1", "observed allow 1"]);
    assert_eq!(next["differences"][0]["was"], "observed", "{next:#}");
}

/// What a policy permits it may hold to limits: what passed them is told from the ends on record, and the gate says the same.
#[test]
fn what_would_pass_limits_is_told() {
    const LIMITS: &str = r#"@id("all") @max_rows("10") @max_bytes("4KiB") @max_time("200ms") @max_affected("10")
                            permit (principal, action, resource);"#;
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE orders (id int, note text); INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 50) i",
    );
    let settings = Settings {
        policy: Some("@id(\"all\") permit (principal, action, resource);".to_owned()),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    // With what is passed; none that is not, and `?` where the record does not tell.
    let day: &[(&str, bool, &str)] = &[
        ("SELECT id FROM orders", false, "@max_rows(\"10\")"),
        ("SELECT id FROM orders WHERE id < 5", false, ""),
        ("SELECT repeat('x', 5000)", true, "@max_bytes(\"4096B\")"),
        ("SELECT pg_sleep(0.4)", true, "@max_time(\"200ms\")"),
        (
            "UPDATE orders SET note = 'y' WHERE id > 0",
            true,
            "@max_affected(\"10\")",
        ),
        ("UPDATE orders SET note = 'z' WHERE id = 1", true, ""),
        // By the simple protocol it is refused unless a transaction was begun before, which nobody recorded.
        ("UPDATE orders SET note = 'z' WHERE id = 2", false, "?"),
        ("WITH a AS (DELETE FROM orders WHERE id = 3) SELECT 1", true, "?"),
    ];
    let send = |sql: &str, is_extended: bool| {
        let mut raw = gateway.log_in();
        if is_extended {
            raw.send(&[parse("", sql), bind("", ""), execute(""), sync()].concat());
        } else {
            raw.send(&query(sql));
        }
        raw.receive_until_ready(1);
    };
    for (sql, is_extended, _) in day {
        send(sql, *is_extended);
    }
    fs::write(gateway.folder().join("next.cedar"), LIMITS).expect("a policy");
    let replay = |arguments: &[&str]| {
        let fixed = ["policy", "replay", "--config", "sluice.toml"];
        gateway.sluice_here(&[&fixed[..], arguments].concat())
    };
    let unlimited = report(&replay(&["--json"]));
    assert_eq!(unlimited["limits"]["passing"], 0, "{unlimited:#}");
    assert_eq!(unlimited["limits"]["cannot_be_told"], 0, "{unlimited:#}");
    let limited = report(&replay(&["--json", "next.cedar"]));
    assert_eq!(limited["different"], 0, "{limited:#}");
    let kinds = limited["limits"]["kinds"].as_array().expect("a list");
    let mut told: Vec<_> = kinds
        .iter()
        .map(|kind| {
            assert_eq!(
                (&kind["times"], &kind["policy"]),
                (&1.into(), &"all".into()),
                "{kind:#}"
            );
            let passes = kind["passes"].as_array().expect("a list");
            assert_eq!(passes.len(), 1, "{kind:#}");
            let word = |value: &Value| value.as_str().expect("a word").to_owned();
            (word(&kind["statement"]), word(&passes[0]))
        })
        .collect();
    told.sort_unstable();
    let is_passing = |passes: &&str| !matches!(*passes, "" | "?");
    let mut want: Vec<_> = day
        .iter()
        .filter(|(.., passes)| is_passing(passes))
        .map(|(sql, _, passes)| ((*sql).to_owned(), (*passes).to_owned()))
        .collect();
    want.sort_unstable();
    assert_eq!(told, want, "{limited:#}");
    let untold = day.iter().filter(|(.., passes)| *passes == "?").count();
    assert_eq!(limited["limits"]["cannot_be_told"], untold, "{limited:#}");
    let shown = replay(&["--limit", "1", "next.cedar"]).stdout;
    for told in [
        "        4  of those allowed would pass a limit\n",
        "        2  of those allowed may pass a limit: their records do not tell\n",
        "\n1 times allowed by all, would pass @max_rows(\"10\")\n  local#tester on shop/shop, from 20",
        "\n  SELECT id FROM orders\n  up to 50 rows, ",
        "\n3 kinds of differences more",
    ] {
        assert!(shown.contains(told), "{told} in {shown}");
    }
    // The gate stops the same once that policy is in force.
    gateway.write_policy(LIMITS);
    gateway.signal(Signal::SIGHUP);
    wait_until("the new policy", || {
        send("SELECT id FROM orders /* new */", false);
        let last = gateway.statements("/* new */");
        last.last().is_some_and(|row| row["outcome"] == "limited")
    });
    for (sql, is_extended, passes) in day.iter().filter(|(.., passes)| *passes != "?") {
        send(sql, *is_extended);
        let rows = gateway.statements(sql);
        let outcome = rows.last().expect("a row")["outcome"].clone();
        assert_eq!(outcome == "limited", is_passing(passes), "{sql}: {outcome}");
    }
}

/// Behind code that nobody could read, names may mean anything: policy was asked about that too, and the record says so.
#[test]
fn what_was_in_doubt_is_not_decided_again() {
    let postgres = Postgres::start(&[]);
    postgres.sql("shop", "CREATE TABLE orders (id int); CREATE SCHEMA other");
    let settings = Settings {
        policy: Some("@id(\"all\") permit (principal, action, resource);".to_owned()),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    raw.send(&query(
        "DO $$ BEGIN EXECUTE 'SET search_path = other, public'; END $$; SELECT id FROM orders /* in doubt */",
    ));
    raw.receive_until_ready(1);
    raw.send(&query("SELECT id FROM orders /* settled */"));
    raw.receive_until_ready(1);
    fs::write(
        gateway.folder().join("next.cedar"),
        "permit (principal, action, resource); forbid (principal, action == Action::\"Opaque\", resource);",
    )
    .expect("a policy");
    let arguments = [
        "policy",
        "replay",
        "--config",
        "sluice.toml",
        "--json",
        "next.cedar",
    ];
    let report = report(&gateway.sluice_here(&arguments));
    assert_eq!(decided(&report), ["allowed allow 2"], "{report:#}");
    assert_eq!(report["reasons"][0]["name"], "asks_more", "{report:#}");
    assert_eq!(report["cannot_be_told"], 1, "{report:#}");
    assert_eq!(gateway.statements("in doubt")[0]["asks_more"], true);
}

const HOUR_NS: u64 = 3_600_000_000_000;

fn start() -> SessionStart<'static> {
    SessionStart {
        issuer: "https://a.example",
        subject: "agent",
        method: Method::Oidc,
        client: "10.0.0.1:5000",
        connection: "orders",
        database: b"shop",
        form: FORM,
        ..SessionStart::default()
    }
}

fn reads(lines: &ListBuffer) -> StatementBegin<'_> {
    StatementBegin {
        protocol: Protocol::Simple,
        text: b"SELECT email FROM customers",
        actions: 1,
        effects: lines.as_list(),
        decision: Decision::Allow,
        policy: "read",
        ..StatementBegin::default()
    }
}

fn replayed(data: &Path, policy: &str) -> Value {
    let file = data.join("next.cedar");
    fs::write(&file, policy).expect("a policy");
    let mut command = Command::new(sluice());
    command
        .args(["policy", "replay", "--json", "--dir"])
        .arg(data)
        .arg(file);
    report(&run(&mut command))
}

const READ: &str = r#"permit (principal, action in [Action::"Connect", Action::"Read"], resource)"#;

#[test]
fn what_a_record_does_not_tell_is_said_and_not_guessed() {
    let email = ListBuffer::of(["Read relation public.customers (email)"]);
    let cut = ListBuffer::of(["Read relation public.customers (email)", "... 7 more"]);
    let later = ListBuffer::of(["Dream relation public.customers"]);
    let application = ListBuffer::of(["user", "token", "application_name", ""]);
    let cut_claims = Cut {
        claims: true,
        ..Cut::default()
    };
    let cut_groups = Cut {
        groups: true,
        ..Cut::default()
    };
    let team = format!(
        "{READ} when {{ principal.claims.hasTag(\"team\") && principal.claims.getTag(\"team\") has text && \
         principal.claims.getTag(\"team\").text == \"x\" }};"
    );
    let all = format!("{READ};");
    let from_ten = format!("{READ} when {{ context.client_address.isInRange(ip(\"10.0.0.0/8\")) }};");
    let named = format!("{READ} when {{ context has application_name }};");
    let too_long = "x".repeat(1100);
    for (name, start, begin, policy, want) in [
        ("all is told", start(), reads(&email), &all, Ok("allow")),
        (
            "an earlier form",
            SessionStart { form: 0, ..start() },
            reads(&email),
            &all,
            Err("form"),
        ),
        (
            "effects left out",
            start(),
            reads(&cut),
            &all,
            Err("effects_left_out"),
        ),
        (
            "an unknown action",
            start(),
            reads(&later),
            &all,
            Err("effect_unknown"),
        ),
        (
            "asked about more",
            start(),
            StatementBegin {
                asks_more: true,
                ..reads(&email)
            },
            &all,
            Err("asks_more"),
        ),
        (
            "groups left out",
            SessionStart {
                cut: cut_groups,
                ..start()
            },
            reads(&email),
            &all,
            Err("groups_left_out"),
        ),
        (
            "a name that was cut",
            SessionStart {
                connection: &too_long,
                ..start()
            },
            reads(&email),
            &all,
            Err("names"),
        ),
        (
            "a method of a later version",
            SessionStart {
                method: Method::Other,
                ..start()
            },
            reads(&email),
            &all,
            Err("names"),
        ),
        (
            "a claim",
            SessionStart {
                claims: br#"{"team":"x"}"#,
                ..start()
            },
            reads(&email),
            &team,
            Ok("allow"),
        ),
        ("no claim", start(), reads(&email), &team, Ok("deny")),
        // As the gate: the claim may be among those that it did not keep, and that cannot be evaluated.
        (
            "claims that the gateway did not keep",
            SessionStart {
                cut: cut_claims,
                ..start()
            },
            reads(&email),
            &team,
            Ok("deny"),
        ),
        (
            "claims that are no JSON",
            SessionStart {
                claims: b"{\"team\":",
                ..start()
            },
            reads(&email),
            &team,
            Err("claims"),
        ),
        (
            "claims that are no JSON, of no interest",
            SessionStart {
                claims: b"{\"team\":",
                ..start()
            },
            reads(&email),
            &all,
            Ok("allow"),
        ),
        ("an address", start(), reads(&email), &from_ten, Ok("allow")),
        (
            "another address",
            SessionStart {
                client: "[::1]:9",
                ..start()
            },
            reads(&email),
            &from_ten,
            Ok("deny"),
        ),
        (
            "no address",
            SessionStart {
                client: "",
                ..start()
            },
            reads(&email),
            &from_ten,
            Err("address"),
        ),
        (
            "no address, of no interest",
            SessionStart {
                client: "",
                ..start()
            },
            reads(&email),
            &all,
            Ok("allow"),
        ),
        ("no name", start(), reads(&email), &named, Ok("deny")),
        (
            "an empty name or none",
            SessionStart {
                startup: application.as_list(),
                ..start()
            },
            reads(&email),
            &named,
            Err("application_name"),
        ),
        (
            "an empty name or none, of no interest",
            SessionStart {
                startup: application.as_list(),
                ..start()
            },
            reads(&email),
            &all,
            Ok("allow"),
        ),
        (
            "a name",
            SessionStart {
                application_name: b"etl",
                ..start()
            },
            reads(&email),
            &named,
            Ok("allow"),
        ),
    ] {
        let data = TempDir::new().expect("a folder");
        let mut log = Log::create(data.path());
        let session = log.start(HOUR_NS, start);
        log.statement(2 * HOUR_NS, session, begin);
        log.seal(3 * HOUR_NS);
        let report = replayed(data.path(), policy);
        match want {
            Ok(would_be) => assert_eq!(
                decided(&report),
                [format!("allowed {would_be} 1")],
                "{name}: {report:#}"
            ),
            Err(reason) => {
                assert_eq!(report["cannot_be_told"], 1, "{name}: {report:#}");
                assert_eq!(report["reasons"][0]["name"], reason, "{name}: {report:#}");
                assert!(decided(&report).is_empty(), "{name}: {report:#}");
            }
        }
    }
}

/// One question at two times has two answers, and a session whose start is gone has none.
#[test]
fn times_are_those_of_the_statements() {
    let data = TempDir::new().expect("a folder");
    let email = ListBuffer::of(["Read relation public.customers (email)"]);
    let mut log = Log::create(data.path());
    let session = log.start(HOUR_NS, start());
    for hour in [2, 5, 7, 30, 31] {
        log.statement(hour * HOUR_NS, session, reads(&email));
    }
    log.statement(8 * HOUR_NS, session + 1, reads(&email));
    log.seal(40 * HOUR_NS);
    let report = replayed(data.path(), &format!("{READ} when {{ context.hour < 6 }};"));
    assert_eq!(
        decided(&report),
        ["allowed allow 2", "allowed deny 3"],
        "{report:#}"
    );
    assert_eq!(report["reasons"][0]["name"], "no_session", "{report:#}");
    let difference = &report["differences"][0];
    assert_eq!(difference["times"], 3);
    assert_eq!(difference["first"], "1970-01-01T07:00:00.000000Z");
    assert_eq!(difference["last"], "1970-01-02T07:00:00.000000Z");
    // Nothing can be asked of a policy that permits everything but what no record tells.
    let shown = run(Command::new(sluice())
        .args(["policy", "replay", "--dir"])
        .arg(data.path())
        .arg(data.path().join("next.cedar")));
    assert!(
        shown.stdout.contains("1  cannot be told:")
            && shown
                .stdout
                .contains("1 where the start of its session is not in the record"),
        "{shown:?}"
    );
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let data = TempDir::new().expect("a folder");
    let path = |name: &str| data.path().join(name).display().to_string();
    fs::write(path("broken.cedar"), "permit (principal, action ==").expect("a policy");
    fs::write(path("good.cedar"), format!("{READ};")).expect("a policy");
    let folder = data.path().display().to_string();
    for (arguments, told) in [
        (vec!["--dir", &folder, &path("broken.cedar")], "broken.cedar"),
        (vec!["--dir", &folder, &path("missing.cedar")], "cannot read"),
        (
            vec!["--dir", &path("nowhere"), &path("good.cedar")],
            "data folder",
        ),
        (vec!["--dir", &folder], "<POLICY>"),
        (vec![&path("good.cedar")], "--config"),
        (
            vec!["--dir", &folder, "--since", "soon", &path("good.cedar")],
            "--since",
        ),
    ] {
        let output = run(Command::new(sluice()).args(["policy", "replay"]).args(&arguments));
        assert!(
            !output.success && output.stderr.contains(told),
            "{arguments:?}: {output:?}"
        );
    }
}
