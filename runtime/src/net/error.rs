//! What goes wrong with sockets and files.

use std::fmt;
use std::io;

/// The operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoOperation {
    /// Receiving from a socket.
    Receive,
    /// Sending to a socket.
    Send,
    /// Connecting a socket.
    Connect,
    /// Looking up a host's addresses.
    Resolve,
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Making a file's data durable.
    Sync,
    /// Giving a file its size.
    Allocate,
}

impl fmt::Display for IoOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Connect => "connect",
            Self::Resolve => "resolve",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Allocate => "allocate",
        })
    }
}

/// An I/O error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// The system refused the operation.
    #[error("{operation}: {}", io::Error::from_raw_os_error(*errno))]
    Os {
        /// What was tried.
        operation: IoOperation,
        /// The system's error number.
        errno: i32,
    },
    /// The deadline passed first.
    #[error("{operation}: the deadline passed")]
    TimedOut {
        /// What was tried.
        operation: IoOperation,
    },
    /// A write was cut short.
    #[error("{operation}: ended after {done} of {wanted} bytes")]
    Short {
        /// What was tried.
        operation: IoOperation,
        /// Bytes done.
        done: usize,
        /// Bytes asked for.
        wanted: usize,
    },
    /// The name has no address.
    #[error("resolve: no address for this name")]
    NoAddress,
}

impl IoError {
    pub(crate) fn from_result(operation: IoOperation, result: i32) -> Self {
        Self::Os {
            operation,
            errno: -result,
        }
    }

    pub(crate) fn from_io(operation: IoOperation, error: &io::Error) -> Self {
        error
            .raw_os_error()
            .map_or(Self::NoAddress, |errno| Self::Os { operation, errno })
    }

    /// Whether it only says that the peer went away.
    pub fn is_peer_gone(&self) -> bool {
        matches!(
            self,
            Self::Os {
                errno: libc::ECONNRESET | libc::EPIPE | libc::ETIMEDOUT | libc::EHOSTUNREACH,
                ..
            }
        )
    }
}
