//! Where protected values go by code that runs without being called.

use super::super::super::fixture::Fixture;
use super::{check, guarding};
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::{CastContext, Event};
use crate::sql::lineage::Lineage;

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
