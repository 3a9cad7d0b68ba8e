//! The decision cache of one principal on one core, in two generations: what was not asked for while a generation filled is forgotten.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use hashbrown::HashMap;
use sluice_parsers::sql::neutral::Neutral;
use sluice_parsers::sql::shape::Literal;
use sluice_parsers::sql::template::Template;
use smallvec::SmallVec;

use super::Verdict;

/// Bytes that a core's cached decisions take, about, if they are one principal's; their shapes may take as many again.
pub(super) const DECISIONS_BYTES_MAX: usize = 32 << 20;

/// A text's tokens, and which of its literals decisions may ignore.
#[derive(Debug)]
pub(super) struct KnownShape {
    /// The hash of the tokens.
    pub(super) hash: u64,
    normalized: Box<[u8]>,
    pub(super) neutral: Neutral,
    /// The verdict that was asked for last among those that depend on nothing else: who asked, and what was decided.
    /// Another keeps it: shapes, and the templates that outlive them, are to be small.
    latest: RefCell<Option<(u64, Weak<Verdict>)>>,
}

impl KnownShape {
    fn latest(&self, key: &DecisionKey<'_>) -> Option<Rc<Verdict>> {
        let latest = self.latest.borrow();
        let (context, verdict) = latest.as_ref()?;
        if *context == key.context && key.is_shape_alone() {
            verdict.upgrade()
        } else {
            None
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.normalized.len()
    }

    fn set_latest(&self, key: &DecisionKey<'_>, verdict: &Rc<Verdict>) {
        // One that is decided again may be replaced.
        if key.is_shape_alone() && !verdict.is_timed {
            *self.latest.borrow_mut() = Some((key.context, Rc::downgrade(verdict)));
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
    /// The number of what policies look at in the client; 0 if that is nothing.
    pub(super) told: u64,
    pub(super) parameter_types: &'a [u8],
}

impl DecisionKey<'_> {
    /// No literal, no declared type and nothing of the client is a part of it.
    fn is_shape_alone(&self) -> bool {
        self.kept.is_empty() && self.parameter_types.is_empty() && self.told == 0
    }
}

#[derive(Debug)]
struct Entry {
    shape: Rc<KnownShape>,
    kept: Box<[u8]>,
    context: u64,
    told: u64,
    parameter_types: Box<[u8]>,
    verdict: Rc<Verdict>,
}

impl Entry {
    fn is_for(&self, key: &DecisionKey<'_>) -> bool {
        // A shape is in the cache once, so the same tokens are the same allocation. One that was forgotten matches
        // nothing.
        Rc::ptr_eq(&self.shape, key.shape)
            && self.context == key.context
            && self.told == key.told
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

/// A map of two generations, bounded by entries and by bytes. A hash that collides replaces: the cache may forget,
/// never confuse.
#[derive(Debug)]
struct Generations<T> {
    young: Hashed<Weighed<T>>,
    old: Hashed<Weighed<T>>,
    young_max: usize,
    /// Of the young ones.
    bytes: usize,
    /// Of the old ones when they were young; some may have become young again.
    old_bytes: usize,
    young_bytes_max: usize,
}

#[derive(Debug)]
struct Weighed<T> {
    entry: T,
    bytes: usize,
}

impl<T> Generations<T> {
    fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            young: Hashed::default(),
            old: Hashed::default(),
            young_max: (entries_max / 2).max(1),
            bytes: 0,
            old_bytes: 0,
            young_bytes_max: bytes_max / 2,
        }
    }

    fn get(&mut self, hash: u64) -> Option<&T> {
        self.get_mut(hash).map(|entry| &*entry)
    }

    fn get_mut(&mut self, hash: u64) -> Option<&mut T> {
        // Two look-ups of the young one on a hit in the old one, which is then young.
        if !self.young.contains_key(&hash) {
            let Weighed { entry, bytes } = self.old.remove(&hash)?;
            self.insert(hash, entry, bytes);
        }
        self.young.get_mut(&hash).map(|weighed| &mut weighed.entry)
    }

    /// Keeps an entry, unless it alone is more than a generation may be.
    fn insert(&mut self, hash: u64, entry: T, bytes: usize) {
        if bytes > self.young_bytes_max {
            return;
        }
        if let Some(former) = self.young.remove(&hash) {
            self.bytes -= former.bytes;
        }
        if self.young.len() >= self.young_max || self.bytes + bytes > self.young_bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.bytes);
        }
        self.old.remove(&hash);
        self.bytes += bytes;
        self.young.insert(hash, Weighed { entry, bytes });
    }

    /// Counts a young entry for so much, if that is more than before.
    fn weigh(&mut self, hash: u64, bytes: usize) {
        if self.young.get(&hash).is_some_and(|weighed| weighed.bytes < bytes)
            && let Some(Weighed { entry, bytes: former }) = self.young.remove(&hash)
        {
            self.bytes -= former;
            self.insert(hash, entry, bytes);
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn bytes(&self) -> usize {
        self.bytes + self.old_bytes
    }

    fn clear(&mut self) {
        *self = Self {
            young: Hashed::default(),
            old: Hashed::default(),
            bytes: 0,
            old_bytes: 0,
            ..*self
        };
    }

    /// Forgets the old ones, or if there are none all.
    fn shed(&mut self) {
        if self.old.is_empty() {
            self.clear();
        } else {
            self.old = Hashed::default();
            self.old_bytes = 0;
        }
    }
}

/// What a share takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    entries: usize,
    bytes: usize,
}

/// What all shares may take: decisions, shapes and templates.
const SHARES_BYTES_MAX: usize = 2 * DECISIONS_BYTES_MAX + TEMPLATES_BYTES_MAX;

impl Weight {
    pub(super) fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    pub(super) fn replace(&mut self, before: Self, after: Self) {
        self.entries = self.entries.saturating_sub(before.entries);
        self.bytes = self.bytes.saturating_sub(before.bytes);
        self.add(after);
    }

    pub(super) fn is_over(self, entries_max: usize) -> bool {
        self.entries > entries_max || self.bytes > SHARES_BYTES_MAX
    }

    /// Entries are small where they are many: one counts for 2 KiB at least.
    pub(super) fn is_more_than(self, other: Self) -> bool {
        let size = |weight: Self| weight.bytes.max(weight.entries << 11);
        size(self) > size(other)
    }
}

/// Shapes and the decisions about them.
#[derive(Debug)]
pub(super) struct Decisions {
    shapes: Generations<Rc<KnownShape>>,
    entries: Generations<Entry>,
    templates: Generations<Templates>,
}

/// The templates of one head, each with the shape that it stands for.
#[derive(Debug, Default)]
struct Templates {
    known: SmallVec<[(Template, Rc<KnownShape>); 1]>,
    /// How many more were to be kept since there was room for the last one.
    refused: u8,
}

/// Statements that begin alike up to their first literal: as many are tried one after the other. Of more the others are
/// walked, until so many were that all make room.
const TEMPLATES_OF_A_HEAD_MAX: usize = 8;

/// Heads that have templates.
const HEADS_MAX: usize = 1024;

/// What all templates may take.
const TEMPLATES_BYTES_MAX: usize = 8 << 20;

impl Templates {
    fn keep(&mut self, entry: (Template, Rc<KnownShape>)) {
        if self.known.len() == TEMPLATES_OF_A_HEAD_MAX {
            self.refused = self.refused.wrapping_add(1);
            if self.refused != 0 {
                return;
            }
            self.known.clear();
        }
        self.known.push(entry);
    }

    /// A template may be the last that keeps its shape.
    fn bytes(&self) -> usize {
        let each = self
            .known
            .iter()
            .map(|(template, shape)| size_of::<Self>() + template.bytes() + shape.bytes());
        each.sum()
    }
}

impl Decisions {
    pub(super) fn new(decisions_max: usize) -> Self {
        Self {
            shapes: Generations::new(decisions_max, DECISIONS_BYTES_MAX),
            entries: Generations::new(decisions_max, DECISIONS_BYTES_MAX),
            templates: Generations::new(HEADS_MAX, TEMPLATES_BYTES_MAX),
        }
    }

    /// The shape of a text that a template recognises, and its literals.
    pub(super) fn recognise(
        &mut self,
        head: u64,
        sql: &[u8],
        literals: &mut Vec<Literal>,
    ) -> Option<Rc<KnownShape>> {
        let known = &mut self.templates.get_mut(head)?.known;
        let at = known
            .iter()
            .position(|(template, _)| template.matches(sql, literals))?;
        let (_, shape) = &known[at];
        // New decisions are kept under the shape that is known now; a forgotten one would never find them.
        if self
            .shapes
            .get(shape.hash)
            .is_some_and(|known| Rc::ptr_eq(known, shape))
        {
            return Some(Rc::clone(shape));
        }
        known.swap_remove(at);
        None
    }

    /// Keeps a text's template.
    pub(super) fn remember(&mut self, head: u64, template: Template, shape: &Rc<KnownShape>) {
        let entry = (template, Rc::clone(shape));
        if let Some(templates) = self.templates.get_mut(head) {
            templates.keep(entry);
            let bytes = templates.bytes();
            self.templates.weigh(head, bytes);
        } else {
            let mut templates = Templates::default();
            templates.keep(entry);
            let bytes = templates.bytes();
            self.templates.insert(head, templates, bytes);
        }
    }

    pub(super) fn find_shape(&mut self, hash: u64, normalized: &[u8]) -> Option<Rc<KnownShape>> {
        self.shapes
            .get(hash)
            .filter(|shape| *shape.normalized == *normalized)
            .cloned()
    }

    /// The shape of those tokens. What is neutral depends on what names mean, so a shape that is known keeps what was
    /// neutral so far: if that is less now, it is another shape, and no decision under the former one is found again.
    pub(super) fn shape(&mut self, hash: u64, normalized: &[u8], neutral: Neutral) -> Rc<KnownShape> {
        let neutral = match self.find_shape(hash, normalized) {
            None => neutral,
            Some(known) if known.neutral == neutral => return known,
            Some(known) => {
                let both = known.neutral.intersection(&neutral);
                if both.count() == known.neutral.count() {
                    return known;
                }
                both
            }
        };
        let shape = Rc::new(KnownShape {
            hash,
            normalized: normalized.into(),
            neutral,
            latest: RefCell::default(),
        });
        let bytes = shape.bytes();
        self.shapes.insert(hash, Rc::clone(&shape), bytes);
        shape
    }

    /// `hash` is asked for only if the shape does not know.
    pub(super) fn find(&mut self, hash: impl FnOnce() -> u64, key: &DecisionKey<'_>) -> Option<Rc<Verdict>> {
        if let Some(verdict) = key.shape.latest(key) {
            return Some(verdict);
        }
        let entry = self.entries.get(hash()).filter(|entry| entry.is_for(key))?;
        key.shape.set_latest(key, &entry.verdict);
        Some(Rc::clone(&entry.verdict))
    }

    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: &DecisionKey<'_>,
        verdict: Rc<Verdict>,
        verdict_bytes: usize,
    ) {
        // The shape counts with each decision: any one may be the last that keeps it.
        let key_bytes = key.shape.normalized.len() + key.kept.len() + key.parameter_types.len();
        let bytes = size_of::<Entry>() + key_bytes + verdict_bytes;
        let entry = Entry {
            shape: Rc::clone(key.shape),
            kept: key.kept.into(),
            context: key.context,
            told: key.told,
            parameter_types: key.parameter_types.into(),
            verdict,
        };
        self.entries.insert(hash, entry, bytes);
    }

    /// How many decisions are kept.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn weight(&self) -> Weight {
        Weight {
            entries: self.entries.len(),
            bytes: self.entries.bytes() + self.shapes.bytes() + self.templates.bytes(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.shapes.clear();
        self.entries.clear();
        self.templates.clear();
    }

    /// Forgets what was not asked for lately, or if there is nothing of that all.
    pub(super) fn shed(&mut self) {
        self.shapes.shed();
        self.entries.shed();
        self.templates.shed();
    }
}

#[cfg(test)]
mod tests {
    use sluice_parsers::sql::shape::Shape;
    use sluice_parsers::sql::template;

    use super::*;

    #[test]
    fn what_is_asked_for_outlives_what_is_not() {
        let mut map = Generations::new(4, 400);
        map.insert(1, "kept", 1);
        map.insert(2, "lost", 1);
        for hash in 10..20 {
            assert_eq!(map.get(1), Some(&"kept"), "before {hash}");
            map.insert(hash, "filler", 1);
            assert!(map.young.len() + map.old.len() <= 4, "bounded");
        }
        assert_eq!(map.get(2), None);
        map.clear();
        assert_eq!(map.get(1), None);
    }

    #[test]
    fn bytes_are_bounded_as_entries_are() {
        let mut map = Generations::new(1000, 1000);
        map.insert(1, "kept", 100);
        for hash in 10..100 {
            assert_eq!(map.get(1), Some(&"kept"), "before {hash}");
            // The same twice counts once.
            for bytes in [300, 50 + hash] {
                map.insert(hash, "filler", usize::try_from(bytes).unwrap());
            }
            let sum = |generation: &Hashed<Weighed<&str>>| -> usize {
                generation.values().map(|weighed| weighed.bytes).sum()
            };
            assert_eq!(sum(&map.young), map.bytes, "{hash}");
            assert!(sum(&map.young) + sum(&map.old) <= 1000, "{hash}");
        }
        assert_eq!(map.get(1), Some(&"kept"));
        for bytes in [400, 200] {
            map.weigh(1, bytes);
        }
        assert_eq!(map.young.get(&1).map(|weighed| weighed.bytes), Some(400));
        map.insert(7, "too large", 501);
        assert_eq!(map.get(7), None);
        assert_eq!(map.get(1), Some(&"kept"), "and displaces nothing");
    }

    fn template_of(sql: &str) -> (u64, Template) {
        let mut shape = Shape::new();
        shape.scan(sql.as_bytes()).unwrap();
        let template = Template::of(sql.as_bytes(), &shape).unwrap();
        (template::head_hash(7, sql.as_bytes()), template)
    }

    /// Whether the text is recognised.
    fn recognises(decisions: &mut Decisions, sql: &str) -> bool {
        let head = template::head_hash(7, sql.as_bytes());
        decisions
            .recognise(head, sql.as_bytes(), &mut Vec::new())
            .is_some()
    }

    #[test]
    fn a_template_is_no_use_once_its_shape_is_forgotten() {
        let mut decisions = Decisions::new(8);
        let (head, template) = template_of("select a from t where b = 1");
        let shape = decisions.shape(1, b"a", Neutral::none());
        decisions.remember(head, template.clone(), &shape);
        assert!(recognises(&mut decisions, "select a from t where b = 2"));
        // Others drive the shape out, as nobody asks for it.
        for hash in 2..20 {
            decisions.shape(hash, b"b", Neutral::none());
        }
        assert!(!recognises(&mut decisions, "select a from t where b = 2"));
        // The shape that is known now is found again.
        let shape = decisions.shape(1, b"a", Neutral::none());
        decisions.remember(head, template, &shape);
        assert!(recognises(&mut decisions, "select a from t where b = 3"));
        decisions.clear();
        assert!(!recognises(&mut decisions, "select a from t where b = 3"));
    }

    #[test]
    fn templates_of_a_head_are_bounded_and_make_room() {
        let mut decisions = Decisions::new(1000);
        let text = |columns: usize| format!("select 1{}", ", 1".repeat(columns));
        for columns in 0..300 {
            let (head, template) = template_of(&text(columns));
            let shape = decisions.shape(columns as u64, &columns.to_le_bytes(), Neutral::none());
            decisions.remember(head, template, &shape);
            let kept = (0..300)
                .filter(|&columns| recognises(&mut decisions, &text(columns)))
                .count();
            assert!(kept <= TEMPLATES_OF_A_HEAD_MAX, "{kept} after {columns}");
        }
        assert!(
            recognises(&mut decisions, &text(TEMPLATES_OF_A_HEAD_MAX + 256)),
            "the first ones made room"
        );
        assert!(!recognises(&mut decisions, &text(0)));
    }

    /// A client chooses how many types a Parse declares, which are a part of the key.
    #[test]
    fn long_keys_leave_room_for_fewer() {
        let types = vec![0; 64 << 10];
        let mut decisions = Decisions::new(16_384);
        for number in 0..4096_u64 {
            let shape = decisions.shape(number, &number.to_le_bytes(), Neutral::none());
            let key = DecisionKey {
                shape: &shape,
                kept: &[],
                context: 1,
                told: 0,
                parameter_types: &types,
            };
            let verdict = Rc::new(Verdict::new(Vec::new(), super::super::Decided::default(), 1, 0));
            decisions.insert(number, &key, verdict, 0);
        }
        let most = DECISIONS_BYTES_MAX / types.len();
        assert!(
            (most / 4..=most).contains(&decisions.len()),
            "{}",
            decisions.len()
        );
    }

    #[test]
    fn t01_what_is_not_neutral_in_one_world_is_neutral_in_none() {
        let set = |ordinals: &[usize]| {
            let mut neutral = Neutral::none();
            for &ordinal in ordinals {
                neutral.insert(ordinal);
            }
            neutral
        };
        let mut decisions = Decisions::new(16);
        let first = decisions.shape(7, b"select $ $ $", set(&[0, 1, 70]));
        let same = decisions.shape(7, b"select $ $ $", set(&[0, 1, 2, 70]));
        assert!(Rc::ptr_eq(&first, &same), "more is no reason");
        let less = decisions.shape(7, b"select $ $ $", set(&[1, 2]));
        assert_eq!(less.neutral, set(&[1]).intersection(&set(&[1, 5])));
        assert!(!Rc::ptr_eq(&first, &less));
        let still = decisions.shape(7, b"select $ $ $", set(&[0, 1, 70]));
        assert!(Rc::ptr_eq(&still, &less), "and never again");
    }

    #[test]
    fn a_colliding_hash_is_a_miss() {
        let mut decisions = Decisions::new(16);
        decisions.shape(7, b"select $", Neutral::none());
        assert!(decisions.find_shape(7, b"select $").is_some());
        assert!(decisions.find_shape(7, b"delete $").is_none());
    }
}
