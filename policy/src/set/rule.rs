//! One policy of a set, ready to be asked by itself.
//!
//! Cedar evaluates every policy it is given and keeps books for each, which costs more than most policies are
//! worth: those of other groups and other connections. So a policy is given to Cedar only where its scope can
//! hold, and then alone. What a scope bounds is looked up in the very entities that Cedar is given, and only
//! to leave a policy out; whether it applies is for Cedar to say.

use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Authorizer, Entities, EntityUid, Policy, PrincipalConstraint, Request,
    ResourceConstraint,
};

use crate::schema::VOCABULARY;

#[derive(Debug)]
pub(super) struct Rule {
    /// The `@id`, or `policy0` and so on.
    pub(super) name: Arc<str>,
    pub(super) message: Option<Arc<str>>,
    principal: Bound,
    resource: Bound,
    actions: ActionConstraint,
    alone: cedar_policy::PolicySet,
}

/// What a scope asks of the principal or the resource, apart from its type.
#[derive(Debug)]
enum Bound {
    Anything,
    /// This entity or one that belongs to it.
    Within(EntityUid),
}

impl Bound {
    fn may_hold(&self, uid: &EntityUid, entities: &Entities) -> bool {
        match self {
            Self::Anything => true,
            Self::Within(bound) => bound == uid || entities.is_ancestor_of(bound, uid),
        }
    }
}

/// What one policy says of a request.
pub(super) enum Word {
    Nothing,
    Permit,
    Forbid,
    /// It cannot be evaluated.
    Error(Box<str>),
}

impl Rule {
    /// The policy is static: it has been parsed as one, without slots.
    pub(super) fn new(policy: &Policy, name: Arc<str>, message: Option<Arc<str>>) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Bound::Anything,
            PrincipalConstraint::In(uid)
            | PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::IsIn(_, uid) => Bound::Within(uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => Bound::Anything,
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) | ResourceConstraint::IsIn(_, uid) => {
                Bound::Within(uid)
            }
        };
        let alone = cedar_policy::PolicySet::from_policies([policy.clone()]).expect("one policy has one id");
        Self {
            name,
            message,
            principal,
            resource,
            actions: policy.action_constraint(),
            alone,
        }
    }

    /// Whether its scope can hold for the action.
    pub(super) fn may_name(&self, action: &EntityUid) -> bool {
        match &self.actions {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == action,
            ActionConstraint::In(groups) => groups
                .iter()
                .any(|group| group == action || VOCABULARY.groups.is_ancestor_of(group, action)),
        }
    }

    /// What it says of the request that `who` makes on `on`.
    pub(super) fn say(
        &self,
        authorizer: &Authorizer,
        request: &Request,
        who: &EntityUid,
        on: &EntityUid,
        entities: &Entities,
    ) -> Word {
        if !self.principal.may_hold(who, entities) || !self.resource.may_hold(on, entities) {
            return Word::Nothing;
        }
        let response = authorizer.is_authorized(request, &self.alone, entities);
        let diagnostics = response.diagnostics();
        if let Some(cedar_policy::AuthorizationError::PolicyEvaluationError(error)) =
            diagnostics.errors().next()
        {
            return Word::Error(error.inner().to_string().into());
        }
        match (response.decision(), diagnostics.reason().next()) {
            (cedar_policy::Decision::Allow, _) => Word::Permit,
            (cedar_policy::Decision::Deny, Some(_)) => Word::Forbid,
            (cedar_policy::Decision::Deny, None) => Word::Nothing,
        }
    }
}
