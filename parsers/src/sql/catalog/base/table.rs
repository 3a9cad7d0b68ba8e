//! The shipped tables: tab separated text whose first column says in which major versions a row exists.

use crate::sql::catalog::Oid;

/// The rows of a table that exist in a major version. A table's first line names its columns.
pub(super) fn rows(table: &'static str, major: u8) -> impl Iterator<Item = Row> {
    table.lines().skip(1).filter_map(move |line| {
        let (majors, rest) = line.split_once('\t')?;
        let (first, last) = majors.split_once('-')?;
        let exists = (first.parse().ok()?..=last.parse().ok()?).contains(&major);
        exists.then(|| Row(rest.split('\t')))
    })
}

/// The fields of a row that are not read yet. One that is missing is empty, one that is no number is zero: tests hold
/// the tables to what servers say.
pub(super) struct Row(std::str::Split<'static, char>);

impl Row {
    pub(super) fn text(&mut self) -> &'static str {
        self.0.next().unwrap_or_default()
    }

    /// Leaves fields out.
    pub(super) fn skip(&mut self, fields: usize) {
        for _ in 0..fields {
            self.text();
        }
    }

    pub(super) fn name(&mut self) -> Box<str> {
        self.text().into()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.text().bytes().next().unwrap_or_default()
    }

    pub(super) fn oid(&mut self) -> Oid {
        oid(self.text())
    }

    /// OIDs with spaces between them.
    pub(super) fn oids<C: FromIterator<Oid>>(&mut self) -> C {
        self.text().split_ascii_whitespace().map(oid).collect()
    }

    /// Texts with a separator between them; of an empty field none.
    pub(super) fn texts<C: FromIterator<Box<str>>>(&mut self, separator: char) -> C {
        let field = self.text();
        let texts = (!field.is_empty()).then(|| field.split(separator));
        texts.into_iter().flatten().map(Box::from).collect()
    }
}

pub(super) fn oid(text: &str) -> Oid {
    Oid(text.parse().unwrap_or_default())
}
