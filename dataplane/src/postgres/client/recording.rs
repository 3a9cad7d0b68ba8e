//! Commits the begin of what the client asks for, before anything goes up.

use sluice_audit::record::Protocol;
use sluice_parsers::postgres::SqlState;
use sluice_parsers::sql::effect::{Action, Effect};
use sluice_parsers::sql::statement::Statement;

use crate::gate::{Outcome, effect_lines};
use crate::postgres::client::judging::reads_alike;
use crate::postgres::deny::Kind;
use crate::postgres::session::{Session, Text};
use crate::postgres::statements::{Judged, Prepared, Refusal, Run};

/// What a begin is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) protocol: Protocol,
    /// Which of the message's statements.
    pub(super) part: usize,
    pub(super) text: &'a [u8],
    pub(super) judged: &'a Judged,
    /// What the record adds.
    pub(super) note: &'a str,
    /// Policy was asked about more than what it does.
    pub(super) asks_more: bool,
}

impl<'a> Subject<'a> {
    pub(super) fn of(prepared: &'a Prepared, judged: &'a Judged, protocol: Protocol) -> Self {
        Self {
            protocol,
            part: judged.index,
            text: &prepared.text,
            judged,
            note: "",
            asks_more: prepared.is_doubtful(),
        }
    }
}

impl Session {
    /// Commits a statement's begin.
    pub(super) fn record(&mut self, run: Run, subject: Subject<'_>, outcome: &Outcome) -> Recorded {
        let Subject {
            protocol,
            part,
            text,
            judged,
            note,
            asks_more,
        } = subject;
        let Judged { verdict, index } = judged;
        let by_name = judged.statement().filter(|_| verdict.runs_by_name);
        let with_prepared = by_name
            .and_then(|statement| self.effects_by_name(statement))
            .map(|effects| (effects.iter().collect(), effect_lines(&effects)));
        let (mask, effects) = match &with_prepared {
            Some((mask, lines)) => (*mask, lines.as_list()),
            None => (judged.mask(), verdict.lines(*index)),
        };
        if mask.contains(Action::Set) {
            self.values_read_by.setting_changes();
        }
        let note = if note.is_empty() {
            verdict.reason(*index).unwrap_or_default()
        } else {
            note
        };
        let is_uncertain = |statement: &Statement| self.is_uncertain(&statement.kind, || reads_alike(text));
        let text = Text {
            protocol,
            part: u16::try_from(part).unwrap_or(u16::MAX),
            bytes: text,
            hash: verdict.text_hash(),
            mask,
            effects,
            asks_more: asks_more || judged.statement().is_some_and(is_uncertain),
        };
        self.begin(run, text, outcome, note).into()
    }

    /// Records an execution of which only a name is known, and what it may do.
    pub(super) fn record_unknown(
        &mut self,
        run: Run,
        name: &[u8],
        effects: &[Effect],
        outcome: &Outcome,
    ) -> Recorded {
        let text = format!("execute {}", String::from_utf8_lossy(name));
        let lines = effect_lines(effects);
        let text = Text {
            protocol: Protocol::Execute,
            part: 0,
            bytes: text.as_bytes(),
            hash: None,
            mask: effects.iter().collect(),
            effects: lines.as_list(),
            // Without any effect not even that is known.
            asks_more: effects.is_empty(),
        };
        self.begin(run, text, outcome, "").into()
    }
}

/// Whether a begin is in the record.
pub(super) enum Recorded {
    Yes,
    No,
}

impl<E> From<Result<(), E>> for Recorded {
    fn from(begun: Result<(), E>) -> Self {
        if begun.is_ok() { Self::Yes } else { Self::No }
    }
}

/// The refusal of a statement that cannot be recorded.
pub(super) fn not_recorded(kind: Kind) -> Refusal {
    kind.refusal(
        SqlState::INSUFFICIENT_RESOURCES,
        "sluice: the audit log takes no more records; nothing runs unrecorded",
    )
}
