//! What an analysis is told of the database and of the session: all that a statement's meaning depends on beside its
//! text.

use std::sync::Arc;

use hashbrown::HashSet;

use super::catalog::{Catalog, Oid};
use super::lineage::BaseColumn;

/// The context of an analysis. Two analyses of one text in equal worlds are equal; cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    /// The database's objects.
    pub catalog: Arc<Catalog>,
    /// What of the session decides what names mean.
    pub session: Arc<SessionNames>,
    /// Columns that the configuration names for masking.
    pub protected: Arc<HashSet<BaseColumn>>,
    /// Functions that the configuration takes for harmless although nothing is known of them, by OID.
    pub listed: Arc<HashSet<Oid>>,
    /// Types that Parse declares for parameters; zero is undeclared.
    pub parameter_types: Arc<[Oid]>,
    /// The values of the statement's own parameters, as text, as far as they are known: none before Bind.
    pub parameter_values: Arc<[Option<Box<str>>]>,
}

impl World {
    /// A database of that major version in which there is nothing but what is built in, and a session that just began.
    pub fn built_in(server_major: u8) -> Self {
        Self::of(super::catalog::base::of(server_major))
    }

    /// A session that just began in a database, with the search path that a server has by default.
    pub fn of(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            session: Arc::new(SessionNames {
                search_path: Box::new(["$user".into(), "public".into()]),
                role_is_login: true,
                ..SessionNames::default()
            }),
            protected: Arc::default(),
            listed: Arc::default(),
            parameter_types: Arc::new([]),
            parameter_values: Arc::new([]),
        }
    }
}

/// What of a session decides what names mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionNames {
    /// `search_path` as set, one name an element, unquoted; `$user` stands for itself.
    pub search_path: Box<[Box<str>]>,
    /// The name of the role whose rights hold (`current_user`).
    pub role: Box<str>,
    /// Whether that is the role which logged in: then the catalog knows what schemas it may use.
    pub role_is_login: bool,
    /// The session's own schema of temporary objects, once it has one.
    pub temporary_schema: Oid,
    /// What statements of this session may have changed and the catalog does not show yet.
    pub touched: Touched,
}

/// Names of one session that are kept apart; of more, every name counts as touched.
const NAMES_MAX: usize = 256;

/// Names that the session's own DDL may have given, taken or changed since the catalog was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Touched {
    /// None.
    #[default]
    Nothing,
    /// These, without their schemas, ascending: relations, functions, types and operators alike.
    Names(Box<[Box<str>]>),
    /// Any: DDL whose names are not known, or a search path in doubt.
    Everything,
}

impl Touched {
    /// Adds what another one has; says whether that made a difference.
    pub fn extend(&mut self, other: &Self) -> bool {
        let more = match other {
            Self::Nothing => return false,
            Self::Everything => {
                let is_new = *self != Self::Everything;
                *self = Self::Everything;
                return is_new;
            }
            Self::Names(names) => names,
        };
        if more.iter().all(|name| self.contains(name)) {
            return false;
        }
        let mut names = more.to_vec();
        if let Self::Names(known) = self {
            names.extend(known.iter().cloned());
        }
        names.sort_unstable();
        names.dedup();
        *self = if names.len() > NAMES_MAX {
            Self::Everything
        } else {
            Self::Names(names.into())
        };
        true
    }

    /// Whether all of another one is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Nothing) | (Self::Everything, _) => true,
            (_, Self::Everything) => false,
            (_, Self::Names(names)) => names.iter().all(|name| self.contains(name)),
        }
    }

    /// Whether what this name means is uncertain.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Names(names) => names.binary_search_by(|known| (**known).cmp(name)).is_ok(),
            Self::Everything => true,
        }
    }
}
