//! The kernel for x86-64 with AVX2: comparisons of 32 bytes, whose highest bits are gathered, and four words at once.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_setr_epi8, _mm256_add_epi8, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi64x, _mm256_shuffle_epi8, _mm256_sll_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_testz_si256,
};
use std::ops::ControlFlow::{self, Continue};
use std::ops::{BitAnd, BitOr};

use super::batch::{Batch, HALF_BYTES, Row, WINDOW_BYTES, WINDOWS};
use super::{Bits, Kernel, Kinds, LOOK_BACK_BYTES};
use crate::Values;
use crate::detect::email::{Around, Plain};
use crate::scan::{Pass, drive_batches};

/// Proof that this CPU has AVX2, BMI1, BMI2, LZCNT and POPCNT: there is no other way to one than [`Avx2::detect`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The kernel, if the CPU has what it needs. The standard library asks the CPU once.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
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

    /// The windows of a group.
    #[inline(always)]
    pub(crate) fn windows(self, batch: &Batch, group: usize) -> Kinds<Windows> {
        batch.rows().map(|row| Windows::of(self, row.group(group)))
    }

    /// Has the addresses at these places of a batch validated, which begins at `start`.
    #[inline(always)]
    pub(crate) fn addresses<V: Values>(
        self,
        pass: &mut Pass<'_, V>,
        start: usize,
        places: &[u16],
    ) -> ControlFlow<()> {
        if places.is_empty() {
            return Continue(());
        }
        // SAFETY: an `Avx2` exists only where the CPU has AVX2, BMI1, BMI2, LZCNT and POPCNT.
        unsafe { addresses_with_avx2(self, pass, start, places) }
    }
}

impl Kernel for Avx2 {
    /// Runs a pass compiled for these features.
    #[inline]
    fn drive<V: Values>(self, pass: &mut Pass<'_, V>) {
        // SAFETY: an `Avx2` exists only where the CPU has AVX2, BMI1, BMI2, LZCNT and POPCNT.
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
/// The CPU must have the features of an [`Avx2`].
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn drive_with_avx2<V: Values>(kernel: Avx2, pass: &mut Pass<'_, V>) {
    drive_batches(kernel, pass);
}

/// Not a part of the pass itself: what that compares blocks with would have to be loaded again behind each address.
///
/// # Safety
/// The CPU must have the features of an [`Avx2`].
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn addresses_with_avx2<V: Values>(
    kernel: Avx2,
    pass: &mut Pass<'_, V>,
    start: usize,
    places: &[u16],
) -> ControlFlow<()> {
    for place in places {
        pass.address(start + usize::from(*place), kernel)?;
    }
    Continue(())
}

/// How many bytes are looked at on each side of an `@`.
const BESIDE_BYTES: usize = 32;

/// An address is read from the bytes themselves: rows would have to be put together again.
impl Around for Avx2 {
    #[inline(always)]
    fn behind(&self, buf: &[u8], at: usize, end: usize) -> Option<(Plain, usize)> {
        let bytes = buf.get(at + 1..)?;
        // SAFETY: an `Avx2` exists only where the CPU has AVX2.
        let (plain, is_ascii) = unsafe {
            match bytes.first_chunk() {
                Some(bytes) => plain(bytes),
                None => plain(&padded(bytes, 0)),
            }
        };
        let room = (1 << (end - at - 1).min(BESIDE_BYTES)) - 1;
        let length = (plain.domain & room).trailing_ones() as usize;
        let goes_on = !is_ascii & room & 1 << length != 0;
        (length < BESIDE_BYTES && !goes_on).then_some((plain, length))
    }

    #[inline(always)]
    fn before(&self, buf: &[u8], at: usize) -> usize {
        let bytes = buf.get(..at).unwrap_or_default();
        // SAFETY: an `Avx2` exists only where the CPU has AVX2.
        let in_domain = unsafe {
            match bytes.last_chunk() {
                Some(bytes) => in_domain(bytes),
                None => in_domain(&padded(bytes, BESIDE_BYTES - bytes.len())),
            }
        };
        in_domain.leading_ones() as usize
    }
}

/// The bytes from `start` on, among zeros.
#[cold]
fn padded(bytes: &[u8], start: usize) -> [u8; BESIDE_BYTES] {
    let mut padded = [0; BESIDE_BYTES];
    padded[start..start + bytes.len()].copy_from_slice(bytes);
    padded
}

/// What the bytes are in an address, and which are ASCII; bits that are no byte's are not.
///
/// # Safety
/// The CPU must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn plain(bytes: &[u8; BESIDE_BYTES]) -> (Plain, u64) {
    // SAFETY: they are 32 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let letter = bits(is_letter(bytes));
    let word = letter | bits(in_range::<b'0', b'9'>(bytes));
    let dot = bits(equal::<b'.'>(bytes));
    let domain = word | dot | bits(one_of(bytes, &DASH_UNDERSCORE));
    let plain = Plain {
        letter: letter.into(),
        dot: dot.into(),
        word: word.into(),
        domain: domain.into(),
    };
    (plain, (!bits(bytes)).into())
}

/// Which bytes may stand in a domain.
///
/// # Safety
/// The CPU must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn in_domain(bytes: &[u8; BESIDE_BYTES]) -> u32 {
    // SAFETY: they are 32 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let word = _mm256_or_si256(is_letter(bytes), in_range::<b'0', b'9'>(bytes));
    bits(_mm256_or_si256(word, one_of(bytes, &DOT_DASH_UNDERSCORE)))
}

/// Sets what half a block's bytes are in each row, the first `skipped` left out.
///
/// Half a block, as a whole one has more words than there are registers to keep them in.
///
/// # Safety
/// The CPU must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn classify(bytes: &[u8; HALF_BYTES], skipped: usize, rows: &mut Kinds<Row>, half: usize) {
    // SAFETY: they are 32 readable bytes, and `loadu` needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let set = |row: &mut Row, is| row.set(half, bits(is) >> skipped);
    set(&mut rows.digit, in_range::<b'0', b'9'>(bytes));
    set(&mut rows.letter, is_letter(bytes));
    set(&mut rows.at, equal::<b'@'>(bytes));
    set(&mut rows.dot, equal::<b'.'>(bytes));
    set(&mut rows.separator, one_of(bytes, &DASH_SPACE));
    // The low half of `I` is that of `y`.
    let key_first = _mm256_or_si256(one_of(bytes, &H_Y), equal::<b'I'>(bytes));
    set(&mut rows.key_first, key_first);
    set(&mut rows.key_second, one_of(bytes, &A_J_UNDERSCORE));
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(bytes: __m256i) -> u32 {
    _mm256_movemask_epi8(bytes).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_letter(bytes: __m256i) -> __m256i {
    in_range::<b'a', b'z'>(_mm256_or_si256(bytes, all(0x20)))
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

static DASH_SPACE: [u8; 16] = by_low_half(*b"- ");
static DASH_UNDERSCORE: [u8; 16] = by_low_half(*b"-_");
static DOT_DASH_UNDERSCORE: [u8; 16] = by_low_half(*b".-_");
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
    use super::super::{BLOCK_BYTES, Candidates, Classify, kinds};
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

    fn block_of(batch: &Batch, block: usize) -> Kinds<u64> {
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
                let want = Scalar.classify(&block_at(bytes, start.cast_signed())).kinds;
                assert_eq!(
                    block_of(&batch, block),
                    want,
                    "block at {start} of {}",
                    bytes.len()
                );
            }
            for (group, start) in (start..start + new.len()).step_by(GROUP_BYTES).enumerate() {
                let windows = kernel.windows(&batch, group);
                let hint = Candidates::hint(&windows);
                let found = Candidates::of(&windows).and(&wanted_windows);
                assert!(!hint.is_zero() || found.any_but_email().is_zero());
                let any = found.any().words();
                let found = found.map(Windows::words);
                for window in 0..WINDOWS {
                    let start = start + window * WINDOW_BYTES;
                    let bytes_of_window =
                        block_at(bytes, start.cast_signed() - LOOK_BACK_BYTES.cast_signed());
                    let want = Candidates::of(&Scalar.classify(&bytes_of_window).kinds).and(&wanted);
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
                        block.separator,
                        block.key_first,
                        block.key_second,
                    ];
                    for (kind, word) in words.into_iter().enumerate() {
                        let want = u64::from(want >> kind & 1) << place;
                        assert_eq!(word, want, "kind {kind} of {byte:#04x} at {place}");
                    }
                    assert_eq!(block_of(&batch, 2), Kinds::default());
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
