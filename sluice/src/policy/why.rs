//! `sluice policy why`: whether an identity may run a statement, and which policies had a say.

use std::fmt;

use serde::Serialize;
use sluice_parsers::sql::statement::Statement;
use sluice_policy::{Decision, PolicySet, Word};

use super::asked::{Asker, Who};
use super::policies;
use crate::cli::Why;
use crate::explain_sql::print;
use crate::explain_sql::report::{Explained, line};
use crate::failure::Failure;
use crate::subject::{Subject, text_of};

/// Prints what is decided of each statement, and why.
pub(crate) fn run(arguments: &Why) -> Result<(), Failure> {
    let sql = text_of(&arguments.sql)?;
    let mut subject = Subject::of(&arguments.place)?;
    let asked = Asked {
        asker: Asker::new(&who(arguments), &subject)?,
        policies: policies(arguments.policy.as_deref(), &mut subject)?,
    };
    let analysis = subject.analyze(&sql);
    let catalog = &subject.world.catalog;
    let statements = analysis.statements.iter();
    let identity = &asked.asker.identity;
    let report = Report {
        identity: identity.principal_id(),
        groups: identity.groups().to_vec(),
        on: format!("{}/{}", subject.connection, subject.database),
        statements: statements
            .map(|statement| asked.answer(statement, Explained::new(&sql, statement, catalog)))
            .collect(),
    };
    print(&report, arguments.json)
}

fn who(arguments: &Why) -> Who {
    Who {
        identity: arguments.identity.clone(),
        issuer: arguments.issuer.clone(),
        groups: arguments.groups.clone(),
        claims: arguments.claims.clone(),
        address: arguments.address,
        application_name: arguments.application_name.clone(),
        at: arguments.at,
    }
}

/// A policy, and who asks it.
struct Asked {
    policies: PolicySet,
    asker: Asker,
}

impl Asked {
    fn answer(&self, statement: &Statement, explained: Explained) -> Answer {
        let Asker {
            principal: who,
            client,
            moment,
            ..
        } = &self.asker;
        let (moment, effects) = (*moment, &statement.effects);
        let decision = self.policies.decide(who, client, moment, effects);
        let requests = self.policies.explain(who, client, moment, effects);
        let effect_of = |index: Option<usize>| effects.get(index?).map(ToString::to_string);
        Answer {
            is_allowed: decision.is_allow(),
            policy: decision.policy().map(ToOwned::to_owned),
            message: decision.denial().map(ToString::to_string),
            is_timed: decision.is_timed(),
            permits: match &decision {
                Decision::Allow(permission) => permission.policies.iter().map(ToString::to_string).collect(),
                Decision::Deny(_) => Vec::new(),
            },
            requests: requests
                .into_iter()
                .map(|request| Request {
                    action: request.action,
                    effect: effect_of(request.effect),
                    resource: request.resource,
                    denied: request.cause.map(sluice_policy::Cause::name),
                    approval: request.approval.map(|approval| approval.to_string()),
                    policies: request.opinions.into_iter().map(Opinion::new).collect(),
                })
                .collect(),
            statement: explained,
        }
    }
}

/// What is decided of a text.
#[derive(Debug, Serialize)]
struct Report {
    /// `issuer#subject`
    identity: String,
    groups: Vec<String>,
    /// `connection/database`
    on: String,
    statements: Vec<Answer>,
}

/// What is decided of a statement.
#[derive(Debug, Serialize)]
struct Answer {
    is_allowed: bool,
    /// The policy that denies, or the first that permits.
    policy: Option<String>,
    /// What the client is told, if it is denied.
    message: Option<String>,
    /// A condition looked at the time.
    is_timed: bool,
    /// The policies that permit, if it is allowed.
    permits: Vec<String>,
    requests: Vec<Request>,
    statement: Explained,
}

/// One effect, or the part of it that is on one column, or the connect.
#[derive(Debug, Serialize)]
struct Request {
    action: &'static str,
    /// The statement's effect that makes it; none for the connect.
    effect: Option<String>,
    resource: String,
    /// Why it is denied, if it is.
    denied: Option<&'static str>,
    /// Whose yes would permit it.
    approval: Option<String>,
    /// The policies whose scope takes it in.
    policies: Vec<Opinion>,
}

/// What one policy says of a request.
#[derive(Debug, Serialize)]
struct Opinion {
    policy: String,
    /// `permit` or `forbid`.
    kind: &'static str,
    /// `applies`, `condition_false` or `error`.
    word: &'static str,
    /// What its evaluation ran into.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Opinion {
    fn new(opinion: sluice_policy::Opinion) -> Self {
        let (word, error) = match opinion.word {
            Word::Applies => ("applies", None),
            Word::ConditionFalse => ("condition_false", None),
            Word::Error(error) => ("error", Some(error.into())),
        };
        Self {
            policy: opinion.policy.to_string(),
            kind: if opinion.is_forbid { "forbid" } else { "permit" },
            word,
            error,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = match self.groups.as_slice() {
            [] => "no group".to_owned(),
            groups => groups.join(", "),
        };
        line(f, 0, &format!("{} ({groups}) on {}", self.identity, self.on))?;
        self.statements
            .iter()
            .try_for_each(|answer| write!(f, "\n{answer}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_allowed { "allowed" } else { "denied" };
        line(f, 0, &format!("{word}  {}", self.statement.title()))?;
        match &self.message {
            Some(message) => line(f, 2, message)?,
            None if self.permits.is_empty() => line(f, 2, "everything is allowed: no policy is asked")?,
            None => line(f, 2, &format!("permitted by {}", self.permits.join(", ")))?,
        }
        if self.is_timed {
            line(f, 2, "now: a condition looks at the time")?;
        }
        self.requests.iter().try_for_each(|request| request.fmt(f))?;
        self.statement.fmt(f)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match (self.denied, &self.approval) {
            (None, _) => "permitted".to_owned(),
            (Some("approval"), Some(by)) => format!("needs the approval of {by}"),
            (Some("no_permit"), _) => "denied: no policy permits it".to_owned(),
            (Some("forbid"), _) => "forbidden".to_owned(),
            (Some("lexing"), _) => "denied: it changes how text is read".to_owned(),
            (Some(cause), _) => format!("denied: {cause}"),
        };
        line(f, 2, &format!("{} on {}: {answer}", self.action, self.resource))?;
        self.policies.iter().try_for_each(|opinion| opinion.fmt(f))
    }
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = match (self.word, &self.error) {
            ("applies", _) => "applies".to_owned(),
            ("condition_false", _) => {
                format!("nearly: its conditions do not hold, or it would {}", self.kind)
            }
            (_, error) => format!("cannot be evaluated: {}", error.as_deref().unwrap_or_default()),
        };
        line(f, 4, &format!("{} {}: {says}", self.kind, self.policy))
    }
}
