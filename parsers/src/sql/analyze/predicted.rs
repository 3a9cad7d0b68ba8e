//! What names mean behind a statement of the same text.
//!
//! The server reads a text whole and resolves each statement's names when it comes to it. A plain SET of the search path
//! can be followed; after anything else that may change what names mean, they are uncertain.

use std::sync::Arc;

use crate::sql::effect::{Action, Effect};
use crate::sql::statement::{Statement, StatementKind};
use crate::sql::world::{Deferred, SessionNames, Touched, World};

/// The world as the statements of one text change it.
pub(super) struct Predicted<'w> {
    before: &'w World,
    /// None as long as nothing changed.
    session: Option<Arc<SessionNames>>,
    /// What may be left to the end of the transaction.
    deferred: Deferred,
}

impl<'w> Predicted<'w> {
    pub(super) fn new(before: &'w World) -> Self {
        Self {
            before,
            session: None,
            deferred: before.session.deferred,
        }
    }

    /// The world of the next statement.
    pub(super) fn world(&self) -> World {
        match &self.session {
            None => self.before.clone(),
            Some(session) => World {
                session: Arc::clone(session),
                ..self.before.clone()
            },
        }
    }

    /// Takes over what a statement may have changed.
    pub(super) fn after(&mut self, statement: &Statement) {
        self.deferred = if statement.kind.ends_transaction() {
            Deferred::Nothing
        } else {
            self.deferred.max(statement.defers)
        };
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.touched == Touched::Everything)
        {
            return;
        }
        match &statement.kind {
            StatementKind::Set {
                name,
                values: Some(values),
                local: false,
            } if name.eq_ignore_ascii_case("search_path") => {
                let session = self.session();
                session.search_path = values.iter().cloned().collect();
                session.path_is_default = false;
                return;
            }
            // What was changed before is undone, or not.
            StatementKind::Rollback { .. } | StatementKind::RollbackTo { .. } if self.session.is_some() => {
                return self.every_name();
            }
            StatementKind::DiscardAll => return self.everything(),
            StatementKind::Reset { name: None } => return self.every_name(),
            _ => {}
        }
        if statement.runs_prepared.is_some() {
            return self.everything();
        }
        for effect in &statement.effects {
            if let Some(changed) = changed_names(effect) {
                self.session().touched.extend(&changed);
            }
        }
        if statement.touches != Touched::Nothing {
            self.session().touched.extend(&statement.touches);
        }
    }

    /// Whether what is left to the end of the transaction may find other names behind a statement, the last one that was taken
    /// over. Who goes back to a savepoint goes back to names that were found harmless. What is opaque may do anything already.
    pub(super) fn may_change_deferred(&self, statement: &Statement) -> bool {
        self.deferred != Deferred::Nothing
            && !statement.kind.is_of_transaction()
            && !statement.mask().contains(Action::Opaque)
            && (statement.touches != Touched::Nothing
                || statement
                    .effects
                    .iter()
                    .any(|effect| changed_names(effect).is_some()))
    }

    /// What may be left to the end of the transaction.
    pub(super) fn deferred(&self) -> Deferred {
        self.deferred
    }

    fn session(&mut self) -> &mut SessionNames {
        let session = self
            .session
            .get_or_insert_with(|| Arc::clone(&self.before.session));
        Arc::make_mut(session)
    }

    fn every_name(&mut self) {
        self.session().touched.extend(&Touched::EveryName);
    }

    fn everything(&mut self) {
        self.session().touched = Touched::Everything;
    }
}

/// What a statement changes that its own bodies find changed, or not: the order in which they run is not followed.
#[derive(Debug, Default)]
pub(super) struct LateChanges {
    /// Names that bodies look up.
    pub(super) names: Touched,
    /// Names of objects that are other ones now. With another search path names are, and objects are not.
    pub(super) objects: Touched,
}

impl LateChanges {
    pub(super) fn are_none(&self) -> bool {
        self.names == Touched::Nothing
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        self.names.covers(&other.names) && self.objects.covers(&other.objects)
    }
}

/// Names that may mean something else after this: with another search path or role, or by what is not known.
pub(super) fn changed_names(effect: &Effect) -> Option<Touched> {
    match effect.action {
        Action::Opaque => Some(Touched::Everything),
        Action::SetRole => Some(Touched::EveryName),
        Action::Set if matches!(&*effect.object.name, "search_path" | "all") => Some(Touched::EveryName),
        _ => None,
    }
}
