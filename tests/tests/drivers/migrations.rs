//! `migrations.cedar`: tools run their DDL and move data; roles, rights, files and computed SQL stay out of reach.

use std::process::Command;

use sluice_tests::{Gateway, Settings, driver_in_node, driver_in_python};

use crate::shared::Want::{Denied, Passes};
use crate::shared::{contents, library, tries};

/// A tool that migrates an empty database up and down again.
fn migrates(client: &mut Command, database: &str) {
    let postgres = library();
    postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
    let gateway = Gateway::start(&postgres, &Settings::starter("migrations"));
    assert_eq!(gateway.client_of(database, client).trim(), "ok");
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(postgres.sql(database, left), "0");
}

#[test]
fn alembic() {
    migrates(&mut driver_in_python("alembic_client.py"), "alembic");
}

#[test]
fn django_migrate() {
    migrates(&mut driver_in_python("django_migrations_client.py"), "django");
}

#[test]
fn node_pg_migrate() {
    migrates(&mut driver_in_node("migrate.js"), "node_pg_migrate");
}

#[test]
fn what_passes_and_what_does_not() {
    let postgres = library();
    let before = contents(&postgres, "shop");
    let gateway = Gateway::start(&postgres, &Settings::starter("migrations"));
    tries(
        &gateway,
        &[
            (
                Passes,
                &[
                    "CREATE TABLE made (id int PRIMARY KEY, book int REFERENCES books)",
                    "CREATE TABLE made AS SELECT * FROM books",
                    "ALTER TABLE books ADD COLUMN made int NOT NULL DEFAULT 0",
                    "ALTER TABLE books ALTER COLUMN price TYPE numeric(12, 2)",
                    "ALTER TABLE authors RENAME COLUMN name TO full_name",
                    "CREATE INDEX ON books (added)",
                    "CREATE VIEW made AS SELECT id FROM books",
                    "CREATE TYPE made AS ENUM ('a', 'b')",
                    "CREATE SCHEMA made",
                    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                    "CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                    "DROP TABLE books CASCADE",
                    "TRUNCATE books",
                    "DELETE FROM books",
                    "UPDATE books SET price = price + 1",
                    "INSERT INTO books (id, title, author_id) SELECT id + 1000, title || '!', author_id FROM books",
                    "COMMENT ON TABLE books IS 'more'",
                    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'made') THEN \
                     CREATE TABLE made (id int); END IF; END $$",
                    "DO $$ BEGIN EXECUTE 'ALTER TABLE books ' || 'ADD COLUMN made int'; END $$",
                    "SELECT pg_advisory_lock(17), pg_advisory_unlock(17)",
                    "LOCK TABLE books IN ACCESS EXCLUSIVE MODE",
                    "SET LOCAL lock_timeout = '5s'",
                    "SET LOCAL search_path = public, pg_catalog",
                ],
            ),
            (
                Denied("migrations-no-administration"),
                &[
                    "CREATE ROLE mallory LOGIN",
                    "DROP ROLE IF EXISTS mallory",
                    "GRANT SELECT ON books TO PUBLIC",
                    "ALTER TABLE books OWNER TO pg_monitor",
                    "CREATE POLICY made ON books USING (true)",
                    "SET ROLE pg_monitor",
                    "CREATE PUBLICATION made FOR ALL TABLES",
                    "SELECT pg_terminate_backend(0)",
                    "VACUUM books",
                    "CREATE DATABASE made",
                    "DROP DATABASE IF EXISTS made",
                    "ALTER SYSTEM SET work_mem = '8MB'",
                    "CREATE FUNCTION made() RETURNS int LANGUAGE c AS 'library', 'made'",
                    "LOAD 'plpgsql'",
                ],
            ),
            (
                Denied("migrations-no-opaque"),
                &[
                    "CREATE EXTENSION pg_trgm",
                    "CREATE FUNCTION made() RETURNS int LANGUAGE plpython3u AS 'return 1'",
                    "DO $$ BEGIN EXECUTE (SELECT title FROM books LIMIT 1); END $$",
                ],
            ),
            (
                Denied("nothing permits"),
                &[
                    "ALTER ROLE postgres SET search_path = made",
                    "DELETE FROM pg_catalog.pg_class WHERE relname = 'books'",
                    "CREATE SERVER made FOREIGN DATA WRAPPER postgres_fdw",
                    "COPY books TO PROGRAM 'cat'",
                    "COPY books FROM '/etc/passwd'",
                    "SELECT query FROM pg_stat_activity",
                    "SET session_replication_role = replica",
                ],
            ),
        ],
    );
    assert_eq!(contents(&postgres, "shop"), before);
}
