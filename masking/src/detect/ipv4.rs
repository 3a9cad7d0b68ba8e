//! IPv4 addresses.
//!
//! A hit is four decimal numbers of one to three digits, none over 255, with dots between them and no digit right
//! before or after. Letters and further dots do not matter: of a number of five parts or more every four neighbours
//! that could be an address are masked, as some tools write the port behind a fifth dot.

use std::ops::Range;

use super::View;

/// The hit whose fourth number begins at `at`.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let mut start = at;
    for _ in 0..3 {
        start = view.back(start, 1)?;
        if view.byte(start) != Some(b'.') {
            return None;
        }
        start = octet_before(view, start)?;
    }
    let mut end = at;
    let mut number = 0;
    while let Some(digit) = view.byte(end).filter(u8::is_ascii_digit) {
        number = number * 10 + u32::from(digit - b'0');
        end += 1;
        if end - at > 3 || number > 255 {
            return None;
        }
    }
    (end > at).then_some(start..end)
}

/// Where the number that ends before `end` begins, if it is one of an address.
fn octet_before(view: &View<'_>, end: usize) -> Option<usize> {
    let mut start = end;
    let mut number = 0;
    let mut unit = 1;
    while let Some(digit) = view.before(start).filter(u8::is_ascii_digit) {
        number += u32::from(digit - b'0') * unit;
        unit *= 10;
        start -= 1;
        if end - start > 3 || number > 255 {
            return None;
        }
    }
    (start < end).then_some(start)
}
