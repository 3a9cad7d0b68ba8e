//! The kernel for any CPU: a byte at a time.

use super::{BLOCK_BYTES, Block, Kernel};

/// Runs everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Kernel for Scalar {
    #[inline]
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block<u64> {
        let bits = |test: fn(u8) -> bool| {
            block
                .iter()
                .enumerate()
                .fold(0, |bits, (place, byte)| bits | u64::from(test(*byte)) << place)
        };
        Block {
            digit: bits(|byte| byte.is_ascii_digit()),
            letter: bits(|byte| byte.is_ascii_alphabetic()),
            at: bits(|byte| byte == b'@'),
            dot: bits(|byte| byte == b'.'),
            dash: bits(|byte| byte == b'-'),
            space: bits(|byte| byte == b' '),
            underscore: bits(|byte| byte == b'_'),
            lower_h: bits(|byte| byte == b'h'),
            lower_y: bits(|byte| byte == b'y'),
            upper_a: bits(|byte| byte == b'A'),
            upper_i: bits(|byte| byte == b'I'),
            upper_j: bits(|byte| byte == b'J'),
        }
    }
}
