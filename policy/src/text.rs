//! Text of a peer, made fit for messages, logs and screens.

use std::fmt::Write;

/// `text` cut to `chars_max` characters, with what controls a screen or hides itself written as `\u{..}`:
/// control characters, bidirectional marks, zero-width and other invisible characters.
pub fn printable(text: &str, chars_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max * 4));
    for (count, character) in text.chars().enumerate() {
        if count == chars_max {
            shown.push('…');
            break;
        }
        if is_hidden(character) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
                | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
                | 0xfff0..=0xfffb | 0xe0000..=0xe0fff
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_show() {
        for (name, text, max, want) in [
            ("plain", "orders", 10, "orders"),
            ("not ascii", "zürich", 10, "zürich"),
            ("cut", "orders", 3, "ord…"),
            ("exact", "orders", 6, "orders"),
            ("newline", "a\nb", 10, "a\\u{a}b"),
            ("escape", "\u{1b}[2J", 10, "\\u{1b}[2J"),
            ("bidi", "a\u{202e}b", 10, "a\\u{202e}b"),
            ("zero width", "a\u{200b}b", 10, "a\\u{200b}b"),
            ("tag", "\u{e0041}", 10, "\\u{e0041}"),
        ] {
            assert_eq!(printable(text, max), want, "{name}");
        }
    }
}
