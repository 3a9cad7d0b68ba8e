//! Bodies, and what is found in them. Each is also given to the parser's own reader, which must take what we take.

use super::*;

/// What a body holds, one line a piece.
fn pieces(body: &str) -> Vec<String> {
    let found = read(body).unwrap_or_else(|_| panic!("{body}"));
    let line = |piece: &Piece| match piece {
        Piece::Statement(text) => format!("sql {text}"),
        Piece::Expression(text) => format!("expr {text}"),
        Piece::Dynamic(text) => format!("run {text}"),
        Piece::Type(text) => format!("type {text}"),
        Piece::TypeOf(text) => format!("type of {text}"),
    };
    found.pieces.iter().map(line).collect()
}

#[test]
fn t08_every_statement_of_a_body_is_found() {
    for (name, body, want) in [
        ("empty", "BEGIN END", &[][..]),
        ("null", "begin null; end;", &[]),
        ("label", "<<outer>> BEGIN NULL; END outer;", &[]),
        ("option", "#variable_conflict use_column\nBEGIN NULL; END", &[]),
        ("assignment", "BEGIN x := f(1); END", &["expr x", "expr f(1)"]),
        (
            "equals sign",
            "BEGIN a.b[f(2)] = 1; END",
            &["expr a.b[f(2)]", "expr 1"],
        ),
        (
            "a query for a value",
            "BEGIN x := count(*) FROM t WHERE y = 1; END",
            &["expr x", "expr count(*) FROM t WHERE y = 1"],
        ),
        ("a parameter", "BEGIN $1 := 2; END", &["expr $1", "expr 2"]),
        (
            "declarations",
            "DECLARE a int NOT NULL := f(); b CONSTANT text COLLATE \"C\" DEFAULT 'x'; c numeric(10, 2); BEGIN END",
            &[
                "type int",
                "expr f()",
                "type text",
                "expr 'x'",
                "type numeric(10, 2)",
            ],
        ),
        (
            "types of others",
            "DECLARE a t.c%TYPE; b s.t%ROWTYPE; r record := f(); x ALIAS FOR $1; BEGIN END",
            &["type of t.c", "type of s.t", "type record", "expr f()"],
        ),
        (
            "cursors",
            "DECLARE c NO SCROLL CURSOR (n int) FOR SELECT n FROM t; BEGIN OPEN c(f(1)); OPEN c(n := 2); CLOSE c; END",
            &["type int", "sql SELECT n FROM t", "expr f(1)", "expr 2"],
        ),
        (
            "cursors without a query",
            "DECLARE c refcursor; BEGIN OPEN c SCROLL FOR SELECT 1; FETCH NEXT FROM c INTO x; MOVE FORWARD 5 FROM c; END",
            &["type refcursor", "sql SELECT 1"],
        ),
        (
            "branches",
            "BEGIN IF a THEN PERFORM f(); ELSIF b THEN CALL p(1); ELSE DELETE FROM t; END IF; END",
            &[
                "expr a",
                "sql SELECT f()",
                "expr b",
                "sql CALL p(1)",
                "sql DELETE FROM t",
            ],
        ),
        (
            "cases",
            "BEGIN CASE x WHEN 1, 2 THEN NULL; ELSE NULL; END CASE; CASE WHEN y THEN NULL; END CASE; END",
            &["expr (x) IN (1, 2)", "expr y"],
        ),
        (
            "loops",
            "BEGIN <<l>> LOOP EXIT l WHEN f(); CONTINUE; END LOOP l; WHILE g() LOOP NULL; END LOOP; END",
            &["expr f()", "expr g()"],
        ),
        (
            "loops over numbers",
            "BEGIN FOR i IN REVERSE f()..10 BY 2 LOOP NULL; END LOOP; FOR i IN 1..3 LOOP NULL; END LOOP; END",
            &["expr f()", "expr 10", "expr 2", "expr 1", "expr 3"],
        ),
        (
            "loops over rows",
            "BEGIN FOR r IN SELECT * FROM t LOOP NULL; END LOOP; FOR a, b IN EXECUTE q USING 1 LOOP NULL; END LOOP; END",
            &["sql SELECT * FROM t", "run q", "expr 1"],
        ),
        (
            "loops over cursors and arrays",
            "DECLARE c CURSOR FOR SELECT 1; BEGIN FOR r IN c LOOP NULL; END LOOP; FOREACH x SLICE 1 IN ARRAY f() LOOP NULL; END LOOP; END",
            &["sql SELECT 1", "expr f()"],
        ),
        (
            "returns",
            "BEGIN RETURN; RETURN f(); RETURN NEXT g(); RETURN NEXT; RETURN QUERY SELECT 1; RETURN QUERY EXECUTE q USING 1; END",
            &["expr f()", "expr g()", "sql SELECT 1", "run q", "expr 1"],
        ),
        (
            "messages",
            "BEGIN RAISE; RAISE NOTICE 'a % %', f(), 2; RAISE EXCEPTION USING message = g(), hint = 'x'; \
             RAISE SQLSTATE '22012'; RAISE division_by_zero; ASSERT a, h(); END",
            &["expr f(), 2", "expr g()", "expr 'x'", "expr a, h()"],
        ),
        (
            "results",
            "BEGIN SELECT a, b INTO STRICT x, r.y FROM t; INSERT INTO t VALUES (1) RETURNING id INTO x; SELECT INTO x f() FROM t; END",
            &[
                "sql SELECT a, b FROM t",
                "sql INSERT INTO t VALUES (1) RETURNING id ",
                "sql SELECT f() FROM t",
            ],
        ),
        (
            "dynamic",
            "BEGIN EXECUTE 'DROP TABLE ' || x INTO y USING f(1), 2; EXECUTE format('a %s', b); END",
            &["run 'DROP TABLE ' || x", "expr f(1), 2", "run format('a %s', b)"],
        ),
        (
            "exceptions",
            "BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero OR SQLSTATE '22000' THEN PERFORM f(); END; \
             GET STACKED DIAGNOSTICS x = MESSAGE_TEXT; END",
            &["sql SELECT 1/0", "sql SELECT f()"],
        ),
    ] {
        assert_eq!(pieces(body), want, "{name}");
    }
}

#[test]
fn t08_what_does_not_fit_is_not_read() {
    for body in [
        "",
        "SELECT 1",
        "BEGIN",
        "BEGIN SELECT 1 END",
        "BEGIN IF a PERFORM f(); END IF; END",
        "BEGIN x := 1 END",
        "BEGIN (SELECT f()); END",
        "BEGIN SELECT 1 INTO x, f(); SELECT 2 INTO; END",
        "BEGIN FETCH f(1) FROM c; END",
        "BEGIN EXCEPTION WHEN f() THEN NULL; END",
        "BEGIN GET DIAGNOSTICS x = f(); END",
        "DECLARE next int; BEGIN RETURN next(f()); END",
        "DECLARE x int = 1 % type; y t%foo; BEGIN END",
        "BEGIN x := 'open",
    ] {
        assert!(read(body).is_err(), "{body}");
    }
}

#[test]
fn t08_names_of_variables_are_told() {
    let body =
        read("<<l>> DECLARE \"A b\" int; BEGIN FOR i IN 1..2 LOOP COMMIT AND CHAIN; END LOOP; END").unwrap();
    assert_eq!(
        body.variables,
        ["l".into(), "A b".into(), "i".into()] as [Box<str>; 3]
    );
}

#[test]
fn t14_bodies_are_bounded() {
    let deep = format!("{}{}", "BEGIN ".repeat(5000), "END; ".repeat(5000));
    assert_eq!(read(&deep), Err(Unreadable));
    assert_eq!(read(&" ".repeat(BYTES_MAX + 1)), Err(Unreadable));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(words in proptest::collection::vec("BEGIN|END|IF|THEN|LOOP|FOR|IN|x|:=|;|\\(|\\)|CASE|WHEN|RETURN|RAISE|'a'|,|EXECUTE|INTO|<<|>>|DECLARE|%|TYPE|1|\\.\\.", 0..40)) {
        let _ = read(&words.join(" "));
    }
}

#[test]
fn t03_what_may_end_the_transaction_is_found() {
    for (body, want) in [
        ("BEGIN UPDATE t SET commit = 1; PERFORM f('rollback'); END", false),
        ("DECLARE execute int; BEGIN execute := 1; END", false),
        ("BEGIN COMMIT; END", true),
        ("BEGIN IF x THEN rollback and chain; END IF; END", true),
        ("BEGIN NULL; EXCEPTION WHEN others THEN ROLLBACK; END", true),
        ("BEGIN CALL p(); END", true),
        ("BEGIN DO 'BEGIN COMMIT; END'; END", true),
        ("BEGIN EXECUTE 'CALL p()'; END", true),
    ] {
        assert_eq!(read(body).map(|body| body.may_end), Ok(want), "{body}");
    }
}
