//! What statements make run, in databases made by hand. Each row names what must be among the effects, and what not.

mod changes;
mod definitions;
mod functions;
mod limits;
mod plans;
mod relations;
mod types;
mod values;

use super::super::fixture::Fixture;
use crate::sql::analyze::{Limits, analyze};
use crate::sql::catalog::Oid;
use crate::sql::lineage::BaseColumn;
use crate::sql::world::World;

/// The effects of a text, one line each.
fn effects(world: &World, sql: &str) -> Vec<String> {
    let analysis = analyze(sql, &Limits::default(), world);
    let all = analysis
        .statements
        .iter()
        .flat_map(|statement| &statement.effects);
    all.map(ToString::to_string).collect()
}

/// Whether a line is among the effects; `want` may leave out what follows: columns and flags.
#[track_caller]
fn check(name: &str, world: &World, sql: &str, want: &[&str], never: &[&str]) {
    let found = effects(world, sql);
    for line in want {
        assert!(
            found.iter().any(|known| known.starts_with(line)),
            "{name}: no `{line}` in {found:#?}"
        );
    }
    for line in never {
        assert!(
            !found.iter().any(|known| known.contains(line)),
            "{name}: `{line}` in {found:#?}"
        );
    }
}

/// A world in which some columns are named for masking: a table and the number of its column.
fn guarding(made: Fixture, columns: &[(Oid, i16)]) -> World {
    let columns = columns
        .iter()
        .map(|&(relation, number)| BaseColumn { relation, number });
    let mut world = made.world();
    world.protected = std::sync::Arc::new(columns.collect());
    world
}

/// A database in which `wipe()` does the harm.
fn with_harm() -> Fixture {
    let mut made = Fixture::new();
    made.table("victims", "id int4");
    made.sql("wipe()", "int4", "DELETE FROM victims; SELECT 1");
    made.sql("calm(x int4)", "int4", "SELECT wipe()");
    made
}

const HARM: &[&str] = &["Delete relation public.victims"];

const NO_HARM: &[&str] = &["Delete", "Opaque"];
