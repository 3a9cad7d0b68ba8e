//! The cursors that SQL's DECLARE made in a session: what their rows are is in the text of the DECLARE.

use hashbrown::HashMap;
use sluice_parsers::postgres::frontend::name_key;

use super::statements::Judged;

/// Cursors over this are not remembered; nothing is known of their rows then.
const CURSORS_MAX: usize = 1024;

/// A session's cursors by name.
#[derive(Debug, Default)]
pub(crate) struct Cursors(HashMap<Box<[u8]>, Cursor>);

#[derive(Debug)]
struct Cursor {
    declared: Judged,
    /// WITH HOLD: it outlives its transaction.
    holds: bool,
}

impl Cursors {
    /// A DECLARE has succeeded.
    pub(crate) fn declared(&mut self, name: &str, declared: Judged, holds: bool) {
        let name = name_key(name.as_bytes());
        if self.0.len() < CURSORS_MAX || self.0.contains_key(name) {
            self.0.insert(name.into(), Cursor { declared, holds });
        }
    }

    /// A CLOSE has succeeded; of all cursors without a name.
    pub(crate) fn closed(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.0.remove(name_key(name.as_bytes()))),
            None => self.0.clear(),
        }
    }

    /// No transaction is open.
    pub(crate) fn transaction_ended(&mut self) {
        if !self.0.is_empty() {
            self.0.retain(|_, cursor| cursor.holds);
        }
    }

    /// The DECLARE of that cursor.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Judged> {
        self.0.get(name_key(name)).map(|cursor| &cursor.declared)
    }
}
