//! Cores: their start, what they share, and their end.

mod cluster;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use nix::time::{ClockId, clock_gettime};

pub(crate) use cluster::{Cluster, Placed, Seat};

use crate::net::{Arrival, Listener, ListenerConfig};
use crate::reactor::{self, Reaper};
use crate::stats::Stats;
use crate::task::{TaskError, TaskPanic};
use cluster::{Arrivals, Stage, StageWait};

/// Called on the core when one of its tasks has panicked.
pub type PanicHook = Arc<dyn Fn(&TaskPanic) + Send + Sync>;

/// glommio's ring is never used; it is kept as small as glommio allows.
const EXECUTOR_RING_DEPTH: usize = 8;
/// glommio's registered memory is never used either.
const EXECUTOR_MEMORY_BYTES: usize = 64 * 1024;
/// glommio interrupts its tasks with a timer; ours is the only one and never hands the core back.
const EXECUTOR_PREEMPTION: Duration = Duration::from_hours(24);

/// How cores are started.
#[derive(Clone)]
pub struct CoresConfig {
    /// The CPUs to run on, one core each. `None` in a place leaves that core unpinned.
    pub cpus: Vec<Option<usize>>,
    /// Each core's ring.
    pub ring: RingConfig,
    /// Told about each task that panicked, beside the count in [`Stats`].
    pub on_panic: Option<PanicHook>,
}

/// The sizes of a core's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    /// Operations that one system call can submit.
    pub submissions: u32,
    /// Completions that are held for the core before the kernel takes memory of its own for them.
    pub completions: u32,
    /// Receive buffers; rounded up to a power of two, at most 16384.
    pub buffers: u16,
    /// The size of a receive buffer.
    pub buffer_bytes: u32,
    /// Receive buffers that may wait for a socket's consumer before the socket stops receiving.
    pub receive_buffers_max: usize,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            submissions: 1024,
            completions: 8192,
            buffers: 1024,
            buffer_bytes: 32 * 1024,
            receive_buffers_max: 8,
        }
    }
}

impl CoresConfig {
    /// One core on each of these CPUs, with default rings.
    pub fn pinned(cpus: impl IntoIterator<Item = usize>) -> Self {
        let cpus = cpus.into_iter().map(Some).collect();
        Self {
            cpus,
            ring: RingConfig::default(),
            on_panic: None,
        }
    }
}

/// Why the cores could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration names no CPU.
    #[error("no CPU to run on is configured")]
    NoCpu,
    /// The executor did not start.
    #[error("core {core}: the executor did not start: {message}")]
    Executor {
        /// The core's index.
        core: usize,
        /// What glommio says.
        message: String,
    },
    /// The ring could not be set up; `preflight` says what stands in the way.
    #[error("core {core}: the ring could not be set up: {source}")]
    Ring {
        /// The core's index.
        core: usize,
        /// What the system says.
        source: io::Error,
    },
}

/// How a core ended when it did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// Its main task panicked.
    #[error("core {core}: {source}")]
    Main {
        /// The core's index.
        core: usize,
        /// The panic.
        source: TaskError,
    },
    /// Its ring failed.
    #[error("core {core}: the ring failed: {source}")]
    Ring {
        /// The core's index.
        core: usize,
        /// What the system says.
        source: io::Error,
    },
    /// Its thread ended without a word.
    #[error("core {core}: the executor failed: {message}")]
    Executor {
        /// The core's index.
        core: usize,
        /// What glommio says.
        message: String,
    },
}

/// Starts one pinned core a CPU, each running `main`. Returns when all rings are set up.
///
/// A core ends when its `main` returns: its remaining tasks are dropped, its sockets closed, and everything in
/// flight is cancelled and awaited.
pub fn spawn_cores<F, M>(config: &CoresConfig, main: F) -> Result<Cores, StartError>
where
    F: Fn(CoreHandle) -> M + Clone + Send + 'static,
    M: Future<Output = ()> + 'static,
{
    if config.cpus.is_empty() {
        return Err(StartError::NoCpu);
    }
    let (cluster, arrivals) = Cluster::new(config.cpus.len());
    let mut cores = Cores {
        cluster,
        threads: Vec::new(),
    };
    let (ready, started) = mpsc::channel();
    for (core, arrivals) in arrivals.into_iter().enumerate() {
        let thread = spawn_core(
            core,
            config,
            &cores.cluster,
            arrivals,
            ready.clone(),
            main.clone(),
        )?;
        cores.threads.push(thread);
    }
    drop(ready);
    for _ in 0..cores.threads.len() {
        match started.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            // A thread ended before it set up its ring: glommio's own set-up failed.
            Err(mpsc::RecvError) => return Err(cores.start_failure()),
        }
    }
    Ok(cores)
}

fn spawn_core<F, M>(
    core: usize,
    config: &CoresConfig,
    cluster: &Arc<Cluster>,
    arrivals: Arrivals,
    ready: mpsc::Sender<Result<(), StartError>>,
    main: F,
) -> Result<CoreThread, StartError>
where
    F: Fn(CoreHandle) -> M + Send + 'static,
    M: Future<Output = ()> + 'static,
{
    let placement = config.cpus[core].map_or(Placement::Unbound, Placement::Fixed);
    let (ring, on_panic, cluster) = (config.ring, config.on_panic.clone(), Arc::clone(cluster));
    let executor = LocalExecutorBuilder::new(placement)
        .name(&format!("core-{core}"))
        .ring_depth(EXECUTOR_RING_DEPTH)
        .io_memory(EXECUTOR_MEMORY_BYTES)
        .preempt_timer(EXECUTOR_PREEMPTION);
    let thread = executor.spawn(move || async move {
        let ring_error = |source| CoreError::Ring { core, source };
        let reaper = match Reaper::new(core, Arc::clone(&cluster), &ring, on_panic) {
            Ok(reaper) => reaper,
            Err(source) => {
                // The starter may have given up already.
                let _ = ready.send(Err(StartError::Ring { core, source }));
                return Ok(());
            }
        };
        let _ = ready.send(Ok(()));
        drop(ready);
        // The reaper never awaits: glommio has nothing else to run on this thread.
        let handle = CoreHandle {
            index: core,
            cluster,
            arrivals: Rc::new(arrivals),
        };
        let ended = reaper.run(async move { main(handle).await });
        ended
            .map_err(ring_error)?
            .map_err(|source| CoreError::Main { core, source })
    });
    let thread = thread.map_err(|error| StartError::Executor {
        core,
        message: error.to_string(),
    })?;
    Ok(CoreThread { core, thread })
}

struct CoreThread {
    core: usize,
    thread: ExecutorJoinHandle<Result<(), CoreError>>,
}

/// The running cores.
#[must_use = "the cores run on, but nobody can end them"]
pub struct Cores {
    cluster: Arc<Cluster>,
    threads: Vec<CoreThread>,
}

impl Cores {
    /// Tells the cores to take no new connections: [`CoreHandle::draining`] is ready, [`CoreHandle::accept`] ends.
    pub fn drain(&self) {
        self.cluster.advance(Stage::Draining);
    }

    /// Tells the cores to end: [`CoreHandle::stopping`] is ready. It is each core's main that returns.
    pub fn stop(&self) {
        self.cluster.advance(Stage::Stopping);
    }

    /// A handle that can drain and stop from elsewhere, a signal handler's thread for instance.
    pub fn control(&self) -> CoresControl {
        CoresControl {
            cluster: Arc::clone(&self.cluster),
        }
    }

    /// The sessions that live on each core.
    pub fn loads(&self) -> Vec<usize> {
        self.cluster.loads()
    }

    /// Waits for all cores to end and returns the first failure.
    pub fn join(mut self) -> Result<(), CoreError> {
        let mut outcome = Ok(());
        for CoreThread { core, thread } in self.threads.drain(..) {
            let joined = thread.join().map_err(|error| CoreError::Executor {
                core,
                message: error.to_string(),
            });
            let ended = joined.and_then(|ended| ended);
            outcome = outcome.and(ended);
        }
        outcome
    }

    /// Stops the cores and waits for them.
    pub fn stop_and_join(self) -> Result<(), CoreError> {
        self.stop();
        self.join()
    }

    /// Some thread ended before it told how it started: finds it and its reason.
    fn start_failure(mut self) -> StartError {
        self.stop();
        let failed = self.threads.drain(..).find_map(|CoreThread { core, thread }| {
            let error = thread.join().err()?;
            Some(StartError::Executor {
                core,
                message: error.to_string(),
            })
        });
        failed.unwrap_or_else(|| StartError::Executor {
            core: 0,
            message: "its thread ended".to_owned(),
        })
    }
}

/// Drains and stops cores from any thread.
#[derive(Clone)]
pub struct CoresControl {
    cluster: Arc<Cluster>,
}

impl CoresControl {
    /// As [`Cores::drain`].
    pub fn drain(&self) {
        self.cluster.advance(Stage::Draining);
    }

    /// As [`Cores::stop`].
    pub fn stop(&self) {
        self.cluster.advance(Stage::Stopping);
    }

    /// As [`Cores::loads`].
    pub fn loads(&self) -> Vec<usize> {
        self.cluster.loads()
    }
}

/// The core that a task runs on.
#[derive(Clone)]
pub struct CoreHandle {
    index: usize,
    cluster: Arc<Cluster>,
    arrivals: Rc<Arrivals>,
}

impl CoreHandle {
    /// Its index among the cores, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of cores.
    pub fn count(&self) -> usize {
        self.cluster.len()
    }

    /// Binds a listener and begins to accept here. What it accepts goes to the least loaded core and comes out of
    /// that core's [`accept`](Self::accept) with the listener's tag.
    pub fn listen(&self, address: SocketAddr, config: &ListenerConfig) -> io::Result<Listener> {
        Listener::bind(address, *config)
    }

    /// As [`listen`](Self::listen), on a socket that is listening already.
    pub fn listen_on(&self, socket: TcpListener, config: &ListenerConfig) -> io::Result<Listener> {
        Listener::adopt(socket, *config)
    }

    /// The next connection for this core; `None` once it is draining. One task may wait at a time.
    pub async fn accept(&self) -> Option<Arrival> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, context: &Context<'_>) -> Poll<Option<Arrival>> {
        self.arrivals.poll(context)
    }

    /// The sessions that live on this core.
    pub fn load(&self) -> usize {
        self.cluster.load(self.index)
    }

    /// Whether the core is told to end.
    pub fn is_stopping(&self) -> bool {
        self.cluster.stage() >= Stage::Stopping
    }

    /// Waits until no new connections are to be taken.
    pub async fn draining(&self) {
        let mut wait = StageWait::new(&self.cluster, Stage::Draining);
        poll_fn(|context| wait.poll(context)).await;
    }

    /// Waits until the core is told to end.
    pub async fn stopping(&self) {
        let mut wait = StageWait::new(&self.cluster, Stage::Stopping);
        poll_fn(|context| wait.poll(context)).await;
    }

    /// What the core has counted. To be called on the core itself.
    pub fn stats(&self) -> Stats {
        reactor::with(|reactor| reactor.stats.snapshot())
    }

    /// The CPU time that the core's thread has used. To be called on the core itself.
    pub fn cpu_time(&self) -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
    }

    /// Receive buffers that are free, of how many.
    pub fn buffers(&self) -> (usize, usize) {
        reactor::with(|reactor| (reactor.pool.free(), reactor.pool.buffers()))
    }
}
