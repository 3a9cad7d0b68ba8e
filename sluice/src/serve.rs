//! `sluice serve`: the parts started, and the signals that drain, stop and reload them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sluice_control::oidc::Verifier;
use sluice_control::{Control, ControlSettings};
use sluice_dataplane::Running;
use sluice_dataplane::settings::{Limits, Listener, Settings};
use sluice_runtime::preflight::{self, Obstacle, Plan};

use crate::budgets::Teller;
use crate::cli::Serve;
use crate::config;
use crate::failure::{Failure, counted};
use crate::{machine, mock_secret};

/// Serves until a signal ends it.
pub(crate) fn run(arguments: &Serve) -> Result<(), Failure> {
    let (loaded, report) = config::load(&arguments.config)?;
    eprint!("{report}");
    refuse_obstacles(loaded.cores.len(), &loaded.limits)?;
    let metrics_address = loaded.metrics_address;
    let verifier = loaded.verifier.clone();
    let settings = loaded.into_settings();
    let path = arguments.config.clone();
    let certificates = Certificates::of(&settings);
    let signals = signals()?;
    let gateway = Gateway::start(settings, metrics_address, verifier)?;
    for (name, address) in gateway.listening() {
        tracing::info!(listener = name, %address, "listening");
    }
    gateway.serve_until_signal(signals, |running| reload(&path, running, &certificates))
}

/// Takes signals from now on: one that comes while the gateway starts is kept for when it serves, and a reload ends nothing.
pub(crate) fn signals() -> Result<Signals, Failure> {
    Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| Failure::other("cannot handle signals", error))
}

/// What stands in the way on this machine.
pub(crate) fn obstacles(cores: usize, limits: &Limits) -> Vec<Obstacle> {
    let sessions = limits.sessions_per_core_max.saturating_mul(cores) as u64;
    let open_files = sessions
        .saturating_mul(machine::FILES_A_SESSION)
        .saturating_add(machine::files_reserved(cores));
    preflight::check(Plan { cores, open_files })
}

/// Ends with every obstacle named, rather than with the first system call that fails.
pub(crate) fn refuse_obstacles(cores: usize, limits: &Limits) -> Result<(), Failure> {
    let obstacles = obstacles(cores, limits);
    for obstacle in &obstacles {
        eprintln!("sluice: this machine: {obstacle}");
    }
    if obstacles.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

/// The parts while they run.
pub(crate) struct Gateway {
    running: Arc<Running>,
    control: Control,
    budgets: Option<Teller>,
    names: Vec<String>,
    drain_timeout: Duration,
}

impl Gateway {
    /// Starts the control thread and the data plane.
    pub(crate) fn start(
        settings: Settings,
        metrics_address: Option<std::net::SocketAddr>,
        verifier: Option<Arc<Verifier>>,
    ) -> Result<Self, Failure> {
        let data = settings.audit.dir.clone();
        std::fs::create_dir_all(&data)
            .and_then(|()| mock_secret::keep_in(&data, settings.identities.scram.mock_secret()))
            .map_err(|error| Failure::other(format!("data folder {}", data.display()), error))?;
        let names = settings
            .listeners
            .iter()
            .map(|listener| listener.name.clone())
            .collect();
        let drain_timeout = settings.limits.drain_timeout;
        // First, so that the keys of issuers are there when the first token comes.
        let control = Control::start(ControlSettings {
            metrics_address,
            data: data.clone(),
            verifier,
        })
        .map_err(|error| Failure::other("cannot start", error))?;
        let running = match sluice_dataplane::start(settings) {
            Ok(running) => Arc::new(running),
            Err(error) => {
                control.stop();
                return Err(Failure::other("cannot start", error));
            }
        };
        let budgets = Teller::start(Arc::clone(&running), &data)
            .inspect_err(|error| tracing::warn!(%error, "what is used up of budgets cannot be told"))
            .ok();
        if let Some(address) = control.metrics_address() {
            tracing::info!(%address, "metrics");
        }
        Ok(Self {
            running,
            control,
            budgets,
            names,
            drain_timeout,
        })
    }

    /// Every listener's name with the address it has.
    pub(crate) fn listening(&self) -> impl Iterator<Item = (&str, std::net::SocketAddr)> {
        self.names
            .iter()
            .map(String::as_str)
            .zip(self.running.addresses().iter().copied())
    }

    /// Where metrics are exported.
    pub(crate) fn metrics_address(&self) -> Option<std::net::SocketAddr> {
        self.control.metrics_address()
    }

    /// Blocks until the data plane has ended, by a signal or by itself.
    pub(crate) fn serve_until_signal(
        self,
        mut signals: Signals,
        reload: impl Fn(&Running),
    ) -> Result<(), Failure> {
        // The main thread handles signals, this one notices the end and lets the other go.
        let ended = std::thread::spawn({
            let (running, signals) = (Arc::clone(&self.running), signals.handle());
            move || {
                let ended = running.wait();
                signals.close();
                ended
            }
        });
        let mut draining = false;
        for signal in &mut signals {
            match signal {
                SIGHUP => reload(&self.running),
                _ if draining => {
                    tracing::warn!("stopping at once");
                    self.running.stop();
                }
                _ => {
                    draining = true;
                    tracing::info!(timeout = ?self.drain_timeout, "draining: no new sessions, a second signal ends the others");
                    self.running.drain(self.drain_timeout);
                }
            }
        }
        let ended = ended
            .join()
            .map_err(|_| Failure::other("the data plane", "its watcher panicked"))?;
        if let Some(budgets) = self.budgets {
            budgets.stop();
        }
        self.control.stop();
        ended.map_err(|error| Failure::other("the data plane ended", error))?;
        tracing::info!("ended");
        Ok(())
    }
}

/// The listeners whose certificates a reload replaces.
struct Certificates(Vec<(String, sluice_dataplane::settings::ServerTlsHandle)>);

impl Certificates {
    fn of(settings: &Settings) -> Self {
        Self(settings.listeners.iter().filter_map(named_handle).collect())
    }
}

fn named_handle(listener: &Listener) -> Option<(String, sluice_dataplane::settings::ServerTlsHandle)> {
    Some((listener.name.clone(), Arc::clone(listener.tls.handle()?)))
}

/// Reads the configuration again, and takes certificates and policy from it. A mistake anywhere in it refuses it
/// whole: half a reload is a state that nobody wrote down.
fn reload(path: &Path, running: &Running, certificates: &Certificates) {
    let (loaded, report) = match config::load(path) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{report}");
            let mistakes = counted(report.errors(), "mistake");
            tracing::error!(%mistakes, "reload refused, what was in force stays");
            return;
        }
    };
    eprint!("{report}");
    let mut replaced = 0;
    for (name, handle) in &certificates.0 {
        let fresh = loaded
            .listeners
            .iter()
            .filter_map(named_handle)
            .find(|(fresh, _)| fresh == name);
        if let Some((_, fresh)) = fresh {
            handle.store(fresh.load_full());
            replaced += 1;
        }
    }
    let epoch = running.reload_policy(loaded.policy);
    tracing::info!(
        certificates = replaced,
        policy_epoch = epoch,
        "reloaded; other settings take a restart"
    );
}
