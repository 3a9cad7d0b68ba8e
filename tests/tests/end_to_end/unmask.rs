//! Who may see values as they are sees them, and nobody else; a policy that takes it back does so at once.

use nix::sys::signal::Signal;
use serde_json::Value;
use sluice_tests::raw::{Message, Raw, bind, execute, execute_some, message, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

const READS: &str = "permit (principal, action, resource);\n";

const EMAIL: &str =
    r#"permit (principal in Group::"testers", action == Action::"Unmask", resource == Class::"email");"#;

const ALL: &str = r#"permit (principal in Group::"testers", action == Action::"Unmask", resource);"#;

fn start(policy: &str) -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE people (id int PRIMARY KEY, name text, mail text, note text, born date);
         CREATE VIEW named AS SELECT id, name AS called, lower(mail) AS lower FROM people;
         INSERT INTO people VALUES
           (1, 'Ada', 'ada@example.org', 'card 4111111111111111', '1815-12-10'),
           (2, 'Grace', 'grace@example.org', 'ssn 078-05-1120', '1906-12-09')",
    );
    let settings = Settings {
        policy: Some(format!("{READS}{policy}")),
        tls: "off",
        columns: "\"public.people.name\" = \"other\"\n\"public.people.mail\" = \"email\"\n\"public.people.born\" = \"other\""
            .to_owned(),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    (postgres, gateway)
}

fn text_of(messages: &[Message]) -> String {
    let rows = messages
        .iter()
        .filter(|(tag, _)| matches!(tag, b'D' | b'd' | b'E'));
    let bodies: Vec<_> = rows.map(|(_, body)| String::from_utf8_lossy(body)).collect();
    bodies.concat()
}

fn ask(raw: &mut Raw, sent: &[Vec<u8>], cycles: usize) -> String {
    assert!(raw.send(&sent.concat()));
    text_of(&raw.receive_until_ready(cycles))
}

/// What of the values a text shows.
fn shown(text: &str) -> Vec<&'static str> {
    let values = ["Ada", "ada@example.org", "4111111111111111", "078-05-1120"];
    values.into_iter().filter(|value| text.contains(value)).collect()
}

#[test]
fn classes_that_policy_opens_are_seen_on_every_way() {
    for (policy, want) in [
        ("", vec![]),
        (EMAIL, vec!["ada@example.org"]),
        (
            ALL,
            vec!["Ada", "ada@example.org", "4111111111111111", "078-05-1120"],
        ),
    ] {
        let (_postgres, gateway) = start(policy);
        let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
        let sql = "SELECT name, mail, note FROM people";
        let computed = "SELECT upper(name) || lower(name), mail || '', note FROM people";
        for (way, sent, cycles) in [
            ("a query", vec![query(sql)], 1),
            (
                "undescribed",
                vec![parse("", sql), bind("", ""), execute(""), sync()],
                1,
            ),
            (
                "named",
                vec![parse("s", sql), sync(), bind("p", "s"), execute("p"), sync()],
                2,
            ),
            (
                "COPY",
                vec![query("COPY people (id, name, mail, note) TO STDOUT")],
                1,
            ),
        ] {
            assert_eq!(
                shown(&ask(&mut raw, &sent, cycles)),
                want,
                "{way} under {policy:?}"
            );
        }
        let computed = ask(&mut raw, &[query(computed)], 1);
        assert_eq!(
            computed.contains("ada@example.org"),
            !want.is_empty(),
            "{computed}"
        );
        assert_eq!(computed.contains("ADAada"), want.contains(&"Ada"), "{computed}");
        let recorded = gateway.record();
        let opened: Vec<_> = recorded.iter().filter(|row| row["event"] == "unmasked").collect();
        assert_eq!(opened.len(), usize::from(!want.is_empty()), "{opened:?}");
    }
}

#[test]
fn a_policy_that_takes_it_back_does_so_at_the_next_message() {
    let (_postgres, gateway) = start(ALL);
    let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
    let sql = "SELECT name, mail, note FROM people ORDER BY id";
    let all = vec!["Ada", "ada@example.org", "4111111111111111", "078-05-1120"];
    let first = ask(
        &mut raw,
        &[
            query("BEGIN"),
            parse("s", sql),
            bind("p", "s"),
            execute_some("p", 1),
            sync(),
        ],
        2,
    );
    assert_eq!(shown(&first), all[..3]);
    assert_eq!(shown(&ask(&mut raw, &[query(sql)], 1)), all);

    gateway.write_policy(READS);
    gateway.signal(Signal::SIGHUP);
    wait_until("the new policy", || {
        shown(&ask(&mut raw, &[query(sql)], 1)).is_empty()
    });
    // A portal that was opened under the other policy, and what was prepared.
    for (way, sent) in [
        ("a portal", vec![execute("p"), sync()]),
        ("prepared", vec![bind("", "s"), execute(""), sync()]),
    ] {
        let text = ask(&mut raw, &sent, 1);
        assert!(text.contains('*') && shown(&text).is_empty(), "{way}: {text}");
        assert!(
            !text.contains("Grace") && !text.contains("grace@"),
            "{way}: {text}"
        );
    }
}

/// The values of the first row that a statement gives by the extended protocol.
fn first_row(raw: &mut Raw, sql: &str, is_binary: bool) -> Vec<Option<Vec<u8>>> {
    let formats = [0, 0, 0, 0, 0, 0, 0, 1, 0, u8::from(is_binary)];
    assert!(raw.send(&[parse("", sql), message(b'B', &formats), execute(""), sync()].concat()));
    let messages = raw.receive_until_ready(1);
    let row = messages.iter().find(|(tag, _)| *tag == b'D');
    let (_, row) = row.unwrap_or_else(|| panic!("{sql}: {messages:?}"));
    let mut rest = &row[2..];
    let mut values = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk() {
        let value = usize::try_from(i32::from_be_bytes(*len))
            .ok()
            .map(|len| behind[..len].to_vec());
        rest = &behind[value.as_ref().map_or(0, Vec::len)..];
        values.push(value);
    }
    values
}

fn is_unmasked(value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| !value.contains(&b'*'))
}

/// What `sluice policy why` says of columns is what sessions see of them.
#[test]
fn what_is_seen_of_columns_is_told_without_running_the_statement() {
    for policy in ["", EMAIL, ALL] {
        let (postgres, gateway) = start(policy);
        let mut raw = Raw::log_in(gateway.port(), "tester", "pencil", "shop");
        for sql in [
            "SELECT id, name, mail, note, born FROM people ORDER BY id",
            "SELECT * FROM people ORDER BY id",
            "SELECT called, lower, count(*) FROM named GROUP BY called, lower ORDER BY called",
            "SELECT upper(mail), name || mail, coalesce(note, name), 1, 'x' FROM people ORDER BY id",
            "SELECT people FROM people ORDER BY id",
            "UPDATE people SET note = note WHERE id = 1 RETURNING mail, note",
        ] {
            let why = gateway.why(&["--json", sql]);
            assert!(why.success, "{why:?}");
            let why: Value = serde_json::from_str(&why.stdout).expect("JSON");
            let told = why["statements"][0]["result"]["columns"]
                .as_array()
                .unwrap_or_else(|| panic!("{sql}: {why:#}"));
            let values = postgres.sql("shop", sql);
            let values: Vec<_> = values.lines().next().expect("a row").split('|').collect();
            for (format, is_binary) in [("shown", false), ("shown_in_binary", true)] {
                let seen = first_row(&mut raw, sql, is_binary);
                assert_eq!(seen.len(), told.len(), "{sql}: {why:#}");
                for ((seen, told), value) in seen.iter().zip(told).zip(&values) {
                    let is_same = seen.as_deref() == Some(value.as_bytes());
                    let is_as_told = match told[format].as_str() {
                        Some("null") => seen.is_none(),
                        Some("masked") => seen.is_some() && !is_same,
                        // Numbers and dates have another form there.
                        Some("as_it_is") => is_same || is_binary && is_unmasked(seen.as_deref()),
                        Some("scanned") => seen.is_some(),
                        _ => false,
                    };
                    assert!(
                        is_as_told,
                        "{sql} under {policy:?}: {value} is {seen:?}, {format}: {told}"
                    );
                }
            }
        }
        let why = gateway.why(&["SELECT name, mail, upper(mail), note FROM people"]);
        let wants: &[&str] = match policy {
            "" => &[
                "name: masked, as it is configured (other)",
                "mail: masked, as it is configured (email)",
                "upper: NULL, as it is or may be computed from what is configured (email)",
                "note: as it is, but for what detectors find",
                "Unmask on Class::\"email\": denied: no policy permits it",
            ],
            EMAIL => &[
                "name: masked, as it is configured (other)",
                "mail: as it is, but for what detectors find; email not masked, permitted by policy1",
                "upper: as it is, but for what detectors find; email not masked, permitted by policy1",
                "Unmask on Class::\"email\": permitted",
                "    permit policy1: applies",
            ],
            _ => &[
                "name: as it is; other not masked, permitted by policy1",
                "note: as it is\n",
            ],
        };
        for want in wants {
            assert!(why.stdout.contains(want), "{want} in {}", why.stdout);
        }
    }
    let (_postgres, gateway) = start("");
    for (sql, statement, wants) in [
        (
            "PREPARE p AS SELECT id, mail FROM people; EXECUTE p",
            1,
            &["id as_it_is", "mail masked"][..],
        ),
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT mail || '' AS m FROM people; FETCH c",
            2,
            &["m null"],
        ),
        ("EXECUTE elsewhere", 0, &["* null"]),
        (
            "COPY people (id, name, note) TO STDOUT",
            0,
            &["id scanned", "name masked", "note scanned"],
        ),
        ("COPY people TO STDOUT (FORMAT binary)", 0, &["refused"]),
        ("DELETE FROM people WHERE id = 1", 0, &[]),
    ] {
        let why = gateway.why(&["--json", sql]);
        let why: Value = serde_json::from_str(&why.stdout).expect("JSON");
        let result = &why["statements"][statement]["result"];
        let mut told: Vec<_> = result["columns"]
            .as_array()
            .expect("columns")
            .iter()
            .map(|column| {
                let word = |name: &str| column[name].as_str().expect("a word").to_owned();
                format!("{} {}", word("name"), word("shown"))
            })
            .collect();
        if result["is_refused"] == true {
            told.push("refused".to_owned());
        }
        assert_eq!(told, wants, "{sql}: {why:#}");
    }
    // Without a configuration nobody knows what is masked.
    let saved = gateway.sluice_here(&[
        "explain-sql",
        "--config",
        "sluice.toml",
        "--save-schema",
        "shop.json",
    ]);
    assert!(saved.success, "{saved:?}");
    let why = gateway.sluice_here(&[
        "policy",
        "why",
        "--offline",
        "shop.json",
        "--policy",
        "policy.cedar",
        "--identity",
        "tester",
        "SELECT mail FROM people",
    ]);
    assert!(
        why.stdout
            .contains("what is masked of the columns takes a configuration to tell"),
        "{why:?}"
    );
}
