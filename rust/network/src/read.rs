//! Reading from the transport, into a buffer or straight to where the bytes belong.

use std::io::{self, ErrorKind};
use std::time::Duration;

use dimsefast_protocol::association::Fragment;

use crate::core::Core;
use crate::drive::Drove;
use crate::trace::ANY_PDUS;

/// The size of a read, in bytes. One buffer a thread: idle connections hold none.
pub(crate) const READ: usize = 256 << 10;

/// What is read where a dataset for memory is expected to follow in PDVs of at least [`DIRECT`], in bytes: headers, and little of it.
const LITTLE: usize = 4 << 10;

/// The rest of a PDV that is worth a read of its own, straight to memory, in bytes.
const DIRECT: usize = 64 << 10;

/// The beginning of an A-ASSOCIATE PDU, in bytes, that is not copied for each piece that follows: a slow peer would
/// have us do little else.
const LONG: usize = 64 << 10;

/// How many reads of [`LITTLE`] may be in vain before large ones come back.
const HOPES: u8 = 4;

/// Reads in a row before others get their turn.
const READS: usize = 8;

impl Core {
    /// Reads, mostly into the buffer, from which the protocol's fragments go on to their sinks. The long PDVs of a dataset that is received
    /// into memory are read to where they belong; for that, what is before them is read apart, once it has been seen that this peer sends such.
    pub(crate) fn read(&mut self, now: Duration, buffer: &mut [u8], drain: bool) -> Drove {
        for _ in 0..READS {
            if !self.wants_input() {
                return Drove::Drained;
            }
            let direct = self.read_directly(now);
            if let Some(Ok(whole)) = direct {
                if !whole && !drain {
                    return Drove::Drained;
                }
                continue;
            }
            let held = self.unread.len();
            let is_long = held >= LONG;
            if !is_long {
                buffer[..held].copy_from_slice(&self.unread);
            }
            let end = if self.hopes > 0 && held == 0 { LITTLE } else { buffer.len() };
            let Some(transport) = &mut self.transport else { return Drove::Drained };
            let read = match direct.unwrap_or(Ok(false)).and_then(|_| {
                if is_long { transport.append(&mut self.unread, READ) } else { transport.read(&mut buffer[held..end]) }
            }) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Drove::Drained,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // An error of the socket's is the end of the stream as well.
                Ok(_) | Err(_) => {
                    self.association.handle_transport_closed(now);
                    self.settle(now);
                    return Drove::Drained;
                }
            };
            self.charge(now, read, 0);
            let short = if is_long { read < READ } else { held + read < end };
            if is_long {
                let mut bytes = std::mem::take(&mut self.unread);
                let consumed = self.take_in(now, &bytes);
                bytes.drain(..consumed);
                self.unread = bytes;
            } else {
                let consumed = self.take_in(now, &buffer[..held + read]);
                self.unread.clear();
                self.unread.extend_from_slice(&buffer[consumed..held + read]);
            }
            if self.unread.is_empty() {
                // Idle connections hold no memory.
                self.unread = Vec::new();
            }
            self.hope(end == LITTLE);
            if let (Some(transport), true) = (&self.transport, self.incoming.is_some() || !self.unread.is_empty()) {
                transport.acknowledge_now();
            }
            if short && !drain {
                return Drove::Drained;
            }
            if short {
                // Mostly there is nothing more: the answer does not wait for the read that finds that out.
                self.flush(now);
            }
        }
        Drove::Yielded
    }

    /// Reads the rest of a long PDV to where it belongs, if it is one; whether it took all that was asked for.
    fn read_directly(&mut self, now: Duration) -> Option<io::Result<bool>> {
        let left = self.association.dataset_left().min(READ);
        // The end of a long PDV as well, if it did not come at once.
        if left < (if self.hopes > 0 { LITTLE } else { DIRECT }) || !self.unread.is_empty() {
            return None;
        }
        let (Some(incoming), Some(transport)) = (&mut self.incoming, &mut self.transport) else { return None };
        let room = incoming.sink.room(left)?;
        let start = room.len();
        let length = match transport.append(room, left) {
            Ok(0) => return Some(Err(ErrorKind::UnexpectedEof.into())),
            Ok(length) => length,
            Err(error) => return Some(Err(error)),
        };
        let received = self.association.handle_bytes(now, &room[start..]);
        let traces = self.bound & ANY_PDUS != 0;
        let seen = traces.then(|| room[start..].to_vec());
        incoming.whole = matches!(received.fragment, Some(Fragment::Data { last: true, .. }));
        if left >= DIRECT {
            self.hopes = HOPES;
        }
        transport.acknowledge_now();
        self.charge(now, length, 0);
        if let Some(bytes) = seen {
            self.trace_received(&bytes);
        }
        self.advance(now);
        self.settle(now);
        Some(Ok(length == left))
    }

    /// Whether to go on reading little before datasets: as long as much of them follows.
    fn hope(&mut self, was_little: bool) {
        let left = self.association.dataset_left();
        let Some(incoming) = &mut self.incoming else { return };
        if left >= DIRECT && incoming.sink.room(left.min(READ)).is_some() {
            self.hopes = HOPES;
        } else if was_little {
            self.hopes -= 1;
        }
    }
}
