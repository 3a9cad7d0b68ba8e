//! What operators, casts and types run.

use super::super::super::fixture::Fixture;
use super::{HARM, NO_HARM, check, with_harm};
use crate::sql::catalog::RelationKind;

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
