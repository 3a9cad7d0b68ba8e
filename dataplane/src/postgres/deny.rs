//! What goes up in the place of a refused message: one of the same kind that must fail there.
//!
//! The server then does what it would have done had the client's own message failed at that place, and the error that
//! it answers becomes the gateway's. See "The way of a statement" in ARCHITECTURE.md.

use std::rc::Rc;

use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::frontend::encode;
use sluice_policy::Denial;

use super::statements::Refusal;

/// What goes up in the place of a refused statement of a Query. No setting without a dot in its name can be made by
/// anybody, so it fails whatever the client does, also one that reads it (`current_query()`).
const REFUSED_STATEMENT: &[u8] = b"\nSHOW sluice_refused";

/// What it fails with.
const UNDEFINED_OBJECT: SqlState = SqlState(*b"42704");
/// What the text of a substituted Parse fails with.
const SYNTAX_ERROR: SqlState = SqlState(*b"42601");
/// What a function without an OID fails with.
const UNDEFINED_FUNCTION: SqlState = SqlState(*b"42883");

/// The kind of message that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Parse,
    Bind,
    Execute,
    FunctionCall,
}

/// A name that nothing in the session has: it stands in no SQL text, so the client cannot read it, nor prepare it
/// either.
#[derive(Clone, Debug)]
pub(crate) struct Nobody(Rc<str>);

impl Nobody {
    pub(crate) fn new(random: [u8; 16]) -> Self {
        use std::fmt::Write as _;
        let mut name = String::from("sluice_refused_");
        for byte in random {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self(name.into())
    }

    /// Appends the message that goes up instead. `prefix` is what stands before the refused statement of a Query, and
    /// `name` the statement or portal name of a Parse or Bind.
    pub(crate) fn substitute(&self, kind: Kind, prefix: &[u8], name: &[u8], out: &mut Vec<u8>) {
        let nobody = self.0.as_bytes();
        match kind {
            Kind::Query => {
                // A comment at the prefix's end must not swallow it, so it begins with a line.
                let text = [prefix, REFUSED_STATEMENT].concat();
                encode::query(out, &text);
            }
            Kind::Parse => encode::parse(out, name, b")", &[]),
            Kind::Bind => encode::bind(out, name, nobody, &[]),
            Kind::Execute => encode::execute(out, nobody, 0),
            Kind::FunctionCall => encode::function_call(out, 0),
        }
    }
}

/// A Query that fails, and with it the transaction that it is in.
pub(super) fn refused_query() -> Vec<u8> {
    let mut out = Vec::new();
    encode::query(&mut out, REFUSED_STATEMENT);
    out
}

impl Kind {
    /// How the substitute fails.
    pub(crate) fn expected(self) -> SqlState {
        match self {
            Self::Query => UNDEFINED_OBJECT,
            Self::Bind => SqlState::INVALID_STATEMENT_NAME,
            Self::Parse => SYNTAX_ERROR,
            Self::Execute => SqlState::INVALID_CURSOR_NAME,
            Self::FunctionCall => UNDEFINED_FUNCTION,
        }
    }

    /// The refusal of a denied message.
    pub(crate) fn denied(self, denial: &Denial) -> Refusal {
        self.refusal(SqlState::INSUFFICIENT_PRIVILEGE, &denial.to_string())
    }

    /// A refusal with a message of its own.
    pub(crate) fn refusal(self, sqlstate: SqlState, message: &str) -> Refusal {
        Refusal {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            expected: self.expected(),
        }
    }
}
