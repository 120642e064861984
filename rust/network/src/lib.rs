//! Associations over TCP: connecting, listening, driving, and moving datasets between sockets and files.
//!
//! Nothing in here knows Python. What needs an application is handed to a [`Service`] as a [`Job`]; everything else (negotiation
//! without handlers, C-ECHO, C-STORE into a folder) is settled where it was read.

#![deny(unsafe_op_in_unsafe_fn)]

mod admission;
mod connect;
mod connecting;
mod connection;
mod core;
mod drive;
mod ending;
pub mod index;
mod jobs;
mod listen;
pub mod log;
mod message;
mod observe;
mod operation;
pub mod part10;
mod per_process;
mod post;
pub mod process;
mod proxy;
mod quota;
mod read;
mod send;
mod service;
mod sink;
mod source;
mod statistics;
mod task;
pub mod tls;
mod trace;
pub mod transport;
mod waiting;
mod wake;
mod watch;

pub use admission::{AcceptorConfig, NegotiationReply};
pub use connect::{Request, Security, connect};
pub use connecting::Connecting;
pub use connection::{BOUND_ECHO, BOUND_NEGOTIATION, BOUND_STORE, Connection, Negotiation, Output, Service};
pub use dimsefast_protocol as protocol;
pub use ending::End;
pub use jobs::{Job, JobKind, Notice};
pub use listen::Server;
pub use message::{Message, Payload};
pub use observe::{Observer, Wakeup, Want};
pub use operation::Reply;
pub use per_process::PerProcess;
pub use post::{Payloads, Post};
pub use proxy::Proxies;
pub use quota::Quota;
pub use send::Outgoing;
pub use sink::{
    Answer, Attributes, Body, Change, Duplicates, FileIdentity, FolderPlan, Header, Journal, Layout, LayoutError,
    Position, Received, Record, StorePlan, Turn, Writer, check_attribute, import, remove_leftovers, safe_uid,
    safe_value, uid_hash,
};
pub use source::Source;
pub use statistics::{AssociationCounts, OperationStatistics, Outcome, ServerStatistics};
pub use trace::{TRACE_COMMANDS, TRACE_PDUS, TRACE_TRANSITIONS, Trace, Traced};
pub use waiting::{Patience, WaitError};
