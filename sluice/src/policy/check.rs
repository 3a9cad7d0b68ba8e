//! `sluice policy check`: the mistakes of policy files, and what in them can have no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sluice_dataplane::settings::{Connection, Databases};
use sluice_parsers::sql::catalog::Catalog;
use sluice_policy::{Mistake, PolicySet, SCHEMA_VERSION, Served, Surroundings, review};

use crate::cli::PolicyCheck;
use crate::config;
use crate::console::print_report;
use crate::explain_sql::print;
use crate::explain_sql::report::line;
use crate::failure::{Failure, counted};
use crate::subject::{named, offline, online};

/// Reads the files and reports.
pub(crate) fn run(arguments: &PolicyCheck) -> Result<(), Failure> {
    let files = files(arguments)?;
    // A configuration with this policy may be as good as the policy is.
    let is_good = |file: &PathBuf| {
        std::fs::read_to_string(file).is_ok_and(|source| PolicySet::parse(&source, "").is_ok())
    };
    let around = if files.iter().any(is_good) {
        surroundings(arguments)?
    } else {
        Surroundings::default()
    };
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        files: Vec::with_capacity(files.len()),
        mistakes: 0,
        warnings: 0,
    };
    for file in &files {
        report.add(check(file, &around, arguments.json)?);
    }
    print(&report, arguments.json)?;
    if report.mistakes > 0 || arguments.deny_warnings && report.warnings > 0 {
        return Err(Failure::Reported);
    }
    Ok(())
}

/// Those that are named, or the configuration's.
fn files(arguments: &PolicyCheck) -> Result<Vec<PathBuf>, Failure> {
    let Some(config) = arguments.config.as_ref().filter(|_| arguments.files.is_empty()) else {
        return Ok(arguments.files.clone());
    };
    let file = config::policy_file(config)?;
    file.map(|file| vec![file]).ok_or_else(|| {
        let cause = "it has no `file` in [policy]; name a file of policies";
        Failure::other(config.display().to_string(), cause)
    })
}

/// What the configuration, its servers or a schema file tell.
fn surroundings(arguments: &PolicyCheck) -> Result<Surroundings, Failure> {
    let mut around = Surroundings::default();
    let connections = match &arguments.config {
        Some(path) => config::load(path)?.0.connections,
        None => Vec::new(),
    };
    if arguments.config.is_some() {
        let served = connections.iter().map(|connection| {
            let served = match &connection.databases {
                Databases::Any => Served::Any,
                Databases::Listed(names) => Served::These(names.iter().cloned().collect()),
            };
            (connection.name.clone(), served)
        });
        around.connections = Some(served.collect());
    }
    let wanted = arguments.connection.as_deref();
    if let Some(path) = &arguments.schema {
        let catalog = offline(path)?;
        let connection = match (&arguments.config, wanted) {
            (Some(_), _) => named(&connections, wanted)?.name.clone(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => {
                let cause = "name with --connection what policies call the schema's connection";
                return Err(Failure::other("--schema", cause));
            }
        };
        add(&mut around.catalogs, &connection, catalog);
    }
    if arguments.connect {
        let chosen = match wanted {
            Some(_) => vec![named(&connections, wanted)?],
            None => connections,
        };
        for connection in &chosen {
            for database in databases(connection) {
                let (catalog, _) = online(connection, Some(database))?;
                add(&mut around.catalogs, &connection.name, catalog);
            }
        }
    }
    Ok(around)
}

/// The databases whose names are known.
fn databases(connection: &Connection) -> Vec<&str> {
    match &connection.databases {
        Databases::Any => vec![&connection.default_database],
        Databases::Listed(names) => names.iter().map(String::as_str).collect(),
    }
}

fn add(catalogs: &mut BTreeMap<String, Arc<Catalog>>, connection: &str, catalog: Catalog) {
    let name = format!("{connection}/{}", catalog.database);
    catalogs.insert(name, Arc::new(catalog));
}

/// Checks one file; people see snippets on stderr.
fn check(path: &Path, around: &Surroundings, is_json: bool) -> Result<Checked, Failure> {
    let file = path.display().to_string();
    let source = std::fs::read_to_string(path)
        .map_err(|error| Failure::other(format!("cannot read {file}"), error))?;
    match review(&source, &file, around) {
        Ok(warnings) => {
            if !is_json {
                for warning in &warnings {
                    print_report(warning);
                }
            }
            Ok(Checked {
                file,
                mistakes: Vec::new(),
                warnings: warnings
                    .iter()
                    .map(|warning| Note::new(warning.mistake()))
                    .collect(),
            })
        }
        Err(errors) => {
            if !is_json {
                print_report(&errors);
            }
            Ok(Checked {
                file,
                mistakes: errors.mistakes().iter().map(Note::new).collect(),
                warnings: Vec::new(),
            })
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    /// Of the schema that the files were checked against.
    schema_version: u32,
    files: Vec<Checked>,
    mistakes: usize,
    warnings: usize,
}

impl Report {
    fn add(&mut self, checked: Checked) {
        self.mistakes += checked.mistakes.len();
        self.warnings += checked.warnings.len();
        self.files.push(checked);
    }
}

/// What was found in a file; warnings only where there is no mistake.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    mistakes: Vec<Note>,
    warnings: Vec<Note>,
}

#[derive(Debug, Serialize)]
struct Note {
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
}

impl Note {
    fn new(mistake: &Mistake) -> Self {
        Self {
            line: mistake.line,
            column: mistake.column,
            message: mistake.message.clone(),
            help: mistake.help.clone(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for checked in &self.files {
            let (mistakes, warnings) = (checked.mistakes.len(), checked.warnings.len());
            let said = match (mistakes, warnings) {
                (0, 0) => "ok".to_owned(),
                (0, warnings) => format!("ok, {}", counted(warnings, "warning")),
                (mistakes, _) => counted(mistakes, "mistake"),
            };
            line(f, 0, &format!("{}: {said}", checked.file))?;
        }
        Ok(())
    }
}
