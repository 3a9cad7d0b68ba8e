//! A token in compact form, taken apart without believing any of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sluice_policy::identity::TokenError;
use sluice_policy::printable;

use super::algorithm::Algorithm;
use super::claims::SHOWN_CHARS_MAX;
use super::json;

/// Longer tokens are refused unread.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) issuer: String,
    /// What the signature is over.
    pub(super) message: &'a [u8],
    /// In base64url, as it came.
    pub(super) signature: &'a str,
    claims: Map<String, Value>,
}

impl<'a> Unverified<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong {
                bytes: token.len(),
                bytes_max: TOKEN_BYTES_MAX,
            });
        }
        let text = std::str::from_utf8(token).map_err(|_| malformed("it is not text"))?;
        let (message, header, payload, signature) = parts(text)?;
        let header =
            decode(header).ok_or_else(|| malformed("its header is not a JSON object in base64url"))?;
        let (algorithm, kid) = read_header(&header)?;
        let claims =
            decode(payload).ok_or_else(|| malformed("its claims are not a JSON object in base64url"))?;
        let issuer = match claims.get("iss") {
            Some(Value::String(issuer)) => issuer.clone(),
            Some(_) => {
                return Err(TokenError::BadClaim {
                    claim: "iss".to_owned(),
                    what: "it is not a string",
                });
            }
            None => {
                return Err(TokenError::MissingClaim {
                    claim: "iss".to_owned(),
                });
            }
        };
        Ok(Self {
            algorithm,
            kid,
            issuer,
            message: message.as_bytes(),
            signature,
            claims,
        })
    }

    /// The claims. Only for who has verified the signature.
    pub(super) fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

/// (header and payload, header, payload, signature)
fn parts(text: &str) -> Result<(&str, &str, &str, &str), TokenError> {
    match text.bytes().filter(|byte| *byte == b'.').count() {
        2 => {}
        4 => return Err(malformed("it is encrypted (five parts)")),
        _ => return Err(malformed("it is not three parts with dots between them")),
    }
    let (message, signature) = text
        .rsplit_once('.')
        .ok_or_else(|| malformed("it has no signature"))?;
    let (header, payload) = message
        .split_once('.')
        .ok_or_else(|| malformed("it has no claims"))?;
    Ok((message, header, payload, signature))
}

fn decode(part: &str) -> Option<Map<String, Value>> {
    json::object(&URL_SAFE_NO_PAD.decode(part).ok()?)
}

/// What is believed of the header: the algorithm and the key's name, each to be checked against the key set.
/// `jwk`, `jku`, `x5u`, `x5c` and whatever else it holds are not looked at.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), TokenError> {
    // No extension is known here, so there is none that could be listed. `b64` changes what is signed.
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(TokenError::CritRefused);
    }
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => {
            Algorithm::from_name(name).ok_or_else(|| TokenError::AlgorithmRefused {
                got: printable(name, SHOWN_CHARS_MAX),
            })?
        }
        _ => return Err(malformed("its header names no algorithm")),
    };
    // Tokens of other uses are signed with the same keys (RFC 8725, section 3.11).
    if let Some(got) = header.get("typ") {
        let got = got
            .as_str()
            .ok_or_else(|| malformed("its `typ` is not a string"))?;
        let kind = got
            .get(..12)
            .filter(|start| start.eq_ignore_ascii_case("application/"))
            .map_or(got, |_| &got[12..]);
        if !["jwt", "at+jwt"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
        {
            return Err(TokenError::WrongType {
                got: printable(got, SHOWN_CHARS_MAX),
            });
        }
    }
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Value::String(kid)) => Ok((algorithm, Some(kid.clone()))),
        Some(_) => Err(malformed("its `kid` is not a string")),
    }
}

fn malformed(what: &'static str) -> TokenError {
    TokenError::Malformed { what }
}

/// Body of the fuzz target for tokens: whatever the bytes are, they are refused or taken apart.
pub fn fuzz_token(data: &[u8]) {
    if let Ok(token) = Unverified::parse(data) {
        assert!(data.starts_with(token.message));
        assert!(data.ends_with(token.signature.as_bytes()));
        assert_eq!(token.message.len() + 1 + token.signature.len(), data.len());
        assert!(token.into_claims().contains_key("iss"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, payload: &str) -> String {
        format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        )
    }

    #[test]
    fn headers_are_believed_in_nothing_but_algorithm_and_kid() {
        let good = r#"{"iss":"i"}"#;
        for (name, header, want) in [
            ("plain", r#"{"alg":"RS256"}"#, Ok(())),
            ("typ JWT", r#"{"alg":"RS256","typ":"JWT"}"#, Ok(())),
            (
                "typ of an access token",
                r#"{"alg":"RS256","typ":"at+jwt"}"#,
                Ok(()),
            ),
            (
                "typ in full",
                r#"{"alg":"RS256","typ":"application/AT+JWT"}"#,
                Ok(()),
            ),
            (
                "own key offered",
                r#"{"alg":"RS256","jwk":{"kty":"oct"},"jku":"http://x","x5u":"http://x","x5c":[]}"#,
                Ok(()),
            ),
            (
                "logout token",
                r#"{"alg":"RS256","typ":"logout+jwt"}"#,
                Err("wrong_type"),
            ),
            (
                "typ that is no ASCII",
                r#"{"alg":"RS256","typ":"applicationé/jwt"}"#,
                Err("wrong_type"),
            ),
            (
                "proof of possession",
                r#"{"alg":"ES256","typ":"dpop+jwt"}"#,
                Err("wrong_type"),
            ),
            ("typ is a number", r#"{"alg":"RS256","typ":1}"#, Err("malformed")),
            ("none", r#"{"alg":"none"}"#, Err("algorithm_refused")),
            ("None", r#"{"alg":"None"}"#, Err("algorithm_refused")),
            ("HS256", r#"{"alg":"HS256"}"#, Err("algorithm_refused")),
            ("no algorithm", "{}", Err("malformed")),
            ("algorithm is a list", r#"{"alg":["RS256"]}"#, Err("malformed")),
            (
                "two algorithms",
                r#"{"alg":"RS256","alg":"none"}"#,
                Err("malformed"),
            ),
            (
                "crit",
                r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
                Err("crit_refused"),
            ),
            ("empty crit", r#"{"alg":"RS256","crit":[]}"#, Err("crit_refused")),
            (
                "unencoded payload",
                r#"{"alg":"RS256","b64":false}"#,
                Err("crit_refused"),
            ),
            ("kid is a number", r#"{"alg":"RS256","kid":1}"#, Err("malformed")),
            ("a list", "[]", Err("malformed")),
        ] {
            let token = token(header, good);
            let got = Unverified::parse(token.as_bytes())
                .map(|_| ())
                .map_err(|error| error.name());
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn shapes_that_are_no_signed_token_are_refused() {
        let good = token(r#"{"alg":"RS256"}"#, r#"{"iss":"i"}"#);
        for (name, text, want) in [
            ("good", good.clone(), Ok(())),
            ("nothing", String::new(), Err("malformed")),
            ("a password", "hunter2".to_owned(), Err("malformed")),
            ("two parts", "a.b".to_owned(), Err("malformed")),
            ("encrypted", "a.b.c.d.e".to_owned(), Err("malformed")),
            ("dots", "..".to_owned(), Err("malformed")),
            ("with a prefix", format!("Bearer {good}"), Err("malformed")),
            ("with a newline", format!("{good}\n"), Ok(())), // The signature is no longer base64url: refused later.
            ("padded", good.replacen('.', "=.", 1), Err("malformed")),
            ("standard base64", good.replacen("ey", "+/", 1), Err("malformed")),
            (
                "no issuer",
                token(r#"{"alg":"RS256"}"#, "{}"),
                Err("missing_claim"),
            ),
            (
                "issuer is a list",
                token(r#"{"alg":"RS256"}"#, r#"{"iss":["i"]}"#),
                Err("bad_claim"),
            ),
            (
                "duplicate claims",
                token(r#"{"alg":"RS256"}"#, r#"{"iss":"i","sub":"a","sub":"b"}"#),
                Err("malformed"),
            ),
            (
                "claims are no object",
                token(r#"{"alg":"RS256"}"#, "\"i\""),
                Err("malformed"),
            ),
            ("too long", "a".repeat(TOKEN_BYTES_MAX + 1), Err("too_long")),
        ] {
            let got = Unverified::parse(text.as_bytes())
                .map(|_| ())
                .map_err(|error| error.name());
            assert_eq!(got, want, "{name}");
        }
        assert_eq!(Unverified::parse(b"\xff.a.b").unwrap_err().name(), "malformed");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_token(&data);
        }

        #[test]
        fn no_json_panics(header in r#"\{("(alg|kid|typ|crit)":("RS256"|"[a-z]{0,3}"|1|\[\]|null),?){0,4}\}"#, claims in r#"\{("(iss|sub|aud)":("[a-z]{0,3}"|1|\[\]|\{\}),?){0,4}\}"#) {
            fuzz_token(token(&header, &claims).as_bytes());
        }
    }
}
