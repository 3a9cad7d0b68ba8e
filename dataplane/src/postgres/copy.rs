//! Masks COPY data on its way to the client.
//!
//! A message of text or CSV data is one value for the detectors: tabs, commas and line ends delimit for them as they do
//! for readers. Of binary data each field is a value, of a type that is not told. Configured columns are masked by
//! their place in rows of text and CSV data.

use std::ops::Range;

use sluice_masking::copy::{BinaryRows, CopyError, TextFormat, TextRows};
use sluice_masking::{Class, ClassSet, Counts, Ranges, Values};
use sluice_parsers::postgres::backend::Format;
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::sql::statement::{CopyColumns, CopyFormat};

use super::large::{LargeNested, LargeValue};
use super::nested::{self, Texts, Unreadable};
use super::types::Carries;
use super::unmask::Open;
use crate::settings::MaskedColumn;

/// COPY data cannot be masked; the session ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyOutError {
    #[error(transparent)]
    Format(#[from] CopyError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("a field of binary COPY data spans messages")]
    SplitField,
}

/// The configured columns in rows of text or CSV data.
pub(crate) struct HiddenColumns {
    rows: TextRows,
    /// The class of each by its place in the row.
    classes: Vec<Option<Class>>,
}

/// The configured columns of a name, of whatever table: the server alone knows which table a name means when a COPY runs.
pub(crate) fn named<'c>(
    configured: &'c [MaskedColumn],
    name: &str,
) -> impl Iterator<Item = &'c MaskedColumn> + Clone {
    configured.iter().filter(move |column| *column.column == *name)
}

impl HiddenColumns {
    /// Those of a COPY's columns that are named as a configured column is which may not be seen as it is.
    pub(crate) fn of(
        columns: &CopyColumns,
        format: CopyFormat,
        configured: &[MaskedColumn],
        open: Open,
    ) -> Self {
        let places = columns.names.iter().zip(0..);
        let hidden = places.filter_map(|(name, place)| {
            let column = named(configured, name).find(|column| !open.holds(column.class))?;
            Some((place, column.class))
        });
        let hidden: Vec<(u16, Option<Class>)> = hidden.collect();
        let mut classes = vec![None; columns.names.len()];
        for (place, class) in &hidden {
            if let Some(slot) = classes.get_mut(usize::from(*place)) {
                *slot = *class;
            }
        }
        let format = match format {
            CopyFormat::Csv => TextFormat::Csv,
            CopyFormat::Text | CopyFormat::Binary => TextFormat::Text,
        };
        let rows = TextRows::new(format, hidden.into_iter().map(|(place, _)| place).collect());
        Self {
            rows: if columns.has_header {
                rows.with_header()
            } else {
                rows
            },
            classes,
        }
    }

    fn mask(&mut self, piece: &mut [u8], counts: &mut Counts) {
        let classes = &self.classes;
        self.rows.mask(piece, |place| {
            if let Some(Some(class)) = classes.get(place) {
                counts.add(*class, 1);
            }
        });
    }
}

/// One COPY TO STDOUT.
pub(crate) struct CopyOut {
    classes: ClassSet,
    data: Data,
}

enum Data {
    Text {
        hidden: Option<HiddenColumns>,
        /// The message in parts that is passing.
        large: Option<LargeValue>,
    },
    Binary {
        rows: BinaryRows,
        /// The field in pieces that is passing.
        large: Option<LargeNested>,
    },
}

impl CopyOut {
    pub(crate) fn new(format: Format, classes: ClassSet, hidden: Option<HiddenColumns>) -> Self {
        let data = match format {
            Format::Text => Data::Text { hidden, large: None },
            Format::Binary => Data::Binary {
                rows: BinaryRows::new(),
                large: None,
            },
        };
        Self { classes, data }
    }

    /// Masks a run of whole CopyData messages where they lie.
    pub(crate) fn mask(&mut self, frames: &mut [u8], counts: &mut Counts) -> Result<(), CopyOutError> {
        let mut payloads = Payloads { at: 0 };
        match &mut self.data {
            Data::Text { hidden, .. } => {
                let mut values = Vec::new();
                while let Some(payload) = payloads.next(frames) {
                    if let Some(hidden) = hidden {
                        hidden.mask(frames.get_mut(payload.clone()).unwrap_or_default(), counts);
                    }
                    values.push(payload);
                }
                sluice_masking::mask_values(frames, self.classes, values, counts);
                Ok(())
            }
            Data::Binary { rows, .. } => {
                let mut values = Vec::new();
                while let Some(payload) = payloads.next(frames) {
                    let bytes = frames.get(payload.clone()).unwrap_or_default();
                    let mut at = 0;
                    while let Some(field) = rows.next(bytes, &mut at)? {
                        if !field.is_whole() {
                            return Err(CopyOutError::SplitField);
                        }
                        values.push(payload.start + field.range.start..payload.start + field.range.end);
                    }
                }
                let mut fields = Fields {
                    rest: Ranges::new(values),
                    found: 0..0,
                    texts: Texts::new(0..0, Carries::Nothing, 0),
                    unreadable: None,
                };
                sluice_masking::mask(frames, self.classes, &mut fields, counts);
                let unreadable = fields.unreadable.or_else(|| fields.texts.unreadable());
                unreadable.map_or(Ok(()), |why| Err(why.into()))
            }
        }
    }

    /// A message in parts begins.
    pub(crate) fn begin_part(&mut self) {
        if let Data::Text { large, .. } = &mut self.data {
            *large = Some(LargeValue::new(self.classes));
        }
    }

    /// Takes a part of a message's body and gives what goes to the client now.
    pub(crate) fn part(
        &mut self,
        part: &mut [u8],
        last: bool,
        counts: &mut Counts,
    ) -> Result<Vec<u8>, CopyOutError> {
        let mut out = Vec::with_capacity(part.len());
        let classes = self.classes;
        let (rows, large) = match &mut self.data {
            Data::Text { hidden, large } => {
                if let Some(hidden) = hidden {
                    hidden.mask(part, counts);
                }
                if let Some(large) = large {
                    large.piece(part, &mut out, counts);
                }
                if last && let Some(large) = large.take() {
                    large.finish(&mut out, counts);
                }
                return Ok(out);
            }
            Data::Binary { rows, large } => (rows, large),
        };
        let (mut at, mut copied) = (0, 0);
        while let Some(field) = rows.next(part, &mut at)? {
            out.extend_from_slice(part.get(copied..field.range.start).unwrap_or_default());
            copied = field.range.end;
            let bytes = part.get(field.range.clone()).unwrap_or_default();
            if field.is_whole() {
                let start = out.len();
                out.extend_from_slice(bytes);
                let value = out.get_mut(start..).unwrap_or_default();
                nested::mask(value, Carries::Unknown, 0, classes, counts)?;
                continue;
            }
            if field.first {
                *large = Some(LargeNested::new(field.bytes, Carries::Unknown, classes));
            }
            if let Some(large) = large {
                large.piece(bytes, &mut out, counts)?;
            }
            if field.last
                && let Some(large) = large.take()
            {
                large.finish()?;
            }
        }
        out.extend_from_slice(part.get(copied..).unwrap_or_default());
        if last && large.is_some() {
            return Err(CopyOutError::SplitField);
        }
        Ok(out)
    }
}

/// The texts in the fields of binary rows.
struct Fields<I> {
    rest: Ranges<I>,
    /// The field that was found last.
    found: Range<usize>,
    texts: Texts,
    unreadable: Option<Unreadable>,
}

impl<I: Iterator<Item = Range<usize>>> Values for Fields<I> {
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        if !self.found.contains(&position) {
            self.found = self.rest.value_at(buf, position)?;
            self.unreadable = self.unreadable.or_else(|| self.texts.unreadable());
            self.texts = Texts::new(self.found.clone(), Carries::Unknown, 0);
        }
        self.texts.value_at(buf, position)
    }
}

/// Where the payloads of whole CopyData messages lie.
struct Payloads {
    at: usize,
}

impl Payloads {
    fn next(&mut self, frames: &[u8]) -> Option<Range<usize>> {
        let head = frames.get(self.at..)?.first_chunk::<HEADER_BYTES>()?;
        let [_, a, b, c, d] = *head;
        let start = self.at + HEADER_BYTES;
        self.at += 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        Some(start..self.at.min(frames.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::nested::tests::Tree;
    use proptest::prelude::*;
    use sluice_parsers::postgres::frontend::encode::copy_data;

    #[test]
    fn a_run_of_text_is_masked_row_by_row() {
        let mut frames = Vec::new();
        for row in ["1\tada@example.org\tx\n", "2\t\\N\t078-05-1120\n"] {
            copy_data(&mut frames, row.as_bytes());
        }
        let mut counts = Counts::default();
        CopyOut::new(Format::Text, ClassSet::ALL, None)
            .mask(&mut frames, &mut counts)
            .unwrap();
        assert_eq!(counts.total(), 2);
        assert!(!frames.windows(7).any(|window| window == b"example"));
    }

    /// Binary COPY data of one row of these values.
    fn binary(values: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        data.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
        for value in values {
            let len = value
                .as_ref()
                .map_or(-1, |value| i32::try_from(value.len()).unwrap());
            data.extend(len.to_be_bytes());
            data.extend(value.iter().flatten());
        }
        data.extend(b"\xff\xff");
        data
    }

    fn in_parts(data: &[u8], size: usize, copy: &mut CopyOut, counts: &mut Counts) -> Vec<u8> {
        copy.begin_part();
        let parts = data.chunks(size).count();
        let mut data = data.to_vec();
        data.chunks_mut(size)
            .enumerate()
            .flat_map(|(index, part)| copy.part(part, index + 1 == parts, counts).unwrap())
            .collect()
    }

    #[test]
    fn binary_fields_are_values() {
        let data = binary(&[Some(b"ada@example.org".to_vec()), Some(vec![0, 0, 0, 7])]);
        let mut whole = Vec::new();
        copy_data(&mut whole, &data);
        let mut counts = Counts::default();
        CopyOut::new(Format::Binary, ClassSet::ALL, None)
            .mask(&mut whole, &mut counts)
            .unwrap();
        assert_eq!(counts.total(), 1);
        for size in 1..data.len() {
            let mut copy = CopyOut::new(Format::Binary, ClassSet::ALL, None);
            let got = in_parts(&data, size, &mut copy, &mut Counts::default());
            assert_eq!(got, whole[HEADER_BYTES..], "parts of {size}");
        }
    }

    #[test]
    fn configured_columns_are_masked_wherever_the_rows_are_cut() {
        let data = b"id,name,note\n1,Ada,ada@example.org\n2,\"Gr\"\"ace\",x\n3,,y\n";
        let want = b"id,name,note\n1,***,***@***********\n2,\"**\"\"***\",x\n3,,y\n";
        let copy = || {
            let columns = CopyColumns {
                names: ["id", "name", "note"].map(Box::from).into(),
                has_header: true,
            };
            let configured = [MaskedColumn {
                schema: "public".into(),
                table: "people".into(),
                column: "name".into(),
                class: Some(Class::UsSsn),
            }];
            let hidden = HiddenColumns::of(&columns, CopyFormat::Csv, &configured, Open::default());
            CopyOut::new(Format::Text, ClassSet::ALL, Some(hidden))
        };
        for size in 1..=data.len() {
            let mut frames = Vec::new();
            data.chunks(size).for_each(|part| copy_data(&mut frames, part));
            let mut counts = Counts::default();
            copy().mask(&mut frames, &mut counts).unwrap();
            assert_eq!(counts.of(Class::UsSsn), 2, "messages of {size}");
            let mut counts = Counts::default();
            assert_eq!(
                in_parts(data, size, &mut copy(), &mut counts),
                want,
                "parts of {size}"
            );
            assert_eq!(
                (counts.of(Class::UsSsn), counts.of(Class::Email)),
                (2, 1),
                "parts of {size}"
            );
        }
    }

    proptest! {
        #[test]
        fn values_in_binary_fields_are_masked_by_themselves(
            trees in proptest::collection::vec(nested::tests::tree(), 0..4),
            size in 1..40usize,
        ) {
            // Nothing tells that a field is a tsvector.
            let of = |trees: &[Tree]| -> Vec<u8> {
                let known = trees.iter().filter(|tree| !matches!(tree, Tree::Lexemes(_)));
                binary(&known.map(Tree::encode).collect::<Vec<_>>())
            };
            let data = of(&trees);
            let mut want_counts = Counts::default();
            let mut masked = trees;
            masked.iter_mut().filter(|tree| !matches!(tree, Tree::Lexemes(_))).for_each(|tree| tree.mask(&mut want_counts));
            let want = of(&masked);
            let mut counts = Counts::default();
            let mut copy = CopyOut::new(Format::Binary, ClassSet::ALL, None);
            prop_assert_eq!(&in_parts(&data, size, &mut copy, &mut counts), &want);
            prop_assert_eq!(counts, want_counts);
            let (mut whole, mut counts) = (Vec::new(), Counts::default());
            copy_data(&mut whole, &data);
            CopyOut::new(Format::Binary, ClassSet::ALL, None).mask(&mut whole, &mut counts).unwrap();
            prop_assert_eq!(&whole[HEADER_BYTES..], &want[..]);
            prop_assert_eq!(counts, want_counts);
        }
    }
}
