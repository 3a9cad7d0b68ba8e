//! The ring's receive buffers: provided to the kernel, lent out with what it received, given back when dropped.
//!
//! Invariant: a buffer is the kernel's (it stands in the provided ring), lent (`ranges > 0`), or in reserve. Only lent
//! memory is ever touched here.
//!
//! The kernel takes provided buffers in turn, so providing all of them would walk through all of their memory and
//! find none of it in the cache. Only as many are provided as a turn of the core uses up; the rest is a stack, from
//! which the one that was used last is provided first.

use std::cell::{Cell, RefCell};
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::ring::Ring;
use crate::stats::Counters;

/// The buffers' group in the ring.
pub(crate) const GROUP: u16 = 0;

/// Added to each buffer's stride: buffers that all began at a page's start would share a few sets of the cache,
/// and mostly their first lines are used.
const COLOUR_BYTES: usize = 192;

/// Buffers that stand in the ring at least.
const PROVIDED_MIN: usize = 64;
/// Turns after which unused ones are taken out of it.
const WATCH_TURNS: u32 = 4096;

/// How far the ring was used.
#[derive(Debug, Clone, Copy)]
struct Watch {
    fewest: usize,
    turns: u32,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            fewest: usize::MAX,
            turns: 0,
        }
    }
}

pub(crate) struct Pool {
    entries: Mapped,
    memory: Mapped,
    buffer_bytes: u32,
    /// The number of entries less one; a power of two less one.
    mask: u16,
    tail: Cell<u16>,
    /// Buffers that stand in the ring, as far as completions have told.
    provided: Cell<usize>,
    /// How many are to stand there.
    target: Cell<usize>,
    /// The fewest that stood there, and for how many turns this has been watched.
    watch: Cell<Watch>,
    reserve: RefCell<Vec<u16>>,
    /// How many ranges of each buffer are lent.
    ranges: Box<[Cell<u32>]>,
    lent: Cell<usize>,
    pub(crate) stats: Rc<Counters>,
}

impl Pool {
    /// Takes the memory and provides all of it to the ring.
    ///
    /// # Safety
    /// The pool must not be dropped before the ring has completed every operation and is closed.
    pub(crate) unsafe fn new(
        ring: &Ring,
        buffers: u16,
        buffer_bytes: u32,
        stats: Rc<Counters>,
    ) -> io::Result<Self> {
        let buffers = buffers.next_power_of_two().min(1 << 14);
        let stride = buffer_bytes as usize + COLOUR_BYTES;
        let pool = Self {
            entries: Mapped::new(usize::from(buffers) * size_of::<BufRingEntry>())?,
            memory: Mapped::new(usize::from(buffers) * stride)?,
            buffer_bytes,
            mask: buffers - 1,
            tail: Cell::new(0),
            provided: Cell::new(0),
            target: Cell::new(PROVIDED_MIN.min(usize::from(buffers))),
            watch: Cell::new(Watch::default()),
            reserve: RefCell::new((0..buffers).rev().collect()),
            ranges: (0..buffers).map(|_| Cell::new(0)).collect(),
            lent: Cell::new(0),
            stats,
        };
        let address = pool.entries.start.as_ptr() as u64;
        // SAFETY: the entries are mapped memory of that size, page aligned, and outlive the ring by the contract
        // of this function.
        unsafe {
            ring.io_uring()
                .submitter()
                .register_buf_ring_with_flags(address, buffers, GROUP, 0)?;
        };
        pool.top_up();
        Ok(pool)
    }

    pub(crate) fn buffers(&self) -> usize {
        self.ranges.len()
    }

    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.ranges.len() - self.lent.get()
    }

    /// Half of the buffers or more are lent: what stalls has to go to the heap.
    #[inline]
    pub(crate) fn is_scarce(&self) -> bool {
        self.lent.get() * 2 >= self.ranges.len()
    }

    /// Takes over a buffer that a completion filled. The caller holds its only range and gives it to
    /// [`release`](Self::release) once.
    #[inline]
    pub(crate) fn take_over(&self, buffer: u16) -> NonNull<u8> {
        let ranges = &self.ranges[usize::from(buffer)];
        assert_eq!(ranges.get(), 0, "the kernel filled a buffer that is lent");
        ranges.set(1);
        self.lent.set(self.lent.get() + 1);
        self.provided.set(self.provided.get() - 1);
        self.start_of(buffer)
    }

    /// One more range of a lent buffer.
    #[inline]
    pub(crate) fn share(&self, buffer: u16) {
        let ranges = &self.ranges[usize::from(buffer)];
        ranges.set(ranges.get() + 1);
    }

    /// Gives one range back, and with the last the buffer.
    #[inline]
    pub(crate) fn release(&self, buffer: u16) {
        let ranges = &self.ranges[usize::from(buffer)];
        let left = ranges.get() - 1;
        ranges.set(left);
        if left == 0 {
            self.lent.set(self.lent.get() - 1);
            self.reserve.borrow_mut().push(buffer);
        }
    }

    /// Provides what is missing, once a turn.
    #[inline]
    pub(crate) fn top_up(&self) {
        let provided = self.provided.get();
        let mut watch = self.watch.get();
        watch.fewest = watch.fewest.min(provided);
        watch.turns += 1;
        if watch.turns == WATCH_TURNS {
            let target = self.target.get();
            // Not a quarter of them was used in a turn.
            if watch.fewest * 4 > target * 3 {
                self.target
                    .set((target / 2).max(PROVIDED_MIN.min(self.ranges.len())));
            }
            watch = Watch::default();
        }
        self.watch.set(watch);
        if provided < self.target.get() {
            let mut reserve = self.reserve.borrow_mut();
            let missing = (self.target.get() - provided).min(reserve.len());
            for _ in 0..missing {
                let Some(buffer) = reserve.pop() else { break };
                self.provide(buffer);
            }
            self.provided.set(provided + missing);
        }
    }

    /// The kernel found no buffer: more are to be provided from now on.
    pub(crate) fn starved(&self) {
        self.target.set((self.target.get() * 2).min(self.ranges.len()));
    }

    fn start_of(&self, buffer: u16) -> NonNull<u8> {
        let offset = usize::from(buffer) * (self.buffer_bytes as usize + COLOUR_BYTES);
        // SAFETY: `buffer` is below the number of buffers (it indexed `ranges`), so the offset is inside the memory.
        unsafe { self.memory.start.add(offset) }
    }

    /// Appends a buffer to the ring of provided ones.
    #[inline]
    fn provide(&self, buffer: u16) {
        let tail = self.tail.get();
        let entries = self.entries.start.cast::<BufRingEntry>();
        // SAFETY: the masked index is inside of the mapped entries, which only this thread writes. The kernel reads
        // an entry only after the tail has passed it.
        let entry = unsafe { entries.add(usize::from(tail & self.mask)).as_mut() };
        entry.set_addr(self.start_of(buffer).as_ptr() as u64);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(buffer);
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        // SAFETY: the tail lies in the first entry of the mapped ring; it is a `u16` that the kernel reads
        // concurrently, hence the atomic.
        unsafe {
            AtomicU16::from_ptr(BufRingEntry::tail(entries.as_ptr()).cast_mut())
                .store(tail, Ordering::Release);
        };
    }
}

/// Anonymous memory: zeroed, page aligned, resident only where it was touched.
struct Mapped {
    start: NonNull<u8>,
    bytes: std::num::NonZeroUsize,
}

impl Mapped {
    fn new(bytes: usize) -> io::Result<Self> {
        let bytes = std::num::NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new anonymous mapping overlaps nothing.
        let start = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE)? };
        Ok(Self {
            start: start.cast(),
            bytes,
        })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.cast(), self.bytes.get()) };
    }
}
