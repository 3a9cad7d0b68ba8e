//! What definitions run, and what code does when it is attached.

use super::super::super::fixture::Fixture;
use super::check;
use crate::sql::catalog::Event;
use crate::sql::world::Touched;

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
