//! Certificates, keys and authorities out of PEM files, and what rustls makes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sluice_dataplane::settings::{ServerTls, Verify};
use sluice_dataplane::tls_server_end_point;

use self::verifier::PinnedOrChained;

mod verifier;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFileError {
    /// A file cannot be read, or is not what it should be.
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: PemProblem },
    /// Both can be read and do not fit.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// rustls refuses them for another reason.
    #[error("{0}")]
    Refused(rustls::Error),
}

/// What is wrong with a PEM file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemProblem {
    /// It cannot be opened or read.
    #[error("{0}")]
    Read(std::io::Error),
    /// It has no such item.
    #[error("there is no {0} in it")]
    Missing(&'static str),
    /// It is not PEM.
    #[error("it is not PEM: {0}")]
    Syntax(String),
    /// The certificate is not one.
    #[error("{0}")]
    Content(rustls::Error),
}

/// Where Debian and its relatives, Fedora and its, and Alpine keep the system's authorities.
const SYSTEM_AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The system's bundle of authorities, if it is where systems have it.
pub(crate) fn system_authorities() -> Option<PathBuf> {
    SYSTEM_AUTHORITIES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// A certificate with its chain.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    certificates(path).map_err(|cause| TlsFileError::File {
        path: path.to_owned(),
        cause,
    })
}

/// A private key without a passphrase.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    private_key(path).map_err(|cause| TlsFileError::File {
        path: path.to_owned(),
        cause,
    })
}

/// A listener's certificate and key, ready for handshakes.
pub(crate) fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerTls, TlsFileError> {
    let end_point = chain.first().and_then(|leaf| tls_server_end_point(leaf));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsFileError::Refused)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsFileError::Mismatch,
            other => TlsFileError::Refused(other),
        })?;
    // A client that skips SSLRequest (libpq's sslnegotiation=direct) insists on it; others do not mention it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(ServerTls {
        config: Arc::new(config),
        end_point,
    })
}

/// The TLS towards a server whose authorities are in that file.
pub(crate) fn client(verify: Verify, authorities: &Path) -> Result<ClientConfig, TlsFileError> {
    let failed = |cause| TlsFileError::File {
        path: authorities.to_owned(),
        cause,
    };
    let pinned = certificates(authorities).map_err(failed)?;
    let mut roots = RootCertStore::empty();
    // A system's bundle may have an oddity among its hundred; a bundle of which nothing can be used is a mistake.
    let (usable, _) = roots.add_parsable_certificates(pinned.iter().cloned());
    if usable == 0 {
        return Err(failed(PemProblem::Missing("usable certificate")));
    }
    let provider = provider();
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|_| failed(PemProblem::Missing("usable certificate")))?;
    let verifier = PinnedOrChained {
        verify,
        chain,
        pinned,
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsFileError::Refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// A file of authorities as it is, once it is known to be one.
pub(crate) fn read_authorities(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let failed = |cause| TlsFileError::File {
        path: path.to_owned(),
        cause,
    };
    certificates(path).map_err(failed)?;
    std::fs::read(path).map_err(|error| failed(PemProblem::Read(error)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemProblem> {
    let bytes = std::fs::read(path).map_err(PemProblem::Read)?;
    let chain = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| PemProblem::Syntax(error.to_string()))?;
    if chain.is_empty() {
        return Err(PemProblem::Missing("certificate"));
    }
    for certificate in &chain {
        rustls::server::ParsedCertificate::try_from(certificate).map_err(PemProblem::Content)?;
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemProblem> {
    let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(PemProblem::Read)?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => PemProblem::Missing("private key"),
        other => PemProblem::Syntax(other.to_string()),
    })
}
