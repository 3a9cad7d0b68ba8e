//! Where a value comes from: base columns, exactly or by way of a computation.

use std::fmt;

use smallvec::SmallVec;

use super::catalog::Oid;

/// A column of a table, by the server's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseColumn {
    /// The table.
    pub relation: Oid,
    /// Its `attnum`.
    pub number: i16,
}

impl BaseColumn {
    /// No column: a value that the statement itself gives may stand in the place of a column's. It is among the columns
    /// of a lineage only while a statement is analysed.
    pub(super) const GIVEN: Self = Self {
        relation: Oid::NONE,
        number: 0,
    };
}

/// Base columns, ascending and without repeats.
pub type BaseColumns = SmallVec<[BaseColumn; 2]>;

/// Where a value comes from. A constant is [`Self::Exact`] of nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lineage {
    /// The value is that of one of these columns as it stands there.
    Exact(BaseColumns),
    /// The value is computed from these columns and no others.
    Derived(BaseColumns),
    /// It may come from anywhere.
    Unknown,
}

impl Lineage {
    /// A value that comes from no column.
    pub fn constant() -> Self {
        Self::Exact(BaseColumns::new())
    }

    /// The value of one column.
    pub fn column(column: BaseColumn) -> Self {
        Self::Exact(SmallVec::from_slice(&[column]))
    }

    /// The columns; none if unknown.
    pub fn columns(&self) -> Option<&[BaseColumn]> {
        match self {
            Self::Exact(columns) | Self::Derived(columns) => Some(columns),
            Self::Unknown => None,
        }
    }

    /// One of two values: branches of a set operation, CASE, COALESCE.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Exact(mut left), Self::Exact(right)) => {
                merge(&mut left, right);
                Self::Exact(left)
            }
            (Self::Exact(mut left) | Self::Derived(mut left), Self::Exact(right) | Self::Derived(right)) => {
                merge(&mut left, right);
                Self::Derived(left)
            }
        }
    }

    /// A value computed from this one and others.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        self.or(other).derived()
    }

    /// The same, where a value that the statement gives may stand instead.
    #[must_use]
    pub(super) fn or_given(self) -> Self {
        match self {
            Self::Exact(columns) if columns.is_empty() => Self::Exact(columns),
            other => other.or(&Self::column(BaseColumn::GIVEN)),
        }
    }

    /// Whether a value that the statement gives may be among those of columns.
    pub(super) fn has_given(&self) -> bool {
        // It is the least of all.
        self.columns()
            .is_some_and(|columns| columns.first() == Some(&BaseColumn::GIVEN))
    }

    /// The columns alone.
    #[must_use]
    pub(super) fn without_given(mut self) -> Self {
        if let Self::Exact(columns) | Self::Derived(columns) = &mut self {
            columns.retain(|column| *column != BaseColumn::GIVEN);
        }
        self
    }

    /// A value computed from this one. What comes from no column stays a constant.
    #[must_use]
    pub fn derived(self) -> Self {
        match self {
            Self::Exact(columns) if !columns.is_empty() => Self::Derived(columns),
            other => other,
        }
    }
}

fn merge(into: &mut BaseColumns, from: &[BaseColumn]) {
    for &column in from {
        if let Err(place) = into.binary_search(&column) {
            into.insert(place, column);
        }
    }
}

/// `exact 16384.2`, `derived 16384.2 16384.3`, `constant`, `unknown`.
impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, columns) = match self {
            Self::Exact(columns) if columns.is_empty() => return f.write_str("constant"),
            Self::Exact(columns) => ("exact", columns),
            Self::Derived(columns) => ("derived", columns),
            Self::Unknown => return f.write_str("unknown"),
        };
        f.write_str(word)?;
        for column in columns {
            write!(f, " {}.{}", column.relation, column.number)?;
        }
        Ok(())
    }
}
