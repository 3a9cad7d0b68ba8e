//! An issuer's key set (RFC 7517): which keys can verify, and with which algorithms.
//!
//! Every key is bound to its own kind, and to its `alg` where it has one. Keys that are not for signatures, are
//! too weak, are shared secrets or give their private half away are left out with the reason; a set without any
//! usable key is an error, so that the last good one stays in force.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json;

/// A set with more keys than this is refused.
pub const KEYS_MAX: usize = 128;
/// Shorter RSA keys are left out.
const RSA_BITS_MIN: usize = 2048;
/// Longer RSA keys are left out: verifying is work for whoever sends a token.
const RSA_BITS_MAX: usize = 8192;
/// Larger RSA exponents are left out, for the same reason.
const RSA_EXPONENT_BITS_MAX: usize = 33;
/// The longest `kid`.
const KID_BYTES_MAX: usize = 512;

/// Why a key set is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not a JSON object with an array `keys`, or an object in it repeats a name.
    #[error("it is not a JSON object with an array `keys`")]
    NotAKeySet,
    /// More keys than anybody has.
    #[error("it has {keys} keys, more than {KEYS_MAX}")]
    TooManyKeys {
        /// How many.
        keys: usize,
    },
    /// No key in it can verify a token.
    #[error("none of its {keys} keys can verify a token{}", first_reason.map(|reason| format!(": {reason}")).unwrap_or_default())]
    NoUsableKey {
        /// How many there are.
        keys: usize,
        /// Why the first one is left out.
        first_reason: Option<Unusable>,
    },
}

/// Why a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// Its members are missing or not what its kind asks for.
    Malformed,
    /// A kind or curve that is not supported.
    UnknownKind,
    /// A shared secret.
    Symmetric,
    /// `use` or `key_ops` says that it does not verify.
    OtherUse,
    /// Its `alg` is not one of its kind's.
    OtherAlgorithm,
    /// An RSA key outside of the supported sizes.
    Size,
    /// The private half is published with it.
    Private,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed",
            Self::UnknownKind => "its kind or curve is not supported",
            Self::Symmetric => "it is a shared secret",
            Self::OtherUse => "it is not for signatures",
            Self::OtherAlgorithm => "its algorithm is not one of its kind",
            Self::Size => "its size is not supported",
            Self::Private => "its private half is published with it",
        })
    }
}

/// What a key is, and so what it can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    const fn verifies(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self, Self::Rsa),
            Algorithm::Es256 => matches!(self, Self::P256),
            Algorithm::Es384 => matches!(self, Self::P384),
            Algorithm::EdDsa => matches!(self, Self::Ed25519),
        }
    }
}

/// A key that can verify tokens.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    kind: Kind,
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

impl Key {
    /// Whether a signature of this algorithm can be this key's.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.kind.verifies(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` (base64url) over `message` is this key's. The caller has asked [`Key::allows`].
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        self.allows(algorithm)
            && jsonwebtoken::crypto::verify(signature, message, &self.decoding, algorithm.jsonwebtoken())
                .unwrap_or(false)
    }

    fn parse(key: &Map<String, Value>) -> Result<Self, Unusable> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("kty") == Some("oct") {
            return Err(Unusable::Symmetric);
        }
        if key.contains_key("d") {
            return Err(Unusable::Private);
        }
        if key.get("use").is_some_and(|usage| usage != "sig") {
            return Err(Unusable::OtherUse);
        }
        let verifies = |operations: &Value| {
            operations
                .as_array()
                .is_some_and(|list| list.contains(&"verify".into()))
        };
        if key.get("key_ops").is_some_and(|operations| !verifies(operations)) {
            return Err(Unusable::OtherUse);
        }
        let kid = match key.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
            Some(_) => return Err(Unusable::Malformed),
        };
        let part = |name: &str| {
            text(name)
                .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
                .ok_or(Unusable::Malformed)
        };
        let (family, decoding) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => (Kind::Rsa, rsa(&part("n")?, &part("e")?)?),
            (Some("EC"), Some("P-256")) => (Kind::P256, point(&part("x")?, &part("y")?, 32)?),
            (Some("EC"), Some("P-384")) => (Kind::P384, point(&part("x")?, &part("y")?, 48)?),
            (Some("OKP"), Some("Ed25519")) => (Kind::Ed25519, ed25519(&part("x")?)?),
            (Some(_), _) => return Err(Unusable::UnknownKind),
            (None, _) => return Err(Unusable::Malformed),
        };
        let algorithm = match key.get("alg") {
            None => None,
            Some(Value::String(name)) => {
                let own = Algorithm::from_name(name).filter(|algorithm| family.verifies(*algorithm));
                Some(own.ok_or(Unusable::OtherAlgorithm)?)
            }
            Some(_) => return Err(Unusable::Malformed),
        };
        Ok(Self {
            kid,
            kind: family,
            algorithm,
            decoding,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("kind", &self.kind)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The keys of an issuer at one time. Never empty.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    pub(super) unusable: usize,
}

impl KeySet {
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set = json::object(text).ok_or(KeySetError::NotAKeySet)?;
        let Some(Value::Array(listed)) = set.get("keys") else {
            return Err(KeySetError::NotAKeySet);
        };
        if listed.len() > KEYS_MAX {
            return Err(KeySetError::TooManyKeys { keys: listed.len() });
        }
        let mut keys = Vec::new();
        let mut first_reason = None;
        for key in listed {
            match key.as_object().ok_or(Unusable::Malformed).and_then(Key::parse) {
                Ok(key) => keys.push(key),
                Err(reason) => {
                    first_reason.get_or_insert(reason);
                }
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey {
                keys: listed.len(),
                first_reason,
            });
        }
        Ok(Self {
            unusable: listed.len() - keys.len(),
            keys,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token with this `kid` names. Without one, all of them.
    pub(super) fn named<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.keys
            .iter()
            .filter(move |key| kid.is_none() || key.kid.as_deref() == kid)
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, Unusable> {
    let (modulus, exponent) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits(modulus)) {
        return Err(Unusable::Size);
    }
    if !(2..=RSA_EXPONENT_BITS_MAX).contains(&bits(exponent))
        || exponent.last().is_none_or(|last| last % 2 == 0)
    {
        return Err(Unusable::Size);
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn point(x: &[u8], y: &[u8], coordinate_bytes: usize) -> Result<DecodingKey, Unusable> {
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return Err(Unusable::Malformed);
    }
    // An uncompressed point (SEC 1, section 2.3.3). Whether it lies on the curve is checked as it is used.
    Ok(DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

fn ed25519(x: &[u8]) -> Result<DecodingKey, Unusable> {
    if x.len() == 32 {
        Ok(DecodingKey::from_ed_der(x))
    } else {
        Err(Unusable::Malformed)
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The length of a number without leading zeros, in bits.
fn bits(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: usize, first: u8) -> String {
        let mut number = vec![0xff; bytes];
        number[0] = first;
        URL_SAFE_NO_PAD.encode(number)
    }

    #[test]
    fn keys_that_cannot_verify_are_left_out() {
        let (n, e, c32, c48) = (number(256, 0x80), "AQAB".to_owned(), number(32, 1), number(48, 1));
        for (name, key, want) in [
            ("RSA", format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#), None),
            (
                "RSA for PS256",
                format!(r#"{{"kty":"RSA","alg":"PS256","use":"sig","n":"{n}","e":"{e}"}}"#),
                None,
            ),
            (
                "RSA with a leading zero",
                format!(r#"{{"kty":"RSA","n":"{}","e":"{e}"}}"#, number(257, 0)),
                None,
            ),
            (
                "RSA of 2047 bits",
                format!(r#"{{"kty":"RSA","n":"{}","e":"{e}"}}"#, number(256, 0x7f)),
                Some(Unusable::Size),
            ),
            (
                "RSA of 8193 bits",
                format!(r#"{{"kty":"RSA","n":"{}","e":"{e}"}}"#, number(1025, 1)),
                Some(Unusable::Size),
            ),
            (
                "RSA with exponent 1",
                format!(r#"{{"kty":"RSA","n":"{n}","e":"AQ"}}"#),
                Some(Unusable::Size),
            ),
            (
                "RSA with an even exponent",
                format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAA"}}"#),
                Some(Unusable::Size),
            ),
            (
                "RSA with a huge exponent",
                format!(r#"{{"kty":"RSA","n":"{n}","e":"{n}"}}"#),
                Some(Unusable::Size),
            ),
            (
                "RSA without exponent",
                format!(r#"{{"kty":"RSA","n":"{n}"}}"#),
                Some(Unusable::Malformed),
            ),
            (
                "RSA in padded base64",
                format!(r#"{{"kty":"RSA","n":"{n}==","e":"{e}"}}"#),
                Some(Unusable::Malformed),
            ),
            (
                "RSA for encryption",
                format!(r#"{{"kty":"RSA","use":"enc","n":"{n}","e":"{e}"}}"#),
                Some(Unusable::OtherUse),
            ),
            (
                "RSA to sign only",
                format!(r#"{{"kty":"RSA","key_ops":["sign"],"n":"{n}","e":"{e}"}}"#),
                Some(Unusable::OtherUse),
            ),
            (
                "RSA that says ES256",
                format!(r#"{{"kty":"RSA","alg":"ES256","n":"{n}","e":"{e}"}}"#),
                Some(Unusable::OtherAlgorithm),
            ),
            (
                "RSA that says HS256",
                format!(r#"{{"kty":"RSA","alg":"HS256","n":"{n}","e":"{e}"}}"#),
                Some(Unusable::OtherAlgorithm),
            ),
            (
                "RSA that says none",
                format!(r#"{{"kty":"RSA","alg":"none","n":"{n}","e":"{e}"}}"#),
                Some(Unusable::OtherAlgorithm),
            ),
            (
                "RSA with its private half",
                format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}","d":"{n}"}}"#),
                Some(Unusable::Private),
            ),
            (
                "kid is a number",
                format!(r#"{{"kty":"RSA","kid":1,"n":"{n}","e":"{e}"}}"#),
                Some(Unusable::Malformed),
            ),
            (
                "P-256",
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{c32}","y":"{c32}"}}"#),
                None,
            ),
            (
                "P-256 of P-384's length",
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{c48}","y":"{c48}"}}"#),
                Some(Unusable::Malformed),
            ),
            (
                "P-384",
                format!(r#"{{"kty":"EC","crv":"P-384","alg":"ES384","x":"{c48}","y":"{c48}"}}"#),
                None,
            ),
            (
                "P-384 that says ES256",
                format!(r#"{{"kty":"EC","crv":"P-384","alg":"ES256","x":"{c48}","y":"{c48}"}}"#),
                Some(Unusable::OtherAlgorithm),
            ),
            (
                "secp256k1",
                format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{c32}","y":"{c32}"}}"#),
                Some(Unusable::UnknownKind),
            ),
            (
                "Ed25519",
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{c32}"}}"#),
                None,
            ),
            (
                "X25519",
                format!(r#"{{"kty":"OKP","crv":"X25519","x":"{c32}"}}"#),
                Some(Unusable::UnknownKind),
            ),
            (
                "Ed25519 too short",
                r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#.to_owned(),
                Some(Unusable::Malformed),
            ),
            (
                "shared secret",
                r#"{"kty":"oct","k":"AAAA"}"#.to_owned(),
                Some(Unusable::Symmetric),
            ),
            (
                "unknown kind",
                r#"{"kty":"AKP"}"#.to_owned(),
                Some(Unusable::UnknownKind),
            ),
            ("no kind", "{}".to_owned(), Some(Unusable::Malformed)),
            ("no object", "7".to_owned(), Some(Unusable::Malformed)),
        ] {
            let got = match KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()) {
                Ok(set) => {
                    assert_eq!(set.len(), 1, "{name}");
                    None
                }
                Err(KeySetError::NoUsableKey {
                    keys: 1,
                    first_reason,
                }) => first_reason,
                Err(other) => panic!("{name}: {other}"),
            };
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn sets_that_are_none_are_errors() {
        let many = vec!["{}"; KEYS_MAX + 1].join(",");
        for (name, text, want) in [
            ("nothing", String::new(), KeySetError::NotAKeySet),
            ("html", "<html>".to_owned(), KeySetError::NotAKeySet),
            ("no keys", "{}".to_owned(), KeySetError::NotAKeySet),
            (
                "keys is an object",
                r#"{"keys":{}}"#.to_owned(),
                KeySetError::NotAKeySet,
            ),
            (
                "keys twice",
                r#"{"keys":[],"keys":[]}"#.to_owned(),
                KeySetError::NotAKeySet,
            ),
            (
                "empty",
                r#"{"keys":[]}"#.to_owned(),
                KeySetError::NoUsableKey {
                    keys: 0,
                    first_reason: None,
                },
            ),
            (
                "too many",
                format!(r#"{{"keys":[{many}]}}"#),
                KeySetError::TooManyKeys { keys: KEYS_MAX + 1 },
            ),
        ] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), want, "{name}");
        }
    }

    #[test]
    fn a_strange_key_does_not_spoil_the_set() {
        let x = number(32, 1);
        let text = format!(
            r#"{{"keys":[{{"kty":"oct","k":"AA"}},{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}]}}"#
        );
        let set = KeySet::parse(text.as_bytes()).unwrap();
        assert_eq!((set.len(), set.unusable), (1, 1));
        assert_eq!(
            (
                set.named(Some("a")).count(),
                set.named(Some("b")).count(),
                set.named(None).count()
            ),
            (1, 0, 1)
        );
    }
}
