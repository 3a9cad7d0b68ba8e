//! Files that a statement could write on the server's machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Area, Facts};

/// Parts of the data folder that follow from what is compared otherwise, or that the server writes by itself.
const NOISE: &[&str] = &[
    "base",
    "global",
    "pg_commit_ts",
    "pg_multixact",
    "pg_notify",
    "pg_serial",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
    "pg_xact",
    "postmaster.pid",
];

/// Deeper folders are not looked into.
const DEPTH_MAX: usize = 8;

/// Adds the files of the data folder and of the others: size and time of the last change.
pub(super) fn read(data: &Path, watched: &[PathBuf], into: &mut Facts) {
    for entry in fs::read_dir(data).into_iter().flatten().flatten() {
        let is_noise = entry
            .file_name()
            .to_str()
            .is_some_and(|name| NOISE.contains(&name));
        if !is_noise {
            add(&entry.path(), DEPTH_MAX, into);
        }
    }
    for folder in watched {
        add(folder, DEPTH_MAX, into);
    }
}

fn add(path: &Path, depth: usize, into: &mut Facts) {
    // It may be gone again.
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let name = path.display().to_string();
    if metadata.is_dir() {
        into.insert((Area::File, name), String::new());
        if depth > 0 {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                add(&entry.path(), depth - 1, into);
            }
        }
    } else {
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        let facts = format!("{} bytes, changed {seconds}.{nanoseconds:09}", metadata.len());
        into.insert((Area::File, name), facts);
    }
}
