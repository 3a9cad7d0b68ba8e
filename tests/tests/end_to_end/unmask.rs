//! Who may see values as they are sees them, and nobody else; a policy that takes it back does so at once.

use nix::sys::signal::Signal;
use sluice_tests::raw::{Message, Raw, bind, execute, execute_some, parse, query, sync};
use sluice_tests::{Gateway, Postgres, Settings, wait_until};

const READS: &str = "permit (principal, action, resource);\n";

const EMAIL: &str =
    r#"permit (principal in Group::"testers", action == Action::"Unmask", resource == Class::"email");"#;

const ALL: &str = r#"permit (principal in Group::"testers", action == Action::"Unmask", resource);"#;

fn start(policy: &str) -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE people (id int PRIMARY KEY, name text, mail text, note text);
         INSERT INTO people VALUES
           (1, 'Ada', 'ada@example.org', 'card 4111111111111111'), (2, 'Grace', 'grace@example.org', 'ssn 078-05-1120')",
    );
    let settings = Settings {
        policy: Some(format!("{READS}{policy}")),
        tls: "off",
        columns: "\"public.people.name\" = \"other\"\n\"public.people.mail\" = \"email\"".to_owned(),
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
