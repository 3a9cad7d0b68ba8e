//! What a statement may change for those behind it, noted before its answer is known.

use std::rc::Rc;

use sluice_parsers::sql::effect::Action;
use sluice_parsers::sql::statement::{Statement, StatementKind, Taken};
use sluice_parsers::sql::world::Deferred;

use crate::postgres::session::Session;
use crate::postgres::state::Change;
use crate::postgres::statements::{Judged, Portal, Prepared};

impl Session {
    /// Notes what a statement's success changes; `place` is its place in a Query. Says whether it has to be told.
    pub(super) fn foresee(&mut self, judged: &Judged, place: Option<usize>) -> bool {
        self.doubt_names(judged);
        if self.model.skips() {
            return false;
        }
        if judged
            .statement()
            .is_some_and(|statement| ends_reading(&statement.kind))
        {
            self.leave_catalog_of_transaction();
        }
        self.state.touches(judged.touches());
        let runs = judged
            .statement()
            .and_then(|statement| statement.runs_prepared.as_deref());
        let run = runs.map(|name| self.statements.candidates(name.as_bytes()));
        let runs_change = run.as_deref().is_some_and(|candidates| {
            let changes = |prepared: &Rc<Prepared>| *prepared.judged().change() != Change::Nothing;
            candidates.is_empty() || candidates.iter().any(changes)
        });
        let defers = self.deferred_by(judged, run.as_deref());
        self.state.defers(defers);
        if judged.ends_transaction() {
            self.state.ends_transaction();
        }
        let change = if runs_change {
            &Change::UNSEEN
        } else {
            judged.change()
        };
        let place = place.map(|place| u32::try_from(place).unwrap_or(u32::MAX));
        let is_noted = self.state.sent(change, place);
        self.follow_state();
        is_noted
    }

    /// What a statement may leave to the end of the transaction, with the prepared one that it runs.
    fn deferred_by(&self, judged: &Judged, run: Option<&[Rc<Prepared>]>) -> Deferred {
        let by_run = run.map_or(Deferred::Nothing, |candidates| {
            let of_candidates = candidates.iter().map(|prepared| prepared.defers()).max();
            of_candidates.unwrap_or(Deferred::Checks)
        });
        let fetches = judged
            .statement()
            .is_some_and(|statement| matches!(statement.kind, StatementKind::Fetch { .. }));
        let by_cursor = if fetches {
            self.deferred_by_cursor()
        } else {
            Deferred::Nothing
        };
        judged.defers().max(by_run).max(by_cursor)
    }

    /// What the code of a cursor may leave, whatever it was when the cursor was opened.
    fn deferred_by_cursor(&self) -> Deferred {
        match self.database.catalog.deferring().next() {
            Some(_) => Deferred::Checks,
            None => Deferred::Nothing,
        }
    }

    /// Code in a statement may put something else under names. SQL cannot do that to the unnamed ones.
    pub(super) fn doubt_names(&mut self, judged: &Judged) {
        let Some(statement) = judged.statement() else {
            return;
        };
        let taken = self.taken(statement);
        if taken == Taken::Nothing {
            return;
        }
        if taken == Taken::Statements {
            self.statements.each_named(Prepared::doubt);
        }
        self.portals.each_named(|portal| portal.is_ambiguous.set(true));
        self.take_cursors(statement);
    }

    /// Code in a statement has run that may have opened a cursor under any name, also under one that it had closed.
    pub(in crate::postgres) fn cursors_taken(&mut self, statement: &Statement) {
        if self.taken(statement) != Taken::Nothing {
            self.take_cursors(statement);
        }
    }

    pub(super) fn take_cursors(&mut self, statement: &Statement) {
        match self.effects_by_name(statement) {
            Some(effects) => self.cursors.taken(&effects),
            None => self.cursors.taken(&statement.effects),
        }
    }

    /// What code in a statement, or in the prepared one that it runs, may put something else under.
    pub(super) fn taken(&self, statement: &Statement) -> Taken {
        let Some(name) = &statement.runs_prepared else {
            return statement.takes;
        };
        let by_prepared = |prepared: &Rc<Prepared>| match prepared.judged().statement() {
            _ if prepared.is_doubtful() => Taken::Statements,
            Some(run) => run.takes,
            None => Taken::Nothing,
        };
        let candidates = self.statements.candidates(name.as_bytes());
        let of_run = candidates.iter().map(by_prepared).max();
        // Of what is not known, all.
        statement.takes.max(of_run.unwrap_or(Taken::Statements))
    }

    /// Parse and Bind run code already: types' functions, and what the planner takes for constant.
    pub(super) fn foresee_unseen(&mut self, judged: &Judged) -> bool {
        if judged.verdict.is_inert {
            return false;
        }
        self.doubt_names(judged);
        let mut effects = judged
            .statement()
            .into_iter()
            .flat_map(Statement::effects_before_bind);
        let is_unseen = effects.any(|effect| effect.action == Action::Opaque);
        // A statement's own rows are written by its Execute.
        let changes_rows = judged
            .statement()
            .is_some_and(|statement| statement.changes_uncounted);
        if (is_unseen || changes_rows) && !self.model.skips() {
            self.state.defers(judged.defers());
        }
        is_unseen && !self.model.skips() && self.state.sent(&Change::UNSEEN, None)
    }

    /// Notes what an Execute changes.
    pub(super) fn foresee_execution(&mut self, candidates: &[Rc<Portal>]) -> bool {
        if self.model.skips() {
            return false;
        }
        match candidates {
            // A cursor of SQL's DECLARE.
            [] => {
                self.state.defers(self.deferred_by_cursor());
                self.state.sent(&Change::Fetch, None)
            }
            [portal] => {
                if portal.is_ambiguous.get() {
                    self.state.defers(self.deferred_by_cursor());
                }
                match &portal.statement {
                    Some(prepared) if prepared.is_inert() => false,
                    Some(prepared) => self.foresee(&prepared.judged(), None),
                    None => {
                        self.state.defers(Deferred::Checks);
                        self.state.sent(&Change::EndsUnknown, None)
                    }
                }
            }
            // Which of them it is, its Bind's answer tells.
            _ => {
                for prepared in candidates.iter().filter_map(|portal| portal.statement.as_ref()) {
                    self.doubt_names(&prepared.judged());
                }
                let is_inert = |portal: &Rc<Portal>| {
                    let prepared = portal.statement.as_ref();
                    prepared.is_some_and(|prepared| prepared.is_inert())
                };
                if candidates.iter().all(is_inert) {
                    return false;
                }
                self.state.defers(Deferred::Checks);
                self.state.sent(&Change::EndsUnknown, None)
            }
        }
    }
}

/// Whether what was read of the catalog in a transaction may be gone behind this: with the transaction, with a savepoint,
/// or with what is dropped on commit.
fn ends_reading(kind: &StatementKind) -> bool {
    use StatementKind::{Commit, PrepareTransaction, Rollback, RollbackTo};
    matches!(
        kind,
        Commit { .. } | Rollback { .. } | RollbackTo { .. } | PrepareTransaction
    )
}
