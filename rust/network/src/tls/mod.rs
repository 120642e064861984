//! TLS beneath an association: what it is set up from, the transport, and what came of a handshake.
//!
//! There are two ways. [`Tls`] is rustls on the connection's own driver, so that a handshake is nothing but bytes that come and go under
//! the ACSE time-out. A *bridge* hands the socket to the service, which encrypts with whatever it has, and speaks to the association
//! through a pair of local sockets.

mod bridge;
mod failure;
mod files;
mod profile;
mod settings;
mod transport;
mod verify;

use std::sync::{Arc, OnceLock};

pub use bridge::Bridge;
pub(crate) use bridge::pair;
pub use failure::{Failure, FailureKind};
pub use files::{Authorities, Identity};
pub use profile::{Profile, ProfileError};
pub use settings::{Options, SetupError, Tls, VerifyPeer};
pub(crate) use transport::TlsTransport;

/// What a handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// "TLSv1.2" or "TLSv1.3".
    pub version: String,
    /// The standard's name of the cipher suite.
    pub cipher_suite: String,
    /// The peer's certificates, DER, its own first; none where it presented none.
    pub peer_certificates: Vec<Vec<u8>>,
    /// The name that the requestor asked for (SNI).
    pub server_name: Option<String>,
}

/// What is known of the TLS beneath one connection. Each part is set once.
#[derive(Debug, Default)]
pub struct Session {
    negotiated: OnceLock<Negotiated>,
    failure: OnceLock<Failure>,
}

impl Session {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What was agreed on; none before the end of the handshake.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.get()
    }

    /// What went wrong; none where nothing did.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// The handshake is over.
    pub fn agreed(&self, negotiated: Negotiated) {
        // A second time is the first one's news again.
        let _ = self.negotiated.set(negotiated);
    }

    /// It failed; what led to that is the first failure.
    pub fn failed(&self, failure: Failure) {
        let _ = self.failure.set(failure);
    }
}

/// The subject of a DER certificate, such as "CN=archive, O=Hospital"; none where it cannot be read.
pub fn subject(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.subject().to_string())
}

#[cfg(test)]
mod tests;
