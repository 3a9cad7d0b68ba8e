//! One client's conversation with the null back end, without any I/O.
//!
//! A statement's answer is chosen by the prefix of the first table after `FROM`; see `shapes`. Not there: several
//! statements in one Query, row limits of Execute, and errors but for unknown prepared statements and for what a gateway
//! sends in the place of messages that it refuses, which has to fail as it does on a real server.

use std::collections::HashMap;

use crate::rows::{Rows, STREAM_ROWS};
use crate::wire;

/// Answers encoded once and sent many times.
pub struct Answers {
    point: Rendered,
    hundred: Rendered,
    other: Rendered,
    settings: Rendered,
    stream: Rows,
}

struct Rendered {
    description: Vec<u8>,
    /// Rows and CommandComplete.
    result: Vec<u8>,
}

impl Rendered {
    fn new(rows: &Rows) -> Self {
        let mut result = rows.frames.clone();
        wire::complete(&mut result, &format!("SELECT {}", rows.count()));
        Self {
            description: rows.description.clone(),
            result,
        }
    }
}

impl Rendered {
    /// One row of texts.
    fn of_texts(texts: &[&str]) -> Self {
        let (mut description, mut result) = (Vec::new(), Vec::new());
        wire::frame(&mut description, b'T', |out| {
            wire::int16(out, texts.len());
            for _ in texts {
                out.extend_from_slice(b"setting\0\0\0\0\0\0\0");
                wire::int32(out, wire::OID_TEXT);
                out.extend_from_slice(b"\xff\xff\xff\xff\xff\xff\0\0");
            }
        });
        wire::frame(&mut result, b'D', |out| {
            wire::int16(out, texts.len());
            for text in texts {
                wire::int32(out, u32::try_from(text.len()).unwrap_or_default());
                out.extend_from_slice(text.as_bytes());
            }
        });
        wire::complete(&mut result, "SELECT 1");
        Self { description, result }
    }
}

impl Default for Answers {
    fn default() -> Self {
        let (hundred, stream) = (Rows::hundred(), Rows::stream_block());
        let point = Rows::point();
        Self {
            other: Rendered::new(&point),
            settings: Rendered::of_texts(&SETTINGS),
            point: Rendered::new(&point),
            hundred: Rendered::new(&hundred),
            stream,
        }
    }
}

/// What a statement is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Point,
    Hundred,
    Stream {
        rows: u64,
    },
    /// A SELECT of something else: one row.
    Other,
    /// What a gateway asks for at a session's start.
    Settings,
    /// What a gateway reads of the database's objects: that there are no tables.
    Catalog,
    /// No rows, a command tag.
    Tag(&'static str),
    Empty,
    /// What the text says fails.
    Failure(Failure),
}

/// How a substitute for a refused message fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure {
    sqlstate: &'static str,
    message: &'static str,
}

/// How a gateway's question at a session's start begins.
const SETTINGS_QUESTION: &[u8] = b"SELECT pg_catalog.current_setting('search_path')";

/// Its answer: search path, role, login role, how strings and backslashes are read, encoding, replication role, and no
/// schema of temporary objects.
const SETTINGS: [&str; 8] = [
    "public",
    "none",
    "bench",
    "on",
    "safe_encoding",
    "UTF8",
    "origin",
    "0",
];

const UNKNOWN_SETTING: Failure = Failure {
    sqlstate: "42704",
    message: "unrecognized configuration parameter \"sluice_refused\"",
};
const SYNTAX: Failure = Failure {
    sqlstate: "42601",
    message: "syntax error at or near \")\"",
};
const UNKNOWN_FUNCTION: Failure = Failure {
    sqlstate: "42883",
    message: "function with OID 0 does not exist",
};

/// No portal of this back end has such a name; a gateway's substitute for an Execute does.
const REFUSED_PORTAL: &[u8] = b"sluice_refused_";

#[derive(Clone, Copy)]
struct Prepared {
    answer: Answer,
    parameters: usize,
}

/// Rows that are still to be sent.
struct Streaming {
    rows_told: u64,
    rows_left: u64,
    /// Bytes sent of the block.
    at: usize,
    /// A Query's result is followed by ReadyForQuery, an Execute's is not.
    simple: bool,
}

/// What the client's socket is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Go,
    /// Close it.
    Close,
}

/// The state of one conversation.
#[derive(Default)]
pub struct Session {
    key: u32,
    started: bool,
    in_transaction: bool,
    /// After an error of an extended query everything up to the next Sync is skipped.
    skipping: bool,
    input: Vec<u8>,
    prepared: HashMap<Box<[u8]>, Prepared>,
    portal: Option<Answer>,
    streaming: Option<Streaming>,
}

impl Session {
    /// A conversation whose backend key is `key`.
    pub fn new(key: u32) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Takes what the client sent, appends the answers to `out`.
    pub fn receive(&mut self, answers: &Answers, chunk: &[u8], out: &mut Vec<u8>) -> Flow {
        if self.input.is_empty() {
            let (used, flow) = self.consume(answers, chunk, out);
            self.input.extend_from_slice(&chunk[used..]);
            return flow;
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(chunk);
        let (used, flow) = self.consume(answers, &input, out);
        input.drain(..used);
        self.input = input;
        flow
    }

    /// The next bytes of a big result; empty when there is none.
    pub fn stream<'a>(&self, answers: &'a Answers) -> &'a [u8] {
        let Some(streaming) = &self.streaming else {
            return &[];
        };
        &answers.stream.frames[streaming.at..answers.stream.end_of(streaming.rows_left)]
    }

    /// `sent` bytes of what `stream` gave are gone; after the last, appends what follows to `out`.
    pub fn streamed(&mut self, answers: &Answers, sent: usize, out: &mut Vec<u8>) -> Flow {
        let Some(streaming) = &mut self.streaming else {
            return Flow::Go;
        };
        streaming.at += sent;
        if streaming.at < answers.stream.end_of(streaming.rows_left) {
            return Flow::Go;
        }
        streaming.at = 0;
        streaming.rows_left = streaming.rows_left.saturating_sub(answers.stream.count());
        if streaming.rows_left > 0 {
            return Flow::Go;
        }
        let Streaming {
            rows_told, simple, ..
        } = *streaming;
        self.streaming = None;
        wire::complete(out, &format!("SELECT {rows_told}"));
        if simple {
            wire::ready(out, self.status());
        }
        self.receive(answers, &[], out)
    }

    fn status(&self) -> u8 {
        if self.in_transaction { b'T' } else { b'I' }
    }

    fn consume(&mut self, answers: &Answers, input: &[u8], out: &mut Vec<u8>) -> (usize, Flow) {
        let mut used = 0;
        while self.streaming.is_none() {
            let rest = &input[used..];
            let header = usize::from(self.started);
            let Some(len) = wire::read_u32(rest, header) else {
                break;
            };
            let len = len as usize;
            let max = if self.started {
                wire::FRAME_LEN_MAX
            } else {
                wire::STARTUP_LEN_MAX
            };
            let min = if self.started { 4 } else { 8 };
            if !(min..=max).contains(&len) {
                return (used, Flow::Close);
            }
            let Some(whole) = rest.get(..header + len) else {
                break;
            };
            let flow = if self.started {
                self.message(answers, rest[0], &whole[5..], out)
            } else {
                self.startup(&whole[4..], out)
            };
            used += whole.len();
            if flow == Flow::Close {
                return (used, flow);
            }
        }
        (used, Flow::Go)
    }

    fn startup(&mut self, body: &[u8], out: &mut Vec<u8>) -> Flow {
        match wire::read_u32(body, 0) {
            Some(wire::SSL_REQUEST | wire::GSSENC_REQUEST) => out.push(b'N'),
            Some(wire::VERSION_3_0) => {
                self.started = true;
                greet(out, self.key);
            }
            _ => return Flow::Close,
        }
        Flow::Go
    }

    fn message(&mut self, answers: &Answers, tag: u8, body: &[u8], out: &mut Vec<u8>) -> Flow {
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Flow::Go;
        }
        match tag {
            b'Q' => self.query(answers, body, out),
            b'P' => {
                let Some((name, rest)) = wire::split_text(body) else {
                    return Flow::Close;
                };
                let text = wire::split_text(rest).map_or(rest, |(text, _)| text);
                let answer = choose(text);
                if let Answer::Failure(Failure { sqlstate, message }) = answer {
                    self.fail(out, sqlstate, message);
                    return Flow::Go;
                }
                let prepared = Prepared {
                    answer,
                    parameters: parameters(text),
                };
                self.prepared.insert(name.into(), prepared);
                out.extend_from_slice(b"1\0\0\0\x04");
            }
            b'B' => {
                let name = wire::split_text(body).and_then(|(_, rest)| wire::split_text(rest));
                match name.and_then(|(name, _)| self.prepared.get(name)) {
                    Some(prepared) => {
                        self.portal = Some(prepared.answer);
                        out.extend_from_slice(b"2\0\0\0\x04");
                    }
                    None => self.fail(out, "26000", "prepared statement does not exist"),
                }
            }
            b'D' => self.describe(answers, body, out),
            b'E' => match self.portal {
                Some(answer) if !body.starts_with(REFUSED_PORTAL) => self.execute(answers, answer, out),
                _ => self.fail(out, "34000", "portal does not exist"),
            },
            b'F' => {
                wire::error(out, UNKNOWN_FUNCTION.sqlstate, UNKNOWN_FUNCTION.message);
                wire::ready(out, self.status());
            }
            b'C' => {
                if let Some((b'S', rest)) = body.split_first() {
                    self.prepared.remove(rest.strip_suffix(b"\0").unwrap_or(rest));
                }
                out.extend_from_slice(b"3\0\0\0\x04");
            }
            b'S' => {
                self.skipping = false;
                wire::ready(out, self.status());
            }
            b'X' => return Flow::Close,
            // Flush needs nothing, a password was not asked for, the rest of COPY has no COPY before it.
            _ => {}
        }
        Flow::Go
    }

    fn fail(&mut self, out: &mut Vec<u8>, sqlstate: &str, message: &str) {
        wire::error(out, sqlstate, message);
        self.skipping = true;
    }

    fn query(&mut self, answers: &Answers, body: &[u8], out: &mut Vec<u8>) {
        let answer = choose(body.strip_suffix(b"\0").unwrap_or(body));
        if let Some(description) = answers.description(answer) {
            out.extend_from_slice(description);
        }
        self.execute(answers, answer, out);
        match &mut self.streaming {
            Some(streaming) => streaming.simple = true,
            None => wire::ready(out, self.status()),
        }
    }

    fn describe(&mut self, answers: &Answers, body: &[u8], out: &mut Vec<u8>) {
        let answer = match body.split_first() {
            Some((b'S', rest)) => match self.prepared.get(rest.strip_suffix(b"\0").unwrap_or(rest)) {
                Some(prepared) => {
                    wire::frame(out, b't', |out| {
                        wire::int16(out, prepared.parameters);
                        (0..prepared.parameters).for_each(|_| wire::int32(out, wire::OID_TEXT));
                    });
                    prepared.answer
                }
                None => return self.fail(out, "26000", "prepared statement does not exist"),
            },
            _ => match self.portal {
                Some(answer) => answer,
                None => return self.fail(out, "34000", "portal does not exist"),
            },
        };
        match answers.description(answer) {
            Some(description) => out.extend_from_slice(description),
            None => out.extend_from_slice(b"n\0\0\0\x04"),
        }
    }

    fn execute(&mut self, answers: &Answers, answer: Answer, out: &mut Vec<u8>) {
        match answer {
            Answer::Point => out.extend_from_slice(&answers.point.result),
            Answer::Hundred => out.extend_from_slice(&answers.hundred.result),
            Answer::Other => out.extend_from_slice(&answers.other.result),
            Answer::Settings => out.extend_from_slice(&answers.settings.result),
            Answer::Stream { rows: 0 } => wire::complete(out, "SELECT 0"),
            Answer::Stream { rows } => {
                self.streaming = Some(Streaming {
                    rows_told: rows,
                    rows_left: rows,
                    at: 0,
                    simple: false,
                });
            }
            Answer::Failure(failure) => wire::error(out, failure.sqlstate, failure.message),
            Answer::Empty => out.extend_from_slice(b"I\0\0\0\x04"),
            Answer::Catalog => catalog(out),
            Answer::Tag(tag) => {
                match tag {
                    "BEGIN" => self.in_transaction = true,
                    "COMMIT" | "ROLLBACK" => self.in_transaction = false,
                    "DISCARD ALL" => self.prepared.clear(),
                    _ => {}
                }
                wire::complete(out, tag);
            }
        }
    }
}

impl Answers {
    fn description(&self, answer: Answer) -> Option<&[u8]> {
        match answer {
            Answer::Point => Some(&self.point.description),
            Answer::Hundred => Some(&self.hundred.description),
            Answer::Other => Some(&self.other.description),
            Answer::Settings => Some(&self.settings.description),
            Answer::Stream { .. } => Some(&self.stream.description),
            Answer::Tag(_) | Answer::Catalog | Answer::Empty | Answer::Failure(_) => None,
        }
    }
}

fn greet(out: &mut Vec<u8>, key: u32) {
    wire::frame(out, b'R', |out| wire::int32(out, 0));
    for (name, setting) in [
        ("application_name", ""),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("default_transaction_read_only", "off"),
        ("in_hot_standby", "off"),
        ("integer_datetimes", "on"),
        ("IntervalStyle", "postgres"),
        ("is_superuser", "off"),
        ("server_encoding", "UTF8"),
        ("server_version", "15.18"),
        ("session_authorization", "bench"),
        ("standard_conforming_strings", "on"),
        ("TimeZone", "Etc/UTC"),
    ] {
        wire::parameter_status(out, name, setting);
    }
    wire::frame(out, b'K', |out| {
        wire::int32(out, key);
        wire::int32(out, key.wrapping_mul(0x9e37_79b9));
    });
    wire::ready(out, b'I');
}

/// How the Query begins that reads a database's objects.
const CATALOG: &[u8] = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;";

/// Rows as that Query's statements give them: the version and the schemas.
fn catalog(out: &mut Vec<u8>) {
    let rows: [&[&[u8]]; 3] = [
        &[b"v", b"150018", b"bench"],
        &[b"n", b"11", b"pg_catalog", b"10", b"t"],
        &[b"n", b"2200", b"public", b"10", b"t"],
    ];
    for row in rows {
        wire::frame(out, b'D', |out| {
            wire::int16(out, row.len());
            for field in row {
                wire::value(out, field);
            }
        });
    }
    wire::complete(out, "SELECT 3");
}

/// The answer for a statement's text.
fn choose(text: &[u8]) -> Answer {
    let text = text.trim_ascii().trim_suffix_semicolons();
    let word = text
        .split(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let mut upper = [0; 12];
    let Some(upper) = upper.get_mut(..word.len()) else {
        return Answer::Other;
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    match &*upper {
        b"SELECT" if text.starts_with(SETTINGS_QUESTION) => Answer::Settings,
        b"SELECT" => table(text).map_or(Answer::Other, by_table),
        b"SHOW" if text == b"SHOW sluice_refused" => Answer::Failure(UNKNOWN_SETTING),
        b"SET" => Answer::Tag("SET"),
        b"RESET" => Answer::Tag("RESET"),
        b"DISCARD" => Answer::Tag("DISCARD ALL"),
        b"DEALLOCATE" => Answer::Tag("DEALLOCATE"),
        b"BEGIN" if text.starts_with(CATALOG) => Answer::Catalog,
        b"BEGIN" | b"START" => Answer::Tag("BEGIN"),
        b"COMMIT" | b"END" => Answer::Tag("COMMIT"),
        b"ROLLBACK" | b"ABORT" => Answer::Tag("ROLLBACK"),
        b"" if text.is_empty() => Answer::Empty,
        b"" if text == b")" => Answer::Failure(SYNTAX),
        _ => Answer::Other,
    }
}

/// The table is looked for in so many bytes, so that a text of megabytes holds up nobody.
const FROM_BYTES_MAX: usize = 4 << 10;

/// What follows the first `FROM`.
fn table(text: &[u8]) -> Option<&[u8]> {
    let text = &text[..text.len().min(FROM_BYTES_MAX)];
    let at = text.windows(6).position(|part| {
        part[0].is_ascii_whitespace()
            && part[5].is_ascii_whitespace()
            && part[1..5].eq_ignore_ascii_case(b"FROM")
    })?;
    Some(text[at + 6..].trim_ascii_start())
}

fn by_table(name: &[u8]) -> Answer {
    if name.starts_with(b"point_") {
        Answer::Point
    } else if name.starts_with(b"rows100_") {
        Answer::Hundred
    } else if let Some(rest) = name.strip_prefix(b"stream_") {
        let digits = rest
            .split(|byte| !byte.is_ascii_digit())
            .next()
            .unwrap_or_default();
        let rows = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        Answer::Stream {
            rows: rows.unwrap_or(STREAM_ROWS),
        }
    } else {
        Answer::Other
    }
}

/// The highest parameter number in a text.
fn parameters(text: &[u8]) -> usize {
    let mut most = 0;
    for part in text.split(|&byte| byte == b'$').skip(1) {
        let digits = part
            .split(|byte| !byte.is_ascii_digit())
            .next()
            .unwrap_or_default();
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        most = most.max(number.unwrap_or(0));
    }
    most.min(1_000)
}

/// `[u8]` has no trimming of what follows a statement.
trait TrimSemicolons {
    fn trim_suffix_semicolons(&self) -> &Self;
}

impl TrimSemicolons for [u8] {
    fn trim_suffix_semicolons(&self) -> &Self {
        let mut text = self;
        while let [rest @ .., b';' | b' ' | b'\n'] = text {
            text = rest;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Dice;
    use crate::shapes::shapes;

    fn login() -> Vec<u8> {
        let mut wire = Vec::new();
        wire::ssl_request(&mut wire);
        wire::startup(&mut wire, &[("user", "bench"), ("database", "bench")]);
        wire
    }

    /// Feeds `wire` in pieces, streaming whatever is to be streamed, and returns all answers.
    fn converse(wire: &[u8], size: usize) -> Vec<u8> {
        let answers = Answers::default();
        let mut session = Session::new(1);
        let mut out = Vec::new();
        for chunk in wire.chunks(size) {
            assert_eq!(session.receive(&answers, chunk, &mut out), Flow::Go);
            loop {
                let more = session.stream(&answers);
                if more.is_empty() {
                    break;
                }
                out.extend_from_slice(more);
                session.streamed(&answers, more.len(), &mut out);
            }
        }
        out
    }

    fn tags(mut wire: &[u8]) -> String {
        let mut tags = String::new();
        while let Some((&tag, rest)) = wire.split_first() {
            if tag == b'N' && tags.is_empty() {
                wire = rest;
                continue;
            }
            tags.push(char::from(tag));
            wire = &wire[1 + wire::read_u32(wire, 1).unwrap() as usize..];
        }
        tags
    }

    #[test]
    fn answers_do_not_depend_on_how_the_input_is_cut() {
        let mut wire = login();
        let mut dice = Dice::new(3);
        for prefix in ["point", "rows100", "stream_9000"] {
            let shape = &shapes(prefix)[7];
            shape.query(&mut wire, &mut dice);
            shape.parse(&mut wire);
            shape.execute(&mut wire, &mut dice);
        }
        let whole = converse(&wire, wire.len());
        let greeting = format!("R{}KZ", "S".repeat(13));
        let rows = |count: usize| "D".repeat(count);
        let want: String = [1, 100, 9_000]
            .map(|count| format!("T{}CZ12T{}CZ", rows(count), rows(count)))
            .concat();
        assert_eq!(tags(&whole), greeting + &want);
        for size in 1..200 {
            assert!(converse(&wire, size) == whole, "reads of {size} bytes");
        }
    }

    #[test]
    fn statements_are_told_apart() {
        for (text, want) in [
            ("SELECT a FROM point_x WHERE a = 1", Answer::Point),
            ("select a\nfrom rows100_x;", Answer::Hundred),
            ("select a from  rows100_x;", Answer::Hundred),
            ("SELECT * FROM stream_20_x", Answer::Stream { rows: 20 }),
            ("SELECT * FROM stream_x", Answer::Stream { rows: STREAM_ROWS }),
            ("SELECT 1", Answer::Other),
            ("set x to 1", Answer::Tag("SET")),
            ("DISCARD ALL", Answer::Tag("DISCARD ALL")),
            (" ; ", Answer::Empty),
            ("extraordinarily", Answer::Other),
            ("\nSHOW sluice_refused", Answer::Failure(UNKNOWN_SETTING)),
            ("SHOW search_path", Answer::Other),
            (")", Answer::Failure(SYNTAX)),
        ] {
            assert_eq!(choose(text.as_bytes()), want, "{text}");
        }
        assert_eq!(parameters(b"a = $1 and b = $12 and c = $2"), 12);
    }

    #[test]
    fn an_unknown_statement_fails_up_to_sync() {
        let mut wire = login();
        shapes("point")[0].execute(&mut wire, &mut Dice::new(1));
        assert!(tags(&converse(&wire, 7)).ends_with("KZEZ"));
    }

    #[test]
    fn substitutes_for_refused_messages_fail_as_on_a_real_server() {
        let mut query = Vec::new();
        wire::frame(&mut query, b'Q', |out| wire::text(out, b"\nSHOW sluice_refused"));
        let mut parse = Vec::new();
        wire::frame(&mut parse, b'P', |out| out.extend_from_slice(b"p00\0)\0\0\0"));
        wire::sync(&mut parse);
        let mut execute = Vec::new();
        let shape = &shapes("point")[0];
        shape.parse(&mut execute);
        wire::frame(&mut execute, b'B', |out| {
            out.extend_from_slice(b"\0p00\0\0\0\0\0\0\0");
        });
        wire::frame(&mut execute, b'E', |out| {
            out.extend_from_slice(b"sluice_refused_00\0\0\0\0\0");
        });
        wire::sync(&mut execute);
        let mut bind = Vec::new();
        wire::frame(&mut bind, b'B', |out| {
            out.extend_from_slice(b"\0sluice_refused_00\0\0\0\0\0\0\0");
        });
        wire::sync(&mut bind);
        let mut call = Vec::new();
        wire::frame(&mut call, b'F', |out| out.extend_from_slice(&[0; 10]));
        for (name, message, answers, sqlstate) in [
            ("Query", query, "EZ", "42704"),
            ("Parse", parse, "EZ", "42601"),
            ("Bind", bind, "EZ", "26000"),
            ("Execute", execute, "12EZ", "34000"),
            ("FunctionCall", call, "EZ", "42883"),
        ] {
            let mut wire = login();
            let greeting = converse(&wire, wire.len()).len();
            wire.extend_from_slice(&message);
            let told = &converse(&wire, 9)[greeting..];
            assert_eq!(tags(told), answers, "{name}");
            let error = &told[5 * (answers.len() - 2)..];
            let text = wire::error_text(&error[5..]);
            assert!(text.starts_with(sqlstate), "{name}: {text}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        for (name, wire) in [
            ("startup", &b"\0\0\x27\x11\0\x03\0\0"[..]),
            ("too short", b"\0\0\0\x07\0\x03\0"),
            ("another version", b"\0\0\0\x08\0\x02\0\0"),
        ] {
            let mut out = Vec::new();
            let flow = Session::default().receive(&Answers::default(), wire, &mut out);
            assert_eq!(flow, Flow::Close, "{name}");
        }
    }
}
