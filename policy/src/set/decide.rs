//! A statement's questions and their answers, and what comes of them together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sluice_parsers::sql::effect::Effect;

use super::Policies;
use super::ask::{Asker, Said};
use super::question::{self, Asked, On, Question, Reach};
use super::rule::Rule;
use crate::annotations::{Limits, Severity};
use crate::budget::{Allowance, Charge, Measure};
use crate::client::{Client, Moment};
use crate::decision::{Approval, Cause, Decision, Denial, Permission};
use crate::explain::{Explained, Opinion, Word};
use crate::principal::Principal;
use crate::schema::{CONNECT, FILTER, UNMASK};

/// The answer to one question.
pub(super) struct Answer<'r> {
    pub(super) outcome: Outcome<'r>,
    /// Everything that was said, in the order of the file.
    pub(super) said: Vec<Said<'r>>,
}

pub(super) enum Outcome<'r> {
    Permit,
    Deny {
        cause: Cause,
        rule: Option<&'r Rule>,
        error: Option<Box<str>>,
        /// Of [`Cause::Approval`].
        approval: Option<Approval>,
        /// The highest of the policies that deny.
        severity: Option<Severity>,
    },
}

impl Outcome<'_> {
    const fn cause(&self) -> Option<Cause> {
        match self {
            Self::Permit => None,
            Self::Deny { cause, .. } => Some(*cause),
        }
    }
}

impl Answer<'_> {
    pub(super) fn is_timed(&self) -> bool {
        self.said.iter().any(|said| said.rule.mentions.time)
    }
}

const CONNECTING: Question<'static> = Question {
    action: CONNECT,
    context: 0,
    filter: None,
    is_lexing: false,
    on: On::Database,
    reach: Reach::Itself,
};

/// The denial that says most so far.
struct Worst<'r, 'e> {
    cause: Cause,
    rule: Option<&'r Rule>,
    error: Option<Box<str>>,
    at: Option<(usize, &'e Effect, Option<&'e str>)>,
}

impl Policies {
    pub(super) fn decide(
        &self,
        who: &Principal,
        client: &Client,
        now: Moment,
        effects: &[Effect],
    ) -> Decision {
        let known = self.known(who);
        let mut asker = Asker::new(self, who, client, now, &known);
        let connect = self.answer(&mut asker, &CONNECTING);
        let mut is_timed = connect.is_timed();
        let mut permission = Permission::default();
        let mut permits: Vec<usize> = Vec::new();
        if let Outcome::Deny {
            cause,
            rule,
            error,
            severity,
            ..
        } = connect.outcome
        {
            // Without a session there is nothing else to say.
            let worst = Worst {
                cause,
                rule,
                error,
                at: None,
            };
            return Decision::Deny(Box::new(deny(worst, who, None, severity, is_timed)));
        }
        // Whoever may connect within limits is held to them by every statement, also by those that do nothing else.
        permission.limits = limits_of(&connect.said);
        add_charges(&mut permission.charges, &connect.said, CONNECT);
        if effects.is_empty() {
            permits.extend(permitting(&connect.said).map(|said| said.place));
        }
        let mut worst: Option<Worst<'_, '_>> = None;
        let mut approval = Approval::default();
        let mut severity = None;
        // A statement can have as many effects as its text has room for, and few that differ. Of each question: whether
        // its answer is that somebody has to approve.
        let mut answered: HashMap<Question<'_>, bool> = HashMap::with_capacity(effects.len().min(16));
        for (index, effect) in effects.iter().enumerate() {
            question::each(effect, asker.tree, |Asked { question, column }| {
                if let Some(needs_approval) = answered.get(&question) {
                    if *needs_approval && approval.effects.last() != Some(&index) {
                        approval.effects.push(index);
                    }
                    return;
                }
                let answer = self.answer(&mut asker, &question);
                is_timed |= answer.is_timed();
                answered.insert(question, answer.outcome.cause() == Some(Cause::Approval));
                let limits = limits_of(&answer.said);
                match answer.outcome {
                    Outcome::Permit => {
                        permission.limits = permission.limits.strictest(limits);
                        add_charges(&mut permission.charges, &answer.said, question.action);
                        permits.extend(permitting(&answer.said).map(|said| said.place));
                    }
                    Outcome::Deny {
                        cause,
                        rule,
                        error,
                        approval: needed,
                        severity: of_answer,
                    } => {
                        severity = severity.max(of_answer);
                        if let Some(mut needed) = needed {
                            if approval.effects.last() != Some(&index) {
                                needed.effects.push(index);
                            }
                            approval.add(needed);
                        }
                        if worst.as_ref().is_none_or(|worst| worst.cause < cause) {
                            worst = Some(Worst {
                                cause,
                                rule,
                                error,
                                at: Some((index, effect, column)),
                            });
                        }
                    }
                }
            });
        }
        if let Some(worst) = worst {
            let approval = (worst.cause == Cause::Approval).then_some(approval);
            return Decision::Deny(Box::new(deny(worst, who, approval, severity, is_timed)));
        }
        let mut named = HashSet::with_capacity(permits.len());
        permits.retain(|place| named.insert(*place));
        let rules = permits.iter().filter_map(|place| self.rules.get(*place));
        permission.severity = highest(rules.clone());
        permission.policies = rules.map(|rule| Arc::clone(&rule.name)).collect();
        permission.is_timed = is_timed;
        Decision::Allow(permission)
    }

    pub(super) fn explain(
        &self,
        who: &Principal,
        client: &Client,
        now: Moment,
        effects: &[Effect],
    ) -> Vec<Explained> {
        let known = self.known(who);
        let mut asker = Asker::new(self, who, client, now, &known);
        let connect = self.answer(&mut asker, &CONNECTING);
        let resource = question::written("Database", &who.on);
        let mut explained = vec![explained(None, "Connect", resource, connect)];
        let mut answered = HashSet::new();
        for (index, effect) in effects.iter().enumerate() {
            question::each(effect, asker.tree, |Asked { question, column }| {
                if answered.insert(question) {
                    let answer = self.answer(&mut asker, &question);
                    let resource = match question.on {
                        On::Setting { name, .. } => question::written("Setting", name),
                        On::Class(name) => question::written("Class", name),
                        On::Database | On::Thing(_) => {
                            let (kind, id) = question::resource(&who.on, effect, column);
                            question::written(kind.map_or("Database", crate::names::Kind::name), &id)
                        }
                    };
                    explained.push(self::explained(
                        Some(index),
                        effect.action.name(),
                        resource,
                        answer,
                    ));
                }
            });
        }
        explained
    }

    pub(super) fn answer<'a>(&'a self, asker: &mut Asker<'a>, question: &Question<'a>) -> Answer<'a> {
        if question.is_lexing {
            return Answer {
                outcome: Outcome::Deny {
                    cause: Cause::Lexing,
                    rule: None,
                    error: None,
                    approval: None,
                    severity: None,
                },
                said: Vec::new(),
            };
        }
        let said = asker.ask(&self.rules, question, false);
        let error = said.iter().find_map(|said| match &said.word {
            Word::Error(error) => Some((said.rule, error.clone())),
            Word::Applies | Word::ConditionFalse => None,
        });
        let deny = |cause, rule, error| Outcome::Deny {
            cause,
            rule,
            error,
            approval: None,
            severity: highest(denying(&said)),
        };
        let forbid = forbidding(&said).next().map(|said| said.rule);
        let outcome = match (error, forbid) {
            (Some((rule, error)), _) => deny(Cause::EvaluationError, Some(rule), Some(error)),
            (None, None) if permitting(&said).next().is_some() => Outcome::Permit,
            (None, forbid) => match self.hold(asker, question, &said) {
                Some(hold) => hold,
                None => deny(forbid.map_or(Cause::NoPermit, |_| Cause::Forbid), forbid, None),
            },
        };
        Answer { outcome, said }
    }

    /// Whose yes would permit what is denied: every `forbid` that falls away with it, and where nothing permitted, one of the
    /// permits that apply with it, has to say whom to ask.
    fn hold<'a>(
        &'a self,
        asker: &mut Asker<'a>,
        question: &Question<'a>,
        said: &[Said<'a>],
    ) -> Option<Outcome<'a>> {
        if matches!(question.action, CONNECT | UNMASK) || !said.iter().any(|said| said.rule.mentions.approved)
        {
            return None;
        }
        let with = asker.ask(&self.rules, question, true);
        let is_error = |said: &Said<'_>| matches!(said.word, Word::Error(_));
        if with.iter().any(is_error) || forbidding(&with).next().is_some() {
            return None;
        }
        permitting(&with).next()?;
        let mut asking: Vec<&Rule> = Vec::new();
        let mut approval = Approval::default();
        for forbid in forbidding(said) {
            let approvers = &forbid.rule.annotations.approvers;
            if approvers.is_empty() {
                return None;
            }
            approval.required.push(Arc::clone(approvers));
            asking.push(forbid.rule);
        }
        if permitting(said).next().is_none() {
            let rules = permitting(&with).map(|said| said.rule);
            let conditional: Vec<_> = rules
                .filter(|rule| !rule.annotations.approvers.is_empty())
                .collect();
            let groups = conditional
                .iter()
                .flat_map(|rule| rule.annotations.approvers.iter());
            let mut groups: Vec<_> = groups.cloned().collect();
            if groups.is_empty() {
                return None;
            }
            groups.sort_unstable();
            groups.dedup();
            approval.required.push(groups.into());
            asking.extend(conditional);
        }
        approval.required.sort_unstable();
        approval.required.dedup();
        approval.ttl = asking.iter().filter_map(|rule| rule.annotations.ttl).min();
        approval.policies = asking.iter().map(|rule| Arc::clone(&rule.name)).collect();
        Some(Outcome::Deny {
            cause: Cause::Approval,
            rule: Some(asking.first()?),
            error: None,
            approval: Some(approval),
            severity: highest(asking.iter().copied()),
        })
    }
}

/// What the permits grant that apply: the most generous of each limit.
fn limits_of(said: &[Said<'_>]) -> Limits {
    permitting(said)
        .map(|said| said.rule.annotations.limits)
        .reduce(Limits::most_generous)
        .unwrap_or_default()
}

/// What a statement is charged to for one of its questions: a measure for which one of the permits has no budget is free.
fn add_charges(charges: &mut Vec<Charge>, said: &[Said<'_>], action: usize) {
    if permitting(said).any(|said| said.rule.annotations.budgets.is_empty()) {
        return;
    }
    for measure in Measure::ALL {
        // What else is done with a protected column compares it with nothing that the statement gives.
        if measure == Measure::Probes && action != FILTER {
            continue;
        }
        let to = permitting(said).map(|said| {
            let budgets = said.rule.annotations.budgets.iter();
            let budgets: Arc<[_]> = budgets
                .filter(|budget| budget.measure == measure)
                .copied()
                .collect();
            (!budgets.is_empty()).then(|| Allowance {
                policy: Arc::clone(&said.rule.name),
                budgets,
            })
        });
        let Some(to) = to.collect::<Option<Arc<[_]>>>().filter(|to| !to.is_empty()) else {
            continue;
        };
        let charge = Charge { measure, to };
        if !charges.contains(&charge) {
            charges.push(charge);
        }
    }
}

fn permitting<'s, 'r>(said: &'s [Said<'r>]) -> impl Iterator<Item = &'s Said<'r>> {
    said.iter()
        .filter(|said| !said.rule.is_forbid && said.word == Word::Applies)
}

fn forbidding<'s, 'r>(said: &'s [Said<'r>]) -> impl Iterator<Item = &'s Said<'r>> {
    said.iter()
        .filter(|said| said.rule.is_forbid && said.word == Word::Applies)
}

/// The policies by which something is denied.
fn denying<'r>(said: &[Said<'r>]) -> impl Iterator<Item = &'r Rule> {
    let has_failed = |said: &&Said<'_>| matches!(said.word, Word::Error(_));
    let failed = said.iter().filter(has_failed);
    forbidding(said).chain(failed).map(|said| said.rule)
}

fn highest<'r>(rules: impl Iterator<Item = &'r Rule>) -> Option<Severity> {
    rules.filter_map(|rule| rule.annotations.severity).max()
}

fn deny(
    worst: Worst<'_, '_>,
    who: &Principal,
    approval: Option<Approval>,
    severity: Option<Severity>,
    is_timed: bool,
) -> Denial {
    let Worst {
        cause,
        rule,
        error,
        at,
    } = worst;
    let resource = match at {
        Some((_, effect, column)) => question::resource(&who.on, effect, column).1.into(),
        None => (&*who.on).into(),
    };
    Denial {
        policy: rule.map(|rule| Arc::clone(&rule.name)),
        message: rule.and_then(|rule| rule.annotations.message.clone()),
        severity,
        cause,
        effect: at.map(|(index, ..)| index),
        action: at.map_or("Connect", |(_, effect, _)| effect.action.name()),
        object: at.map_or_else(Box::default, |(_, effect, _)| effect.object.to_string().into()),
        on: Arc::clone(&who.on),
        resource,
        approval: approval.map(Box::new),
        used_up: None,
        error,
        is_timed,
    }
}

pub(super) fn explained(
    effect: Option<usize>,
    action: &'static str,
    resource: String,
    answer: Answer<'_>,
) -> Explained {
    let opinions = answer.said.into_iter().map(|said| Opinion {
        policy: Arc::clone(&said.rule.name),
        is_forbid: said.rule.is_forbid,
        word: said.word,
    });
    let cause = answer.outcome.cause();
    let approval = match answer.outcome {
        Outcome::Deny {
            approval: Some(mut approval),
            ..
        } => {
            approval.effects.extend(effect);
            Some(approval)
        }
        _ => None,
    };
    Explained {
        effect,
        action,
        resource,
        cause,
        approval,
        opinions: opinions.collect(),
    }
}
