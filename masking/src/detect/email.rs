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

// What finds most addresses is compiled into the pass of each kernel, for that kernel's CPU features.
#![allow(clippy::inline_always)]

use std::ops::Range;

use super::View;
use crate::bytes::{DOMAIN, LETTER, LOCAL, WORD, is_continuation, is_in};
use crate::kernel::{BLOCK_BYTES, Block};

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

/// Which bytes behind an `@` may stand in an address, as far as they are ASCII: a bit each, the first one lowest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) letter: u64,
    pub(crate) dot: u64,
    /// Letters and digits.
    pub(crate) word: u64,
    /// What may stand in a domain; all of it may stand in a local part too.
    pub(crate) domain: u64,
}

impl Plain {
    #[inline(always)]
    fn of(block: &Block) -> Self {
        let kinds = &block.kinds;
        let word = kinds.letter | kinds.digit;
        Self {
            letter: kinds.letter,
            dot: kinds.dot,
            word,
            domain: word | kinds.dot | block.dash | kinds.underscore(),
        }
    }

    /// The bits of each moved in the same way.
    #[inline(always)]
    fn map(self, moved: impl Fn(u64) -> u64) -> Self {
        Self {
            letter: moved(self.letter),
            dot: moved(self.dot),
            word: moved(self.word),
            domain: moved(self.domain),
        }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self {
            letter: self.letter | other.letter,
            dot: self.dot | other.dot,
            word: self.word | other.word,
            domain: self.domain | other.domain,
        }
    }

    /// How many bytes the domain has that `length` bytes were read for, if it is one.
    #[inline(always)]
    fn domain_bytes(&self, length: usize) -> Option<usize> {
        let read = (1 << length) - 1;
        let (word, letter) = (self.word & read, self.letter & read);
        let has_top_level = self.dot & letter >> 1 & letter >> 2 & !1 != 0;
        (has_top_level && word != 0).then(|| (u64::BITS - word.leading_zeros()) as usize)
    }
}

/// What is known of the bytes around an `@`.
pub(crate) trait Around: Copy {
    /// The bytes behind the `@`, and how many in a row may stand in a domain before one that may not, or `end`; none
    /// if that is not known.
    fn behind(&self, buf: &[u8], at: usize, end: usize) -> Option<(Plain, usize)>;

    /// How many bytes in a row before the `@` are known, and may stand in a domain.
    fn before(&self, buf: &[u8], at: usize) -> usize;
}

/// The block that an `@` is in, and those beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// Where the block begins.
    pub(crate) start: usize,
    pub(crate) block: &'a Block,
    pub(crate) before: Option<&'a Block>,
    pub(crate) behind: Option<&'a Block>,
}

impl Around for Beside<'_> {
    #[inline(always)]
    fn behind(&self, buf: &[u8], at: usize, end: usize) -> Option<(Plain, usize)> {
        let place = (at - self.start) % BLOCK_BYTES;
        let here = Plain::of(self.block).map(|bits| bits >> place >> 1);
        let known = BLOCK_BYTES - 1 - place;
        let (plain, known) = match self.behind {
            Some(behind) => (here.or(Plain::of(behind).map(|bits| bits << known)), BLOCK_BYTES),
            None => (here, known),
        };
        let length = plain.domain.trailing_ones() as usize;
        let next = at + 1 + length;
        let goes_on = || next < end && buf.get(next).is_some_and(|byte| !byte.is_ascii());
        (length < known && next <= end && !goes_on()).then_some((plain, length))
    }

    #[inline(always)]
    fn before(&self, _buf: &[u8], at: usize) -> usize {
        let place = (at - self.start) % BLOCK_BYTES;
        let here = Plain::of(self.block).domain << (BLOCK_BYTES - 1 - place) << 1;
        let before = self.before.map_or(0, |before| Plain::of(before).domain >> place);
        (here | before).leading_ones() as usize
    }
}

/// What [`find`] answers of the value in `buf`, if the bytes near the `@` tell it: so it is with addresses that are
/// short, and plain. The value must not go on behind what is there.
// A range that is returned through memory is read back before it is written.
#[inline(always)]
pub(crate) fn find_plain(
    buf: &[u8],
    value: &Range<usize>,
    at: usize,
    last_end: usize,
    around: impl Around,
) -> Option<Range<usize>> {
    let (behind, length) = around.behind(buf, at, value.end)?;
    let end = at + 1 + behind.domain_bytes(length)?;
    let start = at.saturating_sub(around.before(buf, at)).max(value.start);
    // So it does, too, where the bytes that are known end within the local part.
    let goes_on =
        || start > value.start && buf.get(start - 1).is_some_and(|byte| GOES_ON[usize::from(*byte)]);
    (start < at && start > last_end && !goes_on()).then_some(start..end)
}

/// The bytes that a local part may go on with, towards its front.
static GOES_ON: [bool; 256] = {
    let mut goes_on = [false; 256];
    let mut byte = 0_u8;
    loop {
        goes_on[byte as usize] = is_in(byte, LOCAL) || matches!(byte, b'\\' | b'\'');
        if byte == u8::MAX {
            break goes_on;
        }
        byte += 1;
    }
};

fn domain_end(view: &View<'_>, at: usize) -> Option<usize> {
    let start = at + 1;
    let mut end = view.run_end(start, DOMAIN_MAX, |byte| is_in(byte, DOMAIN));
    if end - start == DOMAIN_MAX {
        end = view.run_end(end, CONTINUATIONS_MAX, is_continuation);
    }
    let domain = view.text(start..end);
    let length = domain.iter().rposition(|byte| is_in(*byte, WORD))? + 1;
    has_top_level(&domain[..length]).then_some(start + length)
}

/// Whether two letters follow a dot behind the first byte.
fn has_top_level(domain: &[u8]) -> bool {
    let is_letter = |byte: u8| is_in(byte, LETTER);
    let follows =
        |dot: usize| matches!(domain.get(dot + 1..dot + 3), Some([a, b]) if is_letter(*a) && is_letter(*b));
    let Some(last) = domain
        .iter()
        .rposition(|byte| *byte == b'.')
        .filter(|last| *last > 0)
    else {
        return false;
    };
    follows(last) || (1..last).any(|dot| domain[dot] == b'.' && follows(dot))
}

/// Where the local part begins that ends before `at`, at `first` or later.
///
/// Where it reaches `last_end`, a byte before that is the answer: the two hits overlap and count as one.
fn local_start(view: &View<'_>, at: usize, first: usize, last_end: usize) -> usize {
    let mut start = at;
    loop {
        start = view.run_start(first.max(last_end), start, |byte| is_in(byte, LOCAL));
        if start == first {
            return start;
        }
        if start == last_end && view.before(start).is_some_and(|byte| is_in(byte, LOCAL)) {
            return start - 1;
        }
        match view.before(start) {
            Some(b'\'') if is_inside_word(view, start - 1, first) => start -= 1,
            Some(b'\\') if is_escape(view, start) => {
                start -= 1;
                if !is_unicode_escape(view, start) {
                    return start;
                }
            }
            _ => return start,
        }
    }
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
