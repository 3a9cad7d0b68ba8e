//! The oracle: what a hit is, said as plainly as possible and without any thought of speed.
//!
//! Each function looks at one value by itself and tries every place in it. The fast scanner has to find exactly these
//! hits; tests and fuzz targets compare the two. Nothing else may use this module.

use std::ops::Range;

use crate::detect::{card, email, github, iban, jwt};
use crate::{Class, ClassSet, Counts};

/// Masks one value and counts its hits, as [`crate::mask_value`] does.
pub fn mask_value(value: &mut [u8], classes: ClassSet, counts: &mut Counts) {
    let original = value.to_vec();
    for class in classes.iter() {
        let hits = hits(&original, class);
        for hit in &hits {
            for position in hit.clone() {
                value[position] = if original[position] == b'@' { b'@' } else { b'*' };
            }
        }
        counts.add(class, u32::try_from(merged(hits).len()).unwrap_or(u32::MAX));
    }
}

/// All hits of `class` in `value`, by ascending start; they may overlap.
pub fn hits(value: &[u8], class: Class) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in 0..value.len() {
        match class {
            Class::Email => found.extend(email_around(value, at)),
            Class::PaymentCard => found.extend(cards_from(value, at)),
            Class::UsSsn => found.extend(ssn_from(value, at)),
            Class::Ipv4 => found.extend(ipv4_from(value, at)),
            Class::Iban => found.extend(iban_from(value, at)),
            Class::AwsKey => found.extend(aws_key_from(value, at)),
            Class::GithubToken => found.extend(github_token_from(value, at)),
            Class::Jwt => found.extend(jwt_from(value, at)),
        }
    }
    found.sort_by_key(|hit| (hit.start, hit.end));
    found
}

/// Overlapping hits become one: what is counted.
pub fn merged(hits: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.start < last.end => last.end = last.end.max(hit.end),
            _ => merged.push(hit),
        }
    }
    merged
}

fn byte(value: &[u8], at: usize) -> Option<u8> {
    value.get(at).copied()
}

fn before(value: &[u8], at: usize) -> Option<u8> {
    at.checked_sub(1).and_then(|at| byte(value, at))
}

fn is(byte: Option<u8>, test: impl Fn(&u8) -> bool) -> bool {
    byte.is_some_and(|byte| test(&byte))
}

fn not_within_digits(value: &[u8], hit: &Range<usize>) -> bool {
    !is(before(value, hit.start), u8::is_ascii_digit) && !is(byte(value, hit.end), u8::is_ascii_digit)
}

/// How many bytes from `at` on pass the test.
fn run(value: &[u8], at: usize, test: impl Fn(u8) -> bool) -> usize {
    value[at.min(value.len())..]
        .iter()
        .take_while(|byte| test(**byte))
        .count()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

fn email_around(value: &[u8], at: usize) -> Option<Range<usize>> {
    if value[at] != b'@' {
        return None;
    }
    let wordlike = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;

    let mut end = at + 1;
    while end < value.len()
        && (wordlike(value[end]) || b".-_".contains(&value[end]))
        && (end - at <= email::DOMAIN_MAX
            || (end - at <= email::DOMAIN_MAX + 3 && is_continuation(value[end])))
    {
        end += 1;
    }
    while b".-_".contains(&value[end - 1]) {
        end -= 1;
    }
    let domain = &value[(at + 1).min(end)..end];
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
    let has_top_level = (1..domain.len().saturating_sub(2))
        .any(|dot| domain[dot] == b'.' && letter(domain[dot + 1]) && letter(domain[dot + 2]));
    if !has_top_level {
        return None;
    }

    let first = at.saturating_sub(email::LOCAL_MAX);
    let mut start = at;
    while start > first {
        let candidate = value[start - 1];
        if wordlike(candidate) || b"!#$%&*+-.=@^_~".contains(&candidate) {
            start -= 1;
        } else if candidate == b'\'' {
            let inside = start - 1 > first && wordlike(value[start - 2]) && wordlike(value[start]);
            if !inside {
                break;
            }
            start -= 1;
        } else if candidate == b'\\' {
            let backslashes = value[..start]
                .iter()
                .rev()
                .take(email::BACKSLASHES_MAX)
                .take_while(|byte| **byte == b'\\')
                .count();
            if backslashes % 2 == 0 {
                break;
            }
            let is_unicode_escape = start + 5 <= at
                && value[start] == b'u'
                && value[start + 1..start + 5].iter().all(u8::is_ascii_hexdigit);
            start -= 1;
            if !is_unicode_escape {
                break;
            }
        } else {
            break;
        }
    }
    let mut extra = 0;
    while start > 0
        && extra < 3
        && start == first - extra
        && is_continuation(value[start])
        && value[start - 1] >= 0x80
    {
        start -= 1;
        extra += 1;
    }
    (start < at).then_some(start..end)
}

fn cards_from(value: &[u8], start: usize) -> Vec<Range<usize>> {
    (start + card::DIGITS_MIN..=start + card::LENGTH_MAX)
        .map(|end| start..end)
        .filter(|hit| hit.end <= value.len() && is_card(value, hit))
        .collect()
}

fn is_card(value: &[u8], hit: &Range<usize>) -> bool {
    let text = &value[hit.clone()];
    let separator = |byte: u8| byte == b' ' || byte == b'-';
    if !text.iter().all(|byte| byte.is_ascii_digit() || separator(*byte))
        || text
            .windows(2)
            .any(|pair| separator(pair[0]) && separator(pair[1]))
        || separator(text[0])
        || separator(text[text.len() - 1])
        || text.contains(&b' ') && text.contains(&b'-')
        || !not_within_digits(value, hit)
    {
        return false;
    }
    let in_a_word = is(before(value, hit.start), u8::is_ascii_alphabetic)
        && is(byte(value, hit.end), u8::is_ascii_alphabetic);
    let is_fraction = before(value, hit.start) == Some(b'.')
        && hit.start >= 2
        && is(before(value, hit.start - 1), u8::is_ascii_digit);
    let hex_letter = |byte: &u8| matches!(byte, b'a'..=b'f' | b'A'..=b'F');
    let in_a_uuid = text.iter().any(|byte| separator(*byte))
        && (is(before(value, hit.start), hex_letter) || is(byte(value, hit.end), hex_letter));
    if in_a_word || in_a_uuid || is_fraction {
        return false;
    }
    let digits: Vec<u32> = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| u32::from(byte - b'0'))
        .collect();
    if !(card::DIGITS_MIN..=card::DIGITS_MAX).contains(&digits.len()) {
        return false;
    }
    let prefix = digits[..4].iter().fold(0, |prefix, digit| prefix * 10 + digit);
    let issued = card::ISSUERS.iter().any(|issuer| {
        (u32::from(issuer.first)..=u32::from(issuer.last)).contains(&prefix)
            && issuer.lengths.contains(&digits.len())
    });
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    issued && sum.is_multiple_of(10)
}

fn ssn_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let hit = start..start + 11;
    let text = value.get(hit.clone())?;
    let shape = text.iter().enumerate().all(|(place, byte)| match place {
        3 | 6 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let (area, group, serial) = (&text[..3], &text[4..6], &text[7..]);
    let issued = area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000";
    (shape && issued && not_within_digits(value, &hit)).then_some(hit)
}

fn ipv4_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let mut end = start;
    for octet in 0..4 {
        if octet > 0 {
            if byte(value, end) != Some(b'.') {
                return None;
            }
            end += 1;
        }
        let digits = run(value, end, |byte| byte.is_ascii_digit());
        if !(1..=3).contains(&digits) {
            return None;
        }
        let number = value[end..end + digits]
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        if number > 255 {
            return None;
        }
        end += digits;
    }
    not_within_digits(value, &(start..end)).then_some(start..end)
}

fn iban_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let country = value.get(start..start + 2)?.to_ascii_uppercase();
    let (_, structure) = iban::COUNTRIES
        .iter()
        .find(|(code, _)| code.as_bytes() == country)?;
    let mut kinds = vec![b'a', b'a', b'n', b'n'];
    let mut count = 0;
    for byte in structure.bytes() {
        if byte.is_ascii_digit() {
            count = count * 10 + usize::from(byte - b'0');
        } else {
            kinds.extend(std::iter::repeat_n(byte, count));
            count = 0;
        }
    }

    let mut number = Vec::new();
    let mut end = start;
    for (place, kind) in kinds.iter().enumerate() {
        if place > 0 && place % 4 == 0 && is(byte(value, end), |byte| b" -".contains(byte)) {
            end += 1;
        }
        let character = byte(value, end)?.to_ascii_uppercase();
        let fits = match kind {
            b'n' => character.is_ascii_digit(),
            b'a' => character.is_ascii_uppercase(),
            _ => character.is_ascii_alphanumeric(),
        };
        if !fits {
            return None;
        }
        number.push(character);
        end += 1;
    }
    number.rotate_left(4);
    let remainder = number.iter().fold(0, |remainder, character| {
        if character.is_ascii_digit() {
            (remainder * 10 + u32::from(character - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(character - b'A') + 10) % 97
        }
    });
    let in_a_word = is(before(value, start), u8::is_ascii_alphanumeric)
        && is(byte(value, end), u8::is_ascii_alphanumeric);
    (remainder == 1 && !in_a_word).then_some(start..end)
}

fn aws_key_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let hit = start..start + 20;
    let text = value.get(hit.clone())?;
    let id = text[4..]
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (id && (text.starts_with(b"AKIA") || text.starts_with(b"ASIA"))).then_some(hit)
}

fn github_token_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = &value[start..];
    let short = [b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"]
        .iter()
        .any(|prefix| rest.starts_with(*prefix));
    let (prefix, least) = match rest {
        _ if short => (4, github::SHORT_BODY_MIN),
        _ if rest.starts_with(b"github_pat_") => (11, github::LONG_BODY_MIN),
        _ => return None,
    };
    let body = run(value, start + prefix, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_'
    });
    (body >= least).then_some(start..start + prefix + body)
}

fn jwt_from(value: &[u8], start: usize) -> Option<Range<usize>> {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !value[start..].starts_with(b"eyJ") {
        return None;
    }
    let header = run(value, start, base64url);
    let dot = start + header;
    let has_payload =
        byte(value, dot) == Some(b'.') && is(byte(value, dot + 1), |byte| base64url(*byte) || *byte == b'.');
    if !(jwt::HEADER_MIN..=jwt::HEADER_MAX).contains(&header) || !has_payload {
        return None;
    }
    Some(start..dot + run(value, dot, |byte| base64url(byte) || byte == b'.'))
}
