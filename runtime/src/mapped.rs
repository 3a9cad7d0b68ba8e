//! A file mapped into memory and shared with whoever else maps or reads it.
//!
//! What is written here survives the process, not the machine. One thread writes; readers in other threads and
//! processes see words whole when both sides use the atomic accessors, which also order the plain bytes: store a
//! length with [`store_u32`](Mapping::store_u32) after the bytes it covers.
//!
//! The file is given its disk space before it is mapped: a sparse file on a full disk would raise SIGBUS at a store.
//! Every access is checked against the mapping's length.

use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mmap, msync, munmap};

/// A shared mapping of a whole file.
///
/// Offsets that a caller computes wrongly panic; they never come from a peer.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
    /// One thread at a time: plain bytes are written through `&self`.
    _one_thread: PhantomData<*const ()>,
}

// SAFETY: the mapping is owned by this value alone; it may go to another thread, but not be shared.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a file, which is created (mode 0600) or grown to `len` bytes with disk space behind them. A longer file
    /// is mapped up to `len`.
    pub fn open(path: impl AsRef<Path>, len: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        Self::of(&file, len)
    }

    /// As [`open`](Self::open), on a file that is open for reading and writing.
    pub fn of(file: &File, len: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let size = i64::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        match fallocate(file, FallocateFlags::empty(), 0, size) {
            Ok(()) => {}
            // No such call on this file system: zeroes written through the file take the space as well.
            Err(nix::Error::EOPNOTSUPP | nix::Error::ENOSYS) => fill(file, len)?,
            Err(error) => return Err(error.into()),
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping overlaps nothing; the file has space for all of it, so no access faults.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Self {
            start: start.cast(),
            len: length,
            _one_thread: PhantomData,
        })
    }

    /// Its length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.get()
    }

    /// Never: an empty file cannot be mapped.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// When they do not fit there.
    #[inline]
    pub fn write_at(&self, offset: usize, bytes: &[u8]) {
        let target = self.at(offset, bytes.len());
        // SAFETY: the target is `bytes.len()` bytes inside of the mapping, which no Rust reference covers.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// When the mapping ends before.
    #[inline]
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let source = self.at(offset, bytes.len());
        // SAFETY: the source is `bytes.len()` bytes inside of the mapping, which no Rust reference covers.
        unsafe { source.copy_to_nonoverlapping(NonNull::from(&mut *bytes).cast(), bytes.len()) };
    }

    /// Sets bytes to zero.
    ///
    /// # Panics
    /// When the mapping ends before.
    pub fn zero(&self, offset: usize, len: usize) {
        let target = self.at(offset, len);
        // SAFETY: the target is `len` bytes inside of the mapping, which no Rust reference covers.
        unsafe { target.write_bytes(0, len) };
    }

    /// Loads a word in the machine's byte order.
    ///
    /// # Panics
    /// When the offset is not a multiple of 4 inside of the mapping.
    #[inline]
    pub fn load_u32(&self, offset: usize, order: Ordering) -> u32 {
        self.word_u32(offset).load(order)
    }

    /// Stores a word in the machine's byte order.
    ///
    /// # Panics
    /// When the offset is not a multiple of 4 inside of the mapping.
    #[inline]
    pub fn store_u32(&self, offset: usize, value: u32, order: Ordering) {
        self.word_u32(offset).store(value, order);
    }

    /// Loads a long word in the machine's byte order.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 inside of the mapping.
    #[inline]
    pub fn load_u64(&self, offset: usize, order: Ordering) -> u64 {
        self.word_u64(offset).load(order)
    }

    /// Stores a long word in the machine's byte order.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 inside of the mapping.
    #[inline]
    pub fn store_u64(&self, offset: usize, value: u64, order: Ordering) {
        self.word_u64(offset).store(value, order);
    }

    /// Adds to a long word that only this thread writes: a plain load and store, no locked instruction.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 inside of the mapping.
    #[inline]
    pub fn add_u64(&self, offset: usize, amount: u64) {
        let word = self.word_u64(offset);
        word.store(
            word.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Writes everything to the disk. It blocks: not for a core.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: the range is the mapping.
        unsafe { msync(self.start.cast(), self.len.get(), MsFlags::MS_SYNC)? };
        Ok(())
    }

    /// Touches all pages now, so that later stores do not fault.
    pub fn populate(&self) -> io::Result<()> {
        // SAFETY: the range is the mapping, and populating changes no content.
        unsafe { madvise(self.start.cast(), self.len.get(), MmapAdvise::MADV_POPULATE_WRITE)? };
        Ok(())
    }

    fn word_u32(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(align_of::<AtomicU32>()),
            "offset {offset} is not aligned"
        );
        // SAFETY: in bounds by `at`, aligned by the assertion (mappings begin at a page), and only ever accessed as
        // an atomic or copied by the one thread that has the mapping.
        unsafe { AtomicU32::from_ptr(self.at(offset, size_of::<AtomicU32>()).cast().as_ptr()) }
    }

    fn word_u64(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(align_of::<AtomicU64>()),
            "offset {offset} is not aligned"
        );
        // SAFETY: in bounds by `at`, aligned by the assertion (mappings begin at a page), and only ever accessed as
        // an atomic or copied by the one thread that has the mapping.
        unsafe { AtomicU64::from_ptr(self.at(offset, size_of::<AtomicU64>()).cast().as_ptr()) }
    }

    #[inline]
    fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len.get()),
            "{len} bytes at {offset} of {}",
            self.len
        );
        // SAFETY: the assertion keeps it inside of the mapping.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.cast(), self.len.get()) };
    }
}

/// Gives a file zeroes from its end to `len`.
fn fill(file: &File, len: usize) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let zeroes = [0; 4096];
    let mut offset = file.metadata()?.len();
    while offset < len as u64 {
        let count = (len as u64 - offset).min(zeroes.len() as u64);
        file.write_all_at(&zeroes[..usize::try_from(count).unwrap_or(zeroes.len())], offset)?;
        offset += count;
    }
    Ok(())
}
