//! PS3.15 Annex B: Secure Transport Connection Profiles, as versions and cipher suites.

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite as suite, default_provider};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use thiserror::Error;

/// A profile that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// PS3.15 B.12, BCP 195 RFC 8996, 9325 TLS.
    Bcp195,
    /// PS3.15 B.10, Non-Downgrading BCP 195 TLS (retired, still what many peers are set to), but for the two of its four suites
    /// that are finite-field.
    NonDowngrading,
}

/// A profile that is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// It exists.
    #[error("the {} profile (PS3.15 {}) is not supported: {}; use {}", .0.title, .0.section, .0.reason, .0.instead)]
    Unsupported(&'static Unsupported),
    /// It does not.
    #[error("there is no TLS profile {0:?}: \"bcp195\" (PS3.15 B.12) or \"non-downgrading\" (PS3.15 B.10)")]
    Unknown(String),
}

/// A profile of the standard's that is not supported.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsupported {
    name: &'static str,
    title: &'static str,
    section: &'static str,
    reason: &'static str,
    instead: &'static str,
}

const RETIRED: &str = "\"bcp195\" (PS3.15 B.12) on both sides: it has nothing in common with this one";

const UNSUPPORTED: [Unsupported; 5] = [
    Unsupported {
        name: "basic",
        title: "Basic TLS Secure Transport Connection",
        section: "B.1, retired",
        reason: "its TLS 1.0 must not be spoken (RFC 8996), and its 3DES should not be (RFC 9325 4.1)",
        instead: RETIRED,
    },
    Unsupported {
        name: "aes",
        title: "AES TLS Secure Transport Connection",
        section: "B.3, retired",
        reason: "its suites send the key by RSA, without forward secrecy (RFC 9325 4.1)",
        instead: RETIRED,
    },
    Unsupported {
        name: "downgrading",
        title: "BCP 195 TLS",
        section: "B.9, retired",
        reason: "it falls back to TLS 1.0 and to suites without forward secrecy",
        instead: "\"bcp195\" (PS3.15 B.12), which is what its peers prefer",
    },
    Unsupported {
        name: "extended",
        title: "Extended BCP 195 TLS",
        section: "B.11, retired",
        reason: "it requires suites with finite-field Diffie-Hellman (DHE), which RFC 9325 4.1 advises against",
        instead: "\"bcp195\" (PS3.15 B.12), whose suites for TLS 1.2 are all in it",
    },
    Unsupported {
        name: "modified",
        title: "Modified BCP 195 RFC 8996, 9325 TLS",
        section: "B.13",
        reason: "it requires suites with AES in CCM, which the TLS library does not have",
        instead: "\"bcp195\" (PS3.15 B.12), whose suites are all in it",
    },
];

/// RFC 9325 4.2.
const RECOMMENDED: [SupportedCipherSuite; 4] = [
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// PS3.15 B.10: others "of similar or greater cryptographic strength".
const ADDITIONAL: [SupportedCipherSuite; 2] =
    [suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256];

/// How DICOM is called in the negotiation of the application protocol (ALPN, RFC 7301), which RFC 9325 3.8 asks of both sides.
pub(super) const PROTOCOL: &[u8] = b"dicom";

/// RFC 8446 9.1.
const TLS_1_3: [SupportedCipherSuite; 3] =
    [suite::TLS13_AES_128_GCM_SHA256, suite::TLS13_AES_256_GCM_SHA384, suite::TLS13_CHACHA20_POLY1305_SHA256];

impl Profile {
    /// By the names that users write: the standard's titles in short.
    ///
    /// # Errors
    /// Names of profiles that are not supported, and of none.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        match name {
            "bcp195" => Ok(Self::Bcp195),
            "non-downgrading" => Ok(Self::NonDowngrading),
            other => Err(UNSUPPORTED
                .iter()
                .find(|profile| profile.name == other)
                .map_or_else(|| ProfileError::Unknown(other.to_owned()), ProfileError::Unsupported)),
        }
    }

    /// The cryptography that it allows, the preferred suites first.
    pub(crate) fn provider(self) -> CryptoProvider {
        let mut cipher_suites = [&TLS_1_3[..], &RECOMMENDED].concat();
        if self == Self::NonDowngrading {
            cipher_suites.extend(ADDITIONAL);
        }
        CryptoProvider { cipher_suites, ..default_provider() }
    }

    /// The versions that it allows, TLS 1.3 and 1.2: rustls has no others.
    pub(crate) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        rustls::ALL_VERSIONS
    }
}
