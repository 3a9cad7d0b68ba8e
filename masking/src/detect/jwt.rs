//! JSON web tokens.
//!
//! A hit is `eyJ` (a JSON object's first bytes in base64) with the rest of a header of 16 to 8,192 base64url
//! characters, a dot, at least one such character or dot more, and all that follow: signed, unsigned, encrypted,
//! detached. What stands before `eyJ` does not matter, and the dot of a sentence that ends in a token goes with it.

use std::ops::Range;

use super::View;
use crate::bytes::{BASE64URL, DOTTED_BASE64URL, is_in};

/// The shortest header: fifteen characters of base64 cannot name an algorithm.
pub(crate) const HEADER_MIN: usize = 16;
/// The longest header that is recognised, a certificate chain included.
pub(crate) const HEADER_MAX: usize = 8192;

/// The hit whose `J` is at `at`.
///
/// `header_seen` is a place up to which an earlier header was read: runs of base64 with many `eyJ` in them are read
/// once. A hit may go on behind the last byte that is there.
pub(crate) fn find(view: &View<'_>, at: usize, header_seen: &mut usize) -> Option<Range<usize>> {
    let start = view.back(at, 2)?;
    if view.array(start) != Some(*b"eyJ") {
        return None;
    }
    let read = if start < *header_seen {
        *header_seen
    } else {
        at + 1
    };
    let dot = view.run_end(read, (start + HEADER_MAX + 1).saturating_sub(read), |byte| {
        is_in(byte, BASE64URL)
    });
    *header_seen = dot;
    let is_header = (HEADER_MIN..=HEADER_MAX).contains(&(dot - start));
    if !is_header || view.byte(dot) != Some(b'.') || !view.byte(dot + 1).is_some_and(is_body) {
        return None;
    }
    Some(start..view.run_end(dot, usize::MAX, is_body))
}

/// Whether the byte goes on a token that was found.
pub(crate) fn is_body(byte: u8) -> bool {
    is_in(byte, DOTTED_BASE64URL)
}
