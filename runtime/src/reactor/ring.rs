//! The ring itself: set-up, submission, sleeping in it, and taking completions out.

use std::io;
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};

use super::token::Token;
use crate::stats::Counters;

/// Threads that the kernel may start for file operations of one ring.
const FILE_WORKERS_MAX: u32 = 2;

/// How long [`Ring::enter`] may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// Not at all.
    Never,
    /// Until a completion comes or this time has passed.
    AtMost(Duration),
    /// Until a completion comes.
    Forever,
}

pub(crate) struct Ring {
    ring: IoUring,
}

impl Ring {
    /// Sets the ring up for the calling thread, which must be the only one that ever uses it.
    pub(crate) fn new(submissions: u32, completions: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_taskrun_flag();
        let ring = builder.setup_cqsize(completions).build(submissions)?;
        // Best effort: it bounds threads that only file operations use.
        let _ = ring
            .submitter()
            .register_iowq_max_workers(&mut [FILE_WORKERS_MAX, FILE_WORKERS_MAX]);
        Ok(Self { ring })
    }

    pub(crate) fn io_uring(&self) -> &IoUring {
        &self.ring
    }

    /// Queues an operation for the next [`enter`](Self::enter).
    ///
    /// # Safety
    /// Whatever memory the entry points to must stay valid until the operation's last completion.
    #[inline]
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller vouches for the entry's memory.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // Full: hand over what is there. Completions stay in their queue until they are reaped.
            if let Err(error) = self.ring.submit() {
                assert!(is_transient(&error), "the ring takes no more operations: {error}");
            }
        }
    }

    /// Asks to end an operation; its own completion tells when it has.
    pub(crate) fn cancel(&mut self, target: Token) {
        let entry = opcode::AsyncCancel::new(target.pack()).build();
        let entry = entry
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Token::IGNORED.pack());
        // SAFETY: a cancellation points to no memory.
        unsafe { self.push(&entry) };
    }

    /// Asks to end everything that is in flight.
    pub(crate) fn cancel_all(&mut self) {
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
        // SAFETY: a cancellation points to no memory.
        unsafe { self.push(&entry.user_data(Token::IGNORED.pack())) };
    }

    /// Hands queued operations to the kernel and lets it work on what is ready.
    pub(crate) fn enter(&mut self, sleep: Sleep, stats: &Counters) -> io::Result<()> {
        loop {
            let queue = self.ring.submission();
            let (queued, pending) = (queue.len(), queue.taskrun() || queue.cq_overflow());
            drop(queue);
            if sleep == Sleep::Never && queued == 0 && !pending {
                return Ok(());
            }
            stats.ring_enters.increment();
            let entered = match sleep {
                Sleep::Never => self.enter_at_once(queued),
                Sleep::Forever => {
                    stats.ring_sleeps.increment();
                    self.ring.submit_and_wait(1)
                }
                Sleep::AtMost(duration) => {
                    stats.ring_sleeps.increment();
                    let timespec = types::Timespec::from(duration);
                    let arguments = types::SubmitArgs::new().timespec(&timespec);
                    self.ring.submitter().submit_with_args(1, &arguments)
                }
            };
            match entered {
                // Not everything was taken, so nothing was waited for either.
                Ok(taken) if taken < queued => {}
                Ok(_) => return Ok(()),
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn enter_at_once(&self, queued: usize) -> io::Result<usize> {
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        // SAFETY: no argument is passed, and the flag only asks to run what is pending.
        unsafe {
            self.ring
                .submitter()
                .enter::<libc::sigset_t>(queued, 0, EnterFlags::GETEVENTS.bits(), None)
        }
    }

    /// Moves all completions to `completions`, also those that did not fit into the queue.
    pub(crate) fn reap(&mut self, completions: &mut Vec<cqueue::Entry>) -> io::Result<()> {
        loop {
            completions.extend(self.ring.completion());
            if !self.ring.submission().cq_overflow() {
                return Ok(());
            }
            match self.enter_at_once(0) {
                Ok(_) => {}
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether every queued operation was taken by the kernel.
    pub(crate) fn is_submitted(&mut self) -> bool {
        self.ring.submission().is_empty()
    }
}

/// A signal came, the time-out passed, or completions have to be taken first.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN)
    )
}
