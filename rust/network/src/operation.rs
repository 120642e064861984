//! What threads do on a connection: receive responses, release.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::connection::{Connection, Driver};
use crate::core::Core;
use crate::message::Message;
use crate::observe::{Observer, Want};
use crate::waiting::{Patience, WaitError};

/// What a thread that waits for a response gets.
#[derive(Debug)]
pub enum Reply {
    /// A response with the Message ID that was asked for.
    Response(Message),
    /// A request of the peer that the waiting thread performs: a C-STORE that belongs to its C-GET.
    Request(Box<Message>),
}

impl Connection {
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

    /// Message IDs go on behind this one.
    pub fn number_after(&self, id: u16) {
        self.lock().last_message_id = id;
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
            core.is_over().then_some(Err(WaitError::Ended))
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
            core.is_over().then_some(Err(WaitError::Ended))
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
            core.is_over().then_some(Err(WaitError::Ended))
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
            if core.is_over() {
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
            if !core.is_over() {
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
        self.wait(patience, |core| core.is_over().then_some(()))
    }

    /// Waits until the negotiation is over, either way.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`].
    pub fn negotiated(self: &Arc<Self>, patience: &mut Patience<'_>) -> Result<(), WaitError> {
        self.wait(patience, |core| (core.established || core.is_over()).then_some(()))
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
