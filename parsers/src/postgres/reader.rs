//! A cursor over a message body. Whatever it hands out is borrowed from the body.

use super::error::ProtocolError;

/// Reads a body front to back; `at` never passes the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let Some(bytes) = self.rest().first_chunk::<N>() else {
            return Err(ProtocolError::Truncated { at: self.at });
        };
        self.at += N;
        Ok(*bytes)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn i16(&mut self) -> Result<i16, ProtocolError> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, ProtocolError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Result<i32, ProtocolError> {
        self.array().map(i32::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A count of items, which the server reads unsigned: up to 65,535 parameters.
    #[inline]
    pub(super) fn count(&mut self) -> Result<u16, ProtocolError> {
        self.u16()
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], ProtocolError> {
        let Some((bytes, _)) = self.rest().split_at_checked(len) else {
            return Err(ProtocolError::Truncated { at: self.at });
        };
        self.at += len;
        Ok(bytes)
    }

    /// A value behind its length word; -1 is NULL.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, ProtocolError> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| ProtocolError::Count { value: len })?;
        self.bytes(len).map(Some)
    }

    /// A string up to its zero byte.
    #[inline]
    pub(super) fn string(&mut self) -> Result<&'a [u8], ProtocolError> {
        let rest = self.rest();
        let Some(len) = memchr::memchr(0, rest) else {
            return Err(ProtocolError::Unterminated);
        };
        self.at += len + 1;
        Ok(&rest[..len])
    }

    /// A slice of `count` format codes, each 0 or 1.
    pub(super) fn formats(&mut self) -> Result<Formats<'a>, ProtocolError> {
        let count = self.count()?;
        let codes = self.bytes(usize::from(count) * 2)?;
        for code in codes.as_chunks::<2>().0 {
            let value = i16::from_be_bytes(*code);
            if !(0..=1).contains(&value) {
                return Err(ProtocolError::Format { value });
            }
        }
        Ok(Formats(codes))
    }

    #[inline]
    pub(super) fn finish(&self) -> Result<(), ProtocolError> {
        match self.body.len() - self.at {
            0 => Ok(()),
            left => Err(ProtocolError::Trailing { left }),
        }
    }
}

/// Text or binary, as a column or parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Code 0.
    Text,
    /// Code 1.
    Binary,
}

impl Format {
    /// The format of a code.
    #[inline]
    pub fn from_code(value: i16) -> Result<Self, ProtocolError> {
        match value {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            value => Err(ProtocolError::Format { value }),
        }
    }
}

/// Format codes as sent: none (all text), one (for all), or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats<'a>(&'a [u8]);

impl Formats<'_> {
    /// How many codes were sent.
    #[inline]
    pub fn count(&self) -> u16 {
        u16::try_from(self.0.len() / 2).unwrap_or(u16::MAX)
    }

    /// The format of the item of that index; items behind the last code are text, as nothing else could be meant.
    #[inline]
    pub fn of(&self, index: u16) -> Format {
        let codes = self.0.as_chunks::<2>().0;
        let code = match codes {
            [] => None,
            [all] => Some(all),
            each => each.get(usize::from(index)),
        };
        match code {
            Some([0, 1]) => Format::Binary,
            _ => Format::Text,
        }
    }
}
