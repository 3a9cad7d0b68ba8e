//! Masks COPY data on its way to the client.
//!
//! A message of text or CSV data is one value: tabs, commas and line ends delimit for the detectors as they do for
//! readers. Of binary data each field is a value.

use std::ops::Range;

use sluice_masking::copy::{BinaryRows, CopyError};
use sluice_masking::{ClassSet, Counts};
use sluice_parsers::postgres::backend::Format;
use sluice_parsers::postgres::frame::HEADER_BYTES;

use super::large::LargeValue;

/// COPY data cannot be masked; the session ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyOutError {
    #[error(transparent)]
    Format(#[from] CopyError),
    #[error("a field of binary COPY data spans messages")]
    SplitField,
}

/// One COPY TO STDOUT.
pub(crate) struct CopyOut {
    classes: ClassSet,
    /// The walk over binary data; text needs none.
    binary: Option<BinaryRows>,
    /// The value of a message in parts that is passing.
    large: Option<LargeValue>,
}

impl CopyOut {
    pub(crate) fn new(format: Format, classes: ClassSet) -> Self {
        let binary = (format == Format::Binary).then(BinaryRows::new);
        Self {
            classes,
            binary,
            large: None,
        }
    }

    /// Masks a run of whole CopyData messages where they lie.
    pub(crate) fn mask(&mut self, frames: &mut [u8], counts: &mut Counts) -> Result<(), CopyOutError> {
        let values = match &mut self.binary {
            None => Payloads { frames, at: 0 }.collect(),
            Some(rows) => {
                let mut values = Vec::new();
                for payload in (Payloads { frames, at: 0 }) {
                    let bytes = frames.get(payload.clone()).unwrap_or_default();
                    let mut at = 0;
                    while let Some(field) = rows.next(bytes, &mut at)? {
                        if !field.is_whole() {
                            return Err(CopyOutError::SplitField);
                        }
                        values.push(payload.start + field.range.start..payload.start + field.range.end);
                    }
                }
                values
            }
        };
        sluice_masking::mask_values(frames, self.classes, values, counts);
        Ok(())
    }

    /// A message in parts begins.
    pub(crate) fn begin_part(&mut self) {
        if self.binary.is_none() {
            self.large = Some(LargeValue::new(self.classes));
        }
    }

    /// Takes a part of a message's body and gives what goes to the client now.
    pub(crate) fn part(
        &mut self,
        part: &[u8],
        last: bool,
        counts: &mut Counts,
    ) -> Result<Vec<u8>, CopyOutError> {
        let mut out = Vec::with_capacity(part.len());
        let Some(rows) = &mut self.binary else {
            if let Some(large) = &mut self.large {
                large.piece(part, &mut out, counts);
            }
            if last && let Some(large) = self.large.take() {
                large.finish(&mut out, counts);
            }
            return Ok(out);
        };
        let (mut at, mut copied) = (0, 0);
        while let Some(field) = rows.next(part, &mut at)? {
            out.extend_from_slice(part.get(copied..field.range.start).unwrap_or_default());
            copied = field.range.end;
            let bytes = part.get(field.range.clone()).unwrap_or_default();
            if field.is_whole() {
                let start = out.len();
                out.extend_from_slice(bytes);
                sluice_masking::mask_value(out.get_mut(start..).unwrap_or_default(), self.classes, counts);
                continue;
            }
            let mut large = match self.large.take() {
                Some(large) if !field.first => large,
                _ => LargeValue::new(self.classes),
            };
            large.piece(bytes, &mut out, counts);
            if field.last {
                large.finish(&mut out, counts);
            } else {
                self.large = Some(large);
            }
        }
        out.extend_from_slice(part.get(copied..).unwrap_or_default());
        if last && self.large.is_some() {
            return Err(CopyOutError::SplitField);
        }
        Ok(out)
    }
}

/// Where the payloads of whole CopyData messages lie.
struct Payloads<'a> {
    frames: &'a [u8],
    at: usize,
}

impl Iterator for Payloads<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let head = self.frames.get(self.at..)?.first_chunk::<HEADER_BYTES>()?;
        let [_, a, b, c, d] = *head;
        let start = self.at + HEADER_BYTES;
        self.at += 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        Some(start..self.at.min(self.frames.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_parsers::postgres::frontend::encode::copy_data;

    #[test]
    fn a_run_of_text_is_masked_row_by_row() {
        let mut frames = Vec::new();
        for row in ["1\tada@example.org\tx\n", "2\t\\N\t078-05-1120\n"] {
            copy_data(&mut frames, row.as_bytes());
        }
        let mut counts = Counts::default();
        CopyOut::new(Format::Text, ClassSet::ALL)
            .mask(&mut frames, &mut counts)
            .unwrap();
        assert_eq!(counts.total(), 2);
        assert!(!frames.windows(7).any(|window| window == b"example"));
    }

    #[test]
    fn binary_fields_are_values() {
        let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        data.extend_from_slice(b"\0\x02\0\0\0\x0fada@example.org\0\0\0\x04\0\0\0\x07");
        data.extend_from_slice(b"\xff\xff");
        let mut whole = Vec::new();
        copy_data(&mut whole, &data);
        let mut counts = Counts::default();
        CopyOut::new(Format::Binary, ClassSet::ALL)
            .mask(&mut whole, &mut counts)
            .unwrap();
        assert_eq!(counts.total(), 1);
        for size in 1..data.len() {
            let mut copy = CopyOut::new(Format::Binary, ClassSet::ALL);
            copy.begin_part();
            let mut got = Vec::new();
            let parts = data.chunks(size).count();
            for (index, part) in data.chunks(size).enumerate() {
                got.extend(
                    copy.part(part, index + 1 == parts, &mut Counts::default())
                        .unwrap(),
                );
            }
            assert_eq!(got, whole[HEADER_BYTES..], "parts of {size}");
        }
    }
}
