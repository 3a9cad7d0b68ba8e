//! Local identities: a name of the configuration, its SCRAM verifier and its groups.
//!
//! The user name chooses the method, so this table answers one question: is this name a local identity? A name
//! that is not gets the same exchange with a salt made from [`MockSecret`], which fails: who probes for names
//! learns nothing. The secret outlives restarts (the binary keeps it in the data folder), or a changed salt
//! would tell mock from real.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroizing;

use super::{Identity, LOCAL_ISSUER, Method};

/// One local identity.
#[derive(Clone)]
pub struct ScramIdentity {
    verifier: Zeroizing<String>,
    groups: Vec<String>,
}

impl ScramIdentity {
    /// `verifier` as PostgreSQL writes it: `SCRAM-SHA-256$iterations:salt$stored:server`.
    pub fn new(verifier: impl Into<String>, groups: Vec<String>) -> Self {
        Self {
            verifier: Zeroizing::new(verifier.into()),
            groups,
        }
    }

    /// The verifier.
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// The groups that the configuration puts it in.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}

impl fmt::Debug for ScramIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramIdentity")
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// What the salts of names that do not exist are made from.
#[derive(Clone)]
pub struct MockSecret(Zeroizing<[u8; 32]>);

impl MockSecret {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MockSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockSecret(..)")
    }
}

/// A name was declared twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("identity {name:?} is declared twice")]
pub struct DuplicateIdentity {
    /// The name.
    pub name: String,
}

/// All local identities of a gateway, by name.
#[derive(Debug, Clone)]
pub struct ScramIdentities {
    by_name: HashMap<String, ScramIdentity>,
    mock_secret: MockSecret,
}

impl ScramIdentities {
    /// A table without names.
    pub fn new(mock_secret: MockSecret) -> Self {
        Self {
            by_name: HashMap::new(),
            mock_secret,
        }
    }

    /// Adds a name.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        identity: ScramIdentity,
    ) -> Result<(), DuplicateIdentity> {
        let name = name.into();
        if self.by_name.contains_key(&name) {
            return Err(DuplicateIdentity { name });
        }
        self.by_name.insert(name, identity);
        Ok(())
    }

    /// The local identity of that name, compared byte for byte.
    pub fn get(&self, name: &str) -> Option<&ScramIdentity> {
        self.by_name.get(name)
    }

    /// What a session that has proven the verifier of `name` is.
    pub fn identity(&self, name: &str) -> Option<Identity> {
        let entry = self.by_name.get(name)?;
        Some(Identity::new(LOCAL_ISSUER, name, Method::Scram).with_groups(entry.groups.iter().cloned()))
    }

    /// What the salts of unknown names are made from.
    pub fn mock_secret(&self) -> &MockSecret {
        &self.mock_secret
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_exactly_and_never_twice() {
        let mut table = ScramIdentities::new(MockSecret::new([7; 32]));
        table
            .insert(
                "ops",
                ScramIdentity::new("SCRAM-SHA-256$1:AA==$AA==:AA==", vec!["dba".into()]),
            )
            .unwrap();
        assert_eq!(
            table.insert("ops", ScramIdentity::new("other", Vec::new())),
            Err(DuplicateIdentity { name: "ops".into() })
        );
        let identity = table.identity("ops").unwrap();
        assert_eq!(
            (identity.issuer.as_str(), identity.subject.as_str()),
            (LOCAL_ISSUER, "ops")
        );
        assert_eq!(identity.groups(), ["dba"]);
        assert!(table.identity("Ops").is_none() && table.get("ops ").is_none());
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let mut table = ScramIdentities::new(MockSecret::new([7; 32]));
        table
            .insert("ops", ScramIdentity::new("SCRAM-SHA-256$secret", Vec::new()))
            .unwrap();
        let shown = format!("{table:?}");
        assert!(
            !shown.contains("secret$") && !shown.contains("SCRAM-SHA-256") && !shown.contains("7, 7"),
            "{shown}"
        );
    }
}
