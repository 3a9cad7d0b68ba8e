//! The secret that the salts of unknown user names are made from.
//!
//! It is kept in the data folder: were it new at each start, a salt that changed would tell that the name does not
//! exist. It protects nothing else, so where it cannot be kept a fresh one does.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;
use sluice_policy::identity::MockSecret;

const FILE: &str = "mock-secret";

/// The one that the data folder has.
///
/// Nothing is written here: `sluice check` must leave no trace. [`keep_in`] writes it at the start.
pub(crate) fn kept_in(data: &Path) -> MockSecret {
    read(&data.join(FILE)).unwrap_or_else(fresh)
}

/// Writes the secret into the data folder, unless it has one.
pub(crate) fn keep_in(data: &Path, secret: &MockSecret) -> std::io::Result<()> {
    let path = data.join(FILE);
    if read(&path).is_some() {
        return Ok(());
    }
    // A damaged one is of no use to anybody.
    let _ = fs::remove_file(&path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?
        .write_all(secret.as_bytes())
}

/// A new one.
pub(crate) fn fresh() -> MockSecret {
    let mut bytes = [0; 32];
    // The system's generator fails only where it does not exist; salts made from zeros would still be salts.
    let _ = rand::fill(&mut bytes);
    MockSecret::new(bytes)
}

fn read(path: &Path) -> Option<MockSecret> {
    Some(MockSecret::new(fs::read(path).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept_in(folder.path());
        keep_in(folder.path(), &first).unwrap();
        assert_eq!(kept_in(folder.path()).as_bytes(), first.as_bytes());
        keep_in(folder.path(), &fresh()).unwrap();
        assert_eq!(
            kept_in(folder.path()).as_bytes(),
            first.as_bytes(),
            "an existing one is kept"
        );
        fs::write(folder.path().join(FILE), b"short").unwrap();
        let second = kept_in(folder.path());
        keep_in(folder.path(), &second).unwrap();
        assert_eq!(
            kept_in(folder.path()).as_bytes(),
            second.as_bytes(),
            "a damaged one is replaced"
        );
    }
}
