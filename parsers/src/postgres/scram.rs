//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, as the server and as the client, and the md5 method towards old servers.
//!
//! Follows RFC 5802, RFC 7677 and, where those leave room, the server's `auth-scram.c`. Two exchanges as states that are
//! consumed by their step: [`server`] and [`client`]. No step derives a key from a password: that takes thousands of
//! hashes and is [`derive`], to be run where it stalls nobody, and its result may be kept.
//!
//! Secrets are overwritten when they are dropped, and compared in constant time.

pub mod client;
pub mod end_point;
pub mod server;

use std::fmt;
use std::num::NonZeroU32;
use std::str;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::SqlState;

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The iterations that a server may ask for, 244 times its default: more would keep a helper thread busy for long.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// The server's default: of a verifier that is made here, and so of the exchange that an unknown user goes through, as a
/// count of its own would tell who is known.
pub const ITERATIONS_DEFAULT: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// The longest message that is taken. A token never travels in a SCRAM message.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Random bytes of a nonce; written as 24 characters.
pub const NONCE_BYTES: usize = 18;

const KEY_BYTES: usize = 32;
const SALT_BYTES_MAX: usize = 1024;
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramError {
    /// A message does not follow the grammar.
    #[error("the SCRAM message is malformed: {what}")]
    Malformed {
        /// The part that is wrong.
        what: &'static str,
    },
    /// A message is longer than any that is meant.
    #[error("the SCRAM message has {len} bytes")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// The mechanism is not one that was offered.
    #[error("the SASL mechanism was not offered")]
    Mechanism,
    /// The client thinks that the other side knows no channel binding, though it was offered: somebody took the offer
    /// out of the stream.
    #[error("the client supports channel binding but was not told that the server does")]
    Downgrade,
    /// The channels of the two ends are not the same.
    #[error("the channel binding does not match")]
    ChannelBinding,
    /// Channel binding is required and the server does not offer it.
    #[error("the server does not offer channel binding")]
    NoChannelBinding,
    /// The nonce does not begin with the one that was sent.
    #[error("the SCRAM nonce does not match")]
    Nonce,
    /// The server asks for more iterations than allowed.
    #[error("the server asks for {iterations} SCRAM iterations")]
    Iterations {
        /// As asked.
        iterations: u32,
    },
    /// The proof is wrong: another password, or an unknown user.
    #[error("the password does not match")]
    Password,
    /// The server's signature is wrong: it does not know the password's verifier.
    #[error("the server could not prove that it knows the password")]
    ServerSignature,
    /// The server refused.
    #[error("the server refused the SCRAM exchange")]
    Refused,
    /// A stored verifier is not of the form `SCRAM-SHA-256$iterations:salt$stored:server`.
    #[error("the SCRAM verifier is malformed")]
    Verifier,
    /// The system gives no random bytes.
    #[error("no random bytes")]
    Random,
}

impl ScramError {
    /// The SQLSTATE for the `ErrorResponse`.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::Password | Self::Downgrade | Self::ChannelBinding => SqlState::INVALID_PASSWORD,
            Self::Random => SqlState::INTERNAL_ERROR,
            _ => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The keys of a password under one salt and number of iterations: all that a client needs, and worth as much as the
/// password itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SaltedKeys {
    client_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl fmt::Debug for SaltedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedKeys(..)")
    }
}

/// Derives the keys: `iterations` rounds of HMAC-SHA-256, a millisecond or two for 4,096. Not for a core.
///
/// The password is normalized by `SASLprep` if it can be, and else taken as it is, as the server does.
pub fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> SaltedKeys {
    let password = normalize(password);
    let mut salted: Key = Zeroizing::new([0; KEY_BYTES]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        &password,
        salted.as_mut(),
    );
    SaltedKeys {
        client_key: *hmac_sha256(salted.as_ref(), &[b"Client Key"]),
        server_key: *hmac_sha256(salted.as_ref(), &[b"Server Key"]),
    }
}

fn normalize(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = str::from_utf8(password)
        .ok()
        .and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(match prepared {
        Some(text) => text.into_owned().into_bytes(),
        None => password.to_vec(),
    })
}

/// What a server stores of a password: enough to check it and not enough to use it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$stored:server`, as `pg_authid` has it.
    pub fn parse(text: &str) -> Result<Self, ScramError> {
        Self::read(text).ok_or(ScramError::Verifier)
    }

    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(SCRAM_SHA_256)?.strip_prefix('$')?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|count| (1..=ITERATIONS_MAX).contains(count))?;
        let salt = STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| (1..=SALT_BYTES_MAX).contains(&salt.len()))?;
        let stored_key = STANDARD.decode(stored).ok()?.try_into().ok()?;
        let server_key = STANDARD.decode(server).ok()?.try_into().ok()?;
        Some(Self {
            iterations,
            salt,
            stored_key,
            server_key,
        })
    }

    /// The verifier of keys that were derived from this salt and number of iterations.
    pub fn new(keys: &SaltedKeys, salt: &[u8], iterations: NonZeroU32) -> Self {
        Self {
            iterations: iterations.get(),
            salt: salt.to_vec(),
            stored_key: sha256(&keys.client_key),
            server_key: keys.server_key,
        }
    }

    /// A verifier that nothing matches, for a user that is not known. From the same secret and name it is always the
    /// same, so that asking twice tells nothing. Iterations should be those of the users that are known.
    pub fn mock(secret: &[u8], user: &[u8], iterations: NonZeroU32) -> Self {
        let salt = hmac_sha256(secret, &[b"mock salt\0", user]);
        let stored = hmac_sha256(secret, &[b"mock stored key\0", user]);
        let server = hmac_sha256(secret, &[b"mock server key\0", user]);
        Self {
            iterations: iterations.get(),
            salt: salt.get(..16).unwrap_or_default().to_vec(),
            // The hash of no known key, as nobody can invert it.
            stored_key: *stored,
            server_key: *server,
        }
    }

    /// The verifier as text, to be stored.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{SCRAM_SHA_256}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        ))
    }

    /// How often the password is hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Random bytes of a nonce or salt, from the system.
pub fn random<const N: usize>() -> Result<[u8; N], ScramError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ScramError::Random)?;
    Ok(bytes)
}

/// The answer to `AuthenticationMD5Password`.
pub fn md5_password(user: &[u8], password: &[u8], salt: [u8; 4]) -> Zeroizing<String> {
    Zeroizing::new(postgres_protocol::authentication::md5_hash(user, password, salt))
}

fn sha256(data: &[u8]) -> [u8; KEY_BYTES] {
    let mut out = [0; KEY_BYTES];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out: Key = Zeroizing::new([0; KEY_BYTES]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

fn xor(left: &[u8; KEY_BYTES], right: &[u8; KEY_BYTES]) -> Key {
    let mut out: Key = Zeroizing::new([0; KEY_BYTES]);
    for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
        *out = left ^ right;
    }
    out
}

/// A message as text of a bounded length.
fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::TooLong { len: message.len() });
    }
    match str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ScramError::Malformed { what: "text" }),
    }
}

/// The value of an attribute that has to be the first of `attributes`, and what follows its comma.
fn attribute<'a>(
    attributes: &'a str,
    name: char,
    what: &'static str,
) -> Result<(&'a str, Option<&'a str>), ScramError> {
    let value = attributes
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='));
    let value = value.ok_or(ScramError::Malformed { what })?;
    Ok(match value.split_once(',') {
        Some((value, rest)) => (value, Some(rest)),
        None => (value, None),
    })
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests;
