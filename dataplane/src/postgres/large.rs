//! Values larger than what is gathered: masked as they pass, in constant memory.

use std::rc::Rc;

use sluice_masking::{ClassSet, Counts, ValueStream};
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::row::{PartPiece, PartWalk};

use super::columns::{Plan, Treatment};
use super::types::Carries;

/// A value that comes in pieces. What the detectors cannot decide yet is held back and stands in front of the next.
pub(crate) struct LargeValue {
    stream: ValueStream,
    held: Vec<u8>,
}

impl LargeValue {
    pub(crate) fn new(classes: ClassSet) -> Self {
        Self {
            stream: ValueStream::new(classes),
            held: Vec::new(),
        }
    }

    /// Takes a piece and appends to `out` what is decided.
    pub(crate) fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>, counts: &mut Counts) {
        self.held.extend_from_slice(piece);
        let decided = self.stream.feed(&mut self.held, counts);
        out.extend_from_slice(self.held.get(..decided).unwrap_or_default());
        self.held.drain(..decided);
    }

    /// The value has ended: appends the rest.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>, counts: &mut Counts) {
        self.stream.finish(&mut self.held, counts);
        out.append(&mut self.held);
    }
}

/// A DataRow that comes in parts.
pub(crate) struct LargeRow {
    walk: PartWalk,
    plan: Rc<Plan>,
    classes: ClassSet,
    value: Option<LargeValue>,
}

impl LargeRow {
    pub(crate) fn new(plan: Rc<Plan>, classes: ClassSet) -> Self {
        Self {
            walk: PartWalk::new(),
            plan,
            classes,
            value: None,
        }
    }

    /// Takes a part of the row's body and gives what goes to the client now.
    pub(crate) fn part(&mut self, part: &[u8], counts: &mut Counts) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::with_capacity(part.len());
        let (mut at, mut copied) = (0, 0);
        loop {
            let piece = self.walk.next(part, &mut at)?;
            let PartPiece::Value {
                index,
                start,
                end,
                first,
                last,
                ..
            } = piece
            else {
                if matches!(piece, PartPiece::NeedMore) {
                    out.extend_from_slice(part.get(copied..).unwrap_or_default());
                    return Ok(out);
                }
                continue;
            };
            out.extend_from_slice(part.get(copied..start).unwrap_or_default());
            copied = end;
            let bytes = part.get(start..end).unwrap_or_default();
            match self.plan.treatment(usize::from(index)) {
                Treatment::Pass | Treatment::Scan(Carries::Nothing) => out.extend_from_slice(bytes),
                // The row's length went out with its header, so a value cannot become NULL any more.
                Treatment::Overwrite(class) | Treatment::Null(class) => {
                    out.resize(out.len() + bytes.len(), b'*');
                    if last && let Some(class) = class {
                        counts.add(class, 1);
                    }
                }
                // Arrays and rows of this size are looked through as one value.
                Treatment::Scan(_) => self.scan(bytes, first, last, &mut out, counts),
            }
        }
    }

    fn scan(&mut self, bytes: &[u8], first: bool, last: bool, out: &mut Vec<u8>, counts: &mut Counts) {
        if first && last {
            let start = out.len();
            out.extend_from_slice(bytes);
            sluice_masking::mask_value(out.get_mut(start..).unwrap_or_default(), self.classes, counts);
            return;
        }
        let mut value = match self.value.take() {
            Some(value) if !first => value,
            _ => LargeValue::new(self.classes),
        };
        value.piece(bytes, out, counts);
        if last {
            value.finish(out, counts);
        } else {
            self.value = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::columns::{Facts, Tags};
    use sluice_parsers::postgres::backend::{Format, encode};

    #[test]
    fn a_row_in_parts_of_any_size_is_masked_as_if_it_were_whole() {
        let facts = |number, type_oid| Facts {
            key: (1, number),
            type_oid,
            format: Format::Text,
        };
        let tags = Tags::from_iter([((1, 3), None)]);
        let plan = Rc::new(Plan::new(
            &[facts(1, 25), facts(2, 23), facts(3, 25)],
            true,
            &tags,
        ));
        let text = format!(
            "{}ada@example.org{}",
            "x ".repeat(200),
            " 4111111111111111".repeat(3)
        );
        let mut row = Vec::new();
        encode::data_row(&mut row, &[Some(text.as_bytes()), None, Some(b"secret")]);
        let mut want = row[5..].to_vec();
        let at = 2 + 4;
        sluice_masking::mask_value(
            &mut want[at..at + text.len()],
            ClassSet::ALL,
            &mut Counts::default(),
        );
        let end = want.len();
        want[end - 6..].fill(b'*');
        for size in 1..row.len() {
            let mut large = LargeRow::new(Rc::clone(&plan), ClassSet::ALL);
            let mut counts = Counts::default();
            let got: Vec<u8> = row[5..]
                .chunks(size)
                .flat_map(|part| large.part(part, &mut counts).unwrap())
                .collect();
            assert_eq!(got, want, "parts of {size}");
        }
    }
}
