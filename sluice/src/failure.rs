//! Why a command ended without what was asked of it.

use std::io;

use crate::config::Report;

/// A command's failure, for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration has mistakes; they carry their own snippets.
    #[error("{0}")]
    Configuration(Box<Report>),
    /// What was wrong has been printed already.
    #[error("")]
    Reported,
    /// Our own output could not be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
    /// Anything else, in a line.
    #[error("{what}: {cause}")]
    Other {
        /// What was being done.
        what: String,
        /// Why it failed.
        cause: String,
    },
}

impl Failure {
    /// Something that failed because of something else.
    pub(crate) fn other(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Other {
            what: what.into(),
            cause: cause.to_string(),
        }
    }

    /// Prints it to stderr.
    pub(crate) fn print(&self) {
        match self {
            Self::Reported => {}
            Self::Configuration(report) => {
                eprint!("{report}");
                let (errors, warnings) = (report.errors(), report.warnings());
                eprintln!("{}, {}", counted(errors, "mistake"), counted(warnings, "warning"));
            }
            other => eprintln!("sluice: {other}"),
        }
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Configuration(Box::new(report))
    }
}

/// `1 mistake`, `2 mistakes`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
