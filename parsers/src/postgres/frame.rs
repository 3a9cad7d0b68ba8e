//! Version 3 frames: type byte, length word, body.
//!
//! Follows "Messages Formats" of the PostgreSQL documentation. The length word counts itself but not the type byte.
//! Start-up packets have no type byte: see `startup`. The limits are the server's (`libpq/pqcomm.c`), so that what it
//! would refuse is refused here first.

use super::error::ProtocolError;

/// Bytes of the type byte and the length word.
pub const HEADER_BYTES: usize = 5;

/// The largest length word: the server's `PQ_LARGE_MESSAGE_LIMIT`.
pub const FRAME_LEN_MAX: u32 = 0x3fff_fffe;

/// The largest length word of messages that are small by nature: the server's `PQ_SMALL_MESSAGE_LIMIT`.
pub const FRAME_LEN_SMALL: u32 = 10_000;

/// The largest length word of a password, token or SASL answer: 64 KiB and room for what stands around it.
pub const FRAME_LEN_PASSWORD: u32 = 64 * 1024 + 256;

/// A frame's type byte and length word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub tag: u8,
    /// The length word; `4 <= len <= FRAME_LEN_MAX`.
    pub len: u32,
}

impl Header {
    /// Bytes of the whole frame, header included.
    #[inline]
    pub fn frame_len(self) -> usize {
        self.len as usize + 1
    }

    /// Bytes of the body.
    #[inline]
    pub fn body_len(self) -> usize {
        self.len as usize - 4
    }
}

/// Reads a header.
#[inline]
pub fn parse_header(bytes: &[u8; HEADER_BYTES]) -> Result<Header, ProtocolError> {
    let [tag, word @ ..] = *bytes;
    let len = u32::from_be_bytes(word);
    if !(4..=FRAME_LEN_MAX).contains(&len) {
        return Err(ProtocolError::FrameLength { tag, len });
    }
    Ok(Header { tag, len })
}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The type byte.
    pub tag: u8,
    /// What follows the length word.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame that a [`Deframer`](super::Deframer) has cut out, header included.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let Some((head, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(ProtocolError::Truncated { at: bytes.len() });
        };
        let header = parse_header(head)?;
        if body.len() < header.body_len() {
            return Err(ProtocolError::Truncated { at: bytes.len() });
        }
        if body.len() > header.body_len() {
            return Err(ProtocolError::Trailing {
                left: body.len() - header.body_len(),
            });
        }
        Ok(Self {
            tag: header.tag,
            body,
        })
    }
}

/// The largest length word that the server takes from a client for this type byte; an unknown one is an error.
#[inline]
pub fn frontend_len_max(tag: u8) -> Result<u32, ProtocolError> {
    match tag {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Ok(FRAME_LEN_MAX),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => Ok(FRAME_LEN_SMALL),
        b'p' => Ok(FRAME_LEN_PASSWORD),
        tag => Err(ProtocolError::UnknownTag { tag }),
    }
}

/// Whether a server may send this type byte.
#[inline]
pub fn is_backend_tag(tag: u8) -> bool {
    matches!(
        tag,
        b'R' | b'K'
            | b'2'
            | b'3'
            | b'C'
            | b'd'
            | b'c'
            | b'G'
            | b'H'
            | b'W'
            | b'D'
            | b'I'
            | b'E'
            | b'V'
            | b'v'
            | b'n'
            | b'N'
            | b'A'
            | b't'
            | b'S'
            | b'1'
            | b's'
            | b'Z'
            | b'T'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for (name, input, want) in [
            ("sync", *b"S\0\0\0\x04", Ok(Header { tag: b'S', len: 4 })),
            (
                "length below 4",
                *b"Q\0\0\0\x03",
                Err(ProtocolError::FrameLength { tag: b'Q', len: 3 }),
            ),
            (
                "length zero",
                *b"Q\0\0\0\0",
                Err(ProtocolError::FrameLength { tag: b'Q', len: 0 }),
            ),
            (
                "length negative",
                *b"Q\xff\xff\xff\xff",
                Err(ProtocolError::FrameLength {
                    tag: b'Q',
                    len: u32::MAX,
                }),
            ),
            (
                "largest",
                *b"d\x3f\xff\xff\xfe",
                Ok(Header {
                    tag: b'd',
                    len: FRAME_LEN_MAX,
                }),
            ),
            (
                "one over the largest",
                *b"d\x3f\xff\xff\xff",
                Err(ProtocolError::FrameLength {
                    tag: b'd',
                    len: FRAME_LEN_MAX + 1,
                }),
            ),
        ] {
            assert_eq!(parse_header(&input), want, "{name}");
        }
    }

    #[test]
    fn whole_frames() {
        for (name, input, want) in [
            (
                "empty body",
                &b"S\0\0\0\x04"[..],
                Ok(Frame { tag: b'S', body: b"" }),
            ),
            (
                "a body",
                b"Z\0\0\0\x05I",
                Ok(Frame {
                    tag: b'Z',
                    body: b"I",
                }),
            ),
            ("header cut", b"Z\0\0\0", Err(ProtocolError::Truncated { at: 4 })),
            (
                "body cut",
                b"Z\0\0\0\x06I",
                Err(ProtocolError::Truncated { at: 6 }),
            ),
            (
                "a byte too many",
                b"Z\0\0\0\x05II",
                Err(ProtocolError::Trailing { left: 1 }),
            ),
        ] {
            assert_eq!(Frame::from_bytes(input), want, "{name}");
        }
    }
}
