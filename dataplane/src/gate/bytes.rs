//! How much memory what the cache keeps takes, about: enough that what a client can make large is bounded.

use std::sync::Arc;

use sluice_audit::record::ListBuffer;
use sluice_parsers::sql::effect::{Effect, Object};
use sluice_parsers::sql::lineage::BaseColumn;
use sluice_parsers::sql::statement::{OutputColumn, Reason, Statement, StatementKind};
use sluice_parsers::sql::world::{Touched, TouchedNames};
use sluice_policy::{Allowance, Approval, Charge, Denial};

use super::{Outcome, Terms, Verdict};
use crate::postgres::expected::Expectation;
use crate::postgres::state::Change;

/// What the allocator takes for a short piece beside what is asked for.
const ALLOCATION_BYTES: usize = 32;

/// What a verdict takes, with the text that it may keep.
pub(super) fn verdict_bytes(verdict: &Verdict) -> usize {
    let statements: usize = verdict.statements.iter().map(statement_bytes).sum();
    let outcomes: usize = verdict.outcomes.iter().map(outcome_bytes).sum();
    let effects = verdict
        .effects
        .iter()
        .map(|effects| effects.as_list().as_bytes().len());
    let effects: usize = effects
        .map(|len| size_of::<ListBuffer>() + ALLOCATION_BYTES + len)
        .sum();
    let reasons = verdict.reasons.iter().flatten();
    let reasons: usize = reasons.map(|reason| text_bytes(reason)).sum();
    // Names and values are those of the statements again.
    let changes = match verdict.changes.len() {
        0 => 0,
        count => count * (size_of::<Change>() + 2 * ALLOCATION_BYTES) + statements,
    };
    size_of::<Verdict>() + statements + changes + outcomes + effects + reasons + verdict.text_bytes_max
}

fn effect_bytes(effect: &Effect) -> usize {
    let schema = effect.object.schema.as_deref().map_or(0, text_bytes);
    let columns: usize = effect.columns.iter().map(|column| text_bytes(column)).sum();
    size_of::<Effect>() + text_bytes(&effect.object.name) + schema + columns
}

fn statement_bytes(statement: &Statement) -> usize {
    let Statement {
        range: _,
        semicolon: _,
        kind,
        effects,
        reasons,
        runs_prepared,
        use_of_prepared: _,
        leaks_if_stored,
        leaks_if_explained,
        touches,
        columns,
        protected_reads,
        decided_at_bind,
        opaque_until_bind,
        takes: _,
        changes_uncounted: _,
        probes: _,
        defers: _,
    } = statement;
    let effects = effects
        .iter()
        .chain(leaks_if_stored)
        .chain(leaks_if_explained)
        .map(effect_bytes);
    let named = runs_prepared.as_deref().map_or(0, text_bytes) + decided_at_bind.len() * size_of::<u16>();
    let reasons = reasons
        .iter()
        .map(|reason| size_of::<Reason>() + text_bytes(&reason.name));
    let listed: usize = match kind {
        StatementKind::Set {
            values: Some(values), ..
        } => values.iter().map(|value| text_bytes(value)).sum(),
        StatementKind::CopyOut {
            columns: Some(columns),
            ..
        } => columns.names.iter().map(|name| text_bytes(name)).sum(),
        // The others have a name at most.
        _ => 0,
    };
    let until_bind: usize = opaque_until_bind
        .iter()
        .map(|object| size_of::<Object>() + text_bytes(&object.name))
        .sum();
    let touched: usize = match touches {
        Touched::Names(touched) => {
            let TouchedNames {
                names,
                ties_code: _,
                renamed,
            } = touched;
            let renamed = renamed
                .iter()
                .map(|(name, oid)| text_bytes(name) + size_of_val(oid));
            let touched = names.iter().map(|name| text_bytes(name));
            touched.chain(renamed).sum()
        }
        Touched::Nothing | Touched::EveryName | Touched::Everything => 0,
    };
    let expected = columns.len() * Expectation::COLUMN_BYTES + ALLOCATION_BYTES;
    let columns = columns.iter().map(|column| {
        let from = column.lineage.columns().map_or(0, <[_]>::len);
        size_of::<OutputColumn>() + text_bytes(&column.name) + from * size_of::<BaseColumn>()
    });
    let protected = protected_reads.len() * size_of::<BaseColumn>();
    let parts = effects.sum::<usize>() + reasons.sum::<usize>() + columns.sum::<usize>();
    size_of::<Statement>() + named + parts + listed + until_bind + touched + protected + expected
}

fn outcome_bytes(outcome: &Outcome) -> usize {
    let denial = match outcome {
        Outcome::Allow(_) => 0,
        Outcome::Limited { terms, .. } => {
            let charges = terms.charges.iter();
            let charges = charges.map(|charge| {
                size_of::<Charge>() + ALLOCATION_BYTES + charge.to.len() * size_of::<Allowance>()
            });
            size_of::<Terms>() + ALLOCATION_BYTES + charges.sum::<usize>()
        }
        Outcome::Deny(denial) | Outcome::Observe(denial) => {
            let approval = denial.approval.as_deref().map_or(0, |approval| {
                let lists = approval.required.len() + approval.policies.len() + approval.effects.len();
                size_of::<Approval>() + lists * (size_of::<Arc<[Arc<str>]>>() + ALLOCATION_BYTES)
            });
            size_of::<Denial>()
                + text_bytes(&denial.object)
                + text_bytes(&denial.resource)
                + approval
                + denial.error.as_deref().map_or(0, text_bytes)
        }
    };
    size_of::<Outcome>() + denial
}

fn text_bytes(text: &str) -> usize {
    size_of::<Box<str>>() + ALLOCATION_BYTES + text.len()
}

#[cfg(test)]
mod tests {
    use sluice_parsers::sql::analyze;
    use sluice_parsers::sql::world::World;

    use super::super::Decided;
    use super::*;

    /// Whatever a text repeats weighs more the more often it does, and never less than what it stands for.
    #[test]
    fn what_a_text_can_make_large_weighs() {
        const TIMES: usize = 500;
        let list = |part: &str| vec![part; TIMES].join(", ");
        for (name, text, least) in [
            ("statements", "SELECT 1; ".repeat(TIMES), size_of::<Statement>()),
            (
                "tables",
                format!(
                    "SELECT 1 FROM {}",
                    (0..TIMES)
                        .map(|number| format!("t{number}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                size_of::<Effect>(),
            ),
            (
                "values of a setting",
                format!("SET search_path = {}", list("a")),
                size_of::<Box<str>>(),
            ),
            (
                "columns of a COPY",
                format!("COPY t ({}) TO STDOUT", list("a")),
                size_of::<Box<str>>(),
            ),
            ("a literal", format!("SELECT '{}'", "x".repeat(TIMES)), 1),
        ] {
            let analysis =
                analyze::analyze_bytes(text.as_bytes(), &analyze::Limits::default(), &World::built_in(15));
            assert!(analysis.readable, "{name}");
            let decided = Decided {
                outcomes: vec![Outcome::Allow(None); analysis.statements.len()].into(),
                is_timed: false,
            };
            let verdict = Verdict::new(analysis.statements, decided, 1, text.len());
            let bytes = verdict_bytes(&verdict);
            assert!(bytes > least * TIMES, "{name}: {bytes}");
        }
    }
}
