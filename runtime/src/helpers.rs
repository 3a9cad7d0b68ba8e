//! Helper threads for what may not run on a core.
//!
//! Anything over about 200 microseconds blocks all sessions of a core: key derivation, signatures, long statements,
//! name look-ups. It runs here, on a fixed number of threads with a bounded queue, while the session waits. A job
//! over the bound waits in its session's future and takes no memory of the queue.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::remote::lock;
use crate::task::message_of;

/// How helper threads are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpersConfig {
    /// The number of threads.
    pub threads: usize,
    /// Each thread's stack. The SQL grammar recurses: its threads want 16 MiB.
    pub stack_bytes: usize,
    /// Jobs that may wait for a thread; further ones wait in their sessions.
    pub queue_max: usize,
    /// The CPUs the threads may run on; empty means all.
    pub cpus: Vec<usize>,
}

impl Default for HelpersConfig {
    fn default() -> Self {
        Self {
            threads: 2,
            stack_bytes: 16 * 1024 * 1024,
            queue_max: 256,
            cpus: Vec::new(),
        }
    }
}

/// Why a job gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// The job panicked; its thread goes on.
    #[error("the helper's job panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The helpers have been stopped.
    #[error("the helpers have been stopped")]
    Stopped,
}

/// Helper threads, shared by all cores. The threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Helpers {
    owner: Arc<Owner>,
}

/// Stops the threads when the last handle goes.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.stopped = true;
        let waiting = queue.lines().map(|line| std::mem::take(&mut line.waiting));
        drop(queue);
        self.shared.changed.notify_all();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

#[derive(Debug)]
struct Shared {
    queue_max: usize,
    /// Threads that may have a long job at a time.
    long_max: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// How long a job may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Milliseconds.
    Short,
    /// As long as a client makes it.
    Long,
}

#[derive(Default)]
struct Queue {
    short: Line,
    long: Line,
    /// Threads that have a long job.
    long_running: usize,
    stopped: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("short", &self.short.jobs.len())
            .field("long", &self.long.jobs.len())
            .finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Jobs of a length.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// Those who found it full, the first one first.
    waiting: VecDeque<Waker>,
}

impl Queue {
    fn lines(&mut self) -> [&mut Line; 2] {
        [&mut self.short, &mut self.long]
    }

    fn line(&mut self, length: Length) -> &mut Line {
        match length {
            Length::Short => &mut self.short,
            Length::Long => &mut self.long,
        }
    }

    /// The next job; short ones first.
    fn next(&mut self, long_max: usize) -> Option<(Length, Job)> {
        if let Some(job) = self.short.jobs.pop_front() {
            return Some((Length::Short, job));
        }
        if self.long_running == long_max {
            return None;
        }
        let job = self.long.jobs.pop_front()?;
        self.long_running += 1;
        Some((Length::Long, job))
    }
}

/// How much nicer helper threads are than cores, in the terms of setpriority(2): about a tenth of their weight.
const NICENESS: libc::c_int = 10;

/// Lets the cores go first where they share a CPU with the calling thread: a session that is analysed for long can wait
/// better than all sessions of a core can.
fn yield_to_cores() {
    // SAFETY: setpriority takes and gives numbers only; 0 names the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    if let Err(error) = nix::errno::Errno::result(result) {
        tracing::warn!(%error, "a helper thread competes with the cores");
    }
}

impl Helpers {
    /// Jobs that wait for a thread, in the queue and before it.
    pub fn waiting(&self) -> usize {
        let mut queue = lock(&self.owner.shared.queue);
        let waiting = queue.lines().map(|line| line.jobs.len() + line.waiting.len());
        waiting.iter().sum()
    }

    /// Starts the threads.
    pub fn start(config: &HelpersConfig) -> io::Result<Self> {
        let queue_max = config.queue_max.max(1);
        let shared = Arc::new(Shared {
            queue_max,
            long_max: config.threads.saturating_sub(1).max(1),
            queue: Mutex::default(),
            changed: Condvar::new(),
        });
        let helpers = Self {
            owner: Arc::new(Owner {
                shared: Arc::clone(&shared),
            }),
        };
        let cpus = cpu_set(&config.cpus)?;
        for index in 0..config.threads.max(1) {
            let shared = Arc::clone(&shared);
            let builder = thread::Builder::new()
                .name(format!("helper-{index}"))
                .stack_size(config.stack_bytes);
            builder.spawn(move || {
                if let Some(cpus) = cpus
                    && let Err(error) = sched_setaffinity(Pid::from_raw(0), &cpus)
                {
                    tracing::warn!(%error, "a helper thread runs on any CPU");
                }
                yield_to_cores();
                shared.work();
            })?;
        }
        Ok(helpers)
    }

    /// Runs a job on a helper thread and waits for its result. Dropping the future withdraws a job that no thread
    /// has begun; one that runs is finished and its result dropped.
    pub async fn run<T, F>(&self, job: F) -> Result<T, HelperError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run_of(Length::Short, job).await
    }

    /// As [`run`](Self::run), for a job that may take as long as a client makes it: it stands behind those that do not,
    /// and one thread of several has none such, so that logins and the record never wait for statements.
    pub async fn run_long<T, F>(&self, job: F) -> Result<T, HelperError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run_of(Length::Long, job).await
    }

    async fn run_of<T, F>(&self, length: Length, job: F) -> Result<T, HelperError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = &self.owner.shared;
        let result = Arc::new(Mutex::new(Awaited {
            outcome: None,
            waker: None,
            wanted: true,
        }));
        let _withdraw = Withdraw(&result);
        let mut offer = Offer {
            shared,
            length,
            job: Some(job_of(job, Arc::clone(&result))),
            waiting: None,
        };
        poll_fn(|context| {
            if !offer.poll(context) {
                return Poll::Pending;
            }
            let mut awaited = lock(&result);
            if let Some(outcome) = awaited.outcome.take() {
                return Poll::Ready(outcome);
            }
            awaited.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// A result that a session waits for.
struct Awaited<T> {
    outcome: Option<Result<T, HelperError>>,
    waker: Option<Waker>,
    wanted: bool,
}

/// Says that nobody waits any more.
struct Withdraw<'a, T>(&'a Mutex<Awaited<T>>);

impl<T> Drop for Withdraw<'_, T> {
    fn drop(&mut self) {
        lock(self.0).wanted = false;
    }
}

fn job_of<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
    result: Arc<Mutex<Awaited<T>>>,
) -> Job {
    // Settles the result also when the job is dropped unrun.
    struct Settle<T>(Arc<Mutex<Awaited<T>>>);
    impl<T> Settle<T> {
        fn with(&self, outcome: Result<T, HelperError>) {
            let mut awaited = lock(&self.0);
            if awaited.outcome.is_none() {
                awaited.outcome = Some(outcome);
            }
            let waker = awaited.waker.take();
            drop(awaited);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
    impl<T> Drop for Settle<T> {
        fn drop(&mut self) {
            if lock(&self.0).wanted {
                self.with(Err(HelperError::Stopped));
            }
        }
    }
    let settle = Settle(result);
    Box::new(move || {
        if !lock(&settle.0).wanted {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(job));
        settle.with(outcome.map_err(|panic| HelperError::Panicked {
            message: message_of(&*panic),
        }));
    })
}

/// A job on its way into the queue.
struct Offer<'a> {
    shared: &'a Shared,
    length: Length,
    job: Option<Job>,
    /// What stands in the line for it, or did until it was woken.
    waiting: Option<Waker>,
}

impl Offer<'_> {
    /// Puts the job into the queue if there is room. A stopped queue drops it, which settles it.
    fn poll(&mut self, context: &Context<'_>) -> bool {
        let Some(job) = self.job.take() else { return true };
        let mut queue = lock(&self.shared.queue);
        if queue.stopped {
            drop(queue);
            drop(job);
            return true;
        }
        let line = queue.line(self.length);
        if line.jobs.len() >= self.shared.queue_max {
            if !line.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                line.waiting.push_back(context.waker().clone());
            }
            drop(queue);
            self.waiting = Some(context.waker().clone());
            self.job = Some(job);
            return false;
        }
        line.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_one();
        true
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        let Some(own) = self.waiting.take().filter(|_| self.job.is_some()) else {
            return;
        };
        let mut queue = lock(&self.shared.queue);
        let line = queue.line(self.length);
        // Left in the line it would be woken for a place that nobody takes.
        if let Some(place) = line.waiting.iter().position(|waker| waker.will_wake(&own)) {
            line.waiting.remove(place);
            return;
        }
        // It was woken for a place that it no longer takes: the next one gets it.
        let next = line.waiting.pop_front();
        drop(queue);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl Shared {
    /// The life of a helper thread.
    fn work(&self) {
        loop {
            let mut queue = lock(&self.queue);
            let (length, job) = loop {
                if queue.stopped {
                    let left = queue.lines().map(|line| std::mem::take(&mut line.jobs));
                    drop(queue);
                    drop(left);
                    return;
                }
                if let Some(next) = queue.next(self.long_max) {
                    break next;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            let waiting = queue.line(length).waiting.pop_front();
            drop(queue);
            if let Some(waiting) = waiting {
                waiting.wake();
            }
            job();
            if length == Length::Long {
                // Whoever waits for that place is taken by this thread.
                lock(&self.queue).long_running -= 1;
            }
        }
    }
}

fn cpu_set(cpus: &[usize]) -> io::Result<Option<CpuSet>> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(Some(set))
}
