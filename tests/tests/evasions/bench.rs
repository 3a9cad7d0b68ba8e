//! The server, the gateway in front of it, and sessions to either.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{env, fs, process};

use sluice_tests::probe::SERVER_SETTINGS;
use sluice_tests::raw::{Raw, query};
use sluice_tests::{Gateway, Postgres, Settings, free_port, wait_until};

use crate::cases::{Login, folder};
use crate::talk::{Answer, exchange};

/// The database of the gateway's sessions, and the one in which evasions are tried without it.
pub(crate) const BEHIND: &str = "shop";
pub(crate) const TRIAL: &str = "trial";

/// Settings that the read-only policy lets anyone change.
const HARMLESS: &str = "'application_name', 'bytea_output', 'client_encoding', 'client_min_messages', 'DateStyle', \
     'default_transaction_deferrable', 'default_transaction_isolation', 'default_transaction_read_only', \
     'extra_float_digits', 'geqo', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'IntervalStyle', \
     'jit', 'lc_monetary', 'lc_numeric', 'lc_time', 'lock_timeout', 'random_page_cost', 'statement_timeout', \
     'tcp_keepalives_count', 'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_user_timeout', 'TimeZone', \
     'transaction_deferrable', 'transaction_isolation', 'transaction_read_only', 'transaction_timeout', \
     'backslash_quote'";

/// Only what the fixture's event triggers tell brings a change to the gateway in time.
const CATALOG: &str = "catalog_max_age = \"10m\"";

static BENCH: Mutex<Weak<Mutex<Bench>>> = Mutex::new(Weak::new());

/// A PostgreSQL with the fixture, and a gateway with the bundled read-only policy.
pub(crate) struct Bench {
    pub(crate) postgres: Postgres,
    gateway: Gateway,
    reader_port: u16,
    /// What the databases are before anything is tried.
    pristine: Vec<String>,
}

/// The one bench of all tests that run at the same time; it ends with the last of them.
pub(crate) fn bench() -> Arc<Mutex<Bench>> {
    let mut shared = BENCH.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bench) = shared.upgrade() {
        return bench;
    }
    let bench = Arc::new(Mutex::new(Bench::start()));
    *shared = Arc::downgrade(&bench);
    bench
}

/// One test at a time: each watches the whole server for changes.
pub(crate) fn lock(bench: &Mutex<Bench>) -> MutexGuard<'_, Bench> {
    bench.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bench {
    fn start() -> Self {
        let postgres = Postgres::start(SERVER_SETTINGS);
        for sql in [
            "CREATE ROLE reader LOGIN",
            "CREATE ROLE other",
            "GRANT pg_read_server_files, pg_execute_server_program TO reader",
            "CREATE DATABASE fixture",
        ] {
            postgres.sql("postgres", sql);
        }
        let fixture = fs::read_to_string(folder().join("fixture.sql")).expect("the fixture");
        let fixture = fixture.replace("{port}", &postgres.port().to_string());
        let mut direct = Raw::log_in(postgres.port(), "postgres", "", "fixture");
        let made = exchange(&mut direct, &query(&fixture), 1);
        assert!(made.is_fine(), "fixture.sql: {}", made.summary());
        drop(direct);
        fs::create_dir_all(scratch()).expect("a folder for files that evasions write");
        fs::set_permissions(scratch(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("a folder for everyone");
        let reader_port = free_port();
        reset(&postgres, BEHIND);
        reset(&postgres, TRIAL);
        let pristine = whole_state(&postgres, TRIAL);
        let settings = Settings {
            tls: "off",
            more: format!(
                "[listeners.reader]\naddress = \"127.0.0.1:{reader_port}\"\ntls = \"off\"\nconnection = \"reader\"\n\
                 [connections.reader]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"reader\"\ntls = \"off\"\n\
                 database = \"shop\"\n{CATALOG}\n",
                postgres.port()
            ),
            connection: CATALOG.to_owned(),
            ..Settings::read_only()
        };
        let gateway = Gateway::start(&postgres, &settings);
        Self {
            postgres,
            gateway,
            reader_port,
            pristine,
        }
    }

    /// A session through the gateway.
    pub(crate) fn through(&self, login: Login, parameters: &[(&str, &str)]) -> Result<Raw, String> {
        let port = match login {
            Login::Superuser => self.gateway.port(),
            Login::Reader => self.reader_port,
        };
        Raw::try_log_in(port, "tester", "pencil", BEHIND, parameters)
    }

    /// Waits until the gateway judges a login's statements by the catalog as it was at that moment of the server's
    /// clock, or later: its reader has begun to read since, and a new session waits for what it reads.
    pub(crate) fn catalog_is_known(&self, login: Login, moment: &str) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice catalog' AND usename = '{}' \
             AND datname = '{BEHIND}' AND query_start > '{moment}' AND query NOT LIKE 'LISTEN%'",
            user_of(login)
        );
        let mut server = Raw::log_in(self.postgres.port(), "postgres", "", "postgres");
        wait_until("the gateway reads the catalog", || {
            exchange(&mut server, &query(&sql), 1).rows == ["1"]
        });
        self.through(login, &[])
            .expect("a new session has a fresh catalog");
    }

    /// A session past the gateway.
    pub(crate) fn direct(
        &self,
        login: Login,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Raw, String> {
        Raw::try_log_in(self.postgres.port(), user_of(login), "", database, parameters)
    }

    /// Makes a database what it was at first: by putting back the rows that most evasions change, or else from the
    /// fixture, which takes longer and ends its sessions. Says whether it had to be made anew.
    pub(crate) fn restore(&self, database: &str) -> bool {
        let put_back = put_back(&self.postgres, database);
        let is_lost = put_back.is_err() || whole_state(&self.postgres, database) != self.pristine;
        if is_lost {
            reset(&self.postgres, database);
        }
        is_lost
    }
}

/// The gateway's login at the server.
fn user_of(login: Login) -> &'static str {
    match login {
        Login::Superuser => "postgres",
        Login::Reader => "reader",
    }
}

fn put_back(postgres: &Postgres, database: &str) -> Result<(), String> {
    let mut inside = Raw::try_log_in(postgres.port(), "postgres", "", database, &[])?;
    // Prepared transactions outlive their sessions, and hold the database.
    let prepared = "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts WHERE database = current_database()";
    let mut restoring = exchange(&mut inside, &query(prepared), 1).rows;
    restoring.extend(
        [
            "ALTER SYSTEM RESET ALL",
            "SET lock_timeout = '2s'",
            "BEGIN; DELETE FROM log; DELETE FROM victims; \
             INSERT INTO victims SELECT i, 'secret ' || i FROM generate_series(1, 10) i; COMMIT",
            "SELECT setval('counter', 1), setval('ticket_id_seq', 1, false)",
        ]
        .map(str::to_owned),
    );
    for sql in restoring {
        let answer = exchange(&mut inside, &query(&sql), 1);
        if !answer.is_fine() {
            return Err(answer.summary());
        }
    }
    remove_files();
    Ok(())
}

/// The state of a database with that of its catalogs.
fn whole_state(postgres: &Postgres, database: &str) -> Vec<String> {
    const CATALOGS: [&str; 17] = [
        "aggregate",
        "attribute",
        "cast",
        "class",
        "constraint",
        "database",
        "extension",
        "index",
        "namespace",
        "operator",
        "policy",
        "proc",
        "publication",
        "rewrite",
        "statistic",
        "trigger",
        "type",
    ];
    let mut inside = Raw::log_in(postgres.port(), "postgres", "", database);
    let mut state = database_state(&mut inside);
    for catalog in CATALOGS {
        let sql = format!(
            "SELECT count(*), sum(hashtext(xmin::text)) FROM pg_{catalog}{}",
            // Every database has a row there, and comes and goes.
            if catalog == "database" {
                " WHERE datname = 'fixture'"
            } else {
                ""
            }
        );
        state.extend(exchange(&mut inside, &query(&sql), 1).rows);
    }
    state
}

fn remove_files() {
    if let Ok(entries) = fs::read_dir(scratch()) {
        for entry in entries.flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn reset(postgres: &Postgres, database: &str) {
    let mut direct = Raw::log_in(postgres.port(), "postgres", "", "postgres");
    for sql in [
        "DROP DATABASE IF EXISTS intruder".to_owned(),
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots".to_owned(),
        format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
        format!("CREATE DATABASE {database} TEMPLATE fixture STRATEGY file_copy"),
    ] {
        let made = exchange(&mut direct, &query(&sql), 1);
        assert!(made.is_fine(), "{sql}: {}", made.summary());
    }
}

/// Where evasions write files: `{scratch}` in the lists.
pub(crate) fn scratch() -> std::path::PathBuf {
    env::temp_dir().join(format!("sluice-evasions-{}", process::id()))
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(scratch());
    }
}

/// The settings and the rights of a session, but for settings that come with a library when it is loaded. It is read through the gateway too, so it uses nothing that is not pure.
pub(crate) fn session_state(raw: &mut Raw) -> Answer {
    let sql = format!(
        "SELECT current_user, session_user, coalesce(current_setting('app.tenant', true), ''), \
         coalesce(current_setting('app.stolen', true), ''), md5(string_agg(name || '=' || coalesce(setting, ''), ',' ORDER BY name)) \
         FROM pg_catalog.pg_settings WHERE name <> ALL (ARRAY[{HARMLESS}]) AND name !~ '^(plpgsql|pg_trgm|pgcrypto)[.]'"
    );
    exchange(raw, &query(&sql), 1)
}

/// What a transaction that is still open has done: anything that needed a transaction id, sequences, locks, settings.
pub(crate) fn transaction_state(raw: &mut Raw) -> Vec<String> {
    let sql = "SELECT pg_current_xact_id_if_assigned() IS NULL, \
         (SELECT string_agg(sequencename || coalesce(last_value, -1), ',' ORDER BY sequencename) FROM pg_sequences), \
         (SELECT string_agg(locktype || mode, ',' ORDER BY locktype, mode) FROM pg_locks WHERE pid = pg_backend_pid() \
            AND (locktype = 'advisory' OR locktype = 'relation' AND mode NOT IN ('AccessShareLock', 'RowExclusiveLock')))";
    let mut rows = exchange(raw, &query(sql), 1).rows;
    rows.extend(session_state(raw).rows);
    rows
}

/// What all sessions have done to a database and to the server: its rows, sequences, large objects, roles, locks, files.
pub(crate) fn database_state(raw: &mut Raw) -> Vec<String> {
    let sql = format!(
        "SELECT pg_read_file('postgresql.auto.conf'), \
         (SELECT string_agg(secret, ',' ORDER BY id) FROM victims), (SELECT count(*) FROM log), \
         (SELECT string_agg(row_to_json(c)::text, ',' ORDER BY id) FROM customers c), \
         (SELECT string_agg(row_to_json(o)::text, ',' ORDER BY id) FROM orders o), \
         (SELECT string_agg(sequencename || coalesce(last_value, -1), ',' ORDER BY sequencename) FROM pg_sequences), \
         (SELECT string_agg(loid::text || data::text, ',' ORDER BY loid) FROM pg_largeobject), \
         (SELECT string_agg(rolname || rolsuper, ',' ORDER BY rolname) FROM pg_roles), \
         (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_prepared_xacts), \
         (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_replication_origin), \
         (SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database), \
         (SELECT string_agg(name, ',' ORDER BY name) FROM pg_ls_dir('{}') name), \
         (SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND (locktype = 'advisory' OR locktype = 'relation' \
            AND mode NOT IN ('AccessShareLock', 'RowExclusiveLock')))",
        scratch().display()
    );
    let answer = exchange(raw, &query(&sql), 1);
    if answer.is_fine() {
        answer.rows
    } else {
        vec![answer.summary()]
    }
}

/// The next transaction id: whatever writes takes one, also where it is rolled back.
pub(crate) fn next_transaction(raw: &mut Raw) -> Vec<String> {
    exchange(raw, &query("SELECT pg_snapshot_xmax(pg_current_snapshot())"), 1).rows
}
