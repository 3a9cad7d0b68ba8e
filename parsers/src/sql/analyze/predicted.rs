//! What names mean behind a statement of the same text.
//!
//! The server reads a text whole and resolves each statement's names when it comes to it. A plain SET of the search path
//! can be followed; after anything else that may change what names mean, they are uncertain.

use std::sync::Arc;

use crate::sql::effect::{Action, Effect};
use crate::sql::statement::{Statement, StatementKind};
use crate::sql::world::{SessionNames, Touched, World};

/// From so many names on it is simpler to take all for uncertain.
const NAMES_MAX: usize = 1000;

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
                return self.everything();
            }
            StatementKind::DiscardAll | StatementKind::Reset { name: None } => return self.everything(),
            _ => {}
        }
        if statement.effects.iter().any(changes_names) || statement.runs_prepared.is_some() {
            return self.everything();
        }
        match &statement.touches {
            Touched::Nothing => {}
            Touched::Everything => self.everything(),
            Touched::Names(names) => {
                let session = self.session();
                let known = match &session.touched {
                    Touched::Names(known) => &known[..],
                    Touched::Nothing | Touched::Everything => &[],
                };
                let mut all: Vec<Box<str>> = known.iter().chain(names).cloned().collect();
                all.sort_unstable();
                all.dedup();
                session.touched = if all.len() > NAMES_MAX {
                    Touched::Everything
                } else {
                    Touched::Names(all.into())
                };
            }
        }
    }

    fn session(&mut self) -> &mut SessionNames {
        let session = self
            .session
            .get_or_insert_with(|| Arc::clone(&self.before.session));
        Arc::make_mut(session)
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

/// Whether any name may mean something else after this: another search path or role, or what is not known.
pub(super) fn changes_names(effect: &Effect) -> bool {
    match effect.action {
        Action::Opaque | Action::SetRole => true,
        Action::Set => matches!(&*effect.object.name, "search_path" | "all"),
        _ => false,
    }
}
