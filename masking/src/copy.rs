//! COPY data: configured columns in text and CSV rows, and the fields of binary rows.
//!
//! For what detectors find, a row in text or CSV format is scanned as one value: between columns stand a real tab or
//! comma, which belong to no hit, and the format's own escapes (`\b \f \n \r \t \v \\`, `""`) never fall apart, as a
//! masked local part takes the backslash of an escape before it along. Only configured columns need the fields.

mod binary;
mod text;

pub use binary::{BinaryRows, CopyError, Field};
pub use text::{TextFormat, TextRows};

/// Columns by their place in the row, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns(Vec<u64>);

impl Columns {
    /// Whether the column at `place` is one of these.
    #[inline]
    pub fn contains(&self, place: usize) -> bool {
        self.0
            .get(place / 64)
            .is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Whether there is no column at all.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u16> for Columns {
    fn from_iter<I: IntoIterator<Item = u16>>(places: I) -> Self {
        let mut words = Vec::new();
        for place in places {
            let word = usize::from(place / 64);
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (place % 64);
        }
        Self(words)
    }
}
