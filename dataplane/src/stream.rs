//! A connection's bytes, plain or inside of TLS.
//!
//! Plain bytes are lent by the ring as they came. TLS bytes are opened into memory of the session's own, which is then
//! treated the same; handshake steps run on a helper thread, as they sign and verify.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use sluice_runtime::helpers::{HelperError, Helpers};
use sluice_runtime::net::{IoError, Outgoing, Received, Socket};
use sluice_runtime::task::Region;
use sluice_runtime::time::Instant;

use crate::tls::{Tls, TlsError};

/// What ends a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The peer went away in the middle of something.
    #[error("the connection was closed in the middle of a message")]
    Closed,
    #[error(transparent)]
    Helper(#[from] HelperError),
}

impl StreamError {
    /// Whether it only says that the peer went away.
    pub(crate) fn is_peer_gone(&self) -> bool {
        match self {
            Self::Io(error) => error.is_peer_gone(),
            Self::Closed => true,
            Self::Tls(_) | Self::Helper(_) => false,
        }
    }
}

/// A socket with or without TLS.
pub(crate) struct Stream {
    socket: Socket,
    tls: Option<Box<Tls>>,
    /// Plaintext that came with the end of the handshake.
    early: Vec<u8>,
}

impl Stream {
    pub(crate) fn plain(socket: Socket) -> Self {
        Self {
            socket,
            tls: None,
            early: Vec::new(),
        }
    }

    /// Does a TLS handshake, which began with `received`: what the peer sent of it already.
    pub(crate) async fn handshake(
        mut self,
        mut tls: Tls,
        helpers: &Helpers,
        received: Vec<u8>,
    ) -> Result<Self, StreamError> {
        let mut input = received;
        loop {
            let (stepped, opened, output, result) = helpers
                .run(move || {
                    let (mut opened, mut output) = (Vec::new(), Vec::new());
                    let result = tls.open(&input, &mut opened);
                    // An alert has to go out even when the step failed.
                    let result = match tls.take_ciphertext(&mut output) {
                        Ok(()) => result,
                        Err(error) => result.and(Err(error)),
                    };
                    (tls, opened, output, result)
                })
                .await?;
            tls = stepped;
            if !output.is_empty() {
                self.socket.send(output);
            }
            result?;
            self.early.extend_from_slice(&opened);
            if !tls.is_handshaking() {
                self.tls = Some(Box::new(tls));
                return Ok(self);
            }
            input = self.socket.receive().await?.ok_or(StreamError::Closed)?.to_vec();
        }
    }

    /// The next bytes, never empty; none when the peer has ended its side.
    pub(crate) fn poll_receive(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Result<Option<Received>, StreamError>> {
        let Some(tls) = &mut self.tls else {
            return self.socket.poll_receive(context).map_err(StreamError::from);
        };
        if !self.early.is_empty() {
            // The socket was not asked, so it would wake nobody.
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(Some(Received::from(std::mem::take(&mut self.early)))));
        }
        loop {
            if tls.is_closed_by_peer() {
                return Poll::Ready(Ok(None));
            }
            let Some(ciphertext) = ready!(self.socket.poll_receive(context))? else {
                return Poll::Ready(Ok(None));
            };
            let (mut plain, mut answer) = (Vec::with_capacity(ciphertext.len()), Vec::new());
            let opened = tls.open(&ciphertext, &mut plain);
            // An alert has to go out even when opening failed.
            let answered = tls.take_ciphertext(&mut answer);
            if !answer.is_empty() {
                self.socket.send(answer);
            }
            opened.and(answered)?;
            if !plain.is_empty() {
                return Poll::Ready(Ok(Some(Received::from(plain))));
            }
        }
    }

    /// Whether [`Self::poll_receive`] may be ready. If it is not, the task that polled last is woken when it is.
    pub(crate) fn is_readable(&self) -> bool {
        self.socket.is_readable()
            || !self.early.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.is_closed_by_peer())
    }

    /// As [`Self::poll_receive`].
    pub(crate) async fn receive(&mut self) -> Result<Option<Received>, StreamError> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// Queues everything, in order; inside of TLS as one piece.
    pub(crate) fn send_all(&mut self, pieces: &mut Vec<Outgoing>) -> Result<(), StreamError> {
        if pieces.is_empty() {
            return Ok(());
        }
        let Some(tls) = &mut self.tls else {
            for piece in pieces.drain(..) {
                self.socket.send(piece);
            }
            return Ok(());
        };
        let bytes: usize = pieces.iter().map(Outgoing::len).sum();
        let mut ciphertext = Vec::with_capacity(bytes + bytes / 8 + 64);
        for piece in pieces.drain(..) {
            tls.seal(piece.as_slice(), &mut ciphertext)?;
        }
        self.socket.send(ciphertext);
        Ok(())
    }

    /// Queues bytes of the gateway's own.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) -> Result<(), StreamError> {
        self.send_all(&mut vec![bytes.into()])
    }

    /// Where its state lies.
    pub(crate) fn region(&self) -> Region {
        self.socket.region()
    }

    /// Bytes that are queued.
    pub(crate) fn queued(&self) -> usize {
        self.socket.queued()
    }

    /// Ready when at most `below` bytes are queued, or sending failed.
    pub(crate) fn poll_drained(&self, context: &Context<'_>, below: usize) -> Poll<Result<(), StreamError>> {
        self.socket
            .poll_drained(context, below)
            .map_err(StreamError::from)
    }

    /// Closes it so that the peer gets what is queued, until the deadline.
    pub(crate) async fn finish(mut self, deadline: Instant) {
        if let Some(tls) = &mut self.tls {
            let mut ciphertext = Vec::new();
            if tls.close(&mut ciphertext).is_ok() {
                self.socket.send(ciphertext);
            }
        }
        self.socket.finish(deadline).await;
    }

    /// The TLS connection, if there is one.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }
}
