//! What a valid policy file may not mean as it is written: policies that can never apply, policies that change nothing, budgets
//! that hold nobody, and permits to connect without the settings that drivers set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use sluice_parsers::sql::catalog::Catalog;

use crate::errors::{Mistake, PolicyErrors};
use crate::set;

/// What is known of where policies are to hold. What is not known is not held against them.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The connections, with the databases that each serves; none if they are not known.
    pub connections: Option<BTreeMap<String, Served>>,
    /// Catalogs by `connection/database`.
    pub catalogs: BTreeMap<String, Arc<Catalog>>,
}

/// The databases that a connection serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Any.
    Any,
    /// These.
    These(BTreeSet<String>),
}

/// Something that is valid and most probably not meant.
#[derive(Debug, Clone)]
pub struct Warning(pub(crate) Mistake);

impl Warning {
    /// What is wrong, with its place and the way out.
    pub fn mistake(&self) -> &Mistake {
        &self.0
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Warning {}

impl Diagnostic for Warning {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Warning)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }
}

/// Reads policies as [`crate::PolicySet::parse`] does, and tells what of them cannot have an effect, holds nobody or lacks
/// what nearly every client needs, in the order of the file. A warning is right about what it says; that there is none says nothing.
pub fn review(source: &str, file: &str, around: &Surroundings) -> Result<Vec<Warning>, PolicyErrors> {
    set::review(source, file, around)
}
