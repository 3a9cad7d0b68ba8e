//! What is other between two states.

use std::fmt;

use super::{Area, Facts};

/// One thing that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What kind of thing.
    pub area: Area,
    /// Which.
    pub name: String,
    /// What it was; none if it is new.
    pub before: Option<String>,
    /// What it is; none if it is gone.
    pub after: Option<String>,
}

impl Difference {
    /// Whether it is a session that came or went.
    pub fn is_session(&self) -> bool {
        self.area == Area::Session
    }

    /// Whether a transaction that ended, or a session that is gone, explains it: a lock or a session less.
    pub fn is_release(&self) -> bool {
        matches!(self.area, Area::Lock | Area::Session) && self.after.is_none()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.area, self.name)?;
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, " is new: {after}"),
            (Some(_), None) => f.write_str(" is gone"),
            (before, after) => write!(
                f,
                ": {} became {}",
                before.as_deref().unwrap_or_default(),
                after.as_deref().unwrap_or_default()
            ),
        }
    }
}

pub(super) fn between(before: &Facts, after: &Facts) -> Vec<Difference> {
    let difference =
        |(area, name): &(Area, String), before: Option<&String>, after: Option<&String>| Difference {
            area: *area,
            name: name.clone(),
            before: before.cloned(),
            after: after.cloned(),
        };
    let mut found: Vec<Difference> = before
        .iter()
        .filter(|(key, value)| after.get(key) != Some(value))
        .map(|(key, value)| difference(key, Some(value), after.get(key)))
        .collect();
    let new = after.iter().filter(|(key, _)| !before.contains_key(key));
    found.extend(new.map(|(key, value)| difference(key, None, Some(value))));
    found.sort_by(|one, other| (one.area, &one.name).cmp(&(other.area, &other.name)));
    found
}
