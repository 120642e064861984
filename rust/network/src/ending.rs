//! How an association ends, and what becomes of what is in progress then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dimsefast_protocol::association::AbortCause;
use dimsefast_protocol::pdu::AssociateRj;
use dimsefast_protocol::types::{AbortReason, AbortSource};

use crate::core::Core;
use crate::jobs::Notice;
use crate::log::{self, Level};

/// How an association ended.
#[derive(Debug, Clone)]
pub enum End {
    /// The acceptor, or its service provider, said no.
    Rejected(AssociateRj),
    /// By A-RELEASE.
    Released,
    /// By A-ABORT, loss of the transport, or a time-out.
    Aborted {
        /// Whether the peer did it.
        by_peer: bool,
        /// Source in the A-ABORT PDU.
        source: AbortSource,
        /// Reason in the A-ABORT PDU.
        reason: AbortReason,
        /// What led to it.
        cause: AbortCause,
    },
}

impl Core {
    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whoever still works on a request of the peer works for nobody.
    pub(crate) fn cancel_all(&mut self) {
        for (_, cancelled) in &self.performing {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// The one end.
    pub(crate) fn finish(&mut self, end: End) {
        if self.is_over() {
            return;
        }
        self.log_end(&end);
        self.cancel_all();
        self.incoming = None;
        self.jobs.drop_requests();
        if !self.jobs.is_performing() {
            // Its seat is free for the next one as soon as the peer can know that it is over.
            self.admission = None;
        }
        self.count_end(&end);
        self.notify(match end {
            End::Rejected(_) => Notice::Rejected,
            End::Released => Notice::Released,
            End::Aborted { .. } => Notice::Aborted,
        });
        // Last: who sees it without the lock finds the rest behind it.
        let _ = self.end.set(end);
    }

    /// Says how an association ended, where it is worth a line.
    fn log_end(&self, end: &End) {
        match end {
            End::Released => log::record(Level::Debug, || format!("association released: {}", self.who())),
            End::Rejected(reject) => {
                log::record(Level::Info, || format!("association rejected ({}): {}", reject.words(), self.who()));
            }
            End::Aborted { cause: cause @ AbortCause::Protocol(_), .. } => {
                log::record(Level::Error, || {
                    format!("association aborted, the peer broke the protocol: {cause}: {}", self.who())
                });
            }
            End::Aborted { cause: AbortCause::NetworkTimeout, .. } => {
                log::record(Level::Error, || format!("Network timeout reached: association aborted: {}", self.who()));
            }
            End::Aborted { cause: AbortCause::PeerClosed, .. } if self.awaits_bytes() => {
                log::record(Level::Error, || {
                    format!("Connection closed before the entire PDU was received: {}", self.who())
                });
            }
            End::Aborted { cause, .. } => {
                log::record(Level::Info, || format!("association aborted ({cause}): {}", self.who()));
            }
        }
    }

    /// Whether the peer has not said all that it had to: an answer, a PDU, or a message.
    fn awaits_bytes(&self) -> bool {
        !self.established || self.incoming.is_some() || !self.unread.is_empty()
    }

    /// Closes the transport, after what it still takes.
    pub(crate) fn close(&mut self, now: Duration) {
        self.flush(now);
        if let Some(mut transport) = self.transport.take() {
            transport.close();
            self.unread = Vec::new();
            self.incoming = None;
            self.notify(Notice::ConnectionClosed);
            *self.association.output() = Vec::new();
            self.tracer.output_taken();
            self.written = 0;
        }
        self.socket = None;
    }

    /// Whose association it is, for a line in a log: AE titles and the peer's address.
    pub(crate) fn who(&self) -> String {
        let titles = self.association.request().map_or_else(
            || "nobody yet".to_owned(),
            |request| format!("{} calling {}", request.calling.to_string_lossy(), request.called.to_string_lossy()),
        );
        match self.peer {
            Some(peer) => format!("{titles}, peer {peer}"),
            None => titles,
        }
    }
}
