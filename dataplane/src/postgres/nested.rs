//! Values in binary format that hold other values: arrays, rows, ranges, multiranges, hstore, tsvector.
//!
//! Follows the server's `array_send`, `record_send`, `range_send`, `multirange_send`, `hstore_send` and
//! `tsvectorsend`. All but the last are one form: a header, then items with a length word each (of a row behind the
//! type's OID), -1 for NULL. Arrays and rows name the types of what they hold; of other types of this database (enums,
//! domains, rows, ranges, hstore ...) the bytes tell: text has no zero byte, and each of these headers has one, so that
//! a value is what its bytes add up to exactly, and text otherwise. What is in a value of another form may be read as
//! text that it is not; that changes no length.
//!
//! A value that is nested deeper than [`DEPTH_MAX`], or whose type is known and whose lengths do not add up, is
//! [`Unreadable`]: it may not pass. [`super::large`] has the same walk for values that come in pieces.

use std::ops::Range;

use sluice_masking::{ClassSet, Counts, Values};
use sluice_parsers::postgres::backend::Format;

use super::types::{Carries, carries};

/// Values within values within a value.
pub(crate) const DEPTH_MAX: usize = 16;

/// What of a value tells its form: an array's header with its six dimensions.
pub(crate) const HEAD_BYTES: usize = 12 + 8 * DIMENSIONS_MAX;

/// The server's `MAXDIM`.
const DIMENSIONS_MAX: usize = 6;
/// The server's `MaxTupleAttributeNumber`.
const FIELDS_MAX: usize = 1664;
/// All flags that a range has on the wire.
const RANGE_FLAGS: u8 = 0x1f;
/// The server's `MAXSTRLEN` for a lexeme, and the zero byte behind it.
const LEXEME_BYTES_MAX: usize = 2047 + 1;

/// Why a value may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("a value is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the lengths in a value of a binary format do not add up")]
    Broken,
}

/// What stands before each item of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Length,
    OidAndLength,
    /// Nothing; a zero byte and positions follow.
    Lexeme,
}

/// How a value holds others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes before the first item.
    pub(crate) header: usize,
    pub(crate) items: Items,
    /// How many there are.
    count: usize,
}

/// What the items of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Items {
    lead: Lead,
    /// What each carries, where it does not say so itself.
    item: Carries,
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Bytes of what stands before it.
    pub(crate) lead: usize,
    /// Bytes of its value, zero for NULL.
    pub(crate) len: usize,
    /// Bytes of what stands behind it.
    pub(crate) trail: usize,
    pub(crate) carries: Carries,
}

impl Item {
    /// Bytes of it with what stands around it; they are all in the value that it is in.
    pub(crate) fn bytes(&self) -> usize {
        self.lead + self.len + self.trail
    }
}

impl Items {
    /// The item at the start of `rest`, where `left` bytes of the value are left; none if `rest` ends too early to tell.
    pub(crate) fn next(self, rest: &[u8], left: usize) -> Result<Option<Item>, Unreadable> {
        let rest = rest.get(..left).unwrap_or(rest);
        let is_all = rest.len() == left;
        let Some(item) = self.read(rest)? else {
            return if is_all { Err(Unreadable::Broken) } else { Ok(None) };
        };
        // None of the three is over 2^31.
        if item.bytes() > left {
            return Err(Unreadable::Broken);
        }
        Ok(Some(item))
    }

    fn read(self, rest: &[u8]) -> Result<Option<Item>, Unreadable> {
        let (lead, carries) = match self.lead {
            Lead::Length => (0, self.item),
            Lead::OidAndLength => match rest.first_chunk::<4>() {
                Some(oid) => (4, carries(u32::from_be_bytes(*oid), Format::Binary)),
                None => return Ok(None),
            },
            Lead::Lexeme => return lexeme(rest),
        };
        let Some(word) = rest.get(lead..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        let len = match i32::from_be_bytes(*word) {
            -1 => 0,
            len => usize::try_from(len).map_err(|_| Unreadable::Broken)?,
        };
        Ok(Some(Item {
            lead: lead + word.len(),
            len,
            trail: 0,
            carries,
        }))
    }
}

/// A lexeme, a zero byte, the number of its positions, and these, two bytes each.
fn lexeme(rest: &[u8]) -> Result<Option<Item>, Unreadable> {
    let window = rest.get(..LEXEME_BYTES_MAX).unwrap_or(rest);
    let Some(len) = window.iter().position(|byte| *byte == 0) else {
        return if window.len() < LEXEME_BYTES_MAX {
            Ok(None)
        } else {
            Err(Unreadable::Broken)
        };
    };
    let Some(positions) = rest.get(len + 1..).and_then(|rest| rest.first_chunk::<2>()) else {
        return Ok(None);
    };
    Ok(Some(Item {
        lead: 0,
        len,
        trail: 3 + 2 * usize::from(u16::from_be_bytes(*positions)),
        carries: Carries::Text,
    }))
}

impl Shape {
    /// How a value of `len` bytes holds others; none if it is text. `head` is as much of it as there is, at least
    /// [`HEAD_BYTES`] if it has them: of a type that is not known all lengths in it have to add up.
    pub(crate) fn of(carries: Carries, head: &[u8], len: usize) -> Result<Option<Self>, Unreadable> {
        let known = |shape: Option<Self>| shape.map(Some).ok_or(Unreadable::Broken);
        match carries {
            Carries::Text | Carries::Nothing => Ok(None),
            Carries::Array => known(Self::array(head, len)),
            Carries::Record => known(Self::record(head, len)),
            Carries::Range => known(Self::range(head, len)),
            Carries::Lexemes => known(Self::lexemes(head)),
            // From the form that says most of itself to the one that says least.
            Carries::Unknown => Ok([
                Self::array,
                Self::record,
                Self::multirange,
                Self::hstore,
                Self::range,
            ]
            .into_iter()
            .filter_map(|form| form(head, len))
            .find(|shape| shape.adds_up(head, len))),
        }
    }

    /// Dimensions, flags, type of the elements; length and lower bound of each dimension; the elements.
    fn array(head: &[u8], len: usize) -> Option<Self> {
        let [dimensions, flags, oid] = words(head)?;
        let dimensions = usize::try_from(dimensions)
            .ok()
            .filter(|count| *count <= DIMENSIONS_MAX)?;
        let header = 12 + 8 * dimensions;
        if flags > 1 || oid == 0 || header > len {
            return None;
        }
        let mut count = usize::from(dimensions > 0);
        for bounds in head.get(12..header)?.chunks_exact(8) {
            let [elements, _] = words(bounds)?;
            count = count.checked_mul(usize::try_from(elements).ok()?)?;
        }
        let item = carries(oid, Format::Binary);
        Self::counted(header, Lead::Length, item, count, len)
    }

    /// The number of fields; type and value of each.
    fn record(head: &[u8], len: usize) -> Option<Self> {
        let [count] = words(head)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= FIELDS_MAX)?;
        if count > 0 && words::<2>(head)?[1] == 0 {
            return None;
        }
        Self::counted(4, Lead::OidAndLength, Carries::Unknown, count, len)
    }

    /// The number of ranges; the ranges.
    fn multirange(head: &[u8], len: usize) -> Option<Self> {
        let [count] = words(head)?;
        let count = usize::try_from(count).ok()?;
        if count > 0 && *head.get(8)? > RANGE_FLAGS {
            return None;
        }
        Self::counted(4, Lead::Length, Carries::Range, count, len)
    }

    /// The number of pairs; key and value of each.
    fn hstore(head: &[u8], len: usize) -> Option<Self> {
        let [pairs] = words(head)?;
        let count = usize::try_from(pairs).ok()?.checked_mul(2)?;
        Self::counted(4, Lead::Length, Carries::Text, count, len)
    }

    /// Flags; the bounds that are not infinite.
    fn range(head: &[u8], len: usize) -> Option<Self> {
        const EMPTY: u8 = 0x01;
        const LOWER_INFINITE: u8 = 0x08;
        const UPPER_INFINITE: u8 = 0x10;
        let flags = *head.first().filter(|flags| **flags <= RANGE_FLAGS)?;
        let bound = |infinite: u8| usize::from(flags & (EMPTY | infinite) == 0);
        let count = bound(LOWER_INFINITE) + bound(UPPER_INFINITE);
        Self::counted(1, Lead::Length, Carries::Unknown, count, len)
    }

    /// The number of lexemes; the lexemes.
    fn lexemes(head: &[u8]) -> Option<Self> {
        let [count] = words(head)?;
        Some(Self {
            header: 4,
            items: Items {
                lead: Lead::Lexeme,
                item: Carries::Text,
            },
            count: usize::try_from(count).ok()?,
        })
    }

    /// If so many items fit in a value of that length.
    fn counted(header: usize, lead: Lead, item: Carries, count: usize, len: usize) -> Option<Self> {
        let least = if lead == Lead::OidAndLength { 8 } else { 4 };
        let room = len.checked_sub(header)?;
        let fits = if count == 0 {
            room == 0
        } else {
            count <= room / least
        };
        fits.then_some(Self {
            header,
            items: Items { lead, item },
            count,
        })
    }

    /// Whether the items end where the value of `len` bytes does, as far as can be seen.
    fn adds_up(&self, head: &[u8], len: usize) -> bool {
        let mut at = self.header;
        for _ in 0..self.count {
            let Some(left) = len.checked_sub(at) else {
                return false;
            };
            let rest = head.get(at..).unwrap_or_default();
            let item = match self.items.next(rest, left) {
                Ok(Some(item)) => item,
                Ok(None) => return true,
                Err(_) => return false,
            };
            at += item.lead;
            if self.items.item == Carries::Range {
                let rest = head.get(at..).unwrap_or_default();
                let bytes = rest.get(..item.len).unwrap_or(rest);
                let range = Self::range(bytes, item.len);
                if !bytes.is_empty() && !range.is_some_and(|range| range.adds_up(bytes, item.len)) {
                    return false;
                }
            }
            at += item.len + item.trail;
        }
        at == len
    }
}

/// The big-endian words at the start.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.get(..4 * N)?.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    Some(words)
}

/// A value that others are in, on the way to one of these.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where it ends.
    end: usize,
    items: Items,
}

/// Walks a value that lies whole in a buffer from text to text. Places are the buffer's.
struct Walk {
    levels: [Level; DEPTH_MAX],
    depth: usize,
    /// Where the innermost value's next item begins.
    at: usize,
}

impl Walk {
    /// A walk that begins within `depth` other values; none if the value is text.
    fn new(
        buf: &[u8],
        value: &Range<usize>,
        carries: Carries,
        depth: usize,
    ) -> Result<Option<Self>, Unreadable> {
        let nothing = Level {
            end: value.end,
            items: Items {
                lead: Lead::Length,
                item: Carries::Nothing,
            },
        };
        let mut walk = Self {
            levels: [nothing; DEPTH_MAX],
            depth,
            at: value.start,
        };
        Ok(walk.enter(buf, value, carries)?.then_some(walk))
    }

    /// Goes into a value, unless it is text.
    fn enter(&mut self, buf: &[u8], value: &Range<usize>, carries: Carries) -> Result<bool, Unreadable> {
        let bytes = buf.get(value.clone()).unwrap_or_default();
        let Some(shape) = Shape::of(carries, bytes, bytes.len())? else {
            return Ok(false);
        };
        let level = self.levels.get_mut(self.depth).ok_or(Unreadable::TooDeep)?;
        *level = Level {
            end: value.end,
            items: shape.items,
        };
        self.depth += 1;
        self.at = value.start + shape.header;
        Ok(true)
    }

    /// The first text that ends behind `position`, which never goes back; values that end before are not looked into.
    fn text_behind(&mut self, buf: &[u8], position: usize) -> Result<Option<Range<usize>>, Unreadable> {
        loop {
            let Some(level) = self
                .depth
                .checked_sub(1)
                .and_then(|inner| self.levels.get(inner))
                .copied()
            else {
                return Ok(None);
            };
            if self.at == level.end {
                self.depth -= 1;
                continue;
            }
            let rest = buf.get(self.at..level.end).unwrap_or_default();
            let item = level.items.next(rest, rest.len())?.ok_or(Unreadable::Broken)?;
            let start = self.at + item.lead;
            let value = start..start + item.len;
            if value.end > position && item.carries != Carries::Nothing {
                let behind = value.end + item.trail;
                if !self.enter(buf, &value, item.carries)? {
                    return Ok(Some(value));
                }
                debug_assert_eq!(behind, value.end, "only text has something behind it");
                continue;
            }
            self.at = value.end + item.trail;
        }
    }
}

/// The text in one value, which is asked for only where there are candidates.
pub(crate) struct Texts {
    value: Range<usize>,
    depth: usize,
    state: State,
}

// Boxed, a walk would cost an allocation for each value that holds others.
#[allow(clippy::large_enum_variant)]
enum State {
    New(Carries),
    Text,
    Nested(Walk),
    Unreadable(Unreadable),
}

impl Texts {
    /// Of the value at that place of a buffer, within `depth` other values.
    pub(crate) fn new(value: Range<usize>, carries: Carries, depth: usize) -> Self {
        Self {
            value,
            depth,
            state: State::New(carries),
        }
    }

    /// Why nothing of the value may pass, as far as it was looked at.
    pub(crate) fn unreadable(&self) -> Option<Unreadable> {
        match self.state {
            State::Unreadable(why) => Some(why),
            _ => None,
        }
    }

    fn open(&self, buf: &[u8], carries: Carries) -> State {
        match Walk::new(buf, &self.value, carries, self.depth) {
            Ok(None) => State::Text,
            Ok(Some(walk)) => State::Nested(walk),
            Err(why) => State::Unreadable(why),
        }
    }
}

impl Values for Texts {
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        if let State::New(carries) = self.state {
            self.state = self.open(buf, carries);
        }
        match &mut self.state {
            State::New(_) | State::Unreadable(_) => None,
            State::Text => Some(self.value.clone()),
            State::Nested(walk) => match walk.text_behind(buf, position) {
                Ok(text) => text.filter(|text| text.contains(&position)),
                Err(why) => {
                    self.state = State::Unreadable(why);
                    None
                }
            },
        }
    }
}

/// Masks a value that is there as a whole, and lies within `depth` others.
pub(crate) fn mask(
    value: &mut [u8],
    carries: Carries,
    depth: usize,
    classes: ClassSet,
    counts: &mut Counts,
) -> Result<(), Unreadable> {
    let mut texts = Texts::new(0..value.len(), carries, depth);
    sluice_masking::mask(value, classes, &mut texts, counts);
    texts.unreadable().map_or(Ok(()), Err)
}

/// Whether all of a value can be read.
pub(crate) fn check(value: &[u8], carries: Carries) -> Result<(), Unreadable> {
    let Some(mut walk) = Walk::new(value, &(0..value.len()), carries, 0)? else {
        return Ok(());
    };
    let mut position = 0;
    while let Some(text) = walk.text_behind(value, position)? {
        position = text.end;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
