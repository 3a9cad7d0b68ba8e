//! Masks runs of DataRow frames where they lie.

use std::ops::Range;

use sluice_masking::{ClassSet, Counts, Values};
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::row::{Fields, Place};
use sluice_parsers::postgres::frame::HEADER_BYTES;

use super::columns::{Plan, Treatment};
use super::types::Carries;

/// Looks through a run of whole DataRow frames, one behind the other, in one pass.
pub(crate) fn scan(frames: &mut [u8], plan: &Plan, classes: ClassSet, counts: &mut Counts) {
    sluice_masking::mask(frames, classes, &mut Walk::new(plan), counts);
}

/// Overwrites configured columns of one DataRow frame. Where a value has to become NULL the frame changes its length,
/// and the new one is returned.
pub(crate) fn rewrite(
    frame: &mut [u8],
    plan: &Plan,
    counts: &mut Counts,
) -> Result<Option<Vec<u8>>, ProtocolError> {
    let mut has_nulls = false;
    let body = frame.get_mut(HEADER_BYTES..).unwrap_or_default();
    let mut places = Vec::new();
    let mut fields = Fields::parse(body)?;
    let mut index = 0;
    while let Some(place) = fields.next_field()? {
        if let Place::Value { start, end } = place {
            match plan.treatment(index) {
                Treatment::Overwrite(class) => places.push((start..end, class)),
                Treatment::Null(_) => has_nulls = true,
                Treatment::Pass | Treatment::Scan(_) => {}
            }
        }
        index += 1;
    }
    for (range, class) in places {
        let value = body.get_mut(range).unwrap_or_default();
        sluice_masking::fixed(value);
        count(counts, class);
    }
    if has_nulls {
        with_nulls(body, plan, counts).map(Some)
    } else {
        Ok(None)
    }
}

/// A value that was masked for what column it is; one without a class is counted as what is masked most: see metrics.
fn count(counts: &mut Counts, class: Option<sluice_masking::Class>) {
    if let Some(class) = class {
        counts.add(class, 1);
    }
}

fn with_nulls(body: &[u8], plan: &Plan, counts: &mut Counts) -> Result<Vec<u8>, ProtocolError> {
    let mut fields = Fields::parse(body)?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(b"D\0\0\0\0");
    frame.extend_from_slice(&fields.count().to_be_bytes());
    let mut index = 0;
    while let Some(place) = fields.next_field()? {
        match (place, plan.treatment(index)) {
            (Place::Value { .. }, Treatment::Null(class)) => {
                count(counts, class);
                frame.extend_from_slice(&(-1i32).to_be_bytes());
            }
            (Place::Null, _) => frame.extend_from_slice(&(-1i32).to_be_bytes()),
            (Place::Value { start, end }, _) => {
                frame.extend_from_slice(body.get(start - 4..end).unwrap_or_default());
            }
        }
        index += 1;
    }
    // A row only gets shorter, so the length still fits its word.
    let len = u32::try_from(frame.len() - 1).unwrap_or(u32::MAX);
    frame[1..HEADER_BYTES].copy_from_slice(&len.to_be_bytes());
    Ok(frame)
}

/// Finds the value that a position lies in, walking frames and fields once.
struct Walk<'a> {
    plan: &'a Plan,
    /// Where the frame behind the present one begins.
    next_frame: usize,
    /// Where the next field's length word lies.
    at: usize,
    field: usize,
    fields_left: u16,
    /// The field that was found last, until the walk is past it.
    found: Range<usize>,
    inner: Inner,
}

/// What is inside of the field that was found last.
#[derive(Clone, Copy)]
enum Inner {
    /// Nothing to look at.
    Skip,
    /// One value.
    Value,
    /// Elements with length words; `at` is the next one's, `lead` bytes stand before each length word.
    Elements { at: usize, lead: usize },
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            next_frame: 0,
            at: 0,
            field: 0,
            fields_left: 0,
            found: 0..0,
            inner: Inner::Skip,
        }
    }

    /// Moves on to the field that `position` lies in; false if it lies between fields or the frames are broken.
    fn find(&mut self, buf: &[u8], position: usize) -> bool {
        loop {
            if self.found.contains(&position) {
                return true;
            }
            if position < self.at {
                return false;
            }
            // What is left of a row that ends before the position need not be walked.
            if self.fields_left == 0 || self.next_frame <= position {
                let Some(head) = buf
                    .get(self.next_frame..)
                    .and_then(|rest| rest.first_chunk::<7>())
                else {
                    return false;
                };
                let [_, a, b, c, d, high, low] = *head;
                let frame = self.next_frame;
                self.next_frame = frame + 1 + u32::from_be_bytes([a, b, c, d]) as usize;
                self.at = frame + head.len();
                self.fields_left = 0;
                if self.next_frame > position {
                    self.fields_left = u16::from_be_bytes([high, low]);
                    self.field = 0;
                    if self.fields_left == 0 {
                        return false;
                    }
                }
                continue;
            }
            let Some((start, end)) = self.skip_to(buf, position) else {
                return false;
            };
            if end <= position {
                // The row's fields end before the position: it lies in the next row, or in no field.
                continue;
            }
            self.found = start..end.min(buf.len());
            self.inner = match self.plan.treatment(self.field) {
                Treatment::Scan(Carries::Text) => Inner::Value,
                Treatment::Scan(Carries::BinaryArray) => Inner::elements_of_array(buf, &self.found),
                Treatment::Scan(Carries::BinaryRecord) => Inner::Elements {
                    at: start + 4,
                    lead: 4,
                },
                _ => Inner::Skip,
            };
            self.at = end;
            self.field += 1;
            self.fields_left -= 1;
        }
    }

    /// Walks the row's fields up to the one that ends behind `position`, or the last; none if they are broken.
    #[inline]
    fn skip_to(&mut self, buf: &[u8], position: usize) -> Option<(usize, usize)> {
        loop {
            let word = buf.get(self.at..)?.first_chunk::<4>()?;
            let start = self.at + word.len();
            let end = start + usize::try_from(i32::from_be_bytes(*word)).unwrap_or(0);
            if end > position || self.fields_left == 1 {
                if end <= position {
                    self.at = end;
                    self.field += 1;
                    self.fields_left = 0;
                }
                return Some((start, end));
            }
            self.at = end;
            self.field += 1;
            self.fields_left -= 1;
        }
    }
}

impl Inner {
    /// `array_send`: dimensions, flags, element type, then (length, lower bound) of each dimension, then the elements.
    fn elements_of_array(buf: &[u8], field: &Range<usize>) -> Self {
        let dimensions = buf.get(field.clone()).and_then(|array| array.first_chunk::<4>());
        let dimensions = dimensions.map_or(0, |word| u32::from_be_bytes(*word) as usize);
        Self::Elements {
            at: field
                .start
                .saturating_add(12)
                .saturating_add(dimensions.saturating_mul(8)),
            lead: 0,
        }
    }
}

impl Values for Walk<'_> {
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        if !self.find(buf, position) {
            return None;
        }
        match &mut self.inner {
            Inner::Skip => None,
            Inner::Value => Some(self.found.clone()),
            Inner::Elements { at, lead } => loop {
                let start = at.checked_add(*lead)?;
                let word = buf.get(start..self.found.end)?.first_chunk::<4>()?;
                let start = start + word.len();
                let end = start + usize::try_from(i32::from_be_bytes(*word)).unwrap_or(0);
                if position < start {
                    return None;
                }
                if position < end {
                    return (end <= self.found.end).then_some(start..end);
                }
                *at = end;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::columns::{Facts, Tags};
    use proptest::prelude::*;
    use sluice_masking::Class;
    use sluice_parsers::postgres::backend::{Format, encode};

    fn column(type_oid: u32, format: Format) -> Facts {
        Facts {
            key: (1, 1),
            type_oid,
            format,
        }
    }

    fn frames(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
        let mut out = Vec::new();
        for row in rows {
            let values: Vec<_> = row.iter().map(Option::as_deref).collect();
            encode::data_row(&mut out, &values);
        }
        out
    }

    fn array(elements: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [1u32, 0, 25, u32::try_from(elements.len()).unwrap(), 1] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        for element in elements {
            out.extend_from_slice(&u32::try_from(element.len()).unwrap().to_be_bytes());
            out.extend_from_slice(element);
        }
        out
    }

    #[test]
    fn only_text_is_masked_and_lengths_stay() {
        let plan = Plan::new(
            &[
                column(23, Format::Text),
                column(25, Format::Text),
                column(17, Format::Binary),
            ],
            true,
            &Tags::new(),
        );
        let mail = b"write to ada@example.org now".to_vec();
        let mut run = frames(&[
            vec![Some(b"7".to_vec()), Some(mail.clone()), Some(mail.clone())],
            vec![None, None, None],
            vec![Some(b"8".to_vec()), Some(b"078-05-1120".to_vec()), None],
        ]);
        let before = run.clone();
        let mut counts = Counts::default();
        scan(&mut run, &plan, ClassSet::ALL, &mut counts);
        assert_eq!(counts.of(Class::Email), 1);
        assert_eq!(run.len(), before.len());
        assert_eq!(
            run.windows(mail.len()).filter(|window| *window == mail).count(),
            1,
            "bytea passes"
        );
    }

    #[test]
    fn elements_are_values_of_their_own() {
        // The length word of 48 bytes is the digit zero, which must not hide the number behind it.
        let element = format!("4111111111111111{:32}", "");
        assert_eq!(element.len(), 48);
        let plan = Plan::new(&[column(1009, Format::Binary)], true, &Tags::new());
        let mut run = frames(&[vec![Some(array(&[b"x", element.as_bytes(), b"a@b.example"]))]]);
        let mut counts = Counts::default();
        scan(&mut run, &plan, ClassSet::ALL, &mut counts);
        assert_eq!((counts.of(Class::PaymentCard), counts.of(Class::Email)), (1, 1));
    }

    #[test]
    fn configured_columns_are_overwritten_or_null() {
        let tags = Tags::from_iter([((1, 1), Some(Class::UsSsn))]);
        let plan = Plan::new(
            &[column(25, Format::Text), column(23, Format::Binary)],
            true,
            &tags,
        );
        let mut frame = frames(&[vec![Some(b"abc".to_vec()), Some(vec![0, 0, 0, 9])]]);
        let mut counts = Counts::default();
        let rewritten = rewrite(&mut frame, &plan, &mut counts)
            .unwrap()
            .expect("a NULL shortens it");
        assert_eq!(rewritten, frames(&[vec![Some(b"***".to_vec()), None]]));
        assert_eq!(counts.of(Class::UsSsn), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_plan_do_no_harm(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            oids in proptest::collection::vec(prop_oneof![Just(25u32), Just(1009), Just(2249), Just(23)], 0..4),
        ) {
            let columns: Vec<_> = oids.into_iter().map(|oid| column(oid, Format::Binary)).collect();
            let plan = Plan::new(&columns, true, &Tags::new());
            let len = bytes.len();
            scan(&mut bytes, &plan, ClassSet::ALL, &mut Counts::default());
            prop_assert_eq!(bytes.len(), len);
            let _ = rewrite(&mut bytes, &plan, &mut Counts::default());
        }

        #[test]
        fn a_run_is_masked_as_its_values_are(
            rows in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of("[ -~]{0,12}(ada@example.org|4111111111111111)?[ -~]{0,60}"), 3),
                0..6,
            ),
        ) {
            let plan = Plan::new(
                &[column(25, Format::Text), column(23, Format::Text), column(1043, Format::Binary)],
                true,
                &Tags::new(),
            );
            let rows: Vec<Vec<Option<Vec<u8>>>> =
                rows.into_iter().map(|row| row.into_iter().map(|value| value.map(String::into_bytes)).collect()).collect();
            let mut run = frames(&rows);
            let (mut counts, mut want_counts) = (Counts::default(), Counts::default());
            scan(&mut run, &plan, ClassSet::ALL, &mut counts);
            let mut want = rows;
            for row in &mut want {
                for (index, value) in row.iter_mut().enumerate() {
                    if index != 1 && let Some(value) = value {
                        sluice_masking::mask_value(value, ClassSet::ALL, &mut want_counts);
                    }
                }
            }
            prop_assert_eq!(run, frames(&want));
            prop_assert_eq!(counts, want_counts);
        }
    }
}
