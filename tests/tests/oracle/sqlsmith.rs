//! Random statements of sqlsmith, the same ones each time.

use std::process::Stdio;

use crate::setup::{DATABASE, Setup};

const SEED: &str = "4711";

/// Seconds for all of them.
const TIME_MAX: &str = "900";

/// How `timeout` says that they were over.
const TIMED_OUT: i32 = 124;

/// Some of its joins would run for a minute each. What they do is known when they begin.
const OPTIONS: &str = "-c statement_timeout=1s";

/// Runs so many statements over what the suite left in the database.
pub(crate) fn run(setup: &Setup, statements: u32) {
    let status = setup
        .client("timeout", "sqlsmith")
        .env("PGOPTIONS", OPTIONS)
        .args(["--kill-after=5", TIME_MAX, "sqlsmith"])
        .arg(format!("--target=dbname={DATABASE}"))
        .arg(format!("--seed={SEED}"))
        .arg(format!("--max-queries={statements}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("sqlsmith");
    if status.code() == Some(TIMED_OUT) {
        println!("sqlsmith: stopped after {TIME_MAX} seconds");
    } else {
        assert!(status.success(), "sqlsmith: {status}");
    }
}
