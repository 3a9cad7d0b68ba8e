//! `read-only.cedar`: what drivers and ORMs send by themselves passes, whatever writes does not.

use std::process::Command;

use sluice_tests::{Gateway, Postgres, Settings, driver_in_java, driver_in_node, driver_in_python};

use crate::shared::{contents, library, reads_only, writes};

/// What clients send when they are told to write by other means than a text of theirs.
const BY_OTHER_MEANS: &[&str] = &[
    "INSERT INTO",
    "UPDATE ",
    "DELETE FROM",
    "DROP TABLE \"books\" CASCADE",
    "COPY authors",
    "COPY \"authors\"",
    // Django's select_for_update.
    "SELECT \"books\".\"id\", \"books\".\"title\", \"books\".\"author_id\", \"books\".\"price\", \"books\".\"added\" FROM \"books\" WHERE \"books\".\"id\" = 1 LIMIT 21 FOR UPDATE",
];

fn reads(client: &mut Command) {
    let postgres = library();
    let before = contents(&postgres, "shop");
    let gateway = Gateway::start(&postgres, &Settings::read_only());
    reads_only(&gateway, client, &writes(), BY_OTHER_MEANS);
    assert_eq!(contents(&postgres, "shop"), before);
}

#[test]
fn t25_psycopg2() {
    reads(&mut driver_in_python("psycopg2_client.py"));
}

#[test]
fn t25_psycopg3() {
    reads(&mut driver_in_python("psycopg3_client.py"));
}

#[test]
fn t25_asyncpg() {
    reads(&mut driver_in_python("asyncpg_client.py"));
}

#[test]
fn t25_sqlalchemy_over_psycopg2_psycopg3_and_asyncpg() {
    reads(driver_in_python("sqlalchemy_client.py").args(["psycopg2", "psycopg", "asyncpg"]));
}

#[test]
fn t25_django() {
    reads(&mut driver_in_python("django_client.py"));
}

#[test]
fn t24_crewai_nl2sql_tool() {
    reads(&mut driver_in_python("nl2sql_client.py"));
}

#[test]
fn t25_node_postgres() {
    reads(&mut driver_in_node("pg.js"));
}

#[test]
fn t25_prisma() {
    reads(&mut driver_in_node("prisma.js"));
}

#[test]
fn t25_jdbc() {
    reads(&mut driver_in_java("Jdbc.java"));
}

#[test]
fn t26_pgvector_search() {
    let postgres = Postgres::start_with_pgvector();
    postgres.sql("shop", include_str!("../../drivers/pgvector.sql"));
    let gateway = Gateway::start(&postgres, &Settings::read_only());
    let denied = [
        "SET hnsw.other",
        "INSERT INTO items",
        "CREATE INDEX ON items",
        "DROP EXTENSION vector",
    ];
    reads_only(
        &gateway,
        &mut driver_in_python("pgvector_client.py"),
        &denied,
        &[],
    );
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM items"), "200");
}
