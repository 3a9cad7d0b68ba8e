//! The decision cache of one core, in two generations: what was not asked for while a generation filled is forgotten.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;
use sluice_parsers::sql::neutral::Neutral;
use sluice_parsers::sql::shape::Literal;
use sluice_parsers::sql::template::Template;
use smallvec::SmallVec;

use super::Verdict;

/// A text's tokens, and which of its literals decisions may ignore.
#[derive(Debug)]
pub(super) struct KnownShape {
    /// The hash of the tokens.
    pub(super) hash: u64,
    normalized: Box<[u8]>,
    pub(super) neutral: Neutral,
    /// The verdict that was asked for last among those that depend on nothing else: who asked, and what was decided.
    latest: RefCell<Option<(u64, Rc<Verdict>)>>,
}

impl KnownShape {
    fn latest(&self, key: &DecisionKey<'_>) -> Option<Rc<Verdict>> {
        let latest = self.latest.borrow();
        let (context, verdict) = latest.as_ref()?;
        (*context == key.context && key.is_shape_alone()).then(|| Rc::clone(verdict))
    }

    fn set_latest(&self, key: &DecisionKey<'_>, verdict: &Rc<Verdict>) {
        if key.is_shape_alone() {
            *self.latest.borrow_mut() = Some((key.context, Rc::clone(verdict)));
        }
    }
}

/// Everything that a decision depends on but the policy's epoch, which empties the cache.
#[derive(Clone, Copy)]
pub(super) struct DecisionKey<'a> {
    pub(super) shape: &'a Rc<KnownShape>,
    /// The literals that are not neutral, each with an end mark.
    pub(super) kept: &'a [u8],
    pub(super) context: u64,
    pub(super) parameter_types: &'a [u8],
}

impl DecisionKey<'_> {
    /// No literal and no declared type is a part of it.
    fn is_shape_alone(&self) -> bool {
        self.kept.is_empty() && self.parameter_types.is_empty()
    }
}

#[derive(Debug)]
struct Entry {
    shape: Rc<KnownShape>,
    kept: Box<[u8]>,
    context: u64,
    parameter_types: Box<[u8]>,
    verdict: Rc<Verdict>,
}

impl Entry {
    fn is_for(&self, key: &DecisionKey<'_>) -> bool {
        // A shape is in the cache once, so the same tokens are the same allocation.
        Rc::ptr_eq(&self.shape, key.shape)
            && self.context == key.context
            && *self.kept == *key.kept
            && *self.parameter_types == *key.parameter_types
    }
}

/// Hashes are made by the gate with a secret seed; hashing them again would be waste.
#[derive(Clone, Copy, Default)]
struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Hashed<T> = HashMap<u64, T, std::hash::BuildHasherDefault<AsIs>>;

/// A map of two generations. A hash that collides replaces: the cache may forget, never confuse.
#[derive(Debug)]
struct Generations<T> {
    young: Hashed<T>,
    old: Hashed<T>,
    young_max: usize,
}

impl<T> Generations<T> {
    fn new(entries_max: usize) -> Self {
        Self {
            young: Hashed::default(),
            old: Hashed::default(),
            young_max: (entries_max / 2).max(1),
        }
    }

    fn get(&mut self, hash: u64) -> Option<&T> {
        self.get_mut(hash).map(|entry| &*entry)
    }

    fn get_mut(&mut self, hash: u64) -> Option<&mut T> {
        // Two look-ups of the young one on a hit in the old one, which is then young.
        if !self.young.contains_key(&hash) {
            let entry = self.old.remove(&hash)?;
            self.insert(hash, entry);
        }
        self.young.get_mut(&hash)
    }

    fn insert(&mut self, hash: u64, entry: T) {
        if self.young.len() >= self.young_max && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&hash);
        self.young.insert(hash, entry);
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

/// Shapes and the decisions about them.
#[derive(Debug)]
pub(super) struct Decisions {
    shapes: Generations<Rc<KnownShape>>,
    decisions: Generations<Entry>,
    templates: Generations<Templates>,
}

/// The templates of one head, the latest first.
type Templates = SmallVec<[(Template, Rc<KnownShape>); 1]>;

/// Statements that begin alike up to their first literal.
const TEMPLATES_OF_A_HEAD_MAX: usize = 8;

/// Heads that have templates.
const HEADS_MAX: usize = 1024;

impl Decisions {
    pub(super) fn new(decisions_max: usize) -> Self {
        Self {
            shapes: Generations::new(decisions_max),
            decisions: Generations::new(decisions_max),
            templates: Generations::new(HEADS_MAX),
        }
    }

    /// The shape of a text that a template recognises, and its literals.
    pub(super) fn recognise(
        &mut self,
        head: u64,
        sql: &[u8],
        literals: &mut Vec<Literal>,
    ) -> Option<Rc<KnownShape>> {
        let templates = self.templates.get(head)?;
        let (_, shape) = templates
            .iter()
            .find(|(template, _)| template.matches(sql, literals))?;
        Some(Rc::clone(shape))
    }

    /// Keeps a text's template, in the place of the oldest if there are many that begin like it.
    pub(super) fn remember(&mut self, head: u64, template: Template, shape: &Rc<KnownShape>) {
        let entry = (template, Rc::clone(shape));
        if let Some(templates) = self.templates.get_mut(head) {
            templates.truncate(TEMPLATES_OF_A_HEAD_MAX - 1);
            templates.insert(0, entry);
        } else {
            self.templates.insert(head, SmallVec::from_iter([entry]));
        }
    }

    pub(super) fn find_shape(&mut self, hash: u64, normalized: &[u8]) -> Option<Rc<KnownShape>> {
        self.shapes
            .get(hash)
            .filter(|shape| *shape.normalized == *normalized)
            .cloned()
    }

    /// The shape of those tokens; one that is known keeps its neutral literals.
    pub(super) fn shape(&mut self, hash: u64, normalized: &[u8], neutral: Neutral) -> Rc<KnownShape> {
        if let Some(known) = self.find_shape(hash, normalized) {
            return known;
        }
        let shape = Rc::new(KnownShape {
            hash,
            normalized: normalized.into(),
            neutral,
            latest: RefCell::default(),
        });
        self.shapes.insert(hash, Rc::clone(&shape));
        shape
    }

    /// `hash` is asked for only if the shape does not know.
    pub(super) fn find(&mut self, hash: impl FnOnce() -> u64, key: &DecisionKey<'_>) -> Option<Rc<Verdict>> {
        if let Some(verdict) = key.shape.latest(key) {
            return Some(verdict);
        }
        let entry = self.decisions.get(hash()).filter(|entry| entry.is_for(key))?;
        key.shape.set_latest(key, &entry.verdict);
        Some(Rc::clone(&entry.verdict))
    }

    pub(super) fn insert(&mut self, hash: u64, key: &DecisionKey<'_>, verdict: Rc<Verdict>) {
        let entry = Entry {
            shape: Rc::clone(key.shape),
            kept: key.kept.into(),
            context: key.context,
            parameter_types: key.parameter_types.into(),
            verdict,
        };
        self.decisions.insert(hash, entry);
    }

    /// How many decisions are kept.
    pub(super) fn len(&self) -> usize {
        self.decisions.len()
    }

    pub(super) fn clear(&mut self) {
        self.shapes.clear();
        self.decisions.clear();
        self.templates.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_outlives_what_is_not() {
        let mut map = Generations::new(4);
        map.insert(1, "kept");
        map.insert(2, "lost");
        for hash in 10..20 {
            assert_eq!(map.get(1), Some(&"kept"), "before {hash}");
            map.insert(hash, "filler");
            assert!(map.young.len() + map.old.len() <= 4, "bounded");
        }
        assert_eq!(map.get(2), None);
        map.clear();
        assert_eq!(map.get(1), None);
    }

    #[test]
    fn a_colliding_hash_is_a_miss() {
        let mut decisions = Decisions::new(16);
        decisions.shape(7, b"select $", Neutral::none());
        assert!(decisions.find_shape(7, b"select $").is_some());
        assert!(decisions.find_shape(7, b"delete $").is_none());
    }
}
