//! Looks again at what the catalog says before a statement is judged that may depend on what it does not say yet.
//!
//! A session's own DDL changes what names mean at once; the shared snapshot shows it after the commit, and what another
//! session did up to `catalog_max_age` later. A statement whose judgement is uncertain for that waits: in a transaction
//! the catalog is read on the session's own connection, and holds for this session until the transaction ends; outside of
//! one the shared snapshot is read again. Whatever is still uncertain then is judged as that.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use sluice_parsers::postgres::backend::TransactionStatus;
use sluice_parsers::postgres::backend::row;
use sluice_parsers::sql::catalog::snapshot::{self, Place};
use sluice_parsers::sql::catalog::{Catalog, Oid};
use sluice_parsers::sql::effect::{Action, EffectFlags};
use sluice_runtime::time::Instant;

use super::catalog::Ticket;
use super::hidden::{Answered, Purpose};
use super::session::{End, Output, Session};
use crate::gate::Verdict;

/// A snapshot younger than this is not read again because a name is not in it.
const FRESH: Duration = Duration::from_secs(1);

/// Asks for the session's schema of temporary objects. Its DDL has taken a snapshot in a transaction already.
const TEMPORARY_SCHEMA: &str = "SELECT pg_catalog.pg_my_temp_schema()";

/// How far a look has come.
#[derive(Debug, Default)]
pub(crate) enum Look {
    /// Nothing has been asked.
    #[default]
    Begin,
    /// The server is asked for the session's schema of temporary objects.
    AskedForSchema,
    /// The server is asked for the catalog as the session sees it.
    Asked,
    /// The rows of a reading of this session's own are to be decoded away from the core.
    Decode(Answered),
    /// The shared snapshot is read.
    Shared(Ticket),
    /// There is nothing more to know.
    Done,
}

impl Session {
    /// Whether a verdict may be another one once the catalog was read again, and that can be done now.
    pub(super) fn should_look(&self, verdict: &Verdict) -> bool {
        !self.has_looked && is_doubtful(verdict) && self.can_look()
    }

    fn can_look(&self) -> bool {
        let is_possible = !self.is_in_cycle
            && !self.model.in_copy_in()
            && self.model.transaction() != TransactionStatus::Failed;
        is_possible && (self.state.wants_catalog() || self.is_stale())
    }

    fn is_stale(&self) -> bool {
        let read_at = self.catalog.snapshot().read_at();
        sluice_runtime::time::now().saturating_duration_since(read_at) > FRESH
    }

    /// Does the next thing of a look; ready when there is nothing more to be known.
    pub(crate) fn poll_look(
        &mut self,
        look: &mut Look,
        context: &TaskContext<'_>,
        out: &mut Output,
    ) -> Poll<Result<(), End>> {
        if self.hidden.is_some() || !self.model.is_idle() {
            return Poll::Pending;
        }
        match look {
            Look::Begin => {
                *look = match self.model.transaction() {
                    TransactionStatus::Failed => Look::Done,
                    _ if self.state.wants_catalog() => {
                        self.ask(Purpose::TemporarySchema, TEMPORARY_SCHEMA, out)?;
                        Look::AskedForSchema
                    }
                    _ => Look::Shared(self.catalog.request_refresh(&self.core)),
                };
                self.poll_look(look, context, out)
            }
            Look::AskedForSchema => {
                *look = match self.model.transaction() {
                    TransactionStatus::InTransaction => {
                        let major = self.catalog.snapshot().database().catalog.server_major;
                        let sql = snapshot::queries(major, Place::InTransaction);
                        self.ask(Purpose::Catalog, &sql, out)?;
                        Look::Asked
                    }
                    TransactionStatus::Idle => Look::Shared(self.catalog.request_refresh(&self.core)),
                    TransactionStatus::Failed => Look::Done,
                };
                self.poll_look(look, context, out)
            }
            Look::Asked => {
                *look = match self.catalog_rows.take() {
                    Some(rows) => Look::Decode(rows),
                    None if self.model.transaction() == TransactionStatus::Idle => {
                        Look::Shared(self.catalog.request_refresh(&self.core))
                    }
                    // The reading failed; what it was about stays uncertain.
                    None => Look::Done,
                };
                self.poll_look(look, context, out)
            }
            Look::Shared(ticket) => {
                let (ticket, core) = (*ticket, Rc::clone(&self.core));
                let Poll::Ready(refreshed) = self.catalog.poll_refreshed(&core, ticket, context) else {
                    return Poll::Pending;
                };
                if let Err(error) = refreshed {
                    tracing::debug!(%error, "names stay uncertain");
                } else {
                    self.state.catalog_was_read();
                    self.take_snapshot();
                }
                *look = Look::Done;
                Poll::Ready(Ok(()))
            }
            Look::Decode(_) | Look::Done => Poll::Ready(Ok(())),
        }
    }

    /// Whether it is judged by a reading of the session's own.
    pub(super) fn has_own_catalog(&self) -> bool {
        !Arc::ptr_eq(&self.database, self.catalog.snapshot().database())
    }

    /// The catalog as this session sees it in its transaction.
    pub(crate) fn take_own_catalog(&mut self, catalog: Catalog) {
        let known = self.catalog.snapshot().tags();
        let (database, tags) = self
            .core
            .catalogs
            .describe(catalog, &self.connection, Some(known));
        self.masks.tags = tags;
        self.database = database;
        self.state.catalog_was_read_here();
        self.follow_state();
    }

    /// The transaction that the session's own reading was made in is over, or taken back to a savepoint.
    pub(super) fn leave_own_catalog(&mut self) {
        if self.has_own_catalog() {
            self.state.catalog_is_gone();
            self.take_snapshot();
        }
    }

    /// Judges by the shared snapshot from now on.
    pub(super) fn take_snapshot(&mut self) {
        let snapshot = self.catalog.snapshot();
        self.masks.tags = Arc::clone(snapshot.tags());
        self.database = Arc::clone(snapshot.database());
        self.follow_state();
    }

    /// Whether nothing may be judged by the snapshot any more. Asked once a second.
    pub(super) fn is_catalog_expired(&self, now: Instant) -> bool {
        self.catalog.snapshot().is_expired(now)
    }

    /// The row that answers a question for the schema of temporary objects.
    pub(super) fn temporary_schema_is(&mut self, rows: &[Box<[u8]>]) {
        let oid = rows.first().and_then(|row| {
            let mut fields = row::Fields::parse(row).ok()?;
            match fields.next_field().ok()?? {
                row::Place::Value { start, end } => {
                    std::str::from_utf8(row.get(start..end)?).ok()?.parse().ok()
                }
                row::Place::Null => None,
            }
        });
        self.state.set_temporary_schema(Oid(oid.unwrap_or(0)));
    }
}

/// Whether something of a verdict is as it is because names are not known.
fn is_doubtful(verdict: &Verdict) -> bool {
    verdict
        .masks
        .iter()
        .any(|mask| mask.contains(Action::Opaque) || mask.flags().contains(EffectFlags::UNCERTAIN))
}
