//! What comes in: cutting the stream into PDUs and PDVs, and these into messages.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{AbortCause, Association, Event};
use crate::command::CommandSet;
use crate::error::PduError;
use crate::pdu::{Abort, AssociateAc, AssociateRj, AssociateRq, UserInformation, kind};
use crate::state::{self, Action, State, transition};
use crate::types::{RejectReason, RejectResult, RejectSource};

/// What came of some bytes.
#[derive(Debug)]
pub struct Received<'a> {
    /// How many were taken; the rest is to be given again, with more behind it.
    pub consumed: usize,
    /// A part of a message. At most one a call: call again while anything was taken or returned.
    pub fragment: Option<Fragment<'a>>,
}

/// A part of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fragment<'a> {
    /// A whole command set: the beginning of a message.
    Command {
        /// The presentation context.
        context_id: u8,
        /// The command set.
        command: CommandSet,
    },
    /// The next piece of the dataset that follows it.
    Data {
        /// The presentation context.
        context_id: u8,
        /// The piece; may be empty.
        bytes: &'a [u8],
        /// Whether the dataset, and so the message, ends here.
        last: bool,
    },
}

/// Where in the stream it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before a PDU.
    #[default]
    Pdu,
    /// Within a P-DATA-TF, before a PDV with this many bytes of the PDU left.
    Pdv { left: u32 },
    /// Within a PDV.
    Payload(Payload),
    /// Within a P-DATA-TF that nobody wants any more.
    Skip { left: u32 },
    /// Nothing can be understood any more, or nobody listens.
    Lost,
}

impl Position {
    /// Within a P-DATA-TF with this many bytes left: at its end, the next PDU begins.
    const fn pdv(left: u32) -> Self {
        if left == 0 { Self::Pdu } else { Self::Pdv { left } }
    }

    const fn skip(left: u32) -> Self {
        if left == 0 { Self::Pdu } else { Self::Skip { left } }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payload {
    /// Of the PDV.
    left: u32,
    /// Of the PDU, behind the PDV.
    behind: u32,
    context_id: u8,
    is_command: bool,
    last: bool,
}

/// What of a message is there.
#[derive(Debug, Default)]
enum Message {
    /// Nothing.
    #[default]
    None,
    /// Some of its command set.
    Command { context_id: u8, bytes: Vec<u8> },
    /// Its command set and this many bytes of its dataset.
    Dataset { context_id: u8, length: u64 },
}

/// The receiving side.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    position: Position,
    message: Message,
    closed: bool,
}

impl Receiver {
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.message, Message::None) && self.position == Position::Pdu
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.lose();
    }

    /// Understands nothing any more.
    fn lose(&mut self) {
        self.position = Position::Lost;
        self.message = Message::None;
    }

    /// Drops the message that is coming in, but stays in step with the PDUs: an A-ABORT may still come (AA-2).
    pub(super) fn pass_over(&mut self) {
        self.message = Message::None;
        self.position = match self.position {
            Position::Pdv { left } => Position::skip(left),
            Position::Payload(payload) => Position::skip(payload.left + payload.behind),
            position => position,
        };
    }
}

const NOTHING: Received<'static> = Received { consumed: 0, fragment: None };

const fn took(consumed: usize) -> Received<'static> {
    Received { consumed, fragment: None }
}

impl Association {
    /// How many of the bytes that come next are the dataset of the message that is coming in, as far as that is known: the rest of the PDV.
    pub fn dataset_left(&self) -> usize {
        match (self.receiver.position, &self.receiver.message) {
            (Position::Payload(payload), Message::Dataset { .. }) => payload.left as usize,
            _ => 0,
        }
    }

    /// Whether the next byte that comes begins a PDU.
    pub fn is_between_pdus(&self) -> bool {
        self.receiver.position == Position::Pdu
    }

    /// Whether what comes is still understood as PDUs.
    pub fn is_listening(&self) -> bool {
        self.receiver.position != Position::Lost
    }

    /// Takes bytes that were read. Takes none, and gives nothing, where it needs more to go on.
    pub fn handle_bytes<'a>(&mut self, now: Duration, input: &'a [u8]) -> Received<'a> {
        if input.is_empty() {
            return NOTHING;
        }
        self.last_traffic = now;
        match self.receiver.position {
            Position::Pdu => self.pdu(now, input),
            Position::Pdv { left } => self.pdv(now, input, left),
            Position::Payload(payload) => self.payload(now, input, payload),
            Position::Skip { left } => {
                let length = input.len().min(left as usize);
                self.receiver.position = Position::skip(left.saturating_sub(u32::try_from(length).unwrap_or(left)));
                took(length)
            }
            Position::Lost => took(input.len()),
        }
    }

    /// At the beginning of a PDU.
    fn pdu<'a>(&mut self, now: Duration, input: &'a [u8]) -> Received<'a> {
        if self.pdu_deadline.is_none() && !matches!(self.state, State::Sta13 | State::Sta1) {
            self.pdu_deadline = self.after(now, self.config.pdu_timeout);
        }
        // The type is looked at before the length means anything: HTTP and TLS greetings have lengths, too.
        let kind = input[0];
        if !matches!(kind, kind::ASSOCIATE_RQ..=kind::ABORT) {
            let problem = match kind {
                // RFC 8446 5.1: change_cipher_spec, alert, handshake and application_data.
                20..=23 => PduError::TLS_RECORD,
                _ => "is none of PS3.8: the peer is no DICOM node",
            };
            return self.invalid(now, input, PduError::unrecognized("PDU type", problem));
        }
        let Some(header) = input.first_chunk::<6>() else { return NOTHING };
        let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
        if let Err(error) = self.check_length(kind, length) {
            return self.invalid(now, input, error);
        }
        if kind == kind::DATA {
            return self.data_pdu(now, length);
        }
        let end = 6 + length as usize;
        let Some(body) = input.get(6..end) else { return NOTHING };
        self.pdu_deadline = None;
        match self.control_pdu(now, kind, body) {
            Ok(()) => took(end),
            Err(error) => self.invalid(now, input, error),
        }
    }

    fn check_length(&mut self, kind: u8, length: u32) -> Result<(), PduError> {
        match kind {
            kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC if length > self.config.limits.association_pdu => {
                Err(PduError::invalid("A-ASSOCIATE PDU length", "is above the limit"))
            }
            kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC if length < 68 => {
                Err(PduError::invalid("A-ASSOCIATE PDU length", "is below its fixed part"))
            }
            kind::DATA => {
                let maximum = self.config.max_pdu_length;
                if maximum != 0 && length > maximum {
                    if length > maximum.saturating_add(self.config.limits.data_pdu_slack) {
                        return Err(PduError::invalid("P-DATA-TF PDU length", "is above the maximum length received"));
                    }
                    self.oversized += 1;
                }
                Ok(())
            }
            kind::ASSOCIATE_RJ | kind::RELEASE_RQ | kind::RELEASE_RP | kind::ABORT if length != 4 => {
                Err(PduError::invalid("PDU length", "is not 4"))
            }
            _ => Ok(()),
        }
    }

    /// A whole PDU other than P-DATA-TF.
    fn control_pdu(&mut self, now: Duration, kind: u8, body: &[u8]) -> Result<(), PduError> {
        let event = match kind {
            kind::ASSOCIATE_RQ => state::Event::Evt6,
            kind::ASSOCIATE_AC => state::Event::Evt3,
            kind::ASSOCIATE_RJ => state::Event::Evt4,
            kind::RELEASE_RQ => state::Event::Evt12,
            kind::RELEASE_RP => state::Event::Evt13,
            _ => state::Event::Evt16,
        };
        let four = *body.first_chunk::<4>().unwrap_or(&[0; 4]);
        if kind == kind::ABORT {
            let abort = Abort::decode(four);
            if self.step(now, event) == Some(Action::AA3) {
                self.aborted(abort.source, abort.reason, true, AbortCause::PeerAbort);
            }
            self.close();
            return Ok(());
        }
        if !matches!(self.receiver.message, Message::None) && self.state == State::Sta6 {
            return Err(PduError::unexpected("PDU", "comes in the middle of a message"));
        }
        // An association PDU is decoded before the state changes: one that is invalid is another event (Evt19).
        match transition(self.state, event) {
            Some(Action::AE6) => self.request_pdu(now, event, body)?,
            Some(Action::AE3) => {
                let accept = AssociateAc::decode(body, &self.config.limits)?;
                check_maximum_length(&accept.user)?;
                self.step(now, event);
                self.accepted(accept);
            }
            Some(Action::AE4) => {
                self.step(now, event);
                self.finish(Event::Rejected(AssociateRj::decode(four)));
                self.close();
            }
            Some(Action::AR2) => {
                self.step(now, event);
                self.events.push_back(Event::ReleaseRequested);
            }
            Some(Action::AR8) => {
                self.step(now, event);
                // The acceptor's side first waits for the answer to its own request (AR-10).
                if self.is_requestor {
                    self.events.push_back(Event::ReleaseRequested);
                }
            }
            Some(Action::AR10) => {
                self.step(now, event);
                self.events.push_back(Event::ReleaseRequested);
            }
            Some(Action::AR3) => {
                self.step(now, event);
                self.finish(Event::Released);
                self.close();
            }
            Some(Action::AA6) => {
                self.step(now, event);
            }
            // It was whole: what comes next is in step, and may be the A-ABORT of the peer (AA-2).
            Some(_) => {
                let error = PduError::unexpected("PDU", "is not expected in this state");
                self.refuse(now, event, error.abort_reason, AbortCause::Protocol(error));
                self.receiver.pass_over();
            }
            None => {}
        }
        Ok(())
    }

    /// The A-ASSOCIATE-RQ of a peer that may ask.
    fn request_pdu(&mut self, now: Duration, event: state::Event, body: &[u8]) -> Result<(), PduError> {
        let request = AssociateRq::decode(body, &self.config.limits)?;
        check_maximum_length(&request.user)?;
        let request = Arc::new(request);
        self.request = Some(request.clone());
        // PS3.8 9.3.2: of the protocol version only bit 0 is tested. AE-6 rejects what the provider cannot take.
        if request.protocol_version & 1 == 0 {
            self.advance(now, event, true);
            let reject = AssociateRj {
                result: RejectResult::PERMANENT,
                source: RejectSource::ACSE,
                // PS3.8 Table 9-21: from the ACSE, protocol version not supported.
                reason: RejectReason(2),
            };
            reject.encode(&mut self.output);
            self.finish(Event::Rejected(reject));
        } else {
            self.step(now, event);
            self.events.push_back(Event::Requested(request));
        }
        Ok(())
    }

    /// At the beginning of a P-DATA-TF.
    fn data_pdu<'a>(&mut self, now: Duration, length: u32) -> Received<'a> {
        match transition(self.state, state::Event::Evt10) {
            Some(Action::DT2 | Action::AR6) => {
                self.step(now, state::Event::Evt10);
                self.receiver.position = Position::pdv(length);
                if length == 0 {
                    self.pdu_deadline = None;
                }
                took(6)
            }
            Some(Action::AA6) => {
                // Awaiting the close: what still comes is passed over.
                self.step(now, state::Event::Evt10);
                self.receiver.position = Position::skip(length);
                took(6)
            }
            _ => {
                let error = PduError::unexpected("P-DATA-TF", "is not expected in this state");
                self.refuse(now, state::Event::Evt10, error.abort_reason, AbortCause::Protocol(error));
                self.receiver.position = Position::skip(length);
                took(6)
            }
        }
    }

    /// At the beginning of a PDV.
    fn pdv<'a>(&mut self, now: Duration, input: &'a [u8], left: u32) -> Received<'a> {
        if left < 6 {
            return self.invalid(now, input, PduError::invalid("P-DATA-TF", "ends in the middle of a PDV item"));
        }
        let Some(header) = input.first_chunk::<6>() else { return NOTHING };
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        if length < 2 || length > left - 4 {
            return self.invalid(now, input, PduError::invalid("PDV item length", "is below 2 or exceeds its PDU"));
        }
        let payload = Payload {
            left: length - 2,
            behind: left - 4 - length,
            context_id: header[4],
            is_command: header[5] & 1 != 0,
            last: header[5] & 2 != 0,
        };
        if let Err(error) = self.begin_fragment(payload) {
            return self.invalid(now, input, error);
        }
        self.receiver.position = Position::Payload(payload);
        if payload.left == 0 {
            // There may be no more bytes to be called with.
            let received = self.payload(now, &input[..0], payload);
            return Received { consumed: 6, fragment: received.fragment };
        }
        took(6)
    }

    /// Whether this fragment may come here.
    fn begin_fragment(&mut self, payload: Payload) -> Result<(), PduError> {
        if self.context(payload.context_id).is_none() {
            return Err(PduError::invalid("presentation context ID", "is not one that was accepted"));
        }
        match (&mut self.receiver.message, payload.is_command) {
            (message @ Message::None, true) => {
                *message = Message::Command { context_id: payload.context_id, bytes: Vec::new() };
                Ok(())
            }
            (Message::None | Message::Command { .. }, false) => {
                Err(PduError::unexpected("PDV", "has a dataset before its command set"))
            }
            (Message::Dataset { .. }, true) => {
                Err(PduError::unexpected("PDV", "has a command set before the dataset is complete"))
            }
            (Message::Command { context_id, .. }, true) | (Message::Dataset { context_id, .. }, false)
                if *context_id != payload.context_id =>
            {
                Err(PduError::unexpected("PDV", "changes the presentation context within a message"))
            }
            _ => Ok(()),
        }
    }

    /// Within a PDV.
    fn payload<'a>(&mut self, now: Duration, input: &'a [u8], mut payload: Payload) -> Received<'a> {
        let length = input.len().min(payload.left as usize);
        let bytes = &input[..length];
        payload.left -= u32::try_from(length).unwrap_or(payload.left);
        let ended = payload.left == 0;
        self.receiver.position = if ended { Position::pdv(payload.behind) } else { Position::Payload(payload) };
        if self.receiver.position == Position::Pdu {
            self.pdu_deadline = None;
        }
        let last = ended && payload.last;
        match self.take(bytes, last) {
            Ok(fragment) => Received { consumed: length, fragment },
            Err(error) => self.invalid(now, input, error),
        }
    }

    /// Adds to the message.
    fn take<'a>(&mut self, bytes: &'a [u8], last: bool) -> Result<Option<Fragment<'a>>, PduError> {
        let limits = self.config.limits;
        match &mut self.receiver.message {
            Message::Command { context_id, bytes: held } => {
                if held.len() + bytes.len() > limits.command_set {
                    return Err(PduError::invalid("command set", "is above the limit"));
                }
                held.extend_from_slice(bytes);
                if !last {
                    return Ok(None);
                }
                let context_id = *context_id;
                let command =
                    CommandSet::decode(held).map_err(|error| PduError::invalid("command set", error.problem()))?;
                self.receiver.message =
                    if command.has_dataset() { Message::Dataset { context_id, length: 0 } } else { Message::None };
                Ok(Some(Fragment::Command { context_id, command }))
            }
            Message::Dataset { context_id, length } => {
                *length += bytes.len() as u64;
                if limits.message.is_some_and(|limit| *length > limit) {
                    return Err(PduError::invalid("dataset", "is above the limit"));
                }
                if bytes.is_empty() && !last {
                    return Ok(None);
                }
                let context_id = *context_id;
                if last {
                    self.receiver.message = Message::None;
                }
                Ok(Some(Fragment::Data { context_id, bytes, last }))
            }
            Message::None => Ok(None),
        }
    }

    /// Something that is no valid PDU (Evt19): says so and stops listening.
    fn invalid<'a>(&mut self, now: Duration, input: &'a [u8], error: PduError) -> Received<'a> {
        self.violation(now, state::Event::Evt19, error);
        took(input.len())
    }

    fn violation(&mut self, now: Duration, event: state::Event, error: PduError) {
        self.refuse(now, event, error.abort_reason, AbortCause::Protocol(error));
        self.receiver.lose();
    }
}

/// PS3.8 D.1: what the peer can receive has to have room for the headers of a PDV, and a byte or two.
fn check_maximum_length(user: &UserInformation) -> Result<(), PduError> {
    match user.max_length {
        Some(1..=7) => Err(PduError::invalid("maximum length received", "of 1 to 7 leaves no room for data")),
        _ => Ok(()),
    }
}
