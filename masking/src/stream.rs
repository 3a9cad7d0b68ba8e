//! Values larger than any buffer.
//!
//! A value comes in pieces, and what is masked is what would be if it were whole: a candidate whose validator asks for
//! bytes that have not come is left for the next piece, together with the bytes before it that validators may look
//! at. Those are handed back to the caller, who keeps them in front of the next piece; the stream itself holds no
//! bytes. Tokens without a greatest length (of GitHub, JSON web tokens) are masked as soon as they are known to be
//! hits, and go on from piece to piece.

use crate::detect::{LOOK_BEHIND, jwt};
use crate::scan::{Pass, Progress};
use crate::{ClassSet, Counts, Whole};

/// The most bytes of a value that [`ValueStream::feed`] leaves to be presented again: a token's header that has not
/// ended, and what validators may look at before it.
pub const HOLD_BACK_MAX: usize = jwt::HEADER_MAX + LOOK_BEHIND + 8;

/// Masks one value that is fed in pieces, as if it were whole.
///
/// ```
/// use sluice_masking::{ClassSet, Counts, ValueStream};
///
/// let value = b"write to jo@example.org";
/// let mut stream = ValueStream::new(ClassSet::ALL);
/// let mut counts = Counts::default();
/// let (mut sent, mut piece) = (Vec::new(), Vec::new());
/// for received in value.chunks(5) {
///     piece.extend(received);
///     let last = sent.len() + piece.len() == value.len();
///     if last {
///         stream.finish(&mut piece, &mut counts);
///         sent.append(&mut piece);
///         break;
///     }
///     let finished = stream.feed(&mut piece, &mut counts);
///     sent.extend(piece.drain(..finished));
/// }
/// assert_eq!(sent, b"write to **@***********");
/// ```
#[derive(Debug)]
pub struct ValueStream {
    classes: ClassSet,
    progress: Progress,
}

impl ValueStream {
    /// A stream at the start of a value.
    pub fn new(classes: ClassSet) -> Self {
        Self {
            classes,
            progress: Progress::new(),
        }
    }

    /// Masks a piece of the value and says how many of its leading bytes are final and may be sent.
    ///
    /// The rest, at most [`HOLD_BACK_MAX`] bytes, is unchanged and has to begin the next piece.
    #[must_use]
    pub fn feed(&mut self, piece: &mut [u8], counts: &mut Counts) -> usize {
        let mut pass = self.pass(piece, counts, true);
        pass.go_on();
        pass.run();
        pass.advance()
    }

    /// Masks the last piece, which begins with what [`ValueStream::feed`] left; all of it is final.
    pub fn finish(mut self, rest: &mut [u8], counts: &mut Counts) {
        let mut pass = self.pass(rest, counts, false);
        pass.go_on();
        pass.run();
        pass.close();
    }

    fn pass<'a>(&'a mut self, buf: &'a mut [u8], counts: &'a mut Counts, is_open: bool) -> Pass<'a, Whole> {
        Pass {
            buf,
            values: Whole,
            counts,
            progress: &mut self.progress,
            classes: self.classes,
            is_open,
        }
    }
}
