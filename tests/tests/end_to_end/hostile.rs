//! Whatever a client sends, memory and time are bounded and the others go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use sluice_tests::raw::{Raw, bind, execute, message, outline, parse, query, startup, sync};
use sluice_tests::{Gateway, Settings, wait_until};

use crate::shared::{NO_DELETE, gateway_without_delete, postgres};

/// Terms of a hostile chain.
const TERMS: usize = 100_000;

/// Pseudo-random bytes, the same in every run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Ends the other session also when the attack fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `attack` while another session works, and says how many answers that one got. The attack is told how many it has
/// so far.
fn while_another_works(gateway: &Gateway, attack: impl FnOnce(&AtomicU64)) -> u64 {
    let (ends, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let (ends, answers) = (&ends, &answers);
        let mut other = gateway.log_in();
        scope.spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                other.send(&query("SELECT 7"));
                assert_eq!(
                    outline(&other.receive_until_ready(1)),
                    "T D C ZI",
                    "the other session"
                );
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ending = Ending(ends);
        attack(answers);
        drop(ending);
    });
    answers.into_inner()
}

#[test]
fn bytes_that_are_no_startup_packet() {
    let postgres = postgres();
    let limits = "authentication_timeout = \"5s\"".to_owned();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            limits,
            ..Settings::default()
        },
    );
    let hello = startup(&[("user", "tester"), ("database", "shop")]);
    let tls = [0, 0, 0, 8, 4, 210, 22, 47];
    let gss = [0, 0, 0, 8, 4, 210, 22, 48];
    let sasl = |mechanism: &str, data: &[u8]| {
        let len = u32::try_from(data.len()).expect("short").to_be_bytes();
        message(b'p', &[mechanism.as_bytes(), b"\0", &len, data].concat())
    };
    let mut cases: Vec<(String, Vec<u8>)> = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (
            "TLS without asking",
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &noise(1, 600)].concat(),
        ),
        ("length 0", vec![0; 8]),
        ("length 7", vec![0, 0, 0, 7, 0, 3, 0, 0]),
        (
            "length 10001",
            [&[0, 0, 0x27, 0x11, 0, 3, 0, 0][..], &[b'x'; 10_000]].concat(),
        ),
        ("length of 2 GiB", vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("length of 4 GiB", vec![0xff; 8]),
        ("protocol 2", vec![0, 0, 0, 9, 0, 2, 0, 0, 0]),
        ("protocol 4", vec![0, 0, 0, 9, 0, 4, 0, 0, 0]),
        ("no end", [&[0, 0, 0, 14, 0, 3, 0, 0][..], b"user\0x"].concat()),
        (
            "a name without a value",
            [&[0, 0, 0, 14, 0, 3, 0, 0][..], b"user\0\0"].concat(),
        ),
        (
            "never ends",
            [&[0, 0, 0x27, 0x10, 0, 3, 0, 0][..], &[b'x'; 100]].concat(),
        ),
        ("nothing at all", Vec::new()),
        ("TLS twice", [tls, tls].concat()),
        ("TLS and more", [&tls[..], &hello].concat()),
        ("TLS and noise", [&tls[..], &noise(2, 5000)].concat()),
        ("GSS twice", [gss, gss].concat()),
        (
            "a cancel that is too long",
            [&[0, 0, 0, 17, 4, 210, 22, 46][..], &[7; 9]].concat(),
        ),
        (
            "a query for a password",
            [&hello[..], &query("SELECT 1")].concat(),
        ),
        (
            "a password of 2 GiB",
            [&hello[..], b"p\x7f\xff\xff\xff", &noise(3, 9000)].concat(),
        ),
        (
            "a password that is no SASL",
            [&hello[..], &message(b'p', b"secret\0")].concat(),
        ),
        (
            "an unknown mechanism",
            [&hello[..], &sasl("SCRAM-MD5", b"n,,n=,r=x")].concat(),
        ),
        (
            "a nonce only",
            [&hello[..], &sasl("SCRAM-SHA-256", b"r=x")].concat(),
        ),
        (
            "SASL noise",
            [&hello[..], &sasl("SCRAM-SHA-256", &noise(4, 4000))].concat(),
        ),
        (
            "a proof of noise",
            [
                &hello[..],
                &sasl("SCRAM-SHA-256", b"n,,n=,r=abcdef"),
                &message(b'p', &noise(5, 200)),
            ]
            .concat(),
        ),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .to_vec();
    cases.extend((10..40).map(|seed| (format!("noise {seed}"), noise(seed, 1 << (seed % 14)))));
    let before = gateway.metric("sluice_hostile_inputs_total");
    while_another_works(&gateway, |_| {
        let mut open: Vec<(&str, Raw)> = Vec::new();
        for (name, bytes) in &cases {
            let mut raw = Raw::connect(gateway.port());
            raw.send(bytes);
            open.push((name, raw));
        }
        for (name, raw) in &mut open {
            assert!(raw.is_closed(), "{name}");
        }
    });
    wait_until("they are counted", || {
        gateway.metric("sluice_hostile_inputs_total") >= before + 30.0
    });
    assert!(gateway.metric("sluice_panics_total") < 1.0, "{}", gateway.log());
    wait_until("nobody is left", || gateway.metric("sluice_sessions_open") == 0.0);
}

#[test]
fn encryption_that_is_asked_for_twice() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    for (code, request) in [(47, "SSLRequest"), (48, "GSSENCRequest")] {
        let mut raw = Raw::connect(gateway.port());
        raw.send(&[0, 0, 0, 8, 4, 210, 22, code]);
        assert_eq!(raw.receive_byte(), Some(b'N'), "{request}");
        raw.send(&[0, 0, 0, 8, 4, 210, 22, code]);
        let messages = raw.receive_until_ready(1);
        let text = String::from_utf8_lossy(&messages[0].1).into_owned();
        assert_eq!(outline(&messages), "E08P01", "{request}");
        assert!(text.contains(&format!("{request} was sent again")), "{text}");
    }
}

/// What breaks the protocol ends the session as the server itself would end it; what does not, does not.
#[test]
fn frames_out_of_turn_and_out_of_shape() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let length = |tag: u8, len: u32| [&[tag][..], &len.to_be_bytes()].concat();
    let fine = [parse("", "SELECT 1"), bind("", ""), execute(""), sync()].concat();
    for (name, sent, want) in [
        ("an unknown tag", message(b'z', b"x"), "E08P01"),
        ("the server's tag", message(b'T', b"\0\0"), "E08P01"),
        ("a password", message(b'p', b"x\0"), "E08P01"),
        ("length 0", length(b'Q', 0), "E08P01"),
        ("length 3", length(b'S', 3), "E08P01"),
        ("length of 2 GiB", length(b'Q', 0x7fff_ffff), "E08P01"),
        ("length of 4 GiB", length(b'd', 0xffff_ffff), "E08P01"),
        ("a long Sync", length(b'S', 20_000), "E54000"),
        ("a Sync with a body", message(b'S', b"x"), "E08P01"),
        ("an Execute that is cut", message(b'E', b"p\0\0"), "E08P01"),
        ("a Query without an end", message(b'Q', b"SELECT 1"), "E08P01"),
        (
            "a Query with two ends",
            message(b'Q', b"SELECT 1\0SELECT 2\0"),
            "E08P01",
        ),
        (
            "a Parse that lacks its types",
            message(b'P', b"\0SELECT 1\0\0\x7f"),
            "E08P01",
        ),
        (
            "a Bind of 65535 values that are not there",
            message(b'B', b"\0\0\0\0\xff\xff"),
            "E08P01",
        ),
        (
            "a Bind with a length that is too long",
            message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            "E08P01",
        ),
        ("a Describe of nothing known", message(b'D', b"Xname\0"), "E08P01"),
        ("a Close of nothing known", message(b'C', b"\0name\0"), "E08P01"),
        ("a function call that is cut", message(b'F', &[0, 0, 8]), "E08P01"),
        ("noise", noise(77, 4096), "E08P01"),
        ("a terminate with a body", message(b'X', b"bye"), "E08P01"),
    ] {
        let mut raw = gateway.log_in();
        raw.send(&fine);
        assert_eq!(outline(&raw.receive_until_ready(1)), "1 2 D C ZI", "{name}");
        raw.send(&sent);
        assert_eq!(outline(&raw.receive_until_ready(1)), want, "{name}");
        assert!(raw.is_closed(), "{name}");
    }
    wait_until("they are counted", || {
        gateway.metric("sluice_hostile_inputs_total") >= 20.0
    });
    // Not one of these is a breach: the server answers, and so does the gateway.
    for (name, sent, cycles) in [
        ("nobody's statement", vec![bind("", "nobody"), sync()], 1),
        ("nobody's portal", vec![execute("nobody"), sync()], 1),
        (
            "nobody is described",
            vec![message(b'D', b"Snobody\0"), sync()],
            1,
        ),
        (
            "nobody is closed",
            vec![message(b'C', b"Snobody\0"), message(b'C', b"Pnobody\0"), sync()],
            1,
        ),
        (
            "COPY data out of a copy",
            vec![
                message(b'd', b"x"),
                message(b'c', b""),
                message(b'f', b"x\0"),
                sync(),
            ],
            1,
        ),
        (
            "flushes",
            vec![message(b'H', b""), message(b'H', b""), sync(), sync()],
            2,
        ),
        ("an empty query", vec![query(""), query(";;"), query("-- x")], 3),
        (
            "a query in a pipeline",
            vec![
                parse("", "SELECT 1"),
                query("SELECT 2"),
                bind("", ""),
                execute(""),
                sync(),
            ],
            2,
        ),
        (
            "a skipped query",
            vec![bind("", "nobody"), query("SELECT 2"), sync()],
            1,
        ),
        (
            "two names",
            vec![
                parse("a", "SELECT 1"),
                parse("a", "SELECT 2"),
                sync(),
                bind("", "a"),
                execute(""),
                sync(),
            ],
            2,
        ),
        (
            "copy data in the place of a copy",
            vec![query("COPY victim FROM STDIN"), query("SELECT 1")],
            1,
        ),
        (
            "a copy that fails",
            vec![query("COPY victim FROM STDIN"), message(b'f', b"given up\0")],
            1,
        ),
        (
            "a copy of nonsense",
            vec![
                query("COPY victim FROM STDIN"),
                message(b'd', b"x\n"),
                message(b'c', b""),
                query("SELECT 1"),
            ],
            2,
        ),
    ] {
        assert_eq!(
            through(&gateway, &sent.concat(), cycles),
            directly(&postgres, &sent.concat(), cycles),
            "{name}"
        );
    }
    assert!(gateway.metric("sluice_panics_total") < 1.0, "{}", gateway.log());
}

fn through(gateway: &Gateway, sent: &[u8], cycles: usize) -> String {
    let mut raw = gateway.log_in();
    raw.send(&[sent, &query("ROLLBACK")].concat());
    outline(&raw.receive_until_ready(cycles + 1))
}

fn directly(postgres: &sluice_tests::Postgres, sent: &[u8], cycles: usize) -> String {
    let mut raw = Raw::connect(postgres.port());
    raw.send(&startup(&[("user", "postgres"), ("database", "shop")]));
    raw.receive_until_ready(1);
    raw.send(&[sent, &query("ROLLBACK")].concat());
    outline(&raw.receive_until_ready(cycles + 1))
}

/// Two Syncs around an extended COPY give one ReadyForQuery, rows come without a description, portals suspend: what the
/// server says is told by a model of its states, and nothing is out of step afterwards (`threats`, 11).
#[test]
fn t11_answers_belong_to_what_asked_for_them() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE taken (id int)");
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            ..Settings::default()
        },
    );
    let series = "SELECT generate_series(1, 5), 'ada@example.org'";
    let some = |rows| sluice_tests::raw::execute_some("", rows);
    let copy_in = [parse("", "COPY taken FROM STDIN"), bind("", ""), execute("")].concat();
    let (data, done, fail) = (message(b'd', b"1\n"), message(b'c', b""), message(b'f', b"no\0"));
    let select = [parse("", "SELECT 7"), bind("", ""), execute(""), sync()].concat();
    for (name, sent, cycles) in [
        (
            "two Syncs around a COPY",
            vec![
                copy_in.clone(),
                sync(),
                data.clone(),
                done.clone(),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a Sync in the data",
            vec![
                copy_in.clone(),
                data.clone(),
                sync(),
                message(b'H', b""),
                data.clone(),
                done.clone(),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a COPY that the client fails",
            vec![
                copy_in.clone(),
                sync(),
                data.clone(),
                fail.clone(),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a COPY that the data fails",
            vec![
                copy_in.clone(),
                sync(),
                message(b'd', b"x\n"),
                data.clone(),
                done.clone(),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a pipeline behind a failed COPY",
            vec![
                copy_in,
                fail,
                parse("", "SELECT 1"),
                bind("", ""),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a COPY in a simple string",
            vec![
                query("SELECT 1; COPY taken FROM STDIN; SELECT 2"),
                data,
                done,
                select.clone(),
            ],
            2,
        ),
        (
            "a COPY out of the extended protocol",
            vec![
                parse("", "COPY taken TO STDOUT"),
                bind("", ""),
                execute(""),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "portals that suspend",
            vec![
                query("BEGIN"),
                parse("", series),
                bind("", ""),
                some(2),
                some(2),
                some(2),
                some(2),
                sync(),
                select.clone(),
            ],
            3,
        ),
        (
            "a portal that suspends and is described",
            vec![
                parse("", series),
                bind("", ""),
                some(2),
                message(b'D', b"P\0"),
                some(9),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a portal that is gone after its transaction",
            vec![
                parse("", series),
                bind("x", ""),
                execute("x"),
                sync(),
                execute("x"),
                sync(),
                select.clone(),
            ],
            3,
        ),
        (
            "an error that skips to the Sync",
            vec![
                parse("", "SELECT 1/0"),
                bind("", ""),
                execute(""),
                execute(""),
                bind("", ""),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a commit in a pipeline",
            vec![
                parse("", "BEGIN"),
                bind("", ""),
                execute(""),
                parse("", "SELECT 1/0"),
                bind("", ""),
                execute(""),
                sync(),
                query("ROLLBACK"),
                select.clone(),
            ],
            3,
        ),
        (
            "no rows and no answer",
            vec![
                parse("", "SELECT 1 WHERE false"),
                bind("", ""),
                execute(""),
                parse("", ""),
                bind("", ""),
                execute(""),
                sync(),
                select.clone(),
            ],
            2,
        ),
        (
            "a cursor of SQL as a portal",
            vec![
                query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 5)"),
                sluice_tests::raw::execute_some("c", 2),
                execute("c"),
                sync(),
                query("COMMIT"),
                select.clone(),
            ],
            4,
        ),
        (
            "rows of a changed type",
            vec![
                query("CREATE TEMP TABLE z (v int); INSERT INTO z VALUES (1)"),
                parse("s", "SELECT * FROM z"),
                bind("", "s"),
                execute(""),
                sync(),
                query("ALTER TABLE z ALTER v TYPE text"),
                bind("", "s"),
                execute(""),
                sync(),
                select.clone(),
            ],
            5,
        ),
        (
            "notices in between",
            vec![
                query("DO $$ BEGIN RAISE NOTICE 'ada@example.org'; END $$; SELECT 1"),
                select,
            ],
            2,
        ),
    ] {
        let sent = sent.concat();
        let seen = through(&gateway, &sent, cycles);
        assert_eq!(seen, directly(&postgres, &sent, cycles), "{name}");
    }
}

/// Long and deep statements are analysed away from the core, in bounded memory; the others go on (`threats`, 14).
#[test]
fn t14_chains_and_depths_stall_nobody() {
    let postgres = postgres();
    let gateway = gateway_without_delete(&postgres);
    // What the helpers' stacks and buffers take, they take once.
    let repeat = |part: &str| part.repeat(TERMS);
    let chains = [
        ("plus", format!("SELECT 1{}", repeat("+1"))),
        ("and", format!("SELECT true{}", repeat(" AND true"))),
        (
            "and of comparisons",
            format!("SELECT 1 FROM victim WHERE id = 1{}", repeat(" AND id = 1")),
        ),
        ("or", format!("SELECT true{}", repeat(" OR true"))),
        ("union", format!("SELECT 1{}", repeat(" UNION SELECT 1"))),
        ("union all", format!("SELECT 1{}", repeat(" UNION ALL SELECT 1"))),
        ("not", format!("SELECT {} true", repeat("NOT "))),
        (
            "case",
            format!("SELECT {}1{}", repeat("CASE WHEN true THEN "), repeat(" END")),
        ),
        (
            "case arms",
            format!("SELECT CASE{} END", repeat(" WHEN false THEN 1")),
        ),
        (
            "join",
            format!("SELECT 1 FROM victim{}", repeat(" JOIN victim ON true")),
        ),
        (
            "comma join",
            format!("SELECT 1 FROM victim{}", repeat(", victim")),
        ),
        ("array", format!("SELECT ARRAY[1{}]", repeat(",1"))),
        (
            "arrays in arrays",
            format!("SELECT {}1{}", repeat("ARRAY["), repeat("]")),
        ),
        ("parentheses", format!("SELECT {}1{}", repeat("("), repeat(")"))),
        ("open parentheses", format!("SELECT {}", repeat("("))),
        ("subscripts", format!("SELECT a{}", repeat("[1]"))),
        ("subselects", format!("{}1{}", repeat("(SELECT "), repeat(")"))),
        ("functions", format!("SELECT {}1{}", repeat("abs("), repeat(")"))),
        ("casts", format!("SELECT 1{}", repeat("::int"))),
        ("minus", format!("SELECT {}1", repeat("- "))),
        (
            "in list",
            format!("SELECT 1 FROM victim WHERE id IN (1{})", repeat(",2")),
        ),
        (
            "values",
            format!("SELECT count(*) FROM (VALUES (1){}) x", repeat(",(2)")),
        ),
        ("parameters", format!("SELECT $1{}", repeat(",$2"))),
        ("statements", repeat("SELECT 1;")),
        ("semicolons", repeat(";")),
        ("comments in comments", repeat("/*")),
        (
            "WITH",
            format!("WITH a AS (SELECT 1){} SELECT 1", repeat(", b AS (SELECT 1)")),
        ),
        ("dotted", format!("SELECT a{}", repeat(".a"))),
        ("collate", format!("SELECT 'a'{}", repeat(" COLLATE \"C\""))),
        ("quotes", format!("SELECT '{}'", repeat("''"))),
        ("a long name", format!("SELECT 1 AS {}", repeat("abcdefghij"))),
    ];
    let answers = while_another_works(&gateway, |answers| {
        for (name, sql) in &chains {
            let mut raw = gateway.log_in();
            let before = answers.load(Ordering::Relaxed);
            raw.send(&query(sql));
            let seen = outline(&raw.receive_until_ready(1));
            assert!(
                seen.ends_with(" ZI"),
                "{name}: {}",
                &seen[seen.len().saturating_sub(60)..]
            );
            // Who is served on the same core gets on: hundreds of round trips fit into what an analysis may take.
            wait_until(name, || answers.load(Ordering::Relaxed) > before);
            raw.send(&[parse("", sql), sync(), query("SELECT 7")].concat());
            let seen = outline(&raw.receive_until_ready(2));
            assert!(
                seen.ends_with(" T D C ZI"),
                "{name}: {}",
                &seen[seen.len().saturating_sub(60)..]
            );
        }
    });
    assert!(answers > 0);
    // Deeper than anything that people write: they are refused unread, and counted.
    wait_until("they are counted", || {
        gateway.metric("sluice_hostile_inputs_total") >= 20.0
    });
    assert!(gateway.metric("sluice_panics_total") < 1.0, "{}", gateway.log());
    let resident = gateway.resident_bytes();
    assert!(resident < 400 << 20, "{resident} bytes");
    println!(
        "{answers} answers meanwhile, {} MiB at most",
        gateway.peak_resident_bytes() >> 20
    );
    assert!(
        gateway.peak_resident_bytes() < 1 << 30,
        "{} bytes at most",
        gateway.peak_resident_bytes()
    );
}

/// Texts of many statements are read once, however long they are, and nobody waits for them (`threats`, 14).
#[test]
fn t14_many_statements_of_a_text_stall_nobody() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let padding = format!("/*{}*/", "x".repeat(3 << 20));
    let some = |part: &str, count: usize| part.repeat(count);
    let renamed = format!(
        "DEALLOCATE ALL;{}",
        some("PREPARE p AS SELECT 1; EXECUTE p; DEALLOCATE p;", 1000)
    );
    for (name, sql, want) in [
        ("many", some("SELECT 1;", 9000), "T D C ZI"),
        (
            "many in a long text",
            format!("{padding}{}", some("END;", 9000)),
            "C ZI",
        ),
        ("too many", some("END;", 10_001), "E54000 ZI"),
        // The server answers none of them before the last was sent.
        ("one name", renamed, "E53000 ZI"),
    ] {
        let answers = while_another_works(&gateway, |answers| {
            let mut raw = gateway.log_in();
            let before = answers.load(Ordering::Relaxed);
            raw.send(&query(&sql));
            let seen = outline(&raw.receive_until_ready(1));
            assert!(
                seen.ends_with(want),
                "{name}: {}",
                &seen[seen.len().saturating_sub(60)..]
            );
            wait_until(name, || answers.load(Ordering::Relaxed) > before);
            // Nor is the session out of step.
            raw.send(&query("SELECT 7"));
            assert_eq!(outline(&raw.receive_until_ready(1)), "T D C ZI", "{name}");
        });
        assert!(answers > 0, "{name}");
    }
}

/// Statements of 4 MB, several at once, beside a session with short ones (`threats`, 14).
#[test]
fn t14_a_text_that_changes_what_names_mean_is_analysed_to_a_bound() {
    let policy = "@id(\"all\") permit (principal, action, resource);\n\
                  @id(\"seen\") forbid (principal, action == Action::\"Opaque\", resource);";
    let settings = Settings {
        policy: Some(policy.to_owned()),
        ..Settings::default()
    };
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &settings);
    for (count, end) in [(250, "T D C ZI"), (350, "E42501 ZI")] {
        // None that was analysed before.
        let select = |n| format!("SELECT {n} AS of_{count}_{n};");
        let selects = (0..count).map(select).collect::<Vec<_>>().concat();
        let mut raw = gateway.log_in();
        raw.send(&query(&format!("SET search_path = public;{selects}")));
        let seen = outline(&raw.receive_until_ready(1));
        assert!(seen.starts_with("C ") && seen.ends_with(end), "{count}: {seen}");
    }
}

#[test]
fn t14_statements_of_four_megabytes_stall_nobody() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE wide (id int, word text)");
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            policy: Some(NO_DELETE.to_owned()),
            ..Settings::default()
        },
    );
    let row = "(1234567, 'some words of a row'), ";
    let rows = (4 << 20) / row.len() - 10;
    let insert = format!("INSERT INTO wide VALUES {}(0, '')", row.repeat(rows));
    let literal = format!("SELECT length('{}')", "x".repeat((4 << 20) - 100));
    let answers = while_another_works(&gateway, |_| {
        thread::scope(|scope| {
            for sql in [&insert, &literal, &insert] {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut raw = gateway.log_in();
                    raw.send(&query(sql));
                    let seen = outline(&raw.receive_until_ready(1));
                    assert!(
                        ["C ZI", "T D C ZI"].contains(&seen.as_str()),
                        "{}: {seen}",
                        &sql[..20]
                    );
                });
            }
        });
    });
    assert!(answers > 0);
    assert_eq!(
        postgres.sql("shop", "SELECT count(*) FROM wide"),
        (2 * (rows + 1)).to_string()
    );
    // One that is longer is refused, whole, and the session goes on.
    let mut raw = gateway.log_in();
    let long = format!("SELECT '{}'", "x".repeat(6 << 20));
    raw.send(
        &[
            query(&long),
            parse("", &long),
            bind("", ""),
            execute(""),
            sync(),
            query("SELECT 7"),
        ]
        .concat(),
    );
    assert_eq!(
        outline(&raw.receive_until_ready(3)),
        "E54000 ZI E54000 ZI T D C ZI"
    );
}
