//! A database for tests, made by hand: what `CREATE` statements would make of it, in a few words each.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::sql::catalog::{
    Cast, CastContext, CastMethod, Catalog, Column, Event, EventTrigger, ForeignKey, ForeignServer, Function,
    FunctionKind, KeyAction, Language, Oid, Operator, OperatorClass, Relation, RelationKind, Role, RowPolicy,
    Rule, Schema, Trigger, Type, TypeKind, Volatility, base,
};
use crate::sql::world::World;

/// Builds a catalog over the built-in objects of PostgreSQL 15.
pub(super) struct Fixture {
    pub(super) catalog: Catalog,
    schema: Oid,
    next: u32,
}

/// Who owns what a fixture makes, unless told otherwise, and whose session it is.
pub(super) const OWNER: Oid = Oid(16_384);

/// Another role.
pub(super) const OTHER: Oid = Oid(16_385);

impl Fixture {
    pub(super) fn new() -> Self {
        let mut fixture = Self {
            catalog: Catalog::default(),
            schema: Oid::NONE,
            next: 16_400,
        };
        fixture.catalog.below = Some(base::of(15));
        fixture.catalog.server_major = 15;
        fixture.catalog.database = "test".into();
        for (oid, name) in [(OWNER, "app"), (OTHER, "other")] {
            let role = Role {
                oid,
                name: name.into(),
                is_superuser: false,
                bypasses_row_security: false,
            };
            fixture.catalog.roles.insert(oid, role);
        }
        fixture.schema("public");
        fixture
    }

    fn oid(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }

    /// A schema, which what follows is made in.
    pub(super) fn schema(&mut self, name: &str) -> Oid {
        let oid = self.oid();
        let schema = Schema {
            oid,
            name: name.into(),
            owner: OWNER,
            is_usable: true,
        };
        self.catalog.schemas.insert(oid, schema);
        self.schema = oid;
        oid
    }

    /// A built-in type by its name, or one that was made here.
    pub(super) fn type_named(&self, name: &str) -> Oid {
        let own = self.catalog.types.values().find(|found| *found.name == *name);
        let below = self.catalog.below.as_ref().expect("there are built-in objects");
        own.map(|found| found.oid)
            .or_else(|| below.type_in(Oid::PG_CATALOG, name))
            .unwrap_or_else(|| panic!("type {name}"))
    }

    fn add_type(&mut self, name: &str, kind: TypeKind, category: u8) -> Oid {
        let (oid, array) = (self.oid(), self.oid());
        let made = |oid, name: String, kind, category, element, array| Type {
            oid,
            schema: self.schema,
            name: name.into(),
            owner: OWNER,
            kind,
            category,
            is_preferred: false,
            element,
            array,
            functions: SmallVec::new(),
            extension: Oid::NONE,
        };
        let own = made(oid, name.to_owned(), kind, category, Oid::NONE, array);
        let of_arrays = made(array, format!("_{name}"), TypeKind::Array, b'A', oid, Oid::NONE);
        self.catalog.types.insert(oid, own);
        self.catalog.types.insert(array, of_arrays);
        oid
    }

    /// A domain.
    pub(super) fn domain(&mut self, name: &str, over: &str, check: &str) -> Oid {
        let kind = TypeKind::Domain {
            base: self.type_named(over),
            checks: [check.into()].into(),
            default: None,
        };
        self.add_type(name, kind, b'S')
    }

    /// An enumeration.
    pub(super) fn enumeration(&mut self, name: &str) -> Oid {
        self.add_type(name, TypeKind::Enum, b'E')
    }

    /// The default operator class of a type, with a function of its own.
    pub(super) fn operator_class(&mut self, name: &str, input: Oid, function: Oid) {
        self.catalog.operator_classes.push(OperatorClass {
            name: name.into(),
            input,
            is_default: true,
            functions: [function].into(),
        });
    }

    /// A base type with an input function.
    pub(super) fn base_type(&mut self, name: &str, input: Oid) -> Oid {
        let oid = self.add_type(name, TypeKind::Base, b'U');
        if let Some(made) = self.catalog.types.get_mut(&oid) {
            made.functions.push(input);
        }
        oid
    }

    /// A relation of any kind, with `name type` columns separated by commas.
    pub(super) fn relation(&mut self, name: &str, kind: RelationKind, columns: &str) -> Oid {
        let oid = self.oid();
        let row_type = self.add_type(name, TypeKind::Composite(oid), b'C');
        let parts = columns.split(',').map(str::trim).filter(|part| !part.is_empty());
        let columns = parts.zip(1..).map(|(part, number)| {
            let (name, type_name) = part.split_once(' ').unwrap_or_else(|| panic!("column {part}"));
            Column {
                number,
                name: name.into(),
                type_oid: self.type_named(type_name),
                default: None,
                is_generated: false,
                identity: Oid::NONE,
            }
        });
        let relation = Relation {
            oid,
            schema: self.schema,
            name: name.into(),
            owner: OWNER,
            kind,
            row_type,
            columns: columns.collect(),
            ..Relation::default()
        };
        self.catalog.relations.insert(oid, relation);
        oid
    }

    pub(super) fn table(&mut self, name: &str, columns: &str) -> Oid {
        self.relation(name, RelationKind::Table, columns)
    }

    pub(super) fn view(&mut self, name: &str, columns: &str, query: &str) -> Oid {
        let oid = self.relation(name, RelationKind::View, columns);
        self.get(oid).query = Some(query.into());
        oid
    }

    pub(super) fn sequence(&mut self, name: &str) -> Oid {
        self.relation(name, RelationKind::Sequence, "last_value int8")
    }

    /// A relation, to be changed.
    pub(super) fn get(&mut self, oid: Oid) -> &mut Relation {
        self.catalog.relations.get_mut(&oid).expect("it was made here")
    }

    pub(super) fn column(&mut self, table: Oid, name: &str) -> &mut Column {
        let columns = self.get(table).columns.iter_mut();
        columns
            .into_iter()
            .find(|column| *column.name == *name)
            .expect("it has the column")
    }

    /// A function: `name(a int4, b text)`.
    pub(super) fn function(&mut self, signature: &str, returns: &str, language: Language, body: &str) -> Oid {
        let (name, rest) = signature.split_once('(').unwrap_or_else(|| panic!("{signature}"));
        let arguments = rest.trim_end_matches(')').split(',').map(str::trim);
        let arguments: Vec<(&str, &str)> = arguments.filter_map(|part| part.split_once(' ')).collect();
        let oid = self.oid();
        let function = Function {
            oid,
            schema: self.schema,
            name: name.into(),
            owner: OWNER,
            kind: FunctionKind::Plain,
            arguments: arguments.iter().map(|(_, of)| self.type_named(of)).collect(),
            argument_names: arguments.iter().map(|(name, _)| (*name).into()).collect(),
            outputs: Box::default(),
            defaults: 0,
            default_expressions: Box::default(),
            variadic: Oid::NONE,
            returns: self.type_named(returns),
            returns_set: false,
            is_strict: false,
            volatility: Volatility::Volatile,
            security_definer: false,
            settings: Box::default(),
            language,
            body: matches!(language, Language::Sql | Language::Plpgsql).then(|| body.into()),
            parts: SmallVec::new(),
            extension: Oid::NONE,
            known: None,
            definition_hash: None,
        };
        self.catalog.functions.insert(oid, function);
        oid
    }

    pub(super) fn sql(&mut self, signature: &str, returns: &str, body: &str) -> Oid {
        self.function(signature, returns, Language::Sql, body)
    }

    pub(super) fn plpgsql(&mut self, signature: &str, returns: &str, body: &str) -> Oid {
        self.function(signature, returns, Language::Plpgsql, body)
    }

    pub(super) fn c(&mut self, signature: &str, returns: &str) -> Oid {
        self.function(signature, returns, Language::C, "")
    }

    /// A function, to be changed.
    pub(super) fn get_function(&mut self, oid: Oid) -> &mut Function {
        self.catalog.functions.get_mut(&oid).expect("it was made here")
    }

    /// A trigger whose function has this PL/pgSQL body.
    pub(super) fn trigger(&mut self, table: Oid, events: &[Event], body: &str) -> Oid {
        let name = format!("trigger_{}", self.next);
        let function = self.plpgsql(&format!("{name}()"), "trigger", body);
        let trigger = Trigger {
            name: name.into(),
            function,
            events: events.into(),
            columns: Box::default(),
            instead: self.get(table).kind == RelationKind::View,
            sets_row: false,
            is_deferrable: false,
            when: None,
        };
        push(&mut self.get(table).triggers, trigger);
        function
    }

    /// The same for a constraint trigger that may run at the end of the transaction.
    pub(super) fn deferrable_trigger(&mut self, table: Oid, events: &[Event], body: &str) -> Oid {
        let function = self.trigger(table, events, body);
        if let Some(trigger) = self.get(table).triggers.last_mut() {
            trigger.is_deferrable = true;
        }
        function
    }

    pub(super) fn rule(&mut self, table: Oid, event: Event, instead: bool, definition: &str) {
        let rule = Rule {
            name: "r".into(),
            event,
            instead,
            definition: definition.into(),
        };
        push(&mut self.get(table).rules, rule);
    }

    pub(super) fn policy(&mut self, table: Oid, expression: &str) {
        let policy = RowPolicy {
            name: "p".into(),
            event: None,
            expressions: SmallVec::from_elem(expression.into(), 1),
        };
        self.get(table).row_security = true;
        push(&mut self.get(table).policies, policy);
    }

    /// A foreign key from the child's second column to the parent's first.
    pub(super) fn key(&mut self, child: Oid, parent: Oid, on_delete: KeyAction) {
        self.catalog.foreign_keys.push(ForeignKey {
            name: "k".into(),
            child,
            child_columns: [2].into(),
            parent,
            parent_columns: [1].into(),
            on_update: on_delete,
            on_delete,
        });
    }

    pub(super) fn operator(&mut self, name: &str, left: &str, right: &str, function: Oid) {
        let oid = self.oid();
        let operator = Operator {
            oid,
            schema: self.schema,
            name: name.into(),
            left: self.type_named(left),
            right: self.type_named(right),
            result: self.get_function(function).returns,
            function,
            estimators: SmallVec::new(),
        };
        self.catalog.operators.insert(oid, operator);
    }

    pub(super) fn cast(&mut self, source: Oid, target: Oid, function: Oid) {
        let cast = Cast {
            source,
            target,
            function,
            context: CastContext::Assignment,
            method: CastMethod::Function,
        };
        self.catalog.casts.insert((source, target), cast);
    }

    pub(super) fn event_trigger(&mut self, body: &str) {
        let function = self.plpgsql("on_ddl()", "event_trigger", body);
        self.catalog.event_triggers.push(EventTrigger {
            name: "e".into(),
            function,
        });
    }

    pub(super) fn foreign_server(&mut self, wrapper: &str, programs: bool) -> Oid {
        let oid = self.oid();
        let server = ForeignServer {
            oid,
            name: "srv".into(),
            wrapper: wrapper.into(),
            programs,
            functions: SmallVec::new(),
        };
        self.catalog.foreign_servers.insert(oid, server);
        oid
    }

    /// A session of the owner in this database.
    pub(super) fn world(mut self) -> World {
        self.catalog.index();
        let mut world = World::of(Arc::new(self.catalog));
        Arc::make_mut(&mut world.session).role = "app".into();
        world
    }
}

fn push<T>(list: &mut Box<[T]>, more: T) {
    let mut all = std::mem::take(list).into_vec();
    all.push(more);
    *list = all.into();
}
