//! What an identity may use up over time: `@budget("60 statements per 1m, 100000 rows per 1h")`.
//!
//! A decision names what a statement is charged to, and nothing more: whoever runs statements keeps the accounts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::annotations::duration;
use crate::errors::Unplaced;

/// How many budgets one policy may have.
const BUDGETS_MAX: usize = 8;
/// The longest time that a budget may be for.
const PER_MAX: Duration = Duration::from_hours(31 * 24);
/// The shortest.
const PER_MIN: Duration = Duration::from_secs(1);
/// Beyond what anybody uses up.
const AMOUNT_MAX: u64 = 1_000_000_000_000_000;
/// The largest budget of probes. Each is remembered, so that the same one again is not another.
pub const PROBES_MAX: u64 = 10_000;

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Statements that run; not what only begins or ends a transaction or gives something back.
    Statements,
    /// Rows given to the client.
    Rows,
    /// Values given to the client that were masked.
    Masked,
    /// Constants and parameters that a protected column is compared with, the same one once.
    Probes,
}

impl Measure {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Statements, Self::Rows, Self::Masked, Self::Probes];

    /// The word in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Statements => "statements",
            Self::Rows => "rows",
            Self::Masked => "masked",
            Self::Probes => "probes",
        }
    }
}

/// How much of something may be used up in any stretch of time of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// What is counted.
    pub measure: Measure,
    /// How much there may be.
    pub max: u64,
    /// In how much time.
    pub per: Duration,
}

/// As policies write it: `60 statements per 60s`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} per ", self.max, self.measure.name())?;
        let ms = self.per.as_millis();
        let units = [
            (24 * 60 * 60 * 1000, "d"),
            (60 * 60 * 1000, "h"),
            (60 * 1000, "m"),
            (1000, "s"),
        ];
        let unit = units.into_iter().find(|(unit, _)| ms.is_multiple_of(*unit));
        let (unit, name) = unit.unwrap_or((1, "ms"));
        write!(f, "{}{name}", ms / unit)
    }
}

impl Budget {
    /// What it lets through, at the least, in a stretch of another length if nothing was used up before.
    pub(crate) fn max_in(&self, per: Duration) -> u64 {
        // Use is forgotten up to a sixtieth of the time late.
        let times = per.as_millis() * 60 / (self.per.as_millis() * 61).max(1);
        let times = u64::try_from(times).unwrap_or(u64::MAX).max(1);
        self.max.saturating_mul(times)
    }

    /// Reads the value of `@budget`: budgets with commas between them.
    pub(crate) fn list(value: &str) -> Result<Arc<[Self]>, Unplaced> {
        let mut budgets: Vec<Self> = Vec::new();
        for written in value.split(',') {
            let budget = Self::read(value, written)?;
            let is_same = |other: &Self| (other.measure, other.per) == (budget.measure, budget.per);
            if budgets.iter().any(is_same) {
                return Err(Unplaced::new(
                    format!(
                        "@budget({value:?}) says twice how many {} there may be",
                        budget.measure.name()
                    ),
                    "give each of them another time, or take one out",
                ));
            }
            budgets.push(budget);
        }
        if budgets.len() > BUDGETS_MAX {
            return Err(Unplaced::new(
                "@budget has too many parts".to_owned(),
                format!("write at most {BUDGETS_MAX} budgets for one policy"),
            ));
        }
        Ok(budgets.into())
    }

    fn read(value: &str, written: &str) -> Result<Self, Unplaced> {
        let words: Vec<&str> = written.split_ascii_whitespace().collect();
        let [amount, measure, "per", time] = words[..] else {
            return Err(malformed(value));
        };
        let is_number = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit());
        let measure = Measure::ALL.into_iter().find(|known| known.name() == measure);
        let (true, Some(measure)) = (is_number, measure) else {
            return Err(malformed(value));
        };
        let most = if measure == Measure::Probes {
            PROBES_MAX
        } else {
            AMOUNT_MAX
        };
        let max = amount.parse().ok().filter(|max| (1..=most).contains(max));
        let max = max.ok_or_else(|| {
            Unplaced::new(
                format!("@budget({value:?}) is out of range"),
                format!("write from 1 to {most} {}", measure.name()),
            )
        })?;
        let per = duration("budget", time, PER_MAX)
            .ok()
            .filter(|per| *per >= PER_MIN);
        let per = per.ok_or_else(|| {
            Unplaced::new(
                format!("@budget({value:?}) has no time that a budget can be for"),
                "write a time from \"1s\" to \"31d\": a number with s, m, h or d",
            )
        })?;
        Ok(Self { measure, max, per })
    }
}

fn malformed(value: &str) -> Unplaced {
    Unplaced::new(
        format!("@budget({value:?}) is no budget"),
        "write a number of statements, rows, masked or probes and a time, with commas between several: \
         \"60 statements per 1m, 100000 rows per 1h\"",
    )
}

/// What a permit lets its identities use up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// The policy.
    pub policy: Arc<str>,
    /// Its budgets of the charge's measure; one at least.
    pub budgets: Arc<[Budget]>,
}

/// Something that a statement uses up. There has to be room in one of the allowances, in all of its budgets, and each of them
/// is charged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Charge {
    /// What is used up.
    pub measure: Measure,
    /// Of the permits that apply, in the order of the file; one at least.
    pub to: Arc<[Allowance]>,
}

/// `60 statements per 1m by "crew"`
impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, allowance) in self.to.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { " or " })?;
            for (place, budget) in allowance.budgets.iter().enumerate() {
                write!(f, "{}{budget}", if place == 0 { "" } else { ", " })?;
            }
            write!(f, " by \"{}\"", allowance.policy)?;
        }
        Ok(())
    }
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// The policy whose it is.
    pub policy: Arc<str>,
    /// The budget.
    pub budget: Budget,
    /// After how many whole seconds there is room again.
    pub wait: Duration,
}

impl UsedUp {
    /// When whoever is refused for it can come again.
    pub fn hint(&self) -> String {
        let seconds = self.wait.as_secs();
        let about = match seconds {
            0..180 => return format!("There is room again in {seconds} s."),
            180..10_800 => format!("{} minutes", seconds.div_ceil(60)),
            10_800..259_200 => format!("{} hours", seconds.div_ceil(3600)),
            _ => format!("{} days", seconds.div_ceil(86_400)),
        };
        format!("There is room again in {seconds} s, about {about}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_or_refused_with_the_way_out() {
        for (value, want) in [
            ("60 statements per 1m", Some(vec!["60 statements per 1m"])),
            (
                " 100000 rows per 60m ,1 masked per 90s,20  probes  per 1d",
                Some(vec!["100000 rows per 1h", "1 masked per 90s", "20 probes per 1d"]),
            ),
            ("5 rows per 1500ms", Some(vec!["5 rows per 1500ms"])),
            (
                "5 rows per 1m, 50 rows per 1h",
                Some(vec!["5 rows per 1m", "50 rows per 1h"]),
            ),
            ("5 rows per 1m, 50 rows per 60s", None),
            ("", None),
            ("5 rows per 1m,", None),
            ("0 rows per 1m", None),
            ("-1 rows per 1m", None),
            ("5 rows", None),
            ("5 rows per minute", None),
            ("5 rows per 999ms", None),
            ("5 rows per 32d", None),
            ("5 bytes per 1m", None),
            ("10001 probes per 1h", None),
            ("99999999999999999999 rows per 1h", None),
            (
                "1 rows per 1s,1 rows per 2s,1 rows per 3s,1 rows per 4s,1 rows per 5s,1 rows per 6s,1 rows per 7s,1 rows per 8s,1 rows per 9s",
                None,
            ),
        ] {
            let got = Budget::list(value);
            let written = got
                .as_ref()
                .map(|budgets| budgets.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(
                written.ok(),
                want.map(|want| want.into_iter().map(str::to_owned).collect()),
                "{value}"
            );
            if let Err(mistake) = got {
                assert!(
                    mistake.message.starts_with("@budget") && !mistake.help.is_empty(),
                    "{mistake:?}"
                );
            }
        }
    }
}
