//! A client's socket, with TLS or without, that never blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// A connected socket.
pub struct Link {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Bytes for the wire that the socket had no room for.
    unsent: Vec<u8>,
}

impl Link {
    /// Connects; on loopback this does not wait.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            tls: None,
            unsent: Vec::new(),
        })
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Begins a TLS handshake. What is sent before its end waits for it.
    pub fn start_tls(&mut self, config: Arc<ClientConfig>) -> anyhow::Result<()> {
        let name = ServerName::try_from("localhost")?;
        self.tls = Some(Box::new(ClientConnection::new(config, name)?));
        Ok(self.send(&[])?)
    }

    /// SHA-256 of the server's certificate, the channel binding `tls-server-end-point`.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let certificate = self.tls.as_ref()?.peer_certificates()?.first()?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        Some(hash.as_ref().to_vec())
    }

    /// Sends `bytes` now or as soon as there is room.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.write(bytes);
        };
        tls.writer().write_all(bytes)?;
        self.write_tls()
    }

    /// Says within TLS that nothing more will be sent, as libpq does.
    pub fn end_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        tls.send_close_notify();
        self.write_tls()
    }

    /// Sends what waits for room.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            Ok(())
        } else {
            self.write(&[])
        }
    }

    /// Gives all that has come to `take`; false when the server has closed.
    ///
    /// `closed` tells that the event that led here reported an end.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        closed: bool,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        loop {
            let count = match self.socket.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            };
            if self.tls.is_some() {
                self.decrypt(&buffer[..count], &mut take)?;
            } else {
                take(&buffer[..count])?;
            }
            if count < buffer.len() && !closed {
                return Ok(true);
            }
        }
    }

    fn decrypt(
        &mut self,
        mut sealed: &[u8],
        take: &mut impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let mut plain = [0; 16 << 10];
        while !sealed.is_empty() {
            tls.read_tls(&mut sealed)?;
            tls.process_new_packets()?;
            loop {
                match tls.reader().read(&mut plain) {
                    Ok(0) => break,
                    Ok(count) => take(&plain[..count])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if tls.wants_write() {
            Ok(self.write_tls()?)
        } else {
            Ok(())
        }
    }

    fn write_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        // Records go through memory only when some wait already; else straight to the socket.
        while tls.wants_write() {
            if self.unsent.is_empty() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            tls.write_tls(&mut self.unsent)?;
        }
        self.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            let sent = accepted(self.socket.write(bytes))?;
            self.unsent.extend_from_slice(&bytes[sent..]);
            return Ok(());
        }
        self.unsent.extend_from_slice(bytes);
        let sent = accepted(self.socket.write(&self.unsent))?;
        self.unsent.drain(..sent);
        Ok(())
    }
}

fn accepted(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
