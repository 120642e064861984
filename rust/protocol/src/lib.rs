//! The DICOM upper layer and message exchange (PS3.8 and PS3.7), without I/O.
//!
//! No sockets, no threads, no clock, no randomness: time is an argument, a [`core::time::Duration`] since an epoch of the caller's
//! choosing. The crate is `no_std`, so the compiler sees to it.
//!
//! # The drive contract
//!
//! An [`Association`](association::Association) is driven from outside, always in the same way:
//!
//! 1. Something goes in: bytes that were read ([`handle_bytes`]), the end of the stream ([`handle_transport_closed`]), a deadline that
//!    has passed ([`handle_timeout`]), or a verb of the local user (`accept`, `send_command`, `release`, `abort`, ...).
//! 2. Then everything that came of it is taken out: events until [`poll_event`] gives none, bytes to send from [`output`], and
//!    the next deadline from [`poll_timeout`].
//!
//! Fragments of DIMSE messages are not queued: [`handle_bytes`] returns them one at a time, borrowing the caller's buffer.
//!
//! [`handle_bytes`]: association::Association::handle_bytes
//! [`handle_transport_closed`]: association::Association::handle_transport_closed
//! [`handle_timeout`]: association::Association::handle_timeout
//! [`poll_event`]: association::Association::poll_event
//! [`poll_timeout`]: association::Association::poll_timeout
//! [`output`]: association::Association::output

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod association;
pub mod command;
pub mod error;
pub mod fragment;
pub mod limits;
pub mod negotiation;
pub mod pdu;
pub mod state;
pub mod types;
