//! Which issuers are believed, and in what.

use std::net::IpAddr;
use std::path::PathBuf;

use super::algorithm::Algorithm;

/// The largest difference of clocks that may be configured.
pub const LEEWAY_S_MAX: u64 = 300;
/// The longest prefix of an issuer's groups.
pub const GROUP_PREFIX_BYTES_MAX: usize = 64;
const LEEWAY_S_DEFAULT: u64 = 30;

/// Where an issuer's keys are read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// A file that somebody keeps up to date.
    File(PathBuf),
    /// The issuer's `jwks_uri`. By TLS, or on this machine.
    Url(reqwest::Url),
}

impl KeySource {
    /// `https://...`, `http://` on a loopback address, or the path of a file.
    pub fn parse(text: &str) -> Result<Self, OidcConfigError> {
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let refuse = |what| OidcConfigError::KeySource {
            source_text: text.to_owned(),
            what,
        };
        let url = reqwest::Url::parse(text).map_err(|_| refuse("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it holds credentials"));
        }
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => Ok(Self::Url(url)),
            ("http", Some(host)) if is_loopback(host) => Ok(Self::Url(url)),
            ("http", _) => Err(refuse(
                "who can change what travels without TLS could add a key; use https",
            )),
            _ => Err(refuse("use https, or the path of a file")),
        }
    }
}

/// Whether a URL's host is this machine, whatever a resolver says.
fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One issuer.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The `iss` claim, compared byte for byte.
    pub issuer: String,
    /// One of these has to be in `aud`.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
    /// The algorithms that it may sign with; none named means all that there are.
    pub algorithms: Vec<Algorithm>,
    /// The claim with the groups: its name, or a path with dots (`realm_access.roles`). `None`: no groups.
    pub groups_claim: Option<String>,
    /// What this issuer's groups are prefixed with in policies, so that no other issuer can give them.
    pub group_prefix: String,
    /// How far the issuer's clock and this one may differ.
    pub leeway_s: u64,
    /// The authorities for `keys` by https, in PEM; `None`: the system's.
    pub ca_pem: Option<Vec<u8>>,
}

impl IssuerConfig {
    /// An issuer with one audience and groups from the claim `groups`.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: KeySource) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            keys,
            algorithms: Vec::new(),
            groups_claim: Some("groups".to_owned()),
            group_prefix: String::new(),
            leeway_s: LEEWAY_S_DEFAULT,
            ca_pem: None,
        }
    }

    pub(super) fn permits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_empty() || self.algorithms.contains(&algorithm)
    }
}

/// What cannot be configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidcConfigError {
    /// A place for keys that cannot be trusted or understood.
    #[error("keys cannot be read from {source_text:?}: {what}")]
    KeySource {
        /// As configured.
        source_text: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An issuer that is empty, holds `#` or is the name of the gateway's own identities.
    #[error("{issuer:?} cannot be an issuer: it is empty, \"local\" or holds a `#`")]
    Issuer {
        /// The name.
        issuer: String,
    },
    /// The same issuer twice.
    #[error("issuer {issuer:?} is configured twice")]
    IssuerTwice {
        /// The name.
        issuer: String,
    },
    /// Without an audience a token for anybody would be taken.
    #[error("issuer {issuer:?} has no audience, or an empty one: tokens meant for others would be taken")]
    NoAudience {
        /// The issuer.
        issuer: String,
    },
    /// A leeway that would outlive tokens.
    #[error("issuer {issuer:?} has a leeway of {leeway_s} s, more than {LEEWAY_S_MAX}")]
    Leeway {
        /// The issuer.
        issuer: String,
        /// As configured.
        leeway_s: u64,
    },
    /// A claim path with an empty name in it.
    #[error("issuer {issuer:?} has the groups claim {claim:?}, which is no path")]
    GroupsClaim {
        /// The issuer.
        issuer: String,
        /// As configured.
        claim: String,
    },
    /// A prefix that is too long.
    #[error("issuer {issuer:?} has a group prefix longer than {GROUP_PREFIX_BYTES_MAX} bytes")]
    GroupPrefix {
        /// The issuer.
        issuer: String,
    },
    /// One issuer could give the other's groups.
    #[error(
        "issuer {issuer:?} could give the groups of {other:?}: with several issuers each needs a `group_prefix` \
         (such as \"okta:\"), and none may begin with another's"
    )]
    GroupPrefixes {
        /// One issuer.
        issuer: String,
        /// The other.
        other: String,
    },
    /// The authorities are not PEM certificates, or TLS cannot be set up.
    #[error("issuer {issuer:?}: TLS cannot be set up: {what}")]
    Tls {
        /// The issuer.
        issuer: String,
        /// What the TLS library says.
        what: String,
    },
}

/// Refuses what would weaken the verification.
pub(super) fn check(issuers: &[IssuerConfig]) -> Result<(), OidcConfigError> {
    for (index, config) in issuers.iter().enumerate() {
        let issuer = config.issuer.clone();
        if issuer.is_empty() || issuer.contains('#') || issuer == sluice_policy::identity::LOCAL_ISSUER {
            return Err(OidcConfigError::Issuer { issuer });
        }
        if config.audiences.is_empty() || config.audiences.iter().any(String::is_empty) {
            return Err(OidcConfigError::NoAudience { issuer });
        }
        if config.leeway_s > LEEWAY_S_MAX {
            return Err(OidcConfigError::Leeway {
                issuer,
                leeway_s: config.leeway_s,
            });
        }
        if config.group_prefix.len() > GROUP_PREFIX_BYTES_MAX {
            return Err(OidcConfigError::GroupPrefix { issuer });
        }
        if let Some(claim) = &config.groups_claim
            && claim.split('.').any(str::is_empty)
        {
            return Err(OidcConfigError::GroupsClaim {
                issuer,
                claim: claim.clone(),
            });
        }
        for other in &issuers[..index] {
            if other.issuer == issuer {
                return Err(OidcConfigError::IssuerTwice { issuer });
            }
            let gives = config.groups_claim.is_some() && other.groups_claim.is_some();
            let (ours, theirs) = (config.group_prefix.as_str(), other.group_prefix.as_str());
            if gives && (ours.starts_with(theirs) || theirs.starts_with(ours)) {
                return Err(OidcConfigError::GroupPrefixes {
                    issuer,
                    other: other.issuer.clone(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_from_a_file_or_from_this_machine() {
        for (name, text, good) in [
            ("https", "https://issuer.example/jwks", true),
            ("file", "/etc/sluice/jwks.json", true),
            ("relative file", "jwks.json", true),
            ("loopback", "http://127.0.0.1:4000/jwks", true),
            ("loopback name", "http://localhost:4000/jwks", true),
            ("loopback of IPv6", "http://[::1]:4000/jwks", true),
            ("http", "http://issuer.example/jwks", false),
            (
                "a name that looks like an address",
                "http://127.0.0.1.example/jwks",
                false,
            ),
            (
                "a name that begins like localhost",
                "http://localhost.example/jwks",
                false,
            ),
            ("all addresses", "http://0.0.0.0/jwks", false),
            ("user", "https://user@issuer.example/jwks", false),
            (
                "user that looks like a host",
                "http://127.0.0.1@issuer.example/jwks",
                false,
            ),
            ("other scheme", "ftp://issuer.example/jwks", false),
            ("file scheme", "file:///etc/jwks.json", false),
            ("no host", "https://", false),
        ] {
            assert_eq!(KeySource::parse(text).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn weak_configurations_are_refused() {
        let issuer = |name: &str, prefix: &str| {
            let mut config = IssuerConfig::new(name, "gateway", KeySource::File("jwks.json".into()));
            config.group_prefix = prefix.to_owned();
            config
        };
        let with = |change: fn(&mut IssuerConfig)| {
            let mut config = issuer("https://a.example", "");
            change(&mut config);
            vec![config]
        };
        for (name, configs, good) in [
            ("one", vec![issuer("https://a.example", "")], true),
            ("none at all", Vec::new(), true),
            (
                "two with prefixes",
                vec![
                    issuer("https://a.example", "a:"),
                    issuer("https://b.example", "b:"),
                ],
                true,
            ),
            (
                "two without",
                vec![issuer("https://a.example", ""), issuer("https://b.example", "")],
                false,
            ),
            (
                "one without",
                vec![issuer("https://a.example", ""), issuer("https://b.example", "b:")],
                false,
            ),
            (
                "one begins with the other's",
                vec![
                    issuer("https://a.example", "a:"),
                    issuer("https://b.example", "a:b"),
                ],
                false,
            ),
            (
                "twice",
                vec![
                    issuer("https://a.example", "a:"),
                    issuer("https://a.example", "b:"),
                ],
                false,
            ),
            ("local", vec![issuer("local", "")], false),
            ("empty", vec![issuer("", "")], false),
            ("fragment", vec![issuer("https://a.example#b", "")], false),
            ("no audience", with(|config| config.audiences.clear()), false),
            (
                "empty audience",
                with(|config| config.audiences.push(String::new())),
                false,
            ),
            ("an hour of leeway", with(|config| config.leeway_s = 3600), false),
            (
                "empty part of a path",
                with(|config| config.groups_claim = Some("a..b".into())),
                false,
            ),
            ("no groups", with(|config| config.groups_claim = None), true),
        ] {
            assert_eq!(check(&configs).is_ok(), good, "{name}: {:?}", check(&configs));
        }
    }
}
