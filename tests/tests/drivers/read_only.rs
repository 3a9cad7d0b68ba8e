//! `read-only.cedar`: what drivers and ORMs send by themselves passes, whatever writes does not.

use std::process::Command;

use sluice_tests::{Gateway, Settings, driver_in_java, driver_in_node, driver_in_python};

use crate::shared::{contents, library, reads_only};

/// What clients send when they are told to write by other means than a text of theirs.
const OF_ORMS: &[&str] = &[
    "INSERT INTO",
    "UPDATE ",
    "DELETE FROM",
    "DROP TABLE",
    "COPY authors",
    "COPY \"authors\"",
    "SELECT \"books\".\"id\", \"books\".\"title\"",
];

fn reads(client: &mut Command) {
    let postgres = library();
    let before = contents(&postgres);
    let gateway = Gateway::start(&postgres, &Settings::read_only());
    reads_only(&gateway, client, OF_ORMS);
    assert_eq!(contents(&postgres), before);
}

#[test]
fn psycopg2() {
    reads(&mut driver_in_python("psycopg2_client.py"));
}

#[test]
fn psycopg3() {
    reads(&mut driver_in_python("psycopg3_client.py"));
}

#[test]
fn asyncpg() {
    reads(&mut driver_in_python("asyncpg_client.py"));
}

#[test]
fn sqlalchemy_over_psycopg2() {
    reads(driver_in_python("sqlalchemy_client.py").arg("psycopg2"));
}

#[test]
fn sqlalchemy_over_psycopg3() {
    reads(driver_in_python("sqlalchemy_client.py").arg("psycopg"));
}

#[test]
fn sqlalchemy_over_asyncpg() {
    reads(driver_in_python("sqlalchemy_client.py").arg("asyncpg"));
}

#[test]
fn django() {
    reads(&mut driver_in_python("django_client.py"));
}

#[test]
fn crewai_nl2sql() {
    reads(&mut driver_in_python("nl2sql_client.py"));
}

#[test]
fn node_postgres() {
    reads(&mut driver_in_node("pg.js"));
}

#[test]
fn prisma() {
    reads(&mut driver_in_node("prisma.js"));
}

#[test]
fn jdbc() {
    reads(&mut driver_in_java("Jdbc.java"));
}
