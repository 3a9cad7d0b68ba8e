//! The configuration file: read once, checked whole, turned into what the data plane is told.
//!
//! Every mistake is reported in one run, with its place and what to write instead. Files that the configuration names
//! (certificates, passwords, policy) are read here too, so that nothing is left to fail after the start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_control::oidc::Verifier;
use sluice_dataplane::Settings;
use sluice_dataplane::settings::{Audit, Buffers, Connection, Identities, Limits, Listener};
use sluice_policy::{PolicySet, Snapshot};
use toml::de::DeTable;

pub(crate) use self::connections::is_this_machine;
pub(crate) use self::problem::{Problems, Report};
use self::reader::Table;
pub(crate) use self::value::{parse_duration, parse_listen_address};

mod connections;
mod harmless;
mod identities;
mod issuers;
mod limits;
mod listeners;
mod policy;
mod problem;
mod reader;
mod value;

/// A configuration without a mistake.
pub(crate) struct Loaded {
    pub(crate) cores: Vec<usize>,
    pub(crate) helper_cpus: Vec<usize>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) connections: Vec<Arc<Connection>>,
    pub(crate) identities: Identities,
    /// Verifies tokens; also in `identities`, where the data plane sees no more of it than that.
    pub(crate) verifier: Option<Arc<Verifier>>,
    pub(crate) policy: PolicySet,
    pub(crate) limits: Limits,
    pub(crate) audit: Audit,
    pub(crate) buffers: Buffers,
    /// Where metrics are exported.
    pub(crate) metrics_address: Option<SocketAddr>,
}

impl Loaded {
    /// What the data plane is told.
    pub(crate) fn into_settings(self) -> Settings {
        Settings {
            cores: self.cores,
            helper_cpus: self.helper_cpus,
            listeners: self.listeners,
            connections: self.connections,
            identities: self.identities,
            policy: Arc::new(Snapshot::new(self.policy)),
            limits: self.limits,
            audit: self.audit,
            buffers: self.buffers,
        }
    }
}

/// Reads and checks the file. What comes with a configuration has warnings only.
pub(crate) fn load(path: &Path) -> Result<(Loaded, Report), Report> {
    let source = read(path)?;
    // A relative path in the file starts where the file is.
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    load_source(&path.display().to_string(), &source, &folder)
}

/// Checks a text, with relative paths starting at `folder`.
fn load_source(name: &str, source: &str, folder: &Path) -> Result<(Loaded, Report), Report> {
    let problems = Problems::default();
    let loaded = parse(source, &problems, |root| sections(root, &problems, folder)).flatten();
    let report = problems.into_report(name, source);
    match loaded {
        Some(loaded) if report.errors() == 0 => Ok((loaded, report)),
        _ => Err(report),
    }
}

/// The file of policies that the file names, if it names one.
pub(crate) fn policy_file(path: &Path) -> Result<Option<PathBuf>, Report> {
    let source = read(path)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let (document, _) = DeTable::parse_recoverable(&source);
    let file = document
        .get_ref()
        .get("policy")
        .and_then(|policy| policy.get_ref().as_table()?.get("file"));
    Ok(file.and_then(|value| value::path(&folder)(value.get_ref()).ok()))
}

/// The data folder that the file names, whatever else may be wrong with it.
pub(crate) fn data_folder(path: &Path) -> Result<PathBuf, Report> {
    let source = read(path)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let problems = Problems::default();
    let (document, _) = DeTable::parse_recoverable(&source);
    let data = document
        .get_ref()
        .get("data")
        .and_then(|value| value::path(&folder)(value.get_ref()).ok());
    data.ok_or_else(|| {
        problems.error("data", None, "is missing", DATA_HELP);
        problems.into_report(&path.display().to_string(), &source)
    })
}

const DATA_HELP: &str = "name the folder for the record and the metrics: data = \"/var/lib/sluice\"";

fn read(path: &Path) -> Result<String, Report> {
    std::fs::read_to_string(path).map_err(|error| {
        let help = "name the configuration with --config FILE; `configs/sluice.toml` shows every setting";
        Report::of_file(
            &path.display().to_string(),
            format!("cannot be read: {error}"),
            help,
        )
    })
}

/// Parses TOML and hands over its root; syntax errors are problems like any other.
fn parse<T>(source: &str, problems: &Problems, read: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        problems.error("", error.span(), error.message(), "");
    }
    // What is left of a broken file would give a flood of mistakes that are none.
    errors.is_empty().then(|| read(&Table::root(problems, &document)))
}

/// Reads every section before it gives up on any.
fn sections(root: &Table<'_>, problems: &Problems, folder: &Path) -> Option<Loaded> {
    let data = root.required("data", DATA_HELP, value::path(folder));
    let cores = limits::cores(root);
    let helper_cpus = limits::helper_cpus(root);
    let limits = limits::limits(&root.table("limits"), cores.len());
    let buffers = limits::buffers(&root.table("buffers"));
    let audit = data.map(|data| limits::audit(&root.table("audit"), data.value));
    let metrics_address = root
        .table("metrics")
        .optional("address", value::listen_address)
        .map(|at| at.value);
    let connections = connections::read(root, folder);
    let issuers = issuers::read(root, folder);
    let identities = identities::read(root, audit.as_ref().map(|audit| audit.dir.as_path()), &issuers);
    let listeners = listeners::read(root, folder, &connections, identities.any_local);
    let policy = policy::read(&root.table("policy"), problems, folder);
    Some(Loaded {
        cores,
        helper_cpus,
        listeners,
        connections: connections
            .into_iter()
            .filter_map(|found| found.connection)
            .collect(),
        identities: identities.identities,
        verifier: issuers.verifier,
        policy: policy?,
        limits,
        audit: audit?,
        buffers,
        metrics_address,
    })
}

#[cfg(test)]
mod tests;
