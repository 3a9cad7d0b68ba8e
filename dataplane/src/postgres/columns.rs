//! What is done to each column of a result: the plan that rows are masked by.
//!
//! The server's own word on where a column comes from counts, and what the analysis has found beside it.

use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use sluice_masking::Class;
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::{Format, RowDescription};

use super::expected::Expectation;
use super::types::{Carries, carries, is_overwritable};

/// A table's OID and a column's number: the server's own word for where a value comes from.
pub(crate) type ColumnKey = (u32, i16);

/// The configured columns of one database, as its catalog numbers them.
pub(crate) type Tags = HashMap<ColumnKey, Tag>;

/// Whose count a configured column adds to, if any.
pub(crate) type Tag = Option<Class>;

/// What is done to the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// They pass.
    Pass,
    /// Detectors look through the text that they carry.
    Scan(Carries),
    /// They are overwritten, whatever they are.
    Overwrite(Option<Class>),
    /// They are replaced by NULL, as their form cannot be overwritten.
    Null(Option<Class>),
}

/// How a column is masked that is configured, or comes from such a one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// It is overwritten where it stands.
    Overwritten(Tag),
    /// It is NULL, whatever it is.
    Withheld(Tag),
}

/// How the column's number is told where a result column is a whole row of the table (`SELECT t FROM t`).
const WHOLE_ROW: i16 = 0;

/// How a column is masked by the server's word. A whole row is withheld if any column of it is configured.
fn mask_of(tags: &Tags, (table, number): ColumnKey) -> Option<Mask> {
    if number == WHOLE_ROW && table != 0 {
        let is_any = tags.keys().any(|key| key.0 == table);
        return is_any.then_some(Mask::Withheld(None));
    }
    tags.get(&(table, number)).copied().map(Mask::Overwritten)
}

/// What the server says of a result column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) key: ColumnKey,
    pub(crate) type_oid: u32,
    pub(crate) format: Format,
}

impl Facts {
    /// The columns of a RowDescription.
    pub(crate) fn of(description: &[u8]) -> Result<Rc<[Self]>, ProtocolError> {
        Ok(RowDescription::parse(description)?
            .iter()
            .map(|column| Self {
                key: (column.table_oid, column.column_number),
                type_oid: column.type_oid,
                format: column.format,
            })
            .collect())
    }
}

/// What is done to each column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    treatments: Box<[Treatment]>,
    scans: bool,
    rewrites: bool,
}

impl Plan {
    /// The plan of a result whose description tells the formats too.
    pub(crate) fn new(
        columns: &[Facts],
        is_scanned: bool,
        tags: &Tags,
        expected: Option<&Expectation>,
    ) -> Self {
        Self::with_formats(columns, |_, described| described, is_scanned, tags, expected)
    }

    /// The plan of a described statement's result in the formats that a Bind asks for.
    pub(crate) fn with_formats(
        columns: &[Facts],
        format: impl Fn(usize, Format) -> Format,
        is_scanned: bool,
        tags: &Tags,
        expected: Option<&Expectation>,
    ) -> Self {
        // What was judged is not what the server gives: it may be anything.
        let is_another = !tags.is_empty() && expected.is_some_and(|expected| !expected.agrees(columns));
        let masked = columns.iter().enumerate().map(|(index, column)| {
            let facts = Facts {
                format: format(index, column.format),
                ..*column
            };
            let derived = || {
                let expected = expected.filter(|_| !tags.is_empty())?;
                expected.mask(index, column.key)
            };
            let mask = mask_of(tags, column.key).or_else(derived);
            (facts, mask.or_else(|| is_another.then_some(Mask::Withheld(None))))
        });
        Self::build(masked, is_scanned)
    }

    /// A plan for rows of which nothing is known: every value is looked through.
    pub(crate) fn suspicious(columns: usize) -> Self {
        Self {
            treatments: vec![Treatment::Scan(Carries::Unknown); columns].into(),
            scans: true,
            rewrites: false,
        }
    }

    fn build(columns: impl Iterator<Item = (Facts, Option<Mask>)>, is_scanned: bool) -> Self {
        let treatments: Box<[Treatment]> = columns
            .map(|(column, mask)| match mask {
                Some(Mask::Overwritten(class)) if is_overwritable(column.type_oid, column.format) => {
                    Treatment::Overwrite(class)
                }
                Some(Mask::Overwritten(class) | Mask::Withheld(class)) => Treatment::Null(class),
                None => match carries(column.type_oid, column.format) {
                    Carries::Nothing => Treatment::Pass,
                    _ if !is_scanned => Treatment::Pass,
                    carried => Treatment::Scan(carried),
                },
            })
            .collect();
        Self {
            scans: treatments
                .iter()
                .any(|treatment| matches!(treatment, Treatment::Scan(_))),
            rewrites: treatments
                .iter()
                .any(|treatment| matches!(treatment, Treatment::Overwrite(_) | Treatment::Null(_))),
            treatments,
        }
    }

    /// What is done to the column of that index. One that the description does not name is looked through.
    #[inline]
    pub(crate) fn treatment(&self, index: usize) -> Treatment {
        self.treatments
            .get(index)
            .copied()
            .unwrap_or(Treatment::Scan(Carries::Unknown))
    }

    /// Whether any column is looked through.
    #[inline]
    pub(crate) fn scans(&self) -> bool {
        self.scans
    }

    /// Whether any column is overwritten or becomes NULL.
    #[inline]
    pub(crate) fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// Whether rows pass as they are.
    #[inline]
    pub(crate) fn passes(&self) -> bool {
        !self.scans && !self.rewrites
    }
}

/// Descriptions that a core remembers.
const PLANS_MAX: usize = 1024;
/// Longer descriptions are read each time.
const REMEMBERED_BYTES_MAX: usize = 4096;

/// A RowDescription, read.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// The columns.
    pub(crate) columns: Rc<[Facts]>,
    /// The plan for their rows.
    pub(crate) plan: Rc<Plan>,
    /// Whether it is what the analysis has found.
    pub(crate) is_expected: bool,
}

/// The plans of descriptions that were seen before, by their very bytes: most results are described again and again.
#[derive(Debug, Default)]
pub(crate) struct PlanCache(HashMap<Box<[u8]>, Known>);

#[derive(Debug)]
struct Known {
    description: Description,
    is_scanned: bool,
    tags: Arc<Tags>,
    expected: Rc<Expectation>,
}

impl Known {
    /// Whether it is of the same rows. Equal expectations are of statements that read the same; most are the very same.
    fn is_of(&self, is_scanned: bool, tags: &Arc<Tags>, expected: &Rc<Expectation>) -> bool {
        self.is_scanned == is_scanned
            && Arc::ptr_eq(&self.tags, tags)
            && (Rc::ptr_eq(&self.expected, expected) || self.expected == *expected)
    }
}

impl PlanCache {
    /// Reads a RowDescription of rows of which that is expected.
    pub(crate) fn read(
        &mut self,
        described: &[u8],
        is_scanned: bool,
        tags: &Arc<Tags>,
        expected: &Rc<Expectation>,
    ) -> Result<Description, ProtocolError> {
        if let Some(known) = self.0.get(described)
            && known.is_of(is_scanned, tags, expected)
        {
            return Ok(known.description.clone());
        }
        let columns = Facts::of(described)?;
        let description = Description {
            plan: Rc::new(Plan::new(&columns, is_scanned, tags, Some(expected))),
            is_expected: expected.agrees(&columns),
            columns,
        };
        if described.len() <= REMEMBERED_BYTES_MAX {
            if self.0.len() >= PLANS_MAX {
                self.0.clear();
            }
            let known = Known {
                description: description.clone(),
                is_scanned,
                tags: Arc::clone(tags),
                expected: Rc::clone(expected),
            };
            self.0.insert(described.into(), known);
        }
        Ok(description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u32 = 25;
    const INT4: u32 = 23;

    fn facts(attnum: i16, type_oid: u32, format: Format) -> Facts {
        Facts {
            key: (9000, attnum),
            type_oid,
            format,
        }
    }

    #[test]
    fn columns_get_their_treatment() {
        let tags = Tags::from_iter([((9000, 1), Some(Class::Email)), ((9000, 2), None)]);
        for (name, column, want) in [
            (
                "tagged text",
                facts(1, TEXT, Format::Binary),
                Treatment::Overwrite(Some(Class::Email)),
            ),
            (
                "tagged number as text",
                facts(2, INT4, Format::Text),
                Treatment::Overwrite(None),
            ),
            (
                "tagged number in binary",
                facts(2, INT4, Format::Binary),
                Treatment::Null(None),
            ),
            (
                "text",
                facts(3, TEXT, Format::Text),
                Treatment::Scan(Carries::Text),
            ),
            ("number", facts(3, INT4, Format::Text), Treatment::Pass),
            ("whole row", facts(0, 16_999, Format::Text), Treatment::Null(None)),
        ] {
            assert_eq!(
                Plan::new(&[column], true, &tags, None).treatment(0),
                want,
                "{name}"
            );
        }
        assert_eq!(
            Plan::new(&[facts(3, TEXT, Format::Text)], false, &tags, None).treatment(0),
            Treatment::Pass
        );
    }

    #[test]
    fn an_undescribed_column_is_looked_through() {
        let plan = Plan::new(&[], true, &Tags::new(), None);
        assert_eq!(plan.treatment(0), Treatment::Scan(Carries::Unknown));
    }
}
