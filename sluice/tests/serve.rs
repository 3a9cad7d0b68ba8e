//! `sluice serve` and `sluice dev` as processes: what they print, and what signals do.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::pki_types::{CertificateDer, ServerName};

#[path = "cli/fake_server.rs"]
mod fake_server;

/// A gateway that is killed when the test ends early.
struct Gateway {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Gateway {
    fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .current_dir(folder)
            .env_remove("SLUICE_LOG")
            .env("TMPDIR", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// `sluice dev` before a server, on a port of its own.
    fn dev(url: &str, more: &[&str], folder: &Path) -> Self {
        let arguments = [
            "dev",
            "--postgres",
            url,
            "--listen",
            "127.0.0.1:0",
            "--env-file",
            "env",
        ];
        Self::start(&[&arguments, more].concat(), folder)
    }

    /// Reads the log up to a line that contains `text`; what was read comes back.
    fn log_until(&mut self, text: &str) -> String {
        let mut read = String::new();
        loop {
            let before = read.len();
            assert!(
                self.log.read_line(&mut read).unwrap() > 0,
                "the log ends before {text:?}:\n{read}"
            );
            if read[before..].contains(text) {
                return read;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> SocketAddr {
    line.trim().rsplit_once("address=").unwrap().1.parse().unwrap()
}

/// The certificate that a listener shows after `SSLRequest`.
fn certificate_at(address: SocketAddr) -> CertificateDer<'static> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anything::Anything(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).unwrap();
    }
    tls.peer_certificates().unwrap()[0].clone().into_owned()
}

fn write_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("gateway.crt"), made.cert.pem()).unwrap();
    fs::write(folder.join("gateway.key"), made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(folder.join("gateway.key"), fs::Permissions::from_mode(0o600)).unwrap();
    made.cert.der().clone()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const CONFIGURATION: &str = r#"data = "data"
cores = 1
[listeners.main]
address = "127.0.0.1:0"
certificate = "gateway.crt"
key = "gateway.key"
[connections.orders]
host = "127.0.0.1"
port = 1
user = "agent"
database = "orders"
tls = "off"
[identities.ops]
verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
[policy]
file = "policy.cedar"
[limits]
sessions_per_core_max = 100
drain_timeout = "1s"
[metrics]
address = "127.0.0.1:0"
"#;

#[test]
fn certificates_and_policy_are_reloaded_and_a_mistake_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("sluice.toml");
    let policy = folder.path().join("policy.cedar");
    fs::write(&configuration, CONFIGURATION).unwrap();
    fs::write(&policy, "permit (principal, action, resource);\n").unwrap();
    let first = write_certificate(folder.path());

    let mut gateway = Gateway::start(&["serve", "--config", "sluice.toml"], folder.path());
    let metrics = address_in(gateway.log_until("metrics address=").lines().last().unwrap()).to_string();
    let address = address_in(gateway.log_until("listening").lines().last().unwrap());
    assert_eq!(certificate_at(address), first);
    assert!(get(&metrics, "/metrics").contains("sluice_policy_epoch{core=\"0\"} 1\n"));
    assert!(get(&metrics, "/readyz").contains("ready"));
    assert!(get(&metrics, "/healthz").contains("ok"));

    let second = write_certificate(folder.path());
    gateway.signal(Signal::SIGHUP);
    let line = gateway.log_until("reloaded");
    assert!(line.contains("certificates=1 policy_epoch=2"), "{line}");
    assert_eq!(certificate_at(address), second);

    fs::write(
        &policy,
        "permit (principal, action == Action::\"Reed\", resource);\n",
    )
    .unwrap();
    write_certificate(folder.path());
    gateway.signal(Signal::SIGHUP);
    let line = gateway.log_until("reload refused");
    assert!(
        line.contains("policy.cedar:1:") && line.contains("1 mistake"),
        "{line}"
    );
    assert_eq!(
        certificate_at(address),
        second,
        "a mistake in the policy keeps the certificate, too"
    );

    gateway.signal(Signal::SIGTERM);
    gateway.log_until("draining");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_data_folder_has_one_gateway() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sluice.toml"), CONFIGURATION).unwrap();
    fs::write(
        folder.path().join("policy.cedar"),
        "permit (principal, action, resource);\n",
    )
    .unwrap();
    write_certificate(folder.path());
    let mut first = Gateway::start(&["serve", "--config", "sluice.toml"], folder.path());
    first.log_until("listening");
    let mut second = Gateway::start(&["serve", "--config", "sluice.toml"], folder.path());
    let line = second.log_until("cannot start");
    assert!(line.contains("in use by process"), "{line}");
    assert_eq!(second.child.wait().unwrap().code(), Some(1));
}

#[test]
fn dev_says_how_to_connect_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = fake_server::start(fake_server::Server::default());
    let url = format!("postgres://agent:s3cret@127.0.0.1:{}/shop", server.port());
    let mut gateway = Gateway::dev(&url, &["--metrics", "127.0.0.1:0"], folder.path());
    let mut out = BufReader::new(gateway.child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("metrics: ") {
        assert!(out.read_line(&mut printed).unwrap() > 0, "{printed}");
    }
    assert!(printed.starts_with("ready: listening on 127.0.0.1:"), "{printed}");
    assert!(
        printed.contains(" psql\n") && !printed.contains("s3cret"),
        "{printed}"
    );

    let environment = fs::read_to_string(folder.path().join("env")).unwrap();
    let names: Vec<&str> = environment
        .lines()
        .map(|line| line.split_once('=').unwrap().0)
        .collect();
    assert_eq!(
        names,
        [
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGPASSWORD",
            "PGDATABASE",
            "PGSSLMODE"
        ]
    );
    assert!(environment.contains("PGDATABASE=shop\n") && environment.contains("PGHOST=127.0.0.1\n"));
    let port = environment
        .lines()
        .find_map(|line| line.strip_prefix("PGPORT="))
        .unwrap();
    certificate_at(format!("127.0.0.1:{port}").parse().unwrap());
    let left = |prefix: &str| {
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .starts_with(prefix)
            })
            .count()
    };
    assert_eq!(left("sluice-dev-"), 1);

    gateway.signal(Signal::SIGINT);
    gateway.log_until("draining");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
    assert_eq!(left("sluice-dev-"), 0, "the temporary data folder goes with it");
}

#[test]
fn dev_is_not_ready_before_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let plain = fake_server::start(fake_server::Server::default());
    let password = fake_server::start(fake_server::Server {
        asks_password: true,
        ..Default::default()
    });
    let refusing = fake_server::start(fake_server::Server {
        refuses: Some("28P01"),
        ..Default::default()
    });
    let without_database = fake_server::start(fake_server::Server {
        refuses: Some("3D000"),
        ..Default::default()
    });
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    write_certificate(folder.path());
    for (name, url, want) in [
        (
            "nobody listens",
            format!("postgres://me:s3cret@127.0.0.1:{closed}/shop"),
            "is the server running, and do HOST and PORT of --postgres lead to it?",
        ),
        (
            "no address",
            "postgres://me:s3cret@host.invalid/shop?sslmode=disable".to_owned(),
            "check HOST of --postgres",
        ),
        (
            "no TLS",
            format!(
                "postgres://me:s3cret@127.0.0.1:{}/shop?sslmode=verify-ca&sslrootcert=gateway.crt",
                plain.port()
            ),
            "does not offer TLS; turn TLS on at the server (ssl = on), or add ?sslmode=disable to --postgres",
        ),
        (
            "no password",
            format!("postgres://me@127.0.0.1:{}/shop", password.port()),
            "asks for a password, and none is configured; write it in --postgres",
        ),
        (
            "another password",
            format!("postgres://me:s3cret@127.0.0.1:{}/shop", refusing.port()),
            "(28P01); check USER, PASSWORD and sslmode of --postgres, and the server's pg_hba.conf",
        ),
        (
            "another database",
            format!("postgres://me:s3cret@127.0.0.1:{}/shop", without_database.port()),
            "(3D000); check DATABASE of --postgres",
        ),
    ] {
        let mut gateway = Gateway::dev(&url, &[], folder.path());
        let mut log = String::new();
        gateway.log.read_to_string(&mut log).unwrap();
        assert_eq!(gateway.child.wait().unwrap().code(), Some(1), "{name}: {log}");
        let mut out = String::new();
        gateway
            .child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, "", "{name}");
        assert!(
            log.starts_with("sluice: --postgres: ") && log.contains(want) && !log.contains("s3cret"),
            "{name}: {log}"
        );
        assert!(!folder.path().join("env").exists(), "{name}");
    }
}

/// A verifier for tests that want to look at a certificate, not to trust it.
mod anything {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(crate) struct Anything(pub(crate) Arc<CryptoProvider>);

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
