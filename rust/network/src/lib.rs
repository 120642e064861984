//! Associations over TCP: connecting, listening, driving, and moving datasets between sockets and files.
//!
//! Nothing in here knows Python. What needs an application is handed to a [`Service`] as a [`Job`]; everything else (negotiation
//! without handlers, C-ECHO, C-STORE into a folder) is settled where it was read.
//!
//! # The contract
//!
//! - A [`Connection`] may be used by any thread at any time. What waits takes a [`Patience`], which bounds it, and
//!   whose interruption is asked without any lock held; everything else returns at once. A requestor's connection from
//!   [`connect`] is driven by the threads that wait on it, one from [`Connecting`] and those of a [`Server`] by a task.
//! - A [`Service`] and an [`Observer`] are called without a lock, must not block, and must not call what waits. The end
//!   of a job is said with [`Connection::job_done`], once.
//! - Memory grows with what has come, not with what was announced, and is bounded for each connection; a connection
//!   that has enough is not read until somebody has taken some.
//! - The last reference to a connection aborts what is still open. In the child of a fork, [`process::forget_parent`]
//!   comes first; what was made before has another `generation` and is not to be used.

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
