//! A list of byte strings inside a field: each a `u16` length and its bytes.

use super::LIST_LEN_MAX;

/// A borrowed list, as it lies in a record.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct List<'a>(&'a [u8]);

impl<'a> List<'a> {
    /// No items.
    pub const EMPTY: Self = List(&[]);

    /// The encoded form; iteration stops where it is malformed.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded form.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The items.
    pub fn iter(&self) -> ListIter<'a> {
        ListIter(self.0)
    }
}

impl<'a> IntoIterator for &List<'a> {
    type Item = &'a [u8];
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(String::from_utf8_lossy))
            .finish()
    }
}

/// Items of a [`List`].
#[derive(Debug, Clone)]
pub struct ListIter<'a>(&'a [u8]);

impl<'a> Iterator for ListIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (item, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        Some(item)
    }
}

/// A list being built, once a session or once a cached decision, so that records only copy it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListBuffer {
    bytes: Vec<u8>,
    full: bool,
}

impl ListBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these items, as many as fit.
    pub fn of<I: IntoIterator<Item: AsRef<[u8]>>>(items: I) -> Self {
        let mut list = Self::new();
        for item in items {
            list.push(item.as_ref());
        }
        list
    }

    /// Adds an item and says whether it fitted; after the first that did not, nothing is added, so that a list is
    /// always a prefix.
    pub fn push(&mut self, item: &[u8]) -> bool {
        let fits = self.bytes.len() + 2 + item.len() <= LIST_LEN_MAX;
        let Ok(length) = u16::try_from(item.len()) else {
            self.full = true;
            return false;
        };
        if self.full || !fits {
            self.full = true;
            return false;
        }
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(item);
        true
    }

    /// Whether an item did not fit.
    pub fn is_cut(&self) -> bool {
        self.full
    }

    /// The list.
    pub fn as_list(&self) -> List<'_> {
        List(&self.bytes)
    }
}
