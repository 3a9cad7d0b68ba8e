//! A client's login: TLS, the startup packet, the proof of identity, and what it wants to reach.

use std::net::IpAddr;
use std::rc::Rc;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_audit::record::{EndReason, EventKind, Severity};
use sluice_parsers::postgres::backend::encode;
use sluice_parsers::postgres::frame::FRAME_LEN_SMALL;
use sluice_parsers::postgres::frontend::{self, SaslInitialResponse};
use sluice_parsers::postgres::scram::{self, Verifier, server};
use sluice_parsers::postgres::startup::{self, EncryptionRequests, Packet, Parsed, StartupMessage, options};
use sluice_parsers::postgres::{ProtocolError, SqlState};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags};
use sluice_parsers::sql::settings::startup_effect;
use sluice_policy::identity::{Identity, TokenError};
use sluice_policy::{Cause, Client, Denial, Principal, Target, printable};
use sluice_runtime::net::Socket;

use super::cancel::{self, CancelRequest};
use super::session::{End, recorded_severity};
use super::wire::{Message, Messages, WireError};
use crate::core::Core;
use crate::gate::{self, Context, Outcome};
use crate::settings::{Connection, Enforcement, Listener, ListenerTarget, ListenerTls, ServerTls};
use crate::stream::{Stream, StreamError};
use crate::tls::Tls;

/// The longest that a token may wait for keys that are being fetched.
const KEYS_WAIT_MAX: Duration = Duration::from_secs(3);

/// `invalid_catalog_name`: what the server answers for a database that it does not have.
const NO_SUCH_DATABASE: SqlState = SqlState(*b"3D000");

/// How much of a setting's name a hint shows.
const SETTING_CHARS_MAX: usize = 64;

/// A client that has proven who it is and may connect.
pub(crate) struct LoggedIn {
    pub(crate) stream: Stream,
    pub(crate) messages: Messages,
    pub(crate) identity: Identity,
    pub(crate) connection: Arc<Connection>,
    pub(crate) database: String,
    pub(crate) context: Context,
    /// What the server is told of the client's startup parameters, each of them judged.
    pub(crate) settings: Vec<(String, String)>,
    /// The startup packet's names and values in turn, for the record.
    pub(crate) startup: Vec<Vec<u8>>,
    /// Protocol version and cipher suite; empty without TLS.
    pub(crate) tls: String,
}

/// How a login ends without a session.
pub(crate) enum NoSession {
    /// The client is told.
    Refused(Box<Refused>),
    /// There is nobody to tell: it went away, or asked for a cancel.
    Gone,
}

/// A refusal, and whom to tell.
pub(crate) struct Refused {
    pub(crate) stream: Option<Stream>,
    pub(crate) end: End,
    /// What the record says it was.
    pub(crate) event: EventKind,
    /// What else the record says, where that is more than the client is told.
    pub(crate) recorded: Option<String>,
    /// The user name that was claimed.
    pub(crate) user: Vec<u8>,
    pub(crate) connection: String,
    /// Of the policies that refuse it.
    pub(crate) severity: Severity,
}

impl NoSession {
    fn refused(stream: Stream, event: EventKind, end: End) -> Self {
        Self::Refused(Box::new(Refused {
            stream: Some(stream),
            end,
            event,
            recorded: None,
            user: Vec::new(),
            connection: String::new(),
            severity: Severity::default(),
        }))
    }

    fn recorded(mut self, text: String) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.recorded = Some(text);
        }
        self
    }

    fn by(mut self, user: &[u8]) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.user = user.to_vec();
        }
        self
    }

    fn to(mut self, connection: &str) -> Self {
        if let Self::Refused(refused) = &mut self {
            connection.clone_into(&mut refused.connection);
        }
        self
    }

    fn weighing(mut self, severity: Severity) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.severity = severity;
        }
        self
    }
}

/// The startup packet, taken apart.
struct Startup {
    user: String,
    database: Option<String>,
    /// Settings of `options` first, as the server applies them.
    settings: Vec<(String, String)>,
    raw: Vec<Vec<u8>>,
}

/// What was offered with the certificate.
struct Greeted {
    stream: Stream,
    rest: Vec<u8>,
    packet: Vec<u8>,
    certificate: Option<Arc<ServerTls>>,
}

/// Tells a client that there is no seat for it, before a proof of identity is asked for, which would be work for
/// nothing; its cancel requests are passed on.
pub(crate) async fn refuse(core: &Rc<Core>, listener: &Listener, socket: Socket) -> NoSession {
    let Greeted {
        mut stream, packet, ..
    } = match greet(core, listener, socket).await {
        Ok(greeted) => greeted,
        Err(no_session) => return no_session,
    };
    let startup = match understand(&packet, listener, &mut stream) {
        Ok(startup) => startup,
        Err((event, end)) => return NoSession::refused(stream, event, end),
    };
    let end = End::new(
        EndReason::Other,
        SqlState::TOO_MANY_CONNECTIONS,
        "this core has as many sessions as it may",
    );
    NoSession::refused(stream, EventKind::SessionRefused, end).by(startup.user.as_bytes())
}

/// Takes a client in.
pub(crate) async fn log_in(
    core: &Rc<Core>,
    listener: &Listener,
    socket: Socket,
) -> Result<LoggedIn, NoSession> {
    // A client that is gone already has no address. None is made up for it: policies may ask about it.
    let Ok(address) = socket.peer_address().map(|address| address.ip()) else {
        return Err(NoSession::Gone);
    };
    let Greeted {
        mut stream,
        rest,
        packet,
        certificate,
    } = greet(core, listener, socket).await?;
    let startup = match understand(&packet, listener, &mut stream) {
        Ok(startup) => startup,
        Err((event, end)) => return Err(NoSession::refused(stream, event, end)),
    };
    let tls = stream.tls().map(Tls::description).unwrap_or_default();
    let mut messages = Messages::new(rest);
    let proven = authenticate(
        core,
        &startup.user,
        certificate.as_deref(),
        &mut stream,
        &mut messages,
    )
    .await;
    let identity = match proven {
        Ok(identity) => identity,
        Err(Unproven::Gone) => return Err(NoSession::Gone),
        Err(Unproven::Failed(event, end)) => {
            return Err(NoSession::refused(stream, event, end).by(startup.user.as_bytes()));
        }
        Err(Unproven::Token(error)) => {
            let (end, text) = token_refused(&error);
            let refused = NoSession::refused(stream, EventKind::AuthFailed, end);
            return Err(refused.by(startup.user.as_bytes()).recorded(text));
        }
    };
    match admit(core, listener, &startup, &identity, address) {
        Ok((connection, database, context)) => Ok(LoggedIn {
            stream,
            messages,
            identity,
            connection,
            database,
            context,
            settings: startup.settings,
            startup: startup.raw,
            tls,
        }),
        Err(NotAdmitted {
            end,
            connection,
            severity,
        }) => Err(NoSession::refused(stream, EventKind::ConnectDenied, end)
            .by(identity.subject.as_bytes())
            .to(&connection)
            .weighing(severity)),
    }
}

/// Reads packets up to the startup packet; TLS is taken up and cancel requests are passed on here.
async fn greet(core: &Rc<Core>, listener: &Listener, socket: Socket) -> Result<Greeted, NoSession> {
    let client = socket
        .peer_address()
        .map(|address| address.to_string())
        .unwrap_or_default();
    let mut stream = Stream::plain(socket);
    let mut buffer = Vec::new();
    let mut requests = EncryptionRequests::default();
    let mut certificate = None;
    loop {
        let parsed = match startup::parse(&buffer) {
            Ok(parsed) => parsed,
            Err(error) => {
                return Err(NoSession::refused(
                    stream,
                    EventKind::HostileInput,
                    End::hostile(&error),
                ));
            }
        };
        let (packet, used) = match parsed {
            Parsed::Packet { packet, used } => (packet, used),
            Parsed::Incomplete { .. } => {
                match stream.receive().await {
                    Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => return Err(NoSession::Gone),
                }
                continue;
            }
        };
        let checked = requests
            .take(&packet)
            .and_then(|()| packet.refuse_bytes_behind(buffer.len() - used));
        if let Err(error) = checked {
            return Err(NoSession::refused(
                stream,
                EventKind::HostileInput,
                End::hostile(&error),
            ));
        }
        match packet {
            Packet::SslRequest => {
                buffer.clear();
                let Some(handle) = listener.tls.handle() else {
                    send(&mut stream, b"N")?;
                    continue;
                };
                send(&mut stream, b"S")?;
                let server = handle.load_full();
                requests = EncryptionRequests::inside_of_tls();
                stream = handshake(core, stream, &server).await?;
                certificate = Some(server);
            }
            Packet::GssEncRequest => {
                buffer.clear();
                send(&mut stream, b"N")?;
            }
            Packet::CancelRequest(key) => {
                cancel::route(core, CancelRequest { key, client }).await;
                stream.finish(crate::core::farewell_deadline()).await;
                return Err(NoSession::Gone);
            }
            Packet::Startup(_) => {
                let rest = buffer.split_off(used);
                return Ok(Greeted {
                    stream,
                    rest,
                    packet: buffer,
                    certificate,
                });
            }
        }
    }
}

fn send(stream: &mut Stream, bytes: &'static [u8]) -> Result<(), NoSession> {
    stream
        .send_all(&mut vec![bytes.into()])
        .map_err(|_| NoSession::Gone)
}

async fn handshake(core: &Core, stream: Stream, server: &ServerTls) -> Result<Stream, NoSession> {
    let tls = Tls::server(Arc::clone(&server.config)).map_err(|_| NoSession::Gone)?;
    match stream.handshake(tls, &core.helpers, Vec::new()).await {
        Ok(stream) => Ok(stream),
        Err(StreamError::Tls(error)) => {
            // The alert has told the client; the record is told here.
            Err(NoSession::Refused(Box::new(Refused {
                stream: None,
                end: End::quiet(EndReason::ClientProtocol, error.to_string()),
                event: EventKind::HostileInput,
                recorded: None,
                user: Vec::new(),
                connection: String::new(),
                severity: Severity::default(),
            })))
        }
        Err(_) => Err(NoSession::Gone),
    }
}

type Refusal = (EventKind, End);

/// Takes the startup packet apart. A newer minor version and unknown protocol options are negotiated down.
fn understand(packet: &[u8], listener: &Listener, stream: &mut Stream) -> Result<Startup, Refusal> {
    let hostile = |error: ProtocolError| (EventKind::HostileInput, End::hostile(&error));
    let refuse = |sqlstate, message: String| {
        (
            EventKind::AuthFailed,
            End::new(EndReason::ClientProtocol, sqlstate, message),
        )
    };
    let Parsed::Packet {
        packet: Packet::Startup(message),
        ..
    } = startup::parse(packet).map_err(hostile)?
    else {
        return Err(hostile(ProtocolError::Truncated { at: packet.len() }));
    };
    if matches!(listener.tls, ListenerTls::Required(_)) && stream.tls().is_none() {
        let message = "this listener takes TLS connections only: use sslmode=require or better".to_owned();
        return Err(refuse(SqlState::INVALID_AUTHORIZATION, message));
    }
    if message.asks_for_replication() {
        return Err(refuse(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections are not supported".into(),
        ));
    }
    let text = |name: &str, value: &[u8]| {
        String::from_utf8(value.to_vec()).map_err(|_| {
            refuse(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("the startup packet's {name} is not UTF-8"),
            )
        })
    };
    let user = text("user", message.user().unwrap_or_default())?;
    if user.is_empty() {
        return Err(refuse(
            SqlState::INVALID_AUTHORIZATION,
            "the startup packet names no user".into(),
        ));
    }
    let database = message.database().filter(|name| !name.is_empty());
    let database = database.map(|name| text("database", name)).transpose()?;
    let settings =
        settings(&message).map_err(|message| refuse(SqlState::INVALID_PARAMETER_VALUE, message))?;
    if message.needs_negotiation() {
        let mut answer = Vec::new();
        message.negotiate(&mut answer);
        // If it cannot be sent, the next message cannot be received either.
        let _ = stream.send(answer);
    }
    let raw = message
        .parameters()
        .flat_map(|parameter| [parameter.name.to_vec(), parameter.value.to_vec()])
        .collect();
    Ok(Startup {
        user,
        database,
        settings,
        raw,
    })
}

/// Every setting of the packet: those of `options` first, as the server applies them.
fn settings(message: &StartupMessage<'_>) -> Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    if let Some(switches) = message.options() {
        let parsed = options::settings(switches).map_err(|error| error.to_string())?;
        settings.extend(parsed.into_iter().map(|setting| (setting.name, setting.value)));
    }
    for parameter in message.settings() {
        let utf8 = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "a startup parameter is not UTF-8".to_owned())
        };
        settings.push((utf8(parameter.name)?, utf8(parameter.value)?));
    }
    Ok(settings)
}

enum Unproven {
    Failed(EventKind, End),
    Token(TokenError),
    Gone,
}

impl From<WireError> for Unproven {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Protocol(error) => Self::Failed(EventKind::HostileInput, End::hostile(&error)),
            WireError::Stream(_) | WireError::Closed => Self::Gone,
        }
    }
}

impl From<StreamError> for Unproven {
    fn from(_: StreamError) -> Self {
        Self::Gone
    }
}

fn unproven(sqlstate: SqlState, message: impl Into<String>) -> Unproven {
    Unproven::Failed(
        EventKind::AuthFailed,
        End::new(EndReason::Other, sqlstate, message),
    )
}

/// The user name chooses how identity is proven.
async fn authenticate(
    core: &Core,
    user: &str,
    certificate: Option<&ServerTls>,
    stream: &mut Stream,
    messages: &mut Messages,
) -> Result<Identity, Unproven> {
    let identities = &core.settings.identities;
    if identities.token_users.iter().any(|name| name == user) {
        return authenticate_token(core, stream, messages).await;
    }
    let known = identities.scram.get(user);
    let verifier = match known {
        Some(identity) => identity.verifier().to_owned(),
        None => Verifier::mock(
            identities.scram.mock_secret().as_bytes(),
            user.as_bytes(),
            scram::ITERATIONS_DEFAULT,
        )
        .to_text()
        .to_string(),
    };
    let verifier = Verifier::parse(&verifier)
        .map_err(|_| unproven(SqlState::INTERNAL_ERROR, "the configured verifier cannot be read"))?;
    let end_point = certificate.and_then(|certificate| certificate.end_point.clone());
    let binding = end_point.map_or(server::Binding::None, server::Binding::TlsServerEndPoint);
    let proven = exchange(verifier, &binding, stream, messages).await?;
    match (proven, identities.scram.identity(user)) {
        (true, Some(identity)) => Ok(identity),
        _ => Err(unproven(
            SqlState::INVALID_PASSWORD,
            format!("password authentication failed for user \"{user}\""),
        )),
    }
}

/// A SCRAM exchange; says whether the client knows the password.
async fn exchange(
    verifier: Verifier,
    binding: &server::Binding,
    stream: &mut Stream,
    messages: &mut Messages,
) -> Result<bool, Unproven> {
    let mut out = Vec::new();
    encode::authentication_sasl(&mut out, binding.mechanisms());
    stream.send(out)?;
    let first = password_message(messages.next(stream, FRAME_LEN_SMALL).await?)?;
    let first = SaslInitialResponse::parse(first.body()).map_err(WireError::from)?;
    let mechanism = String::from_utf8_lossy(first.mechanism);
    let failed = |error: scram::ScramError| unproven(error.sqlstate(), error.to_string());
    let begun =
        server::Exchange::begin(&mechanism, binding, first.data.unwrap_or_default()).map_err(failed)?;
    let nonce = scram::random().map_err(failed)?;
    let (challenged, challenge) = begun.challenge(verifier, nonce);
    let mut out = Vec::new();
    encode::authentication_sasl_continue(&mut out, challenge.as_bytes());
    stream.send(out)?;
    let last = password_message(messages.next(stream, FRAME_LEN_SMALL).await?)?;
    match challenged.check(last.body()) {
        Ok(signature) => {
            let mut out = Vec::new();
            encode::authentication_sasl_final(&mut out, signature.as_bytes());
            stream.send(out)?;
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

/// A token as the password, inside of TLS only; who comes without is refused before it would send one.
async fn authenticate_token(
    core: &Core,
    stream: &mut Stream,
    messages: &mut Messages,
) -> Result<Identity, Unproven> {
    let Some(tokens) = &core.settings.identities.tokens else {
        return Err(unproven(
            SqlState::INVALID_AUTHORIZATION,
            "no token issuer is configured: add [issuers.NAME]",
        ));
    };
    if stream.tls().is_none() {
        let message = "a token is taken inside of TLS only: use sslmode=require or better";
        return Err(unproven(SqlState::INVALID_AUTHORIZATION, message));
    }
    let mut out = Vec::new();
    encode::authentication_cleartext(&mut out);
    stream.send(out)?;
    let limit = u32::try_from(core.settings.limits.password_bytes)
        .unwrap_or(u32::MAX)
        .saturating_add(5);
    let message = password_message(messages.next(stream, limit).await?)?;
    let token = frontend::password(message.body()).map_err(WireError::from)?;
    let token = zeroize::Zeroizing::new(token.to_vec());
    let mut waited = Duration::ZERO;
    loop {
        let (tokens, token) = (Arc::clone(tokens), token.clone());
        let verified = core
            .helpers
            .run(move || tokens.verify(&token, unix_seconds()))
            .await;
        let error: TokenError = match verified {
            Ok(Ok(identity)) => return Ok(identity),
            Ok(Err(error)) => error,
            Err(error) => return Err(unproven(SqlState::INTERNAL_ERROR, error.to_string())),
        };
        match error.retry_after() {
            Some(pause) if waited + pause <= KEYS_WAIT_MAX => {
                waited += pause;
                sluice_runtime::time::sleep(pause).await;
            }
            _ => return Err(Unproven::Token(error)),
        }
    }
}

/// What the client is told of a token that was refused, and what the record says: always the cause and the way out.
fn token_refused(error: &TokenError) -> (End, String) {
    const ELSEWHERE: &str =
        "try again with a fresh token; the gateway's audit record says what is wrong with this one";
    let recorded = format!("token refused ({}): {error}; {}", error.name(), error.help());
    let (message, hint) = if error.is_told_to_client() {
        (format!("token refused: {error}"), error.help())
    } else {
        ("token refused".to_owned(), ELSEWHERE)
    };
    let end = End::new(EndReason::Other, SqlState::INVALID_PASSWORD, message);
    (end.with_hint(hint), recorded)
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn password_message(message: Message) -> Result<Message, Unproven> {
    match message.tag() {
        b'p' => Ok(message),
        // libpq gives up this way when it has no password.
        b'X' => Err(Unproven::Gone),
        tag => Err(WireError::Protocol(ProtocolError::UnknownTag { tag }).into()),
    }
}

type Admitted = (Arc<Connection>, String, Context);

/// Why a client does not get to what it wants to reach.
struct NotAdmitted {
    end: End,
    connection: String,
    severity: Severity,
}

/// Finds what the client wants to reach, and asks policy about it and about each startup parameter.
fn admit(
    core: &Core,
    listener: &Listener,
    startup: &Startup,
    identity: &Identity,
    address: IpAddr,
) -> Result<Admitted, NotAdmitted> {
    let refuse = |sqlstate, message: String, connection: &str| NotAdmitted {
        end: End::new(EndReason::ConnectDenied, sqlstate, message),
        connection: connection.to_owned(),
        severity: Severity::default(),
    };
    let (connection, database) =
        reach(core, listener, startup).map_err(|message| refuse(NO_SUCH_DATABASE, message, ""))?;
    let target = Target::new(connection.name.as_str(), database.as_str())
        .map_err(|error| refuse(NO_SUCH_DATABASE, error.to_string(), &connection.name))?;
    let mut client = Client::new(address).with_claims(identity);
    if let Some((_, name)) = startup
        .settings
        .iter()
        .rfind(|(name, _)| name == "application_name")
    {
        client = client.with_application_name(name);
    }
    let mut gate = core.gate.borrow_mut();
    let context = gate.context(Principal::new(identity, target), client);
    let observes = connection.enforce == Enforcement::Observe;
    let denied = |outcome: Outcome, parameter: Option<(&str, &Effect)>| match outcome {
        Outcome::Allow(_) | Outcome::Limited { .. } | Outcome::Observe(_) => Ok(()),
        // What they are set to the server tells, and the session's state has it.
        Outcome::Deny(denial) if observes && parameter.is_some() && denial.cause != Cause::Lexing => Ok(()),
        Outcome::Deny(denial) => {
            let about =
                parameter.map_or_else(String::new, |(name, _)| format!(" (startup parameter {name})"));
            let text = denial.to_string();
            let text = text.strip_prefix("sluice: ").unwrap_or(&text).to_owned();
            let refused = refuse(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("{text}{about}"),
                &connection.name,
            );
            let hint = parameter.and_then(|(_, effect)| hint_at_setting(&denial, effect));
            Err(NotAdmitted {
                end: hint.into_iter().fold(refused.end, End::with_hint),
                severity: recorded_severity(&denial),
                ..refused
            })
        }
    };
    let connect = gate
        .policies()
        .connect(&context.principal, &context.client, gate::now());
    denied(connect.into(), None)?;
    for (name, value) in &startup.settings {
        let effect: Option<Effect> = startup_effect(name, value);
        if let Some(effect) = effect {
            let outcome = gate.decide_effects(slice::from_ref(&effect), &context);
            denied(outcome, Some((name, &effect)))?;
        }
    }
    drop(gate);
    Ok((connection, database, context))
}

/// What can be done about a setting that the client's driver or its connection string sets.
fn hint_at_setting(denial: &Denial, effect: &Effect) -> Option<String> {
    if effect.action != Action::Set {
        return None;
    }
    let name = printable(&effect.object.name, SETTING_CHARS_MAX);
    let leave_it = format!("Connect without the setting {name}");
    let is_harmless = effect.flags.contains(EffectFlags::HARMLESS);
    Some(match denial.cause {
        Cause::NoPermit if is_harmless => format!(
            "{leave_it}, or have who owns the policy permit Set on SettingGroup::\"harmless\": it is one of the settings in \
             it, which drivers set when they connect."
        ),
        Cause::NoPermit => format!(
            "{leave_it}, or have who owns the policy permit Set on Setting::\"{name}\": it is not in \
             SettingGroup::\"harmless\"."
        ),
        _ => format!("{leave_it}."),
    })
}

/// The connection and the database that the startup packet's database means on this listener.
fn reach(core: &Core, listener: &Listener, startup: &Startup) -> Result<(Arc<Connection>, String), String> {
    // libpq names the user where nobody named a database.
    let named = startup.database.as_deref();
    let (connection, database) = match &listener.target {
        ListenerTarget::Bound(connection) => {
            let is_default =
                named.is_none_or(|name| name == startup.user && !connection.databases.names(name));
            (connection, if is_default { None } else { named })
        }
        ListenerTarget::Shared => {
            let named = named.unwrap_or_default();
            let (name, database) = named
                .split_once('/')
                .map_or((named, None), |(name, rest)| (name, Some(rest)));
            let connection = core.settings.connection(name).ok_or_else(|| {
                format!("there is no connection \"{name}\" here; name one as the database: CONNECTION or CONNECTION/DATABASE")
            })?;
            (connection, database.filter(|database| !database.is_empty()))
        }
    };
    let database = database.unwrap_or(&connection.default_database);
    if !connection.databases.allow(database) {
        return Err(format!(
            "connection \"{}\" does not offer database \"{database}\"",
            connection.name
        ));
    }
    Ok((Arc::clone(connection), database.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client learns what it could read in its token; the record has the cause and the way out of all.
    #[test]
    fn a_refused_token_is_explained_to_whom_it_concerns() {
        const TERSE: (&str, &str) = (
            "token refused",
            "try again with a fresh token; the gateway's audit record says what is wrong with this one",
        );
        let issuer = || "https://issuer.example".to_owned();
        for (error, told, recorded) in [
            (
                TokenError::Expired {
                    expired_at_s: 100,
                    now_s: 135,
                },
                (
                    "token refused: the token expired 35 s ago",
                    "obtain a fresh token",
                ),
                "token refused (expired): the token expired 35 s ago; obtain a fresh token",
            ),
            (
                TokenError::WrongAudience { got: "other".into() },
                (
                    "token refused: the token is for audience \"other\", not for this gateway",
                    "request the token for the audience that the gateway expects",
                ),
                "token refused (wrong_audience): the token is for audience \"other\", not for this gateway; \
                 request the token for the audience that the gateway expects",
            ),
            (
                TokenError::WrongIssuer { got: issuer() },
                TERSE,
                "token refused (wrong_issuer): the token's issuer \"https://issuer.example\" is not configured; \
                 the name must match the configuration exactly, up to a slash at its end",
            ),
            (
                TokenError::UnknownKey {
                    issuer: issuer(),
                    kid: Some("k1".into()),
                },
                TERSE,
                "token refused (unknown_key): issuer \"https://issuer.example\" has no key \"k1\"; \
                 the key set is being read again: try again in a few seconds, with a fresh token",
            ),
            (
                TokenError::BadSignature,
                TERSE,
                "token refused (bad_signature): the token's signature is not valid; \
                 obtain a fresh token from the issuer and send it unchanged",
            ),
        ] {
            let (end, text) = token_refused(&error);
            assert_eq!(
                (end.message.as_str(), end.hint.as_deref()),
                (told.0, Some(told.1)),
                "{}",
                error.name()
            );
            assert_eq!(text, recorded);
            let report = end.report().expect("the client is told");
            let field = format!("H{}\0", told.1);
            assert!(String::from_utf8_lossy(&report).contains(&field), "{report:?}");
        }
    }
}
