//! One executor and one ring a core.
//!
//! This crate is the only one that knows glommio, `io_uring` and mapped memory. It gives the layers above it
//! single-threaded tasks on pinned cores ([`spawn_cores`], [`task`]), sockets that lend the buffers they receive
//! into ([`net`]), timers ([`time`]), bounded queues between threads ([`mailbox`]), helper threads for what may
//! not run on a core ([`helpers`]), direct file writes ([`file`]) and mapped files ([`mapped`]).
//!
//! # Who owns what
//!
//! glommio owns the *cores*: it starts one pinned executor a core. In each runs exactly one glommio task, the
//! reaper ([`reactor`](self)), and it never yields to glommio: glommio has no I/O, timer or channel in flight, so
//! the core sleeps in our ring and nowhere else. Session tasks run from the reaper's own run queue. A poll through
//! glommio's queues costs 85 to 110 ns here and one through ours 15 to 30, of some 10 us that a forwarded request
//! with its four polls costs altogether; glommio's wakers may not be used from other threads without its own second
//! ring, and it does not tell whether anything is runnable, which decides whether the core may sleep. Ours does one
//! push for a wake, its wakers are plain numbers (task, generation, core) that need no memory and work from any
//! thread, and a panic is caught at the poll.
//!
//! # Memory that the kernel may use
//!
//! Buffers and operations in flight belong to the reactor, never to a future. Dropping a [`net::Socket`], a future
//! or a whole task only asks for cancellation; the slot, its descriptor and its buffers are released by the last
//! completion. Completions carry a generation, so one that comes late finds nobody instead of somebody else.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("sluice runs on 64-bit Linux: its ring is io_uring and its wakers pack a task into one word");

mod core;
pub mod file;
pub mod helpers;
pub mod mailbox;
pub mod mapped;
pub mod net;
mod prefetch;
pub mod preflight;
mod reactor;
mod remote;
mod short_queue;
mod slots;
mod stats;
pub mod task;
pub mod time;

pub use crate::core::{
    CoreError, CoreHandle, Cores, CoresConfig, CoresControl, PanicHook, RingConfig, StartError, spawn_cores,
};
pub use crate::stats::Stats;
