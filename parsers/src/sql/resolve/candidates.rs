//! Functions by name and arguments.

use smallvec::SmallVec;

use super::super::catalog::{CastContext, Catalog, Function, Oid, TypeKind};
use super::match_types::{Fit, Pathway, Source, Sources, can_coerce, pathway};
use super::polymorphic::Generics;
use super::readings::{self, Readings};
use super::select::{self, Candidate, Candidates, Choice};
use super::{Call, CallKind, Named, Resolution, Resolver, Ty, Types, types};

/// The server takes no more arguments.
const ARGUMENTS_MAX: usize = 100;

/// Procedures have OUT arguments, which CALL must give too, since this version.
const OUT_ARGUMENTS_SINCE: u8 = 14;

pub(super) fn resolve(resolver: &Resolver<'_>, call: &Call<'_>) -> Resolution {
    let catalog = resolver.catalog();
    if call.arguments.len() > ARGUMENTS_MAX {
        return Resolution::Missing;
    }
    if resolver.is_touched(call.name) {
        let schemas = catalog.schemas_all();
        let candidates = schemas
            .flat_map(|schema| catalog.functions_in(schema, call.name))
            .collect();
        return readings::several(candidates, Ty::Uncertain);
    }
    let sources = Source::all(catalog, call.arguments);
    let found = Readings::of(resolver, call.schema, |schema| {
        catalog.functions_in(schema, call.name)
    });
    found.resolve(|functions| resolve_reading(resolver, call, &sources, functions))
}

/// What the call means if the path is the one that gave these functions, each with its place in it.
fn resolve_reading(
    resolver: &Resolver<'_>,
    call: &Call<'_>,
    sources: &Sources,
    functions: &[(usize, Oid)],
) -> Resolution {
    let catalog = resolver.catalog();
    let mut candidates: Candidates = functions
        .iter()
        .filter_map(|&(position, oid)| {
            let function = catalog.function(oid)?;
            let (types, is_expanded) = declared_types(catalog, function, call)?;
            let fit = can_coerce(catalog, sources, &types, CastContext::Implicit);
            (fit != Fit::No).then_some(Candidate {
                oid,
                types,
                position,
                is_expanded,
                fit,
            })
        })
        .collect();
    select::shadow(&mut candidates);
    if let Some(index) = select::exact(sources, &candidates) {
        return chosen(resolver, call, sources, &candidates[index]);
    }
    match cast_notation(resolver, call) {
        Named::One(to) => match is_cast(catalog, call, sources, to) {
            Fit::Yes => return Resolution::Cast { to },
            Fit::Maybe => return several_of(resolver, call, sources, &candidates),
            Fit::No => {}
        },
        Named::Several(_) => return several_of(resolver, call, sources, &candidates),
        Named::Missing => {}
    }
    match select::best(catalog, sources, &candidates) {
        Choice::One(index) => chosen(resolver, call, sources, &candidates[index]),
        Choice::Several => several_of(resolver, call, sources, &candidates),
        Choice::None | Choice::Ambiguous => Resolution::Missing,
    }
}

fn chosen(resolver: &Resolver<'_>, call: &Call<'_>, sources: &Sources, candidate: &Candidate) -> Resolution {
    let catalog = resolver.catalog();
    let Some(function) = catalog.function(candidate.oid) else {
        return Resolution::Missing;
    };
    if !resolver.fits_kind(candidate.oid, call.kind) {
        return Resolution::Missing;
    }
    Resolution::One {
        oid: candidate.oid,
        result: result_of(catalog, function, sources, &candidate.types),
    }
}

fn several_of(
    resolver: &Resolver<'_>,
    call: &Call<'_>,
    sources: &Sources,
    candidates: &Candidates,
) -> Resolution {
    let results =
        candidates
            .iter()
            .filter_map(|candidate| match chosen(resolver, call, sources, candidate) {
                Resolution::One { oid, result } => Some((oid, result)),
                _ => None,
            });
    readings::several_with(results)
}

/// The type that a call may be a cast to: one argument, and a type's name that is no composite's.
pub(super) fn cast_notation(resolver: &Resolver<'_>, call: &Call<'_>) -> Named {
    let has_names = call.names.iter().any(Option::is_some);
    if call.arguments.len() != 1 || has_names || call.kind == CallKind::Procedure {
        return Named::Missing;
    }
    let catalog = resolver.catalog();
    let is_composite = |oid| {
        matches!(
            catalog.type_of(oid).map(|found| &found.kind),
            Some(TypeKind::Composite(_))
        )
    };
    match resolver.code_type_name(call.schema, call.name) {
        Named::One(oid) if is_composite(oid) => Named::Missing,
        named => named,
    }
}

/// Whether it is one: only if nothing but the representation changes or the types' own functions do it.
fn is_cast(catalog: &Catalog, call: &Call<'_>, sources: &Sources, to: Oid) -> Fit {
    let [source] = sources[..] else {
        return Fit::No;
    };
    if call.arguments == [Ty::Literal] {
        return Fit::Yes;
    }
    // What was cast to `unknown` may be a literal still.
    if source.is_uncertain() || call.arguments == [Ty::Known(types::UNKNOWN)] {
        return Fit::Maybe;
    }
    let is_string = types::category(catalog, to).0 == types::CATEGORY_STRING;
    match pathway(catalog, to, &source, CastContext::Explicit) {
        Some(Pathway::Relabel) => Fit::Yes,
        Some(Pathway::InOut) => (!(source.is_row() && is_string)).into(),
        _ => Fit::No,
    }
}

/// The declared types of the arguments that a call gives, in its order; none if it cannot mean the function. With them
/// whether the VARIADIC argument was expanded.
fn declared_types(catalog: &Catalog, function: &Function, call: &Call<'_>) -> Option<(Types, bool)> {
    let given = call.arguments.len();
    let outputs = outputs_of_call(catalog, function, call);
    if outputs != (0, 0) {
        return unordered_types(function, given, outputs);
    }
    let declared = &function.arguments;
    let is_variadic = !function.variadic.is_none();
    if call.names.iter().any(Option::is_some) {
        if is_variadic && !call.variadic || given > declared.len() {
            return None;
        }
        let types = named_types(function, call)?;
        return Some((types, false));
    }
    if is_variadic && !call.variadic && given >= declared.len() {
        let fixed = declared.split_last().map_or(&[][..], |(_, fixed)| fixed);
        let mut types = Types::from_slice(fixed);
        types.resize(given, function.variadic);
        return Some((types, true));
    }
    let needed = declared.len().saturating_sub(usize::from(function.defaults));
    (needed..=declared.len())
        .contains(&given)
        .then(|| (Types::from_slice(&declared[..given]), false))
}

/// The same in named or mixed notation: what is not given must have a default.
fn named_types(function: &Function, call: &Call<'_>) -> Option<Types> {
    let declared = &function.arguments;
    let mut is_given: SmallVec<[bool; 16]> = SmallVec::from_elem(false, declared.len());
    let mut types = Types::new();
    let mut last = 0;
    for index in 0..call.arguments.len() {
        let place = match call.names.get(index).copied().flatten() {
            None => index,
            Some(name) => {
                let mut names = function.argument_names.iter().take(declared.len());
                names.position(|known| **known == *name)?
            }
        };
        let is_given = is_given.get_mut(place).filter(|is_given| !**is_given)?;
        *is_given = true;
        types.push(*declared.get(place)?);
        last = place;
    }
    let first_default = declared.len().saturating_sub(usize::from(function.defaults));
    let is_complete = is_given.iter().take(first_default).all(|&is_given| is_given);
    // VARIADIC must stand at the argument that is declared so.
    let is_at_place = !call.variadic || last + 1 == call.arguments.len();
    (is_complete && is_at_place).then_some(types)
}

/// How many OUT arguments CALL must give beside the inputs, at least and at most.
fn outputs_of_call(catalog: &Catalog, function: &Function, call: &Call<'_>) -> (usize, usize) {
    if call.kind == CallKind::Function || catalog.server_major < OUT_ARGUMENTS_SINCE {
        return (0, 0);
    }
    if function.argument_names.is_empty() {
        return (0, function.outputs.len());
    }
    let outputs = function
        .argument_names
        .len()
        .saturating_sub(function.arguments.len());
    (outputs, outputs)
}

/// A call with OUT arguments: the catalog does not tell where they stand, so that each place may be of any type.
fn unordered_types(function: &Function, given: usize, outputs: (usize, usize)) -> Option<(Types, bool)> {
    let (least, most) = (
        function.arguments.len() + outputs.0,
        function.arguments.len() + outputs.1,
    );
    let least = least.saturating_sub(usize::from(function.defaults));
    let is_variadic = !function.variadic.is_none();
    let fits = given >= least && (given <= most || is_variadic);
    fits.then(|| (Types::from_elem(Oid::NONE, given), is_variadic))
}

/// What a function gives for these arguments.
fn result_of(catalog: &Catalog, function: &Function, sources: &[Source], declared: &[Oid]) -> Ty {
    // Input functions of pseudo types give them without taking any.
    let is_polymorphic = function.arguments.iter().any(|&oid| types::is_polymorphic(oid));
    if !is_polymorphic || !types::is_polymorphic(function.returns) {
        return Ty::Known(function.returns);
    }
    generics(catalog, function, sources, declared).map_or(Ty::Uncertain, |generics| {
        generics.resolve(catalog, function.returns)
    })
}

/// What its polymorphic types stand for, unless defaults that take part in that are not given.
fn generics(
    catalog: &Catalog,
    function: &Function,
    sources: &[Source],
    declared: &[Oid],
) -> Option<Generics> {
    let polymorphic = |types: &[Oid]| types.iter().filter(|&&oid| types::is_polymorphic(oid)).count();
    if declared.len() < function.arguments.len() && polymorphic(declared) < polymorphic(&function.arguments) {
        return None;
    }
    Generics::bind(catalog, sources, declared)
}

pub(super) fn argument_types(resolver: &Resolver<'_>, function: Oid, call: &Call<'_>) -> SmallVec<[Ty; 8]> {
    let catalog = resolver.catalog();
    let declared = catalog
        .function(function)
        .and_then(|function| Some((function, declared_types(catalog, function, call)?.0)));
    let Some((function, declared)) = declared else {
        return call.arguments.iter().map(|_| Ty::Uncertain).collect();
    };
    let sources = Source::all(catalog, call.arguments);
    let generics = generics(catalog, function, &sources, &declared);
    let pairs = call.arguments.iter().zip(&declared);
    pairs
        .map(|(&given, &declared)| match generics {
            _ if declared == types::ANY => given,
            _ if declared.is_none() => Ty::Uncertain,
            Some(generics) => generics.resolve(catalog, declared),
            None if types::is_polymorphic(declared) => Ty::Uncertain,
            None => Ty::Known(declared),
        })
        .collect()
}

pub(super) fn result_type(catalog: &Catalog, function: Oid, arguments: &[Ty]) -> Ty {
    let Some(function) = catalog.function(function) else {
        return Ty::Uncertain;
    };
    let sources = Source::all(catalog, arguments);
    let declared = in_order(function, arguments);
    result_of(catalog, function, &sources, &declared)
}

pub(super) fn output_columns(
    catalog: &Catalog,
    function: Oid,
    arguments: &[Ty],
) -> Option<Vec<(Box<str>, Ty)>> {
    let function = catalog.function(function)?;
    if !function.outputs.is_empty() {
        let sources = Source::all(catalog, arguments);
        let declared = in_order(function, arguments);
        let generics = generics(catalog, function, &sources, &declared);
        let columns = function.outputs.iter().enumerate();
        let columns = columns.map(|(index, (name, oid))| {
            let name = if name.is_empty() {
                format!("column{}", index + 1).into()
            } else {
                name.clone()
            };
            let ty = match generics {
                Some(generics) => generics.resolve(catalog, *oid),
                None if types::is_polymorphic(*oid) => Ty::Uncertain,
                None => Ty::Known(*oid),
            };
            (name, ty)
        });
        return Some(columns.collect());
    }
    let Ty::Known(result) = result_type(catalog, function.oid, arguments) else {
        return None;
    };
    let TypeKind::Composite(relation) = catalog.type_of(types::base(catalog, result))?.kind else {
        return None;
    };
    let columns = catalog.relation(relation)?.columns.iter();
    Some(
        columns
            .map(|column| (column.name.clone(), Ty::Known(column.type_oid)))
            .collect(),
    )
}

/// The declared types for arguments in declared order, a VARIADIC one expanded as far as they go.
fn in_order(function: &Function, arguments: &[Ty]) -> Types {
    let is_array = |ty: &Ty| function.arguments.last().is_some_and(|&last| ty.oid() == last);
    let is_expanded = !function.variadic.is_none()
        && arguments.len() >= function.arguments.len()
        && !(arguments.len() == function.arguments.len() && arguments.last().is_some_and(is_array));
    let fixed = function.arguments.len() - usize::from(is_expanded);
    let mut declared: Types = function.arguments.iter().take(fixed).copied().collect();
    declared.truncate(arguments.len());
    if is_expanded {
        declared.resize(arguments.len(), function.variadic);
    }
    declared
}
