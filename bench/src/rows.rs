//! The rows that the null back end answers with, and the check of what came through.
//!
//! Load and back end build the same rows, so a reply can be compared with what was sent: byte for byte where nothing
//! may be masked; where masking is on, a personal value must differ and keep its length, and all else must be equal.

use crate::wire;

/// Rows of a `stream` reply unless its table's name says otherwise.
pub const STREAM_ROWS: u64 = 1_000_000;
/// Rows of the block that a `stream` reply repeats.
const STREAM_BLOCK_ROWS: u64 = 8_000;

/// Encoded rows, each a DataRow frame, and their description.
pub struct Rows {
    /// The RowDescription frame.
    pub description: Vec<u8>,
    /// The DataRow frames, one after the other.
    pub frames: Vec<u8>,
    /// Where each row's frame begins, and the end of the last.
    starts: Vec<usize>,
    /// The columns with personal data, as bits, of each row.
    personal: Vec<u16>,
}

/// What a reply's rows are to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// As the back end sent them.
    Plain,
    /// Personal data masked in place.
    Masked,
}

/// A row that is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The frame's bytes are not those of the row.
    Differs {
        /// The row's number in the reply.
        row: u64,
    },
    /// Personal data came through.
    Unmasked {
        /// The row's number in the reply.
        row: u64,
        /// The column's number.
        column: usize,
    },
}

impl Rows {
    fn new(columns: &[(&str, u32)]) -> Self {
        let mut description = Vec::new();
        wire::row_description(&mut description, columns);
        Self {
            description,
            frames: Vec::new(),
            starts: vec![0],
            personal: Vec::new(),
        }
    }

    fn push(&mut self, values: &[String], personal: u16) {
        wire::data_row(&mut self.frames, values.iter().map(String::as_bytes));
        self.starts.push(self.frames.len());
        self.personal.push(personal);
    }

    /// One short row without personal data: the answer of `point`.
    pub fn point() -> Self {
        let mut rows = Self::new(&[
            ("id", wire::OID_INT4),
            ("name", wire::OID_TEXT),
            ("balance", wire::OID_NUMERIC),
        ]);
        rows.push(&["48151".into(), "Avery Lindqvist".into(), "1623.42".into()], 0);
        rows
    }

    /// A hundred rows of eight text columns, one of them an e-mail address, about 10 KB: the answer of `rows100`.
    pub fn hundred() -> Self {
        let names = ["id", "login", "email", "born", "amount", "state", "city", "note"];
        let mut rows = Self::new(&names.map(|name| (name, wire::OID_TEXT)));
        for row in 0..100u32 {
            let values = [
                (100_000 + row).to_string(),
                format!("user{row:03}"),
                format!("u{row}@ex{row:02}.org"),
                format!("1985-0{}-1{}", 1 + row % 9, row % 10),
                format!("{}.{:02}", row * 37 % 9999, row),
                "active".into(),
                CITIES[row as usize % CITIES.len()].into(),
                format!("row {row} note"),
            ];
            rows.push(&values, 1 << 2);
        }
        rows
    }

    /// A block of rows of ten text columns with about one per cent of personal data; a `stream` reply repeats it.
    pub fn stream_block() -> Self {
        let names = [
            "id", "key", "at", "name", "contact", "city", "amount", "state", "agent", "note",
        ];
        let mut rows = Self::new(&names.map(|name| (name, wire::OID_TEXT)));
        let mut dice = Dice::new(7);
        for row in 0..STREAM_BLOCK_ROWS {
            let (contact, personal) = match row % 12 {
                0 => (format!("{}{row}@example.org", dice.word(4)), 1 << 4),
                _ => (format!("{}-{row}", dice.word(9)), 0),
            };
            let values = [
                (100_000 + row).to_string(),
                format!("{}-{}-{}", dice.word(6), dice.word(4), dice.word(8)),
                format!("2026-11-{:02} {:02}:{:02}:07", 1 + row % 28, row % 24, row % 60),
                format!("{} {}", dice.word(6), dice.word(9)),
                contact,
                CITIES[dice.index(CITIES.len())].into(),
                format!("{}.{:02}", dice.below(10_000), dice.below(100)),
                if row % 3 == 0 {
                    "open".into()
                } else {
                    "settled".into()
                },
                format!("{}/{}.{}", dice.word(8), dice.below(9), dice.below(90)),
                format!("{} {} {}", dice.word(7), dice.word(5), dice.word(11)),
            ];
            rows.push(&values, personal);
        }
        rows
    }

    /// How many rows there are.
    pub fn count(&self) -> u64 {
        self.personal.len() as u64
    }

    /// Where the first `rows` rows end, or all of them if there are fewer.
    pub fn end_of(&self, rows: u64) -> usize {
        let index = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .min(self.personal.len());
        self.starts[index]
    }

    /// Compares the DataRow frame that came as row number `row` (rows repeat) with what was sent.
    pub fn check(&self, row: u64, frame: &[u8], expect: Expect) -> Result<(), Mismatch> {
        let index = usize::try_from(row % self.count()).expect("an index of a row in memory");
        let sent = &self.frames[self.starts[index]..self.starts[index + 1]];
        if sent == frame {
            return match (expect, self.personal[index]) {
                (Expect::Plain, _) | (_, 0) => Ok(()),
                (Expect::Masked, columns) => Err(Mismatch::Unmasked {
                    row,
                    column: columns.trailing_zeros() as usize,
                }),
            };
        }
        if expect == Expect::Plain || sent.len() != frame.len() || sent[..7] != frame[..7] {
            return Err(Mismatch::Differs { row });
        }
        let mut at = 7;
        let mut column = 0;
        while let Some(len) = wire::read_u32(sent, at) {
            let end = at + 4 + len as usize;
            let (field_sent, field) = (&sent[at..end], &frame[at..end]);
            let personal = self.personal[index] & (1 << column) != 0;
            match (personal, field_sent == field) {
                (false, false) => return Err(Mismatch::Differs { row }),
                (true, true) => return Err(Mismatch::Unmasked { row, column }),
                (true, false) if field_sent[..4] != field[..4] => {
                    return Err(Mismatch::Differs { row });
                }
                _ => {}
            }
            at = end;
            column += 1;
        }
        Ok(())
    }
}

const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const CITIES: [&str; 7] = ["London", "Oslo", "Kraków", "Lagos", "Porto", "Graz", "Nagoya"];

/// Small repeatable random numbers (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something with `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// Lower-case letters.
    pub fn word(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(LETTERS[self.index(26)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rows: &Rows, index: usize) -> Vec<u8> {
        rows.frames[rows.starts[index]..rows.starts[index + 1]].to_vec()
    }

    #[test]
    fn replies_have_the_sizes_that_the_workloads_promise() {
        let hundred = Rows::hundred();
        assert_eq!(hundred.count(), 100);
        assert!(
            (9_000..12_000).contains(&hundred.frames.len()),
            "{}",
            hundred.frames.len()
        );
        assert!(Rows::point().frames.len() < 64);
        let stream = Rows::stream_block();
        assert_eq!(STREAM_ROWS % stream.count(), 0);
        let mean = stream.frames.len() as u64 / stream.count();
        assert!((140..200).contains(&mean), "{mean}");
    }

    #[test]
    fn rows_are_told_apart() {
        let rows = Rows::hundred();
        let sent = row(&rows, 3);
        let at = sent.windows(3).position(|part| part == b"u3@").unwrap();
        let mut masked = sent.clone();
        masked[at..at + 2].copy_from_slice(b"**");
        let mut damaged = sent.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let mut short = sent.clone();
        short.pop();
        let unmasked = Err(Mismatch::Unmasked { row: 103, column: 2 });
        let differs = Err(Mismatch::Differs { row: 103 });
        for (name, frame, expect, want) in [
            ("as sent", &sent, Expect::Plain, Ok(())),
            (
                "masked though it must not be",
                &masked,
                Expect::Plain,
                Err(Mismatch::Differs { row: 103 }),
            ),
            ("masked", &masked, Expect::Masked, Ok(())),
            ("not masked", &sent, Expect::Masked, unmasked),
            (
                "damaged and not masked",
                &damaged,
                Expect::Masked,
                Err(Mismatch::Unmasked { row: 103, column: 2 }),
            ),
            ("cut", &short, Expect::Masked, differs),
        ] {
            assert_eq!(rows.check(103, frame, expect), want, "{name}");
        }
    }

    #[test]
    fn a_row_without_personal_data_is_the_same_masked() {
        let rows = Rows::point();
        assert_eq!(rows.check(0, &row(&rows, 0), Expect::Masked), Ok(()));
    }
}
