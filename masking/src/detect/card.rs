//! Payment card numbers.
//!
//! A hit has 13 to 19 digits, between any two of which a space may stand, or between any two a dash; its first four
//! digits and its length are an issuer's, its last digit is right by Luhn. It starts and ends where a run of digits
//! does, so a long number without separators is never cut into cards, but a date before a card or a check number
//! after it hides nothing.
//!
//! Three things look like cards often enough to be left alone: digits with letters on *both* sides (identifiers),
//! separated digits with a hexadecimal letter on either (UUIDs), and digits after `digit.` (fractions).

use std::ops::{Range, RangeInclusive};

use super::{View, examined};

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
    let end = view.run_end(at, DIGITS_MAX + 1, |byte| byte.is_ascii_digit());
    *digits_end = end;
    if end - at > DIGITS_MAX {
        return None;
    }
    let behind = view.byte(end);
    let start = first_start(view.text_before(end), behind)?;
    Some(view.start() + start..end)
}

/// Where the longest card begins that ends where the text does.
///
/// All cards with the same end overlap, so the longest is all that is masked and counted.
fn first_start(text: &[u8], behind: Option<u8>) -> Option<usize> {
    let mut longest = None;
    let mut sum = 0;
    let mut digits = 0;
    let mut separator = None;
    let mut before = text;
    loop {
        digits += take_digits(&mut before, digits, &mut sum);
        if digits > DIGITS_MAX {
            return longest;
        }
        if digits >= DIGITS_MIN && sum.is_multiple_of(10) && is_card(text, before, digits, behind) {
            longest = Some(before.len());
        }
        let [head @ .., b'0'..=b'9', new @ (b' ' | b'-')] = before else {
            return longest;
        };
        if *separator.get_or_insert(*new) != *new {
            return longest;
        }
        before = &before[..=head.len()];
    }
}

/// Takes the digits off the end of `text`, one too many if they are too many, and adds them to Luhn's sum.
#[inline]
fn take_digits(text: &mut &[u8], places: usize, sum: &mut u8) -> usize {
    let mut digits = 0;
    while let Some((head, four)) = text.split_last_chunk()
        && places + digits + 4 <= DIGITS_MAX + 1
        && let Some(four_sum) = luhn_of_four(*four, places + digits)
    {
        *sum += four_sum;
        digits += 4;
        *text = head;
    }
    while let Some((digit, head)) = text.split_last()
        && digit.is_ascii_digit()
        && places + digits <= DIGITS_MAX
    {
        *sum += luhn(digit - b'0', places + digits);
        digits += 1;
        *text = head;
    }
    examined(digits + 1);
    digits
}

/// What a digit adds to Luhn's sum, `place` digits before the last.
#[inline]
const fn luhn(digit: u8, place: usize) -> u8 {
    if place.is_multiple_of(2) {
        digit
    } else {
        2 * digit - if digit > 4 { 9 } else { 0 }
    }
}

/// What four digits add to Luhn's sum, the last of them `place` digits before the last of all; `None` if one is none.
#[inline]
const fn luhn_of_four(text: [u8; 4], place: usize) -> Option<u8> {
    const EACH: u32 = 0x0101_0101;
    let text = u32::from_be_bytes(text);
    let digits = text.wrapping_sub(EACH * b'0' as u32);
    // A byte over `9` sets its highest bit in the sum, one under `0` in the difference.
    if (text.wrapping_add(EACH * (0x7F - b'9') as u32) | digits) & (EACH << 7) != 0 {
        return None;
    }
    let odd_places = if place.is_multiple_of(2) {
        0xFF00_FF00
    } else {
        0x00FF_00FF
    };
    let doubled = digits & odd_places;
    let over_four = (doubled + EACH * (0x7F - 4)) >> 7 & EACH;
    let sums = (digits & !odd_places) + doubled * 2 - over_four * 9;
    Some((sums.wrapping_mul(EACH) >> 24) as u8)
}

const _: () = assert!((DIGITS_MAX + 1) * 9 <= u8::MAX as usize, "Luhn's sum fits");

/// Whether a number with a right sum, the text's bytes behind `before`, is an issuer's and stands by itself.
///
/// Not inlined: where nine of ten sums are wrong, the loop around it is all that counts.
#[inline(never)]
fn is_card(text: &[u8], before: &[u8], digits: usize, behind: Option<u8>) -> bool {
    let card = &text[before.len()..];
    let is_separated = card.len() > digits;
    let ahead = before.last().copied();
    let is_letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_hexadecimal =
        |byte: Option<u8>| is_letter(byte) && byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    let is_identifier = is_letter(ahead) && is_letter(behind)
        || is_separated && (is_hexadecimal(ahead) || is_hexadecimal(behind));
    let is_fraction = matches!(before, [.., b'0'..=b'9', b'.']);
    let prefix = card
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .take(4)
        .fold(0, |prefix, digit| prefix * 10 + usize::from(digit - b'0'));
    !is_identifier && !is_fraction && LENGTHS[prefix] >> (digits - DIGITS_MIN) & 1 == 1
}

/// [`ISSUERS`] by the first four digits: a bit for each length, that for [`DIGITS_MIN`] lowest.
static LENGTHS: [u8; 10_000] = lengths();

const _: () = assert!(DIGITS_MAX - DIGITS_MIN < u8::BITS as usize);

const fn lengths() -> [u8; 10_000] {
    let mut lengths = [0; 10_000];
    let mut index = 0;
    while index < ISSUERS.len() {
        let issuer = &ISSUERS[index];
        let mut prefix = issuer.first;
        while prefix <= issuer.last {
            let mut digits = *issuer.lengths.start();
            while digits <= *issuer.lengths.end() {
                lengths[prefix as usize] |= 1 << (digits - DIGITS_MIN);
                digits += 1;
            }
            prefix += 1;
        }
        index += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_add_what_each_adds() {
        for number in 0..10_000 {
            let text = *format!("{number:04}").as_bytes().first_chunk().unwrap();
            for place in [0, 1, 4, 7] {
                let want = text
                    .iter()
                    .rev()
                    .zip(place..)
                    .map(|(digit, place)| luhn(digit - b'0', place))
                    .sum();
                assert_eq!(luhn_of_four(text, place), Some(want), "{number:04} at {place}");
            }
        }
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for place in 0..4 {
                for digit in [b'0', b'9'] {
                    let mut text = [digit; 4];
                    text[place] = byte;
                    assert_eq!(luhn_of_four(text, 0), None, "{}", text.escape_ascii());
                }
            }
        }
    }
}
