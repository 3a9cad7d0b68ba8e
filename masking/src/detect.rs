//! What is a hit, class by class: the facts, and the validators that run at candidates.
//!
//! A validator gets the value and a candidate's place and answers with the hit that the candidate belongs to, if it
//! belongs to one. It looks no further back than [`LOOK_BEHIND`] bytes, and forward over bytes that it will not be
//! asked about again or over a few dozen at most, so that a pass is linear in the buffer whatever is in it.

pub(crate) mod aws;
pub(crate) mod card;
pub(crate) mod email;
pub(crate) mod github;
pub(crate) mod iban;
pub(crate) mod ipv4;
pub(crate) mod jwt;
pub(crate) mod ssn;

use std::cell::Cell;
use std::ops::Range;

/// How far before a candidate a validator may look, and a hit begin.
pub(crate) const LOOK_BEHIND: usize = 160;

const _: () = assert!(LOOK_BEHIND > email::LOCAL_MAX + email::BACKSLASHES_MAX + 3);
const _: () = assert!(LOOK_BEHIND > card::LENGTH_MAX + card::DIGITS_MAX + 2);

/// How many bytes the validators of this thread have looked at, for the test that hostile input makes them look at
/// no more than a few for each byte.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local!(static EXAMINED: Cell<usize> = const { Cell::new(0) });

    pub(crate) fn add(bytes: usize) {
        EXAMINED.set(EXAMINED.get() + bytes);
    }

    pub(crate) fn take() -> usize {
        EXAMINED.replace(0)
    }
}

/// Only tests count.
#[inline]
#[cfg_attr(not(test), allow(unused_variables))]
pub(crate) fn examined(bytes: usize) {
    #[cfg(test)]
    work::add(bytes);
}

/// A value, or as much of it as is there, in its buffer: places are the buffer's.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// The buffer up to the value's end.
    text: &'a [u8],
    start: usize,
    /// Somebody asked for a byte behind the last one.
    asked_past_end: Cell<bool>,
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn new(buf: &'a [u8], value: &Range<usize>) -> Self {
        Self {
            text: &buf[..value.end],
            start: value.start,
            asked_past_end: Cell::new(false),
        }
    }

    /// The value's byte at this place.
    #[inline]
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        examined(1);
        let byte = self.text.get(at).copied();
        if byte.is_none() {
            self.asked_past_end.set(true);
        }
        byte
    }

    /// The value's bytes from this place on.
    #[inline]
    pub(crate) fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        examined(N);
        let bytes = self.text.get(at..).and_then(<[u8]>::first_chunk).copied();
        if bytes.is_none() {
            self.asked_past_end.set(true);
        }
        bytes
    }

    /// The value's byte before this place.
    #[inline]
    pub(crate) fn before(&self, at: usize) -> Option<u8> {
        examined(1);
        if at > self.start {
            self.text.get(at - 1).copied()
        } else {
            None
        }
    }

    /// The place `back` bytes before this one, if the value has it.
    #[inline]
    pub(crate) fn back(&self, at: usize, back: usize) -> Option<usize> {
        at.checked_sub(back).filter(|at| *at >= self.start)
    }

    /// The first place from `at` on, and at most `most` bytes on, whose byte does not pass the test.
    #[inline]
    pub(crate) fn run_end(&self, at: usize, most: usize, passes: impl Fn(u8) -> bool) -> usize {
        let text = self.text.get(at..).unwrap_or_default();
        let window = text.get(..most).unwrap_or(text);
        let length = window
            .iter()
            .position(|byte| !passes(*byte))
            .unwrap_or(window.len());
        examined(length + 1);
        if length == text.len() && length < most {
            self.asked_past_end.set(true);
        }
        at + length
    }

    /// The first place, back from `at` and no further than `first`, behind a byte that does not pass the test.
    #[inline]
    pub(crate) fn run_start(&self, first: usize, at: usize, passes: impl Fn(u8) -> bool) -> usize {
        let window = self.text.get(first..at).unwrap_or_default();
        window
            .iter()
            .rposition(|byte| !passes(*byte))
            .map_or(first, |place| first + place + 1)
    }

    /// The value's bytes before this place.
    #[inline]
    pub(crate) fn text_before(&self, at: usize) -> &'a [u8] {
        self.text.get(self.start..at).unwrap_or_default()
    }

    /// The value's bytes in this range.
    #[inline]
    pub(crate) fn text(&self, range: Range<usize>) -> &'a [u8] {
        examined(range.len());
        self.text.get(range).unwrap_or_default()
    }

    /// Whether a digit stands before or after the hit.
    #[inline]
    pub(crate) fn is_within_digits(&self, hit: &Range<usize>) -> bool {
        self.before(hit.start).is_some_and(|byte| byte.is_ascii_digit())
            || self.byte(hit.end).is_some_and(|byte| byte.is_ascii_digit())
    }

    /// Where the value begins.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Where the bytes that are there end.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.text.len()
    }

    /// Whether an answer would depend on bytes behind the last one.
    #[inline]
    pub(crate) fn asked_past_end(&self) -> bool {
        self.asked_past_end.get()
    }
}
