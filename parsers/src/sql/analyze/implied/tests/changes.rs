//! What runs because rows change: triggers, rules, foreign keys, defaults, generated columns.

use super::super::super::fixture::Fixture;
use super::check;
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{Event, KeyAction, RelationKind};

#[test]
fn t08_triggers_run_their_functions() {
    let mut made = Fixture::new();
    let table = made.table("orders", "id int4,note text");
    made.table("log", "line text");
    made.table("audit", "line text");
    made.trigger(
        table,
        &[Event::Insert, Event::Update],
        "BEGIN INSERT INTO log VALUES (NEW.note); RETURN NEW; END",
    );
    let on_delete = made.trigger(
        table,
        &[Event::Delete],
        "BEGIN DELETE FROM audit; RETURN OLD; END",
    );
    let when = made.sql(
        "spy(x int4)",
        "bool",
        "INSERT INTO audit VALUES ('x'); SELECT true",
    );
    let _ = (on_delete, when);
    made.get(table).triggers[0].when = Some("public.spy(new.id)".into());
    made.get(table).triggers[0].columns = [2].into();
    let world = made.world();
    for (name, sql, want, never) in [
        (
            "insert",
            "INSERT INTO orders VALUES (1, 'a')",
            &[
                "Insert relation public.orders",
                "Insert relation public.log",
                "Insert relation public.audit",
            ][..],
            &["Opaque", "Delete"][..],
        ),
        (
            "delete",
            "DELETE FROM orders WHERE id = 1",
            &["Delete relation public.audit"],
            &["log", "Opaque"],
        ),
        (
            "other columns",
            "UPDATE orders SET id = 2 WHERE id = 1",
            &[],
            &["log", "Opaque"],
        ),
        (
            "its column",
            "UPDATE orders SET note = 'b' WHERE id = 1",
            &["Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "copy",
            "COPY orders FROM STDIN",
            &["Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "no trigger",
            "SELECT * FROM orders",
            &["Read relation public.orders"],
            &["log", "audit", "Opaque"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

#[test]
fn t08_keys_take_rows_along() {
    let mut made = Fixture::new();
    let parent = made.table("parent", "id int4");
    let child = made.table("child", "id int4,parent int4");
    let grandchild = made.table("grandchild", "id int4,child int4");
    let other = made.table("other", "id int4,parent int4");
    let watched = made.table("watched", "id int4,parent int4");
    made.key(child, parent, KeyAction::Cascade);
    made.key(grandchild, child, KeyAction::Cascade);
    made.key(other, parent, KeyAction::SetNull);
    made.key(watched, parent, KeyAction::Nothing);
    made.table("log", "line text");
    made.trigger(
        grandchild,
        &[Event::Delete],
        "BEGIN INSERT INTO log VALUES ('gone'); RETURN OLD; END",
    );
    let world = made.world();
    for (name, sql, want, never) in [
        (
            "delete of a parent",
            "DELETE FROM parent WHERE id = 1",
            &[
                "Delete relation public.child [cascade]",
                "Delete relation public.grandchild [cascade]",
                "Insert relation public.log",
                "Update relation public.other (parent) [cascade]",
                "Read relation public.watched",
                "Read relation public.parent",
            ][..],
            &["Opaque", "Update relation public.watched"][..],
        ),
        (
            "update of a parent's key",
            "UPDATE parent SET id = 2 WHERE id = 1",
            &["Update relation public.child (parent) [cascade]"],
            &["grandchild [", "Delete"],
        ),
        (
            "insert of a child",
            "INSERT INTO child VALUES (1, 2)",
            &["Read relation public.parent"],
            &["cascade", "Opaque"],
        ),
        (
            "truncate",
            "TRUNCATE parent CASCADE",
            &[
                "Truncate relation public.child [cascade]",
                "Truncate relation public.grandchild [cascade]",
            ],
            &["Opaque"],
        ),
        (
            "a key that is checked",
            "ALTER TABLE child VALIDATE CONSTRAINT k",
            &["Read relation public.parent", "Read relation public.grandchild"],
            &["watched", "Opaque"],
        ),
        (
            "another type of a key",
            "ALTER TABLE child ALTER COLUMN id TYPE int8",
            &["Read relation public.parent", "Read relation public.grandchild"],
            &["watched", "Opaque"],
        ),
        (
            "a partition with keys",
            "ALTER TABLE parent ATTACH PARTITION log FOR VALUES IN (1)",
            &["Read relation public.watched", "Read relation public.child"],
            &["grandchild", "Opaque"],
        ),
        (
            "truncate alone",
            "TRUNCATE log",
            &["Truncate relation public.log"],
            &["child"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

#[test]
fn t08_rows_bring_expressions_sequences_and_types() {
    let mut made = Fixture::new();
    let sequence = made.sequence("t_id_seq");
    let identity = made.sequence("t_n_seq");
    made.domain("mail", "text", "public.is_mail(VALUE)");
    let table = made.table("t", "id int8,n int8,address mail,twice int4");
    let _ = sequence;
    made.column(table, "id").default = Some("nextval('public.t_id_seq'::regclass)".into());
    made.column(table, "n").identity = identity;
    made.column(table, "twice").default = Some("public.twice(1)".into());
    made.column(table, "twice").is_generated = true;
    made.get(table).checks = ["public.fine(id)".into()].into();
    made.get(table).index_expressions = ["public.indexed(n)".into()].into();
    for (signature, returns) in [
        ("is_mail(x text)", "bool"),
        ("twice(x int4)", "int4"),
        ("fine(x int8)", "bool"),
        ("indexed(x int8)", "int8"),
    ] {
        made.c(signature, returns);
    }
    let world = made.world();
    let all = [
        "Update sequence public.t_id_seq",
        "Update sequence public.t_n_seq",
        "Opaque function public.is_mail",
        "Opaque function public.twice",
        "Opaque function public.fine",
        "Opaque function public.indexed",
    ];
    check("insert", &world, "INSERT INTO t VALUES (1)", &all, &[]);
    check("copy", &world, "COPY t FROM STDIN", &all, &[]);
    check("read", &world, "SELECT id FROM t", &[], &["Opaque", "Update"]);
    check(
        "cast",
        &world,
        "SELECT 'x'::mail",
        &["Opaque function public.is_mail"],
        &[],
    );
    check(
        "check added",
        &world,
        "ALTER TABLE t ADD CHECK (id > 0)",
        &["Opaque function public.fine"],
        &[],
    );
    check(
        "reindex",
        &world,
        "REINDEX TABLE t",
        &["Opaque function public.indexed"],
        &[],
    );
}

#[test]
fn t08_columns_change_that_no_statement_sets() {
    let mut made = Fixture::new();
    made.table("hit", "id int4");
    made.domain("small", "int4", "public.is_small(VALUE)");
    made.sql(
        "is_small(x int4)",
        "bool",
        "INSERT INTO public.hit VALUES (x); SELECT true",
    );
    let generated = made.table("g", "a int4,k int4");
    made.column(generated, "k").is_generated = true;
    made.column(generated, "k").default = Some("a + 1".into());
    let child = made.table("gc", "id int4,k int4");
    made.key(child, generated, KeyAction::Cascade);
    made.catalog.foreign_keys[0].parent_columns = [2].into();
    let set = made.table("h", "a int4,id int4");
    made.trigger(set, &[Event::Update], "BEGIN NEW.id := 5; RETURN NEW; END");
    made.get(set).triggers[0].sets_row = true;
    let other = made.table("hc", "id int4,k int4");
    made.key(other, set, KeyAction::Cascade);
    made.catalog.foreign_keys[1].parent_columns = [2].into();
    let typed = made.table("typed", "a int4,b small");
    made.trigger(typed, &[Event::Delete], "BEGIN NEW.b := 4; RETURN OLD; END");
    let view = made.view("v", "id int4", "SELECT plain.id FROM public.plain");
    made.table("plain", "id int4");
    made.column(view, "id").default = Some("public.is_small(1)::int4".into());
    let parted = made.relation("parted", RelationKind::Partitioned, "id int4");
    made.get(parted).partition_expressions = ["public.is_small(id)".into()].into();
    let part = made.table("part", "id int4");
    made.get(part).parents.push(parted);
    let world = made.world();
    let hit = &["Insert relation public.hit"][..];
    for (name, sql, want, never) in [
        (
            "a generated key",
            "UPDATE g SET a = 5",
            &["Update relation public.gc (k) [cascade]"][..],
            &["Opaque"][..],
        ),
        (
            "a key that a trigger sets",
            "UPDATE h SET a = 5 WHERE a = 1",
            &["Update relation public.hc (k) [cascade]"],
            &["Opaque"],
        ),
        (
            "a type of what a trigger sets",
            "DELETE FROM typed",
            hit,
            &["Opaque"],
        ),
        (
            "a view's own default",
            "INSERT INTO v DEFAULT VALUES",
            hit,
            &["Opaque"],
        ),
        (
            "the keys above a partition",
            "INSERT INTO part VALUES (1)",
            hit,
            &["Opaque"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

/// Triggers of statements change nothing about a view's being a window to the table below.
#[test]
fn t08_only_triggers_instead_stand_for_a_view() {
    for (instead, is_written) in [(false, true), (true, false)] {
        let mut made = Fixture::new();
        made.table("t", "id int4");
        let view = made.view("v", "id int4", "SELECT t.id FROM public.t");
        made.trigger(view, &[Event::Delete], "BEGIN RETURN NULL; END");
        made.get(view).triggers[0].instead = instead;
        let world = made.world();
        let analysis = analyze("DELETE FROM v", &Limits::default(), &world);
        let effects: Vec<String> = analysis.statements[0]
            .effects
            .iter()
            .map(ToString::to_string)
            .collect();
        let found = effects
            .iter()
            .any(|effect| effect.starts_with("Delete relation public.t"));
        assert_eq!(found, is_written, "{effects:?}");
    }
}

/// It runs when the transaction ends, and the search path of who wrote the row is no more.
#[test]
fn t08_a_deferrable_trigger_finds_names_as_the_session_does() {
    for (is_deferrable, harms) in [(false, &["Delete"][..]), (true, &[])] {
        let mut made = Fixture::new();
        made.table("victims", "id int4");
        let table = made.table("t", "id int4");
        made.sql("helper()", "int4", "DELETE FROM victims; SELECT 1");
        let writes = made.sql("writes()", "int4", "INSERT INTO public.t VALUES (1); SELECT 1");
        made.get_function(writes).settings = [("search_path".into(), "hidden".into())].into();
        let body = "BEGIN PERFORM helper(); RETURN NULL; END";
        if is_deferrable {
            made.deferrable_trigger(table, &[Event::Insert], body);
        } else {
            made.trigger(table, &[Event::Insert], body);
        }
        made.schema("hidden");
        made.table("seen", "id int4");
        made.sql("helper()", "int4", "INSERT INTO hidden.seen VALUES (1); SELECT 1");
        let world = made.world();
        let want: &[&str] = if is_deferrable {
            &["Delete relation public.victims", "Insert relation hidden.seen"]
        } else {
            &["Insert relation hidden.seen"]
        };
        check("by its search path", &world, "SELECT writes()", want, harms);
    }
}
