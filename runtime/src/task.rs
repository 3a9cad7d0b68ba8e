//! Tasks of one core.
//!
//! A task is a boxed future in a table and a flag that says whether it stands in the run queue. Its waker is a
//! number, so cloning and waking it allocate nothing; a wake on the own core is one push, a wake from any other
//! thread goes through the core's eventfd. A panic ends its task alone: it is caught, counted and reported to
//! [`CoresConfig::on_panic`](crate::CoresConfig::on_panic).

mod waker;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub use crate::prefetch::Region;
use crate::reactor;
use crate::remote::CoreId;
use crate::slots::{Key, Slots};

/// What is told about a task that panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskPanic {
    /// The core's index.
    pub core: usize,
    /// The message of the panic.
    pub message: String,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It panicked.
    #[error("the task panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// It was aborted, or its core ended.
    #[error("the task was aborted")]
    Aborted,
}

/// Starts a task on this core. Dropping the handle lets the task run on.
///
/// # Panics
/// When called outside of a core.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> TaskHandle<T> {
    reactor::with(|reactor| {
        let outcome = Rc::new(Outcome {
            value: Cell::new(None),
            done: Cell::new(false),
            waiter: Cell::new(None),
        });
        let finish = Finish(Rc::clone(&outcome));
        let wrapped = Reporting {
            future,
            finish: Some(finish),
        };
        reactor.stats.tasks_spawned.increment();
        let task = reactor
            .tasks
            .insert(Box::pin(wrapped), Rc::clone(&outcome) as Rc<dyn Failed>);
        TaskHandle { task, outcome }
    })
}

/// The number of tasks on this core that have not ended, the core's main included.
pub fn live() -> usize {
    reactor::with(|reactor| reactor.tasks.live())
}

/// Lets every other runnable task and the ring have their turn.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Regions that a task can name with [`works_on`].
pub const REGIONS_MAX: usize = 3;

/// Names memory that the running task works on whenever it is polled: with thousands of tasks it is seldom in the cache
/// by itself, and is asked for while the task before is polled. It may move or go at any time.
pub fn works_on(regions: [Region; REGIONS_MAX]) {
    reactor::try_with(|reactor| reactor.tasks.set_regions(regions));
}

/// Replaces a stored waker only when another task waits now.
#[inline]
pub fn store_waker(stored: &mut Option<Waker>, context: &Context<'_>) {
    match stored {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *stored = Some(context.waker().clone()),
    }
}

/// A task's result to come.
#[derive(Debug)]
pub struct TaskHandle<T> {
    task: Key,
    outcome: Rc<Outcome<T>>,
}

impl<T> TaskHandle<T> {
    /// Drops the task's future at the next turn of the run queue.
    pub fn abort(&self) {
        reactor::try_with(|reactor| reactor.tasks.abort(self.task));
    }

    /// The result, once there is one.
    pub(crate) fn take_outcome(&self) -> Option<Result<T, TaskError>> {
        self.outcome.value.take()
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.outcome.done.get()
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(value) = self.outcome.value.take() {
            return Poll::Ready(value);
        }
        if self.outcome.done.get() {
            return Poll::Ready(Err(TaskError::Aborted));
        }
        self.outcome.waiter.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// What a task and its handle share.
struct Outcome<T> {
    value: Cell<Option<Result<T, TaskError>>>,
    done: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl<T> std::fmt::Debug for Outcome<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Outcome")
            .field("done", &self.done.get())
            .finish_non_exhaustive()
    }
}

impl<T> Outcome<T> {
    fn settle(&self, value: Result<T, TaskError>) {
        if self.done.replace(true) {
            return;
        }
        self.value.set(Some(value));
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// Settles the outcome when the task's future is dropped before its end.
struct Finish<T>(Rc<Outcome<T>>);

impl<T> Finish<T> {
    fn with(self, value: Result<T, TaskError>) {
        self.0.settle(value);
    }
}

/// A task's future together with who is told its result. An `async` block would hold the future twice: as what it
/// captured and as what it awaits, and tasks are most of an idle session's memory.
struct Reporting<F: Future> {
    future: F,
    finish: Option<Finish<F::Output>>,
}

impl<F: Future> Future for Reporting<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned as long as `self` is: it is never moved out, and there is no `Drop` or `Unpin` of
        // our own. `finish` is never pinned.
        let (future, finish) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.finish)
        };
        let Poll::Ready(value) = future.poll(context) else {
            return Poll::Pending;
        };
        if let Some(finish) = finish.take() {
            finish.with(Ok(value));
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        // A panic drops it while it unwinds, and is told with its message afterwards.
        if !std::thread::panicking() {
            self.0.settle(Err(TaskError::Aborted));
        }
    }
}

/// The part of an [`Outcome`] that does not know the result's type.
trait Failed {
    fn panicked(&self, message: &str);
}

impl<T> Failed for Outcome<T> {
    fn panicked(&self, message: &str) {
        self.settle(Err(TaskError::Panicked {
            message: message.to_owned(),
        }));
    }
}

type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// `None` while it is being polled.
    future: Option<TaskFuture>,
    outcome: Rc<dyn Failed>,
    queued: bool,
    aborted: bool,
    regions: [Region; REGIONS_MAX],
}

/// The tasks of a core and the queue of those to be polled.
pub(crate) struct Tasks {
    core: CoreId,
    table: RefCell<Slots<Task>>,
    ready: RefCell<VecDeque<Key>>,
    /// The task that is being polled.
    polled: Cell<Option<Key>>,
    /// Not [`Send`]: belongs to the core's thread.
    _local: PhantomData<*const ()>,
}

/// What became of a task that was polled.
pub(crate) enum Polled {
    Goes,
    Ended,
    Panicked(String),
}

impl Tasks {
    pub(crate) fn new(core: CoreId) -> Self {
        Self {
            core,
            table: RefCell::default(),
            ready: RefCell::default(),
            polled: Cell::new(None),
            _local: PhantomData,
        }
    }

    fn insert(&self, future: TaskFuture, outcome: Rc<dyn Failed>) -> Key {
        let task = Task {
            future: Some(future),
            outcome,
            queued: true,
            aborted: false,
            regions: [Region::default(); REGIONS_MAX],
        };
        let key = self.table.borrow_mut().insert(task);
        self.ready.borrow_mut().push_back(key);
        key
    }

    #[inline]
    pub(crate) fn wake(&self, key: Key) {
        if let Some(task) = self.table.borrow_mut().get_mut(key)
            && !task.queued
        {
            task.queued = true;
            self.ready.borrow_mut().push_back(key);
        }
    }

    pub(crate) fn wake_all(&self) {
        let keys = self.table.borrow().keys();
        for key in keys {
            self.wake(key);
        }
    }

    fn abort(&self, key: Key) {
        if let Some(task) = self.table.borrow_mut().get_mut(key) {
            task.aborted = true;
        }
        self.wake(key);
    }

    pub(crate) fn live(&self) -> usize {
        self.table.borrow().len()
    }

    /// How many tasks are to be polled.
    #[inline]
    pub(crate) fn ready(&self) -> usize {
        self.ready.borrow().len()
    }

    fn set_regions(&self, regions: [Region; REGIONS_MAX]) {
        if let Some(key) = self.polled.get()
            && let Some(task) = self.table.borrow_mut().get_mut(key)
        {
            task.regions = regions;
        }
    }

    /// Asks for the memory of the task that is next.
    #[inline]
    fn prefetch_next(&self) {
        if let Some(&key) = self.ready.borrow().front()
            && let Some(task) = self.table.borrow().get(key)
        {
            if let Some(future) = &task.future {
                Region::of(&**future).prefetch();
            }
            task.regions.into_iter().for_each(Region::prefetch);
        }
    }

    /// Polls the task at the head of the run queue.
    pub(crate) fn poll_next(&self) -> Polled {
        let Some(key) = self.ready.borrow_mut().pop_front() else {
            return Polled::Goes;
        };
        let (mut future, aborted) = {
            let mut table = self.table.borrow_mut();
            let Some(task) = table.get_mut(key) else {
                return Polled::Goes;
            };
            task.queued = false;
            let Some(future) = task.future.take() else {
                return Polled::Goes;
            };
            (future, task.aborted)
        };
        if aborted {
            return self.end(key, future, None);
        }
        self.prefetch_next();
        self.polled.set(Some(key));
        let waker = waker::waker(self.core, key);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        self.polled.set(None);
        match polled {
            Ok(Poll::Pending) => {
                if let Some(task) = self.table.borrow_mut().get_mut(key) {
                    task.future = Some(future);
                }
                Polled::Goes
            }
            Ok(Poll::Ready(())) => self.end(key, future, None),
            Err(panic) => self.end(key, future, Some(message_of(&*panic))),
        }
    }

    /// Takes a task out and drops its future, whose destructors may panic as well.
    fn end(&self, key: Key, future: TaskFuture, panic: Option<String>) -> Polled {
        let task = self.table.borrow_mut().remove(key);
        if let (Some(task), Some(message)) = (&task, &panic) {
            // Before the drop, which would settle it as aborted.
            task.outcome.panicked(message);
        }
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(future)));
        match panic.or_else(|| dropped.err().map(|panic| message_of(&*panic))) {
            Some(message) => Polled::Panicked(message),
            None => Polled::Ended,
        }
    }

    /// Ends every task, also those that these start while they end.
    pub(crate) fn end_all(&self) {
        loop {
            let keys = self.table.borrow().keys();
            if keys.is_empty() {
                return;
            }
            for key in keys {
                let future = self
                    .table
                    .borrow_mut()
                    .get_mut(key)
                    .and_then(|task| task.future.take());
                match future {
                    Some(future) => drop(self.end(key, future, None)),
                    None => drop(self.table.borrow_mut().remove(key)),
                }
            }
        }
    }
}

/// The text of a caught panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
