//! Names as the server reads them out of texts.

use std::borrow::Cow;

use pg_query::protobuf::KeywordKind;

/// The longest name in bytes: `NAMEDATALEN` less the terminating zero.
pub(crate) const NAME_BYTES_MAX: usize = 63;

/// Cuts a name as the server does: at 63 bytes, but not within a character.
pub fn truncate_identifier(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A name as it is written in SQL and as the server prints it: in double quotes, unless it is a plain word that is no key
/// word, or one that is not reserved anywhere.
pub fn quote_identifier(name: &str) -> Cow<'_, str> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    if name.starts_with(is_first) && name.bytes().all(is_word) && !is_reserved(name) {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\"")).into()
    }
}

/// Whether a word cannot stand for a name in every place.
fn is_reserved(word: &str) -> bool {
    let free = [
        KeywordKind::NoKeyword as i32,
        KeywordKind::UnreservedKeyword as i32,
    ];
    let tokens = pg_query::scan_tokens(word).unwrap_or_default();
    !matches!(&tokens[..], [only] if free.contains(&only.keyword_kind))
}

/// The parts of a qualified name in a text, as `regclass`, `nextval` and their like read it: unquoted parts are folded
/// to lower case, all are cut. None if the text is no name, or one that versions of the server read differently.
pub fn parse_qualified_name(text: &str) -> Option<Vec<String>> {
    // A vertical tab is white space since 16 and part of a name before.
    if text.contains('\x0b') {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => plain_part(rest)?,
        };
        parts.push(truncate_identifier(&part).to_owned());
        rest = after.trim_start_matches(is_space);
        if rest.is_empty() {
            return Some(parts);
        }
        rest = rest.strip_prefix('.')?.trim_start_matches(is_space);
    }
}

/// The names of a list in a setting's text, such as `search_path`: `"$user", public`. None if it cannot be read, or if
/// versions of the server read it differently.
pub fn parse_name_list(text: &str) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => plain_name(rest)?,
        };
        names.push(truncate_identifier(&name).into());
        rest = after.trim_start_matches(is_space);
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

/// A name of a list without quotes: it ends at white space or a comma, whatever else is in it.
fn plain_name(rest: &str) -> Option<(String, &str)> {
    let end = rest.find(|c| c == ',' || is_space(c)).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    // A vertical tab is white space since 16 and part of a name before.
    let is_name = !name.is_empty() && !name.contains('\x0b');
    is_name.then(|| (name.to_ascii_lowercase(), after))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// A part behind its opening quote, and what follows the closing one.
fn quoted_part(mut rest: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        let Some(after_pair) = after.strip_prefix('"') else {
            return Some((part, after));
        };
        part.push('"');
        rest = after_pair;
    }
}

/// A part without quotes: it ends at white space or a dot, whatever else is in it.
fn plain_part(rest: &str) -> Option<(String, &str)> {
    let end = rest.find(|c| c == '.' || is_space(c)).unwrap_or(rest.len());
    let (part, after) = rest.split_at(end);
    (!part.is_empty()).then(|| (part.to_ascii_lowercase(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t03_paths_are_split_as_the_server_splits_them() {
        let long = "é".repeat(40);
        for (name, text, want) in [
            ("empty", "", Some(vec![])),
            ("blank", "  ", Some(vec![])),
            ("default", "\"$user\", public", Some(vec!["$user", "public"])),
            ("folded", " A ,\tb", Some(vec!["a", "b"])),
            ("quoted", "\"A b\",\"c\"\"d\"", Some(vec!["A b", "c\"d"])),
            ("quoted empty", "\"\"", Some(vec![""])),
            ("comma at the end", "a,", None),
            ("two commas", "a,,b", None),
            ("no comma", "a b", None),
            ("open quote", "\"a", None),
            ("vertical tab", "a\x0bb", None),
            ("vertical tab before", "\x0ba", None),
            ("vertical tab in quotes", "\"a\x0bb\"", Some(vec!["a\x0bb"])),
            ("long", &long, Some(vec![&long[..62]])),
        ] {
            let want = want.map(|names| names.into_iter().map(Box::from).collect::<Vec<Box<str>>>());
            assert_eq!(parse_name_list(text), want, "{name}");
        }
    }

    #[test]
    fn t12_names_in_texts_are_read_as_the_server_reads_them() {
        let long = "ä".repeat(40);
        for (text, want) in [
            ("t", Some(vec!["t"])),
            (" Public . T ", Some(vec!["public", "t"])),
            ("\"Foo\".bar", Some(vec!["Foo", "bar"])),
            ("\"a\"\"b.c\"", Some(vec!["a\"b.c"])),
            ("a\"b", Some(vec!["a\"b"])),
            ("ÄB", Some(vec!["Äb"])),
            ("a.b.c", Some(vec!["a", "b", "c"])),
            ("\"\"", Some(vec![""])),
            ("", None),
            ("a.", None),
            (".a", None),
            ("a b", None),
            ("\"a", None),
            ("a\x0bb", None),
        ] {
            let want = want.map(|parts| parts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(parse_qualified_name(text), want, "{text:?}");
        }
        assert_eq!(truncate_identifier(&long), "ä".repeat(31));
        assert_eq!(parse_qualified_name(&long), Some(vec!["ä".repeat(31)]));
    }

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        for (name, want) in [
            ("sluice", "sluice"),
            ("_a1", "_a1"),
            ("A", "\"A\""),
            ("a-b", "\"a-b\""),
            ("a\"b", "\"a\"\"b\""),
            ("1a", "\"1a\""),
            ("select", "\"select\""),
            ("user", "\"user\""),
            ("int", "\"int\""),
            ("left", "\"left\""),
            ("name", "name"),
            ("text", "text"),
            ("", "\"\""),
        ] {
            assert_eq!(quote_identifier(name), want, "{name}");
        }
    }
}
