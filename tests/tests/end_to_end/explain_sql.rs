//! `sluice explain-sql` over a real server, and over a file that it wrote.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sluice_tests::{Gateway, Output, Postgres, Settings, sluice};

/// A server and a configuration for it.
fn gateway() -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE ROLE somebody; CREATE SCHEMA other; CREATE SCHEMA somebody;
         CREATE TABLE people (id int, email text, note text);
         CREATE VIEW people_view AS SELECT id, 'x' || email AS shown FROM people;
         CREATE TABLE other.people (id int, name text);
         CREATE TABLE somebody.people (id int);
         CREATE FUNCTION made(what text) RETURNS text LANGUAGE plpgsql AS 'BEGIN EXECUTE what; RETURN what; END'",
    );
    let settings = Settings {
        tls: "off",
        columns: "\"public.people.email\" = \"email\"".to_owned(),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    (postgres, gateway)
}

fn explain(gateway: &Gateway, arguments: &[&str]) -> Output {
    gateway.sluice_here(&[&["explain-sql", "--config", "sluice.toml"], arguments].concat())
}

/// The exit code.
fn code(gateway: &Gateway, arguments: &[&str]) -> Option<i32> {
    let output = Command::new(sluice())
        .arg("explain-sql")
        .args(arguments)
        .current_dir(gateway.folder())
        .stdin(Stdio::null())
        .output();
    output.expect("it starts").status.code()
}

fn json_of(output: &Output) -> Value {
    assert!(output.success, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn statements_are_explained_as_the_gate_sees_them() {
    let (_postgres, gateway) = gateway();
    let sql = "SELECT upper(email), shown FROM people JOIN people_view USING (id) WHERE id = 7";
    let explained = json_of(&explain(&gateway, &["--json", sql]));
    let statement = &explained["statements"][0];
    assert_eq!(statement["kind"], "SELECT");
    assert_eq!(statement["reasons"], json!([]));
    let columns = [("upper", "text"), ("shown", "text")].map(|(name, kind)| {
        json!({ "name": name, "type": kind, "lineage": "derived", "from": ["public.people.email"] })
    });
    assert_eq!(statement["columns"], json!(columns));
    let effects: Vec<&str> = statement["effects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for want in [
        "Read relation public.people (email, id)",
        "Read relation public.people_view (id, shown)",
    ] {
        assert!(effects.contains(&want), "{effects:?}");
    }
    assert_eq!(explained["key"]["neutral"], 1, "{explained}");
    assert_eq!(explained["key"]["literals"], json!([]));

    // For people the same, and from stdin.
    let text = explain(&gateway, &[sql]);
    for want in [
        "Read relation public.people_view",
        "shown text: derived public.people.email",
        "id = <int4>",
    ] {
        assert!(text.stdout.contains(want), "{text:?}");
    }
    let mut child = Command::new(sluice())
        .args(["explain-sql", "--config", "sluice.toml", "-"])
        .current_dir(gateway.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(sql.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), text.stdout);
}

#[test]
fn a_saved_schema_explains_as_the_server_does() {
    let (postgres, gateway) = gateway();
    let statements = [
        "SELECT * FROM people p, people_view v WHERE p.id = v.id",
        "SELECT made('DROP TABLE people')",
        "INSERT INTO other.people SELECT id, email FROM people",
        "SELECT name FROM nowhere",
    ];
    let saved = explain(&gateway, &["--save-schema", "shop.json"]);
    assert!(saved.success && saved.stdout.is_empty(), "{saved:?}");
    let online: Vec<String> = statements
        .iter()
        .flat_map(|sql| [vec![*sql], vec!["--json", *sql]])
        .map(|arguments| explain(&gateway, &arguments).stdout)
        .collect();
    // Nobody is asked any more.
    drop(postgres);
    let offline: Vec<String> = statements
        .iter()
        .flat_map(|sql| [vec![*sql], vec!["--json", *sql]])
        .map(|arguments| {
            let output = explain(&gateway, &[&["--offline", "shop.json"][..], &arguments].concat());
            assert!(output.success, "{output:?}");
            output.stdout
        })
        .collect();
    assert_eq!(online, offline);
    assert!(
        online[0].contains("public.people.email") && online[2].contains("Opaque"),
        "{online:#?}"
    );
    // A file that somebody has broken says where.
    let path = gateway.folder().join("shop.json");
    let text = fs::read_to_string(&path).expect("the file");
    fs::write(&path, text.replacen("\"server\"", "\"sever\"", 1)).expect("the file");
    let broken = explain(&gateway, &["--offline", "shop.json", "SELECT 1"]);
    assert!(
        !broken.success && broken.stderr.contains("shop.json: line 3"),
        "{broken:?}"
    );
}

#[test]
fn names_are_those_of_the_session_that_is_asked_for() {
    let (_postgres, gateway) = gateway();
    let sql = "SELECT id FROM people";
    for (name, arguments, wants) in [
        (
            "the login's",
            &[][..],
            &["Read relation public.people (id)\n"][..],
        ),
        (
            "another path",
            &["--search-path", "other, public"],
            &["Read relation other.people (id)\n"],
        ),
        ("no path", &["--search-path", ""], &["people", "uncertain"]),
        // Which schemas another role may use is not known.
        (
            "another role",
            &["--role", "somebody"],
            &[
                "Read relation somebody.people [uncertain]",
                "Read relation public.people [uncertain]",
            ],
        ),
        (
            "the login by its name",
            &["--role", "postgres"],
            &["Read relation public.people (id)\n"],
        ),
    ] {
        let output = explain(&gateway, &[arguments, &[sql]].concat());
        assert!(output.success, "{name}: {output:?}");
        for want in wants {
            assert!(output.stdout.contains(want), "{name}: {output:?}");
        }
    }
}

#[test]
fn what_cannot_be_explained_says_why() {
    let (_postgres, gateway) = gateway();
    // A text that is no SQL is explained: it is opaque.
    let output = explain(&gateway, &["--json", "SELEC 1"]);
    let explained = json_of(&output);
    assert_eq!(explained["statements"][0]["kind"], "unreadable");
    assert_eq!(
        explained["statements"][0]["effects"],
        json!(["Opaque syntax error"])
    );
    let reason = explained["statements"][0]["reasons"][0]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains("at or near \"SELEC\""), "{reason}");

    let config = fs::read_to_string(gateway.folder().join("sluice.toml")).expect("the configuration");
    let second = config.replace(
        "[identities.tester]",
        "[connections.second]\nhost = \"127.0.0.1\"\nuser = \"u\"\ndatabase = \"d\"\ntls = \"off\"\n[identities.tester]",
    );
    fs::write(gateway.folder().join("two.toml"), second).expect("the configuration");
    let one = ["--config", "sluice.toml"];
    for (name, arguments, want_code, want) in [
        (
            "an unknown connection",
            [&one[..], &["--connection", "nowhere", "SELECT 1"]].concat(),
            1,
            "the configuration has no connection \"nowhere\"; it has shop",
        ),
        (
            "one of several",
            vec!["--config", "two.toml", "SELECT 1"],
            1,
            "--connection: name one of the configuration's: shop, second",
        ),
        (
            "an unknown database",
            [&one[..], &["--database", "nowhere", "SELECT 1"]].concat(),
            1,
            "database \"nowhere\" does not exist (3D000); check `database`",
        ),
        (
            "a path that is none",
            [&one[..], &["--search-path", "a,,b", "SELECT 1"]].concat(),
            1,
            "is not a list of schemas, such as '\"$user\", public'",
        ),
        (
            "a configuration that is not there",
            vec!["--config", "none.toml", "SELECT 1"],
            1,
            "name the configuration with --config FILE",
        ),
        (
            "a schema file that is not there",
            vec!["--offline", "none.json", "SELECT 1"],
            1,
            "cannot read none.json",
        ),
        ("no catalog", vec!["SELECT 1"], 2, "--config"),
        ("no statement", one.to_vec(), 2, "SQL"),
    ] {
        let output = gateway.sluice_here(&[&["explain-sql"], &arguments[..]].concat());
        assert!(
            !output.success && output.stdout.is_empty() && output.stderr.contains(want),
            "{name}: {output:?}"
        );
        assert_eq!(code(&gateway, &arguments), Some(want_code), "{name}");
    }
}
