//! A function by its name: `schema.name(type, ...)`, as `regprocedure` prints it under an empty `search_path`.

use std::fmt;
use std::str::FromStr;

use pg_query::NodeEnum;
use pg_query::protobuf::{DropBehavior, Node, ObjectWithArgs, TypeName};

use super::{Catalog, Function, Oid, base};
use crate::sql::resolve::quote_identifier;

/// A longer text is no signature: the server takes at most 100 arguments.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A function's schema, name and argument types, which together name one function of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The schema's name.
    pub schema: Box<str>,
    /// The function's name.
    pub name: Box<str>,
    arguments: Box<[TypeRef]>,
}

/// A type by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TypeRef {
    schema: Box<str>,
    name: Box<str>,
    is_array: bool,
}

/// Why a text names no function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is not of the form.
    #[error("is not schema.name(type, ...)")]
    Form,
    /// The function's name has no schema.
    #[error("names no schema")]
    NoSchema,
    /// A type's name has no schema, and no built-in type is called so.
    #[error("names the type {0} without its schema")]
    TypeWithoutSchema(Box<str>),
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SignatureError::Form);
        }
        // The server's own grammar reads it.
        let parsed =
            pg_query::parse(&format!("DROP FUNCTION {text}"), 0).map_err(|_| SignatureError::Form)?;
        let function = match &parsed.protobuf.stmts[..] {
            [only] => only.stmt.as_ref().and_then(|node| node.node.as_ref()),
            _ => None,
        };
        let Some(NodeEnum::DropStmt(drop)) = function else {
            return Err(SignatureError::Form);
        };
        let is_plain = !drop.missing_ok && drop.behavior == DropBehavior::DropRestrict as i32;
        match &drop.objects[..] {
            [
                Node {
                    node: Some(NodeEnum::ObjectWithArgs(function)),
                },
            ] if is_plain => Self::of(function),
            _ => Err(SignatureError::Form),
        }
    }
}

impl Signature {
    fn of(function: &ObjectWithArgs) -> Result<Self, SignatureError> {
        let (schema, name) = match names(&function.objname).as_deref() {
            Some([schema, name]) => ((*schema).into(), (*name).into()),
            Some([_]) => return Err(SignatureError::NoSchema),
            _ => return Err(SignatureError::Form),
        };
        if function.args_unspecified {
            return Err(SignatureError::Form);
        }
        let arguments = function.objargs.iter().map(|node| match &node.node {
            Some(NodeEnum::TypeName(name)) => TypeRef::of(name),
            _ => Err(SignatureError::Form),
        });
        Ok(Self {
            schema,
            name,
            arguments: arguments.collect::<Result<_, _>>()?,
        })
    }

    /// The function that it names in a database. Built-in functions are not meant.
    pub fn find<'a>(&self, catalog: &'a Catalog) -> Option<&'a Function> {
        let arguments: Vec<Oid> = self
            .arguments
            .iter()
            .map(|argument| argument.find(catalog))
            .collect::<Option<_>>()?;
        let schema = catalog.schema_named(&self.schema)?;
        let named = catalog.functions_in(schema, &self.name).into_iter();
        let mut named = named.filter_map(|oid| catalog.function(oid));
        named.find(|function| !function.oid.is_built_in() && *function.arguments == arguments[..])
    }
}

impl TypeRef {
    fn of(name: &TypeName) -> Result<Self, SignatureError> {
        if name.setof || name.pct_type || !name.typmods.is_empty() {
            return Err(SignatureError::Form);
        }
        let (schema, own) = match names(&name.names).as_deref() {
            Some([schema, own]) => ((*schema).into(), *own),
            Some([own]) if is_built_in(own) => ("pg_catalog".into(), *own),
            Some([own]) => return Err(SignatureError::TypeWithoutSchema((*own).into())),
            _ => return Err(SignatureError::Form),
        };
        Ok(Self {
            schema,
            name: own.into(),
            is_array: !name.array_bounds.is_empty(),
        })
    }

    fn find(&self, catalog: &Catalog) -> Option<Oid> {
        let found = catalog.type_in(catalog.schema_named(&self.schema)?, &self.name)?;
        if !self.is_array {
            return Some(found);
        }
        let array = catalog.type_of(found)?.array;
        (!array.is_none()).then_some(array)
    }
}

/// Whether a type of that name is in `pg_catalog` on any server that is known.
fn is_built_in(name: &str) -> bool {
    base::MAJORS.into_iter().any(|major| {
        let catalog = base::of(major);
        catalog.type_in(Oid::PG_CATALOG, name).is_some()
    })
}

fn names(nodes: &[Node]) -> Option<Vec<&str>> {
    let names = nodes.iter().map(|node| match &node.node {
        Some(NodeEnum::String(string)) => Some(string.sval.as_str()),
        _ => None,
    });
    names.collect()
}

/// As it is read again.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}(",
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )?;
        for (index, argument) in self.arguments.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let TypeRef {
                schema,
                name,
                is_array,
            } = argument;
            write!(
                f,
                "{separator}{}.{}",
                quote_identifier(schema),
                quote_identifier(name)
            )?;
            if *is_array {
                f.write_str("[]")?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t07_signatures_are_read_by_the_servers_grammar() {
        let form = || Err(SignatureError::Form);
        for (text, want) in [
            ("public.f()", Ok("public.f()")),
            (
                "Geo.F(int, double precision)",
                Ok("geo.f(pg_catalog.int4, pg_catalog.float8)"),
            ),
            ("geo.\"F\"(text[])", Ok("geo.\"F\"(pg_catalog.text[])")),
            (
                "geo.f(geo.point, \"Geo\".\"a\"\"b\"[])",
                Ok("geo.f(geo.point, \"Geo\".\"a\"\"b\"[])"),
            ),
            (
                "\"user\".\"select\"(\"order\".\"end\", geo.\"int\"[], geo.name)",
                Ok("\"user\".\"select\"(\"order\".\"end\", geo.\"int\"[], geo.name)"),
            ),
            (
                "geo.f(timestamp with time zone, character varying, bit varying)",
                Ok("geo.f(pg_catalog.timestamptz, pg_catalog.\"varchar\", pg_catalog.varbit)"),
            ),
            (
                "geo.f(x integer, VARIADIC y text[])",
                Ok("geo.f(pg_catalog.int4, pg_catalog.text[])"),
            ),
            ("f(int)", Err(SignatureError::NoSchema)),
            (
                "public.f(point3d)",
                Err(SignatureError::TypeWithoutSchema("point3d".into())),
            ),
            ("public.f", form()),
            ("public.f(", form()),
            ("public.f() CASCADE", form()),
            ("IF EXISTS public.f()", form()),
            ("public.f(), public.g()", form()),
            ("public.f(); DROP TABLE t", form()),
            ("a.b.f()", form()),
            ("public.f(varchar(3))", form()),
            ("public.f(t.c%TYPE)", form()),
            ("", form()),
        ] {
            let read = text.parse::<Signature>();
            assert_eq!(
                read.as_ref().map(ToString::to_string).map_err(Clone::clone),
                want.map(str::to_owned),
                "{text}"
            );
            if let Ok(signature) = read {
                assert_eq!(signature.to_string().parse(), Ok(signature), "{text}");
            }
        }
    }
}
