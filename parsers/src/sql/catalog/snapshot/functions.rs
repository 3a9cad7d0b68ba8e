//! Rows of `pg_proc`.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::fields::Row;
use super::{SnapshotError, UNREADABLE};
use crate::sql::catalog::{Catalog, DefinitionHash, Function, FunctionKind, Language, Oid, Volatility, base};

/// Fields that are no part of the definition (what row it is, the OIDs of function and schema), or that are OIDs, which
/// are others in each database: [`define`] puts names in their place.
const NO_TEXT: [usize; 10] = [0, 1, 2, 4, 6, 7, 12, 13, 23, 24];

/// A function, and what code of the server it names if it is in `internal`. Its hash is over the fields that are no OIDs,
/// until [`define`] adds the rest.
pub(super) fn function(
    row: &mut Row<'_>,
    fields: &[Option<&str>],
) -> Result<(Function, Option<Box<str>>), SnapshotError> {
    let (oid, schema, name, owner) = (row.oid()?, row.oid()?, row.name()?, row.oid()?);
    let kind = match row.letter()? {
        b'p' => FunctionKind::Procedure,
        b'a' => FunctionKind::Aggregate,
        b'w' => FunctionKind::Window,
        _ => FunctionKind::Plain,
    };
    let arguments = row.oids()?;
    let (all, modes) = (row.oids()?, row.texts()?.unwrap_or_default());
    let names = row.texts()?.unwrap_or_default();
    let signature = Signature::new(&arguments, &all, &modes, names);
    let defaults: u16 = row.number()?;
    let mut default_expressions = row.texts()?.unwrap_or_default();
    default_expressions.resize_with(usize::from(defaults), || UNREADABLE.into());
    let (variadic, returns) = (row.oid()?, row.oid()?);
    let (returns_set, is_strict) = (row.flag()?, row.flag()?);
    let volatility = match row.letter()? {
        b'i' => Volatility::Immutable,
        b's' => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let (security_definer, settings) = (row.flag()?, row.texts()?.unwrap_or_default());
    let language = match row.letter()? {
        b'i' => Language::Internal,
        b'c' => Language::C,
        b's' => Language::Sql,
        b'p' => Language::Plpgsql,
        _ => Language::Other,
    };
    let (_is_standard_body, body, _library) = (row.flag()?, row.optional()?, row.optional()?);
    let symbol = body.filter(|_| language == Language::Internal).map(Into::into);
    let body = body.filter(|_| matches!(language, Language::Sql | Language::Plpgsql));
    let extension = row.oid()?;
    let parts: SmallVec<[Oid; 2]> = row.oids()?.into_iter().collect();
    let _language = row.name()?;
    let fields = fields.iter().enumerate();
    let text = fields.filter(|(index, _)| !NO_TEXT.contains(index));
    let function = Function {
        oid,
        schema,
        name,
        owner,
        kind,
        arguments: arguments.into_vec().into(),
        argument_names: signature.names,
        outputs: signature.outputs,
        defaults,
        default_expressions: default_expressions.into(),
        variadic,
        returns,
        returns_set,
        is_strict,
        volatility,
        security_definer,
        settings: settings.iter().filter_map(|setting| assigned(setting)).collect(),
        language,
        body: body.map(Into::into),
        parts,
        extension,
        known: None,
        definition_hash: Some(DefinitionHash::of(text.map(|(_, field)| *field))),
    };
    Ok((function, symbol))
}

/// Completes the functions' hashes, once all that they refer to is in.
pub(super) fn define(catalog: &mut Catalog) {
    let functions = catalog.functions.values();
    let hashes: Vec<_> = functions
        .map(|function| {
            let text = function.definition_hash;
            (function.oid, text.and_then(|text| catalog.define(function, text)))
        })
        .collect();
    for (oid, hash) in hashes {
        if let Some(function) = catalog.functions.get_mut(&oid) {
            function.definition_hash = hash;
        }
    }
}

/// `name=value` of `proconfig`.
fn assigned(setting: &str) -> Option<(Box<str>, Box<str>)> {
    let (name, value) = setting.split_once('=')?;
    Some((name.into(), value.into()))
}

/// Names and outputs, which `pg_proc` keeps in one list by mode.
#[derive(Default)]
struct Signature {
    names: Box<[Box<str>]>,
    outputs: Box<[(Box<str>, Oid)]>,
}

impl Signature {
    fn new(inputs: &[Oid], all: &[Oid], modes: &[Box<str>], names: Vec<Box<str>>) -> Self {
        if all.is_empty() {
            return Self {
                names: names.into(),
                ..Self::default()
            };
        }
        let (mut of_inputs, mut of_outputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        let has_names = !names.is_empty();
        let mut names = names.into_iter();
        for (at, &kind) in all.iter().enumerate() {
            let name = names.next().unwrap_or_default();
            let mode = modes.get(at).map_or("i", |mode| &**mode);
            if matches!(mode, "o" | "b" | "t") {
                outputs.push((name.clone(), kind));
            }
            if matches!(mode, "i" | "b" | "v") {
                of_inputs.push(name);
            } else {
                of_outputs.push(name);
            }
        }
        debug_assert_eq!(of_inputs.len(), inputs.len(), "inputs are what the modes say");
        of_inputs.append(&mut of_outputs);
        Self {
            names: if has_names {
                of_inputs.into()
            } else {
                Box::default()
            },
            outputs: outputs.into(),
        }
    }
}

/// What is known of functions whose code only a superuser can give: members of extensions in C by the shipped lists,
/// and those in `internal` that are not, by the built-in code that they name. An aggregate is known by its parts: whoever
/// owns an extension can add one of any name to it.
pub(super) fn know(catalog: &mut Catalog, internal: &HashMap<Oid, Box<str>>) {
    let mut known = Vec::new();
    for function in catalog.functions.values() {
        let behavior = match catalog.extensions.get(&function.extension) {
            _ if function.kind == FunctionKind::Aggregate => None,
            Some(extension) => {
                base::extension(&extension.name).and_then(|list| list.known(function, catalog))
            }
            None => internal
                .get(&function.oid)
                .and_then(|symbol| base::internal(catalog.server_major, symbol)),
        };
        known.extend(behavior.map(|behavior| (function.oid, behavior)));
    }
    for (oid, behavior) in known {
        if let Some(function) = catalog.functions.get_mut(&oid) {
            function.known = Some(behavior);
        }
    }
}
