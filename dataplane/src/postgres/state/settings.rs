//! The settings that a session's decisions depend on, and their values in one form each.

use std::rc::Rc;

use sluice_parsers::sql::resolve::{parse_name_list, truncate_identifier};

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
            Self::SearchPath => return parse_name_list(text).map(|names| join_path(&names)),
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
        joined.push_str(&truncate_identifier(name).replace('"', "\"\""));
        joined.push('"');
    }
    joined.into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
