//! `sluice explain-sql`: what the gate sees in a statement, and why.

mod report;
mod subject;

use std::io::{Read as _, Write as _};

use sluice_parsers::sql::analyze::{Limits, analyze};

use self::report::Report;
use self::subject::Subject;
use crate::cli::ExplainSql;
use crate::failure::Failure;

/// Prints the effects, the lineage and the decision key of a text.
pub(crate) fn run(arguments: &ExplainSql) -> Result<(), Failure> {
    let subject = Subject::of(arguments)?;
    if let Some(path) = &arguments.save_schema {
        let text = sluice_parsers::sql::catalog::file::write(&subject.world.catalog);
        std::fs::write(path, text)
            .map_err(|error| Failure::other(format!("cannot write {}", path.display()), error))?;
    }
    let Some(sql) = &arguments.sql else {
        return Ok(());
    };
    let sql = text_of(sql)?;
    let limits = Limits {
        bytes_max: subject.limits.max_statement_bytes,
        depth_max: subject.limits.max_depth,
        ..Limits::default()
    };
    let analysis = analyze(&sql, &limits, &subject.world);
    let report = Report::new(&sql, &analysis, &subject.world.catalog);
    let text = if arguments.json {
        let mut text = serde_json::to_string_pretty(&report)
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

/// The argument, or what stdin has for `-`.
fn text_of(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::other("cannot read the statement from stdin", error))?;
    Ok(text)
}
