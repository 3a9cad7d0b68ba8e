//! Sets of bytes that validators ask about, in one table.

/// Letters and digits of ASCII, and all bytes of other characters.
pub(crate) const WORD: u8 = 1;
/// What may stand before the `@` of an address, apart from apostrophes and backslashes, which need their neighbours.
pub(crate) const LOCAL: u8 = 1 << 1;
/// What may stand after the `@` of an address.
pub(crate) const DOMAIN: u8 = 1 << 2;
/// Letters of ASCII, and all bytes of other characters.
pub(crate) const LETTER: u8 = 1 << 3;
/// Letters, digits, underscore.
pub(crate) const TOKEN: u8 = 1 << 4;
/// The base64url alphabet.
pub(crate) const BASE64URL: u8 = 1 << 5;
/// The base64url alphabet and the dot.
pub(crate) const DOTTED_BASE64URL: u8 = 1 << 6;
/// Capital letters and digits.
pub(crate) const CAPITAL_OR_DIGIT: u8 = 1 << 7;

static SETS: [u8; 256] = sets();

/// Whether the byte is in one of the sets.
#[inline]
pub(crate) const fn is_in(byte: u8, sets: u8) -> bool {
    SETS[byte as usize] & sets != 0
}

/// Whether the byte continues a character of UTF-8.
#[inline]
pub(crate) const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

const fn sets() -> [u8; 256] {
    let mut sets = [0; 256];
    let mut byte = 0_u8;
    loop {
        let index = byte as usize;
        if byte >= 0x80 {
            sets[index] = WORD | LOCAL | DOMAIN | LETTER;
        } else if byte.is_ascii_alphanumeric() {
            sets[index] = WORD | LOCAL | DOMAIN | TOKEN | BASE64URL | DOTTED_BASE64URL;
        }
        if byte.is_ascii_alphabetic() {
            sets[index] |= LETTER;
        }
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            sets[index] |= CAPITAL_OR_DIGIT;
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    include(&mut sets, b"!#$%&*+-.=@^_~", LOCAL);
    include(&mut sets, b".-_", DOMAIN);
    include(&mut sets, b"_", TOKEN);
    include(&mut sets, b"-_", BASE64URL);
    include(&mut sets, b"-_.", DOTTED_BASE64URL);
    sets
}

const fn include(sets: &mut [u8; 256], bytes: &[u8], set: u8) {
    let mut index = 0;
    while index < bytes.len() {
        sets[bytes[index] as usize] |= set;
        index += 1;
    }
}
