//! Judges tokens against the keys that were last read.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use sluice_policy::identity::{Identity, TokenError, TokenVerifier};
use sluice_policy::printable;
use tokio::sync::Notify;

use super::claims::{self, SHOWN_CHARS_MAX};
use super::config::{self, IssuerConfig, OidcConfigError};
use super::fetch::{FetchError, Fetcher};
use super::keys::KeySet;
use super::token::Unverified;

/// Verifies tokens of the configured issuers. Shared by the helper threads that call
/// [`TokenVerifier::verify`] and the control thread that keeps the keys fresh; the keys are swapped whole.
#[derive(Debug)]
pub struct Verifier {
    pub(super) issuers: Vec<Issuer>,
}

/// One issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    config: IssuerConfig,
    fetcher: Fetcher,
    /// The last good set. `None` until the first one was read.
    keys: ArcSwapOption<KeySet>,
    /// Rung when a token names a key that is not there.
    pub(super) wanted: Notify,
    /// Why the last attempt failed, if it did.
    last_error: Mutex<Option<String>>,
}

/// How an issuer's keys stand, for health checks and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerStatus {
    /// The issuer.
    pub issuer: String,
    /// How many keys can verify tokens now.
    pub keys: usize,
    /// Why the last attempt to read them failed, if it did.
    pub last_error: Option<String>,
}

impl Verifier {
    /// A verifier that has no keys yet.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Self, OidcConfigError> {
        config::check(&issuers)?;
        let issuers = issuers.into_iter().map(Issuer::new).collect::<Result<_, _>>()?;
        Ok(Self { issuers })
    }

    /// Reads the keys of every issuer once, one after the other, and says how many there are.
    pub async fn refresh_all(&self) -> Vec<(String, Result<usize, FetchError>)> {
        let mut results = Vec::with_capacity(self.issuers.len());
        for issuer in &self.issuers {
            results.push((issuer.config.issuer.clone(), issuer.refresh().await));
        }
        results
    }

    /// How the issuers' keys stand.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.issuers.iter().map(Issuer::status).collect()
    }
}

impl TokenVerifier for Verifier {
    fn verify(&self, token: &[u8], now_s: u64) -> Result<Identity, TokenError> {
        let token = Unverified::parse(token)?;
        let Some(issuer) = self
            .issuers
            .iter()
            .find(|issuer| issuer.config.issuer == token.issuer)
        else {
            return Err(TokenError::WrongIssuer {
                got: printable(&token.issuer, SHOWN_CHARS_MAX),
            });
        };
        issuer.check_signature(&token)?;
        claims::identity(token.into_claims(), &issuer.config, now_s)
    }
}

impl Issuer {
    fn new(config: IssuerConfig) -> Result<Self, OidcConfigError> {
        Ok(Self {
            fetcher: Fetcher::new(&config)?,
            config,
            keys: ArcSwapOption::empty(),
            wanted: Notify::new(),
            last_error: Mutex::new(None),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.config.issuer
    }

    /// Reads the keys. What was there stays if that fails.
    pub(super) async fn refresh(&self) -> Result<usize, FetchError> {
        let result = self.fetcher.fetch().await;
        let last_error = result.as_ref().err().map(ToString::to_string);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = last_error;
        let keys = result?;
        let count = keys.len();
        if keys.unusable > 0 {
            tracing::debug!(
                issuer = self.name(),
                unusable = keys.unusable,
                "keys that cannot verify tokens are left out"
            );
        }
        self.keys.store(Some(Arc::new(keys)));
        Ok(count)
    }

    fn check_signature(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        let refused = || TokenError::AlgorithmRefused {
            got: token.algorithm.name().to_owned(),
        };
        if !self.config.permits(token.algorithm) {
            return Err(refused());
        }
        let Some(keys) = self.keys.load_full() else {
            self.wanted.notify_one();
            return Err(TokenError::NoKeysYet {
                issuer: self.config.issuer.clone(),
            });
        };
        let named: Vec<_> = keys.named(token.kid.as_deref()).collect();
        let mut fitting = named.iter().filter(|key| key.allows(token.algorithm));
        let (first, more) = (fitting.next(), fitting.next());
        match (first, more) {
            // A token that names no key could be any key's; trying all of them is work that its sender chooses.
            (Some(_), Some(_)) if token.kid.is_none() => Err(self.unknown_key(token)),
            (Some(_), _) => {
                // Two keys of one name (a rotation that reuses it) may both fit.
                let verified = named
                    .iter()
                    .any(|key| key.verifies(token.algorithm, token.message, token.signature));
                if verified {
                    Ok(())
                } else {
                    Err(TokenError::BadSignature)
                }
            }
            // The key is there, and this is not its algorithm.
            (None, _) if token.kid.is_some() && !named.is_empty() => Err(refused()),
            (None, _) => {
                self.wanted.notify_one();
                Err(self.unknown_key(token))
            }
        }
    }

    fn unknown_key(&self, token: &Unverified<'_>) -> TokenError {
        TokenError::UnknownKey {
            issuer: self.config.issuer.clone(),
            kid: token.kid.as_deref().map(|kid| printable(kid, SHOWN_CHARS_MAX)),
        }
    }

    fn status(&self) -> IssuerStatus {
        IssuerStatus {
            issuer: self.config.issuer.clone(),
            keys: self.keys.load().as_ref().map_or(0, |keys| keys.len()),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
