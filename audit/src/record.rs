//! Audit records: what is recorded, and the bytes it becomes.
//!
//! A record is a fixed header and then fields, each a word (tag in the low byte, length above it) and its bytes:
//!
//! ```text
//!  0  u32  length of the whole record, unpadded; in the ring this word is stored last
//!  4  u32  CRC-32C of everything after it
//!  8  u64  sequence, counted by the core from 1
//! 16  u64  time, Unix nanoseconds
//! 24  u64  session, 0 for none
//! 32  u64  statement, 0 for none
//! 40  u16  kind
//! 42  u16  zero
//! 44       fields
//! ```
//!
//! Records follow each other at multiples of 8 bytes, the padding is zero. All words are little-endian. A reader skips
//! kinds and fields that it does not know, and an integer may grow by being longer; a field never changes its meaning.
//! The same structures go in and come out, borrowing both ways, so encoding a record allocates nothing.
//!
//! What a client controls is bytes; what the gateway or its operator named is text. Long values are cut, never refused:
//! a record always fits [`RECORD_LEN_MAX`].

mod codes;
mod decode;
mod encode;
mod list;

pub use codes::{Decision, EndReason, EventKind, Method, Outcome, Protocol, SealCause, Severity};
pub(crate) use decode::with_checksums;
pub use decode::{RecordError, check, decode, fuzz_record};
pub use encode::{Encoder, crc32c};
pub use list::{List, ListBuffer, ListIter};

/// Where fields begin.
pub const HEADER_LEN: usize = 44;
/// The longest record, padding included.
pub const RECORD_LEN_MAX: usize = 128 << 10;
/// The most of a statement's text that is recorded, whatever the configuration says.
pub const TEXT_LEN_MAX: usize = 64 << 10;
/// The most of an identity's claims that is recorded.
pub const CLAIMS_LEN_MAX: usize = 24 << 10;
/// The most of a list (groups, startup parameters, effects) that is recorded.
pub const LIST_LEN_MAX: usize = 8 << 10;
/// The most of any other value.
pub const VALUE_LEN_MAX: usize = 1 << 10;
/// An end record is never longer: so much room is kept in the ring for each begin.
pub const END_LEN_MAX: usize = 320;
/// A session's end record is never longer.
pub const SESSION_END_LEN_MAX: usize = 320 + VALUE_LEN_MAX;

/// Classes of data that masked values are counted by, in the masker's order.
pub const CLASS_NAMES: [&str; 8] = [
    "email",
    "payment_card",
    "us_ssn",
    "ipv4",
    "iban",
    "aws_key",
    "github_token",
    "jwt",
];
/// The actions of a statement's mask, in the order of their bits.
pub const ACTION_NAMES: [&str; 20] = [
    "Read",
    "Filter",
    "Insert",
    "Update",
    "Delete",
    "Truncate",
    "Create",
    "Alter",
    "Drop",
    "Grant",
    "Execute",
    "Copy",
    "Set",
    "SetRole",
    "Replicate",
    "Admin",
    "Lock",
    "Notify",
    "Leak",
    "Opaque",
];
/// The flags of a statement's mask, in the order of their bits.
pub const FLAG_NAMES: [&str; 12] = [
    "unfiltered",
    "program",
    "file",
    "foreign",
    "other_user",
    "cascade",
    "harmless",
    "lexing",
    "catalog",
    "uncertain",
    "sensitive",
    "rows",
];

/// How a line begins that stands for effects that are left out.
pub const LEFT_OUT: &str = "... ";

/// What records of this version tell, counted up when a reader may conclude more from them. From 1 on a line of an effect
/// has one reading, and what was asked or claimed beyond what is recorded is told.
pub const FORM: u8 = 1;

/// Zeroes that the encoder writes behind every record.
const PADDING_LEN: usize = 8;

const _: () = assert!(
    TEXT_LEN_MAX + 2 * LIST_LEN_MAX + CLAIMS_LEN_MAX + 16 * VALUE_LEN_MAX + PADDING_LEN <= RECORD_LEN_MAX
);

/// What happened, when, in which session and statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Unix time in nanoseconds.
    pub time_ns: u64,
    /// The session, unique within the process start; 0 if the record belongs to none.
    pub session: u64,
    /// The statement within its session, from 1; 0 if the record belongs to none.
    pub statement: u64,
    /// What happened.
    pub body: Body<'a>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// An identity was verified and the session to the server begins.
    SessionStart(SessionStart<'a>),
    /// The session is over.
    SessionEnd(SessionEnd<'a>),
    /// A statement was decided; if it was allowed, its first byte goes up after this is committed.
    StatementBegin(StatementBegin<'a>),
    /// What became of the statement.
    StatementEnd(StatementEnd),
    /// Something else worth a record.
    Event(Event<'a>),
    /// The chain's last record.
    Seal(Seal),
    /// A kind that this version does not know.
    Unknown {
        /// Its number.
        kind: u16,
    },
}

impl Body<'_> {
    /// The number in the record's header.
    pub fn kind(&self) -> u16 {
        match self {
            Self::SessionStart(_) => 1,
            Self::SessionEnd(_) => 2,
            Self::StatementBegin(_) => 3,
            Self::StatementEnd(_) => 4,
            Self::Event(_) => 5,
            Self::Seal(_) => 6,
            Self::Unknown { kind } => *kind,
        }
    }
}

/// Who came, from where, to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStart<'a> {
    /// The identity's issuer.
    pub issuer: &'a str,
    /// The identity's subject.
    pub subject: &'a str,
    /// How it was proven.
    pub method: Method,
    /// The identity's groups.
    pub groups: List<'a>,
    /// The token's claims as JSON, cut at [`CLAIMS_LEN_MAX`].
    pub claims: &'a [u8],
    /// Address and port of the client.
    pub client: &'a str,
    /// The listener's name.
    pub listener: &'a str,
    /// The connection's name.
    pub connection: &'a str,
    /// The database.
    pub database: &'a [u8],
    /// The user name towards the server.
    pub server_user: &'a str,
    /// Names and values of the startup packet, in turn.
    pub startup: List<'a>,
    /// Protocol version and cipher suite towards the client; empty without TLS.
    pub tls: &'a str,
    /// What the client calls itself: a claim, not a fact.
    pub application_name: &'a [u8],
    /// What there is more of.
    pub cut: Cut,
    /// What the session's records tell: [`FORM`] or an earlier one; 0 for those that were written before there were forms.
    pub form: u8,
}

/// What of an identity or a client is more than its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// The issuer claimed more than the gateway kept.
    pub claims: bool,
    /// The identity is in more groups.
    pub groups: bool,
    /// The startup packet had more parameters.
    pub startup: bool,
}

impl Cut {
    /// The bits in the record.
    const fn bits(self) -> u8 {
        self.claims as u8 | (self.groups as u8) << 1 | (self.startup as u8) << 2
    }

    /// What the bits of a record say.
    const fn from_bits(bits: u8) -> Self {
        Self {
            claims: bits & 1 != 0,
            groups: bits & 1 << 1 != 0,
            startup: bits & 1 << 2 != 0,
        }
    }
}

/// How a session ended, and its totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionEnd<'a> {
    /// Why.
    pub reason: EndReason,
    /// What there is to add for people.
    pub detail: &'a str,
    /// Statements begun.
    pub statements: u64,
    /// Statements denied.
    pub denied: u64,
    /// Rows sent to the client.
    pub rows: u64,
    /// Bytes sent to the client.
    pub bytes: u64,
    /// Values masked, by class.
    pub masked: [u64; 8],
}

/// A statement and the decision on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatementBegin<'a> {
    /// How it came.
    pub protocol: Protocol,
    /// Its place in a message of several statements, from 0.
    pub part: u16,
    /// The statement's text. Cut by the encoder; after decoding, what was recorded.
    pub text: &'a [u8],
    /// Length of the whole text if `text` is not all of it, else 0. The encoder sets it for a text that it cuts.
    pub text_len: u64,
    /// BLAKE3 of the whole text. The encoder computes it for a text that it cuts, unless it is given (a long text is
    /// hashed off the core); for a text that is not cut it is not recorded, see [`StatementBegin::whole_text_hash`].
    pub text_hash: Option<[u8; 32]>,
    /// One bit for each action of its effects, see [`ACTION_NAMES`].
    pub actions: u32,
    /// One bit for each flag of its effects, see [`FLAG_NAMES`].
    pub flags: u32,
    /// Each effect as a line: `Delete relation public.orders [unfiltered]`. A bounded number of them: the last line
    /// then tells how many are left out, and begins with [`LEFT_OUT`].
    pub effects: List<'a>,
    /// What was decided.
    pub decision: Decision,
    /// Ids of the policies that decided, separated by commas.
    pub policy: &'a str,
    /// The policy's message, or why the statement is opaque.
    pub message: &'a str,
    /// Policy was asked about more than the effects tell: what was in doubt while the statement came.
    pub asks_more: bool,
    /// The highest severity of the policies that deny it; [`Severity::Other`] if they say none.
    pub severity: Severity,
}

impl StatementBegin<'_> {
    /// BLAKE3 of the whole text, whether it was cut or not.
    pub fn whole_text_hash(&self) -> [u8; 32] {
        self.text_hash
            .unwrap_or_else(|| *blake3::hash(self.text).as_bytes())
    }
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatementEnd {
    /// In one word.
    pub outcome: Outcome,
    /// The error's SQLSTATE, if it failed.
    pub sqlstate: Option<[u8; 5]>,
    /// Rows returned, affected or copied.
    pub rows: u64,
    /// Bytes of its results.
    pub bytes: u64,
    /// Values masked, by class.
    pub masked: [u64; 8],
    /// Time that the gateway spent on it.
    pub gateway_ns: u64,
    /// Time that the server took.
    pub upstream_ns: u64,
}

/// Something that is no statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// What.
    pub event: EventKind,
    /// For people; may hold what a peer sent.
    pub text: &'a [u8],
    /// Address of the peer, if one caused it.
    pub client: &'a str,
    /// The identity's subject or the claimed user name, if known.
    pub subject: &'a [u8],
    /// The connection's name, if known.
    pub connection: &'a str,
    /// For [`EventKind::ConnectDenied`]: the highest severity of the policies that deny it, as of a statement.
    pub severity: Severity,
    /// For [`EventKind::RecordsLost`]: the first sequence lost; the record's own is the last.
    pub first_sequence: u64,
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seal {
    /// What ended it.
    pub cause: SealCause,
}

/// Tags of fields. A number is never used again for something else.
mod tag {
    pub(super) const TEXT: u8 = 1;
    pub(super) const TEXT_LEN: u8 = 2;
    pub(super) const TEXT_HASH: u8 = 3;
    pub(super) const PROTOCOL: u8 = 4;
    pub(super) const PART: u8 = 5;
    pub(super) const ACTIONS: u8 = 6;
    pub(super) const FLAGS: u8 = 7;
    // 8 was a list of objects, before effects were recorded one by one.
    pub(super) const DECISION: u8 = 9;
    pub(super) const POLICY: u8 = 10;
    pub(super) const MESSAGE: u8 = 11;
    pub(super) const EFFECTS: u8 = 12;
    pub(super) const ASKS_MORE: u8 = 13;
    pub(super) const SEVERITY: u8 = 14;

    pub(super) const OUTCOME: u8 = 20;
    pub(super) const SQLSTATE: u8 = 21;
    pub(super) const ROWS: u8 = 22;
    pub(super) const BYTES: u8 = 23;
    pub(super) const MASKED: u8 = 24;
    pub(super) const GATEWAY_NS: u8 = 25;
    pub(super) const UPSTREAM_NS: u8 = 26;

    pub(super) const ISSUER: u8 = 40;
    pub(super) const SUBJECT: u8 = 41;
    pub(super) const METHOD: u8 = 42;
    pub(super) const GROUPS: u8 = 43;
    pub(super) const CLAIMS: u8 = 44;
    pub(super) const CLIENT: u8 = 45;
    pub(super) const LISTENER: u8 = 46;
    pub(super) const CONNECTION: u8 = 47;
    pub(super) const DATABASE: u8 = 48;
    pub(super) const SERVER_USER: u8 = 49;
    pub(super) const STARTUP: u8 = 50;
    pub(super) const TLS: u8 = 51;
    pub(super) const APPLICATION_NAME: u8 = 52;
    pub(super) const FORM: u8 = 53;
    pub(super) const CUT: u8 = 54;

    pub(super) const REASON: u8 = 60;
    pub(super) const DETAIL: u8 = 61;
    pub(super) const STATEMENTS: u8 = 62;
    pub(super) const DENIED: u8 = 63;

    pub(super) const EVENT: u8 = 70;
    pub(super) const FIRST_SEQUENCE: u8 = 71;
    pub(super) const SEAL: u8 = 72;
}

#[cfg(test)]
mod tests;
