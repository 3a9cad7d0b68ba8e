//! Tokens of OIDC issuers, verified against the issuers' published keys.
//!
//! JWT (RFC 7519), JWS compact form (RFC 7515) and JWK sets (RFC 7517), with the advice of RFC 8725. The
//! unverified `iss` chooses the configured issuer and nothing else is believed before the signature holds: the
//! key comes from that issuer's own key set, the algorithm has to be allowed and the key's own, and every
//! header that offers a key or a place to get one (`jwk`, `jku`, `x5u`, `x5c`) is ignored. [`Verifier::verify`]
//! computes only; reading keys is [`keep_fresh`]'s job, on the control thread.
//!
//! [`Verifier::verify`]: sluice_policy::identity::TokenVerifier::verify

mod algorithm;
mod claims;
mod config;
mod fetch;
mod json;
mod keys;
mod refresh;
mod token;
mod verifier;

pub use algorithm::Algorithm;
pub use config::{GROUP_PREFIX_BYTES_MAX, IssuerConfig, KeySource, LEEWAY_S_MAX, OidcConfigError};
pub use fetch::{FetchError, KEY_SET_BYTES_MAX};
pub use keys::{KEYS_MAX, KeySetError};
pub use refresh::{RefreshTimes, keep_fresh};
pub use token::{TOKEN_BYTES_MAX, fuzz_token};
pub use verifier::{IssuerStatus, Verifier};
