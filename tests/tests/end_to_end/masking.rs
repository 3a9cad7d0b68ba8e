//! Personal data never reaches the client.

use sluice_tests::raw::{Raw, bind, execute, execute_some, message, outline, parse, query, sync};
use sluice_tests::{Gateway, Settings};

use crate::shared::postgres;

fn text_of(messages: &[(u8, Vec<u8>)]) -> String {
    let rows = messages.iter().filter(|(tag, _)| *tag == b'D' || *tag == b'd');
    rows.map(|(_, body)| String::from_utf8_lossy(body).into_owned())
        .collect()
}

#[test]
fn rows_of_every_way_are_masked() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
    let sql = "SELECT id, email, card, ssn FROM customers WHERE id < 4";
    for (name, sent, cycles, want) in [
        ("simple", vec![query(sql)], 1, "T D D D C ZI"),
        (
            "undescribed",
            vec![parse("", sql), bind("", ""), execute(""), sync()],
            1,
            "1 2 D D D C ZI",
        ),
        (
            "prepared",
            vec![parse("p", sql), sync(), bind("", "p"), execute(""), sync()],
            2,
            "1 ZI 2 D D D C ZI",
        ),
        (
            "again, undescribed",
            vec![bind("", "p"), execute(""), sync()],
            1,
            "2 D D D C ZI",
        ),
        (
            "copy",
            vec![query("COPY (SELECT * FROM customers WHERE id < 4) TO STDOUT")],
            1,
            "H d d d c C ZI",
        ),
        (
            "binary copy",
            vec![query(
                "COPY (SELECT email FROM customers WHERE id < 4) TO STDOUT (FORMAT binary)",
            )],
            1,
            "H d d d d c C ZI",
        ),
        (
            "cursor",
            vec![query(
                "BEGIN; DECLARE c CURSOR FOR SELECT email FROM customers WHERE id < 4; FETCH ALL c; COMMIT",
            )],
            1,
            "C C T D D D C C ZI",
        ),
        (
            "array",
            vec![query("SELECT array_agg(email) FROM customers WHERE id < 4")],
            1,
            "T D C ZI",
        ),
        (
            "json",
            vec![query("SELECT json_agg(customers) FROM customers WHERE id < 4")],
            1,
            "T D C ZI",
        ),
    ] {
        raw.send(&sent.concat());
        let messages = raw.receive_until_ready(cycles);
        assert_eq!(outline(&messages), want, "{name}");
        let text = text_of(&messages);
        assert!(
            !text.contains("example.org") && !text.contains("4111111111111111") && !text.contains("078-05"),
            "{name}: {text}"
        );
        assert!(text.contains('*'), "{name}: {text}");
    }
    // Inside of an error and of a notice too.
    let output =
        gateway.sql("INSERT INTO customers (id) SELECT 1 FROM customers WHERE email = 'user1@example.org'");
    assert!(
        !output.success && !output.stderr.contains("user1@example"),
        "{}",
        output.stderr
    );
}

/// SQL puts other statements and cursors under the names of the protocol, or under those that EXECUTE and FETCH use.
#[test]
fn rows_are_masked_as_what_stands_under_a_name_now() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let numbers = "SELECT id, id FROM customers WHERE id < 4";
    let mails = "SELECT email, ssn FROM customers WHERE id < 4";
    let statement = |name: &str| message(b'D', format!("S{name}\0").as_bytes());
    let portal = |name: &str| message(b'D', format!("P{name}\0").as_bytes());
    let declare = |options: &str| query(&format!("DECLARE h CURSOR {options} FOR {mails}"));
    for (name, before, cycles, then, then_cycles) in [
        (
            "a cursor in a portal's place",
            vec![
                query("BEGIN"),
                parse("s", numbers),
                bind("h", "s"),
                portal("h"),
                execute_some("h", 1),
                sync(),
            ],
            2,
            vec![query("CLOSE h"), declare(""), execute("h"), sync()],
            3,
        ),
        (
            "a held cursor behind a Bind that fails",
            vec![parse("s", numbers), statement("s"), sync(), declare("WITH HOLD")],
            2,
            vec![bind("h", "s"), sync(), execute("h"), sync()],
            2,
        ),
        (
            "another statement below EXECUTE",
            vec![
                query(&format!("PREPARE x AS {numbers}")),
                parse("s", "EXECUTE x"),
                statement("s"),
                sync(),
                query(&format!("DEALLOCATE x; PREPARE x AS {mails}")),
            ],
            3,
            vec![bind("", "s"), execute(""), sync()],
            1,
        ),
        (
            "another cursor below FETCH",
            vec![
                query(&format!("BEGIN; DECLARE h CURSOR FOR {numbers}")),
                parse("s", "FETCH ALL FROM h"),
                statement("s"),
                sync(),
                query("CLOSE h"),
                declare(""),
            ],
            4,
            vec![bind("", "s"), execute(""), sync()],
            1,
        ),
        (
            "a PREPARE under way in the extended protocol",
            vec![parse("s", numbers), statement("s"), sync()],
            1,
            vec![
                query("DEALLOCATE s"),
                parse("", &format!("PREPARE s AS {mails}")),
                bind("", ""),
                execute(""),
                bind("", "s"),
                execute(""),
                sync(),
            ],
            2,
        ),
    ] {
        let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
        raw.send(&before.concat());
        raw.receive_until_ready(cycles);
        raw.send(&then.concat());
        let text = text_of(&raw.receive_until_ready(then_cycles));
        assert!(text.contains('*'), "{name}: {text}");
        assert!(
            !text.contains("example.org") && !text.contains("078-05"),
            "{name}: {text}"
        );
    }
}

#[test]
fn an_error_of_any_size_is_masked() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
    raw.send(&query(
        "SELECT repeat(email || ' ', 100000)::int FROM customers WHERE id = 1",
    ));
    let messages = raw.receive_until_ready(1);
    assert_eq!(outline(&messages), "T E22P02 ZI");
    for (_, body) in messages {
        assert!(!String::from_utf8_lossy(&body).contains("example.org"));
    }
}

#[test]
fn configured_columns_are_masked_whatever_they_contain() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE people (id int, name text, born int); INSERT INTO people VALUES (1, 'Ada', 1815);
         CREATE TABLE people_too () INHERITS (people); INSERT INTO people_too VALUES (2, 'Grace', 1906)",
    );
    let columns = "\"public.people.name\" = \"other\"\n\"public.people.born\" = \"other\"".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            columns,
            ..Settings::default()
        },
    );
    for sql in [
        "SELECT name FROM people ORDER BY id",
        "SELECT p.name AS something FROM people p ORDER BY id",
        "SELECT * FROM (SELECT name, id FROM people) x ORDER BY id",
        "SELECT name FROM people_too",
        "SELECT people FROM people ORDER BY id",
    ] {
        let output = gateway.sql(sql);
        assert!(
            output.stdout.contains("***")
                && !output.stdout.contains("Ada")
                && !output.stdout.contains("Grace"),
            "{sql}: {output:?}"
        );
    }
    let printed = gateway.python("columns.py", &[]);
    assert_eq!(
        printed.trim(),
        "('***', None)",
        "a number in binary format is NULL"
    );
    let copied = gateway.sql("COPY people TO STDOUT");
    assert!(
        !copied.success && copied.stderr.contains("cannot be masked by column"),
        "{copied:?}"
    );
}

#[test]
fn masking_can_be_off() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            masking: false,
            ..Settings::default()
        },
    );
    assert_eq!(
        gateway
            .sql("SELECT email FROM customers WHERE id = 1")
            .stdout
            .trim(),
        "user1@example.org"
    );
}

#[test]
fn copy_both_ways_of_many_rows() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let printed = gateway.python("bulk_copy.py", &["100000"]);
    assert_eq!(printed.trim(), "100000 in, 100000 out, 0 readable");
    assert_eq!(
        postgres.sql(
            "shop",
            "SELECT count(*) FROM copied WHERE email LIKE '%@example.org'"
        ),
        "100000"
    );
}

#[test]
fn values_of_any_size_pass_in_constant_memory() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    // A first one takes what is taken once.
    gateway.python("large.py", &["1"]);
    let before = gateway.resident_bytes();
    let printed = gateway.python("large.py", &["100"]);
    assert_eq!(printed.trim(), "100 MB both ways, masked at both ends");
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more");
}
