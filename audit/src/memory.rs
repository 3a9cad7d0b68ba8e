//! Memory that outlives the process that writes it.
//!
//! The ring and the metrics are written through this trait, so that this crate needs no `unsafe`: the data plane
//! implements it over a shared mapping of a file, tests over a vector. One thread writes; other processes read the
//! file. Offsets are the owner's own, so an offset out of bounds is a bug and may panic.

use std::sync::atomic::{Ordering, compiler_fence};

/// A fixed range of bytes with the few ordered stores that the commit protocol needs.
///
/// Words are little-endian. A word's offset is a multiple of its size.
pub trait SharedMemory {
    /// The number of bytes.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies `bytes` to `offset`, unordered.
    fn write(&mut self, offset: usize, bytes: &[u8]);
    /// Copies what lies at `offset` into `into`.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Stores a word after everything written so far (release).
    fn store_u32_release(&mut self, offset: usize, value: u32);
    /// Stores a word after everything written so far (release).
    fn store_u64_release(&mut self, offset: usize, value: u64);
    /// Stores a word (relaxed).
    fn store_u64_relaxed(&mut self, offset: usize, value: u64);
    /// Loads a word (relaxed): the only writer reads back its own word.
    fn load_u64_relaxed(&self, offset: usize) -> u64;
}

/// Plain memory, for tests and benches.
#[derive(Debug, Clone)]
pub struct HeapMemory(Vec<u8>);

impl HeapMemory {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// What the file would hold now.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SharedMemory for HeapMemory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.0[offset..offset + into.len()]);
    }

    fn store_u32_release(&mut self, offset: usize, value: u32) {
        compiler_fence(Ordering::Release);
        self.write(offset, &value.to_le_bytes());
    }

    fn store_u64_release(&mut self, offset: usize, value: u64) {
        compiler_fence(Ordering::Release);
        self.write(offset, &value.to_le_bytes());
    }

    fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
        self.write(offset, &value.to_le_bytes());
    }

    fn load_u64_relaxed(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        self.read(offset, &mut word);
        u64::from_le_bytes(word)
    }
}
