//! Following the log as it grows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chain::ChainCursor;
use super::join::Joiner;
use super::{Filter, Problem, ReadError, Row};
use crate::folder::Folder;
use crate::names::{ChainId, audit_dir};

/// Follows all chains of a data folder, those that begin later too. A statement's row comes when it ends.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    filter: Filter,
    chains: BTreeMap<ChainId, (ChainCursor, Joiner)>,
    /// Damage that was met and skipped; for the caller to take.
    pub problems: Vec<Problem>,
}

impl Tail {
    /// Begins at the log's beginning: the first [`Tail::poll`] gives the newest rows, as many as the filter's limit.
    pub fn open(data: &Path, filter: Filter) -> Self {
        Self {
            dir: audit_dir(data),
            filter,
            chains: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// The rows that are complete since the last call, by time.
    pub fn poll(&mut self) -> Result<Vec<Row>, ReadError> {
        let folder = Folder::list(&self.dir).map_err(|error| ReadError {
            path: self.dir.clone(),
            error,
        })?;
        let mut rows = Vec::new();
        for (chain, files) in &folder.chains {
            let (cursor, joiner) = self
                .chains
                .entry(*chain)
                .or_insert_with(|| (ChainCursor::new(*chain, files), Joiner::new(*chain)));
            cursor.read(&self.dir, &mut self.problems, |sequence, record| {
                joiner.feed(sequence, record, &mut rows);
            })?;
        }
        super::keep(&mut rows, &self.filter);
        // Only the past is cut: of what is filtered out of it, nothing is made up for by what comes.
        if !folder.chains.is_empty() {
            self.filter.limit = None;
        }
        Ok(rows)
    }
}
