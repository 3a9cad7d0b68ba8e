//! What an allowed statement is held to, and what fails behind one that did more.

use std::rc::Rc;

use sluice_parsers::postgres::{Sent, SqlState};
use sluice_parsers::sql::effect::{Action, EffectMask};
use sluice_parsers::sql::statement::StatementKind;
use sluice_policy::Limits;
use sluice_runtime::time::Moment;

use super::judging::Gated;
use crate::gate::Verdict;
use crate::postgres::deny::{Kind, refused_query};
use crate::postgres::limited::Bounds;
use crate::postgres::session::{End, Output, Session};
use crate::postgres::statements::{Judged, Ticket};

/// Actions that change nothing.
const READING: [Action; 3] = [Action::Read, Action::Filter, Action::Leak];

/// Where the number of changed rows can be known before they are there for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedIn {
    /// An Execute.
    Execute,
    /// An Execute that asks for some rows: the server tells behind the last one.
    Parts,
    /// A Query that is one statement within a transaction.
    Transaction,
    /// No.
    Nothing,
}

impl Session {
    /// What a statement is held to, but for budgets.
    pub(super) fn bounds(&self, judged: &Judged, limits: Limits) -> Bounds {
        let copies_out = judged
            .statement()
            .is_some_and(|statement| matches!(statement.kind, StatementKind::CopyOut { .. }));
        // To the client: what goes to files and programs is another kind of statement.
        let reads = |action| READING.contains(&action) || copies_out && action == Action::Copy;
        Bounds {
            limits,
            answer: None,
            is_reading: is_read_only_kind(judged) && self.mask_of(judged).actions().all(reads),
            is_copy: copies_out,
        }
    }

    /// Whether a statement of a verdict changes nothing.
    pub(super) fn only_reads(&self, verdict: &Rc<Verdict>, index: usize) -> bool {
        let judged = Judged {
            verdict: Rc::clone(verdict),
            index,
        };
        verdict.is_inert && self.bounds(&judged, Limits::default()).is_reading
    }

    fn mask_of(&self, judged: &Judged) -> EffectMask {
        let by_name = judged
            .statement()
            .and_then(|statement| self.effects_by_name(statement));
        by_name.map_or_else(|| judged.mask(), |effects| effects.iter().collect())
    }

    /// Refuses a statement of which nobody can tell in time how many rows it changes, where that has a limit. Whatever else
    /// becomes of it stays.
    pub(super) fn gate_count(
        &self,
        kind: Kind,
        judged: impl FnOnce() -> Judged,
        gated: Gated,
        counted_in: CountedIn,
    ) -> Gated {
        match &gated {
            Gated::Limited(terms) if terms.limits.max_affected.is_some() => {}
            _ => return gated,
        }
        let judged = judged();
        let mask = self.mask_of(&judged);
        if !Limits::CHANGING.iter().any(|action| mask.contains(*action)) {
            return gated;
        }
        let (message, hint) = if !judged.statement().is_some_and(|statement| {
            use StatementKind::{Delete, Insert, Merge, Update};
            let is_counted = matches!(statement.kind, Insert | Update | Delete | Merge);
            is_counted && !statement.changes_uncounted && !mask.contains(Action::Opaque)
        }) {
            (
                "sluice: policy limits how many rows this may change (@max_affected), and the server does not count them",
                "Change them by INSERT, UPDATE, DELETE or MERGE without changes in WITH, functions or rules.",
            )
        } else if counted_in == CountedIn::Nothing {
            (
                "sluice: policy limits how many rows this may change (@max_affected), which cannot be told before it is \
                 committed",
                "Send BEGIN first and the statement by itself, or use the extended protocol.",
            )
        } else if counted_in == CountedIn::Parts {
            (
                "sluice: policy limits how many rows this may change (@max_affected), which the server tells behind its \
                 last row",
                "Execute it without a limit of rows.",
            )
        } else {
            return gated;
        };
        let refusal = kind
            .refusal(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .with_hint(hint);
        Gated::Refused((refusal, self.held(judged.outcome())))
    }

    /// Fails what a statement over its limit did, once nothing else can be struck.
    pub(in crate::postgres) fn settle_limited(&mut self, out: &mut Output) -> Result<(), End> {
        let Some((kind, refusal)) = self.limited_to_settle() else {
            return Ok(());
        };
        if kind == Kind::Query {
            self.model
                .sent(Sent::Query, Ticket::FailsTransaction)
                .map_err(End::out_of_turn)?;
            out.to_server.push(refused_query().into());
        } else {
            let instead = self.replacement(Kind::Execute, b"", refusal, Moment::now())?;
            out.to_server.push(instead.into());
        }
        Ok(())
    }
}

/// Whether a kind of statement is one that gives something and does nothing besides. What has no effect that policy is asked
/// about may still do something, as COMMIT does.
fn is_read_only_kind(judged: &Judged) -> bool {
    use StatementKind::{CopyOut, Declare, Execute, Explain, Fetch, Select, Show};
    judged.statement().is_none_or(|statement| {
        matches!(
            statement.kind,
            Select
                | Show { .. }
                | Explain { .. }
                | Fetch { .. }
                | Execute { .. }
                | CopyOut { .. }
                | Declare { .. }
        )
    })
}
