//! What an association has to say: events, what led to an abort, and the transitions of its state machine.

use alloc::sync::Arc;
use core::fmt;

use crate::error::PduError;
use crate::pdu::{AssociateAc, AssociateRj, AssociateRq};
use crate::state::{self, Action, State};
use crate::types::{AbortReason, AbortSource};

/// Something that happened.
///
/// Every association ends with exactly one of `Rejected`, `Released` and `Aborted`. A connection that ends in Sta2, before anything was
/// asked for, was no association yet: there is a `CloseTransport` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An A-ASSOCIATE-RQ came: answer with `accept` or `reject`.
    Requested(Arc<AssociateRq>),
    /// The A-ASSOCIATE-AC came: the association is established.
    Accepted(Arc<AssociateAc>),
    /// The peer wants to release: answer with `release_response`.
    ReleaseRequested,
    /// The network time-out passed, and the release was asked for.
    NetworkTimeout,
    /// Final: it was rejected, by either side. Without a `Requested` before where the protocol version is not ours.
    Rejected(AssociateRj),
    /// Final: it was released.
    Released,
    /// Final: it was aborted.
    Aborted {
        /// Source of the A-ABORT.
        source: AbortSource,
        /// Reason of the A-ABORT.
        reason: AbortReason,
        /// Whether the peer did it.
        by_peer: bool,
        /// What led to it.
        cause: AbortCause,
    },
    /// Close the transport, after what is still to be sent.
    CloseTransport,
}

/// What an association does when its network time-out has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkTimeoutResponse {
    /// Aborts as the service user.
    #[default]
    Abort,
    /// Aborts as the service provider.
    ProviderAbort,
    /// Asks for the release; aborts where the peer has left off within a message.
    Release,
}

/// What led to an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortCause {
    /// The peer sent an A-ABORT.
    PeerAbort,
    /// The transport was closed or lost.
    PeerClosed,
    /// The ACSE time-out passed.
    AcseTimeout,
    /// The network time-out passed.
    NetworkTimeout,
    /// A PDU was not complete in time.
    PduTimeout,
    /// The peer broke the protocol.
    Protocol(PduError),
    /// The local user.
    Local,
}

impl fmt::Display for AbortCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerAbort => f.write_str("A-ABORT received"),
            Self::PeerClosed => f.write_str("connection closed by the peer"),
            Self::AcseTimeout => f.write_str("ACSE time-out"),
            Self::NetworkTimeout => f.write_str("network time-out"),
            Self::PduTimeout => f.write_str("time-out within a PDU"),
            Self::Protocol(error) => write!(f, "{error}"),
            Self::Local => f.write_str("aborted locally"),
        }
    }
}

/// A verb that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateError {
    /// The state it was in.
    pub state: State,
    /// What was asked for.
    pub event: state::Event,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not possible in {}", self.event, self.state)
    }
}

impl core::error::Error for StateError {}

/// A transition of the state machine, for those who trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub state: State,
    /// What happened.
    pub event: state::Event,
    /// What was done.
    pub action: Action,
    /// The state after.
    pub next: State,
}
