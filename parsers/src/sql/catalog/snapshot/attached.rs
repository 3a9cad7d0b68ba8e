//! What hangs on a relation and comes in rows of its own: columns, rules, triggers, constraints, indexes.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::decode::Decoder;
use super::fields::Row;
use super::{SnapshotError, UNREADABLE, printed};
use crate::sql::catalog::{Catalog, Column, Event, Oid, Relation, RelationKind, RowPolicy, Rule, Trigger};

/// What hangs on one relation.
#[derive(Default)]
pub(super) struct Attached {
    columns: Vec<Column>,
    identities: Vec<(i16, Oid)>,
    parents: SmallVec<[Oid; 1]>,
    rules: Vec<Rule>,
    triggers: Vec<Trigger>,
    policies: Vec<RowPolicy>,
    pub(super) checks: Vec<Box<str>>,
    index_expressions: Vec<Box<str>>,
    partition_expressions: Vec<Box<str>>,
    /// Functions that are not built in.
    pub(super) functions: Vec<Oid>,
    /// Operator classes that are not built in.
    classes: Vec<Oid>,
    /// Operators of exclusion constraints.
    operators: Vec<Oid>,
}

impl Attached {
    /// All functions that its indexes and keys run and that are not built in.
    pub(super) fn functions(
        &self,
        of_classes: &HashMap<Oid, Box<[Oid]>>,
        catalog: &Catalog,
        below: &Catalog,
    ) -> Box<[Oid]> {
        let mut functions = self.functions.clone();
        for class in &self.classes {
            functions.extend(of_classes.get(class).into_iter().flatten());
        }
        for &operator in &self.operators {
            let found = catalog.operator(operator).or_else(|| below.operator(operator));
            functions.extend(found.map(|operator| operator.function));
        }
        functions.retain(|function| !function.is_built_in());
        functions.sort_unstable();
        functions.dedup();
        functions.into()
    }

    /// Hands all of it to the relation.
    pub(super) fn put(mut self, relation: &mut Relation, functions: Box<[Oid]>) {
        for (number, sequence) in self.identities {
            let column = self.columns.iter_mut().find(|column| column.number == number);
            if let Some(column) = column {
                column.identity = sequence;
            }
        }
        if !self.columns.is_empty() {
            relation.columns = self.columns.into();
        }
        if relation.kind != RelationKind::Index {
            relation.parents.extend(self.parents);
        }
        relation.rules = self.rules.into();
        relation.triggers = self.triggers.into();
        relation.policies = self.policies.into();
        relation.checks = self.checks.into();
        relation.index_expressions = self.index_expressions.into();
        relation.index_functions = functions;
        relation.partition_expressions = self.partition_expressions.into();
    }
}

impl Decoder {
    pub(super) fn attached(&mut self, relation: Oid) -> &mut Attached {
        self.attached.entry(relation).or_default()
    }

    /// A row of what hangs on a relation; its second field is that.
    pub(super) fn attach(&mut self, kind: u8, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let relation = row.oid()?;
        let attached = self.attached(relation);
        match kind {
            b'a' => attached.columns.push(column(row)?),
            b'h' => attached.parents.push(row.oid()?),
            b'q' => attached.identities.push((row.number()?, row.oid()?)),
            b'p' => {
                attached.partition_expressions.extend(flagged(row)?);
                attached.add_classes(row)?;
            }
            b'i' => {
                attached.index_expressions.extend(flagged(row)?);
                attached.index_expressions.extend(flagged(row)?);
                attached.add_classes(row)?;
                attached.functions.push(row.oid()?);
                attached.operators.extend(row.oids()?);
            }
            b's' => attached.index_expressions.push(printed(row.optional()?)),
            b'u' => attached.rules.push(rule(row)?),
            b't' => attached.triggers.push(trigger(row)?),
            b'y' => attached.policies.push(policy(row)?),
            // Statement and decoder are of one build.
            _ => {
                return Err(SnapshotError::Row {
                    kind: char::from(kind).to_string().into(),
                    field: 0,
                });
            }
        }
        Ok(())
    }
}

impl Attached {
    fn add_classes(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let classes = row.oids()?;
        self.classes
            .extend(classes.into_iter().filter(|class| !class.is_built_in()));
        Ok(())
    }
}

/// An expression behind a field that tells whether there is one.
fn flagged(row: &mut Row<'_>) -> Result<Option<Box<str>>, SnapshotError> {
    let (is_there, text) = (row.flag()?, row.optional()?);
    Ok(is_there.then(|| printed(text)))
}

fn column(row: &mut Row<'_>) -> Result<Column, SnapshotError> {
    Ok(Column {
        number: row.number()?,
        name: row.name()?,
        type_oid: row.oid()?,
        is_generated: row.flag()?,
        default: flagged(row)?,
        identity: Oid::NONE,
    })
}

fn rule(row: &mut Row<'_>) -> Result<Rule, SnapshotError> {
    Ok(Rule {
        name: row.name()?,
        event: match row.letter()? {
            b'1' => Event::Select,
            b'2' => Event::Update,
            b'3' => Event::Insert,
            _ => Event::Delete,
        },
        instead: row.flag()?,
        definition: printed(row.optional()?),
    })
}

/// Bits of `tgtype`.
const EVENTS: [(i16, Event); 4] = [
    (4, Event::Insert),
    (8, Event::Delete),
    (16, Event::Update),
    (32, Event::Truncate),
];

/// The bit of `tgtype` for INSTEAD OF.
const INSTEAD: i16 = 64;

/// Those for FOR EACH ROW and BEFORE.
const BEFORE_ROW: i16 = 1 | 2;

fn trigger(row: &mut Row<'_>) -> Result<Trigger, SnapshotError> {
    let (name, function, bits) = (row.name()?, row.oid()?, row.number::<i16>()?);
    let columns = row.numbers()?.into_vec().into();
    let is_deferrable = row.flag()?;
    let (has_condition, definition) = (row.flag()?, row.optional()?);
    let events = EVENTS.iter().filter(|(bit, _)| bits & bit != 0);
    Ok(Trigger {
        name,
        function,
        events: events.map(|(_, event)| *event).collect(),
        columns,
        instead: bits & INSTEAD != 0,
        sets_row: bits & BEFORE_ROW == BEFORE_ROW,
        is_deferrable,
        when: has_condition.then(|| {
            let condition = definition.and_then(condition);
            condition.map_or_else(|| UNREADABLE.into(), Into::into)
        }),
    })
}

/// The WHEN expression of a CREATE TRIGGER. The server does not print it by itself where it is about OLD and NEW.
fn condition(definition: &str) -> Option<&str> {
    use pg_query::protobuf::Token;
    let scanned = pg_query::scan(definition).ok()?;
    let mut tokens = scanned.tokens.iter();
    tokens.find(|token| token.token() == Token::When)?;
    let (mut depth, mut start) = (0_u32, None);
    for token in tokens {
        match token.token() {
            Token::Ascii40 => {
                depth += 1;
                start = start.or_else(|| usize::try_from(token.end).ok());
            }
            Token::Ascii41 if depth == 1 => {
                return definition.get(start?..usize::try_from(token.start).ok()?);
            }
            Token::Ascii41 => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn policy(row: &mut Row<'_>) -> Result<RowPolicy, SnapshotError> {
    Ok(RowPolicy {
        name: row.name()?,
        event: match row.letter()? {
            b'r' => Some(Event::Select),
            b'a' => Some(Event::Insert),
            b'w' => Some(Event::Update),
            b'd' => Some(Event::Delete),
            _ => None,
        },
        expressions: [flagged(row)?, flagged(row)?].into_iter().flatten().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_of_a_trigger_is_found() {
        for (definition, want) in [
            (
                r#"CREATE TRIGGER "when (x)" BEFORE UPDATE ON s."a WHEN b" FOR EACH ROW WHEN ((old.a <> (new.a + ')'::text))) EXECUTE FUNCTION s.f('WHEN (y)')"#,
                Some("(old.a <> (new.a + ')'::text))"),
            ),
            (
                "CREATE TRIGGER t BEFORE UPDATE ON s.a EXECUTE FUNCTION s.f('WHEN (x)')",
                None,
            ),
            ("CREATE TRIGGER t BEFORE UPDATE ON s.a WHEN (", None),
            ("CREATE TRIGGER t BEFORE UPDATE ON s.a WHEN x (y)", None),
        ] {
            assert_eq!(condition(definition), want, "{definition}");
        }
    }
}
