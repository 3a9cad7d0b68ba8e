//! The data folder's lock: one gateway at a time writes to it.
//!
//! `flock` on `<data>/lock`, which the kernel gives back when the process dies, however it dies. The file names the
//! holder; that text is for people and for readers that ask whether a start of the gateway still runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::names::BootId;

/// A reader that asks for the holder has the lock for some microseconds; a start-up that meets it tries again.
const ATTEMPTS: u32 = 20;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(10);
/// Nobody else writes the lock file; a longer one is not read.
const TEXT_LEN_MAX: u64 = 256;

/// Why the data folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another gateway has it.
    #[error("the data folder {} is in use by process {process}", data.display())]
    Held {
        /// The folder.
        data: PathBuf,
        /// Its holder's process id, 0 if the file does not say.
        process: u32,
    },
    /// The lock file cannot be opened, locked or written.
    #[error("cannot lock {}: {error}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Who holds the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process id, in the holder's own name space.
    pub process: u32,
    /// Its start.
    pub boot: BootId,
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    file: File,
}

impl DataLock {
    /// Takes the lock of the data folder, or says who has it. Call this before recovery.
    pub fn acquire(data: &Path, boot: BootId) -> Result<Self, LockError> {
        let path = path(data);
        let failed = |error| LockError::Io {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(ATTEMPT_INTERVAL),
                Err(TryLockError::WouldBlock) => {
                    let process = read_text(&mut file)
                        .ok()
                        .and_then(|text| parse(&text))
                        .map_or(0, |holder| holder.process);
                    return Err(LockError::Held {
                        data: data.to_owned(),
                        process,
                    });
                }
            }
        }
        let text = format!("{} {boot}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // Closing the file unlocks it anyway; the text goes first so that it never names a process that is gone.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who holds the data folder now; `None` if nobody does.
pub fn holder(data: &Path) -> io::Result<Option<Holder>> {
    let mut file = match File::open(path(data)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(parse(&read_text(&mut file)?)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn path(data: &Path) -> PathBuf {
    data.join("lock")
}

fn read_text(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(TEXT_LEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Option<Holder> {
    let (process, boot) = text.trim_end().split_once(' ')?;
    Some(Holder {
        process: process.parse().ok()?,
        boot: BootId::parse(boot)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let data = tempfile::tempdir().expect("a folder");
        let boot = BootId([7; 16]);
        assert_eq!(holder(data.path()).expect("readable"), None, "no lock file");

        let lock = DataLock::acquire(data.path(), boot).expect("free");
        let process = std::process::id();
        assert_eq!(
            holder(data.path()).expect("readable"),
            Some(Holder { process, boot })
        );
        match DataLock::acquire(data.path(), BootId([8; 16])) {
            Err(LockError::Held { process: found, .. }) => assert_eq!(found, process),
            other => panic!("{other:?}"),
        }

        drop(lock);
        assert_eq!(holder(data.path()).expect("readable"), None, "given back");
        DataLock::acquire(data.path(), boot).expect("free again");
    }

    #[test]
    fn lock_text() {
        let boot = BootId([0x11; 16]);
        for (name, text, want) in [
            (
                "whole",
                format!("42 {boot}\n"),
                Some(Holder { process: 42, boot }),
            ),
            ("empty", String::new(), None),
            ("no boot id", "42\n".to_owned(), None),
            ("not a number", format!("x {boot}"), None),
        ] {
            assert_eq!(parse(&text), want, "{name}");
        }
    }
}
