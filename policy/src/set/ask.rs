//! One question to the policies that may have a say in it.
//!
//! An effect may be on more than its resource: on every column of its table, or on any relation of the database where
//! its own is not known. Among these only those that a policy names can make a difference to it, so each policy is
//! asked about the resource, about what it names itself, and about one that nothing names. A `forbid` applies if it does to
//! one of them, a `permit` only if it does to all: the decision is right whatever the effect turns out to be on.
//!
//! What is certainly on one thing and may be on any others (code that cannot be known, `DROP ... CASCADE`) is permitted
//! by a permit of that thing that names no other one for which it does not hold.

use std::collections::HashSet;

use cedar_policy::{Authorizer, Context, Entities, Entity, Request, RestrictedExpression};

use super::Policies;
use super::known::Known;
use super::question::{Kinds, On, Question, Reach};
use super::rule::Rule;
use super::tree::{self, NodeId, Thing, Tree};
use crate::client::{Client, Mentions, Moment};
use crate::explain::Word;
use crate::names::Kind;
use crate::principal::Principal;
use crate::schema::{CONNECT, UNMASK, VOCABULARY};

/// What is the same for all questions of a decision.
pub(super) struct Asker<'a> {
    pub(super) who: &'a Principal,
    pub(super) client: &'a Client,
    pub(super) known: &'a Known,
    pub(super) tree: Option<&'a Tree>,
    /// What the set's conditions look at.
    pub(super) mentions: &'a Mentions,
    /// The attributes of the session that they look at.
    pub(super) session: Vec<(String, RestrictedExpression)>,
    pub(super) authorizer: &'a Authorizer,
    /// The entities for each action and each thing that was asked about.
    pub(super) entities: Vec<(usize, On<'a>, Entities)>,
}

/// What a rule says of a question; rules whose scope does not take it in say nothing.
pub(super) struct Said<'r> {
    pub(super) place: usize,
    pub(super) rule: &'r Rule,
    pub(super) word: Word,
}

impl<'a> Asker<'a> {
    pub(super) fn new(
        policies: &'a Policies,
        who: &'a Principal,
        client: &'a Client,
        now: Moment,
        known: &'a Known,
    ) -> Self {
        Self {
            who,
            client,
            known,
            tree: known.tree.and_then(|tree| policies.trees.get(tree)),
            mentions: &policies.mentions,
            session: policies.mentions.attributes(client, now),
            authorizer: &policies.authorizer,
            entities: Vec::new(),
        }
    }

    /// Asks every rule that may have a say, in the order of the file.
    pub(super) fn ask<'r>(
        &mut self,
        rules: &'r [Rule],
        question: &Question<'a>,
        is_approved: bool,
    ) -> Vec<Said<'r>> {
        let mut said = Vec::new();
        let mut context = None;
        for place in self.known.rules(question, self.tree) {
            let Some(rule) = rules.get(place) else { continue };
            if let Some(word) = self.ask_rule(rule, question, is_approved, &mut context) {
                said.push(Said { place, rule, word });
            }
        }
        said
    }

    fn ask_rule(
        &mut self,
        rule: &Rule,
        question: &Question<'a>,
        is_approved: bool,
        context: &mut Option<Context>,
    ) -> Option<Word> {
        let mut applies = None;
        let mut is_outside = false;
        let mut error = None;
        let mut on_each = |asker: &mut Self, on: On<'a>| {
            if !rule.resource.holds(on, asker.tree) {
                is_outside = true;
                return;
            }
            let word = asker.applies(rule, question, on, is_approved, context);
            match word {
                Word::Error(text) => error = error.take().or(Some(text)),
                word => {
                    let does = word == Word::Applies;
                    let before = *applies.get_or_insert(does);
                    applies = Some(if rule.is_forbid {
                        before || does
                    } else {
                        before && does
                    });
                }
            }
        };
        on_each(self, question.on);
        if question.reach != Reach::Itself {
            let tree = self.tree;
            for thing in also_on(rule, question, self.known.tree, tree) {
                on_each(self, On::Thing(thing));
            }
        }
        if let Some(error) = error {
            return Some(Word::Error(error));
        }
        // A permit that leaves out one of the things permits nothing.
        let applies = applies? && (rule.is_forbid || !is_outside);
        Some(if applies {
            Word::Applies
        } else {
            Word::ConditionFalse
        })
    }

    fn applies(
        &mut self,
        rule: &Rule,
        question: &Question<'a>,
        on: On<'a>,
        is_approved: bool,
        context: &mut Option<Context>,
    ) -> Word {
        if self.client.claims().lacks(&rule.mentions.claims) {
            return Word::Error("the issuer claims more of this identity than the gateway keeps".into());
        }
        let authorizer = self.authorizer;
        rule.applies(authorizer, || {
            let context = context
                .get_or_insert_with(|| self.context(question, is_approved))
                .clone();
            let uid = match on {
                On::Database => self.who.database.clone(),
                On::Setting { name, .. } => VOCABULARY.setting(name),
                On::Class(name) => VOCABULARY.class(name),
                On::Thing(thing) => tree::entity(self.tree, &self.who.on, thing).0,
            };
            let action = VOCABULARY.actions[question.action].clone();
            let request = Request::new(self.who.uid.clone(), action, uid, context, None)
                .expect("only a schema could refuse a request");
            (request, self.entities_for(question.action, on))
        })
    }

    fn context(&self, question: &Question<'_>, is_approved: bool) -> Context {
        let session = self.session.clone();
        if matches!(question.action, CONNECT | UNMASK) {
            return Context::from_pairs(session).expect("the names differ from each other");
        }
        let context = VOCABULARY.context(question.context, question.filter, is_approved);
        if session.is_empty() {
            return context;
        }
        context.merge(session).expect("the names differ from each other")
    }

    /// The principal's entities, with the action and what is asked about among them.
    fn entities_for(&mut self, action: usize, on: On<'a>) -> Entities {
        let mut known = self.entities.iter();
        if let Some((.., entities)) = known.find(|known| (known.0, known.1) == (action, on)) {
            return entities.clone();
        }
        let mut own = Vec::from_iter(VOCABULARY.groups.get(&VOCABULARY.actions[action]).cloned());
        let in_database = [self.who.database.clone(), self.who.connection.clone()];
        match on {
            // An entity of an enumeration has neither attributes nor holders.
            On::Database | On::Class(_) => {}
            On::Setting { name, is_harmless } => {
                let harmless = is_harmless.then(|| VOCABULARY.harmless.clone());
                let holders = in_database.into_iter().chain(harmless).collect();
                own.push(Entity::new_no_attrs(VOCABULARY.setting(name), holders));
            }
            On::Thing(thing) => {
                let (uid, holders) = tree::entity(self.tree, &self.who.on, thing);
                let holders = holders.into_iter().chain(in_database).collect();
                own.push(Entity::new_no_attrs(uid, holders));
            }
        }
        if !self.mentions.claims.is_none() {
            own.push(self.client.claims().entity(&self.who.id, &self.mentions.claims));
        }
        let entities = self.known.entities.clone();
        let entities = entities
            .add_entities(own, None)
            .expect("no other entity of a principal has such an id");
        self.entities.push((action, on, entities.clone()));
        entities
    }
}

/// What beside its resource a question may be on, as far as the rule can tell one from another; nothing twice.
fn also_on(rule: &Rule, question: &Question<'_>, own_tree: Option<usize>, tree: Option<&Tree>) -> Vec<Thing> {
    let may_be = |kind: Kind| VOCABULARY.applies(question.action, kind);
    let mut things = Vec::new();
    let holder = match (question.reach, question.on) {
        (Reach::Parts, On::Thing(whole)) => {
            let kinds = whole.kind.and_below().skip(1).filter(|&kind| may_be(kind));
            things.extend(kinds.map(|kind| Thing::other_in(kind, whole.node)));
            if !whole.is_named {
                return things;
            }
            whole.node
        }
        (Reach::Any(kinds), _) => {
            // What is on one thing and may be on anything else besides needs a permit of that one.
            if rule.is_forbid || kinds != Kinds::ALL {
                let kinds = Kind::ALL
                    .into_iter()
                    .filter(|&kind| kinds.holds(kind) && may_be(kind));
                things.extend(kinds.map(|kind| Thing::other_in(kind, None)));
            }
            None
        }
        _ => return things,
    };
    let may_be = |kind: Kind| match question.reach {
        Reach::Any(kinds) => kinds.holds(kind) && may_be(kind),
        Reach::Parts | Reach::Itself => may_be(kind),
    };
    if let Some(tree) = tree {
        let named = rule.named.iter().filter(|(of, _)| Some(*of) == own_tree);
        for &(_, node) in named.filter(|(_, node)| Some(*node) != holder && tree.is_in(*node, holder)) {
            push_named(&mut things, node, tree, may_be);
        }
    }
    let mut known = HashSet::new();
    things.retain(|thing| On::Thing(*thing) != question.on && known.insert(*thing));
    things
}

fn push_named(things: &mut Vec<Thing>, node: NodeId, tree: &Tree, may_be: impl Fn(Kind) -> bool) {
    let mut kinds = tree.kind(node).and_below();
    let own = kinds.next();
    if own.is_some_and(&may_be) {
        things.push(Thing {
            kind: tree.kind(node),
            node: Some(node),
            is_named: true,
        });
    }
    let others = kinds.filter(|&kind| may_be(kind));
    things.extend(others.map(|kind| Thing::other_in(kind, Some(node))));
}
