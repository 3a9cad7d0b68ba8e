//! What is computed from a configured column is withheld: it comes as NULL, whatever it is.

use std::sync::Arc;

use sluice_tests::raw::{Raw, bind, execute, message, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings};

const SECRET: &str = "ada@lovelace.example";

/// Statements whose first column is computed from `people.email`, by some way.
const DERIVED: [&str; 22] = [
    "SELECT email FROM people",
    "SELECT upper(email) FROM people",
    "SELECT email || '' FROM people",
    "SELECT row_to_json(people) FROM people",
    "SELECT to_jsonb(people)->>'email' FROM people",
    "SELECT people::text FROM people",
    "SELECT email::varchar FROM people",
    "SELECT coalesce(email, 'x') FROM people",
    "SELECT array_agg(email) FROM people",
    "SELECT string_agg(email, ',') FROM people",
    "SELECT (SELECT email FROM people LIMIT 1)",
    "SELECT x FROM (SELECT email || '' AS x FROM people) y",
    "WITH w AS MATERIALIZED (SELECT lower(email) AS x FROM people) SELECT x FROM w",
    "SELECT email FROM people UNION ALL SELECT 'x'",
    "SELECT * FROM (SELECT email AS x FROM people OFFSET 0) y UNION ALL SELECT NULL",
    "SELECT mail FROM people_view",
    "SELECT shown FROM people_view",
    "SELECT email FROM people_of('x')",
    "SELECT people_mail()",
    "SELECT people_dynamic()",
    "SELECT ROW(email, id)::text FROM people",
    "UPDATE people SET id = id RETURNING email || ''",
];

/// Statements that give nothing of it, and what they give.
const OTHERS: [(&str, &str); 8] = [
    ("SELECT note FROM people", "a note"),
    ("SELECT upper(note) FROM people", "A NOTE"),
    ("SELECT count(*) FROM people", "1"),
    ("SELECT people_count()", "1"),
    ("SELECT note FROM people_view", "a note"),
    ("SELECT 'constant'", "constant"),
    ("SELECT note FROM people_view v, generate_series(1, 1)", "a note"),
    ("SHOW server_version_num", "15"),
];

fn postgres() -> Postgres {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        &format!(
            "CREATE TABLE people (id int, email text, note text);
             INSERT INTO people VALUES (1, '{SECRET}', 'a note');
             CREATE VIEW people_view AS SELECT email AS mail, 'x' || email AS shown, note FROM people;
             CREATE FUNCTION people_of(text) RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM people';
             CREATE FUNCTION people_mail() RETURNS text LANGUAGE plpgsql AS
               'BEGIN RETURN (SELECT email FROM people); END';
             CREATE FUNCTION people_dynamic() RETURNS text LANGUAGE plpgsql AS
               'DECLARE x text; BEGIN EXECUTE ''SELECT em'' || ''ail FROM people'' INTO x; RETURN x; END';
             CREATE FUNCTION people_count() RETURNS bigint LANGUAGE plpgsql AS
               'BEGIN RETURN (SELECT count(id) FROM people); END'"
        ),
    );
    postgres
}

/// Without detectors: what is masked is masked for where it comes from.
fn gateway(postgres: &Postgres) -> Gateway {
    Gateway::start(
        postgres,
        &Settings {
            tls: "off",
            columns: "\"public.people.email\" = \"email\"".to_owned(),
            masking_more: "detectors = []".to_owned(),
            ..Settings::default()
        },
    )
}

/// The rows of messages of which each has its answer before the next is sent.
fn rows(session: &mut Raw, sent: &[Vec<u8>]) -> String {
    let mut messages = Vec::new();
    for message in sent {
        session.send(message);
        messages.extend(session.receive_until_ready(1));
    }
    let failed = messages.iter().find(|(tag, _)| *tag == b'E');
    assert!(
        failed.is_none(),
        "{:?}",
        failed.map(|(_, body)| String::from_utf8_lossy(body))
    );
    let rows = messages.iter().filter(|(tag, _)| *tag == b'D');
    rows.map(|(_, body)| String::from_utf8_lossy(body).into_owned())
        .collect()
}

fn is_masked(text: &str) -> bool {
    let lower = text.to_lowercase();
    !lower.contains("ada@") && !lower.contains("lovelace")
}

/// Whether a row has a NULL: its length is -1.
fn has_null(rows: &str) -> bool {
    rows.contains("\u{fffd}\u{fffd}\u{fffd}\u{fffd}")
}

#[test]
fn t10_what_is_computed_from_a_configured_column_is_masked() {
    let postgres = postgres();
    let gateway = gateway(&postgres);
    for sql in DERIVED {
        let output = gateway.sql(sql);
        assert!(output.success, "{sql}: {output:?}");
        assert!(is_masked(&output.stdout), "{sql}: {output:?}");
        let is_null = output
            .stdout
            .lines()
            .any(|line| line.split('|').any(str::is_empty));
        let is_plain = sql == "SELECT email FROM people" || sql.contains("SELECT mail");
        assert!(
            if is_plain {
                output.stdout.contains('*')
            } else {
                is_null
            },
            "{sql}: {output:?}"
        );
    }
    for (sql, want) in OTHERS {
        let output = gateway.sql(sql);
        assert!(output.stdout.trim().starts_with(want), "{sql}: {output:?}");
    }
    let mut arguments = vec![SECRET];
    arguments.extend(DERIVED);
    let printed = gateway.python("derived.py", &arguments);
    let counts: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(counts.len(), DERIVED.len() * 6, "{printed}");
    assert!(
        counts.iter().all(|count| matches!(*count, "1" | "2")),
        "{printed}"
    );
    let masked = gateway.metric("sluice_values_masked_total");
    assert!(masked > 0.0, "they count as e-mail addresses");
}

/// What FETCH and EXECUTE give is what was declared or prepared.
#[test]
fn t11_cursors_and_prepared_statements_keep_their_masks() {
    let postgres = postgres();
    let gateway = gateway(&postgres);
    let mut session = gateway.log_in();
    let computed = "SELECT upper(email), note FROM people";
    let described = |name: &str| message(b'D', format!("P{name}\0").as_bytes());
    for (name, sent) in [
        (
            "a cursor in one text",
            vec![query(&format!(
                "BEGIN; DECLARE c CURSOR FOR {computed}; FETCH ALL c; COMMIT"
            ))],
        ),
        (
            "a cursor, message by message",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {computed}")),
                query("FETCH c"),
                query("COMMIT"),
            ],
        ),
        (
            "a cursor that is held",
            vec![
                query(&format!("DECLARE h CURSOR WITH HOLD FOR {computed}")),
                query("FETCH h"),
                query("CLOSE h"),
            ],
        ),
        (
            "a cursor as a portal",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {computed}")),
                [described("c"), execute("c"), sync()].concat(),
                query("COMMIT"),
            ],
        ),
        (
            "PREPARE and EXECUTE in one text",
            vec![query(&format!(
                "PREPARE p AS {computed}; EXECUTE p; DEALLOCATE p"
            ))],
        ),
        (
            "EXECUTE of what Parse prepared",
            vec![
                [parse("q", computed), sync()].concat(),
                query("EXECUTE q"),
                query("DEALLOCATE q"),
            ],
        ),
        (
            "EXECUTE in a portal",
            vec![
                query(&format!("PREPARE r AS {computed}")),
                [parse("", "EXECUTE r"), bind("", ""), execute(""), sync()].concat(),
                query("DEALLOCATE r"),
            ],
        ),
        (
            "FETCH in a portal",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {computed}")),
                [parse("", "FETCH ALL c"), bind("", ""), execute(""), sync()].concat(),
                query("COMMIT"),
            ],
        ),
    ] {
        let text = rows(&mut session, &sent);
        assert!(is_masked(&text) && has_null(&text), "{name}: {text}");
        assert!(text.contains("a note"), "{name}: {text}");
    }
    // A name that something else may stand under: nothing of it is shown.
    for (name, sent) in [
        (
            "a cursor in a portal's place",
            vec![
                query("BEGIN"),
                [parse("s", "SELECT note FROM people"), bind("c", "s"), sync()].concat(),
                query(&format!("CLOSE c; DECLARE c CURSOR FOR {computed}")),
                [execute("c"), sync()].concat(),
                query("COMMIT"),
            ],
        ),
        (
            "a cursor that a function opened",
            vec![
                query(
                    "CREATE OR REPLACE FUNCTION opens() RETURNS refcursor LANGUAGE plpgsql AS \
                     'DECLARE c refcursor := ''opened''; BEGIN OPEN c FOR SELECT upper(email) FROM people; RETURN c; END'",
                ),
                query("BEGIN"),
                query("SELECT opens()"),
                query("FETCH ALL opened"),
                query("COMMIT"),
            ],
        ),
        (
            "a cursor that a block puts in another's place",
            vec![
                query("BEGIN"),
                query("DECLARE c CURSOR FOR SELECT upper(note) FROM people"),
                query(
                    "DO $$ DECLARE c refcursor := 'c'; BEGIN CLOSE c; OPEN c FOR SELECT upper(email) FROM people; END $$",
                ),
                query("FETCH ALL c"),
                query("COMMIT"),
            ],
        ),
        (
            "a cursor that a block opens under a name that was given up",
            vec![
                query("BEGIN; SAVEPOINT s"),
                query("DECLARE c CURSOR FOR SELECT upper(note) FROM people"),
                query("ROLLBACK TO s"),
                query(
                    "DO $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT upper(email) FROM people; END $$",
                ),
                query("FETCH ALL c"),
                query("COMMIT"),
            ],
        ),
        (
            "a statement that a block prepares in another's place",
            vec![
                query("PREPARE p AS SELECT upper(note) FROM people"),
                query(
                    "DO $$ BEGIN EXECUTE 'DEALLOCATE p'; EXECUTE 'PREPARE p AS SELECT upper(email) FROM people'; END $$",
                ),
                query("EXECUTE p"),
                query("DEALLOCATE p"),
            ],
        ),
        (
            "the same without dynamic SQL",
            vec![
                query("PREPARE p AS SELECT upper(note) FROM people"),
                query("DO $$ BEGIN DEALLOCATE p; PREPARE p AS SELECT upper(email) FROM people; END $$"),
                query("EXECUTE p"),
                query("DEALLOCATE p"),
            ],
        ),
        (
            "a portal that a block opens anew",
            vec![
                query("BEGIN"),
                [
                    parse("t", "SELECT upper(note) FROM people"),
                    bind("c", "t"),
                    sync(),
                ]
                .concat(),
                query(
                    "DO $$ DECLARE c refcursor := 'c'; BEGIN CLOSE c; OPEN c FOR SELECT upper(email) FROM people; END $$",
                ),
                [execute("c"), sync()].concat(),
                query("COMMIT"),
            ],
        ),
    ] {
        let text = rows(&mut session, &sent);
        assert!(is_masked(&text) && has_null(&text), "{name}: {text}");
    }
}

/// A computed value is not overwritten where it stands: its length, and whether it is there, can be made to tell.
#[test]
fn t16_computed_values_tell_nothing_by_length_or_null() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "INSERT INTO people VALUES (2, 'b', 'another'), (3, NULL, 'a third')",
    );
    let gateway = gateway(&postgres);
    let mut session = gateway.log_in();
    for computed in [
        "repeat('x', length(email))",
        "nullif(email, 'b')",
        "email || ''",
        "email IS NULL",
        "coalesce(email, '')",
        "length(email)",
        "people",
    ] {
        let sent = [query(&format!("SELECT {computed} FROM people"))];
        let text = rows(&mut session, &sent);
        let nothing = "\0\u{1}\u{fffd}\u{fffd}\u{fffd}\u{fffd}";
        assert_eq!(text, nothing.repeat(3), "{computed}");
    }
}

/// The server names another column than the snapshot: the rows are masked before the snapshot is read again.
#[test]
fn t10_a_description_that_contradicts_the_snapshot_masks_the_rows() {
    let postgres = Arc::new(postgres());
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            connection: "catalog_max_age = \"10m\"".to_owned(),
            columns: "\"public.people.email\" = \"email\"".to_owned(),
            masking_more: "detectors = []".to_owned(),
            ..Settings::default()
        },
    );
    let mut session = gateway.log_in();
    let note = [query("SELECT note, upper(note) FROM people")];
    assert!(rows(&mut session, &note).contains("A NOTE"));
    // Past the gateway, the columns' names change places: `note` is the address now.
    postgres.sql(
        "shop",
        "BEGIN; ALTER TABLE people RENAME email TO x; ALTER TABLE people RENAME note TO email;
         ALTER TABLE people RENAME x TO note; COMMIT",
    );
    let text = rows(&mut session, &note);
    assert!(is_masked(&text), "{text}");
    sluice_tests::wait_until(
        "the snapshot was read again, and tells `note` from `email`",
        || {
            let email = rows(&mut session, &[query("SELECT 1, note FROM people")]);
            email.contains("ada@") || email.contains("lovelace")
        },
    );
    // What is named `email` is masked.
    let text = rows(&mut session, &[query("SELECT email FROM people")]);
    assert!(text.contains('*') && !text.contains("a note"), "{text}");
}
