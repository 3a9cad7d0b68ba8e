//! `sluice policy`: questions to a policy.

mod why;

use std::path::Path;

use sluice_policy::PolicySet;

use crate::cli::Policy;
use crate::failure::Failure;

/// Answers.
pub(crate) fn run(command: &Policy) -> Result<(), Failure> {
    match command {
        Policy::Why(arguments) => why::run(arguments),
    }
}

/// Reads a file of policies; its mistakes bring their own snippets.
fn read(path: &Path) -> Result<PolicySet, Failure> {
    let shown = path.display().to_string();
    let source = std::fs::read_to_string(path)
        .map_err(|error| Failure::other(format!("cannot read {shown}"), error))?;
    PolicySet::parse(&source, &shown).map_err(|errors| {
        eprint!("{errors}");
        Failure::Reported
    })
}
