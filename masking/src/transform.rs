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
pub(crate) fn fixed_hit(buf: &mut [u8], hit: Range<usize>) {
    for byte in &mut buf[hit] {
        if *byte != b'@' {
            *byte = FILL;
        }
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
        let mut value = b"<jo@x.org>".to_vec();
        fixed_hit(&mut value, 1..9);
        assert_eq!(value, b"<**@*****>");
    }
}
