//! What statements do, one row each.

use sluice_parsers::sql::analyze::{Limits, analyze};

/// The effects of a text's statements: `kind: effect; effect | kind: ...`, reasons left out.
fn effects(sql: &str) -> String {
    let analysis = analyze(sql, &Limits::default());
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
