//! `sluice policy replay`: what a policy would have decided of recorded statements.

mod limits;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use serde::Serialize;
use sluice_audit::reader::{Session, StatementRow};
use sluice_audit::record::Decision as RecordedDecision;
use sluice_audit::time::Timestamp;
use sluice_parsers::sql::shape::Shape;
use sluice_policy::PolicySet;
use sluice_policy::printable;

use super::expectations::Verdict;
use super::recorded::{self, Answer, Decider, Untold, fingerprint, shown};
use crate::cli::Replay;
use crate::config;
use crate::explain_sql::print;
use crate::explain_sql::report::line;
use crate::failure::{Failure, counted};

/// Differences of more kinds than these are counted, not told apart.
const GROUPS_MAX: usize = 20_000;
/// How much of it people see.
const SHOWN_CHARS_MAX: usize = 240;

/// Reads, decides, compares and reports.
pub(crate) fn run(arguments: &Replay) -> Result<(), Failure> {
    let policies = match (&arguments.policy, &arguments.recorded.folder.config) {
        (Some(path), _) => super::read(path)?,
        (None, Some(path)) => config::load(path)?.0.policy,
        // The command line demands one of them.
        (None, None) => return Err(Failure::other("no policy", "name a file of policies")),
    };
    let mut comparison = Comparison::new(&policies);
    let problems = recorded::each(&arguments.recorded, |row| comparison.take(&row))?;
    print(&comparison.report(arguments.limit), arguments.json)?;
    crate::audit::print_problems(&problems);
    // What was read is decided right, and there may be more that was not.
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

/// What was decided when the statement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Was {
    Allowed,
    Denied,
    /// Denied, and it ran.
    Observed,
}

impl Was {
    const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Observed => "observed",
        }
    }

    /// Whether policy would say another thing now: what is held for an approval is not permitted.
    fn differs(self, would_be: Verdict) -> bool {
        (self == Self::Allowed) != (would_be == Verdict::Allow)
    }
}

/// What people read of a verdict.
const fn past(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny => "denied",
        Verdict::Approval => "held for approval",
    }
}

/// What statements have in common that are decided otherwise.
#[derive(PartialEq, Eq, Hash)]
struct GroupKey {
    session: SessionKey,
    /// Of the text without its literals.
    fingerprint: u64,
    was: Was,
    would_be: Verdict,
    policy: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct SessionKey {
    issuer: Box<str>,
    subject: Box<str>,
    connection: Box<str>,
    database: Box<[u8]>,
}

impl SessionKey {
    fn of(session: &Session) -> Self {
        Self {
            issuer: (*session.issuer).into(),
            subject: (*session.subject).into(),
            connection: (*session.connection).into(),
            database: (*session.database).into(),
        }
    }
}

/// Statements that are decided otherwise, alike but for their literals.
#[derive(Clone, Debug, Serialize)]
struct Difference {
    /// `issuer#subject`
    identity: String,
    connection: String,
    database: String,
    /// The first of them.
    statement: String,
    was: Was,
    would_be: Verdict,
    /// The policy that decides now: that denies, or the first that permits.
    policy: Option<Arc<str>>,
    /// The policy that decided the first of them.
    policy_before: Option<String>,
    /// What the client would be told, if it is denied.
    message: Option<String>,
    times: u64,
    first: Timestamp,
    last: Timestamp,
}

/// Takes recorded statements up and compares.
struct Comparison<'p> {
    decider: Decider<'p>,
    counts: BTreeMap<(Was, Verdict), u64>,
    untold: BTreeMap<Untold, u64>,
    groups: HashMap<GroupKey, Difference>,
    not_grouped: u64,
    limits: limits::Comparison,
    span: Option<(u64, u64)>,
    seed: u64,
    shape: Shape,
}

impl<'p> Comparison<'p> {
    fn new(policies: &'p PolicySet) -> Self {
        let seed = RandomState::new().hash_one(0);
        Self {
            decider: Decider::new(policies),
            counts: BTreeMap::new(),
            untold: BTreeMap::new(),
            groups: HashMap::new(),
            not_grouped: 0,
            limits: limits::Comparison::default(),
            span: None,
            // Nobody who chooses texts may make two of them look like one.
            seed,
            shape: Shape::with_seed(seed),
        }
    }

    fn take(&mut self, row: &StatementRow) {
        let (first, last) = self.span.unwrap_or((row.time_ns, row.time_ns));
        self.span = Some((first.min(row.time_ns), last.max(row.time_ns)));
        let was = match row.decision {
            RecordedDecision::Allow => Ok(Was::Allowed),
            RecordedDecision::Deny => Ok(Was::Denied),
            RecordedDecision::Observe => Ok(Was::Observed),
            _ => Err(Untold::Names),
        };
        match was.and_then(|was| Ok((was, self.decider.decide(row)?))) {
            Ok((was, answer)) => {
                *self.counts.entry((was, answer.verdict)).or_default() += 1;
                if was.differs(answer.verdict) {
                    self.note(row, was, &answer);
                }
                if was != Was::Denied && answer.verdict == Verdict::Allow {
                    let fingerprint = || fingerprint(&mut self.shape, self.seed, &row.text);
                    self.limits
                        .take(row, &answer.limits, answer.policy.as_deref(), fingerprint);
                }
            }
            Err(untold) => *self.untold.entry(untold).or_default() += 1,
        }
    }

    fn note(&mut self, row: &StatementRow, was: Was, answer: &Answer) {
        let key = GroupKey {
            session: SessionKey::of(&row.session),
            fingerprint: fingerprint(&mut self.shape, self.seed, &row.text),
            was,
            would_be: answer.verdict,
            policy: answer.policy.clone(),
        };
        if let Some(known) = self.groups.get_mut(&key) {
            known.times += 1;
            known.first = known.first.min(Timestamp(row.time_ns));
            known.last = known.last.max(Timestamp(row.time_ns));
        } else if self.groups.len() < GROUPS_MAX {
            let difference = Difference {
                identity: format!("{}#{}", row.session.issuer, row.session.subject),
                connection: row.session.connection.clone(),
                database: String::from_utf8_lossy(&row.session.database).into_owned(),
                statement: shown(row),
                was,
                would_be: answer.verdict,
                policy: answer.policy.clone(),
                policy_before: (!row.policy.is_empty()).then(|| row.policy.clone()),
                message: answer.message.clone(),
                times: 1,
                first: Timestamp(row.time_ns),
                last: Timestamp(row.time_ns),
            };
            self.groups.insert(key, difference);
        } else {
            self.not_grouped += 1;
        }
    }

    fn report(self, limit: usize) -> Report {
        let mut differences: Vec<_> = self.groups.into_values().collect();
        let groups = differences.len();
        differences.sort_by_cached_key(|one| order(one.times, one.first, &one.identity, &one.statement));
        differences.truncate(limit);
        let decided: Vec<_> = self
            .counts
            .into_iter()
            .map(|((was, would_be), statements)| Count {
                was,
                would_be,
                differs: was.differs(would_be),
                statements,
            })
            .collect();
        let untold: Vec<_> = self
            .untold
            .into_iter()
            .map(|(untold, statements)| Reason {
                name: untold,
                text: untold.to_string(),
                statements,
            })
            .collect();
        let all = |counts: &mut dyn Iterator<Item = u64>| counts.sum();
        let cannot_be_told = all(&mut untold.iter().map(|reason| reason.statements));
        let told: u64 = all(&mut decided.iter().map(|count| count.statements));
        let differing = decided.iter().filter(|count| count.differs);
        Report {
            statements: told + cannot_be_told,
            first: self.span.map(|(first, _)| Timestamp(first)),
            last: self.span.map(|(_, last)| Timestamp(last)),
            different: differing.map(|count| count.statements).sum(),
            decided,
            cannot_be_told,
            reasons: untold,
            groups,
            not_grouped: self.not_grouped,
            differences,
            limits: self.limits.report(limit),
        }
    }
}

/// The most frequent first, then what came first.
fn order(times: u64, first: Timestamp, identity: &str, statement: &str) -> impl Ord + use<> {
    (Reverse(times), first, identity.to_owned(), statement.to_owned())
}

/// What comes of a comparison.
#[derive(Debug, Serialize)]
struct Report {
    /// All that were looked at.
    statements: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// By what was decided and what would be.
    decided: Vec<Count>,
    /// Those that would be decided otherwise.
    different: u64,
    /// Those whose records do not suffice.
    cannot_be_told: u64,
    reasons: Vec<Reason>,
    /// How many kinds of differences there are.
    groups: usize,
    /// Differing statements that were counted and not told apart, as there are too many kinds.
    not_grouped: u64,
    /// The most frequent first.
    differences: Vec<Difference>,
    /// What would pass limits of those that would be allowed.
    limits: limits::Report,
}

#[derive(Debug, Serialize)]
struct Count {
    was: Was,
    would_be: Verdict,
    differs: bool,
    statements: u64,
}

#[derive(Debug, Serialize)]
struct Reason {
    name: Untold,
    /// In words.
    text: String,
    statements: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = counted(
            usize::try_from(self.statements).unwrap_or(usize::MAX),
            "statement",
        );
        match (self.first, self.last) {
            (Some(first), Some(last)) => line(f, 0, &format!("{all} from {first} to {last}"))?,
            _ => return line(f, 0, "no statement is recorded that is asked for"),
        }
        for count in &self.decided {
            let word = if count.differs { "would be" } else { "still" };
            let (was, would_be) = (count.was.name(), past(count.would_be));
            line(
                f,
                2,
                &format!("{:>9}  {was}, {word} {would_be}", count.statements),
            )?;
        }
        self.limits.write_counts(f)?;
        if self.cannot_be_told > 0 {
            line(f, 2, &format!("{:>9}  cannot be told:", self.cannot_be_told))?;
            for reason in &self.reasons {
                line(f, 13, &format!("{} where {}", reason.statements, reason.text))?;
            }
        }
        for difference in &self.differences {
            f.write_str("\n")?;
            difference.fmt(f)?;
        }
        self.limits.fmt(f)?;
        let left_out = self.groups.saturating_sub(self.differences.len()) + self.limits.kinds_left_out();
        if left_out > 0 {
            f.write_str("\n")?;
            let more = counted(left_out, "kind");
            line(
                f,
                0,
                &format!("{more} of differences more: see them with a higher --limit"),
            )?;
        }
        let not_grouped = self.not_grouped + self.limits.not_grouped();
        if not_grouped > 0 {
            let statements = counted(usize::try_from(not_grouped).unwrap_or(usize::MAX), "statement");
            line(
                f,
                0,
                &format!(
                    "{statements} of further kinds are counted above and not told apart: narrow them with --identity or --since"
                ),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |policy: Option<&str>| policy.map_or_else(String::new, |policy| format!(" by {policy}"));
        let change = format!(
            "{} times {}{}, would be {}{}",
            self.times,
            self.was.name(),
            by(self.policy_before.as_deref()),
            past(self.would_be),
            by(self.policy.as_deref()),
        );
        line(f, 0, &change)?;
        let on = format!("{} on {}/{}", self.identity, self.connection, self.database);
        line(f, 2, &format!("{on}, from {} to {}", self.first, self.last))?;
        line(f, 2, &printable(&self.statement, SHOWN_CHARS_MAX))?;
        match &self.message {
            Some(message) => line(f, 2, message),
            None => Ok(()),
        }
    }
}
