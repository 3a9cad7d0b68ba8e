//! The gateway in front of a server.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::postgres::Postgres;
use crate::process::{Output, Server, free_port, root, run, sluice, wait_until};
use crate::raw::Raw;

/// The local identity's password.
const PASSWORD: &str = "pencil";

/// How the gateway is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cedar policies; `None` permits everything.
    pub policy: Option<String>,
    /// More lines of `[policy]`.
    pub policy_more: &'static str,
    /// Whether rows are masked.
    pub masking: bool,
    /// Lines of `[connections.shop]`.
    pub connection: String,
    /// More lines of `[connections.shop.masking]`.
    pub masking_more: String,
    /// Lines of `[connections.shop.masking.columns]`.
    pub columns: String,
    /// The listener's `tls`.
    pub tls: &'static str,
    /// Cores.
    pub cores: usize,
    /// The identity's groups.
    pub groups: &'static [&'static str],
    /// Lines of `[limits]`.
    pub limits: String,
    /// More of the configuration, at its end.
    pub more: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: None,
            policy_more: "",
            masking: true,
            connection: String::new(),
            masking_more: String::new(),
            columns: String::new(),
            tls: "optional",
            cores: 1,
            groups: &["testers"],
            limits: String::new(),
            more: String::new(),
        }
    }
}

impl Settings {
    /// The bundled read-only policy.
    pub fn read_only() -> Self {
        Self::starter("read-only")
    }

    /// A policy of `configs/policies`, by its name.
    ///
    /// # Panics
    /// When there is none.
    pub fn starter(name: &str) -> Self {
        let path = root().join("configs/policies").join(name).with_extension("cedar");
        let policy = fs::read_to_string(path).expect("a starter policy");
        Self {
            policy: Some(policy),
            ..Self::default()
        }
    }
}

/// A running `sluice serve` in front of a server's database `shop`.
#[derive(Debug)]
pub struct Gateway {
    server: Option<Server>,
    port: u16,
    metrics_port: u16,
    folder: TempDir,
}

impl Gateway {
    /// Starts it.
    pub fn start(postgres: &Postgres, settings: &Settings) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sluice-gateway-")
            .tempdir()
            .expect("a temporary folder");
        fs::create_dir(folder.path().join("data")).expect("a data folder");
        make_certificate(folder.path());
        let mut gateway = Self {
            server: None,
            port: free_port(),
            metrics_port: free_port(),
            folder,
        };
        gateway.configure(postgres, settings);
        gateway.launch();
        gateway
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, with `sluice.toml`, `policy.cedar`, `gateway.crt` and `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate that clients verify it by.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("gateway.crt")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The environment by which libpq finds it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", "tester".to_owned()),
            ("PGPASSWORD", PASSWORD.to_owned()),
            ("PGDATABASE", "shop".to_owned()),
            ("PGSSLMODE", "prefer".to_owned()),
        ]
    }

    /// A connection string for tokio-postgres.
    pub fn dsn(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user=tester password={PASSWORD} dbname=shop",
            self.port
        )
    }

    /// A session by hand, without TLS.
    ///
    /// # Panics
    /// When it is refused.
    pub fn log_in(&self) -> Raw {
        Raw::log_in(self.port, "tester", PASSWORD, "shop")
    }

    /// `psql` through it.
    pub fn psql(&self, arguments: &[&str]) -> Output {
        run(Command::new("psql")
            .args(["-X", "-q", "-A", "-t"])
            .args(arguments)
            .envs(self.environment()))
    }

    /// One SQL string through it, by the simple protocol.
    pub fn sql(&self, sql: &str) -> Output {
        self.psql(&["-c", sql])
    }

    /// A client script of `tests/clients` through it.
    ///
    /// # Panics
    /// When the script fails.
    pub fn python(&self, script: &str, arguments: &[&str]) -> String {
        let path = root().join("tests/clients").join(script);
        let mut command = crate::process::python();
        self.client(
            command
                .arg(path)
                .args(arguments)
                .env("GATEWAY_PID", self.process().to_string()),
        )
    }

    /// A client program through it; gives what it prints.
    ///
    /// # Panics
    /// When the program fails.
    pub fn client(&self, command: &mut Command) -> String {
        self.client_of("shop", command)
    }

    /// As [`Self::client`], in another database.
    ///
    /// # Panics
    /// When the program fails.
    pub fn client_of(&self, database: &str, command: &mut Command) -> String {
        let command = command
            .envs(self.environment())
            .env("PGDATABASE", database)
            // Node verifies what it encrypts.
            .env("NODE_EXTRA_CA_CERTS", self.certificate());
        let output = run(command);
        assert!(
            output.success,
            "{command:?}: {}\n{}\ngateway: {}",
            output.stdout,
            output.stderr,
            self.log()
        );
        output.stdout
    }

    /// A sub-command of `sluice` over its data folder.
    pub fn sluice(&self, arguments: &[&str]) -> Output {
        run(Command::new(sluice())
            .args(arguments)
            .arg("--dir")
            .arg(self.folder.path().join("data")))
    }

    /// A command of `sluice` in its folder, where `sluice.toml` is.
    pub fn sluice_here(&self, arguments: &[&str]) -> Output {
        run(Command::new(sluice())
            .args(arguments)
            .current_dir(self.folder.path()))
    }

    /// What `sluice policy why` says of its identity, with these arguments.
    pub fn why(&self, arguments: &[&str]) -> Output {
        let why = ["policy", "why", "--config", "sluice.toml", "--identity", "tester"];
        self.sluice_here(&[&why[..], arguments].concat())
    }

    /// Its record, as JSON values.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn record(&self) -> Vec<serde_json::Value> {
        let output = self.sluice(&["audit", "query", "--json"]);
        assert!(output.success, "{}", output.stderr);
        let lines = output.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }

    /// Its statements in the record whose text contains a word.
    pub fn statements(&self, word: &str) -> Vec<serde_json::Value> {
        let rows = self.record().into_iter();
        rows.filter(|row| {
            row["kind"] == "statement" && row["text"].as_str().is_some_and(|text| text.contains(word))
        })
        .collect()
    }

    /// One of its metrics, summed over the cores.
    pub fn metric(&self, name: &str) -> f64 {
        self.metric_by_core(name).iter().sum()
    }

    /// One of its metrics, core by core.
    pub fn metric_by_core(&self, name: &str) -> Vec<f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let output = run(Command::new("curl").args(["-sf", &url]));
        let lines = output.stdout.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .collect()
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn process(&self) -> u32 {
        self.server.as_ref().map(Server::id).expect("the gateway runs")
    }

    /// Its resident memory.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it ever had.
    pub fn peak_resident_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    /// Waits for its end; gives its exit code if it ended by itself.
    pub fn wait(&mut self) -> Option<i32> {
        let status = self.server.as_mut().and_then(Server::wait);
        self.server = None;
        status?.code()
    }

    /// Kills it and starts it again on the same data.
    pub fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        self.wait();
        self.launch();
    }

    /// Puts another policy into its file.
    pub fn write_policy(&self, policy: &str) {
        fs::write(self.folder.path().join("policy.cedar"), policy).expect("the policy's file");
    }

    fn configure(&self, postgres: &Postgres, settings: &Settings) {
        let Settings {
            policy,
            policy_more,
            masking,
            connection,
            masking_more,
            columns,
            tls,
            cores,
            groups,
            limits,
            more,
        } = settings;
        let policy = match policy {
            Some(policy) => {
                self.write_policy(policy);
                "file = \"policy.cedar\""
            }
            None => "bundled = \"allow-all\"",
        };
        let verifier = run(Command::new("sh").arg("-c").arg(format!(
            "printf '%s' '{PASSWORD}' | '{}' scram-verifier 2>/dev/null",
            sluice().display()
        )));
        let verifier = verifier.stdout.trim();
        assert!(
            verifier.starts_with("SCRAM-SHA-256$"),
            "no verifier: {verifier:?}"
        );
        let certificates = if *tls == "off" {
            ""
        } else {
            "certificate = \"gateway.crt\"\nkey = \"gateway.key\""
        };
        let mut config = String::new();
        let _ = write!(
            config,
            r#"data = "data"
cores = {cores}

[listeners.test]
address = "127.0.0.1:{port}"
tls = "{tls}"
{certificates}
connection = "shop"

[connections.shop]
host = "127.0.0.1"
port = {server_port}
user = "postgres"
tls = "off"
database = "shop"
databases = ["*"]
{connection}

[connections.shop.masking]
enabled = {masking}
{masking_more}

[connections.shop.masking.columns]
{columns}

[identities.tester]
verifier = "{verifier}"
groups = {groups:?}

[policy]
{policy}
{policy_more}

[limits]
{limits}

[metrics]
address = "127.0.0.1:{metrics_port}"
{more}
"#,
            port = self.port,
            server_port = postgres.port(),
            metrics_port = self.metrics_port,
        );
        fs::write(self.folder.path().join("sluice.toml"), config).expect("the configuration");
    }

    fn launch(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        let mut command = Command::new(sluice());
        command
            .args(["serve", "--config"])
            .arg(self.folder.path().join("sluice.toml"))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let mut server = Server::start(&mut command, Signal::SIGTERM);
        wait_until("sluice", || {
            assert!(!server.has_ended(), "sluice ended: {}", self.log());
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        self.server = Some(server);
    }
}

fn make_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let made = made.expect("a certificate");
    fs::write(folder.join("gateway.crt"), made.cert.pem()).expect("the certificate's file");
    let key = folder.join("gateway.key");
    fs::write(&key, made.signing_key.serialize_pem()).expect("the key's file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
}
