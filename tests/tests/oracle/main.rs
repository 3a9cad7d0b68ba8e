//! The soundness oracle: a server with pgaudit behind the gateway, and every line that it logs compared with the
//! effects that the gateway recorded (`make test-oracle`; a subset runs with the other tests).
//!
//! Statements come from PostgreSQL's own regression suite, from sqlsmith, and from the project's list of evasions.

mod audit_log;
mod coverage;
mod effect_line;
mod join;
mod regression;
mod report;
mod setup;
mod sqlsmith;

use crate::report::Report;
use crate::setup::Setup;

/// Files of the suite that run with the other tests: little of each kind of statement, and nothing slow.
const SUBSET: &[&str] = &[
    "test_setup",
    "boolean",
    "strings",
    "date",
    "comments",
    "create_misc",
    "create_procedure",
    "create_view",
    "create_cast",
    "select",
    "inherit",
    "select_into",
    "union",
    "case",
    "join",
    "transactions",
    "portals",
    "update",
    "delete",
    "namespace",
    "lock",
    "matview",
    "rules",
    "psql",
    "prepare",
    "copy2",
    "temp",
    "sequence",
    "returning",
    "with",
];

/// Random statements of one run.
const RANDOM_STATEMENTS: u32 = 5_000;

fn compare(files: Option<&[&str]>, random: u32) -> Report {
    let (records, log) = setup::replayed().unwrap_or_else(|| {
        let setup = Setup::start();
        regression::run_files(&setup, files);
        sqlsmith::run(&setup, random);
        (setup.records(), setup.log())
    });
    let report = Report::of(&join::join(&records, &log));
    println!("{report}");
    report
}

#[test]
fn t32_a_subset_is_covered() {
    compare(Some(SUBSET), 200);
}

#[test]
#[ignore = "`make test-oracle`: takes minutes"]
fn t32_everything_is_covered() {
    compare(None, RANDOM_STATEMENTS);
}
