//! Files that a core writes through its ring, past the page cache where the file system allows.
//!
//! Direct I/O wants memory, offsets and lengths in multiples of [`ALIGNMENT`]; [`AlignedBuffer`] is such memory. A
//! file system without it gets buffered writes, and [`File::mode`] says so. A buffer being written belongs to the
//! ring: it is lent for the write and given back with the result.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;

use io_uring::{opcode, squeue, types};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::net::{IoError, IoOperation};
use crate::reactor::{self, OperationFuture};

mod aligned;

pub use aligned::{ALIGNMENT, AlignedBuffer};

/// How writes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// Past the page cache.
    Direct,
    /// Through the page cache: the file system knows no direct I/O. [`File::sync_data`] is then what makes data
    /// durable, and costs accordingly.
    Buffered,
}

/// A file that this core reads and writes at offsets.
pub struct File {
    fd: Rc<OwnedFd>,
    mode: Cell<FileMode>,
}

impl File {
    /// Opens a file for reading and writing and creates it (mode 0600) if it does not exist. This blocks for the
    /// time of an `open`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let open = |flags| {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags);
            options.open(path.as_ref())
        };
        let (file, mode) = match open(libc::O_DIRECT) {
            Ok(file) => (file, FileMode::Direct),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (open(0)?, FileMode::Buffered),
            Err(error) => return Err(error),
        };
        Ok(Self {
            fd: Rc::new(file.into()),
            mode: Cell::new(mode),
        })
    }

    /// How writes reach the disk.
    pub fn mode(&self) -> FileMode {
        self.mode.get()
    }

    /// The file's length.
    pub fn len(&self) -> io::Result<u64> {
        let length = nix::sys::stat::fstat(&*self.fd)?.st_size;
        Ok(u64::try_from(length).unwrap_or_default())
    }

    /// Whether the file holds nothing.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes a range of the buffer at an offset. For direct writes the range's ends and the offset are multiples
    /// of [`ALIGNMENT`].
    ///
    /// # Panics
    /// When the range is not in the buffer.
    pub async fn write_at(
        &self,
        buffer: AlignedBuffer,
        range: Range<usize>,
        offset: u64,
    ) -> (AlignedBuffer, Result<(), IoError>) {
        assert!(
            range.start <= range.end && range.end <= buffer.len(),
            "a range of the buffer"
        );
        let (mut buffer, mut done) = (buffer, range.start);
        while done < range.end {
            let at = offset + (done - range.start) as u64;
            let (back, result) = self.submit_write(buffer, done..range.end, at).await;
            buffer = back;
            match usize::try_from(result) {
                Ok(0) => {
                    let (done, wanted) = (done - range.start, range.len());
                    return (
                        buffer,
                        Err(IoError::Short {
                            operation: IoOperation::Write,
                            done,
                            wanted,
                        }),
                    );
                }
                Ok(written) => done += written,
                Err(_) if -result == libc::EINVAL && self.fall_back() => {}
                Err(_) if -result == libc::EINTR => {}
                Err(_) => return (buffer, Err(IoError::from_result(IoOperation::Write, result))),
            }
        }
        (buffer, Ok(()))
    }

    async fn submit_write(
        &self,
        buffer: AlignedBuffer,
        range: Range<usize>,
        at: u64,
    ) -> (AlignedBuffer, i32) {
        let writing = self.submit(buffer, |fd, buffer| {
            let bytes = &buffer[range];
            let len = u32::try_from(bytes.len()).unwrap_or(MULTIPLE_MAX);
            opcode::Write::new(types::Fd(fd), bytes.as_ptr(), len)
                .offset(at)
                .build()
        });
        writing_done(writing).await
    }

    /// Reads into a range of the buffer from an offset; returns how many bytes, fewer only at the file's end.
    ///
    /// # Panics
    /// When the range is not in the buffer.
    pub async fn read_at(
        &self,
        buffer: AlignedBuffer,
        range: Range<usize>,
        offset: u64,
    ) -> (AlignedBuffer, Result<usize, IoError>) {
        assert!(
            range.start <= range.end && range.end <= buffer.len(),
            "a range of the buffer"
        );
        let reading = self.submit(buffer, |fd, buffer| {
            let bytes = &mut buffer[range];
            let len = u32::try_from(bytes.len()).unwrap_or(MULTIPLE_MAX);
            opcode::Read::new(types::Fd(fd), bytes.as_mut_ptr(), len)
                .offset(offset)
                .build()
        });
        let (buffer, result) = writing_done(reading).await;
        (
            buffer,
            usize::try_from(result).map_err(|_| IoError::from_result(IoOperation::Read, result)),
        )
    }

    /// Makes written data durable.
    pub async fn sync_data(&self) -> Result<(), IoError> {
        let syncing = self.submit((), |fd, ()| {
            opcode::Fsync::new(types::Fd(fd))
                .flags(types::FsyncFlags::DATASYNC)
                .build()
        });
        let ((), result) = writing_done(syncing).await;
        if result < 0 {
            Err(IoError::from_result(IoOperation::Sync, result))
        } else {
            Ok(())
        }
    }

    /// Gives the file disk space up to a length, so that later writes neither fail for lack of it nor change the
    /// file's size.
    pub async fn allocate(&self, bytes: u64) -> Result<(), IoError> {
        let allocating = self.submit((), |fd, ()| opcode::Fallocate::new(types::Fd(fd), bytes).build());
        let ((), result) = writing_done(allocating).await;
        if result < 0 {
            Err(IoError::from_result(IoOperation::Allocate, result))
        } else {
            Ok(())
        }
    }

    fn submit<R: 'static>(
        &self,
        resource: R,
        make: impl FnOnce(RawFd, &mut R) -> squeue::Entry,
    ) -> OperationFuture<(Rc<OwnedFd>, R)> {
        let resource = (Rc::clone(&self.fd), resource);
        // SAFETY: the callers above make entries that point into the resource only, and the descriptor is in it.
        reactor::with(|reactor| unsafe {
            reactor::submit(reactor, resource, |(fd, resource)| make(fd.as_raw_fd(), resource))
        })
    }

    /// Some file systems take the flag at `open` and refuse direct writes later.
    fn fall_back(&self) -> bool {
        if self.mode.get() == FileMode::Buffered {
            return false;
        }
        let cleared = fcntl(&*self.fd, FcntlArg::F_GETFL).and_then(|flags| {
            let flags = OFlag::from_bits_retain(flags) - OFlag::O_DIRECT;
            fcntl(&*self.fd, FcntlArg::F_SETFL(flags))
        });
        if cleared.is_ok() {
            self.mode.set(FileMode::Buffered);
        }
        cleared.is_ok()
    }
}

/// The largest single write that keeps the alignment.
const MULTIPLE_MAX: u32 = 1 << 30;

async fn writing_done<R: 'static>(operation: OperationFuture<(Rc<OwnedFd>, R)>) -> (R, i32) {
    let ((_, resource), result) = operation.await;
    (resource, result)
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}
