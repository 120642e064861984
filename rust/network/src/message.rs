//! Whole DIMSE messages, received and to be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dimsefast_protocol::command::{CommandSet, Status};

use crate::sink::{Header, Received, Turn};
use crate::source::Source;
use crate::statistics::{Outcome, Tally};

/// A received message.
#[derive(Debug)]
pub struct Message {
    /// The presentation context it came in.
    pub context_id: u8,
    /// Its command set.
    pub command: CommandSet,
    /// Its dataset, where it has one.
    pub data: Option<Received>,
    /// Attributes of the dataset of a C-STORE that were asked for.
    pub header: Header,
    /// The message is not whole yet: what the service does first, and then answers with
    /// [`Connection::proceed`](crate::Connection::proceed).
    pub turn: Option<Turn>,
    /// What a request has come to, for its server's statistics.
    pub(crate) tally: Tally,
    cancelled: Arc<AtomicBool>,
}

impl Message {
    /// A message that nobody has cancelled.
    pub fn new(context_id: u8, command: CommandSet, data: Option<Received>) -> Self {
        let (header, tally) = (Header::new(), Tally::default());
        Self { context_id, command, data, header, turn: None, tally, cancelled: Arc::default() }
    }

    /// The same message for the service's turn, while its dataset is coming in.
    pub(crate) fn at_turn(&self, turn: Turn) -> Self {
        Self {
            context_id: self.context_id,
            command: self.command.clone(),
            data: None,
            header: self.header.clone(),
            turn: Some(turn),
            tally: Tally::begun_with(&self.tally),
            cancelled: self.cancelled.clone(),
        }
    }

    /// Whether a C-CANCEL for it has come, or its association is over.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// A response to it with this status, and a dataset of `length` bytes, has been sent.
    pub fn answered(&self, status: Status, length: usize) {
        self.tally.answered(status, length as u64);
    }

    /// How it has been answered by now.
    pub fn outcome(&self) -> Outcome {
        self.tally.outcome()
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
