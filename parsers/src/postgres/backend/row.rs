//! Walks the fields of `DataRow` messages, whole or in parts.

use super::ProtocolError;

/// Walks a `DataRow` body that is whole. Places are offsets in the body.
///
/// ```
/// use sluice_parsers::postgres::backend::row::{Fields, Place};
///
/// let body = b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff";
/// let mut fields = Fields::parse(body)?;
/// assert_eq!(fields.count(), 2);
/// assert_eq!(fields.next_field()?, Some(Place::Value { start: 6, end: 8 }));
/// assert_eq!(fields.next_field()?, Some(Place::Null));
/// assert_eq!(fields.next_field()?, None);
/// # Ok::<(), sluice_parsers::postgres::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    body: &'a [u8],
    at: usize,
    count: u16,
    left: u16,
}

/// Where a field's value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// NULL has no bytes.
    Null,
    /// At `start..end` of the body.
    Value {
        /// First byte.
        start: usize,
        /// Behind the last byte.
        end: usize,
    },
}

impl<'a> Fields<'a> {
    /// Reads the count of fields.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let Some(count) = body.first_chunk::<2>() else {
            return Err(ProtocolError::Truncated { at: body.len() });
        };
        let count = u16::from_be_bytes(*count);
        Ok(Self {
            body,
            at: 2,
            count,
            left: count,
        })
    }

    /// How many fields the row has.
    #[inline]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The next field; none behind the last one. Bytes left over behind it are an error.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<Place>, ProtocolError> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if self.left == 0 {
            return match rest.len() {
                0 => Ok(None),
                left => Err(ProtocolError::Trailing { left }),
            };
        }
        let Some(word) = rest.first_chunk::<4>() else {
            return Err(ProtocolError::Truncated { at: self.at });
        };
        let start = self.at + 4;
        let len = i32::from_be_bytes(*word);
        if let Ok(len) = usize::try_from(len) {
            if len > rest.len() - 4 {
                return Err(ProtocolError::Truncated { at: start });
            }
            self.at = start + len;
            self.left -= 1;
            return Ok(Some(Place::Value {
                start,
                end: start + len,
            }));
        }
        if len != -1 {
            return Err(ProtocolError::Count { value: len });
        }
        self.at = start;
        self.left -= 1;
        Ok(Some(Place::Null))
    }
}

/// Walks a `DataRow` body that comes in parts, however small. Places are offsets in the part.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartWalk {
    state: PartState,
    index: u16,
    left: u16,
}

#[derive(Clone, Copy, Debug)]
enum PartState {
    Count { read: u8, value: [u8; 2] },
    Length { read: u8, value: [u8; 4] },
    Value { len: usize, left: usize },
    Done,
}

impl Default for PartState {
    fn default() -> Self {
        Self::Count {
            read: 0,
            value: [0; 2],
        }
    }
}

/// What lies next in a part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartPiece {
    /// The field of that index is NULL.
    Null {
        /// The field's index.
        index: u16,
    },
    /// Bytes of a field's value at `start..end` of the part; none for an empty value.
    Value {
        /// The field's index.
        index: u16,
        /// First byte.
        start: usize,
        /// Behind the last byte.
        end: usize,
        /// The value begins here.
        first: bool,
        /// The value ends here.
        last: bool,
        /// Bytes of the whole value.
        len: usize,
    },
    /// The part is used up.
    NeedMore,
}

impl PartWalk {
    /// A walk at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the body has been walked to its end.
    pub fn is_done(&self) -> bool {
        matches!(self.state, PartState::Done)
    }

    /// The next piece of `part` from `*at` on; call it until it gives [`PartPiece::NeedMore`].
    pub fn next(&mut self, part: &[u8], at: &mut usize) -> Result<PartPiece, ProtocolError> {
        loop {
            let rest = part.get(*at..).unwrap_or_default();
            match &mut self.state {
                PartState::Count { read, value } => {
                    if !fill(value, read, rest, at) {
                        return Ok(PartPiece::NeedMore);
                    }
                    self.left = u16::from_be_bytes(*value);
                    self.state = following(self.left);
                }
                PartState::Length { read, value } => {
                    if !fill(value, read, rest, at) {
                        return Ok(PartPiece::NeedMore);
                    }
                    let value = i32::from_be_bytes(*value);
                    if value == -1 {
                        return Ok(PartPiece::Null {
                            index: self.finish_field(),
                        });
                    }
                    let len = usize::try_from(value).map_err(|_| ProtocolError::Count { value })?;
                    if len == 0 {
                        let index = self.finish_field();
                        return Ok(PartPiece::Value {
                            index,
                            start: *at,
                            end: *at,
                            first: true,
                            last: true,
                            len,
                        });
                    }
                    self.state = PartState::Value { len, left: len };
                }
                PartState::Value { len, left } => {
                    if rest.is_empty() {
                        return Ok(PartPiece::NeedMore);
                    }
                    let (len, start) = (*len, *at);
                    let first = *left == len;
                    let taken = rest.len().min(*left);
                    *left -= taken;
                    *at = start + taken;
                    let last = *left == 0;
                    let index = if last { self.finish_field() } else { self.index };
                    return Ok(PartPiece::Value {
                        index,
                        start,
                        end: *at,
                        first,
                        last,
                        len,
                    });
                }
                PartState::Done => {
                    return match rest.len() {
                        0 => Ok(PartPiece::NeedMore),
                        left => Err(ProtocolError::Trailing { left }),
                    };
                }
            }
        }
    }

    fn finish_field(&mut self) -> u16 {
        let index = self.index;
        self.index = self.index.wrapping_add(1);
        self.left -= 1;
        self.state = following(self.left);
        index
    }
}

fn following(left: u16) -> PartState {
    match left {
        0 => PartState::Done,
        _ => PartState::Length {
            read: 0,
            value: [0; 4],
        },
    }
}

/// Moves bytes into `value` until it is full; false if `rest` ends before.
fn fill<const N: usize>(value: &mut [u8; N], read: &mut u8, rest: &[u8], at: &mut usize) -> bool {
    let missing = value.get_mut(usize::from(*read)..).unwrap_or_default();
    for (slot, byte) in missing.iter_mut().zip(rest) {
        *slot = *byte;
        *read += 1;
        *at += 1;
    }
    usize::from(*read) == N
}
