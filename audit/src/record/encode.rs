//! Encoding into the core's scratch memory: one pass, and no allocation.

use super::{
    Body, CLAIMS_LEN_MAX, Event, HEADER_LEN, LIST_LEN_MAX, List, PADDING_LEN, RECORD_LEN_MAX, Record, Seal,
    SessionEnd, SessionStart, StatementBegin, StatementEnd, TEXT_LEN_MAX, VALUE_LEN_MAX, tag,
};

/// CRC-32C (Castagnoli).
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Encodes records, one after the other, into memory of its own.
#[derive(Debug)]
pub struct Encoder(Box<[u8]>);

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// With room for the longest record.
    pub fn new() -> Self {
        Self(vec![0; RECORD_LEN_MAX].into())
    }

    /// The record, padded to 8 bytes, its length word in place. `text_len_max` is the configured `max_recorded_bytes`.
    pub fn encode(&mut self, record: &Record<'_>, sequence: u64, text_len_max: usize) -> &[u8] {
        let mut fields = Fields {
            into: &mut self.0,
            at: 0,
        };
        let mut header = [0; HEADER_LEN];
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..24].copy_from_slice(&record.time_ns.to_le_bytes());
        header[24..32].copy_from_slice(&record.session.to_le_bytes());
        header[32..40].copy_from_slice(&record.statement.to_le_bytes());
        header[40..42].copy_from_slice(&record.body.kind().to_le_bytes());
        fields.put(header);
        match &record.body {
            Body::SessionStart(body) => session_start(&mut fields, body),
            Body::SessionEnd(body) => session_end(&mut fields, body),
            Body::StatementBegin(body) => statement_begin(&mut fields, body, text_len_max.min(TEXT_LEN_MAX)),
            Body::StatementEnd(body) => statement_end(&mut fields, body),
            Body::Event(body) => event(&mut fields, body),
            Body::Seal(Seal { cause }) => fields.code(tag::SEAL, cause.code()),
            Body::Unknown { .. } => {}
        }
        let length = fields.at;
        fields.put([0; PADDING_LEN]);

        let crc = crc32c(&self.0[8..length]);
        self.0[..4].copy_from_slice(&word(length).to_le_bytes());
        self.0[4..8].copy_from_slice(&crc.to_le_bytes());
        &self.0[..length.next_multiple_of(8)]
    }
}

fn session_start(fields: &mut Fields<'_>, body: &SessionStart<'_>) {
    fields.text(tag::ISSUER, body.issuer);
    fields.text(tag::SUBJECT, body.subject);
    fields.code(tag::METHOD, body.method.code());
    fields.list(tag::GROUPS, body.groups);
    fields.bytes(tag::CLAIMS, body.claims, CLAIMS_LEN_MAX);
    fields.text(tag::CLIENT, body.client);
    fields.text(tag::LISTENER, body.listener);
    fields.text(tag::CONNECTION, body.connection);
    fields.bytes(tag::DATABASE, body.database, VALUE_LEN_MAX);
    fields.text(tag::SERVER_USER, body.server_user);
    fields.list(tag::STARTUP, body.startup);
    fields.text(tag::TLS, body.tls);
    fields.bytes(tag::APPLICATION_NAME, body.application_name, VALUE_LEN_MAX);
    fields.bits(tag::CUT, body.cut.bits());
    fields.bits(tag::FORM, body.form);
}

fn session_end(fields: &mut Fields<'_>, body: &SessionEnd<'_>) {
    fields.code(tag::REASON, body.reason.code());
    fields.text(tag::DETAIL, body.detail);
    fields.number(tag::STATEMENTS, body.statements);
    fields.number(tag::DENIED, body.denied);
    fields.number(tag::ROWS, body.rows);
    fields.number(tag::BYTES, body.bytes);
    fields.masked(&body.masked);
}

fn statement_begin(fields: &mut Fields<'_>, body: &StatementBegin<'_>, text_len_max: usize) {
    fields.code(tag::PROTOCOL, body.protocol.code());
    fields.code(tag::DECISION, body.decision.code());
    fields.number(tag::PART, u64::from(body.part));
    if body.actions != 0 {
        fields.bytes(tag::ACTIONS, &body.actions.to_le_bytes(), 4);
    }
    if body.flags != 0 {
        fields.bytes(tag::FLAGS, &body.flags.to_le_bytes(), 4);
    }
    fields.list(tag::EFFECTS, body.effects);
    fields.text(tag::POLICY, body.policy);
    fields.text(tag::MESSAGE, body.message);
    fields.bits(tag::ASKS_MORE, body.asks_more.into());
    fields.bits(tag::SEVERITY, body.severity.code());
    fields.bytes(tag::TEXT, body.text, text_len_max);
    let given = body.text.len() as u64;
    let whole = given.max(body.text_len);
    if whole > given.min(text_len_max as u64) {
        fields.number(tag::TEXT_LEN, whole);
        if whole == given || body.text_hash.is_some() {
            fields.bytes(tag::TEXT_HASH, &body.whole_text_hash(), 32);
        }
    }
}

fn statement_end(fields: &mut Fields<'_>, body: &StatementEnd) {
    fields.code(tag::OUTCOME, body.outcome.code());
    if let Some(sqlstate) = &body.sqlstate {
        fields.bytes(tag::SQLSTATE, sqlstate, 5);
    }
    fields.number(tag::ROWS, body.rows);
    fields.number(tag::BYTES, body.bytes);
    fields.number(tag::GATEWAY_NS, body.gateway_ns);
    fields.number(tag::UPSTREAM_NS, body.upstream_ns);
    fields.masked(&body.masked);
}

fn event(fields: &mut Fields<'_>, body: &Event<'_>) {
    fields.code(tag::EVENT, body.event.code());
    fields.bytes(tag::TEXT, body.text, VALUE_LEN_MAX);
    fields.text(tag::CLIENT, body.client);
    fields.bytes(tag::SUBJECT, body.subject, VALUE_LEN_MAX);
    fields.text(tag::CONNECTION, body.connection);
    fields.bits(tag::SEVERITY, body.severity.code());
    fields.number(tag::FIRST_SEQUENCE, body.first_sequence);
}

/// Appends fields; a value that is empty or zero is left out, as that is what its absence reads as. Every value has a
/// limit, and all of them together fit.
struct Fields<'a> {
    into: &'a mut [u8],
    at: usize,
}

impl Fields<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.into[self.at..self.at + N].copy_from_slice(&bytes);
        self.at += N;
    }

    #[inline]
    fn bytes(&mut self, tag: u8, value: &[u8], len_max: usize) {
        if value.is_empty() {
            return;
        }
        let value = &value[..value.len().min(len_max)];
        self.put(field_word(tag, value.len()));
        self.into[self.at..self.at + value.len()].copy_from_slice(value);
        self.at += value.len();
    }

    /// Cut on a character's boundary, so that it reads as text again.
    fn text(&mut self, tag: u8, value: &str) {
        self.bytes(
            tag,
            &value.as_bytes()[..value.floor_char_boundary(VALUE_LEN_MAX)],
            VALUE_LEN_MAX,
        );
    }

    fn list(&mut self, tag: u8, value: List<'_>) {
        self.bytes(tag, value.as_bytes(), LIST_LEN_MAX);
    }

    fn code(&mut self, tag: u8, value: u8) {
        let [a, b, c, d] = field_word(tag, 1);
        self.put([a, b, c, d, value]);
    }

    fn bits(&mut self, tag: u8, value: u8) {
        if value != 0 {
            self.code(tag, value);
        }
    }

    fn number(&mut self, tag: u8, value: u64) {
        if value == 0 {
            return;
        }
        let mut field = [0; 12];
        field[..4].copy_from_slice(&field_word(tag, 8));
        field[4..].copy_from_slice(&value.to_le_bytes());
        self.put(field);
    }

    /// Pairs of class and count, for the classes that occurred.
    fn masked(&mut self, counts: &[u64; 8]) {
        const PAIR: usize = 9;
        if *counts == [0; 8] {
            return;
        }
        let mut pairs = [0; PAIR * 8];
        let mut length = 0;
        for (class, count) in (0..).zip(counts) {
            if *count != 0 {
                pairs[length] = class;
                pairs[length + 1..length + PAIR].copy_from_slice(&count.to_le_bytes());
                length += PAIR;
            }
        }
        self.bytes(tag::MASKED, &pairs[..length], pairs.len());
    }
}

fn field_word(tag: u8, length: usize) -> [u8; 4] {
    (u32::from(tag) | word(length) << 8).to_le_bytes()
}

/// Lengths are bounded by `RECORD_LEN_MAX`, so this never cuts.
fn word(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
