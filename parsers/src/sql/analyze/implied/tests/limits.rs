//! Every text comes to an end, and none makes the analysis panic.

use super::super::super::fixture::Fixture;
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{Event, KeyAction};
use crate::sql::effect::Action;
use crate::sql::statement::Statement;

/// A text may not take more by having many statements.
#[test]
fn t14_the_statements_of_a_text_share_what_it_may_take() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    let world = made.world();
    let names: Vec<String> = (0..30_000).map(|number| format!("n{number}")).collect();
    let path = format!("SET search_path = {}, public;", names.join(","));
    let opaque_behind = |reads: usize| {
        let text = format!("{path}{}", "TABLE t;".repeat(reads));
        let analysis = analyze(&text, &Limits::default(), &world);
        assert_eq!(analysis.statements.len(), reads + 1);
        let is_opaque = |statement: &Statement| statement.mask().contains(Action::Opaque);
        analysis.statements.iter().position(is_opaque)
    };
    assert_eq!(opaque_behind(100), None);
    assert!(opaque_behind(300).is_some_and(|first| first > 200));
}

/// Pieces of statements over the database below.
const PIECES: &[&str] = &[
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET id = 2",
    "DELETE FROM t",
    "SELECT f(id) FROM v",
    "TRUNCATE t CASCADE",
    "COPY t (id) FROM STDIN",
    "DO $$ BEGIN",
    "PERFORM f(1);",
    "END $$",
    "EXECUTE 'DELETE FROM t';",
    ";",
    "EXPLAIN",
    "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION g()",
    "ALTER TABLE t",
    "ADD COLUMN x int CHECK (f(x) > 0)",
    "CREATE RULE r AS ON DELETE TO v DO INSTEAD",
    "MERGE INTO t USING v ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (",
    ")",
    "DROP SCHEMA public CASCADE",
    "LOCK v",
    "CALL p()",
    "VACUUM",
    "REINDEX TABLE t",
    "RETURNING *",
    "NULL",
];

proptest::proptest! {
    #[test]
    fn no_statement_makes_it_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..6)) {
        let mut made = Fixture::new();
        let table = made.table("t", "id int4,v text");
        made.view("v", "id int4", "SELECT t.id FROM public.t");
        made.key(table, table, KeyAction::Cascade);
        made.plpgsql("f(x int4)", "int4", "BEGIN DELETE FROM v; RETURN f(x); END");
        made.trigger(table, &[Event::Insert, Event::Delete], "BEGIN UPDATE t SET id = f(NEW.id); RETURN NEW; END");
        let analysis = analyze(&pieces.join(" "), &Limits::default(), &made.world());
        for statement in &analysis.statements {
            proptest::prop_assert!(statement.reasons.iter().all(|reason| &*reason.name != "panic"));
        }
    }
}
