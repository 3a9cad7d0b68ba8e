//! SCRAM verifiers as PostgreSQL writes them: `SCRAM-SHA-256$iterations:salt$stored key:server key` (RFC 5803).
//!
//! The gateway keeps a verifier and never a password. Making one belongs to the command line alone.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, SHA256_OUTPUT_LEN};
use aws_lc_rs::{hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sluice_parsers::postgres::scram::{ITERATIONS_DEFAULT, ITERATIONS_MAX};
use zeroize::Zeroizing;

const SALT_BYTES: usize = 16;

/// Why a text is not a verifier that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifierError {
    #[error("is not a SCRAM verifier: it does not begin with SCRAM-SHA-256$")]
    Scheme,
    #[error("is not a SCRAM verifier: it has not the form SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER")]
    Form,
    #[error("has an iteration count that is not from 1 to {ITERATIONS_MAX}")]
    Iterations,
    #[error("has a {0} that is not base64 of the right length (was it cut when it was pasted?)")]
    Field(&'static str),
}

/// Whether the text is a verifier.
pub(crate) fn check(text: &str) -> Result<(), VerifierError> {
    let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(VerifierError::Scheme)?;
    let (first, keys) = rest.split_once('$').ok_or(VerifierError::Form)?;
    let (iterations, salt) = first.split_once(':').ok_or(VerifierError::Form)?;
    let (stored, server) = keys.split_once(':').ok_or(VerifierError::Form)?;
    let count: u32 = iterations.parse().map_err(|_| VerifierError::Iterations)?;
    if !(1..=ITERATIONS_MAX).contains(&count) || !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VerifierError::Iterations);
    }
    for (name, field, exact) in [
        ("salt", salt, None),
        ("stored key", stored, Some(SHA256_OUTPUT_LEN)),
        ("server key", server, Some(SHA256_OUTPUT_LEN)),
    ] {
        let bytes = BASE64.decode(field).map_err(|_| VerifierError::Field(name))?;
        if bytes.is_empty() || exact.is_some_and(|exact| bytes.len() != exact) {
            return Err(VerifierError::Field(name));
        }
    }
    Ok(())
}

/// A verifier of that password with a salt of its own.
pub(crate) fn make(password: &str) -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt)?;
    Ok(derive(password, &salt, ITERATIONS_DEFAULT))
}

/// RFC 5802, section 3: the salted password, and from it the stored and the server key.
fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> String {
    let prepared = prepare(password);
    let mut salted = Zeroizing::new([0; SHA256_OUTPUT_LEN]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        prepared.as_bytes(),
        &mut salted[..],
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted[..]);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored),
        BASE64.encode(server)
    )
}

/// `SASLprep` (RFC 4013) as clients do it: what it refuses is taken as it is.
fn prepare(password: &str) -> Zeroizing<String> {
    Zeroizing::new(
        stringprep::saslprep(password).map_or_else(|_| password.to_owned(), std::borrow::Cow::into_owned),
    )
}

/// A password that nobody chose: 140 bits in characters that need no quoting and are not mistaken for each other.
pub(crate) fn random_password() -> Result<Zeroizing<String>, aws_lc_rs::error::Unspecified> {
    // 32 of them, so that a byte's low bits choose evenly.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = Zeroizing::new([0; 28]);
    rand::fill(&mut bytes[..])?;
    Ok(Zeroizing::new(
        bytes
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by PostgreSQL 15: `set password_encryption = 'scram-sha-256'; create role r password 'pencil'`, with the
    /// salt of RFC 7677's example.
    #[test]
    fn verifiers_are_those_of_the_rfc() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = derive("pencil", &salt, ITERATIONS_DEFAULT);
        assert_eq!(
            verifier,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert_eq!(check(&verifier), Ok(()));
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let whole = make("secret").unwrap();
        let (first, keys) = whole.rsplit_once('$').unwrap();
        for (name, text, want) in [
            ("password", "secret".to_owned(), VerifierError::Scheme),
            (
                "md5",
                "md53175bce1d3201d16594cebf9d7eb3f9d".to_owned(),
                VerifierError::Scheme,
            ),
            ("no keys", first.to_owned(), VerifierError::Form),
            (
                "no server key",
                whole.rsplit_once(':').unwrap().0.to_owned(),
                VerifierError::Form,
            ),
            (
                "cut",
                whole[..whole.len() - 3].to_owned(),
                VerifierError::Field("server key"),
            ),
            (
                "no iterations",
                whole.replace("$4096:", "$:"),
                VerifierError::Iterations,
            ),
            (
                "zero iterations",
                whole.replace("$4096:", "$0:"),
                VerifierError::Iterations,
            ),
            (
                "signed iterations",
                whole.replace("$4096:", "$+4096:"),
                VerifierError::Iterations,
            ),
            (
                "too many",
                whole.replace("$4096:", "$99999999:"),
                VerifierError::Iterations,
            ),
            (
                "empty salt",
                format!("SCRAM-SHA-256$4096:${keys}"),
                VerifierError::Field("salt"),
            ),
        ] {
            assert_eq!(check(&text), Err(want), "{name}");
        }
    }

    #[test]
    fn passwords_differ_and_need_no_quotes() {
        let (one, two) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(*one, *two);
        assert!(one.len() == 28 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
