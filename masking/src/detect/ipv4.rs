//! IPv4 addresses.
//!
//! A hit is four decimal numbers of one to three digits, none over 255, with dots between them and no digit right
//! before or after. Letters and further dots do not matter: of a number of five parts or more every four neighbours
//! that could be an address are masked, as some tools write the port behind a fifth dot.

use std::ops::Range;

use super::View;

/// The hit whose fourth number begins at `at`.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let mut before = view.text_before(at);
    for _ in 0..3 {
        let [head @ .., b'.'] = before else { return None };
        before = octet_off(head)?;
    }
    let end = view.run_end(at, OCTET_DIGITS_MAX + 1, |byte| byte.is_ascii_digit());
    is_octet(view.text(at..end)).then_some(view.start() + before.len()..end)
}

const OCTET_DIGITS_MAX: usize = 3;

/// The text without the number that it ends with, if that is one of an address.
#[inline]
fn octet_off(text: &[u8]) -> Option<&[u8]> {
    let window = &text[text.len().saturating_sub(OCTET_DIGITS_MAX + 1)..];
    let digits = window
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (head, octet) = text.split_at(text.len() - digits);
    is_octet(octet).then_some(head)
}

/// Whether the digits are a number of an address.
#[inline]
fn is_octet(digits: &[u8]) -> bool {
    match digits {
        [_] | [_, _] | [b'0' | b'1', _, _] => true,
        [b'2', tens, units] => (*tens, *units) <= (b'5', b'5'),
        _ => false,
    }
}
