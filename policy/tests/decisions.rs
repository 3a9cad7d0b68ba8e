//! What shipped and written policies decide.

use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, Object, ObjectKind};
use sluice_policy::identity::{Identity, LOCAL_ISSUER, Method};
use sluice_policy::{Cause, Client, Decision, Moment, PolicySet, Principal, Target};

const CREW: &str = include_str!("../../configs/policies/crew-analytics.cedar");

const NOW: Moment = Moment::from_unix_ms(1_700_000_000_000);

fn client() -> Client {
    Client::new([127, 0, 0, 1].into())
}

fn principal(groups: &[&str], connection: &str, database: &str) -> Principal {
    let identity =
        Identity::new("https://issuer.example", "agent-7", Method::Oidc).with_groups(groups.iter().copied());
    Principal::new(&identity, Target::new(connection, database).unwrap())
}

fn effect(action: Action, flags: EffectFlags) -> Effect {
    let object = match action {
        Action::Set => Object::new(ObjectKind::Setting, "work_mem"),
        Action::Opaque => Object::new(ObjectKind::Function, "pg_read_file"),
        _ => Object::new(ObjectKind::Relation, "customers"),
    };
    Effect::new(action, object).with(flags)
}

/// The message of a denial, or `allow` and the policies that permit.
fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Allow(permission) => format!("allow {}", permission.policies.join(" ")),
        Decision::Deny(denial) => denial.to_string(),
    }
}

const NONE: EffectFlags = EffectFlags::NONE;

#[test]
fn shipped_policies_decide_as_they_say() {
    let crew = PolicySet::parse(CREW, "crew-analytics.cedar").unwrap();
    let read_only = PolicySet::read_only();
    let agent = principal(&["crew-analytics"], "orders", "shop");
    let reviewer = principal(&["crew-analytics", "crew-analytics-reviewers"], "orders", "shop");
    let elsewhere = principal(&["crew-analytics"], "billing", "shop");
    let nobody = principal(&[], "orders", "shop");
    for (name, policy, who, effects, want) in [
        (
            "crew connects",
            &crew,
            &agent,
            &[][..],
            "allow crew-connect-and-read",
        ),
        (
            "crew reads",
            &crew,
            &agent,
            &[(Action::Read, NONE)],
            "allow crew-connect-and-read",
        ),
        (
            "crew adds",
            &crew,
            &agent,
            &[(Action::Insert, NONE), (Action::Read, NONE)],
            "allow crew-add-and-correct crew-connect-and-read",
        ),
        (
            "crew may not elsewhere",
            &crew,
            &elsewhere,
            &[(Action::Read, NONE)],
            "sluice: denied by policy: nothing permits CONNECT on billing/shop",
        ),
        (
            "nobody may not connect",
            &crew,
            &nobody,
            &[],
            "sluice: denied by policy: nothing permits CONNECT on orders/shop",
        ),
        (
            "crew does not drop",
            &crew,
            &agent,
            &[(Action::Drop, NONE)],
            "sluice: denied by policy \"no-drop\": schemas are changed by migrations, not by agents",
        ),
        (
            "crew does not delete",
            &crew,
            &agent,
            &[(Action::Delete, NONE)],
            "sluice: denied by policy: nothing permits DELETE on orders/shop",
        ),
        (
            "reviewers delete",
            &crew,
            &reviewer,
            &[(Action::Delete, NONE)],
            "allow crew-remove",
        ),
        (
            "reviewers filter",
            &crew,
            &reviewer,
            &[(Action::Read, NONE), (Action::Delete, EffectFlags::UNFILTERED)],
            "sluice: denied by policy \"no-unfiltered-delete\": a DELETE needs a WHERE that filters",
        ),
        (
            "a forbid says more than a missing permit",
            &crew,
            &agent,
            &[(Action::Notify, NONE), (Action::Drop, NONE)],
            "sluice: denied by policy \"no-drop\": schemas are changed by migrations, not by agents",
        ),
        (
            "no programs",
            &crew,
            &agent,
            &[(Action::Copy, EffectFlags::PROGRAM)],
            "sluice: denied by policy \"no-server-side\": files, programs and other servers are out of reach for agents",
        ),
        (
            "harmless settings",
            &crew,
            &agent,
            &[(Action::Set, EffectFlags::HARMLESS)],
            "allow crew-settings",
        ),
        (
            "other settings",
            &crew,
            &agent,
            &[(Action::Set, NONE)],
            "sluice: denied by policy: nothing permits SET (setting work_mem) on orders/shop",
        ),
        (
            "unknown functions",
            &crew,
            &agent,
            &[(Action::Opaque, NONE)],
            "sluice: denied by policy \"no-opaque\": the statement cannot be analysed; use plain SQL and built-in functions",
        ),
        (
            "anybody reads",
            &read_only,
            &nobody,
            &[(Action::Read, EffectFlags::CATALOG)],
            "allow read-only-read",
        ),
        (
            "copy out",
            &read_only,
            &nobody,
            &[(Action::Read, NONE), (Action::Copy, NONE)],
            "allow read-only-read read-only-copy-out",
        ),
        (
            "copy to a file",
            &read_only,
            &nobody,
            &[(Action::Read, NONE), (Action::Copy, EffectFlags::FILE)],
            "sluice: denied by policy: nothing permits COPY on orders/shop",
        ),
        (
            "read of a file",
            &read_only,
            &nobody,
            &[(Action::Read, EffectFlags::FILE)],
            "sluice: denied by policy: nothing permits READ on orders/shop",
        ),
        (
            "unknown functions under read-only",
            &read_only,
            &nobody,
            &[(Action::Opaque, NONE)],
            "sluice: denied by policy: nothing permits OPAQUE (function pg_read_file) on orders/shop",
        ),
    ] {
        let effects: Vec<_> = effects
            .iter()
            .map(|(action, flags)| effect(*action, *flags))
            .collect();
        assert_eq!(
            shown(&policy.decide(who, &client(), NOW, &effects)),
            want,
            "{name}"
        );
    }
}

#[test]
fn read_only_permits_nothing_that_changes() {
    let read_only = PolicySet::read_only();
    let who = principal(&["crew-analytics"], "orders", "shop");
    for action in Action::ALL {
        let permitted = matches!(action, Action::Read | Action::Copy);
        assert_eq!(
            read_only
                .decide(&who, &client(), NOW, &[effect(action, NONE)])
                .is_allow(),
            permitted,
            "{action}"
        );
    }
}

#[test]
fn t15_read_only_permits_filters_that_give_no_value_away_and_few_look_ups() {
    let read_only = PolicySet::read_only();
    let who = principal(&["crew-analytics"], "orders", "shop");
    for kind in FilterKind::ALL {
        let filter = Effect {
            filter: Some(kind),
            ..effect(Action::Filter, NONE)
        };
        let want = match kind {
            FilterKind::Order | FilterKind::Group | FilterKind::Join => Some(vec![]),
            FilterKind::Equality => Some(vec!["20 probes per 1h by \"read-only-look-up\"".to_owned()]),
            _ => None,
        };
        let charges = match read_only.decide(&who, &client(), NOW, &[filter]) {
            Decision::Allow(permission) => Some(
                permission
                    .charges
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            ),
            Decision::Deny(_) => None,
        };
        assert_eq!(charges, want, "{}", kind.name());
    }
}

#[test]
fn t16_read_only_tells_metadata_from_what_is_sensitive() {
    let read_only = PolicySet::read_only();
    let who = principal(&["crew-analytics"], "orders", "shop");
    for (flags, permitted) in [
        (EffectFlags::CATALOG, true),
        (EffectFlags::CATALOG | EffectFlags::SENSITIVE, false),
        (EffectFlags::UNCERTAIN, true),
    ] {
        let effects = [effect(Action::Read, flags)];
        assert_eq!(
            read_only.decide(&who, &client(), NOW, &effects).is_allow(),
            permitted,
            "{flags}"
        );
    }
}

#[test]
fn allow_all_permits_everything_and_nothing_else_permits_lexing() {
    let all = PolicySet::allow_all();
    let permit_all = PolicySet::parse("permit (principal, action, resource);", "p.cedar").unwrap();
    let nothing = PolicySet::parse("", "p.cedar").unwrap();
    assert!(all.is_allow_all() && !permit_all.is_allow_all() && !nothing.is_allow_all());
    let who = principal(&[], "orders", "shop");
    for action in Action::ALL {
        let every = EffectFlags::from_bits(u16::MAX);
        let lexing = [effect(action, every)];
        assert!(all.decide(&who, &client(), NOW, &lexing).is_allow(), "{action}");
        assert_eq!(
            permit_all
                .decide(&who, &client(), NOW, &lexing)
                .denial()
                .map(|denial| denial.cause),
            Some(Cause::Lexing),
            "{action}"
        );
        assert!(
            permit_all
                .decide(&who, &client(), NOW, &[effect(action, NONE)])
                .is_allow(),
            "{action}"
        );
        assert!(
            !nothing
                .decide(&who, &client(), NOW, &[effect(action, NONE)])
                .is_allow(),
            "{action}"
        );
    }
    assert!(
        all.connect(&who, &client(), NOW).is_allow()
            && permit_all.connect(&who, &client(), NOW).is_allow()
            && !nothing.connect(&who, &client(), NOW).is_allow()
    );
    assert!(
        shown(&permit_all.decide(&who, &client(), NOW, &[effect(Action::Set, EffectFlags::LEXING)]))
            .starts_with("sluice: denied by policy")
    );
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_and_is_named() {
    const OVERFLOW: &str = "(9223372036854775807 + 1 > 0)";
    let permit = "@id(\"permit\") permit (principal, action, resource);";
    let who = principal(&[], "orders", "shop");
    for (name, effect_of_policy, action, denied) in [
        ("a forbid", "forbid", "Delete", true),
        ("a permit beside one that permits", "permit", "Delete", true),
        ("of another action", "forbid", "Insert", false),
    ] {
        let source = format!(
            "{permit} @id(\"sum\") @message(\"m\") {effect_of_policy} (principal, action == Action::\"{action}\", resource) when {{ {OVERFLOW} }};"
        );
        let policy = PolicySet::parse(&source, "p.cedar").unwrap();
        let decision = policy.decide(&who, &client(), NOW, &[effect(Action::Delete, NONE)]);
        assert_eq!(!decision.is_allow(), denied, "{name}");
        if let Some(denial) = decision.denial() {
            assert_eq!(
                (denial.cause, denial.policy.as_deref()),
                (Cause::EvaluationError, Some("sum")),
                "{name}"
            );
            assert!(
                denial
                    .error
                    .as_ref()
                    .is_some_and(|error| error.contains("overflow")),
                "{name}: {denial:?}"
            );
            assert_eq!(
                denial.to_string(),
                "sluice: denied by policy \"sum\": it cannot be evaluated for DELETE on orders/shop",
                "{name}"
            );
        }
    }
}

#[test]
fn policies_without_id_are_numbered_and_connect_is_asked_every_time() {
    let source = "permit (principal, action == Action::\"Read\", resource);\nforbid (principal, action == Action::\"Drop\", resource);\npermit (principal, action == Action::\"Connect\", resource) when { principal.method == \"scram\" };";
    let policy = PolicySet::parse(source, "p.cedar").unwrap();
    let local = Principal::new(
        &Identity::new(LOCAL_ISSUER, "ops", Method::Scram),
        Target::new("orders", "shop").unwrap(),
    );
    assert_eq!(
        shown(&policy.decide(&local, &client(), NOW, &[effect(Action::Read, NONE)])),
        "allow policy0"
    );
    assert_eq!(
        shown(&policy.decide(&local, &client(), NOW, &[effect(Action::Drop, NONE)])),
        "sluice: denied by policy \"policy1\": it forbids DROP on orders/shop"
    );
    let agent = principal(&[], "orders", "shop");
    assert_eq!(
        shown(&policy.decide(&agent, &client(), NOW, &[effect(Action::Read, NONE)])),
        "sluice: denied by policy: nothing permits CONNECT on orders/shop"
    );
    assert_eq!(
        policy
            .connect(&agent, &client(), NOW)
            .denial()
            .and_then(|denial| denial.effect),
        None
    );
}

#[test]
fn scopes_name_identities_databases_and_settings() {
    let connect = "permit (principal, action == Action::\"Connect\", resource);";
    let identity = "Identity::\"https://issuer.example#agent-7\"";
    let who = principal(&["crew"], "orders", "shop");
    let custom = Effect::new(Action::Set, Object::new(ObjectKind::Setting, "app.tenant"));
    for (name, policy, effect, permitted) in [
        ("identity", format!("permit (principal == {identity}, action == Action::\"Read\", resource);"), effect(Action::Read, NONE), true),
        ("other identity", "permit (principal == Identity::\"local#agent-7\", action == Action::\"Read\", resource);".into(), effect(Action::Read, NONE), false),
        ("database", "permit (principal, action == Action::\"Read\", resource in Database::\"orders/shop\");".into(), effect(Action::Read, NONE), true),
        ("other database", "permit (principal, action == Action::\"Read\", resource in Database::\"orders/shop2\");".into(), effect(Action::Read, NONE), false),
        ("same database elsewhere", "permit (principal, action == Action::\"Read\", resource in Database::\"billing/shop\");".into(), effect(Action::Read, NONE), false),
        ("setting", "permit (principal, action == Action::\"Set\", resource == Setting::\"app.tenant\");".into(), custom.clone(), true),
        ("other setting", "permit (principal, action == Action::\"Set\", resource == Setting::\"app.tenant2\");".into(), custom.clone(), false),
        ("settings of a connection", "permit (principal, action == Action::\"Set\", resource in Connection::\"orders\");".into(), custom.clone(), true),
        (
            "forbidden on a connection",
            "permit (principal, action, resource); forbid (principal, action == Action::\"Set\", resource in Connection::\"orders\");".into(),
            custom.clone(),
            false,
        ),
        ("not harmless", "permit (principal, action == Action::\"Set\", resource in SettingGroup::\"harmless\");".into(), custom.clone(), false),
        ("harmless", "permit (principal, action == Action::\"Set\", resource in SettingGroup::\"harmless\");".into(), custom.with(EffectFlags::HARMLESS), true),
        ("attribute", "permit (principal, action == Action::\"Read\", resource) when { principal.issuer == \"https://issuer.example\" && resource in Connection::\"orders\" };".into(), effect(Action::Read, NONE), true),
    ] {
        let policy = PolicySet::parse(&format!("{connect}\n{policy}"), "p.cedar").unwrap_or_else(|errors| panic!("{name}: {:?}", errors.mistakes()));
        let decision = policy.decide(&who, &client(), NOW, &[effect]);
        assert_eq!(decision.is_allow(), permitted, "{name}: {}", shown(&decision));
    }
}

#[test]
fn repeated_effects_are_asked_once() {
    let crew = PolicySet::parse(CREW, "crew-analytics.cedar").unwrap();
    let who = principal(&["crew-analytics"], "orders", "shop");
    let mut effects = vec![effect(Action::Read, NONE); 100_000];
    assert_eq!(
        shown(&crew.decide(&who, &client(), NOW, &effects)),
        "allow crew-connect-and-read"
    );
    effects.push(effect(Action::Drop, NONE));
    let decision = crew.decide(&who, &client(), NOW, &effects);
    assert_eq!(
        decision.denial().and_then(|denial| denial.effect),
        Some(100_000),
        "the last one counts as well"
    );
}
