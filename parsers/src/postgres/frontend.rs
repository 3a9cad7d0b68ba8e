//! Bodies of the client's messages, and the messages that the gateway sends to a server.
//!
//! Everything is borrowed from the body. A body is checked to its last byte before it is given out, so that the server
//! sees what was judged. Where a body may be too large to hold (Bind, `FunctionCall`), its head can be read from a part.

pub mod encode;

pub use super::reader::{Format, Formats};

use super::error::ProtocolError;
use super::reader::Reader;

/// Bytes of a statement's or portal's name that count: the server cuts longer names to `NAMEDATALEN - 1` in its tables,
/// so two names that differ only behind that are one.
pub const NAME_BYTES_MAX: usize = 63;

/// The part of a statement's or portal's name that counts.
#[inline]
pub fn name_key(name: &[u8]) -> &[u8] {
    name.get(..NAME_BYTES_MAX).unwrap_or(name)
}

/// The text of a Query message.
#[inline]
pub fn query(body: &[u8]) -> Result<&[u8], ProtocolError> {
    let mut reader = Reader::new(body);
    let sql = reader.string()?;
    reader.finish()?;
    Ok(sql)
}

/// The text of a `CopyFail` message.
#[inline]
pub fn copy_fail(body: &[u8]) -> Result<&[u8], ProtocolError> {
    query(body)
}

/// A message that has no body: Sync, Flush, `CopyDone`, Terminate.
#[inline]
pub fn empty(body: &[u8]) -> Result<(), ProtocolError> {
    Reader::new(body).finish()
}

/// Prepares a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty is the unnamed one.
    pub name: &'a [u8],
    /// The text.
    pub sql: &'a [u8],
    /// The declared types of the first parameters; 0 is undeclared.
    pub parameter_types: Oids<'a>,
}

impl<'a> Parse<'a> {
    /// Reads the body of a Parse message.
    #[expect(
        clippy::self_named_constructors,
        reason = "every body is read by `parse`, that of Parse too"
    )]
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let name = reader.string()?;
        let sql = reader.string()?;
        let count = reader.count()?;
        let parameter_types = Oids(reader.bytes(usize::from(count) * 4)?);
        reader.finish()?;
        Ok(Self {
            name,
            sql,
            parameter_types,
        })
    }
}

/// Type OIDs as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Oids<'a>(&'a [u8]);

impl<'a> Oids<'a> {
    /// The bytes as sent, four each: a key for caches.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len() / 4
    }

    /// The OIDs.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        self.0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_be_bytes(*word))
    }

    pub(super) fn read(reader: &mut Reader<'a>, count: u16) -> Result<Self, ProtocolError> {
        reader.bytes(usize::from(count) * 4).map(Self)
    }
}

/// The names at the head of a Bind message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindHead<'a> {
    /// The portal to be made; empty is the unnamed one.
    pub portal: &'a [u8],
    /// The statement to be bound.
    pub statement: &'a [u8],
}

impl<'a> BindHead<'a> {
    /// Reads the head from the first bytes of a body; none if the names do not end within them.
    pub fn parse(first_bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(first_bytes);
        let portal = reader.string().ok()?;
        let statement = reader.string().ok()?;
        Some(Self { portal, statement })
    }
}

/// Binds a statement's parameters and makes a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal to be made; empty is the unnamed one.
    pub portal: &'a [u8],
    /// The statement to be bound.
    pub statement: &'a [u8],
    /// The parameters' formats.
    pub parameter_formats: Formats<'a>,
    /// The parameters' values.
    pub parameters: Values<'a>,
    /// The result columns' formats.
    pub result_formats: Formats<'a>,
}

impl<'a> Bind<'a> {
    /// Reads the body of a Bind message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let portal = reader.string()?;
        let statement = reader.string()?;
        let parameter_formats = reader.formats()?;
        let parameters = Values::read(&mut reader)?;
        let (formats, values) = (parameter_formats.count(), parameters.count());
        if formats > 1 && formats != values {
            return Err(ProtocolError::FormatCount { formats, values });
        }
        let result_formats = reader.formats()?;
        reader.finish()?;
        Ok(Self {
            portal,
            statement,
            parameter_formats,
            parameters,
            result_formats,
        })
    }
}

/// Values behind length words, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ProtocolError> {
        let count = reader.count()?;
        let rest = reader.rest();
        let start = reader.at();
        for _ in 0..count {
            reader.value()?;
        }
        let bytes = rest.get(..reader.at() - start).unwrap_or_default();
        Ok(Self { count, bytes })
    }

    /// How many.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The values; NULL is none.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + 'a {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| reader.value().ok())
    }
}

/// A statement or a portal, as Describe and Close name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

impl<'a> Target<'a> {
    /// Reads the body of a Describe or Close message.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let kind = reader.u8()?;
        let name = reader.string()?;
        reader.finish()?;
        match kind {
            b'S' => Ok(Self::Statement(name)),
            b'P' => Ok(Self::Portal(name)),
            value => Err(ProtocolError::Selector { value }),
        }
    }
}

/// Runs a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal.
    pub portal: &'a [u8],
    /// The most rows to be sent; zero or negative is no limit.
    pub rows_max: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body of an Execute message.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let portal = reader.string()?;
        let rows_max = reader.i32()?;
        reader.finish()?;
        Ok(Self { portal, rows_max })
    }
}

/// Calls a function by its OID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function.
    pub function: u32,
    /// The arguments' formats.
    pub argument_formats: Formats<'a>,
    /// The arguments.
    pub arguments: Values<'a>,
    /// The result's format.
    pub result_format: Format,
}

impl<'a> FunctionCall<'a> {
    /// Reads the body of a `FunctionCall` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let function = reader.u32()?;
        let argument_formats = reader.formats()?;
        let arguments = Values::read(&mut reader)?;
        let (formats, values) = (argument_formats.count(), arguments.count());
        if formats > 1 && formats != values {
            return Err(ProtocolError::FormatCount { formats, values });
        }
        let result_format = Format::from_code(reader.i16()?)?;
        reader.finish()?;
        Ok(Self {
            function,
            argument_formats,
            arguments,
            result_format,
        })
    }

    /// Reads the function from the first bytes of a body.
    pub fn function_of(first_bytes: &[u8]) -> Option<u32> {
        Reader::new(first_bytes).u32().ok()
    }
}

/// The text of a `PasswordMessage`: a secret, borrowed and not copied.
pub fn password(body: &[u8]) -> Result<&[u8], ProtocolError> {
    query(body)
}

/// The first answer of a SASL exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// The mechanism that the client chose.
    pub mechanism: &'a [u8],
    /// The mechanism's first message, if it was sent along.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitialResponse<'a> {
    /// Reads the body of a `SASLInitialResponse` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let mechanism = reader.string()?;
        let data = reader.value()?;
        reader.finish()?;
        Ok(Self { mechanism, data })
    }
}

#[cfg(test)]
mod tests;
