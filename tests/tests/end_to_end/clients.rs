//! What real clients send works as it does without the gateway.

use std::future::Future;
use std::io::Write as _;
use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use sluice_tests::{Gateway, Settings};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::shared::{NO_DELETE, postgres};

fn gateway(postgres: &sluice_tests::Postgres) -> Gateway {
    Gateway::start(
        postgres,
        &Settings {
            policy: Some(NO_DELETE.to_owned()),
            ..Settings::default()
        },
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

async fn connect(gateway: &Gateway) -> Client {
    let (client, connection) = tokio_postgres::connect(&gateway.dsn(), NoTls)
        .await
        .expect("a session");
    tokio::spawn(async move {
        // Its failure fails the client's next call.
        let _ = connection.await;
    });
    client
}

#[test]
fn tokio_postgres_prepares_and_asks_for_types() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TYPE colour AS ENUM ('red', 'green'); CREATE TABLE coloured AS SELECT 'red'::colour AS of",
    );
    let gateway = gateway(&postgres);
    block_on(async {
        let client = connect(&gateway).await;
        let row = client
            .query_one("SELECT $1::int + 1, $2::text || '!'", &[&41, &"well"])
            .await
            .expect("a row");
        assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1)), (42, "well!"));
        let statement = client
            .prepare("SELECT id, email FROM customers WHERE id <= $1 ORDER BY id")
            .await
            .expect("prepared");
        for limit in [3, 700, 3] {
            let rows = client.query(&statement, &[&limit]).await.expect("rows");
            assert_eq!(rows.len(), usize::try_from(limit).unwrap_or_default());
            assert!(
                rows.iter()
                    .all(|row| !row.get::<_, &str>(1).contains("example.org")),
                "{rows:?}"
            );
        }
        // The type is looked up in the catalog by statements of the client's own.
        let statement = client.prepare("SELECT of FROM coloured").await.expect("prepared");
        assert_eq!(statement.columns()[0].type_().name(), "colour");
        let error = client.prepare("DELETE FROM victim").await.expect_err("a denial");
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        let error = client
            .query("SELECT * FROM nowhere", &[])
            .await
            .expect_err("no such table");
        assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE));
        let rows = client.simple_query("SELECT 1; SELECT 2").await.expect("rows");
        assert_eq!(
            rows.iter()
                .filter(|message| matches!(message, SimpleQueryMessage::Row(_)))
                .count(),
            2
        );
    });
}

#[test]
fn tokio_postgres_keeps_its_transactions() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE ledger (id int)");
    let gateway = gateway(&postgres);
    block_on(async {
        let mut client = connect(&gateway).await;
        let mut transaction = client.transaction().await.expect("BEGIN");
        transaction
            .execute("INSERT INTO ledger VALUES ($1)", &[&1])
            .await
            .expect("inserted");
        let savepoint = transaction.savepoint("part").await.expect("SAVEPOINT");
        savepoint
            .execute("INSERT INTO ledger VALUES (2)", &[])
            .await
            .expect("inserted");
        let error = savepoint
            .execute("DELETE FROM ledger", &[])
            .await
            .expect_err("a denial");
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        let error = savepoint
            .execute("SELECT 1", &[])
            .await
            .expect_err("a failed transaction");
        assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        savepoint.rollback().await.expect("ROLLBACK TO");
        // A portal that gives its rows in parts.
        let portal = transaction
            .bind("SELECT generate_series(1, 10)", &[])
            .await
            .expect("a portal");
        for want in [4, 4, 2] {
            assert_eq!(
                transaction.query_portal(&portal, 4).await.expect("rows").len(),
                want
            );
        }
        transaction
            .execute("INSERT INTO ledger VALUES (3)", &[])
            .await
            .expect("inserted");
        transaction.commit().await.expect("COMMIT");
    });
    assert_eq!(
        postgres.sql("shop", "SELECT array_agg(id ORDER BY id) FROM ledger"),
        "{1,3}"
    );
}

/// Futures of one client that are polled together are one pipeline on the wire.
#[test]
fn tokio_postgres_pipelines_around_a_denied_statement() {
    let postgres = postgres();
    let gateway = gateway(&postgres);
    block_on(async {
        let client = connect(&gateway).await;
        let (first, denied, last) = tokio::join!(
            client.query_one("SELECT 1", &[]),
            client.query("DELETE FROM victim", &[]),
            client.query_one("SELECT $1::int", &[&3]),
        );
        assert_eq!(first.expect("a row").get::<_, i32>(0), 1);
        assert_eq!(
            denied.expect_err("a denial").code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE)
        );
        assert_eq!(last.expect("a row").get::<_, i32>(0), 3);
        let select = client.prepare("SELECT $1::int").await.expect("prepared");
        for round in 0..20 {
            let below = -round;
            let parameters: [&(dyn ToSql + Sync); 2] = [&round, &below];
            let (a, denied, b) = tokio::join!(
                client.query_one(&select, &parameters[..1]),
                client.simple_query("SELECT 1; DELETE FROM victim; SELECT 2"),
                client.query_one(&select, &parameters[1..]),
            );
            assert_eq!(
                (
                    a.expect("a row").get::<_, i32>(0),
                    b.expect("a row").get::<_, i32>(0)
                ),
                (round, below)
            );
            assert!(denied.is_err());
        }
    });
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM victim"), "10");
}

#[test]
fn tokio_postgres_copies_both_ways() {
    const ROWS: usize = 5000;
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE bulk (id int, email text)");
    let gateway = gateway(&postgres);
    block_on(async {
        let client = connect(&gateway).await;
        let sink = client
            .copy_in::<_, Bytes>("COPY bulk FROM STDIN")
            .await
            .expect("COPY IN");
        let mut sink = pin!(sink);
        for number in 0..ROWS {
            let line = format!("{number}\tuser{number}@example.org\n");
            sink.send(line.into_bytes().into()).await.expect("a row");
        }
        assert_eq!(sink.finish().await.expect("COPY"), ROWS as u64);
        let stream = client.copy_out("COPY bulk TO STDOUT").await.expect("COPY OUT");
        let chunks: Vec<_> = stream.try_collect().await.expect("rows");
        let text: String = chunks
            .iter()
            .map(|chunk: &Bytes| String::from_utf8_lossy(chunk).into_owned())
            .collect();
        assert!(
            text.lines().count() == ROWS && !text.contains("example.org"),
            "{}",
            &text[..100]
        );
        // One that is given up, and one that is denied: the session goes on.
        let sink = client
            .copy_in::<_, Bytes>("COPY bulk FROM STDIN")
            .await
            .expect("COPY IN");
        drop(sink);
        let denied = client
            .copy_out("COPY (DELETE FROM bulk RETURNING id) TO STDOUT")
            .await;
        assert_eq!(
            denied.err().and_then(|error| error.code().cloned()),
            Some(SqlState::INSUFFICIENT_PRIVILEGE)
        );
        let count: i64 = client
            .query_one("SELECT count(*) FROM bulk", &[])
            .await
            .expect("a row")
            .get(0);
        assert_eq!(count, i64::try_from(ROWS).expect("few rows"));
    });
}

#[test]
fn psycopg_pipelines_and_cursors() {
    let postgres = postgres();
    let gateway = gateway(&postgres);
    assert_eq!(gateway.python("pipeline.py", &[]).trim(), "ok");
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM victim"), "10");
}

#[test]
fn asyncpg_lives_under_the_read_only_policy() {
    let postgres = postgres();
    postgres.sql(
        "shop",
        "CREATE TYPE mood_of_day AS ENUM ('sad', 'happy'); CREATE TYPE pair_of_things AS (first int, second text);
         CREATE TABLE moods AS SELECT 'happy'::mood_of_day AS mood, ROW(1, 'x')::pair_of_things AS pair,
           ARRAY['sad', 'happy']::mood_of_day[] AS moods, int4range(1, 5) AS range",
    );
    let gateway = Gateway::start(&postgres, &Settings::read_only());
    assert_eq!(gateway.python("introspect.py", &[]).trim(), "ok");
    let reset = gateway.statements("pg_advisory_unlock_all");
    assert!(
        reset.iter().all(|row| row["decision"] == "allow") && !reset.is_empty(),
        "{reset:?}"
    );
}

#[test]
fn psql_runs_scripts() {
    let postgres = postgres();
    let gateway = gateway(&postgres);
    let output = gateway.psql(&[
        "-c",
        r"\set FETCH_COUNT 100",
        "-c",
        "SELECT id FROM customers ORDER BY id",
    ]);
    assert_eq!(output.stdout.lines().count(), 1000, "{}", output.stderr);
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    script
        .write_all(
            b"BEGIN;\nSELECT 1;\nSELECT 2 AS two \\gset\n\\echo :two\nSELECT 'SELECT 3' \\gexec\nCOMMIT;\n",
        )
        .expect("a script");
    let output = gateway.psql(&["-f", &script.path().display().to_string()]);
    assert_eq!(output.stdout, "1\n2\n3\n", "{}", output.stderr);
    let output = gateway.psql(&[
        "-v",
        "ON_ERROR_STOP=0",
        "-c",
        "DELETE FROM victim",
        "-c",
        "SELECT 7",
    ]);
    assert_eq!(output.stdout, "7\n", "{}", output.stderr);
    let output = gateway.psql(&[
        "-c",
        r"\copy (SELECT email FROM customers WHERE id < 3) TO STDOUT",
    ]);
    assert!(
        output.stdout.lines().count() == 2 && !output.stdout.contains("example.org"),
        "{output:?}"
    );
}
