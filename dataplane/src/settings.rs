//! What the data plane is told at start: plain, validated values.
//!
//! The binary reads the configuration, the certificates, the passwords and the policy, reports every mistake with its
//! line, and hands the result over as these types. So nothing here parses, reads a file or can be wrong in a way that
//! a session has to discover. Two things change while running and are held behind `ArcSwap`: a listener's certificate
//! and the policy. Secrets are wiped when dropped and never printed by `Debug`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use sluice_masking::{Class, ClassSet};
use sluice_parsers::sql::catalog::{DefinitionHash, Signature};
use sluice_policy::Snapshot;
use sluice_policy::identity::{ScramIdentities, TokenVerifier};
use zeroize::Zeroizing;

/// Everything the data plane needs to serve.
#[derive(Debug)]
pub struct Settings {
    /// CPU numbers, ascending and without repeats; one pinned core for each. Never empty.
    pub cores: Vec<usize>,
    /// CPU numbers that helper threads may run on; empty means all.
    pub helper_cpus: Vec<usize>,
    /// Where clients connect. Never empty.
    pub listeners: Vec<Listener>,
    /// The configured targets; names are unique.
    pub connections: Vec<Arc<Connection>>,
    /// Who may log in, and how each proves it.
    pub identities: Identities,
    /// The policy in force; every core reads it, a reload swaps it whole.
    pub policy: Arc<Snapshot>,
    /// Bounds on what a peer can make the gateway do.
    pub limits: Limits,
    /// Where and how the record is written.
    pub audit: Audit,
    /// Memory of one core.
    pub buffers: Buffers,
}

impl Settings {
    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Arc<Connection>> {
        self.connections.iter().find(|connection| connection.name == name)
    }
}

/// An address that clients connect to.
#[derive(Debug)]
pub struct Listener {
    /// For messages and metrics.
    pub name: String,
    /// Port 0 lets the system choose; `Running::addresses` tells what it chose.
    pub address: SocketAddr,
    /// Whether clients come by TLS.
    pub tls: ListenerTls,
    /// What the startup packet's database means here.
    pub target: ListenerTarget,
}

/// Whether clients of a listener come by TLS.
#[derive(Clone, Debug)]
pub enum ListenerTls {
    /// `SSLRequest` is answered `N`; only SCRAM identities get in.
    Off,
    /// The client chooses; without TLS only SCRAM identities get in.
    Optional(ServerTlsHandle),
    /// A startup packet without TLS is refused (28000).
    Required(ServerTlsHandle),
}

impl ListenerTls {
    /// The certificate in force, unless TLS is off.
    pub fn handle(&self) -> Option<&ServerTlsHandle> {
        match self {
            Self::Off => None,
            Self::Optional(handle) | Self::Required(handle) => Some(handle),
        }
    }
}

/// The certificate in force: loaded once for each handshake, stored by a reload.
pub type ServerTlsHandle = Arc<ArcSwap<ServerTls>>;

/// A listener's certificate, ready for handshakes.
pub struct ServerTls {
    /// TLS 1.2 and 1.3, no client certificates, ALPN `postgresql`.
    pub config: Arc<rustls::ServerConfig>,
    /// `tls-server-end-point` of the leaf certificate (RFC 5929, section 4.1); `None` when the certificate's signature
    /// algorithm names no hash (Ed25519), and then SCRAM-SHA-256-PLUS is not offered.
    pub end_point: Option<Vec<u8>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("end_point", &self.end_point.is_some())
            .finish_non_exhaustive()
    }
}

/// What the database of a startup packet means on a listener.
#[derive(Clone, Debug)]
pub enum ListenerTarget {
    /// It is a database of this connection's server; none named means the connection's default.
    Bound(Arc<Connection>),
    /// It names the connection, or `connection/database`.
    Shared,
}

/// How old what is known of a database's objects may be, unless configured.
pub const CATALOG_MAX_AGE: Duration = Duration::from_secs(30);

/// A configured target: a PostgreSQL server with the gateway's own login there.
#[derive(Debug)]
pub struct Connection {
    /// Unique; without `/`.
    pub name: String,
    /// A host name, resolved at each connect, or an address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The gateway's login on the server.
    pub user: String,
    /// That login's password; `None` where the server asks for none.
    pub password: Option<Secret>,
    /// TLS towards the server.
    pub tls: UpstreamTls,
    /// Databases that clients may name.
    pub databases: Databases,
    /// The database when a client names none.
    pub default_database: String,
    /// What is masked in its rows.
    pub masking: Masking,
    /// Whether what the policy denies is stopped.
    pub enforce: Enforcement,
    /// Functions that are taken for harmless although nothing is known of what they do.
    pub harmless: Harmless,
    /// From the name's resolution to the server's first ReadyForQuery; a reading of the catalog gets as long.
    pub connect_timeout: Duration,
    /// How old what is known of a database's objects may be.
    pub catalog_max_age: Duration,
}

/// What becomes of a statement that the policy denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// It does not run.
    #[default]
    Policy,
    /// It runs, and the record says what the policy would have done. Who may not connect is refused all the same, and so is
    /// a setting that would have the gateway read statements in another way than the server.
    Observe,
}

/// TLS towards a server.
#[derive(Clone)]
pub enum UpstreamTls {
    /// Plain TCP.
    Off,
    /// `SSLRequest` is sent, and any answer but `S` ends the attempt.
    On {
        /// Says which verification `config` does; both verify the chain.
        verify: Verify,
        /// TLS 1.2 and 1.3; its verifier already does what `verify` says.
        config: Arc<rustls::ClientConfig>,
        /// Sent as SNI where it is a name, and verified under `Verify::Full`.
        server_name: ServerName<'static>,
    },
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::On {
                verify, server_name, ..
            } => f
                .debug_struct("On")
                .field("verify", verify)
                .field("server_name", server_name)
                .finish_non_exhaustive(),
        }
    }
}

/// What is verified of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// The chain and the name (`verify-full`).
    Full,
    /// The chain up to the configured authorities, whatever the name (`verify-ca`).
    Authority,
}

/// Databases of a connection that clients may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Databases {
    /// Any; policy still decides.
    Any,
    /// These, compared byte for byte.
    Listed(Vec<String>),
}

impl Databases {
    /// Whether a client may name `database`.
    pub fn allow(&self, database: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(_) => self.names(database),
        }
    }

    /// Whether the configuration names `database` itself.
    pub fn names(&self, database: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Listed(names) => names.iter().any(|name| name == database),
        }
    }
}

/// What is masked in a connection's rows.
#[derive(Clone, Debug)]
pub enum Masking {
    /// Rows pass as the server sent them.
    Off,
    /// Rows are masked.
    On {
        /// Classes found by content.
        classes: ClassSet,
        /// Columns masked whatever they contain.
        columns: Vec<MaskedColumn>,
    },
}

impl Masking {
    /// Classes found by content.
    pub fn classes(&self) -> ClassSet {
        match self {
            Self::On { classes, .. } => *classes,
            Self::Off => ClassSet::EMPTY,
        }
    }

    /// Columns masked whatever they contain.
    pub fn columns(&self) -> &[MaskedColumn] {
        match self {
            Self::On { columns, .. } => columns,
            Self::Off => &[],
        }
    }
}

/// A column masked whatever it contains.
///
/// Names are as the catalog has them: no quotes, no case folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedColumn {
    /// `pg_namespace.nspname`.
    pub schema: String,
    /// `pg_class.relname`.
    pub table: String,
    /// `pg_attribute.attname`.
    pub column: String,
    /// Whose count it adds to; `None` for data of no detector's class (a person's name, say).
    pub class: Option<Class>,
}

/// Functions that somebody has read through, and answers for: their code has no effect that policy is asked about.
///
/// An entry holds as long as what it names is what was read. `standing` says whether a database has that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harmless {
    /// One by one.
    pub functions: Vec<HarmlessFunction>,
    /// All functions of an extension.
    pub extensions: Vec<HarmlessExtension>,
}

/// A function that is taken for harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmlessFunction {
    /// Its schema, name and argument types.
    pub signature: Signature,
    /// The role that has to own it, as the catalog spells its name.
    pub owner: String,
    /// The hash that its definition has to have; without one the entry holds never.
    pub definition: Option<DefinitionHash>,
}

/// An extension whose functions are taken for harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmlessExtension {
    /// `pg_extension.extname`.
    pub name: String,
    /// The hash that its functions have to have together; without one the entry holds never.
    pub definition: Option<DefinitionHash>,
}

/// Who may log in, and how each proves it.
///
/// The startup packet's user name chooses: a SCRAM identity's name gets SCRAM, a token user gets a cleartext password
/// request inside of TLS, and any other name a SCRAM exchange that fails.
pub struct Identities {
    /// Local identities by user name, with the secret that unknown names' mock salts come from.
    pub scram: ScramIdentities,
    /// User names whose password is a token (default `token`); disjoint from the SCRAM names.
    pub token_users: Vec<String>,
    /// Verifies tokens; `None` without an issuer, and then token users are refused before they are asked.
    pub tokens: Option<Arc<dyn TokenVerifier>>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("token_users", &self.token_users)
            .field("tokens", &self.tokens.is_some())
            .finish_non_exhaustive()
    }
}

/// Connections of a core that may be told that there is no seat for them; more are closed at once.
pub const UNSEATED_PER_CORE_MAX: usize = 32;

/// Bounds on what a peer can make the gateway do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A statement's text over this is refused with 54000.
    pub max_statement_bytes: usize,
    /// A statement's text over this is analysed on a helper thread.
    pub inline_parse_bytes: usize,
    /// How deep a statement's parse tree may be before it counts as `Opaque`.
    pub max_depth: usize,
    /// Of a statement's text, how much is kept in the record (its hash covers the whole); at most 64 KiB.
    pub max_recorded_bytes: usize,
    /// A password or token message over this ends the connection.
    pub password_bytes: usize,
    /// From accept to the end of authentication.
    pub authentication_timeout: Duration,
    /// Prepared statements and portals a session may have open.
    pub prepared_max: usize,
    /// Sessions a core keeps; more are refused with 53300.
    pub sessions_per_core_max: usize,
    /// How long sessions may go on after a drain began; then they end with 57P01.
    pub drain_timeout: Duration,
    /// Threads for what may not run on a core.
    pub helper_threads: usize,
    /// Decisions a core caches.
    pub decisions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_statement_bytes: 4 << 20,
            inline_parse_bytes: 4 << 10,
            max_depth: 500,
            max_recorded_bytes: 16 << 10,
            password_bytes: 64 << 10,
            authentication_timeout: Duration::from_secs(15),
            prepared_max: 10_000,
            sessions_per_core_max: 20_000,
            drain_timeout: Duration::from_secs(30),
            helper_threads: 2,
            decisions_max: 16_384,
        }
    }
}

/// Where and how the record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The data folder: rings, segments, metrics files and the lock. It exists and is the gateway's alone.
    pub dir: PathBuf,
    /// Size of a core's ring, a multiple of 4096. Up to a few MiB it stays in the processor's cache.
    pub ring_bytes: usize,
    /// A segment that passed this is sealed and the next one begun.
    pub segment_bytes: u64,
    /// What a power cut may lose under durability `async`.
    pub flush_interval: Duration,
}

impl Audit {
    /// The defaults, in that data folder.
    pub fn in_folder(dir: PathBuf) -> Self {
        Self {
            dir,
            ring_bytes: 16 << 20,
            segment_bytes: 256 << 20,
            flush_interval: Duration::from_millis(50),
        }
    }
}

/// Memory of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Size of a receive buffer.
    pub receive_bytes: usize,
    /// Receive buffers a core lends to its ring; a power of two.
    pub receive_count: u16,
    /// Bytes waiting to be sent in one direction before the other side is not read.
    pub queued_bytes_max: usize,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            receive_bytes: 16 << 10,
            receive_count: 1024,
            queued_bytes_max: 256 << 10,
        }
    }
}

/// A password: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for as long as it takes to use them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "Secret(..)");
    }

    #[test]
    fn listed_databases_are_compared_exactly() {
        let listed = Databases::Listed(vec!["orders".to_owned()]);
        for (name, database, want) in [
            ("same", "orders", true),
            ("case", "Orders", false),
            ("prefix", "order", false),
        ] {
            assert_eq!(listed.allow(database), want, "{name}");
        }
        assert!(Databases::Any.allow("anything"));
    }
}
