//! The kernel for x86-64 with AVX2: comparisons of 32 bytes, whose highest bits are gathered, and four words at once.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_setr_epi8, _mm256_add_epi8, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi64x, _mm256_shuffle_epi8, _mm256_sll_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_testz_si256,
};
use std::ops::{BitAnd, BitOr};

use super::batch::{Batch, HALF_BYTES, Row, WINDOW_BYTES, WINDOWS};
use super::{Bits, Block, Candidates, Kernel, LOOK_BACK_BYTES};
use crate::Values;
use crate::scan::{Pass, drive_batches};

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

    /// Classifies the bytes of a group; the last one of a buffer may have fewer.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "it is the proof that the CPU has AVX2")]
    pub(crate) fn fill(self, batch: &mut Batch, group: usize, bytes: &[u8]) {
        batch.fill(group, bytes, |bytes, skipped, rows, half| {
            // SAFETY: an `Avx2` exists only where the CPU has AVX2.
            unsafe { classify(bytes, skipped, rows, half) }
        });
    }

    /// Finds the wanted candidates of a group.
    #[inline(always)]
    pub(crate) fn look(
        self,
        batch: &Batch,
        group: usize,
        wanted: &Candidates<Windows>,
    ) -> Candidates<Windows> {
        let windows = batch.rows().map(|row| Windows::of(self, row.group(group)));
        Candidates::of(&windows).and(wanted)
    }
}

impl Kernel for Avx2 {
    /// Runs a pass compiled for these features.
    #[inline]
    fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2, BMI1 and BMI2.
        unsafe { drive_with_avx2(self, pass) }
    }
}

/// The words of four windows, and proof that the CPU has the features of an [`Avx2`]: there is no way to one without.
#[derive(Clone, Copy)]
pub(crate) struct Windows(__m256i);

// What the loads and shuffles of `Windows::of` are made for.
const _: () = assert!(WINDOWS == 4 && WINDOW_BYTES == 6 * 8 && LOOK_BACK_BYTES == 16);

impl Windows {
    /// The same word for each.
    #[inline(always)]
    pub(crate) fn all(_: Avx2, word: u64) -> Self {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2.
        Self(unsafe { _mm256_set1_epi64x(word.cast_signed()) })
    }

    /// The windows of a group that has these bits.
    #[inline(always)]
    fn of(_: Avx2, bits: &[u8; 32]) -> Self {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2; 16 bytes at 0 and at 12 lie within the 32, and `loadu`
        // needs no alignment.
        unsafe {
            let low = _mm_loadu_si128(bits.as_ptr().cast());
            let high = _mm_loadu_si128(bits.as_ptr().add(12).cast());
            // Of each half, eight bytes from 0 and from 6 on.
            let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 10, 11, 12, 13);
            let places = _mm256_broadcastsi128_si256(places);
            Self(_mm256_shuffle_epi8(_mm256_set_m128i(high, low), places))
        }
    }

    /// Whether no bit is set.
    #[inline(always)]
    pub(crate) fn is_zero(self) -> bool {
        // SAFETY: `Windows` exist only where the CPU has AVX2.
        unsafe { _mm256_testz_si256(self.0, self.0) == 1 }
    }

    /// The word of each window, without the bytes that are in the window before it.
    #[inline(always)]
    pub(crate) fn words(self) -> [u64; WINDOWS] {
        let mut words = [0; WINDOWS];
        // SAFETY: `Windows` exist only where the CPU has AVX2; four words are 32 bytes, and `storeu` needs no
        // alignment.
        unsafe {
            let new = _mm256_srli_epi64::<16>(self.0);
            _mm256_storeu_si256(words.as_mut_ptr().cast(), new);
        }
        words
    }
}

impl BitAnd for Windows {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: `Windows` exist only where the CPU has AVX2.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }
}

impl BitOr for Windows {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: `Windows` exist only where the CPU has AVX2.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }
}

impl Bits for Windows {
    #[inline(always)]
    fn later<const BYTES: u32>(self) -> Self {
        // SAFETY: `Windows` exist only where the CPU has AVX2.
        Self(unsafe { _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(BYTES.cast_signed())) })
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: `Windows` exist only where the CPU has AVX2.
        Self(unsafe { _mm256_andnot_si256(other.0, self.0) })
    }
}

/// # Safety
/// The CPU must have AVX2, BMI1 and BMI2.
#[target_feature(enable = "avx2,bmi1,bmi2")]
unsafe fn drive_with_avx2<V: Values>(kernel: Avx2, pass: &mut Pass<'_, V>) {
    drive_batches(kernel, pass);
}

/// Sets what half a block's bytes are in each row, the first `skipped` left out.
///
/// Half a block, as a whole one has more words than there are registers to keep them in.
///
/// # Safety
/// The CPU must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn classify(bytes: &[u8; HALF_BYTES], skipped: usize, rows: &mut Block<Row>, half: usize) {
    // SAFETY: they are 32 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let set = |row: &mut Row, is| row.set(half, _mm256_movemask_epi8(is).cast_unsigned() >> skipped);
    set(&mut rows.digit, in_range::<b'0', b'9'>(bytes));
    let lower_case = _mm256_or_si256(bytes, all(0x20));
    set(&mut rows.letter, in_range::<b'a', b'z'>(lower_case));
    set(&mut rows.at, equal::<b'@'>(bytes));
    set(&mut rows.dot, equal::<b'.'>(bytes));
    set(&mut rows.dash, equal::<b'-'>(bytes));
    set(&mut rows.space, equal::<b' '>(bytes));
    // The low half of `I` is that of `y`.
    let key_first = _mm256_or_si256(one_of(bytes, &H_Y), equal::<b'I'>(bytes));
    set(&mut rows.key_first, key_first);
    set(&mut rows.key_second, one_of(bytes, &A_J_UNDERSCORE));
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// All ones where a byte is from `FIRST` to `LAST`.
#[inline]
#[target_feature(enable = "avx2")]
fn in_range<const FIRST: u8, const LAST: u8>(bytes: __m256i) -> __m256i {
    // Bytes are compared as signed ones: moved so that `LAST` is the greatest, all but the range are below it.
    let moved_by = i8::MAX.cast_unsigned() - LAST;
    let moved = _mm256_add_epi8(bytes, all(moved_by));
    _mm256_cmpgt_epi8(moved, all(FIRST - 1 + moved_by))
}

#[inline]
#[target_feature(enable = "avx2")]
fn equal<const BYTE: u8>(bytes: __m256i) -> __m256i {
    _mm256_cmpeq_epi8(bytes, all(BYTE))
}

static H_Y: [u8; 16] = by_low_half(*b"hy");
static A_J_UNDERSCORE: [u8; 16] = by_low_half(*b"AJ_");

/// ASCII bytes by their low halves, of which no two are the same; elsewhere a byte that is not ASCII.
const fn by_low_half<const COUNT: usize>(bytes: [u8; COUNT]) -> [u8; 16] {
    let mut table = [0x80; 16];
    let mut index = 0;
    while index < COUNT {
        let place = &mut table[(bytes[index] % 16) as usize];
        assert!(bytes[index].is_ascii() && *place == 0x80);
        *place = bytes[index];
        index += 1;
    }
    table
}

/// All ones where a byte is in the table: it is compared with the one that has its low half.
#[inline]
#[target_feature(enable = "avx2")]
fn one_of(bytes: __m256i, by_low_half: &[u8; 16]) -> __m256i {
    // SAFETY: they are 16 readable bytes, and `loadu` needs no alignment.
    let table = unsafe { _mm_loadu_si128(by_low_half.as_ptr().cast()) };
    // For bytes that are not ASCII the look-up answers zero, which they are not either.
    let same_low_half = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), bytes);
    _mm256_cmpeq_epi8(bytes, same_low_half)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::batch::{BATCH_BYTES, GROUP_BYTES};
    use super::super::scalar::Scalar;
    use super::super::{BLOCK_BYTES, Classify, kinds};
    use super::*;
    use crate::{Class, ClassSet};

    /// Some bytes of a buffer, with zeros where it has none.
    fn block_at(bytes: &[u8], start: isize) -> [u8; BLOCK_BYTES] {
        std::array::from_fn(|place| {
            let place = start.checked_add_unsigned(place).map(usize::try_from);
            place
                .and_then(|place| bytes.get(place.ok()?).copied())
                .unwrap_or(0)
        })
    }

    fn block_of(batch: &Batch, block: usize) -> Block<u64> {
        batch.rows().map(|row| row.block(block))
    }

    /// Looks at all batches of a buffer, and wants in each block and each window what the scalar kernel sees there.
    fn agrees_with_the_scalar_one(bytes: &[u8], classes: ClassSet) {
        // A CPU without the features has nothing to test.
        let Some(kernel) = Avx2::detect() else {
            return;
        };
        let wanted = Candidates::wanted(classes);
        let wanted_windows = wanted.map(|bits| Windows::all(kernel, bits));
        let mut batch = Batch::default();
        for (start, new) in (0..).step_by(BATCH_BYTES).zip(bytes.chunks(BATCH_BYTES)) {
            batch.turn();
            for (group, new) in new.chunks(GROUP_BYTES).enumerate() {
                kernel.fill(&mut batch, group, new);
            }
            for (block, start) in (start..start + new.len()).step_by(BLOCK_BYTES).enumerate() {
                let want = Scalar.classify(&block_at(bytes, start.cast_signed()));
                assert_eq!(
                    block_of(&batch, block),
                    want,
                    "block at {start} of {}",
                    bytes.len()
                );
            }
            for (group, start) in (start..start + new.len()).step_by(GROUP_BYTES).enumerate() {
                let found = kernel.look(&batch, group, &wanted_windows);
                let any = found.any().words();
                let found = found.map(Windows::words);
                for window in 0..WINDOWS {
                    let start = start + window * WINDOW_BYTES;
                    let bytes_of_window =
                        block_at(bytes, start.cast_signed() - LOOK_BACK_BYTES.cast_signed());
                    let want = Candidates::of(&Scalar.classify(&bytes_of_window)).and(&wanted);
                    let want = want.map(|bits| bits >> LOOK_BACK_BYTES);
                    let found = found.map(|words| words[window]);
                    assert_eq!(found, want, "window at {start} of {}", bytes.len());
                    assert_eq!(any[window], want.any(), "window at {start} of {}", bytes.len());
                }
            }
        }
    }

    #[test]
    fn every_byte_is_known_at_every_place() {
        let Some(kernel) = Avx2::detect() else {
            return;
        };
        let mut batch = Batch::default();
        for byte in 0..=u8::MAX {
            let want = kinds(byte);
            for place in 0..BLOCK_BYTES {
                let mut bytes = [0; BLOCK_BYTES + 1];
                bytes[place] = byte;
                for length in [place + 1, BLOCK_BYTES, BLOCK_BYTES + 1] {
                    kernel.fill(&mut batch, 0, &bytes[..length]);
                    let block = block_of(&batch, 0);
                    let words = [
                        block.digit,
                        block.letter,
                        block.at,
                        block.dot,
                        block.dash,
                        block.space,
                        block.key_first,
                        block.key_second,
                    ];
                    for (kind, word) in words.into_iter().enumerate() {
                        let want = u64::from(want >> kind & 1) << place;
                        assert_eq!(word, want, "kind {kind} of {byte:#04x} at {place}");
                    }
                    assert_eq!(block_of(&batch, 2), Block::default());
                }
            }
        }
    }

    #[test]
    fn candidates_are_found_at_every_place_of_two_batches() {
        for text in [
            "a@b.co",
            "4111111111111",
            "4111-1111-1111-1",
            "123-45-6789",
            "111.222.133.144",
            "DE89 3704",
            "AKIA",
            "github_pat_",
            "eyJ",
        ] {
            for start in 0..=2 * BATCH_BYTES - text.len() {
                let mut bytes = [b','; 2 * BATCH_BYTES];
                bytes[start..start + text.len()].copy_from_slice(text.as_bytes());
                agrees_with_the_scalar_one(&bytes, ClassSet::ALL);
            }
        }
    }

    #[test]
    fn buffers_of_every_length_are_seen_to_their_end() {
        let text = b"4111-1111 1111-1111 1.22.3.4 078-05-1120 gb29NWBK jo@b.co AKIA ghp_ eyJ ".repeat(40);
        for length in 0..=3 * BATCH_BYTES {
            agrees_with_the_scalar_one(&text[text.len() - length..], ClassSet::ALL);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_seen_alike(
            bytes in vec(
                prop_oneof![
                    4 => b'0'..=b'9',
                    2 => select(b"@.- _IyhAJgKe".to_vec()),
                    2 => any::<u8>(),
                ],
                0..3 * BATCH_BYTES,
            ),
        ) {
            for classes in [ClassSet::ALL, ClassSet::ALL.without(Class::Email)] {
                agrees_with_the_scalar_one(&bytes, classes);
            }
        }
    }
}
