//! What is known of the databases' catalogs, shared by all cores.
//!
//! Each database that has sessions has one [`CatalogSnapshot`] in force and one [`keeper`] that reads it anew: at least
//! twice in `catalog_max_age`, on request (DDL passed, or the server says what the snapshot does not), and when an event
//! trigger tells of DDL. A reading that finds nothing new leaves the snapshot and its epoch as they are, so that
//! whoever compares epochs has nothing to do. A session compares one atomic number for each message and locks nothing.

pub(crate) mod harmless;
mod keeper;
pub(crate) mod protected;
pub(crate) mod reading;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hashbrown::HashMap;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::catalog::snapshot::{self, Bases, Fingerprint, Rows};
use sluice_runtime::time::Instant;

use self::reading::CatalogError;
use super::columns::Tags;
use crate::core::Core;
use crate::gate;
use crate::settings::Connection;

/// A database's objects at one moment.
#[derive(Debug)]
pub(crate) struct CatalogSnapshot {
    database: Arc<gate::Database>,
    fingerprint: Fingerprint,
    tags: Arc<Tags>,
    age_max: Duration,
    /// The moment that `read_at` counts from.
    origin: Instant,
    /// When the last reading began that found the database so, in nanoseconds.
    read_at: AtomicU64,
}

impl CatalogSnapshot {
    /// The objects, under an epoch of their own.
    pub(crate) fn database(&self) -> &Arc<gate::Database> {
        &self.database
    }

    /// Unique in this process. What was decided under another epoch was decided about other objects.
    pub(crate) fn epoch(&self) -> u64 {
        self.database.epoch
    }

    /// The same columns with what they count as.
    pub(crate) fn tags(&self) -> &Arc<Tags> {
        &self.tags
    }

    /// When the database was last seen to be so.
    pub(crate) fn read_at(&self) -> Instant {
        self.origin + Duration::from_nanos(self.read_at.load(Ordering::Acquire))
    }

    /// Whether nothing may be decided by it any more.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at()) > self.age_max
    }

    fn was_read_at(&self, moment: Instant) {
        let since = moment.saturating_duration_since(self.origin);
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.read_at.fetch_max(since, Ordering::AcqRel);
    }
}

/// The databases that have sessions, by connection and name.
#[derive(Debug)]
pub(crate) struct Catalogs {
    databases: Mutex<HashMap<(String, String), Arc<Database>>>,
    bases: Bases,
    next_epoch: AtomicU64,
    origin: Instant,
    /// Of every database without configured columns: plans are shared by sessions that share their tags.
    no_tags: Arc<Tags>,
}

impl Catalogs {
    pub(crate) fn new() -> Self {
        Self {
            databases: Mutex::default(),
            bases: Bases::default(),
            next_epoch: AtomicU64::new(1),
            origin: Instant::now(),
            no_tags: Arc::default(),
        }
    }

    /// What a catalog means under a connection's configuration: for the gate, and for the rows.
    pub(crate) fn describe(
        &self,
        catalog: Catalog,
        connection: &Connection,
        known: Option<&Arc<Tags>>,
    ) -> (Arc<gate::Database>, Arc<Tags>) {
        let tags = protected::tags(&catalog, &connection.masking);
        let database = gate::Database {
            epoch: self.next_epoch.fetch_add(1, Ordering::Relaxed),
            protected: Arc::new(protected::columns(&tags)),
            listed: Arc::new(harmless::harmless_functions(&catalog, &connection.harmless)),
            catalog: Arc::new(catalog),
        };
        let tags = match known {
            _ if tags.is_empty() => Arc::clone(&self.no_tags),
            Some(known) if **known == tags => Arc::clone(known),
            _ => Arc::new(tags),
        };
        (Arc::new(database), tags)
    }

    /// The catalog that the bodies of `DataRow`s tell of; takes too long for a core.
    pub(crate) fn decode(&self, answered: &[Box<[u8]>]) -> Result<Catalog, CatalogError> {
        let mut rows = Rows::new(snapshot::BYTES_MAX);
        for body in answered {
            reading::push(&mut rows, body)?;
        }
        Ok(rows.decode(&self.bases)?)
    }

    /// Takes part in what is known of a database. Its first session has it read.
    fn open(self: &Arc<Self>, connection: &Arc<Connection>, database: &str) -> Arc<Database> {
        let mut databases = lock(&self.databases);
        let name = (connection.name.clone(), database.to_owned());
        let database = databases.entry(name).or_insert_with_key(|(_, database)| {
            Arc::new(Database {
                connection: Arc::clone(connection),
                name: database.clone(),
                epoch: AtomicU64::new(0),
                current: ArcSwapOption::empty(),
                state: Mutex::default(),
            })
        });
        lock(&database.state).sessions += 1;
        Arc::clone(database)
    }

    /// Forgets a database that nobody takes part in; says whether that is so.
    fn close(&self, database: &Arc<Database>) -> bool {
        let mut databases = lock(&self.databases);
        let mut state = lock(&database.state);
        if state.sessions > 0 {
            return false;
        }
        state.is_kept = false;
        drop(state);
        databases.remove(&(database.connection.name.clone(), database.name.clone()));
        true
    }
}

/// One database's snapshot, and who wants what of it.
#[derive(Debug)]
struct Database {
    connection: Arc<Connection>,
    name: String,
    /// The epoch of `current`.
    epoch: AtomicU64,
    current: ArcSwapOption<CatalogSnapshot>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that take part.
    sessions: usize,
    /// There is a keeper.
    is_kept: bool,
    /// The number of the last request.
    wanted: u64,
    /// The number of the last request that was answered: a reading has ended that began after it.
    answered: u64,
    /// Somebody waits for the answer.
    is_urgent: bool,
    /// Why the last reading gave no snapshot.
    failure: Option<Arc<CatalogError>>,
    waiting: Vec<Waker>,
    keeper: Option<Waker>,
}

impl State {
    /// Has the keeper look again.
    fn wake_keeper(&mut self) {
        if let Some(waker) = self.keeper.take() {
            waker.wake();
        }
    }
}

impl Database {
    /// Sees to it that somebody reads: a keeper ends with its core, and then another core takes over.
    fn keep(self: &Arc<Self>, core: &Rc<Core>, state: &mut State) {
        if state.is_kept {
            state.wake_keeper();
        } else {
            state.is_kept = true;
            keeper::start(core, self);
        }
    }
}

/// A session's part in what is known of its database.
#[derive(Debug)]
pub(crate) struct DatabaseCatalog {
    database: Arc<Database>,
    /// What it saw last.
    snapshot: Arc<CatalogSnapshot>,
}

/// Part of a database before there is a snapshot.
struct Joined(Arc<Database>);

impl Drop for Joined {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.sessions -= 1;
        if state.sessions == 0 {
            state.wake_keeper();
        }
    }
}

/// A request for a reading, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl DatabaseCatalog {
    /// Waits until the database's objects are known as they are now, up to `connect_timeout`.
    pub(crate) async fn open(
        core: &Rc<Core>,
        connection: &Arc<Connection>,
        database: &str,
    ) -> Result<Self, Arc<CatalogError>> {
        let joined = Joined(core.catalogs.open(connection, database));
        let now = sluice_runtime::time::now();
        let current = joined.0.current.load_full();
        let current = current.filter(|snapshot| !snapshot.is_expired(now));
        let ticket = {
            let mut state = lock(&joined.0.state);
            match current {
                Some(snapshot) if state.answered >= state.wanted && state.failure.is_none() => {
                    joined.0.keep(core, &mut state);
                    drop(state);
                    return Ok(Self::joined(joined, snapshot));
                }
                Some(_) if state.answered < state.wanted => {}
                _ => state.wanted += 1,
            }
            Ticket(state.wanted)
        };
        let deadline = now + connection.connect_timeout;
        let waiting = poll_fn(|context| poll_answer(&joined.0, core, ticket, context));
        let snapshot = sluice_runtime::time::timeout(deadline, waiting)
            .await
            .map_err(|_| CatalogError::TimedOut)??;
        Ok(Self::joined(joined, snapshot))
    }

    fn joined(joined: Joined, snapshot: Arc<CatalogSnapshot>) -> Self {
        // The place among the sessions is handed on.
        let database = Arc::clone(&joined.0);
        lock(&database.state).sessions += 1;
        drop(joined);
        Self { database, snapshot }
    }

    /// The snapshot that this session saw last; [`Self::follow`] brings it up to date.
    pub(crate) fn snapshot(&self) -> &Arc<CatalogSnapshot> {
        &self.snapshot
    }

    /// Takes the snapshot in force; says whether it is another one than before.
    #[inline]
    pub(crate) fn follow(&mut self) -> bool {
        if self.database.epoch.load(Ordering::Acquire) == self.snapshot.epoch() {
            return false;
        }
        let current = self.database.current.load_full();
        current.is_some_and(|current| {
            self.snapshot = current;
            true
        })
    }

    /// Asks for a reading from now on, without waiting for it.
    pub(crate) fn request_refresh(&self, core: &Rc<Core>) -> Ticket {
        let mut state = lock(&self.database.state);
        state.wanted += 1;
        let ticket = Ticket(state.wanted);
        self.database.keep(core, &mut state);
        ticket
    }

    /// Ready once a reading has ended that began after the request, with what is known then.
    pub(crate) fn poll_refreshed(
        &mut self,
        core: &Rc<Core>,
        ticket: Ticket,
        context: &Context<'_>,
    ) -> Poll<Result<(), Arc<CatalogError>>> {
        poll_answer(&self.database, core, ticket, context).map_ok(|snapshot| self.snapshot = snapshot)
    }
}

impl Drop for DatabaseCatalog {
    fn drop(&mut self) {
        drop(Joined(Arc::clone(&self.database)));
    }
}

fn poll_answer(
    database: &Arc<Database>,
    core: &Rc<Core>,
    ticket: Ticket,
    context: &Context<'_>,
) -> Poll<Result<Arc<CatalogSnapshot>, Arc<CatalogError>>> {
    let mut state = lock(&database.state);
    if state.answered >= ticket.0 {
        return Poll::Ready(match (&state.failure, database.current.load_full()) {
            (None, Some(snapshot)) => Ok(snapshot),
            (Some(failure), _) => Err(Arc::clone(failure)),
            (None, None) => Err(Arc::new(CatalogError::TimedOut)),
        });
    }
    if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
        state.waiting.push(context.waker().clone());
    }
    state.is_urgent = true;
    database.keep(core, &mut state);
    Poll::Pending
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
