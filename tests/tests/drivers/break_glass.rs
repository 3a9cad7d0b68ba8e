//! `break-glass.cedar`: people of the group do everything but what destroys the record or the server; nobody else gets in.

use sluice_tests::{Gateway, Settings};

use crate::shared::Want::{Denied, Passes};
use crate::shared::{contents, library, tries};

fn settings(groups: &'static [&'static str]) -> Settings {
    Settings {
        groups,
        columns: "\"public.authors.email\" = \"email\"".to_owned(),
        ..Settings::starter("break-glass")
    }
}

#[test]
fn nobody_but_the_group_gets_in() {
    let gateway = Gateway::start(&library(), &settings(&["dba", "break-glass-2"]));
    let output = gateway.sql("SELECT 1");
    assert!(
        !output.success && output.stderr.contains("nothing permits CONNECT"),
        "{output:?}"
    );
}

#[test]
fn what_passes_and_what_does_not() {
    let postgres = library();
    let before = contents(&postgres, "shop");
    let gateway = Gateway::start(&postgres, &settings(&["break-glass"]));
    tries(
        &gateway,
        &[
            (
                Passes,
                &[
                    "SELECT pid, query FROM pg_stat_activity",
                    "SELECT * FROM pg_stats",
                    "SELECT pg_cancel_backend(0), pg_terminate_backend(0)",
                    "SELECT name FROM authors WHERE email = 'author1@example.org'",
                    "DELETE FROM books",
                    "UPDATE books SET price = 1",
                    "TRUNCATE books",
                    "DROP VIEW book_list",
                    "ALTER TABLE books DISABLE TRIGGER ALL",
                    "REVOKE SELECT ON books FROM PUBLIC",
                    "ALTER ROLE postgres CONNECTION LIMIT 100",
                    "SET ROLE pg_monitor",
                    "SET session_replication_role = replica",
                    "SET work_mem = '64MB'",
                    "REINDEX TABLE books",
                    "VACUUM books",
                    "SELECT pg_advisory_unlock_all(), pg_sleep(0)",
                    "DO $$ BEGIN DELETE FROM books; END $$",
                ],
            ),
            (
                Denied("break-glass-no-opaque"),
                &[
                    "DO $$ BEGIN EXECUTE (SELECT title FROM books LIMIT 1); END $$",
                    "CREATE EXTENSION pg_trgm",
                ],
            ),
            (
                Denied("break-glass-no-machine"),
                &[
                    "COPY books TO PROGRAM 'cat'",
                    "COPY books FROM '/etc/passwd'",
                    "SELECT pg_read_file('PG_VERSION')",
                    "ALTER SYSTEM SET archive_command = 'rm -rf /'",
                    "CREATE TABLESPACE made LOCATION '/tmp/made'",
                ],
            ),
            (
                Denied("break-glass-no-other-server"),
                &["CREATE SERVER made FOREIGN DATA WRAPPER postgres_fdw"],
            ),
            (
                Denied("break-glass-no-replication"),
                &[
                    "CREATE PUBLICATION made FOR ALL TABLES",
                    "SELECT pg_create_physical_replication_slot('made')",
                ],
            ),
            (
                Denied("break-glass-no-cascade"),
                &[
                    "DROP TABLE authors CASCADE",
                    "DROP SCHEMA public CASCADE",
                    "TRUNCATE authors CASCADE",
                    "DROP DATABASE IF EXISTS made",
                ],
            ),
            (
                Denied("break-glass-no-wholesale"),
                &[
                    "DROP OWNED BY pg_monitor",
                    "REASSIGN OWNED BY pg_monitor TO postgres",
                    "ALTER ROLE postgres SET log_statement = 'none'",
                    "ALTER DATABASE shop SET log_statement = 'none'",
                ],
            ),
            (
                Denied("break-glass-no-catalog"),
                &[
                    "DELETE FROM pg_catalog.pg_class WHERE relname = 'books'",
                    "UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = 'pg_monitor'",
                ],
            ),
            (
                Denied("break-glass-keep-logging"),
                &[
                    "SET log_statement = 'none'",
                    "SELECT set_config('pgaudit.log', 'none', false)",
                ],
            ),
        ],
    );
    assert_eq!(contents(&postgres, "shop"), before);
    // Whatever is done, the record has it under the person's name.
    let done = gateway.statements("TRUNCATE books");
    assert!(
        done.iter().all(|row| row["subject"] == "tester") && !done.is_empty(),
        "{done:?}"
    );
}
