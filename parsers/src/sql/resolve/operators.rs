//! Operators by name and operands.
use super::super::catalog::{Found, Oid};
use super::{Resolution, Resolver, Ty};

pub(super) fn resolve(
    resolver: &Resolver<'_>,
    schema: Option<&str>,
    name: &str,
    left: Option<Ty>,
    right: Option<Ty>,
) -> Resolution {
    let catalog = resolver.catalog();
    let mut candidates = Found::new();
    match schema {
        Some(schema) => {
            if let Some(schema) = resolver.path.explicit(catalog, schema) {
                candidates = catalog.operators_in(schema, name);
            }
        }
        None => {
            for step in resolver.path.code_steps() {
                candidates.extend(catalog.operators_in(step.schema, name));
            }
        }
    }
    candidates.retain(|oid| {
        catalog
            .operator(*oid)
            .is_some_and(|op| op.left.is_none() == left.is_none() && op.right.is_none() == right.is_none())
    });
    match candidates[..] {
        [] => Resolution::Missing,
        _ => Resolution::Several {
            candidates,
            result: Ty::Uncertain,
        },
    }
}

pub(super) fn operand_types(
    _resolver: &Resolver<'_>,
    _operator: Oid,
    left: Option<Ty>,
    right: Option<Ty>,
) -> (Option<Ty>, Option<Ty>) {
    (left, right)
}
