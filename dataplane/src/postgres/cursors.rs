//! The cursors of SQL in a session: what reading them does is in the text of their DECLARE, or in code that may have
//! opened them.

use std::rc::Rc;

use sluice_parsers::sql::effect::{Action, Effect, Object, ObjectKind};

use super::names::Names;
use super::statements::{Judged, Prepared};

/// Cursors over this are not told apart.
const CURSORS_MAX: usize = 1024;

/// More effects of code than these are not kept: reading what it may have opened is opaque then.
const EFFECTS_MAX: usize = 256;

/// A cursor of SQL's DECLARE.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// As its DECLARE was judged, where the query's own names got their meaning.
    pub(crate) declared: Judged,
    /// The DECLARE, to be judged again: the bodies of functions find their names when the cursor is read.
    pub(crate) statement: Rc<Prepared>,
    /// WITH HOLD: it outlives its transaction.
    holds: bool,
}

impl Cursor {
    pub(crate) fn new(statement: Rc<Prepared>, holds: bool) -> Self {
        Self {
            declared: statement.judged(),
            statement,
            holds,
        }
    }
}

/// A session's cursors by name.
#[derive(Debug)]
pub(crate) struct Cursors {
    declared: Names<Cursor>,
    /// What code does that may have opened a cursor of any name.
    by_code: Vec<Effect>,
}

impl Default for Cursors {
    fn default() -> Self {
        Self {
            declared: Names::new(CURSORS_MAX),
            by_code: Vec::new(),
        }
    }
}

impl Cursors {
    /// A DECLARE goes up.
    pub(crate) fn sent(&mut self, name: &str, cursor: &Rc<Cursor>) {
        if self.declared.sent(name.as_bytes(), Rc::clone(cursor)).is_err() {
            self.opened_by_code(cursor.declared.effects());
        }
    }

    /// It has succeeded.
    pub(crate) fn declared(&mut self, name: &str, cursor: &Rc<Cursor>) {
        drop(self.declared.succeeded(name.as_bytes(), cursor));
    }

    /// It has failed, or was skipped.
    pub(crate) fn failed(&mut self, name: &str, cursor: &Rc<Cursor>) {
        self.declared.failed(name.as_bytes(), cursor);
    }

    /// A CLOSE has succeeded; of all cursors without a name.
    pub(crate) fn closed(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.declared.closed(name.as_bytes())),
            None => self.declared.closed_all(drop),
        }
    }

    /// Code that does this may open a cursor in the place of any.
    pub(crate) fn taken(&mut self, effects: &[Effect]) {
        self.opened_by_code(effects);
        let mut replaced = Vec::new();
        self.declared.closed_all(|cursor| replaced.push(cursor));
        for cursor in replaced {
            self.opened_by_code(cursor.declared.effects());
        }
    }

    fn opened_by_code(&mut self, effects: &[Effect]) {
        for effect in effects {
            if self.by_code.contains(effect) {
                continue;
            }
            if self.by_code.len() >= EFFECTS_MAX {
                let object = Object::new(ObjectKind::Cursor, "that code may have opened");
                self.by_code = vec![Effect::new(Action::Opaque, object)];
                return;
            }
            self.by_code.push(effect.clone());
        }
    }

    /// No transaction is open, and nothing is under way. Of code that is not seen a cursor may be left.
    pub(crate) fn transaction_ended(&mut self) {
        self.declared.closed_unless(|cursor| cursor.holds);
        if !self.by_code.iter().any(|effect| effect.action == Action::Opaque) {
            self.by_code.clear();
        }
    }

    /// The DECLARE of that cursor, by all that the server has answered.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Judged> {
        self.declared.current(name).map(|cursor| &cursor.declared)
    }

    /// What that name may stand for when a message sent now arrives.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = Rc<Cursor>> {
        self.declared.candidates(name).into_iter()
    }

    /// What code does that may have opened a cursor of any name.
    pub(crate) fn by_code(&self) -> &[Effect] {
        &self.by_code
    }
}
