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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;
    use crate::tls;

    /// What a server shows: its chain and its key.
    struct Shown {
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        /// What the operator names as `ca`.
        pem: String,
    }

    fn params(name: &str) -> CertificateParams {
        CertificateParams::new(vec![name.to_owned()]).unwrap()
    }

    fn key() -> (KeyPair, PrivateKeyDer<'static>) {
        let pair = KeyPair::generate().unwrap();
        let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
        (pair, key)
    }

    fn signed(leaf: &CertificateParams) -> Shown {
        let mut authority = params("authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let (pair, key) = key();
        let leaf = leaf.signed_by(&pair, &authority).unwrap();
        Shown {
            chain: vec![leaf.der().clone()],
            key,
            pem: authority.pem(),
        }
    }

    /// As `openssl req -x509` makes it: its own authority.
    fn self_made(mut leaf: CertificateParams) -> Shown {
        leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (pair, key) = key();
        let leaf = leaf.self_signed(&pair).unwrap();
        Shown {
            chain: vec![leaf.der().clone()],
            key,
            pem: leaf.pem(),
        }
    }

    fn expired() -> CertificateParams {
        let mut leaf = params("db.internal");
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(2021, 1, 1);
        leaf
    }

    fn handshake(shown: &Shown, authorities: &str, verify: Verify, folder: &Path) -> Result<(), Error> {
        let file = folder.join("ca.pem");
        std::fs::write(&file, authorities).unwrap();
        let config = tls::client(verify, &file).unwrap();
        let name = ServerName::try_from("db.internal").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name)?;
        let server = tls::server(shown.chain.clone(), shown.key.clone_key()).unwrap();
        let mut server = ServerConnection::new(server.config)?;
        while client.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn certificates() {
        type Make = fn() -> Shown;
        let folder = tempfile::tempdir().unwrap();
        for (name, make, full, authority) in [
            ("signed", (|| signed(&params("db.internal"))) as Make, true, true),
            (
                "signed for another name",
                || signed(&params("other.internal")),
                false,
                true,
            ),
            ("signed and expired", || signed(&expired()), false, false),
            (
                "its own authority",
                || self_made(params("db.internal")),
                true,
                true,
            ),
            (
                "its own authority under another name",
                || self_made(params("other.internal")),
                false,
                true,
            ),
            (
                "its own authority and expired",
                || self_made(expired()),
                false,
                false,
            ),
        ] {
            for (verify, want) in [(Verify::Full, full), (Verify::Authority, authority)] {
                let shown = make();
                let got = handshake(&shown, &shown.pem, verify, folder.path());
                assert_eq!(got.is_ok(), want, "{name}, {verify:?}: {got:?}");
            }
            for verify in [Verify::Full, Verify::Authority] {
                let stranger = make().pem;
                assert!(
                    handshake(&make(), &stranger, verify, folder.path()).is_err(),
                    "{name}: a stranger's authority"
                );
            }
        }
    }
}
