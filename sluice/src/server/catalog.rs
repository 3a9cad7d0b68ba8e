//! A database's catalog, read as the gateway reads it.

use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::catalog::snapshot::{self, Bases, Place, Rows, SnapshotError};

use super::{Server, ServerError};

/// Why the catalog is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the catalog was not read: {0}")]
    Snapshot(#[from] SnapshotError),
}

impl Server {
    /// The objects of the database that this is a login to.
    pub(crate) fn catalog(&mut self) -> Result<Catalog, CatalogError> {
        let version = self.query("SELECT pg_catalog.current_setting('server_version')")?;
        let version = version.into_iter().flatten().flatten().next();
        let major = snapshot::major_of(&version.unwrap_or_default())?;
        let answer = self.query(&snapshot::queries(major, Place::Idle))?;
        let mut rows = Rows::new(snapshot::BYTES_MAX);
        for row in &answer {
            rows.push(row.iter().map(|field| field.as_deref().map(str::as_bytes)))?;
        }
        Ok(rows.decode(&Bases::default())?)
    }
}
