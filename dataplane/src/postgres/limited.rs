//! A statement to which policy sets limits, from its message to the end of its answer.
//!
//! Nothing of the client's goes up behind such a message before it is answered, so there is at most one, and it can
//! still be failed at its place:
//!
//! * What only reads is cut. An Execute asks for one row more than is left; if the portal has it, or the statement was
//!   done before it could be stopped, a message that must fail goes up behind it, so that the server is where the client
//!   is told that it is. Where rows cannot be counted before they come (a Query, COPY, bytes, time) the server is asked to
//!   cancel. A Query that was done before that in a transaction is failed by another one behind it.
//! * What writes has been done when its rows come: they are withheld, and it completes with a warning.
//! * How many rows were changed is known when the statement is complete, and what is not yet committed can be failed: an
//!   Execute before its Sync, a Query in a transaction.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_audit::record::EndReason;
use sluice_parsers::postgres::SqlState;
use sluice_parsers::postgres::backend::encode::{Report, Severity};
use sluice_parsers::postgres::backend::{CommandComplete, CopyResponse, Format, TransactionStatus};
use sluice_policy::{Cause, Limits, Measure, UsedUp};
use sluice_runtime::time::{Instant, now};
use smallvec::SmallVec;

use super::client::detail_of_budget;
use super::deny::Kind;
use super::session::{DETAIL_VERSION, End, Session};
use super::statements::{Portal, Refusal, Run};
use crate::budgets::{AnswerBudgets, Drawn};

/// How long the server may take to end a statement that it was asked to cancel.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// When it is asked again.
const STOP_AGAIN: Duration = Duration::from_secs(1);

/// `successful_completion` with a warning.
const WARNING: SqlState = SqlState(*b"01000");

/// What one statement of the message may use up.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) limits: Limits,
    /// What of budgets its answer uses up.
    pub(crate) answer: Option<Rc<AnswerBudgets>>,
    /// It changes nothing, so it can be cut.
    pub(crate) is_reading: bool,
    /// It is a COPY, which gives all of its rows whatever an Execute asks for.
    pub(crate) is_copy: bool,
}

impl Bounds {
    /// Whether anything bounds the statement.
    pub(super) fn are_any(&self) -> bool {
        !self.limits.is_none() || self.answer.is_some()
    }
}

/// The limit that a statement has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// `@max_rows`
    Rows(u64),
    /// `@max_bytes`
    Bytes(u64),
    /// `@max_time`
    Time(Duration),
    /// `@max_affected`, and how many rows it changed.
    Affected { max: u64, changed: u64 },
    /// `@budget`
    /// None where it cannot be told which.
    Budget(Option<UsedUp>),
}

/// Asking the server to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Not,
    Wanted,
    /// On its way: it may strike whatever the server runs.
    Asked,
    /// The server has it. Code that catches the error is asked again at the first moment; by the other the statement has to
    /// be over.
    Done {
        again: Instant,
        by: Instant,
    },
}

/// Failing behind it what the client is told has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    Not,
    Due,
    Sent,
}

/// What becomes of the message that ends a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It passes.
    Passes,
    /// This goes to the client in front of it.
    Warns(Vec<u8>),
    /// It did what it must not, or was done before it could be stopped: the client is told that it failed.
    Fails,
}

/// The statement, and what it may yet use up.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what has happened, in respects that do not depend on each other"
)]
#[derive(Debug)]
pub(crate) struct Limited {
    kind: Kind,
    /// Of the message's statements those with limits, by their place.
    bounds: SmallVec<[(u32, Bounds); 1]>,
    /// How many statements the message has.
    count: u32,
    /// No statement of the message changes anything.
    only_reads: bool,
    /// Of an Execute that asked for one row more than is left: how many of them may still come.
    rows_asked: Option<u64>,
    portal: Option<Rc<Portal>>,
    /// The first statement's.
    run: Run,
    /// The statement that is being answered, and its part of `bounds`.
    statement: u32,
    current: Option<Bounds>,
    rows_left: u64,
    bytes_left: u64,
    /// The rows that budgets let it give.
    drawn: Option<Drawn>,
    /// How many of its masked values are charged.
    masked: u64,
    /// When the server began with the message, and when all of it has to be over.
    has_begun: bool,
    deadline: Option<Instant>,
    /// Its time is up. Rows go on to the client until the server stops; it may be done by then.
    is_late: bool,
    over: Option<Over>,
    /// The server has failed it with an error that is longer than what is left.
    tells_too_much: bool,
    stop: Stop,
    /// When the server has had all the time that it gets to stop.
    stops_by: Option<Instant>,
    settling: Settling,
    /// The client was told that it failed, and the server did it.
    is_told: bool,
    is_answered: bool,
}

impl Limited {
    /// Of a Query of so many statements.
    pub(super) fn of_query(
        bounds: SmallVec<[(u32, Bounds); 1]>,
        count: u32,
        only_reads: bool,
        run: Run,
    ) -> Self {
        Self {
            count,
            only_reads,
            ..Self::new(Kind::Query, bounds, run)
        }
    }

    /// Of an Execute of a portal.
    pub(super) fn of_execute(bounds: Bounds, portal: &Rc<Portal>, run: Run) -> Self {
        let mut limited = Self::new(Kind::Execute, SmallVec::from_iter([(0, bounds)]), run);
        let (rows, bytes) = portal.given.get();
        limited.rows_left = limited.rows_left.saturating_sub(rows);
        limited.bytes_left = limited.bytes_left.saturating_sub(bytes);
        limited.portal = Some(Rc::clone(portal));
        limited
    }

    fn new(kind: Kind, bounds: SmallVec<[(u32, Bounds); 1]>, run: Run) -> Self {
        let mut limited = Self {
            kind,
            bounds,
            count: 1,
            only_reads: true,
            rows_asked: None,
            portal: None,
            run,
            statement: 0,
            current: None,
            rows_left: 0,
            bytes_left: 0,
            drawn: None,
            masked: 0,
            has_begun: false,
            deadline: None,
            is_late: false,
            over: None,
            tells_too_much: false,
            stop: Stop::Not,
            stops_by: None,
            settling: Settling::Not,
            is_told: false,
            is_answered: false,
        };
        limited.enter(0);
        limited
    }

    /// How many rows the Execute has to ask for instead of what the client does, where 0 is all.
    pub(super) fn rows_to_ask(&mut self, asked: i32) -> Option<i32> {
        let Bounds {
            limits,
            is_reading,
            is_copy,
            ..
        } = self.current.as_ref()?;
        if !is_reading || *is_copy || limits.max_rows.is_none() && self.drawn.is_none() {
            return None;
        }
        let left = self
            .drawn
            .as_ref()
            .map_or(u64::MAX, Drawn::room)
            .min(self.rows_left);
        let more = i32::try_from(left.saturating_add(1)).ok()?;
        if asked > 0 && asked < more {
            return None;
        }
        self.rows_asked = Some(left);
        Some(more)
    }

    fn enter(&mut self, statement: u32) {
        let bounds = self.bounds.iter().find(|(place, _)| *place == statement);
        let limits = bounds.map(|(_, bounds)| bounds.limits).unwrap_or_default();
        self.statement = statement;
        self.current = bounds.map(|(_, bounds)| bounds.clone());
        let counts_rows = self.answer().filter(|answer| !answer.rows.is_empty());
        self.drawn = counts_rows.map(|answer| Drawn::new(Rc::clone(answer)));
        self.masked = 0;
        self.rows_left = limits.max_rows.unwrap_or(u64::MAX);
        self.bytes_left = limits.max_bytes.unwrap_or(u64::MAX);
        // What was withheld of another one has been told.
        self.over = None;
    }

    /// The time for all of the message's statements together: the server tells of none before all are done, or its buffer
    /// is full. Statements without a limit have no time of their own beside those that have one.
    fn time(&self) -> Option<Duration> {
        let times = self
            .bounds
            .iter()
            .filter_map(|(_, bounds)| bounds.limits.max_time);
        times.reduce(Duration::saturating_add)
    }

    fn is_reading(&self) -> bool {
        self.current.as_ref().is_some_and(|bounds| bounds.is_reading)
    }

    /// Whether a row of a statement still goes to the client.
    fn takes(&mut self, statement: u32, bytes: u64) -> bool {
        if self.is_told {
            return false;
        }
        if statement != self.statement {
            self.enter(statement);
        }
        if self.over.is_some() {
            return false;
        }
        let Some(Bounds { limits, .. }) = &self.current else {
            return true;
        };
        let over = match (self.rows_left.checked_sub(1), self.bytes_left.checked_sub(bytes)) {
            (Some(_), Some(_)) => match self.draw() {
                Ok(()) => {
                    self.given(1, bytes);
                    return true;
                }
                Err(used_up) => Over::Budget(used_up),
            },
            (None, _) => Over::Rows(limits.max_rows.unwrap_or_default()),
            (_, None) => Over::Bytes(limits.max_bytes.unwrap_or_default()),
        };
        self.pass(over);
        false
    }

    /// Sees to it that budgets let it give a row.
    fn draw(&mut self) -> Result<(), Option<UsedUp>> {
        match &mut self.drawn {
            // The row beyond what was left when it was asked: the portal stops behind it, whatever there is room for by now.
            Some(drawn) if self.rows_asked == Some(0) => Err(drawn.used_up()),
            Some(drawn) => drawn.draw(),
            None => Ok(()),
        }
    }

    /// Rows went to the client.
    fn given(&mut self, rows: u64, bytes: u64) {
        self.rows_left = self.rows_left.saturating_sub(rows);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        if let Some(asked) = &mut self.rows_asked {
            *asked = asked.saturating_sub(rows);
        }
        if let Some(drawn) = &mut self.drawn {
            drawn.given(rows);
        }
    }

    /// A row that was to go to the client did not.
    fn withheld(&mut self, bytes: u64) {
        self.rows_left = self.rows_left.saturating_add(1);
        self.bytes_left = self.bytes_left.saturating_add(bytes);
        if let Some(drawn) = &mut self.drawn {
            drawn.not_given();
        }
    }

    /// Charges what was masked of the statement so far. Without room for it, it is over: nothing is charged, but for what was
    /// given already.
    fn charge_masked(&mut self, masked: u64, is_given: bool) -> bool {
        let more = masked.saturating_sub(self.masked);
        let counts = |answer: &&Rc<AnswerBudgets>| more > 0 && !answer.masked.is_empty();
        let Some(answer) = self.answer().filter(counts) else {
            return true;
        };
        let charged = answer.masked.charge(more);
        if charged.is_err() && is_given {
            answer.masked.charge_given(more);
        }
        if charged.is_ok() || is_given {
            self.masked = masked;
        }
        let Err(used_up) = charged else {
            return true;
        };
        self.pass_budget(used_up);
        false
    }

    /// Whether there is room for masked values that are known only when they are on their way.
    fn has_room_for_masked(&mut self) -> bool {
        let full = self.answer().filter(|answer| !answer.masked.has_room());
        let Some(used_up) = full.map(|answer| answer.masked.used_up()) else {
            return true;
        };
        self.pass_budget(used_up);
        false
    }

    /// What of budgets the answer of the present statement uses up.
    fn answer(&self) -> Option<&Rc<AnswerBudgets>> {
        self.current.as_ref()?.answer.as_ref()
    }

    /// How many more rows may be given without a look: those that are drawn, and no more than were asked for.
    fn rows_ready(&self) -> u64 {
        let drawn = self.drawn.as_ref().map_or(u64::MAX, Drawn::left);
        let asked = self.rows_asked.unwrap_or(u64::MAX);
        self.rows_left.min(drawn).min(asked)
    }

    fn pass_budget(&mut self, used_up: Option<UsedUp>) {
        if self.over.is_none() && !self.is_told {
            self.pass(Over::Budget(used_up));
        }
    }

    fn pass(&mut self, over: Over) {
        // The row that it asked for beyond what is left.
        let ends_by_itself = self.rows_asked == Some(0) && !matches!(over, Over::Bytes(_));
        self.over = Some(over);
        if self.is_reading() && !ends_by_itself && self.stop == Stop::Not {
            self.stop = Stop::Wanted;
        }
    }

    /// What becomes of the message that says that a statement is done, or that its portal has more rows.
    fn ended(&mut self, statement: u32, body: &[u8]) -> Ended {
        if self.is_told {
            return Ended::Fails;
        }
        if statement != self.statement {
            self.enter(statement);
        }
        let Some(Bounds {
            limits, is_reading, ..
        }) = &self.current
        else {
            return Ended::Passes;
        };
        if let (Some(max), false) = (limits.max_affected, is_reading) {
            let complete = CommandComplete::parse(body).ok();
            let changed = complete.and_then(|complete| complete.rows).unwrap_or(0);
            if changed > max {
                self.over = Some(Over::Affected { max, changed });
                return Ended::Fails;
            }
        }
        match &self.over {
            None => Ended::Passes,
            Some(over @ (Over::Rows(_) | Over::Bytes(_) | Over::Budget(_))) if !is_reading => {
                Ended::Warns(over.warning())
            }
            Some(_) => Ended::Fails,
        }
    }

    /// Why the server has failed a statement, if it was stopped.
    fn stopped_for(&self) -> Option<Over> {
        let is_late = || self.is_late.then(|| Over::Time(self.time().unwrap_or_default()));
        let is_cut = |_: &Over| self.is_reading() || self.tells_too_much;
        self.over.clone().filter(is_cut).or_else(is_late)
    }

    /// Whether no cancel is on its way.
    fn is_free(&self) -> bool {
        matches!(self.stop, Stop::Not | Stop::Done { .. })
    }

    /// Whether nothing more of it is to come.
    fn is_over(&self) -> bool {
        self.is_answered && self.settling == Settling::Not && self.is_free()
    }
}

impl Over {
    fn name(&self) -> &'static str {
        match self {
            Self::Rows(_) => "max_rows",
            Self::Bytes(_) => "max_bytes",
            Self::Time(_) => "max_time",
            Self::Affected { .. } => "max_affected",
            Self::Budget(_) => "budget",
        }
    }

    pub(super) fn sqlstate(&self) -> SqlState {
        match self {
            Self::Time(_) => SqlState::QUERY_CANCELED,
            Self::Budget(_) => SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            _ => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }

    fn message(&self) -> String {
        let what = match self {
            Self::Rows(max) => format!("the statement gives more than the {max} rows"),
            Self::Bytes(max) => format!("the statement gives more than the {max} bytes"),
            Self::Time(max) => format!("the statement runs longer than the {max:?}"),
            Self::Affected { max, changed } => {
                format!("the statement changes {changed} rows, more than the {max}")
            }
            Self::Budget(used_up) => {
                let budget = used_up.as_ref().map(|used_up| used_up.budget.to_string());
                return format!(
                    "sluice: policy's budget of {} is used up",
                    budget.unwrap_or_default()
                );
            }
        };
        format!("sluice: {what} that policy permits (@{})", self.name())
    }

    fn hint(&self) -> String {
        match self {
            Self::Rows(max) => format!("Ask for fewer rows: LIMIT {max}, or a WHERE that names them."),
            Self::Bytes(_) => "Ask for fewer rows, or for fewer and shorter columns.".to_owned(),
            Self::Time(_) => "Ask for less at a time: fewer rows, or an indexed column in WHERE.".to_owned(),
            Self::Affected { .. } => {
                "Nothing was changed. Change fewer rows at a time: a WHERE that names them.".to_owned()
            }
            Self::Budget(used_up) => {
                let more = match used_up.as_ref().map(|used_up| used_up.budget.measure) {
                    Some(Measure::Masked) => "Rows without masked values are given all the same.",
                    _ => "Ask for less then.",
                };
                let again = used_up.as_ref().map(UsedUp::hint);
                format!("{} {more}", again.unwrap_or_default())
            }
        }
    }

    fn detail(&self, request: &str) -> String {
        let max = match self {
            Self::Budget(used_up) => {
                let mut fields = used_up.as_ref().map(detail_of_budget).unwrap_or_default();
                fields.insert("sluice".to_owned(), json!(DETAIL_VERSION));
                fields.insert("request".to_owned(), json!(request));
                fields.insert("cause".to_owned(), json!(Cause::Budget.name()));
                return Value::Object(fields).to_string();
            }
            Self::Rows(max) | Self::Bytes(max) | Self::Affected { max, .. } => json!(max),
            Self::Time(max) => json!(format!("{max:?}")),
        };
        let mut fields = json!({
            "sluice": DETAIL_VERSION, "request": request, "cause": "limit", "limit": self.name(), "max": max,
        });
        if let Self::Affected { changed, .. } = self {
            fields["changed"] = json!(changed);
        }
        fields.to_string()
    }

    /// What the client is told.
    fn refusal(&self, kind: Kind, request: &str) -> Refusal {
        Refusal {
            detail: Some(self.detail(request).into()),
            hint: Some(self.hint().into()),
            ..kind.refusal(self.sqlstate(), &self.message())
        }
    }

    fn warning(&self) -> Vec<u8> {
        let message = format!(
            "sluice: more rows than policy permits (@{}) were withheld; the statement was done",
            self.name()
        );
        let mut out = Vec::new();
        Report {
            severity: Severity::Warning,
            ..Report::error(WARNING, &message)
        }
        .encode(&mut out);
        out
    }
}

impl Session {
    /// Whether what the server answers of the message is nothing to the client any more: it was told of a failure.
    pub(super) fn is_told_of_failure(&self) -> bool {
        self.limited
            .as_ref()
            .is_some_and(|limited| limited.is_told && !limited.is_answered)
    }

    /// Whether the rest of what a statement gives is thrown away, and an error follows.
    pub(super) fn is_cut(&self) -> bool {
        self.limited
            .as_ref()
            .is_some_and(|limited| limited.is_told || limited.over.is_some() && limited.is_reading())
    }

    /// Whether what the server sends next answers the statement with limits: nothing that is answered stands behind it.
    pub(super) fn answers_limited(&self) -> bool {
        self.limited.is_some() && self.model.answers_last()
    }

    fn answered_limited(&mut self) -> Option<&mut Limited> {
        if self.model.answers_last() {
            self.limited.as_deref_mut()
        } else {
            None
        }
    }

    /// How many more rows and bytes go to the client without being asked about.
    pub(super) fn room_for_rows(&self) -> (u64, u64) {
        match &self.limited {
            Some(limited) if self.model.answers_last() => match limited.over {
                Some(_) => (0, 0),
                None => (limited.rows_ready(), limited.bytes_left),
            },
            _ => (u64::MAX, u64::MAX),
        }
    }

    /// Notes rows that went to the client without being asked about.
    pub(super) fn rows_given(&mut self, rows: u64, bytes: u64) {
        if let Some(limited) = self.answered_limited() {
            limited.given(rows, bytes);
        }
    }

    /// Whether each row is masked by itself, before it is known to go to the client.
    pub(super) fn counts_masked(&self) -> bool {
        let answer = self.limited.as_ref().and_then(|limited| limited.answer());
        answer.is_some_and(|answer| !answer.masked.is_empty())
    }

    /// A row that was to go to the client does not: budgets have no room for what is masked in it.
    pub(super) fn row_withheld(&mut self, bytes: u64) {
        self.tally.rows = self.tally.rows.saturating_sub(1);
        self.tally.bytes = self.tally.bytes.saturating_sub(bytes);
        if let Some(limited) = self.answered_limited() {
            limited.withheld(bytes);
        }
    }

    /// Whether budgets have room for what was masked last, in a row that is not given yet.
    pub(super) fn charge_masked_row(&mut self) -> bool {
        self.charge_masked(false)
    }

    fn charge_masked(&mut self, is_given: bool) -> bool {
        let masked = self.tally.masked.total();
        self.answered_limited()
            .is_none_or(|limited| limited.charge_masked(masked, is_given))
    }

    /// Whether a row may go to the client in parts, of which nobody knows before how many values are masked.
    pub(super) fn takes_parts(&mut self, bytes: u64) -> bool {
        let takes = self.answered_limited().is_none_or(Limited::has_room_for_masked);
        if !takes {
            self.row_withheld(bytes);
        }
        takes
    }

    /// Whether a row, or a piece of COPY data, of a statement of the front message goes to the client.
    pub(super) fn takes_row(&mut self, statement: u32, bytes: u64) -> bool {
        // What COPY data and values in parts had is known by now.
        self.charge_masked(true);
        self.answered_limited()
            .is_none_or(|limited| limited.takes(statement, bytes))
    }

    /// What becomes of the message by which a statement ends. For an Execute it is the last one: `is_last`.
    pub(super) fn limited_ends(&mut self, statement: u32, is_last: bool, body: &[u8]) -> Ended {
        let given = (self.tally.rows, self.tally.bytes);
        self.charge_masked(true);
        let Some(limited) = self.limited.as_deref_mut() else {
            return Ended::Passes;
        };
        let ended = limited.ended(statement, body);
        if let Some(portal) = &limited.portal {
            let (rows, bytes) = portal.given.get();
            let sum = (rows.saturating_add(given.0), bytes.saturating_add(given.1));
            portal.given.set(sum);
        }
        if ended == Ended::Fails {
            limited.is_told = true;
        } else if limited.kind == Kind::Query && statement + 1 < limited.count {
            limited.enter(statement + 1);
        }
        if is_last {
            self.limited_answered(ended == Ended::Fails);
        }
        ended
    }

    /// The end of a session whose client was told of a failure while other statements of the message stay done, or will be.
    pub(super) fn breaks_up(&self) -> Option<End> {
        let limited = self.limited.as_ref()?;
        let breaks = limited.is_told && limited.count > 1 && !limited.only_reads;
        breaks.then(|| {
            End::new(
                EndReason::Other,
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "a statement passed a limit of policy and was done before it could be stopped; what else its message holds \
                 may have been done too",
            )
        })
    }

    /// A message of the server was taken. One with limits may be among those that the server discards behind a failure.
    pub(super) fn limited_may_be_gone(&mut self) {
        let is_gone = self.model.pending() == 0;
        if is_gone && self.limited.as_ref().is_some_and(|limited| !limited.is_answered) {
            self.limited_answered(false);
        }
    }

    /// An error may tell as much as rows do: one that is longer than what is left is not told.
    pub(super) fn error_comes(&mut self, bytes: usize) {
        if let Some(limited) = self.answered_limited()
            && limited.over.is_none()
            && limited.bytes_left < bytes as u64
            && let Some(Bounds { limits, .. }) = &limited.current
        {
            limited.over = Some(Over::Bytes(limits.max_bytes.unwrap_or_default()));
            limited.tells_too_much = true;
        }
    }

    /// COPY data are to come. The trailer of binary ones is a piece of its own, and no row.
    pub(super) fn limited_copy_begins(&mut self, body: &[u8]) {
        let is_binary = CopyResponse::parse(body).is_ok_and(|response| response.format == Format::Binary);
        if is_binary && let Some(limited) = self.answered_limited() {
            limited.rows_left = limited.rows_left.saturating_add(1);
        }
    }

    /// The last message of the answer has come, `fails` behind it if what was done has to be failed.
    fn limited_answered(&mut self, fails: bool) {
        if let Some(limited) = self.limited.as_deref_mut() {
            limited.is_answered = true;
            limited.drawn = None;
            if limited.stop == Stop::Wanted {
                limited.stop = Stop::Not;
            }
            if fails {
                limited.settling = Settling::Due;
            }
        }
        self.release_limited();
    }

    /// A Query's `ReadyForQuery` has come. Whether the client has to wait for another one: it was told of a failure, and
    /// the transaction has to have failed.
    pub(super) fn limited_query_ready(&mut self, status: TransactionStatus) -> bool {
        let is_told = self.limited.as_ref().is_some_and(|limited| limited.is_told);
        let fails = is_told && status == TransactionStatus::InTransaction;
        self.limited_answered(fails);
        fails
    }

    /// A message with limits has failed at the server; why it was stopped, if it was. Of an Execute it is the last message.
    pub(super) fn limited_fails(&mut self, is_last: bool) -> Option<Refusal> {
        let over = self.limited.as_ref()?.stopped_for();
        let refusal = over.map(|over| self.over_limit(&over));
        if is_last {
            self.limited_answered(false);
        }
        refusal
    }

    /// What was sent behind to fail has failed.
    pub(super) fn limited_settled(&mut self) {
        if let Some(limited) = self.limited.as_deref_mut()
            && limited.settling == Settling::Sent
        {
            limited.settling = Settling::Not;
        }
        self.release_limited();
    }

    fn release_limited(&mut self) {
        if self.limited.as_ref().is_some_and(|limited| limited.is_over()) {
            self.limited = None;
        }
    }

    /// What is to be failed behind the statement now, and what the client is told for it.
    pub(super) fn limited_to_settle(&mut self) -> Option<(Kind, Refusal)> {
        let limited = self.limited.as_deref_mut()?;
        if limited.settling != Settling::Due || !limited.is_free() {
            return None;
        }
        limited.settling = Settling::Sent;
        let (kind, over) = (limited.kind, limited.over.clone()?);
        Some((kind, self.over_limit(&over)))
    }

    /// What the client is told of a statement over its limit.
    pub(super) fn over_limit(&self, over: &Over) -> Refusal {
        let (kind, run) = match &self.limited {
            Some(limited) => (limited.kind, limited.run.id + u64::from(limited.statement)),
            None => (Kind::Query, 0),
        };
        over.refusal(kind, &self.request_name(run))
    }

    /// The limit that the statement has passed.
    pub(super) fn limit_passed(&self) -> Option<&Over> {
        self.limited.as_ref()?.over.as_ref()
    }

    /// Begins the statement's time once the server has answered all that was sent before.
    pub(super) fn limited_begins(&mut self) {
        if let Some(limited) = self.answered_limited()
            && !limited.has_begun
            && !limited.is_answered
        {
            limited.has_begun = true;
            limited.deadline = limited.time().map(|time| now() + time);
        }
    }

    /// Whether what the client sends has to wait. In COPY IN the server ignores what it must not: the data go up.
    pub(super) fn is_limited_ahead(&self) -> bool {
        self.limited.is_some() && !self.model.in_copy_in()
    }

    /// Whether a statement with limits is under way, so that the questions below have to be asked.
    pub(crate) fn has_limited(&self) -> bool {
        self.limited.is_some()
    }

    /// Whether the server is to be asked to cancel; it counts as asked from then on.
    pub(crate) fn takes_stop(&mut self) -> bool {
        let Some(limited) = self.limited.as_deref_mut() else {
            return false;
        };
        let is_wanted = limited.stop == Stop::Wanted;
        if is_wanted {
            limited.stop = Stop::Asked;
        }
        is_wanted
    }

    /// The server has been asked to cancel.
    pub(crate) fn stop_done(&mut self) {
        if let Some(limited) = self.limited.as_deref_mut() {
            let by = *limited.stops_by.get_or_insert_with(|| now() + STOP_TIME_MAX);
            limited.stop = Stop::Done {
                again: now() + STOP_AGAIN,
                by,
            };
        }
        self.release_limited();
    }

    /// When the statement's time is up, or the server's to end it.
    pub(crate) fn limit_deadline(&self) -> Option<Instant> {
        let limited = self.limited.as_ref().filter(|limited| !limited.is_answered)?;
        match limited.stop {
            Stop::Not => limited.deadline,
            Stop::Done { again, by } => Some(again.min(by)),
            Stop::Wanted | Stop::Asked => None,
        }
    }

    /// That moment has come.
    pub(crate) fn out_of_time(&mut self) -> Result<(), End> {
        let Some(limited) = self.limited.as_deref_mut() else {
            return Ok(());
        };
        match limited.stop {
            Stop::Not => {
                limited.is_late = true;
                limited.stop = Stop::Wanted;
            }
            Stop::Done { by, .. } if now() >= by => return Err(Self::not_stopped("the server went on")),
            Stop::Done { .. } => limited.stop = Stop::Wanted,
            Stop::Wanted | Stop::Asked => {}
        }
        Ok(())
    }

    /// The end of a session whose statement passed a limit and could not be stopped.
    pub(crate) fn not_stopped(why: &str) -> End {
        End::new(
            EndReason::ServerGone,
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("a statement passed a limit of policy and could not be stopped: {why}"),
        )
    }
}
