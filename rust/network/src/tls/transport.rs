//! rustls on another transport. Handshake, key updates and alerts happen while the connection is driven; nobody waits for them.

use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig, ServerConnection};

use super::failure::Failure;
use super::{Negotiated, Session};
use crate::log::{self, Level};
use crate::transport::Transport;

/// A read of encrypted bytes. rustls by itself would read 4 KiB at a time, a quarter of a record.
const READ: usize = 64 << 10;

/// What is encrypted before it is written, in bytes: eight records, which go in one system call.
const PIECE: usize = 128 << 10;

/// How much of the peer's beginning is kept until the handshake is over, to tell what it speaks.
const FIRST: usize = 3;

/// TLS, in either role.
pub(crate) struct TlsTransport {
    inner: Box<dyn Transport>,
    connection: Connection,
    session: Arc<Session>,
    peer: SocketAddr,
    /// Encrypted bytes that rustls has not seen: from `at` on.
    raw: Vec<u8>,
    at: usize,
    /// Decrypted bytes that rustls holds.
    plain: usize,
    /// Bytes that were encrypted since nothing was left over, less those that have left. Encryption adds some: an estimate.
    unsent: usize,
    first: Vec<u8>,
    /// Nothing more comes: the association needs no more than the end of the stream, whichever way it comes.
    over: bool,
    /// Nothing more can be written.
    broken: bool,
}

impl TlsTransport {
    /// The requestor's side. The A-ASSOCIATE-RQ may be written at once: it leaves when the handshake is over.
    pub(crate) fn client(
        inner: Box<dyn Transport>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        session: Arc<Session>,
        peer: SocketAddr,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::new(inner, ClientConnection::new(config, name)?.into(), session, peer))
    }

    /// The acceptor's side.
    pub(crate) fn server(
        inner: Box<dyn Transport>,
        config: Arc<ServerConfig>,
        session: Arc<Session>,
        peer: SocketAddr,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::new(inner, ServerConnection::new(config)?.into(), session, peer))
    }

    fn new(inner: Box<dyn Transport>, mut connection: Connection, session: Arc<Session>, peer: SocketAddr) -> Self {
        // What is written is bounded here, by pieces; before the handshake is over it is one A-ASSOCIATE-RQ.
        connection.set_buffer_limit(None);
        Self {
            inner,
            connection,
            session,
            peer,
            raw: Vec::new(),
            at: 0,
            plain: 0,
            unsent: 0,
            first: Vec::new(),
            over: false,
            broken: false,
        }
    }

    /// Takes in encrypted bytes until there is something to read; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        while self.plain == 0 {
            if self.over {
                return Ok(false);
            }
            if self.at == self.raw.len() && !self.receive()? {
                return Ok(false);
            }
            let handshaking = self.connection.is_handshaking();
            self.at += self.connection.read_tls(&mut &self.raw[self.at..])?;
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => return Err(self.broke(&error)),
            };
            self.plain = state.plaintext_bytes_to_read();
            self.over = state.peer_has_closed();
            if handshaking && !self.connection.is_handshaking() {
                self.agreed();
            }
            // What is left goes when the socket takes it; what the peer sent before it went is still to be read.
            let _ = self.flush();
        }
        Ok(true)
    }

    /// Reads encrypted bytes; false at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        self.raw.clear();
        self.at = 0;
        match self.inner.append(&mut self.raw, READ) {
            Ok(0) => {
                self.lost(None);
                Ok(false)
            }
            Ok(_) => {
                if self.first.len() < FIRST && self.connection.is_handshaking() {
                    let wanted = FIRST - self.first.len();
                    self.first.extend(self.raw.iter().take(wanted));
                }
                Ok(true)
            }
            Err(error) => {
                // Idle connections hold no memory.
                self.raw = Vec::new();
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                    self.lost(Some(&error));
                }
                Err(error)
            }
        }
    }

    /// Gives `put` at most `most` decrypted bytes; 0 at the end of the stream.
    fn take(&mut self, most: usize, mut put: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut taken = 0;
        while taken < most {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break,
                // It will be said again.
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
            let mut reader = self.connection.reader();
            let chunk = reader.fill_buf()?;
            let length = chunk.len().min(most - taken);
            put(&chunk[..length]);
            reader.consume(length);
            self.plain -= length;
            taken += length;
        }
        Ok(taken)
    }

    fn agreed(&mut self) {
        let connection = &self.connection;
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let certificates = connection.peer_certificates().unwrap_or_default();
        let server_name = match connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        log::record(Level::Debug, || {
            let how = if resumed { ", resumed" } else { "" };
            format!("TLS with {}: {version} {suite}{how}", self.peer)
        });
        self.session.agreed(Negotiated {
            version: version.replace('_', "."),
            // RFC 8446 names those of TLS 1.3 without the version.
            cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
            peer_certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
            server_name,
        });
        self.first = Vec::new();
    }

    fn broke(&mut self, error: &rustls::Error) -> io::Error {
        if !self.over {
            self.over = true;
            self.fail(Failure::of(error, &self.first));
            // The alert, as far as the socket takes it.
            let _ = self.flush();
        }
        io::Error::new(ErrorKind::InvalidData, error.clone())
    }

    /// The stream beneath ended; many peers do that without a word. PDUs have lengths and an association has its release: what is cut off
    /// is noticed there.
    fn lost(&mut self, error: Option<&io::Error>) {
        self.over = true;
        if self.connection.is_handshaking() {
            self.fail(Failure::closed(error));
        }
    }

    fn fail(&self, failure: Failure) {
        let level = match self.connection {
            // It is told by what it waits for.
            Connection::Client(_) => Level::Info,
            // A look at the port by a load balancer is no news.
            Connection::Server(_) if self.first.is_empty() => Level::Debug,
            Connection::Server(_) => Level::Error,
        };
        log::record(level, || format!("TLS with {} failed: {}", self.peer, failure.words));
        self.session.failed(failure);
    }
}

/// The transport beneath as rustls writes to it.
struct Out<'a> {
    inner: &'a mut dyn Transport,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for TlsTransport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        self.take(buffer.len(), |chunk| {
            buffer[at..at + chunk.len()].copy_from_slice(chunk);
            at += chunk.len();
        })
    }

    fn append(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        into.reserve(most);
        self.take(most, |chunk| into.extend_from_slice(chunk))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.connection.is_handshaking() {
            let written = self.connection.writer().write(bytes)?;
            return self.flush().or_else(|error| if self.broken { Err(error) } else { Ok(()) }).map(|()| written);
        }
        self.flush()?;
        let length = self.connection.writer().write(&bytes[..bytes.len().min(PIECE)])?;
        self.unsent = length;
        // They are taken: what cannot leave now is left over.
        self.flush().or_else(|error| if self.broken { Err(error) } else { Ok(()) }).map(|()| length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Out { inner: &mut *self.inner }) {
                Ok(written) => self.unsent = self.unsent.saturating_sub(written),
                Err(error) => {
                    self.broken = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                    return Err(error);
                }
            }
        }
        self.unsent = 0;
        Ok(())
    }

    fn unsent(&self) -> usize {
        if self.connection.wants_write() && !self.broken { self.unsent.max(1) } else { 0 }
    }

    fn has_input(&self) -> bool {
        self.plain > 0 || self.at < self.raw.len()
    }

    fn acknowledge_now(&self) {
        self.inner.acknowledge_now();
    }

    fn close(&mut self) {
        if self.connection.is_handshaking() && !self.over {
            self.fail(Failure::timeout());
        }
        self.connection.send_close_notify();
        // As far as the socket takes it.
        let _ = self.flush();
        self.inner.close();
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }
}
