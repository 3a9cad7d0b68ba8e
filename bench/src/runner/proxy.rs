//! The proxies that are compared: their configurations and how each is started.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::child::{Process, foreign};
use crate::load::scram;
use crate::report;
use crate::rows::Expect;

/// The password of the bench's identity at sluice.
pub const PASSWORD: &str = "bench, not a secret";
/// The login name everywhere.
pub const USER: &str = "bench";
/// PgBouncer does not run as root; this is Debian's `nobody`.
const NOBODY: u32 = 65_534;
const START_LIMIT: Duration = Duration::from_secs(20);
const POLICIES: &str = include_str!("../../policies/twenty.cedar");

/// What the load goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Proxy {
    /// Nothing: load to back end.
    Direct,
    /// The minimal forwarder.
    Floor,
    /// Another forwarder, to compare the floor with.
    Reference,
    /// HAProxy in TCP mode.
    Haproxy,
    /// PgBouncer, session pooling.
    Pgbouncer,
    /// Sluice with everything on.
    Sluice,
    /// An earlier build of sluice with everything on, to compare the present one with.
    SluiceBefore,
    /// Sluice with masking off.
    SluiceNomask,
    /// Sluice with everything on and TLS towards clients.
    SluiceTls,
    /// PgBouncer with TLS towards clients.
    PgbouncerTls,
}

impl Proxy {
    /// All but those that a path has to be named for, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Direct,
        Self::Floor,
        Self::Haproxy,
        Self::Pgbouncer,
        Self::Sluice,
        Self::SluiceNomask,
        Self::SluiceTls,
        Self::PgbouncerTls,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Floor => report::FLOOR,
            Self::Reference => "reference",
            Self::Haproxy => report::HAPROXY,
            Self::Pgbouncer => report::PGBOUNCER,
            Self::Sluice => "sluice",
            Self::SluiceBefore => "sluice-before",
            Self::SluiceNomask => "sluice-nomask",
            Self::SluiceTls => "sluice-tls",
            Self::PgbouncerTls => report::PGBOUNCER_TLS,
        }
    }

    /// Whether clients come by TLS.
    pub fn tls(self) -> bool {
        matches!(self, Self::SluiceTls | Self::PgbouncerTls)
    }

    /// What rows behind it look like.
    pub fn expect(self) -> Expect {
        match self {
            Self::Sluice | Self::SluiceBefore | Self::SluiceTls => Expect::Masked,
            _ => Expect::Plain,
        }
    }

    /// The program, of those that are not the bench's own.
    fn program(self, programs: &Programs) -> Option<(&Path, &'static str)> {
        match self {
            Self::Direct | Self::Floor => None,
            Self::Reference => Some((&programs.reference, "name a forwarder with --reference")),
            Self::Haproxy => Some((&programs.haproxy, "apt-get install haproxy")),
            Self::Pgbouncer | Self::PgbouncerTls => Some((&programs.pgbouncer, "apt-get install pgbouncer")),
            Self::Sluice | Self::SluiceNomask | Self::SluiceTls => Some((&programs.sluice, "make dist")),
            Self::SluiceBefore => Some((&programs.before, "name an earlier build with --before")),
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A forwarder that takes `LISTEN_PORT TARGET_PORT epoll`.
    pub reference: PathBuf,
    /// HAProxy.
    pub haproxy: PathBuf,
    /// PgBouncer.
    pub pgbouncer: PathBuf,
    /// The gateway.
    pub sluice: PathBuf,
    /// An earlier build of it.
    pub before: PathBuf,
    /// The bench's own programs.
    pub own: PathBuf,
}

impl Programs {
    /// Tells of every program that is missing, and where it comes from.
    pub fn check(&self, proxies: &[Proxy]) -> anyhow::Result<()> {
        let mut missing: Vec<String> = Vec::new();
        let own = ["null-postgres", "load", "floor"]
            .map(|name| (self.own.join(name), "cargo build -p sluice-bench"));
        let others = proxies.iter().filter_map(|proxy| proxy.program(self));
        let all = own
            .iter()
            .map(|(path, help)| (path.as_path(), *help))
            .chain(others);
        for (path, help) in all {
            let line = format!("{} is missing: {help}", path.display());
            if !path.is_file() && !missing.contains(&line) {
                missing.push(line);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        bail!(
            "{}\n(--proxies leaves some out, --haproxy, --pgbouncer and --sluice name other paths)",
            missing.join("\n")
        )
    }
}

/// What all proxies of a run share.
pub struct Surroundings {
    /// Where the programs are.
    pub programs: Programs,
    /// Configurations, certificates and logs; every user may read it.
    pub public: PathBuf,
    /// Sluice's data folders; on a disk.
    pub private: PathBuf,
    /// The null back end.
    pub back_end: SocketAddr,
    /// The CPU of the proxies.
    pub cpu: usize,
}

/// A proxy that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process; `direct` has none.
    pub process: Option<Process>,
    /// Removed with it.
    data: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process = None;
        if let Some(data) = &self.data {
            // What is left behind is in the run's own folder, which goes as a whole.
            let _ = fs::remove_dir_all(data);
        }
    }
}

impl Surroundings {
    /// The certificate that proxies with TLS show.
    pub fn certificate(&self) -> PathBuf {
        self.public.join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.public.join("server.key")
    }

    /// Makes the certificate of `localhost`.
    pub fn make_certificate(&self) -> anyhow::Result<()> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(self.certificate(), made.cert.pem())?;
        fs::write(self.key(), made.signing_key.serialize_pem())?;
        // PgBouncer reads it as another user; the key lives as long as the run.
        Ok(fs::set_permissions(
            self.key(),
            fs::Permissions::from_mode(0o644),
        )?)
    }

    /// Starts a proxy for that many connections and waits until it listens.
    /// Helper threads of the gateway get a CPU of their own if one is named.
    pub fn start(
        &self,
        proxy: Proxy,
        connections: usize,
        helper_cpu: Option<usize>,
    ) -> anyhow::Result<Running> {
        let name = proxy.name();
        if proxy == Proxy::Direct {
            return Ok(Running {
                address: self.back_end,
                process: None,
                data: None,
            });
        }
        let address = free_address()?;
        let mut data = None;
        // An earlier build may not know the setting.
        let helper_cpu = helper_cpu.filter(|_| proxy != Proxy::SluiceBefore);
        let mut cpus = vec![self.cpu];
        let command = match proxy {
            Proxy::Direct | Proxy::Floor => {
                let mut command = Command::new(self.programs.own.join("floor"));
                command
                    .arg("--die-with-parent")
                    .arg("--listen")
                    .arg(address.to_string());
                command.arg(self.back_end.to_string());
                command
            }
            Proxy::Reference => {
                let mut command = foreign(&self.programs.reference, None);
                command
                    .arg(address.port().to_string())
                    .arg(self.back_end.port().to_string())
                    .arg("epoll");
                command
            }
            Proxy::Haproxy => {
                let file = self.write("haproxy.cfg", &haproxy(address, self.back_end))?;
                let mut command = foreign(&self.programs.haproxy, None);
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Proxy::Pgbouncer | Proxy::PgbouncerTls => {
                let users = self.write("userlist.txt", &format!("\"{USER}\" \"\"\n"))?;
                let tls = proxy.tls().then(|| (self.certificate(), self.key()));
                let text = pgbouncer(address, self.back_end, &users, tls.as_ref());
                let file = self.write(&format!("{name}.ini"), &text)?;
                let user = nix::unistd::Uid::effective().is_root().then_some(NOBODY);
                let mut command = foreign(&self.programs.pgbouncer, user);
                command.arg(file);
                command
            }
            Proxy::Sluice | Proxy::SluiceBefore | Proxy::SluiceNomask | Proxy::SluiceTls => {
                let program = if proxy == Proxy::SluiceBefore {
                    &self.programs.before
                } else {
                    &self.programs.sluice
                };
                let folder = self.private.join(name);
                fs::create_dir_all(&folder)?;
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
                self.write("twenty.cedar", POLICIES)?;
                let file = self.write(
                    &format!("{name}.toml"),
                    &self.sluice(proxy, address, &folder, connections, helper_cpu)?,
                )?;
                data = Some(folder);
                cpus.extend(helper_cpu);
                let mut command = foreign(program, None);
                command
                    .arg("serve")
                    .arg("--config")
                    .arg(file)
                    .env("SLUICE_LOG", "warn");
                command
            }
        };
        let log = self.public.join(format!("{name}.log"));
        let mut process = Process::start(name, command, &cpus, &log)?;
        process.wait_until(START_LIMIT, |_| TcpStream::connect(address).ok())?;
        Ok(Running {
            address,
            process: Some(process),
            data,
        })
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.public.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn sluice(
        &self,
        proxy: Proxy,
        address: SocketAddr,
        data: &Path,
        connections: usize,
        helper_cpu: Option<usize>,
    ) -> anyhow::Result<String> {
        let tls = if proxy.tls() {
            format!(
                "tls = \"required\"
certificate = '{}'
key = '{}'",
                self.certificate().display(),
                self.key().display()
            )
        } else {
            "tls = \"off\"".to_owned()
        };
        // A session keeps room for its end in the ring: thousands need more than the default.
        let audit = if connections > 1_000 {
            "[audit]\nring_bytes = \"16MiB\"\n\n"
        } else {
            ""
        };
        let iterations = NonZeroU32::new(4096).context("more than none")?;
        Ok(format!(
            "data = '{data}'\n\
             cores = [{cpu}]\n\
             {helpers}\n\
             \n\
             [listeners.bench]\n\
             address = \"{address}\"\n\
             connection = \"bench\"\n\
             {tls}\n\
             \n\
             [connections.bench]\n\
             host = \"{host}\"\n\
             port = {port}\n\
             user = \"{USER}\"\n\
             database = \"bench\"\n\
             tls = \"off\"\n\
             \n\
             [connections.bench.masking]\n\
             enabled = {masking}\n\
             \n\
             [identities.{USER}]\n\
             groups = [\"crew-analytics\"]\n\
             verifier = \"{verifier}\"\n\
             \n\
             [limits]\n\
             sessions_per_core_max = 9500\n\
             \n\
             {audit}[policy]\n\
             file = \"twenty.cedar\"\n",
            data = data.display(),
            cpu = self.cpu,
            helpers = helper_cpu.map_or_else(String::new, |cpu| format!("helper_cpus = [{cpu}]")),
            host = self.back_end.ip(),
            port = self.back_end.port(),
            masking = proxy.expect() == Expect::Masked,
            verifier = scram::verifier(PASSWORD, b"salt of the bench", iterations),
        ))
    }
}

/// An address that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// TCP mode, one thread, the time-outs of Debian's file, no log.
fn haproxy(address: SocketAddr, back_end: SocketAddr) -> String {
    format!(
        "global\n\
         \x20   nbthread 1\n\
         defaults\n\
         \x20   mode tcp\n\
         \x20   timeout connect 5000\n\
         \x20   timeout client 50000\n\
         \x20   timeout server 50000\n\
         listen bench\n\
         \x20   bind {address}\n\
         \x20   server null {back_end}\n"
    )
}

/// Session pooling with a server connection for each client, no log of connections, defaults otherwise.
fn pgbouncer(
    address: SocketAddr,
    back_end: SocketAddr,
    users: &Path,
    tls: Option<&(PathBuf, PathBuf)>,
) -> String {
    let mut text = format!(
        "[databases]\n\
         bench = host={host} port={port} dbname=bench user={USER}\n\
         [pgbouncer]\n\
         listen_addr = {ip}\n\
         listen_port = {listen_port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {users}\n\
         pool_mode = session\n\
         max_client_conn = 9500\n\
         default_pool_size = 9500\n\
         log_connections = 0\n\
         log_disconnections = 0\n\
         log_pooler_errors = 0\n\
         log_stats = 0\n",
        host = back_end.ip(),
        port = back_end.port(),
        ip = address.ip(),
        listen_port = address.port(),
        users = users.display(),
    );
    if let Some((certificate, key)) = tls {
        text.push_str("client_tls_sslmode = require\n");
        let _ = writeln!(text, "client_tls_cert_file = {}", certificate.display());
        let _ = writeln!(text, "client_tls_key_file = {}", key.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_reads_the_twenty_policies() {
        match sluice_policy::PolicySet::parse(POLICIES, "twenty.cedar") {
            Ok(policies) => assert_eq!(policies.len(), 20),
            Err(errors) => panic!("{errors:?}"),
        }
    }

    #[test]
    fn every_missing_program_is_told_once() {
        let nowhere = |name: &str| PathBuf::from("/nowhere").join(name);
        let programs = Programs {
            reference: nowhere("reference"),
            haproxy: nowhere("haproxy"),
            pgbouncer: nowhere("pgbouncer"),
            sluice: nowhere("sluice"),
            before: nowhere("before"),
            own: nowhere(""),
        };
        let error = programs.check(&Proxy::ALL).unwrap_err().to_string();
        for program in ["null-postgres", "load", "floor", "haproxy", "pgbouncer", "sluice"] {
            let line = format!("/nowhere/{program} is missing");
            assert_eq!(error.matches(&line).count(), 1, "{program}: {error}");
        }
        assert!(
            !programs
                .check(&[Proxy::Direct])
                .unwrap_err()
                .to_string()
                .contains("haproxy is missing")
        );
    }

    #[test]
    fn configurations_name_what_differs() {
        let public = PathBuf::from("/p");
        let around = Surroundings {
            programs: Programs {
                reference: PathBuf::new(),
                haproxy: PathBuf::new(),
                pgbouncer: PathBuf::new(),
                sluice: PathBuf::new(),
                before: PathBuf::new(),
                own: PathBuf::new(),
            },
            public,
            private: PathBuf::from("/d"),
            back_end: ([127, 0, 0, 1], 5432).into(),
            cpu: 0,
        };
        let address = ([127, 0, 0, 1], 6432).into();
        for (proxy, masking, certificates) in [
            (Proxy::Sluice, "enabled = true", 0),
            (Proxy::SluiceNomask, "enabled = false", 0),
            (Proxy::SluiceTls, "enabled = true", 1),
        ] {
            let text = around
                .sluice(proxy, address, Path::new("/d/x"), 16, None)
                .unwrap();
            assert!(text.contains(masking), "{}: {text}", proxy.name());
            let count = text.matches("certificate = '/p/server.crt'").count();
            assert_eq!(count, certificates, "{}: {text}", proxy.name());
        }
    }
}
