//! What runs because relations are read: views, row security, children, foreign tables, and what of them the catalog does not
//! show yet.

use super::super::super::fixture::{Fixture, OTHER};
use super::{HARM, NO_HARM, check, with_harm};
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{Event, RelationKind};
use crate::sql::effect::{Action, EffectFlags};
use crate::sql::world::{Touched, TouchedNames, World};

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
