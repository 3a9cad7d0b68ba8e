//! A decision from the cache and one by analysis, for the statement that an application sends all day.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluice_dataplane::gate::{Database, Gate, GateLimits, Judgement};
use sluice_parsers::sql::analyze;
use sluice_parsers::sql::catalog::file;
use sluice_parsers::sql::catalog::snapshot::Bases;
use sluice_parsers::sql::world::SessionNames;
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{Client, PolicySet, Principal, Snapshot, Target};

/// A hundred bytes; the number is another one each time.
fn statement(number: u32) -> String {
    format!(
        "SELECT id, name, email FROM customers WHERE region = 'north' AND status = 'open' AND id = {number:010}"
    )
}

/// Two tables of eight columns and one of fifty: numbers, and texts.
fn database() -> Database {
    let columns = |names: &[&str]| -> String {
        let column = |(index, name): (usize, &&str)| {
            let type_oid = if name.ends_with("id") { 20 } else { 25 };
            format!(
                r#"{{"number": {}, "name": "{name}", "type_oid": {type_oid}}}"#,
                index + 1
            )
        };
        let columns: Vec<String> = names.iter().enumerate().map(column).collect();
        columns.join(",")
    };
    let many: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let customers = [
        "id", "name", "email", "region", "status", "phone", "street", "city",
    ];
    let orders = [
        "id",
        "customer_id",
        "total",
        "currency",
        "state",
        "placed",
        "sent",
        "note",
    ];
    let table = |oid: u32, name: &str, names: &[&str]| {
        format!(
            r#"{{"oid": {oid}, "schema": 2200, "name": "{name}", "columns": [{}]}}"#,
            columns(names)
        )
    };
    let text = format!(
        r#"{{"sluice_schema": 1, "server": 15, "database": "shop",
            "schemas": [{{"oid": 2200, "name": "public", "owner": 10, "is_usable": true}}],
            "relations": [{}, {}, {}]}}"#,
        table(20_001, "customers", &customers),
        table(20_002, "orders", &orders),
        table(20_003, "wide", &many),
    );
    Database {
        epoch: 1,
        catalog: Arc::new(file::read(&text, &Bases::default()).expect("a schema file")),
        ..Database::default()
    }
}

/// What is analysed: the statement of every day, two tables and eight columns, and a star over fifty. With another name
/// for the result's last column each is a statement that the gate has not seen.
const MISSES: [(&str, Unseen); 3] = [
    ("miss-100-bytes", |number| {
        format!(
            "SELECT id, name, email AS e{number:06} FROM customers WHERE region = 'north' AND status = 'open'"
        )
    }),
    ("miss-two-tables", |number| {
        format!(
            "SELECT c.id, c.name, c.email, c.region, o.id, o.total, o.state, o.placed AS p{number:06} \
             FROM customers c JOIN orders o ON o.customer_id = c.id \
             WHERE c.status = 'open' AND o.state = 'new' ORDER BY o.placed"
        )
    }),
    ("miss-star-of-50", |number| {
        format!("SELECT *, c0 AS c{number:06} FROM wide WHERE c0 = 'x'")
    }),
];

/// A statement of a number.
type Unseen = fn(u32) -> String;

fn decisions(criterion: &mut Criterion) {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    let limits = GateLimits {
        inline_parse_bytes: 4096,
        decisions_max: 16_384,
        analysis: analyze::Limits::default(),
    };
    let mut gate = Gate::new(snapshot.reader(), limits, 7);
    let identity = Identity::new("https://issuer.example", "crew", Method::Oidc);
    let target = Target::new("orders", "shop").expect("a connection's name");
    let nowhere = gate.context(
        Principal::new(&identity, target),
        Client::new([127, 0, 0, 1].into()),
    );
    let names = SessionNames {
        search_path: ["public".into()].into(),
        role_is_login: true,
        ..SessionNames::default()
    };
    let context = gate.context_in(&nowhere, &Arc::new(names), &Arc::new(database()));
    let texts: Vec<String> = (0..1024).map(statement).collect();
    assert_eq!(texts[0].len(), 100);

    let mut next = 0;
    let mut text = || {
        next = (next + 1) % texts.len();
        texts[next].as_bytes()
    };
    criterion.bench_function("hit-100-bytes", |bencher| {
        bencher.iter(|| match gate.judge(black_box(text()), &[], &context) {
            Judgement::Known(verdict) => assert!(verdict.is_plain),
            Judgement::Away(_) => panic!("a short statement is judged on the core"),
        });
    });
    assert!(gate.counts.misses <= 1, "{:?}", gate.counts);

    for (name, unseen) in MISSES {
        let (before, mut asked) = (gate.counts.misses, 0);
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    asked += 1;
                    unseen(asked)
                },
                |sql| match gate.judge(black_box(sql.as_bytes()), &[], &context) {
                    Judgement::Known(verdict) => assert!(verdict.is_plain),
                    Judgement::Away(_) => panic!("a short statement is judged on the core"),
                },
                BatchSize::PerIteration,
            );
        });
        assert_eq!(gate.counts.misses - before, u64::from(asked));
    }
    // A new epoch empties the cache, and what applies to whom is found again.
    criterion.bench_function("reloaded-100-bytes", |bencher| {
        bencher.iter_batched(
            || snapshot.replace(PolicySet::read_only()),
            |_| gate.judge(black_box(text()), &[], &context),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
