//! Values as they stand on the wire: what a peer sent survives a round trip, known or not.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A unique identifier, exactly as sent. Compared without its padding. A clone is the same bytes: an association has hundreds of them in
/// three places.
#[derive(Clone, Default)]
pub struct Uid(Arc<[u8]>);

impl Uid {
    /// Takes the bytes as they are.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// Takes the bytes as they are; where `other` has the same ones they are its own. One presentation context mostly differs from the one
    /// before it in a single UID.
    pub fn like(bytes: &[u8], other: Option<&Self>) -> Self {
        other.filter(|other| other.as_bytes() == bytes).cloned().unwrap_or_else(|| Self::new(bytes))
    }

    /// The bytes as sent, padding included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Without padding: NULs, or spaces as some peers send.
    pub fn trimmed(&self) -> &[u8] {
        let mut bytes = &*self.0;
        while let [rest @ .., 0 | b' '] = bytes {
            bytes = rest;
        }
        while let [b' ', rest @ ..] = bytes {
            bytes = rest;
        }
        bytes
    }

    /// Readable, without padding; every byte becomes one character.
    pub fn to_string_lossy(&self) -> String {
        self.trimmed().iter().map(|&byte| char::from(byte)).collect()
    }

    /// PS3.5 9.1: at most 64 characters, digits and dots.
    pub fn is_valid(&self) -> bool {
        let bytes = self.trimmed();
        !bytes.is_empty() && bytes.len() <= 64 && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'))
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Uid {
    fn eq(&self, other: &Self) -> bool {
        self.trimmed() == other.trimmed()
    }
}

impl Eq for Uid {}

impl Hash for Uid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.trimmed().hash(state);
    }
}

impl PartialOrd for Uid {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Uid {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.trimmed().cmp(other.trimmed())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_string_lossy().escape_debug())
    }
}

/// What is wrong with an AE title of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AeTitleError(&'static str);

impl fmt::Display for AeTitleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for AeTitleError {}

/// An AE title in the 16 bytes of an A-ASSOCIATE PDU, exactly as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct AeTitle([u8; 16]);

impl AeTitle {
    /// What a peer sent, whatever it is.
    pub const fn from_wire(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// One of our own, padded with spaces.
    ///
    /// # Errors
    /// PS3.5 6.2, AE: 1 to 16 characters of ASCII, not all spaces, no backslash, no control character.
    pub fn new(text: &str) -> Result<Self, AeTitleError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 16 {
            return Err(AeTitleError("an AE title has 1 to 16 characters"));
        }
        if bytes.iter().all(|byte| *byte == b' ') {
            return Err(AeTitleError("an AE title is not all spaces"));
        }
        if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
            return Err(AeTitleError("an AE title is ASCII without control characters and backslash"));
        }
        let mut title = [b' '; 16];
        title[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(title))
    }

    /// All 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Without leading and trailing spaces and NULs, which are not significant.
    pub fn trimmed(&self) -> &[u8] {
        let mut bytes = &self.0[..];
        while let [rest @ .., 0 | b' '] = bytes {
            bytes = rest;
        }
        while let [0 | b' ', rest @ ..] = bytes {
            bytes = rest;
        }
        bytes
    }

    /// Whether both name the same AE.
    pub fn matches(&self, other: &Self) -> bool {
        self.trimmed() == other.trimmed()
    }

    /// Readable, without padding; control characters are escaped, bytes above 7FH become one character each.
    pub fn to_string_lossy(&self) -> String {
        let mut text = String::new();
        for &byte in self.trimmed() {
            if byte.is_ascii_control() {
                text.extend(byte.escape_ascii().map(char::from));
            } else {
                text.push(char::from(byte));
            }
        }
        text
    }
}

impl fmt::Debug for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string_lossy())
    }
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($constant:ident = $value:literal: $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub u8);

        impl $name {
            $(#[doc = $words] pub const $constant: Self = Self($value);)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$constant => f.write_str($words),)*
                    Self(other) => write!(f, "unknown ({other})"),
                }
            }
        }
    };
}

wire_enum! {
    /// Result of an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
    RejectResult {
        PERMANENT = 1: "rejected permanent",
        TRANSIENT = 2: "rejected transient",
    }
}

wire_enum! {
    /// Source of an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
    RejectSource {
        USER = 1: "service user",
        ACSE = 2: "service provider (ACSE)",
        PRESENTATION = 3: "service provider (presentation)",
    }
}

wire_enum! {
    /// Reason of an A-ASSOCIATE-RJ; its meaning depends on the source, so only `AssociateRj::words` can say it.
    RejectReason {
        NO_REASON = 1: "no reason given",
    }
}

wire_enum! {
    /// Source of an A-ABORT (PS3.8 Table 9-26).
    AbortSource {
        USER = 0: "service user",
        PROVIDER = 2: "service provider",
    }
}

wire_enum! {
    /// Reason of an A-ABORT of the service provider (PS3.8 Table 9-26).
    AbortReason {
        NOT_SPECIFIED = 0: "reason not specified",
        UNRECOGNIZED_PDU = 1: "unrecognized PDU",
        UNEXPECTED_PDU = 2: "unexpected PDU",
        UNRECOGNIZED_PARAMETER = 4: "unrecognized PDU parameter",
        UNEXPECTED_PARAMETER = 5: "unexpected PDU parameter",
        INVALID_PARAMETER = 6: "invalid PDU parameter value",
    }
}

wire_enum! {
    /// Result of a presentation context (PS3.8 Table 9-18).
    ContextResult {
        ACCEPTED = 0: "acceptance",
        USER_REJECTED = 1: "user rejection",
        NO_REASON = 2: "no reason (provider rejection)",
        ABSTRACT_SYNTAX_NOT_SUPPORTED = 3: "abstract syntax not supported",
        TRANSFER_SYNTAXES_NOT_SUPPORTED = 4: "transfer syntaxes not supported",
    }
}
