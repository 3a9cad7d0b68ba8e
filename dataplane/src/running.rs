//! Starts the cores and stops them.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_audit::lock::{DataLock, LockError};
use sluice_audit::metrics::{Counter, METRICS_LEN, Metrics};
use sluice_audit::names::{self, BootId, ChainId};
use sluice_audit::record::{Event, EventKind};
use sluice_audit::recover::{self, RecoverError};
use sluice_audit::ring::{self, Ring, RingError, RingOwner};
use sluice_parsers::sql::analyze;
use sluice_policy::PolicySet;
use sluice_runtime::helpers::{Helpers, HelpersConfig};
use sluice_runtime::mailbox::{Mailbox, Sender, mailbox};
use sluice_runtime::mapped::Mapping;
use sluice_runtime::net::ListenerConfig;
use sluice_runtime::time::{self, Instant};
use sluice_runtime::{
    CoreError, CoreHandle, Cores, CoresConfig, CoresControl, RingConfig, spawn_cores, task,
};

use crate::budgets::{Accounts, Fullest};
use crate::core::{Core, CoreMessage};
use crate::flusher::{self, Flusher};
use crate::gate::{Gate, GateLimits};
use crate::ledger::{Ledger, nanoseconds};
use crate::mapped::MappedMemory;
use crate::postgres;
use crate::postgres::cancel;
use crate::postgres::catalog::Catalogs;
use crate::settings::Settings;

/// Messages that a core's mailbox holds.
const MAILBOX_MAX: usize = 4096;

/// How long sessions get to tell their clients that they end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often gauges are set, the clock is followed and strangers' events are summed up.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Helper threads' jobs that may wait.
const HELPER_QUEUE_MAX: usize = 1024;

/// Why the data plane does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process works on the data folder.
    #[error("{0}")]
    Locked(#[from] LockError),
    /// What a former process left cannot be taken into the audit log.
    #[error("the audit log cannot be recovered: {0}")]
    Recovery(#[from] RecoverError),
    /// A file of the data folder cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The audit ring's size is not one.
    #[error("audit.ring_bytes: {0}")]
    Ring(#[from] RingError),
    /// An address cannot be listened on.
    #[error("listener {name}: cannot listen on {address}: {source}")]
    Listen {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The helper threads could not be started.
    #[error("helper threads: {0}")]
    Helpers(std::io::Error),
    /// A core could not be started.
    #[error("{0}")]
    Core(#[from] sluice_runtime::StartError),
}

/// How serving ended when it did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A core died by itself.
    #[error("{0}")]
    Core(#[from] CoreError),
}

/// The running data plane.
pub struct Running {
    addresses: Vec<SocketAddr>,
    control: CoresControl,
    cores: Mutex<Option<Cores>>,
    shared: Arc<Shared>,
    // Held until everything has ended.
    _lock: DataLock,
}

/// What the cores and their controller share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) mailboxes: Arc<[Sender<CoreMessage>]>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) accounts: Arc<Accounts>,
    /// When sessions end after a drain began.
    drained_at: Mutex<Option<Instant>>,
}

impl Running {
    /// The listeners' addresses as bound, in the order of the settings.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Puts a policy in force for every statement from now on; returns its epoch.
    pub fn reload_policy(&self, policy: PolicySet) -> u64 {
        let policies = policy.len();
        let epoch = self.shared.settings.policy.replace(policy);
        self.tell(|| CoreMessage::PolicyReloaded { epoch, policies });
        epoch
    }

    /// Of the budgets in force those accounts of which the largest part is used up, at most so many.
    pub fn fullest_budgets(&self, most: usize) -> Fullest {
        let policies = self.shared.settings.policy.load();
        self.shared.accounts.fullest(&policies, most)
    }

    /// Takes no new connections; sessions may go on for `timeout`, then they end with 57P01. Returns at once.
    pub fn drain(&self, timeout: Duration) {
        let mut drained_at = self
            .shared
            .drained_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *drained_at = Some(Instant::now() + timeout);
        drop(drained_at);
        self.control.drain();
    }

    /// Ends every session now with 57P01. Returns at once.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Waits until every core has ended and its record is written.
    pub fn wait(&self) -> Result<(), RunError> {
        let cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner).take();
        match cores {
            Some(cores) => Ok(cores.join()?),
            None => Ok(()),
        }
    }

    /// Tells the first core something; one record of it is enough.
    fn tell(&self, message: impl Fn() -> CoreMessage) {
        if let Some(mailbox) = self.shared.mailboxes.first() {
            // A core that has ended needs no telling.
            let _ = mailbox.send(message());
        }
    }
}

/// Recovers what a former process left, binds every listener and starts the cores.
///
/// When it returns, connections are taken.
pub fn start(settings: Settings) -> Result<Running, StartError> {
    let settings = Arc::new(settings);
    let data = settings.audit.dir.clone();
    let boot = BootId::random().map_err(|source| StartError::File {
        path: "random bytes".into(),
        source,
    })?;
    let lock = DataLock::acquire(&data, boot)?;
    let recovered = recover::recover(&data, settings.audit.segment_bytes)?;
    for note in &recovered.notes {
        tracing::warn!(%note, "recovery of the audit log");
    }
    let sockets = bind(&settings)?;
    let addresses = sockets
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>();
    let addresses = addresses.map_err(|source| StartError::File {
        path: "listener".into(),
        source,
    })?;
    let helpers = Helpers::start(&HelpersConfig {
        threads: settings.limits.helper_threads.max(1),
        stack_bytes: analyze::ANALYSIS_STACK_BYTES,
        queue_max: HELPER_QUEUE_MAX,
        cpus: settings.helper_cpus.clone(),
    })
    .map_err(StartError::Helpers)?;

    let mut mailboxes = Vec::new();
    let mut seeds = Vec::new();
    let started_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_ns = u64::try_from(started_ns.as_nanos()).unwrap_or(u64::MAX);
    for core in 0..settings.cores.len() {
        let (sender, receiver) = mailbox(MAILBOX_MAX);
        mailboxes.push(sender);
        let chain = ChainId {
            boot,
            core: u32::try_from(core).unwrap_or(u32::MAX),
        };
        seeds.push(Seed {
            ledger: open_ledger(&settings, chain, started_ns)?,
            mailbox: receiver,
            chain,
        });
    }
    let mailboxes: Arc<[Sender<CoreMessage>]> = mailboxes.into();
    let shared = Arc::new(Shared {
        settings: Arc::clone(&settings),
        mailboxes: Arc::clone(&mailboxes),
        catalogs: Arc::new(Catalogs::new()),
        accounts: Arc::new(Accounts::new(settings.cores.len())),
        drained_at: Mutex::new(None),
    });
    let config = CoresConfig {
        cpus: settings.cores.iter().copied().map(Some).collect(),
        ring: RingConfig {
            buffers: settings.buffers.receive_count,
            buffer_bytes: u32::try_from(settings.buffers.receive_bytes).unwrap_or(u32::MAX),
            ..RingConfig::default()
        },
        on_panic: Some({
            let mailboxes = Arc::clone(&mailboxes);
            Arc::new(move |panic| {
                if let Some(mailbox) = mailboxes.get(panic.core) {
                    let _ = mailbox.send(CoreMessage::Panicked(panic.message.clone()));
                }
            })
        }),
    };
    // Each core takes its own out, once.
    let seeds: Arc<Vec<Mutex<Option<Seed>>>> =
        Arc::new(seeds.into_iter().map(|seed| Mutex::new(Some(seed))).collect());
    let sockets = Arc::new(Mutex::new(Some(sockets)));
    let (ready, accepting) = mpsc::channel::<()>();
    let cores = spawn_cores(&config, {
        let shared = Arc::clone(&shared);
        move |handle| {
            let (shared, helpers, ready) = (Arc::clone(&shared), helpers.clone(), ready.clone());
            let seed = seeds.get(handle.index()).and_then(take);
            let sockets = if handle.index() == 0 {
                take(&sockets).unwrap_or_default()
            } else {
                Vec::new()
            };
            async move {
                let Some(seed) = seed else { return };
                run_core(handle, shared, helpers, seed, sockets, ready).await;
            }
        }
    })?;
    // The listeners are bound, so nothing is lost should a core end before it says so.
    let _ = accepting.recv_timeout(Duration::from_secs(10));
    Ok(Running {
        addresses,
        control: cores.control(),
        cores: Mutex::new(Some(cores)),
        shared,
        _lock: lock,
    })
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a core begins with.
struct Seed {
    ledger: Ledger,
    mailbox: Mailbox<CoreMessage>,
    chain: ChainId,
}

fn bind(settings: &Settings) -> Result<Vec<TcpListener>, StartError> {
    settings
        .listeners
        .iter()
        .map(|listener| {
            TcpListener::bind(listener.address).map_err(|source| StartError::Listen {
                name: listener.name.clone(),
                address: listener.address,
                source,
            })
        })
        .collect()
}

fn open_ledger(settings: &Settings, chain: ChainId, started_ns: u64) -> Result<Ledger, StartError> {
    let data = &settings.audit.dir;
    let folder = names::audit_dir(data);
    let metrics_folder = names::metrics_dir(data);
    for folder in [&folder, &metrics_folder] {
        std::fs::create_dir_all(folder).map_err(|source| StartError::File {
            path: folder.display().to_string(),
            source,
        })?;
    }
    let process = std::process::id();
    let memory = map(
        &chain.ring_path(&folder),
        ring::file_len(settings.audit.ring_bytes),
    )?;
    let owner = RingOwner {
        chain,
        process,
        started_ns,
    };
    let ring = Ring::create(memory, owner, settings.limits.max_recorded_bytes)?;
    // Readers of a former start keep the file that they have open.
    let path = names::metrics_path(data, chain.core);
    let new = path.with_extension("metrics.new");
    let _ = std::fs::remove_file(&new);
    let metrics = Metrics::create(map(&new, METRICS_LEN)?, chain, process, started_ns);
    std::fs::rename(&new, &path).map_err(|source| StartError::File {
        path: path.display().to_string(),
        source,
    })?;
    let mut ledger = Ledger::new(ring, metrics, chain.boot);
    ledger
        .metrics
        .set(Counter::AuditRingCapacity, settings.audit.ring_bytes as u64);
    Ok(ledger)
}

fn map(path: &Path, len: usize) -> Result<MappedMemory, StartError> {
    let mapping = Mapping::open(path, len);
    mapping.map(MappedMemory).map_err(|source| StartError::File {
        path: path.display().to_string(),
        source,
    })
}

async fn run_core(
    handle: CoreHandle,
    shared: Arc<Shared>,
    helpers: Helpers,
    seed: Seed,
    sockets: Vec<TcpListener>,
    ready: mpsc::Sender<()>,
) {
    let settings = Arc::clone(&shared.settings);
    let limits = GateLimits {
        inline_parse_bytes: settings.limits.inline_parse_bytes,
        decisions_max: settings.limits.decisions_max,
        analysis: analyze::Limits {
            bytes_max: settings.limits.max_statement_bytes,
            depth_max: settings.limits.max_depth,
            ..analyze::Limits::default()
        },
    };
    let seed_of_hashes = u64::from_le_bytes(sluice_parsers::postgres::scram::random().unwrap_or_default());
    let gate = Gate::new(settings.policy.reader(), limits, seed_of_hashes);
    let Seed {
        ledger,
        mailbox,
        chain,
    } = seed;
    let core = Rc::new(Core::new(handle.clone(), &shared, helpers, gate, ledger));
    core.ledger.borrow_mut().event(
        0,
        Event {
            event: EventKind::Started,
            ..Event::default()
        },
    );

    let is_stopping = Rc::new(Cell::new(false));
    let folder = names::audit_dir(&settings.audit.dir);
    let flusher = Flusher::new(chain, &folder, settings.audit.segment_bytes);
    let flushing = task::spawn(flusher::run(Rc::clone(&core), flusher, Rc::clone(&is_stopping)));
    task::spawn(keep_house(Rc::clone(&core)));
    task::spawn(receive(Rc::clone(&core), mailbox));

    let mut listeners = Vec::new();
    for (tag, socket) in (0..).zip(sockets) {
        match handle.listen_on(
            socket,
            &ListenerConfig {
                tag,
                ..ListenerConfig::default()
            },
        ) {
            Ok(listener) => listeners.push(listener),
            Err(error) => tracing::error!(%error, "a listener does not accept"),
        }
    }
    // Nobody may be waiting any more.
    let _ = ready.send(());
    while let Some(arrival) = handle.accept().await {
        task::spawn(postgres::serve(Rc::clone(&core), arrival));
    }
    drop(listeners);

    let drained_at = *shared.drained_at.lock().unwrap_or_else(PoisonError::into_inner);
    let drained_at = drained_at.unwrap_or_else(|| time::now() + settings.limits.drain_timeout);
    // Whichever comes first: the last session's end, the time-out, or the order to stop.
    let _ = time::timeout(
        drained_at,
        futures_lite::future::or(until_empty(&core), handle.stopping()),
    )
    .await;
    core.end_sessions();
    let _ = time::timeout(time::now() + FAREWELL, until_empty(&core)).await;

    {
        let mut ledger = core.ledger.borrow_mut();
        ledger.sum_up_strangers();
        let event = Event {
            event: EventKind::Stopped,
            ..Event::default()
        };
        ledger.event(0, event);
    }
    is_stopping.set(true);
    // Its failure is in the log.
    let _ = flushing.await;
}

/// Waits for the core's sessions to end.
async fn until_empty(core: &Core) {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    while core.sessions() > 0 {
        time::sleep(LOOK_AGAIN).await;
    }
}

/// Sets the gauges, follows the clock and sums up strangers' events.
async fn keep_house(core: Rc<Core>) {
    loop {
        core.budgets.borrow_mut().tidy();
        {
            let (epoch, cached, counts) = {
                let mut gate = core.gate.borrow_mut();
                (gate.epoch(), gate.cached(), std::mem::take(&mut gate.counts))
            };
            let (free, buffers) = core.handle.buffers();
            let stats = core.handle.stats();
            let mut ledger = core.ledger.borrow_mut();
            ledger.set_clock();
            ledger.sum_up_strangers();
            let depth = ledger.ring().depth();
            let metrics = &mut ledger.metrics;
            metrics.set(Counter::AuditRingDepth, depth);
            metrics.set(Counter::PolicyEpoch, epoch);
            metrics.add(Counter::DecisionHits, counts.hits);
            metrics.add(Counter::DecisionMisses, counts.misses);
            metrics.add(Counter::HostileInputs, counts.excessive);
            metrics.add(Counter::PolicyErrors, counts.policy_errors);
            metrics.set(Counter::CacheEntries, cached as u64);
            metrics.set(Counter::BusyNanoseconds, nanoseconds(core.handle.cpu_time()));
            // The helpers are everybody's.
            if core.handle.index() == 0 {
                metrics.set(Counter::HelperQueue, core.helpers.waiting() as u64);
            }
            metrics.set(Counter::BuffersLent, (buffers - free) as u64);
            metrics.set(Counter::BuffersTotal, buffers as u64);
            metrics.set(Counter::Wakeups, stats.ring_enters);
        }
        time::sleep(HOUSEKEEPING).await;
    }
}

/// Takes what other threads tell the core.
async fn receive(core: Rc<Core>, mut mailbox: Mailbox<CoreMessage>) {
    while let Some(message) = mailbox.receive().await {
        match message {
            CoreMessage::Cancel(request) => {
                let core = Rc::clone(&core);
                task::spawn(async move { cancel::cancel(&core, request).await });
            }
            CoreMessage::Panicked(message) => {
                tracing::error!(core = core.handle.index(), message, "a session's task panicked");
                let event = Event {
                    event: EventKind::Panic,
                    text: message.as_bytes(),
                    ..Event::default()
                };
                core.ledger.borrow_mut().event(0, event);
            }
            CoreMessage::PolicyReloaded { epoch, policies } => {
                let text = format!("epoch {epoch}, {policies} policies");
                let event = Event {
                    event: EventKind::PolicyReloaded,
                    text: text.as_bytes(),
                    ..Event::default()
                };
                core.ledger.borrow_mut().event(0, event);
            }
        }
    }
}
