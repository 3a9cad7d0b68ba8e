//! Functions by name and arguments.
use smallvec::SmallVec;

use super::super::catalog::{Catalog, Found, Oid};
use super::{Call, Named, Resolution, Resolver, Ty};

pub(super) fn resolve(resolver: &Resolver<'_>, call: &Call<'_>) -> Resolution {
    let catalog = resolver.catalog();
    let mut candidates = Found::new();
    match call.schema {
        Some(schema) => {
            if let Some(schema) = resolver.path.explicit(catalog, schema) {
                candidates = catalog.functions_in(schema, call.name);
            }
        }
        None => {
            for step in resolver.path.code_steps() {
                candidates.extend(catalog.functions_in(step.schema, call.name));
            }
        }
    }
    candidates.retain(|oid| resolver.fits_kind(*oid, call.kind));
    match candidates[..] {
        [] => Resolution::Missing,
        [oid] => Resolution::One {
            oid,
            result: result_type(catalog, oid, call.arguments),
        },
        _ => Resolution::Several {
            candidates,
            result: Ty::Uncertain,
        },
    }
}

pub(super) fn cast_notation(_resolver: &Resolver<'_>, _call: &Call<'_>) -> Named {
    Named::Missing
}

pub(super) fn argument_types(_resolver: &Resolver<'_>, _function: Oid, call: &Call<'_>) -> SmallVec<[Ty; 8]> {
    SmallVec::from_slice(call.arguments)
}

pub(super) fn result_type(catalog: &Catalog, function: Oid, _arguments: &[Ty]) -> Ty {
    catalog
        .function(function)
        .map_or(Ty::Uncertain, |function| Ty::Known(function.returns))
}

pub(super) fn output_columns(
    catalog: &Catalog,
    function: Oid,
    _arguments: &[Ty],
) -> Option<Vec<(Box<str>, Ty)>> {
    let function = catalog.function(function)?;
    if function.outputs.is_empty() {
        return None;
    }
    Some(
        function
            .outputs
            .iter()
            .map(|(name, oid)| (name.clone(), Ty::Known(*oid)))
            .collect(),
    )
}
