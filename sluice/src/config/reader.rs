//! Reads a TOML table setting by setting, and reports what nobody asked for.
//!
//! A reader never stops at a mistake: it notes the mistake and goes on, so that a run reports all of them. What a
//! wrong setting is replaced by does not matter, since a configuration with a mistake is never used.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::value::{Mistake, kind};

/// One table being read. When it is dropped, the keys that were not asked for are reported.
pub(crate) struct Table<'a> {
    problems: &'a Problems,
    path: String,
    span: Range<usize>,
    entries: Option<&'a DeTable<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

/// A mistake was made, and noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) span: Range<usize>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(crate) fn root(problems: &'a Problems, document: &'a Spanned<DeTable<'a>>) -> Self {
        // A setting missing from the file as a whole is shown at its start.
        Self::over(problems, String::new(), 0..0, Some(document.get_ref()))
    }

    fn over(
        problems: &'a Problems,
        path: String,
        span: Range<usize>,
        entries: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self {
            problems,
            path,
            span,
            entries,
            asked: RefCell::default(),
        }
    }

    /// The setting, if it is there and right.
    pub(crate) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, Mistake>,
    ) -> Option<At<T>> {
        let value = self.entry(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(At {
                value: read,
                span: value.span(),
            }),
            Err(Mistake { message, help }) => {
                self.problems
                    .error(self.name(key), Some(value.span()), message, help);
                None
            }
        }
    }

    /// The setting; its absence is a mistake, and `help` says what to write.
    pub(crate) fn required<T>(
        &self,
        key: &'static str,
        help: &str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, Mistake>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            self.asked.borrow_mut().push(key);
            self.problems
                .error(self.name(key), Some(self.span.clone()), "is missing", help);
            return None;
        }
        self.optional(key, read)
    }

    /// The setting, or its default.
    pub(crate) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, Mistake>,
    ) -> T {
        self.optional(key, read).map_or(default, |at| at.value)
    }

    /// A list; each wrong item is reported at its own place, the others are kept.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'a>) -> Result<T, Mistake>,
    ) -> Option<Vec<At<T>>> {
        let value = self.entry(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("expects a list, not {}", kind(value.get_ref()));
            self.problems.error(
                self.name(key),
                Some(value.span()),
                message,
                "write [\"...\", \"...\"]",
            );
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            match read(item.get_ref()) {
                Ok(value) => list.push(At {
                    value,
                    span: item.span(),
                }),
                Err(Mistake { message, help }) => {
                    self.problems
                        .error(self.name(key), Some(item.span()), message, help);
                }
            }
        }
        Some(list)
    }

    /// A table below this one; an absent one reads as empty.
    pub(crate) fn table(&self, key: &'static str) -> Self {
        let path = self.name(key);
        match self.entry(key) {
            Some(value) => self.sub_table(path, value),
            None => Self::over(self.problems, path, self.span.clone(), None),
        }
    }

    /// A table of named tables (`[listeners.main]`): every name with its table.
    pub(crate) fn named_tables(&self, key: &'static str) -> Vec<(At<String>, Self)> {
        self.pairs(key)
            .into_iter()
            .map(|(name, value)| {
                let table = self.sub_table(format!("{}.{}", self.name(key), name.value), value);
                (name, table)
            })
            .collect()
    }

    /// The keys and values of a table whose keys are the operator's own, in the order of the file.
    pub(crate) fn pairs(&self, key: &'static str) -> Vec<(At<String>, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.entry(key) else {
            return Vec::new();
        };
        let DeValue::Table(entries) = value.get_ref() else {
            let message = format!("expects a table, not {}", kind(value.get_ref()));
            self.problems.error(
                self.name(key),
                Some(value.span()),
                message,
                format!("write [{}]", self.name(key)),
            );
            return Vec::new();
        };
        let mut pairs: Vec<_> = entries
            .iter()
            .map(|(name, value)| {
                (
                    At {
                        value: name.get_ref().to_string(),
                        span: name.span(),
                    },
                    value,
                )
            })
            .collect();
        pairs.sort_by_key(|(name, _)| name.span.start);
        pairs
    }

    /// Whether the setting is there, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Where the setting's value stands; the table's own place if it is not there.
    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        self.entries
            .and_then(|entries| entries.get(key))
            .map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Where the table begins.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The full name of one of its settings; of the table itself without a key.
    pub(crate) fn name(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Notes a mistake in one of its settings.
    pub(crate) fn error(
        &self,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.error(self.name(key), Some(span), message, help);
    }

    /// Notes a warning about one of its settings.
    pub(crate) fn warning(
        &self,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.warning(self.name(key), Some(span), message, help);
    }

    fn sub_table(&self, path: String, value: &'a Spanned<DeValue<'a>>) -> Self {
        if let DeValue::Table(entries) = value.get_ref() {
            return Self::over(self.problems, path, value.span(), Some(entries));
        }
        let message = format!("expects a table, not {}", kind(value.get_ref()));
        self.problems.error(
            path.clone(),
            Some(value.span()),
            message,
            format!("write [{path}]"),
        );
        Self::over(self.problems, path, value.span(), None)
    }

    fn entry(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.entries?.get(key)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for key in self.entries.into_iter().flat_map(DeTable::keys) {
            if asked.iter().any(|asked| *asked == key.get_ref()) {
                continue;
            }
            let help = unknown_key_help(key.get_ref(), &asked);
            self.problems.error(
                self.name(key.get_ref()),
                Some(key.span()),
                "there is no such setting",
                help,
            );
        }
    }
}

fn unknown_key_help(key: &str, known: &[&'static str]) -> String {
    if key == "password" {
        return "passwords are not written into the configuration: use `password_file` or `password_env`"
            .to_owned();
    }
    match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            known.dedup();
            format!("the settings here are {}", known.join(", "))
        }
    }
}

/// The word that a mistyped one was probably meant to be.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min()
        .map(|(_, known)| known)
}
