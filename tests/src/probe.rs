//! What a database and its server are, before and after: everything that a statement can leave behind.
//!
//! [`StateProbe::take`] looks from connections of its own, as superuser, and past the gateway; two [`State`]s are
//! compared by [`State::differences`]. Looked at are the rows of every table and catalog, by content and by version (an
//! UPDATE to the same value is seen), sequences, large objects, locks and sessions of others, replication slots,
//! prepared transactions, the files of the data folder, and the write-ahead log, which tells even of what was rolled
//! back.
//!
//! What it cannot see is inside of a session: settings, role, channels, cursors, prepared statements. A test asks for
//! those through that session, by [`SESSION_STATE`].
//!
//! The server has to run with [`SERVER_SETTINGS`], and nobody but the test may use it.

mod difference;
mod files;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

pub use self::difference::Difference;
use crate::postgres::Postgres;

/// Settings of a server that does nothing by itself.
pub const SERVER_SETTINGS: &[&str] = &[
    "autovacuum=off",
    "checkpoint_timeout=1d",
    "max_wal_size=4GB",
    // What was written since the last look is read again.
    "wal_keep_size=1GB",
    "wal_writer_delay=10ms",
    "wal_level=logical",
    "max_prepared_transactions=10",
    "synchronous_commit=on",
];

/// One row of text: what a session keeps to itself. It reads nothing but the session.
pub const SESSION_STATE: &str = "
SELECT pg_catalog.concat_ws(E'\\n',
  'user ' || session_user || ' ' || current_user,
  (SELECT pg_catalog.string_agg('setting ' || name || ' = ' || setting, E'\\n' ORDER BY name)
     FROM pg_catalog.pg_settings WHERE source IN ('session', 'client')),
  (SELECT pg_catalog.string_agg('channel ' || channel, E'\\n' ORDER BY channel)
     FROM pg_catalog.pg_listening_channels() AS channel),
  (SELECT pg_catalog.string_agg('cursor ' || name, E'\\n' ORDER BY name) FROM pg_catalog.pg_cursors WHERE name <> ''),
  (SELECT pg_catalog.string_agg('prepared ' || name || ': ' || statement, E'\\n' ORDER BY name)
     FROM pg_catalog.pg_prepared_statements))";

/// What kind of thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The rows of a table, materialized view or sequence that is no catalog's.
    Rows,
    /// Space of a temporary relation, whose rows are not visible from outside.
    Temporary,
    /// The rows of a catalog: definitions, comments, privileges.
    Catalog,
    /// Roles and memberships.
    Role,
    /// Settings kept for databases and roles, and those that the server read from its files.
    Setting,
    /// Large objects.
    LargeObject,
    /// Planner statistics.
    Statistics,
    /// Locks that other sessions hold, advisory ones too.
    Lock,
    /// Sessions and background workers.
    Session,
    /// Replication slots.
    Slot,
    /// Prepared transactions.
    PreparedTransaction,
    /// Counters that somebody has reset, and checkpoints that somebody asked for.
    Server,
    /// Notifications that wait.
    Notification,
    /// Files of the data folder, and of folders that the test watches.
    File,
    /// Records of the write-ahead log, by kind; also of what was rolled back.
    Log,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows",
            Self::Temporary => "temporary",
            Self::Catalog => "catalog",
            Self::Role => "role",
            Self::Setting => "setting",
            Self::LargeObject => "large object",
            Self::Statistics => "statistics",
            Self::Lock => "lock",
            Self::Session => "session",
            Self::Slot => "slot",
            Self::PreparedTransaction => "prepared transaction",
            Self::Server => "server",
            Self::Notification => "notification",
            Self::File => "file",
            Self::Log => "log",
        })
    }
}

/// Names of things and what they are, as text that is only compared.
type Facts = BTreeMap<(Area, String), String>;

/// What there was at one moment.
#[derive(Clone, Debug, Default)]
pub struct State(Facts);

impl State {
    /// What is other in `after`, in order of areas and names.
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        difference::between(&self.0, &after.0)
    }
}

/// Looks at a server's state, again and again.
pub struct StateProbe {
    runtime: Runtime,
    /// In the database that is looked at.
    client: Client,
    /// In `postgres`, where the log's reader is installed.
    log_client: Client,
    /// The server's processes of both.
    processes: Vec<i32>,
    data: PathBuf,
    watched: Vec<PathBuf>,
    /// The log's end when `rows` was read.
    log_end: String,
    /// Of all relations; still true while the log has not grown.
    rows: Facts,
    /// Records of the log since the beginning, by kind.
    log: BTreeMap<String, u64>,
}

/// Relations with rows of their own: quoted name, schema, name, kind, persistence, whether planning a SELECT on it runs
/// expressions of indexes or statistics.
const RELATIONS: &str = "
SELECT c.oid::regclass::text, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND (indexprs IS NOT NULL OR indpred IS NOT NULL))
         OR EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid AND stxexprs IS NOT NULL)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'S')";

/// What is not rows: area, name, value. The parameter is the probe's own processes. The gateway reads catalogs when it
/// sees fit.
const FACTS: &str = "
SELECT 'lock',
       concat_ws(' ', pid, locktype, mode, relation::regclass, classid, objid, objsubid, page, tuple, granted), ''
  FROM pg_locks WHERE locktype NOT IN ('virtualxid', 'transactionid') AND coalesce(pid, 0) <> ALL ($1)
   AND coalesce(pid, 0) NOT IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice catalog')
UNION ALL SELECT 'session', concat_ws(' ', backend_type, pid, datname, usename), ''
  FROM pg_stat_activity WHERE pid <> ALL ($1)
UNION ALL SELECT 'slot', slot_name::text, concat_ws(' ', plugin, slot_type, database, temporary, two_phase, active_pid)
  FROM pg_replication_slots
UNION ALL SELECT 'prepared transaction', gid, owner::text FROM pg_prepared_xacts
UNION ALL SELECT 'server', 'statistics of ' || coalesce(datname, 'all'), stats_reset::text FROM pg_stat_database
UNION ALL SELECT 'server', 'statistics of the writer', stats_reset::text FROM pg_stat_bgwriter
UNION ALL SELECT 'server', 'statistics of ' || name, stats_reset::text FROM pg_stat_slru
UNION ALL SELECT 'server', 'statistics of the log', stats_reset::text FROM pg_stat_wal
UNION ALL SELECT 'server', 'checkpoint', redo_lsn::text FROM pg_control_checkpoint()
UNION ALL SELECT 'server', 'in recovery', pg_is_in_recovery()::text
UNION ALL SELECT 'setting', 'files read', pg_conf_load_time()::text
UNION ALL SELECT 'notification', 'queue', pg_notification_queue_usage()::text";

/// The log's records between two places, but those of the transaction that asks, and those that the server writes by
/// itself now and then.
const LOG_RECORDS: &str = "
SELECT resource_manager || ' ' || record_type, count(*)
  FROM public.pg_get_wal_records_info($1::text::pg_lsn, pg_current_wal_flush_lsn())
 WHERE xid <> $2::text::xid AND resource_manager <> 'Standby' AND record_type NOT LIKE 'CHECKPOINT%'
   AND record_type <> 'PRUNE'
 GROUP BY 1";

/// A relation that has rows.
struct Relation {
    quoted: String,
    schema: String,
    name: String,
    kind: String,
    persistence: String,
    has_expressions: bool,
}

impl Relation {
    fn area(&self) -> Area {
        match (self.schema.as_str(), self.name.as_str()) {
            _ if self.persistence == "t" => Area::Temporary,
            ("pg_catalog", "pg_authid" | "pg_auth_members") => Area::Role,
            ("pg_catalog", "pg_db_role_setting" | "pg_parameter_acl") => Area::Setting,
            ("pg_catalog", "pg_largeobject" | "pg_largeobject_metadata") => Area::LargeObject,
            ("pg_catalog", "pg_statistic" | "pg_statistic_ext_data") => Area::Statistics,
            ("pg_catalog", _) => Area::Catalog,
            _ => Area::Rows,
        }
    }

    /// What it holds as one row: the number of rows, a hash of their contents, a hash of their versions; or all of it.
    /// Nothing of it may run anybody's functions: neither a cast, nor an index that is planned with.
    fn query(&self) -> String {
        let quoted = &self.quoted;
        if self.persistence == "t" || (self.has_expressions && self.kind == "m") {
            return format!("SELECT pg_table_size('{}')", quoted.replace('\'', "''"));
        }
        if self.kind == "S" {
            return format!("SELECT last_value, is_called FROM {quoted}");
        }
        if self.has_expressions {
            return format!("COPY {quoted} TO STDOUT");
        }
        format!(
            "SELECT count(*), sum(hashtextextended(textin(record_out(\"$row\")), 0)::numeric),
                    sum(hashtextextended(textin(tidout(ctid)) || textin(xidout(xmin)), 0)::numeric)
               FROM ONLY {quoted} AS \"$row\""
        )
    }
}

impl StateProbe {
    /// A probe for one database of a server that was started with [`SERVER_SETTINGS`].
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub fn connect(postgres: &Postgres, database: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        postgres.sql("postgres", "CREATE EXTENSION IF NOT EXISTS pg_walinspect");
        let connect = |database: &str| {
            let dsn = format!(
                "host=127.0.0.1 port={} user=postgres dbname={database} application_name=probe \
                 options='-c search_path= -c lock_timeout=100ms -c row_security=off -c jit=off \
                 -c default_transaction_read_only=on -c log_statement=none \
                 -c log_min_duration_statement=-1 -c pgaudit.log=none'",
                postgres.port()
            );
            let (client, connection) = runtime
                .block_on(tokio_postgres::connect(&dsn, NoTls))
                .expect("the server answers");
            runtime.spawn(connection);
            client
        };
        let (client, log_client) = (connect(database), connect("postgres"));
        let process = |client: &Client| {
            let row = runtime.block_on(client.query_one("SELECT pg_backend_pid()", &[]));
            row.expect("its process").get(0)
        };
        let processes = vec![process(&client), process(&log_client)];
        let mut probe = Self {
            client,
            log_client,
            processes,
            runtime,
            data: postgres.data(),
            watched: Vec::new(),
            log_end: String::new(),
            rows: Facts::new(),
            log: BTreeMap::new(),
        };
        probe.log_end = probe.log_insert();
        probe
    }

    /// Looks into this folder too, outside of the data folder.
    pub fn watch(&mut self, folder: &Path) {
        self.watched.push(folder.to_owned());
    }

    /// What there is now.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn take(&mut self) -> State {
        let relations = self.relations();
        let log_insert = self.log_insert();
        if self.rows.is_empty() || log_insert != self.log_end {
            let all: Vec<&Relation> = relations.iter().collect();
            self.rows = self.contents(&all);
            self.read_log();
        } else {
            // What no log tells of: a sequence is logged once in 32 values.
            let unlogged: Vec<&Relation> = relations
                .iter()
                .filter(|relation| relation.persistence != "p" || relation.kind == "S")
                .collect();
            let contents = self.contents(&unlogged);
            self.rows.extend(contents);
        }
        let mut facts = self.rows.clone();
        facts.extend(self.facts());
        files::read(&self.data, &self.watched, &mut facts);
        for (kind, count) in &self.log {
            facts.insert((Area::Log, kind.clone()), count.to_string());
        }
        State(facts)
    }

    fn relations(&self) -> Vec<Relation> {
        let rows = self.runtime.block_on(self.client.query(RELATIONS, &[]));
        let rows = rows.expect("the relations").into_iter();
        rows.map(|row| Relation {
            quoted: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            kind: row.get(3),
            persistence: row.get(4),
            has_expressions: row.get(5),
        })
        .collect()
    }

    /// Contents of relations. One that is locked is left out: the lock is a fact of its own.
    fn contents(&self, relations: &[&Relation]) -> Facts {
        let sent = relations.iter().map(|relation| self.content(relation));
        let answers = self.runtime.block_on(join_all(sent));
        let mut facts = Facts::new();
        for (relation, answer) in relations.iter().zip(answers) {
            match answer {
                Ok(content) => facts.insert((relation.area(), relation.quoted.clone()), content),
                Err(error) if is_expected(&error) => continue,
                Err(error) => panic!("{}: {error:?}", relation.quoted),
            };
        }
        facts
    }

    async fn content(&self, relation: &Relation) -> Result<String, tokio_postgres::Error> {
        let query = relation.query();
        if query.starts_with("COPY") {
            let mut rows = std::pin::pin!(self.client.copy_out(&query).await?);
            let mut hasher = DefaultHasher::new();
            let mut bytes = 0;
            while let Some(row) = rows.try_next().await? {
                bytes += row.len();
                hasher.write(&row);
            }
            return Ok(format!("{bytes} bytes {:x}", hasher.finish()));
        }
        let messages = self.client.simple_query(&query).await?;
        let row = messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.expect("one row");
        let values: Vec<&str> = (0..row.len()).filter_map(|index| row.get(index)).collect();
        Ok(values.join(" "))
    }

    fn facts(&self) -> Facts {
        let rows = self
            .runtime
            .block_on(self.client.query(FACTS, &[&self.processes]));
        let mut facts = Facts::new();
        for row in rows.expect("the facts") {
            let area = match row.get(0) {
                "lock" => Area::Lock,
                "session" => Area::Session,
                "slot" => Area::Slot,
                "prepared transaction" => Area::PreparedTransaction,
                "setting" => Area::Setting,
                "notification" => Area::Notification,
                _ => Area::Server,
            };
            let value: Option<String> = row.get(2);
            facts.insert((area, row.get(1)), value.unwrap_or_default());
        }
        facts
    }

    fn log_insert(&self) -> String {
        let query = "SELECT pg_lsn_out(pg_current_wal_insert_lsn())::text";
        let row = self.runtime.block_on(self.log_client.query_one(query, &[]));
        row.expect("the log's end").get(0)
    }

    /// Counts the records that are new. A transaction of the probe's own flushes the log first.
    fn read_log(&mut self) {
        let records = async {
            self.log_client.batch_execute("BEGIN").await?;
            let query = "SELECT xidout(pg_current_xact_id()::xid)::text
                           FROM pg_logical_emit_message(true, 'probe', '')";
            let own: String = self.log_client.query_one(query, &[]).await?.get(0);
            self.log_client.batch_execute("COMMIT").await?;
            self.log_client.query(LOG_RECORDS, &[&self.log_end, &own]).await
        };
        for row in self.runtime.block_on(records).expect("the log's records") {
            let count: i64 = row.get(1);
            *self.log.entry(row.get(0)).or_default() += count.cast_unsigned();
        }
        self.log_end = self.log_insert();
    }
}

/// The relation is locked, was dropped a moment ago, or runs code when it is read: a function that does not find its
/// names without a search path, or that would write.
fn is_expected(error: &tokio_postgres::Error) -> bool {
    let codes = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

impl fmt::Debug for StateProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateProbe")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
