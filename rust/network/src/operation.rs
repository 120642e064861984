//! What threads do on a connection: wait, receive responses, release.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimsefast_protocol::association::StateError;
use thiserror::Error;

use crate::connection::{Connection, Core, Driver};
use crate::message::Message;
use crate::observe::{Observer, Want};
use crate::wake::{self, Waker, Woken};

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

/// What a thread that waits for a response gets.
#[derive(Debug)]
pub enum Reply {
    /// A response with the Message ID that was asked for.
    Response(Message),
    /// A request of the peer that the waiting thread performs: a C-STORE that belongs to its C-GET.
    Request(Box<Message>),
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
            let socket = match &self.driver {
                Driver::Caller if driving.is_some() || core.driving.is_none() => core.socket.clone(),
                _ => None,
            };
            if driving.is_none()
                && let Some(socket) = &socket
                && let Ok(waker) = wake::own()
            {
                core.driving = Some(waker.clone());
                driving = Some(waker);
                socket.disarm(self);
            }
            if let (Some(waker), Some(socket)) = (&driving, &socket) {
                let (read, write) = (core.wants_input(), core.has_output());
                let timer = core.association.poll_timeout().map(|deadline| deadline.saturating_sub(self.now()));
                let ready = core.has_input();
                drop(core);
                let timeout = patience.slice().into_iter().chain(timer).min();
                let waited = if ready {
                    Ok(Woken::Ready)
                } else {
                    wake::wait(std::os::fd::AsFd::as_fd(&**socket), waker, read, write, timeout)
                };
                let interrupted = patience.is_interrupted(matches!(waited, Ok(Woken::Early)));
                core = self.lock();
                if interrupted {
                    break Err(WaitError::Interrupted);
                }
                if waited.is_err() {
                    core.association.handle_transport_closed(self.now());
                }
                core.drive(self.now(), false);
            } else {
                // Without a descriptor to be woken by (there is none left) this thread cannot drive: it looks again soon.
                let slice = if socket.is_some() {
                    Some(patience.slice().map_or(TICK, |slice| slice.min(TICK)))
                } else {
                    patience.slice()
                };
                core.waiting += 1;
                core = match slice {
                    Some(slice) => {
                        let waited = self.changed.wait_timeout(core, slice);
                        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
                    }
                    None => self.changed.wait(core).unwrap_or_else(std::sync::PoisonError::into_inner),
                };
                core.waiting -= 1;
                if patience.interrupted.is_some() {
                    drop(core);
                    let interrupted = patience.is_interrupted(false);
                    core = self.lock();
                    if interrupted {
                        break Err(WaitError::Interrupted);
                    }
                }
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

    /// Leaves a caller's connection to the watch until the next call. While an answer is still to come the caller will be
    /// back for it.
    pub(crate) fn rest(&self, core: &mut Core) {
        if (core.invoked.is_empty() || core.end.is_some())
            && let Some(socket) = &core.socket
        {
            socket.arm(self, core.association.poll_timeout(), core.has_input());
        }
    }

    /// Hands a request of the peer that a caller has read, and does not perform itself, to the service.
    fn hand_over(self: &Arc<Self>, core: &mut Core) {
        if matches!(self.driver, Driver::Caller)
            && let Some(request) = core.jobs.start_request_for_service()
        {
            self.submit(vec![request]);
        }
    }

    /// The next free Message ID, counted as in use until [`forget`](Self::forget); or `wanted`, where that is not in use.
    pub fn begin(&self, wanted: Option<u16>) -> Option<u16> {
        let mut core = self.lock();
        let id = match wanted {
            Some(id) => Some(id).filter(|id| !core.invoked.contains(id)),
            None => (1..=u16::MAX)
                .map(|step| core.last_message_id.wrapping_add(step))
                .find(|id| *id != 0 && !core.invoked.contains(id)),
        }?;
        if wanted.is_none() {
            core.last_message_id = id;
        }
        core.invoked.push(id);
        // Before anything is sent: an answer that is quicker than this thread is none of the watch's business.
        if let Some(socket) = &core.socket {
            socket.disarm(self);
        }
        let now = self.now();
        core.mark_busy(now);
        Some(id)
    }

    /// Nobody waits for this Message ID any more.
    pub fn forget(self: &Arc<Self>, id: u16) {
        let mut core = self.lock();
        core.invoked.retain(|invoked| *invoked != id);
        let held_up = !core.wants_input();
        core.take_responses(id);
        let now = self.now();
        core.mark_busy(now);
        if core.invoked.is_empty() {
            // It came together with the last answer: the watch would not see it.
            self.hand_over(&mut core);
        }
        if matches!(self.driver, Driver::Caller) && core.driving.is_none() {
            self.rest(&mut core);
        }
        let may_go_on = held_up && core.wants_input();
        drop(core);
        if may_go_on {
            self.wake_driver();
        }
    }

    /// Waits for the next response with this Message ID or, with `requests`, the next request of the peer.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn receive(self: &Arc<Self>, patience: &mut Patience<'_>, id: u16, requests: bool) -> Result<Reply, WaitError> {
        self.wait(patience, |core| {
            // What came before the final response is performed before it is told: afterwards nobody would.
            if requests && let Some(request) = core.jobs.start_request() {
                return Some(Ok(Reply::Request(request)));
            }
            if let Some(response) = core.take_response(&[id]) {
                return Some(Ok(Reply::Response(response)));
            }
            core.end.is_some().then_some(Err(WaitError::Ended))
        })?
    }

    /// Waits for the first response with any of these Message IDs.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn receive_any(self: &Arc<Self>, patience: &mut Patience<'_>, ids: &[u16]) -> Result<Message, WaitError> {
        self.wait(patience, |core| {
            if let Some(response) = core.take_response(ids) {
                return Some(Ok(response));
            }
            core.end.is_some().then_some(Err(WaitError::Ended))
        })?
    }

    /// Waits as [`receive`](Self::receive) does, and takes all responses with this Message ID that are there, up to the final one.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn receive_all(self: &Arc<Self>, patience: &mut Patience<'_>, id: u16) -> Result<VecDeque<Message>, WaitError> {
        self.wait(patience, |core| {
            let taken = core.take_responses(id);
            if !taken.is_empty() {
                return Some(Ok(taken));
            }
            core.end.is_some().then_some(Err(WaitError::Ended))
        })?
    }

    /// The responses with this Message ID that are there, none at all among them; the observer is told when there is one.
    ///
    /// # Errors
    /// [`WaitError::Ended`] where there are none and none will come.
    pub fn take_responses(
        &self,
        id: u16,
        observer: Arc<dyn Observer>,
        token: u64,
    ) -> Result<VecDeque<Message>, WaitError> {
        self.take(observer, token, &[id], |core| core.take_responses(id), VecDeque::is_empty)
    }

    /// The first response with one of these Message IDs, if it is there; the observer is told when there is one.
    ///
    /// # Errors
    /// [`WaitError::Ended`] where there is none and none will come.
    pub fn take_response(
        &self,
        ids: &[u16],
        observer: Arc<dyn Observer>,
        token: u64,
    ) -> Result<Option<Message>, WaitError> {
        self.take(observer, token, ids, |core| core.take_response(ids), Option::is_none)
    }

    fn take<T>(
        &self,
        observer: Arc<dyn Observer>,
        token: u64,
        ids: &[u16],
        take: impl FnOnce(&mut Core) -> T,
        is_nothing: impl FnOnce(&T) -> bool,
    ) -> Result<T, WaitError> {
        let mut core = self.lock();
        let held_up = !core.wants_input();
        let taken = take(&mut core);
        if is_nothing(&taken) {
            if core.end.is_some() {
                return Err(WaitError::Ended);
            }
            core.observe(Want::Response(ids.to_vec()), observer, token);
        }
        let may_go_on = held_up && core.wants_input();
        drop(core);
        if may_go_on {
            self.wake_driver();
        }
        Ok(taken)
    }

    /// Asks for the release. Nothing where the association is over.
    pub fn begin_release(&self) {
        self.with(|core, now| {
            if core.end.is_none() {
                // Refused only where a release or an abort is already under way: both end it.
                let _ = core.association.release(now);
                if let Some(socket) = &core.socket {
                    socket.leave();
                }
            }
        });
    }

    /// A request of the peer has had its final response, or will never have one.
    pub fn performed(&self, request: &Message) {
        let id = request.command.message_id().unwrap_or(0);
        self.with(|core, now| {
            if request.turn.is_none() {
                core.count_request(request);
            }
            if let Some(at) = core.performing.iter().position(|(performing, _)| *performing == id) {
                core.performing.remove(at);
            }
            core.mark_busy(now);
        });
    }

    /// Asks for the release and waits until it is confirmed and the transport closed.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`]; none where it is over already.
    pub fn release(self: &Arc<Self>, patience: &mut Patience<'_>) -> Result<(), WaitError> {
        self.begin_release();
        self.wait(patience, |core| core.end.is_some().then_some(()))
    }

    /// Waits until the negotiation is over, either way.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`].
    pub fn negotiated(self: &Arc<Self>, patience: &mut Patience<'_>) -> Result<(), WaitError> {
        self.wait(patience, |core| (core.established || core.end.is_some()).then_some(()))
    }

    /// Waits until the service has been told of everything that has happened so far.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`].
    pub fn told(self: &Arc<Self>, patience: &mut Patience<'_>) -> Result<(), WaitError> {
        let next = |core: &mut Core| match core.jobs.start_serial() {
            Some(job) => Some(Some(job)),
            None => core.jobs.is_told().then_some(None),
        };
        while let Some(job) = self.wait(patience, next)? {
            self.submit(vec![job]);
        }
        Ok(())
    }

    /// Waits until the transport is closed.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`].
    pub fn closed(self: &Arc<Self>, patience: &mut Patience<'_>) -> Result<(), WaitError> {
        self.wait(patience, |core| core.transport.is_none().then_some(()))
    }
}

impl Core {
    fn take_response(&mut self, ids: &[u16]) -> Option<Message> {
        let is_wanted = |r: &Message| r.command.message_id_responded_to().is_some_and(|id| ids.contains(&id));
        let at = self.responses.iter().position(is_wanted)?;
        let taken = self.responses.remove(at)?;
        self.response_bytes -= taken.dataset_length();
        Some(taken)
    }

    fn take_responses(&mut self, id: u16) -> VecDeque<Message> {
        if self.responses.is_empty() {
            return VecDeque::new();
        }
        let all = std::mem::take(&mut self.responses);
        let (taken, others): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|response| response.command.message_id_responded_to() == Some(id));
        self.response_bytes = others.iter().map(Message::dataset_length).sum();
        self.responses = others;
        taken
    }
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
