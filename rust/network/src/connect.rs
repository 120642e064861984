//! Opening an association as its requestor.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dimsefast_protocol::association::{Association, Config};
use dimsefast_protocol::pdu::AssociateRq;
use rustix::io::Errno;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::{Connection, Driver, Service};
use crate::core::Core;
use crate::jobs::{Job, Notice};
use crate::sink::StorePlan;
use crate::tls::{self, Tls, TlsTransport};
use crate::transport::{self, CallerTcp, Ends, Transport};
use crate::waiting::Patience;
use crate::wake::{self, Waker, Woken};
use crate::watch::WatchedSocket;

/// What is between TCP and an association.
#[derive(Clone)]
pub enum Security {
    /// Nothing.
    Plain,
    /// TLS by this library.
    Tls(Arc<Tls>),
    /// TLS by the service, see [`Bridge`](tls::Bridge).
    Bridged,
}

impl Security {
    /// The stream that an association gets, and what the service gets where it is to encrypt.
    pub(crate) fn bridge(&self, stream: TcpStream) -> io::Result<(TcpStream, Option<tls::Bridge>)> {
        match self {
            Self::Bridged => tls::pair(stream).map(|(stream, bridge)| (stream, Some(bridge))),
            Self::Plain | Self::Tls(_) => Ok((stream, None)),
        }
    }

    /// The same for a stream of the runtime.
    pub(crate) fn bridge_on_runtime(
        &self,
        stream: tokio::net::TcpStream,
    ) -> io::Result<(tokio::net::TcpStream, Option<tls::Bridge>)> {
        match self {
            Self::Bridged => {
                let (stream, bridge) = tls::pair(stream.into_std()?)?;
                Ok((tokio::net::TcpStream::from_std(stream)?, Some(bridge)))
            }
            Self::Plain | Self::Tls(_) => Ok((stream, None)),
        }
    }
}

/// What a requestor brings.
pub struct Request {
    /// Host name or address of the peer.
    pub host: String,
    /// TCP port of the peer.
    pub port: u16,
    /// The local address to bind, where it matters.
    pub bind: Option<SocketAddr>,
    /// How long the TCP connection may take; `None` for the system's own limit.
    pub connect_timeout: Option<Duration>,
    /// What is beneath the association. The handshake is under the ACSE time-out.
    pub security: Security,
    /// After how much silence the system asks whether the peer is still there; `None` for never.
    pub keepalive: Option<Duration>,
    /// Limits and time-outs of the association.
    pub config: Config,
    /// What is proposed.
    pub associate: AssociateRq,
    /// Where objects that the peer sends go.
    pub store: StorePlan,
    /// See [`Connection::watch_notices`].
    pub bound: u32,
}

/// Connects, and sends the A-ASSOCIATE-RQ. The answer is awaited with [`Connection::negotiated`].
///
/// # Errors
/// What the name service or TCP says; `TimedOut` after the connect time-out; `Interrupted` where `patience` says so.
pub fn connect(
    request: Request,
    service: Arc<dyn Service>,
    patience: &mut Patience<'_>,
) -> io::Result<Arc<Connection>> {
    let waker = wake::own()?;
    let tls = request.tls()?;
    let addresses = (request.host.as_str(), request.port).to_socket_addrs()?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut connected = None;
    let deadline = request.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    for address in addresses {
        if let Err(error) = check_family(request.bind, address) {
            failure = error;
            continue;
        }
        match open(address, request.bind, deadline, &waker, patience) {
            Ok(stream) => {
                connected = Some((stream, address));
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => failure = error,
        }
    }
    let (stream, peer) = connected.ok_or(failure)?;
    let local = stream.local_addr()?;
    transport::prepare(&stream, request.keepalive)?;
    let (stream, bridge) = request.security.bridge(stream)?;
    let socket = Arc::new(WatchedSocket::new(stream));
    let transport = Box::new(CallerTcp::new(socket.clone()));
    let socket = Some(socket);
    Opened { peer, local, transport, tls, bridge, driver: Driver::Caller, socket }.begin(request, service)
}

/// TLS as a requestor begins it: with what, and whom it asks for.
pub(crate) type ClientTls = (Arc<ClientConfig>, ServerName<'static>);

impl Request {
    /// Looked at before anything is connected; files may be read. None where the core speaks no TLS.
    pub(crate) fn tls(&self) -> io::Result<Option<ClientTls>> {
        let Security::Tls(tls) = &self.security else { return Ok(None) };
        tls.refresh();
        let name = tls.name_for(&self.host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Some((tls.client(), name)))
    }
}

/// An address of the other IP version than the one to bind cannot be reached.
pub(crate) fn check_family(bind: Option<SocketAddr>, address: SocketAddr) -> io::Result<()> {
    if bind.is_some_and(|bind| bind.is_ipv4() != address.is_ipv4()) {
        return Err(io::Error::other(format!("the address to bind is of another family than {}", address.ip())));
    }
    Ok(())
}

/// A connection that is there, and who drives it.
pub(crate) struct Opened {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) bridge: Option<tls::Bridge>,
    pub(crate) driver: Driver,
    /// That of a caller's connection.
    pub(crate) socket: Option<Arc<WatchedSocket>>,
}

impl Opened {
    /// Sends the A-ASSOCIATE-RQ, which leaves behind the handshake where there is one.
    pub(crate) fn begin(self, request: Request, service: Arc<dyn Service>) -> io::Result<Arc<Connection>> {
        let session = (!matches!(request.security, Security::Plain)).then(tls::Session::new);
        let mut transport = self.transport;
        if let (Some((config, name)), Some(session)) = (self.tls, &session) {
            let secured = TlsTransport::client(transport, config, name, session.clone(), self.peer);
            transport = Box::new(secured.map_err(io::Error::other)?);
        }
        let network_timeout = request.config.network_timeout;
        let association = Association::requestor(request.config, request.associate, Duration::ZERO);
        let mut core = Core::new(association, transport, request.store, request.bound);
        core.network_timeout = network_timeout;
        core.socket.clone_from(&self.socket);
        let bridged = self.bridge.is_some();
        core.bridge = self.bridge;
        let ends = Ends { peer: self.peer, local: self.local, tls: session };
        let connection = Connection::new(self.driver, core, service, Instant::now(), ends, Weak::new());
        if let Some(socket) = self.socket {
            socket.register(&connection)?;
        }
        if bridged {
            connection.submit(vec![Job::Secure]);
        }
        connection.with(|core, now| {
            core.association.transport_connected(now);
            core.notify(Notice::Requested);
        });
        Ok(connection)
    }
}

/// Opens a TCP connection without blocking for longer than a tick.
fn open(
    address: SocketAddr,
    bind: Option<SocketAddr>,
    deadline: Option<Instant>,
    waker: &Waker,
    patience: &mut Patience<'_>,
) -> io::Result<TcpStream> {
    let kind = Type::STREAM;
    #[cfg(target_os = "linux")]
    let kind = kind.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    #[cfg(not(target_os = "linux"))]
    socket.set_nonblocking(true)?;
    if let Some(bind) = bind {
        socket.set_reuse_address(true)?;
        socket.bind(&bind.into())?;
    }
    let to = address.into();
    loop {
        // Asked again, it says how far it has come.
        match socket.connect(&to) {
            Ok(()) => return Ok(socket.into()),
            Err(error) if is(&error, Errno::ISCONN) => return Ok(socket.into()),
            Err(error) if is(&error, Errno::INPROGRESS) || is(&error, Errno::ALREADY) => {}
            Err(error) => return Err(error),
        }
        let mut slice = Duration::from_millis(100);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within the connection time-out"));
            }
            slice = slice.min(left);
        }
        let woken = wake::wait(std::os::fd::AsFd::as_fd(&socket), waker, false, true, Some(slice))?;
        if patience.is_interrupted(woken == Woken::Early) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
}

fn is(error: &io::Error, number: Errno) -> bool {
    error.raw_os_error() == Some(number.raw_os_error())
}
