//! Where in a buffer the values are that may be masked.

use std::ops::Range;

/// Resolves the value that a byte position lies in.
///
/// The masker asks only where it found a candidate, with positions that never go back, so a walker over frames and
/// fields walks once and no further than the last candidate. The answer has to lie within the buffer and to contain
/// the position; the bytes outside of values are never changed, so lengths in headers can be read at any time.
pub trait Values {
    /// The value that holds `position`, or `None` where nothing may be masked: in headers, in values of types that
    /// are not text, in columns that the principal may see.
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>>;
}

impl<V: Values> Values for &mut V {
    #[inline]
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        V::value_at(self, buf, position)
    }
}

/// The buffer is one value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole;

impl Values for Whole {
    #[inline]
    fn value_at(&mut self, buf: &[u8], _position: usize) -> Option<Range<usize>> {
        Some(0..buf.len())
    }
}

/// Values whose ranges are known, ascending and not overlapping.
#[derive(Debug, Clone)]
pub struct Ranges<I> {
    rest: I,
    current: Range<usize>,
}

impl<I: Iterator<Item = Range<usize>>> Ranges<I> {
    /// Values at these ranges, which are asked for only as far as there are candidates.
    pub fn new(ranges: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            rest: ranges.into_iter(),
            current: 0..0,
        }
    }
}

impl<I: Iterator<Item = Range<usize>>> Values for Ranges<I> {
    #[inline]
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        while self.current.end <= position {
            self.current = self.rest.next()?;
        }
        (self.current.start <= position && self.current.end <= buf.len()).then(|| self.current.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_answer_ascending_positions() {
        let buf = [0; 20];
        let mut values = Ranges::new([0..0, 2..5, 5..6, 10..30]);
        for (position, want) in [
            (0, None),
            (2, Some(2..5)),
            (4, Some(2..5)),
            (5, Some(5..6)),
            (7, None),
            (10, None),
            (31, None),
        ] {
            assert_eq!(values.value_at(&buf, position), want, "position {position}");
        }
    }
}
