//! The transform `fixed`: every byte gives way to a fixed one, in place.
//!
//! The length in bytes stays, so frames keep their headers; a `*` for every byte is valid UTF-8 whatever was there.

use std::ops::Range;

/// What masked bytes are replaced with.
pub const FILL: u8 = b'*';

/// Masks a whole value, as columns named in the configuration are: every byte becomes `*`.
///
/// Nothing of the value but its length in bytes is left.
pub fn fixed(value: &mut [u8]) {
    value.fill(FILL);
}

/// Masks what a detector found: every byte becomes `*`, but an `@` stays.
///
/// No class but e-mail has an `@` in its hits, so the rule needs no class, and overlapping hits cannot disagree.
#[inline]
pub(crate) fn fixed_hit(buf: &mut [u8], hit: Range<usize>) {
    let hit = &mut buf[hit];
    let Some(last) = hit.last_chunk().copied() else {
        for byte in hit {
            *byte = if *byte == b'@' { b'@' } else { FILL };
        }
        return;
    };
    // Words from the start and one to the end. That one is read before anything is written: to read what was written
    // in another place of a word a moment ago waits for it.
    for word in hit.as_chunks_mut().0 {
        *word = fix_word(*word);
    }
    if let Some(to) = hit.last_chunk_mut() {
        *to = fix_word(last);
    }
}

/// Masks eight bytes.
#[inline]
const fn fix_word(bytes: [u8; 8]) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = EACH << 7;
    let word = u64::from_ne_bytes(bytes);
    let difference = word ^ (EACH * b'@' as u64);
    // The highest bit of each byte that is an `@`, then all of its bits.
    let is_at = !(((difference & !HIGHEST) + !HIGHEST) | difference) & HIGHEST;
    let kept = (is_at >> 7) * 0xFF;
    (word & kept | (EACH * FILL as u64) & !kept).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_length_is_left() {
        let mut value = "José 4111".to_owned().into_bytes();
        fixed(&mut value);
        assert_eq!(value, b"**********");
    }

    #[test]
    fn a_hit_keeps_its_at_sign() {
        for length in 1..40 {
            let mut value = vec![b'x'; length + 2];
            value[1 + length / 2] = b'@';
            fixed_hit(&mut value, 1..1 + length);
            let mut want = vec![b'*'; length + 2];
            (want[0], want[1 + length / 2], want[1 + length]) = (b'x', b'@', b'x');
            assert_eq!(value, want);
        }
    }
}
