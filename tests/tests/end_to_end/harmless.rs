//! Functions that the configuration takes for harmless, as long as they are what was listed.

use std::process::Command;

use sluice_tests::raw::{Raw, outline, query};
use sluice_tests::{Gateway, Output, Postgres, Settings, run, sluice, wait_until};

/// A C function, a PL/pgSQL function with SQL that it makes, and an extension of which no list is shipped.
fn postgres() -> Postgres {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE ROLE somebody; CREATE SCHEMA geo; CREATE SCHEMA other;
         CREATE FUNCTION geo.distance(text, varchar) RETURNS int LANGUAGE c STRICT AS '$libdir/fuzzystrmatch', 'levenshtein';
         CREATE FUNCTION geo.made(what text) RETURNS text LANGUAGE plpgsql AS
           'DECLARE x text; BEGIN EXECUTE ''SELECT '' || quote_literal(what) INTO x; RETURN x; END';
         CREATE EXTENSION fuzzystrmatch",
    );
    postgres
}

const NATIVE: &str = "geo.distance(text, character varying)";
const MADE: &str = "geo.made(text)";

/// `sluice check --connect` over the gateway's configuration.
fn check(gateway: &Gateway) -> Output {
    run(Command::new(sluice())
        .args(["check", "--connect", "--config"])
        .arg(gateway.folder().join("sluice.toml")))
}

/// A read-only gateway with these lines in `[connections.shop.harmless]`'s tables.
fn gateway(postgres: &Postgres, functions: &str, extensions: &str) -> Gateway {
    let more = format!(
        "[connections.shop.harmless.functions]\n{functions}\n[connections.shop.harmless.extensions]\n{extensions}"
    );
    Gateway::start(
        postgres,
        &Settings {
            tls: "off",
            connection: "catalog_max_age = \"1s\"".to_owned(),
            more,
            ..Settings::read_only()
        },
    )
}

/// The lines that a check says to paste.
fn lines(output: &Output) -> Vec<String> {
    let said = output.stderr.lines();
    said.filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.contains("definition = "))
        .map(str::to_owned)
        .collect()
}

fn is_opaque(output: &Output) -> bool {
    !output.success && output.stderr.contains("OPAQUE")
}

#[test]
fn t07_a_listed_function_is_harmless_until_it_is_another() {
    let postgres = postgres();
    // What is not listed is opaque; entries without a definition say what to write.
    let before = gateway(
        &postgres,
        &format!("'{NATIVE}' = {{ owner = \"postgres\" }}\n\"{MADE}\" = {{ owner = \"postgres\" }}"),
        "fuzzystrmatch = {}",
    );
    let calls = [
        "SELECT geo.made('x')",
        "SELECT geo.distance('a', 'b')",
        "SELECT levenshtein('a', 'b')",
    ];
    for sql in calls {
        assert!(is_opaque(&before.sql(sql)), "{sql}");
    }
    let checked = check(&before);
    assert!(!checked.success, "{checked:?}");
    let pasted = lines(&checked);
    assert_eq!(pasted.len(), 3, "{checked:?}");
    assert!(before.log().contains("has no `definition`") || checked.stderr.contains("has no `definition`"));
    drop(before);

    let gateway = gateway(&postgres, &format!("{}\n{}", pasted[0], pasted[1]), &pasted[2]);
    let checked = check(&gateway);
    assert!(checked.success, "{checked:?}");
    assert!(
        checked
            .stdout
            .contains("harmless.functions: geo.made(pg_catalog.text): 1 function")
            && checked.stdout.contains("harmless.extensions: fuzzystrmatch: "),
        "{checked:?}"
    );
    let made = "SELECT geo.made('x')";
    let is_harmless = || gateway.sql(made).success;
    for sql in calls {
        let output = gateway.sql(sql);
        assert!(output.success, "{sql}: {output:?}");
    }
    // Another of the same name that is found first, or in another schema.
    postgres.sql(
        "shop",
        "CREATE FUNCTION other.made(what text) RETURNS text LANGUAGE plpgsql AS
           'BEGIN EXECUTE what; RETURN NULL; END'",
    );
    wait_until("the function is known", || {
        // Before that it is opaque by its name, and then by what is in it.
        gateway
            .sql("SELECT other.made('SELECT 1')")
            .stderr
            .contains("OPAQUE (EXECUTE)")
    });
    for (path, is_first) in [("other, geo", false), ("other", false), ("geo, other", true)] {
        postgres.sql("shop", &format!("ALTER DATABASE shop SET search_path = {path}"));
        let output = gateway.sql("SELECT made('SELECT 1')");
        assert!(
            if is_first {
                output.success
            } else {
                is_opaque(&output)
            },
            "{path}: {output:?}"
        );
    }
    postgres.sql("shop", "ALTER DATABASE shop RESET search_path");

    let body = |body: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION geo.made(what text) RETURNS text LANGUAGE plpgsql AS $_${body}$_$"
        )
    };
    let as_it_was =
        body("DECLARE x text; BEGIN EXECUTE 'SELECT ' || quote_literal(what) INTO x; RETURN x; END");
    for (name, change, back) in [
        (
            "another body",
            body("DECLARE x text; BEGIN EXECUTE what INTO x; RETURN x; END"),
            as_it_was.clone(),
        ),
        (
            "another owner",
            "ALTER FUNCTION geo.made(text) OWNER TO somebody".to_owned(),
            "ALTER FUNCTION geo.made(text) OWNER TO postgres".to_owned(),
        ),
        (
            "a setting",
            "ALTER FUNCTION geo.made(text) SET work_mem = '1MB'".to_owned(),
            "ALTER FUNCTION geo.made(text) RESET work_mem".to_owned(),
        ),
        (
            "made anew, with another OID",
            format!(
                "DROP FUNCTION geo.made(text); {}",
                body("BEGIN EXECUTE what; RETURN what; END")
            ),
            format!("DROP FUNCTION geo.made(text); {as_it_was}"),
        ),
    ] {
        assert!(is_harmless(), "before {name}");
        postgres.sql("shop", &change);
        wait_until(name, || !is_harmless());
        let output = check(&gateway);
        assert!(
            !output.success && output.stderr.contains("is not what the configuration says"),
            "{name}: {output:?}"
        );
        postgres.sql("shop", &back);
        wait_until("it is as it was", is_harmless);
    }
    assert!(
        gateway
            .log()
            .contains("is not what the configuration takes for harmless"),
        "{}",
        gateway.log()
    );
    // An extension counts whole.
    postgres.sql("shop", "ALTER FUNCTION soundex(text) OWNER TO somebody");
    wait_until("a member of the extension is another's", || {
        !gateway.sql("SELECT levenshtein('a', 'b')").success
    });
    assert!(is_harmless());
}

#[test]
fn t07_a_check_tells_of_each_database() {
    let postgres = postgres();
    let gateway = gateway(&postgres, &format!("\"{MADE}\" = {{ owner = \"postgres\" }}"), "");
    let file = gateway.folder().join("sluice.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration");
    for (default, listed) in [
        ("shop", "\"gone\", \"shop\", \"lost\""),
        ("gone", "\"gone\", \"shop\", \"lost\""),
    ] {
        let config = config
            .replace("databases = [\"*\"]", &format!("databases = [{listed}]"))
            .replace("database = \"shop\"", &format!("database = \"{default}\""));
        std::fs::write(&file, config).expect("the configuration");
        let checked = check(&gateway);
        assert!(!checked.success, "{checked:?}");
        for missing in ["gone", "lost"] {
            assert!(
                checked
                    .stderr
                    .contains(&format!("database \"{missing}\" does not exist")),
                "{missing}: {checked:?}"
            );
        }
        assert_eq!(
            lines(&checked).len(),
            1,
            "the one that is there is read: {checked:?}"
        );
    }
}

/// What a session changes itself counts at once, for itself.
#[test]
fn t07_a_session_cannot_replace_a_listed_function() {
    let postgres = postgres();
    let unlisted = gateway(&postgres, &format!("\"{MADE}\" = {{ owner = \"postgres\" }}"), "");
    let line = lines(&check(&unlisted)).remove(0);
    drop(unlisted);
    let policy = "permit (principal, action, resource);
        forbid (principal, action == Action::\"Opaque\", resource);";
    let more = format!("[connections.shop.harmless.functions]\n{line}");
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "off",
            more,
            policy: Some(policy.to_owned()),
            ..Settings::default()
        },
    );
    let calls = "SELECT geo.made('x')";
    assert!(gateway.sql(calls).success);
    // It finds names as its caller does: by what the login has by itself, and nothing else.
    for (before, is_usual) in [
        ("SET search_path = \"$user\", public", true),
        ("SET search_path = other", false),
        ("SET search_path = other; RESET search_path", true),
        ("CREATE TEMP TABLE mine (id int)", false),
    ] {
        let output = gateway.psql(&["-c", before, "-c", calls]);
        assert!(
            if is_usual {
                output.success
            } else {
                is_opaque(&output)
            },
            "{before}: {output:?}"
        );
    }
    for (name, value, is_usual) in [
        ("application_name", "x", true),
        ("search_path", "\"$user\", public", false),
        ("options", "-c search_path=other", false),
    ] {
        let mut raw =
            Raw::try_log_in(gateway.port(), "tester", "pencil", "shop", &[(name, value)]).expect("a session");
        raw.send(&query(calls));
        let got = outline(&raw.receive_until_ready(1));
        assert_eq!(got.contains("E42501"), !is_usual, "{name}: {got}");
    }
    let checked = check(&gateway);
    assert!(
        checked.success
            && checked
                .stdout
                .contains("geo.made finds names by its caller's search_path")
            && checked.stdout.contains("ALTER FUNCTION geo.made SET search_path"),
        "{checked:?}"
    );
    let replaces = "CREATE OR REPLACE FUNCTION geo.made(what text) RETURNS text LANGUAGE plpgsql AS \
         'BEGIN EXECUTE what; RETURN NULL; END'";
    for sql in [
        format!("{replaces}; SELECT geo.made('DROP TABLE x')"),
        format!("BEGIN; {replaces}; SELECT geo.made('DROP TABLE x')"),
    ] {
        assert!(is_opaque(&gateway.sql(&sql)), "{sql}");
    }
    let output = gateway.psql(&["-c", replaces, "-c", "SELECT geo.made('DROP TABLE x')"]);
    assert!(is_opaque(&output), "{output:?}");
}

/// The shipped tables hold for functions as they came with the server.
#[test]
fn t07_a_function_of_the_server_that_was_altered_is_opaque() {
    let postgres = postgres();
    postgres.sql("shop", "ALTER FUNCTION pg_catalog.lower(text) SECURITY DEFINER");
    let gateway = gateway(&postgres, "", "");
    let output = gateway.sql("SELECT lower('X')");
    assert!(is_opaque(&output), "{output:?}");
    assert!(gateway.sql("SELECT upper('x'), 1 + 1").success);
    assert!(
        gateway
            .log()
            .contains("of the server's own functions were altered"),
        "{}",
        gateway.log()
    );
    postgres.sql("shop", "ALTER FUNCTION pg_catalog.lower(text) SECURITY INVOKER");
    wait_until("it is as it came", || gateway.sql("SELECT lower('X')").success);
}
