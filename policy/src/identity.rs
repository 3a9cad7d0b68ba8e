//! Who a session belongs to, and the shared tables by which that is found out.
//!
//! A principal is (issuer, subject): e-mail addresses and the startup packet's `user` are never identity
//! (`user` only chooses the method). Groups come from the issuer's claim or, for a local identity, from the
//! configuration. The types live here because the data plane asks and the control side answers, and neither
//! imports the other. Nothing here reads a clock, a file or a socket.

mod scram;
mod token;

pub use scram::{DuplicateIdentity, MockSecret, ScramIdentities, ScramIdentity};
pub use token::{TokenError, TokenVerifier};

/// The issuer of identities that the configuration itself declares.
pub const LOCAL_ISSUER: &str = "local";
/// More groups than this and the identity is refused: cutting the list could drop the one a `forbid` names.
pub const GROUPS_MAX: usize = 256;
/// The longest name of a group.
pub const GROUP_BYTES_MAX: usize = 256;
/// The longest subject.
pub const SUBJECT_BYTES_MAX: usize = 1024;

/// How an identity was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// A signed token of a configured issuer.
    Oidc,
    /// SCRAM against a verifier in the configuration.
    Scram,
}

impl Method {
    /// The name in records and policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Scram => "scram",
        }
    }
}

/// A proven identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches: the token's `iss` exactly as configured, or [`LOCAL_ISSUER`].
    pub issuer: String,
    /// The name that the issuer never gives to anybody else.
    pub subject: String,
    /// Sorted, without duplicates: see [`Identity::set_groups`].
    groups: Vec<String>,
    /// What else the issuer said, bounded in size.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The issuer said more than is in [`Self::claims`]: policies that look at claims cannot be evaluated.
    pub claims_are_cut: bool,
    /// How it was proven.
    pub method: Method,
    /// When what proved it expires, in seconds of the Unix epoch. `None`: it does not. It is looked at when a session
    /// begins; what runs then is not ended.
    pub expires_at_s: Option<u64>,
}

impl Identity {
    /// An identity without groups and claims.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>, method: Method) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            groups: Vec::new(),
            claims: serde_json::Map::new(),
            claims_are_cut: false,
            method,
            expires_at_s: None,
        }
    }

    /// The same identity in these groups.
    #[must_use]
    pub fn with_groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.set_groups(groups.into_iter().map(Into::into).collect());
        self
    }

    /// Replaces the groups; order and repetition carry no meaning and are removed.
    pub fn set_groups(&mut self, mut groups: Vec<String>) {
        groups.sort_unstable();
        groups.dedup();
        self.groups = groups;
    }

    /// The groups, sorted.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The id of this identity in policies: `issuer#subject`. An issuer holds no `#` (the verifier refuses to
    /// be configured with one), so the first one ends it and no two identities share an id.
    pub fn principal_id(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_a_set() {
        let identity = Identity::new(LOCAL_ISSUER, "ops", Method::Scram).with_groups(["b", "a", "b"]);
        assert_eq!(identity.groups(), ["a", "b"]);
        assert_eq!(identity.principal_id(), "local#ops");
    }
}
