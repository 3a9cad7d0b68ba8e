//! The exchange as the one that checks: the gateway towards its client.
//!
//! ```
//! # use std::num::NonZeroU32;
//! # use sluice_parsers::postgres::scram::{self, client, server};
//! let iterations = NonZeroU32::new(4096).unwrap();
//! let verifier = scram::Verifier::new(&scram::derive(b"secret", b"salt", iterations), b"salt", iterations);
//! let binding = server::Binding::None;
//! let (start, first) = client::Start::new(["SCRAM-SHA-256"], client::Binding::None, scram::random()?)?;
//!
//! // SASLInitialResponse has come.
//! let exchange = server::Exchange::begin("SCRAM-SHA-256", &binding, first.as_bytes())?;
//! let (exchange, server_first) = exchange.challenge(verifier, scram::random()?);
//! # let challenge = start.challenged(server_first.as_bytes(), scram::ITERATIONS_MAX)?;
//! # let keys = scram::derive(b"secret", challenge.salt(), challenge.iterations());
//! # let (_, client_final) = challenge.prove(&keys);
//! // AuthenticationSASLContinue(server_first) has gone, SASLResponse has come.
//! let server_final = exchange.check(client_final.as_bytes())?;
//! // AuthenticationSASLFinal(server_final) and AuthenticationOk go.
//! # let _ = server_final;
//! # Ok::<(), scram::ScramError>(())
//! ```

use subtle::ConstantTimeEq;

use super::{
    KEY_BYTES, Key, NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, STANDARD, ScramError,
    TLS_SERVER_END_POINT, Verifier, attribute, hmac_sha256, is_nonce, sha256, text, xor,
};
use base64::Engine;
use zeroize::Zeroizing;

/// The channel that the client came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing to bind to: no TLS, or a certificate whose hash is not defined.
    None,
    /// TLS with a certificate of this hash: see [`super::end_point`].
    TlsServerEndPoint(Vec<u8>),
}

impl Binding {
    /// The mechanisms to offer.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[SCRAM_SHA_256],
            Self::TlsServerEndPoint(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        }
    }
}

/// The client's first message has been read.
#[derive(Debug)]
pub struct Exchange {
    /// What `c=` of the final message has to be, in base64.
    binding: String,
    client_first_bare: String,
    client_nonce: String,
}

/// The challenge has been made.
#[derive(Debug)]
pub struct Challenged {
    binding: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
    verifier: Verifier,
}

impl Exchange {
    /// Reads the client's first message. The user name in it is ignored, as the start-up packet's counts.
    pub fn begin(mechanism: &str, binding: &Binding, message: &[u8]) -> Result<Self, ScramError> {
        let plus = match (mechanism, binding) {
            (SCRAM_SHA_256, _) => false,
            (SCRAM_SHA_256_PLUS, Binding::TlsServerEndPoint(_)) => true,
            _ => return Err(ScramError::Mechanism),
        };
        let message = text(message)?;
        let (flag, rest) = message
            .split_once(',')
            .ok_or(ScramError::Malformed { what: "header" })?;
        let mut expected = match (flag, binding) {
            ("n", _) if !plus => b"n,,".to_vec(),
            ("y", Binding::None) if !plus => b"y,,".to_vec(),
            ("y", Binding::TlsServerEndPoint(_)) if !plus => return Err(ScramError::Downgrade),
            ("n" | "y", _) => {
                return Err(ScramError::Malformed {
                    what: "no channel binding",
                });
            }
            (flag, _) => match flag.strip_prefix("p=") {
                Some(TLS_SERVER_END_POINT) if plus => format!("p={TLS_SERVER_END_POINT},,").into_bytes(),
                Some(_) => {
                    return Err(ScramError::Malformed {
                        what: "channel binding",
                    });
                }
                None => {
                    return Err(ScramError::Malformed {
                        what: "channel binding flag",
                    });
                }
            },
        };
        if plus && let Binding::TlsServerEndPoint(hash) = binding {
            expected.extend_from_slice(hash);
        }
        // An authorization identity is not supported, so nothing stands between the commas.
        let bare = rest.strip_prefix(',').ok_or(ScramError::Malformed {
            what: "authorization identity",
        })?;
        let (_, rest) = attribute(bare, 'n', "user name")?;
        let (nonce, _) = attribute(rest.unwrap_or_default(), 'r', "nonce")?;
        if !is_nonce(nonce) {
            return Err(ScramError::Malformed { what: "nonce" });
        }
        Ok(Self {
            binding: STANDARD.encode(expected),
            client_first_bare: bare.to_owned(),
            client_nonce: nonce.to_owned(),
        })
    }

    /// Makes the challenge, to be sent as `AuthenticationSASLContinue`, from the user's verifier or a mock.
    pub fn challenge(self, verifier: Verifier, server_nonce: [u8; NONCE_BYTES]) -> (Challenged, String) {
        let nonce = format!("{}{}", self.client_nonce, STANDARD.encode(server_nonce));
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&verifier.salt),
            verifier.iterations
        );
        let next = Challenged {
            binding: self.binding,
            nonce,
            client_first_bare: self.client_first_bare,
            server_first: server_first.clone(),
            verifier,
        };
        (next, server_first)
    }
}

impl Challenged {
    /// Checks the client's final message and gives the answer, to be sent as `AuthenticationSASLFinal`. Nothing but its
    /// success means that the client knows the password.
    pub fn check(self, message: &[u8]) -> Result<String, ScramError> {
        let message = text(message)?;
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or(ScramError::Malformed { what: "proof" })?;
        let (binding, rest) = attribute(without_proof, 'c', "channel binding")?;
        let (nonce, _) = attribute(rest.unwrap_or_default(), 'r', "nonce")?;
        if binding != self.binding {
            return Err(ScramError::ChannelBinding);
        }
        if nonce != self.nonce {
            return Err(ScramError::Nonce);
        }
        let proof = Zeroizing::new(STANDARD.decode(proof).unwrap_or_default());
        let proof: &[u8; KEY_BYTES] = proof
            .as_slice()
            .try_into()
            .map_err(|_| ScramError::Malformed { what: "proof" })?;
        let parts: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let client_signature = hmac_sha256(&self.verifier.stored_key, &parts);
        let client_key: Key = xor(proof, &client_signature);
        if !bool::from(sha256(client_key.as_ref()).ct_eq(&self.verifier.stored_key)) {
            return Err(ScramError::Password);
        }
        let server_signature = hmac_sha256(&self.verifier.server_key, &parts);
        Ok(format!("v={}", STANDARD.encode(server_signature.as_ref())))
    }
}
