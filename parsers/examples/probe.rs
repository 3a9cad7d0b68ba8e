use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::world::World;
use std::io::BufRead;
fn main() {
    let world = World::built_in(15);
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
