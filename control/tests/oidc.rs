//! Tokens signed with real keys against the verifier: what is taken, every attack by name, and keys that change.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Signer, EncodingKey};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::{Value, json};
use sluice_control::oidc::{
    Algorithm, FetchError, IssuerConfig, KEY_SET_BYTES_MAX, KeySource, OidcConfigError, RefreshTimes,
    TOKEN_BYTES_MAX, Verifier, keep_fresh,
};
use sluice_policy::identity::{Method, TokenError, TokenVerifier};

const ISSUER: &str = "https://issuer.example";
const NOW_S: u64 = 1_800_000_000;

/// A key pair and what signs with it.
struct TestKey {
    encoding: EncodingKey,
    signer: Signer,
    public: Vec<u8>,
}

impl TestKey {
    fn new(pair: &KeyPair, signer: Signer) -> Self {
        let pem = pair.serialize_pem();
        let encoding = match signer {
            Signer::ES256 | Signer::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Signer::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self {
            encoding: encoding.unwrap(),
            signer,
            public: pair.public_key_raw().to_vec(),
        }
    }

    /// The public half.
    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = if self.signer == Signer::EdDSA {
            json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&self.public)})
        } else {
            serde_json::to_value(Jwk::from_encoding_key(&self.encoding, self.signer).unwrap()).unwrap()
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.encoding, self.signer).unwrap();
        format!("{message}.{signature}")
    }
}

static RSA_PAIR: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::new(&RSA_PAIR, Signer::RS256));
static P256: LazyLock<TestKey> = LazyLock::new(|| {
    TestKey::new(
        &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        Signer::ES256,
    )
});
static OTHER_P256: LazyLock<TestKey> = LazyLock::new(|| {
    TestKey::new(
        &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        Signer::ES256,
    )
});
static P384: LazyLock<TestKey> = LazyLock::new(|| {
    TestKey::new(
        &KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        Signer::ES384,
    )
});
static ED25519: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::new(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), Signer::EdDSA));

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "agent-7", "aud": "sluice", "exp": NOW_S + 600, "iat": NOW_S - 5, "groups": ["crew"]})
}

fn changed(changes: &Value) -> Value {
    let mut claims = claims();
    claims
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A verifier whose one issuer has these keys in a file.
fn verifier(keys: &str, change: impl FnOnce(&mut IssuerConfig)) -> (Verifier, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys).unwrap();
    let mut config = IssuerConfig::new(ISSUER, "sluice", KeySource::File(file.path().to_owned()));
    change(&mut config);
    (Verifier::new(vec![config]).unwrap(), file)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn loaded(keys: &[Value], change: impl FnOnce(&mut IssuerConfig)) -> Verifier {
    let (verifier, _file) = verifier(&key_set(keys), change);
    for (issuer, result) in runtime().block_on(verifier.refresh_all()) {
        assert!(result.is_ok(), "{issuer}: {result:?}");
    }
    verifier
}

#[test]
fn every_algorithm_with_its_own_key() {
    let rsa = |signer| TestKey::new(&RSA_PAIR, signer);
    let keys = [
        ("RS256", &rsa(Signer::RS256)),
        ("RS384", &rsa(Signer::RS384)),
        ("RS512", &rsa(Signer::RS512)),
        ("PS256", &rsa(Signer::PS256)),
        ("PS384", &rsa(Signer::PS384)),
        ("PS512", &rsa(Signer::PS512)),
        ("ES256", &*P256),
        ("ES384", &*P384),
        ("EdDSA", &*ED25519),
    ];
    let published: Vec<_> = keys.iter().map(|(name, key)| key.jwk(name)).collect();
    let verifier = loaded(&published, |_| {});
    for (name, key) in keys {
        let token = key.sign(&json!({"alg": name, "kid": name, "typ": "JWT"}), &claims());
        let identity = verifier
            .verify(token.as_bytes(), NOW_S)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (identity.issuer.as_str(), identity.subject.as_str()),
            (ISSUER, "agent-7"),
            "{name}"
        );
        assert_eq!(
            (identity.method, identity.groups()),
            (Method::Oidc, &["crew".to_owned()][..]),
            "{name}"
        );
        assert_eq!(identity.claims["sub"], "agent-7", "{name}");
        let narrowed = loaded(&published, |config| {
            config.algorithms = vec![Algorithm::from_name(name).unwrap()];
        });
        for (other, key) in [("RS256", &*RSA), ("ES256", &*P256)] {
            let token = key.sign(&json!({"alg": other, "kid": other}), &claims());
            assert_eq!(
                narrowed.verify(token.as_bytes(), NOW_S).is_ok(),
                name == other,
                "{other} where {name} is allowed"
            );
        }
    }
}

#[test]
fn t22_attacks_are_refused_by_name() {
    let verifier = loaded(&[RSA.jwk("r"), P256.jwk("e"), ED25519.jwk("d")], |_| {});
    let header = json!({"alg": "ES256", "kid": "e"});
    let good = P256.sign(&header, &claims());
    assert!(verifier.verify(good.as_bytes(), NOW_S).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());

    // A MAC keyed with the public key, as a verifier that trusts `alg` would check it.
    let public_pem = RSA_PAIR.public_key_pem();
    let confused = {
        let message = format!("{}.{payload}", encode(&json!({"alg": "HS256", "kid": "r"})));
        let key = EncodingKey::from_secret(public_pem.as_bytes());
        let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Signer::HS256).unwrap();
        format!("{message}.{mac}")
    };
    let flipped = {
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[10] ^= 1;
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let no_kid = json!({"alg": "ES256"});
    for (name, token, want) in [
        (
            "alg none without signature",
            format!("{}.{payload}.", encode(&json!({"alg": "none"}))),
            "algorithm_refused",
        ),
        (
            "alg none with signature",
            format!(
                "{}.{payload}.{signature}",
                encode(&json!({"alg": "none", "kid": "e"}))
            ),
            "algorithm_refused",
        ),
        (
            "alg nOnE",
            format!("{}.{payload}.", encode(&json!({"alg": "nOnE"}))),
            "algorithm_refused",
        ),
        ("HS256 keyed with the public key", confused, "algorithm_refused"),
        (
            "RS256 named, ES256 key",
            P256.sign(&json!({"alg": "RS256", "kid": "e"}), &claims()),
            "algorithm_refused",
        ),
        (
            "ES256 named, RSA key",
            RSA.sign(&json!({"alg": "ES256", "kid": "r"}), &claims()),
            "algorithm_refused",
        ),
        (
            "EdDSA named, ES256 key",
            P256.sign(&json!({"alg": "EdDSA", "kid": "e"}), &claims()),
            "algorithm_refused",
        ),
        (
            "the key's own algorithm is another",
            TestKey::new(&RSA_PAIR, Signer::PS256).sign(&json!({"alg": "PS256", "kid": "r"}), &claims()),
            "algorithm_refused",
        ),
        (
            "kid of another kind of key",
            P256.sign(&json!({"alg": "ES256", "kid": "r"}), &claims()),
            "algorithm_refused",
        ),
        (
            "kid nobody has",
            P256.sign(&json!({"alg": "ES256", "kid": "x"}), &claims()),
            "unknown_key",
        ),
        (
            "kid that is a path",
            P256.sign(&json!({"alg": "ES256", "kid": "../../dev/null"}), &claims()),
            "unknown_key",
        ),
        (
            "kid that is empty",
            P256.sign(&json!({"alg": "ES256", "kid": ""}), &claims()),
            "unknown_key",
        ),
        (
            "another's key under a known kid",
            OTHER_P256.sign(&header, &claims()),
            "bad_signature",
        ),
        (
            "another's key without kid",
            OTHER_P256.sign(&no_kid, &claims()),
            "bad_signature",
        ),
        (
            "another's key offered in jwk",
            OTHER_P256.sign(
                &json!({"alg": "ES256", "kid": "e", "jwk": OTHER_P256.jwk("e")}),
                &claims(),
            ),
            "bad_signature",
        ),
        (
            "another's key offered at jku",
            OTHER_P256.sign(
                &json!({"alg": "ES256", "kid": "e", "jku": "http://127.0.0.1:1/"}),
                &claims(),
            ),
            "bad_signature",
        ),
        (
            "another's key offered at x5u",
            OTHER_P256.sign(
                &json!({"alg": "ES256", "kid": "e", "x5u": "http://127.0.0.1:1/", "x5c": ["AA"]}),
                &claims(),
            ),
            "bad_signature",
        ),
        (
            "another's key offered in jwk, new kid",
            OTHER_P256.sign(
                &json!({"alg": "ES256", "kid": "y", "jwk": OTHER_P256.jwk("y")}),
                &claims(),
            ),
            "unknown_key",
        ),
        (
            "claims changed after signing",
            format!(
                "{head}.{}.{signature}",
                encode(&changed(&json!({"sub": "admin"})))
            ),
            "bad_signature",
        ),
        (
            "header changed after signing",
            format!(
                "{}.{payload}.{signature}",
                encode(&json!({"alg": "ES256", "kid": "e", "typ": "JWT"}))
            ),
            "bad_signature",
        ),
        ("a bit of the signature flipped", flipped, "bad_signature"),
        (
            "signature cut",
            good[..good.len() - 4].to_owned(),
            "bad_signature",
        ),
        ("no signature", format!("{message}."), "bad_signature"),
        (
            "all zeros",
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            "bad_signature",
        ),
        (
            "signature in DER",
            format!(
                "{message}.{}",
                URL_SAFE_NO_PAD.encode([0x30, 6, 2, 1, 1, 2, 1, 1])
            ),
            "bad_signature",
        ),
        ("newline at the end", format!("{good}\n"), "bad_signature"),
        ("padding at the end", format!("{good}=="), "bad_signature"),
        (
            "crit",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e", "crit": ["x"], "x": 1}),
                &claims(),
            ),
            "crit_refused",
        ),
        (
            "unencoded payload",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e", "crit": ["b64"], "b64": false}),
                &claims(),
            ),
            "crit_refused",
        ),
        (
            "logout token",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e", "typ": "logout+jwt"}),
                &claims(),
            ),
            "wrong_type",
        ),
        (
            "expired",
            P256.sign(&header, &changed(&json!({"exp": NOW_S - 3600}))),
            "expired",
        ),
        (
            "not yet valid",
            P256.sign(&header, &changed(&json!({"nbf": NOW_S + 3600}))),
            "not_yet_valid",
        ),
        (
            "issued in the future",
            P256.sign(&header, &changed(&json!({"iat": NOW_S + 3600}))),
            "not_yet_valid",
        ),
        (
            "without exp",
            P256.sign(&header, &without("exp")),
            "missing_claim",
        ),
        (
            "without aud",
            P256.sign(&header, &without("aud")),
            "missing_claim",
        ),
        (
            "without sub",
            P256.sign(&header, &without("sub")),
            "missing_claim",
        ),
        (
            "without iss",
            P256.sign(&header, &without("iss")),
            "missing_claim",
        ),
        (
            "other audience",
            P256.sign(&header, &changed(&json!({"aud": "billing"}))),
            "wrong_audience",
        ),
        (
            "audiences without ours",
            P256.sign(&header, &changed(&json!({"aud": ["billing", "sluice2"]}))),
            "wrong_audience",
        ),
        (
            "other issuer",
            P256.sign(&header, &changed(&json!({"iss": "https://evil.example"}))),
            "wrong_issuer",
        ),
        (
            "issuer with a slash at the end",
            P256.sign(&header, &changed(&json!({"iss": format!("{ISSUER}/")}))),
            "wrong_issuer",
        ),
        (
            "issuer in capitals",
            P256.sign(&header, &changed(&json!({"iss": ISSUER.to_uppercase()}))),
            "wrong_issuer",
        ),
        (
            "a local identity by token",
            P256.sign(&header, &changed(&json!({"iss": "local"}))),
            "wrong_issuer",
        ),
        (
            "duplicate claims",
            P256.sign_text(
                &header.to_string(),
                &claims().to_string().replacen('{', "{\"sub\":\"admin\",", 1),
            ),
            "malformed",
        ),
        (
            "duplicate alg",
            P256.sign_text(r#"{"alg":"none","kid":"e","alg":"ES256"}"#, &claims().to_string()),
            "malformed",
        ),
        (
            "huge",
            P256.sign(&header, &changed(&json!({"pad": "x".repeat(TOKEN_BYTES_MAX)}))),
            "too_long",
        ),
        (
            "bound to another's key",
            P256.sign(&header, &changed(&json!({"cnf": {"jkt": "x"}}))),
            "sender_constrained",
        ),
        ("encrypted", "a.b.c.d.e".to_owned(), "malformed"),
        ("a password", "hunter2".to_owned(), "malformed"),
        ("nothing", String::new(), "malformed"),
    ] {
        let got = verifier
            .verify(token.as_bytes(), NOW_S)
            .map(|identity| identity.subject);
        assert_eq!(
            got.as_deref().map_err(TokenError::name),
            Err(want),
            "{name}: {got:?}"
        );
    }
}

#[test]
fn what_is_no_attack_is_taken() {
    let verifier = loaded(&[RSA.jwk("r"), P256.jwk("e")], |config| {
        config.audiences.push("sluice-2".to_owned());
        config.groups_claim = Some("realm_access.roles".to_owned());
    });
    for (name, token) in [
        (
            "one of two audiences",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e"}),
                &changed(&json!({"aud": ["x", "sluice-2"]})),
            ),
        ),
        (
            "without kid, one key of that kind",
            P256.sign(&json!({"alg": "ES256"}), &claims()),
        ),
        (
            "access token",
            P256.sign(&json!({"alg": "ES256", "kid": "e", "typ": "at+jwt"}), &claims()),
        ),
        (
            "a key offered, and ignored",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e", "jwk": OTHER_P256.jwk("e")}),
                &claims(),
            ),
        ),
        (
            "nearly too long",
            P256.sign(
                &json!({"alg": "ES256", "kid": "e"}),
                &changed(&json!({"pad": "x".repeat(40_000)})),
            ),
        ),
        (
            "without groups",
            RSA.sign(&json!({"alg": "RS256", "kid": "r"}), &without("groups")),
        ),
        (
            "just expired, within the leeway",
            P256.sign(&json!({"alg": "ES256"}), &changed(&json!({"exp": NOW_S - 10}))),
        ),
    ] {
        let identity = verifier
            .verify(token.as_bytes(), NOW_S)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            identity.groups().is_empty(),
            "{name}: the groups are at another path"
        );
    }
    let token = P256.sign(
        &json!({"alg": "ES256"}),
        &changed(&json!({"realm_access": {"roles": ["b", "a"]}})),
    );
    assert_eq!(
        verifier.verify(token.as_bytes(), NOW_S).unwrap().groups(),
        ["a", "b"]
    );
}

#[test]
fn a_kid_reused_by_another_kind_of_key() {
    let verifier = loaded(&[RSA.jwk("k"), P256.jwk("k"), OTHER_P256.jwk("k")], |_| {});
    for (name, key, alg, want) in [
        ("the first", &*RSA, "RS256", Ok(())),
        ("the second", &*P256, "ES256", Ok(())),
        ("the third", &*OTHER_P256, "ES256", Ok(())),
        ("none of them", &*P384, "ES384", Err("algorithm_refused")),
        ("RSA signs, EC is named", &*RSA, "ES256", Err("bad_signature")),
    ] {
        let token = key.sign(&json!({"alg": alg, "kid": "k"}), &claims());
        let got = verifier.verify(token.as_bytes(), NOW_S);
        assert_eq!(got.map(|_| ()).map_err(|error| error.name()), want, "{name}");
    }
    // Several keys could have made a token that names none.
    let token = P256.sign(&json!({"alg": "ES256"}), &claims());
    assert_eq!(
        verifier.verify(token.as_bytes(), NOW_S).unwrap_err().name(),
        "unknown_key"
    );
}

#[test]
fn issuers_do_not_vouch_for_each_other() {
    let files: Vec<_> = [&*RSA, &*P256]
        .map(|key| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), key_set(&[key.jwk("k")])).unwrap();
            file
        })
        .into();
    let config = |issuer: &str, prefix: &str, file: &tempfile::NamedTempFile| {
        let mut config = IssuerConfig::new(issuer, "sluice", KeySource::File(file.path().to_owned()));
        config.group_prefix = prefix.to_owned();
        config
    };
    let verifier = Verifier::new(vec![
        config("https://a", "a:", &files[0]),
        config("https://b", "b:", &files[1]),
    ])
    .unwrap();
    runtime().block_on(verifier.refresh_all());
    for (name, key, alg, issuer, want) in [
        ("a by a", &*RSA, "RS256", "https://a", Ok("a:crew")),
        ("b by b", &*P256, "ES256", "https://b", Ok("b:crew")),
        ("a by b", &*P256, "ES256", "https://a", Err("algorithm_refused")),
        ("b by a", &*RSA, "RS256", "https://b", Err("algorithm_refused")),
    ] {
        let token = key.sign(
            &json!({"alg": alg, "kid": "k"}),
            &changed(&json!({"iss": issuer})),
        );
        let got = verifier
            .verify(token.as_bytes(), NOW_S)
            .map(|identity| identity.groups()[0].clone());
        assert_eq!(got.as_deref().map_err(TokenError::name), want, "{name}");
    }
}

/// An issuer's HTTP server: answers each request with what is set.
struct KeyServer {
    address: std::net::SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    requests: Arc<AtomicUsize>,
}

impl KeyServer {
    fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer)),
            requests: Arc::default(),
        };
        let (answer, requests) = (Arc::clone(&server.answer), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                requests.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let _ = Self::serve(&stream.unwrap(), &answer);
            }
        });
        server
    }

    fn serve(stream: &TcpStream, answer: &[u8]) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let mut stream = stream;
        stream.write_all(answer)
    }

    fn ok(body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn set(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> Verifier {
        let keys = KeySource::parse(&format!("http://{}/jwks", self.address)).unwrap();
        Verifier::new(vec![IssuerConfig::new(ISSUER, "sluice", keys)]).unwrap()
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in 5 s: {what}");
}

#[test]
fn keys_by_http_are_bounded_and_never_redirected() {
    let good = key_set(&[P256.jwk("e")]);
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}\r\n");
    let elsewhere = KeyServer::start(KeyServer::ok(&good));
    let server = KeyServer::start(Vec::new());
    let verifier = server.verifier();
    let long = "x".repeat(KEY_SET_BYTES_MAX + 1);
    for (name, answer, want) in [
        ("good", KeyServer::ok(&good), "ok"),
        (
            "without a length",
            (head("200 OK", "") + &good).into_bytes(),
            "ok",
        ),
        (
            "not found",
            head("404 Not Found", "content-length: 0\r\n").into_bytes(),
            "status",
        ),
        ("no content", head("204 No Content", "").into_bytes(), "status"),
        (
            "redirect",
            head(
                "302 Found",
                &format!("location: http://{}/\r\ncontent-length: 0\r\n", elsewhere.address),
            )
            .into_bytes(),
            "status",
        ),
        ("too large", KeyServer::ok(&long), "too large"),
        (
            "too large without a length",
            (head("200 OK", "") + &long).into_bytes(),
            "too large",
        ),
        ("a page", KeyServer::ok("<html>"), "key set"),
        ("no keys", KeyServer::ok("{\"keys\":[]}"), "key set"),
        (
            "cut",
            (head("200 OK", "content-length: 1000\r\n") + "{").into_bytes(),
            "exchange",
        ),
        ("no HTTP", b"hello\r\n\r\n".to_vec(), "exchange"),
        ("nothing", Vec::new(), "exchange"),
    ] {
        server.set(answer);
        let results = runtime().block_on(verifier.refresh_all());
        let got = match &results[0].1 {
            Ok(1) => "ok",
            Ok(_) => "another number of keys",
            Err(FetchError::Status { .. }) => "status",
            Err(FetchError::TooLarge { .. }) => "too large",
            Err(FetchError::KeySet { .. }) => "key set",
            Err(FetchError::Exchange { .. }) => "exchange",
            Err(_) => "another error",
        };
        assert_eq!(got, want, "{name}: {:?}", results[0].1);
        let status = &verifier.status()[0];
        assert_eq!(status.keys, 1, "{name}: the last good keys stay");
        assert_eq!(status.last_error.is_none(), want == "ok", "{name}");
        let token = P256.sign(&json!({"alg": "ES256", "kid": "e"}), &claims());
        assert!(verifier.verify(token.as_bytes(), NOW_S).is_ok(), "{name}");
    }
    assert_eq!(elsewhere.requests(), 0, "the redirect was followed");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_but_not_at_will() {
    let server = KeyServer::start(KeyServer::ok(&key_set(&[P256.jwk("old")])));
    let verifier = Arc::new(server.verifier());
    let old = P256.sign(&json!({"alg": "ES256", "kid": "old"}), &claims());
    let new = OTHER_P256.sign(&json!({"alg": "ES256", "kid": "new"}), &claims());
    assert_eq!(
        verifier.verify(old.as_bytes(), NOW_S).unwrap_err().name(),
        "no_keys_yet"
    );

    let times = RefreshTimes {
        interval: Duration::from_hours(1),
        attempt_interval_min: Duration::from_millis(300),
        retry: Duration::from_hours(1),
    };
    let task = tokio::spawn(keep_fresh(Arc::clone(&verifier), times));
    until("the first keys", || {
        verifier.verify(old.as_bytes(), NOW_S).is_ok()
    })
    .await;

    server.set(KeyServer::ok(&key_set(&[OTHER_P256.jwk("new")])));
    assert_eq!(
        verifier.verify(new.as_bytes(), NOW_S).unwrap_err().name(),
        "unknown_key"
    );
    until("the new key", || verifier.verify(new.as_bytes(), NOW_S).is_ok()).await;
    assert_eq!(
        verifier.verify(old.as_bytes(), NOW_S).unwrap_err().name(),
        "unknown_key",
        "a key taken back is gone"
    );

    // The issuer fails: what was read last stays.
    server.set(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec());
    until("a failed attempt", || {
        let _ = verifier.verify(old.as_bytes(), NOW_S);
        verifier.status()[0].last_error.is_some()
    })
    .await;
    assert!(verifier.verify(new.as_bytes(), NOW_S).is_ok());

    // Tokens with made-up keys: at most one request in each interval.
    let before = server.requests();
    for number in 0..200 {
        let token = P256.sign(
            &json!({"alg": "ES256", "kid": format!("made-up-{number}")}),
            &claims(),
        );
        assert_eq!(
            verifier.verify(token.as_bytes(), NOW_S).unwrap_err().name(),
            "unknown_key"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = server.requests() - before;
    assert!((1..=10).contains(&asked), "{asked} requests");
    task.abort();
}

#[tokio::test]
async fn a_file_is_read_again() {
    let (verifier, file) = verifier("", |_| {});
    let verifier = Arc::new(verifier);
    let times = RefreshTimes {
        interval: Duration::from_millis(20),
        attempt_interval_min: Duration::from_millis(10),
        retry: Duration::from_millis(20),
    };
    let task = tokio::spawn(keep_fresh(Arc::clone(&verifier), times));
    until("an error", || verifier.status()[0].last_error.is_some()).await;
    std::fs::write(file.path(), key_set(&[ED25519.jwk("d")])).unwrap();
    let token = ED25519.sign(&json!({"alg": "EdDSA", "kid": "d"}), &claims());
    until("the key", || verifier.verify(token.as_bytes(), NOW_S).is_ok()).await;
    task.abort();
}

#[test]
fn authorities_have_to_be_certificates() {
    let config = |pem: &[u8]| {
        let keys = KeySource::parse("https://issuer.example/jwks").unwrap();
        let mut config = IssuerConfig::new(ISSUER, "sluice", keys);
        config.ca_pem = Some(pem.to_vec());
        config
    };
    let authority = rcgen::generate_simple_self_signed(["issuer.example".to_owned()])
        .unwrap()
        .cert
        .pem();
    assert!(Verifier::new(vec![config(authority.as_bytes())]).is_ok());
    for (name, pem) in [
        ("empty", &b""[..]),
        ("no PEM", b"hello"),
        (
            "rubbish in PEM",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let result = Verifier::new(vec![config(pem)]);
        assert!(
            matches!(result, Err(OidcConfigError::Tls { .. })),
            "{name}: {:?}",
            result.map(|_| ())
        );
    }
}
