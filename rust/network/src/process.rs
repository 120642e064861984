//! What the process has once: the runtime, the watch, the list of live connections; and what becomes of it at a fork and at
//! the end.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::connection::Connection;
use crate::listen::Server;
use crate::per_process::PerProcess;
use crate::watch::Watch;

/// Everything that must not be shared between a process and its fork.
#[derive(Default)]
pub(crate) struct Process {
    runtime: Mutex<Option<Runtime>>,
    watch: OnceLock<Watch>,
    connections: Mutex<Vec<Weak<Connection>>>,
    servers: Mutex<Vec<Weak<Server>>>,
}

static CURRENT: PerProcess<Process> = PerProcess::new();
static GENERATION: AtomicU32 = AtomicU32::new(0);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's own state, made on first use.
pub(crate) fn current() -> &'static Process {
    CURRENT.get()
}

/// Counts the forks that led to this process. What was made in another generation must not be used.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

impl Process {
    /// The runtime, started on first use.
    pub(crate) fn runtime(&self) -> io::Result<Handle> {
        let mut runtime = locked(&self.runtime);
        if runtime.is_none() {
            let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
            *runtime = Some(
                Builder::new_multi_thread()
                    .worker_threads(workers)
                    .thread_name("dimsefast-runtime")
                    .on_thread_start(block_signals)
                    .enable_all()
                    .build()?,
            );
        }
        runtime.as_ref().map(|runtime| runtime.handle().clone()).ok_or_else(|| io::Error::other("no runtime"))
    }

    /// The watch, made on first use.
    pub(crate) fn watch(&self) -> io::Result<&Watch> {
        if let Some(watch) = self.watch.get() {
            return Ok(watch);
        }
        let made = Watch::new()?;
        Ok(self.watch.get_or_init(|| made))
    }

    pub(crate) fn register(&self, connection: &Arc<Connection>) {
        let mut connections = locked(&self.connections);
        if connections.len() == connections.capacity() {
            connections.retain(|connection| connection.strong_count() > 0);
        }
        connections.push(Arc::downgrade(connection));
    }

    pub(crate) fn register_server(&self, server: &Arc<Server>) {
        let mut servers = locked(&self.servers);
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(server));
    }
}

/// Leaves all signals to the threads that asked for them: Python's main thread must be the one that a signal interrupts.
pub fn block_signals() {
    // It fails for unknown arguments only.
    let _ = nix::sys::signal::SigSet::all().thread_block();
}

/// Starts a thread that signals do not interrupt.
///
/// # Errors
/// Where the system has no thread left.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(move || {
        block_signals();
        body();
    })?;
    Ok(())
}

/// To be called in the child of a fork, before anything else: forgets the parent's runtime, and lets go of the sockets, so that
/// a connection ends when the parent ends it.
pub fn forget_parent() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    crate::log::forget_parent();
    let Some(old) = CURRENT.forget() else { return };
    // A lock that another thread of the parent held at the fork is never released here: try, and go without.
    if let Ok(connections) = old.connections.try_lock() {
        for connection in connections.iter().filter_map(Weak::upgrade) {
            if let Ok(core) = connection.core.try_lock()
                && let Some(transport) = &core.transport
                && let Some(descriptor) = transport.descriptor()
            {
                neutralize(descriptor);
            }
            // Its owner may free it in this process; the parent's runtime must never hear of it.
            std::mem::forget(connection);
        }
    }
    if let Ok(servers) = old.servers.try_lock() {
        for server in servers.iter().filter_map(Weak::upgrade) {
            server.with_descriptor(neutralize);
            std::mem::forget(server);
        }
    }
}

/// Puts /dev/null in the place of a descriptor. Closing it would leave a number that somebody closes once more later.
fn neutralize(descriptor: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        // SAFETY: the number is open, belongs to this process alone, and stays open: it is not dropped as an `OwnedFd`.
        let mut target = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor.as_raw_fd()) });
        let _ = rustix::io::dup2(&null, &mut target);
    }
}

/// The end of the process: aborts every association, closes every listener, and stops the runtime, all within `limit`.
pub fn stop(limit: Duration) {
    let deadline = Instant::now() + limit;
    let Some(process) = CURRENT.made() else { return };
    let servers: Vec<_> = locked(&process.servers).iter().filter_map(Weak::upgrade).collect();
    for server in servers {
        server.stop_accepting();
    }
    let connections: Vec<_> = locked(&process.connections).iter().filter_map(Weak::upgrade).collect();
    for connection in &connections {
        connection.abort();
    }
    drop(connections);
    let runtime = locked(&process.runtime).take();
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}
