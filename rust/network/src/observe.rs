//! Telling those who cannot wait on a thread: the event loop of another language, or a task on the runtime.
//!
//! Whoever changes a connection looks, before it gives up the lock, at what is wanted of it, and tells the observers of what has come true. So
//! an event loop wakes for whole answers only, and once for all that have come meanwhile (see [`Wakeup`]).

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::{Connection, OUTPUT_HIGH_WATER};
use crate::core::Core;
use crate::wake::Waker;

/// What somebody waits for. The end of the association fulfils all of it: there is nothing more to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The end of the negotiation, either way.
    Negotiated,
    /// A response with one of these Message IDs.
    Response(Vec<u16>),
    /// That a message may be sent: none is under way, and little is unwritten.
    Room,
    /// That at most so many bytes are unwritten.
    Written(usize),
    /// The end of the association.
    Ended,
    /// The end of the transport connection, and of what the service was told of it.
    Finished,
    /// That the service has done what it was told of.
    Idle,
    /// That it has been told of everything so far, whatever it has still to do.
    Told,
}

impl Want {
    fn is_fulfilled(&self, core: &Core) -> bool {
        match self {
            Self::Finished => core.transport.is_none() && core.jobs.is_idle(),
            Self::Idle => core.jobs.is_idle(),
            Self::Told => core.jobs.is_told(),
            _ if core.is_over() => true,
            Self::Negotiated => core.established,
            Self::Response(ids) => core.has_response(ids),
            Self::Room => core.has_room(),
            Self::Written(most) => core.unwritten() <= *most,
            Self::Ended => false,
        }
    }
}

/// Is told once of each thing that it waits for.
pub trait Observer: Send + Sync + 'static {
    /// What was wanted under this token has come true. Must not block.
    fn fulfilled(&self, token: u64);
}

/// One thing that somebody waits for.
pub(crate) struct Observation {
    token: u64,
    want: Want,
    observer: Arc<dyn Observer>,
}

impl Observation {
    pub(crate) fn tell(&self) {
        self.observer.fulfilled(self.token);
    }
}

impl Connection {
    /// Whether it is so already; otherwise the observer is told once when it is.
    pub fn observe(&self, want: Want, observer: Arc<dyn Observer>, token: u64) -> bool {
        self.lock().observe(want, observer, token)
    }

    /// How many bytes have been put out and have not left yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.lock().unwritten()
    }

    /// How many bytes have left by now: more of them are progress.
    pub fn written(&self) -> u64 {
        let core = self.lock();
        let held = core.transport.as_ref().map_or(0, |transport| transport.unsent());
        core.total_written.saturating_sub(held as u64)
    }

    /// Nobody waits for it any more.
    pub fn forget_observer(&self, token: u64) {
        self.lock().observations.retain(|observation| observation.token != token);
    }
}

impl Core {
    pub(crate) fn observe(&mut self, want: Want, observer: Arc<dyn Observer>, token: u64) -> bool {
        let fulfilled = want.is_fulfilled(self);
        if !fulfilled {
            self.observations.retain(|observation| observation.token != token);
            self.observations.push(Observation { token, want, observer });
        }
        fulfilled
    }

    /// Takes out what has come true.
    pub(crate) fn fulfilled(&mut self) -> Vec<Observation> {
        if self.observations.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.observations);
        let (fulfilled, others) = all.into_iter().partition(|observation| observation.want.is_fulfilled(self));
        self.observations = others;
        fulfilled
    }

    fn has_response(&self, ids: &[u16]) -> bool {
        self.responses.iter().any(|r| r.command.message_id_responded_to().is_some_and(|id| ids.contains(&id)))
    }

    /// Whether another message may be put out.
    pub(crate) fn has_room(&self) -> bool {
        !self.sending && self.unwritten() <= OUTPUT_HIGH_WATER
    }
}

/// Wakes an event loop by a descriptor that becomes readable: once for all tokens that come before the loop gets to them.
pub struct Wakeup {
    waker: Waker,
    tokens: Mutex<Vec<u64>>,
}

impl Wakeup {
    /// A new one, for one event loop.
    ///
    /// # Errors
    /// Where the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { waker: Waker::new()?, tokens: Mutex::default() })
    }

    /// Readable while there are tokens.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.waker.readable()
    }

    /// The tokens that have come.
    pub fn take(&self) -> Vec<u64> {
        // In this order: what comes in between wakes once more, and in vain.
        self.waker.clear();
        std::mem::take(&mut self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<u64>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Wakeup {
    fn fulfilled(&self, token: u64) {
        let mut tokens = self.locked();
        tokens.push(token);
        if tokens.len() == 1 {
            self.waker.wake();
        }
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
