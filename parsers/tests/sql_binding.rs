//! What names mean: effects with resolved objects and columns, the lineage of result columns, and what is said of
//! protected columns, over a small database.

mod small;

use sluice_parsers::sql::analyze::{Limits, analyze};
use sluice_parsers::sql::lineage::Lineage;
use sluice_parsers::sql::statement::Statement;
use sluice_parsers::sql::world::World;

use self::small::Small;

fn world() -> World {
    let mut small = Small::new(15);
    small.table(
        "customers",
        "id int4, name text, ssn text, email text, country text",
    );
    small.table("orders", "id int4, customer_id int4, total numeric, note text");
    small.table("archive", "id int4, ssn text");
    small.table("plain", "id int4, a text, b text");
    small.view(
        "names",
        "id int4, name text",
        "SELECT customers.id, customers.name FROM public.customers",
    );
    small.view(
        "people",
        "id int4, number text, shout text",
        "SELECT c.id, c.ssn AS number, upper(c.name) AS shout FROM public.customers c",
    );
    small.view(
        "pairs",
        "id int4, number text, total numeric",
        "SELECT p.id, p.number, o.total FROM (public.people p JOIN public.orders o ON ((o.customer_id = p.id)))",
    );
    small.view("itself", "id int4", "SELECT itself.id FROM public.itself");
    small.function("mystery", &["text"], "text");
    small.function("label", &["customers"], "text");
    small.world(&[("customers", "ssn"), ("customers", "email"), ("archive", "ssn")])
}

/// A statement's effects and columns, each on a line.
fn describe(statement: &Statement, world: &World) -> String {
    let effects: Vec<_> = statement.effects.iter().map(ToString::to_string).collect();
    let columns: Vec<_> = statement
        .columns
        .iter()
        .map(|column| format!("{} = {}", column.name, lineage(&column.lineage, world)))
        .collect();
    format!("  {}\n  {}", effects.join("; "), columns.join(", "))
}

fn lineage(lineage: &Lineage, world: &World) -> String {
    let word = match lineage {
        Lineage::Exact(columns) if columns.is_empty() => "constant",
        Lineage::Exact(_) => "exact",
        Lineage::Derived(_) => "derived",
        Lineage::Unknown => "unknown",
    };
    let columns = lineage.columns().unwrap_or_default().iter().map(|column| {
        let relation = world.catalog.relation(column.relation).expect("relation");
        let name = relation
            .columns
            .iter()
            .find(|found| found.number == column.number);
        let name = name.map_or_else(|| column.number.to_string(), |found| found.name.to_string());
        format!(" {}.{name}", relation.name)
    });
    format!("{word}{}", columns.collect::<String>())
}

#[test]
fn names_mean_what_they_mean_to_the_server() {
    let world = world();
    let mut wrong = Vec::new();
    let mut rows = include_str!("data/bound.txt").lines().peekable();
    while let Some(line) = rows.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut want = Vec::new();
        while let Some(more) = rows.next_if(|next| next.starts_with("  ")) {
            want.push(more.trim_end().to_owned());
        }
        let analysis = analyze(line, &Limits::default(), &world);
        let got: Vec<_> = analysis
            .statements
            .iter()
            .map(|statement| describe(statement, &world))
            .collect();
        let got = got.join("\n");
        let got: Vec<_> = got.lines().map(str::trim_end).collect();
        if got != want {
            wrong.push(format!("{line}\n{}", got.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "what is not as expected:\n{}", wrong.join("\n"));
}
