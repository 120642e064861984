//! Sending a message: cutting it into PDUs ahead of the wire, and handing it to the socket in large pieces.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dimsefast_protocol::command::CommandSet;
use dimsefast_protocol::fragment;

use crate::connection::{Connection, Driver, OUTPUT_HIGH_WATER, Output};
use crate::core::Core;
use crate::message::Payload;
use crate::waiting::{Patience, WaitError};

/// A dataset is handed to the socket in pieces of about this many bytes: most images are one.
const BATCH: usize = 1 << 20;

/// A message that is about to be sent: its beginning is in memory.
#[derive(Debug)]
pub struct Outgoing {
    context_id: u8,
    /// The largest fragment that the peer takes.
    piece: usize,
    /// PDUs that are ready.
    pub(crate) batch: Vec<u8>,
    /// How much of the dataset is in PDUs by now.
    at: u64,
    pub(crate) done: bool,
}

impl Outgoing {
    fn new(context_id: u8, piece: usize, command: &CommandSet, payload: Payload<'_>) -> io::Result<Self> {
        let is_short = payload.len() < BATCH as u64;
        let capacity = if is_short { payload.len() as usize + 1024 } else { BATCH + piece + fragment::HEADER };
        let done = matches!(payload, Payload::None);
        let mut outgoing = Self { context_id, piece, batch: Vec::with_capacity(capacity), at: 0, done };
        fragment::append_command(&mut outgoing.batch, context_id, command.as_bytes(), piece);
        outgoing.fill(payload)?;
        Ok(outgoing)
    }

    /// Makes PDUs until the batch is full or the dataset is in it.
    pub(crate) fn fill(&mut self, payload: Payload<'_>) -> io::Result<()> {
        while !self.done && self.batch.len() < BATCH {
            let left = payload.len() - self.at;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece);
            append_fragment(&mut self.batch, self.context_id, payload, self.at, length)?;
            self.at += length as u64;
            self.done = length as u64 == left;
        }
        Ok(())
    }
}

/// Appends one PDU with `length` bytes of the dataset from `at` on.
fn append_fragment(
    output: &mut Vec<u8>,
    context_id: u8,
    payload: Payload<'_>,
    at: u64,
    length: usize,
) -> io::Result<()> {
    let last = at + length as u64 == payload.len();
    // PS3.8 Annex E.1: a fragment has an even number of bytes; not every dataset has.
    let padding = length % 2;
    output.extend_from_slice(&fragment::data_pdu_header(context_id, false, last, length + padding));
    match payload {
        Payload::None => {}
        Payload::Bytes(bytes) => {
            // Within memory.
            let at = at as usize;
            output.extend_from_slice(&bytes[at..at + length]);
        }
        Payload::Object(source) => source.read_at(at, length, output)?,
    }
    output.resize(output.len() + padding, 0);
    Ok(())
}

impl Connection {
    /// Sends a message, whole: nothing else of this association comes in between. With [`Output::Soon`] it may leave a moment later, together
    /// with those that follow.
    ///
    /// # Errors
    /// [`WaitError`]; after a failure in the middle the association is aborted.
    pub fn send(
        self: &Arc<Self>,
        patience: &mut Patience<'_>,
        context_id: u8,
        command: &CommandSet,
        payload: Payload<'_>,
        output: Output,
    ) -> Result<(), WaitError> {
        if let Some(sent) = self.send_small(context_id, command, payload, output) {
            return sent;
        }
        let outgoing = self.prepare(context_id, command, payload)?;
        self.send_prepared(patience, outgoing, payload)
    }

    /// Reads and cuts the beginning of a message, ahead of its turn.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn prepare(&self, context_id: u8, command: &CommandSet, payload: Payload<'_>) -> io::Result<Outgoing> {
        let piece = self.lock().association.max_fragment();
        Outgoing::new(context_id, piece, command, payload)
    }

    /// Sends a message of small size in one go, where nothing stands in its way; `None` where something does.
    fn send_small(
        &self,
        context_id: u8,
        command: &CommandSet,
        payload: Payload<'_>,
        output: Output,
    ) -> Option<Result<(), WaitError>> {
        let (Payload::None | Payload::Bytes(_)) = payload else { return None };
        if payload.len() > OUTPUT_HIGH_WATER as u64 {
            return None;
        }
        self.with_output(output, |core, now| {
            if core.is_over() {
                return Some(Err(WaitError::Ended));
            }
            if !core.has_room() {
                return None;
            }
            if let Err(error) = core.association.send_command(now, context_id, command) {
                return Some(Err(error.into()));
            }
            let piece = core.association.max_fragment();
            let output = core.association.output();
            let (length, mut at) = (payload.len(), 0);
            let mut done = matches!(payload, Payload::None);
            while !done {
                let fragment = piece.min((length - at) as usize);
                if let Err(error) = append_fragment(output, context_id, payload, at, fragment) {
                    return Some(Err(error.into()));
                }
                at += fragment as u64;
                done = at == length;
            }
            Some(Ok(()))
        })
    }

    /// Sends what was prepared. `payload` is that of [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(
        self: &Arc<Self>,
        patience: &mut Patience<'_>,
        outgoing: Outgoing,
        payload: Payload<'_>,
    ) -> Result<(), WaitError> {
        self.wait(patience, |core| {
            if core.is_over() {
                return Some(Err(WaitError::Ended));
            }
            core.has_room().then(|| {
                core.sending = true;
                Ok(())
            })
        })??;
        let sent = self.send_batches(patience, outgoing, payload);
        self.with(|core, _| core.sending = false);
        if sent.is_err() {
            // The peer has the beginning of a message that will never be whole.
            self.abort();
        }
        sent
    }

    fn send_batches(
        self: &Arc<Self>,
        patience: &mut Patience<'_>,
        mut outgoing: Outgoing,
        payload: Payload<'_>,
    ) -> Result<(), WaitError> {
        // Nobody writes for a caller between its calls: nothing may be left over then.
        let may_stay = if matches!(self.driver, Driver::Runtime { .. }) { OUTPUT_HIGH_WATER } else { 0 };
        loop {
            self.with(|core, now| core.put_out(now, &mut outgoing.batch))?;
            let done = outgoing.done;
            if !done {
                // Read while the last piece is on its way.
                outgoing.batch.clear();
                outgoing.fill(payload)?;
            }
            self.wait_until_written(patience, if done { may_stay } else { 0 })?;
            // What is large takes its time: the time-out is for a peer that takes nothing any more, and for its answer.
            patience.restart();
            if done {
                return Ok(());
            }
        }
    }

    /// Waits until at most `may_stay` bytes are unwritten, for as long as they become fewer.
    fn wait_until_written(self: &Arc<Self>, patience: &mut Patience<'_>, may_stay: usize) -> Result<(), WaitError> {
        let mut left = self.lock().unwritten();
        loop {
            let mut now = left;
            let waited = self.wait(patience, |core| {
                if core.is_over() {
                    return Some(Err(WaitError::Ended));
                }
                now = core.unwritten();
                (now <= may_stay).then_some(Ok(()))
            });
            match waited {
                Err(WaitError::Timeout) if now < left => {
                    left = now;
                    patience.restart();
                }
                other => return other?,
            }
        }
    }
}

impl Core {
    /// Puts out a batch of PDUs; what is in its place afterwards is of no use.
    pub(crate) fn put_out(&mut self, now: Duration, batch: &mut Vec<u8>) -> Result<(), WaitError> {
        self.association.send_data(now)?;
        let output = self.association.output();
        if output.is_empty() {
            std::mem::swap(output, batch);
        } else {
            output.extend_from_slice(batch);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
