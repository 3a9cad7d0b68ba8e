//! The ring: what one core has recorded and not yet flushed, in memory that survives the process.
//!
//! ```text
//! page 0   header: magic, format, boot id, core, process, capacity
//!          the flushed position and the last sequence before it, in a cache line of their own
//! page 1.. `capacity` bytes of records
//! ```
//!
//! Positions count bytes from the ring's creation and never wrap; a position lies at `position % capacity`. A record
//! begins at a multiple of 8 and may run over the end to the beginning, so no padding records are needed.
//!
//! **Commit.** Between head and the flushed position lies free space with bytes of earlier laps, which are partly the
//! clients' own text. They can never be taken for a record, because the word at the head is zero at every moment: a
//! record is copied behind its length word, the word *behind the record* is zeroed, and only then is the length word
//! stored (release). Whenever the process dies, recovery walks committed records and ends at that zero. A reservation
//! always leaves room for the zero. This costs one store a record, where zeroing freed space would write every byte
//! twice and has a moment, between moving the flushed position and zeroing, that needs the same argument anyway.
//! After a power cut the file is whatever pages were written back; there the checksum and the unbroken sequence
//! decide, and what fails them ends the walk.
//!
//! **Room.** A begin is accepted only if its end fits as well: ends draw on room that was kept for them, so a ring that
//! is full stops new statements and still records how the running ones end.

mod scan;

pub use scan::{RingReader, ScanEnd, Scanned, fuzz_ring};

use crate::memory::SharedMemory;
use crate::names::ChainId;
use crate::record::{Body, END_LEN_MAX, Encoder, HEADER_LEN, RECORD_LEN_MAX, Record, SESSION_END_LEN_MAX};

/// Bytes before the records.
pub const RING_HEADER_LEN: usize = 4096;
/// The smallest capacity: a few of the longest records.
pub const RING_CAPACITY_MIN: usize = 4 * RECORD_LEN_MAX;
/// The largest capacity.
pub const RING_CAPACITY_MAX: usize = 1 << 30;

/// A record's length word.
const WORD_LEN: usize = 4;

pub(crate) const MAGIC: [u8; 8] = *b"sluiceR1";
pub(crate) const FORMAT: u32 = 1;
pub(crate) const FORMAT_AT: usize = 8;
pub(crate) const CORE_AT: usize = 12;
pub(crate) const BOOT_AT: usize = 16;
pub(crate) const CAPACITY_AT: usize = 32;
pub(crate) const STARTED_AT: usize = 40;
pub(crate) const PROCESS_AT: usize = 48;
pub(crate) const FLUSHED_AT: usize = 128;
pub(crate) const FLUSHED_SEQUENCE_AT: usize = 136;

/// The length of the ring's file. The file must be allocated, not sparse: a full disk would be a SIGBUS.
pub const fn file_len(capacity: usize) -> usize {
    RING_HEADER_LEN + capacity
}

/// Whose ring it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOwner {
    /// The core of this process start.
    pub chain: ChainId,
    /// The process id.
    pub process: u32,
    /// When the process started, Unix nanoseconds.
    pub started_ns: u64,
}

/// The ring has no room: nothing was recorded, so the statement must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit ring is full: {needed} bytes needed, {free} free")]
pub struct RingFull {
    /// Bytes that the record needs, with the room that is kept for its end.
    pub needed: u64,
    /// Bytes free for it.
    pub free: u64,
}

/// Why memory cannot be used as a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// Not a capacity.
    #[error(
        "a ring of {capacity} bytes: it takes a multiple of 4096 from {RING_CAPACITY_MIN} to {RING_CAPACITY_MAX}"
    )]
    Capacity {
        /// What is left of the memory after the header.
        capacity: usize,
    },
    /// The process's own ring does not hold what it wrote: somebody else writes to the file.
    #[error("the ring was changed by somebody else at position {position}")]
    Changed {
        /// Where.
        position: u64,
    },
}

/// Committed records, copied out of the ring in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Bytes copied.
    pub len: usize,
    /// Records in them.
    pub records: u32,
    /// The sequence of the first.
    pub first_sequence: u64,
    /// The ring's position behind the last: to be released once they are durable.
    pub end: u64,
}

/// The writer's side of a ring. One core owns it; its flusher task shares it through an `Rc<RefCell<_>>`.
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    capacity: u64,
    head: u64,
    /// Where in the memory the head lies; a division for each record would tell it too.
    head_offset: usize,
    flushed: u64,
    next_sequence: u64,
    /// Room kept for ends of what has begun.
    kept: u64,
    text_len_max: usize,
    encoder: Encoder,
}

impl<M: SharedMemory> Ring<M> {
    /// Makes zeroed memory a ring. `text_len_max` is the configured `max_recorded_bytes`.
    pub fn create(mut memory: M, owner: RingOwner, text_len_max: usize) -> Result<Self, RingError> {
        let capacity = memory.len().saturating_sub(RING_HEADER_LEN);
        if !(RING_CAPACITY_MIN..=RING_CAPACITY_MAX).contains(&capacity) || !capacity.is_multiple_of(4096) {
            return Err(RingError::Capacity { capacity });
        }
        memory.write(FORMAT_AT, &FORMAT.to_le_bytes());
        memory.write(CORE_AT, &owner.chain.core.to_le_bytes());
        memory.write(BOOT_AT, &owner.chain.boot.0);
        memory.write(CAPACITY_AT, &(capacity as u64).to_le_bytes());
        memory.write(STARTED_AT, &owner.started_ns.to_le_bytes());
        memory.write(PROCESS_AT, &owner.process.to_le_bytes());
        memory.store_u64_release(FLUSHED_AT, 0);
        memory.store_u32_release(RING_HEADER_LEN, 0);
        // A ring without its magic was never used.
        memory.store_u64_release(0, u64::from_le_bytes(MAGIC));
        Ok(Self {
            memory,
            capacity: capacity as u64,
            head: 0,
            head_offset: RING_HEADER_LEN,
            flushed: 0,
            next_sequence: 1,
            kept: 0,
            text_len_max,
            encoder: Encoder::new(),
        })
    }

    /// Appends a record and commits it; gives its sequence. What it holds has survived the process when this returns.
    ///
    /// A begin keeps room for its end. Each begin must have exactly one end.
    pub fn append(&mut self, record: &Record<'_>) -> Result<u64, RingFull> {
        let (keep, spend) = match record.body {
            Body::StatementBegin(_) => (END_LEN_MAX as u64, 0),
            Body::StatementEnd(_) => (0, END_LEN_MAX as u64),
            Body::SessionStart(_) => (SESSION_END_LEN_MAX as u64, 0),
            Body::SessionEnd(_) => (0, SESSION_END_LEN_MAX as u64),
            _ => (0, 0),
        };
        let sequence = self.next_sequence;
        let depth = self.depth();
        let bytes = self.encoder.encode(record, sequence, self.text_len_max);
        let length = bytes.len() as u64;

        let kept = self.kept.saturating_sub(spend);
        let needed = length + keep;
        // Behind the record there is always room for the word that ends the walk.
        let free = (self.capacity - 8).saturating_sub(depth + kept);
        if needed > free {
            return Err(RingFull { needed, free });
        }

        let (word, behind) = bytes.split_at(WORD_LEN);
        let (first, second) =
            behind.split_at(behind.len().min(self.memory.len() - self.head_offset - WORD_LEN));
        self.memory.write(self.head_offset + WORD_LEN, first);
        if !second.is_empty() {
            self.memory.write(RING_HEADER_LEN, second);
        }
        let next = self.head_offset + bytes.len();
        let next_offset = if next < self.memory.len() {
            next
        } else {
            next - self.memory.len() + RING_HEADER_LEN
        };
        self.memory.store_u32_release(next_offset, 0);
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        self.memory.store_u32_release(self.head_offset, word);

        self.head += length;
        self.head_offset = next_offset;
        self.next_sequence = sequence + 1;
        self.kept = kept + keep;
        Ok(sequence)
    }

    /// Copies committed records from `from` on, as many whole ones as `into` takes. `None` if there is none.
    ///
    /// `from` is 0 at first and then the last batch's `end`; `into` takes at least one of the longest records.
    pub fn copy(&self, from: u64, into: &mut [u8]) -> Result<Option<Batch>, RingError> {
        assert!(into.len() >= RECORD_LEN_MAX && from.is_multiple_of(8) && from >= self.flushed);
        let available = self.head.saturating_sub(from);
        let copied = usize::try_from(available)
            .unwrap_or(usize::MAX)
            .min(into.len() & !7);
        let into = &mut into[..copied];
        self.read(from, into);

        let mut batch = Batch {
            len: 0,
            records: 0,
            first_sequence: 0,
            end: from,
        };
        while let Some(declared) = crate::bytes::u32_at(into, batch.len) {
            let changed = RingError::Changed {
                position: from + batch.len as u64,
            };
            let length = usize::try_from(declared).map_err(|_| changed)?;
            if !(HEADER_LEN..=RECORD_LEN_MAX).contains(&length) {
                return Err(changed);
            }
            let end = batch.len + length.next_multiple_of(8);
            if end > copied {
                if copied as u64 == available {
                    return Err(changed);
                }
                break;
            }
            if batch.records == 0 {
                batch.first_sequence = crate::bytes::u64_at(into, 8).ok_or(changed)?;
            }
            batch.records += 1;
            batch.len = end;
        }
        batch.end = from + batch.len as u64;
        Ok((batch.records > 0).then_some(batch))
    }

    /// Frees a batch, the first one in the ring, which is durable in a segment by now.
    pub fn release(&mut self, batch: &Batch) {
        assert!(batch.end.is_multiple_of(8) && (self.flushed..=self.head).contains(&batch.end));
        self.flushed = batch.end;
        // In this order: whoever finds no record at the flushed position can trust the sequence.
        self.memory.store_u64_release(
            FLUSHED_SEQUENCE_AT,
            batch.first_sequence + u64::from(batch.records) - 1,
        );
        self.memory.store_u64_release(FLUSHED_AT, batch.end);
    }

    /// Bytes committed and not released.
    pub fn depth(&self) -> u64 {
        self.head - self.flushed
    }

    /// The position behind the last committed record.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Everything before this position is durable in segments.
    pub fn flushed(&self) -> u64 {
        self.flushed
    }

    /// Bytes that the ring holds.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The sequence of the next record.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The memory, for tests and to close it.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    fn offset(&self, position: u64) -> usize {
        // Below `RING_CAPACITY_MAX`, so the cast keeps the value.
        #[expect(clippy::cast_possible_truncation)]
        let offset = (position % self.capacity) as usize;
        RING_HEADER_LEN + offset
    }

    fn read(&self, position: u64, into: &mut [u8]) {
        let offset = self.offset(position);
        let split = into.len().min(self.memory.len() - offset);
        let (first, second) = into.split_at_mut(split);
        self.memory.read(offset, first);
        if !second.is_empty() {
            self.memory.read(RING_HEADER_LEN, second);
        }
    }
}

#[cfg(test)]
mod tests;
