//! Making visible what a terminal would obey or hide.
//!
//! Recorded text is the client's own: escape sequences that rewrite the screen, right-to-left overrides that show
//! another statement than the one that ran, characters of no width. All of them are written as escapes, and so is the
//! backslash, so that what is shown can be read only one way.

use std::fmt::{self, Write};

/// Bytes that print as one line in which every character is visible.
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(pub &'a [u8]);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                write_visible(f, character)?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn write_visible(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\\' => f.write_str("\\\\"),
        '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(character)),
        _ if is_deceptive(character) => write!(f, "\\u{{{:x}}}", u32::from(character)),
        _ => f.write_char(character),
    }
}

/// Characters that a terminal obeys, that reorder text, or that cannot be seen.
pub fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
        // Blanks that are not the blank.
        || (character != ' ' && character.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t20_deceptive_text_is_visible() {
        for (name, input, want) in [
            ("plain", &b"SELECT 'a' || $1"[..], "SELECT 'a' || $1"),
            ("lines", b"a\n\tb\r", "a\\n\\tb\\r"),
            ("ansi", b"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
            ("bidi", "a\u{202e}b\u{2066}c".as_bytes(), "a\\u{202e}b\\u{2066}c"),
            (
                "zero width",
                "DR\u{200b}OP\u{feff}".as_bytes(),
                "DR\\u{200b}OP\\u{feff}",
            ),
            ("tag characters", "\u{e0041}".as_bytes(), "\\u{e0041}"),
            ("C1", "\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("no-break blank", "a\u{a0}b".as_bytes(), "a\\u{a0}b"),
            (
                "letters of other scripts stay",
                "naïve 表 данные".as_bytes(),
                "naïve 表 данные",
            ),
            ("not UTF-8", b"a\xff\xc3", "a\\xff\\xc3"),
            ("an escape written by the client", b"\\x1b", "\\\\x1b"),
        ] {
            assert_eq!(Visible(input).to_string(), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_left(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = Visible(&bytes).to_string();
            prop_assert!(!shown.chars().any(is_deceptive), "{shown:?}");
        }
    }
}
