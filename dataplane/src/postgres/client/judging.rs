//! Asks the gate about a statement, again where what names mean may have changed since it was prepared.

use std::rc::Rc;

use sluice_parsers::postgres::SqlState;
use sluice_parsers::sql::effect::{Action, Effect, Object, ObjectKind};
use sluice_parsers::sql::statement::{Statement, StatementKind};
use smallvec::SmallVec;

use crate::gate::{Errand, Finding, Judgement, Outcome, Verdict};
use crate::postgres::deny::Kind;
use crate::postgres::session::Session;
use crate::postgres::state::View;
use crate::postgres::statements::{Judged, Portal, Prepared, Refusal};

/// A statement that is not sent: what the client is told, and what policy said.
pub(super) type Refused = (Refusal, Outcome);

/// What becomes of a message that runs a prepared statement.
pub(super) enum Gated {
    Allowed,
    Refused(Refused),
    /// The statement has to be analysed again first.
    Away(Box<Errand>),
}

/// What a client is told whose session holds as much text as it may.
pub(super) const TOO_MUCH_HELD: &str =
    "sluice: this session's prepared statements and cursors hold too much text; close some";

/// What is opaque where the session's state is not known.
const UNKNOWN_STATE: &str = "statement in a session whose state is not known";

impl Session {
    pub(super) fn judge(&self, sql: &[u8], types: &[u8], finding: Option<Finding>) -> Judgement {
        let mut gate = self.core.gate.borrow_mut();
        match finding {
            // The state may have become another one meanwhile.
            Some(finding) if finding.is_of(&self.context) => {
                Judgement::Known(gate.adopt(sql, types, &self.context, finding))
            }
            _ => gate.judge(sql, types, &self.context),
        }
    }

    /// Judges a prepared statement, with the values that it was bound to if they decide.
    pub(super) fn judge_prepared(&self, prepared: &Prepared) -> Judgement {
        let (text, types) = (&prepared.text, &prepared.types);
        let bound = prepared.values().and_then(|values| {
            let mut gate = self.core.gate.borrow_mut();
            gate.judge_bound(text, types, values, &self.context)
        });
        // Without the values it is opaque.
        bound.map_or_else(|| self.judge(text, types, None), Judgement::Known)
    }

    /// Judges a statement of a Query by itself; none if that takes a helper or it does not stand by itself.
    pub(super) fn judge_part(&self, text: &[u8]) -> Option<Rc<Verdict>> {
        match self.judge(text, &[], None) {
            Judgement::Known(verdict) if verdict.statements.len() == 1 => Some(verdict),
            _ => None,
        }
    }

    /// A prepared statement's analysis has come back.
    pub(super) fn adopt(&self, prepared: &Prepared, finding: Finding) {
        if finding.is_of(&self.context) {
            let mut gate = self.core.gate.borrow_mut();
            let verdict = gate.adopt(&prepared.text, &prepared.types, &self.context, finding);
            prepared.judge(verdict, self.context.id());
        }
    }

    /// Whether a statement sent now would run in a state that is not known and that its meaning depends on. The last says
    /// whether its text is [read the same](reads_alike) under all settings.
    pub(super) fn is_uncertain(&self, kind: &StatementKind, reads_alike: impl FnOnce() -> bool) -> bool {
        !self.state.is_settled()
            && self.state.view(self.model.is_idle()) != View::Certain
            && (has_names(kind) || !(self.state.lexing_is_known() || reads_alike()))
    }

    /// Judges a prepared statement again: by numbers where nothing changed.
    pub(super) fn gate_prepared(&self, kind: Kind, prepared: &Prepared) -> Gated {
        if !prepared.is_judged_in(self.context.id()) {
            match self.judge_prepared(prepared) {
                Judgement::Known(verdict) => prepared.judge(verdict, self.context.id()),
                Judgement::Away(errand) => return Gated::Away(errand),
            }
        }
        let Judged { verdict, index } = prepared.judged();
        let is_current = verdict.holds_in(self.core.gate.borrow_mut().epoch());
        if is_current && verdict.is_plain && self.state.is_settled() && !prepared.is_doubtful() {
            return Gated::Allowed;
        }
        if prepared.is_doubtful() {
            let object = Object::new(ObjectKind::Prepared, "that code may have replaced");
            let outcome = self.decide(&[Effect::new(Action::Opaque, object)]);
            if let Outcome::Deny(denial) = &outcome {
                return Gated::Refused((kind.denied(denial), outcome));
            }
        }
        // The server takes one statement only of a Parse's text.
        let only = prepared.is_made_by_sql().then_some(index);
        let pairs = verdict.statements.iter().zip(&verdict.outcomes).enumerate();
        let mut pairs = pairs.filter(|(index, _)| only.is_none_or(|only| only == *index));
        let refused = pairs.find_map(|(_, (statement, outcome))| {
            let is_uncertain = self.is_uncertain(&statement.kind, || reads_alike(&prepared.text));
            if is_current {
                return self.gate_statement(kind, statement, outcome, is_uncertain);
            }
            let outcome = self.decide(&statement.effects);
            self.gate_statement(kind, statement, &outcome, is_uncertain)
        });
        refused.map_or(Gated::Allowed, Gated::Refused)
    }

    /// Judges what EXECUTE runs, unless that takes a helper.
    pub(super) fn is_judged_now(&self, prepared: &Prepared) -> bool {
        if prepared.is_judged_in(self.context.id()) {
            return true;
        }
        match self.judge_prepared(prepared) {
            Judgement::Known(verdict) => {
                prepared.judge(verdict, self.context.id());
                true
            }
            Judgement::Away(_) => false,
        }
    }

    /// What a portal reads was settled at its Bind: where the state is another since, policy is asked about that too.
    pub(super) fn gate_bound(&self, portal: &Portal) -> Option<Refused> {
        let (judged, context) = portal.bound.as_ref()?;
        let epoch = self.core.gate.borrow_mut().epoch();
        if *context == self.context.id() || judged.verdict.holds_in(epoch) {
            return None;
        }
        match self.decide(judged.effects()) {
            Outcome::Allow(_) => None,
            Outcome::Deny(denial) => {
                let refusal = Kind::Execute.denied(&denial);
                Some((refusal, Outcome::Deny(denial)))
            }
        }
    }

    pub(super) fn decide(&self, effects: &[Effect]) -> Outcome {
        self.core.gate.borrow_mut().decide_effects(effects, &self.context)
    }

    /// Adds to a statement's outcome what the session knows: the statements that names stand for, a state that is not
    /// known, and what cannot be masked.
    pub(super) fn gate_statement(
        &self,
        kind: Kind,
        statement: &Statement,
        outcome: &Outcome,
        is_uncertain: bool,
    ) -> Option<Refused> {
        if let Outcome::Deny(denial) = outcome {
            return Some((kind.denied(denial), outcome.clone()));
        }
        if is_uncertain {
            let object = Object::new(ObjectKind::Nothing, UNKNOWN_STATE);
            let outcome = self.decide(&[Effect::new(Action::Opaque, object)]);
            if let Outcome::Deny(denial) = &outcome {
                return Some((kind.denied(denial), outcome));
            }
        }
        if let Some(effects) = self.effects_by_name(statement) {
            let outcome = self.decide(&effects);
            if let Outcome::Deny(denial) = &outcome {
                return Some((kind.denied(denial), outcome));
            }
        }
        if matches!(statement.kind, StatementKind::CopyOut { columns: None, .. })
            && !self.masks.tags.is_empty()
        {
            let refusal = kind.refusal(
                SqlState::FEATURE_NOT_SUPPORTED,
                "sluice: this COPY cannot be masked by column; use COPY table (columns) TO STDOUT, as text or CSV with \
                 default delimiters, or SELECT",
            );
            return Some((refusal, outcome.clone()));
        }
        None
    }

    /// Whether what a PREPARE or DECLARE makes finds no place in the session.
    pub(super) fn lacks_room(&self, kind: Kind, judged: &Judged, text_bytes: usize) -> Option<Refusal> {
        let no_name = match &judged.statement()?.kind {
            StatementKind::Prepare { name } => self.statements.room_for(name.as_bytes()).err(),
            // Cursors without one are not told apart.
            StatementKind::Declare { .. } => None,
            _ => return None,
        };
        if let Some(error) = no_name {
            return Some(kind.refusal(SqlState::INSUFFICIENT_RESOURCES, &format!("sluice: {error}")));
        }
        let has_bytes = self.hold_budget.has(text_bytes);
        (!has_bytes).then(|| kind.refusal(SqlState::INSUFFICIENT_RESOURCES, TOO_MUCH_HELD))
    }

    /// What a statement does together with the prepared one or the cursor that it runs; none if it runs none.
    pub(super) fn effects_by_name(&self, statement: &Statement) -> Option<SmallVec<[Effect; 4]>> {
        if let StatementKind::Fetch { name } = &statement.kind {
            let mut effects = statement.effects.clone();
            self.add_cursor(&mut effects, name);
            return Some(effects);
        }
        let name = statement.runs_prepared.as_ref()?;
        // Names that the same message makes are in the table already.
        let candidates = self.statements.candidates(name.as_bytes());
        let mut effects = statement.effects.clone();
        let mut is_known = !candidates.is_empty();
        for prepared in &candidates {
            is_known &= self.is_judged_now(prepared) && !prepared.is_doubtful();
            // An empty text has none.
            if let Some(prepared) = prepared.judged().statement() {
                add_missing(&mut effects, statement.effects_of(prepared));
            }
        }
        if !is_known {
            let object = Object::new(ObjectKind::Prepared, name.clone());
            effects.push(Effect::new(Action::Opaque, object));
        }
        Some(effects)
    }

    /// Adds what reading a cursor does. A query's own names are those of its DECLARE or Bind, and the bodies of its
    /// functions find theirs now.
    pub(super) fn add_cursor(&self, effects: &mut SmallVec<[Effect; 4]>, name: &str) {
        let mut is_known = true;
        let mut add = |declared: &Judged, statement: &Prepared| {
            is_known &= self.is_judged_now(statement);
            add_missing(effects, declared.effects());
            add_missing(effects, statement.judged().effects());
        };
        for cursor in self.cursors.candidates(name.as_bytes()) {
            add(&cursor.declared, &cursor.statement);
        }
        for portal in self.portals.candidates(name.as_bytes()) {
            if let (Some((bound, _)), Some(statement)) = (&portal.bound, &portal.statement) {
                add(bound, statement);
            }
        }
        // One that was declared behind all code is what it is.
        let is_certain = self.model.is_idle() && self.cursors.get(name.as_bytes()).is_some();
        if !is_certain {
            add_missing(effects, self.cursors.by_code());
        }
        if !is_known {
            effects.push(Effect::new(Action::Opaque, Object::new(ObjectKind::Cursor, name)));
        }
    }
}

/// Whether a text is read the same whatever the settings are that decide how text is read: those are about strings in
/// single quotes, and about bytes beyond ASCII. ROLLBACK is, so that a session always gets out of a failed transaction.
pub(super) fn reads_alike(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&b'\'')
}

/// Adds the effects that are not there yet.
fn add_missing<'e>(effects: &mut SmallVec<[Effect; 4]>, more: impl IntoIterator<Item = &'e Effect>) {
    for effect in more {
        if !effects.contains(effect) {
            effects.push(effect.clone());
        }
    }
}

/// Whether what a statement does can depend on the search path or on whose rights hold.
fn has_names(kind: &StatementKind) -> bool {
    use StatementKind as Kind;
    !matches!(
        kind,
        Kind::Begin
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::Savepoint { .. }
            | Kind::Release { .. }
            | Kind::RollbackTo { .. }
            | Kind::Deallocate { .. }
            | Kind::DiscardAll
            | Kind::Discard
            | Kind::Set { .. }
            | Kind::Reset { .. }
            | Kind::Show { .. }
            | Kind::Close { .. }
            | Kind::Unlisten
    )
}
