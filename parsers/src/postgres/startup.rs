//! The first packets of a connection, which have no type byte.
//!
//! Follows `ProcessStartupPacket` of the server's `postmaster.c`. Everything a start-up packet sets is given out as it
//! takes effect there, duplicates included: the packet is a SET and its caller judges it as one. `options` is split by
//! `options`.

pub mod options;

use super::error::ProtocolError;
use super::reader::Reader;
use super::writer;

/// The server's `MAX_STARTUP_PACKET_LENGTH`, without the length word.
pub const STARTUP_BODY_BYTES_MAX: usize = 10_000;

/// Protocol 3.0, the newest that is spoken.
pub const VERSION: u32 = 3 << 16;

/// A version that no protocol has marks a request.
const fn request(number: u32) -> u32 {
    (1234 << 16) + number
}

const SSL_REQUEST: u32 = request(5679);
const GSSENC_REQUEST: u32 = request(5680);
const CANCEL_REQUEST: u32 = request(5678);

/// Whether a first packet is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The packet, and the bytes of the buffer that it took.
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// Its length. Bytes behind a request for encryption are an attack (a man in the middle put them there in the
        /// clear): see [`Packet::refuse_bytes_behind`].
        used: usize,
    },
    /// Call again once the buffer holds at least `need` bytes.
    Incomplete {
        /// Bytes from the packet's start.
        need: usize,
    },
}

/// A first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Asks for TLS; answered `S` or `N`.
    SslRequest,
    /// Asks for GSSAPI encryption; answered `N`.
    GssEncRequest,
    /// Cancels the session of that key.
    CancelRequest(CancelKey),
    /// Begins a session.
    Startup(StartupMessage<'a>),
}

impl Packet<'_> {
    /// An error if bytes follow a request for encryption before it was answered.
    pub fn refuse_bytes_behind(&self, len: usize) -> Result<(), ProtocolError> {
        match self {
            Self::SslRequest | Self::GssEncRequest if len > 0 => {
                Err(ProtocolError::BytesBehindEncryptionRequest { len })
            }
            _ => Ok(()),
        }
    }
}

/// The requests for encryption that a connection may still make: each once, and none inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionRequests {
    tls: bool,
    gss: bool,
}

impl Default for EncryptionRequests {
    fn default() -> Self {
        Self { tls: true, gss: true }
    }
}

impl EncryptionRequests {
    /// Takes note of a packet; an error if it asks for encryption and may not.
    pub fn take(&mut self, packet: &Packet<'_>) -> Result<(), ProtocolError> {
        let (may_ask, request) = match packet {
            Packet::SslRequest => (&mut self.tls, "SSLRequest"),
            Packet::GssEncRequest => (&mut self.gss, "GSSENCRequest"),
            Packet::CancelRequest(_) | Packet::Startup(_) => return Ok(()),
        };
        if std::mem::replace(may_ask, false) {
            return Ok(());
        }
        Err(ProtocolError::EncryptionRequestedAgain { request })
    }

    /// What may still be asked for inside of TLS: nothing.
    pub fn inside_of_tls() -> Self {
        Self {
            tls: false,
            gss: false,
        }
    }
}

/// What `BackendKeyData` gave out and `CancelRequest` presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The server's process, or whatever stands for it.
    pub process: u32,
    /// The secret.
    pub secret: u32,
}

/// A start-up packet whose layout has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartupMessage<'a> {
    /// The minor version asked for; the major one is 3.
    pub minor: u16,
    /// Name and value, each with its zero byte, over and over.
    pairs: &'a [u8],
}

/// Reads a first packet from the start of what a connection sent.
pub fn parse(buf: &[u8]) -> Result<Parsed<'_>, ProtocolError> {
    let Some(word) = buf.first_chunk::<4>() else {
        return Ok(Parsed::Incomplete { need: 8 });
    };
    let len = u32::from_be_bytes(*word);
    let used = usize::try_from(len).unwrap_or(usize::MAX);
    if !(8..=STARTUP_BODY_BYTES_MAX + 4).contains(&used) {
        return Err(ProtocolError::StartupLength { len });
    }
    let Some(body) = buf.get(4..used) else {
        return Ok(Parsed::Incomplete { need: used });
    };
    let mut reader = Reader::new(body);
    let code = reader.u32()?;
    let packet = match code {
        SSL_REQUEST => {
            reader.finish()?;
            Packet::SslRequest
        }
        GSSENC_REQUEST => {
            reader.finish()?;
            Packet::GssEncRequest
        }
        CANCEL_REQUEST => {
            let key = CancelKey {
                process: reader.u32()?,
                secret: reader.u32()?,
            };
            reader.finish()?;
            Packet::CancelRequest(key)
        }
        code => {
            let [major, minor] = halves(code);
            if major != 3 {
                return Err(ProtocolError::Version { major, minor });
            }
            Packet::Startup(StartupMessage {
                minor,
                pairs: checked_pairs(reader.rest())?,
            })
        }
    };
    Ok(Parsed::Packet { packet, used })
}

/// The major and minor version.
fn halves(code: u32) -> [u16; 2] {
    let [a, b, c, d] = code.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// Pairs of strings and one zero byte as the last; an empty name stands nowhere else.
fn checked_pairs(body: &[u8]) -> Result<&[u8], ProtocolError> {
    let Some((0, pairs)) = body.split_last() else {
        return Err(ProtocolError::StartupLayout);
    };
    let mut reader = Reader::new(pairs);
    while !reader.rest().is_empty() {
        let pair = reader.string().and_then(|name| Ok((name, reader.string()?)));
        match pair {
            Ok((name, _)) if !name.is_empty() => {}
            _ => return Err(ProtocolError::StartupLayout),
        }
    }
    Ok(pairs)
}

/// One parameter of a start-up packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// As sent; never empty. Names of settings are case-insensitive in the server.
    pub name: &'a [u8],
    /// As sent.
    pub value: &'a [u8],
}

impl Parameter<'_> {
    /// Whether it is an option of the protocol (`_pq_.` ...) and no setting.
    pub fn is_protocol_option(&self) -> bool {
        self.name.starts_with(b"_pq_.")
    }

    /// Whether it names the session (`user`, `database`, `replication`, `options`) and is no setting. Compared exactly,
    /// as the server does; a different case is an unknown setting.
    pub fn is_reserved(&self) -> bool {
        matches!(self.name, b"user" | b"database" | b"replication" | b"options")
    }
}

impl<'a> StartupMessage<'a> {
    /// Every parameter in the order sent, duplicates included.
    pub fn parameters(&self) -> Parameters<'a> {
        Parameters {
            reader: Reader::new(self.pairs),
        }
    }

    /// The value that takes effect for a reserved name: the last one sent.
    pub fn last(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.parameters()
            .filter(|parameter| parameter.name == name)
            .last()
            .map(|parameter| parameter.value)
    }

    /// The login name; the server refuses an empty one.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.last(b"user").filter(|user| !user.is_empty())
    }

    /// The database; the server takes the login name where it is missing or empty.
    pub fn database(&self) -> Option<&'a [u8]> {
        self.last(b"database")
            .filter(|database| !database.is_empty())
            .or_else(|| self.user())
    }

    /// The command line to be split by [`options::split`].
    pub fn options(&self) -> Option<&'a [u8]> {
        self.last(b"options")
    }

    /// Whether the replication protocol is asked for. What the server would not understand counts as yes.
    pub fn asks_for_replication(&self) -> bool {
        self.parameters()
            .filter(|parameter| parameter.name == b"replication")
            .any(|parameter| !is_false(parameter.value))
    }

    /// Parameters that are settings, in the order sent, duplicates included: the server applies them in that order and
    /// after those of `options`.
    pub fn settings(&self) -> impl Iterator<Item = Parameter<'a>> {
        self.parameters()
            .filter(|parameter| !parameter.is_protocol_option() && !parameter.is_reserved())
    }

    /// Options of the protocol, none of which is known.
    pub fn protocol_options(&self) -> impl Iterator<Item = Parameter<'a>> {
        self.parameters().filter(Parameter::is_protocol_option)
    }

    /// Whether the client has to be told what is not supported, before authentication begins.
    pub fn needs_negotiation(&self) -> bool {
        self.minor > 0 || self.protocol_options().next().is_some()
    }

    /// Appends `NegotiateProtocolVersion`: version 3.0 and the options that are not known.
    pub fn negotiate(&self, out: &mut Vec<u8>) {
        writer::frame(out, b'v', |body| {
            body.extend_from_slice(&VERSION.to_be_bytes());
            let count = u32::try_from(self.protocol_options().count()).expect("a packet is short");
            body.extend_from_slice(&count.to_be_bytes());
            for option in self.protocol_options() {
                writer::string(body, option.name);
            }
        });
    }
}

/// The spellings of `false` of the server's `parse_bool`: unique prefixes in any case.
fn is_false(value: &[u8]) -> bool {
    let is = |word: &[u8], least: usize| {
        value.len() >= least
            && word
                .get(..value.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(value))
    };
    is(b"false", 1) || is(b"no", 1) || is(b"off", 2) || value == b"0"
}

/// Iterates over a start-up packet's parameters.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // The layout was checked, so an error is the end.
        let name = self.reader.string().ok()?;
        let value = self.reader.string().ok()?;
        Some(Parameter { name, value })
    }
}

/// Appends an `SSLRequest`.
pub fn ssl_request(out: &mut Vec<u8>) {
    writer::untyped(out, |body| body.extend_from_slice(&SSL_REQUEST.to_be_bytes()));
}

/// Appends a `CancelRequest`.
pub fn cancel_request(out: &mut Vec<u8>, key: CancelKey) {
    writer::untyped(out, |body| {
        body.extend_from_slice(&CANCEL_REQUEST.to_be_bytes());
        body.extend_from_slice(&key.process.to_be_bytes());
        body.extend_from_slice(&key.secret.to_be_bytes());
    });
}

/// Appends a `StartupMessage` of version 3.0. Send what was judged as parameters of its own rather than `options`, so
/// that the server has nothing to split.
pub fn startup_message<'a>(out: &mut Vec<u8>, parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
    writer::untyped(out, |body| {
        body.extend_from_slice(&VERSION.to_be_bytes());
        for (name, value) in parameters {
            writer::string(body, name);
            writer::string(body, value);
        }
        body.push(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        writer::untyped(&mut out, |out| {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(body);
        });
        out
    }

    #[test]
    fn first_packets() {
        let key = CancelKey {
            process: 7,
            secret: 0xdead_beef,
        };
        let whole = |packet| Ok(Parsed::Packet { packet, used: 8 });
        for (name, input, want) in [
            ("nothing", vec![], Ok(Parsed::Incomplete { need: 8 })),
            ("three bytes", vec![0, 0, 0], Ok(Parsed::Incomplete { need: 8 })),
            (
                "length alone",
                vec![0, 0, 0, 16],
                Ok(Parsed::Incomplete { need: 16 }),
            ),
            (
                "length 7",
                vec![0, 0, 0, 7],
                Err(ProtocolError::StartupLength { len: 7 }),
            ),
            (
                "longest",
                vec![0, 0, 0x27, 0x14],
                Ok(Parsed::Incomplete { need: 10_004 }),
            ),
            (
                "too long",
                vec![0, 0, 0x27, 0x15],
                Err(ProtocolError::StartupLength { len: 10_005 }),
            ),
            (
                "length negative",
                vec![0xff, 0xff, 0xff, 0xff],
                Err(ProtocolError::StartupLength { len: u32::MAX }),
            ),
            ("ssl", packet(SSL_REQUEST, b""), whole(Packet::SslRequest)),
            ("gss", packet(GSSENC_REQUEST, b""), whole(Packet::GssEncRequest)),
            (
                "ssl with a body",
                packet(SSL_REQUEST, b"x"),
                Err(ProtocolError::Trailing { left: 1 }),
            ),
            (
                "cancel",
                packet(CANCEL_REQUEST, b"\0\0\0\x07\xde\xad\xbe\xef"),
                Ok(Parsed::Packet {
                    packet: Packet::CancelRequest(key),
                    used: 16,
                }),
            ),
            (
                "cancel cut",
                packet(CANCEL_REQUEST, b"\0\0\0\x07"),
                Err(ProtocolError::Truncated { at: 8 }),
            ),
            (
                "version 2",
                packet(2 << 16, b"\0"),
                Err(ProtocolError::Version { major: 2, minor: 0 }),
            ),
            (
                "version 4",
                packet(4 << 16, b"\0"),
                Err(ProtocolError::Version { major: 4, minor: 0 }),
            ),
            (
                "HTTP",
                b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                Err(ProtocolError::StartupLength { len: 0x4745_5420 }),
            ),
            (
                "no terminator",
                packet(VERSION, b"user\0x\0"),
                Err(ProtocolError::StartupLayout),
            ),
            (
                "name without value",
                packet(VERSION, b"user\0\0"),
                Err(ProtocolError::StartupLayout),
            ),
            (
                "bytes behind the end",
                packet(VERSION, b"user\0x\0\0a\0b\0\0"),
                Err(ProtocolError::StartupLayout),
            ),
            ("no body", packet(VERSION, b""), Err(ProtocolError::StartupLayout)),
        ] {
            assert_eq!(parse(&input), want, "{name}");
        }
    }

    #[test]
    fn parameters_come_as_sent() {
        let wire = packet(
            (3 << 16) | 2,
            b"user\0a\0search_path\0x\0_pq_.y\x001\0user\0b\0search_path\0z\0options\0-c a=b\0\0",
        );
        let Ok(Parsed::Packet {
            packet: Packet::Startup(message),
            used,
        }) = parse(&wire)
        else {
            panic!("a start-up message");
        };
        assert_eq!(used, wire.len());
        assert_eq!(message.user(), Some(&b"b"[..]), "the last user counts");
        assert_eq!(
            message.database(),
            Some(&b"b"[..]),
            "the database defaults to the user"
        );
        assert_eq!(message.options(), Some(&b"-c a=b"[..]));
        let settings: Vec<_> = message.settings().map(|setting| setting.value).collect();
        assert_eq!(settings, [b"x", b"z"], "duplicates are kept in order");
        assert_eq!(message.parameters().count(), 6);
        assert!(message.needs_negotiation());
        let mut out = Vec::new();
        message.negotiate(&mut out);
        assert_eq!(out, b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.y\0");
    }

    #[test]
    fn replication_is_seen() {
        for (name, value, want) in [
            ("database", &b"database"[..], true),
            ("true", b"true", true),
            ("one", b"1", true),
            ("not understood", b"maybe", true),
            ("empty", b"", true),
            ("false", b"FALSE", false),
            ("prefix of false", b"f", false),
            ("off", b"off", false),
            ("prefix of off and on", b"o", true),
            ("zero", b"0", false),
        ] {
            let mut wire = Vec::new();
            startup_message(&mut wire, [(&b"user"[..], &b"x"[..]), (b"replication", value)]);
            let Ok(Parsed::Packet {
                packet: Packet::Startup(message),
                ..
            }) = parse(&wire)
            else {
                panic!("{name}");
            };
            assert_eq!(message.asks_for_replication(), want, "{name}");
        }
    }

    #[test]
    fn every_prefix_asks_for_more() {
        let mut wire = Vec::new();
        startup_message(&mut wire, [(&b"user"[..], &b"x"[..]), (b"database", b"orders")]);
        for cut in 0..wire.len() {
            let Ok(Parsed::Incomplete { need }) = parse(&wire[..cut]) else {
                panic!("cut at {cut}")
            };
            assert!(need > cut && need <= wire.len(), "cut at {cut}");
        }
        assert!(matches!(parse(&wire), Ok(Parsed::Packet { .. })));
    }

    #[test]
    fn encryption_is_asked_for_once_and_not_inside_of_tls() {
        use Packet::{GssEncRequest, SslRequest};
        let (fresh, inside) = (EncryptionRequests::default(), EncryptionRequests::inside_of_tls());
        let again = |request| Err(ProtocolError::EncryptionRequestedAgain { request });
        let cancel = Packet::CancelRequest(CancelKey {
            process: 7,
            secret: 8,
        });
        for (name, mut requests, packets, want) in [
            ("TLS", fresh, vec![SslRequest], Ok(())),
            ("GSS", fresh, vec![GssEncRequest], Ok(())),
            ("TLS, then GSS", fresh, vec![SslRequest, GssEncRequest], Ok(())),
            ("GSS, then TLS", fresh, vec![GssEncRequest, SslRequest], Ok(())),
            ("a cancel", inside, vec![cancel, cancel], Ok(())),
            (
                "TLS twice",
                fresh,
                vec![SslRequest, SslRequest],
                again("SSLRequest"),
            ),
            (
                "GSS twice",
                fresh,
                vec![GssEncRequest, SslRequest, GssEncRequest],
                again("GSSENCRequest"),
            ),
            ("TLS inside of TLS", inside, vec![SslRequest], again("SSLRequest")),
            (
                "GSS inside of TLS",
                inside,
                vec![GssEncRequest],
                again("GSSENCRequest"),
            ),
        ] {
            let taken = packets.iter().try_for_each(|packet| requests.take(packet));
            assert_eq!(taken, want, "{name}");
        }
    }

    #[test]
    fn bytes_behind_a_request_for_encryption() {
        assert!(Packet::SslRequest.refuse_bytes_behind(0).is_ok());
        assert_eq!(
            Packet::SslRequest.refuse_bytes_behind(3),
            Err(ProtocolError::BytesBehindEncryptionRequest { len: 3 })
        );
    }
}
