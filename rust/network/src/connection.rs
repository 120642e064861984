//! One association on one transport, behind one lock. Whoever holds the lock drives it.
//!
//! The data's way in: [`Core::drive`] reads from the transport into a buffer of the thread, the protocol turns the bytes into
//! fragments, a command opens a message, its dataset goes piece by piece into the message's sink, and the whole message
//! becomes a response for the thread that waits for it or a job for the service. The way out: commands and fragments are
//! appended to the protocol's output, and written at once by whoever appended them; what the socket does not take is
//! written by the driver.
//!
//! There are two drivers. A *runtime* connection (an acceptor) is driven by its task on the runtime; other threads append,
//! write, and wait for the condition. A *caller* connection (a blocking requestor) is driven by the thread that waits on it,
//! with poll(2); between calls the [`watch`](crate::watch) looks after it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use dimsefast_protocol::association::NetworkTimeoutResponse;
use dimsefast_protocol::negotiation::NegotiatedContext;
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq};
use dimsefast_protocol::types::AbortReason;

use crate::core::Core;
use crate::ending::End;
use crate::jobs::Job;
use crate::listen::Server;
use crate::observe::Observation;
use crate::process;
use crate::tls;
use crate::transport::Ends;

/// Output above which a sender waits for the peer to take some, in bytes.
pub(crate) const OUTPUT_HIGH_WATER: usize = 64 << 10;

/// A response of many is written at once where nothing was written for this long, and otherwise by the driver together with those that follow:
/// at a system call each the kernel would do most of the work.
const HOLD: Duration = Duration::from_micros(200);

/// When what was put out has to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// At once.
    Now,
    /// As soon as the driver gets to it, with what comes meanwhile: one of many responses.
    Soon,
}

/// Does the work that a connection hands over.
pub trait Service: Send + Sync + 'static {
    /// Performs `job` on another thread, then calls [`Connection::job_done`]. Must not block and must not take the GIL.
    fn submit(&self, connection: Arc<Connection>, job: Job);
}

/// What an association was negotiated to be. A clone shares it.
#[derive(Debug, Clone)]
pub struct Negotiation {
    /// The A-ASSOCIATE-RQ.
    pub request: Arc<AssociateRq>,
    /// The A-ASSOCIATE-AC, once sent or received.
    pub reply: Option<Arc<AssociateAc>>,
    /// The presentation contexts from this side's point of view, in the order of the request; none before the reply.
    pub contexts: Arc<[NegotiatedContext]>,
}

/// Who drives a connection.
pub(crate) enum Driver {
    /// The thread that waits on it.
    Caller,
    /// Its task on the runtime.
    Runtime { notify: tokio::sync::Notify },
}

/// One association and its transport.
pub struct Connection {
    /// Unique within the process.
    pub id: u64,
    /// The other end; where a proxy said so, the one behind it.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// The TLS between; none for plain TCP.
    pub tls: Option<Arc<tls::Session>>,
    pub(crate) core: Mutex<Core>,
    /// Anything that a waiting thread may be waiting for.
    pub(crate) changed: Condvar,
    pub(crate) driver: Driver,
    pub(crate) service: Arc<dyn Service>,
    /// Absolute time, in milliseconds since `epoch`, by which the watch must look again; `u64::MAX` for never.
    pub(crate) watch_deadline: AtomicU64,
    pub(crate) epoch: Instant,
    end: Arc<OnceLock<End>>,
    /// The fork generation it was made in.
    pub generation: u32,
    /// The server that accepted it.
    pub(crate) server: Weak<Server>,
    itself: Weak<Self>,
}

/// In [`Connection::watch_notices`]: the service answers C-ECHO; otherwise it is answered where it was read.
pub const BOUND_ECHO: u32 = 1 << 16;
/// In [`Connection::watch_notices`]: the service is told of each object stored in a folder and gives the status.
pub const BOUND_STORE: u32 = 1 << 17;
/// In [`Connection::watch_notices`]: the service answers A-ASSOCIATE-RQ.
pub const BOUND_NEGOTIATION: u32 = 1 << 18;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Connection {
    pub(crate) fn new(
        driver: Driver,
        mut core: Core,
        service: Arc<dyn Service>,
        epoch: Instant,
        ends: Ends,
        server: Weak<Server>,
    ) -> Arc<Self> {
        core.peer = Some(ends.peer);
        let connection = Arc::new_cyclic(|itself| Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            peer: ends.peer,
            local: ends.local,
            tls: ends.tls,
            end: core.end.clone(),
            core: Mutex::new(core),
            changed: Condvar::new(),
            driver,
            service,
            watch_deadline: AtomicU64::new(u64::MAX),
            epoch,
            generation: process::generation(),
            server,
            itself: itself.clone(),
        });
        process::current().register(&connection);
        connection
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The lock. A panic while it was held leaves a connection that can still be aborted.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` under the lock, takes in what it caused, and writes what it put out.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Core, Duration) -> R) -> R {
        self.with_output(Output::Now, f)
    }

    /// The same, where what was put out may wait for more.
    pub(crate) fn with_output<R>(&self, output: Output, f: impl FnOnce(&mut Core, Duration) -> R) -> R {
        let mut core = self.lock();
        let now = self.now();
        let under_way = core.has_output();
        let result = f(&mut core, now);
        core.settle(now);
        core.hold(now);
        let is_driven_apart = matches!(self.driver, Driver::Runtime { .. });
        let held = output == Output::Soon && is_driven_apart && now.saturating_sub(core.last_write) < HOLD;
        if !held {
            core.flush(now);
        }
        let told = if core.is_traced() { core.jobs.start_serial() } else { None };
        // What is held goes with what is under way already, or else is the driver's.
        let driver_needed = (core.has_output() && !(held && under_way)) || core.is_over();
        // A thread that drives waits on the socket and not for the condition, perhaps for what has just changed.
        let driving = core.driving.clone();
        if driver_needed && driving.is_none() {
            self.rest(&mut core);
        }
        self.tell(core);
        match (&self.driver, driving) {
            (Driver::Caller, Some(waker)) => waker.wake(),
            (Driver::Runtime { notify }, _) if driver_needed => notify.notify_one(),
            _ => {}
        }
        if let (Some(job), Some(connection)) = (told, self.itself.upgrade()) {
            self.service.submit(connection, job);
        }
        result
    }

    /// Gives up the lock, and tells those who wait for a change.
    pub(crate) fn tell(&self, mut core: MutexGuard<'_, Core>) {
        let anybody = core.waiting > 0;
        let fulfilled = core.fulfilled();
        drop(core);
        fulfilled.iter().for_each(Observation::tell);
        if anybody {
            self.changed.notify_all();
        }
    }

    pub(crate) fn wake_driver(&self) {
        match &self.driver {
            Driver::Caller => {
                let driving = self.lock().driving.clone();
                if let Some(waker) = driving {
                    waker.wake();
                }
            }
            Driver::Runtime { notify } => notify.notify_one(),
        }
    }

    /// Whether the association is established now.
    pub fn is_established(&self) -> bool {
        let core = self.lock();
        core.established && !core.is_over() && core.association.is_established()
    }

    /// How it ended, if it did. Never waits: it is asked before each of many responses.
    pub fn end(&self) -> Option<&End> {
        self.end.get()
    }

    /// Whether the transport is closed.
    pub fn is_closed(&self) -> bool {
        self.lock().transport.is_none()
    }

    /// What has been asked for and answered by now; none before the A-ASSOCIATE-RQ was sent or received.
    pub fn negotiation(&self) -> Option<Negotiation> {
        let core = self.lock();
        Some(Negotiation {
            request: core.association.request()?.clone(),
            reply: core.association.reply().cloned(),
            contexts: core.association.contexts().clone(),
        })
    }

    /// Changes the ACSE and network time-outs of the live association, and what the latter leads to.
    pub fn set_timeouts(
        &self,
        acse: Option<Duration>,
        network: Option<Duration>,
        network_response: NetworkTimeoutResponse,
    ) {
        self.with(|core, now| {
            core.association.set_acse_timeout(now, acse);
            core.association.set_network_timeout(now, network);
            core.association.set_network_timeout_response(network_response);
            core.network_timeout = network;
            // Nobody drives it now: the watch must know the new deadline.
            if core.driving.is_none() {
                self.rest(core);
            }
        });
        self.wake_driver();
    }

    /// Sends A-ABORT at once. Nothing where the association is over.
    pub fn abort(&self) {
        self.with(|core, now| core.association.abort(now));
    }

    /// Sends A-ABORT as the service provider, for a violation that only the layers above could see.
    pub fn abort_provider(&self, reason: AbortReason) {
        self.with(|core, now| core.association.abort_provider(now, reason));
    }
}

impl Drop for Connection {
    /// Nobody can use it any more: the peer is told, as far as the socket takes it without waiting.
    fn drop(&mut self) {
        let now = self.epoch.elapsed();
        let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.generation == process::generation() && core.transport.is_some() && !core.is_over() {
            core.association.abort(now);
            core.flush(now);
        }
    }
}
