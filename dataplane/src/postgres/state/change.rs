//! What a statement's success changes in the settings or the transaction.

use std::rc::Rc;

use sluice_parsers::sql::effect::{Action, ObjectKind};
use sluice_parsers::sql::statement::{Statement, StatementKind};

use super::settings::Tracked;
use super::transaction::Value;

/// What a statement changes if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that is tracked.
    Nothing,
    Begin,
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(Rc<str>),
    Release(Rc<str>),
    RollbackTo(Rc<str>),
    PrepareTransaction,
    Set {
        setting: Tracked,
        /// None if it cannot be told from the text.
        value: Value,
        local: bool,
    },
    Reset {
        setting: Tracked,
        local: bool,
    },
    ResetAll,
    DiscardAll,
    /// Nothing but that it may commit what stood before it in its cycle: what the server runs outside of transactions
    /// only, as VACUUM. Newer servers refuse it behind another statement.
    MayCommit,
    /// Runs more of a statement that began earlier.
    Fetch,
    /// These settings are not known any more.
    Unknown(SettingSet),
    /// None is known, and the transaction may have ended.
    EndsUnknown,
}

impl Change {
    /// What code does that is not seen.
    pub(crate) const UNSEEN: Self = Self::Unknown(SettingSet::ALL);

    /// What a statement changes. What EXECUTE runs comes on top.
    pub(crate) fn of(statement: &Statement) -> Self {
        use StatementKind as Kind;
        match &statement.kind {
            Kind::Begin => Self::Begin,
            Kind::Commit { chain } => Self::Commit { chain: *chain },
            Kind::Rollback { chain } => Self::Rollback { chain: *chain },
            Kind::Savepoint { name } => Self::Savepoint((&**name).into()),
            Kind::Release { name } => Self::Release((&**name).into()),
            Kind::RollbackTo { name } => Self::RollbackTo((&**name).into()),
            Kind::PrepareTransaction => Self::PrepareTransaction,
            Kind::DiscardAll => Self::DiscardAll,
            Kind::Reset { name: None } => Self::ResetAll,
            Kind::Reset { name: Some(name) } => {
                Tracked::named(name).map_or(Self::Nothing, |setting| Self::Reset {
                    setting,
                    local: false,
                })
            }
            Kind::Set { name, values, local } => {
                Tracked::named(name).map_or(Self::Nothing, |setting| Self::Set {
                    setting,
                    // Without values it is DEFAULT or FROM CURRENT.
                    value: values.as_deref().and_then(|values| setting.parse_list(values)),
                    local: *local,
                })
            }
            // A block may fetch from cursors and make deferred triggers run.
            Kind::Fetch { .. } | Kind::Do { may_end: false } => match Self::by_effects(statement) {
                Self::Nothing => Self::Fetch,
                change => change,
            },
            Kind::FinishPrepared | Kind::Other => match Self::by_effects(statement) {
                Self::Nothing => Self::MayCommit,
                change => change,
            },
            // They may commit, and what they run besides is mostly not seen.
            Kind::Call | Kind::Do { may_end: true } | Kind::Unreadable => Self::EndsUnknown,
            _ => Self::by_effects(statement),
        }
    }

    /// Settings that change on the way of something else: `set_config`, or code that is not seen.
    fn by_effects(statement: &Statement) -> Self {
        let mut unknown = SettingSet::default();
        for effect in &statement.effects {
            match effect.action {
                Action::Opaque => unknown = SettingSet::ALL,
                // The name of the setting is not in it.
                Action::SetRole => unknown = unknown.with(Tracked::Role).with(Tracked::SessionAuthorization),
                // RESET ALL in a body.
                Action::Set if &*effect.object.name == "all" => unknown = SettingSet::ALL,
                Action::Set if effect.object.kind == ObjectKind::Setting => {
                    if let Some(setting) = Tracked::named(&effect.object.name) {
                        unknown = unknown.with(setting);
                    }
                }
                _ => {}
            }
        }
        if unknown.is_empty() {
            Self::Nothing
        } else {
            Self::Unknown(unknown)
        }
    }

    /// Whether what it leads to is not known even if it succeeds.
    pub(super) fn is_unforeseen(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::EndsUnknown)
    }

    /// Whether code may run in it that an earlier statement has left behind: of a cursor, or deferred to the commit.
    pub(super) fn runs_what_was_left(&self) -> bool {
        matches!(
            self,
            Self::Fetch | Self::MayCommit | Self::Commit { .. } | Self::PrepareTransaction
        )
    }
}

/// Some of the tracked settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingSet(u8);

impl SettingSet {
    pub(crate) const ALL: Self = Self((1 << Tracked::COUNT) - 1);

    #[must_use]
    pub(crate) fn with(self, setting: Tracked) -> Self {
        Self(self.0 | 1 << setting as u8)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Tracked> {
        Tracked::ALL
            .into_iter()
            .filter(move |setting| self.0 & 1 << *setting as u8 != 0)
    }
}
