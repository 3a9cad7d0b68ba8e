//! A small blocking client: what `sluice check --connect`, `explain-sql` and `dev` ask a server with.
//!
//! It logs in as the gateway would (TLS, SCRAM with channel binding, md5, cleartext inside of TLS) and runs simple
//! queries. It serves the command line alone; sessions have their own code in the data plane.

mod catalog;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;
use rustls::{ClientConnection, StreamOwned};
use sluice_dataplane::settings::{Connection, Secret, UpstreamTls};
use sluice_dataplane::tls_server_end_point;

/// No answer that this client asks for comes near, but a catalog's row with the longest body.
const MESSAGE_BYTES_MAX: i32 = 64 << 20;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The name has no address.
    #[error("{host} cannot be resolved: {cause}")]
    Resolve { host: String, cause: io::Error },
    /// Nobody answers at any of its addresses.
    #[error("{host}:{port} cannot be reached: {cause}")]
    Connect {
        host: String,
        port: u16,
        cause: io::Error,
    },
    /// `SSLRequest` was answered `N`.
    #[error("the server does not offer TLS")]
    NoTls,
    /// The handshake failed, most often over the certificate.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The server asks for a password and there is none.
    #[error("the server asks for a password, and none is configured")]
    NoPassword,
    /// The server asks for a password in the clear, over a connection in the clear.
    #[error("the server asks for the password in the clear, without TLS")]
    Cleartext,
    /// The server asks for a proof that this client cannot give.
    #[error("the server asks for {0}, which is not supported")]
    Method(&'static str),
    /// The server said no.
    #[error("the server says: {message} ({code})")]
    Refused { code: String, message: String },
    /// The connection broke, or took too long.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// An answer that fits nothing.
    #[error("the server sent an unexpected message of the type {0:?}")]
    Unexpected(&'static str),
}

/// Rows of texts; `None` is NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// A login on a server.
pub(crate) struct Server {
    stream: Stream,
    received: BytesMut,
    /// The TLS version in use.
    pub(crate) tls: Option<String>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn as_read_write(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

impl Server {
    /// Logs in to a database of the connection's server, under an `application_name`.
    pub(crate) fn connect(
        connection: &Connection,
        database: &str,
        application_name: &str,
    ) -> Result<Self, ServerError> {
        let tcp = reach(&connection.host, connection.port, connection.connect_timeout)?;
        let stream = match &connection.tls {
            UpstreamTls::Off => Stream::Plain(tcp),
            UpstreamTls::On {
                config, server_name, ..
            } => Stream::Tls(Box::new(handshake(tcp, Arc::clone(config), server_name.clone())?)),
        };
        let tls = match &stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream
                .conn
                .protocol_version()
                .map(|version| format!("{version:?}")),
        };
        let mut server = Self {
            stream,
            received: BytesMut::new(),
            tls,
        };
        server.log_in(connection, database, application_name)?;
        Ok(server)
    }

    /// Runs a simple query; the rows of all its statements follow each other.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Rows, ServerError> {
        self.send(|out| frontend::query(sql, out))?;
        let mut rows = Rows::new();
        let mut refused = None;
        loop {
            match self.receive()? {
                Message::DataRow(row) => {
                    let buffer = row.buffer();
                    let mut values = Vec::new();
                    let mut ranges = row.ranges();
                    while let Some(range) = ranges.next()? {
                        let bytes = range.and_then(|range| buffer.get(range));
                        values.push(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
                    }
                    rows.push(values);
                }
                Message::ErrorResponse(error) => refused = Some(refusal(&error)),
                Message::ReadyForQuery(_) => return refused.map_or(Ok(rows), Err),
                Message::RowDescription(_)
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::NoticeResponse(_)
                | Message::ParameterStatus(_) => {}
                other => return Err(ServerError::Unexpected(kind(&other))),
            }
        }
    }

    fn log_in(
        &mut self,
        connection: &Connection,
        database: &str,
        application_name: &str,
    ) -> Result<(), ServerError> {
        let startup = [
            ("user", connection.user.as_str()),
            ("database", database),
            ("application_name", application_name),
        ];
        self.send(|out| frontend::startup_message(startup, out))?;
        let password = connection.password.as_ref();
        loop {
            match self.receive()? {
                Message::AuthenticationOk => break,
                Message::AuthenticationCleartextPassword => {
                    let password = password.ok_or(ServerError::NoPassword)?;
                    if matches!(self.stream, Stream::Plain(_)) && !self.is_local() {
                        return Err(ServerError::Cleartext);
                    }
                    self.send(|out| frontend::password_message(password.expose(), out))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let password = password.ok_or(ServerError::NoPassword)?;
                    let hash = md5_hash(connection.user.as_bytes(), password.expose(), body.salt());
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                Message::AuthenticationSasl(body) => {
                    let mut mechanisms = Vec::new();
                    let mut offered = body.mechanisms();
                    while let Some(mechanism) = offered.next()? {
                        mechanisms.push(mechanism.to_owned());
                    }
                    self.scram(&mechanisms, password.ok_or(ServerError::NoPassword)?)?;
                }
                Message::ErrorResponse(error) => return Err(refusal(&error)),
                Message::AuthenticationGss | Message::AuthenticationSspi => {
                    return Err(ServerError::Method("GSSAPI or SSPI"));
                }
                Message::AuthenticationKerberosV5 | Message::AuthenticationScmCredential => {
                    return Err(ServerError::Method("a method of long ago"));
                }
                other => return Err(ServerError::Unexpected(kind(&other))),
            }
        }
        loop {
            match self.receive()? {
                Message::BackendKeyData(_) => {}
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(error) => return Err(refusal(&error)),
                other => return Err(ServerError::Unexpected(kind(&other))),
            }
        }
    }

    fn scram(&mut self, mechanisms: &[String], password: &Secret) -> Result<(), ServerError> {
        let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
        let end_point = match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => {
                let leaf = stream.conn.peer_certificates().and_then(<[_]>::first);
                leaf.and_then(|leaf| tls_server_end_point(leaf))
            }
        };
        let (mechanism, binding) = match end_point {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            // We could bind and the server could not: saying so lets it notice a man in the middle.
            Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => return Err(ServerError::Method("a SASL mechanism other than SCRAM-SHA-256")),
        };
        let mut scram = ScramSha256::new(password.expose(), binding);
        self.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out))?;
        match self.receive()? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data())?,
            Message::ErrorResponse(error) => return Err(refusal(&error)),
            other => return Err(ServerError::Unexpected(kind(&other))),
        }
        self.send(|out| frontend::sasl_response(scram.message(), out))?;
        match self.receive()? {
            Message::AuthenticationSaslFinal(body) => Ok(scram.finish(body.data())?),
            Message::ErrorResponse(error) => Err(refusal(&error)),
            other => Err(ServerError::Unexpected(kind(&other))),
        }
    }

    fn is_local(&self) -> bool {
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(stream) => &stream.sock,
        };
        tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback())
    }

    fn send(&mut self, encode: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), ServerError> {
        let mut out = BytesMut::new();
        encode(&mut out)?;
        let stream = self.stream.as_read_write();
        let sent = stream.write_all(&out).and_then(|()| stream.flush());
        // What was sent may have been the password.
        zeroize::Zeroize::zeroize(&mut out[..]);
        sent.map_err(broken)
    }

    /// The next message that answers; notices, notifications and reports of settings come at any time.
    fn receive(&mut self) -> Result<Message, ServerError> {
        loop {
            if let Some(header) = Header::parse(&self.received)?
                && header.len() > MESSAGE_BYTES_MAX
            {
                return Err(ServerError::Unexpected("one of over 16 MiB"));
            }
            match Message::parse(&mut self.received)? {
                Some(
                    Message::NoticeResponse(_)
                    | Message::NotificationResponse(_)
                    | Message::ParameterStatus(_),
                ) => {}
                Some(message) => return Ok(message),
                None => {
                    let mut chunk = [0; 8192];
                    let len =
                        uninterrupted(|| self.stream.as_read_write().read(&mut chunk)).map_err(broken)?;
                    if len == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    self.received
                        .extend_from_slice(chunk.get(..len).unwrap_or_default());
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server notices a hang-up as well; this spares its log a line.
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
    }
}

fn reach(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, ServerError> {
    let deadline = Instant::now() + timeout;
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|cause| ServerError::Resolve {
            host: host.to_owned(),
            cause,
        })?;
    let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => cause = error,
        }
    }
    Err(ServerError::Connect {
        host: host.to_owned(),
        port,
        cause,
    })
}

fn handshake(
    mut tcp: TcpStream,
    config: Arc<rustls::ClientConfig>,
    name: rustls::pki_types::ServerName<'static>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, ServerError> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request)?;
    let mut answer = [0];
    // Exactly one byte: what came with it in the clear would otherwise be taken for the server's word inside of TLS.
    tcp.read_exact(&mut answer)?;
    if answer != *b"S" {
        return Err(ServerError::NoTls);
    }
    let mut tls = ClientConnection::new(config, name).map_err(ServerError::Tls)?;
    while tls.is_handshaking() {
        uninterrupted(|| tls.complete_io(&mut tcp)).map_err(broken)?;
    }
    Ok(StreamOwned::new(tls, tcp))
}

/// Tries again what a signal interrupted. The ring that the preflight set up and dropped is enough of one.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// rustls's own errors come wrapped in an `io::Error`.
fn broken(error: io::Error) -> ServerError {
    match error.downcast::<rustls::Error>() {
        Ok(error) => ServerError::Tls(error),
        Err(error) => ServerError::Io(error),
    }
}

fn refusal(error: &ErrorResponseBody) -> ServerError {
    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = error.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value,
            b'M' => message = value,
            _ => {}
        }
    }
    ServerError::Refused { code, message }
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::CopyInResponse(_) | Message::CopyOutResponse(_) | Message::CopyData(_) => "COPY",
        Message::DataRow(_) => "DataRow",
        Message::AuthenticationOk => "AuthenticationOk",
        _ => "another phase",
    }
}
