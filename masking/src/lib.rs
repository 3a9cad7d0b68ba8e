//! Detectors, transforms and the streaming masker.

mod bytes;
mod class;
pub mod copy;
mod detect;
pub mod fuzz;
mod kernel;
pub mod naive;
mod pending;
mod scan;
mod stream;
mod transform;
mod values;

use std::ops::Range;

pub use class::{Class, ClassSet, Counts};
pub use stream::{HOLD_BACK_MAX, ValueStream};
pub use transform::{FILL, fixed};
pub use values::{Ranges, Values, Whole};

/// Masks every hit of `classes` in the values of `buf`, in place, in one pass over the buffer.
pub fn mask(buf: &mut [u8], classes: ClassSet, values: &mut impl Values, counts: &mut Counts) {
    scan::mask(buf, classes, values, counts);
}

/// Masks every hit of `classes` in one value.
pub fn mask_value(value: &mut [u8], classes: ClassSet, counts: &mut Counts) {
    mask(value, classes, &mut Whole, counts);
}

/// Masks every hit of `classes` in the values at these ascending ranges of `buf`.
pub fn mask_values(
    buf: &mut [u8],
    classes: ClassSet,
    values: impl IntoIterator<Item = Range<usize>>,
    counts: &mut Counts,
) {
    mask(buf, classes, &mut Ranges::new(values), counts);
}

#[cfg(test)]
mod tests;
