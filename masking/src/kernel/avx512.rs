//! The kernel for x86-64 with AVX-512 as servers have it since Ice Lake and Zen 4.
//!
//! A table look-up gives each byte its kinds as the bits of one byte. Eight such bytes are a square of bits, which one
//! instruction turns over; so 64 bytes become eight words, one for each kind, without a comparison.

use std::arch::x86_64::{
    __m512i, _mm512_alignr_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_gf2p8affine_epi64_epi8,
    _mm512_load_si512, _mm512_loadu_si512, _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shldv_epi64,
    _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_store_si512, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};
use std::ops::{BitAnd, BitOr};

use super::{BLOCK_BYTES, Bits, Block, Candidates, Classify, Group, Kernel, Kinds, LANES, Lanes, kinds};
use crate::Values;
use crate::scan::{Pass, drive_blocks};

/// Proof that this CPU has AVX-512 F, BW, VBMI and VBMI2, GFNI, BMI1 and BMI2: there is no other way to one than
/// [`Avx512::detect`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The kernel, if the CPU has what it needs. The standard library asks the CPU once.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has_all.then_some(Self(()))
    }
}

impl Kernel for Avx512 {
    /// Runs a pass compiled for these features.
    #[inline]
    fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        // SAFETY: an `Avx512` exists only where the CPU has all of its features.
        unsafe { drive_with_avx512(self, pass) }
    }
}

impl Classify for Avx512 {
    #[inline(always)]
    fn classify(self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        let mut block = Block::default();
        // SAFETY: an `Avx512` exists only where the CPU has all of its features.
        Register(unsafe { words(bytes) }).write_block(&mut block);
        block
    }

    #[inline(always)]
    fn look(self, group: &mut Group, new: &[[u8; BLOCK_BYTES]], wanted: &Candidates<u64>) {
        let mut blocks = [Register::zero(self); LANES];
        blocks[0] = Register::of_block(self, &group.blocks[0]);
        for ((register, block), bytes) in blocks[1..].iter_mut().zip(&mut group.blocks[1..]).zip(new) {
            // SAFETY: an `Avx512` exists only where the CPU has all of its features.
            *register = Register(unsafe { words(bytes) });
            register.write_block(block);
        }
        // SAFETY: an `Avx512` exists only where the CPU has all of its features.
        let by_kind = unsafe { transposed(&blocks) };
        let wanted = wanted.map(|bits| Register::all(self, bits));
        let found = Candidates::of(&by_kind).and(&wanted);
        group.any = found.any().lanes();
        group.found = found.map(Register::lanes);
    }
}

/// Eight words, and proof that the CPU has the features of an [`Avx512`]: there is no way to one without. Left to the
/// compiler, the same operations on arrays take the words in and out of registers.
#[derive(Clone, Copy)]
struct Register(__m512i);

impl Register {
    #[inline(always)]
    fn zero(_: Avx512) -> Self {
        // SAFETY: an `Avx512` exists only where the CPU has all of its features.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    fn all(_: Avx512, word: u64) -> Self {
        // SAFETY: an `Avx512` exists only where the CPU has all of its features.
        Self(unsafe { _mm512_set1_epi64(word.cast_signed()) })
    }

    /// The words of a block, by kind.
    #[inline(always)]
    fn of_block(_: Avx512, block: &Block) -> Self {
        const { assert!(size_of::<Block>() == 64 && align_of::<Block>() == 64) };
        // SAFETY: an `Avx512` exists only where the CPU has all of its features; a block is eight words, aligned to 64.
        Self(unsafe { _mm512_load_si512(std::ptr::from_ref(block).cast()) })
    }

    #[inline(always)]
    fn write_block(self, block: &mut Block) {
        // SAFETY: a `Register` exists only where the CPU has all features; a block is eight words, aligned to 64.
        unsafe { _mm512_store_si512(std::ptr::from_mut(block).cast(), self.0) };
    }

    #[inline(always)]
    fn lanes(self) -> Lanes {
        let mut lanes = Lanes::default();
        // SAFETY: a `Register` exists only where the CPU has all features; `Lanes` are 64 bytes aligned to 64.
        unsafe { _mm512_store_si512(lanes.0.as_mut_ptr().cast(), self.0) };
        lanes
    }
}

impl BitAnd for Register {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has all features.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }
}

impl BitOr for Register {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has all features.
        Self(unsafe { _mm512_or_si512(self.0, other.0) })
    }
}

impl Bits for Register {
    #[inline(always)]
    fn later<const BYTES: u32>(self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has all features.
        unsafe {
            let before = _mm512_alignr_epi64::<7>(self.0, _mm512_setzero_si512());
            Self(_mm512_shldv_epi64(
                self.0,
                before,
                _mm512_set1_epi64(i64::from(BYTES)),
            ))
        }
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: a `Register` exists only where the CPU has all features.
        Self(unsafe { _mm512_andnot_si512(other.0, self.0) })
    }
}

/// # Safety
/// The CPU must have the features of an [`Avx512`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni,bmi1,bmi2")]
unsafe fn drive_with_avx512<V: Values>(kernel: Avx512, pass: &mut Pass<'_, V>) {
    drive_blocks(kernel, pass);
}

/// 64 bytes for a register.
#[repr(align(64))]
struct Bytes([u8; 64]);

impl Bytes {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(&self) -> __m512i {
        // SAFETY: they are 64 bytes aligned to 64.
        unsafe { _mm512_load_si512(self.0.as_ptr().cast()) }
    }
}

macro_rules! bytes {
    ($place:ident => $value:expr) => {{
        let mut bytes = [0; 64];
        let mut $place = 0;
        while $place < bytes.len() {
            #[expect(clippy::cast_possible_truncation, reason = "all values are below 256")]
            let value = $value as u8;
            bytes[$place] = value;
            $place += 1;
        }
        Bytes(bytes)
    }};
}

/// The kinds of the bytes below 64, and of those below 128.
static KINDS_LOW: Bytes = bytes!(place => kinds(place as u8));
static KINDS_HIGH: Bytes = bytes!(place => kinds(64 + place as u8));
/// Turns each eight bytes around.
static REVERSED: Bytes = bytes!(place => (place % 16) ^ 7);
/// In each eight bytes, one bit further each.
static DIAGONAL: Bytes = bytes!(place => 1u32 << (place % 8));
/// The first byte of each eight, then the second of each, and so on.
static GATHERED: Bytes = bytes!(place => place % 8 * 8 + place / 8);

/// The block's words by kind, in the order of [`Block`].
///
/// # Safety
/// The CPU must have the features of an [`Avx512`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,gfni")]
unsafe fn words(block: &[u8; BLOCK_BYTES]) -> __m512i {
    // SAFETY: `block` is 64 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let is_ascii = !_mm512_movepi8_mask(bytes);
    let kinds = _mm512_maskz_permutex2var_epi8(is_ascii, KINDS_LOW.load(), bytes, KINDS_HIGH.load());
    // Bit i of the product's byte j is bit j of the matrix's byte 7 - i.
    let turned =
        _mm512_gf2p8affine_epi64_epi8::<0>(DIAGONAL.load(), _mm512_shuffle_epi8(kinds, REVERSED.load()));
    _mm512_permutexvar_epi8(GATHERED.load(), turned)
}

/// From the words of each block to the blocks' words of each kind.
///
/// # Safety
/// The CPU must have the features of an [`Avx512`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn transposed(blocks: &[Register; LANES]) -> Kinds<Register> {
    // Of pairs of blocks, the words of even kinds and those of odd ones; then quarters of four registers.
    let even = |first: usize| _mm512_unpacklo_epi64(blocks[first].0, blocks[first + 1].0);
    let odd = |first: usize| _mm512_unpackhi_epi64(blocks[first].0, blocks[first + 1].0);
    let [digit, at, separator, key_second] = quarters(even(0), even(2), even(4), even(6));
    let [letter, dot, key_first, _dash] = quarters(odd(0), odd(2), odd(4), odd(6));
    Kinds {
        digit,
        letter,
        at,
        dot,
        separator,
        key_first,
        key_second,
    }
}

/// The first quarters of four registers, the second ones, the third and the last.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [Register; 4] {
    let (front, front_2) = (
        _mm512_shuffle_i64x2::<0x44>(a, b),
        _mm512_shuffle_i64x2::<0x44>(c, d),
    );
    let (back, back_2) = (
        _mm512_shuffle_i64x2::<0xee>(a, b),
        _mm512_shuffle_i64x2::<0xee>(c, d),
    );
    [
        Register(_mm512_shuffle_i64x2::<0x88>(front, front_2)),
        Register(_mm512_shuffle_i64x2::<0xdd>(front, front_2)),
        Register(_mm512_shuffle_i64x2::<0x88>(back, back_2)),
        Register(_mm512_shuffle_i64x2::<0xdd>(back, back_2)),
    ]
}
