//! Decoding of bytes that may be anything: a ring of a process that died, a segment that somebody edited.

use super::{
    Body, Cut, Decision, EndReason, Event, EventKind, HEADER_LEN, List, Method, Outcome, Protocol,
    RECORD_LEN_MAX, Record, Seal, SealCause, SessionEnd, SessionStart, Severity, StatementBegin,
    StatementEnd, crc32c, tag,
};
use crate::bytes::{array_at, u16_at, u32_at, u64_at};

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The length word names no possible length, or more than there is.
    #[error("a record of {length} bytes where {available} are left")]
    Length {
        /// The length word.
        length: u32,
        /// Bytes left.
        available: usize,
    },
    /// The checksum is another.
    #[error("checksum {found:08x}, recorded {recorded:08x}")]
    Checksum {
        /// Of the bytes.
        found: u32,
        /// In the record.
        recorded: u32,
    },
    /// A field is longer than its record.
    #[error("field {tag} of {length} bytes where {available} are left")]
    Field {
        /// The field's tag.
        tag: u8,
        /// Its length word.
        length: u32,
        /// Bytes left.
        available: usize,
    },
    /// Text that is not UTF-8.
    #[error("field {tag} is not UTF-8")]
    Text {
        /// The field's tag.
        tag: u8,
    },
}

/// Checks length and checksum of the record at the front of `bytes`: its sequence, and how many bytes it takes up.
pub fn check(bytes: &[u8]) -> Result<(u64, usize), RecordError> {
    let (sequence, record) = whole(bytes)?;
    Ok((sequence, record.len().next_multiple_of(8)))
}

/// Reads the record at the front of `bytes`: its sequence, its contents, and how many bytes it takes up.
pub fn decode(bytes: &[u8]) -> Result<(u64, Record<'_>, usize), RecordError> {
    let (sequence, record) = whole(bytes)?;
    let short = RecordError::Length {
        length: 0,
        available: bytes.len(),
    };
    let length = record.len();
    let fields = Fields(&record[HEADER_LEN..]);
    let body = match u16_at(record, 40).ok_or(short)? {
        1 => Body::SessionStart(session_start(fields)?),
        2 => Body::SessionEnd(session_end(fields)?),
        3 => Body::StatementBegin(statement_begin(fields)?),
        4 => Body::StatementEnd(statement_end(fields)?),
        5 => Body::Event(event(fields)?),
        6 => Body::Seal(seal(fields)?),
        kind => Body::Unknown { kind },
    };
    let record = Record {
        time_ns: u64_at(record, 16).ok_or(short)?,
        session: u64_at(record, 24).ok_or(short)?,
        statement: u64_at(record, 32).ok_or(short)?,
        body,
    };
    Ok((sequence, record, length.next_multiple_of(8)))
}

/// The sequence and the unpadded bytes of the record at the front.
fn whole(bytes: &[u8]) -> Result<(u64, &[u8]), RecordError> {
    let declared = u32_at(bytes, 0).unwrap_or(0);
    let error = RecordError::Length {
        length: declared,
        available: bytes.len(),
    };
    let length = usize::try_from(declared).map_err(|_| error)?;
    if !(HEADER_LEN..=RECORD_LEN_MAX).contains(&length) || length.next_multiple_of(8) > bytes.len() {
        return Err(error);
    }
    let record = &bytes[..length];
    let recorded = u32_at(record, 4).ok_or(error)?;
    let found = crc32c(&record[8..]);
    if found != recorded {
        return Err(RecordError::Checksum { found, recorded });
    }
    Ok((u64_at(record, 8).ok_or(error)?, record))
}

/// Decodes whatever `data` is and checks what holds for all input.
pub fn fuzz_record(data: &[u8]) {
    let mut encoder = super::Encoder::new();
    for mut rest in [data, &with_checksums(data)] {
        while let Ok((sequence, record, used)) = decode(rest) {
            assert!(used.is_multiple_of(8) && (HEADER_LEN..=rest.len()).contains(&used));
            let again = encoder.encode(&record, sequence, super::TEXT_LEN_MAX);
            assert!(again.len() <= RECORD_LEN_MAX);
            rest = &rest[used..];
        }
    }
    // The same bytes as the fields of a record whose checksum is right.
    for kind in 0..=7_u16 {
        let mut forged = vec![0; HEADER_LEN];
        forged[40..42].copy_from_slice(&kind.to_le_bytes());
        forged.extend_from_slice(&data[..data.len().min(RECORD_LEN_MAX - HEADER_LEN)]);
        let crc = crc32c(&forged[8..]);
        let length = u32::try_from(forged.len()).unwrap_or(u32::MAX);
        forged[..4].copy_from_slice(&length.to_le_bytes());
        forged[4..8].copy_from_slice(&crc.to_le_bytes());
        forged.resize(forged.len().next_multiple_of(8), 0);
        if let Ok((sequence, record, used)) = decode(&forged) {
            assert_eq!(used, forged.len());
            let again = encoder.encode(&record, sequence, super::TEXT_LEN_MAX);
            assert!(again.len() <= RECORD_LEN_MAX);
        }
    }
}

/// The bytes with right checksums in the records among them, which a fuzzer could not guess.
pub(crate) fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut rest = &mut bytes[..];
    while let Some(length) = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok()) {
        if !(HEADER_LEN..=RECORD_LEN_MAX).contains(&length) {
            break;
        }
        let Some((record, behind)) = rest.split_at_mut_checked(length.next_multiple_of(8)) else {
            break;
        };
        let crc = crc32c(&record[8..length]);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        rest = behind;
    }
    bytes
}

fn session_start(fields: Fields<'_>) -> Result<SessionStart<'_>, RecordError> {
    let mut body = SessionStart::default();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::ISSUER => body.issuer = field.text()?,
            tag::SUBJECT => body.subject = field.text()?,
            tag::METHOD => body.method = Method::from_code(field.code()),
            tag::GROUPS => body.groups = List::from_bytes(field.value),
            tag::CLAIMS => body.claims = field.value,
            tag::CLIENT => body.client = field.text()?,
            tag::LISTENER => body.listener = field.text()?,
            tag::CONNECTION => body.connection = field.text()?,
            tag::DATABASE => body.database = field.value,
            tag::SERVER_USER => body.server_user = field.text()?,
            tag::STARTUP => body.startup = List::from_bytes(field.value),
            tag::TLS => body.tls = field.text()?,
            tag::APPLICATION_NAME => body.application_name = field.value,
            tag::CUT => body.cut = Cut::from_bits(field.code()),
            tag::FORM => body.form = field.code(),
            _ => {}
        }
    }
    Ok(body)
}

fn session_end(fields: Fields<'_>) -> Result<SessionEnd<'_>, RecordError> {
    let mut body = SessionEnd::default();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::REASON => body.reason = EndReason::from_code(field.code()),
            tag::DETAIL => body.detail = field.text()?,
            tag::STATEMENTS => body.statements = field.number(),
            tag::DENIED => body.denied = field.number(),
            tag::ROWS => body.rows = field.number(),
            tag::BYTES => body.bytes = field.number(),
            tag::MASKED => body.masked = field.masked(),
            _ => {}
        }
    }
    Ok(body)
}

fn statement_begin(fields: Fields<'_>) -> Result<StatementBegin<'_>, RecordError> {
    let mut body = StatementBegin::default();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::PROTOCOL => body.protocol = Protocol::from_code(field.code()),
            tag::DECISION => body.decision = Decision::from_code(field.code()),
            tag::PART => body.part = u16::try_from(field.number()).unwrap_or(u16::MAX),
            tag::ACTIONS => body.actions = u32_at(field.value, 0).unwrap_or(0),
            tag::FLAGS => body.flags = u32_at(field.value, 0).unwrap_or(0),
            tag::EFFECTS => body.effects = List::from_bytes(field.value),
            tag::POLICY => body.policy = field.text()?,
            tag::MESSAGE => body.message = field.text()?,
            tag::TEXT => body.text = field.value,
            tag::TEXT_LEN => body.text_len = field.number(),
            tag::TEXT_HASH => body.text_hash = array_at(field.value, 0),
            tag::ASKS_MORE => body.asks_more = field.code() != 0,
            tag::SEVERITY => body.severity = Severity::from_code(field.code()),
            _ => {}
        }
    }
    Ok(body)
}

fn statement_end(fields: Fields<'_>) -> Result<StatementEnd, RecordError> {
    let mut body = StatementEnd::default();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::OUTCOME => body.outcome = Outcome::from_code(field.code()),
            tag::SQLSTATE => body.sqlstate = array_at(field.value, 0),
            tag::ROWS => body.rows = field.number(),
            tag::BYTES => body.bytes = field.number(),
            tag::MASKED => body.masked = field.masked(),
            tag::GATEWAY_NS => body.gateway_ns = field.number(),
            tag::UPSTREAM_NS => body.upstream_ns = field.number(),
            _ => {}
        }
    }
    Ok(body)
}

fn event(fields: Fields<'_>) -> Result<Event<'_>, RecordError> {
    let mut body = Event::default();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::EVENT => body.event = EventKind::from_code(field.code()),
            tag::TEXT => body.text = field.value,
            tag::CLIENT => body.client = field.text()?,
            tag::SUBJECT => body.subject = field.value,
            tag::CONNECTION => body.connection = field.text()?,
            tag::SEVERITY => body.severity = Severity::from_code(field.code()),
            tag::FIRST_SEQUENCE => body.first_sequence = field.number(),
            _ => {}
        }
    }
    Ok(body)
}

fn seal(fields: Fields<'_>) -> Result<Seal, RecordError> {
    let mut body = Seal::default();
    for field in fields {
        let field = field?;
        if field.tag == tag::SEAL {
            body.cause = SealCause::from_code(field.code());
        }
    }
    Ok(body)
}

/// Walks fields; ends after the first that is malformed.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    tag: u8,
    value: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((word, rest)) = self.0.split_first_chunk::<4>() else {
            let error = RecordError::Field {
                tag: self.0[0],
                length: 0,
                available: self.0.len(),
            };
            self.0 = &[];
            return Some(Err(error));
        };
        let [tag, a, b, c] = *word;
        let length = u32::from_le_bytes([a, b, c, 0]);
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((value, rest)) = split else {
            self.0 = &[];
            return Some(Err(RecordError::Field {
                tag,
                length,
                available: rest.len(),
            }));
        };
        self.0 = rest;
        Some(Ok(Field { tag, value }))
    }
}

impl<'a> Field<'a> {
    fn text(&self) -> Result<&'a str, RecordError> {
        str::from_utf8(self.value).map_err(|_| RecordError::Text { tag: self.tag })
    }

    /// An absent byte reads as 0, which is `Other`.
    fn code(&self) -> u8 {
        self.value.first().copied().unwrap_or(0)
    }

    fn number(&self) -> u64 {
        u64_at(self.value, 0).unwrap_or(0)
    }

    /// A class of a later version is not counted.
    fn masked(&self) -> [u64; 8] {
        let mut counts = [0; 8];
        for pair in self.value.chunks_exact(9) {
            if let (Some(count), Some(value)) = (counts.get_mut(usize::from(pair[0])), u64_at(pair, 1)) {
                *count = value;
            }
        }
        counts
    }
}
