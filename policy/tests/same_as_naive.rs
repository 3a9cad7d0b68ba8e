//! Decisions are what Cedar says when it is asked in the plainest way: every effect alone, every policy each
//! time, entities and context written out as JSON and checked against the schema.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{Authorizer, Context, Entities, EntityUid, Request, Schema};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, Object, ObjectKind};
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{Cause, Decision, PolicySet, Principal, SCHEMA, Target};

const FLAGS: [(EffectFlags, &str); 9] = [
    (EffectFlags::UNFILTERED, "unfiltered"),
    (EffectFlags::PROGRAM, "program"),
    (EffectFlags::FILE, "file"),
    (EffectFlags::FOREIGN, "foreign"),
    (EffectFlags::OTHER_USER, "other_user"),
    (EffectFlags::CASCADE, "cascade"),
    (EffectFlags::CATALOG, "catalog"),
    (EffectFlags::UNCERTAIN, "uncertain"),
    (EffectFlags::SENSITIVE, "sensitive"),
];

static SCHEMA_READ: LazyLock<Schema> = LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).unwrap().0);

/// The worst cause and the policies that it comes from; or the policies that permit.
type Naive = Result<BTreeSet<String>, (Cause, BTreeSet<String>)>;

fn ask(
    policies: &cedar_policy::PolicySet,
    identity: &Identity,
    target: &Target,
    action: &str,
    effect: Option<&Effect>,
) -> Naive {
    let schema = &*SCHEMA_READ;
    let uid = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let on = format!("{}/{}", target.connection(), target.database());
    let who = format!("{}#{}", identity.issuer, identity.subject);
    let groups: Vec<_> = identity
        .groups()
        .iter()
        .map(|group| uid("Group", group))
        .collect();
    let attributes =
        json!({"issuer": identity.issuer, "subject": identity.subject, "method": identity.method.name()});
    let mut entities = vec![
        json!({"uid": uid("Identity", &who), "attrs": attributes, "parents": groups}),
        json!({"uid": uid("Connection", target.connection()), "attrs": {}, "parents": []}),
        json!({"uid": uid("Database", &on), "attrs": {"name": target.database()}, "parents": [uid("Connection", target.connection())]}),
    ];
    let mut resource = uid("Database", &on);
    let mut context = json!({});
    if let Some(effect) = effect {
        for (flag, name) in FLAGS {
            context[name] = effect.flags.contains(flag).into();
        }
        if effect.action == Action::Filter {
            context["kind"] = effect.filter.unwrap_or(FilterKind::Other).name().into();
        }
        if effect.action == Action::Set {
            resource = uid("Setting", &effect.object.name);
            let mut parents = vec![uid("Database", &on)];
            if effect.flags.contains(EffectFlags::HARMLESS) {
                parents.push(uid("SettingGroup", "harmless"));
            }
            entities.push(json!({"uid": resource, "attrs": {}, "parents": parents}));
        }
    }
    let entities = Entities::from_json_value(entities.into(), Some(schema)).unwrap();
    let action = EntityUid::from_json(uid("Action", action)).unwrap();
    let context = Context::from_json_value(context, Some((schema, &action))).unwrap();
    let request = Request::new(
        EntityUid::from_json(uid("Identity", &who)).unwrap(),
        action,
        EntityUid::from_json(resource).unwrap(),
        context,
        Some(schema),
    )
    .unwrap();
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    let name = |id: &cedar_policy::PolicyId| {
        policies
            .annotation(id, "id")
            .map_or_else(|| id.to_string(), str::to_owned)
    };
    let failed: BTreeSet<_> = response
        .diagnostics()
        .errors()
        .map(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            name(error.policy_id())
        })
        .collect();
    let reasons: BTreeSet<_> = response.diagnostics().reason().map(name).collect();
    match response.decision() {
        _ if !failed.is_empty() => Err((Cause::EvaluationError, failed)),
        cedar_policy::Decision::Allow => Ok(reasons),
        cedar_policy::Decision::Deny if reasons.is_empty() => Err((Cause::NoPermit, reasons)),
        cedar_policy::Decision::Deny => Err((Cause::Forbid, reasons)),
    }
}

fn decide(source: &str, identity: &Identity, target: &Target, effects: &[Effect]) -> Naive {
    let policies = cedar_policy::PolicySet::from_str(source).unwrap();
    let mut permits = ask(&policies, identity, target, "Connect", None)?;
    if !effects.is_empty() {
        permits.clear();
    }
    let mut worst: Option<(Cause, BTreeSet<String>)> = None;
    for effect in effects {
        let answer = if effect.flags.contains(EffectFlags::LEXING) {
            Err((Cause::Lexing, BTreeSet::new()))
        } else {
            ask(&policies, identity, target, effect.action.name(), Some(effect))
        };
        match (answer, &mut worst) {
            (Ok(more), _) => permits.extend(more),
            (Err((cause, policies)), Some((worst, by))) if *worst == cause => by.extend(policies),
            (Err(denial), worst) if worst.as_ref().is_none_or(|(cause, _)| *cause < denial.0) => {
                *worst = Some(denial);
            }
            (Err(_), _) => {}
        }
    }
    worst.map_or(Ok(permits), Err)
}

/// A policy that the schema may or may not take.
fn policy() -> impl Strategy<Value = String> {
    let who = select(vec![
        "principal",
        "principal in Group::\"crew\"",
        "principal in Group::\"dba\"",
        "principal == Identity::\"https://i#agent\"",
        "principal == Identity::\"https://i#other\"",
    ]);
    let action = prop_oneof![
        3 => Just("action".to_owned()),
        3 => select(Action::ALL.to_vec()).prop_map(|action| format!("action == Action::\"{action}\"")),
        1 => Just("action == Action::\"Connect\"".to_owned()),
        2 => select(vec!["Write", "Definition", "Destructive", "Administrative"]).prop_map(|group| format!("action in Action::\"{group}\"")),
        2 => subsequence(Action::ALL.to_vec(), 1..5).prop_map(|actions| {
            let names: Vec<_> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
            format!("action in [Action::\"Connect\", {}]", names.join(", "))
        }),
        1 => Just("action in [Action::\"Write\", Action::\"Read\", Action::\"Set\"]".to_owned()),
    ];
    let on = select(vec![
        "resource",
        "resource in Connection::\"orders\"",
        "resource in Connection::\"billing\"",
        "resource == Database::\"orders/shop\"",
        "resource in Database::\"orders/shop\"",
        "resource in SettingGroup::\"harmless\"",
        "resource == Setting::\"work_mem\"",
        "resource is Database",
    ]);
    let condition = select(vec![
        "",
        "",
        "",
        "when { context has unfiltered && context.unfiltered }",
        "unless { context has file && (context.file || context.program) }",
        "when { context has cascade && (context.cascade || context.catalog || context.foreign || context.other_user) }",
        "when { principal.method == \"oidc\" }",
        "when { context has kind && [\"order\", \"group\"].contains(context.kind) }",
        "unless { context has sensitive && (context.sensitive || context.uncertain) }",
        "unless { principal in Group::\"dba\" }",
        "when { 9223372036854775807 + 1 > 0 }",
        "when { context has file && context.file && 9223372036854775807 + 1 > 0 }",
        "when { resource in Connection::\"orders\" }",
    ]);
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    (effect, who, action, on, condition).prop_map(|(effect, who, action, on, condition)| {
        format!("{effect} ({who}, {action}, {on}) {condition};")
    })
}

fn effects() -> impl Strategy<Value = Vec<Effect>> {
    let flags = prop_oneof![3 => Just(0_u16), 2 => 0_u16..128, 1 => any::<u16>()];
    let setting = select(vec!["work_mem", "search_path", "app.tenant"]);
    let effect = (select(Action::ALL.to_vec()), flags, setting, any::<bool>()).prop_map(
        |(action, flags, setting, harmless)| {
            let object = if action == Action::Set {
                Object::new(ObjectKind::Setting, setting)
            } else {
                Object::new(ObjectKind::Relation, "t")
            };
            let flags = EffectFlags::from_bits(flags);
            let kinds = FilterKind::ALL;
            let kind = kinds[usize::from(flags.bits()) % kinds.len()];
            Effect {
                filter: (action == Action::Filter).then_some(kind),
                ..Effect::new(action, object).with(if harmless {
                    EffectFlags::HARMLESS | flags
                } else {
                    flags
                })
            }
        },
    );
    // Repeats are what grouping has to get right.
    (prop::collection::vec(effect, 0..5), any::<bool>()).prop_map(|(mut effects, twice)| {
        if twice {
            effects.extend(effects.clone());
        }
        effects
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn decisions_are_those_of_plain_cedar(
        policies in prop::collection::vec(policy(), 0..12),
        connects in prop::bool::weighted(0.9),
        groups in subsequence(vec!["crew", "dba", "x"], 0..3),
        connection in select(vec!["orders", "billing"]),
        effects in effects(),
    ) {
        let mut source = String::new();
        let mut number = 0;
        let connect = connects.then(|| "permit (principal, action == Action::\"Connect\", resource);".to_owned());
        for policy in connect.into_iter().chain(policies) {
            if PolicySet::parse(&policy, "p.cedar").is_ok() {
                number += 1;
                writeln!(source, "@id(\"p-{number}\") {policy}").unwrap();
            }
        }
        let identity = Identity::new("https://i", "agent", Method::Oidc).with_groups(groups);
        let target = Target::new(connection, "shop").unwrap();
        let principal = Principal::new(&identity, target.clone());
        let set = PolicySet::parse(&source, "p.cedar").unwrap();
        let got = set.decide(&principal, &effects);
        match (decide(&source, &identity, &target, &effects), &got) {
            (Ok(want), Decision::Allow { policies }) => {
                let named: BTreeSet<_> = policies.iter().map(ToString::to_string).collect();
                prop_assert_eq!(named, want);
            }
            (Err((cause, by)), Decision::Deny(denial)) => {
                prop_assert_eq!(denial.cause, cause);
                match &denial.policy {
                    Some(policy) => prop_assert!(by.contains(&**policy), "{policy} is not of {by:?}"),
                    None => prop_assert!(by.is_empty(), "{:?}", by),
                }
                prop_assert!(denial.to_string().starts_with("sluice: denied by policy"));
            }
            (want, got) => prop_assert!(false, "{want:?} but {got:?} of\n{source}"),
        }
    }

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
