//! What of a session's results policy lets its identity see as it is (`Unmask`), and whether it keeps other values from it.
//!
//! Policy is asked when the session begins, at the client's next message once another policy is in force, and once a second
//! where a policy looks at the time. What is being answered meanwhile keeps the masks that it began with.

use std::sync::Arc;

use sluice_audit::record::{Event, EventKind};
use sluice_masking::{Class, ClassSet};
use sluice_policy::Unmasking;
use sluice_runtime::time::Moment;

use super::columns::{Tag, Tags};
use super::session::Session;
use super::statements::Portal;
use crate::settings::{Enforcement, Masking};

/// How long an answer is good for that depends on the time.
const TIMED_NS: u64 = 1_000_000_000;

/// What policies call configured columns of no detector's class.
const OTHER: &str = "other";

/// What policies call a configured column's class.
pub(crate) fn class_name(tag: Tag) -> &'static str {
    tag.map_or(OTHER, Class::name)
}

/// Sets of columns that a core remembers.
const REMEMBERED_MAX: usize = 64;

/// What may be seen as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    classes: ClassSet,
    /// Configured columns of no class.
    other: bool,
}

impl Open {
    /// What `is_open` opens of what a connection masks. It gets each class's name.
    pub(crate) fn of(masking: &Masking, mut is_open: impl FnMut(&str) -> bool) -> Self {
        if matches!(masking, Masking::Off) {
            return Self::default();
        }
        Self {
            classes: Class::ALL
                .into_iter()
                .filter(|class| is_open(class.name()))
                .collect(),
            other: is_open(OTHER),
        }
    }

    /// Of the configured columns those that stay masked.
    pub(crate) fn still_masked(self, all: &Tags) -> Tags {
        let masked = all.iter().filter(|(_, tag)| !self.holds(**tag));
        masked.map(|(key, tag)| (*key, *tag)).collect()
    }

    /// Of the classes that are found by content those that are looked for.
    pub(crate) fn still_found(self, masking: &Masking) -> ClassSet {
        let found = masking.classes();
        found.iter().filter(|class| !self.holds(Some(*class))).collect()
    }

    /// Whether a configured column of that class may be.
    pub(crate) fn holds(self, tag: Tag) -> bool {
        tag.map_or(self.other, |class| self.classes.contains(class))
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn names(self) -> String {
        let classes = self.classes.iter().map(Class::name);
        let names: Vec<&str> = classes.chain(self.other.then_some(OTHER)).collect();
        names.join(", ")
    }
}

/// When policy was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    epoch: u64,
    is_timed: bool,
    at: Moment,
}

/// The columns that stay masked where some may be seen: one value for all sessions of a core, since plans are shared by
/// those that share it.
#[derive(Debug, Default)]
pub(crate) struct StillMasked(Vec<(Arc<Tags>, Open, Arc<Tags>)>);

impl StillMasked {
    fn of(&mut self, all: &Arc<Tags>, open: Open) -> Arc<Tags> {
        let known = self
            .0
            .iter()
            .find(|(of, with, _)| Arc::ptr_eq(of, all) && *with == open);
        if let Some((_, _, tags)) = known {
            return Arc::clone(tags);
        }
        let tags = Arc::new(open.still_masked(all));
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.push((Arc::clone(all), open, Arc::clone(&tags)));
        tags
    }
}

impl Session {
    /// The database's configured columns are these now.
    pub(super) fn configured(&mut self, tags: Arc<Tags>) {
        self.masks.configured = tags;
        self.mask_the_rest();
    }

    /// Masks what may not be seen as it is.
    fn mask_the_rest(&mut self) {
        let masks = &mut self.masks;
        masks.classes = masks.open.still_found(&self.connection.masking);
        masks.tags = if masks.open.is_empty() {
            Arc::clone(&masks.configured)
        } else {
            self.core
                .still_masked
                .borrow_mut()
                .of(&masks.configured, masks.open)
        };
    }

    /// Asks policy again where its answer may be another one.
    #[inline]
    pub(super) fn follow_unmasking(&mut self, now: Moment) {
        let epoch = self.core.gate.borrow_mut().epoch();
        let is_stale = self.unmasking.is_timed && now.nanoseconds_since(self.unmasking.at) > TIMED_NS;
        if epoch != self.unmasking.epoch || is_stale {
            self.ask_unmasking(epoch, now);
        }
    }

    #[cold]
    fn ask_unmasking(&mut self, epoch: u64, now: Moment) {
        let mut is_timed = false;
        let open = {
            let mut gate = self.core.gate.borrow_mut();
            Open::of(&self.connection.masking, |name| {
                let Unmasking {
                    is_permitted,
                    is_timed: looks_at_time,
                } = gate.unmasks(name, &self.context);
                is_timed |= looks_at_time;
                is_permitted
            })
        };
        // Where policy only observes, what it forbids is read.
        if self.connection.enforce == Enforcement::Policy {
            let hiding = self.core.gate.borrow_mut().hides(&self.context);
            self.masks.hides = hiding.is_hiding;
            is_timed |= hiding.is_timed;
        }
        self.unmasking = Asked {
            epoch,
            is_timed,
            at: now,
        };
        if open == self.masks.open {
            return;
        }
        self.masks.open = open;
        self.mask_the_rest();
        // What was planned for their rows was for other masks.
        self.portals.each(Portal::forget_plan);
        let names = open.names();
        let event = Event {
            event: EventKind::Unmasked,
            text: names.as_bytes(),
            ..Event::default()
        };
        self.core.ledger.borrow_mut().event(self.id, event);
    }
}

impl Asked {
    /// Policy was not asked yet.
    pub(super) fn never() -> Self {
        Self {
            epoch: u64::MAX,
            is_timed: false,
            at: Moment::now(),
        }
    }
}
