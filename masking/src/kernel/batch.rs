//! What the bytes of a batch are, with the bits of each kind in a row.
//!
//! As a row is a bit for each byte without gaps, 64 bits can be taken from any eighth byte on. Candidates are looked
//! for in *windows* of 64 bits, which overlap by the bytes that candidates look back on, so that no bit has to be
//! carried from one word to the next. Four windows are a group: three blocks, and what lies before them.
//!
//! What was stored a moment ago cannot be loaded in other pieces without waiting for it. So a group is filled before
//! the one before it is looked at; that has the CPU do both at once, too, which are bound by different things.

use super::{BLOCK_BYTES, Kinds, LOOK_BACK_BYTES};

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

    /// The bits of a block.
    #[inline(always)]
    pub(crate) fn block(&self, block: usize) -> u64 {
        let bits = self.0[(1 + block) * BLOCK_ROW_BYTES..].first_chunk();
        u64::from_le_bytes(*bits.expect("a batch has the block"))
    }
}

impl<B> Kinds<B> {
    /// The same in another form.
    #[inline(always)]
    pub(crate) fn map<C>(&self, form: impl Fn(&B) -> C) -> Kinds<C> {
        Kinds {
            digit: form(&self.digit),
            letter: form(&self.letter),
            at: form(&self.at),
            dot: form(&self.dot),
            separator: form(&self.separator),
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
        change(&mut self.separator);
        change(&mut self.key_first);
        change(&mut self.key_second);
    }
}

/// Bytes in a row and the block before them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch(Kinds<Row>);

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
        classify: impl Fn(&[u8; HALF_BYTES], usize, &mut Kinds<Row>, usize),
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
    pub(crate) fn rows(&self) -> &Kinds<Row> {
        &self.0
    }
}

/// Where in a batch there are `@`s that wait to be looked at: that is done for many, as much of what is in registers
/// gives way to it.
#[derive(Debug)]
pub(crate) struct AtSigns {
    places: [u16; Self::CAPACITY],
    count: usize,
}

impl AtSigns {
    /// From so many on, they are looked at; each byte of a group may be one more.
    const ENOUGH: usize = 64;
    const CAPACITY: usize = Self::ENOUGH + GROUP_BYTES;

    pub(crate) const fn new() -> Self {
        Self {
            places: [0; Self::CAPACITY],
            count: 0,
        }
    }

    /// Adds those of a group.
    #[inline(always)]
    pub(crate) fn add(&mut self, batch: &Batch, group: usize) {
        for block in group * GROUP_BLOCKS..(group + 1) * GROUP_BLOCKS {
            self.add_block(batch.0.at.block(block), block * BLOCK_BYTES);
        }
    }

    #[inline(always)]
    fn add_block(&mut self, mut bits: u64, start: usize) {
        let count = bits.count_ones() as usize;
        let room = self.places[self.count..]
            .first_chunk_mut::<BLOCK_BYTES>()
            .expect("there is room for a group");
        let mut next = || {
            let place = start + bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
            u16::try_from(place).unwrap_or_default()
        };
        // Two are written whether they are there or not: to ask which is dearer, as nobody can foresee the answer.
        (room[0], room[1]) = (next(), next());
        for place in room.iter_mut().take(count).skip(2) {
            *place = next();
        }
        self.count += count;
    }

    /// Whether there is no room for another group.
    #[inline(always)]
    pub(crate) fn are_enough(&self) -> bool {
        self.count > Self::ENOUGH
    }

    /// Their places in the batch, ascending, which are not kept.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> &[u16] {
        &self.places[..std::mem::take(&mut self.count)]
    }
}
