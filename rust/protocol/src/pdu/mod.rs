//! The PDUs of the upper layer protocol (PS3.8 9.3). P-DATA-TF is not in here: it is never whole in memory.

mod associate;
mod reader;
mod user;

use alloc::vec::Vec;

pub use associate::{AssociateAc, AssociateRq, ContextReply, ProposedContext};
pub use user::{AsyncOps, Role, SopCommonExtended, SopExtended, UnknownItem, UserIdentity, UserInformation};

use crate::types::{AbortReason, AbortSource, RejectReason, RejectResult, RejectSource};

/// PDU types (PS3.8 9.3.1).
pub mod kind {
    /// A-ASSOCIATE-RQ
    pub const ASSOCIATE_RQ: u8 = 1;
    /// A-ASSOCIATE-AC
    pub const ASSOCIATE_AC: u8 = 2;
    /// A-ASSOCIATE-RJ
    pub const ASSOCIATE_RJ: u8 = 3;
    /// P-DATA-TF
    pub const DATA: u8 = 4;
    /// A-RELEASE-RQ
    pub const RELEASE_RQ: u8 = 5;
    /// A-RELEASE-RP
    pub const RELEASE_RP: u8 = 6;
    /// A-ABORT
    pub const ABORT: u8 = 7;
}

/// A-ASSOCIATE-RJ (PS3.8 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociateRj {
    /// Permanent or transient.
    pub result: RejectResult,
    /// Who rejects.
    pub source: RejectSource,
    /// Why; see [`AssociateRj::words`].
    pub reason: RejectReason,
}

impl AssociateRj {
    /// The reason in the standard's words: the number alone does not say it.
    pub const fn words(&self) -> &'static str {
        match (self.source.0, self.reason.0) {
            (1 | 2, 1) => "no reason given",
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognized",
            (1, 7) => "called AE title not recognized",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            _ => "reserved",
        }
    }

    /// Appends the whole PDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, kind::ASSOCIATE_RJ, [0, self.result.0, self.source.0, self.reason.0]);
    }

    /// From the 4 bytes behind the length.
    pub const fn decode(body: [u8; 4]) -> Self {
        Self { result: RejectResult(body[1]), source: RejectSource(body[2]), reason: RejectReason(body[3]) }
    }
}

/// A-ABORT (PS3.8 9.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Who aborts.
    pub source: AbortSource,
    /// Why; significant for the provider only.
    pub reason: AbortReason,
}

impl Abort {
    /// Appends the whole PDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, kind::ABORT, [0, 0, self.source.0, self.reason.0]);
    }

    /// From the 4 bytes behind the length.
    pub const fn decode(body: [u8; 4]) -> Self {
        Self { source: AbortSource(body[2]), reason: AbortReason(body[3]) }
    }
}

/// Appends an A-RELEASE-RQ.
pub fn release_rq(out: &mut Vec<u8>) {
    control(out, kind::RELEASE_RQ, [0; 4]);
}

/// Appends an A-RELEASE-RP.
pub fn release_rp(out: &mut Vec<u8>) {
    control(out, kind::RELEASE_RP, [0; 4]);
}

fn control(out: &mut Vec<u8>, kind: u8, body: [u8; 4]) {
    out.extend_from_slice(&[kind, 0, 0, 0, 0, 4]);
    out.extend_from_slice(&body);
}
