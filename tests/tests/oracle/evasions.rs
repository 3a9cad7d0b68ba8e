//! The project's own evasions and look-alikes, with everything allowed; and what each of them leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sluice_tests::probe::{Difference, State, StateProbe};
use sluice_tests::raw::{Raw, bind, execute, parse, query, sync};
use sluice_tests::{Postgres, wait_until};
use tempfile::TempDir;

use crate::cases::{self, Body, Case, Protocol, Step};
use crate::setup::{CLIENT, Setup};
use crate::talk::exchange;

/// How the names of databases begin in which the cases run, and what they are copied from.
const DATABASE: &str = "evasions";
const FIXTURE: &str = "fixture";

/// How the names of clients begin.
pub(crate) const NAME: &str = "evasion ";

/// After so many cases that changed something, there may be nothing left to change: the database is made anew.
const CHANGES_MAX: u32 = 25;

/// What a client left behind, under the name that the record has of it.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) application: String,
    pub(crate) differences: Vec<Difference>,
}

/// Runs every `step`-th case in a session of its own.
pub(crate) fn run(setup: &Setup, step: usize) -> Vec<Changed> {
    let mut runner = Runner::start(setup);
    let lists = ["denied", "pairs", "harmless"].into_iter().flat_map(cases::list);
    for (index, case) in lists.enumerate().step_by(step) {
        for (name, sent) in runner.sent(&case) {
            let application = format!("{NAME}{index} {name}");
            runner.run(&application, &sent);
        }
    }
    runner.changed
}

/// Something that is sent on the way of a case.
enum Sent {
    /// Messages up to and with so many that are answered by ReadyForQuery.
    Bytes(Vec<u8>, usize),
    /// A second session, past the gateway.
    Direct(String),
}

struct Runner<'a> {
    setup: &'a Setup,
    probe: StateProbe,
    scratch: TempDir,
    /// Of the database.
    number: u32,
    /// A session past the gateway, in another database.
    other: Raw,
    /// Cases that changed the database.
    changes: u32,
    /// The state before the next case.
    before: State,
    changed: Vec<Changed>,
}

impl<'a> Runner<'a> {
    fn start(setup: &'a Setup) -> Self {
        let postgres = &setup.postgres;
        for sql in [
            "CREATE ROLE reader LOGIN",
            "CREATE ROLE other",
            "GRANT pg_read_server_files, pg_execute_server_program TO reader",
            &format!("CREATE DATABASE {FIXTURE}"),
            "ALTER ROLE postgres SET statement_timeout = '5s'",
        ] {
            postgres.sql("postgres", sql);
        }
        let fixture = fs::read_to_string(cases::folder().join("fixture.sql")).expect("the fixture");
        postgres.sql(FIXTURE, &fixture.replace("{port}", &postgres.port().to_string()));
        postgres.sql(FIXTURE, "CREATE EXTENSION pgaudit");
        let scratch = tempfile::tempdir().expect("a folder");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777))
            .expect("a folder for everybody");
        let mut probe = make_database(postgres, &scratch, 0);
        Self {
            setup,
            before: probe.take(),
            probe,
            scratch,
            number: 0,
            other: Raw::log_in(postgres.port(), "postgres", "", "postgres"),
            changes: 0,
            changed: Vec::new(),
        }
    }

    fn database(&self) -> String {
        format!("{DATABASE}_{}", self.number)
    }

    /// What a case sends, once for each protocol.
    fn sent(&self, case: &Case) -> Vec<(&'static str, Vec<Sent>)> {
        let protocols: &[&str] = match case.protocol {
            Protocol::Simple => &["simple"],
            Protocol::Extended => &["extended"],
            Protocol::Both => &["simple", "extended"],
        };
        let texts: Vec<&str> = match &case.body {
            Body::Text(sql) => vec![sql],
            Body::Pair { harmless, harmful } => vec![harmless, harmful],
            Body::Script(steps) => return vec![("script", self.script(steps))],
            // The record has no statement of it.
            Body::Startup(_) => return Vec::new(),
        };
        let sent = |protocol: &str| {
            let bytes = |sql: &&str| {
                let sql = sql.replace("{scratch}", &self.scratch.path().to_string_lossy());
                let bytes = if protocol == "simple" {
                    query(&sql)
                } else {
                    [parse("", &sql), bind("", ""), execute(""), sync()].concat()
                };
                Sent::Bytes(bytes, 1)
            };
            texts.iter().map(bytes).collect()
        };
        protocols
            .iter()
            .map(|&protocol| (protocol, sent(protocol)))
            .collect()
    }

    fn script(&self, steps: &[Step]) -> Vec<Sent> {
        let mut sent = Vec::new();
        let (mut waiting, mut ready) = (Vec::new(), 0);
        for step in steps {
            match step {
                Step::Queue(message) => {
                    ready += usize::from(message.is_answered());
                    waiting.extend(message.encode(|kind, name| self.oid(kind, name)));
                }
                Step::Send => {
                    sent.push(Sent::Bytes(std::mem::take(&mut waiting), ready));
                    ready = 0;
                }
                Step::Direct(sql) => sent.push(Sent::Direct(sql.clone())),
                Step::Denied | Step::Passes | Step::Fails(_) => {}
            }
        }
        sent
    }

    /// The OID of a type or function; 0 for one that the script makes itself.
    fn oid(&self, kind: &str, name: &str) -> u32 {
        let oid = self
            .setup
            .postgres
            .psql(&self.database(), &format!("SELECT '{name}'::{kind}::oid"));
        oid.stdout.trim().parse().unwrap_or(0)
    }

    fn run(&mut self, application: &str, sent: &[Sent]) {
        let name = format!("{CLIENT}{application}");
        let session = Raw::try_log_in(
            self.setup.gateway.port(),
            "tester",
            "pencil",
            &self.database(),
            &[("application_name", &name)],
        );
        let mut session = session.unwrap_or_else(|refusal| {
            panic!("{application}: {refusal}\n{}", self.setup.gateway.log());
        });
        let mut is_alone = true;
        for sent in sent {
            match sent {
                Sent::Bytes(bytes, ready) => {
                    let answer = exchange(&mut session, bytes, *ready);
                    if answer.status.is_none() {
                        break;
                    }
                }
                Sent::Direct(sql) => {
                    is_alone = false;
                    let _ = self.setup.postgres.psql(&self.database(), sql);
                    if ["CREATE", "ALTER", "DROP"]
                        .iter()
                        .any(|word| sql.starts_with(word))
                    {
                        self.catalog_is_known();
                    }
                }
            }
        }
        let after = self.probe.take();
        drop(session);
        let differences = self.before.differences(&after);
        let is_changed = differences.iter().any(|difference| !difference.is_session());
        if is_changed && is_alone {
            self.changed.push(Changed {
                application: application.to_owned(),
                differences,
            });
        }
        self.go_on(&name, is_changed || !is_alone);
    }

    /// Waits until the gateway judges by the catalog as it is now: its reader has begun to read since, and a new session
    /// waits for what it reads.
    fn catalog_is_known(&mut self) {
        let moment = exchange(&mut self.other, &query("SELECT clock_timestamp()"), 1).rows;
        let database = self.database();
        let sql = format!(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice catalog' AND datname = '{database}' \
             AND query_start > '{}' AND query NOT LIKE 'LISTEN%'",
            moment.first().expect("the time")
        );
        let log_in = || Raw::try_log_in(self.setup.gateway.port(), "tester", "pencil", &database, &[]);
        wait_until("the gateway reads the catalog", || {
            drop(log_in());
            !exchange(&mut self.other, &query(&sql), 1).rows.is_empty()
        });
        drop(log_in());
    }

    /// Waits for the session's end and looks again: its temporary tables go with it.
    fn go_on(&mut self, name: &str, is_changed: bool) {
        let sessions = format!("SELECT 1 FROM pg_stat_activity WHERE application_name = '{name}'");
        wait_until("the session's end", || {
            exchange(&mut self.other, &query(&sessions), 1).rows.is_empty()
        });
        self.changes += u32::from(is_changed);
        if self.changes >= CHANGES_MAX {
            self.changes = 0;
            self.number += 1;
            self.probe = make_database(&self.setup.postgres, &self.scratch, self.number);
        }
        self.before = self.probe.take();
    }
}

/// Makes a database from the fixture. The last one goes, unless something in it holds it.
fn make_database(postgres: &Postgres, scratch: &TempDir, number: u32) -> StateProbe {
    let _ = postgres.psql("postgres", "ALTER SYSTEM RESET ALL");
    let _ = postgres.psql(
        "postgres",
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
    );
    let _ = postgres.psql(
        "postgres",
        &format!(
            "DROP DATABASE IF EXISTS {DATABASE}_{} WITH (FORCE)",
            number.saturating_sub(1)
        ),
    );
    postgres.sql(
        "postgres",
        &format!("CREATE DATABASE {DATABASE}_{number} TEMPLATE {FIXTURE}"),
    );
    for entry in fs::read_dir(scratch.path()).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
    let mut probe = StateProbe::connect(postgres, &format!("{DATABASE}_{number}"));
    probe.watch(scratch.path());
    probe
}
