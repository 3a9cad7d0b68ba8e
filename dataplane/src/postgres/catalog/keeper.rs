//! The task that keeps one database's snapshot fresh, on whichever core had the first session.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future::or;
use sluice_parsers::postgres::frontend::encode;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::catalog::snapshot::Place;
use sluice_runtime::task;
use sluice_runtime::time::{self, Instant, Timer, timeout};

use super::reading::{self, CatalogError, Read};
use super::{CatalogSnapshot, Database, harmless, lock};
use crate::core::Core;
use crate::postgres::upstream::{self, Upstream, UpstreamError};

/// How long the connection of a database without sessions is kept.
const IDLE: Duration = Duration::from_mins(1);

/// How long after a failure nobody but a new session has it tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Readings that nobody waits for take at most one part in so many of the time.
const SHARE: u32 = 5;

/// What the keeper's connection asks for: its answers are read by the gateway itself.
const SETTINGS: [(&str, &str); 3] = [
    ("application_name", "sluice catalog"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
];

pub(super) fn start(core: &Rc<Core>, database: &Arc<Database>) {
    let keeper = Keeper {
        core: Rc::clone(core),
        database: Arc::clone(database),
        upstream: None,
        due: time::now(),
        unhurried: time::now(),
        idle_since: None,
        has_failed: false,
    };
    task::spawn(keeper.run());
}

struct Keeper {
    core: Rc<Core>,
    database: Arc<Database>,
    upstream: Option<Upstream>,
    /// When the snapshot has to be read again.
    due: Instant,
    /// Before that only somebody who waits has it read.
    unhurried: Instant,
    /// Since when no session takes part.
    idle_since: Option<Instant>,
    has_failed: bool,
}

/// Why the keeper goes on.
enum Turn {
    Read,
    /// DDL was told of.
    Notified,
    /// The connection is gone.
    Lost,
    End,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            match self.turn().await {
                Turn::Read => self.read().await,
                Turn::Notified => lock(&self.database.state).wanted += 1,
                Turn::Lost => {
                    // What was told of meanwhile is lost too, so new sessions wait for what is so now.
                    self.upstream = None;
                    self.due = time::now();
                    lock(&self.database.state).wanted += 1;
                }
                Turn::End => break,
            }
        }
        if let Some(mut upstream) = self.upstream.take() {
            let mut goodbye = Vec::new();
            encode::terminate(&mut goodbye);
            // A server that is gone needs none.
            let _ = upstream.stream.send(goodbye);
            upstream.stream.finish(crate::core::farewell_deadline()).await;
        }
    }

    /// Waits until there is something to do.
    async fn turn(&mut self) -> Turn {
        let mut upstream = self.upstream.take();
        let turn = {
            let mut timer = Timer::new();
            let asked = poll_fn(|context| self.poll_turn(&mut timer, context));
            match &mut upstream {
                Some(upstream) => {
                    let told = async {
                        match reading::notified(upstream).await {
                            Ok(()) => Turn::Notified,
                            Err(_) => Turn::Lost,
                        }
                    };
                    or(asked, told).await
                }
                None => asked.await,
            }
        };
        self.upstream = upstream;
        turn
    }

    fn poll_turn(&mut self, timer: &mut Timer, context: &mut Context<'_>) -> Poll<Turn> {
        let database = Arc::clone(&self.database);
        let mut state = lock(&database.state);
        let now = time::now();
        let mut next = self.due;
        if state.sessions == 0 {
            let since = *self.idle_since.get_or_insert(now);
            next = since + IDLE;
            if self.has_failed || now >= next {
                drop(state);
                if self.core.catalogs.close(&self.database) {
                    return Poll::Ready(Turn::End);
                }
                // A session came in between.
                state = lock(&database.state);
            }
        }
        if state.sessions > 0 {
            self.idle_since = None;
            let is_asked = state.wanted > state.answered;
            if is_asked && state.is_urgent || now >= self.due || is_asked && now >= self.unhurried {
                return Poll::Ready(Turn::Read);
            }
            next = if is_asked {
                self.unhurried.min(self.due)
            } else {
                self.due
            };
        }
        task::store_waker(&mut state.keeper, context);
        drop(state);
        timer.set(next);
        if timer.poll_expired(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reads, and tells whoever waits.
    async fn read(&mut self) {
        let asked = {
            let mut state = lock(&self.database.state);
            state.is_urgent = false;
            state.wanted
        };
        let begin = time::now();
        let deadline = begin + self.database.connection.connect_timeout;
        let read = timeout(deadline, self.attempt(begin)).await;
        let read = read.unwrap_or(Err(CatalogError::TimedOut));
        let now = time::now();
        self.has_failed = read.is_err();
        let was_notified = match &read {
            Ok(was_notified) => {
                // Half of the age, so that the next one is there before this one has expired.
                self.due = begin + self.database.connection.catalog_max_age / 2;
                self.unhurried = now + now.saturating_duration_since(begin) * (SHARE - 1);
                *was_notified
            }
            Err(error) => {
                tracing::warn!(
                    connection = self.database.connection.name,
                    database = self.database.name,
                    %error,
                    "the catalog was not read"
                );
                self.upstream = None;
                self.due = now + RETRY;
                self.unhurried = self.due;
                false
            }
        };
        let mut state = lock(&self.database.state);
        state.answered = asked;
        state.wanted += u64::from(was_notified);
        state.failure = read.err().map(Arc::new);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }

    /// One reading; says whether DDL was told of meanwhile.
    async fn attempt(&mut self, begin: Instant) -> Result<bool, CatalogError> {
        let upstream = match &mut self.upstream {
            Some(upstream) => upstream,
            none => {
                let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let database = &self.database;
                // Boxed: a login is large, a keeper that follows it need not be.
                let login = Box::pin(upstream::log_in(
                    &self.core,
                    &database.connection,
                    &database.name,
                    &settings,
                    false,
                ));
                let mut upstream = login.await?;
                reading::listen(&mut upstream).await?;
                none.insert(upstream)
            }
        };
        let Read { rows, was_notified } = reading::read(upstream, Place::Idle).await?;
        let current = self.database.current.load_full();
        let catalogs = Arc::clone(&self.core.catalogs);
        // Neither hashing nor decoding a large catalog may hold up a core.
        let decoded = self.core.helpers.run({
            let current = current.clone();
            move || {
                let fingerprint = rows.fingerprint();
                match current {
                    Some(current) if current.fingerprint == fingerprint => Ok(None),
                    _ => rows
                        .decode(&catalogs.bases)
                        .map(|catalog| Some((catalog, fingerprint))),
                }
            }
        });
        let decoded = decoded.await.map_err(UpstreamError::from)??;
        match (decoded, current) {
            (None, Some(current)) => current.was_read_at(begin),
            (None, None) => {}
            (Some((catalog, fingerprint)), current) => {
                let catalogs = &self.core.catalogs;
                let known = current.as_ref().map(|current| &current.tags);
                let (database, tags) = catalogs.describe(catalog, &self.database.connection, known);
                let connection = &self.database.connection;
                let before = current.as_ref().map(|current| &current.database);
                if before.is_none_or(|before| before.listed != database.listed) {
                    harmless::warn_of_others(&database.catalog, &connection.name, &connection.harmless);
                }
                let altered = |database: &crate::gate::Database| database.catalog.altered_functions().count();
                if before.map_or(0, |before| altered(before)) != altered(&database) {
                    warn_of_altered(&database.catalog, &connection.name);
                }
                let snapshot = CatalogSnapshot {
                    database,
                    fingerprint,
                    tags,
                    age_max: self.database.connection.catalog_max_age,
                    origin: catalogs.origin,
                    read_at: AtomicU64::new(0),
                };
                snapshot.was_read_at(begin);
                let epoch = snapshot.epoch();
                self.database.current.store(Some(Arc::new(snapshot)));
                // After the snapshot: who sees the new number finds the new snapshot.
                self.database.epoch.store(epoch, Ordering::Release);
            }
        }
        Ok(was_notified)
    }
}

/// Says where the server's own functions are not as they came.
fn warn_of_altered(catalog: &Catalog, connection: &str) {
    let altered = catalog.altered_functions().count();
    if altered > 0 {
        tracing::warn!(
            connection,
            database = &*catalog.database,
            "{altered} of the server's own functions were altered, or may have been, and count as Opaque"
        );
    }
}

impl Drop for Keeper {
    /// With its core, or by a panic: whoever waits starts another.
    fn drop(&mut self) {
        let mut state = lock(&self.database.state);
        state.is_kept = false;
        state.keeper = None;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}
