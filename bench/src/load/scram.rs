//! SCRAM-SHA-256 as the client's side (RFC 5802, RFC 7677), with the costly key kept for the next connection.
//!
//! The load opens thousands of connections under one password; deriving its key anew for each would measure the load.

use std::collections::HashMap;
use std::num::NonZeroU32;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Iterations that a server may ask for.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Salted passwords by salt and iterations, of one password.
#[derive(Clone, Default)]
pub struct SaltedPasswords(HashMap<(Vec<u8>, u32), [u8; 32]>);

/// A conversation that has sent its first message.
pub struct Scram {
    gs2: &'static str,
    binding: Vec<u8>,
    first_bare: String,
    signature: Option<hmac::Tag>,
}

impl Scram {
    /// Begins; `binding` is the server certificate's hash where channel binding is to be used.
    pub fn new(nonce: &str, binding: Option<Vec<u8>>) -> Self {
        Self {
            gs2: if binding.is_some() {
                "p=tls-server-end-point,,"
            } else {
                "n,,"
            },
            binding: binding.unwrap_or_default(),
            first_bare: format!("n=,r={nonce}"),
            signature: None,
        }
    }

    /// The name of the mechanism.
    pub fn mechanism(&self) -> &'static str {
        if self.binding.is_empty() {
            "SCRAM-SHA-256"
        } else {
            "SCRAM-SHA-256-PLUS"
        }
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("{}{}", self.gs2, self.first_bare)
    }

    /// Answers the server's first message.
    pub fn last(
        &mut self,
        challenge: &str,
        password: &str,
        known: &mut SaltedPasswords,
    ) -> anyhow::Result<String> {
        let mut fields = challenge.split(',');
        let mut field = |name: &str| {
            fields
                .next()
                .and_then(|field| field.strip_prefix(name))
                .with_context(|| format!("SCRAM challenge without {name}"))
        };
        let nonce = field("r=")?;
        let salt = STANDARD.decode(field("s=")?)?;
        let iterations: u32 = field("i=")?.parse()?;
        ensure!(
            nonce.starts_with(&self.first_bare["n=,r=".len()..]),
            "the server changed the nonce"
        );
        let Some(count) = NonZeroU32::new(iterations).filter(|count| count.get() <= ITERATIONS_MAX) else {
            bail!("{iterations} SCRAM iterations");
        };
        let salted = *known.0.entry((salt, iterations)).or_insert_with_key(|(salt, _)| {
            let mut key = [0; 32];
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                count,
                salt,
                password.as_bytes(),
                &mut key,
            );
            key
        });

        let bound = STANDARD.encode([self.gs2.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={bound},r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.first_bare);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(left, right)| left ^ right)
            .collect();
        let server_key = sign(&salted, b"Server Key");
        self.signature = Some(sign(server_key.as_ref(), message.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks that the server knows the password too.
    pub fn verify(&self, outcome: &str) -> anyhow::Result<()> {
        let told = outcome
            .strip_prefix("v=")
            .with_context(|| format!("SCRAM ended with {outcome}"))?;
        let want = self.signature.as_ref().context("SCRAM ended before it began")?;
        ensure!(
            constant_time::verify_slices_are_equal(&STANDARD.decode(told)?, want.as_ref()).is_ok(),
            "the server does not know the password"
        );
        Ok(())
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

/// The verifier of `password` as a server keeps it.
pub fn verifier(password: &str, salt: &[u8], iterations: NonZeroU32) -> String {
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    let stored = digest::digest(&digest::SHA256, sign(&salted, b"Client Key").as_ref());
    let server = sign(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored.as_ref()),
        STANDARD.encode(server.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, which has a user name where PostgreSQL has none.
    #[test]
    fn the_example_of_the_rfc() {
        let mut scram = Scram::new("rOprNGfwEbeRWgbNEkqO", None);
        scram.first_bare.insert_str(2, "user");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        // `last` finds the nonce behind an empty user name.
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let mut bare = Scram::new("rOprNGfwEbeRWgbNEkqO", None);
        let mut known = SaltedPasswords::default();
        let answer = bare.last(challenge, "pencil", &mut known).unwrap();
        assert!(answer.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
        assert_eq!(known.0.len(), 1);
        assert_eq!(
            verifier(
                "pencil",
                &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
                NonZeroU32::new(4096).unwrap()
            ),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    /// postgres-protocol's client and ours give the same proof to the same challenge.
    #[test]
    fn another_client_agrees() {
        use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
        let mut theirs = ScramSha256::new(b"secret", ChannelBinding::unsupported());
        let first = std::str::from_utf8(theirs.message()).unwrap();
        let nonce = first.split_once("r=").unwrap().1.to_owned();
        let challenge = format!("r={nonce}more,s=c2FsdHNhbHQ=,i=4096");
        theirs.update(challenge.as_bytes()).unwrap();
        let mut ours = Scram::new(&nonce, None);
        let answer = ours
            .last(&challenge, "secret", &mut SaltedPasswords::default())
            .unwrap();
        assert_eq!(answer.as_bytes(), theirs.message());
        let outcome = format!("v={}", STANDARD.encode(ours.signature.as_ref().unwrap().as_ref()));
        ours.verify(&outcome).unwrap();
        theirs.finish(outcome.as_bytes()).unwrap();
    }

    #[test]
    fn bad_challenges_are_refused() {
        for challenge in [
            "",
            "r=other,s=c2FsdA==,i=1",
            "r=abc,s=c2FsdA==,i=0",
            "r=abc,s=c2FsdA==,i=9999999",
        ] {
            let answer = Scram::new("ab", None).last(challenge, "x", &mut SaltedPasswords::default());
            assert!(answer.is_err(), "{challenge}");
        }
    }
}
