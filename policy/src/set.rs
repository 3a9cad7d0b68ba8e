//! A set of policies: read, checked and asked.

mod parse;
mod rule;
mod statements;

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Entities, EntityUid, Request};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind};

use self::rule::{Rule, Word};
use crate::decision::{Cause, Decision, Denial};
use crate::errors::PolicyErrors;
use crate::principal::Principal;
use crate::schema::{CONNECT, REQUEST_ACTIONS, VOCABULARY, context_number};

/// Policies that were checked against the schema.
#[derive(Debug)]
pub struct PolicySet(Kind);

#[derive(Debug)]
enum Kind {
    AllowAll,
    Policies(Box<Policies>),
}

#[derive(Debug)]
struct Policies {
    /// In the order of the file.
    rules: Vec<Rule>,
    /// By number of request: the places of those whose scope can name that action.
    by_action: [Vec<usize>; REQUEST_ACTIONS],
    authorizer: Authorizer,
}

impl PolicySet {
    /// Reads policies. `file` is the name that mistakes are reported under.
    pub fn parse(source: &str, file: &str) -> Result<Self, PolicyErrors> {
        parse::parse(source, file).map(|policies| Self(Kind::Policies(Box::new(policies))))
    }

    /// Permits everything: every effect with every flag, what cannot be analysed, and every setting.
    pub const fn allow_all() -> Self {
        Self(Kind::AllowAll)
    }

    /// The bundled policy that reads and changes nothing (`configs/policies/read-only.cedar`).
    pub fn read_only() -> Self {
        Self::parse(READ_ONLY, "read-only.cedar").expect("the bundled policy is valid, as a test shows")
    }

    /// Whether this is [`PolicySet::allow_all`].
    pub const fn is_allow_all(&self) -> bool {
        matches!(self.0, Kind::AllowAll)
    }

    /// How many policies there are; none permit nothing.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::AllowAll => 0,
            Kind::Policies(policies) => policies.rules.len(),
        }
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `who` may have a session.
    pub fn connect(&self, who: &Principal) -> Decision {
        self.decide(who, &[])
    }

    /// Whether `who` may run a statement with these effects. Each effect is a request of its own, and `Connect`
    /// is asked with every statement, as the policies may have changed since the session began. Of several
    /// denials the one that says most is given: a policy that cannot be evaluated, then a `forbid`, then what
    /// nothing permits; among equals the first effect's.
    pub fn decide(&self, who: &Principal, effects: &[Effect]) -> Decision {
        match &self.0 {
            Kind::AllowAll => Decision::Allow { policies: Vec::new() },
            Kind::Policies(policies) => policies.decide(who, effects),
        }
    }
}

/// What makes two effects the same request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question<'a> {
    action: Action,
    context: u16,
    filter: Option<FilterKind>,
    lexing: bool,
    setting: Option<(&'a str, bool)>,
}

impl<'a> Question<'a> {
    fn new(effect: &'a Effect) -> Self {
        let setting = (effect.action == Action::Set)
            .then(|| (&*effect.object.name, effect.flags.contains(EffectFlags::HARMLESS)));
        Self {
            action: effect.action,
            context: context_number(effect.flags),
            // A filter of no known kind is of the kind that nothing permits by itself.
            filter: (effect.action == Action::Filter).then(|| effect.filter.unwrap_or(FilterKind::Other)),
            lexing: effect.flags.contains(EffectFlags::LEXING),
            setting,
        }
    }
}

impl Policies {
    fn decide(&self, who: &Principal, effects: &[Effect]) -> Decision {
        let mut permits = match self.ask(CONNECT, who, &who.database, Context::empty(), &who.entities) {
            Answer::Permit(found) => found,
            // Without a session there is nothing else to say.
            Answer::Deny(cause, rule, error) => {
                return Decision::Deny(Box::new(deny(cause, rule, error, who, None)));
            }
        };
        if !effects.is_empty() {
            permits.clear();
        }
        let mut denial: Option<Denial> = None;
        // A statement can have as many effects as its text has room for, and few that differ.
        let mut asked = HashSet::with_capacity(effects.len().min(16));
        for (index, effect) in effects.iter().enumerate() {
            let question = Question::new(effect);
            if !asked.insert(question) {
                continue;
            }
            match self.ask_question(&question, who) {
                Answer::Permit(found) => permits.extend(found),
                Answer::Deny(cause, rule, error) => {
                    if denial.as_ref().is_none_or(|worst| worst.cause < cause) {
                        denial = Some(deny(cause, rule, error, who, Some((index, effect))));
                    }
                }
            }
        }
        if let Some(denial) = denial {
            return Decision::Deny(Box::new(denial));
        }
        let mut named = HashSet::with_capacity(permits.len());
        permits.retain(|place| named.insert(*place));
        Decision::Allow {
            policies: permits
                .into_iter()
                .map(|place| Arc::clone(&self.rules[place].name))
                .collect(),
        }
    }

    fn ask_question(&self, question: &Question<'_>, who: &Principal) -> Answer<'_> {
        if question.lexing {
            return Answer::Deny(Cause::Lexing, None, None);
        }
        let number = question.action as usize;
        let context = VOCABULARY.context(question.context, question.filter);
        match question.setting {
            None => self.ask(number, who, &who.database, context, &who.entities),
            Some((name, harmless)) => {
                let setting = VOCABULARY.setting(name);
                let entities = who.entities_with_setting(&setting, harmless);
                self.ask(number, who, &setting, context, &entities)
            }
        }
    }

    fn ask(
        &self,
        number: usize,
        who: &Principal,
        on: &EntityUid,
        context: Context,
        entities: &Entities,
    ) -> Answer<'_> {
        let action = VOCABULARY.actions[number].clone();
        let request = Request::new(who.uid.clone(), action, on.clone(), context, None)
            .expect("only a schema could refuse a request");
        let mut permits = Vec::new();
        let mut forbid = None;
        for &place in &self.by_action[number] {
            let rule = &self.rules[place];
            match rule.say(&self.authorizer, &request, &who.uid, on, entities) {
                Word::Nothing => {}
                Word::Permit => permits.push(place),
                Word::Forbid => forbid = forbid.or(Some(rule)),
                Word::Error(error) => return Answer::Deny(Cause::EvaluationError, Some(rule), Some(error)),
            }
        }
        match forbid {
            Some(rule) => Answer::Deny(Cause::Forbid, Some(rule), None),
            None if permits.is_empty() => Answer::Deny(Cause::NoPermit, None, None),
            None => Answer::Permit(permits),
        }
    }
}

/// The answer to one request.
enum Answer<'a> {
    /// The places of the policies that permit.
    Permit(Vec<usize>),
    Deny(Cause, Option<&'a Rule>, Option<Box<str>>),
}

fn deny(
    cause: Cause,
    rule: Option<&Rule>,
    error: Option<Box<str>>,
    who: &Principal,
    effect: Option<(usize, &Effect)>,
) -> Denial {
    Denial {
        policy: rule.map(|rule| Arc::clone(&rule.name)),
        message: rule.and_then(|rule| rule.message.clone()),
        cause,
        effect: effect.map(|(index, _)| index),
        action: effect.map_or("Connect", |(_, effect)| effect.action.name()),
        object: effect.map_or_else(Box::default, |(_, effect)| effect.object.to_string().into()),
        on: Arc::clone(&who.on),
        error,
    }
}

const READ_ONLY: &str = include_str!("../../configs/policies/read-only.cedar");
