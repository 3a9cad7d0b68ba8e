//! The settings that a session's decisions depend on, and their values in one form each.

use std::rc::Rc;

use sluice_parsers::postgres::frontend::name_key;

/// A setting that decides what text or names mean, or whose rights hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracked {
    SearchPath,
    Role,
    SessionAuthorization,
    StandardConformingStrings,
    BackslashQuote,
    ClientEncoding,
    SessionReplicationRole,
}

impl Tracked {
    pub(crate) const COUNT: usize = 7;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::SearchPath,
        Self::Role,
        Self::SessionAuthorization,
        Self::StandardConformingStrings,
        Self::BackslashQuote,
        Self::ClientEncoding,
        Self::SessionReplicationRole,
    ];

    /// The server's name of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SearchPath => "search_path",
            Self::Role => "role",
            Self::SessionAuthorization => "session_authorization",
            Self::StandardConformingStrings => "standard_conforming_strings",
            Self::BackslashQuote => "backslash_quote",
            Self::ClientEncoding => "client_encoding",
            Self::SessionReplicationRole => "session_replication_role",
        }
    }

    /// The setting of a name, which the server compares without regard to ASCII case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|setting| setting.name().eq_ignore_ascii_case(name))
    }

    /// Whether it decides how text is read.
    pub(crate) const fn is_lexing(self) -> bool {
        matches!(
            self,
            Self::StandardConformingStrings | Self::BackslashQuote | Self::ClientEncoding
        )
    }

    /// Whether RESET ALL leaves it alone.
    pub(crate) const fn is_role(self) -> bool {
        matches!(self, Self::Role | Self::SessionAuthorization)
    }

    /// The one form of a value as SHOW prints it or `set_config` takes it; none if the server refuses it.
    pub(crate) fn parse(self, text: &str) -> Option<Rc<str>> {
        let folded = || text.to_ascii_lowercase();
        let word = match self {
            Self::SearchPath => return split_path(text).map(|names| join_path(&names)),
            Self::Role | Self::SessionAuthorization => return Some(text.into()),
            Self::BackslashQuote if folded() == "safe_encoding" => "safe_encoding",
            Self::StandardConformingStrings | Self::BackslashQuote => boolean(&folded())?,
            Self::ClientEncoding => return Some(encoding(text)),
            Self::SessionReplicationRole => {
                let folded = folded();
                ["origin", "replica", "local"]
                    .into_iter()
                    .find(|word| *word == folded)?
            }
        };
        Some(word.into())
    }

    /// The same of the values that SET lists.
    pub(crate) fn parse_list(self, values: &[Box<str>]) -> Option<Rc<str>> {
        match (self, values) {
            (Self::SearchPath, names) => Some(join_path(names)),
            (_, [value]) => self.parse(value),
            _ => None,
        }
    }
}

/// The server's `parse_bool`: unambiguous prefixes count.
fn boolean(folded: &str) -> Option<&'static str> {
    let is_prefix = |of: &str| !folded.is_empty() && of.starts_with(folded);
    match folded {
        "1" | "on" => Some("on"),
        "0" | "of" | "off" => Some("off"),
        _ if is_prefix("true") || is_prefix("yes") => Some("on"),
        _ if is_prefix("false") || is_prefix("no") => Some("off"),
        _ => None,
    }
}

/// Encodings are compared by their letters and digits; one of many has a second name of importance.
fn encoding(name: &str) -> Rc<str> {
    let letters: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    match letters.as_str() {
        "unicode" => "utf8".into(),
        _ => letters.into(),
    }
}

/// A search path as one text: every name quoted, nothing between but commas.
fn join_path(names: &[Box<str>]) -> Rc<str> {
    let mut joined = String::new();
    for name in names {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push('"');
        joined.push_str(&cut(name).replace('"', "\"\""));
        joined.push('"');
    }
    joined.into()
}

/// The names of a search path, as the server's `SplitIdentifierString` reads them.
pub(crate) fn split_path(text: &str) -> Option<Vec<Box<str>>> {
    let is_space = |letter: char| matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut rest = text.trim_start_matches(is_space);
    let mut names = Vec::new();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let name = if let Some(quoted) = rest.strip_prefix('"') {
            let (name, behind) = quoted_name(quoted)?;
            rest = behind;
            name
        } else {
            let end = rest
                .find(|letter| letter == ',' || is_space(letter))
                .unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            if name.is_empty() {
                return None;
            }
            rest = behind;
            name.to_ascii_lowercase()
        };
        names.push(cut(&name).into());
        rest = rest.trim_start_matches(is_space);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind.trim_start_matches(is_space),
            None if rest.is_empty() => return Some(names),
            None => return None,
        }
    }
}

/// A name up to its closing quote, and what follows that.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return Some((name, behind)),
        }
    }
}

/// A name as the server cuts it.
fn cut(name: &str) -> &str {
    let kept = name_key(name.as_bytes()).len();
    // The server cuts between characters.
    let kept = (0..=kept.min(name.len()))
        .rev()
        .find(|&at| name.is_char_boundary(at))
        .unwrap_or(0);
    name.get(..kept).unwrap_or_default()
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
            ("long", &long, Some(vec![&long[..62]])),
        ] {
            let want = want.map(|names| names.into_iter().map(Box::from).collect::<Vec<Box<str>>>());
            assert_eq!(split_path(text), want, "{name}");
        }
    }

    #[test]
    fn t03_values_have_one_form() {
        for (setting, text, want) in [
            (Tracked::StandardConformingStrings, "TRUE", Some("on")),
            (Tracked::StandardConformingStrings, "0", Some("off")),
            (Tracked::StandardConformingStrings, "o", None),
            (Tracked::BackslashQuote, "Safe_Encoding", Some("safe_encoding")),
            (Tracked::BackslashQuote, "n", Some("off")),
            (Tracked::ClientEncoding, "utf-8", Some("utf8")),
            (Tracked::ClientEncoding, "Unicode", Some("utf8")),
            (Tracked::ClientEncoding, "SQL_ASCII", Some("sqlascii")),
            (Tracked::SessionReplicationRole, "REPLICA", Some("replica")),
            (Tracked::SessionReplicationRole, "other", None),
            (Tracked::SearchPath, "a, \"B\"", Some("\"a\",\"B\"")),
            (Tracked::Role, "None", Some("None")),
        ] {
            assert_eq!(setting.parse(text).as_deref(), want, "{} {text}", setting.name());
        }
        assert_eq!(Tracked::named("Search_Path"), Some(Tracked::SearchPath));
        assert_eq!(Tracked::named("work_mem"), None);
    }
}
