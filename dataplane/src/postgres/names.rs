//! What a session's names stand for: prepared statements and portals, as the server knows them.
//!
//! The server changes its table when a message *succeeds*, and the gateway has to decide before it knows. So a name
//! keeps what it stands for now and what messages still under way would make it stand for; a decision about the name
//! has to hold for each of them (a failed Parse leaves the old text under its name). SQL-level `PREPARE` and the
//! protocol share one name space. The server cuts names (see [`name_key`]), so two long names can be one.

use std::rc::Rc;

use hashbrown::HashMap;
use sluice_parsers::postgres::frontend::name_key;
use smallvec::{SmallVec, smallvec};

/// What one name stands for, and what it may come to stand for.
#[derive(Debug)]
struct Slot<T> {
    current: Option<Rc<T>>,
    pending: SmallVec<[Rc<T>; 1]>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            current: None,
            pending: SmallVec::new(),
        }
    }
}

impl<T> Slot<T> {
    fn is_empty(&self) -> bool {
        self.current.is_none() && self.pending.is_empty()
    }

    fn succeeded(&mut self, value: &Rc<T>) -> Option<Rc<T>> {
        // What was sent before it has had its answer, or was dropped with its pipeline.
        if let Some(at) = self.pending.iter().position(|pending| Rc::ptr_eq(pending, value)) {
            self.pending.drain(..=at);
        }
        self.current.replace(Rc::clone(value))
    }

    fn failed(&mut self, value: &Rc<T>) {
        self.pending.retain(|pending| !Rc::ptr_eq(pending, value));
    }

    fn candidates(&self) -> SmallVec<[Rc<T>; 2]> {
        self.pending
            .iter()
            .rev()
            .chain(self.current.as_ref())
            .cloned()
            .collect()
    }
}

/// A name as the server knows it; those of drivers are short and lie beside what they stand for.
type Name = SmallVec<[u8; 24]>;

/// A name space of one session.
#[derive(Debug)]
pub(crate) struct Names<T> {
    unnamed: Slot<T>,
    /// The last message that gave no name was sent behind the last Sync.
    is_of_cycle: bool,
    /// Of messages that gave no name and are still under way, the first ones are not kept.
    has_lost: bool,
    named: HashMap<Name, Slot<T>>,
    named_max: usize,
}

/// Messages under way that would put something under one name. Each use of the name is judged for all of them.
const PENDING_MAX: usize = 32;

/// A name finds no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    /// The session has as many names open as it may.
    #[error("more than {named_max} names are open in this session")]
    Names { named_max: usize },
    /// The server has not answered what was sent under this one.
    #[error(
        "more than {PENDING_MAX} messages are under way that give one name; send Sync and read the answers first"
    )]
    Pending,
}

impl<T> Names<T> {
    pub(crate) fn new(named_max: usize) -> Self {
        Self {
            unnamed: Slot::default(),
            is_of_cycle: false,
            has_lost: false,
            named: HashMap::new(),
            named_max,
        }
    }

    /// A message that would make `name` stand for `value` goes up.
    pub(crate) fn sent(&mut self, name: &[u8], value: Rc<T>) -> Result<(), NoRoom> {
        let name = name_key(name);
        if name.is_empty() {
            // What the server discards behind a failure leaves the old one. Drivers give no name in long pipelines, with a
            // new one in each cycle: few are ever asked for again, so few are kept.
            if self.unnamed.pending.len() >= PENDING_MAX {
                self.unnamed.pending.remove(0);
                self.has_lost = true;
            }
            self.unnamed.pending.push(value);
            self.is_of_cycle = true;
            return Ok(());
        }
        self.room_for(name)?;
        self.named
            .entry(Name::from_slice(name))
            .or_default()
            .pending
            .push(value);
        Ok(())
    }

    /// A Sync goes up: the server reads on behind it, whatever it has discarded before.
    pub(crate) fn synced(&mut self) {
        self.is_of_cycle = false;
    }

    /// Whether something can be sent under a name.
    pub(crate) fn room_for(&self, name: &[u8]) -> Result<(), NoRoom> {
        let name = name_key(name);
        match self.named.get(name) {
            _ if name.is_empty() => Ok(()),
            Some(slot) if slot.pending.len() >= PENDING_MAX => Err(NoRoom::Pending),
            None if self.named.len() >= self.named_max => Err(NoRoom::Names {
                named_max: self.named_max,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// That message succeeded; gives what the name stood for, which went unseen (portals with their transaction).
    pub(crate) fn succeeded(&mut self, name: &[u8], value: &Rc<T>) -> Option<Rc<T>> {
        let name = name_key(name);
        if name.is_empty() {
            let is_kept = self
                .unnamed
                .pending
                .iter()
                .any(|pending| Rc::ptr_eq(pending, value));
            // Those that were not kept were sent before all that are.
            self.has_lost &= !is_kept;
            self.unnamed.succeeded(value)
        } else {
            self.named
                .entry(Name::from_slice(name))
                .or_default()
                .succeeded(value)
        }
    }

    /// That message failed, or was skipped by the server.
    pub(crate) fn failed(&mut self, name: &[u8], value: &Rc<T>) {
        let name = name_key(name);
        if name.is_empty() {
            self.unnamed.failed(value);
            self.has_lost &= !self.unnamed.pending.is_empty();
        } else if let Some(slot) = self.named.get_mut(name) {
            slot.failed(value);
            if slot.is_empty() {
                self.named.remove(name);
            }
        }
    }

    /// The server closed `name`; gives what it stood for.
    pub(crate) fn closed(&mut self, name: &[u8]) -> Option<Rc<T>> {
        let name = name_key(name);
        if name.is_empty() {
            return self.unnamed.current.take();
        }
        let slot = self.named.get_mut(name)?;
        let closed = slot.current.take();
        if slot.is_empty() {
            self.named.remove(name);
        }
        closed
    }

    /// The server closed every name (`DEALLOCATE ALL`, `DISCARD ALL`; portals at the end of a transaction).
    pub(crate) fn closed_all(&mut self, mut closed: impl FnMut(Rc<T>)) {
        self.unnamed.current.take().map(&mut closed);
        if self.named.is_empty() {
            return;
        }
        self.named.retain(|_, slot| {
            slot.current.take().map(&mut closed);
            !slot.is_empty()
        });
    }

    /// The server closed what does not stay, by name.
    pub(crate) fn closed_unless(&mut self, stays: impl Fn(&T) -> bool) {
        self.named.retain(|_, slot| {
            slot.current.take_if(|value| !stays(value));
            !slot.is_empty()
        });
    }

    /// Calls for all that names stand for or may come to stand for.
    pub(crate) fn each(&self, mut call: impl FnMut(&T)) {
        let unnamed = self.unnamed.pending.iter().chain(&self.unnamed.current);
        unnamed.for_each(|value| call(value));
        self.each_named(call);
    }

    /// The same but for the unnamed one.
    pub(crate) fn each_named(&self, mut call: impl FnMut(&T)) {
        for slot in self.named.values() {
            slot.pending
                .iter()
                .chain(&slot.current)
                .for_each(|value| call(value));
        }
    }

    /// All that `name` may stand for when a message sent now arrives, the likeliest first.
    pub(crate) fn candidates(&self, name: &[u8]) -> SmallVec<[Rc<T>; 2]> {
        let name = name_key(name);
        if !name.is_empty() {
            return self.named.get(name).map(Slot::candidates).unwrap_or_default();
        }
        match self.unnamed.pending.last() {
            // If that one is discarded, so is the message.
            Some(last) if self.is_of_cycle => smallvec![Rc::clone(last)],
            // It could be one that is not known any more, which nobody may run.
            _ if self.has_lost => SmallVec::new(),
            _ => self.unnamed.candidates(),
        }
    }

    /// What `name` stands for by all that the server has answered.
    pub(crate) fn current(&self, name: &[u8]) -> Option<&Rc<T>> {
        let name = name_key(name);
        if name.is_empty() {
            return self.unnamed.current.as_ref();
        }
        self.named.get(name)?.current.as_ref()
    }

    /// What `name` most likely stands for, where nothing depends on being right.
    pub(crate) fn likeliest(&self, name: &[u8]) -> Option<&Rc<T>> {
        let name = name_key(name);
        let slot = if name.is_empty() {
            &self.unnamed
        } else {
            self.named.get(name)?
        };
        slot.pending.last().or(slot.current.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &Names<u32>, name: &[u8]) -> Vec<u32> {
        names.candidates(name).iter().map(|value| **value).collect()
    }

    #[test]
    fn a_failed_parse_leaves_the_old_text() {
        let mut names = Names::new(10);
        let (old, new) = (Rc::new(1), Rc::new(2));
        names.sent(b"s", Rc::clone(&old)).unwrap();
        names.succeeded(b"s", &old);
        names.sent(b"s", Rc::clone(&new)).unwrap();
        assert_eq!(
            all(&names, b"s"),
            [2, 1],
            "both are possible while the answer is out"
        );
        assert_eq!(names.current(b"s"), Some(&old));
        names.failed(b"s", &new);
        assert_eq!(all(&names, b"s"), [1]);
        assert_eq!(names.closed(b"s"), Some(old));
        assert_eq!(all(&names, b"s"), [0; 0]);
    }

    #[test]
    fn what_went_unseen_is_given_back() {
        let mut names = Names::new(10);
        let (old, new) = (Rc::new(1), Rc::new(2));
        names.sent(b"p", Rc::clone(&old)).unwrap();
        assert_eq!(names.succeeded(b"p", &old), None);
        names.sent(b"p", Rc::clone(&new)).unwrap();
        assert_eq!(names.succeeded(b"p", &new), Some(old));
    }

    #[test]
    fn the_unnamed_one_is_the_last_of_its_cycle_or_what_a_discarded_one_left() {
        let mut names = Names::new(10);
        let (old, new) = (Rc::new(1), Rc::new(2));
        names.sent(b"", Rc::clone(&old)).unwrap();
        assert_eq!(all(&names, b""), [1]);
        names.synced();
        names.succeeded(b"", &old);
        names.sent(b"", Rc::clone(&new)).unwrap();
        assert_eq!(all(&names, b""), [2], "what discards it discards what follows");
        names.synced();
        assert_eq!(
            all(&names, b""),
            [2, 1],
            "behind the Sync the old one may be there"
        );
        names.failed(b"", &new);
        assert_eq!(all(&names, b""), [1]);
    }

    #[test]
    fn of_a_long_pipeline_without_names_nobody_may_use_what_is_not_known() {
        let mut names = Names::new(10);
        let sent: Vec<_> = (0..3 * PENDING_MAX).map(Rc::new).collect();
        let all = |names: &Names<usize>| -> Vec<usize> {
            names.candidates(b"").iter().map(|value| **value).collect()
        };
        for (number, value) in sent.iter().enumerate() {
            names.sent(b"", Rc::clone(value)).unwrap();
            assert_eq!(all(&names), [number]);
        }
        names.synced();
        assert_eq!(all(&names), [0; 0]);
        for value in &sent[..2 * PENDING_MAX] {
            names.succeeded(b"", value);
            assert_eq!(all(&names), [0; 0], "{value}");
        }
        names.succeeded(b"", &sent[2 * PENDING_MAX]);
        assert_eq!(all(&names).len(), PENDING_MAX);
        for value in &sent[2 * PENDING_MAX + 1..] {
            names.failed(b"", value);
        }
        assert_eq!(all(&names), [2 * PENDING_MAX]);
    }

    #[test]
    fn names_are_cut_where_the_server_cuts() {
        let mut names = Names::new(10);
        let value = Rc::new(7);
        let long = [b'x'; 64];
        names.sent(&long, Rc::clone(&value)).unwrap();
        names.succeeded(&long, &value);
        assert_eq!(all(&names, &[b'x'; 63]), [7]);
        assert_eq!(all(&names, &[b'x'; 62]), [0; 0]);
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let mut names = Names::new(2);
        for name in [b"a", b"b"] {
            names.sent(name, Rc::new(0)).unwrap();
        }
        assert_eq!(names.sent(b"c", Rc::new(0)), Err(NoRoom::Names { named_max: 2 }));
        names.closed_all(drop);
        assert_eq!(all(&names, b"a"), [0], "what is under way outlives DISCARD ALL");
    }

    #[test]
    fn what_is_under_way_for_a_name_is_bounded() {
        let mut names = Names::new(2);
        let sent: Vec<_> = (0..PENDING_MAX).map(Rc::new).collect();
        for value in &sent {
            names.sent(b"a", Rc::clone(value)).unwrap();
        }
        assert_eq!(names.sent(b"a", Rc::new(0)), Err(NoRoom::Pending));
        assert_eq!(names.sent(b"b", Rc::new(0)), Ok(()));
        names.succeeded(b"a", &sent[0]);
        assert_eq!(names.sent(b"a", Rc::new(0)), Ok(()));
    }
}
