//! `sluice policy suggest`: the least policy under which what is on record would have run.

mod cases;
mod draft;
mod gather;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use sluice_audit::time::Timestamp;
use sluice_parsers::sql::effect::Effect;
use sluice_policy::identity::{Identity, LOCAL_ISSUER, Method};
use sluice_policy::{Client, Moment, PolicySet, Principal, Target, printable};

use self::draft::{Draft, Whose};
use self::gather::{Gathered, LeftOut, Question, Why};
use super::recorded;
use crate::cli::Suggest;
use crate::config;
use crate::console::print_report;
use crate::explain_sql::print;
use crate::explain_sql::report::line;
use crate::failure::{Failure, counted};

/// As many kinds of statements that are left out are named in the policy's comments.
const COMMENTED_MAX: usize = 40;
/// How much of a statement a comment shows.
const SHOWN_CHARS_MAX: usize = 160;

/// Gathers, drafts, holds the draft against what it was made of, and writes it.
pub(crate) fn run(arguments: &Suggest) -> Result<(), Failure> {
    let mut gathered = Gathered::new(arguments);
    let problems = recorded::each(&arguments.recorded, |row| gathered.take(&row))?;
    crate::audit::print_problems(&problems);
    let whose = whose(arguments, &gathered)?;
    let configured = match &arguments.recorded.folder.config {
        Some(path) => configured(path)?,
        None => BTreeMap::new(),
    };
    let suggestion = suggest(whose, gathered, &configured)?;
    if let Some(path) = &arguments.tests {
        write(path, &cases::file(&suggestion)?)?;
    }
    if let Some(path) = &arguments.output {
        write(path, &suggestion.policy)?;
    }
    let report = Report::new(suggestion, arguments.output.is_some());
    print(&report, arguments.json)?;
    // The policy is right for what was read, and there may be more that was not.
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::other(format!("cannot write {}", path.display()), error))
}

/// Whom the policy is for.
fn whose(arguments: &Suggest, gathered: &Gathered) -> Result<Whose, Failure> {
    let issuers: BTreeSet<_> = gathered.identities.keys().map(|(issuer, _)| issuer).collect();
    let Some(((issuer, subject), groups)) = gathered.identities.iter().next() else {
        return Err(Failure::other(
            "nothing to suggest",
            "no statement is recorded that is asked for; see what there is with `sluice audit query`",
        ));
    };
    let identity = |groups: &BTreeSet<String>| {
        let method = if issuer == LOCAL_ISSUER {
            Method::Scram
        } else {
            Method::Oidc
        };
        Identity::new(&**issuer, &**subject, method).with_groups(groups.iter().cloned())
    };
    let named = arguments.group.as_ref().unwrap_or(subject);
    if !gather::is_writable(named) || !gather::is_writable(issuer) {
        let cause = format!("{named:?} holds characters that policies refuse");
        return Err(Failure::other("the name cannot be written in a policy", cause));
    }
    match &arguments.group {
        Some(group) => Ok(Whose {
            scope: format!("principal in Group::\"{}\"", group.escape_debug()),
            name: group.clone(),
            identity: identity(&BTreeSet::from([group.clone()])),
        }),
        None if issuers.len() > 1 => {
            let issuers: Vec<_> = issuers.into_iter().map(String::as_str).collect();
            let cause = format!(
                "identities of several issuers have that name: {}",
                issuers.join(", ")
            );
            Err(Failure::other("name one with --issuer", cause))
        }
        None => {
            let identity = identity(groups);
            Ok(Whose {
                scope: format!(
                    "principal == Identity::\"{}\"",
                    identity.principal_id().escape_debug()
                ),
                name: subject.clone(),
                identity,
            })
        }
    }
}

/// The columns that each connection of the configuration masks: schema, table and column.
type Configured = BTreeMap<String, BTreeSet<[String; 3]>>;

fn configured(path: &Path) -> Result<Configured, Failure> {
    let (loaded, _) = config::load(path)?;
    let connections = loaded.connections.iter();
    let columns = connections.map(|connection| {
        let columns = connection.masking.columns().iter();
        let names = columns.map(|one| [one.schema.clone(), one.table.clone(), one.column.clone()]);
        (connection.name.clone(), names.collect())
    });
    Ok(columns.collect())
}

/// A policy and what it was made of.
struct Suggestion {
    whose: Whose,
    policy: String,
    /// What the policy permits of what was recorded and ran to its end.
    covered: Vec<Question>,
    left_out: Vec<LeftOut>,
    draft: Draft,
    span: (u64, u64),
    counts: Counts,
}

/// What became of the statements that were looked at: each is in one count but `all`.
#[derive(Clone, Copy, Debug, Serialize)]
struct Counts {
    /// All of them.
    #[serde(rename = "statements")]
    all: u64,
    /// The policy permits them, and they ran to their end.
    covered: u64,
    /// The policy permits them, and they failed or nobody knows their end.
    #[serde(rename = "covered_unfinished")]
    unfinished: u64,
    /// The policy does not permit them, or need not.
    #[serde(rename = "not_covered")]
    left_out: u64,
}

/// Drafts until the draft permits all that it was made of.
fn suggest(whose: Whose, gathered: Gathered, configured: &Configured) -> Result<Suggestion, Failure> {
    let (span, all) = (gathered.span, gathered.statements);
    let (mut covered, mut left_out) = gathered.divide();
    loop {
        let draft = Draft::new(&covered, &left_out, configured);
        let text = draft.write(&whose);
        let policies = PolicySet::parse(&text, "the suggestion").map_err(|errors| {
            // Names of the record that policies cannot write would have to be left out before.
            print_report(&errors);
            Failure::Reported
        })?;
        let refused = refused(&policies, &whose, &mut covered);
        if !refused.is_empty() {
            left_out.extend(refused);
            continue;
        }
        // What failed is not left out where the policy permits it.
        let mut unfinished = 0;
        left_out.retain(|one| {
            let is_covered = matches!(one.why, Why::Failed | Why::Unfinished)
                && one.is_one_kind
                && Target::new(&*one.connection, &*one.database)
                    .is_ok_and(|target| is_allowed(&policies, &whose, &target, &one.asked));
            unfinished += if is_covered { one.statements } else { 0 };
            !is_covered
        });
        let counts = Counts {
            all,
            covered: covered.iter().map(|question| question.statements).sum(),
            unfinished,
            left_out: left_out.iter().map(|one| one.statements).sum(),
        };
        let policy = format!("{}\n{text}", header(&whose, counts, &left_out, span));
        return Ok(Suggestion {
            whose,
            policy,
            covered,
            left_out,
            draft,
            span,
            counts,
        });
    }
}

/// Takes out what a policy does not permit.
fn refused(policies: &PolicySet, whose: &Whose, covered: &mut Vec<Question>) -> Vec<LeftOut> {
    let mut refused = Vec::new();
    covered.retain(|question| {
        let is_allowed = is_allowed(policies, whose, &question.target, &question.effects);
        if !is_allowed {
            refused.push(question.left_out(Why::NotCovered));
        }
        is_allowed
    });
    refused
}

fn is_allowed(policies: &PolicySet, whose: &Whose, target: &Target, effects: &[Effect]) -> bool {
    let principal = Principal::new(&whose.identity, target.clone());
    let client = Client::new([127, 0, 0, 1].into());
    policies
        .decide(&principal, &client, Moment::from_unix_ms(0), effects)
        .is_allow()
}

fn statements(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "statement")
}

/// What people read above the policies.
fn header(whose: &Whose, counts: Counts, left_out: &[LeftOut], (first, last): (u64, u64)) -> String {
    let mut text = String::new();
    let mut comment = |words: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "// {}", printable(words, 400));
    };
    comment(&format!(
        "What {} sent from {} to {}: {} recorded.",
        whose.name,
        Timestamp(first),
        Timestamp(last),
        statements(counts.all)
    ));
    let unfinished = match counts.unfinished {
        0 => String::new(),
        unfinished => format!("; {unfinished} more that it permits failed or have no recorded end"),
    };
    comment(&format!(
        "{} ran and are covered{unfinished}; {} left out.",
        counts.covered, counts.left_out
    ));
    comment("Read it before it is in force: it permits what was done, and not what should be.");
    if left_out.is_empty() {
        return text;
    }
    comment("");
    comment("Left out:");
    let mut by_reason: BTreeMap<Why, Vec<&LeftOut>> = BTreeMap::new();
    for one in left_out {
        by_reason.entry(one.why).or_default().push(one);
    }
    let mut room = COMMENTED_MAX;
    for (why, mut kinds) in by_reason {
        kinds.sort_by_key(|one| Reverse(one.statements));
        comment(&format!("- {why}:"));
        for one in kinds.iter().take(room) {
            let shown = printable(&one.statement, SHOWN_CHARS_MAX);
            comment(&format!("    {} x {shown}", one.statements));
        }
        let unnamed = kinds.len().saturating_sub(room);
        if unnamed > 0 {
            comment(&format!("    and {}", counted(unnamed, "kind")));
        }
        room = room.saturating_sub(kinds.len());
    }
    text
}

/// What comes of it.
#[derive(Debug, Serialize)]
struct Report {
    /// The scope that every policy has.
    principal: String,
    first: Timestamp,
    last: Timestamp,
    #[serde(flatten)]
    counts: Counts,
    /// Distinct lists of effects among those that are covered.
    questions: usize,
    left_out: Vec<LeftOut>,
    /// The text of the policies.
    policy: String,
    /// It is in a file.
    #[serde(skip)]
    is_written: bool,
}

impl Report {
    fn new(suggestion: Suggestion, is_written: bool) -> Self {
        let Suggestion {
            whose,
            policy,
            covered,
            mut left_out,
            span: (first, last),
            counts,
            ..
        } = suggestion;
        left_out.sort_by_key(|one| (one.why, Reverse(one.statements)));
        Self {
            principal: whose.scope,
            first: Timestamp(first),
            last: Timestamp(last),
            counts,
            questions: covered.len(),
            left_out,
            policy,
            is_written,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_written {
            return f.write_str(&self.policy);
        }
        line(f, 0, &format!("{} recorded", statements(self.counts.all)))?;
        let kinds = counted(self.questions, "kind");
        line(f, 0, &format!("{} of {kinds} covered", self.counts.covered))?;
        if self.counts.unfinished > 0 {
            let unfinished = self.counts.unfinished;
            line(
                f,
                0,
                &format!("{unfinished} permitted that failed or have no recorded end"),
            )?;
        }
        let mut by_reason: BTreeMap<Why, u64> = BTreeMap::new();
        for one in &self.left_out {
            *by_reason.entry(one.why).or_default() += one.statements;
        }
        by_reason
            .iter()
            .try_for_each(|(why, statements)| line(f, 0, &format!("{statements} left out: {why}")))
    }
}
