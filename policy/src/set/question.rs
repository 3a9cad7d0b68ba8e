//! From an effect to the questions that policies are asked about it.

use std::fmt::Write;

use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, ObjectKind};

use super::tree::{Thing, Tree};
use crate::names::{self, Kind};
use crate::schema::{VOCABULARY, context_number};

/// What is asked of the policies: two effects with equal questions get one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question<'a> {
    /// The number of the request.
    pub(super) action: usize,
    pub(super) context: u16,
    /// Of [`Action::Filter`] only.
    pub(super) filter: Option<FilterKind>,
    pub(super) is_lexing: bool,
    pub(super) on: On<'a>,
    pub(super) reach: Reach,
}

/// The resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum On<'a> {
    Database,
    Setting {
        name: &'a str,
        is_harmless: bool,
    },
    /// A class of data, for `Unmask`.
    Class(&'a str),
    Thing(Thing),
}

/// What the effect may be on beside the resource: a `forbid` that names one of these matches, and a `permit` that does
/// has to hold for it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Nothing.
    Itself,
    /// Each column of the table, or each thing in the schema.
    Parts,
    /// Whatever is of these kinds in the database.
    Any(Kinds),
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kinds(u8);

impl Kinds {
    const RELATIONS: Self = Self(1 << Kind::Table as u8 | 1 << Kind::Column as u8);
    const FUNCTIONS: Self = Self(1 << Kind::Function as u8);
    const SCHEMAS: Self = Self(1 << Kind::Schema as u8);
    const ROLES: Self = Self(1 << Kind::Role as u8);
    pub(super) const ALL: Self = Self(u8::MAX);

    pub(super) const fn holds(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

const ANYTHING: Reach = Reach::Any(Kinds::ALL);

/// A question, and what of the effect it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) question: Question<'a>,
    /// A column, where it is about one, or about one for all that no policy names.
    pub(super) column: Option<&'a str>,
}

/// Asks about an effect: once for each column that a policy names, once for all others.
pub(super) fn each<'a>(effect: &'a Effect, tree: Option<&Tree>, mut ask: impl FnMut(Asked<'a>)) {
    let (on, reach) = subject(effect, tree);
    let question = Question {
        action: effect.action as usize,
        context: context_number(effect.flags),
        // A filter of no known kind is of the kind that nothing permits by itself.
        filter: (effect.action == Action::Filter).then(|| effect.filter.unwrap_or(FilterKind::Other)),
        is_lexing: effect.flags.contains(EffectFlags::LEXING),
        on,
        reach,
    };
    let on_column = |thing: Thing, name: &'a str| Asked {
        question: Question {
            on: On::Thing(thing),
            reach: match reach {
                Reach::Parts => Reach::Itself,
                further => further,
            },
            ..question
        },
        column: Some(name),
    };
    let table = match on {
        On::Thing(table) if table.kind == Kind::Table => table,
        _ => {
            return ask(Asked {
                question,
                column: None,
            });
        }
    };
    let is_on_columns = !effect.columns.is_empty()
        && names_of(effect).is_some()
        && VOCABULARY.applies(question.action, Kind::Column);
    if !is_on_columns {
        return ask(Asked {
            question,
            column: None,
        });
    }
    let other = Thing::other_in(Kind::Column, table.node);
    let Some(named) = tree.and_then(|tree| tree.columns(table)) else {
        return ask(on_column(other, &effect.columns[0]));
    };
    let mut other_column = None;
    for column in &effect.columns {
        match named.get(column) {
            Some(&node) => ask(on_column(
                Thing {
                    kind: Kind::Column,
                    node: Some(node),
                    is_named: true,
                },
                column,
            )),
            None => other_column = other_column.or(Some(column)),
        }
    }
    if let Some(column) = other_column {
        ask(on_column(other, column));
    }
}

/// What an effect is on, and what else it may be on.
fn subject<'a>(effect: &'a Effect, tree: Option<&Tree>) -> (On<'a>, Reach) {
    let object = &effect.object;
    let number = effect.action as usize;
    match effect.action {
        Action::Set => {
            let on = On::Setting {
                name: &object.name,
                is_harmless: effect.flags.contains(EffectFlags::HARMLESS),
            };
            return (on, Reach::Itself);
        }
        Action::SetRole => return thing(Kind::Role, effect, tree, Kinds::ROLES),
        _ => {}
    }
    let (on, reach) = match object.kind {
        ObjectKind::Relation | ObjectKind::Sequence if VOCABULARY.applies(number, Kind::Table) => {
            let (on, reach) = thing(Kind::Table, effect, tree, Kinds::RELATIONS);
            match (on, reach) {
                (On::Thing(_), Reach::Itself)
                    if VOCABULARY.applies(number, Kind::Column) && !counts_rows(effect) =>
                {
                    (on, Reach::Parts)
                }
                known => known,
            }
        }
        ObjectKind::Function if VOCABULARY.applies(number, Kind::Function) => {
            thing(Kind::Function, effect, tree, Kinds::FUNCTIONS)
        }
        ObjectKind::Schema if VOCABULARY.applies(number, Kind::Schema) => {
            match thing(Kind::Schema, effect, tree, Kinds::SCHEMAS) {
                (on, Reach::Itself) if effect.action != Action::Create => (on, Reach::Parts),
                known => known,
            }
        }
        ObjectKind::Type | ObjectKind::Operator if VOCABULARY.applies(number, Kind::Schema) => {
            let parts = object.schema.as_deref().filter(|schema| is_schema(schema));
            match parts {
                Some(schema) => (On::Thing(find(Kind::Schema, &[schema], tree)), Reach::Itself),
                None => (
                    On::Thing(Thing::other_in(Kind::Schema, None)),
                    Reach::Any(Kinds::SCHEMAS),
                ),
            }
        }
        ObjectKind::Role if VOCABULARY.applies(number, Kind::Role) => {
            let (on, reach) = thing(Kind::Role, effect, tree, Kinds::ROLES);
            // What it owns may go or change hands with it.
            let is_owner = matches!(effect.action, Action::Drop | Action::Alter);
            (on, if is_owner { ANYTHING } else { reach })
        }
        // A function may be read: a sensitive one of the catalog.
        ObjectKind::Function
        | ObjectKind::Setting
        | ObjectKind::Channel
        | ObjectKind::Cursor
        | ObjectKind::Prepared
        | ObjectKind::Transaction
        | ObjectKind::AdvisoryLock
        | ObjectKind::LargeObject
        | ObjectKind::Path
        | ObjectKind::Library
        | ObjectKind::Type
        | ObjectKind::Operator
        | ObjectKind::Role => (On::Database, Reach::Itself),
        _ if effect.action == Action::Create => (On::Database, Reach::Itself),
        _ => (On::Database, ANYTHING),
    };
    // What depends on the object may be anything, and what cannot be known as well.
    if effect.flags.contains(EffectFlags::CASCADE) || effect.action == Action::Opaque {
        return (on, ANYTHING);
    }
    (on, reach)
}

/// Whether it reads that rows are there and none of their values.
fn counts_rows(effect: &Effect) -> bool {
    effect.action == Action::Read && effect.columns.is_empty() && effect.flags.contains(EffectFlags::ROWS)
}

/// A thing with a name of its own; one that is not known is any of its kind.
fn thing<'a>(kind: Kind, effect: &'a Effect, tree: Option<&Tree>, kinds: Kinds) -> (On<'a>, Reach) {
    let parts = match names_of(effect) {
        Some((Some(schema), name)) if kind.parts() == 2 => [schema, name],
        Some((None, name)) if kind.parts() == 1 => {
            return (On::Thing(find(kind, &[name], tree)), Reach::Itself);
        }
        _ => return (On::Thing(Thing::other_in(kind, None)), Reach::Any(kinds)),
    };
    (On::Thing(find(kind, &parts, tree)), Reach::Itself)
}

fn find(kind: Kind, parts: &[&str], tree: Option<&Tree>) -> Thing {
    tree.map_or_else(|| Thing::other_in(kind, None), |tree| tree.find(kind, parts))
}

/// The schema and the name of an effect's object; none where they are not known.
fn names_of(effect: &Effect) -> Option<(Option<&str>, &str)> {
    let object = &effect.object;
    if object.name.is_empty() {
        return None;
    }
    match object.kind {
        ObjectKind::Relation | ObjectKind::Sequence | ObjectKind::Function => {
            let schema = match object.schema.as_deref() {
                // What is run and is in no schema is built in; what cannot be known is not.
                None if object.kind == ObjectKind::Function
                    && effect.action == Action::Execute
                    && !effect.flags.contains(EffectFlags::UNCERTAIN) =>
                {
                    "pg_catalog"
                }
                schema => schema.filter(|schema| is_schema(schema))?,
            };
            Some((Some(schema), &object.name))
        }
        _ => Some((None, &object.name)),
    }
}

/// Whether a schema's name is its own: `pg_temp` is another one in each session.
fn is_schema(name: &str) -> bool {
    !name.is_empty() && name != "pg_temp"
}

/// The id of what a question is about, as much of it as is known.
pub(super) fn resource(database: &str, effect: &Effect, column: Option<&str>) -> (Option<Kind>, String) {
    let number = effect.action as usize;
    let whole = || (None, database.to_owned());
    let kind = match effect.object.kind {
        _ if effect.action == Action::SetRole => Kind::Role,
        ObjectKind::Relation | ObjectKind::Sequence => Kind::Table,
        ObjectKind::Function => Kind::Function,
        ObjectKind::Schema => Kind::Schema,
        ObjectKind::Role => Kind::Role,
        ObjectKind::Type | ObjectKind::Operator => {
            return match effect.object.schema.as_deref().filter(|schema| is_schema(schema)) {
                Some(schema) if VOCABULARY.applies(number, Kind::Schema) => {
                    (Some(Kind::Schema), names::id(database, &[schema]))
                }
                _ => whole(),
            };
        }
        _ => return whole(),
    };
    if !VOCABULARY.applies(number, kind) {
        return whole();
    }
    match (names_of(effect), column) {
        (Some((Some(schema), name)), Some(column)) => {
            (Some(Kind::Column), names::id(database, &[schema, name, column]))
        }
        (Some((Some(schema), name)), None) if kind.parts() == 2 => {
            (Some(kind), names::id(database, &[schema, name]))
        }
        (Some((None, name)), _) if kind.parts() == 1 => (Some(kind), names::id(database, &[name])),
        _ => whole(),
    }
}

/// The kind and the id of what an effect is on, or of one of its columns; none if that is not known.
pub(crate) fn known(database: &str, effect: &Effect, column: Option<&str>) -> Option<(&'static str, String)> {
    match subject(effect, None).0 {
        On::Setting { name, .. } => Some(("Setting", name.to_owned())),
        On::Database => Some(("Database", database.to_owned())),
        On::Class(name) => Some(("Class", name.to_owned())),
        On::Thing(_) => {
            let (kind, id) = resource(database, effect, column);
            Some((kind?.name(), id))
        }
    }
}

/// A resource as policies write it.
pub(crate) fn written(kind: &str, id: &str) -> String {
    let mut written = String::new();
    // Writing to a String cannot fail.
    let _ = write!(written, "{kind}::\"{}\"", id.escape_debug());
    written
}
