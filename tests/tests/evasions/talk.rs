//! One exchange with a server or the gateway: what is sent, and all that is answered to it.

use std::time::{Duration, Instant};

use sluice_tests::raw::{Raw, field, message};

/// A row for every `COPY ... FROM STDIN` that is let through.
const COPIED: &[u8] = b"1\n";

/// What came back up to the last ReadyForQuery.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// SQLSTATE and message of each error.
    pub(crate) errors: Vec<(String, String)>,
    /// Each row as text, its values between bars; results of FunctionCall and COPY data count.
    pub(crate) rows: Vec<String>,
    /// ReadyForQuery's status; none if the session ended.
    pub(crate) status: Option<u8>,
    pub(crate) took: Duration,
}

impl Answer {
    /// Whether policy refused something of it.
    pub(crate) fn is_denied(&self) -> bool {
        let mut errors = self.errors.iter();
        errors.any(|(code, text)| code == "42501" && text.starts_with("sluice: denied by policy"))
    }

    /// Whether the session goes on and nothing of it failed.
    pub(crate) fn is_fine(&self) -> bool {
        self.errors.is_empty() && self.status.is_some()
    }

    /// What it amounts to, for people.
    pub(crate) fn summary(&self) -> String {
        let ended = if self.status.is_none() {
            ", and the session ended"
        } else {
            ""
        };
        match self.errors.last() {
            Some((code, text)) => format!("{code} {text}{ended}"),
            None => format!("no error, {} rows{ended}", self.rows.len()),
        }
    }
}

/// Sends bytes that are answered by so many ReadyForQuery.
pub(crate) fn exchange(raw: &mut Raw, bytes: &[u8], ready: usize) -> Answer {
    let started = Instant::now();
    let mut answer = Answer::default();
    raw.send(bytes);
    let is_extended = bytes.first() != Some(&b'Q');
    let mut seen = 0;
    while seen < ready {
        let Some((tag, body)) = raw.receive() else {
            answer.status = None;
            break;
        };
        match tag {
            b'E' => answer.errors.push((
                field(&body, b'C').unwrap_or_default(),
                field(&body, b'M').unwrap_or_default(),
            )),
            b'D' => answer.rows.push(row(&body)),
            b'd' | b'V' => answer.rows.push(String::from_utf8_lossy(&body).into_owned()),
            b'G' => {
                raw.send(&[message(b'd', COPIED), message(b'c', b"")].concat());
                // The server has thrown away the Sync that came before the data.
                if is_extended {
                    raw.send(&message(b'S', b""));
                }
            }
            b'Z' => {
                seen += 1;
                answer.status = body.first().copied();
            }
            _ => {}
        }
    }
    answer.took = started.elapsed();
    answer
}

fn row(body: &[u8]) -> String {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
        let (value, after) = after.split_at_checked(len).unwrap_or_default();
        values.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    values.join("|")
}
