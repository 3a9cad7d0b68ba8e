//! Bodies of the server's messages, and the messages that the gateway sends to a client.
//!
//! Everything is borrowed from the body. Rows are walked, never collected: see [`row`].

pub mod encode;
pub mod row;

pub use super::reader::{Format, Formats};

use super::error::{ProtocolError, SqlState};
use super::frontend::Oids;
use super::reader::Reader;
use super::startup::CancelKey;

/// What the server wants to be authenticated with, or says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The client is who it says.
    Ok,
    /// The password in the clear.
    CleartextPassword,
    /// The password hashed with this salt.
    Md5Password {
        /// The salt.
        salt: [u8; 4],
    },
    /// One of these SASL mechanisms.
    Sasl(Mechanisms<'a>),
    /// The mechanism's next message.
    SaslContinue(&'a [u8]),
    /// The mechanism's last message.
    SaslFinal(&'a [u8]),
    /// A method that is not supported (Kerberos, GSSAPI, SSPI ...).
    Other {
        /// The method's code.
        code: u32,
    },
}

impl<'a> Authentication<'a> {
    /// Reads the body of an Authentication message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let this = match reader.u32()? {
            0 => Self::Ok,
            3 => Self::CleartextPassword,
            5 => {
                let salt = reader.u32()?.to_be_bytes();
                Self::Md5Password { salt }
            }
            10 => return Mechanisms::read(reader).map(Self::Sasl),
            11 => return Ok(Self::SaslContinue(reader.rest())),
            12 => return Ok(Self::SaslFinal(reader.rest())),
            code => return Ok(Self::Other { code }),
        };
        reader.finish()?;
        Ok(this)
    }
}

/// The names of SASL mechanisms, in the order of the server's preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanisms<'a>(&'a [u8]);

impl<'a> Mechanisms<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, ProtocolError> {
        let list = reader.rest();
        while !reader.string()?.is_empty() {}
        reader.finish()?;
        Ok(Self(list))
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.0
            .split(|&byte| byte == 0)
            .take_while(|name| !name.is_empty())
    }
}

/// Reads the body of a `BackendKeyData` message of protocol 3.0.
pub fn backend_key_data(body: &[u8]) -> Result<CancelKey, ProtocolError> {
    let mut reader = Reader::new(body);
    let key = CancelKey {
        process: reader.u32()?,
        secret: reader.u32()?,
    };
    reader.finish()?;
    Ok(key)
}

/// A setting that the server reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> ParameterStatus<'a> {
    /// Reads the body of a `ParameterStatus` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let this = Self {
            name: reader.string()?,
            value: reader.string()?,
        };
        reader.finish()?;
        Ok(this)
    }
}

/// The columns of the rows to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowDescription<'a> {
    count: u16,
    fields: &'a [u8],
}

impl<'a> RowDescription<'a> {
    /// Reads the body of a `RowDescription` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let count = reader.count()?;
        let fields = reader.rest();
        for _ in 0..count {
            Column::read(&mut reader)?;
        }
        reader.finish()?;
        Ok(Self { count, fields })
    }

    /// How many columns.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The columns.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + 'a {
        let mut reader = Reader::new(self.fields);
        (0..self.count).map_while(move |_| Column::read(&mut reader).ok())
    }
}

/// One column of a `RowDescription`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// As the result names it.
    pub name: &'a [u8],
    /// The table that the column is of; 0 is none.
    pub table_oid: u32,
    /// The column's number in that table; 0 is none, system columns are negative.
    pub column_number: i16,
    /// The type.
    pub type_oid: u32,
    /// The type's length; negative is variable.
    pub type_len: i16,
    /// The type's modifier.
    pub type_modifier: i32,
    /// The format. In the answer to a Describe of a statement it is not yet known, and text.
    pub format: Format,
}

impl<'a> Column<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ProtocolError> {
        Ok(Self {
            name: reader.string()?,
            table_oid: reader.u32()?,
            column_number: reader.i16()?,
            type_oid: reader.u32()?,
            type_len: reader.i16()?,
            type_modifier: reader.i32()?,
            format: Format::from_code(reader.i16()?)?,
        })
    }
}

/// Reads the body of a `ParameterDescription` message.
pub fn parameter_description(body: &[u8]) -> Result<Oids<'_>, ProtocolError> {
    let mut reader = Reader::new(body);
    let count = reader.count()?;
    let types = Oids::read(&mut reader, count)?;
    reader.finish()?;
    Ok(types)
}

/// The end of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The command's tag, its numbers included: `INSERT 0 5`.
    pub tag: &'a [u8],
    /// The number at the tag's end, for commands that count rows.
    pub rows: Option<u64>,
}

impl<'a> CommandComplete<'a> {
    /// Reads the body of a `CommandComplete` message.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let tag = reader.string()?;
        reader.finish()?;
        Ok(Self {
            tag,
            rows: trailing_number(tag),
        })
    }
}

#[inline]
fn trailing_number(tag: &[u8]) -> Option<u64> {
    let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (word, number) = tag.split_at(tag.len() - digits);
    if digits == 0 || word.last() != Some(&b' ') {
        return None;
    }
    number.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The transaction's state at the end of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: in no transaction block.
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
    /// `E`: in a failed transaction block.
    Failed,
}

impl TransactionStatus {
    /// The status of its byte.
    #[inline]
    pub fn from_byte(value: u8) -> Result<Self, ProtocolError> {
        match value {
            b'I' => Ok(Self::Idle),
            b'T' => Ok(Self::InTransaction),
            b'E' => Ok(Self::Failed),
            value => Err(ProtocolError::Selector { value }),
        }
    }

    /// The byte of the status.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Reads the body of a `ReadyForQuery` message.
#[inline]
pub fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, ProtocolError> {
    let mut reader = Reader::new(body);
    let status = TransactionStatus::from_byte(reader.u8()?)?;
    reader.finish()?;
    Ok(status)
}

/// The begin of COPY data in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// Whether the whole is text (lines) or binary.
    pub format: Format,
    /// The columns' formats, one for each.
    pub column_formats: Formats<'a>,
}

impl<'a> CopyResponse<'a> {
    /// Reads the body of a `CopyInResponse`, `CopyOutResponse` or `CopyBothResponse` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let format = Format::from_code(reader.u8()?.into())?;
        let column_formats = reader.formats()?;
        reader.finish()?;
        Ok(Self {
            format,
            column_formats,
        })
    }
}

/// A notification of LISTEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The server process that notified.
    pub process: u32,
    /// The channel.
    pub channel: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Reads the body of a `NotificationResponse` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let this = Self {
            process: reader.u32()?,
            channel: reader.string()?,
            payload: reader.string()?,
        };
        reader.finish()?;
        Ok(this)
    }
}

/// Reads the body of a `FunctionCallResponse` message; NULL is none.
pub fn function_call_response(body: &[u8]) -> Result<Option<&[u8]>, ProtocolError> {
    let mut reader = Reader::new(body);
    let value = reader.value()?;
    reader.finish()?;
    Ok(value)
}

/// The newest protocol and the options that the server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiateProtocolVersion {
    /// The newest version that the server speaks, major and minor.
    pub version: u32,
    /// How many options it does not know.
    pub unknown_options: u32,
}

impl NegotiateProtocolVersion {
    /// Reads the body of a `NegotiateProtocolVersion` message.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let version = reader.u32()?;
        let unknown_options = reader.u32()?;
        for _ in 0..unknown_options {
            reader.string()?;
        }
        reader.finish()?;
        Ok(Self {
            version,
            unknown_options,
        })
    }
}

/// The fields of an `ErrorResponse` or `NoticeResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a>(&'a [u8]);

/// One field of an `ErrorResponse` or `NoticeResponse`, with its place in the body, so that it can be changed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's kind: `b'M'` is the message.
    pub kind: u8,
    /// The text.
    pub value: &'a [u8],
    /// Where in the body the text begins.
    pub start: usize,
}

impl<'a> Fields<'a> {
    /// Reads the body of an `ErrorResponse` or `NoticeResponse` message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        while reader.u8()? != 0 {
            reader.string()?;
        }
        reader.finish()?;
        Ok(Self(body))
    }

    /// The fields in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + 'a {
        fields(self.0)
    }

    /// The text of the first field of that kind.
    pub fn of(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter()
            .find(|field| field.kind == kind)
            .map(|field| field.value)
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> Option<SqlState> {
        self.of(b'C').and_then(SqlState::from_bytes)
    }

    /// The primary message.
    pub fn message(&self) -> Option<&'a [u8]> {
        self.of(b'M')
    }

    /// Whether the server ends the session with it.
    pub fn is_fatal(&self) -> bool {
        is_fatal(self.0)
    }
}

/// The fields that lie whole in the first bytes of a body.
#[inline]
fn fields(first_bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut reader = Reader::new(first_bytes);
    std::iter::from_fn(move || {
        let kind = reader.u8().ok().filter(|&kind| kind != 0)?;
        let start = reader.at();
        let value = reader.string().ok()?;
        Some(Field { kind, value, start })
    })
}

/// Whether the first bytes of an error say FATAL or PANIC in the field that is never translated.
pub(super) fn is_fatal(first_bytes: &[u8]) -> bool {
    fields(first_bytes).any(|field| field.kind == b'V' && matches!(field.value, b"FATAL" | b"PANIC"))
}

/// The SQLSTATE, if it lies in the first bytes of an error.
pub(super) fn sqlstate_of(first_bytes: &[u8]) -> Option<SqlState> {
    fields(first_bytes)
        .find(|field| field.kind == b'C')
        .and_then(|field| SqlState::from_bytes(field.value))
}

#[cfg(test)]
mod tests;
