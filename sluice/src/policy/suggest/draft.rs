//! From questions to permits: what they are on, by action, with the flags that were seen and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, ObjectKind};
use sluice_policy::identity::Identity;
use sluice_policy::{CONTEXT_FLAGS, Resource, Target};

use super::gather::{LeftOut, Question, Why};

/// The longest id of a policy, less what is put behind a name.
const NAME_BYTES_MAX: usize = 80;

/// Whom a policy is for.
pub(super) struct Whose {
    /// The scope of its policies.
    pub(super) scope: String,
    pub(super) name: String,
    /// One whom it is for.
    pub(super) identity: Identity,
}

/// What is permitted in one database.
#[derive(Debug, Default)]
pub(super) struct InDatabase {
    /// Catalogs are read that tell of definitions.
    reads_catalogs: bool,
    pub(super) grants: BTreeMap<(Action, Resource), Grant>,
}

/// What is permitted on one thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    /// The flags that were seen.
    pub(super) flags: u16,
    kinds: BTreeSet<FilterKind>,
    /// Columns of a table that are left out.
    pub(super) but: BTreeSet<Resource>,
    /// Columns that would be left out, had nothing read the whole table.
    with: BTreeSet<Resource>,
    /// The table's names.
    pub(super) table: Option<(String, String)>,
}

/// What is permitted, by database.
#[derive(Debug, Default)]
pub(super) struct Draft(pub(super) BTreeMap<(String, String), InDatabase>);

/// Columns of one table.
#[derive(Debug, Default)]
struct Seen {
    read: BTreeSet<Box<str>>,
    /// Something read or copied it without saying which columns.
    is_whole: bool,
}

/// Whether a permit can name a thing and nothing more.
pub(super) fn is_nameable(action: Action, resource: &Resource) -> bool {
    resource.kind != "Database" || matches!(action, Action::Notify | Action::Lock | Action::Execute)
}

/// Whether it is a read of what defines the database, and of nothing that tells more.
fn is_definition(effect: &Effect) -> bool {
    effect.action == Action::Read
        && effect.flags.contains(EffectFlags::CATALOG)
        && effect.flags.without(EffectFlags::CATALOG).is_empty()
}

impl Draft {
    pub(super) fn new(covered: &[Question], left_out: &[LeftOut], configured: &super::Configured) -> Self {
        let mut draft = Self::default();
        let mut seen: BTreeMap<(Place, Action, Resource), Seen> = BTreeMap::new();
        for question in covered {
            let target = key_of(&question.target);
            let database = draft.0.entry(target.clone()).or_default();
            for effect in &question.effects {
                database.add(&question.target, effect);
                let Some(resource) = Resource::of(&question.target, effect, None) else {
                    continue;
                };
                if effect.object.kind == ObjectKind::Relation {
                    let seen = seen.entry((target.clone(), effect.action, resource)).or_default();
                    seen.read.extend(effect.columns.iter().cloned());
                    let reads_values = !effect.flags.contains(EffectFlags::ROWS);
                    seen.is_whole |= effect.columns.is_empty() && reads_values;
                }
            }
        }
        for (target, database) in &mut draft.0 {
            let configured = configured.get(&target.0);
            for ((action, resource), grant) in &mut database.grants {
                let Some((schema, table)) = grant.table.clone() else {
                    continue;
                };
                let seen = seen.get(&(target.clone(), *action, resource.clone()));
                let Some(seen) = seen.filter(|_| matches!(action, Action::Read | Action::Copy)) else {
                    continue;
                };
                let masked = configured.into_iter().flatten();
                let masked = masked.filter(|[of, name, _]| (of, name) == (&schema, &table));
                let masked = masked.map(|[_, _, column]| column.clone());
                let denied = denied_columns(left_out, target, *action, &schema, &table);
                for column in masked.chain(denied) {
                    if !seen.read.contains(&*column) {
                        let apart = if seen.is_whole {
                            &mut grant.with
                        } else {
                            &mut grant.but
                        };
                        apart.extend(column_of(target, &schema, &table, &column));
                    }
                }
            }
        }
        draft
    }

    /// The policies.
    pub(super) fn write(&self, whose: &Whose) -> String {
        let mut text = String::new();
        let name = policy_name(&whose.name);
        for (number, ((connection, database), permitted)) in self.0.iter().enumerate() {
            let prefix = if self.0.len() == 1 {
                name.clone()
            } else {
                format!("{name}-{}", number + 1)
            };
            let on = format!("{connection}/{database}");
            let written = Written {
                whose,
                prefix,
                database: Resource {
                    kind: "Database",
                    id: on,
                },
            };
            written.database(permitted, &mut text);
        }
        text
    }
}

/// Connection and database.
type Place = (String, String);

fn key_of(target: &Target) -> Place {
    (target.connection().to_owned(), target.database().to_owned())
}

fn column_of((connection, database): &Place, schema: &str, table: &str, column: &str) -> Option<Resource> {
    let target = Target::new(&**connection, &**database).ok()?;
    let object = sluice_parsers::sql::effect::Object::in_schema(ObjectKind::Relation, schema, table);
    Resource::of(&target, &Effect::new(Action::Read, object), Some(column))
}

/// The columns of a table that statements named which policy denied.
fn denied_columns<'a>(
    left_out: &'a [LeftOut],
    target: &'a Place,
    action: Action,
    schema: &'a str,
    table: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let denied = left_out
        .iter()
        .filter(move |one| one.why == Why::Denied && one.connection == target.0 && one.database == target.1);
    let effects = denied.flat_map(|one| &one.asked).filter(move |effect| {
        let object = &effect.object;
        effect.action == action && object.schema.as_deref() == Some(schema) && *object.name == *table
    });
    effects.flat_map(|effect| effect.columns.iter().map(ToString::to_string))
}

impl InDatabase {
    fn add(&mut self, target: &Target, effect: &Effect) {
        if is_definition(effect) {
            self.reads_catalogs = true;
            return;
        }
        if effect.flags.contains(EffectFlags::HARMLESS) && effect.action == Action::Set {
            return;
        }
        // Uses of a masked column are for this column alone.
        let is_by_column =
            matches!(effect.action, Action::Filter | Action::Leak) && !effect.columns.is_empty();
        let columns: Vec<Option<&str>> = if is_by_column {
            effect.columns.iter().map(|column| Some(&**column)).collect()
        } else {
            vec![None]
        };
        for column in columns {
            let Some(resource) = Resource::of(target, effect, column) else {
                continue;
            };
            let grant = self.grants.entry((effect.action, resource)).or_default();
            grant.flags |= effect.flags.bits();
            grant.kinds.extend(effect.filter);
            if effect.object.kind == ObjectKind::Relation
                && column.is_none()
                && let Some(schema) = &effect.object.schema
            {
                grant.table = Some((schema.to_string(), effect.object.name.to_string()));
            }
        }
    }
}

/// What a policy's id is made of: letters and digits of somebody's name.
fn policy_name(name: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-_.".contains(letter) {
            letter
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).take(NAME_BYTES_MAX).collect();
    // `policy7` is what a policy without a name is called.
    format!("suggested-{name}")
}

/// What permits in one policy have in common: the action, the type of the resource, flags and kinds.
type Alike<'a> = (Action, &'a str, u16, &'a BTreeSet<FilterKind>);

struct Written<'a> {
    whose: &'a Whose,
    prefix: String,
    database: Resource,
}

impl Written<'_> {
    fn database(&self, permitted: &InDatabase, text: &mut String) {
        let database = &self.database;
        self.policy(
            text,
            "connect",
            "Connect",
            &format!("resource == {database}"),
            &[],
        );
        text.push_str("// What changes nothing but how the session itself is served: drivers set it when they connect.\n");
        let in_database = format!("resource in {database}");
        self.policy(
            text,
            "settings",
            "Set",
            "resource in SettingGroup::\"harmless\"",
            &[format!("when {{ {in_database} }}")],
        );
        if permitted.reads_catalogs {
            text.push_str("// What defines the database, which drivers and tools look up.\n");
            let unless = unless(EffectFlags::CATALOG.bits());
            let when = "when { context.catalog }".to_owned();
            self.policy(text, "catalogs", "Read", &in_database, &[when, unless]);
        }
        // Things that are permitted alike are in one policy.
        let mut alike: BTreeMap<Alike<'_>, Vec<(&Resource, &Grant)>> = BTreeMap::new();
        for ((action, resource), grant) in &permitted.grants {
            let key = (*action, resource.kind, grant.flags, &grant.kinds);
            alike.entry(key).or_default().push((resource, grant));
        }
        let mut numbers: BTreeMap<Action, usize> = BTreeMap::new();
        for ((action, kind, flags, filters), things) in alike {
            let number = numbers.entry(action).or_default();
            *number += 1;
            let action_name = action.name().to_ascii_lowercase();
            let name = if *number == 1 {
                action_name
            } else {
                format!("{action_name}-{number}")
            };
            let mut clauses = Vec::new();
            let scope = match (kind, things.as_slice()) {
                ("Database", _) if action == Action::Notify => format!("resource == {database}"),
                ("Database", _) => {
                    // The tables or functions of the database are none of it.
                    let other = if action == Action::Lock {
                        "Table"
                    } else {
                        "Function"
                    };
                    clauses.push(format!("unless {{ resource is {other} }}"));
                    in_database.clone()
                }
                ("Setting", [(only, _)]) => {
                    clauses.push(format!("when {{ {in_database} }}"));
                    format!("resource == {only}")
                }
                (_, [(only, _)]) => format!("resource in {only}"),
                (_, things) => {
                    let list = list(things.iter().map(|(resource, _)| *resource));
                    clauses.push(format!("when {{\n    resource in {list}\n}}"));
                    in_database.clone()
                }
            };
            let mut but = things.iter().flat_map(|(_, grant)| &grant.but).peekable();
            if but.peek().is_some() {
                text.push_str(
                    "// Columns that are masked or were denied, and that nothing covered reads, stay out.\n",
                );
                clauses.push(format!("unless {{\n    resource in {}\n}}", list(but)));
            }
            let with: BTreeSet<_> = things.iter().flat_map(|(_, grant)| &grant.with).collect();
            if !with.is_empty() {
                text.push_str("// Something covered is on these columns' whole tables (count(*), a foreign key), so they are in:\n");
                for column in with {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "//   {column}");
                }
            }
            if !filters.is_empty() {
                let kinds: Vec<_> = filters
                    .iter()
                    .map(|kind| format!("\"{}\"", kind.name()))
                    .collect();
                clauses.push(format!(
                    "when {{ [{}].contains(context.kind) }}",
                    kinds.join(", ")
                ));
            }
            clauses.push(unless(flags));
            self.policy(text, &name, action.name(), &scope, &clauses);
        }
    }

    fn policy(&self, text: &mut String, name: &str, action: &str, resource: &str, clauses: &[String]) {
        let (prefix, scope) = (&self.prefix, &self.whose.scope);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "@id(\"{prefix}-{name}\")\npermit (\n    {scope},\n    action == Action::\"{action}\",\n    {resource}\n)"
        );
        for clause in clauses {
            text.push(' ');
            text.push_str(clause);
        }
        text.push_str(";\n\n");
    }
}

/// `[\n        A,\n        B\n    ]`
fn list<'a>(resources: impl Iterator<Item = &'a Resource>) -> String {
    let resources: BTreeSet<_> = resources.collect();
    let mut list = "[".to_owned();
    for (index, resource) in resources.into_iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(list, "{}\n        {resource}", if index > 0 { "," } else { "" });
    }
    list.push_str("\n    ]");
    list
}

/// The clause that leaves out what was not seen.
fn unless(seen: u16) -> String {
    let seen = EffectFlags::from_bits(seen);
    let unseen = CONTEXT_FLAGS.iter().filter(|(flag, _)| !seen.contains(*flag));
    let unseen: Vec<_> = unseen.map(|(_, name)| format!("context.{name}")).collect();
    let (first, rest) = unseen.split_at(unseen.len().div_ceil(2));
    format!(
        "unless {{\n    {}\n        || {}\n}}",
        first.join(" || "),
        rest.join(" || ")
    )
}
