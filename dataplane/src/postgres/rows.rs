//! Masks runs of DataRow frames where they lie.

use std::ops::Range;

use sluice_masking::{ClassSet, Counts, Values};
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::row::{Fields, Place};
use sluice_parsers::postgres::frame::HEADER_BYTES;

use super::columns::{Plan, Treatment};
use super::nested::{self, Texts};
use super::types::Carries;

/// What a run of rows was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Scanned {
    /// All of it is masked.
    Masked,
    /// A value could not be read: [`without_unreadable`] has to take it out.
    Unreadable,
}

/// Looks through a run of whole DataRow frames, one behind the other, in one pass. They begin at `starts`.
pub(crate) fn scan(
    frames: &mut [u8],
    starts: &[usize],
    plan: &Plan,
    classes: ClassSet,
    counts: &mut Counts,
) -> Scanned {
    let mut walk = Walk::new(starts, plan);
    sluice_masking::mask(frames, classes, &mut walk, counts);
    walk.leave();
    walk.scanned
}

/// A run of whole DataRow frames with NULL for each value that cannot be read.
#[cold]
pub(crate) fn without_unreadable(frames: &[u8], plan: &Plan) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::with_capacity(frames.len());
    let mut rest = frames;
    while let Some(&[tag, a, b, c, d]) = rest.first_chunk() {
        let end = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((frame, behind)) = rest.split_at_checked(end) else {
            return Err(ProtocolError::Truncated { at: rest.len() });
        };
        rest = behind;
        let body = frame.get(HEADER_BYTES..).unwrap_or_default();
        let start = out.len();
        out.extend_from_slice(&[tag, 0, 0, 0, 0]);
        nulled(body, &mut out, |index, value| match plan.treatment(index) {
            Treatment::Scan(carries) => nested::check(value, carries).is_err(),
            _ => false,
        })?;
        close(&mut out, start);
    }
    Ok(out)
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
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(b"D\0\0\0\0");
    nulled(body, &mut frame, |index, _| {
        let Treatment::Null(class) = plan.treatment(index) else {
            return false;
        };
        count(counts, class);
        true
    })?;
    close(&mut frame, 0);
    Ok(frame)
}

/// Appends a row's body with NULL for the values that are to become it.
fn nulled(
    body: &[u8],
    out: &mut Vec<u8>,
    mut is_null: impl FnMut(usize, &[u8]) -> bool,
) -> Result<(), ProtocolError> {
    let mut fields = Fields::parse(body)?;
    out.extend_from_slice(&fields.count().to_be_bytes());
    let mut index = 0;
    while let Some(place) = fields.next_field()? {
        match place {
            Place::Value { start, end } if !is_null(index, body.get(start..end).unwrap_or_default()) => {
                out.extend_from_slice(body.get(start - 4..end).unwrap_or_default());
            }
            _ => out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
        index += 1;
    }
    Ok(())
}

/// Writes the length of the frame that begins at `start`. A row only gets shorter, so that its length still fits.
fn close(out: &mut [u8], start: usize) {
    let frame = out.get_mut(start..).unwrap_or_default();
    let len = u32::try_from(frame.len() - 1).unwrap_or(u32::MAX);
    if let Some(word) = frame.get_mut(1..HEADER_BYTES) {
        word.copy_from_slice(&len.to_be_bytes());
    }
}

/// Finds the value that a position lies in, walking frames and fields once.
struct Walk<'a> {
    plan: &'a Plan,
    /// Where the frames behind the present one begin.
    starts: &'a [usize],
    /// Where the next field's length word lies.
    at: usize,
    field: usize,
    fields_left: u16,
    /// The field that was found last, until the walk is past it.
    found: Range<usize>,
    inner: Inner,
    /// The texts in it, if it is a value that may hold others.
    texts: Option<Texts>,
    scanned: Scanned,
}

/// What is inside of the field that was found last.
#[derive(Clone, Copy)]
enum Inner {
    /// Nothing to look at.
    Skip,
    /// One value.
    Value,
    /// A value that may hold others.
    Nested,
}

impl<'a> Walk<'a> {
    fn new(starts: &'a [usize], plan: &'a Plan) -> Self {
        Self {
            plan,
            starts,
            at: 0,
            field: 0,
            fields_left: 0,
            found: 0..0,
            inner: Inner::Skip,
            texts: None,
            scanned: Scanned::Masked,
        }
    }

    /// What is known of the field that was found last, before the next one takes its place.
    fn leave(&mut self) {
        if let Some(texts) = &self.texts {
            if texts.unreadable().is_some() {
                self.scanned = Scanned::Unreadable;
            }
            self.texts = None;
        }
    }

    /// Moves on to the field that `position` lies in; none if it lies between fields or the frames are broken.
    #[inline]
    fn find(&mut self, buf: &[u8], position: usize) -> Option<()> {
        if position < self.at {
            return self.found.contains(&position).then_some(());
        }
        // What is left of a row that ends before the position need not be walked.
        let mut frame = None;
        while let [start, rest @ ..] = self.starts
            && *start <= position
        {
            (frame, self.starts) = (Some(*start), rest);
        }
        let (mut at, mut left, mut field) = match frame {
            None => (self.at, self.fields_left, self.field),
            Some(frame) => {
                let count = buf
                    .get(frame + HEADER_BYTES..)
                    .and_then(|body| body.first_chunk());
                let count = count.map_or(0, |count| u16::from_be_bytes(*count));
                (frame + HEADER_BYTES + size_of::<u16>(), count, 0)
            }
        };
        while left > 0 {
            let Some(word) = buf.get(at..).and_then(|rest| rest.first_chunk()) else {
                break;
            };
            let start = at + word.len();
            at = start + value_bytes(*word);
            left -= 1;
            if at > position {
                (self.at, self.fields_left, self.field) = (at, left, field + 1);
                self.enter(field, start..at.min(buf.len()));
                return self.found.contains(&position).then_some(());
            }
            field += 1;
        }
        // It lies behind the row's fields, and in none, or they are broken.
        (self.at, self.fields_left) = (at, 0);
        None
    }

    /// A field was found.
    #[inline]
    fn enter(&mut self, field: usize, value: Range<usize>) {
        self.leave();
        self.inner = match self.plan.treatment(field) {
            Treatment::Scan(Carries::Text) => Inner::Value,
            Treatment::Scan(carries) if carries != Carries::Nothing => {
                self.texts = Some(Texts::new(value.clone(), carries, 0));
                Inner::Nested
            }
            _ => Inner::Skip,
        };
        self.found = value;
    }
}

/// How many bytes follow a value's length word. A jump, not a choice of two numbers: the walk over a row waits for each.
#[inline]
fn value_bytes(word: [u8; 4]) -> usize {
    #[cold]
    #[inline(never)]
    fn of_null() -> usize {
        0
    }
    usize::try_from(i32::from_be_bytes(word)).unwrap_or_else(|_| of_null())
}

impl Values for Walk<'_> {
    #[inline]
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        self.find(buf, position)?;
        match self.inner {
            Inner::Skip => None,
            Inner::Value => Some(self.found.clone()),
            Inner::Nested => self.texts.as_mut()?.value_at(buf, position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::columns::{Facts, Tags};
    use crate::postgres::nested::tests::{Tree, records_around, tree};
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

    /// Scans frames, of which broken ones may be any bytes.
    fn scan_frames(frames: &mut [u8], plan: &Plan, classes: ClassSet, counts: &mut Counts) -> Scanned {
        let (mut starts, mut at) = (Vec::new(), 0);
        while let Some([_, a, b, c, d]) = frames.get(at..).and_then(|rest| rest.first_chunk()) {
            starts.push(at);
            at += 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        }
        scan(frames, &starts, plan, classes, counts)
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
            None,
        );
        let mail = b"write to ada@example.org now".to_vec();
        let mut run = frames(&[
            vec![Some(b"7".to_vec()), Some(mail.clone()), Some(mail.clone())],
            vec![None, None, None],
            vec![Some(b"8".to_vec()), Some(b"078-05-1120".to_vec()), None],
        ]);
        let before = run.clone();
        let mut counts = Counts::default();
        assert_eq!(
            scan_frames(&mut run, &plan, ClassSet::ALL, &mut counts),
            Scanned::Masked
        );
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
        let plan = Plan::new(&[column(1009, Format::Binary)], true, &Tags::new(), None);
        let mut run = frames(&[vec![Some(array(&[b"x", element.as_bytes(), b"a@b.example"]))]]);
        let mut counts = Counts::default();
        assert_eq!(
            scan_frames(&mut run, &plan, ClassSet::ALL, &mut counts),
            Scanned::Masked
        );
        assert_eq!((counts.of(Class::PaymentCard), counts.of(Class::Email)), (1, 1));
    }

    #[test]
    fn configured_columns_are_overwritten_or_null() {
        let tags = Tags::from_iter([((1, 1), Some(Class::UsSsn))]);
        let plan = Plan::new(
            &[column(25, Format::Text), column(23, Format::Binary)],
            true,
            &tags,
            None,
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
            oids in proptest::collection::vec(
                prop_oneof![Just(25u32), Just(1009), Just(2249), Just(23), Just(3614), Just(20_000)],
                0..4,
            ),
        ) {
            let columns: Vec<_> = oids.into_iter().map(|oid| column(oid, Format::Binary)).collect();
            let plan = Plan::new(&columns, true, &Tags::new(), None);
            let len = bytes.len();
            let _ = scan_frames(&mut bytes, &plan, ClassSet::ALL, &mut Counts::default());
            prop_assert_eq!(bytes.len(), len);
            let _ = without_unreadable(&bytes, &plan);
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
                None,
            );
            let rows: Vec<Vec<Option<Vec<u8>>>> =
                rows.into_iter().map(|row| row.into_iter().map(|value| value.map(String::into_bytes)).collect()).collect();
            let mut run = frames(&rows);
            let (mut counts, mut want_counts) = (Counts::default(), Counts::default());
            prop_assert_eq!(scan_frames(&mut run, &plan, ClassSet::ALL, &mut counts), Scanned::Masked);
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

        #[test]
        fn texts_in_values_are_masked_by_themselves(
            rows in proptest::collection::vec(proptest::collection::vec(tree(), 2), 0..5),
            before in "[ -~]{0,70}",
        ) {
            let Some(types) = rows.first().map(|row| row.iter().map(Tree::type_oid).collect::<Vec<_>>()) else {
                return Ok(());
            };
            // Rows of one type each; the number is beside them as what a length word could look like.
            let mut rows: Vec<Vec<Tree>> = rows;
            rows.retain(|row| row.iter().map(Tree::type_oid).eq(types.iter().copied()));
            let columns: Vec<_> =
                [25].into_iter().chain(types).map(|oid| column(oid, Format::Binary)).collect();
            let plan = Plan::new(&columns, true, &Tags::new(), None);
            let encode = |rows: &[Vec<Tree>], before: &[u8]| {
                let text = Some(before.to_vec());
                let row = |row: &Vec<Tree>| [text.clone()].into_iter().chain(row.iter().map(Tree::encode)).collect();
                frames(&rows.iter().map(row).collect::<Vec<_>>())
            };
            let mut before = before.into_bytes();
            let mut run = encode(&rows, &before);
            let (mut counts, mut want_counts) = (Counts::default(), Counts::default());
            prop_assert_eq!(scan_frames(&mut run, &plan, ClassSet::ALL, &mut counts), Scanned::Masked);
            // It stands in every row.
            for row in &mut rows {
                sluice_masking::mask_value(&mut before.clone(), ClassSet::ALL, &mut want_counts);
                for tree in row {
                    tree.mask(&mut want_counts);
                }
            }
            sluice_masking::mask_value(&mut before, ClassSet::ALL, &mut Counts::default());
            prop_assert_eq!(run, encode(&rows, &before));
            prop_assert_eq!(counts, want_counts);
        }
    }

    #[test]
    fn what_is_too_deep_becomes_null() {
        let plan = Plan::new(
            &[
                column(25, Format::Text),
                column(20_000, Format::Binary),
                column(25, Format::Text),
            ],
            true,
            &Tags::new(),
            None,
        );
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let row = |before: &str, depth, after: &str| {
            vec![
                text(before),
                records_around("jo@example.org", depth).encode(),
                text(after),
            ]
        };
        let mut run = frames(&[
            row("ada@b.co", 1, "x"),
            row("a", 17, "ada@b.co"),
            row("b", 2, "y"),
        ]);
        let mut counts = Counts::default();
        assert_eq!(
            scan_frames(&mut run, &plan, ClassSet::ALL, &mut counts),
            Scanned::Unreadable
        );
        let masked = |depth| records_around("**@***********", depth).encode();
        let want = frames(&[
            vec![text("***@****"), masked(1), text("x")],
            vec![text("a"), None, text("***@****")],
            vec![text("b"), masked(2), text("y")],
        ]);
        assert_eq!(without_unreadable(&run, &plan).unwrap(), want);
        assert_eq!(counts.of(Class::Email), 4);
    }
}
