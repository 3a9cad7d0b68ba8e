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
                path_is_default: true,
                role_is_login: true,
                ..SessionNames::default()
            }),
            protected: Arc::default(),
            listed: Arc::default(),
            parameter_types: Arc::new([]),
            parameter_values: Arc::new([]),
        }
    }

    /// The same for another session.
    #[must_use]
    pub fn with_session(&self, session: SessionNames) -> Self {
        Self {
            session: Arc::new(session),
            ..self.clone()
        }
    }
}

/// What of a session decides what names mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionNames {
    /// `search_path` as set, one name an element, unquoted; `$user` stands for itself.
    pub search_path: Box<[Box<str>]>,
    /// Whether that is what a session of the gateway's login has by itself.
    pub path_is_default: bool,
    /// The name of the role whose rights hold (`current_user`).
    pub role: Box<str>,
    /// Whether that is the role which logged in: then the catalog knows what schemas it may use.
    pub role_is_login: bool,
    /// The session's own schema of temporary objects, once it has one.
    pub temporary_schema: Oid,
    /// What statements of this session may have changed and the catalog does not show yet.
    pub touched: Touched,
    /// What its transaction may have left to its end.
    pub deferred: Deferred,
}

/// What runs at the end of a transaction, where it is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deferred {
    /// Nothing.
    #[default]
    Nothing,
    /// Functions of deferrable triggers and constraints, which the catalog has.
    Checks,
    /// Also queries that call functions: of cursors WITH HOLD.
    Queries,
}

/// Names of one session that are kept apart; of more, every name counts as touched.
pub(super) const NAMES_MAX: usize = 256;

/// Names that the session's own DDL may have given, taken or changed since the catalog was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Touched {
    /// None.
    #[default]
    Nothing,
    /// These.
    Names(TouchedNames),
    /// Any name may mean another of the objects that there are: the search path or the role is in doubt.
    EveryName,
    /// Any, and code may be tied to anything: DDL whose names are not known.
    Everything,
}

/// Some names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TouchedNames {
    /// Without their schemas, ascending: relations, functions, types and operators alike.
    pub names: Box<[Box<str>]>,
    /// What was done may have tied code to a relation that the catalog does not have: a trigger, a rule, a view's query.
    pub ties_code: bool,
    /// Names that relations of the catalog were given, ascending.
    pub renamed: Box<[(Box<str>, Oid)]>,
}

impl TouchedNames {
    fn with(&self, more: &Self) -> Touched {
        let names = self.names.iter().chain(&more.names).cloned();
        let mut renamed = [&*self.renamed, &*more.renamed].concat();
        renamed.sort_unstable();
        renamed.dedup();
        let touched = Self {
            ties_code: self.ties_code || more.ties_code,
            renamed: renamed.into(),
            ..names.collect()
        };
        if touched.names.len() <= NAMES_MAX && touched.renamed.len() <= NAMES_MAX {
            Touched::Names(touched)
        } else if touched.is_more_than_names() {
            Touched::Everything
        } else {
            Touched::EveryName
        }
    }

    /// Whether it matters what the names were touched by.
    fn is_more_than_names(&self) -> bool {
        self.ties_code || !self.renamed.is_empty()
    }
}

impl FromIterator<Box<str>> for TouchedNames {
    /// Names without code.
    fn from_iter<T: IntoIterator<Item = Box<str>>>(names: T) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self {
            names: names.into(),
            ties_code: false,
            renamed: Box::default(),
        }
    }
}

impl Touched {
    /// Adds what another one has; says whether that made a difference.
    pub fn extend(&mut self, other: &Self) -> bool {
        let after = match (&*self, other) {
            (_, Self::Nothing) | (Self::Everything, _) => return false,
            (_, Self::Everything) => Self::Everything,
            (Self::EveryName, Self::Names(names)) | (Self::Names(names), Self::EveryName)
                if names.is_more_than_names() =>
            {
                Self::Everything
            }
            (Self::EveryName, _) | (_, Self::EveryName) => Self::EveryName,
            (Self::Nothing, more) => more.clone(),
            (Self::Names(known), Self::Names(more)) => known.with(more),
        };
        let is_another = *self != after;
        *self = after;
        is_another
    }

    /// Whether code may be tied to a relation of a touched name that the catalog does not have.
    pub fn ties_code(&self) -> bool {
        match self {
            Self::Nothing | Self::EveryName => false,
            Self::Names(touched) => touched.ties_code,
            Self::Everything => true,
        }
    }

    /// Whether all of another one is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Nothing) | (Self::Everything, _) => true,
            (_, Self::Everything) => false,
            (_, Self::EveryName) => *self == Self::EveryName,
            (Self::EveryName, Self::Names(more)) => !more.is_more_than_names(),
            (_, Self::Names(more)) => {
                more.ties_code <= self.ties_code()
                    && more.names.iter().all(|name| self.contains(name))
                    && more
                        .renamed
                        .iter()
                        .all(|(name, oid)| self.renamed_to(name).any(|known| known == *oid))
            }
        }
    }

    /// Relations of the catalog that were given this name.
    pub fn renamed_to(&self, name: &str) -> impl Iterator<Item = Oid> {
        let renamed = match self {
            Self::Names(touched) => &*touched.renamed,
            Self::Nothing | Self::EveryName | Self::Everything => &[],
        };
        let start = renamed.partition_point(|(known, _)| **known < *name);
        renamed[start..]
            .iter()
            .take_while(move |(known, _)| **known == *name)
            .map(|&(_, oid)| oid)
    }

    /// Whether what this name means is uncertain.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Names(touched) => touched
                .names
                .binary_search_by(|known| (**known).cmp(name))
                .is_ok(),
            Self::EveryName | Self::Everything => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Touched::{EveryName, Everything, Nothing};
    use super::*;

    #[test]
    fn t12_what_was_touched_adds_up() {
        let names = |names: &[&str]| Touched::Names(names.iter().map(|&name| name.into()).collect());
        let code = |some: &[&str]| match names(some) {
            Touched::Names(touched) => Touched::Names(TouchedNames {
                ties_code: true,
                ..touched
            }),
            other => other,
        };
        let renamed = |oid: u32| match names(&["a"]) {
            Touched::Names(touched) => Touched::Names(TouchedNames {
                renamed: [("a".into(), Oid(oid))].into(),
                ..touched
            }),
            other => other,
        };
        let mut both = renamed(1);
        assert!(!both.covers(&renamed(2)) && !EveryName.covers(&both) && Everything.covers(&both));
        both.extend(&renamed(2));
        assert_eq!(both.renamed_to("a").collect::<Vec<_>>(), [Oid(1), Oid(2)]);
        assert_eq!(both.renamed_to("b").count(), 0);
        for (before, more, after) in [
            (Nothing, Nothing, Nothing),
            (Nothing, names(&["b", "a"]), names(&["a", "b"])),
            (names(&["b"]), names(&["a"]), names(&["a", "b"])),
            (names(&["b"]), code(&["a"]), code(&["a", "b"])),
            (code(&["b"]), names(&["b"]), code(&["b"])),
            (names(&["b"]), EveryName, EveryName),
            (EveryName, names(&["b"]), EveryName),
            (EveryName, code(&["b"]), Everything),
            (code(&["b"]), EveryName, Everything),
            (Everything, names(&["b"]), Everything),
            (EveryName, Everything, Everything),
            (names(&["a"]), renamed(1), renamed(1)),
            (renamed(1), renamed(2), both),
            (renamed(1), EveryName, Everything),
            (EveryName, renamed(1), Everything),
        ] {
            let mut touched = before.clone();
            assert_eq!(touched.extend(&more), before != after, "{before:?} and {more:?}");
            assert_eq!(touched, after, "{before:?} and {more:?}");
        }
        let many = |prefix: &str| -> Vec<String> { (0..200).map(|name| format!("{prefix}{name}")).collect() };
        let touched = |prefix: &str| Touched::Names(many(prefix).into_iter().map(Box::from).collect());
        let mut all = touched("a");
        assert!(all.extend(&touched("b")));
        assert_eq!(all, EveryName);
        assert!(all.contains("c") && !all.ties_code());
    }
}
