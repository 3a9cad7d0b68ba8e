//! How a server's certificate is verified: by the chain, or by being the very certificate that was pinned.
//!
//! The first is webpki's. The second is for the servers that made their own certificate, as `openssl req -x509` and
//! Debian's PostgreSQL do: such a leaf claims to be an authority, which webpki refuses in a leaf, although the
//! operator wrote down this certificate byte for byte. `verify-ca` leaves out the name and nothing else.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use sluice_dataplane::settings::Verify;

/// Verifies the chain up to the configured authorities, and the name where it is asked for.
#[derive(Debug)]
pub(super) struct PinnedOrChained {
    pub(super) verify: Verify,
    pub(super) chain: Arc<WebPkiServerVerifier>,
    pub(super) pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for PinnedOrChained {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match (verified, self.verify) {
            (Err(error), Verify::Full) if self.is_pinned_authority(&error, end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            (Err(error), Verify::Authority)
                if is_about_the_name(&error) || self.is_pinned_authority(&error, end_entity) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            (verified, _) => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl PinnedOrChained {
    /// Whether the only objection is that the leaf is an authority, and it is one of those configured.
    ///
    /// webpki checks the validity period before that, so an expired one does not come here.
    fn is_pinned_authority(&self, error: &Error, end_entity: &CertificateDer<'_>) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
            return false;
        };
        cause.to_string() == "CaUsedAsEndEntity" && self.pinned.contains(end_entity)
    }
}

/// webpki compares the name last, when the chain is already proved.
fn is_about_the_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}
