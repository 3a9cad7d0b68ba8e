//! From an open socket to the first ReadyForQuery: TLS request, start-up packet, password.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use rustls::ClientConfig;

use super::link::Link;
use super::scram::{SaltedPasswords, Scram};
use crate::wire;

/// Bytes of a login's frames that may wait to become whole.
const LOGIN_BYTES_MAX: u32 = 64 << 10;

/// Who asks, for what, and how.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The database's name.
    pub database: String,
    /// The password, where one is asked for.
    pub password: String,
    /// TLS is demanded with this.
    pub tls: Option<Arc<ClientConfig>>,
    /// Keys derived from the password so far.
    pub salted: SaltedPasswords,
    /// Makes SCRAM's nonces differ.
    pub logins: u64,
}

/// How far a login is.
pub enum Login {
    /// The server is to say whether it speaks TLS.
    TlsAnswer,
    /// Frames are expected; those that are not whole yet are kept.
    Frames {
        /// Bytes of frames that are not whole.
        kept: Vec<u8>,
        /// The SASL conversation, once begun.
        scram: Option<Scram>,
    },
}

/// Whether a login has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    Going,
    /// The server is ready for queries.
    Done,
}

impl Login {
    /// Sends the first packet.
    pub fn begin(link: &mut Link, who: &Credentials) -> anyhow::Result<Self> {
        let mut out = Vec::new();
        if who.tls.is_some() {
            wire::ssl_request(&mut out);
            link.send(&out)?;
            return Ok(Self::TlsAnswer);
        }
        startup(&mut out, who);
        link.send(&out)?;
        Ok(Self::frames())
    }

    fn frames() -> Self {
        Self::Frames {
            kept: Vec::new(),
            scram: None,
        }
    }

    /// Takes what the server sent; `used` tells of what a finished login leaves.
    pub fn receive(
        &mut self,
        link: &mut Link,
        who: &mut Credentials,
        chunk: &[u8],
    ) -> anyhow::Result<Progress> {
        let (kept, scram) = match self {
            Self::TlsAnswer => {
                ensure!(chunk == b"S", "the server does not speak TLS");
                let config = who.tls.clone().context("TLS was asked for")?;
                link.start_tls(config)?;
                let mut out = Vec::new();
                startup(&mut out, who);
                link.send(&out)?;
                *self = Self::frames();
                return Ok(Progress::Going);
            }
            Self::Frames { kept, scram } => (kept, scram),
        };
        kept.extend_from_slice(chunk);
        ensure!(
            kept.len() <= LOGIN_BYTES_MAX as usize,
            "a login of more than {LOGIN_BYTES_MAX} bytes"
        );
        let mut at = 0;
        let mut progress = Progress::Going;
        while let Some(len) = wire::read_u32(&kept[at..], 1) {
            ensure!(
                (4..=LOGIN_BYTES_MAX).contains(&len),
                "a frame of {len} bytes in the login"
            );
            let Some(frame) = kept[at..].get(..1 + len as usize) else {
                break;
            };
            ensure!(
                progress == Progress::Going,
                "frames after the login that nobody asked for"
            );
            match frame[0] {
                b'R' => authenticate(link, who, scram, &frame[5..])?,
                b'S' | b'K' | b'N' | b'v' => {}
                b'Z' => progress = Progress::Done,
                b'E' => bail!("login refused: {}", wire::error_text(&frame[5..])),
                tag => bail!("frame {:?} in the login", char::from(tag)),
            }
            at += frame.len();
        }
        kept.drain(..at);
        Ok(progress)
    }
}

fn startup(out: &mut Vec<u8>, who: &Credentials) {
    let parameters = [
        ("user", &*who.user),
        ("database", &*who.database),
        ("application_name", "sluice-bench"),
    ];
    wire::startup(out, &parameters);
}

fn authenticate(
    link: &mut Link,
    who: &mut Credentials,
    scram: &mut Option<Scram>,
    body: &[u8],
) -> anyhow::Result<()> {
    let kind = wire::read_u32(body, 0).context("an authentication request without a kind")?;
    let rest = &body[4..];
    let mut out = Vec::new();
    match kind {
        0 => return Ok(()),
        3 => wire::frame(&mut out, b'p', |out| wire::text(out, who.password.as_bytes())),
        5 => {
            let salt = rest.first_chunk().copied().context("md5 without a salt")?;
            let hash = postgres_protocol::authentication::md5_hash(
                who.user.as_bytes(),
                who.password.as_bytes(),
                salt,
            );
            wire::frame(&mut out, b'p', |out| wire::text(out, hash.as_bytes()));
        }
        10 => {
            let offered = |name: &[u8]| rest.split(|&byte| byte == 0).any(|offer| offer == name);
            let binding = link.end_point().filter(|_| offered(b"SCRAM-SHA-256-PLUS"));
            who.logins += 1;
            let begun = scram.insert(Scram::new(&format!("sluicebench{:012}", who.logins), binding));
            let first = begun.first();
            wire::frame(&mut out, b'p', |out| {
                wire::text(out, begun.mechanism().as_bytes());
                wire::value(out, first.as_bytes());
            });
        }
        11 => {
            let scram = scram.as_mut().context("SCRAM continues before it began")?;
            let answer = scram.last(std::str::from_utf8(rest)?, &who.password, &mut who.salted)?;
            wire::frame(&mut out, b'p', |out| out.extend_from_slice(answer.as_bytes()));
        }
        12 => {
            let scram = scram.as_ref().context("SCRAM ends before it began")?;
            return scram.verify(std::str::from_utf8(rest)?);
        }
        other => bail!("authentication of kind {other} is not spoken here"),
    }
    Ok(link.send(&out)?)
}
