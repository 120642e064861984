//! What the lock of a connection protects: the association, what has come and what has still to go.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dimsefast_protocol::association::Association;

use crate::admission::Admission;
use crate::ending::End;
use crate::jobs::{Job, Jobs, Notice};
use crate::message::Message;
use crate::observe::Observation;
use crate::sink::{Object, Sink, StorePlan};
use crate::statistics::{AssociationCounts, Statistics};
use crate::tls;
use crate::trace::Tracer;
use crate::transport::Transport;
use crate::wake::Waker;
use crate::watch::WatchedSocket;

/// Output above which a connection stops reading, in bytes: a peer that asks and never reads the answers must not make us hold them. More
/// than a batch, so that two peers that send to each other at the same time go on reading.
const UNREAD_OUTPUT: usize = 4 << 20;

/// Requests that may wait in a connection before it stops reading.
const WAITING_JOBS: usize = 16;

/// Responses that may wait in a connection before it stops reading, and the bytes of their datasets.
const WAITING_RESPONSES: usize = 4096;
const WAITING_BYTES: u64 = 1 << 20;

/// An association on its transport, as long as somebody drives it.
pub(crate) struct Core {
    pub(crate) transport: Option<Box<dyn Transport>>,
    /// The socket of a caller's connection.
    pub(crate) socket: Option<Arc<WatchedSocket>>,
    /// What the service has not yet taken.
    pub(crate) bridge: Option<tls::Bridge>,
    /// The other end, for logs; none where the two are joined in memory.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) association: Association,
    /// What a busy association's driver sleeps at most, so that it sees the idle time begin.
    pub(crate) network_timeout: Option<Duration>,
    /// Received and not yet understood: the beginning of a PDU, or what came before it was the service's turn.
    pub(crate) unread: Vec<u8>,
    /// The length of the last object that went to memory: they mostly come in series.
    pub(crate) last_length: usize,
    /// See [`Core::read`]: how often one may still read little in the hope that much of a dataset follows.
    pub(crate) hopes: u8,
    /// How much of the protocol's output has left.
    pub(crate) written: usize,
    /// How many bytes have left in all.
    pub(crate) total_written: u64,
    /// When something left last.
    pub(crate) last_write: Duration,
    pub(crate) incoming: Option<Incoming>,
    pub(crate) responses: VecDeque<Message>,
    /// The bytes of their datasets.
    pub(crate) response_bytes: u64,
    pub(crate) jobs: Jobs,
    /// Requests of the peer that are not yet answered, by Message ID.
    pub(crate) performing: Vec<(u16, Arc<AtomicBool>)>,
    /// Requests of ours that are not yet answered, by Message ID.
    pub(crate) invoked: Vec<u16>,
    pub(crate) last_message_id: u16,
    /// A message is being sent in several steps.
    pub(crate) sending: bool,
    /// What wakes the thread that waits on the socket and will drive, if one does.
    pub(crate) driving: Option<Arc<Waker>>,
    /// How many threads wait for [`Connection::changed`]: telling them is a system call, whether they are there or not.
    pub(crate) waiting: usize,
    /// What others wait for who are not threads.
    pub(crate) observations: Vec<Observation>,
    pub(crate) established: bool,
    /// Shared with the connection.
    pub(crate) end: Arc<OnceLock<End>>,
    /// Set once, before any dataset of a C-STORE comes in.
    pub(crate) store: StorePlan,
    /// Bits of [`Notice`], those below, and the TRACE ones.
    pub(crate) bound: u32,
    pub(crate) tracer: Tracer,
    /// The acceptor's side of negotiation; none for a requestor.
    pub(crate) admission: Option<Admission>,
    /// Until when nothing is read: the peer is beyond its quota.
    pub(crate) paused_until: Option<Duration>,
    /// Those of the server that accepted it; none for a requestor.
    pub(crate) statistics: Option<Arc<Statistics>>,
    pub(crate) counts: AssociationCounts,
    /// Responses without a request, and other things that were dropped.
    pub(crate) dropped: u64,
}

/// A message whose dataset is coming in.
pub(crate) struct Incoming {
    pub(crate) message: Message,
    pub(crate) sink: Sink,
    pub(crate) object: Object,
    /// Its last fragment has come.
    pub(crate) whole: bool,
    /// It is the service's turn: nothing more is taken in until [`Connection::proceed`].
    pub(crate) waits: bool,
}

impl Core {
    pub(crate) fn new(association: Association, transport: Box<dyn Transport>, store: StorePlan, bound: u32) -> Self {
        let mut core = Self {
            transport: Some(transport),
            socket: None,
            bridge: None,
            peer: None,
            association,
            network_timeout: None,
            unread: Vec::new(),
            last_length: 0,
            hopes: 0,
            written: 0,
            total_written: 0,
            last_write: Duration::ZERO,
            incoming: None,
            responses: VecDeque::new(),
            response_bytes: 0,
            jobs: Jobs::default(),
            performing: Vec::new(),
            invoked: Vec::new(),
            last_message_id: 0,
            sending: false,
            driving: None,
            waiting: 0,
            observations: Vec::new(),
            established: false,
            end: Arc::default(),
            store,
            bound,
            tracer: Tracer::default(),
            admission: None,
            paused_until: None,
            statistics: None,
            counts: AssociationCounts::default(),
            dropped: 0,
        };
        if core.is_traced() {
            core.set_traced();
        }
        core.notify(Notice::ConnectionOpen);
        core
    }

    pub(crate) fn has_output(&self) -> bool {
        self.transport.is_some() && self.unwritten() > 0
    }

    /// How many bytes wait to be written, here and in the transport.
    pub(crate) fn unwritten(&self) -> usize {
        let held = self.transport.as_ref().map_or(0, |transport| transport.unsent());
        self.association.output_length() - self.written + held
    }

    /// Whether there is something to read that the socket does not know of any more.
    pub(crate) fn has_input(&self) -> bool {
        self.wants_input() && self.transport.as_ref().is_some_and(|transport| transport.has_input())
    }

    /// Whether the service has its turn.
    pub(crate) fn waits_for_service(&self) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.waits)
    }

    /// Whether this side has enough to do with what has come: the service, or whoever waits for responses.
    fn is_held_up(&self) -> bool {
        self.waits_for_service()
            || self.jobs.waiting() >= WAITING_JOBS
            || self.responses.len() >= WAITING_RESPONSES
            || self.response_bytes >= WAITING_BYTES
    }

    /// Tells the protocol whether the peer's silence is its own.
    pub(crate) fn hold(&mut self, now: Duration) {
        let held = self.is_held_up();
        self.association.set_held(now, held);
    }

    pub(crate) fn wants_input(&self) -> bool {
        !self.is_held_up()
            && self.paused_until.is_none()
            && self.association.output_length() - self.written < UNREAD_OUTPUT
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.trace();
        if self.bound & notice.bit() != 0 {
            self.jobs.push(Job::Notice(notice));
        }
    }

    pub(crate) fn start_jobs(&mut self) -> Vec<Job> {
        std::iter::from_fn(|| self.jobs.start()).collect()
    }

    /// The idle time-out runs only while nobody works on a request.
    pub(crate) fn mark_busy(&mut self, now: Duration) {
        let busy = !self.performing.is_empty() || !self.invoked.is_empty();
        self.association.set_busy(now, busy);
    }
}
