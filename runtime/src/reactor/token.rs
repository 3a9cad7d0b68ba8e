//! What a completion carries: the kind of operation and the slot and generation it belongs to.

use crate::slots::{GENERATION_BITS, Key, SLOT_BITS};

const KIND_SHIFT: u32 = SLOT_BITS + GENERATION_BITS;

/// The kinds of operation on the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Nobody waits for it.
    Ignored = 0,
    Receive = 1,
    /// A send that completes while it is submitted, and is silent unless it fell short.
    SendNow = 2,
    /// A send that waits for room in the socket.
    SendWhenRoom = 3,
    Accept = 4,
    /// One of [`Operations`](super::operation::Operations).
    Operation = 5,
    /// The eventfd of other threads.
    Remote = 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
}

impl Token {
    pub(crate) const IGNORED: Self = Self::only(Kind::Ignored);
    pub(crate) const REMOTE: Self = Self::only(Kind::Remote);

    const fn only(kind: Kind) -> Self {
        Self {
            kind,
            key: Key {
                slot: 0,
                generation: 0,
            },
        }
    }

    pub(crate) const fn new(kind: Kind, key: Key) -> Self {
        Self { kind, key }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        (self.kind as u64) << KIND_SHIFT
            | u64::from(self.key.generation) << SLOT_BITS
            | u64::from(self.key.slot)
    }

    /// The token of a completion; the kernel only gives back what [`pack`](Self::pack) made.
    #[inline]
    pub(crate) fn unpack(word: u64) -> Self {
        let field =
            |shift: u32, bits: u32| u32::try_from((word >> shift) & ((1 << bits) - 1)).unwrap_or_default();
        let kind = match word >> KIND_SHIFT {
            1 => Kind::Receive,
            2 => Kind::SendNow,
            3 => Kind::SendWhenRoom,
            4 => Kind::Accept,
            5 => Kind::Operation,
            6 => Kind::Remote,
            _ => Kind::Ignored,
        };
        Self {
            kind,
            key: Key {
                slot: field(0, SLOT_BITS),
                generation: field(SLOT_BITS, GENERATION_BITS),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_ring() {
        let key = Key {
            slot: 0x00ab_cdef,
            generation: 0x0012_3456,
        };
        for kind in [
            Kind::Ignored,
            Kind::Receive,
            Kind::SendNow,
            Kind::SendWhenRoom,
            Kind::Accept,
            Kind::Operation,
            Kind::Remote,
        ] {
            let token = Token::new(kind, key);
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
