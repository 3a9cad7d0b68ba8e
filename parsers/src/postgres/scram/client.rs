//! The exchange as the one that proves: the gateway towards its server.
//!
//! The keys are derived between [`Start::challenged`] and [`Challenge::prove`], by [`super::derive`] on a helper thread,
//! or taken from an earlier session with the same salt and iterations.

use std::num::NonZeroU32;

use base64::Engine;
use subtle::ConstantTimeEq;

use super::{
    Key, NONCE_BYTES, SALT_BYTES_MAX, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, STANDARD, SaltedKeys, ScramError,
    TLS_SERVER_END_POINT, attribute, hmac_sha256, is_nonce, sha256, text, xor,
};

/// The channel to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing to bind to: no TLS, or a certificate whose hash is not defined.
    None,
    /// TLS to a server whose certificate has this hash: bound if the server offers it.
    Offered(Vec<u8>),
    /// The same, and a server that does not offer it is refused.
    Required(Vec<u8>),
}

/// The first message has been made.
#[derive(Debug)]
pub struct Start {
    mechanism: &'static str,
    /// `c=` of the final message, before base64.
    binding: Vec<u8>,
    client_nonce: String,
    client_first_bare: String,
}

/// The server's challenge has been read.
#[derive(Debug)]
pub struct Challenge {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    client_final: String,
    auth_message: String,
}

/// The proof has been made.
#[derive(Debug)]
pub struct Proven {
    server_signature: Key,
}

impl Start {
    /// Chooses among the server's mechanisms and makes the first message, to be sent as `SASLInitialResponse`.
    pub fn new<M: AsRef<[u8]>>(
        mechanisms: impl IntoIterator<Item = M>,
        binding: Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<(Self, String), ScramError> {
        let (mut plain, mut plus) = (false, false);
        for mechanism in mechanisms {
            plain |= mechanism.as_ref() == SCRAM_SHA_256.as_bytes();
            plus |= mechanism.as_ref() == SCRAM_SHA_256_PLUS.as_bytes();
        }
        let (mechanism, header, hash) = match binding {
            Binding::Offered(hash) | Binding::Required(hash) if plus => {
                (SCRAM_SHA_256_PLUS, format!("p={TLS_SERVER_END_POINT},,"), hash)
            }
            Binding::Required(_) => return Err(ScramError::NoChannelBinding),
            // Tells a server that did offer it that somebody took the offer away.
            Binding::Offered(_) if plain => (SCRAM_SHA_256, "y,,".to_owned(), Vec::new()),
            Binding::None if plain => (SCRAM_SHA_256, "n,,".to_owned(), Vec::new()),
            Binding::Offered(_) | Binding::None => return Err(ScramError::Mechanism),
        };
        let client_nonce = STANDARD.encode(nonce);
        let client_first_bare = format!("n=,r={client_nonce}");
        let message = format!("{header}{client_first_bare}");
        let mut binding = header.into_bytes();
        binding.extend_from_slice(&hash);
        Ok((
            Self {
                mechanism,
                binding,
                client_nonce,
                client_first_bare,
            },
            message,
        ))
    }

    /// The mechanism chosen.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Reads the server's challenge.
    pub fn challenged(self, message: &[u8], iterations_max: u32) -> Result<Challenge, ScramError> {
        let server_first = text(message)?;
        if server_first.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let (nonce, rest) = attribute(server_first, 'r', "nonce")?;
        let (salt, rest) = attribute(rest.unwrap_or_default(), 's', "salt")?;
        let (iterations, _) = attribute(rest.unwrap_or_default(), 'i', "iterations")?;
        // The server has to add something of its own, or an old exchange could be played back.
        let added = nonce.strip_prefix(&self.client_nonce).ok_or(ScramError::Nonce)?;
        if !is_nonce(added) {
            return Err(ScramError::Nonce);
        }
        let salt = STANDARD
            .decode(salt)
            .map_err(|_| ScramError::Malformed { what: "salt" })?;
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(ScramError::Malformed { what: "salt" });
        }
        let iterations: NonZeroU32 = iterations
            .parse()
            .map_err(|_| ScramError::Malformed { what: "iterations" })?;
        if iterations.get() > iterations_max {
            return Err(ScramError::Iterations {
                iterations: iterations.get(),
            });
        }
        let client_final = format!("c={},r={nonce}", STANDARD.encode(&self.binding));
        let auth_message = format!("{},{server_first},{client_final}", self.client_first_bare);
        Ok(Challenge {
            salt,
            iterations,
            client_final,
            auth_message,
        })
    }
}

impl Challenge {
    /// The salt to derive the keys with.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iterations to derive the keys with.
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// Makes the final message, to be sent as `SASLResponse`.
    pub fn prove(self, keys: &SaltedKeys) -> (Proven, String) {
        let parts = [self.auth_message.as_bytes()];
        let client_signature = hmac_sha256(&sha256(&keys.client_key), &parts);
        let proof = xor(&keys.client_key, &client_signature);
        let server_signature = hmac_sha256(&keys.server_key, &parts);
        let message = format!("{},p={}", self.client_final, STANDARD.encode(proof.as_ref()));
        (Proven { server_signature }, message)
    }
}

impl Proven {
    /// Checks the server's final message. Without its success an `AuthenticationOk` means nothing.
    pub fn check(self, message: &[u8]) -> Result<(), ScramError> {
        let message = text(message)?;
        if message.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let (signature, _) = attribute(message, 'v', "server signature")?;
        let signature = STANDARD.decode(signature).map_err(|_| ScramError::Malformed {
            what: "server signature",
        })?;
        if bool::from(signature.as_slice().ct_eq(self.server_signature.as_slice())) {
            Ok(())
        } else {
            Err(ScramError::ServerSignature)
        }
    }
}
