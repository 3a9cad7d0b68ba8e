//! Whether the objects of a file fit together.

use hashbrown::HashSet;

use super::FileError;
use crate::sql::catalog::{Catalog, Function, Oid, Relation, RelationKind, Type, TypeKind};

/// A chain of domains, arrays or parents over this is a mistake.
const CHAIN_MAX: usize = 1000;

pub(super) fn all(catalog: &Catalog) -> Result<(), FileError> {
    for schema in catalog.schemas.values() {
        named("schema", &schema.name, schema.oid)?;
    }
    for relation in catalog.relations.values() {
        let about = named("relation", &relation.name, relation.oid)?;
        Check {
            catalog,
            about: &about,
        }
        .relation(relation)?;
    }
    for function in catalog.functions.values() {
        let about = named("function", &function.name, function.oid)?;
        Check {
            catalog,
            about: &about,
        }
        .function(function)?;
    }
    for kind in catalog.types.values() {
        let about = named("type", &kind.name, kind.oid)?;
        Check {
            catalog,
            about: &about,
        }
        .kind(kind)?;
    }
    for operator in catalog.operators.values() {
        let about = named("operator", &operator.name, operator.oid)?;
        let check = Check {
            catalog,
            about: &about,
        };
        check.schema(operator.schema)?;
        check.optional_type(operator.left, "of its left side")?;
        check.optional_type(operator.right, "of its right side")?;
        check.type_is_there(operator.result, "of its result")?;
        check.functions([operator.function].iter().chain(&operator.estimators))?;
    }
    for cast in catalog.casts.values() {
        let about = format!("cast from {} to {}", cast.source, cast.target);
        let check = Check {
            catalog,
            about: &about,
        };
        check.type_is_there(cast.source, "that it casts")?;
        check.type_is_there(cast.target, "that it gives")?;
        if !cast.function.is_none() {
            check.functions([cast.function].iter())?;
        }
    }
    for class in &catalog.operator_classes {
        let about = format!("operator class {}", class.name);
        let check = Check {
            catalog,
            about: &about,
        };
        check.type_is_there(class.input, "that it is for")?;
        check.functions(class.functions.iter())?;
    }
    for trigger in &catalog.event_triggers {
        let about = format!("event trigger {}", trigger.name);
        Check {
            catalog,
            about: &about,
        }
        .functions([trigger.function].iter())?;
    }
    for server in catalog.foreign_servers.values() {
        let about = named("foreign server", &server.name, server.oid)?;
        Check {
            catalog,
            about: &about,
        }
        .functions(server.functions.iter())?;
    }
    foreign_keys(catalog)
}

fn wrong(object: &str, problem: impl Into<Box<str>>) -> FileError {
    FileError::Object {
        object: object.into(),
        problem: problem.into(),
    }
}

/// How errors name the object.
fn named(what: &str, name: &str, oid: Oid) -> Result<String, FileError> {
    if name.is_empty() {
        return Err(wrong(&format!("{what} {oid}"), "has no name"));
    }
    Ok(format!("{what} {name} ({oid})"))
}

fn foreign_keys(catalog: &Catalog) -> Result<(), FileError> {
    for key in &catalog.foreign_keys {
        let about = format!("foreign key {}", key.name);
        let (here, there) = (key.child_columns.len(), key.parent_columns.len());
        if here != there {
            let s = if here == 1 { "" } else { "s" };
            let problem = format!("has {here} column{s} and points to {there}");
            return Err(wrong(&about, problem));
        }
        for (relation, columns) in [(key.child, &key.child_columns), (key.parent, &key.parent_columns)] {
            let Some(found) = catalog.relation(relation) else {
                return Err(wrong(&about, format!("relation {relation} is not there")));
            };
            let has = |number: &i16| found.columns.iter().any(|column| column.number == *number);
            if let Some(number) = columns.iter().find(|number| !has(number)) {
                return Err(wrong(
                    &about,
                    format!("relation {relation} has no column {number}"),
                ));
            }
        }
    }
    Ok(())
}

/// Checks what one object refers to.
struct Check<'a> {
    catalog: &'a Catalog,
    about: &'a str,
}

impl Check<'_> {
    fn wrong(&self, problem: impl Into<Box<str>>) -> FileError {
        wrong(self.about, problem)
    }

    fn schema(&self, oid: Oid) -> Result<(), FileError> {
        match self.catalog.schema(oid) {
            Some(_) => Ok(()),
            None => Err(self.wrong(format!("schema {oid} is not there"))),
        }
    }

    fn type_is_there(&self, oid: Oid, of_what: &str) -> Result<(), FileError> {
        match self.catalog.type_of(oid) {
            Some(_) => Ok(()),
            None => Err(self.wrong(format!("type {oid} {of_what} is not there"))),
        }
    }

    fn optional_type(&self, oid: Oid, of_what: &str) -> Result<(), FileError> {
        if oid.is_none() {
            return Ok(());
        }
        self.type_is_there(oid, of_what)
    }

    fn functions<'o>(&self, mut functions: impl Iterator<Item = &'o Oid>) -> Result<(), FileError> {
        match functions.find(|function| self.catalog.function(**function).is_none()) {
            None => Ok(()),
            Some(function) => Err(self.wrong(format!("function {function} is not there"))),
        }
    }

    fn relation(&self, relation: &Relation) -> Result<(), FileError> {
        self.schema(relation.schema)?;
        let is_view = matches!(relation.kind, RelationKind::View | RelationKind::Materialized);
        if relation.query.is_some() && !is_view {
            return Err(self.wrong("has a query and is no view"));
        }
        if !relation
            .columns
            .is_sorted_by(|left, right| left.number < right.number)
            || relation.columns.first().is_some_and(|column| column.number < 1)
        {
            return Err(self.wrong("columns are not in the order of their numbers"));
        }
        for column in &relation.columns {
            if column.name.is_empty() {
                return Err(self.wrong(format!("column {} has no name", column.number)));
            }
            self.type_is_there(column.type_oid, &format!("of column {}", column.name))?;
            if !column.identity.is_none() && self.catalog.relation(column.identity).is_none() {
                return Err(self.wrong(format!("sequence {} is not there", column.identity)));
            }
        }
        self.optional_type(relation.row_type, "of its rows")?;
        self.functions(relation.triggers.iter().map(|trigger| &trigger.function))?;
        self.functions(relation.index_functions.iter())?;
        let server = relation.foreign_server;
        if (relation.kind == RelationKind::Foreign || !server.is_none())
            && !self.catalog.foreign_servers.contains_key(&server)
        {
            return Err(self.wrong(format!("foreign server {server} is not there")));
        }
        self.parents(relation)
    }

    /// What it inherits from is there and does not lead back to it.
    fn parents(&self, relation: &Relation) -> Result<(), FileError> {
        let mut seen = HashSet::new();
        let mut unseen = relation.parents.to_vec();
        while let Some(parent) = unseen.pop() {
            if parent == relation.oid {
                return Err(self.wrong("inherits from itself"));
            }
            if !seen.insert(parent) {
                continue;
            }
            let Some(parent) = self.catalog.relation(parent) else {
                return Err(self.wrong(format!("its parent {parent} is not there")));
            };
            unseen.extend_from_slice(&parent.parents);
        }
        Ok(())
    }

    fn function(&self, function: &Function) -> Result<(), FileError> {
        self.schema(function.schema)?;
        for &argument in &function.arguments {
            self.type_is_there(argument, "of an argument")?;
        }
        for (name, output) in &function.outputs {
            self.type_is_there(*output, &format!("of output {name}"))?;
        }
        self.optional_type(function.variadic, "of its variadic argument")?;
        self.optional_type(function.returns, "of its result")?;
        if usize::from(function.defaults) > function.arguments.len() {
            return Err(self.wrong("has more defaults than arguments"));
        }
        self.functions(function.parts.iter())
    }

    fn kind(&self, kind: &Type) -> Result<(), FileError> {
        self.schema(kind.schema)?;
        self.optional_type(kind.element, "of its elements")?;
        self.optional_type(kind.array, "that is its array")?;
        self.functions(kind.functions.iter())?;
        match &kind.kind {
            TypeKind::Composite(relation) if self.catalog.relation(*relation).is_none() => {
                return Err(self.wrong(format!("relation {relation} is not there")));
            }
            TypeKind::Range { subtype } => self.type_is_there(*subtype, "of its bounds")?,
            TypeKind::Multirange { range } => self.type_is_there(*range, "of its ranges")?,
            _ => {}
        }
        self.bases(kind)
    }

    /// What a domain is based on is there and does not lead back to it.
    fn bases(&self, kind: &Type) -> Result<(), FileError> {
        let mut at = kind;
        for _ in 0..CHAIN_MAX {
            let TypeKind::Domain { base, .. } = at.kind else {
                return Ok(());
            };
            at = match self.catalog.type_of(base) {
                Some(base) if base.oid == kind.oid => break,
                Some(base) => base,
                None => return Err(self.wrong(format!("type {base} below it is not there"))),
            };
        }
        Err(self.wrong("is based on itself"))
    }
}
