//! Brings memory that is soon worked on into the cache, while something else is.

/// Bytes that come into the cache together.
const LINE_BYTES: usize = 64;

/// More of a region is not asked for: it would drive out what is in use.
const REGION_BYTES_MAX: usize = 32 * LINE_BYTES;

/// Memory that somebody will work on: an address and a length that are only ever hints, so neither keeps the memory
/// alive nor needs it to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Region {
    address: usize,
    bytes: usize,
}

impl Region {
    /// Where a value lies now.
    pub fn of<T: ?Sized>(value: &T) -> Self {
        Self {
            address: std::ptr::from_ref(value).addr(),
            bytes: size_of_val(value).min(REGION_BYTES_MAX),
        }
    }

    /// Asks for it. Returns at once.
    #[inline]
    pub(crate) fn prefetch(self) {
        let (mut line, end) = (self.address, self.address.wrapping_add(self.bytes));
        while line < end {
            prefetch_line(line);
            line = line.wrapping_add(LINE_BYTES);
        }
    }
}

#[inline]
fn prefetch_line(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has SSE; a prefetch reads nothing that the program could see and never faults, whatever
    // the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
