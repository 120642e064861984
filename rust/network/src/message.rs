//! Whole DIMSE messages, received and to be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dimsefast_protocol::command::CommandSet;

use crate::sink::Received;
use crate::source::Source;

/// A received message.
#[derive(Debug)]
pub struct Message {
    /// The presentation context it came in.
    pub context_id: u8,
    /// Its command set.
    pub command: CommandSet,
    /// Its dataset, where it has one.
    pub data: Option<Received>,
    cancelled: Arc<AtomicBool>,
}

impl Message {
    /// A message that nobody has cancelled.
    pub fn new(context_id: u8, command: CommandSet, data: Option<Received>) -> Self {
        Self { context_id, command, data, cancelled: Arc::default() }
    }

    /// Whether a C-CANCEL for it has come, or its association is over.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn cancellation(&self) -> Arc<AtomicBool> {
        self.cancelled.clone()
    }
}

/// The dataset of a message to be sent.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// None: the command set says so.
    None,
    /// Encoded bytes.
    Bytes(&'a [u8]),
    /// An object's file.
    Object(&'a Source),
}

impl Payload<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Object(source) => source.len(),
        }
    }
}
