//! Budgets of several identities, permits and cores.

use std::hash::Hasher;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sluice_policy::{Allowance, Budget, Charge, Measure, UsedUp};

use super::accounts::ACCOUNTS_MIN;
use super::*;

fn charge(measure: Measure, allowances: &[(&str, &[(u64, u64)])]) -> Charge {
    let allowance = |(policy, budgets): &(&str, &[(u64, u64)])| Allowance {
        policy: (*policy).into(),
        budgets: budgets
            .iter()
            .map(|&(max, seconds)| Budget {
                measure,
                max,
                per: Duration::from_secs(seconds),
            })
            .collect(),
    };
    Charge {
        measure,
        to: allowances.iter().map(allowance).collect(),
    }
}

fn spend(core: &mut Budgets, who: &str, charge: &Charge, amount: u64) -> Result<(), UsedUp> {
    let charged = core.charged(who, std::iter::once(charge));
    charged.charge(amount).map_err(Option::unwrap)
}

fn room(core: &mut Budgets, who: &str, charge: &Charge) -> u64 {
    core.charged(who, std::iter::once(charge)).room()
}

fn drawn_of(core: &mut Budgets, who: &str, charges: &[Charge]) -> Drawn {
    Drawn::new(Rc::new(AnswerBudgets {
        rows: core.charged(who, charges.iter()),
        masked: core.charged(who, std::iter::empty()),
    }))
}

#[test]
fn a_budget_is_an_identitys_and_a_policys_whatever_the_core() {
    let accounts = Arc::new(Accounts::new(2));
    let mut cores = [(); 2].map(|()| Budgets::new(Arc::clone(&accounts)));
    let three = charge(Measure::Statements, &[("crew", &[(3, 3600)])]);
    for (core, who, is_in) in [
        (0, "a", true),
        (1, "a", true),
        (0, "b", true),
        (1, "a", true),
        (0, "a", false),
        (1, "a", false),
        (1, "b", true),
    ] {
        assert_eq!(
            spend(&mut cores[core], who, &three, 1).is_ok(),
            is_in,
            "{core} {who}"
        );
    }
    let used_up = spend(&mut cores[0], "a", &three, 1).unwrap_err();
    assert_eq!(&*used_up.policy, "crew");
    assert!(used_up.wait > Duration::from_secs(3500) && used_up.wait <= Duration::from_mins(61));
    // A policy of that name with another maximum is the same.
    let four = charge(Measure::Statements, &[("crew", &[(4, 3600)])]);
    assert!(spend(&mut cores[1], "a", &four, 1).is_ok());
    assert!(spend(&mut cores[0], "a", &four, 1).is_err());
    let other = charge(Measure::Statements, &[("crew", &[(4, 60)])]);
    assert!(spend(&mut cores[0], "a", &other, 4).is_ok());
}

#[test]
fn all_budgets_of_one_allowance_have_to_have_room() {
    let mut core = Budgets::new(Arc::new(Accounts::new(1)));
    let strict = charge(Measure::Rows, &[("crew", &[(5, 60), (8, 3600)])]);
    assert!(spend(&mut core, "a", &strict, 5).is_ok());
    assert_eq!(spend(&mut core, "a", &strict, 1).unwrap_err().budget.max, 5);
    // Nothing was charged to the other one for that.
    let hourly = charge(Measure::Rows, &[("crew", &[(8, 3600)])]);
    assert_eq!(room(&mut core, "a", &hourly), 3);
    // Where another permit has room, both are charged.
    let generous = charge(
        Measure::Rows,
        &[("crew", &[(5, 60), (8, 3600)]), ("dba", &[(10, 60)])],
    );
    assert_eq!(room(&mut core, "a", &generous), 10);
    assert!(spend(&mut core, "a", &generous, 9).is_ok());
    let used_up = spend(&mut core, "a", &generous, 2).unwrap_err();
    assert_eq!(used_up.budget.per, Duration::from_mins(1));
    assert!(spend(&mut core, "a", &generous, 1).is_ok());
}

#[test]
fn what_a_core_draws_in_advance_it_gives_back() {
    let accounts = Arc::new(Accounts::new(2));
    let mut cores = [(); 2].map(|()| Budgets::new(Arc::clone(&accounts)));
    let rows = charge(Measure::Rows, &[("crew", &[(12_800, 3600)])]);
    assert!(spend(&mut cores[0], "a", &rows, 1).is_ok());
    assert_eq!(room(&mut cores[0], "a", &rows), 12_799);
    assert_eq!(room(&mut cores[1], "a", &rows), 12_700);
    cores[0].tidy();
    assert_eq!(room(&mut cores[1], "a", &rows), 12_799);
    // The whole of it is used up by both together, and no more.
    let mut given = 1;
    let mut turn = 0;
    while spend(&mut cores[turn % 2], "a", &rows, 7).is_ok() {
        given += 7;
        turn += 1;
    }
    assert!(given <= 12_800 && given + 7 + 100 > 12_800, "{given}");
}

#[test]
fn rows_are_drawn_for_a_statement_and_put_back() {
    let mut core = Budgets::new(Arc::new(Accounts::new(1)));
    let charges = [
        charge(Measure::Rows, &[("crew", &[(640, 60)])]),
        charge(Measure::Rows, &[("table", &[(15, 60)]), ("more", &[(3, 60)])]),
    ];
    let mut drawn = drawn_of(&mut core, "a", &charges);
    assert_eq!(drawn.room(), 15);
    let mut given = 0;
    while drawn.draw().is_ok() {
        given += drawn.left();
        drawn.given(drawn.left());
    }
    assert_eq!(given, 15);
    assert_eq!(&*drawn.draw().unwrap_err().unwrap().policy, "table");
    assert_eq!(room(&mut core, "a", &charges[0]), 625);

    let wide = charge(Measure::Rows, &[("crew", &[(6400, 60)])]);
    let mut drawn = drawn_of(&mut core, "b", std::slice::from_ref(&wide));
    assert_eq!(drawn.draw(), Ok(()));
    assert_eq!(drawn.left(), 64);
    drawn.given(4);
    assert_eq!(drawn.room(), 6396);
    assert_eq!(room(&mut core, "b", &wide), 6336);
    drop(drawn);
    assert_eq!(room(&mut core, "b", &wide), 6396);
}

#[test]
fn what_is_charged_to_several_is_charged_to_all_or_none() {
    let mut core = Budgets::new(Arc::new(Accounts::new(1)));
    let [few, many] =
        [("few", 3), ("many", 5)].map(|(name, max)| charge(Measure::Masked, &[(name, &[(max, 60)])]));
    let charged = core.charged("a", [&many, &few].into_iter());
    for (values, is_in, left) in [
        (2, true, (1, 3)),
        (2, false, (1, 3)),
        (1, true, (0, 2)),
        (1, false, (0, 2)),
    ] {
        assert_eq!(charged.charge(values).is_ok(), is_in);
        assert_eq!((room(&mut core, "a", &few), room(&mut core, "a", &many)), left);
    }
}

#[test]
fn a_budget_in_several_charges_is_charged_once() {
    let mut core = Budgets::new(Arc::new(Accounts::new(1)));
    let broad = charge(Measure::Rows, &[("broad", &[(20, 60)])]);
    let either = charge(
        Measure::Rows,
        &[("broad", &[(20, 60)]), ("orders", &[(2000, 60)])],
    );
    let charged = core.charged("a", [&broad, &either].into_iter());
    assert!(charged.charge(20).is_ok());
    assert_eq!(&*charged.charge(1).unwrap_err().unwrap().policy, "broad");
    let orders = charge(Measure::Rows, &[("orders", &[(2000, 60)])]);
    assert_eq!(room(&mut core, "a", &orders), 1980);
    // What was given already is charged as far as there is room.
    core.charged("a", std::iter::once(&orders)).charge_given(5000);
    assert_eq!(room(&mut core, "a", &orders), 0);
}

#[test]
fn the_same_probe_again_is_no_other() {
    let mut core = Budgets::new(Arc::new(Accounts::new(1)));
    let probes = charge(Measure::Probes, &[("crew", &[(3, 3600)])]);
    for (made, is_in) in [
        (&[1][..], true),
        (&[1], true),
        (&[2, 3], true),
        (&[2], true),
        (&[4], false),
        (&[1, 2, 3], true),
        (&[1, 4], false),
    ] {
        let charged = core.charged("a", std::iter::once(&probes));
        assert_eq!(charged.probe(made).is_ok(), is_in, "{made:?}");
    }
    // What one budget has no room for is charged to no other.
    let both = charge(Measure::Probes, &[("both", &[(2, 60), (3, 3600)])]);
    let hourly = charge(Measure::Probes, &[("both", &[(3, 3600)])]);
    for (made, is_in, left) in [(&[1, 2][..], true, 1), (&[3], false, 1), (&[1], true, 1)] {
        let charged = core.charged("a", std::iter::once(&both));
        assert_eq!(charged.probe(made).is_ok(), is_in, "{made:?}");
        assert_eq!(room(&mut core, "a", &hourly), left, "{made:?}");
    }
    let hash = |probe: u32| core.hash(|hasher| hasher.write_u32(probe));
    assert!(hash(1) == hash(1) && hash(1) != hash(2));
}

#[test]
fn empty_accounts_are_closed() {
    let accounts = Arc::new(Accounts::new(1));
    let mut core = Budgets::new(Arc::clone(&accounts));
    let one = charge(Measure::Statements, &[("crew", &[(1, 3600)])]);
    assert!(spend(&mut core, "used", &one, 1).is_ok());
    for number in 0..3 * ACCOUNTS_MIN {
        let _ = room(&mut core, &number.to_string(), &one);
        core.tidy();
    }
    assert!(accounts.count() <= ACCOUNTS_MIN);
    assert!(spend(&mut core, "used", &one, 1).is_err());
}

#[test]
fn the_fullest_accounts_are_told() {
    let accounts = Arc::new(Accounts::new(1));
    let mut core = Budgets::new(Arc::clone(&accounts));
    let policies = |max: u64| {
        let policy = format!(
            "@id(\"crew\") @budget(\"{max} rows per 1h, 4 statements per 1m\") permit (principal, action == Action::\"Connect\", resource);"
        );
        sluice_policy::PolicySet::parse(&policy, "p.cedar").unwrap()
    };
    let rows = charge(Measure::Rows, &[("crew", &[(1000, 3600)])]);
    let statements = charge(Measure::Statements, &[("crew", &[(4, 60)])]);
    let gone = charge(Measure::Rows, &[("gone", &[(10, 3600)])]);
    assert_eq!(accounts.fullest(&policies(1000), 9), Fullest::default());
    for number in 0..700_u32 {
        let who = format!("local#{number}");
        assert!(spend(&mut core, &who, &rows, (number + 1).into()).is_ok());
    }
    assert!(spend(&mut core, "local#0", &statements, 3).is_ok());
    assert!(spend(&mut core, "local#1", &statements, 4).is_ok());
    assert!(spend(&mut core, "local#2", &gone, 10).is_ok());
    let _ = room(&mut core, "looked", &rows);
    core.tidy();
    let shown = |fullest: &Fullest| -> Vec<String> {
        let accounts = fullest.accounts.iter();
        accounts
            .map(|spent| format!("{} {} of {}", spent.identity, spent.used, spent.budget))
            .collect()
    };
    let fullest = accounts.fullest(&policies(1000), 4);
    assert_eq!(
        shown(&fullest),
        [
            "local#1 4 of 4 statements per 1m",
            "local#0 3 of 4 statements per 1m",
            "local#699 700 of 1000 rows per 1h",
            "local#698 699 of 1000 rows per 1h",
        ]
    );
    assert_eq!(fullest.count, 702);
    let waits: Vec<_> = fullest.accounts.iter().map(|spent| spent.room_at).collect();
    let wait = waits[0]
        .unwrap()
        .saturating_duration_since(sluice_runtime::time::now());
    assert!(
        wait > Duration::from_secs(50) && wait <= Duration::from_secs(61),
        "{wait:?}"
    );
    assert_eq!(waits[1..], [None; 3]);
    assert_eq!(accounts.fullest(&policies(1000), 4), fullest, "nothing changed");
    // What is in force counts, and not what was when it was used up.
    let lowered = accounts.fullest(&policies(699), usize::MAX);
    assert_eq!(lowered.accounts.len(), 702);
    assert_eq!(shown(&lowered)[0], "local#699 700 of 699 rows per 1h");
    assert_eq!(
        accounts.fullest(&sluice_policy::PolicySet::allow_all(), 4),
        Fullest::default()
    );
}
