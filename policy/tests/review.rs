//! Warnings of valid policies are right, and there are none where none is due.

use std::collections::{BTreeMap, BTreeSet};

use sluice_policy::{Served, Surroundings, review};

fn around() -> Surroundings {
    let these = Served::These(BTreeSet::from(["shop".to_owned()]));
    Surroundings {
        connections: Some(BTreeMap::from([
            ("orders".to_owned(), these),
            ("any".to_owned(), Served::Any),
        ])),
        catalogs: BTreeMap::new(),
    }
}

/// What is warned of, with the line.
fn warned(policies: &str) -> Vec<String> {
    let warnings =
        review(policies, "p.cedar", &around()).unwrap_or_else(|errors| panic!("{:?}", errors.mistakes()));
    let shown = warnings.iter().map(|warning| {
        let mistake = warning.mistake();
        assert!(
            mistake.help.as_ref().is_some_and(|help| !help.is_empty()),
            "{mistake}"
        );
        format!("{}: {}", mistake.line, mistake.message)
    });
    shown.collect()
}

#[test]
fn policies_that_can_have_no_effect_are_told() {
    for (name, policies, want) in [
        (
            "a connection that is not there",
            r#"permit (principal, action, resource in Connection::"order");"#,
            &[r#"1: no connection is called "order""#][..],
        ),
        (
            "a table of such a connection, in a condition",
            "permit (principal, action, resource)\nwhen { resource in Table::\"order/shop/public.t\" };",
            &[r#"2: no connection is called "order""#],
        ),
        (
            "a database that is not served",
            r#"permit (principal, action, resource in Schema::"orders/stock/public");"#,
            &[r#"1: the connection "orders" does not serve the database "stock""#],
        ),
        (
            "one that may be",
            r#"permit (principal, action, resource in Schema::"any/stock/public");"#,
            &[],
        ),
        (
            "a condition elsewhere",
            r#"permit (principal, action, resource in Schema::"orders/shop/a") when { resource in Table::"orders/shop/b.t" };"#,
            &[r#"1: "policy0" never applies"#],
        ),
        (
            "one of several is there",
            r#"permit (principal, action, resource in Schema::"orders/shop/a") when { resource in [Table::"orders/shop/b.t", Table::"orders/shop/a.t"] };"#,
            &[],
        ),
        (
            "one of two conditions is",
            r#"permit (principal, action, resource in Schema::"orders/shop/a") when { resource in Table::"orders/shop/b.t" || principal.subject == "x" };"#,
            &[],
        ),
        (
            "two conditions that are apart",
            r#"@id("x") permit (principal, action, resource) when { resource in Schema::"orders/shop/a" && principal.subject == "x" } when { resource in Connection::"any" };"#,
            &[r#"1: "x" never applies"#],
        ),
        (
            "narrower than the scope",
            r#"permit (principal, action, resource in Connection::"orders") when { resource in Table::"orders/shop/b.t" };"#,
            &[],
        ),
        (
            "wider than the scope",
            r#"permit (principal, action, resource in Table::"orders/shop/b.t") when { resource in Connection::"orders" };"#,
            &[],
        ),
        (
            "all of it is left out",
            r#"permit (principal, action, resource in Table::"orders/shop/b.t") unless { context has file && context.file || resource in Schema::"orders/shop/b" };"#,
            &[r#"1: "policy0" never applies"#],
        ),
        (
            "a part is left out",
            r#"permit (principal, action, resource in Schema::"orders/shop/b") unless { resource in Table::"orders/shop/b.t" };"#,
            &[],
        ),
        (
            "left out together with something else",
            r#"permit (principal, action, resource in Table::"orders/shop/b.t") unless { resource in Schema::"orders/shop/b" && principal.subject == "x" };"#,
            &[],
        ),
        (
            "everybody is left out",
            r#"permit (principal in Group::"a", action, resource) unless { principal in Group::"a" };"#,
            &[r#"1: "policy0" never applies"#],
        ),
        (
            "somebody is left out",
            r#"permit (principal in Group::"a", action, resource) unless { principal in Group::"b" };"#,
            &[],
        ),
        (
            "in two groups",
            r#"permit (principal in Group::"a", action, resource) when { principal in Group::"b" };"#,
            &[],
        ),
        (
            "somebody else",
            r#"permit (principal == Identity::"local#a", action, resource) when { principal == Identity::"local#b" };"#,
            &[r#"1: "policy0" never applies"#],
        ),
        (
            "an action that is never on tables",
            "permit (principal,\naction in [Action::\"Read\", Action::\"SetRole\"], resource in Table::\"orders/shop/b.t\");",
            &[r#"2: Action::"SetRole" is never on a Table or Column"#],
        ),
        (
            "actions of which one is",
            r#"permit (principal, action in [Action::"Read", Action::"Administrative"], resource in Table::"orders/shop/b.t");"#,
            &[],
        ),
        (
            "a class is opened beside what every action permits",
            "permit (principal, action, resource);\npermit (principal, action == Action::\"Unmask\", resource == Class::\"email\");",
            &[],
        ),
        (
            "all of it is forbidden",
            "@id(\"p\") permit (principal in Group::\"a\", action == Action::\"Drop\", resource in Schema::\"orders/shop/b\") when { context.hour < 6 };\n\
             @id(\"f\") forbid (principal, action in Action::\"Destructive\", resource in Connection::\"orders\");",
            &[r#"1: "p" permits nothing: "f" forbids all of it"#],
        ),
        (
            "forbidden on a condition",
            "permit (principal, action == Action::\"Drop\", resource);\nforbid (principal, action == Action::\"Drop\", resource) when { context.cascade };",
            &[],
        ),
        (
            "forbidden to others",
            "permit (principal in Group::\"a\", action == Action::\"Drop\", resource);\nforbid (principal in Group::\"b\", action == Action::\"Drop\", resource);",
            &[],
        ),
        (
            "one of its actions is forbidden",
            "permit (principal, action in Action::\"Destructive\", resource);\nforbid (principal, action == Action::\"Drop\", resource);",
            &[],
        ),
        (
            "a part of it is forbidden",
            "permit (principal, action == Action::\"Read\", resource in Schema::\"orders/shop/b\");\n\
             forbid (principal, action == Action::\"Read\", resource in Table::\"orders/shop/b.t\");",
            &[],
        ),
        (
            "permitted anyway",
            "@id(\"all\") permit (principal, action, resource);\n@id(\"some\") permit (principal in Group::\"a\", action == Action::\"Read\", resource) when { context.hour < 6 };",
            &[r#"2: "some" permits nothing more: "all" permits all of it"#],
        ),
        (
            "twice the same",
            "@id(\"one\") permit (principal, action == Action::\"Read\", resource);\n@id(\"two\") permit (principal, action == Action::\"Read\", resource);",
            &[r#"2: "two" permits nothing more: "one" permits all of it"#],
        ),
        (
            "permitted with less room",
            "@max_rows(\"10\") permit (principal, action == Action::\"Read\", resource);\n@max_rows(\"100\") permit (principal in Group::\"a\", action == Action::\"Read\", resource);",
            &[],
        ),
        (
            "permitted with more room",
            "@id(\"wide\") @max_rows(\"100\") permit (principal, action == Action::\"Read\", resource);\n\
             @id(\"narrow\") @max_rows(\"10\") permit (principal in Group::\"a\", action == Action::\"Read\", resource);",
            &[r#"2: "narrow" permits nothing more: "wide" permits all of it"#],
        ),
        (
            "permitted with more weight",
            "permit (principal, action == Action::\"Read\", resource);\n@severity(\"high\") permit (principal in Group::\"a\", action == Action::\"Read\", resource);",
            &[],
        ),
        (
            "forbidden before",
            "@id(\"all\") forbid (principal, action in Action::\"Definition\", resource);\n@id(\"drop\") @message(\"no\") forbid (principal, action == Action::\"Drop\", resource);",
            &[r#"2: "drop" forbids nothing more: "all" forbids all of it before"#],
        ),
        (
            "forbidden behind, where the message is the first one's",
            "@message(\"no\") forbid (principal, action == Action::\"Drop\", resource);\nforbid (principal, action in Action::\"Definition\", resource);",
            &[],
        ),
        (
            "an identity and a group of that name",
            "permit (principal in Group::\"a\", action == Action::\"Read\", resource);\nforbid (principal == Identity::\"a\", action, resource);",
            &[],
        ),
    ] {
        let found = warned(policies);
        assert_eq!(found.len(), want.len(), "{name}: {found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{name}: {found}");
        }
    }
}

#[test]
fn budgets_that_hold_nobody_are_told() {
    const CONNECT: &str = r#"permit (principal in Group::"crew", action == Action::"Connect", resource);
permit (principal in Group::"crew", action == Action::"Set", resource in SettingGroup::"harmless");"#;
    const CUSTOMERS: &str = r#"(principal in Group::"crew", action == Action::"Read", resource in Table::"orders/shop/public.customers");"#;
    const ALL: &str = r#"(principal in Group::"crew", action in [Action::"Read", Action::"Filter"], resource in Connection::"orders");"#;
    let never = r#"3: "c" never counts rows: "all" permits all of it without a budget of them"#;
    for (name, budget, others, want) in [
        (
            "a broad permit without one",
            "500 rows per 1d",
            format!(r#"@id("all") permit {ALL}"#),
            // What is left of it is nothing.
            &[r#"3: "c" permits nothing more: "all" permits all of it"#][..],
        ),
        (
            "that has less room otherwise",
            "500 rows per 1d",
            format!(r#"@id("all") @max_rows("10") permit {ALL}"#),
            &[never],
        ),
        (
            "with one of another measure",
            "500 rows per 1d, 200 masked per 1d",
            format!(r#"@id("all") @budget("60 statements per 1m, 20 masked per 1d") permit {ALL}"#),
            &[never],
        ),
        (
            "with more room",
            "500 rows per 1d",
            format!(r#"@id("all") @budget("20000 rows per 1h") permit {ALL}"#),
            &[r#"3: "c" holds nobody to 500 rows per 1d: "all" permits all of it with more room"#],
        ),
        (
            "with more room in all",
            "500 rows per 1d",
            format!(r#"@id("all") @budget("100 rows per 1h") permit {ALL}"#),
            &[r#"3: "c" holds nobody to 500 rows per 1d"#],
        ),
        (
            "with more room by one of its budgets only",
            "500 rows per 1d",
            format!(r#"@id("all") @budget("100 rows per 1h, 400 rows per 1d") permit {ALL}"#),
            &[],
        ),
        (
            "with more room for one of its own",
            "5 rows per 1m, 500 rows per 1d",
            format!(r#"@id("all") @budget("400 rows per 1d") permit {ALL}"#),
            &[r#"3: "c" holds nobody to 5 rows per 1m"#],
        ),
        (
            "with less room",
            "500 rows per 1d",
            format!(r#"@id("all") @budget("400 rows per 1d") permit {ALL}"#),
            &[],
        ),
        (
            "with the same room for more tables",
            "500 rows per 1d",
            format!(r#"@id("all") @budget("500 rows per 1d") permit {ALL}"#),
            &[],
        ),
        (
            "with the same room for the same",
            "500 rows per 1d",
            format!(r#"@id("d") @budget("500 rows per 1d") permit {CUSTOMERS}"#),
            &[r#"4: "d" permits nothing more: "c" permits all of it"#],
        ),
        (
            "on a condition",
            "500 rows per 1d",
            format!(
                r#"@id("all") @max_rows("10") permit {} when {{ context.hour < 6 }};"#,
                ALL.trim_end_matches(';')
            ),
            &[],
        ),
        (
            "for others",
            "500 rows per 1d",
            format!(
                r#"@id("all") @max_rows("10") permit {}"#,
                ALL.replace("crew", "others")
            ),
            &[],
        ),
        (
            "of another action",
            "500 rows per 1d",
            format!(
                r#"@id("all") @max_rows("10") permit {}"#,
                ALL.replace("Read", "Copy")
            ),
            &[],
        ),
        (
            "of a column of it",
            "500 rows per 1d",
            format!(
                r#"@id("all") @max_rows("10") permit {}"#,
                CUSTOMERS.replace(
                    "Table::\"orders/shop/public.customers",
                    "Column::\"orders/shop/public.customers.id"
                )
            ),
            &[],
        ),
    ] {
        let found = warned(&format!(
            "{CONNECT}\n@id(\"c\") @budget(\"{budget}\") permit {CUSTOMERS}\n{others}"
        ));
        assert_eq!(found.len(), want.len(), "{name}: {found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{name}: {found}");
        }
    }
    // Several together, and what of several actions is charged.
    let crew =
        |action: &str| format!(r#"(principal, action in [{action}], resource in Connection::"orders");"#);
    let (read, filter) = (r#"Action::"Read""#, r#"Action::"Filter""#);
    let both = format!("{read}, {filter}");
    for (name, budget, others, want) in [
        ("one of the actions", "5 rows per 1d", vec![read], 0),
        ("each by another", "5 rows per 1d", vec![read, filter], 1),
        (
            "of probes, where nothing is compared",
            "5 probes per 1d",
            vec![read],
            0,
        ),
        ("of probes", "5 probes per 1d", vec![filter], 1),
    ] {
        let others = others.iter().enumerate();
        let permit = |(number, action): (usize, &&str)| {
            format!("@id(\"o{number}\") @max_rows(\"10\") permit {}", crew(action))
        };
        let others = others.map(permit).collect::<Vec<_>>().concat();
        let found = warned(&format!(
            "@id(\"c\") @budget(\"{budget}\") permit {}{others}",
            crew(&both)
        ));
        let told = found.iter().filter(|found| found.contains("\"c\" never counts"));
        assert_eq!(told.count(), want, "{name}: {found:?}");
    }
}

#[test]
fn who_may_connect_and_set_nothing_is_told() {
    const CONNECT: &str = r#"@id("c") permit (principal in Group::"a", action in [Action::"Connect", Action::"Read"], resource in Connection::"orders");"#;
    const WARNED: &[&str] = &["c"];
    for (name, more, want) in [
        ("nothing else", "", WARNED),
        (
            "harmless settings",
            r#"permit (principal in Group::"a", action == Action::"Set", resource in SettingGroup::"harmless");"#,
            &[],
        ),
        (
            "on a condition",
            r#"permit (principal, action == Action::"Set", resource in SettingGroup::"harmless") when { resource in Connection::"orders" };"#,
            &[],
        ),
        (
            "one setting by its name",
            r#"permit (principal in Group::"a", action == Action::"Set", resource == Setting::"application_name");"#,
            &[],
        ),
        (
            "whatever is on the connection",
            r#"permit (principal in Group::"a", action in [Action::"Set", Action::"Lock"], resource in Connection::"orders");"#,
            &[],
        ),
        (
            "on another connection",
            r#"permit (principal in Group::"a", action == Action::"Set", resource in Connection::"any");"#,
            WARNED,
        ),
        (
            "every action on tables",
            r#"permit (principal in Group::"a", action, resource in Schema::"orders/shop/public");"#,
            WARNED,
        ),
        (
            "every action",
            r#"permit (principal in Group::"a", action, resource) when { principal.subject != "x" };"#,
            &[],
        ),
        (
            "a group for all, that does not connect by itself",
            r#"permit (principal in Group::"all", action == Action::"Set", resource in SettingGroup::"harmless");"#,
            &[],
        ),
        (
            "another group, that does",
            r#"permit (principal in Group::"b", action == Action::"Connect", resource);
               permit (principal in Group::"b", action == Action::"Set", resource in SettingGroup::"harmless");"#,
            WARNED,
        ),
        (
            "an identity that may be in a group",
            r#"@id("i") permit (principal == Identity::"local#i", action == Action::"Connect", resource);
               permit (principal in Group::"a", action == Action::"Set", resource in SettingGroup::"harmless");"#,
            &[],
        ),
        (
            "two identities",
            r#"@id("i") permit (principal == Identity::"local#i", action == Action::"Connect", resource);
               @id("j") permit (principal == Identity::"local#j", action == Action::"Connect", resource);
               permit (principal == Identity::"local#j", action == Action::"Set", resource in SettingGroup::"harmless");"#,
            &["c", "i"],
        ),
        (
            "two permits of the same",
            r#"@id("d") @max_rows("10") permit (principal in Group::"a", action == Action::"Connect", resource in Connection::"orders");"#,
            WARNED,
        ),
        (
            "only forbidden",
            r#"forbid (principal, action == Action::"Set", resource);"#,
            WARNED,
        ),
    ] {
        let found = warned(&format!("{CONNECT}\n{more}"));
        let told: Vec<_> = found
            .iter()
            .filter(|found| found.contains("application_name"))
            .collect();
        assert_eq!(told.len(), want.len(), "{name}: {found:?}");
        for (told, want) in told.iter().zip(want) {
            assert!(
                told.contains(&format!("\"{want}\" permits Connect")),
                "{name}: {told}"
            );
        }
    }
    assert_eq!(
        warned("forbid (principal, action, resource);"),
        Vec::<String>::new()
    );
}

#[test]
fn there_is_nothing_to_say_of_the_shipped_policies() {
    for (name, policies) in [
        (
            "application",
            include_str!("../../configs/policies/application.cedar"),
        ),
        (
            "break-glass",
            include_str!("../../configs/policies/break-glass.cedar"),
        ),
        ("columns", include_str!("../../configs/policies/columns.cedar")),
        (
            "crew-analytics",
            include_str!("../../configs/policies/crew-analytics.cedar"),
        ),
        (
            "migrations",
            include_str!("../../configs/policies/migrations.cedar"),
        ),
        (
            "read-only",
            include_str!("../../configs/policies/read-only.cedar"),
        ),
    ] {
        assert_eq!(warned(policies), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_file_with_a_mistake_has_its_mistakes() {
    let errors = review(
        "permit (principal, action ==",
        "p.cedar",
        &Surroundings::default(),
    );
    assert!(errors.is_err_and(|errors| {
        errors
            .mistakes()
            .iter()
            .all(|mistake| mistake.file() == "p.cedar")
    }));
}
