//! Rows as JSON, one object a line.
//!
//! Names are stable; a field that has nothing to say is left out. What is not UTF-8 is shown with `U+FFFD` in its
//! place, and then `lossy` is true. Characters that a terminal obeys or hides are escaped, so that the output may be
//! looked at as well as parsed.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::bytes::hex;
use crate::reader::{EventRow, Row, Session, SessionEndRow, StatementRow, StatementState};
use crate::time::Timestamp;
use crate::visible::is_deceptive;

/// The row as one line of JSON, without the line's end.
pub fn to_json(row: &Row) -> String {
    let text = match row {
        Row::SessionStart(session) => serde_json::to_string(&SessionJson::new(session)),
        Row::SessionEnd(row) => serde_json::to_string(&SessionEndJson::new(row)),
        Row::Statement(row) => serde_json::to_string(&StatementJson::new(row)),
        Row::Event(row) => serde_json::to_string(&EventJson::new(row)),
    };
    // Only maps with keys that are no strings can fail, and there are none.
    escape(&text.unwrap_or_default())
}

/// Replaces deceptive characters by JSON escapes; outside of strings JSON has none but blanks, which are not used.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_deceptive(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[derive(Serialize)]
struct SessionJson<'a> {
    kind: &'static str,
    time: Timestamp,
    session: String,
    boot: String,
    core: u32,
    issuer: &'a str,
    subject: &'a str,
    method: &'static str,
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Value>,
    client: &'a str,
    listener: &'a str,
    connection: &'a str,
    database: String,
    server_user: &'a str,
    startup: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    application_name: String,
    #[serde(skip_serializing_if = "is_false")]
    claims_cut: bool,
    #[serde(skip_serializing_if = "is_false")]
    groups_cut: bool,
}

impl<'a> SessionJson<'a> {
    fn new(session: &'a Session) -> Self {
        // Claims that were cut are shown as the text that is left of them.
        let claims = (!session.claims.is_empty()).then(|| {
            serde_json::from_slice(&session.claims).unwrap_or_else(|_| Value::String(text(&session.claims)))
        });
        Self {
            kind: "session_start",
            time: Timestamp(session.time_ns),
            session: session.name(),
            boot: session.chain.boot.to_string(),
            core: session.chain.core,
            issuer: &session.issuer,
            subject: &session.subject,
            method: session.method.name(),
            groups: &session.groups,
            claims,
            client: &session.client,
            listener: &session.listener,
            connection: &session.connection,
            database: text(&session.database),
            server_user: &session.server_user,
            startup: session
                .startup
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            tls: (!session.tls.is_empty()).then_some(session.tls.as_str()),
            application_name: text(&session.application_name),
            claims_cut: session.cut.claims,
            groups_cut: session.cut.groups,
        }
    }
}

#[derive(Serialize)]
struct SessionEndJson<'a> {
    kind: &'static str,
    time: Timestamp,
    session: String,
    boot: String,
    core: u32,
    subject: &'a str,
    connection: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    statements: u64,
    denied: u64,
    rows: u64,
    bytes: u64,
    masked: BTreeMap<&'static str, u64>,
}

impl<'a> SessionEndJson<'a> {
    fn new(row: &'a SessionEndRow) -> Self {
        Self {
            kind: "session_end",
            time: Timestamp(row.time_ns),
            session: row.session.name(),
            boot: row.session.chain.boot.to_string(),
            core: row.session.chain.core,
            subject: &row.session.subject,
            connection: &row.session.connection,
            reason: row.reason.name(),
            detail: &row.detail,
            statements: row.statements,
            denied: row.denied,
            rows: row.rows,
            bytes: row.bytes,
            masked: masked(&row.masked),
        }
    }
}

#[derive(Serialize)]
struct StatementJson<'a> {
    kind: &'static str,
    time: Timestamp,
    session: String,
    statement: u64,
    #[serde(skip_serializing_if = "is_zero")]
    part: u16,
    boot: String,
    core: u32,
    issuer: &'a str,
    subject: &'a str,
    client: &'a str,
    connection: &'a str,
    database: String,
    protocol: &'static str,
    text: String,
    #[serde(skip_serializing_if = "is_false")]
    lossy: bool,
    text_bytes: u64,
    #[serde(skip_serializing_if = "is_false")]
    cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_blake3: Option<String>,
    actions: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    effects: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    asks_more: bool,
    decision: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    policy: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<EndJson>,
}

#[derive(Serialize)]
struct EndJson {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<String>,
    rows: u64,
    bytes: u64,
    masked: BTreeMap<&'static str, u64>,
    gateway_ns: u64,
    upstream_ns: u64,
}

impl<'a> StatementJson<'a> {
    fn new(row: &'a StatementRow) -> Self {
        let end = match &row.state {
            StatementState::Ended { time_ns, end } => Some(EndJson {
                time: Timestamp(*time_ns),
                sqlstate: end.sqlstate.map(|sqlstate| text(&sqlstate)),
                rows: end.rows,
                bytes: end.bytes,
                masked: masked(&end.masked),
                gateway_ns: end.gateway_ns,
                upstream_ns: end.upstream_ns,
            }),
            StatementState::Running | StatementState::Unknown => None,
        };
        Self {
            kind: "statement",
            time: Timestamp(row.time_ns),
            session: row.session.name(),
            statement: row.statement,
            part: row.part,
            boot: row.session.chain.boot.to_string(),
            core: row.session.chain.core,
            issuer: &row.session.issuer,
            subject: &row.session.subject,
            client: &row.session.client,
            connection: &row.session.connection,
            database: text(&row.session.database),
            protocol: row.protocol.name(),
            text: text(&row.text),
            lossy: str::from_utf8(&row.text).is_err(),
            text_bytes: row.text_len,
            cut: row.text_len > row.text.len() as u64,
            text_blake3: row.text_hash().map(|hash| hex(&hash)),
            actions: row.action_names().collect(),
            flags: row.flag_names().collect(),
            effects: row.effects.iter().map(|effect| text(effect)).collect(),
            asks_more: row.asks_more,
            decision: row.decision.name(),
            policy: &row.policy,
            message: &row.message,
            severity: row.severity.said(),
            outcome: row.outcome().map_or("running", crate::record::Outcome::name),
            end,
        }
    }
}

#[derive(Serialize)]
struct EventJson<'a> {
    kind: &'static str,
    time: Timestamp,
    boot: String,
    core: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    event: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    client: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    connection: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<(u64, u64)>,
}

impl<'a> EventJson<'a> {
    fn new(row: &'a EventRow) -> Self {
        Self {
            kind: "event",
            time: Timestamp(row.time_ns),
            boot: row.chain.boot.to_string(),
            core: row.chain.core,
            session: row.session.as_deref().map(Session::name),
            event: row.event.name(),
            text: text(&row.text),
            client: &row.client,
            subject: text(&row.subject),
            connection: &row.connection,
            severity: row.severity.said(),
            lost: row.lost,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn masked(counts: &[u64; 8]) -> BTreeMap<&'static str, u64> {
    crate::reader::masked_classes(counts).collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if takes a reference"
)]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if takes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}
