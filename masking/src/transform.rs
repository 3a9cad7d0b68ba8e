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
    let bytes = hit.len();
    // Whole chunks from the start and one to the end: to mask a byte again changes nothing.
    match bytes {
        0..8 => fix(hit),
        8..16 => {
            fix(&mut hit[..8]);
            fix(&mut hit[bytes - 8..]);
        }
        _ => {
            for chunk in hit.as_chunks_mut::<16>().0 {
                fix(chunk);
            }
            fix(&mut hit[bytes - 16..]);
        }
    }
}

/// Masks byte for byte, which the compiler does at once where it knows how many there are.
#[inline]
fn fix(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = if *byte == b'@' { b'@' } else { FILL };
    }
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
