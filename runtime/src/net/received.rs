//! Bytes as they were received: a range of a ring buffer, or of the heap.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;

use crate::reactor::Pool;

/// A range of received bytes that can be read, changed in place, cut and sent on.
///
/// The bytes lie where the kernel put them. Cutting a range in two costs a counter; the ranges never overlap, so
/// each is changed on its own. The buffer goes back to the ring when its last range is dropped or was sent. Who
/// keeps a range while waiting for something else calls [`detach`](Self::detach): ring buffers are few.
pub struct Received {
    owner: Owner,
    start: NonNull<u8>,
    len: usize,
}

enum Owner {
    Lent {
        pool: Rc<Pool>,
        buffer: u16,
    },
    Heap(Rc<Block>),
    /// The range is empty.
    Nobody,
}

/// Heap memory that ranges share.
struct Block {
    start: NonNull<u8>,
    capacity: usize,
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: both were taken from a `Vec` in `Received::from`, and `into_vec` leaves no capacity.
        drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), 0, self.capacity) });
    }
}

impl Received {
    /// Takes over the buffer that a receive completion filled with `len` bytes.
    #[inline]
    pub(crate) fn take_over(pool: &Rc<Pool>, buffer: u16, len: usize) -> Self {
        let start = pool.take_over(buffer);
        Self {
            owner: Owner::Lent {
                pool: Rc::clone(pool),
                buffer,
            },
            start,
            len,
        }
    }

    /// Cuts off the first `at` bytes and returns them.
    ///
    /// # Panics
    /// When the range is shorter.
    #[inline]
    #[must_use = "dropping the front is `advance`"]
    pub fn split_to(&mut self, at: usize) -> Self {
        assert!(at <= self.len, "cut at {at} of {} bytes", self.len);
        let front = Self {
            owner: self.owner.share(),
            start: self.start,
            len: at,
        };
        self.advance(at);
        front
    }

    /// As [`split_to`](Self::split_to); where that is everything, the buffer moves without being counted.
    ///
    /// # Panics
    /// When the range is shorter.
    #[inline]
    #[must_use = "dropping the front is `advance`"]
    pub fn take_front(&mut self, at: usize) -> Self {
        if at < self.len {
            return self.split_to(at);
        }
        assert!(at == self.len, "cut at {at} of {} bytes", self.len);
        let empty = Self {
            owner: Owner::Nobody,
            start: NonNull::dangling(),
            len: 0,
        };
        std::mem::replace(self, empty)
    }

    /// Cuts off everything from `at` on and returns it.
    ///
    /// # Panics
    /// When the range is shorter.
    #[must_use = "dropping the back is `truncate`"]
    pub fn split_off(&mut self, at: usize) -> Self {
        let front = self.split_to(at);
        std::mem::replace(self, front)
    }

    /// Drops the first `count` bytes.
    ///
    /// # Panics
    /// When the range is shorter.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len, "advanced by {count} of {} bytes", self.len);
        // SAFETY: `count` is at most the length, so the result is in the buffer or just behind it.
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }

    /// Keeps the first `len` bytes only; does nothing when there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Whether it pins a buffer of the ring.
    #[inline]
    pub fn is_lent(&self) -> bool {
        matches!(self.owner, Owner::Lent { .. })
    }

    /// Moves the bytes to the heap, so that the ring has its buffer back. Does nothing when they are there.
    pub fn detach(&mut self) {
        if let Owner::Lent { pool, .. } = &self.owner {
            pool.stats.bytes_copied.add(self.len);
            *self = Self::from(self.to_vec());
        }
    }

    /// The vector that it was made of, if it begins where that did and nobody shares it.
    ///
    /// # Errors
    /// The range, if not.
    pub fn into_vec(mut self) -> Result<Vec<u8>, Self> {
        let Owner::Heap(block) = &mut self.owner else {
            return Err(self);
        };
        match Rc::get_mut(block) {
            Some(block) if block.start == self.start => {
                // Of no capacity, the block frees nothing.
                let capacity = std::mem::take(&mut block.capacity);
                // SAFETY: pointer and capacity were taken from a `Vec` in `Received::from`, nobody else has them, and the
                // range, which begins where the vector does, is initialised.
                Ok(unsafe { Vec::from_raw_parts(self.start.as_ptr(), self.len, capacity) })
            }
            _ => Err(self),
        }
    }

    /// Joins `next` to this range if it follows it in the same buffer.
    #[inline]
    pub(crate) fn try_join(&mut self, next: Self) -> Result<(), Self> {
        let (
            Owner::Lent { buffer, .. },
            Owner::Lent {
                buffer: next_buffer, ..
            },
        ) = (&self.owner, &next.owner)
        else {
            return Err(next);
        };
        // SAFETY: the end of a range is in its buffer or just behind it.
        if buffer != next_buffer || unsafe { self.start.add(self.len) } != next.start {
            return Err(next);
        }
        self.len += next.len;
        Ok(())
    }
}

impl Owner {
    #[inline]
    fn share(&self) -> Self {
        match self {
            Self::Lent { pool, buffer } => {
                pool.share(*buffer);
                Self::Lent {
                    pool: Rc::clone(pool),
                    buffer: *buffer,
                }
            }
            Self::Heap(block) => Self::Heap(Rc::clone(block)),
            Self::Nobody => Self::Nobody,
        }
    }
}

impl Drop for Owner {
    #[inline]
    fn drop(&mut self) {
        if let Self::Lent { pool, buffer } = self {
            pool.release(*buffer);
        }
    }
}

impl From<Vec<u8>> for Received {
    fn from(bytes: Vec<u8>) -> Self {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        // A vector's pointer is never null, and it is good for the whole capacity.
        let start = NonNull::new(bytes.as_mut_ptr()).unwrap_or(NonNull::dangling());
        let block = Block {
            start,
            capacity: bytes.capacity(),
        };
        Self {
            owner: Owner::Heap(Rc::new(block)),
            start,
            len: bytes.len(),
        }
    }
}

impl Deref for Received {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies in memory that the owner keeps, initialised (mapped zeroed, or a `Vec`'s), and no
        // other range overlaps it, so nobody changes it while it is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Received {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only way to this range.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: they may be anybody's secrets.
        formatter
            .debug_struct("Received")
            .field("len", &self.len)
            .field("lent", &self.is_lent())
            .finish_non_exhaustive()
    }
}
