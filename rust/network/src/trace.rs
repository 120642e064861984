//! What those who look on are told: each PDU as it passed, each transition of the state machine. Where nobody asked, nothing of it is made.

use std::time::SystemTime;

use dimsefast_protocol::association::Transition;
use dimsefast_protocol::pdu::kind;

use crate::core::Core;
use crate::jobs::Job;

/// In [`Connection::watch_notices`](crate::Connection::watch_notices): the service is told of each PDU.
pub const TRACE_PDUS: u32 = 1 << 8;
/// In [`Connection::watch_notices`](crate::Connection::watch_notices): the service is told of each transition.
pub const TRACE_TRANSITIONS: u32 = 1 << 9;
/// In [`Connection::watch_notices`](crate::Connection::watch_notices): the service is told of each PDU but those with datasets.
pub const TRACE_COMMANDS: u32 = 1 << 10;

/// Any of them.
pub(crate) const TRACE: u32 = TRACE_PDUS | TRACE_TRANSITIONS | TRACE_COMMANDS;
pub(crate) const ANY_PDUS: u32 = TRACE_PDUS | TRACE_COMMANDS;

/// The type and the length of a PDU (PS3.8 9.3.1).
const PDU_HEADER: usize = 6;

/// Something that was seen.
#[derive(Debug)]
pub struct Trace {
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Traced,
}

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Traced {
    /// The bytes of one PDU of the peer.
    Received(Vec<u8>),
    /// The bytes of one PDU for the peer.
    Sent(Vec<u8>),
    /// A transition of the state machine.
    Transition(Transition),
}

/// How far a connection was looked at.
#[derive(Debug, Default)]
pub(crate) struct Tracer {
    /// The beginning of the PDU that is coming in.
    partial: Vec<u8>,
    /// How much of a PDU is still to come that nobody wants.
    skip: usize,
    /// Whether what comes in is known to begin or continue a PDU: not where the first look was in the middle of one.
    in_step: bool,
    /// How much of the protocol's output was looked at.
    seen: usize,
}

impl Tracer {
    /// The output is empty again.
    pub(crate) fn output_taken(&mut self) {
        self.seen = 0;
    }
}

impl Core {
    pub(crate) fn is_traced(&self) -> bool {
        self.bound & TRACE != 0
    }

    pub(crate) fn traces_pdus(&self) -> bool {
        self.bound & ANY_PDUS != 0
    }

    fn is_wanted(&self, pdu: &[u8]) -> bool {
        self.bound & TRACE_PDUS != 0 || !is_dataset(pdu)
    }

    /// Begins or ends to look on, as `bound` says.
    pub(crate) fn set_traced(&mut self) {
        self.association.trace(self.bound & TRACE_TRANSITIONS != 0);
        self.tracer = Tracer {
            partial: Vec::new(),
            skip: 0,
            in_step: self.association.is_between_pdus(),
            seen: self.association.output_length(),
        };
    }

    /// Looks at what the protocol has taken, before what it caused.
    pub(crate) fn trace_received(&mut self, bytes: &[u8]) {
        if !self.traces_pdus() {
            return;
        }
        if self.tracer.in_step {
            let mut partial = std::mem::take(&mut self.tracer.partial);
            let skipped = bytes.len().min(self.tracer.skip);
            self.tracer.skip -= skipped;
            partial.extend_from_slice(&bytes[skipped..]);
            while let Some(length) = pdu_length(&partial) {
                let rest = partial.split_off(length);
                let pdu = std::mem::replace(&mut partial, rest);
                if self.is_wanted(&pdu) {
                    self.tell_trace(Traced::Received(pdu));
                }
            }
            if !self.is_wanted(&partial) {
                self.tracer.skip = declared_length(&partial).unwrap_or(0) - partial.len();
                partial.clear();
            }
            self.tracer.partial = partial;
            self.tracer.in_step = self.association.is_listening();
        } else {
            self.tracer.in_step = self.association.is_between_pdus();
        }
    }

    /// Looks at what was done and at what is to be sent.
    pub(crate) fn trace(&mut self) {
        if !self.is_traced() {
            return;
        }
        for transition in self.association.take_transitions() {
            self.tell_trace(Traced::Transition(transition));
        }
        if !self.traces_pdus() {
            return;
        }
        let all = self.bound & TRACE_PDUS != 0;
        let output = self.association.output();
        let mut sent = Vec::new();
        while let Some(length) = pdu_length(&output[self.tracer.seen..]) {
            let end = self.tracer.seen + length;
            let pdu = &output[self.tracer.seen..end];
            if all || !is_dataset(pdu) {
                sent.push(pdu.to_vec());
            }
            self.tracer.seen = end;
        }
        for pdu in sent {
            self.tell_trace(Traced::Sent(pdu));
        }
    }

    fn tell_trace(&mut self, what: Traced) {
        self.jobs.push(Job::Trace(Trace { at: SystemTime::now(), what }));
    }
}

/// Whether it is a P-DATA-TF whose first PDV is of a dataset (PS3.8 E.2: bit 0 of the message control header is not set).
fn is_dataset(pdu: &[u8]) -> bool {
    pdu.first() == Some(&kind::DATA) && pdu.get(11).is_some_and(|control| control & 1 == 0)
}

/// The length of the PDU that the bytes begin with, where all of it is there.
fn pdu_length(bytes: &[u8]) -> Option<usize> {
    declared_length(bytes).filter(|length| bytes.len() >= *length)
}

fn declared_length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<PDU_HEADER>()?;
    Some(PDU_HEADER + u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize)
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
