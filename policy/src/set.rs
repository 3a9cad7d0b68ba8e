//! A set of policies: read, checked and asked.

mod ask;
mod conditions;
mod decide;
mod hiding;
mod known;
mod parse;
pub(crate) mod question;
mod review;
mod rule;
mod statements;
mod tree;
mod unmask;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::Authorizer;
use sluice_parsers::sql::effect::Effect;

pub use self::hiding::Hiding;
use self::known::ByPrincipal;
pub(crate) use self::known::Known;
use self::rule::Rule;
use self::tree::Tree;
use crate::annotations::Severity;
use crate::budget::Budget;
use crate::client::{Client, Mentions, Moment, Told};
use crate::decision::{Decision, Permission, Unmasking};
use crate::errors::PolicyErrors;
use crate::explain::Explained;
use crate::principal::Principal;
use crate::review::{Surroundings, Warning};

/// Policies that were checked against the schema.
#[derive(Debug)]
pub struct PolicySet {
    kind: Kind,
    /// Where people read what the policies want.
    documentation: Option<Arc<str>>,
}

#[derive(Debug)]
enum Kind {
    AllowAll,
    Policies(Box<Policies>),
}

#[derive(Debug)]
struct Policies {
    /// No other set of this process has it.
    number: u64,
    /// In the order of the file.
    rules: Vec<Rule>,
    by_principal: ByPrincipal,
    /// What the policies name, by database.
    trees: Vec<Tree>,
    tree_of: HashMap<Box<str>, usize>,
    /// What the conditions of all policies look at.
    mentions: Mentions,
    authorizer: Authorizer,
}

impl PolicySet {
    /// Reads policies. `file` is the name that mistakes are reported under.
    pub fn parse(source: &str, file: &str) -> Result<Self, PolicyErrors> {
        parse::parse(source, file).map(|policies| Self::of(Kind::Policies(Box::new(policies))))
    }

    /// Permits everything: every effect with every flag, what cannot be analysed, and every setting.
    pub const fn allow_all() -> Self {
        Self::of(Kind::AllowAll)
    }

    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            documentation: None,
        }
    }

    /// The same policies, with the URL of a page for people about them.
    #[must_use]
    pub fn documented_at(self, url: &str) -> Self {
        Self {
            documentation: Some(url.into()),
            ..self
        }
    }

    /// The URL of a page about the policies, for denials.
    pub fn documentation(&self) -> Option<&str> {
        self.documentation.as_deref()
    }

    /// The bundled policy that reads and changes nothing (`configs/policies/read-only.cedar`).
    pub fn read_only() -> Self {
        Self::parse(READ_ONLY, "read-only.cedar").expect("the bundled policy is valid, as a test shows")
    }

    /// Whether this is [`PolicySet::allow_all`].
    pub const fn is_allow_all(&self) -> bool {
        matches!(self.kind, Kind::AllowAll)
    }

    /// How many policies there are; none permit nothing.
    pub fn len(&self) -> usize {
        self.rules().len()
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The budgets of its policies, each with the policy's name.
    pub fn budgets(&self) -> impl Iterator<Item = (&Arc<str>, &Budget)> {
        self.rules()
            .iter()
            .flat_map(|rule| rule.annotations.budgets.iter().map(|budget| (&rule.name, budget)))
    }

    /// The `@severity` of a policy, by its name.
    pub fn severity(&self, policy: &str) -> Option<Severity> {
        let rule = self.rules().iter().find(|rule| *rule.name == *policy)?;
        rule.annotations.severity
    }

    fn rules(&self) -> &[Rule] {
        match &self.kind {
            Kind::AllowAll => &[],
            Kind::Policies(policies) => &policies.rules,
        }
    }

    /// What of a client the policies look at, none if nothing. Two clients of which that is equal get equal decisions for
    /// equal principals at one time; a decision cache may share them.
    pub fn told(&self, client: &Client) -> Option<Told> {
        match &self.kind {
            Kind::AllowAll => None,
            Kind::Policies(policies) => policies.mentions.told(client),
        }
    }

    /// Whether `who` may have a session.
    pub fn connect(&self, who: &Principal, client: &Client, now: Moment) -> Decision {
        self.decide(who, client, now, &[])
    }

    /// Whether `who` may see values of a class as they are: `email` and its like, or `other` for configured columns of no
    /// detector's class. Only a permit that names `Unmask` says yes, [`PolicySet::allow_all`] does not.
    pub fn unmasks(&self, who: &Principal, client: &Client, now: Moment, class: &str) -> Unmasking {
        match &self.kind {
            Kind::AllowAll => Unmasking::default(),
            Kind::Policies(policies) => policies.unmasks(who, client, now, class),
        }
    }

    /// The request of [`Self::unmasks`], and which policies had a say in it.
    pub fn explain_unmasking(&self, who: &Principal, client: &Client, now: Moment, class: &str) -> Explained {
        match &self.kind {
            Kind::AllowAll => unmask::unpermitted(class),
            Kind::Policies(policies) => policies.explain_unmasking(who, client, now, class),
        }
    }

    /// Whether the policies name something of the database whose values `who` may not read.
    pub fn hides(&self, who: &Principal, client: &Client, now: Moment) -> Hiding {
        match &self.kind {
            Kind::AllowAll => Hiding::default(),
            Kind::Policies(policies) => policies.hides(who, client, now),
        }
    }

    /// Whether `who` may run a statement with these effects. Each effect is a request of its own, one on columns is one for
    /// each of them, and `Connect` is asked with every statement, as the policies may have changed since the session
    /// began. Of several denials the one that says most is given: a policy that cannot be evaluated, then a `forbid`,
    /// then what nothing permits, then what needs an approval; among equals the first effect's.
    ///
    /// A decision that [`Decision::is_timed`] holds at `now` and has to be made again for every use.
    pub fn decide(&self, who: &Principal, client: &Client, now: Moment, effects: &[Effect]) -> Decision {
        match &self.kind {
            Kind::AllowAll => Decision::Allow(Permission::default()),
            Kind::Policies(policies) => policies.decide(who, client, now, effects),
        }
    }

    /// The requests of [`Self::decide`], in the order of the effects, and which policies had a say in each. Requests that
    /// are alike to the policies are listed once, with the first effect that makes them. [`PolicySet::allow_all`] makes
    /// no requests.
    pub fn explain(
        &self,
        who: &Principal,
        client: &Client,
        now: Moment,
        effects: &[Effect],
    ) -> Vec<Explained> {
        match &self.kind {
            Kind::AllowAll => Vec::new(),
            Kind::Policies(policies) => policies.explain(who, client, now, effects),
        }
    }
}

/// What of a valid file cannot have an effect.
pub(crate) fn review(source: &str, file: &str, around: &Surroundings) -> Result<Vec<Warning>, PolicyErrors> {
    review::review(source, file, around)
}

impl Policies {
    fn new(
        rules: Vec<Rule>,
        by_principal: ByPrincipal,
        trees: Vec<Tree>,
        tree_of: HashMap<Box<str>, usize>,
    ) -> Self {
        static SETS: AtomicU64 = AtomicU64::new(0);
        let mut mentions = Mentions::default();
        for rule in &rules {
            mentions.add(&rule.mentions);
        }
        Self {
            number: SETS.fetch_add(1, Ordering::Relaxed),
            rules,
            by_principal,
            trees,
            tree_of,
            mentions,
            authorizer: Authorizer::new(),
        }
    }

    /// What can apply to a principal; found anew when another set was asked about it last.
    fn known(&self, who: &Principal) -> Arc<Known> {
        let known = who.known.load_full();
        if let Some(known) = known.filter(|known| known.set == self.number) {
            return known;
        }
        let tree = self.tree_of.get(&*who.on).copied();
        let known = Arc::new(Known::new(
            self.number,
            who,
            &self.rules,
            &self.by_principal,
            tree,
        ));
        who.known.store(Some(Arc::clone(&known)));
        known
    }
}

const READ_ONLY: &str = include_str!("../../configs/policies/read-only.cedar");
