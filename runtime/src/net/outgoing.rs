//! Bytes on their way out.

use super::received::Received;

/// Bytes to send: what was received, or what the gateway wrote itself.
#[derive(Debug)]
pub enum Outgoing {
    /// A range of a received buffer.
    Received(Received),
    /// Bytes of one's own.
    Owned(Vec<u8>),
    /// Bytes that never change.
    Static(&'static [u8]),
}

impl Outgoing {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Received(received) => received,
            Self::Owned(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }

    /// How many bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives a ring buffer back, at the cost of a copy.
    pub(crate) fn detach(&mut self) {
        if let Self::Received(received) = self {
            received.detach();
        }
    }
}

impl From<Received> for Outgoing {
    #[inline]
    fn from(received: Received) -> Self {
        Self::Received(received)
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<&'static [u8]> for Outgoing {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}
