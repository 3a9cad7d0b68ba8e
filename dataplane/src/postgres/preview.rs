//! What would be done to the columns of a statement's result, told without running it: for `sluice policy why`.
//!
//! The plan is the one that sessions make of a RowDescription, over what the analysis expects the server to describe.

use sluice_masking::ClassSet;
use sluice_parsers::postgres::backend::Format;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::lineage::Lineage;
use sluice_parsers::sql::resolve::Ty;
use sluice_parsers::sql::statement::{CopyColumns, OutputColumn, Statement, StatementKind};

use super::catalog::protected::tags;
use super::columns::{Facts, Plan, Tag, Tags, Treatment};
use super::copy;
use super::expected::{Expectation, described_type, tag_of};
use super::unmask::{Open, class_name};
use crate::settings::Masking;

/// What a client sees of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The values as they are.
    AsItIs,
    /// The values, with what detectors find in them overwritten.
    Scanned,
    /// Overwritten values of the same length.
    Masked,
    /// NULL.
    Null,
}

impl Shown {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsItIs => "as_it_is",
            Self::Scanned => "scanned",
            Self::Masked => "masked",
            Self::Null => "null",
        }
    }
}

impl From<Treatment> for Shown {
    fn from(treatment: Treatment) -> Self {
        match treatment {
            Treatment::Pass => Self::AsItIs,
            Treatment::Scan(_) => Self::Scanned,
            Treatment::Overwrite(_) => Self::Masked,
            Treatment::Null(_) => Self::Null,
        }
    }
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewedColumn {
    /// Its name; `*` for columns that are not known.
    pub name: Box<str>,
    /// What is seen of it in the text format.
    pub text: Shown,
    /// What is seen of it in the binary format.
    pub binary: Shown,
    /// The classes of configured columns that it comes from or may come from, by the names that policies have for them.
    pub masked: Vec<&'static str>,
    /// Such classes that policy lets the session see as they are.
    pub unmasked: Vec<&'static str>,
}

/// A statement's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Its columns in their order; none if it gives no rows.
    pub columns: Vec<PreviewedColumn>,
    /// What detectors look for.
    pub classes: ClassSet,
    /// It is a COPY that cannot be masked by column, and refused for that.
    pub is_refused: bool,
}

/// What a session would see of a statement's result behind the statements `before` it in its text. `is_open` says whether
/// policy lets it see values of a class as they are.
pub fn preview(
    statement: &Statement,
    before: &[Statement],
    catalog: &Catalog,
    masking: &Masking,
    is_open: impl FnMut(&str) -> bool,
) -> Preview {
    let open = Open::of(masking, is_open);
    let configured = tags(catalog, masking);
    let classes = open.still_found(masking);
    let viewer = Viewer {
        masked: open.still_masked(&configured),
        configured,
        is_scanned: !classes.is_empty(),
        open,
    };
    let (columns, is_refused) = match &statement.kind {
        StatementKind::CopyOut { columns: None, .. } => (Vec::new(), !viewer.masked.is_empty()),
        StatementKind::CopyOut {
            columns: Some(columns),
            ..
        } => (viewer.of_copy(columns, masking), false),
        StatementKind::Execute { name } | StatementKind::Fetch { name } => (
            made_under(name, before).map_or_else(
                || viewer.of_rows(None, &[unknown()], catalog),
                |made| viewer.of_rows(Some(made), &made.columns, catalog),
            ),
            false,
        ),
        // The rows of these are read by another statement.
        StatementKind::Declare { .. } | StatementKind::Prepare { .. } => (Vec::new(), false),
        _ => (
            viewer.of_rows(Some(statement), &statement.columns, catalog),
            false,
        ),
    };
    Preview {
        columns,
        classes,
        is_refused,
    }
}

/// What stands under a name in a session that begins with those statements.
fn made_under<'a>(wanted: &str, before: &'a [Statement]) -> Option<&'a Statement> {
    before.iter().rev().find(|statement| match &statement.kind {
        StatementKind::Prepare { name } | StatementKind::Declare { name, .. } => **name == *wanted,
        _ => false,
    })
}

/// A column that stands for those of which nothing is known.
fn unknown() -> OutputColumn {
    OutputColumn {
        name: "*".into(),
        ty: Ty::Uncertain,
        lineage: Lineage::Unknown,
        origin: None,
    }
}

/// What a session masks.
struct Viewer {
    configured: Tags,
    /// Of these, what policy does not open.
    masked: Tags,
    open: Open,
    is_scanned: bool,
}

impl Viewer {
    /// `statement` is the one that gives the rows, if it is known.
    fn of_rows(
        &self,
        statement: Option<&Statement>,
        columns: &[OutputColumn],
        catalog: &Catalog,
    ) -> Vec<PreviewedColumn> {
        let expected = statement.map_or_else(Expectation::anything, |statement| {
            Expectation::of(statement, &self.masked, catalog)
        });
        let facts: Vec<_> = columns.iter().map(|column| facts(column, catalog)).collect();
        let plan = |format| {
            Plan::with_formats(
                &facts,
                |_, _| format,
                self.is_scanned,
                &self.masked,
                Some(&expected),
            )
        };
        let (text, binary) = (plan(Format::Text), plan(Format::Binary));
        let columns = columns.iter().enumerate().map(|(index, column)| {
            let reads = match column.lineage.columns() {
                Some(columns) => columns,
                None => statement.map_or(&[][..], |statement| &statement.protected_reads),
            };
            let tags = reads
                .iter()
                .filter_map(|&column| tag_of(column, &self.configured));
            self.column(&column.name, text.treatment(index), binary.treatment(index), tags)
        });
        columns.collect()
    }

    /// As in sessions, a column counts as configured if one of that name is, of whatever table.
    fn of_copy(&self, columns: &CopyColumns, masking: &Masking) -> Vec<PreviewedColumn> {
        let columns = columns.names.iter().map(|name| {
            let is_any = !self.configured.is_empty();
            let configured = copy::named(masking.columns(), name).filter(move |_| is_any);
            let masked = configured.clone().find(|column| !self.open.holds(column.class));
            let treatment = match masked {
                Some(column) if !self.masked.is_empty() => Treatment::Overwrite(column.class),
                _ if self.is_scanned => Treatment::Scan(super::types::Carries::Text),
                _ => Treatment::Pass,
            };
            self.column(name, treatment, treatment, configured.map(|column| column.class))
        });
        columns.collect()
    }

    fn column(
        &self,
        name: &str,
        text: Treatment,
        binary: Treatment,
        tags: impl Iterator<Item = Tag>,
    ) -> PreviewedColumn {
        let mut tags: Vec<_> = tags.collect();
        tags.sort_unstable_by_key(|tag| class_name(*tag));
        tags.dedup();
        let (unmasked, masked): (Vec<_>, Vec<_>) = tags.into_iter().partition(|tag| self.open.holds(*tag));
        let names = |tags: Vec<Tag>| tags.into_iter().map(class_name).collect();
        PreviewedColumn {
            name: name.into(),
            text: text.into(),
            binary: binary.into(),
            masked: names(masked),
            unmasked: names(unmasked),
        }
    }
}

/// What the server would say of a column.
fn facts(column: &OutputColumn, catalog: &Catalog) -> Facts {
    /// `text`, by which the server describes what has no type of its own.
    const TEXT: u32 = 25;
    let key = column
        .origin
        .map_or((0, 0), |origin| (origin.relation.0, origin.number));
    let type_oid = match column.ty {
        Ty::Known(oid) => described_type(oid, catalog).0,
        Ty::Literal | Ty::Parameter => TEXT,
        Ty::Uncertain => 0,
    };
    Facts {
        key,
        type_oid,
        format: Format::Text,
    }
}
