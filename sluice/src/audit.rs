//! `sluice audit tail | query | verify`: the record, read from its files. No gateway has to run.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use sluice_audit::json::to_json;
use sluice_audit::reader::{self, Filter, Problem, Report, Row};
use sluice_audit::record::Decision;
use sluice_audit::visible::Visible;

use crate::cli::{Audit, Folder, Query, Recorded, Tail, Verify};
use crate::config;
use crate::failure::{Failure, counted};

/// How often `tail` looks for more.
const TAIL_INTERVAL: Duration = Duration::from_millis(200);

/// Runs one of the commands.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Tail(arguments) => tail(&arguments),
        Audit::Query(arguments) => query(arguments),
        Audit::Verify(arguments) => verify(&arguments),
    }
}

impl Folder {
    /// The data folder, which has to be there: a mistyped name would read as an empty record.
    pub(crate) fn resolve(&self) -> Result<PathBuf, Failure> {
        let folder = match (&self.dir, &self.config) {
            (Some(dir), _) => dir.clone(),
            (None, Some(file)) => config::data_folder(file)?,
            // The command line demands one of them.
            (None, None) => PathBuf::new(),
        };
        match std::fs::metadata(&folder) {
            Ok(found) if found.is_dir() => Ok(folder),
            Ok(_) => Err(Failure::other(folder.display().to_string(), "is not a folder")),
            Err(error) => Err(Failure::other(format!("data folder {}", folder.display()), error)),
        }
    }
}

impl Recorded {
    /// The filter that they are of.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            since_ns: self.since,
            until_ns: self.until,
            subject: self.identity.clone(),
            connection: self.connection.clone(),
            database: self.database.clone(),
            ..Filter::default()
        }
    }
}

fn tail(arguments: &Tail) -> Result<(), Failure> {
    let folder = arguments.folder.resolve()?;
    let mut tail = reader::Tail::open(
        &folder,
        Filter {
            limit: Some(arguments.last),
            severity: arguments.severity,
            ..Filter::default()
        },
    );
    let mut out = io::stdout();
    loop {
        for row in tail.poll().map_err(unreadable)? {
            print_row(&mut out, &row, arguments.json).map_err(Failure::Output)?;
        }
        out.flush().map_err(Failure::Output)?;
        print_problems(&std::mem::take(&mut tail.problems));
        std::thread::sleep(TAIL_INTERVAL);
    }
}

fn query(arguments: Query) -> Result<(), Failure> {
    let folder = arguments.recorded.folder.resolve()?;
    let filter = Filter {
        session: arguments.session,
        decision: match (arguments.decided.denied, arguments.decided.observed) {
            (true, _) => Some(Decision::Deny),
            (false, true) => Some(Decision::Observe),
            (false, false) => None,
        },
        severity: arguments.severity,
        outcome: arguments.outcome,
        text: arguments.contains,
        statements_only: arguments.statements,
        limit: arguments.limit,
        ..arguments.recorded.filter()
    };
    let answer = reader::query(&folder, &filter).map_err(unreadable)?;
    let mut out = io::BufWriter::new(io::stdout());
    for row in &answer.rows {
        print_row(&mut out, row, arguments.json).map_err(Failure::Output)?;
    }
    out.flush().map_err(Failure::Output)?;
    print_problems(&answer.problems);
    // What was found is right, and there may be more that was not: a script must not take it for the whole.
    if answer.problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

fn verify(arguments: &Verify) -> Result<(), Failure> {
    let folder = arguments.folder.resolve()?;
    let report = reader::verify(&folder).map_err(unreadable)?;
    let mut out = io::stdout();
    let printed = if arguments.json {
        print_report_json(&mut out, &report)
    } else {
        print_report(&mut out, &report)
    };
    printed.map_err(Failure::Output)?;
    if report.is_intact() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

fn print_row(out: &mut impl Write, row: &Row, json: bool) -> io::Result<()> {
    if json {
        writeln!(out, "{}", to_json(row))
    } else {
        writeln!(out, "{row}")
    }
}

/// Tells of damage that was skipped.
pub(crate) fn print_problems(problems: &[Problem]) {
    for problem in problems {
        eprintln!("damaged: {}", Visible(problem.to_string().as_bytes()));
    }
}

fn print_report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for notice in &report.notices {
        writeln!(out, "note: {notice}")?;
    }
    for problem in &report.problems {
        writeln!(out, "damaged: {problem}")?;
    }
    let parts = [
        (report.chains, "chain"),
        (report.segments, "segment"),
        (report.rings, "ring"),
        (report.records, "record"),
        (report.sessions, "session"),
        (report.statements, "statement"),
    ]
    .map(|(count, what)| counted(usize::try_from(count).unwrap_or(usize::MAX), what));
    writeln!(
        out,
        "{}; {} without an end (outcome unknown, or running)",
        parts.join(", "),
        report.open
    )?;
    match report.problems.len() {
        0 => writeln!(out, "verify: intact"),
        count => writeln!(out, "verify: DAMAGED, {}", counted(count, "problem")),
    }
}

fn print_report_json(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let texts = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let value = serde_json::json!({
        "intact": report.is_intact(),
        "chains": report.chains,
        "segments": report.segments,
        "rings": report.rings,
        "records": report.records,
        "sessions": report.sessions,
        "statements": report.statements,
        "open": report.open,
        "problems": texts(&report.problems),
        "notices": texts(&report.notices),
    });
    writeln!(out, "{value}")
}

pub(crate) fn unreadable(error: reader::ReadError) -> Failure {
    Failure::other("the record cannot be read", error)
}
