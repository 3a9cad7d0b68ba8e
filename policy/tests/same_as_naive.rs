//! Decisions are what Cedar says when it is asked in the plainest way: every policy each time, every column by itself, and
//! where it is not known what an effect is on, everything that it may be on; entities and context written out as JSON and
//! checked against the schema.

mod naive;

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, Object, ObjectKind};
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{
    Cause, Client, Decision, Moment, PolicySet, Principal, Surroundings, Target, Warning, review,
};

use self::naive::{Naive, Policies, Verdict};

/// The parts of a database that policies and effects of this test speak of.
const SCHEMAS: [&str; 2] = ["public", "App"];
const TABLES: [&str; 3] = ["customers", "orders", "t 1"];
const COLUMNS: [&str; 4] = ["email", "id", "na\"me", "total"];

fn quoted(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn literal(kind: &str, parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| quoted(part)).collect();
    format!("{kind}::{:?}", format!("orders/shop/{}", parts.join(".")))
}

/// Something in the database, as policies write it.
fn place() -> impl Strategy<Value = String> {
    let schema = || select(SCHEMAS.to_vec());
    let table = || (schema(), select(TABLES[..2].to_vec()));
    prop_oneof![
        1 => schema().prop_map(|schema| literal("Schema", &[schema])),
        3 => table().prop_map(|(schema, table)| literal("Table", &[schema, table])),
        4 => (table(), select(COLUMNS[..3].to_vec()))
            .prop_map(|((schema, table), column)| literal("Column", &[schema, table, column])),
        1 => schema().prop_map(|schema| literal("Function", &[schema, "f"])),
        1 => Just(literal("Role", &["app"])),
        1 => Just("Table::\"billing/shop/public.customers\"".to_owned()),
    ]
}

/// A policy that the schema may or may not take.
fn policy() -> impl Strategy<Value = String> {
    let who = select(vec![
        "principal",
        "principal",
        "principal in Group::\"crew\"",
        "principal in Group::\"dba\"",
        "principal == Identity::\"https://i#agent\"",
        "principal == Identity::\"https://i#other\"",
    ]);
    let action = prop_oneof![
        4 => Just("action".to_owned()),
        3 => select(Action::ALL.to_vec()).prop_map(|action| format!("action == Action::\"{action}\"")),
        3 => Just("action in [Action::\"Read\", Action::\"Filter\", Action::\"Copy\"]".to_owned()),
        1 => Just("action == Action::\"Connect\"".to_owned()),
        2 => select(vec!["Write", "Definition", "Destructive", "Administrative"])
            .prop_map(|group| format!("action in Action::\"{group}\"")),
    ];
    let on = prop_oneof![
        4 => Just("resource".to_owned()),
        1 => Just("resource in Connection::\"orders\"".to_owned()),
        1 => Just("resource in Connection::\"billing\"".to_owned()),
        1 => Just("resource in Database::\"orders/shop\"".to_owned()),
        1 => Just("resource in SettingGroup::\"harmless\"".to_owned()),
        1 => Just("resource == Setting::\"work_mem\"".to_owned()),
        1 => select(vec!["Column", "Function", "Role", "Setting"]).prop_map(|kind| format!("resource is {kind}")),
        6 => place().prop_map(|place| format!("resource in {place}")),
        1 => place().prop_map(|place| format!("resource == {place}")),
    ];
    let condition = prop_oneof![
        8 => Just(String::new()),
        3 => place().prop_map(|place| format!("unless {{ resource in {place} }}")),
        2 => (place(), place()).prop_map(|(one, other)| format!("when {{ resource in [{one}, {other}] }}")),
        8 => select(vec![
            "when { context has unfiltered && context.unfiltered }",
            "unless { context has file && (context.file || context.program) }",
            "when { principal.method == \"oidc\" }",
            "when { context has kind && [\"order\", \"group\"].contains(context.kind) }",
            "unless { context has sensitive && (context.sensitive || context.uncertain) }",
            "unless { principal in Group::\"dba\" }",
            "when { 9223372036854775807 + 1 > 0 }",
            "when { context has file && context.file && 9223372036854775807 + 1 > 0 }",
            "when { context.hour < 12 && context.weekday > 1 }",
            "when { context.time < datetime(\"2024-01-01\") }",
            "when { context.client_address.isInRange(ip(\"10.0.0.0/8\")) }",
            "when { context has application_name && context.application_name like \"etl*\" }",
            "when { principal.claims.hasTag(\"team\") && principal.claims.getTag(\"team\") has text && principal.claims.getTag(\"team\").text == \"x\" }",
            "when { principal.claims.hasTag(\"level\") && principal.claims.getTag(\"level\") has number && principal.claims.getTag(\"level\").number > 3 }",
            "when { resource is Column }",
        ]).prop_map(str::to_owned),
        4 => Just("when { context has approved && context.approved }".to_owned()),
        3 => Just("unless { context has approved && context.approved }".to_owned()),
    ];
    let annotation = select(vec![
        "",
        "",
        "@approvers(\"dba\") ",
        "@approvers(\"b,a\") @ttl(\"5m\") ",
        "@max_rows(\"10\") ",
        "@max_rows(\"5\") @max_time(\"1s\") ",
        "@budget(\"5 rows per 1h, 7 rows per 1d, 2 statements per 1s\") ",
        "@budget(\"20 probes per 1h, 9 rows per 1m\") ",
    ]);
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    (effect, annotation, who, action, on, condition).prop_map(
        |(effect, annotation, who, action, on, condition)| {
            format!("{annotation}{effect} ({who}, {action}, {on}) {condition};")
        },
    )
}

fn object() -> impl Strategy<Value = Object> {
    let schema = || select(SCHEMAS.to_vec());
    let relation = (schema(), select(TABLES.to_vec()));
    prop_oneof![
        10 => relation.prop_map(|(schema, table)| Object::in_schema(ObjectKind::Relation, schema, table)),
        1 => Just(Object::in_schema(ObjectKind::Relation, "other", "x")),
        1 => Just(Object::new(ObjectKind::Relation, "customers")),
        1 => Just(Object::new(ObjectKind::Relation, "")),
        1 => Just(Object::in_schema(ObjectKind::Relation, "pg_temp", "customers")),
        1 => Just(Object::in_schema(ObjectKind::Sequence, "public", "orders")),
        1 => schema().prop_map(|schema| Object::in_schema(ObjectKind::Function, schema, "f")),
        1 => Just(Object::new(ObjectKind::Function, "f")),
        1 => schema().prop_map(|schema| Object::new(ObjectKind::Schema, schema)),
        1 => Just(Object::in_schema(ObjectKind::Type, "public", "money")),
        1 => select(vec!["app", "other", ""]).prop_map(|role| Object::new(ObjectKind::Role, role)),
        1 => select(vec![
            ObjectKind::Nothing, ObjectKind::Path, ObjectKind::Extension, ObjectKind::Other, ObjectKind::AdvisoryLock,
        ]).prop_map(|kind| Object::new(kind, "x")),
    ]
}

fn effects() -> impl Strategy<Value = Vec<Effect>> {
    let flags = prop_oneof![
        6 => Just(0_u16),
        1 => Just(EffectFlags::ROWS.bits()),
        2 => 0_u16..128,
        1 => any::<u16>(),
    ];
    let setting = select(vec!["work_mem", "search_path", "app.tenant"]);
    let action = prop_oneof![
        3 => select(vec![Action::Read, Action::Update, Action::Filter, Action::Drop, Action::Opaque]),
        2 => select(Action::ALL.to_vec()),
    ];
    let columns = prop_oneof![2 => Just(Vec::new()), 3 => subsequence(COLUMNS.to_vec(), 1..=4)];
    let effect = (action, flags, setting, any::<bool>(), object(), columns).prop_map(
        |(action, flags, setting, harmless, object, columns)| {
            let object = if action == Action::Set {
                Object::new(ObjectKind::Setting, setting)
            } else {
                object
            };
            let flags = EffectFlags::from_bits(flags);
            let kinds = FilterKind::ALL;
            let kind = kinds[usize::from(flags.bits()) % kinds.len()];
            let harmless = if harmless {
                EffectFlags::HARMLESS
            } else {
                EffectFlags::NONE
            };
            Effect {
                filter: (action == Action::Filter).then_some(kind),
                ..Effect::new(action, object).with(harmless | flags)
            }
            .on_columns(columns.into_iter().map(Into::into).collect())
        },
    );
    // Repeats are what grouping has to get right.
    (prop::collection::vec(effect, 0..4), prop::bool::weighted(0.2)).prop_map(|(mut effects, twice)| {
        if twice {
            effects.extend(effects.clone());
        }
        effects
    })
}

/// The policies that are taken, one a line and with a name each.
fn source(policies: Vec<String>) -> (String, PolicySet) {
    let named = |policies: &[String]| {
        let mut source = String::new();
        for (number, policy) in policies.iter().enumerate() {
            writeln!(source, "@id(\"p-{number}\") {policy}").unwrap();
        }
        source
    };
    let source = named(&policies);
    let errors = match PolicySet::parse(&source, "p.cedar") {
        Ok(set) => return (source, set),
        Err(errors) => errors,
    };
    let refused: BTreeSet<usize> = errors.mistakes().iter().map(|mistake| mistake.line - 1).collect();
    let good = policies
        .into_iter()
        .enumerate()
        .filter(|(number, _)| !refused.contains(number));
    let source = named(&good.map(|(_, policy)| policy).collect::<Vec<_>>());
    let set = PolicySet::parse(&source, "p.cedar").unwrap();
    (source, set)
}

/// One policy set, who asks it and what for.
#[derive(Debug, Clone)]
struct Case {
    policies: Vec<String>,
    /// What the permit of Connect says beside it, where there is one.
    connect: Option<&'static str>,
    groups: Vec<&'static str>,
    connection: &'static str,
    statements: [Vec<Effect>; 1],
    hour: u64,
    address: [u8; 4],
    application_name: Option<&'static str>,
    claims: serde_json::Value,
}

fn case() -> impl Strategy<Value = Case> {
    let session = (
        0_u64..200,
        select(vec![[10, 1, 1, 1], [192, 168, 0, 1]]),
        select(vec![None, Some("etl-7"), Some("psql")]),
        select(vec![
            json!({}),
            json!({"team": "x", "level": 4}),
            json!({"team": ["x"], "level": 3, "a": true, "b": {"c": 1}}),
        ]),
    );
    let asked = (
        prop::collection::vec(policy(), 0..8),
        prop_oneof![
            15 => Just(Some("")),
            2 => Just(Some("@budget(\"60 statements per 1m, 9 rows per 1d\") ")),
            2 => Just(Some("@max_rows(\"7\") @max_time(\"2s\") ")),
            1 => Just(None),
        ],
        subsequence(vec!["crew", "dba", "x"], 0..3),
        prop_oneof![9 => Just("orders"), 1 => Just("billing")],
        effects(),
    );
    (asked, session).prop_map(
        |((policies, connect, groups, connection, effects), (hour, address, application_name, claims))| {
            Case {
                policies,
                connect,
                groups,
                connection,
                statements: [effects],
                hour,
                address,
                application_name,
                claims,
            }
        },
    )
}

fn check(case: Case) -> Result<(), TestCaseError> {
    let connect = case
        .connect
        .map(|says| format!("{says}permit (principal, action == Action::\"Connect\", resource);"));
    let policies = connect.into_iter().chain(case.policies);
    let (source, set) = source(policies.collect());
    let mut identity = Identity::new("https://i", "agent", Method::Oidc).with_groups(case.groups);
    identity.claims.clone_from(case.claims.as_object().unwrap());
    let target = Target::new(case.connection, "shop").unwrap();
    let mut client = Client::new(case.address.into()).with_claims(&identity);
    if let Some(name) = case.application_name {
        client = client.with_application_name(name);
    }
    let unix_ms = 1_703_980_800_000 + case.hour * 3_600_000;
    let principal = Principal::new(&identity, target.clone());
    let policies = Policies::new(&source);
    let mut naive = Naive {
        policies: &policies,
        universe: Vec::new(),
        entities: std::cell::RefCell::default(),
        identity: &identity,
        target: &target,
        unix_ms,
        address: case.address,
        application_name: case.application_name,
    };
    for effects in &case.statements {
        let got = set.decide(&principal, &client, Moment::from_unix_ms(unix_ms), effects);
        match (naive.decide(effects), &got) {
            (
                Verdict::Allow {
                    policies,
                    limits,
                    charges,
                },
                Decision::Allow(permission),
            ) => {
                let named: BTreeSet<_> = permission.policies.iter().map(ToString::to_string).collect();
                prop_assert_eq!(named, policies, "{}", source);
                prop_assert_eq!(permission.limits, limits, "{}", source);
                let told = permission.charges.iter().map(|charge| {
                    let to = charge.to.iter().map(|allowance| allowance.policy.to_string());
                    (charge.measure.name().to_owned(), to.collect())
                });
                let told: Vec<_> = told.collect();
                prop_assert_eq!(told.len(), charges.len(), "{}", source);
                prop_assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), charges, "{}", source);
            }
            (
                Verdict::Deny {
                    cause,
                    policies,
                    required,
                },
                Decision::Deny(denial),
            ) => {
                prop_assert_eq!(denial.cause, cause, "{:?} of\n{}", effects, source);
                match &denial.policy {
                    Some(policy) => {
                        prop_assert!(policies.contains(&**policy), "{policy} is not of {policies:?}");
                    }
                    None => prop_assert!(policies.is_empty(), "{:?}", policies),
                }
                let approval = denial.approval.as_deref().map(|approval| {
                    let lists = approval.required.iter();
                    lists
                        .map(|groups| groups.iter().map(ToString::to_string).collect())
                        .collect()
                });
                prop_assert_eq!(approval, required, "{:?} of\n{}", effects, source);
                prop_assert!(denial.to_string().starts_with("sluice: denied by policy"));
            }
            (want, got) => prop_assert!(false, "{want:?} but {got:?} for {effects:?} of\n{source}"),
        }
        // What is told of a decision is what was decided.
        let explained = set.explain(&principal, &client, Moment::from_unix_ms(unix_ms), effects);
        if explained.first().is_some_and(|connect| connect.cause.is_none()) {
            prop_assert_eq!(
                explained.iter().all(|request| request.cause.is_none()),
                got.is_allow()
            );
            let worst = explained.iter().filter_map(|request| request.cause).max();
            prop_assert_eq!(worst, got.denial().map(|denial| denial.cause));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn decisions_are_those_of_plain_cedar(case in case()) {
        check(case)?;
    }
}

/// Whether a warning says that somebody may connect and set nothing: the policy itself has an effect.
fn is_for_drivers(warning: &Warning) -> bool {
    warning.mistake().message.contains("set what is harmless")
}

/// Whoever connects by a policy that is warned of, and is in no other group, sets nothing that is harmless.
fn check_drivers(
    line: &str,
    warning: &Warning,
    set: &PolicySet,
    now: Moment,
    client: &Client,
) -> Result<(), TestCaseError> {
    let object = Object::new(ObjectKind::Setting, "work_mem");
    let sets = [Effect::new(Action::Set, object).with(EffectFlags::HARMLESS)];
    let alone = PolicySet::parse(line, "p.cedar").unwrap();
    let help = warning.mistake().help.as_deref().unwrap_or_default();
    let named = |kind: &str| {
        let (_, rest) = help.split_once(kind)?;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    };
    let subject = named("Identity::\"https://i#").unwrap_or_else(|| "somebody".to_owned());
    let identity = Identity::new("https://i", &*subject, Method::Oidc).with_groups(named("Group::\""));
    for connection in ["orders", "billing"] {
        let principal = Principal::new(&identity, Target::new(connection, "shop").unwrap());
        if alone.connect(&principal, client, now).is_allow() {
            let decision = set.decide(&principal, client, now, &sets);
            prop_assert!(!decision.is_allow(), "{} on {}", warning, connection);
        }
    }
    Ok(())
}

/// Without a policy that is warned of, or without its budget where the warning is of that, every decision is what it was.
fn check_warnings(case: Case) -> Result<(), TestCaseError> {
    let connect = "permit (principal, action == Action::\"Connect\", resource);".to_owned();
    // Broad ones shadow others.
    let broad = [
        "permit (principal, action, resource);",
        "forbid (principal, action == Action::\"Drop\", resource);",
    ];
    let broad = broad
        .into_iter()
        .filter(|_| case.hour.is_multiple_of(4))
        .map(str::to_owned);
    let policies = [connect].into_iter().chain(case.policies).chain(broad);
    let (source, set) = source(policies.collect());
    let warnings = review(&source, "p.cedar", &Surroundings::default()).expect("it was read before");
    let identity = Identity::new("https://i", "agent", Method::Oidc).with_groups(case.groups);
    let principal = Principal::new(&identity, Target::new(case.connection, "shop").unwrap());
    let client = Client::new(case.address.into()).with_claims(&identity);
    let now = Moment::from_unix_ms(1_703_980_800_000 + case.hour * 3_600_000);
    for warning in &warnings {
        if is_for_drivers(warning) {
            let line = source.lines().nth(warning.mistake().line - 1);
            check_drivers(line.unwrap_or_default(), warning, &set, now, &client)?;
            continue;
        }
        let is_of_budget = ["never counts", "holds nobody"]
            .into_iter()
            .any(|words| warning.to_string().contains(words));
        let without: String = source
            .lines()
            .enumerate()
            .map(|(number, line)| match line.split_once("@budget(") {
                _ if number + 1 != warning.mistake().line => line.to_owned(),
                // The policy may permit what its budget does not count.
                Some((before, rest)) if is_of_budget => {
                    before.to_owned() + rest.split_once(") ").unwrap_or_default().1
                }
                _ => String::new(),
            })
            .fold(String::new(), |text, line| text + &line + "\n");
        let without = PolicySet::parse(&without, "p.cedar").unwrap();
        for effects in &case.statements {
            let before = set.decide(&principal, &client, now, effects);
            // What cannot be evaluated denies, whatever it would add.
            if before
                .denial()
                .is_some_and(|denial| denial.cause == Cause::EvaluationError)
            {
                continue;
            }
            let after = without.decide(&principal, &client, now, effects);
            prop_assert_eq!(
                before.is_allow(),
                after.is_allow(),
                "{} {:?} of\n{}",
                warning,
                effects,
                source
            );
            let told = |decision: &Decision| decision.denial().map(|denial| denial.cause);
            prop_assert_eq!(
                told(&before),
                told(&after),
                "{} {:?} of\n{}",
                warning,
                effects,
                source
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_warned_of_changes_no_decision(case in case()) {
        check_warnings(case)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}", cut in 0..200_usize) {
        let _ = PolicySet::parse(&text, "p.cedar");
        let shipped = include_str!("../../configs/policies/crew-analytics.cedar");
        let cut: String = shipped.chars().take(cut * 10).chain(text.chars()).collect();
        if let Err(errors) = PolicySet::parse(&cut, "p.cedar") {
            prop_assert!(!errors.mistakes().is_empty());
        }
    }
}
