//! `sluice policy test`: whether a policy decides as expected.

use std::fmt;
use std::path::Path;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use sluice_policy::{Decision, PolicySet};

use super::asked::Asker;
use super::expectations::{self, Expectation, Verdict};
use super::policies;
use crate::cli::PolicyTest;
use crate::explain_sql::print;
use crate::explain_sql::report::line;
use crate::failure::{Failure, counted};
use crate::subject::Subject;

/// Asks, compares and reports.
pub(crate) fn run(arguments: &PolicyTest) -> Result<(), Failure> {
    let expectations = expectations::read(&arguments.paths)?;
    let mut subject = Subject::of(&arguments.place)?;
    let policies = policies(arguments.policy.as_deref(), &mut subject)?;
    let mut cases = Vec::with_capacity(expectations.len());
    for expectation in &expectations {
        let asker = Asker::new(&expectation.who, &subject).map_err(|failure| {
            let place = format!("{}:{}", expectation.file.display(), expectation.line);
            Failure::other(place, failure)
        })?;
        cases.push(Case::new(expectation, &asker, &subject, &policies));
    }
    let report = Report {
        failed: cases.iter().filter(|case| !case.is_as_expected).count(),
        cases,
    };
    if let Some(path) = &arguments.junit {
        write_junit(&report, path)?;
    }
    print(&report, arguments.json)?;
    if report.failed > 0 {
        return Err(Failure::Reported);
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Report {
    cases: Vec<Case>,
    failed: usize,
}

/// One expectation and what was decided.
#[derive(Debug, Serialize)]
struct Case {
    file: String,
    line: usize,
    name: String,
    is_as_expected: bool,
    expected: Decided,
    decided: Decided,
    /// What the client is told, if it is denied.
    message: Option<String>,
}

/// A verdict, and the policy that gave it.
#[derive(Debug, Serialize)]
struct Decided {
    verdict: Verdict,
    policy: Option<String>,
}

impl Case {
    fn new(expectation: &Expectation, asker: &Asker, subject: &Subject, policies: &PolicySet) -> Self {
        let analysis = subject.analyze(&expectation.sql);
        let decisions = analysis.statements.iter().enumerate().map(|(index, statement)| {
            let before = analysis.statements.get(..index).unwrap_or_default();
            let effects = statement.effects_behind(before);
            policies.decide(&asker.principal, &asker.client, asker.moment, &effects)
        });
        // The gate cuts a text off before the first statement that is denied.
        let decisions: Vec<Decision> = decisions.collect();
        let decision = decisions
            .iter()
            .find(|decision| !decision.is_allow())
            .or_else(|| decisions.first());
        let denial = decision.and_then(Decision::denial);
        let verdict = decision.map_or(Verdict::Allow, Verdict::from);
        let policy = decision.and_then(Decision::policy);
        let permits = |expected: &str| {
            decisions.iter().any(|decision| match decision {
                Decision::Allow(permission) => permission.policies.iter().any(|policy| **policy == *expected),
                Decision::Deny(_) => false,
            })
        };
        let is_policy = expectation.policy.as_deref().is_none_or(|expected| {
            policy == Some(expected) || verdict == Verdict::Allow && permits(expected)
        });
        Self {
            file: expectation.file.display().to_string(),
            line: expectation.line,
            name: expectation.name.clone(),
            is_as_expected: verdict == expectation.verdict && is_policy,
            expected: Decided {
                verdict: expectation.verdict,
                policy: expectation.policy.clone(),
            },
            decided: Decided {
                verdict,
                policy: policy.map(ToOwned::to_owned),
            },
            message: denial.map(ToString::to_string),
        }
    }

    /// What is not as expected.
    fn difference(&self) -> String {
        let mut text = format!("expected {}, and it is {}", self.expected, self.decided);
        if let Some(message) = &self.message {
            text.push_str(": ");
            text.push_str(message);
        }
        text
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.name())?;
        match &self.policy {
            Some(policy) => write!(f, " by {policy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.cases.iter().filter(|case| !case.is_as_expected) {
            line(f, 0, &format!("{}:{}: {}", case.file, case.line, case.name))?;
            line(f, 2, &case.difference())?;
        }
        let all = counted(self.cases.len(), "case");
        line(f, 0, &format!("{all}, {} not as expected", self.failed))
    }
}

/// A suite for each file.
fn write_junit(report: &Report, path: &Path) -> Result<(), Failure> {
    let mut junit = quick_junit::Report::new("sluice policy test");
    let mut cases = report.cases.iter().peekable();
    while let Some(first) = cases.peek() {
        let file = first.file.clone();
        let mut suite = TestSuite::new(&*file);
        while let Some(case) = cases.next_if(|case| case.file == file) {
            let status = if case.is_as_expected {
                TestCaseStatus::success()
            } else {
                let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
                failure.set_message(case.difference());
                failure
            };
            let mut shown = TestCase::new(&*case.name, status);
            shown.set_classname(&*file);
            suite.add_test_case(shown);
        }
        junit.add_test_suite(suite);
    }
    let cannot = |error: &dyn fmt::Display| Failure::other(format!("cannot write {}", path.display()), error);
    let text = junit.to_string().map_err(|error| cannot(&error))?;
    std::fs::write(path, text).map_err(|error| cannot(&error))
}
