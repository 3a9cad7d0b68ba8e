//! Cancel requests: the client's key is the gateway's own and leads to the server's.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use slab::Slab;
use sluice_audit::record::{Event, EventKind};
use sluice_parsers::postgres::startup::{self, CancelKey};
use sluice_runtime::task::store_waker;
use subtle::ConstantTimeEq as _;

use super::upstream::{self, UpstreamError};
use crate::core::{Core, CoreMessage};
use crate::settings::Connection;

/// Bits of a key's process number that name the session on its core; the core's index stands above them.
const SLOT_BITS: u32 = 20;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// A client asks to cancel.
#[derive(Debug)]
pub(crate) struct CancelRequest {
    pub(crate) key: CancelKey,
    /// Where it came from, for the record.
    pub(crate) client: String,
}

/// Where a session's statements run.
#[derive(Clone)]
struct Target {
    secret: u32,
    connection: Arc<Connection>,
    address: SocketAddr,
    key: CancelKey,
    session: u64,
    withdrawal: Rc<Withdrawal>,
}

/// What a cancel does to a message that is not sent yet: no server can cancel that.
#[derive(Default)]
pub(crate) struct Withdrawal {
    state: Cell<Withdrawable>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Withdrawable {
    /// None waits, or the server runs something, which a cancel is for.
    #[default]
    Nothing,
    Waits,
    Asked,
}

impl Withdrawal {
    /// A message waits, or does no more.
    pub(crate) fn waits(&self, waits: bool) {
        let state = if waits {
            Withdrawable::Waits
        } else {
            Withdrawable::Nothing
        };
        self.state.set(state);
    }

    /// Whether the client has asked for the message that waits.
    pub(crate) fn poll_asked(&self, context: &Context<'_>) -> bool {
        store_waker(&mut self.waker.borrow_mut(), context);
        self.state.get() == Withdrawable::Asked
    }

    /// Asks for it; says whether one waits.
    fn ask(&self) -> bool {
        if self.state.get() == Withdrawable::Nothing {
            return false;
        }
        self.state.set(Withdrawable::Asked);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
        true
    }
}

/// The keys of one core's sessions.
pub(crate) struct Cancels {
    core: usize,
    targets: Slab<Target>,
}

impl Cancels {
    pub(crate) fn new(core: usize) -> Self {
        Self {
            core,
            targets: Slab::new(),
        }
    }

    /// The key for a session's client; none if the server gave none, or there are too many sessions.
    fn register(&mut self, target: Target) -> Option<(usize, CancelKey)> {
        let secret = target.secret;
        let slot = self.targets.insert(target);
        let (core, low) = (u32::try_from(self.core).ok()?, u32::try_from(slot).ok()?);
        if low > SLOT_MASK {
            self.targets.remove(slot);
            return None;
        }
        // Never zero: a process number of zero is nobody's.
        Some((
            slot,
            CancelKey {
                process: (core << SLOT_BITS | low) + 1,
                secret,
            },
        ))
    }

    /// The session that a key is for, if the secret is right.
    fn find(&self, key: CancelKey) -> Option<&Target> {
        let slot = (key.process.checked_sub(1)? & SLOT_MASK) as usize;
        let target = self.targets.get(slot)?;
        bool::from(target.secret.ct_eq(&key.secret)).then_some(target)
    }
}

/// A session's key, until the session ends.
pub(crate) struct Registration {
    core: Rc<Core>,
    slot: usize,
    pub(crate) key: CancelKey,
    pub(crate) withdrawal: Rc<Withdrawal>,
}

impl Registration {
    /// Gives a session a key of its own for the server's.
    pub(crate) fn new(
        core: &Rc<Core>,
        secret: u32,
        connection: &Arc<Connection>,
        address: SocketAddr,
        key: CancelKey,
        session: u64,
    ) -> Option<Self> {
        let withdrawal = Rc::<Withdrawal>::default();
        let target = Target {
            secret,
            connection: Arc::clone(connection),
            address,
            key,
            session,
            withdrawal: Rc::clone(&withdrawal),
        };
        let (slot, key) = core.cancels.borrow_mut().register(target)?;
        Some(Self {
            core: Rc::clone(core),
            slot,
            key,
            withdrawal,
        })
    }

    /// Asks the server to cancel what the session runs, on the gateway's own account.
    pub(crate) fn stop(&self) -> impl Future<Output = Result<(), UpstreamError>> + use<> {
        let core = Rc::clone(&self.core);
        let target = self.core.cancels.borrow().targets.get(self.slot).cloned();
        async move {
            match target {
                Some(target) => target.pass_on(&core).await,
                None => Ok(()),
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.core.cancels.borrow_mut().targets.remove(self.slot);
    }
}

/// Passes a request on to the core that its key names.
pub(crate) async fn route(core: &Rc<Core>, request: CancelRequest) {
    let owner = (request.key.process.saturating_sub(1) >> SLOT_BITS) as usize;
    if owner == core.handle.index() {
        return cancel(core, request).await;
    }
    let sent = core
        .mailboxes
        .get(owner)
        .map(|mailbox| mailbox.send(CoreMessage::Cancel(request)));
    if !matches!(sent, Some(Ok(()))) {
        core.ledger.borrow_mut().event(
            0,
            Event {
                event: EventKind::CancelRefused,
                ..Event::default()
            },
        );
    }
}

/// Cancels what a session of this core runs; a stranger's key cancels nothing.
pub(crate) async fn cancel(core: &Rc<Core>, request: CancelRequest) {
    let target = core.cancels.borrow().find(request.key).cloned();
    let Some(target) = target else {
        let event = Event {
            event: EventKind::CancelRefused,
            client: &request.client,
            ..Event::default()
        };
        core.ledger.borrow_mut().event(0, event);
        return;
    };
    let event = Event {
        event: EventKind::Cancelled,
        client: &request.client,
        connection: &target.connection.name,
        ..Event::default()
    };
    core.ledger.borrow_mut().event(target.session, event);
    if target.withdrawal.ask() {
        return;
    }
    if let Err(error) = target.pass_on(core).await {
        tracing::warn!(connection = target.connection.name, %error, "a cancel request did not reach the server");
    }
}

impl Target {
    /// Asks the server to cancel what the session runs. When that has returned, the server has sent its signal.
    async fn pass_on(&self, core: &Core) -> Result<(), UpstreamError> {
        let mut packet = Vec::new();
        startup::cancel_request(&mut packet, self.key);
        let deadline = sluice_runtime::time::now() + self.connection.connect_timeout;
        let passed_on = async {
            let mut stream = upstream::dial(core, &self.connection, self.address, deadline).await?;
            stream.send(packet)?;
            // The server closes when it has sent the signal.
            while stream.receive().await?.is_some() {}
            Ok(())
        };
        let passed_on = sluice_runtime::time::timeout(deadline, passed_on).await;
        passed_on.unwrap_or(Err(UpstreamError::TimedOut))
    }
}
