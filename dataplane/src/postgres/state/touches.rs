//! Names that a statement's DDL may give, take or change.

use sluice_parsers::sql::statement::Statement;
use sluice_parsers::sql::world::Touched;

/// Names of one session that are kept apart; of more, every name counts as touched.
const NAMES_MAX: usize = 256;

/// What a statement does to the meaning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touches {
    /// Nothing.
    Nothing,
    /// These names may mean something else, in whatever schema.
    Names(Box<[Box<str>]>),
    /// Any name may.
    Everything,
}

impl Touches {
    /// What a statement touches.
    pub(crate) fn of(statement: &Statement) -> Self {
        match &statement.touches {
            Touched::Nothing => Self::Nothing,
            Touched::Names(names) => Self::Names(names.clone()),
            Touched::Everything => Self::Everything,
        }
    }

    /// Adds it to what a session has touched; says whether that made a difference.
    pub(super) fn add_to(&self, touched: &mut Touched) -> bool {
        let names = match self {
            Self::Nothing => return false,
            Self::Everything => {
                let is_new = *touched != Touched::Everything;
                *touched = Touched::Everything;
                return is_new;
            }
            Self::Names(names) => names,
        };
        if names.iter().all(|name| touched.contains(name)) {
            return false;
        }
        let mut all: Vec<Box<str>> = names.to_vec();
        if let Touched::Names(known) = touched {
            all.extend(known.iter().cloned());
        }
        all.sort_unstable();
        all.dedup();
        *touched = if all.len() > NAMES_MAX {
            Touched::Everything
        } else {
            Touched::Names(all.into())
        };
        true
    }
}
