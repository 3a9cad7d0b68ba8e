//! The kernel for x86-64 with AVX-512: a comparison of 64 bytes gives its bits at once.

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_sub_epi8,
};

use super::{BLOCK_BYTES, Block, Kernel};
use crate::Values;
use crate::scan::{Pass, drive};

/// Proof that this CPU has AVX-512 F and BW, BMI1 and BMI2: there is no other way to one than [`Avx512::detect`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The kernel, if the CPU has what it needs. The standard library asks the CPU once.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has_all.then_some(Self(()))
    }

    /// Runs a pass compiled for these features.
    #[inline]
    pub(crate) fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        // SAFETY: an `Avx512` exists only where the CPU has AVX-512 F and BW, BMI1 and BMI2.
        unsafe { drive_with_avx512(self, pass) }
    }
}

impl Kernel for Avx512 {
    #[inline(always)]
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block {
        // SAFETY: an `Avx512` exists only where the CPU has AVX-512 F and BW.
        unsafe { classify(block) }
    }
}

/// # Safety
/// The CPU must have AVX-512 F and BW, BMI1 and BMI2.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
unsafe fn drive_with_avx512<V: Values>(kernel: Avx512, pass: &mut Pass<'_, V>) {
    drive(kernel, pass);
}

/// # Safety
/// The CPU must have AVX-512 F and BW.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn classify(block: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: `block` is 64 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let lower_case = _mm512_set1_epi8(0x20);
    Block {
        digit: in_range::<b'0', 10>(bytes),
        letter: in_range::<b'a', 26>(_mm512_or_si512(bytes, lower_case)),
        at: equal::<b'@'>(bytes),
        dot: equal::<b'.'>(bytes),
        dash: equal::<b'-'>(bytes),
        space: equal::<b' '>(bytes),
        underscore: equal::<b'_'>(bytes),
        lower_h: equal::<b'h'>(bytes),
        lower_y: equal::<b'y'>(bytes),
        upper_a: equal::<b'A'>(bytes),
        upper_i: equal::<b'I'>(bytes),
        upper_j: equal::<b'J'>(bytes),
    }
}

/// A bit where a byte is `FIRST` or one of the next `COUNT - 1`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn in_range<const FIRST: u8, const COUNT: u8>(bytes: __m512i) -> u64 {
    let distance = _mm512_sub_epi8(bytes, _mm512_set1_epi8(FIRST.cast_signed()));
    _mm512_cmplt_epu8_mask(distance, _mm512_set1_epi8(COUNT.cast_signed()))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn equal<const BYTE: u8>(bytes: __m512i) -> u64 {
    _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(BYTE.cast_signed()))
}
