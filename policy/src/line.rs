//! An effect as a line of the record, and back.
//!
//! A line is what an effect's `Display` shows, `Delete relation public.orders [unfiltered]`, wherever that has one reading.
//! Names are the clients' to choose: where they hold what lines are made of, they are written in double quotes,
//! `Read relation "public"."orders (id)"`. So no two effects have one line.

use std::fmt::Write as _;

use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, Object, ObjectKind};

/// Every kind with a word of its own.
const KINDS: [ObjectKind; 22] = [
    ObjectKind::Relation,
    ObjectKind::Sequence,
    ObjectKind::Function,
    ObjectKind::Operator,
    ObjectKind::Type,
    ObjectKind::Setting,
    ObjectKind::Role,
    ObjectKind::Database,
    ObjectKind::Schema,
    ObjectKind::Tablespace,
    ObjectKind::LargeObject,
    ObjectKind::Channel,
    ObjectKind::Cursor,
    ObjectKind::Prepared,
    ObjectKind::Transaction,
    ObjectKind::Library,
    ObjectKind::Path,
    ObjectKind::Extension,
    ObjectKind::ForeignServer,
    ObjectKind::Replication,
    ObjectKind::AdvisoryLock,
    ObjectKind::Other,
];

const _: () = assert!(KINDS.len() == ObjectKind::Other as usize);

/// The line of an effect.
pub fn write_effect(effect: &Effect) -> String {
    let plain = effect.to_string();
    if read_effect(&plain).as_ref() == Some(effect) {
        return plain;
    }
    let Effect {
        action,
        flags,
        object,
        columns,
        filter,
    } = effect;
    let mut line = action.name().to_owned();
    for word in [filter.map(FilterKind::name), Some(object.kind.name())] {
        if let Some(word) = word.filter(|word| !word.is_empty()) {
            line.push(' ');
            line.push_str(word);
        }
    }
    match &object.schema {
        Some(schema) => line.extend([" ", &quoted(schema), ".", &quoted(&object.name)]),
        None if object.name.is_empty() => {}
        None => line.extend([" ", &quoted(&object.name)]),
    }
    for (index, column) in columns.iter().enumerate() {
        line.push_str(if index == 0 { " (" } else { ", " });
        line.push_str(&quoted(column));
    }
    if !columns.is_empty() {
        line.push(')');
    }
    if !flags.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(line, " [{flags}]");
    }
    line
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The effect of a line; none if it is not one.
pub fn read_effect(line: &str) -> Option<Effect> {
    let (action, rest) = word(line);
    let action = Action::from_name(action)?;
    let filter = (action == Action::Filter)
        .then(|| {
            FilterKind::ALL
                .into_iter()
                .find(|kind| kind.name() == word(rest).0)
        })
        .flatten();
    let rest = if filter.is_some() { word(rest).1 } else { rest };
    let kind = KINDS.into_iter().find(|kind| {
        let after = rest.strip_prefix(kind.name());
        after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
    });
    let kind = kind.unwrap_or(ObjectKind::Nothing);
    let rest = rest.get(kind.name().len()..)?;
    let rest = if kind == ObjectKind::Nothing {
        rest
    } else {
        rest.strip_prefix(' ').unwrap_or(rest)
    };
    let (schema, name, rest) = names(kind, rest)?;
    let (columns, rest) = columns(rest)?;
    Some(Effect {
        action,
        flags: flags(rest)?,
        object: Object { kind, schema, name },
        columns,
        filter,
    })
}

/// What stands before the first blank, and what behind it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

type Names<'a> = (Option<Box<str>>, Box<str>, &'a str);

/// Schema and name, and what follows them.
fn names(kind: ObjectKind, text: &str) -> Option<Names<'_>> {
    if text.starts_with('"') {
        let (first, rest) = unquoted(text)?;
        return Some(match rest.strip_prefix('.') {
            Some(rest) => {
                let (name, rest) = unquoted(rest)?;
                (Some(first), name, rest)
            }
            None => (None, first, rest),
        });
    }
    let ends = [" (", " ["].into_iter().filter_map(|end| text.find(end));
    // Without a name the blank before the columns or flags is gone already.
    let is_nameless = text.starts_with(['(', '[']);
    let end = if is_nameless {
        0
    } else {
        ends.min().unwrap_or(text.len())
    };
    let (name, rest) = text.split_at_checked(end)?;
    let has_no_schema = matches!(
        kind,
        ObjectKind::Nothing | ObjectKind::Setting | ObjectKind::Path | ObjectKind::Library
    );
    Some(match name.split_once('.').filter(|_| !has_no_schema) {
        Some((schema, name)) => (Some(schema.into()), name.into(), rest),
        None => (None, name.into(), rest),
    })
}

/// A name in quotes, and what follows it.
fn unquoted(text: &str) -> Option<(Box<str>, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name.into(), after)),
        }
    }
}

/// The columns in parentheses, and what follows them.
fn columns(text: &str) -> Option<(Box<[Box<str>]>, &str)> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let Some(mut rest) = text.strip_prefix('(') else {
        return Some((Box::default(), text));
    };
    if !rest.starts_with('"') {
        let (inside, rest) = rest.split_once(')')?;
        return Some((inside.split(", ").map(Into::into).collect(), rest));
    }
    let mut columns = Vec::new();
    loop {
        let (column, after) = unquoted(rest)?;
        columns.push(column);
        match after.strip_prefix(", ") {
            Some(more) => rest = more,
            None => return Some((columns.into(), after.strip_prefix(')')?)),
        }
    }
}

/// The flags in brackets, behind which nothing may follow.
fn flags(text: &str) -> Option<EffectFlags> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    if text.is_empty() {
        return Some(EffectFlags::NONE);
    }
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    inside.split(',').try_fold(EffectFlags::NONE, |flags, name| {
        let mut all = (0..u16::BITS).map(|bit| EffectFlags::from_bits(1 << bit));
        let flag = all.find(|flag| flag.names().next() == Some(name))?;
        Some(flags | flag)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn relation(schema: &str, name: &str, columns: &[&str]) -> Effect {
        let object = Object::in_schema(ObjectKind::Relation, schema, name);
        Effect::new(Action::Read, object).on_columns(columns.iter().map(|&column| column.into()).collect())
    }

    #[test]
    fn names_are_quoted_where_they_could_be_taken_for_the_line() {
        let on = |action, kind, name: &str| Effect::new(action, Object::new(kind, name));
        let orders = relation("public", "orders", &["id", "total"]);
        for (effect, want) in [
            (orders.clone(), "Read relation public.orders (id, total)"),
            (
                orders.with(EffectFlags::CATALOG),
                "Read relation public.orders (id, total) [catalog]",
            ),
            (
                relation("public", "orders", &[]).with(EffectFlags::ROWS),
                "Read relation public.orders [rows]",
            ),
            (
                relation("public", "orders [rows]", &[]),
                "Read relation \"public\".\"orders [rows]\"",
            ),
            (
                relation("public", "Order Lines", &["Unit Price"]),
                "Read relation public.Order Lines (Unit Price)",
            ),
            (
                relation("public", "orders (id, total)", &[]),
                "Read relation \"public\".\"orders (id, total)\"",
            ),
            (
                relation("public", "orders [catalog]", &[]),
                "Read relation \"public\".\"orders [catalog]\"",
            ),
            (
                relation("", "public.orders", &[]),
                "Read relation \"public.orders\"",
            ),
            (relation("a.b", "c", &[]), "Read relation \"a.b\".\"c\""),
            (relation("a", "b.c", &[]), "Read relation a.b.c"),
            (
                relation("a", "b", &["c, d"]),
                "Read relation \"a\".\"b\" (\"c, d\")",
            ),
            (relation("a", "b\"", &["c"]), "Read relation a.b\" (c)"),
            (relation("\"a\"", "b", &[]), "Read relation \"\"\"a\"\"\".\"b\""),
            (
                on(Action::Set, ObjectKind::Setting, "app.tenant"),
                "Set setting app.tenant",
            ),
            (
                on(Action::Opaque, ObjectKind::Nothing, "names that change"),
                "Opaque names that change",
            ),
            (
                on(Action::Opaque, ObjectKind::Nothing, "object o"),
                "Opaque \"object o\"",
            ),
            (
                on(Action::Opaque, ObjectKind::Function, "with OID 7"),
                "Opaque function with OID 7",
            ),
            (
                on(Action::Filter, ObjectKind::Nothing, "order"),
                "Filter \"order\"",
            ),
            (on(Action::Admin, ObjectKind::Nothing, ""), "Admin"),
            (on(Action::Drop, ObjectKind::Relation, ""), "Drop relation"),
            (
                on(Action::Drop, ObjectKind::Relation, "").with(EffectFlags::CASCADE),
                "Drop relation [cascade]",
            ),
        ] {
            assert_eq!(write_effect(&effect), want);
            assert_eq!(read_effect(want), Some(effect), "{want}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for line in [
            "",
            "Reads relation a.b",
            "Read relation a.b (c",
            "Read relation a.b [unheard_of]",
            "Read relation a.b [catalog] more",
            "Read relation \"a",
            "Read relation \"a\".b",
            "Read relation \"a\".\"b\" (\"c\"",
            "... 3 more",
        ] {
            assert_eq!(read_effect(line), None, "{line}");
        }
    }

    fn any_name() -> impl Strategy<Value = Box<str>> {
        let word = select(vec![
            "a", "relation", "order", " ", ".", ", ", "(", ")", "[", "]", "\"", "catalog", "\n", "ü",
        ]);
        proptest::collection::vec(word, 0..5).prop_map(|words| words.concat().into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_line_is_read_as_what_it_was_written_for(
            action in select(Action::ALL.to_vec()),
            filter in proptest::option::of(select(FilterKind::ALL.to_vec())),
            flags in 0..1_u16 << 12,
            kind in select([&KINDS[..], &[ObjectKind::Nothing]].concat()),
            schema in proptest::option::of(any_name()),
            name in any_name(),
            columns in proptest::collection::vec(any_name(), 0..3),
        ) {
            let effect = Effect {
                action,
                flags: EffectFlags::from_bits(flags),
                object: Object { kind, schema, name },
                columns: columns.into(),
                filter: filter.filter(|_| action == Action::Filter),
            };
            let line = write_effect(&effect);
            prop_assert_eq!(read_effect(&line), Some(effect), "{}", line);
        }

        #[test]
        fn any_text_is_answered(text in "(Read|Filter|Opaque)?[ \"a.(),\\[\\]]{0,20}") {
            if let Some(effect) = read_effect(&text) {
                prop_assert_eq!(read_effect(&write_effect(&effect)), Some(effect));
            }
        }
    }
}
