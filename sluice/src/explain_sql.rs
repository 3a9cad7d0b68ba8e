//! `sluice explain-sql`: what the gate sees in a statement, and why.

pub(crate) mod report;

use std::io::Write as _;

use self::report::Report;
use crate::cli::ExplainSql;
use crate::failure::Failure;
use crate::subject::{Subject, text_of};

/// Prints the effects, the lineage and the decision key of a text.
pub(crate) fn run(arguments: &ExplainSql) -> Result<(), Failure> {
    let subject = Subject::of(&arguments.place)?;
    if let Some(path) = &arguments.save_schema {
        let text = sluice_parsers::sql::catalog::file::write(&subject.world.catalog);
        std::fs::write(path, text)
            .map_err(|error| Failure::other(format!("cannot write {}", path.display()), error))?;
    }
    let Some(sql) = &arguments.sql else {
        return Ok(());
    };
    let sql = text_of(sql)?;
    let analysis = subject.analyze(&sql);
    print(
        &Report::new(&sql, &analysis, &subject.world.catalog),
        arguments.json,
    )
}

/// Prints a report, as JSON if that is asked for.
pub(crate) fn print(report: &(impl serde::Serialize + std::fmt::Display), json: bool) -> Result<(), Failure> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::other("cannot write JSON", error))?;
        text.push('\n');
        text
    } else {
        report.to_string()
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::Output)
}
