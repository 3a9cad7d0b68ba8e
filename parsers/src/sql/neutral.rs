//! Neutral literals: those whose value cannot change what a statement does.
//!
//! A literal is neutral if it is an operand of a plain built-in comparison whose other side is a column or a
//! parameter, a cell of VALUES, or the value of a column in SET. Every other literal stays in the decision key byte for
//! byte: `EXPLAIN (ANALYZE 1)`, `ORDER BY 3`, `data->>'ssn'`, `'x'::regclass` mean something else with another value.
//!
//! Which literals are neutral follows from the shape and the [`World`](super::world::World): in an equal world a cache
//! may keep the set with the shape and drop the same ordinals from every text that has it. The argument: the server's
//! grammar sees a literal as a token of one class (a string, an integer, ...), its actions choose the tree by classes,
//! words and signs, all of which the shape holds; the rules in `analyze` look at the kind of tree node a constant sits
//! in, at the names beside it and at what they mean in that world, never at the value of this or another constant. What
//! a value can do is make the text fail to parse (`FLOAT(54)`, a bad escape): then there is no set, and the server fails
//! on it too and runs nothing.

use smallvec::SmallVec;

/// A set of literal ordinals, see [`super::shape::Shape::literals`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Neutral {
    words: SmallVec<[u64; 2]>,
    /// How many are set; invariant: the number of one bits in `words`.
    count: usize,
}

impl Neutral {
    /// The set of none: every literal stays in the key.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds an ordinal.
    pub fn insert(&mut self, ordinal: usize) {
        let (word, bit) = (ordinal / 64, 1 << (ordinal % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.count += 1;
        }
    }

    /// Whether the literal with this ordinal may be dropped from the key.
    pub fn contains(&self, ordinal: usize) -> bool {
        self.words
            .get(ordinal / 64)
            .is_some_and(|word| word & (1 << (ordinal % 64)) != 0)
    }

    /// Those that are in both sets: neutral in two worlds.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words);
        let words: SmallVec<[u64; 2]> = words.map(|(left, right)| left & right).collect();
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, count }
    }

    /// How many literals are neutral.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether all of a text's literals are, so that the shape alone is the key.
    pub fn covers(&self, literals: usize) -> bool {
        self.count == literals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_inserted() {
        let mut neutral = Neutral::none();
        for ordinal in [0, 63, 64, 200, 200] {
            neutral.insert(ordinal);
        }
        let held: Vec<_> = (0..300).filter(|&ordinal| neutral.contains(ordinal)).collect();
        assert_eq!(held, [0, 63, 64, 200]);
        assert_eq!(neutral.count(), 4);
        assert!(neutral.covers(4) && !neutral.covers(5));
    }
}
