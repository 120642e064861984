//! What was wrong with what a peer sent, and what to tell it.

use core::fmt;

use crate::types::AbortReason;

/// A PDU that cannot be taken, by the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduError {
    /// What it is that is wrong, in the standard's words.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What the A-ABORT says.
    pub abort_reason: AbortReason,
}

impl PduError {
    /// The problem of a PDU type that is the beginning of a TLS record.
    pub const TLS_RECORD: &'static str = "is that of a TLS record: one side speaks TLS, and the other plain DICOM";

    pub(crate) const fn invalid(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem, abort_reason: AbortReason::INVALID_PARAMETER }
    }

    pub(crate) const fn unexpected(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem, abort_reason: AbortReason::UNEXPECTED_PDU }
    }

    pub(crate) const fn unrecognized(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem, abort_reason: AbortReason::UNRECOGNIZED_PDU }
    }
}

impl fmt::Display for PduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl core::error::Error for PduError {}
