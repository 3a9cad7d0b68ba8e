//! Values larger than what is gathered: masked as they pass, in constant memory.

use std::rc::Rc;

use sluice_masking::{ClassSet, Counts, ValueStream};
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::row::{PartPiece, PartWalk};
use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::model::BODY_PREFIX_BYTES;
use sluice_runtime::net::Received;
use smallvec::SmallVec;

use super::columns::{Plan, Treatment};
use super::nested::{self, DEPTH_MAX, HEAD_BYTES, Items, Shape, Unreadable};
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

/// Values in others are gathered up to this size, so that all of their lengths are checked.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(GATHERED_BYTES_MAX >= HEAD_BYTES);

/// A value in binary format that comes in pieces and may hold others.
///
/// What is larger than what is gathered is taken for what its head says, and an error if the rest then is not.
pub(crate) struct LargeNested {
    classes: ClassSet,
    /// The values that are being walked, from the outermost to the innermost.
    levels: Vec<Level>,
    state: State,
    /// What came and cannot be decided yet; less than a gathered value and its length.
    held: Vec<u8>,
}

/// A value that others are in.
struct Level {
    items: Items,
    /// Bytes of it that come behind the item that is being walked.
    left: usize,
}

// Boxed, a large text would cost an allocation; there is one of these a session at most.
#[allow(clippy::large_enum_variant)]
enum State {
    /// The innermost value's next item comes, or its end.
    Next,
    /// A value that is taken as a whole.
    Gather { len: usize, carries: Carries },
    /// A larger value, whose head is to tell what it is.
    Head { len: usize, carries: Carries },
    /// So many bytes pass.
    Pass { left: usize },
    /// So many bytes of text come.
    Text { left: usize, text: LargeValue },
}

impl LargeNested {
    /// A value of that many bytes.
    pub(crate) fn new(len: usize, carries: Carries, classes: ClassSet) -> Self {
        Self {
            classes,
            levels: Vec::new(),
            state: State::of(len, carries),
            held: Vec::new(),
        }
    }

    /// Takes a piece and appends to `out` what is decided.
    pub(crate) fn piece(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<(), Unreadable> {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(piece);
        let mut at = 0;
        while let Some(used) = self.step(held.get(at..).unwrap_or_default(), out, counts)? {
            at += used;
        }
        held.drain(..at);
        self.held = held;
        Ok(())
    }

    /// The value has ended.
    pub(crate) fn finish(self) -> Result<(), Unreadable> {
        let is_done = self.levels.iter().all(|level| level.left == 0) && self.held.is_empty();
        if is_done && matches!(self.state, State::Next) {
            Ok(())
        } else {
            Err(Unreadable::Broken)
        }
    }

    /// Does what can be done with what is there, and says how much of it is done with; none if more is needed.
    fn step(
        &mut self,
        rest: &[u8],
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<Option<usize>, Unreadable> {
        let used = match &mut self.state {
            State::Next => return self.next(rest, out, counts),
            State::Gather { len, carries } => {
                let Some(value) = rest.get(..*len) else {
                    return Ok(None);
                };
                let start = out.len();
                out.extend_from_slice(value);
                let value = out.get_mut(start..).unwrap_or_default();
                nested::mask(value, *carries, self.levels.len(), self.classes, counts)?;
                let used = *len;
                self.state = State::Next;
                used
            }
            State::Head { len, carries } => {
                let Some(head) = rest.get(..HEAD_BYTES) else {
                    return Ok(None);
                };
                let len = *len;
                let Some(shape) = Shape::of(*carries, head, len)? else {
                    let text = LargeValue::new(self.classes);
                    self.state = State::Text { left: len, text };
                    return Ok(Some(0));
                };
                if self.levels.len() == DEPTH_MAX {
                    return Err(Unreadable::TooDeep);
                }
                let left = len.checked_sub(shape.header).ok_or(Unreadable::Broken)?;
                let items = shape.items;
                self.levels.push(Level { items, left });
                out.extend_from_slice(head.get(..shape.header).unwrap_or_default());
                self.state = State::Next;
                shape.header
            }
            State::Pass { left } => {
                let bytes = rest.get(..*left).unwrap_or(rest);
                out.extend_from_slice(bytes);
                *left -= bytes.len();
                if *left == 0 {
                    self.state = State::Next;
                }
                bytes.len()
            }
            State::Text { left, text } => {
                let bytes = rest.get(..*left).unwrap_or(rest);
                text.piece(bytes, out, counts);
                *left -= bytes.len();
                if *left == 0
                    && let State::Text { text, .. } = std::mem::replace(&mut self.state, State::Next)
                {
                    text.finish(out, counts);
                }
                bytes.len()
            }
        };
        Ok(Some(used).filter(|used| *used > 0))
    }

    /// The next item, or the end of the innermost value.
    fn next(
        &mut self,
        rest: &[u8],
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<Option<usize>, Unreadable> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        if level.left == 0 {
            self.levels.pop();
            return Ok(Some(0));
        }
        let Some(item) = level.items.next(rest, level.left)? else {
            return Ok(None);
        };
        if item.trail > 0 {
            // A lexeme is short, and taken with its positions.
            let Some(bytes) = rest.get(..item.bytes()) else {
                return Ok(None);
            };
            level.left -= bytes.len();
            let start = out.len();
            out.extend_from_slice(bytes);
            let lexeme = out.get_mut(start..start + item.len).unwrap_or_default();
            sluice_masking::mask_value(lexeme, self.classes, counts);
            return Ok(Some(bytes.len()));
        }
        level.left -= item.bytes();
        out.extend_from_slice(rest.get(..item.lead).unwrap_or_default());
        self.state = State::of(item.len, item.carries);
        Ok(Some(item.lead))
    }
}

impl State {
    /// A value of that many bytes comes.
    fn of(len: usize, carries: Carries) -> Self {
        match carries {
            _ if len == 0 => Self::Next,
            Carries::Nothing => Self::Pass { left: len },
            _ if len <= GATHERED_BYTES_MAX => Self::Gather { len, carries },
            _ => Self::Head { len, carries },
        }
    }
}

/// A row cannot be masked; the session ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LargeRowError {
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What of an error, notice or function's result says what is done with it: the header and the fields before the
/// message.
const TEXT_HEAD_BYTES: usize = HEADER_BYTES + BODY_PREFIX_BYTES;

/// An error, notice or function's result that comes in parts.
pub(crate) enum LargeText {
    /// What came of it until that can be said.
    Head(Vec<u8>),
    /// It passes.
    Passes,
    /// It is looked through.
    Scanned(Box<LargeValue>),
    /// The client got something else.
    Dropped,
}

impl LargeText {
    /// Adds a part to the head and gives it out once there is enough of it.
    pub(crate) fn head(&mut self, part: &[u8], last: bool) -> Option<Vec<u8>> {
        let Self::Head(head) = self else {
            return None;
        };
        head.extend_from_slice(part);
        (last || head.len() >= TEXT_HEAD_BYTES).then(|| std::mem::take(head))
    }

    /// Takes the next part of its body and gives what goes to the client now.
    pub(crate) fn part(&mut self, part: Received, last: bool, counts: &mut Counts) -> Received {
        match self {
            Self::Passes => part,
            Self::Head(_) | Self::Dropped => Received::from(Vec::new()),
            Self::Scanned(_) => {
                let mut out = Vec::with_capacity(part.len());
                if let Self::Scanned(text) = self {
                    text.piece(&part, &mut out, counts);
                }
                if last && let Self::Scanned(text) = std::mem::replace(self, Self::Dropped) {
                    text.finish(&mut out, counts);
                }
                Received::from(out)
            }
        }
    }
}

/// A message to be taken for one that comes in parts, of which this is the head: of an error or notice it has the
/// severity and SQLSTATE.
pub(crate) fn excerpt(head: &[u8]) -> Vec<u8> {
    let (header, body) = head.split_at_checked(HEADER_BYTES).unwrap_or((head, &[]));
    let mut excerpt = header.to_vec();
    let body = body.get(..BODY_PREFIX_BYTES).unwrap_or(body);
    if !matches!(header.first(), Some(b'E' | b'N')) {
        excerpt.extend_from_slice(body);
        return excerpt;
    }
    // The last one is not whole.
    let mut fields: SmallVec<[&[u8]; 4]> = body.split_inclusive(|byte| *byte == 0).collect();
    fields.pop();
    for field in fields {
        if matches!(field.first(), Some(b'S' | b'V' | b'C')) {
            excerpt.extend_from_slice(field);
        }
    }
    excerpt.push(0);
    excerpt
}

/// A DataRow that comes in parts.
pub(crate) struct LargeRow {
    walk: PartWalk,
    plan: Rc<Plan>,
    classes: ClassSet,
    /// The value that is passing.
    value: Passing,
}

enum Passing {
    Nothing,
    Text(LargeValue),
    Nested(LargeNested),
}

impl LargeRow {
    pub(crate) fn new(plan: Rc<Plan>, classes: ClassSet) -> Self {
        Self {
            walk: PartWalk::new(),
            plan,
            classes,
            value: Passing::Nothing,
        }
    }

    /// Takes a part of the row's body and gives what goes to the client now.
    pub(crate) fn part(&mut self, part: &[u8], counts: &mut Counts) -> Result<Vec<u8>, LargeRowError> {
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
                len,
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
                Treatment::Scan(carries) => {
                    if first {
                        self.value = match carries {
                            Carries::Text => Passing::Text(LargeValue::new(self.classes)),
                            _ => Passing::Nested(LargeNested::new(len, carries, self.classes)),
                        };
                    }
                    self.value.piece(bytes, last, &mut out, counts)?;
                }
            }
        }
    }
}

impl Passing {
    fn piece(
        &mut self,
        bytes: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<(), Unreadable> {
        match self {
            Self::Nothing => {}
            Self::Text(text) => text.piece(bytes, out, counts),
            Self::Nested(value) => value.piece(bytes, out, counts)?,
        }
        if last {
            match std::mem::replace(self, Self::Nothing) {
                Self::Nothing => {}
                Self::Text(text) => text.finish(out, counts),
                Self::Nested(value) => value.finish()?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::columns::{Facts, Tags};
    use crate::postgres::nested::tests::{Tree, records_around, tree};
    use crate::postgres::types::carries;
    use proptest::prelude::*;
    use sluice_parsers::postgres::SqlState;
    use sluice_parsers::postgres::backend::{Fields, Format, encode};

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
            None,
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
    /// Streams a value in pieces of these sizes in turn.
    fn streamed(value: &[u8], carries: Carries, sizes: &[usize]) -> Result<(Vec<u8>, Counts), Unreadable> {
        let (mut out, mut counts) = (Vec::new(), Counts::default());
        let mut nested = LargeNested::new(value.len(), carries, ClassSet::ALL);
        let mut rest = value;
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            nested.piece(piece, &mut out, &mut counts)?;
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        nested.finish()?;
        Ok((out, counts))
    }

    /// Makes a value too large to be gathered, wherever in it that is.
    fn swell(tree: &mut Tree, place: usize) {
        let filling = format!(" 4111111111111111 {}", "x ".repeat(GATHERED_BYTES_MAX / 2));
        match tree {
            Tree::Text(text) | Tree::OwnText(text) => text.extend(filling.as_bytes()),
            Tree::Array(items) | Tree::Record(items) | Tree::OwnRecord(items) | Tree::Range(items)
                if !items.is_empty() =>
            {
                let place = place % items.len();
                swell(&mut items[place], place);
            }
            Tree::Array(items) | Tree::Record(items) | Tree::OwnRecord(items) => {
                items.push(Tree::Text(filling.into()));
            }
            Tree::Multirange(ranges) if !ranges.is_empty() => {
                let place = place % ranges.len();
                swell(&mut ranges[place][0], place);
            }
            Tree::Hstore(pairs) => pairs.push((b"key".to_vec(), Some(filling.into()))),
            Tree::Lexemes(lexemes) => {
                let lexeme = (b"4111111111111111".to_vec(), vec![0x3434; 9]);
                lexemes.extend(std::iter::repeat_n(lexeme, GATHERED_BYTES_MAX / 32));
            }
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn values_in_pieces_are_masked_as_if_they_were_whole(
            mut tree in tree(),
            places in proptest::collection::vec(0..4usize, 0..3),
            sizes in proptest::collection::vec(prop_oneof![1..50usize, 1000..20_000usize], 1..4),
        ) {
            for place in places {
                swell(&mut tree, place);
            }
            let Some(value) = tree.encode() else { return Ok(()) };
            let carries = carries(tree.type_oid(), Format::Binary);
            let mut want_counts = Counts::default();
            tree.mask(&mut want_counts);
            let (masked, counts) = streamed(&value, carries, &sizes).unwrap();
            prop_assert!(Some(masked) == tree.encode());
            prop_assert_eq!(counts, want_counts);
        }

        #[test]
        fn pieces_of_anything_do_no_harm(
            head in proptest::collection::vec(prop_oneof![3 => 0..3u8, 1 => any::<u8>()], 0..120),
            carries in prop_oneof![
                Just(Carries::Array), Just(Carries::Record), Just(Carries::Lexemes), Just(Carries::Unknown),
            ],
        ) {
            let mut value = head;
            value.resize(GATHERED_BYTES_MAX + 1000, b'x');
            if let Ok((masked, _)) = streamed(&value, carries, &[999]) {
                prop_assert_eq!(masked.len(), value.len());
            }
        }
    }

    #[test]
    fn every_split_of_a_large_value_gives_the_same() {
        // A row of a row and an array, both too large to be gathered, with lengths that look like digits.
        let text = |len: usize| Tree::OwnText(format!("4111111111111111{}", " ".repeat(len - 16)).into());
        let inner = Tree::OwnRecord(vec![
            Tree::Number(7),
            text(48),
            text(GATHERED_BYTES_MAX + 1),
            Tree::Null,
        ]);
        let elements = (0..1500).map(|index| text(48 + index % 10)).collect();
        let mut tree = Tree::OwnRecord(vec![inner, Tree::Array(elements), Tree::Hstore(vec![])]);
        let value = tree.encode().unwrap();
        let mut want_counts = Counts::default();
        tree.mask(&mut want_counts);
        let want = tree.encode().unwrap();
        assert_eq!(want_counts.total(), 1502);
        // Around each of the structures' edges, and in the middle of nowhere.
        let edge = value.len() - 1500 * 56;
        let splits = (1..120)
            .chain(edge - 400..edge + 200)
            .chain(value.len() - 100..value.len());
        for split in splits {
            let (masked, counts) = streamed(&value, Carries::Unknown, &[split, value.len()]).unwrap();
            assert!(masked == want, "split at {split}");
            assert_eq!(counts, want_counts, "split at {split}");
        }
    }

    #[test]
    fn a_large_value_that_cannot_be_read_is_an_error() {
        let large = format!("ada@example.org {}", "x".repeat(GATHERED_BYTES_MAX));
        let array = Tree::Array(vec![Tree::Text(large.clone().into())])
            .encode()
            .unwrap();
        let more = [&array[..], b"0"].concat();
        let less = &array[..array.len() - 1];
        let deep = |depth| records_around(&large, depth).encode().unwrap();
        for (name, value, carries, want) in [
            ("as deep as may be", deep(DEPTH_MAX), Carries::Unknown, None),
            (
                "too deep",
                deep(DEPTH_MAX + 1),
                Carries::Unknown,
                Some(Unreadable::TooDeep),
            ),
            ("bytes behind", more, Carries::Array, Some(Unreadable::Broken)),
            (
                "bytes missing",
                less.to_vec(),
                Carries::Array,
                Some(Unreadable::Broken),
            ),
            ("no row", array.clone(), Carries::Record, Some(Unreadable::Broken)),
        ] {
            assert_eq!(streamed(&value, carries, &[1000]).err(), want, "{name}");
        }
    }
    #[test]
    fn a_large_errors_sqlstate_is_known_wherever_its_head_is_cut() {
        let error = [
            &b"E\x7f\xff\xff\xffSERROR\0VERROR\0C22P02\0M"[..],
            &b"Ada ada@example.org ".repeat(5),
        ]
        .concat();
        let sizes = [1, 2, 3, 7, error.len()];
        for (first, size) in (0..error.len()).flat_map(|first| sizes.map(|size| (first, size))) {
            let mut text = LargeText::Head(Vec::new());
            let (before, behind) = error.split_at(first);
            let mut head = None;
            for part in [before].into_iter().chain(behind.chunks(size)) {
                head = head.or_else(|| text.head(part, false));
            }
            let excerpt = excerpt(&head.expect("more than the head came"));
            let fields = Fields::parse(&excerpt[HEADER_BYTES..]).expect("whole fields");
            let kinds: Vec<u8> = fields.iter().map(|field| field.kind).collect();
            assert_eq!(kinds, b"SVC", "cut at {first}, then every {size}");
            assert_eq!(
                fields.sqlstate(),
                SqlState::from_bytes(b"22P02"),
                "cut at {first}"
            );
        }
    }
}
