//! An identity on a database of a connection, made ready for decisions.
//!
//! A session builds its [`Principal`] once. It depends on no policy, so it stays as it is when policies are swapped; what
//! of a set can apply to it is found when that is asked first, and kept. Two principals that are equal get equal
//! decisions from one policy set for equal clients; a decision cache may share them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};

use crate::identity::{Identity, Method};
use crate::schema::VOCABULARY;
use crate::set::Known;

/// A database of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    connection: String,
    database: String,
}

/// The name cannot be a target's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connection name {connection:?} holds a slash or is empty")]
pub struct TargetError {
    /// The name.
    pub connection: String,
}

impl Target {
    /// A connection's name holds no `/`, so that `connection/database` has one reading; a database's may.
    pub fn new(connection: impl Into<String>, database: impl Into<String>) -> Result<Self, TargetError> {
        let connection = connection.into();
        if connection.is_empty() || connection.contains('/') {
            return Err(TargetError { connection });
        }
        Ok(Self {
            connection,
            database: database.into(),
        })
    }

    /// The connection's name.
    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// The database's name on the server.
    pub fn database(&self) -> &str {
        &self.database
    }
}

/// `connection/database`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.connection, self.database)
    }
}

/// Who asks, and where: what decisions depend on that is the same for all sessions of an identity on a database.
pub struct Principal {
    issuer: String,
    subject: String,
    groups: Vec<String>,
    method: Method,
    target: Target,
    /// `target` as messages show it.
    pub(crate) on: Arc<str>,
    /// Its id in policies.
    pub(crate) id: Box<str>,
    pub(crate) uid: EntityUid,
    pub(crate) database: EntityUid,
    pub(crate) connection: EntityUid,
    /// What of the policy set that was asked last can apply here.
    pub(crate) known: ArcSwapOption<Known>,
}

impl Principal {
    /// Makes the identity ready for decisions on the target.
    pub fn new(identity: &Identity, target: Target) -> Self {
        let on = target.to_string();
        let id = identity.principal_id();
        Self {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            groups: identity.groups().to_vec(),
            method: identity.method,
            uid: VOCABULARY.identity(&id),
            database: VOCABULARY.database(&on),
            connection: VOCABULARY.connection(&target.connection),
            id: id.into(),
            target,
            on: on.into(),
            known: ArcSwapOption::empty(),
        }
    }

    /// Where the session is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its id in policies.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Its entity in these groups, and that of its database.
    pub(crate) fn entities(&self, groups: impl IntoIterator<Item = EntityUid>) -> Entities {
        let text = |name: &str, value: &str| {
            let value = RestrictedExpression::new_string(value.to_owned());
            (name.to_owned(), value)
        };
        let claims = RestrictedExpression::new_entity_uid(VOCABULARY.claims(&self.id));
        let attributes = HashMap::from([
            text("issuer", &self.issuer),
            text("subject", &self.subject),
            text("method", self.method.name()),
            ("claims".to_owned(), claims),
        ]);
        let groups: HashSet<_> = groups.into_iter().collect();
        let identity = Entity::new(self.uid.clone(), attributes, groups);
        let name = HashMap::from([text("name", &self.target.database)]);
        let database = Entity::new(
            self.database.clone(),
            name,
            HashSet::from([self.connection.clone()]),
        );
        let entities = [identity, database].map(|entity| entity.expect("texts evaluate to themselves"));
        // A test holds them against the schema; here that would cost more than the rest.
        Entities::from_entities(entities, None).expect("the entities have distinct ids")
    }

    /// What equality and hashing look at.
    fn key(&self) -> (&str, &str, &[String], Method, &Target) {
        (
            &self.issuer,
            &self.subject,
            &self.groups,
            self.method,
            &self.target,
        )
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, subject, groups, method, _) = self.key();
        f.debug_struct("Principal")
            .field("issuer", &issuer)
            .field("subject", &subject)
            .field("groups", &groups)
            .field("method", &method)
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::LOCAL_ISSUER;

    #[test]
    fn a_target_has_one_reading() {
        for (name, connection, database, want) in [
            ("plain", "orders", "shop", Some("orders/shop")),
            ("slash in the database", "orders", "a/b", Some("orders/a/b")),
            ("slash in the connection", "orders/a", "b", None),
            ("no connection", "", "b", None),
        ] {
            let got = Target::new(connection, database)
                .ok()
                .map(|target| target.to_string());
            assert_eq!(got.as_deref(), want, "{name}");
        }
    }

    #[test]
    fn entities_are_what_the_schema_says() {
        let identity = Identity::new(LOCAL_ISSUER, "ops", Method::Scram);
        let who = Principal::new(&identity, Target::new("orders", "shop").unwrap());
        let entities = who.entities([VOCABULARY.group("crew")]);
        let entities: Vec<_> = entities.iter().cloned().collect();
        Entities::from_entities(entities, Some(&VOCABULARY.schema)).unwrap();
    }

    #[test]
    fn equal_is_what_decides_alike() {
        let identity = Identity::new(LOCAL_ISSUER, "ops", Method::Scram).with_groups(["a", "b"]);
        let on = |database: &str| Target::new("orders", database).unwrap();
        let first = Principal::new(&identity, on("shop"));
        let again = Principal::new(&identity.clone().with_groups(["b", "a", "a"]), on("shop"));
        assert_eq!(first, again);
        assert_ne!(first, Principal::new(&identity, on("shop2")));
        assert_ne!(
            first,
            Principal::new(&identity.clone().with_groups(["a"]), on("shop"))
        );
        let mut token = identity;
        token.method = Method::Oidc;
        assert_ne!(first, Principal::new(&token, on("shop")));
    }
}
