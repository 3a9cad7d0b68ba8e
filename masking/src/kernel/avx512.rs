//! The kernel for x86-64 with AVX-512: a comparison of 64 bytes gives its bits at once.

use std::arch::x86_64::{
    __m512i, _mm512_alignr_epi64, _mm512_and_si512, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_load_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_store_si512, _mm512_sub_epi8,
    _mm512_test_epi64_mask,
};
use std::ops::{BitAnd, BitOr};

use super::{BLOCK_BYTES, Bits, Block, Candidates, Kernel, Lanes};
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
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block<u64> {
        // SAFETY: an `Avx512` exists only where the CPU has AVX-512 F and BW.
        unsafe { classify(block) }
    }

    #[inline(always)]
    fn candidates(self, blocks: &Block<Lanes>) -> (Candidates<Lanes>, u8) {
        let found = Candidates::of(&blocks.map(|lanes| Register::of(self, lanes)));
        (found.map(Register::lanes), found.any().filled())
    }
}

/// The bits of eight blocks in a row, and proof that the CPU has AVX-512 F: there is no other way to one than
/// [`Register::of`]. Left to the compiler, the same operations on arrays take the words in and out of registers.
#[derive(Clone, Copy)]
struct Register(__m512i);

impl Register {
    #[inline(always)]
    fn of(_: Avx512, lanes: &Lanes) -> Self {
        // SAFETY: an `Avx512` exists only where the CPU has AVX-512 F; `Lanes` are 64 bytes aligned to 64.
        Self(unsafe { _mm512_load_si512(lanes.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn lanes(self) -> Lanes {
        let mut lanes = Lanes::default();
        // SAFETY: a `Register` exists only where the CPU has AVX-512 F; `Lanes` are 64 bytes aligned to 64.
        unsafe { _mm512_store_si512(lanes.0.as_mut_ptr().cast(), self.0) };
        lanes
    }
}

impl Register {
    /// A bit for each block with a bit.
    #[inline(always)]
    fn filled(self) -> u8 {
        // SAFETY: a `Register` exists only where the CPU has AVX-512 F.
        unsafe { _mm512_test_epi64_mask(self.0, self.0) }
    }
}

impl BitAnd for Register {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has AVX-512 F.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }
}

impl BitOr for Register {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has AVX-512 F.
        Self(unsafe { _mm512_or_si512(self.0, other.0) })
    }
}

impl Bits for Register {
    #[inline(always)]
    fn later<const BYTES: u32>(self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has AVX-512 F.
        unsafe {
            let before = _mm512_alignr_epi64::<7>(self.0, _mm512_setzero_si512());
            Self(_mm512_or_si512(
                _mm512_sllv_epi64(self.0, _mm512_set1_epi64(i64::from(BYTES))),
                _mm512_srlv_epi64(before, _mm512_set1_epi64(i64::from(u64::BITS - BYTES))),
            ))
        }
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
unsafe fn classify(block: &[u8; BLOCK_BYTES]) -> Block<u64> {
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
