//! The values that a Bind gives to parameters, as far as an analysis can use them.

use sluice_parsers::postgres::backend::Format;
use sluice_parsers::postgres::frontend::Bind;

use crate::postgres::statements::ParameterValues;

/// Longer values decide nothing that is worth keeping them.
const VALUE_BYTES_MAX: usize = 1024;

/// Values behind this many count as unknown.
const VALUES_MAX: usize = 64;

/// `text` and `varchar`, of which both formats are the same bytes.
const TEXTS: [u32; 2] = [25, 1043];

/// The values that are texts, in the order of the parameters. `types` are those that Parse declared, as on the wire.
///
/// Only ASCII is a text in every encoding.
pub(super) fn texts(types: &[u8], bind: &Bind<'_>) -> ParameterValues {
    let (types, _) = types.as_chunks::<4>();
    let mut index = 0;
    let values = bind.parameters.iter().take(VALUES_MAX).map(|value| {
        let format = bind.parameter_formats.of(index);
        let declared = types
            .get(usize::from(index))
            .map_or(0, |oid| u32::from_be_bytes(*oid));
        index += 1;
        let is_text = TEXTS.contains(&declared) || declared == 0 && format == Format::Text;
        let value = value.filter(|value| {
            is_text && value.len() <= VALUE_BYTES_MAX && value.is_ascii() && !value.contains(&0)
        })?;
        Some(std::str::from_utf8(value).ok()?.into())
    });
    values.collect()
}
