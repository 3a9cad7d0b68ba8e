//! What lies in the audit folder, by chain.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::names::{AuditFile, ChainId};

/// The files of the audit folder.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    pub(crate) chains: BTreeMap<ChainId, ChainFiles>,
    /// Files that are not ours by name.
    pub(crate) strangers: Vec<PathBuf>,
}

/// The files of one chain.
#[derive(Debug, Default)]
pub(crate) struct ChainFiles {
    /// Numbers of its segments, ascending.
    pub(crate) segments: Vec<u32>,
    pub(crate) ring: bool,
}

impl Folder {
    /// Lists the folder; one that does not exist is empty.
    pub(crate) fn list(audit_dir: &Path) -> io::Result<Self> {
        let mut folder = Self::default();
        let entries = match fs::read_dir(audit_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folder),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_name().to_str().and_then(AuditFile::parse) {
                Some(AuditFile::Segment { chain, number }) => {
                    folder.chains.entry(chain).or_default().segments.push(number);
                }
                Some(AuditFile::Ring { chain }) => folder.chains.entry(chain).or_default().ring = true,
                None => folder.strangers.push(entry.path()),
            }
        }
        for files in folder.chains.values_mut() {
            files.segments.sort_unstable();
        }
        folder.strangers.sort_unstable();
        Ok(folder)
    }

    /// The length of all segments together; one that is gone by now has none.
    pub(crate) fn segment_bytes(&self, audit_dir: &Path) -> io::Result<u64> {
        let mut bytes = 0;
        for (chain, files) in &self.chains {
            for number in &files.segments {
                match fs::metadata(chain.segment_path(audit_dir, *number)) {
                    Ok(found) => bytes += found.len(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(bytes)
    }
}
