//! What a decision's key costs: the fingerprint of a 100-byte statement and the lookup by it (a hit), and the analysis
//! of statements as applications send them (a miss).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashTable;
use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::neutral::Neutral;
use sluice_parsers::sql::shape::Shape;
use sluice_parsers::sql::world::World;

use self::small::Small;

#[path = "../tests/small/mod.rs"]
mod small;

/// 100 bytes each.
const POINT: &str =
    "SELECT id, name, email, created_at FROM customers WHERE id = 4711 AND country = 'DE' ORDER BY id ASC";
const PREPARED: &str =
    "UPDATE public.accounts SET balance = balance + $1, updated_at = now() WHERE id = $2 AND owner_id = $3";

const JOIN: &str = "SELECT o.id, o.total, o.created_at, c.name, c.email, c.country, c.city, c.phone FROM orders o \
    JOIN customers c ON c.id = o.customer_id WHERE o.total > 100 AND c.country = 'DE'";

const REPORT: &str = "SELECT c.country, date_trunc('month', o.created_at) AS month, count(*), sum(i.quantity * i.price), \
    avg(o.total)::numeric(10,2) FROM orders o JOIN customers c ON c.id = o.customer_id \
    JOIN order_items i ON i.order_id = o.id WHERE o.created_at >= now() - INTERVAL '1 year' AND o.state <> 'void' \
    GROUP BY c.country, month HAVING count(*) > 5 ORDER BY month, 3 DESC LIMIT 100";

struct Entry {
    normalized: Box<[u8]>,
    neutral: Neutral,
    decision: u32,
}

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit");
    for (name, sql) in [("point", POINT), ("prepared", PREPARED)] {
        let mut table = HashTable::with_capacity(100);
        let mut shape = Shape::with_seed(7);
        // Fifty other shapes beside it.
        for other in 0..50 {
            shape
                .scan(format!("SELECT c{other} FROM t WHERE id = 1").as_bytes())
                .unwrap();
            insert(&mut table, &shape, Neutral::none());
        }
        shape.scan(sql.as_bytes()).unwrap();
        insert(
            &mut table,
            &shape,
            analyze(sql, &Limits::default(), &World::built_in(15)).neutral,
        );
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                shape.scan(black_box(sql.as_bytes())).unwrap();
                let entry = table
                    .find(shape.hash(), |entry: &Entry| {
                        *entry.normalized == *shape.normalized()
                    })
                    .unwrap();
                assert!(entry.neutral.covers(shape.literals().len()));
                entry.decision
            });
        });
        group.bench_function(format!("{name}-scan"), |b| {
            b.iter(|| shape.scan(black_box(sql.as_bytes())).unwrap());
        });
    }
}

fn insert(table: &mut HashTable<Entry>, shape: &Shape, neutral: Neutral) {
    let entry = Entry {
        normalized: shape.normalized().into(),
        neutral,
        decision: 1,
    };
    table.insert_unique(shape.hash(), entry, |_| unreachable!("made large enough"));
}

/// Two tables and eight columns.
const TWO_TABLES: &str = "SELECT o.id, o.total, o.note, o.created_at, c.id, c.name, c.country, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = 42 AND c.country = 'DE'";

const STAR: &str = "SELECT * FROM wide WHERE id = 42";

/// The columns of a table of 50.
fn wide_columns() -> String {
    let types = ["text", "int4", "timestamptz", "numeric"];
    let columns = (1..50).map(|number| format!(", column_{number} {}", types[number % types.len()]));
    format!("id int4{}", columns.collect::<String>())
}

fn miss(c: &mut Criterion) {
    let mut small = Small::new(15);
    small.table("wide", &wide_columns());
    small.table(
        "orders",
        "id int4, customer_id int4, total numeric, note text, created_at timestamptz",
    );
    small.table(
        "customers",
        "id int4, name text, ssn text, email text, country text",
    );
    let world = small.world(&[("customers", "ssn"), ("customers", "email")]);
    let mut group = c.benchmark_group("miss");
    for (name, sql) in [
        ("point", POINT),
        ("prepared", PREPARED),
        ("join", JOIN),
        ("report", REPORT),
        ("two-tables", TWO_TABLES),
        ("star-of-50", STAR),
    ] {
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let analysis = analyze(black_box(sql), &Limits::default(), &world);
                assert!(analysis.readable);
                analysis
            });
        });
        group.bench_function(format!("{name}-parse-alone"), |b| {
            b.iter(|| pg_query::parse(black_box(sql), 0).unwrap());
        });
    }
}

criterion_group!(benches, hit, miss);
criterion_main!(benches);
