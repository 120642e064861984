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
    /// PS3.15 B.10, Non-Downgrading BCP 195 TLS (retired, still what many peers are set to).
    NonDowngrading,
}

/// A profile that is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// It exists.
    #[error("the {title} profile (PS3.15 {section}) is not supported: {reason}; use \"bcp195\" (PS3.15 B.12)")]
    Unsupported {
        /// The standard's name of it.
        title: &'static str,
        /// Where the standard has it.
        section: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// It does not.
    #[error("there is no TLS profile {0:?}: \"bcp195\" (PS3.15 B.12) or \"non-downgrading\" (PS3.15 B.10)")]
    Unknown(String),
}

const FINITE_FIELD: &str = "it asks for finite-field Diffie-Hellman (DHE), which the TLS library leaves out on purpose";
const NO_FORWARD_SECRECY: &str = "its cipher suites have no forward secrecy and are forbidden by RFC 9325";

/// (name, title, section, reason)
const UNSUPPORTED: [(&str, &str, &str, &str); 4] = [
    ("basic", "Basic TLS Secure Transport Connection", "B.1", NO_FORWARD_SECRECY),
    ("aes", "AES TLS Secure Transport Connection", "B.3", NO_FORWARD_SECRECY),
    ("extended", "Extended BCP 195 TLS", "B.11", FINITE_FIELD),
    (
        "modified",
        "Modified BCP 195 RFC 8996, 9325 TLS",
        "B.13",
        "it asks for AES-CCM, Camellia and finite-field Diffie-Hellman (DHE), which the TLS library does not have",
    ),
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
            other => Err(UNSUPPORTED.iter().find(|(known, ..)| *known == other).map_or_else(
                || ProfileError::Unknown(other.to_owned()),
                |&(_, title, section, reason)| ProfileError::Unsupported { title, section, reason },
            )),
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
