//! What a cache miss pays policy: 20 policies, a statement of two effects, as an agent's INSERT ... RETURNING has; and the
//! same with 500 policies for other groups, databases and tables and an identity of 200 groups, which may cost three times
//! as much at most.

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

/// The shipped policies of one crew, and those of other crews up to so many.
fn policies(count: usize) -> PolicySet {
    let mut source = CREW.to_owned();
    let crew = PolicySet::parse(CREW, "crew-analytics.cedar").unwrap().len();
    for number in crew..count {
        // By turns of another group and connection, of another database, of another table and of another column.
        let (who, on) = match number % 4 {
            0 => (
                format!("principal in Group::\"crew-{number}\""),
                format!("Connection::\"target-{number}\""),
            ),
            1 => (
                "principal".to_owned(),
                format!("Database::\"orders/shop-{number}\""),
            ),
            2 => (
                "principal".to_owned(),
                format!("Table::\"orders/shop/public.t{number}\""),
            ),
            _ => (
                "principal".to_owned(),
                format!("Column::\"orders/shop/public.t{number}.email\""),
            ),
        };
        writeln!(
            source,
            "@id(\"other-{number}\") permit ({who}, action in [Action::\"Read\", Action::\"Write\"], resource in {on}) \
             when {{ principal.method == \"oidc\" }};"
        )
        .unwrap();
    }
    let policies = PolicySet::parse(&source, "bench.cedar").unwrap();
    assert_eq!(policies.len(), count);
    policies
}

fn benches(criterion: &mut Criterion) {
    let policies = policies(20);
    let identity = Identity::new("https://issuer.example", "agent-7", Method::Oidc).with_groups([
        "crew-analytics",
        "everybody",
        "contractors",
    ]);
    let target = Target::new("orders", "shop").unwrap();
    let who = Principal::new(&identity, target.clone());
    let table = Object::in_schema(ObjectKind::Relation, "public", "customers");
    let mut group = criterion.benchmark_group("policy-20");
    let insert = [
        Effect::new(Action::Insert, table.clone()).on_columns(vec!["email".into(), "name".into()]),
        Effect::new(Action::Read, table.clone()).on_columns(vec!["id".into()]),
    ];
    group.bench_function("allow-2-effects", |bencher| {
        bencher.iter(|| {
            assert!(
                policies
                    .decide(&who, &client(), NOW, black_box(&insert))
                    .is_allow()
            );
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
            );
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
    let mut group = criterion.benchmark_group("policy-500");
    let policies = self::policies(500);
    let groups = (0..197).map(|number| format!("crew-{number}"));
    let groups = groups.chain(["crew-analytics", "everybody", "contractors"].map(str::to_owned));
    let many = Principal::new(&identity.with_groups(groups), target);
    group.bench_function("allow-2-effects", |bencher| {
        bencher.iter(|| {
            assert!(
                policies
                    .decide(&many, &client(), NOW, black_box(&insert))
                    .is_allow()
            );
        });
    });
    group.bench_function("deny-2-effects", |bencher| {
        bencher.iter(|| {
            assert!(
                !policies
                    .decide(&many, &client(), NOW, black_box(&delete))
                    .is_allow()
            );
        });
    });
    group.finish();
}

criterion_group!(decide, benches);
criterion_main!(decide);
