//! What a session *is*: the settings, roles and transaction that decide what its next statement means.
//!
//! There is no socket here. Two [`Settings`] follow the session: one as the server has confirmed it, one as it will be
//! once all that was sent has succeeded. Messages come in *cycles*, each ended by a Query, a function call or a Sync and
//! answered by one `ReadyForQuery`. Inside of a cycle a failure skips the rest, so what was sent before in it may be
//! taken for done. Across its end that does not hold: then a statement waits until the answers are in, unless none of
//! them could make a difference ([`State::view`]). What nobody can foresee leaves values unknown until they are read
//! from the server again.
//!
//! The common statement changes nothing that is kept here and costs a comparison.

mod change;
#[cfg(test)]
mod oracle;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use sluice_parsers::postgres::backend::TransactionStatus;
use sluice_parsers::sql::catalog::Oid;
use sluice_parsers::sql::resolve::parse_name_list;
use sluice_parsers::sql::world::{Deferred, SessionNames, Touched};

pub(crate) use change::Change;
pub(crate) use read::{READ_AGAIN, READ_AT_START, Readings, Start};
pub(crate) use settings::Tracked;
use transaction::{NO_ROLE, Settings, Value, Values};

/// What is known of the state in which the next statement would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// It is as [`State::names`] says.
    Certain,
    /// It depends on answers that are still to come: the statement has to wait for them.
    InDoubt,
    /// Nobody knows: what depends on it is opaque, until it is read again between two cycles.
    Unknown,
}

/// A statement that was sent and changes something.
#[derive(Debug)]
struct Sent {
    cycle: u64,
    /// Its place in a Query; none of an Execute.
    statement: Option<u32>,
    change: Change,
    /// And it may run unseen code that an earlier statement has left behind.
    runs_unseen: bool,
}

impl Sent {
    fn succeeded(&self, settings: &mut Settings) {
        settings.succeeded(&self.change);
        if self.runs_unseen {
            settings.succeeded(&Change::UNSEEN);
        }
    }
}

/// The state of one session.
#[derive(Debug)]
pub(crate) struct State {
    /// As far as the server has answered.
    confirmed: Settings,
    /// With all that was sent.
    foreseen: Settings,
    /// What is between the two, in the order in which it was sent.
    sent: VecDeque<Sent>,
    /// The number of the cycle that is being sent.
    cycle: u64,
    /// The last cycle that the server has answered.
    answered: u64,
    /// The last ended cycle whose outcome decides about values.
    in_doubt_up_to: u64,
    /// The last cycle that became such a one; it may not have ended yet.
    put_in_doubt: u64,
    /// What was sent has not all succeeded: what is foreseen has to be worked out again.
    has_diverged: bool,
    /// Code that is not seen ran in this transaction: its cursors and deferred triggers may run more of it.
    has_left_unseen: bool,
    /// What statements may have left to the end of a transaction that is not over yet.
    deferred: Deferred,
    /// The cycle of the last of them.
    deferred_in: u64,
    /// The cycle in which the end of that was sent: what stands behind it there runs after it, or not at all.
    ended_in: u64,
    temporary_schema: Oid,
    touched: Touched,
    /// What a reading in the transaction that is open has shown.
    shown: Touched,
    /// All values are known of what is foreseen.
    is_known: bool,
    /// The values that `names` are of.
    named: Rc<Values>,
    names: Arc<SessionNames>,
    /// The same with what is deferred; none before something was.
    names_deferred: Option<Arc<SessionNames>>,
    /// The role that logged in.
    login: Box<str>,
    /// The search path that it has by itself; none if that is not known.
    login_path: Value,
}

impl State {
    /// A session at its start.
    pub(crate) fn new(start: &Start) -> Self {
        let settings = Settings::new(Values::of(&start.values));
        let named = Rc::clone(settings.values());
        let mut state = Self {
            confirmed: settings.clone(),
            foreseen: settings,
            sent: VecDeque::new(),
            cycle: 1,
            answered: 0,
            in_doubt_up_to: 0,
            put_in_doubt: 0,
            has_diverged: false,
            has_left_unseen: false,
            deferred: Deferred::Nothing,
            deferred_in: 0,
            ended_in: 0,
            temporary_schema: start.temporary_schema,
            touched: Touched::Nothing,
            shown: Touched::Nothing,
            is_known: true,
            names: Arc::default(),
            names_deferred: None,
            login: start.login.clone(),
            login_path: start.values[Tracked::SearchPath as usize]
                .clone()
                .filter(|_| !start.path_is_the_clients),
            named,
        };
        state.name_again();
        state
    }

    /// What is known of the state in which a statement sent now would run. `is_idle` says that the server has answered
    /// everything.
    pub(crate) fn view(&self, is_idle: bool) -> View {
        if self.in_doubt_up_to > self.answered && !is_idle {
            View::InDoubt
        } else if self.is_known {
            View::Certain
        } else {
            View::Unknown
        }
    }

    /// Whether nothing is in doubt or unknown, as nearly always.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.is_known && self.in_doubt_up_to <= self.answered
    }

    /// Whether values are to be read again, which can be done when the server waits for a new cycle.
    pub(crate) fn wants_reading(&self) -> bool {
        !self.is_known && !self.confirmed.has_failed() && self.sent.is_empty()
    }

    /// Whether how text is read is known.
    pub(crate) fn lexing_is_known(&self) -> bool {
        self.foreseen.values().lexing_is_known()
    }

    /// What decides about names for a statement sent now. What is not known is as it was, and every name is uncertain.
    pub(crate) fn names(&self) -> &Arc<SessionNames> {
        match &self.names_deferred {
            Some(names) if self.has_deferred() => names,
            _ => &self.names,
        }
    }

    /// A statement goes up that may leave something to the end of its transaction.
    pub(crate) fn defers(&mut self, what: Deferred) {
        if what == Deferred::Nothing {
            return;
        }
        self.deferred = self.deferred.max(what);
        self.deferred_in = self.cycle;
        self.ended_in = 0;
        if !matches!(&self.names_deferred, Some(names) if names.deferred == self.deferred) {
            self.names_deferred = Some(deferred_names(&self.names, self.deferred));
        }
    }

    /// A statement goes up that is the end of the transaction, if it runs.
    pub(crate) fn ends_transaction(&mut self) {
        self.ended_in = self.cycle;
    }

    /// Whether the transaction in which a statement sent now would run may have left something to its end.
    fn has_deferred(&self) -> bool {
        self.deferred != Deferred::Nothing && self.ended_in != self.cycle
    }

    /// The number of the cycle that is being sent.
    pub(crate) fn cycle(&self) -> u64 {
        self.cycle
    }

    /// A statement goes up; `statement` is its place in a Query. Says whether its success has to be told.
    pub(crate) fn sent(&mut self, change: &Change, statement: Option<u32>) -> bool {
        let runs_unseen = self.has_left_unseen && change.runs_what_was_left();
        if self.foreseen.ignores(change) && !runs_unseen {
            return false;
        }
        let is_unforeseen = change.is_unforeseen() || runs_unseen;
        if runs_unseen || *change == Change::UNSEEN {
            self.touches(&Touched::Everything);
        }
        self.has_left_unseen |= is_unforeseen;
        let sent = Sent {
            cycle: self.cycle,
            statement,
            change: change.clone(),
            runs_unseen,
        };
        let before = Rc::clone(self.foreseen.values());
        let mut is_in_doubt = is_unforeseen || self.foreseen.is_ended_by(change);
        sent.succeeded(&mut self.foreseen);
        let now = self.foreseen.values();
        is_in_doubt |= !Rc::ptr_eq(&before, now) && before != *now;
        if is_in_doubt {
            self.put_in_doubt = self.cycle;
        }
        self.sent.push_back(sent);
        self.name();
        true
    }

    /// Objects that a statement makes, drops or changes may be what a name means from now on.
    pub(crate) fn touches(&mut self, touches: &Touched) {
        if self.touched.extend(touches) {
            self.name_again();
        }
    }

    /// The message that ends a cycle goes up.
    pub(crate) fn cycle_sent(&mut self) {
        if self.put_in_doubt == self.cycle {
            self.in_doubt_up_to = self.cycle;
            self.foreseen.cycle_ended();
            self.name();
        } else if !self.sent.is_empty() {
            self.foreseen.cycle_ended();
        }
        self.cycle += 1;
    }

    /// Statement `statement` of the Query of a cycle has succeeded.
    pub(crate) fn query_statement_succeeded(&mut self, cycle: u64, statement: u32) {
        let is_it = self
            .sent
            .front()
            .is_some_and(|sent| sent.cycle == cycle && sent.statement == Some(statement));
        if is_it {
            self.front_succeeded();
        }
    }

    /// An Execute that was sent with a change has succeeded, or stopped at its limit of rows.
    pub(crate) fn execution_succeeded(&mut self) {
        if self.sent.front().is_some_and(|sent| sent.statement.is_none()) {
            self.front_succeeded();
        }
    }

    fn front_succeeded(&mut self) {
        if let Some(sent) = self.sent.pop_front() {
            sent.succeeded(&mut self.confirmed);
        }
    }

    /// A message has failed: the server skips the rest of its cycle.
    pub(crate) fn failed(&mut self) {
        self.confirmed.failed();
        self.has_diverged = true;
    }

    /// The end of a cycle was none: a Sync that the server read among COPY data, or what it skipped behind a failure.
    pub(crate) fn cycle_goes_on(&mut self, cycle: u64) {
        self.answered = self.answered.max(cycle);
        if self.deferred_in == cycle {
            self.deferred_in = cycle + 1;
        }
        self.ended_in = 0;
        if self.in_doubt_up_to == cycle {
            if cycle + 1 == self.cycle {
                self.put_in_doubt = self.cycle;
            } else {
                self.in_doubt_up_to = cycle + 1;
            }
        }
        for sent in &mut self.sent {
            if sent.cycle == cycle {
                sent.cycle = cycle + 1;
            }
        }
        self.foresee();
    }

    /// The answer to a cycle is complete. `cycle` is none where nobody can tell which one it was.
    pub(crate) fn ready(&mut self, cycle: Option<u64>, status: TransactionStatus) {
        self.confirmed.is_told(status);
        let cycle = cycle.unwrap_or(0);
        self.answered = self.answered.max(cycle);
        while self.sent.pop_front_if(|sent| sent.cycle <= cycle).is_some() {
            self.has_diverged = true;
        }
        if status == TransactionStatus::Idle && self.deferred_in <= cycle {
            self.deferred = Deferred::Nothing;
        }
        self.has_left_unseen &= status != TransactionStatus::Idle || !self.sent.is_empty();
        if self.has_diverged || self.sent.is_empty() && !self.confirmed.is_like(&self.foreseen) {
            self.foresee();
        }
    }

    /// The server has told the values in force, between two cycles.
    pub(crate) fn was_read(&mut self, readings: &Readings) {
        self.confirmed.was_read(&readings.values);
        self.foresee();
    }

    /// The catalog was read after everything that this session has done, which has no temporary objects.
    pub(crate) fn catalog_was_read(&mut self) {
        self.shown = Touched::Nothing;
        if self.touched != Touched::Nothing {
            self.touched = Touched::Nothing;
            self.name_again();
        }
    }

    /// The catalog was read as this session sees it.
    pub(crate) fn catalog_was_read_here(&mut self) {
        self.shown.extend(&std::mem::take(&mut self.touched));
        self.name_again();
    }

    /// That reading holds no more: what it had shown is uncertain again.
    pub(crate) fn catalog_is_gone(&mut self) {
        self.touched.extend(&std::mem::take(&mut self.shown));
        self.name_again();
    }

    /// Whether the catalog does not show yet what this session has done.
    pub(crate) fn wants_catalog(&self) -> bool {
        self.touched != Touched::Nothing
    }

    /// Whether the session has, or had, temporary objects.
    pub(crate) fn has_temporary_schema(&self) -> bool {
        !self.temporary_schema.is_none()
    }

    /// The session's own schema of temporary objects.
    pub(crate) fn set_temporary_schema(&mut self, schema: Oid) {
        if self.temporary_schema != schema {
            self.temporary_schema = schema;
            self.name_again();
        }
    }

    /// The value in force as the server has confirmed it, in the form of [`Tracked::parse`].
    pub(crate) fn confirmed(&self, setting: Tracked) -> Option<&str> {
        self.confirmed.values().now(setting).map(|value| &**value)
    }

    /// A setting has another value than everything that was seen would give it.
    pub(crate) fn forget(&mut self, setting: Tracked) {
        let change = Change::Unknown(change::SettingSet::default().with(setting));
        self.confirmed.succeeded(&change);
        self.foresee();
    }

    /// Works out again what will be once all that is still out has succeeded.
    fn foresee(&mut self) {
        self.has_diverged = false;
        self.foreseen = self.confirmed.clone();
        let mut cycle = self.sent.front().map_or(self.cycle, |sent| sent.cycle);
        for sent in &self.sent {
            if sent.cycle != cycle {
                self.foreseen.cycle_ended();
                cycle = sent.cycle;
            }
            sent.succeeded(&mut self.foreseen);
        }
        if cycle != self.cycle {
            self.foreseen.cycle_ended();
        }
        self.name();
    }

    /// Follows the values.
    fn name(&mut self) {
        if !Rc::ptr_eq(&self.named, self.foreseen.values()) {
            self.named = Rc::clone(self.foreseen.values());
            self.is_known = self.named.are_known();
            self.name_again();
        }
    }

    fn name_again(&mut self) {
        let values = &self.named;
        let known = |setting| values.now(setting).map(|value| &**value);
        let (path, role, login) = (
            known(Tracked::SearchPath),
            known(Tracked::Role),
            known(Tracked::SessionAuthorization),
        );
        let role = match role {
            Some(NO_ROLE) => login,
            role => role,
        };
        let is_known = path.is_some() && role.is_some();
        let path_is_default = path.is_some() && path == self.login_path.as_deref();
        let mut touched = self.touched.clone();
        if !is_known {
            touched.extend(&Touched::EveryName);
        }
        let path = path.and_then(parse_name_list).map(Into::into);
        let names = SessionNames {
            search_path: path.unwrap_or_else(|| self.names.search_path.clone()),
            path_is_default,
            role: role.map_or_else(|| self.names.role.clone(), Into::into),
            role_is_login: role == Some(&*self.login),
            temporary_schema: self.temporary_schema,
            touched,
            deferred: Deferred::Nothing,
        };
        if names != *self.names {
            self.names = Arc::new(names);
            if let Some(before) = &mut self.names_deferred {
                *before = deferred_names(&self.names, before.deferred);
            }
        }
    }
}

/// The same names with what is deferred.
fn deferred_names(names: &SessionNames, deferred: Deferred) -> Arc<SessionNames> {
    Arc::new(SessionNames {
        deferred,
        ..names.clone()
    })
}
