//! Reads an issuer's key set, from a file or by HTTP, with every size and time bounded.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Url, redirect};

use super::config::{IssuerConfig, KeySource, OidcConfigError};
use super::keys::{KeySet, KeySetError};

/// The largest key set that is read.
pub const KEY_SET_BYTES_MAX: usize = 1024 * 1024;
/// A whole exchange, the body included.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Name resolution, TCP and TLS.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Why an issuer's keys could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The server cannot be reached or does not answer in time.
    #[error("{url}: {what}")]
    Exchange {
        /// Which URL.
        url: String,
        /// What went wrong, with its causes.
        what: String,
    },
    /// The server answers something else than the key set. Redirects are not followed.
    #[error("{url}: the answer is status {status}, not 200")]
    Status {
        /// Which URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Larger than [`KEY_SET_BYTES_MAX`].
    #[error("{from}: more than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge {
        /// The URL or the file.
        from: String,
    },
    /// It was read and is of no use.
    #[error("{from}: {error}")]
    KeySet {
        /// The URL or the file.
        from: String,
        /// Why.
        error: KeySetError,
    },
}

/// Reads the keys of one issuer, again and again.
#[derive(Debug)]
pub(super) enum Fetcher {
    File(PathBuf),
    Url { url: Url, client: Client },
}

impl Fetcher {
    pub(super) fn new(config: &IssuerConfig) -> Result<Self, OidcConfigError> {
        let url = match &config.keys {
            KeySource::File(path) => return Ok(Self::File(path.clone())),
            KeySource::Url(url) => url.clone(),
        };
        let tls = |error: reqwest::Error| OidcConfigError::Tls {
            issuer: config.issuer.clone(),
            what: causes(&error),
        };
        let mut builder = Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            // A redirect could lead away from what was configured, to plain HTTP among others.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(EXCHANGE_TIME_MAX);
        if url.scheme() == "https" {
            builder = builder
                .https_only(true)
                .min_tls_version(reqwest::tls::Version::TLS_1_2);
            if let Some(pem) = &config.ca_pem {
                let authorities = Certificate::from_pem_bundle(pem).map_err(tls)?;
                if authorities.is_empty() {
                    let what = "the file holds no certificate in PEM".to_owned();
                    return Err(OidcConfigError::Tls {
                        issuer: config.issuer.clone(),
                        what,
                    });
                }
                builder = builder.tls_certs_only(authorities);
            }
        } else {
            // On this machine: no proxy may stand between, and no authority is needed.
            builder = builder.no_proxy().tls_certs_only([]);
        }
        let client = builder.build().map_err(tls)?;
        Ok(Self::Url { url, client })
    }

    /// The key set as it is now.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let (from, text) = match self {
            Self::File(path) => {
                let owned = path.clone();
                // The file may lie on a network.
                let read = tokio::task::spawn_blocking(move || read_file(&owned)).await;
                let text = match read {
                    Ok(text) => text?,
                    Err(error) => {
                        return Err(FetchError::File {
                            path: path.clone(),
                            error: std::io::Error::other(error),
                        });
                    }
                };
                (path.display().to_string(), text)
            }
            Self::Url { url, client } => (url.to_string(), get(client, url).await?),
        };
        KeySet::parse(&text).map_err(|error| FetchError::KeySet { from, error })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |error| FetchError::File {
        path: path.to_owned(),
        error,
    };
    let mut text = Vec::new();
    let limit = KEY_SET_BYTES_MAX as u64 + 1;
    std::fs::File::open(path)
        .map_err(failed)?
        .take(limit)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() > KEY_SET_BYTES_MAX {
        return Err(FetchError::TooLarge {
            from: path.display().to_string(),
        });
    }
    Ok(text)
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let failed = |error: reqwest::Error| FetchError::Exchange {
        url: url.to_string(),
        what: causes(&error.without_url()),
    };
    let mut response = client
        .get(url.clone())
        .header("accept", "application/json")
        .send()
        .await
        .map_err(failed)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status {
            url: url.to_string(),
            status: response.status().as_u16(),
        });
    }
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if text.len() + chunk.len() > KEY_SET_BYTES_MAX {
            return Err(FetchError::TooLarge {
                from: url.to_string(),
            });
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// An error with what caused it, in one line: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
