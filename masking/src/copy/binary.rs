//! The fields of COPY's binary format.
//!
//! Follows "COPY", "Binary Format" (PostgreSQL 17 docs): a signature with flags and an extension, then tuples of
//! counted fields with a length each, then -1 in place of a count. The walker keeps its place between pieces, so
//! fields and headers may be split anywhere; it decides nothing and changes nothing.

use std::ops::Range;

/// Why binary COPY data cannot be read. The caller ends the session: what is not understood is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The data does not begin as binary COPY data does.
    #[error("binary COPY data does not begin with its signature")]
    Signature,
    /// A flag changes the format in a way that is not known.
    #[error("binary COPY data has unknown critical flags {flags:#010x}")]
    Flags {
        /// The flags field.
        flags: u32,
    },
    /// The header's extension has a negative length.
    #[error("binary COPY header extension declares {length} bytes")]
    ExtensionLength {
        /// The length field.
        length: i32,
    },
    /// A tuple has a negative number of fields.
    #[error("binary COPY tuple declares {count} fields")]
    FieldCount {
        /// The count field.
        count: i16,
    },
    /// A field has a negative length that is not NULL's.
    #[error("binary COPY field declares {length} bytes")]
    FieldLength {
        /// The length field.
        length: i32,
    },
    /// Something follows the end marker.
    #[error("binary COPY data goes on after its end")]
    AfterEnd,
}

/// A field, or as much of it as lies in this piece. A NULL is no field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column's place in the row, counted from 0.
    pub place: usize,
    /// Where the bytes are in the piece.
    pub range: Range<usize>,
    /// How many the whole field has.
    pub bytes: usize,
    /// The field begins in this piece.
    pub first: bool,
    /// The field ends in this piece.
    pub last: bool,
}

impl Field {
    /// Whether the field lies in this piece from its first byte to its last.
    pub const fn is_whole(&self) -> bool {
        self.first && self.last
    }
}

/// Walks binary COPY data that is fed in pieces.
#[derive(Debug)]
pub struct BinaryRows {
    state: State,
    /// The bytes of a number or header that the pieces so far have.
    gathered: [u8; HEADER_BYTES],
    gathered_bytes: usize,
}

const SIGNATURE: [u8; 11] = *b"PGCOPY\n\xFF\r\n\0";
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
const CRITICAL_FLAGS: u32 = 0xFFFF_0000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Extension {
        left: u32,
    },
    FieldCount,
    FieldLength {
        place: u16,
        count: u16,
    },
    Content {
        place: u16,
        count: u16,
        bytes: u32,
        left: u32,
    },
    End,
}

impl Default for BinaryRows {
    fn default() -> Self {
        Self::new()
    }
}

impl BinaryRows {
    /// A walker at the start of the data, before its signature.
    pub const fn new() -> Self {
        Self {
            state: State::Header,
            gathered: [0; HEADER_BYTES],
            gathered_bytes: 0,
        }
    }

    /// The next field of `piece` from `at` on, which is moved behind it; `None` once the piece is used up.
    pub fn next(&mut self, piece: &[u8], at: &mut usize) -> Result<Option<Field>, CopyError> {
        loop {
            let rest = piece.get(*at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            match self.state {
                State::Header => {
                    let Some(header) = self.gather::<HEADER_BYTES>(rest, at) else {
                        return Ok(None);
                    };
                    self.state = State::Extension {
                        left: extension_bytes(&header)?,
                    };
                }
                State::Extension { left: 0 } => self.state = State::FieldCount,
                State::Extension { left } => {
                    let skipped = clamp(left, rest);
                    *at += skipped as usize;
                    self.state = State::Extension { left: left - skipped };
                }
                State::FieldCount => {
                    let Some(count) = self.gather(rest, at) else {
                        return Ok(None);
                    };
                    self.state = match i16::from_be_bytes(count) {
                        -1 => State::End,
                        0 => State::FieldCount,
                        count => {
                            let count = u16::try_from(count).map_err(|_| CopyError::FieldCount { count })?;
                            State::FieldLength { place: 0, count }
                        }
                    };
                }
                State::FieldLength { place, count } => {
                    let Some(length) = self.gather(rest, at) else {
                        return Ok(None);
                    };
                    match i32::from_be_bytes(length) {
                        -1 => self.state = State::after_field(place, count),
                        0 => {
                            self.state = State::after_field(place, count);
                            let place = usize::from(place);
                            return Ok(Some(Field {
                                place,
                                range: *at..*at,
                                bytes: 0,
                                first: true,
                                last: true,
                            }));
                        }
                        length => {
                            let bytes =
                                u32::try_from(length).map_err(|_| CopyError::FieldLength { length })?;
                            self.state = State::Content {
                                place,
                                count,
                                bytes,
                                left: bytes,
                            };
                        }
                    }
                }
                State::Content {
                    place,
                    count,
                    bytes,
                    left,
                } => {
                    let taken = clamp(left, rest);
                    let range = *at..*at + taken as usize;
                    *at = range.end;
                    let last = taken == left;
                    self.state = if last {
                        State::after_field(place, count)
                    } else {
                        State::Content {
                            place,
                            count,
                            bytes,
                            left: left - taken,
                        }
                    };
                    return Ok(Some(Field {
                        place: usize::from(place),
                        range,
                        bytes: bytes as usize,
                        first: left == bytes,
                        last,
                    }));
                }
                State::End => return Err(CopyError::AfterEnd),
            }
        }
    }

    /// Takes bytes until `N` of them are together; they may come from several pieces.
    fn gather<const N: usize>(&mut self, rest: &[u8], at: &mut usize) -> Option<[u8; N]> {
        let taken = rest.len().min(N - self.gathered_bytes);
        self.gathered[self.gathered_bytes..self.gathered_bytes + taken].copy_from_slice(&rest[..taken]);
        self.gathered_bytes += taken;
        *at += taken;
        if self.gathered_bytes < N {
            return None;
        }
        self.gathered_bytes = 0;
        self.gathered.first_chunk().copied()
    }
}

impl State {
    const fn after_field(place: u16, count: u16) -> Self {
        if place + 1 < count {
            Self::FieldLength {
                place: place + 1,
                count,
            }
        } else {
            Self::FieldCount
        }
    }
}

fn clamp(left: u32, rest: &[u8]) -> u32 {
    u32::try_from(rest.len()).map_or(left, |length| length.min(left))
}

fn extension_bytes(header: &[u8; HEADER_BYTES]) -> Result<u32, CopyError> {
    let (signature, numbers) = header.split_at(SIGNATURE.len());
    let (flags, length) = numbers.split_at(4);
    if signature != SIGNATURE {
        return Err(CopyError::Signature);
    }
    let flags = flags.iter().fold(0, |flags, byte| flags << 8 | u32::from(*byte));
    if flags & CRITICAL_FLAGS != 0 {
        return Err(CopyError::Flags { flags });
    }
    let length = length
        .iter()
        .fold(0, |length, byte| length << 8 | i32::from(*byte));
    u32::try_from(length).map_err(|_| CopyError::ExtensionLength { length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u32, extension: &[u8]) -> Vec<u8> {
        let mut data = SIGNATURE.to_vec();
        data.extend(flags.to_be_bytes());
        data.extend(u32::try_from(extension.len()).unwrap().to_be_bytes());
        data.extend(extension);
        data
    }

    fn tuple(data: &mut Vec<u8>, fields: &[Option<&[u8]>]) {
        data.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
        for field in fields {
            match field {
                Some(content) => {
                    data.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
                    data.extend(*content);
                }
                None => data.extend((-1_i32).to_be_bytes()),
            }
        }
    }

    /// All fields joined over the pieces, with their places.
    fn read(data: &[u8], size: usize) -> Result<Vec<(usize, Vec<u8>)>, CopyError> {
        let mut rows = BinaryRows::new();
        let mut fields: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut is_open = false;
        for piece in data.chunks(size) {
            let mut at = 0;
            while let Some(field) = rows.next(piece, &mut at)? {
                assert_eq!(field.first, !is_open);
                if field.first {
                    fields.push((field.place, Vec::new()));
                }
                let content = &mut fields.last_mut().unwrap().1;
                content.extend(&piece[field.range.clone()]);
                is_open = !field.last;
                assert_eq!(field.last, content.len() == field.bytes);
            }
            assert_eq!(at, piece.len());
        }
        Ok(fields)
    }

    #[test]
    fn every_split_gives_the_same_fields() {
        let mut data = header(1, b"extension");
        tuple(&mut data, &[Some(b"one"), None, Some(b""), Some(b"four")]);
        tuple(&mut data, &[]);
        tuple(&mut data, &[Some(b"five")]);
        data.extend((-1_i16).to_be_bytes());
        let want = [(0, &b"one"[..]), (2, b""), (3, b"four"), (0, b"five")];
        let want: Vec<_> = want
            .into_iter()
            .map(|(place, content)| (place, content.to_vec()))
            .collect();
        for size in 1..=data.len() {
            assert_eq!(read(&data, size).as_ref(), Ok(&want), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let with = |tail: &[u8]| [header(0, b""), tail.to_vec()].concat();
        let mut long = header(0, b"");
        long[15] = 0xFF;
        for (name, data, want) in [
            (
                "text",
                b"1\tsomebody@example.org\n".repeat(2),
                CopyError::Signature,
            ),
            (
                "oids",
                header(0x0001_0000, b""),
                CopyError::Flags { flags: 0x0001_0000 },
            ),
            (
                "extension",
                [long, vec![0]].concat(),
                CopyError::ExtensionLength { length: -0x0100_0000 },
            ),
            ("count", with(&[0xFF, 0xFE]), CopyError::FieldCount { count: -2 }),
            (
                "length",
                with(&[0, 1, 0xFF, 0xFF, 0xFF, 0xFE]),
                CopyError::FieldLength { length: -2 },
            ),
            ("after the end", with(&[0xFF, 0xFF, 0]), CopyError::AfterEnd),
        ] {
            for size in 1..=data.len() {
                assert_eq!(read(&data, size), Err(want), "{name}, pieces of {size}");
            }
        }
    }
}
