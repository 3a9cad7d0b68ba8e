//! The server's log in JSON, reduced to the client's statements and the lines of pgaudit.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use serde_json::Value;

/// One line of the log that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The server's name of the session.
    pub(crate) session: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The session begins, of a client that calls itself so.
    Connected(String),
    /// A text of the client begins to run.
    Statement(String),
    /// A portal that gave some of its rows goes on.
    Resumed(String),
    /// It has run.
    End,
    /// A text of the client has been parsed or bound, or has failed at that or later.
    Past(String),
    /// Something that pgaudit saw.
    Audit(AuditLine),
}

/// `AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,"select ...",<not logged>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditLine {
    /// Counts the session's statements at the top.
    pub(crate) statement: u64,
    /// 1 at the top, more for what runs inside of it.
    pub(crate) substatement: u64,
    pub(crate) class: String,
    pub(crate) command: String,
    pub(crate) object_type: String,
    pub(crate) object_name: String,
    pub(crate) text: String,
}

/// How the server logs a function that is called by its OID.
pub(crate) const FUNCTION_CALL: &str = "fastpath function call: ";

/// The name of the gateway's own session, in which it reads the catalog.
const GATEWAY: &str = "sluice catalog";

/// What stands for the text in all lines of a statement but the first.
const LOGGED_BEFORE: &str = "<previously logged>";

/// Entries in the log's order. Sessions other than those of named clients do not matter.
pub(crate) fn read(mut log: impl BufRead) -> Vec<Entry> {
    // Sessions in which a query of the gateway's own runs, between two of the client's.
    let mut own = HashSet::new();
    // The texts of pgaudit's last lines, by session and statement within another.
    let mut texts: HashMap<(String, u64), (u64, String)> = HashMap::new();
    let mut entries = Vec::new();
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).expect("the server's log") > 0 {
        if let Some(mut entry) = entry(&line) {
            if let What::Audit(line) = &mut entry.what {
                let key = (entry.session.clone(), line.substatement);
                if line.text == LOGGED_BEFORE {
                    let (statement, text) = texts.get(&key).expect("its first line");
                    assert_eq!(
                        *statement, line.statement,
                        "the line before is of the same statement"
                    );
                    line.text.clone_from(text);
                } else {
                    texts.insert(key, (line.statement, line.text.clone()));
                }
            }
            match &entry.what {
                What::Statement(text) if is_of_gateway(text) => {
                    own.insert(entry.session);
                }
                What::Past(text) if is_of_gateway(text) => {}
                What::End if own.remove(&entry.session) => {}
                _ if own.contains(&entry.session) => {}
                _ => entries.push(entry),
            }
        }
        line.clear();
    }
    entries
}

/// What the gateway asks a client's session for: the catalog, settings, the schema of temporary objects.
fn is_of_gateway(text: &str) -> bool {
    let text = text.trim_start();
    [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSET LOCAL search_path = '';",
        "SAVEPOINT sluice_catalog;",
        "ROLLBACK TO SAVEPOINT sluice_catalog;",
        "SHOW search_path; SHOW role; SHOW session_authorization;",
        "SELECT pg_catalog.current_setting('search_path'), ",
        "SELECT pg_catalog.pg_my_temp_schema()",
    ]
    .iter()
    .any(|own| text.starts_with(own))
}

fn entry(line: &[u8]) -> Option<Entry> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let field = |name: &str| value[name].as_str().unwrap_or_default();
    if field("application_name") == GATEWAY {
        return None;
    }
    let message = field("message");
    let what = if let Some(audit) = message.strip_prefix("AUDIT: ") {
        What::Audit(audit_line(audit).unwrap_or_else(|| panic!("pgaudit's line: {audit}")))
    } else if let Some(connected) = message.strip_prefix("connection authorized: ") {
        What::Connected(connected.split_once("application_name=")?.1.to_owned())
    } else if field("error_severity") == "ERROR" {
        What::Past(field("statement").to_owned())
    } else if let Some(duration) = message.strip_prefix("duration: ") {
        // `0.1 ms  bind <unnamed>: SELECT 1`, or the time alone for what was logged when it began.
        match duration
            .split_once("  ")
            .and_then(|(_, step)| step.split_once(": "))
        {
            Some((_, text)) => What::Past(text.to_owned()),
            None => What::End,
        }
    } else {
        match message.strip_prefix("execute fetch from ") {
            Some(rest) => What::Resumed(rest.split_once(": ")?.1.to_owned()),
            None => What::Statement(statement(message)?.to_owned()),
        }
    };
    Some(Entry {
        session: field("session_id").to_owned(),
        what,
    })
}

/// `statement: ...` of a Query, `execute NAME: ...` of an Execute, or the whole line of a function call.
fn statement(message: &str) -> Option<&str> {
    if let Some(text) = message.strip_prefix("statement: ") {
        return Some(text);
    }
    if message.starts_with(FUNCTION_CALL) {
        return Some(message);
    }
    let rest = message.strip_prefix("execute ")?;
    Some(rest.split_once(": ")?.1)
}

fn audit_line(line: &str) -> Option<AuditLine> {
    let mut fields = fields(line).into_iter();
    let mut next = || fields.next();
    let _kind = next()?;
    Some(AuditLine {
        statement: next()?.parse().ok()?,
        substatement: next()?.parse().ok()?,
        class: next()?,
        command: next()?,
        object_type: next()?,
        object_name: next()?,
        text: next()?,
    })
}

/// Comma-separated values; a quote inside of quotes is doubled.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        let field = fields.last_mut().expect("there is one");
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            char => field.push(char),
        }
    }
    fields
}

#[test]
fn lines_are_read() {
    let log = br#"{"session_id":"a.1","message":"connection authorized: user=postgres database=shop application_name=a b"}
{"session_id":"a.1","message":"statement: select 1, 'x'"}
{"session_id":"a.1","message":"AUDIT: SESSION,3,2,READ,SELECT,TABLE,\"public.\"\"T,\"\"\",\"select 1, '\"\"'\",<not logged>"}
{"session_id":"a.1","message":"AUDIT: SESSION,3,1,READ,SELECT,TABLE,a,f(),<not logged>"}
{"session_id":"a.1","message":"AUDIT: SESSION,3,2,READ,SELECT,TABLE,b,<previously logged>,<previously logged>"}
{"session_id":"a.1","message":"checkpoint starting: time"}
{"session_id":"b.1","application_name":"sluice catalog","message":"AUDIT: SESSION,3,1,READ,SELECT,TABLE,a,x,"}
"#;
    let entries = read(&log[..]);
    assert_eq!(entries[0].what, What::Connected("a b".to_owned()));
    assert_eq!(entries[1].what, What::Statement("select 1, 'x'".to_owned()));
    let What::Audit(line) = &entries[2].what else {
        panic!("{entries:?}");
    };
    assert_eq!((line.statement, line.substatement), (3, 2));
    assert_eq!(line.object_name, "public.\"T,\"");
    assert_eq!(line.text, "select 1, '\"'");
    let What::Audit(line) = &entries[4].what else {
        panic!("{entries:?}");
    };
    assert_eq!(
        (line.object_name.as_str(), line.text.as_str()),
        ("b", "select 1, '\"'")
    );
    assert_eq!(entries.len(), 5);
}
