//! Both halves against each other, against the RFC's example and against the `postgres-protocol` crate's client.

use std::num::NonZeroU32;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password;

use super::*;

const FEW: NonZeroU32 = NonZeroU32::new(16).expect("not zero");

fn verifier(secret: &str) -> Verifier {
    Verifier::new(&derive(secret.as_bytes(), b"salty", FEW), b"salty", FEW)
}

/// The whole exchange between our two halves.
fn exchange(
    verifier: Verifier,
    secret: &str,
    server_side: &server::Binding,
    client_side: client::Binding,
) -> Result<&'static str, ScramError> {
    let (start, first) = client::Start::new(server_side.mechanisms(), client_side, random()?)?;
    let mechanism = start.mechanism();
    let challenged = server::Exchange::begin(mechanism, server_side, first.as_bytes())?;
    let (challenged, server_first) = challenged.challenge(verifier, random()?);
    let challenge = start.challenged(server_first.as_bytes(), ITERATIONS_MAX)?;
    let keys = derive(secret.as_bytes(), challenge.salt(), challenge.iterations());
    let (proven, client_final) = challenge.prove(&keys);
    let server_final = challenged.check(client_final.as_bytes())?;
    proven.check(server_final.as_bytes())?;
    Ok(mechanism)
}

#[test]
fn exchanges() {
    let hash = || vec![7; 32];
    let tls = || server::Binding::TlsServerEndPoint(hash());
    let plain = || server::Binding::None;
    for (name, secret, server_side, client_side, want) in [
        (
            "no TLS",
            "secret",
            plain(),
            client::Binding::None,
            Ok(SCRAM_SHA_256),
        ),
        (
            "bound",
            "secret",
            tls(),
            client::Binding::Offered(hash()),
            Ok(SCRAM_SHA_256_PLUS),
        ),
        (
            "bound, as required",
            "secret",
            tls(),
            client::Binding::Required(hash()),
            Ok(SCRAM_SHA_256_PLUS),
        ),
        (
            "client without binding",
            "secret",
            tls(),
            client::Binding::None,
            Ok(SCRAM_SHA_256),
        ),
        (
            "server without binding",
            "secret",
            plain(),
            client::Binding::Offered(hash()),
            Ok(SCRAM_SHA_256),
        ),
        (
            "required and not offered",
            "secret",
            plain(),
            client::Binding::Required(hash()),
            Err(ScramError::NoChannelBinding),
        ),
        (
            "another channel",
            "secret",
            tls(),
            client::Binding::Offered(vec![8; 32]),
            Err(ScramError::ChannelBinding),
        ),
        (
            "wrong password",
            "sesame",
            plain(),
            client::Binding::None,
            Err(ScramError::Password),
        ),
        (
            "wrong password, bound",
            "sesame",
            tls(),
            client::Binding::Offered(hash()),
            Err(ScramError::Password),
        ),
    ] {
        assert_eq!(
            exchange(verifier("secret"), secret, &server_side, client_side),
            want,
            "{name}"
        );
    }
}

#[test]
fn a_mock_is_always_the_same_and_never_matches() {
    let mock = |user: &str| Verifier::mock(b"gateway's secret", user.as_bytes(), FEW);
    assert_eq!(mock("alice"), mock("alice"));
    assert_ne!(mock("alice"), mock("bob"));
    assert_ne!(mock("alice"), Verifier::mock(b"another secret", b"alice", FEW));
    for secret in ["", "alice", "secret"] {
        let end = exchange(
            mock("alice"),
            secret,
            &server::Binding::None,
            client::Binding::None,
        );
        assert_eq!(end, Err(ScramError::Password), "{secret}");
    }
}

/// Somebody in the middle takes the offer of channel binding away from the client.
#[test]
fn a_downgrade_is_seen() {
    let (_, first) =
        client::Start::new([SCRAM_SHA_256], client::Binding::Offered(vec![7; 32]), [1; 18]).unwrap();
    assert!(first.starts_with("y,,"));
    let end = server::Exchange::begin(
        SCRAM_SHA_256,
        &server::Binding::TlsServerEndPoint(vec![7; 32]),
        first.as_bytes(),
    );
    assert_eq!(end.err(), Some(ScramError::Downgrade));
}

#[test]
fn first_messages_of_clients() {
    let malformed = |what| Some(ScramError::Malformed { what });
    let tls = server::Binding::TlsServerEndPoint(vec![7; 32]);
    let none = server::Binding::None;
    for (name, mechanism, binding, message, want) in [
        ("plain", SCRAM_SHA_256, &none, "n,,n=,r=abc", None),
        (
            "with a user name",
            SCRAM_SHA_256,
            &none,
            "n,,n=us=2Cer,r=abc",
            None,
        ),
        ("with an extension", SCRAM_SHA_256, &none, "n,,n=,r=abc,x=y", None),
        (
            "client knows binding, we do not",
            SCRAM_SHA_256,
            &none,
            "y,,n=,r=abc",
            None,
        ),
        (
            "bound",
            SCRAM_SHA_256_PLUS,
            &tls,
            "p=tls-server-end-point,,n=,r=abc",
            None,
        ),
        ("plain within TLS", SCRAM_SHA_256, &tls, "n,,n=,r=abc", None),
        (
            "unknown mechanism",
            "SCRAM-SHA-1",
            &none,
            "n,,n=,r=abc",
            Some(ScramError::Mechanism),
        ),
        (
            "PLUS not offered",
            SCRAM_SHA_256_PLUS,
            &none,
            "p=tls-server-end-point,,n=,r=a",
            Some(ScramError::Mechanism),
        ),
        (
            "PLUS and n",
            SCRAM_SHA_256_PLUS,
            &tls,
            "n,,n=,r=abc",
            malformed("no channel binding"),
        ),
        (
            "PLUS and y",
            SCRAM_SHA_256_PLUS,
            &tls,
            "y,,n=,r=abc",
            malformed("no channel binding"),
        ),
        (
            "p without PLUS",
            SCRAM_SHA_256,
            &tls,
            "p=tls-server-end-point,,n=,r=a",
            malformed("channel binding"),
        ),
        (
            "another binding",
            SCRAM_SHA_256_PLUS,
            &tls,
            "p=tls-unique,,n=,r=abc",
            malformed("channel binding"),
        ),
        (
            "no flag",
            SCRAM_SHA_256,
            &none,
            "x,,n=,r=abc",
            malformed("channel binding flag"),
        ),
        (
            "authorization identity",
            SCRAM_SHA_256,
            &none,
            "n,a=x,n=,r=abc",
            malformed("authorization identity"),
        ),
        (
            "mandatory extension",
            SCRAM_SHA_256,
            &none,
            "n,,m=x,n=,r=abc",
            malformed("user name"),
        ),
        ("no nonce", SCRAM_SHA_256, &none, "n,,n=", malformed("nonce")),
        (
            "empty nonce",
            SCRAM_SHA_256,
            &none,
            "n,,n=,r=",
            malformed("nonce"),
        ),
        (
            "space in the nonce",
            SCRAM_SHA_256,
            &none,
            "n,,n=,r=a b",
            malformed("nonce"),
        ),
        (
            "zero byte",
            SCRAM_SHA_256,
            &none,
            "n,,n=\0,r=ab",
            malformed("text"),
        ),
        ("empty", SCRAM_SHA_256, &none, "", malformed("header")),
    ] {
        let end = server::Exchange::begin(mechanism, binding, message.as_bytes());
        assert_eq!(end.err(), want, "{name}");
    }
    let long = format!("n,,n=,r={}", "x".repeat(MESSAGE_BYTES_MAX));
    let end = server::Exchange::begin(SCRAM_SHA_256, &none, long.as_bytes());
    assert_eq!(end.err(), Some(ScramError::TooLong { len: long.len() }));
}

#[test]
fn final_messages_of_clients() {
    for (name, change, want) in [
        ("as it is", ("", ""), None),
        (
            "another binding",
            ("c=biws", "c=eSws"),
            Some(ScramError::ChannelBinding),
        ),
        ("another nonce", (",r=", ",r=x"), Some(ScramError::Nonce)),
        (
            "no proof",
            (",p=", ",q="),
            Some(ScramError::Malformed { what: "proof" }),
        ),
        (
            "proof that is no base64",
            (",p=", ",p=*"),
            Some(ScramError::Malformed { what: "proof" }),
        ),
        (
            "an extension changes what is signed",
            (",p=", ",x=y,p="),
            Some(ScramError::Password),
        ),
    ] {
        let (start, first) = client::Start::new([SCRAM_SHA_256], client::Binding::None, [1; 18]).unwrap();
        let binding = server::Binding::None;
        let exchange = server::Exchange::begin(SCRAM_SHA_256, &binding, first.as_bytes()).unwrap();
        let (challenged, server_first) = exchange.challenge(verifier("secret"), [2; 18]);
        let challenge = start.challenged(server_first.as_bytes(), ITERATIONS_MAX).unwrap();
        let keys = derive(b"secret", challenge.salt(), challenge.iterations());
        let (_, message) = challenge.prove(&keys);
        let message = message.replacen(change.0, change.1, 1);
        assert_eq!(challenged.check(message.as_bytes()).err(), want, "{name}");
    }
}

#[test]
fn challenges_of_servers() {
    let nonce = STANDARD.encode([1; 18]);
    let malformed = |what| Some(ScramError::Malformed { what });
    for (name, message, want) in [
        ("usual", format!("r={nonce}abc,s=c2FsdA==,i=4096"), None),
        ("extension", format!("r={nonce}abc,s=c2FsdA==,i=4096,x=y"), None),
        (
            "only our nonce",
            format!("r={nonce},s=c2FsdA==,i=4096"),
            Some(ScramError::Nonce),
        ),
        (
            "another nonce",
            "r=abc,s=c2FsdA==,i=4096".to_owned(),
            Some(ScramError::Nonce),
        ),
        ("no salt", format!("r={nonce}abc,s=,i=4096"), malformed("salt")),
        (
            "salt that is no base64",
            format!("r={nonce}abc,s=*,i=4096"),
            malformed("salt"),
        ),
        (
            "no iterations",
            format!("r={nonce}abc,s=c2FsdA==,i=0"),
            malformed("iterations"),
        ),
        (
            "negative iterations",
            format!("r={nonce}abc,s=c2FsdA==,i=-1"),
            malformed("iterations"),
        ),
        (
            "too many iterations",
            format!("r={nonce}abc,s=c2FsdA==,i=10001"),
            Some(ScramError::Iterations { iterations: 10_001 }),
        ),
        (
            "more than a number holds",
            format!("r={nonce}abc,s=c2FsdA==,i=99999999999"),
            malformed("iterations"),
        ),
        ("refused", "e=other-error".to_owned(), Some(ScramError::Refused)),
        ("empty", String::new(), malformed("nonce")),
    ] {
        let (start, _) = client::Start::new([SCRAM_SHA_256], client::Binding::None, [1; 18]).unwrap();
        assert_eq!(start.challenged(message.as_bytes(), 10_000).err(), want, "{name}");
    }
}

#[test]
fn answers_of_servers() {
    for (name, message, want) in [
        ("another signature", "v=AAAA", ScramError::ServerSignature),
        ("empty signature", "v=", ScramError::ServerSignature),
        ("refused", "e=invalid-proof", ScramError::Refused),
        (
            "no signature",
            "x=y",
            ScramError::Malformed {
                what: "server signature",
            },
        ),
    ] {
        let (start, _) = client::Start::new([SCRAM_SHA_256], client::Binding::None, [1; 18]).unwrap();
        let message_first = format!("r={}abc,s=c2FsdA==,i=1", STANDARD.encode([1; 18]));
        let challenge = start.challenged(message_first.as_bytes(), 1).unwrap();
        let (proven, _) = challenge.prove(&derive(b"x", b"salt", NonZeroU32::MIN));
        assert_eq!(proven.check(message.as_bytes()), Err(want), "{name}");
    }
}

/// RFC 7677, section 3: user "user", password "pencil".
#[test]
fn keys_of_the_rfc() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let keys = derive(b"pencil", &salt, iterations);
    let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,\
                        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let signature = hmac_sha256(&sha256(&keys.client_key), &[auth_message.as_bytes()]);
    let proof = xor(&keys.client_key, &signature);
    assert_eq!(
        STANDARD.encode(proof.as_ref()),
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let signature = hmac_sha256(&keys.server_key, &[auth_message.as_bytes()]);
    assert_eq!(
        STANDARD.encode(signature.as_ref()),
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
}

#[test]
fn the_client_of_another_crate_gets_in() {
    let text = password::scram_sha_256(b"p\xc3\xa4ss");
    let stored = Verifier::parse(&text).unwrap();
    assert_eq!(*stored.to_text(), text);
    for (name, secret, want) in [("right", "päss", true), ("wrong", "pass", false)] {
        for bound in [false, true] {
            let (binding, channel, mechanism) = if bound {
                (
                    server::Binding::TlsServerEndPoint(vec![9; 32]),
                    ChannelBinding::tls_server_end_point(vec![9; 32]),
                    SCRAM_SHA_256_PLUS,
                )
            } else {
                (
                    server::Binding::None,
                    ChannelBinding::unsupported(),
                    SCRAM_SHA_256,
                )
            };
            let mut other = ScramSha256::new(secret.as_bytes(), channel);
            let exchange = server::Exchange::begin(mechanism, &binding, other.message()).unwrap();
            let (challenged, first) = exchange.challenge(stored.clone(), random().unwrap());
            other.update(first.as_bytes()).unwrap();
            let end = challenged.check(other.message());
            assert_eq!(end.is_ok(), want, "{name}, bound: {bound}");
            if let Ok(answer) = end {
                other.finish(answer.as_bytes()).unwrap();
            }
        }
    }
}

#[test]
fn verifiers() {
    let key = STANDARD.encode([1; 32]);
    for (name, text, want) in [
        ("usual", format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}"), true),
        ("md5", "md5d41d8cd98f00b204e9800998ecf8427e".to_owned(), false),
        ("plain text", "secret".to_owned(), false),
        ("empty", String::new(), false),
        (
            "no iterations",
            format!("SCRAM-SHA-256$0:c2FsdA==${key}:{key}"),
            false,
        ),
        (
            "too many iterations",
            format!("SCRAM-SHA-256$9999999:c2FsdA==${key}:{key}"),
            false,
        ),
        ("no salt", format!("SCRAM-SHA-256$4096:${key}:{key}"), false),
        (
            "short key",
            format!("SCRAM-SHA-256$4096:c2FsdA==$AAAA:{key}"),
            false,
        ),
        (
            "no server key",
            format!("SCRAM-SHA-256$4096:c2FsdA==${key}"),
            false,
        ),
        (
            "bytes behind",
            format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key} "),
            false,
        ),
    ] {
        assert_eq!(Verifier::parse(&text).is_ok(), want, "{name}");
    }
}

#[test]
fn passwords_are_normalized_as_the_server_does() {
    let keys = |password: &[u8]| derive(password, b"salt", FEW).client_key;
    assert_eq!(
        keys("I\u{ad}X".as_bytes()),
        keys(b"IX"),
        "a soft hyphen is mapped to nothing"
    );
    assert_eq!(keys("\u{2168}".as_bytes()), keys(b"IX"), "NFKC");
    assert_eq!(
        keys("\u{7}".as_bytes()),
        keys(b"\x07"),
        "prohibited characters: as it is"
    );
    assert_ne!(keys(b"\xff"), keys(b"\xfe"), "no UTF-8: as it is");
}

#[test]
fn md5() {
    // PostgreSQL: 'md5' || md5(md5('password' || 'user') || salt).
    let other = postgres_protocol::authentication::md5_hash(b"user", b"password", [1, 2, 3, 4]);
    assert_eq!(*md5_password(b"user", b"password", [1, 2, 3, 4]), other);
    assert!(other.starts_with("md5") && other.len() == 35);
}

#[test]
fn secrets_are_not_shown() {
    let keys = derive(b"secret", b"salt", FEW);
    assert_eq!(format!("{keys:?}"), "SaltedKeys(..)");
    assert_eq!(
        format!("{:?}", verifier("secret")),
        "Verifier { iterations: 16, .. }"
    );
}

#[test]
fn hashes_of_certificates() {
    let element = |tag: u8, content: &[u8]| {
        let len = u8::try_from(content.len()).expect("a short element");
        [&[tag, len][..], content].concat()
    };
    let sequence = |content: &[u8]| element(0x30, content);
    let oid = |bytes: &[u8]| element(0x06, bytes);
    let certificate =
        |algorithm: &[u8]| sequence(&[&sequence(b"tbs")[..], &sequence(algorithm), b"\x03\x01\0"].concat());
    let rsa = |last: u8| oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
    let ecdsa = |last: u8| oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last]);
    let sha = |last: u8| oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last]);
    let pss = |hash: &[u8]| {
        let parameters = element(0xa0, &sequence(hash));
        [rsa(0x0a), sequence(&parameters)].concat()
    };
    for (name, algorithm, want) in [
        ("RSA with SHA-256", rsa(0x0b), Some(32)),
        ("RSA with SHA-384", rsa(0x0c), Some(48)),
        ("RSA with SHA-512", rsa(0x0d), Some(64)),
        ("RSA with SHA-1 is bound with SHA-256", rsa(0x05), Some(32)),
        ("ECDSA with SHA-256", ecdsa(2), Some(32)),
        ("ECDSA with SHA-384", ecdsa(3), Some(48)),
        ("RSA-PSS with SHA-512", pss(&sha(3)), Some(64)),
        (
            "RSA-PSS without a hash",
            [rsa(0x0a), sequence(b"")].concat(),
            Some(32),
        ),
        ("Ed25519", oid(&[0x2b, 0x65, 0x70]), None),
    ] {
        let der = certificate(&algorithm);
        assert_eq!(end_point::hash(&der).map(|hash| hash.len()), want, "{name}");
        for cut in 0..der.len() - 3 {
            assert_eq!(end_point::hash(&der[..cut]), None, "{name} cut at {cut}");
        }
    }
}
