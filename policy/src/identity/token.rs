//! The contract between a session that was handed a token and the verifier that judges it.

use std::time::Duration;

use super::Identity;

/// Judges tokens. `verify` computes and nothing else (no I/O, no waiting), so it may run on a helper thread.
pub trait TokenVerifier: Send + Sync {
    /// The identity that `token` proves at `now_s` (seconds of the Unix epoch).
    fn verify(&self, token: &[u8], now_s: u64) -> Result<Identity, TokenError>;
}

/// Why a token was refused. In the text of these, what came from the token is cut and made printable, and nothing is a
/// secret of the gateway; [`TokenError::is_told_to_client`] says whose text the client gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than any token has a reason to be.
    #[error("the token is {bytes} bytes long, more than {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not a signed JWT, or one that two readers could read in two ways.
    #[error("the password is not a well-formed signed token: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A token made for another use (`typ`), such as a logout token.
    #[error("the token is of type {got:?}, which is not an access or ID token")]
    WrongType {
        /// The `typ` header.
        got: String,
    },
    /// The algorithm is not allowed, not allowed for this issuer or not the key's own.
    #[error("the token's algorithm {got:?} is refused")]
    AlgorithmRefused {
        /// The `alg` header.
        got: String,
    },
    /// The header lists extensions that have to be understood.
    #[error("the token has a `crit` header, which is refused")]
    CritRefused,
    /// No configured issuer has this name.
    #[error("the token's issuer {got:?} is not configured")]
    WrongIssuer {
        /// The `iss` claim.
        got: String,
    },
    /// The issuer's keys could not be read since the gateway started.
    #[error("the keys of issuer {issuer:?} have not been read yet")]
    NoKeysYet {
        /// The issuer.
        issuer: String,
    },
    /// The issuer's key set has no such key.
    #[error("issuer {issuer:?} has no key {}", display_kid(kid.as_deref()))]
    UnknownKey {
        /// The issuer.
        issuer: String,
        /// The `kid` header.
        kid: Option<String>,
    },
    /// The signature is not the key's.
    #[error("the token's signature is not valid")]
    BadSignature,
    /// Past its `exp`.
    #[error("the token expired {} s ago", now_s.saturating_sub(*expired_at_s))]
    Expired {
        /// Its `exp`.
        expired_at_s: u64,
        /// The time it was judged at.
        now_s: u64,
    },
    /// Before its `nbf`, or issued in the future.
    #[error("the token is not valid for another {} s", valid_from_s.saturating_sub(*now_s))]
    NotYetValid {
        /// Its `nbf` or `iat`.
        valid_from_s: u64,
        /// The time it was judged at.
        now_s: u64,
    },
    /// Meant for somebody else.
    #[error("the token is for audience {got:?}, not for this gateway")]
    WrongAudience {
        /// The `aud` claim.
        got: String,
    },
    /// A claim that is needed is not there.
    #[error("the token has no `{claim}` claim")]
    MissingClaim {
        /// Which one.
        claim: String,
    },
    /// A claim is of the wrong type or out of bounds.
    #[error("the token's `{claim}` claim is refused: {what}")]
    BadClaim {
        /// Which one.
        claim: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The issuer left the groups out because there are too many of them.
    #[error("the issuer left the groups out of the token because there are too many")]
    GroupsLeftOut,
    /// Bound to a key or certificate of its holder (`cnf`), which a password cannot prove.
    #[error("the token is bound to its holder's key (`cnf`), which cannot be proven over this protocol")]
    SenderConstrained,
}

impl TokenError {
    /// What to do about it, for the one who sent the token.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "ask the issuer to put fewer groups or roles into the token",
            Self::Malformed { .. } => "send the access or ID token itself (a JWT) as the password",
            Self::WrongType { .. } => "send an access token or an ID token",
            Self::AlgorithmRefused { .. } => {
                "have the issuer sign with an algorithm of its published key, such as RS256 or ES256"
            }
            Self::CritRefused => "have the issuer leave `crit` out",
            Self::WrongIssuer { .. } => {
                "the name must match the configuration exactly, up to a slash at its end"
            }
            Self::NoKeysYet { .. } => "try again; if it stays so, see the gateway's log about the key set",
            Self::UnknownKey { .. } => {
                "the key set is being read again: try again in a few seconds, with a fresh token"
            }
            Self::BadSignature => "obtain a fresh token from the issuer and send it unchanged",
            Self::Expired { .. } => "obtain a fresh token",
            Self::NotYetValid { .. } => "compare the clocks of the issuer and the gateway",
            Self::WrongAudience { .. } => "request the token for the audience that the gateway expects",
            Self::MissingClaim { .. } | Self::BadClaim { .. } => "change what the issuer puts into the token",
            Self::GroupsLeftOut => "have the issuer send only the groups assigned to this application",
            Self::SenderConstrained => "have the issuer give this client bearer tokens (no DPoP)",
        }
    }

    /// Whether the client is told the cause: it holds the token, and could read the cause there. What else there is
    /// follows from the issuers and keys of the gateway, which a stranger with tokens of its own making could find out one
    /// by one: it is for the record alone.
    pub const fn is_told_to_client(&self) -> bool {
        match self {
            Self::AlgorithmRefused { .. }
            | Self::WrongIssuer { .. }
            | Self::NoKeysYet { .. }
            | Self::UnknownKey { .. }
            | Self::BadSignature => false,
            Self::TooLong { .. }
            | Self::Malformed { .. }
            | Self::WrongType { .. }
            | Self::CritRefused
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::WrongAudience { .. }
            | Self::MissingClaim { .. }
            | Self::BadClaim { .. }
            | Self::GroupsLeftOut
            | Self::SenderConstrained => true,
        }
    }

    /// After what time the same token may be accepted, where waiting alone can help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoKeysYet { .. } | Self::UnknownKey { .. } => Some(Duration::from_secs(2)),
            _ => None,
        }
    }

    /// A short name for metrics and records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Malformed { .. } => "malformed",
            Self::WrongType { .. } => "wrong_type",
            Self::AlgorithmRefused { .. } => "algorithm_refused",
            Self::CritRefused => "crit_refused",
            Self::WrongIssuer { .. } => "wrong_issuer",
            Self::NoKeysYet { .. } => "no_keys_yet",
            Self::UnknownKey { .. } => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::WrongAudience { .. } => "wrong_audience",
            Self::MissingClaim { .. } => "missing_claim",
            Self::BadClaim { .. } => "bad_claim",
            Self::GroupsLeftOut => "groups_left_out",
            Self::SenderConstrained => "sender_constrained",
        }
    }
}

fn display_kid(kid: Option<&str>) -> String {
    kid.map_or_else(
        || "for a token without `kid`".to_owned(),
        |kid| format!("{kid:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_what_to_do() {
        for (name, error, says) in [
            (
                "expired",
                TokenError::Expired {
                    expired_at_s: 100,
                    now_s: 135,
                },
                "expired 35 s ago",
            ),
            (
                "no kid",
                TokenError::UnknownKey {
                    issuer: "i".into(),
                    kid: None,
                },
                "without `kid`",
            ),
            (
                "kid",
                TokenError::UnknownKey {
                    issuer: "i".into(),
                    kid: Some("k1".into()),
                },
                "no key \"k1\"",
            ),
            (
                "audience",
                TokenError::WrongAudience { got: "other".into() },
                "audience \"other\"",
            ),
        ] {
            assert!(error.to_string().contains(says), "{name}: {error}");
            assert!(!error.help().is_empty(), "{name}");
        }
    }

    #[test]
    fn what_the_token_itself_says_is_told() {
        let text = String::new;
        for (error, is_told) in [
            (
                TokenError::TooLong {
                    bytes: 2,
                    bytes_max: 1,
                },
                true,
            ),
            (TokenError::Malformed { what: "" }, true),
            (TokenError::WrongType { got: text() }, true),
            (TokenError::AlgorithmRefused { got: text() }, false),
            (TokenError::CritRefused, true),
            (TokenError::WrongIssuer { got: text() }, false),
            (TokenError::NoKeysYet { issuer: text() }, false),
            (
                TokenError::UnknownKey {
                    issuer: text(),
                    kid: None,
                },
                false,
            ),
            (TokenError::BadSignature, false),
            (
                TokenError::Expired {
                    expired_at_s: 1,
                    now_s: 2,
                },
                true,
            ),
            (
                TokenError::NotYetValid {
                    valid_from_s: 2,
                    now_s: 1,
                },
                true,
            ),
            (TokenError::WrongAudience { got: text() }, true),
            (TokenError::MissingClaim { claim: text() }, true),
            (
                TokenError::BadClaim {
                    claim: text(),
                    what: "",
                },
                true,
            ),
            (TokenError::GroupsLeftOut, true),
            (TokenError::SenderConstrained, true),
        ] {
            assert_eq!(error.is_told_to_client(), is_told, "{}", error.name());
        }
    }
}
