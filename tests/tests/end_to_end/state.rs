//! The session's state: read where it became unknown, waited for where it is in doubt, judged by it everywhere.

use sluice_tests::raw::{Raw, bind, execute, message, outline, parse, query, sync};
use sluice_tests::{Gateway, Settings};

use crate::shared::{NO_DELETE, gateway_without_delete, postgres};

/// Sends all at once and outlines what comes up to so many ReadyForQuery.
fn answers(raw: &mut Raw, messages: &[Vec<u8>], ready: usize) -> String {
    raw.send(&messages.concat());
    outline(&raw.receive_until_ready(ready))
}

const UNSEEN: &str = "SELECT set_config('search_path', 'public', false)";

#[test]
fn t03_what_became_unknown_is_read_again_unseen_by_the_client() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    // The second Query waits for the answer to the first, and then for the gateway's own.
    for _ in 0..3 {
        let got = answers(
            &mut raw,
            &[query(UNSEEN), query("SELECT 1"), query("SHOW search_path")],
            3,
        );
        assert_eq!(got, "T D C ZI T D C ZI T D C ZI");
    }
    for (name, messages, want) in [
        (
            "in one Query",
            vec![query(&format!("{UNSEEN}; SELECT 1"))],
            "T D C E42501 ZI",
        ),
        (
            "in one cycle",
            vec![
                parse("", UNSEEN),
                bind("", ""),
                execute(""),
                parse("", "SELECT 1"),
                bind("", ""),
                sync(),
            ],
            "1 2 D C E42501 ZI",
        ),
        (
            "what has no names",
            vec![query(&format!(
                "{UNSEEN}; SHOW search_path; SET search_path = public; SELECT 1"
            ))],
            "T D C T D C C T D C ZI",
        ),
        ("afterwards", vec![query("SELECT 1")], "T D C ZI"),
    ] {
        assert_eq!(answers(&mut raw, &messages, 1), want, "{name}");
    }
    // Asking takes no snapshot, and waits for the end of a failed transaction.
    for (sql, want) in [
        ("BEGIN", "C ZT"),
        ("SET search_path TO DEFAULT", "C ZT"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "C ZT"),
        (UNSEEN, "T D C ZT"),
        ("SELECT 1/0", "E22012 ZE"),
        ("SELECT 1", "E25P02 ZE"),
        ("ROLLBACK", "C ZI"),
        ("SELECT 1", "T D C ZI"),
    ] {
        assert_eq!(answers(&mut raw, &[query(sql)], 1), want, "{sql}");
    }
    // The gateway's own queries are nobody's statements.
    assert!(gateway.statements("SHOW role").is_empty());
    assert_eq!(gateway.statements("SHOW search_path").len(), 4);
}

#[test]
fn t03_a_statement_waits_for_what_decides_its_meaning() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    for (name, messages, want) in [
        (
            "succeeds",
            vec![
                query("SET search_path = a"),
                query("SELECT 1"),
                query("RESET ALL"),
            ],
            "C ZI T D C ZI C ZI",
        ),
        (
            "fails",
            vec![
                query("SET search_path = a; SELECT 1/0"),
                query("SELECT 1"),
                query("SELECT 2"),
            ],
            "C E22012 ZI T D C ZI T D C ZI",
        ),
        (
            "extended",
            vec![
                parse("", "SET LOCAL search_path = a"),
                bind("", ""),
                execute(""),
                sync(),
                parse("", "SELECT 1"),
                bind("", ""),
                execute(""),
                sync(),
                query("SELECT 1"),
            ],
            "1 2 C ZI 1 2 D C ZI T D C ZI",
        ),
        (
            "a long pipeline",
            (0..300)
                .map(|number| {
                    query(if number % 2 == 0 {
                        "SET search_path = a"
                    } else {
                        "RESET search_path"
                    })
                })
                .chain([
                    query("SELECT 1"),
                    query("BEGIN; SET LOCAL search_path = c"),
                    query("COMMIT"),
                ])
                .collect(),
            "",
        ),
    ] {
        let ready = messages
            .iter()
            .filter(|message| matches!(message.first(), Some(b'Q' | b'S')))
            .count();
        let got = answers(&mut raw, &messages, ready);
        if want.is_empty() {
            assert!(got.ends_with("C ZI T D C ZI C C ZT C ZI"), "{name}: {got}");
        } else {
            assert_eq!(got, want, "{name}");
        }
    }
}

#[test]
fn t03_lexing_settings_end_the_session_whatever_way_they_change() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE DATABASE unconforming");
    postgres.sql(
        "shop",
        "ALTER DATABASE unconforming SET standard_conforming_strings = off",
    );
    let gateway = gateway_without_delete(&postgres);
    for sql in [
        "SET standard_conforming_strings = off",
        "BEGIN; SET LOCAL standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SET client_encoding = 'latin1'",
        "SET NAMES 'SJIS'",
    ] {
        let mut raw = gateway.log_in();
        raw.send(&query(sql));
        let got = outline(&raw.receive_until_ready(1));
        assert!(got.contains("E42501 Z"), "{sql}: {got}");
    }
    // Code that nobody sees, under a policy that permits it.
    let permissive = Gateway::start(
        &postgres,
        &Settings {
            policy: Some(
                NO_DELETE
                    .lines()
                    .filter(|line| !line.contains("no-opaque"))
                    .collect(),
            ),
            tls: "off",
            ..Settings::default()
        },
    );
    for sql in [
        "DO 'BEGIN EXECUTE replace(''SET standard_conforming = off'', ''ing '', ''ing_strings ''); END'",
        "BEGIN; DO 'BEGIN EXECUTE replace(''SET LOCAL clients = latin1'', ''s '', ''_encoding ''); END'",
    ] {
        let mut raw = permissive.log_in();
        raw.send(&query(sql));
        let got = outline(&raw.receive_until_ready(1));
        assert!(got.ends_with("E22023"), "{sql}: {got}");
        assert!(raw.is_closed(), "{sql}");
    }
    let refused = Raw::try_log_in(gateway.port(), "tester", "pencil", "unconforming", &[]).unwrap_err();
    assert!(refused.contains("standard_conforming_strings"), "{refused}");
    // `backslash_quote` decides only whether a text is read at all.
    let mut raw = gateway.log_in();
    assert_eq!(
        answers(
            &mut raw,
            &[query("SET backslash_quote = off"), query("SELECT 1")],
            2
        ),
        "C ZI T D C ZI"
    );
}

#[test]
fn t04_startup_parameters_are_judged_as_set() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::read_only()
        },
    );
    for (name, value, word) in [
        (
            "options",
            "-c session_replication_role=replica",
            "session_replication_role",
        ),
        ("options", "--search-path=a", "search_path"),
        ("options", "-c no.such=1", "no.such"),
        ("options", "-c role=postgres", "role"),
        (
            "options",
            "-csession_authorization=postgres",
            "session_authorization",
        ),
        (
            "options",
            "-c standard_conforming_strings=off",
            "standard_conforming_strings",
        ),
        ("search_path", "a", "search_path"),
        ("no_such_parameter", "1", "no_such_parameter"),
        ("client_encoding", "LATIN1", "client_encoding"),
        ("replication", "database", "replication"),
        ("replication", "true", "replication"),
    ] {
        let refused = Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[(name, value)]);
        let refused = refused.err().unwrap_or_else(|| panic!("{name}={value} is taken"));
        assert!(refused.contains(word), "{name}={value}: {refused}");
    }
    for (name, value) in [
        ("options", "-c statement_timeout=60000"),
        ("application_name", "a"),
        ("client_encoding", "utf-8"),
        ("replication", "off"),
    ] {
        let taken = Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[(name, value)]);
        assert!(taken.is_ok(), "{name}={value}: {:?}", taken.err());
    }
}

#[test]
fn t05_what_was_prepared_is_judged_again_in_another_state() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    // Long enough to be analysed by a helper.
    let long = format!(
        "SELECT $1::text /* {} */ WHERE 1 IN (1{})",
        "x".repeat(5000),
        ", 1".repeat(3000)
    );
    let long_bind = |len: usize| {
        let value = [
            &u32::try_from(len).expect("short").to_be_bytes()[..],
            &vec![b'v'; len],
        ]
        .concat();
        message(b'B', &[&b"\0long\0\0\0\0\x01"[..], &value, b"\0\0"].concat())
    };
    for (name, messages, want) in [
        (
            "prepared",
            vec![parse("short", "SELECT 1"), parse("long", &long), sync()],
            "1 1 ZI",
        ),
        ("another state", vec![query("SET search_path = a")], "C ZI"),
        (
            "both are run",
            vec![bind("", "short"), execute(""), long_bind(5), execute(""), sync()],
            "2 D C 2 D C ZI",
        ),
        (
            "and by SQL",
            vec![
                query("PREPARE again AS SELECT 1"),
                query("SET search_path = b"),
                query("EXECUTE again"),
            ],
            "C ZI C ZI T D C ZI",
        ),
        (
            "in parts it cannot wait",
            vec![long_bind(100_000), execute(""), sync()],
            "E0A000 ZI",
        ),
        (
            "the state at the Bind and the one at the Execute",
            vec![
                bind("p", "short"),
                parse("", "SET search_path = c"),
                bind("", ""),
                execute(""),
                execute("p"),
                sync(),
            ],
            "2 1 2 C D C ZI",
        ),
        (
            "a failed Parse leaves the old text",
            vec![
                parse("short", "SELECT 2, 3"),
                sync(),
                bind("", "short"),
                execute(""),
                sync(),
            ],
            "E42P05 ZI 2 D C ZI",
        ),
    ] {
        let ready = messages
            .iter()
            .filter(|message| matches!(message.first(), Some(b'Q' | b'S')))
            .count();
        assert_eq!(answers(&mut raw, &messages, ready), want, "{name}");
    }
}

#[test]
fn t03_a_failed_transaction_is_left_whatever_ran_in_it() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    for (name, block) in [
        (
            "what it runs is computed",
            "DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$",
        ),
        ("what it says is all", "DO $$ BEGIN PERFORM 1; END $$"),
        (
            "another text behind it",
            "DO $$ BEGIN EXECUTE 'SELECT 1'; END $$; SELECT 1",
        ),
    ] {
        for end in [
            "ROLLBACK",
            "COMMIT",
            "ROLLBACK TO s; ROLLBACK",
            "/* it is over */ ROLLBACK",
        ] {
            for sql in ["BEGIN", "SAVEPOINT s", block, "SELECT 1/0", end] {
                raw.send(&query(sql));
                raw.receive_until_ready(1);
            }
            assert_eq!(
                answers(&mut raw, &[query("SELECT name FROM customers LIMIT 1")], 1),
                "T D C ZI",
                "{name}, {end}"
            );
        }
    }
}

#[test]
fn t11_a_cycle_that_copy_swallows_is_waited_for_rightly() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE copied_in (id int)");
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    let copy = |end: &[u8]| {
        vec![
            parse("", "SET LOCAL search_path = public"),
            bind("", ""),
            execute(""),
            parse("", "COPY copied_in FROM STDIN"),
            bind("", ""),
            execute(""),
            // The server reads COPY data and takes this Sync for none.
            sync(),
            message(b'd', b"1\n"),
            end.to_vec(),
            parse("", "SELECT 1"),
            bind("", ""),
            execute(""),
            sync(),
        ]
    };
    let got = answers(&mut raw, &copy(&message(b'c', b"")), 1);
    assert_eq!(got, "1 2 C 1 2 G C 1 2 D C ZI");
    assert_eq!(answers(&mut raw, &[query("SELECT 1")], 1), "T D C ZI");
}

#[test]
fn t13_roles_are_left_only_where_policy_lets() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::read_only()
        },
    );
    let mut raw = gateway.log_in();
    for sql in [
        "SET ROLE NONE",
        "SET LOCAL ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SET SESSION AUTHORIZATION DEFAULT",
        "RESET ROLE",
        "RESET SESSION AUTHORIZATION",
        "SELECT set_config('role', 'none', false)",
    ] {
        assert_eq!(answers(&mut raw, &[query(sql)], 1), "E42501 ZI", "{sql}");
    }
    assert_eq!(
        answers(&mut raw, &[query("DISCARD ALL"), query("SELECT 1")], 2),
        "C ZI T D C ZI"
    );
}

const REPLACED: &str =
    "CREATE OR REPLACE FUNCTION harms() RETURNS int LANGUAGE sql AS 'DELETE FROM kept; SELECT 1'";

/// A cursor's functions run when it is read, and find their names then.
#[test]
fn t11_fetch_does_what_its_cursor_does_now() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);
         CREATE FUNCTION harms() RETURNS int LANGUAGE sql AS 'SELECT id FROM kept';
         CREATE FUNCTION calls() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN harms(); END'",
    );
    let gateway = gateway_without_delete(&postgres);
    let mut raw = gateway.log_in();
    let declare = query("DECLARE c CURSOR FOR SELECT calls()");
    let open = answers(&mut raw, &[query("BEGIN"), declare.clone()], 2);
    assert_eq!(open, "C ZT C ZT");
    assert_eq!(answers(&mut raw, &[query("FETCH c")], 1), "T D C ZT");
    let fetched = gateway.statements("FETCH c");
    let effects = fetched[0]["effects"].to_string();
    assert!(effects.contains("Read relation public.kept"), "{effects}");
    for (name, messages, want) in [
        ("by its text", vec![query("FETCH c")], "E42501 ZE"),
        (
            "by a prepared statement",
            vec![parse("", "FETCH c"), bind("", ""), execute(""), sync()],
            "E42501 ZE",
        ),
        ("as a portal", vec![execute("c"), sync()], "E42501 ZE"),
        ("as MOVE", vec![query("MOVE c")], "E42501 ZE"),
    ] {
        for message in [query("ROLLBACK"), query("BEGIN"), declare.clone()] {
            assert!(answers(&mut raw, &[message], 1).starts_with('C'), "{name}");
        }
        assert_eq!(answers(&mut raw, &[query(REPLACED)], 1), "C ZT", "{name}");
        assert_eq!(answers(&mut raw, &messages, 1), want, "{name}");
    }
    answers(&mut raw, &[query("ROLLBACK")], 1);
    // All in one text: the FETCH is cut off.
    let text = format!("BEGIN; DECLARE c CURSOR FOR SELECT calls(); {REPLACED}; FETCH c");
    assert_eq!(answers(&mut raw, &[query(&text)], 1), "C C C E42501 ZE");
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM kept").trim(), "1");
}

/// A temporary table hides another of its name, until the transaction that made it is taken back or drops it.
#[test]
fn t12_what_a_transaction_hid_is_seen_behind_its_end() {
    let postgres = postgres();
    let policy = r#"
@id("all") permit (principal, action, resource);
@id("kept") forbid (principal, action == Action::"Delete", resource in Table::"shop/shop/public.victim");
@id("no-opaque") forbid (principal, action == Action::"Opaque", resource);
"#;
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            policy: Some(policy.to_owned()),
            tls: "off",
            ..Settings::default()
        },
    );
    let mut raw = gateway.log_in();
    for (name, hides, end) in [
        (
            "rolled back",
            "BEGIN; CREATE TEMP TABLE victim (id int)",
            "ROLLBACK",
        ),
        (
            "dropped on commit",
            "BEGIN; CREATE TEMP TABLE victim (id int) ON COMMIT DROP",
            "COMMIT",
        ),
        (
            "taken back to a savepoint",
            "BEGIN; SAVEPOINT s; CREATE TEMP TABLE victim (id int)",
            "ROLLBACK TO s",
        ),
    ] {
        assert!(answers(&mut raw, &[query(hides)], 1).ends_with("ZT"), "{name}");
        let own = answers(&mut raw, &[query("DELETE FROM victim")], 1);
        assert_eq!(own, "C ZT", "{name}: the session's own");
        let behind = answers(&mut raw, &[query(&format!("{end}; DELETE FROM victim"))], 1);
        assert!(behind.starts_with("C E42501"), "{name}: {behind}");
        answers(&mut raw, &[query("ROLLBACK")], 1);
    }
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM victim"), "10");
}
