//! What statements do, one row each.

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::statement::StatementKind;
use sluice_parsers::sql::world::World;

/// The effects of a text's statements: `kind: effect; effect | kind: ...`, reasons left out.
fn effects(sql: &str) -> String {
    let analysis = analyze(sql, &Limits::default(), &World::built_in(15));
    analysis
        .statements
        .iter()
        .map(|statement| {
            let effects: Vec<_> = statement.effects.iter().map(ToString::to_string).collect();
            format!("{}: {}", statement.kind.name(), effects.join("; "))
                .trim_end()
                .to_owned()
        })
        .collect::<Vec<_>>()
        .join(" | ")
}

#[test]
fn statements_have_their_effects() {
    let mut wrong = Vec::new();
    for line in include_str!("data/effects.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (sql, want) = line.split_once(" ==>").expect(line);
        let got = effects(&sql.replace("\\n", "\n"));
        let want = want.trim();
        if got != want {
            wrong.push(format!("{sql}\n  want {want}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_copy_tells_its_columns_where_its_rows_are_as_by_default() {
    for (sql, want) in [
        (
            "COPY t (a, B, \"B c\") TO STDOUT",
            Some((&["a", "b", "B c"][..], false)),
        ),
        ("COPY s.t (a) TO STDOUT WITH CSV", Some((&["a"], false))),
        ("COPY t (a) TO STDOUT CSV HEADER", Some((&["a"], true))),
        (
            "COPY t (a) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)",
            Some((&["a"], true)),
        ),
        ("COPY t (a) TO STDOUT (HEADER off)", Some((&["a"], false))),
        ("COPY t (a) TO STDOUT (HEADER 1)", Some((&["a"], true))),
        ("COPY t (a) TO STDOUT (HEADER match)", None),
        ("COPY t TO STDOUT", None),
        ("COPY (SELECT a FROM t) TO STDOUT", None),
        ("COPY t (a) TO STDOUT (FORMAT binary)", None),
        ("COPY t (a) TO STDOUT (DELIMITER 'x')", None),
        ("COPY t (a) TO STDOUT (FORMAT csv, QUOTE 'x')", None),
        ("COPY t (a) TO STDOUT (NULL 'x')", None),
        ("COPY t (a) TO STDOUT (ENCODING 'SJIS')", None),
    ] {
        let analysis = analyze(sql, &Limits::default(), &World::built_in(15));
        let StatementKind::CopyOut { columns, .. } = &analysis.statements[0].kind else {
            panic!("{sql}: {:?}", analysis.statements[0].kind);
        };
        let got = columns.as_ref().map(|columns| {
            let names: Vec<&str> = columns.names.iter().map(|name| &**name).collect();
            (names, columns.has_header)
        });
        assert_eq!(got, want.map(|(names, header)| (names.to_vec(), header)), "{sql}");
    }
}
