//! What is wrong with a policy file is said in full, each mistake at its place.

use sluice_policy::PolicySet;

const PERMIT: &str = "permit (principal, action == Action::\"Read\", resource);";

/// `line:column: message` of every mistake.
fn mistakes(source: &str) -> Vec<(String, Option<String>)> {
    match PolicySet::parse(source, "p.cedar") {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .mistakes()
            .iter()
            .map(|mistake| {
                let shown = mistake.to_string();
                (
                    shown.strip_prefix("p.cedar:").unwrap().to_owned(),
                    mistake.help.clone(),
                )
            })
            .collect(),
    }
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    for (name, source, want) in [
        ("good", format!("@id(\"a\")\n{PERMIT}\n// end"), &[][..]),
        ("empty file", String::new(), &[]),
        ("syntax", "permit (principal, action, resource)".to_owned(), &["1:37: unexpected end of input"]),
        (
            "two of syntax and one of the schema",
            "permit (principal, action resource);\n\n  forbid (principl, action, resource);\npermit (principal, action == Action::\"Raed\", resource);"
                .to_owned(),
            &["1:27: unexpected token `resource`", "3:11: ", "4:30: unrecognized action `Action::\"Raed\"`"],
        ),
        (
            "a type that there is not",
            "permit (principal, action == Action::\"Read\", resource in View::\"users\");".to_owned(),
            &["1:58: unrecognized entity type `View`"],
        ),
        (
            "an id that names no table",
            "permit (principal, action == Action::\"Read\",\n resource in Table::\"users\");".to_owned(),
            &["2:14: \"users\" is no id of a Table"],
        ),
        (
            "an id in a condition",
            "permit (principal, action == Action::\"Read\", resource)\nunless { resource in [Column::\"orders/shop/public.Customers.email\"] };".to_owned(),
            &["2:23: \"Customers\" is not how PostgreSQL writes a name"],
        ),
        (
            "a database without a connection",
            "permit (principal, action, resource in Database::\"shop\");".to_owned(),
            &["1:40: \"shop\" names no database of a connection"],
        ),
        (
            "a setting that is never named so",
            "permit (principal, action == Action::\"Set\", resource == Setting::\"Work_Mem\");".to_owned(),
            &["1:57: settings are named in lower case"],
        ),
        (
            "a class that there is not",
            "permit (principal, action == Action::\"Unmask\", resource == Class::\"e-mail\");".to_owned(),
            &["1:60: "],
        ),
        (
            "a table without its columns",
            "forbid (principal, action == Action::\"Read\", resource == Table::\"orders/shop/public.t\");".to_owned(),
            &["1:58: `== Table::\"orders/shop/public.t\"` misses what a Table holds"],
        ),
        (
            "the type of a table",
            "forbid (principal, action in Action::\"Write\", resource) when { resource is Table };".to_owned(),
            &["1:73: `is Table` misses what a Table holds"],
        ),
        (
            "a database without what is in it",
            "forbid (principal, action == Action::\"Delete\", resource == Database::\"orders/shop\");".to_owned(),
            &["1:60: `== Database::\"orders/shop\"` misses what a Database holds"],
        ),
        (
            "a database that a session is on",
            "permit (principal, action == Action::\"Connect\", resource == Database::\"orders/shop\") when { resource.name == \"shop\" };".to_owned(),
            &[],
        ),
        (
            "a question about something named",
            "permit (principal, action == Action::\"Read\", resource) when { Table::\"orders/shop/public.t\" in Schema::\"orders/shop/public\" };".to_owned(),
            &["1:63: of Table::\"orders/shop/public.t\" nothing is known here", "1:63: `== Table"],
        ),
        (
            "no such attribute of a context",
            "forbid (principal, action == Action::\"Delete\", resource) when { context.unfilterd };".to_owned(),
            &["1:65: attribute `unfilterd` in context for Action::\"Delete\" not found"],
        ),
        (
            "approvers of nothing",
            "@approvers(\"dba\") permit (principal, action == Action::\"Delete\", resource);".to_owned(),
            &["1:1: @approvers has no effect"],
        ),
        (
            "a time without approvers",
            "@ttl(\"15m\") permit (principal, action == Action::\"Delete\", resource) when { context.approved };".to_owned(),
            &["1:1: @ttl has no effect"],
        ),
        (
            "a limit on a forbid",
            "@max_rows(\"1\") forbid (principal, action == Action::\"Delete\", resource);".to_owned(),
            &["1:1: @max_rows has no effect"],
        ),
        (
            "a budget on a forbid",
            "@budget(\"1 rows per 1h\") forbid (principal, action == Action::\"Delete\", resource);".to_owned(),
            &["1:1: @budget has no effect"],
        ),
        (
            "a budget of what permits no statement",
            "@budget(\"1 rows per 1h\") permit (principal, action == Action::\"Unmask\", resource);".to_owned(),
            &["1:1: @budget has no effect: Unmask permits no statement"],
        ),
        (
            "a budget of probes where nothing is compared",
            "@id(\"a\")\n@budget(\"1 probes per 1h\") permit (principal, action == Action::\"Read\", resource);".to_owned(),
            &["2:1: @budget of probes has no effect: the policy permits no Filter"],
        ),
        (
            "a budget without its time",
            "@id(\"a\")\n@budget(\"1 rows\") permit (principal, action == Action::\"Read\", resource);".to_owned(),
            &["2:1: @budget(\"1 rows\") is no budget"],
        ),
        (
            "a budget without a name",
            "@budget(\"1 rows per 1h\") permit (principal, action == Action::\"Read\", resource);".to_owned(),
            &["1:1: @budget needs an @id"],
        ),
        (
            "a limit without its unit",
            "@id(\"a\")\n@max_bytes(\"10\") permit (principal, action == Action::\"Read\", resource);".to_owned(),
            &["2:1: @max_bytes(\"10\") is not a size"],
        ),
        (
            "an approval of a session",
            "permit (principal, action == Action::\"Connect\", resource) when { context.approved };".to_owned(),
            &["1:66: attribute `approved` in context"],
        ),
        (
            "a claim that may not be there",
            "permit (principal, action == Action::\"Read\", resource) when { principal.claims.getTag(\"team\").text == \"x\" };".to_owned(),
            &["1:63: "],
        ),
        (
            "wrong group of settings",
            "permit (principal, action == Action::\"Set\", resource in SettingGroup::\"harmles\");".to_owned(),
            &["1:57: "],
        ),
        (
            "a policy that never applies",
            "permit (principal, action == Action::\"Read\", resource == Setting::\"work_mem\");".to_owned(),
            &["1:1: unable to find an applicable action"],
        ),
        (
            "a condition that never holds",
            "forbid (principal, action == Action::\"Read\", resource) when { false };".to_owned(),
            &["1:1: policy is impossible"],
        ),
        ("template", "permit (principal == ?principal, action, resource);".to_owned(), &["1:"]),
        ("same id", format!("@id(\"a\") {PERMIT}\n@id(\"a\") {PERMIT}"), &["2:1: @id(\"a\") is another policy's as well"]),
        ("id like a default one", format!("@id(\"policy1\") {PERMIT}"), &["1:1: @id(\"policy1\") is what"]),
        ("empty id", format!("@id(\"\") {PERMIT}"), &["1:1: @id(\"\") is no name"]),
        ("id with quotes", format!("@id(\"a\\\"b\") {PERMIT}"), &["1:1: @id(\"a\\\"b\") is no name"]),
        ("id twice on a policy", format!("@id(\"a\") @id(\"b\") {PERMIT}"), &["1:10: duplicate annotation"]),
        ("message of two lines", format!("@message(\"a\\nb\") {PERMIT}"), &["1:1: @message is no message"]),
        ("unknown annotation", format!("@ident(\"a\") {PERMIT}"), &["1:1: @ident is not known"]),
        ("stray semicolon", format!("{PERMIT};"), &["1:56: unexpected token `;`"]),
        (
            "the place is counted in characters",
            format!("// zürich\n/* */ {PERMIT}"),
            &["2:1: "],
        ),
        (
            "a string that does not end",
            "permit (principal == Identity::\"x, action, resource);".to_owned(),
            &["1:"],
        ),
        (
            "look-alike letters",
            "permit (principal in Group::\"dbа\", action == Action::\"Read\", resource);".to_owned(),
            &["1:1: identifier `dbа` contains mixed scripts"],
        ),
    ] {
        let got = mistakes(&source);
        let listed: Vec<_> = got.iter().map(|(shown, _)| shown.as_str()).collect();
        assert_eq!(listed.len(), want.len(), "{name}: {listed:#?}");
        for want in want {
            assert!(listed.iter().any(|got| got.starts_with(want)), "{name}: {want:?} is not in {listed:#?}");
        }
    }
}

#[test]
fn mistakes_render_with_the_line_they_are_on() {
    let source =
        "permit (principal, action, resource);\nforbid (principal, action == Action::\"Raed\", resource);\n";
    let errors = PolicySet::parse(source, "agents.cedar").unwrap_err();
    let shown = format!("{:?}", miette::Report::new(errors));
    for part in [
        "agents.cedar:2:30",
        "Raed",
        "did you mean",
        "forbid (principal, action == ",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
}
