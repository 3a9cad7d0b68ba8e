//! The names that a statement may give, take or change: what they mean is uncertain until the catalog is read again.

use std::collections::BTreeSet;

use crate::sql::world::Touched;

/// Gathers names.
#[derive(Debug, Default)]
pub(super) struct Touches {
    names: BTreeSet<Box<str>>,
    everything: bool,
}

/// From so many names on it is simpler to take all for uncertain.
const NAMES_MAX: usize = 1000;

impl Touches {
    pub(super) fn name(&mut self, name: &str) {
        if self.names.len() == NAMES_MAX {
            self.everything = true;
        } else if !name.is_empty() && !self.names.contains(name) {
            self.names.insert(name.into());
        }
    }

    /// A relation or type has an array type beside it.
    pub(super) fn name_of_type(&mut self, name: &str) {
        self.name(name);
        self.name(&format!("_{name}"));
    }

    /// Nothing is known of what it changes.
    pub(super) fn everything(&mut self) {
        self.everything = true;
    }

    pub(super) fn found(&self) -> Touched {
        if self.everything {
            Touched::Everything
        } else if self.names.is_empty() {
            Touched::Nothing
        } else {
            Touched::Names(self.names.iter().cloned().collect())
        }
    }
}
