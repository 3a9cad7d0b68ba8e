//! `application.cedar`: rows come, change and go, by what filters them; tables, rights and the server stay.

use std::process::Command;

use sluice_tests::{Gateway, Settings, driver_in_node, driver_in_python};

use crate::shared::Want::{Denied, Passes};
use crate::shared::{contents, library, library_of, tries};

fn gateway() -> Gateway {
    Gateway::start(
        &library(),
        &Settings {
            columns: "\"public.authors.email\" = \"email\"".to_owned(),
            ..Settings::starter("application")
        },
    )
}

/// A client that leaves no row behind.
fn writes(client: &mut Command, database: &str) {
    let postgres = library();
    library_of(&postgres, database);
    let rows = "SELECT (SELECT count(*) FROM authors), (SELECT count(*) FROM books)";
    let before = postgres.sql(database, rows);
    let gateway = Gateway::start(&postgres, &Settings::starter("application"));
    assert_eq!(gateway.client_of(database, client).trim(), "ok");
    assert_eq!(postgres.sql(database, rows), before);
}

#[test]
fn services_with_sqlalchemy_and_psycopg() {
    writes(&mut driver_in_python("application_client.py"), "sqlalchemy");
}

#[test]
fn services_with_prisma() {
    writes(&mut driver_in_node("application.js"), "prisma");
}

#[test]
fn what_passes_and_what_does_not() {
    let postgres = library();
    let before = contents(&postgres, "shop");
    let gateway = gateway();
    tries(
        &gateway,
        &[
            (
                Passes,
                &[
                    "INSERT INTO authors (id, name) VALUES (900, 'Ada')",
                    "UPDATE books SET price = 1 WHERE id = 1",
                    "DELETE FROM books WHERE id = 1",
                    "DELETE FROM authors WHERE id = 1",
                    "SELECT id FROM books WHERE id = 1 FOR UPDATE SKIP LOCKED",
                    "SELECT pg_advisory_xact_lock(17)",
                    "NOTIFY library",
                    "COPY books (id, title) TO STDOUT",
                    "SET LOCAL statement_timeout = '5s'",
                    "EXPLAIN ANALYZE UPDATE books SET price = 2 WHERE id = 2",
                    "DO $$ BEGIN UPDATE books SET price = 2 WHERE id = 2; END $$",
                    "SELECT name FROM authors ORDER BY email",
                    "SELECT name FROM authors WHERE email = 'author1@example.org'",
                ],
            ),
            (
                Denied("application-no-unfiltered-delete"),
                &[
                    "DELETE FROM books",
                    "DELETE FROM books WHERE true",
                    "DELETE FROM books WHERE id = id OR 1 = 1",
                    "WITH gone AS (DELETE FROM books RETURNING id) SELECT count(*) FROM gone",
                    "DO $$ BEGIN DELETE FROM books; END $$",
                ],
            ),
            (
                Denied("application-no-unfiltered-update"),
                &[
                    "UPDATE books SET price = 1",
                    "UPDATE books SET price = 1 WHERE 1 < 2",
                ],
            ),
            (
                Denied("application-no-definition"),
                &[
                    "CREATE TABLE made (id int)",
                    "SELECT * INTO made FROM books",
                    "ALTER TABLE books ADD COLUMN made int",
                    "DROP TABLE books CASCADE",
                    "TRUNCATE books",
                    "CREATE INDEX ON books (added)",
                    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                    "COMMENT ON TABLE books IS 'mine'",
                    "DO $$ BEGIN DROP VIEW book_list; END $$",
                ],
            ),
            (
                Denied("application-no-opaque"),
                &[
                    "DO $$ BEGIN EXECUTE (SELECT title FROM books LIMIT 1); END $$",
                    "SELECT query_to_xml(title, true, true, '') FROM books",
                    "LOAD 'plpgsql'",
                ],
            ),
            (
                Denied("nothing permits"),
                &[
                    "UPDATE pg_catalog.pg_class SET relname = 'x' WHERE relname = 'books'",
                    "GRANT SELECT ON books TO PUBLIC",
                    "SET ROLE pg_monitor",
                    "SET LOCAL search_path = public, pg_catalog",
                    "SET session_replication_role = replica",
                    "COPY books TO PROGRAM 'cat'",
                    "COPY books FROM '/etc/passwd'",
                    "SELECT pg_read_file('PG_VERSION')",
                    "SELECT query FROM pg_stat_activity",
                    "SELECT pg_terminate_backend(0)",
                    "SELECT pg_sleep(0)",
                    "VACUUM books",
                    "SELECT name FROM authors WHERE email LIKE 'author1@%'",
                    "SELECT name FROM authors WHERE email IN ('author1@example.org', 'author2@example.org')",
                    "UPDATE authors SET name = email WHERE id = 1",
                ],
            ),
        ],
    );
    assert_eq!(contents(&postgres, "shop"), before);
}
