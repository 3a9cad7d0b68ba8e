//! Values larger than any buffer.

use crate::{ClassSet, Counts};

/// The most bytes of a value that [`ValueStream::feed`] leaves to be presented again.
pub const HOLD_BACK_MAX: usize = 9 * 1024;

/// Masks one value that is fed in pieces, as if it were whole.
#[derive(Debug)]
pub struct ValueStream {
    classes: ClassSet,
}

impl ValueStream {
    /// A stream at the start of a value.
    pub fn new(classes: ClassSet) -> Self {
        Self { classes }
    }

    /// Masks a piece of the value and says how many of its leading bytes are final and may be sent.
    ///
    /// The rest, at most [`HOLD_BACK_MAX`] bytes, is unchanged and has to begin the next piece.
    #[must_use]
    pub fn feed(&mut self, _piece: &mut [u8], _counts: &mut Counts) -> usize {
        0
    }

    /// Masks the last piece, which begins with what [`ValueStream::feed`] left; all of it is final.
    pub fn finish(self, rest: &mut [u8], counts: &mut Counts) {
        crate::mask_value(rest, self.classes, counts);
    }
}
