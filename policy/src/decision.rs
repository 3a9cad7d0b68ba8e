//! What policy answers, and how the answer reads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::annotations::{Limits, Severity};
use crate::budget::{Charge, UsedUp};
use crate::principal::Principal;
use crate::text::printable;

/// How much of a name goes into a message.
const NAME_CHARS_MAX: usize = 128;
/// How much of an id of several names does.
const RESOURCE_CHARS_MAX: usize = 384;
/// How much of the approvers' groups does.
const APPROVERS_CHARS_MAX: usize = 512;

/// What policy answers for a statement or a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Every effect is permitted.
    Allow(Permission),
    /// At least one effect is not.
    Deny(Box<Denial>),
}

/// What an allow says beside yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// The policies that permit, without repeats: the first effect's before the second's. Those that permit
    /// the connect are among them only where nothing but the connect was asked.
    pub policies: Vec<Arc<str>>,
    /// What the statement may use up: of an effect's permits the most generous holds, of the effects and the connect the
    /// strictest.
    /// Whoever runs the statement has to hold it to them.
    pub limits: Limits,
    /// What it is charged to, without repeats. Whoever runs the statement has to keep the accounts.
    pub charges: Vec<Charge>,
    /// The highest of the permits.
    pub severity: Option<Severity>,
    /// A condition looked at the time: the decision is true now, and has to be made again for every use.
    pub is_timed: bool,
}

/// Whether somebody may see values of a class as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unmasking {
    /// A permit says so, and nothing forbids it.
    pub is_permitted: bool,
    /// A condition looked at the time: the answer is true now, and has to be asked for again.
    pub is_timed: bool,
}

impl Decision {
    /// Whether it is an allow.
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// The denial, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }

    /// What the record names: the policy that denies, or the first that permits.
    pub fn policy(&self) -> Option<&str> {
        match self {
            Self::Allow(permission) => permission.policies.first().map(AsRef::as_ref),
            Self::Deny(denial) => denial.policy.as_deref(),
        }
    }

    /// Whether a condition looked at the time: the decision is true now, and has to be made again for every use.
    pub const fn is_timed(&self) -> bool {
        match self {
            Self::Allow(permission) => permission.is_timed,
            Self::Deny(denial) => denial.is_timed,
        }
    }
}

/// Whether this is the message of a denial for a budget that is used up.
pub fn tells_of_budget(message: &str) -> bool {
    message.starts_with("sluice: denied by policy \"") && message.contains(BUDGET_OF)
}

/// In the message of a denial for a budget.
const BUDGET_OF: &str = "\": its budget of ";

/// Why an effect is not allowed, the least final cause first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody has to approve it first, and nobody can be asked yet.
    Approval,
    /// No policy permits it.
    NoPermit,
    /// It would change how the next statement's text is read. Only [`crate::PolicySet::allow_all`] permits that.
    Lexing,
    /// A policy forbids it.
    Forbid,
    /// A policy could not be evaluated, which no one may gain from.
    EvaluationError,
    /// What a policy lets its identities use up is used up. Nothing that policy is asked gives it: who keeps the accounts does.
    Budget,
}

impl Cause {
    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::NoPermit => "no_permit",
            Self::Lexing => "lexing",
            Self::Forbid => "forbid",
            Self::EvaluationError => "evaluation_error",
            Self::Budget => "budget",
        }
    }
}

/// Who would have to approve a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// Of each of these lists one group has to say yes. Sorted, without repeats.
    pub required: Vec<Arc<[Arc<str>]>>,
    /// The policies that ask for it, without repeats.
    pub policies: Vec<Arc<str>>,
    /// How long a yes holds: the shortest of those policies' times.
    pub ttl: Option<Duration>,
    /// The effects that need it, by their places, ascending. A yes is for these and no other.
    pub effects: Vec<usize>,
}

impl Approval {
    /// Both together: what two effects of one statement need.
    pub(crate) fn add(&mut self, other: Self) {
        self.required.extend(other.required);
        self.required.sort_unstable();
        self.required.dedup();
        for policy in other.policies {
            if !self.policies.contains(&policy) {
                self.policies.push(policy);
            }
        }
        self.ttl = match (self.ttl, other.ttl) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.effects.extend(other.effects);
    }
}

/// `dba and one of owners, security`
impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, groups) in self.required.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            if groups.len() > 1 {
                f.write_str("one of ")?;
            }
            f.write_str(&groups.join(", "))?;
        }
        Ok(())
    }
}

/// A denied effect. Its `Display` is the message that the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The policy that forbids, cannot be evaluated or asks for an approval: its `@id`, or `policy0` and so on.
    pub policy: Option<Arc<str>>,
    /// That policy's `@message`.
    pub message: Option<Arc<str>>,
    /// The highest `@severity` of the policies that deny, or would have somebody approve.
    pub severity: Option<Severity>,
    /// Why.
    pub cause: Cause,
    /// Which of the statement's effects; `None` for the connect itself.
    pub effect: Option<usize>,
    /// The action's name in policies.
    pub action: &'static str,
    /// The effect's object as records show it; empty where there is none.
    pub object: Box<str>,
    /// `connection/database`.
    pub on: Arc<str>,
    /// The id of what was asked about: `connection/database/schema.table.column`, or as much of it as is known.
    pub resource: Box<str>,
    /// Whose yes to the whole statement is missing, where nothing else is ([`Cause::Approval`]).
    pub approval: Option<Box<Approval>>,
    /// What is used up ([`Cause::Budget`]).
    pub used_up: Option<Box<UsedUp>>,
    /// What the evaluation ran into; for the record, never for the client.
    pub error: Option<Box<str>>,
    /// A condition looked at the time: the decision is true now, and has to be made again for every use.
    pub is_timed: bool,
}

impl Denial {
    /// The denial of a statement that is permitted, and for which a budget has no room, with the severity of the budget's
    /// policy. No budget where it cannot be told which.
    pub fn of_budget(who: &Principal, used_up: Option<UsedUp>, severity: Option<Severity>) -> Self {
        Self {
            policy: used_up.as_ref().map(|used_up| Arc::clone(&used_up.policy)),
            message: None,
            severity,
            cause: Cause::Budget,
            effect: None,
            action: "Connect",
            object: Box::default(),
            on: Arc::clone(&who.on),
            resource: (&*who.on).into(),
            approval: None,
            used_up: used_up.map(Box::new),
            error: None,
            is_timed: true,
        }
    }

    /// What is denied, in the way of an SQL message: `DELETE on orders/shop/public.customers`.
    fn subject(&self) -> String {
        let on = printable(&self.resource, RESOURCE_CHARS_MAX);
        let words = match self.action {
            "SetRole" => "SET ROLE".to_owned(),
            action => action.to_ascii_uppercase(),
        };
        // The name is what the client has to change where the action alone says little.
        let named = matches!(self.action, "Set" | "Opaque" | "Execute") && !self.object.is_empty();
        if named {
            let on = printable(&self.on, NAME_CHARS_MAX);
            format!("{words} ({}) on {on}", printable(&self.object, NAME_CHARS_MAX))
        } else {
            format!("{words} on {on}")
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sluice: denied by policy")?;
        if let Some(policy) = &self.policy {
            write!(f, " \"{policy}\"")?;
        }
        f.write_str(": ")?;
        match (&self.message, self.cause) {
            (message, Cause::Approval) => {
                let approval = self.approval.as_deref().map(ToString::to_string);
                let by = printable(&approval.unwrap_or_default(), APPROVERS_CHARS_MAX);
                write!(
                    f,
                    "{} needs the approval of {by}, which cannot be asked for yet",
                    self.subject()
                )?;
                message
                    .as_ref()
                    .map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            (Some(message), Cause::Forbid) => f.write_str(message),
            (_, Cause::Forbid) => write!(f, "it forbids {}", self.subject()),
            (_, Cause::NoPermit) => write!(f, "nothing permits {}", self.subject()),
            (_, Cause::Lexing) => {
                write!(f, "{} would change how statements are read", self.subject())
            }
            (_, Cause::EvaluationError) => write!(f, "it cannot be evaluated for {}", self.subject()),
            (_, Cause::Budget) => {
                let budget = self.used_up.as_deref().map(|used_up| used_up.budget.to_string());
                write!(f, "its budget of {} is used up", budget.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Measure};

    const BUDGET: Budget = Budget {
        measure: Measure::Statements,
        max: 60,
        per: Duration::from_mins(1),
    };

    fn denial(
        cause: Cause,
        action: &'static str,
        object: &str,
        policy: Option<&str>,
        message: Option<&str>,
    ) -> Denial {
        Denial {
            policy: policy.map(Arc::from),
            message: message.map(Arc::from),
            severity: None,
            cause,
            effect: Some(0),
            action,
            object: object.into(),
            on: "orders/shop".into(),
            resource: "orders/shop/public.t".into(),
            approval: (cause == Cause::Approval).then(|| {
                Box::new(Approval {
                    required: vec![["dba".into()].into(), ["owners".into(), "security".into()].into()],
                    ..Approval::default()
                })
            }),
            used_up: (cause == Cause::Budget).then(|| {
                Box::new(UsedUp {
                    policy: "crew".into(),
                    budget: BUDGET,
                    wait: Duration::from_secs(5),
                })
            }),
            error: None,
            is_timed: false,
        }
    }

    #[test]
    fn messages_name_the_policy_or_what_nothing_permits() {
        let why = "schemas are changed by migrations, not by agents";
        for (name, denial, want) in [
            (
                "forbid with a message",
                denial(Cause::Forbid, "Drop", "relation t", Some("no-drop"), Some(why)),
                "sluice: denied by policy \"no-drop\": schemas are changed by migrations, not by agents",
            ),
            (
                "forbid without",
                denial(Cause::Forbid, "Drop", "relation t", Some("policy3"), None),
                "sluice: denied by policy \"policy3\": it forbids DROP on orders/shop/public.t",
            ),
            (
                "no permit",
                denial(Cause::NoPermit, "Delete", "relation t", None, None),
                "sluice: denied by policy: nothing permits DELETE on orders/shop/public.t",
            ),
            (
                "approval",
                denial(
                    Cause::Approval,
                    "Delete",
                    "relation t",
                    Some("ask"),
                    Some("say why in the ticket"),
                ),
                "sluice: denied by policy \"ask\": DELETE on orders/shop/public.t needs the approval of dba and one of \
                 owners, security, which cannot be asked for yet: say why in the ticket",
            ),
            (
                "opaque names what is unknown",
                denial(Cause::NoPermit, "Opaque", "function f", None, None),
                "sluice: denied by policy: nothing permits OPAQUE (function f) on orders/shop",
            ),
            (
                "lexing",
                denial(Cause::Lexing, "Set", "setting backslash_quote", None, None),
                "sluice: denied by policy: SET (setting backslash_quote) on orders/shop would change how statements are read",
            ),
            (
                "a message is not used for what it was not written for",
                denial(
                    Cause::EvaluationError,
                    "SetRole",
                    "role r",
                    Some("sum"),
                    Some(why),
                ),
                "sluice: denied by policy \"sum\": it cannot be evaluated for SET ROLE on orders/shop/public.t",
            ),
            (
                "a budget",
                denial(Cause::Budget, "Read", "relation t", Some("crew"), None),
                "sluice: denied by policy \"crew\": its budget of 60 statements per 1m is used up",
            ),
            (
                "names of the client are made printable",
                denial(Cause::NoPermit, "Set", "setting a\u{202e}\nb", None, None),
                "sluice: denied by policy: nothing permits SET (setting a\\u{202e}\\u{a}b) on orders/shop",
            ),
        ] {
            assert_eq!(denial.to_string(), want, "{name}");
            assert_eq!(tells_of_budget(want), denial.cause == Cause::Budget, "{name}");
        }
    }
}
