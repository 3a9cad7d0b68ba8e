//! TLS records on our own I/O: ciphertext in, plaintext out, and back; 1.2 and 1.3 only.
//!
//! [`Tls`] has no socket. The session feeds it what the ring received and sends what it seals. The handshake signs and
//! verifies, which takes longer than a core may be held, so [`Tls`] is `Send` and its handshake steps run on a helper
//! thread (see `stream`); records of an established connection are opened and sealed on the core.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

/// Plaintext is taken from rustls in pieces of this size: one TLS record.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What went wrong on a TLS connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TlsError {
    /// The peer broke the protocol, or its certificate is not to be trusted.
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
    /// rustls refused more ciphertext although all plaintext was taken.
    #[error("TLS: {0}")]
    Buffer(#[from] io::Error),
}

/// One TLS connection, either role.
pub(crate) struct Tls {
    connection: Connection,
    closed_by_peer: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("handshaking", &self.is_handshaking())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// The listener's side.
    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        Ok(Self::new(ServerConnection::new(config)?.into()))
    }

    /// The side towards a server that must prove to be `name`.
    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsError> {
        Ok(Self::new(ClientConnection::new(config, name)?.into()))
    }

    fn new(mut connection: Connection) -> Self {
        // What is sealed is taken at once, and backpressure is the session's, so rustls need not bound it.
        connection.set_buffer_limit(None);
        Self {
            connection,
            closed_by_peer: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer said `close_notify`: what follows is not part of the stream.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    /// The peer's end-entity certificate, DER, once the handshake is through.
    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        self.connection.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// Protocol version and cipher suite, as in `TLSv1_3 TLS13_AES_256_GCM_SHA384`, for the record.
    pub(crate) fn description(&self) -> String {
        let version = self
            .connection
            .protocol_version()
            .and_then(|v| v.as_str())
            .unwrap_or("TLS");
        let suite = self
            .connection
            .negotiated_cipher_suite()
            .and_then(|s| s.suite().as_str())
            .unwrap_or("-");
        format!("{version} {suite}")
    }

    /// Opens received `ciphertext`, appending plaintext to `plain`. Follow with [`Self::take_ciphertext`]: a handshake
    /// step, an alert or a key update has an answer.
    pub(crate) fn open(&mut self, mut ciphertext: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsError> {
        while !ciphertext.is_empty() {
            let used = self.connection.read_tls(&mut ciphertext)?;
            let state = self.connection.process_new_packets()?;
            self.closed_by_peer |= state.peer_has_closed();
            self.take_plaintext(state.plaintext_bytes_to_read(), plain)?;
            if used == 0 {
                break;
            }
        }
        Ok(())
    }

    fn take_plaintext(&mut self, bytes: usize, plain: &mut Vec<u8>) -> Result<(), TlsError> {
        if bytes == 0 {
            return Ok(());
        }
        let before = plain.len();
        plain.resize(before + bytes, 0);
        self.connection.reader().read_exact(&mut plain[before..])?;
        Ok(())
    }

    /// Seals `plain`, appending records to `ciphertext`.
    pub(crate) fn seal(&mut self, plain: &[u8], ciphertext: &mut Vec<u8>) -> Result<(), TlsError> {
        for piece in plain.chunks(RECORD_BYTES_MAX) {
            self.connection.writer().write_all(piece)?;
        }
        self.take_ciphertext(ciphertext)
    }

    /// Appends what the connection itself wants sent.
    pub(crate) fn take_ciphertext(&mut self, ciphertext: &mut Vec<u8>) -> Result<(), TlsError> {
        while self.connection.wants_write() {
            self.connection.write_tls(ciphertext)?;
        }
        Ok(())
    }

    /// Says `close_notify`.
    pub(crate) fn close(&mut self, ciphertext: &mut Vec<u8>) -> Result<(), TlsError> {
        self.connection.send_close_notify();
        self.take_ciphertext(ciphertext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Tls, Tls) {
        let key = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let certificate = key.cert.der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
            )
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (
            Tls::client(Arc::new(client), ServerName::try_from("gateway.test").unwrap()).unwrap(),
            Tls::server(Arc::new(server)).unwrap(),
        )
    }

    /// Moves what `from` wants sent to `to`, `size` bytes at a time.
    fn carry(from: &mut Tls, to: &mut Tls, size: usize, plain: &mut Vec<u8>) -> usize {
        let mut wire = Vec::new();
        from.take_ciphertext(&mut wire).unwrap();
        for piece in wire.chunks(size) {
            to.open(piece, plain).unwrap();
        }
        wire.len()
    }

    #[test]
    fn handshake_and_data_in_pieces_of_every_size_class() {
        for size in [1, 2, 5, 6, 100, 4096, 1 << 20] {
            let (mut client, mut server) = pair();
            let mut plain = Vec::new();
            while carry(&mut client, &mut server, size, &mut plain)
                + carry(&mut server, &mut client, size, &mut plain)
                > 0
            {}
            assert!(
                !client.is_handshaking() && !server.is_handshaking(),
                "pieces of {size}"
            );
            assert!(plain.is_empty());
            let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
            let mut wire = Vec::new();
            server.seal(&sent, &mut wire).unwrap();
            for piece in wire.chunks(size) {
                client.open(piece, &mut plain).unwrap();
            }
            assert_eq!(plain, sent, "pieces of {size}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let (_, mut server) = pair();
        assert!(
            server
                .open(&[0x16, 9, 9, 0xff, 0xff, 1, 2, 3, 4, 5], &mut Vec::new())
                .is_err()
        );
    }
}
