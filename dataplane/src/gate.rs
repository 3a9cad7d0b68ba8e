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
#[cfg(test)]
mod tests;
mod verdict;

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::bytes::Bytes;
use sluice_parsers::sql::analyze;
use sluice_parsers::sql::effect::Effect;
use sluice_parsers::sql::shape::{self, Literal, Shape, hash_bytes};
use sluice_parsers::sql::statement::{Analysis, Cause, Reason, Statement};
use sluice_parsers::sql::template::{self, Template};
use sluice_parsers::sql::weight;
use sluice_parsers::sql::world::{SessionNames, World};
use sluice_policy::{Client, Decision, Hiding, Moment, PolicySnapshot, Principal, Reader, Unmasking};

use self::cache::DecisionKey;
use self::context::Shares;
pub use self::context::{Context, Database};
use self::verdict::Decided;
pub use self::verdict::{Outcome, Terms, Verdict, effect_lines};

/// Texts over this are not looked up: walking them takes longer than a core may be held.
const CACHED_TEXT_BYTES_MAX: usize = 16 * 1024;

/// What the gate answers at once.
pub enum Judgement {
    /// The verdict.
    Known(Rc<Verdict>),
    /// The text has to be analysed away from the core.
    Away(Box<Brief>),
}

/// What an errand has to know, but for the text: see [`Brief::about`].
pub struct Brief {
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
    /// What reading the text again would take a core too long.
    of_text: Option<OfText>,
}

/// What is known of one long text, whose verdict no other text shares.
#[derive(Debug)]
pub(crate) struct OfText {
    /// Its BLAKE3.
    pub(crate) hash: [u8; 32],
    /// Its statements, if it has several.
    ranges: Box<[Range<usize>]>,
}

impl OfText {
    fn new(sql: &[u8], statements: &[Statement]) -> Self {
        let ranges = match statements.len() {
            0 | 1 => Vec::new(),
            _ => ranges(&mut Shape::with_seed(0), sql, statements),
        };
        Self {
            hash: *blake3::hash(sql).as_bytes(),
            ranges: ranges.into(),
        }
    }
}

/// The parts of a text that are its statements.
fn ranges(shape: &mut Shape, sql: &[u8], statements: &[Statement]) -> Vec<Range<usize>> {
    let count = statements.len();
    if shape.scan(sql).is_err() {
        return vec![0..sql.len(); count];
    }
    let range = |index| Statement::range_in(statements, index, shape, sql.len());
    (0..count).map(range).collect()
}

impl Finding {
    /// Whether it was asked for in this context.
    pub fn is_of(&self, context: &Context) -> bool {
        self.context == context.id
    }
}

/// An analysis for a helper thread; give the result to [`Gate::adopt`].
pub struct Errand {
    brief: Box<Brief>,
    /// A range of the message that waits, shared with it.
    sql: Bytes,
}

impl Brief {
    /// The errand about the text that was judged.
    pub fn about(self: Box<Self>, sql: Bytes) -> Errand {
        Errand { brief: self, sql }
    }
}

impl Errand {
    /// Analyses and decides; takes as long as it takes.
    pub fn run(self) -> Finding {
        let brief = &self.brief;
        let analysis = analyze::analyze_bytes(&self.sql, &brief.limits, &brief.world);
        let decisions = decide(
            &brief.policies,
            &brief.principal,
            &brief.client,
            (brief.clock)(),
            &analysis.statements,
        );
        let is_long = self.sql.len() > CACHED_TEXT_BYTES_MAX;
        Finding {
            of_text: is_long.then(|| OfText::new(&self.sql, &analysis.statements)),
            analysis,
            decisions,
            epoch: brief.policies.epoch,
            context: brief.context,
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
            return Judgement::Away(Box::new(Brief {
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
            of_text: None,
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

    /// Makes a verdict of what an errand found and caches it. Policy that came into force meanwhile is asked again.
    pub fn adopt(
        &mut self,
        sql: &[u8],
        parameter_types: &[u8],
        context: &Context,
        mut finding: Finding,
    ) -> Rc<Verdict> {
        let epoch = self.epoch();
        if finding.epoch != epoch {
            let policies = self.policies.current();
            finding.decisions = context.decide(policies, (self.clock)(), &finding.analysis.statements);
        }
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
        let mut verdict = Verdict::new(statements, decided, epoch, sql.len());
        verdict.of_text = finding.of_text;
        let verdict = Rc::new(verdict);
        let told = self.told(context);
        if readable && sql.len() <= CACHED_TEXT_BYTES_MAX && self.shape.scan(sql).is_ok() {
            let verdict_bytes = verdict.bytes();
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

    /// Whether a context's principal may see values of a class as they are.
    pub fn unmasks(&mut self, class: &str, context: &Context) -> Unmasking {
        let now = (self.clock)();
        let policies = self.policies();
        policies.unmasks(&context.principal, &context.client, now, class)
    }

    /// Whether policy keeps values of its database from a context's principal.
    pub fn hides(&mut self, context: &Context) -> Hiding {
        let now = (self.clock)();
        self.policies().hides(&context.principal, &context.client, now)
    }

    /// How many decisions are cached.
    pub fn cached(&self) -> usize {
        self.shares.decisions()
    }

    /// The parts of `sql` that are a verdict's statements, over a text of the same shape; none of a single statement,
    /// which is all of it.
    pub fn ranges(&mut self, sql: &[u8], verdict: &Verdict) -> Vec<Range<usize>> {
        match &verdict.of_text {
            _ if verdict.statements.len() <= 1 => Vec::new(),
            Some(of_text) => of_text.ranges.to_vec(),
            None => ranges(&mut self.shape, sql, &verdict.statements),
        }
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
        let verdict_bytes = verdict.bytes();
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

/// Whether a text could not be read because it is too much to read.
fn is_excessive(reason: &Reason) -> bool {
    matches!(
        reason.cause,
        Cause::TooLong | Cause::TooManyTokens | Cause::TooDeep | Cause::Parser
    )
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
