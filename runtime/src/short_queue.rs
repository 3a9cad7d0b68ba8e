//! A queue that mostly holds one value, which then lies in the queue itself.
//!
//! Of thousands of streams each turn touches a few, whose memory is seldom in the cache: a value behind a pointer costs
//! a miss more than one that lies beside the fields that lead to it.

use std::collections::VecDeque;

/// A first-in first-out queue. Invariant: `more` is empty unless there is a `first`.
#[derive(Debug)]
pub(crate) struct ShortQueue<T> {
    first: Option<T>,
    more: VecDeque<T>,
}

impl<T> Default for ShortQueue<T> {
    fn default() -> Self {
        Self {
            first: None,
            more: VecDeque::new(),
        }
    }
}

impl<T> ShortQueue<T> {
    #[inline]
    pub(crate) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.more.push_back(value);
        }
    }

    /// Puts a value before all others.
    pub(crate) fn push_front(&mut self, value: T) {
        if let Some(second) = self.first.replace(value) {
            self.more.push_front(second);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take();
        if !self.more.is_empty() {
            self.first = self.more.pop_front();
        }
        first
    }

    /// The only value, taken out; `None` unless there is exactly one.
    #[inline]
    pub(crate) fn take_only(&mut self) -> Option<T> {
        if self.more.is_empty() {
            self.first.take()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    #[inline]
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.more.back_mut().or(self.first.as_mut())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.more.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.more)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec(0..6u8, 0..60)) {
            let (mut short, mut plain) = (ShortQueue::default(), VecDeque::new());
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        short.push_back(value);
                        plain.push_back(value);
                    }
                    2 => {
                        short.push_front(value);
                        plain.push_front(value);
                    }
                    3 => prop_assert_eq!(short.pop_front(), plain.pop_front()),
                    4 => {
                        let only = if plain.len() == 1 { plain.pop_front() } else { None };
                        prop_assert_eq!(short.take_only(), only);
                    }
                    _ => {
                        short.clear();
                        plain.clear();
                    }
                }
                prop_assert_eq!(short.len(), plain.len());
                prop_assert_eq!(short.is_empty(), plain.is_empty());
                prop_assert_eq!(short.front(), plain.front());
                prop_assert_eq!(short.back_mut(), plain.back_mut());
                prop_assert!(short.iter().eq(&plain));
                prop_assert!(short.iter_mut().eq(&mut plain));
            }
        }
    }
}
