//! What is known of a value: its type, where it comes from, and whether the statement itself gives it.

use std::rc::Rc;

use crate::sql::lineage::{BaseColumn, Lineage};
use crate::sql::resolve::Ty;

/// A name of a column or a relation, shared by all that lets it be seen.
pub(super) type Name = Rc<str>;

/// The columns of a relation, a sub-query or a composite value.
pub(super) type Row = Rc<[Column]>;

/// A column that can be named.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: Name,
    pub(super) ty: Ty,
    pub(super) lineage: Lineage,
    /// The column of a table or view that the server names as its origin.
    pub(super) origin: Option<BaseColumn>,
    /// What a composite column consists of, where that is known.
    pub(super) row: Option<Row>,
}

/// What gives a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A constant, as text.
    Text(Rc<str>),
    /// NULL.
    Null,
    /// The parameter of this number.
    Parameter(u16),
    /// Anything else.
    Computed,
}

/// An expression's value.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what is known of it, in respects that do not depend on each other"
)]
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) ty: Ty,
    pub(super) lineage: Lineage,
    /// The column of a table or view that the server names as its origin.
    pub(super) origin: Option<BaseColumn>,
    pub(super) given: Given,
    /// What a composite value consists of, where that is known.
    pub(super) row: Option<Row>,
    /// It is one value for the whole statement: made of constants and parameters.
    pub(super) is_single: bool,
    /// It is one of several: of a list, an array, or what a sub-query chooses.
    pub(super) is_one_of_several: bool,
    /// That protected columns chose it is said already.
    pub(super) is_reported: bool,
    /// It is a column or computed from one in a way that no planner takes for a constant.
    pub(super) varies: bool,
}

impl Value {
    /// A value that comes from no column.
    pub(super) fn constant(ty: Ty) -> Self {
        Self {
            ty,
            lineage: Lineage::constant(),
            origin: None,
            given: Given::Computed,
            row: None,
            is_single: true,
            is_one_of_several: false,
            is_reported: false,
            varies: false,
        }
    }

    /// A value of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self {
            lineage: Lineage::Unknown,
            is_single: false,
            ..Self::constant(Ty::Uncertain)
        }
    }

    /// A constant that the statement gives.
    pub(super) fn text(ty: Ty, text: &str) -> Self {
        Self {
            given: Given::Text(text.into()),
            ..Self::constant(ty)
        }
    }

    /// A column's value.
    pub(super) fn column(column: &Column) -> Self {
        Self {
            lineage: column.lineage.clone(),
            origin: column.origin,
            row: column.row.clone(),
            is_single: false,
            ..Self::constant(column.ty)
        }
    }

    /// The same value under a name.
    pub(super) fn named(self, name: Name) -> Column {
        Column {
            name,
            ty: self.ty,
            lineage: self.lineage,
            origin: self.origin,
            row: self.row,
        }
    }

    /// The constant that the statement gives.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.given {
            Given::Text(text) => Some(text),
            Given::Null | Given::Parameter(_) | Given::Computed => None,
        }
    }

    /// The same value as another type.
    #[must_use]
    pub(super) fn with_type(self, ty: Ty) -> Self {
        Self { ty, ..self }
    }

    /// The same value, which the server takes for computed.
    #[must_use]
    pub(super) fn of_no_origin(self) -> Self {
        Self { origin: None, ..self }
    }

    /// Whether a function of these values varies too: NULL, or what may become NULL or a constant, decides by itself.
    pub(super) fn vary(values: &[Self]) -> bool {
        let is_plain = |value: &Self| value.varies || value.as_text().is_some();
        values.iter().any(|value| value.varies) && values.iter().all(is_plain)
    }

    /// Whether it depends on no column.
    pub(super) fn is_constant(&self) -> bool {
        self.lineage.columns().is_some_and(<[_]>::is_empty)
    }
}
