//! US social security numbers.
//!
//! A hit is `ddd-dd-dddd` with no digit right before or after it, where the area is not 000, 666 or 9dd, the group
//! not 00 and the serial not 0000. Letters and dashes around it do not matter.

use std::ops::Range;

use super::View;

/// The hit whose last digit is at `at`.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let hit = view.back(at, 10)?..at + 1;
    let text = view.array::<11>(hit.start)?;
    let [area @ .., b'-', g0, g1, b'-', s0, s1, s2, s3] = text else {
        return None;
    };
    let digits = [area[0], area[1], area[2], g0, g1, s0, s1, s2, s3];
    let issued = area != *b"000"
        && area != *b"666"
        && area[0] != b'9'
        && [g0, g1] != *b"00"
        && [s0, s1, s2, s3] != *b"0000";
    (issued && digits.iter().all(u8::is_ascii_digit) && !view.is_within_digits(&hit)).then_some(hit)
}
