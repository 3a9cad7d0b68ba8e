//! Times as people write them: RFC 3339 in UTC, and ages such as `2h`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a time (2026-11-23T15:04:05Z) nor an age (90s, 15m, 2h, 7d)")]
pub struct TimeError(pub String);

/// The system's clock, in Unix nanoseconds.
pub fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Reads `2026-11-23T15:04:05.5Z` (any offset; a date alone is its midnight in UTC), or an age before `now_ns`:
/// a number and `s`, `m`, `h`, `d` or `w`.
pub fn parse(text: &str, now_ns: u64) -> Result<u64, TimeError> {
    age(text)
        .map(|age| now_ns.saturating_sub(age))
        .or_else(|| absolute(text))
        .ok_or_else(|| TimeError(text.to_owned()))
}

/// Unix nanoseconds that print as RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / SECOND_NS;
        let micros = self.0 % SECOND_NS / 1000;
        let day = seconds / 86_400;
        let (year, month, date) = civil(i64::try_from(day).unwrap_or(0));
        let second = seconds % 86_400;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Nanoseconds as people read them: three digits and a unit.
#[derive(Debug, Clone, Copy)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        let (whole, unit, name) = match ns {
            0..1_000 => return write!(f, "{ns}ns"),
            1_000..1_000_000 => (ns, 1_000, "µs"),
            1_000_000..SECOND_NS => (ns, 1_000_000, "ms"),
            _ => (ns, SECOND_NS, "s"),
        };
        let (units, rest) = (whole / unit, whole % unit);
        match units {
            0..10 => write!(f, "{units}.{:02}{name}", rest * 100 / unit),
            10..100 => write!(f, "{units}.{}{name}", rest * 10 / unit),
            _ => write!(f, "{units}{name}"),
        }
    }
}

fn age(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    digits(&text[..text.len() - 1])?
        .checked_mul(seconds)?
        .checked_mul(SECOND_NS)
}

fn absolute(text: &str) -> Option<u64> {
    let date = text.get(..10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || month.len() != 2 || day.len() != 2 || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let days = days_since_epoch(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let mut seconds = days * DAY_SECONDS;
    let mut nanos = 0;
    if text.len() > 10 {
        let rest = text[10..].strip_prefix(['T', 't', ' '])?;
        let (clock, offset) = split_offset(rest)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut parts = clock.split(':');
        let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
        let second = parts.next().map_or(Some(0), two_digits)?;
        if hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
            return None;
        }
        if !fraction.is_empty() {
            let kept = fraction.get(..fraction.len().min(9))?;
            nanos = digits(kept)? * 10_u64.pow(9 - u32::try_from(kept.len()).ok()?);
        }
        seconds += hour * 3600 + minute * 60 + second - offset;
    }
    u64::try_from(seconds)
        .ok()?
        .checked_mul(SECOND_NS)?
        .checked_add(nanos)
}

/// Splits `15:04:05+02:00` into the clock and the offset in seconds. An offset is required.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some((
        clock,
        if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        },
    ))
}

fn two_digits(text: &str) -> Option<i64> {
    if text.len() == 2 { number(text) } else { None }
}

fn number(text: &str) -> Option<i64> {
    i64::try_from(digits(text)?).ok()
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        let now = 1_800_000_000 * SECOND_NS;
        let ok = |seconds: u64, nanos: u64| Some(seconds * SECOND_NS + nanos);
        for (input, want) in [
            ("1970-01-01T00:00:00Z", ok(0, 0)),
            ("2026-11-23T15:04:05Z", ok(1_795_446_245, 0)),
            ("2026-11-23T15:04:05.25Z", ok(1_795_446_245, 250_000_000)),
            ("2026-11-23T17:04:05+02:00", ok(1_795_446_245, 0)),
            ("2026-11-23 09:34:05-05:30", ok(1_795_446_245, 0)),
            ("2026-11-23T15:04Z", ok(1_795_446_240, 0)),
            ("2026-11-23", ok(1_795_392_000, 0)),
            ("2024-02-29", ok(1_709_164_800, 0)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-11-23T15:04:05", None),
            ("2026-11-23T25:00:00Z", None),
            ("2026-11-23T15:04:05.Z", ok(1_795_446_245, 0)),
            ("1969-12-31T23:59:59Z", None),
            ("2h", ok(1_800_000_000 - 7200, 0)),
            ("90s", ok(1_800_000_000 - 90, 0)),
            ("1w", ok(1_800_000_000 - 604_800, 0)),
            ("99999999999w", None),
            ("h", None),
            ("-2h", None),
            ("2 h", None),
            ("", None),
            ("é", None),
            ("2026-11-é3", None),
        ] {
            assert_eq!(parse(input, now).ok(), want, "{input}");
        }
    }

    #[test]
    fn durations() {
        for (ns, want) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (12_345, "12.3µs"),
            (123_456, "123µs"),
            (1_500_000, "1.50ms"),
            (61_000_000_000, "61.0s"),
            (3_600_000_000_000, "3600s"),
        ] {
            assert_eq!(Duration(ns).to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn printed_times_read_back(micros in 0_u64..10_000_000_000_000_000) {
            let text = Timestamp(micros * 1000).to_string();
            prop_assert_eq!(parse(&text, 0), Ok(micros * 1000), "{}", text);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            let _ = parse(&text, 0);
        }
    }
}
