//! Messages that the gateway itself sends to a client. Each function appends one frame.

use super::{CancelKey, SqlState, TransactionStatus};
use crate::postgres::writer::{frame, string};

/// How bad an `ErrorResponse` or `NoticeResponse` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// A notice.
    Notice,
    /// A warning.
    Warning,
}

impl Severity {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Error => b"ERROR",
            Self::Fatal => b"FATAL",
            Self::Notice => b"NOTICE",
            Self::Warning => b"WARNING",
        }
    }
}

/// What an `ErrorResponse` or `NoticeResponse` of our own says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Its code.
    pub sqlstate: SqlState,
    /// The primary message.
    pub message: &'a str,
    /// More of what happened.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// A failed statement.
    pub fn error(sqlstate: SqlState, message: &'a str) -> Self {
        Self {
            severity: Severity::Error,
            sqlstate,
            message,
            detail: None,
            hint: None,
        }
    }

    /// The end of the session.
    pub fn fatal(sqlstate: SqlState, message: &'a str) -> Self {
        Self {
            severity: Severity::Fatal,
            ..Self::error(sqlstate, message)
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(self, detail: &'a str) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(self, hint: &'a str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// Appends it as an `ErrorResponse` or, by its severity, a `NoticeResponse`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = match self.severity {
            Severity::Error | Severity::Fatal => b'E',
            Severity::Notice | Severity::Warning => b'N',
        };
        frame(out, tag, |body| {
            let fields = [
                (b'S', Some(self.severity.as_bytes())),
                (b'V', Some(self.severity.as_bytes())),
                (b'C', Some(self.sqlstate.as_str().as_bytes())),
                (b'M', Some(self.message.as_bytes())),
                (b'D', self.detail.map(str::as_bytes)),
                (b'H', self.hint.map(str::as_bytes)),
            ];
            for (kind, value) in fields {
                if let Some(value) = value {
                    body.push(kind);
                    string(body, value);
                }
            }
            body.push(0);
        });
    }
}

fn authentication(out: &mut Vec<u8>, code: u32, data: &[u8]) {
    frame(out, b'R', |body| {
        body.extend_from_slice(&code.to_be_bytes());
        body.extend_from_slice(data);
    });
}

/// Appends `AuthenticationOk`.
pub fn authentication_ok(out: &mut Vec<u8>) {
    authentication(out, 0, b"");
}

/// Appends `AuthenticationCleartextPassword`.
pub fn authentication_cleartext(out: &mut Vec<u8>) {
    authentication(out, 3, b"");
}

/// Appends `AuthenticationMD5Password`.
pub fn authentication_md5(out: &mut Vec<u8>, salt: [u8; 4]) {
    authentication(out, 5, &salt);
}

/// Appends `AuthenticationSASL`.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    let mut list = Vec::new();
    for mechanism in mechanisms {
        string(&mut list, mechanism.as_bytes());
    }
    list.push(0);
    authentication(out, 10, &list);
}

/// Appends `AuthenticationSASLContinue`.
pub fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, 11, data);
}

/// Appends `AuthenticationSASLFinal`.
pub fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, 12, data);
}

/// Appends `BackendKeyData`.
pub fn backend_key_data(out: &mut Vec<u8>, key: CancelKey) {
    frame(out, b'K', |body| {
        body.extend_from_slice(&key.process.to_be_bytes());
        body.extend_from_slice(&key.secret.to_be_bytes());
    });
}

/// Appends `ParameterStatus`.
pub fn parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    frame(out, b'S', |body| {
        string(body, name);
        string(body, value);
    });
}

/// Appends `ReadyForQuery`.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    frame(out, b'Z', |body| body.push(status.byte()));
}

/// Appends `CommandComplete`.
pub fn command_complete(out: &mut Vec<u8>, tag: &[u8]) {
    frame(out, b'C', |body| string(body, tag));
}

/// Appends `BindComplete`.
pub fn bind_complete(out: &mut Vec<u8>) {
    frame(out, b'2', |_| ());
}

/// Appends a `DataRow` of text values; NULL is none.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    frame(out, b'D', |body| {
        crate::postgres::writer::count(body, values.len());
        for value in values {
            match value {
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    let len = i32::try_from(value.len()).expect("a value of our own is short");
                    body.extend_from_slice(&len.to_be_bytes());
                    body.extend_from_slice(value);
                }
            }
        }
    });
}
