//! Building blocks to write from committed records. Does no I/O: its caller writes, and then says so.

use super::{
    BLOCK_LEN, FLUSH_HASH_AT, FLUSH_HEADER_LEN, FLUSH_LEN_MAX, FLUSH_MAGIC, FORMAT, GENESIS, Hash, MAGIC,
    SEGMENT_HASH_AT, chain,
};
use crate::names::ChainId;
use crate::record::RECORD_LEN_MAX;
use crate::ring::Batch;

/// Scratch for flushes of at most `records_len` bytes of records: room for a segment's header too, whole blocks.
pub const fn scratch_len(records_len: usize) -> usize {
    let records_len = if records_len < RECORD_LEN_MAX {
        RECORD_LEN_MAX
    } else {
        records_len
    };
    BLOCK_LEN + (FLUSH_HEADER_LEN + records_len).next_multiple_of(BLOCK_LEN)
}

/// Where a chain stands: enough to go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentState {
    /// The segment to append to.
    pub number: u32,
    /// Where its next block goes; 0 if the segment does not exist yet.
    pub offset: u64,
    /// The hash that the next flush or header follows.
    pub hash: Hash,
    /// The last sequence in the chain, 0 if there is none.
    pub last_sequence: u64,
}

/// A write to be done: `scratch[..len]` at `offset` of segment `number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is not in the chain before `written` is called with it"]
pub struct Flush {
    /// The segment.
    pub number: u32,
    /// Whether the file is to be created (offset 0, its header is part of the write), then the folder synced.
    pub creates: bool,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes, whole blocks.
    pub len: usize,
    /// What was put into it; `batch.end` is what the ring releases once it is durable.
    pub batch: Batch,
    after: SegmentState,
}

/// Turns committed records into blocks, one chain of segments after the other.
#[derive(Debug, Clone)]
pub struct SegmentBuilder {
    chain: ChainId,
    segment_bytes: u64,
    state: SegmentState,
}

impl SegmentBuilder {
    /// A new chain; a segment that reached `segment_bytes` is followed by the next.
    pub fn new(chain: ChainId, segment_bytes: u64) -> Self {
        let state = SegmentState {
            number: 0,
            offset: 0,
            hash: GENESIS,
            last_sequence: 0,
        };
        Self::resume(chain, segment_bytes, state)
    }

    /// Goes on with a chain.
    pub fn resume(chain: ChainId, segment_bytes: u64, state: SegmentState) -> Self {
        Self {
            chain,
            segment_bytes,
            state,
        }
    }

    /// Where the chain stands.
    pub fn state(&self) -> &SegmentState {
        &self.state
    }

    /// Builds the next write in `scratch`, whole blocks of at least `scratch_len(0)` bytes, aligned as direct I/O needs
    /// it. `fill` puts records into the slice it is given (at least one record long) and says what; `None` if it has
    /// none.
    ///
    /// Nothing moves on before [`SegmentBuilder::written`]: after a failed write the same records, and those that came
    /// since, are built again for the same place.
    pub fn build<E>(
        &self,
        scratch: &mut [u8],
        fill: impl FnOnce(&mut [u8]) -> Result<Option<Batch>, E>,
    ) -> Result<Option<Flush>, E> {
        assert!(scratch.len() >= scratch_len(0) && scratch.len().is_multiple_of(BLOCK_LEN));
        let rotates = self.state.offset >= self.segment_bytes && self.state.offset > 0;
        let creates = self.state.offset == 0 || rotates;
        let (number, offset) = if rotates {
            (self.state.number + 1, 0)
        } else {
            (self.state.number, self.state.offset)
        };

        let header_len = if creates { BLOCK_LEN } else { 0 };
        let (header, flush) = scratch.split_at_mut(header_len);
        let flush_len_max = flush.len().min(FLUSH_HEADER_LEN + FLUSH_LEN_MAX);
        let Some(batch) = fill(&mut flush[FLUSH_HEADER_LEN..flush_len_max])? else {
            return Ok(None);
        };
        assert!(
            batch.len > 0 && batch.len.is_multiple_of(8) && batch.len <= flush_len_max - FLUSH_HEADER_LEN
        );

        let mut hash = self.state.hash;
        if creates {
            hash = self.header(header, number, batch.first_sequence, &hash);
        }
        let used = FLUSH_HEADER_LEN + batch.len;
        let padded = used.next_multiple_of(BLOCK_LEN);
        flush[used..padded].fill(0);
        flush[..8].copy_from_slice(&FLUSH_MAGIC);
        // Bounded by `FLUSH_LEN_MAX`.
        flush[8..12].copy_from_slice(&u32::try_from(batch.len).unwrap_or(u32::MAX).to_le_bytes());
        flush[12..16].copy_from_slice(&batch.records.to_le_bytes());
        flush[16..24].copy_from_slice(&batch.first_sequence.to_le_bytes());
        flush[24..32].fill(0);
        hash = chain(&hash, &flush[..FLUSH_HASH_AT], &flush[FLUSH_HEADER_LEN..used]);
        flush[FLUSH_HASH_AT..FLUSH_HEADER_LEN].copy_from_slice(&hash);

        let len = header_len + padded;
        let last_sequence = batch.first_sequence + u64::from(batch.records) - 1;
        let after = SegmentState {
            number,
            offset: offset + len as u64,
            hash,
            last_sequence,
        };
        Ok(Some(Flush {
            number,
            creates,
            offset,
            len,
            batch,
            after,
        }))
    }

    /// The write is durable: the chain goes on behind it, and the ring may be released.
    pub fn written(&mut self, flush: &Flush) {
        assert!(flush.after.last_sequence > self.state.last_sequence);
        self.state = flush.after;
    }

    fn header(&self, header: &mut [u8], number: u32, first_sequence: u64, previous: &Hash) -> Hash {
        header.fill(0);
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[12..16].copy_from_slice(&self.chain.core.to_le_bytes());
        header[16..32].copy_from_slice(&self.chain.boot.0);
        header[32..36].copy_from_slice(&number.to_le_bytes());
        header[40..48].copy_from_slice(&first_sequence.to_le_bytes());
        header[48..80].copy_from_slice(previous);
        let hash = chain(previous, &header[..SEGMENT_HASH_AT], &[]);
        header[SEGMENT_HASH_AT..SEGMENT_HASH_AT + 32].copy_from_slice(&hash);
        hash
    }
}
