//! What can go wrong in a handshake, in words that say what to do.

use std::io;

use dimsefast_protocol::association::AbortCause;
use dimsefast_protocol::error::PduError;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::connection::Connection;
use crate::ending::End;

/// What kind of failure it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The peer's certificate is from nobody that we trust.
    Untrusted,
    /// It has expired.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for another host.
    WrongName,
    /// It, or one above it, was revoked.
    Revoked,
    /// Something else is wrong with it.
    BadCertificate,
    /// The peer presented none.
    NoCertificate,
    /// The peer did not like ours, or its absence.
    Refused,
    /// The peer's versions of TLS are too old.
    Version,
    /// No cipher suite, group or signature in common.
    NothingInCommon,
    /// The peer does not speak TLS, or does where it should not.
    NotTls,
    /// The peer closed the connection.
    Closed,
    /// It took too long.
    Timeout,
    /// The peer broke the protocol.
    Protocol,
}

/// The kinds and their names for programs.
const NAMES: [(FailureKind, &str); 14] = [
    (FailureKind::Untrusted, "untrusted"),
    (FailureKind::Expired, "expired"),
    (FailureKind::NotYetValid, "not yet valid"),
    (FailureKind::WrongName, "wrong name"),
    (FailureKind::Revoked, "revoked"),
    (FailureKind::BadCertificate, "bad certificate"),
    (FailureKind::NoCertificate, "no certificate"),
    (FailureKind::Refused, "refused"),
    (FailureKind::Version, "version"),
    (FailureKind::NothingInCommon, "nothing in common"),
    (FailureKind::NotTls, "not TLS"),
    (FailureKind::Closed, "closed"),
    (FailureKind::Timeout, "timeout"),
    (FailureKind::Protocol, "protocol"),
];

impl FailureKind {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("protocol", |(_, name)| name)
    }

    /// The kind with this name; [`Protocol`](Self::Protocol) where there is none.
    pub fn named(name: &str) -> Self {
        NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Protocol, |(kind, _)| *kind)
    }
}

/// Why there is no TLS beneath a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub kind: FailureKind,
    /// One line.
    pub words: String,
}

impl Failure {
    /// With these words.
    pub fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// The transport ended before the handshake did.
    pub(super) fn closed(error: Option<&io::Error>) -> Self {
        let how = error.map_or_else(|| "closed".to_owned(), |error| format!("lost ({error})"));
        let words = format!("the connection was {how} during the TLS handshake: does the peer speak TLS at this port?");
        Self::new(FailureKind::Closed, words)
    }

    /// The handshake took too long.
    pub fn timeout() -> Self {
        Self::new(
            FailureKind::Timeout,
            "the TLS handshake was not finished in time: does the peer speak TLS at this port?",
        )
    }

    /// The peer speaks TLS, and this side does not.
    pub fn unexpected_tls() -> Self {
        Self::new(FailureKind::NotTls, "the peer speaks TLS at this port, and this side does not: give it tls=TLS(...)")
    }

    /// What rustls says; `first` is what the peer began with.
    pub(super) fn of(error: &Error, first: &[u8]) -> Self {
        if let Some(words) = plain(first) {
            return Self::new(FailureKind::NotTls, words);
        }
        match error {
            Error::InvalidCertificate(error) => certificate(error),
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::NoCertificatesPresented => Self::new(
                FailureKind::NoCertificate,
                "the peer presented no certificate, and this side requires one (verify_peer)",
            ),
            Error::PeerIncompatible(
                // What a ClientHello before TLS 1.2 does not have.
                PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Self::new(
                FailureKind::Version,
                "the peer's version of TLS is too old: TLS 1.2 and 1.3 are spoken here (RFC 8996, RFC 9325)",
            ),
            Error::PeerIncompatible(reason) => Self::new(
                FailureKind::NothingInCommon,
                format!("nothing in common with the peer's TLS ({reason:?}): look at the profiles of both sides"),
            ),
            Error::NoApplicationProtocol => Self::new(
                FailureKind::NothingInCommon,
                "the peer asks for other protocols than DICOM (ALPN): it is no DICOM node, or is set up for another port",
            ),
            other => Self::new(FailureKind::Protocol, format!("the peer broke the TLS protocol: {other}")),
        }
    }
}

impl Connection {
    /// Why there is no TLS, or where there is some that nobody expected; none where TLS has nothing to do with how it ended.
    pub fn tls_failure(&self) -> Option<Failure> {
        let end = self.end();
        let Some(session) = &self.tls else {
            let is_tls = |error: &PduError| error.problem == PduError::TLS_RECORD;
            return match end {
                Some(End::Aborted { cause: AbortCause::Protocol(error), .. }) if is_tls(error) => {
                    Some(Failure::unexpected_tls())
                }
                _ => None,
            };
        };
        let timed_out = matches!(end, Some(End::Aborted { cause: AbortCause::AcseTimeout, .. }));
        session.failure().cloned().or_else(|| (timed_out && session.negotiated().is_none()).then(Failure::timeout))
    }
}

/// Whether the peer began with something that is no TLS, in words.
fn plain(first: &[u8]) -> Option<&'static str> {
    match first {
        // A TLS record: content type 20 to 24, then version 3.x.
        [] | [20..=24] | [20..=24, 3, ..] => None,
        // PS3.8 9.3.1: A-ASSOCIATE-RQ and A-ABORT.
        [1, ..] => Some("the peer speaks plain DICOM, and this side TLS: switch TLS on there, or off here"),
        [2..=7, ..] => Some("the peer answers in plain DICOM: it has no TLS at this port"),
        _ => Some("the peer does not speak TLS"),
    }
}

fn certificate(error: &CertificateError) -> Failure {
    use CertificateError as E;
    let (kind, words) = match error {
        E::Expired | E::ExpiredContext { .. } => {
            (FailureKind::Expired, "the peer's certificate has expired: it needs a new one".to_owned())
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            (FailureKind::NotYetValid, "the peer's certificate is not valid yet: compare the clocks".to_owned())
        }
        E::Revoked => (FailureKind::Revoked, "the peer's certificate has been revoked".to_owned()),
        E::UnknownIssuer => (
            FailureKind::Untrusted,
            "the peer's certificate is from no CA that is trusted here: give its CA's certificate (ca=)".to_owned(),
        ),
        E::BadSignature => (
            FailureKind::Untrusted,
            "the peer's certificate is from a CA with the name of one that is trusted here, but another key".to_owned(),
        ),
        E::NotValidForNameContext { expected, presented } => (
            FailureKind::WrongName,
            format!(
                "the peer's certificate is not for {:?} but for {}: connect by that name, or give server_name=",
                expected.to_str(),
                if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
            ),
        ),
        E::NotValidForName => {
            (FailureKind::WrongName, "the peer's certificate is for another name: give server_name=".to_owned())
        }
        other => (FailureKind::BadCertificate, format!("the peer's certificate cannot be used: {other}")),
    };
    Failure { kind, words }
}

fn of_alert(alert: AlertDescription) -> Failure {
    use AlertDescription as A;
    let (kind, words) = match alert {
        A::ProtocolVersion => (
            FailureKind::Version,
            "the peer refuses TLS 1.2 and 1.3, which are all that is spoken here (RFC 8996, RFC 9325)".to_owned(),
        ),
        A::HandshakeFailure | A::InsufficientSecurity => (
            FailureKind::NothingInCommon,
            "the peer refused the handshake: it has no cipher suite in common, or misses our certificate".to_owned(),
        ),
        A::CertificateRequired => {
            (FailureKind::Refused, "the peer requires a certificate of ours: give certificate= and key=".to_owned())
        }
        A::UnknownCA => (FailureKind::Refused, "the peer does not trust the CA of our certificate".to_owned()),
        A::CertificateExpired => (FailureKind::Refused, "the peer says that our certificate has expired".to_owned()),
        A::CertificateRevoked => {
            (FailureKind::Refused, "the peer says that our certificate has been revoked".to_owned())
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateUnknown
        | A::NoCertificate
        | A::AccessDenied
        | A::DecryptError => {
            (FailureKind::Refused, format!("the peer does not accept our certificate (TLS alert {alert:?})"))
        }
        A::NoApplicationProtocol => (
            FailureKind::NothingInCommon,
            "the peer does not speak DICOM at this port, but another protocol over TLS (ALPN)".to_owned(),
        ),
        A::UnrecognisedName => {
            (FailureKind::WrongName, "the peer does not know the name that it was asked for: server_name=".to_owned())
        }
        other => (FailureKind::Protocol, format!("the peer ended TLS with the alert {other:?}")),
    };
    Failure { kind, words }
}
