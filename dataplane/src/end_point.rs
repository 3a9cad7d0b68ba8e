//! The channel binding `tls-server-end-point` of a certificate (RFC 5929, section 4.1).
//!
//! The hash of the DER certificate with its signature's own hash function, SHA-256 in place of MD5 and SHA-1. Both
//! sides need it: a listener's own certificate when it is loaded, a server's after the handshake. Only the signature
//! algorithm is read; whether the certificate is any good is rustls's question.

use aws_lc_rs::digest;

/// The binding's bytes, or `None` where the signature algorithm names no hash (Ed25519) or the DER cannot be read.
pub fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of_signature(certificate)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, .. }
fn hash_of_signature(certificate: &[u8]) -> Option<&'static digest::Algorithm> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    match oid {
        // RSASSA-PSS carries its hash in the parameters.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => hash_of_pss(parameters),
        // md5, sha1, sha256, sha384, sha512 WithRSAEncryption (1.2.840.113549.1.1.x).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => match last {
            0x04 | 0x05 | 0x0b => Some(&digest::SHA256),
            0x0c => Some(&digest::SHA384),
            0x0d => Some(&digest::SHA512),
            _ => None,
        },
        // ecdsa-with-SHA1 (1.2.840.10045.4.1) and with SHA256, SHA384, SHA512 (1.2.840.10045.4.3.x).
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Some(&digest::SHA256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last] => match last {
            0x02 => Some(&digest::SHA256),
            0x03 => Some(&digest::SHA384),
            0x04 => Some(&digest::SHA512),
            _ => None,
        },
        _ => None,
    }
}

// RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm SEQUENCE { OID, .. } DEFAULT sha1, .. }
fn hash_of_pss(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((tagged, _)) = element(parameters, 0xa0) else {
        return Some(&digest::SHA256);
    };
    let (algorithm, _) = element(tagged, SEQUENCE)?;
    let (oid, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    match oid {
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last] => match last {
            0x01 => Some(&digest::SHA256),
            0x02 => Some(&digest::SHA384),
            0x03 => Some(&digest::SHA512),
            _ => None,
        },
        _ => None,
    }
}

/// Cuts one DER element with that tag off the front: its content and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&len, rest) = rest.split_first()?;
            (usize::from(len), rest)
        }
        0x82 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        0x83 => {
            let (&[a, b, c], rest) = rest.split_first_chunk::<3>()?;
            (usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's outer shape around one signature algorithm.
    fn shaped(algorithm: &[u8]) -> Vec<u8> {
        let body = [
            &[0x30, 0x00, 0x30, u8::try_from(algorithm.len()).unwrap()],
            algorithm,
        ]
        .concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    }

    #[test]
    fn the_hash_follows_the_signature() {
        let rsa = |last| {
            vec![
                0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last, 0x05, 0x00,
            ]
        };
        let ecdsa = |last| vec![0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last];
        let pss_sha512 = [
            &rsa(0x0a)[..11],
            &[
                0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                0x03,
            ],
        ]
        .concat();
        for (name, algorithm, want) in [
            ("md5 becomes SHA-256", rsa(0x04), Some(32)),
            ("SHA-1 becomes SHA-256", rsa(0x05), Some(32)),
            ("RSA SHA-256", rsa(0x0b), Some(32)),
            ("RSA SHA-384", rsa(0x0c), Some(48)),
            ("RSA SHA-512", rsa(0x0d), Some(64)),
            ("PSS SHA-512", pss_sha512, Some(64)),
            ("ECDSA SHA-256", ecdsa(0x02), Some(32)),
            ("ECDSA SHA-384", ecdsa(0x03), Some(48)),
            ("ECDSA SHA-512", ecdsa(0x04), Some(64)),
            ("Ed25519", vec![0x06, 3, 0x2b, 0x65, 0x70], None),
        ] {
            let certificate = shaped(&algorithm);
            assert_eq!(
                tls_server_end_point(&certificate).map(|hash| hash.len()),
                want,
                "{name}"
            );
        }
    }

    #[test]
    fn cut_certificates_give_none() {
        let whole = shaped(&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
        for len in 0..whole.len() {
            assert_eq!(tls_server_end_point(&whole[..len]), None, "{len} bytes");
        }
    }
}
