//! Statements that try to get past the bundled read-only policy, and statements that only look as if they did, through
//! the gateway in front of a real server. The lists are under `tests/evasions`.

mod bench;
mod cases;
mod run;
mod script;
mod talk;
mod trial;
mod watch;

use std::collections::BTreeSet;

use crate::bench::{bench, lock};
use crate::cases::{Body, Case, Login};
use crate::run::Runner;
use crate::trial::Trial;

/// Evasions, pairs that differ in a literal only, and look-alikes: as many as there have to be.
const EVASIONS_MIN: usize = 320;
const PAIRS_MIN: usize = 64;
const LOOK_ALIKES_MIN: usize = 160;

fn evasions() -> impl Iterator<Item = Case> {
    cases::list("denied").into_iter().chain(cases::list("pairs"))
}

/// Runs cases and fails with all that went wrong.
fn all(cases: Vec<Case>, mut run: impl FnMut(&Case) -> Vec<String>) {
    let total = cases.len();
    let mut failures = Vec::new();
    for case in cases {
        failures.extend(run(&case).into_iter().map(|why| format!("{case}: {why}")));
    }
    assert!(
        failures.is_empty(),
        "{} failures of {total} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn every_evasion_is_denied(item: u8) {
    let bench = bench();
    let bench = lock(&bench);
    let mut runner = Runner::new(&bench);
    let cases: Vec<Case> = evasions().filter(|case| case.item() == item).collect();
    assert!(!cases.is_empty(), "no evasion is about item {item}");
    all(cases, |case| runner.denied(case));
    assert_eq!(
        runner.finish(),
        Vec::<String>::new(),
        "changed by one of item {item}"
    );
}

#[test]
fn t01_literals_carry_meaning() {
    every_evasion_is_denied(1);
}

#[test]
fn t02_the_key_has_more_than_text() {
    every_evasion_is_denied(2);
}

#[test]
fn t03_settings_change_before_they_are_reported() {
    every_evasion_is_denied(3);
}

#[test]
fn t04_the_startup_packet_is_a_set() {
    every_evasion_is_denied(4);
}

#[test]
fn t05_parse_is_not_execution() {
    every_evasion_is_denied(5);
}

#[test]
fn t06_calls_in_fast_path() {
    every_evasion_is_denied(6);
}

#[test]
fn t07_volatility_is_not_evidence() {
    every_evasion_is_denied(7);
}

#[test]
fn t08_code_runs_without_a_call() {
    every_evasion_is_denied(8);
}

#[test]
fn t09_explain_executes() {
    every_evasion_is_denied(9);
}

#[test]
fn t10_the_catalog_is_changed_outside() {
    every_evasion_is_denied(10);
}

#[test]
fn t12_names() {
    every_evasion_is_denied(12);
}

#[test]
fn t13_roles() {
    every_evasion_is_denied(13);
}

/// What is about no item but the gate as such: every kind of statement, however it is written.
#[test]
fn t00_statements_are_read_as_the_server_reads_them() {
    every_evasion_is_denied(0);
}

#[test]
fn t14_long_and_deep_texts() {
    every_evasion_is_denied(14);
}

#[test]
fn t16_side_carriers() {
    every_evasion_is_denied(16);
}

#[test]
fn t25_look_alikes_pass() {
    let bench = bench();
    let bench = lock(&bench);
    let mut runner = Runner::new(&bench);
    all(cases::list("harmless"), |case| runner.passes(case));
    assert_eq!(runner.finish(), Vec::<String>::new(), "changed by a look-alike");
}

#[test]
fn t32_every_evasion_is_one() {
    let bench = bench();
    let bench = lock(&bench);
    let mut trial = Trial::new(&bench);
    all(evasions().collect(), |case| {
        trial.is_real(case).into_iter().collect()
    });
}

#[test]
fn t32_every_look_alike_is_one() {
    let bench = bench();
    let bench = lock(&bench);
    let mut trial = Trial::new(&bench);
    all(cases::list("harmless"), |case| {
        trial.is_harmless(case).into_iter().collect()
    });
}

#[test]
fn the_lists_are_whole() {
    let (denied, pairs, harmless) = (
        cases::list("denied"),
        cases::list("pairs"),
        cases::list("harmless"),
    );
    assert!(pairs.iter().all(Case::is_pair), "pairs/ holds pairs");
    assert!(pairs.len() >= PAIRS_MIN, "{} pairs", pairs.len());
    let evasions = denied.len() + pairs.len();
    assert!(evasions >= EVASIONS_MIN, "{evasions} evasions");
    assert!(
        harmless.len() >= LOOK_ALIKES_MIN,
        "{} look-alikes",
        harmless.len()
    );
    let mut names = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    for case in denied.iter().chain(&pairs).chain(&harmless) {
        assert!(names.insert(case.to_string()), "twice: {case}");
        if let Body::Text(sql) = &case.body {
            assert!(
                bodies.insert((sql.clone(), case.login == Login::Reader)),
                "a text twice: {case}"
            );
        }
    }
    let tested = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16];
    for case in denied.iter().chain(&pairs) {
        assert!(tested.contains(&case.item()), "no test runs {case}");
    }
}
