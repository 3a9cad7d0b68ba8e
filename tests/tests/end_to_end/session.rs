//! Sessions of tools and clients: psql's catalog, TLS, cancels, notifications.

use std::io::Write as _;
use std::process::Command;

use sluice_tests::raw::{Raw, cancel, message, outline, query, startup};
use sluice_tests::{Gateway, Postgres, Settings, run, wait_until};

use crate::shared::{is_running, postgres};

/// What `\d` and its family print is what they print without the gateway.
#[test]
fn psql_describes_everything_under_the_read_only_policy() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE DATABASE described");
    let made = "CREATE SCHEMA inner_part; CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN age AS int CHECK (VALUE > 0);
        CREATE TABLE parent (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', mood mood, UNIQUE (name));
        CREATE TABLE child (id int REFERENCES parent, at timestamptz, CHECK (id > 0)); CREATE INDEX ON child (at DESC);
        CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9);
        CREATE VIEW seen AS SELECT * FROM parent; CREATE MATERIALIZED VIEW kept AS SELECT * FROM parent;
        CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2'; COMMENT ON TABLE parent IS 'of children';
        CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER fires BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION fire();
        ALTER TABLE parent ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON parent USING (id > 1);
        CREATE PUBLICATION published FOR TABLE parent; CREATE STATISTICS stats ON id, name FROM parent";
    postgres.sql("described", made);
    let gateway = Gateway::start(&postgres, &Settings::read_only());
    for command in [
        r"\d",
        r"\d+",
        r"\d parent",
        r"\d+ parent",
        r"\d child",
        r"\d+ parts",
        r"\d part",
        r"\d+ seen",
        r"\d+ kept",
        r"\d parent_id_seq",
        r"\dt",
        r"\dt+ *.*",
        r"\di+",
        r"\ds",
        r"\dv+",
        r"\dm+",
        r"\dn+",
        r"\df",
        r"\df+ twice",
        r"\sf twice",
        r"\sv seen",
        r"\dT+",
        r"\dD+",
        r"\dp",
        r"\ddp",
        r"\dx+",
        r"\do",
        r"\da",
        r"\dC+",
        r"\dL+",
        r"\dF",
        r"\dRp+",
        r"\dX",
        r"\dE",
        r"\det",
        r"\dew",
        r"\dy",
        r"\dO",
        r"\dc",
        r"\dA",
        r"\dAc btree",
        r"\dd",
        r"\dP+",
    ] {
        // An editor that changes nothing.
        let through = run(Command::new("psql")
            .args(["-X", "-d", "described", "-c", command])
            .envs(gateway.environment())
            .env("EDITOR", "true"));
        assert!(
            through.success && !through.stderr.contains("ERROR"),
            "{command}: {}",
            through.stderr
        );
        let direct = run(Command::new("psql")
            .args([
                "-X",
                "-h",
                "127.0.0.1",
                "-p",
                &postgres.port().to_string(),
                "-U",
                "postgres",
                "-d",
                "described",
                "-c",
                command,
            ])
            .env("EDITOR", "true"));
        assert_eq!(through.stdout, direct.stdout, "{command}");
    }
    // What has sizes in it differs from one moment to the next.
    for command in [r"\l+", r"\db+", r"\du+", r"\drds", r"\dconfig", r"\conninfo"] {
        let output = gateway.psql(&["-c", command]);
        assert!(
            output.success && output.stderr.is_empty(),
            "{command}: {}",
            output.stderr
        );
    }
}

#[test]
fn tls_is_off_optional_or_required() {
    let postgres = postgres();
    for (tls, sslmode, word) in [
        ("off", "disable", ""),
        ("off", "prefer", ""),
        ("off", "require", "server does not support SSL"),
        ("optional", "disable", ""),
        ("optional", "require", ""),
        ("required", "require", ""),
        ("required", "verify-ca", ""),
        ("required", "verify-full", ""),
        ("required", "disable", "this listener takes TLS connections only"),
    ] {
        let gateway = Gateway::start(
            &postgres,
            &Settings {
                tls,
                ..Settings::default()
            },
        );
        let output = psql(
            &gateway,
            &format!("host=localhost hostaddr=127.0.0.1 sslmode={sslmode}"),
            "SELECT 7",
        );
        let name = format!("{tls} and {sslmode}");
        if word.is_empty() {
            assert_eq!(
                (output.stdout.as_str(), output.stderr.as_str()),
                ("7\n", ""),
                "{name}"
            );
        } else {
            assert!(
                !output.success && output.stderr.contains(word),
                "{name}: {}",
                output.stderr
            );
        }
        if tls == "required" && sslmode == "require" {
            let bound = psql(
                &gateway,
                "host=localhost hostaddr=127.0.0.1 sslmode=verify-full channel_binding=require",
                "SELECT 8",
            );
            assert_eq!(
                (bound.stdout.as_str(), bound.stderr.as_str()),
                ("8\n", ""),
                "channel binding"
            );
            let wrong = psql(
                &gateway,
                "host=elsewhere hostaddr=127.0.0.1 sslmode=verify-full",
                "SELECT 8",
            );
            assert!(
                !wrong.success && wrong.stderr.contains("does not match host name"),
                "{}",
                wrong.stderr
            );
            // The record says which TLS it was.
            let sessions = gateway.record();
            let tls = sessions
                .iter()
                .find(|row| row["kind"] == "session_start")
                .map(|row| row["tls"].to_string());
            assert!(tls.as_ref().is_some_and(|tls| tls.contains("TLS")), "{tls:?}");
        }
    }
}

fn psql(gateway: &Gateway, connection: &str, sql: &str) -> sluice_tests::Output {
    run(Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-c", sql, connection])
        .envs(gateway.environment())
        .env_remove("PGSSLMODE")
        .env_remove("PGHOST")
        .env("PGSSLROOTCERT", gateway.certificate()))
}

/// Large values and many rows inside of TLS.
#[test]
fn rows_pass_inside_of_tls() {
    let postgres = postgres();
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            tls: "required",
            ..Settings::default()
        },
    );
    let sql = "SELECT sum(length(v)) FROM (SELECT repeat('x', 1000) v FROM generate_series(1, 100)) x";
    let output = psql(&gateway, "host=localhost hostaddr=127.0.0.1 sslmode=require", sql);
    assert_eq!(output.stdout.trim(), "100000");
    let sql = "SELECT i || repeat('x', 100) FROM generate_series(1, 50000) i";
    let output = psql(&gateway, "host=localhost hostaddr=127.0.0.1 sslmode=require", sql);
    assert_eq!(output.stdout.lines().count(), 50_000, "{}", output.stderr);
    let output = psql(
        &gateway,
        "host=localhost hostaddr=127.0.0.1 sslmode=require",
        "SELECT repeat('x', 20000000)",
    );
    assert_eq!(output.stdout.trim().len(), 20_000_000, "{}", output.stderr);
}

/// A token never goes over the wire in clear, not even by mistake: the refusal comes before the question.
#[test]
fn a_token_is_not_asked_for_without_tls() {
    let postgres = postgres();
    let mut keys = tempfile::NamedTempFile::new().expect("a file");
    let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    keys.write_all(jwks.as_bytes()).expect("the key set");
    let more = format!(
        "[issuers.test]\nissuer = \"https://issuer.example\"\naudiences = [\"sluice\"]\nkeys = \"{}\"\n",
        keys.path().display()
    );
    let gateway = Gateway::start(
        &postgres,
        &Settings {
            more,
            ..Settings::default()
        },
    );
    let mut raw = Raw::connect(gateway.port());
    raw.send(&startup(&[("user", "token"), ("database", "shop")]));
    let (tag, body) = raw.receive().expect("an answer");
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(
        tag == b'E' && text.contains("inside of TLS only"),
        "{} {text}",
        char::from(tag)
    );
    assert!(raw.is_closed());
    let asked = psql(
        &gateway,
        "host=localhost hostaddr=127.0.0.1 sslmode=require user=token password=nonsense",
        "SELECT 1",
    );
    assert!(
        !asked.success && asked.stderr.contains("token refused"),
        "{}",
        asked.stderr
    );
    wait_until("the failures are counted", || {
        gateway.metric("sluice_auth_failures_total") >= 2.0
    });
}

/// Nothing in the exchange tells which names are known.
#[test]
fn an_unknown_user_is_asked_as_a_known_one_is() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let asked = |user: &str| {
        let mut raw = Raw::connect(gateway.port());
        raw.send(&startup(&[("user", user), ("database", "shop")]));
        let mechanisms = raw.receive().expect("the mechanisms");
        let first = b"n,,n=,r=abcdefghijklmnop";
        let len = u32::try_from(first.len()).expect("short").to_be_bytes();
        raw.send(&message(b'p', &[&b"SCRAM-SHA-256\0"[..], &len, first].concat()));
        let (tag, body) = raw.receive().expect("the challenge");
        let challenge = String::from_utf8_lossy(&body[4..]).into_owned();
        let iterations = challenge.rsplit(',').next().unwrap_or_default().to_owned();
        (mechanisms, tag, challenge.len(), iterations)
    };
    let (known, unknown) = (asked("tester"), asked("nobody"));
    assert_eq!(known, unknown);
    assert!(known.3.starts_with("i="), "{known:?}");
}

#[test]
fn cancels_reach_the_own_query_and_no_other() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut raw = gateway.log_in();
    raw.send(&query("SELECT pg_sleep(600) /* stranger */"));
    wait_until("the query runs", || is_running(&postgres, "/* stranger */"));
    let (process, secret) = raw.key().split_at(4);
    let wrong: Vec<u8> = secret.iter().map(|byte| byte ^ 0x5a).collect();
    let strangers = [
        [process, &wrong].concat(),
        [&[0; 4][..], secret].concat(),
        [&[0xff; 4][..], secret].concat(),
        [&[0x7f, 0xff, 0, 1][..], &wrong].concat(),
    ];
    for key in &strangers {
        let mut stranger = Raw::connect(gateway.port());
        stranger.send(&cancel(key));
        assert!(stranger.is_closed(), "{key:?}");
    }
    wait_until("they are counted", || {
        gateway.metric("sluice_cancels_refused_total") >= 4.0
    });
    assert!(is_running(&postgres, "/* stranger */"));
    let mut own = Raw::connect(gateway.port());
    own.send(&cancel(raw.key()));
    assert_eq!(outline(&raw.receive_until_ready(1)), "T E57014 ZI");
    wait_until("it is counted", || gateway.metric("sluice_cancels_total") >= 1.0);
    raw.send(&query("SELECT 1"));
    assert_eq!(outline(&raw.receive_until_ready(1)), "T D C ZI");
    let rows = gateway.statements("/* stranger */");
    assert_eq!(
        (rows[0]["outcome"].as_str(), rows[0]["end"]["sqlstate"].as_str()),
        (Some("cancelled"), Some("57014")),
        "{rows:?}"
    );
}

#[test]
fn notifications_arrive() {
    let postgres = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let mut listener = gateway.log_in();
    listener.send(&query("LISTEN news"));
    assert_eq!(outline(&listener.receive_until_ready(1)), "C ZI");
    let mut speaker = gateway.log_in();
    speaker.send(&query("NOTIFY news, 'first'; SELECT pg_notify('news', 'second')"));
    assert_eq!(outline(&speaker.receive_until_ready(1)), "C T D C ZI");
    for word in ["first", "second"] {
        // No statement of the listener asked for it.
        let (tag, body) = listener.receive().expect("a notification");
        assert_eq!(
            (tag, String::from_utf8_lossy(&body[4..]).into_owned()),
            (b'A', format!("news\0{word}\0"))
        );
    }
}

/// Several gateways' sessions do not know of each other's settings and names.
#[test]
fn a_session_is_a_server_session_of_its_own() {
    let postgres: std::sync::Arc<Postgres> = postgres();
    let gateway = Gateway::start(&postgres, &Settings::default());
    let (mut one, mut other) = (gateway.log_in(), gateway.log_in());
    one.send(&query(
        "SET application_name = 'one'; PREPARE p AS SELECT 1; CREATE TEMP TABLE t (id int)",
    ));
    assert_eq!(outline(&one.receive_until_ready(1)), "C C C ZI");
    for (sql, want) in [("EXECUTE p", "E26000 ZI"), ("SELECT * FROM t", "E42P01 ZI")] {
        other.send(&query(sql));
        assert_eq!(outline(&other.receive_until_ready(1)), want, "{sql}");
    }
}
