//! `sluice policy`: questions to a policy.

mod asked;
mod check;
mod expectations;
mod recorded;
mod replay;
mod suggest;
mod test;
mod why;

use std::path::Path;

use sluice_policy::PolicySet;

use crate::cli::Policy;
use crate::console::print_report;
use crate::failure::Failure;
use crate::subject::Subject;

/// Answers.
pub(crate) fn run(command: &Policy) -> Result<(), Failure> {
    match command {
        Policy::Why(arguments) => why::run(arguments),
        Policy::Test(arguments) => test::run(arguments),
        Policy::Check(arguments) => check::run(arguments),
        Policy::Replay(arguments) => replay::run(arguments),
        Policy::Suggest(arguments) => suggest::run(arguments),
    }
}

/// The policy that is asked: the file's, or else the configuration's.
fn policies(file: Option<&Path>, subject: &mut Subject) -> Result<PolicySet, Failure> {
    match (file, subject.policy.take()) {
        (Some(path), _) => read(path),
        (None, Some(policies)) => Ok(policies),
        (None, None) => Err(Failure::other("no policy", "name a file with --policy")),
    }
}

/// Reads a file of policies; its mistakes bring their own snippets.
fn read(path: &Path) -> Result<PolicySet, Failure> {
    let shown = path.display().to_string();
    let source = std::fs::read_to_string(path)
        .map_err(|error| Failure::other(format!("cannot read {shown}"), error))?;
    PolicySet::parse(&source, &shown).map_err(|errors| {
        print_report(&errors);
        Failure::Reported
    })
}
