//! An identity on a database of a connection, made ready for decisions.
//!
//! A session builds its [`Principal`] once: the entities of Cedar's requests are made here and not for each
//! statement. It depends on no policy, so it stays as it is when policies are swapped. Two principals that
//! are equal get equal decisions from one policy set; a decision cache may share them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};

use crate::identity::{Identity, Method};
use crate::schema::VOCABULARY;

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

/// Everything about a session that a decision can depend on, apart from the policies and the statement.
pub struct Principal {
    issuer: String,
    subject: String,
    groups: Vec<String>,
    method: Method,
    target: Target,
    /// `target` as messages show it.
    pub(crate) on: Arc<str>,
    pub(crate) uid: EntityUid,
    pub(crate) database: EntityUid,
    pub(crate) entities: Entities,
}

impl Principal {
    /// Makes the identity ready for decisions on the target.
    pub fn new(identity: &Identity, target: Target) -> Self {
        let on = target.to_string();
        let uid = VOCABULARY.identity(&identity.principal_id());
        let connection = VOCABULARY.connection(&target.connection);
        let database = VOCABULARY.database(&on);
        let groups: HashSet<_> = identity
            .groups()
            .iter()
            .map(|group| VOCABULARY.group(group))
            .collect();
        let mut entities: Vec<_> = groups.iter().cloned().map(Entity::with_uid).collect();
        entities.push(entity(
            &uid,
            [
                ("issuer", identity.issuer.as_str()),
                ("subject", identity.subject.as_str()),
                ("method", identity.method.name()),
            ],
            groups,
        ));
        entities.push(entity(
            &database,
            [("name", target.database.as_str())],
            HashSet::from([connection.clone()]),
        ));
        entities.push(Entity::with_uid(connection));
        let entities = Entities::from_entities(entities, Some(&VOCABULARY.schema))
            .expect("the entities have distinct ids and the attributes that the schema asks for");
        Self {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            groups: identity.groups().to_vec(),
            method: identity.method,
            target,
            on: on.into(),
            uid,
            database,
            entities,
        }
    }

    /// Where the session is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The entities with one setting among them, which belongs to this principal's database.
    pub(crate) fn entities_with_setting(&self, setting: &EntityUid, harmless: bool) -> Entities {
        let mut parents = HashSet::from([self.database.clone()]);
        if harmless {
            parents.insert(VOCABULARY.harmless.clone());
        }
        let setting = Entity::new_no_attrs(setting.clone(), parents);
        self.entities
            .clone()
            .add_entities([setting], None)
            .expect("no other entity of a principal is a setting")
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

fn entity<const N: usize>(
    uid: &EntityUid,
    attributes: [(&str, &str); N],
    parents: HashSet<EntityUid>,
) -> Entity {
    let attributes: HashMap<_, _> = attributes
        .into_iter()
        .map(|(name, value)| {
            (
                name.to_owned(),
                RestrictedExpression::new_string(value.to_owned()),
            )
        })
        .collect();
    Entity::new(uid.clone(), attributes, parents).expect("strings evaluate to themselves")
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
