//! Whether the recorded effects cover what a statement left behind.
//!
//! pgaudit sees classes of statements; a function of the server that writes a file or keeps a lock is not among them.
//! The state of the server before and after tells.

use sluice_parsers::sql::effect::Action;
use sluice_tests::probe::{Area, Difference};

use crate::coverage::object_name;
use crate::effect_line::EffectLine;

/// Changes rows, or the relation that has them.
const WRITES: &[Action] = &[
    Action::Insert,
    Action::Update,
    Action::Delete,
    Action::Truncate,
    Action::Copy,
    Action::Create,
    Action::Alter,
    Action::Drop,
    Action::Admin,
];

/// Whether one of the effects accounts for a difference.
pub(crate) fn covers(effects: &[EffectLine], is_refresh: bool, difference: &Difference) -> bool {
    let has = |actions: &[Action]| effects.iter().any(|effect| actions.contains(&effect.action));
    if difference.is_release() || has(&[Action::Opaque]) {
        return true;
    }
    match difference.area {
        Area::Rows => {
            let name = object_name(&difference.name);
            let is_on = |effect: &EffectLine| {
                // What is dropped with a schema, or with what it depends on, has no name in the effects.
                effect.is_on(&name) || (effect.action == Action::Drop && effect.has_flag("cascade"))
            };
            // A name that a statement computes may be any sequence's.
            let is_any = |effect: &EffectLine| effect.kind == "sequence" && effect.name.is_empty();
            effects
                .iter()
                .any(|effect| WRITES.contains(&effect.action) && (is_on(effect) || is_any(effect)))
        }
        Area::Temporary => has(WRITES),
        // A new file takes the place of the old one.
        Area::Catalog if is_refresh => has(&[Action::Update]),
        Area::Catalog => has(&[
            Action::Create,
            Action::Alter,
            Action::Drop,
            Action::Grant,
            Action::Admin,
            Action::Replicate,
            Action::Truncate,
            Action::Execute,
        ]),
        Area::Role => has(&[Action::Create, Action::Alter, Action::Drop, Action::Grant]),
        Area::Setting => has(&[Action::Alter, Action::Admin, Action::Grant]),
        Area::LargeObject => has(&[
            Action::Execute,
            Action::Update,
            Action::Grant,
            Action::Drop,
            Action::Alter,
        ]),
        Area::Statistics => has(&[Action::Admin, Action::Alter, Action::Drop]),
        Area::Lock => has(&[Action::Lock]) || (!effects.is_empty() && is_weak(&difference.name)),
        // The client's own, and what its statement connects to.
        Area::Session => true,
        Area::Slot => has(&[Action::Replicate]),
        Area::PreparedTransaction => has(&[Action::Admin, Action::Lock]),
        Area::Server => has(&[Action::Admin, Action::Create, Action::Drop]),
        Area::Notification => has(&[Action::Notify]),
        Area::File => effects.iter().any(|effect| {
            effect.has_flag("file")
                || effect.has_flag("program")
                || [Action::Admin, Action::Replicate, Action::Alter].contains(&effect.action)
        }),
        // Whatever is more than reading is written down, row locks too.
        Area::Log => effects.iter().any(|effect| {
            !matches!(
                effect.action,
                Action::Read | Action::Filter | Action::Set | Action::SetRole | Action::Leak
            )
        }),
    }
}

/// Locks of tables and indexes that reading and writing rows keep until the transaction ends.
fn is_weak(lock: &str) -> bool {
    [
        " relation AccessShareLock ",
        " relation RowShareLock ",
        " relation RowExclusiveLock ",
    ]
    .iter()
    .any(|mode| lock.contains(mode))
}
