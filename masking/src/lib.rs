//! Detectors, transforms and the streaming masker.
//!
//! The crate finds personal and secret data by content and masks it in place. It knows bytes, not protocols: where
//! values lie in a buffer of frames is said by the caller ([`Values`]), and what columns are to be masked as a whole
//! is the caller's too ([`fixed`]).
//!
//! ```
//! use sluice_masking::{Class, ClassSet, Counts, mask_values};
//!
//! // Two values behind length bytes, one of them an address.
//! let mut buf = *b"\x05hello\x0Ejo@example.org";
//! let mut counts = Counts::default();
//! mask_values(&mut buf, ClassSet::ALL, [1..6, 7..21], &mut counts);
//! assert_eq!(&buf, b"\x05hello\x0E**@***********");
//! assert_eq!(counts.of(Class::Email), 1);
//! ```
//!
//! # What is masked
//!
//! A byte is masked if it lies in a hit of a wanted class. What a hit is depends on the value alone, never on bytes
//! beside it, and each class is looked for in the original bytes, so one class more never masks less. Hits of a class
//! that overlap count as one. A hit's bytes become `*`, and its `@` stays; the value keeps its length, and valid UTF-8
//! stays valid.
//!
//! | class | a hit is | right beside it may not be |
//! |---|---|---|
//! | `email` | a local part of up to 128 bytes, `@`, a domain with two letters behind a dot | what belongs to either: longest match |
//! | `payment_card` | 13 to 19 digits with single spaces or single dashes, an issuer's prefix and length, Luhn's digit | digits; letters on both sides; hexadecimal letters, if separated; `digit.` before |
//! | `us_ssn` | `ddd-dd-dddd` that can have been issued | digits |
//! | `ipv4` | four numbers up to 255 with dots | digits |
//! | `iban` | country, check digits, structure, remainder; in fours or not, capitals or not | letters or digits on both sides |
//! | `aws_key` | `AKIA` or `ASIA` and 16 capitals or digits | anything may |
//! | `github_token` | `gh?_` and 36 or more, `github_pat_` and 22 or more letters, digits, `_` | anything may; longest match |
//! | `jwt` | `eyJ...` of 16 to 8,192 base64url characters, a dot, and all base64url and dots that follow | anything may; longest match |
//!
//! The modules of `detect` have the details; `naive` has the same as plain code, and every engine is compared to it.
//! Where text could be read either way, it is masked. Content detection is no defence against a client that has the
//! server rewrite values (`reverse(card)`): that is what policy on columns is for.
//!
//! # Cost
//!
//! One pass over the whole buffer, headers included, finds candidates 64 bytes a step; values are resolved and
//! validators run only there. Time is linear in the buffer whatever is in it, and nothing is allocated.

#![deny(unsafe_code)]

mod bytes;
mod class;
pub mod copy;
mod detect;
pub mod fuzz;
#[allow(unsafe_code)] // SIMD intrinsics, and nothing else.
mod kernel;
pub mod naive;
mod pending;
mod scan;
mod stream;
mod transform;
mod values;

use std::ops::Range;

pub use class::{Class, ClassSet, Counts};
pub use stream::{HOLD_BACK_MAX, ValueStream};
pub use transform::{FILL, fixed};
pub use values::{Ranges, Values, Whole};

/// Masks every hit of `classes` in the values of `buf`, in place, in one pass over the buffer.
///
/// The hits are added to `counts`. Bytes outside of values never change.
pub fn mask(buf: &mut [u8], classes: ClassSet, values: &mut impl Values, counts: &mut Counts) {
    if !classes.is_empty() {
        scan::mask(buf, classes, values, counts);
    }
}

/// Masks every hit of `classes` in one value.
pub fn mask_value(value: &mut [u8], classes: ClassSet, counts: &mut Counts) {
    mask(value, classes, &mut Whole, counts);
}

/// Masks every hit of `classes` in the values at these ascending ranges of `buf`.
pub fn mask_values(
    buf: &mut [u8],
    classes: ClassSet,
    values: impl IntoIterator<Item = Range<usize>>,
    counts: &mut Counts,
) {
    mask(buf, classes, &mut Ranges::new(values), counts);
}

#[cfg(test)]
mod tests;
