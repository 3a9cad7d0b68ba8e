//! Messages one at a time, for the two logins: a client's at the listener, and the gateway's at the server.

use sluice_parsers::postgres::frame::HEADER_BYTES;
use sluice_parsers::postgres::{Deframer, Frame, Piece, ProtocolError, Take};
use sluice_runtime::net::Received;
use zeroize::Zeroizing;

use crate::stream::{Stream, StreamError};

/// Why a login gets no further message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The peer ended its side between two messages.
    #[error("the connection was closed")]
    Closed,
}

/// A whole message; wiped when dropped, as it may hold a password.
pub(crate) struct Message(Zeroizing<Vec<u8>>);

impl Message {
    pub(crate) fn tag(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.0.get(HEADER_BYTES..).unwrap_or_default()
    }
}

/// Reads messages from a stream and keeps what came behind them.
pub(crate) struct Messages {
    deframer: Deframer,
    chunk: Received,
    at: usize,
}

impl Messages {
    /// `received` is what came already and was not read.
    pub(crate) fn new(received: Vec<u8>) -> Self {
        Self {
            deframer: Deframer::new(),
            chunk: Received::from(received),
            at: 0,
        }
    }

    /// The next message; a longer one than `limit` is an error. No byte is lost if it is dropped while it waits.
    pub(crate) async fn next(&mut self, stream: &mut Stream, limit: u32) -> Result<Message, WireError> {
        loop {
            match self
                .deframer
                .next(&self.chunk, &mut self.at, |_| Take::Whole { limit })?
            {
                Piece::Frame { start, end } => {
                    let bytes = self.chunk.get(start..end).unwrap_or_default().to_vec();
                    Frame::from_bytes(&bytes)?;
                    return Ok(Message(Zeroizing::new(bytes)));
                }
                Piece::Gathered => {
                    let bytes = self.deframer.gathered().to_vec();
                    self.deframer.wipe();
                    return Ok(Message(Zeroizing::new(bytes)));
                }
                Piece::NeedMore => {}
                // Nothing is taken in parts.
                Piece::Head { .. } | Piece::Part { .. } => return Err(WireError::Closed),
            }
            // Nothing is read twice, should the wait be given up.
            self.at = 0;
            self.chunk = Received::from(Vec::new());
            self.chunk = match stream.receive().await? {
                Some(chunk) => chunk,
                None if self.deframer.is_clear() => return Err(WireError::Closed),
                None => return Err(StreamError::Closed.into()),
            };
        }
    }

    /// The reader's place in the stream, for who reads on.
    pub(crate) fn into_parts(mut self) -> (Deframer, Option<Received>) {
        let rest = self.chunk.split_off(self.at.min(self.chunk.len()));
        (self.deframer, (!rest.is_empty()).then_some(rest))
    }
}
