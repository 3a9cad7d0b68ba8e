//! What the oracle says: how much is not covered, and how much is opaque that should not be.

use std::collections::BTreeMap;
use std::fmt;

use crate::audit_log::AuditLine;
use crate::coverage::{self, Natives};
use crate::effect_line::EffectLine;
use crate::evasions::{self, Changed};
use crate::join::{Joined, Run};
use crate::state;

/// So many uncovered lines are shown.
const SHOWN_MAX: usize = 50;
/// Kinds and reasons are shown up to this many.
const KINDS_MAX: usize = 60;
/// Examples of each.
const EXAMPLES_MAX: usize = 3;
/// Long texts are cut in what is shown.
const TEXT_MAX: usize = 300;

/// How often something was found, and the first examples.
#[derive(Debug, Default)]
struct Found {
    count: usize,
    examples: Vec<String>,
}

/// Counts of one run of the oracle.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) statements: usize,
    pub(crate) lines: usize,
    /// Lines that no effect covers, and lines of statements that are not in the record.
    pub(crate) uncovered: usize,
    /// Lines that are covered only because effects without a schema match any.
    by_name_alone: usize,
    /// Statements whose effects do not all fit the record.
    pub(crate) cut: usize,
    /// Statements of which only reading, writing and the like is logged, and no function and nothing inside.
    pub(crate) plain: usize,
    pub(crate) plain_opaque: usize,
    /// What evasions left behind, and how much of it no effect covers.
    pub(crate) changes: usize,
    pub(crate) changes_uncovered: usize,
    states: BTreeMap<String, Found>,
    kinds: BTreeMap<String, Found>,
    reasons: BTreeMap<String, Found>,
    shown: Vec<String>,
}

impl Report {
    pub(crate) fn of(joined: &Joined, changed: &[Changed]) -> Self {
        let mut report = Self::default();
        let natives = Natives::of(joined.runs.iter().flat_map(|run| &run.lines));
        for run in &joined.runs {
            report.add(run, &natives);
        }
        for (application, line) in &joined.strays {
            report.lines += 1;
            report.miss("not in the record", application, line, &line.text, "");
        }
        let mut clients: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
        for run in &joined.runs {
            clients.entry(&run.application).or_default().push(run);
        }
        for changed in changed {
            let runs = clients.get(changed.application.as_str());
            report.compare_state(runs.map_or(&[], Vec::as_slice), changed);
        }
        report
    }

    fn compare_state(&mut self, runs: &[&Run], changed: &Changed) {
        let effects: Vec<EffectLine> = runs.iter().flat_map(|run| run.effects.clone()).collect();
        let is_refresh = runs.iter().any(|run| {
            run.text
                .to_ascii_uppercase()
                .contains("REFRESH MATERIALIZED VIEW")
        });
        self.changes += changed.differences.len();
        for difference in &changed.differences {
            if !state::covers(&effects, is_refresh, difference) {
                self.changes_uncovered += 1;
                let text: Vec<&str> = runs.iter().map(|run| run.text.as_str()).collect();
                let effects: Vec<String> = effects.iter().map(ToString::to_string).collect();
                let found = self.states.entry(difference.area.to_string()).or_default();
                found.note(|| {
                    format!(
                        "{}: {}\n      {}\n      effects: {}",
                        changed.application,
                        short(&text.join(" | ")),
                        short(&difference.to_string()),
                        short(&effects.join("; "))
                    )
                });
            }
        }
    }

    /// The share of plain statements that are opaque, in percent.
    pub(crate) fn opaque_share(&self) -> f64 {
        let whole = self.plain.max(1);
        f64::from(u32::try_from(self.plain_opaque).unwrap_or(u32::MAX)) * 100.0
            / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
    }

    fn add(&mut self, run: &Run, natives: &Natives) {
        if run.lines.is_empty() {
            return;
        }
        self.statements += 1;
        self.cut += usize::from(!run.is_whole);
        self.lines += run.lines.len();
        let mut qualified = run.clone();
        qualified.effects.retain(|effect| !effect.lacks_schema());
        for line in &run.lines {
            // Of a list that was cut nothing can be said.
            if !run.is_whole {
                continue;
            }
            if coverage::covers(run, line, natives) {
                self.by_name_alone += usize::from(!coverage::covers(&qualified, line, natives));
            } else {
                let effects: Vec<String> = run.effects.iter().map(ToString::to_string).collect();
                self.miss(
                    "uncovered",
                    &run.application,
                    line,
                    &run.text,
                    &effects.join("; "),
                );
            }
        }
        let is_plain = run
            .lines
            .iter()
            .all(|line| ["READ", "WRITE", "MISC"].contains(&line.class.as_str()) && !run.is_inner(line));
        // Evasions are written to be opaque.
        if is_plain && !run.application.starts_with(evasions::NAME) {
            self.plain += 1;
            if run.effects.iter().any(EffectLine::is_opaque) {
                self.plain_opaque += 1;
                let found = self.reasons.entry(run.reason.clone()).or_default();
                found.note(|| format!("{}: {}", run.application, short(&run.text)));
            }
        }
    }

    fn miss(&mut self, why: &str, application: &str, line: &AuditLine, text: &str, effects: &str) {
        self.uncovered += 1;
        let AuditLine {
            class,
            command,
            object_type,
            object_name,
            ..
        } = line;
        let inner = if line.text == text { "" } else { "inside: " };
        let kind = format!("{why}: {inner}{class} {command} {object_type}");
        let found = format!(
            "{application}: {}\n      line: {class},{command},{object_type},{object_name} {}\n      effects: {}",
            short(text),
            if line.text == text {
                String::new()
            } else {
                short(&line.text)
            },
            short(effects)
        );
        self.kinds.entry(kind).or_default().note(|| found.clone());
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(found);
        }
    }
}

impl Found {
    fn note(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        // Spread over the run, not all of one file.
        if self.examples.len() < EXAMPLES_MAX && self.count.is_power_of_two() {
            self.examples.push(example());
        }
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if short.len() > TEXT_MAX {
        short.truncate(short.floor_char_boundary(TEXT_MAX));
        short.push_str("...");
    }
    short
}

fn most_first(found: &BTreeMap<String, Found>) -> Vec<(&String, &Found)> {
    let mut sorted: Vec<_> = found.iter().collect();
    sorted.sort_by_key(|(_, found)| std::cmp::Reverse(found.count));
    sorted
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "-- uncovered, by kind")?;
        for (kind, found) in most_first(&self.kinds).into_iter().take(KINDS_MAX) {
            writeln!(f, "{:6} {kind}", found.count)?;
            for example in &found.examples {
                writeln!(f, "       {example}")?;
            }
        }
        writeln!(f, "-- plain statements that are opaque, by reason")?;
        for (reason, found) in most_first(&self.reasons).into_iter().take(KINDS_MAX) {
            writeln!(f, "{:6} {reason}", found.count)?;
            for example in &found.examples {
                writeln!(f, "       {example}")?;
            }
        }
        writeln!(f, "-- changes that no effect covers, by area")?;
        for (area, found) in most_first(&self.states) {
            writeln!(f, "{:6} {area}", found.count)?;
            for example in &found.examples {
                writeln!(f, "       {example}")?;
            }
        }
        writeln!(f, "-- the first that are uncovered")?;
        for found in &self.shown {
            writeln!(f, "{found}")?;
        }
        writeln!(
            f,
            "statements: {}, lines of pgaudit: {}",
            self.statements, self.lines
        )?;
        writeln!(f, "covered by a name without schema: {}", self.by_name_alone)?;
        writeln!(f, "records that are cut: {}", self.cut)?;
        writeln!(
            f,
            "plain statements: {}, opaque: {} ({:.2} %)",
            self.plain,
            self.plain_opaque,
            self.opaque_share()
        )?;
        writeln!(
            f,
            "changes of state: {}, uncovered: {}",
            self.changes, self.changes_uncovered
        )?;
        write!(f, "uncovered: {}", self.uncovered)
    }
}
