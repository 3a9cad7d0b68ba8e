//! Personal data never reaches the client.

use nix::sys::signal::Signal;
use sluice_tests::raw::{Raw, bind, execute, execute_some, message, outline, parse, query, startup, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

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
    // Its SQLSTATE is in the record although the message came in parts.
    drop(raw);
    wait_until("the statement's end", || {
        gateway
            .statements("repeat")
            .iter()
            .any(|statement| statement["end"]["sqlstate"] == "22P02")
    });
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
    ] {
        let output = gateway.sql(sql);
        assert!(
            output.stdout.contains("***")
                && !output.stdout.contains("Ada")
                && !output.stdout.contains("Grace"),
            "{sql}: {output:?}"
        );
    }
    let whole = gateway.sql("SELECT people FROM people ORDER BY id");
    assert!(
        whole.success && whole.stdout.trim().is_empty(),
        "NULLs: {whole:?}"
    );
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

/// A Bind without parameters, for results in binary format.
fn bind_binary() -> Vec<u8> {
    message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01")
}

/// The rows or COPY data that a statement gives.
fn data_of(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let data = messages.iter().filter(|(tag, _)| *tag == b'D' || *tag == b'd');
    data.flat_map(|(_, body)| body.clone()).collect()
}

/// What is masked wherever it stands.
fn replaced(mut bytes: Vec<u8>) -> Vec<u8> {
    for (text, mask) in [
        ("ada@example.org", "***@***********"),
        ("4111111111111111", "****************"),
        ("4222222222222", "*************"),
    ] {
        let mut at = 0;
        while let Some(found) = bytes[at..]
            .windows(text.len())
            .position(|window| window == text.as_bytes())
        {
            at += found;
            bytes[at..at + mask.len()].copy_from_slice(mask.as_bytes());
        }
    }
    bytes
}

/// Values of which others are part, in types of the database's own; card numbers stand behind lengths and positions that
/// look like digits.
const NESTED: [(&str, &str); 14] = [
    ("array", "SELECT array_agg(rpad('4111111111111111', 48 + i % 10)) FROM generate_series(1, $n) i"),
    ("array of a domain", "SELECT array_agg(rpad('ada@example.org', 48 + i % 10)::n_mail) FROM generate_series(1, $n) i"),
    ("array of an enum", "SELECT array_agg('ada@example.org'::n_enum) FROM generate_series(1, $n)"),
    ("row", "SELECT ROW(i, rpad('4111111111111111', 57)::n_mail, NULL, ARRAY['ada@example.org'], i) FROM generate_series(1, $n) i"),
    ("row type", "SELECT ROW('ada@example.org', rpad('4111111111111111', 48), i)::n_person FROM generate_series(1, $n) i"),
    ("array of rows", "SELECT array_agg(ROW(i, rpad('4111111111111111', 50))) FROM generate_series(1, $n) i"),
    ("array of a row type", "SELECT array_agg(ROW('ada@example.org', rpad('4111111111111111', 49), i)::n_person) FROM generate_series(1, $n) i"),
    (
        "row with arrays of rows",
        "SELECT ROW(array_agg(ROW('ada@example.org', rpad('4111111111111111', 49), i)::n_person),
           array_agg('ada@example.org'::n_mail))::n_family FROM generate_series(1, $n) i",
    ),
    ("domain over a row type", "SELECT ROW('ada@example.org', rpad('4111111111111111', 49 * $n), 1)::n_owner"),
    ("ranges", "SELECT array_agg(n_range('4111111111111111', rpad('4111111111111111', 48))) FROM generate_series(1, $n)"),
    ("multiranges", "SELECT array_agg(n_multirange(n_range('4111111111111111', NULL))) FROM generate_series(1, $n)"),
    ("hstores", "SELECT array_agg(hstore('mail', rpad('4111111111111111', 48))) FROM generate_series(1, $n)"),
    ("hstore", "SELECT hstore(array_agg('key' || i), array_agg(rpad('4111111111111111', 48))) FROM generate_series(1, $n) i"),
    (
        "tsvector",
        "SELECT ('''4222222222222'':52 ''4111111111111111'':52' || string_agg(' x' || i || ':52', ''))::tsvector
           FROM generate_series(1, $n) i",
    ),
];

fn with_nested_types(postgres: &Postgres) {
    postgres.sql(
        "shop",
        "CREATE EXTENSION hstore;
         CREATE TYPE n_enum AS ENUM ('ada@example.org', 'x');
         CREATE DOMAIN n_mail AS text;
         CREATE TYPE n_person AS (mail n_mail, card text, number int);
         CREATE DOMAIN n_owner AS n_person;
         CREATE TYPE n_family AS (people n_person[], mails n_mail[]);
         CREATE TYPE n_range AS RANGE (subtype = text, multirange_type_name = n_multirange)",
    );
}

#[test]
fn values_in_values_in_binary_format_are_masked_by_themselves() {
    let postgres = postgres();
    with_nested_types(&postgres);
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let mut direct = Raw::log_in(postgres.port(), "postgres", "", "shop");
    let mut masked = gateway.log_in();
    for (name, sql) in NESTED {
        // In one buffer, in a row that is gathered, and in parts.
        for count in [2, 300, 5000] {
            let sql = sql.replace("$n", &count.to_string());
            let copy = format!("COPY ({sql}) TO STDOUT (FORMAT binary)");
            for (how, sent) in [
                (
                    "row",
                    [parse("", &sql), bind_binary(), execute(""), sync()].concat(),
                ),
                ("copy", query(&copy)),
            ] {
                // Nothing tells that a field of COPY data is a tsvector.
                if (name, how) == ("tsvector", "copy") {
                    continue;
                }
                direct.send(&sent);
                let want = replaced(data_of(&direct.receive_until_ready(1)));
                masked.send(&sent);
                let messages = masked.receive_until_ready(1);
                assert!(
                    data_of(&messages) == want,
                    "{name}, {how} of {count}: {}",
                    outline(&messages)
                );
                assert!(want.contains(&b'*'), "{name}");
            }
        }
    }
    // asyncpg reads what was masked.
    assert_eq!(gateway.python("nested.py", &[]).trim(), "read");
}

#[test]
fn what_is_nested_too_deep_does_not_pass() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let rows = |depth: usize, text: &str| format!("{}{text}{}", "ROW(".repeat(depth), ")".repeat(depth));
    for (name, depth, repeats, is_null, is_ended) in [
        ("deep", 16, 1, false, false),
        ("too deep", 17, 1, true, false),
        ("deep and large", 16, 20_000, false, false),
        ("too deep and large", 17, 20_000, false, true),
    ] {
        let text = rows(depth, &format!("repeat('ada@example.org ', {repeats})"));
        let sql = format!("SELECT 1, {text}, 'ada@example.org'");
        let mut raw = gateway.log_in();
        raw.send(&[parse("", &sql), bind_binary(), execute(""), sync()].concat());
        let messages = raw.receive_until_ready(1);
        let data = data_of(&messages);
        assert!(!data.windows(7).any(|window| window == b"example"), "{name}");
        let tail = b"\xff\xff\xff\xff\0\0\0\x0f***@***********";
        assert_eq!(data.ends_with(tail), is_null, "{name}");
        assert_eq!(data.is_empty(), is_ended, "{name}");
        if is_ended {
            // The row has begun to pass, so that the client reads no message behind it; the record has the reason.
            assert!(raw.is_closed(), "{name}");
            wait_until("the record of the session's end", || {
                let record = gateway.record();
                let mut ends = record.iter().filter(|row| row["kind"] == "session_end");
                ends.any(|end| end.to_string().contains("nested deeper than 16 levels"))
            });
        }
    }
}

/// The texts of errors and notices.
fn words_of(messages: &[(u8, Vec<u8>)]) -> String {
    let words = messages.iter().filter(|(tag, _)| b"EN".contains(tag));
    words
        .map(|(_, body)| String::from_utf8_lossy(body).replace('\0', "|"))
        .collect()
}

/// A server that does not say which columns are configured gets no session, holds nobody up, and the operator learns why.
#[test]
fn a_question_about_configured_columns_that_is_not_answered() {
    let postgres = Postgres::start(&[]);
    postgres.sql("shop", "CREATE TABLE locked (name text)");
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            connection: "connect_timeout = \"1s\"".to_owned(),
            columns: "\"public.locked.name\" = \"other\"".to_owned(),
            ..Settings::default()
        },
    );
    // Only that question reads it.
    let mut locker = Raw::connect(postgres.port());
    locker.send(&startup(&[("user", "postgres"), ("database", "shop")]));
    locker.receive_until_ready(1);
    locker.send(&query(
        "BEGIN; LOCK TABLE pg_catalog.pg_inherits IN ACCESS EXCLUSIVE MODE",
    ));
    assert_eq!(outline(&locker.receive_until_ready(1)), "C C ZT");
    for (name, lock_timeout, why) in [
        (
            "no answer",
            "0",
            "the server did not answer within connect_timeout",
        ),
        (
            "an error",
            "100ms",
            "the server refused: canceling statement due to lock timeout",
        ),
    ] {
        let set = format!("ALTER DATABASE shop SET lock_timeout = '{lock_timeout}'");
        postgres.sql("postgres", &set);
        let output = gateway.psql(&["-c", "SELECT 7", "connect_timeout=30"]);
        assert!(
            !output.success && output.stderr.contains("the server cannot be reached or refused"),
            "{name}: {output:?}"
        );
        let rows = gateway.record();
        let is_recorded = rows.iter().any(|row| {
            row["event"] == "server_refused" && row["text"].as_str().is_some_and(|text| text.contains(why))
        });
        assert!(is_recorded, "{name}: {rows:?}");
        assert!(gateway.log().contains(why), "{name}: {}", gateway.log());
    }
    locker.send(&query("ROLLBACK"));
    assert_eq!(outline(&locker.receive_until_ready(1)), "C ZI");
    assert_eq!(gateway.sql("SELECT 7").stdout.trim(), "7");
}

#[test]
fn errors_and_notices_do_not_quote_configured_columns() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE persons (name text CONSTRAINT one UNIQUE, born int CONSTRAINT late CHECK (born < 1900));
         INSERT INTO persons VALUES ('Ada', 1815);
         CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql AS
           'BEGIN RAISE NOTICE ''%'', (SELECT name FROM persons); RETURN 1; END';
         CREATE FUNCTION fail() RETURNS int LANGUAGE plpgsql AS
           'BEGIN RAISE EXCEPTION ''no %'', (SELECT name FROM persons)
              USING DETAIL = (SELECT name FROM persons), HINT = (SELECT name FROM persons); END';
         CREATE FUNCTION run() RETURNS int LANGUAGE plpgsql AS
           'BEGIN EXECUTE ''SELECT '' || (SELECT name FROM persons); RETURN 1; END'",
    );
    let columns = "\"public.persons.name\" = \"other\"\n\"public.persons.born\" = \"other\"".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            columns,
            tls: "off",
            ..Settings::default()
        },
    );
    let mut raw = gateway.log_in();
    for (name, sql, outlined, kept) in [
        ("cast", "SELECT name::int FROM persons", "E22P02", "withheld"),
        (
            "number",
            "SELECT make_date(born, 13, 1) FROM persons",
            "E22008",
            "withheld",
        ),
        (
            "unique",
            "INSERT INTO persons SELECT name, 1 FROM persons",
            "E23505",
            "violates unique constraint \"one\"",
        ),
        (
            "unique's name",
            "INSERT INTO persons SELECT name, 1 FROM persons",
            "E23505",
            "|none|",
        ),
        (
            "check",
            "INSERT INTO persons SELECT 'x', born + 100 FROM persons",
            "E23514",
            "violates check constraint",
        ),
        ("notice", "SELECT tell()", "T D C", "withheld"),
        ("exception", "SELECT fail()", "EP0001", "withheld"),
        ("statement of a function", "SELECT run()", "E42703", "withheld"),
        (
            "statement as a value",
            "SELECT query_to_xml(name, true, true, '') FROM persons",
            "E42601",
            "withheld",
        ),
        (
            "large",
            "SELECT (repeat('x', 2000000) || name)::int FROM persons",
            "E22P02",
            "withheld",
        ),
        (
            "large notice",
            "DO $$BEGIN RAISE NOTICE '%', (SELECT repeat('x', 2000000) || name FROM persons); END$$",
            "C",
            "withheld",
        ),
        (
            "no such column",
            "SELECT nam FROM persons",
            "E42703",
            "column \"nam\" does not exist",
        ),
        (
            "no such column's hint",
            "SELECT nam FROM persons",
            "E42703",
            "Perhaps you meant to reference the column",
        ),
        (
            "mistake",
            "SELEC 1",
            "E42601",
            "syntax error at or near \"SELEC\"",
        ),
        (
            "no right",
            "SET ROLE pg_monitor; SELECT 1 FROM persons",
            "C E42501",
            "permission denied for table persons",
        ),
    ] {
        for (protocol, sent) in [
            ("simple", query(sql)),
            (
                "extended",
                [parse("", sql), bind("", ""), execute(""), sync()].concat(),
            ),
        ] {
            if protocol == "extended" && sql.contains("; SELECT") {
                continue;
            }
            raw.send(&sent);
            let messages = raw.receive_until_ready(1);
            let got = outline(&messages);
            assert!(
                got.contains(outlined.trim_start_matches("T D ")),
                "{name}, {protocol}: {got}"
            );
            let words = words_of(&messages);
            assert!(words.contains(kept), "{name}, {protocol}: {words:.2000}");
            assert!(
                !words.contains("Ada") && !words.contains("1815") && !words.contains("1915"),
                "{name}, {protocol}"
            );
        }
        raw.send(&query("RESET ROLE"));
        raw.receive_until_ready(1);
    }
    // A statement's own text may be quoted when it is prepared.
    raw.send(&[parse("", "SELECT 'x'::int"), sync()].concat());
    assert!(words_of(&raw.receive_until_ready(1)).contains("invalid input syntax for type integer: \"x\""));
    drop(raw);
    wait_until("the large errors' ends", || {
        let large = gateway.statements("2000000) || name)::int");
        large.len() == 2
            && large
                .iter()
                .all(|statement| statement["end"]["sqlstate"] == "22P02")
    });
}

#[test]
fn errors_do_not_quote_what_policy_forbids() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE patients (id int PRIMARY KEY, name text UNIQUE, born int CONSTRAINT late CHECK (born < 1900));
         INSERT INTO patients VALUES (1, 'Ada', 1815), (2, 'Grace', 1806)",
    );
    let policy = r#"
@id("all") permit (principal, action, resource);
@id("no-name") forbid (principal, action == Action::"Read", resource in Column::"shop/shop/public.patients.name")
unless { principal in Group::"support" };
"#;
    let settings = Settings {
        policy: Some(policy.to_owned()),
        masking: false,
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let mut raw = gateway.log_in();
    let mut told = |sql: &str| {
        raw.send(&query(sql));
        let messages = raw.receive_until_ready(1);
        (outline(&messages), words_of(&messages))
    };
    let failing = "UPDATE patients SET born = 1990 WHERE id = 1";
    let (got, words) = told(failing);
    assert!(
        got.contains("E23514")
            && words.contains("violates check constraint \"late\"")
            && !words.contains("Ada"),
        "{got}: {words}"
    );
    let (got, words) = told("INSERT INTO patients SELECT 3, upper('Ada') || chr(65), 2000 + 0");
    assert!(
        got.contains("E23514") && !words.contains("ADA"),
        "a row that the client wrote is not told apart: {got}: {words}"
    );
    let (got, words) = told("DO $$BEGIN RAISE NOTICE 'Grace'; PERFORM 'x'::int; END$$");
    assert!(
        got.contains("E22P02") && words.contains("withheld") && !words.contains("Grace"),
        "{got}: {words}"
    );
    let (_, words) = told("SELECT nothing");
    assert!(words.contains("column \"nothing\" does not exist"), "{words}");
    // The next message is told by the policy that came into force before it.
    gateway.write_policy(&policy.replace("support", "testers"));
    gateway.signal(Signal::SIGHUP);
    wait_until("the reload", || gateway.log().contains("reloaded"));
    let (got, words) = told(failing);
    assert!(
        got.contains("E23514") && words.contains("Failing row contains (1, Ada, 1990)"),
        "{got}: {words}"
    );
}

#[test]
fn copy_of_listed_columns_is_masked_by_their_names() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TABLE members (id int, name text, mail text, born int);
         INSERT INTO members VALUES (1, 'Ada', 'ada@example.org', 1815), (2, E'Gr\t\"ace\\\\', NULL, 1906), (3, NULL, '', NULL);
         CREATE TABLE ships (name text); INSERT INTO ships VALUES ('Maria');
         CREATE TABLE many (name text);
         INSERT INTO many SELECT 'Ada' || repeat(E'Ada\t', 30000) FROM generate_series(1, 3)",
    );
    let columns = "\"public.members.name\" = \"us_ssn\"\n\"public.members.born\" = \"other\"".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            columns,
            tls: "off",
            ..Settings::default()
        },
    );
    let mut raw = gateway.log_in();
    let mask = "***@***********";
    for (sql, want) in [
        (
            "COPY members (id, name, mail) TO STDOUT",
            format!("1\t***\t{mask}\n2\t**********\t\\N\n3\t\\N\t\n"),
        ),
        (
            "COPY members (born, \"id\") TO STDOUT",
            "****\t1\n****\t2\n\\N\t3\n".to_owned(),
        ),
        (
            "COPY public.members (name, id) TO STDOUT (FORMAT csv, HEADER)",
            "name,id\n***,1\n\"***\"\"****\",2\n,3\n".to_owned(),
        ),
        ("COPY members (id) TO STDOUT WITH CSV", "1\n2\n3\n".to_owned()),
        // The name alone decides.
        ("COPY ships (name) TO STDOUT", "*****\n".to_owned()),
    ] {
        for sent in [
            query(sql),
            [parse("", sql), bind("", ""), execute(""), sync()].concat(),
        ] {
            raw.send(&sent);
            let messages = raw.receive_until_ready(1);
            assert_eq!(
                String::from_utf8_lossy(&data_of(&messages)),
                want,
                "{sql}: {}",
                outline(&messages)
            );
        }
    }
    raw.send(&query("COPY many (name) TO STDOUT"));
    let data = data_of(&raw.receive_until_ready(1));
    assert_eq!(data.len(), 3 * (3 + 30_000 * 5 + 1));
    assert!(data.iter().all(|byte| b"*\n".contains(byte)));
    for sql in [
        "COPY members TO STDOUT",
        "COPY (SELECT name FROM members) TO STDOUT",
        "COPY members (name) TO STDOUT (FORMAT binary)",
        "COPY members (name) TO STDOUT (DELIMITER 'a')",
        "COPY members (name) TO STDOUT (ENCODING 'SJIS')",
    ] {
        for sent in [
            query(sql),
            [parse("", sql), bind("", ""), execute(""), sync()].concat(),
        ] {
            raw.send(&sent);
            let messages = raw.receive_until_ready(1);
            assert_eq!(outline(&messages).replace("1 2 ", ""), "E0A000 ZI", "{sql}");
            assert!(
                words_of(&messages).contains("COPY table (columns) TO STDOUT"),
                "{sql}"
            );
        }
    }
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
