//! What policy answers, and how the answer reads.

use std::fmt;
use std::sync::Arc;

use crate::text::printable;

/// How much of a name goes into a message.
const NAME_CHARS_MAX: usize = 128;

/// What policy answers for a statement or a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Every effect is permitted.
    Allow {
        /// The policies that permit, without repeats: the first effect's before the second's. Those that permit
        /// the connect are among them only where nothing but the connect was asked.
        policies: Vec<Arc<str>>,
    },
    /// At least one effect is not.
    Deny(Box<Denial>),
}

impl Decision {
    /// Whether it is an allow.
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// The denial, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allow { .. } => None,
            Self::Deny(denial) => Some(denial),
        }
    }

    /// What the record names: the policy that denies, or the first that permits.
    pub fn policy(&self) -> Option<&str> {
        match self {
            Self::Allow { policies } => policies.first().map(AsRef::as_ref),
            Self::Deny(denial) => denial.policy.as_deref(),
        }
    }
}

/// Why an effect is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// No policy permits it.
    NoPermit,
    /// It would change how the next statement's text is read. Only [`crate::PolicySet::allow_all`] permits that.
    Lexing,
    /// A policy forbids it.
    Forbid,
    /// A policy could not be evaluated, which no one may gain from.
    EvaluationError,
}

impl Cause {
    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPermit => "no_permit",
            Self::Lexing => "lexing",
            Self::Forbid => "forbid",
            Self::EvaluationError => "evaluation_error",
        }
    }
}

/// A denied effect. Its `Display` is the message that the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The policy that forbids or cannot be evaluated: its `@id`, or `policy0` and so on.
    pub policy: Option<Arc<str>>,
    /// That policy's `@message`.
    pub message: Option<Arc<str>>,
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
    /// What the evaluation ran into; for the record, never for the client.
    pub error: Option<Box<str>>,
}

impl Denial {
    /// What is denied, in the way of an SQL message: `DELETE on orders/shop`.
    fn subject(&self) -> String {
        let on = printable(&self.on, NAME_CHARS_MAX);
        let words = match self.action {
            "SetRole" => "SET ROLE".to_owned(),
            action => action.to_ascii_uppercase(),
        };
        // The name is what the client has to change where the action alone says little.
        let named = matches!(self.action, "Set" | "Opaque" | "Execute") && !self.object.is_empty();
        if named {
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
            (Some(message), Cause::Forbid) => f.write_str(message),
            (_, Cause::Forbid) => write!(f, "it forbids {}", self.subject()),
            (_, Cause::NoPermit) => write!(f, "nothing permits {}", self.subject()),
            (_, Cause::Lexing) => {
                write!(f, "{} would change how statements are read", self.subject())
            }
            (_, Cause::EvaluationError) => write!(f, "it cannot be evaluated for {}", self.subject()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            cause,
            effect: Some(0),
            action,
            object: object.into(),
            on: "orders/shop".into(),
            error: None,
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
                "sluice: denied by policy \"policy3\": it forbids DROP on orders/shop",
            ),
            (
                "no permit",
                denial(Cause::NoPermit, "Delete", "relation t", None, None),
                "sluice: denied by policy: nothing permits DELETE on orders/shop",
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
                "sluice: denied by policy \"sum\": it cannot be evaluated for SET ROLE on orders/shop",
            ),
            (
                "names of the client are made printable",
                denial(Cause::NoPermit, "Set", "setting a\u{202e}\nb", None, None),
                "sluice: denied by policy: nothing permits SET (setting a\\u{202e}\\u{a}b) on orders/shop",
            ),
        ] {
            assert_eq!(denial.to_string(), want, "{name}");
        }
    }
}
