//! One association: the state machine, its timers, and the messages that pass. See the crate's documentation for how it is driven.

mod event;
mod receive;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::command::CommandSet;
use crate::fragment;
use crate::limits::Limits;
use crate::negotiation::{NegotiatedContext, negotiate_as_requestor};
use crate::pdu::{self, Abort, AssociateAc, AssociateRj, AssociateRq};
use crate::state::{self, Action, State, transition};
use crate::types::{AbortReason, AbortSource, ContextResult};

pub use event::{AbortCause, Event, NetworkTimeoutResponse, StateError, Transition};
use receive::Receiver;
pub use receive::{Fragment, Received};

/// The largest fragment for a peer without a limit, in bytes.
const FRAGMENT_CEILING: usize = 256 << 10;

/// How long to wait for the close of the transport where no ACSE time-out is set: a peer that never closes costs nothing for ever.
const CLOSE_WAIT: Duration = Duration::from_secs(30);

/// Limits and time-outs of an association.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the peer may make us hold.
    pub limits: Limits,
    /// Our maximum length received, in bytes; 0 for no limit.
    pub max_pdu_length: u32,
    /// How long to wait for the answer to A-ASSOCIATE and A-RELEASE, for an A-ASSOCIATE-RQ, and for the close of the transport (ARTIM).
    pub acse_timeout: Option<Duration>,
    /// How long nothing may pass while nobody works on a request.
    pub network_timeout: Option<Duration>,
    /// What is done when that has passed.
    pub network_timeout_response: NetworkTimeoutResponse,
    /// How long a PDU may take from its first byte to its last.
    pub pdu_timeout: Option<Duration>,
}

/// One association, in either role.
pub struct Association {
    config: Config,
    is_requestor: bool,
    state: State,
    request: Option<Arc<AssociateRq>>,
    reply: Option<Arc<AssociateAc>>,
    contexts: Arc<[NegotiatedContext]>,
    max_fragment: usize,
    receiver: Receiver,
    events: VecDeque<Event>,
    output: Vec<u8>,
    finished: bool,
    busy: bool,
    held: bool,
    artim: Option<Duration>,
    acse_deadline: Option<Duration>,
    pdu_deadline: Option<Duration>,
    last_traffic: Duration,
    oversized: u64,
    trace: Option<Vec<Transition>>,
}

impl Association {
    fn new(config: Config, is_requestor: bool, now: Duration) -> Self {
        Self {
            config,
            is_requestor,
            state: State::Sta1,
            request: None,
            reply: None,
            contexts: Arc::default(),
            max_fragment: 2,
            receiver: Receiver::default(),
            events: VecDeque::new(),
            output: Vec::new(),
            finished: false,
            busy: false,
            held: false,
            artim: None,
            acse_deadline: None,
            pdu_deadline: None,
            last_traffic: now,
            oversized: 0,
            trace: None,
        }
    }

    /// A requestor that waits for its transport connection (Evt1).
    pub fn requestor(config: Config, request: AssociateRq, now: Duration) -> Self {
        let mut association = Self::new(config, true, now);
        association.request = Some(Arc::new(request));
        association.step(now, state::Event::Evt1);
        association
    }

    /// An acceptor on a transport connection that has just been opened (Evt5).
    pub fn acceptor(config: Config, now: Duration) -> Self {
        let mut association = Self::new(config, false, now);
        association.step(now, state::Event::Evt5);
        association
    }

    // What goes in ------------------------------------------------------------------------------------------------------

    /// The requestor's transport connection is open (Evt2): sends the A-ASSOCIATE-RQ.
    pub fn transport_connected(&mut self, now: Duration) {
        if self.step(now, state::Event::Evt2).is_some() {
            if let Some(request) = &self.request {
                request.encode(&mut self.output);
            }
            self.acse_deadline = self.after(now, self.config.acse_timeout);
        }
    }

    /// The transport connection is closed (Evt17).
    pub fn handle_transport_closed(&mut self, now: Duration) {
        if self.step(now, state::Event::Evt17) == Some(Action::AA4) {
            self.aborted(AbortSource::PROVIDER, AbortReason::NOT_SPECIFIED, true, AbortCause::PeerClosed);
        }
        self.close();
    }

    /// Time has passed: does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.artim) {
            self.artim = None;
            self.step(now, state::Event::Evt18);
            self.close();
        } else if due(self.acse_deadline) {
            self.abort_by(now, AbortCause::AcseTimeout);
        } else if due(self.pdu_due()) {
            self.abort_by(now, AbortCause::PduTimeout);
        } else if due(self.idle_deadline()) {
            self.network_timed_out(now);
        }
    }

    /// Accepts the request (Evt7). `contexts` are what the reply says, from this side's point of view.
    ///
    /// # Errors
    /// Where there is no request to accept.
    pub fn accept(
        &mut self,
        now: Duration,
        ac: AssociateAc,
        contexts: Vec<NegotiatedContext>,
    ) -> Result<(), StateError> {
        self.verb(now, state::Event::Evt7)?;
        ac.encode(&mut self.output);
        let peer = self.request.as_ref().and_then(|request| request.user.max_length);
        self.established(contexts, peer);
        self.reply = Some(Arc::new(ac));
        Ok(())
    }

    /// Rejects the request (Evt8).
    ///
    /// # Errors
    /// Where there is no request to reject.
    pub fn reject(&mut self, now: Duration, rj: AssociateRj) -> Result<(), StateError> {
        self.verb(now, state::Event::Evt8)?;
        rj.encode(&mut self.output);
        self.finish(Event::Rejected(rj));
        Ok(())
    }

    /// Asks for the release (Evt11).
    ///
    /// # Errors
    /// Where the association is not established.
    pub fn release(&mut self, now: Duration) -> Result<(), StateError> {
        self.verb(now, state::Event::Evt11)?;
        pdu::release_rq(&mut self.output);
        self.acse_deadline = self.after(now, self.config.acse_timeout);
        Ok(())
    }

    /// Confirms the release that the peer asked for (Evt14).
    ///
    /// # Errors
    /// Where it did not.
    pub fn release_response(&mut self, now: Duration) -> Result<(), StateError> {
        let action = self.verb(now, state::Event::Evt14)?;
        pdu::release_rp(&mut self.output);
        if action == Action::AR4 {
            self.acse_deadline = None;
            self.finish(Event::Released);
        }
        Ok(())
    }

    /// Aborts as the service user (Evt15). Nothing where it is over; a connection on which nothing was asked for yet is just closed.
    pub fn abort(&mut self, now: Duration) {
        self.abort_by(now, AbortCause::Local);
    }

    /// Aborts as the service provider, for what only the layers above could see; as after an invalid PDU (Evt19). Nothing where it is over.
    pub fn abort_provider(&mut self, now: Duration, reason: AbortReason) {
        if !self.finished {
            self.refuse(now, state::Event::Evt19, reason, AbortCause::Local);
            self.receiver.pass_over();
        }
    }

    /// Sends a command set in as many fragments as it takes (Evt9).
    ///
    /// # Errors
    /// Where no data may be sent now.
    pub fn send_command(&mut self, now: Duration, context_id: u8, command: &CommandSet) -> Result<(), StateError> {
        self.send_data(now)?;
        fragment::append_command(&mut self.output, context_id, command.as_bytes(), self.max_fragment);
        Ok(())
    }

    /// Data is about to be sent (Evt9) in PDUs that the caller makes with [`fragment`]: it appends them, whole, to [`output`](Self::output).
    ///
    /// # Errors
    /// Where no data may be sent now.
    pub fn send_data(&mut self, now: Duration) -> Result<(), StateError> {
        self.verb(now, state::Event::Evt9)?;
        self.last_traffic = now;
        Ok(())
    }

    /// While somebody works on a request the network time-out does not run.
    pub fn set_busy(&mut self, now: Duration, busy: bool) {
        if self.busy != busy {
            self.busy = busy;
            self.last_traffic = now;
        }
    }

    /// Nothing is read for now, on this side's own account: the silence is not the peer's, and neither the network
    /// time-out nor that of a PDU runs. Both begin anew when it is over.
    pub fn set_held(&mut self, now: Duration, held: bool) {
        if self.held != held {
            self.held = held;
            self.last_traffic = now;
            if self.pdu_deadline.is_some() {
                self.pdu_deadline = self.after(now, self.config.pdu_timeout);
            }
        }
    }

    /// Changes the ACSE time-out, from the next wait on.
    pub fn set_acse_timeout(&mut self, _now: Duration, timeout: Option<Duration>) {
        self.config.acse_timeout = timeout;
    }

    /// Changes the network time-out, and with it how long a PDU may take; the time that has passed counts.
    pub fn set_network_timeout(&mut self, _now: Duration, timeout: Option<Duration>) {
        self.config.network_timeout = timeout;
        self.config.pdu_timeout = timeout;
    }

    /// Says what is done when the network time-out has passed.
    pub fn set_network_timeout_response(&mut self, response: NetworkTimeoutResponse) {
        self.config.network_timeout_response = response;
    }

    /// Records transitions from now on, or no longer. The first one (Evt1 or Evt5), which made the association, is among them where nothing
    /// has happened since.
    pub fn trace(&mut self, on: bool) {
        let first = match self.state {
            State::Sta4 => Some((state::Event::Evt1, Action::AE1)),
            State::Sta2 => Some((state::Event::Evt5, Action::AE5)),
            _ => None,
        };
        let made = |(event, action)| Transition { state: State::Sta1, event, action, next: self.state };
        self.trace = on.then(|| first.map(made).into_iter().collect());
    }

    // What comes out ----------------------------------------------------------------------------------------------------

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if ever.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.artim, self.acse_deadline, self.pdu_due(), self.idle_deadline()].into_iter().flatten().min()
    }

    /// Bytes to send, in order; the caller takes them out.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// How many bytes there are to send.
    pub fn output_length(&self) -> usize {
        self.output.len()
    }

    /// The recorded transitions, taken out.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.trace.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The state it is in.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it is established: neither before nor in or after its end.
    pub fn is_established(&self) -> bool {
        self.state == State::Sta6
    }

    /// Whether this side asked for it.
    pub fn is_requestor(&self) -> bool {
        self.is_requestor
    }

    /// The A-ASSOCIATE-RQ, ours or the peer's.
    pub fn request(&self) -> Option<&Arc<AssociateRq>> {
        self.request.as_ref()
    }

    /// The A-ASSOCIATE-AC, ours or the peer's.
    pub fn reply(&self) -> Option<&Arc<AssociateAc>> {
        self.reply.as_ref()
    }

    /// The presentation contexts, rejected ones included, in the order of the request; none before the reply.
    pub fn contexts(&self) -> &Arc<[NegotiatedContext]> {
        &self.contexts
    }

    /// An accepted presentation context.
    pub fn context(&self, id: u8) -> Option<&NegotiatedContext> {
        self.contexts.iter().find(|context| context.id == id && context.result == ContextResult::ACCEPTED)
    }

    /// Bytes of a message in one fragment to the peer, at most.
    pub fn max_fragment(&self) -> usize {
        self.max_fragment
    }

    /// P-DATA-TF PDUs above our maximum that were tolerated.
    pub fn oversized(&self) -> u64 {
        self.oversized
    }

    // Within ------------------------------------------------------------------------------------------------------------

    /// Does what the table says for the state and the ARTIM timer; everything else is the caller's.
    fn step(&mut self, now: Duration, event: state::Event) -> Option<Action> {
        self.advance(now, event, false)
    }

    /// [`step`](Self::step), where a request that came may be rejected at once (AE-6).
    fn advance(&mut self, now: Duration, event: state::Event, rejected: bool) -> Option<Action> {
        let action = transition(self.state, event)?;
        let next = action.next_state(self.is_requestor, rejected);
        if let Some(trace) = &mut self.trace {
            trace.push(Transition { state: self.state, event, action, next });
        }
        self.state = next;
        match action {
            Action::AE5 => self.artim = self.after(now, self.config.acse_timeout),
            Action::AE6 if !rejected => self.artim = None,
            Action::AE6 | Action::AE8 | Action::AR4 | Action::AA1 | Action::AA8 => {
                self.artim = self.after(now, Some(self.config.acse_timeout.unwrap_or(CLOSE_WAIT)));
            }
            Action::AR5 | Action::AA2 | Action::AA5 => self.artim = None,
            _ => {}
        }
        if !matches!(next, State::Sta5 | State::Sta7 | State::Sta9 | State::Sta10 | State::Sta11) {
            self.acse_deadline = None;
        }
        if matches!(next, State::Sta13 | State::Sta1) {
            self.pdu_deadline = None;
        }
        Some(action)
    }

    fn verb(&mut self, now: Duration, event: state::Event) -> Result<Action, StateError> {
        let state = self.state;
        self.step(now, event).ok_or(StateError { state, event })
    }

    #[expect(clippy::unused_self, reason = "reads as what it is at each call")]
    fn after(&self, now: Duration, timeout: Option<Duration>) -> Option<Duration> {
        timeout.and_then(|timeout| now.checked_add(timeout))
    }

    /// When the PDU that is coming in has taken too long.
    fn pdu_due(&self) -> Option<Duration> {
        self.pdu_deadline.filter(|_| !self.held)
    }

    /// When the network time-out is over.
    fn idle_deadline(&self) -> Option<Duration> {
        let waiting = !self.held && (!self.busy || !self.receiver.is_between_messages());
        if self.state == State::Sta6 && waiting {
            return self.after(self.last_traffic, self.config.network_timeout);
        }
        None
    }

    fn network_timed_out(&mut self, now: Duration) {
        match self.config.network_timeout_response {
            NetworkTimeoutResponse::Release if self.receiver.is_between_messages() => {
                if self.release(now).is_ok() {
                    self.events.push_back(Event::NetworkTimeout);
                }
            }
            NetworkTimeoutResponse::ProviderAbort => {
                self.refuse(now, state::Event::Evt19, AbortReason::NOT_SPECIFIED, AbortCause::NetworkTimeout);
                self.receiver.pass_over();
            }
            _ => self.abort_by(now, AbortCause::NetworkTimeout),
        }
    }

    fn established(&mut self, contexts: Vec<NegotiatedContext>, peer_maximum: Option<u32>) {
        self.contexts = contexts.into();
        // A peer that says nothing sets no limit (PS3.8 D.1).
        self.max_fragment = fragment::max_fragment(peer_maximum.unwrap_or(0), FRAGMENT_CEILING).unwrap_or(2);
    }

    fn abort_by(&mut self, now: Duration, cause: AbortCause) {
        match self.step(now, state::Event::Evt15) {
            Some(Action::AA1) => {
                self.send_abort(AbortSource::USER, AbortReason::NOT_SPECIFIED);
                self.aborted(AbortSource::USER, AbortReason::NOT_SPECIFIED, false, cause);
                self.receiver.pass_over();
            }
            Some(_) => {
                self.aborted(AbortSource::USER, AbortReason::NOT_SPECIFIED, false, cause);
                self.close();
            }
            // Before an A-ASSOCIATE-RQ there is nothing to abort: the connection is closed, as by the ARTIM timer.
            None if self.state == State::Sta2 => {
                self.step(now, state::Event::Evt18);
                self.close();
            }
            None => {}
        }
    }

    /// Aborts for what the peer did, as the table says: AA-1 as the service user, AA-7 and AA-8 as the provider.
    fn refuse(&mut self, now: Duration, event: state::Event, reason: AbortReason, cause: AbortCause) {
        let Some(action) = self.step(now, event) else { return };
        let (source, reason) = match action {
            Action::AA1 => (AbortSource::USER, AbortReason::NOT_SPECIFIED),
            _ => (AbortSource::PROVIDER, reason),
        };
        self.send_abort(source, reason);
        self.aborted(source, reason, false, cause);
    }

    fn send_abort(&mut self, source: AbortSource, reason: AbortReason) {
        Abort { source, reason }.encode(&mut self.output);
    }

    fn aborted(&mut self, source: AbortSource, reason: AbortReason, by_peer: bool, cause: AbortCause) {
        self.finish(Event::Aborted { source, reason, by_peer, cause });
    }

    /// The one final event.
    fn finish(&mut self, event: Event) {
        if !self.finished {
            self.finished = true;
            self.events.push_back(event);
        }
    }

    /// Asks for the close of the transport, once.
    fn close(&mut self) {
        if self.state != State::Sta1 || self.receiver.is_closed() {
            return;
        }
        self.receiver.close();
        self.artim = None;
        self.events.push_back(Event::CloseTransport);
    }

    fn accepted(&mut self, ac: AssociateAc) {
        let contexts = self.request.as_ref().map(|request| negotiate_as_requestor(request, &ac)).unwrap_or_default();
        self.established(contexts, ac.user.max_length);
        let ac = Arc::new(ac);
        self.reply = Some(ac.clone());
        self.events.push_back(Event::Accepted(ac));
    }
}
