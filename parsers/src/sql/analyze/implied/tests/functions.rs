//! What functions run, and by which names and rights.

use super::super::super::fixture::{Fixture, OTHER};
use super::{check, effects};
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{Event, KeyAction, Oid, Volatility};
use crate::sql::world::{SessionNames, Touched, World};

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
