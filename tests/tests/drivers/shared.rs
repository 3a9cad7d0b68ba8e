//! One server for the drivers that need none of their own, and what every client is held to.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sluice_tests::{Gateway, Postgres};

/// The tables that the clients know.
const FIXTURE: &str = include_str!("../../drivers/fixture.sql");

/// What every client tries and is denied, one statement a line.
const WRITES: &str = include_str!("../../drivers/writes.sql");

static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

/// A server with the fixture's tables, which nobody changes.
pub(crate) fn library() -> Arc<Postgres> {
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(postgres) = shared.upgrade() {
        return postgres;
    }
    let postgres = Arc::new(Postgres::start(&[]));
    postgres.sql("shop", FIXTURE);
    *shared = Arc::downgrade(&postgres);
    postgres
}

/// What every client tries and is denied.
pub(crate) fn writes() -> Vec<&'static str> {
    WRITES.lines().filter(|line| !line.is_empty()).collect()
}

/// Runs a client that only reads and is denied the rest: it comes to its end, each of `tried` was denied, and nothing but
/// these and `others`, whatever the client made of that.
pub(crate) fn reads_only(gateway: &Gateway, client: &mut Command, tried: &[&str], others: &[&str]) {
    assert_eq!(gateway.client(client).trim(), "ok");
    let refused: Vec<String> = denials(gateway);
    let begins = |text: &str, beginning: &str| text.trim_start().starts_with(beginning);
    let missing: Vec<&&str> = tried
        .iter()
        .filter(|tried| !refused.iter().any(|text| begins(text, tried)))
        .collect();
    assert!(
        missing.is_empty(),
        "not denied, or not tried: {missing:#?} by {client:?}"
    );
    let is_meant = |text: &str| tried.iter().chain(others).any(|meant| begins(text, meant));
    let surprising: Vec<&String> = refused.iter().filter(|text| !is_meant(text)).collect();
    assert!(surprising.is_empty(), "denied by mistake: {surprising:#?}");
}

/// The texts of the denied statements in a gateway's record.
pub(crate) fn denials(gateway: &Gateway) -> Vec<String> {
    let rows = gateway.record().into_iter();
    rows.filter(|row| row["kind"] == "statement" && row["decision"] == "deny")
        .map(|row| row["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A database of the server with the fixture's tables, for those that change them.
pub(crate) fn library_of(postgres: &Postgres, database: &str) {
    postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
    postgres.sql(database, FIXTURE);
}

/// What a policy says of a statement.
pub(crate) enum Want {
    /// It runs.
    Passes,
    /// The denial has this in it: a policy's name or what nothing permits.
    Denied(&'static str),
}

/// Tries each statement in a transaction that is rolled back, and says of all at once what was otherwise.
pub(crate) fn tries(gateway: &Gateway, cases: &[(Want, &[&str])]) {
    let mut wrong = Vec::new();
    for (want, statements) in cases {
        for &sql in *statements {
            // What runs by itself alone is denied or harmless.
            let alone = ["VACUUM", "CREATE DATABASE", "DROP DATABASE", "ALTER SYSTEM"];
            let output = if alone.iter().any(|word| sql.starts_with(word)) {
                gateway.sql(sql)
            } else {
                gateway.psql(&[
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-c",
                    "BEGIN",
                    "-c",
                    sql,
                    "-c",
                    "ROLLBACK",
                ])
            };
            let is_right = match want {
                Want::Passes => output.success,
                Want::Denied(why) => {
                    !output.success
                        && output.stderr.contains("sluice: denied by policy")
                        && output.stderr.contains(why)
                }
            };
            if !is_right {
                wrong.push(format!("{sql}: {}", output.stderr.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the drivers would have changed, in one line.
pub(crate) fn contents(postgres: &Postgres, database: &str) -> String {
    postgres.sql(
        database,
        "SELECT (SELECT md5(string_agg(a::text, '|' ORDER BY id)) FROM authors a),
                (SELECT md5(string_agg(b::text, '|' ORDER BY id)) FROM books b),
                (SELECT last_value FROM books_id_seq), (SELECT count(*) FROM pg_class),
                (SELECT count(*) FROM pg_largeobject_metadata),
                (SELECT string_agg(relacl::text, '|') FROM pg_class WHERE relname = 'books')",
    )
}
