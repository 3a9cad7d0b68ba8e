//! Payment card numbers.
//!
//! A hit has 13 to 19 digits, between any two of which one space or dash may stand; its first four digits and its
//! length are an issuer's, its last digit is right by Luhn. It starts and ends where a run of digits does, so a long
//! number without separators is never cut into cards, but a date before a card or a check number after it hides
//! nothing. A number with letters on *both* sides is part of an identifier, digits after `digit.` are a fraction:
//! neither is a card.

use std::ops::{Range, RangeInclusive};

use super::View;

/// The fewest digits of a card number.
pub(crate) const DIGITS_MIN: usize = 13;
/// The most digits of a card number (ISO/IEC 7812).
pub(crate) const DIGITS_MAX: usize = 19;
/// The most bytes of a card number with its separators.
pub(crate) const LENGTH_MAX: usize = 2 * DIGITS_MAX - 1;

/// Issuers by the first four digits, and the lengths that they give out.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) lengths: RangeInclusive<usize>,
}

const fn issuer(first: u16, last: u16, lengths: RangeInclusive<usize>) -> Issuer {
    Issuer { first, last, lengths }
}

/// The ranges that networks use; where four digits do not tell issuers apart, the union of both.
pub(crate) const ISSUERS: [Issuer; 20] = [
    issuer(2200, 2205, 16..=19), // Mir, Borica
    issuer(2221, 2720, 16..=16), // Mastercard
    issuer(3000, 3059, 14..=19), // Diners Club
    issuer(3095, 3095, 14..=19), // Diners Club
    issuer(3400, 3499, 15..=15), // American Express
    issuer(3528, 3589, 16..=19), // JCB
    issuer(3600, 3699, 14..=19), // Diners Club
    issuer(3700, 3799, 15..=15), // American Express
    issuer(3800, 3999, 14..=19), // Diners Club
    issuer(4000, 4999, 13..=13), // Visa, old
    issuer(4000, 4999, 16..=16), // Visa
    issuer(4000, 4999, 19..=19), // Visa
    issuer(5000, 5099, 13..=19), // Maestro, Verve, Elo, RuPay
    issuer(5100, 5599, 16..=16), // Mastercard
    issuer(5600, 6999, 13..=19), // Maestro, Discover, UnionPay, RuPay, Elo, Hipercard, Troy
    issuer(8100, 8299, 16..=19), // UnionPay, RuPay
    issuer(8600, 8600, 16..=16), // Uzcard
    issuer(9704, 9704, 16..=19), // Napas
    issuer(9792, 9792, 16..=16), // Troy
    issuer(9860, 9860, 16..=16), // Humo
];

/// The hit that ends with the run of digits around `at`.
///
/// `digits_end` becomes the run's end, before which no other candidate need be looked at.
pub(crate) fn find(view: &View<'_>, at: usize, digits_end: &mut usize) -> Option<Range<usize>> {
    let is_digit = |at: &usize| view.byte(*at).is_some_and(|byte| byte.is_ascii_digit());
    let digits = (at..=at + DIGITS_MAX).take_while(is_digit).count();
    *digits_end = at + digits;
    if digits > DIGITS_MAX {
        None
    } else {
        first_start(view, *digits_end).map(|start| start..*digits_end)
    }
}

/// Where the longest card that ends before `end` begins.
///
/// All cards with the same end overlap, so the longest is all that is masked and counted.
fn first_start(view: &View<'_>, end: usize) -> Option<usize> {
    let has_letter_behind = view.byte(end).is_some_and(|byte| byte.is_ascii_alphabetic());
    let mut longest = None;
    let mut digits = 0;
    let mut sum = 0;
    let mut start = end;
    while let Some(byte) = view.before(start) {
        match byte {
            b'0'..=b'9' => {
                if digits == DIGITS_MAX {
                    break;
                }
                sum += luhn(byte, digits);
                digits += 1;
                start -= 1;
            }
            b' ' | b'-' if view.byte(start).is_some_and(|byte| byte.is_ascii_digit()) => {
                start -= 1;
                continue;
            }
            _ => break,
        }
        let before = view.before(start);
        let may_start = match before {
            Some(b'0'..=b'9') => false,
            Some(b'.') => !view.before(start - 1).is_some_and(|byte| byte.is_ascii_digit()),
            Some(byte) => !(has_letter_behind && byte.is_ascii_alphabetic()),
            None => true,
        };
        if may_start && digits >= DIGITS_MIN && sum % 10 == 0 && is_issued(view, start, digits) {
            longest = Some(start);
        }
    }
    longest
}

/// What a digit adds to Luhn's sum, `place` digits from the last.
fn luhn(digit: u8, place: usize) -> u32 {
    let digit = u32::from(digit - b'0');
    match (place % 2, digit) {
        (0, _) => digit,
        (_, 0..=4) => digit * 2,
        _ => digit * 2 - 9,
    }
}

fn is_issued(view: &View<'_>, start: usize, digits: usize) -> bool {
    let mut prefix = 0;
    let mut seen = 0;
    let mut at = start;
    while seen < 4 {
        let Some(byte) = view.byte(at) else { return false };
        if byte.is_ascii_digit() {
            prefix = prefix * 10 + u16::from(byte - b'0');
            seen += 1;
        }
        at += 1;
    }
    ISSUERS
        .iter()
        .any(|issuer| (issuer.first..=issuer.last).contains(&prefix) && issuer.lengths.contains(&digits))
}
