//! A small database for tests of the analysis.

use std::sync::Arc;

use hashbrown::HashSet;
use sluice_parsers::sql::catalog::{
    Catalog, Column, Function, FunctionKind, Language, Oid, Operator, Relation, RelationKind, Schema, Type,
    TypeKind, Volatility, base,
};
use sluice_parsers::sql::lineage::BaseColumn;
use sluice_parsers::sql::world::World;
use smallvec::SmallVec;

const PUBLIC: Oid = Oid(2200);

/// A catalog in the making.
pub(crate) struct Small {
    catalog: Catalog,
    next: u32,
}

impl Small {
    /// The built-in objects of a major version and an empty schema `public`.
    pub(crate) fn new(server_major: u8) -> Self {
        let below = base::of(server_major);
        let mut catalog = Catalog::default();
        catalog.server_major = server_major;
        catalog.database = "db".into();
        catalog.below = Some(below);
        catalog.schemas.insert(
            PUBLIC,
            Schema {
                oid: PUBLIC,
                name: "public".into(),
                owner: Oid(10),
                is_usable: true,
            },
        );
        Self {
            catalog,
            next: 16_384,
        }
    }

    fn oid(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }

    /// A type by the name that `pg_type` has.
    pub(crate) fn type_oid(&self, name: &str) -> Oid {
        let own = self.catalog.types.values().find(|found| *found.name == *name);
        if let Some(found) = own {
            return found.oid;
        }
        let below = self.catalog.below.as_ref().expect("base");
        below.type_in(Oid::PG_CATALOG, name).expect(name)
    }

    fn relation(&mut self, name: &str, kind: RelationKind, columns: &str, query: Option<&str>) -> Oid {
        let oid = self.oid();
        let row_type = self.oid();
        let columns = columns.split(',').filter(|column| !column.trim().is_empty());
        let columns = columns.zip(1..).map(|(column, number)| {
            let (name, kind) = column.trim().split_once(' ').expect("name and type");
            Column {
                number,
                name: name.into(),
                type_oid: self.type_oid(kind),
                default: None,
                is_generated: false,
                identity: Oid::NONE,
            }
        });
        let relation = Relation {
            oid,
            schema: PUBLIC,
            name: name.into(),
            owner: Oid(10),
            kind,
            row_type,
            columns: columns.collect(),
            query: query.map(Box::from),
            ..Relation::default()
        };
        self.catalog.relations.insert(oid, relation);
        self.catalog.types.insert(
            row_type,
            Type {
                oid: row_type,
                schema: PUBLIC,
                name: name.into(),
                owner: Oid(10),
                kind: TypeKind::Composite(oid),
                category: b'C',
                is_preferred: false,
                element: Oid::NONE,
                array: Oid::NONE,
                functions: SmallVec::new(),
                extension: Oid::NONE,
            },
        );
        oid
    }

    /// A table: `("t", "id int4, name text")`.
    pub(crate) fn table(&mut self, name: &str, columns: &str) -> Oid {
        self.relation(name, RelationKind::Table, columns, None)
    }

    /// A view with its columns and its query as the server prints it.
    #[allow(dead_code, reason = "not every test has views")]
    pub(crate) fn view(&mut self, name: &str, columns: &str, query: &str) -> Oid {
        self.relation(name, RelationKind::View, columns, Some(query))
    }

    /// A function that nothing is known of.
    #[allow(dead_code, reason = "not every test has functions")]
    pub(crate) fn function(&mut self, name: &str, arguments: &[&str], returns: &str) -> Oid {
        let oid = self.oid();
        let arguments = arguments.iter().map(|name| self.type_oid(name)).collect();
        let function = Function {
            oid,
            schema: PUBLIC,
            name: name.into(),
            owner: Oid(10),
            kind: FunctionKind::Plain,
            arguments,
            argument_names: Box::default(),
            outputs: Box::default(),
            defaults: 0,
            default_expressions: Box::default(),
            variadic: Oid::NONE,
            returns: self.type_oid(returns),
            returns_set: false,
            is_strict: false,
            volatility: Volatility::Volatile,
            security_definer: false,
            settings: Box::default(),
            language: Language::C,
            body: None,
            parts: SmallVec::new(),
            extension: Oid::NONE,
            known: None,
            definition_hash: None,
        };
        self.catalog.functions.insert(oid, function);
        oid
    }

    /// A domain with a CHECK as the server prints it.
    #[allow(dead_code, reason = "not every test has domains")]
    pub(crate) fn domain(&mut self, name: &str, base: &str, check: &str) -> Oid {
        let oid = self.oid();
        let base = self.type_oid(base);
        self.catalog.types.insert(
            oid,
            Type {
                oid,
                schema: PUBLIC,
                name: name.into(),
                owner: Oid(10),
                kind: TypeKind::Domain {
                    base,
                    checks: Box::new([check.into()]),
                    default: None,
                },
                category: b'S',
                is_preferred: false,
                element: Oid::NONE,
                array: Oid::NONE,
                functions: SmallVec::new(),
                extension: Oid::NONE,
            },
        );
        oid
    }

    /// An operator and its function.
    #[allow(dead_code, reason = "not every test has operators")]
    pub(crate) fn operator(
        &mut self,
        name: &str,
        left: &str,
        right: &str,
        result: &str,
        function: &str,
    ) -> Oid {
        let function = self.function(function, &[left, right], result);
        let oid = self.oid();
        let operator = Operator {
            oid,
            schema: PUBLIC,
            name: name.into(),
            left: self.type_oid(left),
            right: self.type_oid(right),
            result: self.type_oid(result),
            function,
            estimators: SmallVec::new(),
        };
        self.catalog.operators.insert(oid, operator);
        oid
    }

    /// A function in SQL.
    #[allow(dead_code, reason = "not every test has functions")]
    pub(crate) fn sql_function(&mut self, name: &str, arguments: &[&str], returns: &str, body: &str) -> Oid {
        let oid = self.function(name, arguments, returns);
        if let Some(function) = self.catalog.functions.get_mut(&oid) {
            function.language = Language::Sql;
            function.body = Some(body.into());
        }
        oid
    }

    /// Makes a table a partition of another.
    #[allow(dead_code, reason = "not every test has partitions")]
    pub(crate) fn attach(&mut self, child: Oid, parent: Oid) {
        if let Some(relation) = self.catalog.relations.get_mut(&child) {
            relation.parents.push(parent);
        }
    }

    /// A session in the database, where these columns are protected.
    pub(crate) fn world(mut self, protected: &[(&str, &str)]) -> World {
        self.catalog.index();
        let columns: HashSet<BaseColumn> = protected
            .iter()
            .map(|(relation, column)| {
                let found = self.catalog.relations.values();
                let mut found = found.filter(|found| *found.name == **relation);
                let relation = found.next().expect(relation);
                let mut columns = relation.columns.iter();
                let column = columns.find(|found| *found.name == **column).expect(column);
                BaseColumn {
                    relation: relation.oid,
                    number: column.number,
                }
            })
            .collect();
        World {
            protected: Arc::new(columns),
            ..World::of(Arc::new(self.catalog))
        }
    }
}
