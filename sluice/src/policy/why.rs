//! `sluice policy why`: whether an identity may run a statement, what it would see of the result, and which policies had a say.

mod result;

use std::fmt;

use serde::{Serialize, Serializer};
use sluice_parsers::sql::effect::Effect;
use sluice_policy::{Cause, Decision, PolicySet, Severity, Word};

use self::result::Shows;
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
    let statements = analysis.statements.iter().enumerate();
    let identity = &asked.asker.identity;
    let report = Report {
        identity: identity.principal_id(),
        groups: identity.groups().to_vec(),
        on: format!("{}/{}", subject.connection, subject.database),
        statements: statements
            .map(|(index, statement)| {
                let before = analysis.statements.get(..index).unwrap_or_default();
                let effects = statement.effects_behind(before);
                let masking = subject.masking.as_ref();
                let shows = masking.map(|masking| asked.shows(statement, before, catalog, masking));
                asked.answer(&effects, shows, Explained::new(&sql, statement, catalog))
            })
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
    fn answer(&self, effects: &[Effect], shows: Option<Shows>, explained: Explained) -> Answer {
        let Asker {
            principal: who,
            client,
            moment,
            ..
        } = &self.asker;
        let moment = *moment;
        let decision = self.policies.decide(who, client, moment, effects);
        let requests = self.policies.explain(who, client, moment, effects);
        Answer {
            is_allowed: decision.is_allow(),
            policy: decision.policy().map(ToOwned::to_owned),
            message: decision.denial().map(ToString::to_string),
            severity: decision
                .denial()
                .and_then(|denial| denial.severity.map(Severity::name)),
            is_timed: decision.is_timed() || shows.as_ref().is_some_and(|shows| shows.is_timed),
            permits: match &decision {
                Decision::Allow(permission) => permission.policies.iter().map(ToString::to_string).collect(),
                Decision::Deny(_) => Vec::new(),
            },
            limits: match &decision {
                Decision::Allow(permission) => permission.limits.written(),
                Decision::Deny(_) => Vec::new(),
            },
            charges: match &decision {
                Decision::Allow(permission) => permission.charges.iter().map(ToString::to_string).collect(),
                Decision::Deny(_) => Vec::new(),
            },
            requests: requests
                .into_iter()
                .map(|request| Request::new(request, effects))
                .collect(),
            result: shows,
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
    /// What a denial is recorded with.
    severity: Option<&'static str>,
    /// A condition looked at the time.
    is_timed: bool,
    /// The policies that permit, if it is allowed.
    permits: Vec<String>,
    /// What it is held to, as policies write it.
    limits: Vec<String>,
    /// What it is charged to.
    charges: Vec<String>,
    requests: Vec<Request>,
    /// What is seen of its rows; none without a configuration, which tells what is masked.
    result: Option<Shows>,
    statement: Explained,
}

/// One effect, or the part of it that is on one column, or the connect; or that a class is seen as it is.
#[derive(Debug, Serialize)]
struct Request {
    action: &'static str,
    /// The statement's effect that makes it; none for the connect and a class.
    effect: Option<String>,
    resource: String,
    /// Why it is denied, if it is.
    #[serde(serialize_with = "cause_name")]
    denied: Option<Cause>,
    /// Whose yes would permit it.
    approval: Option<String>,
    /// The policies whose scope takes it in.
    policies: Vec<Opinion>,
}

impl Request {
    fn new(request: sluice_policy::Explained, effects: &[Effect]) -> Self {
        Self {
            action: request.action,
            effect: request
                .effect
                .and_then(|index| effects.get(index))
                .map(ToString::to_string),
            resource: request.resource,
            denied: request.cause,
            approval: request.approval.map(|approval| approval.to_string()),
            policies: request.opinions.into_iter().map(Opinion::new).collect(),
        }
    }
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives the field's reference"
)]
fn cause_name<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    cause.map(Cause::name).serialize(serializer)
}

/// What one policy says of a request.
#[derive(Debug, Serialize)]
struct Opinion {
    policy: String,
    /// `permit` or `forbid`.
    kind: &'static str,
    #[serde(flatten)]
    word: Said,
}

/// What became of the policy's conditions.
#[derive(Debug, Serialize)]
#[serde(tag = "word", rename_all = "snake_case")]
enum Said {
    Applies,
    ConditionFalse,
    /// What its evaluation ran into.
    Error {
        error: String,
    },
}

impl Opinion {
    fn new(opinion: sluice_policy::Opinion) -> Self {
        Self {
            policy: opinion.policy.to_string(),
            kind: if opinion.is_forbid { "forbid" } else { "permit" },
            word: match opinion.word {
                Word::Applies => Said::Applies,
                Word::ConditionFalse => Said::ConditionFalse,
                Word::Error(error) => Said::Error { error: error.into() },
            },
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
        if let Some(severity) = self.severity {
            line(f, 2, &format!("recorded with severity {severity}"))?;
        }
        if !self.limits.is_empty() {
            line(f, 2, &format!("within {}", self.limits.join(" ")))?;
        }
        self.charges
            .iter()
            .try_for_each(|charge| line(f, 2, &format!("may be charged to {charge}")))?;
        if self.is_timed {
            line(f, 2, "now: a condition looks at the time")?;
        }
        self.requests.iter().try_for_each(|request| request.fmt(f))?;
        self.statement.fmt(f)?;
        match &self.result {
            Some(shows) => shows.fmt(f),
            None if self.statement.gives_rows() => line(
                f,
                2,
                "what is masked of the columns takes a configuration to tell: see --config",
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match (self.denied, &self.approval) {
            (None, _) => "permitted".to_owned(),
            (Some(Cause::Approval), Some(by)) => format!("needs the approval of {by}"),
            (Some(Cause::NoPermit), _) => "denied: no policy permits it".to_owned(),
            (Some(Cause::Forbid), _) => "forbidden".to_owned(),
            (Some(Cause::Lexing), _) => "denied: it changes how text is read".to_owned(),
            (Some(cause @ (Cause::Approval | Cause::EvaluationError | Cause::Budget)), _) => {
                format!("denied: {}", cause.name())
            }
        };
        line(f, 2, &format!("{} on {}: {answer}", self.action, self.resource))?;
        self.policies.iter().try_for_each(|opinion| opinion.fmt(f))
    }
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = match &self.word {
            Said::Applies => "applies".to_owned(),
            Said::ConditionFalse => format!("nearly: its conditions do not hold, or it would {}", self.kind),
            Said::Error { error } => format!("cannot be evaluated: {error}"),
        };
        line(f, 4, &format!("{} {}: {says}", self.kind, self.policy))
    }
}
