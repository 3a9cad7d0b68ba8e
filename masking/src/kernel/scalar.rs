//! The kernel for any CPU: a byte at a time.

use super::{BLOCK_BYTES, Block, Classify, Kernel, Kinds, kinds};
use crate::Values;
use crate::scan::{Pass, drive_blocks};

/// Runs everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Kernel for Scalar {
    #[inline]
    fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        drive_blocks(self, pass);
    }
}

impl Classify for Scalar {
    #[inline]
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block {
        let bits = |kind: u32| {
            block.iter().enumerate().fold(0, |bits, (place, byte)| {
                bits | u64::from(kinds(*byte) >> kind & 1) << place
            })
        };
        Block {
            kinds: Kinds {
                digit: bits(0),
                letter: bits(1),
                at: bits(2),
                dot: bits(3),
                separator: bits(4),
                key_first: bits(5),
                key_second: bits(6),
            },
            dash: bits(7),
        }
    }
}
