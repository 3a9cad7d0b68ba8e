//! What policies say of tables, columns, functions and roles, of the time and the client, and of approvals and limits.

use std::fmt::Write;
use std::time::Duration;

use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{Cause, Client, Decision, Moment, Opinion, PolicySet, Principal, Severity, Target, Word};

/// A Tuesday at 22:13 UTC.
const NOW: Moment = Moment::from_unix_ms(1_700_000_000_000);
const CONNECT: &str = "@id(\"connect\") permit (principal, action == Action::\"Connect\", resource);";

fn identity() -> Identity {
    Identity::new("https://issuer.example", "agent-7", Method::Oidc).with_groups(["crew"])
}

fn principal() -> Principal {
    Principal::new(&identity(), Target::new("orders", "shop").unwrap())
}

fn client() -> Client {
    Client::new([10, 1, 2, 3].into())
}

fn parse(policies: &str) -> PolicySet {
    PolicySet::parse(&format!("{CONNECT}\n{policies}"), "p.cedar")
        .unwrap_or_else(|errors| panic!("{policies}: {:?}", errors.mistakes()))
}

fn on_table(action: Action, table: &str, columns: &[&str]) -> Effect {
    let (schema, name) = table.split_once('.').unwrap_or(("", table));
    let columns = columns.iter().map(|column| (*column).into()).collect();
    Effect::new(action, Object::in_schema(ObjectKind::Relation, schema, name)).on_columns(columns)
}

fn decide(policies: &PolicySet, effect: Effect) -> Decision {
    policies.decide(&principal(), &client(), NOW, &[effect])
}

fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Allow(permission) => format!("allow {}", permission.policies.join(" ")),
        Decision::Deny(denial) => denial.to_string().replace("sluice: denied by policy", "deny"),
    }
}

/// Everybody reads all of `public` but e-mail addresses and salaries.
const HIDING: &str = r#"
@id("read") permit (principal, action == Action::"Read", resource in Schema::"orders/shop/public");
@id("no-email") forbid (principal, action in [Action::"Read", Action::"Copy"], resource == Column::"orders/shop/public.customers.email");
@id("no-salaries") @message("ask the owner") forbid (principal, action, resource in Table::"orders/shop/public.salaries");
"#;

#[test]
fn columns_are_asked_about_by_themselves_and_what_is_not_known_fails_closed() {
    let hiding = parse(HIDING);
    let reads = |table: &str, columns: &[&str]| on_table(Action::Read, table, columns);
    for (name, effect, want) in [
        (
            "other columns",
            reads("public.customers", &["id", "name"]),
            "allow read",
        ),
        (
            "the column",
            reads("public.customers", &["email", "id"]),
            "deny \"no-email\": it forbids READ on orders/shop/public.customers.email",
        ),
        (
            "the whole table",
            reads("public.customers", &[]),
            "deny \"no-email\": it forbids READ on orders/shop/public.customers",
        ),
        (
            "its rows",
            reads("public.customers", &[]).with(EffectFlags::ROWS),
            "allow read",
        ),
        (
            "the whole of it, copied",
            on_table(Action::Copy, "public.customers", &[]).with(EffectFlags::ROWS),
            "deny \"no-email\": it forbids COPY on orders/shop/public.customers",
        ),
        (
            "a column, whatever the flag",
            reads("public.customers", &["email"]).with(EffectFlags::ROWS),
            "deny \"no-email\": it forbids READ on orders/shop/public.customers.email",
        ),
        (
            "rows of a hidden table",
            reads("public.salaries", &[]).with(EffectFlags::ROWS),
            "deny \"no-salaries\": ask the owner",
        ),
        (
            "rows of what is not known",
            reads("customers", &[]).with(EffectFlags::ROWS),
            "deny \"no-email\": it forbids READ on orders/shop",
        ),
        (
            "another table's column of that name",
            reads("public.orders", &["email"]),
            "allow read",
        ),
        ("another table", reads("public.orders", &[]), "allow read"),
        (
            "another schema",
            reads("app.orders", &["id", "total"]),
            "deny: nothing permits READ on orders/shop/app.orders.id",
        ),
        (
            "a column of a hidden table",
            reads("public.salaries", &["id"]),
            "deny \"no-salaries\": ask the owner",
        ),
        (
            "a table that is not known",
            reads("orders", &[]),
            "deny \"no-email\": it forbids READ on orders/shop",
        ),
        (
            "a temporary one",
            reads("pg_temp.orders", &["id"]),
            "deny \"no-email\": it forbids READ on orders/shop",
        ),
        (
            "what nothing names, in quotes",
            reads("public.Odd \"name\"", &["x"]),
            "allow read",
        ),
        (
            "what cannot be known at all",
            Effect::new(Action::Opaque, Object::nothing()),
            "deny \"no-salaries\": ask the owner",
        ),
        (
            "what goes with a table",
            on_table(Action::Drop, "public.orders", &[]).with(EffectFlags::CASCADE),
            "deny \"no-salaries\": ask the owner",
        ),
        (
            "the schema that holds it",
            Effect::new(Action::Drop, Object::new(ObjectKind::Schema, "public")),
            "deny \"no-salaries\": ask the owner",
        ),
        (
            "a schema that does not",
            Effect::new(Action::Drop, Object::new(ObjectKind::Schema, "app")),
            "deny: nothing permits DROP on orders/shop/app",
        ),
        (
            "a name of three parts is none of two",
            reads("public.customers.email", &[]),
            "allow read",
        ),
    ] {
        assert_eq!(shown(&decide(&hiding, effect)), want, "{name}");
    }
}

#[test]
fn permits_name_tables_columns_functions_and_roles() {
    let policies = parse(
        r#"
@id("two") permit (principal, action == Action::"Read", resource)
when { resource in [Column::"orders/shop/public.customers.id", Column::"orders/shop/public.customers.name"] };
@id("all-but") permit (principal, action == Action::"Update", resource in Table::"orders/shop/public.customers")
unless { resource in Column::"orders/shop/public.customers.id" };
@id("search") permit (principal, action == Action::"Opaque", resource == Function::"orders/shop/app.search");
@id("sleep") permit (principal, action == Action::"Execute", resource == Function::"orders/shop/pg_catalog.pg_sleep");
@id("app") permit (principal, action == Action::"SetRole", resource == Role::"orders/shop/app");
@id("ddl") permit (principal, action in Action::"Definition", resource in Schema::"orders/shop/scratch");
"#,
    );
    let function = |action, schema: &str, name: &str| {
        Effect::new(action, Object::in_schema(ObjectKind::Function, schema, name))
    };
    let customers = |action, columns: &[&str]| on_table(action, "public.customers", columns);
    // Whose permit it is; none permits the others.
    for (name, effect, permit) in [
        ("named columns", customers(Action::Read, &["id", "name"]), "two"),
        ("one more", customers(Action::Read, &["id", "email"]), ""),
        ("the table", customers(Action::Read, &[]), ""),
        (
            "its rows",
            customers(Action::Read, &[]).with(EffectFlags::ROWS),
            "",
        ),
        (
            "a column of the others",
            customers(Action::Update, &["name", "email"]),
            "all-but",
        ),
        ("the one left out", customers(Action::Update, &["id", "name"]), ""),
        ("all of them", customers(Action::Update, &[]), ""),
        (
            "all of them, whatever the flag",
            customers(Action::Update, &[]).with(EffectFlags::ROWS),
            "",
        ),
        (
            "an opaque function",
            function(Action::Opaque, "app", "search"),
            "search",
        ),
        ("another one", function(Action::Opaque, "app", "find"), ""),
        (
            "one of that name somewhere",
            function(Action::Opaque, "", "search"),
            "",
        ),
        (
            "a built-in one",
            function(Action::Execute, "", "pg_sleep"),
            "sleep",
        ),
        (
            "a built-in one, perhaps",
            function(Action::Execute, "", "pg_sleep").with(EffectFlags::UNCERTAIN),
            "",
        ),
        (
            "a role",
            Effect::new(Action::SetRole, Object::new(ObjectKind::Role, "app")),
            "app",
        ),
        (
            "another role",
            Effect::new(Action::SetRole, Object::new(ObjectKind::Role, "dba")),
            "",
        ),
        (
            "whatever role",
            Effect::new(Action::SetRole, Object::new(ObjectKind::Role, "")),
            "",
        ),
        (
            "a table in the schema",
            on_table(Action::Create, "scratch.t", &[]),
            "ddl",
        ),
        ("a table somewhere", on_table(Action::Create, "t", &[]), ""),
        (
            "the schema",
            Effect::new(Action::Drop, Object::new(ObjectKind::Schema, "scratch")),
            "ddl",
        ),
        (
            "a type of it",
            Effect::new(
                Action::Create,
                Object::in_schema(ObjectKind::Type, "scratch", "mood"),
            ),
            "ddl",
        ),
    ] {
        let shown = shown(&decide(&policies, effect));
        if permit.is_empty() {
            assert!(shown.starts_with("deny: nothing permits "), "{name}: {shown}");
        } else {
            assert_eq!(shown, format!("allow {permit}"), "{name}");
        }
    }
}

#[test]
fn shipped_policies_are_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/policies");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let read = PolicySet::parse(&source, &name);
        assert!(read.is_ok(), "{read:?}");
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        [
            "application.cedar",
            "break-glass.cedar",
            "columns.cedar",
            "crew-analytics.cedar",
            "migrations.cedar",
            "read-only.cedar"
        ]
    );
}

#[test]
fn the_shipped_columns_decide_as_they_say() {
    let columns = include_str!("../../configs/policies/columns.cedar");
    let columns = PolicySet::parse(columns, "columns.cedar").unwrap();
    let identity = identity().with_groups(["analysts"]);
    let analyst = Principal::new(&identity, Target::new("orders", "shop").unwrap());
    let at_night = Moment::from_unix_ms(1_700_010_000_000);
    let customers = |action, columns: &[&str]| on_table(action, "public.customers", columns);
    for (name, now, effect, want) in [
        (
            "plain",
            NOW,
            customers(Action::Read, &["id", "country"]),
            "allow analysts-read",
        ),
        (
            "names",
            NOW,
            customers(Action::Read, &["id", "name"]),
            "deny \"no-names\": names and addresses of customers are for support",
        ),
        (
            "addresses",
            NOW,
            on_table(Action::Read, "public.addresses", &["city"]),
            "deny \"no-names\": names and addresses of customers are for support",
        ),
        (
            "a catalog",
            NOW,
            on_table(Action::Read, "pg_catalog.pg_class", &["relname"]).with(EffectFlags::CATALOG),
            "allow analysts-catalogs",
        ),
        (
            "by day",
            NOW,
            on_table(Action::Update, "public.orders", &["total"]),
            "deny: nothing permits UPDATE on orders/shop/public.orders.total",
        ),
        (
            "by night",
            at_night,
            on_table(Action::Update, "public.orders", &["total"]),
            "allow analysts-correct",
        ),
        (
            "removing",
            NOW,
            customers(Action::Delete, &[]),
            "deny \"ask-before-delete\": DELETE on orders/shop/public.customers needs the approval of data-owners, which cannot be asked for yet",
        ),
    ] {
        let decision = columns.decide(&analyst, &client(), now, &[effect]);
        assert_eq!(shown(&decision), want, "{name}");
    }
}

#[test]
fn a_statement_pays_for_what_policies_name() {
    let hiding = parse(HIDING);
    let columns: Vec<String> = (0..1000).map(|number| format!("c{number}")).collect();
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.push("email");
    let mut effects: Vec<_> = (0..1000)
        .map(|number| on_table(Action::Read, &format!("public.t{number}"), &columns))
        .collect();
    effects.push(on_table(Action::Read, "public.customers", &columns[..1000]));
    let asked = hiding.explain(&principal(), &client(), NOW, &effects);
    let asked: Vec<_> = asked.iter().map(|request| request.resource.as_str()).collect();
    assert_eq!(
        asked,
        [
            "Database::\"orders/shop\"",
            "Column::\"orders/shop/public.t0.c0\"",
            "Column::\"orders/shop/public.customers.c0\""
        ]
    );
}

#[test]
fn explain_names_who_permits_who_forbids_and_who_nearly_did() {
    let policies = parse(
        r#"
@id("read") permit (principal, action == Action::"Read", resource);
@id("nights") permit (principal, action == Action::"Read", resource) when { context.hour < 6 };
@id("sum") forbid (principal, action == Action::"Read", resource) when { 9223372036854775807 + 1 > 0 };
@id("elsewhere") forbid (principal, action == Action::"Read", resource in Table::"orders/shop/public.orders");
"#,
    );
    let effects = [on_table(Action::Read, "public.customers", &["id"])];
    let explained = policies.explain(&principal(), &client(), NOW, &effects);
    assert_eq!(explained.len(), 2);
    assert_eq!((explained[0].effect, explained[0].cause), (None, None));
    assert_eq!(
        (explained[1].effect, explained[1].cause),
        (Some(0), Some(Cause::EvaluationError))
    );
    let opinions: Vec<_> = explained[1]
        .opinions
        .iter()
        .map(|opinion| (&*opinion.policy, &opinion.word))
        .collect();
    let [
        ("read", Word::Applies),
        ("nights", Word::ConditionFalse),
        ("sum", Word::Error(error)),
    ] = opinions[..]
    else {
        panic!("{opinions:?}");
    };
    assert!(error.contains("overflow"));
}

#[test]
fn conditions_look_at_the_time_the_client_and_claims() {
    let etl = client().with_application_name("etl-7");
    let mut claimed = identity();
    claimed.claims =
        serde_json::from_str(r#"{"team": "ops", "level": 4, "tags": ["a"], "nested": {"a": 1}}"#).unwrap();
    let claiming = client().with_claims(&claimed);
    let mut cut = claimed;
    cut.claims_are_cut = true;
    let cut = client().with_claims(&cut);
    let claim = |name: &str, field: &str, test: &str| {
        format!(
            "principal.claims.hasTag(\"{name}\") && principal.claims.getTag(\"{name}\") has {field} && principal.claims.getTag(\"{name}\").{field}{test}"
        )
    };
    for (condition, client, is_allowed, is_timed) in [
        ("context.hour >= 22".to_owned(), &etl, true, true),
        ("context.hour < 22".to_owned(), &etl, false, true),
        ("context.weekday == 2".to_owned(), &etl, true, true),
        (
            "context.time < datetime(\"2023-11-14T22:13:20.001Z\")".to_owned(),
            &etl,
            true,
            true,
        ),
        (
            "context.time < datetime(\"2023-11-14T22:13:20.000Z\")".to_owned(),
            &etl,
            false,
            true,
        ),
        (
            "context.client_address.isInRange(ip(\"10.0.0.0/8\"))".to_owned(),
            &etl,
            true,
            false,
        ),
        (
            "context.client_address.isInRange(ip(\"192.168.0.0/16\"))".to_owned(),
            &etl,
            false,
            false,
        ),
        (
            "context has application_name && context.application_name like \"etl-*\"".to_owned(),
            &etl,
            true,
            false,
        ),
        (
            "context has application_name && context.application_name like \"etl-*\"".to_owned(),
            &claiming,
            false,
            false,
        ),
        (claim("team", "text", " == \"ops\""), &claiming, true, false),
        (claim("team", "number", " == 1"), &claiming, false, false),
        (claim("level", "number", " > 3"), &claiming, true, false),
        (claim("tags", "texts", ".contains(\"a\")"), &claiming, true, false),
        (claim("nested", "text", " == \"x\""), &claiming, false, false),
        (claim("team", "text", " == \"ops\""), &etl, false, false),
        (claim("team", "text", " == \"ops\""), &cut, true, false),
        // What was left out cannot be told from what was not there.
        (
            "!principal.claims.hasTag(\"other\")".to_owned(),
            &cut,
            false,
            false,
        ),
        (
            "!principal.claims.hasTag(\"other\")".to_owned(),
            &claiming,
            true,
            false,
        ),
    ] {
        let policies = parse(&format!(
            "permit (principal, action == Action::\"Read\", resource) when {{ {condition} }};"
        ));
        let effects = [on_table(Action::Read, "public.t", &["a"])];
        let decision = policies.decide(&principal(), client, NOW, &effects);
        assert_eq!(
            (decision.is_allow(), decision.is_timed()),
            (is_allowed, is_timed),
            "{condition}: {}",
            shown(&decision)
        );
        // Whether it lacks a claim cannot be evaluated where claims were cut; else nothing permits.
        let cause = match (is_allowed, condition.starts_with('!')) {
            (true, _) => None,
            (false, true) => Some(Cause::EvaluationError),
            (false, false) => Some(Cause::NoPermit),
        };
        assert_eq!(decision.denial().map(|denial| denial.cause), cause, "{condition}");
        let is_told = !is_timed;
        assert_eq!(policies.told(client).is_some(), is_told, "{condition}");
    }
    // Only what was asked makes a decision timed.
    let timed = parse(
        "permit (principal, action == Action::\"Read\", resource);\npermit (principal, action == Action::\"Drop\", resource) when { context.hour < 6 };",
    );
    assert!(!decide(&timed, on_table(Action::Read, "public.t", &["a"])).is_timed());
    assert!(decide(&timed, on_table(Action::Drop, "public.t", &[])).is_timed());
}

#[test]
fn what_an_approval_would_permit_is_told() {
    let ask = "@id(\"ask\") @approvers(\"dba\") @ttl(\"15m\") permit (principal, action == Action::\"Delete\", resource) when { context.approved };";
    let guard = "@id(\"guard\") @approvers(\"owners,security\") @ttl(\"5m\") @severity(\"high\") forbid (principal, action in Action::\"Write\", resource in Table::\"orders/shop/public.customers\") unless { context.approved };";
    let write = "@id(\"write\") permit (principal, action in Action::\"Write\", resource);";
    let mute = "@id(\"mute\") forbid (principal, action == Action::\"Delete\", resource) unless { context.approved };";
    let never = "@id(\"never\") forbid (principal, action == Action::\"Delete\", resource);";
    for (name, policies, cause, required, ttl_s) in [
        ("a permit", vec![ask], Cause::Approval, "dba", 900),
        (
            "a forbid over a permit",
            vec![write, guard],
            Cause::Approval,
            "one of owners, security",
            300,
        ),
        (
            "both",
            vec![ask, guard],
            Cause::Approval,
            "dba and one of owners, security",
            300,
        ),
        ("a forbid that asks nobody", vec![ask, mute], Cause::Forbid, "", 0),
        ("a forbid for good", vec![ask, never], Cause::Forbid, "", 0),
        ("nothing that would permit", vec![guard], Cause::Forbid, "", 0),
    ] {
        let policies = parse(&policies.join("\n"));
        let decision = decide(&policies, on_table(Action::Delete, "public.customers", &[]));
        let denial = decision.denial().expect(name);
        assert_eq!(denial.cause, cause, "{name}: {denial}");
        let approval = denial.approval.as_deref();
        assert_eq!(
            approval.map(ToString::to_string).unwrap_or_default(),
            required,
            "{name}"
        );
        assert_eq!(
            approval.and_then(|approval| approval.ttl),
            (ttl_s > 0).then(|| Duration::from_secs(ttl_s)),
            "{name}"
        );
        let told = denial.to_string();
        assert_eq!(
            told.contains("needs the approval of"),
            cause == Cause::Approval,
            "{name}: {told}"
        );
    }
    let policies = parse(&[write, guard].join("\n"));
    let decision = decide(&policies, on_table(Action::Delete, "public.customers", &[]));
    assert_eq!(
        shown(&decision),
        "deny \"guard\": DELETE on orders/shop/public.customers needs the approval of one of owners, security, which cannot be asked for yet"
    );
    assert_eq!(
        decision.denial().and_then(|denial| denial.severity),
        Some(Severity::High)
    );
    // A statement of which another effect is denied for good is not held.
    let effects = [
        on_table(Action::Delete, "public.customers", &[]),
        on_table(Action::Drop, "public.t", &[]),
    ];
    let decision = policies.decide(&principal(), &client(), NOW, &effects);
    assert_eq!(
        decision
            .denial()
            .map(|denial| (denial.cause, denial.approval.is_none())),
        Some((Cause::NoPermit, true))
    );
    // An approval is for each of the effects that need it.
    let effects = [
        on_table(Action::Read, "public.t", &["a"]),
        on_table(Action::Delete, "public.customers", &[]),
        on_table(Action::Update, "public.customers", &["a"]),
        on_table(Action::Delete, "public.customers", &[]),
    ];
    let policies = parse(&format!(
        "{write}\n{guard}\npermit (principal, action == Action::\"Read\", resource);"
    ));
    let decision = policies.decide(&principal(), &client(), NOW, &effects);
    let approval = decision
        .denial()
        .and_then(|denial| denial.approval.clone())
        .expect("held");
    assert_eq!(approval.effects, [1, 2, 3]);
}

/// Whoever is alarmed by one of the policies that deny is alarmed whichever of them is named.
#[test]
fn a_denial_is_as_severe_as_the_severest_policy_that_denies() {
    let write = "@id(\"write\") permit (principal, action in Action::\"Write\", resource);";
    let low = "@id(\"low\") @severity(\"low\") forbid (principal, action == Action::\"Delete\", resource);";
    let high = "@id(\"high\") @severity(\"high\") forbid (principal, action in Action::\"Write\", resource in Table::\"orders/shop/public.customers\");";
    let elsewhere = "@id(\"elsewhere\") @severity(\"critical\") forbid (principal, action in Action::\"Write\", resource in Table::\"orders/shop/public.t\");";
    let permit =
        "@id(\"loud\") @severity(\"critical\") permit (principal, action == Action::\"Delete\", resource);";
    let broken = "@id(\"broken\") @severity(\"medium\") forbid (principal, action == Action::\"Delete\", resource) when { 9223372036854775807 + context.hour > 0 };";
    let ask = "@id(\"ask\") @severity(\"medium\") @approvers(\"dba\") permit (principal, action == Action::\"Delete\", resource) when { context.approved };";
    let guard = "@id(\"guard\") @severity(\"high\") @approvers(\"dba\") forbid (principal, action == Action::\"Delete\", resource) unless { context.approved };";
    let customers = || on_table(Action::Delete, "public.customers", &[]);
    let other = || on_table(Action::Delete, "public.other", &[]);
    let (both, some_high) = (Some(Severity::High), Some(Severity::Medium));
    for (name, policies, effects, policy, severity) in [
        (
            "one",
            &[write, low][..],
            vec![customers()],
            Some("low"),
            Some(Severity::Low),
        ),
        (
            "the first is named",
            &[write, low, high],
            vec![customers()],
            Some("low"),
            both,
        ),
        (
            "of another table",
            &[write, low, elsewhere],
            vec![customers()],
            Some("low"),
            Some(Severity::Low),
        ),
        (
            "two effects",
            &[write, low, high],
            vec![other(), customers()],
            Some("low"),
            both,
        ),
        (
            "a permit says nothing",
            &[permit, low],
            vec![customers()],
            Some("low"),
            Some(Severity::Low),
        ),
        ("nothing permits", &[], vec![customers()], None, None),
        (
            "one without",
            &[write, NO_DELETE],
            vec![customers()],
            Some("no-delete"),
            None,
        ),
        (
            "one that fails",
            &[write, low, broken],
            vec![customers()],
            Some("broken"),
            some_high,
        ),
        (
            "a permit that asks",
            &[ask],
            vec![customers()],
            Some("ask"),
            some_high,
        ),
        ("both ask", &[ask, guard], vec![customers()], Some("guard"), both),
    ] {
        let policies = parse(&policies.join("\n"));
        let decision = policies.decide(&principal(), &client(), NOW, &effects);
        let denial = decision.denial().expect(name);
        assert_eq!(
            (denial.policy.as_deref(), denial.severity),
            (policy, severity),
            "{name}"
        );
    }
    let policies = PolicySet::parse(
        "permit (principal, action == Action::\"Connect\", resource);\n@severity(\"critical\") forbid (principal, action == Action::\"Connect\", resource);",
        "p.cedar",
    );
    let decision = policies.unwrap().connect(&principal(), &client(), NOW);
    assert_eq!(
        decision.denial().and_then(|denial| denial.severity),
        Some(Severity::Critical)
    );
}

const NO_DELETE: &str = "@id(\"no-delete\") forbid (principal, action == Action::\"Delete\", resource);";

#[test]
fn limits_and_severity_are_carried() {
    let policies = parse(
        r#"
@id("some") @max_rows("100") @max_bytes("1MiB") @severity("low") permit (principal, action == Action::"Read", resource);
@id("more") @max_rows("1000") @max_bytes("10KiB") permit (principal, action == Action::"Read", resource in Table::"orders/shop/public.t");
@id("few") @max_affected("5") @max_time("2s") permit (principal, action == Action::"Delete", resource);
@id("any") permit (principal, action == Action::"Read", resource in Table::"orders/shop/public.free");
"#,
    );
    let reads = |table: &str| on_table(Action::Read, table, &["a"]);
    for (name, effects, want) in [
        (
            "one permit",
            vec![reads("public.x")],
            "Some(100) Some(1048576) None None",
        ),
        (
            "the most generous of two",
            vec![reads("public.t")],
            "Some(1000) Some(1048576) None None",
        ),
        (
            "one without limits",
            vec![reads("public.free")],
            "None None None None",
        ),
        (
            "the strictest of effects",
            vec![reads("public.free"), reads("public.t"), reads("public.x")],
            "Some(100) Some(1048576) None None",
        ),
        (
            "of different limits",
            vec![reads("public.x"), on_table(Action::Delete, "public.x", &[])],
            "Some(100) Some(1048576) Some(2s) Some(5)",
        ),
    ] {
        let Decision::Allow(permission) = policies.decide(&principal(), &client(), NOW, &effects) else {
            panic!("{name} is denied");
        };
        let limits = permission.limits;
        let mut got = String::new();
        write!(
            got,
            "{:?} {:?} {:?} {:?}",
            limits.max_rows, limits.max_bytes, limits.max_time, limits.max_affected
        )
        .unwrap();
        assert_eq!(got, want, "{name}");
        assert_eq!(permission.severity, Some(Severity::Low), "{name}");
    }
}

#[test]
fn it_is_told_whether_values_are_kept_from_somebody() {
    let read = "permit (principal, action == Action::\"Read\", resource);";
    let forbid = |scope: &str, condition: &str| format!("{read} forbid ({scope}) {condition};");
    let email =
        "principal, action == Action::\"Read\", resource in Column::\"orders/shop/public.customers.email\"";
    let table = email.replace("Column", "Table").replace(".email", "");
    let hides = (true, false);
    let tells = (false, false);
    for (name, policies, want) in [
        ("nothing named", read.to_owned(), tells),
        ("nothing permitted", String::new(), tells),
        ("a column", forbid(email, ""), hides),
        ("a table", forbid(&table, ""), hides),
        (
            "a schema",
            forbid(&table.replace("Table", "Schema").replace(".customers", ""), ""),
            hides,
        ),
        (
            "all columns but one",
            forbid(
                &table,
                "unless { resource in Column::\"orders/shop/public.customers.id\" }",
            ),
            hides,
        ),
        (
            "in a condition",
            forbid(
                "principal, action, resource",
                "when { resource in Column::\"orders/shop/public.customers.id\" }",
            ),
            hides,
        ),
        (
            "another database's",
            forbid(&email.replace("orders/shop", "orders/other"), ""),
            tells,
        ),
        (
            "another action",
            forbid(&email.replace("Read", "Copy"), ""),
            tells,
        ),
        (
            "of others",
            forbid(
                &email.replace("principal,", "principal in Group::\"others\","),
                "",
            ),
            tells,
        ),
        (
            "of all but this group",
            forbid(email, "unless { principal in Group::\"crew\" }"),
            tells,
        ),
        (
            "of all but another group",
            forbid(email, "unless { principal in Group::\"others\" }"),
            hides,
        ),
        (
            "until somebody approves",
            forbid(email, "unless { context.approved }"),
            hides,
        ),
        (
            "at this hour",
            forbid(email, "when { context.hour >= 22 }"),
            (true, true),
        ),
        (
            "at another",
            forbid(email, "when { context.hour < 22 }"),
            (false, true),
        ),
        (
            "what cannot be evaluated",
            forbid(email, "when { 9223372036854775807 + 1 > 0 }"),
            hides,
        ),
        (
            "a function",
            forbid(
                "principal, action, resource == Function::\"orders/shop/app.search\"",
                "",
            ),
            tells,
        ),
        (
            "columns that are not permitted with others",
            format!("permit ({email});"),
            hides,
        ),
        (
            "columns that are left out",
            read.replace(
                ';',
                " unless { resource in Column::\"orders/shop/public.customers.email\" };",
            ),
            hides,
        ),
        (
            "columns that are permitted with all",
            format!("{read} permit ({email});"),
            tells,
        ),
        ("a table that is permitted", format!("permit ({table});"), tells),
        (
            "more than are asked about",
            (0..65)
                .map(|number| {
                    let table = table.replace("customers", &format!("t{number}"));
                    forbid(&table, "unless { principal in Group::\"crew\" }")
                })
                .collect(),
            hides,
        ),
    ] {
        let hiding = parse(&policies).hides(&principal(), &client(), NOW);
        assert_eq!((hiding.is_hiding, hiding.is_timed), want, "{name}: {policies}");
    }
    assert_eq!(
        PolicySet::allow_all().hides(&principal(), &client(), NOW),
        sluice_policy::Hiding::default()
    );
}

#[test]
fn values_are_unmasked_where_a_permit_names_that() {
    let class = |policies: &str, name: &str| {
        let policies = parse(policies);
        let answer = policies.unmasks(&principal(), &client(), NOW, name);
        let explained = policies.explain_unmasking(&principal(), &client(), NOW, name);
        assert_eq!(explained.cause.is_none(), answer.is_permitted, "{explained:?}");
        assert_eq!((explained.action, explained.effect), ("Unmask", None));
        let mut opinions = explained.opinions.iter();
        let applies = |kind| move |one: &Opinion| one.is_forbid == kind && one.word == Word::Applies;
        if explained.cause == Some(Cause::Forbid) {
            assert!(opinions.any(applies(true)), "{explained:?}");
        } else {
            assert_eq!(opinions.any(applies(false)), answer.is_permitted, "{explained:?}");
        }
        (answer.is_permitted, answer.is_timed)
    };
    let permit = |resource: &str| {
        format!("permit (principal in Group::\"crew\", action == Action::\"Unmask\", {resource});")
    };
    let email = permit("resource == Class::\"email\"");
    let forbidden = format!("{email} forbid (principal, action, resource);");
    let forbidden_elsewhere = format!(
        "{email} forbid (principal, action == Action::\"Read\", resource in Connection::\"orders\");"
    );
    let at_night = format!("{} ", email.replace(';', " when { context.hour > 21 };"));
    let by_day = at_night.replace('>', "<");
    let with_others = email.replace(
        "== Action::\"Unmask\"",
        "in [Action::\"Read\", Action::\"Unmask\"]",
    );
    let with_others = with_others.replace("resource == Class::\"email\"", "resource");
    let of_another = email.replace("crew", "others");
    for (name, policies, of, want) in [
        ("of that class", &email, "email", (true, false)),
        ("of another", &email, "us_ssn", (false, false)),
        ("of all", &permit("resource"), "us_ssn", (true, false)),
        (
            "of columns of no class",
            &permit("resource is Class"),
            "other",
            (true, false),
        ),
        ("for another group", &of_another, "email", (false, false)),
        ("among other actions", &with_others, "jwt", (true, false)),
        (
            "by every action",
            &"permit (principal, action, resource);".to_owned(),
            "email",
            (false, false),
        ),
        ("forbidden with everything", &forbidden, "email", (false, false)),
        (
            "of what else is forbidden nothing",
            &forbidden_elsewhere,
            "email",
            (true, false),
        ),
        ("at this hour", &at_night, "email", (true, true)),
        ("at another", &by_day, "email", (false, true)),
    ] {
        assert_eq!(class(policies, of), want, "{name}: {policies}");
    }
    let allow_all = PolicySet::allow_all().unmasks(&principal(), &client(), NOW, "email");
    assert!(!allow_all.is_permitted);
    let allow_all = PolicySet::allow_all().explain_unmasking(&principal(), &client(), NOW, "email");
    assert_eq!(allow_all.cause, Some(Cause::NoPermit));
}
