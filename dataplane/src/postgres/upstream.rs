//! The gateway's own login at a server: connect, TLS, authentication, and the first ReadyForQuery.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use sluice_parsers::postgres::backend::encode;
use sluice_parsers::postgres::backend::{self, Authentication, Fields, ParameterStatus};
use sluice_parsers::postgres::frontend;
use sluice_parsers::postgres::scram::{self, SaltedKeys, ScramError, client, end_point};
use sluice_parsers::postgres::startup::{self, CancelKey};
use sluice_parsers::postgres::{ProtocolError, SqlState};
use sluice_parsers::sql::settings;
use sluice_runtime::helpers::HelperError;
use sluice_runtime::net::{IoError, connect, resolve};
use sluice_runtime::time::Instant;

use super::catalog::reading::CatalogError;
use super::state::{READ_AT_START, Start};
use super::wire::{Message, Messages, WireError};
use crate::core::Core;
use crate::settings::{Connection, UpstreamTls};
use crate::stream::{Stream, StreamError};
use crate::tls::{Tls, TlsError};

/// The longest message that a server sends before its first ReadyForQuery.
const MESSAGE_LEN_MAX: u32 = 64 * 1024;

/// Derived keys that a core remembers.
const KEYS_MAX: usize = 64;

/// Why a session has no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum UpstreamError {
    #[error("{0}")]
    Io(#[from] IoError),
    #[error("{0}")]
    Stream(#[from] StreamError),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Scram(#[from] ScramError),
    #[error("{0}")]
    Helper(#[from] HelperError),
    /// The connection's `tls` wants it, and the server answered `N`.
    #[error(
        "the server does not speak TLS; set the connection's tls to \"off\" only inside of a trusted network"
    )]
    NoTls,
    /// The server asks for a password, and the configuration has none.
    #[error("the server asks for a password and the connection has none: set password_file or password_env")]
    NoPassword,
    /// The server wants a proof of identity that the gateway does not know.
    #[error("the server asks for authentication method {code}, which is not supported")]
    Method {
        /// The code in its request.
        code: u32,
    },
    /// The server refused.
    #[error("the server refused: {message} ({sqlstate:?})")]
    Refused {
        /// Its SQLSTATE.
        sqlstate: SqlState,
        /// Its message.
        message: String,
    },
    /// Under the server's settings statements cannot be judged.
    #[error("the server's {name} is {value}, under which statements cannot be judged")]
    Setting {
        /// The setting.
        name: String,
        /// Its value.
        value: String,
    },
    /// The server sent something that does not belong to a login.
    #[error("the server sent {:?} during its login", char::from(*tag))]
    Unexpected {
        /// The type byte.
        tag: u8,
    },
    /// It took longer than the connection's `connect_timeout`.
    #[error("the server did not answer within connect_timeout")]
    TimedOut,
    /// Nothing is known of the database's objects.
    #[error("{0}")]
    Catalog(#[from] Arc<CatalogError>),
}

impl UpstreamError {
    /// What the client is told: the server's own words where they are about the client's request, and else no more than
    /// that the server cannot be used.
    pub(crate) fn for_client(&self) -> (SqlState, String) {
        match self {
            // No such database, too many connections, starting up or shutting down.
            Self::Refused { sqlstate, message }
                if matches!(&sqlstate.class(), b"3D" | b"53" | b"57" | b"22") =>
            {
                (*sqlstate, message.clone())
            }
            Self::Setting { .. } => (SqlState::CONNECTION_REJECTED, format!("sluice: {self}")),
            Self::Catalog(error) if matches!(**error, CatalogError::Snapshot(_)) => {
                (SqlState::CONNECTION_REJECTED, format!("sluice: {error}"))
            }
            _ => (
                SqlState::CONNECTION_FAILURE,
                "sluice: the server cannot be reached or refused the gateway".into(),
            ),
        }
    }
}

/// A server that is logged in to and waits for the first message.
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    pub(crate) messages: Messages,
    pub(crate) address: SocketAddr,
    /// What it reported at the start, encoded for the client.
    pub(crate) statuses: Vec<u8>,
    pub(crate) key: Option<CancelKey>,
    /// What version it says it is of.
    pub(crate) server_version: String,
    /// The client asked for a search path.
    has_clients_path: bool,
}

/// Keys derived from the server passwords, so that PBKDF2 is not done for each session.
#[derive(Default)]
pub(crate) struct KeyCache(HashMap<(String, Vec<u8>, u32), Rc<SaltedKeys>>);

/// Looks the connection's host up.
pub(crate) async fn addresses(
    core: &Core,
    connection: &Connection,
) -> Result<Vec<SocketAddr>, UpstreamError> {
    Ok(resolve(&core.helpers, &connection.host, connection.port).await?)
}

/// Connects to one address, with TLS where the connection asks for it.
pub(crate) async fn dial(
    core: &Core,
    connection: &Connection,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Stream, UpstreamError> {
    let mut stream = Stream::plain(connect(address, deadline).await?);
    let UpstreamTls::On {
        config, server_name, ..
    } = &connection.tls
    else {
        return Ok(stream);
    };
    let mut request = Vec::new();
    startup::ssl_request(&mut request);
    stream.send(request)?;
    let answer = stream.receive().await?.ok_or(StreamError::Closed)?;
    match &*answer {
        // Bytes behind the answer would have been sent by somebody in between.
        [b'S'] => {}
        [b'N', ..] => return Err(UpstreamError::NoTls),
        other => {
            return Err(UpstreamError::Unexpected {
                tag: other.first().copied().unwrap_or_default(),
            });
        }
    }
    let tls = Tls::client(Arc::clone(config), server_name.clone())?;
    Ok(stream.handshake(tls, &core.helpers, Vec::new()).await?)
}

/// Logs in to a database with the settings that the client asked for.
pub(crate) async fn log_in(
    core: &Core,
    connection: &Connection,
    database: &str,
    client_settings: &[(String, String)],
    accepts_any_setting: bool,
) -> Result<Upstream, UpstreamError> {
    let deadline = sluice_runtime::time::now() + connection.connect_timeout;
    let attempt = async {
        let mut failed = UpstreamError::Io(IoError::NoAddress);
        for address in addresses(core, connection).await? {
            match dial(core, connection, address, deadline).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    };
    let logged_in = async {
        let (stream, address) = attempt.await?;
        authenticate(
            core,
            connection,
            database,
            client_settings,
            accepts_any_setting,
            stream,
            address,
        )
        .await
    };
    // Boxed: a login is large, a session that follows it need not be.
    sluice_runtime::time::timeout(deadline, Box::pin(logged_in))
        .await
        .map_err(|_| UpstreamError::TimedOut)?
}

async fn authenticate(
    core: &Core,
    connection: &Connection,
    database: &str,
    client_settings: &[(String, String)],
    accepts_any_setting: bool,
    mut stream: Stream,
    address: SocketAddr,
) -> Result<Upstream, UpstreamError> {
    let own = [("user", connection.user.as_str()), ("database", database)];
    let asked = client_settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let parameters = own
        .into_iter()
        .chain(asked)
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let has_clients_path = client_settings
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("search_path"));
    let mut packet = Vec::new();
    startup::startup_message(&mut packet, parameters);
    stream.send(packet)?;

    let mut messages = Messages::new(Vec::new());
    prove(core, connection, &mut stream, &mut messages).await?;
    let (mut statuses, mut key, mut server_version) = (Vec::new(), None, String::new());
    loop {
        let message = messages.next(&mut stream, MESSAGE_LEN_MAX).await?;
        match message.tag() {
            b'S' => {
                let status = ParameterStatus::parse(message.body())?;
                check_setting(&status, accepts_any_setting)?;
                if status.name == b"server_version" {
                    server_version = String::from_utf8_lossy(status.value).into_owned();
                }
                encode::parameter_status(&mut statuses, status.name, status.value);
            }
            b'K' => key = Some(backend::backend_key_data(message.body())?),
            b'N' => {}
            b'Z' => {
                return Ok(Upstream {
                    stream,
                    messages,
                    address,
                    statuses,
                    key,
                    server_version,
                    has_clients_path,
                });
            }
            tag => return Err(refused_or_unexpected(tag, message.body())),
        }
    }
}

/// Reads what a session begins with, before its client sends. The server gets `connect_timeout` for the answer.
pub(crate) async fn read_start(
    connection: &Connection,
    upstream: &mut Upstream,
) -> Result<Start, UpstreamError> {
    let deadline = sluice_runtime::time::now() + connection.connect_timeout;
    sluice_runtime::time::timeout(deadline, ask_start(connection, upstream))
        .await
        .map_err(|_| UpstreamError::TimedOut)?
}

async fn ask_start(connection: &Connection, upstream: &mut Upstream) -> Result<Start, UpstreamError> {
    let mut query = Vec::new();
    frontend::encode::query(&mut query, READ_AT_START.as_bytes());
    upstream.stream.send(query)?;
    let mut start = None;
    loop {
        let message = upstream
            .messages
            .next(&mut upstream.stream, MESSAGE_LEN_MAX)
            .await?;
        match message.tag() {
            b'D' => {
                start = Start::of_row(message.body(), &connection.user);
                if let Some(start) = &mut start {
                    start.path_is_the_clients = upstream.has_clients_path;
                }
            }
            b'T' | b'C' | b'N' | b'S' => {}
            b'Z' => return start.ok_or(UpstreamError::Unexpected { tag: b'D' }),
            _ => return Err(refused_or_unexpected(message.tag(), message.body())),
        }
    }
}

/// Under other settings the server would read statements in another way than the gate.
fn check_setting(status: &ParameterStatus<'_>, accepts_any_setting: bool) -> Result<(), UpstreamError> {
    let (name, value) = (
        String::from_utf8_lossy(status.name),
        String::from_utf8_lossy(status.value),
    );
    if accepts_any_setting || settings::value_accepted(&name, &value) {
        return Ok(());
    }
    Err(UpstreamError::Setting {
        name: name.into_owned(),
        value: value.into_owned(),
    })
}

/// What an error of the server before the session is, or another message that nothing asked for.
pub(super) fn refused_or_unexpected(tag: u8, body: &[u8]) -> UpstreamError {
    if tag != b'E' {
        return UpstreamError::Unexpected { tag };
    }
    let fields = Fields::parse(body).ok();
    let sqlstate = fields
        .and_then(|fields| fields.sqlstate())
        .unwrap_or(SqlState::CONNECTION_REJECTED);
    let text = fields.and_then(|fields| fields.message()).unwrap_or_default();
    UpstreamError::Refused {
        sqlstate,
        message: String::from_utf8_lossy(text).into_owned(),
    }
}

/// Proves the gateway's identity in the way that the server asks for, until AuthenticationOk.
async fn prove(
    core: &Core,
    connection: &Connection,
    stream: &mut Stream,
    messages: &mut Messages,
) -> Result<(), UpstreamError> {
    loop {
        let message = messages.next(stream, MESSAGE_LEN_MAX).await?;
        if message.tag() != b'R' {
            return Err(refused_or_unexpected(message.tag(), message.body()));
        }
        let password = || connection.password.as_ref().ok_or(UpstreamError::NoPassword);
        let mut answer = Vec::new();
        match Authentication::parse(message.body())? {
            Authentication::Ok => return Ok(()),
            Authentication::CleartextPassword => {
                frontend::encode::password(&mut answer, password()?.expose());
            }
            Authentication::Md5Password { salt } => {
                let hashed = scram::md5_password(connection.user.as_bytes(), password()?.expose(), salt);
                frontend::encode::password(&mut answer, hashed.as_bytes());
            }
            Authentication::Sasl(mechanisms) => {
                let binding = match stream
                    .tls()
                    .and_then(Tls::peer_certificate)
                    .and_then(end_point::hash)
                {
                    Some(hash) => client::Binding::Offered(hash),
                    None => client::Binding::None,
                };
                let (start, first) = client::Start::new(mechanisms.iter(), binding, scram::random()?)?;
                frontend::encode::sasl_initial_response(
                    &mut answer,
                    start.mechanism().as_bytes(),
                    first.as_bytes(),
                );
                stream.send(answer)?;
                exchange(core, connection, start, stream, messages).await?;
                continue;
            }
            Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => {
                return Err(UpstreamError::Unexpected { tag: b'R' });
            }
            Authentication::Other { code } => return Err(UpstreamError::Method { code }),
        }
        stream.send(answer)?;
    }
}

/// The rest of a SCRAM exchange; the server has to prove that it knows the password too.
async fn exchange(
    core: &Core,
    connection: &Connection,
    start: client::Start,
    stream: &mut Stream,
    messages: &mut Messages,
) -> Result<(), UpstreamError> {
    let message = messages.next(stream, MESSAGE_LEN_MAX).await?;
    let Ok(Authentication::SaslContinue(challenge)) = authentication(&message) else {
        return Err(refused_or_unexpected(message.tag(), message.body()));
    };
    let challenge = start.challenged(challenge, scram::ITERATIONS_MAX)?;
    let keys = keys(core, connection, challenge.salt(), challenge.iterations()).await?;
    let (proven, last) = challenge.prove(&keys);
    let mut answer = Vec::new();
    frontend::encode::sasl_response(&mut answer, last.as_bytes());
    stream.send(answer)?;
    let message = messages.next(stream, MESSAGE_LEN_MAX).await?;
    match authentication(&message) {
        Ok(Authentication::SaslFinal(signature)) => Ok(proven.check(signature)?),
        _ => Err(refused_or_unexpected(message.tag(), message.body())),
    }
}

fn authentication(message: &Message) -> Result<Authentication<'_>, UpstreamError> {
    if message.tag() != b'R' {
        return Err(refused_or_unexpected(message.tag(), message.body()));
    }
    Ok(Authentication::parse(message.body())?)
}

/// The keys of the connection's password under a salt, derived on a helper thread once.
async fn keys(
    core: &Core,
    connection: &Connection,
    salt: &[u8],
    iterations: NonZeroU32,
) -> Result<Rc<SaltedKeys>, UpstreamError> {
    let known = (connection.name.clone(), salt.to_vec(), iterations.get());
    if let Some(keys) = core.keys.borrow().0.get(&known) {
        return Ok(Rc::clone(keys));
    }
    let password = connection.password.clone().ok_or(UpstreamError::NoPassword)?;
    let salt = salt.to_vec();
    let derived = core
        .helpers
        .run(move || scram::derive(password.expose(), &salt, iterations))
        .await?;
    let derived = Rc::new(derived);
    let mut keys = core.keys.borrow_mut();
    if keys.0.len() >= KEYS_MAX {
        keys.0.clear();
    }
    keys.0.insert(known, Rc::clone(&derived));
    Ok(derived)
}
