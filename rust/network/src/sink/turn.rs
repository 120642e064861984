//! What the service does while a dataset comes in, and what it says then.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::StorePlan;

/// How much a writer of the service gets at a time, in bytes; at the end of the dataset less.
pub(super) const WRITER_PIECE: usize = 1 << 20;

/// What the service writes to. The core only keeps it, as long as the dataset comes in.
pub type Writer = Arc<dyn Any + Send + Sync>;

/// What the service does before a dataset goes on.
pub enum Turn {
    /// Say where it belongs.
    Decide,
    /// Write the next piece.
    Write {
        /// Where to.
        writer: Writer,
        /// The piece.
        bytes: Vec<u8>,
        /// Whether the dataset ends with it.
        last: bool,
    },
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decide => f.write_str("Decide"),
            Self::Write { bytes, last, .. } => write!(f, "Write {{ {} bytes, last: {last} }}", bytes.len()),
        }
    }
}

/// What the service says when it had its turn.
#[derive(Clone)]
pub enum Answer {
    /// It goes there. [`StorePlan::Ask`] counts as memory.
    Into(StorePlan),
    /// The service writes it itself, to this.
    Write(Writer),
    /// It has written its piece.
    Written,
    /// The rest is dropped, and this status answered.
    Refuse(u16),
}

/// What the service writes.
pub(super) struct Written {
    writer: Writer,
    /// Not yet given to it.
    held: Vec<u8>,
    /// In all.
    pub(super) length: u64,
    /// It has been given the last piece.
    ended: bool,
}

impl Written {
    /// Begins with what came before.
    pub(super) fn new(writer: Writer, held: Vec<u8>) -> Self {
        Self { writer, length: held.len() as u64, held, ended: false }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.held.extend_from_slice(bytes);
    }

    /// Its next piece, if it is time for one.
    pub(super) fn turn(&mut self, whole: bool) -> Option<Turn> {
        if self.ended || !whole && self.held.len() < WRITER_PIECE {
            return None;
        }
        self.ended = whole;
        Some(Turn::Write { writer: self.writer.clone(), bytes: std::mem::take(&mut self.held), last: whole })
    }
}
