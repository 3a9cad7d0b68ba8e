//! What the sessions of one core share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use slab::Slab;
use sluice_audit::metrics::Counter;
use sluice_runtime::CoreHandle;
use sluice_runtime::helpers::Helpers;
use sluice_runtime::mailbox::Sender;
use sluice_runtime::time::Instant;

use crate::budgets::Budgets;
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::postgres::cancel::{CancelRequest, Cancels};
use crate::postgres::catalog::Catalogs;
use crate::postgres::columns::PlanCache;
use crate::postgres::unmask::StillMasked;
use crate::postgres::upstream::KeyCache;
use crate::running::Shared;
use crate::settings::{Settings, UNSEATED_PER_CORE_MAX};

/// What a core is told from elsewhere.
#[derive(Debug)]
pub(crate) enum CoreMessage {
    /// A client asks to cancel what a session of this core runs.
    Cancel(CancelRequest),
    /// A task of this core panicked.
    Panicked(String),
    /// A new policy is in force.
    PolicyReloaded { epoch: u64, policies: usize },
}

/// One core's state. It never leaves the core's thread.
pub(crate) struct Core {
    pub(crate) handle: CoreHandle,
    pub(crate) settings: Arc<Settings>,
    pub(crate) helpers: Helpers,
    pub(crate) gate: RefCell<Gate>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) cancels: RefCell<Cancels>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) keys: RefCell<KeyCache>,
    pub(crate) plans: RefCell<PlanCache>,
    pub(crate) budgets: RefCell<Budgets>,
    pub(crate) still_masked: RefCell<StillMasked>,
    /// Lends its memory to the places at which a run's rows begin.
    pub(crate) row_starts: RefCell<Vec<usize>>,
    /// The mailboxes of all cores, by index.
    pub(crate) mailboxes: Arc<[Sender<CoreMessage>]>,
    /// Tasks that are to be woken when the core ends its sessions.
    sessions: RefCell<Slab<Option<Waker>>>,
    /// How many of them are past their login.
    logged_in: Cell<usize>,
    /// Connections without a seat, which are told so.
    standing: Rc<Cell<usize>>,
    ending: Cell<bool>,
    next_session: Cell<u64>,
}

/// Bits of a session's number that count on its core; the core's index stands above them.
const SESSION_BITS: u32 = 48;

impl Core {
    pub(crate) fn new(
        handle: CoreHandle,
        shared: &Shared,
        helpers: Helpers,
        gate: Gate,
        ledger: Ledger,
    ) -> Self {
        let index = handle.index();
        Self {
            handle,
            settings: Arc::clone(&shared.settings),
            helpers,
            gate: RefCell::new(gate),
            ledger: RefCell::new(ledger),
            cancels: RefCell::new(Cancels::new(index)),
            catalogs: Arc::clone(&shared.catalogs),
            keys: RefCell::default(),
            plans: RefCell::default(),
            budgets: RefCell::new(Budgets::new(Arc::clone(&shared.accounts))),
            still_masked: RefCell::default(),
            row_starts: RefCell::default(),
            mailboxes: Arc::clone(&shared.mailboxes),
            sessions: RefCell::default(),
            standing: Rc::default(),
            logged_in: Cell::new(0),
            ending: Cell::new(false),
            next_session: Cell::new(1),
        }
    }

    /// A number for a session, unique in this start of the process.
    pub(crate) fn take_session_id(&self) -> u64 {
        let number = self.next_session.get();
        self.next_session.set(number + 1);
        (self.handle.index() as u64) << SESSION_BITS | number
    }

    /// Takes a place among the core's sessions; none if there are as many as there may be.
    pub(crate) fn take_seat(self: &Rc<Self>) -> Option<Seat> {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= self.settings.limits.sessions_per_core_max {
            return None;
        }
        let seat = sessions.insert(None);
        drop(sessions);
        self.show_sessions();
        Some(Seat {
            core: Rc::clone(self),
            place: seat,
            is_logged_in: false,
        })
    }

    /// Takes a place among those that have no seat; none if there are as many as there may be.
    pub(crate) fn take_standing(&self) -> Option<Standing> {
        if self.standing.get() >= UNSEATED_PER_CORE_MAX {
            return None;
        }
        self.standing.set(self.standing.get() + 1);
        Some(Standing(Rc::clone(&self.standing)))
    }

    /// Sets the gauges of who has a seat.
    fn show_sessions(&self) {
        let (all, logged_in) = (self.sessions(), self.logged_in.get());
        let metrics = &mut self.ledger.borrow_mut().metrics;
        metrics.set(Counter::SessionsOpen, logged_in as u64);
        metrics.set(Counter::Handshakes, all.saturating_sub(logged_in) as u64);
    }

    /// Sessions that are on the core.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Tells every session to end.
    pub(crate) fn end_sessions(&self) {
        self.ending.set(true);
        for (_, waker) in self.sessions.borrow_mut().iter_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    /// When the time for proving one's identity is over.
    pub(crate) fn authentication_deadline(&self) -> Instant {
        sluice_runtime::time::now() + self.settings.limits.authentication_timeout
    }
}

/// How long a client gets to take its last message.
pub(crate) fn farewell_deadline() -> Instant {
    const FAREWELL: Duration = Duration::from_secs(2);
    sluice_runtime::time::now() + FAREWELL
}

/// The place of a connection that has no seat.
pub(crate) struct Standing(Rc<Cell<usize>>);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A session's place on its core.
pub(crate) struct Seat {
    core: Rc<Core>,
    place: usize,
    is_logged_in: bool,
}

impl Seat {
    /// The connection is a session now.
    pub(crate) fn logged_in(&mut self) {
        self.is_logged_in = true;
        self.core.logged_in.set(self.core.logged_in.get() + 1);
        self.core.show_sessions();
    }

    /// Whether the session is told to end; its task is woken when that changes.
    pub(crate) fn is_ending(&self, context: &TaskContext<'_>) -> bool {
        if self.core.ending.get() {
            return true;
        }
        let mut sessions = self.core.sessions.borrow_mut();
        if let Some(waker) = sessions.get_mut(self.place)
            && waker
                .as_ref()
                .is_none_or(|waker| !waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
        false
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.sessions.borrow_mut().remove(self.place);
        if self.is_logged_in {
            self.core.logged_in.set(self.core.logged_in.get() - 1);
        }
        self.core.show_sessions();
    }
}
