//! What is left to the end of the transaction: deferred triggers, checks of deferred constraints, cursors WITH HOLD.
//!
//! What these run is judged where a row is written or a cursor declared. They may run as late as at COMMIT, PREPARE
//! TRANSACTION and SET CONSTRAINTS, or where a Query or pipeline without BEGIN ends and nothing is judged. So that they do
//! then what was judged, a statement between the two is opaque if it changes names so that they would do something else.
//! Which of the database's triggers and constraints wait is not followed: once one may, all count.

use hashbrown::HashSet;

use super::nested::Allowance;
use super::walk::Walker;
use crate::sql::catalog::Oid;
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::resolve::Resolver;
use crate::sql::statement::{Cause, Reason, Statement, Taken};
use crate::sql::world::{Deferred, SessionNames, Touched, World};

/// What may do something behind a statement that it did not do before: a trigger's function, a relation whose constraints
/// are checked, or a cursor.
pub(super) fn changed(
    deferred: Deferred,
    before: &World,
    behind: &World,
    allowance: &mut Allowance,
) -> Option<Object> {
    if deferred == Deferred::Queries {
        // A cursor's query is in no catalog.
        return Some(Object::new(ObjectKind::Cursor, "WITH HOLD"));
    }
    // Where code ran that was not seen, nothing of what it changed was compared.
    let as_read = (before.session.touched == Touched::Everything).then(|| as_read(before));
    let before = as_read.as_ref().unwrap_or(before);
    let mut is_same = |run: &dyn Fn(&mut Walker<'_>)| {
        allowance.is_full() && {
            let known = effects(before, allowance, run);
            effects(behind, allowance, run).is_subset(&known)
        }
    };
    let mut done = HashSet::new();
    for relation in before.catalog.deferring() {
        if relation.checks_late && !is_same(&|walker| walker.recomputes(relation.oid)) {
            let (object, _) = super::relation::object(&before.catalog, relation);
            return Some(object);
        }
        let columns = relation.columns.iter();
        // The triggers of partitions are alike.
        let row: Vec<(&str, Oid)> = columns.map(|column| (&*column.name, column.type_oid)).collect();
        for trigger in relation.triggers.iter().filter(|trigger| trigger.is_deferrable) {
            let function = trigger.function;
            if done.insert((function, row.clone()))
                && !is_same(&|walker| walker.runs_trigger(function, relation.oid))
            {
                let walker = Walker::new(before, Resolver::new(before), allowance);
                return Some(walker.function_named(function));
            }
        }
    }
    None
}

/// The same world as the catalog alone has it.
fn as_read(world: &World) -> World {
    world.with_session(SessionNames {
        touched: Touched::Nothing,
        ..(*world.session).clone()
    })
}

/// What code does that runs by itself. With a whole allowance no less of it is seen than where a row was written.
fn effects(world: &World, allowance: &mut Allowance, run: &dyn Fn(&mut Walker<'_>)) -> HashSet<Effect> {
    let mut walker = Walker::new(world, Resolver::new(world), allowance);
    run(&mut walker);
    walker.finish();
    allowance.take(&walker);
    walker.effects.into_iter().collect()
}

impl Statement {
    /// It changes what this does at the end of the transaction.
    pub(super) fn changes_deferred(&mut self, deferred: Object) {
        self.reasons.push(Reason::about(Cause::Deferred, &deferred));
        self.effects.push(Effect::new(Action::Opaque, deferred));
        self.takes = Taken::Statements;
        self.touches = Touched::Everything;
        self.defers = self.defers.max(Deferred::Checks);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use crate::sql::analyze::{Limits, analyze};
    use crate::sql::catalog::Event;

    /// A deferrable trigger on `t` that calls `helper()`, which reads `seen`, and one on `u` that does nothing.
    fn database() -> Fixture {
        let mut made = Fixture::new();
        made.table("seen", "id int4");
        made.table("victims", "id int4");
        made.table("plain", "id int4");
        let first = made.table("t", "id int4");
        let second = made.table("u", "id int4");
        made.sql("helper()", "int8", "SELECT count(*) FROM seen");
        made.sql("other()", "int4", "SELECT 1");
        let inserts = &[Event::Insert];
        made.deferrable_trigger(first, inserts, "BEGIN PERFORM helper(); RETURN NULL; END");
        made.deferrable_trigger(second, inserts, "BEGIN RETURN NULL; END");
        made.schema("hidden");
        made.sql("helper()", "int8", "DELETE FROM public.victims; SELECT 1");
        made
    }

    /// Why the statements of a text are opaque, one line each.
    fn reasons(world: &World, sql: &str) -> Vec<String> {
        let analysis = analyze(sql, &Limits::default(), world);
        let all = analysis.statements.iter();
        all.flat_map(|statement| &statement.reasons)
            .map(ToString::to_string)
            .collect()
    }

    fn waiting(world: &World) -> World {
        world.with_session(SessionNames {
            deferred: Deferred::Checks,
            ..(*world.session).clone()
        })
    }

    const REPLACE: &str =
        "CREATE OR REPLACE FUNCTION helper() RETURNS int8 LANGUAGE sql AS 'DELETE FROM victims; SELECT 1'";

    #[test]
    fn t08_what_is_deferred_does_at_the_end_what_was_judged() {
        let world = database().world();
        for (name, sql) in [
            ("what it calls", REPLACE),
            ("what that reads", "ALTER TABLE seen RENAME TO unseen"),
            ("what comes to be read", "ALTER TABLE victims RENAME TO seen"),
            (
                "a view in the place of a table",
                "CREATE VIEW hidden.seen AS SELECT 1 AS id",
            ),
            (
                "an overload that may be meant",
                "CREATE FUNCTION hidden.helper() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ),
            (
                "a temporary table before others",
                "CREATE TEMP TABLE seen (id int)",
            ),
            ("another search path", "SET search_path = hidden, public"),
            (
                "a search path until the end",
                "SET LOCAL search_path = hidden, public",
            ),
            (
                "a search path by a function",
                "SELECT set_config('search_path', 'hidden', true)",
            ),
            ("the role's search path", "SET ROLE other"),
            ("in a block", "DO 'BEGIN ALTER TABLE seen RENAME TO unseen; END'"),
            ("all that is in a schema", "DROP SCHEMA hidden CASCADE"),
        ] {
            let found = reasons(&waiting(&world), sql);
            assert!(
                !found.is_empty(),
                "{name}: `{sql}` is permitted while a trigger waits"
            );
            assert_eq!(
                reasons(&world, sql),
                Vec::<String>::new(),
                "{name}: nothing waits"
            );
            // One text is as the same statements one by one.
            for before in [
                "INSERT INTO t VALUES (1)",
                "BEGIN; COPY t FROM STDIN; SAVEPOINT s",
            ] {
                let found = reasons(&world, &format!("{before}; {sql}"));
                assert!(!found.is_empty(), "{name}: behind `{before}`");
            }
        }
        let want = "commit first, for this changes what is deferred to it: public.trigger_";
        let found = reasons(&waiting(&world), REPLACE);
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }

    #[test]
    fn t08_what_is_deferred_may_be_written_in_code() {
        let mut made = database();
        made.sql("writes()", "int4", "INSERT INTO t VALUES (1); SELECT 1");
        made.c("unseen()", "int4");
        let world = made.world();
        for (sql, defers) in [
            ("INSERT INTO t VALUES (1)", true),
            ("SELECT writes()", true),
            (
                "WITH w AS (INSERT INTO u VALUES (1) RETURNING id) SELECT id FROM w",
                true,
            ),
            ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", true),
            ("DO 'BEGIN PERFORM writes(); END'", true),
            ("SELECT unseen()", true),
            ("EXPLAIN INSERT INTO t VALUES (1)", false),
            ("DELETE FROM t", false),
            ("INSERT INTO plain VALUES (1)", false),
            ("SELECT * FROM t", false),
        ] {
            let analysis = analyze(sql, &Limits::default(), &world);
            let found = analysis.statements[0].defers != Deferred::Nothing;
            assert_eq!(found, defers, "{sql}");
        }
        // Where one statement does both, and the order is not followed.
        let both = format!("DO $$BEGIN INSERT INTO t VALUES (1); {REPLACE}; END$$");
        assert!(!reasons(&world, &both).is_empty());
    }

    #[test]
    fn t08_what_changes_nothing_that_is_deferred_is_as_before() {
        let world = database().world();
        for sql in [
            "CREATE OR REPLACE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            "CREATE TABLE fresh (id int primary key)",
            "ALTER TABLE plain ADD COLUMN more int",
            "CREATE INDEX i ON plain (id)",
            "DROP TABLE plain",
            "SET search_path = public, hidden",
            "SET statement_timeout = 5",
            "SAVEPOINT a; RELEASE a; ROLLBACK TO b",
            "INSERT INTO t VALUES (2)",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "COMMIT",
            "PREPARE TRANSACTION 'x'",
        ] {
            assert_eq!(reasons(&waiting(&world), sql), Vec::<String>::new(), "{sql}");
        }
        for end in [
            "COMMIT",
            "ROLLBACK",
            "PREPARE TRANSACTION 'x'",
            "COMMIT AND CHAIN",
        ] {
            let sql = format!("BEGIN; INSERT INTO t VALUES (1); {end}; {REPLACE}; COMMIT");
            assert_eq!(reasons(&world, &sql), Vec::<String>::new(), "{end}");
        }
        // Nothing waits where there is no deferrable trigger.
        let mut made = Fixture::new();
        made.sql("helper()", "int8", "SELECT 1");
        assert_eq!(reasons(&waiting(&made.world()), REPLACE), Vec::<String>::new());
    }

    #[test]
    fn t08_what_came_before_is_no_change() {
        let world = waiting(&database().world());
        let touched = |touched| {
            world.with_session(SessionNames {
                touched,
                ..(*world.session).clone()
            })
        };
        let plain = "CREATE TABLE fresh (id int)";
        let before = touched(Touched::Names([Box::from("helper")].into_iter().collect()));
        assert_eq!(reasons(&before, plain), Vec::<String>::new());
        // Behind code that was not seen nothing is known of what waits.
        let before = touched(Touched::Everything);
        assert!(!reasons(&before, "ALTER FUNCTION other() STABLE").is_empty());
    }

    #[test]
    fn t08_constraints_are_checked_by_what_was_judged() {
        let mut made = Fixture::new();
        let table = made.table("t", "id int4");
        made.sql("key(id int4)", "int4", "SELECT id");
        made.sql("other()", "int4", "SELECT 1");
        made.get(table).index_expressions = ["public.key(id)".into()].into();
        let replace = "CREATE OR REPLACE FUNCTION key(id int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
        let replace_other = replace.replace("key(id int)", "other()");
        made.get(table).checks_late = true;
        let world = made.world();
        for (sql, want) in [(replace, 1), (&*replace_other, 0)] {
            let found = reasons(&world, &format!("UPDATE t SET id = 1; {sql}"));
            assert_eq!(found.len(), want, "{sql}: {found:?}");
        }
        assert!(reasons(&world, &format!("UPDATE t SET id = 1; {replace}"))[0].ends_with(": public.t"));
    }

    #[test]
    fn t08_a_cursor_that_is_held_runs_what_was_judged() {
        let world = database().world();
        let plain = "CREATE TABLE fresh (id int)";
        for (declared, want) in [
            ("DECLARE c CURSOR WITH HOLD FOR SELECT helper()", 1),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT id FROM seen", 0),
            ("DECLARE c CURSOR FOR SELECT helper()", 0),
        ] {
            let found = reasons(&world, &format!("BEGIN; {declared}; {plain}"));
            assert_eq!(found.len(), want, "{declared}: {found:?}");
            let found = reasons(&world, &format!("BEGIN; {declared}; COMMIT; {plain}"));
            assert_eq!(found, Vec::<String>::new(), "{declared}");
        }
    }

    #[test]
    fn t14_many_deferrable_triggers_are_looked_at_within_bounds() {
        let mut made = Fixture::new();
        made.table("seen", "id int4");
        let body = format!(
            "BEGIN PERFORM id FROM seen; {} RETURN NULL; END",
            "NULL; ".repeat(8000)
        );
        for number in 0..400 {
            let table = made.table(&format!("t{number}"), &format!("c{number} int4"));
            made.deferrable_trigger(table, &[Event::Insert], &body);
        }
        let world = waiting(&made.world());
        let text = "CREATE TABLE fresh (id int); ".repeat(100);
        let found = reasons(&world, &text);
        assert!(found[0].starts_with("commit first"), "{found:?}");
    }
}
