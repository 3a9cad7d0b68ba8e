//! Fields of a row in the server's text format.

use smallvec::SmallVec;

use super::SnapshotError;
use crate::sql::catalog::Oid;

/// A row whose fields are taken one after the other.
pub(super) struct Row<'a> {
    fields: &'a [Option<&'a str>],
    at: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(fields: &'a [Option<&'a str>]) -> Self {
        Self { fields, at: 0 }
    }

    /// The letter that says what the row is of.
    pub(super) fn kind(&mut self) -> Result<u8, SnapshotError> {
        self.letter()
    }

    fn wrong(&self) -> SnapshotError {
        let kind = self.fields.first().copied().flatten().unwrap_or_default();
        SnapshotError::Row {
            kind: kind.chars().take(1).collect(),
            field: self.at,
        }
    }

    /// The next field, which may be NULL.
    pub(super) fn optional(&mut self) -> Result<Option<&'a str>, SnapshotError> {
        let field = self.fields.get(self.at).copied().ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(field)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, SnapshotError> {
        self.optional()?.ok_or_else(|| self.wrong())
    }

    pub(super) fn name(&mut self) -> Result<Box<str>, SnapshotError> {
        Ok(self.text()?.into())
    }

    /// A single character: `"char"` or a constant of the statement. An empty one is zero.
    pub(super) fn letter(&mut self) -> Result<u8, SnapshotError> {
        Ok(self.text()?.bytes().next().unwrap_or_default())
    }

    pub(super) fn flag(&mut self) -> Result<bool, SnapshotError> {
        match self.text()? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<T, SnapshotError> {
        self.text()?.parse().map_err(|_| self.wrong())
    }

    /// An OID; NULL is none.
    pub(super) fn oid(&mut self) -> Result<Oid, SnapshotError> {
        match self.optional()? {
            Some(text) => text.parse().map(Oid).map_err(|_| self.wrong()),
            None => Ok(Oid::NONE),
        }
    }

    /// `{1,2}` or `1 2`; NULL is empty.
    pub(super) fn numbers<T: std::str::FromStr>(&mut self) -> Result<SmallVec<[T; 4]>, SnapshotError> {
        let text = self.optional()?.unwrap_or_default();
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        let parts = inner.split([',', ' ']).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|_| self.wrong())).collect()
    }

    /// The same of OIDs.
    pub(super) fn oids(&mut self) -> Result<SmallVec<[Oid; 4]>, SnapshotError> {
        Ok(self.numbers()?.into_iter().map(Oid).collect())
    }

    /// An array of texts; NULL is none at all, and elements that are NULL are empty.
    pub(super) fn texts(&mut self) -> Result<Option<Vec<Box<str>>>, SnapshotError> {
        match self.optional()? {
            Some(text) => elements(text).map(Some).ok_or_else(|| self.wrong()),
            None => Ok(None),
        }
    }
}

/// The elements of an array of one dimension.
fn elements(text: &str) -> Option<Vec<Box<str>>> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.chars();
    let mut elements = Vec::new();
    if rest.as_str().is_empty() {
        return Some(elements);
    }
    loop {
        let mut element = String::new();
        let is_quoted = rest.as_str().starts_with('"');
        if is_quoted {
            rest.next();
        }
        let more = loop {
            match rest.next() {
                Some('\\') => element.push(rest.next()?),
                Some('"') if is_quoted => match rest.next() {
                    Some(',') => break true,
                    None => break false,
                    Some(_) => return None,
                },
                Some(',') if !is_quoted => break true,
                Some('{' | '}' | '"') if !is_quoted => return None,
                Some(other) => element.push(other),
                None if !is_quoted => break false,
                None => return None,
            }
        };
        if !is_quoted && element == "NULL" {
            element.clear();
        }
        elements.push(element.into());
        if !more {
            return Some(elements);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_the_server_writes_them() {
        for (text, want) in [
            ("{}", Some(vec![])),
            ("{a}", Some(vec!["a"])),
            ("{a,b}", Some(vec!["a", "b"])),
            ("{NULL,\"NULL\"}", Some(vec!["", "NULL"])),
            (
                r#"{"a,b","c\"d","e\\f",""}"#,
                Some(vec!["a,b", "c\"d", "e\\f", ""]),
            ),
            ("{search_path=\"\"}", None),
            (r#"{"search_path=\"\""}"#, Some(vec!["search_path=\"\""])),
            ("{\"open}", None),
            ("{a", None),
            ("{\"a\"b}", None),
            ("{{1,2},{3,4}}", None),
        ] {
            let read = elements(text);
            let read = read
                .as_ref()
                .map(|read| read.iter().map(|element| &**element).collect());
            assert_eq!(read, want, "{text}");
        }
    }

    #[test]
    fn a_field_that_is_missing_or_wrong_is_an_error() {
        let fields = [Some("r"), Some("x"), None];
        let mut row = Row::new(&fields);
        assert_eq!(row.kind().ok(), Some(b'r'));
        assert!(row.oid().is_err());
        assert!(row.text().is_err());
        assert!(row.optional().is_err());
        let mut row = Row::new(&[Some("{1,2}"), Some("3 4"), None, Some("{1,x}")]);
        assert_eq!(row.oids().expect("numbers").as_slice(), [Oid(1), Oid(2)]);
        assert_eq!(row.numbers::<i16>().expect("numbers").as_slice(), [3, 4]);
        assert_eq!(row.numbers::<i16>().expect("none").as_slice(), [] as [i16; 0]);
        assert!(row.oids().is_err());
    }
}
