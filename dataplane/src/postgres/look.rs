//! Looks again at what the catalog says before a statement is judged that may depend on what it does not say yet.
//!
//! A session's own DDL changes what names mean at once; the shared snapshot shows it after the commit, and what another
//! session did up to `catalog_max_age` later. A statement whose judgement is uncertain for that waits: in a transaction,
//! and in a session with temporary objects, which no other connection sees, the catalog is read on the session's own
//! connection ([`OwnReading`]); else the shared snapshot is read again. Whatever is still uncertain then is judged as
//! that.

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

/// The catalog as a session saw it, by which it alone is judged. What it has shown is uncertain again when it is left:
/// when the shared snapshot changes, at `catalog_max_age`, and with the transaction that it was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnReading {
    /// When it began.
    read_at: Instant,
    place: Place,
}

/// How far a look has come.
#[derive(Debug, Default)]
pub(crate) enum Look {
    /// Nothing has been asked.
    #[default]
    Begin,
    /// The server is asked for the session's schema of temporary objects.
    AskedForSchema,
    /// The server is asked for the catalog as the session sees it.
    Asked(OwnReading),
    /// The rows of a reading of this session's own are to be decoded away from the core.
    Decode(OwnReading, Answered),
    /// The shared snapshot is read.
    Shared(Ticket),
    /// There is nothing more to know.
    Done,
}

impl Session {
    /// Whether a verdict may be another one once the catalog was read again, and that can be done now.
    pub(super) fn should_look(&self, verdict: &Verdict) -> bool {
        !self.waited.has_looked && is_doubtful(verdict) && self.can_look()
    }

    fn can_look(&self) -> bool {
        let is_possible = !self.is_in_cycle
            && self.limited.is_none()
            && !self.model.skips()
            && !self.model.in_copy_in()
            && self.model.transaction() != TransactionStatus::Failed;
        is_possible && (self.state.wants_catalog() || self.is_stale())
    }

    fn is_stale(&self) -> bool {
        let read_at = match self.own_reading {
            Some(own) => own.read_at,
            None => self.catalog.snapshot().read_at(),
        };
        sluice_runtime::time::now().saturating_duration_since(read_at) > FRESH
    }

    /// Whether the shared snapshot cannot show what this session sees.
    fn sees_what_is_not_shared(&self) -> bool {
        self.state.wants_catalog() || self.own_reading.is_some() || self.state.has_temporary_schema()
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
                    _ if self.sees_what_is_not_shared() => {
                        self.ask(Purpose::TemporarySchema, TEMPORARY_SCHEMA, out)?;
                        Look::AskedForSchema
                    }
                    _ => Look::Shared(self.catalog.request_refresh(&self.core)),
                };
                self.poll_look(look, context, out)
            }
            Look::AskedForSchema => {
                *look = match self.model.transaction() {
                    TransactionStatus::InTransaction => self.read_here(Place::InTransaction, out)?,
                    TransactionStatus::Idle if self.state.has_temporary_schema() => {
                        self.read_here(Place::Idle, out)?
                    }
                    TransactionStatus::Idle => Look::Shared(self.catalog.request_refresh(&self.core)),
                    TransactionStatus::Failed => Look::Done,
                };
                self.poll_look(look, context, out)
            }
            Look::Asked(reading) => {
                *look = match self.catalog_rows.take() {
                    Some(rows) => Look::Decode(*reading, rows),
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
                    self.own_reading = None;
                    self.state.catalog_was_read();
                    self.take_snapshot();
                }
                *look = Look::Done;
                Poll::Ready(Ok(()))
            }
            Look::Decode(..) | Look::Done => Poll::Ready(Ok(())),
        }
    }

    /// Has the catalog read on the session's connection.
    fn read_here(&mut self, place: Place, out: &mut Output) -> Result<Look, End> {
        let major = self.catalog.snapshot().database().catalog.server_major;
        let read_at = sluice_runtime::time::now();
        self.ask(Purpose::Catalog(place), &snapshot::queries(major, place), out)?;
        Ok(Look::Asked(OwnReading { read_at, place }))
    }

    /// The catalog as this session sees it.
    pub(crate) fn take_own_catalog(&mut self, reading: OwnReading, catalog: Catalog) {
        let known = self.catalog.snapshot().tags();
        let (database, tags) = self
            .core
            .catalogs
            .describe(catalog, &self.connection, Some(known));
        self.configured(tags);
        self.database = database;
        self.own_reading = Some(reading);
        self.state.catalog_was_read_here();
        self.follow_state();
    }

    /// Judges by the shared snapshot again: what a reading of its own had shown is uncertain.
    pub(super) fn leave_own_catalog(&mut self) {
        if self.own_reading.take().is_some() {
            self.state.catalog_is_gone();
            self.take_snapshot();
        }
    }

    /// A transaction is over, or taken back to a savepoint: a reading that was made in it holds no more.
    pub(super) fn leave_catalog_of_transaction(&mut self) {
        if self
            .own_reading
            .is_some_and(|own| own.place == Place::InTransaction)
        {
            self.leave_own_catalog();
        }
    }

    /// Takes what is known of the database now.
    #[inline]
    pub(super) fn follow_catalog(&mut self) {
        if self.catalog.follow() {
            self.leave_own_catalog();
            self.take_snapshot();
        }
    }

    /// A reading of its own does not hold longer than the shared one may. Asked once a second.
    pub(super) fn leave_old_catalog(&mut self, now: Instant) {
        let age_max = self.connection.catalog_max_age;
        if self
            .own_reading
            .is_some_and(|own| now.saturating_duration_since(own.read_at) > age_max)
        {
            self.leave_own_catalog();
        }
    }

    /// Judges by the shared snapshot from now on.
    pub(super) fn take_snapshot(&mut self) {
        let snapshot = self.catalog.snapshot();
        self.database = Arc::clone(snapshot.database());
        let tags = Arc::clone(snapshot.tags());
        self.configured(tags);
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
