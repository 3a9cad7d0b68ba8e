//! What of a policy set can apply to one principal on its database: found once, and looked up by action and resource.

use std::collections::HashMap;

use cedar_policy::{Entities, EntityUid};

use super::question::{On, Question, Reach};
use super::rule::{Bound, Rule};
use super::tree::{NodeId, Tree};
use crate::principal::Principal;
use crate::schema::{REQUEST_ACTIONS, VOCABULARY};

/// The rules of a set by whom they are for.
#[derive(Debug, Default)]
pub(super) struct ByPrincipal {
    anybody: Vec<usize>,
    by_uid: HashMap<EntityUid, Vec<usize>>,
    /// All groups that the policies name, in scopes and conditions.
    groups: HashMap<Box<str>, EntityUid>,
}

impl ByPrincipal {
    pub(super) fn add(&mut self, rule: usize, principal: Option<EntityUid>) {
        match principal {
            None => self.anybody.push(rule),
            Some(uid) => self.by_uid.entry(uid).or_default().push(rule),
        }
    }

    pub(super) fn add_group(&mut self, uid: &EntityUid) {
        let name: &str = uid.id().as_ref();
        self.groups.entry(name.into()).or_insert_with(|| uid.clone());
    }
}

/// What of one policy set can apply to a principal.
#[derive(Debug)]
pub(crate) struct Known {
    /// The number of the set.
    pub(super) set: u64,
    /// The number of the database's tree.
    pub(super) tree: Option<usize>,
    /// The principal in the groups that the policies name, and its database.
    pub(super) entities: Entities,
    by_action: [ByResource; REQUEST_ACTIONS],
}

#[derive(Debug, Default)]
struct ByResource {
    /// Of whatever is in the database.
    any: Vec<usize>,
    by_node: HashMap<NodeId, Vec<usize>>,
}

impl Known {
    pub(super) fn new(
        set: u64,
        who: &Principal,
        rules: &[Rule],
        by_principal: &ByPrincipal,
        tree: Option<usize>,
    ) -> Self {
        let groups = who.groups().iter();
        let groups: Vec<_> = groups
            .filter_map(|name| by_principal.groups.get(name.as_str()))
            .cloned()
            .collect();
        let own = groups.iter().chain([&who.uid]);
        let own = own.filter_map(|uid| by_principal.by_uid.get(uid)).flatten();
        let mut by_action: [ByResource; REQUEST_ACTIONS] = std::array::from_fn(|_| ByResource::default());
        for &place in by_principal.anybody.iter().chain(own) {
            let Some(rule) = rules.get(place) else { continue };
            if !rule.resource.may_be_in(who.target(), &who.on, tree) {
                continue;
            }
            for &action in &rule.actions {
                let into = &mut by_action[action];
                match rule.resource.bound {
                    Bound::Node { node, .. } => into.by_node.entry(node).or_default().push(place),
                    _ => into.any.push(place),
                }
            }
        }
        Self {
            set,
            tree,
            entities: who.entities(groups),
            by_action,
        }
    }

    /// The places of the rules whose scope may take in what the question is on or may be on, ascending.
    pub(super) fn rules(&self, question: &Question<'_>, tree: Option<&Tree>) -> Vec<usize> {
        let known = &self.by_action[question.action];
        let mut found = known.any.clone();
        let Some(tree) = tree.filter(|_| !known.by_node.is_empty()) else {
            found.sort_unstable();
            return found;
        };
        if let On::Thing(thing) = question.on {
            let mut next = thing.node;
            while let Some(node) = next {
                found.extend(known.by_node.get(&node).into_iter().flatten());
                next = tree.parent(node);
            }
        }
        let also = known
            .by_node
            .iter()
            .filter(|(node, _)| match (question.reach, question.on) {
                // What holds a thing of the kinds may take one in.
                (Reach::Any(kinds), _) => tree.kind(**node).and_below().any(|kind| kinds.holds(kind)),
                (Reach::Parts, On::Thing(whole)) => whole.is_named && tree.is_in(**node, whole.node),
                _ => false,
            });
        if question.reach != Reach::Itself {
            found.extend(also.flat_map(|(_, rules)| rules));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The group of that name, for the index.
pub(super) fn is_group(uid: &EntityUid) -> bool {
    uid.type_name() == VOCABULARY.group("").type_name()
}
