//! The protocol by hand, for what no driver sends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

/// A message of the server: its type byte and its body.
pub type Message = (u8, Vec<u8>);

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A plain connection on which any bytes can be sent.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    key: Vec<u8>,
}

impl Raw {
    /// Connects and sends nothing.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn connect(port: u16) -> Self {
        Self::try_connect(port).expect("somebody listens")
    }

    fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            key: Vec::new(),
        })
    }

    /// Logs in with SCRAM-SHA-256.
    ///
    /// # Panics
    /// When it is refused.
    pub fn log_in(port: u16, user: &str, password: &str, database: &str) -> Self {
        Self::try_log_in(port, user, password, database, &[]).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// As [`Self::log_in`], with more startup parameters; a refusal is its message.
    pub fn try_log_in(
        port: u16,
        user: &str,
        password: &str,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut raw = Self::try_connect(port).map_err(|error| error.to_string())?;
        let own = [("user", user), ("database", database)];
        raw.send(&startup(&[&own[..], parameters].concat()));
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = raw.receive().ok_or("closed during the login")?;
            let (code, data) = body.split_at_checked(4).unwrap_or_default();
            match (tag, code) {
                (b'E', _) => return Err(String::from_utf8_lossy(&body).into_owned()),
                (b'R', [0, 0, 0, 10]) => {
                    let first = scram.message();
                    let len = u32::try_from(first.len()).map_err(|error| error.to_string())?;
                    let body = [&b"SCRAM-SHA-256\0"[..], &len.to_be_bytes(), first].concat();
                    raw.send(&message(b'p', &body));
                }
                (b'R', [0, 0, 0, 11]) => {
                    scram.update(data).map_err(|error| error.to_string())?;
                    raw.send(&message(b'p', scram.message()));
                }
                (b'R', [0, 0, 0, 12]) => scram.finish(data).map_err(|error| error.to_string())?,
                (b'K', _) => raw.key = body,
                (b'Z', _) => return Ok(raw),
                _ => {}
            }
        }
    }

    /// Process and secret, as they go into a cancel request.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Sends bytes; a connection that is closed already is no failure.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends the same bytes until the other side has taken none for a second; says how many went.
    ///
    /// # Panics
    /// When the connection breaks.
    pub fn send_until_stuck(&self, bytes: &[u8]) -> usize {
        const SECOND: Duration = Duration::from_secs(1);
        let mut stream = &self.stream;
        stream.set_write_timeout(Some(SECOND)).expect("a time-out");
        let many = bytes.repeat((64 << 10) / bytes.len() + 1);
        let (mut at, mut sent) = (0, 0);
        loop {
            match stream.write(&many[at..]) {
                Ok(count) => {
                    at = (at + count) % many.len();
                    sent += count;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return sent,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
    }

    /// Whether there is something to receive within a moment.
    pub fn is_answered_soon(&self) -> bool {
        const MOMENT: Duration = Duration::from_millis(200);
        self.stream.set_read_timeout(Some(MOMENT)).expect("a time-out");
        let is_there = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        is_there
    }

    /// The next byte, which is all that answers a request for encryption.
    pub fn receive_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    /// The next message; none at the end.
    pub fn receive(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).ok()?;
        let [tag, a, b, c, d] = head;
        let mut body = vec![0; (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(4)?];
        self.stream.read_exact(&mut body).ok()?;
        Some((tag, body))
    }

    /// Every message up to and with the `count`-th ReadyForQuery, or to the end.
    pub fn receive_until_ready(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut ready = 0;
        while ready < count {
            let Some(message) = self.receive() else { break };
            ready += usize::from(message.0 == b'Z');
            messages.push(message);
        }
        messages
    }

    /// Reads to the end and says whether it came.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A message: type byte, length, body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

/// A startup packet of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let len = u32::try_from(body.len() + 4).expect("a short packet");
    [&len.to_be_bytes()[..], &body].concat()
}

/// A cancel request for a key.
pub fn cancel(key: &[u8]) -> Vec<u8> {
    [&16u32.to_be_bytes()[..], &80_877_102u32.to_be_bytes(), key].concat()
}

/// A Query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// A Parse without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// A Bind without parameters, for results as text.
pub fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

/// An Execute of all rows.
pub fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

/// An Execute of so many rows.
pub fn execute_some(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

/// A Describe of a statement (`b'S'`) or portal (`b'P'`).
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// A Close of a statement (`b'S'`) or portal (`b'P'`).
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// A Parse with declared parameter types.
pub fn parse_with(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    let count = u16::try_from(types.len()).expect("few types");
    body.extend_from_slice(&count.to_be_bytes());
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    message(b'P', &body)
}

/// A Bind with parameters as text, for results as text.
pub fn bind_with(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    body.extend_from_slice(&0u16.to_be_bytes());
    body.extend(texts(values));
    body.extend_from_slice(&0u16.to_be_bytes());
    message(b'B', &body)
}

/// A FunctionCall with arguments as text, for a result as text.
pub fn call(function: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend_from_slice(&0u16.to_be_bytes());
    body.extend(texts(arguments));
    body.extend_from_slice(&0u16.to_be_bytes());
    message(b'F', &body)
}

/// Values as Bind and FunctionCall count them.
fn texts(values: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(values.len())
        .expect("few values")
        .to_be_bytes()
        .to_vec();
    for value in values {
        let len = u32::try_from(value.len()).expect("a short value");
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body
}

/// A Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// A field of an ErrorResponse or notice: `b'M'` is its message, `b'C'` its SQLSTATE.
pub fn field(body: &[u8], code: u8) -> Option<String> {
    let field = body
        .split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&code))?;
    Some(String::from_utf8_lossy(field.get(1..)?).into_owned())
}

/// The type bytes of messages, with the SQLSTATE of each error: `1 2 C Z` or `E42501 Z`.
pub fn outline(messages: &[Message]) -> String {
    let word = |(tag, body): &Message| match tag {
        b'E' => format!("E{}", field(body, b'C').unwrap_or_default()),
        b'Z' => format!("Z{}", String::from_utf8_lossy(body)),
        tag => char::from(*tag).to_string(),
    };
    messages
        .iter()
        .filter(|(tag, _)| !b"NSA".contains(tag))
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The same with rows, and pieces of COPY data, in a row as one word: `T 10D C ZI`.
pub fn brief(messages: &[Message]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for word in outline(messages).split(' ') {
        match words.last_mut() {
            Some((last, times)) if last == word && matches!(word, "D" | "d") => *times += 1,
            _ => words.push((word.to_owned(), 1)),
        }
    }
    let word = |(word, times): (String, usize)| match times {
        1 => word,
        times => format!("{times}{word}"),
    };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Sends messages and takes the answers up to so many ReadyForQuery.
///
/// # Panics
/// When the session ends before.
pub fn ask(session: &mut Raw, sent: &[Vec<u8>], cycles: usize) -> Vec<Message> {
    assert!(session.send(&sent.concat()));
    session.receive_until_ready(cycles)
}

/// The body of the first error.
///
/// # Panics
/// When there is none.
pub fn error_of(messages: &[Message]) -> &[u8] {
    &messages.iter().find(|(tag, _)| *tag == b'E').expect("an error").1
}
