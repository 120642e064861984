//! Moving bytes between the transport and the protocol, and taking in what that causes.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dimsefast_protocol::association::{Event, Fragment};
use dimsefast_protocol::command::{self, CommandField, CommandSet, Status};

use crate::connection::{BOUND_ECHO, BOUND_NEGOTIATION, BOUND_STORE};
use crate::core::{Core, Incoming};
use crate::ending::End;
use crate::jobs::{Job, Notice};
use crate::log::{self, Level};
use crate::message::Message;
use crate::read::READ;
use crate::sink::{Answer, Header, Object, Received, Sink};

/// Output space that an idle connection may keep, in bytes.
const IDLE_OUTPUT: usize = 4 << 10;

/// PS3.7 9.1.1.1.9: refused, not authorized.
const NOT_AUTHORIZED: u16 = 0x0124;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What stopped a [`Core::drive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drove {
    /// There is nothing more to read now.
    Drained,
    /// It was somebody else's turn: there may be more.
    Yielded,
}

impl Core {
    /// Writes, reads, and lets time pass. With `drain` it reads until the transport says that there is no more, as an
    /// edge-triggered readiness needs it; without, a short read is taken for the end.
    pub(crate) fn drive(&mut self, now: Duration, drain: bool) -> Drove {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.flush(now);
        let result = BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ, 0);
            self.read(now, buffer, drain)
        });
        self.hold(now);
        if self.association.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.association.handle_timeout(now);
        }
        self.settle(now);
        self.flush(now);
        result
    }

    /// Feeds bytes to the protocol; returns how many it took: not all where the beginning of a PDU must wait for its end, or for the service.
    pub(crate) fn take_in(&mut self, now: Duration, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !self.waits_for_service() {
            let received = self.association.handle_bytes(now, &bytes[at..]);
            at += received.consumed;
            let idle = received.consumed == 0 && received.fragment.is_none();
            if self.traces_pdus() {
                self.trace_received(&bytes[at - received.consumed..at]);
                self.trace();
            }
            match received.fragment {
                Some(Fragment::Command { context_id, command }) => self.command(now, context_id, command),
                Some(Fragment::Data { bytes, last, .. }) => self.data(now, bytes, last),
                None => {}
            }
            self.settle(now);
            if idle || self.transport.is_none() {
                break;
            }
        }
        at
    }

    fn command(&mut self, now: Duration, context_id: u8, command: CommandSet) {
        let is_request = !command.command_field().is_response();
        self.charge(now, 0, usize::from(is_request && command.command_field() != CommandField::C_CANCEL_RQ));
        let mut message = Message::new(context_id, command, None);
        if self.statistics.is_some() {
            message.tally.begin();
        }
        if !message.command.has_dataset() {
            self.message(now, message);
            return;
        }
        let (sink, object) = if message.command.command_field() == CommandField::C_STORE_RQ {
            let object = self.object(&message);
            let sink = if self.may_store(context_id) {
                Sink::for_object(&self.store, &object).expecting(self.last_length)
            } else {
                Sink::refusing(NOT_AUTHORIZED)
            };
            (sink, object)
        } else {
            (Sink::memory(), Object::default())
        };
        self.incoming = Some(Incoming { message, sink, object, whole: false, waits: false });
    }

    /// Whether the requestor of an accepted association was granted the role of SCU in this context.
    fn may_store(&self, context_id: u8) -> bool {
        // An acceptor that leaves role selection out of its answer to a C-GET's requestor stores in it nevertheless.
        self.statistics.is_none() || self.association.context(context_id).is_none_or(|context| context.as_scp)
    }

    fn object(&self, message: &Message) -> Object {
        let context = self.association.context(message.context_id);
        let object = Object::new(
            message.command.affected_sop_class_uid().as_ref(),
            message.command.affected_sop_instance_uid().as_ref(),
            context.and_then(|context| context.transfer_syntax.as_ref()),
        );
        match self.association.request() {
            Some(request) => object.of_association(&request.calling, &request.called),
            None => object,
        }
    }

    fn data(&mut self, now: Duration, bytes: &[u8], last: bool) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.sink.write(bytes);
        incoming.whole = last;
        self.advance(now);
    }

    /// Hands the incoming message over, where it is whole, or it is the service's turn.
    pub(crate) fn advance(&mut self, now: Duration) {
        let Some(incoming) = &mut self.incoming else { return };
        if let Some(turn) = incoming.sink.turn(incoming.whole) {
            incoming.waits = true;
            merge(&mut incoming.message.header, incoming.sink.header());
            let message = incoming.message.at_turn(turn);
            self.request(now, message);
        } else if incoming.whole
            && let Some(Incoming { mut message, sink, object, .. }) = self.incoming.take()
        {
            merge(&mut message.header, sink.header());
            message.data = Some(sink.finish(&object));
            match &message.data {
                Some(Received::Memory(bytes)) => self.last_length = bytes.len() + bytes.len() / 16,
                Some(Received::Failed(error)) => {
                    log::record(Level::Error, || format!("an object could not be stored: {error}: {}", self.who()));
                }
                _ => {}
            }
            self.message(now, message);
        }
    }

    /// The service had its turn: the message goes on, and with it what came behind it.
    pub(crate) fn proceed(&mut self, now: Duration, answer: &Answer) {
        let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.waits) else { return };
        incoming.waits = false;
        incoming.sink.answer(answer, &incoming.object);
        self.advance(now);
        let mut bytes = std::mem::take(&mut self.unread);
        let consumed = self.take_in(now, &bytes);
        if self.transport.is_some() && consumed < bytes.len() {
            bytes.drain(..consumed);
            self.unread = bytes;
        }
    }

    /// Sends a whole message where it belongs.
    fn message(&mut self, now: Duration, message: Message) {
        let field = message.command.command_field();
        if field == CommandField::C_CANCEL_RQ {
            let id = message.command.message_id_responded_to();
            for (_, cancelled) in self.performing.iter().filter(|(performing, _)| Some(*performing) == id) {
                cancelled.store(true, Ordering::Relaxed);
            }
        } else if field.is_response() {
            let id = message.command.message_id_responded_to();
            if id.is_some_and(|id| self.invoked.contains(&id)) {
                self.response_bytes += message.dataset_length();
                self.responses.push_back(message);
            } else {
                self.dropped += 1;
                log::record(Level::Warning, || {
                    let id = id.unwrap_or(0);
                    format!("a response to Message ID {id}, which nobody waits for, was dropped: {}", self.who())
                });
            }
        } else if let Some(status) = self.settled_here(&message) {
            let response = command::response(&message.command, status, false, &[]);
            message.answered(status, 0);
            self.count_request(&message);
            // The association may have ended in between; then nobody waits for the answer.
            let _ = self.association.send_command(now, message.context_id, &response);
        } else {
            self.request(now, message);
        }
    }

    /// Hands a request to the service.
    fn request(&mut self, now: Duration, message: Message) {
        self.performing.push((message.command.message_id().unwrap_or(0), message.cancellation()));
        self.mark_busy(now);
        self.jobs.push(Job::Request(Box::new(message)));
    }

    /// The status of a request that needs no Python.
    fn settled_here(&self, message: &Message) -> Option<Status> {
        let field = message.command.command_field();
        if field == CommandField::C_ECHO_RQ && self.bound & BOUND_ECHO == 0 {
            let context = self.association.context(message.context_id)?;
            return (context.abstract_syntax.trimmed() == b"1.2.840.10008.1.1").then_some(Status::SUCCESS);
        }
        if field == CommandField::C_STORE_RQ {
            return match &message.data {
                // A700H: out of resources
                Some(Received::Failed(_)) => Some(Status(0xA700)),
                Some(Received::Refused(status)) => Some(Status(*status)),
                _ if !self.store.keeps_objects() => None,
                // C000H: cannot understand; there was no dataset
                None => Some(Status(0xC000)),
                _ if self.bound & BOUND_STORE != 0 => None,
                Some(Received::File { temporary: false, .. } | Received::Passed(_)) => Some(Status::SUCCESS),
                // Where it went was the service's answer: it is the service's to say more.
                Some(_) => None,
            };
        }
        None
    }

    /// Takes in what the protocol has to say.
    pub(crate) fn settle(&mut self, now: Duration) {
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Requested(_) => {
                    self.notify(Notice::Requested);
                    if self.bound & BOUND_NEGOTIATION == 0 {
                        self.answer_request(now, None);
                    } else {
                        self.jobs.push(Job::Negotiate);
                    }
                }
                Event::Accepted(_) => {
                    self.notify(Notice::Accepted);
                    self.establish();
                }
                Event::ReleaseRequested => {
                    // PS3.8 7.2: the peer has said that it needs no more answers.
                    self.cancel_all();
                    let _ = self.association.release_response(now);
                }
                Event::NetworkTimeout => {
                    let who = self.who();
                    log::record(Level::Error, || format!("Network timeout reached: releasing association: {who}"));
                }
                Event::Rejected(reject) => self.finish(End::Rejected(reject)),
                Event::Released => self.finish(End::Released),
                Event::Aborted { source, reason, by_peer, cause } => {
                    self.finish(End::Aborted { by_peer, source, reason, cause });
                }
                Event::CloseTransport => self.close(now),
            }
        }
    }

    pub(crate) fn establish(&mut self) {
        self.established = true;
        self.count_accepted();
        self.notify(Notice::Established);
    }

    /// Writes what the transport takes.
    pub(crate) fn flush(&mut self, now: Duration) {
        self.trace();
        let Some(transport) = &mut self.transport else { return };
        if transport.unsent() > 0
            && let Err(error) = transport.flush()
            && error.kind() == ErrorKind::WouldBlock
        {
            return;
        }
        let output = self.association.output();
        while self.written < output.len() {
            match transport.write(&output[self.written..]) {
                Ok(length) => {
                    self.written += length;
                    self.total_written += length as u64;
                    self.last_write = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    // What the peer sent before it went (an A-ABORT, often) is still to be read; the end of the stream
                    // then follows on that way.
                    self.written = output.len();
                    self.write_failed(now);
                    break;
                }
            }
        }
        self.tracer.output_taken();
        let output = self.association.output();
        self.written = 0;
        if output.capacity() > IDLE_OUTPUT && !self.sending {
            *output = Vec::new();
        } else {
            output.clear();
        }
    }

    fn write_failed(&mut self, now: Duration) {
        let mut buffer = vec![0; 4096];
        while let Some(transport) = &mut self.transport {
            match transport.read(&mut buffer) {
                Ok(length) if length > 0 => {
                    let mut bytes = std::mem::take(&mut self.unread);
                    bytes.extend_from_slice(&buffer[..length]);
                    let consumed = self.take_in(now, &bytes);
                    self.unread = bytes.split_off(consumed);
                }
                _ => break,
            }
        }
        self.association.handle_transport_closed(now);
        self.settle(now);
    }
}

/// Adds what came later; of two values the later one stays.
fn merge(header: &mut Header, later: Header) {
    header.retain(|(keyword, _)| !later.iter().any(|(other, _)| other == keyword));
    header.extend(later);
}

#[cfg(test)]
#[path = "drive_tests.rs"]
pub(crate) mod tests;
