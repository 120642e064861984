//! Listening, admitting and driving associations as their acceptor.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use dimsefast_protocol::association::{Association, Config};
use dimsefast_protocol::limits::Limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::admission::{AcceptorConfig, Admission, Seats};
use crate::connect::Security;
use crate::connection::{Connection, Driver, Service};
use crate::core::Core;
use crate::jobs::Job;
use crate::log::{self, Level};
use crate::process;
use crate::proxy;
use crate::statistics::{ServerStatistics, Statistics};
use crate::task;
use crate::tls::{self, TlsTransport};
use crate::transport::{self, Ends, RuntimeTcp, Transport};

/// Connections without an A-ASSOCIATE-RQ that are kept at the same time: in all, and from one address.
const SILENT: usize = 1000;
const SILENT_PER_ADDRESS: usize = 50;

/// How often a server that shuts down looks at what is still in progress.
const DRAIN: Duration = Duration::from_millis(250);

/// See [`accept`].
const TICK: Duration = Duration::from_secs(1);

/// How long a proxy may take for its header where there is no ACSE time-out.
const HEADER: Duration = Duration::from_secs(30);

/// How long accepting pauses where the system has no descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A listening socket and the associations that came through it.
pub struct Server {
    /// The address that is bound; with port 0 asked for, the port that was given.
    pub address: SocketAddr,
    config: RwLock<Arc<AcceptorConfig>>,
    service: Arc<dyn Service>,
    seats: Mutex<Seats>,
    statistics: Arc<Statistics>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    changed: std::sync::Condvar,
    silent: Mutex<VecDeque<(IpAddr, Weak<Connection>)>>,
    /// Connections that are prepared apart, before they are one of `connections`.
    preparing: AtomicUsize,
    stop: Notify,
    /// Ends what is being prepared.
    give_up: Notify,
    stopped: AtomicBool,
    /// Whether the accepting task still holds the socket.
    listening: AtomicBool,
    listener: Mutex<Option<Arc<TcpListener>>>,
    /// The fork generation it was made in.
    pub generation: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Binds, and begins to accept.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn start(address: SocketAddr, config: AcceptorConfig, service: Arc<dyn Service>) -> io::Result<Arc<Self>> {
        let runtime = process::current().runtime()?;
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // "::" is every address of the machine, whatever the system's default is; "0.0.0.0" is for IPv4 alone.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        let listener = {
            let _context = runtime.enter();
            Arc::new(TcpListener::from_std(socket.into())?)
        };
        let server = Arc::new(Self {
            address: listener.local_addr()?,
            config: RwLock::new(Arc::new(config)),
            service,
            seats: Mutex::default(),
            statistics: Arc::default(),
            connections: Mutex::default(),
            changed: std::sync::Condvar::new(),
            silent: Mutex::default(),
            preparing: AtomicUsize::new(0),
            stop: Notify::new(),
            give_up: Notify::new(),
            stopped: AtomicBool::new(false),
            listening: AtomicBool::new(true),
            listener: Mutex::new(Some(listener.clone())),
            generation: process::generation(),
        });
        process::current().register_server(&server);
        runtime.spawn(serve(server.clone(), listener));
        Ok(server)
    }

    /// What it offers now.
    pub fn config(&self) -> Arc<AcceptorConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it offers from now on.
    pub fn configure(&self, config: AcceptorConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The connections that are not finished.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        let mut connections: Vec<_> = locked(&self.connections).values().cloned().collect();
        connections.sort_by_key(|connection| connection.id);
        connections
    }

    /// What it has done by now.
    pub fn statistics(&self) -> ServerStatistics {
        ServerStatistics { open: self.seats().taken() as u64, ..self.statistics.snapshot() }
    }

    /// Closes the listening socket; associations go on.
    pub fn stop_accepting(&self) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            self.stop.notify_one();
            self.give_up.notify_waiters();
        }
        drop(locked(&self.listener).take());
    }

    /// Stops accepting, gives associations up to `grace` to end by themselves, aborts the rest, and waits up to `limit` until all is
    /// over. Returns whether it is. Those on which nothing happens for `idle` meanwhile are aborted earlier.
    pub fn shutdown(&self, grace: Duration, idle: Option<Duration>, limit: Duration) -> bool {
        self.stop_accepting();
        let deadline = Instant::now() + grace;
        let mut until = deadline;
        loop {
            if let Some(idle) = idle {
                self.connections().iter().for_each(|connection| connection.hurry(idle));
                until = deadline.min(Instant::now() + DRAIN);
            }
            if self.wait_until_empty(until) {
                return true;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        for connection in self.connections() {
            connection.abort();
            connection.give_up();
        }
        self.wait_until_empty(Instant::now() + limit)
    }

    /// Waits until no connection is left and the listening socket is closed: the port is free then.
    fn wait_until_empty(&self, deadline: Instant) -> bool {
        let mut connections = locked(&self.connections);
        while !connections.is_empty() || self.listening.load(Ordering::Acquire) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            connections = self.changed.wait_timeout(connections, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The connection is over and everybody has been told.
    pub(crate) fn forget(&self, connection: &Connection) {
        // Its seat is free from here on.
        drop(connection.lock().admission.take());
        let removed = locked(&self.connections).remove(&connection.id);
        // Nobody waits for it before, and telling them is a system call.
        if self.stopped.load(Ordering::Acquire) {
            self.changed.notify_all();
        }
        drop(removed);
    }

    /// For the child of a fork, which must not wait for a lock of its parent's: gives `f` the listening socket, where
    /// there is one.
    pub(crate) fn with_descriptor(&self, f: impl FnOnce(BorrowedFd<'_>)) {
        if let Ok(listener) = self.listener.try_lock()
            && let Some(listener) = listener.as_ref()
        {
            f(listener.as_fd());
        }
    }

    pub(crate) fn seats(&self) -> MutexGuard<'_, Seats> {
        locked(&self.seats)
    }

    /// Makes room where too many connections have not said anything yet.
    fn admit_silent(&self, address: IpAddr, connection: &Arc<Connection>) {
        let mut silent = locked(&self.silent);
        if silent.len() >= SILENT_PER_ADDRESS {
            silent.retain(|(_, other)| other.upgrade().is_some_and(|other| other.is_silent()));
            let own = silent.iter().filter(|(other, _)| *other == address).count();
            let oldest = if own >= SILENT_PER_ADDRESS {
                silent.iter().position(|(other, _)| *other == address)
            } else {
                (silent.len() >= SILENT).then_some(0)
            };
            if let Some((_, oldest)) = oldest.and_then(|at| silent.remove(at))
                && let Some(oldest) = oldest.upgrade()
            {
                oldest.give_up();
            }
        }
        silent.push_back((address, Arc::downgrade(connection)));
    }
}

impl Connection {
    fn is_silent(&self) -> bool {
        let core = self.lock();
        core.transport.is_some() && core.association.request().is_none()
    }

    /// Gives it up soon where nothing happens: not in the middle of a message, and not while a request is performed.
    fn hurry(&self, idle: Duration) {
        self.with(|core, now| {
            let timeout = if core.incoming.is_some() { core.network_timeout } else { Some(idle) };
            core.association.set_network_timeout(now, timeout);
        });
        self.wake_driver();
    }

    /// Closes the transport now, whatever the peer does.
    pub fn give_up(&self) {
        self.with(|core, now| {
            core.association.handle_transport_closed(now);
            core.settle(now);
            core.close(now);
        });
        self.wake_driver();
    }
}

async fn serve(server: Arc<Server>, listener: Arc<TcpListener>) {
    accept(&server, &listener).await;
    drop(listener);
    server.listening.store(false, Ordering::Release);
    // Under the lock, so that nobody goes to sleep between looking and this.
    drop(locked(&server.connections));
    server.changed.notify_all();
}

/// Accepts connections until the server stops.
async fn accept(server: &Arc<Server>, listener: &TcpListener) {
    // While some timer is due sooner than theirs, new connections need not wake the thread that waits for the next one.
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            () = server.stop.notified() => return,
            _ = tick.tick() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => begin(server, stream, canonical(address)),
            // Out of descriptors or memory, or the peer has gone already: the first needs time, the second nothing.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                log::record(Level::Error, || format!("cannot accept connections on {}: {error}", server.address));
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// An IPv4 peer of a listener for both is one.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(address, |v4| SocketAddr::new(v4.into(), v6.port())),
        SocketAddr::V4(_) => address,
    }
}

/// Begins with an accepted stream: at once, or, where something has to be awaited first, apart from the accepting.
fn begin(server: &Arc<Server>, stream: TcpStream, peer: SocketAddr) {
    let config = server.config();
    let proxied = config.proxies.as_ref().is_some_and(|proxies| proxies.include(peer.ip()));
    let stale = matches!(&config.security, Security::Tls(tls) if tls.is_due());
    if !proxied && !stale {
        start(server, &config, stream, peer);
    } else if server.preparing.load(Ordering::Acquire) < SILENT {
        server.preparing.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(begin_apart(server.clone(), config, stream, peer, proxied));
    } else {
        log::record(Level::Warning, || format!("{SILENT} connections wait for their headers: {peer} is closed"));
    }
}

/// Reads a proxy's header, and certificates that have changed.
async fn prepare_apart(
    config: &AcceptorConfig,
    stream: &mut TcpStream,
    proxied: bool,
) -> io::Result<Option<SocketAddr>> {
    let header = if proxied {
        let limit = config.acse_timeout.unwrap_or(HEADER);
        tokio::time::timeout(limit, proxy::read_header(stream)).await??
    } else {
        None
    };
    if let Security::Tls(tls) = &config.security {
        let tls = tls.clone();
        // Files are read: that may take its time.
        let _ = tokio::task::spawn_blocking(move || tls.refresh()).await;
    }
    Ok(header)
}

async fn begin_apart(
    server: Arc<Server>,
    config: Arc<AcceptorConfig>,
    mut stream: TcpStream,
    peer: SocketAddr,
    proxied: bool,
) {
    let given_up = server.give_up.notified();
    tokio::pin!(given_up);
    given_up.as_mut().enable();
    let prepared = if server.stopped.load(Ordering::Acquire) {
        None
    } else {
        tokio::select! {
            () = given_up => None,
            prepared = prepare_apart(&config, &mut stream, proxied) => Some(prepared),
        }
    };
    server.preparing.fetch_sub(1, Ordering::AcqRel);
    match prepared {
        Some(Ok(header)) => start(&server, &config, stream, header.map_or(peer, canonical)),
        Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            log::record(Level::Debug, || format!("the proxy {peer} closed before its header was whole"));
        }
        Some(Err(error)) => log::record(Level::Error, || format!("the proxy {peer} is closed: {error}")),
        None => {}
    }
}

fn start(server: &Arc<Server>, config: &AcceptorConfig, stream: TcpStream, peer: SocketAddr) {
    match admit(server, config, stream, peer) {
        Ok((connection, stream)) => {
            tokio::spawn(task::run(connection, stream));
        }
        // The peer has gone already, mostly.
        Err(error) => log::record(Level::Info, || format!("the connection of {peer} cannot be used: {error}")),
    }
}

/// A connection for an accepted stream.
fn admit(
    server: &Arc<Server>,
    config: &AcceptorConfig,
    stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<(Arc<Connection>, Arc<TcpStream>)> {
    let local = canonical(stream.local_addr()?);
    transport::prepare(&stream, config.keepalive)?;
    let session = (!matches!(config.security, Security::Plain)).then(tls::Session::new);
    let (stream, bridge) = config.security.bridge_on_runtime(stream)?;
    let stream = Arc::new(stream);
    let mut transport: Box<dyn Transport> = Box::new(RuntimeTcp::new(stream.clone()));
    if let (Security::Tls(tls), Some(session)) = (&config.security, &session) {
        let secured = tls.server().map_err(io::Error::other)?;
        let secured = TlsTransport::server(transport, secured, session.clone(), peer);
        transport = Box::new(secured.map_err(io::Error::other)?);
    }
    let protocol = Config {
        limits: Limits::default(),
        max_pdu_length: config.max_pdu_length,
        acse_timeout: config.acse_timeout,
        network_timeout: config.network_timeout,
        network_timeout_response: config.network_timeout_response,
        pdu_timeout: config.network_timeout,
    };
    let association = Association::acceptor(protocol, Duration::ZERO);
    let mut core = Core::new(association, transport, config.store.clone(), config.bound);
    core.network_timeout = config.network_timeout;
    core.admission = Some(Admission::new(server.clone(), peer.ip()));
    let bridged = bridge.is_some();
    core.bridge = bridge;
    core.statistics = Some(server.statistics.clone());
    server.statistics.connections.add(1);
    let driver = Driver::Runtime { notify: Notify::new() };
    let service = server.service.clone();
    let ends = Ends { peer, local, tls: session };
    let connection = Connection::new(driver, core, service, Instant::now(), ends, Arc::downgrade(server));
    server.admit_silent(peer.ip(), &connection);
    locked(&server.connections).insert(connection.id, connection.clone());
    if server.stopped.load(Ordering::Acquire) {
        connection.give_up();
    } else if bridged {
        connection.submit(vec![Job::Secure]);
    }
    Ok((connection, stream))
}
