//! The load generator. See `sluice_bench::load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sluice_bench::kernel;
use sluice_bench::load::fleet::Fleet;
use sluice_bench::load::login::Credentials;
use sluice_bench::load::scram::SaltedPasswords;
use sluice_bench::load::{self, Job, Workload};
use sluice_bench::rows::{Expect, STREAM_ROWS};

/// Asks a PostgreSQL server in a closed loop, checks its answers, prints what was measured as JSON
#[derive(Parser)]
struct Arguments {
    /// Where the server is
    address: SocketAddr,
    /// What to ask
    #[arg(long, value_enum, default_value = "point")]
    workload: Workload,
    /// Connections at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Seconds before measuring
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// The process whose CPU time and memory are read
    #[arg(long)]
    pid: Option<u32>,
    /// What rows have to look like
    #[arg(long, value_enum, default_value = "plain")]
    expect: Expect,
    /// Rows of a `stream` reply
    #[arg(long, default_value_t = STREAM_ROWS)]
    stream_rows: u64,
    #[arg(long, default_value = "bench")]
    user: String,
    #[arg(long, default_value = "bench")]
    database: String,
    #[arg(long, env = "PGPASSWORD", default_value = "", hide_env_values = true)]
    password: String,
    /// Demand TLS, with the certificate (of `localhost`) in this PEM file
    #[arg(long)]
    tls_ca: Option<PathBuf>,
    /// Seconds for opening connections and for what is in flight at the end, before giving up
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Be killed when the starting process ends
    #[arg(long)]
    die_with_parent: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.die_with_parent {
        kernel::die_with_parent()?;
    }
    kernel::lift_open_files()?;
    let tls = match &arguments.tls_ca {
        None => None,
        Some(file) => {
            let mut roots = RootCertStore::empty();
            let certificate = CertificateDer::from_pem_file(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            roots.add(certificate)?;
            let config = ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            Some(Arc::new(config))
        }
    };
    let who = Credentials {
        user: arguments.user,
        database: arguments.database,
        password: arguments.password,
        tls,
        salted: SaltedPasswords::default(),
        logins: 0,
    };
    let job = Job {
        workload: arguments.workload,
        connections: arguments.connections,
        warm_up: Duration::try_from_secs_f64(arguments.warm_up)?,
        duration: Duration::try_from_secs_f64(arguments.seconds)?,
        pid: arguments.pid,
        expect: arguments.expect,
        stream_rows: arguments.stream_rows,
    };
    watch_over(job.warm_up + job.duration + Duration::from_secs(arguments.patience));
    let mut fleet = Fleet::new(arguments.address, who)?;
    let measured = load::run(&mut fleet, &job)?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// Ends the process when it has not ended by itself within `limit`: a server may simply stay silent.
fn watch_over(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("load: not done within {limit:?}, the server does not answer");
        process::exit(1);
    });
}
