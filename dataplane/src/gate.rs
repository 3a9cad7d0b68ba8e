//! The gate: from a statement's text to a verdict.
//!
//! A template of an earlier text gives a text's shape, else one walk of the lexer does. The shape, the literals that
//! matter, the declared parameter types, and the [`Context`] (the principal with its connection and database, the
//! session's state, the catalog, and of the client what policies look at) are the key of the core's decision cache; hashes
//! find, exact comparison decides. A miss is analysed by the server's own grammar, here if it is short, else on a helper
//! thread ([`Judgement::Away`]). A verdict that looked at the time keeps its analysis and is decided again for every use.
//! A new policy epoch empties the cache.

mod bytes;
mod cache;
mod context;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sluice_audit::record::{LEFT_OUT, LIST_LEN_MAX, List, ListBuffer};
use sluice_parsers::sql::analyze;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::effect::{Action, Effect, EffectMask};
use sluice_parsers::sql::shape::{self, Literal, Shape, hash_bytes};
use sluice_parsers::sql::statement::{Analysis, Cause, Reason, Statement, StatementKind, Taken};
use sluice_parsers::sql::template::{self, Template};
use sluice_parsers::sql::weight;
use sluice_parsers::sql::world::{SessionNames, Touched, World};
use sluice_policy::{Client, Decision, Denial, Moment, PolicySnapshot, Principal, Reader};

use self::bytes::verdict_bytes;
use self::cache::DecisionKey;
use self::context::Shares;
pub use self::context::{Context, Database};
use crate::postgres::columns::Tags;
use crate::postgres::expected::Expectation;
use crate::postgres::state::Change;

/// Texts over this are not looked up: walking them takes longer than a core may be held.
const CACHED_TEXT_BYTES_MAX: usize = 16 * 1024;

/// More effects of one statement than these are counted in its record, not named.
const EFFECT_LINES_MAX: usize = 256;

/// Room for the lengths of two lines and for the line that counts the others.
const LEFT_OUT_BYTES_MAX: usize = 36;

/// What policy said of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first policy that permits, if the decision names one.
    Allow(Option<Arc<str>>),
    /// What is not permitted, and why.
    Deny(Rc<Denial>),
}

impl Outcome {
    fn is_policy_error(&self) -> bool {
        matches!(self, Self::Deny(denial) if denial.error.is_some())
    }
}

/// What policy said of each statement of a text.
#[derive(Debug)]
pub struct Verdict {
    /// The statements, in the order of the text.
    pub statements: Vec<Statement>,
    /// What each statement does.
    pub masks: Box<[EffectMask]>,
    /// The effects of each statement, as the record keeps them.
    pub effects: Box<[ListBuffer]>,
    /// What was decided of each statement.
    pub outcomes: Box<[Outcome]>,
    /// The epoch of the policy that was asked.
    pub epoch: u64,
    /// A policy looked at the time: what was decided may be another thing now.
    pub is_timed: bool,
    /// Every statement is allowed, and nothing about it depends on the session or the time.
    pub is_plain: bool,
    /// No statement's success changes anything that the session or the core keeps.
    pub is_inert: bool,
    /// Why each statement is `Opaque`, as the record says it; empty if none is.
    pub reasons: Box<[Option<Box<str>>]>,
    /// What each statement's success changes in the session's state; empty if none changes any.
    changes: Box<[Change]>,
    /// What is expected of each statement's rows where these columns are configured.
    expected: RefCell<Option<Expected>>,
    /// The last text that was prepared under it: mostly every session prepares the same.
    prepared_text: RefCell<Option<Rc<[u8]>>>,
    /// A longer text is not kept: another one of the same shape may be long with comments and literals.
    text_bytes_max: usize,
}

/// Expectations under one set of configured columns, by the statement's place.
#[derive(Debug)]
struct Expected {
    tags: Arc<Tags>,
    of_statements: Box<[Option<Rc<Expectation>>]>,
}

impl Verdict {
    fn new(statements: Vec<Statement>, decided: Decided, epoch: u64, text_bytes: usize) -> Self {
        use StatementKind::{Close, CopyOut, Deallocate, Declare, DiscardAll, Fetch, Prepare};
        let Decided { outcomes, is_timed } = decided;
        let is_allowed = outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Allow(_)));
        let reason = |statement: &Statement| {
            let first = statement.reasons.first()?;
            Some(first.to_string().into_boxed_str())
        };
        let mut reasons: Vec<_> = statements.iter().map(reason).collect();
        if reasons.iter().all(Option::is_none) {
            reasons.clear();
        }
        let masks: Box<[EffectMask]> = statements.iter().map(Statement::mask).collect();
        let mut changes: Vec<_> = statements.iter().map(Change::of).collect();
        if changes.iter().all(|change| *change == Change::Nothing) {
            changes.clear();
        }
        Self {
            is_timed,
            is_plain: is_allowed
                && !is_timed
                && statements.iter().all(|statement| {
                    statement.runs_prepared.is_none()
                        && !matches!(statement.kind, CopyOut { .. } | Fetch { .. })
                }),
            is_inert: changes.is_empty()
                && statements.iter().all(|statement| {
                    statement.runs_prepared.is_none()
                        && statement.takes == Taken::Nothing
                        && statement.touches == Touched::Nothing
                })
                && !masks.iter().copied().any(changes_catalog)
                && !statements.iter().any(|statement| {
                    matches!(
                        statement.kind,
                        Prepare { .. } | Deallocate { .. } | DiscardAll | Declare { .. } | Close { .. }
                    )
                }),
            effects: statements
                .iter()
                .map(|statement| effect_lines(&statement.effects))
                .collect(),
            reasons: reasons.into(),
            changes: changes.into(),
            masks,
            outcomes,
            statements,
            epoch,
            expected: RefCell::default(),
            prepared_text: RefCell::default(),
            text_bytes_max: 2 * text_bytes,
        }
    }

    /// Whether it is what policy says under that epoch, without asking again.
    pub fn holds_in(&self, epoch: u64) -> bool {
        self.epoch == epoch && !self.is_timed
    }

    /// Whether a statement changes what the catalog says.
    pub fn changes_catalog(&self, statement: usize) -> bool {
        self.masks.get(statement).copied().is_some_and(changes_catalog)
    }

    /// What a statement's success changes in the session's state; what it runs by a name is not in it.
    pub(crate) fn change(&self, statement: usize) -> &Change {
        self.changes.get(statement).unwrap_or(&Change::Nothing)
    }

    /// A statement's effects as lines.
    pub fn lines(&self, statement: usize) -> List<'_> {
        self.effects
            .get(statement)
            .map_or(List::EMPTY, ListBuffer::as_list)
    }

    /// What is expected of a statement's rows; always the same one while the same columns are configured. `catalog` is
    /// the one that it was judged by.
    pub(crate) fn expected(
        &self,
        statement: usize,
        tags: &Arc<Tags>,
        catalog: &Catalog,
    ) -> Option<Rc<Expectation>> {
        let mut expected = self.expected.borrow_mut();
        let known = match &mut *expected {
            Some(known) if Arc::ptr_eq(&known.tags, tags) => known,
            other => other.insert(Expected {
                tags: Arc::clone(tags),
                of_statements: vec![None; self.statements.len()].into(),
            }),
        };
        let place = known.of_statements.get_mut(statement)?;
        if place.is_none() {
            let of = self.statements.get(statement)?;
            *place = Some(Rc::new(Expectation::of(of, tags, catalog)));
        }
        place.clone()
    }

    /// Why a statement is `Opaque`, if it is.
    pub fn reason(&self, statement: usize) -> Option<&str> {
        self.reasons.get(statement)?.as_deref()
    }

    /// The text to keep under a name: one allocation for all sessions that prepare the same.
    pub fn shared_text(&self, text: &[u8]) -> Rc<[u8]> {
        let mut last = self.prepared_text.borrow_mut();
        match &*last {
            Some(last) if **last == *text => Rc::clone(last),
            _ if text.len() > self.text_bytes_max => text.into(),
            _ => Rc::clone(last.insert(text.into())),
        }
    }
}

/// What was decided of a text's statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Decided {
    outcomes: Box<[Outcome]>,
    /// A policy looked at the time.
    is_timed: bool,
}

impl Decided {
    /// How many statements are denied because a policy could not be evaluated.
    fn policy_errors(&self) -> u64 {
        self.outcomes
            .iter()
            .map(|outcome| u64::from(outcome.is_policy_error()))
            .sum()
    }
}

impl From<Vec<Decision>> for Decided {
    fn from(decisions: Vec<Decision>) -> Self {
        Self {
            is_timed: decisions.iter().any(Decision::is_timed),
            outcomes: decisions.into_iter().map(Outcome::from).collect(),
        }
    }
}

fn changes_catalog(mask: EffectMask) -> bool {
    let ddl = [Action::Create, Action::Alter, Action::Drop, Action::Opaque];
    ddl.into_iter().any(|action| mask.contains(action))
}

/// What the gate answers at once.
pub enum Judgement {
    /// The verdict.
    Known(Rc<Verdict>),
    /// The text has to be analysed away from the core; give the result to [`Gate::adopt`].
    Away(Box<Errand>),
}

/// An analysis for a helper thread.
pub struct Errand {
    sql: Vec<u8>,
    limits: analyze::Limits,
    world: World,
    policies: Arc<PolicySnapshot>,
    principal: Arc<Principal>,
    client: Arc<Client>,
    clock: fn() -> Moment,
    /// The number of the context in which it was asked for.
    context: u64,
}

/// What an errand brings back.
pub struct Finding {
    analysis: Analysis,
    decisions: Vec<Decision>,
    epoch: u64,
    context: u64,
}

impl Finding {
    /// Whether it was asked for in this context.
    pub fn is_of(&self, context: &Context) -> bool {
        self.context == context.id
    }
}

impl Errand {
    /// Analyses and decides; takes as long as it takes.
    pub fn run(&self) -> Finding {
        let analysis = analyze::analyze_bytes(&self.sql, &self.limits, &self.world);
        let decisions = decide(
            &self.policies,
            &self.principal,
            &self.client,
            (self.clock)(),
            &analysis.statements,
        );
        Finding {
            analysis,
            decisions,
            epoch: self.policies.epoch,
            context: self.context,
        }
    }
}

/// Bounds of the gate.
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Longer texts are analysed away from the core.
    pub inline_parse_bytes: usize,
    /// Decisions that are cached.
    pub decisions_max: usize,
    /// Of one analysis.
    pub analysis: analyze::Limits,
}

/// Counts that the caller moves to its metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Verdicts from the cache.
    pub hits: u64,
    /// Verdicts by an analysis on the core.
    pub misses: u64,
    /// Analyses sent away.
    pub away: u64,
    /// Texts that are too much to read: longer or deeper than anything that people write.
    pub excessive: u64,
    /// Denials because a policy could not be evaluated.
    pub policy_errors: u64,
}

/// One core's gate.
pub struct Gate {
    policies: Reader,
    epoch: u64,
    limits: GateLimits,
    /// Scratch of the walk, reused.
    shape: Shape,
    /// Scratch for the literals of a text that a template recognised, reused.
    literals: Vec<Literal>,
    /// Scratch for the literals that stay in the key, reused.
    kept: Vec<u8>,
    seed: u64,
    shares: Shares,
    /// Of the time that policies are told.
    clock: fn() -> Moment,
    /// What happened since they were taken last.
    pub counts: GateCounts,
}

impl Gate {
    /// A gate whose hashes strangers cannot predict if `seed` is secret.
    pub fn new(mut policies: Reader, limits: GateLimits, seed: u64) -> Self {
        let epoch = policies.current().epoch;
        Self {
            policies,
            epoch,
            limits,
            shape: Shape::with_seed(seed),
            literals: Vec::new(),
            kept: Vec::new(),
            seed,
            shares: Shares::new(limits.decisions_max),
            clock: now,
            counts: GateCounts::default(),
        }
    }

    /// The context of a principal before anything is known of its session.
    pub fn context(&mut self, principal: Principal, client: Client) -> Context {
        self.shares.context(principal, client)
    }

    /// The same principal's context in another state; sessions in equal states share it.
    pub fn context_in(
        &mut self,
        context: &Context,
        names: &Arc<SessionNames>,
        database: &Arc<Database>,
    ) -> Context {
        self.shares.context_in(context, names, database)
    }

    /// The policy in force.
    pub fn policies(&mut self) -> &Arc<PolicySnapshot> {
        let current = self.policies.current();
        if current.epoch != self.epoch {
            self.epoch = current.epoch;
            self.shares.clear();
        }
        current
    }

    /// The epoch in force, for checking a verdict that is kept.
    pub fn epoch(&mut self) -> u64 {
        self.policies().epoch
    }

    /// Judges a text. `parameter_types` are the OIDs that Parse declares, as they lie on the wire.
    pub fn judge(&mut self, sql: &[u8], parameter_types: &[u8], context: &Context) -> Judgement {
        self.policies();
        if sql.len() <= CACHED_TEXT_BYTES_MAX
            && let Some(verdict) = self.look_up(sql, parameter_types, context)
        {
            self.counts.hits += 1;
            return Judgement::Known(verdict);
        }
        if sql.len() > self.limits.inline_parse_bytes || !weight::weigh(sql).inline() {
            self.counts.away += 1;
            return Judgement::Away(Box::new(Errand {
                sql: sql.to_vec(),
                limits: self.limits.analysis,
                world: context.world(parameter_types),
                policies: Arc::clone(self.policies.current()),
                principal: Arc::clone(&context.principal),
                client: Arc::clone(&context.client),
                clock: self.clock,
                context: context.id,
            }));
        }
        self.counts.misses += 1;
        let world = context.world(parameter_types);
        let analysis = analyze::analyze_bytes(sql, &self.limits.analysis, &world);
        let policies = self.policies.current();
        let decisions = context.decide(policies, (self.clock)(), &analysis.statements);
        let finding = Finding {
            analysis,
            decisions,
            epoch: policies.epoch,
            context: context.id,
        };
        Judgement::Known(self.adopt(sql, parameter_types, context, finding))
    }

    /// Judges a text with the values that its parameters get, where they decide what it does; none if that takes too
    /// long for a core. Nothing is cached: values are many.
    pub fn judge_bound(
        &mut self,
        sql: &[u8],
        parameter_types: &[u8],
        values: &Arc<[Option<Box<str>>]>,
        context: &Context,
    ) -> Option<Rc<Verdict>> {
        if sql.len() > self.limits.inline_parse_bytes || !weight::weigh(sql).inline() {
            return None;
        }
        self.counts.misses += 1;
        let world = World {
            parameter_values: Arc::clone(values),
            ..context.world(parameter_types)
        };
        let analysis = analyze::analyze_bytes(sql, &self.limits.analysis, &world);
        let now = (self.clock)();
        let policies = self.policies();
        let epoch = policies.epoch;
        let decisions = context.decide(policies, now, &analysis.statements);
        let decided = self.decided(decisions);
        Some(Rc::new(Verdict::new(
            analysis.statements,
            decided,
            epoch,
            sql.len(),
        )))
    }

    fn decided(&mut self, decisions: Vec<Decision>) -> Decided {
        let decided = Decided::from(decisions);
        self.counts.policy_errors += decided.policy_errors();
        decided
    }

    /// The number of what policies look at in a context's client; 0 if that is nothing.
    fn told(&mut self, context: &Context) -> u64 {
        let (epoch, number) = context.told.get();
        if epoch == self.epoch {
            return number;
        }
        let told = self.policies.current().told(&context.client);
        let number = told.map_or(0, |told| self.shares.told(&context.share, told));
        context.told.set((self.epoch, number));
        number
    }

    /// Makes a verdict of what an errand found and caches it.
    pub fn adopt(
        &mut self,
        sql: &[u8],
        parameter_types: &[u8],
        context: &Context,
        finding: Finding,
    ) -> Rc<Verdict> {
        let Analysis {
            statements,
            neutral,
            readable,
        } = finding.analysis;
        if !readable
            && statements
                .iter()
                .flat_map(|statement| &statement.reasons)
                .any(is_excessive)
        {
            self.counts.excessive += 1;
        }
        let decided = self.decided(finding.decisions);
        let verdict = Rc::new(Verdict::new(statements, decided, finding.epoch, sql.len()));
        let is_current = finding.epoch == self.epoch();
        let told = self.told(context);
        if readable && is_current && sql.len() <= CACHED_TEXT_BYTES_MAX && self.shape.scan(sql).is_ok() {
            let verdict_bytes = verdict_bytes(&verdict);
            let (shape_hash, normalized) = (self.shape.hash(), self.shape.normalized());
            let mut share = context.share.borrow_mut();
            let decisions = &mut share.decisions;
            let before = decisions.weight();
            let known = decisions.shape(shape_hash, normalized, neutral);
            self.kept.clear();
            self.shape.kept_literals(sql, &known.neutral, &mut self.kept);
            let key = DecisionKey {
                shape: &known,
                kept: &self.kept,
                context: context.id,
                told,
                parameter_types,
            };
            let hash = key_hash(self.seed, shape_hash, &key);
            decisions.insert(hash, &key, Rc::clone(&verdict), verdict_bytes);
            drop(share);
            self.shares.grown(&context.share, before);
        }
        verdict
    }

    /// Asks policy about effects that no text has by itself: a startup parameter, a prepared statement by name.
    pub fn decide_effects(&mut self, effects: &[Effect], context: &Context) -> Outcome {
        let now = (self.clock)();
        let outcome =
            Outcome::from(
                self.policies()
                    .decide(&context.principal, &context.client, now, effects),
            );
        self.counts.policy_errors += u64::from(outcome.is_policy_error());
        outcome
    }

    /// How many decisions are cached.
    pub fn cached(&self) -> usize {
        self.shares.decisions()
    }

    /// The part of `sql` that is statement `index` of a verdict over a text of the same shape.
    pub fn range(&mut self, sql: &[u8], verdict: &Verdict, index: usize) -> std::ops::Range<usize> {
        if verdict.statements.len() <= 1 || self.shape.scan(sql).is_err() {
            return 0..sql.len();
        }
        Statement::range_in(&verdict.statements, index, &self.shape, sql.len())
    }

    fn look_up(&mut self, sql: &[u8], parameter_types: &[u8], context: &Context) -> Option<Rc<Verdict>> {
        self.kept.clear();
        let told = self.told(context);
        let head = template::head_hash(self.seed, sql);
        let mut own = context.share.borrow_mut();
        let decisions = &mut own.decisions;
        let known = decisions.recognise(head, sql, &mut self.literals);
        let shape = if let Some(shape) = known {
            shape::kept_literals(sql, &self.literals, &shape.neutral, &mut self.kept);
            shape
        } else {
            self.shape.scan(sql).ok()?;
            let shape = decisions.find_shape(self.shape.hash(), self.shape.normalized())?;
            self.shape.kept_literals(sql, &shape.neutral, &mut self.kept);
            // It comes a second time at least, so it will come again.
            if let Some(template) = Template::of(sql, &self.shape) {
                decisions.remember(head, template, &shape);
            }
            shape
        };
        let key = DecisionKey {
            shape: &shape,
            kept: &self.kept,
            context: context.id,
            told,
            parameter_types,
        };
        let seed = self.seed;
        let verdict = decisions.find(|| key_hash(seed, shape.hash, &key), &key)?;
        if !verdict.is_timed {
            return Some(verdict);
        }
        drop(own);
        let policies = self.policies.current();
        let decisions = context.decide(policies, (self.clock)(), &verdict.statements);
        let decided = Decided::from(decisions);
        self.counts.policy_errors += decided.policy_errors();
        if decided.outcomes == verdict.outcomes {
            return Some(verdict);
        }
        let text_bytes = verdict.text_bytes_max / 2;
        let verdict = Rc::new(Verdict::new(
            verdict.statements.clone(),
            decided,
            self.epoch,
            text_bytes,
        ));
        let verdict_bytes = verdict_bytes(&verdict);
        let mut own = context.share.borrow_mut();
        let before = own.decisions.weight();
        let hash = key_hash(seed, shape.hash, &key);
        own.decisions
            .insert(hash, &key, Rc::clone(&verdict), verdict_bytes);
        drop(own);
        self.shares.grown(&context.share, before);
        Some(verdict)
    }
}

fn key_hash(seed: u64, shape_hash: u64, key: &DecisionKey<'_>) -> u64 {
    let mut hash = shape_hash ^ key.context.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = hash.rotate_left(17) ^ key.told.wrapping_mul(0xd6e8_feb8_6659_fd93);
    for part in [key.kept, key.parameter_types] {
        if !part.is_empty() {
            hash = hash.rotate_left(23) ^ hash_bytes(seed, part);
        }
    }
    hash
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow(permission) => Self::Allow(permission.policies.into_iter().next()),
            Decision::Deny(denial) => Self::Deny(Rc::new(*denial)),
        }
    }
}

/// Whether a text could not be read because it is too much to read.
fn is_excessive(reason: &Reason) -> bool {
    matches!(
        reason.cause,
        Cause::TooLong | Cause::TooManyTokens | Cause::TooDeep | Cause::Parser
    )
}

/// Effects as lines for the record, as many as it keeps; the last line then tells of the others.
pub fn effect_lines(effects: &[Effect]) -> ListBuffer {
    let mut list = ListBuffer::new();
    for (index, effect) in effects.iter().enumerate() {
        let line = effect.to_string();
        let has_room = list.as_list().as_bytes().len() + line.len() + LEFT_OUT_BYTES_MAX <= LIST_LEN_MAX;
        if index == EFFECT_LINES_MAX || !has_room {
            list.push(format!("{LEFT_OUT}{} more", effects.len() - index).as_bytes());
            break;
        }
        list.push(line.as_bytes());
    }
    list
}

fn decide(
    policies: &PolicySnapshot,
    who: &Principal,
    client: &Client,
    now: Moment,
    statements: &[Statement],
) -> Vec<Decision> {
    let statements = statements.iter();
    statements
        .map(|statement| policies.decide(who, client, now, &statement.effects))
        .collect()
}

/// The time that policies are told.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use sluice_parsers::sql::effect::{Object, ObjectKind};
    use sluice_policy::identity::{Identity, Method};
    use sluice_policy::{PolicySet, Snapshot, Target};

    use super::*;

    fn gate(snapshot: &Arc<Snapshot>) -> Gate {
        let limits = GateLimits {
            inline_parse_bytes: 4096,
            decisions_max: 100,
            analysis: analyze::Limits::default(),
        };
        Gate::new(snapshot.reader(), limits, 7)
    }

    fn context(gate: &mut Gate, database: &str) -> Context {
        let identity = Identity::new("https://issuer.example", "crew", Method::Oidc);
        let target = Target::new("orders", database).expect("names");
        let nowhere = gate.context(
            Principal::new(&identity, target),
            Client::new([127, 0, 0, 1].into()),
        );
        let world = World::built_in(15);
        let database = Arc::new(Database {
            epoch: 1,
            catalog: world.catalog,
            ..Database::default()
        });
        gate.context_in(&nowhere, &world.session, &database)
    }

    /// What was decided, and whether it was known.
    fn judged(gate: &mut Gate, sql: &str, context: &Context) -> (Vec<EffectMask>, Vec<bool>, bool) {
        let hits = gate.counts.hits;
        let Judgement::Known(verdict) = gate.judge(sql.as_bytes(), &[], context) else {
            panic!("{sql} is short");
        };
        let allowed = verdict
            .outcomes
            .iter()
            .map(|outcome| matches!(outcome, Outcome::Allow(_)))
            .collect();
        (verdict.masks.to_vec(), allowed, gate.counts.hits > hits)
    }

    /// The harmless one first, until a template recognises it.
    #[test]
    fn a_recognised_text_is_judged_as_a_fresh_one() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
        for (name, harmless, other, shares) in [
            (
                "value",
                "select a from t where b = 1",
                "select a from t where b = 2",
                true,
            ),
            (
                "analyze",
                "explain (analyze 0) delete from t",
                "explain (analyze 1) delete from t",
                false,
            ),
            (
                "order",
                "select a from t order by 1",
                "select a from t order by 3",
                false,
            ),
            (
                "setting",
                "select set_config('work_mem', '1', true)",
                "select set_config('role', '1', true)",
                false,
            ),
            (
                "cast",
                "select 'pg_class'::regclass",
                "select 'secret'::regclass",
                false,
            ),
            (
                "delete",
                "delete from t where 1 = 0",
                "delete from t where 1 = 1",
                false,
            ),
        ] {
            let mut warm = gate(&snapshot);
            let who = context(&mut warm, "shop");
            for _ in 0..3 {
                judged(&mut warm, harmless, &who);
            }
            let (masks, allowed, is_hit) = judged(&mut warm, other, &who);
            let mut fresh = gate(&snapshot);
            let who = context(&mut fresh, "shop");
            let (want_masks, want_allowed, _) = judged(&mut fresh, other, &who);
            assert_eq!((masks, allowed), (want_masks, want_allowed), "{name}");
            assert_eq!(is_hit, shares, "{name}");
        }
    }

    #[test]
    fn the_record_has_a_line_for_each_effect_or_the_number_of_the_others() {
        let effect = |index: usize, len: usize| {
            let name = format!("{index}{}", "x".repeat(len));
            Effect::new(Action::Read, Object::new(ObjectKind::Relation, name))
        };
        for (name, count, len, left_out) in [
            ("none", 0, 1, None),
            ("one", 1, 1, None),
            ("as many as are named", EFFECT_LINES_MAX, 3, None),
            ("one more", EFFECT_LINES_MAX + 1, 3, Some(1)),
            ("long ones", 100, 2000, Some(96)),
            ("one that has no room", 1, LIST_LEN_MAX, Some(1)),
        ] {
            let effects: Vec<_> = (0..count).map(|index| effect(index, len)).collect();
            let list = effect_lines(&effects);
            let lines: Vec<_> = list.as_list().iter().collect();
            let told = lines
                .last()
                .and_then(|line| str::from_utf8(line).ok()?.strip_prefix(LEFT_OUT));
            assert_eq!(
                told,
                left_out.map(|count| format!("{count} more")).as_deref(),
                "{name}"
            );
            let named = lines.len() - usize::from(told.is_some());
            assert_eq!(named, count - left_out.unwrap_or(0), "{name}");
            assert!(!list.is_cut(), "{name}");
        }
    }

    /// Another identity's many statements may drive the shape out while its template stays.
    #[test]
    fn a_recognised_text_is_found_again_after_its_shape_was_forgotten() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
        let mut gate = gate(&snapshot);
        let (one, other) = (context(&mut gate, "shop"), context(&mut gate, "books"));
        let kept = |number: u32| format!("select data->>'a{number}' from t");
        for _ in 0..3 {
            judged(&mut gate, "select id from t where id = 1", &one);
            judged(&mut gate, &kept(1), &one);
        }
        for number in 0..400 {
            judged(&mut gate, &format!("select x{number} from t"), &other);
        }
        for _ in 0..3 {
            judged(&mut gate, "select id from t where id = 1", &other);
            judged(&mut gate, &kept(2), &one);
        }
        assert!(judged(&mut gate, "select id from t where id = 2", &other).2);
        assert!(judged(&mut gate, &kept(2), &one).2);
    }

    #[test]
    fn templates_share_nothing_between_contexts_and_epochs() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
        let mut gate = gate(&snapshot);
        let (one, other) = (context(&mut gate, "shop"), context(&mut gate, "books"));
        let text = |number: u32| format!("select a from t where b = {number}");
        for number in 0..3 {
            judged(&mut gate, &text(number), &one);
        }
        assert!(judged(&mut gate, &text(7), &one).2);
        assert!(
            !judged(&mut gate, &text(8), &other).2,
            "another database is another decision"
        );
        assert!(judged(&mut gate, &text(9), &other).2);
        assert!(judged(&mut gate, &text(9), &one).2);
        snapshot.replace(PolicySet::read_only());
        assert!(!judged(&mut gate, &text(9), &one).2, "a new policy is asked");
        assert!(judged(&mut gate, &text(10), &one).2);
    }

    fn names(path: &str) -> Arc<SessionNames> {
        Arc::new(SessionNames {
            search_path: [path.into()].into(),
            ..SessionNames::default()
        })
    }

    #[test]
    fn t02_states_and_catalogs_share_nothing() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
        let mut gate = gate(&snapshot);
        let nowhere = context(&mut gate, "shop");
        let of = |epoch| {
            Arc::new(Database {
                epoch,
                ..Database::default()
            })
        };
        let (first, second) = (of(1), of(2));
        let mut ids = vec![nowhere.id()];
        for (path, database) in [("a", &first), ("b", &first), ("a", &second)] {
            let who = gate.context_in(&nowhere, &names(path), database);
            ids.push(who.id());
            for again in [false, true] {
                assert_eq!(
                    judged(&mut gate, "select a from t", &who).2,
                    again,
                    "{path} {}",
                    database.epoch
                );
            }
            // Equal states are one context.
            assert_eq!(gate.context_in(&nowhere, &names(path), database).id(), who.id());
            let world = who.world(&[0, 0, 0, 25]);
            assert_eq!(*world.session.search_path, [path.into()]);
            assert_eq!(*world.parameter_types, [sluice_parsers::sql::catalog::Oid(25)]);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        for types in [&[0, 0, 0, 23][..], &[0, 0, 0, 25], &[]] {
            let before = gate.counts.misses;
            for _ in 0..2 {
                gate.judge(b"select f($1)", types, &nowhere);
            }
            assert_eq!(
                gate.counts.misses,
                before + 1,
                "declared types are a part of the key"
            );
        }
    }

    #[test]
    fn what_policies_look_at_in_a_client_is_a_part_of_the_key() {
        let connect = "permit (principal, action == Action::\"Connect\", resource);";
        let far = "forbid (principal, action == Action::\"Read\", resource) unless { context.client_address.isLoopback() };";
        let read = "permit (principal, action == Action::\"Read\", resource);";
        let identity = Identity::new("https://issuer.example", "crew", Method::Oidc);
        let blind = PolicySet::parse(&format!("{connect}\n{read}"), "p.cedar").expect("policies");
        let snapshot = Arc::new(Snapshot::new(blind));
        let mut gate = gate(&snapshot);
        let at = |gate: &mut Gate, address: [u8; 4]| {
            let target = Target::new("orders", "shop").expect("names");
            gate.context(Principal::new(&identity, target), Client::new(address.into()))
        };
        let (here, there) = (at(&mut gate, [127, 0, 0, 1]), at(&mut gate, [10, 0, 0, 1]));
        let text = "select a from t";
        assert!(!judged(&mut gate, text, &here).2);
        assert!(judged(&mut gate, text, &there).2, "no policy tells them apart");
        let looking = PolicySet::parse(&format!("{connect}\n{read}\n{far}"), "p.cedar").expect("policies");
        snapshot.replace(looking);
        assert_eq!(judged(&mut gate, text, &here).1, [true]);
        let (_, allowed, is_hit) = judged(&mut gate, text, &there);
        assert_eq!((allowed.as_slice(), is_hit), (&[false][..], false));
        let again = at(&mut gate, [10, 0, 0, 1]);
        let (_, allowed, is_hit) = judged(&mut gate, text, &again);
        assert_eq!((allowed.as_slice(), is_hit), (&[false][..], true));
        // A thousand addresses take no more than what one identity may have.
        for number in 0..1000_u32 {
            let [_, _, high, low] = number.to_be_bytes();
            let context = at(&mut gate, [10, 1, high, low]);
            judged(&mut gate, text, &context);
            assert!(gate.cached() <= 100, "{} after {number}", gate.cached());
        }
    }

    #[test]
    fn what_looked_at_the_time_is_decided_again() {
        thread_local! {
            static HOUR: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        }
        let source = "permit (principal, action == Action::\"Connect\", resource);\n\
                      permit (principal, action == Action::\"Read\", resource) when { context.hour < 12 };";
        let policies = PolicySet::parse(source, "p.cedar").expect("policies");
        let snapshot = Arc::new(Snapshot::new(policies));
        let mut gate = gate(&snapshot);
        gate.clock = || Moment::from_unix_ms(HOUR.get() * 3_600_000);
        let who = context(&mut gate, "shop");
        let mut was_asked = false;
        for hour in [0, 11, 12, 13, 23, 24, 25] {
            HOUR.set(hour);
            for _ in 0..2 {
                let text = "select a from t where b = 1";
                let Judgement::Known(verdict) = gate.judge(text.as_bytes(), &[], &who) else {
                    panic!("{text} is short");
                };
                let is_allowed = matches!(verdict.outcomes[0], Outcome::Allow(_));
                assert_eq!(is_allowed, hour % 24 < 12, "{hour}");
                assert!(!verdict.is_plain && !verdict.holds_in(gate.epoch()), "{hour}");
                assert_eq!(
                    (gate.counts.hits > 0, gate.counts.misses),
                    (was_asked, 1),
                    "{hour}"
                );
                was_asked = true;
            }
        }
    }

    #[test]
    fn t14_who_floods_the_cache_drives_out_his_own() {
        let snapshot = Arc::new(Snapshot::new(PolicySet::read_only()));
        let mut gate = gate(&snapshot);
        let (quiet, loud) = (context(&mut gate, "shop"), context(&mut gate, "books"));
        for number in 0..20 {
            judged(&mut gate, &format!("select q{number} from t"), &quiet);
        }
        for number in 0..1000 {
            judged(&mut gate, &format!("select l{number} from t"), &loud);
            assert!(gate.cached() <= 100, "{} after {number}", gate.cached());
        }
        for number in 0..20 {
            assert!(
                judged(&mut gate, &format!("select q{number} from t"), &quiet).2,
                "{number}"
            );
        }
        // What nobody has any more makes room.
        drop(loud);
        gate.context_in(&quiet, &names("a"), &Arc::default());
    }
}
