//! The audit crate's memory over a shared mapping of a file.

use std::sync::atomic::Ordering;

use sluice_audit::memory::SharedMemory;
use sluice_runtime::mapped::Mapping;

/// A mapped file that one core writes and other processes read.
#[derive(Debug)]
pub(crate) struct MappedMemory(pub(crate) Mapping);

// The words of the files are little-endian; so is every machine that the runtime is built for.
#[cfg(not(target_endian = "little"))]
compile_error!("the audit files' words are little-endian");

impl SharedMemory for MappedMemory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.write_at(offset, bytes);
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.0.read_at(offset, into);
    }

    fn store_u32_release(&mut self, offset: usize, value: u32) {
        self.0.store_u32(offset, value, Ordering::Release);
    }

    fn store_u64_release(&mut self, offset: usize, value: u64) {
        self.0.store_u64(offset, value, Ordering::Release);
    }

    fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
        self.0.store_u64(offset, value, Ordering::Relaxed);
    }

    fn load_u64_relaxed(&self, offset: usize) -> u64 {
        self.0.load_u64(offset, Ordering::Relaxed)
    }
}
