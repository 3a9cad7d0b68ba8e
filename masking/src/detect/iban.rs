//! International bank account numbers (ISO 13616).
//!
//! A hit is a country's code, two check digits and the rest of the country's structure, in capitals or small letters,
//! with a space or dash after any four characters or without, whose remainder by 97 is 1. With letters or digits on
//! *both* sides it is part of an identifier, as in one of some thousand hashes; on one side they do not matter.

use std::ops::Range;

use super::View;

/// Countries and the structure of what follows the check digits, as the registry writes it: `n` digits, `a` letters,
/// `c` either. The last lines are not in the registry but in use.
#[rustfmt::skip]
pub(crate) const COUNTRIES: [(&str, &str); 109] = [
    ("AD", "8n12c"), ("AE", "19n"), ("AL", "8n16c"), ("AT", "16n"), ("AZ", "4a20c"), ("BA", "16n"), ("BE", "12n"),
    ("BG", "4a6n8c"), ("BH", "4a14c"), ("BI", "23n"), ("BR", "23n1a1c"), ("BY", "4c4n16c"), ("CH", "5n12c"),
    ("CR", "18n"), ("CY", "8n16c"), ("CZ", "20n"), ("DE", "18n"), ("DJ", "23n"), ("DK", "14n"), ("DO", "4c20n"),
    ("EE", "16n"), ("EG", "25n"), ("ES", "20n"), ("FI", "14n"), ("FK", "2a12n"), ("FO", "14n"), ("FR", "10n11c2n"),
    ("GB", "4a14n"), ("GE", "2a16n"), ("GI", "4a15c"), ("GL", "14n"), ("GR", "7n16c"), ("GT", "4c20c"),
    ("HN", "4a20n"), ("HR", "17n"), ("HU", "24n"), ("IE", "4a14n"), ("IL", "19n"), ("IQ", "4a15n"), ("IS", "22n"),
    ("IT", "1a10n12c"), ("JO", "4a4n18c"), ("KW", "4a22c"), ("KZ", "3n13c"), ("LB", "4n20c"), ("LC", "4a24c"),
    ("LI", "5n12c"), ("LT", "16n"), ("LU", "3n13c"), ("LV", "4a13c"), ("LY", "21n"), ("MC", "10n11c2n"),
    ("MD", "2c18c"), ("ME", "18n"), ("MK", "3n10c2n"), ("MN", "16n"), ("MR", "23n"), ("MT", "4a5n18c"),
    ("MU", "4a19n3a"), ("NI", "4a20n"), ("NL", "4a10n"), ("NO", "11n"), ("OM", "3n16c"), ("PK", "4a16c"),
    ("PL", "24n"), ("PS", "4a21c"), ("PT", "21n"), ("QA", "4a21c"), ("RO", "4a16c"), ("RS", "18n"), ("RU", "14n15c"),
    ("SA", "2n18c"), ("SC", "4a20n3a"), ("SD", "14n"), ("SE", "20n"), ("SI", "15n"), ("SK", "20n"),
    ("SM", "1a10n12c"), ("SO", "19n"), ("ST", "21n"), ("SV", "4a20n"), ("TL", "19n"), ("TN", "20n"), ("TR", "6n16c"),
    ("UA", "6n19c"), ("VA", "18n"), ("VG", "4a16n"), ("XK", "16n"), ("YE", "4a4n18c"),
    ("AO", "21n"), ("BF", "24c"), ("BJ", "24c"), ("CF", "23n"), ("CG", "23n"), ("CI", "24c"), ("CM", "23n"),
    ("CV", "21n"), ("DZ", "22n"), ("GA", "23n"), ("GQ", "23n"), ("GW", "2c19n"), ("IR", "22n"), ("KM", "23n"),
    ("MA", "24n"), ("MG", "23n"), ("ML", "24c"), ("MZ", "21n"), ("NE", "24c"), ("SN", "24c"),
];

/// The hit of which the fourth character behind the check digits is at `at`.
pub(crate) fn find(view: &View<'_>, at: usize) -> Option<Range<usize>> {
    let group = view.back(at, GROUP - 1)?;
    let is_separated = matches!(view.before(group), Some(b' ' | b'-'));
    let start = view.back(group, PREFIX_BYTES + usize::from(is_separated))?;
    let country = [view.byte(start)?, view.byte(start + 1)?];
    let structure = structure_of(country)?;
    let check = [view.byte(start + 2)?, view.byte(start + 3)?];
    if !check.iter().all(u8::is_ascii_digit) {
        return None;
    }

    let mut remainder = Remainder(0);
    let mut end = start + PREFIX_BYTES;
    let mut place = PREFIX_BYTES;
    for part in &structure.parts[..structure.count] {
        for _ in 0..part.count {
            if place.is_multiple_of(GROUP) && matches!(view.byte(end)?, b' ' | b'-') {
                end += 1;
            }
            remainder.push(view.byte(end).filter(|byte| part.kind.has(*byte))?);
            end += 1;
            place += 1;
        }
    }
    for byte in country.into_iter().chain(check) {
        remainder.push(byte);
    }
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (remainder.0 % 97 == 1 && !(is_word(view.byte(end)) && is_word(view.before(start)))).then_some(start..end)
}

/// Country and check digits.
const PREFIX_BYTES: usize = 4;
/// One separator may stand after so many characters.
const GROUP: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    Letter,
    Either,
}

impl Kind {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Either => byte.is_ascii_alphanumeric(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Part {
    count: u8,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
struct Structure {
    parts: [Part; PARTS_MAX],
    count: usize,
}

const PARTS_MAX: usize = 3;

/// The number that the characters make, by ISO 7064: divided by 97 only when it grows large.
struct Remainder(u64);

impl Remainder {
    /// Takes a digit, or a letter as the two digits of 10 to 35.
    fn push(&mut self, byte: u8) {
        const LARGE: u64 = u64::MAX / 1000;
        if self.0 > LARGE {
            self.0 %= 97;
        }
        self.0 = if byte.is_ascii_digit() {
            self.0 * 10 + u64::from(byte - b'0')
        } else {
            self.0 * 100 + u64::from((byte | 0x20).wrapping_sub(b'a')) + 10
        };
    }
}

/// [`COUNTRIES`] by their two letters, and 0 for what is no country, else one more than the index in the list.
static COUNTRY_NUMBERS: [u8; 26 * 26] = country_numbers();
static STRUCTURES: [Structure; COUNTRIES.len()] = structures();

fn structure_of(country: [u8; 2]) -> Option<&'static Structure> {
    let letter = |byte: u8| {
        byte.is_ascii_alphabetic()
            .then(|| usize::from((byte | 0x20) - b'a'))
    };
    let number = COUNTRY_NUMBERS[letter(country[0])? * 26 + letter(country[1])?];
    STRUCTURES.get(usize::from(number).checked_sub(1)?)
}

const fn country_numbers() -> [u8; 26 * 26] {
    let mut numbers = [0; 26 * 26];
    let mut number = 1_u8;
    while (number as usize) <= COUNTRIES.len() {
        let code = COUNTRIES[number as usize - 1].0.as_bytes();
        numbers[(code[0] - b'A') as usize * 26 + (code[1] - b'A') as usize] = number;
        number += 1;
    }
    numbers
}

const fn structures() -> [Structure; COUNTRIES.len()] {
    let nothing = Structure {
        parts: [Part {
            count: 0,
            kind: Kind::Either,
        }; PARTS_MAX],
        count: 0,
    };
    let mut structures = [nothing; COUNTRIES.len()];
    let mut index = 0;
    while index < COUNTRIES.len() {
        structures[index] = parse(COUNTRIES[index].1.as_bytes());
        index += 1;
    }
    structures
}

/// Reads the registry's notation; a mistake in the table does not compile.
const fn parse(notation: &[u8]) -> Structure {
    let mut structure = Structure {
        parts: [Part {
            count: 0,
            kind: Kind::Either,
        }; PARTS_MAX],
        count: 0,
    };
    let mut count = 0;
    let mut index = 0;
    while index < notation.len() {
        let kind = match notation[index] {
            digit @ b'0'..=b'9' => {
                count = count * 10 + (digit - b'0');
                index += 1;
                continue;
            }
            b'n' => Kind::Digit,
            b'a' => Kind::Letter,
            b'c' => Kind::Either,
            _ => panic!("not a kind of character"),
        };
        structure.parts[structure.count] = Part { count, kind };
        structure.count += 1;
        count = 0;
        index += 1;
    }
    structure
}
