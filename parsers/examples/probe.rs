use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::world::World;
use std::io::BufRead;
fn main() {
    let world = World::built_in(15);
    if std::env::args().nth(1).is_some() {
        for line in include_str!("../tests/data/effects.txt").lines() {
            let Some((sql, _)) = line.split_once(" ==>").filter(|_| !line.starts_with("#")) else {
                println!("{line}");
                continue;
            };
            let a = analyze(&sql.replace("\\n", "\n"), &Limits::default(), &world);
            let t = a
                .statements
                .iter()
                .map(|s| {
                    format!(
                        "{}: {}",
                        s.kind.name(),
                        s.effects
                            .iter()
                            .map(|e| e.to_string())
                            .collect::<Vec<_>>()
                            .join("; ")
                    )
                    .trim_end()
                    .to_owned()
                })
                .collect::<Vec<_>>()
                .join(" | ");
            println!("{}", format!("{sql} ==> {t}").trim_end());
        }
        return;
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let a = analyze(&line, &Limits::default(), &world);
        println!("{line}");
        for s in &a.statements {
            println!(
                "   {}: {}",
                s.kind.name(),
                s.effects
                    .iter()
                    .map(|e| e.to_string())
                    .collect::<Vec<_>>()
                    .join("; ")
            );
            println!(
                "   reasons {:?}",
                s.reasons.iter().map(|e| e.to_string()).collect::<Vec<_>>()
            );
            println!(
                "   cols {:?}",
                s.columns
                    .iter()
                    .map(|c| format!("{} {:?} {}", c.name, c.ty, c.lineage))
                    .collect::<Vec<_>>()
            );
        }
    }
}
