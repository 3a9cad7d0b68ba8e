use sluice_audit::record::{LEFT_OUT, LIST_LEN_MAX};
use sluice_parsers::sql::effect::{Action, EffectMask, Object, ObjectKind};
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{PolicySet, Snapshot, Target};

use super::verdict::EFFECT_LINES_MAX;
use super::*;

fn gate(snapshot: &Arc<Snapshot>) -> Gate {
    let limits = GateLimits {
        inline_parse_bytes: 4096,
        decisions_max: 100,
        analysis: analyze::Limits::default(),
    };
    Gate::new(snapshot.reader(), limits, 7)
}

fn context(gate: &mut Gate, database: &str) -> Context {
    let identity = Identity::new("https://issuer.example", "crew", Method::Oidc);
    let target = Target::new("orders", database).expect("names");
    let nowhere = gate.context(
        Principal::new(&identity, target),
        Client::new([127, 0, 0, 1].into()),
    );
    let world = World::built_in(15);
    let database = Arc::new(Database {
        epoch: 1,
        catalog: world.catalog,
        ..Database::default()
    });
    gate.context_in(&nowhere, &world.session, &database)
}

/// What was decided, and whether it was known.
fn judged(gate: &mut Gate, sql: &str, context: &Context) -> (Vec<EffectMask>, Vec<bool>, bool) {
    let hits = gate.counts.hits;
    let Judgement::Known(verdict) = gate.judge(sql.as_bytes(), &[], context) else {
        panic!("{sql} is short");
    };
    let allowed = verdict
        .outcomes
        .iter()
        .map(|outcome| matches!(outcome, Outcome::Allow(_)))
        .collect();
    (verdict.masks.to_vec(), allowed, gate.counts.hits > hits)
}

/// The harmless one first, until a template recognises it.
#[test]
fn a_recognised_text_is_judged_as_a_fresh_one() {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    for (name, harmless, other, shares) in [
        (
            "value",
            "select a from t where b = 1",
            "select a from t where b = 2",
            true,
        ),
        (
            "analyze",
            "explain (analyze 0) delete from t",
            "explain (analyze 1) delete from t",
            false,
        ),
        (
            "order",
            "select a from t order by 1",
            "select a from t order by 3",
            false,
        ),
        (
            "setting",
            "select set_config('work_mem', '1', true)",
            "select set_config('role', '1', true)",
            false,
        ),
        (
            "cast",
            "select 'pg_class'::regclass",
            "select 'secret'::regclass",
            false,
        ),
        (
            "delete",
            "delete from t where 1 = 0",
            "delete from t where 1 = 1",
            false,
        ),
    ] {
        let mut warm = gate(&snapshot);
        let who = context(&mut warm, "shop");
        for _ in 0..3 {
            judged(&mut warm, harmless, &who);
        }
        let (masks, allowed, is_hit) = judged(&mut warm, other, &who);
        let mut fresh = gate(&snapshot);
        let who = context(&mut fresh, "shop");
        let (want_masks, want_allowed, _) = judged(&mut fresh, other, &who);
        assert_eq!((masks, allowed), (want_masks, want_allowed), "{name}");
        assert_eq!(is_hit, shares, "{name}");
    }
}

#[test]
fn the_record_has_a_line_for_each_effect_or_the_number_of_the_others() {
    let effect = |index: usize, len: usize| {
        let name = format!("{index}{}", "x".repeat(len));
        Effect::new(Action::Read, Object::new(ObjectKind::Relation, name))
    };
    for (name, count, len, left_out) in [
        ("none", 0, 1, None),
        ("one", 1, 1, None),
        ("as many as are named", EFFECT_LINES_MAX, 3, None),
        ("one more", EFFECT_LINES_MAX + 1, 3, Some(1)),
        ("long ones", 100, 2000, Some(96)),
        ("one that has no room", 1, LIST_LEN_MAX, Some(1)),
    ] {
        let effects: Vec<_> = (0..count).map(|index| effect(index, len)).collect();
        let list = effect_lines(&effects);
        let lines: Vec<_> = list.as_list().iter().collect();
        let told = lines
            .last()
            .and_then(|line| str::from_utf8(line).ok()?.strip_prefix(LEFT_OUT));
        assert_eq!(
            told,
            left_out.map(|count| format!("{count} more")).as_deref(),
            "{name}"
        );
        let named = lines.len() - usize::from(told.is_some());
        assert_eq!(named, count - left_out.unwrap_or(0), "{name}");
        assert!(!list.is_cut(), "{name}");
    }
}

/// Another identity's many statements may drive the shape out while its template stays.
#[test]
fn a_recognised_text_is_found_again_after_its_shape_was_forgotten() {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    let mut gate = gate(&snapshot);
    let (one, other) = (context(&mut gate, "shop"), context(&mut gate, "books"));
    let kept = |number: u32| format!("select data->>'a{number}' from t");
    for _ in 0..3 {
        judged(&mut gate, "select id from t where id = 1", &one);
        judged(&mut gate, &kept(1), &one);
    }
    for number in 0..400 {
        judged(&mut gate, &format!("select x{number} from t"), &other);
    }
    for _ in 0..3 {
        judged(&mut gate, "select id from t where id = 1", &other);
        judged(&mut gate, &kept(2), &one);
    }
    assert!(judged(&mut gate, "select id from t where id = 2", &other).2);
    assert!(judged(&mut gate, &kept(2), &one).2);
}

#[test]
fn templates_share_nothing_between_contexts_and_epochs() {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    let mut gate = gate(&snapshot);
    let (one, other) = (context(&mut gate, "shop"), context(&mut gate, "books"));
    let text = |number: u32| format!("select a from t where b = {number}");
    for number in 0..3 {
        judged(&mut gate, &text(number), &one);
    }
    assert!(judged(&mut gate, &text(7), &one).2);
    assert!(
        !judged(&mut gate, &text(8), &other).2,
        "another database is another decision"
    );
    assert!(judged(&mut gate, &text(9), &other).2);
    assert!(judged(&mut gate, &text(9), &one).2);
    snapshot.replace(PolicySet::read_only());
    assert!(!judged(&mut gate, &text(9), &one).2, "a new policy is asked");
    assert!(judged(&mut gate, &text(10), &one).2);
}

fn names(path: &str) -> Arc<SessionNames> {
    Arc::new(SessionNames {
        search_path: [path.into()].into(),
        ..SessionNames::default()
    })
}

#[test]
fn t02_states_and_catalogs_share_nothing() {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    let mut gate = gate(&snapshot);
    let nowhere = context(&mut gate, "shop");
    let of = |epoch| {
        Arc::new(Database {
            epoch,
            ..Database::default()
        })
    };
    let (first, second) = (of(1), of(2));
    let mut ids = vec![nowhere.id()];
    for (path, database) in [("a", &first), ("b", &first), ("a", &second)] {
        let who = gate.context_in(&nowhere, &names(path), database);
        ids.push(who.id());
        for again in [false, true] {
            assert_eq!(
                judged(&mut gate, "select a from t", &who).2,
                again,
                "{path} {}",
                database.epoch
            );
        }
        // Equal states are one context.
        assert_eq!(gate.context_in(&nowhere, &names(path), database).id(), who.id());
        let world = who.world(&[0, 0, 0, 25]);
        assert_eq!(*world.session.search_path, [path.into()]);
        assert_eq!(*world.parameter_types, [sluice_parsers::sql::catalog::Oid(25)]);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    for types in [&[0, 0, 0, 23][..], &[0, 0, 0, 25], &[]] {
        let before = gate.counts.misses;
        for _ in 0..2 {
            gate.judge(b"select f($1)", types, &nowhere);
        }
        assert_eq!(
            gate.counts.misses,
            before + 1,
            "declared types are a part of the key"
        );
    }
}

#[test]
fn what_policies_look_at_in_a_client_is_a_part_of_the_key() {
    let connect = "permit (principal, action == Action::\"Connect\", resource);";
    let far = "forbid (principal, action == Action::\"Read\", resource) unless { context.client_address.isLoopback() };";
    let read = "permit (principal, action == Action::\"Read\", resource);";
    let identity = Identity::new("https://issuer.example", "crew", Method::Oidc);
    let blind = PolicySet::parse(&format!("{connect}\n{read}"), "p.cedar").expect("policies");
    let snapshot = Arc::new(Snapshot::new(blind));
    let mut gate = gate(&snapshot);
    let at = |gate: &mut Gate, address: [u8; 4]| {
        let target = Target::new("orders", "shop").expect("names");
        gate.context(Principal::new(&identity, target), Client::new(address.into()))
    };
    let (here, there) = (at(&mut gate, [127, 0, 0, 1]), at(&mut gate, [10, 0, 0, 1]));
    let text = "select a from t";
    assert!(!judged(&mut gate, text, &here).2);
    assert!(judged(&mut gate, text, &there).2, "no policy tells them apart");
    let looking = PolicySet::parse(&format!("{connect}\n{read}\n{far}"), "p.cedar").expect("policies");
    snapshot.replace(looking);
    assert_eq!(judged(&mut gate, text, &here).1, [true]);
    let (_, allowed, is_hit) = judged(&mut gate, text, &there);
    assert_eq!((allowed.as_slice(), is_hit), (&[false][..], false));
    let again = at(&mut gate, [10, 0, 0, 1]);
    let (_, allowed, is_hit) = judged(&mut gate, text, &again);
    assert_eq!((allowed.as_slice(), is_hit), (&[false][..], true));
    // A thousand addresses take no more than what one identity may have.
    for number in 0..1000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let context = at(&mut gate, [10, 1, high, low]);
        judged(&mut gate, text, &context);
        assert!(gate.cached() <= 100, "{} after {number}", gate.cached());
    }
}

#[test]
fn what_looked_at_the_time_is_decided_again() {
    thread_local! {
        static HOUR: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    let source = "permit (principal, action == Action::\"Connect\", resource);\n\
                  permit (principal, action == Action::\"Read\", resource) when { context.hour < 12 };";
    let policies = PolicySet::parse(source, "p.cedar").expect("policies");
    let snapshot = Arc::new(Snapshot::new(policies));
    let mut gate = gate(&snapshot);
    gate.clock = || Moment::from_unix_ms(HOUR.get() * 3_600_000);
    let who = context(&mut gate, "shop");
    let mut was_asked = false;
    for hour in [0, 11, 12, 13, 23, 24, 25] {
        HOUR.set(hour);
        for _ in 0..2 {
            let text = "select a from t where b = 1";
            let Judgement::Known(verdict) = gate.judge(text.as_bytes(), &[], &who) else {
                panic!("{text} is short");
            };
            let is_allowed = matches!(verdict.outcomes[0], Outcome::Allow(_));
            assert_eq!(is_allowed, hour % 24 < 12, "{hour}");
            assert!(!verdict.is_plain && !verdict.holds_in(gate.epoch()), "{hour}");
            assert_eq!(
                (gate.counts.hits > 0, gate.counts.misses),
                (was_asked, 1),
                "{hour}"
            );
            was_asked = true;
        }
    }
}

#[test]
fn t14_who_floods_the_cache_drives_out_his_own() {
    let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
    let mut gate = gate(&snapshot);
    let (quiet, loud) = (context(&mut gate, "shop"), context(&mut gate, "books"));
    for number in 0..20 {
        judged(&mut gate, &format!("select q{number} from t"), &quiet);
    }
    for number in 0..1000 {
        judged(&mut gate, &format!("select l{number} from t"), &loud);
        assert!(gate.cached() <= 100, "{} after {number}", gate.cached());
    }
    for number in 0..20 {
        assert!(
            judged(&mut gate, &format!("select q{number} from t"), &quiet).2,
            "{number}"
        );
    }
    // What nobody has any more makes room.
    drop(loud);
    gate.context_in(&quiet, &names("a"), &Arc::default());
}
