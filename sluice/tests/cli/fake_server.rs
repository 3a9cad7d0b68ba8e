//! As much of a PostgreSQL server as `sluice check --connect` and `sluice dev` ask for.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// What it answers.
pub(crate) struct Server {
    /// `server_version_num` and `server_version`.
    pub(crate) version: (&'static str, &'static str),
    /// `standard_conforming_strings`.
    pub(crate) conforming: &'static str,
    /// `client_encoding`.
    pub(crate) encoding: &'static str,
    /// `rolsuper`, `rolbypassrls`, `rolreplication`, `rolcreaterole`, `rolcreatedb`.
    pub(crate) rights: [&'static str; 5],
    /// Predefined roles it is a member of.
    pub(crate) roles: &'static [&'static str],
    /// Relations it owns.
    pub(crate) owned: &'static [&'static str],
    /// Whether it asks for a password.
    pub(crate) asks_password: bool,
    /// The SQLSTATE by which it refuses every login.
    pub(crate) refuses: Option<&'static str>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            version: ("150004", "15.4"),
            conforming: "on",
            encoding: "UTF8",
            rights: ["f"; 5],
            roles: &[],
            owned: &[],
            asks_password: false,
            refuses: None,
        }
    }
}

/// A server that listens.
pub(crate) struct Started {
    port: u16,
}

impl Started {
    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Serves one login after the other until the test ends.
pub(crate) fn start(server: Server) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away is how each login ends.
            let _ = stream.and_then(|stream| server.session(stream));
        }
    });
    Started { port }
}

impl Server {
    fn session(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut startup = body(&mut stream)?;
        // SSLRequest.
        if startup.starts_with(&80_877_103_u32.to_be_bytes()) {
            stream.write_all(b"N")?;
            startup = body(&mut stream)?;
        }
        assert!(startup.starts_with(&[0, 3, 0, 0]), "protocol 3.0");
        if self.asks_password {
            stream.write_all(&frame(
                b'R',
                &10_u32
                    .to_be_bytes()
                    .iter()
                    .chain(b"SCRAM-SHA-256\0\0")
                    .copied()
                    .collect::<Vec<_>>(),
            ))?;
            return body(&mut stream).map(|_| ());
        }
        if let Some(code) = self.refuses {
            let fields = format!("SFATAL\0C{code}\0Mno\0\0");
            return stream.write_all(&frame(b'E', fields.as_bytes()));
        }
        let ready = [
            frame(b'R', &0_u32.to_be_bytes()),
            frame(b'S', b"server_encoding\0UTF8\0"),
            frame(b'Z', b"I"),
        ];
        stream.write_all(&ready.concat())?;
        loop {
            let mut tag = [0];
            stream.read_exact(&mut tag)?;
            let query = body(&mut stream)?;
            if tag != *b"Q" {
                return Ok(());
            }
            let query = String::from_utf8(query).unwrap();
            stream.write_all(&self.answer(&query))?;
        }
    }

    fn answer(&self, query: &str) -> Vec<u8> {
        let mut answer = Vec::new();
        for row in self.rows(query) {
            let mut body = u16::try_from(row.len()).unwrap().to_be_bytes().to_vec();
            for value in row {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value.as_bytes());
            }
            answer.extend(frame(b'D', &body));
        }
        answer.extend(frame(b'C', b"SELECT\0"));
        answer.extend(frame(b'Z', b"I"));
        answer
    }

    fn rows(&self, query: &str) -> Vec<Vec<String>> {
        let own = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        if query.contains("server_version_num") {
            let (number, version) = self.version;
            return vec![own(&[
                number,
                version,
                self.conforming,
                "safe_encoding",
                "UTF8",
                self.encoding,
            ])];
        }
        if query.contains("rolsuper, rolbypassrls") {
            return vec![own(&self.rights)];
        }
        if query.contains("pg_execute_server_program") {
            return self.roles.iter().map(|role| own(&[role])).collect();
        }
        if query.contains("relowner") {
            let count = self.owned.len().to_string();
            return self.owned.iter().map(|name| own(&[&count, name])).collect();
        }
        Vec::new()
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

/// What follows a length word.
fn body(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap() - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}
