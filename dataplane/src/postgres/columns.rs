//! What is done to each column of a result: the plan that rows are masked by.
//!
//! The server's own word on where a column comes from counts, and what the analysis has found beside it.

use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use sluice_masking::Class;
use sluice_parsers::postgres::ProtocolError;
use sluice_parsers::postgres::backend::{Format, RowDescription};
use smallvec::{SmallVec, smallvec};

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
/// Expectations that are remembered of one.
const MEANINGS_MAX: usize = 8;

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

/// A description of which several statements may give the rows.
#[derive(Debug)]
struct Known {
    is_scanned: bool,
    tags: Arc<Tags>,
    /// What it means under what was expected, the latest last.
    meanings: SmallVec<[(Rc<Expectation>, Description); 1]>,
}

impl Known {
    /// Whether it is of rows that are masked by the same.
    fn is_of(&self, is_scanned: bool, tags: &Arc<Tags>) -> bool {
        self.is_scanned == is_scanned && Arc::ptr_eq(&self.tags, tags)
    }

    /// What it means to a statement that expects that. Equal expectations are of statements that read the same; most are
    /// the very same.
    fn find(&self, expected: &Rc<Expectation>) -> Option<Description> {
        let same = |(other, _): &&(Rc<Expectation>, _)| Rc::ptr_eq(other, expected);
        let equal = |(other, _): &&(Rc<Expectation>, _)| *other == *expected;
        let mut meanings = self.meanings.iter();
        if self.tags.is_empty() {
            // Without configured columns the plan is that of the description.
            let (_, known) = meanings.next()?;
            return Some(Description {
                is_expected: expected.agrees(&known.columns),
                ..known.clone()
            });
        }
        let found = meanings.clone().find(same).or_else(|| meanings.find(equal));
        found.map(|(_, description)| description.clone())
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
        let known = self.0.get_mut(described);
        let known = known.filter(|known| known.is_of(is_scanned, tags));
        if let Some(description) = known.as_ref().and_then(|known| known.find(expected)) {
            return Ok(description);
        }
        let columns = Facts::of(described)?;
        let description = Description {
            plan: Rc::new(Plan::new(&columns, is_scanned, tags, Some(expected))),
            is_expected: expected.agrees(&columns),
            columns,
        };
        let meaning = (Rc::clone(expected), description.clone());
        if let Some(known) = known {
            if known.meanings.len() >= MEANINGS_MAX {
                known.meanings.remove(0);
            }
            known.meanings.push(meaning);
        } else if described.len() <= REMEMBERED_BYTES_MAX {
            if self.0.len() >= PLANS_MAX {
                self.0.clear();
            }
            let known = Known {
                is_scanned,
                tags: Arc::clone(tags),
                meanings: smallvec![meaning],
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
    fn one_description_means_another_thing_to_statements_that_expect_another() {
        let mut described = Vec::new();
        let mut columns = 1i16.to_be_bytes().to_vec();
        columns.extend_from_slice(b"x\0");
        columns.extend_from_slice(&0u32.to_be_bytes());
        columns.extend_from_slice(&0i16.to_be_bytes());
        columns.extend_from_slice(&TEXT.to_be_bytes());
        columns.extend_from_slice(&(-1i16).to_be_bytes());
        columns.extend_from_slice(&(-1i32).to_be_bytes());
        columns.extend_from_slice(&0i16.to_be_bytes());
        described.append(&mut columns);

        let statement = |sql: &str| {
            let world = sluice_parsers::sql::world::World::built_in(15);
            let analysis = sluice_parsers::sql::analyze::analyze(
                sql,
                &sluice_parsers::sql::analyze::Limits::default(),
                &world,
            );
            let tags = Tags::from_iter([((9000, 1), None)]);
            Rc::new(Expectation::of(&analysis.statements[0], &tags, &world.catalog))
        };
        let (anything, constant) = (Rc::new(Expectation::anything()), statement("SELECT 'a'"));
        let two = statement("SELECT 'a', 'b'");
        let (configured, none) = (
            Arc::new(Tags::from_iter([((9000, 1), None)])),
            Arc::new(Tags::new()),
        );
        let null = Treatment::Null(None);
        let scan = Treatment::Scan(Carries::Text);
        let mut plans = PlanCache::default();
        // Twice: what was read, and what is remembered.
        for _ in 0..2 {
            for (tags, expected, want, is_expected) in [
                (&configured, &constant, scan, true),
                (&configured, &anything, null, true),
                (&configured, &two, null, false),
                (&configured, &Rc::new(Expectation::anything()), null, true),
                (&none, &two, scan, false),
                (&none, &constant, scan, true),
                (&none, &anything, scan, true),
            ] {
                let read = plans.read(&described, true, tags, expected).expect("well formed");
                assert_eq!(
                    (read.plan.treatment(0), read.is_expected),
                    (want, is_expected),
                    "{expected:?}"
                );
            }
            let unscanned = plans
                .read(&described, false, &none, &constant)
                .expect("well formed");
            assert_eq!(unscanned.plan.treatment(0), Treatment::Pass);
        }
        // However many there are, each means its own.
        for number in 0..3 * MEANINGS_MAX {
            let expected = statement(&format!("SELECT {}", vec!["1"; number + 1].join(", ")));
            let read = plans
                .read(&described, true, &configured, &expected)
                .expect("well formed");
            assert_eq!(read.is_expected, number == 0);
        }
    }

    #[test]
    fn an_undescribed_column_is_looked_through() {
        let plan = Plan::new(&[], true, &Tags::new(), None);
        assert_eq!(plan.treatment(0), Treatment::Scan(Carries::Unknown));
    }
}
