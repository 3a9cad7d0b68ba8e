//! Sockets that lend the buffers they receive into.
//!
//! A session is one task that polls its sockets: [`Socket::poll_receive`] gives [`Received`] bytes where the kernel
//! put them, [`Socket::send`] queues them (or one's own) on another socket without blocking, and
//! [`Socket::poll_drained`] holds the session back while too much is queued. Nothing goes out before the task
//! yields; then all that it queued goes in one operation a socket.

mod connect;
mod error;
mod listener;
mod outgoing;
mod received;
mod socket;

pub use connect::{connect, resolve};
pub use error::{IoError, IoOperation};
pub use listener::{Arrival, Listener, ListenerConfig};
pub use outgoing::Outgoing;
pub use received::Received;
pub use socket::Socket;
