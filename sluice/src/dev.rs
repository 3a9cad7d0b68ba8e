//! `sluice dev`: a gateway in front of one server, without a configuration.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use sluice_dataplane::settings::{
    Audit, Buffers, CATALOG_MAX_AGE, Connection, Databases, Enforcement, Harmless, Identities, Limits,
    Listener, ListenerTarget, ListenerTls, Masking, Secret, ServerTls, Settings, UpstreamTls, Verify,
};
use sluice_masking::ClassSet;
use sluice_policy::identity::{ScramIdentities, ScramIdentity};
use sluice_policy::{PolicySet, Snapshot};
use zeroize::Zeroizing;

use crate::check::{Words, with_help_in};
use crate::cli::{Dev, DevTls, Switch};
use crate::config::is_this_machine;
use crate::failure::Failure;
use crate::postgres_url::{PostgresUrl, SslMode};
use crate::serve::{Gateway, refuse_obstacles, signals};
use crate::server::Server;
use crate::{machine, mock_secret, private_file, tls, verifier};

/// What a client needs to come through the gateway.
struct Access {
    address: SocketAddr,
    user: String,
    password: Zeroizing<String>,
    database: String,
    tls: DevTls,
}

/// Serves until Ctrl-C.
pub(crate) fn run(arguments: Dev) -> Result<(), Failure> {
    let url = PostgresUrl::parse(&arguments.postgres).map_err(|error| Failure::other("--postgres", error))?;
    let connection = Arc::new(connection(&arguments, url)?);
    let policy = policy(&arguments)?;
    refuse_a_dead_server(&connection)?;
    let password = verifier::random_password().map_err(|error| Failure::other("no random bytes", error))?;
    let database = connection.default_database.clone();
    // Removed when this function ends.
    let temporary = match &arguments.data {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("sluice-dev-")
                .tempdir()
                .map_err(|error| Failure::other("no temporary folder", error))?,
        ),
    };
    let data = match (&arguments.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::new(),
    };
    let settings = settings(&arguments, connection, policy, &password, data.clone())?;
    refuse_obstacles(settings.cores.len(), &settings.limits)?;
    let signals = signals()?;
    let gateway = Gateway::start(settings, arguments.metrics, None)?;
    let address = gateway
        .listening()
        .next()
        .map_or(arguments.listen, |(_, address)| address);
    let access = Access {
        address,
        user: arguments.user,
        password,
        database,
        tls: arguments.tls,
    };
    if let Some(path) = &arguments.env_file {
        access
            .write_to(path)
            .map_err(|error| Failure::other(format!("--env-file {}", path.display()), error))?;
    }
    announce(&access, &gateway, &data).map_err(Failure::Output)?;
    gateway.serve_until_signal(signals, |_| {
        tracing::warn!("nothing to reload: sluice dev has no configuration");
    })
}

/// What is written in `--postgres`.
const WORDS: Words = Words {
    address: "HOST and PORT of --postgres",
    host: "HOST of --postgres",
    no_tls: "add ?sslmode=disable to --postgres",
    certificate: "sslrootcert=FILE in --postgres names who signed the certificate; sslmode=verify-ca takes any name in it, \
                  and sslmode=disable goes without TLS",
    password: "write it in --postgres, or the whole URL in SLUICE_DEV_POSTGRES: postgres://USER:PASSWORD@HOST/DATABASE",
    login: "USER, PASSWORD and sslmode of --postgres",
    database: "DATABASE of --postgres",
};

/// Logs in once: who is told that the gateway is ready can use it.
fn refuse_a_dead_server(connection: &Connection) -> Result<(), Failure> {
    match Server::connect(connection, &connection.default_database, "sluice dev") {
        Ok(_) => Ok(()),
        Err(error) => {
            let cause = with_help_in(&WORDS, &error, connection);
            Err(Failure::other("--postgres", cause))
        }
    }
}

fn connection(arguments: &Dev, url: PostgresUrl) -> Result<Connection, Failure> {
    let upstream = upstream_tls(&url)?;
    Ok(Connection {
        name: "dev".to_owned(),
        host: url.host,
        port: url.port,
        user: url.user,
        password: url
            .password
            .map(|password| Secret::new(password.as_bytes().to_vec())),
        tls: upstream,
        databases: Databases::Any,
        default_database: url.database,
        enforce: Enforcement::Policy,
        masking: match arguments.mask {
            Switch::On => Masking::On {
                classes: ClassSet::ALL,
                columns: Vec::new(),
            },
            Switch::Off => Masking::Off,
        },
        connect_timeout: Duration::from_secs(10),
        harmless: Harmless::default(),
        catalog_max_age: CATALOG_MAX_AGE,
    })
}

fn settings(
    arguments: &Dev,
    connection: Arc<Connection>,
    policy: PolicySet,
    password: &str,
    data: PathBuf,
) -> Result<Settings, Failure> {
    let usable = machine::usable_cpus();
    let Some(cores) = usable.get(..arguments.cores).filter(|cores| !cores.is_empty()) else {
        return Err(Failure::other(
            "--cores",
            format!("this process may run on {} CPUs", usable.len()),
        ));
    };
    let defaults = Limits::default();
    let mut scram = ScramIdentities::new(mock_secret::kept_in(&data));
    let made = verifier::make(password).map_err(|error| Failure::other("no random bytes", error))?;
    scram
        .insert(&arguments.user, ScramIdentity::new(made, vec!["dev".to_owned()]))
        .map_err(|error| Failure::other("--user", error))?;
    Ok(Settings {
        cores: cores.to_vec(),
        helper_cpus: Vec::new(),
        listeners: vec![Listener {
            name: "dev".to_owned(),
            address: arguments.listen,
            tls: listener_tls(arguments)?,
            target: ListenerTarget::Bound(Arc::clone(&connection)),
        }],
        connections: vec![connection],
        identities: Identities {
            scram,
            token_users: Vec::new(),
            tokens: None,
        },
        policy: Arc::new(Snapshot::new(policy)),
        // Whoever presses Ctrl-C wants it to end.
        limits: Limits {
            drain_timeout: Duration::from_secs(1),
            sessions_per_core_max: machine::sessions_per_core(
                arguments.cores,
                defaults.sessions_per_core_max,
            ),
            ..defaults
        },
        audit: Audit::in_folder(data),
        buffers: Buffers::default(),
    })
}

fn policy(arguments: &Dev) -> Result<PolicySet, Failure> {
    if arguments.allow_all {
        return Ok(PolicySet::allow_all());
    }
    let Some(path) = &arguments.policy else {
        return Ok(PolicySet::read_only());
    };
    let shown = path.display().to_string();
    let source =
        fs::read_to_string(path).map_err(|error| Failure::other(format!("--policy {shown}"), error))?;
    PolicySet::parse(&source, &shown).map_err(|errors| {
        crate::console::print_report(&errors);
        Failure::Reported
    })
}

fn upstream_tls(url: &PostgresUrl) -> Result<UpstreamTls, Failure> {
    // On this machine nobody listens in, and a server there seldom has a certificate; elsewhere somebody may.
    let by_default = if is_this_machine(&url.host) {
        SslMode::Disable
    } else {
        SslMode::VerifyFull
    };
    let verify = match url.ssl_mode.unwrap_or(by_default) {
        SslMode::Disable => return Ok(UpstreamTls::Off),
        SslMode::VerifyCa => Verify::Authority,
        SslMode::VerifyFull => Verify::Full,
    };
    let failed = |cause: String| Failure::other("--postgres", cause);
    let authorities = match (&url.ssl_root, verify) {
        (Some(file), _) => file.clone(),
        (None, Verify::Authority) => {
            return Err(failed("sslmode=verify-ca needs sslrootcert=FILE".to_owned()));
        }
        (None, Verify::Full) => tls::system_authorities().ok_or_else(|| {
            failed("this machine has no bundle of authorities: add sslrootcert=FILE".to_owned())
        })?,
    };
    let config = tls::client(verify, &authorities).map_err(|error| failed(error.to_string()))?;
    let server_name = ServerName::try_from(url.host.clone())
        .map_err(|_| failed(format!("\"{}\" is neither a host name nor an address", url.host)))?;
    Ok(UpstreamTls::On {
        verify,
        config: Arc::new(config),
        server_name,
    })
}

fn listener_tls(arguments: &Dev) -> Result<ListenerTls, Failure> {
    if arguments.tls == DevTls::Off {
        return Ok(ListenerTls::Off);
    }
    let server =
        self_signed(arguments.listen.ip()).map_err(|error| Failure::other("no certificate", error))?;
    let handle = Arc::new(ArcSwap::from_pointee(server));
    Ok(match arguments.tls {
        DevTls::Required => ListenerTls::Required(handle),
        DevTls::Optional | DevTls::Off => ListenerTls::Optional(handle),
    })
}

/// A certificate for this run alone. Its key is in memory only.
fn self_signed(address: IpAddr) -> Result<ServerTls, Box<dyn std::error::Error>> {
    let names = vec!["localhost".to_owned(), reachable(address).to_string()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    Ok(tls::server(vec![made.cert.der().clone()], key)?)
}

/// The address that a client on this machine reaches a listener by.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Access {
    /// The environment of libpq, of psycopg and of asyncpg, in the order of their manual.
    fn variables(&self) -> [(&'static str, String); 6] {
        let ssl_mode = match self.tls {
            DevTls::Off => "disable",
            DevTls::Optional => "prefer",
            DevTls::Required => "require",
        };
        [
            ("PGHOST", reachable(self.address.ip()).to_string()),
            ("PGPORT", self.address.port().to_string()),
            ("PGUSER", self.user.clone()),
            ("PGPASSWORD", self.password.to_string()),
            ("PGDATABASE", self.database.clone()),
            ("PGSSLMODE", ssl_mode.to_owned()),
        ]
    }

    /// One assignment a word, for a command line.
    fn command(&self) -> String {
        let mut words: Vec<String> = self
            .variables()
            .iter()
            .map(|(name, value)| format!("{name}={}", shell_word(value)))
            .collect();
        words.push("psql".to_owned());
        words.join(" ")
    }

    fn write_to(&self, path: &Path) -> std::io::Result<()> {
        let variables = self.variables();
        let lines = variables.map(|(name, value)| format!("{name}={}\n", shell_word(&value)));
        private_file::replace(path, lines.concat().as_bytes())
    }
}

/// A value as a shell reads it back.
fn shell_word(value: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | '/' | '@' | '%' | '+');
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

fn announce(access: &Access, gateway: &Gateway, data: &Path) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "ready: listening on {}", access.address)?;
    writeln!(out, "  {}", access.command())?;
    writeln!(out, "  record: sluice audit tail --dir {}", data.display())?;
    if let Some(address) = gateway.metrics_address() {
        writeln!(out, "  metrics: http://{address}/metrics")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access(tls: DevTls) -> Access {
        Access {
            address: "0.0.0.0:6432".parse().unwrap(),
            user: "dev".to_owned(),
            password: Zeroizing::new("secret".to_owned()),
            database: "it's".to_owned(),
            tls,
        }
    }

    #[test]
    fn the_environment_is_that_of_libpq() {
        for (name, tls, want) in [
            ("off", DevTls::Off, "disable"),
            ("optional", DevTls::Optional, "prefer"),
            ("required", DevTls::Required, "require"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("env");
            fs::write(&path, "old").unwrap();
            access(tls).write_to(&path).unwrap();
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(
                written,
                format!(
                    "PGHOST=127.0.0.1\nPGPORT=6432\nPGUSER=dev\nPGPASSWORD=secret\nPGDATABASE='it'\\''s'\nPGSSLMODE={want}\n"
                ),
                "{name}"
            );
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600,
                "{name}"
            );
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "{name}: nothing is left beside it"
            );
        }
    }

    #[test]
    fn the_certificate_names_where_it_is_reached() {
        let server = self_signed("127.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(server.end_point.map(|hash| hash.len()), Some(32));
    }
}
