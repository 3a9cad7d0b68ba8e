//! Segments: where records stay. A file of 4 KiB blocks that is only ever appended to.
//!
//! ```text
//! block 0   header: magic, format, boot id, core, number, first sequence, previous hash, hash
//! block 1.. flushes, each beginning at a block: 64 bytes of header, records, zeros up to the block's end
//! ```
//!
//! A flush is what one direct write made durable; its blocks are never written again, the next flush begins at the next
//! block. Every header and every flush carries `hash = BLAKE3(previous hash || header before the hash || BLAKE3(records))`,
//! and the chain runs through a segment's header into the next segment of the same core.
//!
//! **Why a hash for a flush and not for a record.** A flush is checked as a whole or not at all, so any record that is
//! altered, removed, added or moved breaks the hash of its flush, as it would break a hash of its own; sequences and
//! checksums then say which record it was. BLAKE3 is slow on short input: of the core's time a record of 300 bytes takes
//! 380 ns by itself and 40 ns within 64 KiB (AMD EPYC with AVX-512), where encoding and appending it takes 45; and 32
//! bytes a record would be a tenth of the log. What it costs: a single record cannot be proven without its neighbours
//! in the same flush.
//!
//! What the chain cannot show is a cut at its end; a chain therefore ends with a [`crate::record::Seal`] record, and a
//! chain without one must have a ring. Whoever can rewrite all that follows can forge an unkeyed chain; signed
//! checkpoints are for that.

mod build;
mod read;

pub use build::{Flush, SegmentBuilder, SegmentState, scratch_len};
pub use read::{FlushHeader, ReadAt, SegmentError, SegmentHeader, SegmentReader, fuzz_segment};

/// Writes are multiples of this, at multiples of this, from memory aligned to this.
pub const BLOCK_LEN: usize = 4096;
/// Bytes of a flush before its records.
pub const FLUSH_HEADER_LEN: usize = 64;
/// The most records of one flush, in bytes: bounds what a reader must hold.
pub const FLUSH_LEN_MAX: usize = 4 << 20;

/// A chain's hash.
pub type Hash = [u8; 32];
/// What the first segment of a chain follows.
pub const GENESIS: Hash = [0; 32];

const MAGIC: [u8; 8] = *b"sluiceS1";
const FORMAT: u32 = 1;
const FLUSH_MAGIC: [u8; 8] = *b"sluiceF1";

/// Bytes of a segment's header before its hash.
const SEGMENT_HASH_AT: usize = 96;
/// Bytes of a flush's header before its hash.
const FLUSH_HASH_AT: usize = 32;

const _: () = assert!(SEGMENT_HASH_AT + 32 <= BLOCK_LEN && FLUSH_HASH_AT + 32 == FLUSH_HEADER_LEN);

/// `BLAKE3(previous || header || BLAKE3(records))`: hashed by themselves, the records start at a chunk's beginning, and
/// BLAKE3 works on as many chunks at once as the CPU can (half the time for 64 KiB).
fn chain(previous: &Hash, header: &[u8], records: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(previous)
        .update(header)
        .update(blake3::hash(records).as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
