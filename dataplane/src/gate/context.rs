//! Who asks, for what and in which state, as one number: the part of a decision's key that a session keeps.
//!
//! Each principal has a share of its own, with its contexts and its decisions. All shares together are bounded, and
//! the heaviest gives way first: who floods the cache drives out what is his own.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use sluice_parsers::sql::catalog::{Catalog, Oid};
use sluice_parsers::sql::lineage::BaseColumn;
use sluice_parsers::sql::statement::Statement;
use sluice_parsers::sql::world::{SessionNames, World};
use sluice_policy::{Client, Decision, Moment, PolicySnapshot, Principal, Told};

use super::cache::{Decisions, Weight};

/// Principals over this are forgotten; sessions keep theirs.
const PRINCIPALS_MAX: usize = 4096;

/// States of one principal's sessions over this are forgotten.
const STATES_MAX: usize = 256;

/// What policies look at in the clients of one principal's sessions: over this many they are forgotten.
const TOLD_MAX: usize = 256;

/// What is known of a session's database.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// Another one whenever anything of the rest is.
    pub epoch: u64,
    /// Its objects.
    pub catalog: Arc<Catalog>,
    /// Columns that the configuration names for masking.
    pub protected: Arc<HashSet<BaseColumn>>,
    /// Functions that the configuration takes for harmless.
    pub listed: Arc<HashSet<Oid>>,
}

/// Who asks, for what, and in which state.
#[derive(Clone, Debug)]
pub struct Context {
    /// Equal for equal contexts, and never used for another.
    pub(super) id: u64,
    /// Who asks, for which connection and database.
    pub principal: Arc<Principal>,
    /// What else policies may look at.
    pub client: Arc<Client>,
    /// The epoch of policy that was asked what it looks at in the client, and the number of that.
    pub(super) told: Cell<(u64, u64)>,
    pub(super) share: Rc<RefCell<Share>>,
    names: Arc<SessionNames>,
    database: Arc<Database>,
}

impl Context {
    /// Equal for equal contexts only.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is that of a session with these names, which are compared by their place.
    pub fn is_with(&self, names: &Arc<SessionNames>, database: &Arc<Database>) -> bool {
        Arc::ptr_eq(&self.names, names) && Arc::ptr_eq(&self.database, database)
    }

    /// What policies say of each statement.
    pub(super) fn decide(
        &self,
        policies: &PolicySnapshot,
        now: Moment,
        statements: &[Statement],
    ) -> Vec<Decision> {
        super::decide(policies, &self.principal, &self.client, now, statements)
    }

    /// What an analysis is told; `parameter_types` lie as they do on the wire.
    pub fn world(&self, parameter_types: &[u8]) -> World {
        let (types, _) = parameter_types.as_chunks::<4>();
        World {
            catalog: Arc::clone(&self.database.catalog),
            session: Arc::clone(&self.names),
            protected: Arc::clone(&self.database.protected),
            listed: Arc::clone(&self.database.listed),
            parameter_types: types
                .iter()
                .map(|bytes| Oid(u32::from_be_bytes(*bytes)))
                .collect(),
            parameter_values: Arc::default(),
        }
    }
}

/// What the cache holds for one principal.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) decisions: Decisions,
    /// The numbers of its contexts.
    states: HashMap<State, u64>,
    /// The numbers of what policies look at in its clients.
    told: HashMap<Told, u64>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct State {
    epoch: u64,
    names: Arc<SessionNames>,
}

/// All shares of a core.
#[derive(Debug)]
pub(super) struct Shares {
    principals: HashMap<Arc<Principal>, Rc<RefCell<Share>>>,
    /// Also those of principals that were forgotten, while a session has them.
    all: Vec<Weak<RefCell<Share>>>,
    contexts_made: u64,
    decisions_max: usize,
    /// About; what ended sessions held is taken out when it matters.
    held: Weight,
    nowhere: Arc<Database>,
    unnamed: Arc<SessionNames>,
}

impl Shares {
    pub(super) fn new(decisions_max: usize) -> Self {
        Self {
            principals: HashMap::new(),
            all: Vec::new(),
            contexts_made: 0,
            decisions_max,
            held: Weight::default(),
            nowhere: Arc::default(),
            unnamed: Arc::default(),
        }
    }

    /// The context of a principal whose session's state and database are not known.
    pub(super) fn context(&mut self, principal: Principal, client: Client) -> Context {
        if self.principals.len() >= PRINCIPALS_MAX {
            self.principals.clear();
        }
        let principal = Arc::new(principal);
        let known = self.principals.get_key_value(&principal);
        let known = known.map(|(principal, share)| (Arc::clone(principal), Rc::clone(share)));
        let (principal, share) = known.unwrap_or_else(|| {
            let share = self.share();
            self.principals.insert(Arc::clone(&principal), Rc::clone(&share));
            (principal, share)
        });
        let context = Context {
            id: 0,
            principal,
            client: Arc::new(client),
            told: Cell::default(),
            share,
            names: Arc::clone(&self.unnamed),
            database: Arc::clone(&self.nowhere),
        };
        self.context_in(&context, &context.names, &context.database)
    }

    fn share(&mut self) -> Rc<RefCell<Share>> {
        let share = Rc::new(RefCell::new(Share {
            decisions: Decisions::new(self.decisions_max),
            states: HashMap::new(),
            told: HashMap::new(),
        }));
        if self.all.len() == self.all.capacity() {
            self.all.retain(|share| share.strong_count() > 0);
        }
        self.all.push(Rc::downgrade(&share));
        share
    }

    /// The same principal's context in another state.
    pub(super) fn context_in(
        &mut self,
        context: &Context,
        names: &Arc<SessionNames>,
        database: &Arc<Database>,
    ) -> Context {
        let mut share = context.share.borrow_mut();
        if share.states.len() >= STATES_MAX {
            share.states.clear();
        }
        let state = State {
            epoch: database.epoch,
            names: Arc::clone(names),
        };
        let id = *share.states.entry(state).or_insert_with(|| {
            // Numbers are never used twice, so a forgotten context's decisions are nobody's.
            self.contexts_made += 1;
            self.contexts_made
        });
        drop(share);
        Context {
            id,
            principal: Arc::clone(&context.principal),
            client: Arc::clone(&context.client),
            told: context.told.clone(),
            share: Rc::clone(&context.share),
            names: Arc::clone(names),
            database: Arc::clone(database),
        }
    }

    /// The number of what policies look at in a client; equal for equal things, and never used for another.
    pub(super) fn told(&mut self, share: &Rc<RefCell<Share>>, told: Told) -> u64 {
        let known = &mut share.borrow_mut().told;
        if known.len() >= TOLD_MAX && !known.contains_key(&told) {
            known.clear();
        }
        *known.entry(told).or_insert_with(|| {
            self.contexts_made += 1;
            self.contexts_made
        })
    }

    /// Forgets every decision.
    pub(super) fn clear(&mut self) {
        for share in self.all.iter().filter_map(Weak::upgrade) {
            share.borrow_mut().decisions.clear();
        }
        self.held = Weight::default();
    }

    /// Another decision was put into a share that weighed so much before: the heaviest make room.
    pub(super) fn grown(&mut self, share: &Rc<RefCell<Share>>, before: Weight) {
        self.held.replace(before, share.borrow().decisions.weight());
        if !self.held.is_over(self.decisions_max) {
            return;
        }
        self.all.retain(|share| share.strong_count() > 0);
        loop {
            let mut held = Weight::default();
            let mut heaviest: Option<(Weight, Rc<RefCell<Share>>)> = None;
            for share in self.all.iter().filter_map(Weak::upgrade) {
                let weight = share.borrow().decisions.weight();
                held.add(weight);
                if heaviest
                    .as_ref()
                    .is_none_or(|(most, _)| weight.is_more_than(*most))
                {
                    heaviest = Some((weight, share));
                }
            }
            self.held = held;
            match heaviest {
                Some((weight, share)) if held.is_over(self.decisions_max) && weight != Weight::default() => {
                    share.borrow_mut().decisions.shed();
                }
                _ => return,
            }
        }
    }

    /// How many decisions are kept.
    pub(super) fn decisions(&self) -> usize {
        let shares = self.all.iter().filter_map(Weak::upgrade);
        shares.map(|share| share.borrow().decisions.len()).sum()
    }
}
