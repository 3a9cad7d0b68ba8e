//! What names mean: PostgreSQL's search path, overload resolution and type coercion, over a [`World`].
//!
//! Follows chapter 10, "Type Conversion", of PostgreSQL's documentation and what the server does where it is silent. A
//! [`Resolution::One`] is what the server takes, if it takes anything; where types or names are not known for certain,
//! every candidate is given. [`Resolution::Missing`] is given only where the server raises an error. Nothing here reads
//! statements: the callers bring names and types.

mod candidates;
mod coercion;
mod common;
mod match_types;
mod name;
mod operators;
mod path;
mod polymorphic;
mod readings;
mod select;
mod types;

use smallvec::SmallVec;

use self::path::{Path, Step};
use super::catalog::{CastContext, Catalog, Found, FunctionKind, Oid, TypeKind};
use super::world::{Touched, World};

pub use self::coercion::Coercion;
pub(crate) use self::name::NAME_BYTES_MAX;
pub use self::name::{parse_name_list, parse_qualified_name, quote_identifier, truncate_identifier};

/// Types of arguments; most calls have few.
pub type Types = SmallVec<[Oid; 8]>;

/// What is known of a value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// It is of this type.
    Known(Oid),
    /// A string or NULL without a type, the server's `unknown`: it takes the type that its place asks for.
    Literal,
    /// A parameter without a declared type. It is as a literal but where a type's name is called like a function.
    Parameter,
    /// Not known.
    Uncertain,
}

impl Ty {
    /// The type's OID, `unknown`'s for what has none yet, and none for what is not known.
    fn oid(self) -> Oid {
        match self {
            Self::Known(oid) => oid,
            Self::Literal | Self::Parameter => types::UNKNOWN,
            Self::Uncertain => Oid::NONE,
        }
    }
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// This object.
    One(Oid),
    /// One of these, or none. If the name [was touched](Resolver::is_touched), also one that the catalog does not know.
    Several(Found),
    /// No object: the server raises an error.
    Missing,
}

/// A call of a function or procedure.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The schema, if it is written.
    pub schema: Option<&'a str>,
    /// The name.
    pub name: &'a str,
    /// The arguments' types in the order written. For an ordered-set aggregate those of `WITHIN GROUP` come last.
    pub arguments: &'a [Ty],
    /// The arguments' names, where they are written; may be shorter than `arguments`.
    pub names: &'a [Option<&'a str>],
    /// `VARIADIC` is written before the last argument.
    pub variadic: bool,
    /// Whether it is called by CALL.
    pub kind: CallKind,
}

/// How something is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// In an expression.
    Function,
    /// By CALL.
    Procedure,
}

/// What a call or an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This function or operator.
    One {
        /// Which.
        oid: Oid,
        /// What it gives.
        result: Ty,
    },
    /// It is no call: a type's name is written like a function's, and the one argument is cast to it.
    Cast {
        /// The type.
        to: Oid,
    },
    /// One of these, or none. If the name [was touched](Resolver::is_touched), also one that the catalog does not know;
    /// if [`Resolver::cast_notation`] names a type, also a cast to it.
    Several {
        /// Which.
        candidates: Found,
        /// What all of them give, if it is one type.
        result: Ty,
    },
    /// None fits or more than one does: the server raises an error.
    Missing,
}

/// Resolves names under one search path.
#[derive(Clone, Debug)]
pub struct Resolver<'w> {
    world: &'w World,
    path: Path,
    /// Names that are uncertain beside those that the session touched.
    also_touched: Option<&'w Touched>,
}

impl<'w> Resolver<'w> {
    /// Names as the session resolves them.
    pub fn new(world: &'w World) -> Self {
        let session = &*world.session;
        let path = Path::effective(world, &session.search_path, &session.role);
        Self {
            world,
            path,
            also_touched: None,
        }
    }

    /// The same, but some names may mean something else by the time that they are looked up.
    #[must_use]
    pub fn with_touched(&self, touched: &'w Touched) -> Self {
        Self {
            also_touched: Some(touched),
            ..self.clone()
        }
    }

    /// Names as they are resolved under another search path or role: inside of a function that sets them.
    #[must_use]
    pub fn with_path(&self, search_path: &[Box<str>], role: &str) -> Self {
        let path = Path::effective(self.world, search_path, role);
        Self { path, ..*self }
    }

    fn catalog(&self) -> &'w Catalog {
        &self.world.catalog
    }

    /// Whether the session's DDL may have changed what a name means: a name that is not in the catalog may mean
    /// something then, and one that is may mean something else.
    pub fn is_touched(&self, name: &str) -> bool {
        self.touched().any(|touched| touched.contains(name))
    }

    /// Whether code may be tied to a relation of that name that the catalog does not have.
    pub fn has_unseen_code(&self, name: &str) -> bool {
        self.is_touched(name) && self.touched().any(Touched::ties_code)
    }

    fn touched(&self) -> impl Iterator<Item = &'w Touched> {
        std::iter::once(&self.world.session.touched).chain(self.also_touched)
    }

    /// Whether the search path or the role may be another one by the time that names are looked up.
    pub fn is_path_in_doubt(&self) -> bool {
        self.touched()
            .any(|touched| matches!(touched, Touched::EveryName | Touched::Everything))
    }

    /// Whether every name means what the catalog says.
    pub fn is_untouched(&self) -> bool {
        self.touched().all(|touched| *touched == Touched::Nothing)
    }

    /// Whether any name may mean something else, and objects without names may have come.
    pub fn is_all_touched(&self) -> bool {
        self.touched().any(|touched| *touched == Touched::Everything)
    }

    /// The table, view, sequence or index of that name.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Named {
        let mut named = self.named(schema, name, self.path.steps(), Catalog::relation_in);
        if let Named::Several(found) = &mut named {
            for touched in self.touched() {
                found.extend(touched.renamed_to(name));
            }
            found.sort_unstable();
            found.dedup();
        }
        named
    }

    /// The type of that name, as `pg_type` spells it: `int` is `int4` in `pg_catalog` after parsing.
    pub fn type_name(&self, schema: Option<&str>, name: &str) -> Named {
        self.named(schema, name, self.path.steps(), Catalog::type_in)
    }

    /// The type of that name where it is called like a function: temporary ones are passed over.
    fn code_type_name(&self, schema: Option<&str>, name: &str) -> Named {
        self.named(schema, name, self.path.code_steps(), Catalog::type_in)
    }

    /// The relation that a text names, as a constant of type `regclass` does: an OID or a name in the session's path.
    pub fn relation_of_text(&self, text: &str) -> Named {
        if let Ok(oid) = text.parse::<u32>()
            && text.bytes().all(|byte| byte.is_ascii_digit())
        {
            let known = self.catalog().relation(Oid(oid)).is_some();
            return if known {
                Named::One(Oid(oid))
            } else {
                Named::Several(Found::new())
            };
        }
        match parse_qualified_name(text).as_deref() {
            Some([name]) => self.relation(None, name),
            Some([schema, name]) => self.relation(Some(schema), name),
            Some([database, schema, name]) if **database == *self.catalog().database => {
                self.relation(Some(schema), name)
            }
            Some(_) => Named::Missing,
            None => Named::Several(Found::new()),
        }
    }

    fn named(
        &self,
        schema: Option<&str>,
        name: &str,
        path: impl Iterator<Item = Step>,
        find: impl Fn(&Catalog, Oid, &str) -> Option<Oid>,
    ) -> Named {
        let catalog = self.catalog();
        if self.is_touched(name) {
            // It may have been moved as well, so that its schema is no evidence.
            let found = catalog.schemas_all();
            let mut found: Found = found.filter_map(|oid| find(catalog, oid, name)).collect();
            found.sort_unstable();
            found.dedup();
            return Named::Several(found);
        }
        if let Some(schema) = schema {
            let found = self.path.explicit(catalog, schema);
            let found = found.and_then(|schema| find(catalog, schema, name));
            return found.map_or(Named::Missing, Named::One);
        }
        let mut several = Found::new();
        for step in path {
            let Some(oid) = find(catalog, step.schema, name) else {
                continue;
            };
            if step.is_certain && several.is_empty() {
                return Named::One(oid);
            }
            several.push(oid);
            if step.is_certain {
                break;
            }
        }
        if several.is_empty() {
            Named::Missing
        } else {
            Named::Several(several)
        }
    }

    /// What a call means.
    pub fn functions(&self, call: &Call<'_>) -> Resolution {
        candidates::resolve(self, call)
    }

    /// The function that a row is given to where `row.name` names no column of it.
    pub fn attribute_function(&self, row_type: Ty, name: &str) -> Resolution {
        self.functions(&Call {
            schema: None,
            name,
            arguments: &[row_type],
            names: &[],
            variadic: false,
            kind: CallKind::Function,
        })
    }

    /// The type whose name is called like a function, if a cast may be meant: `text(x)`.
    pub fn cast_notation(&self, call: &Call<'_>) -> Named {
        candidates::cast_notation(self, call)
    }

    /// The types that a call's arguments are converted to, in the order written.
    pub fn argument_types(&self, function: Oid, call: &Call<'_>) -> SmallVec<[Ty; 8]> {
        candidates::argument_types(self, function, call)
    }

    /// What an operator means; without a left operand it is a prefix operator, without a right one a postfix one.
    pub fn operators(
        &self,
        schema: Option<&str>,
        name: &str,
        left: Option<Ty>,
        right: Option<Ty>,
    ) -> Resolution {
        operators::resolve(self, schema, name, left, right)
    }

    /// The types that an operator's operands are converted to.
    pub fn operand_types(
        &self,
        operator: Oid,
        left: Option<Ty>,
        right: Option<Ty>,
    ) -> (Option<Ty>, Option<Ty>) {
        operators::operand_types(self, operator, left, right)
    }

    /// Which functions run if a value of one type becomes one of another.
    pub fn coercion(&self, from: Ty, to: Oid, context: CastContext) -> Coercion {
        coercion::coercion(self.catalog(), from, to, context)
    }

    /// The type of UNION's columns, CASE, ARRAY, COALESCE, VALUES and their like.
    pub fn common_type(&self, types: &[Ty]) -> Ty {
        common::common_type(self.catalog(), types)
    }

    /// What a function gives for arguments in the order of its declaration.
    pub fn result_type(&self, function: Oid, arguments: &[Ty]) -> Ty {
        candidates::result_type(self.catalog(), function, arguments)
    }

    /// The columns of a function in FROM: of its OUT parameters or its composite result. None if it gives a scalar, or
    /// a `record` that the statement itself must describe.
    pub fn output_columns(&self, function: Oid, arguments: &[Ty]) -> Option<Vec<(Box<str>, Ty)>> {
        candidates::output_columns(self.catalog(), function, arguments)
    }

    /// The type below all domains.
    pub fn base_type(&self, oid: Oid) -> Oid {
        types::base(self.catalog(), oid)
    }

    /// The type of an array's elements; none if it is no array, nor a domain over one.
    pub fn element_type(&self, oid: Oid) -> Option<Oid> {
        types::element(self.catalog(), types::base(self.catalog(), oid))
    }

    /// The array type over a type.
    pub fn array_type(&self, element: Oid) -> Option<Oid> {
        types::array(self.catalog(), element)
    }

    /// The relation whose rows, or whose composite values, are of this type or of a domain over it.
    pub fn row_relation(&self, oid: Oid) -> Option<Oid> {
        let catalog = self.catalog();
        match catalog.type_of(types::base(catalog, oid))?.kind {
            TypeKind::Composite(relation) => Some(relation),
            _ => None,
        }
    }

    /// Whether a function may be called that way at all: a procedure only by CALL, and nothing else by CALL.
    fn fits_kind(&self, function: Oid, kind: CallKind) -> bool {
        let is_procedure = self
            .catalog()
            .function(function)
            .is_some_and(|function| function.kind == FunctionKind::Procedure);
        is_procedure == (kind == CallKind::Procedure)
    }
}

#[cfg(test)]
mod tests;
