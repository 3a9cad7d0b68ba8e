//! What a cache miss pays policy: 20 policies, a statement of two effects, as an agent's INSERT ... RETURNING has.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use sluice_policy::identity::{GROUPS_MAX, Identity, Method};
use sluice_policy::{Client, Moment, PolicySet, Principal, Target};

const CREW: &str = include_str!("../../configs/policies/crew-analytics.cedar");

const NOW: Moment = Moment::from_unix_ms(1_700_000_000_000);

fn client() -> Client {
    Client::new([127, 0, 0, 1].into())
}

/// The shipped policies of one crew, and those of other crews up to 20.
fn policies() -> PolicySet {
    let mut source = CREW.to_owned();
    let crew = PolicySet::parse(CREW, "crew-analytics.cedar").unwrap().len();
    for number in crew..20 {
        write!(
            source,
            "@id(\"other-{number}\") permit (principal in Group::\"crew-{number}\", \
             action in [Action::\"Connect\", Action::\"Read\", Action::\"Write\"], \
             resource in Connection::\"target-{number}\") when {{ principal.method == \"oidc\" }};"
        )
        .unwrap();
    }
    let policies = PolicySet::parse(&source, "bench.cedar").unwrap();
    assert_eq!(policies.len(), 20);
    policies
}

fn benches(criterion: &mut Criterion) {
    let policies = policies();
    let identity = Identity::new("https://issuer.example", "agent-7", Method::Oidc).with_groups([
        "crew-analytics",
        "everybody",
        "contractors",
    ]);
    let target = Target::new("orders", "shop").unwrap();
    let who = Principal::new(&identity, target.clone());
    let table = Object::new(ObjectKind::Relation, "customers");
    let mut group = criterion.benchmark_group("policy-20");
    let insert = [
        Effect::new(Action::Insert, table.clone()),
        Effect::new(Action::Read, table.clone()),
    ];
    group.bench_function("allow-2-effects", |bencher| {
        bencher.iter(|| {
            assert!(
                policies
                    .decide(&who, &client(), NOW, black_box(&insert))
                    .is_allow()
            )
        });
    });
    let delete = [
        Effect::new(Action::Delete, table.clone()).with(EffectFlags::UNFILTERED),
        Effect::new(Action::Read, table),
    ];
    group.bench_function("deny-2-effects", |bencher| {
        bencher.iter(|| {
            assert!(
                !policies
                    .decide(&who, &client(), NOW, black_box(&delete))
                    .is_allow()
            )
        });
    });
    let set = [
        Effect::new(Action::Set, Object::new(ObjectKind::Setting, "work_mem")).with(EffectFlags::HARMLESS),
    ];
    group.bench_function("allow-set", |bencher| {
        bencher.iter(|| assert!(policies.decide(&who, &client(), NOW, black_box(&set)).is_allow()));
    });
    group.bench_function("principal", |bencher| {
        bencher.iter(|| Principal::new(black_box(&identity), target.clone()));
    });
    let many = identity
        .clone()
        .with_groups((0..GROUPS_MAX).map(|number| format!("group-{number}")));
    group.bench_function("principal-256-groups", |bencher| {
        bencher.iter(|| Principal::new(black_box(&many), target.clone()));
    });
    group.finish();
}

criterion_group!(decide, benches);
criterion_main!(decide);
