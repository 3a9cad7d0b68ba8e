//! What the analysis says of a result: where the server should say that its columns come from, and which of them come
//! from configured columns by ways that the server does not tell.
//!
//! The server names the table of a plain column and of nothing else. So a column that is computed from a configured one,
//! or read through a view, is masked for its lineage. Where the server names another column than the analysis did, the
//! statement was judged by names that mean something else by now: then everything of the result is masked.

use sluice_masking::Class;
use sluice_parsers::sql::catalog::{Catalog, Oid, TypeKind};
use sluice_parsers::sql::effect::{Action, EffectFlags};
use sluice_parsers::sql::lineage::{BaseColumn, Lineage};
use sluice_parsers::sql::resolve::Ty;
use sluice_parsers::sql::statement::{OutputColumn, Statement, StatementKind};

use super::columns::{ColumnKey, Facts, Mask, Tag, Tags};

/// Domains over domains deeper than that are no server's.
const DOMAINS_MAX: usize = 100;

/// What is expected of a statement's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The columns by their place.
    columns: Box<[Column]>,
    /// Why others are masked.
    others: Guard,
    /// Whether there have to be as many columns.
    is_complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    origin: Option<Origin>,
    guard: Guard,
}

/// The plain column that the server has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    key: ColumnKey,
    /// Zero where it is not known.
    type_oid: u32,
}

/// Whether a column is masked for what it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// It comes from no configured column.
    Open,
    /// It is one, as it stands there.
    Masked(Tag),
    /// It is computed from one, or may be: its length and whether it is there tell of the value too.
    Withheld(Tag),
    /// It may come from one unless the server names a table that it comes from.
    MaskedIfComputed,
}

impl Expectation {
    /// What a column takes, about.
    pub(crate) const COLUMN_BYTES: usize = size_of::<Column>();

    /// Of rows of which nothing is known.
    pub(crate) fn anything() -> Self {
        Self {
            columns: Box::default(),
            others: Guard::Withheld(None),
            is_complete: false,
        }
    }

    /// Of a statement's rows, or of those of the cursor or prepared statement that it makes. What EXECUTE and FETCH give
    /// is not in their text.
    pub(crate) fn of(statement: &Statement, tags: &Tags, catalog: &Catalog) -> Self {
        use StatementKind::{
            Declare, Delete, Execute, Explain, Fetch, Insert, Merge, Prepare, Select, Show, Update,
        };
        let unknown = unknown(statement, tags);
        match &statement.kind {
            Select | Insert | Update | Delete | Merge | Declare { .. } | Prepare { .. }
                if !has_unknown_columns(&statement.columns) =>
            {
                let columns = statement.columns.iter();
                Self {
                    columns: columns
                        .map(|column| Column {
                            origin: Origin::of(column, catalog),
                            guard: guard(&column.lineage, tags).unwrap_or(unknown),
                        })
                        .collect(),
                    others: unknown,
                    is_complete: true,
                }
            }
            Execute { .. } | Fetch { .. } => Self::anything(),
            kind => Self {
                columns: Box::default(),
                // Plans, and settings: what reaches one is a leak, and judged as that.
                others: if matches!(kind, Show { .. } | Explain { .. }) {
                    Guard::Open
                } else {
                    unknown
                },
                is_complete: false,
            },
        }
    }

    /// How a column is masked for where it comes from.
    pub(crate) fn mask(&self, index: usize, key: ColumnKey) -> Option<Mask> {
        let is_computed = key.0 == 0;
        let guard = self.columns.get(index).map_or(self.others, |column| column.guard);
        match guard {
            Guard::Open => None,
            Guard::Masked(tag) if !is_computed => Some(Mask::Overwritten(tag)),
            Guard::Masked(tag) | Guard::Withheld(tag) => Some(Mask::Withheld(tag)),
            Guard::MaskedIfComputed => is_computed.then_some(Mask::Withheld(None)),
        }
    }

    /// Whether the server describes what the analysis has found.
    pub(crate) fn agrees(&self, described: &[Facts]) -> bool {
        if self.is_complete && self.columns.len() != described.len() {
            return false;
        }
        let pairs = self.columns.iter().zip(described);
        pairs
            .filter_map(|(column, facts)| Some((column.origin?, facts)))
            .all(|(origin, facts)| {
                // A cast to a length makes another value of a column, or not: that is no sign of another column.
                let is_computed = facts.key.0 == 0;
                let has_type = origin.type_oid == 0 || origin.type_oid == facts.type_oid;
                is_computed || origin.key == facts.key && has_type
            })
    }
}

impl Origin {
    fn of(column: &OutputColumn, catalog: &Catalog) -> Option<Self> {
        let BaseColumn { relation, number } = column.origin?;
        let Ty::Known(type_oid) = column.ty else {
            return Some(Self {
                key: (relation.0, number),
                type_oid: 0,
            });
        };
        Some(Self {
            key: (relation.0, number),
            type_oid: described_type(type_oid, catalog).0,
        })
    }
}

/// The type by which the server describes a column: that below domains. None if it is not known.
pub(crate) fn described_type(mut oid: Oid, catalog: &Catalog) -> Oid {
    for _ in 0..DOMAINS_MAX {
        match catalog.type_of(oid).map(|found| &found.kind) {
            Some(TypeKind::Domain { base, .. }) => oid = *base,
            Some(_) => return oid,
            None => break,
        }
    }
    Oid::NONE
}

/// Whether what columns there are, and in which places, is not known.
fn has_unknown_columns(columns: &[OutputColumn]) -> bool {
    columns
        .iter()
        .any(|column| &*column.name == "*" && column.lineage == Lineage::Unknown)
}

/// None for a value that may come from anywhere.
fn guard(lineage: &Lineage, tags: &Tags) -> Option<Guard> {
    let configured = lineage
        .columns()?
        .iter()
        .filter_map(|&column| tag_of(column, tags));
    let Some(tag) = common(configured) else {
        return Some(Guard::Open);
    };
    Some(match lineage {
        Lineage::Exact(_) => Guard::Masked(tag),
        Lineage::Derived(_) | Lineage::Unknown => Guard::Withheld(tag),
    })
}

/// Of values that may come from whatever the statement reads.
fn unknown(statement: &Statement, tags: &Tags) -> Guard {
    if tags.is_empty() {
        return Guard::Open;
    }
    let mut effects = statement.effects.iter();
    if effects.any(|effect| effect.action == Action::Opaque) {
        return Guard::Withheld(None);
    }
    let read = statement.protected_reads.iter();
    if let Some(tag) = common(read.filter_map(|&column| tag_of(column, tags))) {
        return Guard::Withheld(tag);
    }
    let mut effects = statement.effects.iter();
    let is_uncertain =
        effects.any(|effect| effect.action == Action::Read && effect.flags.contains(EffectFlags::UNCERTAIN));
    if is_uncertain {
        Guard::MaskedIfComputed
    } else {
        Guard::Open
    }
}

pub(crate) fn tag_of(column: BaseColumn, tags: &Tags) -> Option<Tag> {
    tags.get(&(column.relation.0, column.number)).copied()
}

/// What values of several configured columns count as; none of no column.
fn common(mut tags: impl Iterator<Item = Tag>) -> Option<Tag> {
    let first = tags.next()?;
    let class: Option<Class> = first.filter(|class| tags.all(|other| other == Some(*class)));
    Some(class)
}

#[cfg(test)]
mod tests {
    use sluice_parsers::postgres::backend::Format;
    use sluice_parsers::sql::analyze;
    use sluice_parsers::sql::effect::{Effect, Object, ObjectKind};
    use sluice_parsers::sql::world::World;
    use smallvec::SmallVec;

    use super::*;

    const TABLE: u32 = 20_000;
    const TEXT: u32 = 25;

    fn base(number: i16) -> BaseColumn {
        BaseColumn {
            relation: Oid(TABLE),
            number,
        }
    }

    fn column(lineage: Lineage, origin: Option<BaseColumn>) -> OutputColumn {
        OutputColumn {
            name: "x".into(),
            ty: Ty::Known(Oid(TEXT)),
            lineage,
            origin,
        }
    }

    fn statement(columns: Vec<OutputColumn>) -> Statement {
        let world = World::built_in(15);
        let analysis = analyze::analyze("SELECT 1", &analyze::Limits::default(), &world);
        Statement {
            columns: columns.into(),
            ..analysis.statements[0].clone()
        }
    }

    fn tags() -> Tags {
        Tags::from_iter([
            ((TABLE, 1), Some(Class::Email)),
            ((TABLE, 2), Some(Class::Email)),
            ((TABLE, 3), None),
        ])
    }

    fn facts(key: ColumnKey, type_oid: u32) -> Facts {
        Facts {
            key,
            type_oid,
            format: Format::Text,
        }
    }

    #[test]
    fn t10_columns_are_masked_for_what_they_come_from() {
        let derived =
            |numbers: &[i16]| Lineage::Derived(numbers.iter().map(|&number| base(number)).collect());
        let read = |action, flags| Effect::new(action, Object::new(ObjectKind::Relation, "t")).with(flags);
        let none = EffectFlags::NONE;
        let uncertain = read(Action::Read, EffectFlags::UNCERTAIN);
        let opaque = read(Action::Opaque, none);
        let email = Some(Mask::Withheld(Some(Class::Email)));
        let withheld = Some(Mask::Withheld(None));
        for (name, lineage, effects, reads, key, want) in [
            ("a constant", Lineage::constant(), vec![], vec![], 0, None),
            ("one column", derived(&[1]), vec![], vec![], 0, email),
            ("two of one class", derived(&[1, 2]), vec![], vec![], 0, email),
            ("two of several", derived(&[1, 3]), vec![], vec![], 0, withheld),
            ("another", derived(&[9]), vec![], vec![], 0, None),
            ("one of several", derived(&[1, 9]), vec![], vec![], 0, email),
            (
                "through a view",
                Lineage::column(base(1)),
                vec![],
                vec![],
                30_000,
                Some(Mask::Overwritten(Some(Class::Email))),
            ),
            (
                "computed, and as it is",
                Lineage::column(base(1)),
                vec![],
                vec![],
                0,
                email,
            ),
            ("computed in a view", derived(&[1]), vec![], vec![], 30_000, email),
            ("unknown", Lineage::Unknown, vec![], vec![], 0, None),
            (
                "unknown, beside a configured one",
                Lineage::Unknown,
                vec![],
                vec![1],
                0,
                email,
            ),
            (
                "unknown, of a view",
                Lineage::Unknown,
                vec![],
                vec![3],
                30_000,
                withheld,
            ),
            (
                "of what is opaque",
                Lineage::Unknown,
                vec![opaque],
                vec![],
                0,
                withheld,
            ),
            (
                "of an uncertain name",
                Lineage::Unknown,
                vec![uncertain.clone()],
                vec![],
                0,
                withheld,
            ),
            (
                "plain, of an uncertain name",
                Lineage::Unknown,
                vec![uncertain],
                vec![],
                30_000,
                None,
            ),
        ] {
            let statement = Statement {
                effects: effects.into(),
                protected_reads: reads.into_iter().map(base).collect::<SmallVec<_>>(),
                ..statement(vec![column(lineage, None)])
            };
            let catalog = World::built_in(15).catalog;
            let expected = Expectation::of(&statement, &tags(), &catalog);
            assert_eq!(expected.mask(0, (key, 1)), want, "{name}");
            // Without configured columns there is nothing to mask.
            let expected = Expectation::of(&statement, &Tags::new(), &catalog);
            assert_eq!(expected.mask(0, (key, 1)), None, "{name}");
        }
        assert_eq!(Expectation::anything().mask(3, (TABLE, 9)), withheld);
    }

    #[test]
    fn t10_a_description_is_compared_with_what_was_found() {
        let catalog = World::built_in(15).catalog;
        let plain = || column(Lineage::column(base(4)), Some(base(4)));
        let computed = || column(Lineage::constant(), None);
        let star = OutputColumn {
            name: "*".into(),
            ty: Ty::Uncertain,
            ..column(Lineage::Unknown, None)
        };
        let uncertain_type = OutputColumn {
            ty: Ty::Uncertain,
            ..plain()
        };
        let at = facts((TABLE, 4), TEXT);
        for (name, columns, described, want) in [
            (
                "as it is",
                vec![plain(), computed()],
                vec![at, facts((0, 0), TEXT)],
                true,
            ),
            ("none", vec![], vec![], true),
            ("one less", vec![plain(), computed()], vec![at], false),
            ("one more", vec![plain()], vec![at, at], false),
            (
                "another column",
                vec![plain()],
                vec![facts((TABLE, 5), TEXT)],
                false,
            ),
            (
                "another table",
                vec![plain()],
                vec![facts((TABLE + 1, 4), TEXT)],
                false,
            ),
            (
                "no column, a cast to a length",
                vec![plain()],
                vec![facts((0, 0), TEXT)],
                true,
            ),
            ("another type", vec![plain()], vec![facts((TABLE, 4), 23)], false),
            (
                "a type that nobody knew",
                vec![uncertain_type],
                vec![facts((TABLE, 4), 23)],
                true,
            ),
            (
                "the type of what is computed",
                vec![computed()],
                vec![facts((0, 0), 23)],
                true,
            ),
            ("columns that nobody knew", vec![star.clone()], vec![at, at], true),
        ] {
            let expected = Expectation::of(&statement(columns), &tags(), &catalog);
            assert_eq!(expected.agrees(&described), want, "{name}");
        }
        let unknown = Expectation::of(&statement(vec![star]), &tags(), &catalog);
        assert_eq!(unknown.columns.len(), 0);
        assert!(Expectation::anything().agrees(&[at]));
    }
}
