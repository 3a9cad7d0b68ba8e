//! E-mail addresses.
//!
//! A hit is an `@` with a local part before and a domain behind it.
//!
//! The local part is what can be read backwards from the `@` of letters, digits, bytes over 0x7F and
//! ``!#$%&*+-.=@^_~``, and of apostrophes between two of the first three: RFC 5322's atoms without what is commoner
//! as punctuation around an address (`` ' / ? ` { | } ``). At most 128 bytes are taken, and not less than whole
//! characters. A backslash (JSON, COPY and many logs escape with it) that is not itself escaped begins an escape
//! whose letter was read already: it is taken as well, so that no half of an escape is left, and ends the local part
//! unless it is `\uXXXX`, which is a character of it.
//!
//! The domain is what can be read forwards of letters, digits, bytes over 0x7F and `.-_`, up to 255 bytes and whole
//! characters, without the dots, dashes and underscores at its end. It must have a dot somewhere behind its first
//! byte with two letters after it: `user@host` and `a@1.2` are no addresses.

use std::ops::Range;

use super::View;
use crate::bytes::{DOMAIN, LETTER, LOCAL, WORD, is_continuation, is_in};

/// The most bytes before the `@` that are masked: twice what RFC 5321 (4.5.3.1.1) allows.
pub(crate) const LOCAL_MAX: usize = 128;
/// The most bytes after the `@` that are read (RFC 5321, 4.5.3.1.2).
pub(crate) const DOMAIN_MAX: usize = 255;
/// How many backslashes before a local part are counted to tell an escape from an escaped backslash.
pub(crate) const BACKSLASHES_MAX: usize = 16;

/// The bytes after the first that a character of UTF-8 may have.
const CONTINUATIONS_MAX: usize = 3;

/// The hit whose `@` is at `at`, `last_end` being where the last hit of the class ended.
///
/// A local part that reaches the last hit's end is not read again: what was masked then holds all that is before.
pub(crate) fn find(view: &View<'_>, at: usize, last_end: usize) -> Option<Range<usize>> {
    let first = view.start().max(at.saturating_sub(LOCAL_MAX));
    let may_end_local = |byte| is_in(byte, LOCAL) || byte == b'\\';
    if at < last_end || !view.before(at).is_some_and(may_end_local) {
        return None;
    }
    let end = domain_end(view, at)?;
    let mut start = local_start(view, at, first, last_end);
    if start == first {
        start = character_start(view, start);
    }
    (start < at).then_some(start..end)
}

fn domain_end(view: &View<'_>, at: usize) -> Option<usize> {
    let mut end = at + 1;
    let mut trimmed = end;
    let mut letters = 0;
    let mut has_top_level = false;
    while let Some(byte) = view.byte(end).filter(|byte| is_in(*byte, DOMAIN)) {
        let length = end - at;
        if length > DOMAIN_MAX && (length > DOMAIN_MAX + CONTINUATIONS_MAX || !is_continuation(byte)) {
            break;
        }
        end += 1;
        if is_in(byte, WORD) {
            trimmed = end;
        }
        // 1 after a dot, 2 after a letter behind that, 3 after another.
        letters = match letters {
            _ if byte == b'.' && length > 1 => 1,
            1..=2 if is_in(byte, LETTER) => letters + 1,
            _ => 0,
        };
        has_top_level |= letters == 3;
    }
    has_top_level.then_some(trimmed)
}

/// Where the local part begins that ends before `at`, at `first` or later.
///
/// Where it reaches `last_end`, a byte before that is the answer: the two hits overlap and count as one.
fn local_start(view: &View<'_>, at: usize, first: usize, last_end: usize) -> usize {
    let mut start = at;
    while start > first {
        if start == last_end {
            return start - 1;
        }
        let Some(byte) = view.before(start) else { break };
        if is_in(byte, LOCAL) {
            start -= 1;
        } else if byte == b'\'' && is_inside_word(view, start - 1, first) {
            start -= 1;
        } else if byte == b'\\' && is_escape(view, start) {
            start -= 1;
            if !is_unicode_escape(view, start) {
                break;
            }
        } else {
            break;
        }
    }
    start
}

fn is_inside_word(view: &View<'_>, apostrophe: usize, first: usize) -> bool {
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| is_in(byte, WORD));
    apostrophe > first && is_word(view.before(apostrophe)) && is_word(view.byte(apostrophe + 1))
}

/// Whether the backslash before `end` is the first of its pair.
fn is_escape(view: &View<'_>, end: usize) -> bool {
    let mut backslashes = 0;
    while backslashes < BACKSLASHES_MAX && view.before(end - backslashes) == Some(b'\\') {
        backslashes += 1;
    }
    backslashes % 2 == 1
}

fn is_unicode_escape(view: &View<'_>, backslash: usize) -> bool {
    view.byte(backslash + 1) == Some(b'u')
        && (backslash + 2..backslash + 6).all(|at| view.byte(at).is_some_and(|byte| byte.is_ascii_hexdigit()))
}

/// Where the character begins that `at` may be in the middle of.
fn character_start(view: &View<'_>, at: usize) -> usize {
    let mut start = at;
    while at - start < CONTINUATIONS_MAX
        && view.byte(start).is_some_and(is_continuation)
        && view.before(start).is_some_and(|byte| byte >= 0x80)
    {
        start -= 1;
    }
    start
}
