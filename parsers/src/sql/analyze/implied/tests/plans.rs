//! What planning runs and shows.

use super::super::super::fixture::Fixture;
use super::{HARM, NO_HARM, check, guarding, with_harm};
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{Event, KeyAction, Volatility};

/// Planning runs neither triggers nor volatile functions; what is evaluated before it, or folded, it does.
#[test]
fn t09_plans_run_what_planning_runs() {
    let mut made = Fixture::new();
    made.table("hit", "id int4");
    let sequence = made.sequence("t_id_seq");
    let table = made.table("t", "id int4,k int4");
    made.column(table, "k").identity = sequence;
    made.column(table, "id").default = Some("nextval('public.t_id_seq'::regclass)".into());
    made.trigger(
        table,
        &[Event::Insert, Event::Delete],
        "BEGIN INSERT INTO hit VALUES (1); RETURN OLD; END",
    );
    let child = made.table("child", "id int4,t int4");
    made.key(child, table, KeyAction::Cascade);
    made.plpgsql(
        "strikes(x int4)",
        "int4",
        "BEGIN INSERT INTO hit VALUES (1); RETURN 1; END",
    );
    let folded = made.plpgsql(
        "folded(x int4)",
        "int4",
        "BEGIN INSERT INTO hit VALUES (1); RETURN 1; END",
    );
    made.get_function(folded).volatility = Volatility::Immutable;
    made.sql("inlined(x int4)", "int4", "SELECT public.folded(1)");
    let world = made.world();
    let (none, hit) = (&[][..], &["Insert relation public.hit"][..]);
    for (sql, want, never) in [
        (
            "EXPLAIN DELETE FROM t WHERE id = 1",
            none,
            &["Insert", "Delete", "child"][..],
        ),
        (
            "EXPLAIN INSERT INTO t (id) VALUES (1)",
            none,
            &["Insert", "Update"],
        ),
        ("EXPLAIN SELECT strikes(1)", none, &["Insert", "Opaque"]),
        ("EXPLAIN SELECT nextval('t_id_seq')", none, &["Update"]),
        ("EXPLAIN SELECT folded(1)", hit, &["Opaque"]),
        ("EXPLAIN SELECT inlined(1)", hit, &["Opaque"]),
        (
            "EXPLAIN EXECUTE p(strikes(1))",
            &["Insert relation public.hit"],
            none,
        ),
        ("EXPLAIN ANALYZE SELECT strikes(1)", hit, &["Opaque"]),
        ("EXPLAIN ANALYZE DELETE FROM t", hit, &["Opaque"]),
    ] {
        check(sql, &world, sql, want, never);
    }
}

#[test]
fn t09_plans_show_what_planning_folds() {
    let mut made = Fixture::new();
    let cards = made.table("cards", "id int4,card text");
    made.table("settings", "id int4,card text");
    for (name, volatility, body) in [
        ("folds", Volatility::Immutable, "SELECT card FROM cards LIMIT 1"),
        ("stays", Volatility::Stable, "SELECT card FROM cards LIMIT 1"),
        (
            "tells",
            Volatility::Immutable,
            "SELECT card FROM settings LIMIT 1",
        ),
        ("computes", Volatility::Immutable, "SELECT 'x'"),
    ] {
        let function = made.sql(&format!("{name}(a int4)"), "text", body);
        made.get_function(function).volatility = volatility;
    }
    let world = guarding(made, &[(cards, 2)]);
    let one = |sql: &str| analyze(sql, &Limits::default(), &world).statements.remove(0);
    for (sql, leaks) in [
        ("SELECT 1 WHERE 'x' = folds(1)", true),
        ("SELECT folds(1)", true),
        ("SELECT id FROM settings WHERE card = folds(1) || 'x'", true),
        ("SELECT stays(1)", false),
        ("SELECT tells(1)", false),
        ("SELECT id FROM cards WHERE card = computes(1)", false),
        ("SELECT folds(id) FROM settings", false),
    ] {
        for explain in ["EXPLAIN", "EXPLAIN ANALYZE"] {
            let prepared = one(&format!("PREPARE p AS {sql}"));
            let run = one(&format!("{explain} EXECUTE p")).effects_with(|_| Some(&prepared));
            for effects in [run, one(&format!("{explain} {sql}")).effects] {
                let found = effects
                    .iter()
                    .any(|effect| effect.to_string().starts_with("Leak"));
                assert_eq!(found, leaks, "{explain} {sql}: {effects:?}");
            }
        }
        let run = one(sql).effects;
        assert!(
            !run.iter().any(|effect| effect.to_string().starts_with("Leak")),
            "{sql}"
        );
    }
}

#[test]
fn t08_reading_runs_what_planning_folds() {
    let mut made = with_harm();
    made.sql("inlined(x int4)", "int4", "SELECT x + calm(1)");
    made.plpgsql("called(x int4)", "int4", "BEGIN PERFORM wipe(); RETURN x; END");
    made.c("unknown(x int4)", "int4");
    for (name, expression) in [
        ("folds", "(x + public.calm(1))"),
        ("inlines", "public.inlined(x)"),
        ("calls", "public.called(2)"),
        ("decides", "public.called(COALESCE(1, x))"),
        ("varies", "public.called(x)"),
        ("varies_too", "public.unknown((x + 1))"),
        ("computes", "((x + 1) * 2)"),
    ] {
        let table = made.table(name, "x int4,y int4");
        made.get(table).index_expressions = [expression.into()].into();
        let parent = made.table(&format!("{name}_parent"), "x int4,y int4");
        let child = made.table(&format!("{name}_child"), "x int4,y int4");
        made.get(child).parents = smallvec::smallvec![parent];
        made.get(child).checks = [format!("({expression} > 0)").into()].into();
        let keyed = made.table(&format!("{name}_keyed"), "x int4,y int4");
        made.get(keyed).partition_expressions = [expression.into()].into();
    }
    let world = made.world();
    for name in ["folds", "inlines", "calls", "decides"] {
        for suffix in ["", "_parent", "_keyed"] {
            for sql in ["SELECT y FROM", "EXPLAIN SELECT 1 FROM", "DELETE FROM"] {
                let sql = format!("{sql} {name}{suffix}");
                check(&sql, &world, &sql, HARM, &["Opaque"]);
            }
        }
        let table = format!("Read relation public.{name} (y)");
        check(name, &world, &format!("SELECT y FROM {name}"), &[&*table], &[]);
    }
    for name in ["varies", "varies_too", "computes"] {
        for suffix in ["", "_parent", "_keyed"] {
            let sql = format!("SELECT y FROM {name}{suffix}");
            check(&sql, &world, &sql, &[], NO_HARM);
        }
    }
}
