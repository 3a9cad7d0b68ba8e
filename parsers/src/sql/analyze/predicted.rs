//! What names mean behind a statement of the same text.
//!
//! The server reads a text whole and resolves each statement's names when it comes to it. A plain SET of the search path
//! can be followed; after anything else that may change what names mean, they are uncertain.

use std::sync::Arc;

use crate::sql::effect::Action;
use crate::sql::statement::{Statement, StatementKind};
use crate::sql::world::{SessionNames, Touched, World};

/// The world as the statements of one text change it.
pub(super) struct Predicted<'w> {
    before: &'w World,
    /// None as long as nothing changed.
    session: Option<Arc<SessionNames>>,
}

impl<'w> Predicted<'w> {
    pub(super) fn new(before: &'w World) -> Self {
        Self {
            before,
            session: None,
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
                self.session().search_path = values.iter().cloned().collect();
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
        let is_opaque = statement
            .effects
            .iter()
            .any(|effect| effect.action == Action::Opaque);
        if is_opaque || statement.runs_prepared.is_some() {
            return self.everything();
        }
        let changes_names = statement.effects.iter().any(|effect| match effect.action {
            Action::SetRole => true,
            Action::Set => matches!(&*effect.object.name, "search_path" | "all"),
            _ => false,
        });
        if changes_names {
            self.every_name();
        }
        if statement.touches != Touched::Nothing {
            self.session().touched.extend(&statement.touches);
        }
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
