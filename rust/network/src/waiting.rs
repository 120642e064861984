//! Threads that wait on a connection, and drive a caller's meanwhile.

use std::os::fd::AsFd;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dimsefast_protocol::association::StateError;
use thiserror::Error;

use crate::connection::{Connection, Driver};
use crate::core::Core;
use crate::wake::{self, Waker, Woken};
use crate::watch::{Awaited, WatchedSocket};

/// How often a wait asks whether it was interrupted.
const TICK: Duration = Duration::from_millis(100);

/// Why a wait ended without what was waited for.
#[derive(Debug, Error)]
pub enum WaitError {
    /// The time is over.
    #[error("timed out")]
    Timeout,
    /// [`Patience::interrupted`] said so.
    #[error("interrupted")]
    Interrupted,
    /// The association is over.
    #[error("the association is over")]
    Ended,
    /// The file that was being sent cannot be read.
    #[error("cannot read the object's file: {0}")]
    File(#[from] std::io::Error),
}

impl From<StateError> for WaitError {
    fn from(_: StateError) -> Self {
        Self::Ended
    }
}

/// How long to wait, and what may end it.
pub struct Patience<'a> {
    /// When it ends; `None` for never.
    pub deadline: Option<Instant>,
    /// Asked after every signal and ten times a second, without any lock held; `None` where nothing can interrupt.
    pub interrupted: Option<&'a mut dyn FnMut() -> bool>,
    /// When it was asked last.
    pub asked: Instant,
    /// How long it was given.
    timeout: Option<Duration>,
}

impl Patience<'_> {
    /// At most `timeout` from now on; `None` for as long as it takes.
    pub fn at_most(timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { deadline: timeout.and_then(|timeout| now.checked_add(timeout)), interrupted: None, asked: now, timeout }
    }

    /// There was progress: the time begins anew.
    pub fn restart(&mut self) {
        self.deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    pub(crate) fn expired(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The longest that may be slept now.
    pub(crate) fn slice(&self) -> Option<Duration> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if self.interrupted.is_some() { Some(left.map_or(TICK, |left| left.min(TICK))) } else { left }
    }

    /// Whether something interrupts; asks only where it is time to, or `early`: a wait ended for no other reason.
    pub(crate) fn is_interrupted(&mut self, early: bool) -> bool {
        let Some(interrupted) = &mut self.interrupted else { return false };
        if !early && self.asked.elapsed() < TICK {
            return false;
        }
        self.asked = Instant::now();
        interrupted()
    }
}

impl Connection {
    /// Waits until `ready` gives something. It is asked under the lock, whenever something has changed.
    ///
    /// # Errors
    /// [`WaitError::Timeout`] and [`WaitError::Interrupted`]; the end of the association is for `ready` to see.
    pub(crate) fn wait<T>(
        self: &Arc<Self>,
        patience: &mut Patience<'_>,
        mut ready: impl FnMut(&mut Core) -> Option<T>,
    ) -> Result<T, WaitError> {
        let mut core = self.lock();
        let mut driving: Option<Arc<Waker>> = None;
        let result = loop {
            if let Some(value) = ready(&mut core) {
                break Ok(value);
            }
            // A request of the peer that this thread does not ask for need not wait until it is done.
            self.hand_over(&mut core);
            if core.is_traced()
                && let Some(job) = core.jobs.start_serial()
            {
                drop(core);
                self.submit(vec![job]);
                core = self.lock();
                continue;
            }
            if patience.expired() {
                break Err(WaitError::Timeout);
            }
            if driving.is_none() {
                driving = self.begin_driving(&mut core);
            }
            let interrupted;
            (core, interrupted) = match (&driving, core.socket.clone()) {
                (Some(waker), Some(socket)) => self.drive_once(core, patience, &socket, waker),
                _ => self.sleep(core, patience),
            };
            if interrupted {
                break Err(WaitError::Interrupted);
            }
        };
        if driving.is_some() {
            core.driving = None;
            self.rest(&mut core);
            self.tell(core);
        } else if matches!(self.driver, Driver::Runtime { .. }) && core.wants_input() {
            // What this thread took may have been what kept the task from reading.
            drop(core);
            self.wake_driver();
        }
        result
    }

    /// Makes this thread the one that drives a caller's connection, unless another one is; none where it cannot.
    fn begin_driving(&self, core: &mut Core) -> Option<Arc<Waker>> {
        let socket = core.socket.as_ref().filter(|_| core.driving.is_none())?;
        let waker = wake::own().ok()?;
        socket.disarm(self);
        core.driving = Some(waker.clone());
        Some(waker)
    }

    /// Waits for the socket, and drives; also returns whether it was interrupted.
    fn drive_once<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        patience: &mut Patience<'_>,
        socket: &WatchedSocket,
        waker: &Waker,
    ) -> (MutexGuard<'a, Core>, bool) {
        let (read, write, at_once) = (core.wants_input(), core.has_output(), core.has_input());
        let timer = core.association.poll_timeout().map(|deadline| deadline.saturating_sub(self.now()));
        drop(core);
        let waited = if at_once {
            Ok(Woken::Ready)
        } else {
            let timeout = patience.slice().into_iter().chain(timer).min();
            wake::wait(socket.as_fd(), waker, read, write, timeout)
        };
        let interrupted = patience.is_interrupted(matches!(waited, Ok(Woken::Early)));
        let mut core = self.lock();
        if !interrupted {
            if waited.is_err() {
                core.association.handle_transport_closed(self.now());
            }
            core.drive(self.now(), false);
            if core.waiting > 0 {
                // What has come may be what another thread waits for, which this one keeps from driving.
                self.changed.notify_all();
            }
        }
        (core, interrupted)
    }

    /// Waits for a change that another thread makes; also returns whether it was interrupted.
    fn sleep<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        patience: &mut Patience<'_>,
    ) -> (MutexGuard<'a, Core>, bool) {
        let mut slice = patience.slice();
        if core.socket.is_some() && core.driving.is_none() {
            // Without a descriptor to be woken by (there is none left) this thread cannot drive: it looks again soon.
            slice = Some(slice.map_or(TICK, |slice| slice.min(TICK)));
        }
        core.waiting += 1;
        core = match slice {
            Some(slice) => self.changed.wait_timeout(core, slice).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(core).unwrap_or_else(PoisonError::into_inner),
        };
        core.waiting -= 1;
        if patience.interrupted.is_none() {
            return (core, false);
        }
        drop(core);
        let interrupted = patience.is_interrupted(false);
        (self.lock(), interrupted)
    }

    /// Leaves a caller's connection to the watch until the next call. While an answer is still to come the caller will
    /// be back for it.
    pub(crate) fn rest(&self, core: &mut Core) {
        if (core.invoked.is_empty() || core.is_over())
            && let Some(socket) = &core.socket
        {
            let awaited = match (core.wants_input(), core.has_input()) {
                (false, _) => Awaited::Nothing,
                (true, false) => Awaited::Input,
                (true, true) => Awaited::Turn,
            };
            socket.arm(self, core.association.poll_timeout(), awaited);
        }
    }

    /// Hands a request of the peer that a caller has read, and does not perform itself, to the service.
    pub(crate) fn hand_over(self: &Arc<Self>, core: &mut Core) {
        if matches!(self.driver, Driver::Caller)
            && let Some(request) = core.jobs.start_request_for_service()
        {
            self.submit(vec![request]);
        }
    }
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
