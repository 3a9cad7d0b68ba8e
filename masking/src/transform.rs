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

/// How many bytes of a hit are masked in a step.
const STEP_BYTES: usize = 32;

/// Masks what a detector found: every byte becomes `*`, but an `@` stays.
///
/// No class but e-mail has an `@` in its hits, so the rule needs no class, and overlapping hits cannot disagree.
#[inline]
pub(crate) fn fixed_hit(buf: &mut [u8], hit: Range<usize>) {
    let mut start = hit.start;
    while start < hit.end {
        let Some(bytes) = buf[start..].first_chunk_mut() else {
            for byte in &mut buf[start..hit.end] {
                *byte = if *byte == b'@' { b'@' } else { FILL };
            }
            return;
        };
        fix_front(bytes, hit.end - start);
        start += STEP_BYTES;
    }
}

/// Nothing of a step, then all of it.
static KEPT: [u8; 2 * STEP_BYTES] = {
    let mut kept = [0; 2 * STEP_BYTES];
    kept.split_at_mut(STEP_BYTES)
        .1
        .copy_from_slice(&[0xFF; STEP_BYTES]);
    kept
};

/// Masks the first `length` bytes. What is behind them is written too, as it was: so most hits take one step that does
/// not depend on how long they are.
#[inline]
fn fix_front(bytes: &mut [u8; STEP_BYTES], length: usize) {
    let kept = &KEPT[STEP_BYTES - length.min(STEP_BYTES)..];
    for (byte, kept) in bytes.iter_mut().zip(kept) {
        let is_at = if *byte == b'@' { 0xFF } else { 0 };
        let kept = kept | is_at;
        *byte = *byte & kept | FILL & !kept;
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
        for (length, behind) in (1..100).flat_map(|length| [(length, 1), (length, 50)]) {
            let mut value = vec![b'x'; length + 1 + behind];
            value[1 + length / 2] = b'@';
            fixed_hit(&mut value, 1..1 + length);
            let mut want = vec![b'x'; length + 1 + behind];
            want[1..=length].fill(b'*');
            want[1 + length / 2] = b'@';
            assert_eq!(value, want);
        }
    }
}
