//! One server for all tests that do not need one of their own; it ends with the last test that uses it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use sluice_tests::{Gateway, Postgres, Settings};

/// The rows of `customers`.
pub(crate) const CUSTOMERS: u32 = 1000;

static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

/// A server with table `customers (id, name, email, card, ssn)` and table `victim (id)` of ten rows.
pub(crate) fn postgres() -> Arc<Postgres> {
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(postgres) = shared.upgrade() {
        return postgres;
    }
    let postgres = Arc::new(Postgres::start(&[]));
    fill(&postgres);
    *shared = Arc::downgrade(&postgres);
    postgres
}

pub(crate) fn fill(postgres: &Postgres) {
    postgres.sql(
        "shop",
        &format!(
            "CREATE TABLE customers (id int PRIMARY KEY, name text, email varchar(80), card text, ssn text);
             INSERT INTO customers SELECT i, 'Name ' || i, 'user' || i || '@example.org', '4111111111111111', '078-05-1120'
               FROM generate_series(1, {CUSTOMERS}) i;
             CREATE TABLE victim (id int); INSERT INTO victim SELECT generate_series(1, 10)"
        ),
    );
}

/// Permits everything but DELETE and what cannot be analysed.
pub(crate) const NO_DELETE: &str = r#"
@id("all") permit (principal, action, resource);
@id("no-delete") @message("nothing is deleted here") forbid (principal, action == Action::"Delete", resource);
@id("no-opaque") forbid (principal, action == Action::"Opaque", resource);
"#;

/// A gateway with [`NO_DELETE`] and without TLS.
pub(crate) fn gateway_without_delete(postgres: &Postgres) -> Gateway {
    let settings = Settings {
        policy: Some(NO_DELETE.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    Gateway::start(postgres, &settings)
}

/// Whether a statement with this text runs on the server.
pub(crate) fn is_running(postgres: &Postgres, text: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' AND query LIKE '%{text}%'"
    );
    postgres.sql("postgres", &sql) != "0"
}
