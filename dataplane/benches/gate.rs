//! A decision from the cache and one by analysis, for the statement that an application sends all day.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluice_dataplane::gate::{Gate, GateLimits, Judgement};
use sluice_parsers::sql::analyze;
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{Client, PolicySet, Principal, Snapshot, Target};

/// A hundred bytes; the number is another one each time.
fn statement(number: u32) -> String {
    format!(
        "SELECT id, name, email FROM customers WHERE region = 'north' AND status = 'open' AND id = {number:010}"
    )
}

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
    let context = gate.context(
        Principal::new(&identity, target),
        Client::new([127, 0, 0, 1].into()),
    );
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

    criterion.bench_function("miss-100-bytes", |bencher| {
        // A new epoch empties the cache.
        bencher.iter_batched(
            || snapshot.replace(PolicySet::read_only()),
            |_| gate.judge(black_box(text()), &[], &context),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
