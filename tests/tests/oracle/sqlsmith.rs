//! Random statements of sqlsmith, the same ones each time.

use std::process::Stdio;

use crate::setup::{DATABASE, Setup};

const SEED: &str = "4711";

/// Runs so many statements over what the suite left in the database.
pub(crate) fn run(setup: &Setup, statements: u32) {
    let status = setup
        .client("timeout", "sqlsmith")
        .args(["--kill-after=5", "600", "sqlsmith"])
        .arg(format!("--target=dbname={DATABASE}"))
        .arg(format!("--seed={SEED}"))
        .arg(format!("--max-queries={statements}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("sqlsmith");
    assert!(status.success(), "sqlsmith: {status}");
}
