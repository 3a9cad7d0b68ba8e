//! What the bytes of a batch are, with the bits of each kind in a row.
//!
//! As a row is a bit for each byte without gaps, 64 bits can be taken from any eighth byte on. Candidates are looked
//! for in *windows* of 64 bits, which overlap by the bytes that candidates look back on, so that no bit has to be
//! carried from one word to the next. Four windows are a group: three blocks, and what lies before them.
//!
//! What was stored a moment ago cannot be loaded in other pieces without waiting for it. So a group is filled before
//! the one before it is looked at; that has the CPU do both at once, too, which are bound by different things.

use std::array;

use super::{BLOCK_BYTES, Block, LOOK_BACK_BYTES};
use crate::detect::email::{Around, Plain};

/// Windows that are looked at together.
pub(crate) const WINDOWS: usize = 4;
/// Bytes of a window that are not in the one before it.
pub(crate) const WINDOW_BYTES: usize = BLOCK_BYTES - LOOK_BACK_BYTES;

/// Bytes of a group that are not in the one before it.
pub(crate) const GROUP_BYTES: usize = WINDOWS * WINDOW_BYTES;
const GROUP_BLOCKS: usize = GROUP_BYTES / BLOCK_BYTES;
const _: () = assert!(GROUP_BYTES.is_multiple_of(BLOCK_BYTES), "groups are whole blocks");

/// Groups of a batch: so many that the wait for the last one, behind which none is filled, is rare.
const GROUPS: usize = 4;
/// Bytes of a batch.
pub(crate) const BATCH_BYTES: usize = GROUPS * GROUP_BYTES;
const BATCH_BLOCKS: usize = GROUPS * GROUP_BLOCKS;

/// How many bytes are classified in a step.
pub(crate) const HALF_BYTES: usize = BLOCK_BYTES / 2;
/// Bytes of a row that have the bits of half a block.
const HALF_ROW_BYTES: usize = HALF_BYTES / 8;
/// Bytes of a row that have the bits of a block.
const BLOCK_ROW_BYTES: usize = BLOCK_BYTES / 8;
/// The last block of what lies before, those of the batch, and as many as a group may have that ends within its first.
const ROW_BYTES: usize = (1 + BATCH_BLOCKS + GROUP_BLOCKS) * BLOCK_ROW_BYTES;

/// Of one kind, a bit for each byte.
#[derive(Debug, Clone)]
pub(crate) struct Row([u8; ROW_BYTES]);

impl Default for Row {
    #[inline(always)]
    fn default() -> Self {
        Self([0; ROW_BYTES])
    }
}

impl Row {
    /// Sets the bits of half a block.
    #[inline(always)]
    pub(crate) fn set(&mut self, half: usize, bits: u32) {
        let start = BLOCK_ROW_BYTES + half * HALF_ROW_BYTES;
        self.0[start..start + HALF_ROW_BYTES].copy_from_slice(&bits.to_le_bytes());
    }

    /// Clears what may be looked at behind the last bytes, which end before this half of a block.
    #[inline(always)]
    fn clear_from(&mut self, half: usize) {
        let start = BLOCK_ROW_BYTES + half * HALF_ROW_BYTES;
        self.0[start..start + GROUP_BLOCKS * BLOCK_ROW_BYTES].fill(0);
    }

    /// Makes the last block of the batch the one before it.
    #[inline(always)]
    fn repeat_last(&mut self) {
        let start = BATCH_BLOCKS * BLOCK_ROW_BYTES;
        self.0.copy_within(start..start + BLOCK_ROW_BYTES, 0);
    }

    /// The bits of a group, behind those of the [`LOOK_BACK_BYTES`] before it; what fills up the 32 bytes is any.
    #[inline(always)]
    pub(crate) fn group(&self, group: usize) -> &[u8; 32] {
        let start = BLOCK_ROW_BYTES + group * GROUP_BYTES / 8 - LOOK_BACK_BYTES / 8;
        self.0[start..]
            .first_chunk()
            .expect("a group has its place in the row")
    }

    /// 64 bits from a byte of the row on.
    #[inline(always)]
    fn load(&self, byte: usize) -> u64 {
        u64::from_le_bytes(*self.0[byte..].first_chunk().expect("a batch has 64 bits there"))
    }

    /// The bits of a block.
    #[inline(always)]
    pub(crate) fn block(&self, block: usize) -> u64 {
        self.load((1 + block) * BLOCK_ROW_BYTES)
    }
}

impl<B> Block<B> {
    /// The same in another form.
    #[inline(always)]
    pub(crate) fn map<C>(&self, form: impl Fn(&B) -> C) -> Block<C> {
        Block {
            digit: form(&self.digit),
            letter: form(&self.letter),
            at: form(&self.at),
            dot: form(&self.dot),
            dash: form(&self.dash),
            space: form(&self.space),
            key_first: form(&self.key_first),
            key_second: form(&self.key_second),
        }
    }

    #[inline(always)]
    fn for_each(&mut self, change: impl Fn(&mut B)) {
        change(&mut self.digit);
        change(&mut self.letter);
        change(&mut self.at);
        change(&mut self.dot);
        change(&mut self.dash);
        change(&mut self.space);
        change(&mut self.key_first);
        change(&mut self.key_second);
    }
}

/// Bytes in a row and the block before them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch(Block<Row>);

impl Batch {
    /// Turns to the bytes behind a batch that is full.
    #[inline(always)]
    pub(crate) fn turn(&mut self) {
        self.0.for_each(Row::repeat_last);
    }

    /// Classifies the bytes of a group; the last one of a buffer may have fewer.
    ///
    /// `classify` sets what half a block's bytes are in each row, the first so many bytes left out.
    #[inline(always)]
    pub(crate) fn fill(
        &mut self,
        group: usize,
        bytes: &[u8],
        classify: impl Fn(&[u8; HALF_BYTES], usize, &mut Block<Row>, usize),
    ) {
        let start = group * GROUP_BLOCKS * 2;
        // With a number of steps that is known, these need not be counted.
        if let Some(bytes) = bytes.first_chunk::<GROUP_BYTES>() {
            for (half, bytes) in (start..).zip(bytes.as_chunks().0) {
                classify(bytes, 0, &mut self.0, half);
            }
            return;
        }
        let (halves, rest) = bytes.as_chunks();
        for (half, bytes) in (start..).zip(halves) {
            classify(bytes, 0, &mut self.0, half);
        }
        let mut end = start + halves.len();
        if !rest.is_empty() {
            if let Some(last) = bytes.last_chunk() {
                classify(last, HALF_BYTES - rest.len(), &mut self.0, end);
            } else {
                let mut padded = [0; HALF_BYTES];
                padded[..rest.len()].copy_from_slice(rest);
                classify(&padded, 0, &mut self.0, end);
            }
            end += 1;
        }
        self.0.for_each(|row| row.clear_from(end));
    }

    #[inline(always)]
    pub(crate) fn rows(&self) -> &Block<Row> {
        &self.0
    }

    /// Where there are `@`s in a group, block by block.
    #[inline(always)]
    pub(crate) fn at_signs(&self, group: usize) -> [u64; GROUP_BLOCKS] {
        array::from_fn(|block| self.0.at.block(group * GROUP_BLOCKS + block))
    }

    #[inline(always)]
    fn plain(&self, byte: usize) -> Plain {
        Plain::new(&self.0.map(|row| row.load(byte)))
    }
}

/// What a batch knows of the bytes around an `@`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near<'a> {
    pub(crate) batch: &'a Batch,
    /// Where the batch begins.
    pub(crate) start: usize,
    /// How many of its bytes are classified, or lie behind the buffer.
    pub(crate) known: usize,
}

impl Around for Near<'_> {
    #[inline(always)]
    fn behind(&self, at: usize) -> (Plain, usize) {
        let bit = at + 1 - self.start;
        let behind = self.batch.plain(BLOCK_ROW_BYTES + bit / 8);
        let known = (BLOCK_BYTES - bit % 8).min(self.known - bit);
        (behind.map(|bits| bits >> (bit % 8)), known)
    }

    #[inline(always)]
    fn before(&self, at: usize) -> Plain {
        let bit = at - self.start;
        // The block before the batch comes first, so the 64 bits that end here begin at this byte of the row.
        let byte = bit.div_ceil(8);
        self.batch.plain(byte).map(|bits| bits << (byte * 8 - bit))
    }
}
