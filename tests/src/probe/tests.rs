//! Each kind of change is seen, and nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use super::{Area, SERVER_SETTINGS, StateProbe};
use crate::{Postgres, wait_until};

/// Looks at a server on which nothing happens.
const TIMES: u32 = 20;

/// The areas in which a statement of another session makes a difference.
const CHANGES: &[(&str, &[Area])] = &[
    ("SELECT * FROM t", &[]),
    ("INSERT INTO t VALUES (1)", &[Area::Rows, Area::Log]),
    ("UPDATE t SET a = a", &[Area::Rows, Area::Log]),
    ("INSERT INTO i VALUES (1)", &[Area::Rows, Area::Log]),
    ("BEGIN; INSERT INTO t VALUES (1); ROLLBACK", &[Area::Log]),
    ("INSERT INTO u VALUES (1)", &[Area::Rows, Area::Log]),
    ("SELECT nextval('s')", &[Area::Rows, Area::Log]),
    ("SELECT nextval('s')", &[Area::Rows]),
    ("SELECT setval('s', 77)", &[Area::Rows, Area::Log]),
    ("SELECT lo_create(4711)", &[Area::LargeObject, Area::Log]),
    ("SELECT lo_put(4711, 0, 'x')", &[Area::LargeObject, Area::Log]),
    ("COMMENT ON TABLE t IS 'x'", &[Area::Catalog, Area::Log]),
    ("CREATE ROLE r", &[Area::Role, Area::Log]),
    ("ALTER ROLE r SET work_mem = '1MB'", &[Area::Setting, Area::Log]),
    ("ALTER SYSTEM SET work_mem = '5MB'", &[Area::File]),
    ("SELECT pg_reload_conf()", &[Area::Setting]),
    (
        "SELECT pg_create_physical_replication_slot('x')",
        &[Area::Slot, Area::File],
    ),
    ("SELECT pg_drop_replication_slot('x')", &[Area::Slot, Area::File]),
    (
        "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'p'",
        &[Area::Lock, Area::PreparedTransaction, Area::Log],
    ),
    (
        "ROLLBACK PREPARED 'p'",
        &[Area::Lock, Area::PreparedTransaction, Area::Log],
    ),
    ("COPY t TO '/watched/copy'", &[Area::File]),
    ("COPY t TO PROGRAM 'cat >copied'", &[Area::File]),
    ("SELECT pg_stat_reset()", &[Area::Server]),
    ("SELECT pg_logical_emit_message(false, 'a', 'b')", &[Area::Log]),
    ("ANALYZE t", &[Area::Catalog, Area::Statistics, Area::Log]),
];

#[test]
fn t32_every_change_is_seen_and_nothing_else() {
    let postgres = Postgres::start(SERVER_SETTINGS);
    postgres.sql(
        "shop",
        "CREATE TABLE t (a int); CREATE TABLE i (a int); CREATE INDEX ON i ((a + 1)); INSERT INTO t VALUES (0); CREATE UNLOGGED TABLE u (a int); CREATE SEQUENCE s",
    );
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("a folder for everybody");
    let mut probe = StateProbe::connect(&postgres, "shop");
    probe.watch(folder.path());
    let mut before = probe.take();
    for (sql, areas) in CHANGES {
        let sql = sql.replace("/watched", &folder.path().display().to_string());
        postgres.sql("shop", &sql);
        wait_until("the session's end", || {
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'";
            postgres.sql("postgres", sessions) == "1"
        });
        let after = probe.take();
        let differences = before.differences(&after);
        let areas_of = differences.iter().map(|difference| difference.area);
        // psql's own sessions come and go.
        let mut seen: Vec<Area> = areas_of.filter(|&area| area != Area::Session).collect();
        seen.dedup();
        assert_eq!(seen, *areas, "{sql}: {differences:#?}");
        before = after;
    }
    before = probe.take();
    let began = Instant::now();
    for _ in 0..TIMES {
        let differences = before.differences(&probe.take());
        assert!(differences.is_empty(), "{differences:?}");
    }
    let each = began.elapsed() / TIMES;
    println!("a look at a quiet server: {each:?}");
}
