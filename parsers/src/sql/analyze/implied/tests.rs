//! What statements make run, in databases made by hand. Each row names what must be among the effects, and what not.

use super::super::fixture::{Fixture, OTHER};
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{CastContext, Event, KeyAction, Oid, RelationKind, Volatility};
use crate::sql::effect::{Action, EffectFlags};
use crate::sql::lineage::{BaseColumn, Lineage};
use crate::sql::statement::Statement;
use crate::sql::world::{SessionNames, Touched, TouchedNames, World};

/// The effects of a text, one line each.
fn effects(world: &World, sql: &str) -> Vec<String> {
    let analysis = analyze(sql, &Limits::default(), world);
    let all = analysis
        .statements
        .iter()
        .flat_map(|statement| &statement.effects);
    all.map(ToString::to_string).collect()
}

/// Whether a line is among the effects; `want` may leave out what follows: columns and flags.
#[track_caller]
fn check(name: &str, world: &World, sql: &str, want: &[&str], never: &[&str]) {
    let found = effects(world, sql);
    for line in want {
        assert!(
            found.iter().any(|known| known.starts_with(line)),
            "{name}: no `{line}` in {found:#?}"
        );
    }
    for line in never {
        assert!(
            !found.iter().any(|known| known.contains(line)),
            "{name}: `{line}` in {found:#?}"
        );
    }
}

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
fn t08_rules_views_and_policies_are_followed() {
    let mut made = Fixture::new();
    let table = made.table("t", "id int4,v text");
    made.table("log", "line text");
    made.rule(
        table,
        Event::Insert,
        false,
        "CREATE RULE r AS ON INSERT TO public.t DO INSERT INTO public.log VALUES (new.v)",
    );
    let hidden = made.table("hidden", "id int4,v text");
    made.view("simple", "id int4,v text", "SELECT t.id, t.v FROM public.t");
    let inner = made.view(
        "inner_view",
        "n int4,w text",
        "SELECT t.id AS n, t.v AS w FROM public.t",
    );
    made.rule(
        inner,
        Event::Update,
        false,
        "CREATE RULE r AS ON UPDATE TO public.inner_view DO ALSO DELETE FROM public.hidden",
    );
    made.view(
        "outer_view",
        "x text,y int4,z int4",
        "SELECT inner_view.w AS x, inner_view.n AS y, (SELECT count(*) FROM public.hidden)::int4 AS z \
         FROM public.inner_view",
    );
    let instead = made.view("instead", "id int4", "SELECT 1 AS id");
    made.rule(
        instead,
        Event::Delete,
        true,
        "CREATE RULE r AS ON DELETE TO public.instead DO INSTEAD DELETE FROM public.hidden",
    );
    let trigger_view = made.view("by_trigger", "id int4", "SELECT 1 AS id");
    made.trigger(
        trigger_view,
        &[Event::Insert],
        "BEGIN DELETE FROM hidden; RETURN NEW; END",
    );
    let secret = made.table("secret", "id int4,owner text");
    made.get(secret).owner = OTHER;
    made.policy(secret, "public.may_see(owner)");
    made.sql(
        "may_see(who text)",
        "bool",
        "INSERT INTO public.log VALUES (who); SELECT true",
    );
    let _ = hidden;
    let world = made.world();
    for (name, sql, want, never) in [
        (
            "rule",
            "INSERT INTO t VALUES (1, 'x')",
            &["Insert relation public.log"][..],
            &["Opaque"][..],
        ),
        (
            "through a view",
            "INSERT INTO simple VALUES (1, 'x')",
            &["Insert relation public.t", "Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "through a view over a view",
            "UPDATE outer_view SET x = 'y'",
            &[
                "Update relation public.outer_view (x) [unfiltered]",
                "Update relation public.inner_view (w) [unfiltered]",
                "Update relation public.t (v) [unfiltered]",
                "Delete relation public.hidden",
            ],
            &["Opaque"],
        ),
        (
            "through a view that reads another table",
            "DELETE FROM outer_view WHERE y = 1",
            &["Delete relation public.inner_view", "Delete relation public.t"],
            &["Opaque", "Delete relation public.hidden"],
        ),
        (
            "rule on a view",
            "DELETE FROM instead",
            &["Delete relation public.hidden"],
            &["Opaque"],
        ),
        (
            "trigger on a view",
            "INSERT INTO by_trigger VALUES (1)",
            &["Delete relation public.hidden"],
            &["Opaque"],
        ),
        (
            "policy",
            "SELECT id FROM secret",
            &["Read relation public.secret", "Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "another session's view",
            "SELECT * FROM pg_temp_3.simple",
            &["Opaque", "Read relation pg_temp_3.simple"],
            &[],
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
fn t08_children_and_foreign_tables_are_reached() {
    let mut made = Fixture::new();
    let parent = made.relation("parted", RelationKind::Partitioned, "id int4");
    let part = made.table("part", "id int4");
    made.get(part).parents.push(parent);
    made.table("log", "line text");
    made.trigger(
        part,
        &[Event::Insert],
        "BEGIN INSERT INTO log VALUES ('x'); RETURN NEW; END",
    );
    let server = made.foreign_server("file_fdw", true);
    let file = made.relation("file", RelationKind::Foreign, "line text");
    made.get(file).foreign_server = server;
    let far = made.foreign_server("postgres_fdw", false);
    let remote = made.relation("remote", RelationKind::Foreign, "line text");
    made.get(remote).foreign_server = far;
    let world = made.world();
    for (name, sql, want, never) in [
        (
            "read",
            "SELECT * FROM parted",
            &["Read relation public.part"][..],
            &["Opaque"][..],
        ),
        (
            "insert",
            "INSERT INTO parted VALUES (1)",
            &["Insert relation public.part", "Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "a row that moves",
            "UPDATE parted SET id = 2",
            &["Update relation public.part", "Insert relation public.log"],
            &["Opaque"],
        ),
        (
            "program",
            "SELECT * FROM file",
            &["Read relation public.file [program,file,foreign]"],
            &["Opaque"],
        ),
        (
            "another server",
            "DELETE FROM remote",
            &["Delete relation public.remote [foreign]"],
            &["Opaque"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

#[test]
fn t07_bodies_are_read_and_volatility_is_no_evidence() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    made.table("other", "id int4");
    made.schema("hidden");
    made.table("other", "id int4");
    let pinned = made.sql("pinned()", "void", "DELETE FROM other");
    made.get_function(pinned).settings = [("search_path".into(), "hidden".into())].into();
    let definer = made.sql("definer()", "void", "DELETE FROM public.t");
    made.get_function(definer).security_definer = true;
    made.get_function(definer).owner = OTHER;
    let immutable = made.sql("immutable()", "int4", "SELECT public.volatile()");
    made.get_function(immutable).volatility = Volatility::Immutable;
    let own = made.sql("own()", "void", "CREATE SCHEMA AUTHORIZATION CURRENT_USER");
    made.get_function(own).security_definer = true;
    let through = made.sql("through()", "void", "SELECT public.own()");
    made.get_function(through).security_definer = true;
    made.get_function(through).owner = OTHER;
    for function in [pinned, definer, immutable, own, through] {
        made.get_function(function).schema = public(&made);
    }
    let schema = public(&made);
    for (signature, body) in [
        ("volatile()", "DELETE FROM public.t; SELECT 1"),
        ("standard()", "BEGIN ATOMIC DELETE FROM public.t; SELECT 1; END"),
        ("returned()", "RETURN public.volatile()"),
    ] {
        let oid = made.sql(signature, "int4", body);
        made.get_function(oid).schema = schema;
    }
    for (signature, body) in [
        (
            "branches()",
            "BEGIN IF random() > 0.5 THEN PERFORM public.volatile(); END IF; RETURN 1; END",
        ),
        (
            "constant()",
            "BEGIN EXECUTE 'DELETE FROM ' || 'public.t'; RETURN 1; END",
        ),
        (
            "dynamic(x text)",
            "BEGIN EXECUTE format('DELETE FROM %I', x); RETURN 1; END",
        ),
        (
            "default_value()",
            "DECLARE x int := public.volatile(); BEGIN RETURN x; END",
        ),
        (
            "harmless(x int4)",
            "DECLARE y int; BEGIN y := x + 1; IF y > 3 THEN y := 0; END IF; RETURN y; END",
        ),
        ("unreadable()", "BEGIN this is no PL/pgSQL"),
    ] {
        let oid = made.plpgsql(signature, "int4", body);
        made.get_function(oid).schema = schema;
    }
    let native = made.c("native()", "int4");
    made.get_function(native).schema = schema;
    let world = made.world();
    let deletes = "Delete relation public.t";
    for (name, sql, want, never) in [
        ("immutable", "SELECT immutable()", &[deletes][..], &["Opaque"][..]),
        ("explained", "EXPLAIN SELECT immutable()", &[deletes], &["Opaque"]),
        ("standard body", "SELECT standard()", &[deletes], &["Opaque"]),
        ("standard return", "SELECT returned()", &[deletes], &["Opaque"]),
        (
            "own path",
            "SELECT pinned()",
            &["Delete relation hidden.other"],
            &["public.other", "Opaque"],
        ),
        (
            "owner's rights",
            "SELECT definer()",
            &["Delete relation public.t [unfiltered,other_user]"],
            &["Opaque"],
        ),
        (
            "one's own rights within another's",
            "SELECT through()",
            &["Create schema app"],
            &["Opaque", "Create schema app [other_user]", "Create schema other"],
        ),
        ("branch", "SELECT branches()", &[deletes], &["Opaque"]),
        ("constant text", "SELECT constant()", &[deletes], &["Opaque"]),
        ("computed text", "SELECT dynamic('x')", &["Opaque EXECUTE"], &[]),
        ("initial value", "SELECT default_value()", &[deletes], &["Opaque"]),
        ("harmless", "SELECT harmless(1)", &[], &["Opaque", "Delete"]),
        (
            "unreadable",
            "SELECT unreadable()",
            &["Opaque function public.unreadable"],
            &[],
        ),
        (
            "native",
            "SELECT native()",
            &["Opaque function public.native"],
            &[],
        ),
        ("DO", "DO $$ BEGIN DELETE FROM t; END $$", &[deletes], &["Opaque"]),
        (
            "DO in another language",
            "DO LANGUAGE plperl 'x'",
            &["Opaque"],
            &[],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

fn public(made: &Fixture) -> Oid {
    let found = made
        .catalog
        .schemas
        .values()
        .find(|schema| &*schema.name == "public");
    found.expect("it is there").oid
}

#[test]
fn t07_listed_functions_are_taken_for_harmless() {
    let mut made = Fixture::new();
    let native = made.c("native()", "int4");
    let mut world = made.world();
    check("unlisted", &world, "SELECT native()", &["Opaque"], &[]);
    std::sync::Arc::make_mut(&mut world.listed).insert(native);
    check("listed", &world, "SELECT native()", &[], &["Opaque"]);
}

#[test]
fn t07_listed_functions_that_find_their_callers_names_are_harmless_under_the_logins() {
    let mut made = Fixture::new();
    let native = made.c("native()", "int4");
    let text = "BEGIN EXECUTE 'SELECT run()'; END";
    let unpinned = made.plpgsql("unpinned()", "void", text);
    let pinned = made.plpgsql("pinned()", "void", text);
    made.get_function(pinned).settings = [("search_path".into(), "public, pg_temp".into())].into();
    let outer = made.plpgsql("outer()", "void", "BEGIN PERFORM public.unpinned(); END");
    made.get_function(outer).settings = [("search_path".into(), "public, app".into())].into();
    let world = made.world();
    let world = World {
        listed: std::sync::Arc::new([native, unpinned, pinned].into_iter().collect()),
        ..world
    };
    let session = |change: &dyn Fn(&mut SessionNames)| {
        let mut world = world.clone();
        change(std::sync::Arc::make_mut(&mut world.session));
        world
    };
    let calls = ["native()", "pinned()", "unpinned()"];
    for (name, world, is_usual) in [
        ("as it began", session(&|_| ()), true),
        (
            "another path",
            session(&|names| {
                names.search_path = ["app".into(), "public".into()].into();
                names.path_is_default = false;
            }),
            false,
        ),
        (
            "temporary objects",
            session(&|names| names.temporary_schema = Oid(90_000)),
            false,
        ),
        (
            "a table of its own making",
            session(&|names| names.touched = Touched::Names(["mine".into()].into_iter().collect())),
            false,
        ),
    ] {
        for call in calls {
            let sql = format!("SELECT public.{call}");
            let found = effects(&world, &sql)
                .iter()
                .any(|effect| effect.starts_with("Opaque"));
            assert_eq!(found, call == "unpinned()" && !is_usual, "{name}: {call}");
        }
    }
    let usual = session(&|_| ());
    check(
        "a path that a caller sets",
        &usual,
        "SELECT public.outer()",
        &["Opaque"],
        &[],
    );
    check(
        "a path that the text sets",
        &usual,
        "SET search_path = app; SELECT public.unpinned()",
        &["Opaque"],
        &[],
    );
}

#[test]
fn t08_operators_casts_and_types_run_functions() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    let compare = made.sql(
        "compare(a int4, b text)",
        "bool",
        "DELETE FROM public.t; SELECT true",
    );
    made.operator("===", "int4", "text", compare);
    let input = made.c("odd_in(x cstring)", "text");
    made.base_type("odd", input);
    let row = made.type_named("t");
    let to_text = made.sql("row_text(m t)", "text", "DELETE FROM public.t; SELECT 'x'");
    let text = made.type_named("text");
    made.cast(row, text, to_text);
    made.plpgsql(
        "assigns(m t)",
        "int4",
        "DECLARE x text; BEGIN x := m; RETURN 1; END",
    );
    let world = made.world();
    check(
        "cast",
        &world,
        "SELECT assigns(NULL)",
        &["Delete relation public.t"],
        &["Opaque"],
    );
    check(
        "operator",
        &world,
        "SELECT 1 === 'a'::text",
        &["Delete relation public.t"],
        &["Opaque"],
    );
    check(
        "input",
        &world,
        "SELECT 'a'::odd",
        &["Opaque function public.odd_in"],
        &[],
    );
}

#[test]
fn t08_ddl_fires_event_triggers() {
    let mut made = Fixture::new();
    made.table("log", "line text");
    made.event_trigger("BEGIN INSERT INTO log VALUES (tg_tag); END");
    let world = made.world();
    for sql in [
        "CREATE TABLE x (a int)",
        "DROP TABLE log",
        "CREATE TABLE x AS SELECT 1",
        "COMMENT ON TABLE log IS 'x'",
    ] {
        check(sql, &world, sql, &["Insert relation public.log"], &["Opaque"]);
    }
    check("no DDL", &world, "SELECT 1", &[], &["log"]);
}

#[test]
fn t14_what_calls_itself_ends() {
    let mut made = Fixture::new();
    let one = made.table("one", "id int4,other int4");
    let two = made.table("two", "id int4,other int4");
    made.key(one, two, KeyAction::Cascade);
    made.key(two, one, KeyAction::Cascade);
    made.trigger(one, &[Event::Delete], "BEGIN DELETE FROM two; RETURN OLD; END");
    made.trigger(
        two,
        &[Event::Delete],
        "BEGIN DELETE FROM one; PERFORM ping(); RETURN OLD; END",
    );
    made.sql("ping()", "int4", "SELECT pong()");
    made.sql("pong()", "int4", "SELECT ping()");
    let mut before = "SELECT 1 AS id".to_owned();
    for level in 0..60 {
        made.view(&format!("v{level}"), "id int4", &before);
        before = format!("SELECT v{level}.id FROM public.v{level}");
    }
    let long: Vec<String> = (0..400).map(|n| format!("PERFORM f{n}();")).collect();
    let long = long.concat();
    for n in 0..400 {
        made.plpgsql(&format!("f{n}()"), "int4", &format!("BEGIN {long} RETURN 1; END"));
    }
    let world = made.world();
    check(
        "cycle",
        &world,
        "DELETE FROM one",
        &["Delete relation public.two"],
        &["Opaque"],
    );
    check("deep views", &world, "SELECT * FROM v59", &["Opaque"], &[]);
    check("many bodies", &world, "SELECT f0()", &["Opaque"], &[]);
}

#[test]
fn t07_defaults_run_where_arguments_are_named() {
    let mut made = Fixture::new();
    made.table("hit", "id int4");
    made.plpgsql(
        "strike()",
        "int4",
        "BEGIN INSERT INTO hit VALUES (1); RETURN 1; END",
    );
    let asked = made.plpgsql("asked(b int4, a int4)", "int4", "BEGIN RETURN 1; END");
    made.get_function(asked).defaults = 1;
    made.get_function(asked).default_expressions = ["public.strike()".into()].into();
    let world = made.world();
    for (name, sql, want, never) in [
        (
            "by name",
            "SELECT asked(b => 1)",
            &["Insert relation public.hit"][..],
            &["Opaque"][..],
        ),
        (
            "by place",
            "SELECT asked(1)",
            &["Insert relation public.hit"],
            &["Opaque"],
        ),
        (
            "given",
            "SELECT asked(b => 1, a => 2)",
            &[],
            &["Insert", "Opaque"],
        ),
        (
            "in FROM",
            "SELECT * FROM asked(b => 1)",
            &["Insert relation public.hit"],
            &["Opaque"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
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

/// Rights decide which schemas a name is looked for in.
#[test]
fn t12_rights_decide_what_names_mean() {
    let mut made = Fixture::new();
    made.table("plain", "id int4");
    let world = made.world();
    for change in [
        "REVOKE USAGE ON SCHEMA public FROM app",
        "GRANT other TO app",
        "ALTER ROLE app NOINHERIT",
        "ALTER SCHEMA public OWNER TO other",
        "DROP ROLE other",
        "REASSIGN OWNED BY app TO other",
    ] {
        let analysis = analyze(
            &format!("{change}; DELETE FROM plain"),
            &Limits::default(),
            &world,
        );
        let effects: Vec<String> = analysis.statements[1]
            .effects
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            effects
                .iter()
                .any(|effect| effect.contains("unfiltered,uncertain")),
            "{change}: {effects:?}"
        );
    }
    let plain = analyze(
        "GRANT SELECT ON plain TO other; DELETE FROM plain",
        &Limits::default(),
        &world,
    );
    assert!(
        !plain.statements[1]
            .effects
            .iter()
            .any(|effect| effect.to_string().contains("uncertain"))
    );
}

#[test]
fn t10_what_is_new_may_bring_code() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    made.domain("d", "int4", "true");
    let world = made.world();
    for (sql, is_opaque) in [
        ("CREATE TABLE x (q d); INSERT INTO x VALUES (1)", true),
        (
            "CREATE TABLE x (LIKE t INCLUDING ALL); INSERT INTO x VALUES (1)",
            true,
        ),
        (
            "CREATE TABLE x AS SELECT 1::d AS q; INSERT INTO x VALUES (1)",
            true,
        ),
        ("ALTER TABLE t ADD q d; INSERT INTO t VALUES (1)", true),
        (
            "CREATE TABLE x (id serial, q text[]); INSERT INTO x VALUES (1)",
            false,
        ),
        (
            "CREATE FUNCTION g(t) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT x.g FROM t x",
            true,
        ),
        ("ALTER FUNCTION f(t) RENAME TO g; SELECT (x).g FROM t x", true),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        let last = analysis.statements.last().expect("statements");
        assert_eq!(
            last.mask().contains(Action::Opaque),
            is_opaque,
            "{sql}: {:?}",
            last.effects
        );
    }
}

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

/// A check knows what type its VALUE is of.
#[test]
fn t08_checks_of_domains_know_their_type() {
    let mut made = Fixture::new();
    made.table("hit", "id int4");
    made.sql("is_even(x int4)", "bool", "SELECT x % 2 = 0");
    made.domain("even", "int4", "public.is_even(VALUE)");
    made.table("t", "id int4");
    let cast = made.sql(
        "as_int(p t)",
        "int4",
        "INSERT INTO public.hit VALUES (1); SELECT 1",
    );
    let (row, int) = (made.type_named("t"), made.type_named("int4"));
    made.cast(row, int, cast);
    let world = made.world();
    check("a domain", &world, "SELECT 6::even", &[], &["Insert", "Opaque"]);
}

/// Of catalogs that tell of values and secrets, the columns that do not are as those of others.
#[test]
fn t15_secrets_of_catalogs_are_in_some_columns() {
    let world = World::built_in(15);
    for (sql, is_sensitive) in [
        (
            "SELECT tablename, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'public'",
            false,
        ),
        ("SELECT most_common_vals FROM pg_stats", true),
        (
            "SELECT tablename FROM pg_stats WHERE histogram_bounds::text LIKE '%x%'",
            true,
        ),
        ("SELECT * FROM pg_stats", true),
        ("SELECT s FROM pg_stats s", true),
        ("SELECT s::text FROM pg_stats s", true),
        ("SELECT to_jsonb(s) FROM pg_stats s", true),
        ("SELECT count(*) FROM pg_stats", true),
        ("SELECT x.c FROM pg_stats AS x(a, b, c)", false),
        (
            "SELECT * FROM pg_stats JOIN (VALUES ('a')) v(most_common_vals) USING (most_common_vals)",
            true,
        ),
        ("SELECT subname, subenabled FROM pg_subscription", false),
        ("SELECT subconninfo FROM pg_subscription", true),
        ("SELECT srvname, usename FROM pg_user_mappings", false),
        ("SELECT umoptions FROM pg_user_mappings", true),
        ("SELECT rolname FROM pg_authid", false),
        ("SELECT pid FROM pg_stat_activity", true),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        let mut effects = analysis.statements[0].effects.iter();
        let found = effects.any(|effect| effect.flags.contains(EffectFlags::SENSITIVE));
        assert_eq!(found, is_sensitive, "{sql}: {:?}", analysis.statements[0].effects);
    }
}

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

#[test]
fn t10_statements_tell_which_names_they_touch() {
    let mut made = Fixture::new();
    let table = made.table("t", "id int4");
    let world = made.world();
    let names = |names: &[&str]| Touched::Names(names.iter().map(|name| (*name).into()).collect());
    let code = |some: &[&str]| match names(some) {
        Touched::Names(touched) => Touched::Names(TouchedNames {
            ties_code: true,
            ..touched
        }),
        other => other,
    };
    let renamed = match names(&["_u", "t", "u"]) {
        Touched::Names(touched) => Touched::Names(TouchedNames {
            renamed: [("u".into(), table)].into(),
            ..touched
        }),
        other => other,
    };
    for (sql, want) in [
        ("SELECT * FROM t", Touched::Nothing),
        ("INSERT INTO t VALUES (1)", Touched::Nothing),
        ("CREATE TABLE x (a int)", names(&["_x", "x"])),
        ("CREATE TABLE x AS SELECT 1", names(&["_x", "x"])),
        ("CREATE TABLE x (a int REFERENCES t)", code(&["_x", "t", "x"])),
        ("CREATE TABLE x () INHERITS (t)", code(&["_x", "t", "x"])),
        ("CREATE VIEW x AS SELECT 1", code(&["_x", "x"])),
        ("ALTER TABLE t ADD b int", names(&["t"])),
        ("ALTER TABLE t ADD b int REFERENCES t", code(&["t"])),
        ("ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES t", code(&["t"])),
        ("ALTER TABLE t RENAME TO u", renamed),
        ("ALTER TABLE t RENAME id TO u", names(&["_u", "id", "t", "u"])),
        ("DROP TABLE t", names(&["t"])),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            code(&["f"]),
        ),
        (
            "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()",
            code(&["t"]),
        ),
        ("DROP SCHEMA public CASCADE", Touched::Everything),
        ("CREATE EXTENSION x", Touched::Everything),
        ("DO $$ BEGIN CREATE TABLE y (a int); END $$", names(&["_y", "y"])),
        ("LOAD 'x'", Touched::Everything),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        assert_eq!(analysis.statements[0].touches, want, "{sql}");
    }
}

/// What a statement of the same text made is not in the catalog: plain tables run nothing, all else may.
#[test]
fn t10_new_relations_with_code_are_opaque() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    let world = made.world();
    for (sql, is_opaque) in [
        ("CREATE TABLE x (a int); INSERT INTO x VALUES (1)", false),
        (
            "CREATE TABLE x (a int); CREATE INDEX ON x (a); SELECT * FROM x",
            false,
        ),
        ("SELECT 1 AS a INTO x; UPDATE x SET a = 2", false),
        ("INSERT INTO missing VALUES (1)", false),
        (
            "CREATE TABLE x (a int); CREATE TRIGGER g BEFORE INSERT ON x EXECUTE FUNCTION f(); \
             INSERT INTO x VALUES (1)",
            true,
        ),
        ("CREATE VIEW x AS SELECT * FROM t; SELECT * FROM x", true),
        ("ALTER TABLE t RENAME TO x; DELETE FROM x", false),
        (
            "CREATE VIEW v AS SELECT * FROM t; ALTER VIEW v RENAME TO x; DELETE FROM x",
            true,
        ),
        (
            "CREATE TABLE x (a int REFERENCES t); INSERT INTO x VALUES (1)",
            true,
        ),
        (
            "CREATE TABLE x (a int); CREATE RULE r AS ON INSERT TO x DO ALSO DELETE FROM t; COPY x FROM STDIN",
            true,
        ),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        let last = analysis.statements.last().expect("statements");
        let found = last.effects.iter().any(|effect| effect.action == Action::Opaque);
        assert_eq!(found, is_opaque, "{sql}: {:?}", last.reasons);
    }
}

#[test]
fn t09_definitions_are_what_they_are_and_code_is_opaque() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    let world = made.world();
    for (sql, want, never) in [
        (
            "CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
            "Create function lower",
            "Opaque",
        ),
        (
            "CREATE OPERATOR + (LEFTARG = int, RIGHTARG = text, FUNCTION = f)",
            "Create operator +",
            "Opaque",
        ),
        (
            "CREATE CAST (text AS int) WITHOUT FUNCTION",
            "Create type pg_catalog.int4",
            "Opaque",
        ),
        (
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
            "Alter relation public.t",
            "Opaque",
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO NOTHING",
            "Create object r",
            "Opaque",
        ),
        ("CREATE INDEX i ON t (id)", "Read relation public.t", "Opaque"),
        (
            "CREATE TABLE s (id serial PRIMARY KEY)",
            "Create sequence s_id_seq",
            "Opaque",
        ),
        (
            "CREATE TABLE s (id int PRIMARY KEY)",
            "Create relation s_pkey",
            "Opaque",
        ),
        ("GRANT SELECT ON t TO x", "Grant relation public.t", "Opaque"),
        (
            "COMMENT ON COLUMN t.id IS 'x'",
            "Alter relation public.t",
            "Opaque",
        ),
        (
            "DROP TABLE t CASCADE",
            "Drop relation public.t [cascade]",
            "Opaque",
        ),
        ("VACUUM", "Admin", "Opaque"),
        ("ANALYZE t", "Read relation public.t", "Opaque"),
        ("LOCK TABLE t", "Lock relation public.t", "Opaque"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x'",
            "Opaque function f",
            "never",
        ),
        ("CREATE EXTENSION x", "Opaque extension x", "never"),
        ("LOAD 'x'", "Opaque library x", "never"),
        ("CREATE LANGUAGE l HANDLER f", "Opaque", "never"),
    ] {
        check(sql, &world, sql, &[want], &[never]);
    }
}

#[test]
fn t07_functions_that_run_text_run_what_is_constant() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    made.sql("kills()", "int4", "DELETE FROM public.t; SELECT 1");
    let world = made.world();
    for (sql, want, never) in [
        (
            "SELECT query_to_xml('SELECT kills()', true, true, '')",
            "Delete relation public.t",
            "Opaque",
        ),
        (
            "SELECT table_to_xml('t', true, true, '')",
            "Read relation public.t",
            "Opaque",
        ),
        (
            "SELECT query_to_xml('SELECT ' || 'kills()', true, true, '')",
            "Opaque",
            "never",
        ),
        ("SELECT query_to_xml($1, true, true, '')", "Opaque", "never"),
        (
            "SELECT schema_to_xml('public', true, true, '')",
            "Opaque",
            "never",
        ),
        ("SELECT nextval($1)", "Update sequence [uncertain]", "Opaque"),
        ("SELECT set_config($1, 'x', true)", "Opaque", "never"),
        (
            "SELECT pg_read_file('/etc/passwd')",
            "Copy path /etc/passwd [file]",
            "never",
        ),
        (
            "SELECT lo_import('/etc/passwd')",
            "Opaque function lo_import",
            "never",
        ),
        ("SELECT pg_sleep(1)", "Execute function pg_sleep", "Opaque"),
        (
            "SELECT pg_terminate_backend(1)",
            "Admin function pg_terminate_backend [other_user]",
            "Opaque",
        ),
    ] {
        check(sql, &world, sql, &[want], &[never]);
    }
}

#[test]
fn t05_what_is_prepared_has_the_effects_of_what_it_runs() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    made.sql("kills(x int4)", "int4", "DELETE FROM public.t; SELECT 1");
    let world = made.world();
    let deletes = &["Delete relation public.t"][..];
    check(
        "prepare",
        &world,
        "PREPARE p(int) AS SELECT kills($1)",
        deletes,
        &["Opaque"],
    );
    check(
        "cursor",
        &world,
        "DECLARE c CURSOR FOR SELECT kills(1)",
        deletes,
        &["Opaque"],
    );
    check("argument", &world, "EXECUTE p(kills(1))", deletes, &["Opaque"]);
    let analysis = analyze("EXECUTE p", &Limits::default(), &world);
    assert_eq!(analysis.statements[0].runs_prepared.as_deref(), Some("p"));
}

#[test]
fn t13_roles_change_in_bodies_too() {
    let mut made = Fixture::new();
    let sets = made.sql("sets()", "int4", "SELECT 1");
    made.get_function(sets).settings = [("role".into(), "other".into())].into();
    made.plpgsql("becomes()", "int4", "BEGIN SET LOCAL ROLE other; RETURN 1; END");
    let world = made.world();
    for sql in [
        "SELECT sets()",
        "SELECT becomes()",
        "DO $$ BEGIN SET ROLE other; END $$",
    ] {
        check(
            sql,
            &world,
            sql,
            &["SetRole role other [other_user]"],
            &["Opaque"],
        );
    }
}

#[test]
fn t03_bodies_change_what_their_own_names_mean() {
    let mut made = Fixture::new();
    made.table("t", "id int4");
    made.table("u", "id int4");
    made.view("v", "id int4", "SELECT u.id FROM public.u");
    made.plpgsql("quiet()", "int4", "BEGIN RETURN 1; END");
    made.plpgsql("asks()", "int4", "BEGIN PERFORM FROM t; RETURN 1; END");
    made.plpgsql(
        "sets(x text)",
        "int4",
        "BEGIN SET LOCAL search_path = s; RETURN 1; END",
    );
    made.plpgsql(
        "replaces()",
        "int4",
        "BEGIN CREATE OR REPLACE FUNCTION quiet() RETURNS int4 LANGUAGE sql AS 'SELECT 2'; RETURN 1; END",
    );
    made.plpgsql(
        "shadows()",
        "int4",
        "BEGIN CREATE TEMP TABLE t (id int4); RETURN 1; END",
    );
    made.sql(
        "in_order()",
        "int4",
        "CREATE TEMP TABLE t (id int4); SELECT id FROM t",
    );
    made.plpgsql(
        "commits()",
        "int4",
        "BEGIN SET search_path = s; ROLLBACK; PERFORM asks(); RETURN 1; END",
    );
    let fixed = made.plpgsql("fixed()", "int4", "BEGIN PERFORM FROM t; RETURN 1; END");
    made.get_function(fixed).settings = [("search_path".into(), "public".into())].into();
    made.event_trigger("BEGIN PERFORM FROM t; END");
    let world = made.world();
    let uncertain = &["Read relation public.t [uncertain]"][..];
    let opaque = &["Opaque"][..];
    for (name, sql, want, never) in [
        (
            "a table shadowed",
            "DO $$ BEGIN CREATE TEMP TABLE t (id int4); PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        (
            "before it in a loop",
            "DO $$ BEGIN LOOP PERFORM FROM t; CREATE TEMP TABLE t (id int4); END LOOP; END $$",
            uncertain,
            opaque,
        ),
        (
            "renamed",
            "DO $$ BEGIN ALTER TABLE u RENAME TO t; PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        (
            "dropped",
            "DO $$ BEGIN DROP TABLE t; PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        (
            "a function replaced",
            "DO $$ BEGIN PERFORM replaces(); PERFORM quiet(); END $$",
            opaque,
            &[],
        ),
        ("in another body", "SELECT asks(), shadows()", uncertain, opaque),
        (
            "the other way round",
            "SELECT shadows(), asks()",
            uncertain,
            opaque,
        ),
        (
            "of a function that is called",
            "SELECT quiet(), replaces()",
            opaque,
            &[],
        ),
        (
            "a view renamed to it",
            "DO $$ BEGIN ALTER VIEW v RENAME TO t; PERFORM FROM t; END $$",
            &["Read relation public.u"],
            opaque,
        ),
        (
            "a view renamed to it, in a text",
            "ALTER TABLE t RENAME TO w; ALTER VIEW v RENAME TO t; SELECT FROM t",
            &["Read relation public.u"],
            opaque,
        ),
        (
            "a trigger on what is made",
            "DO $$ BEGIN CREATE TEMP TABLE w (id int4); CREATE TRIGGER g BEFORE INSERT ON w EXECUTE FUNCTION quiet(); INSERT INTO w VALUES (1); END $$",
            opaque,
            &[],
        ),
        (
            "a view that is made",
            "DO $$ BEGIN CREATE TEMP VIEW w AS SELECT FROM u; PERFORM FROM w; END $$",
            opaque,
            &[],
        ),
        ("in an SQL body", "SELECT in_order()", uncertain, opaque),
        (
            "the search path",
            "DO $$ BEGIN SET search_path = s; PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        (
            "the search path, by a function",
            "DO $$ BEGIN PERFORM set_config('search_path', 's', true); PERFORM quiet(); END $$",
            opaque,
            &[],
        ),
        (
            "the role",
            "DO $$ BEGIN SET ROLE other; PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        (
            "the role as a name",
            "DO $$ BEGIN SET ROLE other; CREATE SCHEMA AUTHORIZATION CURRENT_USER; END $$",
            &["Create schema [uncertain]"],
            &["Create schema app"],
        ),
        (
            "all settings",
            "DO $$ BEGIN RESET ALL; PERFORM FROM t; END $$",
            uncertain,
            opaque,
        ),
        ("and rolled back", "SELECT commits()", opaque, &[]),
        (
            "beside a call",
            "SELECT set_config('search_path', 's', true), asks()",
            uncertain,
            opaque,
        ),
        ("by a call", "SELECT sets('s'), asks()", uncertain, opaque),
        (
            "with its own path",
            "SELECT set_config('search_path', 's', true), quiet()",
            &[],
            opaque,
        ),
        (
            "the table that is made",
            "CREATE TABLE t AS SELECT asks()",
            uncertain,
            opaque,
        ),
        (
            "what an event trigger looks up",
            "DROP TABLE t",
            uncertain,
            opaque,
        ),
        (
            "nothing of concern",
            "DO $$ BEGIN CREATE TEMP TABLE w (id int4); PERFORM FROM t; INSERT INTO w VALUES (1); PERFORM quiet(); END $$",
            &["Read relation public.t", "Insert relation w [uncertain]"],
            &["Opaque", "public.t [uncertain]"],
        ),
        (
            "another setting",
            "SELECT set_config('work_mem', '1MB', true), asks()",
            &["Read relation public.t"],
            &["Opaque", "public.t [uncertain]"],
        ),
        (
            "no body",
            "SELECT set_config('search_path', 's', true), id FROM t",
            &["Read relation public.t"],
            &["Opaque", "public.t (id) [uncertain]"],
        ),
        (
            "a path of its own alone",
            "SELECT fixed()",
            &["Read relation public.t"],
            &["Opaque", "public.t [uncertain]"],
        ),
        (
            "behind it",
            "DO $$ BEGIN CREATE TEMP TABLE t (id int4); END $$; SELECT FROM t",
            uncertain,
            opaque,
        ),
        (
            "a path behind it",
            "DO $$ BEGIN SET search_path = s; END $$; SELECT FROM t",
            uncertain,
            opaque,
        ),
    ] {
        check(name, &world, sql, want, never);
    }
}

/// A world in which some columns are named for masking: a table and the number of its column.
fn guarding(made: Fixture, columns: &[(Oid, i16)]) -> World {
    let columns = columns
        .iter()
        .map(|&(relation, number)| BaseColumn { relation, number });
    let mut world = made.world();
    world.protected = std::sync::Arc::new(columns.collect());
    world
}

#[test]
fn t16_a_trigger_hands_on_what_its_row_stores() {
    let mut made = Fixture::new();
    let cards = made.table("cards", "id int4,card text");
    made.plpgsql(
        "slug(x text)",
        "text",
        "DECLARE v text; BEGIN v := lower(x); RETURN v; END",
    );
    made.table("log", "line text");
    let bodies = [
        (
            "plain",
            false,
            "BEGIN NEW.note := upper(NEW.note); RETURN NEW; END",
        ),
        ("kept", false, "BEGIN NEW.card := trim(NEW.card); RETURN NEW; END"),
        (
            "stamped",
            false,
            "BEGIN IF TG_OP = 'UPDATE' THEN NEW.id := OLD.id + 1; END IF; RETURN NEW; END",
        ),
        (
            "called",
            false,
            "BEGIN NEW.note := slug(NEW.note); RETURN NEW; END",
        ),
        (
            "counted",
            false,
            "DECLARE v int; BEGIN v := 3; IF v > 2 THEN RAISE EXCEPTION 'x'; END IF; RETURN NEW; END",
        ),
        ("unset", false, "BEGIN RETURN NULL; END"),
        ("either", false, "BEGIN RETURN COALESCE(NEW, OLD); END"),
        ("named", false, "DECLARE n ALIAS FOR NEW; BEGIN RETURN n; END"),
        (
            "one_field",
            true,
            "BEGIN RETURN ROW(NEW.id, NEW.card, NEW.card); END",
        ),
        ("copied", true, "BEGIN NEW.note := NEW.card; RETURN NEW; END"),
        (
            "copied_by_equals",
            true,
            "BEGIN NEW.note = OLD.card; RETURN NEW; END",
        ),
        (
            "quoted",
            true,
            r#"BEGIN "new"."note" := NEW.card; RETURN NEW; END"#,
        ),
        (
            "labelled",
            true,
            "<<b>> BEGIN b.new.note := new.card; RETURN NEW; END",
        ),
        (
            "aliased",
            true,
            "DECLARE n ALIAS FOR NEW; BEGIN n.note := n.card; RETURN n; END",
        ),
        (
            "selected",
            true,
            "BEGIN SELECT NEW.card INTO NEW.note; RETURN NEW; END",
        ),
        (
            "several",
            true,
            "DECLARE v int; BEGIN SELECT 1, NEW.card INTO v, NEW.note; RETURN NEW; END",
        ),
        (
            "whole",
            true,
            "BEGIN SELECT 1, NEW.card, NEW.card INTO NEW; RETURN NEW; END",
        ),
        (
            "by_variable",
            true,
            "DECLARE v text; BEGIN v := NEW.card; NEW.note := v; RETURN NEW; END",
        ),
        (
            "logged_by_variable",
            true,
            "DECLARE v text; BEGIN v := NEW.card; INSERT INTO log VALUES (v); RETURN NEW; END",
        ),
        (
            "dynamic",
            true,
            "BEGIN EXECUTE 'SELECT $1' INTO NEW.note USING NEW.card; RETURN NEW; END",
        ),
        (
            "looped",
            true,
            "BEGIN FOR NEW.note IN SELECT NEW.card LOOP END LOOP; RETURN NEW; END",
        ),
        (
            "other_row",
            true,
            "DECLARE r record; BEGIN SELECT NEW.id, NEW.card, NEW.card INTO r; RETURN r; END",
        ),
        (
            "diagnosed",
            true,
            "BEGIN RAISE EXCEPTION '%', NEW.card; EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS NEW.note = MESSAGE_TEXT; RETURN NEW; END",
        ),
    ];
    let mut protected = vec![(cards, 2)];
    for (name, _, body) in bodies {
        let table = made.table(name, "id int4,card text,note text");
        made.trigger(table, &[Event::Insert, Event::Update], body);
        protected.push((table, 2));
    }
    let lookup = made.table("lookup", "id int4,card text,note text");
    made.trigger(
        lookup,
        &[Event::Insert, Event::Update],
        "BEGIN NEW.note := card FROM cards WHERE id = NEW.id; RETURN NEW; END",
    );
    let other = made.table("other", "id int4,note text");
    made.trigger(
        other,
        &[Event::Update],
        "DECLARE v text; BEGIN SELECT card INTO v FROM cards; NEW.note := v; RETURN NEW; END",
    );
    let world = guarding(made, &protected);
    for (name, leaks, _) in bodies {
        let sql = format!("UPDATE {name} SET id = 1");
        let leak = format!("Leak relation public.{name} (card)");
        let (want, never) = if leaks {
            (vec![&*leak], vec!["Opaque"])
        } else {
            (vec![], vec!["Leak", "Filter", "Opaque"])
        };
        check(name, &world, &sql, &want, &never);
    }
    for sql in ["INSERT INTO lookup (id) VALUES (1)", "UPDATE other SET id = 1"] {
        check(
            sql,
            &world,
            sql,
            &["Leak relation public.cards (card)"],
            &["Opaque"],
        );
    }
}

#[test]
fn t16_defaults_and_generated_columns_hand_on_what_they_read() {
    let mut made = Fixture::new();
    let cards = made.table("cards", "id int4,card text,last text");
    made.column(cards, "last").is_generated = true;
    made.column(cards, "last").default = Some("\"right\"(card, 4)".into());
    made.sql("newest()", "text", "SELECT card FROM cards LIMIT 1");
    made.sql("next_id()", "int4", "SELECT 1");
    let notes = made.table("notes", "id int4,note text");
    made.column(notes, "note").default = Some("public.newest()".into());
    made.column(notes, "id").default = Some("public.next_id()".into());
    let plain = made.table("plain", "id int4,twice int4");
    made.column(plain, "id").default = Some("public.next_id()".into());
    made.column(plain, "twice").is_generated = true;
    made.column(plain, "twice").default = Some("(id * 2)".into());
    let world = guarding(made, &[(cards, 2)]);
    for (name, sql, want, never) in [
        (
            "a default that reads",
            "INSERT INTO notes (id) VALUES (1)",
            &["Leak relation public.cards (card)"][..],
            &["Opaque"][..],
        ),
        (
            "a default that does not",
            "INSERT INTO plain VALUES (DEFAULT)",
            &[],
            &["Leak", "Opaque"],
        ),
        (
            "a row of its own",
            "INSERT INTO cards VALUES (1, 'x')",
            &[],
            &["Leak", "Opaque"],
        ),
        (
            "what was generated, elsewhere",
            "INSERT INTO notes (id, note) SELECT id, last FROM cards",
            &["Leak relation public.cards (card)"],
            &["Opaque"],
        ),
        (
            "what was generated, in a filter",
            "SELECT id FROM cards WHERE last = '1111'",
            &["Filter other relation public.cards (card)"],
            &["Opaque"],
        ),
        (
            "generated from nothing of concern",
            "SELECT twice FROM plain",
            &[],
            &["Leak", "Filter"],
        ),
    ] {
        check(name, &world, sql, want, never);
    }
    let analysis = analyze("SELECT last, id FROM cards", &Limits::default(), &world);
    let lineages: Vec<String> = analysis.statements[0]
        .columns
        .iter()
        .map(|column| column.lineage.to_string())
        .collect();
    assert_eq!(
        lineages,
        [format!("derived {cards}.2 {cards}.3"), format!("exact {cards}.1")]
    );
}

#[test]
fn t16_what_is_prepared_lets_out_what_is_stored() {
    let mut made = Fixture::new();
    let cards = made.table("cards", "id int4,card text");
    let world = guarding(made, &[(cards, 2)]);
    let one = |sql: &str| analyze(sql, &Limits::default(), &world).statements.remove(0);
    let leak = "Leak relation public.cards (card)";
    for (name, prepared, runs, leaks) in [
        (
            "a table",
            "PREPARE p AS SELECT card FROM cards",
            "CREATE TABLE t AS EXECUTE p",
            true,
        ),
        (
            "computed",
            "SELECT upper(card) FROM cards",
            "CREATE TABLE t AS EXECUTE p",
            true,
        ),
        (
            "explained",
            "PREPARE p AS TABLE cards",
            "EXPLAIN ANALYZE CREATE TABLE t AS EXECUTE p",
            true,
        ),
        (
            "other columns",
            "PREPARE p AS SELECT id FROM cards",
            "CREATE TABLE t AS EXECUTE p",
            false,
        ),
        (
            "not stored",
            "PREPARE p AS SELECT card FROM cards",
            "EXECUTE p",
            false,
        ),
        (
            "a plan",
            "PREPARE p AS SELECT card FROM cards",
            "EXPLAIN ANALYZE EXECUTE p",
            false,
        ),
    ] {
        let prepared = one(prepared);
        let effects = one(runs).effects_with(|_| Some(&prepared));
        let found = effects.iter().any(|effect| effect.to_string().starts_with(leak));
        assert_eq!(found, leaks, "{name}: {effects:?}");
        assert!(
            !prepared
                .effects
                .iter()
                .any(|effect| effect.to_string().starts_with(leak)),
            "{name}"
        );
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
fn t15_what_code_reads_is_in_its_result() {
    let mut made = Fixture::new();
    let cards = made.table("cards", "id int4,card text");
    let read = made.sql("newest(a int4, b int4)", "text", "SELECT card FROM cards LIMIT 1");
    made.operator("<@@>", "int4", "int4", read);
    made.sql("sum_of(a int4, b int4)", "int4", "SELECT a + b");
    let world = guarding(made, &[(cards, 2)]);
    for sql in [
        "SELECT newest(1, 2)",
        "SELECT 1 <@@> 2",
        "SELECT (1 <@@> 2) || newest(1, 2)",
        "SELECT newest(1, 2), 1 <@@> 2 FROM cards WHERE (1 <@@> 2) IS NULL",
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        for column in &*analysis.statements[0].columns {
            assert_eq!(column.lineage, Lineage::Unknown, "{sql}");
        }
    }
}

#[test]
fn t08_what_a_materialized_view_stored_runs_where_it_is_called() {
    let mut made = with_harm();
    made.table("secrets", "id int4");
    made.view("v", "id int4", "SELECT secrets.id FROM public.secrets");
    let stored = made.relation("stored", RelationKind::Materialized, "id int4");
    made.get(stored).query = Some("SELECT public.wipe() AS id FROM public.v".into());
    let world = made.world();
    check("stored", &world, "SELECT id FROM stored", &[], NO_HARM);
    check(
        "and called",
        &world,
        "SELECT wipe() FROM stored",
        HARM,
        &["Opaque"],
    );
    let secrets = &["Read relation public.secrets (id)"][..];
    check("and read", &world, "SELECT v.id FROM stored, v", secrets, NO_HARM);
}

#[test]
fn t08_code_has_its_effects_when_it_is_attached() {
    let mut made = Fixture::new();
    let table = made.table("t", "id int4");
    made.table("victim", "id int4,t int4");
    made.plpgsql(
        "on_write()",
        "trigger",
        "BEGIN DELETE FROM public.victim; RETURN NEW; END",
    );
    made.trigger(table, &[Event::Update], "BEGIN RETURN NEW; END");
    let mut world = made.world();
    let deletes = &["Delete relation public.victim"][..];
    for (name, sql) in [
        (
            "trigger",
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION on_write()",
        ),
        (
            "event trigger",
            "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION on_write()",
        ),
        ("rule", "CREATE RULE r AS ON INSERT TO t DO DELETE FROM victim"),
        (
            "key",
            "ALTER TABLE victim ADD FOREIGN KEY (t) REFERENCES t ON DELETE CASCADE",
        ),
        ("view", "CREATE VIEW v AS WITH x AS (SELECT 1) SELECT * FROM x"),
    ] {
        let want = if name == "view" { &[] } else { deletes };
        check(name, &world, sql, want, &["Opaque"]);
    }
    check(
        "enabled",
        &world,
        "ALTER TABLE t ENABLE TRIGGER ALL",
        &["Opaque"],
        &[],
    );
    check("known trigger", &world, "UPDATE t SET id = 1", &[], &["Opaque"]);
    // Its function may have another body now.
    let mut names = world
        .catalog
        .functions
        .values()
        .map(|function| function.name.clone());
    let name = names.find(|name| name.starts_with("trigger_"));
    let session = std::sync::Arc::make_mut(&mut world.session);
    session.touched = Touched::Names(name.into_iter().collect());
    check(
        "touched function",
        &world,
        "UPDATE t SET id = 1",
        &["Opaque"],
        &[],
    );
}

/// A database in which `wipe()` does the harm.
fn with_harm() -> Fixture {
    let mut made = Fixture::new();
    made.table("victims", "id int4");
    made.sql("wipe()", "int4", "DELETE FROM victims; SELECT 1");
    made.sql("calm(x int4)", "int4", "SELECT wipe()");
    made
}

const HARM: &[&str] = &["Delete relation public.victims"];
const NO_HARM: &[&str] = &["Delete", "Opaque"];

#[test]
fn t08_documents_run_casts_to_json() {
    let mut made = with_harm();
    made.enumeration("colour");
    made.enumeration("plain");
    made.table("paints", "id int4,shade colour");
    made.table("others", "id int4,shade plain");
    let colour = made.type_named("colour");
    let cast = made.sql("colour_json(x colour)", "json", "SELECT to_json(wipe())");
    made.cast(colour, made.type_named("json"), cast);
    let world = made.world();
    for call in [
        "to_json(shade)",
        "to_jsonb(p)",
        "row_to_json(p)",
        "json_agg(p)",
        "jsonb_agg(shade)",
        "json_build_object('a', shade)",
        "jsonb_build_array(1, shade)",
        "json_object_agg(id, shade)",
        "array_to_json(ARRAY[shade])",
        "to_json(ROW(1, ROW(shade)))",
        "to_json(ARRAY[ROW(1), ROW(shade)])",
        "JSON_OBJECT('a': shade)",
        "JSON_ARRAYAGG(shade)",
    ] {
        check(call, &world, &format!("SELECT {call} FROM paints p"), HARM, &[]);
        if !call.starts_with("JSON") {
            check(
                call,
                &world,
                &format!("SELECT {call} FROM others p"),
                &[],
                NO_HARM,
            );
        }
    }
    check(
        "not made",
        &world,
        "SELECT shade, shade::text FROM paints",
        &[],
        NO_HARM,
    );
    check("its id", &world, "SELECT to_json(id) FROM paints", &[], NO_HARM);
}

#[test]
fn t08_casts_run_in_arrays_rows_and_subscripts() {
    let mut made = with_harm();
    made.relation("pair", RelationKind::Composite, "a int4,m money");
    made.table("t", "name text,tags _text,n int4,whole pair");
    let money = made.sql("text_money(x text)", "money", "SELECT wipe()::money");
    made.cast(made.type_named("text"), made.type_named("money"), money);
    made.enumeration("mood");
    made.table("moods", "feels mood");
    let mood = made.type_named("mood");
    let number = made.sql("mood_place(x mood)", "int4", "SELECT wipe()");
    made.cast(mood, made.type_named("int4"), number);
    let world = made.world();
    for sql in [
        "SELECT ARRAY[name]::money[] FROM t",
        "SELECT ARRAY[[name], [name]]::money[] FROM t",
        "SELECT ARRAY[tags]::money[] FROM t",
        "SELECT tags::money[] FROM t",
        "SELECT ROW(n, name)::pair FROM t",
        "SELECT ARRAY[ROW(n, name)]::pair[] FROM t",
        "INSERT INTO t (whole) VALUES (ROW(1, 'x'::text))",
        "SELECT tags[feels] FROM t, moods",
    ] {
        check(sql, &world, sql, HARM, &[]);
    }
    for sql in [
        "SELECT ARRAY[name]::varchar[] FROM t",
        "SELECT ARRAY['1', '2']::money[] FROM t",
        "SELECT tags::varchar[], tags[n], tags[1:2] FROM t",
        "SELECT ROW(n, 3)::pair FROM t",
        "SELECT '{1}'::money[]",
    ] {
        check(sql, &world, sql, &[], NO_HARM);
    }
}

#[test]
fn t08_rows_are_compared_by_their_columns() {
    let mut made = with_harm();
    made.enumeration("mood");
    made.enumeration("plain");
    made.table("moods", "id int4,feels mood");
    made.table("plains", "id int4,feels plain");
    let equal = made.sql("mood_eq(a mood, b mood)", "bool", "SELECT wipe() = 1");
    let mood = made.type_named("mood");
    made.operator_class("mood_ops", mood, equal);
    let world = made.world();
    for sql in [
        "SELECT DISTINCT ROW(feels) FROM moods",
        "SELECT DISTINCT ROW(1, ROW(feels)) FROM moods",
        "SELECT count(DISTINCT (id, feels)) FROM moods",
        "SELECT ROW(feels) FROM moods UNION SELECT ROW(feels) FROM moods",
        "WITH RECURSIVE r AS (SELECT id, feels FROM moods UNION ALL SELECT id, feels FROM r) CYCLE feels SET c USING p SELECT 1 FROM r",
        "WITH RECURSIVE r AS (SELECT id, feels FROM moods UNION ALL SELECT id, feels FROM r) SEARCH BREADTH FIRST BY feels SET o SELECT 1 FROM r ORDER BY o",
    ] {
        check(sql, &world, sql, HARM, &[]);
        check(sql, &world, &sql.replace("moods", "plains"), &[], NO_HARM);
    }
    let sql = "SELECT DISTINCT ROW(id) FROM moods";
    check(sql, &world, sql, &[], NO_HARM);
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

/// What comes out under another name, or by another way, than where it was read.
#[test]
fn t15_values_are_followed_through_rules_casts_and_errors() {
    let mut made = Fixture::new();
    let secrets = made.table("secrets", "id int4,secret text");
    let plain = made.table("plain", "id int4,v text");
    made.rule(
        plain,
        Event::Update,
        true,
        "CREATE RULE r AS ON UPDATE TO public.plain DO INSTEAD UPDATE public.secrets SET id = id \
         RETURNING secrets.id, secrets.secret",
    );
    made.view(
        "over",
        "id int4,v text",
        "SELECT plain.id, plain.v FROM public.plain",
    );
    made.plpgsql(
        "told()",
        "text",
        "DECLARE s text; BEGIN UPDATE secrets SET id = NULL; RETURN ''; \
         EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS s = pg_exception_detail; RETURN s; END",
    );
    made.plpgsql(
        "untold()",
        "text",
        "BEGIN UPDATE secrets SET id = NULL; RETURN ''; END",
    );
    let (row, text) = (made.type_named("plain"), made.type_named("text"));
    let cast = made.sql("as_text(p plain)", "text", "SELECT secret FROM public.secrets");
    made.cast(row, text, cast);
    made.catalog
        .casts
        .get_mut(&(row, text))
        .expect("it was made")
        .context = CastContext::Implicit;
    let world = guarding(made, &[(secrets, 2)]);
    for (name, sql, is_known) in [
        ("a rule's rows", "UPDATE plain SET v = 'x' RETURNING v", false),
        ("through a view", "UPDATE over SET v = 'x' RETURNING v", false),
        ("no rule", "DELETE FROM plain RETURNING v", true),
        ("what an error says", "SELECT told()", false),
        ("no error is caught", "SELECT untold()", true),
        ("a cast that reads", "SELECT p::text FROM plain p", false),
        ("an argument", "SELECT upper(p) FROM plain p", false),
        (
            "beside a text",
            "SELECT CASE WHEN true THEN 'x'::text ELSE p::text END FROM plain p",
            false,
        ),
    ] {
        let analysis = analyze(sql, &Limits::default(), &world);
        let lineage = &analysis.statements[0].columns[0].lineage;
        assert_eq!(*lineage != Lineage::Unknown, is_known, "{name}: {lineage:?}");
        if !is_known {
            let reads = &analysis.statements[0].protected_reads;
            assert!(
                reads.iter().any(|column| column.relation == secrets),
                "{name}: {reads:?}"
            );
        }
    }
    check(
        "an assignment by a cast that reads",
        &world,
        "INSERT INTO plain(v) SELECT p FROM plain p",
        &["Leak relation public.secrets (secret)"],
        &["Opaque"],
    );
}
