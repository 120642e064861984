//! Looking after callers' connections between their calls: a peer that closes or aborts is noticed, a request of the peer
//! reaches the service, and the network time-out runs.
//!
//! One thread and one poller for the process. A connection is armed for one event at the end of each call: that costs a system
//! call and wakes nobody. The thread outlives the last connection for a while: there is mostly a next one.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use polling::{Event, Events, Poller};

use crate::connection::Connection;
use crate::process;

/// The longest sleep of the watch, and so how late a time-out between calls may be noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);

/// How long the thread stays where there is nothing to watch.
const IDLE: Duration = Duration::from_secs(10);

/// The process's watch.
pub(crate) struct Watch {
    poller: Poller,
    /// None where no thread runs.
    watched: Mutex<Option<HashMap<usize, Weak<Connection>>>>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poller: Poller::new()?, watched: Mutex::new(None) })
    }

    fn watched(&self) -> MutexGuard<'_, Option<HashMap<usize, Weak<Connection>>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that the watch may look at. It leaves the watch before it is closed.
pub(crate) struct WatchedSocket {
    pub(crate) stream: TcpStream,
    key: usize,
    /// Whether the poller knows it, and whether it waits for an event. Changed under the connection's lock.
    polled: AtomicBool,
    armed: AtomicBool,
}

/// What the watch waits for on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The deadline alone: what is not read for now would make the socket ready all the time.
    Nothing,
    /// Something to read.
    Input,
    /// Its next look: there is something to do that the socket does not know of.
    Turn,
}

static NEXT_KEY: AtomicUsize = AtomicUsize::new(0);

impl WatchedSocket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        Self { stream, key, polled: AtomicBool::new(false), armed: AtomicBool::new(false) }
    }

    /// Begins to watch, not armed; starts the thread where there is none.
    pub(crate) fn register(&self, connection: &Arc<Connection>) -> io::Result<()> {
        let watch = process::current().watch()?;
        let mut watched = watch.watched();
        if watched.is_none() {
            process::spawn("dimsefast-watch", move || run(watch))?;
        }
        watched.get_or_insert_default().insert(self.key, Arc::downgrade(connection));
        Ok(())
    }

    /// The caller has left: what is awaited, or the deadline (a time of the connection's own clock), is for the watch.
    pub(crate) fn arm(&self, connection: &Connection, deadline: Option<Duration>, awaited: Awaited) {
        let millis = deadline.map_or(u64::MAX, |deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        connection.watch_deadline.store(millis, Ordering::Relaxed);
        let event = match awaited {
            Awaited::Nothing => return self.ignore(),
            Awaited::Input => Event::readable(self.key),
            // That it can be written to is true nearly always.
            Awaited::Turn => Event::all(self.key),
        };
        let Ok(watch) = process::current().watch() else { return };
        self.armed.store(true, Ordering::Relaxed);
        // Either fails where the system has no room left, and then time-outs do not run between calls.
        let _ = if self.polled.swap(true, Ordering::Relaxed) {
            watch.poller.modify(&self.stream, event)
        } else {
            // SAFETY: `drop` takes the socket out of the poller before it is closed.
            unsafe { watch.poller.add(&self.stream, event) }
        };
    }

    /// The caller is back.
    pub(crate) fn disarm(&self, connection: &Connection) {
        connection.watch_deadline.store(u64::MAX, Ordering::Relaxed);
        self.ignore();
    }

    /// No event is for the watch.
    fn ignore(&self) {
        if self.armed.swap(false, Ordering::Relaxed)
            && let Ok(watch) = process::current().watch()
        {
            let _ = watch.poller.modify(&self.stream, Event::none(self.key));
        }
    }

    /// Whether the watch waits for an event.
    #[cfg(test)]
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// The connection is about to end, and its caller stays: the end of the stream must not wake the watch.
    pub(crate) fn leave(&self) {
        self.armed.store(false, Ordering::Relaxed);
        if self.polled.swap(false, Ordering::Relaxed)
            && let Ok(watch) = process::current().watch()
        {
            let _ = watch.poller.delete(&self.stream);
        }
    }
}

impl AsFd for WatchedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for WatchedSocket {
    fn drop(&mut self) {
        if let Ok(watch) = process::current().watch()
            && watch.watched().as_mut().is_some_and(|watched| watched.remove(&self.key).is_some())
        {
            self.leave();
        }
    }
}

fn run(watch: &Watch) {
    let mut events = Events::new();
    let mut idle = Instant::now();
    loop {
        events.clear();
        if watch.poller.wait(&mut events, Some(LONGEST_SLEEP)).is_err() {
            std::thread::yield_now();
        }
        // Taken out of the lock first: the last reference to a connection may be dropped here, which needs the lock.
        let live: Vec<(usize, Arc<Connection>)> = {
            let mut guard = watch.watched();
            let Some(watched) = guard.as_mut() else { return };
            if !watched.is_empty() {
                idle = Instant::now();
            } else if idle.elapsed() >= IDLE {
                *guard = None;
                return;
            }
            watched.iter().filter_map(|(key, connection)| Some((*key, connection.upgrade()?))).collect()
        };
        let is_ready = |key: &usize| events.iter().any(|event| event.key == *key);
        let due = live.iter().filter(|(key, connection)| is_ready(key) || is_due(connection));
        for (_, connection) in due {
            attend(connection);
        }
    }
}

fn is_due(connection: &Connection) -> bool {
    let now = u64::try_from(connection.now().as_millis()).unwrap_or(u64::MAX);
    connection.watch_deadline.load(Ordering::Relaxed) <= now
}

/// Drives a connection whose caller is away.
fn attend(connection: &Arc<Connection>) {
    let jobs = {
        let mut core = connection.lock();
        if core.driving.is_some() {
            return;
        }
        core.drive(connection.now(), false);
        connection.rest(&mut core);
        let jobs = core.start_jobs();
        connection.tell(core);
        jobs
    };
    connection.submit(jobs);
}
