//! GitHub tokens.
//!
//! A hit is `ghp_`, `gho_`, `ghu_`, `ghs_` or `ghr_` with at least 36 letters, digits and underscores behind it, or
//! `github_pat_` with at least 22, and all further such bytes, whatever stands before.

use std::ops::Range;

use super::View;
use crate::bytes::{TOKEN, is_in};

/// The fewest characters after `ghp_` and its like.
pub(crate) const SHORT_BODY_MIN: usize = 36;
/// The fewest characters after `github_pat_`.
pub(crate) const LONG_BODY_MIN: usize = 22;

const LONG_PREFIX: &[u8] = b"github_pat_";
const LONG_PREFIX_HEAD_BYTES: usize = b"github".len();

/// The hit whose first underscore is at `at`.
///
/// Where the body is long enough, it may go on behind the last byte that is there.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let (start, body, body_min) = prefix(view, at)?;
    let end = view.run_end(body, usize::MAX, is_body);
    (end - body >= body_min).then_some(start..end)
}

/// Whether the byte goes on a token that was found.
pub(crate) fn is_body(byte: u8) -> bool {
    is_in(byte, TOKEN)
}

/// The start of the prefix, the start of the body, and how long that has to be.
fn prefix(view: &View<'_>, at: usize) -> Option<(usize, usize, usize)> {
    let kind = view.back(at, 1)?;
    if matches!(view.byte(kind), Some(b'p' | b'o' | b'u' | b's' | b'r')) {
        let start = view.back(at, 3)?;
        let is_prefix = view.byte(start) == Some(b'g') && view.byte(start + 1) == Some(b'h');
        return is_prefix.then_some((start, at + 1, SHORT_BODY_MIN));
    }
    let start = view.back(at, LONG_PREFIX_HEAD_BYTES)?;
    let body = start + LONG_PREFIX.len();
    let is_prefix = (start..body)
        .zip(LONG_PREFIX)
        .all(|(at, byte)| view.byte(at) == Some(*byte));
    is_prefix.then_some((start, body, LONG_BODY_MIN))
}
