//! From rows to a catalog.

use hashbrown::HashMap;

use super::altered::{self, OwnFunction};
use super::attached::Attached;
use super::built_in::{Bases, BuiltIn, BuiltInKind};
use super::fields::Row;
use super::{Rows, SnapshotError, functions, printed};
use crate::sql::catalog::{
    Cast, CastContext, CastMethod, Catalog, EventTrigger, Extension, ForeignKey, ForeignServer, KeyAction,
    Oid, Operator, OperatorClass, Relation, RelationKind, Role, Schema, Type, TypeKind,
};

/// The rows of one reading, as they become objects.
#[derive(Default)]
pub(super) struct Decoder {
    pub(super) catalog: Catalog,
    pub(super) attached: HashMap<Oid, Attached>,
    built_in: Vec<BuiltIn>,
    /// Functions of operator classes that are not built in.
    class_functions: HashMap<Oid, Box<[Oid]>>,
    /// Range types whose bounds are compared by an operator class that is not built in.
    range_classes: Vec<(Oid, Oid)>,
    /// CHECK constraints of domains.
    domain_checks: HashMap<Oid, Vec<Box<str>>>,
    /// The server's own functions, where they are not as they came.
    own_functions: Vec<OwnFunction>,
    /// The built-in code of functions in `internal`.
    internal: HashMap<Oid, Box<str>>,
    has_header: bool,
}

pub(super) fn catalog(rows: &Rows, bases: &Bases) -> Result<Catalog, SnapshotError> {
    let mut decoder = Decoder::default();
    rows.each(|fields| decoder.take(&mut Row::new(fields), fields))?;
    decoder.finish(bases)
}

impl Decoder {
    fn take(&mut self, row: &mut Row<'_>, fields: &[Option<&str>]) -> Result<(), SnapshotError> {
        match row.kind()? {
            b'v' => self.header(row),
            b'b' => self.built_in(row),
            b'B' => {
                self.own_functions.push(OwnFunction::of(row)?);
                Ok(())
            }
            b'n' => self.schema(row),
            b'l' => self.role(row),
            b'x' => self.extension(row),
            b'r' => self.relation(row),
            b'F' => {
                let (function, symbol) = functions::function(row, fields)?;
                self.internal.extend(symbol.map(|symbol| (function.oid, symbol)));
                self.catalog.functions.insert(function.oid, function);
                Ok(())
            }
            b'T' => self.kind(row),
            b'k' => self.check(row),
            b'f' => self.foreign_key(row),
            b'o' => self.operator(row),
            b'c' => self.cast(row),
            b'O' => self.operator_class(row),
            b'e' => self.event_trigger(row),
            b'S' => self.foreign_server(row),
            other => self.attach(other, row),
        }
    }

    fn header(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let number: u32 = row.number()?;
        self.catalog.server_major = super::major_of(&(number / 10_000).to_string())?;
        self.catalog.database = row.name()?;
        self.has_header = true;
        Ok(())
    }

    fn built_in(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let kind = match row.letter()? {
            b'n' => BuiltInKind::Schema,
            b'r' => BuiltInKind::Relation,
            b't' => BuiltInKind::Type,
            _ => BuiltInKind::Function,
        };
        self.built_in.push(BuiltIn {
            kind,
            oid: row.oid()?,
            schema: row.name()?,
            name: row.name()?,
            arguments: row.oids()?.into_vec().into(),
        });
        Ok(())
    }

    fn schema(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let schema = Schema {
            oid: row.oid()?,
            name: row.name()?,
            owner: row.oid()?,
            is_usable: row.flag()?,
        };
        self.catalog.schemas.insert(schema.oid, schema);
        Ok(())
    }

    fn role(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let role = Role {
            oid: row.oid()?,
            name: row.name()?,
            is_superuser: row.flag()?,
            bypasses_row_security: row.flag()?,
        };
        self.catalog.roles.insert(role.oid, role);
        Ok(())
    }

    fn extension(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let extension = Extension {
            oid: row.oid()?,
            name: row.name()?,
            version: row.name()?,
        };
        self.catalog.extensions.insert(extension.oid, extension);
        Ok(())
    }

    fn relation(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let (oid, schema, name, owner) = (row.oid()?, row.oid()?, row.name()?, row.oid()?);
        let kind = match row.letter()? {
            b'r' => RelationKind::Table,
            b'p' => RelationKind::Partitioned,
            b'v' => RelationKind::View,
            b'm' => RelationKind::Materialized,
            b'f' => RelationKind::Foreign,
            b'S' => RelationKind::Sequence,
            b'i' | b'I' => RelationKind::Index,
            b'c' => RelationKind::Composite,
            // What the server calls otherwise can hold anybody's data as this can.
            _ => RelationKind::Toast,
        };
        let (row_type, is_temporary) = (row.oid()?, row.flag()?);
        let (row_security, force_row_security) = (row.flag()?, row.flag()?);
        let (security_invoker, foreign_server, extension) = (row.flag()?, row.oid()?, row.oid()?);
        let (access_method, checks_late) = (row.oid()?, row.flag()?);
        let relation = Relation {
            oid,
            schema,
            name,
            owner,
            kind,
            row_type,
            is_temporary,
            query: row.optional()?.map(without_semicolon),
            security_invoker,
            row_security,
            force_row_security,
            foreign_server,
            extension,
            checks_late,
            // Values too long for their row lie there, of any column.
            is_sensitive: kind == RelationKind::Toast,
            // The rows of other kinds tell the rest.
            ..Relation::default()
        };
        if !access_method.is_none() && kind != RelationKind::Index {
            self.attached(oid).functions.push(access_method);
        }
        self.catalog.relations.insert(oid, relation);
        Ok(())
    }

    fn kind(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let (oid, schema, name, owner) = (row.oid()?, row.oid()?, row.name()?, row.oid()?);
        let (letter, category, is_preferred) = (row.letter()?, row.letter()?, row.flag()?);
        let (element, array, relation, base) = (row.oid()?, row.oid()?, row.oid()?, row.oid()?);
        let (has_default, default, is_array) = (row.flag()?, row.optional()?, row.flag()?);
        let (subtype, range_class, range, extension) = (row.oid()?, row.oid()?, row.oid()?, row.oid()?);
        let kind = match letter {
            b'c' => TypeKind::Composite(relation),
            b'd' => TypeKind::Domain {
                base,
                checks: Box::default(),
                default: has_default.then(|| printed(default)),
            },
            b'e' => TypeKind::Enum,
            b'r' => TypeKind::Range { subtype },
            b'm' => TypeKind::Multirange { range },
            b'p' => TypeKind::Pseudo,
            _ if is_array => TypeKind::Array,
            _ => TypeKind::Base,
        };
        if !range_class.is_built_in() {
            self.range_classes.push((oid, range_class));
        }
        let kind = Type {
            oid,
            schema,
            name,
            owner,
            kind,
            category,
            is_preferred,
            element,
            array,
            functions: row.oids()?,
            extension,
        };
        self.catalog.types.insert(oid, kind);
        Ok(())
    }

    fn check(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let (relation, domain, expression) = (row.oid()?, row.oid()?, printed(row.optional()?));
        if domain.is_none() {
            self.attached(relation).checks.push(expression);
        } else {
            self.domain_checks.entry(domain).or_default().push(expression);
        }
        Ok(())
    }

    fn foreign_key(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let action = |letter| match letter {
            b'c' => KeyAction::Cascade,
            b'n' => KeyAction::SetNull,
            b'd' => KeyAction::SetDefault,
            _ => KeyAction::Nothing,
        };
        let key = ForeignKey {
            name: row.name()?,
            child: row.oid()?,
            child_columns: row.numbers()?.into_vec().into(),
            parent: row.oid()?,
            parent_columns: row.numbers()?.into_vec().into(),
            on_update: action(row.letter()?),
            on_delete: action(row.letter()?),
        };
        // What compares the two sides runs whichever of them is written.
        let comparing = row.oids()?;
        for relation in [key.child, key.parent] {
            if !comparing.is_empty() {
                self.attached(relation).functions.extend_from_slice(&comparing);
            }
        }
        self.catalog.foreign_keys.push(key);
        Ok(())
    }

    fn operator(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let operator = Operator {
            oid: row.oid()?,
            schema: row.oid()?,
            name: row.name()?,
            left: row.oid()?,
            right: row.oid()?,
            result: row.oid()?,
            function: row.oid()?,
            estimators: row.oids()?.into_iter().collect(),
        };
        self.catalog.operators.insert(operator.oid, operator);
        Ok(())
    }

    fn cast(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let cast = Cast {
            source: row.oid()?,
            target: row.oid()?,
            function: row.oid()?,
            context: match row.letter()? {
                b'i' => CastContext::Implicit,
                b'a' => CastContext::Assignment,
                _ => CastContext::Explicit,
            },
            method: match row.letter()? {
                b'f' => CastMethod::Function,
                b'b' => CastMethod::Binary,
                _ => CastMethod::InOut,
            },
        };
        self.catalog.casts.insert((cast.source, cast.target), cast);
        Ok(())
    }

    fn operator_class(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let oid = row.oid()?;
        let class = OperatorClass {
            name: row.name()?,
            input: row.oid()?,
            is_default: row.flag()?,
            functions: row.oids()?.into_vec().into(),
        };
        if !oid.is_none() {
            self.class_functions.insert(oid, class.functions.clone());
        }
        self.catalog.operator_classes.push(class);
        Ok(())
    }

    fn event_trigger(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let trigger = EventTrigger {
            name: row.name()?,
            function: row.oid()?,
        };
        self.catalog.event_triggers.push(trigger);
        Ok(())
    }

    fn foreign_server(&mut self, row: &mut Row<'_>) -> Result<(), SnapshotError> {
        let server = ForeignServer {
            oid: row.oid()?,
            name: row.name()?,
            wrapper: row.name()?,
            programs: row.flag()?,
            functions: row.oids()?.into_iter().collect(),
        };
        self.catalog.foreign_servers.insert(server.oid, server);
        Ok(())
    }

    /// Puts together what belongs together, once all rows are in.
    fn finish(mut self, bases: &Bases) -> Result<Catalog, SnapshotError> {
        if !self.has_header {
            return Err(SnapshotError::Incomplete);
        }
        let below = bases.of(self.catalog.server_major, &self.built_in);
        for (range, class) in std::mem::take(&mut self.range_classes) {
            let functions = self.class_functions.get(&class);
            if let (Some(kind), Some(functions)) = (self.catalog.types.get_mut(&range), functions) {
                kind.functions.extend_from_slice(functions);
            }
        }
        for (domain, found) in std::mem::take(&mut self.domain_checks) {
            if let Some(Type {
                kind: TypeKind::Domain { checks, .. },
                ..
            }) = self.catalog.types.get_mut(&domain)
            {
                *checks = found.into();
            }
        }
        for (oid, attached) in std::mem::take(&mut self.attached) {
            let functions = attached.functions(&self.class_functions, &self.catalog, &below);
            if !self.catalog.relations.contains_key(&oid) {
                // Even a relation that came with the server can have a trigger, a rule or a child.
                let Some(relation) = below.relation(oid) else {
                    continue;
                };
                self.catalog.relations.insert(oid, relation.clone());
            }
            if let Some(relation) = self.catalog.relations.get_mut(&oid) {
                attached.put(relation, functions);
            }
        }
        altered::mark(&mut self.catalog, &below, &self.own_functions);
        self.catalog.below = Some(below);
        functions::know(&mut self.catalog, &self.internal);
        functions::define(&mut self.catalog);
        self.catalog.index();
        Ok(self.catalog)
    }
}

/// The server ends a view's query as a statement.
fn without_semicolon(query: &str) -> Box<str> {
    query.trim().trim_end_matches(';').into()
}
