//! What a peer can get wrong, and the SQLSTATE that tells it so.
//!
//! The errors carry values; sentences for the wire are made where the `ErrorResponse` is written.

use std::fmt;

/// A five-character SQLSTATE (PostgreSQL documentation, appendix A).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// A message that breaks the protocol.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// The connection to the server was lost or could not be had.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// The server refused the connection or cannot be reached.
    pub const CONNECTION_REJECTED: Self = Self(*b"08004");
    /// Something of the protocol that is not supported.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// The identity was not proven.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// The identity may not connect.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// Denied by policy.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    /// A value or name that is not acceptable.
    pub const INVALID_PARAMETER_VALUE: Self = Self(*b"22023");
    /// A statement of that name does not exist.
    pub const INVALID_STATEMENT_NAME: Self = Self(*b"26000");
    /// A portal of that name does not exist.
    pub const INVALID_CURSOR_NAME: Self = Self(*b"34000");
    /// A message or statement over a limit.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    /// `configuration_limit_exceeded`
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self(*b"53400");
    /// Resources are short.
    pub const INSUFFICIENT_RESOURCES: Self = Self(*b"53000");
    /// No further connection is possible.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// The statement was cancelled.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `serialization_failure`
    pub const SERIALIZATION_FAILURE: Self = Self(*b"40001");
    /// `syntax_error`
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// The session is ended from outside.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// The gateway itself failed.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// Reads a SQLSTATE from its field, if it has five characters.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The five characters; anything that is not ASCII text becomes `?????`.
    pub fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.is_ascii() => text,
            _ => "?????",
        }
    }

    /// The first two characters, the class.
    pub fn class(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({})", self.as_str())
    }
}

/// A message that does not follow the protocol.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The length word is outside of what the protocol allows.
    #[error("message {:?} declares {len} bytes", char::from(*tag))]
    FrameLength {
        /// The message's type byte.
        tag: u8,
        /// The length word.
        len: u32,
    },
    /// The frame is longer than its reader takes.
    #[error("message {:?} of {len} bytes is over the limit of {limit} bytes", char::from(*tag))]
    FrameOverLimit {
        /// The message's type byte.
        tag: u8,
        /// The length word.
        len: u32,
        /// The most that is taken.
        limit: u32,
    },
    /// The names at the front of a message are longer than their reader takes.
    #[error("the names of a message {:?} are over the limit of {limit} bytes", char::from(*tag))]
    NamesOverLimit {
        /// The message's type byte.
        tag: u8,
        /// The most bytes that are taken.
        limit: usize,
    },
    /// The type byte is not one that this peer may send.
    #[error("message type 0x{tag:02x} is not known")]
    UnknownTag {
        /// The message's type byte.
        tag: u8,
    },
    /// The body ends before what it promises.
    #[error("message body ends early at byte {at}")]
    Truncated {
        /// Where in the body.
        at: usize,
    },
    /// Bytes are left over after the body's last field.
    #[error("{left} bytes are left over in a message")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A string has no zero byte at its end.
    #[error("a string is not terminated in a message")]
    Unterminated,
    /// A count or length is negative or impossible.
    #[error("a message has the count or length {value}")]
    Count {
        /// As sent.
        value: i32,
    },
    /// A format code is neither text (0) nor binary (1).
    #[error("a message has the format code {value}")]
    Format {
        /// As sent.
        value: i16,
    },
    /// The numbers of format codes and values do not agree.
    #[error("{formats} format codes for {values} values")]
    FormatCount {
        /// Format codes sent.
        formats: u16,
        /// Values sent.
        values: u16,
    },
    /// A byte that selects something has no such value.
    #[error("a message has the selector 0x{value:02x}")]
    Selector {
        /// As sent.
        value: u8,
    },
    /// A start-up packet's length is outside of 8 to 10,004.
    #[error("a start-up packet declares {len} bytes")]
    StartupLength {
        /// The length word.
        len: u32,
    },
    /// The start-up packet asks for a protocol that is not version 3.
    #[error("protocol {major}.{minor} is not supported")]
    Version {
        /// The major version.
        major: u16,
        /// The minor version.
        minor: u16,
    },
    /// The start-up packet's list of parameters is not well formed.
    #[error("the start-up packet's parameters are not well formed")]
    StartupLayout,
    /// Bytes were sent in the clear behind a request for encryption.
    #[error("{len} bytes were sent behind a request for encryption")]
    BytesBehindEncryptionRequest {
        /// How many.
        len: usize,
    },
    /// A request for encryption was answered before, or came inside of TLS.
    #[error("{request} was sent again or inside of TLS")]
    EncryptionRequestedAgain {
        /// The request's name.
        request: &'static str,
    },
    /// A statement, name or parameter that has to be UTF-8 is not.
    #[error("text is not valid UTF-8")]
    NotUtf8,
}

impl ProtocolError {
    /// The SQLSTATE for the `ErrorResponse`.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::FrameOverLimit { .. } | Self::NamesOverLimit { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::Version { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::NotUtf8 => SqlState(*b"22021"),
            _ => SqlState::PROTOCOL_VIOLATION,
        }
    }
}
