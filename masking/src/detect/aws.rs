//! AWS access key ids.
//!
//! A hit is `AKIA` or `ASIA` and the sixteen capitals or digits that follow, whatever stands around the twenty.

use std::ops::Range;

use super::View;
use crate::bytes::{CAPITAL_OR_DIGIT, is_in};

const PREFIX_BYTES: usize = 4;
const KEY_BYTES: usize = 20;

/// The hit whose fourth byte is at `at`.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let start = view.back(at, PREFIX_BYTES - 1)?;
    let hit = start..start + KEY_BYTES;
    let is_prefix = matches!(view.byte(start)?, b'A')
        && matches!(view.byte(start + 1)?, b'K' | b'S')
        && view.byte(start + 2)? == b'I'
        && view.byte(start + 3)? == b'A';
    let is_key = |at| view.byte(at).is_some_and(|byte| is_in(byte, CAPITAL_OR_DIGIT));
    (is_prefix && (start + PREFIX_BYTES..hit.end).all(is_key)).then_some(hit)
}
