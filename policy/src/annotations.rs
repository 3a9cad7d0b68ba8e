//! What policies say beside their conditions: `@id`, `@message`, `@approvers`, `@ttl`, `@severity`, the limits and `@budget`.

use std::sync::Arc;
use std::time::Duration;

use sluice_parsers::sql::effect::Action;

use crate::budget::Budget;
use crate::errors::Unplaced;

/// The longest `@id`.
const ID_BYTES_MAX: usize = 128;
/// The longest `@message`: it becomes the message of an error.
const MESSAGE_BYTES_MAX: usize = 1024;
/// How many groups may approve.
const APPROVERS_MAX: usize = 32;
/// The longest time for which an approval may hold.
const TTL_MAX: Duration = Duration::from_hours(7 * 24);
/// The longest time that a statement may be given.
const TIME_MAX: Duration = Duration::from_hours(24);

/// Every annotation there is, for messages.
const KNOWN: &str = "known are @id, @message, @approvers, @ttl, @severity, @max_rows, @max_bytes, @max_time, @max_affected \
                     and @budget";

/// How much a policy's word weighs for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Of interest.
    Info,
    /// To be looked at some time.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at today.
    High,
    /// To be looked at now.
    Critical,
}

impl Severity {
    const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in policies and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Bounds on what an allowed statement may do; `None` is no bound.
///
/// A decision carries them and nothing more: whoever runs the statement has to hold it to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Rows given to the client.
    pub max_rows: Option<u64>,
    /// Bytes given to the client.
    pub max_bytes: Option<u64>,
    /// How long it may run.
    pub max_time: Option<Duration>,
    /// Rows changed.
    pub max_affected: Option<u64>,
}

impl Limits {
    /// The actions that change rows, or may: what `@max_affected` is about.
    pub const CHANGING: [Action; 5] = [
        Action::Insert,
        Action::Update,
        Action::Delete,
        Action::Truncate,
        Action::Opaque,
    ];

    /// Whether there is no bound.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Each limit as policies write it: `@max_rows("1000")`.
    pub fn written(&self) -> Vec<String> {
        let number = |name: &str, value: Option<u64>| Some(format!("@{name}(\"{}\")", value?));
        let limits = [
            number("max_rows", self.max_rows),
            self.max_bytes.map(|bytes| format!("@max_bytes(\"{bytes}B\")")),
            self.max_time
                .map(|time| format!("@max_time(\"{}ms\")", time.as_millis())),
            number("max_affected", self.max_affected),
        ];
        limits.into_iter().flatten().collect()
    }

    /// Of two policies that both permit: what either grants.
    pub(crate) fn most_generous(self, other: Self) -> Self {
        fn generous<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            Some(one?.max(other?))
        }
        Self {
            max_rows: generous(self.max_rows, other.max_rows),
            max_bytes: generous(self.max_bytes, other.max_bytes),
            max_time: generous(self.max_time, other.max_time),
            max_affected: generous(self.max_affected, other.max_affected),
        }
    }

    /// Of two things that are both done: what holds for both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        fn strict<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            max_rows: strict(self.max_rows, other.max_rows),
            max_bytes: strict(self.max_bytes, other.max_bytes),
            max_time: strict(self.max_time, other.max_time),
            max_affected: strict(self.max_affected, other.max_affected),
        }
    }
}

/// A policy's annotations, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Annotations {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) message: Option<Arc<str>>,
    /// The groups of which one has to say yes; empty if nobody is asked.
    pub(crate) approvers: Arc<[Arc<str>]>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) severity: Option<Severity>,
    pub(crate) limits: Limits,
    /// What may be used up over time.
    pub(crate) budgets: Arc<[Budget]>,
}

impl Annotations {
    /// Takes one annotation up.
    pub(crate) fn take(&mut self, key: &str, value: &str) -> Result<(), Unplaced> {
        match key {
            "id" => self.id = Some(id(value)?),
            "message" => self.message = Some(message(value)?),
            "approvers" => self.approvers = approvers(value)?,
            "ttl" => self.ttl = Some(duration(key, value, TTL_MAX)?),
            "severity" => self.severity = Some(severity(value)?),
            "max_rows" => self.limits.max_rows = Some(count(key, value)?),
            "max_bytes" => self.limits.max_bytes = Some(size(key, value)?),
            "max_time" => self.limits.max_time = Some(duration(key, value, TIME_MAX)?),
            "max_affected" => self.limits.max_affected = Some(count(key, value)?),
            "budget" => self.budgets = Budget::list(value)?,
            key => {
                let help = format!("{KNOWN}; a comment begins with //");
                return Err(Unplaced::new(format!("@{key} is not known"), help));
            }
        }
        Ok(())
    }
}

fn id(value: &str) -> Result<Arc<str>, Unplaced> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if value.is_empty() || value.len() > ID_BYTES_MAX || !value.bytes().all(plain) {
        return Err(Unplaced::new(
            format!("@id({value:?}) is no name for a policy"),
            format!("use 1 to {ID_BYTES_MAX} letters, digits and any of - _ . : /"),
        ));
    }
    let is_default = value
        .strip_prefix("policy")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    if is_default {
        return Err(Unplaced::new(
            format!("@id({value:?}) is what a policy without @id is called"),
            "give it a name that says what it is for",
        ));
    }
    Ok(value.into())
}

fn message(value: &str) -> Result<Arc<str>, Unplaced> {
    if value.is_empty() || value.len() > MESSAGE_BYTES_MAX || value.chars().any(char::is_control) {
        return Err(Unplaced::new(
            "@message is no message for a client",
            format!("use one line of 1 to {MESSAGE_BYTES_MAX} bytes"),
        ));
    }
    Ok(value.into())
}

fn approvers(value: &str) -> Result<Arc<[Arc<str>]>, Unplaced> {
    let mut groups: Vec<Arc<str>> = value.split(',').map(|name| name.trim().into()).collect();
    groups.sort_unstable();
    groups.dedup();
    let is_name = |name: &Arc<str>| {
        !name.is_empty()
            && name.len() <= crate::identity::GROUP_BYTES_MAX
            && !name.chars().any(char::is_control)
    };
    if groups.len() > APPROVERS_MAX || !groups.iter().all(is_name) {
        return Err(Unplaced::new(
            format!("@approvers({value:?}) names no groups"),
            format!(
                "write a group, or up to {APPROVERS_MAX} with commas between them, of which one has to approve"
            ),
        ));
    }
    Ok(groups.into())
}

fn severity(value: &str) -> Result<Severity, Unplaced> {
    let found = Severity::ALL
        .into_iter()
        .find(|severity| severity.name() == value);
    found.ok_or_else(|| {
        let words = Severity::ALL.map(Severity::name).join(", ");
        Unplaced::new(
            format!("@severity({value:?}) is no severity"),
            format!("write one of {words}"),
        )
    })
}

fn count(key: &str, value: &str) -> Result<u64, Unplaced> {
    let number = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.then(|| value.parse().ok()).flatten();
    number.ok_or_else(|| {
        Unplaced::new(
            format!("@{key}({value:?}) is no number of rows"),
            "write a whole number, such as \"1000\"",
        )
    })
}

fn size(key: &str, value: &str) -> Result<u64, Unplaced> {
    let scaled = || {
        let (number, unit) = number_and_unit(value)?;
        let shift = match unit.to_ascii_lowercase().as_str() {
            "b" => 0,
            "kib" => 10,
            "mib" => 20,
            "gib" => 30,
            _ => return None,
        };
        number.checked_mul(1 << shift)
    };
    scaled().ok_or_else(|| {
        Unplaced::new(
            format!("@{key}({value:?}) is not a size"),
            "write a number with a unit, such as \"64KiB\", \"10MiB\" or \"1GiB\"",
        )
    })
}

pub(crate) fn duration(key: &str, value: &str, max: Duration) -> Result<Duration, Unplaced> {
    let read = || {
        let (number, unit) = number_and_unit(value)?;
        let ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        Some(Duration::from_millis(number.checked_mul(ms)?))
    };
    let Some(duration) = read() else {
        return Err(Unplaced::new(
            format!("@{key}({value:?}) is not a time"),
            "write a number with a unit: \"500ms\", \"30s\", \"15m\", \"1h\" or \"1d\"",
        ));
    };
    if duration.is_zero() || duration > max {
        return Err(Unplaced::new(
            format!("@{key}({value:?}) is out of range"),
            format!("write a time from \"1ms\" to \"{}h\"", max.as_secs() / 3600),
        ));
    }
    Ok(duration)
}

fn number_and_unit(value: &str) -> Option<(u64, &str)> {
    let at = value.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = value.split_at(at);
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_taken_or_refused_with_the_way_out() {
        for (key, value, is_good) in [
            ("id", "no-drop", true),
            ("id", "", false),
            ("id", "policy7", false),
            ("message", "ask the owner", true),
            ("message", "two\nlines", false),
            ("approvers", "dba", true),
            ("approvers", "dba, security", true),
            ("approvers", "", false),
            ("approvers", "dba,,x", false),
            ("ttl", "15m", true),
            ("ttl", "15", false),
            ("ttl", "0s", false),
            ("ttl", "8d", false),
            ("ttl", "99999999999999999999d", false),
            ("severity", "high", true),
            ("severity", "High", false),
            ("max_rows", "0", true),
            ("max_rows", "1000", true),
            ("max_rows", "1e3", false),
            ("max_rows", "+1", false),
            ("max_rows", "", false),
            ("max_bytes", "10MiB", true),
            ("max_bytes", "10MB", false),
            ("max_bytes", "10", false),
            ("max_bytes", "99999999999999GiB", false),
            ("max_time", "30s", true),
            ("max_time", "2d", false),
            ("max_affected", "100", true),
            ("max_affected", "-1", false),
            ("max_row", "1", false),
        ] {
            let got = Annotations::default().take(key, value);
            assert_eq!(got.is_ok(), is_good, "@{key}({value:?}): {got:?}");
            if let Err(mistake) = got {
                assert!(
                    !mistake.help.is_empty() && mistake.message.starts_with('@'),
                    "{mistake:?}"
                );
            }
        }
    }

    #[test]
    fn limits_are_written_as_they_are_read() {
        let written = [
            ("max_rows", "1000"),
            ("max_bytes", "10240B"),
            ("max_time", "1500ms"),
            ("max_affected", "0"),
        ];
        let mut annotations = Annotations::default();
        for (key, value) in written {
            annotations.take(key, value).expect("a limit");
        }
        assert_eq!(
            annotations.limits.written(),
            written.map(|(key, value)| format!("@{key}(\"{value}\")"))
        );
        assert!(Limits::default().written().is_empty());
    }

    #[test]
    fn limits_of_permits_add_up_and_those_of_effects_cut() {
        let rows = |max_rows| Limits {
            max_rows,
            ..Limits::default()
        };
        for (one, other, generous, strict) in [
            (None, None, None, None),
            (Some(1), None, None, Some(1)),
            (None, Some(1), None, Some(1)),
            (Some(1), Some(2), Some(2), Some(1)),
        ] {
            assert_eq!(rows(one).most_generous(rows(other)), rows(generous));
            assert_eq!(rows(one).strictest(rows(other)), rows(strict));
        }
    }
}
