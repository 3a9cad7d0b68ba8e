//! Hits that are found and not yet written.
//!
//! Each class is looked for in the original bytes, so nothing may be overwritten that a validator could still look
//! at: a hit waits until the pass is [`LOOK_BEHIND`] bytes behind it. Only hits over these bytes ever wait, and hits
//! that touch are one, so that a small array is enough.

use crate::detect::LOOK_BEHIND;
use crate::transform::fixed_hit;

/// The shortest hit: an address as `a@b.co`.
const HIT_BYTES_MIN: usize = 6;

const CAPACITY: usize = 32;

// Hits with a byte or more between them, of which the first and the last may lie half outside.
const _: () = assert!(CAPACITY > LOOK_BEHIND / (HIT_BYTES_MIN + 1) + 2);

/// Spans that wait, ascending, with a gap between any two.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    spans: [Span; CAPACITY],
    count: usize,
    /// Where the last one that came ends, written or not.
    last_end: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

impl Pending {
    pub(crate) const fn new() -> Self {
        Self {
            spans: [Span { start: 0, end: 0 }; CAPACITY],
            count: 0,
            last_end: 0,
        }
    }

    /// Adds a hit of the candidate at `at`; hits come with ascending candidates, and each holds its candidate.
    ///
    /// If there is no room, what no validator will look at again is written to `buf`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Most hits are by themselves, and that takes a few instructions.
    pub(crate) fn push(&mut self, buf: &mut [u8], at: usize, start: usize, end: usize) {
        match self.spans.get_mut(self.count) {
            Some(span) if start > self.last_end => {
                *span = Span { start, end };
                self.count += 1;
                self.last_end = end;
            }
            _ => self.merge(buf, at, start, end),
        }
    }

    /// Adds a hit that touches others, or has no room.
    #[inline(never)]
    fn merge(&mut self, buf: &mut [u8], at: usize, mut start: usize, mut end: usize) {
        while let Some(last) = self.last().filter(|last| start <= last.end) {
            start = start.min(last.start);
            end = end.max(last.end);
            self.count -= 1;
        }
        if self.count == CAPACITY {
            self.write(buf, at.saturating_sub(LOOK_BEHIND));
            debug_assert!(
                self.count < CAPACITY,
                "more hits wait than fit in the bytes that are looked at"
            );
        }
        if let Some(span) = self.spans.get_mut(self.count) {
            *span = Span { start, end };
            self.count += 1;
        } else if let Some(last) = self.spans.last_mut() {
            // Cannot be, by the assertion above; should it be, what lies between is masked too.
            last.end = last.end.max(end);
        }
        self.last_end = end.max(self.last_end);
    }

    /// Writes all that lies before `end`.
    pub(crate) fn write(&mut self, buf: &mut [u8], end: usize) {
        let mut kept = 0;
        for index in 0..self.count {
            let span = self.spans[index];
            if span.end <= end {
                fixed_hit(buf, span.start..span.end);
                continue;
            }
            if span.start < end {
                fixed_hit(buf, span.start..end);
            }
            self.spans[kept] = Span {
                start: span.start.max(end),
                end: span.end,
            };
            kept += 1;
        }
        self.count = kept;
    }

    /// Moves all spans, which lie behind, `bytes` towards the start.
    pub(crate) fn rebase(&mut self, bytes: usize) {
        for span in &mut self.spans[..self.count] {
            span.start -= bytes;
            span.end -= bytes;
        }
        self.last_end = self.last_end.saturating_sub(bytes);
    }

    fn last(&self) -> Option<Span> {
        self.spans[..self.count].last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_spans_are_one_and_are_written_in_parts() {
        let mut buf = [b'x'; 400];
        let mut pending = Pending::new();
        for (start, end) in [(2, 8), (10, 20), (20, 26), (5, 11), (40, 300)] {
            pending.push(&mut buf, end - 1, start, end);
        }
        assert_eq!(
            pending.spans[..pending.count],
            [Span { start: 2, end: 26 }, Span { start: 40, end: 300 }]
        );
        pending.write(&mut buf, 100);
        assert!(
            buf.iter()
                .enumerate()
                .all(|(at, byte)| (*byte == b'*') == matches!(at, 2..26 | 40..100))
        );
        pending.rebase(100);
        assert_eq!(pending.spans[..pending.count], [Span { start: 0, end: 200 }]);
    }

    #[test]
    fn as_many_hits_as_there_can_be_find_room() {
        let mut buf = [b'x'; 7 * 1000];
        let mut pending = Pending::new();
        for start in (0..buf.len()).step_by(7) {
            pending.push(&mut buf, start, start, start + 6);
        }
        pending.write(&mut buf, usize::MAX);
        for (at, byte) in buf.into_iter().enumerate() {
            assert_eq!(byte, if at % 7 == 6 { b'x' } else { b'*' }, "byte {at}");
        }
    }
}
