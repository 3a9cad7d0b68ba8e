//! Asks the gate about a statement, again where what names mean may have changed since it was prepared.

use std::rc::Rc;

use sluice_parsers::postgres::SqlState;
use sluice_parsers::sql::effect::{Action, Effect, Object, ObjectKind};
use sluice_parsers::sql::statement::{Statement, StatementKind};
use sluice_policy::{Cause, Denial};
use smallvec::SmallVec;

use crate::gate::{Brief, Finding, Judgement, Outcome, Terms, Verdict};
use crate::postgres::deny::Kind;
use crate::postgres::session::Session;
use crate::postgres::state::View;
use crate::postgres::statements::{Judged, Portal, Prepared, Refusal};
use crate::settings::Enforcement;

/// A statement that is not sent: what the client is told, and what policy said.
pub(super) type Refused = (Refusal, Outcome);

/// What becomes of a statement.
pub(super) enum Gated {
    Allowed,
    /// It runs, and is held to terms.
    Limited(Rc<Terms>),
    /// It runs although policy denies it.
    Observed(Outcome),
    Refused(Refused),
    /// It has to be analysed again first.
    Away(Box<Brief>),
}

/// What a client is told whose session holds as much text as it may.
pub(super) const TOO_MUCH_HELD: &str =
    "sluice: this session's prepared statements and cursors hold too much text; close some";

/// What is opaque where the session's state is not known.
const UNKNOWN_STATE: &str = "statement in a session whose state is not known";

impl Gated {
    /// What becomes of it if something else is asked too: nothing more is where it is refused.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Allowed => other(),
            Self::Limited(terms) => match other() {
                Self::Allowed => Self::Limited(terms),
                Self::Limited(more) => Self::Limited(Rc::new(terms.and(&more))),
                stopped => stopped,
            },
            Self::Observed(outcome) => match other() {
                Self::Allowed | Self::Limited(_) | Self::Observed(_) => Self::Observed(outcome),
                stopped => stopped,
            },
            stopped => stopped,
        }
    }
}

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
                Judgement::Away(brief) => return Gated::Away(brief),
            }
        }
        let Judged { verdict, index } = prepared.judged();
        let is_current = verdict.holds_in(self.core.gate.borrow_mut().epoch());
        if is_current && verdict.is_plain && self.state.is_settled() && !prepared.is_doubtful() {
            return Gated::Allowed;
        }
        let mut gated = Gated::Allowed;
        if prepared.is_doubtful() {
            let object = Object::new(ObjectKind::Prepared, "that code may have replaced");
            gated = self.ruled(kind, &self.decide(&[Effect::new(Action::Opaque, object)]));
        }
        // The server takes one statement only of a Parse's text.
        let only = prepared.is_made_by_sql().then_some(index);
        let pairs = verdict.statements.iter().zip(&verdict.outcomes).enumerate();
        let pairs = pairs.filter(|(index, _)| only.is_none_or(|only| only == *index));
        for (_, (statement, outcome)) in pairs {
            gated = gated.and(|| {
                let is_uncertain = self.is_uncertain(&statement.kind, || reads_alike(&prepared.text));
                if is_current {
                    return self.gate_statement(kind, statement, outcome, is_uncertain);
                }
                let outcome = self.decide(&statement.effects);
                self.gate_statement(kind, statement, &outcome, is_uncertain)
            });
        }
        gated
    }

    /// Whether policy's word stops a statement here. How text is read is no matter of policy alone.
    fn is_observed(&self, denial: &Denial) -> bool {
        self.connection.enforce == Enforcement::Observe && denial.cause != Cause::Lexing
    }

    /// An outcome as it holds on this connection.
    pub(super) fn held(&self, outcome: &Outcome) -> Outcome {
        match outcome {
            Outcome::Deny(denial) if self.is_observed(denial) => Outcome::Observe(Rc::clone(denial)),
            Outcome::Limited { policy, .. } if self.connection.enforce == Enforcement::Observe => {
                Outcome::Allow(policy.clone())
            }
            other => other.clone(),
        }
    }

    /// What becomes of a message for an outcome.
    pub(super) fn ruled(&self, kind: Kind, outcome: &Outcome) -> Gated {
        match self.held(outcome) {
            Outcome::Allow(_) => Gated::Allowed,
            Outcome::Limited { terms, .. } => Gated::Limited(terms),
            observed @ Outcome::Observe(_) => Gated::Observed(observed),
            Outcome::Deny(denial) => Gated::Refused((kind.denied(&denial), Outcome::Deny(denial))),
        }
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
    pub(super) fn gate_bound(&self, portal: &Portal) -> Gated {
        let Some((judged, context)) = &portal.bound else {
            return Gated::Allowed;
        };
        let epoch = self.core.gate.borrow_mut().epoch();
        if *context == self.context.id() || judged.verdict.holds_in(epoch) {
            return Gated::Allowed;
        }
        self.ruled(Kind::Execute, &self.decide(judged.effects()))
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
    ) -> Gated {
        let mut gated = self.ruled(kind, outcome);
        if is_uncertain {
            gated = gated.and(|| {
                let object = Object::new(ObjectKind::Nothing, UNKNOWN_STATE);
                self.ruled(kind, &self.decide(&[Effect::new(Action::Opaque, object)]))
            });
        }
        gated
            .and(|| match self.effects_by_name(statement) {
                Some(effects) => self.ruled(kind, &self.decide(&effects)),
                None => Gated::Allowed,
            })
            .and(|| self.gate_copy(kind, statement, outcome))
    }

    /// A COPY that cannot be masked where columns are configured.
    fn gate_copy(&self, kind: Kind, statement: &Statement, outcome: &Outcome) -> Gated {
        if self.masks.tags.is_empty()
            || !matches!(statement.kind, StatementKind::CopyOut { columns: None, .. })
        {
            return Gated::Allowed;
        }
        let refusal = kind.refusal(
            SqlState::FEATURE_NOT_SUPPORTED,
            "sluice: this COPY cannot be masked by column; use COPY table (columns) TO STDOUT, as text or CSV with \
             default delimiters, or SELECT",
        );
        Gated::Refused((refusal, self.held(outcome)))
    }

    /// A PREPARE or DECLARE whose text finds no place in the session.
    pub(super) fn gate_room(&self, kind: Kind, judged: &Judged, text_bytes: usize) -> Gated {
        let refused = |message: &str| {
            let refusal = kind.refusal(SqlState::INSUFFICIENT_RESOURCES, message);
            Gated::Refused((refusal, self.held(judged.outcome())))
        };
        match judged.statement().map(|statement| &statement.kind) {
            Some(StatementKind::Prepare { name }) => {
                if let Err(error) = self.statements.room_for(name.as_bytes()) {
                    return refused(&format!("sluice: {error}"));
                }
            }
            // Cursors without one are not told apart.
            Some(StatementKind::Declare { .. }) => {}
            _ => return Gated::Allowed,
        }
        if self.hold_budget.has(text_bytes + judged.verdict.held_bytes()) {
            Gated::Allowed
        } else {
            refused(TOO_MUCH_HELD)
        }
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
    let is_setting = matches!(kind, StatementKind::Set { .. } | StatementKind::Show { .. });
    !(kind.is_of_transaction() || kind.gives_back() || is_setting)
}
