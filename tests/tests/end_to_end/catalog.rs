//! What the gateway knows of a database's objects, and when it learns of changes.

use serde_json::Value;
use sluice_tests::raw::{Raw, outline, query};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

/// The text of the rows that a statement of an open session gives.
fn rows_of(session: &mut Raw, sql: &str) -> String {
    session.send(&query(sql));
    let messages = session.receive_until_ready(1);
    let rows = messages.iter().filter(|(tag, _)| *tag == b'D');
    rows.map(|(_, body)| String::from_utf8_lossy(body).into_owned())
        .collect()
}

fn gateway(postgres: &Postgres, connection: &str) -> Gateway {
    postgres.sql(
        "shop",
        "CREATE TABLE people (id int, name text); INSERT INTO people VALUES (1, 'Ada')",
    );
    Gateway::start(
        postgres,
        &Settings {
            tls: "off",
            columns: "\"public.people.name\" = \"other\"".to_owned(),
            connection: connection.to_owned(),
            ..Settings::default()
        },
    )
}

/// Puts another table in the place of one whose column is masked.
const REPLACE: &str = "BEGIN; ALTER TABLE people RENAME TO former; CREATE TABLE people (id int, more int, name text); \
     INSERT INTO people VALUES (1, 2, 'Grace'); COMMIT";

#[test]
fn t10_changes_through_the_gateway_are_known_at_once() {
    let postgres = Postgres::start(&[]);
    let gateway = gateway(&postgres, "catalog_max_age = \"10m\"");
    let mut session = gateway.log_in();
    assert!(rows_of(&mut session, "SELECT name FROM people").contains("***"));
    session.send(&query(REPLACE));
    session.receive_until_ready(1);
    // A new session waits for what is known now.
    let output = gateway.sql("SELECT name FROM people");
    assert!(
        output.stdout.contains("***") && !output.stdout.contains("Grace"),
        "{output:?}"
    );
    // One that is open learns of it.
    wait_until("the session that made the change masks by it", || {
        rows_of(&mut session, "SELECT name FROM people").contains("***")
    });
}

#[test]
fn t10_changes_outside_of_the_gateway_are_known_when_the_database_tells_of_them() {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE FUNCTION sluice_ddl() RETURNS event_trigger LANGUAGE plpgsql
           AS $$ BEGIN PERFORM pg_catalog.pg_notify('sluice_ddl', ''); END $$;
         CREATE EVENT TRIGGER sluice_ddl ON ddl_command_end EXECUTE FUNCTION sluice_ddl()",
    );
    let gateway = gateway(&postgres, "catalog_max_age = \"10m\"");
    let mut session = gateway.log_in();
    assert!(rows_of(&mut session, "SELECT name FROM people").contains("***"));
    postgres.sql("shop", REPLACE);
    wait_until("the notification brings the change", || {
        rows_of(&mut session, "SELECT name FROM people").contains("***")
    });
}

#[test]
fn t10_changes_outside_of_the_gateway_are_known_after_catalog_max_age() {
    let postgres = Postgres::start(&[]);
    let gateway = gateway(&postgres, "catalog_max_age = \"1s\"");
    let mut session = gateway.log_in();
    assert!(rows_of(&mut session, "SELECT name FROM people").contains("***"));
    postgres.sql("shop", REPLACE);
    wait_until("the next reading brings the change", || {
        rows_of(&mut session, "SELECT name FROM people").contains("***")
    });
}

#[test]
fn all_sessions_of_a_database_share_one_reader() {
    let postgres = Postgres::start(&[]);
    let gateway = gateway(&postgres, "");
    let sessions: Vec<_> = (0..8).map(|_| gateway.log_in()).collect();
    let readers = || {
        postgres.sql(
            "postgres",
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice catalog'",
        )
    };
    let first = readers();
    assert!(first.parse::<u32>().is_ok(), "one process: {first}");
    // A server that comes back is read again.
    postgres.sql("postgres", &format!("SELECT pg_terminate_backend({first})"));
    wait_until("another one logs in", || {
        let now = readers();
        now != first && now.parse::<u32>().is_ok()
    });
    drop(sessions);
}

/// Runs statements one by one; all succeed.
fn run(session: &mut Raw, statements: &[&str]) {
    for sql in statements {
        session.send(&query(sql));
        let outline = outline(&session.receive_until_ready(1));
        assert!(!outline.contains('E'), "{sql}: {outline}");
    }
}

/// What was recorded of the only statement with that text.
fn effects_of(gateway: &Gateway, sql: &str) -> String {
    let mut statements = gateway.statements(sql);
    statements.retain(|statement| statement["text"] == sql);
    let [statement] = &statements[..] else {
        panic!("{sql}: {statements:?}");
    };
    let lines = statement["effects"].as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

#[test]
fn t12_temporary_objects_are_known_to_their_session() {
    let postgres = Postgres::start(&[]);
    let gateway = gateway(&postgres, "catalog_max_age = \"10m\"");
    let mut session = gateway.log_in();
    run(
        &mut session,
        &[
            "CREATE TEMP TABLE people (id int, place text)",
            "INSERT INTO people VALUES (1, 'Turin')",
            "SELECT place FROM people",
            "BEGIN",
            "CREATE TEMP VIEW places AS SELECT place FROM people",
            "SELECT place FROM places",
            "COMMIT",
            "SELECT upper(place) FROM places",
            "DROP VIEW places",
            "SELECT lower(place) FROM people",
            // Others' DDL is seen as well.
            "CREATE TABLE more (id int)",
            "SELECT people.id FROM people, more",
            "DROP TABLE pg_temp.people",
            "SELECT name FROM people",
        ],
    );
    drop(session);
    for (sql, want) in [
        (
            "SELECT place FROM people",
            "Read relation pg_temp_N.people (place)",
        ),
        (
            "SELECT place FROM places",
            "Read relation pg_temp_N.places (place); Read relation pg_temp_N.people (place)",
        ),
        (
            "SELECT upper(place) FROM places",
            "Read relation pg_temp_N.places (place); Read relation pg_temp_N.people (place)",
        ),
        (
            "SELECT lower(place) FROM people",
            "Read relation pg_temp_N.people (place)",
        ),
        (
            "SELECT people.id FROM people, more",
            "Read relation pg_temp_N.people (id); Read relation public.more [rows]",
        ),
        ("SELECT name FROM people", "Read relation public.people (name)"),
    ] {
        let got = effects_of(&gateway, sql);
        let number = got.find("pg_temp_").map(|at| {
            let digits = got[at + 8..].chars().take_while(char::is_ascii_digit);
            digits.collect::<String>()
        });
        let got = match number {
            Some(number) => got.replace(&format!("pg_temp_{number}."), "pg_temp_N."),
            None => got,
        };
        assert_eq!(got, want, "{sql}");
    }
}

#[test]
fn t12_a_role_that_may_not_read_the_catalog_knows_less() {
    let postgres = Postgres::start(&[]);
    let gateway = gateway(&postgres, "catalog_max_age = \"10m\"");
    postgres.sql(
        "shop",
        "CREATE ROLE blind; GRANT ALL ON people TO blind; REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC",
    );
    let mut session = gateway.log_in();
    run(
        &mut session,
        &[
            "BEGIN",
            "CREATE TABLE fresh AS SELECT 7 AS id",
            "GRANT ALL ON fresh TO blind",
            "SET ROLE blind",
            "SELECT id FROM fresh",
            "COMMIT",
            "CREATE TEMP TABLE here AS SELECT 7 AS id",
            "SELECT id FROM here",
            "RESET ROLE",
            "SELECT id + 0 FROM here",
        ],
    );
    drop(session);
    for (sql, is_certain) in [
        ("SELECT id FROM fresh", false),
        ("SELECT id FROM here", false),
        ("SELECT id + 0 FROM here", true),
    ] {
        let effects = effects_of(&gateway, sql);
        assert_eq!(!effects.contains("uncertain"), is_certain, "{sql}: {effects}");
    }
}

/// A reading within the client's transaction fails for a lock; the transaction goes on, and knows less.
#[test]
fn t10_a_reading_that_fails_leaves_the_transaction_as_it_is() {
    let postgres = std::sync::Arc::new(Postgres::start(&["log_statement=all"]));
    let gateway = gateway(&postgres, "");
    let mut session = gateway.log_in();
    for sql in [
        "SET lock_timeout = '300ms'",
        "BEGIN",
        "SAVEPOINT mine",
        "CREATE TABLE made (id int)",
    ] {
        assert_eq!(rows_of(&mut session, sql), "", "{sql}");
    }
    let holder = {
        let postgres = std::sync::Arc::clone(&postgres);
        let sql = "BEGIN; LOCK TABLE pg_catalog.pg_foreign_server IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5); COMMIT";
        std::thread::spawn(move || postgres.psql("shop", sql))
    };
    let held = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' \
         AND relation = 'pg_foreign_server'::regclass";
    wait_until("the catalog is locked", || postgres.sql("shop", held) == "1");
    assert!(rows_of(&mut session, "SELECT count(*) FROM made").contains('0'));
    let log = postgres.log();
    assert!(
        log.contains("canceling statement due to lock timeout")
            && log.contains("ROLLBACK TO SAVEPOINT sluice_catalog"),
        "{log}"
    );
    // What the client did before is still there, its savepoint too.
    for sql in ["INSERT INTO made VALUES (1)", "RELEASE SAVEPOINT mine", "COMMIT"] {
        session.send(&query(sql));
        let messages = session.receive_until_ready(1);
        assert!(
            !messages.iter().any(|(tag, _)| *tag == b'E'),
            "{sql}: {messages:?}"
        );
    }
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM made"), "1");
    assert!(holder.join().expect("it ends").success);
}
