//! What clients send by themselves passes a read-only policy.

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::effect::{Action, EffectFlags};
use sluice_parsers::sql::world::World;

#[test]
fn psql_backslash_commands_only_read() {
    only_reads(include_str!("data/psql15.sql"), 150);
}

#[test]
fn t25_drivers_own_statements_only_read() {
    only_reads(include_str!("data/drivers.sql"), 40);
}

fn only_reads(texts: &str, at_least: usize) {
    let texts: Vec<_> = texts.split("\n--\n").collect();
    assert!(texts.len() >= at_least, "{} texts", texts.len());
    let mut wrong = Vec::new();
    for text in texts {
        let analysis = analyze(text, &Limits::default(), &World::built_in(15));
        for statement in &analysis.statements {
            let more = statement.effects.iter().filter(|effect| {
                let harmless = effect.action == Action::Set && effect.flags.contains(EffectFlags::HARMLESS);
                effect.action != Action::Read && !harmless
            });
            let more: Vec<_> = more.map(ToString::to_string).collect();
            if !more.is_empty() {
                let reasons: Vec<_> = statement.reasons.iter().map(ToString::to_string).collect();
                wrong.push(format!("{}\n{}\n{text}\n", more.join("; "), reasons.join("; ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts\n{}", wrong.len(), wrong.join("\n"));
}
