//! How other threads reach a core: a list of tasks to wake and an eventfd that is armed in the core's ring.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::slots::Key;

/// Names a running core of this process; a waker carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoreId(pub(crate) u16);

/// Wakes remembered for a core; over this many all its tasks are woken instead, so the list stays bounded.
const WAKES_MAX: usize = 16 * 1024;

/// Cores by [`CoreId`]. The number of an ended core is used again: a stale waker then wakes a task for nothing,
/// which every future must expect anyway.
static REMOTES: RwLock<Vec<Option<Arc<Remote>>>> = RwLock::new(Vec::new());

/// The end of a core that other threads hold.
#[derive(Debug)]
pub(crate) struct Remote {
    event: File,
    signalled: AtomicBool,
    wakes: Mutex<Wakes>,
}

/// The tasks that other threads want to be polled.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) tasks: Vec<Key>,
    /// There were too many to remember: poll them all.
    pub(crate) all: bool,
}

impl Remote {
    fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(io::Error::from)?;
        Ok(Self {
            event: File::from(OwnedFd::from(event)),
            signalled: AtomicBool::new(false),
            wakes: Mutex::default(),
        })
    }

    /// Asks the core to poll a task, and wakes it if it sleeps.
    pub(crate) fn wake(&self, task: Key) {
        {
            let mut wakes = lock(&self.wakes);
            if wakes.tasks.len() < WAKES_MAX {
                wakes.tasks.push(task);
            } else {
                wakes.all = true;
            }
        }
        self.signal();
    }

    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // It can only fail when the counter is full, and then the core is woken anyway.
            let _ = (&self.event).write(&1u64.to_ne_bytes());
        }
    }

    /// Takes what was asked for; `taken` is emptied and lends its memory.
    pub(crate) fn take(&self, taken: &mut Wakes) {
        taken.tasks.clear();
        taken.all = false;
        // Cleared before the list is read: whoever adds to it later signals again.
        self.signalled.store(false, Ordering::SeqCst);
        std::mem::swap(&mut *lock(&self.wakes), taken);
    }

    pub(crate) fn event_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

/// A core's place in the table, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) id: CoreId,
    pub(crate) remote: Arc<Remote>,
}

impl Registration {
    pub(crate) fn new() -> io::Result<Self> {
        let remote = Arc::new(Remote::new()?);
        let mut table = REMOTES.write().unwrap_or_else(PoisonError::into_inner);
        let free = table.iter().position(Option::is_none).unwrap_or(table.len());
        let id = u16::try_from(free).map_err(|_| io::Error::other("too many cores"))?;
        if free == table.len() {
            table.push(None);
        }
        table[free] = Some(Arc::clone(&remote));
        Ok(Self {
            id: CoreId(id),
            remote,
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = REMOTES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.get_mut(usize::from(self.id.0)) {
            *entry = None;
        }
    }
}

/// Wakes a task of any core.
pub(crate) fn wake(id: CoreId, task: Key) {
    let table = REMOTES.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(Some(remote)) = table.get(usize::from(id.0)) {
        remote.wake(task);
    }
}

/// Locks, whatever happened to other holders: nothing here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
