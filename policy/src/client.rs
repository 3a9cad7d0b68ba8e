//! What a decision may depend on beside the identity: where the client is, what it calls itself, what its issuer claims of
//! it, and the time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use cedar_policy::{Entity, RestrictedExpression};
use serde_json::Value;

use crate::identity::Identity;
use crate::schema::VOCABULARY;

/// How much of a claimed application's name is kept, in characters.
const APPLICATION_NAME_CHARS_MAX: usize = 256;

/// A session's client: constant for as long as the session lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    application_name: Option<Arc<str>>,
    claims: Arc<Claims>,
}

/// What an issuer said of an identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The issuer said more than the gateway keeps.
    pub(crate) are_cut: bool,
    by_name: BTreeMap<Box<str>, Value>,
}

impl Client {
    /// A client at that address that claims nothing.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            application_name: None,
            claims: Arc::default(),
        }
    }

    /// The same client under a name of its own choice; what is longer than any application's name is cut.
    #[must_use]
    pub fn with_application_name(mut self, name: &str) -> Self {
        let name: String = name.chars().take(APPLICATION_NAME_CHARS_MAX).collect();
        self.application_name = Some(name.into());
        self
    }

    /// The same client with what the identity's issuer said of it.
    #[must_use]
    pub fn with_claims(mut self, identity: &Identity) -> Self {
        let claims = identity.claims.iter();
        self.claims = Arc::new(Claims {
            are_cut: identity.claims_are_cut,
            by_name: claims
                .map(|(name, value)| (name.as_str().into(), value.clone()))
                .collect(),
        });
        self
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl Claims {
    /// Cedar's entity of them, those of `names` or all.
    pub(crate) fn entity(&self, id: &str, names: &ClaimNames) -> Entity {
        let chosen = self.by_name.iter().filter(|(name, _)| names.holds(name));
        let tags = chosen.map(|(name, value)| (name.to_string(), expression(value)));
        let uid = VOCABULARY.claims(id);
        Entity::new_with_tags(uid, [], [], tags).expect("the values of claims evaluate to themselves")
    }

    /// Whether one of these may be among those that the gateway did not keep.
    pub(crate) fn lacks(&self, names: &ClaimNames) -> bool {
        self.are_cut
            && match names {
                ClaimNames::These(names) => !names.iter().all(|name| self.by_name.contains_key(name)),
                ClaimNames::All => true,
            }
    }

    fn chosen(&self, names: &ClaimNames) -> Self {
        let chosen = self.by_name.iter().filter(|(name, _)| names.holds(name));
        Self {
            are_cut: self.lacks(names),
            by_name: chosen
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }
}

/// A claim as the schema's `Claim`; what is none of its fields has none.
fn expression(value: &Value) -> RestrictedExpression {
    let text = |text: &String| RestrictedExpression::new_string(text.clone());
    let field = match value {
        Value::String(value) => Some(("text", text(value))),
        Value::Bool(value) => Some(("flag", RestrictedExpression::new_bool(*value))),
        Value::Number(value) => value
            .as_i64()
            .map(|value| ("number", RestrictedExpression::new_long(value))),
        Value::Array(values) => {
            let texts: Option<Vec<_>> = values
                .iter()
                .map(|value| match value {
                    Value::String(value) => Some(text(value)),
                    _ => None,
                })
                .collect();
            texts.map(|texts| ("texts", RestrictedExpression::new_set(texts)))
        }
        Value::Null | Value::Object(_) => None,
    };
    let fields = field.map(|(name, value)| (name.to_owned(), value));
    RestrictedExpression::new_record(fields).expect("one field has one name")
}

/// Which claims somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimNames {
    These(std::collections::BTreeSet<Box<str>>),
    All,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self::These(std::collections::BTreeSet::new())
    }
}

impl ClaimNames {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }

    fn holds(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (Self::These(names), Self::These(more)) => names.extend(more.iter().cloned()),
            (Self::These(_), Self::All) => *self = Self::All,
        }
    }
}

/// What a condition looks at beside effects and identities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what is looked at, each by itself")]
pub(crate) struct Mentions {
    /// The time, the hour or the day of the week.
    pub(crate) time: bool,
    pub(crate) client_address: bool,
    pub(crate) application_name: bool,
    pub(crate) approved: bool,
    pub(crate) claims: ClaimNames,
}

impl Mentions {
    pub(crate) fn add(&mut self, other: &Self) {
        self.time |= other.time;
        self.client_address |= other.client_address;
        self.application_name |= other.application_name;
        self.approved |= other.approved;
        self.claims.add(&other.claims);
    }

    /// What of the client the conditions look at; none if nothing.
    pub(crate) fn told(&self, client: &Client) -> Option<Told> {
        let Self {
            client_address,
            application_name,
            claims,
            ..
        } = self;
        (*client_address || *application_name || !claims.is_none()).then(|| Told {
            address: client_address.then_some(client.address),
            application_name: client.application_name.clone().filter(|_| *application_name),
            claims: client.claims.chosen(claims),
        })
    }

    /// The attributes of a context that these conditions look at, at that time.
    pub(crate) fn attributes(&self, client: &Client, now: Moment) -> Vec<(String, RestrictedExpression)> {
        let mut attributes = Vec::new();
        if self.time {
            let since = RestrictedExpression::new_datetime(now.rfc3339());
            attributes.push(("time".to_owned(), since));
            let long = RestrictedExpression::new_long;
            attributes.push(("hour".to_owned(), long(now.hour())));
            attributes.push(("weekday".to_owned(), long(now.weekday())));
        }
        if self.client_address {
            let address = RestrictedExpression::new_ip(client.address.to_string());
            attributes.push(("client_address".to_owned(), address));
        }
        if self.application_name
            && let Some(name) = &client.application_name
        {
            let name = RestrictedExpression::new_string(name.to_string());
            attributes.push(("application_name".to_owned(), name));
        }
        attributes
    }
}

/// What of a client a policy set's conditions look at: two clients of which that is equal get equal decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    address: Option<IpAddr>,
    application_name: Option<Arc<str>>,
    claims: Claims,
}

impl std::hash::Hash for Claims {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.are_cut.hash(state);
        for (name, value) in &self.by_name {
            name.hash(state);
            // Equal values have equal texts.
            value.to_string().hash(state);
        }
    }
}

/// A time of the gateway's clock, to the millisecond. It comes from the caller: nothing here reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

const DAY_MS: u64 = 24 * HOUR_MS;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// The last millisecond of the year 9999, which is the last that the way of writing times has.
const MOMENT_MS_MAX: u64 = 253_402_300_799_999;

impl Moment {
    /// So many milliseconds after the beginning of 1970, UTC.
    pub const fn from_unix_ms(ms: u64) -> Self {
        Self(if ms > MOMENT_MS_MAX { MOMENT_MS_MAX } else { ms })
    }

    /// 0 to 23.
    const fn hour(self) -> i64 {
        (self.0 % DAY_MS / HOUR_MS).cast_signed()
    }

    /// 1 is Monday.
    const fn weekday(self) -> i64 {
        // 1970 began with a Thursday.
        ((self.0 / DAY_MS + 3) % 7 + 1).cast_signed()
    }

    /// As Cedar's `datetime` reads it.
    fn rfc3339(self) -> String {
        let (year, month, day) = date(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        let (hour, minute, second) = (ms / HOUR_MS, ms / 60_000 % 60, ms / 1000 % 60);
        let fraction = ms % 1000;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
    }
}

/// Year, month and day of a day since 1970, by eras of 400 years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_calendars_write_them() {
        for (ms, written, hour, weekday) in [
            (0, "1970-01-01T00:00:00.000Z", 0, 4),
            (951_782_399_999, "2000-02-28T23:59:59.999Z", 23, 1),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", 0, 2),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z", 0, 5),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z", 23, 3),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", 0, 1),
            (u64::MAX, "9999-12-31T23:59:59.999Z", 23, 5),
        ] {
            let moment = Moment::from_unix_ms(ms);
            assert_eq!(moment.rfc3339(), written);
            assert_eq!((moment.hour(), moment.weekday()), (hour, weekday), "{written}");
            // Cedar reads it.
            let all = Mentions {
                time: true,
                ..Mentions::default()
            };
            let client = Client::new(IpAddr::from([127, 0, 0, 1]));
            cedar_policy::Context::from_pairs(all.attributes(&client, moment)).expect(written);
        }
    }

    #[test]
    fn what_no_policy_looks_at_makes_no_difference() {
        let identity = |claims: Value| {
            let mut identity = Identity::new("https://i", "a", crate::identity::Method::Oidc);
            identity.claims = claims.as_object().expect("an object").clone();
            identity
        };
        let here = Client::new(IpAddr::from([10, 0, 0, 1])).with_application_name("a");
        let there = Client::new(IpAddr::from([10, 0, 0, 2])).with_application_name("b");
        let (one, two) = (
            here.with_claims(&identity(serde_json::json!({"team": "x", "jti": "1"}))),
            there.with_claims(&identity(serde_json::json!({"team": "x", "jti": "2"}))),
        );
        let only = |name: &str| ClaimNames::These([name.into()].into());
        for (name, mentions, are_alike) in [
            ("nothing", Mentions::default(), true),
            (
                "the time",
                Mentions {
                    time: true,
                    ..Mentions::default()
                },
                true,
            ),
            (
                "the address",
                Mentions {
                    client_address: true,
                    ..Mentions::default()
                },
                false,
            ),
            (
                "the name",
                Mentions {
                    application_name: true,
                    ..Mentions::default()
                },
                false,
            ),
            (
                "a claim",
                Mentions {
                    claims: only("team"),
                    ..Mentions::default()
                },
                true,
            ),
            (
                "another claim",
                Mentions {
                    claims: only("jti"),
                    ..Mentions::default()
                },
                false,
            ),
            (
                "all claims",
                Mentions {
                    claims: ClaimNames::All,
                    ..Mentions::default()
                },
                false,
            ),
        ] {
            assert_eq!(mentions.told(&one) == mentions.told(&two), are_alike, "{name}");
        }
    }
}
