//! A token as the password, from a real issuer.

use std::process::Command;

use sluice_tests::{Gateway, Issuer, Output, Settings, run, wait_until};

use crate::shared::postgres;

const AUDIENCE: &str = "urn:sluice:shop";

fn gateway(issuer: &Issuer, postgres: &sluice_tests::Postgres) -> Gateway {
    let url = issuer.url();
    let more = format!(
        "\n[issuers.test]\nissuer = \"{url}\"\naudiences = [\"{AUDIENCE}\"]\nkeys = \"{url}/jwks\"\nleeway = \"0s\"\n"
    );
    let policy = r#"@id("crew") permit (principal in Group::"crew-analytics", action, resource);"#;
    let settings = Settings {
        policy: Some(policy.to_owned()),
        more,
        ..Settings::default()
    };
    Gateway::start(postgres, &settings)
}

fn psql(gateway: &Gateway, token: &str, tls: &str) -> Output {
    run(Command::new("psql")
        .args(["-X", "-A", "-t", "-c", "SELECT 'in'"])
        .envs(gateway.environment())
        .env("PGUSER", "token")
        .env("PGPASSWORD", token)
        .env("PGSSLMODE", tls))
}

#[test]
fn a_token_of_the_issuer_gets_in_and_its_groups_count() {
    let postgres = postgres();
    let issuer = Issuer::start();
    let gateway = gateway(&issuer, &postgres);
    let output = psql(&gateway, &issuer.token("crew", AUDIENCE), "require");
    assert_eq!(output.stdout.trim(), "in", "{output:?}");

    let start = gateway
        .record()
        .into_iter()
        .find(|row| row["kind"] == "session_start");
    let start = start.expect("the session is in the record").to_string();
    for word in [issuer.url().as_str(), "crew-analytics", "TLS"] {
        assert!(start.contains(word), "{word}: {start}");
    }
    // The local identity has none of these groups.
    let output = gateway.sql("SELECT 1");
    assert!(output.stderr.contains("denied by policy"), "{output:?}");
}

#[test]
fn an_identity_of_many_groups_gets_in() {
    let postgres = postgres();
    let issuer = Issuer::start();
    let gateway = gateway(&issuer, &postgres);
    let output = psql(&gateway, &issuer.token("many-groups", AUDIENCE), "require");
    assert_eq!(output.stdout.trim(), "in", "{output:?}");
    let start = gateway
        .record()
        .into_iter()
        .find(|row| row["kind"] == "session_start");
    let start = start.expect("the session is in the record").to_string();
    assert!(start.contains("group-199"), "{start}");
}

#[test]
fn other_tokens_do_not() {
    let postgres = postgres();
    let issuer = Issuer::start();
    let gateway = gateway(&issuer, &postgres);
    let short_lived = issuer.token("short-lived", AUDIENCE);
    wait_until("the token's expiry", || {
        psql(&gateway, &short_lived, "require").stderr.contains("expired")
    });
    let good = issuer.token("crew", AUDIENCE);
    let (signed, signature) = good.rsplit_once('.').expect("a signed token");
    let other_end = if signature.ends_with('A') { "Q" } else { "A" };
    let forged = format!("{signed}.{}{other_end}", &signature[..signature.len() - 1]);
    for (name, token, told, recorded) in [
        ("no token", "hunter2", "(a JWT) as the password", "(malformed)"),
        (
            "another audience",
            &issuer.token("crew", "urn:another:service"),
            "HINT:  request the token for the audience that the gateway expects",
            "urn:another:service",
        ),
        (
            "a forged signature",
            &forged,
            "sluice: token refused\nHINT",
            "the token's signature is not valid; obtain a fresh token from the issuer and send it unchanged",
        ),
        (
            "no signature",
            &format!("{signed}."),
            "sluice: token refused\nHINT",
            "signature",
        ),
    ] {
        let output = psql(&gateway, token, "require");
        assert!(
            !output.success && output.stderr.contains(told),
            "{name}: {output:?}"
        );
        let rows = gateway.record();
        let failed = rows.iter().rfind(|row| row["event"] == "auth_failed");
        let text = failed.map(|row| row["text"].to_string()).unwrap_or_default();
        assert!(text.contains(recorded), "{name}: {text}");
    }
    let output = psql(&gateway, &good, "disable");
    assert!(output.stderr.contains("inside of TLS only"), "{output:?}");
    assert!(gateway.metric("sluice_auth_failures_total") >= 5.0);
}
