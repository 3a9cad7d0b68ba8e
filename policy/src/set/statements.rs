//! Where each policy of a file begins and ends.
//!
//! Cedar's parser gives up on a file at its syntax errors; cut into policies, every one can be read by itself
//! and a mistake in one hides none in another. A policy ends with a `;`; comments and strings are skipped as
//! Cedar's lexer skips them. A cut at a wrong place can only turn a good file into a refused one: each piece
//! has to parse as exactly one policy, and the file as a whole has to parse to as many.

use std::ops::Range;

/// The range of each policy in `source`, from its first byte that is no space or comment to its `;`.
pub(super) fn statements(source: &str) -> Vec<Range<usize>> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = line_end(bytes, at);
                continue;
            }
            b'"' => string_end(bytes, at),
            _ => at + 1,
        };
        // Starts of a character only: what Unicode calls a space is left to Cedar to judge.
        if start.is_none() && !bytes[at].is_ascii_whitespace() {
            start = Some(at);
        }
        if bytes[at] == b';' {
            found.push(start.take().unwrap_or(at)..next);
        }
        at = next;
    }
    if let Some(start) = start {
        found.push(start..source.len());
    }
    found
}

/// The place after the comment's last byte; its newline is a space of its own.
fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |len| at + len)
}

/// The place after the closing quote.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_cut_where_they_end() {
        for (name, source, want) in [
            ("nothing", "", &[][..]),
            ("only a comment", "// a; b\n", &[]),
            ("one", " permit(p);\n", &["permit(p);"]),
            ("two", "a; b;", &["a;", "b;"]),
            ("comment between", "a; // x;\nb;", &["a;", "b;"]),
            ("comment inside", "a // x;\n b;", &["a // x;\n b;"]),
            ("semicolon in a string", "a \";\" b;", &["a \";\" b;"]),
            ("quote in a string", r#"a "\";" b;"#, &[r#"a "\";" b;"#]),
            (
                "slashes in a string",
                "a \"http://x\"; b;",
                &["a \"http://x\";", "b;"],
            ),
            ("not closed", "a; b", &["a;", "b"]),
            ("string not closed", "a \"b; c;", &["a \"b; c;"]),
            ("escape at the end", "a \"\\", &["a \"\\"]),
            ("stray semicolon", "a;; b;", &["a;", ";", "b;"]),
        ] {
            let got: Vec<_> = statements(source)
                .into_iter()
                .map(|range| &source[range])
                .collect();
            assert_eq!(got, want, "{name}");
        }
    }
}
