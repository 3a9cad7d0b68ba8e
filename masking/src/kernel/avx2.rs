//! The kernel for x86-64 with AVX2: two comparisons of 32 bytes, and their highest bits gathered.

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_sub_epi8,
};

use super::{BLOCK_BYTES, Block, Kernel};
use crate::Values;
use crate::scan::{Pass, drive};

/// Proof that this CPU has AVX2, BMI1 and BMI2: there is no other way to one than [`Avx2::detect`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The kernel, if the CPU has what it needs. The standard library asks the CPU once.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has_all.then_some(Self(()))
    }

    /// Runs a pass compiled for these features.
    #[inline]
    pub(crate) fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2, BMI1 and BMI2.
        unsafe { drive_with_avx2(self, pass) }
    }
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block<u64> {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2.
        unsafe { classify(block) }
    }
}

/// # Safety
/// The CPU must have AVX2, BMI1 and BMI2.
#[target_feature(enable = "avx2,bmi1,bmi2")]
unsafe fn drive_with_avx2<V: Values>(kernel: Avx2, pass: &mut Pass<'_, V>) {
    drive(kernel, pass);
}

/// # Safety
/// The CPU must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn classify(block: &[u8; BLOCK_BYTES]) -> Block<u64> {
    // SAFETY: `block` is 64 readable bytes, and `loadu` needs no alignment.
    let (low, high) = unsafe {
        let start = block.as_ptr();
        (
            _mm256_loadu_si256(start.cast()),
            _mm256_loadu_si256(start.add(32).cast()),
        )
    };
    let lower_case = _mm256_set1_epi8(0x20);
    Block {
        digit: bits(in_range::<b'0', 10>(low), in_range::<b'0', 10>(high)),
        letter: bits(
            in_range::<b'a', 26>(_mm256_or_si256(low, lower_case)),
            in_range::<b'a', 26>(_mm256_or_si256(high, lower_case)),
        ),
        at: equal::<b'@'>(low, high),
        dot: equal::<b'.'>(low, high),
        dash: equal::<b'-'>(low, high),
        space: equal::<b' '>(low, high),
        key_first: one_of::<b'I', b'y', b'h'>(low, high),
        key_second: one_of::<b'A', b'J', b'_'>(low, high),
    }
}

/// All ones where a byte is `FIRST` or one of the next `COUNT - 1`.
#[inline]
#[target_feature(enable = "avx2")]
fn in_range<const FIRST: u8, const COUNT: u8>(bytes: __m256i) -> __m256i {
    let distance = _mm256_sub_epi8(bytes, _mm256_set1_epi8(FIRST.cast_signed()));
    let farthest = _mm256_set1_epi8((COUNT - 1).cast_signed());
    _mm256_cmpeq_epi8(_mm256_min_epu8(distance, farthest), distance)
}

#[inline]
#[target_feature(enable = "avx2")]
fn equal<const BYTE: u8>(low: __m256i, high: __m256i) -> u64 {
    let byte = _mm256_set1_epi8(BYTE.cast_signed());
    bits(_mm256_cmpeq_epi8(low, byte), _mm256_cmpeq_epi8(high, byte))
}

#[inline]
#[target_feature(enable = "avx2")]
fn one_of<const A: u8, const B: u8, const C: u8>(low: __m256i, high: __m256i) -> u64 {
    let half = |bytes| {
        let is = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
        _mm256_or_si256(is(A), _mm256_or_si256(is(B), is(C)))
    };
    bits(half(low), half(high))
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(low: __m256i, high: __m256i) -> u64 {
    let half = |bytes| u64::from(_mm256_movemask_epi8(bytes).cast_unsigned());
    half(low) | half(high) << 32
}
