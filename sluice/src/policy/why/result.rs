//! What an identity would see of a statement's result: what is masked, and which policies open it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use sluice_dataplane::settings::Masking;
use sluice_dataplane::{PreviewedColumn, Shown, preview};
use sluice_masking::Class;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::statement::Statement;

use super::{Asked, Asker, Request, Said};
use crate::explain_sql::report::{line, section};

/// What is seen of a statement's rows.
#[derive(Debug, Serialize)]
pub(super) struct Shows {
    columns: Vec<Column>,
    /// The classes that detectors look for.
    detectors: Vec<&'static str>,
    /// It is a COPY that cannot be masked by column, and refused for that.
    is_refused: bool,
    /// The requests for classes that have to do with it.
    unmask: Vec<Request>,
    /// A condition of one of these looked at the time.
    #[serde(skip)]
    pub(super) is_timed: bool,
}

#[derive(Debug, Serialize)]
struct Column {
    /// `*` for columns that are not known.
    name: String,
    /// `as_it_is`, `scanned`, `masked` or `null`, in the text format.
    shown: &'static str,
    /// The same in the binary format.
    shown_in_binary: &'static str,
    /// The classes of configured columns that it comes from, or may come from.
    masked: Vec<&'static str>,
    /// Such classes that policy lets the identity see.
    unmasked: Vec<&'static str>,
    /// The permits of `Unmask` that do.
    unmasked_by: Vec<String>,
    #[serde(skip)]
    in_text: Shown,
    #[serde(skip)]
    in_binary: Shown,
}

impl Asked {
    /// As the gate asks it of a session that begins now.
    pub(super) fn shows(
        &self,
        statement: &Statement,
        before: &[Statement],
        catalog: &Catalog,
        masking: &Masking,
    ) -> Shows {
        let Asker {
            principal: who,
            client,
            moment,
            ..
        } = &self.asker;
        let mut is_timed = false;
        let preview = preview(statement, before, catalog, masking, |class| {
            let unmasking = self.policies.unmasks(who, client, *moment, class);
            is_timed |= unmasking.is_timed;
            unmasking.is_permitted
        });
        let of_class = |class: &str| {
            let request = self.policies.explain_unmasking(who, client, *moment, class);
            Request::new(request, &[])
        };
        let columns: Vec<_> = preview
            .columns
            .into_iter()
            .map(|column| Column::new(column, of_class))
            .collect();
        let is_scanned = columns.iter().any(|column| column.in_text == Shown::Scanned);
        let mut asked: BTreeSet<_> = columns
            .iter()
            .flat_map(|column| column.masked.iter().chain(&column.unmasked).copied())
            .collect();
        let configured = asked.clone();
        if is_scanned {
            asked.extend(masking.classes().iter().map(Class::name));
        }
        // Of what detectors look for the classes are told that policies speak of.
        let unmask = asked
            .into_iter()
            .map(|class| (configured.contains(class), of_class(class)))
            .filter(|(is_configured, request)| *is_configured || !request.policies.is_empty());
        Shows {
            unmask: unmask.map(|(_, request)| request).collect(),
            detectors: preview.classes.iter().map(Class::name).collect(),
            is_refused: preview.is_refused,
            is_timed: is_timed && !columns.is_empty(),
            columns,
        }
    }
}

impl Column {
    fn new(column: PreviewedColumn, request: impl Fn(&str) -> Request) -> Self {
        let permits = column.unmasked.iter().flat_map(|class| {
            let policies = request(class).policies.into_iter();
            policies.filter(|opinion| opinion.kind == "permit" && matches!(opinion.word, Said::Applies))
        });
        let unmasked_by: BTreeSet<_> = permits.map(|opinion| opinion.policy).collect();
        Self {
            name: column.name.into(),
            shown: column.text.name(),
            shown_in_binary: column.binary.name(),
            unmasked_by: unmasked_by.into_iter().collect(),
            masked: column.masked,
            unmasked: column.unmasked,
            in_text: column.text,
            in_binary: column.binary,
        }
    }
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_refused {
            line(f, 2, "refused: this COPY cannot be masked by column")?;
        }
        let columns: Vec<_> = self.columns.iter().map(ToString::to_string).collect();
        section(f, "what is seen of the columns", &columns)?;
        let is_scanned = self.columns.iter().any(|column| column.in_text == Shown::Scanned);
        if is_scanned {
            line(f, 2, &format!("detectors look for {}", self.detectors.join(", ")))?;
        }
        self.unmask.iter().try_for_each(|request| request.fmt(f))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.masked.as_slice() {
            [] => String::new(),
            classes => format!(" ({})", classes.join(", ")),
        };
        write!(f, "{}: ", self.name)?;
        match self.in_text {
            Shown::AsItIs => f.write_str("as it is")?,
            Shown::Scanned => f.write_str("as it is, but for what detectors find")?,
            Shown::Masked => write!(f, "masked, as it is configured{of}")?,
            Shown::Null if self.masked.is_empty() => {
                f.write_str("NULL, as it may come from any configured column")?;
            }
            Shown::Null => write!(f, "NULL, as it is or may be computed from what is configured{of}")?,
        }
        if self.in_binary != self.in_text && self.in_binary == Shown::Null {
            f.write_str("; NULL in the binary format")?;
        }
        if !self.unmasked.is_empty() {
            let (classes, by) = (self.unmasked.join(", "), self.unmasked_by.join(", "));
            write!(f, "; {classes} not masked, permitted by {by}")?;
        }
        Ok(())
    }
}
