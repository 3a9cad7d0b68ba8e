//! `sluice policy` over a real server, and the commands of `docs/policy.md`.

use std::fs;

use serde_json::Value;
use sluice_tests::{Gateway, Output, Postgres, Settings, documented, run};

const POLICY: &str = r#"
@id("connect") permit (principal, action == Action::"Connect", resource);
@id("read") permit (principal, action == Action::"Read", resource);
@id("settings") permit (principal, action == Action::"Set", resource in SettingGroup::"harmless");
@id("write") permit (principal, action in Action::"Write", resource);
@id("no-secrets") @message("ask the data's owner")
forbid (principal, action == Action::"Read", resource in Column::"shop/shop/public.customers.card")
unless { principal in Group::"owners" };
@id("not-at-night") forbid (principal, action == Action::"Delete", resource) when { context.hour < 6 };
@id("ask-first") @approvers("dba, owners")
forbid (principal, action == Action::"Update", resource) unless { context.approved };
"#;

/// A server and a configuration for it.
fn gateway() -> (Postgres, Gateway) {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE customers (id int PRIMARY KEY, email text, card text);
         CREATE TABLE orders (id int, customer_id int REFERENCES customers, note text);
         CREATE VIEW cards AS SELECT id, card FROM customers;
         CREATE FUNCTION purge() RETURNS int LANGUAGE sql AS 'DELETE FROM orders WHERE id > 0; SELECT 1'",
    );
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
        tls: "off",
        columns: "\"public.customers.email\" = \"email\"".to_owned(),
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    (postgres, gateway)
}

fn why(gateway: &Gateway, arguments: &[&str]) -> Output {
    gateway.sluice_here(&[&["policy", "why", "--config", "sluice.toml"], arguments].concat())
}

fn answer(gateway: &Gateway, arguments: &[&str]) -> Value {
    let asked = [
        &["--identity", "tester", "--at", "2026-11-24T12:00:00Z", "--json"],
        arguments,
    ]
    .concat();
    let output = why(gateway, &asked);
    assert!(output.success, "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    report["statements"][0].clone()
}

/// The policies that are shown with the requests for an action, each once: `forbid no-secrets applies`.
fn opinions(answer: &Value, action: &str) -> Vec<String> {
    let requests = answer["requests"].as_array().expect("requests");
    let of_action = requests.iter().filter(|request| request["action"] == action);
    let mut shown: Vec<String> = Vec::new();
    for opinion in of_action.flat_map(|request| request["policies"].as_array().expect("policies")) {
        let word = |name: &str| opinion[name].as_str().expect("a word");
        let line = format!("{} {} {}", word("kind"), word("policy"), word("word"));
        if !shown.contains(&line) {
            shown.push(line);
        }
    }
    shown
}

#[test]
fn decisions_are_told_with_the_policies_that_made_them_and_those_that_nearly_did() {
    let (_postgres, gateway) = gateway();
    let night = ["--at", "2026-11-24T03:00:00Z"];
    for (sql, more, is_allowed, policy, action, shown) in [
        (
            "SELECT id FROM customers",
            &[][..],
            true,
            Some("read"),
            "Read",
            &["permit read applies"][..],
        ),
        (
            "SELECT id, card FROM cards",
            &[],
            false,
            Some("no-secrets"),
            "Read",
            &["permit read applies", "forbid no-secrets applies"],
        ),
        (
            "SELECT card FROM customers",
            &["--group", "owners"],
            true,
            Some("read"),
            "Read",
            &["permit read applies", "forbid no-secrets condition_false"],
        ),
        (
            "SELECT purge()",
            &[],
            true,
            Some("write"),
            "Delete",
            &["permit write applies", "forbid not-at-night condition_false"],
        ),
        (
            "SELECT 1 FROM customers WHERE email = 'a@b.c'",
            &[],
            false,
            None,
            "Filter",
            &[],
        ),
        ("DROP TABLE orders", &[], false, None, "Drop", &[]),
        ("SELEC 1", &[], false, None, "Opaque", &[]),
        (
            "UPDATE orders SET note = 'x' WHERE id = 1",
            &[],
            false,
            Some("ask-first"),
            "Update",
            &["permit write applies", "forbid ask-first applies"],
        ),
    ] {
        let answer = answer(&gateway, &[more, &[sql]].concat());
        assert_eq!(answer["is_allowed"], is_allowed, "{sql}: {answer}");
        assert_eq!(answer["policy"].as_str(), policy, "{sql}: {answer}");
        assert_eq!(opinions(&answer, action), shown, "{sql}: {answer}");
    }
    let at_night = why(
        &gateway,
        &[&["--identity", "tester"], &night[..], &["SELECT purge()"]].concat(),
    );
    assert!(
        at_night.stdout.contains("denied  SELECT: SELECT purge()")
            && at_night.stdout.contains("forbid not-at-night: applies")
            && at_night.stdout.contains("now: a condition looks at the time"),
        "{at_night:?}"
    );
    // What the gate says of it, word for word.
    let sql = "SELECT card FROM customers";
    let message = answer(&gateway, &[sql])["message"]
        .as_str()
        .expect("a message")
        .to_owned();
    let output = gateway.sql(sql);
    assert!(output.stderr.contains(&message), "{message}: {output:?}");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let (_postgres, gateway) = gateway();
    fs::write(
        gateway.folder().join("broken.cedar"),
        "permit (principal, action ==",
    )
    .expect("a file");
    for (arguments, told) in [
        (
            &["--identity", "nobody", "SELECT 1"][..],
            "the configuration has no [identities.nobody]",
        ),
        (
            &["--identity", "tester", "--policy", "broken.cedar", "SELECT 1"],
            "broken.cedar",
        ),
        (
            &["--identity", "tester", "--policy", "missing.cedar", "SELECT 1"],
            "cannot read missing.cedar",
        ),
        (
            &[
                "--identity",
                "x",
                "--issuer",
                "https://a.example",
                "--claims",
                "[]",
                "SELECT 1",
            ],
            "write an object",
        ),
        (
            &["--identity", "tester", "--claims", "{}", "SELECT 1"],
            "--issuer",
        ),
        (
            &["--identity", "tester", "--connection", "other", "SELECT 1"],
            "no connection \"other\"",
        ),
    ] {
        let output = why(&gateway, arguments);
        assert!(
            !output.success && output.stderr.contains(told),
            "{arguments:?}: {output:?}"
        );
    }
}

const EXPECTATIONS: &str = r#"
identity = "tester"
at = "2026-11-24T12:00:00Z"

[[case]]
name = "testers read no cards"
sql = "SELECT card FROM customers"
expect = "deny"
policy = "no-secrets"

[[case]]
name = "owners do"
sql = "SELECT card FROM customers"
groups = ["owners"]
expect = "allow"

[[case]]
sql = "UPDATE orders SET note = '' WHERE id = 1"
expect = "approval"

[[case]]
name = "in one text"
sql = "SELECT 1; DROP TABLE orders"
expect = "deny"
"#;

#[test]
fn expectations_are_compared() {
    let (_postgres, gateway) = gateway();
    let folder = gateway.folder();
    fs::create_dir_all(folder.join("expectations/more")).expect("a folder");
    fs::write(folder.join("expectations/a.toml"), EXPECTATIONS).expect("a file");
    fs::write(folder.join("expectations/notes.md"), "not read").expect("a file");
    let test = |arguments: &[&str]| {
        gateway.sluice_here(&[&["policy", "test", "--config", "sluice.toml"], arguments].concat())
    };
    let output = test(&["expectations"]);
    assert!(
        output.success && output.stdout == "4 cases, 0 not as expected\n",
        "{output:?}"
    );
    // Another policy, another decision, and a case that is wrong about who decides.
    let wrong = "identity = \"tester\"\n[[case]]\nname = \"<wrong>\"\nsql = \"SELECT card FROM customers\"\n\
                 expect = \"deny\"\npolicy = \"not-at-night\"\n";
    fs::write(folder.join("expectations/more/b.toml"), wrong).expect("a file");
    let output = test(&["--junit", "report.xml", "expectations"]);
    assert!(!output.success, "{output:?}");
    assert!(
        output.stdout.contains("expectations/more/b.toml:4: <wrong>")
            && output
                .stdout
                .contains("expected deny by not-at-night, and it is deny by no-secrets")
            && output.stdout.ends_with("5 cases, 1 not as expected\n"),
        "{output:?}"
    );
    let junit = fs::read_to_string(folder.join("report.xml")).expect("the report");
    assert!(
        junit.contains("tests=\"5\"")
            && junit.contains("failures=\"1\"")
            && junit.contains("name=\"&lt;wrong&gt;\""),
        "{junit}"
    );
    let open = POLICY.replace(
        "forbid (principal, action == Action::\"Read\"",
        "permit (principal, action == Action::\"Read\"",
    );
    fs::write(folder.join("open.cedar"), open).expect("a policy");
    let output = test(&["--policy", "open.cedar", "--json", "expectations/a.toml"]);
    assert!(!output.success, "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(report["failed"], 1);
    assert_eq!(report["cases"][0]["decided"]["verdict"], "allow");
    let output = test(&["missing"]);
    assert!(
        !output.success && output.stderr.contains("cannot read missing"),
        "{output:?}"
    );
}

#[test]
fn the_commands_of_the_document_run() {
    let (_postgres, gateway) = gateway();
    assert!(gateway.sql("SELECT id FROM orders").success);
    let folder = gateway.folder();
    let configuration = fs::read_to_string(folder.join("sluice.toml")).expect("the configuration");
    fs::write(
        folder.join("sluice.toml"),
        configuration.replace("identities.tester", "identities.reporting-crew"),
    )
    .expect("the configuration");
    fs::write(
        folder.join("next.cedar"),
        POLICY.replace("shop/shop", "orders/shop"),
    )
    .expect("a policy");
    let document = include_str!("../../../docs/policy.md");
    let blocks = |language: &str| -> Vec<&str> {
        document
            .split(&format!("```{language}\n"))
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect()
    };
    let scripts = blocks("sh");
    assert_eq!(scripts.len(), 9);
    fs::create_dir_all(folder.join("expectations")).expect("a folder");
    fs::write(folder.join("expectations/crew.toml"), blocks("toml")[0]).expect("expectations");
    // What is replayed and suggested was recorded before.
    let scripts = scripts
        .into_iter()
        .map(|script| script.replace("identity crew-7", "identity tester"));
    for (script, told) in scripts.zip([
        "nothing is used up",
        "Delete on Table::\"shop/shop/public.orders\"",
        "\"is_allowed\": true",
        "next.cedar: ok",
        "2 cases, 0 not as expected",
        "",
        "",
        "still allowed",
        "allowed, still allowed",
    ]) {
        let output = run(&mut documented(&script, folder));
        assert!(
            output.success && output.stdout.contains(told),
            "{script}: {output:?}"
        );
    }
}

/// What runs by a name is asked about as the gate asks.
#[test]
fn names_of_a_text_are_known_behind_it() {
    let (_postgres, gateway) = gateway();
    for (sql, index, is_allowed) in [
        ("EXECUTE nobody", 0, false),
        ("PREPARE p AS SELECT id FROM orders; EXECUTE p", 1, true),
        ("PREPARE p AS SELECT card FROM customers; EXECUTE p", 1, false),
        ("DECLARE c CURSOR FOR SELECT id FROM orders; FETCH c", 1, true),
        (
            "DECLARE c CURSOR FOR SELECT card FROM customers; FETCH c",
            1,
            false,
        ),
    ] {
        let output = why(&gateway, &["--identity", "tester", "--json", sql]);
        assert!(output.success, "{output:?}");
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(
            report["statements"][index]["is_allowed"], is_allowed,
            "{sql}: {report}"
        );
    }
}

/// What `policy check` finds, in lines of file, line and message.
#[test]
fn policies_that_mean_nothing_here_are_warned_of() {
    let (_postgres, gateway) = gateway();
    let folder = gateway.folder();
    let check = |arguments: &[&str]| gateway.sluice_here(&[&["policy", "check"], arguments].concat());
    let good = check(&["--config", "sluice.toml", "--connect", "--deny-warnings"]);
    assert!(
        good.success && good.stdout.ends_with("policy.cedar: ok\n"),
        "{good:?}"
    );
    fs::write(
        folder.join("next.cedar"),
        "permit (principal, action in [Action::\"Connect\", Action::\"Set\"], resource in Connection::\"shop\");\n\
         permit (principal, action == Action::\"Read\", resource in Connection::\"shopp\");\n\
         permit (principal, action == Action::\"Read\", resource in Table::\"shop/shop/public.customer\");\n\
         permit (principal, action == Action::\"Read\", resource in Column::\"shop/shop/public.customers.cards\");\n\
         permit (principal, action == Action::\"Read\", resource in Column::\"shop/shop/public.customers.card\");\n\
         permit (principal, action == Action::\"Execute\", resource in Function::\"shop/shop/public.purges\");\n\
         permit (principal, action == Action::\"SetRole\", resource == Role::\"shop/shop/nobody\");\n\
         permit (principal, action == Action::\"Read\", resource in Schema::\"shop/shop/privat\");\n",
    )
    .expect("a policy");
    fs::write(
        folder.join("broken.cedar"),
        "permit (principal, action, resource);\n\npermit (principal, action ==",
    )
    .expect("a policy");
    let lines = |output: &Output, kind: &str| -> Vec<String> {
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let of_files = report["files"].as_array().expect("files").iter();
        let notes = of_files.flat_map(|file| file[kind].as_array().expect("notes"));
        notes
            .map(|note| {
                format!(
                    "{} {}",
                    note["line"],
                    note["message"].as_str().expect("a message")
                )
            })
            .collect()
    };
    let nothing_known = check(&["--json", "next.cedar"]);
    assert!(nothing_known.success, "{nothing_known:?}");
    assert_eq!(lines(&nothing_known, "warnings"), Vec::<String>::new());
    let configured = check(&["--config", "sluice.toml", "--json", "next.cedar"]);
    let found = lines(&configured, "warnings");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        configured.success && found[0].starts_with("2 no connection is called \"shopp\""),
        "{found:?}"
    );
    let schema = gateway.sluice_here(&[
        "explain-sql",
        "--config",
        "sluice.toml",
        "--save-schema",
        "shop.json",
    ]);
    assert!(schema.success, "{schema:?}");
    let wanted = [
        "2 no connection is called \"shopp\": Connection::\"shopp\" is never asked about",
        "3 the schema \"public\" has no table \"customer\"",
        "4 the table public.customers has no column \"cards\"",
        "6 the schema \"public\" has no function \"purges\"",
        "7 the server has no role \"nobody\"",
        "8 the database \"shop\" has no schema \"privat\"",
    ];
    for more in [&["--connect"][..], &["--schema", "shop.json"]] {
        let arguments = [&["--config", "sluice.toml", "--json"], more, &["next.cedar"]].concat();
        assert_eq!(lines(&check(&arguments), "warnings"), wanted, "{more:?}");
    }
    let offline = check(&[
        "--connection",
        "shop",
        "--schema",
        "shop.json",
        "--json",
        "next.cedar",
    ]);
    assert_eq!(lines(&offline, "warnings"), wanted[1..]);
    let told: Value = serde_json::from_str(&offline.stdout).expect("JSON");
    assert_eq!(told["schema_version"], sluice_policy::SCHEMA_VERSION, "{told:#}");
    let denied = check(&["--config", "sluice.toml", "--deny-warnings", "next.cedar"]);
    assert!(
        !denied.success
            && denied.stdout == "next.cedar: ok, 1 warning\n"
            && denied.stderr.contains("next.cedar:2:")
            && denied.stderr.contains("the configuration has shop"),
        "{denied:?}"
    );
    let broken = check(&["broken.cedar", "next.cedar"]);
    assert!(
        !broken.success
            && broken.stderr.contains("broken.cedar:3:")
            && broken.stdout == "broken.cedar: 1 mistake\nnext.cedar: ok\n",
        "{broken:?}"
    );
    for (arguments, told) in [
        (&["missing.cedar"][..], "cannot read missing.cedar"),
        (&[], "<FILE>"),
        (&["--connect", "next.cedar"], "--config"),
        (&["--schema", "shop.json", "next.cedar"], "--connection"),
        (
            &["--config", "sluice.toml", "--connection", "other", "--connect"],
            "no connection \"other\"",
        ),
    ] {
        let output = check(arguments);
        assert!(
            !output.success && output.stderr.contains(told),
            "{arguments:?}: {output:?}"
        );
    }
}
