//! Simple queries, and the parse trees that the server logs for them.

use std::io::Write;

use crate::server::{Connection, Next, Server};

/// What a query gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<String>>,
    /// SQLSTATE and message.
    pub(crate) error: Option<(String, String)>,
    /// The last tree that was logged.
    pub(crate) tree: Option<String>,
}

pub(crate) struct Session(Connection);

impl Session {
    pub(crate) fn open(server: &Server, parameters: &[(&str, &str)]) -> Self {
        Self(Connection::open(server, parameters))
    }

    pub(crate) fn ask(&mut self, sql: &str) -> Answer {
        let length = u32::try_from(sql.len() + 5).expect("a short query");
        let mut bytes = vec![b'Q'];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(sql.as_bytes());
        bytes.push(0);
        self.0.socket.write_all(&bytes).expect("the server listens");
        let mut answer = Answer::default();
        loop {
            let Next::Message { tag, body } = self.0.next(true) else {
                panic!("the server ended the session at {sql}");
            };
            match tag {
                b'Z' => return answer,
                b'D' => answer.rows.push(row(&body)),
                b'E' => answer.error = Some((field(&body, b'C'), field(&body, b'M'))),
                b'N' if field(&body, b'M').starts_with("parse tree") => {
                    // It comes in lines of 78 characters.
                    answer.tree = Some(field(&body, b'D').replace('\n', " "));
                }
                _ => {}
            }
        }
    }

    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let answer = self.ask(sql);
        assert_eq!(answer.error, None, "{sql}");
        answer.rows
    }
}

/// The values of a DataRow; NULL is empty.
fn row(body: &[u8]) -> Vec<String> {
    let (count, mut rest) = body.split_first_chunk::<2>().expect("a count");
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().expect("a length");
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (value, after) = after.split_at(length);
        values.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    values
}

/// A field of an ErrorResponse or NoticeResponse.
fn field(body: &[u8], code: u8) -> String {
    let mut fields = body.split(|&byte| byte == 0);
    let found = fields.find_map(|field| field.strip_prefix(&[code]));
    String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
}
