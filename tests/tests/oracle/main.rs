//! The soundness oracle: a server with pgaudit behind the gateway, and every line that it logs compared with the
//! effects that the gateway recorded (`make test-oracle`; a subset runs with the other tests).
//!
//! Statements come from PostgreSQL's own regression suite, from sqlsmith, and from the project's list of evasions.

mod audit_log;
mod coverage;
mod effect_line;
mod evasions;
mod join;
mod regression;
mod report;
mod setup;
mod sqlsmith;
mod state;

#[path = "../evasions/cases.rs"]
#[expect(dead_code, reason = "the evasions' own test uses the rest")]
mod cases;
#[path = "../evasions/talk.rs"]
#[expect(dead_code, reason = "the evasions' own test uses the rest")]
mod talk;

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

/// What runs: these files of the suite or all, so many random statements, and one evasion of so many.
struct Load {
    files: Option<&'static [&'static str]>,
    random: u32,
    evasions_step: usize,
}

/// Even the subset runs more statements than these.
const STATEMENTS_MIN: usize = 3_000;

/// More plain statements than these have to be compared, and of a hundred one at most may be opaque.
const PLAIN_MIN: usize = 10_000;
const OPAQUE_SHARE_MAX: f64 = 1.0;

fn compare(load: &Load) -> Report {
    let (records, log, changed) = setup::replayed().unwrap_or_else(|| {
        let setup = Setup::start();
        regression::run_files(&setup, load.files);
        if load.random > 0 {
            sqlsmith::run(&setup, load.random);
        }
        let changed = evasions::run(&setup, load.evasions_step);
        (setup.records(), setup.log(), changed)
    });
    let report = Report::of(&join::join(&records, &log), &changed);
    println!("{report}");
    assert!(
        report.statements > STATEMENTS_MIN,
        "{} statements",
        report.statements
    );
    assert!(report.lines > report.statements, "{} lines", report.lines);
    assert_eq!(report.changes_uncovered, 0, "changes of state");
    assert_eq!(report.uncovered, 0, "lines that no effect covers");
    report
}

#[test]
fn t32_a_subset_is_covered() {
    compare(&Load {
        files: Some(SUBSET),
        random: 100,
        evasions_step: 20,
    });
}

#[test]
#[ignore = "`make test-oracle`: takes minutes"]
fn t32_everything_is_covered() {
    let report = compare(&Load {
        files: None,
        random: RANDOM_STATEMENTS,
        evasions_step: 1,
    });
    assert!(report.plain > PLAIN_MIN, "{} plain statements", report.plain);
    assert!(
        report.opaque_share() <= OPAQUE_SHARE_MAX,
        "{} % are opaque",
        report.opaque_share()
    );
}
