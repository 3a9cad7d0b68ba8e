//! The server with pgaudit, and the gateway in front of it with everything allowed.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluice_tests::probe;
use sluice_tests::{Gateway, Postgres, Settings};

use crate::audit_log::{self, Entry};
use crate::evasions::Changed;

/// The database that everything runs in, named as the suite wants it.
pub(crate) const DATABASE: &str = "regression";

/// How the names of the oracle's clients begin.
pub(crate) const CLIENT: &str = "oracle ";

const SERVER_SETTINGS: &[&str] = &[
    "shared_preload_libraries=pgaudit",
    "pgaudit.log=all",
    "pgaudit.log_relation=on",
    "pgaudit.log_catalog=on",
    "pgaudit.log_parameter=off",
    // The gateway's own texts are long, and read many relations.
    "pgaudit.log_statement_once=on",
    // A line before the lines of pgaudit that a Query or Execute causes, and one after those of a Parse or Bind.
    "log_statement=all",
    "log_min_duration_statement=0",
    "log_connections=on",
    "log_min_messages=error",
    "log_min_error_statement=error",
    "log_destination=jsonlog",
    "logging_collector=on",
    "log_directory=../audit",
    "log_filename=server",
    "log_rotation_age=0",
    "log_rotation_size=0",
    "log_truncate_on_rotation=off",
    "statement_timeout=60s",
];

pub(crate) struct Setup {
    pub(crate) postgres: Postgres,
    pub(crate) gateway: Gateway,
}

impl Setup {
    pub(crate) fn start() -> Self {
        let postgres = Postgres::start(&[SERVER_SETTINGS, probe::SERVER_SETTINGS].concat());
        postgres.sql(
            "postgres",
            &format!("CREATE DATABASE {DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"),
        );
        for setting in [
            "lc_messages = 'C'",
            "lc_monetary = 'C'",
            "lc_numeric = 'C'",
            "lc_time = 'C'",
            "bytea_output = 'hex'",
            "timezone_abbreviations = 'Default'",
            "timezone = 'PST8PDT'",
            "datestyle = 'Postgres, MDY'",
            "intervalstyle = 'postgres_verbose'",
        ] {
            postgres.sql("postgres", &format!("ALTER DATABASE {DATABASE} SET {setting}"));
        }
        // With its event triggers pgaudit names the objects of DDL.
        postgres.sql(DATABASE, "CREATE EXTENSION pgaudit");
        let gateway = Gateway::start(
            &postgres,
            &Settings {
                masking: false,
                tls: "off",
                limits: "max_recorded_bytes = \"64KiB\"".to_owned(),
                ..Settings::default()
            },
        );
        Self { postgres, gateway }
    }

    /// A client's command that finds the database through the gateway, under this name.
    pub(crate) fn client(&self, program: &str, name: &str) -> Command {
        let mut command = Command::new(program);
        command
            .envs(self.gateway.environment())
            .env("PGDATABASE", DATABASE)
            .env("PGAPPNAME", format!("{CLIENT}{name}"));
        command
    }

    /// What the gateway recorded.
    pub(crate) fn records(&self) -> Vec<Value> {
        let rows = self.gateway.record();
        if let Some(folder) = kept() {
            let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
            fs::write(folder.join("record.json"), lines.join("\n")).expect("a copy of the record");
        }
        rows
    }

    /// What the server logged.
    pub(crate) fn log(&self) -> Vec<Entry> {
        let path = self.postgres.data().join("../audit/server.json");
        if let Some(folder) = kept() {
            fs::copy(&path, folder.join("server.json")).expect("a copy of the log");
        }
        audit_log::read(open(&path))
    }
}

/// Where both are kept for a look by hand, if `SLUICE_ORACLE_KEEP` names a folder.
fn kept() -> Option<PathBuf> {
    std::env::var_os("SLUICE_ORACLE_KEEP").map(PathBuf::from)
}

/// The record and the log of an earlier run, if `SLUICE_ORACLE_REPLAY` names the folder where they were kept.
pub(crate) fn replayed() -> Option<(Vec<Value>, Vec<Entry>, Vec<Changed>)> {
    let folder = PathBuf::from(std::env::var_os("SLUICE_ORACLE_REPLAY")?);
    let record = fs::read_to_string(folder.join("record.json")).expect("the record");
    let rows = record
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let log = audit_log::read(open(&folder.join("server.json")));
    Some((rows.collect(), log, Vec::new()))
}

fn open(path: &Path) -> BufReader<File> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(file)
}
