//! Which recorded statements would pass a limit (`@max_rows` and its kind) of the policy, as far as their ends tell.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sluice_audit::reader::StatementRow;
use sluice_audit::record::{Outcome, Protocol, StatementEnd};
use sluice_audit::time::Timestamp;
use sluice_parsers::sql::effect::{EffectFlags, EffectMask};
use sluice_policy::{Limits, printable};

use super::{GROUPS_MAX, SHOWN_CHARS_MAX, SessionKey, order, shown};
use crate::explain_sql::report::line;

/// What a statement's end says of limits.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Within,
    /// It passed limits then, and would pass these.
    AsThen,
    /// It would pass these.
    Passes(Limits),
    /// What was recorded does not suffice.
    Untold,
}

/// Compares an end with limits.
fn compare(row: &StatementRow, limits: &Limits) -> Word {
    if limits.is_none() {
        return Word::Within;
    }
    let Some(end) = row.end().filter(|end| end.outcome != Outcome::Unknown) else {
        return Word::Untold;
    };
    let passed = passed(row, end, limits);
    if end.outcome == Outcome::Limited {
        // It was stopped then, where other limits held: nobody knows how far it would have gone.
        return if passed.is_none() {
            Word::Untold
        } else {
            Word::AsThen
        };
    }
    if !passed.is_none() {
        return Word::Passes(passed);
    }
    let changes = EffectMask::from_bits(row.actions, EffectFlags::NONE.bits());
    let changes = Limits::CHANGING.iter().any(|action| changes.contains(*action));
    // A change that the server counts too late is refused, and a record does not tell whether it is one.
    let is_counted = row.protocol == Protocol::Execute && counts_changes(&row.text);
    if changes && limits.max_affected.is_some() && !is_counted {
        return Word::Untold;
    }
    Word::Within
}

/// The limits that are passed for certain.
fn passed(row: &StatementRow, end: &StatementEnd, limits: &Limits) -> Limits {
    // Rows without a byte were changed and not given.
    let given = if end.bytes > 0 { end.rows } else { 0 };
    let changed = if counts_changes(&row.text) { end.rows } else { 0 };
    let took = Duration::from_nanos(end.upstream_ns);
    Limits {
        max_rows: limits.max_rows.filter(|max| given > *max),
        max_bytes: limits.max_bytes.filter(|max| end.bytes > *max),
        max_time: limits.max_time.filter(|max| took > *max),
        max_affected: limits.max_affected.filter(|max| changed > *max),
    }
}

/// Whether a statement's rows are those that it changes.
fn counts_changes(text: &[u8]) -> bool {
    let mut words = text.split(|byte| !byte.is_ascii_alphabetic());
    let first = words.find(|word| !word.is_empty()).unwrap_or_default();
    // A comment in front has words of its own, and is not told from what it is about.
    let is_first = text.trim_ascii_start().starts_with(first);
    let counted: [&[u8]; 4] = [b"insert", b"update", b"delete", b"merge"];
    is_first && counted.iter().any(|word| first.eq_ignore_ascii_case(word))
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    session: SessionKey,
    fingerprint: u64,
    passed: Vec<String>,
}

/// Statements that would pass limits, alike but for their literals.
#[derive(Clone, Debug, Serialize)]
struct Passing {
    /// `issuer#subject`
    identity: String,
    connection: String,
    database: String,
    /// The first of them.
    statement: String,
    /// As policies write them.
    passes: Vec<String>,
    /// The first policy that permits.
    policy: Option<String>,
    times: u64,
    first: Timestamp,
    last: Timestamp,
    /// The most rows that one of them had.
    rows: u64,
    /// The most bytes.
    bytes: u64,
    /// The longest that the server took, in milliseconds.
    took_ms: u64,
}

impl Passing {
    fn add(&mut self, time_ns: u64, end: &StatementEnd) {
        self.times += 1;
        self.first = self.first.min(Timestamp(time_ns));
        self.last = self.last.max(Timestamp(time_ns));
        self.rows = self.rows.max(end.rows);
        self.bytes = self.bytes.max(end.bytes);
        self.took_ms = self.took_ms.max(end.upstream_ns / 1_000_000);
    }
}

/// Takes up statements that the policy permits.
#[derive(Default)]
pub(super) struct Comparison {
    passing: u64,
    untold: u64,
    groups: HashMap<Key, Passing>,
    not_grouped: u64,
}

impl Comparison {
    /// A statement that ran and would be permitted within limits. `fingerprint` tells texts apart without their literals.
    pub(super) fn take(
        &mut self,
        row: &StatementRow,
        limits: &Limits,
        policy: Option<&str>,
        fingerprint: impl FnOnce() -> u64,
    ) {
        let (passes, end) = match (compare(row, limits), row.end()) {
            (Word::Passes(passed), Some(end)) => (passed.written(), end),
            (Word::Untold, _) => {
                self.untold += 1;
                return;
            }
            _ => return,
        };
        self.passing += 1;
        let key = Key {
            session: SessionKey::of(&row.session),
            fingerprint: fingerprint(),
            passed: passes.clone(),
        };
        if let Some(known) = self.groups.get_mut(&key) {
            known.add(row.time_ns, end);
        } else if self.groups.len() < GROUPS_MAX {
            let mut passing = Passing {
                identity: format!("{}#{}", row.session.issuer, row.session.subject),
                connection: row.session.connection.clone(),
                database: String::from_utf8_lossy(&row.session.database).into_owned(),
                statement: shown(row),
                passes,
                policy: policy.map(ToOwned::to_owned),
                times: 0,
                first: Timestamp(row.time_ns),
                last: Timestamp(row.time_ns),
                rows: 0,
                bytes: 0,
                took_ms: 0,
            };
            passing.add(row.time_ns, end);
            self.groups.insert(key, passing);
        } else {
            self.not_grouped += 1;
        }
    }

    pub(super) fn report(self, limit: usize) -> Report {
        let mut kinds: Vec<_> = self.groups.into_values().collect();
        kinds.sort_by_cached_key(|one| order(one.times, one.first, &one.identity, &one.statement));
        let groups = kinds.len();
        kinds.truncate(limit);
        Report {
            passing: self.passing,
            cannot_be_told: self.untold,
            groups,
            not_grouped: self.not_grouped,
            kinds,
        }
    }
}

/// What comes of the comparison with limits.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Statements that ran, would be permitted, and would pass a limit.
    passing: u64,
    /// Such that the policy holds to limits, where the record does not tell.
    cannot_be_told: u64,
    /// How many kinds of the first there are.
    groups: usize,
    /// Those that were counted and not told apart.
    not_grouped: u64,
    /// The most frequent first.
    kinds: Vec<Passing>,
}

impl Report {
    /// The counts, below those of decisions.
    pub(super) fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passing > 0 {
            line(
                f,
                2,
                &format!("{:>9}  of those allowed would pass a limit", self.passing),
            )?;
        }
        if self.cannot_be_told > 0 {
            line(
                f,
                2,
                &format!(
                    "{:>9}  of those allowed may pass a limit: their records do not tell",
                    self.cannot_be_told
                ),
            )?;
        }
        Ok(())
    }

    /// How many kinds are not shown.
    pub(super) fn kinds_left_out(&self) -> usize {
        self.groups.saturating_sub(self.kinds.len())
    }

    pub(super) const fn not_grouped(&self) -> u64 {
        self.not_grouped
    }
}

/// The kinds.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kinds.iter().try_for_each(|kind| {
            f.write_str("\n")?;
            kind.fmt(f)
        })
    }
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.policy.as_deref().unwrap_or("the policy");
        let passes = self.passes.join(" ");
        line(
            f,
            0,
            &format!("{} times allowed by {by}, would pass {passes}", self.times),
        )?;
        let on = format!("{} on {}/{}", self.identity, self.connection, self.database);
        line(f, 2, &format!("{on}, from {} to {}", self.first, self.last))?;
        line(f, 2, &printable(&self.statement, SHOWN_CHARS_MAX))?;
        let (rows, bytes, took) = (self.rows, self.bytes, self.took_ms);
        line(f, 2, &format!("up to {rows} rows, {bytes} bytes, {took} ms"))
    }
}
