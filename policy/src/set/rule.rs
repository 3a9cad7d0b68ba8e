//! One policy of a set, ready to be asked by itself.
//!
//! Cedar evaluates every policy it is given and keeps books for each, which costs more than most policies are
//! worth: those of other groups and other tables. So a policy is given to Cedar only where its scope holds, and then
//! alone. The scope is compared here; a property shows that what comes of it is what Cedar says of all policies at once.

use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    Request, ResourceConstraint,
};

use super::question::On;
use super::tree::{NodeId, Thing, Tree};
use crate::annotations::Annotations;
use crate::client::Mentions;
use crate::explain::Word;
use crate::names::Kind;
use crate::principal::Target;
use crate::schema::{UNMASK, VOCABULARY};

#[derive(Debug)]
pub(super) struct Rule {
    /// The `@id`, or `policy0` and so on.
    pub(super) name: std::sync::Arc<str>,
    pub(super) annotations: Annotations,
    pub(super) is_forbid: bool,
    /// What its conditions look at.
    pub(super) mentions: Mentions,
    /// What of each database its scope and its conditions name; the tree's number and the node.
    pub(super) named: Vec<(usize, NodeId)>,
    /// The numbers of the requests that its scope takes in.
    pub(super) actions: Vec<usize>,
    pub(super) resource: Resource,
    /// It has conditions beside its scope.
    has_conditions: bool,
    alone: cedar_policy::PolicySet,
}

/// What a scope asks of the resource.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) bound: Bound,
    /// The type, where it is asked for by `is`.
    of_type: Option<OfType>,
}

#[derive(Debug)]
pub(super) enum Bound {
    Anything,
    Connection(Box<str>),
    /// `connection/database`
    Database {
        id: Box<str>,
        is_itself: bool,
    },
    /// In the tree of that number.
    Node {
        tree: usize,
        node: NodeId,
        is_itself: bool,
    },
    Setting(Box<str>),
    Harmless,
    Class(Box<str>),
    /// Of a type that no effect is on.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfType {
    Database,
    Setting,
    Class,
    Kind(Kind),
    Other,
}

impl OfType {
    fn from_name(name: &EntityTypeName) -> Self {
        match name.to_string().as_str() {
            "Database" => Self::Database,
            "Setting" => Self::Setting,
            "Class" => Self::Class,
            name => Kind::from_name(name).map_or(Self::Other, Self::Kind),
        }
    }
}

impl Resource {
    /// Reads a scope; `node` finds what an id of a database names.
    fn of(
        constraint: ResourceConstraint,
        mut node: impl FnMut(&EntityUid) -> Option<(usize, NodeId)>,
    ) -> Self {
        let (of_type, uid, is_itself) = match constraint {
            ResourceConstraint::Any => (None, None, false),
            ResourceConstraint::Is(of_type) => (Some(of_type), None, false),
            ResourceConstraint::In(uid) => (None, Some(uid), false),
            ResourceConstraint::IsIn(of_type, uid) => (Some(of_type), Some(uid), false),
            ResourceConstraint::Eq(uid) => (None, Some(uid), true),
        };
        let bound = match uid {
            None => Bound::Anything,
            Some(uid) => {
                let id: &str = uid.id().as_ref();
                match uid.type_name().to_string().as_str() {
                    // The connection itself is never asked about.
                    "Connection" | "SettingGroup" if is_itself => Bound::Nothing,
                    "Connection" => Bound::Connection(id.into()),
                    "Database" => Bound::Database {
                        id: id.into(),
                        is_itself,
                    },
                    "Setting" => Bound::Setting(id.into()),
                    "SettingGroup" => Bound::Harmless,
                    "Class" => Bound::Class(id.into()),
                    _ => node(&uid).map_or(Bound::Nothing, |(tree, node)| Bound::Node {
                        tree,
                        node,
                        is_itself,
                    }),
                }
            }
        };
        Self {
            bound,
            of_type: of_type.as_ref().map(OfType::from_name),
        }
    }

    /// Whether anything in that database can be in the scope.
    pub(super) fn may_be_in(&self, target: &Target, on: &str, own_tree: Option<usize>) -> bool {
        match &self.bound {
            Bound::Anything | Bound::Setting(_) | Bound::Harmless | Bound::Class(_) => true,
            Bound::Connection(name) => **name == *target.connection(),
            Bound::Database { id, .. } => **id == *on,
            Bound::Node { tree, .. } => Some(*tree) == own_tree,
            Bound::Nothing => false,
        }
    }

    /// Whether what is asked about is in the scope, given that something in its database can be.
    pub(super) fn holds(&self, on: On<'_>, tree: Option<&Tree>) -> bool {
        let is_of_type = match (self.of_type, on) {
            (None, _)
            | (Some(OfType::Database), On::Database)
            | (Some(OfType::Setting), On::Setting { .. })
            | (Some(OfType::Class), On::Class(_)) => true,
            (Some(OfType::Kind(kind)), On::Thing(thing)) => thing.kind == kind,
            _ => false,
        };
        is_of_type
            && match (&self.bound, on) {
                (Bound::Anything, _) => true,
                (Bound::Class(named), On::Class(name))
                | (Bound::Setting(named), On::Setting { name, .. }) => **named == *name,
                // A class lies in no database.
                (_, On::Class(_)) => false,
                (Bound::Connection(_), _) => true,
                (Bound::Database { is_itself, .. }, on) => !is_itself || on == On::Database,
                (Bound::Node { node, is_itself, .. }, On::Thing(thing)) => {
                    let is_it = thing.is_named && thing.node == Some(*node);
                    is_it || (!is_itself && is_below(thing, *node, tree))
                }
                (Bound::Harmless, On::Setting { is_harmless, .. }) => is_harmless,
                _ => false,
            }
    }
}

fn is_below(thing: Thing, holder: NodeId, tree: Option<&Tree>) -> bool {
    match (tree, thing.node) {
        (Some(tree), Some(node)) => tree.is_in(node, Some(holder)),
        _ => false,
    }
}

impl Rule {
    /// The policy is static: it has been parsed as one, without slots.
    pub(super) fn new(
        policy: &Policy,
        name: std::sync::Arc<str>,
        annotations: Annotations,
        mentions: Mentions,
        mut node: impl FnMut(&EntityUid) -> Option<(usize, NodeId)>,
    ) -> Self {
        let mut named: Vec<_> = policy.entity_literals().iter().filter_map(&mut node).collect();
        named.sort_unstable();
        named.dedup();
        let actions = actions(policy);
        let alone = cedar_policy::PolicySet::from_policies([policy.clone()]).expect("one policy has one id");
        Self {
            name,
            annotations,
            is_forbid: policy.effect() == Effect::Forbid,
            mentions,
            named,
            actions,
            resource: Resource::of(policy.resource_constraint(), node),
            has_conditions: policy.has_non_scope_constraint(),
            alone,
        }
    }

    /// Whether it applies to a request whose principal, action and resource are in its scope.
    pub(super) fn applies(
        &self,
        authorizer: &Authorizer,
        made: impl FnOnce() -> (Request, Entities),
    ) -> Word {
        if !self.has_conditions {
            return Word::Applies;
        }
        let (request, entities) = made();
        let response = authorizer.is_authorized(&request, &self.alone, &entities);
        let diagnostics = response.diagnostics();
        if let Some(cedar_policy::AuthorizationError::PolicyEvaluationError(error)) =
            diagnostics.errors().next()
        {
            return Word::Error(error.inner().to_string().into());
        }
        if diagnostics.reason().next().is_some() {
            Word::Applies
        } else {
            Word::ConditionFalse
        }
    }
}

/// The numbers of the requests that a policy's scope takes in.
pub(super) fn actions(policy: &Policy) -> Vec<usize> {
    let constraint = policy.action_constraint();
    // Whoever writes "every action" thinks of what statements do: what is masked stays masked.
    let unmask = &VOCABULARY.actions[UNMASK];
    let names = |action: &EntityUid| match &constraint {
        ActionConstraint::Any => action != unmask || policy.effect() == Effect::Forbid,
        ActionConstraint::Eq(named) => named == action,
        ActionConstraint::In(groups) => groups
            .iter()
            .any(|group| group == action || VOCABULARY.groups.is_ancestor_of(group, action)),
    };
    let all = VOCABULARY.actions.iter().enumerate();
    all.filter(|(_, action)| names(action))
        .map(|(number, _)| number)
        .collect()
}

/// The entity that the principal has to be or to be in; none if anybody may be it.
pub(super) fn principal(policy: &Policy) -> Option<EntityUid> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
            Some(uid)
        }
    }
}
