//! Configured columns in rows of COPY's text and CSV formats.
//!
//! Follows "COPY", "File Formats" (PostgreSQL 17 docs) for what the server sends with default delimiter, quote,
//! escape and NULL; a statement that sets its own is for the caller to refuse. The walker keeps its place between
//! pieces, so rows may be split anywhere. Bytes of a field become `*`, and four things stay as they are: `\N`, which
//! is NULL; the quotes around a CSV field; a doubled quote inside it; and a backslash at a field's start, as what
//! follows it may be in the next piece (`\*` is read as `*`).

use super::Columns;
use crate::FILL;

/// Which of the two formats rows are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Columns between tabs, backslash escapes, `\N` is NULL.
    Text,
    /// Columns between commas, quotes where they are needed, nothing is NULL.
    Csv,
}

/// Masks columns of rows that are fed in pieces.
#[derive(Debug)]
pub struct TextRows {
    format: TextFormat,
    columns: Columns,
    place: usize,
    state: State,
    /// The row with the columns' names has not passed.
    is_header: bool,
    /// The present field was reported.
    is_reported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    /// After a backslash that begins a field: this may be `\N`.
    FirstEscape,
    Inside,
    /// After any other backslash.
    Escape,
    Quoted,
    /// After a quote inside of quotes: the field's end, or the first half of a doubled one.
    QuotedQuote,
}

impl TextRows {
    /// A walker at the start of a row that masks these columns.
    pub fn new(format: TextFormat, columns: Columns) -> Self {
        Self {
            format,
            columns,
            place: 0,
            state: State::FieldStart,
            is_header: false,
            is_reported: false,
        }
    }

    /// A walker whose first row has the names of the columns, which stay.
    #[must_use]
    pub fn with_header(self) -> Self {
        Self {
            is_header: true,
            ..self
        }
    }

    /// Masks the columns' bytes in the next piece of the rows, in place, and reports the place of each field of which
    /// it masked any.
    pub fn mask(&mut self, piece: &mut [u8], mut report: impl FnMut(usize)) {
        if self.columns.is_empty() {
            return;
        }
        let mut hidden = self.hides();
        for byte in piece {
            let is_content = match self.format {
                TextFormat::Text => self.text_byte(*byte),
                TextFormat::Csv => self.csv_byte(*byte),
            };
            if self.state == State::FieldStart {
                hidden = self.hides();
            } else if is_content && hidden {
                *byte = FILL;
                if !std::mem::replace(&mut self.is_reported, true) {
                    report(self.place);
                }
            }
        }
    }

    fn hides(&self) -> bool {
        !self.is_header && self.columns.contains(self.place)
    }

    /// Steps over one byte and says whether it is a field's content.
    fn text_byte(&mut self, byte: u8) -> bool {
        let (state, is_content) = match (self.state, byte) {
            (State::FirstEscape, _) => (State::Inside, byte != b'N'),
            (State::Escape, _) => (State::Inside, true),
            (_, b'\t') => return self.next_field(),
            (_, b'\n') => return self.next_row(),
            (_, b'\r') => (self.state, false),
            (State::FieldStart, b'\\') => (State::FirstEscape, false),
            (_, b'\\') => (State::Escape, true),
            _ => (State::Inside, true),
        };
        self.state = state;
        is_content
    }

    /// Steps over one byte and says whether it is a field's content.
    fn csv_byte(&mut self, byte: u8) -> bool {
        let (state, is_content) = match (self.state, byte) {
            (State::Quoted, b'"') => (State::QuotedQuote, false),
            (State::Quoted, _) => (State::Quoted, true),
            (_, b',') => return self.next_field(),
            (_, b'\n') => return self.next_row(),
            (_, b'"') => (State::Quoted, false),
            (_, b'\r') => (self.state, false),
            _ => (State::Inside, true),
        };
        self.state = state;
        is_content
    }

    fn next_field(&mut self) -> bool {
        self.place += 1;
        self.state = State::FieldStart;
        self.is_reported = false;
        false
    }

    fn next_row(&mut self) -> bool {
        self.place = 0;
        self.state = State::FieldStart;
        self.is_reported = false;
        self.is_header = false;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, format, columns, rows, and what they become.
    type Case = (
        &'static str,
        TextFormat,
        &'static [u16],
        &'static [u8],
        &'static [u8],
    );

    const CASES: [Case; 11] = [
        (
            "second column",
            TextFormat::Text,
            &[1],
            b"a\tsecret\tc\n",
            b"a\t******\tc\n",
        ),
        (
            "first and last",
            TextFormat::Text,
            &[0, 2],
            b"ab\tcd\tef\n",
            b"**\tcd\t**\n",
        ),
        (
            "NULL stays",
            TextFormat::Text,
            &[0, 1],
            b"\\N\t\\N\n\\Nx\ty\n",
            b"\\N\t\\N\n\\N*\t*\n",
        ),
        (
            "escapes",
            TextFormat::Text,
            &[0],
            b"a\\tb\\\\\tc\n",
            b"******\tc\n",
        ),
        ("escape first", TextFormat::Text, &[0], b"\\tb\tc\n", b"\\**\tc\n"),
        (
            "escaped backslash before N",
            TextFormat::Text,
            &[0],
            b"\\\\N\tc\n",
            b"\\**\tc\n",
        ),
        (
            "several rows, empty fields",
            TextFormat::Text,
            &[1],
            b"\t\t\n1\t2\t3\r\n",
            b"\t\t\n1\t*\t3\r\n",
        ),
        (
            "plain",
            TextFormat::Csv,
            &[1],
            b"a,secret,c\nd,e,f\n",
            b"a,******,c\nd,*,f\n",
        ),
        (
            "quoted",
            TextFormat::Csv,
            &[1],
            b"a,\"se,c\nret\",c\n",
            b"a,\"********\",c\n",
        ),
        (
            "doubled quotes",
            TextFormat::Csv,
            &[0],
            b"\"a\"\"b\",c\n",
            b"\"*\"\"*\",c\n",
        ),
        (
            "quoted neighbour",
            TextFormat::Csv,
            &[1],
            b"\"x,\"\"y\",z,\"\"\n",
            b"\"x,\"\"y\",*,\"\"\n",
        ),
    ];

    #[test]
    fn columns_are_masked_wherever_rows_are_split() {
        for (name, format, columns, rows, want) in CASES {
            for size in 1..=rows.len() {
                let mut masked = rows.to_vec();
                let mut walker = TextRows::new(format, columns.iter().copied().collect());
                for piece in masked.chunks_mut(size) {
                    walker.mask(piece, |_| ());
                }
                assert_eq!(masked, want, "{name}, pieces of {size}");
            }
        }
    }

    #[test]
    fn a_header_stays_and_every_masked_field_is_reported_once() {
        let rows = b"id,\"na\nme\"\n1,\"a\"\"b\"\n2,\n3,cde\n";
        for size in 1..=rows.len() {
            let (mut masked, mut reported) = (rows.to_vec(), Vec::new());
            let columns: Columns = [0, 1].into_iter().collect();
            let mut walker = TextRows::new(TextFormat::Csv, columns).with_header();
            for piece in masked.chunks_mut(size) {
                walker.mask(piece, |place| reported.push(place));
            }
            assert_eq!(
                masked, b"id,\"na\nme\"\n*,\"*\"\"*\"\n*,\n*,***\n",
                "pieces of {size}"
            );
            assert_eq!(reported, [0, 1, 0, 0, 1], "pieces of {size}");
        }
    }

    #[test]
    fn no_columns_no_change() {
        let mut rows = b"a\tb\n".to_vec();
        TextRows::new(TextFormat::Text, Columns::default()).mask(&mut rows, |_| ());
        assert_eq!(rows, b"a\tb\n");
    }
}
