//! What runs when the transaction ends, deferred triggers above all: it does then what was judged before.

use sluice_tests::Postgres;
use sluice_tests::raw::{Raw, ask, bind, execute, field, outline, parse, query, sync};

use crate::shared::gateway_without_delete;

/// Tables whose constraint triggers call `helper()`, which does no harm; `hidden.helper()` does.
const OBJECTS: &str = "
    CREATE TABLE victim (id int);
    CREATE TABLE t (id int);
    CREATE TABLE soon (id int);
    CREATE TABLE plain (id int);
    CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1); SELECT 1';
    CREATE FUNCTION writes_by_path() RETURNS int LANGUAGE sql SET search_path = public
      AS 'INSERT INTO public.t VALUES (1); SELECT 1';
    CREATE FUNCTION held() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN helper(); END';
    CREATE FUNCTION harms() RETURNS int LANGUAGE sql AS 'DELETE FROM public.victim; SELECT 1';
    CREATE FUNCTION key(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN id; END';
    CREATE TABLE keyed (id int, EXCLUDE USING btree (key(id) WITH =) DEFERRABLE INITIALLY DEFERRED);
    CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM helper(); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION checks();
    CREATE CONSTRAINT TRIGGER sooner AFTER INSERT ON soon DEFERRABLE FOR EACH ROW EXECUTE FUNCTION checks();
    CREATE SCHEMA hidden;
    CREATE FUNCTION hidden.helper() RETURNS int LANGUAGE sql AS 'DELETE FROM public.victim; SELECT 1'";

/// What the tests change, as it was.
const AS_BEFORE: &str = "
    TRUNCATE victim, t, soon, keyed;
    INSERT INTO victim SELECT generate_series(1, 10);
    CREATE OR REPLACE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE OR REPLACE FUNCTION key(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN id; END';
    CREATE OR REPLACE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM helper(); RETURN NULL; END'";

const INSERT: &str = "INSERT INTO t VALUES (1)";

const REPLACE: &str =
    "CREATE OR REPLACE FUNCTION helper() RETURNS int LANGUAGE sql AS 'DELETE FROM public.victim; SELECT 1'";

const REPLACE_TRIGGERS: &str = "CREATE OR REPLACE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql \
    AS 'BEGIN DELETE FROM public.victim; RETURN NULL; END'";

const REPLACE_KEY: &str = "CREATE OR REPLACE FUNCTION key(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE \
    AS 'BEGIN PERFORM harms(); RETURN id; END'";

/// It does no harm.
const REPLACE_ALIKE: &str = "CREATE OR REPLACE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 2'";

const ALIKE: &str =
    "CREATE OR REPLACE FUNCTION other() RETURNS int LANGUAGE sql AS 'DELETE FROM public.victim; SELECT 1'";

/// Messages up to one answer that the server is ready.
type Cycle = Vec<Vec<u8>>;

/// Each text in a Query of its own.
fn queries(texts: &[&str]) -> Vec<Cycle> {
    texts.iter().map(|text| vec![query(text)]).collect()
}

/// All texts by the extended protocol, before one Sync.
fn pipeline(texts: &[&str]) -> Vec<Cycle> {
    let sent = texts
        .iter()
        .flat_map(|text| [parse("", text), bind("", ""), execute("")]);
    vec![sent.chain([sync()]).collect()]
}

/// What gets a DELETE past a gate that judges functions where rows are written, each in a session of its own.
fn evasions() -> Vec<(&'static str, Vec<Cycle>)> {
    let by_name = vec![
        vec![parse("replace", REPLACE), parse("insert", INSERT), sync()],
        vec![
            bind("", "insert"),
            execute(""),
            bind("", "replace"),
            execute(""),
            sync(),
        ],
    ];
    let bound_before = vec![vec![
        parse("replace", REPLACE),
        bind("replace", "replace"),
        parse("", INSERT),
        bind("", ""),
        execute(""),
        execute("replace"),
        sync(),
    ]];
    let one_text = format!("BEGIN; {INSERT}; {REPLACE}; COMMIT");
    let implicit = format!("{INSERT}; {REPLACE}");
    let prepared = format!("PREPARE writing AS {INSERT}");
    let by_execute = format!("EXECUTE writing; {REPLACE}");
    vec![
        ("one by one", queries(&["BEGIN", INSERT, REPLACE, "COMMIT"])),
        ("in one text", queries(&[&one_text])),
        ("without BEGIN", queries(&[&implicit])),
        ("in a pipeline", pipeline(&[INSERT, REPLACE])),
        (
            "in one with BEGIN",
            pipeline(&["BEGIN", INSERT, REPLACE, "COMMIT"]),
        ),
        ("parsed before", by_name),
        ("bound before", bound_before),
        (
            "the trigger's own function",
            queries(&["BEGIN", INSERT, REPLACE_TRIGGERS, "COMMIT"]),
        ),
        (
            "SET CONSTRAINTS",
            queries(&[
                "BEGIN",
                INSERT,
                REPLACE,
                "SET CONSTRAINTS ALL IMMEDIATE",
                "COMMIT",
            ]),
        ),
        (
            "what SET CONSTRAINTS defers",
            queries(&[
                "BEGIN",
                "SET CONSTRAINTS ALL DEFERRED",
                "INSERT INTO soon VALUES (1)",
                REPLACE,
                "COMMIT",
            ]),
        ),
        (
            "PREPARE TRANSACTION",
            queries(&[
                "BEGIN",
                INSERT,
                REPLACE,
                "PREPARE TRANSACTION 'a'",
                "COMMIT PREPARED 'a'",
            ]),
        ),
        (
            "another search path",
            queries(&["BEGIN", INSERT, "SET search_path = hidden, public", "COMMIT"]),
        ),
        (
            "another search path for a while",
            queries(&["BEGIN", INSERT, "SET LOCAL search_path = hidden", "COMMIT"]),
        ),
        (
            "behind a savepoint",
            queries(&[
                "BEGIN",
                INSERT,
                "SAVEPOINT a",
                "SELECT 1/0",
                "ROLLBACK TO a",
                REPLACE,
                "COMMIT",
            ]),
        ),
        (
            "in a chained transaction",
            queries(&["BEGIN", "COMMIT AND CHAIN", INSERT, REPLACE, "COMMIT"]),
        ),
        (
            "where the catalog was read in the transaction",
            queries(&[
                "BEGIN",
                "CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "SELECT fresh()",
                INSERT,
                REPLACE,
                "SELECT helper()",
                "DROP FUNCTION fresh()",
                "COMMIT",
            ]),
        ),
        (
            "written by EXECUTE",
            queries(&[&prepared, "BEGIN", "EXECUTE writing", REPLACE, "COMMIT"]),
        ),
        ("by EXECUTE in one text", queries(&[&prepared, &by_execute])),
        (
            "written by a function",
            queries(&["BEGIN", "SELECT writes()", REPLACE, "COMMIT"]),
        ),
        (
            "written by a cursor",
            queries(&[
                "BEGIN",
                "DECLARE c CURSOR FOR SELECT writes()",
                "FETCH c",
                REPLACE,
                "COMMIT",
            ]),
        ),
        (
            "the check of a constraint",
            queries(&[
                "BEGIN",
                "INSERT INTO keyed VALUES (1)",
                "INSERT INTO keyed VALUES (1)",
                "UPDATE keyed SET id = 2 WHERE ctid = '(0,1)'",
                REPLACE_KEY,
                "COMMIT",
            ]),
        ),
        (
            "a cursor WITH HOLD",
            queries(&[
                "BEGIN",
                "DECLARE c CURSOR WITH HOLD FOR SELECT held()",
                REPLACE,
                "COMMIT",
            ]),
        ),
    ]
}

/// The same of what one statement does alone.
fn evasions_of_one() -> Vec<(&'static str, Vec<Cycle>)> {
    let block = format!("DO $$BEGIN {INSERT}; {REPLACE}; END$$");
    vec![
        ("a block", queries(&[&block])),
        (
            "a function with a search path of its own",
            queries(&[
                "SET search_path = hidden, public",
                "SELECT public.writes_by_path()",
            ]),
        ),
    ]
}

fn rows(postgres: &Postgres) -> String {
    postgres.sql("shop", "SELECT count(*) FROM victim")
}

#[test]
fn t08_what_is_deferred_does_what_was_judged() {
    let postgres = Postgres::start(&["max_prepared_transactions=1"]);
    postgres.sql("shop", OBJECTS);
    for (name, cycles) in evasions().into_iter().chain(evasions_of_one()) {
        postgres.sql("shop", AS_BEFORE);
        let mut direct = Raw::log_in(postgres.port(), "postgres", "", "shop");
        for cycle in &cycles {
            ask(&mut direct, cycle, 1);
        }
        assert_eq!(rows(&postgres), "0", "{name}: without the gateway it deletes");
    }
    postgres.sql("shop", AS_BEFORE);
    let gateway = gateway_without_delete(&postgres);
    let answered = |name: &str, cycles: &[Cycle]| {
        let mut session = gateway.log_in();
        let answers = cycles.iter().flat_map(|cycle| ask(&mut session, cycle, 1));
        let answers: Vec<_> = answers.collect();
        let told = outline(&answers);
        assert!(told.contains("E42501"), "{name}: {told}");
        assert_eq!(rows(&postgres), "10", "{name}: {told}");
        let errors = answers.iter().filter(|(tag, _)| *tag == b'E');
        errors
            .filter_map(|(_, body)| field(body, b'H'))
            .collect::<String>()
    };
    for (name, cycles) in evasions() {
        // The row was written, and the client is told what to do.
        let hints = answered(name, &cycles);
        let want = "commit first, for this changes what is deferred to it: ";
        assert!(hints.contains(want), "{name}: {hints}");
    }
    for (name, cycles) in evasions_of_one() {
        answered(name, &cycles);
    }
}

#[test]
fn t08_what_changes_nothing_deferred_passes() {
    let postgres = Postgres::start(&[]);
    postgres.sql("shop", OBJECTS);
    postgres.sql("shop", AS_BEFORE);
    let gateway = gateway_without_delete(&postgres);
    let migration = [
        "BEGIN",
        INSERT,
        "CREATE TABLE fresh (id int PRIMARY KEY)",
        "ALTER TABLE plain ADD COLUMN more int",
        ALIKE,
        "SET search_path = public, hidden",
        "DROP TABLE fresh",
        "ALTER TABLE plain DROP COLUMN more",
        "COMMIT",
    ];
    let one_text = migration.join("; ");
    let behind_commit = format!("BEGIN; {INSERT}; COMMIT; {REPLACE_ALIKE}");
    let behind_rollback = format!("BEGIN; {INSERT}; ROLLBACK; {REPLACE_ALIKE}");
    for (name, cycles) in [
        ("no DDL", queries(&["BEGIN", INSERT, "COMMIT"])),
        (
            "no DDL, in a pipeline",
            pipeline(&["BEGIN", INSERT, INSERT, "COMMIT"]),
        ),
        ("DDL on other things", queries(&migration)),
        ("the same in one text", queries(&[&one_text])),
        ("the same in a pipeline", pipeline(&migration)),
        ("DDL by itself", queries(&["BEGIN", REPLACE_ALIKE, "COMMIT"])),
        ("DDL first", queries(&["BEGIN", REPLACE_ALIKE, INSERT, "COMMIT"])),
        ("behind it", queries(&[INSERT, REPLACE_ALIKE, INSERT])),
        (
            "behind the commit",
            queries(&["BEGIN", INSERT, "COMMIT", REPLACE_ALIKE]),
        ),
        ("behind it in one text", queries(&[&behind_commit])),
        (
            "behind it in a pipeline",
            pipeline(&["BEGIN", INSERT, "COMMIT", REPLACE_ALIKE]),
        ),
        (
            "taken back",
            queries(&["BEGIN", INSERT, "ROLLBACK", REPLACE_ALIKE]),
        ),
        ("taken back in one text", queries(&[&behind_rollback])),
        (
            "rows of another table",
            queries(&["BEGIN", "INSERT INTO plain VALUES (1)", REPLACE_ALIKE, "COMMIT"]),
        ),
    ] {
        let mut session = gateway.log_in();
        for cycle in &cycles {
            let told = outline(&ask(&mut session, cycle, 1));
            assert!(!told.contains('E'), "{name}: {told}");
        }
    }
    // What was replaced by itself is judged where rows are written.
    let mut session = gateway.log_in();
    for (sql, want) in [(REPLACE, "C ZI"), (INSERT, "E42501 ZI")] {
        assert_eq!(outline(&ask(&mut session, &[query(sql)], 1)), want, "{sql}");
    }
    assert_eq!(rows(&postgres), "10");
}
